"""Test posteriors with known truths, with the observed data, and with a likelihood."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from sbi.diagnostics import calc_misspecification_mmd
from scipy import stats
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from helpers.arguments import refuse_arrays, refuse_outliers, tensor, whole
from helpers.networks import seeded
from helpers.posteriors import Posterior

__all__ = [
    "Calibration", "TooFewError", "anomaly_p", "calibration", "coverage", "credibility",
    "importance_sample", "misspecification_p", "predictive_p", "ranks", "uniform_band",
]  # fmt: skip

_ENOUGH = 100  # smallest number of test sets, and of draws for each of them


class TooFewError(ValueError):
    """Too few test sets or draws for a reliable result; the attribute `estimate` has the result."""

    def __init__(self, message, estimate):
        super().__init__(message, estimate)  # both, so that it can be pickled
        self.estimate = estimate

    def __str__(self):
        return self.args[0]


def _finite(**values):
    refuse_arrays(**values)
    for name, value in values.items():
        rows = value.flatten(1) if value.ndim > 1 else value.reshape(-1, 1)
        if wrong := int((~rows.isfinite()).any(dim=1).sum()):
            what = f"{name} holds NaN or infinity in {wrong} of {len(rows)} rows"
            raise ValueError(f"{what}: find the reason: failed rows are seldom like the others.")


def _alike(draws, dimensions=None, **others):
    """Refuse values that are not finite, or whose shape does not fit the draws (S, ...)."""
    _finite(draws=draws, **others)
    wrong = not draws.numel() or draws.ndim != (dimensions or draws.ndim)
    for name, value in others.items():
        if wrong or value.shape != draws.shape[1:]:
            shapes = f"{name} is {tuple(value.shape)} and draws {tuple(draws.shape)}"
            what = "P" if dimensions else "..."
            raise ValueError(f"{shapes}, not (n, {what}) and (S, n, {what}) with n and S above 0.")


def ranks(draws: Tensor, theta: Tensor) -> Tensor:
    """Compute ranks (n, P): the share of posterior draws (S, n, P) below the truth (n, P).

    Calibrated posteriors give uniform ranks (SBC). This is not sufficient: the prior gives them, too.

    Reference: Talts et al. 2018, arXiv:1804.06788.

    Example:
        >>> ranks(torch.arange(4.0).reshape(4, 1, 1), torch.tensor([[1.5]]))
        tensor([[0.5000]], dtype=torch.float64)
    """
    _alike(draws, theta=theta)
    return (draws < theta).double().mean(dim=0)


def coverage(draws: Tensor, theta: Tensor, references: Tensor) -> Tensor:
    """Compute the share (n,) of draws (S, n, P) that are nearer to a reference (n, P) than the truth.

    For calibrated posteriors it is uniform (tests of accuracy with random points, TARP): each reference
    is the centre of a region that just excludes the truth. Distances are Euclidean: scale the parameters.
    References that depend on the data, not on the truth, also detect a posterior that is the prior.

    Reference: Lemos et al. 2023, arXiv:2302.03026, algorithm 2.

    Example:
        >>> draws = torch.tensor([[[0.1, 0.0]], [[0.9, 0.0]]])
        >>> coverage(draws, torch.tensor([[0.5, 0.0]]), torch.zeros(1, 2))
        tensor([0.5000], dtype=torch.float64)
    """
    _alike(draws, 3, theta=theta, references=references)
    nearer = (draws - references).norm(dim=-1) < (theta - references).norm(dim=-1)
    return nearer.double().mean(dim=0)


def credibility(log_prob: Tensor, log_prob_of_truth: Tensor) -> Tensor:
    """Compute the share (n,) of draws with a higher density log q (S, n) than the truth, log q (n,).

    It is the credibility of the smallest highest-density region that contains the truth, and is uniform
    if calibrated. Its distribution function is the expected coverage: above the diagonal, underconfident.

    Reference: Hermans et al. 2021, arXiv:2110.06581.

    Example:
        >>> credibility(torch.tensor([[0.0], [-1.0], [-2.0], [-3.0]]), torch.tensor([-1.5]))
        tensor([0.5000], dtype=torch.float64)
    """
    # A truth outside the support of the prior has -∞.
    finite = (torch.nan_to_num(t, math.nan, math.inf, 0.0) for t in (log_prob, log_prob_of_truth))
    _alike(next(finite), log_prob_of_truth=next(finite))
    return (log_prob > log_prob_of_truth).double().mean(dim=0)


def uniform_band(n: int, levels: Tensor, probability: float = 0.99) -> tuple[Tensor, Tensor]:
    """Compute lower and upper bounds (m,) of the share of n uniform numbers below each of m levels.

    At each single level the share lies between them with this probability (binomial distribution).

    Example:
        >>> uniform_band(100, torch.tensor([0.5]))
        (tensor([0.3700], dtype=torch.float64), tensor([0.6300], dtype=torch.float64))
    """
    n, share = whole("n", n, 1), tensor("levels", levels).double().cpu().numpy()
    if not (((share >= 0) & (share <= 1)).all() and 0 < probability < 1):
        raise ValueError("levels and probability must be shares, 0 to 1.")
    bounds = np.stack(stats.binom.interval(probability, n, share)) / n
    return tuple(torch.as_tensor(bounds))


class Calibration(NamedTuple):
    """Results of `calibration`, for each of P parameters or for all of them."""

    bias: Tensor  # (P,) mean of (posterior mean - truth)/(posterior standard deviation): 0 if none
    bias_error: Tensor  # (P,) its standard error
    scatter: Tensor  # (P,) standard deviation of the same: 1 if right, larger if too narrow
    sbc_p: Tensor  # (P,) Kolmogorov-Smirnov p-value for uniform ranks
    tarp_p: float  # the same for `coverage`, with random points in the box


def calibration(
    draws: Tensor, theta: Tensor, low: Tensor, high: Tensor, generator=None
) -> Calibration:
    """Test whether posteriors are unbiased and of the right width, with test sets of known truth.

    Args:
        draws: (S, n, P) draws from the posteriors of n test sets, with S and n at least 100.
        theta: (n, P) the truths, drawn from the prior.
        low, high: (P,) corners of the prior, or of a box around all truths; they scale `coverage`.
        generator: torch generator on the CPU, for random points and for ties of ranks.

    Raises:
        TooFewError: if there are fewer test sets or draws; `estimate` has the result.
        ValueError: if shapes differ, values are not finite, truths outside, or posteriors points.

    Example:
        The prior as posterior passes: its ranks are uniform, although it has learned nothing.

        >>> generator = torch.Generator().manual_seed(1)
        >>> theta, draws = (torch.rand(*n, generator=generator) for n in ((500, 1), (200, 500, 1)))
        >>> found = calibration(draws, theta, torch.zeros(1), torch.ones(1), generator)
        >>> bool(found.sbc_p > 0.01), bool(found.bias.abs() < 5 * found.bias_error)
        (True, True)
    """
    _alike(draws, 3, theta=theta)
    _finite(low=low, high=high)
    if {*low.shape, *high.shape} - {1, theta.shape[1]} or low.ndim > 1 or high.ndim > 1:
        raise ValueError(f"low {tuple(low.shape)} and high {tuple(high.shape)} must be (P,).")
    outside = (theta < low) | (theta > high)
    point = (draws.amin(dim=0) == draws.amax(dim=0)) & (len(draws) > 1)
    for wrong, what in (
        (outside, "truths are not between low and high: are they draws of this prior?"),
        (point, "posteriors are a single point: nothing can be learned of them."),
    ):
        if rows := int(wrong.any(dim=1).sum()):
            raise ValueError(f"{rows} of {len(theta)} {what}")
    z = (draws.mean(dim=0) - theta) / draws.std(dim=0)
    reference = torch.rand(theta.shape, generator=generator).to(theta)
    covered = coverage((draws - low) / (high - low), (theta - low) / (high - low), reference)
    sbc_p = [_uniform_p(r, len(draws), generator) for r in ranks(draws, theta).T]
    tarp_p, scatter = _uniform_p(covered, len(draws), generator), z.std(dim=0)
    bias, error = z.mean(dim=0), scatter / len(theta) ** 0.5
    found = Calibration(bias, error, scatter, torch.tensor(sbc_p), tarp_p)
    if min(len(theta), len(draws)) < _ENOUGH:
        raise TooFewError(
            f"{len(theta)} test sets with {len(draws)} draws each cannot tell whether posteriors are "
            f"calibrated: take {_ENOUGH} or more of both, better 500. What these say is in `.estimate`.",
            found,
        )
    return found


def _uniform_p(shares, n_draws, generator):
    # Shares are 0/S, 1/S, ... or S/S, but the test is for continuous numbers: add uniform noise.
    within = torch.rand(shares.shape, generator=generator, dtype=torch.float64)
    spread = (shares.cpu() * n_draws + within) / (n_draws + 1)
    return float(stats.kstest(spread.numpy(), "uniform").pvalue)


def predictive_p(
    samples: Tensor, simulate: Callable, statistic: Callable, observed: Tensor, generator=None
) -> Tensor:
    """Compute posterior predictive p-values: the share of replicas with at least the observed statistic.

    They are conservative, because the posterior has seen the data: p-values concentrate around 1/2.

    Reference: Gelman, Meng & Stern 1996, Statistica Sinica 6, 733.

    Args:
        samples: (n, P) draws from the posterior of the observation.
        simulate: function from theta (n, P) and a generator to n data sets, one for each draw.
        statistic: function from data sets (n, ...) to (n, ...): one p-value for each number.
        observed: one data set.

    Example:
        >>> coin = lambda theta, generator: torch.bernoulli(theta.expand(-1, 20), generator=generator)
        >>> total = lambda data: data.sum(-1)
        >>> samples, heads = torch.full((4000, 1), 0.5), torch.ones(20)
        >>> generator = torch.Generator().manual_seed(1)
        >>> predictive_p(samples, coin, total, heads, generator) < 0.001
        tensor(True)
    """
    _finite(samples=samples)
    data, n = simulate(samples, generator), len(samples)
    if not n or data.shape[1:] != observed.shape:
        shapes = f"{tuple(data.shape)} and {tuple(observed.shape)}, not (n, ...) and (...)"
        raise ValueError(f"Of {n} samples, replicas and observed are {shapes}.")
    replicas, seen = statistic(data), statistic(observed[None])
    _finite(statistic_of_replicas=replicas, statistic_of_the_observed=seen)
    # a statistic that depends on theta has n values for the observed data, too
    usual = replicas.shape[:1] == (n,) and seen.shape[:1] in ((1,), (n,))
    if not usual or replicas.shape[1:] != seen.shape[1:]:
        what = f"The statistic of {n} replicas and of observed[None]"
        shapes = f"{tuple(replicas.shape)} and {tuple(seen.shape)}"
        raise ValueError(f"{what} is {shapes}, not (n, ...).")
    return (replicas >= seen).double().mean(dim=0)


def anomaly_p(features: Tensor, known: Tensor) -> Tensor:
    """Compute the share (n,) of known data whose neighbours are at least as far away as for these data.

    The distance is that to the tenth neighbour; each feature is scaled to a standard deviation of one
    in the known data. A small value means that a data set is unlike all known data, and that its
    posterior cannot be trusted. Each data set is tested alone; `misspecification_p` tests all together.

    Args:
        features: (n, M), such as `Posterior.features` of the observations.
        known: (N, M) the same for simulations that were not trained on, a thousand or more.

    Example:
        >>> known = torch.randn(1000, 2, generator=torch.Generator().manual_seed(1))
        >>> anomaly_p(torch.tensor([[0.0, 0.0], [9.0, 9.0]]), known) < 0.01
        tensor([False,  True])
    """
    new, known, unlike = (t.cpu().numpy() for t in _scaled(features, known, _ENOUGH))
    neighbours = NearestNeighbors(n_neighbors=10).fit(known)
    # The nearest neighbour of a known data set is itself; kneighbors() without data leaves it out.
    typical = np.sort(neighbours.kneighbors()[0][:, -1])
    distance = neighbours.kneighbors(new)[0][:, -1]
    p = 1 - np.searchsorted(typical, distance) / len(typical)
    return torch.as_tensor(np.where(unlike, 0.0, p))


def misspecification_p(features: Tensor, known: Tensor, generator: torch.Generator) -> float:
    """Compute a p-value for the hypothesis that n observations together are like the simulations.

    It compares the maximum mean discrepancy (MMD) of features (n, M) from known ones (N, M), N well
    above n, with that between simulations, as sbi's `calc_misspecification_mmd` does for features.

    Reference: Schmitt et al. 2021, arXiv:2112.08866; Gretton et al. 2012, JMLR 13, 723.

    Example:
        >>> generator = torch.Generator().manual_seed(1)
        >>> known = torch.randn(500, 2, generator=generator)
        >>> misspecification_p(known[:50] + 1, known[50:], generator) < 0.01
        True
    """
    features, known, unlike = _scaled(features, known, max(_ENOUGH, 2 * len(features)))
    if unlike.any():
        return 0.0
    with seeded(generator):
        p, _ = calc_misspecification_mmd(features, known, n_shuffle=500)
    return float(p)


def _scaled(features, known, enough):
    _finite(features=features, known=known)
    if features.ndim != 2 or known.ndim != 2 or features.shape[1] != known.shape[1]:
        shapes = f"features {tuple(features.shape)} and known {tuple(known.shape)}"
        raise ValueError(f"{shapes} must be (n, M) and (N, M).")
    if len(known) < enough or not len(features):
        few = f"{len(known)} known simulations cannot tell whether {len(features)} others are like them"
        raise TooFewError(f"{few}: simulate {max(enough, 1000)} or more.", None)
    refuse_outliers("known", known)
    low, high = known.aminmax(dim=0)
    rounding = 4 * torch.finfo(known.dtype).eps * torch.maximum(low.abs(), high.abs())
    constant = high - low <= rounding  # data that differ there are unlike all known data
    mean, scale = known.mean(dim=0), known.std(dim=0).where(~constant, math.inf)
    unlike = (constant & ((features - low).abs() > 2 * rounding)).any(dim=1)
    return (features - mean) / scale, (known - mean) / scale, unlike


def importance_sample(
    posterior: Posterior, x: Tensor, log_likelihood: Callable, n: int, generator=None
) -> tuple[Tensor, Tensor]:
    """Make draws (n, P) and weights (n,) that correct a neural posterior, where a likelihood exists.

    The weights w ∝ L(θ) p(θ)/q(θ|x) sum to one; the effective sample size is 1/Σ w². See lesson 16.

    Reference: Dax et al. 2023, arXiv:2210.05686; for spectra Barret & Dupourqué 2026, arXiv:2512.16709.

    Args:
        posterior, x: a posterior of `train_posterior`, and one data set.
        log_likelihood: function from θ (n, P) to (n,) ln L of the same data.
        n: number of draws.

    Raises:
        TooFewError: if the effective sample size is below 100: the network's posterior and the
            likelihood disagree. `estimate` has draws and weights.
        ValueError: if x is not one data set, or log_likelihood is not (n,), or is NaN or +∞.
    """
    if tuple(x.shape) != posterior.shape:
        raise ValueError(f"x is {tuple(x.shape)}, but one data set is {posterior.shape}.")
    draws = posterior.sample(n, x, generator=generator)
    log_l = tensor("log_likelihood", log_likelihood(draws), missing=True)
    wrong = int((log_l.isnan() | (log_l == math.inf)).sum())
    if log_l.shape != (n,) or wrong:
        what = f"is {tuple(log_l.shape)}, with {wrong} NaN or +∞"
        raise ValueError(f"log_likelihood of {n} draws {what}: it must be ({n},), finite or -∞.")
    log_weights = log_l - posterior.log_prob(draws[None], x[None])[0]
    if posterior.low is None:  # a uniform prior is constant
        log_weights = log_weights + posterior.prior.log_prob(draws)
    weights = torch.softmax(log_weights.double(), dim=0)
    worth = float(1 / weights.square().sum())
    if not math.isfinite(worth) or worth < _ENOUGH:
        raise TooFewError(
            f"The effective sample size of {n} draws is {worth:.0f}, {_ENOUGH} are needed: take more draws, or "
            "train longer; if that does not help, network and likelihood are for different data. "
            "Draws and weights are in `.estimate`.",
            (draws, weights),
        )
    return draws, weights
