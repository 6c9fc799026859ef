"""Pile-up: what a CCD reports of a bright point source, photon by photon, for many sources at once.

In each frame photons arrive by Poisson's law, with energies from the source's spectrum times the
effective area and places from the telescope's point spread. Each frees its charge with Fano's noise,
into at most 2 × 2 pixels; the charges of all photons of a frame add up, each pixel is read with
noise, and `ccd` makes events of them. `davis_spectrum` is the analytic model that fits use. What
cannot be used is refused by name, with a ValueError.
"""

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from helpers import spectra
from helpers.arguments import numbers, rows_of, tensor
from helpers.ccd import CCD, Events, read_frames
from helpers.streams import chunks

__all__ = ["PileUpSimulator", "absorbed_blackbody", "absorbed_power_law", "davis_spectrum"]

# Photons that are drawn together, so that their arrays stay in a processor's cache; a GPU needs more
# to be busy. Whole frames: a frame with more photons is drawn alone.
_PHOTONS = {"cpu": 2**15, "cuda": 2**21}
# Photons per frame in one region of Davis' model: as many energies' sums must fit into the memory.
_MOST_PER_REGION = 1e4
_THROWN = 2**20  # single photons, at the detector, to measure its response


def absorbed_power_law(energy_lo: Tensor, energy_hi: Tensor, theta: Tensor) -> Tensor:
    """Photons/cm²/s per bin (..., n_energies) of a power law behind gas, of given absorbed flux.

    Args:
        energy_lo, energy_hi: (n_energies,) edges of bins that cover 0.5 to 10 keV, keV.
        theta: (..., 3) log10 of the absorbed energy flux from 0.5 to 10 keV [erg/cm²/s], photon index
            Γ, N_H [1e22/cm²].

    Example:
        >>> edges = torch.linspace(0.1, 12.0, 1191)
        >>> theta = torch.tensor([-10.0, 1.7, 0.5])
        >>> flux = absorbed_power_law(edges[:-1], edges[1:], theta)
        >>> print(f"{spectra.energy_flux(edges[:-1], edges[1:], flux, 0.5, 10.0):.2e}")
        1.00e-10
    """
    log_flux, index, n_h = theta.unbind(-1)
    flux = spectra.power_law(energy_lo, energy_hi, index, 1.0)
    return _absorbed(energy_lo, energy_hi, flux, n_h, log_flux, (0.5, 10.0))


def absorbed_blackbody(energy_lo: Tensor, energy_hi: Tensor, theta: Tensor) -> Tensor:
    """Photons/cm²/s per bin (..., n_energies) of a blackbody behind gas, of given absorbed flux.

    As `absorbed_power_law`, but the flux is that from 0.2 to 2 keV, and theta (..., 3) holds its
    log10 [erg/cm²/s], kT [keV], N_H [1e22/cm²].

    Example:
        >>> edges = torch.linspace(0.1, 12.0, 1191)
        >>> theta = torch.tensor([[-10.0, 0.05, 1.0], [-10.0, 0.2, 1.0]])
        >>> flux = absorbed_blackbody(edges[:-1], edges[1:], theta)
        >>> edges[flux.argmax(dim=-1)]
        tensor([0.5200, 1.2000])
    """
    log_flux, temperature, n_h = theta.unbind(-1)
    flux = spectra.blackbody(energy_lo, energy_hi, temperature, 1.0)
    return _absorbed(energy_lo, energy_hi, flux, n_h, log_flux, (0.2, 2.0))


def _absorbed(energy_lo, energy_hi, flux, n_h, log_flux, band):
    flux = flux * spectra.absorption(energy_lo, energy_hi, n_h)
    # In float64, for what is left of a cold source behind much gas is not much.
    total = spectra.energy_flux(energy_lo, energy_hi, flux.double(), *band)
    return (flux * (10 ** log_flux.double() / total)[..., None]).to(flux.dtype)


def davis_spectrum(
    photons: Tensor, energy_lo: Tensor, energy_hi: Tensor, *, n_frames: float = 1.0,
    alpha=0.5, psf_fraction=0.95, n_regions=1.0, fracexpo=0.987,
) -> Tensor:  # fmt: skip
    """Events per bin after pile-up, N_f n ε e^-L Σ_p α^(p-1) S^*p / p! + N_f (1 - f) s.

    s are the expected photons of a frame. A share f of them falls on n regions, of which each is
    exposed for a share ε of its time: S = f s/(n ε), L = Σ S. If p photons hit one region in the
    same frame, there is one event of their summed energy (S^*p is the p-fold convolution), and it
    has a good grade with probability α^(p-1). The sum is done at once, for its Fourier transform is
    (exp(αφ) - 1)/α with φ that of S. To be folded with the redistribution of single photons.

    Photons have the central energies of their bins; a sum between two of these is shared by both.
    Defaults are those of sherpa's jdpileup.

    Reference: Davis 2001, ApJ 562, 575.

    Args:
        photons: (..., n_energies) expected photons in a frame and bin, before the redistribution,
            up to 10,000 of them per frame in one region.
        energy_lo, energy_hi: (n_energies,) edges of bins of equal width, keV.
        n_frames: how many frames are added.
        alpha: (...) α, the grade migration parameter, above 0 and up to 1, a number or a tensor.
        psf_fraction: (...) f, 0 to 1.
        n_regions: (...) n, above 0.
        fracexpo: (...) ε, above 0 and up to 1.

    Returns:
        (..., n_energies) expected events up to the last bin, in all frames, differentiable.

    Example:
        Of one region with one photon per frame, 1 - 1/e = 63 per cent of the frames have an event:

        >>> edges = torch.arange(0.005, 40.0, 0.01)
        >>> photons = torch.zeros(len(edges) - 1)
        >>> photons[99] = 1.0  # at 1.0 keV
        >>> ideal = {"alpha": 1.0, "psf_fraction": 1.0, "fracexpo": 1.0}
        >>> N = davis_spectrum(photons, edges[:-1], edges[1:], **ideal)
        >>> print(f"{N.sum():.4f}, {N[99]:.4f} at 1 keV, {N[199]:.4f} at 2 keV")
        0.6321, 0.3679 at 1 keV, 0.1839 at 2 keV
    """
    width = (energy_hi - energy_lo).double()
    step = float(width.mean())
    equal = torch.allclose(width, width.mean(), rtol=1e-3, atol=1e-5 * float(energy_hi[-1]))
    if photons.shape[-1:] != energy_lo.shape or not equal:
        raise ValueError(
            f"davis_spectrum needs photons (..., n_energies) in bins of equal width: photons have "
            f"shape {tuple(photons.shape)}, {len(energy_lo)} bins are {float(width.min()):.4g} to "
            f"{float(width.max()):.4g} keV wide. PileUpSimulator.photons(theta) gives such."
        )
    if photons.numel() == 0:  # of which a Fourier transform may not be asked for
        return photons.clone()
    n = photons.shape[-1]
    alpha, fraction, regions, exposed = (
        tensor("a parameter of pile-up", x).to(photons.device, torch.float64)[..., None]
        for x in (alpha, psf_fraction, n_regions, fracexpo)
    )
    source = photons.double()
    region = source * fraction / (regions * exposed)
    load = region.sum(dim=-1, keepdim=True)

    # In bins, an energy that two photons add is their indices and this: each photon more, again.
    offset = float(energy_lo[0] + energy_hi[0]) / 2 / step
    whole = math.floor(offset + 1e-3)
    between = max(0.0, offset - whole)
    most = float(load.detach().max())
    if not most <= _MOST_PER_REGION:
        raise ValueError(
            f"{most:.3g} photons per frame in one region, of which nothing would be left: "
            f"davis_spectrum takes up to {_MOST_PER_REGION:g}. Limit the flux that a fit may try."
        )
    # Long enough that the sums of as many photons as ever come do not return at low energies.
    length = int((n + whole) * (most + 8 * math.sqrt(most) + 12))
    length = 2 ** math.ceil(math.log2(length))
    omega = torch.arange(length // 2 + 1, dtype=torch.float64, device=photons.device)
    omega *= -2 * math.pi / length
    shared = torch.complex(1 - between + between * torch.cos(omega), between * torch.sin(omega))
    shift = torch.polar(torch.ones_like(omega), omega * whole) * shared
    phi = torch.fft.rfft(region, n=length)
    z = alpha * phi * shift
    # e^-L (exp(z) - 1)/z, whatever z: near zero by its series, for a difference would lose digits, and
    # else with both exponents together, for exp(z) alone could be infinite.
    small = z.abs() < 0.05
    safe = torch.where(small, torch.ones_like(z), z)
    nearby = 1.0
    for k in range(9, 1, -1):
        nearby = 1 + z / k * nearby
    empty = torch.exp(-load)
    growth = torch.where(small, empty * nearby, (torch.exp(safe - load) - empty) / safe)
    piled = torch.fft.irfft(phi * growth, n=length)[..., :n]
    events = regions * exposed * piled + (1 - fraction) * source
    return (n_frames * events).to(photons.dtype)


class PileUpSimulator:
    """Event lists and spectra of a point source that a CCD with pile-up sees.

    `theta` decides on dtype and device; results do not depend on `memory` (see `streams`). On a GPU
    sums of charges may differ in their last digit from one run to the next.

    Photons two or three pixels or more beyond the outermost annulus are not recorded. No background,
    no losses of charge, no out-of-time events (photons that come while a frame is shifted, 6 per cent
    for pn in full frame, 1.3 for ACIS); all the exposure is spent collecting photons.

    Args:
        detector: such as `ccd.ACIS`.
        spectrum: the source: gets energy_lo and energy_hi (n_energies,) in keV and theta (..., P),
            and returns photons/cm²/s in each bin (..., n_energies), finite and 0 or more.
        exposure: s, rounded to whole frames.
        annuli: (n_annuli + 1,) ascending radii, arcsec; None for one circle of 10 pixels.
        channels: (n_channels + 1,) ascending energies, keV; None for 1024 channels of 15 eV.
        energies: lowest energy, highest energy and width of the bins of photon energies, keV; the
            spectrum is constant inside each.
        position: where in a pixel the source is, right and up from its centre, -0.5 to 0.5 pixels;
            None for each simulation to draw its own, uniformly. Or a path that begins at such a place,
            as `ccd.chandra_dither`: from times (n,) since the start, s, to (n, 2) pixels, of any size,
            but no more than 1 away from the middle of the same frame. Annuli follow the source.
        memory: bytes that images on a GPU may take; None for 8 GB. A CPU needs one image.

    Attributes:
        n_frames: of each simulation.
        energy_lo, energy_hi, effective_area: (n_energies,) keV and cm², float64.
        annuli, channels: as above, in float64.
        side: pixels to a side of the square image, in whose middle the source is.
        kept: share of the photons that are drawn: those that fall into the image, but for its edge.

    Example:
        At 10 photons in a frame, most of what ACIS accepts from the core is piled up:

        >>> from helpers.ccd import ACIS
        >>> simulate = PileUpSimulator(ACIS, exposure=640.0, annuli=[0.0, 1.0, 2.0, 4.0])
        >>> theta = torch.tensor([-10.8, 1.7, 0.1])  # log10 flux, photon index, N_H
        >>> simulate(theta, torch.Generator().manual_seed(1)).shape
        torch.Size([3, 1024])
        >>> events = simulate.events(theta, torch.Generator().manual_seed(1))
        >>> core = events.valid & (torch.hypot(events.x, events.y) < 1)
        >>> bool((events.n_photons[core] > 1).float().mean() > 0.5)
        True
    """

    def __init__(
        self, detector: CCD,
        spectrum: Callable[[Tensor, Tensor, Tensor], Tensor] = absorbed_power_law,
        exposure: float = 1000.0, *, annuli=None, channels=None,
        energies: tuple[float, float, float] = (0.1, 12.0, 0.01),
        position: tuple[float, float] | Callable[[Tensor], Tensor] | None = None,
        memory: int | None = None,
    ):  # fmt: skip
        self.detector, self.spectrum, self.exposure = detector, spectrum, float(exposure)
        self.position, self.memory = position, memory
        self.n_frames = round(self.exposure / detector.frame_time) if exposure > 0 else 0
        if self.n_frames < 1:
            raise ValueError(
                f"exposure={exposure:g} s is less than a frame of {detector.name}. Use a multiple "
                f"of {detector.frame_time:g} s."
            )
        annuli = (0.0, 10 * detector.pixel) if annuli is None else annuli
        channels = np.arange(1025) * 0.015 if channels is None else channels
        self.annuli = _ascending("annuli", annuli, "arcsec")
        self.channels = _ascending("channels", channels, "keV")
        width = self.channels.diff()
        self._even = torch.allclose(width, width.mean(), rtol=1e-6, atol=0)
        fixed = position is not None and not callable(position)
        if fixed and not (len(position) == 2 and max(map(abs, position)) <= 0.5):
            raise ValueError(
                f"position must be two numbers from -0.5 to 0.5 pixels, or a path, not {position}."
            )
        lowest, highest, width = energies
        if not (0 < lowest < highest < math.inf and 0 < width < 1.5 * (highest - lowest)):
            raise ValueError(
                f"energies={energies}: give a positive lowest energy, a higher highest one, and "
                "the width of bins between them, in keV."
            )
        edges = lowest + width * torch.arange(round((highest - lowest) / width) + 1).double()
        self.energy_lo, self.energy_hi, self._width = edges[:-1], edges[1:], width
        centres = ((edges[1:] + edges[:-1]) / 2).numpy()
        self.effective_area = torch.from_numpy(_area(detector.area, centres))

        # Images: the source in the middle of a square of pixels, with room to move, in a dark ring.
        reach = math.ceil(float(self.annuli[-1]) / detector.pixel) + 2
        self._half = reach + 2 + callable(position)
        self.side = 2 * self._half + 1
        self.kept = detector.enclosed(reach * detector.pixel)

    def __call__(self, theta: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(..., n_annuli, n_channels) counts of accepted events around the source, for theta (..., P)."""
        shape = (len(self.annuli) - 1, len(self.channels) - 1)
        counts = theta.new_zeros(math.prod(theta.shape[:-1]), *shape)
        for events in self._events(theta, generator):
            annulus, near = _bins(torch.hypot(events.x, events.y), self.annuli)
            channel, inside = _bins(events.energy, self.channels, self._even)
            index = (events.simulation * shape[0] + annulus) * shape[1] + channel
            counts.view(-1).index_add_(0, index, (events.valid & near & inside).to(counts.dtype))
        return counts.reshape(*theta.shape[:-1], *shape)

    def events(self, theta: Tensor, generator: torch.Generator | None = None) -> Events:
        """Every event for theta (..., P), of which `self(theta, generator)` are the spectra.

        Simulation counts along the flattened dimensions before the last of theta. Sorted by it and frame.
        """
        none, real = theta.new_zeros(0, dtype=torch.int64), theta.new_zeros(0)
        nothing = Events(none, none, real, real, real, none, none, none.bool())
        parts = [nothing, *self._events(theta, generator)]
        events = Events(*(torch.cat(part) for part in zip(*parts, strict=True)))
        order = torch.argsort(events.simulation * self.n_frames + events.frame, stable=True)
        return Events(*(part.index_select(0, order) for part in events))

    def photons(self, theta: Tensor) -> Tensor:
        """(..., n_energies) expected photons per frame and energy bin, wherever they fall."""
        lo, hi, area = (x.to(theta) for x in (self.energy_lo, self.energy_hi, self.effective_area))
        return self.spectrum(lo, hi, theta) * (area * self.detector.frame_time)

    @cached_property
    def response(self) -> spectra.Response:
        """Area, losses and blur of single photons: for fits without pile-up, all annuli together.

        Measured by throwing 2^20 photons, even in energy and place in a pixel, at the detector.
        Counts in an annulus: response.fold(flux) × exposure × `psf_fraction` of it. float32, CPU.
        """
        sobol = torch.quasirandom.SobolEngine(8, scramble=True, seed=1)
        n_rows, n_channels = len(self.energy_lo), len(self.channels) - 1
        thrown = torch.zeros(n_rows, dtype=torch.int64)
        seen = torch.zeros(n_rows * n_channels, dtype=torch.float64)
        # Each in the middle of 5 × 5 pixels of its own; as many at once as take some tens of MB.
        frame = torch.arange(_THROWN // 16, dtype=torch.float64)
        for _ in range(16):
            uniform = sobol.draw(len(frame), dtype=torch.float64)
            place = uniform[:, 0] * n_rows
            row = place.long().clamp(max=n_rows - 1)
            energy = float(self.energy_lo[0]) + place * self._width
            normal = torch.special.ndtri(uniform[:, 3:].clamp(1e-9, 1 - 1e-9))
            charge = self._charge(energy, normal[:, 0])
            thrown += torch.bincount(row, minlength=n_rows)
            hits = *self._spread(*(uniform[:, 1:3].T + 2), charge, 5), normal[:, 1:].T.contiguous()
            photon, _, energy, _, _, valid = read_frames(frame, *hits, 5, self.detector)
            channel, inside = _bins(energy, self.channels, self._even)
            cell = row[photon] * n_channels + channel
            seen += torch.bincount(cell, valid & inside, len(seen))
        matrix = seen.reshape(n_rows, n_channels) / thrown[:, None]
        energies = self.energy_lo, self.energy_hi, self.effective_area
        response = spectra.Response(*energies, matrix, self.channels[:-1], self.channels[1:])
        return response.to(dtype=torch.float32)

    @cached_property
    def psf_fraction(self) -> Tensor:
        """(n_annuli,) the mean share of photons whose pixel's centre is in each annulus, float64."""
        n = 6 if callable(self.position) else 4
        uniform = torch.quasirandom.SobolEngine(n, scramble=True, seed=1).draw(2**18).double()
        frame = (uniform[:, -1] * self.n_frames).floor().clamp_(max=self.n_frames - 1)
        source, aim = self._follow(self._source(uniform[:, 2:4]), frame, frame + uniform[:, -2])
        landed = torch.stack(self._land(uniform[:, 0], uniform[:, 1], source), dim=1)
        x, y = ((landed.floor() - self._half - aim) * self.detector.pixel).unbind(1)
        annulus, inside = _bins(torch.hypot(x, y), self.annuli)
        return torch.bincount(annulus[inside], minlength=len(self.annuli) - 1) / len(x) * self.kept

    def _source(self, uniform):
        """(n, 2) places of the source in its pixel, from uniform numbers."""
        if self.position is None or callable(self.position):
            return uniform - 0.5
        return uniform.new_tensor(self.position).expand(len(uniform), 2)

    def _follow(self, start, frame, moment):
        """(n, 2) where in the image that follows it the source is, now (in frames) and in mid-frame."""
        if not callable(self.position):
            return start, start
        n, times = len(start), torch.cat([moment, frame.double() + 0.5]) * self.detector.frame_time
        path = tensor("position", self.position(times)).to(start.device, torch.float64)
        if path.shape != (2 * n, 2) or not bool(((path[:n] - path[n:]).abs() <= 1).all()):
            raise ValueError(
                f"position must give finite pixels (n, 2) for times (n,), not {tuple(path.shape)} for "
                f"({2 * n},), and move by up to 1 pixel in half a frame of {self.detector.frame_time:g} s."
            )
        path = path + torch.cat([start, start])
        return (path - (path[n:] + 0.5).floor().repeat(2, 1)).to(start.dtype).split(n)

    def _charge(self, energy, normal):
        """keV that photons free, from a normal number each."""
        if not isinstance(self.detector.area, spectra.Response):
            return energy.addcmul(self.detector.blur(energy), normal)
        energies, low, high, table = (x.to(energy) for x in self._rows)
        row = torch.searchsorted(energies, energy, right=True).clamp_(max=len(energies) - 1)
        u = torch.special.ndtr(normal)
        k = _table_search(table, row, u) - 1  # the channel, in which energies are even
        below, above = table[row, k], table[row, k + 1]
        return torch.lerp(low[k], high[k], (u - below) / (above - below))

    @cached_property
    def _rows(self):
        """Of a whole response: energies; channels and, without energy, one for photons not reported;
        the chance of less than each, in 2^k entries."""
        rmf, pad = self.detector.area, torch.nn.functional.pad
        channels = pad(rmf.channel_lo, (0, 1)), pad(rmf.channel_hi, (0, 1))
        n, cdf = len(channels[0]), pad(rmf.redistribution.double().cumsum(dim=1), (1, 0))
        return rmf.energy_hi, *channels, pad(cdf, (0, 2 ** n.bit_length() - n), value=math.inf)

    def _land(self, u, v, source):
        """Where photons hit the image inside its edge, pixels, from uniform numbers and their source."""
        detector = self.detector
        if detector.psf_core == math.inf and not len(detector.psf_table):
            side = self.side - 4
            return 2 + u * side, 2 + v * side
        r = detector.radius(self.kept * u).clamp_(max=self._half - 2 - callable(self.position))
        angle = v * (2 * math.pi)
        x, y = (source + (self._half + 0.5)).unbind(1)
        return torch.addcmul(x, r, angle.cos()), torch.addcmul(y, r, angle.sin())

    def _events(self, theta, generator):
        """The events of theta, part by part."""
        rows = rows_of(theta)
        draw = dict(dtype=theta.dtype, device=theta.device)
        limit = _PHOTONS.get(theta.device.type, _PHOTONS["cpu"])
        for cell, [(_, draw["generator"])] in chunks(len(rows), 1, 0, generator, theta.device):
            photons = self.photons(rows[cell]).double()
            rates = photons.sum(dim=-1) * self.kept
            if not bool(((photons >= 0).all(dim=-1) & (rates < math.inf)).all()):
                raise ValueError(
                    f"The spectra of simulations {cell.start} to {cell.stop - 1} are not all finite "
                    "and 0 or more in each bin: look at the ranges that theta is drawn from."
                )
            # The chance of an energy up to the end of each bin but the last, in tables of 2^k entries.
            cdf = photons.cumsum(dim=-1)
            cdf = (cdf / cdf[:, -1:])[:, :-1].to(theta.dtype)
            room = 2 ** cdf.shape[1].bit_length() - cdf.shape[1]
            cdf = torch.nn.functional.pad(cdf, (0, room), value=math.inf)
            source = self._source(torch.rand(len(rates), 2, **draw))
            for portion in _portions(rates.tolist(), self.n_frames, limit):
                yield from self._expose(portion, cdf, source, cell.start, draw)

    def _expose(self, portion, cdf, source, first_simulation, draw):
        """The events of some frames of some simulations."""
        stretches = torch.tensor(portion, dtype=torch.float64, device=cdf.device).T.contiguous()
        ends = stretches[-1].cumsum(0)
        n = int(torch.poisson(ends[-1:], generator=draw["generator"]))
        if n == 0:
            return
        # Arrivals in order, in expected photons: waiting times, scaled to what n + 1 of them took.
        arrival = torch.rand(n + 1, **draw).clamp_(min=2**-25).log_().double().cumsum(0)
        arrival = arrival[:-1] * (ends[-1] / arrival[-1])
        stretch = torch.searchsorted(ends, arrival, right=True).clamp_(max=len(ends) - 1)
        which, first, last, rate, expected = (x.index_select(0, stretch) for x in stretches)
        elapsed = first + (arrival - ends.index_select(0, stretch) + expected) / rate
        frame = elapsed.floor().clamp_(first, last)
        moment = which * self.n_frames + frame
        which, frame = which.long(), frame.long()
        energy = _table_search(cdf, which, torch.rand(n, **draw)) + torch.rand(n, **draw)
        energy = energy.mul_(self._width).add_(float(self.energy_lo[0]))
        energy = self._charge(energy, torch.randn(n, **draw)).clamp_(min=0)
        source, aim = self._follow(source.index_select(0, which), frame, elapsed)
        x, y = self._land(torch.rand(n, **draw), torch.rand(n, **draw), source)

        hits = *self._spread(x, y, energy, self.side), torch.randn(4, n, **draw)
        photon, place, *measured = read_frames(moment, *hits, self.side, self.detector, self.memory)
        which, frame, aim = (part.index_select(0, photon) for part in (which, frame, aim))
        x, y = ((place - self._half - aim) * self.detector.pixel).unbind(1)
        yield Events(which + first_simulation, frame, x, y, *measured)

    def _spread(self, x, y, energy, side):
        """The lower left of the 2 × 2 pixels that photons light, the one they hit, and charges."""
        left, low = (x - 0.5).floor_(), (y - 0.5).floor_()
        share_x = self.detector.upper_share(x - left - 1)
        share_y = self.detector.upper_share(y - low - 1)
        corner = low.long() * side + left.long()
        hit = corner + (share_x >= 0.5) + (share_y >= 0.5) * side
        upper = energy * share_y
        lower = energy - upper
        upper_right, lower_right = upper * share_x, lower * share_x
        charge = torch.stack([lower - lower_right, lower_right, upper - upper_right, upper_right])
        return corner, hit, torch.nn.functional.threshold_(charge, 1e-5, 0.0)  # 0.01 eV is nothing


def _portions(rates, n_frames, limit):
    """Stretches (simulation, first and last frame, rate, expected), in lists of about `limit` photons."""
    portion, room = [], limit
    for simulation, rate in enumerate(rates):
        first = 0 if rate > 0 else n_frames
        while first < n_frames:
            frames = min(n_frames - first, max(1, int(room / rate)))
            portion.append((simulation, first, first + frames - 1, rate, rate * frames))
            first, room = first + frames, room - rate * frames
            if room < rate:
                yield portion
                portion, room = [], limit
    if portion:
        yield portion


def _table_search(table, row, u):
    """Of each row of a table of 2^k ascending entries: how many are up to u."""
    # torch.searchsorted would take several times as long: a processor cannot guess its turns.
    length = table.shape[1]
    flat, start = table.flatten(), row * length
    found, step = start.to(torch.int32), length // 2
    while step:
        found.add_(flat.index_select(0, found + (step - 1)) <= u, alpha=step)
        step //= 2
    return found - start


def _bins(values, edges, even=False):
    """In which bin each value is, and whether it is in any. Fast if all bins are equally wide."""
    n, first, last = len(edges) - 1, float(edges[0]), float(edges[-1])
    if even:
        index = (values - first).mul_(n / (last - first)).long().clamp_(0, n - 1)
    else:
        inner = edges[1:-1].to(values.device, values.dtype)
        index = torch.searchsorted(inner, values, right=True)
    return index, (values >= first) & (values < last)


def _ascending(name, edges, unit):
    edges = torch.from_numpy(numbers(name, edges))
    if edges.ndim == 1 and len(edges) > 1 and edges[0] >= 0 and bool((edges.diff() > 0).all()):
        return edges
    raise ValueError(
        f"{name} must be two or more ascending edges in {unit}, from 0 on, not {edges.tolist()}."
    )


def _area(area, energy):
    """(n_energies,) cm² at these energies, zero beyond those of `CCD.area`."""
    if isinstance(area, str):
        from helpers.data import load_response

        area = load_response(area)
    if isinstance(area, spectra.Response):
        nodes = (area.energy_lo + area.energy_hi) / 2
        return np.interp(energy, nodes, area.effective_area, left=0.0, right=0.0)
    nodes, areas = np.log(np.asarray(area, dtype=float)).T
    return np.exp(np.interp(np.log(energy), nodes, areas, left=-math.inf, right=-math.inf))
