"""Checks of lesson 15: missing pairs, a cell that piles up, its rates, its spectrum, a radius, a statistic."""

import math
from functools import partial

import numpy as np
import torch
from scipy.stats import poisson

from course.checks import Hint, exercise, forms
from course.checks.drawing import draw_over
from course.checks.examples import by_example, repeatable, shaped, sorting
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


def _n_close(frame, x, y, lag, radius, distance=np.hypot, pairs=lambda close, lag: close):
    """A function: frame, x, y (n,), lag, radius -> ordered pairs that far apart."""
    near = distance(x[:, None] - x, y[:, None] - y) < radius
    close = near & (frame - frame[:, None] == lag)
    np.fill_diagonal(close, False)
    return pairs(close, lag).sum()


def _some_events():
    """The third list is in no order; in the last, events share places."""
    generator, questions = np.random.default_rng(151), []
    for n, lag, radius in ((150, 3, 2.0), (130, 0, 2.0), (150, 1, 1.0), (140, 0, 2.1)):
        frame = np.sort(generator.integers(0, 60, n))
        questions.append([frame, *(4000 + generator.normal(0, 2, (2, n))), lag, radius])
    generator.shuffle(questions[2][0])
    questions[3][1:3] = np.round(questions[3][1:3])
    return list(map(tuple, questions))


n_close = by_example(
    "Exercise 15.1",
    _n_close,
    _some_events,
    {
        "Each event is counted as a pair with itself: i ≠ j.": lambda frame, x, y, lag, radius: (
            _n_close(frame, x, y, lag, radius) + (lag == 0) * len(x)
        ),
        "Another event at the same place counts: leave out i = j, and not a distance of zero.": (
            partial(
                _n_close,
                distance=lambda dx, dy: np.where(dx**2 + dy**2 > 0, np.hypot(dx, dy), np.inf),
            )
        ),
        "The list need not be in the order of the frames, so that i may stand after j.": (
            partial(_n_close, pairs=lambda close, lag: np.triu(close) * (1 + (lag == 0)))
        ),
        "In the same frame each couple counts twice, as (i, j) and as (j, i), and with a lag each pair once: do not "
        "divide by 2.": [
            lambda frame, x, y, lag, radius: _n_close(frame, x, y, lag, radius) / (1 + (lag == 0)),
            lambda *events: _n_close(*events) / 2,
        ],
        "j comes after i: with a lag, pairs count in one direction only.": lambda frame, x, y, lag, radius: (
            _n_close(frame, x, y, lag, radius) * (1 + (lag > 0))
        ),
        "That counts all pairs of these frames, near or not: where is the radius?": (
            lambda frame, x, y, lag, radius: _n_close(frame, x, y, lag, np.inf)
        ),
        "That counts near pairs of all frames: where is the lag?": lambda frame, x, y, lag, radius: (
            _n_close(0 * frame, x, y, 0, radius)
        ),
        "Exactly `lag` frames after, not up to `lag` frames apart.": [
            lambda frame, x, y, lag, radius, first=first: sum(
                _n_close(frame, x, y, some, radius) for some in range(first * lag, lag + 1)
            )
            for first in (-1, 0)
        ],
        "`radius` is for the distance, the root of dx² + dy².": [
            lambda *events: _n_close(*events, lambda dx, dy: dx**2 + dy**2),
            lambda *events: _n_close(*events, lambda dx, dy: np.maximum(abs(dx), abs(dy))),
        ],
    },
    returns=forms.number("a number of pairs", int),
    otherwise="Of {0.size} events, {ours} pairs are {3} frames apart and closer than {4}; you find {yours}.",
)


def _cell(load, n_frames, draw, generator):
    photons = generator.poisson(load, n_frames)
    energies = draw(photons.sum(), generator)
    frame = np.repeat(np.arange(n_frames), photons)
    sums = np.bincount(frame, weights=energies, minlength=n_frames)
    return sums[photons > 0], photons[photons > 0]


class _Draw:
    """Energies of 1 to 1.05 keV: a sum of up to 20 tells how many they are. It notes what it gives to whom."""

    def __init__(self):
        self.energies, self.generators = [], []

    def __call__(self, n, generator):
        self.energies.append(np.atleast_1d(generator.uniform(1, 1.05, n)))
        self.generators.append(generator)
        return self.energies[-1]


@exercise(
    "Exercise 15.2",
    reference=lambda: _cell,
    form=forms.function(
        forms.tuple_of(
            "energies and numbers of photons",
            forms.array("energies"),
            forms.array("numbers of photons, which come second", int),
        )
    ),
)
def cell(answer):
    """A function: load, number of frames, draw, generator -> energies and numbers of photons."""
    for load, n_frames in ((0.8, 10_000), (0.05, 8000), (3.0, 30_000)):
        generator, draw = np.random.default_rng(152), _Draw()
        energies, photons = answer(load, n_frames, draw, generator)
        shaped(energies, (energies.size,), "energies")
        shaped(photons, energies.shape, "numbers of photons, one for each event")
        if not draw.energies:
            raise Hint("No energy was drawn: call draw(n, generator).")
        if any(given is not generator for given in draw.generators):
            raise Hint("Hand `generator` on to draw, so that the result can be repeated.")
        if (photons == 0).any() or (energies <= 0).any():
            raise Hint("A frame without photons has no event: leave it out of both arrays.")
        supply = np.concatenate(draw.energies)
        if load > 0.5 and (photons == 1).all():
            raise Hint(
                "Each of your events holds one photon: what becomes of two photons in the same frame?"
            )
        if load > 0.5 and len(supply) == len(energies):
            raise Hint("One energy was drawn for each event; each *photon* has its own.")
        if load > 0.5 and energies.max() < 1.06:
            raise Hint("The energies of a frame add up; they are not averaged, nor is one taken.")
        if not np.isclose(energies.sum(), supply.sum()) or len(supply) != photons.sum():
            raise Hint(
                f"{len(supply)} energies of {supply.sum():.0f} keV in all were drawn; your events hold "
                f"{photons.sum()} photons and {energies.sum():.0f} keV. No photon gets lost, and none counts twice."
            )
        if not np.array_equal(np.floor(energies + 1e-4), photons):
            raise Hint(
                "Energies and numbers do not belong together: keep both in the order of the frames."
            )
        for k, found in enumerate([n_frames - len(photons), *np.bincount(photons)[1:]]):
            wanted = n_frames * poisson.pmf(k, load)
            if wanted > 20 and abs(found - wanted) > 6 * wanted**0.5:
                raise Hint(
                    f"Of {n_frames} frames of {load} photons about {wanted:.0f} hold {k}, and {found} of yours. Are "
                    "the numbers Poisson?"
                )
        if load > 0.5 and energies[photons == 2].var() > 3 * supply.var():
            raise Hint("Photons of one frame have like energies: add up the draws unsorted.")
    repeatable(lambda generator: answer(0.8, 500, _Draw(), generator)[1])
    totals = [answer(0.5, 40, _Draw(), np.random.default_rng(seed))[1].sum() for seed in range(200)]
    if np.var(totals) < 10:
        raise Hint(
            f"All frames together hold {min(totals)} to {max(totals)} photons, whatever the generator, and a Poisson "
            "number of mean 20 scatters by 4.5: draw one for each frame."
        )


def _detected_and_piled(load):
    """A function: load -> events per frame, share of them that hold more than one photon."""
    return _with_events(1 - np.exp(-load), load)


def _with_events(detected, load):
    return detected, 1 - load * np.exp(-load) / detected


def _like_load(what):
    """Form of numbers with the shape of the load: a number, or an array."""
    return lambda value, given: (forms.array if np.ndim(given[0]) else forms.number)(what)(value)


detected_and_piled = by_example(
    "Exercise 15.3",
    _detected_and_piled,
    lambda: [(1.2,), (0.3,), (np.array([0.02, 0.5, 2.5]),)],
    {
        "The load may be an array, as in the figure below: np.exp takes both.": lambda load: (
            1 - math.exp(-load),
            1 - load / math.expm1(load),
        ),
        "The right numbers, in the other order: events per frame come first.": lambda load: (
            _detected_and_piled(load)[::-1]
        ),
        "Those are the photons; photons of the same frame make one event.": [
            lambda load: _with_events(load, load),
            lambda load: (load, load / 2),
        ],
        "That is the chance of *no* photon.": lambda load: _with_events(np.exp(-load), load),
        "That is the chance of exactly one photon; two also make an event.": [
            lambda load: _with_events(load * np.exp(-load), load),
            lambda load: (load * np.exp(-load), 1 - (1 + load) * np.exp(-load)),
        ],
        "That is the share of the *frames*; divide by the events per frame.": lambda load: (
            1 - np.exp(-load),
            1 - (1 + load) * np.exp(-load),
        ),
        "That is the share of events with exactly one photon.": lambda load: (
            1 - np.exp(-load),
            load / np.expm1(load),
        ),
        "That is the share of *photons* that meet another one, or of frames, not of events.": lambda load: (
            1 - np.exp(-load),
            1 - np.exp(-load),
        ),
        "That is the limit for small loads, and grows without end; Poisson's law is exact.": lambda load: (
            1 - np.exp(-load),
            load / 2,
        ),
    },
    returns=forms.tuple_of(
        "events per frame, and the share of them that is piled",
        _like_load("events per frame, for each load"),
        _like_load("shares, for each load"),
    ),
    otherwise="For {0} photons per frame we find {ours} and you {yours}. An event is a frame with at least one photon; "
    "the piled share is one minus the share of events with exactly one.",
)


def _piled_spectrum(photons, *, most=60, divide=lambda p: p, shift=1, mode="full", empty=True):
    """A function: photons per frame and bin (n,) -> events per frame and bin (n,)."""
    term = total = photons
    for p in range(2, most + 1):
        term = np.append(np.zeros(shift), np.convolve(term, photons, mode))
        term = term[: len(photons)] / divide(p)
        total = total + term
    return (np.exp(-photons.sum()) if empty else 1) * total


def _wrapped(photons):
    """Use a Fourier transform in which sums above the last bin wrap around to the first."""
    phi = np.fft.fft(np.append(0, photons))
    return np.fft.ifft(np.exp(phi - phi[0].real)).real[1:]


def _some_spectra():
    bins, line = np.arange(200), np.zeros(100)
    line[4] = 2
    edge = np.where(bins < 9, 0, 8 / (bins + 1) ** 2)  # sums begin at 20 w, 30 w and so on
    low, high = (0.2 * np.exp(-0.5 * ((bins - middle) / 6) ** 2) for middle in (30, 130))
    return [(edge,), (line,), (low,), (high[:180] / 4,)]


def _draw_over(yours, right, photons):
    if np.shape(yours) == np.shape(right):
        energy, alt = np.arange(1, len(right) + 1), "Your spectrum of piled events drawn over ours."
        axes = {"xlabel": "energy (w)", "ylabel": "events per frame", "yscale": "log"}
        axes |= {"ylim": (5e-5, 0.1), "yticks": (1e-4, 0.001, 0.01, 0.1)}
        axes["yticklabels"] = [f"{tick:g}" for tick in axes["yticks"]]
        draw_over((energy, right), (energy, yours), alt=alt, **axes)


piled_spectrum = by_example(
    "Exercise 15.4",
    _piled_spectrum,
    _some_spectra,
    {
        "Energies (i + 1) w and (j + 1) w add up to (i + j + 2) w, which is bin i + j + 1; yours is one too low.": (
            partial(_piled_spectrum, shift=0)
        ),
        "np.convolve with mode='same' cuts out the middle: take all of it, and its beginning.": [
            partial(_piled_spectrum, shift=shift, mode="same") for shift in (0, 1)
        ],
        "Those are the frames with one photon; now those with two and more.": partial(
            _piled_spectrum, most=1
        ),
        "Yours end too early, and a frame can hold more photons: continue until the terms no longer matter.": [
            partial(_piled_spectrum, most=most) for most in range(2, 12)
        ],
        "p photons in p! orders are the same frame: where is 1/p!?": [
            partial(_piled_spectrum, most=most, divide=lambda p: 1) for most in (2, 60)
        ],
        "Divided by p! once and again: each term comes from the last one, which has its 1/(p - 1)!, so divide by p.": (
            partial(_piled_spectrum, divide=math.factorial)
        ),
        "Exactly p photons: the factor exp(-L) for no further ones is missing.": partial(
            _piled_spectrum, empty=False
        ),
        "L is the sum of all bins, one number: exp(-L) is the chance of no further photon of any energy.": (
            lambda photons: np.exp(-photons) * _piled_spectrum(photons, empty=False)
        ),
        "The frames with a single photon, p = 1, are events as well.": lambda photons: (
            _piled_spectrum(photons) - np.exp(-photons.sum()) * photons
        ),
        "Sums beyond the last bin came back at the first ones: pad with zeros before a Fourier transform.": _wrapped,
    },
    returns=forms.array("events per frame and bin"),
    otherwise="In the first bin that differs we find {ours} events per frame and you {yours}. Try one line at 5 w: "
    "where are its sums, and how many are there of each?",
    draw=_draw_over,
)


def _inner_radius(radii, photons_per_frame, density, cell_area, limit):
    """A function: radii (n,), photons per frame, density, area of a cell, limit -> a radius."""
    piled = _detected_and_piled(photons_per_frame * density(radii) * cell_area)[1]
    return radii[piled <= limit][0]


def _where_small(of_load):
    """Make a mistake: the first radius at which another quantity is below the limit."""
    return lambda radii, photons, density, area, limit: radii[
        of_load(photons * density(radii) * area) <= limit
    ][0]


def _some_sources():
    wide, sharp = (
        lambda r: 0.8 / (1 + np.asarray(r) ** 2 / 2) ** 1.7,
        lambda r: 0.8 / (1 + np.asarray(r) ** 2) ** 2,
    )
    near, far = np.arange(0.25, 30, 0.13), np.arange(0.05, 50, 0.07)
    return [
        (near, 60.0, wide, 1.2, 0.3),
        (far, 4.0, wide, 2.0, 0.01),
        (near, 40.0, sharp, 0.5, 0.02),
        (near, 3.0, sharp, 2.0, 0.05),
        (near, 500.0, sharp, 0.5, 1.0),  # the share next to the source equals the limit
    ]


inner_radius = by_example(
    "Exercise 15.5",
    _inner_radius,
    _some_sources,
    {
        "That is a position in the array; return the radius itself.": lambda radii, *source: (
            np.flatnonzero(radii == _inner_radius(radii, *source))[0]
        ),
        "That is an end of the array: the *smallest* radius that keeps the limit.": [
            lambda radii, *source: radii[0],
            lambda radii, *source: radii[-1],
        ],
        "That is the last radius beyond the limit: the next one is the first to keep it.": (
            lambda radii, *source: radii[radii < _inner_radius(radii, *source)][-1]
        ),
        "No more than the limit: a share that equals the limit keeps it, so use <=.": (
            lambda radii, *source: _inner_radius(radii, *source[:-1], source[-1] * (1 - 1e-9))
        ),
        "The limit is for the second number of 15.3, the piled share of events.": [
            _where_small(lambda load: load),
            _where_small(lambda load: _detected_and_piled(load)[0]),
            _where_small(lambda load: 1 - (1 + load) * np.exp(-load)),
        ],
        "L/2 is the piled share of small loads only: take that of exercise 15.3.": _where_small(
            lambda load: load / 2
        ),
        "The load of a cell is photons_per_frame × density × cell_area.": [
            lambda radii, n, density, area, limit: _inner_radius(radii, n, density, 1, limit),
            lambda radii, n, density, area, limit: _inner_radius(radii, 1, density, area, limit),
        ],
    },
    returns=forms.number("a radius"),
    otherwise="For {1:g} photons per frame and cells of {3:g} square arcsec the radius is {ours} arcsec, and yours "
    "{yours}: load at each radius, share by 15.3, first one.",
)


def _some_lists():
    """The second list is in no order, and its second simulation has no events near the source."""
    generator, questions = torch.Generator().manual_seed(156), []
    for n, m, radius in ((6, 3000, 2.0), (4, 2000, 1.5)):
        simulation = torch.randint(0, n, (m,), generator=generator)
        x, y = 2 * torch.randn(2, m, generator=generator)
        simulation = simulation.sort().values if n == 6 else simulation
        x[simulation == 1] += 20 * (n == 4)
        valid = torch.rand(m, generator=generator) > 0.05 + 0.1 * simulation / n
        valid[simulation == n - 1] = True  # nothing was rejected there
        valid |= (torch.hypot(x, y) > 1.2) & (torch.rand(m, generator=generator) > 0.5)
        other = torch.zeros(m, dtype=torch.int64)
        events = Events(simulation, other, x, y, x.abs() + 1, other, other + 1, valid)
        questions.append((events, n, radius))
    return questions


def _rejected_share(events, n, radius, distance=torch.hypot):
    """A function: events, number of simulations, radius -> (n,) shares."""
    near = distance(events.x, events.y) < radius
    return _count(events, n, near & ~events.valid) / _count(events, n, near)


def _count(events, n, chosen):
    return torch.bincount(events.simulation[chosen], minlength=n)


def _of_near(share):
    """Make a mistake from a function of events, n, the near events, and the rejected ones among these."""

    def answer(events, n, radius):
        near = torch.hypot(events.x, events.y) < radius
        return share(events, n, near, near & ~events.valid)

    return answer


rejected_share = by_example(
    "Exercise 15.6",
    _rejected_share,
    _some_lists,
    {
        "In the last simulation nothing was rejected, and bincount stops before it: minlength=n.": [
            _of_near(
                lambda events, n, near, bad, count=count: (
                    count(events.simulation[bad]) / count(events.simulation[near])
                )
            )
            for count in (torch.bincount, np.bincount)
        ],
        "A simulation without events near the source has no share, which is NaN.": lambda *given: (
            _rejected_share(*given).nan_to_num()
        ),
        "`events.simulation` says for each event where it is from: sort it, and all others must be sorted along.": (
            lambda events, *x: _rejected_share(
                events._replace(simulation=events.simulation.sort().values), *x
            )
        ),
        "That is the share of the *accepted* ones: ~events.valid are the rejected.": lambda *given: (
            1 - _rejected_share(*given)
        ),
        "That takes all events: only those within `radius` of the source count.": lambda events, n, radius: (
            _rejected_share(events, n, np.inf)
        ),
        "Divide by *all* events near the source, accepted or not, and of the same simulation.": [
            _of_near(
                lambda events, n, near, bad: (
                    _count(events, n, bad) / _count(events, n, near & events.valid)
                )
            ),
            _of_near(lambda events, n, near, bad: _count(events, n, bad) / near.sum()),
            _of_near(
                lambda events, n, near, bad: (
                    _count(events, n, bad) / torch.bincount(events.simulation)
                )
            ),
        ],
        "That is how many were rejected; a share is divided by the near events.": _of_near(
            lambda events, n, near, bad: _count(events, n, bad)
        ),
        "The distance from the source is the root of x² + y².": [
            lambda *given: _rejected_share(*given, lambda x, y: torch.maximum(x.abs(), y.abs())),
            lambda *given: _rejected_share(*given, lambda x, y: x**2 + y**2),
        ],
    },
    # Like x, the first tensor of numbers in the list: float32.
    returns=lambda value, given: forms.tensor("a share for each simulation")(value, given[0]),
    otherwise="Of the events of one simulation within {2}, {ours} were rejected, and you say {yours}: rejected and "
    "near, over near.",
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
