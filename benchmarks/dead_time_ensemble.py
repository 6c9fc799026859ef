"""Inference under dead time over hundreds of mocks: is it right on average, and is it as sure as it may be?

    python benchmarks/dead_time_ensemble.py [--mocks 500] [--simulations 10000] [--flows 2] [--model nsf] [--seed 1]

For the set-ups of Huppenkothen & Bachetti 2022 (arXiv:2104.03278): neural posteriors trained on simulations,
tested on draws from their prior; and on the first 200 of the same mocks, the two standard ways: a likelihood fit of
a Lorentzian on Zhang's white noise, and the same after FAD, where the averages allow it.
"""

import argparse
import contextlib
import io
import math
import time
import warnings

import numpy as np
import torch
from scipy import stats
from scipy.optimize import minimize
from stingray import Lightcurve
from stingray.deadtime.fad import FAD

from helpers import inference, renewal
from helpers.simulators.dead_time import NUSTAR, DeadTimeSimulator, qpo

TAU = 2.5e-3
NAMES = ("rms", "nu0", "q", "rate")
LF, HF = (0.1, 5.0, 3.0, 500.0), (0.1, 100.0, 3.0, 500.0)
SET_UPS = {
    "LF averaged": (DeadTimeSimulator(), LF, (0.5, 40.0, 30.0, 1500.0)),
    "HF": (
        DeadTimeSimulator(bin_size=0.5 / 750, segment=None, log_f=0.01),
        HF, (0.5, 300.0, 30.0, 1500.0),
    ),
    "HF averaged": (
        DeadTimeSimulator(bin_size=5e-4, log_f=0.01),
        HF, (0.5, 500.0, 30.0, 1500.0),
    ),
    "HF averaged, NuSTAR's dead time": (
        DeadTimeSimulator(bin_size=5e-4, log_f=0.01, dead_time=NUSTAR),
        (0.1, 300.0, 5.0, 500.0), (0.5, 500.0, 30.0, 1500.0),
    ),
}  # fmt: skip


def fit_lorentzian(frequency, power, number, noise, start):
    """(rms, nu0, q) of greatest likelihood of averaged powers, noise known, from the true values on.

    Σ n (P/M + ln M) is -ln of the likelihood of powers that average n of the exponential distribution.
    """
    f, p, n, w = (
        torch.as_tensor(a, dtype=torch.float64) for a in (frequency, power, number, noise)
    )

    def cost(logarithms):
        x = torch.tensor(logarithms, dtype=torch.float64, requires_grad=True)
        model = qpo(f, x.exp()) + w
        value = (n * (p / model + model.log())).sum()
        value.backward()
        return value.item(), x.grad.numpy()

    bounds = [(math.log(a), math.log(b)) for a, b in ((1e-3, 3.0), (f[0], f[-1]), (0.5, 1000.0))]
    return np.exp(minimize(cost, np.log(start), jac=True, method="L-BFGS-B", bounds=bounds).x)


def standard_fits(simulate, counts, truths):
    """rms of the two standard ways, in units of the true one: (n,) of the likelihood fit, and of FAD."""
    plain, fad = [], []
    frequency, number = simulate.frequencies, simulate.n_averaged
    power = simulate.summarise(counts.double())
    for i, truth in enumerate(truths.double()):
        detected = float(counts[i].sum(dim=-1).mean()) / simulate.exposure
        incident = renewal.incident_rate(detected, TAU)
        noise = renewal.white_noise(frequency, incident, TAU, bin_size=simulate.bin_size)
        noise = noise / (len(counts[i]) * detected)
        fitted = fit_lorentzian(frequency, power[i], number, noise, truth[:3])
        plain.append(fitted[0] / float(truth[0]))
        if simulate.segment < simulate.exposure and simulate.log_f is None:
            bins = (np.arange(simulate.n_bins) + 0.5) * simulate.bin_size
            one, two = (
                Lightcurve(bins, c.numpy(), dt=simulate.bin_size, skip_checks=True,
                           gti=[[0, simulate.exposure]]) for c in counts[i].double()
            )  # fmt: skip
            with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
                result = FAD(one, two, simulate.segment, norm="frac")
            level = torch.full((len(result["freq"]),), 2 / (2 * detected))
            segments = torch.full_like(level, simulate.exposure / simulate.segment)
            fitted = fit_lorentzian(
                np.array(result["freq"]), np.array(result["ptot"]), segments, level, truth[:3]
            )
            fad.append(fitted[0] / float(truth[0]))
    return np.array(plain), np.array(fad)


def study(name, n_mocks, n_simulations, n_flows, model, seed):
    simulate, low, high = SET_UPS[name]
    low, high = torch.tensor(low), torch.tensor(high)
    generator = torch.Generator().manual_seed(seed)
    theta = low + (high - low) * torch.rand(n_simulations, 4, generator=generator).clamp(
        1e-6, 1 - 1e-6
    )
    start = time.perf_counter()
    x = simulate(theta, generator).log()
    simulated = time.perf_counter()
    posterior = inference.train_posterior(
        theta, x, low, high, generator=generator, n_flows=n_flows, model=model
    )
    trained = time.perf_counter()

    truths = low + (high - low) * torch.rand(n_mocks, 4, generator=generator)
    counts = simulate.light_curves(truths, generator)
    mocks = simulate.summarise(counts)
    draws = posterior.sample(1000, mocks.log(), generator=generator)
    z = (draws.mean(dim=0) - truths) / draws.std(dim=0)
    ranks = inference.ranks(draws, truths)
    # In units of the box, from points that know nothing of the truth.
    unit = (draws - low) / (high - low), (truths - low) / (high - low)
    tarp = inference.coverage(*unit, torch.rand(n_mocks, 4, generator=generator))

    print(
        f"\n## {name}: {n_simulations} simulations, {n_flows} flows ({model}), {n_mocks} mocks, seed {seed}"
    )
    print(f"simulated in {simulated - start:.0f} s, trained in {trained - simulated:.0f} s")
    print("| | " + " | ".join(NAMES) + " |\n|---|---|---|---|---|")
    rows = {
        "mean of (estimate - truth)/sd": z.mean(dim=0).tolist(),
        "its standard error": (z.std(dim=0) / n_mocks**0.5).tolist(),
        "scatter of (estimate - truth)/sd": z.std(dim=0).tolist(),
        "SBC, p": [stats.kstest(r, "uniform").pvalue for r in ranks.T.numpy()],
        "mean sd": draws.std(dim=0).mean(dim=0).tolist(),
    }
    for label, values in rows.items():
        print(f"| {label} | " + " | ".join(f"{v:.3g}" for v in values) + " |")
    print(f"TARP, p = {stats.kstest(tarp.numpy(), 'uniform').pvalue:.3g}")

    few = min(200, n_mocks)
    ours = (draws.mean(dim=0)[:few, 0] / truths[:few, 0]).numpy()
    print("rms in units of the true one, median and 16 % to 84 %, over", few, "mocks")
    plain, fad = standard_fits(simulate, counts[:few], truths[:few])
    ways = {"posterior mean": ours, "Lorentzian on Zhang's noise": plain, "the same after FAD": fad}
    for label, ratio in ways.items():
        if len(ratio):
            low_, middle, high_ = np.percentile(ratio, [16, 50, 84])
            print(f"| {label} | {middle:.2f} | {low_:.2f} to {high_:.2f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set-up", choices=SET_UPS, action="append")
    parser.add_argument("--mocks", type=int, default=500)
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--flows", type=int, default=2)
    parser.add_argument("--model", default="nsf", help="what sbi calls the flow")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for set_up in options.set_up or SET_UPS:
        study(
            set_up, options.mocks, options.simulations, options.flows, options.model, options.seed
        )
