"""Checks of lesson 04: exploring the data, part II."""

import numpy as np
import pandas as pd

from . import Hint, array, exercise, function, number, sorting

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


def _separation(first, second):
    first, second = first.dropna().to_numpy()[:, None], second.dropna().to_numpy()
    return np.mean(second > first) + np.mean(second == first) / 2


@exercise("Exercise 4.2", reference=lambda: _separation)
def separation(answer):
    """A function: two Series -> share of pairs in which the second is larger, 0 to 1."""
    answer = function(answer)
    generator = np.random.default_rng(142)
    first = pd.Series(generator.lognormal(0, 1, 130))
    second = pd.Series(generator.lognormal(0.7, 1, 90), index=range(7, 97))

    def ask(one, other):
        try:
            return number(answer(one.copy(), other.copy()), "a share of pairs")
        except ValueError as problem:
            raise Hint(
                "The groups differ in size and in their rows: .to_numpy()[:, None] makes a column of the first, which "
                f"then meets every value of the second ({problem})."
            ) from None

    right, found = _separation(first, second), ask(first, second)
    if not np.isclose(found, right, atol=1e-9):
        if np.isclose(found, 1 - right, atol=1e-9):
            raise Hint("The other way round: count the pairs in which the *second* is larger.")
        if np.isclose(found, right * len(first) * len(second)):
            raise Hint("That is the number of pairs; divide by how many there are.")
        if np.isclose(found, np.mean(second) > np.mean(first)):
            raise Hint(
                "That compares two means or medians; compare every value with every other, then count."
            )
        if np.isclose(found, np.mean(second > first.median())):
            raise Hint("That compares with the median of the first only; compare with every value.")
        matched = [np.mean(second.to_numpy() > first.to_numpy()[: len(second)])]
        matched.append(np.mean((second > first.reindex(second.index)).to_numpy()))
        if any(np.isclose(found, value) for value in matched):
            raise Hint(
                "That compares row with row; every value of one with every value of the other."
            )
        raise Hint(f"For two groups of our own we find {right:.5f}, and you {found:.5f}.")
    if not np.isclose(ask(second, first), 1 - right, atol=1e-9):
        raise Hint("It must fall below 1/2 where the second group is the smaller one.")
    ties = pd.Series([1.0, 2.0, 2.0]), pd.Series([2.0, 3.0])
    found = ask(*ties)
    if not np.isclose(found, _separation(*ties)):
        raise Hint("Equal values count one half: two groups that are alike must give 1/2.")
    holes = first.mask(first > 1.5), second.mask(second < 0.6)
    if not np.isclose(ask(*holes), _separation(*holes), atol=1e-9):
        raise Hint(
            "Missing values take no part, neither above nor below the line: drop them first."
        )


def _spearman(x, y):
    complete = x.notna() & y.notna()
    return np.corrcoef(x[complete].rank(), y[complete].rank())[0, 1]


@exercise("Exercise 4.3", reference=lambda: _spearman)
def spearman(answer):
    """A function: two Series of one index -> Spearman's rank correlation of the complete pairs."""
    answer = function(answer)
    generator = np.random.default_rng(43)
    x = pd.Series(generator.normal(0, 1, 80))
    y = -x + generator.normal(0, 1, 80)
    curve = np.exp(3 * y)

    def ask(one, other):
        return number(answer(one.copy(), other.copy()), "a correlation")

    right, found = _spearman(x, curve), ask(x, curve)
    if not np.isclose(found, right, atol=1e-9):
        if np.isclose(found, x.corr(curve)):
            raise Hint("That is Pearson's r of the values: take the ranks first.")
        if np.isclose(found, -right):
            raise Hint("It has the wrong sign: a falling relation is negative.")
        if np.isclose(found, right**2):
            raise Hint("That is the square, and does not tell rising from falling.")
        order = np.corrcoef(np.argsort(x), np.argsort(curve))[0, 1]
        if np.isclose(found, order):
            raise Hint(
                "argsort tells where the smallest value *is*, not which rank a value has: Series.rank()."
            )
        if np.isclose(found, x.corr(curve, method="kendall")):
            raise Hint("That is Kendall's tau, another fine measure; correlate the ranks here.")
        raise Hint(f"For a falling curve with scatter we find {right:.3f}, and you {found:.3f}.")
    steps = (2 * x).round(), y.round()
    if not np.isclose(ask(*steps), _spearman(*steps), atol=1e-9):
        raise Hint(
            "Right without ties, and not with them: equal values share the mean of their ranks."
        )
    holes = x.mask(x > 0.8), y.mask(y < -0.5)
    try:
        value = answer(*(series.copy() for series in holes))
    except ValueError as problem:
        raise Hint(
            "With missing values the two get different lengths: keep the rows in which *both* are known "
            f"({problem})."
        ) from None
    if np.ndim(value) == 0 and np.isnan(value):
        raise Hint("With missing values yours is NaN: use the pairs in which both are known.")
    value = number(value, "a correlation")
    if not np.isclose(value, _spearman(*holes), atol=1e-9):
        raise Hint(
            "With missing values it is off: first keep the pairs in which *both* are known, then rank those."
        )


def _observed_rms(true_rms, error, generator):
    variance = generator.normal(true_rms**2, error)
    return np.where(variance > 0, np.sqrt(np.abs(variance)), np.nan)


@exercise("Exercise 4.4", reference=lambda: _observed_rms)
def observed_rms(answer):
    """A function: true rms, errors of the variances (n,), generator -> measured rms (n,), NaN where none."""
    answer = function(answer)
    n, true = 40_000, 0.05
    for error in (1e-5, 0.004):  # far below, and above, the true variance of 0.0025
        errors = np.full(n, error)
        try:
            with np.errstate(invalid="ignore"):
                found = np.asarray(answer(true, errors.copy(), np.random.default_rng(1)), float)
                again = np.asarray(answer(true, errors.copy(), np.random.default_rng(2)), float)
        except (TypeError, ValueError) as problem:
            raise Hint(f"Expected an array of numbers, one for each error ({problem}).") from None
        if found.shape == (n,) and np.isnan(found).all():
            raise Hint("All of yours are NaN: is the variance the true one plus an error?")
        array(np.nan_to_num(found), (n,), "one rms for each error")
        known = found[np.isfinite(found)]
        if np.array_equal(found, again, equal_nan=True):
            raise Hint("It gives the same numbers every time: draw the errors with `generator`.")
        if (known < 0).any():
            raise Hint("Some rms are negative: where the variance is, there is no root, but NaN.")
        right = _observed_rms(true, errors, np.random.default_rng(3))
        if error == 1e-5:
            if abs(known.mean() - true**2) < 1e-4:
                raise Hint("That is the variance: the table holds its root.")
            if abs(known.mean() - np.sqrt(true)) < 1e-2:
                raise Hint("The true variance is the square of `true_rms`.")
            if known.std() < 1e-9:
                raise Hint(
                    "All pointings get the same error: draw one for each element of `error`."
                )
            if abs(known.std() / np.nanstd(right) - 1) > 0.05:
                raise Hint(
                    "With a small error yours scatter by another amount: add the error to the *variance*, not to "
                    "the rms; it is a standard deviation."
                )
            continue
        empty, expected = np.isnan(found).mean(), np.isnan(right).mean()
        if (known == 0).mean() > 0.05:
            raise Hint("Not zero where the variance is negative: NaN. Nobody measured a zero.")
        if empty == 0:
            raise Hint(
                f"None of yours is empty, where the variance should be negative in {expected:.0%}: no root, so NaN."
            )
        if abs(empty - expected) > 0.02:
            raise Hint(f"{empty:.0%} of yours are empty and {expected:.0%} of ours.")
        if abs(np.median(known) / np.nanmedian(right) - 1) > 0.03:
            raise Hint(
                f"With a large error your median rms is {np.median(known):.4f}, and ours {np.nanmedian(right):.4f}."
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
            "who wrote it, and what had he just decided?",
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
