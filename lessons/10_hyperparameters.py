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
import sklearn
from scipy import stats
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import KFold, cross_val_score, validation_curve
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from tqdm.auto import tqdm

from course.checks import lesson_10 as check
from helpers import data, plotting
from helpers.preprocessing import GROUPS, STATE_FEATURES, prepare, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()

# %% [markdown]
# ## Knobs
#
# A **parameter** is what `fit` finds: a coefficient, a threshold in a tree. A **hyperparameter** is what you must set before `fit` can begin. The line is thin: both are chosen with data, and whatever is chosen with data can be fitted to their noise. Know for each knob which way is *more complex*, that is, which way the model can follow more details of its training rows:
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
# And two that hide: *which features you use*, and *which rows you cleaned away*. They often move a score more than all of the above.

# %% [markdown]
# We tune on everything that may be known so far: training and validation rows together, 37 sources. The test set stays locked. `prepare` (logarithms, angles) looks at one row at a time and learns nothing, so it may run once, outside all loops; medians and scales are *learned*, and stay inside.

# %%
known = pd.concat(data.load_split(), ignore_index=True)
columns = [*STATE_FEATURES, *GROUPS["lags"]]
sources, states = known.source_id.to_numpy(str), known.state_label.to_numpy(str)
black_hole = (known.object_label == "BH").to_numpy()
features = {"state": prepare(known, STATE_FEATURES), "object": prepare(known, columns)}
labels = {"state": states, "object": black_hole}


def front():
    """Fill gaps and scale: the part of our preprocessing that learns from rows."""
    return preprocessor(columns)[1:].set_output(transform="default")


folds = [len(set(sources[out])) for _, out in data.deal_sources(sources, black_hole, 5, seed=0)]
print(f"{len(known)} pointings of {len(set(sources))} sources, dealt as {folds}")

# %% [markdown]
# Why not `StratifiedGroupKFold`? Lesson 08 caught it ignoring its seed on these data. `data.deal_sources` stratifies the *list of sources*, so that each seed is another deal, and each fold has black holes to tell from neutron stars. It returns pairs of row positions, inside and outside.

# %% [markdown] tags=["slide"]
# ## Learning curves: what would more data buy?
#
# Before any search, ask whether the model or the data set the limit. A **learning curve** is the score against the amount of training data. But what is an amount? An archive grows in two directions: more pointings of the same sources, or more sources.

# %% [markdown] tags=["slide"]
# ## Exercise 10.1 · A smaller archive  ·  core · 10 min · ●●○
#
# Draw `n_sources` sources at random, without replacement, and from each at most `n_rows` pointings, at random too (all, if it has fewer). Return the positions of these rows.


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
# For each of ten drawings we hold out 13 sources and train the logistic model on a smaller archive made of the other 24, a third of them black holes. The metrics are those of the course: balanced accuracy for the state, AUC for the object.


# %%
def score(task, model, inside, outside):
    """Train on the rows inside, judge on the rows outside, by the metric of the task."""
    X, y = features[task].to_numpy(), labels[task]
    fitted = make_pipeline(front(), clone(model)).fit(X[inside], y[inside])
    if task == "state":
        return balanced_accuracy_score(y[outside], fitted.predict(X[outside]))
    return roc_auc_score(y[outside], fitted.predict_proba(X[outside])[:, 1])


def draw_archive(seed, n_sources, n_rows):
    """Rows to train on, of n_sources sources, a third black holes; and rows of 13 other sources."""
    generator = np.random.default_rng(seed)  # the first 13 sources drawn are the same for all sizes
    held, inside = [], []
    for kind, n_held, n_own in ((True, 4, n_sources // 3), (False, 9, n_sources - n_sources // 3)):
        names = generator.permutation(np.unique(sources[black_hole == kind]))
        held.append(np.flatnonzero(np.isin(sources, names[:n_held])))
        own = np.flatnonzero(np.isin(sources, names[n_held:]) & (black_hole == kind))
        inside.append(
            own[smaller(sources[own], n_own, n_rows, np.random.default_rng([seed, kind]))]
        )
    return np.concatenate(inside), np.concatenate(held)


# %% tags=["nbval-ignore-output"]
simple = LogisticRegression(C=1.0, max_iter=2000)
sizes, depths = (6, 12, 18, 24), (10, 40, 1000)
learning = {
    (task, n_rows): np.array(
        [[score(task, simple, *draw_archive(s, n, n_rows)) for n in sizes] for s in range(10)]
    )
    for task in tqdm(("state", "object"))
    for n_rows in depths
}

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(8, 3.6))
looks = {10: ("C0", "o", ":"), 40: ("C1", "s", "--"), 1000: ("black", "^", "-")}
for ax, task in zip(axes, ("state", "object"), strict=True):
    for place, (n_rows, (colour, marker, style)) in enumerate(looks.items()):
        values = learning[task, n_rows]
        name = "all rows of each" if n_rows == 1000 else f"{n_rows} rows of each"
        at = np.array(sizes) + 0.4 * (place - 1)
        error = values.std(axis=0, ddof=1)
        ax.errorbar(
            at, values.mean(axis=0), error, label=name, color=colour, marker=marker, ls=style
        )
    ax.set(xlabel="number of training sources", xticks=sizes, title=task)
axes[0].set_ylabel("balanced accuracy")
axes[1].set_ylabel("AUC, BH against NS")
axes[1].legend(loc="lower right")
plotting.show(fig, "10_learning_curves")

# %% [markdown]
# The bars are the scatter from drawing to drawing: mostly *which* 13 sources were asked. Differences are better measured drawing by drawing. First the last doubling of sources and of rows; then the referee's question, **a fixed budget of some 240 pointings**: many of few, or few of many?


# %%
def equal_budget(seed):
    """Twice equally many rows to train on, of 6 and of 24 sources, each with the rows held out."""
    pairs = [draw_archive(seed, 6, 80), draw_archive(seed, 24, 10)]
    n = min(len(rows) for rows, _ in pairs)
    generator = np.random.default_rng(seed)
    return [(generator.permutation(rows)[:n], held) for rows, held in pairs]


for task in ("state", "object"):
    curve = learning[task, 1000]
    gains = {
        "12 to 24 sources, all rows": curve[:, 3] - curve[:, 1],
        "40 rows to all, 24 sources": curve[:, 3] - learning[task, 40][:, 3],
    }
    pairs = [
        [score(task, simple, rows, held) for rows, held in equal_budget(seed)] for seed in range(40)
    ]
    gains["equal rows: 24 sources less 6"] = np.diff(pairs).ravel()
    for name, gain in gains.items():
        won = f"{np.mean(gain > 0):.0%} of {len(gain)}"
        print(
            f"{task:7s} {name:30s} {gain.mean():+.3f} ± {gain.std(ddof=1):.3f} (one drawing), > 0 in {won}"
        )


# %% [markdown]
# For the **object**, sources are the currency: with the same 240 pointings, spreading them over four times as many sources gains several points on average, and wins in most drawings (not in all: it matters which sources), while going from 40 pointings of each to all buys little. Of course: a pointing of a known black hole is one more look at the same black hole. For the **state**, a pointing is worth about a pointing, wherever it comes from, and the curve is nearly flat at the end.
#
# Would you propose, then? For the object: for new sources, short. For the state: for nothing; its ceiling is set by the labels (lesson 08). And extrapolate with care: the sources that nobody has observed yet are the faint ones, and a curve of this model says nothing of another.
#
# It has a practical side. As 40 pointings of each source are a quarter of the work, we search on a thinned archive and take all rows only at the end.

# %%
few = smaller(sources, 37, 40, np.random.default_rng(10))
X, y, groups = features["object"].iloc[few].to_numpy(), black_hole[few], sources[few]
print(f"{len(few)} pointings of {len(set(groups))} sources, {y.mean():.0%} of black holes")

# %% [markdown]
# ## Validation curves: one knob
#
# A **validation curve** is the score against one hyperparameter. Lesson 07 drew it for $C$ and found a plateau. Take a model that can overfit: a single decision tree, its knob `min_samples_leaf`. With 1, each leaf may hold one row; with 256, there are a few leaves in all.

# %% [markdown] tags=["slide"]
# ### Predict first
#
# Some 1100 rows to train on, sources held out. Which `min_samples_leaf` will be best: 1, 4, 16, 64, 256? And where would the optimum be if *random rows* were held out: at simpler or at more complex trees?

# %%
my_guess = ...  # rows in the smallest leaf, a number

# %% tags=["nbval-ignore-output"]
leaves = np.array([256, 64, 16, 4, 1])  # from the simplest to the most complex
tree = make_pipeline(front(), DecisionTreeClassifier(random_state=0))
turn = {"param_name": "decisiontreeclassifier__min_samples_leaf", "param_range": leaves}
curves = {}  # folds: (training, held out), each (seeds, leaves, folds)
for name in ("rows", "sources"):
    found = []
    for seed in tqdm(range(5), desc=name):
        by_row = KFold(5, shuffle=True, random_state=seed).split(X)
        cv = list(by_row) if name == "rows" else data.deal_sources(groups, y, 5, seed)
        found.append(validation_curve(tree, X, y, cv=cv, scoring="roc_auc", **turn))
    curves[name] = np.swapaxes(found, 0, 1)

# %% tags=["slide"]
fig, ax = plt.subplots()
for name, scores, colour, look in (
    ("training rows", curves["sources"][0], "0.45", "^:"),
    ("held out: random rows", curves["rows"][1], "C0", "o--"),
    ("held out: whole sources", curves["sources"][1], "C1", "s-"),
):
    deals = scores.mean(axis=2)
    style = {"fmt": look, "color": colour, "capsize": 3, "label": name}
    ax.errorbar(leaves, deals.mean(axis=0), deals.std(axis=0, ddof=1), **style)
ax.set(xscale="log", xlabel="min_samples_leaf (rows); more complex →", ylabel="AUC, BH against NS")
ax.set_xticks(leaves, [str(n) for n in leaves])
ax.minorticks_off()
ax.invert_xaxis()
ax.set_ylim(0.7, 1.01)
plotting.mark_guess(ax, my_guess)
ax.legend(loc="lower right")
plotting.show(fig, "10_leaf")

# %%
held = {name: curves[name][1].mean(axis=2) for name in curves}  # (seeds, leaves)
bonus = held["rows"] - held["sources"]
for k, leaf in enumerate(leaves):
    print(
        f"leaf {leaf:3d}: random rows flatter by {bonus[:, k].mean():+.3f} ± {bonus[:, k].std(ddof=1):.3f}"
    )
tilt = bonus[:, -1] - bonus[:, 1]
print(
    f"bonus of leaf 1 less that of leaf 64: {tilt.mean():+.3f} ± {tilt.std(ddof=1):.3f} (one deal)"
)
for name, values in held.items():
    print(f"best leaf in five deals, {name} held out: {leaves[values.argmax(axis=1)].tolist()}")

# %% [markdown]
# **Your prediction:** 16 rows in nearly all deals, for random rows as for whole sources.
#
# The familiar shape: underfitting on the left, overfitting on the right, and the training score never warns you. The bars are the spread over five deals.
#
# And the leak of lesson 03 is back, as a *tilt*: *on average* the most complex trees, which can learn a known source by heart, get more of a bonus from random rows than those of 64, though a single deal may say otherwise. (The crudest trees get one too: where a few cuts are all, much depends on which sources they were made for.) Honesty requires the other half: **the tilt is small against the curvature here**, and both cuts choose leaves of about the same size. The leak spoils the number that you report more than the knob that you turn. Nobody can know that beforehand. Watch what it does when there is nothing true to learn: labels shuffled among sources.


# %%
def shuffled(label, groups, generator):
    """The labels of whole sources having changed places (lesson 03)."""
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    return generator.permutation(label[first])[which]


some_leaves = leaves[::2]
nonsense = {name: np.empty((5, len(some_leaves))) for name in curves}
for seed in range(5):
    false = shuffled(y, groups, np.random.default_rng(seed))
    for name in curves:
        by_row = KFold(5, shuffle=True, random_state=seed).split(X)
        cv = list(by_row) if name == "rows" else data.deal_sources(groups, false, 5, seed)
        for k, leaf in enumerate(some_leaves):
            grown = DecisionTreeClassifier(min_samples_leaf=leaf, random_state=0)
            model = make_pipeline(front(), grown)
            five = cross_val_score(model, X, false, cv=cv, scoring="roc_auc")
            nonsense[name][seed, k] = five.mean()

# %%
for name, values in nonsense.items():
    for leaf, five in zip(some_leaves, values.T, strict=True):
        print(f"{name} held out, leaf {leaf:3d}: {five.mean():.2f} ± {five.std(ddof=1):.2f}")

# %% [markdown]
# With random rows, tuning "discovers" trees of small leaves with a fine score, for labels that mean nothing. With sources held out the score stays at chance, one half or a little below, whatever the knob; the spread shows how little 37 sources can say.

# %% [markdown] tags=["slide"]
# ## Exercise 10.2 · One standard error, paired  ·  core · 10 min · ●●○
#
# Lesson 07 took the simplest candidate within one standard error of the best, with the error of the *best* score. But folds are hard or easy for all alike. Take the **differences**: the row of the best candidate (largest mean) minus that of each, fold by fold; their mean, and its standard error (ddof = 1). Return the position of the simplest candidate whose mean difference is not larger than *its own* error.


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
for seed, scores in enumerate(curves["sources"][1]):
    top = scores.mean(axis=1).argmax()
    taken = leaves[int(simplest_good(scores))]
    print(f"deal {seed}: largest mean at leaf {leaves[top]:3d}, the rule takes {taken:3d}")

# %% [markdown]
# (Five folds share training rows, and a standard error of five numbers is itself uncertain by a third. The rule is a habit of modesty, not a theorem.)

# %% [markdown] tags=["slide"]
# ## Two knobs and more: grid or random?
#
# A grid of 3 × 3 costs nine fits and tries *three* values of each knob. Nine random points try nine of each. If only one knob matters, and you do not know which, the grid has wasted two thirds of its fits (Bergstra & Bengio 2012). Project the points on the axes and count:

# %%
generator = np.random.default_rng(3)
step = (np.arange(3) + 0.5) / 3
trials = {
    "grid": np.array([(a, b) for a in step for b in step]),
    "random": generator.random((9, 2)),
}
knob = np.linspace(0, 1, 200)


def worth(at):
    """A score that depends on the first knob only."""
    return np.exp(-0.5 * ((at - 0.3) / 0.09) ** 2)


# %% tags=["slide"]
fig, axes = plt.subplots(2, 2, figsize=(7, 4.2), sharex=True, height_ratios=(1, 2))
for (top, bottom), (name, at), colour in zip(axes.T, trials.items(), ("C0", "C1"), strict=True):
    top.plot(knob, worth(knob), color="0.6")
    top.plot(at[:, 0], worth(at[:, 0]), "o", color=colour)
    top.set_title(f"{name}: best of nine {worth(at[:, 0]).max():.2f}")
    bottom.plot(at[:, 0], at[:, 1], "o", color=colour)
    bottom.vlines(at[:, 0], at[:, 1], 1.05, color=colour, linewidth=0.5)
    bottom.set(xlabel="knob that matters", ylim=(0, 1.05))
axes[0, 0].set_ylabel("score")
axes[1, 0].set_ylabel("knob that does not")
plotting.show(fig, "10_grid_and_random")

# %%
best = worth(np.random.default_rng(5).random((2000, 9))).max(axis=1)
shift = np.random.default_rng(6).random((2000, 1)) / 3  # the grid, laid down anywhere
grids = worth(np.arange(3) / 3 + shift).max(axis=1)
print(f"best of nine, 2000 times: grid {grids.mean():.2f}, random {best.mean():.2f}")

# %% [markdown]
# The picture is one good draw; the line below it is 2000. Random search wins on average, not always, and it has a second virtue: you may stop at any time.

# %% [markdown] tags=["slide"]
# ## Exercise 10.3 · The prior of a scale  ·  core · 6 min · ●○○
#
# Knobs that scale something (penalties, learning rates, leaf sizes) are unknown by orders of magnitude. Draw $n$ values between `low` and `high` such that each decade gets the same share.


# %%
def log_uniform(low, high, n, generator):
    """n values (n,) between low and high, whose logarithm is uniform."""
    # solution: draw the logarithm from a uniform distribution, then come back
    return np.exp(generator.uniform(np.log(low), np.log(high), n))
    # end solution


log_uniform = check.log_uniform(log_uniform)

# %%
drawn = np.asarray(log_uniform(1e-4, 1e2, 10_000, np.random.default_rng(0)))
flat = np.random.default_rng(0).uniform(1e-4, 1e2, 10_000)
print(f"below 1:  log-uniform {np.mean(drawn < 1):.0%},  uniform {np.mean(flat < 1):.0%}")

# %% [markdown]
# ## A search within a budget
#
# Now a forest, two knobs: the smallest leaf as a share of the rows (log-uniform), and the share of features tried at each split. The budget is written down first: **16 candidates, five folds, thinned rows**. Whole sources held out: `cv` takes any list of cuts.

# %% tags=["nbval-ignore-output"]
from sklearn.model_selection import RandomizedSearchCV

forest = make_pipeline(front(), RandomForestClassifier(10, random_state=0))
knobs = {
    "randomforestclassifier__min_samples_leaf": stats.loguniform(1e-3, 0.2),
    "randomforestclassifier__max_features": stats.uniform(0.05, 0.6),
}
search = RandomizedSearchCV(
    forest,
    knobs,
    n_iter=16,
    scoring="roc_auc",
    cv=data.deal_sources(groups, y, 5, seed=0),
    random_state=10,
    refit=False,
).fit(X, y)
tried = pd.DataFrame(search.cv_results_["params"]).set_axis(["features", "leaf"], axis=1)
tried["score"] = search.cv_results_["mean_test_score"]

# %% [markdown]
# How large is a difference that means nothing? Ask models that are *identical*: the forest as it comes, with eight seeds on the deal of the candidates, and on eight other deals.

# %% tags=["nbval-ignore-output"]
default = {"leaf": 1, "features": "sqrt"}


def judged(setting, deal_seed, seed):
    """Mean AUC over five folds of a forest with some setting, on one deal."""
    leaf, share = setting["leaf"], setting["features"]
    model = RandomForestClassifier(10, min_samples_leaf=leaf, max_features=share, random_state=seed)
    cv = data.deal_sources(groups, y, 5, deal_seed)
    return cross_val_score(make_pipeline(front(), model), X, y, cv=cv, scoring="roc_auc").mean()


twins = np.array([judged(default, 0, seed) for seed in tqdm(range(1, 9), desc="identical")])
same = np.array([judged(default, seed, seed) for seed in tqdm(range(1, 9), desc="other deals")])

# %%
knobs = {"leaf": "smallest leaf", "features": "features per split"}
band = twins.mean() + twins.std(ddof=1) * np.array([-1, 1])
fig, axes = plt.subplots(1, 3, figsize=(8.4, 3.3), sharey=True, width_ratios=(3, 3, 1))
for ax, (knob_name, unit) in zip(axes[:2], knobs.items(), strict=True):
    ax.plot(tried[knob_name], tried.score, "o", color="C0")
    ax.axhspan(*band, color="0.88", zorder=0)
    ax.set_xlabel(f"{unit} (share)")
axes[0].set(xscale="log", ylabel="AUC, sources held out")
axes[0].set_xticks([1e-3, 1e-2, 1e-1], ["0.001", "0.01", "0.1"])
for place, (values, look) in enumerate(((twins, "C1s"), (same, "C2^"))):
    axes[2].plot(place + np.linspace(-0.2, 0.2, 8), values, look, markerfacecolor="none")
axes[2].set(xlim=(-0.5, 1.5), xlabel="identical models")
axes[2].set_xticks([0, 1], ["same\ndeal", "other\ndeals"])
axes[0].set_title("16 candidates on one deal")
plotting.show(fig, "10_projections")

# %%
for knob_name in ("leaf", "features"):
    rank = stats.spearmanr(tried[knob_name], tried.score).statistic
    print(f"rank correlation of score and {knob_name}: {round(rank, 1) + 0.0:+.1f}")
print(f"all candidates   {tried.score.min():.3f} to {tried.score.max():.3f}")
print(f"leaf below 1 %   scatter {tried.score[tried.leaf < 0.01].std(ddof=1):.3f}")
print(f"identical models scatter {twins.std(ddof=1):.3f} on one deal", end=", ")
print(f"{same.std(ddof=1):.3f} from deal to deal")

# %% [markdown]
# The search has found one true thing, visible at a glance: large leaves are bad. It needed no best candidate to find it. Is the winner better than the default? Both on deals that had no part in the search, deal by deal:

# %% tags=["nbval-ignore-output"]
winner = tried.loc[tried.score.idxmax(), ["leaf", "features"]].to_dict()
again = np.array([judged(winner, seed, seed) for seed in tqdm(range(1, 9), desc="winner")])
gain = again - same
print(f"winner: leaf {winner['leaf']:.4f}, features {winner['features']:.2f}")
print(
    f"winner   on the deal of the search {tried.score.max():.3f}, on eight others {again.mean():.3f}"
)
print(f"default  on the deal of the search {twins.mean():.3f}, on eight others {same.mean():.3f}")
print(f"winner less default, same deals: {gain.mean():+.4f} ± {gain.std(ddof=1):.4f} (one deal)")

# %% [markdown]
# Read the columns. What both models lose on other deals is the luck of the deal; what the winner alone loses is the optimism of picking. And its gain over the default? Perhaps it is real (the error of a mean of eight is smaller by √8). But it is about as large as what another deal changes in an *identical* model, and smaller than the error that 37 sources allow, as we shall see at the end. That is why one stops early: once the best is ahead of a modest choice by less than the error bar, further search buys decimals of luck.

# %% [markdown]
# ## The optimism of the best
#
# Let $n$ candidates be *equally good*, and let their scores scatter by σ. You report the largest. For large $n$ and independent Gaussian scores its mean is about $\sigma\sqrt{2\ln n}$ above the truth.

# %% [markdown] tags=["slide"]
# ## Exercise 10.4 · The best of n equals  ·  core · 8 min · ●●○
#
# "About" is not good enough for ten candidates. Return the expected maximum of $n$ independent Gaussian scores of mean 0 and standard deviation σ, to two or three per cent, by simulation or however you like.


# %%
def expected_best(n, sigma, generator):
    """Expected maximum of n independent Gaussian scores of mean 0 and standard deviation sigma."""
    # solution: draw many tables of n scores, (n_repetitions, n); the mean of the largest of each row
    return generator.normal(0, sigma, (20_000, n)).max(axis=1).mean()
    # end solution


expected_best = check.expected_best(expected_best)

# %%
generator = np.random.default_rng(40)
numbers = np.array([1, 2, 5, 10, 20, 50, 100, 200])
fig, ax = plt.subplots()
for alike, colour, look in ((0, "C0", "o-"), (0.8, "C1", "s--")):
    values = [np.sqrt(1 - alike) * expected_best(n, 1.0, generator) for n in numbers]
    name = f"scaled by √(1 − ρ), ρ = {alike:g}" if alike else "simulated"
    ax.plot(numbers, values, look, color=colour, label=name)
ax.plot(numbers, np.sqrt(2 * np.log(numbers)), ":", color="0.3", label=r"$\sqrt{2\,\ln n}$")
ax.set(
    xscale="log", xlabel="number n of equally good candidates", ylabel="optimism of the best (σ)"
)
ax.set_xticks(numbers, [str(n) for n in numbers])
ax.minorticks_off()
ax.legend()
plotting.show(fig, "10_optimism")

# %% [markdown]
# The formula is an upper bound, too large by two fifths at ten. Candidates that are judged on the same folds are correlated by some $\rho$; what they share shifts them all and cannot be selected, so that the optimism shrinks by $\sqrt{1-\rho}$. Which ρ, which $n$? Close candidates are nearly one. In practice nobody knows. So do not compute the optimism: *measure* it.

# %% [markdown]
# ## Nested cross-validation
#
# Treat the whole search as part of the training. Hold out a fold of sources: the **outer** fold. On the rest, and only there, run the complete search with **inner** folds; train its choice; judge it on the outer fold. Repeat for every outer fold. Each round may choose differently, and should be allowed to: what is judged is the *procedure*, not a model. The price: outer folds × inner folds × candidates.

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
# The search: logistic regression with eight candidates that combine a $C$ with a choice of *feature groups*, since that is what people try in earnest. Medians and scales belong to single columns, so each inner cut computes them once, from its own training rows, for all candidates.

# %%
home = {column: name for name in GROUPS for column in prepare(known[:1], GROUPS[name])}
small = features["object"].iloc[few].reset_index(drop=True)


def draw_candidates(n, generator):
    """n pairs of C and a set of feature groups, each group in or out by a coin (one at least in)."""
    strengths = log_uniform(1e-4, 1, n, generator)
    for C in strengths:
        chosen = generator.random(len(GROUPS)) < 0.5
        chosen[generator.integers(len(GROUPS))] = True
        yield C, {name for name, own in zip(GROUPS, chosen, strict=True) if own}


def aucs(candidates, label, inside, outside):
    """AUC outside of each candidate, trained inside."""
    scaler = front().fit(small.iloc[inside])
    seen, unseen = (scaler.transform(small.iloc[rows]) for rows in (inside, outside))
    names = scaler.get_feature_names_out()
    of = np.array([home[name.removeprefix("missingindicator_")] for name in names])
    for C, chosen in candidates:
        own = np.isin(of, list(chosen))
        model = LogisticRegression(C=C, max_iter=2000).fit(seen[:, own], label[inside])
        yield roc_auc_score(label[outside], model.decision_function(unseen[:, own]))


# %%
def search_and_judge(label, seed, n_candidates=8):
    """The table of `nested` for one search of that many candidates."""
    candidates = list(draw_candidates(n_candidates, np.random.default_rng(seed)))

    def tune(inside):
        cuts = data.deal_sources(groups[inside], label[inside], 3, seed + 100)
        table = [list(aucs(candidates, label, inside[a], inside[b])) for a, b in cuts]
        mean = np.mean(table, axis=0)
        return candidates[mean.argmax()], mean.max()

    def judge(choice, inside, outside):
        return next(aucs([choice], label, inside, outside))

    return np.asarray(nested(groups, label, 5, seed, tune, judge))


# %% tags=["nbval-ignore-output"]
outcome = {"true labels": [], "shuffled labels": []}
for seed in tqdm(range(5)):
    false = shuffled(y, groups, np.random.default_rng(50 + seed))
    for name, label in (("true labels", y), ("shuffled labels", false)):
        outcome[name].append(search_and_judge(label, seed).mean(axis=0))
outcome = {name: np.array(pairs) for name, pairs in outcome.items()}  # (seeds, 2)

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(7.4, 3.6))
for ax, (name, pairs) in zip(axes, outcome.items(), strict=True):
    for inner, outer in pairs:
        ax.plot((0, 1), (inner, outer), color="0.7", linewidth=1)
    ax.plot(np.zeros(len(pairs)), pairs[:, 0], "o", color="C0")
    ax.plot(np.ones(len(pairs)), pairs[:, 1], "s", color="C1")
    low = 0.6 if name == "true labels" else 0.3
    ax.set(xlim=(-0.4, 1.4), ylim=(low, low + 0.4), title=name, ylabel="AUC")
    ax.set_xticks((0, 1), ("best inner score", "outer score"))
axes[1].axhline(0.5, color="0.4", linestyle=":")
plotting.show(fig, "10_nested")

# %%
for name, pairs in outcome.items():
    lost = pairs[:, 0] - pairs[:, 1]
    (inner, outer), (wide, wider) = pairs.mean(axis=0), pairs.std(axis=0, ddof=1)
    print(f"{name:16s} inner {inner:.2f} ± {wide:.2f}   outer {outer:.2f} ± {wider:.2f}", end="   ")
    print(
        f"optimism {lost.mean():+.3f} ± {lost.std(ddof=1) / np.sqrt(len(lost)):.3f} (mean of five)"
    )

# %% [markdown]
# On meaningless labels the search comes home with a discovery nearly every time: all its candidates are equally worthless, so it can select nothing but luck. The outer score is not fooled. (Mind how wide it scatters all the same: 37 sources are few.)
#
# On true labels the optimism is small. Why? Presumably because here most candidates differ by more than their noise, and because the inner models train on fewer sources, which works in the other direction. **A small optimism is a result, not a given**: it could have been the other picture, and the best inner score alone would have looked just as fine.
#
# scikit-learn does the same in one call. It must hand the sources on to the inner cutter, which is what its *metadata routing* is for:

# %% tags=["nbval-ignore-output"]
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate

inner = GridSearchCV(
    make_pipeline(front(), LogisticRegression(max_iter=2000)),
    {"logisticregression__C": [1e-3, 1e-2, 0.1, 1]},
    scoring="roc_auc",
    cv=GroupKFold(3),
)
with sklearn.config_context(enable_metadata_routing=True):
    for seed in range(3):
        outer = data.deal_sources(groups, y, 5, seed)
        given = {"params": {"groups": groups}, "scoring": "roc_auc", "return_estimator": True}
        done = cross_validate(inner, X, y, cv=outer, **given)
        chosen = [fit.best_params_["logisticregression__C"] for fit in done["estimator"]]
        best = np.mean([fit.best_score_ for fit in done["estimator"]])
        print(
            f"deal {seed}: inner {best:.3f}  outer {done['test_score'].mean():.3f}  C chosen: {chosen}"
        )

# %% [markdown]
# Look at the choices: the rounds do not all agree on $C$, and it costs nothing. Such disagreement is another sign of a plateau.

# %% [markdown] tags=["slide"]
# ## Exercise 10.6 · Who found it?  ·  core · 8 min · ●●○
#
# Sort into `"the search"` and `"noise"`: what is the likelier finder? σ is the scatter of identical models.

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
# Two models go to lesson 12. For each: a short list, ordered from simple to complex; the paired rule on six folds, with two black holes in each; and a nested loop for the expected score, in which each round repeats that choice. All rows now, except that the forests are *chosen* on thinned ones.

# %%
finalists = {
    "state": {C: LogisticRegression(C=C, max_iter=2000) for C in (1e-3, 1e-2, 0.1, 1.0)},
    "object": {
        leaf: RandomForestClassifier(50, min_samples_leaf=leaf, random_state=0)
        for leaf in (40, 10, 3, 1)
    },
}


def choose(task, rows, k):
    """The knob that the paired rule takes, from k folds of whole sources among these rows."""
    cuts = data.deal_sources(sources[rows], black_hole[rows], k, seed=0)
    table = [
        [score(task, model, rows[a], rows[b]) for a, b in cuts]
        for model in finalists[task].values()
    ]
    return list(finalists[task])[int(simplest_good(np.array(table)))], np.array(table)


# %%
def predicted(task, knob, inside, outside):
    """What the finalist says outside: a state, or the probability of a black hole."""
    X, model = features[task].to_numpy(), make_pipeline(front(), clone(finalists[task][knob]))
    model.fit(X[inside], labels[task][inside])
    return model.predict(X[outside]) if task == "state" else model.predict_proba(X[outside])[:, 1]


# %% tags=["nbval-ignore-output"]
pool = {"state": np.arange(len(known)), "object": np.sort(few)}
final, said = {}, {"state": np.empty(len(known), "U4"), "object": np.empty(len(known))}
for task in tqdm(("state", "object")):
    final[task], table = choose(task, pool[task], 6)
    mean = dict(zip(finalists[task], table.mean(axis=1).round(3).tolist(), strict=True))
    rounds = []
    for inside, outside in data.deal_sources(sources, black_hole, 5, seed=1):
        rounds.append(choose(task, np.intersect1d(inside, pool[task]), 3)[0])
        said[task][outside] = predicted(task, rounds[-1], inside, outside)
    print(f"{task}: mean scores {mean}, chosen {final[task]}; in the five rounds {rounds}")

# %%
judged_rows = known[["source_id", "state_label"]].assign(
    said_state=said["state"], said_object=said["object"], right=black_hole
)
measures = {
    "state": lambda t: balanced_accuracy_score(t.state_label, t.said_state),
    "object": lambda t: roc_auc_score(t.right, t.said_object),
}
generator = np.random.default_rng(12)
skies = [resample_sources(judged_rows, generator) for _ in range(100)]
for task, metric in (("state", "balanced accuracy"), ("object", "AUC")):
    error = np.std([measures[task](sky) for sky in skies], ddof=1)
    knob = "C" if task == "state" else "min_samples_leaf"
    value = measures[task](judged_rows)
    print(f"{task:6s} {knob} = {final[task]:g}: expected {metric} {value:.3f} ± {error:.3f}")

# %% [markdown]
# Write down what was chosen, and **why**, before lesson 12 sees the test set:
#
# - *State*: logistic regression with the $C$ above, the strongest penalty that loses nothing measurable. It can be explained, its plateau is wide, and the learning curve says that data of this kind do not limit it.
# - *Object*: a forest of 50 trees with the leaf above, on all features with the lags; the forest earns its place by several points of AUC over the logistic model of the nested search. Smaller leaves that gain less than their error were not taken.
# - *Expected*: the two printed numbers, from sources that had no part in the choice of the knob; the error counts sources. (The *kind* of model and its columns were chosen in earlier lessons, with these sources in sight. So be prepared for a little less.)
#
# And the report that a referee deserves, which fits into three lines of a paper: **what was searched** (the lists above), **how many candidates** (below; with those of lessons 04 to 09 that we no longer count, more), **by which metric, on which folds, within which budget**, and what the nested score was. The two knobs that cost the most scruples are in no list: the choice of features, and the rows that were cleaned. Count those trials as well.

# %%
counted = {
    "tree leaves": len(leaves),
    "forests in the random search": 16,
    "C × feature groups, five searches": 5 * 8,
    "C by scikit-learn": 4,
    "finalists": sum(len(models) for models in finalists.values()),
}
print(f"candidates tried in this lesson alone: {sum(counted.values())}", counted)

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Know which way each knob turns; draw its validation curve with sources held out; prefer the simplest candidate that loses nothing measurable.
# - Learning curves have two axes here. For the object, more sources; for the state, more of the same hardly helps.
# - Random search, log-uniform for scales, a budget first. Identical models with other seeds, on the same deal, tell which differences mean nothing.
# - The best of many is too good. Nested cross-validation measures by how much, and judges the procedure. A search on shuffled labels is the cheapest control there is.
# - Leaky folds flatter, and on average complex models most. Even where they do not move the knob, they spoil the number.

# %% [markdown]
# **Further reading.** J. Bergstra & Y. Bengio, *Random search for hyper-parameter optimization* (JMLR 13, 281, 2012): the projection argument, with experiments · G. Cawley & N. Talbot, *On over-fitting in model selection* (JMLR 11, 2079, 2010): the optimism of tuning, measured · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): learning curves and nested cross-validation · J. Buchner & S. Fotopoulou, 2024 ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)): setting up a first project · scikit-learn user guide, [Tuning the hyper-parameters of an estimator](https://scikit-learn.org/stable/modules/grid_search.html): every search, with its pitfalls.
