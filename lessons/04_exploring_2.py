# %% [markdown]
# # 4 · Exploring the data, part II
#
# | **The question** | Which features know the state, which know the object, and which only seem to? |
# |---|---|
# | **Afterwards you can** | say what a relation should look like before you look, and what would fake it; measure separation and correlation by ranks, with errors from whole sources; forbid a feature and give the reason |
# | **Time** | 50 min of reading or teaching, 48 min of exercises |
# | **Data** | the training set of the simulated RXTE archive, 24 sources, and its light curves, see `data/README.md` |
# | **Run time** | below 40 s on two cores |
#
# Three sections are marked *for home*: about 10 of the minutes. No later section needs them.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from sklearn.linear_model import LinearRegression

from course.checks import lesson_04 as check
from helpers import data, features, plotting
from helpers.resampling import resample_sources
from helpers.spectra import power_law

plotting.use_course_style()

# %% [markdown]
# ## Only the training set
#
# In part I we looked at the *quality* of all rows. Now we look for *relations*, and what you see, you will use. Whoever looks at the validation rows has fitted to them. So we close them.

# %%
train, validation = data.load_split()
del validation  # so that no cell below can look, not even by accident

train["hue"] = (train.hue + 20) % 360 - 20  # degrees, cut at -20 = 340, where no state lies
states = list(features.HUES)  # LHS, HIMS, SIMS, HSS
pd.crosstab(train.object_label, train.state_label)[states]

# %%
largest = train.groupby("object_label").source_id.value_counts(normalize=True)
largest.groupby("object_label").head(2).map("{:.0%}".format).to_frame("share of its kind")

# %% [markdown]
# The states are low/hard (LHS), hard-intermediate (HIMS), soft-intermediate (SIMS) and high/soft (HSS). BH is a black hole, NS a neutron star. Two black holes have most of the pointings of their kind.
#
# We ask three questions about every relation: **What should it look like? What does it look like? What would fake it?**

# %% [markdown] tags=["slide"]
# ## Exercise 4.1 · What should it look like?  ·  core · 8 min · ●○○
#
# Physics first. Each sentence describes one of these columns, each column once: `rms_0p1_64`, `gamma`, `kt_in`, `nu_break`, `qpo_freq`, `hue`, `lag_1_10`, `hr_soft`. (`train.attrs["meaning"]["gamma"]` says what a column is.)

# %%
# solution: which of them is a temperature, which a ratio of counts, which a shape?
sentences = {
    "a steady disc outshines the flickering corona: falls about tenfold from LHS to HSS": "rms_0p1_64",
    "soft photons of the disc cool the corona, which scatters them less: grows from LHS to HSS": "gamma",
    "measured only where the disc is hot and bright enough to be seen above 3 keV": "kt_in",
    "where flat noise begins to fall; scales as 1/M": "nu_break",
    "a narrow peak: there or not, and seen or not, so most rows are empty": "qpo_freq",
    "blind to how strong the variability is: only how it is spread over four bands": "hue",
    "the small delay of one energy band behind another; may be negative": "lag_1_10",
    "needs no model, but every telescope has its own": "hr_soft",
}
# end solution

sentences = check.sentences(sentences)

# %% [markdown]
# Here are all expectations. (kT_in is in keV, frequencies are in Hz, lags in s.)
#
# | feature | LHS → HSS | because | BH or NS? | what would fake it |
# |---|---|---|---|---|
# | colours `hr_*` | fall | the disc is soft | the surface keeps soft NS harder | another telescope, gain, absorption |
# | Γ `gamma` | grows | cooler corona | alike in hard states | a fit with the wrong model |
# | kT_in `kt_in` | appears, grows | the disc moves in | NS: perhaps the boundary layer | a fit that needs *some* soft excess |
# | disc share `disc_frac` | grows | the disc takes over | as above | as above |
# | rms, four bands | falls; slow bands first | steady disc light dilutes it | NS: more at high, less at low frequency | photon noise, bursts, slews |
# | hue | 0 → 340° | shape of the power spectrum | shifted where frequencies are | faintness decides who has one |
# | break and QPO frequency | grow | the inner edge moves in | four to seven times higher in NS: 1/M | a harmonic taken for the fundamental |
# | lags | small, hard behind soft | light and accretion take time | the larger body is slower | dead time and noise |
# | coherence | high, then low | one varying component, or several | alike | photon noise |

# %% [markdown]
# ## What does it look like?
#
# Black holes stand above the line, filled. Neutron stars hang below it, hatched. The grey boxes are the published ranges of black-hole states (`data/README.md` names the papers).

# %%
ranges = {
    "rms_0p1_64": [(0.25, 0.45), (0.10, 0.25), (0.04, 0.10), (0.005, 0.05)],
    "gamma": [(1.4, 2.1), (1.9, 2.5), (2.3, 2.7), (2.1, 3.5)],
    "disc_frac": [(0, 0.2), (0.1, 0.6), (0.4, 0.8), (0.75, 0.99)],
}
published = pd.DataFrame(ranges, index=states).to_dict()

# %%
fig, axes = plt.subplots(2, 2, figsize=(9, 6.2))
shown = ["rms_0p1_64", "hr_soft", "gamma", "disc_frac"]
for ax, column in zip(axes.flat, shown, strict=True):
    decades = column in ("rms_0p1_64", "hr_soft")
    plotting.distributions(ax, train, column, ranges=published.get(column), logarithmic=decades)
plotting.show(fig, "04_distributions", colours=64)

# %%
inside = {}  # the share of the pointings inside the published range
for column in published:
    known = train.dropna(subset=column)
    for (kind, state), rows in known.groupby(["object_label", "state_label"]):
        inside[column, kind, state] = rows[column].between(*published[column][state]).mean()
pd.Series(inside).unstack()[states].map("{:.0%}".format)

# %% [markdown]
# - **LHS** is where it should be, for black holes and for neutron stars.
# - **HIMS and SIMS**: fewer than half of the pointings are inside for rms and Γ, except for Γ of black holes in SIMS. The track is continuous, so two readers would cut it in two places.
# - **HSS** should have an rms below 5 %. Most pointings of black holes have more. Is it noise? See *Fake 1*.
# - **Neutron stars** in HSS are far from the grey box of the disc share. Are they less soft? No: the fit knows a disc and a power law. The star has a surface that also glows, and the fit has no name for it.
#
# Every threshold from a paper belongs to a population: here, black holes.

# %% [markdown]
# ## How well does it separate?
#
# We have dozens of features, so we need a number. Draw one pointing at random from each of two groups. How often does the second have the larger value? The answer is 1 for always, 0 for never, and 1/2 if the feature knows nothing. This is the Mann–Whitney statistic $U$ divided by the number of pairs; lesson 06 calls it AUC. Only the *order* of the values counts, so no logarithm changes it.

# %% [markdown] tags=["slide"]
# ## Exercise 4.2 · Two groups, one number  ·  core · 10 min · ●●○
#
# Write it for two Series of values. Missing values take no part; a tie counts one half.


# %%
def separation(first, second):
    """How often a value of `second` is larger than one of `first`: 0 to 1, 1/2 if they are alike."""
    # solution: first.to_numpy()[:, None] and second.to_numpy() compare each with each; dropna() before
    first, second = first.dropna().to_numpy()[:, None], second.dropna().to_numpy()
    return np.mean(second > first) + np.mean(second == first) / 2
    # end solution


separation = check.separation(separation)

# %%
groups = {
    "colours": ["hr_soft", "hr_hard"],
    "rms": ["rms_0p004_0p03", "rms_0p03_0p25", "rms_0p25_2", "rms_2_16", "rms_hf", "rms_0p1_64"],
    "fit": ["gamma", "kt_in", "disc_frac"],
    "power": ["nu_break", "qpo_freq", "hue"],
    "lags": ["lag_0p1_1", "lag_1_10", "coherence"],
    "telescope": ["rate", "lum_edd_est", "exposure"],
}
columns = [name for names in groups.values() for name in names]


# %%
def separate(first, second):
    """Separation of two sets of pointings by each column, if both have at least 20 values."""
    enough = [c for c in columns if min(first[c].count(), second[c].count()) >= 20]
    return pd.Series({c: separation(first[c], second[c]) for c in enough})


of_state = dict(list(train.groupby("state_label")))
separations = pd.DataFrame(index=columns)
for one, two in (("LHS", "HIMS"), ("HIMS", "SIMS"), ("SIMS", "HSS")):
    separations[f"{one} → {two}"] = separate(of_state[one], of_state[two])
for state in states:
    of_object = dict(list(of_state[state].groupby("object_label")))
    separations[f"BH → NS, {state}"] = separate(of_object["BH"], of_object["NS"])

# %%
fig, ax = plt.subplots(figsize=(7, 7.4))
plotting.heat_map(ax, separations, groups, limits=(0, 1), fontsize=10)
ax.axvline(3, color="black", linewidth=2)
ax.set_title("how often the second is larger (blank: fewer than 20 values)")
plotting.show(fig, "04_separations", colours=64)

# %% [markdown]
# - **State.** From LHS to SIMS colours, rms, Γ and disc share all help. From SIMS to HSS hue and coherence help, and little else. This corner will cost us accuracy in all later lessons.
# - **Object.** In hard states the frequencies know it, in soft states soft colour and disc share. The slowest rms knows it in every state, but rms also falls from state to state. One threshold for all states would be poor: features *interact*.
# - **Lags** were expected to know the larger body. They stay near 0.5.
# - **The last three rows** know a lot, too, and they are not about the source. More below.

# %% [markdown] tags=["slide"]
# ## Why validation stays closed: a demonstration
#
# Deal the *training* sources at random into two halves. In one half find the column that separates BH from NS best, then try it on the other half. Do this twenty times.
#
# **Predict:** where it was chosen, the best column separates more than 0.8 of the pairs. How many elsewhere?

# %%
my_guess_elsewhere = ...  # a share of pairs, 0.5 to 1

# %%
many = train.notna().mean() > 0.5  # columns that most pointings have
measured = train.loc[:, many].select_dtypes(float).columns.drop("mjd")


def look(rows):
    """Separation of BH from NS, less 1/2, by each measured column."""
    of_kind = dict(list(rows.groupby("object_label")))
    return pd.Series({c: separation(of_kind["BH"][c], of_kind["NS"][c]) - 0.5 for c in measured})


def chosen_and_tried(seed):
    """The best-looking column in half of the sources, and its separation there and in the others."""
    halves = data.deal_sources(train.source_id, train.object_label, 2, seed)[0]
    here, there = (look(train.iloc[half]) for half in halves)
    best = here.abs().idxmax()
    return best, 0.5 + abs(here[best]), 0.5 + np.sign(here[best]) * there[best]


# %%
trials = pd.DataFrame([chosen_and_tried(seed) for seed in range(20)])
trials.columns = ["best column", "where it was chosen", "on other sources"]
trials = trials.sort_values("on other sources", ignore_index=True)
trials.describe().loc[["mean", "std"]].round(2)

# %% tags=["slide"]
ax = trials.plot(style=["o", "^"], figsize=(8, 4), ylim=(0.3, 1), xticks=range(0, 20, 5))
ax.axhline(0.5, color="0.3", linestyle=":")  # a column that knows nothing
ax.set(xlabel="cut of the sources", ylabel="pairs that the best column separates")
plotting.mark_guess(ax, my_guess_elsewhere, axis="y")
plotting.show(ax, "04_chosen_columns", colours=64)

# %% [markdown]
# **The answer:** 0.70 elsewhere, with a standard deviation of 0.08 from cut to cut.
#
# The best of many columns is best partly by luck, and three or four black holes leave much room for it. If we select on all rows, no rows are left to show the truth.
#
# So choose by physics, and by what holds for source after source.

# %% [markdown]
# ## Correlations
#
# Pearson's $r$ asks how well a *straight line* describes the points. Our features extend over decades, follow curves, and have outliers. Spearman's $\rho$ is Pearson's $r$ of the **ranks**: the smallest value has rank 1, the next has 2, and so on. It asks whether one grows whenever the other does.

# %% [markdown] tags=["slide"]
# ## Exercise 4.3 · Spearman by hand  ·  core · 10 min · ●●○
#
# Write $\rho$ for two Series. Use only the pairs in which neither value is missing, and give equal values the mean of their ranks.


# %%
def spearman(x, y):
    """Spearman's rank correlation of two Series of the same index, pairs with NaN left out."""
    # solution: keep the complete pairs first, then Series.rank(), then np.corrcoef
    complete = x.notna() & y.notna()
    return np.corrcoef(x[complete].rank(), y[complete].rank())[0, 1]
    # end solution


spearman = check.spearman(spearman)

# %%
calm = train[train["skew"].abs() < 3]  # lesson 02: the others are X-ray bursts
three_pairs = [
    ("qpo_freq", "pc2"),
    ("skew", "stetson_k"),  # Stetson K: small if a few values lie far out
    ("percent_difference_flux_percentile", "percent_amplitude"),
]
correlation = {
    f"{x} and {y}": (train[x].corr(train[y]), calm[x].corr(calm[y]), spearman(train[x], train[y]))
    for x, y in three_pairs
}
names = ["Pearson", "Pearson without bursts", "Spearman"]
pd.DataFrame(correlation, index=names).T.round(2)

# %%
fig, axes = plt.subplots(1, 3, figsize=(10.5, 3.6))
for ax, (x, y) in zip(axes, three_pairs, strict=True):
    ax.plot(train[x], train[y], "o", color="0.25", markersize=3, alpha=0.5)
    ax.set(xlabel=f"{x} (Hz)" if x == "qpo_freq" else x, ylabel=y)
plotting.show(fig, "04_three_pairs", colours=64)

# %% [markdown]
# - **A curve** (left): the relation is tight, but $r$ is weak because it is not straight.
# - **Outliers that make a correlation** (middle): nearly all of $r$ comes from a few pointings with X-ray bursts.
# - **Outliers that hide one** (right): two names for the same thing, and the same bursts halve $r$.
#
# Ranks are not the truth either: $\rho$ does not know *how much*, and it does not see a relation that goes up and down again.
#
# Here are many at once. Features that are made from the same data stand together.

# %%
related = {
    "colours": ["hr_soft", "hr_3_10", "hr_hard"],
    "rms": ["rms_0p03_0p25", "rms_0p25_2", "rms_2_16", "rms_0p1_64", "rms_3_10"],
    "fit": ["gamma", "kt_in", "disc_frac"],
    "lags": ["lag_1_10", "coherence"],
    "light curve": ["std", "amplitude"],
}
matrix = train[[name for names in related.values() for name in names]]
both = matrix.corr("spearman").where(np.tri(matrix.shape[1], dtype=bool), matrix.corr())

# %%
fig, ax = plt.subplots(figsize=(8.4, 7.8))
plotting.heat_map(ax, both, related, fontsize=10)
ax.set_title("below the diagonal: Spearman · above: Pearson")
plotting.show(fig, "04_correlations", colours=64)

# %% [markdown]
# A strong correlation can mean three things:
#
# - **Twins.** For RXTE `hr_soft` and `hr_3_10` are the same column under two names. `rms_3_10` is `rms_0p1_64` in a narrower energy band. `std` and `amplitude` are one measurement. Keep one of each.
# - **Relatives.** The state moves all rms bands together. Their *differences* carry the information, and power colours are made from them.
# - **Physics.** Γ and hard colour: a steep spectrum is soft. Both stay.
#
# What do twins do to a linear model? Explain Γ by the two rms, five times, each time with other pointings:

# %%
twins = ["rms_0p1_64", "rms_3_10"]
complete = train.dropna(subset=["gamma", *twins])
effects = {}
for seed in range(5):
    drawn = complete.sample(300, random_state=seed)
    scaled = drawn[twins] / drawn[twins].std()
    effects[seed] = LinearRegression().fit(scaled, drawn.gamma).coef_
effects = pd.DataFrame(effects, index=twins).T
effects.assign(sum=effects.sum(axis=1)).round(2)  # change of Γ per standard deviation

# %% [markdown]
# The sum is well measured; how the twins share it depends on the draw. The *prediction* does not mind. But "the model found rms_3_10 unimportant" is a sentence about twins. Lesson 07 treats this with a penalty, lesson 11 judges whole groups.

# %% [markdown]
# ## Pairs, by state and by object  ·  for home
#
# Here are the pictures behind the coefficients: states below the diagonal, objects above it.

# %%
grid = plotting.pair_plot(train, ["hr_soft", "gamma", "disc_frac"], logarithmic=["hr_soft"])
plotting.show(grid, "04_pairs", colours=160)

# %% [markdown]
# Look at Γ and soft colour. All *hard* spectra lie on one thin curve, whatever the object: a power law has only one parameter. In soft states black holes leave the curve at constant Γ, as the disc takes over; neutron stars leave it towards larger Γ. No straight line separates the objects in any panel.
#
# **Discuss with your neighbour** (4 min; alone, write two sentences): in the panel of disc share and soft colour neutron stars run *upwards* where black holes run downwards. What does the fit call a disc there?

# %% [markdown] tags=["slide"]
# ## The wheel of black holes and the neutron stars
#
# The **hue**, the angle in the power-colour wheel, was calibrated on black holes (Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339). A neutron star is lighter, and everything around it runs four to seven times faster. So the four fixed bands of frequency see other parts of the same power spectrum.
#
# **Predict:** where on this wheel do neutron stars in their hard state lie? Name a direction and a sector.

# %%
my_guess_sector = ...  # "clockwise" or "counter-clockwise", and a state

# %% tags=["slide"]
hard = train[(train.state_label == "LHS") & train.hue.notna()]
by_object = hard.assign(state_label=hard.object_label)  # the markers tell the object here

fig, ax = plt.subplots(figsize=(7.8, 5.2))
plotting.power_colour_wheel(ax, by_object, features.HUES, features.HUE_CENTRE)
ax.set_title("pointings in LHS")
plotting.show(fig, "04_wheel", colours=64)

# %%
seen = train.dropna(subset="hue")
sector = pd.Series(features.hue_states(seen.hue), seen.index, name="sector of the hue")
shares = pd.crosstab([seen.object_label, seen.state_label], sector, normalize="index")[states]
shares["has a hue"] = train.hue.notna().groupby([train.object_label, train.state_label]).mean()
shares.reindex(states, level="state_label").map("{:.0%}".format)

# %% [markdown]
# **The answer:** clockwise, into the sector of HIMS.
#
# In HIMS, SIMS and HSS most hues lie in the published sector, for both objects. In LHS only those of black holes do: more than half of the hard-state neutron stars lie in the sector of HIMS. The calibration belongs to another population. So *the hue in LHS tells the mass*. (In HSS hardly any pointing *has* a hue.)

# %% [markdown] tags=["slide"]
# ## Γ against QPO frequency
#
# As the inner edge of the flow moves in, the QPO (quasi-periodic oscillation) gets faster and the spectrum steeper: the best-known relation of the field. Each source has its own curve, which its mass shifts.
#
# ### Predict first
#
# Within a single source, Spearman's ρ of Γ and QPO frequency has a median somewhat above 0.8. What is it for all sources together?

# %%
my_guess = ...  # between -1 and 1

# %%
with_qpo = train.dropna(subset=["gamma", "qpo_freq"])
with_qpo = with_qpo.assign(log_qpo=np.log10(with_qpo.qpo_freq))

# %%
fig, ax = plt.subplots(figsize=(8, 5))
looks = {"S02 BH": "o", "S13 BH": "s", "S52 BH": "D", "S19 NS": "^", "S49 NS": "v", "S54 NS": "P"}
colours = ("C0", "C1", "C2", "C3", "0.5", "C5")  # black is for all sources together
for (name, marker), colour in zip(looks.items(), colours, strict=True):
    own = with_qpo[with_qpo.source_id == name[:3]]
    look_of = {"marker": marker, "color": colour, "scatter_kws": {"s": 14, "alpha": 0.4}}
    sns.regplot(own, x="log_qpo", y="gamma", ci=None, label=name, ax=ax, **look_of)
dashed = {"color": "black", "line_kws": {"linestyle": "--"}}
sns.regplot(with_qpo, x="log_qpo", y="gamma", ci=None, scatter=False, label="all", ax=ax, **dashed)
ax.set(xlabel="log10 of the QPO frequency (Hz)", ylabel="photon index Γ", ylim=(1.3, 3.2))
ax.legend()
plotting.show(fig, "04_index_and_qpo", colours=64)


# %%
def relation(rows):
    """Spearman's ρ of Γ and QPO frequency, and the slope of Γ over a decade of frequency."""
    rho, line = spearman(rows.gamma, rows.qpo_freq), np.polyfit(rows.log_qpo, rows.gamma, 1)
    return pd.Series({"ρ": rho, "slope per decade": line[0]})


named = with_qpo.groupby(with_qpo.source_id + " " + with_qpo.object_label)
of_source = {f"{name} ({len(rows)})": rows for name, rows in named if len(rows) >= 20}
pools = {"all": with_qpo} | dict(list(with_qpo.groupby("object_label")))
within = pd.DataFrame({name: relation(rows) for name, rows in of_source.items()}).T
pooled = pd.DataFrame({name: relation(rows) for name, rows in pools.items()}).T
pd.concat({"within a source": within.agg(["min", "median", "max"]), "pooled": pooled}).round(2)

# %% tags=["slide"]
of_all = pd.concat([within.sort_values("ρ"), pooled])["ρ"]
ax = of_all.plot.barh(figsize=(8, 4.4), color=["0.75"] * len(within) + ["C0"] * len(pooled))
ax.set(xlim=(0, 1), xlabel="Spearman's ρ of Γ and QPO frequency (grey: within a source)")
plotting.mark_guess(ax, my_guess)
plotting.show(ax, "04_correlation_by_source", colours=64)

# %% [markdown]
# **The answer:** ρ is 0.47 for all sources together.
#
# Within most sources the relation is tight; in the pool it is much looser. At the same Γ neutron stars have faster QPOs. This is a mild form of **Simpson's paradox**.
#
# The pooled line hides three things: the *slope*, which is steeper in every source here; the *mass*, which is the offset between the lines; and *whose line it is*, because most pointings of black holes come from S02 and S13 (numbers in brackets).

# %% [markdown]
# ### How sure are we?
#
# A bootstrap of rows assumes independent rows. Ours are not: hundreds of pointings of S02 say nothing about the next source. So draw **sources**, with your function of lesson 02 (now in `helpers.resampling`).

# %%
generator = np.random.default_rng(44)
draws = {}
for pool, rows in pools.items():
    for number in range(100):
        of_rows = rows.sample(frac=1, replace=True, random_state=generator)
        draws[pool, "rows", number] = relation(of_rows)
        draws[pool, "sources", number] = relation(resample_sources(rows, generator))
bootstrap = pd.DataFrame(draws).T.rename_axis(["pool", "drawn", "number"])
spread = bootstrap.groupby(["pool", "drawn"]).std().unstack("drawn")
spread.round(3)

# %% [markdown]
# The errors from sources are two to five times those from rows. Errors from rows answer *how would it come out on other nights at these sources?* Errors from sources answer *how at other sources?* Science asks the second. (With seven black holes even this error is rough.) From here on an error in this course is one by source, unless we say otherwise.

# %% [markdown]
# ## Variability and disc  ·  for home
#
# What should it look like? The disc hardly varies, the corona does. A disc that gives a share $f$ of the photons dilutes the fractional rms $r_0$ of the corona to $r = r_0\,(1 - f)$: a straight line, and the hard state gives $r_0$.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.4), sharey=True)
style = {"hue": "state_label", "style": "state_label", "palette": ["C0", "C2", "C3", "C1"]}
style |= {"hue_order": states, "style_order": states, "markers": ["o", "^", "s", "D"], "s": 16}
for ax, (kind, rows) in zip(axes, train.groupby("object_label"), strict=True):
    sns.scatterplot(rows, x="disc_frac", y="rms_0p1_64", linewidth=0, ax=ax, **style)
    undiluted = rows.rms_0p1_64[rows.disc_frac < 0.05].median()
    ax.plot([0, 1], [undiluted, 0], "k-", label=f"{undiluted:.2f} × (1 − share)")
    ax.set(xlabel="disc share, 2–20 keV", ylabel="fractional rms, 0.1–64 Hz", title=kind)
    ax.legend()
plotting.show(fig, "04_dilution", colours=64)

# %% [markdown]
# Black holes follow the line. In HSS most stay a little above it: RXTE measures the rms above about 3 keV, where the soft disc dilutes less than at 2–20 keV. Neutron stars fall below it: *something else* that does not vary shares the light, and the fit does not know it. You have just seen the surface of a neutron star.
#
# ### Hysteresis, with a number
#
# Outbursts turn soft at high luminosity and hard again at a much lower one. `lum_edd_est` needs a distance from the literature, and it assumes 8 solar masses for all. Both cancel in a *ratio within one outburst*: the luminosity in intermediate states before the middle of the soft state, over that after it.

# %%
ratios = {}
for outburst, rows in train.groupby("outburst_id"):
    between = rows[rows.state_label.isin(["HIMS", "SIMS"])]
    if min((rows.state_label == state).sum() for state in ("LHS", "HIMS", "HSS")) >= 5:
        rising = between.mjd < rows.mjd[rows.state_label == "HSS"].median()
        ratio = between.lum_edd_est[rising].median() / between.lum_edd_est[~rising].median()
        ratios[f"{outburst}, {rows.source_id.mode()[0]} {rows.object_label.mode()[0]}"] = ratio
ratios = pd.Series(ratios).sort_values()
ratios.round(1).to_frame("luminosity on the way up / on the way down")

# %% [markdown]
# All outbursts that were seen in all states do it, with a large scatter. So luminosity alone cannot name the state.

# %% [markdown]
# ## Fake 1: the faint always seem to vary more
#
# Remember the rms of HSS that was too high. The measured variance is the true one plus noise of mean zero. Where the sum is negative it has no root, and the cell is empty. The fainter the source, the larger a value must be to exist at all. So even a *constant* true rms seems to rise towards faint sources.

# %% [markdown] tags=["slide"]
# ## Exercise 4.4 · Make the fake yourself  ·  core · 10 min · ●●○
#
# Simulate it. Every pointing has the same true rms. Its measured *variance* is the true one plus a normal error; what enters the table is the root, or NaN where there is none.


# %%
def observed_rms(true_rms, error, generator):
    """Measured rms (n,); `error`, a Series (n,), holds the standard deviations of the variances."""
    # solution: generator.normal(mean, error) draws the variances; np.where keeps those above zero
    variance = generator.normal(true_rms**2, error)
    return np.where(variance > 0, np.sqrt(np.abs(variance)), np.nan)
    # end solution


observed_rms = check.observed_rms(observed_rms)

# %% [markdown]
# The error of the variance comes from photon noise. With $S$ source and $B$ background counts per second its power is $2(S + B)/S^2$, over 64 Hz, averaged over $64\,\mathrm{Hz} \times T$ independent powers. We take the median of the *brightest* fifth as the constant, and predict the others.


# %%
def in_fifths(soft, generator):
    """Fifths of HSS by rate: what was measured, and what a constant rms would look like."""
    per_pcu = soft.rate / soft.n_det
    fifth = pd.qcut(per_pcu, 5, labels=False)
    noise = 2 / (1 - soft.bkg_frac) / soft.rate  # per Hz: 2 (S + B) / S²
    error = noise * np.sqrt(64 / soft.exposure)
    constant = soft.rms_0p1_64[fifth == 4].median()
    faked = {k: observed_rms(constant, error, generator) for k in range(50)}
    faked = pd.DataFrame(faked, index=soft.index).groupby(fifth)
    real = soft.groupby(fifth)
    return pd.DataFrame(
        {
            "rate per PCU (1/s)": per_pcu.groupby(fifth).median(),
            "measured": real.rms_0p1_64.median(),
            "constant": faked.median().mean(axis=1),
            "empty": 1 - real.rms_0p1_64.count() / real.size(),
            "constant, empty": 1 - faked.count().mean(axis=1) / real.size(),
            "kt_in (keV)": real.kt_in.median(),
        }
    )


# %%
generator_of_fakes = np.random.default_rng(45)
in_hss = train[train.state_label == "HSS"].groupby("object_label")
fifths = {kind: in_fifths(in_hss.get_group(kind), generator_of_fakes) for kind in ("NS", "BH")}
pd.concat(fifths, names=["HSS of", "fifth"]).round({"rate per PCU (1/s)": 0}).round(3)

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), sharex=True, sharey=True)
for ax, (kind, table) in zip(axes, fifths.items(), strict=True):
    table.plot("rate per PCU (1/s)", ["measured", "constant"], style=["o-", "s--"], ax=ax)
    ax.set(xscale="log", ylim=(0, 0.17), title=f"{kind} in HSS, medians of fifths")
    ax.set(ylabel="fractional rms, 0.1–64 Hz")
    ax.xaxis.set_major_formatter("{x:g}")
plotting.show(fig, "04_rms_and_rate", colours=64)

# %% [markdown]
# For **neutron stars** nearly the whole trend is fake: a constant and noise make the medians *and* most of the empty cells.
#
# For **black holes** the same recipe gives too little rms and, in faint fifths, too many empty cells. Here the trend is mostly *real*, and the table has the reason: in faint black holes (fifth 0) the disc is cooler, so it leaves RXTE's band and dilutes less. Looking does not tell the two causes apart; a simulated fake does.

# %% [markdown]
# ## Fakes 2 to 4: the observer, the detector, the literature
#
# **The observer.** A column of seconds seems harmless. How well does `exposure` alone find the intermediate states?


# %%
def with_error(measure, table, *others):
    """A measure of a table, and its error from 100 draws of whole sources, as text."""
    sources = np.random.default_rng(46)
    skies = [resample_sources(table, sources) for _ in range(100)]
    found = [measure(sky, *others) for sky in skies if sky.object_label.nunique() == 2]
    return f"{measure(table, *others):.2f} ± {np.std(found):.2f}"


def exposure_knows(table):
    """Separation of the intermediate from the other states by the exposure."""
    between = table.state_label.isin(["HIMS", "SIMS"])
    return separation(table.exposure[~between], table.exposure[between])


print("exposure, intermediate against other states:", with_error(exposure_knows, train))

# %% [markdown]
# A clock sorts three of four pairs. Somebody *saw* a transition begin and asked for more time: the state made the exposure. For tonight's pointing, planned before anyone knew, it knows nothing. **You decide that it must go.** No score will tell you, because it improves every score that you have.
#
# **The literature.** `lum_edd_est` separated hard-state black holes from neutron stars well. It assumes 8 solar masses for all. Use 1.4 for neutron stars, which needs the label, and see what remains.


# %%
def luminosity_knows(table, mass_of_stars):
    """How often a black hole has the larger luminosity in units of Eddington's."""
    star = table.object_label == "NS"
    luminosity = table.lum_edd_est.where(~star, table.lum_edd_est * 8 / mass_of_stars)
    return separation(luminosity[star], luminosity[~star])


above = {mass: with_error(luminosity_knows, of_state["LHS"], mass) for mass in (8.0, 1.4)}
above = pd.Series(above, name="BH above NS in lum_edd_est, LHS")
above.rename_axis("solar masses for NS").to_frame()

# %% [markdown]
# With fair masses that order is gone (0.5 would be none at all). The column measured erg/s and no Eddington ratio, and neutron stars are lighter. This is real physics, but it needs a *distance*: for a source found last night the cell is empty.

# %% [markdown]
# ### The detector  ·  for home
#
# The gain of RXTE drifts by up to 2 % between resets at MJD 50100, 51259 and 51677. What should that do? Fold a hard-state power law through channels whose energies are wrong by 2 %, and compare the soft colour (6–10 keV over 3–6 keV). Then look for it in LHS.

# %%
response = data.load_response("rxte_pca")
flux = power_law(response.energy_lo, response.energy_hi, 1.8, norm=1.0)
counts_below = np.append(0, np.cumsum(response.fold(flux).numpy()))
energies = np.append(response.channel_lo, response.channel_hi[-1])  # keV
gain = np.array([1.0, 1.02])  # a photon of energy E is filed under E / gain
low, middle, high = (np.interp(edge * gain, energies, counts_below) for edge in (3, 6, 10))
soft_colour = (high - middle) / (middle - low)
expected = 100 * (soft_colour[1] / soft_colour[0] - 1)  # per cent


# %%
def drift(table):
    """Change of the soft colour from one reset of the gain to the next, in per cent."""
    return np.polyfit(table.since, table.change, 1)[0]


colour = train[(train.state_label == "LHS") & (train.label_trust == "A")]
usual = colour.groupby("source_id").hr_soft.transform("median")
since = np.interp(colour.mjd, [50100, 51259, 51677, train.mjd.max() + 1], range(4)) % 1
colour = colour.assign(change=100 * (colour.hr_soft / usual - 1), since=since)
found = {"expected": expected.round(2), "found": with_error(drift, colour)}
found["scatter of the pointings"] = colour.change.std().round(2)
pd.Series(found, name="soft colour in LHS, from reset to reset (%)").to_frame()

# %% [markdown]
# The drift is there (the archive was made with it), and *you cannot see it*: within one state a source varies by more. "I found nothing" is only as good as the error beside it.

# %% [markdown]
# ## Power spectra, state by state
#
# The last figure shows what rms, hue, break and QPO were taken from: mean power spectra of bright pointings of the *training* set, photon noise subtracted, times frequency, so that equal areas are equal variances.

# %%
curves = data.load_segments()
ours = np.isin(curves.source_id, train.source_id.unique()) & (curves.noise < 0.02)
power = curves.frequency * (curves.power - curves.noise[:, None])
kinds = [curves.object_label[ours], curves.state_label[ours]]
spectra = pd.DataFrame(power[ours], kinds, curves.frequency).groupby(level=[0, 1]).mean().T
smooth = spectra.rolling(3, center=True).mean().where(lambda power: power > 0)  # three bins

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(10, 4.8), sharey=True)
for ax, kind in zip(axes, ("BH", "NS"), strict=True):
    smooth[kind][states].plot(ax=ax, style=["C0-", "C2--", "C3-.", "C1:"], title=kind)
    ax.set(xlabel="frequency (Hz)", ylabel="frequency × power ((rms/mean)²)")
    ax.set(xscale="log", yscale="log", xlim=(0.01, 100), ylim=(1e-5, 0.1))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.set_yticks([0.1, 1e-2, 1e-3, 1e-4], ["0.1", "0.01", "0.001", "0.0001"])
axes[1].plot(5 * smooth.index, smooth["BH"]["LHS"], "k", alpha=0.4, label="BH in LHS, 5 × faster")
axes[1].legend(handles=axes[1].lines[-1:], loc="upper left")
plotting.show(fig, "04_mean_power_spectra", colours=64)

# %%
medians = of_state["LHS"].groupby("object_label")[["nu_break", "qpo_freq"]].median().T
medians.assign(ratio=medians.NS / medians.BH).round(2)  # Hz

# %% [markdown]
# This figure holds most of the lesson: the squared rms is the area under a curve, the hue is its shape, the break is its left shoulder. From LHS to HIMS the *slow* power goes first. And a hard-state neutron star is nearly a hard-state black hole played four to five times faster. That number is roughly a ratio of masses.

# %% [markdown]
# ## Exercise 4.5 · Your list  ·  core · 10 min · ●●○
#
# Time to decide. Each entry is a column and what somebody wants to use it for. Your verdicts:
#
# - `"use"`
# - `"knows the label"`: it was written with the label or because of it
# - `"knows the source"`: it tells which source, when or how near; useless for the next one
# - `"assumes the answer"`: somebody has put in what we want to learn
# - `"a twin"`: it adds nothing to what is used already

# %%
# solution: for each, imagine a source found last night: who fills in this cell, and knowing what?
verdicts = {
    "rms_0p1_64, for the state": "use",
    "nu_break, for the object": "use",
    "disc_frac, for the object in soft states": "use",
    "exposure, for the state": "knows the label",
    "label_trust, for the state": "knows the label",
    "mjd, for the object": "knows the source",
    "rate, for the object": "knows the source",
    "outburst_id, for the object": "knows the source",
    "lum_edd_est, for the object": "assumes the answer",
    "hr_3_10 beside hr_soft, for the state": "a twin",
}
# end solution

verdicts = check.verdicts(verdicts)

# %% [markdown]
# Our lists:
#
# | for the state | for the object | forbidden, and why |
# |---|---|---|
# | colours, rms by band, Γ, disc share, hue, break and QPO, and *whether* there is a break or QPO | the same, because the combination tells: frequencies in hard states, soft colour and disc share in soft ones; lags and coherence, perhaps | `exposure`, `label_trust` (after the state); `mjd`, names, `rate`, fluxes (which source, how near); `lum_edd_est` (mass, distance); twins (`hr_3_10`, `rms_3_10`, most light-curve features) |
#
# **Discuss with your neighbour** (4 min): an *empty* cell of `hue` knows how faint a source is. Would you let a model see it? Lesson 05 has to decide.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Three questions for every relation: what should it look like, what does it look like, what would fake it? A fake can be simulated.
# - Published ranges belong to a population.
# - Separation and rank correlation use only the order of values. Twins have $\rho$ near 1.
# - A pooled relation is not that of any source. Errors come from resampling *sources*, and are several times those from rows.
# - No score forbids a feature. You do, with a reason that can be written down.

# %% [markdown]
# **Further reading.** J. Buchner & S. Fotopoulou ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222); good habits, start to end) · D. Baron, *Machine learning in astronomy* ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248); distances, groups, unsupervised views) · scikit-learn user guide, [*Common pitfalls*](https://scikit-learn.org/stable/common_pitfalls.html) (leakage in one page).
