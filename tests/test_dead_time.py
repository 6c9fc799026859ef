"""Dead time against closed forms, stingray, and a detector that takes photon by photon.

Every Monte Carlo tolerance is five standard errors, which the sample itself or theory gives.
"""

import math
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from contract import between, seeded, z_score
from hypothesis import given, settings
from hypothesis import strategies as st
from stingray.filters import _non_paralyzable_dead_time, get_deadtime_mask

from helpers import dead_time_theory
from helpers.dead_time import (
    NUSTAR,
    DeadTimeDistribution,
    DeadTimeSimulator,
    count_detected,
    filter_events,
    qpo,
)
from helpers.light_curves import averaged_cospectrum, averaged_periodogram, log_bin

TAU = 2.5e-3
# Bins shorter than, as long as, longer and much longer than the dead time (that one by photons).
BINS = (1e-3, 2.5e-3, 4e-3, 0.2)
KINDS = [
    pytest.param(TAU, False, id="non-paralyzable"),
    pytest.param(TAU, True, id="paralyzable"),
    pytest.param(NUSTAR, False, id="variable"),
    # A fraction of most bins, which are filled photon by photon; and none, which leaves Poisson's law.
    pytest.param(1e-4, False, id="short"),
    pytest.param(0.0, False, id="none"),
]


@pytest.fixture
def generator(device):
    return seeded(device)


def steady(rate, dt, duration, rows, device):
    return torch.full((rows, round(duration / dt)), rate, device=device)


def one_by_one(times, dead_times, paralyzable):
    """The detector as one would explain it."""
    blind_until, keep = -math.inf, []
    for time, tau in zip(times, dead_times, strict=True):
        keep.append(time >= blind_until)
        if keep[-1] or paralyzable:
            blind_until = max(blind_until, time + tau)
    return keep


# ---- photon by photon


@pytest.mark.parametrize("rate", [10.0, 400.0, 20_000.0])
def test_the_mask_is_stingrays(device, rate):
    times = np.sort(np.random.default_rng(1).uniform(1e8, 1e8 + 20_000 / rate, 20_000))
    tau = np.random.default_rng(2).uniform(0.0, 2 * TAU, len(times))
    tensor = torch.as_tensor(times, device=device)
    for paralyzable in (False, True):
        ours = filter_events(tensor, TAU, paralyzable)
        assert ours.device.type == device.type
        theirs = get_deadtime_mask(times - times[0], TAU, paralyzable=paralyzable)
        np.testing.assert_array_equal(ours.cpu(), theirs)
    np.testing.assert_array_equal(
        filter_events(tensor, tau).cpu(), _non_paralyzable_dead_time(times, tau)[1]
    )


# Whole numbers, so that photons that arrive just when the detector is live again are among them.
MOMENTS = st.lists(st.integers(0, 60), max_size=40).map(sorted)


@settings(max_examples=200, deadline=None)
@given(MOMENTS, st.data())
def test_the_mask_is_what_one_would_explain(times, data):
    tau = data.draw(st.lists(st.integers(0, 9), min_size=len(times), max_size=len(times)))
    events = torch.tensor(times, dtype=torch.float64)
    for paralyzable in (False, True):
        for dead_times in (tau, [3] * len(times)):
            mask = filter_events(events, torch.tensor(dead_times), paralyzable).tolist()
            assert mask == one_by_one(times, dead_times, paralyzable)


@pytest.mark.parametrize("kind", [">f8", "<f8", np.longdouble, ">i4", np.uint16])
@pytest.mark.parametrize("paralyzable", [False, True])
def test_the_mask_of_numbers_as_fits_files_hold_them(kind, paralyzable):
    draw = np.random.default_rng(1)
    times = np.sort(draw.integers(0, 3000, 1000)).astype(np.float64)
    tau = draw.integers(0, 9, 1000).astype(np.float64)
    expected = one_by_one(times, tau, paralyzable)
    # A table's columns lie between each other, too.
    table = np.zeros(1000, dtype=[("time", kind), ("grade", np.int8), ("tau", kind)])
    table["time"], table["tau"] = times, tau
    for t, d in ((times, table["tau"]), (table["time"], tau), (table["time"], table["tau"])):
        mask = filter_events(t, d, paralyzable)
        assert isinstance(mask, np.ndarray)
        assert mask.tolist() == expected
    assert filter_events(torch.as_tensor(times), table["tau"], paralyzable).tolist() == expected
    same = filter_events(table["time"], np.asarray(3, dtype=kind), paralyzable)
    assert same.tolist() == one_by_one(times, [3] * len(times), paralyzable)


@pytest.mark.parametrize(
    ("times", "tau", "says"),
    [
        (torch.zeros(2, 2), TAU, "one-dimensional"),
        (torch.tensor([1.0, 0.5]), TAU, "sorted"),
        (torch.tensor([0.0, math.nan]), TAU, "finite and sorted"),
        (torch.tensor([0.0, math.inf]), TAU, "finite and sorted"),
        (torch.zeros(3), -1.0, "zero or more"),
        (torch.zeros(3), math.nan, "zero or more"),
        (torch.zeros(3), torch.zeros(2), "one for each of the 3 times"),
    ],
)
def test_wrong_events_are_refused(times, tau, says):
    with pytest.raises(ValueError, match=says):
        filter_events(times, tau)


# ---- dead times that differ


def test_nustar_has_the_quantiles_of_its_table(generator, device):
    sample = NUSTAR.sample((200_000,), generator, torch.float64, device).cpu().numpy()
    assert sample.min() == NUSTAR.minimum == 1.838e-3
    assert sample.max() == 3.531e-3
    assert abs(z_score(sample, NUSTAR.mean)) < 5
    assert abs(z_score((sample - NUSTAR.mean) ** 2, NUSTAR.variance)) < 5
    for probability, value in list(zip(NUSTAR.probabilities, NUSTAR.values, strict=True))[1:-1]:
        error = math.sqrt(probability * (1 - probability) / len(sample))
        assert abs((sample <= value).mean() - probability) < 5 * error
    # What was measured of the distribution itself, of which the table has 15 points.
    assert NUSTAR.mean == pytest.approx(2.536e-3, rel=2e-3)
    assert math.sqrt(NUSTAR.variance) == pytest.approx(0.210e-3, rel=0.05)


@pytest.mark.parametrize(
    ("probabilities", "values"),
    [
        ((0.0,), (1e-3,)),
        ((0.0, 1.0), (1e-3,)),
        ((0.0, 0.00045), (1e-3, 2e-3)),
        ((0.5, 0.2), (1e-3, 2e-3)),
        ((0.0, 1.2), (1e-3, 2e-3)),
        ((0.0, 1.0), (2e-3, 1e-3)),
        ((0.0, 1.0), (0.0, 1e-3)),
        ((0.0, 1.0), (1e-3, math.inf)),
        ((0.0, math.nan), (1e-3, 2e-3)),
    ],
)
def test_a_table_that_is_none_is_refused(probabilities, values):
    with pytest.raises(ValueError, match="A table of dead times needs"):
        DeadTimeDistribution(probabilities, values)


# ---- bin by bin


@pytest.mark.parametrize("dt", BINS)
@pytest.mark.parametrize(("tau", "paralyzable"), KINDS)
def test_the_detected_rate(device, generator, tau, paralyzable, dt):
    mean = tau.mean if isinstance(tau, DeadTimeDistribution) else tau
    for rate in (20.0, 3000.0):
        light = steady(rate, dt, 4.0, 200, device)
        counts = count_detected(light, dt, tau, generator, paralyzable=paralyzable)
        # Until it has forgotten that it began live.
        detected = counts[:, math.ceil(0.2 / dt) :].mean(dim=-1) / dt
        assert abs(z_score(detected, dead_time_theory.detected_rate(rate, mean, paralyzable))) < 5
        assert torch.equal(counts, counts.round())


@pytest.mark.parametrize("dt", [5e-4, 5e-3])
@pytest.mark.parametrize(("tau", "paralyzable"), KINDS)
def test_the_white_noise_is_renewal_theorys(device, generator, tau, paralyzable, dt):
    rate, rows = 1000.0, 256
    light = steady(rate, dt, 5.0, rows, device)
    counts = count_detected(light, dt, tau, generator, paralyzable=paralyzable)
    # Left out: the beginning. Right: averages of four segments, which are near to normal.
    frequency, power = averaged_periodogram(counts[:, round(1 / dt) :].double(), dt, 1.0)
    theory = dead_time_theory.white_noise(
        frequency, rate, tau, bin_size=dt, paralyzable=paralyzable
    ).cpu().numpy()  # fmt: skip
    assert np.abs(z_score(power, theory)).max() < 5
    # The common mean rate of a light curve scatters with its power: to first order in 1/counts,
    # the ratio is unbiased, and the mean over all frequencies is a sharper test.
    overall = power.cpu() @ torch.as_tensor(1 / theory) / len(theory)
    assert abs(z_score(overall, 1.0)) < 5


def photons_of(rate, dt, tau, paralyzable, rows):
    """(rows, n_bins) counts from arrival times that numpy draws, and the mask that stingray agrees with."""
    generator = np.random.default_rng(1)
    # One row after the other, and dark between them for long enough.
    bins_of_row = len(rate) + math.ceil(2 * tau / dt)
    number = generator.poisson(np.pad(rate * dt, (0, bins_of_row - len(rate))), (rows, bins_of_row))
    bins = np.repeat(np.arange(number.size), number.ravel())
    times = np.sort(bins + generator.uniform(size=len(bins))) * dt
    kept = np.bincount(bins[filter_events(times, tau, paralyzable)], minlength=number.size)
    return kept.reshape(number.shape)[:, : len(rate)]


# Shorter than the dead time, some of them, and so many that photons take over.
@pytest.mark.parametrize(("dt", "n"), [(1.3e-3, 40_000), (6e-3, 40_000), (0.1, 4000)])
@pytest.mark.parametrize("paralyzable", [False, True])
def test_bins_and_photons_agree_bin_by_bin(device, generator, paralyzable, dt, n):
    rate = np.array([800.0, 0.0, 3000.0, 200.0, 200.0, 5000.0, 0.0, 0.0, 900.0, 900.0])
    light = torch.as_tensor(rate, device=device).expand(n, -1)
    bins = count_detected(light, dt, TAU, generator, paralyzable=paralyzable).cpu().numpy()
    photons = photons_of(rate, dt, TAU, paralyzable, n // 4)
    assert (bins[:, rate == 0] == 0).all()
    # Means, and all products of two bins: the order in which dead time spreads its absences.
    products = [(bins * bins[:, [k]], photons * photons[:, [k]]) for k in range(len(rate))]
    for sample, other in ((bins, photons), *products):
        error = np.sqrt(sample.var(axis=0) / len(sample) + other.var(axis=0) / len(other))
        difference = sample.mean(axis=0) - other.mean(axis=0)
        assert (np.abs(difference) <= 5 * error).all()


def test_each_row_has_a_detector_of_its_own(device, generator):
    """Each is blinded by its own first photon, and by nobody else's."""
    slow = DeadTimeDistribution((0.0, 1.0), (1.0, 2.0))
    light = steady(1000.0, 0.1, 0.1, 100, device)
    assert count_detected(light, 0.1, slow, generator, paralyzable=True).tolist() == [[1.0]] * 100


@pytest.mark.parametrize("dt", [1e-3, 2.5e-3, 6e-3])
def test_a_blinding_light_and_none(device, generator, dt):
    light = steady(1e9, dt, 3.0, 8, device)
    kept = count_detected(light, dt, TAU, generator).sum(dim=1)
    # One event per dead time, but for the first nanosecond.
    assert ((kept - 3.0 / TAU).abs() <= 2).all()
    lost = count_detected(light, dt, TAU, generator, paralyzable=True).sum(dim=1)
    assert (lost == 1).all()
    for tau in (0.0, TAU, NUSTAR):
        assert not count_detected(0 * light, dt, tau, generator).any()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((torch.tensor([1.0, -1.0]), 1e-3, TAU), "finite rates of 0/s or more"),
        ((torch.tensor([1.0, math.nan]), 1e-3, TAU), "finite rates of 0/s or more"),
        ((torch.tensor([1.0, math.inf]), 1e-3, TAU), "finite rates of 0/s or more"),
        ((torch.tensor(1.0), 1e-3, TAU), "time as its last dimension"),
        ((torch.tensor([1]), 1e-3, TAU), "real numbers"),
        ((torch.ones(3), 0.0, TAU), "dt must be"),
        (
            (torch.ones(3), 1e-3, -TAU),
            "dead_time .s., if no distribution such as NUSTAR, must be a number from 0",
        ),
        (
            (torch.ones(3), 1e-3, math.inf),
            "dead_time .s., if no distribution such as NUSTAR, must be a number from 0",
        ),
        (
            (torch.ones(3), 1e-3, "2.5 ms"),
            "dead_time .s., if no distribution such as NUSTAR, must be a number from 0",
        ),
        (
            (torch.ones(3), 1e-3, np.array([TAU, TAU])),
            "dead_time .s., if no distribution such as NUSTAR, must be a number from 0",
        ),
        ((torch.full((3,), 1e12), 1.0, TAU), "shorter bins"),
    ],
)
def test_wrong_rates_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        count_detected(*arguments)


@pytest.mark.parametrize(
    "dead_time",
    [np.float32(TAU), np.longdouble(TAU), np.array(TAU), torch.tensor(TAU), Fraction(1, 400)],
)
def test_any_real_number_is_a_dead_time(device, dead_time):
    light = steady(800.0, 2e-3, 1.0, 3, device)
    ours, expected = (
        count_detected(light, 2e-3, tau, seeded(device)) for tau in (dead_time, float(dead_time))
    )
    assert torch.equal(ours, expected)
    assert type(DeadTimeSimulator(exposure=1.0, dead_time=dead_time).dead_time) is float


# ---- what is left of a signal


@pytest.mark.parametrize("frequency", [20.0, 200.0, 400.0])
def test_a_weak_wave_keeps_the_share_that_theory_says(device, generator, frequency):
    rate, amplitude, dt, duration, rows = 1000.0, 0.1, 5e-4, 4.0, 1000
    edges = torch.arange(round(duration / dt) + 1, dtype=torch.float64) * dt
    omega = 2 * math.pi * frequency
    wave = 1 - amplitude * torch.cos(omega * edges).diff() / (omega * dt)
    light = (rate * wave).float().to(device).expand(rows, -1)
    counts = count_detected(light, dt, TAU, generator).double().sum(dim=0).cpu()
    middle = (edges[1:] + edges[:-1]) / 2
    # Relative to the incident wave, sin ωt, with the mean over a bin taken out.
    left = 2j * (counts * torch.exp(-1j * omega * middle)).sum() / counts.sum()
    left /= amplitude * float(torch.sinc(torch.tensor(frequency * dt)))
    theory = dead_time_theory.signal_transfer(torch.tensor([frequency]), rate, TAU)[0]
    # Noise at this frequency; and terms of second order, which vary as the amplitude squared.
    noise = dead_time_theory.white_noise(torch.tensor([frequency]), rate, TAU, bin_size=dt)[0]
    error = math.sqrt(noise / counts.sum()) / amplitude
    assert abs(left - theory) < 5 * error + 2 * amplitude**2 * abs(theory)


# ---- the simulator


def test_the_summary_is_that_of_the_light_curves(device):
    theta = between([0.1, 5.0, 3.0, 500.0], [0.5, 40.0, 30.0, 1500.0], 70, device)
    simulate = DeadTimeSimulator(exposure=2.0, segment=0.5)
    counts = simulate.light_curves(theta, seeded(device))
    assert counts.shape == (70, 2, 400)
    frequency, power = averaged_periodogram(counts.sum(dim=1), 5e-3, 0.5, "fractional")
    torch.testing.assert_close(simulate(theta, seeded(device)), power)
    torch.testing.assert_close(simulate.summarise(counts.reshape(7, 10, 2, 400))[3, 4], power[34])
    torch.testing.assert_close(simulate.frequencies, frequency.double().cpu())
    assert set(simulate.n_averaged.tolist()) == {4}

    simulate = DeadTimeSimulator(exposure=2.0, segment=None, log_f=0.1)
    counts = simulate.light_curves(theta, seeded(device))
    power = averaged_periodogram(counts.sum(dim=1), 5e-3, 2.0, "fractional")
    _, power, number = log_bin(*power, 0.1)
    torch.testing.assert_close(simulate(theta, seeded(device)), power)
    assert torch.equal(simulate.n_averaged, number.cpu())

    simulate = DeadTimeSimulator(exposure=2.0, summary="cospectrum")
    counts = simulate.light_curves(theta, seeded(device))
    power = averaged_cospectrum(counts[:, 0], counts[:, 1], 5e-3, 1.0, "fractional")[1]
    torch.testing.assert_close(simulate(theta, seeded(device)), power)


@pytest.mark.parametrize("shape", [(5, 1, 400), (2, 399), (2, 2000), (400, 2), (400,), ()])
def test_light_curves_of_others_are_not_summarised(device, shape):
    says = re.escape(f"{shape}, which does not end in (n_detectors, n_bins) = (2, 400)")
    with pytest.raises(ValueError, match=f"{says}.* make a DeadTimeSimulator"):
        DeadTimeSimulator(exposure=2.0).summarise(torch.ones(shape, device=device))


@pytest.mark.parametrize(
    ("dead_time", "steps_per_bin"),
    # In units of the bin. A third of a dead time, but half to a sixth of a bin; below 1/16, half.
    [(10.0, 2), (1.5, 2), (1.0, 3), (0.5, 6), (0.3, 6), (1 / 16, 6), (0.99 / 16, 2), (0.0, 2)],
)
def test_the_rate_is_one_line_for_as_long_as_it_says(dead_time, steps_per_bin):
    simulate = DeadTimeSimulator(exposure=1.0, bin_size=5e-3, dead_time=dead_time * 5e-3)
    assert simulate.step == pytest.approx(5e-3 / steps_per_bin)


def test_without_dead_time_the_power_is_that_of_the_source(device, generator):
    parameters = torch.tensor([0.2, 20.0, 4.0, 1000.0], device=device)
    simulate = DeadTimeSimulator(dead_time=0.0, n_detectors=2)
    power = simulate(parameters.expand(1000, 4), generator).double()
    # Averaged over the leakage of 1-s segments, and over the mean of 5-ms bins.
    frequency = torch.linspace(0.01, 400.0, 40_000, dtype=torch.float64)
    source = qpo(frequency, parameters.cpu().double()) * torch.sinc(frequency * 5e-3).square()
    f = simulate.frequencies[:, None]
    kernel = torch.sinc(f - frequency).square() + torch.sinc(f + frequency).square()
    aliases = torch.sinc(200 - f - frequency).square()
    expected = ((kernel + aliases) * source).sum(dim=1) * frequency.diff()[0] + 2 / 2000
    assert np.abs(z_score(power, expected.numpy())).max() < 5


def test_the_cospectrum_has_no_noise_and_what_is_left_of_the_signal(device, generator):
    parameters = torch.tensor([0.05, 20.0, 4.0, 1000.0], device=device)
    options = {"summary": "cospectrum", "bin_size": 2.5e-3}
    left = DeadTimeSimulator(**options)(parameters.expand(2000, 4), generator)
    simulate = DeadTimeSimulator(dead_time=0.0, **options)
    whole = simulate(parameters.expand(2000, 4), generator).double().cpu()
    share = dead_time_theory.signal_transfer(simulate.frequencies, 1000.0, TAU).abs().square()
    peak = slice(15, 25)
    expected = float(whole.mean(dim=0)[peak] @ share[peak])
    error = float((whole[:, peak] @ share[peak]).std()) / 2000**0.5
    measured = left.double().cpu()[:, peak].sum(dim=1)
    error = math.hypot(error, float(measured.std()) / 2000**0.5)
    # Second order in an rms of 5 per cent.
    assert abs(float(measured.mean()) - expected) < 5 * error + 0.02 * expected
    far = left[:, 100:].double().mean(dim=1)
    assert abs(z_score(far, 0.0)) < 5


def test_a_light_curve_does_not_repeat(device, generator):
    """If it were periodic, its last bin would be like its first."""
    parameters = torch.tensor([0.3, 5.0, 10.0, 5e5], device=device).expand(500, 4)
    simulate = DeadTimeSimulator(exposure=2.0, dead_time=0.0, n_detectors=1)
    counts = simulate.light_curves(parameters, generator)[:, 0].cpu()
    counts = (counts - counts.mean(dim=0)) / counts.std(dim=0)
    assert (counts[:, 0] * counts[:, 1]).mean() > 0.9
    assert (counts[:, 0] * counts[:, -1]).mean() < 0.9


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"exposure": 10.001}, "no whole number of bins"),
        ({"exposure": 0.01}, "three at"),
        ({"exposure": math.nan}, "exposure must be a positive number of seconds, not nan"),
        ({"exposure": math.inf}, "exposure must be a positive number of seconds, not inf"),
        ({"bin_size": 0}, "bin_size must be a positive number of seconds, not 0"),
        ({"segment": 20.0}, "it needs at least 3 bins, and no more than"),
        (
            {"dead_time": -1.0},
            "dead_time .s., if no distribution such as NUSTAR, must be a number from 0",
        ),
        ({"n_detectors": 0}, "n_detectors must be a whole number of at least 1, not 0"),
        ({"n_detectors": 1.5}, "n_detectors must be a whole number of at least 1, not 1.5"),
        ({"n_detectors": 1, "summary": "cospectrum"}, "use n_detectors=2, not 1"),
        ({"summary": "bispectrum"}, "summary must be"),
        ({"log_f": -1.0}, "f must be a growth"),
    ],
)
def test_wrong_set_ups_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        DeadTimeSimulator(**arguments)


@pytest.mark.parametrize(
    ("theta", "says"),
    [
        (torch.tensor([0.3, 20.0, 10.0, 0.0]), "last column of theta"),
        (torch.tensor([0.3, 20.0, 10.0, math.nan]), "last column of theta"),
        (torch.tensor(3.0), "theta must be a tensor"),
        (torch.tensor([1, 20, 10, 500]), "theta must be a tensor"),
        (torch.tensor([-0.3, 20.0, 10.0, 500.0]), "rms must be"),
    ],
)
def test_wrong_parameters_are_refused(theta, says):
    with pytest.raises(ValueError, match=says):
        DeadTimeSimulator(exposure=1.0)(theta)
