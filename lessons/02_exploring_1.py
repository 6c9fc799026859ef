# %% [markdown]
# # 2 · Exploring the data, part I
#
# | **The question** | Is this table what we think it is? |
# |---|---|
# | **Afterwards you can** | read a column's unit, scale and gaps before you use it; say for every empty cell why it is empty, and who is left if you delete it; find outliers and misfiled rows by looking, and put a spread over *sources* on any number |
# | **Time** | 40 min of reading or teaching, 64 min of exercises |
# | **Data** | simulated: 6000 pointings of an RXTE PCA, see `data/README.md` (but not its spoilers) |
# | **Run time** | below 40 s on two cores |

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course.checks import lesson_02 as check
from helpers import data, plotting

plotting.use_course_style()
pd.set_option("display.max_colwidth", None, "display.precision", 2)
table = data.load_observations("rxte")
print(f"{len(table)} pointings, {table.source_id.nunique()} sources, {table.shape[1]} columns")

# %% [markdown]
# ## Before any model
#
# A model takes whatever numbers you give it: a rate of the wrong number of detectors, a fit that ran into its limit, a pointing at another star. It does not complain. It averages. So today there is no model. We look at the table until we know what each column is, where it is empty, and which rows are odd.
#
# **Are we allowed to see all 6000 rows?** From lesson 03 on some rows are locked away, and whoever looks at them spoils the test. Units, gaps and errors are properties of the whole table, and mending them is the same work for every row. We do *not* look at which feature tells which label: that is what models will be judged by. It waits for part II, with training rows only. We cross this border four times, and say so.

# %% [markdown]
# ## What is a column?
#
# Every column has a type, a unit and a meaning. All three come with the table (they stand in `data/columns.csv`).

# %%
print(table.dtypes.astype(str).value_counts().to_dict())
columns = ["source_id", "state_label", "n_det", "rate", "log_flux_2_10", "hr_soft", "qpo_det"]
dictionary = pd.DataFrame({"type": table.dtypes.astype(str), **table.attrs})
dictionary.loc[columns]

# %% [markdown]
# There are names, labels, one whole number and one truth value. Everything else is a decimal number, but not a *measurement in the same sense*: the flux is already a logarithm, colours are in units of the Crab nebula, and the rate is that of all detectors together. **A number without its unit is no feature.**
#
# The rate matters most. RXTE's five detectors were switched on and off as their health allowed.

# %% [markdown]
# ## Exercise 2.1 · Per detector  ·  core · 6 min · ●○○
#
# Write the net rate of *one* detector, and its error.


# %%
def per_detector(table):
    """Net rate of one detector and its error, both (n_rows,) in 1/s."""
    # solution: `rate` and `rate_err` are of the sum of n_det detectors; n_det has no error
    return table.rate / table.n_det, table.rate_err / table.n_det
    # end solution


per_detector = check.per_detector(per_detector)

# %%
rate, rate_err = (pd.Series(column) for column in per_detector(table))
ratios = {"all detectors": table.rate, "one detector": rate}
ratios = pd.DataFrame(ratios).map(np.log10).sub(table.log_flux_2_10, axis=0)
ratios.std().to_frame("scatter of log10 (rate / flux), dex")

# %% [markdown]
# The scatter that is gone was the history of RXTE's detectors. (The rest is physics: spectra of different shape have different rates at the same flux.) A model would have tried to learn from that history.

# %% [markdown]
# ## How is a column distributed?
#
# Here are the same numbers in two pictures.

# %%
fig, (left, right) = plt.subplots(1, 2)
left.hist(rate, bins=60, color="C0")
right.hist(rate, bins=np.geomspace(rate.min(), rate.max(), 60), color="C0")
for ax, title in ((left, "linear ..."), (right, "... and logarithmic")):
    ax.axvline(rate.mean(), color="C1", linestyle="-", label="mean")
    ax.axvline(rate.median(), color="black", linestyle="--", label="median")
    ax.set(xlabel="net rate of one detector (1/s)", ylabel="pointings per bin", title=title)
right.set(xscale="log")
right.legend()
plotting.show(fig, "02_rates")

# %%
print(f"{np.mean(rate < rate.mean()):.0%} of all pointings are fainter than the mean pointing")
names = ("log_flux_2_10", "rate", "gamma", "rms_0p1_64", "qpo_freq", "lag_1_10")
features = table[[*names]].assign(rate=rate, flux_2_10=10**table.log_flux_2_10)
features = features.drop(columns="log_flux_2_10")
spread = features.quantile([0.01, 0.5, 0.99]).T.map("{:.1e}".format).add_prefix("quantile ")
spread.assign(unit=pd.Series(table.attrs["units"] | {"flux_2_10": "erg/cm^2/s"}))

# %% [markdown]
# The mean of a log-normal quantity describes its few largest values. The median, or the mean of the logarithm, describes the typical row. And flux and rate lie more than ten decades apart: a method that measures *distances* between rows sees only one column. Lesson 05 treats logarithms and scales.
#
# Now, which values *cannot* be?

# %%
early = (table.mjd.shift(-1) - table.mjd) * 86400 < table.exposure
impossible = {
    "rms above 1": (table.filter(regex="^rms") > 1).sum().sum(),
    f"coherence above 1 (of {table.coherence.count()})": (table.coherence > 1).sum(),
    "rows twice": table.drop(columns="obs_id").duplicated().sum(),
    "hr_3_10 other than hr_soft": (table.hr_3_10 != table.hr_soft).sum(),
    "starts before the pointing before has ended": early.sum(),
}
pd.Series(impossible, name="how often").to_frame()

# %% [markdown]
# An rms above 1 would be noise, or a source that is mostly off and now and then very bright. The archive has none. A coherence above 1 is impossible, too, and common: it is an *estimate*, with noise on both sides of the truth. To cut at 1 would only hide the noise. Two columns, `hr_3_10` and `hr_soft`, are one and the same.
#
# The last line is odd: one telescope cannot look at two sources at once! Here it shows how the archive was made: the dates of each outburst were drawn without asking the others. *Questions that must have the answer zero are cheap. Ask many.*

# %% [markdown]
# ## Empty cells

# %%
share = table.isna().mean()
print(f"{np.sum(share > 0)} of {len(share)} columns have empty cells; some of them:")
columns = ["hr_low", "qpo_freq", "hue", "kt_in", "lag_1_10", "rms_hf", "gamma", "hr_hard"]
share[columns].map("{:.1%}".format).to_frame("empty").T

# %% [markdown] tags=["slide"]
# Many recipes begin with `table.dropna()`, "delete all rows with a gap". **Predict:** how many of our 6000 rows survive it? And how many if we remove `hr_low`, the emptiest column, first?

# %%
my_guess_rows = ...  # rows that survive, a number

# %% tags=["slide"]
measured = table.drop(columns=["hr_low", "hr_low_err"])
print("dropna:", len(table.dropna()), "rows; without hr_low:", len(measured.dropna()))

# %% [markdown]
# **The answer:** none survives. Without `hr_low` two rows in a hundred do. To see which rows these are, we first need a tool.

# %% [markdown]
# ## A spread that counts sources
#
# 6000 rows look like 6000 independent measurements. They are not: pointings of one source resemble each other. If rows were independent, a share of rows would have a tiny error. But how would it come out for *other sources*? Draw sources with replacement, take all rows of each, and measure again. This is the **bootstrap**, by source (a *cluster* bootstrap).

# %% [markdown] tags=["slide"]
# ## Exercise 2.2 · Another sky  ·  core · 12 min · ●●○
#
# Write it: as many sources as the table has, each with the same chance at each draw. A source that is drawn twice brings its rows twice.


# %%
def resample_sources(table, generator):
    """The rows of as many sources as there are, drawn with replacement by `generator`."""
    # solution: `generator.choice` draws names; `pd.concat` stacks the rows of each, twice if drawn twice
    groups = dict(list(table.groupby("source_id")))
    drawn = generator.choice(list(groups), len(groups))
    return pd.concat([groups[name] for name in drawn], ignore_index=True)
    # end solution


resample_sources = check.resample_sources(resample_sources)

# %%
small = table[["source_id", "object_label", "state_label"]]
generator = np.random.default_rng(2)
skies = [resample_sources(small, generator) for _ in range(100)]
shares = {}
for name, label in (("object_label", "BH"), ("state_label", "LHS"), ("state_label", "SIMS")):
    here = (small[name] == label).mean()
    by_row = np.sqrt(here * (1 - here) / len(small))
    by_source = np.std([(sky[name] == label).mean() for sky in skies], ddof=1)
    shares[label] = {"share": here, "error by row": by_row, "error by source": by_source}
pd.DataFrame(shares).T.map("{:.1%}".format)

# %% [markdown]
# (BH is a black hole. LHS and SIMS are the low/hard and the soft-intermediate state.) The error by row is too small everywhere, and worst for the object. A row has its own state, but it shares its object with all rows of its source. There are sixteen black holes, and a few of them have most rows. So their share is known to about a tenth, whatever the number of rows. Keep this function: nearly every number of this course should carry the larger error.

# %% [markdown]
# ## Why is a cell empty?
#
# Sort the pointings by brightness, and ask for each state how often a column is empty. (*Border crossing, number one:* we use the state label. But we ask who is missing, not what the measured values say. The answer decides whether rows may be deleted, and this must be known before any split.)

# %%
looks = {"LHS": "C0o-", "HIMS": "C2^--", "SIMS": "C3s-.", "HSS": "C1D:"}
bright = pd.qcut(rate, 5, labels=False)
middle = rate.groupby(bright).median().to_numpy()
names = ["source_id", "state_label"]
gaps = table[["qpo_freq", "kt_in"]].isna().join(table[names]).assign(bright=bright)
generator = np.random.default_rng(3)
skies = [gaps, *(resample_sources(gaps, generator) for _ in range(60))]
cells = ["state_label", "bright"]
empty, *others = [sky.groupby(cells)[["qpo_freq", "kt_in"]].mean() for sky in skies]
scatter = pd.concat(others).groupby(level=[0, 1]).std()  # over other sources

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, sharey=True)
for ax, column in zip(axes, ("qpo_freq", "kt_in"), strict=True):
    for number, (state, look) in enumerate(looks.items()):
        x = middle * 1.06 ** (number - 1.5)  # side by side, so that error bars can be seen
        ax.errorbar(x, empty[column][state], scatter[column][state], fmt=look, label=state)
    ax.set(xscale="log", title=column, xlabel="net rate of one detector (1/s)")
axes[0].set(ylabel="share of empty cells", ylim=(-0.05, 1.1))
axes[1].legend()
plotting.show(fig, "02_empty_cells")

# %% [markdown]
# Look at the left panel for a minute. In hard and intermediate states the QPO is *there*, and the number of photons decides whether the cell is filled. In the soft state more photons do not help: there is nothing. On the right, the hard state lacks a disc at any brightness, though every textbook draws one: it is too cold for a telescope that begins at 3 keV.
#
# So one empty cell has three meanings. Gaps that depend on nothing would be *missing completely at random*, and harmless. Ours depend on brightness, on the state, and on the very value that is missing: they are missing **not at random**. No fill-in rule can know that; you do. (There is a fourth meaning: `gamma` and `kt_in` are empty, too, where the fit ran into its limit. There *was* a number, but it was no measurement.)

# %% [markdown] tags=["slide"]
# ## Exercise 2.3 · Three kinds of nothing  ·  core · 7 min · ●●○
#
# Sort six empty cells. `"nothing there"`: looked well enough, and there is none. `"too faint"`: a brighter pointing of the same state has it. `"not with RXTE"`: this telescope would not see it however bright the source.

# %%
# solution: ask of each: would more photons have filled it? would another telescope?
reasons = {
    "hr_low, 1-2 over 0.5-1 keV, in any row": "not with RXTE",
    "qpo_freq, in a soft state of 3000/s in each detector": "nothing there",
    "qpo_freq, in a hard state of 4/s in each detector": "too faint",
    "lag_1_10, in a hard state of 3/s in each detector": "too faint",
    "kt_in, in a bright hard state whose disc NICER measures at 0.2 keV": "not with RXTE",
    "nu_break, in a bright soft state with a plain 1/f power spectrum": "nothing there",
}
# end solution

reasons = check.reasons(reasons)

# %% [markdown]
# ## Who is left?
#
# Now we run the experiment with `dropna`: delete all rows with a gap (but not for `hr_low`), compare who is left with who was there, and take the errors from other skies.

# %%
whole = measured.notna().all(axis=1)
few = table[["source_id", "object_label", "state_label"]].assign(rate=rate, whole=whole)


def portrait(rows):
    """Who is in these rows, in a few numbers."""
    shares = {f"{state} (%)": (rows.state_label == state).mean() for state in looks}
    shares["BH (%)"] = (rows.object_label == "BH").mean()
    shares["three sources (%)"] = rows.source_id.value_counts(normalize=True).iloc[:3].sum()
    return pd.Series({**(100 * pd.Series(shares)), "median rate (1/s)": rows.rate.median()})


generator = np.random.default_rng(1)
skies = [resample_sources(few, generator) for _ in range(100)]
before, after = portrait(few), portrait(few[few.whole])
errors = [pd.DataFrame(map(portrait, rows)).std() for rows in (skies, [s[s.whole] for s in skies])]
result = pd.DataFrame({"all": before, "error": errors[0], "no gap": after, "error ": errors[1]})
result.round(1)

# %% [markdown]
# The rows that are left are bright, mostly intermediate, richer in black holes, and about half of them are from three sources. Not one is in the soft state, to which four pointings in ten belong: a model trained on these rows never sees it. The paper would say "we removed incomplete observations".
#
# The gap is a measurement: *this pointing has no QPO that we could see*. Lesson 05 keeps the row, fills the cell, and adds a column that says so.

# %% [markdown]
# ## The luckier half of the noise
#
# Another gap is easily missed. A variance after noise subtraction may be negative (lesson 01). Then there is no rms, and the cell is empty. So where photons are few, an rms exists only if the noise happened to be *positive*. Does it matter? Give every soft pointing of the archive the same true rms of 2 %, its own rate, background and exposure, and the noise of its photons. (For a light curve in bins of $\Delta t$ = 1/128 s, with source rate $S$, total rate $C$ and exposure $T$, the error of the excess variance is $\sigma_F = (C/S^2)\sqrt{2/(T\,\Delta t)}$ where noise dominates; Vaughan et al. 2003.)

# %%
soft = table[table.state_label == "HSS"]
total = soft.rate / (1 - soft.bkg_frac)
sigma = total / soft.rate**2 * np.sqrt(2 * 128 / soft.exposure)
variance = 0.02**2 + sigma * np.random.default_rng(4).normal(size=len(soft))
toy = np.sqrt(variance.where(variance > 0))

# %%
step = pd.qcut(soft.rate, 8, labels=False)
x = soft.rate.groupby(step).median()
fig, (left, right) = plt.subplots(1, 2)
left.plot(soft.rate, soft.rms_0p1_64, ".", color="0.8", markersize=2)
for name, values, look in (("archive", soft.rms_0p1_64, "C1D-"), ("2 %, always", toy, "ks--")):
    left.plot(x, values.groupby(step).median(), look, label=name)
    right.plot(x, values.isna().groupby(step).mean(), look, label=name)
left.set(xscale="log", yscale="log", ylabel="fractional rms, 0.1-64 Hz", ylim=(2e-3, 1))
right.set(xscale="log", ylabel="share without rms", ylim=(-0.05, 0.7))
for ax in (left, right):
    ax.set_xlabel("net rate, all detectors (1/s)")
left.legend()
plotting.show(fig, "02_soft_state_rms")

# %% [markdown]
# A constant looks like a law. "Soft states vary more when they are faint" would be a fine abstract, and most of it is selection: only variances above zero have a root. (Most, but not all: the two curves differ. Lesson 04 looks at black holes and neutron stars separately, and finds that for one of the two the fall is real.) *Border crossing, number two:* we have used rms and state together, to learn what an *existing* rms means. For later: compare at equal brightness, or keep the variance with its sign.

# %% [markdown]
# ## Odd rows
#
# RXTE has three well-known accidents:
#
# - In a **slew** the telescope is still turning, and the source comes into view only after a while.
# - In an **X-ray burst** nuclear fuel on the surface of a neutron star explodes, up within a second and gone within a minute.
# - In a **particle flare** charged particles raise the background for some minutes, and nobody subtracts them.
#
# What would each do to a light curve? Sketch them. Then **predict**: which of the three has a negative *skew* (a longer tail towards low rates)?

# %%
my_guess_skew = ...  # "slew", "burst" or "flare"

# %%
generator = np.random.default_rng(5)
time = np.arange(1280.0)  # s
sketches = {
    "slew": 300 * np.clip(time / 770, 0, 1),
    "burst": 300 + 3000 * np.exp(-(time - 400) / 15) * (time >= 400),
    "particle flare": 300 + 300 * np.exp(-0.5 * ((time - 500) / 100) ** 2),
}
fig, axes = plt.subplots(1, 3, figsize=(9, 3.2))
for ax, (name, expected) in zip(axes, sketches.items(), strict=True):
    sketch = generator.poisson(expected)
    ax.plot(time, sketch, linewidth=0.7)
    title = f"{name}\nskew {pd.Series(sketch).skew():.1f}"
    ax.set(title=title, xlabel="time (s)", ylim=(0, None))
axes[0].set_ylabel("rate (1/s)")
plotting.show(fig, "02_sketches")

# %% [markdown]
# **The answer:** the slew has the negative skew.
#
# The skew of a light curve is one of our columns, and it should tell the three apart. So look for rows whose skew is far from that of the others. In which unit?

# %% [markdown] tags=["slide"]
# ## Exercise 2.4 · A ruler that does not bend  ·  core · 10 min · ●●○
#
# The usual $z = (x - \bar x)/\sigma$ has a flaw: outliers increase $\sigma$, and so hide themselves. Use the median $m$ and the **median absolute deviation** $\mathrm{MAD} = \mathrm{median}\,|x - m|$ instead:
#
# $$z = \frac{x - m}{1.4826\ \mathrm{MAD}}.$$
#
# The factor makes it the usual $z$ where $x$ is Gaussian. Gaps stay gaps, signs stay signs.


# %%
def robust_z(values):
    """Robust z-scores of a column (n_rows,); NaN where the column is NaN."""
    # solution: methods of a column, such as values.median(), leave gaps out; np.median does not
    distance = values - values.median()
    return distance / (1.4826 * distance.abs().median())
    # end solution


robust_z = check.robust_z(robust_z)

# %%
skew = table["skew"]
usual = (skew - skew.mean()) / skew.std()
far_out = pd.DataFrame({"usual": usual, "robust": robust_z(skew)})
print(f"the standard deviation is {robust_z(skew).std():.1f} times as large as the robust one")
pd.DataFrame({"below -5": (far_out < -5).sum(), "above 5": (far_out > 5).sum()})

# %% [markdown]
# The usual $z$ sees nothing on the negative side: a few dozen rows with a large skew have made its standard deviation several times larger than the ordinary scatter. Now look at *two* columns: the skew, and how badly the spectral model fits.

# %%
fig, ax = plt.subplots(figsize=(7.2, 4.4))
ax.plot(skew, table.red_chi2, "o", color="C0", markersize=3, markerfacecolor="none", alpha=0.6)
ax.set(yscale="log", xlabel="skew of the light curve", ylabel="reduced χ² of the spectral fit")
ax.set_xscale("symlog", linthresh=1, linscale=2)
ax.set_xticks([-0.5, 0, 0.5, 1, 2, 5, 10], ["-0.5", "0", "0.5", "1", "2", "5", "10"])
for letter, x, y in (("A", -0.72, 3), ("B", 8, 45), ("C", 2.6, 900), ("D", -0.35, 120)):
    ax.text(x, y, letter, fontsize=16, weight="bold", ha="center", va="center")
plotting.show(fig, "02_goodness_and_skew")

# %% [markdown]
# Four groups stand out. A, B and C are where the sketches would put slews, bursts and flares. D has a large $\chi^2$, but a perfectly normal light curve. Who are they? (*Border crossing, number three:* we ask for the labels of rows that were chosen without them.)

# %%
burst = skew > 2  # no row has a skew between 1.6 and 4
flare = (table.red_chi2 > 50) & skew.between(0.6, 2)
top = (table.red_chi2 > 50) & (skew.abs() < 0.3)
groups = {"B": burst, "D": top}
kinds = {name: table[marked].object_label.value_counts() for name, marked in groups.items()}
states = {name: table[marked].state_label.value_counts() for name, marked in groups.items()}
counted = pd.concat([pd.DataFrame(kinds), pd.DataFrame(states)])
counted.fillna(0).astype(int).T[["BH", "NS", *looks]]  # rows

# %% [markdown]
# Every row in B is of a neutron star (NS), as it must be: a black hole has no surface on which anything could burn. **A burst is the best evidence for a neutron star that there is.** Whoever cuts outliers at $5\sigma$ throws away the best label.
#
# Nearly all rows in D are neutron stars in soft states, and nothing went wrong in them. (Remember the few others.) *Our model* is wrong: it has a disc and a power law, but not the hot layer where matter settles on a surface. Bright pointings have the photons to show it. An outlier is a question, and sometimes the question is about us.
#
# Slews are still a problem: those of faint sources hide in the noise. A slew is a *trend*, and the column `linear_trend` has a unit.

# %%
print("linear_trend:", table.attrs["units"]["linear_trend"])
trend = table.linear_trend * table.exposure / table.rate
fig, (left, right) = plt.subplots(1, 2, sharey=True)
left.hist(table.linear_trend, bins=np.linspace(-1, 4, 80))
right.hist(trend, bins=np.linspace(-1, 2, 80))
left.set(yscale="log", ylabel="pointings per bin", xlabel="linear trend (1/s²)")
right.set(xlabel="linear trend × exposure / rate")
plotting.show(fig, "02_cleaned_columns")
slew = trend > 1
by_skew = slew & (robust_z(skew) < -5)
print(f"{slew.sum()} rows beyond 1; of these, {by_skew.sum()} also by skew")

# %% [markdown]
# No algorithm was changed, only the unit. Divide the column by the rate of change that a full slew would give, and it separates by itself. *A dimensionless number that physics suggests is better than a threshold that statistics suggests.*
#
# Outside a simulation you would stop here. We may look at the truth: twice in this lesson, and to learn about our *method*, not to repair the rows.

# %%
truth = data.load_truth().set_index("obs_id").loc[table.obs_id].reset_index()
marks = {"slew": slew, "burst": burst, "flare": flare}
verdict = {}
for name, marked in marks.items():
    real = truth.outlier == name
    where = {"found": marked & real, "false": marked & ~real, "missed": real & ~marked}
    where["missed, in group D"] = where["missed"] & top
    verdict[name] = {"real": real.sum()} | {word: rows.sum() for word, rows in where.items()}
pd.DataFrame(verdict).T

# %% [markdown]
# There is not one false alarm, but some flares are missed. Three of those were in group D, before our eyes: the three in the hard state, where our model is *not* wrong. An honest method section says so.
#
# **What do we do with each?** A *burst*: cut its minute out of the light curve and measure again; keep the row, and note the burst. A *slew*: cut the ramp out; its rms is wrong (a ramp is slow variability), its colours are not. A *flare*: background, colours, fit and rms are all wrong; use the quiet part, or leave it out and write down the criterion. If you have only the summaries, as we have, you can flag. But do not let a column `burst` into the features for black hole or neutron star and call the result *learning*.

# %% [markdown]
# ## Filed under the wrong name
#
# Somebody tells you that five pointings in this archive are filed under the wrong source. Their light curves and spectra are fine. No histogram of the whole table will show them: each is a normal row of another source. Look at each source *by itself*. What should not be there: a flux, a colour, a date?

# %% [markdown] tags=["slide"]
# ## Exercise 2.5 · Alone in time  ·  core · 12 min · ●●●
#
# Outbursts last for weeks or months, with a pointing every few days. Write how many days separate each pointing from the nearest *other* one with the same entry in column `by`; where there is no other, NaN.


# %%
def days_alone(table, by):
    """Days from each pointing (n_rows,) to the nearest other one that has the same `by`, before or after."""
    # solution: rows are in order of time: the nearest is the one before or after in its group; see `shift`
    mjd = table.groupby(by).mjd
    return np.fmin(table.mjd - mjd.shift(1), mjd.shift(-1) - table.mjd)
    # end solution


days_alone = check.days_alone(days_alone)

# %%
found = pd.DataFrame({name: days_alone(table, name) for name in ("source_id", "outburst_id")})
rows = found.nlargest(9, "outburst_id").index
names = ["obs_id", "source_id", "outburst_id"]
table.loc[rows, names].join(found.round().astype(int).add_prefix("days alone by "))

# %%
fig, axes = plt.subplots(2, figsize=(7.2, 4.6))
for ax, source in zip(axes, ("S13", "S16"), strict=True):
    own = table[table.source_id == source]
    for marker, (name, part) in zip("o^sD", own.groupby("outburst_id"), strict=False):
        ax.plot(part.mjd, part.log_flux_2_10, marker, markersize=4, label=name)
    far = own[found.outburst_id[own.index] > 200]
    ax.margins(y=0.2)
    ax.plot(far.mjd, far.log_flux_2_10, "ko", markersize=14, markerfacecolor="none")
    ax.set(title=source, xlabel="time (MJD)", ylabel="log10 flux (erg/cm²/s)")
    ax.legend(loc="center", bbox_to_anchor=(0.3, 0.6))
plotting.show(fig, "02_outbursts_of_two_sources")

# %% [markdown]
# By outburst, five rows stand out by more than a year, and then comes a gap. By source alone it is harder: one of the five lies within weeks of another outburst of the same source, and would pass. (We were lucky that the *outburst* was filed, too. And S13's two misfiled rows are each other's nearest neighbours. If they were a month apart, neither would be alone.)
#
# Do flux and colour find them? Measure each row against its own source, and count.

# %%
misfiled = truth.filed_under != ""
logs = {"rate": np.log10(rate), "hr_soft": np.log10(table.hr_soft)}
alarms = {
    f"{name}, robust z > 3": np.abs(values.groupby(table.source_id).transform(robust_z)) > 3
    for name, values in logs.items()
}
alarms |= {f"alone by {name} > 60 d": found[name] > 60 for name in found}
alarms = pd.DataFrame(alarms)
pd.DataFrame({"found, of 5": alarms[misfiled].sum(), "false": alarms[~misfiled].sum()})

# %% [markdown]
# Brightness and colour find none, with more than a hundred false alarms. An outbursting source is its own outlier, over decades of flux and from hard to soft. The dates work since they do not depend on the state. (Their three false alarms are sparse outbursts with long gaps.)
#
# In a real archive candidates are only the *start*: look up the pointing direction in the file header. Until somebody has done so, the rows get a flag.

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write three sentences). Slews, bursts, flares, group D, five misfiled rows, pairs of pointings at the same time: which of these rows would you delete, at which point of the analysis, and what exactly would you write in the paper? Would a reader with your table and your sentence arrive at the same rows?

# %% [markdown]
# ## Who holds the rows?

# %%
fig, axes = plt.subplots(1, 2, sharey=True, width_ratios=(1, 1.7))
for ax, (kind, own) in zip(axes, table.groupby("object_label"), strict=True):
    per_source = pd.crosstab(own.source_id, own.state_label)[list(looks)]
    per_source = per_source.loc[per_source.sum(axis=1).sort_values(ascending=False).index]
    bottom = np.zeros(len(per_source))
    for (state, look), hatch in zip(looks.items(), ("", "//", "xx", ".."), strict=True):
        style = {"color": look[:2], "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        ax.bar(range(len(per_source)), per_source[state], bottom=bottom, label=state, **style)
        bottom += per_source[state].to_numpy()
    ax.set(title=f"{len(per_source)} {kind} sources", xlabel="source, by number of rows", xticks=[])
axes[0].set_ylabel("pointings")
axes[1].legend()
plotting.show(fig, "02_pointings_per_source")

# %%
holders = {}
for kind, own in table.groupby("object_label"):
    n = own.source_id.value_counts()
    of_two, n_eff = f"{n.iloc[:2].sum() / n.sum():.0%}", round(n.sum() ** 2 / np.sum(n**2), 1)
    holders[kind] = {"sources": len(n), "rows of the largest two": of_two, "n_eff": n_eff}
pd.DataFrame(holders).T

# %% [markdown]
# $n_\mathrm{eff} = (\sum n_i)^2/\sum n_i^2$, with $n_i$ rows of source $i$, is the **effective number** of sources: so many *equal* sources would give the same error. Sixteen black holes count like five. Row by row, "accuracy on black holes" is mostly the accuracy on two of them.

# %% [markdown] tags=["slide"]
# ## Exercise 2.6 · The score of doing nothing  ·  core · 9 min · ●●○
#
# Always name the label that is most frequent among all rows. Write how often that is right: over rows, and as a mean over sources, each counting the same.


# %%
def baseline(labels, sources):
    """Accuracy of always naming the most frequent label: (over rows, mean of all sources)."""
    # solution: one guess for all rows; right or wrong row by row; mean; mean of the means of each source
    right = labels == labels.value_counts().index[0]
    return right.mean(), right.groupby(sources).mean().mean()
    # end solution


baseline = check.baseline(baseline)

# %%
generator = np.random.default_rng(6)
skies = [resample_sources(small, generator).reset_index(drop=True) for _ in range(100)]
zero = {}
for name in ("state_label", "object_label"):
    of_rows, of_sources = baseline(table[name], table.source_id)
    sd = np.std([baseline(sky[name], sky.source_id)[0] for sky in skies], ddof=1)
    zero[name] = {"over rows": of_rows, "error by source": sd, "mean of the sources": of_sources}
most = [sky.state_label.value_counts().index[0] for sky in skies]
print("most frequent state on other skies:", pd.Series(most).value_counts().to_dict())
pd.DataFrame(zero).T.map("{:.1%}".format)

# %%
table.label_trust.value_counts(normalize=True).map("{:.0%}".format).to_frame("share of rows").T

# %% [markdown]
# These numbers are the zero of every scale to come. A paper that reports 65 % for black hole or neutron star has learned next to nothing. A classifier that *never* names a SIMS loses hardly any accuracy; lesson 06 finds better metrics. Even the most frequent state depends on which sources are in the archive.
#
# `label_trust` says how sure the human reader was. Four rows in ten have less than an A. Keep the column; lesson 08 compares the errors of a model with it.

# %% [markdown] tags=["slide"]
# ## A first diagram
#
# After so much bookkeeping, take one look at physics. (*Border crossing, number four:* one outburst of one source, which will be a training source.) In lesson 01 we sketched how an outburst turns soft at one luminosity and hard again at another.

# %%
of_s02 = table[table.source_id == "S02"].assign(rate_1=rate)
outburst = of_s02[of_s02.outburst_id == "R008"]
first = outburst[outburst.state_label == "HSS"].rate_1.iloc[:3].median()
print(f"R008 turned soft at {first:.0f} counts/s per detector")

# %% [markdown] tags=["slide-next"]
# ### Predict first
#
# At what rate per detector did it begin to return to the hard state? Write a number.

# %%
my_guess = ...  # counts/s in one detector, a number

# %% tags=["slide"]
fig, ax = plt.subplots(figsize=(7.6, 4.6))
plotting.hardness_intensity(ax, of_s02, outburst="R008")
ax.set(xlabel="colour 6–10 / 3–6 keV (Crab)", ylabel="net rate per PCU, 3–25 keV (1/s)")
plotting.mark_guess(ax, my_guess, axis="y")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plotting.show(fig, "02_hardness_intensity")
last = outburst[outburst.state_label == "HSS"].rate_1.iloc[-3:].median()
print(f"it left the soft state at {last:.0f} counts/s per detector: a factor of {first / last:.0f}")

# %% [markdown]
# **The answer:** it left the soft state at 60 counts/s, 14 times fainter than it had entered it.
#
# This is **hysteresis**. To see it, all mended columns were needed: per detector, in Crab units, logarithmic, by outburst, in order of time. Leave one of them out, and the loop is blurred or torn. Exploring is not what you do before the science starts. It is the start.

# %% [markdown] tags=["slide"]
# ## Exercise 2.7 · Whose business is it?  ·  core · 8 min · ●●○
#
# Close with a list of eight findings. In which step of the course is each dealt with first? `"now"`: mend, flag or ask today. `"split"` (lesson 03): what may be on both sides. `"pre-processing"` (05): what happens to every column before a model sees it. `"metric"` (06): how the result is judged.

# %%
# solution: does it concern the meaning of a cell, the kinship of rows, the form of a column, or the score?
findings = {
    "the rate is that of all detectors together": "now",
    "five rows lie years away from their outburst": "now",
    "hr_low is empty in every row": "now",
    "pointings of one outburst look alike, day after day": "split",
    "flux, rate and lag lie ten decades apart": "pre-processing",
    "the QPO columns are empty in two rows of three": "pre-processing",
    "a model that never names a SIMS loses hardly any accuracy": "metric",
    "a few sources hold most rows, and each row counts the same": "metric",
}
# end solution

findings = check.findings(findings)

# %%
checklist = pd.DataFrame({"finding": findings.keys(), "dealt with": findings.values()})
steps = ["now", "split", "pre-processing", "metric"]
checklist.sort_values("dealt with", key=lambda column: column.map(steps.index), kind="stable")

# %% [markdown]
# Fill this list with your own table. It is the best first page of a data paper.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - A column is a type, a unit and a meaning. In the right unit, some problems solve themselves.
# - An empty cell has a reason: nothing there, too faint, wrong telescope. Deleting rows with gaps left a few bright transitions of a few sources.
# - What exists only where the noise was positive (an rms, a QPO) depends on the brightness.
# - An outlier is a question: slew, burst, flare, a wrong name, or a wrong model of ours.
# - Count sources, not rows: for the error of a share, for a baseline, and from the next lesson on for every score.

# %% [markdown]
# **Further reading.** V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton 2023): exploring data before models · J. Buchner & S. Fotopoulou, [arXiv:2502.08222](https://arxiv.org/abs/2502.08222): how to set up a project · D. Baron, [arXiv:1904.07248](https://arxiv.org/abs/1904.07248): outliers and how to find them · scikit-learn user guide, [Imputation of missing values](https://scikit-learn.org/stable/modules/impute.html): what the tools can do.
