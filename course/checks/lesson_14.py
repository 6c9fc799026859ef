"""Checks of lesson 14: missing gaps, the detector, its rate and its noise, a likelihood, a predictive check."""

import math

import numpy as np
import torch
from scipy.special import lambertw

from course.checks import exercise, forms
from course.checks.drawing import draw_over
from course.checks.examples import by_example, sorting
from helpers.dead_time import filter_events
from helpers.dead_time_theory import incident_rate, white_noise

__all__ = [
    "minus_log_likelihood",
    "missing_gaps",
    "noise",
    "predictive_p",
    "registered",
    "tools",
    "true_rate",
]


def _missing_gaps(gaps, cut):
    """A function: gaps (n,), cut -> rate, number of gaps expected below the cut, number seen there."""
    return _from_gaps()(gaps, cut)


def _from_gaps(
    rate=lambda gaps, above, cut: 1 / (above - cut).mean(),
    expected=lambda n, share, gaps: n / share - n,
    seen=lambda gaps, cut, expected: float((gaps < cut).sum()),
):
    """Make an answer with another rate, expectation from n gaps above the cut, share of all, or observed number."""

    def answer(gaps, cut):
        above = gaps[gaps > cut]
        r = rate(gaps, above, cut)
        due = expected(len(above), np.exp(-r * cut), gaps)
        return r, due, seen(gaps, cut, due)

    return answer


def _some_gaps():
    """Return gaps from clocks of 10 µs, 0.1 ms and 0.5 s, with a cut above the dead time, below it, and without it."""
    generator, questions = np.random.default_rng(140), []
    for rate, dead_time, tick, cut, n in (
        (3000.0, 4.2e-5, 1e-5, 6.5e-5, 800),
        (400.0, 1.3e-3, 1e-4, 1.05e-3, 500),
        (0.2, 0.0, 0.5, 2.25, 600),
    ):
        times = np.cumsum(dead_time + generator.exponential(1 / rate, n))
        questions.append((tick * np.diff(np.floor(times / tick)), cut))
    return questions


missing_gaps = by_example(
    "Exercise 14.1",
    _missing_gaps,
    _some_gaps,
    {
        "That is a mean gap, a time: the rate is one over it.": _from_gaps(
            lambda gaps, above, cut: (above - cut).mean()
        ),
        "Short gaps are missing among all of them: the rate is that of the gaps above the cut alone.": [
            _from_gaps(lambda gaps, above, cut: 1 / gaps.mean()),
            _from_gaps(lambda gaps, above, cut: len(above) / gaps.sum()),
            _from_gaps(lambda gaps, above, cut: 1 / (gaps - gaps.min()).mean()),
        ],
        "What counts is what the long gaps have beyond the cut: subtract the cut from each, once.": [
            _from_gaps(lambda gaps, above, cut: 1 / above.mean()),
            _from_gaps(lambda gaps, above, cut: 1 / (above - above.min()).mean()),
        ],
        "That is a median; it is the mean of an exponential that is 1/r.": _from_gaps(
            lambda gaps, above, cut: 1 / np.median(above - cut)
        ),
        "Of the gaps that are there short ones are missing: begin with the N above the cut, a share e^(-rc) of all.": [
            _from_gaps(expected=lambda n, share, gaps: len(gaps) * (1 - share)),
            _from_gaps(expected=lambda n, share, gaps: len(gaps) / share - len(gaps)),
        ],
        "That is how many there are in all: without the N above the cut it is N e^(rc) - N.": _from_gaps(
            expected=lambda n, share, gaps: n / share
        ),
        "The N above the cut are a share e^(-rc) of all, so that all are N e^(rc).": [
            _from_gaps(expected=lambda n, share, gaps: n * (1 - share)),
            _from_gaps(expected=lambda n, share, gaps: n * share),
        ],
        "With e^x as 1 + x too few are expected: np.exp, or np.expm1, has all of it.": _from_gaps(
            expected=lambda n, share, gaps: -n * np.log(share)
        ),
        "Expected is a number of gaps: how many are there in all, if those above the cut are a share e^(-rc)?": [
            _from_gaps(expected=lambda n, share, gaps: 1 - share),
            _from_gaps(expected=lambda n, share, gaps: 1 / share - 1),
        ],
        "The last of the three is how many gaps below the cut are there: a plain count.": [
            _from_gaps(seen=lambda gaps, cut, expected: (gaps > cut).sum()),
            _from_gaps(seen=lambda gaps, cut, expected: expected - (gaps < cut).sum()),
            _from_gaps(seen=lambda gaps, cut, expected: (gaps < cut).mean()),
        ],
        "These are gaps already: no np.diff.": lambda gaps, cut: _missing_gaps(np.diff(gaps), cut),
        "Gaps and cut are those that your function is given, both in s.": [
            lambda gaps, cut: _missing_gaps(gaps, 3.5e-5),
            lambda gaps, cut: _missing_gaps(gaps, 1e-6 * cut),
        ],
    },
    returns=forms.tuple_of(
        "three numbers: the rate, expected, seen",
        forms.number("the rate"),
        forms.number("the number expected"),
        forms.number("the number seen"),
    ),
    otherwise="In {part} we find {ours} and you {yours}: one over the mean beyond the cut, then N e^(rc) - N with N "
    "gaps above it, then a count.",
    names=("the rate", "the number expected", "the number seen"),
)


def _registered(times, dead_times):
    """A function: sorted times (n,), dead times (n,) -> mask (n,) of the photons that are registered."""
    return filter_events(times, dead_times)


def _by_its_own_dead_time(times, dead_times):
    mask, last = [], -math.inf
    for time, dead_time in zip(times, dead_times, strict=True):
        mask.append(time >= last + dead_time)
        last = time if mask[-1] else last
    return np.array(mask)


def _some_photons():
    generator = np.random.default_rng(141)
    questions = []
    for low, high in ((2.5e-3, 2.5e-3), (5e-4, 8e-3)):
        times = 1e3 + np.cumsum(generator.exponential(1e-3, 400))
        questions.append((times, generator.uniform(low, high, 400)))
    questions[1] = questions[1][0] - 1000.2, questions[1][1]  # half of them before t = 0
    # Photons that arrive exactly at the end of a dead time, and at the same time.
    edge = np.array([0.0, 1, 2, 2, 2.5, 4, 5, 5]), np.array([1.0, 1, 0, 2, 3, 1, 0, 0])
    return [*questions, edge]


registered = by_example(
    "Exercise 14.2",
    _registered,
    _some_photons,
    {
        "Those are the right photons or positions: return the mask, one True or False for each photon.": [
            lambda t, d: t[_registered(t, d)],
            lambda t, d: np.flatnonzero(_registered(t, d)),
        ],
        "True is for the photons that are registered, not for the lost ones.": lambda *x: (
            ~_registered(*x)
        ),
        "Nothing is lost: does the end of the blind time move on with each event?": lambda t, d: (
            t > 0
        ),
        "The first photon finds a live detector: it is registered, be it before t = 0 (begin with -np.inf).": [
            lambda t, d: _registered(t, d) & (t > t[0]),
            lambda t, d: np.append(0 * t[t < 0], _registered(t[t >= 0], d[t >= 0])),
        ],
        "Too few are left: that starts the blind time anew with photons that are lost. Only a registered one starts "
        "it.": [
            lambda t, d: filter_events(t, d, paralyzable=True),
            lambda t, d: np.r_[True, np.diff(t) >= d[:-1]],
        ],
        "The blind time was caused by the last registered photon, not by the one that comes: take that one's dead "
        "time.": _by_its_own_dead_time,
        "Dead times differ from event to event: take that of the last registered photon.": [
            lambda t, d: _registered(t, 0 * d + d[0]),
            lambda t, d: _registered(t, 0 * d + d.mean()),
        ],
        "A photon that comes exactly at the end of the blind time is registered.": lambda t, d: (
            _registered(t, d + 1e-12)
        ),
    },
    returns=forms.array("a mask", bool),
    otherwise="Of {0.size} photons some have another fate than yours: draw the first ten blind intervals on paper.",
)


def _true_rate(detected, dead_time):
    """A function: registered rate, number or (n,), dead time -> incident rate."""
    return incident_rate(detected, dead_time)


def _a_rate(value, given):
    """Form of rates with the shape of the registered ones: a number, or an array."""
    return (forms.array if np.ndim(given[0]) else forms.number)("a rate")(value, given)


true_rate = by_example(
    "Exercise 14.3",
    _true_rate,
    lambda: [(50.0, 5e-3), (380.0, 2.5e-3), (10.0, 0.0), (np.array([20.0, 90.0]), 1e-2)],
    {
        "That is less than what you registered; more must have arrived.": [
            lambda r, tau: r / (1 + r * tau),
            lambda r, tau: r * (1 - r * tau),
        ],
        "That adds what would arrive in the dark at the *registered* rate; it arrives at the true one. Divide by the "
        "live share instead.": lambda r, tau: r * (1 + r * tau),
        "That undoes r·exp(-rτ), the rate of paralyzable electronics: ours is not.": [
            lambda r, tau: r * np.exp(r * tau),
            lambda r, tau: -lambertw(-r * tau).real / tau,
        ],
        "That is the live share; now the rate while you were live.": lambda r, tau: 1 - r * tau,
        "That is a factor: multiply the registered rate by it.": lambda r, tau: 1 / (1 - r * tau),
    },
    returns=_a_rate,
    otherwise="With {0} events per second, each of which costs {1:g} s, we find {ours}/s and you {yours}/s. How "
    "many seconds of each second were dark?",
)


def _noise(frequency, rate, dead_time):
    """A function: frequencies (n,) Hz, rate, dead time -> Leahy power (n,)."""
    return white_noise(torch.as_tensor(frequency), rate, dead_time).numpy()


def _noise_of(
    phi=lambda iw, r, tau: np.exp(iw * tau) * r / (r - iw),
    power=lambda phi: 2 * (1 - abs(phi) ** 2) / abs(1 - phi) ** 2,
):
    """Make a mistake: the power from another φ, or another power from φ."""
    return lambda f, r, tau: power(phi(2j * np.pi * f, r, tau))


def _draw_over(yours, right, frequency, *_):
    if yours.shape == right.shape:
        alt = "Your power spectrum of the noise drawn over ours, for 800 photons/s and 3 ms."
        axes = {"xscale": "log", "xlabel": "frequency (Hz)", "ylabel": "Leahy power"}
        draw_over((frequency, right), (frequency, yours), alt=alt, **axes)


noise = by_example(
    "Exercise 14.4",
    _noise,
    lambda: [
        (np.geomspace(0.5, 3000, 300), 800.0, 3e-3),
        (np.geomspace(0.5, 5000, 300), 200.0, 1e-3),
        (np.geomspace(0.5, 3000, 300), 500.0, 0.0),
    ],
    {
        "The power is a real number: the bars |…| stand for np.abs.": _noise_of(
            power=lambda phi: 2 * (1 - phi**2) / (1 - phi) ** 2
        ),
        "Half of it: for f → ∞ the power must go to 2, the Poisson level.": lambda *x: (
            _noise(*x) / 2
        ),
        "Your hump lies at the wrong place: ω is 2πf.": [
            lambda f, *x, by=by: _noise(f / by, *x) for by in (2 * np.pi, 2)
        ],
        "Dead time and rate are those that your function is given, not those of this lesson.": [
            lambda f, r, tau: _noise(f, r, 2.5e-3),
            lambda f, r, tau: _noise(f, 1000.0, tau),
            lambda f, r, tau: _noise(f, 1000.0, 2.5e-3),
        ],
        "The wait after the blind time has the *incident* rate, not the registered one.": lambda f, r, tau: (
            _noise(f, r / (1 + r * tau), tau)
        ),
        "That is 2 at all frequencies: where does the dead time come in?": lambda f, *x: 2 + 0 * f,
        "Dead time and wait follow each other, and so do their phases: with e^{iωτ} goes r - iω; one of your signs is "
        "turned round.": [
            _noise_of(lambda iw, r, tau: np.exp(-iw * tau) * r / (r - iw)),
            _noise_of(lambda iw, r, tau: np.exp(iw * tau) * r / (r + iw)),
        ],
        "All of r - iω stands below the line: put it in brackets.": _noise_of(
            lambda iw, r, tau: np.exp(iw * tau) * r / r - iw
        ),
        "An r stands above the line, too: r/(r - iω).": _noise_of(
            lambda iw, r, tau: np.exp(iw * tau) / (r - iw)
        ),
        "Both bars are squared, above and below the line: np.abs first, and then the square.": [
            _noise_of(power=lambda phi: 2 * (1 - abs(phi)) / abs(1 - phi)),
            _noise_of(power=lambda phi: 2 * (1 - abs(phi) ** 2) / abs(1 - phi)),
            _noise_of(power=lambda phi: 2 * (1 - abs(phi) ** 2) / (1 - abs(phi)) ** 2),
        ],
    },
    returns=forms.array("powers"),
    otherwise="Both ends are right and the middle is not: look at the phase, e^{{iωτ}}. (We find {ours}, you {yours}.)",
    signs={
        "For f → 0 the power must go to 2/(1 + rτ)², with the r and τ that are given. Are both bars squared, and is "
        "r - iω in brackets?": (
            lambda found, f, r, tau: abs(np.ravel(found)[0] * (1 + r * tau) ** 2 / 2 - 1) > 0.02
        ),
        "At high frequency the power must go to 2.": lambda found, *x: (
            abs(np.ravel(found)[-1] - 2) > 0.1
        ),
    },
    rtol=1e-4,
    draw=_draw_over,
)


def _loss(power, model, n_averaged):
    """A function: powers (n,), model (n,), number averaged (a number or (n,)) -> a number."""
    return np.sum(n_averaged * (np.log(model) + power / model))


def _between(answer):
    """Return the change of an answer between two models: constant terms may be left out."""

    def change(power, model, other, n):
        return answer(power, model, n) - answer(power, other, n)

    change.of = answer
    return change


def _sum_of(term):
    """Make a mistake: the sum of another function of ln m, P/m and M."""
    return _between(lambda power, model, n: np.sum(term(np.log(model), power / model, n)))


def _some_powers():
    """Leahy powers, and in the last question fractional ones, per Hz."""
    generator, questions = np.random.default_rng(144), []
    for m, unit in ((1, 1), (10, 1), (generator.integers(1, 9, 60), 1e-4)):
        truth = unit * (2 + 5 / (1 + generator.uniform(-4, 4, 60) ** 2))
        power = truth * generator.gamma(m, 1 / np.asarray(m), 60)
        questions.append((power, truth * np.linspace(0.6, 1.7, 60), truth, m))
    return questions


_NUMBER = forms.number("one number, the sum")
_likelihood = by_example(
    "Exercise 14.5",
    _between(_loss),
    _some_powers,
    {
        "It comes out infinite: a product of so many factors is 0 in a computer. Take logarithms first, then their "
        "sum.": _between(lambda p, m, n: -np.log(np.prod(m ** (-1.0 * n) * np.exp(-n * p / m)))),
        "That is +ln L; what a minimiser needs is its negative.": _between(lambda *x: -_loss(*x)),
        "Without M: ten periodograms say ten times as much.": _between(
            lambda p, m, n: _loss(p, m, 1)
        ),
        "That is -2 ln L; leave the two out.": _between(lambda *x: 2 * _loss(*x)),
        "Data and model are swapped: P/m, and ln m.": _between(lambda p, m, n: _loss(m, p, n)),
        "Independent frequencies multiply, so sum: no mean.": _between(
            lambda p, *x: _loss(p, *x) / 60
        ),
        "Sum over the frequencies, each with its own M: `n_averaged` may be an array.": [
            _between(lambda p, m, n: n * (np.log(m) + p / m)),
            _between(lambda p, m, n: n * _loss(p, m, 1)),
            _between(lambda p, m, n: np.mean(n) * _loss(p, m, 1)),
        ],
        "Without m^-M a model of infinite power is best.": _sum_of(lambda log, x, n: n * x),
        "The density goes as m^-M: ln m, too, comes M times.": [
            _sum_of(lambda log, x, n: log + n * x),
            _sum_of(lambda log, x, n: (n - 1) * log + n * x),
        ],
        "A model of a fractional power is small, and its logarithm negative: no floor under it, and no |…|.": [
            _between(lambda p, m, n: _loss(p, np.maximum(m, 0.1), n)),
            _sum_of(lambda log, x, n: n * (np.maximum(log, np.log(0.1)) + x)),
            _sum_of(lambda log, x, n: n * (abs(log) + x)),
        ],
        "The exponent is -M P/m: P/m, too, comes M times.": _sum_of(lambda log, x, n: n * log + x),
        "Minus the logarithm of m^-M is + M ln m.": _sum_of(lambda log, x, n: n * (x - log)),
        "The logarithm is ln, not that to base ten.": _sum_of(
            lambda log, x, n: n * (x + log / np.log(10))
        ),
        "That is χ²; few averaged powers are not Gaussian, and the fit would be biased.": [
            _sum_of(lambda log, x, n: n * (x - 1) ** 2),
            _sum_of(lambda log, x, n: n * (x - 1) ** 2 / 2),
            _between(lambda p, m, n: np.sum((p - m) ** 2)),
        ],
    },
    returns=_NUMBER,
    otherwise="Between two models -ln L should differ by {ours}; yours differs by {yours}.",
    rtol=1e-4,
)


@exercise("Exercise 14.5", reference=lambda: _loss, form=forms.function(_NUMBER))
def minus_log_likelihood(answer):
    """A function: powers (n,), model (n,), number averaged (a number or (n,)) -> a number."""
    _likelihood.__wrapped__(_between(answer))


minus_log_likelihood.mistakes = [(hint, wrong.of) for hint, wrong in _likelihood.mistakes]


def _predictive_p(samples, simulate, statistic, observed, generator):
    """A function: samples, simulate, statistic, observed, generator -> share of replicas."""
    return (statistic(simulate(samples, generator)) >= statistic(observed)).double().mean().item()


def _share(counts):
    """Make a mistake: the share of replicas by another rule."""
    return lambda s, sim, t, o, g: counts(t(sim(s, g)), t(o)).double().mean()


def _set_back(samples, simulate, statistic, observed, generator):
    state, larger = generator.get_state(), 0
    for sample in samples:
        generator.set_state(state)
        larger += (statistic(simulate(sample, generator)) >= statistic(observed)).item()
    return larger / len(samples)


def _simulator(seed, width, samples):
    """Seven whole numbers about θ0, whose noise the samples hold: all are exact with the generator that was given.

    It must run on: only the first sample may meet it as it was at first.
    """
    start = torch.Generator().manual_seed(seed).get_state()

    def simulate(theta, generator):
        right = getattr(generator, "initial_seed", int)() == seed
        if right and torch.equal(generator.get_state(), start):
            right = torch.equal(theta.reshape(-1, 9)[0], samples[0])
            torch.rand(1, generator=generator)
        noise = theta[..., 1:8] if right else theta[..., 2:9]
        return (theta[..., :1] + width * noise).round()

    return simulate


def _some_posteriors():
    draws, questions = torch.Generator().manual_seed(145), []
    for seed, width, of, observed in (
        (1, 4.0, lambda x: x[..., 0], 4.0),
        (2, 2.0, lambda x: x[..., 3], 0.0),
        (3, 3.0, lambda x: x.mean(-1), 2.0),
    ):
        samples = torch.randn(397, 9, generator=draws) * torch.tensor([3.0] + 8 * [1.0])
        data = observed + torch.tensor([0.0, 9, -9, -3, 9, -9, -4])
        simulate, draw = _simulator(seed, width, samples), torch.Generator().manual_seed(seed)
        questions.append((samples, simulate, of, data, draw))
    return questions


predictive_p = by_example(
    "Exercise 14.6",
    _predictive_p,
    _some_posteriors,
    {
        "Hand `generator` on to simulate, so that the result can be repeated.": [
            lambda s, sim, t, o, g: _predictive_p(s, sim, t, o, torch.Generator()),
            lambda s, sim, t, o, g: t(sim(s)) >= t(o),
        ],
        "You set the generator back before each replica, so that all have the same noise: let it run on.": (
            _set_back
        ),
        "All replicas come from one set of parameters, or you compare their mean: one replica from each sample, so "
        "that the width of the posterior is in them, and each compared by itself.": [
            lambda s, *x: _predictive_p(s.mean(0).expand(5, -1), *x),
            _share(lambda replicas, data: replicas.mean() >= data),
        ],
        "Nothing was simulated: the replicas are data, not parameters.": lambda s, sim, t, o, g: (
            (t(s) >= t(o)).double().mean()
        ),
        "That compares all numbers of the data: compare their statistic.": [
            lambda s, sim, t, o, g: (sim(s, g) >= o).double().mean(),
            lambda s, sim, t, o, g: (sim(s, g) >= t(o)).double().mean(),
        ],
        "At least as large: replicas that equal the observation count too, so use >=.": _share(
            torch.gt
        ),
        "The upper tail alone: no second one, no minimum, no factor of two.": [
            lambda *x: min(_predictive_p(*x), 1 - _predictive_p(*x)),
            lambda *x: 2 * min(_predictive_p(*x), 1 - _predictive_p(*x)),
            _share(lambda replicas, data: replicas.abs() >= data.abs()),
        ],
        "That is the share of smaller ones; we want those at least as large.": [
            _share(torch.lt),
            _share(torch.le),
        ],
        "Torch takes no mean of a mask: turn it into numbers first, mask.double().": (
            lambda s, sim, t, o, g: (t(sim(s, g)) >= t(o)).mean()
        ),
        "Compare the replicas' statistic (n,) with statistic(observed), one number.": (
            lambda s, sim, t, o, g: t(sim(s, g)) >= o
        ),
    },
    returns=forms.number("a share"),
    otherwise="In a problem with a known answer the share is {ours} and yours {yours}: one replica from each sample, "
    "and each has its own statistic.",
    signs={
        "A share lies between 0 and 1.": lambda p, *x: not 0 <= p <= 1,
        "That is no share of as many replicas as there are samples: one from each.": lambda p, samples, *x: (
            abs(p * len(samples) - round(p * len(samples))) > 1e-3
        ),
    },
)


tools = sorting(
    "Exercise 14.7",
    {
        "the flux of a steady source, from its registered rate": (
            "formula",
            "what is the live share of a steady source?",
        ),
        "the significance of a peak at 320 Hz in a source that does not vary otherwise": (
            "formula",
            "the null hypothesis is noise alone, and its spectrum is known exactly.",
        ),
        "the rms of a weak QPO (5 per cent), one detector, a day of data": (
            "formula",
            "how good is first order at 5 per cent? And how many detectors does FAD need?",
        ),
        "the rms of a weak QPO, two detectors, a day of data, a dead time that nobody has measured": (
            "FAD",
            "which of the three needs to know the dead time, and which does not?",
        ),
        "the rms of a QPO of 45 per cent in 10 s of a bright source": (
            "simulator",
            "where did both first order and FAD fail?",
        ),
        "the rate of a bright source that varies by 50 per cent, and how": (
            "simulator",
            "exercise 14.3 was for a constant source, and came out low for the mocks.",
        ),
        "the frequency of a strong QPO": (
            "none is needed",
            "which parameter did even the worst fit get right?",
        ),
    },
)
