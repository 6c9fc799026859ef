"""Simulate pile-up: the events of bright point sources in a CCD, photon by photon.

The number of photons in a frame is Poisson distributed. Their energies follow the source's spectrum
times the effective area, and their places the telescope's point spread function. Each frees its charge
with Fano noise in at most 2 × 2 pixels. The charges of all photons of a frame add up, each pixel is
read with noise, and `ccd` makes events of them. `davis_spectrum` is the analytic model for fits.
Arguments that cannot be used give a ValueError with their name.
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
# to be efficient. Frames are not divided: a frame with more photons is drawn alone.
_PHOTONS = {"cpu": 2**15, "cuda": 2**21}
# Most photons per frame in one region of Davis' model: the sums of their energies need memory.
_MOST_PER_REGION = 1e4
_THROWN = 2**20  # single photons that are simulated to measure the detector's response


def absorbed_power_law(energy_lo: Tensor, energy_hi: Tensor, theta: Tensor) -> Tensor:
    """Compute an absorbed power law with given absorbed flux: photons/cm²/s per bin (..., n_energies).

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
    """Compute an absorbed blackbody with given absorbed flux: photons/cm²/s per bin (..., n_energies).

    Arguments are as in `absorbed_power_law`, but the flux is from 0.2 to 2 keV, and theta (..., 3)
    has log10 of the flux [erg/cm²/s], kT [keV], N_H [1e22/cm²].

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
    # In float64, because little flux of a cold source passes a high column density.
    total = spectra.energy_flux(energy_lo, energy_hi, flux.double(), *band)
    return (flux * (10 ** log_flux.double() / total)[..., None]).to(flux.dtype)


def davis_spectrum(
    photons: Tensor, energy_lo: Tensor, energy_hi: Tensor, *, n_frames: float = 1.0,
    alpha=0.5, psf_fraction=0.95, n_regions=1.0, fracexpo=0.987,
) -> Tensor:  # fmt: skip
    """Compute events per bin after pile-up, N_f n ε e^-L Σ_p α^(p-1) S^*p / p! + N_f (1 - f) s.

    s are the expected photons of a frame. A share f of them falls on n regions, each of which is
    exposed for a share ε of its time: S = f s/(n ε), L = Σ S. If p photons hit one region in the
    same frame, they give one event of their summed energy (S^*p is the p-fold convolution), which has
    a good grade with probability α^(p-1). The sum over p is exact: its Fourier transform is
    (exp(αφ) - 1)/α with φ that of S. Fold the result with the redistribution of single photons.

    Photons have the central energies of their bins; a sum between two centres is shared by both bins.
    Defaults are those of sherpa's jdpileup.

    Reference: Davis 2001, ApJ 562, 575.

    Args:
        photons: (..., n_energies) expected photons per frame and bin, before the redistribution,
            up to 10,000 per frame in one region.
        energy_lo, energy_hi: (n_energies,) edges of bins of equal width, keV.
        n_frames: number of frames that are added.
        alpha: (...) α, the grade migration parameter, above 0 and up to 1, a number or a tensor.
        psf_fraction: (...) f, 0 to 1.
        n_regions: (...) n, above 0.
        fracexpo: (...) ε, above 0 and up to 1.

    Returns:
        (..., n_energies) expected events in all frames, up to the last bin, differentiable.

    Example:
        In one region with one photon per frame, 1 - 1/e = 63 per cent of the frames have an event:

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
            f"{float(width.max()):.4g} keV wide. PileUpSimulator.photons(theta) gives these."
        )
    if photons.numel() == 0:  # torch has no Fourier transform of an empty tensor
        return photons.clone()
    n = photons.shape[-1]
    alpha, fraction, regions, exposed = (
        tensor("a parameter of pile-up", x).to(photons.device, torch.float64)[..., None]
        for x in (alpha, psf_fraction, n_regions, fracexpo)
    )
    source = photons.double()
    region = source * fraction / (regions * exposed)
    load = region.sum(dim=-1, keepdim=True)

    # In units of bins, a sum of p energies is the sum of their indices and (p - 1) times this.
    offset = float(energy_lo[0] + energy_hi[0]) / 2 / step
    whole = math.floor(offset + 1e-3)
    between = max(0.0, offset - whole)
    most = float(load.detach().max())
    if not most <= _MOST_PER_REGION:
        raise ValueError(
            f"{most:.3g} photons per frame in one region, too many to leave any event: "
            f"davis_spectrum takes up to {_MOST_PER_REGION:g}. Limit the flux that a fit may try."
        )
    # Long enough that sums of many photons do not wrap around to low energies.
    length = int((n + whole) * (most + 8 * math.sqrt(most) + 12))
    length = 2 ** math.ceil(math.log2(length))
    omega = torch.arange(length // 2 + 1, dtype=torch.float64, device=photons.device)
    omega *= -2 * math.pi / length
    shared = torch.complex(1 - between + between * torch.cos(omega), between * torch.sin(omega))
    shift = torch.polar(torch.ones_like(omega), omega * whole) * shared
    phi = torch.fft.rfft(region, n=length)
    z = alpha * phi * shift
    # e^-L (exp(z) - 1)/z for all z: by its series near zero, where a difference would lose digits, and
    # otherwise with both exponents together, because exp(z) alone could be infinite.
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
    """Simulate event lists and spectra of a point source in a CCD with pile-up.

    `theta` determines dtype and device; results do not depend on `memory` (see `streams`). On a GPU
    sums of charges may differ in their last digit from one run to the next.

    Photons more than two or three pixels outside the outermost annulus are not recorded. There are no
    background, no charge losses and no out-of-time events (photons that arrive while a frame is shifted,
    6 per cent for pn in full frame, 1.3 for ACIS); the whole exposure collects photons.

    Args:
        detector: a `ccd.CCD`, such as `ccd.ACIS`.
        spectrum: function from energy_lo and energy_hi (n_energies,), keV, and theta (..., P) to
            photons/cm²/s of the source in each bin (..., n_energies), finite and 0 or more.
        exposure: s, rounded to whole frames.
        annuli: (n_annuli + 1,) ascending radii, arcsec; None for one circle of 10 pixels.
        channels: (n_channels + 1,) ascending energies, keV; None for 1024 channels of 15 eV.
        energies: lowest energy, highest energy and width of the bins of photon energies, keV; the
            spectrum is constant inside each.
        position: of the source, right and up from the centre of a pixel, -0.5 to 0.5 pixels; None for
            a uniform draw in each simulation. Or a path that is added to this draw, such as
            `ccd.chandra_dither`: a function from times (n,) since the start, s, to (n, 2) pixels, which
            moves up to 1 pixel from the middle of a frame. Annuli follow the source.
        memory: bytes that images on a GPU may take; None for 8 GB. A CPU needs one image.

    Attributes:
        n_frames: number of frames of each simulation.
        energy_lo, energy_hi, effective_area: (n_energies,) keV and cm², float64.
        annuli, channels: as above, in float64.
        side: pixels per side of the square image, in whose middle the source is.
        kept: share of the photons that are drawn, which fall into the image without its edge.

    Example:
        At 10 photons per frame, most events that ACIS accepts from the core are piled up:

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
            raise ValueError(f"position: a path, or two numbers from -0.5 to 0.5, not {position}.")
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

        # Images have the source in the middle of a square of pixels, with room to move, and an empty edge.
        reach = math.ceil(float(self.annuli[-1]) / detector.pixel) + 2
        self._half = reach + 2 + callable(position)
        self.side = 2 * self._half + 1
        self.kept = detector.enclosed(reach * detector.pixel)

    def __call__(self, theta: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Simulate spectra for theta (..., P): counts (..., n_annuli, n_channels) of accepted events."""
        shape = (len(self.annuli) - 1, len(self.channels) - 1)
        counts = theta.new_zeros(math.prod(theta.shape[:-1]), *shape)
        for events in self._events(theta, generator):
            annulus, near = _bins(torch.hypot(events.x, events.y), self.annuli)
            channel, inside = _bins(events.energy, self.channels, self._even)
            index = (events.simulation * shape[0] + annulus) * shape[1] + channel
            counts.view(-1).index_add_(0, index, (events.valid & near & inside).to(counts.dtype))
        return counts.reshape(*theta.shape[:-1], *shape)

    def events(self, theta: Tensor, generator: torch.Generator | None = None) -> Events:
        """Simulate all events for theta (..., P); `self(theta, generator)` are their spectra.

        Simulations are numbered along theta's flattened leading dimensions. Sorted by number and frame.
        """
        none, real = theta.new_zeros(0, dtype=torch.int64), theta.new_zeros(0)
        nothing = Events(none, none, real, real, real, none, none, none.bool())
        parts = [nothing, *self._events(theta, generator)]
        events = Events(*(torch.cat(part) for part in zip(*parts, strict=True)))
        order = torch.argsort(events.simulation * self.n_frames + events.frame, stable=True)
        return Events(*(part.index_select(0, order) for part in events))

    def photons(self, theta: Tensor) -> Tensor:
        """Compute the expected photons (..., n_energies) per frame and energy bin, at any place."""
        lo, hi, area = (x.to(theta) for x in (self.energy_lo, self.energy_hi, self.effective_area))
        return self.spectrum(lo, hi, theta) * (area * self.detector.frame_time)

    @cached_property
    def response(self) -> spectra.Response:
        """Measure the response of single photons, for fits without pile-up and all annuli together.

        It has area, losses and blur, from a simulation of 2^20 photons, uniform in energy and in a pixel.
        Counts in an annulus: response.fold(flux) × exposure × `psf_fraction` of it. float32, CPU.
        """
        sobol = torch.quasirandom.SobolEngine(8, scramble=True, seed=1)
        n_rows, n_channels = len(self.energy_lo), len(self.channels) - 1
        thrown = torch.zeros(n_rows, dtype=torch.int64)
        seen = torch.zeros(n_rows * n_channels, dtype=torch.float64)
        # Each photon has its own 5 × 5 pixels; some tens of MB are simulated at once.
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
        """Compute the mean share (n_annuli,) of photons whose pixel's centre is in each annulus, float64."""
        n = 6 if callable(self.position) else 4
        uniform = torch.quasirandom.SobolEngine(n, scramble=True, seed=1).draw(2**18).double()
        frame = (uniform[:, -1] * self.n_frames).floor().clamp_(max=self.n_frames - 1)
        source, aim = self._follow(self._source(uniform[:, 2:4]), frame, frame + uniform[:, -2])
        landed = torch.stack(self._land(uniform[:, 0], uniform[:, 1], source), dim=1)
        x, y = ((landed.floor() - self._half - aim) * self.detector.pixel).unbind(1)
        annulus, inside = _bins(torch.hypot(x, y), self.annuli)
        return torch.bincount(annulus[inside], minlength=len(self.annuli) - 1) / len(x) * self.kept

    def _source(self, uniform):
        """Return places (n, 2) of the source in its pixel, from uniform numbers."""
        if self.position is None or callable(self.position):
            return uniform - 0.5
        return uniform.new_tensor(self.position).expand(len(uniform), 2)

    def _follow(self, start, frame, moment):
        """Return places (n, 2) of the source in the image that follows it, now (in frames) and in mid-frame."""
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
        """Return the charges of photons, keV, from one normal number each."""
        if not isinstance(self.detector.area, spectra.Response):
            return energy.addcmul(self.detector.blur(energy), normal)
        energies, low, high, table = (x.to(energy) for x in self._rows)
        row = torch.searchsorted(energies, energy, right=True).clamp_(max=len(energies) - 1)
        u = torch.special.ndtr(normal)
        k = _table_search(table, row, u) - 1  # the channel, in which energies are uniform
        below, above = table[row, k], table[row, k + 1]
        return torch.lerp(low[k], high[k], (u - below) / (above - below))

    @cached_property
    def _rows(self):
        """Return a response's energies; its channels, and one without energy for unreported photons;
        and cumulative probabilities in 2^k entries."""
        rmf, pad = self.detector.area, torch.nn.functional.pad
        channels = pad(rmf.channel_lo, (0, 1)), pad(rmf.channel_hi, (0, 1))
        n, cdf = len(channels[0]), pad(rmf.redistribution.double().cumsum(dim=1), (1, 0))
        return rmf.energy_hi, *channels, pad(cdf, (0, 2 ** n.bit_length() - n), value=math.inf)

    def _land(self, u, v, source):
        """Return where photons hit the image inside its edge, pixels, from uniform numbers and the source."""
        detector = self.detector
        if detector.psf_core == math.inf and not len(detector.psf_table):
            side = self.side - 4
            return 2 + u * side, 2 + v * side
        r = detector.radius(self.kept * u).clamp_(max=self._half - 2 - callable(self.position))
        angle = v * (2 * math.pi)
        x, y = (source + (self._half + 0.5)).unbind(1)
        return torch.addcmul(x, r, angle.cos()), torch.addcmul(y, r, angle.sin())

    def _events(self, theta, generator):
        """Yield the events of theta in parts."""
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
            # Probability of an energy below the end of each bin but the last, in tables of 2^k entries.
            cdf = photons.cumsum(dim=-1)
            cdf = (cdf / cdf[:, -1:])[:, :-1].to(theta.dtype)
            room = 2 ** cdf.shape[1].bit_length() - cdf.shape[1]
            cdf = torch.nn.functional.pad(cdf, (0, room), value=math.inf)
            source = self._source(torch.rand(len(rates), 2, **draw))
            for portion in _portions(rates.tolist(), self.n_frames, limit):
                yield from self._expose(portion, cdf, source, cell.start, draw)

    def _expose(self, portion, cdf, source, first_simulation, draw):
        """Return the events of some frames of some simulations."""
        stretches = torch.tensor(portion, dtype=torch.float64, device=cdf.device).T.contiguous()
        ends = stretches[-1].cumsum(0)
        n = int(torch.poisson(ends[-1:], generator=draw["generator"]))
        if n == 0:
            return
        # Sorted arrivals in units of expected photons: sums of waiting times, scaled by the sum of n + 1.
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
        """Return the lower left of the 2 × 2 pixels with charge, the pixel that is hit, and charges."""
        left, low = (x - 0.5).floor_(), (y - 0.5).floor_()
        share_x = self.detector.upper_share(x - left - 1)
        share_y = self.detector.upper_share(y - low - 1)
        corner = low.long() * side + left.long()
        hit = corner + (share_x >= 0.5) + (share_y >= 0.5) * side
        upper = energy * share_y
        lower = energy - upper
        upper_right, lower_right = upper * share_x, lower * share_x
        charge = torch.stack([lower - lower_right, lower_right, upper - upper_right, upper_right])
        return corner, hit, torch.nn.functional.threshold_(charge, 1e-5, 0.0)  # neglect 0.01 eV


def _portions(rates, n_frames, limit):
    """Yield lists of (simulation, first and last frame, rate, expected) with about `limit` photons."""
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
    """Count for each row of a table of 2^k ascending entries how many are at most u."""
    # torch.searchsorted takes several times as long, because its branches cannot be predicted.
    length = table.shape[1]
    flat, start = table.flatten(), row * length
    found, step = start.to(torch.int32), length // 2
    while step:
        found.add_(flat.index_select(0, found + (step - 1)) <= u, alpha=step)
        step //= 2
    return found - start


def _bins(values, edges, even=False):
    """Return the bin of each value, and whether it is in any bin. Fast if bins are equally wide."""
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
    """Return the area (n_energies,), cm², at these energies; zero outside those of `CCD.area`."""
    if isinstance(area, str):
        from helpers.data import load_response

        area = load_response(area)
    if isinstance(area, spectra.Response):
        nodes = (area.energy_lo + area.energy_hi) / 2
        return np.interp(energy, nodes, area.effective_area, left=0.0, right=0.0)
    nodes, areas = np.log(np.asarray(area, dtype=float)).T
    return np.exp(np.interp(np.log(energy), nodes, areas, left=-math.inf, right=-math.inf))
