"""Checks of lesson 01: figuring out what we want to learn, and why."""

import warnings

import numpy as np

from course.checks import Hint, array, exercise, function, number, sorting
from course.checks.drawing import draw_over
from helpers import data
from helpers.spectra import power_law

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
    mean = np.mean(counts)
    return (np.var(counts, ddof=1) - mean) / mean**2


@exercise("Exercise 1.1", reference=lambda: _excess_variance)
def excess_variance(answer):
    """A function: counts (n,) -> normalised excess variance."""
    answer = function(answer)
    generator = np.random.default_rng(11)
    n = 20_000
    wave = np.sin(2 * np.pi * 100 * np.arange(n) / n)
    for mean, amplitude in ((200.0, 0.5), (50.0, 0.5), (20.0, 0.0)):
        counts = generator.poisson(mean * (1 + amplitude * wave))
        found = number(answer(counts.copy()), "a normalised excess variance")
        expected = amplitude**2 / 2
        # Vaughan et al. (2003), eq. 11, with the Poisson noise as the error of a bin.
        error = np.sqrt(2 / n / mean**2 + 4 * expected / (n * mean))
        if abs(found - expected) < 5 * error:
            continue
        if np.isclose(found, np.var(counts) / np.mean(counts) ** 2, rtol=1e-3):
            raise Hint(
                "Poisson noise alone makes that larger than 0: subtract its variance, which is the mean."
            )
        if expected and abs(found - expected * mean) < 5 * error * mean:
            raise Hint(
                "Divide by the mean squared: F has no unit, and does not change when the source is brighter."
            )
        if expected and abs(found - np.sqrt(expected)) < 5 * error / np.sqrt(expected):
            raise Hint(
                "That is the fractional rms, the root of F; leave the root out, since F may be negative."
            )
        if np.isclose(found, (np.std(counts) - np.mean(counts)) / np.mean(counts) ** 2, rtol=1e-2):
            raise Hint("S² is the variance of the counts, and that is their standard deviation.")
        if np.isclose(found, np.var(counts) - 1 / np.mean(counts), rtol=1e-2):
            raise Hint("Mind the parentheses: subtract the mean first, then divide all of it.")
        raise Hint(
            f"Poisson counts of mean {mean:g}, modulated by a sine of {amplitude:.0%}, should give "
            f"{expected:.4f} ± {error:.4f}; yours gives {found:.4f}."
        )
    if min(answer(generator.poisson(20.0, 500)) for _ in range(30)) >= 0:
        raise Hint("For pure noise F is negative about half of the time: keep its sign.")


def _leahy_periodogram(counts, bin_size):
    power = 2 * np.abs(np.fft.rfft(counts)) ** 2 / np.sum(counts)
    return np.fft.rfftfreq(len(counts), bin_size)[1:], power[1:]


def _stingray_periodogram(counts, bin_size):
    from stingray import Lightcurve, Powerspectrum

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        times = bin_size * np.arange(len(counts))
        light_curve = Lightcurve(times, counts, dt=bin_size, skip_checks=True)
        spectrum = Powerspectrum(light_curve, norm="leahy")
    return spectrum.freq, spectrum.power


@exercise("Exercise 1.2", reference=lambda: _leahy_periodogram)
def leahy_periodogram(answer):
    """A function: counts (n,), bin size [s] -> frequencies [Hz], Leahy powers."""
    answer = function(answer)
    generator = np.random.default_rng(12)
    for n, bin_size in ((512, 0.1), (401, 2.0)):
        time = bin_size * np.arange(n)
        counts = generator.poisson(30 * (1 + 0.4 * np.sin(2 * np.pi * time / (16 * bin_size))))
        value = answer(counts.copy(), bin_size)
        if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
            raise Hint("Expected two arrays from your function: frequencies and powers.")
        frequency, power = (np.asarray(part) for part in value)
        if np.iscomplexobj(power):
            raise Hint("The powers are complex: take the squared modulus, np.abs(...) ** 2.")
        if np.size(frequency) == n // 2 + 1:
            raise Hint("Leave out f = 0, the first element of both arrays: it only knows the mean.")
        # Whether the Nyquist frequency itself is kept is a matter of taste, and stingray drops it.
        size = n // 2 if len(frequency) == n // 2 else (n - 1) // 2
        frequency = array(frequency, (size,), "frequencies")
        power = array(power, (size,), "powers")
        right_frequency, right_power = _stingray_periodogram(counts, bin_size)
        frequency, power = frequency[: len(right_frequency)], power[: len(right_power)]
        if n == 512:
            alt = "Your periodogram drawn over that of stingray, for noise with one sine wave."
            axes = {"yscale": "log", "xlabel": "frequency (Hz)", "ylabel": "Leahy power"}
            right = right_frequency, right_power
            draw_over(right, (frequency, power), alt=alt, label="stingray", **axes)
        if not np.allclose(frequency, right_frequency, rtol=1e-6):
            if np.allclose(power, right_frequency, rtol=1e-6):
                raise Hint("Frequencies first, powers second.")
            raise Hint(
                "The powers may be right; the frequencies are not in Hz: np.fft.rfftfreq(n, bin_size)."
            )
        ratio = power / right_power
        if np.allclose(ratio, 0.5, rtol=1e-6):
            raise Hint("A factor of 2 is missing: Poisson noise should have a mean power of 2.")
        if np.allclose(ratio, counts.sum() / n, rtol=1e-6):
            raise Hint("Divide by the number of photons, not by the number of bins.")
        if not np.allclose(ratio, 1, rtol=1e-6):
            raise Hint(
                "The shape of the formula is off: twice the squared modulus, divided by the sum of the counts."
            )


_GRID = np.arange(1.0, 3.0, 0.01)


def _photon_index(counts, fold, chosen, scaled_in=None, variance=None):
    """The fit; scaled in other channels or weighed by another variance it is a learner's mistake."""
    scaled_in = chosen if scaled_in is None else scaled_in
    variance = counts if variance is None else variance
    chi_squared = []
    for index in _GRID:
        model = fold(index)
        model = model * counts[scaled_in].sum() / model[scaled_in].sum()
        # Only then the division: channels outside may be empty.
        chi_squared.append(np.sum((counts - model)[chosen] ** 2 / variance[chosen]))
    return _GRID[np.argmin(chi_squared)]


@exercise("Exercise 1.3", reference=lambda: _photon_index)
def photon_index(answer):
    """A function: counts (n,), fold, mask (n,) -> photon index."""
    answer = function(answer)
    energy = np.linspace(1.0, 10, 90)
    area = 1 / (1 + np.exp(3 - energy)) * np.exp(-energy / 4)  # a telescope that likes 3 keV best
    blur = np.exp(-0.5 * ((energy[:, None] - energy) / 0.3) ** 2)
    disc = 1e6 * blur @ (area * np.exp(-energy / 0.25))
    chosen = energy > 3
    everywhere = np.ones_like(chosen)

    def fold(index):
        return blur @ (area * energy ** -float(index))

    for index in (1.63, 2.27):
        # Counts without noise, and a line at 8 keV that makes it matter how the channels are weighted.
        counts = 1e5 * fold(index) * (1 + 0.2 * np.exp(-(((energy - 8) / 0.85) ** 2))) + disc
        right = _photon_index(counts, fold, chosen)
        found = number(answer(counts.copy(), fold, chosen.copy()), "a photon index")
        if abs(found - right) < 0.025:
            continue
        if found > _GRID[-1] + 0.01:
            raise Hint(
                "That is a position or a χ², and no photon index: np.argmin gives a place in `grid`."
            )
        if abs(found - _photon_index(counts, fold, everywhere)) < 0.015:
            raise Hint("That fits all channels: compare counts and model in the chosen ones only.")
        if abs(found - _photon_index(counts, fold, chosen, scaled_in=everywhere)) < 0.015:
            raise Hint("Scale the model to the counts in the chosen channels, not in all of them.")
        if abs(found - _photon_index(counts, fold, chosen, variance=1 + 0 * counts)) < 0.015:
            raise Hint(
                "That gives all channels the same weight: divide each square by its variance."
            )
        if found < _GRID[0] + 0.01 or found > _GRID[-1] - 0.01:
            raise Hint(
                "The end of the grid: is the model scaled to the counts before you compare, each difference squared, "
                "the smallest χ² chosen, and `return` outside the loop?"
            )
        slope = -np.polyfit(np.log(energy[chosen]), np.log(counts[chosen]), 1)[0]
        if abs(found - slope) < 0.05:
            raise Hint(
                "That is the slope of the counts, telescope and all. Fold the model instead."
            )
        raise Hint(
            f"With the counts of another telescope we find an index of {right:.2f} and you {found:.2f}."
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


def _hardness(response, index):
    flux = power_law(response.energy_lo, response.energy_hi, index, norm=1.0)
    counts = np.asarray(response.fold(flux))
    middle = np.asarray(response.channel_lo + response.channel_hi) / 2
    hard = counts[(middle >= 5) & (middle < 10)].sum()
    soft = counts[(middle >= 3) & (middle < 5)].sum()
    return hard / soft


@exercise("Exercise 1.5", reference=lambda: _hardness)
def hardness(answer):
    """A function: response, photon index -> counts at 5-10 keV over counts at 3-5 keV."""
    answer = function(answer)
    for name in ("nicer", "rxte_pca"):
        response = data.load_response(name)
        for index in (1.6, 2.4):
            try:
                found = number(answer(response, index), "a hardness")
            except IndexError as problem:
                raise Hint(
                    "After folding there are channels, with energies of their own: choose by channel_lo and "
                    f"channel_hi, not by energy_lo and energy_hi ({problem})."
                ) from None
            right = _hardness(response, index)
            # A channel at the border of a band may fall on either side.
            if np.isclose(found, right, rtol=0.03):
                continue
            if np.isclose(found, 1 / right, rtol=0.03):
                raise Hint("That is soft over hard; the higher energies go on top.")
            if np.isclose(found, (right - 1) / (right + 1), rtol=0.05):
                raise Hint(
                    "That is (hard - soft) / (hard + soft), a fine feature, but another one: hard / soft."
                )
            photons = (5 ** (1 - index) - 10 ** (1 - index)) / (3 ** (1 - index) - 5 ** (1 - index))
            if np.isclose(found, photons, rtol=0.03):
                raise Hint(
                    "That is the hardness of the source before any telescope: fold the flux first."
                )
            if np.isclose(found, number(answer(response, index + 1)), rtol=1e-6):
                raise Hint("Yours is the same whatever the photon index: use `index`.")
            middle = np.asarray(response.channel_lo + response.channel_hi) / 2
            sizes = [np.sum((middle >= low) & (middle < high)) for low, high in ((3, 5), (5, 10))]
            if np.isclose(found, right * sizes[0] / sizes[1], rtol=0.03):
                raise Hint("Those are means over the channels: sum the counts in each band.")
            raise Hint(
                f"For {name} and an index of {index} we find {right:.3f} and you {found:.3f}: check the two bands. "
                "A channel belongs to one if the mean of its channel_lo and channel_hi does."
            )


verdicts = sorting(
    "Exercise 1.6",
    {
        "sample": (
            "no label",
            "the data are splendid, but what would you write into the label column?",
        ),
        "chandra_m82": ("a crowd", "look at the picture."),
        "rxte_4u1636": ("thinned", "look at the number of events. Does nature count like that?"),
        "rxte_m82": (
            "mostly background",
            "compare its rate with that of a detector that looks at nothing.",
        ),
        "erosita": ("too few points", "how many bins are left?"),
    },
)


def _twice_as_far(counts, generator):
    return generator.binomial(counts, 0.25)


@exercise("Exercise 1.7", reference=lambda: _twice_as_far)
def twice_as_far(answer):
    """A function: counts (n,), generator -> the counts that remain of them at twice the distance."""
    answer = function(answer)
    generator = np.random.default_rng(17)
    n, mean = 40_000, 40.0
    counts = generator.poisson(mean, n)
    far = array(answer(counts.copy(), np.random.default_rng(1)), (n,), "counts per bin")
    again = array(answer(counts.copy(), np.random.default_rng(2)), (n,), "counts per bin")
    if np.allclose(far, counts / 4):
        raise Hint("A quarter of a photon cannot arrive: each photon comes, or not.")
    if not np.allclose(far, np.round(far)):
        raise Hint("Counts are whole numbers: each photon comes, or not.")
    if np.array_equal(far, again):
        raise Hint(
            "It gives the same counts every time: which photons arrive is chance, drawn with `generator`."
        )
    if abs(far.mean() - mean / 2) < 0.5:
        raise Hint("That is half of the photons; at twice the distance it is a quarter.")
    if abs(far.mean() - mean / 4) > 5 * np.sqrt(mean / 4 / n):
        raise Hint(
            f"Of {mean:g} photons per bin, {mean / 4:g} should remain on average, and {far.mean():.2f} do."
        )
    # Poisson counts, thinned photon by photon, are Poisson counts again: variance = mean.
    ratio, error = far.var() / far.mean(), np.sqrt(2 / n)
    if abs(ratio - 1) > 5 * error:
        raise Hint(
            "Photons that come independently of each other still do after losing some, so that the variance equals "
            f"the mean; yours is {ratio:.2f} times the mean. Toss one coin for each photon."
        )
    if np.corrcoef(counts, far)[0, 1] < 0.4:  # 1/2 for independent tosses
        raise Hint("The far light curve must be made of the photons of the near one, bin by bin.")
