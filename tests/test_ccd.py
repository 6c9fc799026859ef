"""The detector: charges in pixels become graded events, as a slow search by hand finds them."""

import math
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import integrate, ndimage, stats

from helpers.ccd import (
    ACIS,
    ACIS_SUBARRAY,
    EROSITA,
    PN,
    XRT_PC,
    chandra_dither,
    frames_abreast,
    grade_pixels,
    read_frames,
)
from helpers.spectra import Response

DETECTORS = [ACIS, ACIS_SUBARRAY, XRT_PC, PN, EROSITA]
# What the flight grades of ACIS are called in ASCA's table, for those that are not 7.
FLIGHTS = {
    0: [0],
    1: [1, 4, 5, 32, 33, 36, 37, 128, 129, 132, 133, 160, 161, 164, 165],
    2: [2, 34, 64, 65, 68, 69, 130, 162],
    3: [8, 12, 136, 140],
    4: [16, 17, 48, 49],
    6: [72, 76, 104, 108, 10, 11, 138, 139, 18, 22, 50, 54, 80, 81, 208, 209],
}  # fmt: skip
ASCA = {flight: grade for grade, flights in FLIGHTS.items() for flight in flights}
BITS = ((32, 64, 128), (8, 0, 16), (1, 2, 4))  # as on the sky: the first row is above


def find_events(frames, detector, photons=None):
    """Events of images (n_frames, height, width): frame, row, column, energy, grade, photons, valid."""
    # A dark ring around each, so that every pixel has neighbours in its own frame.
    ringed = torch.nn.functional.pad(frames, (1, 1, 1, 1))
    hits = torch.nn.functional.pad(
        torch.zeros_like(frames) if photons is None else photons, (1,) * 4
    )
    pixels = torch.nonzero(ringed.flatten() > detector.split_threshold).flatten()
    slot = torch.full((ringed.numel(),), -1, device=frames.device)
    slot[pixels] = torch.arange(len(pixels), device=frames.device)
    charge, hits = (x.flatten()[pixels] for x in (ringed, hits))
    height, width = ringed.shape[1:]
    peak, *measured = grade_pixels(pixels, charge, hits.long(), slot, 1, width, detector)
    place = pixels[peak]
    frame, row = place // (height * width), place // width % height - 1
    return Found(frame, row, place % width - 1, *measured)


Found = namedtuple("Found", "frame row column energy grade n_photons valid")


def table(events):
    """Events as rows (frame, row, column, grade, n_photons, valid) and their energies, sorted."""
    columns = [part for name, part in events._asdict().items() if name != "energy"]
    rows = torch.stack([column.long() for column in columns], dim=1).cpu().numpy()
    order = np.lexsort(rows.T[2::-1])
    return rows[order], events.energy.cpu().numpy()[order]


def islands(image, photons, detector):
    """What one frame holds by the rule of islands, pixel by pixel."""
    labels, n = ndimage.label(image > detector.split_threshold)
    found = []
    for label in range(1, n + 1):
        members = [tuple(int(i) for i in place) for place in np.argwhere(labels == label)]
        members.sort(key=lambda place: image[place], reverse=True)
        row, column = peak = members[0]
        if image[peak] <= detector.event_threshold:
            continue
        offsets = {(r - row, c - column) for r, c in members[1:]}
        good = len(members) <= 2
        for up in (-1, 1):
            for side in (-1, 1):
                good |= offsets == {(up, 0), (0, side)}
                square = {(up, 0), (0, side), (up, side)}
                good |= offsets == square and members[-1] == (row + up, column + side)
        grade = len(members) if good else 0
        energy = sum(image[place] for place in members)
        valid = grade in detector.grades and energy <= detector.upper_limit
        n_photons = sum(photons[place] for place in members)
        found.append((row, column, grade, n_photons, valid, energy))
    return found


def neighbourhoods(image, photons, detector):
    """What one frame holds by the rule of ACIS."""
    dark, none = np.pad(image, 1, constant_values=-1.0), np.pad(photons, 1)
    found = []
    for row, column in np.ndindex(image.shape):
        box, hits = (
            dark[row : row + 3, column : column + 3],
            none[row : row + 3, column : column + 3],
        )
        if image[row, column] <= detector.event_threshold or box.max() > image[row, column]:
            continue
        above = box > detector.split_threshold
        grade = ASCA.get(int((above * BITS).sum()), 7)
        energy = box[above].sum()
        valid = grade in detector.grades and energy <= detector.upper_limit
        found.append((row, column, grade, hits[above].sum(), valid, energy))
    return found


@pytest.mark.parametrize("rule", ["islands", "acis"])
@pytest.mark.parametrize("density", [0.1, 0.3, 0.6])
def test_random_images_hold_what_a_slow_search_finds(device, rule, density):
    detector = replace(EROSITA if rule == "islands" else ACIS, upper_limit=4.0)
    random = np.random.default_rng(1)
    shape = (150, 9, 12)
    image = random.exponential(0.4, shape) * (random.random(shape) < density)
    photons = random.poisson(1.0, shape)
    search = islands if rule == "islands" else neighbourhoods
    expected = sorted(
        (frame, *event)
        for frame in range(len(image))
        for event in search(image[frame], photons[frame], detector)
    )
    events = find_events(
        torch.as_tensor(image, device=device), detector, torch.as_tensor(photons, device=device)
    )
    rows, energy = table(events)
    # In ACIS' grades 5 and 7 are told apart, which both are bad.
    rows[:, 3][rows[:, 3] == 5] = 7 if rule == "acis" else 5
    np.testing.assert_array_equal(rows, [event[:-1] for event in expected])
    np.testing.assert_allclose(energy, [event[-1] for event in expected])
    assert len(set(rows[:, 3])) >= (4 if density < 0.6 else 2)


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("rule", ["islands", "acis"])
@pytest.mark.parametrize("load", [1.0, 8.0, 40.0])
def test_photons_of_frames_are_read_as_by_a_slow_search(device, rule, load, noise):
    """Frame by frame, as on a CPU, and many abreast, as on a GPU, however few the memory holds."""
    detector = EROSITA if rule == "islands" else ACIS
    detector = replace(detector, upper_limit=3.0, readout_noise=noise, split_threshold=0.3,
                       event_threshold=0.5)  # fmt: skip
    random = np.random.default_rng(1)
    n, side, n_frames = int(200 * load), 10, 200
    frame = np.sort(random.integers(n_frames, size=n)) * 3 + 5
    row, column = random.integers(1, side - 2, (2, n))
    corner = row * side + column
    offset = np.array([0, 1, side, side + 1])
    hit = corner + offset[random.integers(4, size=n)]
    charge = random.exponential(0.4, (4, n)) * (random.random((4, n)) < 0.6)
    normal = random.normal(size=(4, n))

    search = islands if rule == "islands" else neighbourhoods
    expected = []
    for which in np.unique(frame):
        image, own, photons = np.zeros((3, side * side))
        for i in np.flatnonzero(frame == which):
            image[corner[i] + offset] += charge[:, i]
            own[corner[i] + offset] = normal[:, i]
            photons[hit[i]] += 1
        image = np.where(image > 0, image + noise * own, 0).reshape(side, side)
        for event in search(image, photons.reshape(side, side), detector):
            expected.append((which, *event))
    expected.sort()

    photons = [torch.as_tensor(x, device=device) for x in (frame, corner, hit, charge, normal)]
    for memory in (0, 1, 40 * side**2 * 12, 2**30):
        if memory:
            parts = frames_abreast(*photons, side, detector, memory)
            first, place, *measured = map(torch.cat, zip(*parts, strict=True))
            place = torch.stack([place % side, place // side], dim=1)
        else:
            first, place, *measured = read_frames(*photons, side, detector)
        column, row = place.T
        rows, energy = table(Found(photons[0][first], row, column, *measured))
        rows[:, 3][rows[:, 3] == 5] = 7 if rule == "acis" else 5
        np.testing.assert_array_equal(rows, [event[:-1] for event in expected])
        np.testing.assert_allclose(energy, [event[-1] for event in expected])
    assert len(expected) > 100
    assert len(set(rows[:, 3])) >= 2


@pytest.mark.parametrize(
    ("image", "grade"),
    [
        ([[0, 0, 0], [0, 5, 0], [0, 0, 0]], 1),
        ([[0, 0, 0], [0, 5, 3], [0, 0, 0]], 2),
        ([[0, 3, 0], [0, 5, 2], [0, 0, 0]], 3),
        ([[0, 5, 0], [0, 3, 2], [0, 0, 0]], 0),
        ([[0, 0, 0], [2, 5, 3], [0, 0, 0]], 0),
        ([[0, 3, 1], [0, 5, 2], [0, 0, 0]], 4),
        ([[0, 1, 3], [0, 5, 2], [0, 0, 0]], 0),
        ([[0, 3, 0], [2, 5, 2], [0, 0, 0]], 0),
        ([[0, 3, 0], [2, 5, 2], [0, 1, 0]], 0),
    ],
)
def test_patterns(device, image, grade):
    around = torch.nn.functional.pad(torch.tensor(image, dtype=torch.float32), (2, 2, 2, 2))
    for turn in range(4):
        turned = torch.rot90(around, turn).to(device)
        for frame in (turned, turned.flip(0)):
            events = find_events(frame[None], EROSITA)
            assert events.grade.tolist() == [grade]
            assert events.valid.tolist() == [grade > 0]
            assert events.energy.tolist() == [float(np.sum(image))]


def test_grades_have_ascas_names():
    for flight in range(256):
        frame = torch.tensor(BITS)
        frame = ((frame & flight) > 0).float()
        frame[1, 1] = 2.0
        events = find_events(torch.nn.functional.pad(frame, (1, 1, 1, 1))[None], ACIS)
        assert events.grade.tolist()[0] in ({ASCA[flight]} if flight in ASCA else {5, 7})
        assert events.valid[0] == (ASCA.get(flight) in (0, 2, 3, 4, 6))


def test_bright_neighbours_and_equal_ones(device):
    frame = torch.zeros(2, 6, 7, device=device)
    frame[0, 2, 2:4] = 1.0
    frame[1, 2, 2], frame[1, 3, 4] = 2.0, 1.0  # detached for one rule, and not for the other
    assert find_events(frame, EROSITA).frame.tolist() == [0, 1, 1]
    events = find_events(frame, ACIS)
    assert events.frame.tolist() == [0, 1, 1]
    assert events.column.tolist() == [2, 2, 4]
    assert find_events(frame, replace(ACIS, upper_limit=1.5)).valid.tolist() == [False, False, True]
    assert len(find_events(torch.zeros(3, 4, 4, device=device), PN).frame) == 0


def test_the_gaussian_cloud_is_an_integral_over_pixels():
    sigma = ACIS.cloud / ACIS.pixel_size
    for x in (-0.4, -0.1, 0.0, 0.03, 0.2):
        beyond = integrate.quad(lambda t, x=x: stats.norm.pdf(t, x, sigma), 0, 10, points=[x])[0]
        share = ACIS.upper_share(torch.tensor(x, dtype=torch.float64))
        assert float(share) == pytest.approx(beyond, abs=1e-9)


def test_the_exponential_rule_is_dennerls():
    random = np.random.default_rng(1)
    for x, y in random.random((20, 2)) - 0.5:  # from the corner where four pixels meet
        centres = np.array([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]])
        weight = np.exp(-((centres - (x, y)) ** 2).sum(axis=1) / 0.355**2)
        weight = (weight / weight.sum()).reshape(2, 2)
        right, up = EROSITA.upper_share(torch.tensor([x, y], dtype=torch.float64)).tolist()
        np.testing.assert_allclose(weight, np.outer([1 - up, up], [1 - right, right]), rtol=1e-9)


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda detector: detector.name)
def test_detectors_are_what_they_are_called(detector):
    # The half-power diameter, 2 r, of King's profile.
    r = detector.psf_core * math.sqrt(2 ** (1 / (detector.psf_slope - 1)) - 1)
    # The resolution that CCDs have at the manganese line, 120 to 160 eV.
    noise = math.hypot(detector.blur(torch.tensor(5.9)), detector.readout_noise)
    assert 0.115 < 2.355 * noise < 0.16
    assert detector.split_threshold >= 3 * detector.readout_noise
    expected = {"Chandra ACIS": (0.6, 1.2), "Swift": (15, 22), "XMM": (13, 26), "eROSITA": (15, 17)}
    low, high = next(span for name, span in expected.items() if detector.name.startswith(name))
    assert low < 2 * r < high


def test_pns_profile_is_as_calibrated():
    # The calibration's own shares, good to 5 per cent.
    for radius, share in ((15, 0.71), (30, 0.88), (45, 0.93), (60, 0.95)):
        assert PN.enclosed(radius) == pytest.approx(share, rel=0.01)


def test_a_table_in_place_of_kings_profile():
    nodes = ((0.5, 0.4), (1.0, 0.7), (3.0, 0.9))
    detector = replace(ACIS, psf_table=nodes)
    assert [detector.enclosed(r) for r, _ in nodes] == [share for _, share in nodes]
    assert detector.enclosed(9.0) == 0.9
    # Twice the solid angle holds twice the light, from one radius to the next.
    assert detector.enclosed(0.5 / math.sqrt(2)) == pytest.approx(0.2)
    assert detector.enclosed(math.sqrt(5)) == pytest.approx(0.7 + 0.2 * (5 - 1) / (9 - 1))
    for name in (detector, ACIS):
        share = torch.linspace(0, 0.9, 50, dtype=torch.float64)
        radii = (name.radius(share) * name.pixel).tolist()
        assert [name.enclosed(r) for r in radii] == pytest.approx(share.tolist(), abs=1e-12)


def test_chandras_dither():
    time = torch.linspace(0, 1e5, 400_001, dtype=torch.float64)
    arcsec = chandra_dither(time) * ACIS.pixel
    assert arcsec.abs().amax(0).tolist() == pytest.approx([8.0, 8.0], abs=1e-3)
    upwards = (arcsec[1:] > 0) & (arcsec[:-1] <= 0)
    assert upwards.sum(0).tolist() == [100, 142]  # starts of 100 and 141.4 periods


def rmf(rows=((1.0, 0.0), (0.5, 0.5)), energies=(1.0, 2.0, 3.0)):
    edges = torch.tensor(energies)
    lo, hi = edges[:-1], edges[1:]
    return Response(lo, hi, torch.ones(2), torch.tensor(rows), lo, hi)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"psf_table": ((1.0, 0.5), (2.0, 0.5))}, "psf_table must be pairs"),
        ({"psf_table": ((0.0, 0.1), (2.0, 0.5))}, "psf_table must be pairs"),
        ({"psf_table": ((1.0, 50.0), (2.0, 100.0))}, "ascending from 0 to 1"),
        ({"psf_table": (1.0, 0.5)}, "psf_table must be pairs"),
        ({"psf_table": ((1.0, math.nan),)}, "psf_table is not finite"),
        ({"area": rmf(rows=((1.0, 0.5), (0.5, 0.5)))}, "sums of rows up to 1"),
        ({"area": rmf(rows=((1.0, -0.5), (0.5, 0.5)))}, "a Response needs"),
        ({"area": rmf(rows=((1.0, math.nan), (0.5, 0.5)))}, "redistribution of area is not finite"),
        ({"area": rmf(energies=(3.0, 2.0, 1.0))}, "ascending energies"),
        ({"frame_time": 0.0}, "frame_time of eROSITA"),
        ({"pixel": math.nan}, "pixel of eROSITA"),
        ({"readout_noise": -1.0}, "readout_noise of eROSITA"),
        ({"psf_slope": 1.0}, "no end"),
        ({"split_threshold": 1.0}, "no more than"),
        ({"rule": "sides"}, "rule must be"),
        ({"cloud": 30.0}, "at most a quarter"),
        ({"area": ((2.0, 1.0), (1.0, 1.0))}, "ascending in energy"),
        ({"area": ((1.0, 1.0), (2.0, 0.0))}, r"\(keV, cm²\) above 0"),
    ],
)
def test_impossible_detectors_are_refused(changes, says):
    with pytest.raises(ValueError, match=says):
        replace(EROSITA, **changes)
