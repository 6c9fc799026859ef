"""Inference behind pile-up over hundreds of mocks, beside three ways without a network, on the same mocks.

    python benchmarks/pile_up_ensemble.py [--set-up eROSITA] [--mocks 500] [--simulations 10000] [--seed 1] [--curve]

The set-up of König et al. 2025 (arXiv:2511.11863): an absorbed blackbody in eROSITA, spectra in four annuli. Ours has
one telescope module, 100 s and a sketch of its area; theirs is simulated with SIXTE. And an absorbed power law in
Chandra's ACIS. The other ways, on the first 200 mocks, are fits of greatest Poisson likelihood: of all events as if
there were no pile-up; of the inner two annuli with Davis' model, its grade migration free; and of the outermost
annulus alone.
"""

import argparse
import time
import warnings
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import minimize

from helpers import inference
from helpers.simulators.ccd import ACIS_SUBARRAY, EROSITA
from helpers.simulators.pile_up import (
    PileUpSimulator,
    absorbed_blackbody,
    absorbed_power_law,
    davis_spectrum,
)

SET_UPS = {
    "eROSITA": (
        PileUpSimulator(
            EROSITA, absorbed_blackbody, exposure=100.0, annuli=(0.0, 30.0, 60.0, 120.0, 240.0),
            channels=torch.linspace(0.15, 2.71, 65, dtype=torch.float64), energies=(0.1, 4.0, 0.01),
        ),
        ("log flux", "kT (keV)", "N_H (1e22)"), (-12.0, 0.03, 0.2), (-8.0, 0.2, 2.0),
    ),
    "ACIS": (
        PileUpSimulator(
            ACIS_SUBARRAY, absorbed_power_law, exposure=1000.0, annuli=(0.0, 1.0, 2.0, 4.0, 8.0),
            channels=torch.linspace(0.3, 9.9, 65, dtype=torch.float64),
        ),
        ("log flux", "index", "N_H (1e22)"), (-12.0, 1.3, 0.1), (-9.5, 4.0, 2.0),
    ),
}  # fmt: skip


def features(counts):
    """Counts, with a variance that hardly depends on their mean (Anscombe 1948)."""
    return 2 * (counts + 0.375).sqrt()


def fit(model, counts, low, high):
    """Parameters of greatest Poisson likelihood inside the box, for each spectrum (n, n_channels)."""
    best = []
    low, high = low.double(), high.double()
    shares = [(0.5, 0.5, 0.5, 0.5), (0.25, 0.7, 0.3, 0.9)]
    starts = [torch.tensor(share[: len(low)]).double() for share in shares]
    for spectrum in counts.double():

        def cost(x, spectrum=spectrum):
            x = torch.tensor(x, requires_grad=True)
            expected = model(low + (high - low) * x).clamp(min=1e-10)
            value = (expected - spectrum * expected.log()).sum()
            value.backward()
            return value.item(), x.grad.numpy()

        tries = [
            minimize(cost, s.numpy(), jac=True, method="L-BFGS-B",
                     bounds=[(1e-6, 1 - 1e-6)] * len(low))
            for s in starts
        ]  # fmt: skip
        best.append(low + (high - low) * torch.tensor(min(tries, key=lambda t: t.fun).x))
    return torch.stack(best)


def other_ways(simulate, counts, low, high):
    """Parameters (n, 3) found by fits, by name of the way."""
    response = simulate.response.to(dtype=torch.float64)
    lo, hi = response.energy_lo, response.energy_hi
    share = simulate.psf_fraction
    core = share[:2].sum()

    def folded(theta, share):
        return response.fold(simulate.spectrum(lo, hi, theta)) * (simulate.exposure * share)

    def davis(theta):
        # One region, as is usual for a core: all that pile up with each other, but for 5 per cent.
        photons = simulate.photons(theta[:-1]) * core
        piled = davis_spectrum(
            photons,
            lo,
            hi,
            n_frames=simulate.n_frames,
            alpha=theta[-1],
            psf_fraction=0.95,
            fracexpo=1.0,
        )
        return piled @ response.redistribution

    wider = torch.cat([low, low.new_tensor([0.01])]), torch.cat([high, high.new_tensor([1.0])])
    everything = counts.sum(dim=1)
    return {
        "fit, no pile-up": fit(lambda t: folded(t, share.sum()), everything, low, high),
        "fit, Davis": fit(davis, counts[:, :2].sum(dim=1), *wider)[:, :3],
        "fit, outer annulus": fit(lambda t: folded(t, share[-1]), counts[:, -1], low, high),
    }


def errors(estimate, truth):
    """(n, 3) absolute relative errors; of the flux itself, not of its logarithm."""
    estimate, truth = estimate.double().clone(), truth.double().clone()
    for theta in (estimate, truth):
        theta[:, 0] = 10 ** theta[:, 0]
    return (estimate - truth).abs() / truth


def study(name, n_mocks, n_simulations, seed):
    """Train on prior draws, test on others; prints tables, and returns what they are made of."""
    simulate, names, low, high = SET_UPS[name]
    low, high = torch.tensor(low), torch.tensor(high)
    generator = torch.Generator().manual_seed(seed)

    def prior(n):
        return low + (high - low) * torch.rand(n, 3, generator=generator).clamp(1e-6, 1 - 1e-6)

    theta = prior(n_simulations)
    start = time.perf_counter()
    x = features(simulate(theta, generator))
    simulated = time.perf_counter()
    posterior = inference.train_posterior(
        theta, x, low, high, generator=generator, embedding=inference.convolution
    )
    trained = time.perf_counter()
    truths = prior(n_mocks)
    counts = simulate(truths, generator)
    draws = posterior.sample(1000, features(counts), generator=generator)
    found = inference.calibration(draws, truths, low, high, generator)
    log_q = posterior.log_prob(truths[None], features(counts)).mean().item()

    print(f"\n## {name}: {n_simulations} simulations, {n_mocks} mocks, seed {seed}")
    print(f"simulated in {simulated - start:.0f} s, trained in {trained - simulated:.0f} s")
    print("| | " + " | ".join(names) + " |\n|---|---|---|---|")
    rows = {
        "mean of (estimate - truth)/sd": found.bias,
        "its standard error": found.bias_error,
        "scatter of (estimate - truth)/sd": found.scatter,
        "SBC, p": found.sbc_p,
        "mean sd": draws.std(dim=0).mean(dim=0),
    }
    for label, values in rows.items():
        print(f"| {label} | " + " | ".join(f"{v:.3g}" for v in values.tolist()) + " |")
    for level in (0.5, 0.9):
        inside = ((inference.ranks(draws, truths) - 0.5).abs() < level / 2).double().mean(dim=0)
        print(
            f"| truths in the central {level:.0%} | "
            + " | ".join(f"{v:.3f}" for v in inside)
            + " |"
        )
    print(f"TARP, p = {found.tarp_p:.3g}; mean ln q(truth) = {log_q:.2f}", flush=True)
    return simulate, low, high, truths, counts, draws, found, log_q


def beside_fits(simulate, low, high, truths, counts, draws):
    """Print relative errors of all ways on the same mocks, decade by decade of the flux."""
    ways = {"posterior median": draws.median(dim=0).values}
    ways |= other_ways(simulate, counts, low, high)
    of_each = {way: errors(estimate, truths) for way, estimate in ways.items()}
    print(
        "| log flux | way | " + " | ".join(("flux", "second", "N_H")) + " |\n|---|---|---|---|---|"
    )
    edges = [*np.arange(float(low[0]), float(high[0]), 1.0), float(high[0])]
    for a, b in [(float(low[0]), float(high[0])), *pairwise(edges)]:
        here = (truths[:, 0] >= a) & (truths[:, 0] < b)
        for way, error in of_each.items():
            mean, median = error[here].mean(dim=0), error[here].median(dim=0).values
            cells = [
                f"{m:.1%} ({d:.1%})" for m, d in zip(mean.tolist(), median.tolist(), strict=True)
            ]
            print(f"| {a:.0f} to {b:.1f} | {way} | " + " | ".join(cells) + " |", flush=True)
    print("mean (median) of |estimate - truth|/truth")


def curve(name, n_mocks, seed):
    """Errors and calibration against the number of simulations."""
    rows = []
    for n in (1000, 2500, 5000, 10_000, 20_000):
        *_, truths, _, draws, found, log_q = study(name, n_mocks, n, seed)
        mape = errors(draws.median(dim=0).values, truths).mean(dim=0)
        rows.append(
            f"| {n} | "
            + " | ".join(f"{m:.1%}" for m in mape)
            + f" | {found.bias.abs().max():.2f} | "
            f"{found.scatter.min():.2f} to {found.scatter.max():.2f} | {found.sbc_p.min():.2g} | {log_q:.2f} |"
        )
    print(f"\n## {name}: the curve")
    print("| simulations | flux | second | N_H | largest bias | scatter | smallest SBC p | ln q |")
    print("|---|---|---|---|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set-up", choices=SET_UPS, action="append")
    parser.add_argument("--mocks", type=int, default=500)
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--curve", action="store_true", help="against the number of simulations")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for set_up in options.set_up or SET_UPS:
        if options.curve:
            curve(set_up, options.mocks, options.seed)
            continue
        simulate, low, high, truths, counts, draws, *_ = study(
            set_up, options.mocks, options.simulations, options.seed
        )
        beside_fits(simulate, low, high, truths[:200], counts[:200], draws[:, :200])
