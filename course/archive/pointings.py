"""Simulate pointings: spectra and light curves with noise, and then their measurement by an observer.

This module represents the telescope: it folds the spectrum with a real response, draws photons and
adds background. `course.archive.observer` represents the astronomer, who has counts and a background
estimate, but never the truth. Dead time, pile-up, lines and reflection are not simulated. The photon
noise of the spectrum and that of the light curve are drawn independently.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import torch

from course.archive.observer import BIN, Instrument, spectral_features, timing_features
from course.archive.sources import photon_flux, power_spectrum
from helpers.light_curves import averaged_periodogram, log_bin
from helpers.spectra import blackbody

__all__ = ["SEGMENT", "SEGMENT_BIN", "Exposed", "expose", "light_curves", "observe", "shift"]

#: Length of light-curve segments and width of their bins, s.
SEGMENT, SEGMENT_BIN = 128.0, 0.25


def observe(
    truth: pd.DataFrame, instrument: Instrument, generator: np.random.Generator
) -> tuple[pd.DataFrame, list[dict]]:
    """Observe pointings of one source and measure the columns of the archive.

    `truth` holds (n,) rows of `draw_pointings`, all of one source, with `exposure` [s, a multiple
    of 256], `n_det`, `gain` (true over nominal energy), `n_h_literature` [1e22/cm^2], `outlier`
    ("", "slew", "burst" or "flare") and `segments`, the number of overlapping segments of the
    light curve to keep. Returns (n,) rows of features with the columns of the archive, and one dict
    per segment with `row`, `start` [s], `counts`, and the log-binned `power` with its `noise`.
    """
    spectra = expose(truth, instrument, generator)
    features = spectral_features(
        instrument,
        spectra.counts,
        spectra.background,
        truth.exposure,
        spectra.area,
        float(truth.n_h_literature.iloc[0]),
    ).set_index(truth.index)
    rows, segments = {}, []
    # Sorted by exposure, because the QPO search caches its simulations for spectra of one length.
    for row in np.argsort(truth.exposure.to_numpy(), kind="stable"):
        low, high = light_curves(truth.iloc[[row]], spectra, row, generator)
        background = spectra.series_background[row]
        rows[row] = timing_features(instrument, low, high, background)
        pieces = _segments(low + high, background.sum(), int(truth.segments.iloc[row]))
        segments += [{"row": truth.index[row], **segment} for segment in pieces]
    timing = pd.DataFrame([rows[row] for row in range(len(truth))], index=features.index)
    return pd.concat([features, timing], axis=1), segments


# --- the telescope --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Exposed:
    """Spectra of n pointings, and expected rates [1/s] of their two light curves."""

    counts: np.ndarray  # (n, n_channels)
    background: np.ndarray  # (n, n_channels) expected counts, as the observer estimates them
    area: np.ndarray  # (n,) in units of the response
    series_rate: np.ndarray  # (n, 2) source
    series_constant: np.ndarray  # (n, 2) constant share of it: disc and boundary layer
    series_burst: np.ndarray  # (n, 2) mean rate of the burst
    series_true_background: np.ndarray  # (n, 2)
    series_background: np.ndarray  # (n, 2) as estimated


def expose(truth, instrument, generator):
    """Simulate spectra of pointings for `observe`, and the expected rates of their light curves."""
    response = instrument.matrix
    lo, hi = instrument.channels
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
        # A decay of 15 s, limited by the exposure
        mean = peak * 15 / exposure[bursting]
        burst[bursting] = shape / shape.sum() * mean[:, None]

    gain = truth.gain.to_numpy()
    rates = np.stack([shift(component, lo, hi, gain) for component in rates])
    background = instrument.background((lo + hi) / 2) * (hi - lo) * area[:, None]
    estimate = background * (
        1 + instrument.background_error * generator.standard_normal((len(truth), 1))
    )
    flare = np.where(truth.outlier == "flare", generator.uniform(3, 8, len(truth)), 0.0)[:, None]
    source = rates.sum(0) * np.where(truth.outlier == "slew", 0.7, 1.0)[:, None]
    expected = (source + burst + background * (1 + flare)) * exposure[:, None]
    counts = generator.poisson(expected).astype(float)

    low = instrument.inside((instrument.fit_band[0], instrument.split))
    high = instrument.inside((instrument.split, instrument.fit_band[1]))

    def series(values):
        return np.stack([values[..., low].sum(-1), values[..., high].sum(-1)], axis=-1)

    total = series(rates.sum(0))
    return Exposed(
        counts=counts,
        background=estimate * exposure[:, None],
        area=area,
        series_rate=total,
        series_constant=series(rates[:2].sum(0)) / total,
        series_burst=series(burst),
        series_true_background=series(background * (1 + flare)),
        series_background=series(estimate),
    )


def shift(rates, lo, hi, gain):
    """Return rates of channels whose true energies are `gain` times their nominal energies."""
    shifted = np.empty_like(rates)
    for row, factor in enumerate(gain):
        total = np.concatenate([[0.0], np.cumsum(rates[row])])
        edges = np.append(lo, hi[-1])
        shifted[row] = np.diff(np.interp(edges * factor, edges, total))
    return shifted


def light_curves(truth, spectra, row, generator):
    """Draw counts in bins of 1/128 s of one pointing (a row of `expose`) in two bands.

    The bands are below and above the instrument's `split` energy.
    """
    exposure = float(truth.exposure.iloc[0])
    n = round(exposure / BIN)
    frequency, cycles = _grid(n)
    scale = (power_spectrum(frequency, truth)[0].numpy() / (4 * exposure)) ** 0.5
    common, own = generator.standard_normal((2, n // 2, 2)).view(complex)[..., 0]
    common *= scale
    own *= scale
    coherence = float(truth.coherence.iloc[0])
    # Hard photons are later by delay * (f / Hz)^-0.7.
    late = math.sqrt(coherence) * common + math.sqrt(1 - coherence) * own
    late *= np.exp(-2j * np.pi * float(truth.delay.iloc[0]) * cycles)
    time = np.arange(n) * BIN
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
        series.append(generator.poisson(rate * BIN))
    return series


@cache
def _grid(n):
    """Return Fourier frequencies f of n bins, and f^0.3."""
    frequency = torch.arange(1, n // 2 + 1, dtype=torch.float64) / (n * BIN)
    return frequency, frequency.numpy() ** 0.3


def _disturbance(outlier, time, generator):
    """Return the visible share of the source, and the time profile (mean 1) of a burst or flare."""
    n, length = len(time), len(time) * BIN
    if outlier == "slew":  # the collimator reaches the source some time after the start
        return np.clip(time / (0.6 * length), 0, 1), np.ones(n)
    start = generator.uniform(0.1, 0.6) * length
    if outlier == "burst":
        extra = np.where(time >= start, np.exp(-(time - start) / 15), 0.0)
    elif outlier == "flare":
        extra = 0.2 + np.exp(-0.5 * ((time - start) / (0.08 * length)) ** 2)
    else:
        return 1.0, 0.0
    return 1.0, extra / extra.mean()


def _segments(counts, background, number):
    """Return segments of the light curve that overlap by half, each with its power spectrum."""
    length = round(SEGMENT / BIN)
    pieces = []
    for k in range(number):
        piece = counts[k * length // 2 : k * length // 2 + length]
        rate = piece.mean() / BIN
        net = max(rate - background, 1e-3 * rate)
        frequency, power = averaged_periodogram(
            torch.from_numpy(piece.astype(float)), BIN, SEGMENT, "fractional",
            np.ones(len(piece), dtype=bool),
        )  # fmt: skip
        frequency, power, n_averaged = log_bin(frequency, power, 0.1)
        pieces.append(
            {
                "start": k * SEGMENT / 2,
                "counts": piece.reshape(-1, round(SEGMENT_BIN / BIN)).sum(1),
                "frequency": frequency.numpy(),
                "n_averaged": n_averaged.numpy(),
                "power": power.numpy() * (rate / net) ** 2,
                "noise": 2 / rate * (rate / net) ** 2,
            }
        )
    return pieces
