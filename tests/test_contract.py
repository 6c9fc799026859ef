"""All simulators, models and recipes keep one contract; and the contract finds whoever does not."""

import runpy
from pathlib import Path

import pytest
import torch
from contract import between, check_simulator, seeded

from helpers.ccd import ACIS, EROSITA, chandra_dither
from helpers.dead_time import NUSTAR, DeadTimeSimulator, count_detected, qpo
from helpers.light_curves import lorentzian, power_law_noise, simulate_light_curves
from helpers.pile_up import (
    PileUpSimulator,
    absorbed_blackbody,
    absorbed_power_law,
    davis_spectrum,
)
from helpers.spectra import (
    Response,
    absorption,
    blackbody,
    cutoff_power_law,
    disc_blackbody,
    power_law,
)

RECIPES = sorted((Path(__file__).resolve().parent.parent / "docs/recipes").glob("*.py"))


# ---- what simulates


@pytest.mark.parametrize("n_bins", [64, 65])
def test_light_curves(device, n_bins):
    def simulate(theta, generator):
        def model(frequency):
            return qpo(frequency, theta) + power_law_noise(frequency, 0.1, 1.2, 0.1, 10.0)

        return simulate_light_curves(
            model, n_bins, 0.01, generator=generator, dtype=theta.dtype, device=theta.device
        )

    check_simulator(simulate, between([0.1, 5.0, 3.0], [0.4, 40.0, 30.0], 20, device))


@pytest.mark.parametrize(
    ("dead_time", "paralyzable"), [(2.5e-3, False), (2.5e-3, True), (NUSTAR, False)]
)
@pytest.mark.parametrize("dt", [2e-3, 0.2])  # step by step, and photon by photon
def test_counts_behind_dead_time(device, dead_time, paralyzable, dt):
    def simulate(rate, generator):
        return count_detected(rate, dt, dead_time, generator, paralyzable=paralyzable)

    check_simulator(simulate, between([0.0] * 40, [900.0] * 40, 70, device))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"dead_time": NUSTAR, "n_detectors": 3},
        {"paralyzable": True, "segment": None, "log_f": 0.1},
        {"dead_time": 0.0, "summary": "cospectrum"},
    ],
)
@pytest.mark.parametrize("returns", ["summary", "light_curves"])
def test_periodograms_behind_dead_time(device, options, returns):
    def simulator(memory=None):
        made = DeadTimeSimulator(exposure=2.0, memory=memory, **options)
        return made if returns == "summary" else made.light_curves

    theta = between([0.1, 5.0, 3.0, 500.0], [0.5, 40.0, 30.0, 1500.0], 70, device)
    check_simulator(simulator(), theta, other_memory=(simulator(1), simulator(2**40)))


@pytest.mark.parametrize(
    ("detector", "n_frames", "position"),
    [(ACIS, 600, None), (ACIS, 600, chandra_dither), (EROSITA, 6000, None)],
)
@pytest.mark.parametrize("returns", ["spectra", "events"])
def test_pile_up(device, detector, n_frames, position, returns):
    def simulator(memory=None):
        exposure = n_frames * detector.frame_time
        made = PileUpSimulator(detector, exposure=exposure, position=position, memory=memory)

        def sums_of_events(theta, generator):
            events = made.events(theta, generator)
            columns = torch.stack([part.to(events.energy.dtype) for part in events[1:]], dim=1)
            sums = columns.new_zeros(theta.shape[:-1].numel(), columns.shape[1])
            sums.index_add_(0, events.simulation, columns)
            return sums.reshape(*theta.shape[:-1], columns.shape[1])

        return made if returns == "spectra" else sums_of_events

    theta = between([-12.0, 1.3, 0.1], [-9.5, 3.3, 0.6], 40, device)
    check_simulator(simulator(), theta, other_memory=(simulator(2e6), simulator(2**40)))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipes_of_campaigns(device, recipe):
    made = runpy.run_path(str(recipe))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theta = made["prior"].sample((70,)).to(device)
    # A campaign hands over (n, P), and never nothing.
    check_simulator(made["simulate"], theta, shapes=((1,), (12,)))


# ---- what computes

EDGES = torch.logspace(-1, 1.3, 101, dtype=torch.float64)


def fold(energy_lo, energy_hi, theta):
    """Two channels of a detector that reports a part of the photons too low."""
    area, split = 100 / energy_lo, torch.stack([energy_lo / 30, 0.9 - energy_lo / 30], dim=1)
    edges = theta.new_tensor([0.0, 1.0, 2.0])
    response = Response(energy_lo, energy_hi, area, split, edges[:-1], edges[1:])
    return response.fold(power_law(energy_lo, energy_hi, theta[..., 0], 1.0))


def noise(frequency, _, theta):
    """As if the edges were frequencies."""
    rms, index, centroid, width = theta.unbind(-1)
    narrow = lorentzian(frequency, rms, centroid, width)
    return narrow + power_law_noise(frequency, rms, index, 0.1, 10.0)


def davis(energy_lo, energy_hi, theta):
    lo = torch.linspace(0.2, 8.0, 100, dtype=theta.dtype, device=theta.device)
    photons = power_law(lo, lo + lo.diff()[0], theta[..., 0], 0.1)
    return davis_spectrum(photons, lo, lo + lo.diff()[0], alpha=theta[..., 1])


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [
        (power_law, [-1.0, 0.1], [4.0, 1.0]),
        (cutoff_power_law, [-1.0, 0.5, 0.1], [3.0, 200.0, 1.0]),
        (blackbody, [0.1, 0.1], [3.0, 1.0]),
        (disc_blackbody, [0.1, 10.0], [3.0, 1000.0]),
        (absorption, [0.0], [3.0]),
        (fold, [1.0], [3.0]),
        (noise, [0.1, -1.0, 0.0, 0.5], [0.4, 2.0, 10.0, 5.0]),
        (davis, [1.0, 0.2], [3.0, 1.0]),
        (absorbed_power_law, [-12.0, 1.0, 0.1], [-8.0, 3.0, 2.0]),
        (absorbed_blackbody, [-12.0, 0.05, 0.1], [-8.0, 0.4, 1.0]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_models(device, model, low, high):
    of_theta = model in (fold, noise, davis, absorbed_power_law, absorbed_blackbody)

    def compute(theta, _):
        edges = EDGES.to(theta)
        parameters = (theta,) if of_theta else theta.unbind(-1)
        return model(edges[:-1], edges[1:], *parameters)

    theta = between(low, high, 12, device)
    check_simulator(compute, theta, random=False)
    one_by_one = torch.stack([compute(row, None) for row in theta])
    torch.testing.assert_close(compute(theta, None), one_by_one)


# ---- what breaks it


def good(theta, generator):
    noise = torch.randn(theta.shape, generator=generator, dtype=theta.dtype, device=theta.device)
    return theta + noise


# What the contract says of each, a simulator of theta t and generator g.
BROKEN = {
    "input": lambda t, g: good(t.mul_(2), g),
    "device": lambda t, g: good(t, g).to("meta"),
    r"shapes: theta \(\)": lambda t, g: good(t, g).reshape(-1, 4),
    r"shapes: theta \(0,\)": lambda t, g: good(t if t.numel() else t.new_zeros(1, 4), g),
    r"shapes: theta \(3, 4\) gives other": lambda t, g: good(t.flip(0) if t.ndim > 1 else t, g),
    "dtype": lambda t, g: good(t, g).double(),
    "generator: the same seed|shapes": lambda t, _: good(t, seeded(seed=next(COUNTER))),
    "generator: another seed": lambda t, _: good(t, seeded()),
    "global generator: it was used": lambda t, g: good(t + 0 * torch.rand(()), g),
    "global generator: it changes": lambda t, g: good(t, g) + torch.initial_seed() % 1000,
    "strides": lambda t, g: good(t.as_strided(t.shape, t.contiguous().stride()), g),
}
COUNTER = iter(range(1000))


def test_a_good_simulator_passes(device):
    theta = between([0.0] * 4, [1.0] * 4, 20, device)
    check_simulator(good, theta, other_memory=(good,))
    with pytest.raises(AssertionError, match="memory"):
        check_simulator(good, theta, other_memory=(lambda *inputs: good(*inputs) + 1e-6,))


@pytest.mark.parametrize(("clause", "simulate"), BROKEN.items(), ids=list(BROKEN))
def test_a_broken_one_is_found(clause, simulate):
    with pytest.raises(AssertionError, match=clause):
        check_simulator(simulate, between([0.0] * 4, [1.0] * 4, 20, "cpu"))
