# %% [markdown]
# # 11 · Interpreting outcomes
#
# | **The question** | What may we conclude about the stars from a model that works? |
# |---|---|
# | **Afterwards you can** | put an honest error on a coefficient, an importance and a saliency map, and a control beside each; find out how little would change a model's mind, and when it should have been silent; tell association, prediction and cause apart in a sentence of a paper |
# | **Time** | 35 min of reading or teaching, 56 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, its light curves, and the NICER pointings, see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from sklearn.base import clone
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from tqdm.auto import tqdm

# %%
from course.checks import lesson_11 as check
from helpers import data, networks, plotting
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()
train, validation = data.load_split()
train.attrs = validation.attrs = {}  # pandas compares them at each step
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# %% [markdown] tags=["slide"]
# ## A model has an opinion about everything
#
# Ask a model which feature matters, and it will answer. It also answers if it was trained on nonsense. So today we ask three questions about each way to look into a model. What is its **error**? What is its **control**? What does the answer **not** say?
#
# Here are our two models, and their scores on sources that they have not seen. One names the state: low/hard (LHS), hard-intermediate (HIMS), soft-intermediate (SIMS) or high/soft (HSS). The other names the object: black hole (BH) or neutron star (NS).

# %%
columns = {"state": list(STATE_FEATURES), "object": [*STATE_FEATURES, *GROUPS["lags"]]}
models = {}
for task, names in columns.items():
    pipeline = make_pipeline(preprocessor(names), LogisticRegression(max_iter=2000))
    models[task] = pipeline.fit(train, train[f"{task}_label"])


# %%
def state_score(table, model=models["state"]):
    """Balanced accuracy of the state."""
    return balanced_accuracy_score(table.state_label, model.predict(table))


def object_score(table, model=models["object"]):
    """ROC AUC of BH against NS."""
    return roc_auc_score(table.object_label == "NS", model.predict_proba(table)[:, 1])


# %%
print(f"state  {state_score(validation):.3f} (balanced accuracy)")
print(f"object {object_score(validation):.3f} (ROC AUC)")
print(f"trained on {len(train)} rows of {train.source_id.nunique()} sources")

# %% [markdown]
# ## A coefficient is a measurement
#
# Lesson 07 gave coefficients: log odds per standard deviation of a feature. Software prints an error beside each. The error comes from the curvature of the loss at its minimum, the **Fisher information**
#
# $$H = X^T W X,\qquad W_{ii} = p_i(1-p_i).$$
#
# If the rows are independent, the inverse of $H$ is the covariance of the coefficients.
#
# A ridge penalty adds its strength to the diagonal of $H$. The inverse is then the covariance of a *posterior*, whose prior is the penalty. Its root is a **posterior width**. It is no sampling error: even for independent rows, the coefficients scatter less than that from sample to sample.

# %% [markdown] tags=["slide"]
# ## Exercise 11.1 · The error that software prints  ·  core · 10 min · ●●○
#
# Return this error for each coefficient. The first column of `X` is all ones. The ridge penalty adds its strength (1 for scikit-learn's $C=1$) to the diagonal of $H$, except for the intercept.


# %%
def curvature_errors(X, p, penalty):
    """Standard errors (k,) of all coefficients from features X (n, k) and probabilities p (n,)."""
    # solution: X.T @ (X * w[:, None]) with weights w; penalty from the second place on; invert; diagonal
    curvature = X.T @ (X * (p * (1 - p))[:, None])
    curvature[1:, 1:] += penalty * np.eye(X.shape[1] - 1)
    return np.sqrt(np.diag(np.linalg.inv(curvature)))
    # end solution


curvature_errors = check.curvature_errors(curvature_errors)

# %% [markdown]
# We compare it with the scatter of the coefficients when whole sources are drawn anew (the bootstrap of lesson 02). We ask two questions: *neutron star?* and *hard state?*


# %%
def in_other_skies(rows, y):
    """Coefficients (30, k) of a logistic regression when the sources are drawn anew."""
    generator, labelled = np.random.default_rng(11), rows.assign(y=y, source_id=train.source_id)
    drawn = [resample_sources(labelled, generator) for _ in range(30)]
    fits = [LogisticRegression(max_iter=2000).fit(sky[rows.columns], sky.y) for sky in drawn]
    return pd.DataFrame([fit.coef_[0] for fit in fits], columns=rows.columns)


# %%
questions = {"neutron star?": ("object", "NS"), "hard state?": ("state", "LHS")}
coefficients, skies = {}, {}
for name, (task, label) in questions.items():
    X, y = models[task][:-1].transform(train), train[f"{task}_label"] == label
    fit = LogisticRegression(max_iter=2000).fit(X, y)
    p = fit.predict_proba(X)[:, 1]
    printed = curvature_errors(np.column_stack([np.ones(len(X)), X]), p, 1.0)[1:]
    draws = in_other_skies(X, y)
    both = pd.DataFrame({"b": fit.coef_[0], "printed": printed, "sources": draws.std()})
    both["sure by printed"] = both.b.abs() > 1.64 * both.printed  # of its sign, 95 %
    both["sure by sources"] = np.abs((draws > 0).mean() - 0.5) >= 0.45
    coefficients[name], skies[name] = both[~both.index.str.startswith("missing")], draws

# %%
ratios = {name: both.sources / both.printed for name, both in coefficients.items()}
pd.DataFrame(ratios).agg(["min", "median", "max"]).round(1)  # error by sources / printed error

# %%
sure_of = pd.concat(coefficients, names=["question", "feature"]).iloc[:, -2:]
sure_of.groupby("question").value_counts().to_frame("coefficients")

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(10, 5.4))
for ax, (name, both) in zip(axes, coefficients.items(), strict=True):
    ax.errorbar(both.b, both.index, xerr=both.printed, fmt="C1,", linewidth=6, label="printed")
    ax.errorbar(both.b, both.index, xerr=both.sources, fmt="ko", label="by sources")
    unsure = both[~both["sure by sources"]]
    ax.plot(unsure.b, unsure.index, "wD", markeredgecolor="k", zorder=5, label="sign not sure")
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set(title=name, xlabel="log odds per σ of the feature", ylim=(len(both) - 0.5, -0.5))
axes[0].legend(loc="lower right")
plotting.show(fig, "11_two_errors", colours=64)

# %% [markdown]
# For the **object** the printed errors are several times too small for the coefficients that one would write about. All rows of a source have one label, so thousands of rows are only 24 samples. White diamonds have no sure sign by sources. Several of them have a printed error that promises one.
#
# For the **state** the printed errors are about right: some are too small, others too large. States change within a source, and each outburst is new evidence. And a posterior width is larger than the sampling error.
#
# **Ask on which level the label varies.** That decides which errors you need.

# %% [markdown]
# ## Twins share
#
# What does a *single* coefficient mean if another column says nearly the same? Look at the scatter of the sum over a group, divided by the scatter that the sum would have if its members scattered independently.

# %%
ratio = {}
for name, draws in skies.items():
    for group, start in {"two colours": "^hr_", "six rms": "^log_rms"}.items():
        own = draws.filter(regex=start)
        ratio[name, group] = own.sum(axis=1).std() / np.sqrt(own.var().sum())
pd.Series(ratio).unstack().round(2)  # scatter of the sum / of independent members

# %% [markdown]
# The two colours trade weight: when one gains, the other loses. Their sum is better known than its parts would allow. The six rms of the hard state do the same.
#
# But look at the six rms of the *object*. There the ratio is near 1. This model uses the *differences* of the rms: how far the noise reaches up in frequency. So group what is interchangeable *for the question*, and check.

# %% [markdown]
# ## Permutation importance
#
# The next question works for any model: how much of the score is lost if we shuffle a column among the rows? Shuffle **held-out** sources, or you measure what the model has learned by heart. The control is a column of pure noise, which the model is trained with. `sklearn.inspection` shuffles column by column. We add `hr_3_10`, which for RXTE is `hr_soft` once more.


# %%
def shuffled_singly(model, table, y, scoring):
    """What a score loses when one column of a table is shuffled, mean and scatter of five."""
    options = {"scoring": scoring, "n_repeats": 5, "random_state": 0}
    found = permutation_importance(model, table, y, **options)
    losses = {"loss": found.importances_mean, "scatter of shuffles": found.importances_std}
    return pd.DataFrame(losses, table.columns)


# %%
generator = np.random.default_rng(112)
wider = [*STATE_FEATURES, "noise", "hr_3_10"]
noisy = [t.assign(noise=generator.normal(size=len(t))) for t in (train, validation)]
twins = make_pipeline(preprocessor(wider), LogisticRegression(max_iter=2000))
twins.fit(noisy[0][wider], train.state_label)
judged = (validation.state_label, "balanced_accuracy")
alone = shuffled_singly(models["state"], validation[columns["state"]], *judged)
double = shuffled_singly(twins, noisy[1][wider], *judged)
compared = pd.concat({"alone": alone, "with copy and noise": double}, axis=1)
compared.loc[["hr_soft", "hr_3_10", "noise"]].round(3)

# %% [markdown]
# With a perfect copy beside it, `hr_soft` looks about half as important. The more copies a feature has, the less each seems to matter. So shuffle **groups**, whose columns all move together.

# %% [markdown] tags=["slide"]
# ## Exercise 11.2 · Shuffle a group  ·  core · 8 min · ●●○
#
# Return a copy of the table in which the rows of the given columns, and of no others, have changed places. Within a row, these columns (a list of names, in any order) stay together. Gaps (NaN) travel along, and the index stays as it is.


# %%
def shuffled_together(table, columns, generator):
    """A copy of the table whose `columns` were moved to other rows, in one common random order."""
    # solution: one generator.permutation for all columns; `.to_numpy()` keeps pandas from putting them back
    table, columns = table.copy(), list(columns)
    table[columns] = table[columns].to_numpy()[generator.permutation(len(table))]
    return table
    # end solution


shuffled_together = check.shuffled_together(shuffled_together)

# %% [markdown] tags=["slide"]
# ### Predict first
#
# There are four groups: the two colours, the six rms, the spectral fit ($\Gamma$, disc temperature and disc share), and the power spectrum (break, QPO, and hue, the angle in the power-colour wheel). Rank them by what the model of the *state* loses. How much of its balanced accuracy does it lose with your first?

# %%
my_guess = ...  # loss of balanced accuracy

# %% tags=["nbval-ignore-output"]
parts = {f"GROUP: {group}": names for group, names in GROUPS.items() if group != "lags"}
parts |= {name: [name] for name in STATE_FEATURES}
generator = np.random.default_rng(113)
losses = []
for _ in tqdm(range(25)):  # other validation sources, and another order each time
    sky = resample_sources(validation, generator)
    here = state_score(sky)
    tables = {name: shuffled_together(sky, own, generator) for name, own in parts.items()}
    losses.append({name: here - state_score(table) for name, table in tables.items()})
losses = pd.DataFrame(losses)

# %% tags=["slide"]
order = losses.mean().sort_values(ascending=False).index
fig, ax = plt.subplots(figsize=(8, 5.6))
sns.pointplot(losses[order], orient="h", errorbar="sd", linestyle="none", ax=ax)
ax.set(xlabel="loss of balanced accuracy, error by sources", ylabel="shuffled")
plotting.mark_guess(ax, my_guess)
plotting.show(fig, "11_permutation", colours=64)

# %%
of_groups = losses.filter(like="GROUP")
first = of_groups.idxmax(axis=1).value_counts(normalize=True)
of_groups.agg(["mean", "std"]).T.assign(**{"is first, share of skies": first}).fillna(0).round(2)

# %% [markdown]
# **The answer:** the rms lose most, between 0.1 and 0.2.
#
# From the single columns one would write about the QPO frequency and one rms band. As groups, the rms win on most skies: these six columns can replace each other. The error bars of the other three overlap: 13 sources cannot rank them.
#
# Neither number says what a telescope *without* timing could reach. For that, train again without the group. An importance belongs to this model, these other columns, this metric and these sources.

# %% [markdown]
# ## Partial dependence, and where nobody is
#
# How does the answer change with *one* feature? Change it in all pointings at once, keep the rest, ask the model, and average: this is the **partial dependence**. The curve of a single pointing is its *individual* curve (grey). Beside it we draw what is simply observed: the mean answer for pointings that *have* this colour.

# %%
plane = train.dropna(subset=["hr_hard", "rms_0p1_64"]).query("0.2 < hr_hard < 1.4")
asked = plane.sample(300, random_state=0)
grid = np.linspace(0.25, 1.35, 23)  # Crab
options = {"custom_values": {"hr_hard": grid}, "kind": "both", "response_method": "predict_proba"}
curves = partial_dependence(models["state"], asked[columns["state"]], ["hr_hard"], **options)
hard = list(models["state"].classes_).index("LHS")
mean, each = curves["average"][hard], curves["individual"][hard]
answers = models["state"].predict_proba(plane)[:, hard]
observed = pd.Series(answers).groupby(pd.cut(plane.hr_hard.to_numpy(), grid), observed=True).mean()

# %%
fig, (ax_curve, ax_plane) = plt.subplots(1, 2, figsize=(9.6, 4.2))
ax_curve.plot(grid, each[:40].T, color="0.8", linewidth=0.8)
ax_curve.plot(grid, mean, "C0-", linewidth=3, label="partial dependence")
middles = pd.IntervalIndex(observed.index).mid
ax_curve.plot(middles, observed, "ks", label="pointings of this colour")
ax_curve.set(xlabel="hard colour (Crab)", ylabel="probability of LHS", ylim=(-0.02, 1.02))
fig.legend(loc="outside upper left", ncols=2)
ax_plane.plot(plane.hr_hard, plane.rms_0p1_64, ".", color="0.6", markersize=2)
three = asked.iloc[[0, 1, 5]]
ax_plane.hlines(three.rms_0p1_64, grid[0], grid[-1], linewidth=2)
ax_plane.plot(three.hr_hard, three.rms_0p1_64, "C0o", markersize=9)
ax_plane.set(xlabel="hard colour (Crab)", ylabel="fractional rms, 0.1–64 Hz")
ax_plane.set(yscale="log", ylim=(0.003, 1))
plotting.show(fig, "11_partial_dependence", colours=64)

# %%
soft = plane[plane.hr_hard < 0.5]
print(f"partial dependence, first and last colour: {mean[0]:.2f} and {mean[-1]:.2f}")
print(f"{len(soft)} pointings below 0.5 Crab; rms above 25 %: {sum(soft.rms_0p1_64 > 0.25)}")

# %% [markdown]
# "The colour hardly matters", says the curve. "The colour tells nearly everything", say the squares. Both are right, but they answer different questions. With rms and spectrum held still, the colour alone moves the answer little. But then you ask about soft pointings with a large rms, and there are hardly any. On the right you see three such paths: they leave the cloud of data. There the curve is **extrapolation**: it tells about the model, and nothing about stars. Show the data beside every such curve.

# %% [markdown]
# ## What would change its mind?
#
# A referee asks: "What should have been different, for you to call it a neutron star?" The answer is a **counterfactual**. For a linear model it has a closed form: the log odds are $z = b_0 + \sum_j b_jx_j$, and one feature can bring them to zero.

# %% [markdown] tags=["slide"]
# ## Exercise 11.3 · The turning point  ·  core · 10 min · ●●○
#
# Return the value of each feature at which the call would turn if all others stayed. Where that lies outside what is allowed, from `low` to `high` (both included), or where no value would do, return NaN.


# %%
def turning_points(x, z, b, low, high):
    """Where each feature (k,) must lie to make z zero; x, b, low and high are (k,), z is a number."""
    # solution: a step d in feature j changes z by b_j d; np.where and np.nan for what is not allowed
    moved = np.full(len(x), np.nan)
    steps = b != 0
    moved[steps] = x[steps] - z / b[steps]
    return np.where((moved >= low) & (moved <= high), moved, np.nan)
    # end solution


turning_points = check.turning_points(turning_points)

# %% [markdown]
# What is allowed? At most what this *source* did in any of its own pointings.

# %%
ready = models["object"][:-1].transform(validation)
b, z = models["object"][-1].coef_[0], models["object"].decision_function(validation)
of_one = ready.groupby(validation.source_id)
low, high = (of_one.transform(extreme).to_numpy() for extreme in ("min", "max"))
rows = zip(ready.to_numpy(), z, low, high, strict=True)
turns = pd.DataFrame(
    [turning_points(x, z_row, b, *limits) for x, z_row, *limits in rows], columns=ready.columns
)
turns = turns.loc[:, ~turns.columns.str.startswith("missing")]
possible = turns.notna()
right = (models["object"].predict(validation) == validation.object_label).to_numpy()
calls = pd.Series(np.where(right, "right calls", "wrong calls"), name="one feature can turn")
possible.any(axis=1).groupby(calls).mean().map("{:.0%}".format).to_frame("share")

# %%
example = np.flatnonzero(right & (np.abs(z) > 2) & possible.any(axis=1))[0]  # right, fairly sure
print(f"a {validation.object_label[example]}, log odds {z[example]:+.2f}; features in σ:")
pd.DataFrame({"is": ready.iloc[example], "turns at": turns.iloc[example]}).dropna().round(2)

# %% [markdown]
# The wrong calls are easier to turn, which is good. But many *right* ones can be turned, too, by a change that the same star shows from week to week. So this model depends much on the state when it speaks about the star. (And "all others stayed" asks again about places where no pointing is: a star cannot change its colour alone.)

# %% [markdown]
# ## How little is enough?
#
# An **adversarial** change is the smallest one that turns the call. In images it may be invisible. In our table we know what is invisible: the measurement errors. Move both colours, each by at most $t$ of its own errors, in the worst direction. The log odds change by $t\sum_j|b_j\sigma_j|$. (For a network, follow the sign of the gradient.) Compare with *random* errors of that size.

# %%
colours = ["hr_soft", "hr_hard"]
scaler = models["object"][0][-1]  # the standard deviations by which features were divided
scale = pd.Series(scaler.scale_, scaler.get_feature_names_out())[colours]
errors = validation[[f"{name}_err" for name in colours]].fillna(0).to_numpy() / scale.to_numpy()
pull = errors * b[[ready.columns.get_loc(name) for name in colours]]  # change of z by one error
needed = np.abs(z) / np.maximum(np.abs(pull).sum(axis=1), 1e-12)
chance = np.random.default_rng(115).normal(size=(50, *pull.shape))
turned = {}
for t in (1, 2, 5):
    moved_z = z + t * (pull * chance).sum(axis=2)
    turned[t] = {"worst direction": np.mean(needed <= t), "random": np.mean(moved_z * z < 0)}
pd.DataFrame(turned).T.rename_axis("t").map("{:.1%}".format)

# %%
print(
    f"wrong: {np.mean(~right[needed <= 1]):.0%} of those with t = 1; of all, {np.mean(~right):.0%}"
)

# %% [markdown]
# A few per cent of the calls depend on one error of two colours. These pointings have no call, whatever the probability says, and here more than half of them are wrong anyway. The true share is larger, since most columns come without an error. Random errors turn fewer calls than the worst direction does. But a calibration that is off by one σ, in the same direction for all pointings, *is* such a direction.

# %% [markdown]
# ## Which frequencies matter?
#
# Now we take a network on power spectra. Its **saliency map** is the gradient of a logit with respect to each bin of the input: if the power there were a little higher, would the network be more convinced?

# %% [markdown] tags=["slide"]
# ## Exercise 11.4 · A map by autograd  ·  core · 10 min · ●●○
#
# Return the gradient of `network(x)[:, k]` with respect to the inputs, for each sample. (Samples do not talk to each other. So the gradient of the *sum* over samples holds the gradient of each.)


# %%
def saliency(network, x, k):
    """Derivatives (n, n_bins) of the logit of class k with respect to the inputs x (n, n_bins)."""
    # solution: clone x, let the clone require its gradient, sum logit k over the samples, go backwards
    x = x.clone().requires_grad_(True)
    network(x)[:, k].sum().backward()
    return x.grad
    # end solution


saliency = check.saliency(saliency)

# %%
light = data.load_segments()
learn = np.flatnonzero(np.isin(light.source_id, train.source_id))
judge = np.flatnonzero(np.isin(light.source_id, validation.source_id))
states = list(models["state"].classes_)
sims = states.index("SIMS")
truth = np.searchsorted(states, light.state_label)
log_power = np.log10(light.power / light.noise[:, None])
scaled = (log_power - log_power[learn].mean(axis=0)) / log_power[learn].std(axis=0)
spectra = torch.tensor(scaled, dtype=torch.float32)
learnable = pd.DataFrame({"source_id": light.source_id[learn], "row": learn})


# %%
def map_of(rows, y, seed):
    """Validation score of a network trained on these rows, and its mean map of SIMS (n_bins,)."""
    generator = torch.Generator().manual_seed(seed)
    network = networks.feed_forward(spectra.shape[1], 4, generator=generator).to(device)
    x, y = spectra[rows].to(device), torch.tensor(y[rows]).to(device)
    networks.train(network, x, y, generator=generator, n_epochs=10)
    network = network.cpu()
    said = networks.probabilities(network, spectra[judge]).argmax(dim=1).numpy()
    gradients = saliency(network, spectra[judge[truth[judge] == sims]], sims)
    return balanced_accuracy_score(truth[judge], said), gradients.detach().mean(dim=0).numpy()


# %% [markdown]
# We train four sets of five networks, and look at the map of SIMS. Two maps agree if their correlation is near 1. The sets are:
#
# 1. five **seeds** of one network on one training set. Most papers show this.
# 2. the **control**, five seeds again: each source gets the labels of another source, so that nothing is left to learn.
# 3. true labels, but the **sources** drawn anew for each network.
# 4. labels stolen anew for each network.


# %%
def stolen_labels(generator):
    """Labels for all segments: those of each training source come from another training source."""
    y, names = truth.copy(), learnable.source_id.unique()
    for name, victim in zip(names, np.roll(generator.permutation(names), 1), strict=True):
        own = np.flatnonzero(light.source_id == name)
        y[own] = np.resize(generator.permutation(truth[light.source_id == victim]), len(own))
    return y


# %% tags=["nbval-ignore-output"]
stolen = stolen_labels(np.random.default_rng(0))
runs = []
for seed in tqdm(range(5)):
    other = resample_sources(learnable, np.random.default_rng(seed)).row.to_numpy(copy=True)
    again = stolen_labels(np.random.default_rng(100 + seed))
    kinds = {"five seeds": (learn, truth), "five seeds, stolen labels": (learn, stolen)}
    kinds |= {"other sources": (other, truth), "stolen in five ways": (learn, again)}
    runs.append({name: map_of(*rows, seed) for name, rows in kinds.items()})
runs = pd.DataFrame(runs)

# %% tags=["nbval-ignore-output"]
maps = {name: np.array([of_sims for _, of_sims in column]) for name, column in runs.items()}
agreement = {n: np.corrcoef(m)[np.triu_indices(5, 1)].mean() for n, m in maps.items()}
scores = runs.map(lambda run: run[0]).mean()
pd.DataFrame({"score on validation sources": scores, "agreement of maps": agreement}).round(2)

# %% tags=["nbval-ignore-output", "slide"]
fig, axes = plt.subplots(1, 3, figsize=(10, 3.8), sharey=True)
for ax, (name, values) in zip(axes, list(maps.items())[:3], strict=True):
    ax.plot(light.frequency, values.T / np.abs(values).mean(), color="0.7", linewidth=0.8)
    ax.plot(light.frequency, values.mean(axis=0) / np.abs(values).mean(), "C0-", linewidth=2)
    ax.axhline(0, color="0.4", linewidth=0.8)
    ax.set(title=name, xlabel="frequency (Hz)", ylim=(-5, 5), xscale="log")
    ax.xaxis.set_major_formatter("{x:g}")
axes[0].set_ylabel("gradient of the SIMS logit (scaled)")
plotting.show(fig, "11_saliency", colours=64)

# %% [markdown]
# (Thin lines are single networks, the thick one is their mean.) On the left, five seeds agree well. Is that convincing? Five seeds that learned *nothing but stolen labels* (middle) agree well, too, and they predict no better than chance (0.25). So the agreement of seeds says that the *training set* fixes the map. It does not say that the map is about stars.
#
# Two things do tell. With labels stolen in another way the control becomes another map (last row of the table). Maps from other sources (right) still resemble each other. So there is something in the map, but its honest error is the scatter over **sources**.

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write two sentences): which control would have unmasked the last heat map that you saw in a talk?

# %% [markdown]
# ## It predicts. Does it cause?
#
# Is a source in *transition* (HIMS or SIMS)? A quick-look model takes two colours and the rms. Somebody adds `exposure`.

# %%
quick = ["hr_soft", "hr_hard", "rms_0p1_64"]
moving, moving_there = (t.state_label.isin(["HIMS", "SIMS"]) for t in (train, validation))
looks = {}
for key, names in {"without": quick, "with": [*quick, "exposure"]}.items():
    pipeline = make_pipeline(preprocessor(names), LogisticRegression(max_iter=2000))
    looks[key] = pipeline.fit(train, moving)


def finds(table, model=looks["with"]):
    """ROC AUC of transitions among validation rows."""
    return roc_auc_score(moving_there, model.predict_proba(table)[:, 1])


# %%
drops = shuffled_singly(looks["with"], validation[[*quick, "exposure"]], moving_there, "roc_auc")
print({f"AUC {key} exposure": f"{finds(validation, model):.2f}" for key, model in looks.items()})
drops.round(3)  # AUC lost by shuffling

# %% [markdown] tags=["slide"]
# It is the best feature of all! It has passed every test of this lesson: held-out sources, permutation, a clear margin. Now do not *observe*, but **do**: next year, all pointings get the same exposure. Nothing changes in the sky.

# %% tags=["slide-next"]
do = {t: validation.assign(exposure=float(t)) for t in (500, 1000, 1500, 2000, 3000, 4000)}  # s
called = pd.Series({t: looks["with"].predict(table).mean() for t, table in do.items()})
print(f"AUC with equal exposures: {finds(do[1500]):.2f}")
print(f"in truth (as labelled), {moving_there.mean():.1%} are in transition")
called.rename_axis("every exposure (s)").map("{:.1%}".format).to_frame("called transitions")

# %% [markdown]
# The exposure did not make the transition. *People* heard that a source was in transition, and then looked longer. The arrow leads from label to feature (lesson 04's fake, from the inside). The model has learned the observers. Order long exposures, and nearly everything is in transition. It predicts within this archive, and it causes nothing. No score could tell the difference. Only the knowledge of how the data came about can.
#
# No table helps against a cause that is not in it. Lesson 00 took a correlation away by looking at sources of equal distance. *You can adjust for what you have measured, and for nothing else.*

# %% [markdown]
# ## Sure, and wrong
#
# We give the models what they were never made for: pointings of another telescope; neutron stars, with their boundary layer, for a model that learned its states from black holes alone; and one row with each feature at +8σ.

# %%
nicer = data.load_observations("nicer")
holes = train[train.object_label == "BH"]
of_holes = clone(models["state"]).fit(holes, holes.state_label)
sky_of = {"validation": validation, "NICER": nicer}
asked_of = {(task, name): (models[task], t) for task in models for name, t in sky_of.items()}
for kind, own in validation.groupby("object_label"):
    asked_of["state", f"from BH alone; {kind} of validation"] = of_holes, own
sure_and_right = {}
for (task, name), (model, table) in asked_of.items():
    sure = model.predict_proba(table).max(axis=1).mean()
    hit = model.score(table, table[f"{task}_label"])  # share of right calls
    sure_and_right[task, name] = {"mean probability of the call": sure, "right": hit}
pd.DataFrame(sure_and_right).T.round(2)

# %%
generator = np.random.default_rng(118)
for name, table in sky_of.items():
    other = [object_score(resample_sources(table, generator)) for _ in range(25)]
    print(f"object, ROC AUC: {name:10s} {object_score(table):.2f} ± {np.std(other):.2f} by sources")
odd = pd.DataFrame(8.0, index=[0], columns=models["state"][:-1].get_feature_names_out())
print(f"state at +8σ: probability {models['state'][-1].predict_proba(odd).max():.4f}")

# %% [markdown]
# For the object, NICER is a catastrophe. The AUC agrees with tossing a coin (0.5) within its large error, and the confidence does *not* fall. The model that knows only black holes loses some twenty points of accuracy on neutron stars, and far fewer of confidence. And a linear model becomes surer the farther out it is asked.
#
# So build an alarm that looks at $x$ alone: is this row like the training rows? We build three. Each is set such that it rings for 1 % of the training rows. One more test uses validation rows whose columns were all shuffled separately: each value is normal, and no row is possible.

# %%
generator = np.random.default_rng(117)
given = {}
for name, table in {"training": train, **sky_of}.items():
    features = models["state"][:-1].transform(table)
    given[name] = features.loc[:, ~features.columns.str.startswith("missing")].to_numpy()
given["shuffled"] = np.column_stack([generator.permutation(x) for x in given["validation"].T])
given["+8σ"] = np.full((1, given["training"].shape[1]), 8.0)

# %%
covariance = EmpiricalCovariance().fit(given["training"])
neighbours = NearestNeighbors(n_neighbors=10).fit(given["training"])
forest = IsolationForest(random_state=0).fit(given["training"])
alarms = {
    "Mahalanobis": lambda x: np.sqrt(covariance.mahalanobis(x)),
    "10th neighbour": lambda x: neighbours.kneighbors(x)[0][:, -1],
    "isolation forest": lambda x: -forest.score_samples(x),
}
rung = {}
for name, strange in alarms.items():
    threshold = np.quantile(strange(given["training"]), 0.99)
    rung[name] = {rows: strange(x) > threshold for rows, x in given.items()}
rings = pd.DataFrame(rung).map(np.mean)
rings.T.map("{:.1%}".format)

# %%
ring, alarmed = rung["Mahalanobis"]["NICER"], {}
for task, model in models.items():
    is_right = (model.predict(nicer) == nicer[f"{task}_label"]).to_numpy()
    alarmed[task] = {"wrong calls": ring[~is_right].mean(), "right calls": ring[is_right].mean()}
pd.DataFrame(alarmed).T.map("{:.0%}".format)  # NICER's calls with an alarm, Mahalanobis

# %% [markdown]
# All three see the +8σ. On *new* sources of the same telescope the false alarms are more than the promised 1 %: a threshold needs held-out sources, too. Most NICER rows pass, since one colour of one telescope looks like a possible colour of the other. The isolation forest, which cuts one column at a time, misses nearly all the shuffled rows.
#
# Nor does an alarm know which calls are *wrong*. It says "I have not seen this", no more. Silence is no certificate. The best alarm costs nothing: read the header. Which telescope was it?

# %% [markdown]
# ## We check what surprises us
#
# A model has called all pointings, and the literature has its opinion on each. A natural idea: look again where they disagree, and correct what is wrong. Let each err in $e = 10$ % of the cases, with two classes. What remains depends on one number: the share $s$ of the model's errors that it has *taken over* from the literature that it was trained on. In the rest they err independently. So both are wrong, and agree, in $e\,(s + (1-s)\,e)$ of the cases.

# %%
shared, error = np.array([0.0, 0.5, 0.9]), 0.1
unseen = error * (shared + (1 - shared) * error)
print(f"100 random checks: errors of {error:.0%} ± {np.sqrt(error * (1 - error) / 100):.0%}")
pd.DataFrame({"taken over": shared, "found": error - unseen, "left": unseen}).map("{:.1%}".format)

# %% [markdown]
# After the campaign, model and literature agree on **all** pointings, whatever is left. The more habits the model has taken over from its teachers, the better the check looks and the less it does. That is **confirmation bias**, without any bad intent.
#
# How is it in our archive? We plant a habit: a reader who does not believe in HIMS, and calls them LHS. (We open the truth for the reveal alone. Outside a simulation nobody has it.)

# %%
real = data.load_truth().set_index("obs_id").state.loc[validation.obs_id].to_numpy()
checks = {}
for name, swap in {"labels as they are": {}, "a reader's habit": {"HIMS": "LHS"}}.items():
    learned, expected = (t.state_label.replace(swap) for t in (train, validation))
    said = clone(models["state"]).fit(train, learned).predict(validation)
    disagree = (said != expected).to_numpy()  # these we look at, and correct
    never = ~disagree & (said != real)
    checks[name] = {"looked at again": disagree.mean(), "wrong, never looked at": never.mean()}
pd.DataFrame(checks).T.map("{:.1%}".format)

# %% [markdown]
# Random slips of the reader are no danger: the model does not repeat them. A *habit* is a danger: the errors that remain are those that everybody shares. The cure has two parts. **Blind**: whoever looks again must not know what model or literature said. And **random**: check some of the cases that nobody doubts.

# %% [markdown] tags=["slide"]
# ## Exercise 11.5 · How many random checks?  ·  core · 8 min · ●●○
#
# You check $n$ cases at random and find *no* error. That does not mean that there is none. If the error rate were $r$, such luck would have the probability $(1-r)^n$. Return the smallest $n$ for which it is at most 1 − confidence.


# %%
def checks_needed(limit, confidence):
    """Error-free random checks that exclude an error rate of `limit` with this confidence."""
    # solution: take the logarithm of (1 - limit)**n <= 1 - confidence; it is negative; round up with np.ceil
    return int(np.ceil(np.log(1 - confidence) / np.log(1 - limit)))
    # end solution


checks_needed = check.checks_needed(checks_needed)

# %%
rates = pd.DataFrame({"error rate r to exclude": [0.1, 0.05, 0.01]})
rates.assign(checks=rates.map(lambda r: checks_needed(r, 0.95)), rule_of_three=3 / rates)

# %% [markdown]
# This is the **rule of three**: no error in $n$ checks bounds the rate at $3/n$, with 95 %. (The checks must be independent: sixty pointings of *one* source are one check.) It takes an afternoon, and it is the most convincing paragraph of a paper.

# %% [markdown] tags=["slide"]
# ## Exercise 11.6 · What may be written?  ·  core · 10 min · ●●○
#
# Here are six sentences from drafts. What does each *claim*: `"association"` (what occurs together in these data), `"prediction"` (how the model does on new samples), or `"cause"` (what would change if something else were changed)? Our data can support the first two. A sentence about a cause leaves the paper, or gets a physical model.

# %%
# solution: ignore whether it is true; ask which experiment would prove it wrong
claims = {
    "in our 24 sources, pointings with a harder colour have a larger rms": "association",
    "shuffling all rms columns together costs X ± Y of the score on held-out sources": "prediction",
    "exposure matters for the state of the source": "cause",
    "BH and NS differ in soft colour; the interval over sources excludes zero": "association",
    "with RXTE, a new source will be called right in X to Y of its pointings": "prediction",
    "the frequencies above 4 Hz make the source leave the hard state": "cause",
}
# end solution

claims = check.claims(claims)

# %% [markdown]
# Read the third once more. "Exposure matters for the state" needs a few more words to become true: "*exposure matters for the model's call of the state*". Whoever leaves them out has not lied, but has misled every reader.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Take errors on the level on which the label varies: whole sources. The printed error is a posterior width. It is several times too small for the object, and about right for the state.
# - Twins hide each other: shuffle groups, keep a noise column, show the data beside each curve.
# - A map that five seeds agree on may be the map of nothing. Steal the labels; draw other sources.
# - A feature can pass every test and be made by the observer. What happens if you *change* it?
# - Outside its data a model stays sure. An alarm rings for a part of these rows, and does not know which calls are wrong.
# - Disagreements show you the errors that are *not* shared: check at random, and blind.

# %% [markdown]
# **Further reading.** C. Rudin, *Stop explaining black box machine learning models for high stakes decisions* (Nature Machine Intelligence 1, 206, 2019, [arXiv:1811.10154](https://arxiv.org/abs/1811.10154)): why simple models first · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): importances and their limits · D. Huppenkothen, M. Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)): what to report about interpretation · S. Fotopoulou ([arXiv:2406.17316](https://arxiv.org/abs/2406.17316)): methods across astronomy, with cautions · scikit-learn user guide, [Permutation feature importance](https://scikit-learn.org/stable/modules/permutation_importance.html): misleading values with collinear features
