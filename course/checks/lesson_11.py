"""Checks of lesson 11: interpreting outcomes."""

import math

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from torch import nn

from . import Hint, array, exercise, function, number, sorting

__all__ = [
    "checks_needed",
    "claims",
    "curvature_errors",
    "saliency",
    "shuffled_together",
    "turning_points",
]


def _curvature(X, p, penalty):
    curvature = X.T @ (X * (p * (1 - p))[:, None])
    curvature[1:, 1:] += penalty * np.eye(X.shape[1] - 1)
    return curvature


def _curvature_errors(X, p, penalty):
    return np.sqrt(np.diag(np.linalg.inv(_curvature(X, p, penalty))))


@exercise("Exercise 11.1", reference=lambda: _curvature_errors)
def curvature_errors(answer):
    """A function: X (n, k), p (n,), penalty -> standard errors (k,)."""
    answer = function(answer)
    generator = np.random.default_rng(111)
    for n, penalty in ((400, 0.0), (60, 2.5)):
        X = np.column_stack([np.ones(n), generator.normal(size=(n, 3)) * (0.5, 1, 2)])
        p = expit(X @ (0.5, 1, -0.7, 0.4))
        right = _curvature_errors(X, p, penalty)
        found = array(answer(X.copy(), p.copy(), penalty), (4,), "standard errors")
        if np.allclose(found, right, rtol=1e-6):
            continue
        weighted = X.T @ (X * (p * (1 - p))[:, None])
        ridge = penalty * np.diag([0.0, 1, 1, 1])
        if np.allclose(found, right**2, rtol=1e-6):
            raise Hint("Those are variances: the standard errors are their roots.")
        if np.allclose(found, 1 / np.sqrt(np.diag(weighted + ridge)), rtol=1e-6):
            raise Hint(
                "Invert the whole matrix first and then take its diagonal: with collinear features that "
                "makes all the difference."
            )
        if np.allclose(found, np.sqrt(np.diag(np.linalg.inv(X.T @ X + ridge))), rtol=1e-6):
            raise Hint(
                "The weights are missing: a sure row, p near 0 or 1, says little; p (1 - p)."
            )
        if np.allclose(found, np.sqrt(np.diag(np.linalg.inv(weighted))), rtol=1e-6):
            raise Hint("The penalty bends the valley, too: add it on the diagonal.")
        if np.allclose(found, np.sqrt(np.diag(np.linalg.inv(X.T @ (X * p[:, None]) + ridge)))):
            raise Hint("The weights are p (1 - p): that of a sure row goes to zero at both ends.")
        block = penalty * np.pad(np.ones((3, 3)), (1, 0))
        for spread in (block, penalty):
            if penalty and np.allclose(found, np.sqrt(np.diag(np.linalg.inv(weighted + spread)))):
                raise Hint("The penalty goes on the diagonal alone (np.eye), not everywhere in H.")
        if np.allclose(found * np.sqrt(n), right):
            raise Hint("H is a sum over all rows, and knows their number: no further root of n.")
        everywhere = weighted + penalty * np.eye(4)
        if np.allclose(found, np.sqrt(np.diag(np.linalg.inv(everywhere))), rtol=1e-6):
            raise Hint("The intercept, the first column, is not penalised.")
        if np.allclose(found, np.sqrt(np.diag(_curvature(X, p, penalty))), rtol=1e-6):
            raise Hint("A deep valley means a small error: the covariance is the inverse of H.")
        raise Hint(
            f"For {n} rows and a penalty of {penalty:g} we find {right.round(3)} and you {found.round(3)}."
        )


def _shuffled_together(table, columns, generator):
    table, columns = table.copy(), list(columns)
    table[columns] = table[columns].to_numpy()[generator.permutation(len(table))]
    return table


@exercise("Exercise 11.2", reference=lambda: _shuffled_together)
def shuffled_together(answer):
    """A function: table, columns, generator -> a copy in which these columns have other rows."""
    answer = function(answer)
    n = 200
    table = pd.DataFrame(
        {"a": np.arange(n) + 0.5, "b": np.arange(n) - 7.0, "c": np.arange(n) * 2.0}
    )
    table.index = np.arange(n)[::-1] + 1000  # assignment by index would undo the shuffling
    for columns in (["a", "b"], ["c"]):
        before = table.copy()
        found = answer(table, columns, np.random.default_rng(1))
        again = answer(before.copy(), columns, np.random.default_rng(2))
        if not isinstance(found, pd.DataFrame) or not isinstance(again, pd.DataFrame):
            raise Hint("Expected a table, as pandas has them, with all columns of the one given.")
        if not table.equals(before):
            raise Hint("Your function changes the table that it was given: work on a copy.")
        if list(found.columns) != list(before.columns) or len(found) != n:
            raise Hint("Expected all columns and all rows of the table that was given.")
        others = [name for name in before if name not in columns]
        if not np.array_equal(found[others].to_numpy(), before[others].to_numpy()):
            raise Hint("The other columns must stay as they are, row by row.")
        for name in columns:
            if not np.array_equal(np.sort(found[name]), np.sort(before[name])):
                raise Hint(
                    "Every value must come back once: a permutation, drawn without replacement."
                )
            if np.mean(found[name].to_numpy() == before[name].to_numpy()) > 0.3:
                raise Hint(
                    "Most rows still have their own values. (pandas puts a shuffled table back in order by its "
                    "index: assign the bare numbers, `.to_numpy()`.)"
                )
        if len(columns) == 2 and not np.allclose(found["a"] - found["b"], 7.5):
            raise Hint(
                "Each column got an order of its own: draw one permutation for all of them, so that twins stay "
                "together."
            )
        if not found.equals(answer(before.copy(), columns, np.random.default_rng(1))):
            raise Hint(
                "Equal generators give different orders, so that nobody can repeat it: use `generator`."
            )
        if found.equals(again):
            raise Hint("The same order every time: draw the permutation with `generator`.")


def _turning_points(x, z, b, low, high):
    moved = np.full(len(x), np.nan)
    steps = b != 0
    moved[steps] = x[steps] - z / b[steps]
    return np.where((moved >= low) & (moved <= high), moved, np.nan)


@exercise("Exercise 11.3", reference=lambda: _turning_points)
def turning_points(answer):
    """A function: x (k,), z, b (k,), low (k,), high (k,) -> values (k,) at which the call turns."""
    answer = function(answer)
    x = np.array([0.5, -1.0, 2.0, 0.0, 1.0])
    b = np.array([2.0, -0.5, 0.1, 0.0, -3.0])
    low, high = np.full(5, -4.0), np.full(5, 4.0)
    for z in (1.5, -2.0):
        right = _turning_points(x, z, b, low, high)
        with np.errstate(all="ignore"):
            found = np.asarray(answer(x.copy(), z, b.copy(), low.copy(), high.copy()))
        if found.shape != (5,) or found.dtype.kind not in "fiu":
            raise Hint("Expected five numbers for five features, NaN where there is none.")
        if np.allclose(found, right, equal_nan=True):
            continue
        inside = ~np.isnan(right)
        if np.allclose(found[inside], (right - x)[inside]):
            raise Hint("That is how far to move. We ask where the feature is then: add x.")
        if np.allclose(found[inside], (2 * x - right)[inside]):
            raise Hint(
                "The sign: moving feature j by d changes z by b_j d, and it must arrive at zero."
            )
        if np.allclose(found[inside], right[inside]):
            if np.isinf(found).any():
                raise Hint(
                    "A coefficient of zero can never turn the call: NaN there, not infinity."
                )
            raise Hint("Outside low and high nature has nothing to offer: NaN there.")
        if np.allclose(found[inside], (x - z * b)[inside]):
            raise Hint("A large coefficient needs a small step: divide by b_j.")
        raise Hint(
            f"With a log odds of z = {z:g} we find {right.round(2)} and you {np.round(found, 2)}."
        )


def _saliency(network, x, k):
    x = x.clone().requires_grad_(True)
    network(x)[:, k].sum().backward()
    return x.grad


@exercise("Exercise 11.4", reference=lambda: _saliency)
def saliency(answer):
    """A function: network, x (n, n_bins), class k -> gradients (n, n_bins)."""
    function(answer)
    generator = torch.Generator().manual_seed(114)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(114)
        network = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    x = torch.randn(5, 6, generator=generator)
    before = x.clone()
    for k in (2, 0):
        network.zero_grad()
        value = answer(network, x, k)
        if value is None:
            raise Hint(
                "Your function returns None: either `return` is missing, or x.grad is empty, for a clone "
                "must require its gradient before it goes through the network."
            )
        if not isinstance(value, torch.Tensor) and np.shape(value) == (5, 6):
            raise Hint("Return the gradient as torch has it, a tensor.")
        found = array(value, (5, 6), "a gradient for each sample and bin")
        if x.requires_grad or not torch.equal(x.detach(), before):
            raise Hint("Your function changes the x that it was given: work on a clone of it.")
        right = _saliency(network, before, k).numpy()
        if np.allclose(found, right, atol=1e-5):
            continue
        total = sum(_saliency(network, before, j).numpy() for j in range(3))
        if np.allclose(found, np.abs(right), atol=1e-5):
            raise Hint("Keep the sign: more power in a bin can speak for a state, or against it.")
        if np.allclose(found, total, atol=1e-5):
            raise Hint("That is the gradient of all logits together: choose that of class k.")
        if np.allclose(found * 5, right, atol=1e-5):
            raise Hint("Sum the logits before `backward`: a mean makes each map smaller by n.")
        sample = before.clone().requires_grad_(True)
        network(sample).softmax(-1)[:, k].sum().backward()
        if np.allclose(found, sample.grad.numpy(), atol=1e-5):
            raise Hint(
                "That is the gradient of the probability, which vanishes where the network is sure: take the logit."
            )
        if np.allclose(found, right * before.numpy(), atol=1e-5):
            raise Hint("That is gradient times input, another kind of map: the gradient alone.")
        raise Hint("Those are not the derivatives of network(x)[:, k] with respect to x.")


def _checks_needed(limit, confidence):
    return math.ceil(math.log(1 - confidence) / math.log(1 - limit))


@exercise("Exercise 11.5", reference=lambda: _checks_needed)
def checks_needed(answer):
    """A function: error rate, confidence -> number of random checks."""
    answer = function(answer)
    for limit, confidence in ((0.05, 0.95), (0.01, 0.95), (0.1, 0.99), (0.5, 0.75)):
        right = _checks_needed(limit, confidence)
        found = number(answer(limit, confidence), "a whole number of checks")
        if found != round(found):
            raise Hint("Half a check is none: round up to a whole number.")
        if found == right:
            continue
        if found == right - 1:
            raise Hint("Round up: with one check fewer the errors would still hide too often.")
        if (limit, found) == (0.5, right + 1):
            raise Hint(
                "With 2 checks the probability is exactly 1 - confidence, and `at most` holds: round up, do not add 1."
            )
        if found in (math.ceil(3 / limit), round(3 / limit)):
            raise Hint(
                "That is the rule of three, a good approximation for 95 %; here we ask for the smallest number, "
                "from the probability itself and for any confidence."
            )
        if abs(found - math.log(confidence) / math.log(1 - limit)) <= 1:
            raise Hint("Seeing no error must be improbable: as probable as 1 - confidence.")
        if abs(found - confidence / limit) <= 1:
            raise Hint("Probabilities of independent checks multiply; they do not add.")
        raise Hint(
            f"To exclude {limit:.0%} with {confidence:.0%} confidence takes {right} checks; yours says {found:g}."
        )


claims = sorting(
    "Exercise 11.6",
    {
        "in our 24 sources, pointings with a harder colour have a larger rms": (
            "association",
            "it says what occurs together in the rows at hand, and nothing about other rows or about why.",
        ),
        "shuffling all rms columns together costs X ± Y of the score on held-out sources": (
            "prediction",
            "a score on held-out sources is about what the model makes of samples it has not seen.",
        ),
        "exposure matters for the state of the source": (
            "cause",
            "whoever reads 'matters for the state' expects the state to change with it.",
        ),
        "BH and NS differ in soft colour; the interval over sources excludes zero": (
            "association",
            "two groups differ, with an honest error; what makes them differ is not said.",
        ),
        "with RXTE, a new source will be called right in X to Y of its pointings": (
            "prediction",
            "it is about the next sample.",
        ),
        "the frequencies above 4 Hz make the source leave the hard state": (
            "cause",
            "'make' says what would happen if they were different. No saliency map knows that.",
        ),
    },
)
