# %% [markdown]
# # 15 · Pile-up
#
# | **The question** | A CCD takes two photons that hit the same pixels in the same frame for one. What does that do to a spectrum, and can we get the source back? |
# |---|---|
# | **Afterwards you can** | test real events for pile-up without a model; write a detector that piles up and predict its losses; choose among a plain fit, Davis' model, the cut-out core and a simulator, and criticise a posterior with what the network never saw |
# | **Time** | 40 min of reading or teaching, 65 min of exercises |
# | **Data** | real: Chandra events of the galaxy M82 (ObsID 10027), from stingray; simulated: sources seen by Chandra's ACIS and by eROSITA, made here |
# | **Run time** | below 150 s on two cores |
#
# Two sections are marked *for home*, 20 of these minutes: exercise 15.4 with the cell after it, and the blackbody in eROSITA. No other section needs them.

# %%
from dataclasses import replace

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from scipy.optimize import minimize

# %%
from course.checks import lesson_15 as check
from helpers import data, plotting
from helpers.ccd import ACIS, EROSITA, chandra_dither
from helpers.diagnostics import calibration
from helpers.pile_up import PileUpSimulator, absorbed_blackbody, absorbed_power_law, davis_spectrum
from helpers.posteriors import convolution, train_posterior

plotting.use_course_style()


def seeded(seed):
    """A new generator of random numbers: each cell has its own, so it can be run again."""
    return torch.Generator().manual_seed(seed)


# %% [markdown]
# ## A bright source, photon by photon
#
# A CCD collects charge for a **frame**, then it is read out. A photon leaves its charge in one to four pixels. The pattern has a number, the **grade**. Odd patterns are thrown away, because particles make them too.
#
# A second photon that hits the same pixels in the same frame adds its charge. Two photons of 1 and 2 keV are then reported as one of 3 keV: this is **pile-up**. If the pattern is odd, they are not reported at all: this is **grade migration**.
#
# Chandra looked at M82 with its CCD camera ACIS. Only a part of the chip was read, so a frame takes 0.44104 s. Is the brightest source piled up?

# %%
m82 = data.load_events("chandra_m82")
frame = np.rint((m82.time - m82.time[0]) / 0.44104).astype(int)
x0, y0 = 4452.0, 3835.6  # the brightest source, pixels
r = np.hypot(m82.x - x0, m82.y - y0)  # pixels
core, away = r < 6, r > 20
print(f"{len(frame)} events in {frame.max() + 1} frames; grades {np.unique(m82.grade)}")
print(f"within 6 pixels: {core.sum()} events, {core.sum() / (frame.max() + 1):.2f} per frame")

# %%
fig, ax = plt.subplots(figsize=(6, 4.4))
offset = 0.492 * (m82.x - x0), 0.492 * (m82.y - y0)  # arcsec
*_, image = ax.hist2d(*offset, bins=60, range=[(-20, 20)] * 2, norm="log")
fig.colorbar(image, label="events", format="{x:g}")
ax.add_patch(plt.Circle((0, 0), 6 * 0.492, fill=False, color="C1", linewidth=2))
ax.set(aspect="equal", xlabel="offset (arcsec)", ylabel="offset (arcsec)")
plotting.show(fig, "15_m82")

# %% [markdown]
# (The circle has a radius of 6 pixels, 3″.) What would you look at first? The bad grades are gone: the archive keeps 0, 2, 3, 4 and 6. So we look at the grades among the good ones, and at the energies. Grade 6 is charge in three or four pixels, which two photons make more easily than one.

# %%
place = pd.Series(np.select([core, away], ["at the source", "away from it"], "between"))
energy = pd.Series(m82.energy)  # keV
grade_6 = pd.Series(m82.grade == 6)[energy.between(2, 5)].astype(float)
hard = (energy > 5)[energy.between(2, 10)].astype(float)
answers = {"share of grade 6, 2-5 keV": grade_6, "share above 5 keV, 2-10 keV": hard}
shares = {name: values.groupby(place).agg(["mean", "sem"]) for name, values in answers.items()}
pd.concat(shares, axis=1).drop("between").round(3)

# %% [markdown]
# The grades do not differ by more than their errors. The energies do, and in the wrong direction: away from the source the light is harder. This proves nothing. It is *another* spectrum, of other sources and of particles. Neither comparison can answer, because nobody gave us the same source without pile-up.
#
# But every piled source must lack something: **two neighbouring events in the same frame.** They would have been one event. The *other frames* tell how many there should be: events in frame $k$ and events in frame $k + 1$ have the same image, and they cannot pile up.

# %% [markdown] tags=["slide"]
# ## Exercise 15.1 · The pairs that are missing  ·  core · 10 min · ●●○
#
# Count the ordered pairs of events $(i, j)$, $i \ne j$, of which $j$ comes exactly `lag` frames after $i$, closer together than `radius`; the list is in any order. Ordered means: in the same frame (`lag = 0`) each couple counts twice, as $(i, j)$ and as $(j, i)$; with another lag it counts once. Without pile-up, the expected number is then nearly the same for all small lags. (Why?)


# %%
def n_close(frame, x, y, lag, radius):
    """Ordered pairs of events (n,) that are `lag` frames apart and closer than `radius`, a number."""
    # solution: x[:, None] - x has all differences at once; an event is no pair with itself
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    later = frame - frame[:, None] == lag  # of the column after the row
    close = (apart < radius) & later
    np.fill_diagonal(close, False)
    return close.sum()
    # end solution


n_close = check.n_close(n_close)

# %%
at_source = frame[core], m82.x[core], m82.y[core]
same = n_close(*at_source, 0, 2.0) / 2  # each couple was counted twice
other = np.array([n_close(*at_source, lag, 2.0) for lag in range(1, 31)]) / 2
numbers = {
    "couples in the same frame": same,
    "expected, from frames 1 to 30 apart": other.mean(),
    "missing": other.mean() - same,
    "its error": 2**0.5 * other.std(ddof=1),  # half of a count scatters less than a count
    "missing per event": (other.mean() - same) / core.sum(),
    "neighbours of an event in a frame of 3.2 s": 2 * other.mean() / core.sum() * 3.2 / 0.44104,
}
pd.Series(numbers).to_frame("closer than 2 pixels").round(2)

# %%
distance = np.hypot(*(z[:, None] - z for z in at_source[1:]))
np.fill_diagonal(distance, np.inf)  # an event is no couple with itself
gap = at_source[0] - at_source[0][:, None]
bins = np.arange(0, 6.5, 0.5)
couples = np.histogram2d(gap.ravel(), distance.ravel(), [np.arange(-0.5, 31), bins])[0] / 2
mean, sd = couples[1:].mean(0), 2**0.5 * couples[1:].std(0, ddof=1)

# %% tags=["slide"]
fig, ax = plt.subplots(figsize=(7, 3.8))
ax.stairs(mean + sd, bins, baseline=mean - sd, fill=True, color="0.8", label="other frames")
plotting.steps(ax, bins, couples[0], color="C1", linewidth=2, label="the same frame")
ax.set(xlabel="distance of two events (pixels)", ylabel="couples", xlim=(0, 6), ylim=(0, None))
ax.legend(loc="lower right")
plotting.show(fig, "15_couples")

# %% [markdown]
# That is pile-up, caught without any model. Beyond two pixels all couples are there. Nearer ones became one event each, or none. (The few left near 1.2 pixels were two pixels apart: the archive blurs each position by up to half a pixel.)
#
# Suppose that *all* missing couples had good grades. Then the table says which share of the events is piled: "missing per event". Some couples were rejected and are lost for us, so this share is an upper limit. The short frame was a good idea: in ACIS' usual frame of 3.2 s a typical photon would have had company.

# %% [markdown] tags=["slide-next"]
# **Discuss with your neighbour** (3 min): the source is a few arcsec long, but Chandra's best image of a point is half an arcsec wide. Was that bad luck, or did somebody think?

# %% [markdown]
# ## The detector in the open
#
# Imagine one **detection cell**: all photons that hit it in a frame become one event. $L$ photons are expected per frame.

# %% [markdown] tags=["slide"]
# ## Exercise 15.2 · A cell that cannot count  ·  core · 10 min · ●●○
#
# In each of `n_frames` frames a Poisson number of photons arrives, mean `load`. `draw(n, generator)` gives the energies of $n$ photons. A frame without photons has no event. Return the energy of each event, and how many photons it holds.


# %%
def cell(load, n_frames, draw, generator):
    """Energies (n_events,), keV, and numbers of photons (n_events,) of the events of one cell."""
    # solution: numbers per frame first; all energies in one draw; np.bincount with weights adds by frame
    photons = generator.poisson(load, n_frames)
    energies = draw(photons.sum(), generator)
    frame = np.repeat(np.arange(n_frames), photons)
    sums = np.bincount(frame, weights=energies, minlength=n_frames)
    return sums[photons > 0], photons[photons > 0]
    # end solution


cell = check.cell(cell)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# *One* photon is expected per frame. Which share of the events holds more than one? Write your guess.

# %%
my_guess_piled = ...  # a share between 0 and 1

# %% [markdown] tags=["slide"]
# ## Exercise 15.3 · Lost and piled  ·  core · 8 min · ●○○
#
# Poisson's law gives no photon with probability $e^{-L}$ and one with $L e^{-L}$. How many events does a frame have on average? And which share *of the events* holds more than one photon?


# %%
def detected_and_piled(load):
    """Events per frame, and the share of them with more than one photon, for loads L > 0, number or (n,)."""
    # solution: an event is "at least one photon"; then: one minus the share of events with exactly one
    detected = 1 - np.exp(-load)
    return detected, 1 - load * np.exp(-load) / detected
    # end solution


detected_and_piled = check.detected_and_piled(detected_and_piled)

# %% [markdown]
# `PileUpSimulator` is a third witness. It does far more than ten lines: photons pass the effective area, the telescope's image gives their places, charge has Fano's noise and spreads over pixel edges, and each pixel is read with noise, thresholds and grades. To make it a cell, we give it a telescope that hits one pixel.

# %%
one_pixel = replace(
    ACIS, psf_core=1e-4, cloud=0.0, readout_noise=0.0, fano=0.0,
    event_threshold=0.0, split_threshold=0.0, upper_limit=1e9,
)  # fmt: skip
machine = PileUpSimulator(one_pixel, exposure=20_000 * 3.2, position=(0.0, 0.0))

# %%
witnesses = {}
for log_flux in (-12.6, -11.9, -11.5, -11.2):
    theta = torch.tensor([log_flux, 2.0, 0.3])
    load = machine.photons(theta).sum().item()
    _, yours = cell(load, 20_000, lambda n, own: own.random(n), np.random.default_rng(15))
    simulated = machine.events(theta, seeded(2)).n_photons.numpy()
    witnesses[f"{load:.2f}", "formula of 15.3"] = detected_and_piled(load)
    for name, n in (("your cell", yours), ("PileUpSimulator", simulated)):
        witnesses[f"{load:.2f}", name] = len(n) / 20_000, np.mean(n > 1)
rows = ["events per frame", "piled share"]
pd.DataFrame(witnesses, rows).T.rename_axis(["L", "by"]).round(3)

# %% tags=["slide"]
loads = np.geomspace(0.01, 6, 100)
columns = ["events per frame", "share of events that are piled"]
curves = pd.DataFrame(np.transpose(detected_and_piled(loads)), loads, columns)
ax = curves.plot(style=["-", "--"], logx=True)
ax.set(xlabel="photons per frame, L", ylabel="number, or share", ylim=(0, 1.05))
ax.xaxis.set_major_formatter("{x:g}")
plotting.mark_guess(ax, my_guess_piled, axis="y")
plotting.show(ax, "15_per_frame")

# %% [markdown]
# **The answer:** $1 - e^{-1}/(1 - e^{-1}) = 0.42$ of the events. A loss of events can be seen in a light curve. The piled share cannot, and it starts as $L/2$: at 0.1 photons per frame already a twentieth of the events has a wrong energy.

# %% [markdown]
# ## Exercise 15.4 · Pile-up is a convolution  ·  stretch · 15 min · ●●●
#
# *For home.* Let $S_i$ be the expected photons per frame in bins of equal width $w$; photons in `photons[i]` have the energy $(i+1)\,w$. The energy of *two* photons is distributed as $S * S$, and a frame holds exactly $p$ photons of the right sum with $e^{-L}\,S^{*p}/p!$, $L = \sum_i S_i$. Return the events per frame and bin, all $p$ together. Mind where the sum of bins $i$ and $j$ belongs. Sums beyond the last bin are left out.


# %%
def piled_spectrum(photons):
    """Expected events (n,) per frame of one cell; photons (n,) of energies (1, 2, 3, ...) times w."""
    # solution: np.convolve gives i + j, the energy is that of bin i + j + 1; each term follows from the last
    term = photons
    total = term
    for p in range(2, 60):
        term = np.append(0, np.convolve(term, photons))[: len(photons)] / p
        total = total + term
    return np.exp(-photons.sum()) * total
    # end solution


piled_spectrum = check.piled_spectrum(piled_spectrum)

# %% [markdown]
# That is the heart of the standard model, **Davis' model** (2001). It adds three numbers. A share $f$ of the photons falls on cells that pile up. There are so many such cells. And events of $p$ photons keep a good grade with probability $\alpha^{p-1}$. `davis_spectrum` of our helpers does all convolutions at once, by one Fourier transform. With one cell and $f = \alpha = 1$ it must be yours:

# %%
grid = PileUpSimulator(ACIS, energies=(0.025, 11.975, 0.05))  # bins about 0.05, 0.10, ... keV
source = grid.photons(torch.tensor([-11.3, 2.0, 0.3], dtype=torch.float64))
by_sums = piled_spectrum(source.numpy())
one_cell = {"alpha": 1.0, "psf_fraction": 1.0, "fracexpo": 1.0}
by_fourier = davis_spectrum(source, grid.energy_lo, grid.energy_hi, **one_cell).numpy()
differ = np.abs(by_sums - by_fourier).max() / by_sums.max()
print(f"the two spectra differ by less than 1e-9 of the peak: {differ < 1e-9}")

# %% [markdown] tags=["slide"]
# ## What it does to a power law
#
# ### Predict first
#
# A source has a power law of photon index Γ = 2, and sends 1.8 photons per frame into ACIS. You fit as if there were no pile-up. Which Γ do you find? Write your guess.

# %%
my_guess_index = ...  # a photon index, a number

# %% [markdown]
# First we need what *would* be seen without pile-up: the **response**, that is, area, losses and blur of *single* photons.

# %%
channels = torch.logspace(np.log10(0.5), 1, 65)  # 64 channels, 0.5 to 10 keV
rings = {"annuli": [0, 1, 2, 4], "channels": channels, "energies": (0.1, 12.1, 0.04)}
acis = PileUpSimulator(ACIS, absorbed_power_law, 10_000.0, **rings)  # 10 ks
response = acis.response.to(dtype=torch.float64)
lo, hi, share = acis.energy_lo, acis.energy_hi, acis.psf_fraction
within_2 = share[:2].sum()  # share of the photons within 2 arcsec
energy_edges, width = channels.numpy(), channels.diff().numpy()  # keV


def unpiled(theta, part):
    """Expected counts (..., 64) for theta (..., 3) of this part of the photons, one by one."""
    return response.fold(absorbed_power_law(lo, hi, theta[..., :3])) * acis.exposure * part


# %% [markdown]
# Now the first look: the image of the good events (bright: many), and the spectrum inside 2″. The telescope dithers, as Chandra does, so that the source drifts over the pixels.


# %%
def draw_pile_up(log_flux, frame_time):
    """Draw the image of a source, and its spectrum within 2 arcsec with and without pile-up."""
    theta, detector = torch.tensor([log_flux, 2.0, 0.3]), replace(ACIS, frame_time=frame_time)
    dithering = PileUpSimulator(detector, exposure=1e4, annuli=[0, 4], position=chandra_dither)
    events = dithering.events(theta, seeded(1))
    good = pd.DataFrame(events._asdict())[events.valid.numpy()]
    core = good[np.hypot(good.x, good.y) < 2]
    piled = (core.n_photons > 1).mean()
    fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), width_ratios=(1, 1.4))
    left.hist2d(good.x, good.y, bins=24, range=[(-3, 3)] * 2)
    left.set(aspect="equal", xlabel="offset (arcsec)", ylabel="offset (arcsec)")
    counts = np.histogram(core.energy, energy_edges)[0]
    expected = unpiled(theta.double(), within_2).numpy()
    plotting.steps(right, energy_edges, expected / width, linestyle="--", label="without pile-up")
    plotting.steps(right, energy_edges, counts / width, color="C1", label="reported")
    right.set(xscale="log", yscale="log", ylim=(1, None), xlabel="energy (keV)")
    right.set(ylabel="counts per keV", title=f"{piled:.0%} of the good events are piled")
    plt.setp([right.xaxis, right.yaxis], major_formatter="{x:g}")
    right.legend()
    plotting.show(fig, "15_cases_slider", log_flux=log_flux, frame_time=frame_time, piled=piled)


# %% tags=["slide-next"]
draw_pile_up(-10.5, 3.2)
print(f"{acis.photons(torch.tensor([-10.5, 2.0, 0.3])).sum():.0f} photons per frame")

# %% [markdown]
# This source sends eleven photons per frame. The image has a crater at its place: nearly every pattern in the core is odd, or the sum of the energies lies above the limit.
#
# Now the fit. Counts are Poisson, so we maximise the Poisson likelihood (lesson 13), here with the gradient that torch provides.

# %%
LIMITS = np.array([(-13.5, -10.5), (0.0, 4.0), (0.0, 3.0), (0.05, 1.0)])  # log flux, Γ, N_H, α
STEPS = np.array([0.02, 0.1, 0.05, 0.1])  # they change a fit about alike
faint = np.array([-12.0, 1.8, 0.3])  # where fits start


def fit(counts, model, part, start, limits=LIMITS):
    """The parameters of greatest Poisson likelihood of model(p, part), and minus its logarithm."""
    steps = STEPS[: len(start)]
    bounds = limits[: len(start)] / steps[:, None]

    def loss(scaled):
        p = torch.tensor(scaled * steps, requires_grad=True)
        expected = model(p, part).clamp(min=1e-9)
        value = (expected - counts * expected.log()).sum()
        value.backward()
        return value.item(), p.grad.numpy() * steps

    best = minimize(loss, start / steps, jac=True, method="L-BFGS-B", bounds=bounds)
    return best.x * steps, best.fun


# %% tags=["nbval-ignore-output"]
gammas = {}
for log_flux in np.linspace(-13.1, -11.0, 8):
    theta = torch.tensor([log_flux, 2.0, 0.3], dtype=torch.float32)
    spectra = acis(theta.expand(10, 3), seeded(3))[:, :2].sum(1).double()
    load = acis.photons(theta).sum().item()
    gammas[load] = [fit(counts, unpiled, within_2, faint)[0][1] for counts in spectra]
plain = pd.DataFrame(gammas).agg(["mean", "std"]).T.rename_axis("photons per frame")
plain.reset_index().round(2)

# %% tags=["nbval-ignore-output", "slide"]
points = {"marker": "o", "ls": "none", "logx": True, "ylabel": "photon index Γ"}
ax = plain["mean"].plot(yerr=plain["std"], **points)
ax.axhline(2, color="0.3", linestyle=":")  # the truth
ax.xaxis.set_major_formatter("{x:g}")
plotting.mark_guess(ax, my_guess_index, axis="y")
plotting.show(ax, "15_plain_fits")

# %% [markdown]
# **The answer:** Γ is near 1.2 at 1.8 photons per frame. A steep source is taken for a flat one, and the error bar says nothing of it. Soft photons vanish, and their sums appear at high energies, where there are few counts.
#
# Play with flux and frame time (3 min). At which flux does the usual frame of 3.2 s start to matter? What do we gain by the short frame of M82?

# %% tags=["nbval-ignore-output"]
slider = ipywidgets.FloatSlider
lazy = {"continuous_update": False}
flux_slider = slider(-11.6, min=-13, max=-10.5, step=0.1, description="log flux", **lazy)
frame_slider = slider(3.2, min=0.4, max=3.2, step=0.2, description="frame (s)", **lazy)
ipywidgets.interactive(draw_pile_up, log_flux=flux_slider, frame_time=frame_slider)

# %% [markdown]
# ## Where is it clean?
#
# The image has a core and wings. In the wings few photons share a cell. Our ACIS has a *King profile*: the density of photons per square arcsec is $\propto [1 + (r/r_c)^2]^{-b}$. So cut the core out and fit the ring.

# %% [markdown] tags=["slide"]
# ## Exercise 15.5 · Cut the core out  ·  core · 8 min · ●●○
#
# An event of ACIS occupies 3 × 3 pixels: take that as the cell. `density(r)` is the share of the photons per square arcsec at radius $r$, and falls outwards. Return the smallest of the ascending `radii` at which no more than `limit` of the events are piled.


# %%
def inner_radius(radii, photons_per_frame, density, cell_area, limit):
    """The smallest of the radii (n,), arcsec, where the piled share of events is at most the limit."""
    # solution: the load of a cell at each radius; exercise 15.3 turns it into a share
    load = photons_per_frame * density(radii) * cell_area
    piled = detected_and_piled(load)[1]
    return radii[piled <= limit][0]
    # end solution


inner_radius = check.inner_radius(inner_radius)


# %%
def king(r):
    """Share of the photons per square arcsec at radius r, arcsec."""
    core, slope = ACIS.psf_core, ACIS.psf_slope
    return (slope - 1) / (np.pi * core**2) * (1 + (r / core) ** 2) ** -slope


cell_area = 9 * ACIS.pixel**2  # square arcsec
radii = np.arange(0.1, 4, 0.1)  # arcsec
truth = {"mild": torch.tensor([-11.9, 2.0, 0.3]), "heavy": torch.tensor([-11.3, 2.0, 0.3])}
load_of = {case: acis.photons(theta).sum().item() for case, theta in truth.items()}

# %%
clean = {}
for case, theta in truth.items():
    first = inner_radius(radii, load_of[case], king, cell_area, 0.01)
    events = acis.events(theta.expand(20, 3), seeded(4))
    outside = events.valid & (torch.hypot(events.x, events.y) > first)
    clean[case] = {
        "1 % by the formula at (arcsec)": first,
        "piled outside, simulated": (events.n_photons[outside] > 1).double().mean().item(),
        "photons outside": 1 - ACIS.enclosed(first),
    }
pd.DataFrame(clean).T.round(3)

# %% [markdown]
# The last column is the price: most photons are lost. The formula is rough: couples with a bad grade are not among the good events, and it does not know this. It errs on the safe side, as the simulation shows.

# %% [markdown]
# ## Four ways, the same mocks
#
# We take 20 mocks each of the **mild** and of the **heavy** case: 10 ks, Γ = 2, $N_H = 0.3\times10^{22}$/cm². Three of the four ways are fits:
#
# 1. **plain**: inside 2″, as if there were no pile-up.
# 2. **Davis**: inside 2″, with free $\alpha$. The handbooks of the fitting programs set $f$ to 0.95. The other choice is the share that our image puts into 3 × 3 pixels. The model can have *two* best fits, a faint and a bright one: we start twice.
# 3. **core cut out**: 1″ to 4″ (mild, a little inside of what exercise 15.5 says) or 2″ to 4″ (heavy).

# %%
mocks = {case: acis(theta.expand(20, 3), seeded(7)).double() for case, theta in truth.items()}
# The middle cell, as a circle of the same area
middle = ACIS.enclosed(np.sqrt(cell_area / np.pi)) / ACIS.enclosed(2.0)


def davis(p, f):
    """Expected counts (64,) inside 2 arcsec by Davis' model of p = log flux, Γ, N_H, α."""
    photons = acis.photons(p[:3]) * within_2
    settings = dict(n_frames=acis.n_frames, alpha=p[3], psf_fraction=f, fracexpo=1.0)
    return davis_spectrum(photons, lo, hi, **settings) @ response.redistribution


def fit_all(spectra, model, part, *starts):
    """Log flux, Γ and N_H (n, 3) of n spectra: the likeliest fit of all starts."""
    fits = [[fit(counts, model, part, start) for start in starts] for counts in spectra]
    return np.array([min(some, key=lambda one: one[1])[0][:3] for some in fits])


# %%
fits = {}
two_starts = np.append(faint, 0.5), np.array([-11.0, 1.8, 0.3, 0.5])
for case, first in (("mild", 1), ("heavy", 2)):  # the first ring without the core
    inner, outer = mocks[case][:, :2].sum(1), mocks[case][:, first:].sum(1)
    fits[case, "plain"] = fit_all(inner, unpiled, within_2, faint)
    for f in (0.95, middle):
        fits[case, f"Davis, f = {f:.2f}"] = fit_all(inner, davis, f, *two_starts)
    fits[case, "core cut out"] = fit_all(outer, unpiled, share[first:].sum(), faint)


# %%
names = ["log flux (erg/cm²/s)", "photon index Γ", "N_H (10²²/cm²)"]


def together(estimates):
    """A table of all estimates {(case, way): (n, 3)}, one row for each mock."""
    tables = {key: pd.DataFrame(values, columns=names) for key, values in estimates.items()}
    return pd.concat(tables, names=["pile-up", "way", "mock"])


together(fits).groupby(["pile-up", "way"], sort=False).agg(["mean", "std"]).round(2)

# %% [markdown]
# The truth is −11.9 (mild) or −11.3 (heavy), 2 and 0.3. In the heavy case the plain fit is wrong by many times its scatter. Davis' model with the *right* $f$ finds Γ again from the very counts that the plain fit misread: **where it is enough, fit it.** But look at $f$. The usual number belongs to a sharper image; with it the heavy case goes further astray than the plain fit, in the other direction. The fit without the core hardly needs to know anything. Its price is a larger scatter.
#
# Each of them uses only a part of the counts: the core *or* the ring.

# %% [markdown]
# ## Infer through the detector
#
# The fourth way sees all rings at once: 3 spectra of 64 channels. As in König, Huppenkothen et al. (2025), a small **convolutional** network reads the spectra side by side. A flow turns what it reads into a posterior (neural posterior estimation, NPE, lesson 13). We give it the square roots of the counts, because their noise is the same everywhere.

# %% tags=["nbval-ignore-output"]
low, high = torch.tensor([-12.7, 1.0, 0.05]), torch.tensor([-11.0, 3.0, 1.0])


def draw_prior(n, generator, low=low, high=high):
    """Parameters (n, 3), uniform in the box."""
    return low + (high - low) * torch.rand(n, 3, generator=generator).clamp(1e-6, 1 - 1e-6)


generator = seeded(15)
theta_train = draw_prior(5000, generator)
x_train = acis(theta_train, generator).sqrt()

# %% tags=["nbval-ignore-output"]
network = {"embedding": convolution, "n_flows": 1}
npe = train_posterior(theta_train, x_train, low, high, generator=seeded(0), **network)

# %% tags=["nbval-ignore-output"]
means = {}
for case, counts in mocks.items():
    draws = npe.sample(1000, counts.float().sqrt(), generator=seeded(1))
    means[case, "NPE, all rings"] = draws.mean(0).numpy()
everything = together(fits | means)
together(means).groupby(["pile-up", "way"], sort=False).agg(["mean", "std"]).round(2)

# %% tags=["nbval-ignore-output", "slide"]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), sharey=True)
for ax, (case, estimates) in zip(axes, everything.groupby("pile-up", sort=False), strict=True):
    sns.stripplot(estimates, x="photon index Γ", y="way", color="C0", alpha=0.6, ax=ax)
    ax.axvline(2, color="black")
    ax.set(title=case, ylabel="")
plotting.show(fig, "15_all_ways")

# %% [markdown]
# In the mild case Davis' model with the right $f$ is right too, and only somewhat wider: so fit. In the heavy case NPE knows the flux several times better than Davis, and the index clearly better than the ring. It uses the core *and* the rings, and what they say together about how many photons there were.
#
# Are its error bars honest? We ask 300 sources that are drawn from the prior (lesson 16 has more of this):

# %% tags=["nbval-ignore-output"]
generator = seeded(17)
theta_test = draw_prior(300, generator)
draws = npe.sample(500, acis(theta_test, generator).sqrt(), generator=generator)
tested = calibration(draws, theta_test, low, high, generator)
columns = {"mean error / sd": tested.bias, "± ": tested.bias_error, "scatter": tested.scatter}
pd.DataFrame(columns, names).round(2)

# %% [markdown]
# The mean error should be 0 and the scatter 1. A smaller scatter means a posterior that is too wide; a larger one means a posterior that is too sure of itself.
#
# And the network believes in our simulator, unconditionally.

# %% [markdown]
# ## Criticise it
#
# Suppose the telescope is a little less sharp than we think: the true $r_c$ is 20 % wider. Would we notice? We look for the bias, and ask the **posterior predictive check** of lesson 14: does the observation look like the replicas? We take two statistics. One is the share of the counts that falls into the central ring: the network saw it. The other is in no spectrum:

# %% [markdown] tags=["slide"]
# ## Exercise 15.6 · Ask those who were rejected  ·  core · 8 min · ●●○
#
# An event list holds *all* events; the spectra only those that are `valid`. Return, for each of `n` simulations, the share of the events within `radius` of the source that is *not* valid. `events` has 1-D tensors: `simulation` (0 to n - 1), `x`, `y` (arcsec from the source), `valid`, in any order. A simulation without events there has no share: NaN.


# %%
def rejected_share(events, n, radius):
    """(n,) share of the events within the radius, arcsec, that were rejected, for each simulation."""
    # solution: two masks, near and near & rejected; torch.bincount(..., minlength=n) counts by simulation
    near = torch.hypot(events.x, events.y) < radius
    rejected = torch.bincount(events.simulation[near & ~events.valid], minlength=n)
    return rejected / torch.bincount(events.simulation[near], minlength=n)
    # end solution


rejected_share = check.rejected_share(rejected_share)


# %%
def both_statistics(events, n):
    """(2, n): share of the good events within 4 arcsec that lie within 1 arcsec; rejected share."""
    distance = torch.hypot(events.x, events.y)
    within = [events.simulation[events.valid & (distance < r)] for r in (1, 4)]
    one, four = (torch.bincount(simulation, minlength=n) for simulation in within)
    return torch.stack([one / four, torch.as_tensor(rejected_share(events, n, 2.0))])


def criticise(case, detector, n_draws=40):
    """Of 20 mocks by this detector: mean error in sd (3,), and how often each statistic objects (2,)."""
    theta = truth[case].expand(20, 3)
    real = PileUpSimulator(detector, exposure=10_000.0, **rings)
    draws = npe.sample(n_draws, real(theta, seeded(8)).sqrt(), generator=seeded(1))
    observed = both_statistics(real.events(theta, seeded(8)), 20)
    generator = seeded(9)
    replicas = torch.stack([both_statistics(acis.events(some, generator), 20) for some in draws])
    p = (replicas >= observed).double().mean(0)
    z = ((draws.mean(0) - theta) / draws.std(0)).mean(0)
    return [*z.tolist(), *((p < 0.025) | (p > 0.975)).double().mean(1).tolist()]


# %% tags=["nbval-ignore-output"]
telescopes = {"as believed": ACIS, "r_c 20 % wider": replace(ACIS, psf_core=1.2 * ACIS.psf_core)}
columns = ["log flux", "Γ", "N_H", "central share objects", "rejected share objects"]
rows = {(case, name): criticise(case, t) for case in truth for name, t in telescopes.items()}
critics = pd.DataFrame(rows, columns).T.rename_axis(["pile-up", "telescope"])
critics.style.format(dict.fromkeys(columns[3:], "{:.0%}"), precision=1)

# %% [markdown]
# The first three columns are mean errors in units of the posterior's standard deviation. The last two are shares of the mocks: how often the observation lies among the lowest or highest 2.5 % of the replicas, so about 5 % are expected by chance.
#
# In the mild case less goes wrong, and the central share objects in many mocks. In the heavy case Γ is wrong by two or three error bars, and the central share objects in some mocks only: a wider core looks much like a brighter source, and the network explains most of it away. The *rejected* events object in most mocks. Lesson 14 in one line, again: **keep a statistic for the critic.**
#
# The cure: let the simulations vary the image of a point (the point spread function, PSF) too, in the range in which you do not know it. The posterior grows wider, and honest.

# %% [markdown]
# ## A blackbody in eROSITA  ·  for home
#
# Now we take the published problem, but smaller. eROSITA has seven X-ray telescopes, each with a CCD. König, Huppenkothen et al. (2025) infer an absorbed blackbody from its spectra in rings of 0–30, 30–60, 60–120 and 120–240″: flux $10^{-12}$ to $10^{-8}$ erg/cm²/s (0.2–2 keV), $kT$ 30 to 200 eV, $N_H$ 0.2 to $2\times10^{22}$/cm². A hot luminous spot on a white dwarf can pile up in 50 ms.

# %% tags=["nbval-ignore-output"]
soft = PileUpSimulator(
    EROSITA, absorbed_blackbody, 100.0, annuli=[0, 30, 60, 120, 240],
    channels=torch.linspace(0.2, 2.76, 65), energies=(0.1, 12.1, 0.02),
)  # fmt: skip
soft_box = torch.tensor([-12.0, 0.03, 0.2]), torch.tensor([-8.0, 0.2, 2.0])
generator = seeded(18)
soft_theta = draw_prior(3000, generator, *soft_box)
soft_x = soft(soft_theta, generator).sqrt()

# %% tags=["nbval-ignore-output"]
blackbody = train_posterior(soft_theta, soft_x, *soft_box, generator=seeded(0), **network)
generator = seeded(19)
soft_truth = draw_prior(300, generator, *soft_box)
soft_draws = blackbody.sample(300, soft(soft_truth, generator).sqrt(), generator=generator)
soft_mean = soft_draws.mean(0)
estimate, true = (torch.cat([10 ** t[:, :1], t[:, 1:]], 1) for t in (soft_mean, soft_truth))
wrong = pd.DataFrame((estimate / true - 1).abs(), columns=["flux", "kT", "N_H"])
wrong.groupby(pd.Series(soft_truth[:, 0].floor().int(), name="log flux from")).mean().style.format(
    "{:.1%}"
)

# %% [markdown]
# These are mean absolute errors, in per cent of the truth. The paper states: mean absolute errors well below 10 % for all three, posteriors much narrower than those of the outermost ring and equal to the likelihood where nothing piles up; coverage good for the flux, a few per cent too confident for $kT$ and $N_H$.
#
# Ours is **not the same set-up**. They used the simulator SIXTE and the measured calibration. We have round numbers, a sketch of the area of one of seven cameras, no background, 100 s (our choice), 3000 simulations to learn from instead of 28,000, 64 channels instead of 1024, and a smaller network. Our errors are largest below $10^{-11}$, because these sources are faint: that is not pile-up's fault. A comparison of numbers needs lesson 16 and one simulator for both.

# %% [markdown] tags=["slide"]
# ## Exercise 15.7 · Which tool?  ·  core · 6 min · ●○○
#
# Name for each task the *simplest* tool that is right: `"plain fit"`, `"Davis' model"`, `"cut the core out"`, `"simulator"`, `"count couples"`.

# %%
# solution: how many photons per frame? do you need every count? what do you know of the image?
tools = {
    "a source of 0.003 photons per frame": "plain fit",
    "is this source piled up at all? You have good events, with positions and frames": "count couples",
    "0.4 photons per frame, on axis, a PSF that is known well": "Davis' model",
    "two photons per frame, plenty of counts in the wings, a core that is known badly": "cut the core out",
    "two photons per frame, 300 counts in the wings, a detector that is known well": "simulator",
    "a thousand sources of a survey, many piled up, in rings, with the same detector": "simulator",
}
# end solution
tools = check.tools(tools)

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - **Pairs of neighbours in one frame are missing** in a piled source: a test without a model. Grades and hardness alone prove little.
# - A cell has $1 - e^{-L}$ events per frame; about $L/2$ of them are piled while $L$ is small.
# - Pile-up makes a spectrum *too hard*, and the plain fit does not say so.
# - Davis' model is right where its $f$ and $\alpha$ are. If it is enough, fit it. To cut the core out needs the least knowledge, and costs most of the counts.
# - NPE on spectra in rings uses everything, and is the narrowest of those that are right where pile-up is heavy. It believes the simulator: a PSF 20 % wider biases Γ by two or three error bars.
# - A statistic that the network saw may not object. The rejected events, which it never saw, do.

# %% [markdown]
# **Further reading.** Davis 2001, ApJ 562, 575: the model of the fitting programs · [König, Huppenkothen et al. 2025](https://arxiv.org/abs/2511.11863): NPE through pile-up, the paper of this lesson · Ballet 1999, A&AS 135, 371: pile-up in X-ray CCDs, by the rates of patterns
