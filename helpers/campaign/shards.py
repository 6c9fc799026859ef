"""Work of a worker: draw the thetas of a shard, simulate them, and write both."""

import contextlib
import functools
import importlib.metadata
import modulefinder
import os
import re
import socket
import sys
import sysconfig
import threading
import types
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helpers.campaign import store
from helpers.campaign.store import CampaignError, digest, in_a_line

__all__ = ["TRIAL", "draw", "environment", "make", "read_recipe", "stream", "trial"]

# For trials: a shard number that no campaign reaches, and its number of simulations.
TRIAL, _N_TRIAL = 2**32 - 1, 7
_NOT_FINITE = "x is not finite"
# Threads share torch's global generator, so a process works on one shard at a time.
_ONE_AT_A_TIME = threading.Lock()


def trial(text: str, path: str, folder: str, seed: int, device: str, number: int) -> dict:
    """Test a recipe on draws that no campaign contains, and return the settings that follow from it."""
    if not Path(folder, "lock").exists():
        why = f"does not see {folder}: all workers must share it, under the same path"
        raise CampaignError(f"The worker on {socket.gethostname()} {why}.")
    with _ONE_AT_A_TIME:
        torch.set_num_threads(1)
        try:
            recipe = read_recipe(text, path)
            theta, same = (draw(recipe.prior, _N_TRIAL, seed, number) for _ in range(2))
            is_table = isinstance(theta, Tensor) and theta.ndim == 2 and len(theta) == _N_TRIAL
            if not (is_table and theta.is_floating_point() and theta.isfinite().all()):
                wanted = f"a tensor of shape ({_N_TRIAL}, P) of finite real numbers"
                raise TypeError(f"prior.sample(({_N_TRIAL},)) must be {wanted}, not {theta!r}")
            n = theta.shape[1]
            names = [*getattr(recipe, "parameters", ())] or [f"theta_{i}" for i in range(n)]
            if len(names) != n or len({*names, "x", "reason"}) != n + 2:
                wanted = f"{n} different names, none of them x or reason"
                raise ValueError(f"`parameters` must be {wanted}, not {names}")
        except Exception as error:
            raise CampaignError(f"The recipe cannot be used: {in_a_line(error)}.") from error
        tries = (_simulated(recipe, theta.to(device), None, seed, number) for _ in range(2))
        (x, reasons), (again, _) = tries
    if not {None, _NOT_FINITE} & {*reasons}:
        raise CampaignError(f"simulate fails on all of {_N_TRIAL} draws: {reasons[0]}.")
    for what, pair, source in (
        ("prior", (theta, same), "torch's global generator on the CPU"),
        ("simulate", (x, again), "the generator that it is given"),
    ):
        if not torch.equal(*(numbers.nan_to_num() for numbers in pair)):
            raise CampaignError(
                f"The recipe's `{what}` gives other numbers the second time, so that no simulation "
                f"could be repeated: all its randomness must come from {source}."
            )
    found = {"dtype": str(theta.dtype).removeprefix("torch."), "parameters": names}
    return found | {"size of x": x.shape[1]} | environment(text, device, path)


def make(folder: str, identity: str, number: int) -> bool:
    """Make a shard unless it exists and is intact; return True."""
    with _ONE_AT_A_TIME:
        torch.set_num_threads(1)
        settings, recipe = _campaign(folder, identity)
        with contextlib.suppress(CampaignError):
            store.read_shard(folder, settings, number)
            return True
        theta = draw(recipe.prior, settings["shard"], settings["seed"], number)
        theta = theta.to(settings["device"])
        x, reasons = _simulated(recipe, theta, settings["size of x"], settings["seed"], number)
        store.write_shard(folder, settings, number, theta, x, reasons)
        return True


@functools.lru_cache(maxsize=1)
def _campaign(folder, identity):
    """Return settings and recipe of a campaign, after checking that this worker agrees with them."""
    settings, path = store.read_settings(folder), Path(folder, "recipe.py")
    text = path.read_text(encoding="utf-8")
    if settings["id"] != identity:
        raise CampaignError(f"{folder} was changed while a run is active in it.")
    recipe = read_recipe(text, settings["path"])
    here = environment(text, settings["device"], settings["path"])
    store.refuse_others(folder, {"recipe": digest(text)} | here, text, settings["simulations"])
    return settings, recipe


@functools.cache
def environment(recipe: str, device: str, path: str = "") -> dict:
    """Return what numbers depend on besides recipe and seed: package versions, local sources, the GPU.

    These are the packages and local (not installed) modules that the recipe or its modules import. They
    are read once per process, because an imported module does not change with its file.
    """
    stdlib = os.path.realpath(sysconfig.get_path("stdlib"))
    installed = {"site-packages", "dist-packages"}
    paths = map(os.path.realpath, (Path(path).parent, *sys.path, Path(__file__).parents[2]))
    paths = [path for path in paths if path != stdlib and not installed & {*Path(path).parts}]
    finder = modulefinder.ModuleFinder(paths)
    finder.scan_code(compile(recipe, "recipe", "exec"), finder.add_module("recipe"))
    files = {name: m.__file__ or "" for name, m in sorted(finder.modules.items())}
    for name, file in files.items():
        loaded = getattr(sys.modules.get(name), "__file__", None) or file
        if file.endswith(".py") and os.path.realpath(loaded) != os.path.realpath(file):
            why = f"For the recipe {name} is {file}, but the worker has imported {loaded}"
            raise CampaignError(f"{why}. Give yours a name of its own, or restart the workers.")
    sources = {n: digest(Path(f).read_text("utf-8")) for n, f in files.items() if f.endswith(".py")}
    packages = {"numpy", "pyarrow", "torch", *(name.split(".")[0] for name in finder.any_missing())}
    distributions = importlib.metadata.packages_distributions()
    names = {name for package in packages for name in distributions.get(package, [])}
    versions = {name: importlib.metadata.version(name) for name in sorted(names)}
    versions["python"] = "{}.{}".format(*sys.version_info)
    # Streams of random numbers differ between models of GPU.
    gpu = {"gpu": torch.cuda.get_device_name()} if device == "cuda" else {}
    return {"versions": versions, "sources": sources} | gpu


def read_recipe(text: str, path: str) -> types.ModuleType:
    """Make a module from a recipe's text. Files and modules may be in the folder of its path."""
    module = types.ModuleType("campaign_recipe")
    module.__file__ = path
    # Last, so that no file in the folder hides an installed package; not removed: it may import later.
    if (beside := str(Path(path).parent)) not in sys.path:
        sys.path.append(beside)
    # Dataclasses and others look for the module of a class here.
    sys.modules[module.__name__] = module
    exec(compile(text, path, "exec"), module.__dict__)
    for name in ("prior", "simulate"):
        if not hasattr(module, name):
            raise AttributeError(f"it does not define `{name}`")
    return module


def stream(device, seed: int, *key: int) -> torch.Generator:
    """Make a generator that depends on all bits of a campaign's seed and of a key.

    On the CPU torch uses 32 bits of a seed: two of 10⁵ shards would probably have the same stream. So
    its Mersenne twister gets the whole state of numpy's, which tests/test_campaign.py verifies.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=key)
    generator = torch.Generator(device).manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
    if generator.device.type == "cpu":
        twister = np.random.MT19937(sequence).state["state"]["key"]
        words = generator.get_state().view(torch.int64)
        words[3 : 3 + len(twister)] = torch.from_numpy(twister.astype(np.int64))
        generator.set_state(words.view(torch.uint8))
    return generator


def draw(prior, n: int, seed: int, shard: int) -> Tensor:
    """Draw the thetas (n, P) of a shard."""
    # Distributions of torch draw from its global generator, which gets the shard's stream here.
    with torch.random.fork_rng(devices=[]):
        torch.random.set_rng_state(stream("cpu", seed, shard, 0).get_state())
        return prior.sample((n,))


def _simulated(recipe, theta, n_x, seed, shard, start=0, stop=None) -> tuple[Tensor, list]:
    """Return x (n, N) for these thetas, and n reasons why it is NaN, or None.

    One call simulates all; if it raises, one call simulates each half, until each failing row is alone.
    So results depend on seed and shard, not on the scheduler.
    """
    stop = len(theta) if stop is None else stop
    part = theta[start:stop]
    try:
        with torch.no_grad():
            # A copy, because simulate may change it, and the original is stored.
            x = recipe.simulate(part.clone(), stream(theta.device, seed, shard, 1, start, stop))
        if not isinstance(x, Tensor):
            raise TypeError(f"simulate returned a {type(x).__name__}, not a tensor")
        found = f"{x.dtype} of shape {tuple(x.shape)} on {x.device}"
        n = n_x or (x.shape[1] if x.ndim == 2 else "N")  # not yet known in a trial
        wanted = f"{part.dtype} of shape ({len(part)}, {n}) on {part.device}"
        if found != wanted:
            raise TypeError(f"simulate returned {found}, not {wanted}")
    except Exception as error:
        # This is not the simulator's fault, and may not happen again.
        of_the_machine = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if of_the_machine or re.search("DefaultCPUAllocator|CUDA error", str(error)):
            raise CampaignError(
                f"Shard {shard} cannot be simulated on {socket.gethostname()}: {in_a_line(error)}. "
                "The same command tries again; with fewer workers each has more memory."
            ) from error
        if stop - start == 1:
            return part.new_full((1, n_x or 1), torch.nan), [in_a_line(error)]
        halves = (start, (start + stop) // 2), ((start + stop) // 2, stop)
        found = [_simulated(recipe, theta, n_x, seed, shard, *half) for half in halves]
        # In a trial the width of x is not known if all rows raised.
        width = max(x.shape[1] for x, _ in found)
        x = torch.cat([x.expand(-1, width) for x, _ in found])
        return x, [reason for _, reasons in found for reason in reasons]
    finite = x.isfinite().all(dim=1)
    reasons = [None if good else _NOT_FINITE for good in finite.tolist()]
    return torch.where(finite[:, None], x, torch.nan), reasons
