"""Models of X-ray CCDs, and how they turn charges in pixels into graded events.

A detector reconstructs photons from the charges in the pixels of a frame. Two photons that are too
close look like one with their summed energy (pile-up), or are rejected for their pattern.
"""

import math
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from helpers.arguments import numbers, one_of
from helpers.compiled import compiled
from helpers.spectra import Response

__all__ = [
    "ACIS", "ACIS_SUBARRAY", "CCD", "EROSITA", "PN", "XRT_PC", "Events", "chandra_dither",
    "grade_pixels",
]  # fmt: skip

# Neighbours (right, down): those above the split threshold add 1, 2, 4, … to the ACIS flight grade.
_AROUND = ((-1, 1), (0, 1), (1, 1), (-1, 0), (1, 0), (-1, -1), (0, -1), (1, -1))


@dataclass(frozen=True)
class CCD:
    """X-ray CCD with its telescope.

    The charge of a photon is a Gaussian cloud of σ = `cloud`, which the nearest pixel edges divide;
    or, with `cloud_scale`, it has normalised weights exp(-(d/scale)²), where d is the distance in
    pixels to the centres of the four nearest pixels. Both are products of a share in x and one in y,
    and fill at most 2 × 2 pixels.

    Rule "islands": pixels above the split threshold that share a side are one event. Its energy is
    their sum. Its grade is the number of pixels if the pattern is valid, else 0. Valid patterns are
    one pixel; two; three in an L with the brightest at its corner; 2 × 2 with the faintest
    diagonally opposite to the brightest.
    Rule "acis": an event is the 3 × 3 neighbourhood of a pixel brighter than its 8 neighbours. Its
    energy is the sum of its pixels above the split threshold, its grade (0 to 7) that of ASCA.

    Impossible values give a ValueError.

    References: Dauser et al. 2019, A&A 630, A66 (SIXTE: charge clouds, islands); the Chandra
    Proposers' Observatory Guide, chapter 6 (grades).

    Args:
        name: name of the instrument.
        frame_time: exposure of a frame, s.
        pixel, pixel_size: width of a pixel on the sky, arcsec, and on the chip, µm.
        psf_core, psf_slope: r_c, arcsec, and b > 1 of the King profile [1 + (r/r_c)²]^-b of the
            density of photons; r_c is infinite for uniform light.
        psf_table: ascending pairs (arcsec, enclosed share of a point source's photons), instead of the
            King profile. The density is constant between two radii, and zero outside the last.
        cloud: σ of the charge cloud, µm; 0 to leave each photon in one pixel.
        cloud_scale: scale of the exponential rule, pixels; 0 for the Gaussian cloud.
        readout_noise: σ in each pixel, keV.
        event_threshold, split_threshold: for an event's brightest pixel, and for the others, keV.
        upper_limit: largest energy of an accepted event, keV.
        rule: "islands" or "acis".
        grades: accepted grades.
        area: effective area: nodes (keV, cm²) of a curve that is linear in both logarithms, or the name
            of a response in data/; zero outside. Or a whole `spectra.Response`: then charges are drawn
            from its rows, without Fano noise. Its noise and losses count twice unless noise, thresholds
            and clouds here are 0: single photons then reproduce the response.
        fano: F in the variance F w E of the charge of a photon of energy E, w = 3.65 eV in silicon.

    Example:
        >>> from dataclasses import replace
        >>> faster = replace(ACIS, frame_time=0.4)
        >>> faster.frame_time, faster.pixel
        (0.4, 0.492)
    """

    name: str
    frame_time: float
    pixel: float
    pixel_size: float
    psf_core: float
    psf_slope: float
    readout_noise: float
    event_threshold: float
    split_threshold: float
    upper_limit: float
    rule: str
    grades: tuple[int, ...]
    area: str | tuple[tuple[float, float], ...] | Response
    cloud: float = 0.0
    cloud_scale: float = 0.0
    fano: float = 0.115
    psf_table: tuple[tuple[float, float], ...] = ()

    def __post_init__(self):
        positive = "frame_time", "pixel", "pixel_size", "psf_core", "upper_limit"
        for name in (*positive, "cloud", "cloud_scale", "readout_noise", "fano"):
            value = getattr(self, name)
            if not (value > 0 if name in positive else 0 <= value < math.inf):
                wanted = "positive" if name in positive else "0 or more"
                raise ValueError(f"{name} of {self.name} must be {wanted}, not {value}.")
        if not self.psf_slope > 1:
            raise ValueError(f"psf_slope={self.psf_slope}: up to 1, the King profile has no end.")
        if not 0 <= self.split_threshold <= self.event_threshold:
            raise ValueError(
                f"split_threshold={self.split_threshold} keV must be 0 or more, and no more than "
                f"event_threshold={self.event_threshold} keV."
            )
        one_of("rule", self.rule, ("islands", "acis"))
        if self.cloud > 0.25 * self.pixel_size:
            raise ValueError(
                f"cloud={self.cloud} µm would spill over more than 2 × 2 pixels of "
                f"{self.pixel_size} µm: use at most a quarter of a pixel."
            )
        if isinstance(self.area, Response):
            parts = [numbers(f"{name} of area", part) for name, part in vars(self.area).items()]
            ascends, most = (np.diff(parts[1]) > 0).all(), parts[3].sum(axis=1).max()
            if not (ascends and most < 1.001 and min(map(np.min, parts)) >= 0):
                raise ValueError("area: a Response needs ascending energies, sums of rows up to 1.")
        elif not isinstance(self.area, str):
            nodes = numbers("area", self.area)
            if not (np.isfinite(nodes) & (nodes > 0)).all() or (np.diff(nodes[:, 0]) <= 0).any():
                raise ValueError("area must be pairs (keV, cm²) above 0, ascending in energy.")
        step = np.diff(numbers("psf_table", self.psf_table), axis=0, prepend=0)
        pairs = step.shape[1:] == (2,) and step.min() > 0
        if step.size and not (pairs and step[:, 1].sum() < 1.001):
            raise ValueError("psf_table must be pairs (arcsec, share), ascending from 0 to 1.")

    def enclosed(self, radius: float) -> float:
        """Return the share of a point source's photons within this radius, arcsec."""
        if len(self.psf_table):
            r, share = np.array([(0.0, 0.0), *self.psf_table]).T
            return float(np.interp(radius**2, r**2, share))
        beyond = (1 + (radius / self.psf_core) ** 2) ** (1 - self.psf_slope)
        return 1 - beyond if self.psf_core < math.inf else 1.0

    def radius(self, share: Tensor) -> Tensor:
        """Return the radius that encloses this share of the photons, pixels."""
        if len(self.psf_table):
            nodes = share.new_tensor([(0, 0), *self.psf_table])
            square, known = (nodes[:, 0] / self.pixel) ** 2, nodes[:, 1].contiguous()
            k = torch.searchsorted(known, share).clamp_(1, len(known) - 1)
            part = (share - known[k - 1]) / known.diff()[k - 1]
            return torch.lerp(square[k - 1], square[k], part).sqrt_()
        r = (1 - share) ** (1 / (1 - self.psf_slope)) - 1
        return r.clamp_(min=0).sqrt_() * (self.psf_core / self.pixel)

    def upper_share(self, distance: Tensor) -> Tensor:
        """Return the share of the charge above a pixel edge, for a photon this far above it, pixels."""
        if self.cloud_scale:
            return torch.sigmoid(distance * (2 / self.cloud_scale**2))
        if self.cloud:
            return torch.special.ndtr(distance * (self.pixel_size / self.cloud))
        return (distance >= 0).to(distance.dtype)

    def blur(self, energy: Tensor) -> Tensor:
        """Return σ of the charge that a photon of this energy frees, √(F w E), keV."""
        return (energy * (self.fano * 3.65e-3)).sqrt()


# Unless a source is named, the numbers below are chosen by this course: round, and near to known
# values. Frame times and pixels are those of the instruments; areas are approximate, except for pn.
ACIS = CCD(
    name="Chandra ACIS",
    frame_time=3.2,  # and 0.041 s to the next frame, to shift the image
    pixel=0.492, pixel_size=24.0,
    psf_core=0.38, psf_slope=1.7,  # half of the photons in a circle 1" wide
    cloud=2.0,
    readout_noise=0.009,  # 2 to 3 electrons
    event_threshold=0.14,
    split_threshold=0.05,  # 13 units of 3.7 eV, rounded
    upper_limit=15.0,
    rule="acis", grades=(0, 2, 3, 4, 6),
    area=(
        (0.1, 1.0), (0.3, 50.0), (0.5, 150.0), (1.0, 480.0), (1.5, 650.0), (2.0, 520.0), (2.2, 380.0),
        (4.0, 360.0), (5.0, 320.0), (6.0, 220.0), (7.0, 110.0), (8.0, 60.0), (10.0, 10.0),
        (12.0, 1.0),
    ),
)  # fmt: skip
"""Chandra's imager, full frame. The area is approximately that of the chip S3 in the first years."""

ACIS_SUBARRAY = CCD(**{**vars(ACIS), "name": "Chandra ACIS, subarray", "frame_time": 0.44104})
"""ACIS that reads fewer rows more often, with the frame time of ObsID 10027 (M82)."""

XRT_PC = CCD(
    name="Swift XRT, photon counting",
    frame_time=2.5,
    pixel=2.36, pixel_size=40.0,
    psf_core=5.8, psf_slope=1.55,  # Moretti et al. 2005, SPIE 5898, 360
    cloud=3.0,
    readout_noise=0.02,
    event_threshold=0.2, split_threshold=0.08, upper_limit=12.0,
    rule="islands", grades=(1, 2, 3, 4),  # Swift's grades 0 to 12
    area=(
        (0.1, 1.0), (0.3, 20.0), (0.5, 40.0), (1.0, 110.0), (1.5, 135.0), (2.0, 110.0), (2.3, 75.0),
        (4.0, 75.0), (5.0, 70.0), (6.0, 60.0), (8.0, 20.0), (10.0, 6.0), (12.0, 1.0),
    ),
)  # fmt: skip
"""Swift's X-ray telescope in photon counting mode. The response in data/ is for windowed timing."""

PN = CCD(
    name="XMM-Newton EPIC pn",
    frame_time=0.0734,
    pixel=4.1, pixel_size=150.0,
    psf_core=6.6, psf_slope=1.68,  # .71, .88, .93, .95 in 15, 30, 45, 60", as calibrated to 5 per cent
    cloud=10.0,  # 9 to 11 µm in SIXTE
    readout_noise=0.018,
    event_threshold=0.15,  # as in SIXTE
    split_threshold=0.07, upper_limit=15.0,
    rule="islands", grades=(1, 2),  # singles and doubles, patterns 0 to 4
    area="xmm_pn",
)  # fmt: skip
"""XMM-Newton's pn camera, full frame, with the area of data/response_xmm_pn.npz."""

EROSITA = CCD(
    name="eROSITA, one telescope module",
    frame_time=0.05,
    pixel=9.67, pixel_size=75.0,
    psf_core=4.6, psf_slope=1.5,  # half of the photons in a circle 16" wide, as on axis
    cloud_scale=0.355,  # Dennerl's rule, as in SIXTE
    readout_noise=0.009,  # 2 to 3 electrons
    event_threshold=0.15, split_threshold=0.04, upper_limit=12.0,
    rule="islands", grades=(1, 2, 3, 4),
    area=(
        (0.1, 5.0), (0.2, 60.0), (0.3, 130.0), (0.5, 190.0), (1.0, 300.0), (1.5, 340.0), (2.0, 260.0),
        (2.3, 130.0), (3.0, 100.0), (4.0, 75.0), (5.0, 60.0), (6.0, 45.0), (8.0, 15.0), (10.0, 4.0),
        (12.0, 1.0),
    ),
)  # fmt: skip
"""One of the seven cameras of eROSITA. The area is approximate."""


def chandra_dither(time: Tensor) -> Tensor:
    """Return Chandra's dither 8" sin(2π t/P), P = 1000 and 707 s, at times (n,) s: (n, 2) ACIS pixels.

    Example:
        >>> chandra_dither(torch.tensor([250.0]))
        tensor([[16.2602, 12.9348]])
    """
    # Nominal values of the Chandra Proposers' Observatory Guide, chapter 6.
    period = time.new_tensor([1000.0, 707.0])
    return 8.0 / ACIS.pixel * torch.sin(2 * math.pi * time[:, None] / period)


class Events(NamedTuple):
    """Events of a detector, accepted and rejected; each attribute has shape (n_events,)."""

    simulation: Tensor  # number of the simulation
    frame: Tensor  # number of the frame in this simulation
    x: Tensor  # arcsec, from the source (in mid-frame, if it moves) to the brightest pixel's centre
    y: Tensor  # the same, upwards
    energy: Tensor  # keV
    grade: Tensor  # as defined in `CCD`
    n_photons: Tensor  # true number of photons that hit its pixels
    valid: Tensor  # whether grade and energy are accepted


def read_frames(frame, corner, hit, charge, noise, side, detector, memory=None):
    """Make events from photons: the charges of a frame add up, and each pixel is read with noise.

    Args:
        frame: (n,) frame of each photon, ascending.
        corner: (n,) lower left of the 2 × 2 pixels with its charge, row × side + column.
        hit: (n,) pixel that it hit.
        charge: (4, n) keV in the 2 × 2 pixels, the lower two first.
        noise: (4, n) normal numbers, of which each pixel takes one.
        side: pixels per side of an image; its outermost pixels have no charge.
        detector: thresholds, noise, rule and grades.
        memory: bytes of images, None for 8 GB; on a CPU one frame at a time is processed.

    Returns:
        For each event: a photon of its frame, (column, row), energy, grade, photons, validity.
    """
    if charge.device.type == "cpu":
        arrays = (x.numpy() for x in (frame, corner, hit, charge, noise))
        levels = detector.readout_noise, detector.split_threshold, detector.event_threshold
        grades = None if detector.rule == "islands" else _asca_grades()
        accepted = np.isin(np.arange(8), detector.grades), detector.upper_limit
        n, *found = frames_compiled(*arrays, side, *levels, grades, *accepted)
        found = (torch.tensor(x[:n]) for x in found)  # copies, because the arrays are longer
    else:
        parts = frames_abreast(frame, corner, hit, charge, noise, side, detector, memory)
        found = map(torch.cat, zip(*parts, strict=True))
    photon, place, *measured = found
    row = torch.div(place, side, rounding_mode="floor")
    return photon, torch.stack([place - row * side, row], dim=1), *measured


def frames_abreast(frame, corner, hit, charge, noise, side, detector, memory):
    """Do the work of `read_frames` in parts that fit into memory, with places as in `corner`."""
    number = torch.unique_consecutive(frame, return_inverse=True)[1]
    begins = torch.searchsorted(number, torch.arange(int(number[-1]) + 1, device=frame.device))
    most = int((memory or 2**33) // (side**2 * (4 + charge.element_size())))
    most = min(len(begins), max(1, most))
    # For each pixel, frame by frame: the few pixels with most photons are then adjacent in memory.
    image, right, down = charge.new_zeros(most * side**2), most, most * side
    slot = torch.full(image.shape, -1, dtype=torch.int32, device=image.device)
    for a, b in pairwise([*begins[::most].tolist(), len(frame)]):
        which = number[a:b] - number[a]
        quad = corner.new_tensor([0, right, down, right + down])
        places = ((corner[a:b] * most + which)[:, None] + quad).flatten()
        image.scatter_add_(0, places, charge.T[a:b].flatten())
        # A pixel with charge of several photons is listed several times: its last entry represents it.
        entries = torch.arange(len(places), device=places.device, dtype=torch.int32)
        slot.scatter_reduce_(0, places, entries, "amax")
        total = image[places] + detector.readout_noise * noise.T[a:b].flatten()
        above = (total > detector.split_threshold) & (image[places] > 0) & (slot[places] == entries)
        pixels, light = places[above], total[above]
        image[places], slot[places] = 0, -1
        slot[pixels] = entries[: len(pixels)]
        entry = slot[hit[a:b] * most + which]
        photons = torch.bincount(entry + 1, minlength=len(pixels) + 1)[1:]
        peak, *measured = grade_pixels(pixels, light, photons, slot, right, down, detector)
        slot[pixels] = -1
        place = torch.div(pixels[peak], most, rounding_mode="floor")
        yield begins[pixels[peak] - place * most + number[a]], place, *measured


@compiled
def frames_compiled(
    frame, corner, hit, charge, noise, side, sigma, split, threshold, grades, accepted, limit
):
    """Do the work of `frames_abreast` frame by frame, without intermediate arrays."""
    n, most = len(frame), side * side + 1
    image, own_noise = np.zeros((2, side * side), charge.dtype)
    hits, lit, members = np.zeros((3, most), np.int64)
    photon, place, of_grade, n_photons = np.empty((4, 4 * n), np.int64)
    energies, valid = np.empty(4 * n, charge.dtype), np.empty(4 * n, np.bool_)
    found = start = 0
    while start < n:
        stop, n_lit = start, 0
        while stop < n and frame[stop] == frame[start]:
            hits[hit[stop]] += 1
            for k in range(4):
                pixel = corner[stop] + k % 2 + k // 2 * side
                lit[n_lit] = pixel
                n_lit += (image[pixel] == 0) & (charge[k, stop] > 0)
                image[pixel] += charge[k, stop]
                own_noise[pixel] = noise[k, stop]
            stop += 1
        n_above = 0
        for pixel in lit[:n_lit]:
            value = image[pixel] + sigma * own_noise[pixel]
            image[pixel] = value if value > split else 0
            lit[n_above] = pixel
            n_above += value > split
        for pixel in lit[:n_above]:
            if image[pixel] <= (0 if grades is None else threshold):
                continue
            peak, energy, number, size, grade = pixel, image[pixel], hits[pixel], 1, 0
            if grades is None:  # pixels of known islands are negative
                members[0], image[pixel], known = pixel, -energy, 0
                while known < size:
                    for step in (-side, -1, 1, side):
                        near = members[known] + step
                        value = image[near]
                        if value > 0:
                            if value > -image[peak]:
                                peak = near
                            members[size], image[near] = near, -value
                            energy, number, size = energy + value, number + hits[near], size + 1
                    known += 1
                outshone = -image[peak] <= threshold
                left, right = image[peak - 1], image[peak + 1]
                low, high = image[peak - side], image[peak + side]
                if size <= 2:
                    grade = size
                elif size <= 4 and (left == 0) != (right == 0) and (low == 0) != (high == 0):
                    fourth = image[peak + (-1 if left else 1) + (-side if low else side)]
                    if (fourth < 0) == (size == 4) and fourth >= max(left + right, low + high):
                        grade = size
            else:
                outshone = False
                for k in range(8):
                    near = pixel + _AROUND[k][0] + _AROUND[k][1] * side
                    value = image[near]
                    # The first of two equally bright pixels counts.
                    outshone |= value > image[pixel] or (value == image[pixel] and near < pixel)
                    energy += value
                    number += hits[near] * (value > 0)
                    grade += (value > 0) << k
                grade = grades[grade]
            if outshone:
                continue
            photon[found], place[found], energies[found] = start, peak, energy
            of_grade[found], n_photons[found] = grade, number
            valid[found] = accepted[grade] and energy <= limit
            found += 1
        for pixel in lit[:n_above]:
            image[pixel] = 0
        for i in range(start, stop):
            hits[hit[i]] = 0
        start = stop
    return found, photon, place, energies, of_grade, n_photons, valid


def grade_pixels(pixels, charge, photons, slot, right, down, detector):
    """Find events among the pixels above the split threshold, for any layout in memory.

    Args:
        pixels: (n,) place of each pixel in memory.
        charge: (n,) keV.
        photons: (n,) number of photons that hit it.
        slot: number of the pixel at each place, or -1. All neighbours of pixels must have places.
        right, down: distance to a neighbour, in places.
        detector: thresholds, rule and grades.

    Returns:
        For each event: the number of the brightest pixel, energy, grade, photons, validity.
    """
    rule = _islands if detector.rule == "islands" else _neighbourhoods
    found = rule(pixels, charge, photons, slot, right, down, detector.event_threshold)
    _, energy, grade, _ = found
    accepted = torch.tensor([g in detector.grades for g in range(8)], device=pixels.device)
    return *found, accepted[grade] & (energy <= detector.upper_limit)


def _islands(pixels, charge, photons, slot, right, down, threshold):
    """Group pixels that share a side, directly or through other pixels, into events."""
    near = torch.stack([slot[pixels + right], slot[pixels + down]])
    _, one = torch.nonzero(near >= 0).T
    other, numbers = near[near >= 0].long(), torch.arange(len(pixels), device=pixels.device)
    island = numbers
    while not torch.equal(a := island[one], b := island[other]):
        # Each pixel takes the lower label of two neighbours, until all have the lowest of their island.
        island = island.scatter_reduce(0, torch.maximum(a, b), torch.minimum(a, b), "amin")
        while not torch.equal(lower := island[island], island):
            island = lower
    is_first = island == numbers
    island = (is_first.cumsum(0) - 1)[island]
    shape = (int(is_first.sum()),)

    energy = charge.new_zeros(shape).index_add_(0, island, charge)
    n_photons = photons.new_zeros(shape).index_add_(0, island, photons)
    size = torch.bincount(island, minlength=shape[0])
    highest = charge.new_zeros(shape).scatter_reduce_(0, island, charge, "amax")
    # The first of several equally bright pixels counts.
    brightest = torch.nonzero(charge == highest[island]).flatten()
    peak = torch.full(shape, len(pixels), device=pixels.device)
    peak.scatter_reduce_(0, island[brightest], brightest, "amin")

    kept = highest > threshold
    peak, energy, size, n_photons = (x[kept] for x in (peak, energy, size, n_photons))
    # Up to two pixels are always valid. Three and four are valid if the brightest has one neighbour at
    # its side and one above or below; four also need the fourth, between these, to be the faintest.
    grade = torch.where(size <= 2, size, 0)
    large = (size == 3) | (size == 4)
    centre, size = pixels[peak[large]], size[large]
    sides = [slot[centre + step] for step in (-right, right, -down, down)]
    has = [side >= 0 for side in sides]
    corner = (has[0] ^ has[1]) & (has[2] ^ has[3])
    diagonal = torch.where(has[0], -right, right) + torch.where(has[2], -down, down)
    fourth = slot[centre + diagonal]
    beside, above = (torch.maximum(*pair).clamp(min=0) for pair in (sides[:2], sides[2:]))
    fainter = charge[fourth.clamp(min=0)] <= torch.minimum(charge[beside], charge[above])
    good = corner & ((size == 3) | ((fourth >= 0) & fainter))
    grade[large] = torch.where(good, size, 0)
    return peak, energy, grade, n_photons


def _neighbourhoods(pixels, charge, photons, slot, right, down, threshold):
    """Make events from the 3 × 3 pixels around each pixel that is the brightest of them."""
    peak = torch.nonzero(charge > threshold).flatten()
    centre, at_centre = pixels[peak], charge[peak]
    # One more entry represents the pixels below the split threshold.
    charge, photons = (torch.nn.functional.pad(x, (0, 1)) for x in (charge, photons))
    energy, n_photons = at_centre.clone(), photons[peak]
    is_peak, bits = torch.ones_like(peak, dtype=torch.bool), torch.zeros_like(peak)
    for k, (dx, dy) in enumerate(_AROUND):
        neighbour = slot[centre + (dx * right + dy * down)]
        bits += (neighbour >= 0) * 2**k
        neighbour = torch.where(neighbour >= 0, neighbour, len(pixels))
        value = charge[neighbour]
        # The first of two equally bright pixels counts.
        is_peak &= (value < at_centre) if (dy, dx) < (0, 0) else (value <= at_centre)
        energy += value
        n_photons += photons[neighbour]
    grade = torch.from_numpy(_asca_grades()).to(bits.device)[bits]
    return tuple(x[is_peak] for x in (peak, energy, grade, n_photons))


@cache
def _asca_grades():
    """Return the ASCA grade of each of the 256 flight grades: single, split up or down, left, right, L."""
    # Corners that touch each of the four sides.
    touching = {2: 1 | 4, 8: 1 | 32, 16: 4 | 128, 64: 32 | 128}
    clean = {0: 0, 2: 2, 64: 2, 8: 3, 16: 4, 2 | 8: 6, 2 | 16: 6, 64 | 8: 6, 64 | 16: 6}
    spoilt = {0: 1, 2: 5, 3: 5, 4: 5, 6: 7, 7: 7}
    grades = []
    for bits in range(256):
        sides, corners = bits & (2 | 8 | 16 | 64), bits & (1 | 4 | 32 | 128)
        grade = clean.get(sides, 7)
        # A corner spoils the grade if it touches exactly one lit side, or if no side is lit.
        spoiling = 0 if sides else corners
        for side, touched in touching.items():
            spoiling ^= touched if side & sides else 0
        grades.append(spoilt[grade] if corners & spoiling else grade)
    return np.array(grades)
