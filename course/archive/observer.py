"""Measure spectral and timing features of one pointing as an observer does, with errors and gaps.

The counts can be real or simulated: nothing in this file uses a truth. `course.archive.pointings`
simulates the counts that it measures.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import pandas as pd
import torch

from course.archive import tables
from course.archive.fits import fit_spectra
from course.archive.measurements import (
    POWER_COLOUR_BANDS,
    band_rms,
    band_variance,
    power_colours,
)
from course.archive.qpos import break_frequency, fit_qpo
from helpers.data import load_response
from helpers.features import HUE_CENTRE, hue, lags, light_curve_features
from helpers.light_curves import averaged_periodogram, log_bin
from helpers.spectra import absorption, power_law

__all__ = [
    "BIN",
    "INSTRUMENTS",
    "TIMING_SEGMENT",
    "Instrument",
    "spectral_features",
    "timing_features",
]

#: Width of the bins of light curves, s: the Nyquist frequency is 64 Hz.
BIN = 1 / 128
#: Length of the segments whose periodograms are averaged, s, as the lowest power-colour band needs.
TIMING_SEGMENT = 256.0

# Columns of the power-colour bands
_BAND_RMS = ("rms_0p004_0p03", "rms_0p03_0p25", "rms_0p25_2", "rms_2_16")
_LAG_BANDS = ((0.1, 1.0), (1.0, 10.0), (0.1, 10.0))
# Larger errors mean that nothing was measured: rad, coherence, degrees.
_PHASE_KNOWN, _COHERENCE_KNOWN, _HUE_KNOWN = 0.25, 0.2, 8.0


@dataclass(frozen=True, eq=False)
class Instrument:
    """Settings of an observer for one X-ray telescope.

    Attributes:
        name: "rxte" or "nicer".
        response: the name of its response in data/.
        detectors: number of detectors that the response describes.
        fit_band: keV, for rate, spectral fit and timing.
        split: keV; one light curve is below it, one above.
        common: 0 or 1, the number of the light curve that covers 3-10 keV.
        colours: {column: (bands of numerator and denominator, keV)}.
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

    @cached_property
    def matrix(self):
        """Return the response in double precision."""
        return load_response(self.response).to(dtype=torch.float64)

    @property
    def channels(self):
        """Return lower and upper energies (n_channels,) of the channels, keV."""
        return self.matrix.channel_lo.numpy(), self.matrix.channel_hi.numpy()

    def inside(self, band):
        """Return a mask (n_channels,) of the channels whose middle lies inside a band, keV."""
        lo, hi = self.channels
        middle = (lo + hi) / 2
        return (middle >= band[0]) & (middle < band[1])


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


def spectral_features(
    instrument: Instrument, counts, background, exposure, area, n_h: float
) -> pd.DataFrame:
    """Measure rate, colours and the fit of a disc and a power law, with the columns of the archive.

    It assumes no pile-up and no dead time; the background is an estimate with the instrument's relative
    error. data/columns.csv lists columns, units and reasons for missing values.

    Args:
        instrument: one of `INSTRUMENTS`.
        counts: (n, n_channels) counts of n pointings at one source, background included.
        background: (n, n_channels) expected counts of the background.
        exposure: (n,) s.
        area: (n,) number of detectors that are on, divided by the number that the response describes.
        n_h: column density in front of the source, 1e22/cm^2.

    Returns:
        Table of (n,) rows with the columns `rate` to `red_chi2`.

    Raises:
        ValueError: if shapes do not fit, or a number is negative or not finite; it names the place.

    Example:
        >>> from helpers.data import load_spectrum
        >>> spectrum = load_spectrum("nicer_maxi_j1820")  # real: all but two of its detectors
        >>> counts, exposure = np.asarray(spectrum.counts)[None], [spectrum.exposure]
        >>> features = spectral_features(
        ...     INSTRUMENTS["nicer"], counts, 0 * counts, exposure, [50 / 52], n_h=0.15
        ... )
        >>> features[["hr_3_10", "gamma"]].round(1)
           hr_3_10  gamma
        0      1.2    1.8
    """
    counts, background, exposure, area = (
        np.asarray(x, dtype=float) for x in (counts, background, exposure, area)
    )
    if not (area > 0).all():
        raise ValueError(f"area is {area.min():g} somewhere, and must be above zero.")
    fit = fit_spectra(
        counts,
        background,
        exposure * area,
        instrument.matrix,
        n_h,
        instrument.fit_band,
        systematic=instrument.systematic,
    )
    band = instrument.inside(instrument.fit_band)
    total, below = counts[:, band].sum(1), background[:, band].sum(1)
    # The error of the background estimate is larger than that of its counts.
    sigma = np.sqrt(total + (instrument.background_error * below) ** 2)
    features = {
        "rate": (total - below) / exposure,
        "rate_err": sigma / exposure,
        "bkg_frac": below / np.maximum(total, 1),
        "log_flux_2_10": fit.log_flux_2_10,
    }
    for name in ("hr_soft", "hr_hard", "hr_low", "hr_3_10"):
        ratio = error = np.full(len(counts), np.nan)
        if name in instrument.colours:
            ratio, error = _colour(instrument, counts, background, *instrument.colours[name])
        features |= {name: ratio, f"{name}_err": error}
    for name in ("gamma", "kt_in", "disc_frac", "red_chi2"):
        features[name] = getattr(fit, name)
    return pd.DataFrame(features)


def timing_features(instrument: Instrument, low, high, background) -> dict:
    """Measure timing features from two light curves of a pointing: rms, power colours, QPO, lags, shape.

    `low` and `high` are (n_bins,) counts in bins of `BIN` at the same times, in a multiple of 256 s,
    below and above the instrument's `split` energy; `background` (2,) is its expected rate in both,
    1/s. Returns {column: value} with the columns of the archive, NaN if nothing could be measured.
    """
    common = instrument.common
    names = tables.columns("observations")
    names = names[names.index("rms_0p1_64") : names.index("coherence") + 1]
    columns = dict.fromkeys(names, np.nan)
    columns["qpo_det"] = False
    total = low + high
    m = round(len(total) * BIN / TIMING_SEGMENT)
    frequency, power, noise = _source_power(total, background.sum())
    if noise is not None:
        columns["rms_0p1_64"] = band_rms(frequency, power, (0.1, 64), noise=noise, m=m)[0]
        columns["rms_hf"] = band_rms(frequency, power, (16, 64), noise=noise, m=m)[0]
        slow = frequency <= 16.1  # enough for the bands of the power colours
        colour_spectrum = frequency[slow], power[slow]
        seen = {}
        for name, band in zip(_BAND_RMS, POWER_COLOUR_BANDS, strict=True):
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
        binned = {"noise": noise, "m": m * number.astype(float)}
        columns["nu_break"] = break_frequency(f, p, **binned)[0]
        width = number / TIMING_SEGMENT
        qpo = fit_qpo(f, p, **binned, width=width, search=(0.1, 50.0), n_simulations=150)
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

    coarse = [s.reshape(-1, 4).sum(1) for s in series]
    if min(s.reshape(-1, 64 * 32).sum(1).min() for s in coarse) > 0:
        lag = lags(*coarse, 1 / 32, 64.0, _LAG_BANDS, np.ones(len(coarse[0]), dtype=bool))
        known = lag.phase_lag_err < _PHASE_KNOWN
        columns["lag_0p1_1"], columns["lag_1_10"] = np.where(known, lag.time_lag, np.nan)[:2]
        if lag.coherence_err[2] < _COHERENCE_KNOWN:
            columns["coherence"] = lag.coherence[2]

    counts = total.reshape(-1, 128).sum(1).astype(float)
    error = np.sqrt(np.where(counts > 0, counts, max(counts.mean(), 1.0)))
    shape = light_curve_features(np.arange(len(counts)) + 0.5, counts - background.sum(), error)
    return columns | {name: float(value) for name, value in shape.items()}


def _colour(instrument, counts, background, above, below):
    """Return the ratio of net counts in two bands in units of the Crab's, and its error; NaN below 3 sigma."""
    net, variance = [], []
    for band in (above, below):
        inside = instrument.inside(band)
        total, noise = counts[:, inside].sum(1), background[:, inside].sum(1)
        crab = _crab(instrument)[inside].sum()
        net.append((total - noise) / crab)
        variance.append((total + (instrument.background_error * noise) ** 2) / crab**2)
    net, sigma = np.array(net), np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen = (net > 3 * sigma).all(0)
        ratio = np.where(seen, net[0] / net[1], np.nan)
        error = ratio * np.hypot(*(sigma / net))
    return ratio, error


@cache
def _crab(instrument):
    """Return counts/s (n_channels,) of the Crab nebula, a power law of index 2.1 behind 0.36e22 atoms/cm^2."""
    own = instrument.matrix
    lo, hi = own.energy_lo, own.energy_hi
    return own.fold(power_law(lo, hi, 2.1, 9.7) * absorption(lo, hi, 0.36)).numpy()


def _hue_error(colours):
    """Return one standard deviation of the hue, degrees: linear, for independent colours."""
    x, y = (
        np.log(colour / centre)
        for colour, centre in zip((colours.pc1, colours.pc2), HUE_CENTRE, strict=True)
    )
    errors = y * colours.pc1_err / colours.pc1, x * colours.pc2_err / colours.pc2
    return float(np.degrees(np.hypot(*errors) / (x**2 + y**2)))


def _source_power(counts, background):
    """Return frequencies, power, (rms/mean of the source)^2/Hz, and its noise; None if too faint."""
    rate = counts.mean() / BIN
    net = rate - background
    if net * BIN * len(counts) < 5 * math.sqrt(max(counts.sum(), 1)):
        return None, None, None
    frequency, power = averaged_periodogram(
        torch.from_numpy(counts.astype(float)), BIN, TIMING_SEGMENT, "fractional",
        np.ones(len(counts), dtype=bool),
    )  # fmt: skip
    source = (rate / net) ** 2
    return frequency.numpy(), power.numpy() * source, 2 / rate * source
