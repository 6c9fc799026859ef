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
import seaborn as sns
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold, cross_val_predict
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
# To choose is to learn, too. If you pick the best of many models, you have fitted the validation set. Watch this with models that know nothing at all.

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
# **Predict first.** The validation set of this course will hold 13 sources. Toss 100 coins for each of the 13: is it a black hole or not? Keep the best of these 100 "models". What is its score on validation?

# %%
my_guess_best = ...  # a share between 0 and 1

# %%
generator = np.random.default_rng(31)
chosen = []
for n_answers in (13, 1000):
    for n_models in (1, 3, 10, 30, 100):
        for _ in range(200):
            coins = generator.random((2, n_models, n_answers)) < 0.5
            chosen.append((n_answers, n_models, *best_of_many(*coins)))
chosen = pd.DataFrame(chosen, columns=["answers", "models", "validation", "test"])
chosen.groupby(["answers", "models"]).agg(["mean", "std"]).round(3)

# %% tags=["slide"]
long = chosen.melt(["answers", "models"], var_name="part", value_name="score")
long["judged by"] = long.answers.astype(str) + " answers, " + long.part
fig, ax = plt.subplots(figsize=(8, 4))
look = {"hue": "judged by", "style": "judged by", "markers": True, "errorbar": ("pi", 68)}
sns.lineplot(long, x="models", y="score", ax=ax, **look)
ax.set(xscale="log", xlabel="number of useless models to choose from", ylim=(0.3, 1))
ax.xaxis.set_major_formatter("{x:g}")
ax.set(ylabel="score of the chosen one")
plotting.mark_guess(ax, my_guess_best, axis="y")
plotting.show(fig, "03_best_of_many")

# %% [markdown]
# **The answer:** 0.835 on average. (Bands hold two thirds of 200 repetitions.)
#
# Nothing was ever learned, and still the best of a hundred names more than 80 % of 13 sources right. This is **selection optimism**. It grows with the number of things you try, and shrinks with the number of *independent* answers by which you judge. Only rows that took no part in the choice are honest, and only the first time. Look, change something, look again: now the test set is one more validation set.

# %% [markdown] tags=["slide"]
# ## What is a sample?
#
# "Independent" is the word that matters. Our archive consists of boxes within boxes: segments of a light curve in a pointing, pointings in an outburst, outbursts in a source. A row is a pointing. Are 6000 pointings 6000 independent answers?

# %%
table = data.load_observations("rxte")
source = table.source_id.to_numpy()
outburst = table.outburst_id.to_numpy()
object_label = table.object_label.to_numpy()
state_label = table.state_label.to_numpy()
columns = ["hr_soft", "hr_hard", "gamma", "kt_in", "disc_frac", "rms_0p1_64", "rms_2_16", "hue"]
features = table[columns]
table.groupby("object_label")[["obs_id", "outburst_id", "source_id"]].nunique()

# %%
rows_per_source = table.source_id.value_counts()
rows_per_source.describe()[["min", "50%", "max"]].astype(int).to_frame("rows per source")

# %% tags=["slide"]
named = table.assign(source=table.source_id + " " + table.object_label)
soft = named.query("state_label == 'HSS' and source_id in ['S49', 'S20', 'S26', 'S13']")
qpo = named.query("qpo_det and source_id in ['S02', 'S45', 'S52', 'S13']")

fig, (left, right) = plt.subplots(1, 2, figsize=(9, 4.2))
of_source = {"hue": "source", "style": "source", "markers": ["o", "s", "D", "^"], "s": 24}
sns.scatterplot(soft, x="hr_soft", y="hr_hard", ax=left, **of_source)
order = ["S13 BH", "S02 BH", "S45 BH", "S52 BH"]  # S13 looks as on the left
of_source |= {"hue_order": order, "style_order": order}
sns.scatterplot(qpo, x="qpo_freq", y="gamma", ax=right, **of_source)
left.set(xscale="log", ylim=(0.1, 1.4), title="high/soft state (HSS)")
left.set(xlabel="colour 6–10 / 3–6 keV (Crab)", ylabel="colour 10–20 / 6–10 keV (Crab)")
right.set(xscale="log", xlabel="QPO frequency (Hz)", ylabel="photon index Γ")
left.xaxis.set_major_formatter("{x:g}")
right.xaxis.set_major_formatter("{x:g}")
plotting.show(fig, "03_sources_apart")

# %% [markdown]
# They are not. Every source has its own mass, inclination, absorption and habits, and so its own handwriting: a streak in the colours, a track in Γ and frequency (after Shaposhnikov & Titarchuk 2009). Rows of one source resemble each other more than they resemble their class. How well can a machine read the handwriting? We need a split to find out.

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
# The model of this lesson is a **random forest**: many decision trees, each of which has seen a part of the training rows. Later lessons take models seriously. This one is flexible, and it takes missing values as they are.
#
# Its first task is a silly one: *which of the 48 sources is this?* The eight features contain neither position, flux nor date.


# %%
def forest(seed):
    """The model of this lesson."""
    return RandomForestClassifier(30, min_samples_leaf=5, random_state=seed)


right_names = []
for seed in range(5):
    inside, outside = split_rows(len(table), 0.25, np.random.default_rng(seed))
    model = forest(seed).fit(features.iloc[inside], source[inside])
    right_names.append(model.score(features.iloc[outside], source[outside]))
right_names = pd.Series(right_names)
print(f"source named right: {right_names.mean():.1%} ± {right_names.std():.1%} of the test rows")
print(f"always the most frequent source: {rows_per_source.iloc[0] / len(table):.1%}")

# %% [markdown]
# It recognises most pointings, one source out of 48. So a model can "predict" whatever is constant in a source: it recognises the source and remembers the answer. For the next row of a *known* source that works. For a new source it does not, because there is nobody to recognise.
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
# Next time take them from scikit-learn, where sources are called *groups*:

# %%
generator_of_splits = np.random.default_rng(33)
grouped, stratified = GroupShuffleSplit(1, test_size=0.25, random_state=1), StratifiedGroupKFold(4)
splits = {
    "split_rows": split_rows(len(table), 0.25, generator_of_splits),
    "split_sources": split_sources(source, 0.25, generator_of_splits),
    "GroupShuffleSplit": next(grouped.split(table, groups=source)),
    "StratifiedGroupKFold": next(stratified.split(table, object_label, groups=source)),
}
counts = {
    name: (len(outside), len({*source[outside]}), len({*source[inside]} & {*source[outside]}))
    for name, (inside, outside) in splits.items()
}
pd.DataFrame(counts, index=["test rows", "test sources", "sources on both sides"]).T

# %% [markdown]
# `GroupShuffleSplit` does what your function does. `StratifiedGroupKFold` deals whole groups into folds and tries to give each fold the same mix of classes; we come back to it. The test rows are no longer exactly a quarter, because sources differ in size.

# %% [markdown]
# ## Black hole or neutron star: two splits, two answers
#
# Same forest, same features, same archive. The score is the **balanced accuracy**: the mean over the classes of the share that is found. A coin gets one half, and so does a model that always says "neutron star". (Lesson 6 chooses a metric with more care.)


# %%
def score(features, label, train, test, seed):
    """Balanced accuracy on the test rows of a forest that learned from the training rows."""
    model = forest(seed).fit(features.iloc[train], label[train])
    return balanced_accuracy_score(label[test], model.predict(features.iloc[test]))


def compare(features, labels, group):
    """Scores with a quarter held out of the rows, or of the groups: one seed for each of `labels`."""
    scores = []
    for seed, label in enumerate(tqdm(labels, leave=False)):
        rng = np.random.default_rng(seed)
        parts = split_rows(len(label), 0.25, rng), split_sources(group, 0.25, rng)
        scores.append([score(features, label, *part, seed) for part in parts])
    return pd.DataFrame(scores, columns=["random rows", "held-out groups"])


# %% tags=["nbval-ignore-output"]
true = compare(features, [object_label] * 8, source)


# %%
def summary(scores):
    """Mean, standard deviation and standard error of the scores and of their difference."""
    difference = scores["random rows"] - scores["held-out groups"]
    return scores.assign(difference=difference).agg(["mean", "std", "sem"]).round(3)


summary(true)

# %% [markdown]
# Read two things. Random rows promise a better classifier than held-out sources: five per cent that exist only for sources we already know. And the *spread* over eight splits is several times larger among held-out sources. But is the gap memory, or were the test sources just unlucky? We need a control.

# %% [markdown]
# ## The control: labels without meaning
#
# Take the labels off the sources, shuffle them, and put them back: each *source* gets one label, at random. Now there is nothing true to learn about black holes. An honest score must fall to chance.

# %% [markdown] tags=["slide"]
# ## Exercise 3.4 · Shuffle labels among whole sources  ·  core · 12 min · ●●○
#
# Every source gets the label of a randomly chosen source, perhaps its own, such that as many sources as before are black holes. Return the new label of each row.


# %%
def shuffle_labels(label, source, generator):
    """New labels (n_rows,), one for each source: whole sources have exchanged their labels."""
    # solution: one label for each name (np.unique has return_index), permute these, look up each row's
    names, first = np.unique(source, return_index=True)
    new = dict(zip(names, generator.permutation(label[first]), strict=True))
    return np.array([new[name] for name in source])
    # end solution


shuffle_labels = check.shuffle_labels(shuffle_labels)

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
fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True)
runs = {"true labels": true, "labels shuffled among sources": control}
for ax, (name, scores) in zip(axes, runs.items(), strict=True):
    sns.stripplot(scores, ax=ax, size=8, palette=["C0", "C1"])
    ax.axhline(0.5, color="0.4", linestyle=":")  # chance
    ax.set(ylim=(0.25, 1.02), ylabel="balanced accuracy", title=name)
plotting.mark_guess(axes[1], my_guess, axis="y")
plotting.show(fig, "03_shuffled_labels")
summary(control)

# %% [markdown]
# **The answer:** 0.77 on average.
#
# There is nothing to learn, and random rows still score far above chance. The forest recognises the sources and remembers their labels. Held-out sources fall to about one half, as they must.
#
# The control costs one line and a run. Do it whenever your rows come in families. A score that survives meaningless labels is no score.

# %% [markdown]
# ### Does it matter for the state, too?

# %% tags=["nbval-ignore-output"]
state = compare(features, [state_label] * 5, source)

# %%
summary(state)

# %% [markdown]
# Probably less: the mean differences have their standard errors (`sem`) below them. A source is a black hole all its life, but it goes through all the states: if you recognise it, you know little about its state today. The leak depends on the *question*, not only on the data.

# %% [markdown]
# ## The error bar of 48 sources
#
# Why does the honest score scatter so much? Hold out every source once, in five folds, and look at each one alone.

# %%
folds = StratifiedGroupKFold(5)
predicted = cross_val_predict(forest(1), features, object_label, groups=source, cv=folds)
results = table.assign(is_right=predicted == object_label).groupby("source_id")
per_source = results.agg(rows=("is_right", "size"), right=("is_right", "sum"))
per_source["object"] = results.object_label.first()
per_source["share"] = per_source.right / per_source.rows

fig, ax = plt.subplots(figsize=(8, 4))
look_of_object = {"hue": "object", "palette": {"BH": "black", "NS": "C1"}}
look_of_object |= {"style": "object", "markers": {"BH": "o", "NS": "^"}}
sns.scatterplot(per_source, x="rows", y="share", s=50, ax=ax, **look_of_object)
ax.set(xscale="log", ylim=(0.4, 1.03), xlabel="number of pointings of the source")
ax.set(ylabel="share of them named right")
ax.legend(loc="lower left")
ax.xaxis.set_major_formatter("{x:g}")
plotting.show(fig, "03_share_right_by_source")

# %% [markdown]
# Errors come in families: most sources are mostly right, two are hardly better than a coin, and one of these has 700 pointings. So resample sources, not rows, by the bootstrap of lesson 02: draw 48 of the 48 with replacement, many times, and look at the spread.

# %%
accuracy = per_source.right.sum() / len(table)
wrong = (per_source.rows - per_source.right).sort_values(ascending=False)
drawn = np.random.default_rng(35).integers(48, size=(2000, 48))
right_and_all = per_source[["right", "rows"]].to_numpy()[drawn].sum(axis=1)
by_source = np.std(right_and_all[:, 0] / right_and_all[:, 1])
by_row = np.sqrt(accuracy * (1 - accuracy) / len(table))
found = {
    "share of right answers": accuracy,
    "share of all errors in one source": wrong.iloc[0] / wrong.sum(),
    "share of all errors in five sources": wrong.iloc[:5].sum() / wrong.sum(),
    "standard error if all rows were independent": by_row,
    "standard error from resampling the sources": by_source,
    "independent rows that would give it": accuracy * (1 - accuracy) / by_source**2,
}
pd.Series(found, name="all 48 sources").map("{:.2g}".format).to_frame()

# %% [markdown]
# A score on six thousand pointings is worth fewer than a hundred independent ones. Random rows scatter little because each split asks the *same* sources; that small error bar belongs to a question that nobody asked. Where sources are held out, published error bars are large: 87 ± 13 % for 61 sources of RXTE (Pattnaik et al. 2021, arXiv:2012.06934).

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
errors = pd.Index([0.1, 0.05, 0.02, 0.01], name="error")
needed = {f"p = {p}": [sources_needed(p, error) for error in errors] for p in (0.9, 0.7)}
pd.DataFrame(needed, errors).astype(int)

# %%
n_effective = per_source.rows.sum() ** 2 / (per_source.rows**2).sum()  # lesson 02
worst_case = np.sqrt(accuracy * (1 - accuracy) / n_effective)
print(f"our 48 sources count like {n_effective:.0f} equal ones")
print(f"standard error: worst case {worst_case:.3f}, from resampling {by_source:.3f}")

# %% [markdown]
# Few sources are *all* wrong, so that our error is about half of the worst case. For an error of five per cent you need dozens of sources *in the test set alone*, for one per cent hundreds to thousands. More pointings of the old sources do not help.

# %% [markdown]
# ## Overlapping segments
#
# This is the same mistake, one box further in. Many light curves are cut into overlapping segments, "for more training data". `light_curves.npz` has 2000 segments: five from each pointing, each sharing half of its photons with the next. The simplest classifier is the **nearest neighbour**: a segment gets the state of the training segment whose power spectrum is most alike.

# %%
curves = data.load_segments()
spectra = np.log10(curves.power)  # (2000 segments, 71 frequencies)
units = {"segments": np.arange(2000), "pointings": curves.obs_id, "sources": curves.source_id}
nearest = KNeighborsClassifier(1)
shares = pd.DataFrame(index=range(6), columns=list(units), dtype=float)
for seed in range(6):
    for name, unit in units.items():
        inside, outside = split_sources(unit, 0.2, np.random.default_rng(seed))
        nearest.fit(spectra[inside], curves.state_label[inside])
        shares.loc[seed, name] = nearest.score(spectra[outside], curves.state_label[outside])
shares.agg(["mean", "std"]).round(3)

# %%
fig, ax = plt.subplots(figsize=(7.2, 3.6))
sns.stripplot(shares, ax=ax, size=8, palette=["C0", "C2", "C1"])
ax.set(xlabel="what was held out", ylabel="share of states named right")
plotting.show(fig, "03_overlapping_segments")

# %%
inside, outside = split_rows(len(spectra), 0.2, np.random.default_rng(0))
nearest.fit(spectra[inside], curves.obs_id[inside])
same = nearest.score(spectra[outside], curves.obs_id[outside])
print(f"random segments: nearest neighbour of the same pointing in {same:.0%} of the cases")

# %% [markdown]
# If segments are dealt at random, most photons of the test set have already been seen: the left half of a segment in one neighbour, its right half in the other. The score rises by eleven per cent without a new photon. Once whole pointings are held out, holding out sources as well changes little: the *state* leaks less through the source than the object does, again.

# %% [markdown]
# ## Past and future
#
# There is one more box, and it has no walls: time. A pipeline that you train today will meet *later* data. Look at the archive as it grew.

# %%
first = table.groupby("source_id").mjd.min().rank(method="first")
grown = table.assign(order=table.source_id.map(first), object=table.object_label)
fig, ax = plt.subplots(figsize=(8, 4.4))
sns.scatterplot(grown, x="mjd", y="order", s=14, linewidth=0, ax=ax, **look_of_object)
ax.axvline(53000, color="0.4", linestyle="--", label="a cut")
ax.set(xlabel="modified Julian date (d)", ylabel="source, by its first pointing")
ax.legend()
plotting.show(fig, "03_dates")

# %% [markdown]
# A cut in time leaves known sources on both sides, in *new outbursts*, and some new sources: a mixture like that of real life. In between, detectors age, gains drift, and observers change their minds. And the cut goes right through outbursts: yesterday's pointing is in the training set, today's in the test set. So leave a **gap** that is longer than what you call an event.

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
mjd, gaps = table.mjd.to_numpy(), {}
for gap in (0, 100, 300):
    past, future = split_time(mjd, 53500, gap)
    shared = np.intersect1d(outburst[past], outburst[future])
    gaps[gap] = len(shared), np.isin(outburst[future], shared).sum()
gaps = pd.DataFrame(gaps, index=["outbursts on both sides", "test rows in them"]).T
gaps.rename_axis("gap (d)")

# %%
lengths = table.groupby("outburst_id").mjd.agg(np.ptp)
lengths.nlargest(6).round().astype(int).to_frame("length (d)")

# %% [markdown]
# A few outbursts refuse to end. Those of months are real here. Those of years contain the misfiled pointings of lesson 02, and no gap will ever part them. Every split is also a look at the data. Now the scores, for five cuts:

# %% tags=["nbval-ignore-output"]
dates = {}
for cut in tqdm((52000, 52500, 53000, 53500, 54000), leave=False):
    past, future = split_time(mjd, cut, 300)
    shuffled = np.random.default_rng(cut).permutation(len(table))
    like_it = shuffled[: len(past)], shuffled[len(past) :]  # random rows, as many to train on
    dates[cut] = {
        "past rows": len(past),
        "new sources": len({*source[future]} - {*source[past]}),
        "future": score(features, object_label, past, future, 0),
        "random rows": score(features, object_label, *like_it, 0),
    }
dates = pd.DataFrame.from_dict(dates, orient="index").rename_axis("cut (MJD)")

# %%
dates.round(3)

# %% tags=["nbval-ignore-output"]
by_outburst = []
for seed in tqdm(range(8), leave=False):
    inside, outside = split_sources(outburst, 0.25, np.random.default_rng(seed))
    by_outburst.append(score(features, object_label, inside, outside, seed))

# %%
held_out = true.rename(columns={"held-out groups": "whole sources"})
held_out.assign(**{"whole outbursts": by_outburst}).agg(["mean", "std"]).round(3)

# %% [markdown]
# The future is harder than random rows promise, at every cut: a new outburst of a known source is partly new, and some sources are wholly new. Whole outbursts held out say the same, with a wide spread. (Within that spread they are no easier than whole new sources: what the forest remembers is mostly in the outburst.) Use this split when the target is "what comes next", as for an alert system. Do not use it to claim anything about sources that nobody has met.

# %% [markdown]
# ## Few sources, rare classes
#
# A random draw of sources can fail in another way: we have 16 black holes of very different sizes. What is in a test part of one fifth? Here are three ways to choose it.

# %%
kind = object_label + state_label  # eight classes: BHLHS, BHHIMS, ...
unbalanced = GroupShuffleSplit(100, test_size=0.2, random_state=0)
rows_balanced = StratifiedGroupKFold(5)  # places sources one by one: no chance, five folds
sources_balanced = [data.deal_sources(source, object_label, 5, seed) for seed in range(20)]
ways = {
    "GroupShuffleSplit": list(unbalanced.split(table, groups=source)),
    "StratifiedGroupKFold": list(rows_balanced.split(table, kind, groups=source)),
    "sources stratified": [pair for deal in sources_balanced for pair in deal],
}

# %%
in_parts = []
for way, pairs in ways.items():
    for _, outside in pairs:
        holes = outside[object_label[outside] == "BH"]
        in_parts.append((way, len({*source[holes]}), len(holes) / len(outside)))
in_parts = pd.DataFrame(in_parts, columns=["way", "black holes", "share of BH rows"])
in_parts.groupby("way").agg(["min", "max", "std"]).round(2)

# %% [markdown]
# Random groups leave a part with a single black hole now and then. **Stratification** deals the classes out evenly. But evenly in what? `StratifiedGroupKFold` balances *rows*, and is content with one large black hole in a fold. (It has only one way to cut here: its five parts are all there are. Lesson 08 shows why.) Stratifying the list of sources balances *sources*, and lets the rows fall as they may. With 16 black holes you cannot have both. Whatever you do, print the table of rows, sources and classes of each part, and look.

# %% [markdown]
# ## The split of this course
#
# `data.load_split()` uses `StratifiedGroupKFold(5)` on object × state: three folds to train, one to validate, one to test. The largest sources fill the first folds. We validate and test on the last two, with the most sources in them, because a score counts sources. Lessons 04 to 11 use the rows of training and validation, and no others.

# %%
train, validation = data.load_split()
parts = pd.concat({"train": train, "validation": validation}, names=["part"])
parts = parts.groupby(["part", "object_label"])
sizes = parts.agg(rows=("obs_id", "size"), sources=("source_id", "nunique"))
sizes.join(parts.state_label.value_counts().unstack())

# %% [markdown]
# Print the table, look: 5 black holes to validate on. You know by now what a score on them is worth.
#
# The test set is behind a door that opens once, in lesson 12, for someone who has written down which model will be judged, by what, and what the answer should be. If you only want to have a look:

# %%
try:
    data.open_test_set(model="a forest", metric="balanced accuracy", expected=...)
except ValueError as refusal:
    print("refused:", refusal)

# %% [markdown]
# The lock is a promise, not a safe: the rows are in `data/`, and Python hides nothing. Why bother? Because most test sets are not opened by malice, but by "just a quick look".
#
# A confession. Lessons 02 and 03 have looked at *all* rows, labels included: to judge the quality of the archive, and to see what splitting does. The forests above have even trained on rows that are now locked away. What has it cost? No model was chosen by it: features and settings were fixed before we looked, and the forests are thrown away. But *we* have seen the pictures. In a project of your own, split first, and explore the training part.

# %% [markdown]
# ## With real data: the sky monitor of RXTE
#
# All this is simulated. Would a real archive behave the same? Gopalan, Vrtilek & Bornn (2015) collected intensities and two X-ray colours of 41 binaries from the All-Sky Monitor (ASM) of RXTE. (Their own split is by system, as it should be.) They state no licence, so the course does not contain the files. The next cells use them if they are on your machine. If not, they show the numbers that *we* found.

# %% tags=["nbval-ignore-output"]
try:
    asm = load_asm(fetch=False)
except data.DataError:
    asm = None
    print("Not here. Call load_asm() once, online (4.2 MB), and run on from this cell.")

# %% tags=["nbval-ignore-output"]
black_holes, neutron_stars = ["LMBH", "HMBH"], ["Pulsar", "Zsource", "Atoll", "Burster"]
contents = {"BH systems": 10, "NS systems": 25, "rows of the smallest system": 3}  # ours
contents |= {"rows of the largest system": 4888, "negative colours": 41}
if asm is not None:
    kind_of = dict.fromkeys(black_holes, "BH") | dict.fromkeys(neutron_stars, "NS")
    labelled = asm.assign(kind=asm.type.map(kind_of)).dropna(subset="kind")
    capped = labelled.sample(frac=1, random_state=3).groupby("system").head(200)
    n_systems = capped.groupby("kind").system.nunique()
    n_rows = labelled.groupby("system").size()
    n_negative = (capped[["colour_1", "colour_2"]] < 0).sum().sum()
    here = [*n_systems, n_rows.min(), n_rows.max(), n_negative]
    contents = dict(zip(contents, here, strict=True))
pd.Series(contents, name="ASM data").to_frame()

# %% [markdown]
# Look before you split. Class labels first: *Unclass* is no class, and neither is *Nonpulsar*, of which there is one system; both stay out. Sizes differ by a factor of more than a thousand. A score per row would be the score of a few systems, so we draw at most 200 rows from each. Some colours are negative: ratios of rates near zero. A forest can live with that. And `intensity` is scaled in each file so that its maximum lies between 1 and 2: it is no flux. Remember that.
#
# Now the same experiment with the same functions: random rows against held-out systems, with true labels and with labels shuffled among systems. The last run leaves the intensity out. Do you expect the leak to be larger or smaller than in our simulation?

# %% tags=["nbval-ignore-output"]
if asm is not None:
    measured = capped[["colour_1", "colour_2", "intensity"]]
    system, kinds = capped.system.to_numpy(), [capped.kind.to_numpy()] * 8
    mixed = [shuffle_labels(kinds[0], system, np.random.default_rng(seed)) for seed in range(8)]
    asm_true = compare(measured, kinds, system)
    asm_control = compare(measured, mixed, system)
    alone = compare(measured[["colour_1", "colour_2"]], kinds, system)

# %% tags=["nbval-ignore-output"]
runs_of_asm = ["true labels", "shuffled labels", "colours alone", "gained by the intensity"]
cases = pd.MultiIndex.from_product([runs_of_asm, ["random rows", "held-out groups"]])
means = [0.894, 0.743, 0.730, 0.529, 0.848, 0.736, 0.047, 0.007]  # ours, of eight seeds
stds = [0.010, 0.096, 0.039, 0.090, 0.010, 0.103, 0.007, 0.014]
asm_scores = pd.DataFrame({"mean": means, "std": stds}, cases)
if asm is not None:
    scores_here = [asm_true, asm_control, alone, asm_true - alone]
    asm_scores = pd.concat(scores_here, axis=1, keys=runs_of_asm).agg(["mean", "std"]).T.round(3)
asm_scores

# %% [markdown]
# In these data, too, meaningless labels are "predicted" far above chance on random rows. On held-out systems they are at chance, with a very wide spread. Real archives leak.
#
# On random rows the intensity is a find: nearly five per cent better. On held-out systems its gain is smaller than the spread. A number that was scaled for each system by itself can say little about black holes, but it is part of the handwriting. **A feature that helps on random rows alone is a name tag.** With the wrong split you would have published it as physics.

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
# - A split imitates the next sample. Random rows measure how well we recognise known sources.
# - The control: shuffle labels among whole sources. What remains above chance is memory.
# - A score of 48 sources has the error bar of 48 sources, however many rows they bring.
# - Overlapping segments, outbursts, dates: look for what two rows share, and keep it on one side.
# - Few sources and rare classes: stratify, then print rows, sources and classes of every part.
# - The test set is locked until lesson 12.

# %% [markdown]
# **Further reading.** scikit-learn user guide, [*Cross-validation: evaluating estimator performance*](https://scikit-learn.org/stable/modules/cross_validation.html) (all splitters, with pictures) · D. Huppenkothen, M. Ntampaka et al., *Constructing impactful machine learning research for astronomy* ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528): what referees should ask) · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023: validation, patiently, with exercises) · J. Buchner & S. Fotopoulou ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222): how to set up a project) · G. Gopalan, S. Vrtilek & L. Bornn ([arXiv:1507.03538](https://arxiv.org/abs/1507.03538): the ASM data, split by system).
