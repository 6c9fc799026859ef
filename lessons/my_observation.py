# %% [markdown]
# # My observation

# %% [markdown]
# ## 1 · Open

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import stingray
import torch

from helpers import plotting
from helpers.dead_time import DeadTimeSimulator
from helpers.dead_time_theory import incident_rate
from helpers.diagnostics import calibration, credibility, ranks, uniform_band
from helpers.observations import common_gti, live_time, read_events
from helpers.posteriors import train_posterior

plotting.use_course_style()

# %%
paths = [Path(stingray.__file__).parent / "tests/data/xmm_test.fits"]  # one for each detector
lists = [read_events(path) for path in paths]
good = common_gti(*(events.gti for events in lists))
for path, events in zip(paths, lists, strict=True):
    print(path.name, events.mission, events.instr, events.ncounts, events.timesys)
    print(good.tolist(), np.unique(events.detector_id), events.energy is not None)

# %% [markdown]
# ## 2 · Look

# %%
fig, axes = plt.subplots(len(lists), 3, figsize=(9, 2.8 * len(lists)), squeeze=False)
for row, events in zip(axes, lists, strict=True):
    seconds = np.arange(good[0, 0], good[-1, -1] + 0.5)
    row[0].plot(seconds[1:] - 0.5, np.histogram(events.time, seconds)[0], ".", markersize=3)
    row[0].set(xlabel="time (s)", ylabel="events (1/s)")
    row[1].hist(1e3 * np.diff(events.time), np.linspace(0, 5, 200), log=True)
    row[1].set(xlabel="gap to the event before (ms)", ylabel="events")
    row[2].hist(events.energy, 100)
    row[2].set(xlabel="energy (keV)", ylabel="events")
plotting.show(fig, alt="For each detector the rate in time, gaps between events and energies.")

# %%
good = common_gti(good, *([[e.time[0], e.time[-1]]] for e in lists))
dead_time = 1e-4  # s, or helpers.dead_time.NUSTAR
energies = 0.1, np.inf  # keV
bands = [(events.energy > energies[0]) & (events.energy < energies[1]) for events in lists]

# %% [markdown]
# ## 3 · Cut into segments

# %%
segment, bin_size, in_stretch = 1.0, 1 / 256, 32  # s, s, segments
n_bins = round(segment / bin_size)
starts = np.concatenate([a + segment * np.arange((b - a) // segment) for a, b in good])
starts = starts[: len(starts) // in_stretch * in_stretch]
bin_edges = starts[:, None] + bin_size * np.arange(n_bins + 1)
counts = [
    np.diff(np.searchsorted(events.time[band], bin_edges)).reshape(-1, in_stretch * n_bins)
    for events, band in zip(lists, bands, strict=True)
]
stretches = torch.from_numpy(np.stack(counts, axis=1)).float()  # (n, n_detectors, n_bins)

# %% [markdown]
# ## 4 · Live time

# %%
ends = np.stack([starts, starts + segment], axis=1).ravel()
for events in lists:
    if events.prior is not None:
        live = live_time(ends, events.time, events.prior)[::2]
        print(
            f"live {live.sum():.1f} s of {segment * len(starts):.1f} s, {live.mean() / segment:.2%}"
        )

# %% [markdown]
# ## 5 · Choose the summary

# %%
kept, registered = float(np.mean(np.concatenate(bands))), stretches.mean((0, 2)) / bin_size
rates = incident_rate(registered, dead_time, kept=kept)  # of NUSTAR: dead_time.mean
simulate = DeadTimeSimulator(
    in_stretch * segment, bin_size, segment, dead_time, len(lists), log_f=0.1,
    kept=kept, relative_rates=(rates / rates[0]).tolist(),
)  # fmt: skip
observed = simulate.summarise(stretches).log()
print(observed.shape, rates.tolist())

# %% [markdown]
# ## 6 · Simulate

# %%
names = ["rms", "ν₀ (Hz)", "q", "rate (1/s)"]
low, high = torch.tensor([0.0, 5.0, 3.0, 1000.0]), torch.tensor([0.2, 100.0, 30.0, 3000.0])
generator = torch.Generator().manual_seed(1)


def draw_prior(n):
    return low + (high - low) * torch.rand(n, len(low), generator=generator).clamp(1e-6, 1 - 1e-6)


theta = draw_prior(1000)
x = simulate(theta, generator).log()

# %% [markdown]
# ## 7 · Ask the prior

# %%
below, above = (x <= observed[0]).double().mean(0), (x >= observed[0]).double().mean(0)
print("p of each number:", (2 * torch.minimum(below, above)).clamp(max=1))

# %% [markdown]
# ## 8 · Train

# %%
npe = train_posterior(theta, x, low, high, generator=generator)

# %% [markdown]
# ## 9 · Calibrate

# %%
truths = draw_prior(200)
mocks = simulate(truths, generator).log()
draws = npe.sample(199, mocks, generator=generator)
log_q = npe.log_prob(truths[None], mocks)[0]
shares = credibility(npe.log_prob(draws, mocks), log_q)
held = [float((shares < level).double().mean()) for level in (0.68, 0.9)]
print("ln q of the truth", log_q.mean(), "and of the prior", -(high - low).log().sum())
print("68 % and 90 % regions hold", held)
print(calibration(draws, truths, low, high, generator))
fig, axes = plt.subplots(1, len(low), figsize=(9, 2.6), sharey=True)
for ax, name, r in zip(axes, names, ranks(draws, truths).T, strict=True):
    plotting.rank_histograms(ax, r, uniform_band(200, torch.tensor([0.1]))).set_title(name)
plotting.show(
    fig, alt="Histograms of the ranks of 200 truths, one for each parameter, with a band."
)

# %% [markdown]
# ## 10 · The posterior of the observation

# %%
posterior = npe.sample(1000, observed, generator=generator)
fig, axes = plt.subplots(len(low), len(low), figsize=(8, 7))
plotting.corner(axes, {"the first stretch": posterior[:, 0]}, names)
plotting.show(fig, alt="The posterior of the first stretch, all pairs of parameters.")

# %% [markdown]
# ## 11 · Criticise with what the network did not see

# %%
samples = npe.sample(5, observed, generator=generator)
replicas = simulate.light_curves(samples, generator).sum((-2, -1)) / (in_stretch * segment)
seen = stretches.sum((1, 2)) / (in_stretch * segment)
print(f"rate {seen.mean():.1f}, replicas {replicas.mean():.1f} ± {replicas.std():.1f} 1/s,",
      f"p = {(replicas >= seen).double().mean():.2f}")  # fmt: skip

# %% [markdown]
# ## 12 · Report

# %%
report = {
    "files": ", ".join(path.name for path in paths),
    "segments, and in a stretch": f"{len(starts)} of {segment} s, {in_stretch}",
    "energies (keV), share kept": f"{energies}, {kept:.4f}",
    "dead time (s)": str(dead_time),
    "events": f"{int(stretches.sum())}",
    "frequencies (Hz)": f"{simulate.frequencies[0]:.3g} to {simulate.frequencies[-1]:.3g}",
    "prior": ", ".join(f"{n} {a:g} to {b:g}" for n, a, b in zip(names, low, high, strict=True)),
    "simulations": str(len(theta)),
    "68 % and 90 % regions hold": str(held),
    "posterior, mean": ", ".join(f"{m:.4g}" for m in posterior.mean((0, 1))),
    "posterior, sd": ", ".join(f"{s:.2g}" for s in posterior.std(0).mean(0)),
    "p of what was not seen": f"{(replicas >= seen).double().mean():.2f}",
}
pd.Series(report, name="my observation").to_frame()
