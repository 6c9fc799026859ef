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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
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

from course.checks import lesson_05 as check
from helpers import data, plotting
from helpers.preprocessing import GROUPS, STATE_FEATURES, prepare, preprocessor

plotting.use_course_style()

# %% [markdown]
# ## How we shall measure
#
# Pre-processing is a chain of small decisions, and each has its folklore. We shall not argue about them, we shall measure: ten times, a quarter of the training *sources* is held out, the model learns from the rest, and we count the right answers. The score is a mean with the standard deviation over the ten splits. (That "share of right answers" is a poor metric is the subject of lesson 06. To compare two treatments of the *same* rows it will do.)

# %%
train, validation = data.load_split()
splits = GroupShuffleSplit(10, test_size=0.25, random_state=0)


def right(model, features, label="state_label", splits=splits):
    """Per cent of right answers on held-out sources, for each of the splits."""
    number, groups = train[label].factorize(sort=True)[0], train.source_id
    return 100 * cross_val_score(model, features, number, groups=groups, cv=splits)


def say(values):
    """Mean and spread, in words."""
    return f"{np.mean(values):5.1f} ± {np.std(values, ddof=1):4.1f}"


print(f"{len(train)} pointings at {train.source_id.nunique()} sources to learn from")

# %% [markdown] tags=["slide"]
# ## Logarithms
#
# Three columns as they come, and their logarithms. Before you look: in which do you expect *most* of the pointings in a single bin of the histogram?

# %% tags=["slide"]
columns = {"rate": "1/s", "red_chi2": "", "rms_0p1_64": "of the mean"}
fig, axes = plt.subplots(2, 3, figsize=(8.4, 4.4), layout="constrained")
for (name, unit), (top, bottom) in zip(columns.items(), axes.T, strict=True):
    values = train[name].dropna()
    fullest = np.histogram(values, 40)[0].max() / len(values)
    top.hist(values, bins=40)
    top.set(xlabel=f"{name} ({unit})" if unit else name, ylabel="pointings")
    top.set_title(f"{fullest:.0%} in one bin")
    bottom.hist(np.log10(values), bins=40)
    bottom.set(xlabel=f"log10 {name}", ylabel="pointings")
plotting.show(fig, "05_skewed_columns")

# %% [markdown]
# A logarithm does three things.
#
# - It makes *factors* into *distances*. An error of 10 % is 0.04 in $\log_{10}$ at 5 counts/s and at 5000. Most of our errors are of that kind: distance, absorption, number of detectors all multiply.
# - It lets the faint half of the archive speak: what was one bin becomes half of the axis.
# - It pulls in the outliers. How far, we can count:

# %%
for name in ("rate", "red_chi2", "rms_0p004_0p03"):
    values = train[name].dropna()
    far = [(v.max() - v.mean()) / v.std() for v in (values, np.log10(values))]
    print(
        f"{name:15s} largest value: {far[0]:4.1f} σ above the mean, {far[1]:4.1f} σ after the log"
    )

# %% [markdown]
# And what has *no* logarithm? A lag is positive if hard photons come late, negative if they come early: its sign is the physics. An rms exists only where the excess variance came out above zero; otherwise the cell is empty, and stays so: $\log 0$ is not a small number, it is none.

# %%
negative = (train[list(GROUPS["lags"])] < 0).mean()
print(negative.map("{:.0%} below zero".format).to_string())
print(f"rms_0p1_64 is empty in {train.rms_0p1_64.isna().mean():.0%} of the pointings")

# %% [markdown]
# ## Exercise 5.1 · What does this column need?  ·  core · 6 min · ●○○
#
# Eight columns. Which treatment does each need before a model for the *state* or the *object* sees it? Use `"log"`, `"angle"`, `"as is"` (scaling will come in any case) or `"forbid"`: no treatment will help, it must not be a feature at all. `train.attrs["meaning"][name]` tells what a column is; lessons 02 to 04 told how it came about.

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
# To *k nearest neighbours*, a pointing is what most of its $k$ nearest neighbours are. Nearest by what? By $\sum_j (x_j - x'_j)^2$: counts per second squared, plus Crab units squared, plus a fraction squared. You would not let a student add these.
#
# ### Predict first
#
# Five columns: two colours, the disc's share, the rms, and, against lesson 04's list, the rate, for what it does to the scale. On scaled columns, the 15 nearest neighbours name the state of new sources right in nearly nine of ten pointings. How many per cent on the raw columns?

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
for row, (name, scores) in enumerate(found.items()):
    ax.plot(scores, np.full(10, row), "o^sD"[row], markerfacecolor="none")
    print(f"{name:19s} {say(scores)} % right")
ax.set_yticks(range(4), found)
ax.set(xlabel="right on held-out sources (%), ten splits", ylim=(3.5, -0.5))
plotting.mark_guess(ax, my_guess_raw)
plotting.show(fig, "05_scaled_and_raw")

# %% [markdown]
# **Your prediction:** 59 % on raw columns. Why, can be read off without any model. The mean squared distance between two pointings is twice the sum of the variances, so each column's share in it is its share of the variance:

# %%
share = five.var() / five.var().sum()
print((100 * share).map("{:.6f} %".format).to_string())

# %% [markdown]
# On raw columns the neighbours compare count rates and nothing else; a rate tells as much about the distance of a source as about its state. In other units the answer would change: **a result that depends on the choice of units is no result.** The tree asks one question of one column at a time ("is the rate above 300?"), so that neither scale nor logarithm changes what it can say, and its scores are the same. So much for "always scale": scale for models that add up columns (neighbours, PCA, anything with a penalty, neural networks).

# %% [markdown] tags=["slide"]
# ## Exercise 5.2 · A scaler by hand  ·  core · 8 min · ●●○
#
# Write the scaling: each column minus its mean, over its standard deviation. There are two tables, one to learn from and one of new sources. What would you know about the second when the next pointing arrives? Gaps stay gaps, and nothing is added to a deviation.


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
_, scaled = standardise(train[colours].dropna().to_numpy(), validation[colours].to_numpy())
print("validation, scaled by train:  mean", np.nanmean(scaled, axis=0).round(2), end="  ")
print("deviation", np.nanstd(scaled, axis=0).round(2))

# %% [markdown]
# Not 0, not 1, and that is right: other sources *are* different, and the model has to be told.

# %% [markdown]
# ### Does an outlier-proof scaler help?
#
# `StandardScaler` takes mean and standard deviation, `RobustScaler` median and interquartile range. Remember lesson 02: slews, bursts and flares sit in this archive, one pointing in a hundred. By what factor does the largest one per cent of a column change its two scales?

# %%
for name in ("red_chi2", "skew", "hr_soft"):
    values = train[name].dropna()
    rest = values[values < values.quantile(0.99)]
    ratio = [
        s(values) / s(rest) for s in (np.std, lambda v: np.subtract(*np.percentile(v, (75, 25))))
    ]
    print(f"{name:9s} deviation × {ratio[0]:4.2f}, interquartile range × {ratio[1]:4.2f}")

# %% [markdown]
# A clear case, it seems. Now ask the neighbours who is a black hole and who a neutron star. The differences are small, so we take twenty-four splits.

# %%
few = ["hr_hard", "red_chi2"]
more = ["hr_soft", "hr_hard", "rms_0p1_64", "red_chi2", "skew"]
more_splits = GroupShuffleSplit(24, test_size=0.25, random_state=1)
for names in (few, more):
    filled = train[names].fillna(train[names].median())
    logs = filled.assign(red_chi2=np.log10(filled.red_chi2))
    standard, robust, logged = (
        right(make_pipeline(scaler, neighbours), table, "object_label", more_splits)
        for scaler, table in (
            (StandardScaler(), filled), (RobustScaler(), filled), (StandardScaler(), logs),
        )
    )  # fmt: skip
    print(", ".join(names), f": standard {say(standard)} %")
    print(
        f"   robust less standard {say(robust - standard)}, log less plain {say(logged - standard)}"
    )

# %% [markdown]
# The first pair is better off with the robust scaler, by some six per cent; the second set is not, and rather worse. No contradiction. The outliers had squeezed `red_chi2` and `skew`; a robust scale lets them out again. That is good for a column that knows something and bad for one that does not: the skewness of a light curve, mostly noise, now weighs several times what it did. And the outliers are still there, tens to hundreds of units away. Scaling weighs columns against each other, and equal weights are a choice like any other. Look first; where physics says factors, take the logarithm. It did as much for the first pair as any clever scaler.
#
# (We subtract *pairwise*, split by split: the spread of the difference is a half or a third of that of the scores, since a hard split is hard for both.)

# %% [markdown]
# ## Directions
#
# The hue is an angle. 359° and 1° are neighbours on the wheel, and as far apart as can be in the table. Their mean is 180°, the far side of the wheel: a state that neither of them is in.

# %% [markdown] tags=["slide"]
# ## Exercise 5.3 · The mean of angles  ·  core · 8 min · ●●○
#
# Turn each hue into an arrow of length one, $(\sin h, \cos h)$, add up the arrows, and see where the sum points. The answer is in degrees, from 0 to below 360.


# %%
def mean_hue(hue):
    """The direction (degrees, 0 to below 360) of the mean of angles `hue` (n,) in degrees."""
    # solution: np.radians, the two means, np.arctan2(sine, cosine), back to degrees, modulo 360
    angle = np.radians(hue)
    return np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) % 360
    # end solution


mean_hue = check.mean_hue(mean_hue)

# %%
hard = train[(train.state_label == "LHS") & train.hue.notna()]
for source in ("S02", "S05", "S24"):
    hue = hard.hue[hard.source_id == source].to_numpy()
    beyond = np.sum(hue > 300)
    print(f"{source}: {len(hue):3d} hard pointings, {beyond} beyond 300°; ", end="")
    print(f"mean {hue.mean():3.0f}°, direction {mean_hue(hue):3.0f}°")

# %% [markdown]
# The hard state lives at -20° to 140° (Heil, Uttley & Klein-Wolt 2015), across the cut. In a source with few pointings two of them on the wrong side are enough to move its mean by sixty degrees.
#
# The cut at 0° is a convention. So turn the wheel: put the zero elsewhere, and ask a logistic regression for the state, from the hue alone. If the column is treated well, nothing may change.

# %%
seen = train[train.hue.notna()]


def right_from(features):
    """Per cent right on held-out sources, of the pointings with a hue."""
    model = make_pipeline(StandardScaler(), LogisticRegression())
    number, groups = seen.state_label.factorize(sort=True)[0], seen.source_id
    return 100 * cross_val_score(model, features, number, groups=groups, cv=splits)


angle = np.radians(seen.hue.to_numpy())
arrows = np.column_stack([np.sin(angle), np.cos(angle)])
cuts = np.arange(0, 360, 20)
by_cut = np.array([right_from((seen[["hue"]] - cut) % 360) for cut in cuts])
turned = np.array([right_from(arrows @ [[c, -s], [s, c]]) for c, s in ((1, 0), (0.6, 0.8))])

# %%
fig, ax = plt.subplots(figsize=(6.4, 3.4))
spread = by_cut.std(axis=1, ddof=1)
ax.errorbar(cuts, by_cut.mean(axis=1), spread, fmt="o", label="degrees, wheel cut open here")
mean, spread = turned[0].mean(), turned[0].std(ddof=1)
ax.axhline(mean, color="C1", linestyle="--", label="sine and cosine")
ax.axhspan(mean - spread, mean + spread, color="C1", alpha=0.15)
ax.set(xlabel="hue at which the wheel is cut (degrees)", ylabel="right (%)", ylim=(50, 102))
ax.legend(loc="upper left", ncols=2)
plotting.show(fig, "05_cut_of_the_hue")
for what, cut in (("worst", by_cut.mean(axis=1).argmin()), ("best", by_cut.mean(axis=1).argmax())):
    print(f"degrees, {what} cut, at {cuts[cut]}°: {say(by_cut[cut])} %")
print(f"sine and cosine: {say(turned[0])} %, turned by 53°: {say(turned[1])} %")

# %% [markdown]
# In degrees the score depends on a convention, by more than twenty per cent. Sine and cosine do not know where the zero is. A cut at 340°, between the hues of soft and hard, does as well: but it has to be known beforehand, and holds until a source comes along that sits there. (Two columns instead of one are the price. A tree, which cuts for itself, gains less.)

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
complete = train[list(STATE_FEATURES)].notna().all(axis=1)
print(f"{complete.sum()} of {len(train)} pointings are complete", end=", ")
print(f"of {train.source_id[complete].nunique()} of {train.source_id.nunique()} sources")
print(
    f"median rate {train.rate[complete].median():.0f} against {train.rate.median():.0f} per second"
)
states = ["LHS", "HIMS", "SIMS", "HSS"]
print(train.state_label[complete].value_counts().reindex(states, fill_value=0).to_string())

# %% [markdown]
# Dropping is a selection, and a severe one: the soft state has no QPO and is gone. So fill. But with what? Look at one column first: the rms of the soft state.

# %%
soft = train[train.state_label == "HSS"]
total = soft.rate / (1 - soft.bkg_frac)  # with background: it has noise too
noise = np.sqrt(2 * total / soft.rate**2 * np.sqrt(63.9 / soft.exposure))
gap = soft.rms_0p1_64.isna()
by_rate = noise.groupby(pd.qcut(soft.rate, 12)).median()

fig, ax = plt.subplots(figsize=(6.4, 3.8))
ax.loglog(soft.rate, soft.rms_0p1_64, "D", color="#D55E00", markersize=2.5, label="soft, measured")
ax.plot(soft.rate[gap], np.full(gap.sum(), 6e-4), "k|", label=f"soft, no rms ({gap.sum()})")
ax.plot([i.mid for i in by_rate.index], by_rate, "k-", label="1 σ of photon noise")
median = train.rms_0p1_64.median()
ax.axhline(median, color="#0072B2", linestyle="--", label="median of all pointings")
ax.set(xlabel="net rate (1/s)", ylabel="rms, 0.1–64 Hz (of the mean)")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)
plotting.show(fig, "05_soft_state_rms")
below = (soft.rms_0p1_64 < median).sum() / soft.rms_0p1_64.notna().sum()
print(f"{below:.0%} of the soft pointings with an rms lie below the median of the archive")

# %% [markdown]
# The line: power above the noise has an error of $P_\mathrm{noise}\sqrt{\Delta\nu/T}$ as a variance, since a band of width $\Delta\nu$ averages $T\Delta\nu$ independent frequencies of 100 % scatter each (lesson 01), and $P_\mathrm{noise} = 2\,r_\mathrm{total}/r_\mathrm{net}^2$.
#
# Two things to see. An rms whose variance is not above zero is an **upper limit**: it belongs at the line or *below* it. The popular median puts it among the hard states, where hardly any soft pointing is. And along the line even the measured values are biased: at the faint end only upward fluctuations have a root.

# %% [markdown]
# ### What does the filling do to a model?
#
# Four fillings for three columns, the two colours and the rms. After scaling the mean is 0; "low" means two standard deviations below it; "mark" adds a column that is 1 where there was a gap. We ask for the state, of *all* held-out pointings and of those with a *gap*, for which we note the *worst* of the ten splits too.

# %%
fillings = {
    "median": make_pipeline(SimpleImputer(strategy="median"), StandardScaler()),
    "mean": make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0)),
    "low": make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=-2.0)),
    "median + mark": make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
    ),
}
models = {"logistic": LogisticRegression(max_iter=1000), "neighbours": neighbours}
three = prepare(train, ["hr_soft", "hr_hard", "rms_0p1_64"])
has_gap = three.isna().any(axis=1).to_numpy()

# %%
label, filled = train.state_label, {}
for kind, model in models.items():
    for name, filling in fillings.items():
        rows = []
        for fit, held_out in splits.split(three, groups=train.source_id):
            pipeline = make_pipeline(filling, model).fit(three.iloc[fit], label.iloc[fit])
            hit = pipeline.predict(three.iloc[held_out]) == label.iloc[held_out]
            rows.append([100 * hit.mean(), 100 * hit[has_gap[held_out]].mean()])
        filled[kind, name] = every, gaps = np.transpose(rows)
        print(f"{kind:10s} {name:13s} all {say(every)}, gap {say(gaps)}, worst {gaps.min():3.0f} %")

# %% [markdown]
# Over *all* pointings the fillings differ by a few per cent. You might not bother. But among the pointings that have a gap the median costs up to twenty per cent on average, and in unlucky splits it is a disaster, because which way these rows fall hangs on a few sources. **Score the rows that a treatment touches, not all rows.** What helps is either to put the value where physics says it is, or to let the model see that there was none.

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
# Three columns were a magnifying glass. Now the course's 14 features of the state, with logarithms and directions, for both questions: each filling less the median, split by split.

# %%
features = prepare(train, STATE_FEATURES).to_numpy()
useful = {name: filling for name, filling in fillings.items() if name != "mean"}
for target in ("state_label", "object_label"):
    for kind, model in models.items():
        scores = {n: right(make_pipeline(f, model), features, target) for n, f in useful.items()}
        print(f"{target}, {kind}: median {say(scores['median'])} %")
        for name in ("low", "median + mark"):
            gain = scores[name] - scores["median"]
            print(f"   {name:14s} {say(gain)}, better in {np.sum(gain > 0)} of 10 splits")

# %% [markdown]
# Be honest: for the state these are differences of about one per cent, as large as their own spread, for other columns know what the gap hides. For the object they are a little larger. And the sign depends on the model: marks help the linear model, which can give each its own weight, and do not help the neighbours, who are rather *worse* at the state with them. A mark that is rarely 1 has, once scaled, a 1 that lies several standard deviations from the 0: two pointings that differ in one gap end up far apart. There is no filling that is best for every model. There is one that is worst for the rows it touches.

# %% [markdown] tags=["slide"]
# ### Do you want to know what a gap knows?
#
# **Predict:** throw all measured values away, and keep only *which* of the 14 features are empty. How many per cent of the states can a logistic regression still tell, on new sources?

# %%
my_guess_gaps = ...  # per cent, a number

# %%
names = list(STATE_FEATURES)
nicer = data.load_observations("nicer")
known = data.load_observations("rxte").source_id  # names only
nicer = nicer[~nicer.source_id.isin(known)]  # 12 sources that RXTE never saw
gaps, target = nicer[names].isna().astype(float), nicer.state_label
same, other = [], []
for fit, held_out in splits.split(train, groups=train.source_id):
    empty = train[names].isna().astype(float)
    model = LogisticRegression(max_iter=1000).fit(empty.iloc[fit], label.iloc[fit])
    same.append(100 * model.score(empty.iloc[held_out], label.iloc[held_out]))
    other.append(100 * model.score(gaps, target))
commonest = target.mode()[0]
guessing = 100 * (target == commonest).mean()

# %% tags=["slide"]
fig, ax = plt.subplots(figsize=(6.4, 2.8))
ax.plot(same, np.zeros(10), "o", markerfacecolor="none")
ax.plot(other, np.ones(10), "^", markerfacecolor="none")
ax.axvline(guessing, color="0.4", linestyle=":", label=f"NICER, always {commonest}")
ax.set_yticks([0, 1], ["RXTE, new sources", "NICER, new sources"])
ax.set(xlabel="states right from the pattern of gaps alone (%)", ylim=(1.6, -1.2), xlim=(0, 100))
ax.legend(loc="upper left")
plotting.mark_guess(ax, my_guess_gaps)
plotting.show(fig, "05_gaps_alone")
print(f"RXTE {say(same)} %, NICER {say(other)} %, NICER guessing {guessing:.0f} %")

# %%
sky = {"rxte": train[names].isna().mean(), "nicer": nicer[names].isna().mean()}
print((100 * pd.DataFrame(sky)).loc[["kt_in", "hue", "qpo_freq", "rms_hf"]].round(0).to_string())
faint = pd.qcut(train.rate, 3, labels=["faint", "middle", "bright"])
share = 100 * train[["hue", "rms_hf"]].isna().groupby([faint, label], observed=True).mean()
print(
    share.unstack()[
        [(name, state) for name in ("hue", "rms_hf") for state in ("LHS", "HSS")]
    ].round(0)
)

# %% [markdown]
# **Your prediction:** 84 % on new sources of RXTE, and 54 % on NICER's. The empty cells alone tell the state of new sources, to better than four in five, and on NICER most of that knowledge is gone: it does a little better than a constant answer. The first table says why: on RXTE half of the pointings have no disc temperature, mostly hard ones; NICER sees discs nearly always. The second says what else a gap knows: brightness. A faint hard state lacks its hue three or four times as often as a bright one. A **missing value is information about the telescope and the brightness** as well as about the source. If the next pointing is made with the same telescope at similar sources, use it. If you want to carry the rule elsewhere, you have just found what will break it. (We have looked at labels of NICER here, and lesson 12 will ask these sources again: nothing was chosen by what we saw.)
#
# **Discuss with your neighbour** (5 min; alone, write two sentences): what would *you* put into an empty `qpo_freq`, and why? A small number? The median? The mean of its state? Does your answer differ for a bright soft state and a faint hard one, and can the table tell these apart?

# %% [markdown]
# ## Fewer dimensions
#
# Six bands of rms look like six features. Are they? A **principal component analysis** (PCA) turns the axes: the first new axis points where the data vary most, the second where they vary most at right angles to it, and so on.
#
# By hand it is three steps: subtract the mean of each column; compute the covariance matrix; take its eigenvectors. An eigenvector is a component, its eigenvalue the variance along it.

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
# Nine columns: two colours, the disc's share, the logarithms of six rms. Gaps are filled "low", since they are upper limits.

# %%
nine = prepare(train, ["hr_soft", "hr_hard", "disc_frac", *GROUPS["rms"]])
scaled = fillings["low"].fit_transform(nine)
components, variances = pca(scaled)
reference = PCA().fit(scaled)
overlap = np.abs(np.sum(components * reference.components_, axis=1))  # 1 for the same line
print("same axes up to sign:", np.allclose(overlap, 1))
print("same variances:      ", np.allclose(variances, reference.explained_variance_, rtol=1e-2))
print("shares (%):", (100 * reference.explained_variance_ratio_).round(1))
print(pd.DataFrame(components[:2].T, nine.columns, ["PC1", "PC2"]).round(2).to_string())

# %% [markdown]
# The sign of a component is arbitrary; never interpret it. Its *pattern* can be read: in PC1 both colours and all six rms have one sign, the disc's share the other. It is the axis from hard, variable, without a disc to soft, steady, disc-dominated: three quarters of the variance of the archive are the one motion that you know from the outburst diagram. No label was needed to find it. PC2 is a contrast *within*: the soft colour against disc share and fast variability.
#
# And without scaling? And with a rate among the columns?

# %%
with_rate = train[["rate", "hr_soft", "hr_hard", "disc_frac", "rms_0p1_64"]].dropna()
raw = PCA().fit(with_rate)
print("raw: PC1 has", f"{raw.explained_variance_ratio_[0]:.7%}", "of the variance and consists of")
print(pd.Series(raw.components_[0], with_rate.columns).abs().round(4).to_string())
bands = nine[[f"log_{name}" for name in GROUPS["rms"]]]
ratio = PCA().fit(fillings["low"].fit_transform(bands)).explained_variance_ratio_
print("six rms alone, scaled (%):", (100 * ratio).round(1))

# %% [markdown]
# Raw, PCA has discovered that count rates are large numbers. Scaled, the six rms share some four fifths of their variance in one component: they are **collinear**. Six columns, about two measurements: how much, and how fast. (For a linear model that means weights that cannot be told apart; lesson 11.)

# %% [markdown] tags=["slide"]
# ### Variance is not relevance
#
# Here is what the field would plot, with the states; and, on the right, the soft state alone, with the objects.

# %% tags=["slide-next"]
score = reference.transform(scaled)
score *= np.sign(reference.components_[:, 0])  # choose a sign: the soft colour counts positive
fig, (left, right_) = plt.subplots(1, 2, figsize=(8.4, 3.8), sharey=True, layout="constrained")
looks = {"LHS": ("#0072B2", "o"), "HIMS": ("#009E73", "^"), "SIMS": ("#CC79A7", "s")}
looks |= {"HSS": ("#D55E00", "D"), "BH": ("#000000", "o"), "NS": ("#D55E00", "^")}
in_soft = (label == "HSS").to_numpy()
for ax, column, chosen in ((left, label, in_soft | True), (right_, train.object_label, in_soft)):
    for name in [n for n in looks if n in set(column)]:
        own = chosen & (column == name).to_numpy()
        style = {"color": looks[name][0], "markerfacecolor": "none", "markersize": 3, "alpha": 0.6}
        ax.plot(score[own, 0], score[own, 1], looks[name][1], label=name, **style)
    ax.set(xlabel="PC1 (no unit)")
    ax.legend()
left.set(ylabel="PC2 (no unit)", title="all pointings, by state")
right_.set_title("the soft state (HSS), by object")
plotting.show(fig, "05_components")

# %%
soft_rows = train[in_soft]
for k in range(3):
    one, groups = score[in_soft, k : k + 1], soft_rows.source_id
    hits = cross_val_score(
        LogisticRegression(class_weight="balanced"), one, soft_rows.object_label,
        groups=groups, cv=splits, scoring="balanced_accuracy",
    )  # fmt: skip
    share = reference.explained_variance_ratio_[k]
    print(f"PC{k + 1}: {share:5.1%} of the variance, BH or NS in soft states {say(100 * hits)} %")

# %% [markdown]
# (Balanced: the mean of the two classes' shares of right answers, so that guessing is worth 50 %. More in lesson 06. And the components have seen all sources: a leak, of a kind that we measure below.) A component with a tenth of the variance knows better than the first what the object is. PCA cannot know that. It never saw a label: **it keeps what varies, not what matters.** How many components are enough depends on the question:

# %%
numbers = (1, 2, 3, 4, 6, 10, 28)
fig, ax = plt.subplots(figsize=(6.4, 3.4))
for target, line in {"state_label": "o-", "object_label": "^--"}.items():
    chains = [make_pipeline(fillings["median + mark"], PCA(n), models["logistic"]) for n in numbers]
    scores = [right(chain, features, target) for chain in chains]
    mean, spread = np.mean(scores, axis=1), np.std(scores, axis=1, ddof=1)
    ax.errorbar(numbers, mean, spread, fmt=line, capsize=3, label=target.split("_")[0])
    constant = 100 * train[target].value_counts(normalize=True).iloc[0]
    print(f"{target}, the best constant answer: {constant:.0f} %")
ax.set(xlabel="number of principal components", ylabel="right on held-out sources (%)")
ax.legend(loc="lower right")
plotting.show(fig, "05_number_of_components")

# %% [markdown]
# Three numbers hold nearly everything about the state; the object needs six or more, and no number is clearly better than keeping everything. (Below the best constant answer a component knows nothing; so it is with the first one and the object.) With 14 columns, which become 28 features, PCA is a way to *look*, not a cure. It earns its place before models that suffer from many columns, and there the number of components is a hyperparameter (lesson 10).

# %% [markdown]
# ## Pipelines
#
# Logarithms learn nothing: they are the same for every row. Medians, means, deviations and components are *learned*, and we saw that they must be learned from training rows only. A **Pipeline** keeps the promise for you: `fit` learns every step in order, `predict` and `transform` only apply. Two pieces for it, and a look at one of them:


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
treat = ColumnTransformer(
    [("log", logs, ["rms_2_16"]), ("angle", arrow, ["hue"]), ("rest", "passthrough", ["gamma"])]
)
print(treat.fit_transform(train).round(2)[:2])
print(treat.get_feature_names_out())

# %% [markdown] tags=["slide"]
# ## Exercise 5.6 · The whole chain  ·  core · 12 min · ●●○
#
# Now put it together, for any columns: treat, fill with medians and mark, scale. Use the pieces above. The features come in this order: the logarithms, sine and cosine, the others, and last the marks. Return the chain *unfitted*: whoever uses it will fit it.


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

# %%
for target in ("state_label", "object_label"):
    for kind, model in models.items():
        pipeline = make_pipeline(preprocessor(), model).fit(train, train[target])
        score = 100 * pipeline.score(validation, validation[target])
        spread = right(make_pipeline(preprocessor(), model), train, target)
        print(f"{target:12s} {kind:10s} validation {score:.1f} %, in train {say(spread)} %")

# %% [markdown]
# ## The leak
#
# Suppose you scale *before* you split: `preprocessor().fit_transform(train)`, then cross-validate. Every textbook forbids it. What does it cost? We hold out sources twenty times, and let the medians and scales come from all rows, or from the training rows of the split.

# %%
leaked = preprocessor().fit_transform(train)
sealed, leaky = [], []
many = GroupShuffleSplit(20, test_size=0.25, random_state=1)
for fit, held_out in many.split(train, groups=train.source_id):
    pipeline = make_pipeline(preprocessor(), neighbours).fit(train.iloc[fit], label.iloc[fit])
    sealed.append(100 * pipeline.score(train.iloc[held_out], label.iloc[held_out]))
    neighbours.fit(leaked.iloc[fit], label.iloc[fit])
    leaky.append(100 * neighbours.score(leaked.iloc[held_out], label.iloc[held_out]))
gain = np.subtract(leaky, sealed)
print(f"inside {say(sealed)} %, leaky {say(leaky)} %")
print(f"gain {say(gain)}, positive in {np.sum(gain > 0)} of 20 splits")

# %% [markdown]
# Next to nothing: a small fraction of the spread between splits, and of either sign. A mean over thousands of rows hardly moves when a few sources join. Anyone who tells you that this leak, in a table like this one, ruins papers has not measured it.
#
# So may we stop caring? The same habit, another step. We give each of the 24 training sources 1000 "features" out of a random generator, choose the 10 that separate black holes from neutron stars best, and cross-validate a logistic regression on these ten.
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
inside, outside = [], []
for seed in range(20):
    noise = np.random.default_rng(seed).standard_normal((len(hole), 1000))
    inside.append(100 * honest_score(noise, hole, seed))
    best = SelectKBest(k=10).fit_transform(noise, hole)  # the leak: labels of all rows
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    scores = cross_val_score(classifier, best, hole, cv=folds, scoring="balanced_accuracy")
    outside.append(100 * scores.mean())
print(f"chosen inside the folds {say(inside)} %, chosen before {say(outside)} %")

# %% tags=["slide"]
fig, (left, right_) = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained")
left.plot(sealed, leaky, "o", markerfacecolor="none")
left.axline((90, 90), slope=1, color="0.4", linestyle=":", label="no difference")
left.set(xlabel="scaled inside (%)", ylabel="scaled before (%)", title="scaler: state, 20 splits")
bins = np.arange(20, 105, 5)
right_.hist(inside, bins, histtype="step", linewidth=1.5, label="chosen inside")
right_.hist(outside, bins, alpha=0.6, hatch="//", label="chosen before")
right_.axvline(50, color="0.4", linestyle=":", label="chance")
right_.set(xlabel="balanced accuracy (%)", ylabel="draws", title="selection: noise, 20 draws")
plotting.mark_guess(right_, my_guess_noise)
left.legend(loc="upper left")
right_.legend(loc="upper left", bbox_to_anchor=(0.4, 1))
plotting.show(fig, "05_leaks")

# %% [markdown]
# **Your prediction:** 97 % on average, if columns are chosen with the labels of all rows. Nearly perfect, on nothing. Among 1000 columns of noise some happen to separate 24 sources; whoever chooses with the labels of all rows has chosen columns that also fit the held-out ones. The cross-validation that follows is correct, and worthless. Everything that looks at *labels* before the split does this: choosing columns, filling gaps with the mean of the class, choosing the better of ten scalers, and your own eyes on a plot of all sources.
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
