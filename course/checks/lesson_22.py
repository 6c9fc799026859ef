"""Checks of lesson 22: segments in good time, live time, a band's noise, a prior predictive check, a report."""

import numpy as np
import torch

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, sorting
from helpers.dead_time_theory import white_noise
from helpers.observations import live_time as _live_time

__all__ = ["band_noise", "blind", "live_time", "report", "segments", "surprise"]


def _segments(gti, length):
    """A function: intervals (n, 2) s, length s -> starts of the segments inside."""
    return np.concatenate([a + length * np.arange((b - a) // length) for a, b in gti])


def _judged(answer):
    """Return the numbers of segments in all, over an edge, over another segment, and apart from the previous one."""

    def found(gti, length):
        starts = np.asarray(answer(gti, length))
        if starts.ndim != 1:
            raise Hint(f"Expected the starts alone, (n,); yours have the shape {starts.shape}.")
        starts, close = np.sort(starts), 1e-6 * length
        inside = (starts[:, None] >= gti[:, 0] - close) & (
            starts[:, None] + length <= gti[:, 1] + close
        )
        step, which = np.diff(starts), inside.argmax(axis=1)
        apart = (step > length + close) & (np.diff(which) == 0)
        faults = ~inside.any(axis=1), step < length - close, apart
        return np.array([len(starts), *(fault.sum() for fault in faults)])

    found.of = answer
    return found


def _each(number, step=1.0):
    """Make a mistake: another number of segments in each interval, or another step between them."""
    return _judged(
        lambda gti, length: np.concatenate(
            [a + step * length * np.arange(number((b - a) / length)) for a, b in gti]
        )
    )


def _some_intervals():
    short = np.array([[0.0, 10.5], [20.0, 21.0], [30.0, 33.25], [40.0, 41.0], [50.0, 50.375]])
    orbits = 8e7 + np.array([[0.0, 1500.0], [5700.0, 5710.0], [5800.0, 6200.0]])
    return [(short, 1.0), (orbits, 16.0), (short + 4, 0.5)]


_in_good_time = by_example(
    "Exercise 22.1",
    _judged(_segments),
    _some_intervals,
    {
        "The last segment of an interval lies over its end: only *whole* ones, so round down.": _each(
            np.ceil
        ),
        "A segment that just fits, from an interval's start to its end, counts too.": _each(
            lambda n: np.ceil(n) - 1
        ),
        "You cut from the first start to the last stop, through the gaps: go interval by interval.": _judged(
            lambda gti, length: _segments([[gti[0, 0], gti[-1, 1]]], length)
        ),
        "There are more intervals than that one.": [
            _judged(lambda gti, length: _segments(gti[:1], length)),
            _judged(lambda gti, length: _segments(gti[-1:], length)),
        ],
        "One segment in each interval; as many as fit, please.": _each(lambda n: n >= 1),
        "Your segments lie over each other: from one start to the next it is one length.": [
            _each(lambda n: np.floor(2 * n) - 1, step=0.5),
            _each(np.floor, step=1e-3),
        ],
        "An interval begins at its own start: add it.": _judged(
            lambda gti, length: _segments(gti - gti[:, :1], length)
        ),
    },
    returns=forms.array("how many"),
    signs={
        "Some of your segments lie over an edge of good time.": lambda found, *x: found[1] > 0,
        "Some of your segments lie over each other.": lambda found, *x: found[2] > 0,
        "Between some of your segments good time is left: one right after the other.": lambda found, *x: (
            found[3] > 0
        ),
    },
    otherwise="In intervals of good time where {ours} segments fit you find {yours}.",
)


def _in_order(value, given=()):
    return np.sort(forms.array("the starts of segments")(value, given), axis=-1)


@exercise("Exercise 22.1", reference=lambda: _segments, form=forms.function(_in_order))
def segments(answer):
    """A function: intervals (n, 2) s, length s -> starts of the segments inside."""
    _in_good_time.__wrapped__(_judged(answer))


segments.mistakes = [(hint, wrong.of) for hint, wrong in _in_good_time.mistakes]
segments.signs = _in_good_time.signs


def _live(edges, times, prior):
    """A function: edges (n + 1,), event times (m,), live time before each (m,) -> live time in each bin (n,), s."""
    return _live_time(edges, times, prior)


def _risen(first, last, total=np.cumsum):
    """Make a mistake: live time that increases between other times."""

    def answer(edges, times, prior):
        knots = np.stack([first(times, prior), last(times, prior)], axis=1).ravel()
        passed = np.stack([total(prior) - prior, total(prior)], axis=1).ravel()
        return np.diff(np.interp(edges, knots, passed))

    return answer


def _live_after_the_last(edges, times, prior):
    more = edges[-1] + 1.0
    return _live_time(edges, np.append(times, more), np.append(prior, more - times[-1]))


def _some_events():
    """Dead times of several lengths, vetoes among them; bins from before the first event to after the last."""
    generator, questions = np.random.default_rng(222), []
    for n, width in ((40, 0.013), (60, 0.21), (25, 0.05)):
        cost, prior = generator.uniform(2e-3, 2e-2, n), generator.exponential(2e-2, n)
        times = 5 * width + np.cumsum(prior + np.append(0, cost[:-1]))
        questions.append((np.arange(0, times[-1] + 3 * width, width), times, prior))
    return questions


live_time = by_example(
    "Exercise 22.2",
    _live,
    _some_events,
    {
        "That gives all of an event's live time to the bin of the event. An edge may cut it in two: it began "
        "`prior` before.": lambda e, t, p: np.histogram(t, e, weights=p)[0],
        "That lets live time rise over the whole gap, dead time included: it rises from times - prior on.": (
            lambda e, t, p: np.diff(np.interp(e, t, np.cumsum(p)))
        ),
        "PRIOR is the time *before* its event, not after.": _risen(
            lambda t, p: t, lambda t, p: t + p
        ),
        "After the last event nothing is known: count it as dead.": _live_after_the_last,
        "The first event, too, had waited: before it lies its own prior.": lambda e, t, p: _live(
            e, t[1:], p[1:]
        ),
        "That is the live *share*; return seconds.": lambda e, t, p: _live(e, t, p) / np.diff(e),
        "That is the dead time; return the live one.": lambda e, t, p: np.diff(e) - _live(e, t, p),
        "That is the live time up to each edge: one number for each bin is their difference, np.diff.": [
            lambda e, t, p: np.append(0, np.cumsum(_live(e, t, p))),
            lambda e, t, p: np.cumsum(_live(e, t, p)),
        ],
        "Those are the live times of events; return one for each bin.": lambda e, t, p: p,
    },
    returns=forms.array("live seconds in each bin"),
    otherwise="In one bin of {0.size} we find {ours} live seconds, and you {yours}. Draw three events, and the "
    "intervals before them, on paper.",
)


def _band_noise(frequency, rate, dead_time, kept):
    """A function: frequencies (n,) Hz, incident rate, dead time, share kept -> Leahy power (n,)."""
    return 2 + kept * (white_noise(frequency, rate, dead_time) - 2)


def _of_power(change):
    """Make a mistake: another function of P and q."""
    return lambda f, r, tau, q: change(white_noise(f, r, tau), q)


band_noise = by_example(
    "Exercise 22.3",
    _band_noise,
    lambda: [
        (torch.linspace(1, 900, 50, dtype=torch.float64), 800.0, 3e-3, 0.6),
        (torch.linspace(2, 700, 50, dtype=torch.float64), 2000.0, 1e-4, 0.3),
        (torch.linspace(3, 500, 50, dtype=torch.float64), 300.0, 1e-3, 0.85),
    ],
    {
        "That is below 2 without dead time, too, where the noise of a band is Poisson's. What shrinks by q is P - 2.": (
            _of_power(lambda p, q: q * p)
        ),
        "That is the noise of all registered events.": _of_power(lambda p, q: p),
        "That is what is left over 2; add the 2.": _of_power(lambda p, q: q * (p - 2)),
        "A source with fewer photons would lose fewer: here *all* of them caused dead time, and then some were thrown "
        "away.": lambda f, r, tau, q: white_noise(f, q * r, tau),
        "That keeps the share that was thrown away.": _of_power(lambda p, q: 2 + (1 - q) * (p - 2)),
        "By q, not by its square.": _of_power(lambda p, q: 2 + q**2 * (p - 2)),
        "P lies below 2 here: the difference is P - 2, not 2 - P.": _of_power(
            lambda p, q: 2 + q * (2 - p)
        ),
        "`white_noise` takes the incident rate, which your function is given; no second correction.": [
            lambda f, r, tau, q: _band_noise(f, r / (1 + r * tau), tau, q),
            lambda f, r, tau, q: _band_noise(f, r / (1 - min(r * tau, 0.99)), tau, q),
        ],
    },
    returns=forms.tensor("powers", dtype="float64"),
    otherwise="With a share of {3} kept we find {ours}, and you {yours}. What is P - 2, and what is left of it?",
)


def _surprise(simulated, observed):
    """A function: simulated (n, m), observed (m,) -> two-sided tail shares (m,)."""
    return _tails(simulated, observed)


def _tails(
    simulated,
    observed,
    smaller=torch.minimum,
    at_most=torch.le,
    at_least=torch.ge,
    axis=0,
    factor=2,
):
    """Compute the tail shares; an option gives a mistake."""
    low, high = (is_so(simulated, observed).double().mean(axis) for is_so in (at_most, at_least))
    return (factor * smaller(low, high)).clamp(max=1)


def _without_limit(simulated, observed):
    low, high = ((simulated <= observed), (simulated >= observed))
    return 2 * torch.minimum(low.double().mean(0), high.double().mean(0))


def _some_simulations():
    """Return integers, so that many are equal, and a square table, so that its axes can be exchanged."""
    generator, questions = torch.Generator().manual_seed(224), []
    for n, width in ((12, 2.0), (12, 3.0), (12, 1.0)):
        simulated = (width * torch.randn(n, 12, generator=generator)).round()
        questions.append((simulated, (0.8 * width * torch.randn(12, generator=generator)).round()))
    return questions


surprise = by_example(
    "Exercise 22.4",
    _surprise,
    _some_simulations,
    {
        "The mean goes over the simulations, the first axis, so that each number of the data keeps its own.": [
            lambda *x: _tails(*x, axis=1),
            lambda *x: _tails(*x, axis=(0, 1)),
        ],
        "That is one tail: data can be too low and too high.": [
            lambda *x: _tails(*x, smaller=lambda low, high: low, factor=1),
            lambda *x: _tails(*x, smaller=lambda low, high: high, factor=1),
            lambda *x: _tails(*x, smaller=lambda low, high: low),
            lambda *x: _tails(*x, smaller=lambda low, high: high),
        ],
        "The smaller share is doubled, as there are two sides to be surprised on.": lambda *x: (
            _tails(*x, factor=1)
        ),
        "The smaller of the two shares, not the larger.": lambda *x: _tails(
            *x, smaller=torch.maximum
        ),
        "Simulations that equal the data count on both sides: <= and >=.": [
            lambda *x: _tails(*x, at_most=torch.lt, at_least=torch.gt),
            lambda *x: _tails(*x, at_most=torch.lt),
            lambda *x: _tails(*x, at_least=torch.gt),
        ],
        "In the middle, with ties, twice a share is more than 1: cut it there.": _without_limit,
        "That compares with the mean of the simulations; count them instead, no Gaussian is needed.": (
            lambda s, o: torch.erfc(((o - s.mean(0)) / s.std(0)).abs().double() / 2**0.5)
        ),
        "Torch takes no mean of a mask: turn it into numbers first, mask.double().": lambda s, o: (
            s <= o
        ).mean(0),
    },
    returns=forms.tensor("a share for each number of the data", dtype="float64"),
    otherwise="For one number of the data the share is {ours}, and yours {yours}.",
)


blind = sorting(
    "Exercise 22.5",
    {
        "good time that begins half a second before the data": (
            "look",
            "you found it before there was any simulator.",
        ),
        "a prior whose rates are all too low, in a simulator that is right": (
            "prior predictive",
            "no θ of the prior could make such data.",
        ),
        "a network that answers with the prior, whatever it is asked": (
            "held-out ln q",
            "its ranks are flat; what was its row in the table?",
        ),
        "posteriors that are a third too narrow": (
            "ranks of mocks",
            "a promise that can be counted, if you know the truths.",
        ),
        "a band that the simulator has forgotten": (
            "unseen statistic",
            "its ranks were flat and its powers fitted; which number was wrong all the same?",
        ),
        "a clock that runs too fast by one part in a million": (
            "none",
            "which number of yours would change by more than its error?",
        ),
        "a prior that is uniform in the rms, where a reader expects one in lg rms": (
            "none",
            "a choice is no error: nothing in the data speaks against it.",
        ),
    },
)

# Our result, the accepted range, and the sentence that helps outside it.
_LINES = {
    "events in the band": (1202000, 1.2e6, 1.204e6, "the counts of all stretches, summed."),
    "live time (s)": (853.3, 852.5, 854.3, "the sum of `live`, that of 1024 segments."),
    "dead time of an event (ms)": (0.1, 0.0999, 0.1001, "what a gap is longer than its PRIOR."),
    "share of the events that is kept": (0.7045, 0.704, 0.705, "how many of all are in the band?"),
    "highest frequency of the summary (Hz)": (
        *(120.7, 110.0, 128.0),
        "the last of simulate.frequencies; bins of 1/256 s know nothing above 128 Hz.",
    ),
    "largest rms of the prior": (0.2, 0.1999, 0.2001, "the corner of the box, `high`."),
    "simulations": (3000, 3000, 3000, "all that were made, those that training held out included."),
    "share of 400 truths in 68 % regions": (0.665, 0.55, 0.8, "`held`, a share, of the mocks."),
    "rate, mean of the stretches (1/s)": (2003, 1950, 2050, "the *incident* rate, of `rates`."),
    "its error (1/s)": (
        9,
        5,
        15,
        "that of a mean of 32: one stretch has almost six times as much.",
    ),
    "rms is below (95 %)": (0.13, 0.06, 0.19, "the largest of `limits`, a fraction."),
    "p of the live share": (0.5, 0.05, 0.95, 'of "ours": p_values["ours", "live share"].'),
}
_ELSEWHERE = {  # line: (from, to, what it is instead)
    "live time (s)": [
        (*(590, 610), "That is PRIOR of the band alone. An event thrown away has been waited for."),
        (*(1023, 1027), "That is the time of the clock."),
        (*(0, 1), "That is a share; we ask for seconds."),
    ],
    "dead time of an event (ms)": [(*(9.9e-5, 1.01e-4), "That is in seconds.")],
    "rate, mean of the stretches (1/s)": [
        (
            *(1100, 1220),
            "That is the registered rate of the band; a detector cannot change a source.",
        ),
        (*(1640, 1690), "That is the registered rate; what arrived was more."),
        (*(1250, 1400), "That is from the network that has forgotten the band."),
    ],
    "its error (1/s)": [
        (
            *(25, 90),
            "That is the error of one stretch; the mean of 32 has that over the root of 32.",
        )
    ],
    "p of the live share": [
        (*(0.99, 1), "That is of the network that has forgotten the band; report that of ours.")
    ],
}


@exercise(
    "Exercise 22.6",
    reference=lambda: {line: float(value) for line, (value, *_) in _LINES.items()},
    form=forms.mapping({line: forms.number("a number") for line in _LINES}),
)
def report(answer):
    """A dictionary: line of the report -> its number."""
    for line, (_, low, high, help_) in _LINES.items():
        if low <= answer[line] <= high:
            continue
        for first, last, sentence in _ELSEWHERE.get(line, ()):
            if first <= answer[line] <= last:
                raise Hint(f"{sentence} ({line!r})")
        raise Hint(f"{line!r} is {answer[line]:.4g}, but it should be {help_}")


report.mistakes = [
    (sentence, report.reference() | {line: (first + last) / 2})
    for line, others in _ELSEWHERE.items()
    for first, last, sentence in others
]
