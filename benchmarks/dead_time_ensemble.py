"""Inference under dead time over hundreds of mocks: is it right on average, and is it as sure as it may be?

    python benchmarks/dead_time_ensemble.py [--set-up HF] [--mocks 500] [--simulations 10000] [--seed 1] [--curve]

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
from scipy.optimize import minimize
from stingray import Lightcurve
from stingray.deadtime.fad import FAD

from helpers import inference, renewal
from helpers.simulators.dead_time import NUSTAR, DeadTimeSimulator, qpo

TAU = 2.5e-3
NAMES = ("rms", "nu0", "q", "rate")
LF, HF = (0.1, 5.0, 3.0, 500.0), (0.1, 100.0, 3.0, 500.0)
SET_UPS = {
    "LF": (DeadTimeSimulator(segment=None, log_f=0.05), LF, (0.5, 40.0, 30.0, 1500.0)),
    "LF averaged": (DeadTimeSimulator(), LF, (0.5, 40.0, 30.0, 1500.0)),
    "HF": (
        DeadTimeSimulator(bin_size=0.5 / 750, segment=None, log_f=0.05),
        HF, (0.5, 300.0, 30.0, 1500.0),
    ),
    "HF averaged": (
        DeadTimeSimulator(bin_size=5e-4, log_f=0.05),
        HF, (0.5, 500.0, 30.0, 1500.0),
    ),
    "HF averaged, NuSTAR's dead time": (
        DeadTimeSimulator(bin_size=5e-4, log_f=0.05, dead_time=NUSTAR),
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


def study(name, n_mocks, n_simulations, n_flows, seed):
    """Train on prior draws, test on others; prints a table, and returns its numbers."""
    simulate, low, high = SET_UPS[name]
    low, high = torch.tensor(low), torch.tensor(high)
    generator = torch.Generator().manual_seed(seed)

    def prior(n):
        inside = torch.rand(n, 4, generator=generator).clamp(1e-6, 1 - 1e-6)
        return low + (high - low) * inside

    theta = prior(n_simulations)
    start = time.perf_counter()
    x = simulate(theta, generator).log()
    simulated = time.perf_counter()
    posterior = inference.train_posterior(theta, x, low, high, generator=generator, n_flows=n_flows)
    trained = time.perf_counter()

    truths = prior(n_mocks)
    counts = simulate.light_curves(truths, generator)
    mocks = simulate.summarise(counts)
    draws = posterior.sample(1000, mocks.log(), generator=generator)
    found = inference.calibration(draws, truths, low, high, generator)
    log_q = posterior.log_prob(truths[None], mocks.log()).mean().item()

    print(
        f"\n## {name}: {n_simulations} simulations, {n_flows} flows, {n_mocks} mocks, seed {seed}"
    )
    print(f"simulated in {simulated - start:.0f} s, trained in {trained - simulated:.0f} s")
    print("| | " + " | ".join(NAMES) + " |\n|---|---|---|---|---|")
    rows = {
        "mean of (estimate - truth)/sd": found.bias,
        "its standard error": found.bias_error,
        "scatter of (estimate - truth)/sd": found.scatter,
        "SBC, p": found.sbc_p,
        "mean sd": draws.std(dim=0).mean(dim=0),
    }
    for label, values in rows.items():
        print(f"| {label} | " + " | ".join(f"{v:.3g}" for v in values.tolist()) + " |")
    print(f"TARP, p = {found.tarp_p:.3g}; mean ln q(truth) = {log_q:.2f}", flush=True)
    return simulate, truths, counts, draws, found, log_q


def beside_fits(simulate, truths, counts, draws):
    """Print the rms of all ways on the same mocks."""
    ours = (draws.mean(dim=0)[..., 0] / truths[:, 0]).numpy()
    print("rms in units of the true one, median and 16 % to 84 %, over", len(truths), "mocks")
    plain, fad = standard_fits(simulate, counts, truths)
    ways = {"posterior mean": ours, "Lorentzian on Zhang's noise": plain, "the same after FAD": fad}
    for label, ratio in ways.items():
        if len(ratio):
            low, middle, high = np.percentile(ratio, [16, 50, 84])
            print(f"| {label} | {middle:.2f} | {low:.2f} to {high:.2f} |", flush=True)


def curve(name, n_mocks, n_flows, seeds):
    """Calibration against the number of simulations: worst bias and scatter of any parameter."""
    rows = []
    for n in (1000, 2500, 5000, 10_000, 20_000, 40_000):
        for seed in seeds:
            *_, found, log_q = study(name, n_mocks, n, n_flows, seed)
            rows.append(
                f"| {n} | {seed} | {found.bias.abs().max():.2f} | {found.scatter.min():.2f} to "
                f"{found.scatter.max():.2f} | {found.sbc_p.min():.2g} | {found.tarp_p:.2g} | {log_q:.2f} |"
            )
    print(f"\n## {name}: the curve")
    print(
        "| simulations | seed | largest bias | scatter | smallest SBC p | TARP p | mean ln q(truth) |"
    )
    print("|---|---|---|---|---|---|---|", *rows, sep="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set-up", choices=SET_UPS, action="append")
    parser.add_argument("--mocks", type=int, default=500)
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--flows", type=int, default=2)
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--curve", action="store_true", help="against the number of simulations")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for set_up in options.set_up or SET_UPS:
        seeds = options.seed or [1]
        if options.curve:
            curve(set_up, options.mocks, options.flows, seeds)
            continue
        for seed in seeds:
            simulate, truths, counts, draws, *_ = study(
                set_up, options.mocks, options.simulations, options.flows, seed
            )
            beside_fits(simulate, truths[:200], counts[:200], draws[:, :200])
