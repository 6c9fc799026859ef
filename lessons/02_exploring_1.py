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
# A model will take whatever numbers you hand it: a rate of the wrong number of detectors, a fit that ran into its limit, a pointing at another star. It does not complain, it averages. So today there is no model. We look at the table until we know what each column is, where it is empty, and which rows are odd.
#
# **Are we allowed to see all 6000 rows?** From lesson 03 on, some rows are locked away, and whoever looks at them spoils the exam. Units, gaps and errors are properties of the whole table, and mending them is the same work for every row. What we do *not* look at is which feature tells which label: that is what models will be judged by. It waits for part II, with training rows only. Four times we cross that border, and say so.

# %% [markdown]
# ## What is a column?
#
# Every column has a type, a unit and a meaning. All three come with the table (and stand in `data/columns.csv`).

# %%
print(table.dtypes.astype(str).value_counts().to_dict())
columns = ["source_id", "state_label", "n_det", "rate", "log_flux_2_10", "hr_soft", "qpo_det"]
dictionary = pd.DataFrame({"type": table.dtypes.astype(str), **table.attrs})
dictionary.loc[columns]

# %% [markdown]
# Names, labels, one whole number, one truth value; everything else is a decimal number, but not everything is a *measurement in the same sense*: the flux is already a logarithm, colours are in units of the Crab nebula, and the rate is that of all detectors together. **A number without its unit is no feature.**
#
# The rate matters most. RXTE switched its five detectors on and off as their health allowed.

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
for name, value in {"all detectors": table.rate, "one detector": rate}.items():
    scatter = (np.log10(value) - table.log_flux_2_10).std()
    print(f"{name}: log10 of the rate follows log10 of the flux to {scatter:.2f} dex")

# %% [markdown]
# The scatter that is gone was the history of RXTE's detectors. (What stays is physics: spectra of different shape have different rates at the same flux.) Nobody can learn that a source is bright from the number of detectors that were healthy that day; but a model would have tried.

# %% [markdown]
# ## How is a column distributed?
#
# Same numbers, two pictures.

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
spread = features.quantile([0.01, 0.5, 0.99]).T.map("{:.1e}".format)
spread.assign(unit=pd.Series(table.attrs["units"] | {"flux_2_10": "erg/cm^2/s"}))

# %% [markdown]
# Of a log-normal quantity the mean is a statement about its few largest values; the median, or the mean of the logarithm, is one about the typical row. And flux, lag and rate lie more than ten decades apart: to any method that measures *distances* between rows, there is only one column. Logarithms and scales are the business of lesson 05. (Note the lag: it can be negative. It has no logarithm.)
#
# While we are at it: what *cannot* be?

# %%
print("rms above 1:      ", int((table.filter(regex="^rms") > 1).sum().sum()), "values")
print("coherence above 1:", int((table.coherence > 1).sum()), "of", table.coherence.count())
print("rows twice:       ", int(table.drop(columns="obs_id").duplicated().sum()))
print("hr_3_10 = hr_soft:", bool((table.hr_3_10 == table.hr_soft).all()))
early = (table.mjd.shift(-1) - table.mjd) * 86400 < table.exposure
print("starts before the pointing before has ended:", int(early.sum()))

# %% [markdown]
# An rms above 1 would be noise, or a source that is mostly off and now and then very bright; the archive has none. A coherence above 1 is impossible too, and common: it is an *estimate*, with noise on both sides of the truth. Leave it; cutting at 1 would only hide the noise. Two columns are one and the same.
#
# The last line is odd. One telescope cannot look at two sources at once! Here it is a trace of how the archive was made: the dates of each outburst were drawn without asking the others. In a real archive such a line would be a find. *Questions that must have the answer zero are cheap. Ask many.*

# %% [markdown]
# ## Empty cells

# %%
share = table.isna().mean()
print(f"{np.sum(share > 0)} of {len(share)} columns have empty cells; some of them:")
columns = ["hr_low", "qpo_freq", "hue", "kt_in", "lag_1_10", "rms_hf", "gamma", "hr_hard"]
share[columns].map("{:.1%}".format).to_frame("empty").T

# %% [markdown] tags=["slide"]
# Before we ask why: many recipes begin with `table.dropna()`, "delete all rows with a gap". **Predict:** how many of our 6000 rows survive it? And if `hr_low`, the emptiest column, goes first?

# %%
my_guess_rows = ...  # rows that survive, a number

# %% tags=["slide"]
measured = table.drop(columns=["hr_low", "hr_low_err"])
print("dropna:", len(table.dropna()), "rows; without hr_low:", len(measured.dropna()))

# %% [markdown]
# **Your prediction:** none survives. Without `hr_low` it is two rows in a hundred. To see who these are we need a tool first.

# %% [markdown]
# ## A spread that counts sources
#
# 6000 rows look like 6000 pieces of evidence. They are not: pointings of one source resemble each other. A share of rows has a tiny error if rows are independent, and a large one if the sky had only 48 dice to throw. Ask what *other sources* would have given: draw sources with replacement, take all rows of each, measure again. That is the **bootstrap**, by source (a *cluster* bootstrap).

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
for name, label in (("object_label", "BH"), ("state_label", "LHS"), ("state_label", "SIMS")):
    here = (small[name] == label).mean()
    rows = np.sqrt(here * (1 - here) / len(small))
    sources = np.std([(sky[name] == label).mean() for sky in skies], ddof=1)
    print(
        f"{label:4s} {here:6.1%} of rows   ± {rows:.1%} if rows counted   ± {sources:.1%} by source"
    )

# %% [markdown]
# The naive error is too small everywhere, and worst for the object: a row has its own state, but it shares its object with all rows of its source. With sixteen black holes, of which a few have most rows, their share is known to a tenth or so, whatever the number of rows. Keep this function: nearly every number of this course should carry the larger error.

# %% [markdown]
# ## Why is a cell empty?
#
# Sort the pointings by brightness and ask, state by state, how often a column is empty. (*Border crossing, number one:* we use the state label. But we ask who is missing, not what the measured values say; and the answer decides whether rows may be deleted, which must be known before any split.)

# %%
looks = {"LHS": "C0o-", "HIMS": "C2^--", "SIMS": "C3s-.", "HSS": "C1D:"}
bright = pd.qcut(rate, 5, labels=False)
middle = rate.groupby(bright).median().to_numpy()
names = ["source_id", "state_label"]
gaps = table[["qpo_freq", "kt_in"]].isna().join(table[names]).assign(bright=bright)
skies = [gaps, *(resample_sources(gaps, generator) for _ in range(60))]
cells = ["state_label", "bright"]
empty, *others = [sky.groupby(cells)[["qpo_freq", "kt_in"]].mean() for sky in skies]
spread = pd.concat(others).groupby(level=[0, 1]).std()

# %% tags=["slide"]
fig, axes = plt.subplots(1, 2, sharey=True)
for ax, column in zip(axes, ("qpo_freq", "kt_in"), strict=True):
    for number, (state, look) in enumerate(looks.items()):
        x = middle * 1.06 ** (number - 1.5)  # side by side, so that error bars can be seen
        ax.errorbar(x, empty[column][state], spread[column][state], fmt=look, label=state)
    ax.set(xscale="log", title=column, xlabel="net rate of one detector (1/s)")
axes[0].set(ylabel="share of empty cells", ylim=(-0.05, 1.1))
axes[1].legend()
plotting.show(fig, "02_empty_cells")

# %% [markdown]
# Look at the left panel for a minute. In hard and intermediate states the QPO is *there*; whether the cell is filled is a question of photons. In the soft state more photons do not help: there is nothing. And on the right, the hard state lacks a disc at any brightness, though every textbook draws one: it is too cold for a telescope that begins at 3 keV.
#
# One empty cell, three meanings. Gaps that depend on nothing would be *missing completely at random*, and harmless. Ours depend on brightness, on the state, and on the very value that is missing: **not at random**. No fill-in rule can know that; you do. (There is a fourth meaning: `gamma` and `kt_in` are empty, too, where the fit ran into its limit. There *was* a number, but it was no measurement.)

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
# Now `dropna`, the experiment: delete all rows with a gap (but not for `hr_low`), compare who is left with who was there, and let other skies say how sure that is.

# %%
whole = measured.notna().all(axis=1)
few = table[["source_id", "object_label", "state_label"]].assign(rate=rate, whole=whole)


def portrait(rows):
    """Who is in these rows, in a few numbers."""
    shares = {f"{state} (%)": (rows.state_label == state).mean() for state in looks}
    shares["BH (%)"] = (rows.object_label == "BH").mean()
    shares["three sources (%)"] = rows.source_id.value_counts(normalize=True).iloc[:3].sum()
    return pd.Series({**(100 * pd.Series(shares)), "median rate (1/s)": rows.rate.median()})


skies = [resample_sources(few, generator) for _ in range(100)]
before, after = portrait(few), portrait(few[few.whole])
errors = [pd.DataFrame(map(portrait, rows)).std() for rows in (skies, [s[s.whole] for s in skies])]
result = pd.DataFrame({"all": before, "±": errors[0], "no gap": after, "± ": errors[1]})
result.round(1)

# %% [markdown]
# What is left of the archive is a club: bright, intermediate, richer in black holes, and about half of it from three sources. Not a single soft state. Whatever you train on these rows will never have seen four pointings in ten. The paper would say "we removed incomplete observations", and nobody would ask.
#
# The gap is a measurement: *this pointing has no QPO that we could see*. Lesson 05 keeps the row, fills the cell, and adds a column that says so.

# %% [markdown]
# ## The luckier half of the noise
#
# There is a quieter gap. A variance after noise subtraction may come out negative (lesson 01), and then there is no rms: the cell is empty. So where photons are few, an rms exists only if the noise happened to push *up*. Does it matter? Give every soft pointing of the archive the same true rms of 2 %, its own rate, background and exposure, and the noise of its photons. (A light curve in bins of $\Delta t$ = 1/128 s, source rate $S$, total rate $C$, exposure $T$: the error of the excess variance is $\sigma_F = (C/S^2)\sqrt{2/(T\,\Delta t)}$ where noise dominates; Vaughan et al. 2003.)

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
# A constant looks like a law. "Soft states vary more when they are faint" would be a fine abstract, and most of it is selection: only variances above zero have a root. (Most: the two curves are not the same. Lesson 04 parts black holes from neutron stars, and finds that for one of the two the fall is real.) *Border crossing, number two:* we have used rms and state together, to learn what an *existing* rms means. The moral for later: compare at equal brightness, or keep the variance with its sign.

# %% [markdown]
# ## Odd rows
#
# RXTE has three well-known accidents. In a **slew**, the telescope is still turning, and the source comes into view only after a while. An **X-ray burst**: a layer of nuclear fuel on the surface of a neutron star explodes, up within a second and gone within a minute. A **particle flare**: charged particles of the Earth's environment raise the background for some minutes, where nobody subtracts it. What would each do to a light curve? Sketch them. Before you run the cell, **predict**: which of the three has a negative *skew* (a longer tail towards low rates)?

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
fig, axes = plt.subplots(1, 3, figsize=(7.2, 2.4))
for ax, (name, expected) in zip(axes, sketches.items(), strict=True):
    counts = generator.poisson(expected)
    ax.plot(time, counts, linewidth=0.5)
    ax.set(title=name, xlabel="time (s)", ylim=(0, None))
    print(f"{name:15s} skew {pd.Series(counts).skew():5.1f}")
axes[0].set_ylabel("rate (1/s)")
plotting.show(fig, "02_sketches")

# %% [markdown]
# **Your prediction:** the slew has the negative skew.
#
# The skew of a light curve is one of our columns. It should sort the three. So look for rows whose skew is far from that of the others. In units of what?

# %% [markdown] tags=["slide"]
# ## Exercise 2.4 · A ruler that does not bend  ·  core · 10 min · ●●○
#
# The usual $z = (x - \bar x)/\sigma$ has a flaw: outliers stretch $\sigma$, and hide behind it. Use the median $m$, and the **median absolute deviation** $\mathrm{MAD} = \mathrm{median}\,|x - m|$, instead:
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
for name, z in {"usual": usual, "robust": robust_z(skew)}.items():
    print(f"{name:7s} below -5: {np.sum(z < -5):3d}    above 5: {np.sum(z > 5):3d}")

# %% [markdown]
# The usual ruler sees nothing on the negative side: three dozen bursts have made its standard deviation several times larger than the ordinary scatter. Now look at *two* columns: the skew, and how badly the spectral model fits.

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
# Four things stand off. A, B and C are where the sketches would put slews, bursts and flares. And D? Large $\chi^2$, but a perfectly normal light curve. Who are they? (*Border crossing, number three:* we ask for the labels of rows that were chosen without.)

# %%
burst = skew > 2  # no row has a skew between 1.6 and 4
flare = (table.red_chi2 > 50) & skew.between(0.6, 2)
top = (table.red_chi2 > 50) & (skew.abs() < 0.3)
counts = {n: table[rows].object_label.value_counts() for n, rows in (("B", burst), ("D", top))}
print(pd.DataFrame(counts).fillna(0).astype(int).T.to_string())
print("states in D:", table.state_label[top].value_counts().to_dict())

# %% [markdown]
# Every row in B is of a neutron star, as it must be: a black hole has no surface on which to burn. **A burst is the best evidence for a neutron star that there is.** A pipeline that cuts outliers at $5\sigma$ throws its best label away.
#
# D is almost all neutron stars in soft states, and nothing went wrong in them. (Almost. Keep the rest in mind.) It is *our model* that is wrong: a disc and a power law, without the hot layer where matter settles on a surface. Bright pointings have the photons to tell. An outlier is a question; sometimes the question is to you.
#
# Slews still bother us: those of faint sources hide in the noise. A slew is a *trend*; and the column `linear_trend` has a unit.

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
print(f"{slew.sum()} rows beyond 1; of these, {np.sum(slew & (robust_z(skew) < -5))} also by skew")

# %% [markdown]
# No algorithm was changed, only the unit. Divided by what it should be divided by, the column separates by itself. *A dimensionless number that physics suggests beats a threshold that statistics suggests.*
#
# Outside a simulation, this is where you stop. We may look at the truth: twice in this lesson, and to learn about our *method*, not to repair the rows.

# %%
truth = data.load_truth().set_index("obs_id").loc[table.obs_id].reset_index()
marks = {"slew": slew, "burst": burst, "flare": flare}
for name, marked in marks.items():
    real = truth.outlier == name
    print(
        f"{name:6s} {np.sum(marked & real)} of {real.sum()} found, {np.sum(marked & ~real)} false"
    )

# %% [markdown]
# Not one false alarm, and some flares missed. Three of those sat in group D, in plain sight: the hard states, where our model is *not* wrong. That is what an honest method section says.
#
# **What to do with each?** A *burst*: cut its minute out of the light curve and measure again; keep the row, and note the burst. A *slew*: cut the ramp out; its rms is wrong (a ramp is slow variability), its colours are not. A *flare*: background, colours, fit and rms are all wrong; use the quiet part, or leave it out and write the criterion down. If you have the summaries only, as we have, you can flag. What you cannot do is to let a column `burst` into the features for black hole or neutron star and call what comes out *learning*.

# %% [markdown]
# ## Filed under the wrong name
#
# Somebody tells you that five pointings in this archive are filed under the wrong source. Their light curves are fine, their spectra too. No histogram of the whole table will show them: each is a normal row, of somebody else. Look at each source *by itself*. What should not be there: a flux, a colour, a date?

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
# By outburst, five rows stand out by a year and more, and then comes a gap. By source alone it is harder: one of the five lies within weeks of another outburst of the same source, and would pass. (We were lucky that somebody filed the *outburst* too. And S13's two strays are each other's nearest neighbours: a month apart, they would have vouched for each other.)
#
# What about flux and colour? Measure each row against its own source, and count.

# %%
misfiled = truth.filed_under != ""
logs = {"rate": np.log10(rate), "hr_soft": np.log10(table.hr_soft)}
scores = {
    f"{name}, robust z > 3": np.abs(values.groupby(table.source_id).transform(robust_z)) > 3
    for name, values in logs.items()
}
scores |= {f"alone by {name} > 60 d": found[name] > 60 for name in found}
for name, marked in scores.items():
    print(
        f"{name:31s} {np.sum(marked & misfiled)} of 5 found, {np.sum(marked & ~misfiled):4d} false"
    )

# %% [markdown]
# Brightness and colour find nothing, and cry wolf hundreds of times: an outbursting source is its own outlier, over decades of flux and from hard to soft. The dates work since they do not depend on the state. (Their three false alarms are sparse outbursts with long gaps.) How many of the five would *you* have found, without the truth and without `outburst_id`?
#
# In a real archive, candidates are where it *starts*: go back to the pointing direction in the file header. Until somebody has, the rows get a flag.

# %% [markdown] tags=["slide"]
# **Discuss with your neighbour** (5 min; alone, write three sentences). Slews, bursts, flares, group D, five misfiled rows, pairs of pointings at the same time: which of these rows would you delete, at which point of the analysis, and what exactly would you write in the paper? Would a reader with your table and your sentence arrive at the same rows?

# %% [markdown]
# ## Who holds the rows?

# %%
fig, axes = plt.subplots(1, 2, sharey=True, width_ratios=(1, 1.7))
for ax, (kind, own) in zip(axes, table.groupby("object_label"), strict=True):
    counts = pd.crosstab(own.source_id, own.state_label)[list(looks)]
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False).index]
    bottom = np.zeros(len(counts))
    for (state, look), hatch in zip(looks.items(), ("", "//", "xx", ".."), strict=True):
        style = {"color": look[:2], "hatch": hatch, "edgecolor": "white", "linewidth": 0}
        ax.bar(range(len(counts)), counts[state], bottom=bottom, label=state, **style)
        bottom += counts[state].to_numpy()
    largest = np.sum(np.sort(bottom)[-2:]) / bottom.sum()
    effective = bottom.sum() ** 2 / np.sum(bottom**2)
    print(f"{kind}: {len(own)} rows, {largest:.0%} of them of two sources; n_eff = {effective:.1f}")
    ax.set(title=f"{len(counts)} {kind} sources", xlabel="source, by number of rows", xticks=[])
axes[0].set_ylabel("pointings")
axes[1].legend()
plotting.show(fig, "02_pointings_per_source")

# %% [markdown]
# $n_\mathrm{eff} = (\sum n_i)^2/\sum n_i^2$, with $n_i$ rows of source $i$, is the number of *equal* sources that would be as uneven. Sixteen black holes count like a handful. "Accuracy on black holes" is, row by row, the accuracy on two of them.

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
for name in ("state_label", "object_label"):
    here = baseline(table[name], table.source_id)
    spread = np.std([baseline(sky[name], sky.source_id)[0] for sky in skies], ddof=1)
    print(f"{name}: {here[0]:.1%} of rows (± {spread:.1%}), {here[1]:.1%} mean of the sources")
most = [sky.state_label.value_counts().index[0] for sky in skies]
print("most frequent state on other skies:", pd.Series(most).value_counts().to_dict())
print("trust in the label of the state:", table.label_trust.value_counts().to_dict())

# %% [markdown]
# These numbers are the zero of every scale to come. A paper that reports 65 % for black hole or neutron star has learned next to nothing. A classifier that *never* names a SIMS loses hardly any accuracy: lesson 06 finds better metrics. Even which state is the most frequent depends on whom the sky put into the archive.
#
# `label_trust` says how sure the human reader was. Four rows in ten have less than an A. Keep the column; lesson 08 will hold the errors of a model against it.

# %% [markdown] tags=["slide"]
# ## A first diagram
#
# After so much bookkeeping, one look at physics. (*Border crossing, number four:* one outburst of one source, which will be a training source.) In lesson 01 we sketched how an outburst turns soft at one luminosity and hard again at another.

# %%
own = table[table.source_id == "S02"].assign(rate_1=rate)
outburst = own[own.outburst_id == "R008"]
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
plotting.hardness_intensity(ax, own, outburst="R008")
ax.set(xlabel="colour 6–10 / 3–6 keV (Crab)", ylabel="net rate per PCU, 3–25 keV (1/s)")
plotting.mark_guess(ax, my_guess, axis="y")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
plotting.show(fig, "02_hardness_intensity")
last = outburst[outburst.state_label == "HSS"].rate_1.iloc[-3:].median()
print(f"it left the soft state at {last:.0f} counts/s per detector: a factor of {first / last:.0f}")

# %% [markdown]
# **Your prediction:** it left the soft state at 60 counts/s, 14 times fainter than it had entered it.
#
# This is **hysteresis**, seen through a whole chain of mended columns: per detector, in Crab units, logarithmic, by outburst, in order of time. Leave one of them out, and the loop is blurred or torn. Exploring is not what you do before the science starts. It is the start.

# %% [markdown] tags=["slide"]
# ## Exercise 2.7 · Whose business is it?  ·  core · 8 min · ●●○
#
# Close with a list. Eight findings: in which step of the course is each dealt with first? `"now"`: mend, flag or ask today. `"split"` (lesson 03): what may be on both sides. `"pre-processing"` (05): what happens to every column before a model sees it. `"metric"` (06): how the result is judged.

# %%
# solution: does it concern the meaning of a cell, the kinship of rows, the form of a column, or the score?
findings = {
    "the rate is that of all detectors together": "now",
    "five rows lie years away from their outburst": "now",
    "hr_low is empty in every row": "now",
    "pointings of one outburst look alike, day after day": "split",
    "flux, rate and lag lie ten decades apart": "pre-processing",
    "the QPO columns are empty in two rows of three": "pre-processing",
    "who never names a SIMS loses hardly any accuracy": "metric",
    "a few sources hold most rows, and each row counts the same": "metric",
}
# end solution

findings = check.findings(findings)

# %%
checklist = pd.DataFrame({"finding": findings.keys(), "dealt with": findings.values()})
steps = ["now", "split", "pre-processing", "metric"]
checklist.sort_values("dealt with", key=lambda column: column.map(steps.index), kind="stable")

# %% [markdown]
# Copy it into your own project and fill it with your own table. It is the best first page a data paper can have.

# %% [markdown] tags=["slide"]
# ## What we learned
#
# - A column is a type, a unit and a meaning. In the right unit, some problems solve themselves.
# - An empty cell has a reason: nothing there, too faint, wrong telescope. Deleting rows with gaps left a few bright transitions of a few sources.
# - What exists only where noise was kind (an rms, a colour, a QPO) follows the brightness.
# - An outlier is a question: slew, burst, flare, a wrong name, or a wrong model of ours.
# - Count sources, not rows: for the error of a share, for a baseline, and from the next lesson on for every score.

# %% [markdown]
# **Further reading.** V. Acquaviva, *Machine Learning for Physics and Astronomy* (Princeton 2023): exploring data before models · J. Buchner & S. Fotopoulou, [arXiv:2502.08222](https://arxiv.org/abs/2502.08222): how to set up a project · D. Baron, [arXiv:1904.07248](https://arxiv.org/abs/1904.07248): outliers and how to find them · scikit-learn user guide, [Imputation of missing values](https://scikit-learn.org/stable/modules/impute.html): what the tools can do.
