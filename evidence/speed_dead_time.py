"""Measure the speed of the dead-time simulator, relative to other codes and to its own limit.

    python evidence/speed_dead_time.py        (make bench)

It prints a table and draws docs/dead_time_speed.png. All runs use one core; codes that are compared run in turn. Each
time is the best of several.
"""

import functools
import re
import sys
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from speed import begin, best, peak_memory, row
from stingray import EventList, Lightcurve, Powerspectrum
from stingray.filters import filter_for_deadtime

from helpers.dead_time import DeadTimeSimulator, count_detected, filter_events

TAU, EXPOSURE, BIN = 2.5e-3, 10.0, 5e-3
THETA = (0.4, 20.0, 10.0, 1000.0)
FIGURE = Path(__file__).parents[1] / "docs/dead_time_speed.png"


# Parts of the time by function names; calls inside a function count for it unless they have their own name.
PARTS = {
    "random numbers": r"^randn?$|^(normal|uniform|log)_$|^(complex_normal|exponential|split_mix|draw)$",
    "transform": r"fft_irfft",
    "light curve, else": r"^_rates$|^simulate_light_curves$",
    "walk": r"^walk_",
    "dead time, else": r"^count$",
    "periodogram": r"^_summarise$",
}


def published_recipe(theta, generator, fine=1e-5):
    """Make one simulation of the LF set-up, on a fine grid, with numpy and stingray.

    It follows Huppenkothen & Bachetti 2022 (arXiv:2104.03278), without its known flaws: a light curve on a grid of
    1e-5 s after Timmer & König, photons of two detectors, dead time, bins, periodogram of the sum.
    """
    rms, centroid, quality, rate = theta
    n = round(EXPOSURE / fine)
    frequency = np.fft.rfftfreq(n, fine)[1:]
    half = centroid / quality / 2
    power = half**2 / (half**2 + (frequency - centroid) ** 2)
    size = np.sqrt(power / 2)
    amplitudes = np.concatenate(
        [[0], generator.normal(size=n // 2) * size + 1j * generator.normal(size=n // 2) * size]
    )
    relative = np.fft.irfft(amplitudes, n)
    relative = 1 + relative * rms / relative.std()
    expected = np.clip(relative, 0, None) * rate * fine
    light_curves = []
    for _ in range(2):
        photons = generator.poisson(expected)
        times = np.sort(
            (np.repeat(np.arange(n), photons) + generator.uniform(size=photons.sum())) * fine
        )
        events = EventList(time=filter_for_deadtime(times, TAU), gti=[[0, EXPOSURE]])
        light_curves.append(events.to_lc(dt=BIN, tstart=0, tseg=EXPOSURE))
    total = Lightcurve(
        light_curves[0].time,
        light_curves[0].counts + light_curves[1].counts,
        dt=BIN,
        gti=[[0, EXPOSURE]],
    )
    return Powerspectrum(total, norm="frac").power


def thetas(n, device, rate=THETA[-1]):
    return torch.tensor((*THETA[:3], rate), device=device).expand(n, 4)


def shares(simulate, theta, generator):
    """Return {part: share of the processor time of these simulations}."""
    simulate(theta, generator)
    found, parts, last = dict.fromkeys([*PARTS, "rest"], 0.0), ["rest"], 0.0

    @functools.cache
    def part_of(name):
        return next((part for part, names in PARTS.items() if re.search(names, name)), None)

    def note(frame, event, function):
        nonlocal last
        found[parts[-1]] += time.process_time() - last
        if "call" in event:
            name = frame.f_code.co_name if event == "call" else function.__name__
            parts.append(part_of(name) or parts[-1])
        elif len(parts) > 1:
            parts.pop()
        last = time.process_time()

    last = time.process_time()
    sys.setprofile(note)
    try:
        simulate(theta, generator)
    finally:
        sys.setprofile(None)
    return {part: seconds / sum(found.values()) for part, seconds in found.items()}


def draw_shares(ax, device, generator):
    """Draw bars and print rows of the parts of the time of one LF and one HF simulation."""
    n, hf = 1024, (0.45, 200.0, 15.0, 1000.0)
    cases = {
        "LF": (DeadTimeSimulator(segment=None), thetas(n, device)),
        "HF": (
            DeadTimeSimulator(bin_size=0.5 / 750, segment=None, log_f=0.05),
            torch.tensor(hf, device=device).expand(n, 4),
        ),
    }
    for label, (simulate, theta) in cases.items():
        found, low = shares(simulate, theta, generator), 0.0
        values = ", ".join(f"{part} {share:.0%}" for part, share in found.items())
        row(f"(f) where the time of one {label} simulation goes", values)
        for part, share in found.items():
            ax.bar(label, share, 0.98, low, color="0.9", edgecolor="k")
            if share > 0.04:
                text = f"{part} {share:.0%}"
                ax.text(label, low + share / 2, text, ha="center", va="center", size=6.5)
            low += share
    ax.set(ylabel="share of the processor time")


def growth(device, generator):
    """Draw time against simulations, exposure and incident rate, with lines of slope 1, and its parts."""
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.2), constrained_layout=True)
    panels = {
        "simulations": ([64, 256, 1024, 4096, 16384], lambda v: (DeadTimeSimulator(), thetas(v, device))),
        "exposure (s)": ([4, 16, 64, 256], lambda v: (DeadTimeSimulator(exposure=v), thetas(1024, device))),
        "incident rate (1/s)": (
            [30, 300, 3000, 30_000], lambda v: (DeadTimeSimulator(), thetas(1024, device, float(v))),
        ),
    }  # fmt: skip
    for ax, (label, (values, case)) in zip(axes[:3], panels.items(), strict=True):
        ax.sharey(axes[0])
        seconds = []
        for value in values:
            simulate, theta = case(value)
            seconds.append(best(lambda s=simulate, t=theta: s(t, generator), 3))
        slope = np.polyfit(np.log(values[-3:]), np.log(seconds[-3:]), 1)[0]
        row(f"(e) seconds against {label}: slope of the last three", f"{slope:.2f}", "1; rate: 0")
        ax.loglog(values, seconds, "o-", label="measured")
        if "rate" not in label:
            ax.loglog(values, seconds[-1] * np.array(values) / values[-1], "--", label="linear")
        ax.set_xlabel(label)
    axes[0].set_ylabel("time (s)")
    axes[0].legend()
    draw_shares(axes[3], device, generator)
    figure.savefig(FIGURE, dpi=110)


def main(device):
    generator = torch.Generator(device=device).manual_seed(1)
    n, simulate = 4096, DeadTimeSimulator(segment=None)
    ours = best(lambda: simulate(thetas(n, device), generator)) / n
    numpy_generator = np.random.default_rng(1)
    theirs = best(lambda: published_recipe(THETA, numpy_generator), 3)
    row("(a) one LF simulation, ms", f"{ours * 1e3:.3f}")
    row("(a) the published recipe, ms", f"{theirs * 1e3:.0f}")
    row("(a) ratio, one core each", f"{theirs / ours:.0f}", "500; aim 1000")

    times = np.sort(np.random.default_rng(1).uniform(0, 1000, 1_000_000))
    tensor = torch.as_tensor(times, device=device)
    for rate in (1000, 100_000):
        scale = 1000 / rate
        ours_f = best(lambda s=scale: filter_events(tensor * s, TAU))
        theirs_f = best(lambda s=scale: filter_for_deadtime(times * s, TAU))
        row(
            f"(b) 1e6 events at {rate}/s, ms: ours, stingray",
            f"{ours_f * 1e3:.1f}, {theirs_f * 1e3:.1f}",
            "no slower",
        )

    rows_, bins = 8192, 4000
    light = torch.full((rows_, bins), 1000.0, device=device)
    walk = best(lambda: count_detected(light, TAU, TAU, generator), 3)
    draw = best(lambda: torch.rand(rows_, bins, generator=generator, device=device), 3)
    per_bin = 1e9 / (rows_ * bins)
    row("(c) count_detected, ns per bin", f"{walk * per_bin:.1f}")
    row("(c) its uniform numbers alone", f"{draw * per_bin:.1f}")
    row("(c) ratio", f"{walk / draw:.1f}", "3")

    averaged = DeadTimeSimulator()
    seconds = best(lambda: averaged(thetas(50_000, device), generator), 1)
    row("(d) 50,000 LF simulations, one core, s", f"{seconds:.1f}", "15; GPU 1")

    growth(device, generator)
    row("peak memory, GB", f"{peak_memory():.2f}")


if __name__ == "__main__":
    main(begin(__doc__))
