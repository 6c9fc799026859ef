# %% [markdown]
# # 5 · Pre-processing: dimensionality reduction, scaling
#
# | **The question** | What must happen to a table of measurements before a model may see it, and what must not? |
# |---|---|
# | **Afterwards you can** | choose a logarithm, a direction or a scale for a column, and measure what it changes; fill a gap according to why it is one; put every step that learns into a Pipeline, and show what leaks if you do not |
# | **Time** | 40 min of reading or teaching, 64 min of exercises |
# | **Data** | simulated: training and validation set of the RXTE archive, and a look at NICER |
# | **Run time** | below 60 s on two cores |

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

# %%
from course.checks import lesson_05 as check
from helpers import data, plotting
from helpers.preprocessing import GROUPS, STATE_FEATURES, prepare, preprocessor

plotting.use_course_style()

# %% [markdown]
# ## How we shall measure
#
# Pre-processing is a chain of small decisions. We shall not argue about them, we shall measure. Ten times, we hold out a quarter of the training *sources*, let the model learn from the rest, and count the right answers. A score is the mean over the ten splits, with their standard deviation. Two treatments are compared split by split: a hard split is hard for both. (Lesson 06 will say why the share of right answers is a poor metric. To compare treatments of the *same* rows it is good enough.)

# %%
train, validation = data.load_split()
splits = GroupShuffleSplit(10, test_size=0.25, random_state=0)


def right(model, features, label="state_label", rows=train, splits=splits):
    """Per cent of right answers on held-out sources, for each of the splits."""
    number, groups = rows[label].factorize(sort=True)[0], rows.source_id
    return 100 * cross_val_score(model, features, number, groups=groups, cv=splits)


def summary(scores):
    """Mean and standard deviation over the splits, for each entry of a dictionary."""
    return pd.DataFrame(scores).agg(["mean", "std"]).T.round(1)


print(f"{len(train)} pointings at {train.source_id.nunique()} sources to learn from")

# %% [markdown] tags=["slide"]
# ## Logarithms
#
# Here are three columns, and their logarithms. Before you look: in which do you expect *most* of the pointings in a single bin of the histogram?

# %% tags=["slide"]
units = {"rate": "rate (1/s)", "red_chi2": "red_chi2", "rms_0p1_64": "rms (of the mean)"}
plain = train[list(units)].rename(columns=units)
both = plain.join(np.log10(plain).add_prefix("log10 "))
fig, axes = plt.subplots(2, 3, figsize=(8.4, 4.4))
for name, ax in zip(both, axes.flat, strict=True):
    sns.histplot(both[name], bins=40, ax=ax).set_ylabel("pointings")
plotting.show(fig, "05_skewed_columns")
fullest = {name: both[name].value_counts(bins=40).max() / both[name].count() for name in both}
pd.Series(fullest, name="share in the fullest bin").map("{:.0%}".format).to_frame()

# %% [markdown]
# A logarithm does three things:
#
# - It makes *factors* into *distances*. An error of 10 % is 0.04 in $\log_{10}$ at 5 counts/s and at 5000. Most of our errors multiply: distance, absorption, number of detectors.
# - It spreads the faint pointings, which were in one bin, over more than half of the axis.
# - It pulls in the outliers. How many standard deviations above the mean is the largest value?

# %%
skewed = train[["rate", "red_chi2", "rms_0p004_0p03"]]
skewed = skewed.join(np.log10(skewed).add_prefix("log10 "))
far = (skewed.max() - skewed.mean()) / skewed.std()
far.round(1).to_frame("largest value, σ above the mean")

# %% [markdown]
# Which columns have *no* logarithm? A lag is positive if hard photons come late, negative if they come early: its sign is the physics. An rms exists only where the excess variance is above zero. Otherwise the cell stays empty: $\log 0$ is not a small number, it is none.

# %%
negative = (train[list(GROUPS["lags"])] < 0).mean()
negative.map("{:.0%}".format).to_frame("below zero")

# %% [markdown]
# ## Exercise 5.1 · What does this column need?  ·  core · 6 min · ●○○
#
# Which treatment does each of eight columns need before a model for the *state* or the *object* sees it? Use `"log"`, `"angle"`, `"as is"` (scaling will come in any case) or `"forbid"`: it must not be a feature at all. `train.attrs["meaning"][name]` tells what a column is.

# %%
# solution: may it be negative? does it come back to where it began? who chose its value, and when?
treatments = {
    "nu_break": "log",
    "hue": "angle",
    "lag_1_10": "as is",
    "exposure": "forbid",
    "qpo_freq": "log",
    "gamma": "as is",
    "source_id": "forbid",
    "rms_2_16": "log",
}
# end solution

treatments = check.treatments(treatments)

# %% [markdown]
# ## Scales
#
# For *k nearest neighbours*, the state of a pointing is that of most of its $k$ nearest neighbours. The squared distance is $\sum_j (x_j - x'_j)^2$: counts per second squared, plus Crab units squared, plus a fraction squared. You would not let a student add these.
#
# ### Predict first
#
# We take five columns: two colours, the disc's share, the rms, and the rate. (Lesson 04 forbids the rate; here it shows what a scale does.) On scaled columns, the 15 nearest neighbours name the state of new sources right in nearly nine of ten pointings. How many per cent will it be on the raw columns?

# %%
my_guess_raw = ...  # per cent, a number

# %%
five = train[["hr_soft", "hr_hard", "disc_frac", "rms_0p1_64", "rate"]]
five = five.fillna(five.median())  # gaps, and the leak in this line, come below
neighbours = KNeighborsClassifier(15)
tree = DecisionTreeClassifier(min_samples_leaf=10, random_state=0)
found = {
    "neighbours, raw": right(neighbours, five),
    "neighbours, scaled": right(make_pipeline(StandardScaler(), neighbours), five),
    "tree, raw": right(tree, five),
    "tree, scaled": right(make_pipeline(StandardScaler(), tree), five),
}
fig, ax = plt.subplots(figsize=(6.4, 2.6))
sns.stripplot(pd.DataFrame(found), orient="h", jitter=False, size=6, alpha=0.6, ax=ax)
ax.set_xlabel("right on held-out sources (%), ten splits")
plotting.mark_guess(ax, my_guess_raw)
plotting.show(fig, "05_scaled_and_raw")
summary(found)

# %% [markdown]
# **The answer:** 59 % on raw columns. The reason can be seen without a model: the mean squared distance between two pointings is twice the sum of the variances. Each column has this share in it:

# %%
(five.var() / five.var().sum()).map("{:.6%}".format).to_frame("share of the variance")

# %% [markdown]
# On raw columns the neighbours compare count rates and nothing else. In other units the answer would change: **a result that depends on the choice of units is no result.** The tree asks one question of one column at a time ("is the rate above 300?"). Neither scale nor logarithm changes what it can say, and its scores are the same. So scale for models that add up columns: neighbours, PCA, anything with a penalty, neural networks.

# %% [markdown] tags=["slide"]
# ## Exercise 5.2 · A scaler by hand  ·  core · 8 min · ●●○
#
# Write the scaling: each column minus its mean, over its standard deviation. There are two tables, one to learn from and one of new sources. What would you know about the second when the next pointing arrives? The second may have gaps, which stay. Add no small number to a deviation.


# %%
def standardise(train, other):
    """Both tables (n, p) and (m, p) with every column scaled; returns two arrays."""
    # solution: mean and standard deviation along axis 0, of one table only; use them on both
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / deviation, (other - mean) / deviation
    # end solution


standardise = check.standardise(standardise)

# %%
colours = ["hr_soft", "hr_hard"]
_, new = standardise(train[colours].dropna().to_numpy(), validation[colours].to_numpy())
pd.DataFrame(new, columns=colours).agg(["mean", "std"]).round(2)

# %% [markdown]
# The validation set, scaled by the training set, has means other than 0, and rightly so: other sources *are* different, and the model has to be told.

# %% [markdown]
# ### Does an outlier-proof scaler help?
#
# `StandardScaler` takes mean and standard deviation, `RobustScaler` median and interquartile range. Slews, bursts and flares are in this archive (lesson 02). By what factor does the largest one per cent of a column change these two scales?


# %%
def spreads(table):
    """Standard deviation and interquartile range of each column."""
    quartiles = table.quantile(0.75) - table.quantile(0.25)
    return pd.DataFrame({"standard deviation": table.std(), "interquartile range": quartiles})


with_outliers = train[["red_chi2", "skew", "hr_soft"]]
without = with_outliers.where(with_outliers < with_outliers.quantile(0.99))
(spreads(with_outliers) / spreads(without)).round(2)

# %% [markdown]
# The case seems clear. Now ask the neighbours who is a black hole and who a neutron star, first from two columns, then from five. The differences are small, so we take 24 splits.

# %%
few = ["hr_hard", "red_chi2"]
more = ["hr_soft", "hr_hard", "rms_0p1_64", "red_chi2", "skew"]
how = {"label": "object_label", "splits": GroupShuffleSplit(24, test_size=0.25, random_state=1)}
scaled_by = {}
for names in (few, more):
    filled = train[names].fillna(train[names].median())
    with_log = filled.assign(red_chi2=np.log10(filled.red_chi2))
    standard = right(make_pipeline(StandardScaler(), neighbours), filled, **how)
    robust = right(make_pipeline(RobustScaler(), neighbours), filled, **how)
    logged = right(make_pipeline(StandardScaler(), neighbours), with_log, **how)
    scaled_by[f"{len(names)} columns", "standard"] = standard
    scaled_by[f"{len(names)} columns", "robust less standard"] = robust - standard
    scaled_by[f"{len(names)} columns", "log less no log"] = logged - standard
summary(scaled_by)

# %% [markdown]
# The robust scaler helps with two columns, by about six points. With five it does not help, and is rather worse. This is no contradiction. The outliers had squeezed `red_chi2` and `skew`; a robust scale spreads them again. That may be good for a column that knows something and bad for one that is mostly noise. Scaling weighs columns against each other, and equal weights are a choice like any other. Look first. Where physics says factors, take the logarithm: for the two columns it did as much as the robust scaler.

# %% [markdown]
# ## Directions
#
# The hue is an angle. 359° and 1° are neighbours on the wheel, and far apart in the table. Their mean is 180°, the far side of the wheel: a state that neither of them is in.

# %% [markdown] tags=["slide"]
# ## Exercise 5.3 · The mean of angles  ·  core · 8 min · ●●○
#
# Turn each hue into an arrow of length one, $(\sin h, \cos h)$, add up the arrows, and see where the sum points. The answer is in degrees, from 0 to 360.


# %%
def mean_hue(hue):
    """The direction (degrees, 0 to below 360) of the mean of angles `hue` (n,) in degrees."""
    # solution: np.radians, the two means, np.arctan2(sine, cosine), back to degrees, modulo 360
    angle = np.radians(hue)
    return np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) % 360
    # end solution


mean_hue = check.mean_hue(mean_hue)

# %%
hard = train.query("state_label == 'LHS' and source_id in ['S02', 'S05', 'S24']")
hues = hard.groupby("source_id").hue
of_source = pd.DataFrame({"hard, with a hue": hues.count()})
of_source["beyond 300°"] = hues.agg(lambda hue: (hue > 300).sum())
of_source["mean (°)"] = hues.mean()
of_source["direction (°)"] = hues.agg(lambda hue: mean_hue(hue.dropna().to_numpy()))
of_source.round(0)

# %% [markdown]
# The hard state has hues of -20° to 140° (Heil, Uttley & Klein-Wolt 2015), on both sides of the cut at 0°. Two pointings beyond the cut can move the mean of a source by sixty degrees.
#
# The cut at 0° is a convention. So we put the zero elsewhere, and ask a logistic regression for the state, from the hue alone. If the column is treated well, nothing changes.

# %%
seen = train[train.hue.notna()]
linear = make_pipeline(StandardScaler(), LogisticRegression())
by_cut = {cut: right(linear, (seen[["hue"]] - cut) % 360, rows=seen) for cut in range(0, 360, 20)}
radians = np.radians(seen.hue.to_numpy())
arrows = np.column_stack([np.sin(radians), np.cos(radians)])
turned = arrows @ [[0.6, -0.8], [0.8, 0.6]]
directions = {"sine and cosine": right(linear, arrows, rows=seen)}
directions["both, turned by 53°"] = right(linear, turned, rows=seen)

# %%
in_degrees, as_arrows = summary(by_cut), summary(directions)
look = {"errorbar": "sd", "err_style": "bars", "marker": "o", "linestyle": "", "markersize": 7}
ax = sns.lineplot(pd.DataFrame(by_cut).melt(), x="variable", y="value", label="degrees", **look)
ax.axhline(as_arrows["mean"].iloc[0], color="C1", linestyle="--", label="sine and cosine")
ax.set(xlabel="hue at which the wheel is cut (degrees)", ylabel="right (%)", ylim=(50, 102))
ax.legend(loc="upper left", ncols=2)
plotting.show(ax, "05_cut_of_the_hue")
worst_and_best = in_degrees.sort_values("mean").iloc[[0, -1]].rename("cut at {}°".format)
pd.concat([worst_and_best, as_arrows])

# %% [markdown]
# In degrees the score depends on a convention, by more than twenty points. Sine and cosine do not depend on the zero. A cut near 340° does as well, but you must know it beforehand.

# %% [markdown]
# ## Gaps
#
# A model wants a number in every cell. Lessons 02 and 04 showed three reasons why there is none:
#
# 1. **nothing there**: a bright soft state without a QPO;
# 2. **too faint**: no hue, no rms at 15 counts per second;
# 3. **the instrument cannot**: RXTE sees nothing below 3 keV, so a cool disc has no temperature.
#
# Why not drop the rows that have gaps?

# %%
states = ["LHS", "HIMS", "SIMS", "HSS"]
complete = train[list(STATE_FEATURES)].notna().all(axis=1)
complete = np.where(complete, "complete", "with a gap")
pd.crosstab(complete, train.state_label, rownames=["pointings"])[states]

# %% [markdown]
# Dropping is a selection: the soft state has no QPO, and not one of its pointings is left. So fill. But with what? Look at the rms of the soft state first.

# %%
soft = train[train.state_label == "HSS"]
total = soft.rate / (1 - soft.bkg_frac)  # with background: it has noise too
noise = np.sqrt(2 * total / soft.rate**2 * np.sqrt(63.9 / soft.exposure))
unmeasured, median = soft.rate[soft.rms_0p1_64.isna()], train.rms_0p1_64.median()

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.8))
ax.loglog(soft.rate, soft.rms_0p1_64, "C1D", markersize=2.5, label="soft, measured")
ax.plot(soft.rate, noise, "k.", markersize=1, label="1 σ of photon noise")
ax.plot(unmeasured, 0 * unmeasured + 6e-4, "k|", label=f"soft, no rms ({len(unmeasured)})")
ax.axhline(median, color="C0", linestyle="--", label="median of all pointings")
ax.set(xlabel="net rate (1/s)", ylabel="rms, 0.1–64 Hz (of the mean)")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
plotting.show(fig, "05_soft_state_rms")
print(f"{(soft.rms_0p1_64.dropna() < median).mean():.0%} of these rms lie below the median")

# %% [markdown]
# How large is the noise? A band of width $\Delta\nu$ averages $T\Delta\nu$ independent frequencies, and each scatters by 100 % (lesson 01). So the error of the variance is $P_\mathrm{noise}\sqrt{\Delta\nu/T}$, with $P_\mathrm{noise} = 2\,r_\mathrm{total}/r_\mathrm{net}^2$.
#
# An rms whose variance is not above zero is an **upper limit**: it belongs at the noise or *below* it. The popular median puts it among the hard states, where hardly any soft pointing is. And close to the noise even the measured values are biased: there only upward fluctuations are measured.

# %% [markdown]
# ### What does the filling do to a model?
#
# We compare four fillings of three columns, the two colours and the rms. "Low" means two standard deviations below the mean; "mark" adds a column that is 1 where there was a gap. We score *all* held-out pointings, those with a *gap*, and the latter in the *worst* of the ten splits.

# %%
marking = SimpleImputer(strategy="median", add_indicator=True)
fillings = {
    "median": make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
    "mean": make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0)),
    "low": make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=-2.0)),
    "median + mark": make_pipeline(marking, StandardScaler()),
}
models = {"logistic": LogisticRegression(max_iter=1000), "neighbours": neighbours}
three = prepare(train, ["hr_soft", "hr_hard", "rms_0p1_64"])
has_gap = three.isna().any(axis=1).to_numpy()
print(f"{(train.state_label[has_gap] == 'HSS').mean():.0%} of the pointings with a gap are HSS")

# %%
label, every, gap = train.state_label, {}, {}
for kind, filling in itertools.product(models, fillings):
    chain, hits = make_pipeline(fillings[filling], models[kind]), []
    for fit, held_out in splits.split(three, groups=train.source_id):
        said = chain.fit(three.iloc[fit], label.iloc[fit]).predict(three.iloc[held_out])
        hit = said == label.iloc[held_out]
        hits.append([hit.mean(), hit[has_gap[held_out]].mean()])
    every[kind, filling], gap[kind, filling] = 100 * np.transpose(hits)
gain = {key: values - gap[key[0], "median"] for key, values in gap.items()}
tables = {"all": summary(every), "gap": summary(gap), "gap, less median": summary(gain)}
tables["gap, worst split"] = pd.DataFrame(gap).agg(["min"]).T.round(1)
pd.concat(tables, axis=1)

# %% [markdown]
# Over *all* pointings the fillings differ by a few points. But among the pointings with a gap the median costs about twenty points on average, compared with "low" or a mark. The gain scatters as much, because a few sources decide these rows; in the worst split the median is a disaster. **Score the rows that a treatment touches, not all rows.** Two things help: put the value where physics says it is, or mark the gap. Either lets the model call gaps soft, which nine in ten are; no filling does clearly better than that.

# %% [markdown] tags=["slide"]
# ## Exercise 5.4 · Fill and mark  ·  stretch · 10 min · ●●○
#
# Write "median + mark" with pandas. `train` and `other` are tables of the same columns, both with gaps. Return `other` with its gaps filled, and with a new column `<name>_missing` (1 or 0) for each column that has gaps *in train*: the model needs the same columns for every table. The index stays.


# %%
def fill_and_mark(train, other):
    """A copy of `other` with gaps filled, and with columns `<name>_missing` at its end."""
    # solution: remember where the gaps are before you fill them; .isna(), .median(), .fillna()
    marks = other.isna().loc[:, train.isna().any()].astype(float).add_suffix("_missing")
    return other.fillna(train.median()).join(marks)
    # end solution


fill_and_mark = check.fill_and_mark(fill_and_mark)

# %% [markdown]
# ### All the features
#
# Now we take the course's 14 features of the state, with logarithms and directions, for both questions: each filling less the median, split by split.

# %%
features = prepare(train, STATE_FEATURES).to_numpy()
targets, less_median = ("state_label", "object_label"), {}
for target, kind in itertools.product(targets, models):
    usual = right(make_pipeline(fillings["median"], models[kind]), features, target)
    for filling in ("low", "median + mark"):
        other = right(make_pipeline(fillings[filling], models[kind]), features, target)
        less_median[target, kind, filling] = other - usual
summary(less_median).assign(**{"better, of 10": (pd.DataFrame(less_median) > 0).sum()})

# %% [markdown]
# For the state these are differences of about one point, as large as their own spread: other columns know what the gap hides. For the object they are a little larger. And the sign depends on the model. Marks help the linear model, which gives each its own weight. With marks the neighbours are rather *worse* at the state: after scaling, 1 and 0 of a rare mark are several standard deviations apart, so two pointings that differ in one gap are far apart. No filling is best for every model. One is worst for the rows it touches.

# %% [markdown] tags=["slide"]
# ### Do you want to know what a gap knows?
#
# **Predict:** throw all measured values away, and keep only *which* of the 14 features are empty. How many per cent of the states can a logistic regression still tell, on new sources?

# %%
my_guess_gaps = ...  # per cent, a number

# %%
known = data.load_observations("rxte").source_id  # names only
nicer = data.load_observations("nicer").query("source_id not in @known")  # 12 new sources
empty = train[list(STATE_FEATURES)].isna().astype(float)
empty_nicer = nicer[list(STATE_FEATURES)].isna().astype(float)
alone = {"RXTE": [], "NICER": []}
for fit, held_out in splits.split(train, groups=train.source_id):
    model = LogisticRegression(max_iter=1000).fit(empty.iloc[fit], label.iloc[fit])
    alone["RXTE"].append(100 * model.score(empty.iloc[held_out], label.iloc[held_out]))
    alone["NICER"].append(100 * model.score(empty_nicer, nicer.state_label))
constant = 100 * nicer.state_label.value_counts(normalize=True).max()

# %% tags=["slide"]
fig, ax = plt.subplots(figsize=(6.4, 2.8))
sns.stripplot(pd.DataFrame(alone), orient="h", jitter=False, size=6, alpha=0.6, ax=ax)
ax.axvline(constant, color="0.4", linestyle=":", label=f"NICER, always one: {constant:.0f} %")
ax.set(xlabel="states of new sources right, from gaps alone (%)", ylim=(1.6, -1.2), xlim=(0, 100))
ax.legend(loc="upper right")
plotting.mark_guess(ax, my_guess_gaps)
plotting.show(fig, "05_gaps_alone")
summary(alone)

# %%
gaps = pd.DataFrame({"RXTE": empty.mean(), "NICER": empty_nicer.mean()})
gaps.loc[["kt_in", "hue", "qpo_freq", "rms_hf"]].map("{:.0%}".format).rename_axis("empty")

# %%
third = pd.qcut(train.rate, 3, labels=["faint", "middle", "bright"])
without_hue = empty.hue.groupby([third, label], observed=True).mean().unstack()
without_hue[["LHS", "HSS"]].map("{:.0%}".format)

# %% [markdown]
# **The answer:** 84 % on new sources of RXTE, and 54 % on NICER's. The empty cells alone tell the state of more than four in five pointings. On NICER most of that knowledge is gone. The first table says why: on RXTE half of the pointings have no disc temperature; NICER sees discs nearly always. The second says that a gap knows the brightness too: a faint hard state lacks its hue three or four times as often as a bright one.
#
# A **missing value is information about the telescope and the brightness** as well as about the source. With the same telescope and similar sources, use it. Elsewhere gaps differ, and the rule breaks. (We have looked at labels of NICER, which lesson 12 will ask again: nothing was chosen by what we saw.)
#
# **Discuss with your neighbour** (5 min; alone, write two sentences): what would *you* put into an empty `qpo_freq`, and why? A small number? The median? The mean of its state? Does your answer differ for a bright soft state and a faint hard one, and can the table tell these apart?

# %% [markdown]
# ## Fewer dimensions
#
# Six bands of rms look like six features. Are they? A **principal component analysis** (PCA) turns the axes: the first new axis points where the data vary most, the second where they vary most at right angles to it, and so on. It takes three steps: subtract the mean of each column; compute the covariance matrix; take its eigenvectors. An eigenvector is a component, its eigenvalue the variance along it.

# %% [markdown] tags=["slide"]
# ## Exercise 5.5 · PCA by hand  ·  core · 12 min · ●●●
#
# Write it, with `np.linalg.eigh` of the covariance matrix, or with `np.linalg.svd` of the centred table. Return the components as *rows*, the largest variance first, and the variances. Do not scale: that is another step. The check draws your variances over those of scikit-learn.


# %%
def pca(table):
    """Components (p, p), one per row, and their variances (p,), of a table (n, p); largest first."""
    # solution: eigh returns the smallest eigenvalue first, and the eigenvectors as columns
    variances, vectors = np.linalg.eigh(np.cov(table - table.mean(axis=0), rowvar=False))
    return vectors.T[::-1], variances[::-1]
    # end solution


pca = check.pca(pca)

# %% [markdown]
# We take nine columns: two colours, the disc's share, the logarithms of six rms. Gaps are filled "low", since they are upper limits.

# %%
nine = prepare(train, ["hr_soft", "hr_hard", "disc_frac", *GROUPS["rms"]])
scaled = fillings["low"].fit_transform(nine)
components, variances = pca(scaled)
reference = PCA().fit(scaled)
overlap = np.abs(np.sum(components * reference.components_, axis=1))  # 1 for the same line
print("same axes up to sign:", np.allclose(overlap, 1))
print("same variances:", np.allclose(variances, reference.explained_variance_, rtol=1e-2))
print("shares of the variance (%):", (100 * reference.explained_variance_ratio_).round(1))
pd.DataFrame(components[:2].T, nine.columns, ["PC1", "PC2"]).round(2)

# %% [markdown]
# The sign of a component is arbitrary; never interpret it. Its *pattern* can be read: in PC1 both colours and all six rms have one sign, the disc's share the other. It is the axis from hard, variable, without a disc to soft, steady, disc-dominated. Three quarters of the variance are the one motion that you know from the outburst diagram, and no label was needed to find it. PC2 sets the soft colour against disc share and fast variability.
#
# And without scaling, with a rate among the columns?

# %%
with_rate = train[["rate", "hr_soft", "hr_hard", "disc_frac", "rms_0p1_64"]].dropna()
raw = PCA().fit(with_rate)
print(f"PC1 of the raw columns has {raw.explained_variance_ratio_[0]:.7%} of the variance")
bands = nine[[f"log_{name}" for name in GROUPS["rms"]]]
ratio_of_bands = PCA().fit(fillings["low"].fit_transform(bands)).explained_variance_ratio_
print("six rms alone, scaled (%):", (100 * ratio_of_bands).round(1))
pd.DataFrame(np.abs(raw.components_[:1]), ["PC1, raw columns"], with_rate.columns).round(4)

# %% [markdown]
# Raw, PCA has discovered that count rates are large numbers. Scaled, the six rms share some four fifths of their variance in one component: they are **collinear**. These six columns are about two measurements: how much, and how fast. (Lesson 11 will show what collinear columns do to weights.)

# %% [markdown] tags=["slide"]
# ### Variance is not relevance
#
# Here are the first two components: left, all pointings; right, the soft state alone.

# %% tags=["slide-next"]
score = reference.transform(scaled)
score *= np.sign(reference.components_[:, 0])  # choose a sign: the soft colour counts positive
points = pd.DataFrame(score[:, :2], columns=["PC1 (no unit)", "PC2 (no unit)"])
points = points.assign(state=label.to_numpy(str), object=train.object_label.to_numpy(str))
in_soft = (label == "HSS").to_numpy()
axis_names = {"x": "PC1 (no unit)", "y": "PC2 (no unit)", "s": 14, "alpha": 0.6}
of_state = {"hue": "state", "style": "state", "hue_order": states, "style_order": states}
fig, axes = plt.subplots(1, 2, figsize=(8.4, 3.8), sharey=True)
of_state |= {"palette": ["C0", "C2", "C3", "C1"], "markers": ["o", "^", "s", "D"]}
sns.scatterplot(points, ax=axes[0], **of_state, **axis_names)
of_object = {"hue": "object", "style": "object", "palette": {"BH": "k", "NS": "C1"}}
sns.scatterplot(points[in_soft], ax=axes[1], **of_object, **axis_names)
axes[0].set_title("all pointings, by state")
axes[1].set_title("the soft state (HSS), by object")
plotting.show(fig, "05_components", colours=64)

# %%
from_one = {}
for k in range(3):
    from_one[f"PC{k + 1}"] = 100 * cross_val_score(
        LogisticRegression(class_weight="balanced"), score[in_soft][:, [k]], soft.object_label,
        groups=soft.source_id, cv=splits, scoring="balanced_accuracy",
    )  # fmt: skip
from_one["PC2 less PC1"] = from_one["PC2"] - from_one["PC1"]
summary(from_one)

# %% [markdown]
# This is the balanced accuracy for the object in the soft state: the mean of the two classes' shares of right answers (lesson 06). Guessing gives 50 %. (The components have seen all sources: a leak, of a kind that we measure below.) A component with a tenth of the variance knows better than the first what the object is. PCA never saw a label: **it keeps what varies, not what matters.** How many components are enough depends on the question:

# %%
numbers, by_number = (1, 2, 3, 4, 6, 10, 28), {}
for target, n in itertools.product(targets, numbers):
    chain = make_pipeline(fillings["median + mark"], PCA(n), models["logistic"])
    by_number[target, n] = right(chain, features, target)
split_by_split = pd.DataFrame(by_number).rename_axis(["label", "number"], axis=1).melt()
of_label = {"hue": "label", "style": "label", "markers": ["o", "^"], "err_style": "bars"}
ax = sns.lineplot(split_by_split, x="number", y="value", errorbar="sd", **of_label)
ax.set(xlabel="number of principal components", ylabel="right on held-out sources (%)")
plotting.show(ax, "05_number_of_components")

# %%
less_all = {key: values - by_number[key[0], numbers[-1]] for key, values in by_number.items()}
summary(less_all).unstack(0)

# %% [markdown]
# The table shows the difference to all 28. Three components hold nearly everything about the state. The object needs six or more, and no number is better than keeping everything. With 14 columns, which become 15 and 13 marks, PCA is a way to *look*, not a cure. It helps models that suffer from many columns. There the number of components is a hyperparameter (lesson 10).

# %% [markdown]
# ## Pipelines
#
# Logarithms learn nothing: they are the same for every row. Medians, means, deviations and components are *learned*, and must be learned from training rows only. A **Pipeline** takes care of it: `fit` learns every step in order, `predict` and `transform` only apply. Here are two pieces for it:


# %%
def log10_or_gap(table):
    """log10, where there is one."""
    return np.log10(table.where(table > 0))


def direction(table):
    """Sine and cosine of a column of degrees."""
    angle = np.radians(table.iloc[:, 0])
    return np.column_stack([np.sin(angle), np.cos(angle)])


logs = FunctionTransformer(log10_or_gap, feature_names_out="one-to-one")
arrow = FunctionTransformer(direction, feature_names_out=lambda step, names: ["sin", "cos"])

# %%
steps = [("log", logs, ["rms_2_16"]), ("angle", arrow, ["hue"]), ("rest", "passthrough", ["gamma"])]
treat = ColumnTransformer(steps)
pd.DataFrame(treat.fit_transform(train)[:2], columns=treat.get_feature_names_out()).round(2)

# %% [markdown] tags=["slide"]
# ## Exercise 5.6 · The whole chain  ·  core · 12 min · ●●○
#
# Now put it together, for any columns: treat, fill with medians and mark, scale. The features come in this order: the logarithms, sine and cosine, the others, and last the marks. Return the chain *unfitted*: whoever uses it will fit it.


# %%
def features_from(logarithmic, angle, others):
    """An unfitted transformer: table -> features. Two lists of column names, and one name: the angle."""
    # solution: make_pipeline(ColumnTransformer, imputer with indicators, scaler); the angle as [angle]
    treat = ColumnTransformer(
        [("log", logs, logarithmic), ("angle", arrow, [angle]), ("rest", "passthrough", others)]
    )
    return make_pipeline(
        treat, SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
    )
    # end solution


features_from = check.features_from(features_from)

# %% [markdown]
# From now on we take it from `helpers.preprocessing`, where the same chain has readable names. First the proof that it *is* the same:

# %%
logarithmic = [*GROUPS["rms"], "nu_break", "qpo_freq"]
others = ["hr_soft", "hr_hard", "gamma", "kt_in", "disc_frac"]
mine = features_from(logarithmic, "hue", others).fit(train)
course = preprocessor([*logarithmic, "hue", *others]).fit(train)
difference = np.abs(mine.transform(validation) - course.transform(validation).to_numpy())
print(f"{difference.shape[1]} features, the same to 1e-9: {difference.max() < 1e-9}")
print(course.get_feature_names_out()[[0, 8, 9, 16]])

# %% [markdown]
# Per cent right with all features, on held-out sources of the training set and on the validation set:

# %%
in_train, in_validation = {}, {}
for target, kind in itertools.product(targets, models):
    pipeline = make_pipeline(preprocessor(), models[kind])
    in_train[target, kind] = right(pipeline, train, target)
    pipeline.fit(train, train[target])
    in_validation[target, kind] = 100 * pipeline.score(validation, validation[target])
summary(in_train).assign(validation=pd.Series(in_validation).round(1))

# %% [markdown]
# ## The leak
#
# Suppose you scale *before* you split: `preprocessor().fit_transform(train)`, then cross-validate. What does it cost? In twenty splits we compare scales from all rows with those from training rows.

# %%
leaked = preprocessor().fit_transform(train)
sealed, leaky = [], []
many = GroupShuffleSplit(20, test_size=0.25, random_state=1)
for fit, held_out in many.split(train, groups=train.source_id):
    pipeline = make_pipeline(preprocessor(), neighbours).fit(train.iloc[fit], label.iloc[fit])
    sealed.append(100 * pipeline.score(train.iloc[held_out], label.iloc[held_out]))
    neighbours.fit(leaked.iloc[fit], label.iloc[fit])
    leaky.append(100 * neighbours.score(leaked.iloc[held_out], label.iloc[held_out]))
by_leak = np.subtract(leaky, sealed)
print(f"the leak gains in {np.sum(by_leak > 0)} of 20 splits")
summary({"scaled inside": sealed, "scaled before": leaky, "before less inside": by_leak})

# %% [markdown]
# The leak gains next to nothing: a small fraction of the spread between splits, and of either sign. A mean over thousands of rows hardly moves when a few sources join.
#
# So may we stop caring? We make the same mistake in another step. We give each of the 24 training sources 1000 "features" out of a random generator, choose the 10 that separate black holes from neutron stars best, and cross-validate a logistic regression on these ten.
#
# **Predict:** pure noise. Chance is 50 %. What will the cross-validated score be?

# %%
my_guess_noise = ...  # per cent, a number


# %% [markdown] tags=["slide"]
# ## Exercise 5.7 · Close the leak  ·  core · 8 min · ●●○
#
# Write the honest version: the 10 best columns chosen anew *inside* each of five folds, which `StratifiedKFold(5, shuffle=True, random_state=seed)` cuts. `SelectKBest(k=10)` is a transformer like any other; behind it stands `classifier`. Chance is to be one half, so score the balanced accuracy.


# %%
classifier = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))


def honest_score(features, label, seed):
    """Mean balanced accuracy over five shuffled folds; features (n, p), label (n,) true or false."""
    # solution: make the choice of columns the first step of a Pipeline; score that with cross_val_score
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    pipeline = make_pipeline(SelectKBest(k=10), classifier)
    return cross_val_score(pipeline, features, label, cv=folds, scoring="balanced_accuracy").mean()
    # end solution


honest_score = check.honest_score(honest_score)

# %%
hole = train.groupby("source_id").object_label.first().eq("BH").to_numpy()
inside, before = [], []
for seed in range(20):
    draw = np.random.default_rng(seed).standard_normal((len(hole), 1000))
    inside.append(100 * honest_score(draw, hole, seed))
    chosen = SelectKBest(k=10).fit_transform(draw, hole)  # the leak: labels of all rows
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    scores = cross_val_score(classifier, chosen, hole, cv=folds, scoring="balanced_accuracy")
    before.append(100 * scores.mean())

# %% tags=["slide"]
on_noise = {"chosen inside the folds": inside, "chosen before": before}
ax = sns.histplot(on_noise, bins=np.arange(20, 105, 5), element="step", palette=["C0", "C1"])
ax.axvline(50, color="0.4", linestyle=":")
ax.set(xlabel="balanced accuracy on noise (%); dotted: chance", ylabel="draws")
plotting.mark_guess(ax, my_guess_noise)
plotting.show(ax, "05_leaks")
summary(on_noise)

# %% [markdown]
# **The answer:** 97 % on average, on nothing, if columns are chosen with the labels of all rows. Among 1000 columns of noise some happen to separate 24 sources, the held-out ones included. The cross-validation that follows is correct, and worthless. Everything that looks at *labels* before the split does this: choosing columns, filling gaps with the mean of the class, choosing the better of ten scalers, and your own eyes on a plot of all sources.
#
# A harmless leak and a fatal one are the same mistake in the source code. One habit cures both: **whatever has a `fit` goes into the Pipeline, and the Pipeline goes into the folds.**

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Logarithms make factors into distances. Lags have none, and an rms that is not above zero has none.
# - Models that add up columns need scales; trees do not. No scaler is best for every table.
# - A hue is a direction: sine and cosine.
# - Ask why a cell is empty. An rms without a value is an upper limit, not the median. Score the rows that a treatment touches.
# - The pattern of gaps knows state, telescope and brightness. It is up to you whether you want that.
# - PCA keeps what varies, not what matters.
# - What learns goes into the Pipeline. The leak of a scaler is tiny; the leak of a choice is not.

# %% [markdown]
# **Further reading.** The scikit-learn user guide, [*Pipelines and composite estimators*](https://scikit-learn.org/stable/modules/compose.html), for all that a Pipeline can hold, and [*Common pitfalls*](https://scikit-learn.org/stable/common_pitfalls.html), for more leaks · V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023): preparing data, with exercises · D. Baron, *Machine learning in astronomy: a practical overview* ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248)): distances, scaling, dimensionality reduction · L. Heil, P. Uttley & M. Klein-Wolt, *Power colours* (MNRAS 448, 3339, 2015): where the hue comes from.
