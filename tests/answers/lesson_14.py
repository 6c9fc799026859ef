"""Answers to the exercises of lesson 14: other right routes, and wrong ones that no table holds."""

import numpy as np
from scipy import stats

from answers import changed
from course.checks import lesson_14


def by_jumping(times, dead_times):
    """From each registered photon to the first one at or after the end of its dead time."""
    mask, i = np.zeros(len(times), dtype=int), 0
    while i < len(times):
        mask[i] = 1
        i = max(np.searchsorted(times, times[i] + dead_times[i]), i + 1)
    return mask


def in_ten_lines(times, dead_times):
    mask, live_from = [], -np.inf
    for i in range(len(times)):
        mask.append(times[i] >= live_from)
        if mask[-1]:
            live_from = times[i] + dead_times[i]
    return mask


def noise_by_real_part(f, rate, tau):
    """P = 2 Re[(1 + phi) / (1 - phi)], which is the same."""
    omega = 2 * np.pi * f
    phi = np.exp(1j * omega * tau) / (1 - 1j * omega / rate)
    return 2 * ((1 + phi) / (1 - phi)).real


def one_by_one(samples, simulate, statistic, observed, generator):
    replicas = [statistic(simulate(s[None], generator))[0] for s in samples]
    return np.mean([float(r) >= float(statistic(observed)) for r in replicas])


def by_a_loop(gaps, cut):
    """Gap by gap: the sum of what is beyond the cut, and how many there are on either side."""
    beyond, n, seen = 0.0, 0, 0
    for gap in gaps:
        if gap > cut:
            beyond, n = beyond + float(gap) - cut, n + 1
        else:
            seen += 1
    return n / beyond, n * np.exp(n * cut / beyond) - n, seen


def by_a_fit(gaps, cut):
    """Scipy's exponential, fitted to what is above the cut, and its distribution function below."""
    above = gaps[gaps >= cut]
    _, mean = stats.expon.fit(above, floc=cut)
    waits = stats.expon(scale=mean)
    return 1 / mean, len(above) * waits.cdf(cut) / waits.sf(cut), len(gaps) - len(above)


OTHER_ROUTES = [
    (lesson_14.missing_gaps, by_a_fit),
    (lesson_14.missing_gaps, by_a_loop),
    (lesson_14.registered, by_jumping),
    (lesson_14.registered, in_ten_lines),
    (lesson_14.true_rate, lambda d, tau: 1 / (1 / d - tau)),
    (lesson_14.noise, noise_by_real_part),
    (
        lesson_14.minus_log_likelihood,
        lambda p, m, n: np.sum(n * p / m) + np.sum(n * np.log(m / p)) + 42,
    ),
    (lesson_14.minus_log_likelihood, lambda p, m, n: -stats.gamma(n, scale=m / n).logpdf(p).sum()),
    (lesson_14.predictive_p, one_by_one),
]

WRONG = [
    (lesson_14.missing_gaps, lambda gaps, cut: by_a_loop(gaps, cut)[:2], "three numbers"),
    (lesson_14.missing_gaps, lambda gaps, cut: by_a_loop(gaps, 2 * cut), "In the rate we find"),
    (lesson_14.registered, lambda t, tau: by_jumping(t, tau) * 0.5, "Expected a mask"),
    (lesson_14.registered, lambda t, tau: by_jumping(t, 2 * tau), "another fate"),
    (lesson_14.true_rate, lambda d, tau: d / np.maximum(1 - d * tau, 0.1), "were dark"),
    (lesson_14.noise, lambda f, r, tau: lesson_14._noise(f, r, tau) ** 0.5, "For f → 0"),
    (lesson_14.noise, lambda f, r, tau: lesson_14._noise(f, r, tau) * f[0] / f, "must go to 2."),
    (lesson_14.noise, lambda f, r, tau: lesson_14._noise(f, r, tau)[:9], "of shape"),
    (
        lesson_14.noise,
        lambda f, r, tau: np.where(f == f[150], 2, lesson_14._noise(f, r, tau)),
        "the middle is not",
    ),
    (lesson_14.minus_log_likelihood, lambda p, m, n: np.sum(abs(p - m)), "should differ"),
    (
        lesson_14.predictive_p,
        lambda s, *rest: lesson_14._predictive_p(s[:50], *rest),
        "as many replicas as",
    ),
    (
        lesson_14.predictive_p,
        lambda s, *rest: lesson_14._predictive_p(s.flip(-1), *rest),
        "its own statistic.",
    ),
    (lesson_14.predictive_p, lambda *x: 100 * lesson_14._predictive_p(*x), "between 0 and 1"),
    (lesson_14.tools, changed(lesson_14.tools.reference(), the_flux="simulator"), "live share"),
    (lesson_14.tools, changed(lesson_14.tools.reference(), the_frequency="FAD"), "even the worst"),
]

EXEMPT = {
    (
        lesson_14.predictive_p,
        "generator 4 copied",
    ): "each question is one call: a copy draws the same",
}
