"""Compare the speed of this checkout with that of another one, such as an older commit, on this machine.

    python evidence/speed_beside.py FOLDER [measure ...] [--pairs 5]        (make bench REF=FOLDER)

FOLDER is the other checkout: `git worktree add FOLDER COMMIT` makes one. One process in each imports its own `helpers`;
both do the same work in turn, one at a time, on one core each. For each measure it prints the processor time here and
there, and median, lowest and highest ratio of the pairs. Without names it takes all measures, in about six minutes.
"""

import argparse
import importlib
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parents[1]


def theirs(*names):
    """Import a module of `helpers`, by the first of these names that this process's checkout has."""
    for name in names:
        # Do not try to import it: an editable installation of another checkout would provide it
        if Path("helpers", *name.split(".")).with_suffix(".py").is_file():
            return importlib.import_module(f"helpers.{name}")
    sys.exit(f"{Path.cwd()} has no helpers.{names[0]}")


def generator():
    return torch.Generator().manual_seed(1)


def simulations(n, theta, **settings):
    """Measure ms per dead-time simulation."""
    simulate = theirs("dead_time", "simulators.dead_time").DeadTimeSimulator(**settings)
    theta = torch.tensor(theta).expand(n, 4)
    return lambda: simulate(theta, generator()), 1e3 / n


def walk(rows=8192, bins=4000):
    """Measure ns per bin of `count_detected`."""
    count = theirs("dead_time", "simulators.dead_time").count_detected
    light = torch.full((rows, bins), 1000.0)
    return lambda: count(light, 2.5e-3, 2.5e-3, generator()), 1e9 / light.numel()


def uniform(rows=8192, bins=4000):
    """Measure ns per bin of the random numbers that `count_detected` needs."""
    return lambda: torch.rand(rows, bins, generator=generator()), 1e9 / (rows * bins)


def photons(detector, annuli=None, total=2_000_000):
    """Measure ns per photon of 32 simulations at one photon per frame."""
    detector = getattr(theirs("ccd", "simulators.ccd"), detector)
    pile_up = theirs("pile_up", "simulators.pile_up")
    exposure = total // 32 * detector.frame_time
    simulate = pile_up.PileUpSimulator(detector, exposure=exposure, annuli=annuli)
    theta = torch.tensor([-11.0, 1.7, 0.1])
    theta[0] -= torch.log10(simulate.photons(theta).sum())
    theta = theta.expand(32, 3)
    expected = float(simulate.photons(theta).sum(dtype=torch.float64)) * simulate.n_frames
    return lambda: simulate(theta, generator()), 1e9 / expected


def training(n=10_000):
    """Measure the time, s, from 10,000 simulations to a posterior, LF averaged."""
    simulate = theirs("dead_time", "simulators.dead_time").DeadTimeSimulator()
    train = theirs("posteriors", "inference.posterior").train_posterior
    low, high = torch.tensor([0.1, 5.0, 3.0, 500.0]), torch.tensor([0.5, 40.0, 30.0, 1500.0])
    theta = torch.lerp(low, high, torch.rand(n, 4, generator=generator()).clamp(1e-6, 1 - 1e-6))
    x = simulate(theta, generator()).log()
    return lambda: train(theta, x, low, high, generator=generator()), 1


LF, HF = (0.4, 20.0, 10.0, 1000.0), (0.45, 200.0, 15.0, 1000.0)
ANNULI = (0.0, 30.0, 60.0, 120.0, 240.0)  # arcsec, of König et al. 2025
MEASURES = {
    "LF": ("one LF simulation, ms", lambda: simulations(4096, LF, segment=None)),
    "exposure": (
        "one of 256 s, in segments of 1 s, ms",
        lambda: simulations(256, LF, exposure=256.0),
    ),
    "HF": (
        "one HF simulation, ms",
        lambda: simulations(1024, HF, bin_size=0.5 / 750, segment=None, log_f=0.05),
    ),
    "walk": ("count_detected, ns per bin", walk),
    "uniform": ("its uniform numbers alone, ns per bin", uniform),
    "ACIS": ("ACIS at one photon a frame, ns per photon", lambda: photons("ACIS", (0.0, 4.92))),
    "XRT": (
        "Swift XRT at one photon a frame, ns per photon",
        lambda: photons("XRT_PC"),
    ),
    "PN": ("pn at one photon a frame, ns per photon", lambda: photons("PN")),
    "EROSITA": (
        "eROSITA at one photon a frame, ns per photon",
        lambda: photons("EROSITA", ANNULI),
    ),
    "training": ("10,000 LF simulations to a posterior, s", training),
}


def answer():
    """Run one of the two processes: read names of measures, write the processor time of each."""
    torch.set_num_threads(1)
    ready, out = {}, os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # only answers on stdout
    for name in map(str.strip, sys.stdin):
        if name not in ready:
            ready[name] = MEASURES[name][1]()
            if name != "training":
                ready[name][0]()  # compile before measuring
        call, unit = ready[name]
        start = time.process_time()
        call()
        print((time.process_time() - start) * unit, file=out, flush=True)


def ask(process, name):
    print(name, file=process.stdin, flush=True)
    line = process.stdout.readline()
    return float(line) if line else sys.exit(f"the process in {process.args[-1]} ended: see above")


def beside(folder, names, pairs):
    """Print one line per measure."""
    processes = []
    for tree in (folder, HERE):
        environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", __file__, "--answer", str(tree)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, cwd=tree, env=environment, **pipes))
    print(
        f"| processor time, {pairs} pairs in turn | there | here | there / here |\n|---|---|---|---|"
    )
    found = {}
    for name in names:
        seconds = np.array([[ask(p, name) for p in processes] for _ in range(pairs)]).T
        found[name] = seconds
        line(MEASURES[name][0], *seconds)
        if name == "uniform" and "walk" in found:
            line("count_detected over its uniform numbers", *(found["walk"] / seconds))
    for process in processes:
        process.stdin.close()
        process.wait()


def line(what, there, here):
    ratio = there / here
    spread = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
    print(f"| {what} | {np.median(there):.3g} | {np.median(here):.3g} | {spread} |", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="the other checkout")
    parser.add_argument("names", nargs="*", metavar="measure", help=f"{', '.join(MEASURES)} (all)")
    parser.add_argument("--pairs", type=int, default=5, help="how often each is measured (5)")
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        return answer()
    if not (options.folder / "helpers/__init__.py").is_file():
        sys.exit(f"{options.folder} is no checkout of the course: it has no helpers.")
    if unknown := {*options.names} - {*MEASURES}:
        sys.exit(f"there is no measure {min(unknown)}: {', '.join(MEASURES)}")
    beside(options.folder.resolve(), options.names or MEASURES, max(1, options.pairs))


if __name__ == "__main__":
    main()
