# %% [markdown]
# # 3 · Train-validation-test splits
#
# | **The question** | How well will our classifier do on the next sample, and which rows may we ask? |
# |---|---|
# | **Afterwards you can** | split an archive by row, by source and by date, and say which split answers your question; find a leak with shuffled labels; tell the error bar of a score from the number of sources |
# | **Time** | 40 min of reading or teaching, 56 min of exercises |
# | **Data** | simulated: RXTE pointings and light curves; real, if you have fetched it: RXTE/ASM colours, see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GroupShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.neighbors import KNeighborsClassifier
from tqdm.auto import tqdm

from course.checks import lesson_03 as check
from helpers import data, plotting
from helpers.asm import load_asm

plotting.use_course_style()

# %% [markdown]
# ## Why three parts
#
# A model that is asked about its own training rows is a student who is asked about the homework. So we keep rows back. But why twice?
#
# | part | what it does | how often you look | what it costs |
# |---|---|---|---|
# | **train** | the model learns | all the time | rows that can judge nothing |
# | **validation** | *you* choose: model, features, settings | often | each choice spends some of its honesty |
# | **test** | tells the truth | once | rows that never teach, and your patience |
#
# Choosing is learning, too: whoever picks the best of many models has fitted the validation set. Watch it happen with models that know nothing at all.

# %% [markdown] tags=["slide"]
# ## Exercise 3.1 · The best of many  ·  core · 8 min · ●●○
#
# Every "model" below tosses a coin for each answer. You are given two tables of truth values, `(n_models, n_answers)`: which answers were right on the validation set, and which on the test set. Choose the model that scores best on validation (a score is the share of right answers; of several best ones the first), and return its two scores.


# %%
def best_of_many(right_validation, right_test):
    """Validation and test score of the model that validation would choose."""
    # solution: a model is a row: the mean along axis 1 is its score, np.argmax finds the best row
    best = np.argmax(right_validation.mean(axis=1))
    return right_validation[best].mean(), right_test[best].mean()
    # end solution


best_of_many = check.best_of_many(best_of_many)

# %% [markdown] tags=["slide"]
# **Predict first.** The validation set of this course will hold 13 sources. Toss 100 coins for each of the 13, is it a black hole or not, and keep the best of these 100 "models". What is its score on validation?

# %%
my_guess_best = ...  # a share between 0 and 1

# %%
generator = np.random.default_rng(31)
tries, sizes = (1, 3, 10, 30, 100), (13, 1000)
chosen = {}  # (number of answers, number of models): (200 repetitions, 2 scores)
for n_answers in sizes:
    for n_models in tries:
        scores = []
        for _ in range(200):
            coins = generator.random((2, n_models, n_answers)) < 0.5
            scores.append(best_of_many(*coins))
        chosen[n_answers, n_models] = np.array(scores)

# %% tags=["slide"]
fig, ax = plt.subplots()
for n_answers, colour, marker in zip(sizes, ("C1", "C0"), "so", strict=True):
    for part, name, line in ((0, "validation", "-"), (1, "test", ":")):
        scores = np.array([chosen[n_answers, n][:, part] for n in tries])
        low, high = np.quantile(scores, (0.16, 0.84), axis=1)
        ax.fill_between(tries, low, high, color=colour, alpha=0.15 - 0.07 * part, linewidth=0)
        label = f"{n_answers} answers, {name}"
        ax.plot(tries, scores.mean(axis=1), line, color=colour, marker=marker, label=label)
ax.set(xscale="log", xlabel="number of useless models to choose from", ylim=(0.3, 1))
ax.set(ylabel="score of the chosen one")
ax.set_xticks(tries, [str(n) for n in tries])
ax.legend(ncols=2)
plotting.mark_guess(ax, my_guess_best, axis="y")
plotting.show(fig, "03_best_of_many")

# %%
for (n_answers, n_models), scores in chosen.items():
    mean, spread = scores.mean(axis=0), scores.std(axis=0, ddof=1)
    print(
        f"best of {n_models:3d} on {n_answers:4d} answers: "
        f"validation {mean[0]:.2f} ± {spread[0]:.2f}   test {mean[1]:.2f} ± {spread[1]:.2f}"
    )

# %% [markdown]
# **Your prediction:** 0.83 on average. (Bands hold two thirds of 200 repetitions.) Nothing was ever learned, and the best of a hundred names more than 80 % of 13 sources right. This is **selection optimism**. It grows with the number of things you try and shrinks with the number of *independent* answers you judge by. Only rows that took no part in the choice are honest, and only the first time: look, change something, look again, and the test set is one more validation set.

# %% [markdown] tags=["slide"]
# ## What is a sample?
#
# "Independent" is the word that matters. Our archive is a set of boxes within boxes: segments of a light curve in a pointing, pointings in an outburst, outbursts in a source. A row is a pointing. Are 6000 pointings 6000 independent answers?

# %%
table = data.load_observations("rxte")
source = table.source_id.to_numpy()
outburst = table.outburst_id.to_numpy()
object_label = table.object_label.to_numpy()
state_label = table.state_label.to_numpy()
columns = ["hr_soft", "hr_hard", "gamma", "kt_in", "disc_frac", "rms_0p1_64", "rms_2_16", "hue"]
features = table[columns]
print(f"{len(table)} rows, {len(set(outburst))} outbursts, {len(set(source))} sources")
rows_per_source = table.source_id.value_counts()
print(f"rows per source: {rows_per_source.min()} to {rows_per_source.max()}")
print(table.groupby("object_label").source_id.nunique().to_string())

# %% tags=["slide"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.8))
soft = table[table.state_label == "HSS"]
qpo = table[table.qpo_det & (table.object_label == "BH")]
left.plot(soft.hr_soft, soft.hr_hard, ".", color="0.85", markersize=3)
right.plot(qpo.qpo_freq, qpo.gamma, ".", color="0.85", markersize=3)
for ax, rows, x, y, names in (
    (left, soft, "hr_soft", "hr_hard", ("S49", "S20", "S26", "S13")),
    (right, qpo, "qpo_freq", "gamma", ("S02", "S45", "S52", "S13")),
):
    for name, marker in zip(names, "osD^", strict=True):
        own = rows[rows.source_id == name]
        style = {"markersize": 3.5, "markerfacecolor": "none"}
        ax.plot(own[x], own[y], marker, label=f"{name} {own.object_label.iloc[0]}", **style)
    ax.legend(markerscale=1.4)
left.set(xscale="log", yscale="log", xlim=(0.06, 1.6), ylim=(0.09, 1.6), title="soft states (HSS)")
left.set(xlabel="colour 6–10 / 3–6 keV (Crab)", ylabel="colour 10–20 / 6–10 keV (Crab)")
right.set(xscale="log", xlim=(0.08, 25), title="black holes with a QPO")
right.set(xlabel="QPO frequency (Hz)", ylabel="photon index Γ")
plotting.show(fig, "03_sources_apart")

# %% [markdown]
# They are not. Every source has its own mass, inclination, absorption and habits, so that it writes in its own hand: a streak in the colours, a track in Γ and frequency (after Shaposhnikov & Titarchuk 2009). Rows of one source resemble each other more than they resemble their class. How well can a machine read the handwriting? That needs a split, so let us write one.

# %% [markdown]
# ## Exercise 3.2 · A random split  ·  core · 5 min · ●○○
#
# Deal the rows at random into two parts, `share` of them into the second (a whole number of rows, rounded up or down). Return *positions* of rows, as `table.iloc` takes them. All chance comes from `generator`, so that anyone can repeat your split.


# %%
def split_rows(n_rows, share, generator):
    """Positions of the training rows and of the test rows, which are a random `share` of all."""
    # solution: generator.permutation(n_rows) shuffles the positions; cut the result in two
    order = generator.permutation(n_rows)
    n_test = round(share * n_rows)
    return order[n_test:], order[:n_test]
    # end solution


split_rows = check.split_rows(split_rows)

# %% [markdown]
# Now the model of this lesson, a **random forest**: a committee of decision trees, each of which has seen a part of the training rows. Later lessons take models seriously; here any flexible one will do, and this one takes missing values as they are.
#
# Its first task is a silly one: *which of the 48 sources is this?* The eight features contain neither position, flux nor date.


# %%
def forest(seed):
    """The model of this lesson."""
    return RandomForestClassifier(30, min_samples_leaf=5, random_state=seed)


named = []
for seed in range(5):
    train, test = split_rows(len(table), 0.25, np.random.default_rng(seed))
    model = forest(seed).fit(features.iloc[train], source[train])
    named.append(np.mean(model.predict(features.iloc[test]) == source[test]))
print(f"source named right: {np.mean(named):.1%} ± {np.std(named, ddof=1):.1%} of the test rows")
print(f"always the most frequent source: {rows_per_source.iloc[0] / len(table):.1%}")

# %% [markdown]
# It recognises most pointings, one source out of 48, from the hand alone. Therefore a model can "predict" whatever is constant in a source, its class or its colour of paint, by recognising the source and remembering the answer. On the next row of a *known* source that works. On a new source it does not: nobody is there to be recognised.
#
# So: **what will your next sample be?** A new pointing of a known source, or a new source? The split must imitate that.

# %% [markdown] tags=["slide"]
# ## Exercise 3.3 · Hold out whole sources  ·  core · 10 min · ●●○
#
# Deal out *sources* at random, each with the same chance, `share` of them (rounded up or down) into the second part. Return the positions of their rows.


# %%
def split_sources(source, share, generator):
    """Positions of training and of test rows; a random `share` of the sources is in the test rows."""
    # solution: np.unique lists each name once; shuffle the names, np.isin finds the rows of some
    names = generator.permutation(np.unique(source))
    held_out = np.isin(source, names[: round(share * len(names))])
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)
    # end solution


split_sources = check.split_sources(split_sources)

# %% [markdown]
# Next time, take them from scikit-learn, where sources are called *groups*:

# %%
generator = np.random.default_rng(33)
splits = {
    "split_rows": split_rows(len(table), 0.25, generator),
    "split_sources": split_sources(source, 0.25, generator),
    "GroupShuffleSplit": next(
        GroupShuffleSplit(1, test_size=0.25, random_state=1).split(table, groups=source)
    ),
    "StratifiedGroupKFold": next(StratifiedGroupKFold(4).split(table, object_label, groups=source)),
}
for name, (train, test) in splits.items():
    both, held_out = set(source[train]) & set(source[test]), len(set(source[test]))
    print(f"{name:21s} {len(test)} test rows, {held_out:2d} sources, {len(both):2d} on both sides")

# %% [markdown]
# `GroupShuffleSplit` is yours. `StratifiedGroupKFold` deals whole groups into folds and tries to give each the same mix of classes; we come back to it. Test rows are no longer a quarter of all: sources come in sizes.

# %% [markdown]
# ## Black hole or neutron star: two splits, two answers
#
# Same forest, same features, same archive. As a score we take the **balanced accuracy**: the mean over the classes of the share that is found. A coin gets one half, and so does whoever always says "neutron star". (Lesson 6 chooses a metric with more care.)


# %%
def score(features, label, train, test, seed):
    """Balanced accuracy on the test rows of a forest that learned from the training rows."""
    model = forest(seed).fit(features.iloc[train], label[train])
    return balanced_accuracy_score(label[test], model.predict(features.iloc[test]))


def compare(features, labels, group):
    """Scores with a quarter held out of the rows, or of the groups: one seed for each of `labels`."""
    scores = {"random rows": [], "held-out groups": []}
    for seed, label in enumerate(tqdm(labels, delay=20, leave=False)):
        rng = np.random.default_rng(seed)
        parts = split_rows(len(label), 0.25, rng), split_sources(group, 0.25, rng)
        for name, (train, test) in zip(scores, parts, strict=True):
            scores[name].append(score(features, label, train, test, seed))
    return pd.DataFrame(scores)


# %% tags=["nbval-ignore-output"]
true = compare(features, [object_label] * 8, source)

# %%
print(true.agg(["mean", "std"]).round(3).to_string())

# %% [markdown]
# Two things to read back. Random rows promise a better classifier than held-out sources: several per cent that exist only for sources we already know. And the *spread* over eight splits: among held-out sources it is several times larger. Keep that for later. First: is the gap really memory, or are test sources just unlucky? We need a control.

# %% [markdown]
# ## The control: labels without meaning
#
# Take the labels off the sources, shuffle them, and stick them back on: each *source* gets one label, at random. Now there is nothing true to be learned about black holes. An honest score must fall to chance.

# %% [markdown] tags=["slide"]
# ## Exercise 3.4 · Shuffle labels among whole sources  ·  core · 12 min · ●●○
#
# Every source gets the label of a randomly chosen source, perhaps its own, such that as many sources as before are black holes. Return the new label of each row.


# %%
def shuffle_labels(label, source, generator):
    """New labels (n_rows,): one for each source, the labels of whole sources having changed places."""
    # solution: one label for each name (np.unique has return_index), permute these, look up each row's
    names, first = np.unique(source, return_index=True)
    new = dict(zip(names, generator.permutation(label[first]), strict=True))
    return np.array([new[name] for name in source])
    # end solution


shuffle_labels = check.shuffle_labels(shuffle_labels)

# %% [markdown]
# A figure for both runs, with one point for each seed:


# %%
def draw_scores(ax, true, control):
    """Scores of both splits and their means: true labels left, shuffled labels right."""
    ticks = []
    for left, scores, filled in ((0, true, True), (2.4, control, False)):
        for place, name, colour, marker in ((left, *RANDOM), (left + 1, *HELD_OUT)):
            x = place + np.linspace(-0.2, 0.2, len(scores))
            face = colour if filled else "none"
            ax.plot(x, scores[name], marker, color=colour, markerfacecolor=face)
            ax.hlines(scores[name].mean(), place - 0.3, place + 0.3, color=colour)
            ticks.append((place, name.replace(" ", "\n")))
    ax.axhline(0.5, color="0.4", linestyle=":", label="chance")
    ax.set_xticks(*zip(*ticks, strict=True))
    ax.set(ylim=(0.25, 1.02), ylabel="balanced accuracy")
    ax.text(0.5, 0.29, "true labels", ha="center")
    ax.text(2.9, 0.29, "labels shuffled among groups", ha="center")
    ax.legend(loc="upper right")


RANDOM, HELD_OUT = ("random rows", "C0", "o"), ("held-out groups", "C1", "s")

# %% [markdown] tags=["slide"]
# ### Predict first
#
# With labels that mean nothing, what will be the balanced accuracy on *random rows*? Write down a number before you run on.

# %%
my_guess = ...  # a share between 0 and 1

# %% tags=["nbval-ignore-output"]
meaningless = [shuffle_labels(object_label, source, np.random.default_rng(s)) for s in range(8)]
control = compare(features, meaningless, source)


# %% tags=["slide"]
fig, ax = plt.subplots()
draw_scores(ax, true, control)
plotting.mark_guess(ax, my_guess, axis="y")
plotting.show(fig, "03_shuffled_labels")
print(control.agg(["mean", "std"]).round(3).to_string())

# %% [markdown]
# **Your prediction:** 0.77 on average.
#
# There is nothing to learn, and random rows still score far above chance. The forest recognises the sources and remembers their labels. Whatever a random split reports about this question, a part of it is memory.
#
# Held-out sources fall to about one half, as they must. The control costs one line and a run. Do it whenever your rows come in families; a score that survives meaningless labels is no score.

# %% [markdown]
# ### Does it matter for the state, too?

# %% tags=["nbval-ignore-output"]
state = compare(features, [state_label] * 5, source)

# %%
print(state.agg(["mean", "std"]).round(3).to_string())
for name, scores in (("state", state), ("object", true)):
    gap = scores["random rows"] - scores["held-out groups"]
    print(
        f"mean difference for the {name:6s} {gap.mean():.3f} ± {gap.std() / np.sqrt(len(gap)):.3f}"
    )

# %% [markdown]
# Probably less, by the argument more than by these few seeds. A source is a black hole all its life, but it walks through all the states: to recognise it tells little about where it is today. The leak is a matter of the *question*, not only of the data. (Four classes, one of them rare: a balanced accuracy of 0.7 is far above the chance of 0.25.)

# %% [markdown]
# ## The error bar of 48 sources
#
# Why does the honest score scatter so much? Hold out every source once, in five folds, and look at each one alone.

# %%
folds = StratifiedGroupKFold(5)
predicted = cross_val_predict(forest(1), features, object_label, groups=source, cv=folds)
per_source = (
    table.assign(right=predicted == object_label)
    .groupby("source_id")
    .agg(rows=("right", "size"), right=("right", "sum"), label=("object_label", "first"))
)
share = per_source.right / per_source.rows

fig, ax = plt.subplots()
for label, colour, marker in (("BH", "black", "o"), ("NS", "C1", "^")):
    own = per_source.label == label
    style = {"color": colour, "marker": marker, "markerfacecolor": "none", "linestyle": ""}
    ax.plot(per_source.rows[own], share[own], **style, label=f"{label} ({own.sum()})")
ax.set(xscale="log", ylim=(0.4, 1.03), xlabel="number of pointings of the source")
ax.set(ylabel="share of them named right")
ax.legend(loc="lower left")
plotting.show(fig, "03_share_right_by_source")

# %% [markdown]
# Errors come in families: most sources are mostly right, two are hardly better than a coin, and one of these has 700 pointings. So resample sources, not rows, by the bootstrap of lesson 02: draw 48 of the 48 with replacement, many times, and look at the spread.

# %%
rows, right = per_source.rows.to_numpy(), per_source.right.to_numpy()
accuracy = right.sum() / rows.sum()
drawn = np.random.default_rng(35).integers(len(rows), size=(2000, len(rows)))
by_source = np.std(right[drawn].sum(axis=1) / rows[drawn].sum(axis=1))
by_row = np.sqrt(accuracy * (1 - accuracy) / len(table))
wrong = np.sort(rows - right)[::-1]
print(f"share of right answers: {accuracy:.3f}")
one, five = wrong[0] / wrong.sum(), wrong[:5].sum() / wrong.sum()
print(f"of all errors, one source makes {one:.0%}, five make {five:.0%}")
print(f"standard error if all {len(table)} rows were independent: {by_row:.3f}")
print(f"standard error from resampling the {len(rows)} sources:   {by_source:.3f}")
print(f"independent rows that would give it: {accuracy * (1 - accuracy) / by_source**2:.0f}")

# %% [markdown]
# Six thousand pointings, and the score is worth fewer than a hundred independent ones. Random rows scatter little because each split asks the *same* sources; that small error bar belongs to a question that nobody had. Where sources are held out, published error bars are large: 87 ± 13 % for 61 sources of RXTE (Pattnaik et al. 2021, arXiv:2012.06934).

# %% [markdown] tags=["slide"]
# ## Exercise 3.5 · How many sources?  ·  core · 8 min · ●●○
#
# You plan a survey, and expect a share $p$ of right answers. Take the worst case: the sources are of equal size, and the rows of a source are all right or all wrong. How many test sources do you need at least, so that the standard error of the share is no larger than a wanted one?


# %%
def sources_needed(share, error):
    """Smallest whole number of test sources for a standard error of at most `error`."""
    # solution: what is the standard error of a share in n tosses of a coin? Solve for n, and round up
    return int(np.ceil(share * (1 - share) / error**2))
    # end solution


sources_needed = check.sources_needed(sources_needed)

# %%
for error in (0.1, 0.05, 0.02, 0.01):
    print(
        f"p = 0.9, error {error:.2f}: {sources_needed(0.9, error):4.0f} test sources;   "
        f"p = 0.7: {sources_needed(0.7, error):4.0f}"
    )
n_eff = rows.sum() ** 2 / np.sum(rows**2)  # lesson 02: equal sources that would be as uneven
worst = np.sqrt(accuracy * (1 - accuracy) / n_eff)
print(
    f"our 48 sources count like {n_eff:.0f}: worst case {worst:.3f}, from resampling {by_source:.3f}"
)

# %% [markdown]
# Few sources are *all* wrong, so that ours is about half of the worst case. For five per cent you need dozens of sources *in the test set alone*; for one per cent, hundreds to thousands. More pointings of the old ones do not help. In our field, sources are the number that hurts.

# %% [markdown]
# ## Overlapping segments
#
# The same sin, one box further in. Many light curves are cut into overlapping segments, "for more training data". `light_curves.npz` has 2000 of them: five from each pointing, each sharing half of its photons with the next. The simplest classifier there is, the **nearest neighbour**, gives a segment the state of the training segment whose power spectrum looks most alike.

# %%
curves = data.load_segments()
spectra = np.log10(curves.power)  # (2000 segments, 71 frequencies)
units = {
    "segments": np.arange(len(spectra)),
    "pointings": curves.obs_id,
    "sources": curves.source_id,
}
shares = {name: [] for name in units}
for seed in range(6):
    for name, unit in units.items():
        train, test = split_sources(unit, 0.2, np.random.default_rng(seed))
        nearest = KNeighborsClassifier(1).fit(spectra[train], curves.state_label[train])
        right = nearest.predict(spectra[test]) == curves.state_label[test]
        shares[name].append(right.mean())
shares = pd.DataFrame(shares)
print(shares.agg(["mean", "std"]).round(3).to_string())

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.2), width_ratios=(1.3, 1))
for number, start in enumerate(curves.start[:5]):
    test = number == 2
    style = {"facecolor": "C1", "hatch": "//"} if test else {"facecolor": "C0", "alpha": 0.5}
    left.barh(number, curves.length, left=start, height=0.7, edgecolor="black", **style)
    word = {"ha": "center", "va": "center", "bbox": {"color": "white", "pad": 1.5}}
    left.text(start + curves.length / 2, number, "test" if test else "train", **word)
left.axvspan(curves.start[2], curves.start[2] + curves.length, color="0.92", zorder=0)
left.set(xlabel="time in the pointing (s)", ylabel="segment", title="random segments: one pointing")
for place, (name, colour, marker) in enumerate(zip(shares, ("C0", "C2", "C1"), "o^s", strict=True)):
    right.plot(place + np.linspace(-0.2, 0.2, 6), shares[name], marker, color=colour)
    right.hlines(shares[name].mean(), place - 0.3, place + 0.3, color=colour)
right.set_xticks(range(3), [f"{name}\nheld out" for name in shares])
right.set(ylabel="share of states right", ylim=(0.6, 0.9))
plotting.show(fig, "03_overlapping_segments")

# %%
train, test = split_rows(len(spectra), 0.2, np.random.default_rng(0))
pointings = KNeighborsClassifier(1).fit(spectra[train], curves.obs_id[train])
same = np.mean(pointings.predict(spectra[test]) == curves.obs_id[test])
print(f"random segments: nearest neighbour of the same pointing in {same:.0%} of the cases")

# %% [markdown]
# With segments dealt at random, most photons of the test set have already been seen: the left half of a segment in one neighbour, its right half in the other. The score rises by several per cent, without a single new photon. Once whole pointings are held out, holding out sources as well changes little: the *state* leaks less through the source than the object does, again.

# %% [markdown]
# ## Past and future
#
# There is one more box, and it has no walls: time. A pipeline that you train today will meet *later* data. Look at the archive as it grew.

# %%
mjd = table.mjd.to_numpy()
first = table.groupby("source_id").mjd.min().sort_values().index
fig, ax = plt.subplots(figsize=(7.2, 4.2))
for label, colour, marker in (("BH", "black", "o"), ("NS", "C1", "^")):
    own = table[table.object_label == label]
    place = first.get_indexer(own.source_id)
    ax.plot(own.mjd, place, marker, color=colour, markersize=3, markerfacecolor="none", label=label)
ax.axvline(53000, color="0.4", linestyle="--", label="a cut")
ax.set(xlabel="modified Julian date (d)", ylabel="source, by its first pointing")
ax.legend(loc="upper left", markerscale=2)
plotting.show(fig, "03_dates")

# %% [markdown]
# A cut in time leaves known sources on both sides, in *new outbursts*, and some new sources: a mixture like that of real life. In between, detectors age, gains drift, and observers change their minds about what is worth a pointing. And the cut runs right through outbursts: yesterday's pointing is in the training set, today's in the test set. So leave a **gap**, longer than what you call an event.

# %% [markdown]
# ## Exercise 3.6 · A gap between past and future  ·  stretch · 5 min · ●○○
#
# Train on all rows earlier than `cut - gap`, test on the rows from `cut` on. The rows of the gap are used by nobody.


# %%
def split_time(mjd, cut, gap):
    """Positions of the rows before `cut - gap` and of those from `cut` on; all in days."""
    # solution: two comparisons of dates, and np.flatnonzero for the positions
    return np.flatnonzero(mjd < cut - gap), np.flatnonzero(mjd >= cut)
    # end solution


split_time = check.split_time(split_time)

# %%
for gap in (0, 100, 300):
    past, future = split_time(mjd, 53500, gap)
    shared = np.intersect1d(outburst[past], outburst[future])
    rows = np.isin(outburst[future], shared).sum()
    print(f"gap of {gap:3d} d: {len(shared)} outbursts on both sides, {rows} of the test rows")
lengths = table.groupby("outburst_id").mjd.agg(np.ptp)
print("days that the longest outbursts last:", *lengths.nlargest(6).round().astype(int))

# %% [markdown]
# A few outbursts refuse to end. Those of months are real here; those of years contain the misfiled pointings of lesson 02, and no gap will ever part them. Every split is also a look at the data. Now the scores, for five cuts:

# %% tags=["nbval-ignore-output"]
dates = []
for cut in tqdm((52000, 52500, 53000, 53500, 54000), delay=20, leave=False):
    past, future = split_time(mjd, cut, 300)
    new = ~np.isin(source[future], source[past])
    order = np.random.default_rng(cut).permutation(len(table))
    like_it = order[: len(past)], order[len(past) :]  # random rows, as many to train on
    dates.append(
        {
            "cut": cut,
            "past rows": len(past),
            "new sources": len(set(source[future][new])),
            "future": score(features, object_label, past, future, 0),
            "random rows": score(features, object_label, *like_it, 0),
        }
    )
dates = pd.DataFrame(dates).set_index("cut")
by_outburst = []
for seed in range(8):
    train, test = split_sources(outburst, 0.25, np.random.default_rng(seed))
    by_outburst.append(score(features, object_label, train, test, seed))

# %%
print(dates.round(3).to_string())
print(dates[["future", "random rows"]].agg(["mean", "std"]).round(3).to_string())
print(f"whole outbursts held out: {np.mean(by_outburst):.3f} ± {np.std(by_outburst, ddof=1):.3f}")

# %% [markdown]
# The future is harder than random rows promise, at every cut: a new outburst of an old friend is partly new, and some sources are wholly so. Holding out whole outbursts says the same, with a wide spread. (Within that spread it is no easier than whole new sources: what the forest remembers sits mostly in the outburst.) Use this split when the target is "what comes next", as for an alert system, and take a gap as long as the memory of your source. Do not use it to claim anything about sources that nobody has met.

# %% [markdown]
# ## Few sources, rare classes
#
# A random draw of sources can go wrong in another way: there are 16 black holes, four of them hold most of the rows, and SIMS are 6 % of the pointings. What lands in a test part of one fifth? Three ways to choose it:

# %%
labels = table.groupby("source_id").object_label.first()
kind = object_label + state_label  # eight classes: BHLHS, BHHIMS, ...
unbalanced = [GroupShuffleSplit(100, test_size=0.2, random_state=0)]
rows_balanced = [StratifiedGroupKFold(5)]  # places sources one by one: no chance, five folds
sources_balanced = [StratifiedKFold(5, shuffle=True, random_state=s) for s in range(20)]

ways = {
    "GroupShuffleSplit": [
        test for way in unbalanced for _, test in way.split(table, groups=source)
    ],
    "StratifiedGroupKFold": [
        test for way in rows_balanced for _, test in way.split(table, kind, groups=source)
    ],
    "StratifiedKFold of sources": [
        np.flatnonzero(np.isin(source, labels.index[test]))
        for way in sources_balanced
        for _, test in way.split(labels, labels)
    ],
}

# %%
black_hole, sims = object_label == "BH", state_label == "SIMS"
drawn = {}
for name, parts in ways.items():
    drawn[name] = pd.DataFrame(
        {
            "black holes": [len(set(source[p[black_hole[p]]])) for p in parts],
            "share of BH rows": [black_hole[p].mean() for p in parts],
            "BH with SIMS": [len(set(source[p[(black_hole & sims)[p]]])) for p in parts],
        }
    )
    few = (drawn[name]["BH with SIMS"] <= 1).sum()
    print(f"{name}: {few} of {len(parts)} parts have SIMS of at most one BH")

# %%
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.4), sharey=True)
for ax, name, edges in (
    (axes[0], "black holes", np.arange(-0.5, 9.5)),
    (axes[1], "share of BH rows", np.arange(0, 1.01, 0.1)),
):
    for number, (way, found) in enumerate(drawn.items()):
        counts, _ = np.histogram(found[name], edges)
        look = {"linestyle": ("-", "--", ":")[number], "linewidth": 1.8}
        plotting.steps(ax, edges, counts / len(found), label=way, **look)
axes[0].set(xlabel="black holes in the test part", ylabel="share of the test parts")
axes[1].set(xlabel="share of its rows that are of black holes")
axes[1].legend()
plotting.show(fig, "03_number_of_black_holes")

# %% [markdown]
# Random groups leave a part with a single black hole now and then; without any at all would be rare (here: never). **Stratification** deals the classes out evenly. But evenly in what? `StratifiedGroupKFold` has only one way to cut here: its five parts are all there are (lesson 08 shows why). It balances *rows*, and is content with one black hole of 700 pointings in a fold; stratifying the list of sources balances *sources*, and lets the rows fall as they may. With 16 black holes you cannot have both. Whatever you do, print the table of rows, sources and classes of each part, and look.

# %% [markdown]
# ## The split of this course
#
# `data.load_split()` uses `StratifiedGroupKFold(5)` on object × state: three folds to train, one to validate, one to test. The largest sources fill the first folds; we validate and test on the last two, with the most sources in them, because a score counts sources. Lessons 04 to 11 know no other rows.

# %%
train, validation = data.load_split()
parts = pd.concat({"train": train, "validation": validation}, names=["part"])
print(
    parts.groupby(["part", "object_label"])
    .agg(rows=("obs_id", "size"), sources=("source_id", "nunique"))
    .join(parts.groupby(["part", "object_label"]).state_label.value_counts().unstack())
    .to_string()
)
print("sources in both:", len(set(train.source_id) & set(validation.source_id)))

# %% [markdown]
# Print the table, look: 5 black holes to validate on. You know by now what a score on them is worth.
#
# And the test set? It is behind a door that opens once, in lesson 12, for someone who has written down which model will be judged, by what, and what the answer should be. Whoever only wants to have a look:

# %%
try:
    data.open_test_set(model="", metric="balanced accuracy", expected=0.9)
except ValueError as refusal:
    print("refused:", refusal)

# %%
try:
    data.open_test_set(model="a forest", metric="balanced accuracy", expected=...)
except ValueError as refusal:
    print("refused:", refusal)

# %% [markdown]
# The lock is a promise, not a safe: the rows lie in `data/`, and Python hides nothing. Why bother? Because most test sets are not opened by malice, but by "just a quick look".
#
# A confession. Lessons 02 and 03 have looked at *all* rows, labels included: to judge the quality of the archive, and to see what splitting does. The forests above have even trained on rows that are now locked away. What has it cost? Nothing that a model was chosen by: features and settings were fixed before we looked, and the forests are thrown away. But *we* have seen the pictures. In a project of your own, split first, and explore the training part.

# %% [markdown]
# ## With real data: the sky monitor of RXTE
#
# All this is simulated. Would a real archive behave the same? Gopalan, Vrtilek & Bornn (2015) collected intensities and two X-ray colours of 41 binaries from the All-Sky Monitor on RXTE. (Their own split is by system, as it should be.) They state no licence, so the course does not contain the files, and this cell reads them only if they are on your machine.

# %% tags=["nbval-ignore-output"]
try:
    asm = load_asm(fetch=False)
    print(f"{len(asm)} measurements of {asm.system.nunique()} systems")
except data.DataError:
    asm = None
    print("Not here. Call load_asm() once, online (4.2 MB), and run on from this cell.")

# %% [markdown]
# Look before you split. Class labels first: *Unclass* is no class, and neither is *Nonpulsar*, of which there is one system; both stay out. (Names and types are glued together in some files; `load_asm` has parted them.) Sizes differ by a factor of more than a thousand: a score per row would be the score of a few systems, so draw at most 200 rows from each. Some colours are negative, ratios of rates near zero; a forest can live with that. And `intensity` is scaled in each file so that its maximum lies between 1 and 2: it is no flux. Keep that in mind.

# %% tags=["nbval-ignore-output"]
KINDS = {"LMBH": "BH", "HMBH": "BH"} | dict.fromkeys(
    ("Pulsar", "Zsource", "Atoll", "Burster"), "NS"
)
if asm is not None:
    asm["kind"] = asm.type.map(KINDS)  # NaN for all others
    capped = asm.dropna(subset="kind").sample(frac=1, random_state=3).groupby("system").head(200)
    print(capped.groupby("kind").agg(rows=("kind", "size"), systems=("system", "nunique")))
    sizes = capped.groupby("system").size()
    print(f"rows per system: {sizes.min()} to {sizes.max()}")
    print("negative colours:", int((capped[["colour_1", "colour_2"]] < 0).sum().sum()))

# %% [markdown]
# The same experiment, the same functions, the same figure: random rows against held-out systems, and both with the labels shuffled among systems. Do you expect the leak to be larger or smaller than in our simulation?

# %% tags=["nbval-ignore-output"]
if asm is not None:
    measured = capped[["colour_1", "colour_2", "intensity"]]
    kind, system = capped.kind.to_numpy(), capped.system.to_numpy()
    shuffled = [shuffle_labels(kind, system, np.random.default_rng(s)) for s in range(8)]
    asm_true, asm_control = (compare(measured, y, system) for y in ([kind] * 8, shuffled))
    fig, ax = plt.subplots()
    draw_scores(ax, asm_true, asm_control)
    plotting.show(fig, "03_asm_shuffled_labels")
    print(
        pd.concat({"true": asm_true, "shuffled": asm_control}, axis=1)
        .agg(["mean", "std"])
        .round(3)
        .T
    )

# %% [markdown]
# In these data, too, meaningless labels are "predicted" far above chance on random rows, and at chance, with a very wide spread, on held-out systems. Real archives leak.
#
# Now the intensity, that is no flux. Which of the two splits likes it?

# %% tags=["nbval-ignore-output"]
if asm is not None:
    colours_alone = compare(measured[["colour_1", "colour_2"]], [kind] * 8, system)
    gained = asm_true - colours_alone
    print("gained by adding the intensity:")
    print(gained.agg(["mean", "std"]).round(3).to_string())

# %% [markdown]
# On random rows the intensity is a find: several per cent better. On held-out systems it gives nothing that stands out of the spread. A number that was scaled for each system by itself can say little about black holes, but it is part of the handwriting. **A feature that helps on random rows alone is a name tag.** With the wrong split you would have published it as physics.

# %% [markdown] tags=["slide"]
# ## Exercise 3.7 · Which split does the question need?  ·  core · 8 min · ●●○
#
# What will the next sample be? Sort six plans. Hold out `"rows"` (at random), whole `"pointings"`, whole `"sources"`, or separate `"past and future"`.

# %%
# solution: ask for each plan what the target has in common with the training rows, and imitate that
right_split = {
    "is the transient that was discovered last night a black hole?": "sources",
    "a state for the 5 % of the archive's rows that its readers skipped, at random": "rows",
    "spectra of 16 s, many from each pointing: the state in a pointing that is not in the table": "pointings",
    "next year's pointings of the sources we monitor, while the detector ages": "past and future",
    "a catalogue of unclassified sources, some with 3 pointings, some with 300": "sources",
    "does the rule for black holes hold in a globular cluster where nobody has looked?": "sources",
}
# end solution

right_split = check.right_split(right_split)

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write three sentences): which split does your last paper need? What is your "source" there: a star, a field, a night, a simulation run, an annotator? How many do you have, and what is the error bar of your score?

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Train learns, validation chooses, test tells the truth once. The best of many useless models looks good to whoever chose it.
# - A split imitates the next sample. Rows of one source resemble each other, so that random rows measure how well we recognise old friends.
# - The control: shuffle labels among whole sources. What remains above chance is memory.
# - A score of 48 sources has the error bar of 48 sources, however many rows they bring.
# - Overlapping segments, outbursts, dates: look for what two rows share, and keep it on one side.
# - Few sources and rare classes: stratify, then print rows, sources and classes of every part.
# - The test set is locked until lesson 12.

# %% [markdown]
# **Further reading.** scikit-learn user guide, [*Cross-validation: evaluating estimator performance*](https://scikit-learn.org/stable/modules/cross_validation.html) (all splitters, with pictures) · D. Huppenkothen, M. Ntampaka et al., *Constructing impactful machine learning research for astronomy* ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528): what referees should ask) · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023: validation, patiently, with exercises) · J. Buchner & S. Fotopoulou ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222): how to set up a project) · G. Gopalan, S. Vrtilek & L. Bornn ([arXiv:1507.03538](https://arxiv.org/abs/1507.03538): the ASM data, split by system).
