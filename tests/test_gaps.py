"""Gaps: segments inside good time, runs of empty bins that are refused, and nothing lost on the way in.

Tolerances of means are five Monte Carlo errors, which the samples themselves give.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from contract import z_score
from hypothesis import given, settings
from hypothesis import strategies as st
from stingray import AveragedCrossspectrum, AveragedPowerspectrum, Lightcurve

from helpers import ccd, spectra
from helpers.arguments import refuse_empty_run, resolved, segments
from helpers.data import deal_sources, load_events, load_light_curve, load_segments
from helpers.dead_time import DeadTimeDistribution, DeadTimeSimulator, filter_events
from helpers.features import hue, hue_states, lags, light_curve_features
from helpers.light_curves import (
    averaged_cospectrum,
    averaged_periodogram,
    lorentzian,
    power_law_noise,
    simulate_light_curves,
)
from helpers.pile_up import PileUpSimulator, davis_spectrum
from helpers.plotting import rank_histograms, steps
from helpers.preprocessing import prepare
from helpers.resampling import resample_sources

BIN = 1 / 64


def counts_of(model, rate, n, rows, seed=1, bin_size=BIN):
    """(rows, n) Poisson counts of pieces of light curves twice as long."""
    generator = torch.Generator().manual_seed(seed)
    curves = simulate_light_curves(
        lambda f: model(f).expand(rows, -1), 2 * n, bin_size, generator=generator
    )
    return torch.poisson(rate * bin_size * curves[:, :n].clamp(min=0), generator)


def one_qpo(frequency):
    return lorentzian(frequency, 0.2, 5.0, 0.5)


# ---- what gaps did, and what good time gives


def test_a_qpo_in_every_second_segment_keeps_its_rms():
    """Its rms of 0.200 came out as √2 times that, for the mean counts were half of what they are."""
    n = 64 * 256
    good = (np.arange(n) // 1024) % 2 == 0
    counts = counts_of(one_qpo, 500.0, n, 40) * torch.as_tensor(good)

    def variance(good):
        frequency, power = averaged_periodogram(counts, BIN, 16.0, "fractional", good)
        mean = counts.double().mean(dim=-1, keepdim=True) / BIN
        rate = mean if good.all() else mean * 2
        # Nyquist's end of the Lorentzian is missing, by less than a thousandth.
        return ((power - 2 / rate)[:, frequency < 20]).sum(dim=-1) / 16.0

    expected = float(one_qpo(torch.arange(1, 320) / 16.0).sum()) / 16.0
    assert abs(z_score(variance(good), expected)) < 5
    with_gaps = variance(np.ones(n, dtype=bool))
    assert abs(float(with_gaps.mean().sqrt()) - 0.281) < 0.01
    with pytest.raises(ValueError, match=r"light_curve is empty from bin .* a gap"):
        averaged_periodogram(counts, BIN, 16.0, "fractional")


def delayed(n, rows, seed=2):
    """Soft and hard counts, the hard ones 20 ms (2 bins of 10 ms) later, and 15 s of each 60 s empty."""
    generator = torch.Generator().manual_seed(seed)
    model = lambda f: lorentzian(f, 0.3, 0.0, 2.0).expand(rows, -1)  # noqa: E731
    curve = simulate_light_curves(model, n + 2, 0.01, generator=generator).clamp(min=0)
    good = (np.arange(n) * 0.01) % 60 >= 15
    seen = [
        torch.poisson(20 * c, generator) * torch.as_tensor(good)
        for c in (curve[:, 2:], curve[:, :-2])
    ]
    return *seen, good


def test_a_lag_of_20_ms_is_20_ms_in_good_time():
    soft, hard, good = delayed(24_000, 60)
    found = lags(soft, hard, 0.01, 15.0, [(0.5, 4.0), (1.0, 1.2)], good)
    assert abs(z_score(found.time_lag[:, 0], 0.02)) < 5
    ratio = found.time_lag[:, 0].var() / (found.time_lag_err[:, 0] ** 2).mean()
    assert abs(ratio - 1) < 5 * (2 / 60) ** 0.5
    assert abs(z_score(found.coherence[:, 1], 1.0)) < 5
    # Segments that lie over the gaps, when nobody asks: far too short, and coherent all the same.
    spoilt = lags(soft, hard, 0.01, 60.0, [(0.05, 0.5)], np.ones(24_000, dtype=bool))
    assert z_score(spoilt.time_lag[:, 0], 0.02) < -5
    assert spoilt.time_lag.mean() < 0.014
    assert (spoilt.coherence > 0.98).all()
    with pytest.raises(ValueError, match="soft is empty from bin"):
        lags(soft, hard, 0.01, 60.0, [(0.05, 0.5)])


@pytest.mark.parametrize("segment", [2.0, 3.5])
def test_segments_in_good_time_are_stingrays(segment):
    n = 64 * 64
    gti = np.array([[0.3, 11.9], [14.0, 21.01], [22.0, 24.5], [30.0, 63.0]])
    counts = counts_of(one_qpo, 800.0, n, 2)
    time = (np.arange(n) + 0.5) * BIN
    pair = [Lightcurve(time, c.numpy(), dt=BIN, gti=gti, skip_checks=True) for c in counts]
    good = pair[0].mask
    assert 0 < good.sum() < n
    options = {"segment_size": segment, "norm": "leahy", "silent": True}
    theirs = AveragedPowerspectrum(pair[0], **options)
    _, ours = averaged_periodogram(counts[0], BIN, segment, good=good)
    np.testing.assert_allclose(ours, theirs.power, rtol=1e-5)
    _, ours = averaged_cospectrum(*counts, BIN, segment, good=torch.as_tensor(good))
    cross = AveragedCrossspectrum(*pair, **options)
    np.testing.assert_allclose(ours, cross.power.real, rtol=1e-4, atol=1e-4 * ours.abs().max())
    assert theirs.m == len(segments(n, BIN, segment, good)[1])


def test_events_of_a_file_go_through_stingrays_light_curve():
    events = load_events("rxte_m82")
    curve = events.to_lc(dt=0.125)
    frequency, power = averaged_periodogram(curve.counts, curve.dt, 8.0, good=curve.mask)
    peer = AveragedPowerspectrum(curve, segment_size=8.0, norm="leahy", silent=True)
    np.testing.assert_allclose(power, peer.power, rtol=1e-9)
    assert frequency.dtype == power.dtype == torch.float64


@settings(max_examples=60, deadline=None)
@given(good=st.lists(st.booleans(), min_size=3, max_size=60), n=st.integers(3, 9))
def test_segments_fill_good_time_from_its_beginning(good, n):
    good = np.array(good)
    runs = [len(run) for run in "".join("x" if g else " " for g in good).split()]
    if n > len(good) or max(runs, default=0) < n:
        with pytest.raises(ValueError, match=r"at least 3 bins|No good time has"):
            segments(len(good), 0.5, n * 0.5, good)
        return
    bins, starts = segments(len(good), 0.5, n * 0.5, good)
    assert bins == n
    assert len(starts) == sum(run // n for run in runs)
    assert all(good[start : start + n].all() for start in starts)
    assert (np.diff(starts) >= n).all()


def test_what_lies_in_bad_time_does_not_matter():
    counts = counts_of(one_qpo, 300.0, 640, 1)[0]
    good = np.arange(640) % 320 < 200
    spoilt = torch.where(torch.as_tensor(good), counts, torch.nan)
    for function, curves in ((averaged_periodogram, 1), (averaged_cospectrum, 2)):
        one, other = (function(*[c] * curves, BIN, 1.0, good=good)[1] for c in (counts, spoilt))
        assert torch.equal(one, other)
    one, other = (lags(c, c, BIN, 1.0, [(1, 8)], good).time_lag for c in (counts, spoilt))
    np.testing.assert_array_equal(one, other)


# ---- runs of empty bins

RED = {
    "flicker noise": lambda f: power_law_noise(f, 0.5, 1.0, 1e-3, 1.0),
    "a random walk": lambda f: power_law_noise(f, 0.6, 2.0, 5e-3, 1.0),
    "a slow QPO": lambda f: lorentzian(f, 0.5, 0.03, 0.003),
    "a QPO": lambda f: lorentzian(f, 0.5, 1.0, 0.1),
    "broad noise": lambda f: lorentzian(f, 0.9, 0.0, 0.5),
    "nothing": lambda f: torch.full_like(f, 1e-9),
}


@pytest.mark.parametrize("rate", [1.0, 30.0, 1000.0])
@pytest.mark.parametrize("name", RED)
def test_no_red_noise_is_refused(name, rate):
    """A source that fades, even to a rate of zero for hundreds of bins, has no gap."""
    counts = counts_of(RED[name], rate, 2048, 30, seed=3, bin_size=0.1)
    refuse_empty_run("counts", counts)
    refuse_empty_run("rates", counts / 0.3)


def test_bursts_of_a_source_that_is_else_hardly_seen_are_no_gaps():
    """Their rise is as sharp as the end of a gap."""
    rng = np.random.default_rng(1)
    for _ in range(30):
        counts = rng.poisson(0.05, 4096)
        for start in rng.integers(0, 3996, rng.integers(1, 6)):
            decay = np.exp(-np.arange(100) / rng.integers(3, 60))
            counts[start : start + 100] += rng.poisson(rng.uniform(5, 300) * decay)
        refuse_empty_run("counts", counts)


@pytest.mark.parametrize("unit", [1.0, 0.1, 3.0])
@pytest.mark.parametrize(
    "gap", [(500, 700), (0, 300), (1800, 2048), (1000, 1030)], ids=lambda gap: str(gap[1])
)
@pytest.mark.parametrize("name", ["nothing", "a QPO"])
def test_a_gap_is_refused_and_named(name, gap, unit):
    counts = counts_of(RED[name], 400.0, 2048, 3, seed=4, bin_size=0.1)
    if name == "a QPO":  # of a usual strength
        counts = torch.poisson(counts / 2 + 20, torch.Generator().manual_seed(1))
    counts[1, gap[0] : gap[1]] = 0
    says = f"rate is empty from bin {gap[0]} to {gap[1] - 1} of light curve 1"
    with pytest.raises(ValueError, match=says):
        refuse_empty_run("rate", counts / unit)


def test_the_data_of_the_lessons_have_no_gaps():
    refuse_empty_run("segments", load_segments().counts)
    refuse_empty_run("sample", load_light_curve("sample").rate.to_numpy())
    for name in ("chandra_m82", "rxte_4u1636", "rxte_m82"):
        events = load_events(name)
        width = 0.1 if name.startswith("rxte") else events.dt * 3
        for start, stop in events.gti:
            refuse_empty_run(name, np.histogram(events.time, np.arange(start, stop, width))[0])


def test_a_simulator_that_sees_nothing_for_long_is_trusted_and_an_observation_is_not(monkeypatch):
    simulate = DeadTimeSimulator(dead_time=0.0)
    theta = torch.tensor([0.9, 0.3, 20.0, 2000.0]).expand(50, 4)
    with monkeypatch.context() as patch:
        patch.setattr("helpers.light_curves.refuse_empty_run", None)  # whoever calls it, fails
        assert simulate(theta, torch.Generator().manual_seed(1)).isfinite().all()
    counts = simulate.light_curves(theta[:3] * torch.tensor([0.1, 1, 1, 1]), None)
    counts[2, :, 500:900] = 0
    with pytest.raises(ValueError, match="counts is empty from bin 500 to 899 of light curve 4"):
        simulate.summarise(counts)


def test_features_have_no_bins_without_data():
    time, rate = np.arange(200.0), np.random.default_rng(1).poisson(100, 200) / 1.0
    rate[50:90] = 0
    with pytest.raises(ValueError, match="rate is empty from bin 50 to 89"):
        light_curve_features(time, rate, 10.0)
    seen = rate > 0
    assert light_curve_features(time[seen], rate[seen], 10.0)["amplitude"] < 50


# ---- masks, missing values and digits

HOLE = np.ma.masked_array([1.0, 2.0, 3.0, 4.0, 5.0], [False, False, True, False, False])
NONE = [1.0, 2.0, None, 4.0, 5.0]
NULLABLE = pd.array([1.0, 2.0, None, 4.0, 5.0], dtype="Float64")
TIME, GRID = np.arange(5.0), torch.arange(1.0, 6.0)
LO, HI = torch.arange(1.0, 6.0), torch.arange(2.0, 7.0)
TAKES_NUMBERS = {
    "periodogram": lambda x: averaged_periodogram(x, 1.0, 5.0),
    "cospectrum": lambda x: averaged_cospectrum(x, x, 1.0, 5.0),
    "lags": lambda x: lags(np.tile(x, 2), np.tile(TIME + 1, 2), 1.0, 5.0, [(0.1, 1.0)]),
    "features: time": lambda x: light_curve_features(x, TIME, 1.0),
    "features: rate": lambda x: light_curve_features(TIME, x, 1.0),
    "features: error": lambda x: light_curve_features(TIME, TIME, x),
    "times": lambda x: filter_events(x, 1e-3),
    "dead times": lambda x: filter_events(TIME, x),
    "quantiles": lambda x: DeadTimeDistribution((0.1, 0.2, 0.3, 0.4, 0.5), x),
    "rms": lambda x: lorentzian(GRID, x, 1.0, 1.0),
    "index": lambda x: power_law_noise(GRID, 0.1, x, 1.0, 2.0),
    "norm": lambda x: spectra.power_law(LO, HI, 2.0, x),
    "annuli": lambda x: PileUpSimulator(ccd.ACIS, annuli=x),
    "alpha": lambda x: davis_spectrum(LO.expand(5, 5), LO, HI, alpha=np.multiply(x, 0.1)),
    "area": lambda x: ccd.CCD(**{**vars(ccd.ACIS), "area": np.ma.stack([x, x], axis=1)}),
    "ranks": lambda x: rank_histograms(None, np.multiply(x, 0.1), (0, 1)),
    "groups": lambda x: deal_sources(x, [1, 1, 1, 1, 1], 2, 0),
    "label": lambda x: deal_sources(TIME, x, 2, 0),
    "source_id": lambda x: resample_sources(
        pd.DataFrame({"source_id": np.ma.filled(x, np.nan)}), np.random.default_rng(1)
    ),
}


@pytest.mark.parametrize("name", TAKES_NUMBERS)
@pytest.mark.parametrize("lost", [HOLE, NONE, NULLABLE], ids=["masked", "None", "NA"])
def test_what_is_missing_is_not_lost(name, lost):
    if name in ("lags", "alpha", "area", "ranks") and lost is not HOLE:
        lost = (
            np.array(lost, dtype=float) if lost is NONE else lost.to_numpy(float, na_value=np.nan)
        )
    if name == "lags" and lost is HOLE:
        lost = np.ma.array(np.tile(HOLE.data, 2), mask=np.tile(HOLE.mask, 2))
        with pytest.raises(ValueError, match="soft must be counts"):
            lags(lost, np.tile(TIME + 1, 2), 1.0, 5.0, [(0.1, 1.0)])
        return
    with pytest.raises(ValueError):  # noqa: PT011
        TAKES_NUMBERS[name](lost)


def test_a_masked_bin_is_not_drawn():
    ax = plt.Figure().add_subplot()
    steps(ax, np.arange(6), HOLE)
    assert np.isnan(ax.patches[0].get_data().values).tolist() == HOLE.mask.tolist()


@pytest.mark.parametrize("name", ["features: rate", "periodogram", "groups"])
def test_it_is_said_where_something_is_missing(name):
    with pytest.raises(ValueError, match=r"first at (index \[2\]|2):"):
        TAKES_NUMBERS[name](HOLE)


def test_what_may_be_missing_stays_missing():
    for values in (HOLE, NONE, NULLABLE, pd.Series(NULLABLE)):
        assert np.isnan(hue(values, 1.0)).tolist() == [False, False, True, False, False]
        assert hue_states(values)[2] == ""
    table = pd.DataFrame({"gamma": NULLABLE, "rate": NONE, "hue": NULLABLE})
    found = prepare(table.astype({"rate": object}), ["gamma", "rate", "hue"])
    assert found.isna().to_numpy().tolist() == [[k == 2] * 4 for k in range(5)]
    assert set(found.dtypes) == {np.dtype(float)}


def test_tables_of_numpys_columns_are_prepared_as_ever():
    table = pd.DataFrame({"n_det": [1, 2], "rate": [10.0, np.nan], "qpo_det": [True, False]})
    found = prepare(table, ["n_det", "rate", "qpo_det"])
    expected = {"n_det": [1, 2], "log_rate": [1.0, np.nan], "qpo_det": [True, False]}
    pd.testing.assert_frame_equal(found, pd.DataFrame(expected))


@pytest.mark.parametrize(
    "values",
    [["1", "2", "3"], np.array(["2020-01-01"] * 3, "datetime64[D]"), np.ones(3) * 1j, [{}, 1, 2]],
    ids=["text", "dates", "complex", "objects"],
)
def test_what_is_no_number_is_refused(values):
    with pytest.raises(ValueError, match="light_curve must be real numbers"):
        averaged_periodogram(values, 1.0, 3.0)


def test_whole_numbers_that_float64_cannot_hold_are_refused():
    nanoseconds = np.int64(1_600_000_000_000_000_000) + np.arange(5) * 100
    for values in (nanoseconds, nanoseconds.astype(np.uint64), nanoseconds.tolist()):
        with pytest.raises(ValueError, match="above 2"):
            light_curve_features(values, TIME, 1.0)
    assert light_curve_features(nanoseconds - nanoseconds[0], TIME, 1.0)["amplitude"] == 2


@pytest.mark.parametrize("kind", [np.float32, ">f4", torch.float32])
def test_float32_of_seconds_since_the_reference_is_refused(kind):
    seconds = 442_845_939.378 + np.arange(1000) * 0.01
    numpy = not isinstance(kind, torch.dtype)
    narrow = seconds.astype(kind) if numpy else torch.tensor(seconds, dtype=kind)
    with pytest.raises(ValueError, match=r"times up to .* steps of .* keep float64"):
        filter_events(narrow, 2.5e-3)
    first = (seconds - seconds[0]).astype(np.float32)
    assert filter_events(first if numpy else torch.tensor(first), 2.5e-3).all()
    assert filter_events(seconds, 2.5e-3).all()


def test_float32_of_mjd_is_refused_in_features():
    mjd = 57_000 + np.arange(5) * 0.01
    with pytest.raises(ValueError, match=r"time up to 57000|time must rise"):
        light_curve_features(mjd.astype(np.float32), TIME, 1.0)
    assert light_curve_features(mjd, TIME, 1.0)["linear_trend"] == pytest.approx(100)
    resolved("time", mjd, 1e-5)  # a second, of which float64 resolves a microsecond


def test_small_whole_numbers_do_not_overflow():
    counts = np.random.default_rng(1).poisson(200, 6400).clip(max=255)
    ours = [averaged_periodogram(counts.astype(k), BIN, 1.0)[1] for k in (np.uint8, float)]
    assert torch.equal(*ours)
    small = light_curve_features(np.arange(100), counts[:100].astype(np.uint8), 1.0)
    assert small == light_curve_features(np.arange(100), counts[:100].astype(float), 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: averaged_periodogram(c, 1.0, 5.0, good=[1] * 10), "good must be"),
        (lambda c: averaged_periodogram(c, 1.0, 5.0, good=[True] * 9), r"good must be \(10,\)"),
        (lambda c: averaged_periodogram(c, 1.0, 5.0, good=HOLE > 1), "good is missing in 1"),
        (
            lambda c: averaged_periodogram(c, 1.0, 5.0, good=np.arange(10) % 5 > 0),
            "the longest is 4 s",
        ),
        (lambda c: lags(c, c[:5], 1.0, 5.0, [(0.1, 1.0)]), "need the same bins"),
        (lambda c: lags(c - 0.5, c, 1.0, 5.0, [(0.1, 1.0)]), "soft must be counts per bin"),
        (lambda c: lags(c, c - 2, 1.0, 5.0, [(0.1, 1.0)]), "hard must be counts per bin"),
        (lambda c: lags(c, c, 1.0, 10.0, [(0.1, 1.0)]), "two or more segments"),
        (lambda c: lags(c, c, 1.0, 5.0, [(0.9, 1.0)]), "No frequency k/5 Hz lies between"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.arange(1.0, 11.0))


def test_bad_time_may_hold_nothing():
    """NaN and masks where good says so: numpy's were refused, with the advice to leave them out."""
    counts = np.random.default_rng(1).poisson(20, 1000).astype(float)
    good = np.arange(1000) % 500 < 300
    holes = np.where(good, counts, np.nan), np.ma.masked_array(counts, ~good)
    for function, curves in ((averaged_periodogram, 1), (averaged_cospectrum, 2)):
        expected = function(*[counts] * curves, 1.0, 100.0, good=good)[1]
        for hole in holes:
            assert torch.equal(function(*[hole] * curves, 1.0, 100.0, good=good)[1], expected)
            with pytest.raises(ValueError, match="is not finite in 400 places"):
                function(*[hole] * curves, 1.0, 100.0)
    bad = np.where(np.arange(1000) == 7, np.nan, counts)
    with pytest.raises(ValueError, match="not positive or not finite"):
        averaged_periodogram(bad, 1.0, 100.0, good=good)


def test_gaps_of_a_faint_source_are_refused():
    """60 counts are missing in each: the chance is e^-60, and powers at low frequency double."""
    counts = np.random.default_rng(1).poisson(0.2, 40_000)
    counts[np.arange(40_000) % 1000 >= 700] = 0
    with pytest.raises(ValueError, match=r"light_curve is empty from bin .* a gap"):
        averaged_periodogram(counts, 0.01, 10.0)
