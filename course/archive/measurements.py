"""Measure rms and power colours in frequency bands. (`features` has the lags.)

All functions take the noisy products of an observation; none uses the truth. Power spectra are in
the fractional normalisation, (rms/mean)²/Hz, contain their noise, and have evenly spaced
frequencies. A quantity that the data cannot give is NaN, never zero: zero would be a measurement.
`observer` checks the input.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "POWER_COLOUR_BANDS",
    "PowerColours",
    "band_rms",
    "band_variance",
    "power_colours",
]

#: Bands whose variances give the power colours, Hz.
POWER_COLOUR_BANDS = ((1 / 256, 1 / 32), (1 / 32, 0.25), (0.25, 2.0), (2.0, 16.0))


@dataclass(frozen=True, eq=False)
class PowerColours:
    """Two power colours (ratios of variances), each with one standard deviation.

    Attributes:
        pc1, pc1_err: (...) variance 0.25-2 Hz over variance 1/256-1/32 Hz.
        pc2, pc2_err: (...) variance 1/32-0.25 Hz over variance 2-16 Hz.
    """

    pc1: np.ndarray
    pc1_err: np.ndarray
    pc2: np.ndarray
    pc2_err: np.ndarray


def band_variance(frequency, power, band, *, noise, m):
    """Compute the fractional variance in a band, V = Σ (P_j - N) w_j, and its error √(Σ P_j² w_j² / (m + 1)).

    P_j is the mean of m periodograms, so it scatters by P/√m about its expectation P, and
    E[P_j²] = P² (1 + 1/m). Dividing by m + 1 makes the error right on average even for m = 1, where
    the usual m would make it too large by √2. w_j is the part of bin j inside the band.

    V is unbiased. If the source does not vary, V is below zero about half of the time: average V, or
    use it as a feature, rather than its root.

    Reference: van der Klis 1989, in Timing Neutron Stars, NATO ASI C 262, 27, Section 2, for the
    scatter of averaged powers; Vaughan et al. 2003, MNRAS 345, 1271, Section 2.2 for the integral.

    Args:
        frequency: (n,) middles of the bins, Hz, evenly spaced; they must cover the band.
        power: (..., n) (rms/mean)²/Hz, noise included; gives V and its error, (...) each.
        band: (lowest, highest) frequency, Hz.
        noise: noise level in the same unit, 2 (S + B)/S² for Poisson noise of a source S on a
            background B.
        m: number of periodograms that were averaged.
    """
    half = np.diff(frequency).mean() / 2
    inside = np.minimum(band[1], frequency + half) - np.maximum(band[0], frequency - half)
    inside = np.clip(inside, 0, None)
    variance = ((power - noise) * inside).sum(-1)
    error = np.sqrt((power**2 * inside**2 / (m + 1)).sum(-1))
    return variance, error


def band_rms(frequency, power, band, *, noise, m):
    """Compute the fractional rms in a band, r = √V, and its error σ_V / (2 r), with V of `band_variance`.

    If noise makes V zero or negative, rms and error are NaN: the band shows no variability, and neither
    0 nor -√|V| would be an estimate of it. Use the variance to average such bands. The error is linear,
    and holds if r is several times larger. Background in the mean lowers the rms by S/(S + B), unless
    the normalisation excludes it.

    Reference: Heil, Vaughan & Uttley 2012, MNRAS 422, 2620, Section 2, for r and σ_r.
    """
    variance, error = band_variance(frequency, power, band, noise=noise, m=m)
    rms = np.sqrt(np.where(variance > 0, variance, np.nan))
    return rms[()], error / (2 * rms)


def power_colours(frequency, power, *, noise, m):
    """Compute the power colours PC1 = V(0.25-2 Hz) / V(1/256-1/32) and PC2 = V(1/32-0.25) / V(2-16).

    Each V is a `band_variance`. The relative errors of numerator and denominator, which have no bin in
    common, add in quadrature. A colour is NaN if a variance is zero or negative; a reliable ratio also
    needs a denominator of at least three standard deviations.

    stingray 2.3.2 (`stingray.power_colors.power_color`) returns 1/PC1 as its first colour, which
    its own `hue_from_power_color` does not expect, and adds the relative errors linearly.

    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339, Section 2.

    The spectrum covers 1/256 to 16 Hz, so its periodograms need segments of at least 256 s.
    """
    a, b, c, d = (
        band_variance(frequency, power, band, noise=noise, m=m) for band in POWER_COLOUR_BANDS
    )
    return PowerColours(*_ratio(*c, *a), *_ratio(*b, *d))


def _ratio(top, top_err, bottom, bottom_err):
    valid = (top > 0) & (bottom > 0)
    top, bottom = np.where(valid, top, np.nan), np.where(valid, bottom, np.nan)
    ratio = top / bottom
    return ratio, ratio * np.hypot(top_err / top, bottom_err / bottom)
