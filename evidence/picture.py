"""Draw the picture at the head of the README with the course's own code: docs/picture.png.

    python evidence/picture.py

The left panel has a simulated outburst from the archive of lessons 02 to 12. The middle and right panels are from
lesson 14: a QPO of 40 per cent in 10 s, seen by two detectors with a dead time of 2.5 ms, and its amplitude by several
methods for 100 such observations.
"""

from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from dead_time_ensemble import SET_UPS, TAU, fit_lorentzian

from helpers import data, plotting, posteriors
from helpers.dead_time import qpo
from helpers.dead_time_theory import incident_rate, signal_transfer, white_noise

# rms, ν₀ [Hz], q, incident rate [1/s] in each detector
TRUTH = torch.tensor([0.4, 20.0, 10.0, 1000.0])


def main():
    matplotlib.use("agg")
    plotting.use_course_style()
    generator = torch.Generator().manual_seed(1)
    simulate, *box = SET_UPS["LF averaged"]
    low, high = map(torch.tensor, box)
    f = torch.as_tensor(simulate.frequencies).double()

    theta = low + (high - low) * torch.rand(10_000, 4, generator=generator).clamp(1e-6, 1 - 1e-6)
    posterior = posteriors.train_posterior(
        theta, simulate(theta, generator).log(), low, high, generator=generator
    )
    counts = simulate.light_curves(TRUTH.expand(100, 4), generator)
    mocks = simulate.summarise(counts)
    draws = posterior.sample(1000, mocks.log(), generator=generator)

    rates = counts.double().mean(dim=(1, 2)) / simulate.bin_size
    plain, first_order = [], []
    for power, rate in zip(mocks.double(), incident_rate(rates, TAU), strict=True):
        noise = white_noise(f, rate, TAU, bin_size=simulate.bin_size)
        noise = noise / (2 * rate / (1 + rate * TAU))
        transfer = signal_transfer(f, rate, TAU).abs().square()
        fit = f, power, simulate.n_averaged, noise, TRUTH[:3].double()
        plain.append(fit_lorentzian(*fit)[0])
        first_order.append(fit_lorentzian(*fit, transfer)[0])

    fig, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4.1), width_ratios=(1, 1, 1))
    table = data.load_observations("rxte")
    plotting.hardness_intensity(left, table[table.source_id == "S02"], outburst="R008")
    left.set(xlabel="colour 6–10 / 3–6 keV (Crab)", ylabel="net rate per PCU, 3–25 keV (1/s)")
    left.legend(fontsize=9, loc=(0.3, 0.34))
    left.set_title("A black hole's outburst, and its states")

    mean = mocks.double().mean(dim=0)
    middle.plot(f, qpo(f, TRUTH[:3].double()) + 1 / 1000, "k:", label="without\ndead time")
    middle.plot(f, mean, "C1", label="detected,\nmean of 100")
    middle.set(
        xscale="log", yscale="log", xlabel="frequency (Hz)", ylabel="power ((rms/mean)²/Hz)",
        title="What a blind detector leaves of it",
    )  # fmt: skip
    middle.legend(loc="upper left", fontsize=9)

    ways = {
        "textbook: Lorentzian\non the right noise": plain,
        "with the response\nof the detector": first_order,
        "simulation-based\ninference": draws.mean(dim=0)[:, 0].tolist(),
    }
    for row, found in enumerate(reversed(ways.values())):
        colour = ("C0", "C2", "C1")[row]
        shift = np.linspace(-0.22, 0.22, len(found))
        right.plot(found, row + shift, ".", color=colour, alpha=0.5, markersize=4)
        right.errorbar(
            np.mean(found), row, xerr=np.std(found), fmt="D", color="black", capsize=3, markersize=6
        )
    right.axvline(float(TRUTH[0]), color="black", linestyle=":")
    right.annotate("truth", (float(TRUTH[0]), 2.42), ha="center")
    right.set(
        yticks=range(3), yticklabels=list(reversed(ways)), xlabel="fractional rms of the QPO",
        title="What can be got back", ylim=(-0.5, 2.7), xlim=(0, None),
    )  # fmt: skip
    for name, found in ways.items():
        print(name.replace("\n", " "), f"{np.mean(found):.3f} ± {np.std(found):.3f}")
    width = draws[..., 0].std(dim=0).mean()
    print(f"posterior's own standard deviation {width:.3f}")
    fig.savefig(Path(__file__).parents[1] / "docs/picture.png", dpi=100)


if __name__ == "__main__":
    main()
