"""Compare posteriors of `train_posterior` and of sbi from the same simulations: quality and training time.

    python evidence/speed_sbi.py [--seeds 3]

The set-up is "LF averaged" of evidence/dead_time_ensemble.py: 10,000 simulations for training, 500 others for tests.
It prints mean ln q(truth), which is higher for a better posterior, the processor time of the training, the smallest of
the four p-values of the ranks (SBC) over all seeds, and the share of draws inside the prior's box. ln q of sbi's
posteriors is corrected for the probability outside the box, from 2000 draws of each. It takes a quarter of an hour.
"""

import argparse
import contextlib
import io
import time
import warnings

import numpy as np
import sbi
import torch
from dead_time_ensemble import SET_UPS
from sbi.inference import NPE
from sbi.neural_nets import posterior_nn
from sbi.utils import BoxUniform
from scipy.stats import kstest
from torch import nn

from helpers.posteriors import train_posterior

TRAINED, HELD_OUT, DRAWS = 10_000, 500, 2000


def ours(n_flows):
    def estimate(theta, x, prior, held_out, seed):
        generator = torch.Generator().manual_seed(seed)
        start = time.process_time()
        posterior = train_posterior(
            theta, x, prior.base_dist.low, prior.base_dist.high,
            generator=generator, n_flows=n_flows,
        )  # fmt: skip
        seconds = time.process_time() - start
        truths, data = held_out
        draws = posterior.sample(DRAWS, data, generator=generator)
        return posterior.log_prob(truths[None], data)[0], draws, seconds

    return estimate


def by_sbi(model, *, training=None, **network):
    """Make NPE with a network of `posterior_nn`; "linear" embeds the powers in 16 numbers, as ours does."""
    training = training or {}

    def estimate(theta, x, prior, held_out, seed):
        torch.manual_seed(seed)
        options = dict(network)
        if options.pop("linear", False):
            options["embedding_net"] = nn.Linear(x.shape[1], 16)
        if options.get("z_score_theta") == "transform_to_unconstrained":
            options["x_dist"] = prior
        start = time.process_time()
        inference = NPE(prior, posterior_nn(model, **options), show_progress_bars=False)
        with contextlib.redirect_stdout(io.StringIO()):  # hide the number of epochs
            flow = inference.append_simulations(theta, x).train(**training)
        seconds = time.process_time() - start
        truths, data = held_out
        with torch.no_grad():
            draws = flow.sample((DRAWS,), condition=data)
            return flow.log_prob(truths[None], condition=data)[0], draws, seconds

    return estimate


UNBOUNDED = {"z_score_theta": "transform_to_unconstrained", "linear": True}
QUICK = {"learning_rate": 3e-3, "training_batch_size": 500}
WAYS = {
    "`train_posterior`": ours(2),
    "`train_posterior`, one flow": ours(1),
    "sbi, all defaults (maf)": by_sbi("maf"),
    "sbi, zuko_nsf, unconstrained, linear embedding": by_sbi("zuko_nsf", **UNBOUNDED),
    "the same, 2 transforms, learning rate 3e-3, batches of 500": by_sbi(
        "zuko_nsf", **UNBOUNDED, num_transforms=2, training=QUICK
    ),
    "sbi, zuko_maf, 3 transforms, unconstrained, linear embedding, the same training": by_sbi(
        "zuko_maf", **UNBOUNDED, num_transforms=3, training=QUICK
    ),
}


def judge(log_q, draws, prior, truths):
    """Return mean ln q(truth) inside the box, smallest p of the ranks, share of draws inside."""
    inside = prior.support.check(draws)
    number = inside.sum(dim=0)
    below = ((draws < truths) & inside[..., None]).sum(dim=0)
    # A uniform place within the step of the truth makes ranks of few draws uniform, too.
    within = torch.rand(truths.shape, generator=torch.Generator().manual_seed(1))
    ranks = (below + within) / (number + 1)[:, None]
    share = number / len(draws)
    p = kstest(ranks.numpy(), "uniform", axis=0).pvalue
    return (log_q - share.log()).mean().item(), p.min(), share.mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    seeds = range(1, 1 + parser.parse_args().seeds)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    simulate, low, high = SET_UPS["LF averaged"]
    prior = BoxUniform(torch.tensor(low), torch.tensor(high))
    print(f"torch {torch.__version__}, sbi {sbi.__version__}\n")
    print(
        "| way | mean ln q(truth) | seconds | least SBC p | draws inside |\n|---|---|---|---|---|"
    )
    for name, estimate in WAYS.items():
        rows = []
        for seed in seeds:
            torch.manual_seed(seed)  # sbi's boxes draw from torch's global generator
            theta = prior.sample((TRAINED + HELD_OUT,))
            x = simulate(theta, torch.Generator().manual_seed(seed)).log()
            held_out = theta[TRAINED:], x[TRAINED:]
            log_q, draws, seconds = estimate(theta[:TRAINED], x[:TRAINED], prior, held_out, seed)
            rows.append((*judge(log_q, draws, prior, held_out[0]), seconds))
        log_q, p, share, seconds = (np.array(column) for column in zip(*rows, strict=True))
        error = log_q.std(ddof=1) / len(rows) ** 0.5 if len(rows) > 1 else np.nan
        quality, safe = f"{log_q.mean():.2f} ± {error:.2f}", f"{p.min():.2g} | {share.mean():.0%}"
        print(f"| {name} | {quality} | {seconds.mean():.0f} | {safe} |", flush=True)


if __name__ == "__main__":
    main()
