"""Checks of lesson 11: interpreting outcomes."""

import math

import numpy as np
import pandas as pd
import torch
from scipy.special import expit
from torch import nn

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, repeatable, sorting

__all__ = [
    "checks_needed",
    "claims",
    "curvature_errors",
    "saliency",
    "shuffled_together",
    "turning_points",
]


def _curvature(X, p, penalty, weights=None, ridge=None):
    """Return the matrix H. Other weights, and another matrix for the penalty, are for the mistakes."""
    weights = p * (1 - p) if weights is None else weights
    ridge = np.diag([0.0] + [1.0] * (X.shape[1] - 1)) if ridge is None else ridge
    return X.T @ (X * weights[:, None]) + penalty * ridge


def _errors(curvature):
    return np.sqrt(np.diag(np.linalg.inv(curvature)))


def _curvature_errors(X, p, penalty):
    """A function: X (n, k), p (n,), penalty -> standard errors (k,)."""
    return _errors(_curvature(X, p, penalty))


def _some_fits():
    generator, fits = np.random.default_rng(111), []
    for n, k, penalty in ((60, 4, 2.5), (400, 6, 0.0)):
        X = np.column_stack(
            [np.ones(n), generator.normal(size=(n, k - 1)) * np.linspace(0.5, 2, k - 1)]
        )
        fits.append((X, expit(X @ np.linspace(0.8, -0.7, k)), penalty))
    return fits


curvature_errors = by_example(
    "Exercise 11.1",
    _curvature_errors,
    _some_fits,
    {
        "Those are variances: the standard errors are their roots.": lambda *fit: (
            _curvature_errors(*fit) ** 2
        ),
        "Invert the whole matrix first and then take its diagonal: with collinear features that makes all the "
        "difference.": lambda *fit: 1 / np.sqrt(np.diag(_curvature(*fit))),
        "The weights are missing: a sure row, p near 0 or 1, says little; p (1 - p).": lambda X, p, penalty: (
            _errors(_curvature(X, p, penalty, np.ones(len(p))))
        ),
        "The penalty bends the valley, too: add it on the diagonal.": lambda X, p, penalty: _errors(
            _curvature(X, p, 0.0)
        ),
        "The weights are p (1 - p): that of a sure row goes to zero at both ends.": lambda X, p, penalty: (
            _errors(_curvature(X, p, penalty, p))
        ),
        "The penalty goes on the diagonal alone (np.eye), not everywhere in H.": [
            lambda X, p, penalty: _errors(
                _curvature(X, p, penalty, ridge=np.pad(np.ones((X.shape[1] - 1,) * 2), (1, 0)))
            ),
            lambda X, p, penalty: _errors(_curvature(X, p, penalty, ridge=1)),
        ],
        "H is a sum over all rows, and knows their number: no further root of n.": lambda X, p, penalty: (
            _curvature_errors(X, p, penalty) / np.sqrt(len(X))
        ),
        "The intercept, the first column, is not penalised.": lambda X, p, penalty: _errors(
            _curvature(X, p, penalty, ridge=np.eye(X.shape[1]))
        ),
        "A deep valley means a small error: the covariance is the inverse of H.": lambda *fit: (
            np.sqrt(np.diag(_curvature(*fit)))
        ),
    },
    returns=forms.array("standard errors"),
    otherwise="With a penalty of {2:g} we find an error of {ours} and you {yours}.",
)


def _shuffled_together(table, columns, generator):
    table, columns = table.copy(), list(columns)
    table[columns] = table[columns].to_numpy()[generator.permutation(len(table))]
    return table


@exercise(
    "Exercise 11.2",
    reference=lambda: _shuffled_together,
    form=forms.function(forms.table(columns=lambda table, *_: table)),
)
def shuffled_together(answer):
    """A function: table, columns, generator -> a copy in which these columns have other rows."""
    for n, columns in ((200, ["b", "a"]), (150, ["c"])):
        place = np.arange(n) + 0.0
        table = pd.DataFrame({"a": place + 0.5, "b": place - 7, "c": place * 2, "d": "S1"})
        table.loc[40:44, ["a", "b"]] = table.loc[place % 5 < 2, "c"] = np.nan
        table.loc[::3, "d"] = "S2"
        table.index = np.arange(n)[::-1] + 1000  # assignment by index would undo the shuffling
        found = answer(table, columns, np.random.default_rng(1))
        if list(found.columns) != list(table.columns) or len(found) != n:
            raise Hint("Expected all columns and all rows of the table that was given.")
        after, before = (t.reset_index(drop=True).drop(columns=columns) for t in (found, table))
        if not after.equals(before):
            raise Hint("The other columns must stay as they are, row by row, in value and type.")
        if not found.index.equals(table.index):
            raise Hint("The index must stay as it is: only values move.")
        if np.nanmax(np.abs(found["b"] - found["a"] - 7.5)) < 1e-6:
            raise Hint("Two columns have changed names: give each the values of its own.")
        for name in columns:
            if not np.array_equal(np.sort(found[name]), np.sort(table[name]), equal_nan=True):
                raise Hint(
                    "Every value must come back once, and so must each nan: a permutation, drawn without replacement."
                )
        stay = [np.isclose(found[x], table[x], equal_nan=True).mean() for x in columns]
        if min(stay) > 0.9:
            raise Hint(
                "All rows still have their own values. (pandas puts a shuffled table back in order by its index: "
                "assign the bare numbers, `.to_numpy()`.)"
            )
        if max(stay) > 0.3:
            raise Hint("Some values have not moved: all rows of all given columns change places.")
        steps = np.diff(found[columns[0]]) % (2 * n if columns == ["c"] else n)
        if np.mean(steps == np.nanmedian(steps)) > 0.3:
            raise Hint(
                "Rows that were neighbours still are: draw an order of all rows, by generator.permutation."
            )
        if len(columns) == 2 and np.nanmax(np.abs(found["a"] - found["b"] - 7.5)) > 1e-6:
            raise Hint(
                "Each column got an order of its own: draw one permutation for all of them, so that twins stay "
                "together."
            )
    repeatable(lambda generator: answer(table.copy(), ["a"], generator))


def _turning_points(x, z, b, low, high):
    """A function: x (k,), z, b (k,), low (k,), high (k,) -> values (k,) at which the call turns."""
    moved = np.full(len(x), np.nan)
    steps = b != 0
    moved[steps] = x[steps] - z / b[steps]
    return np.where((moved >= low) & (moved <= high), moved, np.nan)


def _some_samples():
    x = np.array([0.5, -1.0, 2.0, 0.0, 1.0, 0.3, -0.2])
    b = np.array([2.0, -0.5, 0.1, 0.0, -3.0, 1.0, 1.5])
    low = np.array([-0.25, -6, -2, -4, 0, -1, -0.5])  # the first turns at low, the fifth at high
    high = np.array([4.0, 5, 3, 4, 1.5, 2, 0.5])
    back = (x[:0:-1], -2.0, b[:0:-1], low[:0:-1], high[:0:-1])
    return [(x, 1.5, b, low, high), back, (x, 90.0, b, low, high)]  # nothing turns the last


def _moved(x, z, b):
    return x - z / b


turning_points = by_example(
    "Exercise 11.3",
    _turning_points,
    _some_samples,
    {
        "That is how far to move. We ask where the feature is then: add x.": lambda x, *rest: (
            _turning_points(x, *rest) - x
        ),
        "The sign: moving feature j by d changes z by b_j d, and it must arrive at zero.": [
            lambda x, *rest: 2 * x - _turning_points(x, *rest),
            lambda x, z, b, low, high: _turning_points(x, -z, b, low, high),
        ],
        "A coefficient of zero can never turn the call: NaN there, not infinity.": lambda x, z, b, low, high: (
            _moved(x, z, b)
        ),
        "Outside low and high nature has nothing to offer: NaN there.": [
            lambda x, z, b, low, high: _moved(x, z, np.where(b == 0, np.nan, b)),
            lambda x, z, b, low, high: _turning_points(x, z, b, -np.inf, high),
            lambda x, z, b, low, high: _turning_points(x, z, b, low, np.inf),
        ],
        "A value exactly at low or high is allowed, too.": lambda x, z, b, low, high: (
            _turning_points(x, z, b, np.nextafter(low, np.inf), np.nextafter(high, -np.inf))
        ),
        "NaN outside low and high, not the limit itself: the call does not turn there.": (
            lambda x, z, b, low, high: np.clip(_moved(x, z, np.where(b == 0, np.nan, b)), low, high)
        ),
        "A large coefficient needs a small step: divide by b_j.": [
            lambda x, z, b, low, high: x - z * b,
            lambda x, z, b, low, high: np.where(
                (x - z * b >= low) & (x - z * b <= high), x - z * b, np.nan
            ),
        ],
    },
    returns=forms.array("a value for each feature, NaN where there is none"),
    otherwise="With a log odds of z = {1:g} we find {ours} and you {yours}.",
)


def _saliency(network, x, k):
    """A function: network, x (n, n_bins), class k -> gradients (n, n_bins)."""
    x = x.clone().requires_grad_(True)
    network(x)[:, k].sum().backward()
    return x.grad


def _gradient_of(function):
    """Make a mistake: the gradient of another number than the logit of class k."""

    def answer(network, x, k):
        x = x.clone().requires_grad_(True)
        function(network(x), k).backward()
        return x.grad

    return answer


def _some_networks():
    generator, questions = torch.Generator().manual_seed(114), []
    with torch.random.fork_rng(devices=[]):
        for seed, k, n_bins, n_classes in ((114, 2, 6, 3), (115, 0, 9, 5)):
            torch.manual_seed(seed)
            network = nn.Sequential(nn.Linear(n_bins, 8), nn.Tanh(), nn.Linear(8, n_classes))
            questions.append((network, torch.randn(seed - 109, n_bins, generator=generator), k))
    return questions


def _leaves_it_as_it_was(answer):
    network, *rest = _some_networks()[0]
    answer(network, *rest)
    if not (network.training and all(p.requires_grad for p in network.parameters())):
        raise Hint("The network must stay as it was: with gradients, and in the same mode.")


def _without_gradient(network, x, k):
    x = x.clone()
    network(x)[:, k].sum().backward()
    return x.grad


saliency = by_example(
    "Exercise 11.4",
    _saliency,
    _some_networks,
    {
        "x.grad is empty: a clone must require its gradient before it goes through the network. Or `return` is "
        "missing.": _without_gradient,
        "`backward` begins at one number: sum the logits of class k over the samples first.": _gradient_of(
            lambda logits, k: logits[:, k]
        ),
        "Keep the sign: more power in a bin can speak for a state, or against it.": lambda *given: (
            _saliency(*given).abs()
        ),
        "That is the gradient of all logits together: choose that of class k.": _gradient_of(
            lambda logits, k: logits.sum()
        ),
        "Sum the logits before `backward`: a mean makes each map smaller by n.": _gradient_of(
            lambda logits, k: logits[:, k].mean()
        ),
        "That is the gradient of the probability, which vanishes where the network is sure: take the logit.": (
            _gradient_of(lambda logits, k: logits.softmax(-1)[:, k].sum())
        ),
        "That is gradient times input, another kind of map: the gradient alone.": lambda network, x, k: (
            _saliency(network, x, k) * x
        ),
    },
    returns=forms.tensor("a gradient for each sample and bin"),
    otherwise="Those are not the derivatives of network(x)[:, {2}]: we find {ours} and you {yours}.",
    then=_leaves_it_as_it_was,
)


_whole = forms.number("a number of checks", int)


def _checks_needed(limit, confidence):
    """A function: error rate, confidence -> number of random checks."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - limit))


checks_needed = by_example(
    "Exercise 11.5",
    _checks_needed,
    lambda: [(0.05, 0.95), (0.01, 0.95), (0.1, 0.99), (0.5, 0.75), (0.05, 0.9)],
    {
        "Half a check is none: round up to a whole number.": lambda r, c: (
            math.log(1 - c) / math.log(1 - r)
        ),
        "Round up: with one check fewer the errors would still hide too often.": lambda r, c: (
            math.floor(math.log(1 - c) / math.log(1 - r))
        ),
        "With 2 checks the probability is exactly 1 - confidence, and `at most` holds: round up, do not add 1.": (
            lambda r, c: int(math.log(1 - c) / math.log(1 - r)) + 1
        ),
        "That is the rule of three, a good approximation for 95 %; here we ask for the smallest number, from the "
        "probability itself and for any confidence.": [
            lambda r, c: math.ceil(3 / r - 1e-9),
            lambda r, c: round(3 / r),
            lambda r, c: 3 / r,
        ],
        "Seeing no error must be improbable: as probable as 1 - confidence.": lambda r, c: (
            math.ceil(math.log(c) / math.log(1 - r))
        ),
        "Probabilities of independent checks multiply; they do not add.": lambda r, c: math.ceil(
            c / r - 1e-9
        ),
    },
    returns=lambda value, given=(): _whole(forms.number("a number of checks")(value)),
    otherwise="To exclude {0:.0%} with {1:.0%} confidence takes {ours} checks; yours says {yours}.",
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
