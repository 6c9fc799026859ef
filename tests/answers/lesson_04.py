"""Answers to the exercises of lesson 04: other right routes, and wrong ones with their hints."""

import numpy as np
import pandas as pd
from scipy import stats

from answers import changed
from course.checks import lesson_04


def separation_by_ranks(first, second):
    first, second = first.dropna(), second.dropna()
    u = stats.mannwhitneyu(second, first).statistic
    return u / len(first) / len(second)


def separation_by_loop(first, second):
    first = sorted(first.dropna())
    below = [
        np.searchsorted(first, v) + np.searchsorted(first, v, "right") for v in second.dropna()
    ]
    return np.mean(below) / len(first) / 2


def spearman_by_scipy(x, y):
    return stats.spearmanr(x, y, nan_policy="omit").statistic


def rms_by_loop(true_rms, error, generator):
    variances = [true_rms**2 + e * generator.standard_normal() for e in error]
    return [np.sqrt(v) if v > 0 else float("nan") for v in variances]


def rms_by_numpy(true_rms, error, generator):
    return np.sqrt(true_rms**2 + error * generator.standard_normal(len(error)))


OTHER_ROUTES = [
    (lesson_04.separation, separation_by_ranks),
    (lesson_04.separation, separation_by_loop),
    (lesson_04.spearman, spearman_by_scipy),
    (lesson_04.spearman, lambda x, y: x.corr(y, method="spearman")),
    (lesson_04.observed_rms, rms_by_loop),
    (lesson_04.observed_rms, rms_by_numpy),
]


def every_pair(first, second):
    return first.to_numpy()[:, None], second.to_numpy()


def separation_without_ties(first, second):
    first, second = every_pair(first.dropna(), second.dropna())
    return np.mean(second > first)


def separation_with_holes(first, second):
    first, second = every_pair(first, second)
    return np.mean(second > first) + np.mean(second == first) / 2


def ranks_before_pairs(x, y):
    return np.corrcoef(*(pd.Series(v).rank().fillna(0) for v in (x, y)))[0, 1]


def ranks_by_double_argsort(x, y):
    kept = x.notna() & y.notna()
    return np.corrcoef(*(np.argsort(np.argsort(v[kept])) for v in (x, y)))[0, 1]


def noise_on_the_rms(true_rms, error, generator):
    value = true_rms + generator.normal(0, error)
    return np.where(value > 0, value, np.nan)


def zero_for_negative(true_rms, error, generator):
    return np.sqrt(np.clip(generator.normal(true_rms**2, error), 0, None))


def sign_forgotten(true_rms, error, generator):
    return np.sqrt(np.abs(generator.normal(true_rms**2, error)))


def sign_kept(true_rms, error, generator):
    variance = generator.normal(true_rms**2, error)
    return np.sign(variance) * np.sqrt(np.abs(variance))


WRONG = [
    (
        lesson_04.sentences,
        changed(lesson_04.sentences.reference(), blind_to="gamma", soft_photons="hue"),
        "steeper",
    ),
    (
        lesson_04.sentences,
        changed(lesson_04.sentences.reference(), where_flat="qpo_freq", a_narrow="nu_break"),
        "not that of a peak",
    ),
    (lesson_04.separation, lambda a, b: lesson_04._separation(b, a), "other way round"),
    (lesson_04.separation, separation_without_ties, "one half"),
    (lesson_04.separation, separation_with_holes, "take no part"),
    (lesson_04.separation, lambda a, b: float(b.mean() > a.mean()), "two means"),
    (lesson_04.separation, lambda a, b: (b > a.reindex(b.index)).mean(), "row with row"),
    (
        lesson_04.separation,
        lambda a, b: stats.mannwhitneyu(b.dropna(), a.dropna()).statistic,
        "number of pairs",
    ),
    (lesson_04.separation, lambda a, b: 0.5, "of our own"),
    (lesson_04.separation, lambda a, b: np.mean(b > a.median()), "median of the first only"),
    (lesson_04.separation, lambda a, b: np.mean(b > a), "makes a column of the first"),
    (
        lesson_04.spearman,
        lambda x, y: np.corrcoef(x.dropna().rank(), y.dropna().rank())[0, 1],
        "both",
    ),
    (
        lesson_04.observed_rms,
        lambda r, e, g: np.sqrt(r**2 + e * g.normal()),
        "one for each element",
    ),
    (
        lesson_04.separation,
        lambda a, b: max(lesson_04._separation(a, b), lesson_04._separation(b, a)),
        "below 1/2",
    ),
    (lesson_04.spearman, lambda x, y: x.corr(y), "Pearson's r"),
    (lesson_04.spearman, lambda x, y: abs(x.corr(y, method="spearman")), "wrong sign"),
    (lesson_04.spearman, lambda x, y: x.corr(y, method="spearman") ** 2, "the square"),
    (lesson_04.spearman, lambda x, y: x.corr(y, method="kendall"), "Kendall"),
    (lesson_04.spearman, lambda x, y: np.corrcoef(np.argsort(x), np.argsort(y))[0, 1], "argsort"),
    (lesson_04.spearman, ranks_by_double_argsort, "without ties"),
    (lesson_04.spearman, lambda x, y: np.corrcoef(x.rank(), y.rank())[0, 1], "NaN"),
    (lesson_04.spearman, ranks_before_pairs, "then rank those"),
    (lesson_04.spearman, lambda x, y: x.rank().corr(y.rank()), "then rank those"),
    (lesson_04.spearman, lambda x, y: 0.0, "falling curve"),
    (lesson_04.observed_rms, noise_on_the_rms, "another amount"),
    (lesson_04.observed_rms, zero_for_negative, "Nobody measured a zero"),
    (lesson_04.observed_rms, sign_forgotten, "no root"),
    (lesson_04.observed_rms, sign_kept, "negative"),
    (
        lesson_04.observed_rms,
        lambda r, e, g: np.maximum(g.normal(r**2, e), 1e-12),
        "That is the variance",
    ),
    (lesson_04.observed_rms, lambda r, e, g: rms_by_numpy(np.sqrt(r), e, g), "is the square"),
    (lesson_04.observed_rms, lambda r, e, g: rms_by_numpy(r, np.sqrt(e), g), "another amount"),
    (
        lesson_04.observed_rms,
        lambda r, e, g: rms_by_numpy(r, e, np.random.default_rng(5)),
        "same numbers every time",
    ),
    (
        lesson_04.verdicts,
        changed(lesson_04.verdicts.reference(), exposure="use"),
        "ask for more time",
    ),
    (
        lesson_04.verdicts,
        changed(lesson_04.verdicts.reference(), lum_edd_est="use"),
        "which mass",
    ),
    (lesson_04.verdicts, changed(lesson_04.verdicts.reference(), rate="use"), "twice the distance"),
]
