"""What everything that simulates promises, whatever it simulates: one test for all of it."""

import numpy as np
import torch


def seeded(device="cpu", seed=1):
    return torch.Generator(device=device).manual_seed(seed)


def between(low, high, n, device):
    """(n, P) parameters between two corners; more than two cells of random numbers if n is 70."""
    low, high = (torch.tensor(corner, device=device) for corner in (low, high))
    generator = torch.Generator().manual_seed(3)
    return low + (high - low) * torch.rand(n, len(low), generator=generator).to(device)


def z_score(sample, expected):
    """How many standard errors the mean over the first dimension is from what it should be."""
    sample = np.asarray(sample.cpu() if isinstance(sample, torch.Tensor) else sample, dtype=float)
    return (sample.mean(axis=0) - expected) / (sample.std(axis=0, ddof=1) / len(sample) ** 0.5)


def check_simulator(simulate, theta, *, shapes=((), (0,), (3, 4)), random=True, other_memory=()):
    """Fail with the name of the clause that `simulate`, from theta and a generator, does not keep.

    Args:
        simulate: from theta (..., P) and a torch generator to numbers (..., N) or (..., N, M).
        theta: (n, P) parameters of 12 simulations or more, on the device that is tested.
        shapes: batches that must come back as they went in.
        random: whether it draws numbers; if not, the generator is not asked for.
        other_memory: the same simulator with other bounds of its memory.
    """

    def run(theta, seed=1, simulate=simulate):
        return simulate(theta, seeded(theta.device, seed))

    before = theta.clone()
    first = run(theta)
    assert torch.equal(theta, before), "input: theta was changed"
    assert first.device == theta.device, "device: the result is on another than theta"
    assert first.shape[:1] == theta.shape[:1], "shapes: the first dimension is that of theta"

    for shape in shapes:
        rows = theta[: torch.Size(shape).numel()]
        found = run(rows.reshape(*shape, theta.shape[-1]))
        assert found.shape == (*shape, *first.shape[1:]), (
            f"shapes: theta {shape} gives {found.shape}"
        )
        if len(rows):
            same = torch.equal(found, run(rows).reshape(found.shape))
            assert same, f"shapes: theta {shape} gives other numbers than its rows in line"

    for dtype in (torch.float32, torch.float64):
        assert run(theta.to(dtype)).dtype == dtype, f"dtype: not that of theta, {dtype}"

    assert torch.equal(first, run(theta)), "generator: the same seed gives other numbers"
    if random:
        assert not torch.equal(first, run(theta, 2)), (
            "generator: another seed gives the same numbers"
        )
    state = torch.random.get_rng_state()
    torch.manual_seed(7)
    seven = torch.random.get_rng_state()
    try:
        assert torch.equal(first, run(theta)), "global generator: it changes the numbers"
        untouched = torch.equal(torch.random.get_rng_state(), seven)
        assert untouched, "global generator: it was used or set"
    finally:
        torch.random.set_rng_state(state)

    apart = torch.stack([theta, -theta], dim=-1)[..., 0]
    for strided in (theta.T.contiguous().T, apart):
        same = torch.equal(first, run(strided))
        assert same, "strides: the same theta in another order of memory gives other numbers"
    for other in other_memory:
        assert torch.equal(first, run(theta, simulate=other)), "memory: it changes the numbers"
