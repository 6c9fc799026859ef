"""What the lessons measure: rms, power colours, lags and the features of light curves.

Every function takes the noisy products of an observation and none looks at the truth behind them.
Power spectra are in the fractional normalisation, (rms/mean)²/Hz, and still contain their noise.
A quantity that the data cannot give is NaN, never zero: zero would be a measurement.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "HUES",
    "HUE_CENTRE",
    "LIGHT_CURVE_FEATURES",
    "POWER_COLOUR_BANDS",
    "Lags",
    "PowerColours",
    "band_rms",
    "band_variance",
    "hue",
    "hue_states",
    "lags",
    "light_curve_features",
    "power_colours",
]

#: What `light_curve_features` returns, in this order.
LIGHT_CURVE_FEATURES = (
    "amplitude",
    "beyond1std",
    "flux_percentile_ratio_mid20",
    "flux_percentile_ratio_mid35",
    "flux_percentile_ratio_mid50",
    "flux_percentile_ratio_mid65",
    "flux_percentile_ratio_mid80",
    "linear_trend",
    "max_slope",
    "median_absolute_deviation",
    "median_buffer_range_percentage",
    "pair_slope_trend",
    "percent_amplitude",
    "percent_difference_flux_percentile",
    "skew",
    "small_kurtosis",
    "std",
    "stetson_j",
    "stetson_k",
)

#: The bands whose variances make the power colours, Hz.
POWER_COLOUR_BANDS = ((1 / 256, 1 / 32), (1 / 32, 0.25), (0.25, 2.0), (2.0, 16.0))
#: PC1 and PC2 of the point about which the hue turns.
HUE_CENTRE = (4.51920, 0.453724)


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
        frequency: (..., n_bands) Hz, the mean frequency of the band, weighted by what is common.
        time_lag, time_lag_err: (..., n_bands) s, above zero where the hard photons come later.
        phase_lag, phase_lag_err: (..., n_bands) rad, in (-π, π].
        coherence, coherence_err: (..., n_bands) intrinsic coherence γ², noise removed.
        n_averaged: (n_bands,) segments times frequencies in each band.
    """

    frequency: np.ndarray
    time_lag: np.ndarray
    time_lag_err: np.ndarray
    phase_lag: np.ndarray
    phase_lag_err: np.ndarray
    coherence: np.ndarray
    coherence_err: np.ndarray
    n_averaged: np.ndarray


def band_variance(frequency, power, band, *, noise, m, width=None):
    """Fractional variance in a band, V = Σ (P_j - N_j) w_j, and its error √(Σ P_j² w_j² / (m_j + 1)).

    P_j is the mean of m_j periodograms, so it scatters by P/√m about its expectation P, and
    E[P_j²] = P² (1 + 1/m): hence m + 1, which makes the error right on average even for m = 1,
    where the usual m would overrate it by √2. w_j is the part of bin j inside the band.

    V is unbiased, and below zero about half of the time where the source does not vary: average
    this, or feed it to a model, rather than its root.

    Reference: van der Klis 1989, in Timing Neutron Stars, NATO ASI C 262, 27, Section 2, for the
    scatter of averaged powers; Vaughan et al. 2003, MNRAS 345, 1271, Section 2.2 for the integral.

    Args:
        frequency: (n,) middles of the bins, Hz, rising.
        power: (..., n) (rms/mean)²/Hz, noise included.
        band: (lowest, highest) frequency, Hz.
        noise: noise level in the same unit, 2 (S + B)/S² for Poisson noise of a source S on a
            background B; a number, or an array that broadcasts with the power.
        m: number of periodograms, segments times frequencies, averaged in each bin; as noise.
        width: (n,) widths of the bins, Hz; may be left out if all are the same.

    Returns:
        V and its error, (...) each.

    Raises:
        ValueError: if an input is not finite or of a wrong shape, if a bin is empty, or if the
            bins cover less than 99.9 per cent of the band.

    Example:
        >>> frequency = np.arange(1, 65) / 16
        >>> variance, error = band_variance(frequency, np.full(64, 0.03), (1, 2), noise=0.02, m=24)
        >>> print(f"{variance:.4f} +- {error:.4f}")
        0.0100 +- 0.0015
    """
    frequency, power, noise, m, width = _spectrum(frequency, power, noise, m, width)
    inside = _overlap(frequency, width, band)
    variance = ((power - noise) * inside).sum(-1)
    error = np.sqrt((power**2 * inside**2 / (m + 1)).sum(-1))
    return variance, error


def band_rms(frequency, power, band, *, noise, m, width=None):
    """Fractional rms in a band, r = √V, and its error σ_V / (2 r), with V of `band_variance`.

    Where noise pushes V to zero or below, rms and error are NaN: the band shows no variability,
    and neither 0 nor -√|V| would be an estimate of it. Use the variance to average such bands. The
    error is the linear one and holds where r is several times larger than it. Background in the
    mean dilutes the rms by S/(S + B) unless the normalisation has taken it out.

    Reference: Heil, Vaughan & Uttley 2012, MNRAS 422, 2620, Section 2, for r and σ_r.

    Args, Raises:
        As for `band_variance`.

    Returns:
        r and its error, (...) each, as fractions.

    Example:
        >>> frequency = np.arange(1, 65) / 16
        >>> rms, error = band_rms(frequency, np.full(64, 0.03), (1, 2), noise=0.02, m=24)
        >>> print(f"{rms:.2f} +- {error:.3f}")
        0.10 +- 0.007
        >>> rms, error = band_rms(frequency, np.full(64, 0.03), (1, 2), noise=0.04, m=24)
        >>> print(f"{rms} +- {error}")
        nan +- nan
    """
    variance, error = band_variance(frequency, power, band, noise=noise, m=m, width=width)
    rms = np.sqrt(np.where(variance > 0, variance, np.nan))
    return rms[()], error / (2 * rms)


def power_colours(frequency, power, *, noise, m, width=None):
    """Two power colours, PC1 = V(0.25-2 Hz) / V(1/256-1/32) and PC2 = V(1/32-0.25) / V(2-16).

    Each V is a `band_variance`. The relative errors of numerator and denominator, which share no
    bin, add in quadrature. A colour of a variance at or below zero is NaN; a ratio also needs a
    denominator of at least three standard deviations to be worth much.

    stingray 2.3.2 (`stingray.power_colors.power_color`) returns 1/PC1 as its first colour, which
    its own `hue_from_power_color` does not expect, and adds the relative errors linearly.

    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339, Section 2.

    Args:
        frequency, power, noise, m, width: as for `band_variance`, from 1/256 to 16 Hz, so that the
            periodograms come from segments of 256 s or more.

    Returns:
        The colours and their errors.

    Raises:
        ValueError: as for `band_variance`.

    Example:
        Noise that has the same variance in every octave, P ∝ 1/f:

        >>> frequency = np.arange(1, 4200) / 256
        >>> colours = power_colours(frequency, 1e-3 / frequency, noise=0.0, m=16)
        >>> print(f"{colours.pc1:.2f}, {colours.pc2:.2f}: {hue(colours.pc1, colours.pc2):.0f} deg")
        0.96, 1.00: 342 deg
    """
    variances = [
        band_variance(frequency, power, band, noise=noise, m=m, width=width)
        for band in POWER_COLOUR_BANDS
    ]
    a, b, c, d = variances
    return PowerColours(*_ratio(*c, *a), *_ratio(*b, *d))


def hue(pc1, pc2):
    """Hue, the angle of (log PC1, log PC2) about (log 4.51920, log 0.453724), clockwise from 135°.

    Zero points to the upper left. The hue is a direction: 359° and 1° are neighbours, so give a
    model its sine and cosine, or cut the circle where no source lives, near 340°.

    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339, Section 3.

    Args:
        pc1, pc2: (...) the power colours, the ratios themselves and not their logarithms.

    Returns:
        (...) degrees in [0, 360); NaN where a colour is NaN, as `power_colours` gives it.

    Raises:
        ValueError: if a colour is infinite, or zero or below.

    Example:
        >>> print(hue(4.51920 / 10, 0.453724 * 10), hue(4.51920 * 10, 0.453724 * 10))
        0.0 90.0
    """
    colours = []
    for name, colour in (("pc1", pc1), ("pc2", pc2)):
        colour = np.asarray(colour, dtype=float)
        if np.any(np.isinf(colour)) or np.any(colour <= 0):
            raise ValueError(
                f"{name} must be finite and above zero, for its logarithm is taken: give the "
                "ratio itself, and NaN where a variance is not above zero."
            )
        colours.append(np.log10(colour))
    x, y = (colour - np.log10(c) for colour, c in zip(colours, HUE_CENTRE, strict=True))
    # Rounded in the last digits only, or -1e-15 would come out as 360.
    return np.round(135 - np.degrees(np.arctan2(y, x)), 10) % 360


def lags(soft, hard, dt, bands, *, segment, noise=(2.0, 2.0)):
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
        soft, hard: (..., n) light curves, counts/s, on the same even grid; background included.
        dt: time between samples, s.
        bands: list of (lowest, highest) frequency, Hz.
        segment: length of a segment, s; what is left at the end is not used.
        noise: noise level of the two in Leahy's normalisation, 2 for Poisson, 0 for none; each a
            number.

    Returns:
        Lags and coherence in each band.

    Raises:
        ValueError: if a light curve is not finite or has no counts in a segment; if the shapes
            differ; if there are fewer than two segments; if a band holds no frequency.

    Example:
        Hard photons that come 20 ms after the soft ones:

        >>> rng = np.random.default_rng(1)
        >>> rate = 100 + 10 * rng.normal(size=20_002)
        >>> result = lags(rate[2:], rate[:-2], 0.01, [(0.5, 5)], segment=10, noise=(0, 0))
        >>> print(f"{1000 * result.time_lag[0]:.0f} ms, coherence {result.coherence[0]:.1f}")
        20 ms, coherence 1.0
    """
    soft, hard = _finite("soft", soft), _finite("hard", hard)
    if soft.ndim == 0 or soft.shape != hard.shape:
        raise ValueError(
            f"soft and hard must be light curves on one grid, not of shapes {soft.shape} and "
            f"{hard.shape}."
        )
    if not (np.isfinite(dt) and dt > 0):
        raise ValueError(f"dt must be above zero, not {dt}.")
    if not np.isfinite(segment):
        raise ValueError(f"segment must be a length in seconds, not {segment}.")
    n_bins = round(segment / dt)
    n_segments = soft.shape[-1] // n_bins if n_bins >= 2 else 0
    if n_segments < 2:
        raise ValueError(
            f"segment = {segment:g} s gives {n_segments} segments of a light curve of "
            f"{soft.shape[-1] * dt:g} s in steps of {dt:g} s; at least two are needed, each of two "
            "steps or more."
        )
    frequency = np.fft.rfftfreq(n_bins, dt)
    selected = []
    for band in bands:
        low, high = _band(band, "bands")
        selected.append((frequency > 0) & (frequency >= low) & (frequency < high))
        if not selected[-1].any():
            raise ValueError(
                f"The band {low:g}-{high:g} Hz holds none of the frequencies from "
                f"{frequency[1]:g} to {frequency[-1]:g} Hz: make it wider, or the segment longer."
            )
    if not selected:
        raise ValueError("bands is empty: give a list of (lowest, highest) frequency in Hz.")

    transforms, powers, levels = [], [], []
    for name, rate, level in (("soft", soft, noise[0]), ("hard", hard, noise[1])):
        if not (np.isfinite(level) and level >= 0):
            raise ValueError(f"noise must be two numbers >= 0, not {noise}.")
        cut = rate[..., : n_segments * n_bins].reshape(*rate.shape[:-1], n_segments, n_bins)
        counts = cut.sum(-1, keepdims=True) * dt
        if np.any(counts <= 0):
            raise ValueError(f"{name} has a segment without counts: leave out the gap.")
        # Leahy's normalisation, segment by segment
        transforms.append(np.fft.rfft(cut * dt) * np.sqrt(2 / counts))
        powers.append((np.abs(transforms[-1]) ** 2).mean(-2))
        levels.append(float(level))
    cross = (transforms[0] * transforms[1].conj()).mean(-2)

    columns = [
        _band_lag(frequency[s], cross[..., s], *(p[..., s] for p in powers), *levels, n_segments)
        for s in selected
    ]
    stacked = (np.stack(column, axis=-1) for column in zip(*columns, strict=True))
    return Lags(*stacked, n_averaged=np.array([n_segments * s.sum() for s in selected]))


def light_curve_features(time, rate, error):
    """The features of Richards et al. 2011 that mean something for an X-ray light curve.

    With x the rate, σ its error, P_q its q-th percentile:

    - amplitude: (max - min) / 2
    - beyond1std: share with |x - weighted mean| > weighted standard deviation, weights 1/σ²
    - flux_percentile_ratio_midk: (P_{50+k/2} - P_{50-k/2}) / (P_95 - P_5), k = 20, 35, 50, 65, 80
    - linear_trend: slope of the least-squares line, all points of equal weight, counts/s²
    - max_slope: largest |Δx/Δt| between neighbours, counts/s²
    - median_absolute_deviation: median |x - median|
    - median_buffer_range_percentage: share within 0.1 amplitude of the median
    - pair_slope_trend: share of neighbours of which the later is higher, over all pairs
    - percent_amplitude: max |x - median| / median
    - percent_difference_flux_percentile: (P_95 - P_5) / median
    - skew, small_kurtosis: G₁ and G₂, corrected for small samples; a Gaussian has 0 and 0
    - std: standard deviation with n - 1
    - stetson_j: mean of sgn(p) √|p|, p = δ² - 1, δ = √(n/(n-1)) (x - weighted mean) / σ
    - stetson_k: mean |δ| / √(mean δ²)

    The paper has two more, QSO and non_QSO: fits of the damped random walk of an optical quasar,
    with parameters set by its magnitude (Butler & Bloom 2011, AJ 141, 93). Neither magnitude nor a
    time scale of years exists for seconds of X-rays, so they are left out.

    Conventions are those of the `light-curve` package. cesium gives other numbers: buffer range
    within 0.2 amplitude, stetson_k larger by 1/0.798 = 1.25, a robust mean in the
    Stetson indices, std and skew with n. Never mix libraries between training and use. Percentiles
    interpolate between (i - 1/2)/n, as that package does (numpy's "hazen").

    What divides by a median at or below zero, or by a spread of zero, is NaN.

    Reference: Richards et al. 2011, ApJ 733, 10, Section 3 and Table 5; Stetson 1996, PASP 108,
    851, for J and K; Joanes & Gill 1998, The Statistician 47, 183, for G₁ and G₂.

    Args:
        time: (n,) s, rising, n >= 4; gaps are allowed.
        rate: (..., n) counts/s.
        error: one standard deviation of the rate, above zero; broadcasts with the rate.

    Returns:
        dict from the names in `LIGHT_CURVE_FEATURES`, in this order, to (...) values.

    Raises:
        ValueError: if a value is not finite, a time does not rise, an error is not above zero,
            there are fewer than four points or the shapes do not fit.

    Example:
        >>> features = light_curve_features(np.arange(5.0), [1.0, 3.0, 2.0, 4.0, 5.0], 1.0)
        >>> print(f"{features['amplitude']:.1f} {features['pair_slope_trend']:.2f}")
        2.0 0.75
    """
    time, rate, error = _finite("time", time), _finite("rate", rate), _finite("error", error)
    if time.ndim != 1 or rate.ndim == 0 or rate.shape[-1] != len(time):
        raise ValueError(f"time is (n,) and rate (..., n), not {time.shape} and {rate.shape}.")
    n = len(time)
    if n < 4:
        raise ValueError(f"The light curve has {n} points; small_kurtosis needs at least four.")
    _rising("time", time)
    if np.any(error <= 0):
        where = int(np.argmax((error <= 0).ravel()))
        raise ValueError(
            f"error must be above zero; element {where} is {error.ravel()[where]:g}. For an empty "
            "bin take the error of the expected counts, not of the 0 counted."
        )
    try:
        error = np.broadcast_to(error, rate.shape)
    except ValueError:
        raise ValueError(
            f"error of shape {error.shape} does not broadcast to rate of shape {rate.shape}."
        ) from None

    middle_shares = (20, 35, 50, 65, 80)
    low = [5.0] + [50 - k / 2 for k in middle_shares]
    high = [95.0] + [50 + k / 2 for k in middle_shares]
    percentiles = np.percentile(rate, low + high, axis=-1, method="hazen")
    spread, *middle_spreads = percentiles[len(low) :] - percentiles[: len(low)]
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

    # A constant rate may leave rounding errors behind in its moments; they are no spread.
    varies = amplitude > 0
    m2, m3, m4 = ((centred**k).mean(-1) for k in (2, 3, 4))
    m2 = np.where(varies, m2, np.nan)
    kurtosis = m4 / m2**2 - 3

    values = (
        amplitude,
        np.where(varies, (np.abs(from_weighted) > weighted_std).mean(-1), 0.0),
        *(middle / np.where(spread > 0, spread, np.nan) for middle in middle_spreads),
        (centred * centred_time).sum(-1) / (centred_time**2).sum(),
        np.abs(steps / np.diff(time)).max(-1),
        np.median(from_median, axis=-1),
        (from_median <= 0.1 * amplitude[..., None]).mean(-1),
        (steps > 0).mean(-1),
        from_median.max(-1) / positive_median,
        spread / positive_median,
        np.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5,
        (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * kurtosis + 6),
        rate.std(-1, ddof=1),
        (np.sign(excess) * np.sqrt(np.abs(excess))).mean(-1),
        np.abs(delta).mean(-1) / np.sqrt(np.where(varies, (delta**2).mean(-1), np.nan)),
    )
    return dict(zip(LIGHT_CURVE_FEATURES, values, strict=True))


def _finite(name, values):
    """The values as floats, or an error that says where they are not finite."""
    values = np.asarray(values, dtype=float)
    bad = ~np.isfinite(values)
    if bad.any():
        where = np.argwhere(bad)[0].tolist()
        raise ValueError(
            f"{name} is not finite in {int(bad.sum())} places, the first at index {where}: "
            "leave these points out."
        )
    return values


def _rising(name, values):
    falls = np.diff(values) <= 0
    if falls.any():
        where = int(np.argmax(falls)) + 1
        raise ValueError(f"{name} must rise; element {where} does not. Sort, and merge equal ones.")


def _band(band, name):
    """A band's two limits, checked."""
    limits = np.asarray(band, dtype=float)
    if limits.shape != (2,) or not np.isfinite(limits).all() or not 0 <= limits[0] < limits[1]:
        raise ValueError(f"{name} must be (lowest, highest) frequency in Hz, not {band}.")
    return float(limits[0]), float(limits[1])


def _spectrum(frequency, power, noise, m, width):
    """The parts of a power spectrum, checked, as arrays that broadcast together."""
    frequency, power = _finite("frequency", frequency), _finite("power", power)
    noise, m = _finite("noise", noise), _finite("m", m)
    if frequency.ndim != 1 or len(frequency) < 2:
        raise ValueError(f"frequency must be (n,) with n >= 2, not of shape {frequency.shape}.")
    if power.ndim == 0 or power.shape[-1] != len(frequency):
        raise ValueError(
            f"power has shape {power.shape}; its last dimension must be the {len(frequency)} "
            "frequencies."
        )
    _rising("frequency", frequency)
    if width is None:
        steps = np.diff(frequency)
        if not np.allclose(steps, steps.mean(), rtol=1e-3, atol=0):
            raise ValueError("The frequencies are not evenly spaced: give the bins' `width`.")
        width = np.full(len(frequency), steps.mean())
    width = _finite("width", width)
    if width.shape != frequency.shape or np.any(width <= 0):
        raise ValueError(f"width must be ({len(frequency)},) and above zero.")
    if frequency[0] - width[0] / 2 < -1e-9 * width[0]:
        raise ValueError("The first bin reaches below 0 Hz: leave out the power at 0 Hz.")
    if np.any(frequency[1:] - frequency[:-1] < (width[1:] + width[:-1]) / 2 * (1 - 1e-3)):
        raise ValueError("The bins overlap: frequency must hold their middles, width their widths.")
    if np.any(m < 1):
        raise ValueError("m, the number of periodograms averaged in a bin, must be 1 or more.")
    for name, values in (("noise", noise), ("m", m)):
        try:
            np.broadcast_to(values, power.shape)
        except ValueError:
            raise ValueError(
                f"{name} of shape {values.shape} does not broadcast to power of shape "
                f"{power.shape}; for one value per spectrum give it a last dimension of 1."
            ) from None
    return frequency, power, noise, m, width


def _overlap(frequency, width, band):
    """(n,) how much of each bin lies inside the band, Hz."""
    low, high = _band(band, "band")
    inside = np.minimum(high, frequency + width / 2) - np.maximum(low, frequency - width / 2)
    inside = np.clip(inside, 0, None)
    covered = inside.sum() / (high - low)
    if covered < 0.999:
        raise ValueError(
            f"The bins, {frequency[0] - width[0] / 2:g}-{frequency[-1] + width[-1] / 2:g} Hz, cover "
            f"{100 * covered:.1f} per cent of the band {low:g}-{high:g} Hz: take longer segments "
            "for lower frequencies, finer time steps for higher ones."
        )
    return inside


def _ratio(top, top_err, bottom, bottom_err):
    valid = (top > 0) & (bottom > 0)
    top, bottom = np.where(valid, top, np.nan), np.where(valid, bottom, np.nan)
    ratio = top / bottom
    return ratio, ratio * np.hypot(top_err / top, bottom_err / bottom)


def _band_lag(frequency, cross, soft, hard, soft_noise, hard_noise, n_segments):
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
        noise_common = (
            (soft.mean(-1) - soft_noise) * hard_noise
            + (hard.mean(-1) - hard_noise) * soft_noise
            + soft_noise * hard_noise
        ) / n_averaged
        power = np.abs(common) ** 2
        # Steep spectra: a few strong frequencies carry the band
        strength = np.sqrt(soft * hard)
        effective = n_segments * strength.sum(-1) ** 2 / (strength**2).sum(-1)
        phase_err = np.sqrt(np.clip(variance, 0, None) / power)

        soft_free, hard_free = soft.mean(-1) - soft_noise, hard.mean(-1) - hard_noise
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
    return (
        middle,
        phase * time_scale,
        phase_err * time_scale,
        phase,
        phase_err,
        coherence,
        coherence_err,
    )


#: {state: (from, to)} the hues, in degrees, at which black holes are found in each state: Heil,
#: Uttley & Klein-Wolt 2015, MNRAS 448, 3339.
HUES = {"LHS": (-20, 140), "HIMS": (140, 220), "SIMS": (220, 300), "HSS": (300, 340)}


def hue_states(hue):
    """The state in whose sector of the power-colour wheel each hue lies.

    The sectors are those of `HUES`: LHS from -20 to 140 deg, HIMS to 220, SIMS to 300, HSS to 340.
    They cover the circle. A border belongs to the sector that begins there.

    Reference: Heil, Uttley & Klein-Wolt 2015, MNRAS 448, 3339: found with black holes. Neutron
    stars vary several times faster, which moves their hues.

    Args:
        hue: angles in deg, of any shape; whole turns do not matter.

    Returns:
        Strings of the shape of `hue`; "" where a hue is missing.

    Example:
        >>> hue_states([10.0, 350.0, 160.0, 250.0, 320.0, float("nan")]).tolist()
        ['LHS', 'LHS', 'HIMS', 'SIMS', 'HSS', '']
    """
    hue = np.asarray(hue, dtype=float)
    with np.errstate(invalid="ignore"):  # a hue of infinity is as missing as NaN
        sectors = [(hue - low) % 360 < high - low for low, high in HUES.values()]
    return np.select(sectors, list(HUES), default="")
