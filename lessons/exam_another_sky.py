# %% [markdown]
# # Another sky: an exam
#
# `load_observations("another_sky")` holds pointings with labels, of 16 black holes and 16 neutron stars. `load_observations("another_sky_sealed")` holds pointings without labels, of 8 and 8 more. No lesson knows any of them. The readers were tested: of the pointings in each true state they write down a neighbouring state (either side alike) for 3, 8 and 14 per cent, where their trust is A, B and C. **Hand in:**
#
# - A table with one row for each sealed pointing: `obs_id`; `state`, your answer; `LHS`, `HIMS`, `SIMS` and `HSS`, the probabilities of the *true* state (their Brier score is shown, too); `BH`, the probability that the source is a black hole.
# - Three promises, `{"readers": (low, high), "truth": (low, high), "object": (low, high)}`. Each interval contains your score with a probability of 95 per cent. A narrow one says more; 0.4 is the most. The scores are the balanced accuracy of `state` against the labels of the readers, and against the truth; and the area under the ROC curve (AUC) of `BH`, over pointings, against the truth.
#
# The truth is opened once, after you have promised. You may use all lessons, and only these two tables. Take an evening.

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
# solution: your work
STATES = ["LHS", "HIMS", "SIMS", "HSS"]
questions = {
    "state of a pointing": "balanced accuracy: the rare states count, too",
    "BH or NS": "AUC, with errors from the few sources",
}
pd.Series(questions).to_frame("score")
# end solution

# %% [markdown]
# ## 2 · Exploring the data, part I

# %%
# solution: your work
known, sealed = load_observations("another_sky"), load_observations("another_sky_sealed")
print(f"{len(known)} known pointings, {len(sealed)} sealed")
print("sources:", known.groupby("object_label").source_id.nunique().to_dict())
print("of them sealed, too:", len(set(known.source_id) & set(sealed.source_id)))
pd.crosstab(known.state_label, known.label_trust).loc[STATES]
# end solution

# %% [markdown]
# ## 3 · Train-validation-test splits

# %%
# solution: your work
from sklearn.model_selection import StratifiedGroupKFold

deal = StratifiedGroupKFold(5, shuffle=True, random_state=1)
folds = list(deal.split(known, known.object_label, known.source_id))
# end solution

# %% [markdown]
# ## 4 · Exploring the data, part II

# %%
# solution: your work
import seaborn as sns

both = pd.concat([known.assign(table="known"), sealed.assign(table="sealed")], ignore_index=True)
fig, ax = plt.subplots(figsize=(5, 4))
look = dict(hue="table", style="table", s=12, alpha=0.5, ax=ax)
sns.scatterplot(both, x="hr_3_10", y="rms_0p1_64", **look)
ax.set(yscale="log", xlabel="hardness", ylabel="rms, 0.1 to 64 Hz")
plotting.show(fig, "exam_same_region")
# end solution

# %% [markdown]
# ## 5 · Pre-processing: dimensionality reduction, scaling

# %%
# solution: your work
from sklearn.pipeline import make_pipeline

from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor

of_state = list(STATE_FEATURES)
of_object = [*STATE_FEATURES, *GROUPS["lags"]]
gaps = known[of_object].isna().mean().sort_values(ascending=False)
gaps.head(4).round(2).to_frame("share missing")
# end solution

# %% [markdown]
# ## 6 · Choosing an evaluation metric

# %%
# solution: your work
from sklearn.metrics import balanced_accuracy_score, roc_auc_score


def scores(rows):
    """What will be scored, of rows with labels and out-of-fold answers."""
    readers = balanced_accuracy_score(rows.state_label, rows.call)
    return pd.Series(
        {"readers": readers, "object": roc_auc_score(rows.object_label == "BH", rows.BH)}
    )


# end solution

# %% [markdown]
# ## 7 · Choosing a (simple) algorithm and fitting it

# %% tags=["nbval-ignore-output"]
# solution: your work
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
# ## 8 · Exploring the results

# %% tags=["nbval-ignore-output"]
# solution: your work
from helpers.resampling import resample_sources


def skies(rows, score=scores, n=200):
    """Scores of other skies with as many sources as are sealed: half of each known kind, resampled.

    These scores scatter by as much as known and sealed sources together make them scatter.
    """
    generator, kinds, found = np.random.default_rng(1), rows.groupby("object_label"), []
    for _ in range(n):
        sky = []
        for _, own in kinds:
            half = generator.permutation(own.source_id.unique())[::2]
            sky.append(resample_sources(own[own.source_id.isin(half)], generator))
        found.append(score(pd.concat(sky)))
    return pd.DataFrame(found)


skies(answers["logistic"]).agg(["mean", "std"]).round(3)
# end solution

# %% tags=["nbval-ignore-output"]
# solution: your work
call = answers["logistic"].call
shares = pd.crosstab(known.state_label, call, normalize="index").loc[STATES, STATES]
ax = plotting.heat_map(plt.subplots(figsize=(4, 3))[1], shares)
ax.set(xlabel="called", ylabel="reader")
plotting.show(ax.figure, "exam_readers")
# end solution

# %% [markdown]
# ## 9 · A (more complex?) algorithm

# %% tags=["nbval-ignore-output"]
# solution: your work
from sklearn.ensemble import RandomForestClassifier

forest = RandomForestClassifier(200, min_samples_leaf=5, random_state=1)
answers["forest"] = answer(
    make_pipeline(preprocessor(of_state), forest), make_pipeline(preprocessor(of_object), forest)
)
gain = skies(answers["forest"]) - skies(answers["logistic"])
wrong = (answers["forest"].BH > 0.5) != (known.object_label == "BH")
worst = wrong.groupby(known.source_id).mean().max()
print(f"the worst known source lies on the wrong side in {worst:.0%} of its pointings")
gain.agg(["mean", "std"]).round(3)
# end solution

# %% [markdown]
# ## 10 · Hyperparameter tuning

# %% tags=["nbval-ignore-output"]
# solution: your work
from sklearn.model_selection import GridSearchCV

search = GridSearchCV(
    logistic, {"logisticregression__C": [0.01, 0.1, 1, 10]}, scoring="balanced_accuracy", cv=folds
).fit(known, known.state_label)
tried = pd.DataFrame(search.cv_results_)
tried[["param_logisticregression__C", "mean_test_score", "std_test_score"]].round(3)
# end solution

# %% [markdown]
# ## 11 · Interpreting outcomes

# %% tags=["nbval-ignore-output"]
# solution: your work
# Readers err, in a known way: in the table of their states and ours, it can be undone.
NEIGHBOURS = np.array([[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5], [0, 0, 1, 0]])


def unfolded(rows):
    """Balanced accuracy against the truth, of rows whose readers err as they were seen to."""
    wrong = rows.label_trust.map({"A": 0.03, "B": 0.08, "C": 0.14}).mean()
    reads = (1 - wrong) * np.eye(4) + wrong * NEIGHBOURS  # true state, label
    seen = pd.crosstab(rows.state_label, rows.call).reindex(index=STATES, columns=STATES)
    true = np.linalg.solve(reads.T, seen.fillna(0)).clip(min=0)
    return pd.Series({"truth": (np.diag(true) / true.sum(1)).mean()})


unfolded(answers["logistic"]).round(3).to_frame("logistic")
# end solution

# %% [markdown]
# ## 12 · Science!

# %% tags=["nbval-ignore-output"]
# solution: your work
promise = {}
for name, model, score in [
    ("readers", "logistic", scores),
    ("truth", "logistic", unfolded),
    ("object", "forest", scores),
]:
    centre, error = score(answers[model])[name], skies(answers[model], score)[name].std()
    promise[name] = (max(centre - 2 * error, 0), min(centre + 2 * error, 1))
# end solution

# %% tags=["nbval-ignore-output"]
# solution: your work
# No known source lies wholly on the wrong side, so no resampling has seen what one would do.
# By Laplace's rule of succession one of the m sealed does with a chance of m / (n + m + 1).
n, m = known.source_id.nunique(), sealed.source_id.nunique()
chance = np.random.default_rng(2)


def surprised(rows):
    """The scores of a sky where one source, by chance, is taken for the other kind."""
    one = rows.source_id == chance.choice(rows.source_id.unique())
    wrong = one & (chance.random() < m / (n + m + 1))
    return scores(rows.assign(BH=rows.BH.where(~wrong, 1 - rows.BH)))


low = min(promise["object"][0], skies(answers["forest"], surprised).object.quantile(0.025))
promise["object"] = (low, promise["object"][1])
pd.DataFrame(promise, index=["low", "high"]).round(3)
# end solution

# %% tags=["nbval-ignore-output"]
# solution: your work
of_states = logistic.fit(known, known.state_label)
of_kinds = make_pipeline(preprocessor(of_object), forest).fit(known, known.object_label)
predictions = pd.DataFrame(of_states.predict_proba(sealed), columns=of_states.classes_)
predictions = predictions.assign(obs_id=sealed.obs_id, state=of_states.predict(sealed))
predictions["BH"] = of_kinds.predict_proba(sealed)[:, 0]  # classes are sorted: BH, NS
predictions.head(3).round(3)
# end solution

# %% [markdown]
# ## Hand in

# %% tags=["nbval-ignore-output"]
# solution: your table, and {"readers": (low, high), "truth": (low, high), "object": (low, high)}
hand_in, promised = predictions, promise
# end solution
result = check.open_truth(hand_in, promised)
