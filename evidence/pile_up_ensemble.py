"""Test inference with pile-up on hundreds of mocks, and three methods without a network on the same mocks.

    python evidence/pile_up_ensemble.py [--set-up eROSITA] [--mocks 500] [--simulations 10000] [--seed 1] [--curve]

One set-up is that of König et al. 2025 (arXiv:2511.11863): an absorbed blackbody in eROSITA, with spectra in four
annuli. Ours has one telescope module, 100 s and an approximate area; theirs is simulated with SIXTE. The other is an
absorbed power law in Chandra's ACIS. The other methods, for the first 200 mocks, are maximum-likelihood fits for
Poisson counts: of all events without pile-up; of the inner two annuli with Davis' model and free grade migration; and
of the outermost annulus alone.
"""

from itertools import pairwise

import numpy as np
import torch
from ensembles import Study, run
from scipy.optimize import minimize

from helpers import posteriors
from helpers.ccd import ACIS_SUBARRAY, EROSITA
from helpers.pile_up import (
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
    """Transform counts so that their variance hardly depends on their mean (Anscombe 1948)."""
    return 2 * (counts + 0.375).sqrt()


def fit(model, counts, low, high):
    """Find the maximum of the Poisson likelihood inside the box, for each spectrum (n, n_channels)."""
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
    """Return parameters (n, 3) from fits, by name of the method."""
    response = simulate.response.to(dtype=torch.float64)
    lo, hi = response.energy_lo, response.energy_hi
    share = simulate.psf_fraction
    core = share[:2].sum()

    def folded(theta, share):
        return response.fold(simulate.spectrum(lo, hi, theta)) * (simulate.exposure * share)

    def davis(theta):
        # One region, as is usual for a core; 5 per cent of the photons are outside it.
        photons = simulate.photons(theta[:-1]) * core
        options = {"alpha": theta[-1], "psf_fraction": 0.95, "fracexpo": 1.0}
        piled = davis_spectrum(photons, lo, hi, n_frames=simulate.n_frames, **options)
        return piled @ response.redistribution

    wider = torch.cat([low, low.new_tensor([0.01])]), torch.cat([high, high.new_tensor([1.0])])
    everything = counts.sum(dim=1)
    return {
        "fit, no pile-up": fit(lambda t: folded(t, share.sum()), everything, low, high),
        "fit, Davis": fit(davis, counts[:, :2].sum(dim=1), *wider)[:, :3],
        "fit, outer annulus": fit(lambda t: folded(t, share[-1]), counts[:, -1], low, high),
    }


def errors(estimate, truth):
    """Return absolute relative errors (n, 3), of the flux, not of its logarithm."""
    estimate, truth = estimate.double().clone(), truth.double().clone()
    for theta in (estimate, truth):
        theta[:, 0] = 10 ** theta[:, 0]
    return (estimate - truth).abs() / truth


def make_study(name, options, n_simulations):
    """Train on draws from the prior, test on others."""
    simulate, _, low, high = SET_UPS[name]
    return Study(
        simulate, features, low, high, options, n_simulations, embedding=posteriors.convolution
    )


def beside_fits(name, study, n):
    """Print relative errors of all methods for the first n mocks, for each decade of the flux."""
    if not n:
        return
    simulate, names, *_ = SET_UPS[name]
    low, high, truths = study.low, study.high, study.truths[:n]
    ways = {"posterior median": study.draws[:, :n].median(dim=0).values}
    ways |= other_ways(simulate, study.data[:n], low, high)
    of_each = {way: errors(estimate, truths) for way, estimate in ways.items()}
    print(f"Mean (median) of |estimate − truth|/truth, {n} mocks:\n")
    print("| log flux | way | flux | " + " | ".join(names[1:]) + " |\n|---|---|---|---|---|")
    edges = [*np.arange(float(low[0]), float(high[0]), 1.0), float(high[0])]
    for a, b in [(edges[0], edges[-1]), *pairwise(edges)]:
        here = (truths[:, 0] >= a) & (truths[:, 0] < b)
        if not here.any():
            continue
        for way, error in of_each.items():
            mean, median = error[here].mean(dim=0), error[here].median(dim=0).values
            cells = [f"{m:.1%} ({d:.1%})" for m, d in zip(mean, median, strict=True)]
            print(f"| {a:g} to {b:g} | {way} | " + " | ".join(cells) + " |", flush=True)


def mean_errors(study):
    """Return mean errors of the posterior medians, for the curve."""
    mean = errors(study.draws.median(dim=0).values, study.truths).mean(dim=0)
    return {"mean error of flux, second, N_H": ", ".join(f"{m:.1%}" for m in mean)}


if __name__ == "__main__":
    run(
        __doc__, SET_UPS, make_study, lambda name: SET_UPS[name][1],
        (1000, 2500, 5000, 10_000, 20_000), [beside_fits], mean_errors,
    )  # fmt: skip
