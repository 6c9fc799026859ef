# %% [markdown]
# # 13 · Simulation-based inference
#
# | **The question** | We can simulate what a telescope would record, but not write down how probable it is. What can we still say about the source? |
# |---|---|
# | **Afterwards you can** | say when a likelihood is missing, and use it when it is not; write rejection ABC, a mixture density network and a coupling layer by hand; choose among NPE, NLE and NRE, and compare any posterior with another one |
# | **Time** | 60 min of reading or teaching, 72 min of exercises |
# | **Data** | simulated counts of a power law in one detector of RXTE, made here; the response is real, see `data/README.md` |
# | **Run time** | below 90 s on two cores |

# %%
import tempfile
import time
import warnings
from contextlib import redirect_stdout
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import torch
import zuko
from sbi.inference import NLE, NPE, NRE
from sbi.utils import BoxUniform
from sbi.utils.tracking import TensorBoardTracker
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from tqdm.auto import tqdm

from course.checks import lesson_13 as check

# %%
from helpers import data, plotting
from helpers.spectra import Response, power_law

plotting.use_course_style()

# %% [markdown]
# ## Don't do it
#
# Your model is a function $f(\theta)$: parameters in, expected counts out. You record $x_j$ counts in bin $j$. Bayes' theorem turns the model round,
#
# $$p(\theta \mid x) = \frac{p(x \mid \theta)\; p(\theta)}{p(x)}, \qquad \text{here} \quad p(x \mid \theta) = \prod_j \text{Poisson}\big(x_j \mid f_j(\theta)\big).$$
#
# The physics sits *inside* the likelihood $p(x\mid\theta)$; $p(\theta)$ is the prior, $p(\theta\mid x)$ the **posterior**, which we want; $p(x)$, the evidence, does not depend on $\theta$. If you can write the likelihood down, write it down, and use a sampler: that comes with guarantees, and nothing in this lesson does. If $f$ is merely *slow*, learn $f$ (an **emulator**) and keep the likelihood; then the emulator's training data must be reliable, and cover where you will use it.
#
# So when is a likelihood missing?
#
# - **The model is itself random.** A light curve is one realisation of a stochastic process; its likelihood is an integral over all that could have been.
# - **The detector has a memory.** Dead time: a photon is lost *because* another came just before (lesson 14). Pile-up: two photons are recorded as one (lesson 15). Counts are no longer independent.
# - **Somebody selected.** Triggers, source detection and grade filters are easy to run and hard to integrate.
#
# All three can be *simulated*. **Simulation-based inference** (SBI) needs no more than that. To trust it, we try it first where we know the answer.

# %% [markdown] tags=["slide"]
# ## A problem with a known answer
#
# A power law $K E^{-\Gamma}$ photons/cm²/s/keV, at energies $E$ in keV, in one detector of RXTE, seen for 10 s: $\theta = (\Gamma, \lg K)$, with $\lg$ the logarithm to base ten. The response is real; we make it coarse, 30 photon energies and 12 energy bins, and call that the truth for today. The prior is uniform in a box.

# %%
pca = data.load_response("rxte_pca")
starts = [3, 5, 7, 9, 11, 14, 17, 21, 25, 30, 36, 44, 54]  # channels: 3 to 25 keV in 12 bins
seen = pca.effective_area[:, None] * pca.redistribution
seen = torch.stack([seen[:, a:b].sum(1) for a, b in pairwise(starts)], 1)
seen, area = (x.unflatten(0, (30, 10)).mean(1) for x in (seen, pca.effective_area))
detector = Response(
    energy_lo=pca.energy_lo[::10], energy_hi=pca.energy_hi[9::10], effective_area=area,
    redistribution=seen / area[:, None],
    channel_lo=pca.channel_lo[starts[:-1]], channel_hi=pca.channel_lo[starts[1:]],
)  # fmt: skip
exposure = 10.0  # s
low, high = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0])
names = ["photon index Γ", "lg K (1/keV/cm²/s)"]

# %% [markdown] tags=["slide"]
# ## Exercise 13.1 · The physics, for a thousand at once  ·  core · 8 min · ●●○
#
# Write $f$. SBI runs a model many thousand times, and a loop is what makes it slow. So all simulators of this course keep one **contract**: `theta` is (..., P), the answer is (..., N), whatever the dots are; randomness comes from a `generator` that is handed in.
#
# `power_law(energy_lo, energy_hi, photon_index, norm)` gives photons/cm²/s, `detector.fold(flux)` counts/s.

# %%


def expected(theta, detector, exposure):
    """Expected counts (..., n_bins) for theta (..., 2), which is Γ and lg K."""
    # solution: theta[..., 0] is Γ with all its batch dimensions; K is a power of ten; counts, not counts/s
    flux = power_law(detector.energy_lo, detector.energy_hi, theta[..., 0], 10 ** theta[..., 1])
    return exposure * detector.fold(flux)
    # end solution


expected = check.expected(expected)


# %%
def draw_prior(n, generator, low=low, high=high):
    """Parameters (n, 2), uniform in a box."""
    return low + (high - low) * torch.rand(n, len(low), generator=generator)


def simulate(theta, generator):
    """Counts (..., 12) for theta (..., 2)."""
    return torch.poisson(expected(theta, detector, exposure), generator=generator)


generator = torch.Generator().manual_seed(13)
truth = torch.tensor([1.9, -1.2])
observed = simulate(truth, generator)
again = simulate(truth.expand(300, 2), generator)
start = time.perf_counter()
simulate(draw_prior(10_000, generator), generator)
print("one batch of 10,000 takes less than a second:", time.perf_counter() - start < 1)
print(f"observed: {observed.sum():.0f} counts in 12 bins")

# %%
edges = np.append(detector.channel_lo, detector.channel_hi[-1])
width = np.diff(edges)
fig, ax = plt.subplots(figsize=(6.5, 3.4))
band = np.quantile(again.numpy() / width, (0.16, 0.84), axis=0)
ax.stairs(band[1], edges, baseline=band[0], fill=True, color="0.85", label="68 % of repetitions")
mean = expected(truth, detector, exposure).numpy()
plotting.steps(ax, edges, mean / width, color="black", linestyle="--", label="expected, f(θ)")
plotting.steps(ax, edges, observed.numpy() / width, color="C0", label="observed")
ax.set(xscale="log", xlabel="energy (keV)", ylabel="counts per keV", xticks=[3, 5, 10, 20])
ax.xaxis.set_major_formatter("{x:g}")
ax.minorticks_off()
ax.legend()
plotting.show(fig, "13_expected_and_observed")

# %% [markdown]
# A couple of hundred photons. Given that noise, which $\Gamma$ and $K$ are possible?

# %% [markdown] tags=["slide"]
# ## Exercise 13.2 · The likelihood, since we have it  ·  core · 8 min · ●●○
#
# Return $\ln p(x\mid\theta)$ of Poisson counts, summed over the bins, for batches of either. What does not depend on $\theta$ may be left out.


# %%
def log_likelihood(counts, mean):
    """Logarithm of the Poisson likelihood (...) of counts (..., n_bins) with this mean (..., n_bins)."""
    # solution: Poisson is f^x e^(-f) / x!, so its logarithm has two terms with f
    return (counts * mean.log() - mean).sum(-1)
    # end solution


log_likelihood = check.log_likelihood(log_likelihood)

# %% [markdown]
# Two parameters need no sampler: put a grid over the box, and draw its points with weights $p(x\mid\theta)$. With a uniform prior that *is* the posterior.

# %%
n_grid = 300
ticks = [
    torch.linspace(a, b, n_grid + 1)[1:] - (b - a) / n_grid / 2
    for a, b in zip(low, high, strict=True)
]
grid = torch.cartesian_prod(*ticks)
grid_mean = expected(grid, detector, exposure)


def draw_from_grid(log_density, n, generator, grid=grid):
    """(n, 2) parameters from a log density at the points of a grid, spread evenly inside its cells."""
    weight = torch.softmax(log_density.double(), 0)
    cells = torch.multinomial(weight, n, replacement=True, generator=generator)
    inside = torch.rand(n, 2, generator=generator) - 0.5
    return grid[cells] + inside * (high - low) / len(grid) ** 0.5


generator = torch.Generator().manual_seed(1)
exact = draw_from_grid(log_likelihood(observed, grid_mean), 2000, generator)
for name, values, value in zip(names, exact.T, truth, strict=True):
    print(f"{name:18s} {values.mean():6.2f} ± {values.std():.2f}   truth {value:.2f}")
print(f"correlation {torch.corrcoef(exact.T)[0, 1]:.2f}")

# %% [markdown]
# The two parameters are tightly correlated: $K$ is the flux at 1 keV, where this detector sees nothing, so that a steeper spectrum needs a higher $K$. (Every methodical astronomer would choose a pivot energy inside the band. We leave it, because real problems come like this.)
#
# This is our ruler. From here on, **forget that we had a likelihood**.
#
# ## Rejection ABC, in four steps
#
# *Approximate Bayesian computation*: (1) draw $\theta$ from the prior, (2) simulate $x$, (3) compare with the observation, (4) keep $\theta$ if it is close. What you keep is distributed as the posterior, if "close" means *equal*. That never happens, so we take a **distance** and a **tolerance**.

# %% [markdown] tags=["slide"]
# ## Exercise 13.3 · Four steps, four lines  ·  core · 10 min · ●●○
#
# `draw_prior(n, generator)`, `simulate(theta, generator)` and `distance(simulated, observed)` are functions, of any problem. Return the parameters that are kept.


# %%
def abc(observed, draw_prior, simulate, distance, tolerance, n, generator):
    """Parameters (n_kept, P) of those of n simulations that lie within the tolerance."""
    # solution: one line per step, all n at once; a mask keeps what is close
    theta = draw_prior(n, generator)
    simulated = simulate(theta, generator)
    close = distance(simulated, observed) <= tolerance
    return theta[close]
    # end solution


abc = check.abc(abc)


# %%
def distance(simulated, observed):
    """Root of the summed squared differences of the roots of counts, whose noise is 1/2 in each bin."""
    return (simulated.sqrt() - observed.sqrt()).norm(dim=-1)


typical = distance(again, observed).median()
print(f"typical distance of a repetition with the true parameters: {typical:.2f}")

# %% [markdown] tags=["slide"]
# The square root makes the noise of all bins alike (about 1/2, if counts are not too few). A tolerance below the typical distance of a *repetition* would throw away even the truth, half of the time.
#
# ### Predict first
#
# Of all draws from the prior, which share comes closer than a typical repetition does? Write your guess. (And for three such pointings at once, with six parameters? We draw that, too.)

# %%
my_guess = ...  # a share between 0 and 1

# %%
own = torch.Generator().manual_seed(2)
kept = abc(observed, draw_prior, simulate, distance, typical, 20_000, own)
print(f"your ABC keeps {len(kept)} of 20,000; now new observations, of one, two, three pointings:")

# %% tags=["nbval-ignore-output"]
n_draws, tolerances = 200_000, np.geomspace(0.5, 4, 15)
acceptance = {}
for pointings, line in ((1, "C0o-"), (2, "C1s--"), (3, "C2^-.")):
    theta = draw_prior(n_draws * pointings, generator).unflatten(0, (n_draws, pointings))
    several = simulate(truth.expand(pointings, 2), generator)
    repeated = simulate(truth.expand(2000, pointings, 2), generator)
    far = distance(simulate(theta, generator), several).norm(dim=-1)
    scale = distance(repeated, several).norm(dim=-1).median()
    share = [(far <= scale * tolerance).double().mean() for tolerance in tolerances]
    acceptance[f"{2 * pointings} parameters, {12 * pointings} bins"] = (share, line)
    print(
        f"{2 * pointings} parameters: {(far <= scale).double().mean():.5f} within the typical distance"
    )

# %% tags=["nbval-ignore-output", "slide"]
fig, ax = plt.subplots(figsize=(6.5, 3.4))
for name, (share, line) in acceptance.items():
    ax.plot(
        tolerances, np.where(np.array(share) > 0, share, np.nan), line, markersize=4, label=name
    )
ax.axvline(1, color="0.6", linewidth=0.8)
ax.set(xscale="log", yscale="log", ylabel="accepted share", xticks=[0.5, 1, 2, 4])
ax.set(xlabel="tolerance / typical distance of a repetition")
ax.xaxis.set_major_formatter("{x:g}")
ax.minorticks_off()
ax.legend()
plotting.mark_guess(ax, my_guess, axis="y")
plotting.show(fig, "13_acceptance")

# %% [markdown]
# **Your prediction:** two draws in a hundred. For three pointings at once it is about three in 100,000.
#
# Three independent pointings could of course be fitted one by one. But take any model with six parameters that the data *do* constrain: the accepted share is about the volume of the posterior in that of the prior, and volumes multiply. Also look at the left end: with 12 bins, half of the typical distance is hardly ever reached, by anybody.
#
# ABC has a way out: compare *fewer* numbers. Let us see what that buys. We keep the best 2 % and 0.1 % of the simulations, by the distance in 12 bins and in 3.

# %% tags=["nbval-ignore-output"]
theta = draw_prior(n_draws, generator)
simulated = simulate(theta, generator)
kept = {}
for bins in (12, 3):
    few = [x.unflatten(-1, (bins, -1)).sum(-1) for x in (simulated, observed)]
    nearest = distance(*few).argsort()
    for n_kept in (4000, 200):
        kept[bins, n_kept] = theta[nearest[:n_kept]]
        spread = kept[bins, n_kept].std(0)[0] / exact.std(0)[0]
        print(
            f"{bins:2d} bins, best {n_kept / n_draws:.1%}: width of Γ {spread:.2f} × the exact one"
        )

fig, axes = plt.subplots(2, 2, figsize=(6, 5.2))
shown = {"exact": exact, "ABC, 12 bins, 2 %": kept[12, 4000], "ABC, 12 bins, 0.1 %": kept[12, 200]}
plotting.corner(axes, shown, names, truth=truth)
plotting.show(fig, "13_abc")

# %% [markdown]
# **ABC posteriors are too wide**, by as much as the tolerance lets in. Summaries help ABC, and choosing them is the art of it; bad ones throw information away, and then even a tolerance of zero gives too wide a posterior. 99.9 % of the simulations went into the bin. The idea of everything that follows: *learn from all of them*.

# %% [markdown]
# ## A mixture density network
#
# Each simulation is a pair $(\theta, x)$: features and a label, as in lesson 07. So let a network predict, but not a number: a *density* $q(\theta\mid x)$. The simplest flexible density is a sum of Gaussians, and the network gives weights, means and widths. The loss is $-\ln q(\theta\mid x)$, averaged over the pairs. It is smallest when $q$ is the posterior: on average it exceeds its minimum by the Kullback–Leibler divergence of $q$ from $p(\theta\mid x)$.
#
# We want $\Gamma$ alone. Then do not ask for $K$: **what is not predicted is marginalised**, because the simulations vary it.

# %% [markdown] tags=["slide"]
# ## Exercise 13.4 · The loss that makes a posterior  ·  core · 15 min · ●●●
#
# For each of $n$ simulations the network gives $k$ Gaussians. Return the mean of $-\ln\sum_k w_k\,\mathcal N(\theta\mid \mu_k, \sigma_k)$, with $w$ the softmax of `logits`, $\mu$ the `mean`, $\sigma$ the exponential of `log_sd`, $\theta$ the `target`. A Gaussian far away has a density of exactly 0 in float32; `torch.logsumexp` never leaves the logarithm.


# %%
def mdn_loss(logits, mean, log_sd, target):
    """Mean of -ln q, a number; logits, mean, log_sd (n, k) and target (n,)."""
    # solution: ln w + ln N for each Gaussian, with all terms of ln N; then logsumexp over k, minus, mean
    log_weight = torch.log_softmax(logits, dim=1)
    z = (target[:, None] - mean) / log_sd.exp()
    log_normal = -0.5 * z**2 - log_sd - 0.5 * np.log(2 * np.pi)
    return -torch.logsumexp(log_weight + log_normal, dim=1).mean()
    # end solution


mdn_loss = check.mdn_loss(mdn_loss)

# %% [markdown]
# What does the network see? The roots of the counts again. Counts are whole numbers and densities are for continuous ones, which will matter for NLE below, so we first add a uniform random number to each count. Nothing is lost: rounding down gives the counts back. **A transformation that can be undone leaves the posterior as it was.**


# %%
def features(counts, generator):
    """Counts as continuous numbers (..., 12) whose noise is about 1/2."""
    return torch.sqrt(counts + torch.rand(counts.shape, generator=generator))


theta = draw_prior(30_000, generator)
x = features(simulate(theta, generator), generator)
torch.manual_seed(0)  # the starting weights of networks come from torch's global generator
mdn = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 12))


def mixture(x):
    """Four Gaussians: logits, means and log widths, (n, 4) each; Γ lies near 2."""
    logits, mean, log_sd = mdn((x - 6) / 6).chunk(3, dim=1)
    return logits, 2 + mean, log_sd


# %% tags=["nbval-ignore-output"]
epochs, size = 12, 100
optimiser = torch.optim.Adam(mdn.parameters(), 2e-3)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
for _ in tqdm(range(epochs)):
    for batch in torch.randperm(len(x), generator=generator).split(size):
        loss = mdn_loss(*mixture(x[batch]), theta[batch, 0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    schedule.step()

# %% tags=["nbval-ignore-output", "slide"]
index, cell = ticks[0], (high - low)[0] / n_grid
fig, axes = plt.subplots(1, 3, figsize=(9, 3), sharey=True)
for ax, pair in zip(axes, ((1.4, -1.0), (1.9, -1.2), (2.6, -1.4)), strict=True):
    counts = simulate(torch.tensor(pair), generator)
    density = (
        torch.softmax(log_likelihood(counts, grid_mean).double(), 0).reshape(n_grid, -1).sum(1)
    )
    ax.fill_between(index, density / cell, color="0.85", label="exact, from the grid")
    with torch.no_grad():
        given = mixture(features(counts, generator)[None])
        q = [-mdn_loss(*given, value[None]).item() for value in index]
    ax.plot(index, np.exp(q), "C1--", label="mixture density network")
    ax.axvline(pair[0], color="black", linewidth=0.7, label="truth")
    ax.set(title=f"{counts.sum():.0f} counts", xlabel=names[0], ylim=(0, None))
axes[0].set_ylabel("posterior density")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
plotting.show(fig, "13_three_spectra")

# %% [markdown]
# Three observations, three posteriors, **one** training: that is what *amortised* means. Lesson 07's questions are still there (does the loss on held-out simulations fall? is the network large enough?), but one problem is gone: against overfitting, which shows as humps where the exact curve has none, simulate more, and the labels are right by construction. *If the simulator is.*
#
# A wall of the prior, which faint spectra run into, is hard for Gaussians. In $P$ dimensions each one needs a covariance matrix, and thin curved posteriors need many. Hence the next idea.

# %% [markdown]
# ## Normalising flows
#
# Take numbers $z$ from a simple **base** distribution, a round Gaussian, and push them through an invertible map: $z = g(\theta)$. Densities change by how much the map stretches,
#
# $$\ln q(\theta) = \ln \mathcal N\big(g(\theta)\big) + \ln\left|\det\frac{\partial g}{\partial\theta}\right|.$$
#
# So the map must be flexible, easy to invert, and have a cheap determinant. The trick of the **affine coupling layer** (Dinh et al. 2017, "Real NVP", [arXiv:1605.08803](https://arxiv.org/abs/1605.08803)): leave half of the numbers alone, and let *them* decide how the other half is shifted and stretched,
#
# $$z_1 = \theta_1, \qquad z_2 = \theta_2\, e^{s(\theta_1)} + t(\theta_1).$$
#
# $s$ and $t$ come out of any network you like; nobody has to invert it.

# %% [markdown] tags=["slide"]
# ## Exercise 13.5 · One coupling layer  ·  core · 15 min · ●●●
#
# `net(first half)` returns `s, t`. Write both directions; each returns its output and $\ln|\det|$ *of that direction*, one number per row. The Jacobian is a triangle: what is the determinant of one?


# %%
def coupling(theta, net, inverse=False):
    """z (n, P) and ln|det| (n,) of an affine coupling layer, or of its inverse; P is even."""
    # solution: split with chunk; the first half is the same in both directions, so that s and t are known
    first, second = theta.chunk(2, dim=1)
    s, t = net(first)
    if inverse:
        return torch.cat([first, (second - t) * torch.exp(-s)], dim=1), -s.sum(dim=1)
    return torch.cat([first, second * torch.exp(s) + t], dim=1), s.sum(dim=1)
    # end solution


coupling = check.coupling(coupling)

# %% [markdown]
# Stack several, swap the halves in between, train with $-\ln q$, and you have a flow. From here on the library *zuko* does it. Its masked autoregressive flow (MAF) is the next of kin: each parameter is shifted and stretched by what *all* before it, and the spectrum, decide. The network sees $x$, so this is a conditional density $q(\theta\mid x)$.
#
# Our prior is a box and a flow knows no walls; so one more invertible map in front: the logit, which sends the box to the whole plane.


# %%
def train_flow(theta, x, low, high, epochs, seed):
    """A function that draws n parameters from q(θ|x): from a box, by a masked autoregressive flow."""
    torch.manual_seed(seed)  # starting weights and the base's draws are torch's global generator's
    centre, spread = x.mean(0), x.std(0)
    free = torch.logit((theta - low) / (high - low), eps=1e-6)
    flow = zuko.flows.MAF(2, 12, transforms=3, hidden_features=(50, 50))
    optimiser = torch.optim.Adam(flow.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(100):
            loss = -flow((x[batch] - centre) / spread).log_prob(free[batch]).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()

    @torch.no_grad()
    def draw(x, n=1, base=None):
        conditional = flow((x - centre) / spread)
        free = conditional.sample((n,)) if base is None else conditional.transform.inv(base)
        return low + (high - low) * torch.sigmoid(free)

    return draw


# %% tags=["nbval-ignore-output"]
start = time.perf_counter()
draw_flow = train_flow(theta[:5000], x[:5000], low, high, epochs=25, seed=1)
print(f"trained on 5000 simulations in {time.perf_counter() - start:.0f} s")

# %% [markdown]
# What has it learned? Draw a square grid in the base, and send its lines through the flow, for a spectrum like ours and for a faint one. Each cell takes its share of the probability along, and the cells in the middle of the base hold the most; where the map makes *these* small, the posterior is high.

# %% tags=["nbval-ignore-output"]
fine = torch.linspace(-2.5, 2.5, 150)
lines = [torch.stack([fine, value.expand(150)], 1) for value in torch.linspace(-2.5, 2.5, 11)]
lines += [line.flip(1) for line in lines]
fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.4))
for z in lines:
    axes[0].plot(*z.T, color="C0", linewidth=0.7)
axes[0].set(title="the base", xlabel="z₁", ylabel="z₂", aspect="equal")
for ax, pair in zip(axes[1:], ((1.9, -1.2), (2.8, -1.9)), strict=True):
    counts = simulate(torch.tensor(pair), generator)
    given = features(counts, generator)
    for z in lines:
        ax.plot(*draw_flow(given, base=z).T, color="C0", linewidth=0.7)
    points = draw_from_grid(log_likelihood(counts, grid_mean), 250, generator)
    ax.plot(*points.T, ".", color="C1", markersize=3, label="exact posterior")
    ax.set(title=f"{counts.sum():.0f} counts", xlabel=names[0], ylabel=names[1])
axes[1].legend()
plotting.show(fig, "13_flow")

# %% [markdown]
# One network, two quite different maps. The faint spectrum says little, so its posterior fills a corner of the prior.
#
# ## Three things to learn: NPE, NLE, NRE
#
# Bayes' theorem has three places where a network fits.
#
# | | learns | loss over pairs $(\theta, x)$ | then |
# |---|---|---|---|
# | **NPE**, neural posterior estimation | $q(\theta\mid x) \to p(\theta\mid x)$ | $-\ln q(\theta\mid x)$ | draw from $q$: milliseconds |
# | **NLE**, likelihood | $q(x\mid\theta) \to p(x\mid\theta)$ | $-\ln q(x\mid\theta)$ | times a prior, then a sampler |
# | **NRE**, ratio | $\ln r(\theta, x) \to \ln\dfrac{p(x\mid\theta)}{p(x)}$ | cross-entropy of lesson 07 | times a prior, then a sampler |
#
# NRE is a *classifier*: pairs that belong together, $(\theta_i, x_i)$, against as many shuffled ones, $(\theta_j, x_i)$. The first have density $p(\theta, x)$, the second $p(\theta)\,p(x)$. For a perfect classifier the log odds are $\ln\frac{p(\theta, x)}{p(\theta)p(x)} = \ln\frac{p(x\mid\theta)}{p(x)}$: the log likelihood, up to a number that $\theta$ does not know. No density, no flow, any network.
#
# NPE has the prior of its training built in. NLE and NRE do not: another prior, or several observations of one source, whose log likelihoods *add*, need no new training.

# %% [markdown]
# ## How far apart are two posteriors?
#
# By eye, and by the **classifier two-sample test** (C2ST): train a classifier to tell draws of one from draws of the other. If it cannot, its accuracy is 0.5; 1 is "never overlaps". All you know of classifiers applies, above all who is held out.

# %% [markdown] tags=["slide"]
# ## Exercise 13.6 · The test that you already know  ·  core · 10 min · ●●○
#
# Return the mean accuracy over five folds. The classifier is one of scikit-learn's. (`StratifiedKFold` deals rows in their order unless told to shuffle.)

# %%


def c2st(one, other, classifier):
    """Held-out accuracy of a classifier that tells samples (n, P) from samples (n, P), a number."""
    # solution: stack both, label them 0 and 1, and score on rows that the classifier has not seen
    rows = np.concatenate([one, other])
    labels = np.repeat([0, 1], [len(one), len(other)])
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_score(classifier, rows, labels, cv=folds).mean()
    # end solution


c2st = check.c2st(c2st)

# %% [markdown]
# Our classifier is logistic regression on all products of the parameters up to third order: it sees differences of mean, width, tilt and skewness, and is fast. **A C2ST is as good as its classifier**: a feature that this one cannot see stays unseen. (The literature uses a neural network, so compare our numbers with each other and not with theirs.)

# %% tags=["nbval-ignore-output"]
classifier = make_pipeline(
    StandardScaler(), PolynomialFeatures(3, include_bias=False), LogisticRegression(max_iter=1000)
)
second = draw_from_grid(log_likelihood(observed, grid_mean), 2000, generator)
print(f"the exact posterior against itself: {c2st(exact, second, classifier):.2f} (±0.01 or so)")
for (bins, n_kept), draws in kept.items():
    same = exact[: len(draws)], draws[: len(exact)]
    print(f"ABC, {bins:2d} bins, best {n_kept / n_draws:.1%}: {c2st(*same, classifier):.2f}")

# %% [markdown]
# ## Side by side
#
# Now the library *sbi*, which wraps all three. Same 2000 simulations, 1 % of what ABC had; same prior. NLE and NRE give a function of $\theta$, for which you would call a sampler (`posterior.sample` runs Markov chains). In two dimensions the grid will do, and gives all three the same chance.
#
# sbi takes its random numbers from torch's *global* generator: to repeat a result, seed that one. It also writes logs; the tracker sends them to a temporary folder. Each method runs with two seeds, because one is an anecdote, and stops after 40 epochs at most, to save your time. (It will complain of that, and announce when it is done; we do not listen.)

# %% tags=["nbval-ignore-output"]
log = TensorBoardTracker(SummaryWriter(tempfile.mkdtemp()))
warnings.filterwarnings("ignore", message="Maximum number of epochs")
prior = BoxUniform(low, high)
theta_few, x_few = theta[:2000], x[:2000]
coarse = grid.reshape(n_grid, n_grid, 2)[1::3, 1::3].reshape(-1, 2)  # networks are slower than f
targets = simulate(torch.tensor([[1.9, -1.2], [1.5, -1.5], [2.5, -0.5]]), generator)
inputs = torch.cat([features(observed[None], generator), features(targets, generator)])
results = {}
start = time.perf_counter()
for name, (kind, options) in {
    "NPE": (NPE, {"density_estimator": "zuko_maf"}),  # sbi's own often misses so thin a tilt
    "NLE": (NLE, {"density_estimator": "maf"}),
    "NRE": (NRE, {}),
}.items():
    for seed in range(2):
        torch.manual_seed(seed)
        method = kind(prior, show_progress_bars=False, tracker=log, **options)
        method.append_simulations(theta_few, x_few)
        settings = {"training_batch_size": 100, "learning_rate": 1e-3, "max_num_epochs": 40}
        with redirect_stdout(None):
            method.train(**settings)
        results[name, seed] = method.build_posterior(), time.perf_counter() - start
        start = time.perf_counter()

# %% tags=["nbval-ignore-output"]
generator = torch.Generator().manual_seed(131)
spectra = [observed, *targets]
exacts = [draw_from_grid(log_likelihood(each, grid_mean), 1000, generator) for each in spectra]
drawn = {}
print(f"{len(theta_few)} simulations each")
print("method   seed   training   C2ST for four spectra, with errors of 0.01 or so")
for (name, seed), (posterior, seconds) in results.items():
    with torch.no_grad():
        densities = [posterior.potential(coarse, x=given) for given in inputs]
    draws = [draw_from_grid(density, 1000, generator, coarse) for density in densities]
    scores = [c2st(*pair, classifier) for pair in zip(exacts, draws, strict=True)]
    print(f"{name:8s} {seed:4d} {seconds:8.0f} s  ", *(f"{score:.2f}" for score in scores))
    drawn[name, seed] = draws[0]

# %% tags=["nbval-ignore-output", "slide"]
fig, axes = plt.subplots(2, 2, figsize=(6, 5.2))
shown = {"exact": exact, **{name: drawn[name, 0] for name in ("NPE", "NLE", "NRE")}}
plotting.corner(axes, shown, names, truth=truth)
plotting.show(fig, "13_three_methods")

# %% [markdown]
# Read the table along a row, then down the two seeds. Do not crown a winner: **the same method, on the same simulations, can differ from seed to seed** as much as two methods do, and another problem has another order. And be fair to ABC: its best rows above are of the same order. But they took 200,000 simulations, a hundred times as many. While one costs a microsecond, nobody minds; the simulators of lessons 14 and 15 cost far more, and have more parameters.

# %% [markdown] tags=["slide-next"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): you would not have the exact posterior to compare with. What would make you trust one of the three, and not another?

# %% [markdown] tags=["slide"]
# ## Exercise 13.7 · Which one?  ·  core · 6 min · ●○○
#
# Sort into `"likelihood"` (no SBI at all), `"NPE"`, `"NLE or NRE"`, `"sequential"` (see below; guess what the word means).

# %%
# solution: is there a likelihood? Are there many observations, or one? Does the prior change?
choices = {
    "one spectrum, Poisson counts, a model that takes a millisecond": "likelihood",
    "50,000 archival pointings, one simulator with dead time, results by tonight": "NPE",
    "twenty observations of one constant source, to be combined; more may come": "NLE or NRE",
    "the referee wants the same result under two other priors": "NLE or NRE",
    "one bright source, and each simulation takes an hour": "sequential",
    "a posterior for each trigger, within a second, on board": "NPE",
}
# end solution

choices = check.choices(choices)

# %% [markdown]
# ## Amortised or sequential
#
# An amortised network learns the posterior of *every* spectrum that the prior can produce. If you have one, and it is bright, nearly all simulations were far from it. **Sequential** methods simulate in rounds, each near where the last one found the posterior. The simplest keeps the prior and cuts it: draw the next round from the part of the box that the last posterior has not ruled out. With the prior uniform there, the loss stays as it is (truncated proposals: Deistler et al. 2022, [arXiv:2210.04815](https://arxiv.org/abs/2210.04815)).

# %% tags=["nbval-ignore-output"]
bright = simulate(torch.tensor([1.7, -0.2]), generator)
given = features(bright, generator)
near = draw_from_grid(log_likelihood(bright, grid_mean), 1000, generator)
whole = train_flow(theta[:1200], x[:1200], low, high, epochs=40, seed=2)
box, report = (low, high), [("amortised, 1200 simulations", whole(given, 1000), 1.0)]
for number, epochs in enumerate((40, 40, 80), 1):
    theta_round = draw_prior(400, generator, *box)
    x_round = features(simulate(theta_round, generator), generator)
    draw_round = train_flow(theta_round, x_round, *box, epochs=epochs, seed=number)
    draws = draw_round(given, 1000)
    share = ((box[1] - box[0]) / (high - low)).prod().item()
    report.append((f"round {number}, 400 more", draws, share))
    inner = draws.quantile(0.005, 0), draws.quantile(0.995, 0)
    margin = 0.1 * (inner[1] - inner[0])
    box = torch.maximum(inner[0] - margin, box[0]), torch.minimum(inner[1] + margin, box[1])
print(f"exact width of Γ: {near.std(0)[0]:.3f}\n{'':30s}share of the prior   width of Γ    C2ST")
for name, draws, share in report:
    score = c2st(near, draws, classifier)
    print(f"{name:30s} {share:14.4f} {draws.std(0)[0]:14.3f} {score:9.2f}")

# %% [markdown]
# The same number of simulations, spent in an ever smaller part of the prior, and usually a posterior much nearer to the exact one (the last rounds may still be too wide or too narrow: try other seeds). The price: a network for *one* spectrum. Ask it about another, and it answers from inside its box, without blushing. And you lose the cheapest check there is, which needs many posteriors:
#
# ## Is it calibrated? A first look
#
# Draw 300 pairs $(\theta, x)$, and for each a posterior from the amortised flow. Count how many of its draws lie below the true $\Gamma$: the **rank**. If the posteriors are right on average, all ranks are equally likely (Talts et al. 2018, [arXiv:1804.06788](https://arxiv.org/abs/1804.06788)). Posteriors too narrow give a U, too wide ones a hump.

# %% tags=["nbval-ignore-output"]
n_tests, n_posterior = 300, 99
theta_test = draw_prior(n_tests, generator)
x_test = features(simulate(theta_test, generator), generator)
draws = draw_flow(x_test, n_posterior)  # (99, 300, 2)
ranks = {
    "NPE": (draws < theta_test).sum(0)[:, 0],
    "half as wide": (draws.mean(0) + 0.5 * (draws - draws.mean(0)) < theta_test).sum(0)[:, 0],
    "the prior itself": (draw_prior(n_posterior * n_tests, generator)[:, 0].reshape(n_posterior, -1)
                         < theta_test[:, 0]).sum(0),
}  # fmt: skip

# %% tags=["nbval-ignore-output"]
fig, axes = plt.subplots(1, 3, figsize=(9, 2.9), sharey=True)
for number, (ax, (name, rank)) in enumerate(zip(axes, ranks.items(), strict=True)):
    noise = np.sqrt(30 * 0.9)  # binomial: 300 ranks, a tenth in each bin
    ax.axhspan(30 - 2 * noise, 30 + 2 * noise, color="0.88")
    ax.hist(
        rank.numpy(), np.arange(-0.5, 100, 10), histtype="step", color=f"C{number}", linewidth=1.5
    )
    ax.set(title=name, xlabel="rank of the true Γ among 99 draws")
axes[0].set_ylabel("pairs")
plotting.show(fig, "13_ranks")

# %% [markdown]
# Look at the last panel. The prior has seen no data, and passes: averaged over the prior it *is* right. **Calibration is necessary, not sufficient.** Lesson 16 takes this further, and asks what happens when the simulator is wrong, which no rank can tell.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - If you can write the likelihood, write it. If the model is slow, emulate the model.
# - A simulator with the contract `theta` (..., P) → (..., N) and an explicit generator is all that SBI needs.
# - ABC is four lines: too wide by what the tolerance lets in, and hopeless for many well-measured parameters.
# - Predict a density, and $-\ln q$ makes it the posterior. What you do not predict is marginalised. Flows are invertible maps with cheap determinants.
# - NPE, NLE, NRE: the same simulations, three places in Bayes' theorem. Compare over seeds before you choose.
# - Sequential saves simulations, and costs amortisation and the checks that come with it. A flat rank histogram is the beginning of trust.

# %% [markdown]
# **Further reading.** Huppenkothen, Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)), guidelines for learning from data · Barret & Dupourqué 2024 ([arXiv:2401.06061](https://arxiv.org/abs/2401.06061)), NPE for X-ray spectra · Lueckmann et al. 2021 ([arXiv:2101.04653](https://arxiv.org/abs/2101.04653)), a benchmark of SBI methods · Buchner & Fotopoulou 2024 ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)), good practice, and when to use statistics · Acquaviva 2023, "Machine Learning for Physics and Astronomy" (Princeton), networks from the beginning
