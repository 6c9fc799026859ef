"""What an observer makes of one pointing: spectra and light curves with their noise, then features.

The first half plays the telescope: it folds the spectrum through a real response, draws photons and
adds background. The second half plays the astronomer, who sees counts and a background estimate
and never the truth. Not simulated: dead time, pile-up, lines and reflection, and the dependence of
the photon noise of the spectrum on that of the light curve, which are drawn apart.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
import torch

from helpers.data import load_response
from helpers.features import (
    HUE_CENTRE,
    POWER_COLOUR_BANDS,
    band_rms,
    band_variance,
    hue,
    lags,
    light_curve_features,
    power_colours,
)
from helpers.qpos import break_frequency, fit_qpo
from helpers.simulators.light_curves import averaged_periodogram, log_bin
from helpers.simulators.sources import photon_flux, power_spectrum
from helpers.spectra import absorption, blackbody, power_law
from helpers.spectral_fit import fit_spectra

__all__ = [
    "INSTRUMENTS",
    "SEGMENT",
    "SEGMENT_BIN",
    "Instrument",
    "observe",
]

#: Length of the light-curve segments and width of their bins, s.
SEGMENT, SEGMENT_BIN = 128.0, 0.25

# The columns of the bands of the power colours
_BANDS = dict(
    zip(
        ("rms_0p004_0p03", "rms_0p03_0p25", "rms_0p25_2", "rms_2_16"),
        POWER_COLOUR_BANDS,
        strict=True,
    )
)
_BIN = 1 / 128  # s, so that the Nyquist frequency is 64 Hz
_TIMING_SEGMENT = 256.0  # s, for the lowest band of the power colours
_N_BINS = round(_TIMING_SEGMENT / _BIN)
_LAG_BANDS = ((0.1, 1.0), (1.0, 10.0), (0.1, 10.0))
# Errors above these say that there was nothing to measure: rad, coherence itself, degrees.
_PHASE_KNOWN, _COHERENCE_KNOWN, _HUE_KNOWN = 0.25, 0.2, 8.0


@dataclass(frozen=True)
class Instrument:
    """One X-ray telescope as an observer uses it.

    Attributes:
        name: "rxte" or "nicer".
        response: the name of its response in data/.
        detectors: how many detectors that response stands for.
        fit_band: keV, for rate, spectral fit and timing.
        split: keV; the light curve is taken below and above it.
        common: 0 or 1, which of the two light curves covers 3-10 keV.
        colours: {column: (bands above and below the line, keV)}.
        background: expected background, counts/s/keV, of all `detectors` at an energy in keV.
        background_error: relative error of the observer's estimate of it.
        systematic: relative error of the response that the spectral fit allows for.
    """

    name: str
    response: str
    detectors: int
    fit_band: tuple[float, float]
    split: float
    common: int
    colours: dict
    background: Callable = field(repr=False)
    background_error: float
    systematic: float


#: The two instruments of the archive.
INSTRUMENTS = {
    "rxte": Instrument(
        name="rxte",
        response="rxte_pca",
        detectors=1,
        fit_band=(3.0, 25.0),
        split=10.0,
        common=0,
        colours={
            "hr_soft": ((6, 10), (3, 6)),
            "hr_hard": ((10, 20), (6, 10)),
            "hr_3_10": ((6, 10), (3, 6)),
        },
        background=lambda energy: 0.6 * (energy / 8) ** -0.25,
        background_error=0.02,
        systematic=0.005,
    ),
    "nicer": Instrument(
        name="nicer",
        response="nicer",
        detectors=52,
        fit_band=(0.5, 10.0),
        split=3.0,
        common=1,
        colours={
            "hr_soft": ((2, 4), (0.5, 2)),
            "hr_hard": ((4, 10), (2, 4)),
            "hr_low": ((1, 2), (0.5, 1)),
            "hr_3_10": ((6, 10), (3, 6)),
        },
        background=lambda energy: 0.3 * energy**-1.5 + 0.05,
        background_error=0.15,
        systematic=0.01,
    ),
}


def observe(
    truth: pd.DataFrame, instrument: Instrument, generator: np.random.Generator
) -> tuple[pd.DataFrame, list[dict]]:
    """Observe pointings of one source and measure what the archive lists.

    Args:
        truth: (n,) rows of `draw_pointings`, all of one source, with `exposure` [s, a multiple of
            256], `n_det`, `gain` (true over nominal energy), `n_h_literature` [1e22/cm^2],
            `outlier` ("", "slew", "burst" or "flare") and `segments`, how many overlapping
            segments of the light curve to keep.
        instrument: one of `INSTRUMENTS`.
        generator: numpy random generator.

    Returns:
        (n,) rows of features, in the order of the archive; and one dict per segment with `row`,
        `start` [s], `counts`, and the log-binned `power` with its `noise`.

    Raises:
        ValueError: if a column is missing, NaN or out of range; it names it.
    """
    _check_truth(truth)
    spectra = _expose(truth, instrument, generator)
    features = _spectral_features(truth, instrument, spectra)
    rows, segments = {}, []
    # By exposure, because the QPO search remembers its simulations for spectra of one length.
    for row in np.argsort(truth.exposure.to_numpy(), kind="stable"):
        low, high = _light_curves(truth.iloc[[row]], spectra, row, generator)
        background = spectra.series_background[row]
        rows[row] = _timing_features(low, high, background, instrument.common)
        pieces = _segments(low + high, background.sum(), int(truth.segments.iloc[row]))
        segments += [{"row": row, **segment} for segment in pieces]
    timing = pd.DataFrame([rows[row] for row in range(len(truth))], index=features.index)
    return pd.concat([features, timing], axis=1), segments


# --- the telescope --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Exposed:
    """Spectra of n pointings, and the expected rates [1/s] of their two light curves."""

    counts: np.ndarray  # (n, n_channels)
    background: np.ndarray  # (n, n_channels) expected counts, as the observer estimates them
    area: np.ndarray  # (n,) in units of the response
    series_rate: np.ndarray  # (n, 2) source
    series_constant: np.ndarray  # (n, 2) share of it that does not vary: disc and boundary layer
    series_burst: np.ndarray  # (n, 2) mean rate of the burst
    series_true_background: np.ndarray  # (n, 2)
    series_background: np.ndarray  # (n, 2) as estimated


@cache
def _response(name):
    return load_response(name).to(dtype=torch.float64)


def _channels(instrument):
    response = _response(instrument.response)
    return response.channel_lo.numpy(), response.channel_hi.numpy()


def _in_band(instrument, band):
    """(n_channels,) which channels have their middle inside a band in keV."""
    lo, hi = _channels(instrument)
    middle = (lo + hi) / 2
    return (middle >= band[0]) & (middle < band[1])


def _expose(truth, instrument, generator):
    response = _response(instrument.response)
    lo, hi = _channels(instrument)
    exposure = truth.exposure.to_numpy()
    area = truth.n_det.to_numpy() / instrument.detectors
    flux = photon_flux(response.energy_lo, response.energy_hi, truth)
    rates = response.fold(flux).numpy() * area[:, None]  # (3, n, n_channels)

    burst = np.zeros_like(rates[0])
    bursting = np.flatnonzero(truth.outlier == "burst")
    if len(bursting):
        hot = blackbody(response.energy_lo, response.energy_hi, 2.0, 1.0)
        shape = response.fold(hot).numpy()
        peak = generator.uniform(5, 15, len(bursting)) * rates[:, bursting].sum((0, 2))
        # A decay of 15 s, as long as the exposure lasts
        mean = peak * 15 / exposure[bursting]
        burst[bursting] = shape / shape.sum() * mean[:, None]

    gain = truth.gain.to_numpy()
    rates = np.stack([_shift(component, lo, hi, gain) for component in rates])
    background = instrument.background((lo + hi) / 2) * (hi - lo) * area[:, None]
    estimate = background * (
        1 + instrument.background_error * generator.standard_normal((len(truth), 1))
    )
    flare = np.where(truth.outlier == "flare", generator.uniform(3, 8, len(truth)), 0.0)[:, None]
    source = rates.sum(0) * np.where(truth.outlier == "slew", 0.7, 1.0)[:, None]
    expected = (source + burst + background * (1 + flare)) * exposure[:, None]
    counts = generator.poisson(expected).astype(float)

    low = _in_band(instrument, (instrument.fit_band[0], instrument.split))
    high = _in_band(instrument, (instrument.split, instrument.fit_band[1]))

    def series(values):
        return np.stack([values[..., low].sum(-1), values[..., high].sum(-1)], axis=-1)

    total = series(rates.sum(0))
    return _Exposed(
        counts=counts,
        background=estimate * exposure[:, None],
        area=area,
        series_rate=total,
        series_constant=series(rates[:2].sum(0)) / total,
        series_burst=series(burst),
        series_true_background=series(background * (1 + flare)),
        series_background=series(estimate),
    )


def _shift(rates, lo, hi, gain):
    """Rates of channels whose true energies are `gain` times what their names say."""
    shifted = np.empty_like(rates)
    for row, factor in enumerate(gain):
        total = np.concatenate([[0.0], np.cumsum(rates[row])])
        edges = np.append(lo, hi[-1])
        shifted[row] = np.diff(np.interp(edges * factor, edges, total))
    return shifted


def _light_curves(truth, spectra, row, generator):
    """Counts in bins of 1/128 s below and above the energy where the instrument is split."""
    exposure = float(truth.exposure.iloc[0])
    n = round(exposure / _BIN)
    frequency, cycles = _grid(n)
    scale = (power_spectrum(frequency, truth)[0].numpy() / (4 * exposure)) ** 0.5
    common, own = generator.standard_normal((2, n // 2, 2)).view(complex)[..., 0]
    common *= scale
    own *= scale
    coherence = float(truth.coherence.iloc[0])
    # Hard photons come later by delay * (f / Hz)^-0.7.
    late = math.sqrt(coherence) * common + math.sqrt(1 - coherence) * own
    late *= np.exp(-2j * np.pi * float(truth.delay.iloc[0]) * cycles)
    time = np.arange(n) * _BIN
    view, extra = _disturbance(truth.outlier.iloc[0], time, generator)
    series = []
    for k, amplitudes in enumerate((common, late)):
        amplitudes[-1] = amplitudes[-1].real * math.sqrt(2)
        x = np.fft.irfft(np.append(0, amplitudes), n, norm="forward")
        x *= 1 - spectra.series_constant[row, k]
        rate = spectra.series_rate[row, k] * np.clip(1 + x, 0, None) * view
        rate += spectra.series_burst[row, k] * extra
        background = spectra.series_true_background[row, k]
        rate += background * (extra if truth.outlier.iloc[0] == "flare" else 1.0)
        series.append(generator.poisson(rate * _BIN))
    return series


@cache
def _grid(n):
    """Fourier frequencies f of n bins, and f^0.3."""
    frequency = torch.arange(1, n // 2 + 1, dtype=torch.float64) / (n * _BIN)
    return frequency, frequency.numpy() ** 0.3


def _disturbance(outlier, time, generator):
    """How much of the source is in view, and the course in time, of mean 1, of what is added."""
    n, length = len(time), len(time) * _BIN
    if outlier == "slew":  # the collimator reaches the source only some time after the start
        return np.clip(time / (0.6 * length), 0, 1), np.ones(n)
    start = generator.uniform(0.1, 0.6) * length
    if outlier == "burst":
        extra = np.where(time >= start, np.exp(-(time - start) / 15), 0.0)
    elif outlier == "flare":
        extra = 0.2 + np.exp(-0.5 * ((time - start) / (0.08 * length)) ** 2)
    else:
        return 1.0, 0.0
    return 1.0, extra / extra.mean()


# --- the astronomer -------------------------------------------------------------------------------


def _spectral_features(truth, instrument, spectra):
    """Rates, colours and the spectral fit."""
    exposure = truth.exposure.to_numpy()
    band = _in_band(instrument, instrument.fit_band)
    total = spectra.counts[:, band].sum(1)
    background = spectra.background[:, band].sum(1)
    # The estimate of the background is uncertain by more than its counts.
    sigma = np.sqrt(total + (instrument.background_error * background) ** 2)
    features = {
        "rate": (total - background) / exposure,
        "rate_err": sigma / exposure,
        "bkg_frac": background / np.maximum(total, 1),
    }
    fit = fit_spectra(
        spectra.counts,
        spectra.background,
        exposure * spectra.area,
        _response(instrument.response),
        float(truth.n_h_literature.iloc[0]),
        instrument.fit_band,
        systematic=instrument.systematic,
    )
    features["log_flux_2_10"] = fit.log_flux_2_10
    for name in ("hr_soft", "hr_hard", "hr_low", "hr_3_10"):
        ratio = error = np.full(len(truth), np.nan)
        if name in instrument.colours:
            ratio, error = _colour(instrument, spectra, *instrument.colours[name])
        features |= {name: ratio, f"{name}_err": error}
    features |= {
        "gamma": fit.gamma,
        "kt_in": fit.kt_in,
        "disc_frac": fit.disc_frac,
        "red_chi2": fit.red_chi2,
    }
    return pd.DataFrame(features, index=truth.index)


def _colour(instrument, spectra, above, below):
    """Ratio of net counts in two bands over that of the Crab, and its error; NaN below 3 sigma."""
    net, variance = [], []
    for band in (above, below):
        inside = _in_band(instrument, band)
        counts = spectra.counts[:, inside].sum(1)
        background = spectra.background[:, inside].sum(1)
        crab = _crab(instrument.response)[inside].sum()
        net.append((counts - background) / crab)
        variance.append((counts + (instrument.background_error * background) ** 2) / crab**2)
    net, sigma = np.array(net), np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = (net > 3 * sigma).all(0)
        ratio = np.where(seen, net[0] / net[1], np.nan)
        error = ratio * np.hypot(*(sigma / net))
    return ratio, error


@cache
def _crab(name):
    """(n_channels,) counts/s of the Crab nebula, a power law of index 2.1 behind 0.36e22 atoms."""
    response = _response(name)
    lo, hi = response.energy_lo, response.energy_hi
    return response.fold(power_law(lo, hi, 2.1, 9.7) * absorption(lo, hi, 0.36)).numpy()


_TIMING_COLUMNS = (
    "rms_0p1_64",
    *_BANDS,
    "rms_hf",
    "rms_3_10",
    "pc1",
    "pc2",
    "hue",
    "nu_break",
    "qpo_det",
    "qpo_freq",
    "qpo_q",
    "qpo_rms",
    "qpo_sig",
    "lag_0p1_1",
    "lag_1_10",
    "coherence",
)


def _timing_features(low, high, background, common):
    """Everything that comes from the two light curves, counts in bins of 1/128 s."""
    columns = dict.fromkeys(_TIMING_COLUMNS, np.nan)
    columns["qpo_det"] = False
    total = low + high
    m = len(total) // _N_BINS
    frequency, power, noise = _source_power(total, background.sum())
    if noise is not None:
        columns["rms_0p1_64"] = band_rms(frequency, power, (0.1, 64), noise=noise, m=m)[0]
        columns["rms_hf"] = band_rms(frequency, power, (16, 64), noise=noise, m=m)[0]
        slow = frequency <= 16.1  # enough for the bands of the power colours
        colour_spectrum = frequency[slow], power[slow]
        seen = {}
        for name, band in _BANDS.items():
            variance, error = band_variance(*colour_spectrum, band, noise=noise, m=m)
            columns[name] = math.sqrt(variance) if variance > 0 else np.nan
            seen[name] = variance > 3 * error
        a, b, c, d = seen.values()
        colours = power_colours(*colour_spectrum, noise=noise, m=m)
        columns["pc1"] = float(colours.pc1) if a and c else np.nan
        columns["pc2"] = float(colours.pc2) if b and d else np.nan
        if _hue_error(colours) < _HUE_KNOWN:
            columns["hue"] = float(hue(columns["pc1"], columns["pc2"]))

        f, p, number = (
            x.numpy() for x in log_bin(torch.from_numpy(frequency), torch.from_numpy(power), 0.03)
        )
        binned = {"noise": noise, "m": m * number, "width": number / _TIMING_SEGMENT}
        columns["nu_break"] = break_frequency(f, p, **binned)[0]
        qpo = fit_qpo(f, p, **binned, search=(0.1, 50.0), n_simulations=150)
        columns |= {
            "qpo_det": qpo.detected,
            "qpo_freq": qpo.frequency,
            "qpo_q": qpo.q,
            "qpo_rms": qpo.rms,
            "qpo_sig": qpo.significance if qpo.detected else np.nan,
        }
    series = (low, high)
    f, p, noise = _source_power(series[common], background[common])
    if noise is not None:
        columns["rms_3_10"] = band_rms(f, p, (0.1, 64), noise=noise, m=m)[0]

    coarse = [s.reshape(-1, 4).sum(1) * 32.0 for s in series]
    if min(s.reshape(-1, 64 * 32).sum(1).min() for s in coarse) > 0:
        lag = lags(*coarse, 1 / 32, _LAG_BANDS, segment=64.0)
        known = lag.phase_lag_err < _PHASE_KNOWN
        columns["lag_0p1_1"], columns["lag_1_10"] = np.where(known, lag.time_lag, np.nan)[:2]
        if lag.coherence_err[2] < _COHERENCE_KNOWN:
            columns["coherence"] = lag.coherence[2]

    counts = total.reshape(-1, 128).sum(1).astype(float)
    error = np.sqrt(np.where(counts > 0, counts, max(counts.mean(), 1.0)))
    shape = light_curve_features(np.arange(len(counts)) + 0.5, counts - background.sum(), error)
    return columns | {name: float(value) for name, value in shape.items()}


def _hue_error(colours):
    """One standard deviation of the hue, degrees: linear, both colours independent."""
    x, y = (
        np.log(colour / centre)
        for colour, centre in zip((colours.pc1, colours.pc2), HUE_CENTRE, strict=True)
    )
    errors = y * colours.pc1_err / colours.pc1, x * colours.pc2_err / colours.pc2
    return float(np.degrees(np.hypot(*errors) / (x**2 + y**2)))


def _source_power(counts, background):
    """Frequencies, power in (rms/mean of the source)^2/Hz and its noise level; None if too faint."""
    rate = counts.mean() / _BIN
    net = rate - background
    if net * _BIN * len(counts) < 5 * math.sqrt(max(counts.sum(), 1)):
        return None, None, None
    frequency, power = averaged_periodogram(
        torch.from_numpy(counts.astype(float)), _BIN, _TIMING_SEGMENT, "fractional"
    )
    source = (rate / net) ** 2
    return frequency.numpy(), power.numpy() * source, 2 / rate * source


def _segments(counts, background, number):
    """Segments of the light curve that overlap by half, each with its power spectrum."""
    length = round(SEGMENT / _BIN)
    pieces = []
    for k in range(number):
        piece = counts[k * length // 2 : k * length // 2 + length]
        rate = piece.mean() / _BIN
        net = max(rate - background, 1e-3 * rate)
        frequency, power = averaged_periodogram(
            torch.from_numpy(piece.astype(float)), _BIN, SEGMENT, "fractional"
        )
        frequency, power, n_averaged = log_bin(frequency, power, 0.1)
        pieces.append(
            {
                "start": k * SEGMENT / 2,
                "counts": piece.reshape(-1, round(SEGMENT_BIN / _BIN)).sum(1),
                "frequency": frequency.numpy(),
                "n_averaged": n_averaged.numpy(),
                "power": power.numpy() * (rate / net) ** 2,
                "noise": 2 / rate * (rate / net) ** 2,
            }
        )
    return pieces


_TRUTH_COLUMNS = (
    "exposure",
    "n_det",
    "gain",
    "n_h_literature",
    "outlier",
    "segments",
    "coherence",
    "delay",
)


def _check_truth(truth):
    missing = [name for name in _TRUTH_COLUMNS if name not in truth]
    if missing:
        raise ValueError(f"truth lacks the columns {', '.join(missing)}: see `observe`.")
    if truth.n_h_literature.nunique() != 1:
        raise ValueError("truth holds several column densities: observe one source at a time.")
    for name in ("exposure", "n_det", "gain"):
        values = truth[name].to_numpy(dtype=float)
        if not (np.isfinite(values) & (values > 0)).all():
            raise ValueError(f"{name} must be above zero and finite, unlike {values.min():g}.")
    if (truth.exposure % _TIMING_SEGMENT != 0).any():
        raise ValueError(f"exposure must be a multiple of {_TIMING_SEGMENT:g} s.")
    unknown = set(truth.outlier) - {"", "slew", "burst", "flare"}
    if unknown:
        raise ValueError(f"outlier must be slew, burst, flare or empty, not {sorted(unknown)}.")
