"""Answers to the exercises of lesson 01: other right routes, and wrong ones with their hints."""

import numpy as np

from answers import changed
from course.checks import lesson_01
from helpers.spectra import power_law


def excess_variance_of_the_population(counts):
    return (np.var(counts) - counts.mean()) / counts.mean() ** 2


def periodogram_by_full_fft(counts, bin_size):
    n = len(counts)
    half = slice(1, (n + 1) // 2)
    return np.fft.fftfreq(n, bin_size)[half], 2 * np.abs(
        np.fft.fft(counts)[half]
    ) ** 2 / counts.sum()


def fit_by_slope(counts, fold, chosen):
    """Photon index by least squares in the logarithm, which is another honest route."""
    grid = np.arange(1, 3, 0.005)
    scatter = [np.std(np.log(counts[chosen] / fold(index)[chosen])) for index in grid]
    return grid[np.argmin(scatter)]


OTHER_ROUTES = [
    (lesson_01.excess_variance, excess_variance_of_the_population),
    (lesson_01.leahy_periodogram, periodogram_by_full_fft),
    (lesson_01.photon_index, fit_by_slope),
    (lesson_01.twice_as_far, lambda x, g: g.binomial(x, 0.25)),
    (lesson_01.twice_as_far, lambda x, g: [np.sum(g.random(int(n)) < 0.25) for n in x]),
]


def hardness_by_mean(response, index):
    counts = np.asarray(response.fold(power_law(response.energy_lo, response.energy_hi, index, 1)))
    middle = np.asarray(response.channel_lo + response.channel_hi) / 2
    soft, hard = (counts[(middle >= a) & (middle < b)].mean() for a, b in ((3, 5), (5, 10)))
    return hard / soft


WRONG = [
    (lesson_01.excess_variance, lambda x: np.var(x) / np.mean(x) ** 2, "subtract"),
    (
        lesson_01.excess_variance,
        lambda x: (np.var(x) - np.mean(x)) / np.mean(x),
        "mean squared",
    ),
    (
        lesson_01.excess_variance,
        lambda x: np.sqrt(max(np.var(x) - np.mean(x), 0)) / np.mean(x),
        "leave the root out",
    ),
    (
        lesson_01.excess_variance,
        lambda x: (np.std(x) - np.mean(x)) / np.mean(x) ** 2,
        "standard deviation",
    ),
    (lesson_01.excess_variance, lambda x: np.var(x) - x.mean() / x.mean() ** 2, "parentheses"),
    (lesson_01.excess_variance, lambda x: 0.3, "should give"),
    (
        lesson_01.excess_variance,
        lambda x: abs(np.var(x) - x.mean()) / x.mean() ** 2,
        "its sign",
    ),
    (
        lesson_01.excess_variance,
        lambda x: max(np.var(x) - x.mean(), 0) / x.mean() ** 2,
        "its sign",
    ),
    (lesson_01.leahy_periodogram, lambda x, dt: np.abs(np.fft.rfft(x)) ** 2, "two arrays"),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (np.fft.rfftfreq(x.size, dt), np.abs(np.fft.rfft(x)) ** 2),
        "f = 0",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (np.fft.rfftfreq(x.size, dt)[1:], np.fft.rfft(x)[1:]),
        "complex",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            np.fft.rfftfreq(x.size, dt)[1:],
            np.abs(np.fft.rfft(x))[1:] ** 2 / x.sum(),
        ),
        "factor of 2",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            np.fft.rfftfreq(x.size, dt)[1:],
            2 * np.abs(np.fft.rfft(x))[1:] ** 2 / x.size,
        ),
        "number of photons",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            np.fft.rfftfreq(x.size)[1:],
            2 * np.abs(np.fft.rfft(x))[1:] ** 2 / x.sum(),
        ),
        "not in Hz",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            2 * np.abs(np.fft.rfft(x))[1:] ** 2 / x.sum(),
            np.fft.rfftfreq(x.size, dt)[1:],
        ),
        "Frequencies first",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (
            np.fft.rfftfreq(x.size, dt)[1:],
            2 * np.abs(np.fft.rfft(x))[1:] / x.sum(),
        ),
        "shape of the formula",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: lesson_01._photon_index(c, fold, np.ones_like(m)),
        "fits all channels",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: np.argmin([np.sum((c - fold(i))[m] ** 2) for i in lesson_01._GRID]) + 9,
        "a position or a χ²",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: min(
            lesson_01._GRID,
            key=lambda i: np.sum((c - fold(i) * c.sum() / fold(i).sum())[m] ** 2 / c[m]),
        ),
        "not in all of them",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: min(
            lesson_01._GRID,
            key=lambda i: np.sum((c - fold(i) * c[m].sum() / fold(i)[m].sum())[m] ** 2),
        ),
        "same weight",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: min(
            np.arange(1, 3, 0.01), key=lambda i: np.sum((c - fold(i))[m] ** 2 / c[m])
        ),
        "scaled",
    ),
    (
        lesson_01.photon_index,
        lambda c, fold, m: -np.polyfit(np.log(np.linspace(1, 10, 90))[m], np.log(c[m]), 1)[0],
        "Fold the model",
    ),
    (lesson_01.photon_index, lambda c, fold, m: 1.7, "of another telescope"),
    (lesson_01.tasks, changed(lesson_01.tasks.reference(), does_the_jet="prediction"), "cause"),
    (lesson_01.hardness, lambda r, i: 1 / lesson_01._hardness(r, i), "soft over hard"),
    (
        lesson_01.hardness,
        lambda r, i: (5 ** (1 - i) - 10 ** (1 - i)) / (3 ** (1 - i) - 5 ** (1 - i)),
        "before any telescope",
    ),
    (
        lesson_01.hardness,
        lambda r, i: (lesson_01._hardness(r, i) - 1) / (lesson_01._hardness(r, i) + 1),
        "another one",
    ),
    (lesson_01.hardness, lambda r, i: 1.0, "whatever the photon index"),
    (lesson_01.hardness, lambda r, i: i / 8, "check the two bands"),
    (lesson_01.hardness, hardness_by_mean, "means over the channels"),
    (
        lesson_01.hardness,
        lambda r, i: np.zeros(len(r.channel_lo))[np.asarray(r.energy_lo) > 5].sum(),
        "energies of their own",
    ),
    (lesson_01.tasks, changed(lesson_01.tasks.reference(), the_spin="description"), "uncertainty"),
    (lesson_01.twice_as_far, lambda x, g: x / 4, "quarter of a photon"),
    (lesson_01.twice_as_far, lambda x, g: x / 4 + g.random(x.size), "whole numbers"),
    (lesson_01.twice_as_far, lambda x, g: np.round(x / 4), "same counts every time"),
    (lesson_01.twice_as_far, lambda x, g: g.binomial(x.astype(int), 0.5), "half of the photons"),
    (lesson_01.twice_as_far, lambda x, g: g.binomial(x.astype(int), 0.75), "should remain"),
    (lesson_01.twice_as_far, lambda x, g: g.poisson(x / 4), "one coin for each photon"),
    (lesson_01.twice_as_far, lambda x, g: g.poisson(10, x.size), "near one"),
    (lesson_01.verdicts, changed(lesson_01.verdicts.reference(), sample="thinned"), "label column"),
    (
        lesson_01.verdicts,
        changed(lesson_01.verdicts.reference(), rxte_4u1636="no label"),
        "number of events",
    ),
]
