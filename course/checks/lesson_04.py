"""Checks of lesson 04: exploring the data, part II."""

from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from course.checks import Hint, forms
from course.checks.examples import by_example, repeatable, sorting

__all__ = [
    "observed_rms",
    "sentences",
    "separation",
    "spearman",
    "verdicts",
]

sentences = sorting(
    "Exercise 4.1",
    {
        "a steady disc outshines the flickering corona: falls about tenfold from LHS to HSS": (
            "rms_0p1_64",
            "what flickers less is less variable.",
        ),
        "soft photons of the disc cool the corona, which scatters them less: grows from LHS to HSS": (
            "gamma",
            "fewer scatterings lift fewer photons to high energies: the spectrum gets steeper.",
        ),
        "measured only where the disc is hot and bright enough to be seen above 3 keV": (
            "kt_in",
            "which column describes the disc itself?",
        ),
        "where flat noise begins to fall; scales as 1/M": (
            "nu_break",
            "it is a frequency, and not that of a peak.",
        ),
        "a narrow peak: there or not, and seen or not, so most rows are empty": (
            "qpo_freq",
            "a narrow peak in a power spectrum has a name.",
        ),
        "blind to how strong the variability is: only how it is spread over four bands": (
            "hue",
            "it is made of ratios of variances, and a factor common to all cancels.",
        ),
        "the small delay of one energy band behind another; may be negative": (
            "lag_1_10",
            "a delay is measured in seconds.",
        ),
        "needs no model, but every telescope has its own": (
            "hr_soft",
            "lesson 01 measured it with five telescopes.",
        ),
    },
)


def _separation(first, second, tie=0.5):
    """A function: two Series -> share of pairs in which the second is larger, 0 to 1."""
    return _of_pairs(first.dropna(), second.dropna(), tie)


def _of_pairs(first, second, tie=0.5):
    first, second = first.to_numpy()[:, None], second.to_numpy()
    return np.mean(second > first) + tie * np.mean(second == first)


def _some_groups():
    generator = np.random.default_rng(142)
    first = pd.Series(generator.lognormal(0, 1, 130) - 0.5)
    second = pd.Series(generator.lognormal(0.7, 1, 90) - 0.5, index=range(7, 97))
    holes = first.mask(first > 1.5), second.mask(second < 0.6)
    return [(first, second), (second, first - 1), (first.round(), second.round()), holes]


separation = by_example(
    "Exercise 4.2",
    _separation,
    _some_groups,
    {
        "It must fall below 1/2 where the second group is the smaller one.": (
            lambda *groups: max(_separation(*groups), 1 - _separation(*groups))
        ),
        "The other way round: count the pairs in which the *second* is larger.": (
            lambda first, second: _separation(second, first)
        ),
        "A share lies between 0 and 1, not 100.": lambda *groups: 100 * _separation(*groups),
        "Two groups that are alike must give 1/2, not 0: count the pairs, without 2 x - 1.": (
            lambda first, second: 2 * _separation(first, second) - 1
        ),
        "That is the number of pairs; divide by how many there are.": (
            lambda first, second: _separation(first, second) * first.count() * second.count()
        ),
        "That compares two means or medians; compare every value with every other, then count.": [
            lambda first, second: float(second.mean() > first.mean()),
            lambda first, second: np.mean(second > first.median()),
        ],
        "That compares row with row; every value of one with every value of the other.": [
            lambda first, second: np.mean([b > a for a, b in zip(first, second, strict=False)]),
            lambda first, second: np.mean(second - first > 0),
        ],
        "The groups differ in size and in their rows: .to_numpy()[:, None] makes a column of the first, which then "
        "meets every value of the second.": [
            lambda first, second: np.mean(second > first),
            lambda first, second: np.mean(second.to_numpy() > first.to_numpy()),
        ],
        "Equal values count one half: two groups that are alike must give 1/2.": [
            partial(_separation, tie=0),
            partial(_separation, tie=1),
        ],
        "Missing values take no part, neither above nor below the line: drop them first.": [
            _of_pairs,
            lambda first, second: _of_pairs(first.dropna(), second),
            lambda first, second: _of_pairs(first, second.dropna()),
            lambda first, second: stats.mannwhitneyu(second, first)[0] / len(first) / len(second),
        ],
    },
    returns=forms.number("a share of pairs"),
    otherwise="For two groups of our own we find {ours}, and you {yours}.",
    signs={
        "Close to ours, but not equal: compare every value with every other, without draws, and round nothing.": (
            lambda found, *groups: abs(found - _separation(*groups)) < 0.02
        ),
    },
)


def _spearman(x, y, rank=pd.Series.rank):
    """A function: two Series of one index -> Spearman's rank correlation of the complete pairs."""
    complete = x.notna() & y.notna()
    return np.corrcoef(rank(x[complete]), rank(y[complete]))[0, 1]


def _some_relations():
    generator = np.random.default_rng(43)
    x = pd.Series(generator.normal(0, 1, 80), index=generator.permutation(80) + 100)
    y = -x + generator.normal(0, 1, 80)
    steps, holes = ((2 * x).round(), y.round()), (x.mask(x > 0.8), y.mask(y < -0.5))
    return [(x, np.exp(3 * y)), (y, x**3 + 2 * y), steps, holes]


def _by_formula(x, y):
    n = x.count()
    return 1 - 6 * np.sum((x.rank() - y.rank()) ** 2) / (n * (n**2 - 1))


spearman = by_example(
    "Exercise 4.3",
    _spearman,
    _some_relations,
    {
        "That is Pearson's r of the values: take the ranks first.": lambda x, y: x.corr(y),
        "Only one of the two is ranked: rank both.": lambda x, y: x.rank().corr(y),
        "It has the wrong sign: a falling relation is negative.": [
            lambda x, y: -_spearman(x, y),
            lambda x, y: abs(_spearman(x, y)),
        ],
        "The square does not tell rising from falling.": lambda x, y: _spearman(x, y) ** 2,
        "argsort tells where the smallest value *is*, not which rank a value has: Series.rank().": (
            partial(_spearman, rank=np.argsort)
        ),
        "That is Kendall's tau, another fine measure; correlate the ranks here.": (
            partial(pd.Series.corr, method="kendall")
        ),
        "The covariance takes n - 1 and numpy's standard deviation n: one of them for both, or np.corrcoef.": [
            lambda x, y: _spearman(x, y) * (x.count() - 1) / x.count(),
            lambda x, y: _spearman(x, y) * x.count() / (x.count() - 1),
        ],
        "The formula with squared differences of ranks is exact without ties only: correlate the ranks.": (
            _by_formula
        ),
        "Right without ties, and not with them: equal values share the mean of their ranks.": [
            partial(_spearman, rank=lambda values: values.to_numpy().argsort().argsort()),
            partial(_spearman, rank=partial(pd.Series.rank, method="min")),
        ],
        "With missing values the two get different lengths: keep the rows in which *both* are known.": (
            lambda x, y: np.corrcoef(x.dropna().rank(), y.dropna().rank())[0, 1]
        ),
        "With missing values yours is NaN: use the pairs in which both are known.": (
            lambda x, y: np.corrcoef(x.rank(), y.rank())[0, 1]
        ),
        "With missing values it is off: first keep the pairs in which *both* are known, then rank those.": [
            lambda x, y: x.rank().corr(y.rank()),
            lambda x, y: _spearman(x.fillna(0), y.fillna(0)),
        ],
    },
    returns=forms.number("a correlation"),
    otherwise="For two related Series of our own we find {ours}, and you {yours}.",
)


def _observed_rms(true_rms, error, generator):
    """A function: true rms, errors of the variances (n,), generator -> measured rms (n,), NaN where none."""
    return _root(generator.normal(true_rms**2, error))


def _root(variance, otherwise=np.nan):
    return np.where(variance > 0, np.sqrt(np.abs(variance)), otherwise)


def _some_errors():
    return [
        (true_rms, pd.Series(np.tile(errors, 10_000), index=range(30_100, 100, -1)), generator)
        for true_rms, errors, generator in (
            (0.05, [0.0002, 0.0005, 0.006], np.random.default_rng(441)),
            (0.03, [0.004, 0.0001, 0.002], np.random.default_rng(442)),
        )
    ]


def _moments(rms):
    """Means and standard deviations for each of three errors; NaN counts as a number far away."""
    rms = np.nan_to_num(rms, nan=0.3).reshape(-1, 3)
    return np.concatenate([rms.mean(axis=0), rms.std(axis=0)])


def _drawn_and_unrounded(answer):
    rms = repeatable(lambda generator: np.float32(answer(0.05, _some_errors()[0][1], generator)))
    there = rms[np.isfinite(rms)]
    if len(np.unique(there)) < 0.9 * len(there):
        raise Hint("Many of your rms are equal: draw each error by itself, and keep all digits.")


observed_rms = by_example(
    "Exercise 4.4",
    _observed_rms,
    _some_errors,
    {
        "That is the variance: the table holds its root.": [
            lambda rms, error, generator: generator.normal(rms**2, error),
            lambda *given: _observed_rms(*given) ** 2,
        ],
        "The true variance is the square of `true_rms`.": (
            lambda rms, *rest: _observed_rms(np.sqrt(rms), *rest)
        ),
        "All pointings get the same error: draw one for each element of `error`.": (
            lambda rms, error, generator: _root(rms**2 + error * generator.normal())
        ),
        "Add the error to the *variance*, not to the rms.": [
            lambda rms, error, generator: generator.normal(rms, error),
            lambda rms, error, generator: generator.normal(rms, error / (2 * rms)),
            lambda rms, error, generator: _root(generator.normal(rms, error)) ** 2,
        ],
        "`error` is a standard deviation, each element that of its own pointing: take it as it is.": [
            lambda rms, error, generator: _observed_rms(rms, np.sqrt(error), generator),
            lambda rms, error, generator: _observed_rms(rms, 0 * error + error.mean(), generator),
        ],
        "The error is normal: it may have both signs, and its standard deviation is `error`.": [
            lambda rms, error, generator: _root(
                rms**2 + error * generator.uniform(-1, 1, len(error))
            ),
            lambda rms, error, generator: _root(rms**2 + abs(generator.normal(0, error))),
        ],
        "Not zero where the variance is negative: NaN. Nobody measured a zero.": (
            lambda rms, error, generator: _root(generator.normal(rms**2, error), 0)
        ),
        "Where the variance is negative, it has no root, neither positive nor negative: NaN.": [
            lambda rms, error, generator: np.sqrt(abs(generator.normal(rms**2, error))),
            lambda rms, error, generator: (v := generator.normal(rms**2, error)) / abs(v) ** 0.5,
        ],
    },
    returns=forms.array("one rms for each error, NaN where there is none"),
    otherwise="With a true rms of {0} yours are spread in another way than ours: check what is squared, what is added, "
    "and what has a root.",
    rtol=0.05,
    seen=_moments,
    then=_drawn_and_unrounded,
)


verdicts = sorting(
    "Exercise 4.5",
    {
        "rms_0p1_64, for the state": ("use", "it is measured, and physics says why it helps."),
        "nu_break, for the object": (
            "use",
            "a frequency that scales as 1/M knows the mass by physics, for any source.",
        ),
        "disc_frac, for the object in soft states": (
            "use",
            "nobody put the object in; the fit fails differently for the two, and that is measured.",
        ),
        "exposure, for the state": ("knows the label", "why did somebody ask for more time?"),
        "label_trust, for the state": (
            "knows the label",
            "who wrote it, and after which decision?",
        ),
        "mjd, for the object": (
            "knows the source",
            "what makes one date more black-hole-like than another?",
        ),
        "rate, for the object": (
            "knows the source",
            "the same object at twice the distance has a quarter of it.",
        ),
        "outburst_id, for the object": (
            "knows the source",
            "which outbursts will the next source have?",
        ),
        "lum_edd_est, for the object": (
            "assumes the answer",
            "read its meaning in train.attrs: which mass went in?",
        ),
        "hr_3_10 beside hr_soft, for the state": ("a twin", "what is their Spearman correlation?"),
    },
)
