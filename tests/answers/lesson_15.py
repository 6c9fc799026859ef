"""Answers to the exercises of lesson 15: other right routes, and wrong ones that no table holds."""

import numpy as np
import torch
from scipy.spatial import KDTree

from answers import changed
from course.checks import lesson_15

cell, _cell = lesson_15.cell, lesson_15._cell


def by_loops(frame, x, y, lag, radius):
    n = 0
    for i in range(len(x)):
        for j in np.flatnonzero(frame == frame[i] + lag):
            n += j != i and (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < radius**2
    return n


def by_tree(frame, x, y, lag, radius):
    i, j = KDTree(np.c_[x, y]).query_pairs(radius * (1 - 1e-9), output_type="ndarray").T
    return np.sum(frame[j] - frame[i] == lag) + np.sum(frame[i] - frame[j] == lag)


def frame_by_frame(load, n_frames, draw, generator):
    energies, photons = [], []
    for n in generator.poisson(load, n_frames):
        if n:
            energies.append(draw(n, generator).sum())
            photons.append(n)
    return np.array(energies), photons


def summed(photons, draw, generator):
    """A sum for each frame, those without photons included."""
    frame = np.repeat(np.arange(len(photons)), photons)
    return np.bincount(frame, draw(photons.sum(), generator), minlength=len(photons))


def numbers(draw_numbers):
    """A cell in which the numbers of photons come from elsewhere."""

    def answer(load, n_frames, draw, generator):
        photons = draw_numbers(load, n_frames, generator)
        return summed(photons, draw, generator)[photons > 0], photons[photons > 0]

    return answer


def with_empty_frames(load, n_frames, draw, generator):
    photons = generator.poisson(load, n_frames)
    return summed(photons, draw, generator), photons


def one_energy_per_event(load, n_frames, draw, generator):
    n = generator.poisson(load, n_frames)
    n = n[n > 0]
    return n * draw(len(n), generator), n


def never_piled(load, n_frames, draw, generator):
    n = generator.poisson(load * n_frames)
    return draw(n, generator), np.ones(n)


def spoiled(how):
    """The right energies and numbers, spoiled."""
    return lambda *given: how(*_cell(*given))


def by_fourier(photons):
    """exp of the transform, with bin 0 for no energy at all."""
    n = 16 * len(photons)
    phi = np.fft.rfft(np.append(0, photons), n)
    return np.fft.irfft(np.exp(phi - phi[0].real), n)[1 : len(photons) + 1]


def by_a_loop_over_radii(radii, n, density, area, limit):
    for r in radii:
        load = n * density(r) * area
        if 1 - load / np.expm1(load) <= limit:
            return float(r)


def share_by_loops(events, n, radius):
    shares = []
    for i in range(n):
        here = (events.simulation == i) & (events.x**2 + events.y**2 < radius**2)
        shares.append(float((~events.valid[here]).double().mean()))
    return np.array(shares)


OTHER_ROUTES = [
    (lesson_15.n_close, by_loops),
    (lesson_15.n_close, by_tree),
    (cell, frame_by_frame),
    (
        lesson_15.detected_and_piled,
        lambda load: np.array([-np.expm1(-load), 1 - load / np.expm1(load)]),
    ),
    (lesson_15.piled_spectrum, by_fourier),
    (lesson_15.piled_spectrum, lambda s: lesson_15._piled_spectrum(s, most=20)),
    (lesson_15.inner_radius, by_a_loop_over_radii),
    (lesson_15.rejected_share, share_by_loops),
]

WRONG = [
    (lesson_15.n_close, lambda f, x, y, lag, r: lesson_15._n_close(f, x, x, lag, r), "you find"),
    (cell, with_empty_frames, "has no event"),
    (cell, one_energy_per_event, "each *photon* has its own"),
    (cell, never_piled, "in the same frame"),
    (cell, numbers(lambda load, n, g: g.binomial(20, load / 20, n)), "Are the numbers Poisson"),
    (cell, numbers(lambda load, n, g: g.multinomial(int(load * n), [1 / n] * n)), "All frames"),
    (cell, lambda *a: _cell(*a[:2], lambda n, g: np.sort(a[2](n, g)), a[3]), "unsorted"),
    (
        cell,
        numbers(lambda load, n, g: np.random.default_rng().poisson(load, n)),
        "Equal generators",
    ),
    (
        cell,
        numbers(lambda load, n, g: np.random.default_rng(1).poisson(load, n)),
        "The same draw every time",
    ),
    (cell, lambda *a: _cell(*a[:3], np.random.default_rng(1)), "Hand `generator` on"),
    (cell, lambda *a: _cell(*a[:2], lambda n, g: g.uniform(1, 2, n), a[3]), "No energy was drawn"),
    (cell, spoiled(lambda e, n: e), "Expected 2 things"),
    (cell, spoiled(lambda e, n: (n, e)), "which come second"),
    (cell, spoiled(lambda e, n: (e / n, n)), "add up"),
    (cell, spoiled(lambda e, n: (1.1 * e, n)), "No photon gets lost"),
    (cell, spoiled(lambda e, n: (e, np.sort(n))), "do not belong together"),
    (cell, spoiled(lambda e, n: (np.sort(e), n)), "do not belong together"),
    (lesson_15.detected_and_piled, lambda load: 1 - np.exp(-load), "Expected 2 things"),
    (lesson_15.detected_and_piled, lambda load: (load / 2, load), "For 1.2 photons"),
    (lesson_15.piled_spectrum, lambda s: s, "where are its sums"),
    (lesson_15.inner_radius, lambda *a: lesson_15._inner_radius(*a) + 0.5, "load at each radius"),
    (
        lesson_15.rejected_share,
        lambda e, n, r: (~e.valid[torch.hypot(e.x, e.y) < r]).double().mean(),
        "of shape (6,)",
    ),
    (lesson_15.rejected_share, lambda e, n, r: torch.full((n,), 0.5), "near, over near"),
    (lesson_15.tools, changed(lesson_15.tools.reference(), a_source="simulator"), "matter"),
    (lesson_15.tools, changed(lesson_15.tools.reference(), is_this="plain fit"), "M82"),
]

EXEMPT = {
    (lesson_15.n_close, "arguments 1 and 2 swapped"): "a distance takes x and y alike",
}
