"""Compute features: the hue of power colours, lags and coherence, and shapes of light curves.

A feature that the data cannot give is NaN, not zero. Arguments that cannot be used give a ValueError.
"""

from typing import NamedTuple

import numpy as np

from helpers.arguments import numbers, refuse_empty_run, resolved, segments

__all__ = ["HUES", "HUE_CENTRE", "Lags", "hue", "hue_states", "lags", "light_curve_features"]

#: {state: (from, to)} hues of black holes in each state, degrees: Heil, Uttley & Klein-Wolt 2015,
#: MNRAS 448, 3339. Neutron stars vary faster, which shifts their hues.
HUES = {"LHS": (-20, 140), "HIMS": (140, 220), "SIMS": (220, 300), "HSS": (300, 340)}

_POISSON = 2.0  # the noise level of counts in Leahy's normalisation

#: PC1 and PC2 of the point around which the hue is measured.
HUE_CENTRE = (4.51920, 0.453724)


def hue(pc1, pc2):
    """Compute the hue: angle of (log PC1, log PC2) around (log 4.51920, log 0.453724), clockwise from 135°.

    Zero points to the upper left. The hue is a direction: 359° and 1° are neighbours, so give a
    model its sine and cosine, or cut the circle where there are no sources, near 340°.

    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339, Section 3.

    Args:
        pc1, pc2: (...) power colours, finite and above zero: the ratios, not their logarithms.

    Returns:
        (...) degrees in [0, 360); NaN where a colour is NaN.

    Example:
        >>> print(hue(4.51920 / 10, 0.453724 * 10), hue(4.51920 * 10, 0.453724 * 10))
        0.0 90.0
    """
    colours = []
    for name, colour in (("pc1", pc1), ("pc2", pc2)):
        colour = numbers(name, colour, missing=True)
        if np.any(np.isinf(colour)) or np.any(colour <= 0):
            raise ValueError(
                f"{name} must be finite and above zero, because its logarithm is taken: give the "
                "ratio itself, and NaN where a variance is not above zero."
            )
        colours.append(np.log10(colour))
    x, y = (colour - np.log10(c) for colour, c in zip(colours, HUE_CENTRE, strict=True))
    # Round the last digits only: otherwise -1e-15 would become 360.
    return np.round(135 - np.degrees(np.arctan2(y, x)), 10) % 360


def light_curve_features(time, rate, error):
    """Compute the features of Richards et al. 2011 that apply to X-ray light curves.

    The result is a dictionary of (...) values, where x is the rate, σ its error, P_q its q-th percentile:

    - amplitude: (max - min) / 2
    - beyond1std: share with |x - weighted mean| > weighted standard deviation, weights 1/σ²
    - flux_percentile_ratio_midk: (P_{50+k/2} - P_{50-k/2}) / (P_95 - P_5), k = 20, 35, 50, 65, 80
    - linear_trend: slope of the least-squares line, all points of equal weight, counts/s²
    - max_slope: largest |Δx/Δt| between neighbours, counts/s²
    - median_absolute_deviation: median |x - median|
    - median_buffer_range_percentage: share within 0.1 amplitude of the median
    - pair_slope_trend: share of neighbouring pairs in which the later rate is higher
    - percent_amplitude: max |x - median| / median
    - percent_difference_flux_percentile: (P_95 - P_5) / median
    - skew, small_kurtosis: G₁ and G₂, corrected for small samples; a Gaussian has 0 and 0
    - std: standard deviation with n - 1
    - stetson_j: mean of sgn(p) √|p|, p = δ² - 1, δ = √(n/(n-1)) (x - weighted mean) / σ
    - stetson_k: mean |δ| / √(mean δ²)

    QSO and non_QSO are left out: a quasar's random walk takes years (Butler & Bloom 2011, AJ 141, 93).

    Conventions are those of the `light-curve` package, also for percentiles, which interpolate between
    (i - 1/2)/n (numpy's "hazen"). cesium differs: buffer range within 0.2 amplitude, stetson_k larger
    by 1/0.798 = 1.25, a robust mean in the Stetson indices, std and skew with n.
    Never mix libraries between training and use.

    Features that divide by a median of zero or less, or by a spread of zero, are NaN.

    Reference: Richards et al. 2011, ApJ 733, 10, Section 3 and Table 5; Stetson 1996, PASP 108,
    851, for J and K; Joanes & Gill 1998, The Statistician 47, 183, for G₁ and G₂.

    Args:
        time: (n,) s, ascending, n >= 4, of bins in good time: leave gaps out, do not fill them with 0.
        rate: (..., n) counts/s.
        error: one standard deviation of the rate, above zero; broadcasts with the rate.

    Example:
        >>> features = light_curve_features(np.arange(5.0), [1.0, 3.0, 2.0, 4.0, 5.0], 1.0)
        >>> print(f"{features['amplitude']:.1f} {features['pair_slope_trend']:.2f}")
        2.0 0.75
    """
    given = np.asarray(time)
    time, rate, error = numbers("time", time), numbers("rate", rate), numbers("error", error)
    if time.ndim != 1 or rate.ndim == 0 or rate.shape[-1] != len(time):
        raise ValueError(f"time is (n,) and rate (..., n), not {time.shape} and {rate.shape}.")
    n = len(time)
    if n < 4:
        raise ValueError(f"The light curve has {n} points; small_kurtosis needs at least four.")
    falls = np.diff(time) <= 0
    if falls.any():
        where = int(np.argmax(falls)) + 1
        raise ValueError(f"time must rise; element {where} does not. Sort, and merge equal ones.")
    resolved("time", given, np.diff(time).min())
    refuse_empty_run("rate", rate)
    if np.any(error <= 0):
        where = int(np.argmax((error <= 0).ravel()))
        raise ValueError(
            f"error must be above zero; element {where} is {error.ravel()[where]:g}. For an empty "
            "bin take the error of the expected counts, not of the 0 counted."
        )
    try:
        error = np.broadcast_to(error, rate.shape)
    except ValueError:
        shapes = f"error {error.shape} does not broadcast to rate {rate.shape}"
        raise ValueError(f"{shapes}: give one for all or one for each.") from None

    shares = np.array([90, 20, 35, 50, 65, 80])
    low, high = np.percentile(rate, [50 - shares / 2, 50 + shares / 2], axis=-1, method="hazen")
    spread, middles = high[0] - low[0], high[1:] - low[1:]
    middle_names = [f"flux_percentile_ratio_mid{share}" for share in shares[1:]]
    positive_spread = np.where(spread > 0, spread, np.nan)
    median = np.median(rate, axis=-1)
    positive_median = np.where(median > 0, median, np.nan)
    from_median = np.abs(rate - median[..., None])
    amplitude = (rate.max(-1) - rate.min(-1)) / 2

    mean = rate.mean(-1, keepdims=True)
    centred, centred_time = rate - mean, time - time.mean()
    steps = np.diff(rate)
    weight = error**-2 / (error**-2).sum(-1, keepdims=True)
    from_weighted = rate - (weight * rate).sum(-1, keepdims=True)
    weighted_std = np.sqrt((weight * from_weighted**2).sum(-1, keepdims=True))
    delta = np.sqrt(n / (n - 1)) * from_weighted / error
    excess = delta**2 - 1

    # The moments of a constant rate may have rounding errors, which are no spread.
    varies = amplitude > 0
    m2, m3, m4 = ((centred**k).mean(-1) for k in (2, 3, 4))
    m2 = np.where(varies, m2, np.nan)
    kurtosis = m4 / m2**2 - 3
    mean_square = np.where(varies, (delta**2).mean(-1), np.nan)

    return {
        "amplitude": amplitude,
        "beyond1std": np.where(varies, (np.abs(from_weighted) > weighted_std).mean(-1), 0.0),
        **dict(zip(middle_names, middles / positive_spread, strict=True)),
        "linear_trend": (centred * centred_time).sum(-1) / (centred_time**2).sum(),
        "max_slope": np.abs(steps / np.diff(time)).max(-1),
        "median_absolute_deviation": np.median(from_median, axis=-1),
        "median_buffer_range_percentage": (from_median <= 0.1 * amplitude[..., None]).mean(-1),
        "pair_slope_trend": (steps > 0).mean(-1),
        "percent_amplitude": from_median.max(-1) / positive_median,
        "percent_difference_flux_percentile": spread / positive_median,
        "skew": np.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5,
        "small_kurtosis": (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * kurtosis + 6),
        "std": rate.std(-1, ddof=1),
        "stetson_j": (np.sign(excess) * np.sqrt(np.abs(excess))).mean(-1),
        "stetson_k": np.abs(delta).mean(-1) / np.sqrt(mean_square),
    }


def hue_states(hue):
    """Return the state of each hue [deg], by the sectors of the power-colour wheel in `HUES`.

    The sectors cover the circle. A border belongs to the sector that begins there. The result has
    the shape of `hue`, whose multiples of 360 do not matter; it is "" where a hue is missing.

    Example:
        >>> hue_states([10.0, 350.0, 160.0, 250.0, 320.0, float("nan")]).tolist()
        ['LHS', 'LHS', 'HIMS', 'SIMS', 'HSS', '']
    """
    hue = numbers("hue", hue, missing=True)
    with np.errstate(invalid="ignore"):  # an infinite hue counts as missing, as NaN does
        sectors = [(hue - low) % 360 < high - low for low, high in HUES.values()]
    return np.select(sectors, list(HUES), default="")


class Lags(NamedTuple):
    """Results of `lags`, (..., n_bands) each, with errors of one standard deviation."""

    time_lag: np.ndarray  # s, above zero where the hard photons come later
    time_lag_err: np.ndarray
    phase_lag: np.ndarray  # rad, in (-π, π]
    phase_lag_err: np.ndarray
    coherence: np.ndarray  # intrinsic γ², noise removed
    coherence_err: np.ndarray


def lags(soft, hard, bin_size, segment, bands, good=None):
    """Compute lags τ = arg⟨S H*⟩ / (2π ν) and coherence γ² = (|⟨S H*⟩|² - n²) / (|S|² |H|²) in bands.

    S and H are the Fourier transforms of the two light curves in segments; ⟨⟩ is the mean over segments
    and the frequencies of a band. ν is the mean frequency of the band weighted by the common power, so
    that a constant delay is measured correctly; lags above half a period wrap. Leakage at the ends of
    segments reduces lags: use segments much longer than the time scale of the variability.

    |S|² and |H|² are without Poisson noise N, and n² = (|S|² N_H + |H|² N_S + N_S N_H)/M. The two must
    have no photons in common. Phases that differ inside a band lower its coherence, which is not clipped
    to [0, 1], and is NaN without variability. The phase error holds well below 1 rad; the error of the
    coherence is first order, with all covariances of |S|², |H|² and |⟨S H*⟩|.

    Reference: Vaughan & Nowak 1997, ApJ 474, L43, Eq. 8, for γ² and n²; Nowak et al. 1999, ApJ 510,
    874, Eq. 16, and Uttley et al. 2014, A&ARv 22, 72, Eq. 12, for the phase error, whose 1 - g² is
    summed over single frequencies here, so that it also holds for steep spectra.

    Args:
        soft, hard: (..., n_bins) counts, not rates, with background, in the same bins.
        bin_size, segment, good: as in `light_curves.averaged_periodogram`; two or more segments, each
            with counts. `good` must exclude all gaps.
        bands: list of (lowest, highest) frequency, Hz.

    Example:
        >>> rng = np.random.default_rng(1)
        >>> rate = 500 * np.exp(0.3 * rng.normal(size=100_001))
        >>> found = lags(rng.poisson(rate[1:]), rng.poisson(rate[:-1]), 0.01, 10.0, [(1.0, 5.0)])
        >>> print(f"{1e3 * found.time_lag[0]:.0f} ms")
        10 ms
    """
    soft, hard = numbers("soft", soft, missing=True), numbers("hard", hard, missing=True)
    if soft.shape != hard.shape or soft.ndim == 0:
        raise ValueError(f"soft {soft.shape} and hard {hard.shape} need the same bins.")
    n_bins, starts = segments(soft.shape[-1], bin_size, segment, good)
    frequency, transforms, powers = np.fft.rfftfreq(n_bins, bin_size), [], []
    for name, curve in (("soft", soft), ("hard", hard)):
        if good is None:
            refuse_empty_run(name, curve)
        cut = curve[..., starts[:, None] + np.arange(n_bins)]
        counts = cut.sum(-1, keepdims=True)
        whole = (cut >= 0).all() and (cut == np.round(cut)).all()
        if len(starts) < 2 or not whole or not (counts > 0).all():
            raise ValueError(
                f"{name} must be counts per bin, some in each of two or more segments: the noise of "
                "rates, or of net counts, is not known. Make segments shorter, or name the bins in "
                "good time, good=(n_bins,) True or False."
            )
        # Leahy's normalisation for each segment
        transforms.append(np.fft.rfft(cut) * np.sqrt(2 / counts))
        powers.append((np.abs(transforms[-1]) ** 2).mean(-2))
    cross = (transforms[0] * transforms[1].conj()).mean(-2)
    columns = []
    for low, high in bands:
        chosen = (frequency > 0) & (frequency >= low) & (frequency < high)
        if not chosen.any():
            raise ValueError(f"No frequency k/{segment:g} Hz lies between {low:g} and {high:g} Hz.")
        spectra = cross[..., chosen], *(power[..., chosen] for power in powers)
        columns.append(_band_lag(frequency[chosen], *spectra, len(starts)))
    return Lags(*(np.stack(column, axis=-1) for column in zip(*columns, strict=True)))


def _band_lag(frequency, cross, soft, hard, n_segments):
    """Return the entries of `Lags` for one band, from (..., n_frequencies) averages over segments."""
    n_averaged = n_segments * len(frequency)
    common = cross.mean(-1)
    phase = np.angle(common)
    aligned = (cross * np.exp(-1j * phase)[..., None]).real
    with np.errstate(divide="ignore", invalid="ignore"):
        # If the common power is mostly noise, the weighted mean may lie outside the band.
        middle = (aligned * frequency).sum(-1) / aligned.sum(-1)
        middle = np.clip(middle, frequency[0], frequency[-1])
        # Unbiased for |S|²|H|² - |S H*|² at each frequency, because E[p_S p_H - |c|²] is (1 - 1/n) of it
        incoherent = (soft * hard - np.abs(cross) ** 2).sum(-1) * n_segments / (n_segments - 1)
        variance = incoherent / (2 * n_averaged * len(frequency))
        soft_free, hard_free = soft.mean(-1) - _POISSON, hard.mean(-1) - _POISSON
        noise_common = (soft_free + hard_free + _POISSON) * _POISSON / n_averaged
        power = np.abs(common) ** 2
        # In steep spectra a few strong frequencies dominate the band
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
