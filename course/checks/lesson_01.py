"""Checks of lesson 01: figuring out what we want to learn, and why."""

import warnings

import numpy as np

from course.checks import Hint, exercise, forms
from course.checks.drawing import draw_over
from course.checks.examples import by_example, repeatable, shaped, sorting
from helpers import data
from helpers.spectra import Response, power_law

__all__ = [
    "excess_variance",
    "hardness",
    "leahy_periodogram",
    "photon_index",
    "tasks",
    "twice_as_far",
    "verdicts",
]


def _excess_variance(counts):
    """A function: counts (n,) -> normalised excess variance."""
    mean = np.mean(counts)
    return (np.var(counts, ddof=1) - mean) / mean**2


def _some_counts():
    """Counts with a sine wave, and without, some with empty bins; F of the last is below zero."""
    generator, wave = np.random.default_rng(11), np.sin(2 * np.pi * np.arange(4000) / 40)
    rates = [200 * (1 + 0.5 * wave), 50 * (1 + 0.5 * wave), 20 * np.ones(3000)]
    rates += [1.2 * np.ones(40000), 9 * np.ones(2500)]
    return [(generator.poisson(rate),) for rate in rates]


excess_variance = by_example(
    "Exercise 1.1",
    _excess_variance,
    _some_counts,
    {
        "Poisson noise alone makes that larger than 0: subtract its variance, which is the mean.": [
            lambda x: np.var(x) / np.mean(x) ** 2,
            lambda x: np.std(x) / np.mean(x),
        ],
        "Divide by the mean squared: F has no unit, and does not change when the source is brighter.": [
            lambda x: (np.var(x) - np.mean(x)) / np.mean(x),
            lambda x: np.var(x) - np.mean(x),
        ],
        "For pure noise F is negative about half of the time: keep its sign.": [
            lambda x: abs(_excess_variance(x)),
            lambda x: max(_excess_variance(x), 0),
            lambda x: np.sqrt(_excess_variance(x)) ** 2,
        ],
        "That is the fractional rms, the root of F; leave the root out, since F may be negative.": (
            lambda x: np.sqrt(_excess_variance(x))
        ),
        "An empty bin is a measurement, of 0 counts, and no gap: keep it.": lambda x: (
            _excess_variance(x[x > 0])
        ),
        "Mind the parentheses: subtract the mean first, then divide all of it.": lambda x: (
            np.var(x) - np.mean(x) / np.mean(x) ** 2
        ),
    },
    returns=forms.number("a normalised excess variance"),
    otherwise="For Poisson counts, whose rate varies or not, we find F = {ours} and you {yours}.",
    rtol=1e-3,  # the variance may be divided by n or by n - 1
    atol=5e-5,
)


def _leahy(amplitude, counts):
    return 2 * np.abs(amplitude) ** 2 / np.sum(counts)


def _periodogram(powers=_leahy, frequencies=np.fft.rfftfreq, first=(1, 1)):
    """Compute our answer to exercise 1.2 or, with an option, a mistake."""
    return lambda counts, bin_size: (
        frequencies(len(counts), bin_size)[first[0] :],
        powers(np.fft.rfft(counts), counts)[first[1] :],
    )


def _leahy_periodogram(counts, bin_size):
    """A function: counts (n,), bin size [s] -> frequencies [Hz], Leahy powers."""
    return _periodogram()(counts, bin_size)


def _some_waves():
    """Odd numbers of bins, without a Nyquist frequency; see `_up_to_nyquist`."""
    generator, sizes = np.random.default_rng(12), ((511, 0.1), (401, 2.0))
    waves = [30 * (1 + 0.4 * np.sin(2 * np.pi * np.arange(n) / 16)) for n, _ in sizes]
    return [(generator.poisson(w), dt) for w, (_, dt) in zip(waves, sizes, strict=True)]


def _up_to_nyquist(answer):
    """Test an even number of bins, where the Nyquist frequency may be kept or not."""
    counts = np.random.default_rng(13).poisson(20, 64)
    found, wanted = answer(counts, 0.5), _leahy_periodogram(counts, 0.5)
    kept = np.r_[: max(31, min(found[0].size, 32))]
    if any(
        yours.size != kept.size or not np.allclose(yours, ours[kept], rtol=1e-4, atol=1e-4)
        for ours, yours in zip(wanted, found, strict=True)
    ):
        raise Hint(
            "For an even number of bins the last element is not right: the Nyquist frequency, 1 / (2 bin_size), is "
            "above zero and its power follows the formula, or both are left out."
        )


def _draw_over_stingray(found, wanted, counts, bin_size):
    from stingray import Lightcurve, Powerspectrum

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = bin_size * np.arange(len(counts))
        light_curve = Lightcurve(times, counts, dt=bin_size, skip_checks=True)
        spectrum = Powerspectrum(light_curve, norm="leahy")
    if np.shape(found[0]) == np.shape(found[1]) != ():
        alt = "Your periodogram drawn over that of stingray, for noise with one sine wave."
        axes = {"yscale": "log", "xlabel": "frequency (Hz)", "ylabel": "Leahy power"}
        draw_over((spectrum.freq, spectrum.power), found, alt=alt, label="stingray", **axes)


leahy_periodogram = by_example(
    "Exercise 1.2",
    _leahy_periodogram,
    _some_waves,
    {
        "The powers are complex: take the squared modulus, np.abs(...) ** 2.": [
            _periodogram(lambda a, x: a),
            _periodogram(lambda a, x: 2 * a**2 / x.sum()),
        ],
        "Leave out f = 0, the first element of both arrays: it only knows the mean.": [
            _periodogram(first=first) for first in ((0, 0), (0, 1), (1, 0))
        ],
        "Frequencies first, powers second.": lambda *given: _leahy_periodogram(*given)[::-1],
        "The frequencies are not in Hz: np.fft.rfftfreq(n, bin_size).": [
            _periodogram(frequencies=lambda n, dt: np.fft.rfftfreq(n)),
            _periodogram(frequencies=lambda n, dt: np.fft.rfftfreq(n, 1 / dt)),
            _periodogram(frequencies=lambda n, dt: 2 * np.pi * np.fft.rfftfreq(n, dt)),
            _periodogram(frequencies=lambda n, dt: np.arange(n // 2 + 1)),
        ],
        "A factor of 2 is missing: noise has a mean power of 2.": _periodogram(
            lambda a, x: _leahy(a, x) / 2
        ),
        "Divide by the number of photons: with another divisor a bright source has another noise level.": [
            _periodogram(lambda a, x: 2 * np.abs(a) ** 2 / x.size),
            _periodogram(lambda a, x: 2 * np.abs(a) ** 2),
            _periodogram(lambda a, x: np.abs(a) ** 2),
        ],
        "Square the modulus: a power is an amplitude squared.": _periodogram(
            lambda a, x: 2 * np.abs(a) / x.sum()
        ),
    },
    returns=forms.tuple_of(
        "frequencies and powers", forms.array("frequencies"), forms.array("powers")
    ),
    otherwise="The formula is twice the squared modulus, divided by the sum of the counts, at f = j / (n bin_size): we "
    "find {ours} and you {yours}.",
    rtol=1e-4,
    atol=1e-4,
    draw=_draw_over_stingray,
    then=_up_to_nyquist,
)

_GRID = np.arange(1.0, 3.0, 0.01)


def _scaled(counts, model, band):
    return model * counts[band].sum() / model[band].sum()


def _statistic(counts, fold, band, compare=None, scale=_scaled):
    """Return χ² for each index of the grid; other comparisons and scalings are for the mistakes."""
    compare = compare or (lambda c, m: (c - m) ** 2 / c)
    models = [scale(counts, fold(index), band) for index in _GRID]
    return [np.sum(compare(counts[band], model[band])) for model in models]


def _photon_index(counts, fold, chosen, **ways):
    """A function: counts (n,), fold, mask (n,) -> photon index."""
    return _GRID[np.argmin(_statistic(counts, fold, chosen, **ways))]


def _by(**ways):
    return lambda *given: _photon_index(*given, **ways)


def _some_spectra():
    """Counts without noise, and with a line that makes it matter how the channels are weighted."""
    questions = []
    for n, best, index, scale, line, strength, width, low, high in (
        (90, 3, 2.31, 1.7, 5.8, 2, 0.85, 3, 11),
        (120, 4, 1.59, 0.6, 2.2, 2, 0.85, 2, 9),
    ):
        energy = np.linspace(1.0, 10, n)
        area = 1 / (1 + np.exp(best - energy)) * np.exp(-energy / 4)
        blur = 1e5 * np.exp(-0.5 * ((energy[:, None] - energy) / 0.3) ** 2)

        def fold(gamma, blur=blur, area=area, energy=energy):
            return blur @ (area * energy ** -float(gamma))

        bump = 1 + strength * np.exp(-(((energy - line) / width) ** 2))
        disc = 10 * blur @ (area * np.exp(-energy / 0.25))
        counts = scale * fold(index) * bump + disc
        chosen = (energy > low) & (energy < high)
        counts[np.flatnonzero(chosen)[[0, -1]]] *= 1.1, 1.3
        questions.append((counts, fold, chosen))
    return questions


photon_index = by_example(
    "Exercise 1.3",
    _photon_index,
    _some_spectra,
    {
        "That is a position or a χ², and no photon index: np.argmin gives a place in `grid`.": [
            lambda *given: np.argmin(_statistic(*given)),
            lambda *given: np.min(_statistic(*given)),
        ],
        "That fits all channels: compare counts and model in the chosen ones only.": (
            lambda counts, fold, chosen: _photon_index(counts, fold, np.ones_like(chosen))
        ),
        "An outermost channel of the band is missing: `chosen` is a mask, counts[chosen].": (
            lambda counts, fold, chosen: _photon_index(counts, fold, chosen & np.roll(chosen, -1))
        ),
        "Scale the model to the counts in the chosen channels, not in all of them.": _by(
            scale=lambda c, m, band: m * c.sum() / m.sum()
        ),
        "Scale the model to the counts in the band, then compare.": _by(scale=lambda c, m, band: m),
        "That gives all channels the same weight: divide each square by its variance.": _by(
            compare=lambda c, m: (c - m) ** 2
        ),
        "Divide each square by c_i, which is its variance, not by something else.": [
            _by(compare=lambda c, m: (c - m) ** 2 / c**2),
            _by(compare=lambda c, m: (c / m - 1) ** 2),
            _by(compare=lambda c, m: (c - m) ** 2 / m),
        ],
        "Is each difference squared, is the smallest χ² taken (argmin), and does `return` stand outside the loop?": [
            _by(compare=lambda c, m: abs(c - m) / np.sqrt(c)),
            _by(compare=lambda c, m: (c - m) / c),
            lambda *given: _GRID[np.argmax(_statistic(*given))],
            lambda *given: _GRID[0],
        ],
    },
    returns=forms.number("a photon index"),
    otherwise="With the counts of another telescope we find an index of {ours} and you {yours}: is each model scaled "
    "to the sum of the counts in the band, and compared by the formula?",
    signs={
        "That lies between the values of `grid`: return the one with the smallest χ².": (
            lambda found, *given: abs(found - _GRID).min() > 1e-6
        ),
    },
    rtol=0,
    atol=1e-6,
)

tasks = sorting(
    "Exercise 1.4",
    {
        "flag tonight's NICER pointings that are probably in transition, for a quick follow-up": (
            "prediction",
            "it is enough to be right often; nobody asks why.",
        ),
        "the share of the hard state in 16 years of RXTE pointings": (
            "description",
            "count what is there; nothing is extrapolated, nothing is explained.",
        ),
        "the spin of the black hole in MAXI J1820+070": (
            "inference",
            "the answer is a number with an uncertainty, from a model of how the spectrum comes about.",
        ),
        "a label for every source in a catalogue, to choose targets for a proposal": (
            "prediction",
            "the label of a source that nobody has classified is predicted.",
        ),
        "does the jet switch off because the disc moves in?": (
            "inference",
            "the word 'because' asks for a cause.",
        ),
    },
)


class _Telescope(Response):
    """Response that a check does not copy: the same object counts as unchanged."""

    def __deepcopy__(self, memo):
        return self


def _some_telescopes():
    telescopes = [_Telescope(**vars(data.load_response(name))) for name in ("rxte_pca", "nicer")]
    return [(telescope, index) for telescope in telescopes for index in (1.6, 2.4)]


def _of_bands(make=lambda hard, soft: hard.sum() / soft.sum(), at=("middle", "middle"), kind=None):
    """Compute an answer to exercise 1.5 from the counts in both bands, by energies of channels or of photons."""

    def answer(response, index):
        flux = power_law(response.energy_lo, response.energy_hi, index, norm=1.0)
        energies = vars(response) | {
            "middle": (response.channel_lo + response.channel_hi) / 2,
            "photons": (response.energy_lo + response.energy_hi) / 2,
        }
        counts = flux if kind == "flux" else response.fold(flux)
        if kind is np.asarray:
            counts, energies = counts.numpy(), {k: v.numpy() for k, v in energies.items()}
        low, high = (energies[name] for name in at)
        return make(counts[(low >= 5) & (high < 10)], counts[(low >= 3) & (high < 5)])

    return answer


def _hardness(response, index):
    """A function: response, photon index -> counts at 5-10 keV over counts at 3-5 keV."""
    return _of_bands()(response, index).item()


_PHOTONS = "energy_lo", "energy_hi"

hardness = by_example(
    "Exercise 1.5",
    _hardness,
    _some_telescopes,
    {
        "That is soft over hard; the higher energies go on top.": _of_bands(
            lambda h, s: s.sum() / h.sum()
        ),
        "That is (hard - soft) / (hard + soft), a fine feature, but another one: hard / soft.": _of_bands(
            lambda h, s: (h.sum() - s.sum()) / (h.sum() + s.sum())
        ),
        "That is hard / (hard + soft), the share of hard counts: divide by the soft ones alone.": _of_bands(
            lambda h, s: h.sum() / (h.sum() + s.sum())
        ),
        "That is the hardness of the source before any telescope: fold the flux first.": [
            _of_bands(at=_PHOTONS, kind="flux"),
            _of_bands(at=("photons", "photons"), kind="flux"),
            lambda _, i: (5 ** (1 - i) - 10 ** (1 - i)) / (3 ** (1 - i) - 5 ** (1 - i)),
        ],
        "After folding there are channels, with energies of their own: choose by channel_lo and channel_hi, not by "
        "energy_lo and energy_hi.": [_of_bands(at=_PHOTONS, kind=k) for k in (None, np.asarray)],
        "Those are means over the channels: sum the counts in each band.": _of_bands(
            lambda hard, soft: hard.mean() / soft.mean()
        ),
        "A channel belongs to a band if its middle does: the mean of its channel_lo and channel_hi.": [
            _of_bands(at=(f"channel_{low}", f"channel_{high}"))
            for low, high in (("lo", "hi"), ("lo", "lo"), ("hi", "hi"), ("hi", "lo"))
        ],
    },
    returns=forms.number("a hardness"),
    otherwise="For an index of {1} we find {ours} and you {yours}: is it the folded flux of this index, "
    "summed at 5-10 keV and divided by the sum at 3-5 keV?",
    rtol=3e-4,  # responses are float32
)

verdicts = sorting(
    "Exercise 1.6",
    {
        "sample": ("no label", "splendid data, but what would you write into the label column?"),
        "chandra_m82": ("a crowd", "look at the picture."),
        "rxte_4u1636": (
            "thinned",
            "look at the number of events: exactly 1000. Who makes it so round, the sky or a person?",
        ),
        "rxte_m82": (
            "mostly background",
            "compare its rate with what one detector of RXTE counts without a source.",
        ),
        "erosita": ("too few points", "how many bins are left?"),
    },
)


def _twice_as_far(counts, generator):
    return generator.binomial(counts, 0.25)


@exercise(
    "Exercise 1.7",
    reference=lambda: _twice_as_far,
    form=forms.function(forms.array("counts per bin (a photon comes, or not)", int)),
)
def twice_as_far(answer):
    """A function: counts (n,), generator -> the counts that remain of them at twice the distance."""
    for n, mean in ((6000, 40.0), (5000, 0.8), (4000, 2500.0)):
        wave = np.sin(2 * np.pi * np.arange(n) / 50)
        counts = np.random.default_rng(17).poisson(mean * (1 + 0.5 * wave))
        far = repeatable(lambda generator, counts=counts: answer(counts, generator))
        shaped(far, (n,), "counts per bin")
        share = far.sum() / counts.sum()
        if abs(share - 0.5) < 0.05:
            raise Hint("That is half of the photons; at twice the distance it is a quarter.")
        if abs(share - 0.25) > max(0.01, 5 * np.sqrt(0.25 * 0.75 / counts.sum())):
            raise Hint(f"A quarter of the photons should remain, and {share:.1%} do.")
        # Of n photons n / 4 remain, with a variance of 3 n / 16.
        scatter = np.sum((far - counts / 4) ** 2) / (0.25 * 0.75 * counts.sum())
        if abs(scatter - 1) > 0.12:  # 5 standard errors
            raise Hint(
                "Photons arrive independently of each other: toss one coin for each. What remains of them then "
                f"scatters bin by bin about a quarter; in yours the variance is {scatter:.2f} times that."
            )
        if np.any(far > counts):
            raise Hint("In some bins more photons arrive than there were: toss one coin for each.")
        if len({int(answer(counts.copy(), np.random.default_rng(k)).sum()) for k in range(4)}) == 1:
            raise Hint("The same number of photons remains each time: toss one coin for each.")
