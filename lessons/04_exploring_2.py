# %% [markdown]
# # 4 · Exploring the data, part II
#
# | **The question** | Which features know the state, which know the object, and which only seem to? |
# |---|---|
# | **Afterwards you can** | say what a relation should look like before you look, and what would fake it; measure separation and correlation by ranks, with errors from whole sources; forbid a feature and give the reason |
# | **Time** | 40 min of reading or teaching, 48 min of exercises |
# | **Data** | the training set of the simulated RXTE archive, 24 sources, and its light curves, see `data/README.md` |
# | **Run time** | below 40 s on two cores |

# %%
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course.checks import lesson_04 as check
from helpers import data, features, plotting
from helpers.resampling import resample_sources
from helpers.spectra import power_law

plotting.use_course_style()

# %% [markdown]
# ## Only the training set
#
# In part I we looked at the *quality* of all rows. Now we look for *relations*, and that is another matter: what you see, you will use. A relation seen in the validation rows has already been fitted to them, by you. So we open both sets, and close one.

# %%
train, validation = data.load_split()
n_sources = validation.source_id.nunique()
print(f"validation: {len(validation)} pointings of {n_sources} sources, closed")
del validation  # so that no cell below can look, not even by accident

for kind, rows in train.groupby("object_label"):
    sizes = rows.source_id.value_counts()
    largest, share = " and ".join(sizes.index[:2]), sizes.iloc[:2].sum() / len(rows)
    print(f"{kind}: {len(rows)} pointings, {len(sizes)} sources; {largest} hold {share:.0%}")
pd.crosstab(train.object_label, train.state_label)[list(features.HUES)]

# %% [markdown]
# Keep that in mind: the black holes of this lesson are two black holes and a few others.
#
# Every relation below is looked at with three questions, in this order: **what should it look like, what does it look like, and what would fake it?**

# %% [markdown] tags=["slide"]
# ## Exercise 4.1 · What should it look like?  ·  core · 8 min · ●○○
#
# Physics first. Each sentence describes one of these columns, each column once: `rms_0p1_64`, `gamma`, `kt_in`, `nu_break`, `qpo_freq`, `hue`, `lag_1_10`, `hr_soft`. (`train.attrs["meaning"]["gamma"]` tells what a column is.)

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
# Here is the whole list of expectations, with the last question beside each. Return to it whenever a figure surprises you.
#
# | feature | LHS → HSS | because | black hole or neutron star? | what would fake it |
# |---|---|---|---|---|
# | colours `hr_*` | fall | the disc is soft | a neutron star's surface keeps soft states harder | another telescope, gain, absorption |
# | Γ `gamma` | grows | cooler corona | alike in hard states | a fit with the wrong model |
# | kT_in `kt_in` | appears, grows | the disc moves in | in NS the fit may mean the boundary layer | a fit that needs *some* soft excess |
# | disc share `disc_frac` | grows | the disc takes over | as above | as above |
# | rms, four bands | falls; slow bands first | diluted by steady disc light | NS: more at high, less at low frequency | photon noise, bursts, slews |
# | hue | 0 → 340° | shape of the power spectrum | shifted where frequencies are | faintness, which decides who has one |
# | break and QPO frequency | grow | the inner edge moves in | four to seven times higher in NS: 1/M | a harmonic taken for the fundamental |
# | lags | small, hard behind soft | light and accretion take time | the larger body is slower | dead time and noise; scatter where faint |
# | coherence | high, then low | one varying component, or several | alike | photon noise |

# %% [markdown]
# ## What does it look like?
#
# In each row black holes stand above the line, filled, and neutron stars hang below it, hatched. The grey boxes are the published ranges of black-hole states (`data/README.md` names the papers). Hue is an angle, so we cut the circle where no state lives, at 340° = −20°.

# %%
states = list(features.HUES)  # LHS, HIMS, SIMS, HSS
published = {
    "rms_0p1_64": [(0.25, 0.45), (0.10, 0.25), (0.04, 0.10), (0.005, 0.05)],
    "gamma": [(1.4, 2.1), (1.9, 2.5), (2.3, 2.7), (2.1, 3.5)],
    "disc_frac": [(0, 0.2), (0.1, 0.6), (0.4, 0.8), (0.75, 0.99)],
    "hue": list(features.HUES.values()),
}
published = {name: dict(zip(states, ranges, strict=True)) for name, ranges in published.items()}
train["hue"] = (train.hue + 20) % 360 - 20  # degrees, from -20 to 340

# %%
fig, axes = plt.subplots(3, 2, figsize=(8.4, 8.2))
columns = ("rms_0p1_64", "hue", "hr_soft", "hr_hard", "gamma", "disc_frac")
for ax, column in zip(axes.flat, columns, strict=True):
    decades = column.startswith(("rms", "hr"))
    plotting.distributions(ax, train, column, ranges=published.get(column), logarithmic=decades)
plotting.show(fig, "04_distributions", colours=64)

# %%
black = train[train.object_label == "BH"]
neutron = train[train.object_label == "NS"]
inside = {
    (kind, column): {
        state: rows.loc[rows.state_label == state, column].dropna().between(*limits).mean()
        for state, limits in ranges.items()
    }
    for column, ranges in published.items()
    for kind, rows in (("BH", black), ("NS", neutron))
}
print("share of the pointings inside the published range")
print(pd.DataFrame(inside).T.map("{:.0%}".format).to_string())

# %% [markdown]
# Read it column by column.
#
# - **LHS** is where it should be, and for black holes so is the hue of all states. But count the small numbers on the right: in HSS hardly any pointing *has* a hue.
# - **In between**, fewer than half of the pointings are inside for rms and Γ (but for Γ of black holes in SIMS). The boxes touch, the track is continuous, and two readers would cut it in two places. (Some labels are wrong, too.)
# - **rms of HSS** should be below 5 %, and in most pointings of black holes it is not. Noise? Hold your guess until *Fake 1*.
# - **Neutron stars** have hard states like black holes, and soft states far from the grey box: a disc share around 0.4 where at least 0.75 is printed. Are they less soft? No: the fit knows a disc and a power law, the star has a surface that also glows, and the fit does what it can with what it has.
#
# The published ranges are those of black holes. A threshold from a paper has a population behind it, like any other model.

# %% [markdown]
# ## How well does it separate?
#
# Eyes judge one histogram at a time; we have dozens. So, a number. Draw one pointing at random from each of two groups: how often does the second have the larger value? If always, 1; if never, 0; if the feature knows nothing, 1/2. It is the Mann–Whitney statistic $U$ over the number of pairs; lesson 06 meets it again under the name of AUC. Only the *order* of values counts: no logarithm can change it.

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
columns = list(itertools.chain(*groups.values()))
rows = {state: train[train.state_label == state] for state in states}
pairs = {f"{a} → {b}": (rows[a], rows[b]) for a, b in itertools.pairwise(rows)}
for state, here in rows.items():
    pairs[f"BH → NS, {state}"] = tuple(here[here.object_label == kind] for kind in ("BH", "NS"))
separations = pd.DataFrame(index=columns, columns=list(pairs), dtype=float)
for (name, (first, second)), column in itertools.product(pairs.items(), columns):
    if min(first[column].count(), second[column].count()) >= 20:
        separations.loc[column, name] = separation(first[column], second[column])

# %%
fig, ax = plt.subplots(figsize=(6.6, 7.4))
plotting.heat_map(ax, separations, groups, limits=(0, 1), fontsize=9)
ax.axvline(3, color="black", linewidth=2)
ax.set_title("how often the second is larger (blank: fewer than 20 values)")
plotting.show(fig, "04_separations", colours=64)

# %% [markdown]
# A map of the whole problem, from counting pairs:
#
# - **State.** From LHS to SIMS colours, rms, Γ and disc share all help. From SIMS to HSS little does but hue and coherence, which few of these pointings have. That corner will cost us accuracy in every lesson from now on.
# - **Object.** In hard states it is the frequencies, in soft states soft colour and disc share, and each tells less, or is not there, where the other works. The slowest rms knows the object in every state, but on another level in each. One threshold for all states would be poor: features *interact*.
# - **Lags** were expected to know the larger body. Here they stay close to 0.5, far behind the frequencies. An expectation that fails is a result.
# - **The last three rows** know a lot, too. They are not about the source. Hold that thought.
#
# How sure is each number? With seven black holes, less than two digits suggest: another set of sources would move much of the right half by about 0.1, and only its strongest entries stand still. Further down we draw others.

# %% [markdown] tags=["slide"]
# ## Why validation stays closed: a demonstration
#
# Say we had no physics and took what looks best. Cut the *training* sources at random into halves. In one half, find which of all measured columns separates BH from NS best, over all states. Then try this column on the other half. Twenty times.
#
# **Predict:** if it separates more than 0.8 of the pairs where it was chosen, how many elsewhere?

# %%
my_guess_elsewhere = ...  # a share of pairs, 0.5 to 1

# %%
many = train.notna().mean() > 0.5  # columns that most pointings have
measured = train.loc[:, many].select_dtypes(float).columns.drop("mjd")
is_black = train.object_label == "BH"
names = [train.source_id[is_black].unique(), train.source_id[~is_black].unique()]


def look(inside):
    """Separation of BH from NS in some of the rows, for every measured column."""
    parts = train[inside & is_black], train[inside & ~is_black]
    return pd.Series({column: separation(*(part[column] for part in parts)) for column in measured})


def chosen_and_tried(seed):
    """The best-looking column of one half, and its separation there and in the other half."""
    generator = np.random.default_rng(seed)
    half = [name for kind in names for name in generator.permutation(kind)[: len(kind) // 2]]
    inside = train.source_id.isin(half)
    here, there = look(inside) - 0.5, look(~inside) - 0.5
    best = here.abs().idxmax()
    return best, 0.5 + abs(here[best]), 0.5 + np.sign(here[best]) * there[best]


# %%
trials = pd.DataFrame(map(chosen_and_tried, range(20)), columns=["best", "chosen", "tried"])
trials = trials.sort_values("tried", ignore_index=True)
print(f"best of {len(measured)} columns, mean of 20 cuts (standard deviation)")
for name in ("chosen", "tried"):
    print(f"  where it was {name:6s}: {trials[name].mean():.2f} ({trials[name].std():.2f})")

# %% tags=["slide"]
fig, ax = plt.subplots(figsize=(7.2, 3.4))
ax.vlines(trials.index, trials.tried, trials.chosen, color="0.7", linewidth=1)
ax.plot(trials.index, trials.chosen, "o", color="C0", label="where it was chosen")
ax.plot(trials.index, trials.tried, "^", color="C1", label="on the other sources")
ax.axhline(0.5, color="0.3", linewidth=1, linestyle=":", label="knows nothing")
ax.set_xticks(trials.index, trials.best, rotation=90, fontsize=8)
ax.set(ylabel="share of pairs separated", ylim=(0.3, 1))
ax.set(xlabel="best-looking column in each of 20 cuts")
ax.legend(loc="lower right")
plotting.mark_guess(ax, my_guess_elsewhere, axis="y")
plotting.show(fig, "04_chosen_columns", colours=64)

# %% [markdown]
# **Your prediction:** 0.72 elsewhere, with a standard deviation of 0.08 from cut to cut.
#
# The best of many is best partly by luck, and three black holes are not many draws of luck. Nothing here was a mistake: the winner is *selected* for looking good on these rows. Had we looked at all rows of the archive, no rows would be left on which the truth could come out. Hence one set stays closed.
#
# It also tells how to choose: by physics, and by what holds for source after source.

# %% [markdown]
# ## Correlations
#
# Two features that say the same are one feature. The usual measure, Pearson's $r$, asks how well a *straight line* describes the points. Our features spread over decades, follow curves, and have outliers. Spearman's $\rho$ is Pearson's $r$ of the **ranks**: smallest value 1, next 2, and so on. It asks whether one grows whenever the other does.

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
shown = (
    ("qpo_freq", "pc2"),
    ("skew", "stetson_k"),
    ("percent_difference_flux_percentile", "percent_amplitude"),
)
calm = train[train["skew"].abs() < 3]  # the others are X-ray bursts, as lesson 02 found
print(
    f"Pearson, and without the {(train['skew'].abs() >= 3).sum()} pointings with bursts; Spearman"
)
fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.4))
for ax, (x, y) in zip(axes, shown, strict=True):
    r, rho = train[x].corr(train[y]), spearman(train[x], train[y])
    print(f"  {r:+.2f} {calm[x].corr(calm[y]):+.2f} {rho:+.2f}   {x}, {y}")
    ax.plot(train[x], train[y], "o", color="0.25", markersize=2.5, alpha=0.4, markeredgewidth=0)
    ax.set_xlabel(f"{x} (Hz)" if x == "qpo_freq" else x, fontsize=8.5)
    ax.set(ylabel=y, title=f"Pearson {r:+.2f}, Spearman {rho:+.2f}")
plotting.show(fig, "04_three_pairs", colours=64)

# %% [markdown]
# - **A curve** (left): a tight relation over two decades, and $r$ is weak, because the relation is not straight. The logarithm would cure it, if you think of it; ranks need not think.
# - **Outliers that make a correlation** (middle): nearly all of $r$ comes from a few pointings with X-ray bursts. Without them the two know little of each other.
# - **Outliers that hide one** (right): two names for the same thing, and $r$ is halved by the same bursts.
#
# Ranks are no truth either: $\rho$ is blind to *how much*, and to every relation that goes up and down again.
#
# Now all of them at once: Spearman below the diagonal, Pearson above, in groups of what is made from what.

# %%
groups = {
    "colours": ["hr_soft", "hr_3_10", "hr_hard"],
    "rms": [*groups["rms"], "rms_3_10"],
    "fit": ["gamma", "kt_in", "disc_frac"],
    "power": ["nu_break", "qpo_freq", "hue"],
    "lags": ["lag_1_10", "coherence"],
    "light curve": ["std", "amplitude", "percent_amplitude"],
    "telescope": ["rate", "lum_edd_est", "exposure"],
}
table = train[list(itertools.chain(*groups.values()))]

# %%
by_rank, by_value = table.corr("spearman"), table.corr()
both = by_rank.where(np.tri(len(by_rank), dtype=bool), by_value)

fig, ax = plt.subplots(figsize=(8.8, 8.4))
plotting.heat_map(ax, both, groups, fontsize=7.5)
ax.set_title("below the diagonal: Spearman · above: Pearson")
plotting.show(fig, "04_correlations", colours=64)

# %%
below = by_rank.where(np.tri(len(by_rank), k=-1, dtype=bool)).stack()
print(below[below.abs() > 0.95].sort_values(key=abs, ascending=False).round(3).to_string())

# %% [markdown]
# Three kinds of strong correlation, and they mean different things:
#
# - **Twins.** For RXTE, `hr_soft` and `hr_3_10` are the same column under two names ($\rho = 1$). `rms_3_10` is `rms_0p1_64` in a narrower band; `std` and `amplitude` are one measurement. Keep one of each.
# - **Relatives.** The rms bands rise and fall together, since a state moves them all. Their *differences* carry the news, and power colours are made of exactly these.
# - **Physics**: Γ and hard colour, break and QPO frequency. They stay.
#
# What do twins do to a linear model? Explain Γ by the two rms, five times, with pointings drawn anew each time:

# %%
twins = ["rms_0p1_64", "rms_3_10"]
complete = train.dropna(subset=["gamma", *twins])
print("effect on gamma per standard deviation of each, and their sum")
for seed in range(5):
    drawn = complete.sample(300, random_state=seed)
    scaled = (drawn[twins] - drawn[twins].mean()) / drawn[twins].std()
    (first, second), *_ = np.linalg.lstsq(scaled, drawn.gamma - drawn.gamma.mean())
    print(f"  rms_0p1_64 {first:+.2f}   rms_3_10 {second:+.2f}   {first + second:+.2f}")

# %% [markdown]
# The sum is well measured, and how it is shared is a matter of luck. The *prediction* does not mind. Whoever reads coefficients does: "the model found rms_3_10 unimportant" is a sentence about twins. Lesson 07 tames this with a penalty, lesson 11 by judging whole groups.

# %% [markdown]
# ## Pairs, by state and by object
#
# A coefficient is one number for a picture. Here is the picture: states below the diagonal, objects above it.

# %%
columns = ["rms_0p1_64", "hr_soft", "gamma", "disc_frac"]
grid = plotting.pair_plot(train, columns, logarithmic=["rms_0p1_64", "hr_soft"])
plotting.show(grid, "04_pairs", colours=160)

# %% [markdown]
# Look at Γ against soft colour. All *hard* spectra lie on one thin curve, whatever the object: a power law has only one parameter. At the soft end black holes fall off it downwards, at constant Γ, as the disc takes over; neutron stars sideways. A straight line separates the states in many of these panels and the objects in none. Lesson 07 tries straight lines, lesson 09 something else.
#
# **Discuss with your neighbour** (4 min; alone, write two sentences): in the panel of disc share and soft colour, neutron stars run *upwards* where black holes run downwards. What does the fit call a disc there?

# %% [markdown] tags=["slide"]
# ## The wheel, twice
#
# The power-colour hue was calibrated on black holes (Heil, Uttley & Klein-Wolt 2015). A neutron star is lighter, everything around it runs four to seven times faster, and the four fixed bands of frequency catch other parts of the same power spectrum.
#
# **Predict:** in which direction do neutron stars in their hard state move on the wheel, and into which sector?

# %%
my_guess_sector = ...  # "clockwise" or "counter-clockwise", and a state

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(9.6, 5.6))
for ax, (kind, rows) in zip(
    axes, (("black holes", black), ("neutron stars", neutron)), strict=True
):
    plotting.power_colour_wheel(ax, rows[rows.hue.notna()], features.HUES, features.HUE_CENTRE)
    ax.set_title(f"{kind}: {rows.hue.notna().sum()} of {len(rows)} pointings have a hue")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=3, fontsize=9)
plotting.show(fig, "04_wheels", colours=64)

# %%
edges, sectors = [-20, 140, 220, 300, 340], list(features.HUES)
seen = train.dropna(subset="hue")
sector = pd.cut(seen.hue, edges, labels=sectors).rename("sector of the hue")
shares = pd.crosstab([seen.object_label, seen.state_label], sector, normalize="index")
print(shares.map("{:.0%}".format).to_string())

# %% [markdown]
# **Your prediction:** clockwise, into the sector of HIMS.
#
# Hard-state neutron stars sit clockwise of the black holes, and about half of them in the published sector of HIMS. Nobody measured wrongly, and no label is wrong: the calibration belongs to another population. Two ways out: give the model the object's frequencies as well, or draw your own sectors. A third is to notice that *hue in LHS tells the mass*.

# %% [markdown] tags=["slide"]
# ## Γ against QPO frequency
#
# The best-known relation in the field: as the inner edge of whatever oscillates moves in, the QPO gets faster and the spectrum steeper. Each source has its own curve, shifted by its mass.
#
# ### Predict first
#
# Within a single source, Spearman's ρ of Γ and QPO frequency has a median somewhat above 0.8. What is it if all sources are thrown together? (The number stands in the matrix above. Do not look.)

# %%
my_guess = ...  # between -1 and 1

# %%
with_qpo = train.dropna(subset=["gamma", "qpo_freq"])
with_qpo = with_qpo[["source_id", "object_label", "gamma", "qpo_freq"]]


def line(rows):
    """Slope [per decade] and offset of photon index over log10 of the QPO frequency [Hz]."""
    return np.polyfit(np.log10(rows.qpo_freq), rows.gamma, 1)


# %%
fig, ax = plt.subplots(figsize=(7.6, 4.8))
ax.plot(with_qpo.qpo_freq, with_qpo.gamma, ".", color="0.85", markersize=3)
looks = {"S02": "C4o", "S13": "C0s", "S52": "C2D", "S19": "C1^", "S49": "C3v", "S54": "C5P"}
for name, look in looks.items():
    own = with_qpo[with_qpo.source_id == name]
    kind = own.object_label.iloc[0]
    style = {"markerfacecolor": look[:2] if kind == "BH" else "none", "markersize": 3.5}
    ax.plot(own.qpo_freq, own.gamma, look, alpha=0.5, **style, label=f"{name} {kind}")
    ends = own.qpo_freq.quantile([0.02, 0.98])
    ax.plot(ends, np.polyval(line(own), np.log10(ends)), color=look[:2], linewidth=2.2)
ends = with_qpo.qpo_freq.quantile([0.01, 0.99])
ax.plot(ends, np.polyval(line(with_qpo), np.log10(ends)), "k--", linewidth=2, label="all")
ax.set(xscale="log", ylim=(1.3, 3.2), xlim=(0.1, 50))
ax.set(xlabel="QPO frequency (Hz)", ylabel="photon index Γ")
ax.xaxis.set_major_formatter("{x:g}")
ax.legend(fontsize=9, loc="upper left", markerscale=1.4)
plotting.show(fig, "04_index_and_qpo", colours=64)

# %%
of_source = {name: rows for name, rows in with_qpo.groupby("source_id") if len(rows) >= 20}
within = pd.Series({name: spearman(rows.gamma, rows.qpo_freq) for name, rows in of_source.items()})
within = within.sort_values()
pools = {"all": with_qpo, "NS": with_qpo[with_qpo.object_label == "NS"]}
pools["BH"] = with_qpo[with_qpo.object_label == "BH"]
pooled = pd.Series({kind: spearman(rows.gamma, rows.qpo_freq) for kind, rows in pools.items()})
slopes = np.array([line(rows)[0] for rows in of_source.values()])
print(
    f"within a source: median ρ {within.median():.2f}, from {within.min():.2f} to {within.max():.2f}"
)
print("pooled:", *(f"{kind} {rho:.2f}" for kind, rho in pooled.items()))
print(f"slope, all together: {line(with_qpo)[0]:.2f} per decade; within a source: median")
print(f"{np.median(slopes):.2f}, {np.sum(slopes > line(with_qpo)[0])} of {len(slopes)} steeper")

# %% tags=["slide"]
fig, ax = plt.subplots(figsize=(7.2, 3.8))
both = pd.concat([within, pooled])
parts = of_source | pools
ax.hlines(range(len(both)), 0, both, color="0.88", linewidth=1)
ax.plot(within, range(len(within)), "o", color="C0", label="within a source")
ax.plot(pooled, range(len(within), len(both)), "D", color="C1", label="pooled")
names = [f"{n} {parts[n].object_label.iloc[0]}" if n in of_source else n for n in both.index]
names = [f"{name} ({len(parts[n])})" for name, n in zip(names, both.index, strict=True)]
ax.set_yticks(range(len(both)), names, fontsize=9)
ax.set(xlim=(0, 1), xlabel="Spearman's ρ of Γ and QPO frequency")
ax.legend(loc="lower left", fontsize=9, frameon=True, framealpha=1)
plotting.mark_guess(ax, my_guess)
plotting.show(fig, "04_correlation_by_source", colours=64)

# %% [markdown]
# **Your prediction:** ρ is 0.47 for all sources together.
#
# Within its sources the relation is tight; thrown together it is half gone. Nothing weakened it: the neutron stars sit to the right at the same Γ, and a pooled number compares one source's slow days with another's fast ones. This is a mild form of **Simpson's paradox**: in a strong one the sign turns.
#
# What does the pooled line hide? The *slope*, which is flatter than that of any source here; the *mass*, which is the offset between the lines; and *whose line it is*. For black holes alone the pool seems to lose little, but look at the sizes: that pool is S02 and S13, with a few guests.

# %% [markdown]
# ### How sure are we?
#
# The usual bootstrap draws rows with replacement, measures, repeats, and takes the spread for the error. It assumes that rows are independent. Ours are not: hundreds of pointings of S02 tell us very much about S02 and nothing about the next source. To learn how another *sample of sources* would have come out, draw **sources**, with the function that you wrote in lesson 02 (from now on in `helpers.resampling`).

# %%
generator = np.random.default_rng(44)
bootstrap = []
for kind, rows in pools.items():
    for _ in range(200):
        draws = {
            "rows": rows.sample(frac=1, replace=True, random_state=generator),
            "sources": resample_sources(rows, generator),
        }
        for how, drawn in draws.items():
            rho = drawn.gamma.corr(drawn.qpo_freq, method="spearman")
            bootstrap.append((kind, how, rho, line(drawn)[0]))
bootstrap = pd.DataFrame(bootstrap, columns=["pool", "drawn", "ρ", "slope"])
spread = bootstrap.groupby(["pool", "drawn"]).std().unstack()

print("pool     ρ   ± rows  ± sources    slope   ± rows  ± sources")
for kind, rows in pools.items():
    values = {"ρ": spearman(rows.gamma, rows.qpo_freq), "slope": line(rows)[0]}
    for name, value in values.items():
        rough, fair = spread.loc[kind, name][["rows", "sources"]]
        print(f"{kind if name == 'ρ' else '':4s} {value:6.2f} {rough:8.3f} {fair:8.3f}", end="  ")
    print()

# %%
fig, ax = plt.subplots(figsize=(7.2, 2.8))
of_all = bootstrap[bootstrap.pool == "all"].groupby("drawn")["ρ"]
bins = np.arange(0.1, 0.9, 0.02)
for (how, values), style, colour in zip(of_all, ("-", "--"), ("C0", "C1"), strict=True):
    look = {"histtype": "step", "linestyle": style, "color": colour, "linewidth": 1.6}
    ax.hist(values, bins, label=f"{how} drawn", **look)
ax.axvline(within.median(), color="0.3", linestyle=":", label="median within a source")
ax.set(xlabel="pooled ρ of Γ and QPO frequency, all sources", ylabel="draws of 200")
ax.legend(loc="upper left")
plotting.show(fig, "04_resampled_correlation", colours=64)

# %% [markdown]
# The same number, with errors that differ by a factor of two to five. Both are right answers, to two questions: *how would it come out on other nights at these sources?* and *how at other sources?* Science asks the second, and so does a classifier for sources it never saw. (With seven black holes even the wider error is a rough one.) From here on an error in this course is one by source, unless we say otherwise (as for the power spectra at the end, whose bars are those of pointings).

# %% [markdown]
# ## Variability and disc
#
# What should it look like? The disc hardly varies, the corona does. If the disc gives a share $f$ of the photons, it dilutes the corona's fractional rms $r_0$ to $r = r_0\,(1 - f)$: a straight line with no free parameter once $r_0$ is known from the hard state.

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), sharey=True)
for ax, (kind, rows) in zip(axes, (("BH", black), ("NS", neutron)), strict=True):
    known = rows.dropna(subset=["rms_0p1_64", "disc_frac"])
    for state, marker, colour in zip(features.HUES, "o^sD", ("C0", "C2", "C3", "C1"), strict=True):
        own = known[known.state_label == state]
        style = {"color": colour, "markersize": 3, "markerfacecolor": "none", "alpha": 0.5}
        ax.plot(own.disc_frac, own.rms_0p1_64, marker, **style, label=state)
    share = np.linspace(0, 1, 50)
    undiluted = known.rms_0p1_64[known.disc_frac < 0.05].median()
    ax.plot(share, undiluted * (1 - share), "k-", label=f"{undiluted:.2f} × (1 − share)")
    ax.set(xlabel="disc share, 2–20 keV, as fitted", ylim=(0, 0.6))
    ax.set_title(f"{kind}: Spearman {spearman(known.rms_0p1_64, known.disc_frac):+.2f}")
axes[0].set(ylabel="fractional rms, 0.1–64 Hz")
axes[0].legend(markerscale=1.5)
axes[1].legend(handles=axes[1].lines[-1:])
plotting.show(fig, "04_dilution", colours=64)

# %% [markdown]
# Black holes do what dilution says, and stay a little above the line: the disc is softer than the band in which RXTE measures the rms (from about 3 keV up), so it dilutes there less than at 2–20 keV. Neutron stars fall off the line: *something else* that does not vary shares the light, and the fit does not know it. You have just seen the surface of a neutron star, in a plot of two columns that say nothing about neutron stars.

# %% [markdown]
# ### Hysteresis, with a number
#
# Outbursts turn soft at high luminosity and hard again at a much lower one. `lum_edd_est` uses a distance from the literature and a mass of 8 solar masses for everything. A *ratio within one outburst* forgives both. (Lesson 02 compared the two ends of R008's soft state, in counts; here we compare the transitions themselves, in luminosity.)

# %%
ratios = {}
for name, rows in train.groupby("outburst_id"):
    between = rows[rows.state_label.isin(["HIMS", "SIMS"])]
    if min((rows.state_label == state).sum() for state in ("LHS", "HIMS", "HSS")) >= 5:
        rising = between.mjd < rows.mjd[rows.state_label == "HSS"].median()
        ratio = between.lum_edd_est[rising].median() / between.lum_edd_est[~rising].median()
        ratios[f"{name} {rows.source_id.mode()[0]} {rows.object_label.mode()[0]}"] = ratio
ratios = pd.Series(ratios)
print(f"{len(ratios)} outbursts seen in all states: transition up over transition down")
print(f"smallest {ratios.min():.1f}, median {ratios.median():.1f}, largest {ratios.max():.0f}")

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.4))
places = {"R008 S02 BH": (0.22, 0.4), "R096 S49 NS": "lower left"}
for ax, (name, place) in zip(axes, places.items(), strict=True):
    rows = train[train.outburst_id == name[:4]]
    plotting.hardness_intensity(ax, rows, outburst=name[:4])
    ax.set(xlabel="colour 6–10 / 3–6 keV (Crab)", ylabel="net rate per PCU, 3–25 keV (1/s)")
    ax.set_title(f"{name}: up at {ratios[name]:.1f} times the luminosity of down")
    ax.legend(loc=place, fontsize=8.5)
plotting.show(fig, "04_hysteresis", colours=64)

# %% [markdown]
# All of them, without exception, and with a large scatter; neutron stars too, on a track that stays harder. So luminosity alone cannot name the state (the same brightness is met hard and soft), and *order in time* could. We shall not use it: the question was one pointing.

# %% [markdown]
# ## Fake 1: the faint always seem to vary more
#
# Back to the rms of HSS that was too high. The measured variance is the true one plus noise of zero mean, and where the sum is negative there is no root: the cell is empty. The fainter the source, the larger the noise, and the higher must a value be to exist at all. Even a *constant* true rms then seems to rise towards faint sources.

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
# The error of the variance is that of its photon noise: a level of $2(S + B)/S^2$ for $S$ source and $B$ background counts per second, over a bandwidth of 64 Hz, averaged over $64\,\mathrm{Hz} \times T$ independent powers. Everything in it is in the table. For the constant we take the median of the *brightest* fifth, and predict all others.


# %%
def in_fifths(rows, generator):
    """Fifths of HSS by rate: measured rms, and what a constant rms would look like."""
    soft = rows[rows.state_label == "HSS"]
    per_pcu = soft.rate / soft.n_det
    fifth = pd.qcut(per_pcu, 5, labels=False)
    noise = 2 / (1 - soft.bkg_frac) / soft.rate  # per Hz: 2 (S + B) / S²
    error = noise * np.sqrt(64 / soft.exposure)
    constant = soft.rms_0p1_64[fifth == 4].median()
    with np.errstate(invalid="ignore"):  # roots of negative variances are no news
        faked = np.array([observed_rms(constant, error, generator) for _ in range(50)])
    faked = pd.DataFrame(faked.T, index=soft.index)
    result = pd.DataFrame({"rate": per_pcu.groupby(fifth).median()})
    result["measured"] = soft.rms_0p1_64.groupby(fifth).median()
    result["constant"] = faked.groupby(fifth).median().mean(axis=1)
    result["empty"] = soft.rms_0p1_64.isna().groupby(fifth).mean()
    result["constant, empty"] = faked.isna().groupby(fifth).mean().mean(axis=1)
    return result.assign(kt_in=soft.kt_in.groupby(fifth).median())


# %%
generator = np.random.default_rng(45)
fifths = {"NS": in_fifths(neutron, generator), "BH": in_fifths(black, generator)}
for kind, table in fifths.items():
    print(f"{kind} in HSS, faintest to brightest fifth")
    print(table.round({"rate": 0}).round(3).to_string(index=False))

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), sharey=True)
for ax, (kind, table) in zip(axes, fifths.items(), strict=True):
    soft = train[(train.object_label == kind) & (train.state_label == "HSS")]
    ax.plot(soft.rate / soft.n_det, soft.rms_0p1_64, ".", color="0.8", markersize=3)
    ax.plot(table.rate, table.measured, "o-", label="measured, medians of fifths")
    ax.plot(table.rate, table.constant, "s--", label="a constant, and noise")
    ax.set(xscale="log", yscale="log", ylim=(0.003, 0.5), title=f"{kind} in HSS")
    ax.set(xlabel="net rate per PCU (1/s)")
    ax.xaxis.set_major_formatter("{x:g}")
    ax.legend(loc="lower left")
axes[0].set(ylabel="fractional rms, 0.1–64 Hz")
plotting.show(fig, "04_rms_and_rate", colours=64)

# %% [markdown]
# For **neutron stars** nearly the whole trend is fake: one constant, and noise, make the medians *and* most of the empty cells. Bright or faint, they vary by the same few per cent.
#
# For **black holes** the same recipe fails twice: too little rms, and far too many empty cells. Here the trend is mostly *real*, and the last column has the reason: in faint ones the disc is cooler, drops out of RXTE's band, and dilutes less. Same plot, same fall, two causes. You cannot tell them apart by looking; a simulated fake can.

# %% [markdown]
# ## Fakes 2 to 4: the observer, the detector, the literature
#
# **The observer.** Who could object to a column of seconds? Let us ask how well `exposure` alone finds the intermediate states.

# %%
generator = np.random.default_rng(46)


def with_error(measure, table):
    """A measure of a table and its standard deviation over 100 draws of whole sources, as text."""
    draws = [resample_sources(table, generator) for _ in range(100)]
    draws = [measure(draw) for draw in draws if draw.object_label.nunique() == 2]
    return f"{measure(table):.2f} ± {np.std(draws):.2f}"


def exposure_knows(table):
    between = table.state_label.isin(["HIMS", "SIMS"])
    return separation(table.exposure[~between], table.exposure[between])


print("exposure, intermediate against other states:", with_error(exposure_knows, train))
sure = train[train.label_trust == "A"]
print("the same where the reader was sure (trust A):", with_error(exposure_knows, sure))

# %% [markdown]
# Three of four pairs, from a clock. Of course: somebody *saw* a transition begin, and asked for more time. The state made the exposure, the exposure did not make the state. In an archive it predicts; for tonight's pointing, planned before anyone knew, it knows nothing. **You decide that it must go**: no score will tell you, for it improves every score you have.
#
# **The detector.** The gain of RXTE drifts by up to 2 % between resets at MJD 50100, 51259 and 51677. What should that do? Fold a hard-state power law through channels whose energies are off by as much, and compare the soft colour.

# %%
response = data.load_response("rxte_pca")
energies = np.append(response.channel_lo, response.channel_hi[-1])
flux = power_law(response.energy_lo, response.energy_hi, 1.8, norm=1.0)
counts_below = np.append(0, np.cumsum(response.fold(flux).numpy()))


def soft_colour(gain):
    """Counts at 6-10 over 3-6 keV, where a photon of energy E is filed under E / gain."""
    low, middle, high = np.interp(gain * np.array([3, 6, 10]), energies, counts_below)
    return (high - middle) / (middle - low)


expected = soft_colour(1.02) / soft_colour(1.0) - 1
print(f"expected from reset to reset: {100 * expected:+.1f} %")

# %%
hard = train[(train.state_label == "LHS") & (train.label_trust == "A")].copy()
hard["change"] = hard.hr_soft / hard.groupby("source_id").hr_soft.transform("median") - 1
resets = np.array([50100, 51259, 51677, train.mjd.max()])
epoch = np.searchsorted(resets, hard.mjd).clip(1, 3) - 1
hard["since"] = (hard.mjd - resets[epoch]) / np.diff(resets)[epoch]  # 0 to 1 between resets


def drift(table):
    return 100 * np.polyfit(table.since, table.change, 1)[0]


print(f"scatter of LHS: {100 * hard.change.std():.1f} %")
print(f"found from reset to reset: {with_error(drift, hard)} %")

# %%
fig, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), width_ratios=(1, 1.3))
plotting.distributions(left, train, "exposure")
right.plot(hard.mjd, 100 * hard.change, ".", color="0.8", markersize=4, label="LHS, one pointing")
bins = hard.groupby((hard.mjd // 200) * 200 + 100).change.agg(["median", "size"])
bins = 100 * bins["median"][bins["size"] >= 10]
right.plot(bins.index, bins, "o", color="C0", label="median of 200 d")
for start, end in itertools.pairwise(resets):
    right.plot([start, end], [0, 100 * expected], color="C1", linewidth=2)
right.plot([], [], color="C1", linewidth=2, label="what the drift should do")
right.set(xlabel="MJD (d)", ylabel="soft colour less source's median (%)", ylim=(-22, 22))
right.legend(fontsize=9, ncols=2, loc="upper center", columnspacing=1)
plotting.show(fig, "04_selection", colours=64)

# %% [markdown]
# It is there (the archive was made with it), and *you cannot see it*: in one and the same state a source varies by more than the detector drifts, and each outburst has a colour of its own. "I looked and found nothing" is only as good as the error beside it. Calibrators therefore watch something that stands still, the Crab nebula. For us: a model that can read `mjd` and a colour to 1 % could learn the detector's age.
#
# **The literature.** `lum_edd_est` separated hard-state black holes from neutron stars splendidly. It assumes 8 solar masses for all, and a distance that somebody looked up. Take the assumption back, which needs the label, and see what remains.

# %%
lhs = train[train.state_label == "LHS"].dropna(subset="lum_edd_est")


def luminosity_knows(table, mass_of_stars=8.0):
    luminosity = table.lum_edd_est.where(
        table.object_label == "BH", table.lum_edd_est * 8 / mass_of_stars
    )
    is_black = table.object_label == "BH"
    return separation(luminosity[~is_black], luminosity[is_black])


print("BH above NS in lum_edd_est, LHS")
print("  8 solar masses for all:   ", with_error(luminosity_knows, lhs))
print("  1.4 for neutron stars:    ", with_error(lambda table: luminosity_knows(table, 1.4), lhs))

# %% [markdown]
# With fair masses that order is gone (0.5 would be none at all). The column did not measure an Eddington ratio; it measured erg/s, and neutron stars are lighter. That is real physics, but look at what it takes: a *distance*, hence a known source, hence somebody who mostly knows already what it is. For a source found last night the cell is empty. (And the plain `rate`? It tells the same story in a worse dialect: distance and all.)

# %% [markdown]
# ## Power spectra, state by state
#
# Last, the pictures from which rms, hue, break and QPO were taken: mean power spectra of pointings of *training* sources, photon noise subtracted, times frequency: so equal areas are equal variances. The file of light curves holds all sources, so choosing is up to us.

# %%
curves = data.load_segments()
ours = np.isin(curves.source_id, train.source_id.unique()) & (curves.noise < 0.02)
weights = curves.n_averaged[:69].reshape(-1, 3)  # three bins of frequency to one
frequency = np.average(curves.frequency[:69].reshape(-1, 3), axis=1, weights=weights)
inner = np.sqrt(frequency[1:] * frequency[:-1])  # edges of the wider bins
borders = [frequency[0] ** 2 / inner[0], *inner, frequency[-1] ** 2 / inner[-1]]


def mean_power(kind, state):
    """Frequency × mean power of pointings less photon noise, (rms/mean)², its error, and its name."""
    chosen = ours & (curves.object_label == kind) & (curves.state_label == state)
    power = (curves.power - curves.noise[:, None])[chosen, :69].reshape(-1, len(weights), 3)
    power = np.sum(power * weights, axis=2) / weights.sum(axis=1)
    pointings = pd.DataFrame(power).groupby(curves.obs_id[chosen]).mean()  # segments overlap
    mean, error = (frequency * column.to_numpy() for column in (pointings.mean(), pointings.sem()))
    lost = mean <= 0  # they have no logarithm
    note = f" ({lost.sum()} of {len(mean)} bins not above 0)" if lost.any() else ""
    return np.where(lost, np.nan, mean), error, f"{state} ({len(pointings)}){note}"


# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, figsize=(9.6, 4.6), sharey=True)
for ax, kind in zip(axes, ("BH", "NS"), strict=True):
    for k, state in enumerate(("LHS", "HSS", "HIMS", "SIMS")):  # in the course's colours
        mean, error, name = mean_power(kind, state)
        look = {"color": f"C{k}", "linestyle": plotting.line_style(k), "label": name}
        plotting.steps(ax, borders, mean, error, **look)
    ax.set(xscale="log", yscale="log", xlabel="frequency (Hz)")
    ax.set_title("black holes" if kind == "BH" else "neutron stars")
black_hole = mean_power("BH", "LHS")[0]
axes[1].plot(5 * frequency, black_hole, "k:", linewidth=2, label="BH in LHS, 5 × faster")
axes[0].set(ylim=(1e-5, 0.3), ylabel="frequency × power ((rms/mean)²)")
axes[1].set(xlim=axes[0].get_xlim())
for ax in axes:
    ax.legend(fontsize=8, loc="upper left", ncols=2)
plotting.show(fig, "04_mean_power_spectra", colours=64)


# %%
def faster(column):
    """How often faster hard-state neutron stars are than hard-state black holes, by the median."""

    def ratio(table):
        median = table.groupby("object_label")[column].median()
        return median["NS"] / median["BH"]

    return with_error(ratio, train[train.state_label == "LHS"])


print("median of neutron stars over that of black holes, LHS")
for column in ("nu_break", "qpo_freq"):
    print(f"  {column:8s} {faster(column)}")

# %% [markdown]
# One figure holds most of this lesson: the squared rms is the area under a curve, the hue its shape, the break its left shoulder. From LHS to HIMS the *slow* power goes first. And the hard-state neutron star is, nearly, a hard-state black hole played five times faster: dotted on solid, with one number in it. That number is, more or less, a ratio of masses.

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
# Our lists, to compare with yours:
#
# | for the state | for the object | forbidden, and why |
# |---|---|---|
# | colours, rms by band, Γ, disc share, hue, break and QPO, and *whether* there is a break or QPO | the same, for it is the combination that tells: frequencies in hard states, soft colour and disc share in soft ones; lags and coherence, perhaps | `exposure`, `label_trust` (after the state); `mjd`, names, `rate`, fluxes (which source, how near); `lum_edd_est` (mass, distance); twins (`hr_3_10`, `rms_3_10`, most light-curve features) |
#
# **Discuss with your neighbour** (4 min): an *empty* cell of `hue` knows how faint a source is. Would you let a model see it? Lesson 05 has to decide.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - Three questions for every relation: what should it look like, what does it look like, what would fake it. A fake can be simulated, and then explains all (neutron stars) or not (black holes).
# - Published ranges and sectors belong to a population. Neutron stars are not in it.
# - Separation and rank correlation ask for order only, and forgive decades, curves and outliers. Twins are found by $\rho$ near 1.
# - A pooled relation is not that of any source. Errors come from resampling *sources*, and are several times those from rows.
# - No score forbids a feature. You do, with a reason that can be written down.

# %% [markdown]
# **Further reading.** V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton, 2023; first look at real data) · J. Buchner & S. Fotopoulou ([arXiv:2502.08222](https://arxiv.org/abs/2502.08222); good habits, start to end) · D. Baron, *Machine learning in astronomy* ([arXiv:1904.07248](https://arxiv.org/abs/1904.07248); distances, groups, unsupervised views) · L. Heil, P. Uttley & M. Klein-Wolt (MNRAS 448, 3339, 2015; the wheel and its sectors) · scikit-learn user guide, [*Common pitfalls*](https://scikit-learn.org/stable/common_pitfalls.html) (leakage in one page).
