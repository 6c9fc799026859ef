"""Checks of lesson 02: exploring the data, part I."""

import functools

import numpy as np
import pandas as pd

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, repeatable, sorting
from helpers import resampling

__all__ = [
    "baseline",
    "days_alone",
    "findings",
    "per_detector",
    "reasons",
    "resample_sources",
    "robust_z",
]


def _per_detector(table):
    """A function: table (n,) -> net rate of one detector (n,), its error (n,)."""
    n_det = table.n_det.to_numpy()
    return table.rate.to_numpy() / n_det, table.rate_err.to_numpy() / n_det


def _some_pointings():
    tables = []
    for seed, n in ((21, 40), (22, 25)):
        generator = np.random.default_rng(seed)
        n_det = generator.permutation([1, 2, 3, 4, 5] * (n // 5))
        rate, rate_err = generator.uniform(-50, 500, n), generator.uniform(0.1, 3, n)
        tables.append((pd.DataFrame({"n_det": n_det, "rate": rate, "rate_err": rate_err}),))
    return tables


per_detector = by_example(
    "Exercise 2.1",
    _per_detector,
    _some_pointings,
    {
        "The rate first, its error second.": lambda t: _per_detector(t)[::-1],
        "That is still the rate of all detectors together.": lambda t: (t.rate, t.rate_err),
        "Five detectors count more than one does: divide.": lambda t: (
            t.rate * t.n_det,
            t.rate_err * t.n_det,
        ),
        "Not all five detectors are on all the time: `n_det` says how many are.": lambda t: (
            (t.rate / 5, t.rate_err / 5)
        ),
        "The rate is right; its error is still that of all detectors together.": lambda t: (
            (t.rate / t.n_det, t.rate_err)
        ),
        "The root belongs to a mean of independent errors; here one measured sum, error and all, is divided by a "
        "number.": lambda t: (t.rate / t.n_det, t.rate_err / np.sqrt(t.n_det)),
        "The error is measured, in `rate_err`: a root of the net rate forgets background and exposure.": [
            lambda t: (t.rate / t.n_det, np.sqrt(t.rate / t.n_det)),
            lambda t: (t.rate / t.n_det, np.sqrt(t.rate) / t.n_det),
        ],
    },
    returns=forms.tuple_of(
        "net rate of one detector, and its error", *[forms.array("a number for each row")] * 2
    ),
    otherwise="For the {part} of one detector we find {ours} where you find {yours}: n_det divides the number and its "
    "error.",
    names=("net rate", "error of the rate"),
)


def _like_the_table(value, given=()):
    """Form of a table with the columns of the given one, and rows numbered from 0."""
    value = forms.table("a table with the columns of the one given")(value, given)
    if missing := [name for name in given[0] if name not in value]:
        raise Hint(f"Your table lacks the column {missing[0]}, which the table given has.")
    return value[list(given[0])].sort_index(kind="stable").reset_index(drop=True)


@functools.cache
def _sky(sizes):
    """Return a table with these numbers of rows of sources, its values, its keys, and the source of each row."""
    owner = np.random.default_rng(22).permutation(np.repeat(np.arange(len(sizes)), sizes))
    table = pd.DataFrame(
        {
            "source_id": [f"S{number:02d}" for number in owner],
            "obs_id": [f"R{k}" for k in range(len(owner))],
            "rate": np.arange(len(owner)) + 0.5,
        }
    )
    return table, table.to_numpy(), pd.Index(table.obs_id), owner


@exercise(
    "Exercise 2.2",
    reference=lambda: resampling.resample_sources,
    form=forms.function(_like_the_table),
)
def resample_sources(answer):
    """A function: table, generator -> table with the rows of as many sources, drawn with replacement."""

    def times(sizes, generator):
        """How often each source came, in one draw."""
        table, values, keys, owner = _sky(sizes)
        drawn = answer(table.copy(), generator)
        rows = keys.get_indexer(drawn.obs_id)
        if (rows < 0).any() or (drawn.to_numpy() != values[rows]).any():
            raise Hint("Some of your rows are not in the table given: bring each as it is there.")
        count = np.bincount(rows, minlength=len(table))
        of_source = count[np.unique(owner, return_index=True)[1]]
        if (count != of_source[owner]).any():
            raise Hint(
                "Some sources came with a part of their rows: draw names of sources, not rows."
            )
        return of_source

    sizes = (40, 3, 8, 1, 14, 2, 5)
    draws = np.array([times(sizes, np.random.default_rng(seed)) for seed in range(100)])
    made = draws.sum(axis=1)
    if draws.max() == 1 and np.ptp(made) > 0:
        raise Hint("A source that is drawn twice must bring its rows twice.")
    if strange := set(made) - {7}:
        raise Hint(f"Of a table with 7 sources, 7 draws are wanted; yours made {min(strange)}.")
    if np.all(draws == 1):
        raise Hint("That is the same sky again, whatever the generator: draw with replacement.")
    repeatable(lambda generator: times((2, 1) * 20, generator))  # never equal by chance
    # Each source comes once on average, and the number of times is binomial.
    mean, error = np.mean(draws, axis=0), np.sqrt((1 - 1 / 7) / len(draws))
    if np.abs(mean - 1).max() > 5 * error:
        raise Hint(
            f"The largest source comes {mean[0]:.1f} times on average, and the smallest {mean[3]:.1f} times: each "
            "source has the same chance, however many rows it has."
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


def _mad(values):
    return (values - values.median()).abs().median()


def _robust_z(values):
    """A function: column (n,) -> robust z-scores (n,), NaN where the column is."""
    return np.array((values - values.median()) / (1.4826 * _mad(values)))


def _some_columns():
    generator, columns = np.random.default_rng(24), []
    for middle, width, gaps in ((5.0, 2.0, 0), (-0.3, 0.01, 30)):
        x = generator.normal(middle, width, 400)
        x[:60] += width * generator.uniform(20, 60, 60)  # outliers, all on one side
        x[370 : 370 + gaps] = np.nan
        columns.append((pd.Series(generator.permutation(x), index=np.arange(400) + 7),))
    return columns


robust_z = by_example(
    "Exercise 2.4",
    _robust_z,
    _some_columns,
    {
        "One gap, and all is NaN: the median must leave gaps out.": [
            lambda x: (x - np.median(x)) / (1.4826 * np.median(np.abs(x - np.median(x)))),
            lambda x: (x - x.median()) / (1.4826 * np.median((x - x.median()).abs())),
        ],
        "A gap must stay a gap: as many z-scores as rows, NaN where there is no value.": [
            lambda x: _robust_z(x.dropna()),
            lambda x: pd.Series(_robust_z(x)).fillna(0),
            lambda x: _robust_z(x.fillna(x.median())),
        ],
        "Keep the sign: a slew and a burst are on different sides.": lambda x: abs(_robust_z(x)),
        "Without the factor 1.4826 a Gaussian does not get the z-scores that it should.": lambda x: (
            1.4826 * _robust_z(x)
        ),
        "The factor is 1.4826, with all of its digits.": lambda x: _robust_z(x) * 1.4826 / 1.48,
        "The factor 1.4826 belongs to the MAD, in the denominator.": lambda x: (
            1.4826**2 * _robust_z(x)
        ),
        "Mind the parentheses: divide by the whole of 1.4826 MAD.": lambda x: (
            (x - x.median()) / 1.4826 * _mad(x)
        ),
        "The standard deviation is the ruler that bends: use the MAD.": lambda x: (
            (x - x.median()) / x.std()
        ),
        "That is the usual z-score: outliers move its mean and stretch its ruler.": lambda x: (
            (x - x.mean()) / x.std()
        ),
        "A mean is left in your ruler: MAD is the median of |x - median|.": [
            lambda x: (x - x.median()) / (1.4826 * (x - x.median()).abs().mean()),
            lambda x: (x - x.median()) / (1.4826 * (x - x.mean()).abs().median()),
            lambda x: (x - x.mean()) / (1.4826 * (x - x.mean()).abs().median()),
        ],
        "The ruler is right; lay it at the median, not at the mean.": lambda x: (
            (x - x.mean()) / (1.4826 * _mad(x))
        ),
        "The median of x - m is zero: take the modulus |x - m| before its median.": [
            lambda x: (x - x.median()) / (1.4826 * (x - x.median()).median()),
            lambda x: (x - x.median()) / (x - x.median()).median(),
        ],
    },
    returns=forms.array("z-scores"),
    otherwise="In a column with outliers we find a z-score of {ours} where you find {yours}.",
    rtol=1e-4,
    atol=1e-4,
)


def _sides(table, by):
    """Return days since the previous and to the next pointing with the same `by`; NaN if there is none."""
    mjd = table.groupby(by).mjd
    return table.mjd - mjd.shift(1), mjd.shift(-1) - table.mjd


def _days_alone(table, by):
    """A function: table (n,), name of a column -> days to the nearest other row with the same entry (n,)."""
    return np.fmin(*map(np.asarray, _sides(table, by)))


def _some_outbursts():
    questions = []
    for seed, by in ((25, "source_id"), (26, "outburst_id")):
        generator = np.random.default_rng(seed)
        outburst = generator.permutation(np.repeat(np.arange(9), [20, 12, 8, 6, 5, 3, 2, 1, 1]))
        mjd = np.sort(50_000 + generator.uniform(0, 5000, len(outburst)).round(1))
        own = np.flatnonzero(outburst == 0)
        mjd[own[5] : own[6] + 1] = mjd[own[5]]  # two pointings of one outburst at the same time
        table = pd.DataFrame({"mjd": mjd, "outburst_id": [f"R{number}" for number in outburst]})
        table["source_id"] = [f"S{number // 2}" for number in outburst]
        questions.append((table, by))
    return questions


def _without_equal_dates(table, by):
    mjd, name = table.mjd.to_numpy(), table[by].to_numpy()
    apart = abs(mjd - mjd[:, None])
    days = np.where((name == name[:, None]) & (apart > 0), apart, np.inf).min(axis=1)
    return np.where(np.isfinite(days), days, np.nan)


def _signed(table, by):
    before, after = _sides(table, by)
    return np.where(_days_alone(table, by) == after, after, -before)


def _filled(days, table, by):
    """Return whether all is right except where there is no other pointing."""
    right = _days_alone(table, by)
    there = np.isfinite(right)
    return days.shape == right.shape and np.allclose(days[there], right[there])


days_alone = by_example(
    "Exercise 2.5",
    _days_alone,
    _some_outbursts,
    {
        "That is the nearest pointing at any source: look within each group of `by`.": [
            lambda t, by: np.fmin(t.mjd.diff(), -t.mjd.diff(-1)),
            lambda t, by: np.minimum(t.mjd.diff(), -t.mjd.diff(-1)),
        ],
        "That looks only at the pointing before; the nearest may be on the other side.": [
            lambda t, by: _sides(t, by)[0],
            lambda t, by: _sides(t, by)[0].fillna(_sides(t, by)[1]),
        ],
        "That looks only at the pointing after; the nearest may be on the other side.": [
            lambda t, by: _sides(t, by)[1],
            lambda t, by: _sides(t, by)[1].fillna(_sides(t, by)[0]),
        ],
        "The first and the last of each group have one neighbour only: let it count, instead of NaN.": (
            lambda t, by: np.minimum(*_sides(t, by))
        ),
        "All zero: each pointing is nearest to itself. Look for the nearest *other*.": (
            lambda t, by: 0 * t.mjd
        ),
        "Two pointings at the same time are 0 days apart: leave out the row itself, not all that lie at distance "
        "zero.": _without_equal_dates,
        "That is the nearest one, but a distance has no sign.": [
            _signed,
            lambda *given: -_signed(*given),
            lambda *given: -_days_alone(*given),
        ],
        "The difference to the pointing after has the other sign, and a negative number is always the smaller.": (
            lambda t, by: np.fmin(_sides(t, by)[0], -_sides(t, by)[1])
        ),
        "Of the pointing before and the one after, take the nearer, not the farther.": [
            lambda t, by: np.fmax(*_sides(t, by)),
            lambda t, by: np.maximum(*_sides(t, by)),
        ],
        "Yours looks at the same column whatever it is asked for: use `by`.": [
            lambda t, by: _days_alone(t, "source_id"),
            lambda t, by: _days_alone(t, "outburst_id"),
        ],
        "Days, please, as in the column `mjd`: nothing to convert.": [
            lambda *given, f=f: _days_alone(*given) * f for f in (24, 1440, 86400)
        ],
        "The right numbers, in another order than the rows of the table.": [
            lambda t, by: _days_alone(t.sort_values(by, kind="stable"), by),
            lambda *given: np.sort(_days_alone(*given)),
        ],
    },
    returns=forms.array("days, NaN where there is no other pointing"),
    signs={
        "A pointing without any other of the same entry has no such number: NaN there.": _filled
    },
    otherwise="Asked for {1}, we find a pointing whose nearest other one is {ours} days away; you have {yours}.",
)


def _most_frequent(labels):
    return labels.value_counts().index[0]


def _scores(right, sources):
    return right.mean(), right.groupby(sources).mean().mean()


def _baseline(labels, sources):
    """A function: labels (n,), sources (n,) -> accuracy over rows, mean accuracy of sources."""
    return _scores(labels == _most_frequent(labels), sources)


def _some_labels():
    # The most frequent label of all rows is that of one large source, and neither first nor last; most have another.
    one = {"S1": (10, 90, 4), "S2": (9, 4, 0), "S3": (8, 3, 1), "S4": (5, 0, 9)}
    other = {"T1": (1, 6, 2), "T2": (70, 5, 9), "T3": (2, 0, 7), "T4": (3, 9, 1), "T5": (0, 4, 1)}
    questions = []
    for numbers, names in ((one, "abc"), (other, "zyx")):
        numbers = pd.DataFrame(numbers, list(names)).stack()
        rows = numbers.index.repeat(numbers).to_frame(False, ["label", "source"])
        rows = rows.sample(frac=1, random_state=173, ignore_index=True)
        questions.append((rows.label, rows.source))
    return questions


def _favourites(labels, sources):
    return labels.groupby(sources).agg(_most_frequent)


baseline = by_example(
    "Exercise 2.6",
    _baseline,
    _some_labels,
    {
        "Over rows first, over sources second.": lambda *given: _baseline(*given)[::-1],
        "An accuracy is a share, from 0 to 1: the mean of right or wrong.": [
            lambda *given: [100 * score for score in _baseline(*given)],
            lambda x, s: (sum(x == _most_frequent(x)), sum(x == _most_frequent(x)) / s.nunique()),
        ],
        "That is the score of guessing at random among the labels; this one always names the same.": (
            lambda x, s: [1 / x.nunique()] * 2
        ),
        "One label for all: yours names the favourite of each source, which nobody knows beforehand.": (
            lambda x, s: _scores(x == s.map(_favourites(x, s)), s)
        ),
        "The most frequent label wins, not that of the first or last row, nor the rarest: count them.": [
            lambda x, s: _scores(x == x.iloc[0], s),
            lambda x, s: _scores(x == x.iloc[-1], s),
            lambda x, s: _scores(x == x.value_counts().index[-1], s),
        ],
        "The second weighs sources by their rows: a mean of each source first, then the mean of those.": (
            lambda *given: [_baseline(*given)[0]] * 2
        ),
        "The most frequent label is that of all rows, for both numbers; yours is that of most sources.": (
            lambda x, s: _scores(x == _most_frequent(_favourites(x, s)), s)
        ),
    },
    returns=forms.tuple_of(
        "accuracy over rows, mean of all sources", *[forms.number("an accuracy")] * 2
    ),
    otherwise="Right or wrong row by row; its mean, and the mean of its mean in each source: we find {ours} where you "
    "find {yours}.",
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
            "no later step finds them: ask the archive now, and flag them until it answers.",
        ),
        "hr_low is empty in every row": (
            "now",
            "there is nothing to learn from, to fill, or to scale.",
        ),
        "pointings of one outburst look alike, day after day": (
            "split",
            "if the model learns from Monday's pointing, how new is Tuesday's to it?",
        ),
        "flux, rate and lag lie ten decades apart": (
            "pre-processing",
            "the numbers are right; it is their form that a model cannot use.",
        ),
        "the QPO columns are empty in two rows of three": (
            "pre-processing",
            "the cells are rightly empty, but a model wants a number in each.",
        ),
        "a model that never names a SIMS loses hardly any accuracy": (
            "metric",
            "the table is right; the way in which we keep the score does not notice.",
        ),
        "a few sources hold most rows, and each row counts the same": (
            "metric",
            "where does each row count the same, unless you weigh it? In the score.",
        ),
    },
)
