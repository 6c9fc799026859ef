"""Simulate dead time exactly, photon by photon, for many detectors at once.

After each event that it registers, a detector is blind for its dead time τ. If photons that arrive
while it is blind change nothing, it is non-paralyzable (Chandra, NuSTAR, RXTE); if each of them
makes it blind for another τ, it is paralyzable.

`filter_events` takes the photons one by one. `count_detected` never makes them: bins shorter than τ
hold at most one event of a detector, whose time follows from one exponential random number, so that
all detectors walk through time together, bin by bin. What cannot be used is refused by name, with a
ValueError.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor

from helpers import arguments, light_curves
from helpers.compiled import compiled
from helpers.streams import CELL, chunks, exponential, uniform

__all__ = [
    "NUSTAR", "Background", "DeadTimeDistribution", "DeadTimeSimulator", "count_detected",
    "filter_events", "qpo",
]  # fmt: skip

# What a cache holds at a time: steps of all rows of a cell, cells, and bins of light curves.
_BLOCK, _CELLS, _TOGETHER = 2**15, 8, 2**18
_MOST_STEPS = 32  # in a bin: beyond, photons one by one are faster than the walk
# Bytes that the work takes unless asked otherwise: what a cache holds, or what keeps a GPU busy.
_MEMORY = {"cpu": 2**25, "cuda": 2**32}
_MOST_PHOTONS = 1e8  # fit into a few GB
_RUN_UP = 20  # dead times before a light curve begins, in which a detector forgets how it started
_MOST_LOST = 0.015  # of a signal, by an estimate that can be a sixth too low, without finer steps
_LONGER = 1.5  # times what is observed is simulated, so that it does not repeat
# Steps of a light curve that are simulated together; nodes of all light curves of a cell: a few MB.
_MOST_TOGETHER, _OF_CELL = 2**18, 2**19


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
        thousandths = arguments.numbers("probabilities", self.probabilities, missing=True) * 1000
        values = arguments.numbers("values", self.values, missing=True)
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
        return self.quantile(torch.rand(shape, generator=generator, dtype=dtype, device=device))

    def quantile(self, probability: Tensor) -> Tensor:
        """Return the quantiles of the dead time at probabilities (...), s."""
        position = probability * 1000
        grid = torch.as_tensor(self.quantiles, dtype=position.dtype, device=position.device)
        index = position.to(torch.int32).clamp_(max=999)  # float32 can round up to the very end
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


@dataclass(frozen=True)
class Background:
    """Events of constant rate beside those of the source, which make a detector blind like them.

    Background that is analysed; or, with `kept` below 1, other energies and other places on the
    detector; or vetoes, of which none is kept. A PCU of RXTE was blind for some 10 µs after most
    events, and for 150 µs after a very large one (HEASARC, The RXTE Cook Book: PCA dead time).

    Args:
        rate: incident rate in each detector, 1/s.
        kept: share of the registered ones that is analysed, 0 to 1.
        dead_time: τ of each, s; None for that of the source's events.

    Example:
        >>> very_large = Background(80.0, kept=0.0, dead_time=150e-6)
        >>> rate = torch.full((100, 1000), 2000.0)  # 1/s, in bins of 1 ms
        >>> counts, live = count_detected(
        ...     rate, 1e-3, 10e-6, torch.Generator().manual_seed(1), background=very_large, live=True
        ... )
        >>> print(f"live for {live.mean() / 1e-3:.3f} of the time: {1 / (1 + 2000 * 10e-6 + 80 * 150e-6):.3f}")
        live for 0.969 of the time: 0.969
    """

    rate: float
    kept: float = 1.0
    dead_time: float | None = None

    def __post_init__(self):
        _within("rate of a Background", self.rate, 0, math.inf)
        _within("kept of a Background", self.kept, 0, 1)
        if self.dead_time is not None:
            _within("dead_time of a Background", self.dead_time, 0, math.inf)


def filter_events(times: Tensor, dead_time, paralyzable: bool = False) -> Tensor:
    """Tell which photons a detector with dead time registers.

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
    tau = arguments.tensor("dead_time", dead_time, missing=True).double()
    if bool((tau > 0).any()):
        given = times if isinstance(times, Tensor) else np.asarray(times)
        arguments.resolved("times", given, float(tau.max()))
    if not isinstance(times, Tensor):
        exact = arguments.tensor("times", times, missing=True)
        return filter_events(exact, tau, paralyzable).numpy()
    if times.ndim != 1:
        raise ValueError(f"times must be one-dimensional, not of shape {tuple(times.shape)}.")
    times = times if times.dtype.is_floating_point else times.double()
    tau = tau.to(times.device)
    if tau.ndim and tau.shape != times.shape:
        raise ValueError(
            f"dead_time must be a number, or one for each of the {len(times)} times, "
            f"not of shape {tuple(tau.shape)}."
        )
    if not bool(((tau >= 0) & (tau < math.inf)).all()):
        raise ValueError("Dead times must be finite, and zero or more seconds.")
    if len(times) == 0:
        return torch.zeros_like(times, dtype=torch.bool)
    if not (bool((times.diff() >= 0).all()) and bool(times[[0, -1]].isfinite().all())):
        raise ValueError("times must be finite and sorted: use torch.sort(times).values first.")
    # From the first photon on, so that seconds since 1970 do not eat up the microseconds.
    times = (times - times[0]).double()
    ends = times + tau
    if paralyzable:
        after = times[1:] >= torch.cummax(ends, dim=0).values[:-1]
        return torch.nn.functional.pad(after, (1, 0), value=True)
    return torch.from_numpy(_registered(times.cpu().numpy(), ends.cpu().numpy())).to(times.device)


def count_detected(
    rate, dt, dead_time, generator=None, *, paralyzable=False, kept=1.0, background=(), live=False
) -> Tensor | tuple[Tensor, Tensor]:
    """Simulate the counts that a detector with dead time registers from a source.

    Exact for a rate that is constant inside each bin. Every row of rates has a detector of its own,
    which is live when the first bin starts.

    Args:
        rate: (..., n_bins) incident rate, 1/s, finite and not negative.
        dt: width of a bin, s; shorter or longer than the dead time.
        dead_time: τ, s: a number, zero or more, or a `DeadTimeDistribution` that each event draws
            its own from.
        generator: the source of randomness, on any device.
        paralyzable: whether photons that are not registered cause dead time too.
        kept: share of the source's registered events that is analysed, chosen after dead time: those
            of an energy band, or of a region on the detector.
        background: a `Background`, or several.
        live: whether to return the live time, too.

    Returns:
        (..., n_bins) counts, whole numbers in the rate's dtype and on its device. With `live` also
        how long the detector was live in each bin, s, of the same shape.

    Example:
        1000 photons a second, each of which costs 2.5 ms: 1000/(1 + 2.5) = 286 remain.

        >>> rate = torch.full((100, 4000), 1000.0)
        >>> counts = count_detected(rate, 2.5e-3, 2.5e-3, torch.Generator().manual_seed(1))
        >>> print(f"{counts.mean() / 2.5e-3:.0f}")
        286
    """
    dead_time, dt = _check_dead_time(dead_time), arguments.seconds("dt", dt)
    if rate.ndim == 0 or not rate.dtype.is_floating_point:
        raise ValueError("rate must be a tensor of real numbers with time as its last dimension.")
    rows = rate.reshape(math.prod(rate.shape[:-1]), rate.shape[-1])
    if rows.numel() == 0:
        return (torch.zeros_like(rate),) * 2 if live else torch.zeros_like(rate)
    lowest, highest = torch.aminmax(rows)
    if not (bool(lowest >= 0) and bool(highest < math.inf)):
        raise ValueError(
            f"count_detected needs finite rates of 0/s or more, not {lowest:g} to {highest:g}. "
            "Clip simulated light curves with .clamp(min=0)."
        )
    detector = _Detector(dt, dead_time, paralyzable, kept, background)
    results = [torch.empty_like(rows) for _ in range(1 + live)]
    for here, cells in detector.in_chunks(rows, rate.shape[-1], generator, live):
        for result, value in zip(results, detector.count(rows[here].T, cells, live), strict=True):
            result[here] = value[:, 0].T.contiguous()
    results = tuple(result.reshape(rate.shape) for result in results)
    return results if live else results[0]


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
    return light_curves.lorentzian(frequency, rms, centroid, centroid / quality)


class DeadTimeSimulator:
    """Periodograms of a variable source, as detectors with dead time record it.

    One simulation: a Gaussian light curve with the model's power spectrum, at the given mean, and
    negative rates set to zero (`simulate_light_curves` says what that costs the rms); all detectors
    see this rate, each with photons and dead times of its own. The rate is a straight line inside
    steps of a third of the shortest dead time, but of a half to a sixth of a bin (a half in bins above
    16 τ); of a twelfth where these would lose more than 1.5 per cent, which takes several times as long.
    Of one QPO (q = 10; bins of 0.2 to 40 τ, up to 0.95 of their Nyquist frequency, rms up to 0.5, r τ
    up to 4) no more than 1.8 per cent of the power is lost, in periodograms and cospectra. Where an
    estimate has more than 2, a warning names the row.

    A light curve of more than 262,144 steps is simulated in independent pieces, of as many segments
    as fit, and at least one: such as 65 s, with bins of 0.5 ms and segments of 1 s. What varies more
    slowly than 1.5 pieces is lost. Where the summary needs it, use longer bins, or one long segment,
    which is never cut, nor bounded by `memory`.

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
        power_spectrum: the source: gets frequencies (n_frequencies,) in Hz and theta (..., P), and
            returns (..., n_frequencies) one-sided powers in (fractional rms)²/Hz. The last of theta
            must be the incident rate of each detector, 1/s. A simulation without a count has no
            power: it is NaN, with a warning.
        summary: "periodogram" of the summed light curve, or "cospectrum" of two detectors, both in
            fractional rms normalisation.
        log_f: growth of the bins of frequency, see `log_bin`; None to keep each frequency.
        paralyzable, kept, background: as of `count_detected`; the power is relative to all counts.
        relative_rates: (n_detectors,) the source's incident rate in each, relative to that in theta,
            such as its effective area; None for 1.
        memory: bytes that the work may take beside the result; None for 32 MB, or 4 GB on a GPU.

    Attributes:
        frequencies: (n_frequencies,) of the summary, Hz, float64.
        n_averaged: (n_frequencies,) periodogram values in each, over segments and frequencies.
        step: for how long the rate is one straight line, s.

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
        self, exposure: float = 10.0, bin_size: float = 5e-3, segment: float | None = 1.0,
        dead_time=2.5e-3, n_detectors: int = 2, *, paralyzable: bool = False,
        power_spectrum: Callable[[Tensor, Tensor], Tensor] = qpo, summary: str = "periodogram",
        log_f: float | None = None, kept: float = 1.0, background=(), relative_rates=None,
        memory: int | None = None,
    ):  # fmt: skip
        arguments.one_of("summary", summary, ("periodogram", "cospectrum"))
        if summary == "cospectrum" and n_detectors != 2:
            raise ValueError(
                f"A cospectrum is that of exactly two detectors: use n_detectors=2, not {n_detectors}."
            )
        self.exposure = arguments.seconds("exposure", exposure)
        self.bin_size = arguments.seconds("bin_size", bin_size)
        self.segment = self.exposure if segment is None else float(segment)
        self.n_detectors = arguments.whole("n_detectors", n_detectors, at_least=1)
        self.dead_time = dead_time = _check_dead_time(dead_time)
        self.power_spectrum, self.summary = power_spectrum, summary
        self.log_f, self.memory = log_f, memory

        self.n_bins = round(self.exposure / self.bin_size)
        if self.n_bins < 3 or abs(self.exposure / self.bin_size - self.n_bins) > 1e-3:
            raise ValueError(
                f"exposure={exposure:g} s is no whole number of bins of {bin_size:g} s, three at "
                f"least. Use exposure={max(self.n_bins, 3) * self.bin_size:.9g}."
            )
        # Straight lines repeat f, weakly, at 1/step - f, which dead time may damp less.
        shortest = getattr(dead_time, "minimum", dead_time)
        few = self.bin_size > 16 * shortest
        per_bin = 2 if few else max(2, min(6, math.ceil(3 * self.bin_size / shortest * (1 - 1e-9))))
        self.step = self.bin_size / per_bin
        relative = [1.0] * n_detectors if relative_rates is None else relative_rates
        relative = arguments.numbers("relative_rates", relative)
        if relative.shape != (n_detectors,) or (relative <= 0).any():
            raise ValueError(
                f"relative_rates must be {n_detectors} positive numbers, one for each of the "
                f"n_detectors, not {relative_rates}."
            )
        own, steps = (dead_time, paralyzable, kept, background, relative), (per_bin, 12)
        pair = [_Detector(self.bin_size / n, *own, n, 3 if n >= 6 else 1) for n in steps]
        self._detector, self._finer = pair
        self._run_up = math.ceil(_RUN_UP * self._detector.longest / self.bin_size)

        in_segment, starts = arguments.segments(self.n_bins, self.bin_size, self.segment)
        self._in_segment, self._n_segments = in_segment, len(starts)
        # Lots of pieces that are simulated alike: the first bin, bins in a piece, number of pieces.
        most = _MOST_TOGETHER // per_bin
        piece = self.n_bins if self.n_bins <= most else max(1, most // in_segment) * in_segment
        pieces, rest = divmod(self.n_bins, piece)
        self._lots = [(0, piece, pieces), (pieces * piece, rest, 1)][: 1 + bool(rest)]

        ones = torch.ones(in_segment, n_detectors, 1, dtype=torch.float64)
        self.frequencies, _, number = self._summarise(ones)
        self.n_averaged = number * self._n_segments

    def __call__(self, theta: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return summaries (..., n_frequencies) of simulations of theta (..., P)."""
        n = math.prod(theta.shape[:-1])
        power = theta.new_zeros(n, len(self.frequencies))
        total = theta.new_zeros(n, self.n_detectors)
        for which, _, counts in self._simulate(theta, generator):
            if not (in_piece := len(counts) // self._in_segment):
                continue
            sums = counts[: in_piece * self._in_segment].sum(dim=0)
            square = self._square(sums.T)
            # An empty piece has no power, in whatever normalisation.
            counts = counts + (square == 0) if bool((square == 0).any()) else counts
            power.index_add_(0, which, self._summarise(counts)[1] * (square / in_piece)[:, None])
            total.index_add_(0, which, sums.T)
        power *= (self._n_segments / self._square(total))[:, None]
        if empty := int(power.isnan().any(dim=-1).sum()):
            warnings.warn(
                f"{empty} of {n} simulations have a detector without a single count, and so no power: "
                "their summaries are NaN. Leave them out, and their theta: torch.isfinite(x).all(-1). "
                "Or raise the lowest rate, or the exposure.",
                stacklevel=2,
            )
        return power.reshape(*theta.shape[:-1], len(self.frequencies))

    def light_curves(self, theta: Tensor, generator: torch.Generator | None = None, live=False):
        """Return counts (..., n_detectors, n_bins), of which `self(theta, generator)` is the summary.

        With `live` also how long each detector was live in each bin, s, of the same shape.
        """
        n = math.prod(theta.shape[:-1])
        results = [theta.new_empty(n, self.n_detectors, self.n_bins) for _ in range(1 + live)]
        for which, first, *measured in self._simulate(theta, generator, live):
            for result, value in zip(results, measured, strict=True):
                for k, (row, begin) in enumerate(torch.stack([which, first], 1).tolist()):
                    result[row, :, begin : begin + len(value)] = value[..., k].T
        results = [result.reshape(*theta.shape[:-1], *result.shape[1:]) for result in results]
        return tuple(results) if live else results[0]

    def summarise(self, counts: Tensor) -> Tensor:
        """Return summaries (..., n_frequencies) of counts (..., n_detectors, n_bins), observed or simulated."""
        own, counts = (self.n_detectors, self.n_bins), arguments.tensor("counts", counts)
        if counts.shape[-2:] != own:
            raise ValueError(
                f"counts have the shape {tuple(counts.shape)}, which does not end in (n_detectors, "
                f"n_bins) = {own}. Give all detectors and all bins, or make a DeadTimeSimulator with "
                "the n_detectors, exposure and bin_size of these light curves."
            )
        arguments.refuse_empty_run("counts", counts)
        flat = counts.reshape(-1, *own).permute(2, 1, 0)
        return self._summarise(flat)[1].reshape(*counts.shape[:-2], -1)

    def _simulate(self, theta, generator, live=False, only=None):
        """Which simulation (n,), its first bin (n,), counts (n_bins, n_detectors, n) there, live time."""
        rows = arguments.rows_of(theta)
        mean_rate = rows[:, -1]
        if not bool(((mean_rate > 0) & (mean_rate < math.inf)).all()):
            raise ValueError(
                "The last column of theta is the incident rate of each detector in 1/s: it must be "
                f"positive and finite, and goes from {mean_rate.min():g} to {mean_rate.max():g}."
            )
        lost, finer = torch.full_like(mean_rate, math.nan), only is not None
        detector, most = (self._finer, 0.02) if finer else (self._detector, _MOST_LOST)
        own = only if finer else torch.arange(len(rows), device=rows.device)
        for first, n_bins, pieces in self._lots:
            of, weights = own.repeat_interleave(pieces), []
            n_nodes = detector.n_nodes(n_bins + self._run_up)
            for here, cells in detector.in_chunks(rows[of], n_nodes, generator, live, self.memory):
                which, nodes = of[here], rows.new_empty(n_nodes, here.stop - here.start)
                index = torch.arange(here.start, here.stop, device=rows.device)
                sums = rows.new_empty(len(which), 3)
                for cell, stream in cells:
                    found = self._rates(detector, rows[which[cell]], n_nodes, stream, weights)
                    nodes[:, cell], sums[cell] = found[0].T.contiguous(), found[1]
                found, known = _lost(sums, mean_rate[which] * max(detector.relative)), lost[which]
                lost[which] = torch.where(known.isnan(), found, known)  # The first piece decides.
                good = finer | ~(lost[which] > most)
                if bool(good.any()):
                    good = slice(None) if bool(good.all()) else good
                    measured = (x[-n_bins:, :, good] for x in detector.count(nodes, cells, live))
                    yield which[good], (first + n_bins * (index % pieces))[good], *measured
        wrong = (lost > most).nonzero()[:, 0]
        if len(wrong) and not finer:
            yield from self._simulate(theta, generator, live, only=wrong)
        elif len(wrong):
            warnings.warn(
                f"{len(wrong)} of {len(rows)} simulations vary so much and so fast that more than 2 per "
                f"cent of their power is lost; of row {wrong[0]}, theta = {rows[wrong[0]].tolist()}, some "
                f"{lost[wrong[0]]:.1%}. Use bin_size={self.bin_size / 2:g} or less and rebin, or a lower rms or rate.",
                stacklevel=4,
            )

    def _rates(self, detector, theta, n_nodes, generator, weights):
        """Incident rates (n, n_nodes) at the nodes, 1/s, and sums (n, 3) for `_lost`; fills `weights`.

        Lines leave less of a sine than it has, so nodes get more; they then lose more at negative rates.
        """
        spacing, sums = detector.dt * detector.per_node, math.nan

        def at_nodes(frequency):
            nonlocal sums
            if not weights:
                phase = math.pi * spacing * frequency
                # What lines leave of a sine in bins. Above the bins' Nyquist frequency it does not matter.
                left, variance = torch.cos(phase), 1.0
                if detector.degree == 3:
                    between = (9 * left - torch.cos(3 * phase)) / 8
                    left, variance = (left + between) / 2, (1 + between.square()) / 2
                left = (left / torch.sinc(phase / math.pi)).square().clamp(min=0.25)
                more, tau = variance / left - 1, getattr(self.dead_time, "mean", self.dead_time)
                # Where most are blind, counts depend on the lowest rates; the factor was measured.
                slow = tau * more / (1 + tau * frequency * (1 + 3 * tau * frequency))
                weights.extend((left, *(x * frequency[0] for x in (more**0, more, slow))))
            power = self.power_spectrum(frequency, theta)
            if power.shape[-1:] == frequency.shape:
                sums = torch.stack([power @ x for x in weights[1:]], dim=-1)
            return power / weights[0]

        # A length that the Fourier transform likes, best a multiple of 64.
        n = 64 * next_fast_len(math.ceil(_LONGER * n_nodes / 64), real=True)
        draw = dict(generator=generator, dtype=theta.dtype, device=theta.device)
        relative = light_curves.simulate_light_curves(at_nodes, n, spacing, **draw)
        return relative[..., :n_nodes] * theta[:, -1:], sums

    def _square(self, sums):
        """Return the square that a fractional power is relative to, from counts (..., n_detectors)."""
        return sums.prod(-1) if self.summary == "cospectrum" else sums.sum(-1).square()

    def _summarise(self, counts):
        """Frequencies, powers and frequencies in each, of counts (n_bins, n_detectors, n)."""
        periodogram, curves = light_curves.averaged_cospectrum, counts.movedim(0, -1)
        if self.summary == "periodogram":
            periodogram, curves = light_curves.averaged_periodogram, counts.sum(dim=1).T[None]
        settings = self.bin_size, self.segment, "fractional", np.ones(len(counts), dtype=bool)
        # As many at a time as a cache holds.
        parts = curves.contiguous().split(max(1, _TOGETHER // len(counts)), dim=1)
        found = [periodogram(*part, *settings) for part in parts]
        frequencies, power = found[0][0], torch.cat([power for _, power in found])
        if self.log_f is not None:
            return light_curves.log_bin(frequencies, power, self.log_f)
        return frequencies, power, torch.ones(len(frequencies), dtype=torch.int64)


class _Detector:
    """Properties that all detectors share: dead time, events that are kept, and steps of the rate.

    The rate is a straight line, or constant, in each step of `dt`, of which a bin has `per_bin`. Nodes
    are the moments for which it is given. Degree 0: one for each step, constant in it. Degree 1: one
    wherever a step begins or ends. Degree 3: one for two steps; where they meet, the rate is that of
    the cubic through four nodes. There are `degree` more than steps or pairs of steps.
    """

    def __init__(self, dt, tau, paralyzable, kept, background, relative=(1,), per_bin=1, degree=0):
        self.dt, self.dead_time, self.paralyzable = dt, tau, paralyzable
        self.relative, self.per_bin = relative, per_bin
        self.degree, self.per_node = degree, 2 if degree == 3 else 1
        self.background = backgrounds(background)
        self.kept = kept = _within("kept", kept, 0, 1)
        if kept == 0:
            raise ValueError("kept=0 keeps none of the source's events: use a share above 0.")
        self._varies = isinstance(tau, DeadTimeDistribution)
        own = [b.dead_time for b in self.background if b.dead_time is not None]
        self.shortest = min([getattr(tau, "minimum", tau), *own])
        self.longest = max([tau.values[-1] if self._varies else tau, *own])
        # Rate, share kept and dead time of each kind of events, NaN for the source's.
        self._kinds = [(math.nan, kept, math.nan)]
        for b in self.background:
            self._kinds.append((b.rate, b.kept, math.nan if b.dead_time is None else b.dead_time))
        self._others = sum(b.rate for b in self.background)
        self._marked = bool(own) or any(share < 1 for _, share, _ in self._kinds)
        # Steps are walked in parts no longer than a dead time, which hold one event at most.
        parts = math.ceil(dt / self.shortest * (1 - 1e-9)) if self.shortest > 0 else math.inf
        # What a paralyzable detector's missed photons draw can outlast what the last of them draws.
        self._by_photons = parts > _MOST_STEPS or (paralyzable and (self._varies or bool(own)))
        self._walked = 1 if parts > _MOST_STEPS else parts

    def n_nodes(self, n_bins):
        return n_bins * self.per_bin // self.per_node + self.degree

    def lines(self, nodes, steps):
        """Rates (n_steps, rows), 1/s, where these steps begin and where they end."""
        if self.degree == 0:
            return (nodes[steps].contiguous(),) * 2
        nodes = nodes[steps.start // self.per_node : steps.stop // self.per_node + self.degree]
        if self.degree == 3:
            inner, outer = nodes[1:-1], nodes
            nodes = nodes.new_empty(2 * len(inner) - 1, nodes.shape[1])
            nodes[::2] = inner  # and between two of them (9 inner - outer) / 16
            torch.lerp(inner[1:] + inner[:-1], outer[3:] + outer[:-3], -0.125, out=nodes[1::2])
            nodes[1::2] /= 2
        nodes.clamp_(min=0)
        return nodes[:-1], nodes[1:]

    def _in_cell(self, n_nodes):
        return max(1, min(CELL, _OF_CELL // n_nodes))

    def in_chunks(self, rows, n_nodes, generator, live, memory=None):
        """Chunks of rows, by the memory of what exists side by side, and of one cell's transform."""
        number, n_steps, cell = len(self.relative), n_nodes * self.per_node, self._in_cell(n_nodes)
        block = 4 * number * min(_BLOCK // cell, n_steps * self._walked)
        each = n_nodes + ((1 + live) * number + 1) * n_steps // self.per_bin + block
        size = cell * rows.element_size()
        left = (memory or _MEMORY.get(rows.device.type, _MEMORY["cpu"])) - size * 6 * n_nodes
        if rows.device.type == "cpu":
            left = min(left, _CELLS * size * each)
        return chunks(len(rows), size * each, left, generator, rows.device, cell)

    def count(self, nodes, cells, live=False):
        """Counts (n_bins, n_detectors, rows), and live time, s, of rates (n_nodes, rows)."""
        n_bins = (len(nodes) - self.degree) * self.per_node // self.per_bin
        if self._by_photons:
            lines, parts = self.lines(nodes, slice(0, n_bins * self.per_bin)), []
            for cell, stream in cells:
                found = self._photons(*(x[:, cell] for x in lines), stream, live)
                bins = [x.unflatten(-1, (n_bins, -1)).sum(-1).permute(2, 1, 0) for x in found]
                parts.append(bins)
            return [torch.cat(part, dim=-1).to(nodes.dtype) for part in zip(*parts, strict=True)]
        shape = len(self.relative), nodes.shape[1]
        results = [nodes.new_zeros(n_bins, *shape) for _ in range(1 + live)]
        walk = self._walk_paralyzable if self.paralyzable else self._walk
        blind_until, draw = nodes.new_zeros(shape), uniform(cells, shape, nodes)
        fixed = [nodes.new_tensor(x) for x in (self.relative, self._kinds)]
        # Block by block of bins that the processor's cache can hold.
        block = max(1, _BLOCK // (self._in_cell(len(nodes)) * self.per_bin * self._walked))
        for i in range(0, n_bins, block):
            here = slice(i, min(i + block, n_bins))
            steps = slice(i * self.per_bin, here.stop * self.per_bin)
            counts, *alive = (result[here] for result in results)
            lines = self.lines(nodes, steps)
            walk(counts, alive[0] if live else None, *lines, draw, blind_until, *fixed)
        if live:  # float32 rounds the steps
            results[1].clamp_(max=self.per_bin * self.dt)
        return results

    def _walk(self, counts, alive, begin, end, draw, blind_until, relative, kinds):
        """Fill in the counts and live time of a block, and carry `blind_until` along."""
        n_steps, step = len(begin) * self._walked, self.dt / self._walked
        # As many steps as one dead time covers hold one event at most, and need one random number.
        per_draw = max(1, int(self.shortest / step * (1 + 1e-9)))
        n_draws = math.ceil(n_steps / per_draw)
        wait = exponential(draw(n_draws))
        if self._varies:
            tau = self.dead_time.quantile(draw(n_draws))
        else:
            tau = begin.new_full((1, *blind_until.shape), self.dead_time)
        which = draw(n_draws) if self._marked else None
        edges = torch.arange(n_steps + 1, dtype=begin.dtype, device=begin.device) * step
        arrays = counts, alive, blind_until, wait, which, begin, end, relative, kinds, tau, edges
        if begin.device.type == "cpu":
            walk_compiled(*(None if x is None else x.numpy() for x in arrays), per_draw)
        else:
            walk_abreast(*arrays, per_draw)

    def _walk_paralyzable(self, counts, alive, begin, end, draw, blind_until, relative, kinds):
        step = self.dt / self._walked
        shape = (len(begin), self._walked, *blind_until.shape)
        part = torch.arange(self._walked + 1, dtype=torch.float64).to(begin)[:, None] / self._walked
        nodes = torch.lerp(begin[:, None], end[:, None], part)[:, :, None]
        nodes = nodes * relative[:, None] + self._others
        start, stop = nodes[:, :-1], nodes[:, 1:]
        first = _waiting_times(draw(math.prod(shape[:2])).view(shape), start, stop, step)
        # Backwards from the end of the step it is a straight line too.
        last = _waiting_times(draw(math.prod(shape[:2])).view(shape), stop, start, step)
        last = torch.maximum(first, step - last)
        none = first >= step
        ends = last.add_(self.dead_time).masked_fill_(none, -math.inf).flatten(0, 1)
        events = first.masked_fill(none, -math.inf)
        begins = None if alive is None else torch.empty_like(ends)
        for j, (event, end_) in enumerate(zip(events.flatten(0, 1), ends, strict=True)):
            if alive is not None:
                begins[j] = blind_until
            torch.ge(event, blind_until, out=event)
            torch.maximum(blind_until, end_, out=blind_until).sub_(step)
        if self._marked:
            total = start + (stop - start) * (first / step).clamp(max=1)
            which = draw(math.prod(shape[:2])).view(shape) * total
            events *= _marks(which, total - self._others, kinds.tolist(), None)[0]
        torch.sum(events.view(len(counts), -1, *blind_until.shape), dim=1, out=counts)
        if alive is not None:
            lasted = first.clamp_(max=step).flatten(0, 1).sub_(begins.clamp_(min=0)).clamp_(min=0)
            torch.sum(lasted.view(len(counts), -1, *blind_until.shape), dim=1, out=alive)

    def _photons(self, begin, end, generator, live):
        n_bins, rows = begin.shape
        relative = begin.new_tensor(self.relative)[:, None]
        start, stop = (x.T[:, None] * relative for x in (begin, end))
        source = (start + stop) / 2
        mean = (source + self._others) * self.dt
        if self.longest == 0:
            mean = self.kept * source + sum(b.kept * b.rate for b in self.background)
            photons = torch.poisson(mean * self.dt, generator=generator)
            return [photons, torch.full_like(mean, self.dt)][: 1 + live]
        expected = float(mean.sum(dtype=torch.float64))
        if expected > _MOST_PHOTONS:
            raise ValueError(
                f"{expected:.1e} photons in {rows} light curves would not fit into the memory. Use "
                "shorter bins: a non-paralyzable detector with bins of at most "
                f"{_MOST_STEPS} dead times needs none of them. Or fewer bins at a time."
            )
        photons = torch.poisson(mean, generator=generator)
        number = photons.flatten().long()
        index = torch.arange(len(number), device=begin.device).repeat_interleave(number)
        draw = dict(generator=generator, dtype=torch.float64, device=begin.device)
        low, high = (x.flatten().double()[index] for x in (start, stop))
        share = torch.rand(len(index), **draw) * ((low + high) / 2 + self._others)
        inside = _first(share, low + self._others, high + self._others)
        tau = self.dead_time.sample((len(index),), **draw) if self._varies else self.dead_time
        # One row after the other on one line of time, and dark between them until all have ended.
        row = torch.div(index, n_bins, rounding_mode="floor")
        time, order = torch.sort((index + inside) * self.dt + row * self.longest)
        counted = True
        if self._marked:
            light = low + (high - low) * inside[order]
            which = torch.rand(len(index), **draw) * (light + self._others)
            counted, tau = _marks(which, light, self._kinds, torch.as_tensor(tau).to(time))
        registered = filter_events(time, tau, self.paralyzable)
        kept = torch.bincount(index[registered & counted], minlength=len(number)).view(mean.shape)
        if not live:
            return [kept]
        pad = torch.nn.functional.pad
        ends = torch.where(registered | self.paralyzable, time + tau, -math.inf)
        blind_until = pad(torch.cummax(ends, 0).values, (1, 0))
        lasted = pad((time - blind_until[:-1]).clamp_(min=0).cumsum(0), (1, 0))
        line = torch.arange(len(number) // n_bins, device=begin.device)[:, None]
        edges = torch.arange(n_bins + 1, device=begin.device) + line * n_bins
        edges = edges.double() * self.dt + line * self.longest
        before = torch.searchsorted(time, edges)
        lasted = lasted[before] + (edges - blind_until[before]).clamp_(min=0)
        return [kept, lasted.diff(dim=-1).view(mean.shape)]


def _lost(sums, rate):
    """Estimate the share of a signal that clipping takes, from variances: the source's, added, added and slow."""
    source, more, slow = sums.unbind(-1)
    variance = torch.stack([source + more, source])
    above, rms = torch.special.ndtr(variance.rsqrt()), variance.sqrt()
    tail = rms * torch.exp(-0.5 / variance) / math.sqrt(2 * math.pi)
    left = (above / (above + tail)).square()  # of a Gaussian light curve's, relative to the mean
    return 1 - (left[0] / left[1]) ** (1 + rate * slow / more / rms[1])


def _marks(which, source, kinds, tau):
    """Return which events are kept, by uniform numbers from 0 to the rate of all, and all dead times."""
    kept = torch.zeros_like(which, dtype=torch.bool)
    for k, (rate, share, own) in enumerate(kinds):
        rate = source if k == 0 else rate
        kept |= (which >= 0) & (which < share * rate)
        if own == own:
            tau = torch.where((which >= 0) & (which < rate), own, tau)
        which = which - rate
    return kept, tau


def _first(expected, start, stop):
    """Where in a step, 0 to 1, a rate from start to stop has given so many; NaN or more if later."""
    return 2 * expected / (start + (start.square() + 2 * (stop - start) * expected).sqrt())


def _waiting_times(numbers, start, stop, step):
    """Times (..., rows) to the first event, s, from uniform numbers; two steps if in none."""
    times = _first(exponential(numbers).div_(step), start, stop).mul_(step)
    return times.nan_to_num_(2 * step).clamp_(max=2 * step)


def backgrounds(background) -> tuple[Background, ...]:
    """A `Background`, or several, as a tuple."""
    several = tuple(background) if isinstance(background, (list, tuple)) else (background,)
    if wrong := [one for one in several if not isinstance(one, Background)]:
        raise ValueError(
            f"background must be a Background, such as Background(rate=10.0), or several, not {wrong[0]!r}."
        )
    return several


def _within(name, value, lowest, highest):
    """The float between lowest and highest that a value is."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (lowest <= number <= highest and number < math.inf):
        upto = f" up to {highest}" if highest < math.inf else ""
        raise ValueError(f"{name} must be a number from {lowest}{upto}, finite, not {value!r}.")
    return number


def _check_dead_time(dead_time):
    """A distribution as it is, and any real number as a float."""
    if isinstance(dead_time, DeadTimeDistribution):
        return dead_time
    return _within("dead_time (s), if no distribution such as NUSTAR,", dead_time, 0, math.inf)


def walk_abreast(
    counts, alive, blind_until, wait, which, begin, end, relative, kinds, tau, edges, per_draw
):
    """One step after the other, all detectors abreast: if live, blind again from the first photon on.

    Args:
        counts: (n_bins, n_detectors, rows), added to.
        alive: as counts, live time, s, added to; or None.
        blind_until: (n_detectors, rows) s after the step that begins, to which it is moved on.
        wait: (n_draws, n_detectors, rows) photons expected until the next one, exponential; each for
            `per_draw` steps, and used up in them. What is left at their end may be drawn anew.
        which: as wait, uniform, says of which kind an event is; None if all are kept and alike.
        begin, end: (n_rates, rows) between which rates go straight, 1/s; n_steps is a multiple of
            n_rates, which is one of n_bins.
        relative: (n_detectors,) times which it is that of a detector.
        kinds: (n_kinds, 3) rate, share kept, dead time, s, the source first, which has no rate here;
            NaN for a dead time as in tau.
        tau: (n_draws or 1, n_detectors, rows) dead times, s.
        edges: (n_steps + 1,) of the steps, s, all as long as the first.
    """
    n_steps = len(edges) - 1
    per_rate, per_bin = n_steps // len(begin), n_steps // len(counts)
    others, step = kinds[1:, 0].sum(), edges[1] - edges[0]
    for j in range(n_steps):
        left, dead = wait[j // per_draw], tau[j // per_draw if len(tau) > 1 else 0]
        i, part = divmod(j, per_rate)
        start = torch.lerp(begin[i], end[i], part / per_rate) * relative[:, None] + others
        stop = torch.lerp(begin[i], end[i], (part + 1) / per_rate) * relative[:, None] + others
        live = blind_until.clamp(min=0)
        slope = (stop - start) / step
        now = start + slope * live.clamp(max=step)
        event = live + 2 * left / (now + (now.square() + 2 * slope * left).sqrt())
        seen = event < step
        counted = seen
        if which is not None:
            there = start + slope * event
            kept, dead = _marks(which[j // per_draw] * there, there - others, kinds.tolist(), dead)
            counted = seen & kept
        if alive is not None:
            until = torch.where(seen, event, step)
            alive[j // per_bin] += (until - live).clamp_(min=0)
        torch.sub(torch.where(seen, event + dead, live), step, out=blind_until)
        counts[j // per_bin] += counted
        # After an event the dead time covers the other steps of this draw, whatever is left.
        passed = (now + stop) / 2 * (step - live).clamp_(min=0)
        left.sub_(passed).clamp_(min=0)


@compiled
def walk_compiled(
    counts, alive, blind_until, wait, which, begin, end, relative, kinds, tau, edges, per_draw
):
    """Walk as `walk_abreast` does, without arrays that a CPU would have to store."""
    n_steps = len(edges) - 1
    per_rate, per_bin = n_steps // len(begin), n_steps // len(counts)
    kind, step = edges.dtype.type, edges[1] - edges[0]
    zero, half, one, two = kind(0), kind(0.5), kind(1), kind(2)
    others, per_second = zero, one / step
    for k in range(1, len(kinds)):
        others += kinds[k, 0]
    for j in range(n_steps):
        i, part = j // per_rate, j % per_rate
        low, high, in_bin, left = begin[i], end[i], counts[j // per_bin], wait[j // per_draw]
        before, after = kind(part / per_rate), kind((part + 1) / per_rate)
        dead = tau[j // per_draw if len(tau) > 1 else 0]
        for detector in range(len(blind_until)):
            for row in range(len(low)):
                climb = high[row] - low[row]
                begins = (low[row] + climb * before) * relative[detector] + others
                ends = (low[row] + climb * after) * relative[detector] + others
                slope = (ends - begins) * per_second
                live = max(blind_until[detector, row], zero)
                now = begins + slope * min(live, step)
                wanted = left[detector, row]
                event = live + two * wanted / (now + math.sqrt(now * now + two * slope * wanted))
                seen = event < step
                blind = dead[detector, row]
                counted = seen
                if which is not None:  # noqa: SIM102 (numba leaves out what follows if it is)
                    if seen:
                        of_kind = begins + slope * event - others
                        here, k = which[j // per_draw, detector, row] * (of_kind + others), 0
                        while k < len(kinds) - 1 and here >= of_kind:
                            here -= of_kind
                            k += 1
                            of_kind = kinds[k, 0]
                        counted = here < of_kind * kinds[k, 1]
                        if kinds[k, 2] >= 0:
                            blind = kinds[k, 2]
                if alive is not None:
                    until = event if seen else step
                    alive[j // per_bin, detector, row] += max(until - live, zero)
                blind_until[detector, row] = (event + blind if seen else live) - step
                in_bin[detector, row] += counted
                passed = half * (now + ends) * max(step - live, zero)
                left[detector, row] = max(wanted - passed, zero)


@compiled
def _registered(times, ends):
    keep = np.zeros(times.size, dtype=np.bool_)
    live_from = times[0]
    for i in range(times.size):
        if times[i] >= live_from:
            keep[i] = True
            live_from = ends[i]
    return keep
