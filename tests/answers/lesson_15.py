"""Answers to the exercises of lesson 15: other right routes, and wrong ones with their hints."""

import math

import numpy as np
import torch
from scipy.spatial import KDTree

from answers import changed
from course.checks import lesson_15


def by_loops(frame, x, y, lag, radius):
    n = 0
    for i in range(len(x)):
        for j in np.flatnonzero(frame == frame[i] + lag):
            n += j != i and (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 < radius**2
    return n


def pairs(frame, x, y, lag, radius, *, distance=np.hypot, same=False):
    close = distance(x[:, None] - x, y[:, None] - y) < radius
    close &= frame - frame[:, None] == lag
    return close.sum() if same else close.sum() - np.trace(close)


def each_couple_once(frame, x, y, lag, radius):
    return pairs(frame, x, y, lag, radius) / (1 + (lag == 0))


def both_directions(frame, x, y, lag, radius):
    return pairs(frame, x, y, lag, radius) + (lag > 0) * pairs(frame, x, y, -lag, radius)


def frame_by_frame(load, n_frames, draw, generator):
    energies, photons = [], []
    for n in generator.poisson(load, n_frames):
        if n:
            energies.append(draw(n, generator).sum())
            photons.append(n)
    return np.array(energies), photons


def with_empty_frames(load, n_frames, draw, generator):
    n = generator.poisson(load, n_frames)
    frame = np.repeat(np.arange(n_frames), n)
    return np.bincount(frame, draw(n.sum(), generator), minlength=n_frames), n


def one_energy_per_event(load, n_frames, draw, generator):
    n = generator.poisson(load, n_frames)
    n = n[n > 0]
    return n * draw(len(n), generator), n


def averaged(load, n_frames, draw, generator):
    energies, n = lesson_15._cell(load, n_frames, draw, generator)
    return energies / n, n


def never_piled(load, n_frames, draw, generator):
    n = generator.poisson(load * n_frames)
    return draw(n, generator), np.ones(n)


def always_the_mean_number(load, n_frames, draw, generator):
    n = generator.binomial(1, min(load / 3, 1), n_frames) * 3
    frame = np.repeat(np.arange(n_frames), n)
    sums = np.bincount(frame, draw(n.sum(), generator), minlength=n_frames)
    return sums[n > 0], n[n > 0]


def by_fourier(photons):
    """exp of the transform, with bin 0 for no energy at all."""
    n = 16 * len(photons)
    with_zero = np.zeros(n)
    with_zero[1 : len(photons) + 1] = photons
    phi = np.fft.rfft(with_zero)
    return np.fft.irfft(np.exp(phi - phi[0].real), n)[1 : len(photons) + 1]


def by_a_loop_over_radii(radii, n, density, area, limit):
    for r in radii:
        load = n * density(r) * area
        if 1 - load / np.expm1(load) <= limit:
            return float(r)


def radius_of(load_of, number=1):
    def answer(radii, n, density, area, limit):
        share = lesson_15._detected_and_piled(load_of(density(radii), n, area))[number]
        return radii[share <= limit][0]

    return answer


def share_by_loops(events, n, radius):
    shares = []
    for i in range(n):
        here = (events.simulation == i) & (events.x**2 + events.y**2 < radius**2)
        shares.append(float((~events.valid[here]).double().mean()))
    return np.array(shares)


def counted(events, n, mask):
    return torch.bincount(events.simulation[mask], minlength=n)


def near(events, radius):
    return torch.hypot(events.x, events.y) < radius


def by_tree(frame, x, y, lag, radius):
    i, j = KDTree(np.c_[x, y]).query_pairs(radius, output_type="ndarray").T
    return np.sum(frame[j] - frame[i] == lag) + np.sum(frame[i] - frame[j] == lag)


def up_to_the_lag(frame, x, y, lag, radius):
    near = np.hypot(x[:, None] - x, y[:, None] - y) < radius
    return np.sum(near & (abs(frame - frame[:, None]) <= lag)) - len(x)


def by_pieces(load, n_frames, draw, generator):
    photons = generator.poisson(load, n_frames)
    photons = photons[photons > 0]
    starts = np.cumsum(photons) - photons
    return np.add.reduceat(draw(photons.sum(), generator), starts), photons


def numbers_from_elsewhere(load, n_frames, draw, generator):
    photons = np.random.default_rng().poisson(load, n_frames)
    frame = np.repeat(np.arange(n_frames), photons)
    sums = np.bincount(frame, draw(photons.sum(), generator), n_frames)
    return sums[photons > 0], photons[photons > 0]


def for_one_number(load):
    none = math.exp(-load)
    return 1 - none, 1 - load * none / (1 - none)


def cut_in_the_middle(photons):
    term, total = photons, photons
    for p in range(2, 30):
        term = np.convolve(term, photons, mode="same") / p
        total = total + term
    return np.exp(-photons.sum()) * total


def without_minlength(events, n, radius):
    close = near(events, radius)
    rejected = torch.bincount(events.simulation[close & ~events.valid])
    return rejected / torch.bincount(events.simulation[close])


OTHER_ROUTES = [
    (lesson_15.n_close, by_loops),
    (lesson_15.cell, frame_by_frame),
    (
        lesson_15.detected_and_piled,
        lambda load: np.array([-np.expm1(-load), 1 - load / np.expm1(load)]),
    ),
    (lesson_15.piled_spectrum, by_fourier),
    (lesson_15.inner_radius, by_a_loop_over_radii),
    (lesson_15.rejected_share, share_by_loops),
    (lesson_15.n_close, by_tree),
    (lesson_15.cell, by_pieces),
    (lesson_15.inner_radius, lambda r, *a: np.min(r[r >= lesson_15._inner_radius(r, *a)])),
]

WRONG = [
    (lesson_15.n_close, lambda *a: pairs(*a, same=True), "with itself"),
    (lesson_15.n_close, each_couple_once, "counts twice"),
    (lesson_15.n_close, both_directions, "one direction only"),
    (lesson_15.n_close, lambda f, x, y, lag, r: pairs(f, x, y, lag, 1e9), "where is the radius"),
    (
        lesson_15.n_close,
        lambda f, x, y, lag, r: pairs(0 * f, x, y, 0, r),
        "where is the lag",
    ),
    (
        lesson_15.n_close,
        lambda *a: pairs(*a, distance=lambda dx, dy: np.maximum(abs(dx), abs(dy))),
        "a square",
    ),
    (lesson_15.n_close, lambda f, x, y, lag, r: pairs(f, x, y, lag, 1.5 * r), "you find"),
    (lesson_15.cell, with_empty_frames, "has no event"),
    (lesson_15.cell, one_energy_per_event, "each *photon* has its own"),
    (lesson_15.cell, averaged, "add up"),
    (lesson_15.cell, never_piled, "in the same frame"),
    (lesson_15.cell, always_the_mean_number, "Are the numbers Poisson"),
    (
        lesson_15.cell,
        lambda load, n, draw, g: lesson_15._cell(load, n, draw, np.random.default_rng(1)),
        "Hand `generator` on",
    ),
    (lesson_15.cell, lambda *a: lesson_15._cell(*a)[0], "Return two arrays"),
    (
        lesson_15.cell,
        lambda *a: (lambda e, n: (e, np.sort(n)))(*lesson_15._cell(*a)),
        "do not belong together",
    ),
    (lesson_15.detected_and_piled, lambda load: 1 - np.exp(-load), "Return two things"),
    (lesson_15.detected_and_piled, lambda load: (load, load / 2), "make one event"),
    (lesson_15.detected_and_piled, lambda load: (np.exp(-load), load), "chance of *no* photon"),
    (
        lesson_15.detected_and_piled,
        lambda load: (load * np.exp(-load), load),
        "exactly one photon; two",
    ),
    (
        lesson_15.detected_and_piled,
        lambda load: (1 - np.exp(-load), 1 - (1 + load) * np.exp(-load)),
        "share of the *frames*",
    ),
    (
        lesson_15.detected_and_piled,
        lambda load: (1 - np.exp(-load), load / np.expm1(load)),
        "exactly one photon",
    ),
    (
        lesson_15.detected_and_piled,
        lambda load: (1 - np.exp(-load), 1 - np.exp(-load)),
        "share of *photons*",
    ),
    (
        lesson_15.detected_and_piled,
        lambda load: (1 - np.exp(-load), load / 2),
        "limit for small loads",
    ),
    (
        lesson_15.detected_and_piled,
        lambda load: lesson_15._detected_and_piled(load)[::-1],
        "in the other order",
    ),
    (lesson_15.piled_spectrum, lambda s: lesson_15._piled_spectrum(s, shift=0), "one too low"),
    (lesson_15.piled_spectrum, lambda s: lesson_15._piled_spectrum(s, factorial=False), "1/p!"),
    (lesson_15.piled_spectrum, lambda s: lesson_15._piled_spectrum(s, empty=False), "exp(-L)"),
    (lesson_15.piled_spectrum, lambda s: lesson_15._piled_spectrum(s, most=3), "end at 2 photons"),
    (lesson_15.piled_spectrum, lambda s: np.exp(-s.sum()) * s, "one photon; now"),
    (
        lesson_15.piled_spectrum,
        lambda s: lesson_15._piled_spectrum(s) - np.exp(-s.sum()) * s,
        "p = 1",
    ),
    (lesson_15.piled_spectrum, lambda s: s, "where are its sums"),
    (
        lesson_15.inner_radius,
        lambda r, *a: np.flatnonzero(r == lesson_15._inner_radius(r, *a))[0],
        "position in the array",
    ),
    (
        lesson_15.inner_radius,
        lambda r, n, density, area, limit: r[n * density(r) * area <= limit][0],
        "limits the load",
    ),
    (
        lesson_15.inner_radius,
        radius_of(lambda d, n, a: n * d * a, 0),
        "the first of the two numbers",
    ),
    (lesson_15.inner_radius, lambda r, *a: r[-1], "*smallest* radius"),
    (lesson_15.inner_radius, radius_of(lambda d, n, a: n * d), "times cell_area"),
    (lesson_15.inner_radius, radius_of(lambda d, n, a: d * a), "times photons_per_frame"),
    (
        lesson_15.inner_radius,
        lambda *a: lesson_15._inner_radius(*a) + 0.5,
        "load at each radius",
    ),
    (
        lesson_15.rejected_share,
        lambda e, n, r: 1 - lesson_15._rejected_share(e, n, r),
        "*accepted* ones",
    ),
    (
        lesson_15.rejected_share,
        lambda e, n, r: lesson_15._rejected_share(e, n, 1e9),
        "takes all events",
    ),
    (
        lesson_15.rejected_share,
        lambda e, n, r: counted(e, n, near(e, r) & ~e.valid) / counted(e, n, near(e, r) & e.valid),
        "not by the accepted ones",
    ),
    (
        lesson_15.rejected_share,
        lambda e, n, r: counted(e, n, near(e, r) & ~e.valid) / near(e, r).sum(),
        "of the same simulation",
    ),
    (
        lesson_15.rejected_share,
        lambda e, n, r: counted(e, n, near(e, r) & ~e.valid) / torch.bincount(e.simulation),
        "*within the radius*",
    ),
    (
        lesson_15.rejected_share,
        lambda e, n, r: counted(e, n, near(e, r) & ~e.valid),
        "how many were rejected",
    ),
    (
        lesson_15.rejected_share,
        lambda e, n, r: (
            counted(e, n, (abs(e.x) < r) & (abs(e.y) < r) & ~e.valid)
            / counted(e, n, (abs(e.x) < r) & (abs(e.y) < r))
        ),
        "a square",
    ),
    (
        lesson_15.rejected_share,
        lambda e, n, r: (~e.valid[near(e, r)]).double().mean(),
        "Expected one share for each simulation",
    ),
    (
        lesson_15.tools,
        changed(lesson_15.tools.reference(), a_source="simulator"),
        "Does it matter",
    ),
    (
        lesson_15.tools,
        changed(lesson_15.tools.reference(), is_this="plain fit"),
        "M82",
    ),
    (lesson_15.n_close, lambda f, x, y, lag, r: pairs(f, x, y, lag, r**0.5), "take its root"),
    (lesson_15.n_close, lambda *a: pairs(*a) / 2, "do not divide"),
    (lesson_15.n_close, up_to_the_lag, "Exactly `lag`"),
    (lesson_15.cell, lambda *a: lesson_15._cell(*a)[::-1], "Energies come first"),
    (lesson_15.cell, numbers_from_elsewhere, "come from it"),
    (lesson_15.detected_and_piled, for_one_number, "may be an array"),
    (lesson_15.piled_spectrum, lambda s: lesson_15._piled_spectrum(s, most=6), "end at 5 photons"),
    (lesson_15.piled_spectrum, cut_in_the_middle, "mode='same'"),
    (
        lesson_15.inner_radius,
        lambda r, n, d, a, limit: r[n * d(r) * a / 2 <= limit][0],
        "small loads only",
    ),
    (
        lesson_15.inner_radius,
        lambda r, n, d, a, limit: r[1 - (1 + n * d(r) * a) * np.exp(-n * d(r) * a) <= limit][0],
        "share of the *frames*",
    ),
    (
        lesson_15.inner_radius,
        lambda r, *a: r[r < lesson_15._inner_radius(r, *a)][-1],
        "last radius beyond",
    ),
    (lesson_15.rejected_share, without_minlength, "minlength=n"),
]
