"""What a worker does: draw the thetas of a shard, simulate them, and write both."""

import contextlib
import functools
import re
import socket
import sys
import threading
import types
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helpers.campaign.settings import CampaignError, environment, in_a_line, settings_here
from helpers.campaign.store import read_shard, write_shard

__all__ = ["draw", "make", "read_recipe", "stream", "trial"]

# The number of a shard that no campaign reaches, for trials, and how many simulations it has.
_TRIAL, _N_TRIAL = 2**32 - 1, 7
_NOT_FINITE = "x is not finite"
# The words of a Mersenne twister in the state of torch's generator on the CPU.
_TWISTER = slice(3, 3 + 624)
# Threads of a process share torch's global generator: it works on one shard at a time.
_ONE_AT_A_TIME = threading.Lock()


def stream(device, seed: int, *key: int) -> torch.Generator:
    """A generator that hangs on all bits of a campaign's seed and of a key.

    On the CPU, torch takes 32 bits of a seed: of 10⁵ shards two would have the same stream. So the
    whole state of its Mersenne twister comes from numpy's. tests/test_campaign.py shows where torch
    has it, and that its random numbers are numpy's.

    Example:
        >>> torch.rand(2, generator=stream("cpu", 1, 0, 0))
        tensor([0.8921, 0.8008])
    """
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    generator = torch.Generator(device)
    generator.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
    if generator.device.type == "cpu":
        twister = np.random.MT19937(sequence).state["state"]["key"]
        words = generator.get_state().view(torch.int64)
        words[_TWISTER] = torch.from_numpy(twister.astype(np.int64))
        generator.set_state(words.view(torch.uint8))
    return generator


@functools.lru_cache(maxsize=1)
def read_recipe(text: str, path: str) -> types.ModuleType:
    """The module that a recipe's text makes; `path` is for tracebacks.

    Raises:
        CampaignError: if it does not run, or lacks a definition.
    """
    module = types.ModuleType("campaign_recipe")
    module.__file__ = path
    # Where dataclasses, and others that look for the module of a class, find it.
    sys.modules[module.__name__] = module
    try:
        exec(compile(text, path, "exec"), module.__dict__)
    except Exception as error:
        raise CampaignError(f"The recipe does not run: {in_a_line(error)}.") from error
    for name in ("prior", "simulate"):
        if not hasattr(module, name):
            raise CampaignError(f"The recipe does not define `{name}`.")
    return module


def draw(prior, n: int, seed: int, shard: int) -> Tensor:
    """(n, P) the thetas of a shard."""
    # Distributions of torch draw from its global generator: it is lent the shard's stream.
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(stream("cpu", seed, shard, 0).get_state())
        return prior.sample((n,))


def _simulated(simulate, theta, n_x, seed, shard, start=0, stop=None) -> tuple[Tensor, list]:
    """x (n, N) of these thetas, and n reasons why it is NaN, or None.

    In one call; if that raises, in one for each half, and so on until each row that raises is alone.
    So results hang on seed and shard, not on what a scheduler does.
    """
    stop = len(theta) if stop is None else stop
    part = theta[start:stop]
    try:
        with torch.no_grad():
            # A copy, because what simulate does to it must not change what is stored.
            x = simulate(part.clone(), stream(theta.device, seed, shard, 1, start, stop))
        _check(x, part, n_x)
    except Exception as error:
        # Not the simulator's fault, and it might not happen again.
        of_the_machine = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if of_the_machine or re.search("DefaultCPUAllocator|CUDA error", str(error)):
            raise CampaignError(
                f"Shard {shard} cannot be simulated on {socket.gethostname()}: {in_a_line(error)}. "
                "The same command tries again; with fewer workers each has more memory."
            ) from error
        if stop - start == 1:
            return part.new_full((1, n_x or 1), torch.nan), [in_a_line(error)]
        middle = (start + stop) // 2
        (x, reasons), (more_x, more) = (
            _simulated(simulate, theta, n_x, seed, shard, *half)
            for half in ((start, middle), (middle, stop))
        )
        # In a trial nobody knows yet how wide x is where all raised.
        width = max(x.shape[1], more_x.shape[1])
        return torch.cat([x.expand(-1, width), more_x.expand(-1, width)]), reasons + more
    finite = x.isfinite().all(dim=1)
    reasons = [None if good else _NOT_FINITE for good in finite.tolist()]
    return torch.where(finite[:, None], x, torch.nan), reasons


def trial(text: str, folder: str, seed: int, device: str) -> dict:
    """Try a recipe on a few draws that no campaign contains; returns the settings that follow."""
    if not Path(folder, "lock").exists():
        raise CampaignError(
            f"The worker on {socket.gethostname()} does not see {folder}: a campaign's folder must "
            "be on a file system that all workers share, under the same path."
        )
    with _ONE_AT_A_TIME:
        torch.set_num_threads(1)
        recipe = read_recipe(text, str(Path(folder, "recipe.py")))
        try:
            thetas = [draw(recipe.prior, _N_TRIAL, seed, _TRIAL) for _ in range(2)]
        except Exception as error:
            raise CampaignError(
                f"prior.sample(({_N_TRIAL},)) fails: {in_a_line(error)}."
            ) from error
        names = _names(recipe, theta := thetas[0])
        (x, reasons), (again, _) = (
            _simulated(recipe.simulate, theta.to(device), None, seed, _TRIAL) for _ in range(2)
        )
    if None not in reasons and _NOT_FINITE not in reasons:
        raise CampaignError(
            f"simulate fails on all of {_N_TRIAL} draws of the prior: {reasons[0]}."
        )
    for what, pair, source in (
        ("prior", thetas, "torch's global generator on the CPU"),
        ("simulate", (x, again), "the generator that it is given"),
    ):
        if not torch.equal(*(numbers.nan_to_num() for numbers in pair)):
            raise CampaignError(
                f"The recipe's `{what}` gives other numbers the second time, so that no simulation "
                f"could be repeated: all its randomness must come from {source}."
            )
    dtype = str(theta.dtype).removeprefix("torch.")
    found = {"dtype": dtype, "parameters": names, "size of x": x.shape[1]}
    return found | environment(text, device)


def make(folder: str, identity: str, number: int) -> int:
    """Make a shard unless it is there, intact; returns how many of its simulations failed."""
    with _ONE_AT_A_TIME:
        torch.set_num_threads(1)
        settings, text = settings_here(folder, identity)
        with contextlib.suppress(CampaignError):
            table = read_shard(folder, settings, number)
            return len(table) - table["reason"].null_count
        recipe = read_recipe(text, str(Path(folder, "recipe.py")))
        n, seed, n_x = (settings[name] for name in ("shard", "seed", "size of x"))
        theta = draw(recipe.prior, n, seed, number).to(settings["device"])
        x, reasons = _simulated(recipe.simulate, theta, n_x, seed, number)
        write_shard(folder, settings, number, theta, x, reasons)
        return n - reasons.count(None)


def _names(recipe, theta):
    """The names of the parameters, if the prior's draws (n, P) are what they should be."""
    is_table = isinstance(theta, Tensor) and theta.ndim == 2 and len(theta) == _N_TRIAL
    if not (is_table and theta.is_floating_point() and theta.isfinite().all()):
        raise CampaignError(
            f"prior.sample(({_N_TRIAL},)) must be a tensor of shape ({_N_TRIAL}, P) of finite real "
            f"numbers, not {theta!r}"
        )
    n = theta.shape[1]
    names = list(getattr(recipe, "parameters", ())) or [f"theta_{i}" for i in range(n)]
    if len(names) != n or len({*names, "x", "reason"}) != n + 2:
        raise CampaignError(
            f"`parameters` must be {n} different names, none of them x or reason, not {names}."
        )
    return names


def _check(x, theta, n_x):
    if not isinstance(x, Tensor):
        raise TypeError(f"simulate returned a {type(x).__name__}, not a tensor")
    if x.ndim != 2 or len(x) != len(theta) or n_x not in (None, x.shape[1]):
        raise ValueError(
            f"simulate returned shape {tuple(x.shape)} for {len(theta)} thetas, not "
            f"({len(theta)}, {n_x or 'N'})"
        )
    if (x.dtype, x.device) != (theta.dtype, theta.device):
        raise TypeError(
            f"simulate returned {x.dtype} on {x.device}, not {theta.dtype} on {theta.device} as theta"
        )
