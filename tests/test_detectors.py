"""Detectors as they are, against a loop that takes photon by photon, and closed forms.

What is kept of the events, background and vetoes that cost dead time, unequal detectors, live time,
light curves as long as real pointings. Monte Carlo tolerances are five standard errors.
"""

import itertools
import math
import subprocess
import sys
import warnings

import numba
import numpy as np
import pytest
import torch
from contract import seeded, z_score
from scipy.fft import next_fast_len

from helpers import dead_time
from helpers.dead_time import NUSTAR, Background, DeadTimeSimulator, count_detected, qpo
from helpers.dead_time_theory import detected_rate, incident_rate, signal_transfer, white_noise
from helpers.light_curves import averaged_periodogram, simulate_light_curves

TAU = 2.5e-3
BACKGROUND = Background(300.0, kept=0.5)
VETO = Background(100.0, kept=0.0, dead_time=4e-3)
KINDS = [
    pytest.param(TAU, False, (), id="a band"),
    pytest.param(TAU, False, BACKGROUND, id="background"),
    pytest.param(TAU, False, (BACKGROUND, VETO), id="vetoes"),
    pytest.param(NUSTAR, False, (BACKGROUND, VETO), id="variable"),
    pytest.param(TAU, True, BACKGROUND, id="paralyzable"),
    pytest.param(TAU, True, (BACKGROUND, VETO), id="paralyzable vetoes"),
    pytest.param(0.0, False, (BACKGROUND, VETO), id="only vetoes"),
    pytest.param(0.0, False, BACKGROUND, id="none"),
]


def several(background):
    return (background,) if isinstance(background, Background) else background


def loop(draw, edges, rate, tau, background, kept, paralyzable):
    """Times of the events that are kept, and of the start and end of each blind time, one by one.

    Args:
        edges: (n,) times at which the rate is known, from 0; one that comes twice is a step.
        rate: (n,) of the source there, straight lines between.
    """
    peak, end = rate.max(), edges[-1]
    times = draw.uniform(0, end, draw.poisson(peak * end))
    there = np.interp(times, edges, rate) > draw.uniform(0, peak, len(times))
    # Numbers of Python: numpy's are three times slower.
    events = [(t, 0) for t in times[there].tolist()]
    for number, one in enumerate(several(background), start=1):
        times = draw.uniform(0, end, draw.poisson(one.rate * end)).tolist()
        events += [(t, number) for t in times]
    shares = [kept, *(b.kept for b in several(background))]
    own = [tau, *(tau if b.dead_time is None else b.dead_time for b in several(background))]
    taus = itertools.repeat(None)
    if tau is NUSTAR:
        generator = torch.Generator().manual_seed(int(draw.integers(2**31)))
        taus = NUSTAR.sample((len(events),), generator).tolist()
    blind_until, seen, blind = -math.inf, [], []
    coins = draw.random(len(events)).tolist()
    for (time, kind), coin, varying in zip(sorted(events), coins, taus, strict=False):
        cost = varying if own[kind] is NUSTAR else own[kind]
        registered = time >= blind_until
        if registered and coin < shares[kind]:
            seen.append(time)
        if registered or paralyzable:
            start = time if registered else blind_until
            blind_until = max(time + cost, start)
            blind.append((start, blind_until))
    return np.array(seen), np.array(blind).reshape(-1, 2)


def live_in(bins, blind):
    """How much of each bin lies in none of these blind times, s: a sum over all of them."""
    start, end = blind[:, :1], blind[:, 1:]
    lost = np.minimum(end, bins[1:]) - np.maximum(start, bins[:-1])
    return np.diff(bins) - lost.clip(min=0).sum(0)


# Shorter than the dead time, and much longer: where one random number does not do.
@pytest.mark.parametrize("dt", [1e-3, 0.1])
@pytest.mark.parametrize(("tau", "paralyzable", "background"), KINDS)
def test_counts_and_live_time_are_those_of_a_loop(device, tau, paralyzable, background, dt):
    n = round(0.4 / dt)
    light = 600 + 400 * torch.sin(torch.arange(n, device=device) * 7.0)
    options = dict(paralyzable=paralyzable, kept=0.3, background=background)
    counts, live = count_detected(
        light.expand(3000, n), dt, tau, seeded(device), live=True, **options
    )
    assert counts.shape == live.shape == (3000, n)
    assert (live >= 0).all()
    assert (live <= dt).all()
    draw = np.random.default_rng(1)
    bins = np.arange(n + 1) * dt
    edges, rate = np.repeat(bins, 2)[1:-1], np.repeat(light.cpu().double().numpy(), 2)
    seen, alive = [], []
    for _ in range(200):
        times, blind = loop(draw, edges, rate, tau, background, 0.3, paralyzable)
        seen.append(np.histogram(times, bins)[0])
        alive.append(live_in(bins, blind))
    for ours, theirs in ((counts, np.array(seen)), (live, np.array(alive))):
        ours = ours.cpu().double().numpy()
        for of in (
            lambda x: x.sum(1),
            lambda x: (x[:, : n // 2].sum(1) - x.sum(1).mean() / 2) ** 2,
        ):
            a, b = of(ours), of(theirs)
            error = math.hypot(a.std() / len(a) ** 0.5, b.std() / len(b) ** 0.5)
            assert abs(a.mean() - b.mean()) < 5 * error + 1e-5 * abs(b.mean()) + 1e-9  # float32
    # In each bin as many as its rate gives in its live time, whatever has been before.
    arriving = 0.3 * light + sum(b.kept * b.rate for b in several(background))
    surplus = (counts - arriving * live).double().sum(1)
    assert abs(z_score(surplus, 0.0)) < 5


@pytest.mark.parametrize(("tau", "paralyzable", "background"), KINDS)
def test_rates_of_what_is_kept(tau, paralyzable, background):
    options = dict(kept=0.3, background=background)
    steady, n = torch.full((4000, 500), 600.0), 100
    counts = count_detected(steady, 1e-3, tau, seeded(), paralyzable=paralyzable, **options)
    mean = tau.mean if tau is NUSTAR else tau
    expected = detected_rate(600.0, mean, paralyzable, **options)
    assert abs(z_score(counts[:, n:].sum(1) / 0.4, expected)) < 5
    if not paralyzable:
        assert incident_rate(expected, mean, **options) == pytest.approx(600.0)
    with pytest.raises(ValueError, match="less than one event"):
        incident_rate(0.31 / 2.4e-3, 2.4e-3, kept=0.3)
    with pytest.raises(ValueError, match="background alone"):
        incident_rate(5.0, TAU, background=Background(10.0))


@pytest.mark.parametrize(("tau", "paralyzable", "background"), KINDS)
def test_noise_is_that_of_a_loop(tau, paralyzable, background):
    options = dict(paralyzable=paralyzable, kept=0.4, background=background)
    if paralyzable and background != BACKGROUND:
        with pytest.raises(ValueError, match="no formula"):
            white_noise(torch.ones(3), 700.0, tau, **options)
        return
    draw, dt, powers = np.random.default_rng(3), 1e-3, []
    for _ in range(150):
        times, _ = loop(
            draw, np.array([0.0, 4.2]), np.full(2, 700.0), tau, background, 0.4, paralyzable
        )
        counts = np.histogram(times, 0.2 + np.arange(4001) * dt)[0]
        frequency, power = averaged_periodogram(torch.as_tensor(counts).double(), dt, 1.0)
        powers.append(power.numpy())
    expected = white_noise(frequency, 700.0, tau, bin_size=dt, **options).numpy()
    z = z_score(np.array(powers).reshape(150, -1)[:, :480].reshape(150, 16, 30).mean(2),
                expected[:480].reshape(16, 30).mean(1))  # fmt: skip
    assert abs(z).max() < 5


def test_a_background_with_the_sources_dead_time_is_one_without_its_own():
    frequency = torch.linspace(0.0, 900.0, 40)
    one, same = Background(200.0, 0.2), Background(200.0, 0.2, TAU)
    for function in (white_noise, signal_transfer):
        torch.testing.assert_close(
            function(frequency[1:], 500.0, TAU, kept=0.6, background=one),
            function(frequency[1:], 500.0, TAU, kept=0.6, background=[same]),
        )


@pytest.mark.parametrize(("tau", "paralyzable", "background"), KINDS)
def test_sines_are_left_as_theory_says(tau, paralyzable, background):
    """A slow one and a fast one together: to first order neither knows of the other."""
    options = dict(paralyzable=paralyzable, kept=0.4, background=background)
    rate, dt, size = 300.0, 2e-4, 0.2
    n = 5000
    # The mean of the sines over each bin, and fine bins: what steps do is tested elsewhere.
    time = (torch.arange(n, dtype=torch.float64) + 0.5) * dt
    phases = {frequency: 2 * math.pi * frequency * time for frequency in (20.0, 250.0)}
    light = rate * (1 + size * sum(phase.cos() for phase in phases.values()))
    counts = count_detected(light.float().expand(4000, n), dt, tau, seeded(), **options)
    for frequency, phase in phases.items():
        waves = torch.stack([phase.cos(), -phase.sin()], dim=1)
        waves[:500] = 0
        real, imaginary = (counts @ waves.to(counts)).double().T
        amplitude = torch.complex(real, imaginary) * 2 / counts[:, 500:].sum(1)
        expected = signal_transfer(torch.tensor([frequency]), rate, tau, **options)[0] * size
        for part in (torch.real, torch.imag):
            found = part(amplitude).numpy()
            error = found.std() / len(found) ** 0.5
            # To first order in the size of the sine, and in that of the bins, half of one late.
            assert abs(found.mean() - float(part(expected))) < 5 * error + 0.02 * abs(expected)


@pytest.mark.parametrize("paralyzable", [False, True])
@pytest.mark.parametrize("bin_size", [1e-3, 0.2])
def test_rates_of_unequal_detectors(device, paralyzable, bin_size):
    theta = torch.tensor([0.01, 2.0, 10.0, 500.0], device=device).expand(300, 4)
    simulate = DeadTimeSimulator(
        10.0, bin_size, segment=2.0, paralyzable=paralyzable, relative_rates=[1.6, 0.4]
    )
    counts = simulate.light_curves(theta, seeded(device))
    for detector, rate in enumerate((800.0, 200.0)):
        found = counts[:, detector].sum(-1) / 10.0
        assert abs(z_score(found, detected_rate(rate, TAU, paralyzable))) < 5


def test_unequal_detectors(device):
    """1000/s and 500/s: the mean that the model was thought to need gave 711/s of 750/s."""
    theta = torch.tensor([0.01, 20.0, 10.0, 1000.0], device=device).expand(300, 4)
    options = dict(bin_size=1e-3, relative_rates=[1.0, 0.5])
    total = sum(detected_rate(rate, TAU) for rate in (1000.0, 500.0))
    simulate = DeadTimeSimulator(**options)
    power = simulate(theta, seeded(device, 2))
    noise = (
        sum(
            detected_rate(rate, TAU) * white_noise(simulate.frequencies, rate, TAU, bin_size=1e-3)
            for rate in (1000.0, 500.0)
        )
        / total**2
    )
    bands = slice(100, 480)
    found = power[:, bands].cpu().double().mean(1)
    # Zhang's taper, and the faint signal: a part in a thousand here.
    error = found.std() / len(found) ** 0.5
    assert abs(found.mean() - noise[bands].mean()) < 5 * error + 2e-3 * noise[bands].mean()
    both = DeadTimeSimulator(summary="cospectrum", **options)(theta, seeded(device, 3))
    assert abs(z_score(both[:, bands].double().mean(1).cpu(), 0.0)) < 5


@pytest.mark.parametrize(
    ("bin_size", "centroid", "rate", "options"),
    [
        (5e-3, 80.0, 1000.0, {}),
        (2.5e-3, 160.0, 1000.0, {}),
        (5e-4, 800.0, 1000.0, {}),
        (5e-3, 80.0, 600.0, {"kept": 0.5, "background": (BACKGROUND, VETO)}),
        (5e-3, 80.0, 300.0, {"paralyzable": True}),
        (5e-3, 60.0, 300.0, {"paralyzable": True, "background": VETO}),
        (5e-3, 80.0, 1000.0, {"dead_time": NUSTAR, "kept": 0.5}),
    ],
)
def test_power_is_right_up_to_the_nyquist_frequency(device, bin_size, centroid, rate, options):
    """Within two per cent of a loop over photons of a light curve in steps that are much finer."""
    theta = torch.tensor([0.3, centroid, 10.0, rate], dtype=torch.float64)
    simulate = DeadTimeSimulator(bin_size=bin_size, exposure=4.0, n_detectors=1, **options)
    # So many of both that the error of their difference takes the least time: a loop takes a hundred times as long.
    ours = simulate(theta.float().to(device).expand(1000, 4), seeded(device)).cpu()
    draw, generator = np.random.default_rng(4), seeded()
    step = bin_size / (8 if bin_size < 1e-3 else 40)
    n = round(4.2 / step) + 1
    twice = next_fast_len(2 * n, real=True)
    shares = {"kept": 1.0, "background": (), "paralyzable": False, "dead_time": TAU, **options}
    theirs = []
    for _ in range(110):
        light = simulate_light_curves(
            lambda f: qpo(f, theta), twice, step, generator=generator, dtype=torch.float64
        )[:n].clamp(min=0)
        times, _ = loop(
            draw, np.arange(n) * step, (rate * light).numpy(), shares["dead_time"],
            shares["background"], shares["kept"], shares["paralyzable"],
        )  # fmt: skip
        bins = 0.2 + np.arange(simulate.n_bins + 1) * bin_size
        counts = torch.as_tensor(np.histogram(times, bins)[0])
        theirs.append(averaged_periodogram(counts.double(), bin_size, 1.0, "fractional")[1])
    near = abs(simulate.frequencies - centroid) < centroid / 8
    ours, theirs = ours[:, near].double().mean(1), torch.stack(theirs)[:, near].mean(1)
    error = math.hypot(ours.std() / len(ours) ** 0.5, theirs.std() / len(theirs) ** 0.5)
    assert abs(ours.mean() - theirs.mean()) < 5 * error + 0.02 * theirs.mean()


@numba.njit
def count(rate, step, bin_size, counts, draw):
    """Counts (n_detectors, n_bins) photon by photon, after a run-up; the rate is straight in steps."""
    first = round((len(rate) - 1) * step / bin_size) - counts.shape[1]
    for detector in range(len(counts)):
        time, blind_until, peak = 0.0, 0.0, rate.max()
        while True:
            time += draw.exponential(1 / peak)
            i = int(time / step)
            if i >= len(rate) - 1:
                break
            there = rate[i] + (rate[i + 1] - rate[i]) * (time / step - i)
            if draw.random() * peak < there and time >= blind_until:
                blind_until = time + TAU
                if time >= first * bin_size:
                    counts[detector, int(time / bin_size) - first] += 1


def of_loop(simulate, theta, n):
    """Counts (n, 2, n_bins) of a loop over photons, of light curves in much finer steps."""
    parts = 24 if simulate.bin_size < 5 * TAU else 80
    step, n_bins = (
        simulate.bin_size / parts,
        simulate.n_bins + math.ceil(20 * TAU / simulate.bin_size),
    )
    long = next_fast_len(3 * n_bins * parts // 2, real=True)
    draw, generator, counts = np.random.default_rng(4), seeded(), np.zeros((n, 2, simulate.n_bins))
    many, options = (
        theta.double().cpu().expand(20, 4),
        dict(generator=generator, dtype=torch.float64),
    )
    for first in range(0, n, 20):
        light = simulate_light_curves(lambda f: qpo(f, many), long, step, **options)
        rate = light[:, : n_bins * parts + 1].clamp(min=0) * many[:, 3:]
        for one, into in zip(rate.numpy(), counts[first : first + 20], strict=True):
            count(one, step, simulate.bin_size, into, draw)
    return torch.from_numpy(counts)


def shortfalls(simulate, theta, ours, theirs):
    """What counts have less of the power near ν₀ than others, and its error: periodogram, cospectrum."""
    near, found = abs(simulate.frequencies - theta[1].item()) < theta[1].item() / 8, {}
    for summary in ("periodogram", "cospectrum"):
        simulate.summary = summary
        a, b = (simulate.summarise(x)[:, near].cpu().double().mean(1) for x in (ours, theirs))
        error = math.hypot(*(float(x.std() / x.mean()) / len(x) ** 0.5 for x in (a, b)))
        found[summary] = 1 - float(a.mean() / b.mean()), error
    return found


# Bins of τ/4 to 20 τ. What lines lose depends on where the power is, and on how blind the detectors are.
@pytest.mark.parametrize(
    ("bins", "rms", "of_nyquist", "blind", "much"),
    [
        (0.25, 0.7, 0.6, 8.0, True),
        (0.5, 0.7, 0.5, 2.5, True),
        (2 / 3, 0.7, 0.6, 2.5, True),
        (1, 0.7, 0.9, 2.5, True),
        (20, 0.5, 0.8, 0.5, True),
        (0.25, 0.4, 0.3, 2.5, False),
        (0.5, 0.3, 0.5, 2.5, False),
        (1, 0.5, 0.3, 0.25, False),
        (2, 0.5, 0.5, 2.5, False),
        (20, 0.3, 0.5, 0.5, False),
    ],
)
def test_where_lines_lose_power_steps_are_finer(
    device, monkeypatch, bins, rms, of_nyquist, blind, much
):
    """Of both summaries. A loop sees what lines lose where it is much, and nothing of it elsewhere."""
    nyquist = 0.5 / (bins * TAU)
    theta = torch.tensor([rms, of_nyquist * nyquist, 4.0, blind / TAU], device=device)
    simulate = DeadTimeSimulator(200 * bins * TAU, bins * TAU, 100 * bins * TAU, TAU)
    n = (3000 if much else 1000) if bins < 20 else 800
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = simulate.light_curves(theta.expand(3 * n, 4), seeded(device))
    theirs = of_loop(simulate, theta, n)
    for lost, error in shortfalls(simulate, theta, ours, theirs).values():
        assert abs(lost) < 0.02 + 5 * error
    monkeypatch.setattr(dead_time, "_MOST_LOST", math.inf)
    lines = simulate.light_curves(theta.expand(3 * n, 4), seeded(device))
    assert torch.equal(lines, ours) != much
    for lost, error in shortfalls(simulate, theta, lines, theirs).values():
        assert (lost > 5 * error) == much


@pytest.mark.parametrize(("blind", "beyond"), [(2.5, False), (20.0, True)])
def test_where_fine_steps_lose_power_it_is_said(device, blind, beyond):
    theta = torch.tensor([0.5, 9.0, 4.0, blind / TAU], device=device)
    simulate = DeadTimeSimulator(200 * 0.05, 0.05, 100 * 0.05, TAU)
    rows = torch.stack([theta * torch.tensor([0.1, 1, 1, 1], device=device), theta])
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        simulate(rows)
        ours = simulate.light_curves(theta.expand(6000, 4), seeded(device))
    assert len(said) == 2 * beyond
    if beyond:
        text = str(said[0].message)
        assert said[0].filename == __file__
        assert "1 of 2 simulations" in text
        assert f"row 1, theta = {theta.tolist()}" in text
        assert "bin_size=0.025 or less" in text
    finer = DeadTimeSimulator(simulate.exposure, 0.05 / 5, simulate.segment, TAU)
    theirs = finer.light_curves(theta.expand(6000, 4), seeded(device, 1))
    theirs = theirs.unflatten(-1, (-1, 5)).sum(-1)
    for lost, error in shortfalls(simulate, theta, ours, theirs).values():
        assert lost > max(0.02, 5 * error) if beyond else lost < 0.02 + 5 * error


@pytest.mark.parametrize("exposure", [3.0, 150.0])
def test_rows_in_finer_steps_change_no_other(device, monkeypatch, exposure):
    """However much memory there is, and in pieces, of which the last is shorter."""
    rows = torch.tensor([[0.1, 300.0, 10.0, 900.0], [0.6, 450.0, 10.0, 900.0]], device=device)
    rows, settings = rows.repeat(20, 1)[: 40 if exposure < 10 else 6], (exposure, 1e-3, 1.0)
    simulate = DeadTimeSimulator(*settings)
    counts = simulate.light_curves(rows, seeded(device))
    powers = simulate(rows, seeded(device))
    torch.testing.assert_close(simulate.summarise(counts), powers, rtol=2e-3, atol=0)
    small = DeadTimeSimulator(*settings, memory=2**16)
    assert torch.equal(small.light_curves(rows, seeded(device)), counts)
    monkeypatch.setattr(dead_time, "_MOST_LOST", math.inf)
    lines = simulate.light_curves(rows, seeded(device))
    assert (lines == counts).flatten(1).all(1).tolist() == [True, False] * (len(rows) // 2)


@pytest.mark.parametrize("centroid", [20.0, 50.0, 80.0])
def test_without_dead_time_straight_lines_leave_the_power_in_bins(device, centroid):
    """Two steps in a bin: at 0.8 of the Nyquist frequency lines between nodes leave 75 per cent."""
    theta = torch.tensor([0.1, centroid, 30.0, 1e6], device=device)
    simulate = DeadTimeSimulator(dead_time=0.0, n_detectors=1)
    power = simulate(theta.expand(2000, 4), seeded(device)).cpu().double()
    near = abs(simulate.frequencies - centroid) < 10.5
    found = power[:, near].sum(1)
    fine = torch.linspace(centroid - 10.5, centroid + 10.5, 2101, dtype=torch.float64)
    left = qpo(fine, theta.cpu().double()) * torch.sinc(fine * simulate.bin_size).square()
    expected = float(left.mean()) * 21
    # Leakage of the segments out of the band, and tails that alias into it.
    assert (
        abs(float(found.mean()) - expected) < 5 * float(found.std()) / 2000**0.5 + 0.01 * expected
    )


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize(("walked", "per_draw"), [(1, 1), (3, 1), (1, 2), (2, 3)])
@pytest.mark.parametrize("full", [False, True])
def test_the_compiled_walk_is_the_one_of_tensors(varies, walked, per_draw, full):
    generator = seeded()
    n_rates, detectors = 40, (2, 50)
    n_steps = n_rates * walked
    shape = math.ceil(n_steps / per_draw), *detectors
    nodes = torch.rand(n_rates + 1, 50, generator=generator) * 4000
    nodes[:, 0] = 0
    begin, end = nodes[:-1], nodes[1:] if full else nodes[:-1]
    tau = 3e-3 * (1 + torch.rand(shape if varies else (1, *detectors), generator=generator))
    blind_until = torch.rand(detectors, generator=generator) * 2e-3
    wait = torch.empty(shape).exponential_(generator=generator)
    which = torch.rand(shape, generator=generator) if full else None
    relative = torch.tensor([1.0, 0.7] if full else [1.0, 1.0])
    kinds = torch.tensor([[math.nan, 0.6, math.nan], [400.0, 0.3, math.nan], [200.0, 0.0, 5e-3]])
    kinds = kinds[: 3 if full else 1]
    edges = torch.arange(n_steps + 1) * (1e-3 / walked)
    results = []
    for walk, array in (
        (dead_time.walk_abreast, torch.clone),
        (dead_time.walk_compiled, lambda x: x.clone().numpy()),
    ):
        seen, blind = array(torch.zeros(20, *detectors)), array(blind_until)
        alive = array(torch.zeros(20, *detectors)) if full else None
        given = (
            None if x is None else array(x) for x in (wait, which, begin, end, relative, kinds)
        )
        walk(seen, alive, blind, *given, array(tau), array(edges), per_draw)
        results.append([torch.as_tensor(x) for x in (seen, blind, alive) if x is not None])
    assert results[0][0].sum() > 100
    # Rounding may put an event beyond an edge, rarely.
    assert (results[0][0] != results[1][0]).float().mean() < 2e-3
    for one, other in zip(*results, strict=True):
        assert (~torch.isclose(one, other, rtol=1e-4, atol=1e-6)).float().mean() < 2e-3


# ---- long light curves


def test_twenty_kiloseconds_fit_into_the_memory_that_is_given():
    """At 0.5 ms: 40 million bins of each detector, which would take 6 GB."""
    code = """
import resource, torch
from helpers.dead_time import DeadTimeSimulator
torch.set_num_threads(1)
theta = torch.tensor([[0.3, 20.0, 10.0, 1000.0]])
short = DeadTimeSimulator(exposure=70.0, bin_size=5e-4, memory=2**20)(theta)  # what starts once
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
long = DeadTimeSimulator(exposure=20e3, bin_size=5e-4, memory=2**25)(theta)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 2**25, *long.shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    share, *shape = map(float, done.stdout.split())
    assert shape == [1, 999]
    assert share < 1.5


def test_pieces_are_summarised_as_the_whole(monkeypatch, device):
    """What a long simulation returns is the summary of its light curves, which pieces fill in order."""
    whole = dict(exposure=10.3, bin_size=5e-3)
    theta = torch.tensor([[0.4, 20.0, 10.0, 800.0], [0.4, 8.0, 10.0, 20.0]], device=device)
    theta = theta.repeat(20, 1)
    uncut = DeadTimeSimulator(**whole)
    monkeypatch.setattr(dead_time, "_MOST_TOGETHER", 4000)
    for summary, log_f in (("periodogram", None), ("cospectrum", 0.05)):
        simulate = DeadTimeSimulator(summary=summary, log_f=log_f, **whole)
        counts, live = simulate.light_curves(theta, seeded(device), live=True)
        assert counts.shape == live.shape == (40, 2, 2060)
        assert torch.equal(simulate.n_averaged, DeadTimeSimulator(log_f=log_f, **whole).n_averaged)
        found = simulate(theta, seeded(device))
        torch.testing.assert_close(found, simulate.summarise(counts), rtol=1e-4, atol=1e-7)
        for other in (1, 2**30):
            again = DeadTimeSimulator(summary=summary, log_f=log_f, memory=other, **whole)
            assert torch.equal(again(theta, seeded(device)), found)
    # Bins of different pieces are of independent light curves, those of one piece are not.
    bright = torch.tensor([0.4, 20.0, 10.0, 1e5], device=device).expand(2000, 4)
    many = DeadTimeSimulator(dead_time=0.0, n_detectors=1, **whole)
    many = many.light_curves(bright, seeded(device))[:, 0].double().cpu()
    inside, across = (float(torch.corrcoef(many[:, [i, i + 10]].T)[0, 1]) for i in (100, 1995))
    assert inside > 0.5
    assert abs(across) < 5 / 2000**0.5
    # And they have the power of the whole.
    cut = DeadTimeSimulator(**whole)(theta[:1].expand(1000, 4), seeded(device)).cpu()
    uncut = uncut(theta[:1].expand(1000, 4), seeded(device, 2)).cpu()
    one, other = (x[:, 15:25].double().mean(1) for x in (cut, uncut))
    error = math.hypot(one.std(), other.std()) / 1000**0.5
    assert abs(one.mean() - other.mean()) < 5 * error


def test_an_empty_simulation_ends_no_call(device):
    theta = torch.tensor([[0.3, 20.0, 10.0, 500.0], [0.3, 20.0, 10.0, 1e-6]], device=device)
    simulate = DeadTimeSimulator(exposure=2.0)
    with pytest.warns(
        UserWarning, match="1 of 2 simulations have a detector without a single count"
    ):
        power = simulate(theta, seeded(device))
    assert power[0].isfinite().all()
    assert power[1].isnan().all()
    assert torch.equal(power[0], simulate(theta[:1], seeded(device))[0]) or len(theta) < 32
    assert simulate.light_curves(theta, seeded(device))[1].sum() == 0


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Background(-1.0), "rate of a Background must be a number from 0"),
        (lambda: Background(math.nan), "rate of a Background"),
        (lambda: Background(1.0, kept=1.1), "kept of a Background must be a number from 0 up to 1"),
        (lambda: Background(1.0, dead_time=-1e-3), "dead_time of a Background"),
        (lambda: DeadTimeSimulator(kept=0.0), "kept=0 keeps none"),
        (lambda: DeadTimeSimulator(kept=30), "kept must be a number from 0 up to 1"),
        (lambda: DeadTimeSimulator(background=10.0), "background must be a Background"),
        (lambda: DeadTimeSimulator(background=[10.0]), "such as Background"),
        (lambda: DeadTimeSimulator(relative_rates=[1.0]), "relative_rates must be 2 positive"),
        (lambda: DeadTimeSimulator(relative_rates=[1.0, 0.0]), "relative_rates must be 2 positive"),
        (lambda: white_noise(torch.ones(2), 1.0, TAU, background="rate"), "must be a Background"),
    ],
)
def test_what_no_detector_has_is_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()
