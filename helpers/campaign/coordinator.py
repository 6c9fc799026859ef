"""The run of a campaign, which sends what is missing to the workers of a Dask cluster, and how far it is."""

import contextlib
import fcntl
import functools
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
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from helpers.campaign.settings import CampaignError, digest, in_a_line, read_settings, refuse_others
from helpers.campaign.shards import make, trial
from helpers.campaign.store import read_shard, shard_path, shards_there, write_whole

__all__ = ["Status", "local_workers", "run", "status"]

# Changes with anything in this package that changes numbers or files.
_FORMAT = 1
# Shards that a scheduler knows of at a time: enough for a thousand workers, little to remember.
_WINDOW = 1000
# Failed simulations, or shards, that are shown.
_FEW = 5


@dataclass(frozen=True)
class Status:
    """How far a campaign is.

    Attributes:
        folder, simulations: where it is, and how many are asked for.
        done, failed: how many there are, and how many of these raised or are not finite.
        failures: the first few of them, in words: shard, row, parameters, reason.
        damaged: numbers of shards that cannot be read; the next run simulates them anew.
        at_work, rate: who runs it at this moment, or "", and its simulations per second, or None.
    """

    folder: Path
    simulations: int
    done: int
    failed: int
    failures: tuple[str, ...]
    damaged: tuple[int, ...]
    at_work: str
    rate: float | None

    def __str__(self):
        lines = [f"{self.folder}: {self.done:,} of {self.simulations:,} simulations"]
        if self.at_work:
            lines.append(f"at work: {self.at_work}")
            if self.rate:
                left = timedelta(seconds=round((self.simulations - self.done) / self.rate))
                lines[-1] += f"; {self.rate:,.0f} simulations/s, {left} left"
        elif self.done < self.simulations:
            lines.append("no run is at work: the same `run` command goes on")
        if self.damaged:
            numbers = ", ".join(map(str, self.damaged[:_FEW]))
            lines.append(f"damaged shards, to be made anew: {len(self.damaged)}: {numbers}")
        if self.failed:
            lines.append(f"simulations that failed: {self.failed:,}; the first of them:")
            lines += [f"  {failure}" for failure in self.failures]
        return "\n".join(lines)


def status(folder) -> Status:
    """Count what is there of the campaign in this folder, at work or not.

    Reads thetas and reasons; whether x is intact, `run` and those who read all of it find out.

    Raises:
        CampaignError: if the folder holds no campaign.
    """
    settings = read_settings(folder)
    names, simulations = settings["parameters"], settings["simulations"]
    at_work, since = _holder(folder)
    done, new, failed, first, damaged = 0, 0, 0, [], []
    for number in shards_there(folder, settings):
        try:
            table = read_shard(folder, settings, number, [*names, "reason"])
        except CampaignError:
            damaged.append(number)
            continue
        done += len(table)
        new += len(table) * (shard_path(folder, number).stat().st_mtime >= since)
        rows = np.flatnonzero(table["reason"].is_valid())
        failed += len(rows)
        for row in rows[: _FEW - len(first)].tolist():
            *theta, reason = (column[row].as_py() for column in table.columns)
            theta = ", ".join(f"{name} = {t:.6g}" for name, t in zip(names, theta, strict=True))
            first.append(f"shard {number}, row {row}: {theta}: {reason}")
    rate = new / (time.time() - since) if at_work and new else None
    found = done, failed, tuple(first), tuple(damaged)
    return Status(Path(folder), simulations, *found, at_work, rate)


def run(
    recipe,
    folder,
    simulations: int,
    *,
    shard: int = 10_000,
    seed: int = 1,
    device: str | None = None,
    workers: int | None = None,
    client=None,
    progress: bool = True,
) -> Status:
    """Simulate what is missing of a campaign, and begin it if there is none.

    The recipe defines `prior`, with a method sample((n,)) that returns float tensors (n, P), and
    `simulate(theta, generator)`, from theta (n, P) and a torch generator to (n, N) in theta's dtype
    and on its device, all of whose randomness comes from the generator; and, if it likes, the names
    of its `parameters`. It is tried on seven draws first. A simulation that raises or is not finite
    is kept with its theta and the reason, x is NaN, and the rest goes on.

    Without `client` the work is done by processes of this machine, one thread each, which listen to
    this machine only. A script that calls this needs `if __name__ == "__main__":` before it.

    Args:
        recipe: path of the Python file.
        folder: of the campaign; all workers must see it at this path.
        simulations: how many there shall be, a multiple of `shard`; a campaign can grow.
        shard: simulations that are computed in one call, and lost in a crash: seconds to minutes.
        seed: of the campaign, 0 or more.
        device: where theta is, "cpu" or "cuda"; by default "cuda" if there is a GPU and no client.
        workers: local processes; by default one for each GPU on "cuda", else one for each core.
        client: a `distributed.Client` of the cluster that shall do the work.
        progress: whether to show a bar.

    Raises:
        CampaignError: if the folder holds a campaign with other settings, or another run is at work
            in it; if the seed or the recipe cannot be used; if the disk is full; if shards end the
            processes of their workers again and again (after all others are done).
        KeyboardInterrupt: after Ctrl-C, when the local processes have ended; a second ends at once.

    Example:
        >>> import tempfile
        >>> folder = tempfile.TemporaryDirectory()
        >>> recipe = Path(folder.name, "recipe.py")
        >>> _ = recipe.write_text('''
        ... import torch
        ... from torch.distributions import Independent, Uniform
        ... prior = Independent(Uniform(torch.zeros(1), torch.ones(1)), 1)
        ... def simulate(theta, generator):
        ...     return theta + torch.randn(len(theta), 3, generator=generator)
        ... ''')
        >>> options = {"shard": 50, "device": "cpu", "workers": 1, "progress": False}
        >>> found = run(recipe, Path(folder.name, "small"), 200, **options)
        >>> found.done, found.failed
        (200, 0)
    """
    if not isinstance(seed, int) or seed < 0:
        raise CampaignError(f"The seed must be an integer of 0 or more, not {seed!r}.")
    if shard < 1 or simulations < 1 or simulations % shard:
        shard = max(1, shard)
        raise CampaignError(
            f"{simulations} simulations cannot be cut into shards of {shard}: ask for "
            f"{max(1, round(simulations / shard)) * shard}, or for other shards."
        )
    try:
        text = Path(recipe).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CampaignError(
            f"{recipe} is not a text in UTF-8: {in_a_line(error)}. Save it as UTF-8."
        ) from error
    folder = Path(folder).resolve()
    if device is None:
        device = "cuda" if client is None and torch.cuda.is_available() else "cpu"
    settings = {"format": _FORMAT, "recipe": digest(text)}
    settings |= {"shard": shard, "seed": seed, "device": device}
    refuse_others(folder, settings, text, simulations)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        finished = stack.enter_context(_finished_or_interrupted())
        stack.enter_context(_lock(folder))
        if client is None:
            client = stack.enter_context(_local_cluster(device, workers))
        settings |= _tried(client, finished, text, str(folder), seed, device)
        # Once more, because it may have begun meanwhile; and now all settings are known.
        refuse_others(folder, settings, text, simulations)
        settings = {"simulations": simulations, "id": digest(json.dumps(settings))} | settings
        (folder / "shards").mkdir(exist_ok=True)
        for unfinished in folder.glob("**/.*.tmp"):
            unfinished.unlink(missing_ok=True)
        write_whole(folder / "recipe.py", text.encode())
        write_whole(folder / "campaign.json", json.dumps(settings, indent=2).encode())

        there = shards_there(folder, settings)
        missing = sorted(set(range(simulations // shard)) - set(there))
        looks = {"desc": folder.name, "total": simulations, "unit": "sim", "unit_scale": True}
        bar = stack.enter_context(tqdm(**looks, disable=not progress))
        work = functools.partial(_work, client, finished, settings, folder, bar)
        suspects = work(itertools.chain(there, missing))
        # One at a time, so that none is blamed for another one that shared its worker.
        lost = work(iter(suspects), window=1)
    if lost:
        raise CampaignError(
            "These shards ended the processes of their workers again and again: "
            f"{', '.join(map(str, lost))}. All others are done. Is there too little memory for a "
            "shard, or does the simulator crash? With fewer workers the same command tries again."
        )
    return status(folder)


@contextlib.contextmanager
def _finished_or_interrupted():
    """A queue for futures that are done; Ctrl-C puts one into it whose result is KeyboardInterrupt.

    An exception that a signal raises wherever the program happens to be is lost where that is in a
    callback of the garbage collector (Dask has one) or in a `__del__`: the run went on. So it is
    raised where the queue is read, or at the end. A second Ctrl-C does what it does elsewhere.
    """
    finished, interrupted, pressed = queue.SimpleQueue(), Future(), threading.Event()
    interrupted.set_exception(KeyboardInterrupt())
    usual = signal.getsignal(signal.SIGINT)

    def press(*_):
        pressed.set()
        signal.signal(signal.SIGINT, usual)
        finished.put(interrupted)

    # Python lets no other thread set this; and who has a handler of his own keeps it.
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and usual is signal.default_int_handler:
        signal.signal(signal.SIGINT, press)
    try:
        yield finished
    finally:
        if is_main:
            signal.signal(signal.SIGINT, usual)
        if pressed.is_set():
            raise KeyboardInterrupt


def local_workers(device, workers) -> list[dict[str, str]]:
    """Variables for each local worker: one for each core, or for each GPU, or GPUs in turn."""
    from dask.system import CPU_COUNT

    if workers is not None and workers < 1:
        raise CampaignError(f"{workers} workers cannot simulate: ask for one or more.")
    if device != "cuda":
        return [{} for _ in range(workers or CPU_COUNT)]
    n_gpus = torch.cuda.device_count()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(n_gpus)))
    if not n_gpus:
        raise CampaignError('No GPU is visible here: use device="cpu", or a machine that has one.')
    gpus = itertools.cycle(visible.split(","))
    return [{"CUDA_VISIBLE_DEVICES": next(gpus)} for _ in range(workers or n_gpus)]


@contextlib.contextmanager
def _local_cluster(device, workers):
    """A client of processes on this machine that listen to nobody else."""
    import dask
    from distributed import Client, Nanny, Scheduler, SpecCluster

    here = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    worker = here | {"nthreads": 1, "silence_logs": logging.CRITICAL}
    specification = {
        i: {"cls": Nanny, "options": worker | {"env": variables}}
        for i, variables in enumerate(local_workers(device, workers))
    }
    options = {
        # No second shard waits at a worker, to be lost with the first one.
        "distributed.scheduler.worker-saturation": 1.0,
        # A simulator may well keep a process busy for longer than its heartbeat should take.
        "distributed.scheduler.worker-ttl": None,
        # Dask's value makes the system take back each large array at once, and clear it for the next:
        # our simulators ran at half their speed.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with dask.config.set(options):
        try:
            scheduler = {"cls": Scheduler, "options": here}
            cluster = SpecCluster(specification, scheduler, silence_logs=logging.CRITICAL)
        except RuntimeError as error:
            raise CampaignError(
                f"The local workers did not start ({error}): give the same command again. (A script "
                'needs `if __name__ == "__main__":` before what it does.)'
            ) from error
        with cluster, Client(cluster) as client:
            yield client


def _tried(client, finished, *arguments):
    """The settings that follow from the recipe, and from the worker that tries it."""
    from distributed import KilledWorker

    future = client.submit(trial, *arguments, pure=False)
    future.add_done_callback(finished.put)
    try:
        return _result(finished.get())
    except KilledWorker:
        raise CampaignError(
            "simulate ended the process of its worker on a few draws of the prior, again and again."
        ) from None


def _work(client, finished, settings, folder, bar, shards, window=_WINDOW):
    """Have these shards made; returns those whose workers died of them, or together with them."""
    from distributed import KilledWorker

    running, lost, failed = {}, [], 0
    group = f"shard-{uuid.uuid4().hex}"

    def submit(n):
        for number in itertools.islice(shards, n):
            key = group, number
            future = client.submit(make, str(folder), settings["id"], number, key=key, pure=False)
            running[future] = number
            future.add_done_callback(finished.put)

    submit(window)
    while running:
        future = finished.get()
        number = running.pop(future, None)
        try:
            failed += _result(future)
        except KilledWorker:
            lost.append(number)
        else:
            bar.update(settings["shard"])
            if failed:
                bar.set_postfix(failed=failed)
        submit(1)
    return lost


def _result(future):
    """What a task returned, or raised."""
    try:
        return future.result()
    except CancelledError:
        raise CampaignError(
            "The scheduler of the cluster is gone. Start one, then give the same command."
        ) from None


@contextlib.contextmanager
def _lock(folder):
    """The right to run a campaign, which the system takes back however this process ends."""
    with Path(folder, "lock").open("a+", encoding="utf-8") as file:
        for _ in range(20):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)  # somebody may only be asking for the status
            except OSError as error:
                why = f"The file system of {folder} has no locks ({error.strerror})"
                warnings.warn(f"{why}: see to it that no other run is at work there.", stacklevel=3)
                break
        else:
            who, _ = _holder(folder)
            raise CampaignError(f"Another run is at work in {folder}: {who}. Wait, or end it.")
        file.truncate(0)
        file.write(
            f"{socket.gethostname()}, process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M:%S}"
        )
        file.flush()
        yield


def _holder(folder):
    """Who has the lock, in words, and since when; "" and 0 if nobody."""
    with contextlib.suppress(OSError), Path(folder, "lock").open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            since = os.stat(file.fileno()).st_mtime
            return file.read() or "a run that has just begun", since
    return "", 0.0
