# %% [markdown]
# # 6 · Choosing an evaluation metric
#
# | **The question** | Every model makes mistakes. Which ones can you afford, and which number tells? |
# |---|---|
# | **Afterwards you can** | compute recall, specificity, precision, F and AUC by hand, with error bars; choose a threshold from what a false alarm and a miss cost, and check whether the probabilities deserve it; choose one metric for your own question and defend it |
# | **Time** | 45 min of reading or teaching, 66 min of exercises |
# | **Data** | simulated: the training and the validation set of the RXTE archive, see `data/README.md` |
# | **Run time** | below 30 s on two cores |

# %%
import itertools

import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn import metrics
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, cross_val_predict
from sklearn.pipeline import make_pipeline

from course.checks import lesson_06 as check
from helpers import data, plotting
from helpers.preprocessing import GROUPS, preprocessor

plotting.use_course_style()

# %% [markdown] tags=["slide"]
# ## A job with a price
#
# Tonight's pointings come in. A source crosses from hard to soft, in the hard- or soft-intermediate state (HIMS, SIMS). This is worth a call to another telescope: in a few days it is over. A wrong call wastes 10 ks of somebody's time. Without a call the transition is lost, perhaps for years.

# %% [markdown]
# Metrics come *before* models, because a metric says what "better" means. So the model is a black box today; lesson 7 opens it. It learns from 24 sources. For each pointing of 13 other sources it gives four probabilities, one per state: low/hard (LHS), HIMS, SIMS and high/soft (HSS).

# %%
STATES, TRANSITION = ["LHS", "HIMS", "SIMS", "HSS"], ["HIMS", "SIMS"]
train, validation = data.load_split()


def transition_score(model, table):
    """Probability that a pointing is in HIMS or SIMS (n_rows,)."""
    probability = pd.DataFrame(model.predict_proba(table), columns=model.classes_)
    return probability[TRANSITION].sum(axis=1).to_numpy()


model = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000))
model.fit(train, train.state_label)
score = transition_score(model, validation)
label = validation.state_label.isin(TRANSITION).to_numpy()
print(f"{len(label)} pointings, {label.mean():.1%} of them labelled a transition")

# %% [markdown]
# ## Ten pointings by hand
#
# We picked ten of them so that everything happens. `score` is the model's probability. We call a transition from 0.5 on, and quiet below.

# %%
picked = ["R00392", "R01249", "R01886", "R01939", "R01966"]
picked += ["R02082", "R04319", "R04644", "R04792", "R04913"]
of_ten = validation.obs_id.isin(picked).to_numpy()
ten = validation.loc[of_ten, ["obs_id", "state_label"]].assign(score=score[of_ten].round(2))
ten["label"] = np.where(label[of_ten], "transition", "quiet")
ten["call"] = np.where(ten.score >= 0.5, "transition", "quiet")
ten

# %% [markdown]
# Label and call make four boxes, the **confusion matrix**. *Positive* is what we look for.
#
# | | called transition | called quiet |
# |---|---|---|
# | **is a transition** | true positive, TP | false negative, FN: a miss |
# | **is quiet** | false positive, FP: a false alarm | true negative, TN |
#
# Nearly all metrics come from these four numbers and two questions. *How much of what is there did I find?*
#
# $$\text{recall} = \text{sensitivity} = \frac{TP}{TP + FN},\qquad \text{specificity} = \frac{TN}{TN + FP}.$$
#
# *How much of what I called is real?* One number $F$ is made from both. It is their harmonic mean, which is small if either is small:
#
# $$\text{precision} = P = \frac{TP}{TP + FP},\qquad F = \frac{2PR}{P + R} = \frac{2\,TP}{2\,TP + FP + FN},$$
#
# with $R$ the recall. If recall matters $\beta$ times as much as precision, $F_\beta = (1 + \beta^2)PR/(\beta^2 P + R)$.

# %% [markdown] tags=["slide"]
# ## Exercise 6.1 · Four boxes  ·  core · 8 min · ●○○
#
# Pencil and paper, ten rows, eight numbers. Two digits, rounded, will do, or the fraction itself, such as `3 / 7`.

# %%
# solution: go through the table row by row and make a tally of four; only then divide
ten_pointings = {
    "TP": 2,
    "FN": 2,
    "FP": 1,
    "TN": 5,
    "recall": 2 / 4,
    "specificity": 5 / 6,
    "precision": 2 / 3,
    "F": 4 / 7,
}
# end solution

ten_pointings = check.ten_pointings(ten_pointings)

# %% [markdown]
# In scikit-learn's matrix rows are labels, columns are calls, and `False` comes first. It is easy to take TN for TP.

# %%
is_there, called = (ten[column].to_numpy() == "transition" for column in ("label", "call"))
print(metrics.confusion_matrix(is_there, called))
by_library = {
    "recall": metrics.recall_score(is_there, called),
    "specificity": metrics.recall_score(is_there, called, pos_label=False),  # recall of quiet
    "precision": metrics.precision_score(is_there, called),
}
by_library |= {f"F, β = {b}": metrics.fbeta_score(is_there, called, beta=b) for b in (0.5, 1, 2)}
pd.Series(by_library, name="ten pointings").round(2).to_frame()

# %% [markdown]
# ### How much do ten pointings know?
#
# A recall is a share of successes, so its error bar is binomial: the exact interval of Clopper & Pearson (1934). It assumes that the pointings are independent; at the end of this lesson we ask whether they are. It also assumes that they were drawn at random. Our ten were not: we picked them.


# %%
def with_error(hits, of):
    """A share of some cases, with its 95 per cent interval."""
    low, high = binomtest(int(hits), int(of)).proportion_ci(0.95, method="exact")
    return {"share": hits / of, "from": low, "to": high, "of": int(of)}


call = score >= 0.5
intervals = {
    "recall of ten": with_error(2, 4),
    "precision of ten": with_error(2, 3),
    "recall of all": with_error((call & label).sum(), label.sum()),
    "precision of all": with_error((call & label).sum(), call.sum()),
}
pd.DataFrame.from_dict(intervals, orient="index").round(2)

# %% [markdown]
# From ten pointings we know that the recall is neither 0 nor 1, and not more. And among a thousand pointings only the positives inform the recall: **the number in the denominator counts**, not the size of the table.

# %% [markdown] tags=["slide"]
# ## Exercise 6.2 · Write the four  ·  core · 12 min · ●●○
#
# Return recall, specificity, precision and $F$, in this order, for arrays of true and false. A model that never calls has no precision: here a share of nothing is `nan`, not 0. Take $F$ from the counts: it is undefined only without any transition *and* any call.


# %%
def rates(label, call):
    """Recall, specificity, precision and F of calls (n,) against labels (n,), both true or false."""
    # solution: four sums of label, call and their opposites (~); then four divisions that survive a zero
    tp, fn = np.sum(label & call), np.sum(label & ~call)
    fp, tn = np.sum(~label & call), np.sum(~label & ~call)
    pairs = ((tp, tp + fn), (tn, tn + fp), (tp, tp + fp), (2 * tp, 2 * tp + fp + fn))
    return [above / below if below else np.nan for above, below in pairs]
    # end solution


rates = check.rates(rates)

# %% [markdown]
# ## Accuracy flatters
#
# Now we use the whole validation set, and two rivals that know no physics: one never calls, one always does.

# %%
rivals = {"model, 0.5 or more": call, "never call": call & False, "always call": call | True}
columns = ["recall", "specificity", "precision", "F"]
table = pd.DataFrame([rates(label, c) for c in rivals.values()], rivals, columns)
table.insert(0, "accuracy", [metrics.accuracy_score(label, c) for c in rivals.values()])
table["balanced accuracy"] = (table.recall + table.specificity) / 2
table.round(2)

# %% [markdown]
# "Never" is right in more than eight of ten pointings. So the **accuracy**, the share of right calls, mostly tells how rare transitions are. An accuracy means nothing without that of the best constant answer beside it. The **balanced accuracy**, here the mean of recall and specificity, gives one half to everybody who does not look. ($F$ does not use the TN at all.)

# %% [markdown]
# ### Four states
#
# With four classes each class has a recall: the share of its row that lies on the diagonal.

# %%
state = model.predict(validation)
counts = metrics.confusion_matrix(validation.state_label, state, labels=STATES)
share = pd.DataFrame(counts / counts.sum(axis=1, keepdims=True), STATES, STATES)
fig, ax = plt.subplots(figsize=(5.6, 4.4))
plotting.heat_map(ax, share, fontsize=12)
ax.set(xlabel="state called by the model", ylabel="state label", title="share of the row")
plotting.show(fig, "06_confusion", colours=64)

# %%
steps_off = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))  # LHS, HIMS, SIMS, HSS in order
recall_of_states = np.diag(share)
print(f"macro average, each class the same:    {recall_of_states.mean():.2f}  (balanced accuracy)")
print(f"micro average, each pointing the same: {np.trace(counts) / counts.sum():.2f}  (accuracy)")
errors = counts[steps_off > 0].sum()
print(f"errors: {errors}, of them between neighbours {counts[steps_off == 1].sum() / errors:.0%}")

# %% [markdown]
# Two averages tell two stories. And the errors have an order: states are stations on one road, and hardly anybody takes LHS for HSS. A metric that counts all errors alike does not know that.
#
# A recall of 0.3 for SIMS looks bad. Remember it. Before the lesson is over you will ask who is to blame.

# %% [markdown] tags=["slide"]
# ## The threshold is yours
#
# The model gives a probability. A threshold turns it into a call. 0.5 is a default, not a law.
#
# ### Predict first
#
# At a threshold of 0.5 the model finds about half of the labelled transitions. Now we call from a probability of 0.2 on. What will the recall be? Write your guess as a share between 0 and 1.

# %%
my_guess = ...  # recall at a threshold of 0.2


# %%
def draw_threshold(threshold):
    """Scores of both kinds, with the threshold and the four boxes."""
    fig, ax = plt.subplots(figsize=(8, 4.4))
    bins, look = np.linspace(0, 1, 41), {"histtype": "step", "linewidth": 2}
    ax.hist(score[~label], bins, color="0.75", label="labelled quiet")
    ax.hist(score[label], bins, color="C1", label="labelled transition", **look)
    ax.axvline(threshold, color="black", linestyle="--", label="threshold")
    ax.set(xlabel="probability of a transition, says the model", ylabel="pointings in 0.025")
    (tn, fp), (fn, tp) = metrics.confusion_matrix(label, score >= threshold)
    found = dict(zip(columns, np.round(rates(label, score >= threshold), 2), strict=True))
    text = ", ".join(f"{name} {value:.2f}" for name, value in found.items())
    ax.set_title(f"TP {tp}, FN {fn}, FP {fp}, TN {tn}:  {text}", fontsize=11)
    ax.set(yscale="log", ylim=(0.7, 500), xlim=(0, 1))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.legend(loc="upper right", frameon=True, edgecolor="none")
    plotting.show(fig, "06_threshold", threshold=threshold)


# %% tags=["nbval-ignore-output"]
slider = ipywidgets.FloatSlider(
    value=0.5, min=0.0, max=1.0, step=0.05, description="threshold", continuous_update=False
)
ipywidgets.interactive(draw_threshold, threshold=slider)

# %% tags=["slide"]
thresholds = np.linspace(0.01, 0.99, 99)
by_threshold = pd.DataFrame([rates(label, score >= t) for t in thresholds], thresholds, columns)
ax = by_threshold[["recall", "precision", "F"]].plot(style=["-", "--", ":"], figsize=(8, 4.2))
ax.set(xlabel="threshold on the probability", ylabel="share", xlim=(0, 1), ylim=(0, 1.02))
plotting.mark_guess(ax, my_guess, axis="y")
plotting.show(ax, "06_recall_and_precision", colours=64)
by_threshold.iloc[[49, 19]].round(2).rename_axis("threshold")

# %% [markdown]
# **The answer:** 0.54. Did you guess higher? Many labelled transitions are at the far left of the histogram: for the model they are hard or soft states like any other. No sensible threshold finds them. Is the model blind? We come back to this question.

# %% [markdown]
# ## All thresholds at once
#
# A **ROC curve** draws recall against the rate of false alarms, 1 − specificity, for all thresholds. Its area, the **AUC**, has a meaning of its own: the probability that a random positive has a higher score than a random negative. We can count it.

# %% [markdown] tags=["slide"]
# ## Exercise 6.3 · The area, by counting  ·  core · 8 min · ●●○
#
# Over all pairs of one positive and one negative: in which share has the positive the higher score? Equal scores are undecided; count such a pair half.


# %%
def auc(label, score):
    """Probability that a positive of `label` (n,) has a higher `score` (n,) than a negative."""
    # solution: score[label][:, None] - score[~label] holds the difference of every pair
    difference = score[label][:, None] - score[~label]
    return np.mean(difference > 0) + np.mean(difference == 0) / 2
    # end solution


auc = check.auc(auc)

# %%
n_pairs = is_there.sum() * (~is_there).sum()
print(f"the ten pointings: {auc(is_there, ten.score.to_numpy()):.2f} of {n_pairs} pairs")
one_colour = make_pipeline(preprocessor(["hr_soft"]), LogisticRegression(max_iter=2000))
one_colour.fit(train, train.state_label)
scores = {"all features": score, "one colour": transition_score(one_colour, validation)}
areas = {
    name: (auc(label, s), metrics.average_precision_score(label, s)) for name, s in scores.items()
}
pd.DataFrame(areas, ["AUC", "average precision"]).T.round(2)

# %% [markdown]
# A second model sees only one colour, `hr_soft`. By the AUC it is nearly as good. The **average precision**, the area under the curve of precision against recall, disagrees strongly. Which one do we believe?

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4))
for (name, s), line in zip(scores.items(), ("-", "--"), strict=True):
    false_alarms, found, _ = metrics.roc_curve(label, s)
    left.plot(false_alarms, found, line, label=name)
    real, found, _ = metrics.precision_recall_curve(label, s)
    right.plot(found[:-1], real[:-1], line, label=name)
left.axline((0, 0), slope=1, color="0.5", linestyle=":", label="a coin")
right.axhline(label.mean(), color="0.5", linestyle=":")
left.set(xlabel="false alarms: 1 − specificity", ylabel="recall", title="ROC")
right.set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title="precision and recall")
left.legend(loc="lower right")
plotting.show(fig, "06_roc_and_precision", colours=64)

# %% [markdown]
# Most of the ROC's area belongs to rates of false alarms that nobody would accept: 0.4 means that four of ten quiet pointings raise an alarm. There the two models are alike. At the left edge, where we would work, they are very different, and the right panel enlarges this edge. Quiet pointings are many. So a *rate* of false alarms looks harmless even when there are more false alarms than hits.

# %% [markdown] tags=["slide"]
# ## Precision depends on how rare it is
#
# Recall and specificity each use one class. Precision mixes the classes, so it depends on their proportion, the **prevalence** π. Bayes' theorem gives $P(\text{transition}\,|\,\text{call})$:
#
# $$\text{precision} = \frac{\text{recall}\cdot\pi}{\text{recall}\cdot\pi + (1 - \text{specificity})(1 - \pi)}.$$
#
# In our archive, pointings follow outbursts, and transitions are common. In an all-sky monitor they may be one in a hundred. Take the same model and the same threshold. **Predict**: of ten alarms there, how many are real?

# %%
my_guess_alarms = ...  # real ones among ten alarms, a number

# %% [markdown] tags=["slide"]
# ## Exercise 6.4 · Rare things  ·  core · 6 min · ●○○
#
# Write the formula as a function that also takes an array of prevalences.


# %%
def precision_at(recall, specificity, prevalence):
    """Precision where a share `prevalence` (a number or an array) is positive."""
    # solution: hits above; below, hits and false alarms, both as shares of all pointings
    hits = recall * prevalence
    return hits / (hits + (1 - specificity) * (1 - prevalence))
    # end solution


precision_at = check.precision_at(precision_at)

# %% [markdown]
# Is it true? Throw away labelled transitions of the validation set at random until as few are left as we wish, and count. Do so a hundred times, for the scatter.


# %%
def thinned(prevalence, generator):
    """Rows of the validation set after throwing away positives, or negatives, down to a prevalence."""
    odds = prevalence / (1 - prevalence) * np.mean(~label) / np.mean(label)
    keep = np.where(label, min(1, odds), min(1, 1 / odds))
    return generator.random(len(label)) < keep


generator = np.random.default_rng(6)
recall, specificity, *_ = rates(label, call)
prevalences = np.array([0.01, 0.03, 0.1, 0.3, 0.6])
counted = []
for prevalence in prevalences:
    draws = [thinned(prevalence, generator) for _ in range(100)]
    counted.append([rates(label[d], call[d])[2] for d in draws])

# %% tags=["slide"]
grid, counted = np.geomspace(0.003, 0.9, 100), np.array(counted)
fig, ax = plt.subplots(figsize=(8, 4.4))
ax.plot(grid, precision_at(recall, specificity, grid), label="Bayes")
ax.errorbar(prevalences, counted.mean(1), counted.std(1), fmt="ko", capsize=3, label="counted")
ax.axvline(label.mean(), color="0.5", linestyle=":", label="this archive")
ax.set(xscale="log", ylim=(0, 1.02), xlabel="prevalence of transitions", ylabel="precision")
ax.xaxis.set_major_formatter("{x:g}")
ax.legend(loc="lower right")
plotting.show(fig, "06_prevalence", colours=64)
for p in (label.mean(), 0.01):
    print(f"precision {precision_at(recall, specificity, p):.2f} at a prevalence of {p:.0%}")

# %% [markdown]
# **The answer:** about three of ten alarms are real.
#
# Nothing happened to the model. Its recall and specificity stayed, and so did the ROC curve and its AUC. But at one per cent most alarms are false. A precision, an $F$, an average precision or an accuracy is half a number without its prevalence. You cannot carry it to another archive.

# %% [markdown]
# ### The human reader is a classifier, too
#
# Our labels come from a person who errs in about 6 % of the pointings. This sounds harmless. But quiet pointings are many, and the formula knows what follows. In this simulation, *and only in a simulation*, we can look at the truth. Nobody has this cell for real data. We look once, at the validation set, and never train on it.

# %%
truth = data.load_truth().set_index("obs_id").state
true_state = truth.loc[validation.obs_id].to_numpy()
truly = np.isin(true_state, TRANSITION)
recall_human, specificity_human, precision_human, _ = rates(truly, label)
print(f"the labels agree with the truth in {np.mean(validation.state_label == true_state):.1%}")
print(f"human recall {recall_human:.2f}, specificity {specificity_human:.2f}")
by_formula = precision_at(recall_human, specificity_human, truly.mean())
print(f"human precision {precision_human:.2f}; the formula says {by_formula:.2f}")

# %%
human_label = validation.state_label.to_numpy()
against = {  # (what counts as right, what is called, its score)
    "labels against truth": (true_state, human_label, 1.0 * label),
    "model against labels": (human_label, state, score),
    "model against truth": (true_state, state, score),
    "perfect model against labels": (human_label, true_state, 1.0 * truly),
}
found_against = {}
for name, (right, said, s) in against.items():
    positive = np.isin(right, TRANSITION)
    found_against[name] = {
        "accuracy": metrics.accuracy_score(right, said),
        "balanced accuracy": metrics.balanced_accuracy_score(right, said),
        "recall of transitions": rates(positive, np.isin(said, TRANSITION))[0],
        "AUC of transitions": auc(positive, s),
    }
pd.DataFrame(found_against).T.round(3)

# %% [markdown]
# More than a third of the pointings that are *labelled* as transitions are none: they are a small share of the many quiet pointings, but many beside the few real transitions. No threshold could find these. By accuracy, row by row, the model is **closer to the truth than the labels it learned from**, and no score against the labels can show it. By balanced accuracy it is not: the model misses several times as many true transitions as the reader (*recall of transitions*, first and third row). The metric decides who is better.
#
# We said one thing too early. Recall and AUC keep their values in another archive *if the labels are right*. Where true transitions are rarer and the reader errs as often, more of the labelled ones are mistakes. Then recall, AUC and balanced accuracy all fall.
#
# So there are three rules for noisy labels. Know the ceiling: in this archive about 94 % in accuracy, and far less in the recall of a rare class. Do not tune against the last per cent below it. Compare models with each other on the same labels, for noise pulls them all down.

# %% [markdown]
# ## Does 0.7 mean seven of ten?
#
# A forecaster who says "70 % rain" should see rain on seven of ten such days. If so, the probabilities are **calibrated**. This is another virtue than ranking: square all scores, and the AUC stays, but the calibration is gone. A **reliability diagram** shows it: sort pointings into bins of the forecast, and draw what happened against what was said.

# %% [markdown] tags=["slide"]
# ## Exercise 6.5 · What was said, and what happened  ·  core · 14 min · ●●●
#
# Return three arrays, with one value for each of the $k$ bins between `edges` (a score on an edge belongs to the bin above, a score of exactly 1 to the last): the mean of the scores in it, the share of true labels, the number of pointings. An empty bin keeps its place with `nan`, `nan` and 0.


# %%
def reliability(label, score, edges):
    """Mean forecast, observed share and number of pointings in each of the k bins between k + 1 edges."""
    # solution: np.digitize numbers the bins from 1; np.clip keeps a score of 1.0 in the last
    place = np.clip(np.digitize(score, edges) - 1, 0, len(edges) - 2)
    rows = []
    for k in range(len(edges) - 1):
        inside, n = place == k, np.sum(place == k)
        rows.append((score[inside].mean(), label[inside].mean(), n) if n else (np.nan, np.nan, 0))
    return np.transpose(rows)
    # end solution


reliability = check.reliability(reliability)

# %% [markdown]
# Now an experiment. "The classes are imbalanced, so set `class_weight='balanced'`" is advice that you will read everywhere. Rare classes then count as much in training as frequent ones. (To repeat or to drop rows until the classes are equal, *resampling*, does the same.)

# %%
balanced = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000, class_weight="balanced"))
balanced.fit(train, train.state_label)
forecasts = {"plain": score, "balanced": transition_score(balanced, validation)}
quality = {
    name: (auc(label, s), metrics.brier_score_loss(label, s), metrics.log_loss(label, s), s.mean())
    for name, s in forecasts.items()
}
print(f"labelled a transition: {label.mean():.2f}")
pd.DataFrame(quality, ["AUC", "Brier score", "log loss", "mean forecast"]).T.round(3)

# %% tags=["slide"]
edges = np.array([0, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
fig, ax = plt.subplots(figsize=(6, 5))
ax.axline((0, 0), slope=1, color="0.5", linestyle=":", label="calibrated")
for (name, s), look in zip(forecasts.items(), ("o-", "s--"), strict=True):
    forecast, observed, n = map(np.asarray, reliability(label, s, edges))
    error = np.sqrt(observed * (1 - observed) / n)  # binomial
    ax.errorbar(forecast, observed, error, fmt=look, capsize=3, label=name)
ax.set(xlabel="mean forecast of the bin", ylabel="share labelled a transition")
ax.legend(loc="upper left")
plotting.show(fig, "06_reliability", colours=64)

# %%
in_bins = {}
for (name, s), (low, high) in itertools.product(forecasts.items(), ((0.2, 0.4), (0.6, 0.8))):
    inside = (s >= low) & (s < high)
    seen = with_error(label[inside].sum(), inside.sum())
    in_bins[name, f"{low} to {high}"] = {"said": s[inside].mean()} | seen
pd.DataFrame.from_dict(in_bins, orient="index").round(2)

# %% [markdown]
# Balancing left the ranking as it was and made the probabilities far too large: where the balanced model says 60–80 %, a transition is the exception. It was trained for a world in which all states are equally common, and it describes that world. The **Brier score** is the mean squared distance of forecast and outcome. The **log loss** is the mean of $-\ln$ of the probability that was given to what happened. Both notice it; the AUC cannot. (Both are smallest for the true probabilities: *proper scores*.)
#
# What the plain model calls 20–40 % happened less often, too, but its interval includes the forecast.

# %% [markdown]
# ## What a mistake costs
#
# Now the prices, in kiloseconds of telescope time. A hit is worth its time. A quiet pointing left alone costs nothing.
#
# | | called transition | called quiet |
# |---|---|---|
# | **is a transition** | 0 | miss: $C_\mathrm{FN}$ = 40 ks, what we would pay for one more |
# | **is quiet** | false alarm: $C_\mathrm{FP}$ = 10 ks | 0 |
#
# With a probability $p$, a call costs $(1 - p)\,C_\mathrm{FP}$ on average, and no call $p\,C_\mathrm{FN}$. So call where
#
# $$p \ge p^\ast = \frac{C_\mathrm{FP}}{C_\mathrm{FP} + C_\mathrm{FN}} = \frac{10}{10 + 40} = 0.2.$$
#
# This needs no data, only prices. There is one condition: $p$ must be a probability, and not just a score.

# %% [markdown] tags=["slide"]
# ## Exercise 6.6 · The bill  ·  core · 10 min · ●●○
#
# Check it. Return one number for each of several thresholds: what do the mistakes cost per pointing, on average, if we call where the score is at or above the threshold?


# %%
def mean_cost(label, score, thresholds, false_alarm, miss):
    """Cost per pointing at each of k thresholds (k,), in the unit of the prices of the two mistakes."""
    # solution: for one threshold first: the shares of false alarms and of misses among all pointings
    costs = []
    for threshold in thresholds:
        call = score >= threshold
        costs.append(false_alarm * np.mean(call & ~label) + miss * np.mean(~call & label))
    return np.array(costs)
    # end solution


mean_cost = check.mean_cost(mean_cost)

# %% [markdown]
# We add a third forecast: the plain model, **recalibrated**. On training sources that the model did not see (scikit-learn leaves out a fifth of them at a time: lesson 8), we fit a rising staircase from score to what happened, an *isotonic regression*. Then we apply this staircase to the validation scores.


# %%
def recalibrated(model):
    """Scores of the validation set, through a staircase from training sources left out."""
    folds = {"cv": GroupKFold(5), "groups": train.source_id, "method": "predict_proba"}
    left_out = cross_val_predict(model, train, train.state_label, **folds)
    left_out = pd.DataFrame(left_out, columns=model.classes_)[TRANSITION].sum(axis=1)
    staircase = IsotonicRegression(out_of_bounds="clip")
    staircase.fit(left_out, train.state_label.isin(TRANSITION))
    return staircase.predict(transition_score(model, validation))


three = forecasts | {"recalibrated": recalibrated(model)}

# %%
cuts = np.linspace(0, 1.01, 102)
costs = {name: np.asarray(mean_cost(label, s, cuts, 10, 40)) for name, s in three.items()}  # ks
costs = pd.DataFrame(costs, cuts)
ax = costs.plot(style=["-", "--", "-."], figsize=(8, 4.6))
ax.axhline(40 * label.mean(), color="0.5", linestyle=":", label="never call")
ax.axvline(0.2, color="black", linewidth=0.8, label="p* from the prices")
ax.set(xlim=(0, 1), ylim=(0, 9), xlabel="threshold", ylabel="cost per pointing (ks)")
ax.legend(ncols=2, loc="lower right")
plotting.show(ax, "06_cost", colours=64)
least = {"at p* (ks)": costs.iloc[20], "least (ks)": costs.min(), "least at": costs.idxmin()}
pd.DataFrame(least).round(2).rename_axis("cost per pointing")

# %% [markdown]
# For the recalibrated model the threshold from the prices is nearly the cheapest one, without a search. For the plain model 0.2 is a little low, just where its diagram was below the diagonal. For the balanced model the same threshold about doubles the cost. At 0.7 it would do nearly as well as the others, but nothing in the prices says 0.7. **Calibrate, and the threshold follows from the prices.**
#
# (A threshold at the minimum of this very curve is picked on the validation set: the least cost is a little too good to be true.)

# %% [markdown]
# ### Other prices, other winners
#
# Each strategy acts at its own $p^\ast$. We add a second recalibrated model, a random forest.

# %%
forest = RandomForestClassifier(50, min_samples_leaf=5, random_state=0)
forest = make_pipeline(preprocessor(), forest).fit(train, train.state_label)
strategies = {
    "never call": np.zeros(len(label)),
    "always call": np.ones(len(label)),
    "logistic": three["recalibrated"],
    "forest": recalibrated(forest),
}

# %%
bills = {}
for false_alarm, miss in ((40, 10), (10, 40), (10, 300)):
    p_star = np.array([false_alarm / (false_alarm + miss)])
    bills[f"{false_alarm} : {miss}"] = {
        name: mean_cost(label, s, p_star, false_alarm, miss)[0] for name, s in strategies.items()
    }
bills = pd.DataFrame(bills)
bills.round(2).rename_axis(columns="false alarm : miss (ks)")

# %% [markdown]
# With a miss at 300 ks no model is clearly better than "always call": the labels leave a doubt of some 6 % about every quiet pointing, and at these prices $p^\ast$ is 3 %. This result is about the *labels*: a probability that is calibrated on wrong labels is the probability of a label. In the other columns the models win, and the two are nearly equal. Do they differ at all? For that we need error bars.

# %% [markdown]
# ## The error bar of a metric
#
# Draw the validation set again, with replacement, and compute the metric anew: the **bootstrap**. But what do we draw: rows or, as in lesson 3, whole sources? We ask it for both questions of the course: the state, and black hole or neutron star.

# %%
everything = [name for group in GROUPS.values() for name in group]
by_object = make_pipeline(preprocessor(everything), LogisticRegression(max_iter=2000))
by_object.fit(train, train.object_label)
answers = {  # question: (labels, calls)
    "state": (validation.state_label.to_numpy(), state),
    "object": (validation.object_label.to_numpy(), by_object.predict(validation)),
}


def balanced_accuracy(label, call):
    """Mean recall over the classes that occur."""
    return np.mean([np.mean(call[label == name] == name) for name in np.unique(label)])


# %%
rows_of = list(validation.groupby("source_id").indices.values())


def redraw(what, generator):
    """Row numbers of a validation set drawn again: single rows, or whole sources."""
    if what == "rows":
        return generator.integers(len(validation), size=len(validation))
    return np.concatenate([rows_of[k] for k in generator.integers(len(rows_of), size=len(rows_of))])


redrawn, dice = {}, np.random.default_rng(6)
for (question, (y, c)), what in itertools.product(answers.items(), ("rows", "sources")):
    draws = [redraw(what, dice) for _ in range(1000)]
    redrawn[question, what] = np.array([balanced_accuracy(y[d], c[d]) for d in draws])
widths = pd.DataFrame(redrawn).std().unstack().add_prefix("error by ")
widths["ratio"] = widths["error by sources"] / widths["error by rows"]
widths.assign(value={q: balanced_accuracy(y, c) for q, (y, c) in answers.items()}).round(3)

# %% tags=["slide"]
good = pd.DataFrame({question: y == c for question, (y, c) in answers.items()})
by_source = good.groupby(validation.source_id.to_numpy()).mean().sort_values("object")
ax = by_source.plot(style=["C0o", "C1^"], figsize=(8, 4), ylim=(0.3, 1.03), xticks=range(13))
ax.set(xlabel="source", ylabel="share of pointings called right")
plotting.show(ax, "06_spread", colours=64)

# %% [markdown]
# For the *state*, both error bars are alike within a factor of two: a source goes through all states, and most errors are the reader's, which strike at random. For the *object*, each source has one label for life. Some sources are called right nearly always, others hardly half of the time. There the thousand pointings are really **thirteen samples**, and the error bar by rows is several times too small. So we draw sources, always. (And an error bar from thirteen of them is itself uncertain.)
#
# ### Is the forest better?
#
# Compare two models on the *same* draws: cases that are hard for both cancel. And since other sources could have been held out, we split again, five times.

# %%
by_forest, paired_dice = forest.predict(validation), np.random.default_rng(7)
draws = [redraw("sources", paired_dice) for _ in range(1000)]
pairs = [[balanced_accuracy(human_label[d], said[d]) for said in (by_forest, state)] for d in draws]
pairs = pd.DataFrame(pairs, columns=["forest", "logistic"])
pairs.assign(difference=pairs.forest - pairs.logistic).agg(["mean", "std"]).T.round(3)

# %%
everyone = pd.concat([train, validation], ignore_index=True)
splits = GroupShuffleSplit(5, test_size=13, random_state=0)  # 13 sources
on_splits = []
for inside, outside in splits.split(everyone, groups=everyone.source_id):
    learn, judge = everyone.iloc[inside], everyone.iloc[outside]
    said_by = (clone(m).fit(learn, learn.state_label).predict(judge) for m in (forest, model))
    on_splits.append([balanced_accuracy(judge.state_label.to_numpy(), said) for said in said_by])
on_splits = pd.DataFrame(on_splits, columns=["forest", "logistic"])
on_splits.assign(difference=on_splits.forest - on_splits.logistic).round(3)

# %% [markdown]
# The difference is smaller than the error bar of either model. On our thirteen sources it is larger than its own error, which might tempt us. But that error does not know that other sources could have been used for training, and on other splits the sign changes. By this metric nobody can say that the forest is better. This *is* a result; a table with the larger number in bold is not.

# %% [markdown]
# ## One metric
#
# Look at many metrics, but *choose* by one, and choose it before models compete (from lesson 7 on). With ten metrics and ten models, somebody always wins.

# %% [markdown] tags=["slide"]
# ## Exercise 6.7 · Which one?  ·  core · 8 min · ●●○
#
# Six situations. Choose from `"precision"`, `"recall"`, `"log loss"`, `"balanced accuracy"`, `"ROC AUC"`, `"expected cost"`, each once. (5 of the 8 minutes are for the discussion below.)

# %%
# solution: ask of each: who acts on the answer, which mistake hurts, and what is known beforehand?
choice = {
    "five nights at a large telescope for the five that you name: a quiet one wastes a night": "precision",
    "a filter: people look at all that passes, and what it drops is never seen again": "recall",
    "the probabilities enter a population study as weights": "log loss",
    "are the four states told apart, each of them as interesting as the others?": "balanced accuracy",
    "two rankings, before anybody knows the prevalence or the prices": "ROC AUC",
    "a false alarm costs 10 ks, a miss 40 ks: where to put the threshold?": "expected cost",
}
# end solution

choice = check.choice(choice)

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): which metric for *your* data, and what would make you regret it? Name the rarest class, who acts on the answer, what the two mistakes cost, and what your labels are worth.

# %% [markdown]
# ### The choice of this course
#
# For lessons 7 to 12 we choose, on held-out sources and **with an error bar from redrawn sources**: for the four states the **balanced accuracy**; for black hole against neutron star the **ROC AUC**. There an observer wants a ranking of candidates, and nobody has named a price.
#
# - *For the balanced accuracy:* our question values all states alike and names no price. Nobody can raise it by ignoring SIMS. With right labels it does not depend on prevalence, which differs between archives. Anybody can take it apart into recalls.
# - *Against it:* it sees no probabilities, so we watch the log loss beside it wherever somebody will set a threshold. It does not know that states are neighbours. And it depends strongly on the rarest class, where the labels are worst: here even a perfect model would stay well below 1.
#
# So we write it down before lesson 7 fits anything. Whoever has prices uses the prices.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Four boxes, two questions: how much of what is there is found (recall, specificity), and how much of what is called is real (precision).
# - Beside every accuracy write the best constant answer; beside every precision, its prevalence; beside every number, an error bar from what was held out: sources.
# - A threshold is a decision. With calibrated probabilities it follows from prices; class weights ruin the calibration and leave the ranking.
# - Labels that are wrong in a few per cent can be wrong in more than a third of a rare class. The ceiling of a metric belongs to the metric.
# - Choose one metric before the first fit, and defend it.

# %% [markdown]
# **Further reading.** scikit-learn user guide, [*Metrics and scoring*](https://scikit-learn.org/stable/modules/model_evaluation.html): every metric with its formula · scikit-learn user guide, [*Probability calibration*](https://scikit-learn.org/stable/modules/calibration.html): diagrams, staircases and sigmoids · scikit-learn user guide, [*Tuning the decision threshold*](https://scikit-learn.org/stable/modules/classification_threshold.html): thresholds from costs, automated · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): metrics with worked astronomical examples · J. Buchner & S. Fotopoulou, [arXiv:2502.08222](https://arxiv.org/abs/2502.08222): how to set up such a project.
