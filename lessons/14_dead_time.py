# %% [markdown]
# # 14 · Dead time
#
# | **The question** | After each photon a detector is blind for 2.5 ms, longer than the mean time between photons. What is left of the source, and can we get it back? |
# |---|---|
# | **Afterwards you can** | write a detector with dead time and predict its rate, noise and signal; say when a formula corrects for it and when only a simulator does; infer a QPO through the detector, and criticise the posterior with what the network never saw |
# | **Time** | 45 min of reading or teaching, 65 min of exercises |
# | **Data** | a thousand real events of the Crab, which stingray installs; simulated: two detectors like NuSTAR's and a source with one QPO, made here |
# | **Run time** | below 150 s on two cores |
#
# Two sittings: up to FAD, 30 min of reading or teaching and 47 min of exercises; from *Second sitting* on, 15 and 18 min. The two sections marked *for home* take 4 of these. No other section needs them.

# %%
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize
from stingray.deadtime.model import pds_model_zhang

from course.checks import lesson_14 as check
from helpers import plotting
from helpers.data import load_events
from helpers.dead_time import NUSTAR, DeadTimeSimulator, count_detected, filter_events, qpo
from helpers.dead_time_theory import detected_rate, incident_rate, signal_transfer, white_noise
from helpers.light_curves import averaged_periodogram
from helpers.posteriors import train_posterior

plotting.use_course_style()

# %% [markdown]
# ## Real photons first
#
# Here are a thousand events of the Crab in two detectors of AstroSat's LAXPC. We take detector 2, and the **gap** from each event to the next.

# %%
crab = load_events("astrosat_crab")
second = crab.time[crab.detector_id == 2]
gaps = np.diff(second)  # s
print(f"{len(gaps)} gaps, mean {1e6 * gaps.mean():.0f} µs; one tick is {1e6 * crab.dt:.0f} µs")

# %% [markdown] tags=["slide"]
# ### Predict first
#
# Photons come at random. How many of the 546 gaps are shorter than 35 µs, a tenth of their mean?

# %%
my_guess_gaps = ...  # a number of gaps

# %% [markdown] tags=["slide"]
# ## Exercise 14.1 · The gaps that are missing  ·  core · 8 min · ●●○
#
# Random photons have exponential gaps, without memory: what a long gap has *beyond* a cut $c$ has the mean $1/r$, whatever $c$ is, and a share $e^{-rc}$ of all gaps is longer than $c$. So the gaps above the cut say how many belong below it. Return the rate $r$, the number of gaps expected below the cut, and the number seen there. (Our cuts lie halfway between two ticks, so the rounding of the clock averages out.)


# %%
def missing_gaps(gaps, cut):
    """Rate (1/s), and number of gaps expected and seen below the cut (s), from gaps (n,), s."""
    # solution: if N gaps are above the cut, there were N e^(rc) in all; above - cut is what is beyond it
    above = gaps[gaps > cut]
    rate = 1 / np.mean(above - cut)
    return rate, len(above) * np.expm1(rate * cut), np.sum(gaps < cut)
    # end solution


missing_gaps = check.missing_gaps(missing_gaps)

# %%
crab_rate, expected, seen = missing_gaps(gaps, 35e-6)
print(f"{crab_rate:.0f} photons/s; gaps below 35 µs: {expected:.0f} expected, {seen:.0f} seen")
print(f"if {expected:.0f} are expected, the probability of none is {np.exp(-expected):.0e}")
together = np.diff(crab.time[crab.time >= second[0]])
print(f"both detectors in one list: {missing_gaps(together, 35e-6)[2]:.0f} seen")

# %% tags=["slide"]
gap = np.arange(600)  # µs
line = (len(gaps) - seen + expected) * crab_rate * crab.dt * np.exp(-crab_rate * gap / 1e6)
fig, ax = plt.subplots(figsize=(6.5, 3))
ax.hist(1e6 * gaps, np.arange(-5, 600, 10), color="C0", alpha=0.6, label="the Crab, detector 2")
ax.plot(gap, line, "C1", label="what gaps above 35 µs predict")
ax.set(xlim=(-5, 600), xlabel="gap (µs)", ylabel="gaps per tick")
ax.legend()
plotting.show(fig, "14_gaps")

# %% [markdown]
# **The answer:** none. Events of different detectors come as close as they like. Events of *one* detector do not: its team says that it is blind for about 42 µs after each ([Antia et al. 2017](https://arxiv.org/abs/1702.08624)). (The two bars behind the hole are high. Before I explained them, I would take more data.)

# %% [markdown]
# ## A detector that blinks
#
# A photon is registered. For the **dead time** τ afterwards the electronics are busy, and whatever arrives is lost. If the lost photons change nothing, the detector is **non-paralyzable**: NuSTAR, RXTE and Chandra are. If each lost photon starts the wait anew, the detector is *paralyzable*. NuSTAR's τ is about 2.5 ms.
#
# The fate of each photon depends on the photon registered before it. So counts are not independent, and there is no Poisson likelihood. But anybody can write the detector down as a *procedure*.

# %% [markdown] tags=["slide"]
# ## Exercise 14.2 · The detector in ten lines  ·  core · 10 min · ●●○
#
# Walk through the photons. A photon is registered if it arrives at the end of the last *registered* one's dead time or later. `dead_times[i]` is the time that photon `i` would cost, because in a real detector it differs from event to event. The first photon always counts, whatever the zero of time. A plain loop is fine.


# %%
def registered(times, dead_times):
    """Mask (n,) of the photons that are registered, from sorted arrival times (n,) and dead times (n,), s."""
    # solution: carry along the time from which the detector is live again; only some photons move it
    mask = np.zeros(len(times), dtype=bool)
    live_from = -np.inf
    for i, (arrival, blind) in enumerate(zip(times, dead_times, strict=True)):
        if arrival >= live_from:
            mask[i] = True
            live_from = arrival + blind
    return mask
    # end solution


registered = check.registered(registered)

# %%
dead_time = 2.5e-3  # s
arrivals = np.cumsum(np.random.default_rng(14).exponential(1 / 1000, 100_000))  # s
mask = registered(arrivals, np.full(len(arrivals), dead_time))
compiled = filter_events(arrivals, dead_time)  # the same loop in our helpers
print(f"{mask.mean():.1%} of the photons are registered; helpers agree: {(mask == compiled).all()}")

# %%
arrived = 1e3 * arrivals[arrivals < 0.03]  # ms
kept = arrived[mask[: len(arrived)]]
fig, ax = plt.subplots(figsize=(7.5, 1.9))
ax.broken_barh([(start, 1e3 * dead_time) for start in kept], (-0.5, 2), color="0.88")
ax.eventplot([kept, arrived], colors=["C1", "C0"], linelengths=0.85)
ax.set(xlim=(0, 30), ylim=(-0.5, 1.5), xlabel="time (ms)")
ax.set_yticks([0, 1], ["registered", "arrived"])
plotting.show(fig, "14_photons_registered")

# %% [markdown]
# Look at the lower row: it is almost a *clock*. Random arrivals go in, and something more regular comes out.

# %% [markdown] tags=["slide"]
# ## The rate
#
# ### Predict first
#
# 1000 photons per second arrive. How many does *paralyzable* electronics register, in which every lost photon starts the wait anew?

# %%
my_guess_rate = ...  # 1/s, of the paralyzable detector, a number

# %% [markdown] tags=["slide"]
# ## Exercise 14.3 · Give back what was lost  ·  core · 5 min · ●○○
#
# You register $r_d$ events per second, each costs τ (non-paralyzable). For which share of the time were you live? The rate of the source *while you looked* is the rate of the source. Return it.


# %%
def true_rate(detected, dead_time):
    """Incident rate, 1/s, from registered ones (a number or (n,)) and the dead time, s."""
    # solution: per second of clock time, detected * dead_time seconds were dark; divide by the others
    live = 1 - detected * dead_time
    return detected / live
    # end solution


true_rate = check.true_rate(true_rate)


# %%
def simulated_rate(rate, paralyzable, seconds=100):
    """How many of a constant source's photons are registered per second."""
    times = np.cumsum(np.random.default_rng(rate).exponential(1 / rate, seconds * rate))
    return filter_events(times, dead_time, paralyzable).sum() / times[-1]


rates = pd.DataFrame({"incident": [30, 100, 200, 400, 700, 1000, 2000, 4000]})
rates["non-paralyzable"] = [simulated_rate(rate, False) for rate in rates.incident]
rates["corrected"] = true_rate(rates["non-paralyzable"].to_numpy(), dead_time)
rates["paralyzable"] = [simulated_rate(rate, True) for rate in rates.incident]
rates.round(1).add_suffix(" (1/s)")

# %% tags=["slide"]
fine = np.geomspace(20, 5000, 200)
ax = rates.plot("incident", ["non-paralyzable", "paralyzable"], style=["C0o", "C1s"], loglog=True)
ax.plot(fine, detected_rate(fine, dead_time), "C0-")
ax.plot(fine, detected_rate(fine, dead_time, paralyzable=True), "C1--")
ax.set(xlabel="incident rate (1/s)", ylabel="registered rate (1/s)", ylim=(1, 1000))
plotting.mark_guess(ax, my_guess_rate, axis="y")
plotting.show(ax, "14_rates")

# %% [markdown]
# **The answer:** 82 photons per second, $1000\,e^{-2.5}$. The two lines of theory are $r/(1 + r\tau)$ and $r e^{-r\tau}$, with $r$ the incident rate. A paralyzable detector can go *dark* in a bright source, and one registered rate then belongs to two incident ones. Ours is non-paralyzable, so its rate has an inverse. For a **constant** source the rate is a solved problem: no machine learning.

# %% [markdown]
# ## The noise
#
# Without dead time, pure noise has a Leahy power of 2 at every frequency (lesson 01). With it, one dead time and one exponential wait lie between a registered event and the next. All gaps are independent and have the same distribution: this is a **renewal process**. Its spectrum is known for any distribution of gaps (Cox & Lewis 1966). With $\varphi(\omega)$ the mean of $e^{i\omega\,\mathrm{gap}}$,
#
# $$P(f) = 2\,\frac{1 - |\varphi|^2}{|1 - \varphi|^2}, \qquad \varphi(\omega) = e^{i\omega\tau}\,\frac{r}{r - i\omega}, \qquad \omega = 2\pi f.$$

# %% [markdown] tags=["slide"]
# ### Predict first
#
# 1000 photons per second, τ = 2.5 ms. Where is the noise at its *highest*? Write the frequency.

# %%
my_guess_peak = ...  # Hz, a number

# %% [markdown] tags=["slide"]
# ## Exercise 14.4 · Noise that is not white  ·  core · 12 min · ●●○
#
# Write $P(f)$ for a constant τ; `rate` is the incident one. Before you run the check, work out its limits on paper: $f\to\infty$, $\tau = 0$, and $f \to 0$. The check draws yours over ours.


# %%
def noise(frequency, rate, dead_time):
    """Leahy power (n,) of a constant source at frequencies (n,) Hz, behind a dead time in s."""
    # solution: numpy knows complex numbers, 1j * omega; the bars are np.abs, and f is not ω
    omega = 2 * np.pi * frequency
    phi = np.exp(1j * omega * dead_time) * rate / (rate - 1j * omega)
    return 2 * (1 - np.abs(phi) ** 2) / np.abs(1 - phi) ** 2
    # end solution


noise = check.noise(noise)

# %% [markdown]
# We call three witnesses. The renewal formula is that of exercise 14.4. The simulation of 400 s is by `count_detected`. Zhang et al. (1995), in stingray's implementation, is the formula of the field. It takes the width of the bins into account, too.


# %%
def seeded(seed):
    """A generator of random numbers for one cell, so that the cell can be run again."""
    return torch.Generator().manual_seed(seed)


# %%
steady = torch.full((200, 8000), 1000.0)  # 1/s, 200 light curves of 2 s in bins of 0.25 ms
counts = count_detected(steady, 2.5e-4, dead_time, seeded(1))
frequency, leahy = (x.numpy() for x in averaged_periodogram(counts, 2.5e-4, 1.0))
zhang = pds_model_zhang(2000, 1000.0, dead_time, 2.5e-4, limit_k=100)
torch.set_num_threads(1)  # Zhang's model has started threads that would slow torch's small steps
spectra = pd.DataFrame({"simulated": leahy.mean(0)}, index=frequency)
spectra["renewal"] = noise(frequency, 1000.0, dead_time)
spectra["Zhang"] = np.interp(frequency, *zhang)

# %% tags=["slide"]
averaged = spectra.simulated.rolling(5, center=True).mean()[2::5]  # five frequencies each
fig, ax = plt.subplots()
ax.plot(averaged, ".", color="0.6", markersize=4, label="simulated")
ax.plot(spectra.Zhang, "C1--", linewidth=2.4, label="Zhang et al. 1995")
ax.plot(spectra.renewal, "C0", linewidth=1, label="renewal")
ax.axhline(2, color="0.3", linestyle=":", linewidth=1, label="no dead time")
ax.set(xlim=(0, 1000), ylim=(0, 5.8), xlabel="frequency (Hz)", ylabel="Leahy power")
ax.legend()
plotting.mark_guess(ax, my_guess_peak)
plotting.show(fig, "14_noise")

# %% [markdown]
# **The answer:** near 320 Hz. At low frequencies the noise is $(1 + r\tau)^2$, *twelve times*, lower than Poisson: that is the clock. It beats at a little less than $1/\tau$, at one over dead time plus a typical wait. It leaves a hump that looks like a quasi-periodic oscillation (QPO), with its harmonic. Nothing in the source oscillates.

# %% [markdown]
# ## The signal
#
# Our signal is a QPO: a Lorentzian with a fractional rms, a centroid $\nu_0$, and a width (FWHM) of $\nu_0/q$. Bright moments lose a larger share of their photons than faint ones, so variability is damped. For a *small* signal we need one line: the live share is 1 minus what was registered during the last τ. To first order, dead time multiplies the fractional amplitude at $\omega$ by
#
# $$H(f) = \frac{1}{1 + r\,\dfrac{1 - e^{-i\omega\tau}}{i\omega}}, \qquad H(0) = \frac{1}{1 + r\tau},$$
#
# and the power by $|H|^2$. How small is small? We measure. The **cospectrum** of two detectors that see the same source (the real part of their cross spectrum) has no noise level, because their photons and their losses are independent. So its ratio to the source's own power spectrum is what dead time did to the signal.

# %%
cospectrum = DeadTimeSimulator(bin_size=5e-4, segment=5.0, summary="cospectrum")
f_cospectrum, centroids = cospectrum.frequencies, torch.tensor([10.0, 30.0, 100.0, 300.0])  # Hz
first_order = signal_transfer(centroids, 1000.0, dead_time).abs() ** 2
transfer = pd.DataFrame({"|H|²": first_order.numpy()}, centroids.int().tolist())
near = (f_cospectrum - centroids[:, None]).abs() <= (centroids[:, None] / 20).clamp(min=1)
for rms, n in ((0.1, 224), (0.4, 32)):
    qpos = torch.tensor([[rms, centroid, 10.0, 1000.0] for centroid in centroids])
    sent = qpo(f_cospectrum, qpos) * torch.sinc(f_cospectrum * 5e-4) ** 2  # averaged in bins
    powers = cospectrum(qpos.expand(n, 4, 4), seeded(5))
    share = (powers * near).sum(-1) / (sent * near).sum(-1)
    transfer[f"rms {rms}"], transfer[f"error, {rms}"] = share.mean(0), share.std(0) / n**0.5
transfer.rename_axis("QPO at (Hz)").round(3)

# %% [markdown]
# A *weak* QPO below 100 Hz keeps about a tenth of its power. One near 300 Hz is *amplified*. And where the source varies by 40 %, first order fails: at low frequencies much more comes through than $|H|^2$ says.
#
# Now play. The slider draws first-order theory for a QPO of 20 % rms. What does a *longer* dead time do to a *faint* source?


# %%
def draw_dead_time(rate, milliseconds):
    """Registered and true power spectrum of a QPO at 60 Hz in two detectors of this incident rate (1/s)."""
    tau, fine_f = milliseconds / 1e3, torch.logspace(0.3, 3, 600)
    signal = qpo(fine_f, torch.tensor([0.2, 60.0, 8.0]))
    one = detected_rate(rate, tau)
    damped = signal_transfer(fine_f, rate, tau).abs() ** 2 * signal
    level = white_noise(fine_f, rate, tau) / (2 * one)
    fig, ax = plt.subplots(figsize=(6.5, 3.4))
    ax.loglog(fine_f, signal + 2 / (2 * rate), "0.5", linestyle="--", label="without dead time")
    ax.loglog(fine_f, level + damped, "C0", label="registered")
    ax.set(ylim=(3e-5, 3e-2), xlabel="frequency (Hz)", ylabel="power ((rms/mean)²/Hz)")
    ax.set_title(f"2 × {rate:.0f}/s arrive, 2 × {one:.0f}/s are registered")
    ax.legend()
    plotting.show(fig, "14_qpo_slider", rate=rate, milliseconds=milliseconds)


# %% tags=["nbval-ignore-output"]
slow = {"continuous_update": False}
rate_slider = ipywidgets.FloatSlider(1000, min=50, max=2000, step=50, description="1/s", **slow)
tau_slider = ipywidgets.FloatSlider(2.5, min=0.1, max=5, step=0.1, description="τ in ms", **slow)
ipywidgets.interactive(draw_dead_time, rate=rate_slider, milliseconds=tau_slider)

# %% [markdown]
# ## Fit it as usual
#
# The mock of Huppenkothen & Bachetti (2022) has two detectors, 10 s, a QPO at 20 Hz with $q = 10$ and 40 % rms, 1000 photons/s per detector. Their data are the mean of ten 1-s periodograms of the *summed* light curve, in bins of 5 ms. They have one mock. That proves nothing, so we make twenty, and first correct their rates as in exercise 14.3.

# %%
names = ["rms", "ν₀ (Hz)", "q", "rate (1/s)"]
truth = torch.tensor([0.4, 20.0, 10.0, 1000.0])
simulate = DeadTimeSimulator(exposure=10.0, bin_size=5e-3, segment=1.0, dead_time=dead_time)
light_curves = simulate.light_curves(truth.expand(20, 4), seeded(7))
f, mocks = averaged_periodogram(light_curves.sum(1), 5e-3, 1.0, "fractional")
corrected = incident_rate(light_curves.mean((1, 2)).numpy() / 5e-3, dead_time)
print(f"rate: {corrected.mean():.0f} ± {corrected.std():.0f}/s, at most {corrected.max():.0f}/s")

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (4 min): the formula of exercise 14.3 is exact, and yet *each* of the twenty rates is below 1000/s. What was the small print? (Draw $r/(1+r\tau)$, and let $r$ swing about 1000/s.)

# %% [markdown] tags=["slide"]
# ## Exercise 14.5 · The likelihood of a power spectrum  ·  core · 12 min · ●●○
#
# The mean $\bar P_j$ of $M$ periodograms is, to a good approximation, gamma distributed about the model $m_j$: all frequencies are independent, and the density is proportional to $m_j^{-M}\exp(-M \bar P_j/m_j)$. (For $M = 1$ this is the exponential distribution of lesson 01's grey curve, and the name is *Whittle* likelihood.) Return *minus* its logarithm, summed; leave out what no model changes. `n_averaged` is a number, or an array (n,) with one for each frequency.


# %%
def minus_log_likelihood(power, model, n_averaged):
    """-ln L of averaged powers (n,) under a model (n,), each the mean of n_averaged periodogram values."""
    # solution: the logarithm of m^-M is a multiple of ln m, of an exponential its exponent; then the sign
    return np.sum(n_averaged * (np.log(model) + power / model))
    # end solution


minus_log_likelihood = check.minus_log_likelihood(minus_log_likelihood)

# %% [markdown]
# We fit three models, all with a Lorentzian $L(f)$ of three parameters:
#
# - **flat**: a free constant $+\,L$. You do this if nobody told you of dead time.
# - **Zhang**: Zhang's noise at the rate just found $+\,L$. The handbooks recommend it.
# - **first order**: the same noise $+\,|H|^2 L$. The previous section recommends it.


# %%
def models(f, rate):
    """The three models, {name: function of parameters}, in (rms/mean)²/Hz."""
    leahy_noise = white_noise(f, rate, dead_time, bin_size=5e-3).numpy()
    level = leahy_noise / (2 * detected_rate(rate, dead_time))  # of two detectors
    h2 = signal_transfer(f, rate, dead_time).abs().square().numpy()

    def lorentzian(p):  # p = rms, ν₀ (Hz), q, and whatever follows
        return qpo(f, torch.as_tensor(p)).numpy()

    return {
        "flat": lambda p: p[3] + lorentzian(p),
        "Zhang": lambda p: level + lorentzian(p),
        "first order": lambda p: level + h2 * lorentzian(p),
    }


# %%
def fit(power, model, n_averaged, n_parameters=3):
    """The parameters of greatest likelihood; searched in their logarithms, so that they stay positive."""
    start = [0.3, 20.0, 8.0, np.median(power)][:n_parameters]
    limits = [(0.01, 5), (10, 40), (1, 100), (1e-7, 1)][:n_parameters]

    def loss(p):
        return minus_log_likelihood(power, model(np.exp(p)), n_averaged)

    return np.exp(minimize(loss, np.log(start), method="Nelder-Mead", bounds=np.log(limits)).x)


# %%
found = {"flat": [], "Zhang": [], "first order": []}
for power, rate in zip(mocks.double().numpy(), corrected, strict=True):
    for name, model in models(f, rate).items():
        found[name].append(fit(power, model, 10, 4 if name == "flat" else 3))
estimates = {name: pd.DataFrame(ps).iloc[:, :3] for name, ps in found.items()}
table = pd.concat(estimates).set_axis(names[:3], axis=1).groupby(level=0, sort=False)
table.agg(["mean", "std"]).round(3)

# %%
fig, ax = plt.subplots(figsize=(7, 3.8))
ax.errorbar(f, mocks[0], mocks[0] / 10**0.5, fmt=".", color="0.6", linewidth=0.6, label="one mock")
for name, look in (("flat", "C0--"), ("Zhang", "C1-")):
    ax.plot(f, models(f, corrected[0])[name](found[name][0]), look, label=name)
ax.plot(f, qpo(f, truth) + 1 / 1000, "k:", label="without dead time")
ax.set(xscale="log", yscale="log", ylim=(1e-4, 0.1))
ax.set(xlabel="frequency (Hz)", ylabel="power ((rms/mean)²/Hz)")
ax.legend(loc="upper left")
plotting.show(fig, "14_fits")

# %% [markdown]
# The frequency is right, and Zhang's fit looks perfect. (The flat one does not: look below 10 Hz.) But the rms should be 0.4. Flat noise and Zhang's noise give less than half of it: the noise was corrected, *the signal was not*. First order corrects the signal and overshoots: 40 % is not small. Bright moments are damped most, faint ones least, and $H$ knows only the mean.
#
# **A good fit is no argument.** Zhang's and first order draw the *same* curve, with the same ν₀ and $q$: near 20 Hz $|H|^2$ is hardly more than a number. One rms is about three times the other, and neither is right.

# %% [markdown]
# ## The clever way: FAD
#
# Two detectors see one source. In the *difference* of their Fourier amplitudes the signal cancels. What is left is noise, shaped by dead time. Divide the periodogram by the smoothed square of the difference, and the shape is gone: this is the **Fourier amplitude difference** method, FAD (Bachetti & Huppenkothen 2018), in stingray. It needs no dead time, no rate and no model. If you have two detectors, try it first.
#
# FAD needs thirty segments or more, so we give it 256 s, in segments of 8 s. Where are its limits in rms and rate? The table shows the rms found over the true one, the mean of three sources.

# %%
import contextlib
import io
import warnings

from stingray import Lightcurve
from stingray.deadtime.fad import FAD


def fad(pair, bin_size, segment, smooth):
    """Power (n,) of the sum of two detectors' counts (2, n_bins), by FAD, (rms/mean)²/Hz, quietly."""
    middles = (np.arange(pair.shape[1]) + 0.5) * bin_size
    curves = [Lightcurve(middles, counts, dt=bin_size, skip_checks=True) for counts in pair]
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings(action="ignore"):
        return np.array(FAD(*curves, segment, norm="frac", smoothing_length=smooth)["ptot"])


# %%
long = DeadTimeSimulator(exposure=256.0, bin_size=5e-3, segment=8.0, dead_time=dead_time)
grid = [(rms, rate) for rate in (100.0, 500.0, 1500.0) for rms in (0.2, 0.3, 0.4, 0.5)] * 3
theta_grid = torch.tensor([(rms, 20.0, 10.0, rate) for rms, rate in grid])
pairs = long.light_curves(theta_grid, seeded(3))  # (36, 2, 51200)
f_long, long_powers = averaged_periodogram(pairs.sum(1), 5e-3, 8.0, "fractional")

# %%
rows = []
for pair, power, (rms, rate) in zip(pairs.double().numpy(), long_powers, grid, strict=True):
    three = models(f_long, incident_rate(pair.mean() / 5e-3, dead_time))
    by_fad = fit(fad(pair, 5e-3, 8.0, 16), three["flat"], 32, 4)[0]
    by_first_order = fit(power.double().numpy(), three["first order"], 32)[0]
    rows += [("FAD", rate, rms, by_fad / rms), ("first order", rate, rms, by_first_order / rms)]
recovered = pd.DataFrame(rows, columns=["method", "rate (1/s)", "true rms", "found / true"])
recovered.pivot_table("found / true", ["method", "rate (1/s)"], "true rms").round(2)

# %% [markdown]
# Both work where the signal is small, without any machine learning. Both fail where the source varies by 40 % or more *and* is bright. The response is *not linear*, so no division by the mean noise and no factor for the mean rate undoes it.
#
# So bright and strongly variable sources are a problem for simulations. For everything weaker or fainter, please fit. *Here the first sitting ends.*

# %% [markdown]
# ## Second sitting: infer through the detector
#
# The simulator contains all of this. Prior and set-up are the paper's.

# %%
low, high = torch.tensor([0.1, 5.0, 3.0, 500.0]), torch.tensor([0.5, 40.0, 30.0, 1500.0])


def draw_prior(n, generator, low=low, high=high):
    """Parameters (n, 4), uniform in the box."""
    return low + (high - low) * torch.rand(n, 4, generator=generator)


# %% tags=["nbval-ignore-output"]
theta = draw_prior(10_000, seeded(14))
x = simulate(theta, seeded(15))

# %% [markdown]
# Two choices come from earlier lessons. Powers are positive and span decades, so the network sees their **logarithms** (lesson 05). The prior has walls, and the **logit** takes them away (lesson 13). `train_posterior` takes the logit and trains two flows, which together know more than one: neural posterior estimation (NPE). Each flow shifts and stretches as in lesson 13, and then bends, by a *spline*. It sees a few weighted sums of the logarithms, and learns the weights (the *embedding*).

# %% tags=["nbval-ignore-output"]
print(f"training with {len(x):,} simulations, which takes some seconds")
npe = train_posterior(theta, x.log(), low, high, generator=seeded(0))

# %% [markdown] tags=["slide"]
# ### Predict first
#
# You see one mock. Which of the four parameters will the posterior know best, as a fraction of the width of its prior? And which hardly at all?

# %%
my_guess_parameter = ...  # one of "rms", "ν₀", "q", "rate"

# %% tags=["nbval-ignore-output"]
posterior = npe.sample(500, mocks.log(), generator=seeded(1))  # (500, 20, 4): twenty at once
means, sds = posterior.mean(0), posterior.std(0).mean(0)
known = pd.DataFrame({"mean over mocks": means.mean(0), "its scatter": means.std(0)}, index=names)
known.assign(posterior_sd=sds, sd_over_width_of_prior=sds / (high - low)).astype(float).round(2)

# %% tags=["nbval-ignore-output", "slide"]
fig, axes = plt.subplots(4, 4, figsize=(8, 7.2))
both = npe.sample(4000, mocks[:2].log(), generator=seeded(2))
plotting.corner(axes, {"one": both[:, 0], "another": both[:, 1]}, names, truth=truth)
plotting.show(fig, "14_posterior_pairs")

# %% [markdown]
# **The answer:** the frequency ν₀ is known best, and $q$ hardly at all. (Somebody who knows only the prior has a standard deviation of $1/\sqrt{12} = 0.29$ of its width.)
#
# The rms is back, although dead time left only a small share of the power. The rate is back, too, from the *shape* of the noise. And $q$? The QPO is 2 Hz wide, and the spectrum resolves 1 Hz. The posterior says "I hardly know", which is the right answer. A fit would have given you a number. (The paper's posterior of its *one* mock: rms .374 ± .018, ν₀ 20.1 ± .3 Hz, $q$ 7.7 ± 2.2, rate 984 ± 54/s. Is .374 luck or bias? Nobody can tell.)
#
# Twenty mocks of *one* truth still say little. An amortised posterior costs milliseconds. So we take 300 truths from the prior and ask where they lie in their posteriors: (mean − truth)/sd should have the mean 0 and the standard deviation 1. (Lesson 16 makes that rigorous.)

# %% tags=["nbval-ignore-output"]
fresh = draw_prior(300, seeded(3))
drawn = npe.sample(500, simulate(fresh, seeded(4)).log(), generator=seeded(5))
z = pd.DataFrame((drawn.mean(0) - fresh) / drawn.std(0), columns=names)
z.agg(["mean", "sem", "std"]).T.round(2)  # sem is the error of the mean

# %% [markdown]
# ## Criticise it
#
# Posteriors of ν₀ are slightly too wide. More important: a posterior is as good as its simulator, and ours believes in τ = 2.5 ms. A real observation comes without the truth. But we can ask: **would data like mine come out of my posterior?** That is a *posterior predictive check*: simulate from the posterior, and compare a statistic of the replicas with that of the data.

# %% [markdown] tags=["slide"]
# ## Exercise 14.6 · Would it look like this?  ·  core · 12 min · ●●○
#
# `samples` (n, P) come from the posterior. Return the share of replicas whose statistic is at least as large as that of the observation. The replicas must scatter for two reasons: the posterior is wide, and data are noisy.


# %%
def predictive_p(samples, simulate, statistic, observed, generator):
    """Posterior predictive p-value; simulate(theta (n, P), generator) gives n data sets, statistic (n,)."""
    # solution: one data set for each sample, then its statistic; a share is a mean: mask.double().mean()
    replicas = statistic(simulate(samples, generator))
    return (replicas >= statistic(observed)).double().mean().item()
    # end solution


predictive_p = check.predictive_p(predictive_p)

# %% [markdown]
# We observe four sources: one as the network believes; one with a dead time of 3 ms; one with NuSTAR's dead time, which varies; one with a *second*, broad QPO at 60 Hz. Three statistics criticise the network. Two are made of what the network saw: the noise at 80–99 Hz, and the power at 50–70 Hz over that above. The third is the registered **rate**, which a fractional periodogram does not contain.


# %%
def log_power(counts):
    """Logarithm of the averaged periodogram (..., 99) of counts (..., 2, n_bins)."""
    return averaged_periodogram(counts.sum(-2), 5e-3, 1.0, "fractional")[1].log()


def band(counts, low_f, high_f):
    """Mean logarithm of the power between two frequencies, Hz."""
    return log_power(counts)[..., (f >= low_f) & (f < high_f)].mean(-1)


statistics = {
    "80-99 Hz": lambda counts: band(counts, 80, 100),
    "50-70 Hz": lambda counts: band(counts, 50, 70) - band(counts, 70, 100),
    "registered rate": lambda counts: counts.mean((-1, -2)),
}


# %%
def two_qpos(frequency, theta):
    """The QPO of theta, and one with 25 per cent rms and q = 4 at 60 Hz."""
    return qpo(frequency, theta) + qpo(frequency, torch.tensor([0.25, 60.0, 4.0]))


sources = {
    "as believed": simulate,
    "τ = 3 ms": DeadTimeSimulator(dead_time=3e-3),
    "NuSTAR's τ": DeadTimeSimulator(dead_time=NUSTAR),
    "two QPOs": DeadTimeSimulator(power_spectrum=two_qpos),
}

# %% [markdown]
# The table shows the share of 40 mocks that each statistic finds odd: $p$ below 2.5 % or above 97.5 %; and two means of the posterior.

# %% tags=["nbval-ignore-output"]
alarms = {}
for source, simulator in sources.items():
    observed = simulator.light_curves(truth.expand(40, 4), seeded(6))
    samples = npe.sample(100, log_power(observed), generator=seeded(7))
    p_values = []
    for i in range(40):
        replicas = simulate.light_curves(samples[:, i], seeded(i))  # one set for all statistics
        again = (samples[:, i], lambda *_, replicas=replicas: replicas)
        p_values.append([predictive_p(*again, s, observed[i], None) for s in statistics.values()])
    p = np.array(p_values)
    odd = ((p < 0.025) | (p > 0.975)).mean(0)
    alarms[source] = [*odd, *samples.mean((0, 1))[[0, 3]].tolist()]
pd.DataFrame(alarms, [*statistics, "posterior rms", "posterior rate (1/s)"]).T.round(2)

# %% [markdown]
# If the network's beliefs are right, few mocks are odd. With τ = 3 ms most mocks pass the two checks of the periodogram: a lower rate and a lower rms explain it nearly as well. The registered rate objects in nearly every mock. The second QPO escapes the check that was made for it in some mocks, and the rate, which was not made for it, objects far more often than by chance. **Check with what the network did not see.** What it was trained on it fits, if it can.

# %% [markdown]
# ## A dead time that varies
#
# NuSTAR's dead time differs from event to event: 1.8 to 3.5 ms, with a standard deviation of 0.2 ms. At 20 Hz that hardly matters. What about the hump near $1/\tau$? You observe a *constant* source, and subtract the noise for a constant τ of the same mean. What is left, integrated over a band and divided by the mean rate, looks like a variance (lesson 01).

# %%
hump = torch.arange(100.0, 1000.0, 5.0)  # Hz
taus = {"NuSTAR's τ": NUSTAR, "constant τ": NUSTAR.mean}
noises = pd.DataFrame(
    {name: white_noise(hump, 1000.0, tau) for name, tau in taus.items()}, hump.numpy()
)
bands = pd.IntervalIndex.from_tuples([(100, 200), (420, 620), (800, 1000)])  # Hz
excess = (noises["NuSTAR's τ"] - noises["constant τ"]).groupby(pd.cut(noises.index, bands)).sum()
left_over = (excess * 5.0 / (2 * detected_rate(1000.0, NUSTAR.mean))) ** 0.5  # steps of 5 Hz
left_over.map("{:.0%}".format).rename_axis("band (Hz)").to_frame("rms left over")

# %%
ax = noises.plot(style=["C0-", "C1--"], figsize=(6.5, 3.6), ylim=(0, 5.5))
ax.set(xlabel="frequency (Hz)", ylabel="Leahy power")
plotting.show(ax, "14_variable_dead_time")

# %% [markdown]
# Some twenty per cent of rms are left, at hundreds of hertz, from a constant source: many a real discovery is weaker. The varying dead time blurs the clock: humps are lower, and valleys are shallower.

# %% [markdown] tags=["slide"]
# ## Exercise 14.7 · Which tool?  ·  core · 6 min · ●○○
#
# For each task the *simplest* tool that is right: `"formula"` (rate, noise or $|H|^2$), `"FAD"`, `"simulator"`, `"none is needed"`.

# %%
# solution: rate, noise or signal? how strongly does the source vary? how many detectors are there?
tools = {
    "the flux of a steady source, from its registered rate": "formula",
    "the significance of a peak at 320 Hz in a source that does not vary otherwise": "formula",
    "the rms of a weak QPO (5 per cent), one detector, a day of data": "formula",
    "the rms of a weak QPO, two detectors, a day of data, a dead time that nobody has measured": "FAD",
    "the rms of a QPO of 45 per cent in 10 s of a bright source": "simulator",
    "the rate of a bright source that varies by 50 per cent, and how": "simulator",
    "the frequency of a strong QPO": "none is needed",
}
# end solution
tools = check.tools(tools)

# %% [markdown]
# ## The paper's high frequencies  ·  for home
#
# The paper's set *HF* has a QPO at 200 Hz with 45 % rms and $q = 15$, and the *raw* periodogram of 10 s. Single powers scatter by 100 %, and their logarithms by more. So we average neighbouring frequencies in bins that grow by 3 % (the paper: 1 %). The paper's posterior of one mock: rms .457 ± .025, ν₀ 200.1 ± .9 Hz, $q$ 15.1 ± 2.0, rate 1023 ± 27/s.

# %% tags=["nbval-ignore-output"]
hf = DeadTimeSimulator(bin_size=0.5 / 750, segment=None, log_f=0.03, dead_time=dead_time)
hf_low, hf_high = torch.tensor([0.1, 100.0, 3.0, 500.0]), torch.tensor([0.5, 300.0, 30.0, 1500.0])
hf_theta = draw_prior(5000, seeded(16), hf_low, hf_high)
hf_x = hf(hf_theta, seeded(17))
print(f"training with {len(hf_x):,} simulations, which takes some seconds")
hf_npe = train_posterior(hf_theta, hf_x.log(), hf_low, hf_high, generator=seeded(18))

# %% [markdown]
# ### A network that believes in a constant dead time
#
# The HF network learned the *shape* of the hump as a measure of the rate. Give it 100 mocks as it believes them, and 100 through NuSTAR's τ.

# %% tags=["nbval-ignore-output"]
hf_truth, mistaken = torch.tensor([0.45, 200.0, 15.0, 1000.0]), {}
for name, tau in (("as believed", dead_time), ("NuSTAR's τ", NUSTAR)):
    simulator = DeadTimeSimulator(bin_size=0.5 / 750, segment=None, log_f=0.03, dead_time=tau)
    hf_seen = simulator(hf_truth.expand(100, 4), seeded(4))
    hf_drawn = hf_npe.sample(500, hf_seen.log(), generator=seeded(21))
    hf_z = (hf_drawn.mean(0) - hf_truth) / hf_drawn.std(0)
    mistaken[name, "posterior mean"] = hf_drawn.mean((0, 1)).numpy()
    mistaken[name, "(mean - truth) / sd"] = hf_z.mean(0).numpy()
pd.DataFrame(mistaken, index=names).astype(float).T.round(2)

# %% [markdown]
# The lower hump looks like that of a fainter source, so the *rate* is too low, by far more than its error bar. The cure is one argument, `DeadTimeSimulator(dead_time=NUSTAR)`, and another training.

# %% [markdown]
# ## A million of these  ·  for home
#
# Your own detector may ask for a million simulations, on a cluster that ends your job at midnight. `helpers.campaign` runs a **recipe**, a file with a prior and a simulator, shard by shard. Open ours: [docs/recipes/dead_time.py](../docs/recipes/dead_time.py). The random numbers of a shard follow from the campaign's seed and the shard's number alone. So it does not matter who simulates it, or when.

# %%
import tempfile
from pathlib import Path

from dask.distributed import Client

from helpers import campaign

recipe = Path("../docs/recipes/dead_time.py")
home = tempfile.TemporaryDirectory()
folder = Path(home.name, "lf")

# %% [markdown]
# We simulate a thousand. Then a shard is lost, and you want twice as many. The answer is the same command. (In a terminal: `python -m helpers.campaign run recipe.py lf --simulations 2000 --shard 500`.)

# %%
with Client(processes=False, n_workers=1, threads_per_worker=1, dashboard_address=None) as client:
    options = {"shard": 500, "client": client, "progress": False}
    campaign.run(recipe, folder, 1000, **options)
    before = campaign.load(folder)[1]
    (folder / "shards" / "shard-000001.parquet").unlink()
    done = campaign.run(recipe, folder, 2000, **options)
same = torch.equal(campaign.load(folder)[1][:1000], before)
print(f"{done.done} of {done.simulations} simulations; the first 1000 are those of before: {same}")

# %% [markdown]
# What was lost comes back bit by bit. The same recipe runs on all cores, on GPUs, or on a SLURM or Kubernetes cluster: [docs/campaigns.md](../docs/campaigns.md) says how, and what is guaranteed.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Ten lines make a detector; no line makes its likelihood.
# - Dead time changes **rate, noise and signal**. Rate and noise of a *constant* source have exact formulae. The noise has humps a little below multiples of $1/\tau$ that look like QPOs.
# - If you subtract the right noise and fit a Lorentzian, the frequency is right and the fit is beautiful, and the rms is too low by more than a factor of two.
# - **For small signals use $|H|^2$ or FAD.** Where a bright source varies by 40 %, both overestimate the rms, and the simple rate correction underestimates the rate.
# - NPE on an exact simulator recovers rms and rate there, and says so where the data do not constrain a parameter.
# - Predictive checks with what the network saw can pass when the detector is wrong. Keep one for the critic.
# - One mock proves nothing.

# %% [markdown]
# **Further reading.** [Huppenkothen & Bachetti 2022](https://arxiv.org/abs/2104.03278): the paper of this lesson · [Bachetti & Huppenkothen 2018](https://arxiv.org/abs/1709.09700): FAD and its limits · Zhang et al. 1995, ApJ 449, 930: noise behind a constant dead time · Huppenkothen, Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)): how to report such work
