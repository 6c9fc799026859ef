"""The run of a campaign: shards that are missing go to the workers of a Dask cluster."""

import contextlib
import itertools
import json
import logging
import os
import queue
import time
import uuid
from concurrent.futures import CancelledError
from pathlib import Path

import torch
from tqdm.auto import tqdm

from helpers.campaign.progress import Status, lock, status
from helpers.campaign.settings import FORMAT, CampaignError, digest, in_a_line, refuse_others
from helpers.campaign.shards import make, trial
from helpers.campaign.store import shards_there, write_whole

__all__ = ["local_environments", "run"]

# Shards that a scheduler knows of at a time: enough for a thousand workers, little to remember.
_WINDOW = 1000


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
        shard: simulations in a shard: what is computed in one call and lost in a crash. Seconds to
            minutes of work.
        seed: of the campaign, 0 or more.
        device: where theta is: "cpu", "cuda"; by default "cuda" if this machine has a GPU and no
            client is given.
        workers: local processes; by default one for each GPU on "cuda", else one for each core.
        client: a `distributed.Client` of the cluster that shall do the work.
        progress: whether to show a bar.

    Returns:
        The status at the end.

    Raises:
        CampaignError: if the folder holds a campaign with other settings, or another run is at work
            in it; if the seed or the recipe cannot be used; if the disk is full; if shards end the
            processes of their workers again and again (after all others are done).

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
    from distributed import KilledWorker

    if not isinstance(seed, int) or seed < 0:
        raise CampaignError(f"The seed must be an integer of 0 or more, not {seed!r}.")
    try:
        text = Path(recipe).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CampaignError(
            f"{recipe} is not a text in UTF-8: {in_a_line(error)}. Save it as UTF-8."
        ) from error
    folder = Path(folder).resolve()
    if shard < 1 or simulations < 1 or simulations % shard:
        shard = max(1, shard)
        raise CampaignError(
            f"{simulations} simulations cannot be cut into shards of {shard}: ask for "
            f"{max(1, round(simulations / shard)) * shard}, or for other shards."
        )
    if device is None:
        device = "cuda" if client is None and torch.cuda.is_available() else "cpu"
    asked = {
        "format": FORMAT, "recipe": digest(text), "shard": shard, "seed": seed, "device": device,
    }  # fmt: skip
    refuse_others(folder, asked, text, simulations)
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        stack.enter_context(lock(folder))
        if client is None:
            client = stack.enter_context(_local_cluster(device, workers))
        try:
            found = _result(client.submit(trial, text, str(folder), seed, device, pure=False))
        except KilledWorker:
            raise CampaignError(
                "simulate ended the process of its worker on a few draws of the prior, again and again."
            ) from None
        settings = asked | found
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
        bar = stack.enter_context(
            tqdm(
                desc=folder.name,
                total=simulations,
                unit="sim",
                unit_scale=True,
                smoothing=0,
                disable=not progress,
            )
        )
        suspects = _work(client, settings, folder, itertools.chain(there, missing), bar)
        # One at a time, so that none is blamed for another one that shared its worker.
        lost = _work(client, settings, folder, iter(suspects), bar, window=1)
    if lost:
        raise CampaignError(
            "These shards ended the processes of their workers again and again: "
            f"{', '.join(map(str, lost))}. All others are done. Is there too little memory for a "
            "shard, or does the simulator crash? With fewer workers the same command tries again."
        )
    return status(folder)


def local_environments(device, workers, n_cpus, gpus) -> list[dict[str, str]]:
    """Variables of each local worker: one process for each core, or for each GPU, or GPUs in turn.

    Args:
        device, workers: as `run` has them.
        n_cpus: how many cores there are.
        gpus: what CUDA_VISIBLE_DEVICES would name.

    Raises:
        CampaignError: if there is no GPU for "cuda", or fewer than one worker is asked for.

    Example:
        >>> local_environments("cuda", None, 64, ["0", "2"])
        [{'CUDA_VISIBLE_DEVICES': '0'}, {'CUDA_VISIBLE_DEVICES': '2'}]
        >>> local_environments("cpu", 2, 64, ["0", "2"])
        [{}, {}]
    """
    if workers is not None and workers < 1:
        raise CampaignError(f"{workers} workers cannot simulate: ask for one or more.")
    if device != "cuda":
        return [{} for _ in range(workers or n_cpus)]
    if not gpus:
        raise CampaignError('No GPU is visible here: use device="cpu", or a machine that has one.')
    return [{"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} for i in range(workers or len(gpus))]


@contextlib.contextmanager
def _local_cluster(device, workers):
    """A client of processes on this machine that listen to nobody else."""
    import dask
    from dask.system import CPU_COUNT
    from distributed import Client, Nanny, Scheduler, SpecCluster

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    n_gpus = torch.cuda.device_count()
    gpus = visible.split(",") if visible and n_gpus else [str(i) for i in range(n_gpus)]
    environments = local_environments(device, workers, CPU_COUNT, gpus)
    here = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    worker = here | {"nthreads": 1, "silence_logs": logging.CRITICAL}
    options = {
        # No second shard waits at a worker, to be lost with the first one.
        "distributed.scheduler.worker-saturation": 1.0,
        # A simulator may well keep a process busy for longer than its heartbeat should take.
        "distributed.scheduler.worker-ttl": None,
        # Dask's value makes the system take back each large array at once, and clear it for the next:
        # our simulators ran at half their speed.
        "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    }
    with contextlib.ExitStack() as stack:
        stack.enter_context(dask.config.set(options))
        try:
            cluster = stack.enter_context(
                SpecCluster(
                    scheduler={"cls": Scheduler, "options": here},
                    workers={
                        i: {"cls": Nanny, "options": worker | {"env": environment}}
                        for i, environment in enumerate(environments)
                    },
                    silence_logs=logging.CRITICAL,
                )
            )
        except RuntimeError as error:
            raise CampaignError(
                f"The local workers did not start ({error}): give the same command again. (A script "
                'needs `if __name__ == "__main__":` before what it does.)'
            ) from error
        yield stack.enter_context(Client(cluster))


def _work(client, settings, folder, shards, bar, window=_WINDOW):
    """Have these shards made; returns those whose workers died of them, or together with them."""
    from distributed import KilledWorker

    running, finished, lost, failed = {}, queue.SimpleQueue(), [], 0
    group = f"shard-{uuid.uuid4().hex}"

    def submit(n):
        for number in itertools.islice(shards, n):
            future = client.submit(
                make, str(folder), settings["id"], number, key=(group, number), pure=False
            )
            running[future] = number
            future.add_done_callback(finished.put)

    submit(window)
    while running:
        try:
            future = finished.get(timeout=1)
        except queue.Empty:
            bar.refresh()
            continue
        number = running.pop(future)
        try:
            is_new, n_failed = _result(future)
        except KilledWorker:
            lost.append(number)
        else:
            if not (is_new or bar.disable):
                # What was there before is no part of the rate.
                bar.initial += settings["shard"]
                bar.start_t = time.time()
            bar.update(settings["shard"])
            if n_failed:
                failed += n_failed
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
