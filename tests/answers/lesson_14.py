"""Answers to the exercises of lesson 14: other right routes, and wrong ones with their hints."""

import numpy as np
import torch
from scipy import stats

from answers import changed
from course.checks import lesson_14
from helpers.dead_time import filter_events
from helpers.dead_time_theory import white_noise


def by_jumping(times, dead_times):
    """From each registered photon to the first one at or after the end of its dead time."""
    mask, i = np.zeros(len(times), dtype=int), 0
    while i < len(times):
        mask[i] = 1
        i = max(np.searchsorted(times, times[i] + dead_times[i]), i + 1)
    return mask


def of_the_photon_that_comes(times, tau):
    mask, last = [], -np.inf
    for time, dead in zip(times, tau, strict=True):
        mask.append(time - last >= dead)
        last = time if mask[-1] else last
    return np.array(mask)


def strictly_later(times, tau):
    mask, live = [], -np.inf
    for time, dead in zip(times, tau, strict=True):
        mask.append(time > live)
        live = time + dead if mask[-1] else live
    return np.array(mask)


def noise_by_real_part(f, rate, tau):
    """P = 2 Re[(1 + phi) / (1 - phi)], which is the same."""
    omega = 2 * np.pi * f
    phi = np.exp(1j * omega * tau) / (1 - 1j * omega / rate)
    return 2 * ((1 + phi) / (1 - phi)).real


def noise_with_one_sign_turned(f, rate, tau):
    phi = np.exp(-1j * 2 * np.pi * f * tau) * rate / (rate - 1j * 2 * np.pi * f)
    return 2 * (1 - abs(phi) ** 2) / abs(1 - phi) ** 2


def one_by_one(samples, simulate, statistic, observed, generator):
    replicas = [statistic(simulate(s[None], generator))[0] for s in samples]
    return np.mean([float(r) >= float(statistic(observed)) for r in replicas])


def plug_in(samples, simulate, statistic, observed, generator):
    replicas = simulate(samples.mean(0).expand(len(samples), -1), generator)
    return (statistic(replicas) >= statistic(observed)).double().mean()


@np.errstate(all="ignore")
def log_of_a_product(power, model, n):
    return -np.log(np.prod(np.float32(model ** (-1.0 * n) * np.exp(-n * power / model))))


@np.errstate(all="ignore")
def noise_less_power(f, power, noise, rate, inside):
    return np.sqrt((noise - power)[inside].sum() * (f[1] - f[0]) / rate)


def noise_from(phi):
    """The power of a renewal process from the mean of exp(i ω gap)."""
    return 2 * (1 - np.abs(phi) ** 2) / np.abs(1 - phi) ** 2


OTHER_ROUTES = [
    (lesson_14.registered, by_jumping),
    (lesson_14.registered, filter_events),
    (lesson_14.true_rate, lambda d, tau: 1 / (1 / d - tau)),
    (lesson_14.noise, noise_by_real_part),
    (lesson_14.noise, lambda f, r, tau: white_noise(torch.tensor(f), r, tau)),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: np.sum(n * p / m) + np.sum(n * np.log(m / p)) + 42,
    ),
    (lesson_14.predictive_p, one_by_one),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: np.trapezoid((p - n)[i], f[i]).clip(0) ** 0.5 / r**0.5,
    ),
    (lesson_14.minus_log_likelihood, lambda p, m, n: -stats.gamma(n, scale=m / n).logpdf(p).sum()),
    (lesson_14.predictive_p, lambda *given: torch.tensor(lesson_14._predictive_p(*given))),
]

WRONG = [
    (lesson_14.registered, lambda t, d: np.ones(len(t), bool), "Nothing is lost"),
    (lesson_14.registered, lambda t, d: np.r_[True, np.diff(t) >= d[:-1]], "Too few"),
    (lesson_14.registered, lambda t, d: filter_events(t, d, paralyzable=True), "Too few"),
    (lesson_14.registered, lambda t, d: t[filter_events(t, d)], "return the mask"),
    (
        lesson_14.registered,
        lambda t, d: np.r_[False, filter_events(t, d)[1:]],
        "finds a live detector",
    ),
    (lesson_14.registered, lambda t, d: np.flatnonzero(filter_events(t, d)), "right positions"),
    (lesson_14.registered, of_the_photon_that_comes, "last registered photon"),
    (lesson_14.registered, strictly_later, "exactly at the end"),
    (lesson_14.registered, lambda t, d: by_jumping(t, d) * 0.5, "Expected a mask"),
    (lesson_14.registered, lambda t, d: by_jumping(t, 2 * d), "goes wrong at photon"),
    (lesson_14.true_rate, lambda d, tau: d / (1 + d * tau), "more must have arrived"),
    (lesson_14.true_rate, lambda d, tau: d * (1 + d * tau), "at the true one"[:6]),
    (lesson_14.true_rate, lambda d, tau: d * np.exp(d * tau), "not paralyzable"),
    (lesson_14.true_rate, lambda d, tau: 1 - d * tau, "live share"),
    (lesson_14.true_rate, lambda d, tau: d / tau, "were dark"),
    (lesson_14.noise, lambda f, r, tau: lesson_14._noise(f, r, tau) / 2, "Half of it"),
    (lesson_14.noise, lambda f, r, tau: lesson_14._noise(f / 2 / np.pi, r, tau), "not f"),
    (
        lesson_14.noise,
        lambda f, r, tau: lesson_14._noise(f, r / (1 + r * tau), tau),
        "*incident* rate",
    ),
    (lesson_14.noise, lambda f, r, tau: lesson_14._noise(f, r, tau) + 0j, "real number"),
    (lesson_14.noise, lambda f, r, tau: lesson_14._noise(f, r, tau) ** 0.5, "bars squared"),
    (lesson_14.noise, lambda f, r, tau: 3 + 0 * f, "For f → 0"),
    (lesson_14.noise, lambda f, r, tau: 2 + 0 * f, "where does the dead time"),
    (lesson_14.noise, noise_with_one_sign_turned, "turned round"),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: -np.sum(n * (np.log(m) + p / m)),
        "negative",
    ),
    (lesson_14.minus_log_likelihood, lambda p, m, n: np.sum(np.log(m) + p / m), "Without M"),
    (lesson_14.minus_log_likelihood, lambda p, m, n: 2 * np.sum(n * (np.log(m) + p / m)), "-2 ln"),
    (lesson_14.minus_log_likelihood, lambda p, m, n: np.sum(n * (np.log(p) + m / p)), "swapped"),
    (
        lesson_14.minus_log_likelihood,
        log_of_a_product,
        "logarithms first",
    ),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: np.mean(n * (np.log(m) + p / m)),
        "mean over frequencies",
    ),
    (lesson_14.minus_log_likelihood, lambda p, m, n: np.sum(n * p / m), "infinite power"),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: np.sum(np.log(m) + n * p / m),
        "comes M times",
    ),
    (lesson_14.minus_log_likelihood, lambda p, m, n: np.sum(n * (p / m - 1) ** 2), "χ²"),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: n * (np.log(m) + p / m),
        "Expected one number",
    ),
    (lesson_14.minus_log_likelihood, lambda p, m, n: np.sum((p - m) ** 2), "should differ"),
    (lesson_14.predictive_p, plug_in, "one set of parameters"),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: lesson_14._predictive_p(s[:50], sim, t, o, g),
        "used 50",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: (sim(s, g) >= o).double().mean(),
        "their statistic",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: lesson_14._predictive_p(s, sim, t, o, torch.Generator()),
        "Hand `generator` on",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: (t(sim(s, g)) > t(o)).double().mean(),
        "At least as large",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: 1 - lesson_14._predictive_p(s, sim, t, o, g),
        "smaller ones",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: (s[:, 0] >= t(o)).double().mean(),
        "Nothing was simulated",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: (t(sim(s, g)) >= t(o)).sum().item(),
        "between 0 and 1",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: 2 * min(p := lesson_14._predictive_p(s, sim, t, o, g), 1 - p),
        "both tails",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: np.sum((p - n)[i]) * (f[1] - f[0]) / r,
        "is its root",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: (np.sum((p - n)[i]) * (f[1] - f[0])) ** 0.5,
        "becomes fractional",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: (np.sum((p - n)[i]) * (f[1] - f[0])) ** 0.5 / r,
        "twice",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: (np.sum((p - n)[i]) / r) ** 0.5,
        "spacing in Hz",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: (np.sum(p - n) * (f[1] - f[0]) / r) ** 0.5,
        "whole spectrum",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: (np.sum(p[i]) * (f[1] - f[0]) / r) ** 0.5,
        "still in it",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: np.mean((p - n)[i]) ** 0.5,
        "sum, spacing, rate, root",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: (np.abs(p - n)[i].sum() * (f[1] - f[0]) / r) ** 0.5,
        "count as negative",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: ((p - n).clip(0)[i].sum() * (f[1] - f[0]) / r) ** 0.5,
        "count as negative",
    ),
    (
        lesson_14.left_over_rms,
        noise_less_power,
        "negative number",
    ),
    (
        lesson_14.tools,
        changed(lesson_14.tools.reference(), the_flux="simulator"),
        "live share",
    ),
    (
        lesson_14.tools,
        changed(lesson_14.tools.reference(), the_frequency="FAD"),
        "even the worst fit",
    ),
    (
        lesson_14.noise,
        lambda f, r, tau: noise_from(np.exp(2j * np.pi * f * tau) * r / r - 2j * np.pi * f),
        "in brackets",
    ),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: np.sum(n * np.log(m) + p / m),
        "P/m, too",
    ),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: np.sum(n * (p / m - np.log(m))),
        "one sign",
    ),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: np.sum(n * (np.log10(m) + p / m)),
        "natural one",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: (t(sim(s, g)) >= t(o)).mean(),
        "mask.double()",
    ),
    (
        lesson_14.predictive_p,
        lambda s, sim, t, o, g: (t(sim(s, g)) >= o).double().mean(),
        "statistic(observed)",
    ),
    (
        lesson_14.left_over_rms,
        lambda f, p, n, r, i: 100 * lesson_14._left_over_rms(f, p, n, r, i),
        "per cent",
    ),
]
