"""Streams of random numbers that make results independent of the memory limit."""

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from helpers.compiled import compiled

__all__ = ["CELL", "chunks", "complex_normal", "exponential", "uniform"]

# Number of simulations in a cell. A cell draws its random numbers together, from a seed that the
# generator gives; chunks end between cells, so that the memory limit does not change the numbers.
CELL = 32
# Numbers that are made in one block, which fits into a cache.
_LANES, _BLOCK, _LN2 = 128, 2**15, math.log(2)


def chunks(n, bytes_of_cell, memory, generator, device, cell=CELL) -> Iterator[tuple[slice, list]]:
    """Yield chunks of n simulations that fit into memory, with their cells and generators.

    Args:
        n, bytes_of_cell: number of simulations, and bytes that the work on a cell takes.
        memory: bytes for all cells of a chunk; a chunk has at least one cell.
        generator: gives the seeds of all cells, on any device.
        device: device of the cells' generators.
        cell: number of simulations that draw together, independent of the memory.

    Yields:
        A slice of the n simulations, and pairs of a slice of this slice and its generator.

    Example:
        >>> [(chunk, [cell for cell, _ in cells]) for chunk, cells in chunks(70, 1, 2, None, "cpu")]
        [(slice(0, 64, None), [slice(0, 32, None), slice(32, 64, None)]),
         (slice(64, 70, None), [slice(0, 6, None)])]
    """
    here = None if generator is None else generator.device
    seeds = torch.randint(2**62, (-(-n // cell),), generator=generator, device=here).tolist()
    size = cell * max(1, int(memory // bytes_of_cell))
    for first in range(0, n, size):
        number = min(size, n - first)
        cells = [
            (slice(k, min(k + cell, number)), torch.Generator(device).manual_seed(seed))
            for k, seed in zip(range(0, number, cell), seeds[first // cell :], strict=False)
        ]
        yield slice(first, first + number), cells


def uniform(cells, shape, like: Tensor) -> Callable[[int], Tensor]:
    """Make a function of n for the next (n, *shape) uniform numbers, multiples of 2^-24 in [0, 1).

    On a CPU float32 numbers come from SplitMix64 (Steele, Lea & Flood 2014, OOPSLA, 453); each place in
    `shape` has its own stream, seeded with 64 bits from the generator. Otherwise torch.rand makes them.

    Args:
        cells: cells along the last dimension of `shape`, as `chunks` yields them.
        like: tensor with the dtype and device of the numbers.
    """
    kind, fast = dict(dtype=like.dtype, device=like.device), _fast(like)
    parts = [((*shape[:-1], cell.stop - cell.start), generator) for cell, generator in cells]
    if fast:
        seeds = [torch.randint(-(2**63), 2**63 - 1, s, generator=g) for s, g in parts]
        state = torch.cat(seeds, dim=-1).flatten().numpy().view(np.uint64)

    def draw(n):
        if not fast:
            return torch.cat([torch.rand(n, *s, generator=g, **kind) for s, g in parts], dim=-1)
        numbers = torch.empty(n, *shape, **kind)
        split_mix(state, numbers.view(n, -1).numpy())
        return numbers

    return draw


def exponential(numbers: Tensor) -> Tensor:
    """Turn `uniform` numbers u into exponential ones in place, -ln(1 - u): mean 1, at most 17."""
    if not _fast(numbers):
        return numbers.neg_().log1p_().neg_()
    _waits(numbers.view(-1).numpy())
    return numbers


def complex_normal(shape, generator, like: Tensor) -> Tensor:
    """Draw complex normal numbers z with E|z|² = 1, with the precision and device of `like`."""
    kind = dict(dtype=like.dtype.to_complex(), device=like.device)
    if not _fast(like):
        return torch.randn(shape, generator=generator, **kind)
    numbers = torch.empty(shape, **kind)
    flat, draw = numbers.view(-1).numpy(), uniform([(slice(0, _LANES), generator)], (_LANES,), like)
    for first in range(0, len(flat), _BLOCK):  # method of Box & Muller
        part = flat[first : first + _BLOCK]
        square, turn = draw(2 * -(-len(part) // _LANES)).view(2, -1)[:, : len(part)]
        _on_circles(exponential(square).numpy(), turn.numpy(), part.view(np.float32))
    return numbers


def _fast(like):
    return like.dtype == torch.float32 and like.device.type == "cpu"


@compiled
def split_mix(state, numbers):
    """Fill numbers (n, places), two rows from each step of the state (places,), and advance the state."""
    unit, low = np.float32(2**-24), np.uint64(2**24 - 1)
    for i in range(0, len(numbers), 2):
        other, one = numbers[min(i + 1, len(numbers) - 1)], numbers[i]
        for k in range(len(state)):
            state[k] += np.uint64(0x9E3779B97F4A7C15)
            z = state[k]
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            z ^= z >> np.uint64(31)
            one[k] = np.float32(np.int32(z & low)) * unit
            other[k] = np.float32(np.int32(z >> np.uint64(40))) * unit


# Series, which a compiler does eight or more at once: faster than numpy, and alike on all CPUs.
@compiled
def _waits(numbers):
    """Replace u by -ln(1 - u) = -k ln 2 - ln(1 + x), 1 + x from √½ to √2, to three units of the last place."""
    for i in range(len(numbers)):
        bits = np.float32(np.float32(1) - numbers[i]).view(np.int32)
        k = np.int32(np.int32(bits - np.int32(0x3F3504F3)) >> np.int32(23))
        x = np.int32(bits - np.int32(k << np.int32(23))).view(np.float32) - np.float32(1)
        s = x / (np.float32(2) + x)  # ln(1 + x) = 2 artanh s
        series = np.float32(2 / 9)
        for n in (7, 5, 3, 1):
            series = s * s * series + np.float32(2 / n)
        numbers[i] = np.float32(0) - (np.float32(k) * np.float32(_LN2) + s * series)


@compiled
def _on_circles(square, turn, z):
    """Fill z (2 n,) with points on circles of radius √square at so many turns, x and y in turn, to 2e-7 of it."""
    for i in range(len(square)):
        k = np.int32(np.float32(4) * turn[i] + np.float32(0.5))  # the nearest quarter
        t = np.float32(2 * math.pi) * (turn[i] - np.float32(0.25) * np.float32(k))
        q, sine, cosine = t * t, np.float32(1), np.float32(1)
        for n in (8, 6, 4, 2):
            sine = np.float32(1) - q * sine * np.float32(1 / (n * (n + 1)))
            cosine = np.float32(1) - q * cosine * np.float32(1 / (n * (n - 1)))
        x, y = (cosine, t * sine) if k & 1 == 0 else (-t * sine, cosine)
        radius = np.sqrt(square[i]) * np.float32(1 - (k & 2))
        z[2 * i], z[2 * i + 1] = radius * x, radius * y
