"""The hue, and the features of light curves, against closed forms and another library.

Every tolerance of a simulated mean is five times its own Monte Carlo error.
"""

import light_curve
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import gammaln
from stingray import fourier
from test_measurements import right_errors, unbiased

from helpers.features import (
    HUES,
    hue,
    hue_states,
    lags,
    light_curve_features,
)


@given(st.floats(0, 359.999), st.floats(0.01, 3))
def test_hue_runs_clockwise_from_the_upper_left(angle, radius):
    direction = np.radians(135 - angle)
    pc1 = 4.51920 * 10 ** (radius * np.cos(direction))
    pc2 = 0.453724 * 10 ** (radius * np.sin(direction))
    result = hue(pc1, pc2)
    assert 0 <= result < 360
    assert abs((result - angle + 180) % 360 - 180) < 1e-8


def test_the_sectors_cover_the_circle():
    found, counts = np.unique(hue_states(np.arange(0, 360, 0.5)), return_counts=True)
    assert dict(zip(found, counts / 2, strict=True)) == {k: b - a for k, (a, b) in HUES.items()}


@pytest.mark.parametrize("state", HUES)
def test_a_border_belongs_to_the_sector_that_begins_there_after_any_turns(state):
    low, high = HUES[state]
    turns = np.array([[-720], [-360], [0], [360]])
    assert (hue_states(low + turns) == state).all()
    assert hue_states(high - 1e-9) == state
    assert hue_states(high) != state


def test_a_missing_hue_has_no_state():
    with np.errstate(all="raise"):
        assert hue_states([np.nan, np.inf, -np.inf]).tolist() == ["", "", ""]


# -- light-curve features --------------------------------------------------------------------


def random_light_curve(seed, n=200, constant_error=False, whole=False):
    rng = np.random.default_rng(seed)
    time = np.sort(rng.uniform(0, 100, n))
    rate = rng.gamma(3, 10, n)
    if whole:  # so that some are equal
        rate = rate.round()
    return time, rate, np.full(n, 2.0) if constant_error else rng.uniform(1, 3, n)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("n", [4, 7, 200])
def test_features_agree_with_the_light_curve_package(n, whole):
    time, rate, error = random_light_curve(n, n, constant_error=True, whole=whole)
    ours = light_curve_features(time, rate, error)
    lc = light_curve
    theirs = {
        "amplitude": lc.Amplitude(),
        # Its standard deviation has n - 1; the weighted one with equal errors has n.
        "beyond1std": lc.BeyondNStd(nstd=np.sqrt((n - 1) / n)),
        "linear_trend": lc.LinearTrend(),
        "max_slope": lc.MaximumSlope(),
        "median_absolute_deviation": lc.MedianAbsoluteDeviation(),
        "median_buffer_range_percentage": lc.MedianBufferRangePercentage(quantile=0.1),
        "percent_difference_flux_percentile": lc.PercentDifferenceMagnitudePercentile(
            quantile=0.05
        ),
        "skew": lc.Skew(),
        "small_kurtosis": lc.Kurtosis(),
        "std": lc.StandardDeviation(),
        "stetson_k": lc.StetsonK(),
    }
    for k in (20, 35, 50, 65, 80):
        theirs[f"flux_percentile_ratio_mid{k}"] = lc.MagnitudePercentageRatio(
            quantile_numerator=0.5 - k / 200, quantile_denominator=0.05
        )
    for name, feature in theirs.items():
        # It keeps the quantiles that it is asked for in single precision.
        expected = feature(time, rate, error)[0]
        assert ours[name] == pytest.approx(expected, rel=2e-6, abs=1e-12), name
    absolute = lc.PercentAmplitude()(time, rate, error)[0]
    assert ours["percent_amplitude"] == pytest.approx(absolute / np.median(rate), rel=1e-12)


def test_weighted_features_use_the_errors():
    time, rate, error = random_light_curve(1)
    ours = light_curve_features(time, rate, error)
    assert ours["stetson_k"] == pytest.approx(light_curve.StetsonK()(time, rate, error)[0])
    mean = np.average(rate, weights=error**-2)
    std = np.sqrt(np.average((rate - mean) ** 2, weights=error**-2))
    assert ours["beyond1std"] == np.mean(np.abs(rate - mean) > std)


def test_pure_noise_with_right_errors_has_the_expected_moments():
    rng = np.random.default_rng(4)
    features = light_curve_features(np.arange(100.0), rng.normal(50, 5, (4000, 100)), 5.0)
    for name in ("skew", "small_kurtosis", "linear_trend"):
        assert unbiased(features[name], 0), name
    assert unbiased(features["pair_slope_trend"], 0.5)
    assert unbiased(features["std"] ** 2, 25)
    # A Gaussian has K = √(2/π) = 0.798 here, and 1 in the convention that divides by it. In a
    # sample the rms is smaller on average by c4 = √(2/ν) Γ((ν + 1)/2) / Γ(ν/2), ν = n - 1.
    c4 = np.sqrt(2 / 99) * np.exp(gammaln(50) - gammaln(49.5))
    assert unbiased(features["stetson_k"] * c4, np.sqrt(2 / np.pi))


def test_stetson_j_by_hand():
    # δ = √(4/3) (x - 5) / 1 with x - 5 = -3, -1, 1, 3: p = 11, 1/3, 1/3, 11
    features = light_curve_features(np.arange(4.0), [2.0, 4.0, 6.0, 8.0], 1.0)
    assert features["stetson_j"] == pytest.approx((np.sqrt(11) + np.sqrt(1 / 3)) / 2)


def test_a_batch_of_light_curves_is_its_rows():
    rng = np.random.default_rng(5)
    time, rate = np.arange(50.0), rng.gamma(3, 10, (2, 3, 50))
    error = rng.uniform(1, 2, (3, 50))
    batch = light_curve_features(time, rate, error)
    for index in np.ndindex(2, 3):
        row = light_curve_features(time, rate[index], error[index[1]])
        for name in row:
            assert batch[name].shape == (2, 3)
            assert batch[name][index] == pytest.approx(row[name]), name


def test_a_constant_or_negative_light_curve_has_nan_where_nothing_is_defined():
    constant = light_curve_features(np.arange(9.0), np.full(9, 0.1), 1.0)
    undefined = {n for n, value in constant.items() if np.isnan(value)}
    ratios = {n for n in constant if "ratio" in n}
    assert undefined == ratios | {"skew", "small_kurtosis", "stetson_k"}
    assert constant["beyond1std"] == 0
    below = light_curve_features(np.arange(9.0), -np.arange(9.0), 1.0)
    relative = {"percent_amplitude", "percent_difference_flux_percentile"}
    assert {n for n, value in below.items() if np.isnan(value)} == relative


# -- lags ------------------------------------------------------------------------------------

DT, DELAY = 1 / 64, 1


def two_bands(rate, size, seed, common=1.0):
    """Soft and hard light curves of white variability, the hard one a time step later."""
    rng = np.random.default_rng(seed)
    shape = (size, 64 * 128 + DELAY)
    signal, other = rng.normal(size=(2, *shape)) * 0.2
    late = common * signal + np.sqrt(1 - common**2) * other
    soft, hard = 1 + signal[:, DELAY:], 1 + late[:, :-DELAY]
    return (rng.poisson(np.clip(k * x, 0, None) * DT) for k, x in ((rate, soft), (rate / 2, hard)))


LAG_BANDS = [(0.5, 2), (2, 8)]
N_AVERAGED = 16 * np.array([12, 48])  # segments of 8 s times frequencies


@pytest.mark.parametrize("common", [1.0, 0.7])
def test_a_known_delay_comes_back_and_a_coherence_free_of_poisson_noise(common):
    soft, hard = two_bands(4000, 300, 12, common)
    result = lags(soft, hard, DT, 8.0, [*LAG_BANDS, (2, 4)])
    assert unbiased(result.time_lag, DELAY * DT)
    assert right_errors(result.time_lag, result.time_lag_err)
    # In the last band, which is narrow against 1/delay. A delay of one step in segments of 512 shares
    # 511/512 of each; first order in 1/M of a ratio
    bias = 2 / (16 * 16) + 2 * DELAY / 512
    coherence = result.coherence[:, -1]
    error = 5 * coherence.std() / np.sqrt(300)
    assert abs(coherence.mean() - common**2) < bias + error


@pytest.mark.parametrize("common", [1.0, 0.7])
def test_coherence_errors_are_the_scatter(common):
    soft, hard = two_bands(20_000, 400, 13, common)
    result = lags(soft, hard, DT, 8.0, LAG_BANDS)
    ratio = result.coherence.std(0) ** 2 / (result.coherence_err**2).mean(0)
    # First-order propagation, so up to a few over M besides the Monte Carlo error of a variance
    assert np.all(np.abs(ratio - 1) < 5 * np.sqrt(2 / 400) + 4 / N_AVERAGED)


def test_independent_light_curves_are_incoherent():
    soft, hard = two_bands(20_000, 300, 14, common=0.0)
    result = lags(soft, hard, DT, 8.0, LAG_BANDS)
    # |C|² of independent variability is |S|²|H|²/M, which no noise level takes away
    assert unbiased(result.coherence * N_AVERAGED, 1)


def test_phase_and_coherence_agree_with_stingray_at_one_frequency():
    n = 512  # segments of 8 s; equal counts in each, for stingray scales by the mean of them all
    soft, hard = (x[0, : 16 * n].reshape(16, n) for x in two_bands(20_000, 1, 16, common=0.9))
    rng = np.random.default_rng(18)
    shares = [x / x.sum(-1, keepdims=True) for x in (soft, hard)]
    soft, hard = (rng.multinomial(160_000, share).ravel() for share in shares)
    result = lags(soft, hard, DT, 8.0, [(2.99, 3.01)])
    time = np.arange(16 * n) * DT
    span, counts = [[-DT / 2, 128 - DT / 2]], {"fluxes1": hard, "fluxes2": soft}
    # Its lags are above zero where the first of the two comes later.
    table = fourier.avg_cs_from_timeseries(
        time, time, span, 8, DT, **counts, norm="leahy", return_auxil=True, silent=True
    )
    row = table[np.argmin(np.abs(table["freq"] - 3))]
    assert result.phase_lag[0] == pytest.approx(np.angle(row["power"]), rel=1e-9)
    theirs = fourier.intrinsic_coherence(
        row["power"], row["pds1"], row["pds2"], 2, 2, 16, return_uncertainty=False
    )
    assert result.coherence[0] == pytest.approx(float(theirs), rel=1e-9)


def test_a_constant_source_has_no_coherence_to_speak_of():
    rng = np.random.default_rng(17)
    soft, hard = rng.poisson(20, (2, 200, 8192))
    result = lags(soft, hard, DT, 8.0, [(1, 10)])
    # Each noise-subtracted power is above zero in half of the trials, both in a quarter
    missing = np.isnan(result.coherence).mean()
    assert abs(missing - 3 / 4) < 5 * np.sqrt(3 / 16 / 200)
    assert np.isfinite(result.time_lag).all()


# -- bad input -------------------------------------------------------------------------------

T, R = np.arange(10.0), np.arange(1.0, 11)
HOLE = np.where(T == 3, np.nan, 1.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: hue(0.0, 1.0), "pc1 must be finite and above zero"),
        (lambda: hue(1.0, np.inf), "pc2"),
        (lambda: light_curve_features(T[:3], R[:3], 1.0), "has 3 points"),
        (lambda: light_curve_features(T, HOLE, 1.0), r"rate is not finite .* \[3\]"),
        (lambda: light_curve_features(0 * T, R, 1.0), "time must rise; element 1"),
        (lambda: light_curve_features(T, R, R - 5), "error must be above zero; element 0 is -4"),
        (lambda: light_curve_features(T, R[1:], 1.0), r"\(10,\) and \(9,\)"),
        (lambda: light_curve_features(T, R, np.ones(3)), "does not broadcast"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_place_and_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call()
