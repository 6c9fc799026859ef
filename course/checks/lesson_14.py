"""Checks of lesson 14: the detector, its rate and its noise, a likelihood, a predictive check, a wrong noise."""

import numpy as np
import torch

from course.checks import Hint, array, exercise, explained, function, number, sorting
from course.checks.drawing import draw_over
from helpers.dead_time import filter_events
from helpers.dead_time_theory import white_noise

__all__ = [
    "left_over_rms",
    "minus_log_likelihood",
    "noise",
    "predictive_p",
    "registered",
    "tools",
    "true_rate",
]


def _registered(times, dead_times, *, of_the_next=False):
    """The mask; with the dead time of the photon that comes it is a learner's mistake."""
    mask = np.zeros(len(times), dtype=bool)
    last, blind = -np.inf, 0.0
    for i, (time, dead_time) in enumerate(zip(times, dead_times, strict=True)):
        if time >= last + (dead_time if of_the_next else blind):
            mask[i] = True
            last, blind = time, dead_time
    return mask


@exercise("Exercise 14.1", reference=lambda: _registered)
def registered(answer):
    """A function: sorted times (n,), dead times (n,) -> mask (n,) of the photons that are registered."""
    answer = function(answer)
    generator = np.random.default_rng(141)
    for varies in (False, True):
        times = 1e3 + np.cumsum(generator.exponential(1e-3, 400))
        tau = generator.uniform(5e-4, 8e-3, 400) if varies else np.full(400, 2.5e-3)
        given = answer(times.copy(), tau.copy())
        right = filter_events(times, tau)
        if np.ndim(given) == 1 and len(given) == right.sum() and np.allclose(given, times[right]):
            raise Hint("Those are the right photons; return the mask, one True or False for each.")
        if np.array_equal(given, np.flatnonzero(right)):
            raise Hint(
                "Those are the right positions; return the mask, one True or False for each."
            )
        mask = array(given, times.shape, "a mask")
        if not np.isin(mask, (0, 1)).all():
            raise Hint("Expected a mask: True for each photon that is registered, and False.")
        mask = mask.astype(bool)
        if np.array_equal(mask, right):
            continue
        if mask.all():
            raise Hint("Nothing is lost: does the end of the blind time move on with each event?")
        if not mask[0]:
            raise Hint("The first photon finds a live detector: it is registered.")
        # Those of a paralyzable detector, or of gaps between neighbours.
        gaps = np.r_[True, np.diff(times) >= tau[:-1]]
        if np.array_equal(mask, filter_events(times, tau, paralyzable=True)) or (
            np.array_equal(mask, gaps)
        ):
            raise Hint(
                "Too few are left: that starts the blind time anew with photons that are lost. "
                "Only a registered one starts it."
            )
        if np.array_equal(mask, _registered(times, tau, of_the_next=True)):
            raise Hint(
                "The blind time was caused by the last registered photon, not by the one that comes: "
                "take that one's dead time."
            )
        wrong = np.flatnonzero(mask != right)[0]
        raise Hint(
            f"It goes wrong at photon {wrong} of a list with {'varying' if varies else 'constant'} "
            "dead times: draw the blind intervals of the photons before it on paper."
        )
    edge = array(answer(np.array([0.0, 1.0, 2.0]), np.ones(3)), (3,), "a mask")
    if not edge.all():
        raise Hint("A photon that comes exactly at the end of the blind time is registered.")


def _true_rate(detected, dead_time):
    return detected / (1 - detected * dead_time)


@exercise("Exercise 14.2", reference=lambda: _true_rate)
def true_rate(answer):
    """A function: registered rate, dead time -> incident rate."""
    answer = function(answer)
    for detected, tau in ((285.714, 2.5e-3), (50.0, 1e-3), (90.0, 1e-2), (10.0, 0.0)):
        found = number(answer(detected, tau), "a rate")
        right = detected / (1 - detected * tau)
        if np.isclose(found, right, rtol=1e-6):
            continue
        if np.isclose(found, detected / (1 + detected * tau)):
            raise Hint("That is less than what you registered; more must have arrived.")
        if np.isclose(found, detected * (1 + detected * tau)):
            raise Hint(
                "That adds what would arrive in the dark at the *registered* rate; it arrives at the "
                "true one. Divide by the live share instead."
            )
        if np.isclose(found, detected * np.exp(detected * tau)):
            raise Hint("That undoes r·exp(-rτ) as if r were known: ours is not paralyzable.")
        if np.isclose(found, 1 - detected * tau):
            raise Hint("That is the live share of the time; now the rate while you were live.")
        raise Hint(
            f"With {detected:.0f} events per second of {1e3 * tau:g} ms each, we find {right:.1f}/s "
            f"and you {found:.1f}/s. How many seconds of each second were dark?"
        )


def _noise(frequency, rate, dead_time):
    omega = 2 * np.pi * frequency
    phi = np.exp(1j * omega * dead_time) * rate / (rate - 1j * omega)
    return 2 * (1 - np.abs(phi) ** 2) / np.abs(1 - phi) ** 2


@exercise("Exercise 14.3", reference=lambda: _noise)
def noise(answer):
    """A function: frequencies (n,) Hz, rate, dead time -> Leahy power (n,)."""
    answer = function(answer)
    f = np.geomspace(0.5, 3000, 300)
    for rate, tau in ((800.0, 3e-3), (200.0, 1e-3)):
        given = answer(f.copy(), rate, tau)
        if np.iscomplexobj(given):
            raise Hint("The power is a real number: the bars |…| stand for np.abs.")
        found = array(given, f.shape, "powers")
        right = white_noise(torch.tensor(f), rate, tau).numpy()
        if np.allclose(found, right, rtol=1e-4):
            continue
        if np.allclose(found, right / 2, rtol=1e-4):
            raise Hint("Half of it: at high frequency the power must go to 2, the Poisson level.")
        if np.allclose(found, _noise(f / 2 / np.pi, rate, tau), rtol=1e-3):
            raise Hint("Your hump lies at the wrong place: ω = 2πf is not f.")
        if np.allclose(found, _noise(f, rate / (1 + rate * tau), tau), rtol=1e-4):
            raise Hint(
                "The wait after the blind time has the *incident* rate, not the registered one."
            )
        if np.allclose(found, 2, rtol=1e-3):
            raise Hint("That is 2 at all frequencies: where does the dead time come in?")
        omega = 2 * np.pi * f
        phi = np.exp(-1j * omega * tau) * rate / (rate - 1j * omega)
        if np.allclose(found, 2 * (1 - np.abs(phi) ** 2) / np.abs(1 - phi) ** 2, rtol=1e-4):
            raise Hint(
                "Dead time and wait follow each other, and so do their phases: with e^{iωτ} goes "
                "r - iω; one of your signs is turned round."
            )
        low = 2 / (1 + rate * tau) ** 2
        _draw_over(f, right, found)
        if abs(found[0] / low - 1) > 0.02:
            raise Hint(
                f"For f → 0 the power must go to 2/(1 + rτ)², here {low:.3f}; yours is "
                f"{found[0]:.3g}. Are both bars squared, and is "
                "r - iω in brackets, with np.abs before the square?"
            )
        if abs(found[-1] - 2) > 0.1:
            raise Hint(f"At high frequency the power must go to 2; yours is {found[-1]:.3g}.")
        raise Hint("Both ends are right and the middle is not: look at the phase, e^{iωτ}.")
    nothing = array(answer(f.copy(), 500.0, 0.0), f.shape, "powers")
    if not np.allclose(nothing, 2, rtol=1e-3):
        raise Hint("Without dead time the power must be 2 everywhere.")
    _draw_over(f, _noise(f, 800.0, 3e-3), array(answer(f.copy(), 800.0, 3e-3), f.shape, "powers"))


def _draw_over(frequency, right, yours):
    alt = "Your power spectrum of the noise drawn over ours, for 800 photons/s and 3 ms."
    axes = {"xscale": "log", "xlabel": "frequency (Hz)", "ylabel": "Leahy power"}
    draw_over((frequency, right), (frequency, yours), alt=alt, **axes)


def _minus_log_likelihood(power, model, n_averaged):
    return np.sum(n_averaged * (np.log(model) + power / model))


@exercise("Exercise 14.4", reference=lambda: _minus_log_likelihood)
def minus_log_likelihood(answer):
    """A function: powers (n,), model (n,), number averaged (a number or (n,)) -> a number."""
    answer = function(answer)
    generator = np.random.default_rng(144)
    truth = 2 + 5 / (1 + np.linspace(-4, 4, 60) ** 2)
    for m in (1, 10, generator.integers(1, 9, 60)):
        power = truth * generator.gamma(m, 1 / np.asarray(m), 60)

        def loss(model, power=power, m=m):
            value = answer(power.copy(), model.copy(), m)
            if np.ndim(value) == 0 and not np.isfinite(float(value)):
                raise Hint(
                    f"It comes out as {float(value)}: a product of 60 densities is too small for a "
                    "number. Take logarithms first, then the sum."
                )
            return number(value, "one number, the sum")

        other = truth * np.linspace(0.6, 1.7, 60)
        # What no model changes may be left out, so only differences count.
        found = loss(other) - loss(truth)
        right = _minus_log_likelihood(power, other, m) - _minus_log_likelihood(power, truth, m)
        if np.isclose(found, right, rtol=1e-5):
            continue
        if np.isclose(found, -right, rtol=1e-5):
            raise Hint("That is +ln L; what a minimiser needs is its negative.")
        one = _minus_log_likelihood(power, other, 1) - _minus_log_likelihood(power, truth, 1)
        if np.isclose(found, one, rtol=1e-5):
            raise Hint("Without M: ten periodograms say ten times as much as one.")
        if np.isclose(found, 2 * right, rtol=1e-5):
            raise Hint("That is -2 ln L; leave the two out.")
        swapped = np.sum(m * (other - truth) / power)
        if np.isclose(found, swapped, rtol=1e-5):
            raise Hint("Data and model are swapped: the model is in the logarithm, and below.")
        if np.isclose(found, right / 60, rtol=1e-5):
            raise Hint("That is the mean over frequencies; independent ones multiply, so sum.")
        if np.isclose(found, np.sum(m * power * (1 / other - 1 / truth)), rtol=1e-5):
            raise Hint(
                "The exponential alone is largest for a model of infinite power: where is m^-M?"
            )
        if np.isclose(found, np.sum(np.log(other / truth) + m * power * (1 / other - 1 / truth))):
            raise Hint("The density goes as m to the power -M: ln m, too, comes M times.")
        once = np.sum(m * np.log(other / truth) + power * (1 / other - 1 / truth))
        if np.isclose(found, once, rtol=1e-5):
            raise Hint("The exponent is -M P/m: P/m, too, comes M times.")
        turned = np.sum(m * (power * (1 / other - 1 / truth) - np.log(other / truth)))
        if np.isclose(found, turned, rtol=1e-5):
            raise Hint("Minus the logarithm of m^-M is + M ln m: one sign is turned round.")
        decimal = np.sum(m * (power * (1 / other - 1 / truth) + np.log10(other / truth)))
        if np.isclose(found, decimal, rtol=1e-5):
            raise Hint("The logarithm is the natural one, ln, not that to base ten.")
        chi = np.sum(m * ((power / other - 1) ** 2 - (power / truth - 1) ** 2))
        if np.isclose(found, chi, rtol=1e-5) or np.isclose(found, chi / 2, rtol=1e-5):
            raise Hint(
                "That is χ²; few averaged powers are not Gaussian, and the fit would be biased."
            )
        raise Hint(
            f"For M = {np.max(m)} and two models, -ln L should differ by {right:.2f}; yours differs "
            f"by {found:.2f}."
        )


def _predictive_p(samples, simulate, statistic, observed, generator):
    replicas = statistic(simulate(samples, generator))
    return (replicas >= statistic(observed)).double().mean().item()


def _upper_tail(observed, sd=5.0):
    """P(mean + noise >= observed) for a posterior of N(0, 3) and noise of N(0, 4)."""
    return 0.5 * (1 - torch.erf(torch.tensor(observed / sd / 2**0.5)).item())


@exercise("Exercise 14.5", reference=lambda: _predictive_p)
def predictive_p(answer):
    """A function: samples, simulate, statistic, observed, generator -> share of replicas."""
    answer = function(answer)
    n = 4000
    generator = torch.Generator().manual_seed(145)
    samples = 3 * torch.randn(n, 2, generator=generator)
    seen, generators = [], []

    def simulate(theta, generator):
        seen.append(theta.reshape(-1, 2))
        generators.append(generator)
        noise = torch.randn(*theta.shape[:-1], 7, generator=generator)
        return theta[..., :1] + 4 * noise

    def statistic(x):
        return x[..., 0]

    for observed in (4.0, -7.0, 0.0):
        data = torch.tensor([observed] + 6 * [50.0])  # of which the statistic takes the first
        seen.clear(), generators.clear()
        handed = torch.Generator().manual_seed(1)
        sentences = {
            "dtype": "Torch takes no mean of a mask: turn it into numbers first, mask.double().",
            "size of tensor": (
                "Compare the replicas' statistic (n,) with statistic(observed), one number."
            ),
        }
        with explained(RuntimeError, sentences):
            p = number(answer(samples.clone(), simulate, statistic, data, handed), "a share")
        right, error = _upper_tail(observed), 0.5 / n**0.5
        used = len(torch.unique(torch.cat(seen), dim=0)) if seen else 0
        if abs(p - right) < 5 * error and used == n:
            if any(generator is not handed for generator in generators):
                raise Hint("Hand `generator` on to simulate, so that the result can be repeated.")
            continue
        if not 0 <= p <= 1:
            raise Hint(f"A share lies between 0 and 1; yours is {p:.3g}.")
        if not seen:
            raise Hint("Nothing was simulated: the replicas are data, not parameters.")
        if used == 1:
            raise Hint(
                "All replicas come from one set of parameters: simulate once from each sample, so that "
                "the width of the posterior is in it."
            )
        if used < n:
            raise Hint(f"You got {n} samples and used {used}: one replica from each.")
        if abs(p - right / 7) < 5 * error and right > 0.1:
            raise Hint("That compares all numbers of the data: compare their statistic.")
        if abs(p - (1 - right)) < 5 * error:
            raise Hint("That is the share of smaller ones; we want those at least as large.")
        if abs(p - 2 * min(right, 1 - right)) < 7 * error:
            raise Hint("That counts both tails; return the upper one alone.")
        if abs(p - _upper_tail(observed, 3.0)) < 5 * error:
            raise Hint("The noise of the data is missing from your replicas.")
        raise Hint(
            f"In a problem with a known answer the share is {right:.3f} and yours {p:.3f}: does each "
            "replica get its own statistic?"
        )
    ties = number(
        answer(samples.clone(), simulate, lambda x: 0 * x[..., 0], data, handed), "a share"
    )
    if ties < 1:
        raise Hint("At least as large: replicas that equal the observation count too, so use >=.")


def _left_over_rms(frequency, leahy, noise, mean_rate, inside):
    spacing = frequency[1] - frequency[0]
    return np.sqrt(np.sum((leahy - noise)[inside]) * spacing / mean_rate)


@exercise("Exercise 14.6", reference=lambda: _left_over_rms)
def left_over_rms(answer):
    """A function: frequency, Leahy power, noise (n,), mean rate, mask (n,) -> fractional rms."""
    answer = function(answer)
    for spacing, mean_rate in ((0.25, 80.0), (4.0, 700.0)):
        f = 100 + spacing * np.arange(200)
        level = 2 - np.sin(f / 50)
        signal = 0.3 * np.exp(-0.5 * ((f - f[90]) / (20 * spacing)) ** 2) + 0.05
        signal = signal + 0.5 * (-1.0) ** np.arange(200)  # noise: every other value lies below
        inside = (f > f[40]) & (f < f[150])
        rms = answer(f.copy(), level + signal, level.copy(), mean_rate, inside.copy())
        if np.ndim(rms) == 0 and np.isnan(float(rms)):
            raise Hint(
                "That is the root of a negative number: subtract the noise from the Leahy power, sum "
                "all frequencies of the band, and take the root last."
            )
        rms = number(rms, "an rms")
        variance = np.sum(signal[inside]) * spacing / mean_rate
        if np.isclose(rms, np.sqrt(variance), rtol=0.02):  # a trapezium is as good as a sum
            continue
        if np.isclose(rms, 100 * np.sqrt(variance), rtol=0.02):
            raise Hint("That is in per cent: return the fraction.")
        if np.isclose(rms, variance, rtol=0.02):
            raise Hint("That is the variance; the rms is its root.")
        if np.isclose(rms, np.sqrt(variance * mean_rate), rtol=0.02):
            raise Hint("Leahy power becomes fractional power by division by the mean rate.")
        if np.isclose(rms, np.sqrt(variance / mean_rate), rtol=0.02):
            raise Hint("Divided by the mean rate twice: once makes Leahy power fractional.")
        if np.isclose(rms, np.sqrt(variance / spacing), rtol=0.02):
            raise Hint("An integral over frequency: the sum wants the spacing in Hz.")
        if np.isclose(rms, np.sqrt(signal.sum() * spacing / mean_rate), rtol=0.02):
            raise Hint("That is the whole spectrum: take the frequencies inside the band alone.")
        for wrong in (np.abs(signal), signal.clip(0)):
            if np.isclose(rms, np.sqrt(wrong[inside].sum() * spacing / mean_rate), rtol=0.02):
                raise Hint(
                    "Values below the noise count as negative: without them the noise's scatter adds up."
                )
        raw = (level + signal)[inside].sum() * spacing / mean_rate
        if np.isclose(rms, np.sqrt(raw), rtol=0.02):
            raise Hint("The noise is still in it: subtract first.")
        raise Hint(
            f"For a known excess the rms is {np.sqrt(variance):.4f}, and yours {rms:.4f}: difference, "
            "sum, spacing, rate, root."
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
            "exercise 14.2 was for a constant source, and came out low for the mocks.",
        ),
        "the frequency of a strong QPO": (
            "none is needed",
            "which parameter did even the worst fit get right?",
        ),
    },
)
