# %% [markdown]
# # 7 · Choosing a (simple) algorithm and fitting it
#
# | **The question** | How far does the simplest model get: a weighted sum of features, turned into a probability? |
# |---|---|
# | **Afterwards you can** | write the loss of logistic regression, its gradient and its descent, and watch them converge; say what a coefficient means, when it runs away, and which penalty holds it; choose the strength of a penalty with sources held out, and read the coefficients of four states with their spread |
# | **Time** | 40 min of reading or teaching, 68 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, see `data/README.md` |
# | **Run time** | below 60 s on two cores |
#
# "Which twin survives?" is marked *for home*, with Exercise 7.5: about 3 min of reading and 10 of exercises. No later section needs them.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, validation_curve
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from tqdm.auto import tqdm

from course.checks import lesson_07 as check
from helpers import data, plotting
from helpers.preprocessing import preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()

# %% [markdown]
# ## Begin with the model that you can explain
#
# Which algorithm? The simplest that could work. It is fitted in seconds, and its numbers can be read. Whatever is fancier has to beat it (lesson 09). We simplify the question, too: **hard or soft?** We take the low/hard state (LHS), the high/soft state (HSS) and one feature, the hard colour. We leave out the hard- and soft-intermediate states (HIMS, SIMS) for now. The task is then easier than the real one, and we shall see what that costs.

# %%
train, validation = data.load_split()
states = ["LHS", "HIMS", "SIMS", "HSS"]  # from hard to soft
two = train[train.state_label.isin(["LHS", "HSS"])]
coloured = two.dropna(subset="hr_hard")
x = coloured.hr_hard.to_numpy()  # hard colour, 10-20 over 6-10 keV, in Crab
soft = (coloured.state_label == "HSS").to_numpy(float)  # 1 is soft, 0 is hard
print(f"{len(x)} pointings of {coloured.source_id.nunique()} sources, {soft.mean():.0%} soft")

# %% [markdown] tags=["slide"]
# ## Three curves through the same data
#
# We want $p$, the probability of *soft*, as a function of the colour $x$. There are three candidates: a **step**, a straight **line** fitted by least squares, and the **logistic function** of a line,
#
# $$p = \frac{1}{1 + e^{-z}},\qquad z = b_0 + b_1 x .$$

# %%
thresholds = np.linspace(0.5, 1.2, 141)  # Crab
step = thresholds[np.argmax([np.mean((x < t) == soft) for t in thresholds])]
line = np.poly1d(np.polyfit(x, soft, 1))
fit = LogisticRegression(C=np.inf).fit(x[:, None], soft)  # C = ∞: without a penalty; more below
b0, b1 = fit.intercept_[0], fit.coef_[0, 0]

# %% tags=["slide"]
grid = np.linspace(0, 2.8, 400)
curves = {"step": 1.0 * (grid < step), "line": line(grid), "logistic": expit(b0 + b1 * grid)}
ax = pd.DataFrame(curves, index=grid).plot(style=["C4:", "C1--", "C0-"], figsize=(8, 4.2))
ax.plot(x, 1.14 * soft - 0.07, "|", color="0.5", markersize=6)  # one mark for each pointing
sns.regplot(x=x, y=soft, x_bins=np.arange(0.05, 1.3, 0.1), ci=None, fit_reg=False, color="k", ax=ax)
ax.set(xlabel="hard colour hr_hard (Crab)", ylabel="probability of HSS", ylim=(-0.6, 1.3))
plotting.show(ax, "07_models_of_a_share", colours=64)

# %%
at_x = pd.DataFrame({"step": 1.0 * (x < step), "line": line(x), "logistic": expit(b0 + b1 * x)})
right = (at_x > 0.5).eq(soft, axis=0).mean()  # the share of pointings
at_x.agg(["min", "max"]).T.assign(right=right).round(3)

# %% [markdown]
# All three *decide* about equally well. So why the third?
#
# - **The step** has a gradient of zero or none: move its edge a little, and most of the time nothing happens. And it never doubts.
# - **The line** leaves 0…1. Least squares assumes Gaussian noise about the line, but a yes or no has only two values. A *very* hard pointing, an easy case, pulls on the line as if it were a mistake.
# - **The logistic function** has a slope everywhere, stays between 0 and 1, and doubts only where both classes occur.
#
# Look again: the logistic curve is flatter than the black points (shares of *soft* in bins; a grey mark is one pointing). A few soft pointings far on the right hold it down.

# %%
far = coloured[(coloured.state_label == "HSS") & (coloured.hr_hard > 1.2)]
far[["obs_id", "source_id", "hr_hard", "red_chi2", "skew"]].round(2)  # hr_hard in Crab

# %%
flare = (coloured.red_chi2 > 50) & coloured["skew"].between(0.6, 2)  # the criterion of lesson 02
quiet = coloured[~flare]
calm = LogisticRegression(C=np.inf).fit(quiet[["hr_hard"]].to_numpy(), quiet.state_label == "HSS")
print(f"{flare.sum()} particle flares among {len(coloured)} pointings")
print(f"slope with flares {b1:.0f}, without {calm.coef_[0, 0]:.0f} per Crab")

# %% [markdown]
# These four are particle flares, which we met in lesson 02. Ten flares, and the slope is about half of what it would be without them. **No fit replaces looking.** We leave them in, like somebody who never looked.

# %% [markdown]
# ## What the two numbers mean
#
# Solve for the line: $\ln\frac{p}{1-p} = b_0 + b_1 x$. The left side is the **log odds**. They change by $b_1$ for each unit of $x$, or by $b_1\sigma_x$ for one standard deviation. The second can be compared between features. What is its error? Pointings of one source resemble each other, so we draw *sources* with replacement, as in the lessons before.


# %%
def meaning(rows):
    """Where p = 1/2 and the width (both in Crab), and the log odds per standard deviation."""
    is_soft = rows.state_label == "HSS"
    model = LogisticRegression(C=np.inf).fit(rows[["hr_hard"]].to_numpy(), is_soft)
    intercept, slope = model.intercept_[0], model.coef_[0, 0]
    return -intercept / slope, 1 / abs(slope), slope * x.std()


rng = np.random.default_rng(71)
of_skies = [meaning(resample_sources(coloured, rng)) for _ in range(30)]
names = ["p = 1/2 at (Crab)", "width 1/|b1| (Crab)", "log odds per σ"]
pd.DataFrame({"value": meaning(coloured), "error": np.std(of_skies, axis=0)}, names).round(2)

# %% [markdown]
# ## Why a physicist knows this curve
#
# **Fermi.** $p = 1/(e^{(x-\mu)/w}+1)$ is the occupation of a level $x$ with chemical potential $\mu=-b_0/b_1$ and temperature $w=1/|b_1|$. Small coefficients are a hot system, large ones a cold one; at zero temperature the curve is the step. Remember this: soon, some coefficients will freeze.
#
# **Bayes.** Let $x$ be Gaussian in both classes, with means $\mu_0$, $\mu_1$ and *the same* $\sigma$. Take the share $\pi$ of class 1 as the prior. Bayes' theorem gives the posterior odds:
#
# $$\ln\frac{p}{1-p} = \ln\frac{\pi}{1-\pi} + \frac{(x-\mu_0)^2 - (x-\mu_1)^2}{2\sigma^2}.$$
#
# Look at the squares: the $x^2$ cancels. A straight line in $x$ is left, so $p$ is *exactly* a logistic function.

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
# Now two tests: first on draws for which the theorem holds, then on our colours.

# %%
fits = []
for seed in range(5):
    rng = np.random.default_rng(seed)
    draw_y = rng.random(20_000) < 0.3
    draw_x = rng.normal(np.where(draw_y, 0.5, 1.2), 0.25)
    m = LogisticRegression(C=np.inf).fit(draw_x[:, None], draw_y)
    fits.append((m.intercept_[0], m.coef_[0, 0]))
lines = two_gaussians(1.2, 0.5, 0.25, 0.3), np.mean(fits, axis=0), np.std(fits, axis=0)
pd.DataFrame(lines, ["exact", "fitted, mean", "standard deviation"], ["b0", "b1"]).round(2)

# %%
colour_of = quiet.groupby("state_label").hr_hard  # without the flares
print("widths (Crab):", colour_of.std().round(2).to_dict())
pooled = np.sqrt(np.average(colour_of.var(), weights=colour_of.size()))
means, share_of_soft = colour_of.mean(), np.mean(quiet.state_label == "HSS")
by_theory = two_gaussians(means.LHS, means.HSS, pooled, share_of_soft)
by_fit = calm.intercept_[0], calm.coef_[0, 0]
pd.DataFrame([by_theory, by_fit], ["two Gaussians", "fitted"], ["b0", "b1"]).round(1)

# %% [markdown]
# For the draws, theory and fit agree. For the colours they are similar but not equal: the widths differ, and the shapes are not Gaussian. Logistic regression does not need that. It models $p(y|x)$ and leaves $p(x)$ alone. Notice where the prior is: in $b_0$ *only*. We need this for the class weights at the end.

# %% [markdown]
# ## The loss
#
# The model said $p$, and then the state was soft ($y=1$). How surprised are we? $-\ln p$: not at all if $p=1$, and without limit as $p \to 0$. If the state was hard, $-\ln(1-p)$. Sum over all pointings:
#
# $$L = -\sum_i \left[y_i \ln p_i + (1-y_i)\ln(1-p_i)\right].$$
#
# Nobody invented this for machine learning. Each label is one Bernoulli draw with probability $p_i$, and $L$ is the negative log likelihood of all labels. Its minimum is the maximum-likelihood estimate.

# %% [markdown] tags=["slide"]
# ## Exercise 7.2 · Surprise, summed  ·  core · 10 min · ●●○
#
# Write $L$ from the margins $z_i = b_0 + b_1x_i$. Take care: in double precision $p$ is exactly 1 for $z>37$, and then $1-p$ has no logarithm. Find a form that survives $z=\pm1000$. (Write $-\ln p$ and $-\ln(1-p)$ with $e^{\mp z}$; `np.logaddexp(a, b)` is $\ln(e^a+e^b)$, without overflow.)


# %%
def loss(z, y):
    """Negative log likelihood, summed, of labels y (n,), 0 or 1, given margins z (n,)."""
    # solution: with p = 1/(1 + exp(-z)), what are -ln p and -ln(1 - p)? Choose by y, and sum
    return np.sum(np.logaddexp(0, z) - y * z)
    # end solution


loss = check.loss(loss)

# %%
constant = np.full(len(x), np.log(soft.mean() / (1 - soft.mean())))  # a model that knows no colour
print(f"constant  {loss(constant, soft) / len(x):.3f} per pointing")
print(f"logistic  {loss(b0 + b1 * x, soft) / len(x):.3f} per pointing")

# %% [markdown]
# The step has an infinite loss: it was certain, and sometimes wrong. The line has no loss at all: what is the logarithm of a negative number? Only a model that admits doubt can be scored.

# %% [markdown] tags=["slide"]
# ## Exercise 7.3 · Which way is down?  ·  core · 10 min · ●●○
#
# Now take several features: a matrix $X$ (n, k) whose first column is all ones, so that $z = Xb$ with $b=(b_0,b_1,\dots)$. Differentiate $L$ with respect to $b$. (First show $\mathrm{d}p/\mathrm{d}z = p(1-p)$. Almost everything cancels.) `expit` is the logistic function, safe for any $z$.


# %%
def gradient(b, X, y):
    """Derivative (k,) of the summed loss with respect to the coefficients b (k,)."""
    # solution: the derivative of one term with respect to z is prediction minus truth; then the chain rule
    return X.T @ (expit(X @ b) - y)
    # end solution


gradient = check.gradient(gradient)

# %% [markdown]
# *Prediction minus truth, carried back to the inputs*: the same formula trains every network of lesson 09. There **autograd** differentiates, by following the computation backwards. Let us compare. From here on we use two features, in the units that papers print: rms in per cent and hard colour in Crab.

# %%
complete = two.dropna(subset=["rms_0p1_64", "hr_hard"])
lost = two.drop(complete.index).state_label
print(f"{len(lost)} of {len(two)} lack one of the two, {np.mean(lost == 'HSS'):.0%} of them soft")
y = (complete.state_label == "HSS").to_numpy(float)
raw = np.column_stack([100 * complete.rms_0p1_64, complete.hr_hard])  # per cent, Crab
middle, scale = raw.mean(axis=0), raw.std(axis=0)
X = np.column_stack([np.ones(len(y)), (raw - middle) / scale])
somewhere = torch.tensor([0.3, -2.0, -1.0], dtype=torch.float64, requires_grad=True)
z = torch.as_tensor(X) @ somewhere
mean_loss_of_torch = torch.nn.functional.binary_cross_entropy_with_logits
mean_loss_of_torch(z, torch.as_tensor(y), reduction="sum").backward()
print("autograd", somewhere.grad.numpy().round(6))
print("by hand ", np.round(gradient(somewhere.detach().numpy(), X, y), 6))

# %% [markdown]
# (Who is missing? Nearly only soft pointings, whose variance is too small to be seen in the photon noise. What follows is about the others. Lesson 05 fills such gaps.)

# %% [markdown]
# ## Downhill
#
# There is no formula for the minimum, so we walk: $b \leftarrow b - \eta\,\nabla L/n$, with the **learning rate** $\eta$. If each step uses all samples, this is *gradient descent*; with one sample it is *stochastic*, with some it is *mini-batch*. An **epoch** has passed when every sample was used once.

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
        path.append(one_epoch(path[-1], X, y, rate / (epoch if falling else 1), size, generator))
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
# The loss is convex: it has one valley. Its curvature is at most $\lambda$, the largest eigenvalue of $X^TX/4n$. With any $\eta < 2/\lambda$ each step is guaranteed to go down. That is safe, not best.

# %% [markdown] tags=["slide"]
# ### Predict first
#
# Three descents start from $b=0$, with all samples: $\eta = 0.03$, 3 and 1000. How many steps will the one with $\eta = 3$ need until its loss is within 1 % of the minimum? Ten, a hundred, thousands?

# %%
my_guess_steps = ...  # steps, a number

# %% tags=["nbval-ignore-output"]
steepest = np.linalg.eigvalsh(X.T @ X / (4 * len(y)))[-1]
print(f"guaranteed below a learning rate of {2 / steepest:.1f}")
paths = {f"η = {rate:g}": descend(X, y, rate, len(y), 1000) for rate in (0.03, 3, 1000)}
losses = pd.DataFrame({name: [mean_loss(b) for b in path] for name, path in paths.items()})
above = (losses > 1.01 * mean_loss(best)).sum()  # steps that are not within 1 % of the minimum
losses.loc[[1, 100, 1000]].T.add_prefix("loss, step ").assign(steps_above=above).round(3)

# %% tags=["slide"]
ax = losses[1:].plot(loglog=True, style=["C1:", "C0-", "C4--"], figsize=(8, 4.4))
ax.set(xlabel="step", ylabel="loss per pointing")
ax.xaxis.set_major_formatter("{x:g}")
plotting.mark_guess(ax, my_guess_steps)
plotting.show(ax, "07_descents", colours=64)

# %% [markdown]
# **The answer:** 448 steps with $\eta = 3$ (last column). The smallest rate does not arrive in 1000 steps; the largest does not stay.
#
# Too small a rate is safe and useless. Too large a rate throws the coefficients far away in the first step, to where the model is certain and often wrong. (Far away the loss grows only like a straight line. So the descent walks back, and is thrown out again. Rounding errors decide when: your last row may differ from ours.) Even the good rate takes its time, because the valley is flat where the two classes are nearly separated. Whoever stops early does not have the maximum-likelihood estimate.

# %% [markdown]
# ## Why lesson 05 mattered
#
# The same data and the same algorithm, each time with 0.9 of the guaranteed learning rate: once scaled, once in per cent and Crab, only centred.

# %%
centred = np.column_stack([np.ones(len(y)), raw - middle])
walks = {}
for name, design in {"scaled": X, "per cent and Crab": centred}.items():
    curvature = np.linalg.eigvalsh(design.T @ design / (4 * len(y)))
    end = descend(design, y, 0.9 * 2 / curvature[-1], len(y), 1000)[-1]
    walks[name] = curvature[-1] / curvature[0], mean_loss(end, design)
pd.DataFrame(walks, ["ratio of the curvatures", "loss after 1000 steps"]).T.map("{:.4g}".format)

# %% [markdown]
# The *steepest* direction limits the length of a step, and the flat direction needs many such steps. Somebody wrote rms in per cent, and the descent fails. Scale first. (scikit-learn's default solver estimates the curvature and suffers less; networks do not.)

# %% [markdown]
# ## A few pointings at a time
#
# Do we need to read all pointings for one step? Most of them say nearly the same. Smaller batches give more steps per epoch, each with noise.

# %%
sizes = {"all": (len(y), False), "32": (32, False), "1": (1, False), "1, rate falls": (1, True)}
excess = {}
for name, (size, falling) in sizes.items():
    path = descend(X, y, 1.0, size, 20, falling=falling)
    excess[f"batches of {name}"] = [mean_loss(b) - mean_loss(best) for b in path]
styles = ["C0o-", "C1s--", "C2^:", "C3D-."]
ax = pd.DataFrame(excess).plot(logy=True, style=styles, figsize=(8, 4.2))
ax.set(xlabel="epoch", ylabel="loss above its minimum", xticks=range(0, 21, 5))
ax.set_yticks([1, 1e-2, 1e-4], ["1", "0.01", "0.0001"])
plotting.show(ax, "07_batches", colours=64)

# %%
arrived = {"all": descend(X, y, 10.0, len(y), 2000)[-1]}
arrived["batches of 32"] = descend(X, y, 10.0, 32, 100, falling=True)[-1]
pd.DataFrame(arrived | {"scikit-learn": best}, ["b0", "b1", "b2"]).T.round(3)

# %% [markdown]
# Our descents (2000 epochs at once, or 100 in batches with a falling rate) and scikit-learn's solver agree: the first within 0.001, the second within 0.2. Single pointings with a constant rate never settle: they keep the noise of the last pointing. So lower the rate as you go.

# %% [markdown] tags=["slide"]
# ## The decision boundary
#
# $p=1/2$ is $b\cdot x=0$: a straight line in two dimensions, a plane in many. Now bring back HIMS and SIMS. This model has never seen them.
#
# ### Predict first
#
# Where will the *median* probability of HSS for the HIMS pointings be?

# %%
my_guess_hims = ...  # between 0 and 1


# %%
def p_of_soft(rms, colour):
    """Probability of HSS by the fit above; rms in per cent, hard colour in Crab."""
    scaled = (np.stack([rms, colour], axis=-1) - middle) / scale
    return expit(best[0] + scaled @ best[1:])


everyone = train.dropna(subset=["rms_0p1_64", "hr_hard"])
everyone = everyone.assign(rms_percent=100 * everyone.rms_0p1_64)
everyone["p"] = p_of_soft(everyone.rms_percent, everyone.hr_hard)
everyone["in doubt"] = everyone.p.between(0.1, 0.9)
untaught = everyone.groupby("state_label").agg({"p": "median", "in doubt": "mean"}).loc[states]
untaught.round(2)  # median of p; share with p from 0.1 to 0.9

# %% tags=["slide"]
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4))
look = {"hue": "state_label", "hue_order": states, "palette": ["C0", "C2", "C3", "C1"]}
look |= {"style": "state_label", "style_order": states, "markers": ["o", "^", "s", "D"]}
sns.scatterplot(everyone, x="rms_percent", y="hr_hard", s=18, linewidth=0, ax=left, **look)
u, v = np.meshgrid(np.linspace(0, 60, 121), np.linspace(0, 2, 121))
contours = left.contour(u, v, p_of_soft(u, v), [0.1, 0.5, 0.9], colors="black")
left.clabel(contours, fmt="p = %g", manual=[(13, 1.6), (8, 1.57), (4, 1.5)])
left.set(xlabel="rms 0.1–64 Hz (%)", ylabel="hard colour (Crab)", xlim=(0, 60), ylim=(0, 2))
sns.boxplot(everyone, x="p", y="state_label", order=states, color="0.8", fliersize=2, ax=right)
right.set(xlabel="probability of HSS", ylabel="")
plotting.mark_guess(right, my_guess_hims)
plotting.show(fig, "07_plane_of_probabilities", colours=64)

# %% [markdown]
# **The answer:** 0.18. SIMS are called soft with near certainty, and only about a third of HIMS are in doubt. $p$ is no degree of softness. It answers "LHS or HSS?". A pointing that is neither gets an answer, too, and usually a confident one. **A classifier has no word for what it was not taught.**

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): a source turns up that is neither black hole nor neutron star. What will our object classifier say, and how would you notice?

# %% [markdown]
# ## When the likelihood has no maximum
#
# Now give the two-state model all features of lesson 05, without a penalty. `tol` tells the solver when to stop: make it smaller and smaller.

# %% tags=["nbval-ignore-output"]
labels = (two.state_label == "HSS").to_numpy(float)
Z = preprocessor().fit_transform(two)
print(f"{Z.shape[1]} features of {len(Z)} pointings")
harder = {}
for tol in (1e-3, 1e-4, 1e-6, 1e-8, 1e-10):
    model = LogisticRegression(C=np.inf, tol=tol, max_iter=10_000).fit(Z, labels)
    per_pointing = loss(model.decision_function(Z), labels) / len(Z)
    harder[tol] = np.linalg.norm(model.coef_), model.score(Z, labels), per_pointing
harder = pd.DataFrame(harder, ["length of b", "right", "loss"]).T.rename_axis("tol")
harder.style.format("{:.2g}").format("{:.2%}", "right").format_index("{:g}")

# %% [markdown]
# With so many numbers per pointing, a plane separates the two classes without one mistake. Then larger coefficients always fit *better*. The likelihood has no maximum: it rises towards infinite coefficients, at zero temperature. `tol` alone decides where the solver stops. Coefficients of separable classes are no result, and neither are their errors.

# %% [markdown]
# ## The cure: make large coefficients expensive
#
# $$\text{minimise}\quad C\,L(b) + \sum_{j\ge1} \tfrac{1}{p}|b_j|^p\qquad(\text{never } b_0)$$
#
# - $p=2$ is **L2**, *ridge*: scikit-learn's default, with $C=1$. Small $C$ is a strong penalty. It is a Gaussian prior of variance $C$ on each coefficient.
# - $p=1$ is **L1**, *LASSO*. It sets coefficients to exactly zero: a selection of features.
#
# Both treat all coefficients alike, whatever the unit of their feature. Scale first, again.


# %%
def penalised(C, ratio):
    """Logistic regression; `ratio` is the share of L1 in the penalty: 1 for L1, 0 for L2."""
    how = {"solver": "saga", "tol": 1e-3, "max_iter": 3000, "random_state": 0}
    return LogisticRegression(C=C, l1_ratio=ratio, **how)


tracks = {}
for name, ratio in {"L1": 1, "L2": 0}.items():
    track = {C: penalised(C, ratio).fit(Z, labels).coef_[0] for C in np.logspace(-3.5, 1, 19)}
    tracks[name] = pd.DataFrame(track, Z.columns).T

# %%
fig, (ball, *axes) = plt.subplots(1, 3, figsize=(11, 4))
u, v = np.meshgrid(np.linspace(-1.1, 1.1, 401), np.linspace(-1.1, 1.1, 401))
for p, colour in {2: "C0", 1: "C1", 0.5: "C3"}.items():
    circle = ball.contour(u, v, np.abs(u) ** p + np.abs(v) ** p, [1], colors=colour)
    ball.clabel(circle, fmt=f"p = {p}", manual=[(0.5 ** (1 / p),) * 2])
ball.set(aspect="equal", xlabel="$b_1$", ylabel="$b_2$", title=r"$|b_1|^p + |b_2|^p = 1$")
for ax, (name, track) in zip(axes, tracks.items(), strict=True):
    ax.semilogx(track.index, track.iloc[:, 2:], color="0.75")
    track[["hr_soft", "hr_hard"]].plot(style=["C0-", "C1--"], legend=name == "L2", ax=ax)
    ax.set(xlabel="C  (weak penalty →)", ylabel="log odds of HSS per σ", title=name)
    ax.xaxis.set_major_formatter("{x:g}")
plotting.show(fig, "07_penalties", colours=64)

# %% [markdown]
# The diamond tells why L1 makes zeros. The contours of the loss grow until they touch the ball. A ball with corners is likely to be touched at a corner, where coefficients are zero. A round ball has no corners.

# %% [markdown]
# ## Which twin survives?  ·  for home
#
# Zeros are tempting: "the LASSO found that the soft colour does not matter". Try it on other sources. Soft and hard colour rise and fall together. We resample the sources eight times (columns 0 to 7). Which share of the sum $|b_\mathrm{soft}|+|b_\mathrm{hard}|$ belongs to the soft colour?

# %%
rng = np.random.default_rng(72)
share = {"L1": [], "L2": []}
for _ in range(8):
    sky = resample_sources(two, rng)
    scaled_sky, sky_is_soft = preprocessor().fit_transform(sky), sky.state_label == "HSS"
    for name, ratio in {"L1": 1, "L2": 0}.items():
        pulls = np.abs(penalised(0.002, ratio).fit(scaled_sky, sky_is_soft).coef_[0])
        share[name].append(pulls[0] / pulls[:2].sum())
print(f"correlation of the two colours: {two.hr_soft.corr(two.hr_hard):.2f}")
pd.DataFrame(share).T.round(2).rename_axis("share of the soft colour", axis=1)

# %% [markdown]
# L2 shares nearly evenly on every sky. L1 divides differently on each sky, and either twin may get more. If twins are *exact*, L1 does not even have a unique answer. Our table has such a pair, because the sine and the cosine of the hue are missing together:

# %% tags=["nbval-ignore-output"]
pair = ["missingindicator_hue_sin", "missingindicator_hue_cos"]
where = [Z.columns.get_loc(name) for name in pair]
exact_twins = {}
for seed in range(5):  # liblinear walks in random order (it penalises b0, too: no matter here)
    for name, ratio in {"L1": 1, "L2": 0}.items():
        model = LogisticRegression(C=0.1, l1_ratio=ratio, solver="liblinear", random_state=seed)
        exact_twins[name, seed] = model.fit(Z, labels).coef_[0][where]
pd.DataFrame(exact_twins, pair).T.unstack(0).round(3)  # a row for each seed of the solver

# %% [markdown]
# A zero of L1 says "not needed *beside the others*", and nothing about physics. Report a selection only with the share of bootstrap resamples in which it holds.

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
def descend_objective(start, p):
    """b1, b2 and the objective where a descent from `start` ends."""
    b = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Rprop([b], lr=0.1)  # shortens a step when the slope changes its sign
    for _ in range(300):
        optimiser.zero_grad()
        value = objective(b, colours, torch.as_tensor(labels), 0.1, p)
        value.backward()
        optimiser.step()
    return *b.detach().numpy()[1:], value.item()


# %%
colours = torch.as_tensor(np.column_stack([np.ones(len(Z)), Z[["hr_soft", "hr_hard"]]]))
starts = [0, -4, -0.5], [0, -0.5, -4]
ends = {(p, str(start)): descend_objective(start, p) for p in (1.5, 0.5) for start in starts}
pd.DataFrame(ends, ["b1", "b2", "objective"]).T.rename_axis(["p", "start"]).round(2)

# %% [markdown]
# For $p=1.5$ both starts meet. For $p<1$ the ball is concave and the problem is no longer convex: there is a minimum near each axis, and the start decides in which one you end. At $b_j=0$ the slope of $|b_j|^p$ is infinite on both sides: a coefficient that has come to zero stays there, whatever the data say. This is why nobody offers it as a default.

# %% [markdown]
# ## How strong should the penalty be?
#
# If it is too strong, the model cannot follow the data: **underfitting**, poor on both training and held-out sources. If it is too weak, the model follows the noise: **overfitting**, good on training and poor on held-out sources. We now use all four states and hold out whole sources, once with all training pointings, once with 100.

# %% tags=["nbval-ignore-output"]
strengths = np.logspace(-3, 3, 13)
pipeline = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000))
folds = list(GroupKFold(5, shuffle=True, random_state=7).split(train, groups=train.source_id))
rng = np.random.default_rng(73)
few = [(rng.choice(inside, 100, replace=False), held_out) for inside, held_out in folds]
asked = {"param_name": "logisticregression__C", "param_range": strengths}
asked |= {"scoring": "balanced_accuracy"}
scores = {}
for name, cv in tqdm({"all pointings": folds, "100 pointings": few}.items()):
    scores[name] = validation_curve(pipeline, train, train.state_label, cv=cv, **asked)

# %%
by_strength = {}
for name, (inside, outside) in scores.items():
    by_strength[name, "in training"] = inside.mean(axis=1)
    by_strength[name, "held out"] = outside.mean(axis=1)
    by_strength[name, "error"] = outside.std(axis=1, ddof=1) / np.sqrt(5)  # of the held-out mean
by_strength = pd.DataFrame(by_strength, strengths).rename_axis("C")
by_strength.iloc[[0, 4, 6, 12]].round(2)  # four of the values of C

# %%
fig, axes = plt.subplots(1, 2, sharey=True, figsize=(10, 4))
for ax, name in zip(axes, scores, strict=True):
    drawn = by_strength[name][["in training", "held out"]]
    drawn.plot(logx=True, style=["C1s--", "C0o-"], title=name, ylim=(0.4, 1.02), ax=ax)
    ax.set(xlabel="C  (weak penalty →)", ylabel="balanced accuracy of the state")
    ax.xaxis.set_major_formatter("{x:g}")
plotting.show(fig, "07_strength", colours=64)

# %% [markdown]
# With all pointings **the score is flat over four decades**: thousands of pointings and 28 features leave little to overfit. Whoever quotes a best $C$ to two digits has tuned on noise. With 100 pointings of the same sources we see the textbook curve. How much you need a penalty depends on how much data you have.

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
for name, (_, outside) in scores.items():
    top, ours = strengths[outside.mean(axis=1).argmax()], choose_c(strengths, outside)
    print(f"{name}: largest mean at C = {top:.2g}, our choice {ours:.2g}")

# %% [markdown]
# (Folds share training sources, so the error is a rough one. And these scores helped to choose, so they are a little too good: lesson 10.) For all pointings scikit-learn's $C=1$ lies on the plateau. We keep it: one choice less to defend.

# %% [markdown]
# ## Four states: the softmax
#
# Each state has its own coefficients and its own margin $z_k$, and
#
# $$p_k = \frac{e^{z_k}}{\sum_m e^{z_m}} .$$
#
# A physicist says: Boltzmann factors over their partition sum. For two states it is the logistic function of $z_1-z_0$. The alternative, **one-vs-rest**, fits each state against all others by itself and rescales the four probabilities.

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
# Now the model of the course: the pipeline of lesson 05, logistic regression with $C=1$, four states. We compare it with one-vs-rest, and with `class_weight="balanced"`, in which a pointing of a rare state counts much more than one of LHS.

# %%
classifiers = {
    "softmax": LogisticRegression(max_iter=2000),
    "one-vs-rest": OneVsRestClassifier(LogisticRegression(max_iter=2000)),
    "balanced": LogisticRegression(max_iter=2000, class_weight="balanced"),
}
models = {name: make_pipeline(preprocessor(), one) for name, one in classifiers.items()}
calls = {name: m.fit(train, train.state_label).predict(validation) for name, m in models.items()}
judged = validation.assign(**calls)
by_hand = softmax(models["softmax"].decision_function(validation))
print("they agree:", np.allclose(by_hand, models["softmax"].predict_proba(validation)))


# %%
def recalls(table):
    """Recall of each state (columns) by each model (rows)."""
    right = table[list(models)].eq(table.state_label, axis=0)
    return right.groupby(table.state_label).mean().T.reindex(columns=states)


rng = np.random.default_rng(74)
skies = pd.DataFrame([recalls(resample_sources(judged, rng)).mean(axis=1) for _ in range(100)])
summary = recalls(judged)
summary["balanced accuracy"] = summary.mean(axis=1)
summary["error"] = skies.std()
summary["less softmax"] = summary["balanced accuracy"] - summary.loc["softmax", "balanced accuracy"]
summary["paired error"] = skies.sub(skies.softmax, axis=0).std()
summary.round(3)

# %% [markdown]
# Read it slowly.
#
# - LHS and HSS are nearly solved; **HIMS and SIMS are not**. Accuracy, which counts rows, would have hidden that (lesson 06).
# - **One-vs-rest** is about as good as softmax: the difference is small beside the error of either.
# - **Class weights** raise the recall of SIMS, lower that of LHS and HSS, and do not raise the mean. They move the prior; what the features cannot separate stays mixed. And some of these errors are not the model's: 6 % of the human labels name a neighbouring state (`data/README.md`). LHS and HSS are so many that such labels are a good part of all "HIMS" and "SIMS" (lesson 08 looks).
#
# Class weights are for cases in which mistakes on rare classes *cost* more. Then say so, and do not read such a $p$ as a probability.

# %% [markdown]
# ## Reading the coefficients
#
# Twenty fits on resampled sources. A cell shows the mean coefficient per standard deviation of its feature: it pulls towards the state (+) or away from it (−). It is empty where the mean is below twice the spread.

# %% tags=["nbval-ignore-output"]
rng = np.random.default_rng(75)
tables = {}
for draw in range(20):
    sky = resample_sources(train, rng)
    fitted = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000))
    fitted.fit(sky, sky.state_label)
    names = fitted[:-1].get_feature_names_out()
    tables[draw] = pd.DataFrame(fitted[-1].coef_.T, names, fitted.classes_)[states]
by_feature = pd.concat(tables, names=["draw", "feature"]).groupby("feature", sort=False)
mean, spread = by_feature.mean(), by_feature.std()

# %%
clear = mean.where(mean.abs() > 2 * spread).dropna(how="all")
clear.index = clear.index.str.replace("missingindicator_", "gap in ")
fig, ax = plt.subplots(figsize=(6.4, 8))
plotting.heat_map(ax, clear, limits=(-2, 2), fontsize=10)
plotting.show(fig, "07_coefficients", colours=64)

# %%
shown = {"kt_in": lambda column: column.notna().mean(), "rms_0p004_0p03": "median"}
few = train[(train.state_label != "LHS") | train.kt_in.isna()]  # no LHS pointing with a kt_in
of_lhs = dict(zip(names, fitted.fit(few, few.state_label)[-1].coef_[2], strict=True))
print(f"kt_in, LHS: {mean.LHS['kt_in']:.1f}; without them below 0.1: {of_lhs['kt_in'] < 0.1}")
train.groupby("state_label").agg(shown).loc[states].round(3)  # share with a kt_in; slow rms

# %% [markdown]
# Much of it is the textbook. Variability and hard colours pull towards LHS, the disc towards HSS, a QPO that *nobody found* ("gap in log_qpo_freq") towards HSS.
#
# Two rows should make you stop. **A hot disc pulls towards LHS?** Few LHS pointings have a $kT_\mathrm{in}$ at all. They alone make the coefficient: without them it is gone (first line). **Slow rms pulls away from LHS**, although LHS has much more of it than HSS? A coefficient is the effect of one feature *with all others held fixed*: at given rms in the other bands, more slow noise is a steeper power spectrum, and that is soft. Twins share, change places, and change sign. So read coefficients in groups, with their spread, and never as causes. Proper errors and better tools come in lesson 11.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Logistic regression is a straight line for the log odds. It is the exact posterior of two Gaussians of equal width, and a good first guess elsewhere.
# - Its loss is a likelihood, its gradient is prediction minus truth, and a descent converges if the features are scaled and the learning rate suits.
# - Separable classes have no maximum-likelihood fit. A penalty makes one. Then the penalty, not the data, decides how twins share.
# - Its score can be flat in $C$ over decades. Say so, and keep the default.
# - A classifier answers also for what it was not taught.

# %% [markdown]
# **Further reading.** V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): linear models, slowly, with astronomers' data · T. Hastie, R. Tibshirani & J. Friedman, *The Elements of Statistical Learning* (2nd ed., 2009), chapters 3 and 4: penalties and logistic regression, derived · scikit-learn user guide, [Logistic regression](https://scikit-learn.org/stable/modules/linear_model.html#logistic-regression): solvers, penalties, what C is · D. Baron, *Machine learning in astronomy: a practical overview* ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248)): where simple models fit in.
