"""What dead time leaves of a light curve, photon by photon and exactly, for many detectors at once.

After each event that it registers, a detector is blind for its dead time τ. If photons that arrive
while it is blind change nothing, it is non-paralyzable (Chandra, NuSTAR, RXTE); if each of them
makes it blind for another τ, it is paralyzable.

`filter_events` takes the photons one by one. `count_detected` never makes them: bins shorter than τ
hold at most one event of a detector, whose time follows from one exponential random number, so that
all detectors walk through time together, bin by bin. What cannot be used is refused by name, with a
ValueError.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numba
import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from helpers.arguments import (
    numbers,
    one_of,
    refuse_empty_run,
    resolved,
    rows_of,
    seconds,
    tensor,
    whole,
)
from helpers.light_curves import (
    averaged_cospectrum,
    averaged_periodogram,
    log_bin,
    lorentzian,
    simulate_light_curves,
)
from helpers.streams import CELL, chunks

__all__ = [
    "NUSTAR",
    "DeadTimeDistribution",
    "DeadTimeSimulator",
    "count_detected",
    "filter_events",
    "qpo",
]

# Steps that a walk takes before its clock is set to zero, so that float32 resolves 1e-4 of a step.
_PIECE = 512
# More steps in a bin than this, and the photons one by one are faster than the walk.
_MOST_STEPS = 32
# Bytes that the work takes unless asked otherwise: what a cache holds, or what keeps a GPU busy.
_MEMORY = {"cpu": 2**25, "cuda": 2**32}
# Photons that fit into a few GB.
_MOST_PHOTONS = 1e8
# Dead times that a detector runs before its light curve begins, to have forgotten how it started.
_RUN_UP = 20
# How much longer than what is observed a light curve is that does not repeat.
_LONGER = 1.5


@dataclass(frozen=True)
class DeadTimeDistribution:
    """Dead times that differ from event to event, drawn from a table of their quantiles.

    Straight lines connect its entries; beyond the first and the last lie just their values.

    Args:
        probabilities: ascending, each a whole number of thousandths between 0 and 1.
        values: the quantiles at these probabilities, s, ascending and positive.

    Example:
        >>> uniform = DeadTimeDistribution((0.0, 1.0), (2e-3, 3e-3))
        >>> uniform.minimum, round(uniform.mean, 9)
        (0.002, 0.0025)
        >>> uniform.sample((4,), torch.Generator().manual_seed(1)).shape
        torch.Size([4])
    """

    probabilities: tuple[float, ...]
    values: tuple[float, ...]

    def __post_init__(self):
        thousandths = numbers("probabilities", self.probabilities, missing=True) * 1000
        values = numbers("values", self.values, missing=True)
        if not (
            thousandths.shape == values.shape == (len(values),)
            and len(values) > 1
            and np.allclose(thousandths, np.round(thousandths), atol=1e-6, rtol=0)
            and (np.diff(thousandths) > 0).all()
            and (np.diff(values) >= 0).all()
            and 0 <= thousandths[0] < thousandths[-1] <= 1000
            and 0 < values[0] <= values[-1] < math.inf
        ):
            raise ValueError(
                "A table of dead times needs two or more ascending probabilities in whole "
                "thousandths, and as many ascending positive quantiles in seconds."
            )
        grid = np.interp(np.arange(1001), np.round(thousandths), values)
        object.__setattr__(self, "quantiles", grid)

    @property
    def minimum(self) -> float:
        """The shortest dead time, s."""
        return float(self.quantiles[0])

    @property
    def mean(self) -> float:
        """s"""
        return float((self.quantiles[1:] + self.quantiles[:-1]).mean() / 2)

    @property
    def variance(self) -> float:
        """s²"""
        low, high = self.quantiles[:-1], self.quantiles[1:]
        return float(((low**2 + low * high + high**2) / 3).mean() - self.mean**2)

    def sample(self, shape, generator=None, dtype=None, device=None) -> Tensor:
        """Independent dead times of this shape, s."""
        position = torch.rand(shape, generator=generator, dtype=dtype, device=device).mul_(1000)
        grid = torch.as_tensor(self.quantiles, dtype=position.dtype, device=device)
        # float32 can round up to the very end.
        index = position.to(torch.int32).clamp_(max=999)
        return torch.lerp(grid[index], grid[index + 1], position.sub_(index))


NUSTAR = DeadTimeDistribution(
    probabilities=(
        0.001, 0.01, 0.05, 0.1, 0.16, 0.25, 0.4, 0.5, 0.6, 0.75, 0.84, 0.9, 0.95, 0.99, 0.999,
    ),
    values=(
        1.838e-3, 1.988e-3, 2.182e-3, 2.315e-3, 2.383e-3, 2.416e-3, 2.477e-3, 2.535e-3, 2.589e-3,
        2.659e-3, 2.701e-3, 2.758e-3, 2.859e-3, 3.162e-3, 3.531e-3,
    ),
)  # fmt: skip
"""NuSTAR's dead time, from 1.8 to 3.5 ms around a mean of 2.54 ms."""


def filter_events(times: Tensor, dead_time, paralyzable: bool = False) -> Tensor:
    """Which of these photons a detector with dead time registers.

    Non-paralyzable: a photon counts if it comes τ or more after the last one that counted.
    Paralyzable: if it comes after the dead times of all photons before it. Non-paralyzable
    detectors are worked out on the CPU, wherever the times are.

    Args:
        times: (n,) arrival times, sorted and finite, s. A tensor, or a numpy array of any byte
            order, such as FITS files hold.
        dead_time: τ, s, zero or more: a number, or (n,) what each photon would cause.
        paralyzable: whether photons that are not registered cause dead time too.

    Returns:
        (n,) mask of the registered photons, of the kind and on the device of `times`.

    Example:
        Photons 1 ms apart, and a detector that is blind for 1.5 ms: the one loses every other
        photon, the other is blinded for good by the photons that it misses.

        >>> times = torch.arange(5) * 1e-3
        >>> filter_events(times, 1.5e-3)
        tensor([ True, False,  True, False,  True])
        >>> filter_events(times, 1.5e-3, paralyzable=True)
        tensor([ True, False, False, False, False])
    """
    tau = tensor("dead_time", dead_time, missing=True).double()
    if not isinstance(times, Tensor):
        exact = tensor("times", times, missing=True)
        if bool((tau > 0).any()):
            resolved("times", np.asarray(times), float(tau.max()))
        return filter_events(exact, tau, paralyzable).numpy()
    if times.ndim != 1:
        raise ValueError(f"times must be one-dimensional, not of shape {tuple(times.shape)}.")
    if not times.dtype.is_floating_point:
        times = times.to(torch.float64)
    tau = tau.to(times.device)
    if tau.ndim and tau.shape != times.shape:
        raise ValueError(
            f"dead_time must be a number, or one for each of the {len(times)} times, "
            f"not of shape {tuple(tau.shape)}."
        )
    if tau.numel() and not (bool((tau >= 0).all()) and bool((tau < math.inf).all())):
        raise ValueError("Dead times must be finite, and zero or more seconds.")
    if len(times) == 0:
        return torch.zeros(0, dtype=torch.bool, device=times.device)
    if bool((tau > 0).any()):
        resolved("times", times, float(tau.max()))
    if not (bool((times.diff() >= 0).all()) and bool(times[[0, -1]].isfinite().all())):
        raise ValueError("times must be finite and sorted: use torch.sort(times).values first.")
    # From the first photon on, so that seconds since 1970 do not eat up the microseconds.
    times = (times - times[0]).double()
    ends = times + tau
    if paralyzable:
        blind_until = torch.cummax(ends, dim=0).values
        keep = torch.ones_like(times, dtype=torch.bool)
        torch.ge(times[1:], blind_until[:-1], out=keep[1:])
        return keep
    return torch.from_numpy(_registered(times.cpu().numpy(), ends.cpu().numpy())).to(times.device)


def count_detected(
    rate: Tensor, dt: float, dead_time, generator=None, *, paralyzable: bool = False
) -> Tensor:
    """Counts that a detector with dead time registers from a source of this rate.

    Exact for a rate that is constant inside each bin. Every row of rates has a detector of its own,
    which is live when the first bin starts.

    Args:
        rate: (..., n_bins) incident rate, 1/s, finite and not negative.
        dt: width of a bin, s; shorter or longer than the dead time.
        dead_time: τ, s: a number, zero or more, or a `DeadTimeDistribution` that each event draws
            its own from.
        generator: the source of randomness, on any device.
        paralyzable: whether photons that are not registered cause dead time too.

    Returns:
        (..., n_bins) counts, whole numbers in the rate's dtype and on its device.

    Example:
        1000 photons a second, each of which costs 2.5 ms: 1000/(1 + 2.5) = 286 remain.

        >>> rate = torch.full((100, 4000), 1000.0)
        >>> counts = count_detected(rate, 2.5e-3, 2.5e-3, torch.Generator().manual_seed(1))
        >>> print(f"{counts.mean() / 2.5e-3:.0f}")
        286
    """
    dead_time, dt = _check_dead_time(dead_time), seconds("dt", dt)
    if rate.ndim == 0 or not rate.dtype.is_floating_point:
        raise ValueError("rate must be a tensor of real numbers with time as its last dimension.")
    rows = rate.reshape(math.prod(rate.shape[:-1]), rate.shape[-1])
    if rows.numel() == 0:
        return torch.zeros_like(rate)
    lowest, highest = torch.aminmax(rows)
    if not (bool(lowest >= 0) and bool(highest < math.inf)):
        raise ValueError(
            f"count_detected needs finite rates of 0/s or more, not {lowest:g} to {highest:g}. "
            "Clip simulated light curves with .clamp(min=0)."
        )
    counts = torch.empty_like(rows)
    detector = _Detector(dt, 1, dead_time, paralyzable)
    for here, cells in detector.in_chunks(rows, rate.shape[-1], 1, generator):
        counts[here] = detector.count(rows[here].T.contiguous(), 1, cells)[:, 0].T.to(rate.dtype)
    return counts.reshape(rate.shape)


def qpo(frequency: Tensor, theta: Tensor) -> Tensor:
    """The power spectrum (..., n_frequencies) of one QPO: a `lorentzian` of width ν₀/q at ν₀.

    Args:
        frequency: (n_frequencies,) Hz.
        theta: (..., 3 or more) fractional rms, ν₀ [Hz], q, and whatever follows.

    Example:
        >>> qpo(torch.tensor([20.0]), torch.tensor([0.4, 20.0, 10.0, 1000.0])).shape
        torch.Size([1])
    """
    rms, centroid, quality = theta[..., :3].unbind(-1)
    return lorentzian(frequency, rms, centroid, centroid / quality)


class DeadTimeSimulator:
    """Periodograms of a variable source, as detectors with dead time record it.

    One simulation: a Gaussian light curve with the model's power spectrum, at the given mean, and
    negative rates set to zero (`simulate_light_curves` says what that costs the rms); all detectors
    see this rate, each with photons and dead times of its own. The rate is constant inside steps no
    longer than half of a bin and of the shortest dead time (half a bin where that dead time is
    below a sixteenth of a bin), with the mean that the model's continuous rate has there: at 40 Hz
    and 2.5 ms this leaves an error of one per cent of the signal's amplitude.

    `theta` decides on dtype and device; results do not depend on `memory` (see `streams`). The
    set-up of Huppenkothen & Bachetti 2022 (MNRAS 511, 5689, arXiv:2104.03278) is the default.
    Unlike theirs, variance scatters between realisations, as in nature, and a light curve is a
    piece of one that is half as long again, so that it does not repeat.

    Args:
        exposure: length of the light curve, s.
        bin_size: width of a bin, s.
        segment: length of the pieces whose periodograms are averaged, s; None for all in one.
        dead_time: τ, s: a number, zero or more, or a `DeadTimeDistribution` such as NUSTAR.
        n_detectors: how many detectors see the source; two for a cospectrum.
        paralyzable: whether photons that are not registered cause dead time too.
        power_spectrum: the source: gets frequencies (n_frequencies,) in Hz and theta (..., P), and
            returns (..., n_frequencies) one-sided powers in (fractional rms)²/Hz. The last of theta
            must be the incident rate of each detector, 1/s, high enough for a count.
        summary: "periodogram" of the summed light curve, or "cospectrum" of two detectors, both in
            fractional rms normalisation.
        log_f: growth of the bins of frequency, see `log_bin`; None to keep each frequency.
        memory: bytes that the work may take beside the result; None for 32 MB, or 4 GB on a GPU.

    Attributes:
        frequencies: (n_frequencies,) of the summary, Hz, float64.
        n_averaged: (n_frequencies,) periodogram values in each, over segments and frequencies.
        step: for how long the rate is constant, s.

    Example:
        A QPO with 40 per cent rms at 20 Hz, of whose power dead time leaves about an eighth:

        >>> simulate = DeadTimeSimulator()
        >>> theta = torch.tensor([0.4, 20.0, 10.0, 1000.0])  # rms, ν₀ [Hz], q, rate [1/s]
        >>> power = simulate(theta.expand(100, 4), torch.Generator().manual_seed(1))
        >>> power.shape, simulate.frequencies[[0, -1]].tolist()
        (torch.Size([100, 99]), [1.0, 99.0])
        >>> at_qpo = power[:, 19].mean() / qpo(torch.tensor([20.0]), theta)
        >>> bool(0.1 < at_qpo < 0.17)
        True
    """

    def __init__(
        self,
        exposure: float = 10.0,
        bin_size: float = 5e-3,
        segment: float | None = 1.0,
        dead_time=2.5e-3,
        n_detectors: int = 2,
        *,
        paralyzable: bool = False,
        power_spectrum: Callable[[Tensor, Tensor], Tensor] = qpo,
        summary: str = "periodogram",
        log_f: float | None = None,
        memory: int | None = None,
    ):
        one_of("summary", summary, ("periodogram", "cospectrum"))
        if summary == "cospectrum" and n_detectors != 2:
            raise ValueError(
                f"A cospectrum is that of exactly two detectors: use n_detectors=2, not {n_detectors}."
            )
        self.exposure, self.bin_size = seconds("exposure", exposure), seconds("bin_size", bin_size)
        self.segment = self.exposure if segment is None else float(segment)
        self.n_detectors = whole("n_detectors", n_detectors, at_least=1)
        self.dead_time = dead_time = _check_dead_time(dead_time)
        self.power_spectrum, self.summary = power_spectrum, summary
        self.log_f, self.memory = log_f, memory

        self.n_bins = round(self.exposure / self.bin_size)
        if self.n_bins < 3 or abs(self.exposure / self.bin_size - self.n_bins) > 1e-3:
            raise ValueError(
                f"exposure={exposure:g} s is no whole number of bins of {bin_size:g} s, three at "
                f"least. Use exposure={max(self.n_bins, 3) * self.bin_size:.9g}."
            )
        # Longer steps make signals of twice the frequency of the bins' Nyquist frequency out of those
        # below it, and dead time, which spares 1/τ, would give these their power back.
        steps = _steps(self.bin_size, _shortest(dead_time) / 2)
        self._per_bin = max(2, steps or 0)
        self.step = self.bin_size / self._per_bin
        self._detector = _Detector(self.step, self._per_bin, dead_time, paralyzable)
        mean = dead_time.mean if isinstance(dead_time, DeadTimeDistribution) else dead_time
        run_up = math.ceil(_RUN_UP * mean / self.bin_size)
        self._n_steps = (self.n_bins + run_up) * self._per_bin
        # A length that the Fourier transform likes, best a multiple of 64.
        self._n_simulated = 64 * next_fast_len(math.ceil(_LONGER * self._n_steps / 64), real=True)

        self.frequencies, _, self.n_averaged = self._summarise(
            torch.ones(self.n_bins, n_detectors, 1, dtype=torch.float64)
        )

    def __call__(self, theta: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(..., n_frequencies) summaries of the simulations of theta (..., P)."""
        shape = self.frequencies.shape
        return self._in_chunks(theta, generator, lambda counts: self._summarise(counts)[1], shape)

    def light_curves(self, theta: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """(..., n_detectors, n_bins) counts, of which `self(theta, generator)` is the summary."""
        shape = (self.n_detectors, self.n_bins)
        return self._in_chunks(theta, generator, lambda counts: counts.permute(2, 1, 0), shape)

    def summarise(self, counts: Tensor) -> Tensor:
        """(..., n_frequencies) summaries of counts (..., n_detectors, n_bins), observed or simulated."""
        own, counts = (self.n_detectors, self.n_bins), tensor("counts", counts)
        if counts.shape[-2:] != own:
            raise ValueError(
                f"counts have the shape {tuple(counts.shape)}, which does not end in (n_detectors, "
                f"n_bins) = {own}. Give all detectors and all bins, or make a DeadTimeSimulator with "
                "the n_detectors, exposure and bin_size of these light curves."
            )
        refuse_empty_run("counts", counts)
        flat = counts.reshape(-1, *own).permute(2, 1, 0)
        return self._summarise(flat)[1].reshape(*counts.shape[:-2], -1)

    def _in_chunks(self, theta, generator, summarise, shape):
        rows = rows_of(theta)
        mean_rate = rows[:, -1]
        if not bool(((mean_rate > 0) & (mean_rate < math.inf)).all()):
            raise ValueError(
                "The last column of theta is the incident rate of each detector in 1/s: it must be "
                f"positive and finite, and goes from {mean_rate.min():g} to {mean_rate.max():g}."
            )
        result = rows.new_empty(len(rows), *shape)
        sizes = self._n_steps, self.n_detectors
        for here, cells in self._detector.in_chunks(rows, *sizes, generator, self.memory):
            result[here] = summarise(self._counts(rows[here], cells))
        return result.reshape(*theta.shape[:-1], *shape)

    def _counts(self, rows, cells):
        """(n_bins, n_detectors, n) counts of the simulations of one chunk."""
        rate = rows.new_empty(self._n_steps, len(rows))
        for here, generator in cells:
            rate[:, here] = self._rates(rows[here], generator).T
        return self._detector.count(rate, self.n_detectors, cells)[-self.n_bins :]

    def _rates(self, theta, generator):
        """(n, n_steps) incident rates, 1/s."""

        def in_steps(frequency):
            power = self.power_spectrum(frequency, theta)
            return power * torch.sinc(frequency * self.step).square()

        relative = simulate_light_curves(
            in_steps, self._n_simulated, self.step, generator=generator,
            dtype=theta.dtype, device=theta.device,
        )[..., : self._n_steps]  # fmt: skip
        return relative.clamp_(min=0).mul_(theta[:, -1:])

    def _summarise(self, counts):
        """Frequencies, powers and their numbers, of counts (n_bins, n_detectors, n)."""
        good = np.ones(self.n_bins, dtype=bool)
        if self.summary == "cospectrum":
            frequencies, power = averaged_cospectrum(
                *counts.movedim(0, -1).contiguous(), self.bin_size, self.segment, "fractional", good
            )
        else:
            frequencies, power = averaged_periodogram(
                counts.sum(dim=1).T.contiguous(), self.bin_size, self.segment, "fractional", good
            )
        number = torch.ones(len(frequencies), dtype=torch.int64)
        if self.log_f is not None:
            frequencies, power, number = log_bin(frequencies, power, self.log_f)
        n_segments = self.n_bins // round(self.segment / self.bin_size)
        return frequencies, power, number * n_segments


class _Detector:
    """What all detectors share: a rate constant for `dt`, and counts per `per_bin` such steps."""

    def __init__(self, dt, per_bin, dead_time, paralyzable):
        self.dt, self.per_bin = dt, per_bin
        self.dead_time, self.paralyzable = dead_time, paralyzable
        self._varies = isinstance(dead_time, DeadTimeDistribution)
        walked = _steps(dt, _shortest(dead_time))
        # What a paralyzable detector's missed photons draw can outlast what the last of them draws.
        self._by_photons = walked is None or (paralyzable and self._varies)
        self.walked = walked or 1

    def in_chunks(self, rows, n_steps, n_detectors, generator, memory=None):
        """Chunks of rows, by the memory of the arrays that exist side by side in their counting."""
        counts = n_detectors * n_steps // self.per_bin
        piece = 3 * n_detectors * min(_PIECE, n_steps * self.walked)
        bytes_of_cell = CELL * rows.element_size() * (n_steps + 2 * counts + piece)
        memory = memory or _MEMORY.get(rows.device.type, _MEMORY["cpu"])
        return chunks(len(rows), bytes_of_cell, memory, generator, rows.device)

    def count(self, rate, n_detectors, cells):
        """(n_bins, n_detectors, rows) counts of the rates (n_bins * per_bin, rows) of all."""
        if self._by_photons:
            photons = [self._photons(rate[:, cell], n_detectors, g) for cell, g in cells]
            return torch.cat(photons, dim=-1).to(rate.dtype)
        n_bins, rows = len(rate) // self.per_bin, rate.shape[1]
        counts = rate.new_zeros(n_bins, n_detectors, rows)
        walk = self._walk_paralyzable if self.paralyzable else self._walk
        blind_until = rate.new_zeros(n_detectors, rows)
        # In short pieces, which the processor's cache can hold.
        in_piece = max(1, _PIECE // (self.per_bin * self.walked))
        for i in range(0, n_bins, in_piece):
            here = slice(i, min(i + in_piece, n_bins))
            piece = rate[i * self.per_bin : here.stop * self.per_bin]
            walk(counts[here], piece, cells, blind_until)
            blind_until -= len(piece) * self.dt
        return counts

    def _walk(self, counts, rate, cells, blind_until):
        """Add a piece of time to its counts, and carry `blind_until` along."""
        n_steps, step = len(rate) * self.walked, self.dt / self.walked
        # As many steps as one dead time covers hold one event at most, and need one random number.
        per_draw = max(1, int(_shortest(self.dead_time) / step * (1 + 1e-9)))
        shape = (math.ceil(n_steps / per_draw), *blind_until.shape)
        # Faster than exponential_() on a CPU, which resolves more than the 1/2^24 of rand.
        wait = _per_cell(shape, cells, rate, torch.rand).log_().neg_()
        if self._varies:
            tau = _per_cell(shape, cells, rate, self.dead_time.sample)
        else:
            tau = rate.new_full((1, *blind_until.shape), self.dead_time)
        edges = (torch.arange(n_steps + 1, dtype=torch.float64) * step).to(rate)
        arrays = counts, blind_until, wait, rate, tau, edges
        if rate.device.type == "cpu":
            walk_compiled(*(array.numpy() for array in arrays), per_draw)
        else:
            walk_abreast(*arrays, per_draw)

    def _walk_paralyzable(self, counts, rate, cells, blind_until):
        step = self.dt / self.walked
        shape = (len(rate), self.walked, *blind_until.shape)
        light = rate[:, None, None]
        first = _waiting_times(shape, cells, light, step)
        # Backwards from the end of the step the waiting time is exponential too.
        last = torch.maximum(first, step - _waiting_times(shape, cells, light, step))
        none = first >= step
        ends = last.add_(self.dead_time).masked_fill_(none, -math.inf).flatten(0, 1)
        events = first.masked_fill_(none, -math.inf)
        for j, (event, end) in enumerate(zip(events.flatten(0, 1), ends, strict=True)):
            torch.ge(event + j * step, blind_until, out=event)
            torch.maximum(blind_until, end + j * step, out=blind_until)
        torch.sum(events.view(len(counts), -1, *blind_until.shape), dim=1, out=counts)

    def _photons(self, rate, n_detectors, generator):
        n_bins, rows = rate.shape
        expected = float(rate.sum(dtype=torch.float64)) * self.dt * n_detectors
        if expected > _MOST_PHOTONS:
            raise ValueError(
                f"{expected:.1e} photons in {rows} light curves would not fit into the memory. Use "
                "shorter bins: a non-paralyzable detector with bins of at most "
                f"{_MOST_STEPS} dead times needs none of them. Or fewer bins at a time."
            )
        mean = (rate * self.dt).T[:, None].expand(rows, n_detectors, n_bins)
        photons = torch.poisson(mean, generator=generator)
        if _shortest(self.dead_time) == 0:
            return self._binned(photons)
        number = photons.flatten().long()
        index = torch.arange(len(number), device=rate.device).repeat_interleave(number)
        draw = dict(generator=generator, dtype=torch.float64, device=rate.device)
        inside = torch.rand(len(index), **draw)
        tau = longest = self.dead_time
        if self._varies:
            longest = tau.values[-1]
            tau = tau.sample((len(index),), **draw)
        # One row after the other on one line of time, and dark between them until all have ended.
        row = torch.div(index, n_bins, rounding_mode="floor")
        time = torch.sort((index + inside) * self.dt + row * longest).values
        seen = index[filter_events(time, tau, self.paralyzable)]
        kept = torch.bincount(seen, minlength=len(number))
        return self._binned(kept.reshape(rows, n_detectors, n_bins))

    def _binned(self, photons):
        return photons.unflatten(-1, (-1, self.per_bin)).sum(dim=-1).permute(2, 1, 0)


def _waiting_times(shape, cells, rate, step):
    """Exponential waiting times (..., rows), s, each cell of rows from its generator.

    Two steps stand for all longer ones: finite, and beyond the step however it is rounded.
    """
    times = _per_cell(shape, cells, rate, torch.rand).clamp_(min=2**-25).log_().neg_()
    return times.div_(rate).clamp_(max=2 * step)


def _per_cell(shape, cells, like, draw):
    numbers = torch.empty(shape, dtype=like.dtype, device=like.device)
    for cell, generator in cells:
        numbers[..., cell] = draw(
            (*shape[:-1], cell.stop - cell.start),
            generator=generator, dtype=like.dtype, device=like.device,
        )  # fmt: skip
    return numbers


def _steps(width, shortest):
    """How many steps of at most one event make up a bin; None where that would be too many."""
    steps = math.ceil(width / shortest * (1 - 1e-9)) if shortest > 0 else math.inf
    return steps if steps <= _MOST_STEPS else None


def _shortest(dead_time):
    return dead_time.minimum if isinstance(dead_time, DeadTimeDistribution) else dead_time


def _check_dead_time(dead_time):
    """A distribution as it is, and any real number as a float."""
    if isinstance(dead_time, DeadTimeDistribution):
        return dead_time
    try:
        number = float(dead_time)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(
            "dead_time must be a number of seconds, zero or more and finite, or a "
            f"DeadTimeDistribution such as NUSTAR, not {dead_time!r}."
        )
    return number


def walk_abreast(counts, blind_until, wait, rate, tau, edges, per_draw):
    """One step after the other, all detectors abreast: if live, blind again from the first photon on.

    Args:
        counts: (n_bins, n_detectors, rows), added to.
        blind_until: (n_detectors, rows) s, changed.
        wait: (n_draws, n_detectors, rows) photons expected until the next one, exponential; each for
            `per_draw` steps, and used up in them. What is left at their end may be drawn anew.
        rate: (n_rates, rows) 1/s; n_steps is a multiple of n_rates, which is one of n_bins.
        tau: (n_draws or 1, n_detectors, rows) dead times, s.
        edges: (n_steps + 1,) of the steps, s.
    """
    n_steps = len(edges) - 1
    per_rate, per_bin = n_steps // len(rate), n_steps // len(counts)
    for j in range(n_steps):
        left, dead = wait[j // per_draw], tau[j // per_draw if len(tau) > 1 else 0]
        live = blind_until.clamp(min=edges[j])
        event = live + left / rate[j // per_rate]
        seen = event < edges[j + 1]
        torch.where(seen, event + dead, live, out=blind_until)
        counts[j // per_bin] += seen
        # After an event the dead time covers the other steps of this draw, whatever is left.
        left.sub_(rate[j // per_rate] * (edges[j + 1] - live).clamp_(min=0)).clamp_(min=0)


@numba.njit(error_model="numpy")
def walk_compiled(counts, blind_until, wait, rate, tau, edges, per_draw):
    """What `walk_abreast` does, without arrays in between that a CPU would have to store."""
    n_steps = len(edges) - 1
    per_rate, per_bin = n_steps // len(rate), n_steps // len(counts)
    for j in range(n_steps):
        start, stop = edges[j], edges[j + 1]
        light, in_bin, left = rate[j // per_rate], counts[j // per_bin], wait[j // per_draw]
        dead = tau[j // per_draw if len(tau) > 1 else 0]
        for detector in range(len(blind_until)):
            for row in range(len(light)):
                live = max(blind_until[detector, row], start)
                event = live + left[detector, row] / light[row]
                seen = event < stop
                blind_until[detector, row] = event + dead[detector, row] if seen else live
                in_bin[detector, row] += seen
                passed = light[row] * max(stop - live, edges[0])
                left[detector, row] = max(left[detector, row] - passed, edges[0])


@numba.njit
def _registered(times, ends):
    keep = np.zeros(times.size, dtype=np.bool_)
    live_from = times[0]
    for i in range(times.size):
        if times[i] >= live_from:
            keep[i] = True
            live_from = ends[i]
    return keep
