"""One pointing: the telescope loses nothing, and the astronomer measures what is there."""

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from course.archive.observer import INSTRUMENTS, spectral_features, timing_features
from course.archive.pointings import expose, light_curves, observe, shift
from course.archive.sources import (
    draw_outbursts,
    draw_pointings,
    draw_sources,
    photon_flux,
    power_spectrum,
)
from course.archive.tables import columns
from helpers.spectra import absorption, power_law

RXTE = INSTRUMENTS["rxte"]


@pytest.fixture(scope="module")
def world():
    """Pointings of ten black holes and ten neutron stars, ready to be observed."""
    generator = np.random.default_rng(11)
    sources = draw_sources(generator, 10, 10)
    outbursts = draw_outbursts(sources, "rxte", 40, generator)
    truth = draw_pointings(sources, outbursts, np.full(20, 60), generator)
    return truth.assign(
        exposure=1024.0, n_det=3, gain=1.0, outlier="", segments=0, n_h_literature=truth.n_h
    )


def pick(world, state, kind="BH", luminosity=0.05):
    """The pointing of a state and kind whose luminosity is nearest to a given one."""
    own = world[(world.object == kind) & (world.state == state)]
    return own.loc[[(np.log(own.luminosity / luminosity)).abs().idxmin()]].reset_index(drop=True)


def times(truth, n):
    return pd.concat([truth] * n, ignore_index=True)


def at_flux(truth, scale):
    """The same pointing of a source that is brighter or fainter."""
    names = ["norm_disc", "norm_layer", "norm_corona"]
    return truth.assign(**{name: truth[name] * scale for name in names})


def test_observe_returns_the_columns_of_the_archive(world):
    for name, instrument in INSTRUMENTS.items():
        truth = pick(world, "HIMS").assign(n_det=3 if name == "rxte" else 52)
        table, _ = observe(truth, instrument, np.random.default_rng(1))
        names = columns("observations")
        assert list(table) == [n for n in names[names.index("rate") :] if n != "lum_edd_est"]


def test_the_features_follow_from_the_photons_alone(world):
    """Nothing that only the truth knows reaches a feature."""
    truth = pick(world, "HIMS")
    hidden = ("state", "object", "softness", "luminosity", "mass", "distance", "nu_c", "qpo_type")
    lie = truth.assign(**{name: "x" if truth[name].dtype == object else -1 for name in hidden})
    lie = lie.assign(state="x", object="x", qpo_type="x")
    first, _ = observe(truth, RXTE, np.random.default_rng(1))
    second, _ = observe(lie, RXTE, np.random.default_rng(1))
    pd.testing.assert_frame_equal(first, second)


def test_the_rate_is_the_folded_flux(world):
    truth = times(pick(world, "LHS"), 40)
    instrument = RXTE
    table, _ = observe_spectra(truth, instrument, 2)
    response = instrument.matrix
    flux = photon_flux(response.energy_lo, response.energy_hi, truth.iloc[[0]]).sum(0)
    band = instrument.inside(instrument.fit_band)
    expected = 3 * float(response.fold(flux)[0].numpy()[band].sum())
    error = np.sqrt((table.rate_err**2).sum()) / len(table)
    assert table.rate.mean() == pytest.approx(expected, abs=4 * error)
    assert table.rate.std() == pytest.approx(table.rate_err.mean(), rel=4 / np.sqrt(2 * 40))


def observe_spectra(truth, instrument, seed):
    """The spectral features alone, which take milliseconds."""
    spectra = expose(truth, instrument, np.random.default_rng(seed))
    counts, background = spectra.counts, spectra.background
    table = spectral_features(
        instrument, counts, background, truth.exposure, spectra.area, truth.n_h_literature.iloc[0]
    )
    return table, spectra


def observe_light_curves(truth, n, seed):
    """The timing features alone of n observations of a pointing."""
    spectra, generator = expose(truth, RXTE, np.random.default_rng(0)), np.random.default_rng(seed)
    background = spectra.series_background[0]
    rows = [
        timing_features(RXTE, *light_curves(truth, spectra, 0, generator), background)
        for _ in range(n)
    ]
    return pd.DataFrame(rows), spectra


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_the_crab_has_the_colours_of_the_crab(name):
    instrument = INSTRUMENTS[name]
    bins = instrument.matrix.energy_lo, instrument.matrix.energy_hi
    crab = instrument.matrix.fold(power_law(*bins, 2.1, 9.7) * absorption(*bins, 0.36))
    counts = 1e4 * crab.numpy()[None]
    table = spectral_features(instrument, counts, 0 * counts, [1e4], [1.0], 0.36)
    for colour in instrument.colours:
        assert table[colour][0] == pytest.approx(1.0)
        assert 0 < table[f"{colour}_err"][0] < 0.01


def test_the_spectral_fit_finds_the_drawn_disc_and_corona(world):
    """Without cut-off and boundary layer the model of the fit is the true one."""
    truth = times(pick(world, "HSS").assign(e_cut=np.nan), 30)
    table, _ = observe_spectra(at_flux(truth, 0.3), RXTE, 3)
    for name in ("gamma", "kt_in"):
        scatter = table[name].std() / np.sqrt(len(table))
        assert table[name].mean() == pytest.approx(truth[name][0], abs=4 * scatter + 0.003)
    # The response is allowed an error of 0.5 per cent that is not there: below 1.
    assert 0.5 < table.red_chi2.mean() < 1.05
    assert table.disc_frac.mean() == pytest.approx(truth.disc_share[0], abs=0.02)


def test_gain_moves_counts_and_loses_none_inside():
    lo, hi = np.arange(20.0), np.arange(1.0, 21.0)
    rates = np.zeros((1, 20))
    rates[0, 10] = 5.0
    np.testing.assert_allclose(shift(rates, lo, hi, np.array([1.0])), rates)
    moved = shift(rates, lo, hi, np.array([1.02]))[0]
    # True energies are higher than the names: a line appears in lower channels.
    assert moved.sum() == pytest.approx(5.0)
    assert moved @ (lo + hi) / 2 < rates[0] @ (lo + hi) / 2
    middle = np.average((lo + hi) / 2, weights=moved)
    assert middle == pytest.approx(10.5 / 1.02, abs=0.02)


def test_the_rms_is_that_of_the_corona_diluted_by_the_disc(world):
    truth = pick(world, "SIMS", luminosity=0.2)
    table, spectra = observe_light_curves(truth, 24, 5)
    f = torch.arange(1, 65 * 256, dtype=torch.float64) / 256
    power = power_spectrum(f, truth)[0].numpy()
    f = f.numpy()
    power[(f < 0.1) | (f > 64)] = 0
    share, rate = spectra.series_constant[0], spectra.series_rate[0]
    assert ((1 - share) * rate).sum() < 0.8 * rate.sum()
    # The two bands add up as waves that are late and not quite coherent.
    low, high = (1 - share) * rate / rate.sum()
    phase = 2 * np.pi * truth.delay[0] * f**0.3
    together = low**2 + high**2 + 2 * low * high * np.sqrt(truth.coherence[0]) * np.cos(phase)
    for column, factor in (("rms_0p1_64", together), ("rms_3_10", (1 - share[0]) ** 2)):
        expected = np.sqrt((power * factor).sum() / 256)
        error = table[column].std() / np.sqrt(len(table))
        assert table[column].mean() == pytest.approx(expected, abs=4 * error)


def test_hard_photons_come_late_by_the_drawn_delay(world):
    truth = at_flux(pick(world, "LHS", luminosity=0.1), 5.0)
    table, _ = observe_light_curves(truth, 24, 6)
    mean, error = table.mean(), 4 * table.std() / np.sqrt(len(table))
    # The lag of a band is that at its mean frequency: between those at its ends.
    for name, ends in (("lag_0p1_1", (1.0, 0.1)), ("lag_1_10", (10.0, 1.0))):
        least, most = truth.delay[0] * np.array(ends) ** -0.7
        assert least - error[name] < mean[name] < most + error[name]
    # Phases that differ inside the band take a little of the coherence.
    assert truth.coherence[0] - 0.03 - error.coherence < mean.coherence
    assert mean.coherence < truth.coherence[0] + error.coherence


def test_light_curves_have_the_expected_rate_in_both_bands(world):
    truth = pick(world, "HSS")
    spectra = expose(truth, RXTE, np.random.default_rng(0))
    series = light_curves(truth, spectra, 0, np.random.default_rng(1))
    expected = spectra.series_rate[0] + spectra.series_true_background[0]
    for counts, rate in zip(series, expected, strict=True):
        assert counts.dtype.kind == "i"
        assert len(counts) == 1024 * 128
        # The simulated mean is exactly the rate: Poisson is what is left.
        error = np.sqrt(rate / 1024)
        assert counts.mean() * 128 == pytest.approx(rate, abs=4 * error)


def test_a_type_c_qpo_is_found_where_it_is(world):
    # In the middle of the state: where it meets the next one, the hue is near its centre.
    middle = world[world.softness.between(0.40, 0.50)]
    truth = pick(middle, "HIMS", luminosity=0.15).assign(exposure=4096.0)
    table, _ = observe(truth, RXTE, np.random.default_rng(3))
    assert table.qpo_det[0]
    assert table.qpo_freq[0] == pytest.approx(truth.nu_qpo[0], rel=0.05)
    assert 140 < table.hue[0] < 230


def test_a_faint_source_has_gaps_and_no_zeros(world):
    truth = at_flux(pick(world, "LHS"), 1e-4)
    table, _ = observe(truth, RXTE, np.random.default_rng(4))
    names = ["hr_hard", "kt_in", "hue", "qpo_freq", "lag_1_10", "coherence", "nu_break"]
    assert table[names].isna().all(axis=None)
    assert not table.qpo_det[0]


@pytest.mark.parametrize(
    ("outlier", "column", "factor"),
    [("slew", "rms_0p004_0p03", 3), ("burst", "skew", 3), ("flare", "rms_0p004_0p03", 2)],
)
def test_what_goes_wrong_leaves_its_mark(world, outlier, column, factor):
    truth = at_flux(pick(world, "HSS", kind="NS", luminosity=0.05), 0.3)
    usual, _ = observe(times(truth, 4), RXTE, np.random.default_rng(1))
    table, _ = observe(times(truth.assign(outlier=outlier), 4), RXTE, np.random.default_rng(1))
    assert table[column].median() > factor * usual[column].abs().median()


def test_segments_overlap_by_half_and_hold_the_same_photons(world):
    truth = pick(world, "LHS", luminosity=0.05).assign(segments=5)
    _, segments = observe(truth, RXTE, np.random.default_rng(1))
    assert [s["start"] for s in segments] == [0, 64, 128, 192, 256]
    for one, two in itertools.pairwise(segments):
        np.testing.assert_array_equal(one["counts"][256:], two["counts"][:256])
    assert segments[0]["power"].shape == segments[0]["frequency"].shape
    high = segments[0]["frequency"] > 50
    noise = segments[0]["noise"]
    assert segments[0]["power"][high].mean() == pytest.approx(noise, rel=0.2)


def test_the_background_estimate_errs_as_stated(world):
    truth = times(at_flux(pick(world, "LHS"), 1e-6), 400)
    instrument = replace(RXTE, background_error=0.1)
    _, spectra = observe_spectra(truth, instrument, 8)
    estimate = spectra.background.sum(1) / spectra.background.sum(1).mean()
    assert estimate.std() == pytest.approx(0.1, rel=4 / np.sqrt(2 * 400))
