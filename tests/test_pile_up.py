"""The simulator of pile-up against exact rates, Davis' spectrum, and what must be conserved.

Every Monte Carlo tolerance is five standard errors, which the sample itself or theory gives.
"""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from contract import between, seeded, z_score
from scipy import stats
from test_ccd import islands

from helpers.ccd import ACIS, EROSITA, PN, XRT_PC, chandra_dither
from helpers.data import load_response
from helpers.pile_up import (
    PileUpSimulator,
    absorbed_blackbody,
    absorbed_power_law,
    davis_spectrum,
)
from helpers.spectra import Response, energy_flux

# Without noise, thresholds or split charge: each photon fills just the pixel that it hits.
PLAIN = replace(
    EROSITA, cloud_scale=0.0, readout_noise=0.0, fano=0.0, event_threshold=0.0, split_threshold=0.0,
    upper_limit=1e9,
)  # fmt: skip
# All photons in the middle of one pixel.
POINT = {"psf_core": 1e-5, "psf_slope": 3.0}
LAMP = {"psf_core": math.inf}
CENTRED = {"position": (0.0, 0.0)}
THROWN = 2**20  # photons that measure a response
UNIT_AREA = ((0.01, 1.0), (100.0, 1.0))


def flat(energy_lo, energy_hi, theta):
    """A spectrum with the same number of photons in each bin, theta of them per second and cm²."""
    return theta[..., :1].expand(*theta.shape[:-1], len(energy_lo)) / len(energy_lo)


def counting(detector, n_frames, **options):
    """A simulator whose theta is the number of photons per frame, and all frames last a second."""
    detector = replace(detector, frame_time=1.0, area=UNIT_AREA)
    options = {"energies": (2.0, 2.1, 0.1), **options}
    return PileUpSimulator(detector, flat, float(n_frames), **options)


def load(value, n, device, dtype=torch.float32):
    return torch.full((n, 1), value, device=device, dtype=dtype)


def per_simulation(events, mask, n):
    return torch.bincount(events.simulation[mask], minlength=n).cpu().double().numpy()


# ---- one cell, and many under the same light


@pytest.mark.parametrize("rate", [0.05, 0.5, 2.0, 6.0])
@pytest.mark.parametrize("rule", ["islands", "acis"])
def test_one_cell(device, rate, rule):
    n, n_frames = 64, 400
    simulate = counting(replace(PLAIN, rule=rule, grades=(0, 1), **POINT), n_frames, **CENTRED)
    events = simulate.events(load(rate, n, device), seeded(device))
    assert events.valid.all()
    detected = per_simulation(events, events.valid, n) / n_frames
    assert abs(z_score(detected, -math.expm1(-rate))) < 5
    piled = per_simulation(events, events.n_photons > 1, n) / n_frames
    assert abs(z_score(piled - detected * (1 - rate / math.expm1(rate)), 0.0)) < 5
    # One frame has one event, and energies are sums.
    pairs = events.simulation * n_frames + events.frame
    assert (pairs.diff() > 0).all()
    mean = events.energy.double() / events.n_photons
    assert ((mean > 2.0 - 1e-5) & (mean < 2.1 + 1e-5)).all()


@pytest.mark.parametrize(("rule", "neighbours", "single"), [("islands", 4, 1), ("acis", 8, 0)])
@pytest.mark.parametrize("rate", [0.02, 0.2, 0.6])
def test_singles_under_a_lamp(device, rule, neighbours, single, rate):
    n, n_frames = 100, 20
    simulate = counting(replace(PLAIN, rule=rule, **LAMP), n_frames, **CENTRED)
    lit = simulate.side - 4
    events = simulate.events(load(rate * lit**2, n, device), seeded(device))
    x, y = events.x / PLAIN.pixel, events.y / PLAIN.pixel
    inner = (lit - 2) / 2  # with all neighbours in the light
    singles = (events.grade == single) & (x.abs() < inner) & (y.abs() < inner)
    pixels = n_frames * (lit - 2) ** 2
    every = per_simulation(events, singles, n) / pixels
    clean = per_simulation(events, singles & (events.n_photons == 1), n) / pixels
    empty = math.exp(-neighbours * rate)
    assert abs(z_score(every, -math.expm1(-rate) * empty)) < 5
    assert abs(z_score(clean, rate * math.exp(-rate) * empty)) < 5
    piled = 1 - rate / math.expm1(rate)
    assert abs(z_score(every - clean - piled * every, 0.0)) < 5


# ---- what is conserved


@pytest.mark.parametrize("rate", [0.5, 5.0, 200.0])
def test_islands_hold_all_energy(device, rate):
    detector = replace(PLAIN, cloud_scale=0.355)
    simulate = counting(detector, 50, energies=(2.0, 2.002, 0.002))
    events = simulate.events(load(rate, 20, device, torch.float64), seeded(device))
    mean = events.energy / events.n_photons
    # A photon leaves up to 1e-5 keV behind in each of three pixels.
    assert ((mean > 2.0 - 3e-5) & (mean < 2.002 + 1e-9)).all()
    photons = torch.zeros(20, dtype=torch.int64, device=device)
    photons.index_add_(0, events.simulation, events.n_photons)
    assert abs(z_score(photons, rate * 50 * simulate.kept)) < 5
    assert (events.grade == 0).any() or rate < 1


# ---- single photons


@pytest.mark.parametrize("detector", [ACIS, XRT_PC, PN, EROSITA], ids=lambda d: d.name)
def test_without_pile_up_the_spectrum_is_the_folded_one(device, detector):
    annuli = torch.tensor([0.0, 2.0, 5.0, 12.0]) * detector.pixel
    simulate = PileUpSimulator(detector, exposure=1e9, annuli=annuli, position=(0.2, -0.3))
    theta = torch.tensor([-10.0, 1.5, 0.3], device=device)
    # One photon in 1e5 frames, and 5e5 photons.
    theta[0] += torch.log10(1e-5 / simulate.photons(theta).sum())
    simulate.n_frames = int(5e10)
    counts = simulate(theta, seeded(device)).double().cpu()
    lo, hi = simulate.energy_lo.float(), simulate.energy_hi.float()
    folded = simulate.response.fold(absorbed_power_law(lo, hi, theta.cpu())).double()
    expected = simulate.psf_fraction[:, None] * folded * 5e10 * detector.frame_time
    thrown = simulate.response.redistribution.sum(dim=0).double() * THROWN / len(lo)
    assert float(expected.sum()) > 3e5
    for counts_, expected_ in ((counts, expected), (counts.sum(0), expected.sum(0))):
        groups = torch.arange(0, 1024, 8)
        c, e = (x.reshape(*x.shape[:-1], -1, 8).sum(-1) for x in (counts_, expected_))
        t = thrown.reshape(-1, 8).sum(-1).expand_as(e)
        # The response was measured too: with at least as many photons in each group.
        good = (e > 25) & (t > 25)
        z = (c - e)[good] / (e + e**2 / t)[good].sqrt()
        assert len(z) > 0.3 * len(groups)
        assert z.abs().max() < 5
    # And with no error of the response at all.
    assert abs(float(counts.sum() - expected.sum())) < 5 * float(expected.sum()) ** 0.5 * 1.5
    in_annuli = counts.sum(dim=-1) - expected.sum(dim=-1)
    assert (in_annuli.abs() < 5 * 1.5 * expected.sum(dim=-1).sqrt()).all()


@pytest.mark.parametrize("detector", [ACIS, XRT_PC, PN, EROSITA], ids=lambda d: d.name)
@pytest.mark.parametrize("energy", [0.4, 2.0])
def test_grades_of_single_photons_are_those_of_the_split_model(device, detector, energy):
    quiet = replace(detector, readout_noise=0.0, fano=0.0)
    energies = (energy, energy + 1e-4, 1e-4)
    # Many sources, for each keeps its place in a pixel.
    n, n_frames = 1000, 10**10
    simulate = counting(quiet, n_frames, energies=energies)
    events = simulate.events(load(1e-8, n, device), seeded(device))
    # How many pixels are above the threshold, on a fine grid of places, by the shares of four.
    side = (np.arange(2000) + 0.5) / 2000 - 0.5
    if quiet.cloud:
        up = stats.norm.cdf(side, 0, quiet.cloud / quiet.pixel_size)
    else:
        left, right = (np.exp(-((side + d) ** 2) / quiet.cloud_scale**2) for d in (0.5, -0.5))
        up = right / (left + right)
    shares = [np.multiply.outer(a, b) for a in (up, 1 - up) for b in (up, 1 - up)]
    number = sum((share * energy > quiet.split_threshold).astype(int) for share in shares)
    bright = np.maximum.reduce(shares) * energy > quiet.event_threshold
    if quiet.rule == "islands":
        expected = [(bright & (number == k)).mean() for k in (1, 2, 3, 4)]
        found = [events.grade == k for k in (1, 2, 3, 4)]
    else:
        expected = [(bright & (number == k)).mean() for k in (1, 2)]
        expected.append((bright & (number > 2)).mean())
        found = [
            events.grade == 0, (events.grade > 1) & (events.grade < 5), events.grade == 6,
        ]  # fmt: skip
        assert sum(map(int, (f.sum() for f in found))) == len(events.grade)
    for mask, share in zip(found, expected, strict=True):
        number = per_simulation(events, mask, n)
        if share == 0:
            assert number.sum() == 0
        else:
            assert abs(z_score(number, share * 1e-8 * n_frames * simulate.kept)) < 5
    assert set(events.n_photons.tolist()) == {1}


def test_noise_comes_once_for_each_photon_and_each_pixel(device):
    noisy = replace(PLAIN, readout_noise=0.03, fano=0.115, split_threshold=0.5, event_threshold=0.5)
    energies = (6.0, 6.0002, 0.0002)
    simulate = counting(replace(noisy, **POINT), 4000, energies=energies, **CENTRED)
    events = simulate.events(load(1.5, 40, device), seeded(device))
    for n in (1, 2, 3, 4):
        energy = events.energy[events.n_photons == n].double().cpu()
        assert abs(z_score(energy, n * 6.0001)) < 5
        variance = n * 0.115 * 3.65e-3 * 6.0 + 0.03**2
        assert abs(z_score((energy - n * 6.0001) ** 2, variance)) < 5

    response = counting(noisy, 1, energies=(5.99, 6.01, 0.02)).response
    row = response.redistribution[0].double()
    assert float(row.sum()) == pytest.approx(1.0)
    middle = (response.channel_lo + response.channel_hi).double() / 2
    mean = float(row @ middle)
    variance = 0.115 * 3.65e-3 * 6.0 + 0.03**2 + 0.02**2 / 12 + 0.015**2 / 12
    assert abs(mean - 6.0) < 5 * (variance / THROWN) ** 0.5
    assert abs(float(row @ (middle - mean) ** 2) - variance) < 5 * variance * (2 / THROWN) ** 0.5


def test_photons_fall_as_kings_profile_says(device):
    def encircled(radius):
        return 1 - (1 + (radius / XRT_PC.psf_core) ** 2) ** (1 - XRT_PC.psf_slope)

    # With pixels that are small compared with the core, annuli hold what is encircled.
    fine = replace(XRT_PC, pixel=0.5, cloud=0.0)
    radii = np.array([0.0, 2.5, 5.0, 8.0, 12.0, 20.0, 30.0])
    simulate = PileUpSimulator(fine, exposure=100.0, annuli=radii)
    expected = np.diff(encircled(radii))
    np.testing.assert_allclose(simulate.psf_fraction, expected, atol=5 * 0.5 / 2**9)
    edge = (simulate.side // 2 - 2) * fine.pixel
    assert simulate.kept == pytest.approx(encircled(edge))

    # In all directions alike: a quarter turn takes pixels around a centred source to each other.
    events = counting(XRT_PC, 10**7, annuli=[0.0, 60.0], **CENTRED).events(
        load(1e-3, 20, device), seeded(device)
    )
    assert float(torch.hypot(events.x, events.y).max()) < 60.0 + 5 * XRT_PC.pixel
    angle = torch.atan2(events.y, events.x)[torch.hypot(events.x, events.y) > 2 * XRT_PC.pixel]
    quarter = ((angle + math.pi / 4 + 1e-4) / (math.pi / 2)).floor().long() % 4
    assert stats.chisquare(torch.bincount(quarter).cpu()).pvalue > 1e-6


# ---- a source that moves, a point spread and a response of one's own: photon by photon


def by_hand(rate, n, n_frames, reach, radius, path=np.zeros_like, charge=None):
    """Events (simulation, r, energy, photons, valid) of frames of 1 s; each photon fills one pixel.

    `reach`, and radii from uniform numbers, are in pixels; `path` goes from (k, 2) times to places,
    `charge` from numpy's generator and k to the keV of as many photons, or they have 2.0 to 2.1.
    """
    random, found = np.random.default_rng(5), []
    for simulation, frame in np.ndindex(n, n_frames):
        if frame == 0:
            start = random.random(2) - 0.5
        k = random.poisson(rate)
        time = np.repeat(frame + random.random(k)[:, None], 2, axis=1)
        r, angle = radius(random.random(k)), random.random(k) * 2 * np.pi
        spread = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)
        pixel = np.floor(start + path(time) + spread + 0.5).astype(int)[r <= reach]
        if len(pixel) == 0:
            continue
        first = pixel.min(axis=0)
        shape = pixel.max(axis=0) - first + 1
        image, photons = np.zeros(shape), np.zeros(shape, int)
        energies = charge(random, k) if charge else random.uniform(2.0, 2.1, k)
        for place, keV in zip(pixel - first, energies[r <= reach], strict=True):
            image[*place] += keV
            photons[*place] += 1
        middle = start + path(np.full(2, frame + 0.5))
        for column, row, _, number, valid, energy in islands(image, photons, PLAIN):
            off = np.hypot(*(first + np.array([column, row]) - middle))
            found.append((simulation, off, energy, number, valid))
    return np.array(found).T


def same_means(events, found, n, pixel, radii, energies):
    """How far apart, in standard errors, two lists are in rings, energies and numbers of photons."""
    ours = torch.stack([
        events.simulation, torch.hypot(events.x, events.y) / pixel, events.energy,
        events.n_photons, events.valid,
    ]).double().cpu().numpy()  # fmt: skip
    apart = []
    for low, high, least in [*((*ring, 0) for ring in pairwise(radii)), (0, radii[-1], 2)]:
        for bottom, top in pairwise(energies):
            samples = []
            for which, r, energy, number, valid in (ours, found):
                mask = (r >= low) & (r < high) & (energy >= bottom) & (energy < top)
                mask &= (number >= least) & (valid > 0)
                samples.append(np.bincount(which[mask].astype(int), minlength=n))
            a, b = samples
            if a.sum() + b.sum() > 100:
                apart.append((a.mean() - b.mean()) / np.sqrt((a.var() + b.var()) / (n - 1)))
    return np.array(apart)


def king(u, core=0.8, slope=2.5):
    return core * np.sqrt((1 - u) ** (1 / (1 - slope)) - 1)


NARROW = {"psf_core": 0.8 * PLAIN.pixel, "psf_slope": 2.5}


def weave(time):
    """(n, 2) pixels, more than a hundred in the course of an exposure, and most of one in a frame."""
    if isinstance(time, torch.Tensor):
        return torch.stack([0.9 * time, 3.5 * torch.sin(time / 5)], dim=-1)
    return np.stack([0.9 * time[..., 0], 3.5 * np.sin(time[..., 0] / 5)], axis=-1)


def test_a_moving_source_is_what_a_loop_finds(device):
    n, n_frames, radii = 60, 200, [0.0, 0.7, 1.5, 3.0, 6.0]
    detector = replace(PLAIN, **NARROW)
    annuli = np.multiply(radii, detector.pixel)
    simulate = counting(detector, n_frames, annuli=annuli, position=weave)
    events = simulate.events(load(2.0, n, device), seeded(device))
    assert int(events.frame.max()) == n_frames - 1
    found = by_hand(2.0, n, n_frames, 8, king, weave)
    apart = same_means(events, found, n, detector.pixel, radii, [0, 3, 5, 100])
    assert len(apart) >= 10
    assert np.abs(apart).max() < 5
    assert stats.chi2.sf((apart**2).sum(), len(apart)) > 1e-4
    # It moves inside a frame: if it jumped from one to the next, more would be in the core.
    share = simulate.psf_fraction
    assert float(counting(detector, n_frames, annuli=annuli).psf_fraction[0] - share[0]) > 0.03

    # And the share in each ring is that of lone photons, late in a long exposure too.
    sparse = counting(detector, 2 * 10**7, annuli=annuli, position=weave)
    counts = sparse(load(1e-4, 32, device), seeded(device)).sum(dim=-1).double().cpu().numpy()
    for ring in range(len(share)):
        assert abs(z_score(counts[:, ring], float(share[ring]) * 2e3)) < 5


def test_there_is_room_for_what_moves_within_a_frame(device):
    # Light that is nearly the same everywhere, in wide clouds, so that some falls on the edge.
    wide = replace(ACIS, psf_core=1e3 * ACIS.pixel, cloud_scale=2.0)
    for way in (1.99, -1.99):
        simulate = counting(
            wide, 400, annuli=[0.0, 3 * ACIS.pixel],
            position=lambda time, way=way: torch.stack([way * time, way * time], dim=1),
        )  # fmt: skip
        events = simulate.events(load(4.0 / simulate.kept, 20, device), seeded(device))
        r = torch.hypot(events.x, events.y) / ACIS.pixel
        assert (
            5 < float(r.max()) < 5 + 2**0.5 * 1.5 + 1e-3
        )  # no photon comes in from the other side


def test_dither_takes_the_place_in_a_pixel_out_of_the_scatter(device):
    n, scatter = 150, {}
    theta = torch.tensor([-10.3, 1.7, 0.1], device=device).expand(n, 3)
    for position in (None, chandra_dither):
        simulate = PileUpSimulator(ACIS, exposure=9600.0, annuli=[0.0, 1.0], position=position)
        counts = simulate(theta, seeded(device)).sum(dim=(1, 2)).double()
        scatter[position] = float(counts.var() / counts.mean())
    # The scatter of a variance. Pile-up itself leaves less than Poisson's.
    error = math.sqrt(2 / (n - 1))
    assert scatter[None] > 1 + 10 * error
    assert abs(scatter[chandra_dither] - 1) < 5 * error


def test_a_path_is_left_as_it_is_and_may_be_a_table():
    places = np.random.default_rng(1).uniform(-40, 40, (50, 2))
    tables = torch.from_numpy(places)
    paths = {
        "numpy": lambda time: places[time.numpy().astype(int)],
        "torch": lambda time: tables[time.long()],
        "still": lambda time: time.new_zeros(len(time), 2),
    }
    kept = torch.zeros(10**6, 2, dtype=torch.float64)
    paths["kept"] = lambda time: kept[: len(time)]
    detector = replace(PLAIN, **NARROW)
    found = {}
    for name, path in paths.items():
        simulate = counting(detector, 50, position=path)
        found[name] = simulate.events(load(3.0, 40, "cpu"), seeded())
    assert (kept == 0).all()
    for a, b in (("numpy", "torch"), ("still", "kept")):
        assert all(map(torch.equal, found[a], found[b]))
    # Whole pixels change nothing, and fractions only where in a pixel the source is.
    r = {name: torch.hypot(events.x, events.y) for name, events in found.items()}
    assert stats.ks_2samp(r["numpy"], r["still"]).pvalue > 1e-6


@pytest.mark.parametrize(
    "path",
    [
        lambda time: time,
        lambda time: time.new_full((len(time), 2), math.nan),
        lambda time: torch.stack([time, 3 * time], dim=1),
    ],
)
def test_paths_that_cannot_be_followed_are_refused(path):
    simulate = counting(PLAIN, 50, position=path)
    with pytest.raises(ValueError, match="position must give"):
        simulate(load(3.0, 2, "cpu"))
    with pytest.raises(ValueError, match="position must give"):
        _ = simulate.psf_fraction


def test_a_table_of_the_point_spread_is_what_a_loop_finds(device):
    n, n_frames, radii = 60, 200, [0.0, 0.7, 1.5, 3.0, 6.0]
    nodes = np.array([(0.8, 0.35), (1.5, 0.7), (4.0, 0.9), (12.0, 1.0)])
    table = tuple((r * PLAIN.pixel, share) for r, share in nodes)

    def radius(u):
        r, share = np.array([(0, 0), *nodes]).T
        return np.sqrt(np.interp(u, share, r**2))

    annuli = np.multiply(radii, PLAIN.pixel)
    simulate = counting(replace(PLAIN, psf_table=table), n_frames, annuli=annuli)
    assert simulate.kept == pytest.approx(0.9 + 0.1 * (8**2 - 4**2) / (12**2 - 4**2))
    events = simulate.events(load(2.0, n, device), seeded(device))
    found = by_hand(2.0, n, n_frames, 8, radius)
    apart = same_means(events, found, n, PLAIN.pixel, radii, [0, 3, 5, 100])
    assert len(apart) >= 10
    assert np.abs(apart).max() < 5
    # In pixels that are small compared with it, rings hold what the table says.
    fine = replace(PLAIN, psf_table=table, pixel=0.05)
    inside = PileUpSimulator(fine, annuli=[0.0, *nodes[:3, 0] * PLAIN.pixel]).psf_fraction
    # 2^18 places, evenly, so that this is better than a hundredth of a per cent.
    np.testing.assert_allclose(inside.cumsum(0), nodes[:3, 1], atol=1e-3)


# Half of the photons one channel too low, a tenth lost, channels of unequal width.
ODD = Response(
    energy_lo=torch.tensor([1.0, 2.0, 3.0]),
    energy_hi=torch.tensor([2.0, 3.0, 4.0]),
    effective_area=torch.tensor([1.0, 3.0, 2.0]),
    redistribution=torch.tensor([[0.9, 0.0, 0.0], [0.45, 0.45, 0.0], [0.1, 0.4, 0.4]]),
    channel_lo=torch.tensor([1.0, 2.0, 3.5]),
    channel_hi=torch.tensor([2.0, 3.5, 4.0]),
)


def test_a_response_of_ones_own_piles_up_as_in_a_loop(device):
    n, n_frames, radii = 60, 200, [0.0, 0.7, 1.5, 3.0, 6.0]
    detector = replace(PLAIN, frame_time=1.0, area=ODD, **NARROW)
    simulate = PileUpSimulator(
        detector, flat, n_frames, energies=(1.0, 4.0, 1.0),
        annuli=np.multiply(radii, detector.pixel),
    )  # fmt: skip
    # theta spreads over three bins: 2 photons in a frame, of 1/6, 1/2 and 1/3 in these.
    events = simulate.events(load(1.0, n, device), seeded(device))
    chance = np.array([1, 3, 2]) / 6 @ ODD.redistribution.numpy()

    chance = np.append(chance, 1 - chance.sum())
    low, high = (np.append(edge, 0.0) for edge in (ODD.channel_lo, ODD.channel_hi))

    def charge(random, k):
        channel = random.choice(4, k, p=chance)
        return random.uniform(low[channel], high[channel])

    found = by_hand(2.0, n, n_frames, 8, king, charge=charge)
    energies = [0, 1, 2, 3.5, 4, 5, 6, 7, 100]
    apart = same_means(events, found, n, PLAIN.pixel, radii, energies)
    assert len(apart) >= 15
    assert np.abs(apart).max() < 5
    assert stats.chi2.sf((apart**2).sum(), len(apart)) > 1e-4


def test_single_photons_repeat_the_response_of_ones_own(device):
    own = load_response("xmm_pn")
    bare = {"readout_noise": 0.0, "cloud": 0.0, "event_threshold": 0.0, "split_threshold": 0.0}
    detector = replace(PN, area=own, grades=(1,), **bare)
    channels = torch.cat([own.channel_lo, own.channel_hi[-1:]])
    energies = (float(own.energy_lo[0]), float(own.energy_hi[-1]), 0.005)  # a half or third of its
    simulate = PileUpSimulator(detector, exposure=1e9, channels=channels, energies=energies)
    theta = torch.tensor([-10.0, 1.5, 0.3], device=device)
    # One photon in 1e5 frames, and 5e5 photons.
    theta[0] += torch.log10(1e-5 / simulate.photons(theta).sum())
    simulate.n_frames = int(5e10)
    counts = simulate(theta, seeded(device))[0].double().cpu()
    flux = absorbed_power_law(own.energy_lo, own.energy_hi, theta.cpu())
    scale = float(simulate.psf_fraction[0]) * 5e10 * detector.frame_time
    expected = own.fold(flux).double() * scale
    good = expected > 25
    assert good.sum() > 0.5 * len(good)
    assert float(((counts - expected)[good] / expected[good].sqrt()).abs().max()) < 5
    chi2 = float(((counts - expected)[good] ** 2 / expected[good]).sum())
    assert 1e-4 < stats.chi2.sf(chi2, int(good.sum())) < 1 - 1e-4
    assert abs(float(counts.sum() - expected.sum())) < 5 * float(expected.sum()) ** 0.5
    # So does the response that the simulator measures itself, with as many photons in each bin.
    centre = (simulate.energy_lo + simulate.energy_hi) / 2
    row = torch.searchsorted(own.energy_hi.double(), centre)
    expected = own.redistribution[row].double().sum(dim=0)
    measured = simulate.response.redistribution.double().sum(dim=0)
    scale = THROWN / len(row)
    good = expected * scale > 25
    z = (measured - expected)[good] * (scale / expected[good]).sqrt()
    assert float(z.abs().max()) < 5


# ---- Davis


def series(photons, alpha, terms=60):
    """Davis' sum of one region, term by term, of energies k, k = 0, 1, …, in whole bins."""
    total, power, factor = np.zeros_like(photons), photons.copy(), 1.0
    for p in range(1, terms + 1):
        total += factor * power
        factor *= alpha / (p + 1)
        power = np.convolve(power, photons)[: len(photons)]
    return math.exp(-photons.sum()) * total


@pytest.mark.parametrize("brightness", [0.01, 1.0, 8.0])
@pytest.mark.parametrize("alpha", [1.0, 0.5, 1e-3])
def test_daviss_closed_form_is_his_series(device, brightness, alpha):
    # Energies are the numbers of the bins, so that those of sums are too. The first bin is number 3.
    number = np.arange(400)
    photons = np.where((number >= 3) & (number < 200), number * np.exp(-number / 20), 0.0)
    photons *= brightness / photons.sum()
    lo, hi = (torch.tensor((number[3:] + s) * 0.05, device=device) for s in (-0.5, 0.5))
    expected = series(photons, alpha)[3:]
    tensor = torch.tensor(photons[3:], device=device)
    options = {"alpha": alpha, "psf_fraction": 1.0, "fracexpo": 1.0}
    ours = davis_spectrum(tensor, lo, hi, **options).cpu().numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-8, atol=1e-11 * expected.max())

    # Regions, wings and dead time, in a batch.
    f, regions, exposed = 0.9, 2.5, 0.987
    inner = series(photons * f / regions / exposed, alpha)[3:]
    expected = 70 * (regions * exposed * inner + (1 - f) * photons[3:])
    options = {"alpha": torch.tensor([alpha, 0.7], device=device), "psf_fraction": f}
    ours = davis_spectrum(
        tensor.expand(2, -1), lo, hi, n_frames=70, n_regions=regions, fracexpo=exposed, **options
    )
    assert ours.shape == (2, 397)
    np.testing.assert_allclose(ours[0].cpu(), expected, rtol=1e-8, atol=1e-11 * expected.max())


@pytest.mark.parametrize("first", [0.1, 0.103, 1.0])
def test_daviss_energies_on_any_grid(device, first):
    edges = first + 0.01 * torch.arange(6001, dtype=torch.float64, device=device)
    lo, hi = edges[:-1], edges[1:]
    photons = torch.zeros(6000, dtype=torch.float64, device=device)
    photons[50:400] = 2.0 / 350
    mean = float((photons * (lo + hi) / 2).sum() / photons.sum())
    options = {"alpha": 1.0, "psf_fraction": 1.0, "fracexpo": 1.0}
    events = davis_spectrum(photons, lo, hi, **options)
    # However photons share events, their energy is there: of L photons in a frame it is L E.
    assert float(events.sum()) == pytest.approx(-math.expm1(-2.0), rel=1e-9)
    assert float((events * (lo + hi) / 2).sum()) == pytest.approx(2 * mean, rel=1e-6)
    assert float(events.min()) > -1e-12
    single = davis_spectrum(photons.float(), lo.float(), hi.float(), **options)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single, events.float(), atol=1e-7, rtol=1e-4)
    assert davis_spectrum(torch.zeros_like(photons), lo, hi).abs().max() == 0


def test_daviss_gradient(device):
    edges = 0.2 + 0.05 * torch.arange(41, dtype=torch.float64, device=device)
    photons = torch.rand(2, 40, generator=seeded(device), device=device, dtype=torch.float64)
    alpha = torch.tensor([0.5, 0.8], dtype=torch.float64, device=device)

    def model(photons, alpha):
        return davis_spectrum(photons / 10, edges[:-1], edges[1:], alpha=alpha)

    inputs = photons.requires_grad_(), alpha.requires_grad_()
    assert torch.autograd.gradcheck(model, inputs)


def test_one_cell_has_daviss_spectrum(device):
    n, n_frames = 100, 2000
    energies = (0.2, 20.0, 0.01)
    channels = torch.linspace(0.2, 20.0, 100)
    detector = replace(PLAIN, frame_time=1.0, area=UNIT_AREA, **POINT)
    simulate = PileUpSimulator(
        detector, absorbed_power_law, n_frames, channels=channels,
        energies=energies, annuli=[0.0, 10.0], **CENTRED,
    )  # fmt: skip
    theta = torch.tensor([-8.0, 1.5, 0.1], device=device)
    theta[0] += torch.log10(1.5 / simulate.photons(theta).sum())
    counts = simulate(theta.expand(n, 3), seeded(device))[:, 0].double().cpu().numpy()
    model = davis_spectrum(
        simulate.photons(theta.double()).cpu(), simulate.energy_lo, simulate.energy_hi,
        n_frames=n_frames, alpha=1.0, psf_fraction=1.0, fracexpo=1.0,
    ).reshape(-1, 20).sum(dim=-1).numpy()  # fmt: skip
    good = model * n > 50
    assert good.sum() > 50
    assert np.abs(z_score(counts[:, good], model[good])).max() < 5
    hard = slice(25, None)  # beyond 5 keV, where most are piled
    assert abs(z_score(counts[:, hard].sum(axis=1), model[hard].sum())) < 5
    # Without pile-up, a smaller share would be that hard.
    single = simulate.photons(theta).cpu().double().reshape(-1, 20).sum(dim=-1).numpy()
    share = single[hard].sum() / single.sum()
    assert z_score(counts[:, hard].sum(axis=1) - share * counts.sum(axis=1), 0.0) > 20


# ---- spectra of sources


@pytest.mark.parametrize(
    ("spectrum", "band", "shape"),
    [
        (absorbed_power_law, (0.5, 10.0), (2.0, 0.5)),
        (absorbed_blackbody, (0.2, 2.0), (0.03, 2.0)),
        (absorbed_blackbody, (0.2, 2.0), (0.2, 0.2)),
    ],
)
def test_spectra_have_the_flux_they_are_asked_for(device, spectrum, band, shape):
    edges = torch.linspace(0.1, 12.0, 1191, device=device)
    theta = torch.tensor([[-12.0, *shape], [-8.0, *shape]], device=device)
    flux = spectrum(edges[:-1], edges[1:], theta)
    measured = energy_flux(edges[:-1].double(), edges[1:].double(), flux.double(), *band)
    np.testing.assert_allclose(measured.cpu(), [1e-12, 1e-8], rtol=1e-5)
    ratio = spectrum(edges[:-1], edges[1:], theta + theta.new_tensor([0.0, 0.0, 0.1])) / flux
    # More gas, less of the soft photons and therefore more of the hard ones.
    assert float(ratio[0, 20]) < 1 < float(ratio[0, 200])


# ---- events and spectra


def test_the_spectra_are_those_of_the_events(device):
    theta = between([-12.0, 1.3, 0.1], [-9.5, 3.3, 0.6], 40, device)
    annuli, channels = [0.0, 20.0, 45.0], [0.3, 1.0, 2.0, 7.0]
    simulate = PileUpSimulator(EROSITA, exposure=10.0, annuli=annuli, channels=channels)
    counts = simulate(theta, seeded(device))
    events = simulate.events(theta, seeded(device))
    assert counts.shape == (40, 2, 3)
    r = torch.hypot(events.x, events.y)
    for i, j in np.ndindex(2, 3):
        mask = (r >= annuli[i]) & (r < annuli[i + 1]) & events.valid
        mask &= (events.energy >= channels[j]) & (events.energy < channels[j + 1])
        number = torch.bincount(events.simulation[mask], minlength=40)
        assert torch.equal(number.to(counts.dtype), counts[:, i, j])
    key = events.simulation * simulate.n_frames + events.frame
    assert (key.diff() >= 0).all()
    assert 0 <= int(events.frame.min()) <= int(events.frame.max()) < simulate.n_frames
    # Frames are all alike.
    early = per_simulation(events, events.frame < simulate.n_frames / 2, 40)
    late = per_simulation(events, events.frame >= simulate.n_frames / 2, 40)
    assert abs(early.sum() - late.sum()) < 5 * (early.sum() + late.sum()) ** 0.5


def test_no_light_and_too_much(device):
    dark = counting(EROSITA, 100)
    rates = torch.tensor([[0.0], [1.0], [0.0]], device=device)
    counts = dark(rates, seeded(device)).sum(dim=(1, 2))
    assert counts[0] == counts[2] == 0 < counts[1]
    assert len(dark.events(rates[:1], seeded(device)).x) == 0
    # More photons in a frame than are drawn together, all piled up in the core.
    events = counting(EROSITA, 3).events(load(4e4, 1, device), seeded(device))
    assert events.frame.unique().tolist() == [0, 1, 2]
    core = torch.hypot(events.x, events.y) < 20
    assert not events.valid[core].any()
    assert (
        abs(int(events.n_photons.sum()) - 1.2e5 * counting(EROSITA, 3).kept) < 5 * 1.2e5**0.5 + 20
    )


def test_areas(device):
    nodes = ((0.3, 1.0), (1.0, 100.0), (10.0, 100.0))
    simulate = PileUpSimulator(replace(EROSITA, area=nodes))
    area = dict(zip((simulate.energy_lo * 1000).round().int().tolist(),
                    simulate.effective_area.tolist(), strict=True))  # fmt: skip
    assert area[200] == 0
    assert area[650] == pytest.approx((0.655 / 0.3) ** (math.log(100) / math.log(1 / 0.3)))
    assert area[5000] == pytest.approx(100)
    assert area[11000] == 0
    from_data = PileUpSimulator(PN)
    assert 900 < float(from_data.effective_area.max()) < 1500


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"exposure": 0.01}, "less than a frame of eROSITA"),
        ({"exposure": -1.0}, "Use a multiple of 0.05 s"),
        ({"annuli": [0.0]}, "annuli must be two or more"),
        ({"annuli": [0.0, 2.0, 1.0]}, "ascending edges in arcsec"),
        ({"channels": [1.0, 1.0]}, "ascending edges in keV"),
        ({"position": (0.7, 0.0)}, "-0.5 to 0.5"),
        ({"energies": (0.0, 10.0, 0.01)}, "positive lowest energy"),
        ({"energies": (1.0, 10.0, 0.0)}, "width of bins"),
    ],
)
def test_wrong_set_ups_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        PileUpSimulator(EROSITA, **arguments)


@pytest.mark.parametrize(
    ("theta", "says"),
    [
        (torch.tensor(1.0), "theta must be a tensor"),
        (torch.tensor([-11, 2, 1]), "theta must be a tensor"),
        (torch.tensor([-11.0, math.nan, 1.0]), "photon_index must be"),
        (torch.tensor([math.nan, 2.0, 1.0]), "simulations 0 to 0 are not all finite"),
    ],
)
def test_wrong_parameters_are_refused(theta, says):
    with pytest.raises(ValueError, match=says):
        PileUpSimulator(EROSITA)(theta)


def test_uneven_bins_are_refused_by_davis():
    edges = torch.tensor([1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match="equal width"):
        davis_spectrum(torch.ones(2), edges[:-1], edges[1:])
    with pytest.raises(ValueError, match=r"\(3,\)"):
        davis_spectrum(torch.ones(3), edges[:-1], edges[1:])


def test_a_blinding_light_leaves_nothing_and_breaks_nothing():
    edges = torch.linspace(0.5, 8.0, 76, dtype=torch.float64)
    photons = torch.full((75,), 2000.0 / 75, dtype=torch.float64, requires_grad=True)
    arguments = edges[:-1], edges[1:]
    options = dict(alpha=1.0, psf_fraction=1.0, fracexpo=1.0)
    spectrum = davis_spectrum(photons, *arguments, **options)
    # One event per frame, of the energy of 2000 photons.
    assert bool((spectrum.abs() < 1e-12).all())
    assert bool(torch.autograd.grad(spectrum.sum(), photons)[0].isfinite().all())
    with pytest.raises(ValueError, match="Limit the flux"):
        davis_spectrum(photons * 10, *arguments, **options)
    with pytest.raises(ValueError, match="nan photons"):
        davis_spectrum(photons * math.nan, *arguments, **options)
