# %% [markdown]
# # 8 · Exploring the results
#
# | **The question** | Our first model has a score. Do we believe it, and where does the model fail? |
# |---|---|
# | **Afterwards you can** | cross-validate by source and say what each spread means; tell the mistakes of a model from the mistakes of its labels, and calibrated confidence from false confidence; compare with a published recipe on equal rows, paired by source |
# | **Time** | 40 min of reading or teaching, 71 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, 24 + 13 sources, see `data/README.md` |
# | **Run time** | below 60 s on two cores |
#
# The section *Residuals* is marked *for home*: about 4 of the minutes. No later section needs it.

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from scipy import stats
from sklearn import metrics, model_selection
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from tqdm.auto import tqdm

from course.checks import lesson_08 as check
from helpers import data, features, plotting
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()

# %% [markdown] tags=["slide"]
# ## A score by itself is a rumour
#
# Lesson 7 left us a model: features, scaler, logistic regression. One number says how good it is. We do to that number what a referee would do. How was it measured? What is its error? Whom does it average over? What would an astronomer with a ruler have got?

# %%
train, validation = data.load_split()
states = list(features.HUES)  # low/hard, hard- and soft-intermediate, high/soft: in their order
labels = train.state_label.to_numpy(str)
sources = train.source_id.to_numpy(str)
model = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000))
train.state_label.value_counts()[states].to_frame("pointings").T

# %% [markdown]
# ## Every row gets its turn
#
# One validation set uses a part of the data to learn and another part to judge. **K-fold cross-validation** uses all rows for both: cut the rows into $k$ folds, train on $k - 1$ of them, and predict the one that is left out. Do so for each fold. In the end every row has been predicted once, *out of fold*, by a model that never saw it.

# %% [markdown] tags=["slide"]
# ## Exercise 8.1 · k folds by hand  ·  core · 10 min · ●●○
#
# Give each of $n$ rows the number of its fold, $0$ to $k-1$: at random, each row in exactly one fold, and the sizes of the folds differ by one at most.


# %%
def folds(n, k, generator):
    """The number of its fold for each of n rows, shuffled by `generator` (n,)."""
    # solution: think of a pack of cards and k players; `generator.permutation` shuffles an array
    return generator.permutation(np.arange(n) % k)
    # end solution


folds = check.folds(folds)

# %% [markdown] tags=["slide"]
# ## Exercise 8.2 · Nobody sits on both sides  ·  core · 8 min · ●●○
#
# You know from lesson 3 what is wrong with that. Now deal whole sources, at random by `generator`: all rows of a source in one fold, and the numbers of *sources* in the folds differ by one at most.


# %%
def group_folds(groups, k, generator):
    """The number of its fold for each row, where groups (n,) names the source of each."""
    # solution: deal sources with `folds`; np.unique(..., return_inverse=True) says which row is whose
    names, which = np.unique(groups, return_inverse=True)
    return folds(len(names), k, generator)[which]
    # end solution


group_folds = check.group_folds(group_folds)

# %% [markdown]
# The rest is a loop. Write it once in your life; scikit-learn's does the same:

# %%
fold = np.asarray(group_folds(sources, 5, np.random.default_rng(8)))
by_hand = np.empty(len(labels), dtype="U4")
for k in range(5):
    held = fold == k
    by_hand[held] = clone(model).fit(train[~held], labels[~held]).predict(train[held])
    score = metrics.balanced_accuracy_score(labels[held], by_hand[held])
    print(f"fold {k}: {len(set(sources[held]))} sources, {held.sum():4d} rows, score {score:.3f}")
same = cross_val_predict(model, train, labels, cv=model_selection.PredefinedSplit(fold))
print(f"rows on which scikit-learn's loop disagrees with ours: {(same != by_hand).sum()}")

# %% [markdown]
# Each round learned its medians, scales and coefficients anew: the *whole* pipeline is inside the loop. (The score is always balanced accuracy: the mean recall of the four states, lesson 6.)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# Deal 24 sources into five folds. The model is the same; only the sources that judge it change. How many hundredths (points) of balanced accuracy lie between the best and the worst fold, typically?

# %%
my_guess_range = ...  # points: 0.01 of balanced accuracy is 1 point

# %% [markdown]
# Three ways to cut, six seeds each. `StratifiedGroupKFold` also tries to give each fold its share of every state.

# %% tags=["nbval-ignore-output"]
cutters = {"rows": KFold, "whole sources": GroupKFold, "stratified": StratifiedGroupKFold}
scores, judged_by = {}, {"scoring": "balanced_accuracy"}
for name, seed in tqdm(list(itertools.product(cutters, range(6)))):
    dealt = cutters[name](5, shuffle=True, random_state=seed)
    cuts = dealt.split(train, labels, None if name == "rows" else sources)
    scores[name, seed] = model_selection.cross_val_score(model, train, labels, cv=cuts, **judged_by)
scores = pd.DataFrame(scores).rename_axis(["cut", "seed"], axis=1)  # a row for each fold

# %% tags=["slide"]
ranges = 100 * (scores.max() - scores.min())["whole sources"]
ax = ranges.plot.hist(bins=np.arange(16), color="C1", edgecolor="white", yticks=range(4))
ax.set(xlabel="best minus worst fold of whole sources (points)", ylabel="number of deals")
plotting.mark_guess(ax, my_guess_range)
plotting.show(ax, "08_folds", colours=64)

# %%
of_deal = scores.agg(["mean", "std"]).T.groupby("cut", sort=False)
table_of_cuts = of_deal.mean().set_axis(["mean", "fold to fold"], axis=1)
table_of_cuts["deal to deal"] = of_deal["mean"].std()
table_of_cuts["different deals of six"] = scores.mean().round(12).groupby("cut").nunique()
table_of_cuts.round(3)

# %% [markdown]
# **The answer:** best and worst fold lie 3 to 10 points apart, as the histogram shows.
#
# There are three surprises. First, to hold out sources costs less here than for the object (lesson 3): the state is not a property of the source, so there is less to leak. Second, single folds differ by several points, though the model is nearly the same. Third, the stratified cutter *ignored its seed*. It sorts the sources and places them one by one; chance only breaks ties, and real sources have none. Six "repetitions" were one. (Earlier releases of scikit-learn shuffled but did not stratify: pull request 32540.) **A repetition that cannot differ is not a repetition.** Print how many differ.

# %% [markdown]
# ## What is the spread?
#
# It is tempting to write mean ± standard deviation of five folds, or that over $\sqrt 5$. But the folds share most of their training rows, and no recipe turns five such scores into an unbiased error of the mean (Bengio & Grandvalet 2004). Lesson 2 taught the other way: resample whole sources, and score again what was predicted out of fold.

# %%
cut = StratifiedGroupKFold(5)  # no chance in it: the cut of this lesson from here on
chance = cross_val_predict(model, train, labels, groups=sources, cv=cut, method="predict_proba")
classes = np.unique(labels)  # alphabetical, as in the columns of predict_proba
called = classes[chance.argmax(axis=1)]


def draw_skies(table):
    """Positions of the rows of 200 skies, in which whole sources are drawn."""
    generator = np.random.default_rng(8)
    rows = pd.DataFrame({"source_id": table.source_id.to_numpy(), "row": range(len(table))})
    return [resample_sources(rows, generator).row.to_numpy() for _ in range(200)]


skies = draw_skies(train)
tables = np.random.default_rng(8).integers(len(labels), size=(200, len(labels)))  # of single rows


# %%
def balanced(rows, said=called, right=labels):
    """Balanced accuracy of some rows: the mean recall of the states that occur in them."""
    said, right = said[rows], right[rows]
    return np.mean([np.mean(said[right == state] == state) for state in np.unique(right)])


def scatter(measure, draws):
    """Standard deviation of what `measure` says of each draw of rows."""
    return np.std([measure(rows) for rows in draws], ddof=1)


everything = slice(None)
errors = {"from deal to deal": scores["whole sources"].mean().std()}
errors["single pointings drawn"] = scatter(balanced, tables)
errors["whole sources drawn"] = scatter(balanced, skies)
print(f"balanced accuracy out of fold, all rows: {balanced(everything):.3f}")
pd.Series(errors, name="error").round(3).to_frame()

# %%
elsewhere = validation.state_label.to_numpy(str)
called_there = clone(model).fit(train, labels).predict(validation)
error_there = scatter(lambda rows: balanced(rows, called_there, elsewhere), draw_skies(validation))
there = balanced(everything, called_there, elsewhere)
print(f"validation set, {validation.source_id.nunique()} sources: {there:.3f} ± {error_there:.3f}")

# %% [markdown]
# Repeat the cross-validation often enough, and the first error becomes as small as you like. But nobody asked about the deal. The validation set lies much lower than the deals let you expect: its sources are others, and 13 of them give no precise score either. Even the last error leaves something out: it keeps the sources of the training.
#
# For this task, drawing sources scatters hardly more than drawing pointings. We shall see why, and where it is otherwise.

# %% [markdown] tags=["slide"]
# ## Exercise 8.3 · What does this spread mean?  ·  core · 6 min · ●○○
#
# Sort into `"luck of the deal"`, `"other pointings"` (of the same sources), `"other sources"`, `"nothing"` (it is zero).

# %%
# solution: for each of them, ask what is different from one of the numbers to the next
spreads = {
    "the scatter of the mean score over six random deals of the same sources": "luck of the deal",
    "the scatter over 200 skies, in which whole sources are drawn": "other sources",
    "the scatter over 200 tables, in which single pointings are drawn": "other pointings",
    "the scatter over five seeds of the logistic regression, on the same folds": "nothing",
    "what gets as small as you like, the more often you repeat the cross-validation": "luck of the deal",
    "the error bar for the abstract: how would it do on the next sources?": "other sources",
}
# end solution

spreads = check.spreads(spreads)

# %% [markdown]
# ## Whom does the mean hide?
#
# First by class: what does the model call the pointings of each labelled state?

# %%
fig, ax = plt.subplots(figsize=(5.6, 4.2))
shares = pd.crosstab(labels, called, normalize="index").loc[states, states]
plotting.heat_map(ax, shares, fontsize=12)
ax.set(xlabel="the model says, out of fold", ylabel="the human label says")
plotting.show(fig, "08_confusion", colours=64)

# %% [markdown]
# The model finds the two common states almost always, the two rare ones about half of the time. Is that a failure? Wait. First we look by source, and for both questions of the course: the state, and the object (black hole BH or neutron star NS, with the lags as features). For both we count the rows that are called wrong.

# %%
lagged = preprocessor([*STATE_FEATURES, *GROUPS["lags"]])
with_lags = make_pipeline(lagged, LogisticRegression(max_iter=2000))
objects = train.object_label.to_numpy(str)
called_object = cross_val_predict(with_lags, train, objects, groups=sources, cv=cut)
wrong = {"state": called != labels, "object": called_object != objects}

summary = {}
for task, missed in wrong.items():
    of_draws = [scatter(lambda rows, m=missed: m[rows].mean(), d) for d in (tables, skies)]
    alike = stats.chi2_contingency(pd.crosstab(sources, missed)).pvalue
    summary[task] = missed.mean(), *of_draws, f"{alike:.0e}"
columns = ["wrong", "error, pointings drawn", "error, sources drawn", "p, all sources alike"]
pd.DataFrame(summary, columns).T.style.format(precision=3)

# %%
per_pcu = train.rate / train.n_det  # 1/s
added = {"per_pcu": per_pcu, "soft": labels == "HSS"}
added |= {"state_wrong": wrong["state"], "object_wrong": wrong["object"]}
by_source = train.assign(**added).groupby("source_id")
profile = by_source[["soft", "state_wrong", "object_wrong"]].mean()
profile[["per_pcu", "qpo_freq"]] = by_source[["per_pcu", "qpo_freq"]].median()
profile["object"], profile["rows"] = by_source.object_label.first(), by_source.size()

# %% tags=["slide"]
fig, axes = plt.subplots(2, 1, figsize=(9, 7.4))
look_of_kinds = {"hue": "object", "style": "object", "palette": ["k", "C1"], "markers": ["o", "^"]}
for ax, task in zip(axes, wrong, strict=True):
    ordered = profile.sort_values(["object", f"{task}_wrong"]).reset_index()
    share = ordered[f"{task}_wrong"]
    error = np.sqrt(share * (1 - share) / ordered.rows)  # binomial
    ax.errorbar(ordered.source_id, share, error, fmt="none", ecolor="0.6", zorder=0)
    sns.scatterplot(ordered, x="source_id", y=share, s=50, ax=ax, **look_of_kinds)
    ax.axhline(wrong[task].mean(), color="0.5", linestyle="--")  # mean over rows
    ax.set(xlabel="", ylabel="share of wrong rows", title=task)
    ax.tick_params(axis="x", rotation=90)
    ax.legend(loc="upper left")
plotting.show(fig, "08_wrong_by_source", colours=64)

# %% [markdown]
# Two respectable means hide two different pictures. The *state* is missed a little everywhere. The *object* is missed in whole sources: for four of them the model is little better than a coin, or worse. So the error of its accuracy is about four times larger when sources are drawn. Who are the four? Look at them like an astronomer.

# %%
profile.sort_values(["object", "qpo_freq"]).round(2)  # medians in 1/s and Hz; soft: share of HSS

# %%
correlations = profile.drop(columns="object").corr("spearman")
print(f"Spearman's ρ of unrelated columns scatters by {1 / np.sqrt(len(profile) - 1):.2f}")
correlations.loc[["per_pcu", "rows"], ["state_wrong", "object_wrong"]].round(2)

# %% [markdown]
# For the state, bright sources fare better. Photons? The residuals (for home) test that story. For the object, neither brightness nor numbers explain it. The two black holes that fail (S28, S24) are those with the *fastest* QPOs (quasi-periodic oscillations). The model has learned "fast means light", so it calls them neutron stars. They are odd members of a class of which we have seen seven. More pointings of the same sources would not help. We need more *sources*, or a better thought (lesson 09).
#
# And the two neutron stars (S48, S40)? One is soft nearly all the time, the other is among the slowest; but so are others that do well. We do not know. Write that down too: a story that fits after the fact is cheap.

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): a colleague wants to publish "new black-hole candidate" for a source that the model calls BH in 60 of its 60 pointings. How many independent measurements is that?

# %% [markdown]
# ## Whose mistake is it?
#
# A disagreement has two parties. The reader of the states wrote down how sure they were: A, B or C.


# %%
def with_errors(values, groups):
    """Mean of some values of the rows in each group of rows, and its error from the skies."""
    table = pd.DataFrame({"value": np.asarray(values, float), "group": np.asarray(groups)})
    draws = pd.DataFrame([table.iloc[sky].groupby("group").value.mean() for sky in skies])
    return pd.DataFrame({"mean": table.groupby("group").value.mean(), "error": draws.std()})


by_trust = with_errors(wrong["state"], train.label_trust)
by_trust.assign(rows=train.label_trust.value_counts()).round(3)  # model and label differ

# %% [markdown]
# Nobody told the model about trust. Yet it differs twice as often where the human was unsure. This looks like label noise. `data/README.md` says how much: 6 % of the labels are those of a *neighbouring* state. So nobody can agree with more than 94 % of them. And in balanced accuracy?

# %% [markdown] tags=["slide"]
# ## Exercise 8.4 · The best possible score  ·  core · 15 min · ●●●
#
# Imagine a perfect reader, who always names the true state. The labels are flipped: with probability `flip`, a true state is written down as its neighbour; of two neighbours, each is equally probable; the first and last state have one neighbour only. Return the recall that we expect to measure for this reader in each *labelled* state.


# %%
def best_recalls(counts, flip):
    """Recall of a perfect reader in each labelled state, from the true counts of states in order."""
    # solution: who carries a label? Those who kept it, and those who came from a neighbouring state.
    ends = np.isin(np.arange(len(counts)), (0, len(counts) - 1))
    slips = counts * flip / np.where(ends, 1, 2)  # to each neighbour
    stays = counts * (1 - flip)
    came = np.append(0, slips[:-1]) + np.append(slips[1:], 0)
    return stays / (stays + came)
    # end solution


best_recalls = check.best_recalls(best_recalls)

# %% [markdown]
# We do not know the true counts, but the model's own are a fair guess:

# %%
recalls = {}
judged_sets = {"training": (called, labels), "validation": (called_there, elsewhere)}
for name, (said, label) in judged_sets.items():
    counts = np.array([np.sum(said == state) for state in states], dtype=float)
    recalls[name, "best possible"] = np.asarray(best_recalls(counts, 0.06))
    recalls[name, "ours"] = [np.mean(said[label == state] == state) for state in states]
    print(f"{name}: {np.mean(np.isin(said, states[1:3])):.0%} are called HIMS or SIMS")
recalls = pd.DataFrame(recalls, states).T
recalls.assign(mean=recalls.mean(axis=1)).round(3)

# %% [markdown]
# Read the column of SIMS twice. Six per cent of a common state fall into the small neighbouring class, and fill half of it. Where labels are noisy and classes unequal, **about half of the rare class is other people's mistakes**. A metric that gives every class one vote pays most attention to them. Our score was never 25 points from perfect; it is a few points from the best that can be measured. On the validation sources the model finds the rare states rarer still, and part of the drop there is a lower ceiling. Find your ceiling before you climb.

# %% [markdown] tags=["slide"]
# ## Exercise 8.5 · Whom would you ask again?  ·  core · 12 min · ●●○
#
# You can ask the human to read some pointings once more, but only some. Put the rows in order: first those whose *label* is most probably wrong. (Any order that finds wrong labels as well as ours is right.) Use probabilities out of fold: a model that has seen a wrong label has half believed it.


# %%
def suspects(labels, probability, classes):
    """Positions (n,), the most suspicious label first; probability (n, 4) has columns `classes`, sorted."""
    # solution: what probability does the model give to the label that stands there?
    column = [list(classes).index(name) for name in labels]
    return np.argsort(probability[np.arange(len(labels)), column])
    # end solution


suspects = check.suspects(suspects)

# %% [markdown]
# First without any truth: who are the first 150? Look at some with your own eyes, before you believe either party.

# %%
order = np.asarray(suspects(labels, chance, classes), dtype=int)
first = train.iloc[order[:150]].assign(model=called[order[:150]])
of_trust = [rows.label_trust.value_counts(normalize=True) for rows in (train, first)]
pd.DataFrame(of_trust, ["all rows", "the first 150"]).round(2)

# %%
seen = ["state_label", "label_trust", "model", "disc_frac", "gamma", "rms_0p1_64", "hue"]
first.set_index("obs_id")[seen].round(2).iloc[::15]  # hue in degrees

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
left.plot(train.hr_soft, per_pcu, ".", color="0.8", markersize=2, zorder=0)
plotting.hardness_intensity(left, first).set_title("The 150 most suspicious labels")
left.yaxis.set_major_formatter("{x:g}")
plotting.power_colour_wheel(right, first[first.hue.notna()], features.HUES, features.HUE_CENTRE)
right.set_title("those that have a hue")
plotting.show(fig, "08_suspicious", colours=64)

# %% [markdown]
# Take three rows of the table and decide for yourself. "HIMS" with an rms of more than 20 % and no disc; "SIMS" with 90 % disc and hardly any variability: an expert who reads these again will change their mind. The physics is on the side of the model.
#
# ### The reveal
#
# Outside a simulation nobody has what comes now. `data.load_truth()` knows the state that was drawn. We look only to see whether the reasoning above was right, and change nothing because of it.

# %%
truth = data.load_truth().set_index("obs_id")
true = truth.loc[train.obs_id, "state"].to_numpy(str)
flipped, confidence = labels != true, chance.max(axis=1)
revealed = {
    "labels that are wrong": flipped.mean(),
    "the same among the first 150 suspects": flipped[order[:150]].mean(),
    "balanced accuracy of a perfect reader": balanced(everything, true),
    "accuracy of our model in truth": np.mean(called == true),
}
pd.Series(revealed, name="value").round(3).to_frame()

# %%
pd.crosstab(labels, true, None, ["label"], ["true"], normalize="index").loc[states, states].round(2)

# %%
of_label = pd.DataFrame({"label is wrong": flipped, "confidence": confidence})[wrong["state"]]
print(f"disagreements in which the label is wrong: {of_label['label is wrong'].mean():.2f}")
bands = pd.cut(of_label.confidence, [0, 0.7, 0.9, 1])
of_label.groupby(bands, observed=True)["label is wrong"].agg(["mean", "size"]).round(2)

# %% [markdown]
# About two thirds of the model's "mistakes" are mistakes of the label. Where the model is sure, nearly all are; where it hesitates, few. It was trained on labels of which one in eighteen is wrong, and it is right more often than its teacher. This can happen: mistakes that follow no feature average out. (Mistakes that *do* follow features would have been learned. Real labels have both.)

# %% [markdown] tags=["slide"]
# ## Is 90 % sure right in 90 %?
#
# A probability is a promise. Collect all rows in which the model was about 90 % sure: was it right in 90 % of them? Out of fold, by sources, against the labels.

# %%
edges = np.array([0.3, 0.6, 0.75, 0.85, 0.9, 0.95, 0.98, 1.0])
right_row, bin_of = called == labels, pd.cut(confidence, edges, labels=False)
curve = with_errors(right_row, bin_of).rename(columns={"mean": "right"})
curve["sure"] = pd.Series(confidence).groupby(bin_of).mean()
curve["(right − sure) / error"] = (curve.right - curve.sure) / curve.error
curve["right in truth"] = pd.Series(called == true).groupby(bin_of).mean()
curve.round(3)

# %%
each = {"sure": confidence, "right": right_row, "variance": confidence * (1 - confidence)}
each = pd.DataFrame(each).groupby(sources).mean()
each["error"] = np.sqrt(each.variance / pd.Series(sources).value_counts())  # if calibrated
off = (each.right - each.sure) / each.error
print(f"(right − sure) / error of a source: spread {off.std():.1f}, largest {off.abs().max():.1f}")

# %% tags=["slide-next"]
fig, ax = plt.subplots(figsize=(8, 4.6))
ax.errorbar(curve.sure, curve.right, curve.error, fmt="C0o-", capsize=3)
ax.axline((0.9, 0.9), slope=1, color="0.6", label="calibrated")
ax.axhline(0.94, color="C2", linestyle=":", label="ceiling: 6 % of labels are wrong")
ax.set(xlabel="mean confidence of the model", ylabel="share that agrees with the label")
ax.legend()
plotting.show(fig, "08_confidence", colours=64)

# %% [markdown]
# In the middle the model is **underconfident**: where it says 0.7 it is right in about 0.8. Fitted to labels of which some are flipped, it has learned to doubt. At the top it looks **overconfident**. But this is the ceiling again, since nobody can guess a flip. Against the truth the same rows do better than they promised. So a calibration curve holds for its labels only. And source by source the promise is kept less well: the offsets spread by more than their errors, and the largest is more than three errors. A model can be calibrated on the whole and on no single source.

# %% [markdown]
# ## Residuals  ·  for home
#
# A good fit leaves nothing in the residuals but noise. Here a residual is a wrong row, and it should depend on nothing. We look along brightness, time (the gain drifts) and the number of missing values. We also look, a reveal again, at how near the true state is to a border: `softness` runs from 0, hard, to 1, soft, and the states meet at 0.33, 0.66 and 0.76.

# %%
softness = truth.loc[train.obs_id, "softness"].to_numpy()
to_border = np.abs(softness[:, None] - [0.33, 0.66, 0.76]).min(axis=1)
missing = train[list(STATE_FEATURES)].isna().sum(axis=1).to_numpy()
along = {
    "net rate per PCU (1/s)": per_pcu,
    "MJD (d)": train.mjd,
    f"missing features, of {len(STATE_FEATURES)}": missing,
    "distance to a border, in softness": to_border,
}

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 7), sharey=True)
against = {"the label": (wrong["state"], "C0o-"), "the truth": (called != true, "C1s--")}
for ax, (name, values) in zip(axes.flat, along.items(), strict=True):
    sixth = pd.qcut(np.asarray(values), 6, labels=False, duplicates="drop")
    middle = pd.Series(np.asarray(values)).groupby(sixth).median()
    for what, (missed, mark) in against.items():
        share = with_errors(missed, sixth)
        ax.errorbar(middle, share["mean"], share.error, fmt=mark, capsize=3, label=what)
    ax.set(xlabel=name, ylabel="share of wrong rows", ylim=(0, 0.3))
axes[0, 0].legend(title="against")
plotting.show(fig, "08_wrong_along", colours=64)

# %% [markdown]
# Along time nothing is left: the gain drift costs no states. Along the rate there is next to nothing either. But did the bright *sources* not fare better? Ask within a source:

# %%
faint = per_pcu < per_pcu.groupby(sources).transform("median")
halves = pd.Series(wrong["state"]).groupby([sources, faint]).mean().unstack()
more = halves[True] - halves[False]
print(f"faint half of a source minus bright half: {more.mean():+.3f} ± {more.sem():.3f}")
rho = stats.spearmanr(profile.per_pcu, pd.Series(flipped).groupby(sources).mean())
print(f"share of flipped labels against rate: ρ = {rho.statistic:+.2f} (p = {rho.pvalue:.1g})")

# %% [markdown]
# Within a source the faint half is no worse than the bright one: the story of the photons does not hold. The second line is a warning. A coin that knows no brightness flipped the labels, and yet 24 sources show a correlation that looks significant. We have asked 24 sources many questions; some answers are luck.
#
# Along missing values there is a surprise: where nearly everything was measured, the model is rather worse. Did measuring do harm? No: break, QPO, disc and power law are all there just when a source is in between. What matters is the distance to a border. A state is a drawer, softness is a scale, and everyone misfiles what lies between two drawers. If your science needs the transitions, predict the *number* and not the drawer.

# %% [markdown]
# ## What would an astronomer with a ruler have got?
#
# A score means something beside another score on the same rows. The simplest reference always says "LHS". A better one is the wheel of power colours: the hue, the angle in this wheel, names the state.

# %% [markdown] tags=["slide"]
# ## Exercise 8.6 · The hue wheel as a classifier  ·  core · 10 min · ●●○
#
# `features.HUES` holds the published sectors in degrees. Give each hue the state in whose sector it lies (a border belongs to the sector that begins there), and `""` where the hue is missing. Mind how a circle ends: −50°, 310° and 670° are the same hue.


# %%
def hue_states(hue):
    """The state of each hue [deg] (n,), or "" where it is missing."""
    # solution: measure each hue from where a sector begins, modulo 360: is it less than its width?
    found = np.full(len(hue), "", dtype="U4")
    for state, (low, high) in features.HUES.items():
        found[(hue - low) % 360 < high - low] = state
    return found
    # end solution


hue_states = check.hue_states(hue_states)

# %% [markdown]
# The other reference is the table of lesson 1, after Remillard & McClintock (2006). It knows a "steep power law" state where we have HIMS and SIMS. The fair comparison has three states: all between hard and soft is called *intermediate*. Where the rms is missing and would decide, there is no answer. And we cheat a little, knowingly: their rms ends at 10 Hz, our column at 64. (`features.hue_states` is the wheel's recipe, to keep.)

# %%
f, r, index = (train[name].to_numpy() for name in ("disc_frac", "rms_0p1_64", "gamma"))
hard = (f < 0.2) & (index > 1.4) & (index < 2.1)
thermal = (f > 0.75) & ~(train.qpo_rms.to_numpy() > 0.005)
no_answer = (hard | thermal) & np.isnan(r)
cases = [no_answer, hard & (r > 0.1), thermal & (r < 0.075)]
by_cuts = np.select(cases, ["", "LHS", "HSS"], "intermediate")
by_hue = np.asarray(hue_states(train.hue.to_numpy()))


def three(names):
    """HIMS and SIMS become one: intermediate."""
    return np.where(np.isin(names, ("HIMS", "SIMS")), "intermediate", names)


# %%
rivals = {  # name: (what it says, the label, what our model says)
    "always LHS": (np.full(len(labels), "LHS"), labels, called),
    "hue wheel": (by_hue, labels, called),
    "R&M, 3 states": (by_cuts, three(labels), three(called)),
}
compared = {}
for (name, (says, label, we_say)), kind in itertools.product(rivals.items(), ("BH", "NS")):
    own = (objects == kind) & (says != "")
    compared[name, kind] = {
        "answers": own.sum() / np.sum(objects == kind),
        "accuracy": np.mean(says[own] == label[own]),
        "accuracy, ours": np.mean(we_say[own] == label[own]),
        "balanced": balanced(own, says, label),
        "balanced, ours": balanced(own, we_say, label),
    }
pd.DataFrame(compared).T.round(2)

# %%
soft_bh, soft_ns = ((objects == kind) & (labels == "HSS") for kind in ("BH", "NS"))
lost = soft_bh & (by_cuts == "intermediate")
print(f"NS in HSS: {np.mean(f[soft_ns] < 0.75):.0%} have a disc share below 0.75")
print(f"BH in HSS: {lost.sum()} are called intermediate,", end=" ")
print(f"{np.mean(r[lost] > 0.075):.0%} of them with an rms above 0.075")

# %% [markdown]
# Read the line "hue wheel, BH" with care: *on black holes that have a hue, an angle and four published borders do about as well as our fourteen features*, and in balanced accuracy not worse. Where these borders apply, nobody needs to learn anything from data. But the wheel answers for fewer than half of the pointings, the bright and variable ones. And on neutron stars it fails, since their variability is faster. We gain *coverage*: say so, instead of one number for each.
#
# The table's cuts lose neutron stars first: nearly all of their soft states have a fitted disc share below 0.75, because disc plus power law is a black hole's model. Among black holes they lose the faint soft states, whose rms is above 0.075. This is partly noise and partly real, for a cooler disc dilutes less (lesson 04). Nobody meant the cuts for such data. A fair comparison says what its rival was made for.
#
# Is a difference real? What is hard for one party is hard for the other. So take the difference **source by source**, and let the sources vote.

# %% [markdown] tags=["slide"]
# ## Exercise 8.7 · Paired by source  ·  core · 10 min · ●●○
#
# Given which rows each party had right, return the mean over sources of the difference in accuracy (ours minus theirs; one source, one vote), and its standard error (with `ddof=1`: sources may be few).


# %%
def paired_difference(ours, theirs, sources):
    """Mean over sources of the difference in accuracy, and its standard error; all arguments (n,)."""
    # solution: +1, 0 or -1 for each row; mean within each source; then mean and standard error of those
    each = pd.Series(ours.astype(float) - theirs).groupby(sources).mean()
    return each.mean(), each.std(ddof=1) / np.sqrt(len(each))
    # end solution


paired_difference = check.paired_difference(paired_difference)

# %%
paired = {}
for (name, (says, label, we_say)), kind in itertools.product(rivals.items(), ("BH", "NS")):
    own = (objects == kind) & (says != "")
    ours, theirs, voters = we_say[own] == label[own], says[own] == label[own], sources[own]
    paired[name, kind] = *paired_difference(ours, theirs, voters), len(np.unique(voters))
pd.DataFrame(paired, ["accuracy, ours − theirs", "error", "sources"]).T.map("{:.2g}".format)

# %% [markdown]
# A single source has no balanced accuracy (few have all four states), so its error comes from the skies:

# %%
for kind in ("BH", "NS"):
    own = (objects == kind) & (by_hue != "")
    gain, with_hue = balanced(own) - balanced(own, by_hue), [sky[own[sky]] for sky in skies]
    error = scatter(lambda rows: balanced(rows) - balanced(rows, by_hue), with_hue)
    print(f"balanced accuracy, ours minus the wheel, {kind}: {gain:+.3f} ± {error:.3f}")

# %% [markdown]
# ## Learning from mistakes, without learning them by heart
#
# Now we want to change something. Every change is a *choice*, made on data that we have looked at. So we count our choices, give each a reason before we try it, and judge all by the same measure. Two candidates with good reasons:
#
# 1. **Class weights.** Rare states are found half of the time, so let each of their rows count more (`class_weight="balanced"`). Lesson 07 saw no gain on the validation sources. Why not?
# 2. **Trust.** B and C labels are wrong more often, so let them count less: weights 1, 1/2 and 1/4 for A, B and C, chosen now and not tuned.
#
# **Predict** for each: will balanced accuracy rise or fall?

# %%
my_guess_weights = ...  # "rise" or "fall" for class weights, and for trust

# %% tags=["nbval-ignore-output"]
weight = train.label_trust.map({"A": 1, "B": 1 / 2, "C": 1 / 4}).to_numpy()
by_class = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000, class_weight="balanced"))
candidates = {
    "as it is": (model, None),
    "class weights": (by_class, None),
    "trust": (model, {"logisticregression__sample_weight": weight}),
}
said_by = {name: [] for name in candidates}
for seed in tqdm(range(5)):  # the same five deals for all three
    deal = {"groups": sources, "cv": GroupKFold(5, shuffle=True, random_state=seed)}
    for name, (one, more_of) in candidates.items():
        said_by[name].append(cross_val_predict(one, train, labels, params=more_of, **deal))

# %%
old, gains = said_by["as it is"], {}
before = np.array([balanced(everything, said) for said in old])
for name in ("class weights", "trust"):
    new = said_by[name]
    gain = np.array([balanced(everything, said) for said in new]) - before
    error = scatter(lambda rows, b=new[0]: balanced(rows, b) - balanced(rows, old[0]), skies)
    gains[name] = gain.mean(), error, gain.min(), gain.max()
measured = ["gain", "error, sources drawn", "least of five deals", "most of five deals"]
pd.DataFrame(gains, measured).T.round(3)  # in balanced accuracy

# %% [markdown]
# **The answer:** with class weights it falls; with trust it rises a little. Class weights make each row of the rare class count several times, and nearly half of *these* rows are HSS with the wrong label (see *The reveal*): they amplify the noise. Trust helps a little. Now one look at the validation sources, at the model as it was and at the one change that might help:

# %%
for name in ("as it is", "trust"):
    one, more_of = candidates[name]
    calls = clone(one).fit(train, labels, **(more_of or {})).predict(validation)
    print(f"{name}: {balanced(everything, calls, elsewhere):.3f} on the validation sources")

# %% [markdown]
# One more candidate, which you will be offered: "let the model correct the labels of its suspects, and train again". Watch what happens to the score.

# %%
corrected = labels.copy()
corrected[order[:150]] = called[order[:150]]
again = cross_val_predict(model, train, corrected, groups=sources, cv=cut)
again_there = clone(model).fit(train, corrected).predict(validation)
print(f"scored against the corrected labels {balanced(everything, again, corrected):.3f}")
print(f"scored against the old labels       {balanced(everything, again):.3f}")
print(f"on the validation sources           {balanced(everything, again_there, elsewhere):.3f}")

# %% [markdown]
# The first gain is large and worthless: the pupil marked their own exam. Even the small second one is not clean: the corrections came from models that had seen the very rows which are scored now. On sources that nobody touched, nothing is gained. Use suspects to *ask a human again*, without showing them what the model thinks; never to grade.
#
# For lesson 12 we write down now:
#
# - what we tried after looking: class weights and corrected labels did not help; weights by trust helped by less than two of their errors and are left out, to keep the model simple;
# - the sources on which we expect to fail: fast black holes;
# - the rival to beat on equal rows: the wheel, on black holes;
# - the error bar: it counts sources.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Cross-validation gives every row one honest prediction. Its spread over folds is not the error of its mean. The error that matters counts sources.
# - A mean hides whole sources on which a model fails. Plot each of them, and ask why like an astronomer.
# - Know the ceiling that label noise sets. With unequal classes it is far lower than 1 minus the share of wrong labels, and the obvious cure makes it worse.
# - Confident disagreements are a list of labels to read again. Never let the model correct its own exam.
# - Compare with the published recipe, on equal rows, paired by source. Where it is as good, say so.

# %% [markdown]
# **Further reading.** Y. Bengio & Y. Grandvalet, *No unbiased estimator of the variance of k-fold cross-validation* (JMLR 5, 1089, 2004): why folds give no error · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): diagnosing models, with exercises · J. Buchner & S. Fotopoulou, 2024 ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)): setting up a first project · D. Huppenkothen, M. Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)): what to report, and why · scikit-learn user guide, [Cross-validation: evaluating estimator performance](https://scikit-learn.org/stable/modules/cross_validation.html): every cutter with a picture.
