"""Run a campaign by sending shards to the workers of a Dask cluster, and report its status."""

import contextlib
import itertools
import json
import logging
import os
import queue
import signal
import socket
import threading
import time
import uuid
import warnings
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from helpers.campaign import store
from helpers.campaign.shards import TRIAL, make, trial
from helpers.campaign.store import CampaignError, digest

try:
    import fcntl
except ModuleNotFoundError as error:
    no_lock = "Campaigns lock their files by fcntl, which native Windows lacks: work in WSL 2."
    raise ImportError(no_lock) from error

__all__ = ["Status", "run", "status"]

# Shards that a scheduler has at a time: enough for a thousand workers, and little memory.
_WINDOW = 1000
_FEW = 5  # number of failed simulations, or shards, that are shown


@dataclass(frozen=True)
class Status:
    """Status of a campaign."""

    folder: Path
    simulations: int  # number that is requested
    done: int  # number of these that are made, including failed ones
    failed: int  # number of these that raised an error, or are not finite
    failures: tuple[str, ...]  # the first of them in words: shard, row, parameters, reason
    damaged: tuple[int, ...]  # shards that the next run makes again
    at_work: str  # the process that runs it now, or ""

    def __str__(self):
        lines = [f"{self.folder}: {self.done:,} of {self.simulations:,} simulations"]
        if self.at_work:
            lines.append(f"at work: {self.at_work}")
        elif self.done < self.simulations:
            lines.append("no run is active: the same `run` command continues")
        if self.damaged:
            numbers = ", ".join(map(str, self.damaged[:_FEW]))
            lines.append(f"damaged shards, to be made again: {len(self.damaged)}: {numbers}")
        if self.failed:
            lines.append(f"simulations that failed: {self.failed:,}; the first of them:")
            lines += [f"  {failure}" for failure in self.failures]
        return "\n".join(lines)


def status(folder) -> Status:
    """Count the simulations of the campaign in this folder, during or after a run.

    This reads thetas and reasons; `run` and functions that read all data check that x is intact.
    """
    settings = store.read_settings(folder)
    names, at_work = settings["parameters"], ""
    with contextlib.suppress(OSError), Path(folder, "lock").open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            at_work = file.read() or "a run that has just begun"
    done, failed, first, damaged = 0, 0, (), ()
    for number in store.shards_there(folder, settings):
        try:
            table = store.read_shard(folder, settings, number, [*names, "reason"])
        except CampaignError:
            damaged += (number,)
            continue
        done += len(table)
        rows = np.flatnonzero(table["reason"].is_valid())
        failed += len(rows)
        for row in rows[: _FEW - len(first)].tolist():
            *theta, reason = (column[row].as_py() for column in table.columns)
            theta = ", ".join(f"{name} = {t:.6g}" for name, t in zip(names, theta, strict=True))
            first += (f"shard {number}, row {row}: {theta}: {reason}",)
    return Status(Path(folder), settings["simulations"], done, failed, first, damaged, at_work)


def run(
    recipe, folder, simulations: int, *, shard: int = 10_000, seed: int = 1,
    device: str | None = None, workers: int | None = None, client=None, progress: bool = True,
) -> Status:  # fmt: skip
    """Simulate the missing shards of a campaign, and begin it if the folder has none.

    The recipe defines a `prior` and `simulate(theta, generator)`, as docs/campaigns.md explains. Without
    `client`, processes of this machine do the work, with one thread each; they accept connections from
    this machine only. A script that calls this needs `if __name__ == "__main__":` before it.

    Args:
        recipe, folder: paths of a Python file, and of the campaign's folder, which all workers see.
        simulations: total number, a multiple of `shard`; a campaign can grow.
        shard: number that one call computes, and a crash can lose: let it take seconds to minutes.
        seed: seed of the campaign, 0 or more.
        device: device of theta, "cpu" or "cuda"; by default "cuda" if there is a GPU and no client.
        workers: number of local processes; by default one for each GPU on "cuda", else for each core.
        client: a `distributed.Client` of the cluster that does the work.
        progress: whether to show a progress bar.

    Raises:
        CampaignError: if the folder has another campaign, or another run is active in it; if the recipe
            cannot be used; if the disk is full; if shards kill their workers repeatedly.
        KeyboardInterrupt: after Ctrl-C, when local processes have ended; a second one ends at once.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as home:
        ...     found = run("docs/recipes/dead_time.py", f"{home}/lf", 20, shard=10, workers=1)
        >>> found.done, found.failed
        (20, 0)
    """
    if not isinstance(seed, int) or seed < 0:
        raise CampaignError(f"The seed must be an integer of 0 or more, not {seed!r}.")
    if shard < 1 or simulations < 1 or simulations % shard:
        n = max(1, round(simulations / max(1, shard))) * max(1, shard)
        cannot = f"{simulations} simulations cannot be cut into shards of {shard}"
        raise CampaignError(f"{cannot}: ask for {n}, or for other shards.")
    beside = str(Path(recipe).resolve())
    try:
        text = Path(recipe).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        why = f"is not a text in UTF-8: {store.in_a_line(error)}. Save it as UTF-8."
        raise CampaignError(f"{recipe} {why}") from error
    folder = Path(folder).resolve()
    if device is None:
        device = "cuda" if client is None and torch.cuda.is_available() else "cpu"
    # Change the format whenever a change of this package alters numbers or files.
    settings = {"format": 1, "recipe": digest(text), "shard": shard, "seed": seed, "device": device}
    store.refuse_others(folder, settings, text, simulations)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        done = stack.enter_context(_done_or_interrupted())
        stack.enter_context(_lock(folder))
        if client is None:
            client = stack.enter_context(_local_cluster(device, workers))
        question = trial, text, beside, str(folder), seed, device
        ((_, found),) = _results(client, done, [TRIAL], 1, *question)
        if found is None:
            raise CampaignError("simulate ends the process of its worker on draws of the prior.")
        settings |= found
        # Check again, because a campaign may have begun meanwhile; now all settings are known.
        store.refuse_others(folder, settings, text, simulations)
        identity = digest(json.dumps(settings))
        # The recipe's path may change; its files and modules are read from the new folder.
        settings = {"simulations": simulations, "id": identity, "path": beside} | settings
        (folder / "shards").mkdir(exist_ok=True)
        for unfinished in folder.glob("**/.*.tmp"):
            unfinished.unlink(missing_ok=True)
        store.write_whole(folder / "recipe.py", text.encode())
        store.write_whole(folder / "campaign.json", json.dumps(settings, indent=2).encode())
        bar = tqdm(total=simulations, unit="sim", unit_scale=True, disable=not progress)
        stack.enter_context(bar)
        lost = range(simulations // shard)
        # Finally one at a time, so that no shard is blamed for another that shared its worker.
        for window in (_WINDOW, 1):
            work, lost = _results(client, done, lost, window, make, str(folder), identity), []
            for number, made in work:
                if made:
                    bar.update(shard)
                else:
                    lost.append(number)
    if lost:
        raise CampaignError(
            "These shards killed the processes of their workers repeatedly: "
            f"{', '.join(map(str, lost))}. All others are done. Is there too little memory for a "
            "shard, or does the simulator crash? With fewer workers the same command tries again."
        )
    return status(folder)


def _results(client, done, numbers, window, function, *arguments):
    """Yield numbers of finished shards with the function's result, or None if it killed its workers."""
    from distributed import KilledWorker

    group, numbers, running = f"shard-{uuid.uuid4().hex}", iter(numbers), {}
    try:
        while True:
            for number in itertools.islice(numbers, window - len(running)):
                future = client.submit(function, *arguments, number, key=(group, number))
                running[future] = number
                future.add_done_callback(done.put)
            if not running:
                return
            future = done.get()
            number = running.pop(future, None)
            try:
                yield number, future.result()
            except KilledWorker:
                yield number, None
    except CancelledError:
        gone = "The scheduler of the cluster is gone. Start one, then give the same command."
        raise CampaignError(gone) from None
    finally:
        for future in running:
            future.release()  # otherwise the cluster of a notebook would continue after Ctrl-C


@contextlib.contextmanager
def _done_or_interrupted():
    """Make a queue for finished futures; Ctrl-C puts one into it whose result is KeyboardInterrupt.

    A signal's exception in `__del__` or a callback of the garbage collector is lost (distributed 2026.8.0
    has both): it is raised where the queue is read, or at the end. A second Ctrl-C acts as usual.
    """
    done, interrupted = queue.SimpleQueue(), Future()
    usual = signal.getsignal(signal.SIGINT)

    def press(*_):
        signal.signal(signal.SIGINT, usual)
        interrupted.set_exception(KeyboardInterrupt())
        done.put(interrupted)

    # Only Python's main thread can have handlers; a handler of the user's own is kept.
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, press)
    try:
        yield done
    finally:
        if signal.getsignal(signal.SIGINT) is press:
            signal.signal(signal.SIGINT, usual)
        if interrupted.done():
            raise KeyboardInterrupt


@contextlib.contextmanager
def _local_cluster(device, workers):
    """Make a client of local processes that accept connections from this machine only."""
    import dask
    from dask.system import CPU_COUNT
    from distributed import Client, Nanny, Scheduler, SpecCluster

    n_gpus = torch.cuda.device_count()
    if workers is not None and workers < 1:
        raise CampaignError(f"{workers} workers cannot simulate: ask for one or more.")
    if device == "cuda" and not n_gpus:
        raise CampaignError('No GPU is visible here: use device="cpu", or a machine that has one.')
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(n_gpus)))
    gpus = itertools.cycle(visible.split(","))
    here = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    scheduler, specification = {"cls": Scheduler, "options": here}, {}
    for i in range(workers or (n_gpus if device == "cuda" else CPU_COUNT)):
        worker = here | {"nthreads": 1, "silence_logs": logging.CRITICAL}
        worker["env"] = {"CUDA_VISIBLE_DEVICES": next(gpus)} if device == "cuda" else {}
        specification[i] = {"cls": Nanny, "options": worker}
    options = {
        # No second shard waits at a worker, to be lost with the first. A shard may outlast heartbeats.
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.worker-ttl": None,
        # With Dask's value the system takes back large arrays at once, and simulators ran half as fast.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with dask.config.set(options):
        try:
            cluster = SpecCluster(specification, scheduler, silence_logs=logging.CRITICAL)
        except RuntimeError as error:
            raise CampaignError(
                f"The local workers did not start ({error}): give the same command again. (A script "
                'needs `if __name__ == "__main__":` before its commands.)'
            ) from error
        with cluster, Client(cluster) as client:
            yield client


@contextlib.contextmanager
def _lock(folder):
    """Lock a campaign; the system releases the lock however this process ends."""
    with Path(folder, "lock").open("a+", encoding="utf-8") as file:
        for _ in range(20):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)  # another process may only be reading the status
            except OSError as error:
                why = f"The file system of {folder} has no locks ({error.strerror})"
                warnings.warn(f"{why}: make sure that no other run is active there.", stacklevel=3)
                break
        else:
            who = Path(file.name).read_text("utf-8")
            raise CampaignError(f"Another run is active in {folder}: {who}. Wait, or end it.")
        file.truncate(0)
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        file.write(f"{socket.gethostname()}, process {os.getpid()}, since {now}")
        file.flush()
        yield
