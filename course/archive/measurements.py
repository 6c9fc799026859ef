"""What is summed and averaged in frequency bands: rms, power colours, lags and coherence.

Every function takes the noisy products of an observation and none looks at the truth behind them.
Power spectra are in the fractional normalisation, (rms/mean)²/Hz, still contain their noise, and
lie on evenly spaced frequencies. A quantity that the data cannot give is NaN, never zero: zero
would be a measurement. What is wrong with its input an observer finds before: see `observer`.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "POWER_COLOUR_BANDS",
    "Lags",
    "PowerColours",
    "band_rms",
    "band_variance",
    "lags",
    "power_colours",
]

#: The bands whose variances make the power colours, Hz.
POWER_COLOUR_BANDS = ((1 / 256, 1 / 32), (1 / 32, 0.25), (0.25, 2.0), (2.0, 16.0))

_POISSON = 2.0  # the noise level of counts in Leahy's normalisation


@dataclass(frozen=True, eq=False)
class PowerColours:
    """Two ratios of variances, and one standard deviation of each.

    Attributes:
        pc1, pc1_err: (...) variance 0.25-2 Hz over variance 1/256-1/32 Hz.
        pc2, pc2_err: (...) variance 1/32-0.25 Hz over variance 2-16 Hz.
    """

    pc1: np.ndarray
    pc1_err: np.ndarray
    pc2: np.ndarray
    pc2_err: np.ndarray


@dataclass(frozen=True, eq=False)
class Lags:
    """Lags and coherence of two light curves in frequency bands; one standard deviation each.

    Attributes:
        time_lag, time_lag_err: (..., n_bands) s, above zero where the hard photons come later.
        phase_lag, phase_lag_err: (..., n_bands) rad, in (-π, π].
        coherence, coherence_err: (..., n_bands) intrinsic coherence γ², noise removed.
    """

    time_lag: np.ndarray
    time_lag_err: np.ndarray
    phase_lag: np.ndarray
    phase_lag_err: np.ndarray
    coherence: np.ndarray
    coherence_err: np.ndarray


def band_variance(frequency, power, band, *, noise, m):
    """Fractional variance in a band, V = Σ (P_j - N) w_j, and its error √(Σ P_j² w_j² / (m + 1)).

    P_j is the mean of m periodograms, so it scatters by P/√m about its expectation P, and
    E[P_j²] = P² (1 + 1/m): hence m + 1, which makes the error right on average even for m = 1,
    where the usual m would overrate it by √2. w_j is the part of bin j inside the band.

    V is unbiased, and below zero about half of the time where the source does not vary: average
    this, or feed it to a model, rather than its root.

    Reference: van der Klis 1989, in Timing Neutron Stars, NATO ASI C 262, 27, Section 2, for the
    scatter of averaged powers; Vaughan et al. 2003, MNRAS 345, 1271, Section 2.2 for the integral.

    Args:
        frequency: (n,) middles of the bins, Hz, evenly spaced, and the band within them.
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
    """Fractional rms in a band, r = √V, and its error σ_V / (2 r), with V of `band_variance`.

    Where noise pushes V to zero or below, rms and error are NaN: the band shows no variability,
    and neither 0 nor -√|V| would be an estimate of it. Use the variance to average such bands. The
    error is the linear one and holds where r is several times larger than it. Background in the
    mean dilutes the rms by S/(S + B) unless the normalisation has taken it out.

    Reference: Heil, Vaughan & Uttley 2012, MNRAS 422, 2620, Section 2, for r and σ_r.
    """
    variance, error = band_variance(frequency, power, band, noise=noise, m=m)
    rms = np.sqrt(np.where(variance > 0, variance, np.nan))
    return rms[()], error / (2 * rms)


def power_colours(frequency, power, *, noise, m):
    """Two power colours, PC1 = V(0.25-2 Hz) / V(1/256-1/32) and PC2 = V(1/32-0.25) / V(2-16).

    Each V is a `band_variance`. The relative errors of numerator and denominator, which share no
    bin, add in quadrature. A colour of a variance at or below zero is NaN; a ratio also needs a
    denominator of at least three standard deviations to be worth much.

    stingray 2.3.2 (`stingray.power_colors.power_color`) returns 1/PC1 as its first colour, which
    its own `hue_from_power_color` does not expect, and adds the relative errors linearly.

    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339, Section 2.

    The spectrum reaches from 1/256 to 16 Hz, so its periodograms come from segments of 256 s or
    more.
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


def lags(soft, hard, dt, bands, *, segment):
    """Time lag τ = arg⟨S H*⟩ / (2π ν) and coherence γ² = (|⟨S H*⟩|² - n²) / (|S|² |H|²) in bands.

    S and H are the Fourier transforms of the two light curves in segments; ⟨⟩ runs over segments
    and over the frequencies of a band. A lag above zero means that the hard photons come later
    (stingray's sign if hard is its first light curve and soft its second).
    ν is the mean frequency of the band weighted by the common power, with which a constant delay
    comes out as itself in a wide band too. Delays beyond half a period wrap.

    Poisson noise: |S|² and |H|² are taken free of it, and n² = (|S|² N_H + |H|² N_S + N_S N_H)/M is
    what it adds to |⟨S H*⟩|². The two light curves must share no photons. Phases that differ inside
    a band lower its coherence. Coherence is not clipped to [0, 1]; it is NaN where a band shows no
    variability above the noise. The phase error holds where it is well below 1 rad; for noise alone
    the phase is uniform.

    The coherence's error is first-order propagation of the Gaussian covariances of |S|², |H|² and
    |⟨S H*⟩|. Vaughan & Nowak take the scatter of the two powers as independent, though both
    carry the same signal; for γ = 1 theirs is smaller by up to √2. Low frequencies leaking into a
    segment through its ends pull lags to zero: keep segments long against the variability.

    Reference: Vaughan & Nowak 1997, ApJ 474, L43, Eq. 8, for γ² and n²; Nowak et al. 1999, ApJ 510,
    874, Eq. 16, and Uttley et al. 2014, A&ARv 22, 72, Eq. 12, for the phase error
    √((1 - g²) / (2 M g²)), g² the coherence with noise. The sum over a band is taken over their
    1 - g² frequency by frequency, and so holds for steep spectra.

    Args:
        soft, hard: (..., n) light curves, counts/s, on the same even grid; background included, and
            some counts in every segment.
        dt: time between samples, s.
        bands: list of (lowest, highest) frequency, Hz.
        segment: length of a segment, s, two or more of which fit in; what is left at the end is not
            used.
    """
    n_bins = round(segment / dt)
    n_segments = soft.shape[-1] // n_bins
    frequency = np.fft.rfftfreq(n_bins, dt)
    transforms, powers = [], []
    for rate in (soft, hard):
        cut = rate[..., : n_segments * n_bins].reshape(*rate.shape[:-1], n_segments, n_bins)
        counts = cut.sum(-1, keepdims=True) * dt
        # Leahy's normalisation, segment by segment
        transforms.append(np.fft.rfft(cut * dt) * np.sqrt(2 / counts))
        powers.append((np.abs(transforms[-1]) ** 2).mean(-2))
    cross = (transforms[0] * transforms[1].conj()).mean(-2)
    columns = []
    for low, high in bands:
        chosen = (frequency > 0) & (frequency >= low) & (frequency < high)
        spectra = cross[..., chosen], *(power[..., chosen] for power in powers)
        columns.append(_band_lag(frequency[chosen], *spectra, n_segments))
    return Lags(*(np.stack(column, axis=-1) for column in zip(*columns, strict=True)))


def _band_lag(frequency, cross, soft, hard, n_segments):
    """One band's entries of `Lags`, from (..., n_frequencies) averages over segments."""
    n_averaged = n_segments * len(frequency)
    common = cross.mean(-1)
    phase = np.angle(common)
    aligned = (cross * np.exp(-1j * phase)[..., None]).real
    with np.errstate(divide="ignore", invalid="ignore"):
        # Where the common power is mostly noise the weighted mean may leave the band.
        middle = (aligned * frequency).sum(-1) / aligned.sum(-1)
        middle = np.clip(middle, frequency[0], frequency[-1])
        # Unbiased for |S|²|H|² - |S H*|² at each frequency, since E[p_S p_H - |c|²] is (1 - 1/n) of it
        incoherent = (soft * hard - np.abs(cross) ** 2).sum(-1) * n_segments / (n_segments - 1)
        variance = incoherent / (2 * n_averaged * len(frequency))
        soft_free, hard_free = soft.mean(-1) - _POISSON, hard.mean(-1) - _POISSON
        noise_common = (soft_free + hard_free + _POISSON) * _POISSON / n_averaged
        power = np.abs(common) ** 2
        # Steep spectra: a few strong frequencies carry the band
        strength = np.sqrt(soft * hard)
        effective = n_segments * strength.sum(-1) ** 2 / (strength**2).sum(-1)
        phase_err = np.sqrt(np.clip(variance, 0, None) / power)

        seen = (soft_free > 0) & (hard_free > 0)
        soft_free, hard_free = np.where(seen, soft_free, np.nan), np.where(seen, hard_free, np.nan)
        free = power - noise_common
        coherence = free / (soft_free * hard_free)
        # The delta method on ln|C|² - ln|S|² - ln|H|² with all covariances of the three
        a, b = soft.mean(-1) / soft_free, hard.mean(-1) / hard_free
        inverse = np.where(coherence > 0, 1 / coherence, np.nan)
        relative = 2 * a * b * inverse + 2 + a**2 + b**2 + 2 * coherence - 4 * (a + b)
        relative = np.clip(relative, 0, None) / effective
        coherence_err = coherence * np.sqrt(relative)
    time_scale = 1 / (2 * np.pi * middle)
    times = phase * time_scale, phase_err * time_scale
    return *times, phase, phase_err, coherence, coherence_err
