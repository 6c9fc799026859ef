# %% [markdown]
# # 22 · Your own observation
#
# | **The question** | From the files that an archive gives you to a posterior that a referee believes: which steps are there, and where do they go wrong? |
# |---|---|
# | **Afterwards you can** | make of an event file, its good time and its live time the same summary that your simulator makes; find out before training that a simulator cannot be right; defend a posterior by mocks, by what the network never saw, and by twelve lines in the paper |
# | **Time** | 30 min of reading or teaching, 68 min of exercises |
# | **Data** | simulated, by others: an event list in the format of XMM, which the package stingray installs among its tests; a real one of yours, by its path |
# | **Run time** | below 90 s on two cores |

# %%
import tempfile
import time
import warnings
from contextlib import redirect_stdout
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import stingray
import torch
from sbi.inference import NPE
from sbi.utils import BoxUniform
from sbi.utils.tracking import TensorBoardTracker
from torch.utils.tensorboard import SummaryWriter

from course.checks import lesson_22 as check

# %%
from helpers import plotting
from helpers.dead_time import DeadTimeSimulator
from helpers.dead_time_theory import incident_rate, white_noise
from helpers.diagnostics import calibration, credibility, ranks, uniform_band
from helpers.light_curves import averaged_periodogram
from helpers.observations import read_events
from helpers.posteriors import train_posterior

plotting.use_course_style()

# %% [markdown]
# This lesson has twelve steps. [`my_observation.ipynb`](my_observation.ipynb) has the same twelve steps without the text: copy it, put in the path of your file, and come back here when a step is not clear.
#
# We know of no package that brings real NuSTAR events of a bright source, so the lesson works on a **blind** file: somebody else's simulator made it, for the tests of stingray, and neither the network nor you are told what is in it. (An envelope at the end says what it is.) For a real one, take ObsID 80401312002 from NuSTAR's archive: GRS 1915+105, the observation of Huppenkothen & Bachetti (2022). Let NuSTAR's own software make the two cleaned event files, and give `read_events` the path of one.

# %% [markdown]
# ## 1 · Open

# %%
path = Path(stingray.__file__).parent / "tests/data/xmm_test.fits"  # or yours
events = read_events(path)
detectors, numbers = np.unique(events.detector_id, return_counts=True)
inside = {
    "telescope, instrument": f"{events.mission}, {events.instr}",
    "events": f"{events.ncounts:,}",
    "good time (s)": str(events.gti.tolist()),
    "events by detector": str(dict(zip(detectors.tolist(), numbers.tolist(), strict=True))),
    "energies (keV)": f"{events.energy.min():.3f} to {events.energy.max():.3f}",
    "sum of PRIOR (s)": f"{events.prior.sum():.3f}",
}
pd.Series(inside, name=path.name).to_frame()

# %% [markdown] tags=["slide"]
# ## 2 · Look
#
# Before any model: the rate in time, the gaps between neighbouring events, the energies. Take two minutes, and write down what is odd in each. (There is something in all three.)

# %% tags=["slide"]
fig, axes = plt.subplots(1, 3, figsize=(9, 2.8))
seconds = np.arange(events.gti[0, 0], events.gti[-1, 1] + 0.5)
per_second = np.histogram(events.time, seconds)[0]
axes[0].plot(seconds[:-1] + 0.5, per_second, ".", markersize=3)
axes[0].set(xlabel="time (s)", ylabel="events in 1 s", ylim=(0, None))
gaps = np.diff(events.time)
axes[1].hist(1e3 * gaps, np.arange(0, 2.01, 0.02), histtype="step", log=True)
axes[1].set(xlabel="gap to the event before (ms)", ylabel="events", ylim=(1e3, 1e5))
axes[2].hist(events.energy, 0.009 * np.arange(39) - 5e-4, histtype="step")  # nine channels each
axes[2].set(xlabel="energy (keV)", ylabel="events", ylim=(0, None))
plotting.show(fig, "22_file")
cost = 1e6 * (gaps - events.prior[1:])
print(f"first event {events.time[0]:.4f} s, last {events.time[-1]:.4f} s")
print(f"gap less PRIOR, all events: {cost.min():.3f} to {cost.max():.3f} µs")

# %% [markdown]
# - **Rate.** Good time begins at -1 s and the first event comes half a second later; the same at the end. At 1665/s, half a second without an event has the probability $e^{-830}$. The good time of this file is *not* good, and the two ends are ours to cut.
# - **Gaps.** None is shorter than 0.1 ms; then they fall as they should. There is a dead time, and the column PRIOR gives it: it says for how long the detector had been live since the event before, so a gap less its PRIOR is the dead time that the event before has cost.
# - **Energies.** No source and no detector has a flat spectrum that ends at 0.34 keV: they are random numbers. There will be no spectral fit. A *band* can still be chosen, as you will choose one in yours: here all above 0.1 keV.
#
# And two events of 1.7 million claim to be from other CCDs. They do not matter, and they stay.

# %%
dead_time = round(float(np.median(cost)) * 1e-6, 9)  # s
good = np.array([[events.time[0], events.time[-1]]])
in_band = events.energy > 0.1
kept = float(in_band.mean())
print(f"dead time {1e3 * dead_time:g} ms; the band keeps {kept:.4f} of the events")

# %% [markdown] tags=["slide"]
# ## 3 · Cut into segments
#
# A telescope in low orbit sees its source for an hour at best, and so good time comes in pieces. A segment that lies over an edge holds empty bins that the source did not make, and they look like variability.

# %% [markdown] tags=["slide"]
# ## Exercise 22.1 · None crosses an edge  ·  core · 12 min · ●●○
#
# Good time is a list of intervals, (start, stop) in seconds. Return the starts of segments of a given length: in each interval as many whole ones as fit, one right after the other, none over an edge. An interval that is too short gives none.


# %%
def segments(gti, length):
    """(n,) starts of segments of a length (s) that lie inside the intervals gti (n_intervals, 2), s."""
    # solution: how many fit into one interval: int((stop - start) // length); then concatenate
    starts = [start + length * np.arange((stop - start) // length) for start, stop in gti]
    return np.concatenate(starts)
    # end solution


segments = check.segments(segments)

# %%
segment, bin_size = 1.0, 1 / 256  # s
starts = segments(good, segment)
edges = starts[:, None] + bin_size * np.arange(round(segment / bin_size) + 1)
counts = np.diff(np.searchsorted(events.time[in_band], edges))  # (n_segments, 256), gaps or not
stretches = counts[: len(counts) // 32 * 32].reshape(-1, 1, 32 * 256)  # one detector, 32 s each
print(f"{len(starts)} segments of 1 s; {len(stretches)} stretches of 32, each a data set by itself")
stretches = torch.from_numpy(stretches).float()

# %% [markdown]
# Why thirty-two data sets and not one? A source may change in a quarter of an hour; one network serves all stretches of one length; and thirty-two answers to one question are a test, if the source stays the same.

# %% [markdown] tags=["slide"]
# ## 4 · Live time
#
# ### Predict first
#
# You analyse the seven of ten events above 0.1 keV. A colleague adds up PRIOR over *these* and divides by the clock. The detector was live for 83 % of the time. What does she get?

# %%
my_guess_live = ...  # per cent, a number

# %% [markdown] tags=["slide"]
# ## Exercise 22.2 · Live seconds  ·  core · 16 min · ●●●
#
# Before each event, at `times[i]`, the detector was live for `prior[i]` seconds, that is, from `times[i] - prior[i]` on. Return the live seconds between each two `edges`; an edge may fall into the middle of a live interval. After the last event nothing is known: count it as dead. (A loop over a million events takes too long. How much live time has passed up to $t$? It rises from `times[i] - prior[i]` to `times[i]` and is constant in between.)


# %%
def live_time(edges, times, prior):
    """(n_bins,) live seconds between edges (n_bins + 1,), of events at times (n,) with prior (n,), s."""
    # solution: np.cumsum(prior) is the live time up to each event; np.interp at the edges; np.diff
    total = np.cumsum(prior)
    knots = np.stack([times - prior, times], axis=1).ravel()
    passed = np.stack([total - prior, total], axis=1).ravel()
    return np.diff(np.interp(edges, knots, passed))
    # end solution


live_time = check.live_time(live_time)

# %%
ends = np.append(starts, starts[-1] + segment)
live = live_time(ends, events.time, events.prior)
registered = np.histogram(events.time, ends)[0]
by_rate = segment - dead_time * registered  # each registered event costs one dead time
of_band = live_time(ends, events.time[in_band], events.prior[in_band])
print(f"live share: by PRIOR {live.mean():.4f}, by rate and dead time {by_rate.mean():.4f}")
print(f"they differ by at most {1e3 * abs(live - by_rate).max():.2f} ms in a segment")
print(f"PRIOR of the band's events alone: {of_band.mean():.4f}")

# %% [markdown]
# **The answer:** 59 %.
#
# Two ways give one answer. The small difference is the dead time that lies over an edge. They disagree where events cost dead time but are not in the list, such as NuSTAR's vetoes: then PRIOR is right. And it must be summed over *all* events, before any band or region is chosen: the detector was live before an event that you throw away, too.
#
# `helpers.observations.live_time` does the same, and refuses what is no live time.

# %% [markdown] tags=["slide"]
# ## 5 · Choose the summary
#
# Ours is that of lesson 14: the mean periodogram of the 32 segments of a stretch, fractional, in bins of frequency that grow by 10 %. It says whether something varies between 1 and 128 Hz, and by its level how many photons there were.
#
# Write down **what it does not contain**: the mean rate (a fractional power is divided by it), the live time, energies, whatever is slower than 1 s or faster than 4 ms, phases. That is a loss. It is a gift, too: what the network never sees can be a witness against it.
#
# ### Predict first
#
# Of *all* events the Leahy noise at low frequencies is 1.39, since dead time makes them more regular than random. You throw three of ten away, at random. Does the level go down, stay, or go up?

# %%
my_guess_level = ...  # "down", "stays" or "up"

# %% [markdown] tags=["slide"]
# ## Exercise 22.3 · The noise of a band  ·  core · 8 min · ●●○
#
# Let $P(f)$ be the Leahy power of all registered events. If a share $q$ of them is kept at random, whatever is not Poisson noise ($P = 2$) shrinks by $q$. Return the noise of the band. `white_noise(frequency, rate, dead_time)` is lesson 14's formula for $P$, from the *incident* rate of all photons.


# %%
def band_noise(frequency, rate, dead_time, kept):
    """Leahy power (n,) at frequencies (n,) Hz, if a share of the registered events is kept."""
    # solution: how far is P from 2? Keep a share of that; dead time has happened before the choice
    power = white_noise(frequency, rate, dead_time)
    return 2 + kept * (power - 2)
    # end solution


band_noise = check.band_noise(band_noise)

# %% tags=["slide"]
rate = float(incident_rate(registered.mean() / segment, dead_time))
fine = starts[0] + np.arange(256 * 16384 + 1) / 16384  # 256 s; coarser bins would alias
fig, ax = plt.subplots(figsize=(6.5, 3.2))
for name, chosen, share, look in (("all", slice(None), 1, "C0o"), ("band", in_band, kept, "C1s")):
    binned = torch.from_numpy(np.diff(np.searchsorted(events.time[chosen], fine))).double()
    f, leahy = averaged_periodogram(binned, 1 / 16384, 1.0)
    f, leahy = (values[:1200].reshape(-1, 40).mean(1) for values in (f, leahy))
    ax.plot(f, leahy, look, markersize=3, label=name)
    ax.plot(f, band_noise(f, rate, dead_time, share), look[:2] + "-", linewidth=1)
ax.axhline(2, color="0.3", linestyle=":", linewidth=1)
ax.set(xlabel="frequency (Hz)", ylabel="Leahy power", ylim=(1.3, 2.05))
ax.legend(loc=(0.03, 0.7))
plotting.show(fig, "22_noise")
print(f"incident rate of a constant source, by lesson 14: {rate:.1f}/s")

# %% [markdown]
# **The answer:** up, to 1.57.
#
# In these 256 s the eye sees noise, and nothing else. The formula even gives a rate, *if the source does not vary*. Whether it does is our question, and how much it could vary without our notice.

# %% [markdown] tags=["slide"]
# ## 6 · Simulate
#
# The simulator gets what the data have: the same bins, segments and stretch, one detector, 0.1 ms, the kept share. `summarise` makes the numbers of data and of simulations alike; if two pieces of code did that, they would differ. (For two detectors of unequal rates, write `n_detectors=2, relative_rates=(1.0, 0.9)`, a ratio of incident rates. For a background, or for vetoes, which cost dead time too, there is `background=`.)

# %%
setup = dict(exposure=32.0, bin_size=bin_size, segment=segment, log_f=0.1)
simulate = DeadTimeSimulator(**setup, dead_time=dead_time, n_detectors=1, kept=kept)
observed = simulate.summarise(stretches).log()  # (32, 28)
names = ["rms", "ν₀ (Hz)", "q", "rate (1/s)"]  # of a QPO; the incident rate
low, high = torch.tensor([0.0, 5.0, 3.0, 1000.0]), torch.tensor([0.2, 100.0, 30.0, 3000.0])


def draw_prior(n, generator, low=low, high=high):
    """Parameters (n, 4), uniform in the box."""
    return low + (high - low) * torch.rand(n, 4, generator=generator).clamp(1e-6, 1 - 1e-6)


# %% [markdown] tags=["slide"]
# ## 7 · Ask the prior
#
# Could your simulator make such data at all? Ask before you train. A prior predictive check draws θ from the prior, simulates, and looks where the data lie among the simulations.
#
# ## Exercise 22.4 · Possible at all?  ·  core · 10 min · ●●○
#
# `simulated` is (n, m), n simulations of m numbers; `observed` is (m,). For each of the m numbers, take the share of the simulations that are at or below the observed one, and the share that are at or above it. Return the smaller of both, doubled, but no more than 1.


# %%
def surprise(simulated, observed):
    """(m,) two-sided tail shares of observed (m,) among simulated (n, m)."""
    # solution: two masks, their means over the first axis, np.minimum or torch.minimum, twice, clamp
    below = (simulated <= observed).double().mean(0)
    above = (simulated >= observed).double().mean(0)
    return (2 * torch.minimum(below, above)).clamp(max=1)
    # end solution


surprise = check.surprise(surprise)

# %% [markdown]
# ### Predict first
#
# You have copied the simulator of lesson 14. Four things in it are wrong for this file: 2.5 ms of dead time, two detectors, no band, rates of 500 to 1500/s. You mend them one after the other, in this order, and ask each time. After how many of the four does the check complain?

# %%
my_guess_mended = ...  # some of 0, 1, 2, 3, 4

# %% tags=["nbval-ignore-output", "slide"]
wide = torch.tensor([0.1, 5.0, 3.0, 500.0]), torch.tensor([0.5, 40.0, 30.0, 1500.0])
mended = {
    "lesson 14's, as it is": (dict(dead_time=2.5e-3), wide),
    "+ dead time": (dict(dead_time=dead_time), wide),
    "+ one detector": (dict(dead_time=dead_time, n_detectors=1), wide),
    "+ the band": (dict(dead_time=dead_time, n_detectors=1, kept=kept), wide),
    "+ rates": (dict(dead_time=dead_time, n_detectors=1, kept=kept), (low, high)),
}
table = {}
for name, (options, box) in mended.items():
    generator = torch.Generator().manual_seed(7)
    simulations = DeadTimeSimulator(**setup, **options)(draw_prior(200, generator, *box), generator)
    p = surprise(simulations.log(), observed[0])
    table[name] = {
        "numbers of 28 with p < 1 %": int((p < 0.01).sum()),
        "smallest p": float(p.min()),
    }
pd.DataFrame.from_dict(table, orient="index")

# %% [markdown]
# **The answer:** after three of the four, and only then. Four faults together could well make such data, since each hides what the others do. It complains when only one is left, the rates, and that is the one to change.
#
# So do not mend until the check is silent: it is silent for the copy, too. Change what you **know** to be different, all of it, and then ask. A prior predictive check finds what is impossible, not what is wrong.

# %% [markdown] tags=["slide"]
# ## 8 · Train
#
# We train with `train_posterior` (three flows, which together are more honest than one: lesson 16), and with *sbi* on the same simulations. The judge is ln q of the truth on mocks that neither has seen; the prior itself is the zero point. sbi puts a part of its density outside of the box, which the second column gives back.

# %% tags=["nbval-ignore-output"]
start = time.perf_counter()
generator, seeded = torch.Generator().manual_seed(22), torch.Generator().manual_seed(0)
theta = draw_prior(3000, generator)
x = simulate(theta, generator).log()
print(f"{len(theta)} simulations of {x.shape[1]} numbers, {time.perf_counter() - start:.0f} s")
npe = train_posterior(theta, x, low, high, generator=seeded, n_flows=3)
print(f"and a network, {time.perf_counter() - start:.0f} s")

# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)
log = TensorBoardTracker(SummaryWriter(tempfile.mkdtemp()))
options = dict(density_estimator="zuko_maf", show_progress_bars=False, tracker=log)
theirs = NPE(BoxUniform(low, high), **options).append_simulations(theta, x)
with redirect_stdout(None), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that 60 epochs are the most that we give it
    flow = theirs.train(training_batch_size=200, learning_rate=1e-3, max_num_epochs=60)

# %% tags=["nbval-ignore-output", "slide"]
truths = draw_prior(400, generator)
mocks = simulate(truths, generator).log()
with torch.no_grad():
    drawn = flow.sample((60,), mocks)
    inside = ((drawn > low) & (drawn < high)).all(-1).double().mean(0).clamp(min=1 / 60)
    of_sbi = flow.log_prob(truths[None], mocks)[0]
of_ours = npe.log_prob(truths[None], mocks)[0]
of_prior = torch.full((400,), -float((high - low).log().sum()))
rows = {
    "helpers": (of_ours, of_ours),
    "sbi": (of_sbi, of_sbi - inside.log()),
    "prior": (of_prior,) * 2,
}
pd.DataFrame(
    {name: [f"{v.mean():.2f} ± {v.std() / 20:.2f}" for v in pair] for name, pair in rows.items()},
    index=["ln q of the truth", "inside of the box"],
).T

# %% [markdown]
# Differences count, since the mocks are the same. One difference is no verdict on a package: more epochs or another flow may turn the order round. But two tools that agree are a line for the referee, and an ln q near the prior's would be the end of the story.

# %% [markdown] tags=["slide"]
# ## 9 · Calibrate
#
# We take 400 mocks of the same set-up, drawn from the prior. Where do the truths rank, and how many lie inside of the regions that promise to hold them? (Of four honest p-values the smallest is below 5 % in one case of five.)

# %% tags=["nbval-ignore-output", "slide"]
draws = npe.sample(199, mocks, generator=seeded)
fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), width_ratios=(1, 1, 1))
tenth, honest = (
    uniform_band(400, levels) for levels in (torch.tensor([0.1]), torch.linspace(0, 1, 101))
)
for ax, k in zip(axes, (0, 3), strict=False):
    plotting.rank_histograms(ax, ranks(draws, truths)[:, k], tenth).set_title(names[k])
shares = credibility(npe.log_prob(draws, mocks), of_ours)
plotting.coverage(axes[2], {"all four": shares}, honest).set_xticks([0, 0.5, 1])
plotting.show(fig, "22_calibration")
held = float((shares < 0.68).double().mean())
found = calibration(draws, truths, low, high, seeded)
print(f"68 % regions hold {held:.0%}, 90 % regions {(shares < 0.9).double().mean():.0%}")
print("p(SBC):", *(f"{name} {p:.2f}" for name, p in zip(names, found.sbc_p, strict=True)))

# %% [markdown]
# The smallest p-value is that of ν₀: its ranks make a hump, so its posteriors are too wide (lesson 16). We report nothing about ν₀.

# %% [markdown] tags=["slide"]
# ## 10 · The posterior of the observation
#
# We ask all thirty-two at once. And we answer what a referee asks of each upper limit: *would you have seen it?* For this we give the same network mocks whose rms we chose.

# %% tags=["nbval-ignore-output"]
posterior = npe.sample(1000, observed, generator=seeded)  # (1000, 32, 4)
limits = posterior[..., 0].quantile(0.95, 0)
rates = posterior[..., 3]
error = float(rates.std(0).mean()) / 32**0.5
print(f"rms: below {limits.min():.3f} to {limits.max():.3f} at 95 %, by stretch")
print(f"rate: mean {rates.mean():.0f} ± {error:.0f}/s; one stretch ± {rates.std(0).mean():.0f}/s")
print(f"      scatter of the 32 means {rates.mean(0).std():.0f}/s")
planted = torch.linspace(0, 0.16, 9)
chosen = torch.tensor([[0.0, 30.0, 10.0, 2000.0]]).repeat(9, 1)
chosen[:, 0] = planted
copies = simulate(chosen.expand(10, 9, 4), generator).log()
recovered = npe.sample(500, copies, generator=seeded)[..., 0]  # (500, 10, 9)

# %% tags=["nbval-ignore-output", "slide"]
fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.1))
axes[0].errorbar(np.arange(1, 33), rates.mean(0), rates.std(0), fmt="C0o", markersize=4)
axes[0].axhline(rate, color="0.3", linestyle="--", linewidth=1, label="lesson 14's formula")
axes[0].set(xlabel="stretch of 32 s", ylabel="incident rate (1/s)", ylim=(1800, 2200))
axes[0].set_xticks([1, 8, 16, 24, 32])
axes[0].legend(loc="lower left")
bounds = [recovered.quantile(level, 0).mean(0) for level in (0.05, 0.5, 0.95)]
axes[1].fill_between(planted, bounds[0], bounds[2], color="0.85", label="5 to 95 %")
axes[1].plot(planted, bounds[1], "C1s-", markersize=4, label="median")
axes[1].plot(planted, planted, "k:", linewidth=1, label="truth")
axes[1].set(xlabel="rms planted", ylabel="rms, posterior")
axes[1].legend(loc="upper left")
plotting.show(fig, "22_stretches")

# %% [markdown]
# No QPO, and in each stretch an upper limit between 6 and 14 per cent. We would have seen a QPO of 14 per cent; we would have missed one of 4 per cent. Say *both* in the paper.
#
# The rates scatter by no more than their errors say. Their mean has less than a fifth of the error of one, **as long as nothing is biased**. A network's bias does not average out, nor does the prior's: if the rms of the source lies at the edge of the prior, zero, all thirty-two posteriors are biased to the same side. Compared with the error of the mean, this bias counts almost six times as much.

# %% [markdown] tags=["slide-next"]
# **Discuss with your neighbour** (5 min): our prior is uniform in the rms, from 0 on. With one that is uniform in lg rms, from 0.1 % on, the limit would be far lower, from the same data. Which of the two would you publish, and what must stand beside it?

# %% [markdown] tags=["slide"]
# ## 11 · Criticise with what the network did not see
#
# We call two witnesses: the rate of the band, and the live share of PRIOR. Every stretch gets replicas from its own posterior. To see whether such witnesses are worth anything, we do the same with a second network, whose simulator has **forgotten the band**: `kept` is 1. (It learns from 2000 simulations; all else is the same.)

# %% tags=["nbval-ignore-output"]
forgot = DeadTimeSimulator(**setup, dead_time=dead_time, n_detectors=1)
theta_forgot = draw_prior(2000, generator)
settings = dict(generator=seeded, n_flows=3)
x_forgot = forgot(theta_forgot, generator).log()
npe_forgot = train_posterior(theta_forgot, x_forgot, low, high, **settings)
held_out = draw_prior(200, generator)
drawn = npe_forgot.sample(199, forgot(held_out, generator).log(), generator=seeded)
p_forgot = calibration(drawn, held_out, low, high, seeded).sbc_p
print(f"its own mocks: smallest p(SBC) of the four parameters {p_forgot.min():.2f}")

# %% tags=["nbval-ignore-output", "slide"]
witness = {"rate of the band (1/s)": stretches.sum((1, 2)) / 32}
witness["live share"] = torch.from_numpy(live[:1024].reshape(32, 32).mean(1))
rows, p_values = [], {}
for model, network, simulator in (("ours", npe, simulate), ("forgot", npe_forgot, forgot)):
    samples = network.sample(15, observed, generator=seeded)
    per_second = simulator.light_curves(samples, generator).sum((-2, -1)) / 32  # (15, 32)
    replicas = per_second, 1 - dead_time * per_second / (kept if model == "ours" else 1.0)
    for (name, seen), made in zip(witness.items(), replicas, strict=True):
        p = p_values[model, name] = float((made >= seen).double().mean())  # mean p of a stretch
        row = f"{seen.mean():.4g}", f"{made.mean():.4g} ± {made.std(0).mean():.2g}", f"{p:.2f}"
        rows.append((model, name, *row))
pd.DataFrame(rows, columns=["simulator", "witness", "observed", "replicas", "p"])

# %% [markdown]
# Read the rows of the second network. Its ranks are about as flat as ours, its powers fit, and it gets the rate of the band right within a per cent. Its incident rate is near 1330/s (1171/0.883), a third too low. Only the live share shows it: events that you threw away have cost time. (A p near 1 is as bad as one near 0.)
#
# So keep something back that depends on the detector in *another way* than your summary does.

# %% [markdown] tags=["slide"]
# ## Exercise 22.5 · Who sees what?  ·  core · 8 min · ●●○
#
# Each line is a fault. Which check of this lesson sees it: `"look"`, `"prior predictive"`, `"held-out ln q"`, `"ranks of mocks"`, `"unseen statistic"`, or `"none"`?

# %%
# solution: does the check use the data, or only simulations? is it about the network or the detector?
blind = {
    "good time that begins half a second before the data": "look",
    "a prior whose rates are all too low, in a simulator that is right": "prior predictive",
    "a network that answers with the prior, whatever it is asked": "held-out ln q",
    "posteriors that are a third too narrow": "ranks of mocks",
    "a band that the simulator has forgotten": "unseen statistic",
    "a clock that runs too fast by one part in a million": "none",
    "a prior that is uniform in the rms, where a reader expects one in lg rms": "none",
}
# end solution
blind = check.blind(blind)

# %% [markdown]
# "None" means: write these into the report, because no check will find them.

# %% [markdown] tags=["slide"]
# ## 12 · Report
#
# ## Exercise 22.6 · Twelve lines  ·  core · 14 min · ●●○
#
# This is what a paper needs, so that others can believe it and repeat it. Fill in numbers, or the names of this notebook that hold them. Live time is that of all 1024 segments; the rate is the mean over the stretches, with *its* error; the limit is the largest of the thirty-two.

# %%
# solution: stretches, live, dead_time, kept, simulate, high, theta, held, rates, error, limits, p_values
report = {
    "events in the band": stretches.sum(),
    "live time (s)": live.sum(),
    "dead time of an event (ms)": 1e3 * dead_time,
    "share of the events that is kept": kept,
    "highest frequency of the summary (Hz)": simulate.frequencies[-1],
    "largest rms of the prior": high[0],
    "simulations": len(theta),
    "share of 400 truths in 68 % regions": held,
    "rate, mean of the stretches (1/s)": rates.mean(),
    "its error (1/s)": error,
    "rms is below (95 %)": limits.max(),
    "p of the live share": p_values["ours", "live share"],
}
# end solution
report = check.report(report)

# %% tags=["nbval-ignore-output"]
pd.Series({line: f"{value:.4g}" for line, value in report.items()}, name=path.name).to_frame()

# %% [markdown]
# **The envelope.** The header of the file says who made it: HENDRICS. Its tests do so to this day, by `HENfake --ctrate 2000 --deadtime 1e-4 -m XMM`: a *constant* source, 2000 photons/s, 0.1 ms, non-paralyzable. Compare your report, line by line. The rms is zero, and your limits hold. The rate is high by one or two errors of the mean, and a quarter of the error of a stretch: that is the bias of step 10, or the noise of this one file. Nobody can tell from one file; that is what the 400 mocks are for. Whether somebody planted the two bad ends of its good time, we do not know. In your file, nobody will have planted them.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Open and look first: good time, detectors, gaps and energies each had something to tell.
# - Segments lie inside good time. Live time is that of *all* events; a band is chosen after dead time, and its noise is $2 + q(P - 2)$.
# - Data and simulations go through one function. Write down what the summary does not contain.
# - A prior predictive check finds what is impossible. Faults can hide behind each other: mend what you know.
# - Ranks judge the network in the simulator's world. What the network did not see judges the simulator, if it depends on the detector in another way.
# - "Nothing" is a result, with a limit, its prior, and what would have been seen.

# %% [markdown]
# **Further reading.** Huppenkothen & Bachetti 2022 ([arXiv:2104.03278](https://arxiv.org/abs/2104.03278): the way of this lesson, on a real observation) · Bachetti et al. 2015 ([arXiv:1409.3248](https://arxiv.org/abs/1409.3248): what dead time does to NuSTAR's timing, and the cospectrum) · Gabry et al. 2019 ([arXiv:1709.01449](https://arxiv.org/abs/1709.01449): looking, at each step of a Bayesian analysis) · Huppenkothen, Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528): how to report) · your own files, all formats: [`docs/own_observation.md`](../docs/own_observation.md)
