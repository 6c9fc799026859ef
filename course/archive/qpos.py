"""Fit a QPO, and the break of broad noise, to a power spectrum by maximum likelihood.

The power spectrum is as in `measurements`, except that its bins may have any widths: fractional,
(rms/mean)²/Hz, noise included, 0 or more.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.optimize import nnls

__all__ = ["Qpo", "break_frequency", "fit_qpo"]

_LOWEST_Q, _HIGHEST_Q = 2.0, 30.0
_SCAN_Q = (2.0, 4.0, 8.0, 16.0)
_FALSE_ALARM = 0.01  # largest false-alarm probability of a detection

_BREAK_SLOPES = np.arange(0.5, 2.6, 0.25)
_POWER_LAW_SLOPES = np.arange(0.0, 2.6, 0.25)
_BREAK_WINDOW = 4.0  # upper end of the last fit, in units of the break; a QPO is at 5
_BREAK_OVER_NOISE, _BREAK_OVER_POWER_LAW = 8.0, 4.5  # least gains in ln L


@dataclass(frozen=True)
class Qpo:
    """Result of a search for a quasi-periodic oscillation.

    Attributes:
        detected: whether `false_alarm` is at most 0.01. If not, the six fields of the peak are NaN.
        false_alarm: probability that a spectrum of continuum and noise alone has a peak at least as
            significant as this one anywhere in the searched range.
        significance: √(2 ln(L_with / L_without)), the root of the log-likelihood ratio; it is in
            Gaussian sigma only for a peak whose frequency and width were known in advance.
        frequency, frequency_err: centroid ν₀, Hz.
        q, q_err: quality factor ν₀ / FWHM.
        rms, rms_err: fractional rms of the Lorentzian, integrated over all positive frequencies.
    """

    detected: bool
    false_alarm: float
    significance: float
    frequency: float = np.nan
    frequency_err: float = np.nan
    q: float = np.nan
    q_err: float = np.nan
    rms: float = np.nan
    rms_err: float = np.nan


def fit_qpo(frequency, power, *, noise, m, width, search=(0.1, 30.0), n_simulations=1000):
    """Search a power spectrum for one QPO and fit it: P = noise + Σ broad + r² Lorentzian(ν₀, Q).

    The mean of m periodograms of expectation M follows a Gamma distribution with ln L = -Σ m (P/M +
    ln M) (Whittle's likelihood for m = 1). The continuum is a sum of broad Lorentzians on a fixed grid
    of widths, centred at zero or with Q = 0.5, with weights >= 0. Such a sum can describe power laws
    between f^0 and f^-2, and bends, but no peak with a Q of 2.

    The search uses the score statistic of a Lorentzian of Q = 2, 4, 8, 16 at every frequency of the
    range, orthogonal to the continuum's parameters. Without power the frequency of a QPO is undefined,
    so the highest peak does not follow a chi-squared distribution; the false-alarm probability is the
    share of spectra simulated from the fitted continuum that have a higher peak. The fit is a maximum
    likelihood from the best peak, 2 <= Q <= 30. Errors are linear, from the Fisher information.

    If there are several QPOs, the most significant is returned. Noise with a hump of Q about 1 to 2 can
    be taken for a QPO at the lower limit of Q: look at `q`. Bins must be narrower than the QPO; first
    average them logarithmically to 1-3 per cent, because the time grows with their number.

    Reference: Barret & Vaughan 2012, ApJ 746, 131, Section 2, for the likelihood; Davies 1977,
    Biometrika 64, 247, for the missing frequency; Protassov et al. 2002, ApJ 571, 545, for the
    simulated false-alarm probability; Belloni, Psaltis & van der Klis 2002, ApJ 572, 392, for the
    Lorentzian, which they integrate from -∞ (their r² is larger by π / (π/2 + arctan 2Q)).

    Args:
        frequency, width: (n,) middles of the bins, ascending, and their widths, Hz.
        power: (n,) (rms/mean)²/Hz, noise included.
        noise: known noise level, >= 0.
        m: (n,) number of periodograms averaged in each bin.
        search: (lowest, highest) centroid, Hz, inside the spectrum.
        n_simulations: the smallest false-alarm probability is 1/(n_simulations + 1). All calls use the
            same random stream: the same spectrum gives the same result.
    """
    low, high = frequency - width / 2, frequency + width / 2
    broad, peaks, centroid, q = _grid(low.tobytes(), high.tobytes(), *search)
    weights, model, log_l_without = _fit_weights(broad, power, noise, m)

    # In units in which every bin of a pure continuum has a standard deviation of one
    scale = np.sqrt(m) / model
    basis, _ = np.linalg.qr((broad[weights > 0] * scale).T)
    peaks = peaks * scale
    peaks = peaks - (peaks @ basis) @ basis.T
    peaks /= np.sqrt((peaks**2).sum(-1, keepdims=True))
    score = peaks @ ((power - model) * scale)
    simulated = _simulations(m.tobytes(), n_simulations)
    highest_simulated = (simulated @ peaks.astype(np.float32).T).max(-1)
    false_alarm = (1 + np.sum(highest_simulated >= score.max())) / (1 + len(simulated))

    best = score.argmax()
    start = centroid[best], q[best]
    peak, log_l_with = _refine(low, high, broad, power, noise, m, start, search)
    significance = np.sqrt(2 * max(log_l_with - log_l_without, 0.0))
    detected = bool(peak is not None and false_alarm <= _FALSE_ALARM)
    found = map(float, peak) if detected else ()
    return Qpo(detected, float(false_alarm), float(significance), *found)


def break_frequency(frequency, power, *, noise, m):
    """Fit the frequency ν_b where the flat top of broad noise ends: P = noise + A / (1 + (f/ν_b)^s).

    For s = 2 this is a Lorentzian centred at zero, and ν_b is its half width. For every ν_b of a grid,
    A >= 0 and 0.5 <= s <= 2.5 are fitted by maximum likelihood of averaged periodograms, as in
    `fit_qpo`. A parabola through the three highest ln L gives ν_b; the error is half the width of the
    range in which ln L is within 1/2 of its maximum.

    To exclude QPOs and further breaks, bins more than 4/√m and three tenths above the running median
    of one e-fold in frequency are left out, with two neighbours on either side. After a first fit to
    all frequencies, the fit is repeated below 4 ν_b until ν_b is stable. If there are several humps,
    the one that dominates the first fit is found, in a hard state the lowest.

    The result is NaN if the bend gains less than 8 in ln L over noise alone (four sigma for A alone,
    about three with the two parameters that noise does not have); if it gains less than 4.5 over a
    power law f^-s, 0 <= s <= 2.5, which is its limit far below the grid (three sigma for one
    parameter); if ν_b is less than twice the lowest frequency or more than half of the highest; or if
    the error range is wider than a factor 3 on one side. Near these limits a sample keeps only the
    breaks that scattered upwards.

    Reference: Barret & Vaughan 2012, ApJ 746, 131, Section 2, for the likelihood; Wijnands & van
    der Klis 1999, ApJ 514, 939, for the break and the QPO at several times its frequency; Belloni,
    Psaltis & van der Klis 2002, ApJ 572, 392, for the zero-centred Lorentzian.

    The arguments are those of `fit_qpo`, with twelve or more bins that are a tenth apart. Returns ν_b
    and its error, Hz; both are NaN if no break is detected.
    """
    lowest, highest = np.log(2 * frequency[0]), np.log(frequency[-1] / 2)
    # Steps of a tenth in ln f are narrow enough for broad noise, and save time
    step = np.floor(np.log(frequency) / 0.1)
    first = np.flatnonzero(np.append(True, np.diff(step) > 0))
    merged = np.add.reduceat(np.stack([frequency * m, power * m, noise * m, m]), first, axis=-1)
    frequency, power, noise = merged[:3] / merged[3]
    m = merged[3]
    if not power.any():
        return np.nan, np.nan
    smooth = np.median(sliding_window_view(np.pad(power, 5, mode="reflect"), 11), axis=-1)
    smooth = np.maximum(smooth, 1e-3 * power.mean())
    out = (power > smooth * (1 + 4 / np.sqrt(m))) & (power - noise > 1.3 * (smooth - noise))
    keep = np.convolve(out, np.ones(5), "same") < 0.5
    log_f = np.log(frequency[keep])
    data = np.stack([power, noise, m, smooth])[:, keep]

    def profile(log_nu, slopes, end):
        """Return the highest ln L (len(log_nu), len(slopes)) of the bins before `end`."""
        x = np.exp(slopes[:, None] * (log_f[:end] - log_nu[:, None, None]))
        return _profile_amplitude(1 / (1 + x), *data[:, :end])

    log_nu = np.linspace(lowest, highest, int((highest - lowest) / 0.3) + 2)
    nu = log_nu[profile(log_nu, _BREAK_SLOPES[::2], len(log_f)).max(-1).argmax()]
    for _ in range(4):
        before, log_nu = nu, nu + np.linspace(-1.2, 1.2, 31)
        end = max(np.searchsorted(log_f, nu + np.log(_BREAK_WINDOW)), 6)
        log_l = _vertex(profile(log_nu, _BREAK_SLOPES, end))[1]
        place, best = _vertex(log_l)
        nu = float(np.clip(log_nu[0] + place * (log_nu[1] - log_nu[0]), lowest, highest))
        if abs(nu - before) < 0.05:
            break

    nothing = _profile_amplitude(np.zeros((1, end)), *data[:, :end])[0]
    law = np.exp(-_POWER_LAW_SLOPES[:, None] * (log_f[:end] - log_f[:end].mean()))
    law = _vertex(_profile_amplitude(law, *data[:, :end]))[1]
    # Evenly spaced in ln ν for a parabola, and within one of the peak in the range of the error
    root = np.sqrt(2 * np.clip(best - log_l, 0, None)) * np.sign(log_nu - nu)
    below, above = root[log_nu < nu], root[log_nu > nu]
    if (
        best - nothing < _BREAK_OVER_NOISE
        or best - law < _BREAK_OVER_POWER_LAW
        or not lowest < nu < highest
        or below.min(initial=0) > -1
        or above.max(initial=0) < 1
    ):
        return np.nan, np.nan
    lower = np.interp(-1, np.append(below, 0), np.append(log_nu[log_nu < nu], nu))
    upper = np.interp(1, np.append(0, above), np.append(nu, log_nu[log_nu > nu]))
    return float(np.exp(nu)), float(np.exp(nu) * (upper - lower) / 2)


def _profile_amplitude(shapes, power, noise, m, guess):
    """Return the highest ln L (...) over A >= 0 of P = noise + A shape, for (..., n) shapes; Fisher scoring.

    guess: (n,) approximately the expected powers, for the first step.
    """
    floor = 1e-9 * power.mean()
    weight = m / guess**2
    with np.errstate(divide="ignore", invalid="ignore"):  # a shape of zeros has no amplitude
        start = (shapes @ (weight * (power - noise))) / (shapes**2 @ weight)
    amplitude = np.fmax(start, floor)
    for _ in range(6):
        inverse = 1 / np.maximum(noise + amplitude[..., None] * shapes, floor)
        slope = shapes * inverse
        move = (((power * inverse - 1) * slope) @ m) / np.maximum(slope**2 @ m, 1e-300)
        amplitude = np.clip(amplitude + move, np.maximum(amplitude / 5, floor), amplitude * 5)
    model = np.maximum(noise + amplitude[..., None] * shapes, floor)
    return -((power / model + np.log(model)) @ m)


def _vertex(values):
    """Return place (in steps) and height of the parabola through the highest point of the last axis."""
    k = np.clip(values.argmax(-1), 1, values.shape[-1] - 2)
    a, b, c = (np.take_along_axis(values, (k + d)[..., None], -1)[..., 0] for d in (-1, 0, 1))
    slope, curvature = (c - a) / 2, np.minimum(a - 2 * b + c, -1e-12)
    shift = np.clip(-slope / curvature, -1, 1)
    return k + shift, b + shift * (slope + shift * curvature / 2)


@lru_cache(maxsize=4)
def _simulations(m, n):
    """Simulate spectra (n, len(m)) of a continuum alone, as deviations of variance one.

    They depend only on m (as bytes, for the cache), and would take a third of the time. Single precision
    makes their product with the peaks twice as fast; its error of 1e-6 is negligible.
    """
    m = np.frombuffer(m)
    simulated = np.random.default_rng(0).standard_gamma(m, (n, len(m)))
    return ((simulated / m - 1) * np.sqrt(m)).astype(np.float32)


@lru_cache(maxsize=4)
def _grid(low, high, lowest, highest):
    """Return the Lorentzians, which depend on bins and search only: broad, narrow, their ν₀ and Q.

    The limits of the bins are bytes, for the cache: thousands of spectra share one grid, and its
    arctangents would take a quarter of the time of each.
    """
    low, high = np.frombuffer(low), np.frombuffer(high)
    hwhm = np.geomspace(max(low[0], high[0] - low[0]) / 4, high[-1] * 2, 16)
    broad = np.concatenate(
        [_lorentzian(low, high, 0 * hwhm, hwhm), _lorentzian(low, high, hwhm, hwhm)]
    )
    # The search has steps of half a full width
    sizes = [int(np.ceil(np.log(highest / lowest) * 2 * q)) + 1 for q in _SCAN_Q]
    centroid = np.concatenate([np.geomspace(lowest, highest, n) for n in sizes])
    q = np.repeat(_SCAN_Q, sizes)
    return broad, _lorentzian(low, high, centroid, centroid / (2 * q)), centroid, q


def _lorentzian(low, high, centroid, hwhm):
    """Return means (k, n) over n bins of k Lorentzians, with integral 1 over positive frequencies."""
    centroid, hwhm = np.asarray(centroid)[..., None], np.asarray(hwhm)[..., None]
    norm = np.pi / 2 + np.arctan(centroid / hwhm)
    inside = np.arctan((high - centroid) / hwhm) - np.arctan((low - centroid) / hwhm)
    return inside / (norm * (high - low))


def _log_likelihood(power, model, m):
    return -np.sum(m * (power / model + np.log(model)))


def _fit_weights(components, power, noise, m):
    """Return weights >= 0 of the components at maximum likelihood, the model, and its log likelihood.

    Fisher scoring: each step is a weighted least-squares problem with weights >= 0; steps that
    would lower the likelihood are halved.
    """
    # Start with equal power in every component, and the right total
    excess = np.clip(power - noise, 0, None).mean() + 1e-6 * power.mean()
    weights = np.full(len(components), excess / components.mean(1).sum())
    model = noise + weights @ components
    log_l = _log_likelihood(power, model, m)
    for _ in range(50):
        scale = np.sqrt(m) / model
        columns = (components * scale).T
        length = np.sqrt((columns**2).sum(0))
        target = nnls(columns / length, (power - noise) * scale)[0] / length
        step = 1.0
        while step > 1e-4:
            trial = weights + step * (target - weights)
            trial_model = noise + trial @ components
            trial_log_l = (
                _log_likelihood(power, trial_model, m) if trial_model.min() > 0 else -np.inf
            )
            if trial_log_l > log_l:
                break
            step /= 2
        else:
            break
        gain = trial_log_l - log_l
        weights, model, log_l = trial, trial_model, trial_log_l
        if gain < 1e-4:
            break
    return weights, model, log_l


def _refine(low, high, broad, power, noise, m, start, search):
    """Maximise the likelihood of continuum and peak from a start; return the peak's parameters and errors.

    This is Fisher scoring as in `_fit_weights`, with the two derivatives with respect to the peak's
    shape as further columns, each with both signs, because weights are 0 or more.
    """
    lowest, highest = np.log([(search[0], _LOWEST_Q), (search[1], _HIGHEST_Q)])

    def peak_at(shape):
        centroid, q = np.exp(np.moveaxis(shape, -1, 0))
        return _lorentzian(low, high, centroid, centroid / q / 2)

    def by_shape(shape):
        h = 1e-5
        steps = h * np.eye(2)
        ahead, behind = peak_at(np.stack([shape + steps, shape - steps]))
        return (ahead - behind) / (2 * h)

    shape = np.log(start)
    components = np.concatenate([broad, peak_at(shape)[None]])
    weights, model, log_l = _fit_weights(components, power, noise, m)
    if weights[-1] <= 0:
        return None, log_l
    n = len(components)
    for _ in range(50):
        scale = np.sqrt(m) / model
        slopes = weights[-1] * by_shape(shape)
        columns = (np.concatenate([components, slopes, -slopes]) * scale).T
        length = np.sqrt((columns**2).sum(0))
        solution = nnls(columns / length, (power - noise) * scale)[0] / length
        move = np.clip(solution[n : n + 2] - solution[n + 2 :], -0.3, 0.3)
        step, gain = 1.0, 0.0
        while step > 1e-4:
            trial = weights + step * (solution[:n] - weights)
            trial_shape = np.clip(shape + step * move, lowest, highest)
            trial_peak = peak_at(trial_shape)
            trial_model = noise + trial[:-1] @ broad + trial[-1] * trial_peak
            if trial[-1] > 0 and trial_model.min() > 0:
                gain = _log_likelihood(power, trial_model, m) - log_l
                if gain > 0:
                    break
            step /= 2
        else:
            break
        weights, shape, model, log_l = trial, trial_shape, trial_model, log_l + gain
        components = np.concatenate([broad, trial_peak[None]])
        if gain < 1e-5:
            break

    active = np.append(weights[:-1] > 1e-6 * weights.sum(), True)
    derivatives = np.concatenate([components[active], by_shape(shape) * weights[-1]])
    derivatives = derivatives * np.sqrt(m) / model
    length = np.sqrt((derivatives**2).sum(-1))
    derivatives = derivatives / length[:, None]
    covariance = np.linalg.pinv(derivatives @ derivatives.T, rcond=1e-12, hermitian=True)
    variance_err, *log_err = (np.sqrt(np.diag(covariance)) / length)[-3:]
    rms, (centroid, q) = np.sqrt(weights[-1]), np.exp(shape)
    errors = centroid * log_err[0], q * log_err[1], variance_err / (2 * rms)
    return (centroid, errors[0], q, errors[1], rms, errors[2]), log_l
