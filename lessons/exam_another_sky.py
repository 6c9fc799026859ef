# %% [markdown]
# # Another sky: an exam
#
# An archive of another sky: other sources, as many black holes as neutron stars. Its readers were tried on known states: with the trust A, B and C they wrote down a neighbouring state for 3, 8 and 14 per cent. Of each *sealed* pointing hand in the state, the probabilities of all four states, and the probability that its source is a black hole.
#
# Before the truth is opened, **promise** three scores, each by an interval that holds it with 95 per cent, at most 0.4 wide. Two are balanced accuracies of the state: against the readers' labels, and against the truth. The third is the area under the ROC curve (AUC) for black holes.
#
# The truth is opened once. Work as you would for a paper: one evening, all lessons open.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course.checks import exam_another_sky as check
from helpers import plotting
from helpers.data import load_observations

plotting.use_course_style()

# %% [markdown]
# ## 1 · Figuring out what we want to learn, and why

# %%
# solution: the question, and what an answer is worth
STATES = ["LHS", "HIMS", "SIMS", "HSS"]
questions = {
    "state of a pointing": "balanced accuracy: the rare states count as much as the others",
    "BH or NS": "AUC, and the errors come from the few sources that there are",
}
pd.Series(questions).to_frame("score")
# end solution

# %% [markdown]
# ## 2 · Exploring the data, part I

# %%
# solution: what is there, and of how many sources
known, sealed = load_observations("another_sky"), load_observations("another_sky_sealed")
print(f"{len(known)} known pointings, {len(sealed)} sealed")
print("sources:", known.groupby("object_label").source_id.nunique().to_dict())
print("of them sealed, too:", len(set(known.source_id) & set(sealed.source_id)))
pd.crosstab(known.state_label, known.label_trust).loc[STATES]
# end solution

# %% [markdown]
# ## 3 · Splitting the data

# %%
# solution: no source on both sides
from sklearn.model_selection import StratifiedGroupKFold

deal = StratifiedGroupKFold(5, shuffle=True, random_state=1)
folds = list(deal.split(known, known.object_label, known.source_id))
# end solution

# %% [markdown]
# ## 4 · Exploring the data, part II

# %%
# solution: do the sealed pointings look like the known ones?
import seaborn as sns

both = pd.concat([known.assign(table="known"), sealed.assign(table="sealed")], ignore_index=True)
fig, ax = plt.subplots(figsize=(5, 4))
look = dict(hue="table", style="table", s=12, alpha=0.5, ax=ax)
sns.scatterplot(both, x="hr_3_10", y="rms_0p1_64", **look)
ax.set(yscale="log", xlabel="hardness", ylabel="rms, 0.1 to 64 Hz")
plotting.show(fig, alt="Hardness and rms of known and sealed pointings fill the same region.")
# end solution

# %% [markdown]
# ## 5 · Preprocessing

# %%
# solution: all that learns goes into one pipeline
from sklearn.pipeline import make_pipeline

from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor

of_state = list(STATE_FEATURES)
of_object = [*STATE_FEATURES, *GROUPS["lags"]]
gaps = known[of_object].isna().mean().sort_values(ascending=False)
gaps.head(4).round(2).to_frame("share missing")
# end solution

# %% [markdown]
# ## 6 · Evaluation metrics

# %%
# solution: a score of rows, so that it can be taken of other skies
from sklearn.metrics import balanced_accuracy_score, roc_auc_score


def scores(rows):
    """What will be scored, of rows with labels and out-of-fold answers."""
    readers = balanced_accuracy_score(rows.state_label, rows.call)
    return pd.Series(
        {"readers": readers, "object": roc_auc_score(rows.object_label == "BH", rows.BH)}
    )


# end solution

# %% [markdown]
# ## 7 · Getting started with models: logistic regression

# %%
# solution: both questions, each source judged by models that have not seen it
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict


def answer(state_model, object_model):
    """The known rows with out-of-fold answers."""
    call = cross_val_predict(state_model, known, known.state_label, cv=folds)
    chance = cross_val_predict(
        object_model, known, known.object_label, cv=folds, method="predict_proba"
    )
    return known.assign(call=call, BH=chance[:, 0])


logistic = make_pipeline(preprocessor(of_state), LogisticRegression(max_iter=3000))
logistic_object = make_pipeline(preprocessor(of_object), LogisticRegression(max_iter=3000))
answers = {"logistic": answer(logistic, logistic_object)}
scores(answers["logistic"]).round(3).to_frame("logistic")
# end solution

# %% [markdown]
# ## 8 · Getting results and understanding them

# %%
# solution: the error is that of as many sources as are sealed
from helpers.resampling import resample_sources

n_sealed = sealed.source_id.nunique()


def skies(rows, score=scores, n=200):
    """Scores of other skies with as many sources as are sealed, half of them of each kind."""
    generator = np.random.default_rng(1)
    found = []
    for _ in range(n):
        sky = []
        for _, own in rows.groupby("object_label"):
            sources = generator.permutation(own.source_id.unique())[: n_sealed // 2]
            sky.append(resample_sources(own[own.source_id.isin(sources)], generator))
        found.append(score(pd.concat(sky)))
    return pd.DataFrame(found)


skies(answers["logistic"]).agg(["mean", "std"]).round(3)
# end solution

# %% [markdown]
# ## 9 · More complex models

# %%
# solution: is a forest better, by more than its error?
from sklearn.ensemble import RandomForestClassifier

forest = RandomForestClassifier(200, min_samples_leaf=5, random_state=1)
answers["forest"] = answer(
    make_pipeline(preprocessor(of_state), forest), make_pipeline(preprocessor(of_object), forest)
)
gain = skies(answers["forest"]) - skies(answers["logistic"])
gain.agg(["mean", "std"]).round(3)
# end solution

# %% [markdown]
# ## 10 · Hyperparameter tuning

# %%
# solution: a few values, the same folds; and the best of many is too good
from sklearn.model_selection import GridSearchCV

search = GridSearchCV(
    logistic, {"logisticregression__C": [0.01, 0.1, 1, 10]}, scoring="balanced_accuracy", cv=folds
).fit(known, known.state_label)
tried = pd.DataFrame(search.cv_results_)
tried[["param_logisticregression__C", "mean_test_score", "std_test_score"]].round(3)
# end solution

# %% [markdown]
# ## 11 · Interpreting outcomes

# %%
# solution: which states are taken for which, and by whom it is judged
call = answers["logistic"].call
shares = pd.crosstab(known.state_label, call, normalize="index").loc[STATES, STATES]
ax = plotting.heat_map(plt.subplots(figsize=(4, 3))[1], shares)
ax.set(xlabel="called", ylabel="reader")
plotting.show(
    ax.figure, alt="Share of each reader's state that is called each state: SIMS is the hardest."
)
# end solution

# %% [markdown]
# ## 12 · Science!

# %%
# solution: readers err, in a known way: undo it, in the table of their states and the model's
NEIGHBOURS = [[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0, 0, 1, 0]]


def unfolded(rows):
    """Balanced accuracy against the truth, of rows whose readers err as they were seen to."""
    wrong = rows.label_trust.map({"A": 0.03, "B": 0.08, "C": 0.14}).mean()
    reads = (1 - wrong) * np.eye(4) + wrong * np.array(NEIGHBOURS)  # true state, label
    seen = pd.crosstab(rows.state_label, rows.call).reindex(index=STATES, columns=STATES)
    true = np.linalg.solve(reads.T, seen.fillna(0)).clip(min=0)
    return pd.Series({"truth": (np.diag(true) / true.sum(1)).mean()})


found = {
    "readers": (answers["logistic"], scores),
    "truth": (answers["logistic"], unfolded),
    "object": (answers["forest"], scores),
}
promise = {}
for name, (rows, score) in found.items():
    centre, error = score(rows)[name], skies(rows, score)[name].std()
    promise[name] = (max(centre - 2 * error, 0), min(centre + 2 * error, 1))
pd.DataFrame(promise, index=["low", "high"]).round(3)
# end solution

# %%
# solution: one row for each sealed pointing: obs_id, state, LHS, HIMS, SIMS, HSS, BH
state_model = logistic.fit(known, known.state_label)
object_model = make_pipeline(preprocessor(of_object), forest).fit(known, known.object_label)
predictions = pd.DataFrame(state_model.predict_proba(sealed), columns=state_model.classes_)
predictions["state"] = state_model.predict(sealed)
predictions["BH"] = object_model.predict_proba(sealed)[:, 0]
predictions["obs_id"] = sealed.obs_id
# end solution

# %% [markdown]
# ## Hand in

# %%
# solution: your table, and {"readers": (low, high), "truth": (low, high), "object": (low, high)}
hand_in, promised = predictions, promise
# end solution
result = check.open_truth(hand_in, promised)
