"""Streams of random numbers that make results independent of how much memory the work may take."""

from collections.abc import Iterator

import torch

__all__ = ["CELL", "chunks"]

# Simulations that draw their random numbers together, from a seed that the generator gives: never
# more, so that memory may cut anywhere between two of these cells and change nothing.
CELL = 32


def chunks(n, bytes_of_cell, memory, generator, device, cell=CELL) -> Iterator[tuple[slice, list]]:
    """Chunks of n simulations that fit into memory, each with its cells and their generators.

    Args:
        n, bytes_of_cell: how many simulations, and what the work on a cell takes.
        memory: bytes for all cells of a chunk; one is in it however small this is.
        generator: gives the seeds of all cells, on any device.
        device: of the cells' generators.
        cell: how many simulations draw together, whatever the memory.

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
        own = zip(range(0, number, cell), seeds[first // cell :], strict=False)
        cells = [
            (slice(k, min(k + cell, number)), torch.Generator(device).manual_seed(seed))
            for k, seed in own
        ]
        yield slice(first, first + number), cells
