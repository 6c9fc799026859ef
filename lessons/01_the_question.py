# %% [markdown]
# # 1 · Figuring out what we want to learn, and why
#
# | **The question** | What does one pointing of an X-ray telescope tell: in which accretion state is the source, and is it a black hole or a neutron star? |
# |---|---|
# | **Afterwards you can** | turn a light curve into an rms and a power spectrum, and a spectrum into a photon index; say what is a feature, a label and a sample in your own problem; ask the four questions that come before any algorithm |
# | **Time** | 40 min of reading or teaching, 65 min of exercises |
# | **Data** | real: NICER, RXTE, Chandra and eROSITA, see `data/README.md` |
# | **Run time** | below 40 s on two cores |

# %%
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from course.checks import lesson_01 as check
from course.sketches import sketch_outburst
from helpers import data, features, plotting
from helpers.spectra import power_law

plotting.use_course_style()

# %% [markdown]
# ## Meet the problem
#
# A star and a compact object, a black hole or a neutron star, orbit each other. Gas flows from the star, forms a disc, heats up as it falls, and shines in X-rays. The *disc* of a few million kelvin emits soft photons. The *corona*, a hotter cloud of electrons, scatters photons to high energies. Within weeks such a source can change its spectrum and its variability together. These patterns are the **accretion states**.
#
# We cannot see any of this. The telescope delivers a list of photons, each with its time and its energy. From that list we make a light curve, a power spectrum and a spectrum. Let us do so, with real data.

# %% [markdown] tags=["slide"]
# ## The light curve
#
# This light curve is a test file of the timing library *stingray*. It holds 46 minutes of an X-ray source in bins of 0.125 s. The file names no source. Remember that.

# %% tags=["slide-next"]
light_curve = data.load_light_curve("sample")
time = light_curve["time"].to_numpy() - light_curve["time"].iloc[0]  # s
rate = light_curve["rate"].to_numpy()  # counts/s, a mean over detectors

fig, (top, bottom) = plt.subplots(2, figsize=(7.2, 5))
top.plot(time, rate, linewidth=0.3)
bottom.plot(time, rate, linewidth=0.6)
top.set(xlabel="time (s)", ylabel="counts/s per detector", title="46 minutes ...")
bottom.set(xlim=(0, 400), xlabel="time (s)", ylabel="counts/s per detector")
bottom.set(title="... and the first 400 seconds")
plotting.show(fig, "01_light_curve")

# %% [markdown]
# Nobody needs machine learning to see that *something* happens here. But "it varies a lot" is no feature. A **feature** is an informative summary. The one that we need is the fractional rms amplitude.

# %% [markdown]
# ## Exercise 1.1 · How much does it vary?  ·  core · 10 min · ●●○
#
# The variance of a light curve has two parts: the variance of the source, and the Poisson noise of counting. Counts per bin with mean $\bar x$ have a noise variance of $\bar x$. Subtract it, and divide by the squared mean. This is the **normalised excess variance** (Vaughan et al. 2003):
#
# $$F = \frac{S^2 - \bar x}{\bar x^2}.$$
#
# Here $S^2$ is the variance of the *counts*, not of the rate, which has other noise. (Divide by $n$ or by $n - 1$, as you like.) $\sqrt F$ is the fractional rms. Write $F$. If there is only noise, $F$ can be negative: leave it so.


# %%
def excess_variance(counts):
    """Normalised excess variance of a light curve in counts per bin (n_bins,)."""
    # solution: subtract the noise from the variance, then divide by the mean squared
    mean = np.mean(counts)
    return (np.var(counts, ddof=1) - mean) / mean**2
    # end solution


excess_variance = check.excess_variance(excess_variance)

# %% [markdown]
# The rate in the file is a mean over five detectors, so we multiply by 5 to get counts. The file itself shows this: `rate * 0.125 * 5` is a whole number in every bin.

# %%
counts = np.round(rate * 0.125 * 5).astype(int)
print(f"largest distance from a whole number: {np.abs(rate * 0.125 * 5 - counts).max():.5f} counts")
print(f"fractional rms: {np.sqrt(excess_variance(counts)):.1%}")
near_mean = np.abs(counts / counts.mean() - 1) < 0.1
print(f"within 10 % of the mean: {near_mean.mean():.0%} of the time")

# %% [markdown]
# This source is hardly ever at its "mean". Every new tool needs a control: here are three light curves of other real observations.

# %%
lists = ("chandra_m82", "rxte_4u1636", "rxte_m82")
events = {name: data.load_events(name) for name in tqdm(lists)}
for photons in events.values():
    photons.apply_gtis()  # keep the good time intervals: on target, and all well

controls = {}
for name, photons in events.items():
    start, stop = photons.gti[0, 0], photons.gti[-1, 1]
    binned, _ = np.histogram(photons.time, np.arange(start, stop, 4.0))  # bins of 4 s
    error = np.sqrt(2 / len(binned)) / binned.mean()
    controls[name] = {"counts per 4 s": binned.mean(), "F": excess_variance(binned), "error": error}
pd.DataFrame(controls).T.round({"counts per 4 s": 1, "F": 4, "error": 4})

# %% [markdown]
# The error is the standard deviation of $F$ for pure noise, $\sqrt{2/n}\,/\,\bar x$ with $n$ bins (Vaughan et al. 2003). All three values lie within two standard errors of zero: so few photons show no variability on this time scale. Without the error, the numbers would look like features.

# %% [markdown]
# ## The power spectrum
#
# The rms says how much the source varies, not how fast. A **power spectrum** sorts the variance by frequency: it is the squared modulus of the Fourier transform. In the **Leahy** normalisation (Leahy et al. 1983)
#
# $$P_j = \frac{2}{N_\mathrm{ph}}\left|\sum_k x_k\, e^{2\pi i jk/n}\right|^2,\qquad f_j = \frac{j}{n\,\Delta t},$$
#
# pure Poisson noise has a mean power of exactly 2, however bright the source, if the detector has no dead time (lesson 14). ($x_k$ are the counts in bin $k$ of $n$, $\Delta t$ is the bin width, $N_\mathrm{ph}$ the sum of all counts.)

# %% [markdown] tags=["slide"]
# ## Exercise 1.2 · A periodogram by hand  ·  core · 12 min · ●●○
#
# Write it with `np.fft.rfft` and `np.fft.rfftfreq`. Leave out $f = 0$, which only knows the mean. For an even number of bins the last frequency is the Nyquist frequency, $1/(2\Delta t)$. Keep the last frequency. The check draws your periodogram over that of stingray.


# %%
def leahy_periodogram(counts, bin_size):
    """Frequencies [Hz] and Leahy powers of a light curve of n_bins counts in bins of bin_size seconds."""
    # solution: rfft gives the sum for all j at once; drop j = 0 from both arrays
    power = 2 * np.abs(np.fft.rfft(counts)) ** 2 / np.sum(counts)
    return np.fft.rfftfreq(len(counts), bin_size)[1:], power[1:]
    # end solution


leahy_periodogram = check.leahy_periodogram(leahy_periodogram)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# Look at the 400 seconds above once more. At which frequency will the power spectrum of this light curve be highest? Count the large waves, and write your guess in Hz.

# %%
my_guess = ...  # Hz, a number

# %%
n = 2048  # bins in a segment of 256 s
segments = counts[: len(counts) // n * n].reshape(-1, n)
frequency, _ = leahy_periodogram(segments[0], 0.125)
powers = np.array([leahy_periodogram(segment, 0.125)[1] for segment in segments])
power = powers.mean(axis=0)
slow, fast = frequency < 0.04, frequency >= 0.1
print(f"{power[slow].sum() / power.sum():.0%} of the power lies below 0.04 Hz")
variance = np.sum(power[fast] - 2) * frequency[0] / (counts.mean() / 0.125)
print(f"fractional rms at 0.1-4 Hz: {np.sqrt(variance):.0%}")

# %% tags=["slide"]
fig, ax = plt.subplots()
ax.loglog(frequency, powers[0], color="0.8", linewidth=0.6, label="one segment of 256 s")
ax.loglog(frequency, power, linewidth=0.9, label=f"mean of {len(segments)} segments")
ax.axhline(2, color="0.3", linewidth=1, linestyle=":", label="Poisson noise")
ax.set(xlabel="frequency (Hz)", ylabel="Leahy power", ylim=(0.05, 5e5))
ax.yaxis.set_major_formatter("{x:,g}")
ax.legend()
plotting.mark_guess(ax, my_guess)
plotting.show(fig, "01_power_spectrum")

# %% [markdown]
# **The answer:** near 0.01 Hz. This one picture teaches three things.
#
# - Most of the power lies below 0.04 Hz, in waves of 25 s and longer. The highest bin near 0.01 Hz is a whole group of flares, the next peak near 0.025 Hz a single flare.
# - One periodogram (grey) scatters by 100 % at every frequency, however long it is. Only *averaging* helps.
# - The curve falls by four decades: such features need **logarithms**.
#
# (A narrow peak on such a curve is a quasi-periodic oscillation, **QPO**. Its frequency, width and strength are among the best features, where a telescope can see it.)

# %% [markdown] tags=["slide"]
# ## The spectrum
#
# Now the energies. NICER looked at the black hole MAXI J1820+070 on 2018 July 3, with an exposure of 1.7 hours.

# %% tags=["slide-next"]
nicer = data.load_spectrum("nicer_maxi_j1820")
response = data.load_response("nicer")
edges = np.append(nicer.energy_lo, nicer.energy_hi[-1])  # keV
width = nicer.energy_hi - nicer.energy_lo

fig, ax = plt.subplots()
plotting.steps(ax, edges, nicer.counts / nicer.exposure / width)
ax.set(xscale="log", yscale="log", xlim=(0.25, 12), ylim=(0.1, 3e4), xlabel="energy (keV)")
ax.set(ylabel="counts/s/keV")
ax.yaxis.set_major_formatter("{x:,g}")
plotting.show(fig, "01_count_spectrum")
print(f"{nicer.counts.sum() / 1e6:.1f} million photons in {nicer.exposure:.0f} s")

# %% [markdown]
# This is **not** the spectrum of the source. It is what a detector made of it, with its sensitivity and energy resolution. The step at 2.2 keV is an absorption edge of the gold in NICER's mirrors. If $s(E)$ is the photon spectrum that arrives, the expected counts in channel $i$ are
#
# $$m_i = T\int R(i, E)\, A(E)\, s(E)\, dE,$$
#
# with the effective area $A$, the redistribution $R$ and the exposure $T$. We **fold** a model with the response and compare counts; we never unfold the data. The simplest model is a **power law**, $s(E) = K E^{-\Gamma}$, with the **photon index** $\Gamma$: large for a steep (soft) spectrum, small for a hard one. It describes the photons that leave a corona.

# %%
in_band = (nicer.energy_lo >= 3) & (nicer.energy_hi <= 10)  # keV: above the disc


def folded_power_law(photon_index):
    """Counts per channel that a power law leaves in this observation, scaled to the data at 3-10 keV."""
    flux = power_law(response.energy_lo, response.energy_hi, photon_index, norm=1.0)
    model = response.fold(flux).numpy() * nicer.exposure
    return model * nicer.counts[in_band].sum() / model[in_band].sum()


# %%
def draw_power_law(photon_index):
    """Data over model, so that a perfect model is a straight line at 1."""
    fig, ax = plt.subplots()
    ax.axvspan(3, 10, color="0.94")
    ax.axhline(1, color="0.5", linewidth=1)
    plotting.steps(ax, edges, nicer.counts / np.maximum(folded_power_law(photon_index), 1e-9))
    ax.set(xlim=(0.4, 10), ylim=(0.5, 1.8), xscale="log", xlabel="energy (keV)")
    ax.set(ylabel="counts / model")
    ax.set_title(f"photon index Γ = {photon_index:.2f}, scaled in the grey band")
    ax.set_xticks([0.5, 1, 2, 3, 5, 10], ["0.5", "1", "2", "3", "5", "10"])
    plotting.show(fig, "01_power_law_ratio", photon_index=photon_index)


# %% [markdown]
# Move the slider until the ratio is as flat as possible between 3 and 10 keV. Then look at what does not become flat.

# %% tags=["nbval-ignore-output"]
index = ipywidgets.FloatSlider(
    value=1.4, min=1.2, max=2.6, step=0.05, description="index Γ", continuous_update=False
)
ipywidgets.interactive(draw_power_law, photon_index=index)

# %% [markdown]
# ## Exercise 1.3 · The photon index is a choice  ·  core · 12 min · ●●○
#
# Write the fit. For each index on a grid, fold the power law, scale it to the sum of the counts in the band, and compare by $\chi^2 = \sum (c_i - m_i)^2 / c_i$. (Many counts $c_i$ have a variance of about $c_i$.) Return the photon index $\Gamma$ with the smallest $\chi^2$: a value of `grid`, not its position, and no number in between.
#
# You get the counts; `fold(index)`, the model counts in all channels of a power law of some norm; and a mask of the band's channels.

# %%
grid = np.arange(1.0, 3.0, 0.01)


def photon_index(counts, fold, chosen):
    """The index on the grid whose folded power law fits the counts in the chosen channels best."""
    # solution: chi-squared for every index of the grid in turn; np.argmin finds the smallest
    chi_squared = []
    for index in grid:
        model = fold(index)[chosen]
        model = model * counts[chosen].sum() / model.sum()
        chi_squared.append(np.sum((counts[chosen] - model) ** 2 / counts[chosen]))
    return grid[np.argmin(chi_squared)]
    # end solution


photon_index = check.photon_index(photon_index)


# %%
def channels(low, high):
    """The channels between two energies in keV."""
    return (nicer.energy_lo >= low) & (nicer.energy_hi <= high)


fits = {}
for low, high in ((1, 10), (2, 10), (3, 10), (3, 5), (7, 10)):
    best = photon_index(nicer.counts, folded_power_law, channels(low, high))
    fits[f"{low}–{high} keV"] = best
pd.Series(fits, name="photon index").to_frame().round(2)

# %%
generator = np.random.default_rng(1)
redrawn = {}
for low, high in ((3, 10), (7, 10)):
    spectra = generator.poisson(nicer.counts, (10, len(nicer.counts)))
    band = channels(low, high)
    redrawn[f"{low}–{high} keV"] = [photon_index(c, folded_power_law, band) for c in spectra]
spread = pd.DataFrame(redrawn).std()
spread.to_frame("standard deviation of the index in ten redrawn spectra").round(3)

# %% [markdown]
# With so many photons the statistical error is a few hundredths at most. But the answer changes by tenths with the band, because the power law is not the whole truth. Below 2 keV we see the disc. Below 0.5 keV interstellar gas absorbs. Around 6.5 keV iron in the disc emits a broad line, and its bump makes 3–10 keV flatter than either end of that band.
#
# *A feature is the answer to a question that you chose.* If one author fitted 3–10 keV and another 2–20 keV, then their archive holds two different features in one column.

# %% [markdown]
# ## Accretion states
#
# Put the three together. Black holes in outburst are found in a few states, which are *defined* by numbers like those that you just measured (Remillard & McClintock 2006, Table 2). Here $f$ is the share of the disc in the flux at 2–20 keV, and $r$ the fractional rms at 0.1–10 Hz:
#
# | state | in this course | spectrum | variability |
# |---|---|---|---|
# | hard | **LHS**, low/hard state | power law with $\Gamma$ = 1.4–2.1, little disc: $f$ < 20 % | strong, $r$ > 10 % |
# | intermediate | **HIMS**, hard-intermediate state | all the rest | all the rest |
# | steep power law | **SIMS**, soft-intermediate state | $\Gamma$ > 2.4, disc and power law mixed | $r$ < 15 %, often a QPO |
# | thermal (soft) | **HSS**, high/soft state | disc dominates: $f$ > 75 % | weak, $r$ < 7.5 %, no strong QPO |
#
# The names of the second column are newer (Belloni 2010). In the middle two rows they match the first column only roughly. Mind the band, too: the table's $r$ leaves out the slow waves that make most of our 43 %.
#
# Over an outburst of months, a source passes through these states along a track that does not return the way it came. It becomes soft at high luminosity, and hard again at a much lower one (**hysteresis**). Below some 30 % of the Eddington luminosity, neutron stars do the same (Muñoz-Darias et al. 2014). That makes the second half of our question the harder one.

# %% tags=["slide"]
fig, ax = plt.subplots(figsize=(5.6, 3.8))
sketch_outburst(ax)
plotting.show(fig, "01_outburst")

# %% [markdown]
# One more feature needs a name. A power colour is the variance in one band of frequency divided by that in another. The **hue** is the angle of a pointing on the wheel of two power colours, clockwise from the upper left: it says how the variance is spread over frequency, not how large it is (Heil, Uttley & Klein-Wolt 2015). The sectors show where black holes are found in each state.

# %% tags=["slide-next"]
pointing = pd.DataFrame({"pc1": [15], "pc2": [0.15], "state_label": ["HIMS"]})
fig, ax = plt.subplots(figsize=(7.6, 5))
plotting.power_colour_wheel(ax, pointing, features.HUES, features.HUE_CENTRE)
for x, y, line in ((0.3, 6.8, "k--"), (15, 0.15, "C2^-")):  # from the centre to hue 0 and to ours
    ax.plot([features.HUE_CENTRE[0], x], [features.HUE_CENTRE[1], y], line)
ax.set_title(f"a pointing of hue {features.hue(15, 0.15):.0f}°, and hue 0° (dashed)")
plotting.show(fig, "01_hue")

# %% [markdown] tags=["slide"]
# ## Samples, features, labels
#
# Machine learning begins with three words:
#
# - a **sample** is one row: here, one pointing at one source;
# - **features** are its informative summaries: rate, hardness (counts at high energies divided by counts at low ones), $\Gamma$, rms, hue, QPO frequency;
# - a **label** is the known true output: a class (*hard*, *soft*; *black hole*, *neutron star*) or a number (a mass).

# %% [markdown]
# ### Where do labels come from?
#
# **Supervised classification** learns a rule from features to label, from samples whose labels are *known*. It needs a **ground truth that you trust**.
#
# - *The state* comes from an expert who looked at the same colours and the same power spectrum that we would use as features. Such a label is an opinion about the features. A machine copies the habits of the expert, and such labels cannot show whether it beats the expert. And experts disagree.
# - *The object* is a better label. Bursts or pulsations prove a neutron star, a measured mass can prove a black hole. But only *some* sources show them: the bright, the near, the well-studied. That is a *selection effect*.
#
# Therefore this course **simulates** its archive (from lesson 2 on). We made these sources, so we know their state and their nature. They are seen through the real responses of real telescopes, and their human labels are sometimes wrong. The course ends, in lesson 12, with observations that nobody simulated. Until then ask: *does the archive look like them?*

# %% [markdown]
# ## Four questions before you start
#
# ### First: description, prediction or inference?
#
# What do you want to do with the answer? Data science has three tasks, each with its own samples, features and tools (after Hernán, Hsu & Healy 2019; their third is causal inference; we add measuring parameters):
#
# | task | it asks | who is eligible | features | tools |
# |---|---|---|---|---|
# | **description** | what is there? | whatever you count | what you report | means, histograms, groups |
# | **prediction** | what is the label of the *next* sample? | samples like the target | anything known beforehand | any rule that passes on held-out data |
# | **inference** | what *is* the parameter, or the cause? | samples whose selection you can model | what the model needs | likelihood, simulation, posterior |
#
# If somebody acts on a single answer, they will ask why. Then **interpretability** is part of the question.

# %% [markdown] tags=["slide"]
# ## Exercise 1.4 · Three tasks  ·  core · 5 min · ●○○
#
# Sort five plans into `"description"`, `"prediction"`, `"inference"`.

# %%
# solution: what will the sentence in the abstract be: there are ..., we flag ..., or we measure ...?
tasks = {
    "flag tonight's NICER pointings that are probably in transition, for a quick follow-up": "prediction",
    "the share of the hard state in 16 years of RXTE pointings": "description",
    "the spin of the black hole in MAXI J1820+070": "inference",
    "a label for every source in a catalogue, to choose targets for a proposal": "prediction",
    "does the jet switch off because the disc moves in?": "inference",
}
# end solution

tasks = check.tasks(tasks)

# %% [markdown] tags=["slide"]
# ### Second: do the training data look like the target?
#
# They should have the same telescope, selection and noise. How much does it matter? Look at *one* source with a power-law spectrum through five telescopes. Our hardness is the counts at 5–10 keV divided by those at 3–5 keV.
#
# **Predict:** will the five telescopes agree on it within 10 %? Within a factor of 2?

# %%
my_guess_telescopes = ...  # "within 10 %", "within a factor of 2" or "neither"

# %% [markdown] tags=["slide"]
# ## Exercise 1.5 · One source, five telescopes  ·  core · 10 min · ●●○
#
# Write the hardness of a power law as a given telescope sees it. `power_law(response.energy_lo, response.energy_hi, index, norm=1.0)` gives photons/cm²/s in each energy bin. `response.fold(...)` gives counts/s in each channel, as a torch tensor; `np.asarray` makes an array of it. Channels have energies `response.channel_lo`, `response.channel_hi` (keV). A channel belongs to a band if its middle does.


# %%
def hardness(response, index):
    """Expected counts at 5-10 keV over counts at 3-5 keV, for a power law of the given photon index."""
    # solution: fold the flux, choose the channels by their middle, sum each band, divide
    flux = power_law(response.energy_lo, response.energy_hi, index, norm=1.0)
    counts = np.asarray(response.fold(flux))
    middle = np.asarray(response.channel_lo + response.channel_hi) / 2
    hard = counts[(middle >= 5) & (middle < 10)].sum()
    soft = counts[(middle >= 3) & (middle < 5)].sum()
    return hard / soft
    # end solution


hardness = check.hardness(hardness)

# %% tags=["slide"]
indices = np.linspace(0.0, 6.0, 31)
names = ("nicer", "swift_xrt", "xmm_pn", "nustar_fpma", "rxte_pca")
responses = {name: data.load_response(name) for name in names}
seen = {name: [hardness(r, index) for index in indices] for name, r in responses.items()}

fig, ax = plt.subplots()
for (name, values), marker in zip(seen.items(), "osD^v", strict=True):
    ax.plot(indices, values, marker=marker, label=name)
ax.set(yscale="log", xlim=(1.3, 3.1), ylim=(0.13, 4), xlabel="photon index Γ of the source")
ax.set(ylabel="hardness 5-10 / 3-5 keV")
ax.legend(ncols=3)
plotting.show(fig, "01_hardness_by_telescope")

# %%
at_two = {name: np.interp(2.0, indices, values) for name, values in seen.items()}
at_two = pd.Series(at_two, name="hardness at Γ = 2").to_frame()
falling = -np.array(seen["rxte_pca"])  # np.interp wants values that rise
at_two["on RXTE that looks like Γ ="] = np.interp(-at_two.iloc[:, 0], falling, indices)
at_two.round(2)

# %% [markdown]
# **The answer:** neither. Between NICER and NuSTAR the hardness of the same source differs by a factor of six.
#
# A rule learned on RXTE, "a hardness above this value is the hard state", takes every NICER pointing for a much softer source. The rule will not complain. Lesson 12 meets this again, with a remedy: features that mean the same everywhere, such as $\Gamma$, fitted with the same model in the same band.

# %% [markdown]
# ### Third: known biases, and corners where no data are
#
# An observation without gaps, of length $T$ in bins of $\Delta t$, resolves frequencies from $1/T$ to $1/(2\Delta t)$, the Nyquist frequency. Slower waves look like a trend. Faster ones are smoothed, and appear at lower frequencies (*aliasing*). Here are our real observations. (eROSITA scanned the sky, and saw each source only briefly.) Type-C QPOs, usually the strongest kind in black holes, lie at roughly 0.1–15 Hz. Power colours need 1/256 to 16 Hz.

# %%
erosita = data.load_light_curve("erosita")
usable = erosita[erosita["exposure_1"] > 10]  # in view for more than 10 of the 100 s of a bin
observations = {  # name: (seconds from first to last, time resolution in s)
    "sample": (np.ptp(time), 0.125),
    "chandra_m82": (np.ptp(events["chandra_m82"].time), 0.44104),  # the frame time of the CCD
    "rxte_4u1636": (np.ptp(events["rxte_4u1636"].time), 2.0**-13),
    "rxte_m82": (np.ptp(events["rxte_m82"].time), 2.0**-20),
    "erosita": (np.ptp(usable["time"]), 100.0),
}

fig, ax = plt.subplots(figsize=(7.2, 3.4))
for name, (length, step) in observations.items():
    ax.plot([1 / length, 1 / (2 * step)], [name, name], "C0", linewidth=6, solid_capstyle="butt")
for name, band, line in (("power colours", [1 / 256, 16], "--"), ("type-C QPOs", [0.1, 15], "-")):
    ax.plot(band, [name, name], color="black", linestyle=line, marker="|", markersize=9)
    ax.vlines(band, -0.6, 6.4, colors="black", linestyles=line, linewidth=0.5)
ax.set(xscale="log", xlabel="frequency (Hz)", ylim=(-0.6, 6.4))
ax.set_xticks([1e-4, 1e-2, 1, 1e2, 1e4, 1e6], ["0.0001", "0.01", "1", "100", "10,000", "1,000,000"])
plotting.show(fig, "01_frequency_coverage")

# %% [markdown]
# "No QPO detected" can mean that there is none, or that nobody could have seen it. In a table both become an empty cell, and a model that fills empty cells with the mean invents physics. To lie *inside* the range is not enough either: `rxte_4u1636` has 3.3 photons in 4 s (see above), so there is nothing to see at 5 Hz. The bar of eROSITA looks too good: its few bins have long gaps between them.
#
# Pointings are not drawn at random either. Telescopes look at what is bright or in outburst, and the transitions, which interest us most, last only days. So classes will be imbalanced, and faint sources missing.

# %% [markdown]
# ## Exercise 1.6 · Would you train on this?  ·  core · 8 min · ●●○
#
# None of our five real light curves should enter a training set for accretion states as it is, each for another reason. Here are the facts. Which verdict fits which best? Use each once.
#
# - `"no label"`: nobody can say what it is
# - `"a crowd"`: the photons come from several sources, and one can see it
# - `"thinned"`: somebody threw most of the photons away
# - `"mostly background"`: the rate is about what the detector counts without a source: some tens per second in each of RXTE's detectors
# - `"too few points"`: what is left after cleaning is no light curve

# %%
rms, hours = np.sqrt(excess_variance(counts)), np.ptp(usable["time"]) / 3600
print(f"sample: {len(rate)} bins, rms {rms:.0%}, source: not in the file")
print(f"erosita: {len(usable)} usable bins of 100 s, spread over {hours:.1f} hours")
facts = {}
for name, photons in events.items():
    good_time = np.ptp(photons.gti, axis=1).sum()  # s
    facts[name] = data.load_events(name).ncounts, photons.ncounts / good_time
facts = pd.DataFrame(facts, ["events in the file", "events per second of good time"]).T
facts.round(1).map("{:,g}".format)

# %%
fig, ax = plt.subplots(figsize=(4.2, 3.8))
image = events["chandra_m82"]
x, y = (0.492 * (position - np.median(position)) for position in (image.x, image.y))  # arcsec
ax.plot(x, y, ".", markersize=1.5)
ax.set(aspect="equal", xlim=(-45, 45), ylim=(-45, 45))
ax.set(xlabel="offset (arcsec)", ylabel="offset (arcsec)")
ax.set_title("M82 as Chandra saw it")
plotting.show(fig, "01_m82_image")

# %%
# solution: begin with the verdict that only one observation can have
verdicts = {
    "sample": "no label",
    "chandra_m82": "a crowd",
    "rxte_4u1636": "thinned",
    "rxte_m82": "mostly background",
    "erosita": "too few points",
}
# end solution

verdicts = check.verdicts(verdicts)

# %% [markdown]
# A word about the first one. Read its time stamps as RXTE counts them, in seconds since 1994:

# %%
pd.Timestamp("1994-01-01") + pd.Timedelta(seconds=light_curve["time"].iloc[0])

# %% [markdown]
# Five detectors and bins of 0.125 s are typical of RXTE. Many in the field will recognise the pattern and name a source. *That is not a label.* It is a guess with good reasons. If you wrote it into the table, no later step could tell it from the truth. **Discuss with your neighbour** (5 min; alone, write two sentences): what would you need to see before you wrote it there?

# %% [markdown]
# ### Fourth: what does physics already know?
#
# Poisson noise told us what to subtract. The response told us why the same source has several hardnesses, and the disc told us where to fit. Physics chooses features, algorithms and metrics better than any search. Try it on one question: which features know how *far away* a source is? The state does not depend on distance, so a classifier should not learn it.
#
# **Predict:** at twice the distance a quarter of the photons arrive. Which of these stays the same: the mean rate, the variance, the fractional rms, the Leahy power?

# %%
my_guess_distance = ...  # what stays the same, in words

# %% [markdown] tags=["slide"]
# ## Exercise 1.7 · Twice as far  ·  core · 8 min · ●●○
#
# Make the light curve that the same source would show at twice the distance. Each photon arrives with probability 1/4, independently of all others.


# %%
def twice_as_far(counts, generator):
    """The counts per bin (n_bins,) that remain of `counts` if a quarter of the photons arrive."""
    # solution: each photon tosses its own coin: a bin with n photons keeps a binomial number of them
    return generator.binomial(counts, 0.25)
    # end solution


twice_as_far = check.twice_as_far(twice_as_far)

# %%
generator = np.random.default_rng(3)
light_curves = {"near": counts}
light_curves |= {f"far, {k}": twice_as_far(counts, generator) for k in range(1, 6)}
measures = {
    "mean": np.mean,
    "variance": np.var,
    "fractional rms": lambda x: np.sqrt(excess_variance(x)),
    "Leahy power, 0–0.04 Hz": lambda x: leahy_periodogram(x, 0.125)[1][:110].mean(),
}
compared = {k: {name: f(x) for name, f in measures.items()} for k, x in light_curves.items()}
pd.DataFrame(compared).T.map(lambda x: f"{x:,.0f}" if x > 1 else f"{x:.3f}")

# %% [markdown]
# **The answer:** only the *fractional* rms stays. The variance of the source itself falls by a factor of 16, and that of the noise by 4. The Leahy power above its noise level of 2 falls by 4, because it compares the signal with the noise. Subtract the noise and divide by the mean rate, and power spectra of different sources can be compared: this is the *fractional rms* normalisation.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - The question comes first: state and nature of a source, from one pointing. One sample is a pointing. Its features are measured. Its label is somebody's word.
# - rms, power spectrum and photon index contain choices: band, time scale, normalisation, noise.
# - The same source has another hardness in every telescope.
# - What an observation cannot see is missing, and missing is neither zero nor the mean.
# - Look at the data. Every one of our five light curves had a flaw that no classifier would have reported.

# %% [markdown]
# **Further reading.** R. Remillard & J. McClintock, *X-ray properties of black-hole binaries* (ARA&A 44, 49, 2006) · S. Vaughan et al., *On characterizing the variability properties of X-ray light curves from active galaxies* (MNRAS 345, 1271, 2003) · M. Hernán, J. Hsu & B. Healy, *A second chance to get causal inference right* (Chance 32, 42, 2019) · D. Huppenkothen, M. Ntampaka et al., *Constructing impactful machine learning research for astronomy* ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)).
