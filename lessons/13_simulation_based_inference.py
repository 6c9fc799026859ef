# %% [markdown]
# # 13 · Simulation-based inference
#
# | **The question** | We can simulate what a telescope would record, but not write down how probable it is. What can we still say about the source? |
# |---|---|
# | **Afterwards you can** | say when a likelihood is missing, and use it when it is not; write rejection ABC, a mixture density network and a coupling layer by hand; choose among NPE, NLE and NRE, and compare any posterior with another one |
# | **Time** | 45 min of reading or teaching, 72 min of exercises |
# | **Data** | simulated counts of a power law in one detector of RXTE, made here; the response is real, see `data/README.md` |
# | **Run time** | below 90 s on two cores |

# %%
import tempfile
import warnings
from contextlib import redirect_stdout
from itertools import pairwise, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
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

# %%
from torch.utils.tensorboard import SummaryWriter
from tqdm.auto import tqdm

from course.checks import lesson_13 as check
from helpers import data, diagnostics, plotting
from helpers.spectra import Response, power_law

plotting.use_course_style()

# %% [markdown]
# ## Don't do it
#
# Your model is a function $f(\theta)$: parameters in, expected counts out. You record $x_j$ counts in bin $j$. Bayes' theorem turns the model round:
#
# $$p(\theta \mid x) = \frac{p(x \mid \theta)\; p(\theta)}{p(x)}, \qquad \text{here} \quad p(x \mid \theta) = \prod_j \text{Poisson}\big(x_j \mid f_j(\theta)\big).$$
#
# The physics is in the likelihood $p(x\mid\theta)$. The prior is $p(\theta)$. We want the **posterior** $p(\theta\mid x)$. The evidence $p(x)$ does not depend on $\theta$.
#
# If you can write the likelihood down, write it down, and use a sampler. A sampler comes with guarantees; nothing in this lesson does. If $f$ is only *slow*, learn $f$ (an **emulator**) and keep the likelihood. Then the emulator's training data must cover the region where you will use it.
#
# When is a likelihood missing?
#
# - **The model is itself random.** A light curve is one realisation of a stochastic process. Its likelihood is an integral over all light curves that could have been.
# - **The detector has a memory.** Dead time: a photon is lost *because* another came just before (lesson 14). Pile-up: two photons are recorded as one (lesson 15). Counts are no longer independent.
# - **Somebody selected.** Triggers, source detection and grade filters are easy to run and hard to integrate.
#
# All three can be *simulated*. **Simulation-based inference** (SBI) needs nothing else. To trust it, we try it first where we know the answer.

# %% [markdown] tags=["slide"]
# ## A problem with a known answer
#
# One detector of RXTE looks for 10 s at a power law: $K E^{-\Gamma}$ photons/cm²/s/keV, with $E$ in keV. The parameters are $\theta = (\Gamma, \lg K)$, where $\lg$ is the logarithm to base ten. The prior is uniform in a box. The response is real. We make it coarse, with 30 photon energies and 12 energy bins, and call that the truth for today.

# %%
pca = data.load_response("rxte_pca")
starts = [3, 5, 7, 9, 11, 14, 17, 21, 25, 30, 36, 44, 54]  # channels: 3 to 25 keV in 12 bins
fine = pca.effective_area[:, None] * pca.redistribution
binned = torch.stack([fine[:, a:b].sum(1) for a, b in pairwise(starts)], 1)
area, seen = (x.unflatten(0, (30, 10)).mean(1) for x in (pca.effective_area, binned))
detector = Response(
    energy_lo=pca.energy_lo[::10],
    energy_hi=pca.energy_hi[9::10],
    effective_area=area,
    redistribution=seen / area[:, None],
    channel_lo=pca.channel_lo[starts[:-1]],
    channel_hi=pca.channel_lo[starts[1:]],
)
exposure = 10.0  # s
low, high = torch.tensor([1.0, -2.0]), torch.tensor([3.0, 0.0])
names = ["photon index Γ", "lg K (1/keV/cm²/s)"]

# %% [markdown] tags=["slide"]
# ## Exercise 13.1 · The physics, for a thousand at once  ·  core · 8 min · ●●○
#
# Write $f$. SBI runs a model many thousand times, and a loop would make it slow. So all simulators of this course keep one **contract**: `theta` is (..., P), the answer is (..., N), whatever the dots are, and randomness comes from a `generator` that is handed in.
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
def seeded(seed):
    """A generator of random numbers. Each cell makes its own, so you can run any cell again."""
    return torch.Generator().manual_seed(seed)


def draw_prior(n, generator, low=low, high=high):
    """Parameters (n, 2), uniform in a box."""
    return low + (high - low) * torch.rand(n, len(low), generator=generator)


def simulate(theta, generator):
    """Counts (..., 12) for theta (..., 2)."""
    return torch.poisson(expected(theta, detector, exposure), generator=generator)


# %%
truth = torch.tensor([1.9, -1.2])
generator = seeded(13)
observed = simulate(truth, generator)
repetitions = simulate(truth.expand(300, 2), generator)  # the same source, seen 300 times
print(f"observed: {observed.sum():.0f} counts in 12 bins")

# %%
edges = np.append(detector.channel_lo, detector.channel_hi[-1])  # keV
width = np.diff(edges)
lower, upper = np.quantile(repetitions, (0.16, 0.84), axis=0) / width
mean = expected(truth, detector, exposure).numpy()

fig, ax = plt.subplots()
ax.stairs(upper, edges, baseline=lower, fill=True, color="0.85", label="68 % of repetitions")
plotting.steps(ax, edges, mean / width, color="black", linestyle="--", label="expected, f(θ)")
plotting.steps(ax, edges, observed.numpy() / width, color="C0", label="observed")
ax.set(xlabel="energy (keV)", ylabel="counts per keV")
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
# Two parameters need no sampler. Put a grid over the box, and draw its points with weights $p(x\mid\theta)$. With a uniform prior that *is* the posterior.

# %%
n_grid = 300
centres = (torch.arange(n_grid) + 0.5) / n_grid
ticks = [a + (b - a) * centres for a, b in zip(low, high, strict=True)]
grid = torch.cartesian_prod(*ticks)
grid_mean = expected(grid, detector, exposure)


def draw_from_grid(log_density, n, generator, grid=grid):
    """(n, 2) parameters from a log density at the points of a grid, spread evenly inside its cells."""
    weight = torch.softmax(log_density.double(), 0)
    cells = torch.multinomial(weight, n, replacement=True, generator=generator)
    inside = torch.rand(n, 2, generator=generator) - 0.5
    return grid[cells] + inside * (high - low) / len(grid) ** 0.5


# %%
exact = draw_from_grid(log_likelihood(observed, grid_mean), 4000, seeded(1))
print(f"correlation of the two parameters: {torch.corrcoef(exact.T)[0, 1]:.2f}")
summary = {"mean": exact.mean(0), "standard deviation": exact.std(0), "truth": truth}
pd.DataFrame(summary, names).round(2)

# %% [markdown]
# The two parameters are tightly correlated. $K$ is the flux at 1 keV, where this detector sees nothing, so a steeper spectrum needs a higher $K$. (A careful astronomer would choose a pivot energy inside the band. We leave it, because real problems look like this.)
#
# This is our ruler. From here on, **forget that we had a likelihood**.
#
# ## Rejection ABC, in four steps
#
# *Approximate Bayesian computation* has four steps: (1) draw $\theta$ from the prior, (2) simulate $x$, (3) compare with the observation, (4) keep $\theta$ if it is close. What you keep follows the posterior, if "close" means *equal*. That hardly ever happens, so we take a **distance** and a **tolerance**.

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


typical = distance(repetitions, observed).median()
print(f"typical distance of a repetition with the true parameters: {typical:.2f}")

# %% [markdown] tags=["slide"]
# The square root makes the noise of all bins alike: about 1/2, if counts are not too few. With a tolerance below the typical distance of a *repetition*, even the truth would be rejected half of the time.
#
# ### Predict first
#
# Of all draws from the prior, which share comes closer than a typical repetition does? Write your guess. (And for three such pointings at once, with six parameters? We draw that, too.)

# %%
my_guess = ...  # a share between 0 and 1

# %%
kept = abc(observed, draw_prior, simulate, distance, typical, 20_000, seeded(2))
print(f"your ABC keeps {len(kept)} of 20,000")

# %% [markdown]
# Now new observations, of one, two and three pointings, and other tolerances. One unit of the tolerance is the typical distance of a repetition.

# %% tags=["nbval-ignore-output"]
n_draws, tolerances = 200_000, np.geomspace(0.5, 4, 16)
generator = seeded(3)
accepted = {}
for pointings in tqdm((1, 2, 3)):
    several = simulate(truth.expand(pointings, 2), generator)
    repeated = simulate(truth.expand(2000, pointings, 2), generator)
    drawn = draw_prior(n_draws * pointings, generator).unflatten(0, (n_draws, pointings))
    unit = distance(repeated, several).norm(dim=-1).median()
    far = distance(simulate(drawn, generator), several).norm(dim=-1) / unit
    shares = [(far <= tolerance).double().mean().item() for tolerance in tolerances]
    accepted[f"{2 * pointings} parameters, {12 * pointings} bins"] = shares
accepted = pd.DataFrame(accepted, pd.Index(tolerances.round(3), name="tolerance"))
accepted[::5].map("{:.5f}".format)

# %% tags=["nbval-ignore-output", "slide"]
ax = accepted.where(accepted > 0).plot(style=["o-", "s--", "^-."], loglog=True, figsize=(7.5, 4.4))
ax.axvline(1, color="0.6", linewidth=0.8)
ax.set(xlabel="tolerance / typical distance of a repetition", ylabel="accepted share")
ax.set_xticks([0.5, 1, 2, 4], ["0.5", "1", "2", "4"])
ax.set_yticks([1, 1e-2, 1e-4], ["1", "0.01", "0.0001"])
ax.minorticks_off()
plotting.mark_guess(ax, my_guess, axis="y")
plotting.show(ax, "13_acceptance")

# %% [markdown]
# **The answer:** about two draws in a hundred. For three pointings at once it is fewer than one in 10,000.
#
# Three independent pointings could of course be fitted one by one. But take any model with six parameters that the data *do* constrain. The accepted share is about the volume of the posterior divided by that of the prior, and volumes multiply. Also look at the first row of the table: with 12 bins hardly any draw comes within half of the typical distance.
#
# ABC has a way out: compare *fewer* numbers. What does that buy? We keep the best 2 % and 0.1 % of the simulations, by the distance in 12 bins and in 3.

# %% tags=["nbval-ignore-output"]
generator = seeded(4)
theta_abc = draw_prior(n_draws, generator)
counts_abc = simulate(theta_abc, generator)
nearest = {}
for bins in (12, 3):
    coarse_counts = [x.unflatten(-1, (bins, -1)).sum(-1) for x in (counts_abc, observed)]
    order = distance(*coarse_counts).argsort()
    nearest[f"ABC, {bins} bins, 2 %"] = theta_abc[order[:4000]]
    nearest[f"ABC, {bins} bins, 0.1 %"] = theta_abc[order[:200]]

widths = {name: (draws.std(0) / exact.std(0))[0].item() for name, draws in nearest.items()}
pd.Series(widths, name="width of Γ / width of the exact posterior").to_frame().round(2)

# %%
fig, axes = plt.subplots(2, 2, figsize=(6, 5.2))
of_12_bins = {name: draws for name, draws in nearest.items() if "12" in name}
plotting.corner(axes, {"exact": exact, **of_12_bins}, names, truth=truth)
plotting.show(fig, "13_abc")

# %% [markdown]
# **ABC posteriors are too wide**, by as much as the tolerance lets in. Summaries help ABC, and to choose them is an art. Bad summaries lose information, and then even a tolerance of zero gives a posterior that is too wide.
#
# We threw away 98 % or 99.9 % of the simulations. The idea of everything that follows: *learn from all of them*.

# %% [markdown]
# ## A mixture density network
#
# Each simulation is a pair $(\theta, x)$: features and a label, as in lesson 07. So let a network predict, but not a number: a *density* $q(\theta\mid x)$. The simplest flexible density is a sum of Gaussians. The network gives their weights, means and widths. The loss is $-\ln q(\theta\mid x)$, averaged over the pairs. On average it exceeds its minimum by the Kullback–Leibler divergence $D(p\,\|\,q)$ of the posterior $p(\theta\mid x)$ from $q$. So it is smallest when $q$ is the posterior.
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
# What does the network see? The roots of the counts again. Counts are whole numbers, and densities are for continuous ones, which will matter for NLE below. So we first add a uniform random number to each count. Nothing is lost: rounding down gives the counts back. **A transformation that can be undone leaves the posterior as it was.**


# %%
def features(counts, generator):
    """Counts as continuous numbers (..., 12) whose noise is about 1/2."""
    return torch.sqrt(counts + torch.rand(counts.shape, generator=generator))


generator = seeded(5)
theta = draw_prior(30_000, generator)
x = features(simulate(theta, generator), generator)


# %%
def minimise(loss, network, n, epochs, learning_rate):
    """Adam, with a learning rate that falls to zero; `loss(rows)` is that of a batch of n rows."""
    optimiser = torch.optim.Adam(network.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    for _ in tqdm(range(epochs)):
        for rows in torch.randperm(n).split(100):
            optimiser.zero_grad()
            loss(rows).backward()
            optimiser.step()
        schedule.step()


# %% tags=["nbval-ignore-output"]
torch.manual_seed(0)  # weights and batches come from torch's global generator
mdn = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 12))


def mixture(x):
    """Four Gaussians: logits, means and log widths, (n, 4) each; Γ lies near 2."""
    logits, mean, log_sd = mdn((x - 6) / 6).chunk(3, dim=1)
    return logits, 2 + mean, log_sd


minimise(lambda rows: mdn_loss(*mixture(x[rows]), theta[rows, 0]), mdn, len(x), 12, 2e-3)

# %% tags=["nbval-ignore-output", "slide"]
generator = seeded(6)
fig, axes = plt.subplots(1, 3, figsize=(8, 3.8), sharey=True)
for ax, pair in zip(axes, ((1.4, -1.0), (1.9, -1.2), (2.6, -1.4)), strict=True):
    counts = simulate(torch.tensor(pair), generator)
    weight = torch.softmax(log_likelihood(counts, grid_mean).double(), 0)
    density = weight.reshape(n_grid, n_grid).sum(1) * n_grid / (high - low)[0]
    ax.fill_between(ticks[0], density, color="0.85", label="exact, from the grid")
    with torch.no_grad():
        given = mixture(features(counts, generator)[None])
        q = [np.exp(-float(mdn_loss(*given, index[None]))) for index in ticks[0]]
    ax.plot(ticks[0], q, "C1--", label="network")
    ax.axvline(pair[0], color="black", linewidth=0.7, label="truth")
    ax.set(title=f"{counts.sum():.0f} counts", xlabel=names[0], ylim=(0, None))
axes[0].set_ylabel("posterior density")
fig.legend(*axes[1].get_legend_handles_labels(), loc="outside upper center", ncols=3)
plotting.show(fig, "13_three_spectra")

# %% [markdown]
# Three observations, three posteriors, **one** training: that is what *amortised* means. The questions of lesson 07 remain. Does the loss on held-out simulations fall? Is the network large enough? One problem has an easy cure. Overfitting shows as humps where the exact curve has none, and against it you simulate more. The labels are right by construction. *If the simulator is.*
#
# Faint spectra run into a wall of the prior, and a wall is hard for Gaussians. In $P$ dimensions each Gaussian needs a covariance matrix, and a thin curved posterior needs many Gaussians. Hence the next idea.

# %% [markdown]
# ## Normalising flows
#
# Take numbers $z$ from a simple **base** distribution, a round Gaussian. An invertible map connects them with the parameters: $z = g(\theta)$. Densities change by how much the map stretches:
#
# $$\ln q(\theta) = \ln \mathcal N\big(g(\theta)\big) + \ln\left|\det\frac{\partial g}{\partial\theta}\right|.$$
#
# So the map must be flexible and easy to invert, and its determinant must be cheap. The **affine coupling layer** (Dinh et al. 2017, "Real NVP", [arXiv:1605.08803](https://arxiv.org/abs/1605.08803)) has a trick. It leaves half of the numbers alone, and lets *them* decide how the other half is shifted and stretched:
#
# $$z_1 = \theta_1, \qquad z_2 = \theta_2\, e^{s(\theta_1)} + t(\theta_1).$$
#
# $s$ and $t$ come from any network you like. Nobody has to invert it.

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
# Stack several layers, swap the halves in between, train with $-\ln q$, and you have a flow. From here on we use the library *zuko*. Its masked autoregressive flow (MAF) is closely related: each parameter is shifted and stretched by *all* parameters before it, and by the spectrum. The network sees $x$, so this is a conditional density $q(\theta\mid x)$.
#
# Our prior is a box, and a flow knows no walls. So we put one more invertible map in front: the logit, which stretches the box over the whole plane.


# %%
def train_flow(theta, x, low, high, epochs, seed):
    """A function that draws n parameters from q(θ|x): from a box, by a masked autoregressive flow."""
    torch.manual_seed(seed)
    centre, spread = x.mean(0), x.std(0)
    x, free = (x - centre) / spread, torch.logit((theta - low) / (high - low), eps=1e-6)
    flow = zuko.flows.MAF(2, 12, transforms=3, hidden_features=(50, 50))
    minimise(lambda rows: -flow(x[rows]).log_prob(free[rows]).mean(), flow, len(x), epochs, 3e-3)

    @torch.no_grad()
    def draw(x, n=1, base=None):
        conditional = flow((x - centre) / spread)
        drawn = conditional.sample((n,)) if base is None else conditional.transform.inv(base)
        return low + (high - low) * torch.sigmoid(drawn)

    return draw


# %% tags=["nbval-ignore-output"]
draw_flow = train_flow(theta[:5000], x[:5000], low, high, epochs=25, seed=1)

# %% [markdown]
# What has it learned? Draw a square grid in the base: lines from −2.5 to 2.5 in $z_1$ and $z_2$. Send the lines through the flow, for a spectrum like ours and for a faint one. Each cell keeps its share of the probability, and the cells in the middle of the base hold the most. Where the map makes *these* small, the posterior is high.

# %% tags=["nbval-ignore-output"]
generator = seeded(7)
fine_steps, coarse_steps = torch.linspace(-2.5, 2.5, 150), torch.linspace(-2.5, 2.5, 11)
lines = [torch.stack([fine_steps, value.expand(150)], 1) for value in coarse_steps]
lines += [line.flip(1) for line in lines]

fig, axes = plt.subplots(1, 2, figsize=(8, 4.4))
for ax, pair in zip(axes, ((1.9, -1.2), (2.8, -1.9)), strict=True):
    counts = simulate(torch.tensor(pair), generator)
    given = features(counts, generator)
    for line in lines:
        ax.plot(*draw_flow(given, base=line).T, color="C0", linewidth=0.9)
    points = draw_from_grid(log_likelihood(counts, grid_mean), 250, generator)
    ax.plot(*points.T, ".", color="C1", markersize=5, label="exact posterior")
    ax.set(title=f"{counts.sum():.0f} counts", xlabel=names[0], ylabel=names[1])
axes[0].legend()
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
# NRE is a *classifier*. It tells pairs that belong together, $(\theta_i, x_i)$, from as many shuffled ones, $(\theta_j, x_i)$. The first have density $p(\theta, x)$, the second $p(\theta)\,p(x)$. For a perfect classifier the log odds are $\ln\frac{p(\theta, x)}{p(\theta)p(x)} = \ln\frac{p(x\mid\theta)}{p(x)}$: the log likelihood, and a number that does not depend on $\theta$. No density, no flow, any network.
#
# NPE has the prior of its training built in. NLE and NRE do not. They need no new training for another prior, or for several observations of one source, whose log likelihoods *add*.

# %% [markdown]
# ## How far apart are two posteriors?
#
# Look at them, and use the **classifier two-sample test** (C2ST): train a classifier to tell draws of one from draws of the other. An accuracy of 0.5 means that it cannot, and 1 that the two never overlap. All you know of classifiers applies, above all that the scored rows are held out.

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
# Our classifier is logistic regression on all products of the parameters up to third order. It is fast, and sees differences of mean, width, tilt and skewness. **A C2ST is as good as its classifier**: what this one cannot see stays unseen. (The literature uses a neural network. So compare our numbers with each other, and not with published ones.)

# %% tags=["nbval-ignore-output"]
classifier = make_pipeline(
    StandardScaler(), PolynomialFeatures(3, include_bias=False), LogisticRegression(max_iter=1000)
)
others = draw_from_grid(log_likelihood(observed, grid_mean), 4000, seeded(8))
compared = {"exact, other draws": others} | nearest
of_abc = {name: c2st(exact[: len(rows)], rows, classifier) for name, rows in compared.items()}
pd.Series(of_abc, name="C2ST against the exact posterior").to_frame().round(2)

# %% [markdown]
# ## Side by side
#
# Now the library *sbi*, which has all three. Each gets the same 2000 simulations, 1 % of what ABC had, and the same prior. NLE and NRE give a function of $\theta$, for which you would call a sampler (`posterior.sample` runs Markov chains). In two dimensions our grid is enough, and gives all three the same chance.
#
# (In version 0.27 `NRE` of sbi is the variant NRE-B: its classifier chooses among *ten* parameter vectors the one that belongs to $x$, not between two. Then $r$ is right up to a factor that depends on $x$ alone, which a posterior does not need.)
#
# sbi takes its random numbers from torch's *global* generator: to repeat a result, seed that one. It also writes logs; the tracker sends them to a temporary folder. Each method runs with two seeds, because one is an anecdote, and stops after 40 epochs at most, to save your time. (sbi warns about that, and announces when it is done. We silence both.)

# %% tags=["nbval-ignore-output"]
tracker = TensorBoardTracker(SummaryWriter(tempfile.mkdtemp()))
warnings.filterwarnings("ignore", message="Maximum number of epochs")
prior = BoxUniform(low, high)
settings = {"training_batch_size": 100, "learning_rate": 1e-3, "max_num_epochs": 40}
# For NPE the flow of zuko, because sbi's own default often misses so thin a tilt
methods = {"NPE": (NPE, "zuko_maf"), "NLE": (NLE, "maf"), "NRE": (NRE, "resnet")}
posteriors = {}
for name, seed in tqdm(list(product(methods, range(2)))):
    torch.manual_seed(seed)
    kind, network = methods[name]
    method = kind(prior, network, tracker=tracker, show_progress_bars=False)
    method.append_simulations(theta[:2000], x[:2000])
    with redirect_stdout(None):
        method.train(**settings)
    posteriors[name, seed] = method.build_posterior()

# %% tags=["nbval-ignore-output"]
generator = seeded(131)
targets = simulate(torch.tensor([[1.9, -1.2], [1.5, -1.5], [2.5, -0.5]]), generator)
spectra = [observed, *targets]
exacts = [draw_from_grid(log_likelihood(each, grid_mean), 1000, generator) for each in spectra]
coarse = grid.reshape(n_grid, n_grid, 2)[1::3, 1::3].reshape(-1, 2)  # networks are slower than f
inputs = features(torch.stack(spectra), generator)
scores, drawn_by = {}, {}
for run, posterior in tqdm(posteriors.items()):
    with torch.no_grad():
        densities = [posterior.potential(coarse, x=given) for given in inputs]
    draws = [draw_from_grid(density, 1000, generator, coarse) for density in densities]
    scores[run] = [c2st(*pair, classifier) for pair in zip(exacts, draws, strict=True)]
    drawn_by[run] = draws[0]

columns = [f"C2ST, {each.sum():.0f} counts" for each in spectra]
pd.DataFrame(scores, columns).T.rename_axis(["method", "seed"]).round(2)

# %% tags=["nbval-ignore-output", "slide"]
fig, axes = plt.subplots(2, 2, figsize=(6, 5.2))
first_seed = {name: drawn_by[name, 0] for name in methods}
plotting.corner(axes, {"exact": exact, **first_seed}, names, truth=truth)
plotting.show(fig, "13_three_methods")

# %% [markdown]
# Read the table along a row, then compare the two seeds. The error of an accuracy is 0.01: it is a share of 2000 rows. Do not crown a winner: **the same method, on the same simulations, can differ from seed to seed** as much as two methods do, and another problem has another order.
#
# And be fair to ABC: its best rows above are of the same order. But they took 200,000 simulations, a hundred times as many. While a simulation costs next to nothing, nobody minds. The simulators of lessons 14 and 15 cost far more, and have more parameters.

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
# An amortised network learns the posterior of *every* spectrum that the prior can produce. If you have only one spectrum, and it is bright, nearly all simulations were far from it. **Sequential** methods simulate in rounds, each near the posterior of the last round. The simplest keeps the prior and cuts it: it draws the next round from the part of the box that the last posterior has not ruled out. The prior is uniform there, so the loss stays as it is (truncated proposals: Deistler et al. 2022, [arXiv:2210.04815](https://arxiv.org/abs/2210.04815)).

# %% tags=["nbval-ignore-output"]
generator = seeded(9)
bright = simulate(torch.tensor([1.7, -0.2]), generator)
given_bright = features(bright, generator)
whole = train_flow(theta[:1200], x[:1200], low, high, epochs=40, seed=2)
attempts = {"amortised, 1200 simulations": (whole(given_bright, 1000), 1.0)}
box = low, high
for number, epochs in ((1, 40), (2, 40), (3, 80)):
    theta_round = draw_prior(400, generator, *box)
    x_round = features(simulate(theta_round, generator), generator)
    draw_round = train_flow(theta_round, x_round, *box, epochs=epochs, seed=number)
    draws_round = draw_round(given_bright, 1000)
    share = ((box[1] - box[0]) / (high - low)).prod().item()
    attempts[f"round {number}, 400 simulations"] = draws_round, share
    inner = draws_round.quantile(torch.tensor([0.005, 0.995]), 0)
    margin = 0.1 * (inner[1] - inner[0])
    box = torch.maximum(inner[0] - margin, box[0]), torch.minimum(inner[1] + margin, box[1])

# %% tags=["nbval-ignore-output"]
near = draw_from_grid(log_likelihood(bright, grid_mean), 1000, seeded(10))
report = {}
for name, (rows, share_of_prior) in attempts.items():
    row = {"share of the prior": share_of_prior, "width of Γ": rows.std(0)[0].item()}
    report[name] = row | {"C2ST": c2st(near, rows, classifier)}
print(f"width of Γ in the exact posterior: {near.std(0)[0]:.3f}")
pd.DataFrame(report).T.round(3)

# %% [markdown]
# Both ways spend 1200 simulations. The rounds spend them in an ever smaller part of the prior, and usually end much nearer to the exact posterior. (The last round may still be too wide or too narrow: try other seeds.)
#
# The price is a network for *one* spectrum. Ask it about another, and it answers from inside its box, without a warning. And you lose the cheapest check there is, because that one needs many posteriors:
#
# ## Is it calibrated? A first look
#
# Draw 300 pairs $(\theta, x)$, and for each a posterior from the amortised flow. Count how many of its draws lie below the true $\Gamma$: the **rank**. If the posteriors are right on average, all ranks are equally likely (Talts et al. 2018, [arXiv:1804.06788](https://arxiv.org/abs/1804.06788)). Posteriors that are too narrow give a U, too wide ones a hump. Each tenth of a flat histogram lies in the grey band with a probability of 99 %.

# %% tags=["nbval-ignore-output"]
n_tests, n_posterior = 300, 99
generator = seeded(11)
torch.manual_seed(11)  # for the draws of the flow
theta_test = draw_prior(n_tests, generator)
x_test = features(simulate(theta_test, generator), generator)
index_draws = draw_flow(x_test, n_posterior)[..., 0]  # (99, 300)
prior_draws = draw_prior(n_posterior * n_tests, generator)[:, 0].reshape(n_posterior, n_tests)
middle = index_draws.mean(0)
several_draws = {
    "NPE": index_draws,
    "half as wide": middle + (index_draws - middle) / 2,
    "the prior itself": prior_draws,
}
ranks = {name: (rows < theta_test[:, 0]).sum(0) for name, rows in several_draws.items()}

# %% tags=["nbval-ignore-output", "slide"]
band = diagnostics.uniform_band(n_tests, torch.tensor([0.1]))
fig, axes = plt.subplots(1, 3, figsize=(8, 3.6), sharey=True)
for ax, (name, of_300) in zip(axes, ranks.items(), strict=True):
    plotting.rank_histograms(ax, of_300 / n_posterior, band)
    ax.set(title=name, xlabel="rank of the true Γ / 99")
    ax.label_outer()
plotting.show(fig, "13_ranks")

# %% [markdown]
# Look at the last panel. The prior has seen no data, and passes: averaged over the prior it *is* right. **Calibration is necessary, not sufficient.** Lesson 16 continues from here, and asks what happens when the simulator is wrong. No rank can tell that.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - If you can write the likelihood, write it. If the model is slow, emulate the model.
# - SBI needs only a simulator with the contract `theta` (..., P) → (..., N) and an explicit generator.
# - ABC is four lines. It is too wide by what the tolerance lets in, and hopeless for many well-measured parameters.
# - Predict a density, and $-\ln q$ makes it the posterior. What you do not predict is marginalised. Flows are invertible maps with cheap determinants.
# - NPE, NLE, NRE: the same simulations, three places in Bayes' theorem. Compare over seeds before you choose.
# - Sequential methods save simulations. They cost amortisation and the checks that come with it. A flat rank histogram is the beginning of trust.

# %% [markdown]
# **Further reading.** Huppenkothen, Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)), guidelines for learning from data · Barret & Dupourqué 2024 ([arXiv:2401.06061](https://arxiv.org/abs/2401.06061)), NPE for X-ray spectra · Lueckmann et al. 2021 ([arXiv:2101.04653](https://arxiv.org/abs/2101.04653)), a benchmark of SBI methods · Buchner & Fotopoulou 2024 ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)), good practice, and when to use statistics · Acquaviva 2023, "Machine Learning for Physics and Astronomy" (Princeton), networks from the beginning
