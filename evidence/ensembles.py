"""Common code of the ensembles of dead time and pile-up: prior, table, figure, arguments."""

import argparse
import time
import warnings
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import torch

from helpers import diagnostics, plotting, posteriors


class Study:
    """Neural posterior trained on draws from its prior, and its test on other draws.

    Simulation, training and sampling use a GPU if there is one.

    Attributes, on the CPU: truths (n, P) and data of n mocks, draws (1000, n, P), calibration `found`,
    mean ln q of the truths `log_q`, the corners, and the generator for further use.
    """

    def __init__(self, simulate, summarise, low, high, options, n_simulations, **training):
        self.low, self.high = torch.tensor(low), torch.tensor(high)
        self._see = lambda theta: simulate(theta.to(options.device), self.generator)
        self._summarise = summarise
        self.generator = torch.Generator().manual_seed(options.seed)
        self.n_simulations = n_simulations or options.simulations
        theta = self.prior(self.n_simulations)
        start = time.process_time()
        x = summarise(self._see(theta))
        self.simulated = time.process_time() - start
        box = self.low.to(x), self.high.to(x)
        self._posterior = posteriors.train_posterior(
            theta.to(x), x, *box, generator=self.generator, **training
        )
        self.trained = time.process_time() - start - self.simulated

        self.truths = self.prior(options.mocks)
        self.data, self.draws, summaries = self.observe(self.truths)
        self.found = diagnostics.calibration(
            self.draws, self.truths, self.low, self.high, self.generator
        )
        log_q = self._posterior.log_prob(self.truths.to(summaries)[None], summaries)
        self.log_q = log_q.mean().item()

    def observe(self, theta):
        """Return data of mocks theta (n, P), 1000 posterior draws for each, and the network's input."""
        data = self._see(theta)
        summaries = self._summarise(data)
        draws = self._posterior.sample(1000, summaries, generator=self.generator)
        return data.cpu(), draws.cpu(), summaries

    def prior(self, n):
        """Draw (n, P) from the prior, none on an edge."""
        inside = torch.rand(n, len(self.low), generator=self.generator).clamp(1e-6, 1 - 1e-6)
        return self.low + (self.high - self.low) * inside

    def print(self, names):
        """Print the table of this study."""
        print(
            f"\n{self.n_simulations} simulations in {self.simulated:.0f} s, trained in {self.trained:.0f} s "
            f"(processor time), {len(self.truths)} mocks\n"
        )
        print("| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|", sep="\n")
        ranks = diagnostics.ranks(self.draws, self.truths)
        rows = {
            "mean of (estimate - truth)/sd": self.found.bias,
            "its standard error": self.found.bias_error,
            "scatter of (estimate - truth)/sd": self.found.scatter,
            "ranks uniform (SBC), p": self.found.sbc_p,
            "mean posterior sd": self.draws.std(dim=0).mean(dim=0),
        } | {
            f"truths in the central {level:.0%}": ((ranks - 0.5).abs() < level / 2)
            .double()
            .mean(dim=0)
            for level in (0.5, 0.9)
        }
        for label, values in rows.items():
            print(f"| {label} | " + " | ".join(f"{v:.3g}" for v in values.tolist()) + " |")
        print(
            f"\nTARP p = {self.found.tarp_p:.2g}, mean ln q(truth) = {self.log_q:.2f}\n", flush=True
        )

    def draw(self, names, path):
        """Draw the difference of each parameter's rank distribution from uniform, with its 99 % band."""
        levels = torch.linspace(0, 1, 101)
        low, high = diagnostics.uniform_band(len(self.truths), levels)
        ranks = diagnostics.ranks(self.draws, self.truths)
        fig, ax = plt.subplots(figsize=(5, 3.2), constrained_layout=True)
        ax.fill_between(levels, low - levels, high - levels, color="0.9", label="99 %, if uniform")
        for name, column, style in zip(names, ranks.T, ("-", "--", "-.", ":"), strict=False):
            share = (column[:, None] <= levels).double().mean(dim=0)
            ax.plot(levels, share - levels, style, label=name)
        ax.set(xlabel="rank of the truth in its posterior", ylabel="share below − rank")
        ax.legend(fontsize=8, ncols=5, columnspacing=1, loc="lower right", bbox_to_anchor=(1, 1))
        fig.savefig(path, dpi=110)
        plt.close(fig)


def curve(set_up, make, counts, extra):
    """Print calibration against the number of simulations: the worst parameter."""
    rows, columns = [], None
    for n in counts:
        study = make(n)
        found = study.found
        cells = {
            "simulations": f"{n}",
            "largest bias": f"{found.bias.abs().max():.2f}",
            "scatter": f"{found.scatter.min():.2f} to {found.scatter.max():.2f}",
            "smallest SBC p": f"{found.sbc_p.min():.2g}",
            "TARP p": f"{found.tarp_p:.2g}",
            "mean ln q(truth)": f"{study.log_q:.2f}",
        } | extra(study)
        columns = list(cells)
        rows.append("| " + " | ".join(cells.values()) + " |")
    print(f"\n{set_up}, against the number of simulations:\n")
    print(
        "| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", *rows, sep="\n", flush=True
    )


def run(doc, set_ups, make_study, names_of, counts, beside, extra=lambda study: {}):
    """Run a script with the docstring `doc` and its command-line arguments.

    `make_study` makes a Study from name, options and number of simulations (None: that of the options),
    `names_of` gives the parameters of a set-up. The curve has `counts` of simulations, and `extra`
    columns from a Study. `beside` are functions of name, Study and number of fits that print further
    tables.
    """
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--set-up", choices=set_ups, action="append", help="all, if none is named")
    parser.add_argument("--mocks", type=int, default=500)
    parser.add_argument(
        "--fits", type=int, default=200, help="number of mocks for the other methods"
    )
    parser.add_argument("--simulations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--curve", action="store_true", help="against the number of simulations")
    parser.add_argument("--figure", type=Path, help="where to draw the ranks")
    options = parser.parse_args()
    options.device = "cuda" if torch.cuda.is_available() else "cpu"
    warnings.filterwarnings("ignore")
    matplotlib.use("agg")
    plotting.use_course_style()
    for name in options.set_up or set_ups:
        print(f"\n### {name}")
        names = names_of(name)
        if options.curve:
            curve(name, lambda n, name=name: make_study(name, options, n), counts, extra)
            continue
        study = make_study(name, options, None)
        study.print(names)
        for show in beside:
            show(name, study, options.fits)
        if options.figure:
            study.draw(names, options.figure)
