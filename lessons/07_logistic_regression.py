# %% [markdown]
# # 7 · Choosing a (simple) algorithm and fitting it
#
# | **The question** | How far does the simplest model get: a weighted sum of features, turned into a probability? |
# |---|---|
# | **Afterwards you can** | write the loss of logistic regression, its gradient and its descent, and watch them converge; say what a coefficient means, when it runs away, and which penalty holds it; choose the strength of a penalty with sources held out, and read the coefficients of four states with their spread |
# | **Time** | 45 min of reading or teaching, 68 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import GroupKFold, validation_curve
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from tqdm.auto import tqdm

from course.checks import lesson_07 as check
from helpers import data, plotting
from helpers.preprocessing import GROUPS, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()
train, validation = data.load_split()

# %% [markdown]
# ## Begin with the model that you can explain
#
# Which algorithm? The simplest that could work. It is fitted in seconds, its numbers can be read, and whatever is fancier has to beat it (lesson 09). Simplify the question, too: **hard or soft?** LHS against HSS, one feature, the hard colour. The intermediate states are left out for now. That makes the task easier than the real one, and we shall see what it costs.

# %%
two = train[train.state_label.isin(["LHS", "HSS"])]
rows = two.dropna(subset="hr_hard")
x = rows.hr_hard.to_numpy()  # hard colour, 10-20 over 6-10 keV, in Crab
y = (rows.state_label == "HSS").to_numpy(float)  # 1 is soft, 0 is hard
print(f"left out: {len(train) - len(two)} intermediate, {len(two) - len(rows)} without a colour")
print(f"{len(rows)} pointings of {rows.source_id.nunique()} sources, {y.mean():.0%} soft")

# %% [markdown] tags=["slide"]
# ## Three curves through the same data
#
# We want $p$, the probability of *soft*, as a function of the colour $x$. Three candidates: a **step**, a straight **line** fitted by least squares, and the **logistic function** of a line,
#
# $$p = \frac{1}{1 + e^{-z}},\qquad z = b_0 + b_1 x .$$

# %%
thresholds = np.linspace(0.5, 1.2, 141)  # Crab
step = thresholds[np.argmax([np.mean((x < t) == y) for t in thresholds])]
line = np.poly1d(np.polyfit(x, y, 1))
fit = LogisticRegression(C=np.inf).fit(x[:, None], y)  # C = ∞: without a penalty; more below
b0, b1 = fit.intercept_[0], fit.coef_[0, 0]

bins = np.arange(0, 1.9, 0.1)
which = np.digitize(x, bins)
full = [which == k for k in np.unique(which) if np.sum(which == k) >= 20]

# %% tags=["slide"]
grid = np.linspace(0, 2.8, 400)
rng = np.random.default_rng(7)
fig, ax = plt.subplots()
strip = 1.14 * y - 0.07 + rng.uniform(-0.03, 0.03, len(y))  # one dot per pointing, off the curves
ax.plot(x, strip, ".", color="0.5", markersize=1)
centres, shares = ([values[k].mean() for k in full] for values in (x, y))
ax.plot(centres, shares, "ko", label="share of soft in a bin")
ax.plot(grid, grid < step, ":", color="C4", label="step")
ax.plot(grid, line(grid), "--", color="C1", label="line")
ax.plot(grid, expit(b0 + b1 * grid), color="C0", label="logistic")
ax.set(xlabel="hard colour hr_hard (Crab)", ylabel="probability of HSS", ylim=(-0.6, 1.3))
ax.legend()
plotting.show(fig, "07_models_of_a_share", colours=64)

# %%
outside = np.mean((line(x) < 0) | (line(x) > 1))
print(f"the line leaves 0...1 in {outside:.0%} of the pointings, down to {line(x).min():.1f}")
for name, p in {"step": x < step, "line": line(x), "logistic": expit(b0 + b1 * x)}.items():
    print(f"{name:9s} right in {np.mean((p > 0.5) == y):.1%}")

# %% [markdown]
# All three *decide* about equally well. So why the third?
#
# - **The step** cannot be improved by small changes: move its edge a little, and most of the time nothing happens. Its gradient is zero or does not exist. And it is never in doubt.
# - **The line** leaves 0…1. Least squares believes in Gaussian noise of one width about the line, but a yes or no has only two values; a pointing that is *very* hard, which is an easy case, pulls on it as if it were a mistake.
# - **The logistic function** has a slope everywhere, stays between 0 and 1, and is in doubt only where both classes occur.
#
# Look again: the logistic curve is flatter than the points. Who holds it down? There are a few soft pointings far on the right.

# %%
far = rows[(rows.state_label == "HSS") & (rows.hr_hard > 1.2)]
print(far[["obs_id", "source_id", "hr_hard", "red_chi2", "skew"]].round(2).to_string(index=False))
flare = (rows.red_chi2 > 50) & rows["skew"].between(0.6, 2)  # the criterion of lesson 02
quiet = rows[~flare]
calm = LogisticRegression(C=np.inf).fit(quiet[["hr_hard"]].to_numpy(), quiet.state_label == "HSS")
print(
    f"{flare.sum()} particle flares among {len(rows)} pointings; {flare[far.index].sum()} of these {len(far)}"
)
print(f"slope with flares {b1:.0f}, without {calm.coef_[0, 0]:.0f} per Crab")

# %% [markdown]
# Particle flares, old acquaintances of lesson 02: three rows in a thousand, and the slope is about half of what it would be. **No fit replaces looking.** We leave them in, as somebody would who never looked, and shall see where they matter.

# %% [markdown]
# ## What the two numbers mean
#
# Turn the curve around: $\ln\frac{p}{1-p} = b_0 + b_1 x$. The left side is the **log odds**. They change by $b_1$ for each unit of $x$, or by $b_1\sigma_x$ for one standard deviation, which compares between features. Which error? Pointings of a source resemble each other, so we draw *sources*, with replacement, as in the lessons before.

# %%
rng = np.random.default_rng(71)
found = []
for _ in range(30):
    some = resample_sources(rows, rng)
    m = LogisticRegression(C=np.inf).fit(some[["hr_hard"]].to_numpy(), some.state_label == "HSS")
    found.append((-m.intercept_[0] / m.coef_[0, 0], -1 / m.coef_[0, 0], m.coef_[0, 0] * x.std()))
names = ("p = 1/2 at (Crab)", "width 1/|b1| (Crab)", "log odds per σ")
for name, value, error in zip(
    names, (-b0 / b1, -1 / b1, b1 * x.std()), np.std(found, axis=0), strict=True
):
    print(f"{name:20s} {value:6.2f} ± {error:.2f}")

# %% [markdown]
# ## Why a physicist knows this curve
#
# **Fermi.** $p = 1/(e^{(x-\mu)/w}+1)$ is the occupation of a level $x$ with chemical potential $\mu=-b_0/b_1$ and temperature $w=1/|b_1|$. Small coefficients are a hot system, large ones a cold one; at zero temperature it is the step. Remember that: soon, some coefficients will freeze.
#
# **Bayes.** Let $x$ be Gaussian in both classes, with means $\mu_0$, $\mu_1$ and *the same* $\sigma$. Bayes' theorem for the posterior odds, with the share $\pi$ of class 1 as prior:
#
# $$\ln\frac{p}{1-p} = \ln\frac{\pi}{1-\pi} + \frac{(x-\mu_0)^2 - (x-\mu_1)^2}{2\sigma^2}.$$
#
# Look at the squares: the $x^2$ cancel. What is left is a straight line in $x$, so $p$ is *exactly* a logistic function.

# %% [markdown] tags=["slide"]
# ## Exercise 7.1 · Two Gaussians make a logistic  ·  core · 10 min · ●●○
#
# Finish the derivation on paper, and write down the line.


# %%
def two_gaussians(mean_0, mean_1, sigma, share):
    """b0 and b1 of the posterior of class 1, whose share of all samples is `share`."""
    # solution: expand the squares; what multiplies x is b1, all the rest is b0
    slope = (mean_1 - mean_0) / sigma**2
    intercept = np.log(share / (1 - share)) - (mean_1**2 - mean_0**2) / (2 * sigma**2)
    return intercept, slope
    # end solution


two_gaussians = check.two_gaussians(two_gaussians)

# %% [markdown]
# Two tests. First on draws for which the theorem holds; then on our colours, for which nobody promised anything.

# %%
fits = []
for seed in range(5):
    rng = np.random.default_rng(seed)
    draw_y = rng.random(20_000) < 0.3
    draw_x = rng.normal(np.where(draw_y, 0.5, 1.2), 0.25)
    m = LogisticRegression(C=np.inf).fit(draw_x[:, None], draw_y)
    fits.append((m.intercept_[0], m.coef_[0, 0]))
print("drawn    exact", np.round(two_gaussians(1.2, 0.5, 0.25, 0.3), 2))
print("         fitted", np.mean(fits, axis=0).round(2), "±", np.std(fits, axis=0).round(2))

for name, table, m in (("all", rows, fit), ("no flares", quiet, calm)):
    hard, soft = (table.hr_hard[table.state_label == state] for state in ("LHS", "HSS"))
    pooled = np.sqrt(np.average([hard.var(), soft.var()], weights=[len(hard), len(soft)]))
    line_of = two_gaussians(hard.mean(), soft.mean(), pooled, len(soft) / len(table))
    print(
        f"{name:9s} widths {hard.std():.2f} (LHS) and {soft.std():.2f} Crab (HSS):  "
        f"Gaussians {np.round(line_of, 1)}, fitted {m.intercept_[0]:.1f} {m.coef_[0, 0]:.1f}"
    )

# %% [markdown]
# For the draws, theory and fit agree. For the colours they are of one size but not equal: neither are the widths, nor are the shapes Gaussian. Logistic regression does not need that. It models $p(y|x)$ and leaves $p(x)$ alone. And notice where the prior sits: in $b_0$ *only*. A training set with another share of soft states has another $b_0$. Keep that for the class weights at the end.

# %% [markdown]
# ## The loss
#
# The model said $p$, and then it was soft ($y=1$). How surprised are we? $-\ln p$: nothing if $p=1$, and without limit as $p \to 0$. If it was hard, $-\ln(1-p)$. Add up:
#
# $$L = -\sum_i \left[y_i \ln p_i + (1-y_i)\ln(1-p_i)\right].$$
#
# Nobody invented that for machine learning. Each label is one toss of a coin with probability $p_i$, a Bernoulli draw, and $L$ is the negative log likelihood of all tosses. Its minimum is the maximum-likelihood estimate.

# %% [markdown] tags=["slide"]
# ## Exercise 7.2 · Surprise, summed  ·  core · 10 min · ●●○
#
# Write $L$ from the margins $z_i = b_0 + b_1x_i$. Careful: in double precision $p$ is exactly 1 for $z>37$, and the logarithm of zero follows. Find a form that survives $z=\pm1000$. (Write $-\ln p$ and $-\ln(1-p)$ with $e^{\mp z}$; `np.logaddexp(a, b)` is $\ln(e^a+e^b)$, without overflow.)


# %%
def loss(z, y):
    """Negative log likelihood, summed, of labels y (n,), 0 or 1, given margins z (n,)."""
    # solution: with p = 1/(1 + exp(-z)), what are -ln p and -ln(1 - p)? Choose by y, and sum
    return np.sum(np.logaddexp(0, z) - y * z)
    # end solution


loss = check.loss(loss)

# %%
constant = np.full(len(y), np.log(y.mean() / (1 - y.mean())))  # a model that knows no colour
print(f"constant  {loss(constant, y) / len(y):.3f} per pointing")
print(f"logistic  {loss(b0 + b1 * x, y) / len(y):.3f}")
wrong = loss(np.array([-1000.0]), np.ones(1))
print(f"one soft pointing that the model called hard with z = -1000: {wrong:.0f}")

# %% [markdown]
# The step has an infinite loss (it was certain, and wrong at least once); the line has none at all (what is the logarithm of −0.3?). Only a model that admits doubt can be scored.

# %% [markdown] tags=["slide"]
# ## Exercise 7.3 · Which way is down?  ·  core · 10 min · ●●○
#
# Several features now: a matrix $X$ (n, k) whose first column is all ones, so that $z = Xb$ with $b=(b_0,b_1,\dots)$. Differentiate $L$ with respect to $b$. (First show $\mathrm{d}p/\mathrm{d}z = p(1-p)$. Almost everything cancels.) `expit` is the logistic function, safe for any $z$.


# %%
def gradient(b, X, y):
    """Derivative (k,) of the summed loss with respect to the coefficients b (k,)."""
    # solution: the derivative of one term with respect to z is prediction minus truth; then the chain rule
    return X.T @ (expit(X @ b) - y)
    # end solution


gradient = check.gradient(gradient)

# %% [markdown]
# *Prediction minus truth, carried back to the inputs*: the same formula trains every network of lesson 09. There, nobody differentiates by hand. **Autograd** follows the computation backwards, and we can ask it for its opinion. Two features from here on, in the units that papers print: rms in per cent and hard colour in Crab.

# %%
rows = two.dropna(subset=["rms_0p1_64", "hr_hard"])
lost = two.drop(rows.index)
soft = np.mean(lost.state_label == "HSS")
print(f"{len(lost)} of {len(two)} lack one of the two; {soft:.0%} of these are soft")
y = (rows.state_label == "HSS").to_numpy(float)
raw = np.column_stack([100 * rows.rms_0p1_64, rows.hr_hard])  # per cent, Crab
middle, scale = raw.mean(axis=0), raw.std(axis=0)
X = np.column_stack([np.ones(len(y)), (raw - middle) / scale])

b = torch.tensor([0.3, -2.0, -1.0], dtype=torch.float64, requires_grad=True)
z = torch.as_tensor(X) @ b
torch.nn.functional.binary_cross_entropy_with_logits(
    z, torch.as_tensor(y), reduction="sum"
).backward()
print("autograd", b.grad.numpy().round(6))
print("by hand ", np.round(gradient(b.detach().numpy(), X, y), 6))

# %% [markdown]
# (Who is missing? Soft and faint pointings, whose variance drowned in photon noise. What follows is about the others. Lesson 05 fills such gaps; with two features we just say so.)

# %% [markdown]
# ## Downhill
#
# There is no formula for the minimum, so we walk: $b \leftarrow b - \eta\,\nabla L/n$, with the **learning rate** $\eta$. Using all samples for each step is *gradient descent*; one sample, *stochastic*; a handful, *mini-batch*. An **epoch** has passed when every sample was used once.

# %% [markdown] tags=["slide"]
# ## Exercise 7.4 · One epoch  ·  core · 12 min · ●●○
#
# Write one epoch. Shuffle the samples with `generator`, cut this order into batches of `size` (the last may be smaller), and after each batch take a step along the *mean* gradient of that batch. With `size = len(y)` this is gradient descent, with `size = 1` stochastic descent.


# %%
def one_epoch(b, X, y, rate, size, generator):
    """The coefficients (k,) after one epoch of mini-batch descent that starts from b (k,)."""
    # solution: generator.permutation(len(y)) is an order of rows; walk through it `size` rows at a time
    order = generator.permutation(len(y))
    for start in range(0, len(y), size):
        batch = order[start : start + size]
        b = b - rate * gradient(b, X[batch], y[batch]) / len(batch)
    return b
    # end solution


one_epoch = check.one_epoch(one_epoch)


# %%
def descend(X, y, rate, size, n_epochs, seed=0, falling=False):
    """Path (n_epochs + 1, k) from b = 0; a falling rate is divided by the number of the epoch."""
    generator = np.random.default_rng(seed)
    path = [np.zeros(X.shape[1])]
    for epoch in range(1, n_epochs + 1):
        now = rate / epoch if falling else rate
        path.append(one_epoch(path[-1], X, y, now, size, generator))
    return np.array(path)


def mean_loss(b, X=X, y=y):
    """Loss per pointing."""
    return float(loss(X @ b, y)) / len(y)


exact = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(X[:, 1:], y)
best = np.append(exact.intercept_, exact.coef_)
print(f"scikit-learn: b = {best.round(2)}, loss per pointing {mean_loss(best):.4f}")

# %% [markdown]
# ## Too small, good, too large
#
# The loss is convex: one valley, no traps. Its curvature is at most $\lambda$, the largest eigenvalue of $X^TX/4n$, so that any $\eta < 2/\lambda$ is guaranteed to go down. That is a safe choice, not the best one.

# %% [markdown] tags=["slide"]
# ### Predict first
#
# Three descents from $b=0$, with all samples: $\eta = 0.03$, 3 and 1000. How many steps will the one with $\eta = 3$ need until its loss is within 1 % of the minimum? Ten, a hundred, thousands?

# %%
my_guess_steps = ...  # steps, a number

# %%
curvature = np.linalg.eigvalsh(X.T @ X / (4 * len(y)))
print(f"guaranteed below a learning rate of {2 / curvature[-1]:.1f}")
paths = {rate: descend(X, y, rate, len(y), 1000) for rate in (0.03, 3, 1000)}
losses = {rate: np.array([mean_loss(b) for b in path]) for rate, path in paths.items()}
for rate, values in losses.items():
    bad = np.flatnonzero(values > 1.01 * mean_loss(best))  # steps that are not within 1 % of it
    when = (
        f"within 1 % of the minimum from step {bad[-1] + 1} on"
        if bad[-1] < 1000
        else "not there yet"
    )
    print(f"η = {rate:<5g} loss {values[1]:.3f} after 1 step, {values[100]:.3f} after 100; {when}")


# %%
def draw_loss(ax, X, y, b0, spans, at):
    """Contours of the loss per pointing over (b1, b2) at fixed b0, with a cross at the minimum."""
    first, second = np.linspace(*spans[0], 161), np.linspace(*spans[1], 41)
    height = [[mean_loss(np.array([b0, u, v]), X, y) for u in first] for v in second]
    levels = np.geomspace(1.1 * mean_loss(best), 2, 7)
    ax.contour(first, second, height, levels, colors="0.75", linewidths=0.7)
    ax.plot(*at, "k+", markersize=11, markeredgewidth=1.6, zorder=5)
    ax.set(xlabel="$b_1$", ylabel="$b_2$", xlim=spans[0], ylim=spans[1])


# %% tags=["slide"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
draw_loss(left, X, y, best[0], [(-12, 3), (-8, 3)], best[1:])
styles = dict(zip(paths, ("C1:", "C0-", "C4--"), strict=True))
for rate, style in styles.items():
    wide = 0.7 if rate > 100 else 1.6
    left.plot(*paths[rate][:300, 1:].T, style, linewidth=wide)
    left.plot(*paths[rate][300, 1:], style[:2] + "o", markersize=6, zorder=4)
    right.loglog(np.arange(1, 1001), losses[rate][1:], style, linewidth=wide, label=f"η = {rate:g}")
left.set(xlabel="$b_1$ (per σ of rms)", ylabel="$b_2$ (per σ of hard colour)")
right.axhline(mean_loss(best), color="0.5", linewidth=0.8)
right.set(xlabel="step", ylabel="loss per pointing")
right.legend()
plotting.mark_guess(right, my_guess_steps)
plotting.show(fig, "07_descents", colours=64)

# %% [markdown]
# **Your prediction:** 448 steps with $\eta = 3$.
#
# Too small is safe and useless. Too large throws the coefficients far away in the first step, to where the model is certain and often wrong. (It does not explode, for far out the loss grows only like a straight line. It walks back, and is thrown out again.) And even the good one takes its time, because the valley is flat where the two classes are nearly told apart. The last part of any descent is slow; whoever stops early does not have the maximum-likelihood estimate.

# %% [markdown]
# ## Why lesson 05 mattered
#
# The same data, the same algorithm, each time with 0.9 of the guaranteed learning rate. Once scaled, once in per cent and Crab, only centred.

# %%
centred = np.column_stack([np.ones(len(y)), raw - middle])
walks = {}
for name, features in {"scaled": X, "per cent and Crab": centred}.items():
    curvature = np.linalg.eigvalsh(features.T @ features / (4 * len(y)))
    path = descend(features, y, 0.9 * 2 / curvature[-1], len(y), 1000)
    walks[name] = features, path
    ratio, last = curvature[-1] / curvature[0], mean_loss(path[-1], features, y)
    print(
        f"{name:17s} curvatures differ by a factor of {ratio:4.0f}; loss after 1000 steps {last:.4f}"
    )

# %%
fig, axes = plt.subplots(1, 2, figsize=(8, 3.9))
ends = {"scaled": best[1:], "per cent and Crab": best[1:] / scale}
for ax, (name, (features, path)) in zip(axes, walks.items(), strict=True):
    draw_loss(ax, features, y, best[0], [(-9, 3), (-10, 2)], ends[name])
    ax.plot(*path[:, 1:].T, "C0-")
    ax.plot(*path[-1, 1:], "C0o", markersize=6)
    ax.set(aspect="equal", title=f"{name}: 1000 steps")
axes[0].set(xlabel="$b_1$ (per σ of rms)", ylabel="$b_2$ (per σ of hard colour)")
axes[1].set(xlabel="$b_1$ (per % of rms)", ylabel="$b_2$ (per Crab of hard colour)")
plotting.show(fig, "07_raw_and_scaled", colours=64)

# %% [markdown]
# A step may be as long as the *steepest* direction allows, and the flat one has to live with it. Somebody wrote rms in per cent, and the descent fails. Scale first. (scikit-learn's default solver estimates the curvature and suffers less; networks do not.)

# %% [markdown]
# ## A few pointings at a time
#
# Is it a waste to read all pointings for one step? They say nearly the same. Smaller batches give more steps per epoch, each with noise.

# %%
runs = {
    f"all {len(y)}": ("C0-", descend(X, y, 1.0, len(y), 20)),
    "32": ("C1--", descend(X, y, 1.0, 32, 20)),
    "1": ("C2:", descend(X, y, 1.0, 1, 20)),
    "1, rate falls": ("C3-.", descend(X, y, 1.0, 1, 20, falling=True)),
}
fig, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4))
draw_loss(left, X, y, best[0], [(-12, 3), (-8, 3)], best[1:])
for name, (style, path) in runs.items():
    left.plot(*path[:, 1:].T, style, marker=".", markersize=4, linewidth=0.9)
    excess = [mean_loss(b) - mean_loss(best) for b in path]
    right.semilogy(excess, style, marker=".", markersize=4, label=f"batches of {name}")
left.set(xlabel="$b_1$ (per σ of rms)", ylabel="$b_2$ (per σ of hard colour)")
right.set(xlabel="epoch", ylabel="loss above its minimum", xticks=range(0, 21, 5))
right.legend()
plotting.show(fig, "07_batches", colours=64)

# %%
finals = {
    "all, rate 10, 2000 epochs": descend(X, y, 10.0, len(y), 2000)[-1],
    "batches of 32, rate falls, 100 epochs": descend(X, y, 10.0, 32, 100, falling=True)[-1],
    "scikit-learn": best,
}
for name, b in finals.items():
    print(f"{name:38s} b = {b.round(3)}   largest difference {np.abs(b - best).max():.4f}")

# %% [markdown]
# Our descents and scikit-learn's solver agree: the full one to better than 0.001, the mini-batches to better than 0.2, a small fraction of the error of the coefficients themselves (you have seen that of one feature above). Constant steps with single pointings never settle: they keep the noise of the last pointing. So lower the rate as you go.

# %% [markdown] tags=["slide"]
# ## The decision boundary
#
# $p=1/2$ is $b\cdot x=0$: a straight line in two dimensions, a plane in many. Now bring back HIMS and SIMS, of which this model has never heard.
#
# ### Predict first
#
# Where will the *median* probability of HSS for the HIMS pointings be?

# %%
my_guess_hims = ...  # between 0 and 1

# %%
everyone = train.dropna(subset=["rms_0p1_64", "hr_hard"])
both = np.column_stack([100 * everyone.rms_0p1_64, everyone.hr_hard])
everyone = everyone.assign(p=expit(best[0] + (both - middle) / scale @ best[1:]))
for state, p in everyone.groupby("state_label").p:
    print(
        f"{state:5s} median p = {p.median():.2f}; p between 0.1 and 0.9 in {p.between(0.1, 0.9).mean():.0%}"
    )

# %% tags=["slide"]
looks = {"LHS": "C0o-", "HIMS": "C2^--", "SIMS": "C3s-.", "HSS": "C1D:"}  # colour, marker, line
u, v = np.meshgrid(np.linspace(0, 60, 121), np.linspace(0, 2, 121))
shade = expit(best[0] + (np.stack([u, v], axis=-1) - middle) / scale @ best[1:])
fig, (left, right) = plt.subplots(1, 2, figsize=(7.8, 3.2), width_ratios=(1.25, 1))
left.contourf(u, v, shade, np.linspace(0, 1, 11), cmap="Greys", vmin=0, vmax=2.2)
lines = left.contour(u, v, shade, [0.1, 0.5, 0.9], colors="black", linewidths=(0.7, 1.6, 0.7))
left.clabel(lines, fmt="p = %g", manual=[(13, 1.6), (8, 1.57), (4, 1.5)], fontsize=9)
for state, look in looks.items():
    some, few = everyone[everyone.state_label == state], state in ("HIMS", "SIMS")
    style = {"markerfacecolor": "none", "markeredgewidth": 0.6, "zorder": 3 if few else 2.5}
    left.plot(100 * some.rms_0p1_64, some.hr_hard, look[:3], markersize=4 if few else 1.5, **style)
    right.ecdf(some.p, color=look[:2], linestyle=look[3:], label=state)
left.set(xlabel="rms 0.1–64 Hz (%)", ylabel="hard colour (Crab)", xlim=(0, 60), ylim=(0, 2))
right.set(xlabel="probability of HSS", ylabel="share of pointings below")
right.legend(loc=(0.35, 0.12))
plotting.mark_guess(right, my_guess_hims)
plotting.show(fig, "07_plane_of_probabilities")

# %% [markdown]
# **Your prediction:** 0.18. SIMS are called soft with near certainty, and of HIMS only about a third are in doubt. $p$ is no degree of softness. It answers "LHS or HSS?", and whoever is neither gets an answer, too, usually a confident one. **A classifier has no word for what it was not taught.**

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): a source turns up that is neither black hole nor neutron star. What will our object classifier say, and how would you notice?

# %% [markdown]
# ## When the likelihood has no maximum
#
# Now give the two-state model all features of lesson 05, without a penalty, and tell the solver to try harder and harder.

# %% tags=["nbval-ignore-output"]
labels = (two.state_label == "HSS").to_numpy(float)
Z = preprocessor().fit_transform(two)
for tol in (1e-3, 1e-4, 1e-6, 1e-8, 1e-10):
    m = LogisticRegression(C=np.inf, tol=tol, max_iter=10_000).fit(Z, labels)
    each = loss(m.decision_function(Z), labels) / len(Z)
    size, right = np.linalg.norm(m.coef_), m.score(Z, labels)
    print(f"tol {tol:.0e}   |b| = {size:5.1f}   right in {right:.2%}   loss {each:.0e}")

# %% [markdown]
# With 28 numbers per pointing, a plane separates the two classes without one mistake. Then twice the coefficients fit *better*, and ten times better still: the supremum lies at infinity, at zero temperature. What scikit-learn prints is where it got tired, and the default of `tol` decides. Coefficients of separable classes are no result; nor are their errors.

# %% [markdown]
# ## The cure: make large coefficients expensive
#
# $$\text{minimise}\quad C\,L(b) + \sum_{j\ge1} \tfrac{1}{p}|b_j|^p\qquad(\text{never } b_0)$$
#
# - $p=2$ is **L2**, *ridge*; scikit-learn's default, with $C=1$. Small $C$ is a strong penalty. In Bayes' words: a Gaussian prior of variance $C$ on each coefficient.
# - $p=1$ is **L1**, *LASSO*. It sets coefficients to exactly zero: a selection of features.
#
# Each treats all coefficients alike, whatever the unit of their feature. Scale first, again.

# %%
strengths = np.logspace(-3.5, 1, 19)
tracks = {}
for name, ratio in {"L1": 1, "L2": 0}.items():  # l1_ratio: the share of L1 in the penalty
    m = LogisticRegression(l1_ratio=ratio, solver="saga", tol=1e-3, max_iter=3000, random_state=0)
    fits = (m.set_params(C=C).fit(Z, labels) for C in strengths)
    tracks[name] = np.array([one.coef_[0].copy() for one in fits])
    kept = np.sum(tracks[name] != 0, axis=1)[[2, 6, 10, 14, 18]]
    print(name, "coefficients that are not zero at C = 0.001, 0.01, 0.1, 1, 10:", kept)


# %%
looks_of = dict(zip(GROUPS, ("C0-", "C1--", "C2-.", "C3:"), strict=False))  # but lags


def group_of(feature):
    """The group of GROUPS that a feature of the preprocessor belongs to."""
    column = "hue" if feature.startswith("hue") else feature.removeprefix("log_")
    return next((group for group, columns in GROUPS.items() if column in columns), "a gap")


def draw_balls(ax):
    """The lines |b1|^p + |b2|^p = 1 for four values of p."""
    angle = np.linspace(0, 2 * np.pi, 721)
    for p, style in {2: "C0-", 1.5: "C2-.", 1: "C1--", 0.5: "C3:"}.items():
        radius = (np.abs(np.cos(angle)) ** p + np.abs(np.sin(angle)) ** p) ** (-1 / p)
        ax.plot(radius * np.cos(angle), radius * np.sin(angle), style, label=f"p = {p:g}")
    ax.set(aspect="equal", xlabel="$b_1$", ylabel="$b_2$", ylim=(-1.1, 2.3))
    ax.set_title(r"$|b_1|^p + |b_2|^p = 1$")
    ax.legend(ncols=2, loc="upper center", fontsize=8.5, columnspacing=0.8, handlelength=1.6)


# %%
fig, axes = plt.subplots(1, 3, figsize=(8.3, 3.1), width_ratios=(0.8, 1, 1))
draw_balls(axes[0])
for ax, (name, track) in zip(axes[1:], tracks.items(), strict=True):
    drawn = {}
    for feature, values in zip(Z.columns, track.T, strict=True):
        group = group_of(feature)
        style, width = looks_of.get(group, "k-"), 1.2 if group in looks_of else 0.5
        (drawn[group],) = ax.semilogx(strengths, values, style, linewidth=width)
    ax.set(xlabel="C  (weak penalty →)", title=name, ylim=(-2.5, 4))
axes[1].set(ylabel="log odds of HSS per σ")
axes[2].legend(drawn.values(), drawn, loc="upper left", fontsize=8.5)
plotting.show(fig, "07_penalties", colours=64)

# %% [markdown]
# The diamond tells why. The contours of the loss grow until they touch the ball, and a ball with corners is likely to be touched at a corner, where coefficients are zero. A round ball has no preferred direction.

# %% [markdown]
# ## Which twin survives?
#
# Zeros are tempting: "the LASSO found that the soft colour does not matter". Try it on other sources. Soft and hard colour rise and fall together. We resample the sources eight times and note which share of the sum $|b_\mathrm{soft}|+|b_\mathrm{hard}|$ goes to the soft colour.

# %%
rng = np.random.default_rng(72)
share = {"L1": [], "L2": []}
for _ in range(8):
    some = resample_sources(two, rng)
    features = preprocessor().fit_transform(some)
    for name, ratio in {"L1": 1, "L2": 0}.items():
        m = LogisticRegression(
            C=0.002, l1_ratio=ratio, solver="saga", tol=1e-3, max_iter=3000, random_state=0
        )
        pair = np.abs(m.fit(features, some.state_label == "HSS").coef_[0][:2])
        share[name].append(pair[0] / pair.sum())
print(f"correlation of the two colours: {two.hr_soft.corr(two.hr_hard):.2f}")
for name, values in share.items():
    print(f"{name}  share of the soft colour:", *(f"{value:.2f}" for value in values))

# %% [markdown]
# L2 shares evenly on every sky; L1 divides as the sources happen to fall, here anything from about a quarter to all. If twins are *exact*, L1 does not even have a unique answer. Our table has such a pair, for the sine and the cosine of the hue are missing together:

# %% tags=["nbval-ignore-output"]
pair = ["missingindicator_hue_sin", "missingindicator_hue_cos"]
where = [Z.columns.get_loc(name) for name in pair]
for seed in range(5):
    both = [  # liblinear walks in random order; and it punishes b0 too, which does not matter here
        LogisticRegression(C=0.1, l1_ratio=ratio, solver="liblinear", random_state=seed)
        .fit(Z, labels)
        .coef_[0][where]
        for ratio in (1, 0)
    ]
    print(f"seed of the solver {seed}:  L1 {both[0].round(3)}   L2 {both[1].round(3)}")

# %% [markdown]
# An L1 zero says "not needed *beside the others*", and nothing about physics. Report a selection only with the share of resamplings in which it holds.

# %% [markdown] tags=["slide"]
# ## Exercise 7.5 · A penalty of your own  ·  stretch · 10 min · ●●●
#
# scikit-learn knows $p=1$ and $p=2$; torch differentiates whatever you write. Write the mean loss plus `strength` times $\sum_{j\ge1}|b_j|^p$ in torch. `binary_cross_entropy_with_logits(z, y)` of `torch.nn.functional` is the mean loss.


# %%
def objective(b, X, y, strength, p):
    """Mean loss plus strength * sum |b_j|^p without b_0: a tensor that knows its gradient."""
    # solution: the loss of z = X @ b, and a sum over b[1:]; stay in torch, or there is no gradient
    fidelity = torch.nn.functional.binary_cross_entropy_with_logits(X @ b, y)
    return fidelity + strength * (b[1:].abs() ** p).sum()
    # end solution


objective = check.objective(objective)

# %%
colours = two.dropna(subset=["hr_soft", "hr_hard"])[["hr_soft", "hr_hard", "state_label"]]
pairs = colours.iloc[:, :2].to_numpy()
pairs = np.column_stack([np.ones(len(pairs)), (pairs - pairs.mean(axis=0)) / pairs.std(axis=0)])
tensors = torch.as_tensor(pairs), torch.as_tensor((colours.state_label == "HSS").to_numpy(float))
for p in (1.5, 0.5):
    for start in ([0, -4, -0.5], [0, -0.5, -4]):
        b = torch.tensor(start, dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.SGD([b], lr=1.0)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.99)  # the rate falls
        for _ in range(600):
            optimiser.zero_grad()
            value = objective(b, *tensors, 0.1, p)
            value.backward()
            torch.nn.utils.clip_grad_value_([b], 0.3)  # no giant steps where the slope is infinite
            optimiser.step()
            schedule.step()
        end = b.detach().numpy()[1:].round(1) + 0.0
        print(f"p = {p}  from {start!s:14s} to b1, b2 = {end}, objective {value.item():.2f}")

# %% [markdown]
# For $p=1.5$ both starts meet. For $p<1$ the ball is hollow and the problem is no longer convex: there is a minimum near each axis, and the start decides in which you end. Where $b_j=0$, the slope of $|b_j|^p$ is infinite on both sides: a coefficient that has come to zero stays there, whatever the data say. This is why nobody offers it as a default.

# %% [markdown]
# ## How strong should the penalty be?
#
# Too strong, and the model cannot follow the data: **underfitting**, poor on both training and held-out sources. Too weak, and it follows the noise: **overfitting**, good on one and poor on the other. Now all four states, whole sources held out. Once with all training pointings, once with 100.

# %% tags=["nbval-ignore-output"]
strengths = np.logspace(-3, 3, 13)
model = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000))
folds = list(GroupKFold(5, shuffle=True, random_state=7).split(train, groups=train.source_id))
rng = np.random.default_rng(73)
few = [(rng.choice(inside, 100, replace=False), held_out) for inside, held_out in folds]
curves = {}
for name, cv in tqdm({"all pointings": folds, "100 pointings": few}.items()):
    curves[name] = validation_curve(
        model,
        train,
        train.state_label,
        cv=cv,
        scoring="balanced_accuracy",
        param_name="logisticregression__C",
        param_range=strengths,
    )

# %%
fig, axes = plt.subplots(1, 2, sharey=True, figsize=(8, 3.3))
for ax, (name, (seen, held_out)) in zip(axes, curves.items(), strict=True):
    for scores, style, where in (
        (seen, "C1s--", "in training"),
        (held_out, "C0o-", "sources held out"),
    ):
        error = scores.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
        ax.errorbar(
            strengths, scores.mean(axis=1), error, fmt=style, markersize=4, capsize=2, label=where
        )
    ax.set(xscale="log", xlabel="C  (weak penalty →)", title=name, ylim=(0.4, 1.02))
axes[0].set(ylabel="balanced accuracy of the state")
axes[0].legend(loc="lower right")
plotting.show(fig, "07_strength", colours=64)

# %%
for name, (seen, held_out) in curves.items():
    for k in (0, 4, 6, 12):
        error = held_out[k].std(ddof=1) / np.sqrt(5)
        inside, outside = seen[k].mean(), held_out[k].mean()
        print(
            f"{name}  C = {strengths[k]:<6g} training {inside:.2f}   held out {outside:.2f} ± {error:.2f}"
        )

# %% [markdown]
# On the left, **the score is flat over four decades**: thousands of pointings and 28 features leave little to overfit. There is no best $C$ to be found, and whoever quotes one to two digits has tuned on noise. On the right, 100 pointings of the same sources: the textbook curve. How much you need a penalty depends on how much data you have.

# %% [markdown] tags=["slide"]
# ## Exercise 7.6 · Which C?  ·  core · 8 min · ●●○
#
# Do not take the maximum of a flat, noisy curve. A good habit: among all $C$ whose mean score is *within one standard error of the best mean*, take the simplest model, that is the strongest penalty (Hastie, Tibshirani & Friedman 2009, section 7.10). The standard error is that of the best one's mean over folds.


# %%
def choose_c(strengths, scores):
    """The smallest C of strengths (n,), increasing, by the rule above; scores (n, n_folds)."""
    # solution: a mean per C; the error of the best mean, from its folds; the first C that is good enough
    mean = np.mean(scores, axis=1)
    top = np.argmax(mean)
    error = np.std(scores[top], ddof=1) / np.sqrt(scores.shape[1])
    return strengths[np.flatnonzero(mean >= mean[top] - error)[0]]
    # end solution


choose_c = check.choose_c(choose_c)

# %%
for name, (_, held_out) in curves.items():
    best_mean = strengths[np.argmax(held_out.mean(axis=1))]
    print(
        f"{name}: largest mean at C = {best_mean:.2g}, our choice C = {choose_c(strengths, held_out):.2g}"
    )

# %% [markdown]
# (Folds share training sources, so the error is a rough one. And these scores helped to choose, so they are too good by a little: lesson 10.) For all pointings scikit-learn's $C=1$ lies on the plateau. We keep it: one choice less to defend.

# %% [markdown]
# ## Four states: the softmax
#
# One row of coefficients per state, so one margin $z_k$ each, and
#
# $$p_k = \frac{e^{z_k}}{\sum_m e^{z_m}} .$$
#
# A physicist says: Boltzmann factors over their partition sum. For two states it is the logistic function of $z_1-z_0$. The other way, **one-vs-rest**, fits each state against all others by itself and rescales the four probabilities.

# %% [markdown] tags=["slide"]
# ## Exercise 7.7 · Softmax  ·  core · 8 min · ●●○
#
# Only differences count: add the same number to all $z_k$ of a row, and nothing changes. Use that to make it survive margins of thousands.


# %%
def softmax(z):
    """Probabilities (n, k) from margins z (n, k); each row sums to one."""
    # solution: first subtract from each row its largest margin (mind keepdims), then the formula
    power = np.exp(z - np.max(z, axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)
    # end solution


softmax = check.softmax(softmax)

# %% [markdown]
# And now the model of the course: the pipeline of lesson 05, logistic regression with $C=1$, four states. Beside it the same with one-vs-rest, and with `class_weight="balanced"`, which counts a pointing of a rare state as much more than one of LHS.

# %%
models = {
    "softmax": model,
    "one-vs-rest": make_pipeline(
        preprocessor(), OneVsRestClassifier(LogisticRegression(max_iter=2000))
    ),
    "balanced": make_pipeline(
        preprocessor(), LogisticRegression(max_iter=2000, class_weight="balanced")
    ),
}
for m in models.values():
    m.fit(train, train.state_label)
by_hand = softmax(model.decision_function(validation))
agree = np.allclose(by_hand, model.predict_proba(validation))
print(f"your softmax and predict_proba agree: {agree}")

judged = validation.assign(**{name: m.predict(validation) for name, m in models.items()})
rng = np.random.default_rng(74)
draws = [resample_sources(judged, rng) for _ in range(100)]
for name in models:
    score = balanced_accuracy_score(judged.state_label, judged[name])
    error = np.std([balanced_accuracy_score(draw.state_label, draw[name]) for draw in draws])
    recall = recall_score(judged.state_label, judged[name], average=None, labels=list(looks))
    recalls = "  ".join(f"{state} {value:.2f}" for state, value in zip(looks, recall, strict=True))
    print(f"{name:12s} balanced accuracy {score:.2f} ± {error:.2f}   recall: {recalls}")

# %% [markdown]
# Read it slowly.
#
# - LHS and HSS are nearly solved; **HIMS and SIMS are not**. Accuracy, which counts heads, would have hidden that (lesson 06).
# - Softmax and one-vs-rest differ by less than the error.
# - **Class weights** raise the recall of SIMS, lower that of LHS and HSS, and do not raise the mean. They move the prior, above all the intercepts; what the features cannot tell apart stays where it was. And some of these errors are not the model's: several per cent of the human labels name a neighbouring state, and since LHS and HSS are so many, these make a good part of all "HIMS" and "SIMS" (lesson 08 looks).
#
# Class weights are for when mistakes on rare classes *cost* more. Then say so; and do not read such a $p$ as a probability.

# %% [markdown]
# ## Reading the coefficients
#
# Twenty fits on resampled sources. A cell shows the mean coefficient, per standard deviation of its feature; it is empty where the mean is below twice the spread.

# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(75)
tables = []
for _ in range(20):
    some = resample_sources(train, rng)
    m = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000)).fit(some, some.state_label)
    names = m[:-1].get_feature_names_out()
    tables.append(pd.DataFrame(m[-1].coef_.T, names, m.classes_)[list(looks)])
stack = pd.concat(tables, keys=range(20), names=["draw", "feature"])
mean, spread = (getattr(stack.groupby("feature", sort=False), how)() for how in ("mean", "std"))

# %%
clear = mean.where(mean.abs() > 2 * spread).dropna(how="all")
clear.index = clear.index.str.replace("missingindicator_", "gap in ")
fig, ax = plt.subplots(figsize=(5, 6.2))
plotting.heat_map(ax, clear, limits=(-2, 2))
ax.set(title="pulls towards (+) or away from (−)")
plotting.show(fig, "07_coefficients", colours=64)

# %%
zero = np.allclose(mean.sum(axis=1), 0, atol=1e-6)
print(f"each row sums to zero over the four states: {zero}")
for feature, state in (
    ("log_rms_0p25_2", "LHS"),
    ("disc_frac", "HSS"),
    ("log_qpo_freq", "HIMS"),
    ("missingindicator_log_qpo_freq", "HSS"),
    ("kt_in", "LHS"),
    ("log_rms_0p004_0p03", "LHS"),
):
    print(
        f"{feature:30s} {state:5s} {mean.loc[feature, state]:+.2f} ± {spread.loc[feature, state]:.2f}"
    )
slow = np.log10(train.rms_0p004_0p03).groupby(train.state_label).median()
print(f"median slow rms: LHS {10**slow.LHS:.0%}, HSS {10**slow.HSS:.0%}")
print(
    f"LHS pointings with a kT_in at all: {train.kt_in[train.state_label == 'LHS'].notna().mean():.0%}"
)

# %% [markdown]
# Much of it is the textbook: variability and hard colours pull towards LHS, the disc towards HSS, a QPO that *nobody found* towards HSS. That each row sums to zero is the shift that softmax does not feel.
#
# Two rows should make you stop. **A hot disc pulls towards LHS?** Hardly any LHS pointing has a $kT_\mathrm{in}$ at all; the coefficient is made by those few, and gone without them. **Slow rms pulls away from LHS**, although LHS has much more of it than HSS? A coefficient is the effect of one feature *with all others held fixed*: at given rms in the other bands, more slow noise is a steeper power spectrum, and that is soft. Twins share, change places, and change sign. So: coefficients are read in groups, with their spread, and never as causes. Proper errors and better tools come in lesson 11.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Logistic regression is a straight line for the log odds: the exact posterior of two Gaussians of equal width, and a good first guess elsewhere.
# - Its loss is a likelihood, its gradient is prediction minus truth, and a descent converges if features are scaled and the rate suits.
# - Separable classes have no maximum-likelihood fit. A penalty makes one; the choice of the penalty, not the data, then decides how twins share.
# - Its score can be flat in $C$ over decades. Say so, and keep the default.
# - A classifier answers also for what it was not taught.

# %% [markdown]
# **Further reading.** V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): linear models, slowly, with astronomers' data · T. Hastie, R. Tibshirani & J. Friedman, *The Elements of Statistical Learning* (2nd ed., 2009), chapters 3 and 4: penalties and logistic regression, derived · scikit-learn user guide, [Logistic regression](https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression): solvers, penalties, what C is · D. Baron, *Machine learning in astronomy: a practical overview* ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248)): where simple models fit in.
