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
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn import metrics
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
# Tonight's pointings come in. A source that is just crossing from hard to soft, in HIMS or SIMS, is worth a call to another telescope: in a few days it is over. A wrong call wastes 10 ks of somebody's time. No call, and the transition is gone, perhaps for years.

# %% [markdown]
# Metrics come *before* models, because a metric says what "better" means. So the model is a black box today: lesson 7 opens it. It learns from 24 sources and gives four probabilities, one per state, for each pointing of 13 other sources.

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
print(
    f"{len(label)} pointings of {validation.source_id.nunique()} sources, {label.mean():.1%} in transition"
)

# %% [markdown]
# ## Ten pointings by hand
#
# Ten of them, picked so that everything happens. The column `score` is the model's probability; we call a transition where it is 0.5 or more.

# %%
picked = ["R00392", "R01249", "R01886", "R01939", "R01966"]
picked += ["R02082", "R04319", "R04644", "R04792", "R04913"]
rows = validation.obs_id.isin(picked).to_numpy()
ten = validation.loc[rows, ["obs_id", "state_label"]].assign(score=score[rows].round(2))
ten["label"] = np.where(label[rows], "transition", "quiet")
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
# From these four numbers, and two questions, come nearly all metrics. *Of what is there, how much did I find?*
#
# $$\text{recall} = \text{sensitivity} = \frac{TP}{TP + FN},\qquad \text{specificity} = \frac{TN}{TN + FP}.$$
#
# *Of what I called, how much is real?* And one number $F$ for both, their harmonic mean, small if either is small:
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
# The same from scikit-learn. Look at the order of its matrix: rows are labels, columns are calls, and `False` comes first. There is no easier way to take TN for TP.

# %%
is_there, called = ten.label == "transition", ten.call == "transition"
print(metrics.confusion_matrix(is_there, called))
print(f"recall      {metrics.recall_score(is_there, called):.2f}")
print(
    f"specificity {metrics.recall_score(is_there, called, pos_label=False):.2f}  (recall of 'quiet')"
)
print(f"precision   {metrics.precision_score(is_there, called):.2f}")
for beta in (0.5, 1, 2):
    print(f"F, beta={beta:<3} {metrics.fbeta_score(is_there, called, beta=beta):.2f}")

# %% [markdown]
# ### How much do ten pointings know?
#
# A recall is a share of successes, so its error bar is binomial. (The exact interval of Clopper & Pearson 1934. It takes the pointings as independent, and at the end of this lesson we ask whether they are; and as drawn at random, which our ten are not: we picked them.)


# %%
def with_error(hits, of):
    """A share with its 95 per cent interval, in words."""
    low, high = binomtest(int(hits), int(of)).proportion_ci(0.95, method="exact")
    return f"{hits / of:.2f}, 95 % interval {low:.2f} to {high:.2f}  ({hits} of {of})"


call = score >= 0.5
print("recall of ten:      ", with_error(2, 4))
print("precision of ten:   ", with_error(2, 3))
print("recall of all:      ", with_error((call & label).sum(), label.sum()))
print("precision of all:   ", with_error((call & label).sum(), call.sum()))

# %% [markdown]
# From ten pointings we know that the recall is neither 0 nor 1. Not more. And of a thousand pointings only the positives inform the recall: **what counts is the number in the denominator**, not the size of the table.

# %% [markdown] tags=["slide"]
# ## Exercise 6.2 · Write the four  ·  core · 12 min · ●●○
#
# Return recall, specificity, precision and $F$, in this order, for arrays of true and false. Think of empty denominators: a model that never calls has no precision. The convention here: a share of nothing is `nan`, not 0, for 0 would be a statement. Take $F$ from the counts: undefined only without any transition *and* any call.


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
# Now all of the validation set, and two rivals without any idea of physics: one never calls, one always does.

# %%
rivals = {"model, 0.5 or more": call, "never call": call & False, "always call": call | True}
columns = ["recall", "specificity", "precision", "F"]
table = pd.DataFrame([rates(label, c) for c in rivals.values()], rivals, columns)
table.insert(0, "accuracy", [metrics.accuracy_score(label, c) for c in rivals.values()])
table["balanced accuracy"] = (table.recall + table.specificity) / 2
table.round(2)

# %% [markdown]
# "Never" is right more than eight times in ten: the **accuracy**, the share of right calls, mostly tells how rare transitions are. An accuracy means nothing without that of the best constant answer beside it. The **balanced accuracy**, here the mean of recall and specificity, gives one half to everybody who does not look. (And $F$ never asks for the TN.)

# %% [markdown]
# ### Four states
#
# With four classes each has a recall: the share of its row that lies on the diagonal.

# %%
state = model.predict(validation)
counts = metrics.confusion_matrix(validation.state_label, state, labels=STATES)
share = counts / counts.sum(axis=1, keepdims=True)

fig, ax = plt.subplots(figsize=(5.6, 4.4))
matrix = metrics.ConfusionMatrixDisplay(share, display_labels=STATES)
matrix.plot(ax=ax, cmap="cividis", im_kw={"vmin": 0, "vmax": 1}, colorbar=False)
for place, text in np.ndenumerate(matrix.text_):
    text.set(text=f"{share[place]:.0%}\n{counts[place]}", color="wk"[int(share[place] > 0.5)])
fig.colorbar(matrix.im_, label="share of the row")
ax.tick_params(length=0)
ax.set(xlabel="state called by the model", ylabel="state label")
plotting.show(fig, "06_confusion")

# %%
steps_off = np.abs(np.subtract.outer(np.arange(4), np.arange(4)))  # LHS, HIMS, SIMS, HSS in order
recall = metrics.recall_score(validation.state_label, state, labels=STATES, average=None)
print("recall:", ", ".join(f"{s} {r:.2f}" for s, r in zip(STATES, recall, strict=True)))
print(f"macro average, each class the same:    {recall.mean():.2f}  (the balanced accuracy)")
print(
    f"micro average, each pointing the same: {np.trace(counts) / counts.sum():.2f}  (the accuracy)"
)
errors = counts[steps_off > 0].sum()
print(f"errors: {errors}, of them between neighbours {counts[steps_off == 1].sum() / errors:.0%}")

# %% [markdown]
# Two averages, two stories. And the errors have an order: states are stations on one road, and hardly anybody takes LHS for HSS. A metric that counts all errors alike does not know that.
#
# A recall of 0.3 for SIMS looks bad. Remember it. Before the lesson is over you will doubt who is to blame.

# %% [markdown] tags=["slide"]
# ## The threshold is yours
#
# The model gives a probability. That 0.5 turns it into a call is nobody's law; it is a default.
#
# ### Predict first
#
# At a threshold of 0.5 the model finds about half of the labelled transitions. We become generous, and call from a probability of 0.2 on. What will the recall be? Write your guess as a share between 0 and 1.

# %%
my_guess = ...  # recall at a threshold of 0.2


# %%
def draw_threshold(threshold):
    """Scores of both kinds, with the threshold and the four boxes."""
    bins, call = np.linspace(0, 1, 41), score >= threshold
    fig, ax = plt.subplots()
    ax.hist(score[~label], bins, color="0.75", label="labelled quiet")
    ax.hist(
        score[label], bins, histtype="step", color="C1", linewidth=2, label="labelled transition"
    )
    ax.axvline(threshold, color="black", linestyle="--", label="threshold")
    ax.set(yscale="log", ylim=(0.7, 500), xlim=(0, 1), ylabel="pointings per bin of 0.025")
    ax.set(xlabel="probability of a transition, says the model")
    (tn, fp), (fn, tp) = metrics.confusion_matrix(label, call)
    recall, specificity, precision, f = rates(label, call)
    ax.set_title(
        f"TP {tp}, FN {fn}, FP {fp}, TN {tn}:  recall {recall:.2f}, "
        f"specificity {specificity:.2f}, precision {precision:.2f}, F {f:.2f}",
        fontsize=10,
    )
    ax.legend(loc="upper center", frameon=True, framealpha=1, edgecolor="none")
    plotting.show(fig, "06_threshold", threshold=threshold)


# %% tags=["nbval-ignore-output"]
slider = ipywidgets.FloatSlider(
    value=0.5, min=0.0, max=1.0, step=0.05, description="threshold", continuous_update=False
)
ipywidgets.interactive(draw_threshold, threshold=slider)

# %% tags=["slide"]
thresholds = np.linspace(0.01, 0.99, 99)
curves = np.array([rates(label, score >= t) for t in thresholds])
fig, ax = plt.subplots()
for k, line in zip((0, 2, 3), ("-", "--", ":"), strict=True):
    ax.plot(thresholds, curves[:, k], line, label=columns[k])
ax.plot(0.2, np.mean(score[label] >= 0.2), "ko", label="recall at 0.2")
ax.set(xlabel="threshold on the probability", ylabel="share", xlim=(0, 1), ylim=(0, 1.02))
ax.legend(ncols=2)
plotting.mark_guess(ax, my_guess, axis="y")
plotting.show(fig, "06_recall_and_precision")
print(f"threshold 0.5: recall {rates(label, score >= 0.5)[0]:.2f}")
print(f"threshold 0.2: recall {rates(label, score >= 0.2)[0]:.2f}")

# %% [markdown]
# **Your prediction:** 0.54. Did you guess higher? A third or more of the labelled transitions sit at the far left of the histogram, where the model sees a hard or a soft state like any other, and no sensible threshold brings them in. Either the model is blind, or … keep the thought.

# %% [markdown]
# ## All thresholds at once
#
# A **ROC curve** draws recall against the rate of false alarms, 1 − specificity, for all thresholds. Its area, the **AUC**, has a meaning of its own: the probability that a random positive has a higher score than a random negative. That one can be counted.

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
is_there = is_there.to_numpy()
pairs = is_there.sum() * (~is_there).sum()
print(f"the ten pointings: {auc(is_there, ten.score.to_numpy()):.2f} of {pairs} pairs")
one_colour = make_pipeline(preprocessor(["hr_soft"]), LogisticRegression(max_iter=2000))
one_colour.fit(train, train.state_label)
scores = {"all features": score, "one colour": transition_score(one_colour, validation)}
for name, s in scores.items():
    average_precision = metrics.average_precision_score(label, s)
    print(f"{name:13s} AUC {auc(label, s):.2f}   average precision {average_precision:.2f}")

# %% [markdown]
# A second model sees one colour, `hr_soft`, and nothing else. By the AUC it is nearly as good. The **average precision**, the area under the curve of precision against recall, disagrees loudly. Whom do we believe?

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.8))
for (name, s), line in zip(scores.items(), ("-", "--"), strict=True):
    false_alarms, recall, _ = metrics.roc_curve(label, s)
    left.plot(false_alarms, recall, line, label=name)
    precision, recall, _ = metrics.precision_recall_curve(label, s)
    right.plot(recall[:-1], precision[:-1], line, label=name)
left.plot([0, 1], [0, 1], color="0.5", linestyle=":", label="a coin")
right.axhline(label.mean(), color="0.5", linestyle=":", label="a coin")
left.set(xlabel="false alarms: 1 − specificity", ylabel="recall", title="ROC")
right.set(xlabel="recall", ylabel="precision", title="precision and recall")
for ax in (left, right):
    ax.set(xlim=(0, 1), ylim=(0, 1.02))
left.legend(loc="lower right")
plotting.show(fig, "06_roc_and_precision")

# %% [markdown]
# Most of the ROC's area belongs to rates of false alarms that nobody would accept: 0.4 means that four of ten quiet pointings raise an alarm. There the two models are alike. Where we would work, at the left edge, they are worlds apart, and the right panel stretches that edge. Quiet pointings are many, so a *rate* of false alarms looks harmless when their *number* drowns the hits.

# %% [markdown] tags=["slide"]
# ## Precision depends on how rare it is
#
# Recall and specificity each look inside one class. Precision mixes the classes, so it depends on their proportion, the **prevalence** π. With Bayes' theorem, $P(\text{transition}\,|\,\text{call})$:
#
# $$\text{precision} = \frac{\text{recall}\cdot\pi}{\text{recall}\cdot\pi + (1 - \text{specificity})(1 - \pi)}.$$
#
# In the field, pointings follow outbursts, and transitions are common. In an all-sky monitor they may be one in a hundred. Same model, same threshold. **Predict**: of ten alarms there, how many are real?

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
# To see whether it is true, throw away labelled transitions of the validation set at random until as few are left as we wish, and count. A hundred times each, for the scatter.


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
counted = np.array(counted)

# %% tags=["slide"]
grid = np.geomspace(0.003, 0.9, 100)
fig, ax = plt.subplots()
ax.plot(grid, precision_at(recall, specificity, grid), label="Bayes")
ax.errorbar(prevalences, counted.mean(1), counted.std(1), fmt="ko", capsize=3, label="counted")
ax.axvline(label.mean(), color="0.5", linestyle=":", label="this archive")
ax.set(xscale="log", ylim=(0, 1.02), xlabel="prevalence of transitions", ylabel="precision")
ax.set_xticks([0.01, 0.1, 0.5], ["1 %", "10 %", "50 %"])
ax.legend(loc="lower right")
plotting.show(fig, "06_prevalence")
at = {p: precision_at(recall, specificity, p) for p in (label.mean(), 0.01)}
print(", ".join(f"precision {value:.2f} at a prevalence of {p:.0%}" for p, value in at.items()))

# %% [markdown]
# **Your prediction:** about three of ten alarms are real.
#
# Nothing happened to the model. Its recall and specificity stayed, and with them the ROC curve and its AUC. But at one per cent most alarms are false. A precision, an $F$, an average precision or an accuracy without its prevalence is half a number, and cannot be carried to another archive.

# %% [markdown]
# ### The human reader is a classifier, too
#
# Our labels come from a person who errs in about 6 % of the pointings. It sounds harmless. But quiet pointings are many, and the formula knows what follows. In this simulation, *and only in a simulation*, we can look at the truth. Nobody has this cell for real data; we look once, at the validation set, and never train on it.

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
found = {
    name: {
        "accuracy": metrics.accuracy_score(right, called),
        "balanced accuracy": metrics.balanced_accuracy_score(right, called),
        "AUC of transitions": auc(np.isin(right, TRANSITION), s),
    }
    for name, (right, called, s) in against.items()
}
pd.DataFrame(found).T.round(3)

# %% [markdown]
# Read this twice. More than a third of the pointings that are *labelled* as transitions are none: a small share of the many quiet ones, but many beside the few real ones. No threshold could find these. Row by row, by accuracy, the model stands **closer to the truth than the labels it learned from**, and no score against the labels can show it. By balanced accuracy it does not: the reader misses one true transition in twenty or so, the model one in five, for it errs less where there is most. Again the metric decides who is better.
#
# And one thing we said too early. Recall and AUC keep their values in another archive *if the labels are right*. Where true transitions are rarer and the reader errs as often, the labelled ones fill up with mistakes, and recall, AUC and balanced accuracy all fall with them.
#
# So three rules for noisy labels. Know the ceiling, in this archive about 94 % in accuracy and far less in the recall of a rare class. Do not tune against the last per cent below it. And compare models with each other on the same labels, for noise pulls them all down.

# %% [markdown]
# ## Does 0.7 mean seven of ten?
#
# A forecaster who says "70 % rain" should see rain on seven of ten such days. If so, the probabilities are **calibrated**. It is another virtue than ranking: square all scores, and the AUC stays, the calibration is gone. One looks at it in a **reliability diagram**: sort pointings into bins of the forecast, and draw what happened against what was said.

# %% [markdown] tags=["slide"]
# ## Exercise 6.5 · What was said, and what happened  ·  core · 14 min · ●●●
#
# For each of the $k$ bins between `edges` (a score on an edge belongs to the bin above, a score of exactly 1 to the last) three things, as three arrays: the mean of the scores in it, the share of true labels, the number of pointings. An empty bin keeps its place with `nan`, `nan` and 0.


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
# And an experiment. "The classes are imbalanced, so set `class_weight='balanced'`" is advice that you will read everywhere. Rare classes then count as much in training as frequent ones. (To repeat or to drop rows until the classes are equal, *resampling*, does the same.)

# %%
balanced = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000, class_weight="balanced"))
balanced.fit(train, train.state_label)
score_balanced = transition_score(balanced, validation)
forecasts = {"plain": score, "balanced": score_balanced}
for name, s in forecasts.items():
    print(
        f"{name:9s} AUC {auc(label, s):.2f}   Brier score {metrics.brier_score_loss(label, s):.3f}"
        f"   log loss {metrics.log_loss(label, s):.3f}   mean forecast {s.mean():.2f}"
    )
print(f"the share that is labelled a transition: {label.mean():.2f}")

# %% tags=["slide"]
edges = np.array([0, 0.1, 0.2, 0.4, 0.6, 0.8, 1])
fig, ax = plt.subplots(figsize=(5.6, 4.4))
ax.plot([0, 1], [0, 1], color="0.5", linestyle=":", label="calibrated")
for (name, s), look in zip(forecasts.items(), ("o-", "s--"), strict=True):
    forecast, observed, n = map(np.asarray, reliability(label, s, edges))
    hits = np.round(observed * n).astype(int)
    pairs = zip(hits, n.astype(int), strict=True)
    errors = np.transpose([binomtest(*pair).proportion_ci(0.68) for pair in pairs])
    ax.errorbar(forecast, observed, np.abs(errors - observed), fmt=look, capsize=3, label=name)
ax.set(xlabel="mean forecast of the bin", ylabel="share labelled a transition")
ax.set(xlim=(0, 1.02), ylim=(0, 1.02))
ax.legend(loc="upper left")
plotting.show(fig, "06_reliability")

# %%
for low, high in ((0.2, 0.4), (0.6, 0.8)):
    for name, s in forecasts.items():
        inside = (s >= low) & (s < high)
        seen = with_error(label[inside].sum(), inside.sum())
        print(f"{name:8s} said {s[inside].mean():.2f}, and it was {seen}")

# %% [markdown]
# Balancing left the ranking as it was and blew up the probabilities: where the balanced model says 60–80 %, a transition is the exception. It was trained for a world in which all states are equally common, and it describes that world well. The **Brier score**, the mean squared distance of forecast and outcome, and the **log loss**, the mean of $-\ln$ of the probability that was given to what happened, both notice; the AUC cannot. (Both are smallest for the true probabilities: *proper scores*.)
#
# The plain model is not perfect either: what it calls 20–40 % happens less often. Nobody could have known without looking.

# %% [markdown]
# ## What a mistake costs
#
# Now the prices, in kiloseconds of telescope time. A hit is worth its time, a quiet pointing left alone costs nothing.
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
# No data needed, only prices. There is one condition: that $p$ is a probability, and not just a score.

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
# And a third forecast: the plain model, **recalibrated**. On training sources that the model did not see (scikit-learn leaves out a fifth of them at a time: lesson 8), fit a rising staircase from score to what happened, an *isotonic regression*. The staircase is then applied to the validation scores.

# %%
folds = {"cv": GroupKFold(5), "groups": train.source_id, "method": "predict_proba"}
held_out = cross_val_predict(model, train, train.state_label, **folds)
held_out = pd.DataFrame(held_out, columns=model.classes_)[TRANSITION].sum(axis=1)
staircase = IsotonicRegression(out_of_bounds="clip")
staircase.fit(held_out, train.state_label.isin(TRANSITION))
forecasts["recalibrated"] = staircase.predict(score)

# %%
thresholds, prices = np.linspace(0, 1.01, 102), (10, 40)  # ks
fig, ax = plt.subplots()
for (name, s), line in zip(forecasts.items(), ("-", "--", "-."), strict=True):
    costs = np.asarray(mean_cost(label, s, thresholds, *prices))
    at_bayes = mean_cost(label, s, np.array([0.2]), *prices)[0]
    ax.plot(thresholds, costs, line, label=name)
    ax.plot(0.2, at_bayes, "ko", markersize=4)
    print(
        f"{name:12s} {at_bayes:.2f} ks at p*; the least is {costs.min():.2f} ks, "
        f"at {thresholds[costs.argmin()]:.2f}"
    )
ax.axhline(40 * label.mean(), color="0.5", linewidth=1, linestyle=":", label="never call")
ax.axvline(0.2, color="black", linewidth=0.8, label="p* from the prices")
ax.set(xlim=(0, 1), ylim=(0, 9), xlabel="threshold", ylabel="cost per pointing (ks)")
ax.legend(ncols=2, loc="lower right")
plotting.show(fig, "06_cost")

# %% [markdown]
# Recalibrated, the threshold from the prices comes out next to the cheapest one, without a search. For the plain model 0.2 is a little low, just where its diagram sagged. For the balanced model the same threshold about doubles the bill. It would do nearly as well as the others at 0.7, but nothing in the prices says 0.7. **Calibrate, and the threshold follows from the prices.**
#
# (A threshold picked as the minimum of this very curve is picked on the validation set: the least cost is a little too good to be true.)

# %% [markdown]
# ### Other prices, other winners
#
# Each strategy at its own $p^\ast$: a second, recalibrated model joins, a random forest.

# %%
forest = make_pipeline(
    preprocessor(), RandomForestClassifier(50, min_samples_leaf=5, random_state=0)
)
forest.fit(train, train.state_label)
held_out = cross_val_predict(forest, train, train.state_label, **folds)
held_out = pd.DataFrame(held_out, columns=forest.classes_)[TRANSITION].sum(axis=1)
staircase = IsotonicRegression(out_of_bounds="clip")
staircase.fit(held_out, train.state_label.isin(TRANSITION))
strategies = {
    "never call": np.zeros(len(label)),
    "always call": np.ones(len(label)),
    "logistic": forecasts["recalibrated"],
    "forest": staircase.predict(transition_score(forest, validation)),
}

# %%
bills = {}
for false_alarm, miss in ((40, 10), (10, 40), (10, 300)):
    threshold = np.array([false_alarm / (false_alarm + miss)])
    bills[f"{false_alarm} : {miss}"] = {
        name: mean_cost(label, s, threshold, false_alarm, miss)[0] for name, s in strategies.items()
    }
bills = pd.DataFrame(bills).rename_axis(columns="false alarm : miss (ks)")
bills.round(2)

# %% [markdown]
# With a miss at 300 ks no model has anything to add to "call always": the labels leave a doubt of some 6 % about every quiet pointing, and at these prices 3 % suffice. That is a bill against the *labels*, many of whose transitions are none; a probability that is calibrated on wrong labels is the probability of a label, and so is its threshold. In the other columns the models win, and between the two there is little to choose. Do they differ at all? For that we need error bars.

# %% [markdown]
# ## The error bar of a metric
#
# Draw the validation set again, with replacement, and compute the metric anew: the **bootstrap**. But what do we draw, rows or, as in lesson 3, whole sources? Two questions, two answers. The second question of the course, black hole or neutron star, comes back here.

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


generator, redrawn = np.random.default_rng(6), {}
for question, (y, c) in answers.items():
    for what in ("rows", "sources"):
        draws = [redraw(what, generator) for _ in range(1000)]
        redrawn[question, what] = np.array([balanced_accuracy(y[d], c[d]) for d in draws])
    width = {what: redrawn[question, what].std() for what in ("rows", "sources")}
    print(
        f"{question:7s} {balanced_accuracy(y, c):.3f} ± {width['rows']:.3f} by rows, "
        f"± {width['sources']:.3f} by sources: {width['sources'] / width['rows']:.1f} times"
    )

# %% tags=["slide"]
fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6), width_ratios=(1.2, 1))
for (question, (y, c)), look in zip(answers.items(), ("C0o", "C1^"), strict=True):
    good = [np.mean(y[rows] == c[rows]) for rows in rows_of]
    n = [len(rows) for rows in rows_of]
    left.plot(n, good, look, markerfacecolor="none", label=question)
left.set(xscale="log", ylim=(0.3, 1.03), xlabel="pointings of the source")
left.set(ylabel="share of them called right", title="13 sources")
left.legend(loc="lower right")
for k, ((question, _), values) in enumerate(redrawn.items()):
    low, middle, high = np.quantile(values, (0.025, 0.5, 0.975))
    look = {"state": "C0o", "object": "C1^"}[question]
    right.errorbar(middle, k, xerr=[[middle - low], [high - middle]], fmt=look, capsize=4)
right.set(ylim=(3.6, -0.6), xlabel="balanced accuracy", title="95 % of 1000 draws")
right.set_yticks(range(4), [f"{question}, by {what}" for question, what in redrawn])
plotting.show(fig, "06_spread")

# %% [markdown]
# For the *state*, both error bars are alike within a factor of two: a source walks through all states, and most errors are the reader's, which strike at random. For the *object*, each source has one label for life; some are called right nearly always, others hardly half of the time. There the thousand pointings are really **thirteen samples**, and the error bar by rows is several times too small. So we draw sources, always. (And thirteen of them give an error bar that is itself uncertain by a fifth or more.)
#
# ### Is the forest better?
#
# Compare two models on the *same* draws: what both find hard cancels. And since other sources could have been held out, split again, five times.

# %%
y, state_forest, difference = human_label, forest.predict(validation), []
for _ in range(1000):
    d = redraw("sources", generator)
    difference.append(balanced_accuracy(y[d], state_forest[d]) - balanced_accuracy(y[d], state[d]))
print(f"forest              {balanced_accuracy(y, state_forest):.3f}")
print(f"logistic regression {balanced_accuracy(y, state):.3f}")
print(f"difference on the same draws: {np.mean(difference):+.3f} ± {np.std(difference):.3f}")

# %%
rows = pd.concat([train, validation], ignore_index=True)
splits = GroupShuffleSplit(5, test_size=13, random_state=0)  # 13 sources
for inside, outside in splits.split(rows, groups=rows.source_id):
    y, found = rows.state_label[outside].to_numpy(), []
    for either in (forest, model):
        either.fit(rows.iloc[inside], rows.state_label[inside])
        found.append(balanced_accuracy(y, either.predict(rows.iloc[outside])))
    print(
        f"forest {found[0]:.3f}   logistic {found[1]:.3f}   difference {found[0] - found[1]:+.3f}"
    )

# %% [markdown]
# The difference is smaller than the error bar of either model. On our thirteen sources it is larger than its own error, which might tempt us; but that error knows nothing of the training sources, and on other splits the sign turns. By this metric nobody can say that the forest is better. That *is* a result; a table with the larger number in bold is not.

# %% [markdown]
# ## One metric
#
# Look at many, but *choose* by one, chosen before models compete (lesson 7 on). With ten metrics and ten models, somebody always wins.

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
# For lessons 7 to 12 we choose, on held-out sources and **with an error bar from redrawn sources**: for the four states the **balanced accuracy**; for black hole against neutron star the **ROC AUC**, since what an observer wants there is a ranking of candidates, and nobody has named a price.
#
# - *For the balanced accuracy:* our question values all states alike and names no price; it cannot be bought by ignoring SIMS; with labels that are right it does not move with prevalence, which differs between archives; anybody can take it apart into recalls.
# - *Against it:* it sees no probabilities, so the log loss is watched beside it wherever somebody will set a threshold; it does not know that states are neighbours; and it leans hard on the rarest class, where the labels are worst: here even a perfect model would stay well below 1.
#
# So it was written down before lesson 7 fits anything. Whoever has prices uses the prices.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Four boxes, two questions: of what is there, how much is found (recall, specificity); of what is called, how much is real (precision).
# - Beside every accuracy stands the best constant answer; beside every precision, its prevalence; beside every number, an error bar from whatever was held out: sources.
# - A threshold is a decision. With calibrated probabilities it follows from prices; class weights ruin the calibration and leave the ranking.
# - Labels that are wrong in a few per cent can be wrong in more than a third of a rare class. The ceiling of a metric belongs to the metric.
# - Choose one metric before the first fit, and defend it.

# %% [markdown]
# **Further reading.** scikit-learn user guide, [*Metrics and scoring*](https://scikit-learn.org/stable/modules/model_evaluation.html): every metric with its formula · scikit-learn user guide, [*Probability calibration*](https://scikit-learn.org/stable/modules/calibration.html): diagrams, staircases and sigmoids · scikit-learn user guide, [*Tuning the decision threshold*](https://scikit-learn.org/stable/modules/classification_threshold.html): thresholds from costs, automated · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): metrics with worked astronomical examples · J. Buchner & S. Fotopoulou, [arXiv:2502.08222](https://arxiv.org/abs/2502.08222): how to set up such a project.
