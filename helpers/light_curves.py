"""Simulate light curves with a known power spectrum, and estimate it with periodograms.

A power spectrum here is one-sided, in (fractional rms)² per Hz: its integral over a band is the
variance, relative to the squared mean, that the band contributes. Components add. Arguments that
cannot be used give a ValueError with their name.
"""

import math

import torch
from torch import Tensor

from helpers.arguments import one_of, refuse_empty_run, seconds, segments, tensor, whole
from helpers.spectra import power_law
from helpers.streams import complex_normal

__all__ = [
    "averaged_cospectrum", "averaged_periodogram", "log_bin", "lorentzian", "power_law_noise",
    "simulate_light_curves",
]  # fmt: skip


def lorentzian(frequency: Tensor, rms, centroid, fwhm) -> Tensor:
    """Evaluate the Lorentzian P(f) = rms² Δ / {[π/2 + arctan(f₀/Δ)] [(f - f₀)² + Δ²]}, Δ = fwhm/2.

    It describes a quasi-periodic oscillation (fwhm = f₀/Q, quality factor Q) or broad noise (f₀ = 0,
    flat up to Δ). A light curve has less variance than rms²: power above the Nyquist frequency is lost.

    Reference: Belloni, Psaltis & van der Klis 2002, ApJ 572, 392, who integrate from -∞ to ∞: their
    r² is the rms² here times π / [π/2 + arctan(f₀/Δ)], twice as large at f₀ = 0.

    Args:
        frequency: (n_frequencies,) Hz.
        rms: (...) fractional rms over all positive frequencies, a number or a tensor.
        centroid: (...) f₀, Hz, zero or positive.
        fwhm: (...) full width at half maximum, Hz, positive.

    Returns:
        (..., n_frequencies) power, (fractional rms)²/Hz.

    Example:
        A QPO at 5 Hz with Q = 10 and 10 per cent rms, on broad noise with 20 per cent rms:

        >>> frequency = torch.linspace(0.001, 100.0, 100_000, dtype=torch.float64)
        >>> qpo = lorentzian(frequency, rms=0.1, centroid=5.0, fwhm=5.0 / 10)
        >>> noise = lorentzian(frequency, rms=0.2, centroid=0.0, fwhm=2.0)
        >>> print(f"{torch.trapezoid(qpo + noise, frequency):.3f}")
        0.050
    """
    rms = _parameter("rms", rms, frequency)
    centroid = _parameter("centroid", centroid, frequency)
    half = _parameter("fwhm", fwhm, frequency, "positive") / 2
    height = rms.square() * half / (math.pi / 2 + torch.atan(centroid / half))
    return height / ((frequency - centroid).square() + half.square())


def power_law_noise(frequency: Tensor, rms, index, low, high) -> Tensor:
    """Evaluate P(f) ∝ f^-index, with rms² = ∫ P df from low to high; the result is as of `lorentzian`.

    The power law continues on both sides of the band. At f = 0 it is infinite for a positive index.

    Args:
        frequency: (n_frequencies,) Hz, not negative.
        rms: (...) fractional rms in the band, a number or a tensor.
        index: (...) slope: 0 for white noise, 1 for flicker noise, 2 for a random walk.
        low, high: (...) edges of the band, Hz, ascending from above zero.

    Example:
        Flicker noise has the same variance in every decade:

        >>> decade = torch.linspace(0.1, 1.0, 100_001, dtype=torch.float64)
        >>> noise = power_law_noise(decade, rms=0.2, index=1.0, low=1.0, high=10.0)
        >>> print(f"{torch.trapezoid(noise, decade).sqrt():.4f}")
        0.2000
    """
    if not bool((frequency >= 0).all()):
        raise ValueError("power_law_noise needs frequencies of 0 Hz or more: use those of rfft.")
    rms = _parameter("rms", rms, frequency)
    index = _parameter("index", index, frequency, "finite")
    low = _parameter("low", low, frequency, "positive")
    high = _parameter("high", high, frequency, "positive")
    if not bool((high > low).all()):
        raise ValueError("The band of power_law_noise is empty: high must be above low everywhere.")
    # The integral of a power law is the same function in Hz as in keV.
    in_band = power_law(low, high, index[..., 0], norm=1.0)
    return rms.square() * frequency.pow(-index) / in_band


def simulate_light_curves(
    power_spectrum, n_bins: int, bin_size: float, *, generator=None, dtype=None, device=None
) -> Tensor:
    """Simulate Gaussian light curves 1 + x, x_j = Σ_k C_k e^{2πi jk/n} with E|C_k|² = P(f_k) Δf/2.

    The sum runs over f_k = k Δf, Δf = 1/(n bin_size), for positive and negative k, C_{-k} = C_k*.
    The mean is 1 exactly; for even n the amplitude at the Nyquist frequency is real. As in nature,
    the variance scatters; its expectation is Σ_k P(f_k) Δf (the Nyquist term counts half).

    **Binning.** P describes the series of bin values: their mean periodogram is P at each Fourier
    frequency, not P sinc². If P is meant for the instantaneous rate, whose bin averages have
    Σ_k P(|f + k/bin_size|) sinc²(f bin_size + k), simulate in finer bins and average them.

    **Leakage.** The light curve is periodic: its first bin follows its last, and there is no leakage.
    Real observations are pieces of longer light curves: simulate more bins and keep some, `[..., :n]`.
    Their mean then scatters around 1, and a steep spectrum leaks to higher frequencies.

    **Negative rates** are not changed: x falls below -1 in 0.6 per cent of the bins for an
    rms σ of 0.4, in 2.3 per cent for 0.5. Clipping, `.clamp(min=0)`, changes mean and rms to
    m = Φ(1/σ) + σ φ(1/σ) and sqrt{[(1 + σ²) Φ(1/σ) + σ φ(1/σ)]/m² - 1}, with Φ and φ the standard
    normal distribution and density: the rms falls by 0.04, 0.6, 2.4 per cent at 0.3, 0.4, 0.5.

    Reference: Timmer & König 1995, A&A 300, 707.

    Args:
        power_spectrum: function from (n_frequencies,) frequencies, Hz, above zero and up to the
            Nyquist frequency, to (..., n_frequencies) one-sided powers, (fractional rms)²/Hz, finite
            and not negative. Light curves have the dtype and device of the powers.
        n_bins: number of bins of each light curve, at least 2.
        bin_size: width of a bin, s.
        generator: torch generator on the device of the powers.
        dtype, device: those of the frequencies; torch's defaults if not given.

    Returns:
        (..., n_bins) relative light curves: multiply them by a mean rate to get rates.

    Example:
        1000 light curves of 10 s, each with a QPO of its own centroid:

        >>> generator = torch.Generator().manual_seed(1)
        >>> centroid = torch.linspace(5.0, 40.0, 1000)
        >>> def qpo(frequency):
        ...     return lorentzian(frequency, rms=0.2, centroid=centroid, fwhm=centroid / 10)
        >>> simulate_light_curves(qpo, 2000, 0.005, generator=generator).shape
        torch.Size([1000, 2000])
    """
    n, bin_size = whole("n_bins", n_bins, at_least=2), seconds("bin_size", bin_size)
    frequency = _frequencies(n // 2, n * bin_size, dtype or torch.get_default_dtype(), device)
    power = power_spectrum(frequency)
    if power.ndim == 0 or power.shape[-1] != len(frequency):
        raise ValueError(
            f"The power spectrum has shape {tuple(power.shape)}; its last dimension must be the "
            f"{len(frequency)} frequencies that the model is given."
        )
    lowest, highest = torch.aminmax(power) if power.numel() else (0, 0)
    if not (lowest >= 0 and highest < math.inf):
        raise ValueError(
            "The power spectrum must be finite and not negative; it goes from "
            f"{lowest:g} to {highest:g}. Check the parameters of the model."
        )
    amplitudes = complex_normal((*power.shape[:-1], n // 2 + 1), generator, power)
    if n % 2 == 0:
        # A complex normal number has variance 1/2 in its real part.
        amplitudes[..., -1] = amplitudes[..., -1].real * math.sqrt(2)
    scale = (power * (0.5 / (n * bin_size))).sqrt()
    amplitudes[..., 1:].mul_(scale)
    amplitudes[..., 0] = 1
    if not amplitudes.numel():  # torch has no Fourier transform of an empty tensor
        return power.new_zeros(*power.shape[:-1], n)
    return torch.fft.irfft(amplitudes, n, norm="forward")


def averaged_periodogram(
    light_curve: Tensor, bin_size: float, segment: float, normalisation="leahy", good=None
) -> tuple[Tensor, Tensor]:
    """Average over segments the periodogram P_k = A |Σ_j c_j e^{-2πi jk/n}|² at f_k = k/(n bin_size).

    A = 2/N for "leahy", with N the mean number of counts in a segment: constant Poisson counts have
    a mean power of 2. A = 2 n bin_size/N² for "fractional": the sum of P_k/(n bin_size) is the
    variance relative to the squared mean; constant Poisson counts of mean rate r have a mean power
    of 2/r.

    Neither f = 0 nor, for even n, the Nyquist frequency is returned, as in stingray: amplitudes are
    real there, and powers have another distribution. Bins after the last whole segment are left out,
    also of N. Unlike in stingray, a segment without counts is included, to avoid a bias.

    Segments lie inside good time and begin at its start, as in stingray's good time intervals: a gap
    that is treated as a rate of zero adds power and reduces lags. Without `good`, a run of empty bins
    that `arguments.refuse_empty_run` cannot explain is refused.

    Reference: Leahy et al. 1983, ApJ 266, 160; Belloni & Hasinger 1990, A&A 230, 103.

    Args:
        light_curve: (..., n_bins) counts per bin, or for "fractional" values of any unit, such as a
            rate; their sum must be positive and finite. A tensor, or numbers.
        bin_size: width of a bin, s.
        segment: length of a segment, s: a whole number of bins, from 3 to n_bins.
        normalisation: "leahy" or "fractional".
        good: (n_bins,) True for each bin in good time, such as the `mask` of stingray's
            `Lightcurve`; None if all bins are good.

    Returns:
        (n_frequencies,) frequencies in Hz and (..., n_frequencies) powers, with
        n_frequencies = (n - 1) // 2 for segments of n bins.

    Example:
        A sine of amplitude 0.1 has rms² = 0.1²/2 = 0.005, all of it at its frequency:

        >>> time = torch.arange(200, dtype=torch.float64) * 0.1
        >>> sine = 1 + 0.1 * torch.sin(2 * torch.pi * 0.5 * time)
        >>> frequency, power = averaged_periodogram(sine, 0.1, 10.0, "fractional")
        >>> frequency[:5]
        tensor([0.1000, 0.2000, 0.3000, 0.4000, 0.5000], dtype=torch.float64)
        >>> print(f"{power[4] * 0.1:.4f} of {power.sum() * 0.1:.4f}")
        0.0050 of 0.0050
    """
    light_curve = tensor("light_curve", light_curve, good is not None)
    return _periodogram([light_curve], bin_size, segment, normalisation, good)


def averaged_cospectrum(
    first: Tensor, second: Tensor, bin_size: float, segment: float, normalisation="leahy", good=None
) -> tuple[Tensor, Tensor]:
    """Average Re(F₁* F₂) over consecutive segments of two light curves of the same source.

    Noise that is independent in the two averages to zero, also behind dead time; the power of the
    source remains. The normalisation uses the geometric mean of both counts, as in stingray.

    Reference: Bachetti et al. 2015, ApJ 800, 109.

    Args:
        first, second: (..., n_bins) counts per bin of the two light curves, in the same bins.
        bin_size, segment, normalisation, good: as in `averaged_periodogram`.

    Returns:
        (n_frequencies,) frequencies in Hz and (..., n_frequencies) powers, which can be negative.

    Example:
        Two independent Poisson light curves have a mean of zero within the scatter:

        >>> expected = torch.full((2, 100_000), 5.0)
        >>> counts = torch.poisson(expected, torch.Generator().manual_seed(1))
        >>> _, power = averaged_cospectrum(*counts, bin_size=0.01, segment=1.0)
        >>> bool(power.mean().abs() < 5 * 2**0.5 / (1000 * 49) ** 0.5)
        True
    """
    first, second = (tensor("light_curve", c, good is not None) for c in (first, second))
    if first.shape != second.shape:
        raise ValueError(
            f"Light curves of shapes {tuple(first.shape)} and {tuple(second.shape)}: both need the "
            "same bins."
        )
    return _periodogram([first, second], bin_size, segment, normalisation, good)


def log_bin(frequency: Tensor, power: Tensor, f: float) -> tuple[Tensor, Tensor, Tensor]:
    """Average neighbouring frequencies in bins whose width grows as Δ_j = (1 + f) Δ_{j-1}.

    The first bin starts at half the first frequency and is as wide as the spacing; a frequency on
    an edge belongs to the upper bin; the last bin has the remaining frequencies. These are the rules of
    stingray's `rebin_log`, except that a bin without a frequency, NaN there, is left out.

    Args:
        frequency: (n_frequencies,) evenly spaced, ascending, as `averaged_periodogram` returns them, Hz.
        power: (..., n_frequencies).
        f: growth of the width, 0 or more; 0.01 is usual. With 0 nothing is averaged.

    Returns:
        (n_log_bins,) mean frequency, (..., n_log_bins) mean power and (n_log_bins,) number of
        frequencies in each bin. For a single periodogram, number × power × 2/P_model follows the χ²
        distribution with 2 × number degrees of freedom.

    Example:
        >>> frequency, power, number = log_bin(torch.arange(1.0, 8.0), torch.arange(7.0), f=0.6)
        >>> frequency, power, number
        (tensor([1.0000, 2.5000, 4.5000, 6.5000]), tensor([0.0000, 1.5000, 3.5000, 5.5000]),
         tensor([1, 2, 2, 2]))
    """
    if not (0 <= f < math.inf):
        raise ValueError(f"f must be a growth of 0 or more, such as 0.01, not {f}.")
    if frequency.ndim != 1 or len(frequency) < 2 or power.shape[-1:] != frequency.shape:
        raise ValueError(
            "log_bin needs at least two frequencies (n_frequencies,) and powers "
            f"(..., n_frequencies), not shapes {tuple(frequency.shape)} and {tuple(power.shape)}."
        )
    exact = frequency.detach().cpu().double()
    spacing = (exact[-1] - exact[0]) / (len(exact) - 1)
    even = bool(((exact.diff() - spacing).abs() < 0.01 * spacing).all())
    if not (exact[0] > 0 and spacing > 0 and even):
        raise ValueError(
            "log_bin needs evenly spaced frequencies, ascending from above 0 Hz, as those of "
            "averaged_periodogram. Bin once, with the f that you want in the end."
        )
    # In units of the spacing, so that float32 and float64 frequencies fall into the same bins.
    first = float(exact[0] / spacing)
    position = first + torch.arange(len(exact), dtype=torch.float64)
    edges, width, last = [first / 2, first / 2 + 1], 1.0, first + len(exact)
    while edges[-1] <= last:
        width *= 1 + f
        edges.append(edges[-1] + width)
    # Rounding must not move a frequency on an edge into the bin below.
    edges = torch.tensor(edges, dtype=torch.float64) * (1 - 1e-6)
    bins = torch.searchsorted(edges, position, right=True)
    number = torch.unique_consecutive(bins, return_counts=True)[1]

    def mean(values):
        # Unlike scatter or index_add, segment_reduce sums in the same order in every run, also on a GPU.
        first = values.movedim(-1, 0).contiguous()
        lengths = number.to(values.device)
        return torch.segment_reduce(first, "mean", lengths=lengths, axis=0).movedim(0, -1)

    return mean(exact).to(frequency), mean(power), number.to(frequency.device)


def _periodogram(curves, bin_size, segment, normalisation, good):
    """Return the mean periodogram of one light curve, or the cospectrum of two, over all segments."""
    one_of("normalisation", normalisation, ("leahy", "fractional"))
    n_bins, starts = segments(curves[0].shape[-1:].numel(), bin_size, segment, good)
    if good is None:
        for curve in curves:
            refuse_empty_run("light_curve", curve)
    n_frequencies = (n_bins - 1) // 2
    found = [_amplitudes(c, n_bins, n_frequencies, starts) for c in curves]
    (total, first), (total_2, second) = found[0], found[-1]
    power = (first.real * second.real + first.imag * second.imag).mean(dim=-2)
    total = total if len(curves) == 1 else (total * total_2).sqrt()
    duration = n_bins * bin_size
    power = power * (2 / total if normalisation == "leahy" else 2 * duration / total.square())
    return _frequencies(n_frequencies, duration, power.dtype, power.device), power


def _amplitudes(light_curve, n_bins, n_frequencies, starts):
    """Mean counts per segment (..., 1) and Fourier amplitudes (..., n_segments, n_frequencies)."""
    if not light_curve.dtype.is_floating_point:
        light_curve = light_curve.to(torch.get_default_dtype())
    n_segments = len(starts)
    if starts[-1] == (n_segments - 1) * n_bins:  # consecutive segments need no copy
        cut = light_curve[..., : n_segments * n_bins].unflatten(-1, (n_segments, n_bins))
    else:
        at = torch.as_tensor(starts[:, None] + range(n_bins), device=light_curve.device)
        cut = light_curve[..., at]
    total = cut.sum(dim=(-2, -1))[..., None] / n_segments
    wrong = ~((total > 0) & (total < math.inf))
    if bool(wrong.any()):
        where = wrong[..., 0].nonzero()[0].tolist()
        raise ValueError(
            f"{int(wrong.sum())} of {wrong.numel()} light curves have a sum that is not positive "
            f"or not finite (first: {total[tuple(where)].item():g}, at index {where}), so that "
            "their power has no normalisation. Leave them out, or fill their gaps."
        )
    return total, torch.fft.rfft(cut)[..., 1 : n_frequencies + 1]


def _frequencies(number, duration, dtype, device):
    """Return k/duration for k = 1 ... number, rounded once."""
    grid = torch.arange(1, number + 1, dtype=torch.float64) / duration
    return grid.to(dtype=dtype, device=device)


def _parameter(name, value, frequency, kind="zero or positive"):
    """Return a checked parameter of a model with a last dimension for the frequencies."""
    # A tensor stays on its device: torch refuses to mix devices, and a silent copy would be slow.
    if not isinstance(value, Tensor):
        value = tensor(name, value, missing=True).to(frequency)
    value = value[..., None]
    least = {"finite": value > -math.inf, "positive": value > 0, "zero or positive": value >= 0}
    allowed = least[kind] & value.isfinite()
    if not bool(allowed.all()):
        number = int((~allowed).sum())
        raise ValueError(
            f"{name} must be {kind}; {number} of {value.numel()} values are not, the first is "
            f"{value[~allowed][0].item():g}. Check the range that {name} is drawn from."
        )
    return value
