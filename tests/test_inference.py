"""Posteriors of problems whose answer is known, and tests of calibration that see what they must."""

import math
import os

import pytest
import torch
from scipy import stats
from torch import nn

from helpers import inference

SIGMA = 0.15
LOW, HIGH = torch.tensor([1.0, -10.0]), torch.tensor([2.0, 30.0])


def problem(n, generator):
    """Two numbers in boxes of different size, each seen with an error of 0.15 of its box."""
    theta = LOW + (HIGH - LOW) * torch.rand(n, 2, generator=generator)
    x = theta + SIGMA * (HIGH - LOW) * torch.randn(n, 2, generator=generator)
    return theta, x


@pytest.fixture(scope="module")
def generator():
    return torch.Generator().manual_seed(1)


@pytest.fixture(scope="module")
def posterior(generator, tmp_path_factory):
    os.chdir(folder := tmp_path_factory.mktemp("work"))
    state = torch.random.get_rng_state()
    made = inference.train_posterior(
        *problem(3000, generator),
        LOW,
        HIGH,
        generator=generator,
        n_flows=2,
        embedding=nn.Identity(),
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not list(folder.iterdir())
    return made


def test_the_posterior_is_the_truncated_normal(posterior, generator):
    theta, x = problem(2000, generator)
    at = ((x - LOW) / (HIGH - LOW)).numpy()
    exact = stats.truncnorm(-at / SIGMA, (1 - at) / SIGMA, at, SIGMA)
    box = math.log(float((HIGH - LOW).prod()))
    log_exact = (
        torch.as_tensor(exact.logpdf(((theta - LOW) / (HIGH - LOW)).numpy())).sum(dim=1) - box
    )
    # Kullback & Leibler's divergence, and what there is to be learned: that of the prior.
    missing = float((log_exact - posterior.log_prob(theta[None], x)[0]).mean())
    information = float(log_exact.mean()) + box
    assert -0.02 < missing < 0.1 * information

    draws = posterior.sample(400, x, generator=generator)
    assert bool(((draws > LOW) & (draws < HIGH)).all())
    unit = ((draws.mean(dim=0) - LOW) / (HIGH - LOW)).numpy()
    assert abs(unit - exact.mean()).mean() < 0.2 * exact.std().mean()


def test_the_density_is_one_and_that_of_the_draws(posterior, generator):
    x = LOW + torch.tensor([0.3, 0.9]) * (HIGH - LOW)
    n = 150
    middle = (torch.arange(n) + 0.5) / n
    grid = LOW + torch.cartesian_prod(middle, middle) * (HIGH - LOW)
    density = posterior.log_prob(grid[None], x[None])[0].exp()
    cell = float((HIGH - LOW).prod()) / n**2
    assert float(density.sum()) * cell == pytest.approx(1.0, abs=0.02)
    mean = (density[:, None] * grid).sum(dim=0) * cell
    draws = posterior.sample(4000, x, generator=generator)
    assert bool(((mean - draws.mean(dim=0)).abs() < 0.1 * draws.std(dim=0)).all())


def test_ranks_and_coverage_see_what_is_wrong(posterior, generator):
    theta, x = problem(500, generator)
    draws = posterior.sample(400, x, generator=generator)
    assert draws.shape == (400, 500, 2)
    mean = draws.mean(dim=0)
    references = LOW + (HIGH - LOW) * torch.rand(500, 2, generator=generator)

    def p_values(draws):
        unit = [(t - LOW) / (HIGH - LOW) for t in (draws, theta, references)]
        ranks = inference.ranks(draws, theta).T.numpy()
        tarp = inference.coverage(*unit).numpy()
        return [stats.kstest(values, "uniform").pvalue for values in (*ranks, tarp)]

    assert min(p_values(draws)) > 1e-3
    assert max(p_values(mean + (draws - mean) / 2)) < 1e-3  # overconfident
    assert max(p_values(mean + (draws - mean) * 2)) < 1e-3  # not confident enough
    assert max(p_values(draws + draws.std(dim=0))[:2]) < 1e-3  # biased


def test_the_prior_passes_ranks(generator):
    theta = torch.rand(500, 2, generator=generator)
    prior = torch.rand(400, 500, 2, generator=generator)
    ranks = inference.ranks(prior, theta).numpy()
    assert min(stats.kstest(column, "uniform").pvalue for column in ranks.T) > 1e-3


def test_the_seed_decides(generator):
    theta, x = problem(200, generator)
    draws = [
        inference.train_posterior(
            theta, x, LOW, HIGH, generator=torch.Generator().manual_seed(seed), stop_after_epochs=1
        ).sample(3, x[:2], generator=torch.Generator().manual_seed(1))
        for seed in (1, 1, 2)
    ]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda theta, x: (theta, x[1:]), "must be"),
        (lambda theta, x: (theta[:, :1], x), "must be"),
        (lambda theta, x: (theta, x.log()), "NaN or infinity"),
        (lambda theta, x: (theta + 5, x), "not between low and high"),
        (lambda theta, x: (theta * math.nan, x), "not between low and high"),
    ],
)
def test_wrong_simulations_are_refused(generator, change, says):
    with pytest.raises(ValueError, match=says):
        inference.train_posterior(*change(*problem(50, generator)), LOW, HIGH, generator=generator)
