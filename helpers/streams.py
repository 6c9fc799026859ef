"""Streams of random numbers that make results independent of how much memory the work may take."""

from collections.abc import Iterator

import torch

__all__ = ["CELL", "chunks"]

# Simulations that draw their random numbers together: never more, so that memory may cut anywhere
# between two of these cells and change nothing.
CELL = 32


def chunks(n, bytes_of_cell, memory, generator, device) -> Iterator[list]:
    """Lists of cells, pairs of a slice of n simulations and its generator, that fit into memory.

    Args:
        n: how many simulations.
        bytes_of_cell: what the work on a cell of 32 of them takes.
        memory: bytes for all that a list holds; one cell is in it however small this is.
        generator: gives the seeds of all cells, on any device.
        device: of the cells' generators.

    Example:
        >>> [[cell for cell, _ in chunk] for chunk in chunks(70, 1, 2, None, "cpu")]
        [[slice(0, 32, None), slice(32, 64, None)], [slice(64, 70, None)]]
    """
    starts = range(0, n, CELL)
    seeds = torch.randint(
        2**62, (len(starts),), generator=generator,
        device=generator.device if generator is not None else None,
    ).tolist()  # fmt: skip
    per_chunk = max(1, int(memory // bytes_of_cell))
    for i in range(0, len(starts), per_chunk):
        yield [
            (slice(start, min(start + CELL, n)), torch.Generator(device).manual_seed(seed))
            for start, seed in zip(starts[i : i + per_chunk], seeds[i : i + per_chunk], strict=True)
        ]
