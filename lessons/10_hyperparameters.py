# %% [markdown]
# # 10 · Hyperparameter tuning
#
# | **The question** | Which settings do our models get, and how much of what a search finds is luck? |
# |---|---|
# | **Afterwards you can** | draw validation and learning curves with sources held out, and read from them whether to simplify, to search or to propose; search at random in the right units, within a budget, and stop inside the error bar; measure the optimism of a search with nested cross-validation, by hand, and report it honestly |
# | **Time** | 40 min of reading or teaching, 57 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, 24 + 13 sources, see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import sklearn
from IPython.display import display
from scipy import stats
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import KFold, RandomizedSearchCV, cross_val_score, validation_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier
from tqdm.auto import tqdm

# %%
from course.checks import lesson_10 as check
from helpers import data, plotting
from helpers.preprocessing import GROUPS, STATE_FEATURES, prepare, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()

# %% [markdown]
# ## Knobs
#
# A **parameter** is what `fit` finds: a coefficient, a threshold in a tree. A **hyperparameter** is what you must set before `fit` can begin. The line is thin: both are chosen with data, and whatever is chosen with data can be fitted to their noise. Know for each knob which way is *more complex*. A more complex model can follow more details of its training rows:
#
# | model | knob | turn it ... to be more complex |
# |---|---|---|
# | logistic regression | `C`, the inverse strength of the penalty | up |
# | a tree | `max_depth` | up |
# | a tree, a forest | `min_samples_leaf`: no leaf holds fewer rows | **down** |
# | nearest neighbours | `n_neighbors`, over which the vote is taken | **down** |
# | boosting | number of trees × learning rate, their depth | up |
# | a network | layers, width, epochs | up |
# | a forest | number of trees | neither: more are slower, and hardly ever worse |
#
# Two more knobs hide: *which features you use*, and *which rows you cleaned away*. They often move a score more than all of the above.

# %% [markdown]
# We tune on everything that may be known so far: training and validation rows together, 37 sources. The test set stays locked. `prepare` (logarithms, angles) looks at one row at a time and learns nothing. So it may run once, outside all loops. Medians and scales are *learned*: they stay inside.

# %%
known = pd.concat(data.load_split(), ignore_index=True)
sources, black_hole = known.source_id.to_numpy(str), (known.object_label == "BH").to_numpy()
columns = {"state": list(STATE_FEATURES), "object": [*STATE_FEATURES, *GROUPS["lags"]]}
features = {task: prepare(known, columns[task]) for task in columns}
labels = {"state": known.state_label.to_numpy(str), "object": black_hole}
straight = LogisticRegression(max_iter=2000)
metrics = {"state": balanced_accuracy_score, "object": roc_auc_score}
print(f"{len(known)} pointings of {len(set(sources))} sources")

# %% [markdown]
# We do not use `StratifiedGroupKFold`: lesson 08 caught it ignoring its seed on these data. `data.deal_sources` stratifies the *list of sources*. Each seed is another *deal* into folds, and each fold has black holes and neutron stars. It returns pairs of row positions, inside and outside.

# %% [markdown] tags=["slide"]
# ## Learning curves: what would more data buy?
#
# Before any search, ask whether the model or the data set the limit. A **learning curve** is the score against the amount of training data. But what is an amount? An archive grows in two directions: more pointings of the same sources, or more sources.

# %% [markdown] tags=["slide"]
# ## Exercise 10.1 · A smaller archive  ·  core · 10 min · ●●○
#
# Draw `n_sources` sources at random, without replacement. Of each source, draw at most `n_rows` pointings, also at random (all, if it has fewer). Return the positions of these rows.


# %%
def smaller(groups, n_sources, n_rows, generator):
    """Positions of up to n_rows rows of each of n_sources sources, where groups (n,) names the source."""
    # solution: generator.choice(..., replace=False) draws sources; permute the rows of each, then cut
    drawn = generator.choice(np.unique(groups), n_sources, replace=False)
    rows = [generator.permutation(np.flatnonzero(groups == name))[:n_rows] for name in drawn]
    return np.concatenate(rows)
    # end solution


smaller = check.smaller(smaller)

# %% [markdown]
# For each of ten drawings we hold out 13 sources. We train the logistic model on a smaller archive made of the other 24, a third of them black holes. The metrics are those of the course: balanced accuracy for the state, AUC for the object.


# %%
def front():
    """Fill gaps and scale: the part of our preprocessing that learns from rows."""
    return preprocessor()[1:].set_output(transform="default")


# %%
def predicted(task, model, inside, outside):
    """Train on the rows inside; the states of the rows outside, or their probabilities of a BH."""
    own, fitted = features[task].to_numpy(), make_pipeline(front(), clone(model))
    fitted.fit(own[inside], labels[task][inside])
    if task == "state":
        return fitted.predict(own[outside])
    return fitted.predict_proba(own[outside])[:, 1]


# %%
def score(task, model, inside, outside):
    """Train on the rows inside, judge on the rows outside, by the metric of the task."""
    return metrics[task](labels[task][outside], predicted(task, model, inside, outside))


# %%
def draw_archive(seed, n_sources, n_rows):
    """Rows to train on, of n_sources sources, a third black holes; and rows of 13 other sources."""
    generator = np.random.default_rng(seed)  # the first 13 sources drawn are the same for all sizes
    inside, outside = [], []
    for kind, n_held, n_own in ((True, 4, n_sources // 3), (False, 9, n_sources - n_sources // 3)):
        names = generator.permutation(np.unique(sources[black_hole == kind]))
        outside.append(np.flatnonzero(np.isin(sources, names[:n_held])))
        own = np.flatnonzero(np.isin(sources, names[n_held:]))
        again = np.random.default_rng([seed, kind])
        inside.append(own[smaller(sources[own], n_own, n_rows, again)])
    return np.concatenate(inside), np.concatenate(outside)


# %% tags=["nbval-ignore-output"]
learning = {}
for seed in tqdm(range(10)):
    for n_rows in (10, 40, 1000):
        for n_sources in (6, 12, 18, 24):
            archive = draw_archive(seed, n_sources, n_rows)
            for task in metrics:
                learning[task, n_rows, n_sources, seed] = score(task, straight, *archive)
learning = pd.Series(learning, name="score").sort_index()
learning.index.names = ["task", "rows of each (1000: all)", "training sources", "drawing"]

# %% tags=["slide"]
look = {"dodge": 0.3, "markers": ["o", "s", "^"], "linestyles": [":", "--", "-"], "linewidth": 1.5}
look |= {"palette": ["C0", "C1", "black"], "errorbar": "sd"}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.8))
for ax, task in zip(axes, metrics, strict=True):
    curve, hue = learning[task].reset_index(), "rows of each (1000: all)"
    sns.pointplot(curve, x="training sources", y="score", hue=hue, ax=ax, **look).set(title=task)
plotting.show(fig, "10_learning_curves")

# %% [markdown]
# The bars are the scatter from drawing to drawing. Most of it comes from *which* 13 sources were asked, so we measure differences drawing by drawing. First we take the last step of sources and of rows. Then comes the referee's question, **a fixed budget of some 240 pointings**: many of few sources, or few of many?


# %%
def equal_budget(seed):
    """Rows of 6 and of 24 sources to train on, equally many, each with the rows held out."""
    pairs = [draw_archive(seed, 6, 80), draw_archive(seed, 24, 10)]
    n = min(len(rows) for rows, _ in pairs)
    generator = np.random.default_rng(seed)
    return [(generator.permutation(rows)[:n], outside) for rows, outside in pairs]


# %%
gains = {}
for task in metrics:
    few_or_many = [[score(task, straight, *one) for one in equal_budget(s)] for s in range(40)]
    few_rows, all_rows = learning[task, 40], learning[task, 1000]
    gains[task, "24 sources less 12, all rows"] = all_rows[24] - all_rows[12]
    gains[task, "all rows less 40, 24 sources"] = all_rows[24] - few_rows[24]
    gains[task, "24 sources less 6, equal rows"] = pd.Series(np.diff(few_or_many).ravel())
pd.DataFrame(gains).agg(["mean", "sem", "std"]).T.round(3)  # std: scatter of one drawing

# %% [markdown]
# For the **object**, the number of sources counts. With the same 240 pointings, four times as many sources gain several points on average. (The last column is the scatter of one drawing. A single drawing may say the opposite: it matters which sources.) To go from 40 pointings of each source to all buys little. The reason is simple: one more pointing of a known black hole is one more look at the same black hole. For the **state**, a pointing is worth about a pointing, wherever it comes from, and the curve is nearly flat at the end.
#
# Would you propose for observing time? For the object, propose short exposures of new sources. For the state, propose nothing: its labels limit the score (lesson 08). Extrapolate with care: the sources that nobody has observed yet are the faint ones, and a curve of this model says nothing about another model.
#
# There is a practical side. With 40 pointings of each source we have about a quarter of the rows. So we search on a thinned archive, and take all rows only at the end.

# %%
few = np.sort(smaller(sources, 37, 40, np.random.default_rng(10)))
X, y, groups = features["object"].to_numpy()[few], black_hole[few], sources[few]
group_of = {column: name for name in GROUPS for column in prepare(known[:1], GROUPS[name])}
print(f"{len(few)} pointings of {len(set(groups))} sources, {y.mean():.0%} of black holes")

# %% [markdown]
# ## Validation curves: one knob
#
# A **validation curve** is the score against one hyperparameter. Lesson 07 drew it for $C$ and found a plateau. Take a model that can overfit: a single decision tree, with its knob `min_samples_leaf`. With 1, a leaf may hold a single row. With 256, there are only a few leaves.

# %% [markdown] tags=["slide"]
# ### Predict first
#
# We train on some 1100 rows, with sources held out. Which `min_samples_leaf` will be best: 1, 4, 16, 64, 256? And where would the optimum be if *random rows* were held out: at simpler or at more complex trees?

# %%
my_guess = ...  # rows in the smallest leaf, a number


# %%
def two_cuts(label, seed):
    """Five folds of random rows, and five of whole sources."""
    by_row = KFold(5, shuffle=True, random_state=seed).split(X)
    return {"random rows": list(by_row), "whole sources": data.deal_sources(groups, label, 5, seed)}


# %% tags=["nbval-ignore-output"]
leaves = [256, 64, 16, 4, 1]  # from the simplest to the most complex
tree = make_pipeline(front(), DecisionTreeClassifier(random_state=0))
knob = {"param_name": "decisiontreeclassifier__min_samples_leaf", "scoring": "roc_auc"}
by_fold, auc = {}, {}  # by_fold: (leaves, folds), of the rows held out
for seed in tqdm(range(5)):
    for cut, cv in two_cuts(y, seed).items():
        seen, unseen = validation_curve(tree, X, y, cv=cv, param_range=leaves, **knob)
        by_fold[cut, seed] = unseen
        auc["training rows", seed] = seen.mean(axis=1)
        auc[f"held out: {cut}", seed] = unseen.mean(axis=1)
auc = pd.DataFrame(auc, index=pd.Index(leaves, name="min_samples_leaf (rows)"))
auc.columns.names = ["rows", "deal"]

# %% tags=["slide"]
look = {"hue": "rows", "style": "rows", "errorbar": "sd", "err_style": "bars"}
long = auc.stack(["rows", "deal"]).rename("AUC, BH against NS").reset_index()
ax = sns.lineplot(
    long, x="min_samples_leaf (rows)", y="AUC, BH against NS", markers=["^", "o", "s"], **look
)
ax.set(xscale="log", xticks=leaves, xticklabels=leaves, ylim=(0.7, 1.01))
ax.invert_xaxis()
plotting.mark_guess(ax, my_guess)
plotting.show(ax, "10_leaf")

# %%
bonus = auc["held out: random rows"] - auc["held out: whole sources"]  # (leaves, deals)
bonus.loc["1 less 64"] = bonus.loc[1] - bonus.loc[64]
display(bonus.agg(["mean", "std"], axis=1).round(3).rename_axis(columns="bonus of random rows"))
auc.idxmax().unstack().drop(index="training rows")  # the best leaf of each deal

# %% [markdown]
# **The answer:** 16 rows in nearly all deals, for random rows as for whole sources.
#
# The shape is familiar: underfitting on the left, overfitting on the right, and the training score never warns you. The bars are the scatter over five deals.
#
# And the leak of lesson 03 is back: random rows give every tree a bonus. *On average* both ends get more of it than the middle, though a single deal may say otherwise. The most complex trees can learn a known source by heart. (Perhaps the crudest trees depend much on the sources for which their few cuts were made.) Honesty requires the other half: **these differences are small against the curvature here**, and both cuts choose leaves of about the same size. The leak spoils the number that you report more than the knob that you turn. Nobody can know that beforehand. Watch what the leak does when there is nothing true to learn, because labels were shuffled among sources.


# %%
def shuffled(label, groups, generator):
    """The labels of whole sources having changed places (lesson 03)."""
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    return generator.permutation(label[first])[which]


# %% tags=["nbval-ignore-output"]
some_leaves, nonsense = leaves[::2], {}
for seed in range(5):
    false = shuffled(y, groups, np.random.default_rng(seed))
    for cut, cv in two_cuts(false, seed).items():
        _, unseen = validation_curve(tree, X, false, cv=cv, param_range=some_leaves, **knob)
        nonsense[cut, seed] = unseen.mean(axis=1)
nonsense = pd.DataFrame(nonsense, index=[f"leaf {leaf}" for leaf in some_leaves]).T
nonsense.groupby(level=0).agg(["mean", "std"]).round(2)  # AUC, five deals

# %% [markdown]
# With random rows, tuning "discovers" trees with a fine score, for labels that mean nothing. With sources held out the score stays at chance, one half or a little below, whatever the knob. Its scatter shows how little 37 sources can say.

# %% [markdown] tags=["slide"]
# ## Exercise 10.2 · One standard error, paired  ·  core · 10 min · ●●○
#
# Lesson 07 took the simplest candidate within one standard error of the best, with the error of the *best* score. But a hard fold is hard for all candidates. So take the **differences**, fold by fold: the row of the best candidate (largest mean) minus the row of each candidate. Take their mean, and its standard error (ddof = 1). Return the position of the simplest candidate whose mean difference is not larger than *its own* error.


# %%
def simplest_good(scores):
    """Position of the chosen candidate; scores (n_candidates, n_folds), the simplest candidate first."""
    # solution: subtract all rows from the best row; mean, error; the first that is good enough
    loss = scores[scores.mean(axis=1).argmax()] - scores
    error = loss.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    return np.flatnonzero(loss.mean(axis=1) <= error)[0]
    # end solution


simplest_good = check.simplest_good(simplest_good)

# %%
taken = {}
for seed in range(5):
    scores = by_fold["whole sources", seed]
    best, simplest = scores.mean(axis=1).argmax(), simplest_good(scores)
    taken[seed] = {"largest mean": leaves[best], "the rule takes": leaves[simplest]}
pd.DataFrame(taken).rename_axis("leaf", axis=0).rename_axis("deal", axis=1)

# %% [markdown]
# (Five folds share training rows, and a standard error of five numbers is itself uncertain by a third. The rule is a habit of modesty, not a theorem.)

# %% [markdown] tags=["slide"]
# ## Two knobs and more: grid or random?
#
# A grid of 3 × 3 costs nine fits and tries *three* values of each knob. Nine random points try nine of each. If only one knob matters, and you do not know which, the grid has wasted two thirds of its fits (Bergstra & Bengio 2012). The height of the grey hill is the score. Project the points on the axis of the knob that matters, and count:


# %%
def worth(at):
    """A score that depends on the first knob only."""
    return np.exp(-0.5 * ((at - 0.3) / 0.09) ** 2)


# %%
names, third = ["knob that matters", "knob that does not"], (np.arange(3) + 0.5) / 3
trials = {
    "grid": pd.DataFrame([(a, b) for a in third for b in third], columns=names),
    "random": pd.DataFrame(np.random.default_rng(3).random((9, 2)), columns=names),
}

# %% tags=["slide"]
hill = np.linspace(0, 1, 200)
fig, axes = plt.subplots(1, 2, figsize=(8, 3.8), sharey=True)
for ax, (search_name, own) in zip(axes, trials.items(), strict=True):
    own.plot.scatter(*names, ax=ax, title=search_name)
    sns.rugplot(own, x=names[0], height=0.12, ax=ax)
    ax.fill_between(hill, worth(hill), color="0.9", zorder=0)
plotting.show(fig, "10_grid_and_random")

# %%
at_random = np.random.default_rng(5).random((2000, 9))
anywhere = np.arange(3) / 3 + np.random.default_rng(6).random((2000, 1)) / 3  # the grid, shifted
best_of_nine = {"grid": worth(anywhere).max(axis=1), "random": worth(at_random).max(axis=1)}
pd.DataFrame(best_of_nine).agg(["mean"]).round(2)  # score of the best of nine, 2000 times

# %% [markdown]
# The picture is one good draw. The table is the mean of 2000. Random search wins on average, not always. It has a second virtue: you may stop at any time.

# %% [markdown] tags=["slide"]
# ## Exercise 10.3 · The prior of a scale  ·  core · 6 min · ●○○
#
# Some knobs scale something: penalties, learning rates, leaf sizes. We do not even know their order of magnitude. Draw $n$ values between `low` and `high` such that each decade gets the same share.


# %%
def log_uniform(low, high, n, generator):
    """n values (n,) between low and high, whose logarithm is uniform."""
    # solution: draw the logarithm from a uniform distribution, then come back
    return np.exp(generator.uniform(np.log(low), np.log(high), n))
    # end solution


log_uniform = check.log_uniform(log_uniform)

# %%
drawn = np.asarray(log_uniform(1e-4, 1e2, 10_000, np.random.default_rng(0)))
print(f"below 1: {np.mean(drawn < 1):.0%} of log-uniform draws; 1% of the whole range")

# %% [markdown]
# ## A search within a budget
#
# Now we take a forest with two knobs: the smallest leaf as a share of the rows (log-uniform), and the share of features that are tried at each split. The budget is written down first: **16 candidates, five folds, thinned rows**. Whole sources are held out: `cv` takes any list of cuts.

# %% tags=["nbval-ignore-output"]
forest = make_pipeline(front(), RandomForestClassifier(10, random_state=0))
knobs = {
    "randomforestclassifier__min_samples_leaf": stats.loguniform(1e-3, 0.2),
    "randomforestclassifier__max_features": stats.uniform(0.05, 0.6),
}
budget = {"n_iter": 16, "scoring": "roc_auc", "refit": False, "random_state": 10}
deal = data.deal_sources(groups, y, 5, seed=0)
search = RandomizedSearchCV(forest, knobs, cv=deal, **budget).fit(X, y)
tried = pd.DataFrame(search.cv_results_["params"]).rename(columns=lambda name: name.split("__")[1])
tried["AUC"] = search.cv_results_["mean_test_score"]

# %% [markdown]
# How large is a difference that means nothing? Ask models that are *identical*: the forest with the leaf and the share of features of scikit-learn. We give it eight seeds on the deal of the candidates, and eight seeds on eight other deals.


# %%
def judged(setting, deal_seed, seed):
    """Mean AUC over five folds of a forest with some setting, on one deal."""
    model = make_pipeline(front(), RandomForestClassifier(10, random_state=seed, **setting))
    cv = data.deal_sources(groups, y, 5, deal_seed)
    return cross_val_score(model, X, y, cv=cv, scoring="roc_auc").mean()


# %% tags=["nbval-ignore-output"]
default = {"min_samples_leaf": 1, "max_features": "sqrt"}
twins = pd.DataFrame({"same deal": [judged(default, 0, seed) for seed in tqdm(range(1, 9))]})
twins["other deals"] = [judged(default, seed, seed) for seed in tqdm(range(1, 9))]

# %%
fig, axes = plt.subplots(1, 3, figsize=(9.5, 3.5), sharey=True, layout="constrained")
for ax, name in zip(axes, ("min_samples_leaf", "max_features"), strict=False):
    sns.scatterplot(tried, x=name, y="AUC", ax=ax)
sns.swarmplot(twins, color="C1", marker="s", ax=axes[2])
axes[0].set(xscale="log", xlabel="min_samples_leaf (share of rows)", title="16 candidates")
axes[0].xaxis.set_major_formatter("{x:g}")
axes[1].set(xlabel="max_features (share)", title="the same 16")
axes[2].set_title("identical models")
plotting.show(fig, "10_projections")

# %%
display(tried.corr("spearman")[["AUC"]].drop(index="AUC").round(1))  # rank correlations
plateau = tried.AUC[tried.min_samples_leaf < 0.01].rename("leaf below 1 %")
scatter = pd.concat([tried.AUC.rename("16 candidates"), plateau, twins], axis=1)
scatter.agg(["min", "max", "std"]).T.round(3)

# %% [markdown]
# The search has found one true thing, visible at a glance: large leaves are bad. It needed no best candidate to find it. Is the winner better than the default? We compare both on deals that had no part in the search, deal by deal:

# %% tags=["nbval-ignore-output"]
winner = tried.loc[tried.AUC.idxmax(), ["min_samples_leaf", "max_features"]].to_dict()
duel = pd.DataFrame({"winner": [judged(winner, seed, seed) for seed in tqdm(range(1, 9))]})
duel["default"] = twins["other deals"]
duel["winner less default"] = duel.winner - duel.default
before = [tried.AUC.max(), twins["same deal"].mean()]
compared = duel.agg(["mean", "sem"]).T.set_axis(["eight other deals", "its error"], axis=1)
compared["deal of the search"] = [*before, before[0] - before[1]]
compared.assign(lost=compared["deal of the search"] - compared["eight other deals"]).round(4)

# %% [markdown]
# Read the last row. Both models had the same deals, so the luck of a deal cancels in their difference. Its gain on other deals is the true gain. It is paired: hold it against its own error, not against the scatter of one model from deal to deal. Here it is a few of these errors; with other thinned rows it may be less than one.
#
# Its "lost" is the optimism of picking. The winner was tried once on the deal of the search, so compare the loss with the scatter of identical models on one deal, in the table above. **One search does not show its optimism**: it is below two such scatters.
#
# And the error over deals is not all. Every deal cuts the same 37 sources. For other sources the error is larger; at the end we draw sources. Once the best is ahead of a modest choice by less than that error, further search buys only luck. How much luck would a larger search buy? Let us compute it.

# %% [markdown]
# ## The optimism of the best
#
# Let $n$ candidates be *equally good*, and let their scores scatter by σ. You report the largest. For large $n$ and independent Gaussian scores its mean is about $\sigma\sqrt{2\ln n}$ above the truth.

# %% [markdown] tags=["slide"]
# ## Exercise 10.4 · The best of n equals  ·  core · 8 min · ●●○
#
# "About" is not good enough for ten candidates. Return the expected maximum of $n$ independent Gaussian scores of mean 0 and standard deviation σ, to two or three per cent, by simulation (10,000 times or more) or however you like.


# %%
def expected_best(n, sigma, generator):
    """Expected maximum of n independent Gaussian scores of mean 0 and standard deviation sigma."""
    # solution: draw many tables of n scores, (n_repetitions, n); the mean of the largest of each row
    return generator.normal(0, sigma, (20_000, n)).max(axis=1).mean()
    # end solution


expected_best = check.expected_best(expected_best)

# %%
generator, numbers = np.random.default_rng(40), np.array([1, 2, 5, 10, 20, 50, 100, 200])
optimism = pd.DataFrame(index=pd.Index(numbers, name="number n of equally good candidates"))
optimism["simulated, ρ = 0"] = [expected_best(n, 1.0, generator) for n in numbers]
optimism["scaled by √(1 − ρ), ρ = 0.8"] = np.sqrt(1 - 0.8) * optimism["simulated, ρ = 0"]
optimism[r"$\sqrt{2\,\ln n}$"] = np.sqrt(2 * np.log(numbers))
ax = optimism.plot(logx=True, style=["o-", "s--", ":"], ylabel="optimism of the best (σ)")
ax.set_xticks(numbers, numbers)
plotting.show(ax, "10_optimism")

# %%
optimism.loc[[10, 100]].round(2)

# %% [markdown]
# The formula is an upper bound, too large by two fifths at ten. Candidates that are judged on the same folds are correlated by some $\rho$. What they share shifts them all and cannot be selected, so the optimism shrinks by $\sqrt{1-\rho}$. But which ρ and which $n$ are yours? Similar candidates count nearly as one. In practice nobody knows. So do not compute the optimism: *measure* it.

# %% [markdown]
# ## Nested cross-validation
#
# Treat the whole search as part of the training. Hold out a fold of sources: the **outer** fold. On the rest, and only there, run the complete search with **inner** folds. Train what the search chose, and judge it on the outer fold. Repeat for every outer fold. Each round may choose differently, and should be allowed to: we judge the *procedure*, not a model. The price is outer folds × inner folds × candidates.

# %% [markdown] tags=["slide"]
# ## Exercise 10.5 · Nested, by hand  ·  core · 15 min · ●●●
#
# Write the outer loop with `data.deal_sources(groups, label, k, seed)`. You are given two functions:
#
# - `tune(inside)` runs the inner search on the rows `inside` and returns two things: the chosen candidate, and its best inner score;
# - `judge(choice, inside, outside)` trains that candidate on `inside` and returns its score on `outside`.
#
# Call each once per round. Return a table $(k, 2)$: best inner score and outer score of each round, in the order of `deal_sources`.


# %%
def nested(groups, label, k, seed, tune, judge):
    """Best inner score and outer score of each of k rounds (k, 2)."""
    # solution: in each round tune anew, on the inside only; then judge what this round has chosen
    rounds = []
    for inside, outside in data.deal_sources(groups, label, k, seed):
        choice, inner = tune(inside)
        rounds.append((inner, judge(choice, inside, outside)))
    return np.array(rounds)
    # end solution


nested = check.nested(nested)

# %% [markdown]
# We search for a logistic regression. Each of eight candidates combines a $C$ with a choice of *feature groups*, since that is what people try in earnest.


# %%
def draw_candidates(n, generator):
    """n pairs of C and feature groups, each in or out by a coin (at least one in)."""
    for C in log_uniform(1e-4, 1, n, generator):
        chosen = generator.random(len(GROUPS)) < 0.5
        chosen[generator.integers(len(GROUPS))] = True
        yield C, list(np.array(list(GROUPS))[chosen])


# %%
def auc_outside(candidate, label, inside, outside):
    """AUC outside of a candidate that was trained inside."""
    C, chosen = candidate
    own = X[:, features["object"].columns.map(group_of).isin(chosen)]
    model = make_pipeline(front(), LogisticRegression(C=C, max_iter=2000))
    model.fit(own[inside], label[inside])
    return roc_auc_score(label[outside], model.decision_function(own[outside]))


# %%
def search_and_judge(label, seed, n_candidates=8):
    """Mean best inner score and mean outer score of one search of that many candidates."""
    candidates = list(draw_candidates(n_candidates, np.random.default_rng(seed)))

    def tune(inside):
        cuts = data.deal_sources(groups[inside], label[inside], 3, seed + 100)
        inner = [(inside[a], inside[b]) for a, b in cuts]
        means = [np.mean([auc_outside(one, label, *cut) for cut in inner]) for one in candidates]
        return candidates[np.argmax(means)], max(means)

    def judge(choice, inside, outside):
        return auc_outside(choice, label, inside, outside)

    return np.mean(nested(groups, label, 5, seed, tune, judge), axis=0)


# %% tags=["nbval-ignore-output"]
outcome = {}
for seed in tqdm(range(5)):
    false = shuffled(y, groups, np.random.default_rng(50 + seed))
    outcome["true labels", seed] = search_and_judge(y, seed)
    outcome["shuffled labels", seed] = search_and_judge(false, seed)
outcome = pd.DataFrame(outcome, index=["best inner score", "outer score"]).T
outcome.index.names = ["labels", "search"]

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
for ax, (name, own) in zip(axes, outcome.groupby(level="labels", sort=False), strict=True):
    own.T.plot(ax=ax, marker="o", color="C0", legend=False, title=name, ylabel="AUC")
    ax.axhline(0.5, color="0.4", linestyle=":")
    ax.set(xlim=(-0.4, 1.4), xticks=(0, 1), xticklabels=own.columns)
plotting.show(fig, "10_nested")

# %%
lost = outcome["best inner score"] - outcome["outer score"]
outcome.assign(optimism=lost).groupby(level="labels", sort=False).agg(["mean", "sem"]).round(3)

# %% [markdown]
# On meaningless labels the best inner score lies above one half in most searches, at 0.56 on average. All its candidates are equally worthless, so it can select nothing but luck. The outer score is not fooled. (Mind how wide it scatters all the same: 37 sources are few.)
#
# On true labels the optimism is small. Why? Presumably because here most candidates differ by more than their noise, and because the inner models train on fewer sources, which works in the other direction. **A small optimism is a result, not a given**: it could have been large, and the best inner score alone would have looked just as fine.
#
# scikit-learn does the same in one call. Its *metadata routing* hands the sources on to the inner search:

# %% tags=["nbval-ignore-output"]
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate

strengths = {"logisticregression__C": [1e-3, 1e-2, 0.1, 1]}
how = {"scoring": "roc_auc", "cv": GroupKFold(3)}
inner = GridSearchCV(make_pipeline(front(), straight), strengths, **how)
given = {"params": {"groups": groups}, "scoring": "roc_auc", "return_estimator": True}
with sklearn.config_context(enable_metadata_routing=True):
    done = cross_validate(inner, X, y, cv=data.deal_sources(groups, y, 5, seed=0), **given)
by_round = pd.DataFrame([fit.best_params_ for fit in done["estimator"]])
by_round["best inner score"] = [fit.best_score_ for fit in done["estimator"]]
by_round.assign(**{"outer score": done["test_score"]}).rename_axis("round").round(3)

# %% [markdown]
# Look at the column of $C$. The rounds need not agree. Where two values are about equally good, chance decides between them: another sign of a plateau.

# %% [markdown] tags=["slide"]
# ## Exercise 10.6 · Who found it?  ·  core · 8 min · ●●○
#
# Sort into `"the search"` and `"noise"`: what is more likely to have produced it? σ is the scatter of identical models.

# %%
# solution: compare with the best of n equals, the error of the difference, the score of nonsense
finders = {
    "best of 200 random networks: 2.6 σ above the mean of all": "noise",
    "C = 1e-4 loses 0.12 ± 0.02 against C = 1, paired, on new deals": "the search",
    "seed 42 of a network beats seeds 1 to 20 on the validation set": "noise",
    "best of 20 candidates: 6 σ above the mean of all, and 5 σ above it on new deals": "the search",
    "inner best 0.62 on true labels; 0.58 ± 0.04 on labels shuffled by source": "noise",
    "leaving out the lags costs 0.05 ± 0.01 on sources that no search has seen": "the search",
}
# end solution

finders = check.finders(finders)

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): how many models did you *really* try for your last paper? Count the features you dropped after a look, the outliers you cut, the bins you moved, the colleague's script. What would $\sqrt{2\ln n}$ make of that?

# %% [markdown]
# ## The final choice of the course
#
# Two models go to lesson 12. For each we write a short list, ordered from simple to complex. The list of the object begins with the straight line, and with lesson 09's thought: **one more column, the disc share squared**. Then come forests. The paired rule decides, on six folds with two black holes or more in each. (The candidates for the object are compared on thinned rows, as the forests are slow.)

# %%
disc = features["object"].columns.get_loc("disc_frac")
squared = FunctionTransformer(lambda scaled: np.column_stack([scaled, scaled[:, disc] ** 2]))
finalists = {
    "state": {f"C = {C:g}": LogisticRegression(C=C, max_iter=2000) for C in (1e-3, 1e-2, 0.1, 1)},
    "object": {"logistic": straight, "logistic + disc²": make_pipeline(squared, straight)},
}
for leaf in (40, 10, 3, 1):
    one = RandomForestClassifier(50, min_samples_leaf=leaf, random_state=0)
    finalists["object"][f"forest, leaf {leaf}"] = one


# %%
def compare(task, rows, k):
    """Scores of the finalists (n_candidates, k) on folds of whole sources, and the rule's choice."""
    cuts = data.deal_sources(sources[rows], black_hole[rows], k, seed=0)
    models = finalists[task].values()
    table = [[score(task, model, rows[a], rows[b]) for a, b in cuts] for model in models]
    return np.array(table), list(finalists[task])[simplest_good(np.array(table))]


# %% tags=["nbval-ignore-output"]
pool, final = {"state": np.arange(len(known)), "object": few}, {}
for task in finalists:
    table, final[task] = compare(task, pool[task], 6)
    loss = pd.DataFrame(table[table.mean(axis=1).argmax()] - table, list(finalists[task]))
    loss = pd.DataFrame({"loss": loss.mean(axis=1), "its error": loss.sem(axis=1)})
    display(loss.round(4).rename_axis(f"{task}: the rule takes {final[task]}"))

# %% [markdown]
# (Six folds give a rough error. With other folds, or with all rows, forest and square may change places.) What score do we expect? In the nested loop each of five rounds repeats the choice on its inside, and judges it outside. For the object we also compare three rivals on the same outer folds. Each row is answered by models that have not met its source.

# %% tags=["nbval-ignore-output"]
rivals = ["logistic", "logistic + disc²", "forest, leaf 3"]
said = known[["source_id", "state_label", "object_label"]].assign(state="", object=np.nan)
said[rivals], rounds = np.nan, []
for inside, outside in tqdm(data.deal_sources(sources, black_hole, 5, seed=1)):
    choices = {task: compare(task, np.intersect1d(inside, pool[task]), 3)[1] for task in finalists}
    for task, name in choices.items():
        said.loc[outside, task] = predicted(task, finalists[task][name], inside, outside)
    for name in rivals:
        said.loc[outside, name] = predicted("object", finalists["object"][name], inside, outside)
    rounds.append(choices)
pd.DataFrame(rounds).rename_axis("round")


# %%
def scores_of(sky):
    """Balanced accuracy of the state; the AUC of choices and rivals, and differences, for the object."""
    hole = sky.object_label == "BH"
    found = {name: roc_auc_score(hole, sky[name]) for name in ["object", *rivals]}
    for name in ("logistic", "forest, leaf 3"):
        found[f"{name}, less + disc²"] = found[name] - found["logistic + disc²"]
    return {"state": balanced_accuracy_score(sky.state_label, sky.state), **found}


# %%
generator = np.random.default_rng(12)
skies = pd.DataFrame([scores_of(resample_sources(said, generator)) for _ in range(100)])
pd.DataFrame({"score": scores_of(said), "error": skies.std()}).round(3)

# %% [markdown]
# Here the error draws whole sources, and for the two differences it is paired. Write down what was chosen, and **why**, before lesson 12 sees the test set:
#
# - *State*: logistic regression with the $C$ of the first table, the strongest penalty that loses nothing measurable. It can be explained, and the learning curve says that more data of this kind would hardly help.
# - *Object*: **logistic regression with the disc share squared**, on all features with the lags. The straight line alone loses several points of AUC, more than two paired errors. The forest differs from the square by less than its paired error. Where nothing is measurable, the rule takes the simpler model. It is one coefficient more than the straight line, and a referee can read it.
# - *Expected*: the first two rows of the table, from sources that had no part in the choice. (But the *kinds* of models and their columns come from earlier lessons, with these sources in sight: lesson 09 found the square by looking at 24 of them. So be prepared for a little less.)
#
# A referee deserves a report, and it fits into three lines of a paper: **what was searched** (the lists above), **how many candidates**, **by which metric, on which folds, within which budget**, and what the nested score was. In this lesson we tried 5 sizes of leaves, 16 forests, five times 8 pairs of $C$ and feature groups, 4 values of $C$ in scikit-learn's search, and 10 finalists: 75 candidates. Those of lessons 04 to 09 come on top. Two knobs are not listed: how the features were made, and which rows were cleaned away. Count those trials as well.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Know which way each knob turns; draw its validation curve with sources held out; prefer the simplest candidate that loses nothing measurable. For the object this is one squared feature, and no forest.
# - Learning curves have two axes here. For the object, more sources help; for the state, more of the same hardly helps.
# - Search at random, log-uniform for scales, with a budget first. Identical models with other seeds, on the same deal, tell which differences mean nothing.
# - The best of many is too good. Nested cross-validation measures by how much, and judges the procedure. A search on shuffled labels is the cheapest control there is.
# - Leaky folds flatter, here the simplest and the most complex trees most. Even where they do not move the knob, they spoil the number.

# %% [markdown]
# **Further reading.** J. Bergstra & Y. Bengio, *Random search for hyper-parameter optimization* (JMLR 13, 281, 2012): the projection argument, with experiments · G. Cawley & N. Talbot, *On over-fitting in model selection* (JMLR 11, 2079, 2010): the optimism of tuning, measured · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): learning curves and nested cross-validation · J. Buchner & S. Fotopoulou, 2024 ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)): setting up a first project · scikit-learn user guide, [Tuning the hyper-parameters of an estimator](https://scikit-learn.org/stable/modules/grid_search.html): every search, with its pitfalls.
