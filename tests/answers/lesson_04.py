"""Answers to the exercises of lesson 04: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd
from scipy import stats

from answers import changed
from course.checks import lesson_04 as check


def separation_by_ranks(first, second):
    first, second = first.dropna(), second.dropna()
    return stats.mannwhitneyu(second, first).statistic / len(first) / len(second)


def separation_by_search(first, second):
    first, second = np.sort(first.dropna()), second.dropna()
    below = first.searchsorted(second) + first.searchsorted(second, "right")
    return np.mean(below) / len(first) / 2


def separation_by_random_pairs(first, second):
    generator = np.random.default_rng(0)
    first, second = (generator.choice(group.dropna(), 100_000) for group in (first, second))
    return np.mean(second > first) + np.mean(second == first) / 2


def spearman_by_scipy(x, y):
    return stats.spearmanr(x, y, nan_policy="omit").statistic


def spearman_of_a_table(x, y):
    return pd.DataFrame({"x": x, "y": y}).dropna().rank().corr().iloc[0, 1]


def rms_by_loop(true_rms, error, generator):
    variances = [true_rms**2 + e * generator.standard_normal() for e in error]
    return [np.sqrt(v) if v > 0 else None for v in variances]


def rms_by_numpy(true_rms, error, generator):
    return np.sqrt(true_rms**2 + error * generator.standard_normal(len(error)))


def rms_from_uniform_numbers(true_rms, error, generator):
    return stats.norm.ppf(generator.random(len(error)), true_rms**2, error) ** 0.5


OTHER_ROUTES = [
    (check.separation, separation_by_ranks),
    (check.separation, separation_by_search),
    (check.spearman, spearman_by_scipy),
    (check.spearman, spearman_of_a_table),
    (check.spearman, lambda x, y: x.corr(y, method="spearman")),
    (check.observed_rms, rms_by_loop),
    (check.observed_rms, rms_by_numpy),
    (check.observed_rms, rms_from_uniform_numbers),
]

EXEMPT = {(check.spearman, "arguments 0 and 1 swapped"): "a correlation is symmetric"}

WRONG = [
    (check.sentences, changed(check.sentences.reference(), soft_photons="hue"), "steeper"),
    (check.sentences, changed(check.sentences.reference(), where_flat="qpo_freq"), "not that of"),
    (check.separation, separation_by_random_pairs, "without draws"),
    (check.separation, lambda *groups: round(separation_by_ranks(*groups), 2), "round nothing"),
    (check.separation, lambda first, second: 0.5, "of our own"),
    (check.spearman, lambda x, y: 0.0, "of our own"),
    (check.observed_rms, lambda rms, error, generator: np.full(3, rms), "of shape"),
    (check.observed_rms, lambda rms, *rest: rms_by_numpy(rms / 2, *rest), "another way than ours"),
    (check.observed_rms, lambda *given: np.float16(rms_by_numpy(*given)), "all digits"),
    (check.verdicts, changed(check.verdicts.reference(), exposure="use"), "ask for more time"),
    (check.verdicts, changed(check.verdicts.reference(), lum_edd_est="use"), "which mass"),
]
