"""Measure the speed of a campaign in local processes, and whether it survives crashes.

    python evidence/speed_campaign.py [speed] [million] [kills] [--tree FOLDER]        all three by default, in TMPDIR

speed: one worker and two, in turn, three times. million: 10⁶ simulations by one worker and by two, for whole commands,
with the memory of all processes together. kills: SIGKILL to coordinators and workers at twenty random moments, and a
comparison with an undisturbed run. The recipe is docs/recipes/dead_time.py; --tree takes recipe and `helpers` from
another checkout. It prints a table.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil
from speed import row

tree = Path(__file__).resolve().parent.parent


def start(folder, simulations, shard, workers):
    options = ["--simulations", simulations, "--shard", shard, "--workers", workers]
    recipe = "docs/recipes/dead_time.py"
    command = [sys.executable, "-m", "helpers.campaign", "run", recipe, folder, *options]
    return subprocess.Popen(
        list(map(str, command)),
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def finish(process, simulations):
    out, _ = process.communicate()
    if process.returncode or f"{simulations:,} of {simulations:,} simulations" not in out:
        sys.exit(f"a run ended with {process.returncode}: {out}")


def shards_of(folder):
    return sorted(Path(folder, "shards").glob("shard-*.parquet"))


def family(process):
    """Return the living processes of a run."""
    try:
        run = psutil.Process(process.pid)
        everyone = [run, *run.children(recursive=True)]
        return [p for p in everyone if p.status() != psutil.STATUS_ZOMBIE]
    except psutil.NoSuchProcess:
        return []


def workers_of(process):
    found = []
    for p in family(process):
        with contextlib.suppress(psutil.Error):
            if "--multiprocessing-fork" in p.cmdline():
                found.append(p)
    return found


def seconds_at_work(folder):
    """Return the time, s, from the writing of the settings, just before the first shard, to the last shard."""
    last = max(p.stat().st_mtime for p in shards_of(folder))
    return last - (folder / "campaign.json").stat().st_mtime


def speed(folder, simulations=300_000, shard=5000, times=3):
    ratios = []
    for i in range(times):
        at_work = {}
        for workers in (1, 2):
            where = folder / f"speed-{i}-{workers}"
            finish(start(where, simulations, shard, workers), simulations)
            at_work[workers] = seconds_at_work(where)
        ratios.append(at_work[1] / at_work[2])
        found = f"{at_work[1]:.1f}; {at_work[2]:.1f} s; load {os.getloadavg()[0]:.1f}"
        row(f"{simulations:,} simulations, one worker; two", found)
    found = f"{min(ratios):.2f} to {max(ratios):.2f}, median {np.median(ratios):.2f}"
    row(f"two workers, ratio to one, {times} times", found, "1.9")


def million(folder, simulations=1_000_000, shard=10_000):
    seconds = {}
    for workers in (1, 2):
        where = folder / f"million-{workers}"
        began = time.perf_counter()
        process = start(where, simulations, shard, workers)
        with watched(process) as peak:
            finish(process, simulations)
        seconds[workers] = time.perf_counter() - began
        row(f"{simulations:,} LF simulations, {workers} at work", f"{seconds[workers]:.0f} s")
        row("their peak memory, all processes together (PSS)", f"{peak[0] / 1e9:.2f} GB", "1 GB")
    row("two workers, ratio to one, whole commands", f"{seconds[1] / seconds[2]:.2f}", "1.9")
    megabytes = sum(p.stat().st_size for p in shards_of(where)) / 1e6
    row("their store", f"{megabytes:.0f} MB in {len(shards_of(where))} shards")


@contextlib.contextmanager
def watched(process, every=2.0):
    """Return a list with the largest memory so far, bytes, of all processes of a run together."""
    peak, finished = [0], threading.Event()

    def watch():
        while not finished.wait(every):
            total = 0
            for p in family(process):
                with contextlib.suppress(psutil.Error):
                    memory = p.memory_full_info()
                    # Shared memory counts once, or not at all if the system does not report it.
                    total += getattr(memory, "pss", memory.uss)
            peak[0] = max(peak[0], total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    yield peak
    finished.set()
    watcher.join()


def kills(folder, n=20, simulations=400_000, shard=1000):
    random = np.random.default_rng(1)
    where, n_shards = folder / "killed", simulations // shard
    done, process = {"worker": 0, "run": 0}, None
    while sum(done.values()) < n:
        if process is None:
            before = len(shards_of(where))
            process = start(where, simulations, shard, 2)
            # A quarter of them come before any work can be lost.
            at_work = random.random() > 0.25
            while at_work and process.poll() is None and len(shards_of(where)) == before:
                time.sleep(0.1)
        time.sleep(random.uniform(0, 2))
        if process.poll() is not None:
            sys.exit("all was done before the last kill: ask for more simulations")
        members, workers = family(process), workers_of(process)
        if random.random() < 0.5 and workers:
            workers[random.integers(len(workers))].kill()
            done["worker"] += 1
        else:
            process.kill()
            process.communicate()
            psutil.wait_procs(members, 30)
            done["run"] += 1
            process = None
    before = len(shards_of(where))
    if process is not None:
        process.kill()
        process.communicate()
    finish(start(where, simulations, shard, 2), simulations)
    finish(start(folder / "undisturbed", simulations, shard, 1), simulations)
    pairs = zip(shards_of(where), shards_of(folder / "undisturbed"), strict=True)
    same = [a.name == b.name and a.read_bytes() == b.read_bytes() for a, b in pairs]
    left = len([p for p in where.rglob("*") if p.name.endswith(".tmp")])
    what = f"SIGKILL for {done['run']} coordinators and {done['worker']} workers; shards made until then"
    row(what, f"{before} of {n_shards}")
    what = "shards of an undisturbed run that are the same, byte for byte"
    row(what, f"{sum(same)} of {n_shards}", "all")
    row("unfinished files left", left, 0)


def main():
    global tree
    parts = {"speed": speed, "million": million, "kills": kills}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="part", help="speed, million, kills (all)")
    parser.add_argument("--tree", type=Path, default=tree, help="another checkout to measure")
    options = parser.parse_args()
    chosen, tree = options.parts, options.tree.resolve()
    row("what", "measured", "aim")
    row("---", "---", "---")
    for name in chosen or parts:
        with tempfile.TemporaryDirectory() as folder:
            parts[name](Path(folder))


if __name__ == "__main__":
    main()
