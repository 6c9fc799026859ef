"""Test inference with dead time on hundreds of mocks: bias and calibration of the posteriors.

    python evidence/dead_time_ensemble.py [--set-up HF] [--mocks 500] [--simulations 10000] [--seed 1] [--curve]

It uses the set-ups of Huppenkothen & Bachetti 2022 (arXiv:2104.03278). Neural posteriors are trained on simulations
and tested on draws from their prior. The first 200 of the same mocks are also analysed with the two standard methods: a
likelihood fit of a Lorentzian on Zhang's white noise, and the same after FAD, if there are enough averages.
"""

import contextlib
import io
import math

import numpy as np
import torch
from ensembles import Study, run
from scipy.optimize import minimize
from stingray import Lightcurve
from stingray.deadtime.fad import FAD

from helpers import dead_time_theory
from helpers.dead_time import NUSTAR, DeadTimeSimulator, qpo

TAU = 2.5e-3
NAMES = ("rms", "ν₀ (Hz)", "q", "rate (1/s)")
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


def fit_lorentzian(frequency, power, number, noise, start, transfer=1.0):
    """Fit (rms, nu0, q) to averaged powers by maximum likelihood, with known noise, from the true values.

    Σ n (P/M + ln M) is -ln of the likelihood of powers that are means of n exponential ones. `transfer`
    is the share of the power that the detector keeps at each frequency.
    """
    f, p, n, w, h2 = (
        torch.as_tensor(a, dtype=torch.float64) for a in (frequency, power, number, noise, transfer)
    )

    def cost(logarithms):
        x = torch.tensor(logarithms, dtype=torch.float64, requires_grad=True)
        model = h2 * qpo(f, x.exp()) + w
        value = (n * (p / model + model.log())).sum()
        value.backward()
        return value.item(), x.grad.numpy()

    bounds = [(math.log(a), math.log(b)) for a, b in ((1e-3, 3.0), (f[0], f[-1]), (0.5, 1000.0))]
    return np.exp(minimize(cost, np.log(start), jac=True, method="L-BFGS-B", bounds=bounds).x)


def standard_fits(simulate, counts, truths):
    """Return rms / true rms of the two standard methods: (n,) of the likelihood fit, and of FAD."""
    plain, fad = [], []
    frequency, number = simulate.frequencies, simulate.n_averaged
    power = simulate.summarise(counts.double())
    for i, truth in enumerate(truths.double()):
        detected = float(counts[i].sum(dim=-1).mean()) / simulate.exposure
        incident = dead_time_theory.incident_rate(detected, TAU)
        noise = dead_time_theory.white_noise(frequency, incident, TAU, bin_size=simulate.bin_size)
        noise = noise / (len(counts[i]) * detected)
        fitted = fit_lorentzian(frequency, power[i], number, noise, truth[:3])
        plain.append(fitted[0] / float(truth[0]))
        if simulate.segment < simulate.exposure and simulate.log_f is None:
            bins = (np.arange(simulate.n_bins) + 0.5) * simulate.bin_size
            one, two = (
                Lightcurve(bins, c.numpy(), dt=simulate.bin_size, skip_checks=True,
                           gti=[[0, simulate.exposure]]) for c in counts[i].double()
            )  # fmt: skip
            with contextlib.redirect_stderr(io.StringIO()):  # hide its progress bar
                result = FAD(one, two, simulate.segment, norm="frac")
            level = torch.full((len(result["freq"]),), 2 / (2 * detected))
            segments = torch.full_like(level, simulate.exposure / simulate.segment)
            fitted = fit_lorentzian(
                np.array(result["freq"]), np.array(result["ptot"]), segments, level, truth[:3]
            )
            fad.append(fitted[0] / float(truth[0]))
    return np.array(plain), np.array(fad)


PUBLISHED = {
    "LF": ((0.4, 20.0, 10.0, 1000.0), ".405 ± .019 | 20.10 ± .22 | 15.5 ± 5.4 | 990 ± 57"),
    "LF averaged": ((0.4, 20.0, 10.0, 1000.0), ".374 ± .018 | 20.1 ± .3 | 7.7 ± 2.2 | 984 ± 54"),
    "HF": ((0.45, 200.0, 15.0, 1000.0), ".457 ± .025 | 200.1 ± .9 | 15.1 ± 2.0 | 1023 ± 27"),
    "HF averaged": (
        (0.4, 400.0, 20.0, 1000.0),
        ".377 ± .040 | 398.3 ± 3.1 | 20.0 ± 6.0 | 1005 ± 19",
    ),
}


def make_study(name, options, n_simulations):
    """Train on draws from the prior, test on others. Data are counts, so that fits can use them, too."""
    simulate, low, high = SET_UPS[name]
    return Study(
        simulate.light_curves, lambda counts: simulate.summarise(counts).log(), low, high, options,
        n_simulations,
    )  # fmt: skip


def beside_published(name, study, n_fits, n=100):
    """Print posteriors of n mocks with the paper's truth, and the paper's posterior if it has one."""
    if name not in PUBLISHED:
        return
    truth, published = PUBLISHED[name]
    _, draws, _ = study.observe(torch.tensor(truth).expand(n, 4))
    print("| posterior of a mock | " + " | ".join(NAMES) + " |\n|---|---|---|---|---|")
    print("| truth | " + " | ".join(f"{t:g}" for t in truth) + " |")
    print(f"| published: mean ± sd of one mock | {published} |")
    mean = draws.mean(dim=0)
    for label, centre, spread in (
        (f"ours: mean ± sd, averages of {n} mocks", mean.mean(dim=0), draws.std(dim=0).mean(dim=0)),
        ("ours: mean ± scatter of the means", mean.mean(dim=0), mean.std(dim=0)),
    ):
        cells = (f"{c:.3f} ± {s:.3f}" for c, s in zip(centre, spread, strict=True))
        print(f"| {label} | " + " | ".join(cells) + " |", flush=True)


def beside_fits(name, study, n):
    """Print the rms by all methods for the first n mocks."""
    if not n:
        return
    truths, counts = study.truths[:n], study.data[:n]
    ours = (study.draws.mean(dim=0)[:n, 0] / truths[:, 0]).numpy()
    plain, fad = standard_fits(SET_UPS[name][0], counts, truths)
    print(f"\n| rms / true rms, {n} mocks | median | 16 % to 84 % |\n|---|---|---|")
    ways = {"posterior mean": ours, "Lorentzian on Zhang's noise": plain, "the same after FAD": fad}
    for label, ratio in ways.items():
        if len(ratio):
            low, middle, high = np.percentile(ratio, [16, 50, 84])
            print(f"| {label} | {middle:.2f} | {low:.2f} to {high:.2f} |", flush=True)


if __name__ == "__main__":
    run(
        __doc__, SET_UPS, make_study, lambda name: NAMES,
        (1000, 2500, 5000, 10_000, 20_000, 40_000), [beside_published, beside_fits],
    )  # fmt: skip
