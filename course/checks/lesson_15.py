"""Checks of lesson 15: missing pairs, a cell that piles up, its rates, its spectrum, a radius, a statistic."""

import numpy as np
import torch

from course.checks import Hint, array, exercise, explained, function, number, sorting
from course.checks.drawing import draw_over
from helpers.ccd import Events

__all__ = [
    "cell",
    "detected_and_piled",
    "inner_radius",
    "n_close",
    "piled_spectrum",
    "rejected_share",
    "tools",
]


def _n_close(frame, x, y, lag, radius):
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    close = (apart < radius) & (frame - frame[:, None] == lag)
    np.fill_diagonal(close, False)
    return close.sum()


@exercise("Exercise 15.1", reference=lambda: _n_close)
def n_close(answer):
    """A function: frame, x, y (n,), lag, radius -> ordered pairs that far apart."""
    answer = function(answer)
    generator = np.random.default_rng(151)
    frame = np.sort(generator.integers(0, 60, 150))
    x, y = 4000 + generator.normal(0, 2, (2, 150))
    for lag, radius in ((3, 2.0), (0, 2.0), (1, 1.0), (0, 0.7)):
        found = number(answer(frame.copy(), x.copy(), y.copy(), lag, radius), "a number of pairs")
        right = _n_close(frame, x, y, lag, radius)
        if found == right:
            continue
        apart = np.hypot(x[:, None] - x, y[:, None] - y)
        later = frame - frame[:, None] == lag
        if lag == 0 and found == right + len(x):
            raise Hint("Each event is counted as a pair with itself: i ≠ j.")
        if lag == 0 and found == right / 2:
            raise Hint(
                "Each couple counts twice in the same frame, as (i, j) and as (j, i): only then does it "
                "compare with other lags."
            )
        if lag and found == 2 * right:
            raise Hint("j comes after i: with a lag, pairs count in one direction only.")
        if found == later.sum() - (len(x) if lag == 0 else 0):
            raise Hint("That counts all pairs of these frames, near or not: where is the radius?")
        if found == (apart < radius).sum() - len(x):
            raise Hint("That counts near pairs of all frames: where is the lag?")
        square = np.maximum(np.abs(x[:, None] - x), np.abs(y[:, None] - y)) < radius
        if found == (square & later).sum() - (len(x) if lag == 0 else 0):
            raise Hint("That is a square; `radius` is for the distance, the root of dx² + dy².")
        near = (apart**2 < radius) & later
        if found == near.sum() - (len(x) if lag == 0 else 0):
            raise Hint("The square of the distance was compared with the radius: take its root.")
        if found == right / 2:
            raise Hint("With a lag, each pair counts once, in one direction: do not divide by 2.")
        if found == ((apart < radius) & (np.abs(frame - frame[:, None]) <= lag)).sum() - len(x):
            raise Hint("Exactly `lag` frames after, not up to `lag` frames apart.")
        raise Hint(
            f"Of 150 events, {right} pairs are {lag} frames apart and closer than {radius}; you "
            f"find {found:g}."
        )


def _cell(load, n_frames, draw, generator):
    photons = generator.poisson(load, n_frames)
    energies = draw(photons.sum(), generator)
    frame = np.repeat(np.arange(n_frames), photons)
    sums = np.bincount(frame, weights=energies, minlength=n_frames)
    return sums[photons > 0], photons[photons > 0]


@exercise("Exercise 15.2", reference=lambda: _cell)
def cell(answer):
    """A function: load, number of frames, draw, generator -> energies and numbers of photons."""
    answer = function(answer)
    for load, n_frames in ((0.8, 20_000), (0.05, 20_000), (3.0, 5000)):
        generator = np.random.default_rng(152)
        drawn = []

        def draw(n, given, drawn=drawn, generator=generator):
            if given is not generator:
                raise Hint("Hand `generator` on to draw, so that the result can be repeated.")
            drawn.append(np.atleast_1d(given.uniform(1, 2, n)))
            return drawn[-1] if np.ndim(n) or n is not None else drawn[-1][0]

        result = answer(load, n_frames, draw, generator)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise Hint("Return two arrays: the energies of the events, and their photons.")
        n_events = len(np.atleast_1d(result[0]))
        energies = array(result[0], (n_events,), "energies")
        photons = array(result[1], (n_events,), "numbers of photons, one for each event")
        if not drawn:
            raise Hint("No energy was drawn: call draw(n, generator).")
        if (photons == 0).any() or (energies <= 0).any():
            raise Hint("A frame without photons has no event: leave it out of both arrays.")
        if not np.array_equal(photons, np.round(photons)):
            raise Hint("Energies come first; then the numbers of photons, which are whole.")
        supply = np.concatenate(drawn)
        if load > 0.5 and (photons == 1).all():
            raise Hint(
                "Each of your events holds one photon: what becomes of two photons in the same frame?"
            )
        if len(supply) == n_events and load > 0.5:
            raise Hint("One energy was drawn for each event; each *photon* has its own.")
        if not np.isclose(energies.sum(), supply.sum()) or len(supply) != photons.sum():
            mean = energies / photons
            if energies.max() <= 2 and load > 0.5:
                raise Hint(
                    "The energies of a frame add up; they are not averaged, nor is one taken."
                )
            raise Hint(
                f"{len(supply)} energies of {supply.sum():.0f} keV in all were drawn; your events hold "
                f"{photons.sum():.0f} photons and {energies.sum():.0f} keV ({mean.mean():.2f} each). "
                "No photon gets lost, and none counts twice."
            )
        if not ((energies >= photons) & (energies <= 2 * photons)).all():
            raise Hint(
                "Energies and numbers do not belong together: keep both in the order of the frames."
            )
        expected = n_frames * (1 - np.exp(-load))
        if abs(n_events - expected) > 6 * np.sqrt(expected * np.exp(-load)) + 1:
            raise Hint(
                f"{n_frames} frames of {load} photons have about {expected:.0f} events; yours have "
                f"{n_events}. Are the numbers Poisson?"
            )
        # Of the events, the share of single photons.
        single, wanted = (photons == 1).mean(), load / np.expm1(load)
        if abs(single - wanted) > 6 * np.sqrt(wanted * (1 - wanted) / n_events):
            raise Hint(
                f"{single:.3f} of your events hold one photon; Poisson's law gives {wanted:.3f}."
            )

    once, again = (
        answer(0.8, 500, lambda n, given: given.uniform(1, 2, n), np.random.default_rng(1))
        for _ in range(2)
    )
    if not np.array_equal(once[0], again[0]):
        raise Hint(
            "The same generator must give the same events: the numbers of photons, too, come from it, "
            "generator.poisson(load, n_frames)."
        )


def _detected_and_piled(load):
    detected = 1 - np.exp(-load)
    return detected, 1 - load * np.exp(-load) / detected


@exercise("Exercise 15.3", reference=lambda: _detected_and_piled)
def detected_and_piled(answer):
    """A function: load -> events per frame, share of them that hold more than one photon."""
    answer = function(answer)
    loads = np.array([0.02, 0.3, 1.0, 2.5])
    try:
        result = answer(loads.copy())
    except TypeError:
        raise Hint("The load may be an array, as in the figure below: np.exp takes both.") from None
    if not isinstance(result, (tuple, list, np.ndarray)) or len(result) != 2:
        raise Hint("Return two things: events per frame, and the share of them that is piled.")
    detected, piled = (
        array(values, loads.shape, f"{what}, for an array of loads")
        for values, what in zip(result, ("events per frame", "shares"), strict=True)
    )
    right, share = _detected_and_piled(loads)
    if not np.allclose(detected, right, rtol=1e-5):
        if np.allclose(detected, loads):
            raise Hint("Those are the photons; photons of the same frame make one event.")
        if np.allclose(detected, np.exp(-loads)):
            raise Hint("That is the chance of *no* photon.")
        if np.allclose(detected, loads * np.exp(-loads)):
            raise Hint("That is the chance of exactly one photon; two also make an event.")
        if np.allclose(detected, share) and np.allclose(piled, right):
            raise Hint("The right numbers, in the other order: events per frame come first.")
        raise Hint(
            f"With one photon expected, a frame has {right[2]:.3f} events on average, yours "
            f"{detected[2]:.3f}: an event is a frame with at least one photon."
        )
    if np.allclose(piled, share, rtol=1e-4):
        return
    if np.allclose(piled, right - loads * np.exp(-loads)):
        raise Hint("That is the share of the *frames*; divide by the events per frame.")
    if np.allclose(piled, 1 - share):
        raise Hint("That is the share of events with exactly one photon.")
    if np.allclose(piled, right):
        raise Hint(
            "That is the share of *photons* that meet another one, or of frames, not of events."
        )
    if np.allclose(piled, loads / 2):
        raise Hint(
            "That is the limit for small loads, and grows without end; Poisson's law is exact."
        )
    raise Hint(
        f"With one photon expected, {share[2]:.3f} of the events hold more than one, in yours "
        f"{piled[2]:.3f}. One minus the share of events with exactly one?"
    )


def _piled_spectrum(photons, *, shift=1, factorial=True, most=60, empty=True):
    """The spectrum; with another option it is a learner's mistake."""
    term = photons
    total = term
    for p in range(2, most):
        term = np.append(np.zeros(shift), np.convolve(term, photons))[: len(photons)]
        term = term / p if factorial else term
        total = total + term
    return (np.exp(-photons.sum()) if empty else 1) * total


@exercise("Exercise 15.4", reference=lambda: _piled_spectrum)
def piled_spectrum(answer):
    """A function: photons per frame and bin (n,) -> events per frame and bin (n,)."""
    answer = function(answer)
    line, broad = np.zeros(40), 0.05 * np.exp(-0.5 * ((np.arange(200) - 30) / 6) ** 2)
    line[4] = 1.5
    for photons in (line, broad, 4 * broad):
        found = array(answer(photons.copy()), photons.shape, "events per frame and bin")
        right = _piled_spectrum(photons)
        close = dict(rtol=1e-4, atol=1e-9)
        if np.allclose(found, right, **close):
            continue
        if np.allclose(found, _piled_spectrum(photons, shift=0), **close):
            raise Hint(
                "Energies (i + 1) w and (j + 1) w add up to (i + j + 2) w, which is bin i + j + 1; yours "
                "is one too low."
            )
        if np.allclose(found, _piled_spectrum(photons, factorial=False), **close):
            raise Hint("p photons in p! orders are the same frame: where is 1/p!?")
        if np.allclose(found, _piled_spectrum(photons, empty=False), **close):
            raise Hint("Exactly p photons: the factor exp(-L) for no further ones is missing.")
        for most in range(2, 9):
            if np.allclose(found, _piled_spectrum(photons, most=most + 1), **close):
                raise Hint(
                    f"Yours end at {most} photons, and a frame can hold more: go on until the terms no "
                    "longer matter."
                )
        if np.allclose(found, np.exp(-photons.sum()) * photons, **close):
            raise Hint(
                "Those are the frames with one photon; now those with two and more (and np.convolve without "
                "mode='same')."
            )
        if np.allclose(found, right - np.exp(-photons.sum()) * photons, **close):
            raise Hint("The frames with a single photon, p = 1, are events as well.")
        _draw_over(right, found)
        raise Hint(
            f"Of {photons.sum():.2f} photons, {right.sum():.4f} events per frame lie in the bins, in yours "
            f"{found.sum():.4f}. Try one line at 5 w: where are its sums?"
        )
    _draw_over(_piled_spectrum(broad), array(answer(broad.copy()), broad.shape, "events"))


def _draw_over(right, yours):
    energy = np.arange(1, len(right) + 1)
    alt = "Your spectrum of piled events drawn over ours."
    axes = {"xlabel": "energy (w)", "ylabel": "events per frame", "yscale": "log"}
    draw_over((energy, right), (energy, yours), alt=alt, ylim=(1e-6, None), **axes)


def _inner_radius(radii, photons_per_frame, density, cell_area, limit):
    load = photons_per_frame * density(radii) * cell_area
    return radii[_detected_and_piled(load)[1] <= limit][0]


@exercise("Exercise 15.5", reference=lambda: _inner_radius)
def inner_radius(answer):
    """A function: radii (n,), photons per frame, density, area of a cell, limit -> a radius."""
    answer = function(answer)
    radii = np.arange(0.2, 30, 0.1)

    def density(r):
        return 0.8 / (1 + np.asarray(r) ** 2 / 2) ** 1.7

    for photons, area, limit in ((60.0, 1.0, 0.3), (4.0, 2.0, 0.01), (0.5, 5.0, 0.02)):
        found = number(answer(radii.copy(), photons, density, area, limit), "a radius")
        right = _inner_radius(radii, photons, density, area, limit)
        if np.isclose(found, right, atol=0.01):
            continue
        load = photons * density(radii) * area
        if np.isclose(found, np.flatnonzero(load > 0)[_detected_and_piled(load)[1] <= limit][0]):
            raise Hint("That is a position in the array; return the radius itself.")
        if np.isclose(found, radii[load <= limit][0], atol=0.01):
            raise Hint(
                "That limits the load of a cell; the limit is for the piled share of events."
            )
        if np.isclose(found, radii[_detected_and_piled(load)[0] <= limit][0], atol=0.01):
            raise Hint("That limits the events per frame, the first of the two numbers of 15.3.")
        if np.isclose(found, radii[-1]) or np.isclose(found, radii[0]):
            raise Hint("That is an end of the array: the *smallest* radius that keeps the limit.")
        frames = 1 - (1 + load) * np.exp(-load)
        if np.isclose(found, radii[frames <= limit][0], atol=0.01):
            raise Hint(
                "That limits the share of the *frames*; the limit is for the share of events."
            )
        if np.isclose(found, radii[load / 2 <= limit][0], atol=0.01):
            raise Hint("L/2 is the piled share of small loads only: take that of exercise 15.3.")
        if np.isclose(found, radii[_detected_and_piled(load)[1] > limit][-1], atol=0.01):
            raise Hint(
                "That is the last radius beyond the limit: the next one is the first to keep it."
            )
        for wrong, sentence in (
            (
                photons * density(radii),
                "Photons per square arcsec are no load yet: times cell_area.",
            ),
            (density(radii) * area, "A share is no load yet: times photons_per_frame."),
        ):
            keep = radii[_detected_and_piled(wrong)[1] <= limit]
            if len(keep) and np.isclose(found, keep[0], atol=0.01):
                raise Hint(sentence)
        raise Hint(
            f"For {photons} photons per frame and cells of {area} square arcsec the radius is "
            f"{right:.1f} arcsec, and yours {found:.1f}: load at each radius, share by 15.3, first one."
        )


def _rejected_share(events, n, radius):
    near = torch.hypot(events.x, events.y) < radius
    rejected = torch.bincount(events.simulation[near & ~events.valid], minlength=n)
    return rejected / torch.bincount(events.simulation[near], minlength=n)


@exercise("Exercise 15.6", reference=lambda: _rejected_share)
def rejected_share(answer):
    """A function: events, number of simulations, radius -> (n,) shares."""
    answer = function(answer)
    generator = torch.Generator().manual_seed(156)
    n, m = 6, 3000
    simulation = torch.sort(torch.randint(0, n, (m,), generator=generator)).values
    x, y = 2 * torch.randn(2, m, generator=generator)
    valid = torch.rand(m, generator=generator) > 0.05 + 0.1 * simulation / n
    valid[simulation == n - 1] = True  # nothing was rejected there
    valid |= (torch.hypot(x, y) > 1.5) & (torch.rand(m, generator=generator) > 0.5)
    other = torch.zeros(m, dtype=torch.int64)
    events = Events(simulation, other, x, y, x.abs() + 1, other, other + 1, valid)

    def count(chosen):
        return torch.bincount(simulation[chosen], minlength=n)

    for radius in (2.0, 1.0):
        last = "In the last simulation nothing was rejected, and bincount stops before it: minlength=n."
        with explained(RuntimeError, {"size of tensor": last}):
            given = answer(events, n, radius)
        found = array(given, (n,), "one share for each simulation")
        right = _rejected_share(events, n, radius).numpy()
        if np.allclose(found, right, atol=1e-6):
            continue
        near = torch.hypot(x, y) < radius
        good, bad = count(near & valid), count(near & ~valid)
        if np.allclose(found, 1 - right, atol=1e-6):
            raise Hint("That is the share of the *accepted* ones: ~events.valid are the rejected.")
        if np.allclose(found, _rejected_share(events, n, 1e9).numpy(), atol=1e-6):
            raise Hint("That takes all events: only those within `radius` of the source count.")
        if np.allclose(found, (bad / good).numpy(), atol=1e-6):
            raise Hint("Divide by *all* events near the source, not by the accepted ones.")
        if np.allclose(found, (bad / near.sum()).numpy(), atol=1e-6):
            raise Hint("Divide by the near events of the same simulation, not of all of them.")
        if np.allclose(found, (bad / count(simulation >= 0)).numpy(), atol=1e-6):
            raise Hint("Divide by the events *within the radius*: the radius is in both numbers.")
        if np.allclose(found, bad.numpy()):
            raise Hint("That is how many were rejected; a share is divided by the near events.")
        square = (x.abs() < radius) & (y.abs() < radius)
        if np.allclose(found, (count(square & ~valid) / count(square)).numpy(), atol=1e-6):
            raise Hint("That is a square; the distance from the source is the root of x² + y².")
        raise Hint(
            f"Of the events of simulation 0 within {radius}, {right[0]:.3f} were rejected, and you say "
            f"{found[0]:.3f}: rejected and near, over near."
        )


tools = sorting(
    "Exercise 15.7",
    {
        "a source of 0.003 photons per frame": (
            "plain fit",
            "half of 0.003 is the piled share. Does it matter?",
        ),
        "is this source piled up at all? You have good events, with positions and frames": (
            "count couples",
            "what did you do with M82, which had no model?",
        ),
        "0.4 photons per frame, on axis, a PSF that is known well": (
            "Davis' model",
            "which of the fits was right in the mild case, with all of the core's counts?",
        ),
        "two photons per frame, plenty of counts in the wings, a core that is known badly": (
            "cut the core out",
            "which way hardly needs to know the core?",
        ),
        "two photons per frame, 300 counts in the wings, a detector that is known well": (
            "simulator",
            "what is the scatter of the ring with so few counts, and which way uses core and ring?",
        ),
        "a thousand sources of a survey, many piled up, in rings, with the same detector": (
            "simulator",
            "one training, a thousand posteriors: which way is amortised?",
        ),
    },
)
