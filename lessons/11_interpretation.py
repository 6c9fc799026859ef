# %% [markdown]
# # 11 · Interpreting outcomes
#
# | **The question** | What may we conclude about the stars from a model that works? |
# |---|---|
# | **Afterwards you can** | put an honest error on a coefficient, an importance and a saliency map, and a control beside each; find out how little would change a model's mind, and when it should have been silent; tell association, prediction and cause apart in a sentence of a paper |
# | **Time** | 40 min of reading or teaching, 56 min of exercises |
# | **Data** | training and validation set of the simulated RXTE archive, its light curves, and the NICER pointings, see `data/README.md` |
# | **Run time** | below 60 s on two cores |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import IsolationForest
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from tqdm.auto import tqdm

from course.checks import lesson_11 as check
from helpers import data, plotting
from helpers.networks import feed_forward, probabilities
from helpers.networks import train as train_network
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

plotting.use_course_style()
train, validation = data.load_split()
train.attrs = validation.attrs = {}  # pandas compares them at each step
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# %% [markdown] tags=["slide"]
# ## A model has an opinion about everything
#
# Ask it which feature matters, and it will answer. It also answers if it was trained on nonsense. So for each way to look into a model, today has three questions: what is its **error**, what is its **control**, and what does the answer **not** say? Our two models, on sources that they have not seen:

# %%
columns = {"state": list(STATE_FEATURES), "object": [*STATE_FEATURES, *GROUPS["lags"]]}
models = {
    task: make_pipeline(preprocessor(names), LogisticRegression(max_iter=2000))
    for task, names in columns.items()
}
for task, model in models.items():
    model.fit(train, train[f"{task}_label"])


def state_score(table, model=models["state"]):
    """Balanced accuracy of the state."""
    return balanced_accuracy_score(table.state_label, model.predict(table))


def object_score(table, model=models["object"]):
    """ROC AUC of BH against NS."""
    return roc_auc_score(table.object_label == "NS", model.predict_proba(table)[:, 1])


print(f"state  {state_score(validation):.3f} (balanced accuracy)")
print(f"object {object_score(validation):.3f} (ROC AUC)")

# %% [markdown]
# ## A coefficient is a measurement
#
# Lesson 07 gave coefficients: log odds per standard deviation of a feature. Software prints an error beside each. It comes from the curvature of the loss at its minimum, the **Fisher information**
#
# $$H = X^T W X,\qquad W_{ii} = p_i(1-p_i),$$
#
# whose inverse is the covariance. That is correct if the rows are independent.

# %% [markdown] tags=["slide"]
# ## Exercise 11.1 · The error that software prints  ·  core · 10 min · ●●○
#
# Write it, for `X` whose first column is all ones. A ridge penalty adds its strength (1 for scikit-learn's $C=1$) to the diagonal of $H$, except for the intercept.


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
# Against it we hold the scatter of the coefficients when whole sources are drawn anew (lesson 02), for two questions: *neutron star?* and *hard state?*

# %%
questions = {
    "neutron star?": ("object", train.object_label == "NS"),
    "hard state?": ("state", train.state_label == "LHS"),
}
coefficients, skies = {}, {}
for name, (task, y) in questions.items():
    X = models[task][:-1].transform(train)
    model = LogisticRegression(max_iter=2000).fit(X, y)
    X1, p = np.column_stack([np.ones(len(X)), X]), model.predict_proba(X)[:, 1]
    found = {"b": model.coef_[0], "printed": curvature_errors(X1, p, 1.0)[1:]}
    generator, draws = np.random.default_rng(11), []
    rows = X.assign(y=y, source_id=train.source_id)
    for _ in range(30):
        sky = resample_sources(rows, generator)
        draws.append(LogisticRegression(max_iter=2000).fit(sky[X.columns], sky.y).coef_[0])
    skies[name] = pd.DataFrame(draws, columns=X.columns)
    found["sources"] = np.std(draws, axis=0, ddof=1)
    positive = (skies[name] > 0).mean().to_numpy()
    found["one sign"] = np.maximum(positive, 1 - positive)
    table = pd.DataFrame(found, index=X.columns)
    coefficients[name] = table[~table.index.str.startswith("missing")]

# %%
for name, table in coefficients.items():
    ratio = table.sources / table.printed
    print(f"{name:14s} error by sources / printed error: median {ratio.median():.1f}, ", end="")
    print(f"from {ratio.min():.1f} to {ratio.max():.1f}")
    printed, honest = table.b.abs() > 1.64 * table.printed, table["one sign"] >= 0.95
    print(
        f"   sure of their sign (95 %), by printed errors {printed.sum()} of {len(table)}, "
        f"by sources {honest.sum()}, by both {np.sum(printed & honest)}"
    )

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(8.4, 4.6))
for ax, (name, table) in zip(axes, coefficients.items(), strict=True):
    place = np.arange(len(table))
    ax.errorbar(table.b, place, xerr=table.sources, fmt="none", color="C0", label="by sources")
    ax.errorbar(table.b, place, xerr=table.printed, fmt="none", color="C1", linewidth=4, alpha=0.7,
                label="printed")  # fmt: skip
    sure = table["one sign"] >= 0.95
    ax.plot(table.b[sure], place[sure], "ko", markersize=4, label="sure of its sign")
    ax.plot(table.b[~sure], place[~sure], "ko", markersize=4, markerfacecolor="white")
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set(
        yticks=place, yticklabels=table.index, title=name, xlabel="log odds per σ of the feature"
    )
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=8)
axes[0].legend(loc="lower right")
plotting.show(fig, "11_two_errors")

# %% [markdown]
# For the *object*, the printed errors are several times too small for the coefficients that one would write about: all rows of a source have one label, so that 3875 rows are 24 samples. For the *state* they are, by and large, not too small: some are, others are too large. States change within a source, each outburst is new evidence; and the penalty holds the coefficients tighter than the curvature says. Open symbols have no sure sign by sources. For the object, that is several of those whose printed error promises one. **Ask on which level the label varies.** That decides whose errors you need.

# %% [markdown]
# ## Twins share
#
# What does a *single* coefficient mean, if the model has another column that says nearly the same? Look at the scatter of one, and of the sum over its group.

# %%
groups = {"two colours": ["hr_soft", "hr_hard"]}
groups["six rms"] = [f"log_{name}" for name in GROUPS["rms"]]
for name, draws in skies.items():
    for group, members in groups.items():
        own = draws[members]
        apart = np.sqrt(np.sum(own.var()))
        print(
            f"{name:14s} sum of {group:12s} {coefficients[name].b[members].sum():+.2f} ± "
            f"{own.sum(axis=1).std():.2f}; if they scattered independently ± {apart:.2f}"
        )

# %% [markdown]
# The two colours trade weight: when one gains, the other loses, and the sum is better known than its parts would allow. For the six rms of the hard state it is the same. But look at the six rms of the object: there the sum is no better than its parts, for their *differences* are what the model uses (how far the noise reaches up in frequency). Group what is interchangeable *for the question*, and check.

# %% [markdown]
# ## Permutation importance
#
# Another question, for any model: how much of the score is lost if a column is shuffled among the rows? On **held-out** sources, or you measure what the model learned by heart. The control is a column of pure noise, trained in. `sklearn.inspection` does it, column by column; and we add `hr_3_10`, which for RXTE is `hr_soft` once more.

# %%
generator = np.random.default_rng(112)
wider = [*STATE_FEATURES, "noise", "hr_3_10"]
learn, judge = (t.assign(noise=generator.normal(size=len(t))) for t in (train, validation))
twins = make_pipeline(preprocessor(wider), LogisticRegression(max_iter=2000))
twins.fit(learn[wider], learn.state_label)
options = {"scoring": "balanced_accuracy", "n_repeats": 10, "random_state": 0}
single = permutation_importance(models["state"], validation[columns["state"]],
                                validation.state_label, **options)  # fmt: skip
double = permutation_importance(twins, judge[wider], judge.state_label, **options)
single, double = (
    pd.DataFrame({"loss": r.importances_mean, "scatter": r.importances_std}, index=names)
    for r, names in ((single, columns["state"]), (double, wider))
)
print(f"hr_soft without its twin: {single.loss['hr_soft']:.3f}")
print(double.loc[["hr_soft", "hr_3_10", "noise"]].round(3))

# %% [markdown]
# A perfect copy, and each of the two looks about half as important. With ten copies, the best feature of the table would look like noise. So shuffle **groups**, all of whose columns move together.

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
# Four groups: the two colours, the six rms, the spectral fit ($\Gamma$, disc temperature and fraction), the power spectrum (break, QPO, hue). Rank them by what the model of the *state* loses. Then write down how much of its balanced accuracy it loses with your first.

# %%
my_guess = ...  # loss of balanced accuracy

# %%
whole = {group: list(names) for group, names in GROUPS.items() if group != "lags"}
generator = np.random.default_rng(113)
losses = {group: [] for group in whole}
for _ in range(25):  # other validation sources, and another order each time
    sky = resample_sources(validation, generator)
    here = state_score(sky)
    for group, names in whole.items():
        losses[group].append(here - state_score(shuffled_together(sky, names, generator)))
losses = pd.DataFrame(losses)

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(8.2, 3.6), sharex=True)
ranked = pd.concat([single, double.loc[["noise"]]]).sort_values("loss")
axes[0].errorbar(ranked.loss, ranked.index, xerr=ranked.scatter, fmt="ko", markersize=4)
axes[0].set(title="one column shuffled")
order = losses.mean().sort_values().index
axes[1].errorbar(losses.mean()[order], order, xerr=losses.std()[order], fmt="C0s")
axes[1].set(title="whole groups, error by sources")
for ax in axes:
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set_xlabel("loss of balanced accuracy")
plotting.mark_guess(axes[1], my_guess)
plotting.show(fig, "11_permutation")
print(f"the rms come first on {np.mean(losses.idxmax(axis=1) == 'rms'):.0%} of the skies")

# %% [markdown]
# **Your prediction:** the rms lose most, nearly 0.2.
#
# Column by column, one would write about the QPO frequency, with one rms band beside it. As groups, the rms win clearly on most skies: six columns that vouch for each other. The other three cannot be ranked with 13 sources. And neither number says what a telescope *without* timing could reach: for that, train again without the group. Importance belongs to this model, these companions, this metric and these sources.

# %% [markdown]
# ## Partial dependence, and where nobody is
#
# How does the answer change with *one* feature? Move it in all pointings at once, keep the rest, ask the model, average: **partial dependence**. The curve of a single pointing is its *individual* curve. Beside it we draw what is simply observed: the mean answer for pointings that *have* this colour.

# %%
rows = train.dropna(subset=["hr_hard", "rms_0p1_64"]).query("0.2 < hr_hard < 1.4")
some = rows.sample(300, random_state=0)
grid = np.linspace(0.25, 1.35, 23)  # Crab
curves = partial_dependence(
    models["state"], some[columns["state"]], ["hr_hard"], custom_values={"hr_hard": grid},
    kind="both", response_method="predict_proba",
)  # fmt: skip
hard = list(models["state"].classes_).index("LHS")
mean, each = curves["average"][hard], curves["individual"][hard]
answers = models["state"].predict_proba(rows)[:, hard]
observed = pd.Series(answers).groupby(np.digitize(rows.hr_hard, grid)).mean()

plane = np.log10(rows[["hr_hard", "rms_0p1_64"]].to_numpy())
near = NearestNeighbors(n_neighbors=5).fit(plane)
limit = np.quantile(near.kneighbors()[0][:, -1], 0.99)  # 99 % of the pointings are closer to theirs
log_rms = np.log10(some.rms_0p1_64.to_numpy())
asked = [np.column_stack([np.full(300, np.log10(value)), log_rms]) for value in grid]
empty = np.array([np.mean(near.kneighbors(points)[0][:, -1] > limit) for points in asked])

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.6))
left.plot(grid, each[:40].T, color="0.8", linewidth=0.6)
left.plot(grid, mean, "C0-", linewidth=2.2, label="partial dependence")
style = {"markersize": 4, "label": "pointings of this colour"}
left.plot(grid[observed.index[1:-1] - 1] + 0.025, observed[1:-1], "ks", **style)
left.plot(grid, empty, "C1:", linewidth=2, label="share of empty places")
left.hist(rows.hr_hard, grid, weights=0 * rows.hr_hard + 1 / len(rows), color="0.6", alpha=0.6)
left.set(xlabel="hard colour (Crab)", ylabel="probability of LHS, or share", ylim=(0, 1.35))
left.set_yticks(np.linspace(0, 1, 6))
left.legend(loc="upper left", fontsize=8.5)
right.plot(rows.hr_hard, rows.rms_0p1_64, ".", color="0.6", markersize=2)
for number, marker in zip((0, 1, 5), "o^s", strict=True):
    right.plot(grid, np.full(len(grid), some.rms_0p1_64.iloc[number]), "C0-", linewidth=1)
    right.plot(*some[["hr_hard", "rms_0p1_64"]].iloc[number], "C0" + marker, markersize=7)
right.set(yscale="log", ylim=(0.003, 1))
right.set(xlabel="hard colour (Crab)", ylabel="fractional rms, 0.1–64 Hz")
plotting.show(fig, "11_partial_dependence")
print(f"curve: {mean[0]:.2f} to {mean[-1]:.2f}; empty places: {empty[0]:.0%} at {grid[0]:.2f} Crab")

# %% [markdown]
# "The colour hardly matters", says the curve. "The colour tells nearly everything", say the squares. Both are right, to different questions: with rms and spectrum held still, the colour alone moves the answer little. But hold them still, and you ask about soft pointings with an rms of 30 %, of which there are hardly any. Wherever the dotted line is high, the curve is **extrapolation**: it tells about the model, and nothing about stars. Show the density of the data under every such curve.

# %% [markdown]
# ## What would change its mind?
#
# A referee asks: "what would have had to be different for you to call it a neutron star?" A **counterfactual**. For a linear model it has a closed form: the log odds are $z = b_0 + \sum_j b_jx_j$, and one feature can bring them to zero.

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
measured = [not name.startswith("missing") for name in ready]
ranges = ready.groupby(validation.source_id).agg(["min", "max"])
turns = np.full(ready.shape, np.nan)
for row, source in enumerate(validation.source_id):
    low, high = ranges.loc[source].to_numpy().reshape(-1, 2).T
    turns[row] = turning_points(ready.iloc[row].to_numpy(), z[row], b, low, high)
possible = np.isfinite(turns[:, measured])
right = (models["object"].predict(validation) == validation.object_label).to_numpy()
for name, chosen in {"right calls": right, "wrong calls": ~right}.items():
    share = possible[chosen].any(axis=1).mean()
    print(f"{name}: {share:.0%} could be turned by one feature within the range of their source")
one = np.flatnonzero(right & (np.abs(z) > 2) & possible.any(axis=1))[0]  # a right call, fairly sure
story = pd.DataFrame({"is": ready.iloc[one], "turns at": turns[one]}).loc[ready.columns[measured]]
print(f"{validation.obs_id[one]}, a {validation.object_label[one]}, log odds {z[one]:+.2f}; in σ:")
print(story.dropna().round(2))

# %% [markdown]
# The wrong calls are the easier ones to turn, which is good. That so many *right* ones can be turned, by a change that the same star shows from week to week, says how much this model leans on the state when it speaks about the star. (And "all others stayed" is again a place where no pointing is: a star cannot change its colour alone.)

# %% [markdown]
# ## How little is enough?
#
# A counterfactual for cynics: an **adversarial** change is the smallest that turns the call. In images it may be invisible. In our table we know what is invisible: the measurement errors. Move both colours, each by at most $t$ of its own errors, in the worst direction: the log odds change by $t\sum_j|b_j\sigma_j|$. (For a network, follow the sign of the gradient.) Beside it, changes by *random* errors of that size.

# %%
colours = ["hr_soft", "hr_hard"]
scaler = models["object"][0][-1]  # the standard deviations by which features were divided
scale = pd.Series(scaler.scale_, scaler.get_feature_names_out())[colours]
errors = validation[[f"{name}_err" for name in colours]].fillna(0).to_numpy() / scale.to_numpy()
pull = errors * b[[ready.columns.get_loc(name) for name in colours]]  # change of z by one error
needed = np.abs(z) / np.maximum(np.abs(pull).sum(axis=1), 1e-12)
chance = np.random.default_rng(115).normal(size=(50, *pull.shape))
for t in (1, 2, 5):
    tossed = np.sign(z + t * (pull * chance).sum(axis=2)) != np.sign(z)
    worst = np.mean(needed <= t)
    print(f"t = {t}: turns {worst:5.1%} in the worst direction, {tossed.mean():.1%} at random")
wrong = np.mean(~right[needed <= 1]), np.mean(~right)
print(f"wrong calls among the first (t = 1, worst): {wrong[0]:.0%}, among all: {wrong[1]:.0%}")

# %% [markdown]
# A few per cent of the calls hang on one error of two colours: these pointings have no call, whatever the probability says, and about half of them are wrong anyway. It is a lower limit, since most columns come without an error. Chance turns fewer than malice does. But a calibration that is off by one σ, in the same direction for all pointings, *is* such a direction.

# %% [markdown]
# ## Which frequencies matter?
#
# Now a network on power spectra. Its **saliency map** is the gradient of a logit with respect to each bin of the input: if the power there were a little higher, would the network be more convinced?

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
truth = np.searchsorted(states, light.state_label)
spectra = np.log10(light.power / light.noise[:, None])
spectra = (spectra - spectra[learn].mean(axis=0)) / spectra[learn].std(axis=0)
spectra = torch.tensor(spectra, dtype=torch.float32)


def map_of(rows, y, seed):
    """Validation score of a network trained on these rows, and its mean map of each state."""
    generator = torch.Generator().manual_seed(seed)
    network = feed_forward(spectra.shape[1], 4, generator=generator).to(device)
    x, y = spectra[rows].to(device), torch.tensor(y[rows]).to(device)
    train_network(network, x, y, generator=generator, n_epochs=10)
    network = network.cpu()
    said = probabilities(network, spectra[judge]).argmax(dim=1).numpy()
    own = [judge[truth[judge] == k] for k in range(4)]
    maps = [saliency(network, spectra[own[k]], k).detach().mean(dim=0).numpy() for k in range(4)]
    return balanced_accuracy_score(truth[judge], said), maps


# %% [markdown]
# Four sets of five networks. First, five **seeds** of one network on one training set: what most papers show. Second, the **control**: each source gets the labels of another source, so that nothing is left to learn; five seeds again. Third, true labels, but the **sources** drawn anew for each network. Fourth, labels stolen anew for each.


# %%
def stolen_labels(generator):
    """Labels for all segments: those of each training source come from another training source."""
    y, names = truth.copy(), np.unique(light.source_id[learn])
    for name, victim in zip(names, np.roll(generator.permutation(names), 1), strict=True):
        own = np.flatnonzero(light.source_id == name)
        y[own] = np.resize(generator.permutation(truth[light.source_id == victim]), len(own))
    return y


def drawn_sources(generator):
    """Rows of as many training sources as there are, drawn with replacement."""
    names = pd.DataFrame({"source_id": light.source_id[learn], "row": learn})
    return resample_sources(names, generator).row.to_numpy(copy=True)


# %% tags=["nbval-ignore-output"]
found = {}
stolen = stolen_labels(np.random.default_rng(0))
for seed in tqdm(range(5)):
    generator = np.random.default_rng(seed)
    found.setdefault("five seeds", []).append(map_of(learn, truth, seed))
    found.setdefault("five seeds, stolen labels", []).append(map_of(learn, stolen, seed))
    found.setdefault("other sources", []).append(map_of(drawn_sources(generator), truth, seed))
    other = map_of(learn, stolen_labels(np.random.default_rng(100 + seed)), seed)
    found.setdefault("stolen in five ways", []).append(other)
maps = {name: np.array([maps for _, maps in runs]) for name, runs in found.items()}
pairs = np.triu_indices(5, 1)
table = pd.DataFrame(
    {name: [np.corrcoef(m[:, k])[pairs].mean() for k in range(4)] for name, m in maps.items()},
    index=[f"agreement of maps, {state}" for state in states],
)
table.loc["score on validation sources"] = [
    np.mean([s for s, _ in runs]) for runs in found.values()
]
table.T.round(2)

# %% tags=["nbval-ignore-output", "slide"]
fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True)
for ax, (name, values) in zip(axes, list(maps.items())[:3], strict=True):
    own = values[:, states.index("SIMS")]
    own = own / np.abs(own).mean()
    ax.semilogx(light.frequency, own.T, color="0.7", linewidth=0.7)
    ax.semilogx(light.frequency, own.mean(axis=0), "C0-", linewidth=1.8)
    sure = np.abs(np.sign(own).sum(axis=0)) == 5
    ax.plot(light.frequency[sure], np.full(sure.sum(), -4.6), "k|", markersize=6)
    ax.axhline(0, color="0.4", linewidth=0.8)
    ax.set(title=name, xlabel="frequency (Hz)", ylim=(-5, 5))
axes[0].set_ylabel("gradient of the SIMS logit (scaled)")
plotting.show(fig, "11_saliency")

# %% [markdown]
# Left: five seeds agree splendidly. Convincing? So do five seeds that learned *nothing but stolen labels* (middle), and they predict no better than chance. Agreement between seeds says that the *training set* fixes the map, not that the map is about stars. What does tell: with labels stolen in another way the control becomes another map (last row of the table, no agreement), while maps from other sources (right) still resemble each other. So there is something in it, but the honest error of a map is the scatter over **sources**. Many single bins have no sure sign (no tick below).

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
for names in (quick, [*quick, "exposure"]):
    model = make_pipeline(preprocessor(names), LogisticRegression(max_iter=2000))
    looks[len(names)] = model.fit(train, moving)


def finds(table, model):
    """ROC AUC of transitions among validation rows."""
    return roc_auc_score(moving_there, model.predict_proba(table)[:, 1])


generator = np.random.default_rng(116)
before, after = (finds(validation, model) for model in looks.values())
print(f"three features {before:.2f}, and with exposure {after:.2f}; shuffled one at a time:")
for name in [*quick, "exposure"]:
    drop = [
        after - finds(shuffled_together(validation, [name], generator), looks[4]) for _ in range(9)
    ]
    print(f"   {name:11s} {np.mean(drop):+.3f} ± {np.std(drop):.3f}")

# %% [markdown] tags=["slide"]
# The best feature of all! It has passed every test of this lesson: held-out sources, permutation, a clear margin. Now do not *observe*, but **do**: next year, all pointings get the same exposure. Nothing changes in the sky.

# %% tags=["slide-next"]
exposures = np.array([500, 1000, 1500, 2000, 3000, 4000])  # s
do = [validation.assign(exposure=float(value)) for value in exposures]
called = np.array([looks[4].predict(table).mean() for table in do])
print(f"ROC AUC with equal exposures: {finds(do[2], looks[4]):.2f}")
for value, share in zip(exposures, called, strict=True):
    print(f"   every exposure {value:4d} s: {share:5.1%} called transitions")
print(f"   in truth (as labelled):  {moving_there.mean():5.1%}")

# %% [markdown]
# The exposure did not make the transition. *People* heard that a source was in transition, and then looked longer: the arrow runs from label to feature (lesson 04's fake, from the inside). The model has learned the observers. Order long exposures, and nearly everything is in transition. Prediction within this archive: true. Cause: none. And no score could tell; only the knowledge of how the data came about.
#
# Nor does a table help against a cause that is not in it. Lesson 00 took a correlation away by looking at sources of equal distance. *You can adjust for what you have measured, and for nothing else.*

# %% [markdown]
# ## Sure, and wrong
#
# Give the models what they were never made for: pointings of another telescope; neutron stars, with their boundary layer, for a model that learned its states from black holes alone; and one row with each feature at +8σ.

# %%
nicer = data.load_observations("nicer")
holes = train[train.object_label == "BH"]
of_holes = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000))
of_holes.fit(holes, holes.state_label)
kinds = {f"validation, {kind}": own for kind, own in validation.groupby("object_label")}
places = {"validation": validation, "NICER": nicer}
asked = [(task, models[task], places) for task in models] + [("state", of_holes, kinds)]
rows = {}
for task, model, tables in asked:
    for name, table in tables.items():
        sure = model.predict_proba(table).max(axis=1)
        hit = (model.predict(table) == table[f"{task}_label"]).to_numpy()
        who = f"{task} from BH alone" if model is of_holes else task
        rows[who, name] = sure.mean(), hit.mean(), np.mean(sure > 0.95), hit[sure > 0.95].mean()
generator = np.random.default_rng(118)
for name, table in places.items():
    other = [object_score(resample_sources(table, generator)) for _ in range(25)]
    print(f"object, ROC AUC: {name:10s} {object_score(table):.2f} ± {np.std(other):.2f} by sources")
for model in models.values():
    odd = pd.DataFrame(8.0, index=[0], columns=model[:-1].get_feature_names_out())
    print(f"+8σ: {model[-1].predict(odd)[0]}, probability {model[-1].predict_proba(odd).max():.4f}")


# %%
names = ["mean probability", "right", "above 0.95", "of these right"]
pd.DataFrame(rows, names).T.round(2)

# %% [markdown]
# For the object, NICER is a catastrophe: within its (large) error like tossing a coin, with *undiminished* confidence. The model that knows only black holes loses some twenty points of accuracy on neutron stars, and fewer of confidence. A linear model is surer the farther it goes out. So build an alarm that looks at $x$ alone: is this row like the training rows? Three of them, each set such that it rings for 1 % of the training rows. One more test: validation rows whose columns were all shuffled separately, each value normal, no row possible.

# %%
n_measured = sum(
    not name.startswith("missing") for name in models["state"][:-1].get_feature_names_out()
)
generator = np.random.default_rng(117)
given = {
    name: models["state"][:-1].transform(table).to_numpy()[:, :n_measured]
    for name, table in {"training": train, "validation": validation, "NICER": nicer}.items()
}
given["shuffled"] = np.column_stack([generator.permutation(x) for x in given["validation"].T])
given["+8σ"] = np.full((1, n_measured), 8.0)
inverse = np.linalg.inv(np.cov(given["training"].T))
neighbours = NearestNeighbors(n_neighbors=10).fit(given["training"])
forest = IsolationForest(random_state=0).fit(given["training"])
alarms = {
    "Mahalanobis": lambda x: np.sqrt(np.einsum("ij,jk,ik->i", x, inverse, x)),
    "10th neighbour": lambda x: neighbours.kneighbors(x)[0][:, -1],
    "isolation forest": lambda x: -forest.score_samples(x),
}
strange = {name: {rows: f(x) for rows, x in given.items()} for name, f in alarms.items()}
rings = {
    name: {rows: np.mean(v > np.quantile(found["training"], 0.99)) for rows, v in found.items()}
    for name, found in strange.items()
}
pd.DataFrame(rings).T.round(3)

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.2))
found, edges = strange["Mahalanobis"], np.linspace(0, 16, 49)
for (rows, values), style in zip(list(found.items())[:4], ("0.5", "C0", "C1", "C2"), strict=True):
    line = {"training": "-", "validation": "--", "NICER": "-.", "shuffled": ":"}[rows]
    weights = np.full(len(values), 1 / len(values))
    ax.hist(values.clip(0, 15.9), edges, weights=weights, histtype="step", color=style,
            linestyle=line, linewidth=1.6, label=rows)  # fmt: skip
ax.axvline(np.quantile(found["training"], 0.99), color="black", linewidth=1, label="alarm")
ax.set(xlabel="Mahalanobis distance from the training rows", ylabel="share of rows")
ax.legend()
plotting.show(fig, "11_distance")
ring = strange["Mahalanobis"]["NICER"] > np.quantile(found["training"], 0.99)
for task in models:
    wrong = (models[task].predict(nicer) != nicer[f"{task}_label"]).to_numpy()
    print(
        f"{task}: alarm in {ring[wrong].mean():.0%} of wrong and {ring[~wrong].mean():.0%} of right calls"
    )

# %% [markdown]
# All see the +8σ. On *new* sources the false alarms are more than the promised 1 %: a threshold wants held-out sources, too. And most NICER rows pass, for one colour of one telescope looks like a possible colour of the other. The isolation forest, which cuts one column at a time, misses nearly all the rows that were shuffled to pieces. Nor does an alarm know who is *wrong*. It says "I have not seen this", no more; silence is no certificate. The best alarm costs nothing: read the header. Which telescope was it?

# %% [markdown]
# ## We check what surprises us
#
# A model called 2000 pointings; the literature has its opinion on each. Natural idea: look again where they disagree, and correct what is wrong. Both err in 10 % of the cases, of two classes. What remains depends on one number: how many of the model's errors are *shared* by the literature that it was trained on.


# %%
def campaign(shared, generator, n=2000, error=0.1):
    """Error found by checking disagreements, error left after it, and estimate from 100 random checks."""
    model = generator.random(n) < error  # where the model errs
    paper = np.where(generator.random(n) < shared, model, generator.random(n) < error)
    found = np.mean(model & ~paper)  # they disagree, we look, we see that the model was wrong
    random_checks = generator.choice(model, 100, replace=False)
    return found, np.mean(model & paper), random_checks.mean()


for shared in (0.0, 0.5, 0.9):
    runs = np.array([campaign(shared, np.random.default_rng(seed)) for seed in range(20)])
    middle, spread = 100 * runs.mean(axis=0), 100 * runs.std(axis=0)
    words = ("found", "left unseen", "by 100 random checks")
    parts = zip(words, middle, spread, strict=True)
    print(f"shared {shared:.0%}: ", "; ".join(f"{w} {m:.1f} ± {s:.1f} %" for w, m, s in parts))

# %% [markdown]
# After the campaign, model and literature agree in **100 %** of all pointings, whatever is left. The more the model has taken over the habits of its teachers, the better the check looks and the less it does. That is **confirmation bias**, without any bad intent. And in our archive? We plant a habit: a reader who does not believe in HIMS, and calls them LHS. The truth is opened for the reveal alone; outside a simulation nobody has it.

# %%
real = data.load_truth().set_index("obs_id").state.loc[validation.obs_id].to_numpy()
for name, swap in {"labels as they are": {}, "a reader's habit": {"HIMS": "LHS"}}.items():
    learned, expected = (t.state_label.replace(swap) for t in (train, validation))
    model = make_pipeline(preprocessor(), LogisticRegression(max_iter=2000)).fit(train, learned)
    said = model.predict(validation)
    again = said != expected  # these we look at, and correct
    left = np.mean(~again & (said != real))
    print(f"{name}: {again.mean():.1%} looked at again; wrong and never looked at: {left:.1%}")

# %% [markdown]
# Random slips of the reader are no danger: the model does not repeat them. A *habit* is: the errors that are left are exactly those that everybody shares. The cure has two parts. **Blind**: whoever looks again must not know what model or literature said. And **random**: check some of the cases that nobody doubts.

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
for limit in (0.1, 0.05, 0.01):
    n = checks_needed(limit, 0.95)
    print(f"to exclude errors of {limit:.0%}: {n} checks; rule of three, 3/r: {3 / limit:.0f}")

# %% [markdown]
# The **rule of three**: no error in $n$ checks bounds the rate at $3/n$, with 95 %. (The checks must be independent: sixty pointings of *one* source are one check.) It is an afternoon's work, and the most convincing paragraph in a paper.

# %% [markdown] tags=["slide"]
# ## Exercise 11.6 · What may be written?  ·  core · 10 min · ●●○
#
# Six sentences from drafts. What does each *claim*: `"association"` (what occurs together in these data), `"prediction"` (how the model does on new samples), or `"cause"` (what would change if something else were changed)? The first two, our data can support. Any sentence that lands under "cause" leaves the paper, or gets a physical model.

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
# Read the third once more: "exposure matters for the state" needs a few more words to become true, "*exposure matters for the model's call of the state*". Whoever leaves them out has not lied, and has misled every reader.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Errors on the level on which the label varies: whole sources. The printed error is several times too small for the object, and about right for the state.
# - Twins hide each other: shuffle groups, keep a noise column, show the data under each curve.
# - A map that five seeds agree on may be the map of nothing. Steal the labels; draw other sources.
# - A feature can pass every test and be made by the observer. What happens if you *change* it?
# - Outside its data a model is sure, and an alarm catches a part of it, without knowing which calls are wrong. Disagreements show you the errors that are *not* shared: check at random, and blind.

# %% [markdown]
# **Further reading.** C. Rudin, *Stop explaining black box machine learning models for high stakes decisions* (Nature Machine Intelligence 1, 206, 2019, [arXiv:1811.10154](https://arxiv.org/abs/1811.10154)): why simple models first · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): importances and their limits · D. Huppenkothen, M. Ntampaka et al. ([arXiv:2310.12528](https://arxiv.org/abs/2310.12528)): what to report about interpretation · S. Fotopoulou ([arXiv:2406.17316](https://arxiv.org/abs/2406.17316)): methods across astronomy, with cautions · scikit-learn user guide, [Permutation feature importance](https://scikit-learn.org/stable/modules/permutation_importance.html): misleading values with collinear features
