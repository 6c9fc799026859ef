# %% [markdown]
# # Start here: don't do machine learning!
#
# | **The question** | When is machine learning the right tool, and when is it the wrong one? |
# |---|---|
# | **Afterwards you can** | tell the kinds of machine learning apart by what they are given; say when plain statistics does better, with numbers; name the four cautions and recognise a correlation that is no cause |
# | **Time** | 25 min of reading or teaching, 45 min of exercises |
# | **Data** | none but what you simulate here |
# | **Run time** | below 30 s on two cores |
#
# This is the lesson before the first of twelve steps. It shows you how the course works, and advises you against taking it.

# %%
import itertools

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression
from tqdm.auto import tqdm

from course.checks import lesson_00 as check
from helpers import plotting

plotting.use_course_style()

# %% [markdown]
# ## How this course works
#
# You read, you guess, you fill in, you run (**Shift + Enter**). The heading of an exercise says whether it is *core* or *stretch* (for those who have time left: nothing builds on it), how many minutes it takes, and how hard it is, from ●○○ to ●●●. Each exercise ends in a line with a **check**. A check never gives a mark. It says one of three things, and lists what you have solved so far:
#
# - ○ **not attempted**: the cell is still as you found it;
# - ✘ **not yet**: with the one sentence that helps;
# - ✔ **right**: a check tests what your answer *does*, not how it is written.
#
# Nothing later depends on your answer. Where it is missing or not right yet, the lesson uses ours. (Only a cell that stops with an error stops the lesson: mend it, or set it back to `...`.) So run on, come back, try again. The solved notebooks are in `solutions/`. Look at them *after* an honest try. The [glossary](../docs/glossary.md) has the words of the course, and [resources](../docs/resources.md) says where to read on.

# %% [markdown] tags=["slide"]
# ## Exercise 0.1 · Meet a check  ·  core · 5 min · ●○○
#
# A detector counted 4612 photons in 945.1 s. What is the count rate, and its standard error, if the photons come independently of each other? Run the cell as it is first, then with a wrong answer on purpose, then with the right one.

# %%
counts, exposure = 4612, 945.1  # photons, seconds
# solution: the variance of a Poisson count equals its mean; both numbers are in 1/s
rate = counts / exposure
rate_err = np.sqrt(counts) / exposure
# end solution

rate, rate_err = check.count_rate((rate, rate_err))
print(f"({rate:.2f} ± {rate_err:.2f}) counts per second")

# %% [markdown]
# You have just done statistics: a model (independent photons), an estimate, an error with a guarantee. No training set was needed.

# %% [markdown]
# ## Don't do machine learning!
#
# We mean it. **If statistics can answer your question, use statistics: it comes with guarantees.** Take an estimator from a model that you wrote down. You can derive its error, it works at values that nobody has ever seen, and you can test it against the data. A learned estimator has seen examples. It has nothing else.
#
# Let us hold a competition. The task is as simple as possible: 50 bins of a constant source, each a Poisson count; estimate the mean. The first competitor is the sample mean. The second is a *random forest* (a respectable algorithm, step 9). It has seen 2000 simulated light curves with known means between 1 and 10 counts per bin.

# %% [markdown] tags=["slide"]
# ## Exercise 0.2 · The competitor from statistics  ·  core · 8 min · ●○○
#
# Write the function that estimates the mean count per bin $\mu$ from one light curve of $n$ bins, and the standard error of that estimate. Return both, in this order. For Poisson counts the variance in a bin is $\mu$. No unbiased estimator can have a smaller error than $\sqrt{\mu/n}$ (the Cramér–Rao bound).


# %%
def estimate(light_curve):
    """Estimate the mean count per bin and its standard error from one Poisson light curve (n_bins,)."""
    # solution: averaging n bins divides the standard deviation of one bin by the square root of n
    mean = np.mean(light_curve)
    return mean, np.sqrt(mean / len(light_curve))
    # end solution


estimate = check.estimate(estimate)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# The forest was trained on means between 1 and 10. We will show it constant sources of about 20 counts per bin, twice as bright as the brightest it has seen. What will it answer, on average? Write your guess as a number before you run on.

# %%
my_guess = ...  # counts per bin, a number

# %%
n_bins, test_rates = 50, np.geomspace(0.3, 60, 16)  # counts per bin


def compete(seed):
    """Answers (method, test rate, light curve): forest, linear regression, yours, forest on the mean."""
    generator = np.random.default_rng(seed)
    known = generator.uniform(1, 10, 2000)
    examples = generator.poisson(known[:, None], (2000, n_bins))
    new = generator.poisson(test_rates[:, None, None], (test_rates.size, 300, n_bins))
    flat = new.reshape(-1, n_bins)
    forest = RandomForestRegressor(min_samples_leaf=2, random_state=seed, n_jobs=2)
    answers = [forest.fit(examples, known).predict(flat)]
    answers.append(LinearRegression().fit(examples, known).predict(flat))
    answers.append([estimate(curve)[0] for curve in flat])
    forest.fit(examples.mean(axis=1, keepdims=True), known)  # again, with a feature of ours
    answers.append(forest.predict(flat.mean(axis=1, keepdims=True)))
    return np.array(answers).reshape(4, test_rates.size, 300)


# %% tags=["nbval-ignore-output"]
answers = np.array([compete(seed) for seed in tqdm(range(5))])  # five seeds: one run proves nothing

# %% tags=["slide"]
fig, ax = plt.subplots()
ax.axvspan(1, 10, color="0.92", label="means seen in training")
ax.plot(test_rates, test_rates, color="0.5", linewidth=1, label="truth")
for method, name, marker in ((0, "random forest", "s"), (2, "sample mean", "o")):
    ax.plot(test_rates, answers[:, method].mean(axis=(0, 2)), marker, label=name)
ax.set(xscale="log", yscale="log", xlabel="true mean (counts per bin)")
ax.set(ylabel="mean answer (counts per bin)")
ax.legend()
plotting.mark_guess(ax, my_guess, axis="y")
plotting.show(fig, "00_answers")

# %% [markdown]
# **The answer:** for 20 counts per bin the forest answers a little less than 10.
#
# In the middle of the grey range the forest looks fine. At its edges it already bends. Outside, it repeats the nearest answer that it has seen: a forest averages training labels, so no answer can lie above the largest of them. Nothing warned us.
#
# But is it as good as the mean inside the range? Here is the root-mean-square error divided by the Cramér–Rao bound, with its standard deviation over five seeds. The best value for an unbiased estimator is 1.

# %% tags=["slide"]
error = np.sqrt(np.mean((answers - test_rates[:, None]) ** 2, axis=-1))  # (seed, method, test rate)
ratio = error / np.sqrt(test_rates / n_bins)
methods = ["random forest", "linear regression", "sample mean", "forest, given the mean"]
ranges = {"1–2": (1, 2), "2–9": (2, 9), "above 15": (15, 99)}
table = {}
for name, (low, high) in ranges.items():
    by_seed = ratio[:, :, (test_rates > low) & (test_rates < high)].mean(axis=2)
    both = zip(by_seed.mean(axis=0), by_seed.std(axis=0, ddof=1), strict=True)
    table[f"{name} counts per bin"] = [f"{mean:.2f} ± {spread:.2f}" for mean, spread in both]

near_20 = np.argmin(np.abs(test_rates - 20))
there = answers[:, 0, near_20].mean()
print(f"at {test_rates[near_20]:.0f} counts per bin the forest answers {there:.1f}")
pd.DataFrame(table, methods)

# %% [markdown]
# Read the rows. (A few hundredths below 1 are chance.)
#
# - **The sample mean** is at the bound, everywhere. It needed no training.
# - **The forest** loses some tens of per cent in the middle of its range and about a factor of two near the lower edge. Above its range it is useless.
# - **Linear regression** is machine learning too. It saw the same examples, and does well even outside: the right answer *is* linear in the bins, and it found that. The newest algorithm is not always the best one. *Start with the simplest* will come back in steps 7 and 9.
# - **The forest that is given the mean** of each light curve, one number instead of 50, comes near the bound inside its range. To know what to compute, a *feature*, was worth more than the algorithm. Above its range it is as useless as before.
#
# So when *is* machine learning right? First we need some words.

# %% [markdown]
# ## The kinds of machine learning
#
# What an algorithm is *given* decides its kind:
#
# | kind | it is given | it returns | for example |
# |---|---|---|---|
# | **supervised** | samples *with* labels | a rule from sample to label | accretion state from an observation |
# | · regression | the label is a number | | black-hole mass from a power spectrum |
# | · classification | the label is a class | | black hole or neutron star |
# | **unsupervised** | samples *without* labels | structure: groups, axes, outliers | families of light curves that nobody has named |
# | **semi-supervised** | few labels, many samples without | a rule, helped by the shape of the rest | 100 light curves sorted by eye, 10 000 not |
# | **reinforcement** | no samples: a world to act in, and rewards | what to do next | a telescope scheduler that learns from its yield |

# %% [markdown]
# And which algorithm for which problem? No rule decides for you, but there is an order in which to try them. (In brackets: where in this course.)
#
# | you have | try first | then |
# |---|---|---|
# | numbers to predict | linear regression | a forest (9) |
# | classes to predict | logistic regression (7) | forest, boosting, a network (9) |
# | no labels | principal components (5), k-means (17) | mixtures (17), auto-encoders (17, 18) |
# | images, raw series | features of your own (1, 4) | a convolutional network (9) |
# | a simulator and no likelihood | rejection sampling (13) | neural posterior estimation (13) |

# %% [markdown] tags=["slide"]
# ## Exercise 0.3 · Which kind?  ·  core · 5 min · ●○○
#
# Sort six tasks. The headings are `"regression"`, `"classification"`, `"unsupervised"`, `"semi-supervised"`, `"reinforcement"`.

# %%
# solution: ask of each: are there labels, for all samples, and are they numbers or classes?
kinds = {
    "hard or soft state, from 6000 pointings labelled by experts": "classification",
    "spin of a black hole, from spectra simulated with known spin": "regression",
    "4000 segments of a light curve, nobody knows how many classes": "unsupervised",
    "300 bursts typed by eye among 40 000 that nobody looked at": "semi-supervised",
    "photon index, from the count spectrum in 5 bands": "regression",
    "which source to point at next, rewarded for each new outburst": "reinforcement",
}
# end solution

kinds = check.kinds(kinds)

# %% [markdown]
# ## Linear or not?
#
# A model is called **linear** if it is linear *in its parameters*. How it depends on the data does not matter. $y = a + bx + cx^2$ is linear: the parameters $a, b, c$ multiply fixed functions of $x$. A power law $y = K E^{-\Gamma}$ is linear in $K$ and not in $\Gamma$. With Gaussian errors, a linear model has one best fit, which algebra finds. For other models you have to search.
#
# Linear means superposition: for any parameters $p, q$ and numbers $\alpha, \beta$, $\;f(\alpha p + \beta q) = \alpha f(p) + \beta f(q)$.

# %% [markdown] tags=["slide"]
# ## Exercise 0.4 · A test for linearity  ·  core · 10 min · ●●○
#
# Write a function that tests this: draw two parameter vectors `p`, `q` and two numbers at random, and compare both sides. It gets a model (a function from one vector of `n` parameters to an array) and a random generator. It returns `True` or `False`.


# %%
def is_linear(model, n, generator):
    """Whether `model(parameters)` is linear in its n parameters."""
    # solution: generator.normal(size=n) draws p or q, without size a number; np.allclose forgives rounding
    p, q = generator.normal(size=(2, n))
    a, b = generator.normal(size=2)
    return bool(np.allclose(model(a * p + b * q), a * model(p) + b * model(q)))
    # end solution


is_linear = check.is_linear(is_linear)

# %%
x = np.linspace(0.5, 10, 40)
models = {  # each with its number of parameters
    "a + b x + c x²": (lambda p: p[0] + p[1] * x + p[2] * x**2, 3),
    "K E^-Γ": (lambda p: p[0] * x ** -p[1], 2),
    "A cos 3t + B sin 3t": (lambda p: p[0] * np.cos(3 * x) + p[1] * np.sin(3 * x), 2),
    "A cos(3t + φ)": (lambda p: p[0] * np.cos(3 * x + p[1]), 2),
    "1 / (1 + exp(-a - b x))": (lambda p: 1 / (1 + np.exp(-p[0] - p[1] * x)), 2),
}
generator = np.random.default_rng(4)
found = {name: is_linear(model, n, generator) for name, (model, n) in models.items()}
pd.Series(found, name="linear in its parameters").to_frame()

# %% [markdown]
# The logistic curve in the last row is not linear, but $\ln[p/(1-p)] = a + bx$ is. Such a model is called *generalised linear* (lesson 7). Now look at the two rows with $3t$. They are the same sine waves, written once with two amplitudes and once with an amplitude and a phase. So it depends on how you write the model whether it is linear. The choice of good coordinates is half of the art, and you will see it again as *feature engineering*.

# %% [markdown]
# ## Algorithms learn correlations, not causes
#
# A learned rule knows that two things occur together. It does not know why. Here is a survey of X-ray binaries in which **radio and X-ray luminosity have nothing to do with each other**: we draw them independently. We place the sources evenly in a disc around us, from 1 to 10 kpc. Then we observe them as we observe the sky: with a flux limit. Only sources brighter than the limit in *both* bands enter the catalogue.
#
# **Predict:** does the catalogue show a correlation between the two luminosities? What happens to it when the limit rises, so that fewer sources enter?

# %%
my_guess_limit = ...  # "grows", "falls" or "stays"


# %%
def draw_sources(n, generator):
    """Distance [kpc] and log10 luminosity in X-rays and radio (arbitrary units), all independent."""
    distance = 10 * np.sqrt(generator.uniform(0.01, 1, n))
    return distance, generator.normal(0, 0.7, n), generator.normal(0, 0.7, n)


def catalogue(sources, limit):
    """The sources whose log10 flux, log L - 2 log d, is above the limit in both bands."""
    distance, x_rays, radio = sources
    bright = np.minimum(x_rays, radio) - 2 * np.log10(distance) > limit
    return distance[bright], x_rays[bright], radio[bright]


sources = draw_sources(20_000, np.random.default_rng(8))


# %%
def draw_catalogue(limit):
    """The luminosities of the sources that enter the catalogue, over those of all sources."""
    distance, x_rays, radio = catalogue(sources, limit)
    fig, ax = plt.subplots(figsize=(6, 4.2))
    ax.plot(sources[1][:4000], sources[2][:4000], ".", color="0.88", markersize=2)
    dots = ax.scatter(x_rays[:1500], radio[:1500], 6, distance[:1500], vmin=0, vmax=10, zorder=3)
    fig.colorbar(dots, label="distance (kpc)")
    r = np.corrcoef(x_rays, radio)[0, 1]
    ax.set(title=f"{len(x_rays)} sources, r = {r:.2f}", xlabel="log10 X-ray luminosity (arb. unit)")
    ax.set(ylabel="log10 radio luminosity (arb. unit)")
    plotting.show(fig, "00_catalogue", n=len(x_rays), limit=limit, r=r)


# %% [markdown] tags=["slide"]
# ## Exercise 0.5 · Move the limit, then keep the distance fixed  ·  core · 12 min · ●●○
#
# First move the slider. The small grey dots are some of all sources, the coloured ones some of those in the catalogue. A limit of −4 lets in nearly everybody. The function to write comes after it.

# %% tags=["nbval-ignore-output"]
flux_limit = ipywidgets.FloatSlider(
    value=-1, min=-4, max=0, step=0.25, description="flux limit", continuous_update=False
)
ipywidgets.interactive(draw_catalogue, limit=flux_limit)

# %% [markdown]
# **The answer:** there is a correlation, and it grows as the limit rises, until so few sources are left that it is mostly chance. Where does it come from? A far source must be luminous in *both* bands to be seen at all. Distance changes no luminosity. The **selection** makes the correlation, because distance sets both thresholds. So keep the distance fixed: then each band has a threshold of its own, whatever the other does. (A **confounder** is something else, a common *cause*: distance is one for the two *fluxes*.)
#
# Write the function that returns the correlation of the two luminosities *at fixed distance*: sort the sources by distance, cut them into 20 shells of equal numbers (`np.array_split`), and average the correlation coefficients of the shells.


# %%
def correlation_at_fixed_distance(distance, x_rays, radio):
    """Mean correlation coefficient of two quantities in 20 shells of distance."""
    # solution: np.argsort(distance) puts the sources in order; np.corrcoef gives the coefficient of one shell
    shells = np.array_split(np.argsort(distance), 20)
    return np.mean([np.corrcoef(x_rays[shell], radio[shell])[0, 1] for shell in shells])
    # end solution


correlation_at_fixed_distance = check.correlation_at_fixed_distance(correlation_at_fixed_distance)

# %% tags=["slide"]
correlations = {}
for seed in range(5):
    distance, x_rays, radio = catalogue(draw_sources(20_000, np.random.default_rng(seed)), -1.0)
    pooled = np.corrcoef(x_rays, radio)[0, 1]
    correlations[seed] = pooled, correlation_at_fixed_distance(distance, x_rays, radio)
correlations = pd.DataFrame(correlations, ["as catalogued", "at fixed distance"]).T
correlations.agg(["mean", "std"]).rename_axis("correlation in five surveys").round(2)

# %% [markdown]
# An algorithm trained on this catalogue would *predict* radio from X-rays better than chance, for sources found in the same way. It would explain nothing about jets, and it would be wrong for a deeper survey. Whether that matters depends on what you want to know. Therefore step 1 of 12 is to find that out.
#
# Here you *knew* how the sources were selected. The selections that hurt are those that nobody wrote down.

# %% [markdown]
# ## Four cautions before you begin
#
# 1. **Is it ethical?** Whom does the result help or harm, what does the computing cost, whose work made the labels? A misclassified X-ray binary hurts nobody. The same algorithm, sold to sort people, does. What you learn here serves both.
# 2. **Is it really a statistics problem?** If you can write a likelihood, write it.
# 3. **Do you have enough training data, and do they look like the target data?** Same telescope, same selection, same noise. The forest above had seen nothing like its target.
# 4. **Would a bias that you have not recognised change the science?** The survey above had one. A wrong recommendation in a shop costs little. Other people build on a wrong result in a paper.

# %% [markdown] tags=["slide"]
# ## Exercise 0.6 · Which caution comes first?  ·  core · 5 min · ●●○
#
# Here are four plans for a paper, and four cautions. (RXTE pointed at single sources, eROSITA scanned the sky.) Match them: `"ethics"`, `"statistics"`, `"training data"`, `"bias"`.

# %%
# solution: what would a referee ask first?
cautions = {
    "a network finds the centroid of a single Lorentzian in a power spectrum with known noise": "statistics",
    "a forest trained on RXTE pointings labels the states in eROSITA light curves of 40 s": "training data",
    "a law of jets is derived from the luminosities in a flux-limited catalogue": "bias",
    "volunteers label 100 000 images for nothing and are not named": "ethics",
}
# end solution

cautions = check.cautions(cautions)

# %% [markdown] tags=["slide"]
# Each plan needs several cautions, and you may disagree with our choice. **Discuss with your neighbour** (5 min; alone, write two sentences): which of the four is the worst for *your own* project?

# %% [markdown]
# ## Where machine learning is right
#
# - **Associations suffice.** You want to *find* the interesting pointings among 10 000, not to explain them.
# - **You trust your ground truth.** The labels are true, or you know how often they are not.
# - Best of all: **you made the ground truth.** An *emulator* that learned from many runs can replace a slow simulation. It costs accuracy, and you can measure how much, because you can always run the simulation again. Here the training data are true (to the model), and you get as many as you can pay for. Few places in astronomy offer that.
# - **The tools are useful by themselves**: automatic differentiation, accelerators and neural density estimators serve *statistics*. Lessons 13 to 16 use them for Bayesian inference where a detector leaves no likelihood that can be computed.

# %% [markdown]
# ## The map
#
# A machine-learning project has twelve steps, and this course takes them in order. Most of the time is for the data, for looking and for criticism (steps 1 to 6 and 11). Very little is for fitting a model. Trust comes from shared rules on data sets, algorithms, metrics and reporting: publish code and data, compare with the simplest method, say where your method fails.
#
# | no. | step | no. | step |
# |---|---|---|---|
# | 1 | [Figuring out what we want to learn, and why](01_the_question.ipynb) | 7 | [Choosing a (simple) algorithm and fitting it](07_logistic_regression.ipynb) |
# | 2 | [Exploring the data, part I](02_exploring_1.ipynb) | 8 | [Exploring the results](08_results_and_cross_validation.ipynb) |
# | 3 | [Train-validation-test splits](03_splits.ipynb) | 9 | [A (more complex?) algorithm](09_more_complex_models.ipynb) |
# | 4 | [Exploring the data, part II](04_exploring_2.ipynb) | 10 | [Hyperparameter tuning](10_hyperparameters.ipynb) |
# | 5 | [Pre-processing: dimensionality reduction, scaling](05_preprocessing.ipynb) | 11 | [Interpreting outcomes](11_interpretation.ipynb) |
# | 6 | [Choosing an evaluation metric](06_metrics.ipynb) | 12 | [Science!](12_science.ipynb) |
#
# Then come [simulation-based inference](13_simulation_based_inference.ipynb), for [dead time](14_dead_time.ipynb) and [pile-up](15_pile_up.ipynb), and [whether to trust a posterior](16_trusting_posteriors.ipynb). Two lessons go without labels: [nobody gave you labels](17_without_labels.ipynb), and [features, or none](18_features_or_none.ipynb). At the end comes [an observation of your own](22_your_own_observation.ipynb).

# %% [markdown] tags=["slide"]
# The steps look like a line. In practice they are a loop, which statisticians name after George Box: **build** a model, **infer** with it, **criticise** the result, **revise**. You leave the loop when criticism finds nothing that matters for your question, not when the score is high.

# %% tags=["slide-next"]
fig, ax = plt.subplots(figsize=(5.2, 3.2))
loop = {"build": (0, 1), "infer": (1, 0), "criticise": (0, -1), "revise": (-1, 0)}
for word, place in {**loop, "data": (0, 0), "the paper": (2.1, -1)}.items():
    weight = "bold" if word in loop else "normal"
    ax.text(*place, word, ha="center", va="center", fontsize=13, fontweight=weight)
curved = {"arrowstyle": "-|>", "connectionstyle": "arc3,rad=-0.35", "shrinkA": 34, "shrinkB": 34}
for start, end in itertools.pairwise([*loop.values(), loop["build"]]):
    ax.annotate("", end, start, arrowprops=curved)
ax.annotate("", (1.5, -1), (0.5, -1), arrowprops={"arrowstyle": "-|>"})
ax.set(xlim=(-1.6, 2.6), ylim=(-1.4, 1.4))
ax.axis("off")
plotting.show(fig, "00_loop")

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - If statistics can do it, use statistics. On a problem with a known best answer, the forest was worse inside its training range and useless outside.
# - What an algorithm is given decides its kind: labels or none, numbers or classes, samples or rewards.
# - Linear means linear in the parameters. It depends on how you write the model.
# - A selection can make a correlation between things that have nothing to do with each other. An algorithm will learn it.
# - Four cautions: ethics, statistics, training data, bias.
# - Twelve steps, taken as a loop.

# %% [markdown]
# **Further reading.** V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton 2023), chapter 1 · J. Buchner & S. Fotopoulou, *How to set up your first machine learning project in astronomy* ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)) · D. Huppenkothen, M. Ntampaka et al., *Constructing impactful machine learning research for astronomy* ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)) · D. Baron, *Machine learning in astronomy: a practical overview* ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248)) · D. Blei, *Build, compute, critique, repeat* (Annu. Rev. Stat. Appl. 1, 203, 2014), on Box's loop.
#
# **Next:** [1 · Figuring out what we want to learn, and why](01_the_question.ipynb), where you meet real data.
