"""Checks of lesson 07: choosing a (simple) algorithm and fitting it."""

import itertools
from functools import partial
from types import SimpleNamespace

import numpy as np
import torch
from scipy import stats
from scipy.special import expit, xlogy
from torch.nn.functional import binary_cross_entropy_with_logits as _mean_loss

from course.checks import Hint, forms
from course.checks.examples import by_example, repeatable
from course.checks.lesson_10 import simplest_good

__all__ = [
    "choose_c",
    "gradient",
    "loss",
    "objective",
    "one_epoch",
    "softmax",
    "two_gaussians",
]


def _two_gaussians(mean_0, mean_1, sigma, share):
    """A function: means of class 0 and 1, width, share of class 1 -> b0, b1."""
    return _line()(mean_0, mean_1, sigma, share)


def _log_odds(share):
    return np.log(share / (1 - share))


def _line(prior=_log_odds, squares=lambda m, n: (n**2 - m**2) / 2, slope=1.0, power=2):
    """Return the line with a mistake in one of its parts."""
    return lambda m, n, sigma, share: (
        prior(share) - squares(m, n) / sigma**power,
        slope * (n - m) / sigma**power,
    )


two_gaussians = by_example(
    "Exercise 7.1",
    _two_gaussians,
    lambda: [(1.2, 0.5, 0.25, 0.7), (-1.0, 2.0, 1.5, 0.2)],
    {
        "b0 first, b1 second.": lambda *given: _two_gaussians(*given)[::-1],
        "That is the posterior of class 0: both signs are the other way round for class 1.": (
            lambda *given: -np.array(_two_gaussians(*given))
        ),
        "The sign of b1: if class 1 has the larger mean, larger x speak for it.": [
            _line(slope=-1),
            _line(slope=-1, squares=lambda m, n: (m**2 - n**2) / 2),
        ],
        "Divide by σ² in both: b1, a difference of means over a variance, has the unit 1/x.": [
            _line(power=1),
            lambda *given: (_two_gaussians(*given)[0], _line(power=1)(*given)[1]),
        ],
        "b1 is off by 2: the mixed terms of both squares are -2xμ, over 2σ².": [
            _line(slope=0.5),
            _line(slope=2),
        ],
        "The slope is right; b0 lacks the prior, the log odds of the share.": _line(np.zeros_like),
        "The slope is right; the prior enters b0 as the logarithm of share / (1 - share).": [
            _line(lambda share: share),
            _line(lambda share: share / (1 - share)),
            _line(np.log),
            _line(lambda share: -_log_odds(share)),
        ],
        "The slope is right; set x = 0 in the formula: what is left of the two squares belongs to b0.": [
            _line(squares=lambda m, n: n**2 - m**2),
            _line(squares=lambda m, n: (m**2 - n**2) / 2),
            _line(squares=lambda m, n: (n - m) ** 2 / 2),
            _line(squares=lambda m, n: 0),
            lambda *given: np.multiply(_two_gaussians(*given), [-1, 1]),
        ],
    },
    returns=forms.tuple_of("b0 and b1", forms.number("b0"), forms.number("b1")),
    otherwise="For means {0:g} and {1:g}, σ = {2:g} and a share of {3:g}, Bayes' theorem gives b{part} = {ours}, and "
    "you {yours}.",
)


def _loss(z, y):
    """A function: margins (n,), labels (n,) -> summed negative log likelihood."""
    return np.sum(np.logaddexp(0, z) - y * z)


def _some_margins():
    generator = np.random.default_rng(72)
    z = generator.normal(0, 2, 40)
    y = (generator.random(40) < 0.4).astype(float)
    return [(z, y), (np.array([-1000.0, 1000, 1000, -1000]), np.array([1.0, 0, 1, 0]))]


_overflow = (
    "Right for small margins; for z = -1000 with y = 1 it should be 1000: -ln p = ln(1 + exp(-z)), and "
    "np.logaddexp(0, -z) is that, safely."
)
loss = by_example(
    "Exercise 7.2",
    _loss,
    _some_margins,
    {
        _overflow: [
            lambda z, y: -np.sum(y * np.log(expit(z)) + (1 - y) * np.log(1 - expit(z))),
            lambda z, y: np.sum(np.log(1 + np.exp(z)) - y * z),
        ],
        "Your function returns one number per sample: sum them.": lambda z, y: (
            np.logaddexp(0, z) - y * z
        ),
        "The likelihood is a product, so its logarithm is a sum: no mean.": lambda z, y: (
            _loss(z, y) / len(y)
        ),
        "A loss is the *negative* log likelihood, and never below zero.": lambda *given: (
            -_loss(*given)
        ),
        "Take the natural logarithm, np.log.": lambda *given: _loss(*given) / np.log(2),
        "Both labels count: where y = 1 the loss is -ln p, where y = 0 it is -ln(1 - p).": [
            lambda z, y: -np.sum(xlogy(y, expit(z))),
            lambda z, y: -np.sum(xlogy(1 - y, expit(-z))),
            lambda z, y: _loss(z, 0),
        ],
        "Ones and zeros are exchanged: z = +10 with y = 1 is right and should cost nothing.": (
            lambda z, y: _loss(z, 1 - y)
        ),
        "That form of the loss wants labels of -1 and 1; ours are 0 and 1.": lambda z, y: np.sum(
            np.logaddexp(0, -y * z)
        ),
        "That is the squared error; the loss of a Bernoulli draw is -ln p or -ln(1 - p).": (
            lambda z, y: np.sum((y - expit(z)) ** 2)
        ),
    },
    returns=forms.number("a summed loss"),
    otherwise="For margins and labels of our own we find {ours}, and you {yours}.",
    signs={_overflow: lambda found, z, y: abs(z).max() > 100},
)


def _gradient(b, X, y):
    """A function: coefficients (k,), X (n, k), labels (n,) -> gradient of the summed loss (k,)."""
    return X.T @ (expit(X @ b) - y)


def _some_rows():
    generator, questions = np.random.default_rng(73), []
    for n, k, size in ((30, 4, 1), (25, 2, 1), (40, 3, 3000)):
        X = np.column_stack([np.ones(n), generator.normal(size=(n, k - 1))])
        questions.append((size * generator.normal(size=k), X, (generator.random(n) < 0.4) * 1.0))
    return questions


gradient = by_example(
    "Exercise 7.3",
    _gradient,
    _some_rows,
    {
        "That is one number per sample: X.T carries it back to the coefficients.": [
            lambda b, X, y: expit(X @ b) - y,
            lambda b, X, y: X @ (expit(X @ b) - y),
            lambda b, X, y: X * (expit(X @ b) - y)[:, None],
        ],
        "The gradient points uphill, along prediction minus truth.": lambda *given: (
            -_gradient(*given)
        ),
        "Our loss is a sum, that is the gradient of a mean.": lambda *given: (
            _gradient(*given) / len(given[2])
        ),
        "The truth is missing: a sample that is predicted right should not pull.": (
            lambda b, X, y: _gradient(b, X, 0)
        ),
        "Compare y with p, not with z as for a straight line.": lambda b, X, y: X.T @ (X @ b - y),
        "The factor p(1 - p) cancels against the derivative of the logarithm.": lambda b, X, y: (
            X.T @ ((expit(X @ b) - y) * expit(X @ b) * expit(-X @ b))
        ),
        "Right for small margins, but np.exp overflows where they are large: `expit` is safe for any z.": (
            lambda b, X, y: X.T @ (np.exp(X @ b) / (1 + np.exp(X @ b)) - y)
        ),
    },
    returns=forms.array("a gradient"),
    otherwise="We find {ours} for one of the components, and you {yours}: differentiate one sample's term with respect "
    "to z, and multiply it by its row of X.",
)


def _one_epoch(b, X, y, rate, size, generator, end=lambda n, size: n, over=len, anew=True):
    """A function: b (k,), X (n, k), y (n,), rate, batch size, generator -> b after one epoch (k,)."""
    order, first = generator.permutation(len(y)), b
    for start in range(0, end(len(y), size), size):
        batch = order[start : start + size]
        b = b - rate * _gradient(b if anew else first, X[batch], y[batch]) / over(batch)
    return b


def _some_samples():
    """Return questions whose results do not depend on the order: one coefficient per sample, or equal samples."""
    apart, alike = np.eye(12), np.tile([1.0, 0.6, -2.0], (5, 1))
    b, y = np.linspace(-1, 1, 12), np.tile([1.0, 0.0], 6)
    return [
        (b, apart, y, 0.5, 4, np.random.default_rng(741)),
        (np.full(12, 0.2), apart, np.ones(12), 0.8, 5, np.random.default_rng(742)),
        (np.array([0.1, -0.2, 0.3]), alike, np.zeros(5), 1.3, 2, np.random.default_rng(743)),
    ]


def _shuffles(answer):
    """Test that equal generators, and only these, give equal shuffles, and that batches are cut from the front."""
    X, y = np.vander(np.linspace(-1, 1, 12), 3), _some_samples()[0][2]
    repeatable(lambda generator: np.float32(answer(np.zeros(3), X, y, 0.5, 1, generator)))
    five = np.zeros(3), np.vander(np.linspace(-1, 1, 5), 3), np.array([1.0, 0, 0, 1, 0]), 0.5, 2
    ways = [o for o in itertools.permutations(range(5)) if o[0] < o[1] and o[2] < o[3]]
    in_order = (SimpleNamespace(permutation=lambda n, o=o: np.array(o)) for o in ways)
    ours = np.array([_one_epoch(*five, order) for order in in_order])
    yours = np.array([answer(*five, np.random.default_rng(seed)) for seed in range(150)])
    off = np.abs(yours[:, None] - ours).max(axis=2)
    if off.min(axis=1).max() > 1e-5:
        raise Hint("All batches have `size` samples but the last, which may be smaller.")
    if (number := len(set(off.argmin(axis=1)))) < 20:
        raise Hint(
            f"There are 30 ways to cut five samples into batches of 2, 2 and 1, and your shuffle finds {number} of "
            "them: draw any order, by generator.permutation(len(y))."
        )


one_epoch = by_example(
    "Exercise 7.4",
    _one_epoch,
    _some_samples,
    {
        "Start from the b that was given.": lambda b, *rest: _one_epoch(0 * b, *rest),
        "Uphill: step against the gradient.": partial(_one_epoch, over=lambda batch: -len(batch)),
        "Step along the *mean* gradient of the batch, not along its sum.": [
            partial(_one_epoch, over=lambda batch: 1),
            lambda *given: _one_epoch(*given[:4], 1, given[5]),
        ],
        "The mean is over the samples of its batch, `size` of them, not over the whole set.": (
            lambda *given: _one_epoch(*given, over=lambda batch: len(given[2]))
        ),
        "The last of your batches is empty, and its mean is NaN: walk in range(0, len(y), size).": (
            partial(_one_epoch, end=lambda n, size: n + 1)
        ),
        "The last batch may be smaller than the others, but it counts as well.": (
            partial(_one_epoch, end=lambda n, size: n - n % size)
        ),
        "The mean of the last batch is over as many samples as it has.": (
            lambda *given: _one_epoch(*given, over=lambda batch: given[4])
        ),
        "Each batch should start from where the one before ended, not from the first b.": (
            partial(_one_epoch, anew=False)
        ),
    },
    returns=forms.array("coefficients"),
    otherwise="After batches of {4} with a rate of {3} we find {ours} for one of the coefficients, and you {yours}.",
    signs={
        "Some samples were never used: shuffle once, then walk through all of them.": (
            lambda found, b, *rest: found.shape == b.shape and np.any(found == b)
        ),
        "Features and labels went different ways: shuffle both with the same order.": (
            lambda found, b, X, y, *rest: len(b) == len(y) and np.any((found - b) * (y - 0.5) < 0)
        ),
    },
    seen=np.sort,
    then=_shuffles,
)


def _objective(b, X, y, strength, p):
    """A function: tensors b (k,), X (n, k), y (n,), strength, p -> penalised mean loss, a tensor."""
    return _penalised(_sum)(b, X, y, strength, p)


def _penalised(penalty, fidelity=_mean_loss):
    return lambda b, X, y, strength, p: fidelity(X @ b, y) + strength * penalty(b, p)


def _sum(b, p):
    return (b[1:].abs() ** p).sum()


def _some_penalties():
    generator, questions = torch.Generator().manual_seed(75), []
    for n, strength, p in ((20, 0.3, 1.5), (15, 0.05, 3.0), (12, 0.8, 0.5)):
        X = torch.randn(n, 4, generator=generator, dtype=torch.float64)
        b = torch.tensor([2.0, -0.7, 1.3, strength], dtype=torch.float64)
        y = (torch.rand(n, generator=generator) < 0.5).double()
        questions.append((b.requires_grad_(), X, y, strength, p))
    return questions


def _gradients(answer):
    for b, *rest in _some_penalties():
        ours, yours = _objective(b, *rest), answer(b, *rest)
        slope = torch.autograd.grad(yours, b, allow_unused=True)[0] if yours.requires_grad else None
        if slope is None:
            raise Hint(
                "The value is right, but torch cannot differentiate it: no numpy, no .detach(), no .item(), no "
                "torch.tensor(...) of b."
            )
        if not torch.allclose(slope, torch.autograd.grad(ours, b)[0], rtol=1e-4):
            raise Hint(
                "The number is right, its gradient is not: a part that went through .detach(), .item() or numpy "
                "is a constant for torch. Stay in torch."
            )


objective = by_example(
    "Exercise 7.5",
    _objective,
    _some_penalties,
    {
        "The penalty is missing.": _penalised(lambda b, p: 0),
        "The loss applies the logistic function itself: give it z = X @ b as it is.": _penalised(
            _sum, lambda z, y: _mean_loss(z.sigmoid(), y)
        ),
        "The strength multiplies the penalty, and nothing else.": [
            lambda b, X, y, strength, p: _objective(b, X, y, 1, p),
            lambda b, X, y, strength, p: strength * _objective(b, X, y, 1 / strength, p),
        ],
        "The intercept b[0] has no penalty: begin the sum at b[1:].": _penalised(
            lambda b, p: (b.abs() ** p).sum()
        ),
        "No root: the penalty is the sum of |b|^p itself.": _penalised(
            lambda b, p: _sum(b, p) ** (1 / p)
        ),
        "Sum over the coefficients; do not average.": _penalised(lambda b, p: _sum(b, p) / 3),
        "No factor 1/p here: strength times the sum.": _penalised(lambda b, p: _sum(b, p) / p),
        "The mean loss, please: that is the sum over samples.": _penalised(
            _sum, partial(_mean_loss, reduction="sum")
        ),
        "NaN: take the absolute value before the power, for coefficients may be negative.": (
            _penalised(lambda b, p: (b[1:] ** p).sum())
        ),
        "numpy cannot differentiate: b[1:].abs() and .sum() are torch's own.": _penalised(
            lambda b, p: np.sum(np.abs(b[1:]) ** p)
        ),
    },
    returns=forms.tensor("a penalised loss", number=True, gradient=True),
    otherwise="For p = {4} we find {ours} and you {yours}: check loss and penalty apart.",
    then=_gradients,
)


def _choose_c(strengths, scores):
    """A function: strengths (n,), scores (n, n_folds) -> one of the strengths."""
    return _within()(strengths, scores)


def _within(
    error=lambda best, scores: stats.sem(best),
    choose=lambda above: np.argmax(above >= 0),
    level=np.mean,
):
    """Choose a strength by the distance of each level from the limit, one error below the highest."""

    def answer(strengths, scores):
        levels = level(scores, axis=1)
        return strengths[choose(levels - levels.max() + error(scores[levels.argmax()], scores))]

    return answer


def _some_scores():
    """Return scores from their losses against the best and their errors, with a gap of 0.01 at the limit."""
    questions = []
    for seed, n, n_folds in ((12, 200, 5), (47, 150, 10)):  # all choices of the table differ
        generator, x = np.random.default_rng(seed), np.linspace(-2, 2, n)
        loss = 0.03 * np.abs(x - 0.8) ** 1.5 + 0.02 * (np.abs(x - 0.41) < 0.03)
        loss += 0.002 * (loss > 0.009)
        error = np.where(loss == loss.min(), 0.01, generator.uniform(0.004, 0.026, n))
        noise = stats.zscore(generator.exponential(size=(n, n_folds)), axis=1, ddof=1)
        scores = 0.7 - loss[:, None] + error[:, None] * np.sqrt(n_folds) * noise
        questions.append((np.logspace(-3, 3, n), scores))
    return questions


choose_c = by_example(
    "Exercise 7.6",
    _choose_c,
    _some_scores,
    {
        "Among *all* C that are within the error, also those beyond a dip: not only the neighbours of the best.": (
            _within(choose=lambda above: np.flatnonzero(above[: above.argmax()] < 0)[-1] + 1)
        ),
        "The error is that of the best mean, one number for all; the others are judged without their own error.": [
            _within(lambda best, scores: stats.sem(scores, axis=1)),
            _within(lambda best, scores: stats.sem(scores, axis=1).max()),
        ],
        "That takes the error of differences between C, as lesson 10 will; here it is that of the best mean.": (
            lambda strengths, scores: strengths[simplest_good.reference()(scores)]
        ),
        "Not the C that comes nearest to the limit, but the smallest above it.": _within(
            choose=lambda above: np.abs(above).argmin()
        ),
        "*One* standard error, not two.": _within(lambda best, scores: 2 * stats.sem(best)),
        "The error of a mean over n folds is smaller by √n than their spread: n = scores.shape[1].": [
            _within(lambda best, scores: best.std(ddof=1) / np.sqrt(len(scores))),
            _within(lambda best, scores: best.std(ddof=1) / np.sqrt(5)),
            _within(lambda best, scores: best.std(ddof=1) / np.sqrt(len(best) - 1)),
        ],
        "That has the best mean; how far can one go to the left within one error?": (
            _within(lambda *scores: 0)
        ),
        "That is a position: return the strength that stands there.": [
            lambda strengths, scores: np.flatnonzero(strengths == _choose_c(strengths, scores)),
            lambda strengths, scores: scores.mean(axis=1).argmax(),
        ],
        "The strongest penalty is the smallest C, not the largest.": _within(
            choose=lambda above: np.flatnonzero(above >= 0)[-1]
        ),
        "That is the spread of single folds: the error of a mean is smaller by √n.": [
            _within(lambda best, scores: best.std(ddof=1)),
            _within(lambda best, scores: best.std()),
        ],
        "Compare the *means* over folds, neither medians nor the best fold of each.": [
            _within(level=np.median),
            _within(level=np.max),
        ],
        "scores has a row for each strength and a column for each fold: the mean over folds is along axis=1.": (
            lambda strengths, scores: strengths[scores.mean(axis=0) >= 0.7]
        ),
    },
    returns=forms.number("one of the strengths"),
    otherwise="We choose {ours} and you {yours}: compare the mean over folds of each C with the best mean, less the "
    "standard error of that best one.",
    signs={
        "Expected one of the strengths that were given.": (
            lambda found, strengths, scores: not np.isclose(strengths, found).any()
        ),
    },
)


def _softmax(z, axis=1):
    """A function: margins (n, k) -> probabilities (n, k)."""
    return _rescaled(np.exp(z - np.max(z, axis=axis, keepdims=True)), axis)


def _rescaled(power, axis=1):
    return power / power.sum(axis=axis, keepdims=True)


def _some_margin_tables():
    z = np.random.default_rng(77).normal(0, 16, (6, 5)).round() / 8  # exact in float32, too
    levels = z[:5, :3] + 2000 * np.arange(5)[:, None]
    return [(z,), (levels,), (z - 3000,), (np.array([[0.0, 3000, -3000, 1]]),)]


softmax = by_example(
    "Exercise 7.7",
    _softmax,
    _some_margin_tables,
    {
        "Right for small margins, until one power overflows: subtract the *largest* of each row first.": [
            lambda z: _rescaled(np.exp(z)),
            lambda z: _rescaled(np.exp(z - z.min(axis=1, keepdims=True))),
            lambda z: _rescaled(np.exp(z - z.mean(axis=1, keepdims=True))),
        ],
        "Columns sum to one: it should be rows, axis=1.": lambda z: _softmax(z, axis=0),
        "The whole table sums to one: it should be each row, axis=1.": lambda z: _softmax(z, None),
        "A row has one maximum and one sum: keepdims=True leaves them a column, which fits all of the row.": (
            lambda z: np.exp(z) / np.exp(z).sum(axis=1)
        ),
        "That is the logistic function of each margin: a row does not sum to one.": expit,
        "That rescales logistic functions, as one-vs-rest does: exponentials, without 1 + ....": (
            lambda z: _rescaled(expit(z))
        ),
        "Exponentials first; margins may be negative, probabilities may not.": _rescaled,
        "Divide by the sum of the row.": [
            np.exp,
            lambda z: np.exp(z - z.max(axis=1, keepdims=True)),
        ],
        "The sign: the largest margin has the largest probability.": lambda z: _softmax(-z),
        "Subtract the largest margin of each *row*, not that of the whole table or of a column.": [
            lambda z: _rescaled(np.exp(z - z.max())),
            lambda z: _rescaled(np.exp(z - z.max(axis=0))),
        ],
    },
    returns=forms.array("probabilities"),
    otherwise="For margins of our own we find a probability of {ours}, and you {yours}.",
)
