"""Checks of lesson 16: ranks, random points, ensembles, importance weights, MMD, and what to report."""

import math

import numpy as np
import torch

from course.checks import Hint, array, exercise, explained, function, number, sorting
from helpers import diagnostics

__all__ = ["mmd2", "ranks", "report", "tarp", "together", "weigh"]


def _draws(seed, n_draws=20, n_tests=7, n_parameters=3):
    """Draws (S, n, P), truths and references (n, P) between 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    shape = n_tests, n_parameters
    return (
        torch.rand(n_draws, *shape, generator=generator),
        torch.rand(shape, generator=generator),
        torch.rand(shape, generator=generator),
    )


@exercise("Exercise 16.1", reference=lambda: diagnostics.ranks)
def ranks(answer):
    """A function: draws (S, n, P), truths (n, P) -> shares (n, P)."""
    answer = function(answer)
    for seed in (161, 162):
        draws, theta, _ = _draws(seed)
        mask = "Torch takes no mean of a mask: turn it into numbers first, mask.double()."
        with explained(RuntimeError, {"dtype": mask}):
            given = answer(draws.clone(), theta.clone())
        if np.shape(given) == draws.shape[:1] + theta.shape[1:]:
            raise Hint("That is a mean over the tests; each test has a rank of its own: axis 0.")
        if np.shape(given) == draws.shape:
            raise Hint("Those are True and False for each draw; which share of them is True?")
        found = array(given, theta.shape, "shares for each test and parameter")
        right = diagnostics.ranks(draws, theta).numpy()
        if np.allclose(found, right, atol=1e-4):
            continue
        if np.allclose(found, right * len(draws), atol=1e-3):
            raise Hint("Those are numbers of draws; divide by how many there are.")
        if np.allclose(found, 1 - right, atol=1e-4):
            raise Hint("That is the share of draws *above* the truth: count those below it.")
        if np.allclose(found, right * len(draws) / (len(draws) + 1), atol=1e-4):
            raise Hint("Divide by the number of draws, so that a truth above all has rank 1.")
        raise Hint(
            f"For the first test and parameter {right[0, 0]:.2f} of the draws lie below the truth; "
            f"you found {found[0, 0]:.2f}."
        )


@exercise("Exercise 16.2", reference=lambda: diagnostics.coverage)
def tarp(answer):
    """A function: draws (S, n, P), truths (n, P), references (n, P) -> shares (n,)."""
    answer = function(answer)
    for seed in (163, 164):
        draws, theta, references = _draws(seed)
        given = answer(draws.clone(), theta.clone(), references.clone())
        if np.shape(given) == theta.shape:
            raise Hint(
                "That is a share for each parameter: a distance adds up over the parameters, so that "
                "one share is left for each test."
            )
        found = array(given, theta.shape[:1], "a share for each test")
        right = diagnostics.coverage(draws, theta, references).numpy()
        if np.allclose(found, right, atol=1e-4):
            continue
        from_truth = (draws - theta).norm(dim=-1) < (theta - references).norm(dim=-1)
        wrong = {
            "That is the share of draws farther away than the truth: count those inside.": 1
            - right,
            "Those are numbers of draws; divide by how many there are.": right * len(draws),
            "Both distances start at the reference: from it to the draws, and from it to the "
            "truth.": from_truth.double().mean(0).numpy(),
            "Distances are Euclidean: the root of the sum of *squares*.": (
                ((draws - references).abs().sum(-1) < (theta - references).abs().sum(-1))
                .double()
                .mean(0)
                .numpy()
            ),
        }
        for hint, values in wrong.items():
            if np.allclose(found, values, atol=1e-3):
                raise Hint(hint)
        raise Hint(
            f"In the first test {right[0]:.2f} of the draws are nearer to the reference than the truth "
            f"is; you found {found[0]:.2f}."
        )


def _together(log_q):
    return torch.logsumexp(log_q, 0) - math.log(len(log_q))


@exercise("Exercise 16.3", reference=lambda: _together)
def together(answer):
    """A function: logarithms of densities (K, n) -> that of their mean (n,)."""
    answer = function(answer)
    generator = torch.Generator().manual_seed(165)
    for low, members in ((-3.0, 4), (-2000.0, 3)):
        log_q = low - 4 * torch.rand(members, 6, generator=generator)
        right = _together(log_q).numpy()
        given = answer(log_q.clone())
        values = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
        if low < -100 and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Hint(
                "At ln q = -2000 `exp` gives zero, and its logarithm minus infinity: "
                "torch.logsumexp is made for that."
            )
        found = array(given, (6,), "one logarithm for each truth")
        if np.allclose(found, right, rtol=0, atol=3e-3):
            continue
        wrong = {
            "That is the mean of the *logarithms*: one member that is far off would rule the others "
            "out. Average the densities.": log_q.mean(0).numpy(),
            "That is the sum of the densities: their mean is K times less.": right
            + math.log(members),
            "ln K is the natural logarithm, not that to base ten.": (
                right + math.log(members) - math.log10(members)
            ),
            "K is the number of members, len(log_q), and not always 4.": (
                right + math.log(members) - math.log(4)
            ),
            "That is the sum of the logarithms, as if the members were independent data.": (
                log_q.sum(0).numpy()
            ),
            "That is the density itself; return its logarithm.": np.exp(right),
            "In logarithms, dividing by K is subtracting ln K.": (right + math.log(members))
            / members,
        }
        for hint, values in wrong.items():
            if np.allclose(found, values, rtol=1e-5, atol=3e-3):
                raise Hint(hint)
        raise Hint(
            f"Of densities with logarithms {', '.join(f'{v:.2f}' for v in log_q[:, 0])} the mean has "
            f"the logarithm {right[0]:.2f}, and yours {found[0]:.2f}."
        )


def _weigh(log_likelihood, log_q):
    weights = torch.softmax((log_likelihood - log_q).double(), 0)
    return weights, 1 / (weights**2).sum()


@exercise("Exercise 16.4", reference=lambda: _weigh)
def weigh(answer):
    """A function: ln L (n,), ln q (n,) -> weights (n,) that sum to one, and what they are worth."""
    answer = function(answer)
    generator = torch.Generator().manual_seed(166)
    for low in (-5.0, -3000.0):
        log_l = low + 2 * torch.rand(50, generator=generator)
        log_q = 1 + 2 * torch.rand(50, generator=generator)
        given = answer(log_l.clone(), log_q.clone())
        if not isinstance(given, (tuple, list)) or len(given) != 2:
            raise Hint("Return two things: the weights, and how many draws they are worth.")
        if np.shape(given[0]) == () and np.shape(given[1]) == (50,):
            raise Hint("In the other order: first the weights, then what they are worth.")
        values = np.asarray(given[0])
        if low < -100 and values.dtype.kind == "f" and not np.isfinite(values).all():
            raise Hint("All your weights are 0/0: subtract the largest logarithm before `exp`.")
        found = array(given[0], (50,), "a weight for each draw")
        right, worth = (np.asarray(part) for part in _weigh(log_l, log_q))
        total = found.sum()
        if total > 0 and abs(total - 1) > 1e-4 and np.allclose(found / total, right, atol=1e-5):
            raise Hint("The weights have the right proportions; divide by their sum.")
        if not np.allclose(found, right, atol=1e-5):
            wrong = {
                "That leaves out the network: where it drew too often, each draw counts less. "
                "Divide by q.": torch.softmax(log_l, 0),
                "That multiplies by q: draws are already where q is high. Divide by it.": (
                    torch.softmax(log_l + log_q, 0)
                ),
                "That is upside down: the likelihood belongs above, q below.": (
                    torch.softmax(log_q - log_l, 0)
                ),
                "Those are logarithms; return exp of them, normalised.": log_l - log_q,
                "Those are still logarithms: softmax, not log_softmax.": (
                    torch.log_softmax(log_l - log_q, 0)
                ),
            }
            for hint, values in wrong.items():
                if np.allclose(found, values.numpy(), atol=1e-5):
                    raise Hint(hint)
            raise Hint(
                f"Weights are L/q, divided by their sum: the first should be {right[0]:.4f}, and is "
                f"{found[0]:.4f}."
            )
        value = number(given[1], "what the weights are worth")
        if not np.isclose(value, worth, rtol=1e-3):
            if np.isclose(value, worth / 50, rtol=1e-3):
                raise Hint("That is a fraction; return how many of the draws: 1/Σw².")
            if np.isclose(value, 1 / worth, rtol=1e-3):
                raise Hint("That is Σw²: what they are worth is one over it.")
            raise Hint(
                f"Equal weights are worth as many as there are; these 50 are worth 1/Σw² = {worth:.1f}, "
                f"not {value:.1f}."
            )


def _mmd2(a, b, width):
    def alike(u, v):
        return torch.exp(-(torch.cdist(u, v) ** 2) / (2 * width**2)).mean()

    return alike(a, a) + alike(b, b) - 2 * alike(a, b)


def _without_selves(a, b, width):
    """The unbiased estimate, in which no point is a pair with itself, for double precision."""

    def alike(u, v):
        return torch.exp(-((u[:, None] - v) ** 2).sum(-1) / (2 * width**2))

    n, m = len(a), len(b)
    of_a, of_b = ((alike(t, t).sum() - len(t)) / (len(t) * (len(t) - 1)) for t in (a, b))
    return of_a + of_b - 2 * alike(a, b).sum() / (n * m)


@exercise("Exercise 16.5", reference=lambda: _mmd2)
def mmd2(answer):
    """A function: points (n, M), points (m, M), width -> number that can be differentiated."""
    answer = function(answer)
    generator = torch.Generator().manual_seed(167)
    for width in (1.0, 2.5):
        a, b = torch.randn(30, 4, generator=generator), torch.randn(20, 4, generator=generator) + 1
        b.requires_grad_(True)
        gradient = "Features carry a gradient, which numpy and scipy cannot take: stay in torch."
        with explained(RuntimeError, {"requires grad": gradient}):
            given = answer(a, b, width)
        if getattr(given, "ndim", 0) != 0:
            raise Hint(
                "Expected one number: the means go over all pairs, over both axes of the matrix."
            )
        found = number(given, "one number")
        right = _mmd2(a, b, width).item()
        if not any(
            math.isclose(found, r(a, b, width).item(), rel_tol=1e-3, abs_tol=1e-5)
            for r in (_mmd2, _without_selves)
        ):
            raise Hint(_what_is_wrong_with_mmd(found, right, a.detach(), b.detach(), width))
        if not getattr(given, "requires_grad", False):
            raise Hint("The value is right, but its slope is lost: stay in torch, without .item().")


def _what_is_wrong_with_mmd(found, right, a, b, width):
    def of_kernel(kernel, cross=2.0):
        parts = (kernel(torch.cdist(u, v)).mean().item() for u, v in ((a, a), (b, b), (a, b)))
        return sum(f * part for f, part in zip((1, 1, -cross), parts, strict=True))

    def gaussian(d):
        return torch.exp(-(d**2) / (2 * width**2))

    wrong = {
        "The pairs of one of each count twice: minus *two* times their mean.": of_kernel(
            gaussian, 1
        ),
        "The distance in the exponent is squared.": of_kernel(
            lambda d: torch.exp(-d / (2 * width**2))
        ),
        "The width in the exponent is squared, too: 2h².": (
            of_kernel(lambda d: torch.exp(-(d**2) / (2 * width)))
        ),
        "The exponent is -d²/(2h²), with 2h² in brackets: x / 2 * h**2 multiplies by h².": (
            of_kernel(lambda d: torch.exp(-(d**2) / 2 * width**2))
        ),
        "The exponent is -d²/(2h²): where is the 2?": (
            of_kernel(lambda d: torch.exp(-(d**2) / width**2))
        ),
        "The sign is turned: two equal clouds give 0, different ones a positive number.": -right,
        "Leave the root out: MMD² is what we train with.": math.sqrt(right),
        "That is the sum of all similarities; pairs of one of each are *subtracted*.": (
            of_kernel(gaussian, -2)
        ),
        "That compares the means of the clouds only; compare all pairs, through the kernel.": (
            (a.mean(0) - b.mean(0)).square().sum().item()
        ),
    }
    for hint, value in wrong.items():
        if math.isclose(found, value, rel_tol=1e-3, abs_tol=1e-5):
            return hint
    return f"For two clouds of the check MMD² is {right:.4f}, and you found {found:.4f}."


_PAPER, _REPOSITORY, _NONE = "in the paper", "in the repository", "no evidence"
report = sorting(
    "Exercise 16.6",
    {
        "the prior, with its corners, and why": (
            _PAPER,
            "where data say little, the prior speaks: without it no posterior can be read.",
        ),
        "how many simulations, and that half of them give the same posterior": (
            _PAPER,
            "few simulations make overconfident networks, and the reader cannot see it otherwise.",
        ),
        "ranks and coverage of 500 fresh tests, with bands": (
            _PAPER,
            "it is what shows that error bars keep their promise, in the simulator's world.",
        ),
        "a predictive check with a statistic that the network did not see": (
            _PAPER,
            "it asks the data themselves whether the simulator can be right.",
        ),
        "what gain, PSF and dead time do to the result if they are a little wrong": (
            _PAPER,
            "it is the systematic error, which no check of the data shows.",
        ),
        "a comparison with a likelihood or a fit, where one exists": (
            _PAPER,
            "an independent method is the best witness there is.",
        ),
        "simulator, seeds, versions; the posterior in a file that runs no code": (
            _REPOSITORY,
            "a reader needs it to repeat the work, not to follow the argument.",
        ),
        "tables of all runs, those that failed included": (
            _REPOSITORY,
            "it is long, and whoever doubts must be able to look at it.",
        ),
        "the posterior of one mock holds the truth, so it works": (
            _NONE,
            "a wide posterior always does, and a wrong one often.",
        ),
        "the training loss converged, so the posterior is right": (
            _NONE,
            "overconfident networks converge, too; the loss knows the simulations only.",
        ),
        "the ranks are flat, so the simulator is right": (
            _NONE,
            "ranks compare the network with the simulator; the sky does not come in.",
        ),
        "the MMD is small after adaptation, so the parameters are right": (
            _NONE,
            "for another population the MMD fell as well, and the errors rose.",
        ),
    },
)
