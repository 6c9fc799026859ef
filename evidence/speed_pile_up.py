"""Measure the speed of the pile-up simulator, per photon and per simulation.

    python evidence/speed_pile_up.py        (make bench)

It prints a table and draws docs/pile_up_speed.png. (a) and (b) run on one core; (c) on as many as torch uses, with one
process for each, because its arrays are too small to be shared. Each time of (a) is the best of several.
"""

import multiprocessing
import time
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from speed import begin, best, peak_memory, row

from helpers.ccd import ACIS, EROSITA, PN, XRT_PC
from helpers.pile_up import PileUpSimulator, absorbed_blackbody

# König, Huppenkothen et al. 2025 (arXiv:2511.11863). The exposure is chosen by this course: with 100 s, 2000 frames,
# simulations have 5 to 200,000 photons.
ANNULI = (0.0, 30.0, 60.0, 120.0, 240.0)
LOWEST = torch.tensor([-12.0, 0.030, 0.2])
HIGHEST = torch.tensor([-8.0, 0.200, 2.0])
EXPOSURE, N_SIMULATIONS = 100.0, 40_000
PHOTONS = 2_000_000
FIGURE = Path(__file__).parents[1] / "docs/pile_up_speed.png"


def published_setup():
    return PileUpSimulator(
        EROSITA, absorbed_blackbody, EXPOSURE, annuli=ANNULI, channels=torch.arange(1025) * 0.01
    )


def photons_of(simulate, theta):
    """Return the expected photons of all these simulations, at any place."""
    parts = [simulate.photons(t).sum(dtype=torch.float64) for t in theta.split(1024)]
    return float(sum(parts)) * simulate.n_frames


def per_photon(detector, per_frame, device, generator, annuli, repeats=5):
    """Measure ns per photon of 32 simulations with this number of photons per frame."""
    frames = max(1, round(PHOTONS / 32 / per_frame))
    simulate = PileUpSimulator(detector, exposure=frames * detector.frame_time, annuli=annuli)
    theta = torch.tensor([-11.0, 1.7, 0.1], device=device)
    theta[0] += torch.log10(per_frame / simulate.photons(theta).sum())
    theta = theta.expand(32, 3)
    # Processor time on a CPU
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    seconds = best(lambda: simulate(theta, generator), repeats, clock)
    return seconds / photons_of(simulate, theta) * 1e9


def one_batch(arguments):
    """Do the work of one process of (c), whose time is measured outside."""
    theta, seed = arguments
    torch.set_num_threads(1)
    simulate = published_setup()
    spectra = simulate(theta, torch.Generator().manual_seed(seed))
    return float(spectra.sum()), peak_memory()


def growth(device, generator):
    """Draw ns per photon against photons per frame, for each detector."""
    figure, ax = plt.subplots(figsize=(5.5, 3.6), constrained_layout=True)
    per_frame = [0.01, 0.1, 1.0, 10.0, 100.0]
    for detector in (ACIS, XRT_PC, PN, EROSITA):
        annuli = ANNULI if detector is EROSITA else (0.0, 10 * detector.pixel)
        times = [per_photon(detector, v, device, generator, annuli, 3) for v in per_frame]
        ax.semilogx(per_frame, times, "o-", label=detector.name.split(",")[0])
        values = ", ".join(f"{t:.0f}" for t in times)
        row(f"(b) {detector.name}: ns per photon at {per_frame} per frame", values, "220 at 1")
    ax.axhline(220, color="0.6", ls="--", lw=1)
    ax.set(xlabel="photons per frame", ylabel="time per photon (ns)", ylim=(0, None))
    ax.legend()
    figure.savefig(FIGURE, dpi=110)


def main(device, processes):
    generator = torch.Generator(device=device).manual_seed(1)
    for detector, annuli in ((ACIS, (0.0, 4.92)), (EROSITA, ANNULI)):
        ns = per_photon(detector, 1.0, device, generator, annuli)
        row(f"(a) {detector.name}: ns per photon at one per frame", f"{ns:.0f}", "220")
    growth(device, generator)

    simulate = published_setup()
    n = N_SIMULATIONS
    theta = torch.rand(n, 3, generator=generator, device=device)
    theta = torch.lerp(LOWEST.to(device), HIGHEST.to(device), theta)
    photons = photons_of(simulate, theta)
    batches = theta.split(1000)
    start = time.perf_counter()
    if device.type == "cpu":
        # Bright simulations take longest: a free process takes the next batch.
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            done = pool.map(one_batch, [(t, i) for i, t in enumerate(batches)], chunksize=1)
        peak = max(memory for _, memory in done)
        cores = f"{processes} processes"
    else:
        for batch in batches:
            simulate(batch, generator)
        torch.cuda.synchronize()
        peak = torch.cuda.max_memory_allocated() / 2**30
        cores = "one GPU"
    seconds = time.perf_counter() - start
    what = f"(c) {n} published simulations, {photons:.2e} photons, {cores}, s"
    row(what, f"{seconds:.1f}", "120; GPU 3")
    each = f"{seconds / n * 1e3:.2f}; {seconds / photons * 1e9:.0f}"
    row("(c) ms per simulation; ns per photon", each)
    row("(c) peak memory of a process, GB", f"{peak:.2f}")
    row("(a), (b) peak memory, GB", f"{peak_memory():.2f}")


if __name__ == "__main__":
    processes = torch.get_num_threads()
    main(begin(__doc__), processes)
