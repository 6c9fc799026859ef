"""Check arguments; refuse by name those that cannot be used, or would lose digits, masks or gaps."""

import contextlib
import math
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "labels", "numbers", "one_of", "refuse_arrays", "refuse_empty_run", "refuse_outliers",
    "resolved", "rows_of", "seconds", "segments", "tensor", "whole",
]  # fmt: skip

# A run of empty bins is examined if the mean rate would give this many counts: e^-25 = 1e-11.
_SUSPICIOUS = 25
# The shortest stretches that are compared have this many counts, so that they are nearly Gaussian.
_STRETCH = 50
# The probability at which a run of empty bins is refused.
_FALSE_ALARM = 1e-6


def seconds(name: str, value) -> float:
    """Return a positive number of seconds as a float."""
    value = float(value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be a positive number of seconds, not {value:g}.")
    return value


def whole(name: str, value, at_least: int) -> int:
    """Return a whole number, of Python or numpy, as an int."""
    if not isinstance(value, Integral) or value < at_least:
        raise ValueError(f"{name} must be a whole number of at least {at_least}, not {value!r}.")
    return int(value)


def one_of(name: str, value, choices):
    """Return a value that must be one of a few words."""
    if value not in choices:
        expected = " or ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be {expected}, not {value!r}.")
    return value


def rows_of(theta: "Tensor") -> "Tensor":
    """Return theta (..., P) as (n, P), one row for each simulation."""
    if theta.ndim == 0 or not theta.dtype.is_floating_point:
        raise ValueError("theta must be a tensor (..., P) of real numbers.")
    return theta.detach().reshape(-1, theta.shape[-1])


def numbers(name: str, values, missing: bool = False) -> np.ndarray:
    """Return real numbers in float64; masked, None and NA become NaN, refused unless `missing` is True."""
    array = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    kind, result = array.dtype.kind, None
    if kind in "biufO":
        with contextlib.suppress(TypeError, ValueError):
            result = np.where(_missing(values, array), math.nan, array).astype(np.float64)
    if result is None:
        raise ValueError(f"{name} must be real numbers, not {array.dtype}: convert them.")
    if kind in "iuO" and np.fmax.reduce(abs(result), axis=None, initial=0) > 2**53:
        raise ValueError(
            f"{name} holds whole numbers above 2^53, whose last digits float64 loses: subtract a "
            "reference, such as the first of them, before."
        )
    bad = ~np.isfinite(result)
    if not missing and bad.any():
        raise ValueError(
            f"{name} is not finite in {int(bad.sum())} places (masked, None and NA count), the first "
            f"at index {np.argwhere(bad)[0].tolist()}: leave these points out."
        )
    return result


def tensor(name: str, values, missing: bool = False) -> "Tensor":
    """Return a tensor unchanged, and other `numbers` as a tensor in float64."""
    import torch

    if isinstance(values, torch.Tensor):
        return values
    return torch.from_numpy(numbers(name, values, missing))


def labels(name: str, values) -> np.ndarray:
    """Return labels as an array; none of them may be missing."""
    array = np.asarray(values)
    missing = _missing(values, array)
    if missing.any():
        raise ValueError(
            f"{name} is missing in {missing.sum()} rows, the first at {missing.argmax()}: leave "
            "these rows out, or give them a label."
        )
    return array


def _missing(values, array):
    """Return a mask of the missing values: masked, None, NA or NaN."""
    mask = getattr(values, "mask", False)
    missing = np.broadcast_to(False if callable(mask) else mask, array.shape)  # pandas has a method
    if array.dtype.kind == "O":
        from pandas import isna

        return missing | isna(array)
    return missing | np.isnan(array) if array.dtype.kind in "fc" else missing


def resolved(name: str, times, step: float) -> None:
    """Refuse times whose type cannot tell a tenth of a step apart, such as float32 of MJD."""
    kind = str(getattr(times.dtype, "name", times.dtype))
    if "float" not in kind or not len(times):
        return
    last = float(abs(times).max())
    digit = 2.0 ** {2: -10, 4: -23}.get(times.dtype.itemsize, -52) * last
    if step / 10 < digit < math.inf:
        raise ValueError(
            f"{name} up to {last:.9g} in {kind.removeprefix('torch.')} have steps "
            f"of {digit:.2g}, too coarse for {step:.2g}: keep float64 from the file on, and subtract "
            "the first time before you convert to a narrower type."
        )


def segments(n_total: int, bin_size: float, segment: float, good=None) -> tuple[int, np.ndarray]:
    """Return the number of bins in a segment, and the first bin of each segment inside good time."""
    bin_size, segment = seconds("bin_size", bin_size), seconds("segment", segment)
    n = round(segment / bin_size)
    # A thousandth of a bin over the whole segment does not change the Fourier frequencies noticeably.
    if abs(segment / bin_size - n) > 1e-3:
        raise ValueError(
            f"segment={segment:g} s is not a whole number of bins of {bin_size:g} s. "
            f"Use segment={max(n, 3) * bin_size:.9g}."
        )
    if not 3 <= n <= n_total:
        raise ValueError(
            f"A segment of {n} bins of a light curve of {n_total}: it needs at least 3 bins, and no "
            "more than the last dimension has. Time must be the last dimension."
        )
    if good is None:
        return n, np.arange(n_total // n) * n
    good = labels("good", good.cpu() if hasattr(good, "cpu") else good)
    if good.shape != (n_total,) or good.dtype != bool:
        raise ValueError(f"good must be ({n_total},) True or False, one for each bin.")
    edges = np.flatnonzero(np.diff(good, prepend=False, append=False)).reshape(-1, 2)
    starts = [np.arange(first, end - n + 1, n) for first, end in edges]
    if not any(map(len, starts)):
        longest = int(np.diff(edges).max(initial=0)) * bin_size
        raise ValueError(f"No good time has segment={segment:g} s: the longest is {longest:g} s.")
    return n, np.concatenate(starts)


def refuse_empty_run(name: str, counts) -> None:
    """Refuse light curves (..., n_bins) with a run of empty bins that their own rate does not explain.

    Runs in which the mean rate would give 25 counts are cut out. The rest is divided into stretches
    of 50 counts, 100, ... up to the longest run; s is the standard deviation of the steps from one
    stretch to the next. If a run has y neighbouring counts (at most the median, to exclude bursts),
    the step to zero has the probability T(-y/s) of Student's t, and so has the step back. The larger
    of both, squared and times the number of places and lengths tried, is refused below 1e-6. Red
    noise that fades slowly, even to a rate of zero, passes: few counts are next to its empty runs.
    """
    rows = counts.detach() if hasattr(counts, "detach") else np.asarray(counts)
    rows = rows.reshape(-1, rows.shape[-1])
    if not (rows == 0).any():
        return
    # A run of 2 b - 1 bins contains a whole block of b bins: most light curves are decided here.
    length = 1
    if (rows == rows.round()).all():
        mean = max(float(rows.sum(-1).max()) / rows.shape[1], 1e-9)
        length = (math.ceil(min(_SUSPICIOUS / mean, rows.shape[1])) + 1) // 2 or 1
    blocks = rows[:, : rows.shape[1] // length * length].reshape(len(rows), -1, length)
    empty = (blocks == 0).all(-1).any(-1)
    for row in np.flatnonzero(empty.cpu() if hasattr(empty, "cpu") else empty):
        curve = rows[row].cpu() if hasattr(rows, "cpu") else rows[row]
        p, start, length = _likeliest_gap(np.asarray(curve, dtype=np.float64))
        if p < _FALSE_ALARM:
            where = f" of light curve {row}" if len(rows) > 1 else ""
            raise ValueError(
                f"{name} is empty from bin {start} to {start + length - 1}{where}: a gap, because its "
                f"variability gives this with p = {p:.0e}. Powers, lags and features would be wrong. "
                "Give the bins in good time, good=(n_bins,) such as stingray's Lightcurve.mask, or "
                "leave the gap out; use all True if the source did vanish."
            )


def _likeliest_gap(counts):
    """Return probability, first bin and length of the least probable run of empty bins."""
    n, filled, total = len(counts), np.flatnonzero(counts), float(np.sum(counts))
    if total <= 0:
        return 1.0, 0, 0
    # One count, also in rates: all values are its multiples. Otherwise the smallest value, to be careful.
    one = np.diff(np.unique(counts)).min()
    if abs(counts / one - np.round(counts / one)).max() > 0.01:
        one = 1.0 if (counts == np.round(counts)).all() else counts[counts > 0].min()
    first = np.append(0, filled + 1)
    length = np.append(filled, n) - first
    long = length >= max(1, _SUSPICIOUS * n * one / total)
    if not long.any():
        return 1.0, 0, 0
    from scipy.special import stdtr

    first, length = first[long], length[long]
    gone = [np.arange(a, a + b) for a, b in zip(first, length, strict=True)]
    own = np.delete(counts, np.concatenate(gone))
    at = first - np.append(0, np.cumsum(length)[:-1])
    counted = np.append(0, np.cumsum(own))
    found = [(1.0, 0, 0)]
    stretch = math.ceil(_STRETCH * one * len(own) / total)
    while stretch <= min(length.max(), len(own) // 8):
        usual, steps = np.median(np.diff(counted[::stretch])), np.diff(counted[::stretch], n=2)
        spread, p = np.sqrt(np.mean(steps**2)), np.zeros(len(at))
        for a, b in ((at - stretch, at), (at, at + stretch)):
            beside = counted[b.clip(max=len(own))] - counted[a.clip(min=0)]
            with np.errstate(divide="ignore", invalid="ignore"):
                fall = np.where(beside > 0, np.minimum(beside, usual) / spread, 0)
            inside = (a >= 0) & (b <= len(own))
            p = np.where(inside, np.maximum(p, stdtr(len(steps) * 2 / 3, -fall)), p)
        both = (at >= stretch) & (at + stretch <= len(own))
        p = np.where(length >= stretch, p ** (1 + both), 1)
        k = p.argmin()
        found.append((float(p[k]) * n / stretch, int(first[k]), int(length[k])))
        stretch *= 2
    p, start, number = min(found)
    return p * max(len(found) - 1, 1), start, number


def refuse_outliers(name: str, values: "Tensor") -> None:
    """Refuse values (n, ...) with outliers so far away that, after scaling, all others look the same.

    Outliers are far from the central 96 per cent, or from the narrowest half (if up to a third are bad).
    Measured: an outlier at 10 times the bulk's scale costs a tenth of the information, at 1000 all.
    """
    spread, ordered = values.std(dim=0), values[:: max(1, len(values) // 10_000)].sort(dim=0).values
    k, half = max(1, len(ordered) // 50), len(ordered) // 2
    at = (ordered[half:] - ordered[:-half]).argmin(dim=0, keepdim=True)
    bulk, ends = ordered[k:-k], (ordered.gather(0, at)[0], ordered.gather(0, at + half)[0])
    windows = (*bulk[[0, -1]], 10 * bulk.std(dim=0)), (*ends, 100 * (ends[1] - ends[0]))
    for low, high, usual in windows:
        width = high - low
        far = (values < low - 10 * width) | (values > high + 10 * width)
        far &= (width > 0) & (spread > usual)
        if rows := int(far.flatten(1).any(dim=1).sum()):
            row, *where = far.nonzero()[0].tolist()
            value, low, high = (float(t[tuple(where)]) for t in (values[row], low, high))
            raise ValueError(
                f"{rows} of {len(values)} rows of {name} are so far off that, after scaling, all others look "
                f"the same: {value:.4g} in row {row} at {where}, most are {low:.4g} to {high:.4g}. Leave them "
                "out, also of theta, if the simulator failed there; otherwise take logarithms, or clip."
            )


def refuse_arrays(**values):
    """Refuse values that are not tensors of torch, by their names."""
    import torch

    for name, value in values.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"{name} must be a torch tensor, not {type(value).__name__}: torch.as_tensor({name}) "
                "makes one with the same numbers and dtype."
            )
