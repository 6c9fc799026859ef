"""Checks of lesson 02: exploring the data, part I."""

import numpy as np
import pandas as pd

from helpers import resampling

from . import Hint, array, exercise, function, number, sorting

__all__ = [
    "baseline",
    "days_alone",
    "findings",
    "per_detector",
    "reasons",
    "resample_sources",
    "robust_z",
]


def _same(found, right):
    return np.allclose(found, right, rtol=1e-6)


def _two(value, what):
    """The two parts of an answer."""
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise Hint(f"Expected two things from your function: {what}.")
    return value


def _per_detector(table):
    return table.rate / table.n_det, table.rate_err / table.n_det


@exercise("Exercise 2.1", reference=lambda: _per_detector)
def per_detector(answer):
    """A function: table (n,) -> net rate of one detector (n,), its error (n,)."""
    answer = function(answer)
    generator = np.random.default_rng(21)
    n = 40
    table = pd.DataFrame(
        {"n_det": generator.integers(1, 6, n), "rate": generator.uniform(-1, 500, n)}
    )
    table["rate_err"] = generator.uniform(0.1, 3, n)
    names = ("net rate of one detector", "its error")
    value = _two(answer(table.copy()), " and ".join(names))
    n_det, right = table.n_det.to_numpy(), table.rate / table.n_det
    if np.shape(value[1]) == (n,) and np.array_equal(pd.isna(value[1]), right < 0):
        raise Hint(
            "The error is measured, in `rate_err`: a root of the net rate forgets background and exposure."
        )
    rate, error = (array(part, (n,), name) for part, name in zip(value, names, strict=True))
    right_error = table.rate_err / table.n_det
    if _same(rate, right_error) and _same(error, right):
        raise Hint("The rate first, its error second.")
    if _same(rate, table.rate):
        raise Hint("That is still the rate of all detectors together.")
    if _same(rate, table.rate * n_det):
        raise Hint("Five detectors count more than one does: divide.")
    if _same(rate, table.rate / 5):
        raise Hint("Not all five detectors are on all the time: `n_det` says how many are.")
    if not _same(rate, right):
        raise Hint(
            f"{table.rate[0]:.1f}/s in {n_det[0]} detectors is {right[0]:.1f}/s in one; yours is {rate[0]:.1f}."
        )
    if _same(error, table.rate_err):
        raise Hint("The rate is right; its error is still that of all detectors together.")
    if _same(error, table.rate_err / np.sqrt(n_det)):
        raise Hint(
            "The root belongs to a mean of independent errors; here one measured sum, error and all, is divided by a "
            "number."
        )
    if not _same(error, right_error):
        raise Hint("The rate is right. If a number is divided by n_det, what happens to its error?")


@exercise("Exercise 2.2", reference=lambda: resampling.resample_sources)
def resample_sources(answer):
    """A function: table, generator -> table with the rows of as many sources, drawn with replacement."""
    answer = function(answer)
    sizes = {"S01": 40, "S02": 3, "S03": 8, "S04": 1, "S05": 14, "S06": 2, "S07": 5}
    names = np.random.default_rng(22).permutation(np.repeat(list(sizes), list(sizes.values())))
    table = pd.DataFrame({"source_id": names, "obs_id": [f"R{k:05d}" for k in range(len(names))]})
    table["state_label"] = "LHS"

    def times(seed):
        """How often each source came, in one draw."""
        drawn = answer(table.copy(), np.random.default_rng(seed))
        if not isinstance(drawn, pd.DataFrame) or not set(table) <= set(drawn):
            kind = type(drawn).__name__
            raise Hint(f"Expected a table with the columns of the one given, not a {kind}.")
        count = drawn.obs_id.value_counts().reindex(table.obs_id, fill_value=0)
        if count.sum() != len(drawn):
            raise Hint("Some of your rows are not in the table given.")
        of_source = count.groupby(table.source_id.to_numpy())
        if (of_source.max() != of_source.min()).any():
            raise Hint(
                "Some sources came with a part of their rows: draw names of sources, not rows."
            )
        return of_source.max()

    draws = pd.DataFrame([times(seed) for seed in range(300)])
    total = draws.sum(axis=1)
    if (draws == draws.iloc[0]).all(axis=None):
        if (draws == 1).all(axis=None):
            raise Hint("That is the same sky again, whatever the generator: draw with replacement.")
        raise Hint("It draws the same sources every time: use the `generator` that it is given.")
    if (draws.max(axis=None) <= 1) and (total < len(sizes)).any():
        raise Hint("A source that is drawn twice must bring its rows twice.")
    if (total != len(sizes)).any():
        raise Hint(
            f"Of a table with {len(sizes)} sources, {len(sizes)} draws are wanted; "
            f"yours made {total.iloc[0]}."
        )
    # Two skies of so few sources are the same by chance in one case of eight hundred: five pairs never are.
    if any((times(seed) != draws.iloc[seed]).any() for seed in range(5)):
        raise Hint(
            "With the same seed it gives another sky: chance must come from the `generator` that it is given."
        )
    # Each source comes once on average, and the number of times is binomial.
    error = np.sqrt((1 - 1 / len(sizes)) / len(draws))
    if (draws.mean() - 1).abs().max() > 5 * error:
        raise Hint(
            f"The largest source comes {draws.mean()['S01']:.1f} times on average: each source has the same chance, "
            "however many rows it has."
        )


reasons = sorting(
    "Exercise 2.3",
    {
        "hr_low, 1-2 over 0.5-1 keV, in any row": (
            "not with RXTE",
            "at which energy does RXTE begin to see?",
        ),
        "qpo_freq, in a soft state of 3000/s in each detector": (
            "nothing there",
            "photons abound. Look at the line of HSS in the left panel.",
        ),
        "qpo_freq, in a hard state of 4/s in each detector": (
            "too faint",
            "what happens to hard states in the left panel when they get brighter?",
        ),
        "lag_1_10, in a hard state of 3/s in each detector": (
            "too faint",
            "a lag compares two light curves; how many photons would it take?",
        ),
        "kt_in, in a bright hard state whose disc NICER measures at 0.2 keV": (
            "not with RXTE",
            "the disc is there, and the photons are many. Which of them does RXTE get?",
        ),
        "nu_break, in a bright soft state with a plain 1/f power spectrum": (
            "nothing there",
            "a plain power law has no break, however well it is measured.",
        ),
    },
)


def _robust_z(values):
    values = np.asarray(values, dtype=float)
    distance = values - np.nanmedian(values)
    return distance / (1.4826 * np.nanmedian(np.abs(distance)))


@exercise("Exercise 2.4", reference=lambda: lambda values: values * 0 + _robust_z(values))
def robust_z(answer):
    """A function: column (n,) -> robust z-scores (n,), NaN where the column is."""
    answer = function(answer)
    generator = np.random.default_rng(24)
    n = 400
    for middle, width, gaps in ((5.0, 2.0, 0), (-0.3, 0.01, 30)):
        x = generator.normal(middle, width, n)
        x[:60] += width * generator.uniform(20, 60, 60)  # outliers, all on one side
        x = generator.permutation(x)
        x[:gaps] = np.nan
        there = np.arange(n) >= gaps
        value = answer(pd.Series(x.copy(), index=np.arange(n) + 7))
        z = np.asarray(value, dtype=float) if np.size(value) == n else value
        if gaps and np.size(z) == n and np.isnan(z).all():
            raise Hint("One gap, and all is NaN: the median must leave gaps out.")
        if gaps and np.size(z) == n and np.isfinite(z[~there]).any():
            raise Hint("A gap must stay a gap: no cell may get a z-score that has no value.")
        if np.size(z) == np.sum(there) < n:
            raise Hint(
                "A gap must stay a gap: as many z-scores as rows, NaN where there is no value."
            )
        z = array(np.where(there, z, 0.0) if np.size(z) == n else z, (n,), "z-scores")[there]
        kept = x[there]
        right = _robust_z(kept)
        distance = kept - np.median(kept)
        if np.allclose(z, right, rtol=2e-3):
            continue
        if np.allclose(z, np.abs(right), rtol=2e-3):
            raise Hint("Keep the sign: a slew and a burst are on different sides.")
        if np.allclose(z, 1.4826 * right, rtol=2e-3):
            raise Hint(
                "Without the factor 1.4826 a Gaussian does not get the z-scores that it should."
            )
        if np.allclose(z, 1.4826**2 * right, rtol=2e-3):
            raise Hint("The factor 1.4826 belongs to the MAD, in the denominator.")
        if np.allclose(z, distance / kept.std(), rtol=5e-3):
            raise Hint("The standard deviation is the ruler that bends: use the MAD.")
        if np.allclose(z, (kept - kept.mean()) / kept.std(), rtol=5e-3):
            raise Hint("That is the usual z-score: outliers move its mean and stretch its ruler.")
        deviation = np.abs(kept - kept.mean())
        if any(
            np.allclose(z, distance / factor / ruler, rtol=2e-3)
            for factor in (1, 1.4826)
            for ruler in (np.mean(np.abs(distance)), deviation.mean(), np.median(deviation))
        ):
            raise Hint("A mean is left in your ruler: MAD is the median of |x - median|.")
        ruler = np.median(np.abs(distance))
        if np.allclose(z, (kept - kept.mean()) / (1.4826 * ruler), rtol=2e-3):
            raise Hint("The ruler is right; lay it at the median, not at the mean.")
        if np.allclose(z, distance / 1.4826 * ruler, rtol=2e-3):
            raise Hint("Mind the parentheses: divide by the whole of 1.4826 MAD.")
        if np.abs(z).max() > 1e6:
            raise Hint("The median of x - m is zero: take the modulus |x - m| before its median.")
        raise Hint(
            "Of 400 numbers with outliers, the largest should get "
            f"{right[np.argmax(right)]:.1f}; yours gets {z[np.argmax(right)]:.1f}."
        )


def _days_alone(table, by):
    mjd = table.groupby(by).mjd
    return np.fmin(table.mjd - mjd.shift(1), mjd.shift(-1) - table.mjd)


@exercise("Exercise 2.5", reference=lambda: _days_alone)
def days_alone(answer):
    """A function: table (n,), name of a column -> days to the nearest other row with the same entry (n,)."""
    answer = function(answer)
    generator = np.random.default_rng(25)
    n = 60
    outbursts = np.concatenate([np.repeat(np.arange(6), 4), generator.integers(0, 6, n - 24)])
    mjd = np.sort(50_000 + generator.uniform(0, 5000, n).round(1))
    table = pd.DataFrame(
        {"mjd": mjd, "outburst_id": [f"R{k}" for k in generator.permutation(outbursts)]}
    )
    table["source_id"] = table.outburst_id.map(lambda name: f"S{int(name[1:]) // 2}")
    for by in ("source_id", "outburst_id"):
        days = answer(table.copy(), by)
        same = table[by].to_numpy()[:, None] == table[by].to_numpy()
        apart = mjd[:, None] - mjd
        others = np.where(same & ~np.eye(n, dtype=bool), apart, np.nan)
        right = np.nanmin(np.abs(others), axis=1)
        gaps = np.diff(mjd)
        ungrouped = np.fmin(np.append(np.nan, gaps), np.append(gaps, np.nan))
        known = np.size(days) == n and np.isfinite(np.asarray(days, dtype=float))
        if np.sum(known) >= n - 2 and np.allclose(np.asarray(days)[known], ungrouped[known]):
            raise Hint(
                "That is the nearest pointing at any source: look within each group of `by`."
            )
        before = np.nanmin(np.where(others > 0, others, np.inf), axis=1)
        after = np.nanmin(np.where(others < 0, -others, np.inf), axis=1)
        for side, word in ((before, "before"), (after, "after")):
            inside = np.isfinite(side)
            if np.size(days) == n and np.allclose(np.asarray(days)[inside], side[inside]):
                raise Hint(
                    f"That looks only at the pointing {word}; the nearest may be on the other side."
                )
        if not np.all(known) and np.size(days) == n:
            raise Hint(
                "The first and the last of each group have one neighbour only: let it count, instead of NaN."
            )
        days = array(days, (n,), "days")
        if np.allclose(days, right, atol=1e-6):
            continue
        if np.allclose(np.abs(days), right, atol=1e-6):
            raise Hint("That is the nearest one, but a distance has no sign.")
        if np.allclose(days, 0):
            raise Hint(
                "All zero: each pointing is nearest to itself. Look for the nearest *other*."
            )
        if np.allclose(np.sort(days), np.sort(right), atol=1e-6):
            raise Hint("The right numbers, in another order than the rows of the table.")
        other = "outburst_id" if by == "source_id" else "source_id"
        if np.allclose(days, _days_alone(table, other), atol=1e-6):
            raise Hint(f"Asked for the same {by}, yours looks at {other}: use `by`.")
        both = np.isfinite(before + after)
        if np.allclose(days[both], np.fmax(before, after)[both], atol=1e-6):
            raise Hint(
                "Of the pointing before and the one after, take the nearer, not the farther."
            )
        if (days < 0).any():
            raise Hint(
                "Some of your days are negative: the difference to the pointing after has the other sign."
            )
        row = int(np.argmax(np.abs(days - right)))
        raise Hint(
            f"With a table of ours, the nearest other pointing of row {row} is {right[row]:.1f} days away; "
            f"you have {days[row]:.1f}."
        )


def _baseline(labels, sources):
    right = labels == labels.value_counts().index[0]
    return right.mean(), right.groupby(sources).mean().mean()


@exercise("Exercise 2.6", reference=lambda: _baseline)
def baseline(answer):
    """A function: labels (n,), sources (n,) -> accuracy over rows, mean accuracy of sources."""
    answer = function(answer)
    labels, sources = [], []
    # The most frequent label of all rows (b) is that of one large source; most sources have another.
    for name, (a, b, c) in {
        "S1": (10, 90, 4),
        "S2": (9, 3, 0),
        "S3": (8, 3, 1),
        "S4": (5, 0, 9),
    }.items():
        labels += ["a"] * a + ["b"] * b + ["c"] * c
        sources += [name] * (a + b + c)
    order = np.random.default_rng(26).permutation(len(labels))
    labels = pd.Series(labels)[order].reset_index(drop=True)
    sources = pd.Series(sources)[order].reset_index(drop=True)
    value = _two(answer(labels.copy(), sources.copy()), "accuracy over rows, mean of all sources")
    rows, mean = (number(part, "an accuracy") for part in value)
    right_rows, right_mean = _baseline(labels, sources)
    if np.isclose(rows, right_mean) and np.isclose(mean, right_rows):
        raise Hint("Over rows first, over sources second.")
    if np.isclose(rows, (labels == "b").sum()) or np.isclose(rows, 100 * right_rows):
        raise Hint("An accuracy is a share, from 0 to 1: the mean of right or wrong.")
    if np.isclose(rows, 1 / labels.nunique()):
        raise Hint(
            "That is the score of guessing at random among the labels; this one always names the same."
        )
    if not np.isclose(rows, right_rows):
        raise Hint(
            f"Of {len(labels)} rows the most frequent label has {(labels == 'b').sum()}; that is "
            f"{right_rows:.3f}, and yours {rows:.3f}."
        )
    own = labels.groupby(sources).agg(lambda x: x.value_counts(normalize=True).iloc[0]).mean()
    if np.isclose(mean, own):
        raise Hint(
            "One label for all: yours names the favourite of each source, which nobody knows beforehand."
        )
    if np.isclose(mean, right_rows):
        raise Hint(
            "The second weighs sources by their rows: a mean of each source first, then the mean of those."
        )
    if np.isclose(mean, (labels == "a").groupby(sources).mean().mean()):
        raise Hint(
            "The second names another label than the first: the most frequent one of all rows."
        )
    if not np.isclose(mean, right_mean):
        raise Hint(
            "The first is right. The second: the share of right rows in each source, then the mean of these "
            f"shares: {right_mean:.3f} here, and yours is {mean:.3f}."
        )


findings = sorting(
    "Exercise 2.7",
    {
        "the rate is that of all detectors together": (
            "now",
            "no later step can know what the number means; you can, and it is one line.",
        ),
        "five rows lie years away from their outburst": (
            "now",
            "who would find them later? Somebody has to be asked.",
        ),
        "hr_low is empty in every row": (
            "now",
            "there is nothing to learn from, to fill, or to scale.",
        ),
        "pointings of one outburst look alike, day after day": (
            "split",
            "what happens if Monday is for learning and Tuesday for the exam?",
        ),
        "flux, rate and lag lie ten decades apart": (
            "pre-processing",
            "the numbers are right; it is their form that a model cannot use.",
        ),
        "the QPO columns are empty in two rows of three": (
            "pre-processing",
            "the cells are rightly empty, but a model wants a number in each.",
        ),
        "who never names a SIMS loses hardly any accuracy": (
            "metric",
            "is it the table that is at fault here, or the way to keep the score?",
        ),
        "a few sources hold most rows, and each row counts the same": (
            "metric",
            "counts for what? The last words are the ones to think about.",
        ),
    },
)
