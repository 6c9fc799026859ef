# %% [markdown]
# # 16 · Trusting posteriors
#
# | **The question** | A network hands you a posterior: narrow, smooth, in milliseconds. Should you believe it? |
# |---|---|
# | **Afterwards you can** | test whether posteriors are calibrated, by ranks, random points and credible regions, and say what each test cannot see; recognise a wrong simulator where data can tell, and name errors that no check of the data finds; report an inference so that others can trust it |
# | **Time** | 55 min of reading or teaching, 56 min of exercises |
# | **Data** | simulated: power laws in one detector of RXTE, a QPO behind dead time, a source behind pile-up, made here; RXTE's response is real, see `data/README.md` |
# | **Run time** | below 150 s on two cores |

# %%
import pickle
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from course.checks import lesson_16 as check

# %%
from helpers import data, plotting
from helpers.ccd import ACIS
from helpers.dead_time import NUSTAR, DeadTimeSimulator
from helpers.diagnostics import (
    TooFewError,
    anomaly_p,
    calibration,
    credibility,
    importance_sample,
    misspecification_p,
    predictive_p,
    uniform_band,
)
from helpers.pile_up import PileUpSimulator
from helpers.posteriors import PosteriorFileError, load_posterior, train_posterior
from helpers.spectra import power_law

plotting.use_course_style()

# %% [markdown]
# ## What a posterior promises
#
# "68 % between 1.8 and 2.0" is a promise that can be counted: of all sources for which you say 68 %, drawn from your prior, the truth lies inside for 68 %. One posterior cannot be caught lying. Five hundred can, and after training they cost nothing. That is the one great gift of amortised inference, so let us use it.
#
# First we need something to measure our instruments with: the power law of lesson 13, $\theta = (\Gamma, \lg K)$, 12 energy bins, 10 s. It has a likelihood, so the exact posterior is known. One knob is new: `gain`, by which all measured energies are too high.

# %%
pca = data.load_response("rxte_pca")
starts = torch.tensor([3, 5, 7, 9, 11, 14, 17, 21, 25, 30, 36, 44, 54])  # channels, 3 to 25 keV
below = nn.functional.pad(pca.redistribution.cumsum(1), (1, 0))  # share below each channel
energy_lo, energy_hi = pca.energy_lo[::10], pca.energy_hi[9::10]


def detector(gain=1.0):
    """cm² (30, 12) from energies to bins; what belongs into channel c is recorded in gain × c."""
    edge = starts / gain
    channel = edge.long()
    inside = torch.lerp(below[:, channel], below[:, channel + 1], edge - channel)
    return (pca.effective_area[:, None] * inside.diff(dim=1)).unflatten(0, (30, 10)).mean(1)


def expected(theta, seen=detector(), more=0.0):  # noqa: B008, it never changes
    """Expected counts (..., 12) in 10 s for theta (..., 2); `more` is added to the flux."""
    flux = power_law(energy_lo, energy_hi, theta[..., 0], 10 ** theta[..., 1])
    return 10.0 * (flux + more) @ seen


# %%
low, high = torch.tensor([1.0, -1.5]), torch.tensor([3.0, 0.0])
names = ["photon index Γ", "lg K"]


def draw_prior(n, generator, low=low, high=high):
    """Parameters (n, P), uniform in a box."""
    return low + (high - low) * torch.rand(n, len(low), generator=generator).clamp(1e-6, 1 - 1e-6)


def simulate(theta, generator, **source):
    """Counts (..., 12) for theta (..., 2)."""
    return torch.poisson(expected(theta, **source), generator=generator)


# %%
# A grid of 200 × 200 points in the box, as in lesson 13
ticks = [a + (b - a) * (torch.arange(200) + 0.5) / 200 for a, b in zip(low, high, strict=True)]
grid = torch.cartesian_prod(*ticks)
grid_mean = expected(grid)


def exact_posterior(n, counts, generator):
    """(n, m, 2) draws from the posteriors of counts (m, 12)."""
    log_likelihood = counts @ grid_mean.log().T - grid_mean.sum(1)
    weight = (log_likelihood - log_likelihood.amax(1, keepdim=True)).exp()
    cells = torch.multinomial(weight, n, replacement=True, generator=generator).T
    return (
        grid[cells] + (torch.rand(*cells.shape, 2, generator=generator) - 0.5) * (high - low) / 200
    )


# %%
generator = torch.Generator().manual_seed(16)
theta = draw_prior(500, generator)
counts = simulate(theta, generator)
exact = torch.cat([exact_posterior(199, some, generator) for some in counts.split(100)], 1)
print("500 truths, and 199 draws from the exact posterior of each:", tuple(exact.shape))
print(f"counts per spectrum: {counts.sum(1).min():.0f} to {counts.sum(1).max():.0f}")

# %% [markdown] tags=["slide"]
# ## Exercise 16.1 · Where does the truth lie?  ·  core · 6 min · ●○○
#
# If the truth is one more draw from the posterior, nothing tells it from the others: any place in the queue is as likely as any other. Return, for each test and parameter, the share of the draws that lie below the truth. This is its **rank**.


# %%
def ranks(draws, theta):
    """(n, P) share of the draws (S, n, P) that are below the truth (n, P)."""
    # solution: a comparison broadcasts over the first axis; a share is a mean: mask.double().mean(0)
    return (draws < theta).double().mean(0)
    # end solution


ranks = check.ranks(ranks)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# Now we spoil good posteriors on purpose: half as wide about their mean; twice as wide; shifted up by half of their standard deviation. Sketch the three histograms of ranks before you scroll. Where do the ranks of the third one pile up?

# %%
my_guess_shifted = ...  # "near 0" or "near 1"

# %% tags=["slide"]
centre = exact.mean(0)
spoiled = {
    "exact": exact,
    "half as wide": centre + 0.5 * (exact - centre),
    "twice as wide": centre + 2 * (exact - centre),
    "shifted up": exact + 0.5 * exact.std(0),
}
fig, axes = plt.subplots(1, 4, figsize=(9, 2.6), sharey=True)
tenth = uniform_band(500, torch.tensor([0.1]))  # of 500 ranks, what each of ten bins may hold
for ax, (name, draws) in zip(axes, spoiled.items(), strict=True):
    plotting.rank_histograms(ax, ranks(draws, theta)[:, 0], tenth).set_title(name)
for ax in axes[1:]:
    ax.set_ylabel("")
plotting.show(fig, "16_four_ranks")

# %% [markdown]
# **Your prediction:** near 0.
#
# **U**: the truth is too often outside, the posterior too narrow, *overconfident*. **Hump**: too wide. **Slope**: biased; the truth comes early in the queue if the posterior lies too high. This is simulation-based calibration (SBC; Talts et al. 2018).
#
# The grey band is not decoration. Of 500 ranks each bin gets a binomial number, and 99 % of those lie in the band; with ten bins, one peeks out in one figure of ten. Without a band you would see slopes in clouds.

# %%
for n in (50, 500, 5000):
    lower, upper = (bound.item() for bound in uniform_band(n, torch.tensor([0.1])))
    print(f"{n:5d} tests: a bin that should hold 10 % holds {lower:.1%} to {upper:.1%}")

# %% [markdown] tags=["slide"]
# ## The laziest posterior in the world
#
# ### Predict first
#
# A colleague's network answers with the *prior*, whatever the data. It has learned nothing. Which shape have its ranks?

# %%
my_guess_lazy = ...  # "flat", "U", "hump" or "slope"

# %% tags=["slide"]
lazy = draw_prior(199 * 500, generator).reshape(199, 500, 2)
fig, ax = plt.subplots(figsize=(4.2, 2.8))
plotting.rank_histograms(
    ax, {"exact": ranks(exact, theta)[:, 0], "prior": ranks(lazy, theta)[:, 0]}, tenth
)
ax.set_ylim(0, 2)
plotting.show(fig, "16_two_flat_ranks")

# %% [markdown]
# **Your prediction:** flat. The truths *were* drawn from the prior, so the prior's promise is true, and useless. **Calibration is necessary, not sufficient.** A flat histogram says that error bars are honest, not that anything was learned. Ask a second question: is the posterior *narrow where the data are*?

# %% [markdown] tags=["slide"]
# ## Exercise 16.2 · Random points  ·  core · 12 min · ●●○
#
# Ranks take one parameter at a time. **TARP** (tests of accuracy with random points, Lemos et al. 2023) takes all: throw a reference point into the box; draw the sphere about it that just reaches the truth; return the share of the draws *inside*. For honest posteriors it is uniform, whatever the points are. All parameters are already scaled to 0–1; distances are Euclidean.


# %%
def tarp(draws, theta, references):
    """(n,) share of the draws (S, n, P) nearer to the reference (n, P) than the truth (n, P) is."""
    # solution: two distances along the last axis, one (S, n) and one (n,), then as before
    of_draws = (draws - references).norm(dim=-1)
    of_truth = (theta - references).norm(dim=-1)
    return (of_draws < of_truth).double().mean(0)
    # end solution


tarp = check.tarp(tarp)

# %% [markdown]
# Twice: once with points that know nothing, and once with points that know the *data*, but not the truth: for each spectrum the θ of the most similar of 2000 other simulations. Such a point lies near the truth. A posterior that has looked at the data has half of its draws nearer still; the prior has hardly any.


# %%
def unit(theta):
    """Scaled to the box, 0 to 1."""
    return (theta - low) / (high - low)


def see(counts):
    """What networks see: logarithms, and zero counts stay finite."""
    return torch.log(counts + 1)


# %%
bank = draw_prior(2000, generator)
nearest = torch.cdist(see(counts), see(simulate(bank, generator))).argmin(1)
references = {"at random": draw_prior(500, generator), "from the data": bank[nearest]}
fig, axes = plt.subplots(1, 2, figsize=(7.6, 3.8), sharey=True)
honest = uniform_band(500, torch.linspace(0, 1, 101))
for ax, (name, points) in zip(axes, references.items(), strict=True):
    cases = {k: spoiled[k] for k in ("exact", "half as wide", "twice as wide")} | {"prior": lazy}
    shares = {k: tarp(unit(d), unit(theta), unit(points)) for k, d in cases.items()}
    plotting.coverage(ax, shares, honest).set_title(f"points {name}")
axes[1].set_ylabel("")
plotting.show(fig, "16_coverage")

# %% [markdown]
# The prior passes with random points and is caught with informed ones. (There its curve shoots up at once: too wide. "Half as wide" crosses the diagonal in an S, since the truth falls outside on either side.) With points that depend on the data TARP is even *sufficient*, in the limit of many tests and all points.
#
# In practice you call one function. It refuses to mislead: with too few tests it raises an error, which carries what little it knows.

# %% tags=["nbval-ignore-output"]
for name, draws in {**spoiled, "prior": lazy}.items():
    found = calibration(draws, theta, low, high, generator)
    print(
        f"{name:14s} bias {found.bias[0]:+.2f} ± {found.bias_error[0]:.2f} sd, scatter "
        f"{found.scatter[0]:.2f};  p(SBC) {found.sbc_p[0]:.2g}, p(TARP) {found.tarp_p:.2g}"
    )
try:
    calibration(exact[:, :40], theta[:40], low, high, generator)
except TooFewError as refused:
    print(f"\nTooFewError: {refused}\nestimate: scatter {refused.estimate.scatter[0]:.2f}")

# %% [markdown]
# Look at "shifted up": the ranks see it at once, random points hardly. A step towards some of them is a step away from the others. Use both.

# %% [markdown]
# ## A network, and one number for its honesty
#
# Now NPE on 5000 simulations. A flow also has a density, which gives the most common test of all: the **smallest** region that reaches the truth holds those draws that are *more probable* than it. Its credibility must be uniform, and the plot of shares over credibility is called **expected coverage** (Hermans et al. 2022).

# %% tags=["nbval-ignore-output"]
seeded = torch.Generator().manual_seed(0)  # of weights, order of batches and held-out simulations
theta_train = draw_prior(5000, generator)
npe = train_posterior(
    theta_train, see(simulate(theta_train, generator)), low, high, generator=seeded, n_flows=1,
    summary="ln(counts + 1) in 12 bins of RXTE's PCA, 3-25 keV, 10 s; photon index, lg K",
)  # fmt: skip
draws = npe.sample(199, see(counts), generator=seeded)
found = calibration(draws, theta, low, high, seeded)
for name, bias, scatter, p in zip(names, found.bias, found.scatter, found.sbc_p, strict=True):
    print(f"{name:15s} bias {bias:+.2f} sd, scatter {scatter:.2f}, p(SBC) {p:.2f}")
width = (draws.std(0) / exact.std(0)).median(0).values
print(f"p(TARP) {found.tarp_p:.2f}; width / exact width, median: {width[0]:.2f} and {width[1]:.2f}")

# %% [markdown]
# ## Few simulations, many voices
#
# Some simulators take an hour for each θ. What does a network do with *500* simulations? We ask lesson 14's QPO behind dead time, 99 powers and four parameters, and train four flows on the same 500. They differ in their first weights and in what they hold out, and that is all.

# %% [markdown] tags=["slide"]
# ## Exercise 16.3 · Four opinions  ·  core · 8 min · ●●○
#
# An **ensemble** draws from one of its members at random: its density is the mean of *their densities*. Networks give logarithms, which far from the truth are -2000 or less, where `exp` gives zero. Return the logarithm of the mean density.


# %%
def together(log_q):
    """(n,) ln of the mean of K densities, from their logarithms (K, n)."""
    # solution: torch.logsumexp adds up densities safely; then divide by K = len(log_q), in logarithms
    return torch.logsumexp(log_q, 0) - np.log(len(log_q))
    # end solution


together = check.together(together)

# %%
dead_low, dead_high = torch.tensor([0.1, 5.0, 3.0, 500.0]), torch.tensor([0.5, 40.0, 30.0, 1500.0])
behind = DeadTimeSimulator()  # θ = rms, ν₀ [Hz], q, rate [1/s]
theta_dead = draw_prior(300, generator, dead_low, dead_high)
x_dead = behind(theta_dead, generator).log()


def opinions(seed, n=500, n_flows=4):
    """For tests x_dead: ln q of the truth, and credibility; of each flow and of all together."""
    generator = torch.Generator().manual_seed(seed)
    some = draw_prior(n, generator, dead_low, dead_high)
    x = behind(some, generator).log()
    settings = dict(generator=generator, n_flows=1, batch_size=100, learning_rate=0.01)
    flows = [train_posterior(some, x, dead_low, dead_high, **settings) for _ in range(n_flows)]
    draws = [flow.sample(52, x_dead, generator=generator) for flow in flows]
    mixed = torch.cat([d[::n_flows] for d in draws])
    truth = torch.stack([flow.log_prob(theta_dead[None], x_dead)[0] for flow in flows])
    shares = [
        credibility(f.log_prob(d, x_dead), t) for f, d, t in zip(flows, draws, truth, strict=True)
    ]
    of_mixed = torch.stack([flow.log_prob(mixed, x_dead).flatten() for flow in flows])
    of_mixed, of_truth = (torch.as_tensor(together(log_q)) for log_q in (of_mixed, truth))
    shares.append(credibility(of_mixed.reshape(-1, len(x_dead)), of_truth))
    return torch.stack([*truth.mean(1), of_truth.mean()]), torch.stack(shares)


# %% tags=["nbval-ignore-output"]
found = [opinions(seed) for seed in range(5)]
print("five sets of 500 simulations          each of 4 flows      together")
density = torch.stack([d for d, _ in found])
held = torch.stack([(s < 0.68).double().mean(1) for _, s in found])
for name, values in (("truths in 68 % regions", 100 * held), ("mean ln q(truth)", density)):
    one, all_four = values[:, :4].mean(1), values[:, 4]
    print(
        f"{name:35s}{one.mean():7.1f} ± {one.std():.1f}       {all_four.mean():7.1f} ± {all_four.std():.1f}"
    )
print("sets in which all together say more than the best of one:",
      f"{(density[:, 4] > density[:, :4].max(1).values).sum()} of 5")  # fmt: skip

# %% tags=["nbval-ignore-output"]
fig, ax = plt.subplots(figsize=(4.4, 4.2))
labels = [f"flow {k}" for k in (1, 2, 3, 4)] + ["together"]
band = uniform_band(len(theta_dead), torch.linspace(0, 1, 101))
plotting.coverage(ax, dict(zip(labels, found[0][1], strict=True)), band)
ax.lines[-1].set(linewidth=3, linestyle="-")
ax.legend(loc="lower right")
plotting.show(fig, "16_ensemble")

# %% [markdown]
# A flow promises 68 % and holds little more than half: **overconfident**, as all methods of SBI can be (Hermans et al. 2022). Where simulations are few, the four guess differently, and their disagreement is honest width: together they hold about what they promise, *and* give the truth a higher density than any of them. (The cure for the cause is more simulations.)
#
# It is no law that an average is honest. Where each flow is calibrated already and they still differ, their average is *too wide* (Gneiting & Ranjan 2013, [arXiv:1106.1638](https://arxiv.org/abs/1106.1638)). Test what you publish, not its parts.

# %% [markdown]
# ## When there is a likelihood, be exact
#
# Sometimes the network is only the fast way, and a likelihood exists, as here. Then draw from the network, and weight the draws by what it should have said: **importance sampling**, $w \propto p(x\mid\theta)\,p(\theta)/q(\theta\mid x)$. The network need not be right; it must only not leave anything out.

# %% [markdown] tags=["slide"]
# ## Exercise 16.4 · Weigh them  ·  core · 10 min · ●●○
#
# The prior is uniform. Return the weights, summing to one, and how many draws they are worth: $1/\sum w^2$. Logarithms are in the thousands, of either sign: subtract the largest one before `exp`.


# %%
def weigh(log_likelihood, log_q):
    """Weights (n,) that sum to one, and what they are worth, from ln L (n,) and ln q (n,) of draws."""
    # solution: a quotient is a difference of logarithms; torch.softmax does the rest, safely
    weights = torch.softmax((log_likelihood - log_q).double(), 0)
    return weights, 1 / (weights**2).sum()
    # end solution


weigh = check.weigh(weigh)

# %% tags=["nbval-ignore-output"]
truth = torch.tensor([1.9, -0.9])
observed = simulate(truth, generator)


def log_likelihood(theta):
    """ln L (n,) of the observed counts."""
    mean = expected(theta)
    return (observed * mean.log() - mean).sum(-1)


some = theta_train[:300]
settings = dict(generator=seeded, n_flows=1, batch_size=50)
poor = train_posterior(some, see(simulate(some, generator)), low, high, **settings)
ruler = exact_posterior(4000, observed[None], generator)[:, 0]
print(f"{'exact':37s} Γ {ruler[:, 0].mean():.3f} ± {ruler[:, 0].std():.3f}")
refined = {}
for name, network in (("300 simulations", poor), ("5000 simulations", npe)):
    draws = network.sample(4000, see(observed), generator=seeded)
    log_q = network.log_prob(draws[None], see(observed)[None])[0]
    w, worth = (torch.as_tensor(part) for part in weigh(log_likelihood(draws), log_q))
    mean = (w[:, None] * draws).sum(0)
    sd = (w[:, None] * (draws - mean) ** 2).sum(0).sqrt()
    print(f"{name:18s}as it comes        Γ {draws[:, 0].mean():.3f} ± {draws[:, 0].std():.3f}")
    print(f"{'':18s}weighted ({worth / 4000:4.0%})    Γ {mean[0]:.3f} ± {sd[0]:.3f}")
    refined[name] = draws, draws[torch.multinomial(w, 4000, replacement=True, generator=seeded)]

# %% tags=["nbval-ignore-output"]
fig, axes = plt.subplots(2, 2, figsize=(5.2, 4.8))
as_it_comes, weighted = refined["300 simulations"]
shown = {"exact": ruler, "300 simulations": as_it_comes, "weighted": weighted}
plotting.corner(axes, shown, names, truth=truth)
plotting.show(fig, "16_importance")

# %% [markdown]
# A few hundred simulations and a likelihood give the exact posterior. **If you have a likelihood, this is the way to use a network** (Barret & Dupourqué 2026 do it for X-ray spectra). The efficiency in brackets is a check that comes for free: low means that network and likelihood disagree. If the draws are worth next to nothing, the helper refuses. Here network and likelihood are shown different spectra:

# %% tags=["nbval-ignore-output"]
draws, w = importance_sample(npe, see(observed), log_likelihood, 4000, seeded)
print(f"same spectrum: 4000 draws are worth {1 / (w**2).sum():.0f}")
other = simulate(torch.tensor([1.2, -0.9]), generator)
try:
    importance_sample(npe, see(other), log_likelihood, 4000, seeded)
except TooFewError as refused:
    print(f"TooFewError: {refused}")

# %% [markdown]
# ## Keep it, safely
#
# A posterior is worth keeping: with its prior, its summary, its versions. Most people `pickle` their networks. A pickle is not data but a *program*, and whoever loads it runs it. So ours are files of numbers and words.


# %%
class Trap:
    """What somebody may have put into a file that you downloaded."""

    def __reduce__(self):
        return print, ("... this line was printed by the file, and could have been anything",)


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "power_law.pt"
    npe.save(path)
    loaded = load_posterior(path)
    ask = dict(theta=theta[None], x=see(counts))
    print("the same after loading:", torch.equal(loaded.log_prob(**ask), npe.log_prob(**ask)))
    print("it says what it is for:", loaded.summary)
    path.write_bytes(pickle.dumps(Trap(), protocol=2))
    pickle.loads(path.read_bytes())  # never do this with a file that is not yours
    try:
        load_posterior(path)
    except PosteriorFileError as refused:
        print("load_posterior:", str(refused).replace(str(path), path.name))

# %% [markdown]
# ## The wrong model
#
# So far the data came from the simulator. Yours will not. All calibration tests ask whether the network solves *the simulator*; none asks whether the simulator is *the sky*. For that there are three questions: would the observation come out of its own posterior? Is it unlike all simulations? Are *many* observations unlike them?
#
# The first is lesson 14's **posterior predictive check**. Two mistakes, one source, 40 mocks of each: a broad iron line that no simulation has; and a gain that is wrong by 6 %. The statistic is χ² about the posterior's mean model.

# %%
at_iron = (energy_lo < 6.4) & (energy_hi > 6.4)
bright = torch.tensor([2.0, -0.1])
mistakes = {
    "as believed": {},
    "an iron line": {"more": 0.015 * at_iron},  # photons/cm²/s
    "gain 6 % off": {"seen": detector(1.06)},
}


def chi2_about(samples):
    """The statistic: χ² of counts (..., 12) about the model of the samples' mean."""
    mean = expected(samples.mean(0))
    return lambda counts: ((counts - mean) ** 2 / mean).sum(-1)


# %% tags=["nbval-ignore-output"]
ratios = {}
print("40 mocks         (mean - truth)/sd: Γ, lg K     p < 5 %")
for name, source in mistakes.items():
    x = simulate(bright.expand(40, 2), generator, **source)
    samples = npe.sample(200, see(x), generator=seeded)
    p = [
        predictive_p(s, simulate, chi2_about(s), o, generator)
        for s, o in zip(samples.unbind(1), x, strict=True)
    ]
    z = ((samples.mean(0) - bright) / samples.std(0)).mean(0)
    print(f"{name:16s}{z[0]:+14.1f} {z[1]:+5.1f}{np.mean(np.array(p) < 0.05):17.0%}")
    model = expected(samples[:, 0].mean(0))
    replicas = simulate(samples[:, 0], generator) / model
    ratios[name] = x[0] / model, *replicas.quantile(torch.tensor([0.025, 0.975]), 0)

# %% tags=["nbval-ignore-output", "slide"]
edges = [*pca.channel_lo[starts[:-1]].tolist(), pca.channel_hi[starts[-1] - 1].item()]
fig, axes = plt.subplots(1, 3, figsize=(9, 2.7), sharey=True)
for ax, (name, (ratio, lower, upper)) in zip(axes, ratios.items(), strict=True):
    ax.stairs(
        upper.numpy(),
        edges,
        baseline=lower.numpy(),
        fill=True,
        color="0.88",
        label="95 % of replicas",
    )
    plotting.steps(ax, edges, ratio, color="C1", label="observed")
    ax.set(title=name, xscale="log", xlabel="energy (keV)", xticks=[3, 6, 10, 20])
    ax.xaxis.set_major_formatter("{x:g}")
    ax.minorticks_off()
axes[0].set(ylabel="counts / posterior mean", ylim=(0.4, 2))
axes[0].legend(fontsize=8)
plotting.show(fig, "16_replicas")

# %% [markdown]
# The line is *caught*: no power law makes a bump. The gain is **not**: a power law with stretched energies is another power law, both parameters are wrong by about two error bars, and χ² is content. A check sees only what the model *cannot imitate*.

# %% [markdown] tags=["slide-next"]
# **Discuss with your neighbour:** what would have caught the gain? (Think of a line whose energy you know, of a second instrument, of a source that everybody has observed.)

# %% [markdown]
# ## Three wrong beliefs, and what each does
#
# Now over the whole prior, with 400 truths each, on lessons 14 and 15, with ensembles:
#
# 1. A network believes in a **constant dead time**; the data come from NuSTAR's, which varies.
# 2. A network believes in Chandra's sharp **image**; the true one is 20 % wider.
# 3. Simulator right, **population wrong**: a prior of all QPOs; the targets are weak and narrow ones, rms .1–.2 and $q$ of 20–30.
#
# Bias, coverage and ranks need truths, so only simulations have them. The last two columns can be had from real data: `p(all)` compares a hundred observations together with simulations (median of four hundreds; 500 shuffles, so that .000 means below .002), and `unlike` is the share of observations that are lonelier than 99 % of the simulations. More of both below.

# %% [markdown]
# ### Predict first
#
# One of the three leaves the coverage of the 68 % regions nearly as it should be, although posteriors are biased. Which?

# %%
my_guess_case = ...  # 1, 2 or 3


# %%
def judge(name, posterior, theta, x, known):
    """One row of the table: bias of each parameter, coverage, and whether data look like simulations."""
    draws = posterior.sample(100, x, generator=seeded)
    found = calibration(draws, theta, posterior.low, posterior.high, seeded)
    shares = credibility(posterior.log_prob(draws, x), posterior.log_prob(theta[None], x)[0])
    odd = (anomaly_p(posterior.features(x), known) < 0.01).double().mean()
    hundreds = posterior.features(x).split(100)
    p = np.median([misspecification_p(some, known, seeded) for some in hundreds])
    bias = " ".join(f"{value:+.1f}" for value in found.bias)
    held, least = (shares < 0.68).double().mean(), found.sbc_p.min()
    least = f"{least:.1g}" if least > 1e-9 else "< 1e-9"
    print(f"{name:26s}{bias:22s}{held:6.0%}{least:>14s}{p:12.3f}{odd:10.0%}")


head = f"{'':26s}{'bias in sd':24s}68 %  least p(SBC)    p(all)   unlike"


# %% tags=["nbval-ignore-output"]
kilohertz = dict(bin_size=0.5 / 750, segment=None, log_f=0.03)
hf = DeadTimeSimulator(dead_time=2.5e-3, **kilohertz)
hf_low, hf_high = torch.tensor([0.1, 100.0, 3.0, 500.0]), torch.tensor([0.5, 300.0, 30.0, 1500.0])
some = draw_prior(5000, generator, hf_low, hf_high)
steady = train_posterior(
    some, hf(some, generator).log(), hf_low, hf_high, generator=seeded, n_flows=3
)
known = steady.features(hf(draw_prior(600, generator, hf_low, hf_high), generator).log())
tests = draw_prior(400, generator, hf_low, hf_high)
weak = draw_prior(400, generator, torch.tensor([0.1, 100.0, 20.0, 500.0]),
                  torch.tensor([0.2, 300.0, 30.0, 1500.0]))  # fmt: skip
nustar = DeadTimeSimulator(dead_time=NUSTAR, **kilohertz)
print(f"{head}\nQPO at 100-300 Hz: rms, ν₀, q, rate")
judge("  as believed", steady, tests, hf(tests, generator).log(), known)
judge("  1 dead time varies", steady, tests, nustar(tests, generator).log(), known)
judge("  3 weak, narrow QPOs", steady, weak, hf(weak, generator).log(), known)

# %% tags=["nbval-ignore-output"]
rings = dict(
    exposure=10_000.0, annuli=[0, 1, 2, 4], channels=torch.linspace(0.3, 8, 33),
    energies=(0.1, 12.1, 0.04),
)  # fmt: skip
sharp = PileUpSimulator(ACIS, **rings)
wide = PileUpSimulator(replace(ACIS, psf_core=1.2 * ACIS.psf_core), **rings)
ccd_low, ccd_high = torch.tensor([-12.7, 1.0, 0.05]), torch.tensor([-11.0, 3.0, 1.0])
some = draw_prior(3000, generator, ccd_low, ccd_high)
piled = train_posterior(some, sharp(some, generator).sqrt(), ccd_low, ccd_high, generator=seeded)
known = piled.features(sharp(draw_prior(600, generator, ccd_low, ccd_high), generator).sqrt())
tests = draw_prior(400, generator, ccd_low, ccd_high)
print(f"{head}\nPile-up: log flux, Γ, N_H")
judge("  as believed", piled, tests, sharp(tests, generator).sqrt(), known)
judge("  2 image 20 % wider", piled, tests, wide(tests, generator).sqrt(), known)

# %% [markdown]
# **Your prediction:** number 3, the population of weak, narrow QPOs.
#
# Read it row by row. (Where all is as believed, the least of four p-values may be small: 5000 simulations only just suffice for the QPO.)
#
# - **The varying dead time** biases the rate by several error bars, and the regions hold next to nothing. A hundred observations *together* are clearly unlike the simulations (`misspecification_p`, the last column but one, which compares the network's features by the distance that you build below). Single ones are not: the share that the **anomaly score** calls unlike stays at about the 1 % that it calls unlike by construction.
# - **The wider image** biases Γ by about an error bar, coverage falls, and in this table hardly anything objects. What did, in lesson 15, were the rejected events, which the network never saw.
# - **The population** leaves the simulator right, and coverage near 68 %. Yet $q$ is biased by about an error bar: where data say little, the prior speaks, and it says "most QPOs are broader than yours". Flat ranks over *your* prior say nothing of *their* population. And here `p(all)` raises its alarm, although no posterior is wrong, given its prior. **An alarm is not a diagnosis.**
#
# ## Unlike everything
#
# The **anomaly score** asks of one observation: how far is its tenth neighbour among simulations, in the space of some features, and which share of the simulations is as lonely? We try two sets of features: those of the network, and the roots of the 12 counts, without their correlations. `p(all)` asks a hundred observations together, by the network's features.

# %% tags=["nbval-ignore-output"]
simulated = simulate(draw_prior(2000, generator), generator)
decorrelate = torch.linalg.inv(torch.linalg.cholesky(torch.cov(simulated.sqrt().T))).T
views = {"network": lambda x: npe.features(see(x)), "roots": lambda x: x.sqrt() @ decorrelate}
theta_new = draw_prior(300, generator)
outside = draw_prior(300, generator, torch.tensor([3.6, -1.0]), torch.tensor([4.4, 0.0]))
strange = {
    "as believed": simulate(theta_new, generator),
    "Γ of 3.6-4.4": simulate(outside, generator),
    "an iron line": simulate(theta_new, generator, more=0.015 * at_iron),
    "20 counts of background": torch.poisson(expected(theta_new) + 20, generator=generator),
    "gain 6 % off": simulate(theta_new, generator, seen=detector(1.06)),
}
print("300 spectra each, share with p < 1 %    network    roots    p(all)")
for name, x in strange.items():
    odd = [(anomaly_p(v(x), v(simulated)) < 0.01).double().mean() for v in views.values()]
    p = misspecification_p(views["network"](x[:100]), views["network"](simulated[:600]), seeded)
    print(f"{name:36s}{odd[0]:11.0%}{odd[1]:9.0%}{p:10.3f}")

# %% [markdown]
# The roots see nearly every line, and no steep source; the network's features see a part of both. Neither sees the gain, and hardly any the background, one spectrum at a time, although the next section will show parameters that are wrong by a third of the box. (Among all the faint and noisy spectra that the prior holds, there is a neighbour for nearly everything.) A hundred together give the background away at once, the gain hardly or not at all. **An alarm is worth hearing; silence is not safety.**
#
# ## Adapting to data without labels
#
# You have thousands of real spectra without truths. Could training make the network *ignore* what differs between simulations and sky? **Unsupervised domain adaptation** adds a penalty to the loss: the embedded simulations and the embedded observations shall look alike. "Alike" is measured by the **maximum mean discrepancy**,
#
# $$\mathrm{MMD}^2 = \overline{k(a, a')} + \overline{k(b, b')} - 2\,\overline{k(a, b)}, \qquad k(u, v) = e^{-|u - v|^2/2h^2},$$
#
# with means over all pairs, those of a point with itself among them: how alike are two of ours, two of theirs, and one of each? Swierc et al. (2024) do this for NPE of gravitational lenses.

# %% [markdown] tags=["slide"]
# ## Exercise 16.5 · How different are two clouds?  ·  core · 12 min · ●●○
#
# Write MMD² for features `a` (n, M) and `b` (m, M), in torch, so that the training can take its slope. `torch.cdist` has all distances between two sets of points.


# %%
def mmd2(a, b, width):
    """Squared maximum mean discrepancy of points (n, M) and (m, M), for Gaussian kernels of this width."""

    # solution: one small function for the mean of k over all pairs, called three times
    def alike(u, v):
        return torch.exp(-(torch.cdist(u, v) ** 2) / (2 * width**2)).mean()

    return alike(a, a) + alike(b, b) - 2 * alike(a, b)
    # end solution


mmd2 = check.mmd2(mmd2)

# %% [markdown]
# A small network of our own: an embedding to six features, and from them a mean and an error for each parameter. Ten lines train it. `weight` is the price of looking different; the kernel is as wide as the features' median distance, or else the network would simply shrink them.


# %%
def adapt(theta, x, target, weight, seed, n_steps=400, batch=128):
    """Train on simulations (theta, x), with a penalty for features unlike those of unlabelled targets."""
    torch.manual_seed(seed)
    layers = nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6)
    embed, head = (
        nn.Sequential(*layers),
        nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4)),
    )
    optimiser = torch.optim.Adam([*embed.parameters(), *head.parameters()], 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, n_steps)
    for _ in range(n_steps):
        i, j = torch.randint(len(x), (batch,)), torch.randint(len(target), (batch,))
        ours = embed(x[i])
        mean, log_sd = head(ours).chunk(2, -1)
        loss = (((theta[i] - mean) / log_sd.exp()) ** 2 / 2 + log_sd).sum(-1).mean()
        if weight > 0:
            width = torch.cdist(ours, ours).detach().median()
            loss = loss + weight * mmd2(ours, embed(target[j]), width)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return embed, head


# %% [markdown] tags=["slide"]
# Three targets, each with half for training, without labels, and half to test, with them:
#
# - **background**: 20 counts per bin that no simulation has;
# - **gain**: energies 6 % off;
# - **population**: the simulator is right, but all targets are bright and steep, from a quarter of the box each way.
#
# ### Predict first
#
# Where will adaptation help, where will it do nothing, and where harm?

# %%
my_guess_adapt = ...  # for example "helps: ..., nothing: ..., harms: ..."


# %%
def targets(generator):
    """{name: (theta (2000, 2), counts (2000, 12))} of three kinds of data."""
    theta = draw_prior(2000, generator)
    few = draw_prior(2000, generator, torch.tensor([2.4, -0.4]), torch.tensor([2.9, -0.05]))
    return {
        "background": (theta, torch.poisson(expected(theta) + 20, generator=generator)),
        "gain": (theta, simulate(theta, generator, seen=detector(1.06))),
        "population": (few, simulate(few, generator)),
    }


def score(embed, head, x_train, theta, x):
    """Root mean square error in % of the box (2,), share of truths in 68 % intervals, MMD², of targets."""
    with torch.no_grad():
        ours, theirs = embed(x_train[:500]), embed(x)
        mean, log_sd = head(theirs).chunk(2, -1)
    wrong = unit(theta) - mean
    held = (wrong.abs() < log_sd.exp()).double().mean()
    distance = mmd2(ours, theirs[:500], torch.cdist(ours, ours).median())
    return [*(100 * (wrong**2).mean(0).sqrt()), 100 * held, distance]


# %%
def compare(seed, weight=10.0):
    """{(target, way): scores} of one set of simulations and weights."""
    generator = torch.Generator().manual_seed(seed)
    theta = draw_prior(5000, generator)
    x = see(simulate(theta, generator))
    background = 40 * torch.rand(5000, 1, generator=generator)
    with_background = see(torch.poisson(expected(theta) + background, generator=generator))
    centre, scale = x.mean(0), x.std(0)
    x, with_background = (x - centre) / scale, (with_background - centre) / scale
    plain = adapt(unit(theta), x, x, 0, seed)
    found = {}
    for name, (truths, counts) in targets(generator).items():
        seen = (see(counts) - centre) / scale
        test = truths[1000:], seen[1000:]
        found[name, "plain"] = score(*plain, x, *test)
        found[name, "adapted"] = score(*adapt(unit(theta), x, seen[:1000], weight, seed), x, *test)
        if name == "background":
            knows = adapt(unit(theta), with_background, x, 0, seed)
            found[name, "simulated, 0-40"] = score(*knows, with_background, *test)
    return found


# %% tags=["nbval-ignore-output"]
runs = [compare(seed) for seed in range(5)]
print("mean ± scatter, 5 seeds           error, % of box")
print("target       way                  Γ            lg K         68 % hold    MMD²")
for key in runs[0]:
    values = np.array([[float(v) for v in run[key]] for run in runs])
    (g, k, held, d), (dg, dk, dheld, _) = values.mean(0), values.std(0, ddof=1)
    name, way = key
    errors = f"{g:5.1f} ± {dg:4.1f} {k:5.1f} ± {dk:4.1f}"
    print(f"{name:12s} {way:16s} {errors} {held:5.0f} ± {dheld:3.0f} %{d:10.3f}")

# %% tags=["nbval-ignore-output", "slide"]
fig, ax = plt.subplots(figsize=(6.5, 3.0))
for row, key in enumerate(runs[0]):
    values = [float(run[key][0]) for run in runs]
    look = {"plain": "C0o", "adapted": "C1s"}.get(key[1], "C2^")
    ax.plot(values, [row] * 5, look, alpha=0.7)
ax.set(xscale="log", xlabel="root mean square error of Γ (% of the box)", ylim=(6.6, -0.6))
ax.set_yticks(range(7), [f"{name}, {way}" for name, way in runs[0]])
ax.set_xticks([5, 10, 20, 40], ["5", "10", "20", "40"])
ax.minorticks_off()
plotting.show(fig, "16_adaptation")

# %% [markdown]
# **Your prediction:** it helps for the background, does nothing for the gain, and harms for the population.
#
# - **Background**: helps. The error of Γ more than halves, that of lg K falls by a third, in all seeds, without one label. But the 68 % intervals still hold far too few: *better is not honest*.
# - **Gain**: nothing. Gain-shifted spectra look like other power laws; the clouds lay upon each other from the start. Compare the MMD.
# - **Population**: harms, badly. The clouds differ because the *sources* do, and the penalty forces bright steep ones to look like all others. MMD fell, errors rose several times over. Adaptation assumes that the population is the one you simulated, and cannot check that ([arXiv:2502.04949](https://arxiv.org/abs/2502.04949) finds the same).
#
# We chose `weight` with truths in hand, which real targets do not have. And look at the third row: put the nuisance **into the simulator**, with a prior for what you do not know, and you beat all that, with intervals that hold. Adaptation is for what you cannot simulate, not for what you have not bothered to.

# %% [markdown]
# ## Checking only when it surprises
#
# Suppose all of the above can be done, once somebody doubts a result. When does somebody doubt? Let the true Γ be 2.05; the literature says 1.9. Each of 600 groups has a gain that is off by up to 6 %, unknown to it. Results within .1 of the literature are published as they are; from the others the authors look for errors, find the gain and mend it.

# %% tags=["nbval-ignore-output"]
steep = torch.tensor([2.05, -0.3])
results = {"all as measured": [], "all checked": [], "checked if it surprised": []}
for gain in np.linspace(0.94, 1.06, 30):
    measured, mended = (
        npe.sample(
            100, see(simulate(steep.expand(20, 2), generator, seen=seen)), generator=seeded
        ).mean(0)[:, 0]
        for seen in (detector(gain), detector())
    )
    published = torch.where((measured - 1.9).abs() < 0.1, measured, mended)
    for values, new in zip(results.values(), (measured, mended, published), strict=True):
        values.append(new)
for name, values in results.items():
    values = torch.cat(values)
    print(f"{name:24s} mean Γ {values.mean():.3f} ± {values.std() / 600**0.5:.3f}   (truth 2.050)")

# %% [markdown]
# Nobody cheated, every correction was right, and the mean is wrong by many standard errors, *towards the literature*. (The hundredth or so by which all that were checked may miss is the network's, and a posterior mean's: it leans on the prior.) Gains that pushed the result down to it were never looked for. That is **confirmation bias**, and emulators and networks invite it: nobody reruns the slow simulator to check a pleasant answer. Decide what you check *before* you see the result, and check a random share of the ones that please you.

# %% [markdown] tags=["slide"]
# ## Exercise 16.6 · What goes into the paper?  ·  core · 8 min · ●○○
#
# You write up an inference with a network. Sort: `"in the paper"`, `"in the repository"` (with a link in the paper), or `"no evidence"` (for what it is meant to show).

# %%
# solution: could a reader judge, or repeat, the result without it? does it test what it claims?
report = {
    "the prior, with its corners, and why": "in the paper",
    "how many simulations, and that half of them give the same posterior": "in the paper",
    "ranks and coverage of 500 fresh tests, with bands": "in the paper",
    "a predictive check with a statistic that the network did not see": "in the paper",
    "what gain, PSF and dead time do to the result if they are a little wrong": "in the paper",
    "a comparison with a likelihood or a fit, where one exists": "in the paper",
    "simulator, seeds, versions; the posterior in a file that runs no code": "in the repository",
    "tables of all runs, those that failed included": "in the repository",
    "the posterior of one mock holds the truth, so it works": "no evidence",
    "the training loss converged, so the posterior is right": "no evidence",
    "the ranks are flat, so the simulator is right": "no evidence",
    "the MMD is small after adaptation, so the parameters are right": "no evidence",
}
# end solution
report = check.report(report)

# %% [markdown]
# ## The lesson of the lessons
#
# - **If statistics can do it, use statistics.** It comes with guarantees. In this lesson the likelihood was the ruler and the cure; networks were what had to be tested.
# - **Networks make models fast, at a price in accuracy.** Ask for the price: with a ruler, with coverage, with importance sampling.
# - **SBI is principled.** It is Bayes' theorem, with a simulator where the likelihood would stand, and its promises can be counted. Much of its machinery (ranks, coverage, predictive checks) works for any posterior, from any sampler: take it home even if you never train a flow.
# - **Associations are no causes, and truth must come from somewhere.** A network learns what goes with what in its simulations; the simulator is its only ground truth. So most of the work, and of the trust, is in the simulator.
# - **The newest algorithm is not always the best for science.** Here an ensemble of plain flows, and one more line in the simulator, did more than adaptation did.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - U: too narrow; hump: too wide; slope: biased. With a band, or not at all.
# - The prior passes ranks. Flat is necessary, not sufficient: ask also how narrow, and use reference points that know the data.
# - Few simulations make overconfident flows. Several together are more honest, and better.
# - Where a likelihood exists, weights make a network exact, and their efficiency is a check.
# - Predictive checks see what the model cannot imitate: a line, not a gain. Anomaly scores see what is new in the features.
# - Bias without loss of coverage (another population), loss of coverage without alarm (a wider image): no single number is trust.
# - Adaptation helps against an unmodelled nuisance, does nothing for what looks like θ, and harms if the population differs. Simulate what you can.
# - Checks that wait for a surprise bias the literature.

# %% [markdown]
# **Further reading.** Talts et al. 2018 ([arXiv:1804.06788](https://arxiv.org/abs/1804.06788): ranks) · Lemos et al. 2023 ([arXiv:2302.03026](https://arxiv.org/abs/2302.03026): TARP) · Hermans et al. 2022 ([arXiv:2110.06581](https://arxiv.org/abs/2110.06581): overconfidence, and ensembles against it) · Swierc et al. 2024 ([arXiv:2410.16347](https://arxiv.org/abs/2410.16347): adaptation), and [arXiv:2502.04949](https://arxiv.org/abs/2502.04949), where it fails · Barret & Dupourqué 2026 ([arXiv:2512.16709](https://arxiv.org/abs/2512.16709): importance sampling of X-ray spectra) · Huppenkothen, Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528): how to report)
