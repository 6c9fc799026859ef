"""Answers to the exercises of lesson 22: other right routes, and wrong ones that no table holds."""

import itertools

import numpy as np
import torch

from answers import changed
from course.checks import lesson_22
from helpers.dead_time_theory import white_noise

_report = lesson_22.report.reference()
_blind = lesson_22.blind.reference()


def by_a_loop(gti, length):
    starts = []
    for start, stop in gti:
        while start + length <= stop:
            starts.append(start)
            start += length
    return starts


def in_the_middle(gti, length):
    """What does not fit is left out at both ends alike."""
    left = (np.diff(gti, axis=1)[:, 0] % length) / 2
    return np.concatenate(
        [by_a_loop([[a + x, b]], length) for (a, b), x in zip(gti, left, strict=True)]
    )


def with_gaps(gti, length):
    """What moves the last segment of all intervals to its end."""
    starts = np.sort(in_the_middle(gti, length))
    ends = gti[:, 1] - length
    last = np.append(starts[1:] - starts[:-1] > 1.5 * length, True)
    return np.where(last, ends[np.searchsorted(ends, starts - 1e-6)] - starts, 0)


def live_by_a_loop(edges, times, prior):
    live = np.zeros(len(edges) - 1)
    for k in range(len(live)):
        shared = np.minimum(edges[k + 1], times) - np.maximum(edges[k], times - prior)
        live[k] = shared.clip(min=0).sum()
    return live


def live_by_dead_time(edges, times, prior):
    """The clock, less what lies between the live intervals."""
    begins = np.append(times - prior, np.inf)
    ends = np.append(-np.inf, times)
    shared = [np.minimum(b, begins) - np.maximum(a, ends) for a, b in itertools.pairwise(edges)]
    return np.diff(edges) - np.array([s.clip(min=0).sum() for s in shared])


def tails_in_numpy(simulated, observed):
    s, o = np.asarray(simulated), np.asarray(observed)
    return np.minimum(1, 2 * np.minimum((s <= o).mean(0), (s >= o).mean(0)))


def tails_sorted(simulated, observed):
    n, columns = len(simulated), simulated.T.contiguous()
    ranked, seen = columns.sort(1).values, observed[:, None].contiguous()
    at_most = torch.searchsorted(ranked, seen, right=True)[:, 0] / n
    at_least = 1 - torch.searchsorted(ranked, seen)[:, 0] / n
    return (2 * torch.minimum(at_most, at_least)).clamp(max=1)


OTHER_ROUTES = [
    (lesson_22.segments, by_a_loop),
    (lesson_22.segments, in_the_middle),
    (lesson_22.segments, lambda gti, length: in_the_middle(gti, length)[::-1]),
    (lesson_22.live_time, live_by_a_loop),
    (lesson_22.live_time, live_by_dead_time),
    (lesson_22.band_noise, lambda f, r, tau, q: white_noise(f, r, tau, kept=q)),
    (lesson_22.band_noise, lambda f, r, tau, q: (q * white_noise(f, r, tau) + 2 * (1 - q)).numpy()),
    (lesson_22.surprise, tails_in_numpy),
    (lesson_22.surprise, tails_sorted),
    (lesson_22.report, _report | {"simulations": torch.tensor(3000), "live time (s)": 853.32}),
]

WRONG = [
    (
        lesson_22.segments,
        lambda gti, length: in_the_middle(gti, length) + with_gaps(gti, length),
        "is left",
    ),
    (
        lesson_22.segments,
        lambda gti, length: [[a, a + length] for a in by_a_loop(gti, length)],
        "alone",
    ),
    (
        lesson_22.segments,
        lambda gti, length: np.append(by_a_loop(gti, length), gti[-1, 1]),
        "edge of",
    ),
    (
        lesson_22.segments,
        lambda gti, length: np.repeat(by_a_loop(gti, length), 2),
        "over each other",
    ),
    (lesson_22.segments, lambda gti, length: by_a_loop(gti, length)[1:], "segments fit you find"),
    (lesson_22.live_time, lambda e, t, p: 0.9 * live_by_a_loop(e, t, p), "Draw three events"),
    (lesson_22.band_noise, lambda f, r, tau, q: 0 * f + 2, "what is left of it"),
    (lesson_22.surprise, lambda s, o: tails_in_numpy(s, o) / 2 + 0.1, "and yours"),
    (lesson_22.blind, changed(_blind, a_clock="ranks of mocks"), "more than its error"),
    (lesson_22.blind, changed(_blind, a_band="ranks of mocks"), "which number was wrong"),
    (lesson_22.report, changed(_report, simulations=2700), "held out included"),
    (lesson_22.report, changed(_report, rms=0.01), "the largest of `limits`"),
]
