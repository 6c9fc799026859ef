"""Answers to the exercises of lesson 01: other right routes, and wrong ones that no table holds."""

import numpy as np
import torch
from stingray import Lightcurve, Powerspectrum

from answers import changed
from course.checks import lesson_01
from helpers.spectra import power_law


def excess_variance_of_the_population(counts):
    return (np.mean(np.square(counts)) - counts.mean() ** 2 - counts.mean()) / counts.mean() ** 2


def periodogram_by_full_fft(counts, bin_size):
    n = len(counts)
    half = slice(1, (n + 1) // 2)
    power = 2 * np.abs(np.fft.fft(counts)[half]) ** 2 / counts.sum()
    return np.fft.fftfreq(n, bin_size)[half], power


def periodogram_in_single_precision(counts, bin_size):
    amplitude = torch.fft.rfft(torch.tensor(counts, dtype=torch.float32))[1:]
    return torch.fft.rfftfreq(len(counts), bin_size)[1:], 2 * amplitude.abs() ** 2 / counts.sum()


def fit_by_shares(counts, fold, chosen):
    c = counts[chosen]
    models = np.array([fold(index)[chosen] for index in lesson_01._GRID])
    models *= c.sum() / models.sum(axis=1, keepdims=True)
    best = np.sum(models**2 / c, axis=1).argmin()  # the rest is the same for all
    return np.float32(round(1 + best / 100, 2))


def periodogram_by_stingray(counts, bin_size):
    curve = Lightcurve(bin_size * np.arange(counts.size), counts, dt=bin_size, skip_checks=True)
    spectrum = Powerspectrum(curve, norm="leahy")
    return spectrum.freq, spectrum.power


def hardness_with_torch(response, index):
    counts = response.fold(power_law(response.energy_lo, response.energy_hi, index, 1.0))
    middle = (response.channel_lo + response.channel_hi) / 2
    return counts[(middle > 5) & (middle < 10)].sum() / counts[(middle > 3) & (middle < 5)].sum()


def coins_one_by_one(counts, generator):
    return [np.sum(generator.random(int(n)) < 0.25) for n in counts]


def thinned_in_place(counts, generator):
    counts[:] = generator.binomial(counts, 0.25)
    return counts


def full(counts, bin_size):
    powers = 2 * np.abs(np.fft.fft(counts)) ** 2 / counts.sum()
    return np.fft.fftfreq(counts.size, bin_size), powers


def far(wrong):
    return lesson_01.twice_as_far, wrong


OTHER_ROUTES = [
    (lesson_01.excess_variance, excess_variance_of_the_population),
    (lesson_01.leahy_periodogram, periodogram_by_full_fft),
    (lesson_01.leahy_periodogram, periodogram_in_single_precision),
    (lesson_01.leahy_periodogram, periodogram_by_stingray),
    (lesson_01.photon_index, fit_by_shares),
    (lesson_01.hardness, hardness_with_torch),
    (lesson_01.twice_as_far, coins_one_by_one),
]

WRONG = [
    (lesson_01.excess_variance, lambda x: 0.3, "we find F"),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: (np.fft.rfftfreq(x.size, dt)[1:], 2 * np.abs(np.fft.rfft(x))[1:] ** 2 / 7),
        "The formula is",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: [part[1 : x.size // 2 + 1] for part in full(x, dt)],
        "is above zero",
    ),
    (
        lesson_01.leahy_periodogram,
        lambda x, dt: [part[1 : (x.size + 1) // 2 - 1 + x.size % 2] for part in full(x, dt)],
        "for n = 64 you return 30",
    ),
    (lesson_01.photon_index, lambda c, fold, m: 1.7, "of another telescope"),
    (
        lesson_01.photon_index,
        lambda *given: lesson_01._photon_index(*given) + 0.003,
        "between the values",
    ),
    (lesson_01.tasks, changed(lesson_01.tasks.reference(), does_the_jet="prediction"), "cause"),
    (lesson_01.tasks, changed(lesson_01.tasks.reference(), the_spin="description"), "uncertainty"),
    (lesson_01.hardness, lambda r, i: i / 8, "is it the folded flux"),
    (*far(lambda x, g: x / 4), "comes, or not"),
    (*far(lambda x, g: np.round(x / 4)), "The same draw every time"),
    (*far(lambda x, g: np.random.binomial(x, 0.25)), "Equal generators"),  # noqa: NPY002
    (*far(lambda x, g: g.binomial(x.sum(), 0.25)), "of shape"),
    (*far(lambda x, g: g.binomial(x, 0.5)), "half of the photons"),
    (*far(lambda x, g: g.binomial(x, 0.75)), "should remain"),
    (*far(lambda x, g: g.poisson(x / 4)), "toss one coin for each"),
    (*far(lambda x, g: x * (g.random(x.size) < 0.25)), "toss one coin for each"),
    (*far(lambda x, g: g.permutation(g.binomial(x, 0.25))), "toss one coin for each"),
    (*far(lambda x, g: g.normal(x / 4, np.sqrt(3 * x / 16)).round().clip(0)), "than there were"),
    (*far(lambda x, g: g.binomial(x, 0.25).astype(np.uint8)), "should remain"),
    (
        *far(
            lambda x, g: g.multivariate_hypergeometric(x, x.sum() // 4, method="marginals"),
        ),
        "same number of photons",
    ),
    (*far(thinned_in_place), "work on a copy"),
    (lesson_01.verdicts, changed(lesson_01.verdicts.reference(), sample="thinned"), "label column"),
    (
        lesson_01.verdicts,
        changed(lesson_01.verdicts.reference(), rxte_4u1636="no label"),
        "number of events",
    ),
]
