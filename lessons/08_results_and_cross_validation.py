# %% [markdown]
# # 8 · Exploring the results
#
# | **The question** | Our first model has a score. Do we believe it, and where does the model fail? |
# |---|---|
# | **Afterwards you can** | cross-validate by source and say what each spread means; tell the mistakes of a model from the mistakes of its labels, and calibrated confidence from bravado; compare with a published recipe on equal rows, paired by source |
# | **Time** | 45 min of reading or teaching, 71 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, 24 + 13 sources, see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    PredefinedSplit,
    StratifiedGroupKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from tqdm.auto import tqdm

from course.checks import lesson_08 as check

# %%
from helpers import data, features, plotting
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()

# %% [markdown] tags=["slide"]
# ## A score by itself is a rumour
#
# Lesson 7 left us a model: features, scaler, logistic regression. One number says how good it is. This lesson does what a referee would do to that number: ask how it was measured, what its error is, whom it averages over, and what an astronomer with a ruler would have got.

# %%
train, validation = data.load_split()
states = list(features.HUES)  # LHS, HIMS, SIMS, HSS: neighbours here are neighbours in the sky
labels = train.state_label.to_numpy(str)
sources = train.source_id.to_numpy(str)
model = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000))
print(f"{len(train)} pointings of {len(set(sources))} sources")

# %% [markdown]
# ## Every row gets its turn
#
# One validation set uses a part of the data to learn and another to judge. **K-fold cross-validation** uses all for both: cut the rows into $k$ folds; train on $k - 1$ of them, predict the one left out; do so for each. In the end every row has been predicted once, *out of fold*, by a model that never saw it.

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
# The rest is a loop. It is so short that you should write it once in your life; from then on, scikit-learn's does the same:

# %%
fold = np.asarray(group_folds(sources, 5, np.random.default_rng(8)))
by_hand = np.empty(len(labels), dtype="U4")
for k in range(5):
    held = fold == k
    fitted = clone(model).fit(train[~held], labels[~held])
    by_hand[held] = fitted.predict(train[held])
    score = balanced_accuracy_score(labels[held], by_hand[held])
    print(f"fold {k}: {len(set(sources[held]))} sources, {held.sum():4d} rows, score {score:.3f}")

same = cross_val_predict(model, train, labels, cv=PredefinedSplit(fold))
print(f"rows on which scikit-learn's loop disagrees with ours: {(same != by_hand).sum()}")

# %% [markdown]
# Medians, scales and coefficients were learned anew in every round: the *whole* pipeline is inside the loop. (The score is balanced accuracy throughout: the mean recall of the four states, lesson 6.)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# Deal 24 sources into five folds. How many hundredths (points) of balanced accuracy will lie between the best and the worst fold, typically? The model is the same; only the sources it is asked about change.

# %%
my_guess_range = ...  # points: 0.01 of balanced accuracy is 1 point

# %% [markdown]
# Three ways to cut, six seeds each. `StratifiedGroupKFold` tries to give each fold its share of every state as well.

# %% tags=["nbval-ignore-output"]
cutters = {"rows": KFold, "whole sources": GroupKFold, "sources, stratified": StratifiedGroupKFold}
scores, seeds = {}, range(6)
with tqdm(total=len(cutters) * len(seeds), delay=5, leave=False) as bar:
    for name, cutter in cutters.items():
        scores[name] = np.empty((len(seeds), 5))
        for seed in seeds:
            groups = None if cutter is KFold else sources  # it would warn that it ignores them
            cuts = cutter(5, shuffle=True, random_state=seed).split(train, labels, groups)
            scores[name][seed] = cross_val_score(
                model, train, labels, cv=cuts, scoring="balanced_accuracy"
            )
            bar.update()

# %% tags=["slide"]
fig, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), width_ratios=(3, 2), sharey=False)
for place, score in enumerate(scores.values()):
    for seed, five in enumerate(score):
        at = place + 0.11 * (seed - 2.5)
        left.plot([at] * 5, five, "o", color=f"C{place}", markersize=3, alpha=0.7)
        left.plot(at, five.mean(), "_", color="black", markersize=7, markeredgewidth=1.5)
left.set_xticks(range(3), ["rows", "whole\nsources", "sources,\nstratified"])
left.set(ylabel="balanced accuracy of a fold", title="Six seeds, five folds each; bar: mean")
ranges = 100 * np.ptp(scores["whole sources"], axis=1)
right.hist(ranges, bins=np.arange(16), color="C1", edgecolor="white")
right.set(xlabel="best minus worst fold (points)", ylabel="number of deals")
right.set(title="Whole sources", yticks=range(5))
plotting.mark_guess(right, my_guess_range)
plotting.show(fig, "08_folds")

# %%
for name, score in scores.items():
    print(
        f"{name:20s} mean {score.mean():.3f}   fold to fold {score.std(axis=1, ddof=1).mean():.3f}"
    )
    print(f"{'':20s} from deal to deal the mean moves by {score.mean(axis=1).std(ddof=1):.3f}")
cuts = {tuple(np.sort(score.round(12))) for score in scores["sources, stratified"]}
print(f"different cuts among six seeds of the stratified cutter: {len(cuts)}")

# %% [markdown]
# **Your prediction:** the range of five folds of whole sources is several points, as the histogram shows.
#
# Three surprises. Holding out sources costs less here than for the object (lesson 3): the state is not a property of the source, so there is less to leak. Single folds differ by several points, though the model is as good as the same. And the stratified cutter *ignored its seed*: it sorts the sources by how uneven they are and places them one by one; chance only breaks ties, and real sources have none. Six "repetitions" were one. (That is scikit-learn as pinned for this course; earlier releases erred the other way, and dealt sources at random without stratifying: pull request 32540.) **A repetition that cannot differ is not a repetition.** Print how many differ.

# %% [markdown]
# ## What is the spread?
#
# It is tempting to write mean ± standard deviation of five folds, or that over $\sqrt 5$. But the folds share most of their training rows, so their scores are not independent, and no recipe turns five of them into an unbiased error of the mean (Bengio & Grandvalet 2004). Lesson 2 taught the other way: resample whole sources, and score again what was predicted out of fold.

# %%
cut = StratifiedGroupKFold(5)  # no chance in it: the cut of this lesson from here on
chance = cross_val_predict(model, train, labels, groups=sources, cv=cut, method="predict_proba")
classes = np.unique(labels)  # alphabetical, as in the columns of predict_proba
called = classes[chance.argmax(axis=1)]

generator = np.random.default_rng(8)


def draw_skies(table):
    """Positions of the rows of 200 skies, in which whole sources are drawn."""
    rows = pd.DataFrame({"source_id": table.source_id.to_numpy(), "row": range(len(table))})
    return [resample_sources(rows, generator).row.to_numpy() for _ in range(200)]


skies = draw_skies(train)
tables = generator.integers(len(labels), size=(200, len(labels)))  # rows, as if they were alone


# %%
def balanced(rows, said=called, right=labels):
    """Balanced accuracy of some rows: the mean recall of the states that occur in them."""
    said, right = said[rows], right[rows]
    return np.mean([np.mean(said[right == state] == state) for state in np.unique(right)])


def scatter(measure, draws):
    """Standard deviation of what `measure` says of each draw of rows."""
    return np.std([measure(rows) for rows in draws], ddof=1)


everything = slice(None)
repeated = scores["whole sources"].mean(axis=1)
print(f"out of fold, all rows                  {balanced(everything):.3f}")
print(f"from deal to deal                      ± {repeated.std(ddof=1):.3f}")
print(f"single pointings drawn                 ± {scatter(balanced, tables):.3f}")
print(f"whole sources drawn                    ± {scatter(balanced, skies):.3f}")

# %%
elsewhere = validation.state_label.to_numpy(str)
called_there = clone(model).fit(train, labels).predict(validation)
error = scatter(lambda rows: balanced(rows, called_there, elsewhere), draw_skies(validation))
there = balanced(everything, called_there, elsewhere)
print(
    f"{validation.source_id.nunique()} other sources (the validation set)  {there:.3f} ± {error:.3f}"
)

# %% [markdown]
# Repeating the cross-validation makes the first error as small as you like, and it answers a question that nobody asked. The validation set lies much lower than the deals would have let you expect: its sources are others, and 13 of them do not make a precise score either. Even the last error leaves something out, for it resamples the sources that are judged, and keeps those that the model was trained on.
#
# That drawing sources scatters hardly more than drawing pointings is particular to this task. Remember it: we shall see why, and where it is otherwise.

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
# First by class: of each state as the human called it, which share does the model call what?

# %%
fig, ax = plt.subplots(figsize=(4.6, 3.4))
shares = confusion_matrix(labels, called, labels=states, normalize="true")
plotting.heat_map(ax, pd.DataFrame(shares, states, states), fontsize=10)
ax.set(xlabel="the model says, out of fold", ylabel="the human label says")
plotting.show(fig, "08_confusion")
print("rows per label:", {state: int(np.sum(labels == state)) for state in states})

# %% [markdown]
# The two common states are found almost always, the two rare ones about half of the time. A failure, then? Hold that thought. Now by source, and for both questions of the course: the state, and the object (with the lags; metric there is the AUC, but here we count rows on the wrong side of one half).

# %%
with_lags = make_pipeline(
    preprocessor([*STATE_FEATURES, *GROUPS["lags"]]), LogisticRegression(max_iter=2000)
)
objects = train.object_label.to_numpy(str)
called_object = cross_val_predict(with_lags, train, objects, groups=sources, cv=cut)
wrong = {"state": called != labels, "object": called_object != objects}

for task, missed in wrong.items():
    each = pd.Series(missed).groupby(sources).mean()
    alike = stats.chi2_contingency(pd.crosstab(sources, missed)).pvalue
    by_rows, by_sources = (
        scatter(lambda rows, m=missed: m[rows].mean(), d) for d in (tables, skies)
    )
    print(
        f"{task}: accuracy, mean over rows {1 - missed.mean():.3f}, over sources {1 - each.mean():.3f}"
    )
    print(f"    error, pointings drawn {by_rows:.3f}, sources drawn {by_sources:.3f}")
    print(f"    are all sources alike? p = {alike:.0e}")


# %%
def draw_sources(ax, missed):
    """One point per source, sorted, with its binomial error (68 %); the area is the number of rows."""
    each = pd.DataFrame({"source": sources, "object": objects, "missed": missed})
    each = each.groupby(["source", "object"]).missed.agg(["sum", "size"]).reset_index()
    each = each.assign(share=each["sum"] / each["size"]).sort_values("share", ignore_index=True)
    for kind, colour, marker in (("BH", "black", "o"), ("NS", "C1", "^")):
        own = each[each.object == kind]
        low, high = stats.beta.ppf(
            [[0.16], [0.84]], own["sum"] + 0.5, own["size"] - own["sum"] + 0.5
        )  # Jeffreys' interval: it has a length even for no mistake at all
        ax.vlines(own.index, low, high, color=colour, linewidth=1)
        size = own["size"] / 5 + 8
        ax.scatter(own.index, own.share, size, colour, marker=marker, label=kind, alpha=0.8)
    ax.axhline(missed.mean(), color="0.5", linestyle="--", linewidth=1, label="mean over rows")
    ax.set_xticks(each.index, each.source, rotation=90, fontsize=7)
    ax.set(ylabel="share of wrong rows", ylim=(-0.02, None))
    return ax


# %% tags=["slide"]
fig, axes = plt.subplots(2, 1, figsize=(7.4, 5.6))
for ax, (task, missed) in zip(axes, wrong.items(), strict=True):
    draw_sources(ax, missed).set_title(f"{task}: each source out of fold")
axes[0].legend(loc="upper left", markerscale=0.5)
plotting.show(fig, "08_wrong_by_source")

# %% [markdown]
# Two very different pictures behind two respectable means. The *state* is missed a little everywhere. The *object* is missed in whole sources: for four of them the model is little better than a coin, or worse. That is why the error of its accuracy is some three times larger when sources are drawn. Who are they? Look at them like an astronomer, not like a machine: how many rows, how bright, how fast, how soft?

# %%
profile = train.assign(per_pcu=train.rate / train.n_det, soft=train.state_label == "HSS")
profile = profile.groupby("source_id").agg(
    object=("object_label", "first"),
    rows=("rate", "size"),
    rate=("per_pcu", "median"),  # 1/s per PCU
    soft=("soft", "mean"),  # share labelled HSS
    qpo=("qpo_freq", "median"),  # Hz
)
for task, missed in wrong.items():
    profile[f"{task}_wrong"] = pd.Series(missed).groupby(sources).mean()
profile.sort_values("object_wrong", ascending=False).round(2).head(6)

# %%
for kind, own in profile.groupby("object"):
    in_order = own.sort_values("qpo").qpo.round(1)
    print(f"{kind}, median QPO frequency (Hz):", *(f"{n} {v}" for n, v in in_order.items()))
print("NS, soft in more than 80 %:", *profile.query("object == 'NS' and soft > 0.8").index)
for task in wrong:
    for feature in ("rate", "rows"):
        rho = stats.spearmanr(profile[feature], profile[f"{task}_wrong"])
        print(f"{task} wrong against {feature}: ρ = {rho.statistic:+.2f} (p = {rho.pvalue:.1g})")

# %% [markdown]
# For the state, bright sources fare better. Photons? A good story; keep it until the residuals. For the object, neither brightness nor numbers explain it. The two black holes that fail are those with the *fastest* QPOs: to a model that has learned "fast means light", they are neutron stars. They are odd members of a class of which we have seen seven. The cure is not more pointings of the same, but more *sources*, or a better thought (lesson 09).
#
# And the two neutron stars? One is soft nearly all the time, but so are others that do well; the other is among the slowest, but so are others that do well. We looked, and do not know. Write that down too: a story that fits after the fact is cheap.

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): a colleague wants to publish "new black-hole candidate" for a source that the model calls BH in 60 of its 60 pointings. How many independent measurements is that?

# %% [markdown]
# ## Whose mistake is it?
#
# A disagreement has two parties. The reader of the states wrote down how sure they were: A, B or C.

# %%
for letter in "ABC":
    own = (train.label_trust == letter).to_numpy()
    draws = [wrong["state"][sky][own[sky]].mean() for sky in skies]
    print(
        f"trust {letter}: {own.sum():4d} rows, model and label differ in "
        f"{wrong['state'][own].mean():.3f} ± {np.std(draws, ddof=1):.3f}"
    )

# %% [markdown]
# The model was never told about trust, and yet differs twice as often where the human was unsure. That smells of label noise. `data/README.md` says how much: 6 % of the labels are those of a *neighbouring* state. So nobody can agree with more than 94 % of them. And in balanced accuracy?

# %% [markdown] tags=["slide"]
# ## Exercise 8.4 · The best possible score  ·  core · 15 min · ●●●
#
# Imagine a perfect reader, who always names the true state. The labels are flipped: with probability `flip`, a true state is written down as its neighbour; of two neighbours, each is equally probable; the first and last state have one neighbour only. Return the recall that we expect to measure for this reader in each *labelled* state.


# %%
def best_recalls(counts, flip):
    """Recall of a perfect reader in each labelled state, from the true counts of states in order."""
    # solution: who carries a label? Those who kept it, and those who slipped in from next door.
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
for name, said, right in (
    ("training", called, labels),
    ("validation", called_there, elsewhere),
):
    counts = np.array([np.sum(said == state) for state in states], dtype=float)
    both = {
        "best possible": np.asarray(best_recalls(counts, 0.06)),
        "ours": [np.mean(said[right == state] == state) for state in states],
    }
    both = pd.DataFrame(both, index=states).T.assign(mean=lambda rows: rows.mean(axis=1))
    print(f"{name} sources, {np.mean(np.isin(said, states[1:3])):.0%} called HIMS or SIMS")
    print(both.round(3).to_string())

# %% [markdown]
# Read the column of SIMS twice. Six per cent of a common state, dumped into the small drawer next door, fill half of it. Where labels are noisy and classes unequal, **about half of the rare class is other people's mistakes**, and a metric that gives every class one vote pays most attention to them. Our score was never 25 points from perfect; it is a few points from the best that can be measured. On the validation sources the model finds the rare states rarer still, and more than a third of the drop that we saw there is a lower ceiling. Find your ceiling before you climb.

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
# First without any truth: who are the first 150? Look at some one by one, with your own eyes, before you believe either party.

# %%
order = np.asarray(suspects(labels, chance, classes), dtype=int)
first = train.iloc[order[:150]]
print("share of trust A, B, C among all rows, and among the first 150:")
for rows in (train, first):
    print("  ", rows.label_trust.value_counts(normalize=True).round(2).sort_index().to_dict())

names = {"state_label": "label", "label_trust": "trust", "disc_frac": "disc", "rms_0p1_64": "rms"}
look = first.assign(model=called[order[:150]]).set_index("obs_id").rename(columns=names)
look[["label", "trust", "model", "disc", "gamma", "rms", "hue"]].round(2).iloc[::15]

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.1), width_ratios=(5, 6))
left.plot(train.hr_soft, train.rate / train.n_det, ".", color="0.85", markersize=2, zorder=0)
plotting.hardness_intensity(left, first)
left.set(xlabel="colour 6–10 / 3–6 keV (Crab)", ylabel="net rate per PCU, 3–25 keV (1/s)")
left.legend(title="human label", fontsize=8)
plotting.power_colour_wheel(right, first[first.hue.notna()], features.HUES, features.HUE_CENTRE)
right.legend(title="human label", fontsize=8, bbox_to_anchor=(1, 1), loc="upper left")
right.set_title("those that have a hue")
left.set_title("The 150 most suspicious labels")
plotting.show(fig, "08_suspicious")

# %% [markdown]
# Take three rows of the table and decide for yourself. "HIMS" with an rms of more than 20 % and no disc; "SIMS" with 90 % disc and hardly any variability: an expert who reads these again will change their mind. The physics sides with the model, and it was not asked.
#
# ### The reveal
#
# Outside a simulation nobody has what comes now. `data.load_truth()` knows the state that was drawn. We look only to see whether the reasoning above was right, and change nothing because of it.

# %%
truth = data.load_truth().set_index("obs_id")
true = truth.loc[train.obs_id, "state"].to_numpy(str)
flipped, confidence = labels != true, chance.max(axis=1)
print(f"labels that are wrong: {flipped.mean():.3f}; ceiling found with them:", end=" ")
print(f"{balanced_accuracy_score(labels, true):.2f}")
print(f"the model and the label differ in {wrong['state'].mean():.3f} of rows;", end=" ")
print(f"of these the label is wrong in {flipped[wrong['state']].mean():.2f}")
for low, high in ((0.0, 0.7), (0.7, 0.9), (0.9, 1.01)):
    own = wrong["state"] & (confidence >= low) & (confidence < high)
    print(
        f"   confidence {low:.1f} to {min(high, 1):.1f}: {flipped[own].mean():.2f} of {own.sum()}"
    )
for n in (50, 100, 150, 200):
    print(f"among the first {n} suspects, wrong labels: {flipped[order[:n]].mean():.2f}")
print(f"against the truth: accuracy {np.mean(called == true):.3f}, and", end=" ")
print(f"balanced {balanced_accuracy_score(true, called):.3f}")

# %% [markdown]
# About two thirds of the model's "mistakes" are mistakes of the label; where the model is sure, nearly all are; where it hesitates, few. Trained on labels of which one in eighteen is wrong, it is right more often than its teacher. That can happen: mistakes that follow no feature average out. (Habits of the human, which *do* follow features, would have been learned, and the labels alone could not show it. Real labels have both.)

# %% [markdown] tags=["slide"]
# ## Is 90 % sure right in 90 %?
#
# A probability is a promise. Collect all rows in which the model was about 90 % sure: was it right in 90 % of them? Out of fold, by sources, against the labels.

# %%
edges = np.array([0.3, 0.6, 0.75, 0.85, 0.9, 0.95, 0.98, 1.0])
right_row = called == labels


def calibration(chosen):
    """Mean confidence, share of right rows, and its error from the skies, in bins of confidence."""
    for low, high in itertools.pairwise(edges):
        own = chosen & (confidence > low) & (confidence <= high)
        draws = [right_row[sky][own[sky]].mean() for sky in skies if own[sky].any()]
        yield confidence[own].mean(), right_row[own].mean(), np.std(draws, ddof=1)


each = pd.DataFrame({"sure": confidence, "hit": right_row, "object": objects})
each["variance"] = each.sure * (1 - each.sure)  # of a coin that keeps its promise
each = each.groupby([sources, "object"]).mean().reset_index("object")
each["error"] = np.sqrt(
    each.variance / pd.Series(sources).value_counts()
)  # of `hit`, if calibrated

# %% tags=["slide-next"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.9))
for kind, colour, marker in (("BH", "black", "o"), ("NS", "C1", "^")):
    sure, hit, error = np.transpose(list(calibration(objects == kind)))
    left.errorbar(sure, hit, error, color=colour, marker=marker, capsize=2, label=kind)
    own = each[each.object == kind]
    style = {"fmt": marker, "color": colour, "markersize": 4, "linewidth": 0.8}
    right.errorbar(own.sure, own.hit, own.error, **style)
for ax in (left, right):
    ax.plot([0.4, 1], [0.4, 1], color="0.6", linewidth=1)
    ax.axhline(0.94, color="C2", linestyle=":", label="ceiling: 6 % flips")
    ax.set(xlabel="mean confidence of the model", ylabel="share that agrees with the label")
left.set(xlim=(0.45, 1.01), ylim=(0.4, 1.03), title="in bins of confidence")
left.legend(loc="lower right")
right.set(xlim=(0.8, 1), ylim=(0.72, 1.09), title="one per source; bar: if calibrated")
plotting.show(fig, "08_confidence")

# %%
for sure, hit, error in calibration(np.ones(len(labels), bool)):
    print(f"sure {sure:.2f}   right {hit:.3f} ± {error:.3f}   {(hit - sure) / error:+5.1f} σ")
print(f"on the whole: sure {confidence.mean():.3f}, right {right_row.mean():.3f}")
top = confidence > 0.95
print(f"above 0.95, held against the truth: right {np.mean(called[top] == true[top]):.3f}")

off = (each.hit - each.sure) / each.error
print(f"sources, offset in units of its error: spread {off.std():.1f} (1 if all is well), largest:")
print(off[off.abs().sort_values().index[-3:]].round(1).to_dict())

# %% [markdown]
# In the middle the model is **underconfident**: where it says 0.7 it is right in about 0.8. Fitted to labels of which some are flips, it has learned to doubt. At the top it looks **overconfident**: 0.98 promised, 0.94 kept. But that is the ceiling again, since nobody can guess a flip; held against the truth, the same rows do better than they promised. A curve of calibration is calibrated on its labels. And source by source the promise is kept less well: the offsets spread by more than their errors, and one source lies more than three errors off, which is not for want of rows. A model can be calibrated on the whole and on no single source.

# %% [markdown]
# ## Residuals
#
# A good fit leaves nothing in the residuals but noise. Here a residual is a wrong row, and it should depend on nothing. We look along what physics and the archive would suggest: brightness, time (the gain drifts), the number of missing values, and, a reveal again, how near the true state is to a border: `softness` runs from 0, hard, to 1, soft, and the states meet at 0.33, 0.66 and 0.76.

# %%
softness = truth.loc[train.obs_id, "softness"].to_numpy()
to_border = np.abs(softness[:, None] - [0.33, 0.66, 0.76]).min(axis=1)
missing = train[list(STATE_FEATURES)].isna().sum(axis=1).to_numpy()
along = {
    "net rate per PCU (1/s)": (train.rate / train.n_det).to_numpy(),
    "MJD (d)": train.mjd.to_numpy(),
    f"missing features, of {len(STATE_FEATURES)}": missing.astype(float),
    "distance to a border, in softness": to_border,
}


def error_along(values, missed, n_bins=6):
    """Middle of each bin of about equal numbers, share of wrong rows, its error from the skies."""
    bins = pd.qcut(values, n_bins, labels=False, duplicates="drop")
    for number in np.unique(bins):
        own = bins == number
        draws = [missed[sky][own[sky]].mean() for sky in skies if own[sky].any()]
        yield np.median(values[own]), missed[own].mean(), np.std(draws, ddof=1)


# %%
fig, axes = plt.subplots(2, 2, figsize=(7.6, 5.4), sharey=True)
against = {
    "the human label": (called != labels, "o-", "C0"),
    "the truth": (called != true, "s--", "C1"),
}
for ax, (name, values) in zip(axes.flat, along.items(), strict=True):
    for what, (missed, style, colour) in against.items():
        middle, share, error = np.transpose(list(error_along(values, missed)))
        ax.errorbar(
            middle, share, error, fmt=style, color=colour, capsize=2, label=f"against {what}"
        )
    ax.set_xlabel(name)
axes[0, 0].set(xscale="log", ylabel="share of wrong rows", ylim=(0, 0.3))
axes[1, 0].set_ylabel("share of wrong rows")
axes[0, 0].xaxis.set_major_formatter("{x:g}")
axes[0, 0].legend()
plotting.show(fig, "08_wrong_along")

# %% [markdown]
# Nothing is left along time: the gain drift costs no states. Along the rate there is next to nothing either. But did the bright *sources* not fare better? What differs between sources need not act within one. Ask within:

# %%
faint = train.rate / train.n_det < (train.rate / train.n_det).groupby(sources).transform("median")
each = pd.DataFrame({"wrong": called != labels, "flip": flipped}).groupby([sources, faint]).mean()
halves = each.wrong.unstack()
more = halves[True] - halves[False]
print(f"faint half of a source minus bright half: {more.mean():+.3f} ± {more.sem():.3f}")
rate = np.log10(train.rate / train.n_det).groupby(sources).median()
rho = stats.spearmanr(rate, pd.Series(flipped).groupby(sources).mean())
print(f"share of flipped labels against rate: ρ = {rho.statistic:+.2f} (p = {rho.pvalue:.1g})")

# %% [markdown]
# Within a source the faint half is no worse than the bright one: the story of the photons does not hold. And the second line is a cold shower. The flips were drawn by a coin that knows no brightness, and yet 24 sources show a correlation that looks significant. We have asked many questions of 24 sources; some answers are luck.
#
# Along missing values there is a surprise: where nearly everything was measured, the model is not better, rather worse. Did measuring do harm? No: break, QPO, disc and power law are all there just when a source is in between, and this panel is the next one in disguise. The thing that matters is the distance to a border. A state is a drawer, softness is a scale; whoever sits on the edge of two drawers will be misfiled by everyone, and the distance between the two curves, the flips, is about the same everywhere. These mistakes are no scandal: they are what rounding looks like. If your science needs the transitions, predict the *number* and not the drawer.

# %% [markdown]
# ## What would an astronomer with a ruler have got?
#
# A score means something beside another score on the same rows. The humblest reference says "LHS" always. A better one is the wheel of power colours: the hue alone names the state.

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
# The other is the table of lesson 1, after Remillard & McClintock (2006). It knows a "steep power law" state where we have HIMS and SIMS; the fair comparison has three states, with all between hard and soft called *intermediate*. Where the rms is missing and would decide, there is no answer. And we cheat a little, knowingly: their rms ends at 10 Hz, our column at 64. (`features.hue_states` is the wheel's recipe, to keep.)

# %%
f, r, index = (train[name].to_numpy() for name in ("disc_frac", "rms_0p1_64", "gamma"))
hard = (f < 0.2) & (index > 1.4) & (index < 2.1)
thermal = (f > 0.75) & ~(train.qpo_rms.to_numpy() > 0.005)
no_answer = (hard | thermal) & np.isnan(r)
by_cuts = np.select(
    [no_answer, hard & (r > 0.1), thermal & (r < 0.075)], ["", "LHS", "HSS"], "intermediate"
)
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
rows = []
for name, (says, label, we_say) in rivals.items():
    for kind in ("BH", "NS"):
        own = (objects == kind) & (says != "")
        score = {"rival": name, "object": kind, "rows": own.sum()}
        score["answers"] = own.sum() / (objects == kind).sum()
        for who, said in (("", says), (" (ours)", we_say)):
            score[f"accuracy{who}"] = np.mean(said[own] == label[own])
            score[f"balanced{who}"] = balanced(own, said, label)
        rows.append(score)
table = pd.DataFrame(rows).set_index(["rival", "object"]).round(2)

lost = (objects == "BH") & (labels == "HSS") & (by_cuts == "intermediate")
print(f"black holes labelled HSS, by the cuts intermediate: {lost.sum()},", end=" ")
print(f"of which the rms is above 0.075 in {np.mean(r[lost] > 0.075):.2f}")
table

# %% [markdown]
# Read the line "hue wheel, BH" with care: *on black holes that have a hue, an angle and four published borders do about as well as our fourteen features*, and in balanced accuracy not worse. For what the borders were made for, nobody needs to learn anything from data. But the wheel has an answer for little more than a third of all rows, the bright and variable ones, and on neutron stars it fails, since their noise is faster. What we gain is *coverage*. That is no small thing, but say so, instead of quoting one number for each.
#
# The cuts lose neutron stars first: nearly all of their soft states have a fitted disc share below 0.75, bright or faint, for disc plus power law is a black hole's model. Among black holes they lose the faint soft states, whose rms is above 0.075: partly noise, and partly real, for a cooler disc dilutes less (lesson 04). Nobody meant the cuts for such data. A fair comparison says what its rival was made for.
#
# Is a difference real? All parties judged the same pointings of the same sources, so what is hard for one is hard for the other: take the difference **source by source**, and let the sources vote.

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
fig, ax = plt.subplots(figsize=(7.4, 3.6))
lines = [(name, kind) for name in rivals for kind in ("BH", "NS")]
for place, (name, kind) in enumerate(lines):
    says, label, we_say = rivals[name]
    own = (objects == kind) & (says != "")
    ours, theirs = we_say[own] == label[own], says[own] == label[own]
    mean, error = paired_difference(ours, theirs, sources[own])
    each = pd.Series(ours.astype(float) - theirs).groupby(sources[own]).mean()
    ax.plot(each, np.full(len(each), place - 0.18), "|", color="0.5", markersize=9)
    colour, marker = ("black", "o") if kind == "BH" else ("C1", "^")
    ax.errorbar(mean, place + 0.1, xerr=error, color=colour, marker=marker, capsize=3)
    print(f"ours minus {name:22s} {kind}: {mean:+.3f} ± {error:.3f}, {len(each)} sources")
ax.axvline(0, color="0.5", linewidth=1)
ax.set_yticks(range(len(lines)), [f"{name}, {kind}" for name, kind in lines])
ax.set(xlabel="difference in accuracy, ours minus theirs; ticks: single sources")
ax.invert_yaxis()
plotting.show(fig, "08_rivals")

# %% [markdown]
# And balanced accuracy, which has no value for a single source (few have all four states), from the skies:

# %%
for kind in ("BH", "NS"):
    own = (objects == kind) & (by_hue != "")
    chosen = [sky[own[sky]] for sky in skies]
    error = scatter(lambda rows: balanced(rows) - balanced(rows, said=by_hue), chosen)
    here = balanced(own) - balanced(own, said=by_hue)
    print(f"balanced accuracy, ours minus the wheel, {kind}: {here:+.3f} ± {error:.3f}")

# %% [markdown]
# ## Learning from mistakes, without learning them by heart
#
# Having seen all this, we itch to change something. Every change from now on is a *choice*, made on data that we have looked at, so we count our choices, give each a reason before we try it, and judge all by the same yardstick. Two candidates with good reasons:
#
# 1. **Class weights.** Rare states are found half of the time, so let each of their rows count more (`class_weight="balanced"`). Lesson 07 saw no gain on the validation sources; why not?
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
said = {name: [] for name in candidates}
for seed in tqdm(range(5), delay=5, leave=False):  # the same five deals for all three
    cut = GroupKFold(5, shuffle=True, random_state=seed)
    for name, (candidate, more) in candidates.items():
        said[name].append(
            cross_val_predict(candidate, train, labels, groups=sources, cv=cut, params=more)
        )

# %%
before = np.array([balanced(everything, s) for s in said["as it is"]])
print(f"as it is       balanced accuracy {before.mean():.3f}")
for name in ("class weights", "trust"):
    gain = np.array([balanced(everything, s) for s in said[name]]) - before
    error = scatter(
        lambda k, s=said[name][0]: balanced(k, s) - balanced(k, said["as it is"][0]), skies
    )
    print(f"{name:14s} {gain.mean():+.3f} ± {error:.3f} by sources", end="; ")
    print(f"five deals: {gain.min():+.3f} to {gain.max():+.3f}")

# %% [markdown]
# **Your prediction:** with class weights it falls; with trust it rises a little. The textbook cure does harm. Class weights make each row of the rare class count several times, and nearly half of *these* rows are HSS with the wrong label: they shout the noise. (Had we not looked at the confusion and its ceiling, we would have used them without a thought.) Trusting the trustworthy helps a little. Now one look at the validation sources, at the model as it was and at the one change that might help:

# %%
for name in ("as it is", "trust"):
    candidate, more = candidates[name]
    fitted = clone(candidate).fit(train, labels, **(more or {}))
    there = balanced(everything, fitted.predict(validation), elsewhere)
    print(f"{name:10s} {there:.3f} on {validation.source_id.nunique()} other sources")

# %% [markdown]
# One more candidate, which you will be offered: "let the model correct the labels of its suspects, and train again". Watch what happens to the score.

# %%
corrected = labels.copy()
corrected[order[:150]] = called[order[:150]]
again = cross_val_predict(model, train, corrected, groups=sources, cv=StratifiedGroupKFold(5))
print(f"before                              {balanced(everything):.3f}")
print(f"scored against the corrected labels {balanced(everything, again, corrected):.3f}")
print(f"scored against the old labels       {balanced(everything, again):.3f}")
there = balanced(everything, clone(model).fit(train, corrected).predict(validation), elsewhere)
print(f"on the validation sources           {there:.3f}")

# %% [markdown]
# The first gain is enormous, and made of paper: we let the pupil mark their own exam. Even the small second one is not clean, because the corrections came from models that had seen the very rows which are scored now. On sources that nobody touched, nothing is gained. Use suspects to *ask a human again*, without showing them what the model thinks; never to grade.
#
# For lesson 12 we write down now: what we tried after looking (class weights and corrected labels, which did not help; weights by trust, which helped by less than two of their errors and are left out to keep the model simple), the sources on which we expect to fail (fast black holes), the rival to beat on equal rows (the wheel, on black holes), and an error bar that counts sources.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Cross-validation gives every row one honest prediction; its spread over folds is not the error of its mean. The error that matters counts sources.
# - A mean hides whole sources on which a model fails. Plot each of them, and ask why like an astronomer.
# - Know the ceiling that label noise sets; with unequal classes it is far lower than 1 minus the share of wrong labels, and the obvious cure makes it worse.
# - Confident disagreements are a list of labels to read again. Never let the model correct its own exam.
# - Compare with the published recipe, on equal rows, paired by source. Where it is as good, say so.

# %% [markdown]
# **Further reading.** Y. Bengio & Y. Grandvalet, *No unbiased estimator of the variance of k-fold cross-validation* (JMLR 5, 1089, 2004): why folds give no error · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): diagnosing models, with exercises · J. Buchner & S. Fotopoulou, 2024 ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222)): setting up a first project · D. Huppenkothen, M. Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)): what to report, and why · scikit-learn user guide, [Cross-validation: evaluating estimator performance](https://scikit-learn.org/stable/modules/cross_validation.html): every cutter with a picture.
