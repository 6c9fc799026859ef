"""Random numbers against the published ones, and against the laws that they are to have."""

import math

import numpy as np
import pytest
import torch
from contract import seeded
from scipy import stats

from helpers.streams import chunks, complex_normal, exponential, split_mix, uniform

# Of the authors' generator from a state of zero.
PUBLISHED = (0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F)


def test_split_mix_is_the_published_one():
    state, numbers = np.zeros(3, dtype=np.uint64), np.empty((6, 3), dtype=np.float32)
    split_mix(state, numbers)
    expected = [part / 2**24 for z in PUBLISHED for part in (z % 2**24, z >> 40)]
    assert (numbers == np.array(expected, dtype=np.float32)[:, None]).all()
    assert (state == 3 * 0x9E3779B97F4A7C15 % 2**64).all()
    split_mix(state, odd := np.empty((3, 3), dtype=np.float32))
    assert len(np.unique(odd)) == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_laws(device, dtype):
    like, n = torch.zeros(1, dtype=dtype, device=device), 50_000
    draw = uniform([(slice(0, 8), seeded(device))], (2, 8), like)
    numbers = draw(n // 16)
    assert numbers.dtype == dtype
    assert numbers.device.type == device.type
    assert 0 <= numbers.min() <= numbers.max() < 1
    waits = exponential(draw(n // 16))
    z = complex_normal((5, n // 5), seeded(device), like)
    angle = z.angle() / (2 * math.pi) + 0.5
    for sample, law in (
        (numbers, "uniform"), (waits, "expon"), (z.abs().square(), "expon"), (angle, "uniform"),
        (z.real * math.sqrt(2), "norm"), (z.imag * math.sqrt(2), "norm"),
    ):  # fmt: skip
        assert stats.kstest(sample.flatten().double().cpu(), law).pvalue > 1e-5
    # Neighbours, in each direction and of one step of the generator, share nothing.
    for x in (numbers, waits, z.real, z.imag):
        for dim in range(x.ndim):
            near = (x - x.mean()) * (x - x.mean()).roll(1, dim) / x.var()
            assert abs(near.mean()) < 5 / x.numel() ** 0.5
    assert abs((z.real * z.imag).mean()) < 5 * 0.5 / n**0.5


def test_waits_are_logarithms():
    """All 2^24 possible numbers, against double precision: the error is below two units of the last place."""
    u = torch.arange(2**24, dtype=torch.float32) / 2**24
    exact = -torch.log1p(-u.double())
    waits = exponential(u.clone()).double()
    assert waits[0] == 0
    assert ((waits - exact).abs()[1:] / exact[1:]).max() < 4 * 2**-24


def test_complex_normal_numbers_are_on_circles():
    """The method of Box & Muller again, in double precision, from the same uniform numbers."""
    like, n = torch.zeros(1), 1280
    numbers = uniform([(slice(0, 128), seeded())], (128,), like)(2 * n // 128).view(2, n).double()
    expected = torch.polar((-torch.log1p(-numbers[0])).sqrt(), 2 * math.pi * numbers[1])
    found = complex_normal((n,), seeded(), like)
    assert ((found - expected).abs() / expected.abs()).max() < 2e-7


def test_split_mix_repeats_nothing():
    """Halves of a step, successive steps and places beside each other: their pairs fill a square evenly."""
    n, levels = 10_000, 2**24
    numbers = uniform([(slice(0, 8), seeded())], (2, 8), torch.zeros(1))(2 * n).flatten(1)
    low, high = numbers[::2], numbers[1::2]
    for x, y in (
        (low, high), (low[::2], low[1::2]), (high[::2], high[1::2]), (high[::2], low[1::2]),
        (numbers[:, ::2], numbers[:, 1::2]),
    ):  # fmt: skip
        cell = (16 * x).long() * 16 + (16 * y).long()
        assert stats.chisquare(torch.bincount(cell.flatten(), minlength=256)).pvalue > 1e-5
    # Any two of the 16 places, and no number more often than chance has it, here or steps later.
    other = torch.corrcoef(numbers.T).fill_diagonal_(0)
    assert other.abs().max() < 5 / len(numbers) ** 0.5
    expected = levels * -math.expm1(-numbers.numel() / levels)
    error = numbers.numel() / (2 * levels) ** 0.5
    assert abs(len(numbers.unique()) - expected) < 5 * error


def test_cells_draw_for_themselves(device):
    """Whatever is beside them, and however often they are asked: an even number of rows at a time."""
    like, found = torch.zeros(1, device=device), []
    for memory, portions in ((1, (4, 2)), (9, (6,))):
        parts = chunks(70, 1, memory, seeded(), device)
        draws = [uniform(cells, (3, c.stop - c.start), like) for c, cells in parts]
        found.append(torch.cat([torch.cat([draw(n) for n in portions]) for draw in draws], dim=-1))
    if device.type == "cpu":
        assert torch.equal(*found)
    assert len(found[1].unique()) > 0.999 * found[1].numel()
