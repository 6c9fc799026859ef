"""Checks of lesson 07: choosing a (simple) algorithm and fitting it."""

import warnings

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from . import Hint, array, exercise, explained, function, number

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
    slope = (mean_1 - mean_0) / sigma**2
    intercept = np.log(share / (1 - share)) - (mean_1**2 - mean_0**2) / (2 * sigma**2)
    return intercept, slope


@exercise("Exercise 7.1", reference=lambda: _two_gaussians)
def two_gaussians(answer):
    """A function: means of class 0 and 1, width, share of class 1 -> b0, b1."""
    answer = function(answer)
    for mean_0, mean_1, sigma, share in ((1.2, 0.5, 0.25, 0.3), (-1.0, 2.0, 1.5, 0.8)):
        value = answer(mean_0, mean_1, sigma, share)
        if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
            raise Hint("Expected two numbers from your function: b0 and b1.")
        b0, b1 = (number(part, "a coefficient") for part in value)
        # The posterior by Bayes' theorem at two places gives the line without any algebra.
        x = np.array([mean_0, mean_1])
        log_odds = np.log(share / (1 - share)) + np.subtract(
            norm(mean_1, sigma).logpdf(x), norm(mean_0, sigma).logpdf(x)
        )
        slope = np.diff(log_odds)[0] / (mean_1 - mean_0)
        intercept = log_odds[0] - slope * mean_0
        if np.allclose([b0, b1], [intercept, slope], rtol=1e-6):
            continue
        prior = np.log(share / (1 - share))
        if np.allclose([b1, b0], [intercept, slope], rtol=1e-6):
            raise Hint("b0 first, b1 second.")
        if np.allclose([b0, b1], [-intercept, -slope], rtol=1e-6):
            raise Hint(
                "That is the posterior of class 0: both signs are the other way round for class 1."
            )
        if np.isclose(b1, -slope, rtol=1e-6):
            raise Hint("The sign of b1: if class 1 has the larger mean, larger x speak for it.")
        if np.isclose(b1, slope * sigma, rtol=1e-6):
            raise Hint("b1 has the unit 1/x, a difference of means over a variance: σ² below.")
        if np.isclose(b1, slope / 2, rtol=1e-6) or np.isclose(b1, slope * 2, rtol=1e-6):
            raise Hint("b1 is off by 2: the mixed terms of both squares are -2xμ, over 2σ².")
        if np.isclose(b1, slope, rtol=1e-6):
            if np.isclose(b0, intercept - prior, rtol=1e-6):
                raise Hint("The slope is right; b0 lacks the prior, the log odds of the share.")
            for odds in (share, share / (1 - share), np.log(share), -prior):
                if np.isclose(b0, intercept - prior + odds, rtol=1e-6):
                    raise Hint(
                        "The slope is right; the prior enters b0 as the logarithm of share / (1 - share)."
                    )
            raise Hint(
                "The slope is right; set x = 0 in the formula: what is left of the two squares is b0's."
            )
        raise Hint(
            f"For means {mean_0:g} and {mean_1:g}, σ = {sigma:g} and a share of {share:g}, Bayes' theorem gives "
            f"b0 = {intercept:.3f} and b1 = {slope:.3f}; yours gives {b0:.3f} and {b1:.3f}."
        )


def _loss(z, y):
    return np.sum(np.logaddexp(0, z) - y * z)


@exercise("Exercise 7.2", reference=lambda: _loss)
def loss(answer):
    """A function: margins (n,), labels (n,) -> summed negative log likelihood."""
    answer = function(answer)
    generator = np.random.default_rng(72)
    z = generator.normal(0, 2, 40)
    y = (generator.random(40) < 0.4).astype(float)
    p = 1 / (1 + np.exp(-z))
    terms = -np.where(y == 1, np.log(p), np.log(1 - p))
    value = answer(z.copy(), y.copy())
    if np.shape(value) == (40,):
        raise Hint("Your function returns one number per sample: sum them.")
    found, right = number(value, "a summed loss"), terms.sum()
    if not np.isclose(found, right, rtol=1e-6):
        if np.isclose(found, terms.mean(), rtol=1e-6):
            raise Hint("That is the mean; the likelihood is a product, so its logarithm is a sum.")
        if np.isclose(found, -right, rtol=1e-6):
            raise Hint("The sign: a loss is the *negative* log likelihood, and never below zero.")
        if np.isclose(found, right / np.log(2)) or np.isclose(found, right / np.log(10)):
            raise Hint("Take the natural logarithm, np.log.")
        if np.isclose(found, terms[y == 1].sum(), rtol=1e-6):
            raise Hint("Only the ones are counted: where y = 0, the loss is -ln(1 - p).")
        if np.isclose(found, np.sum(np.where(y == 1, -np.log(1 - p), -np.log(p))), rtol=1e-6):
            raise Hint(
                "Ones and zeros are exchanged: z = +10 with y = 1 is right and should cost nothing."
            )
        if np.isclose(found, np.sum((y - p) ** 2), rtol=1e-6):
            raise Hint(
                "That is the squared error; the loss of a Bernoulli draw is -ln p or -ln(1 - p)."
            )
        raise Hint(f"For 40 random margins and labels we find {right:.3f}, and you {found:.3f}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the overflow is what we look for
        for margin, label, expected in (
            (-1000.0, 1.0, 1000.0),
            (1000.0, 0.0, 1000.0),
            (1000.0, 1.0, 0.0),
            (-1000.0, 0.0, 0.0),
        ):
            value = answer(np.array([margin]), np.array([label]))
            if not (np.isfinite(value) and np.isclose(value, expected, rtol=1e-6, atol=1e-6)):
                raise Hint(
                    f"Right for small margins, but z = {margin:g} with y = {label:g} costs {expected:g}, and yours "
                    f"gives {float(value):g}: -ln p = ln(1 + exp(-z)), and np.logaddexp(0, -z) is that, safely."
                )


def _gradient(b, X, y):
    return X.T @ (expit(X @ b) - y)


@exercise("Exercise 7.3", reference=lambda: _gradient)
def gradient(answer):
    """A function: coefficients (k,), X (n, k), labels (n,) -> gradient of the summed loss (k,)."""
    answer = function(answer)
    generator = np.random.default_rng(73)
    for n, k in ((30, 4), (25, 2)):
        X = np.column_stack([np.ones(n), generator.normal(size=(n, k - 1))])
        b = generator.normal(size=k)
        y = (generator.random(n) < 0.4).astype(float)
        small = 1e-5 * np.eye(k)
        right = np.array(
            [(_loss(X @ (b + d), y) - _loss(X @ (b - d), y)) / 2e-5 for d in small]
        )  # by finite differences of the loss
        value = answer(b.copy(), X.copy(), y.copy())
        if np.shape(value) == ():
            raise Hint("One number: the gradient has one component for each coefficient.")
        if np.shape(value) == (n,):
            raise Hint("That is one number per sample: X.T carries it back to the coefficients.")
        found = array(value, (k,), "a gradient")
        if np.allclose(found, right, rtol=1e-4, atol=1e-4):
            continue
        p = expit(X @ b)
        for wrong, hint in (
            (-right, "The sign: the gradient points uphill, along prediction minus truth."),
            (right / n, "That is the gradient of the mean; our loss is a sum."),
            (X.T @ p, "The truth is missing: a sample that is predicted right should not pull."),
            (
                X.T @ (X @ b - y),
                "That is the gradient of the straight line: compare y with p, not with z.",
            ),
            (
                X.T @ ((p - y) * p * (1 - p)),
                "The factor p(1 - p) cancels against the derivative of the logarithm.",
            ),
        ):
            if np.allclose(found, wrong, rtol=1e-4, atol=1e-4):
                raise Hint(hint)
        raise Hint(
            f"Finite differences of the loss give {np.round(right, 2)} and you {np.round(found, 2)}: write the "
            "derivative of one sample's term with respect to z, and multiply it by its row of X."
        )


def _one_epoch(b, X, y, rate, size, generator):
    order = generator.permutation(len(y))
    for start in range(0, len(y), size):
        batch = order[start : start + size]
        b = b - rate * _gradient(b, X[batch], y[batch]) / len(batch)
    return b


@exercise("Exercise 7.4", reference=lambda: _one_epoch)
def one_epoch(answer):
    """A function: b (k,), X (n, k), y (n,), rate, batch size, generator -> b after one epoch (k,)."""
    answer = function(answer)

    def run(b, X, y, rate, size, seed=0):
        given = b.copy(), X.copy(), y.copy()
        found = answer(*given, rate, size, np.random.default_rng(seed))
        found = array(found, b.shape, "coefficients")
        if not np.array_equal(given[0], b):
            raise Hint(
                "Your function changes the b that it was given: write b = b - ..., since b -= ... works in place."
            )
        return found

    # If every sample has a coefficient of its own, each of these tells what its sample did.
    n, rate = 12, 0.01
    X, y = np.eye(n), np.tile([1.0, 0.0], n // 2)
    alone = run(np.zeros(n), X, y, rate, 1) / (rate / 2)
    if np.allclose(alone, 0):
        raise Hint("The coefficients did not move.")
    if np.allclose(np.sign(alone), -np.sign(y - 0.5)):
        raise Hint("Uphill: step against the gradient.")
    if not (np.sign(alone[alone != 0]) == np.sign(y - 0.5)[alone != 0]).all():
        raise Hint("Features and labels went different ways: shuffle both with the same order.")
    if np.isclose(alone, 0).any():
        raise Hint(
            f"Of {n} samples, {np.isclose(alone, 0).sum()} were never used: shuffle once, then walk through all."
        )
    if not np.allclose(np.abs(alone), 1, rtol=0.02):
        raise Hint(
            "With batches of one, each sample should be used once, with a step of rate times its gradient."
        )
    batches = np.abs(run(np.zeros(n), X, y, rate, 5) / (rate / 2))
    if np.isclose(batches, 0).any():
        raise Hint("The last batch may be smaller than the others, but it counts as well.")
    if np.allclose(batches, 1, rtol=0.02):
        raise Hint("Step along the *mean* gradient of the batch, not along its sum.")
    if np.allclose(np.sort(batches), 1 / 5, rtol=0.02):
        raise Hint("The mean of the last batch is over as many samples as it has.")
    if np.allclose(batches, 1 / n, rtol=0.02):
        raise Hint("Divide by the number of samples in the batch, not in the whole set.")
    if not np.allclose(np.sort(batches), [1 / 5] * 10 + [1 / 2] * 2, rtol=0.02):
        raise Hint(
            "With 12 samples and size = 5, expected batches of 5, 5 and 2; yours were others."
        )
    last = [
        tuple(np.abs(run(np.zeros(n), X, y, rate, 5, seed)) > 0.3 * rate / 2)
        for seed in (*range(6), *range(6))
    ]
    if len(set(last)) == 1:
        raise Hint("The order is the same every time: shuffle with `generator`.")
    if last[:6] != last[6:]:
        raise Hint(
            "Equal generators shuffle differently, so that nobody can repeat it: use `generator`."
        )
    # Equal samples: whatever the order, each step starts where the one before ended.
    X, y = np.ones((4, 1)), np.ones(4)
    expected = np.zeros(1)
    for _ in range(4):
        expected = expected + 1.0 * (1 - expit(expected))
    found = run(np.zeros(1), X, y, 1.0, 1)
    if np.isclose(found, 4 * 0.5):
        raise Hint("Each batch should start from where the one before ended, not from the first b.")
    if not np.allclose(found, expected, rtol=1e-6):
        raise Hint(
            f"Four equal samples in batches of one, rate 1, should lead to {expected[0]:.3f}, and yours to "
            f"{found[0]:.3f}."
        )


def _objective(b, X, y, strength, p, before=lambda z: z):
    import torch

    fidelity = torch.nn.functional.binary_cross_entropy_with_logits(before(X @ b), y)
    return fidelity + strength * (b[1:].abs() ** p).sum()


@exercise("Exercise 7.5", reference=lambda: _objective)
def objective(answer):
    """A function: tensors b (k,), X (n, k), y (n,), strength, p -> penalised mean loss, a tensor."""
    import torch

    answer = function(answer)
    generator = np.random.default_rng(75)
    X = torch.as_tensor(np.column_stack([np.ones(20), generator.normal(size=(20, 2))]))
    y = torch.as_tensor((generator.random(20) < 0.5).astype(float))
    for p in (1.5, 3.0):
        b = torch.tensor([2.0, -0.7, 1.3], dtype=torch.float64, requires_grad=True)
        torchs = "numpy cannot differentiate: b[1:].abs() and .sum() are torch's own."
        with explained(RuntimeError, {"numpy()": torchs}):
            value = answer(b, X, y, 0.3, p)
        if not isinstance(value, torch.Tensor):
            number(value, "a tensor")
            raise Hint("A tensor is needed, or torch cannot differentiate: no numpy, no .item().")
        if not value.requires_grad:
            raise Hint("The gradient is cut: no .detach(), no .item(), no torch.tensor(...) of b.")
        if bool(torch.isnan(value).any()):
            raise Hint(
                "NaN: take the absolute value before the power, for coefficients may be negative."
            )
        found = number(value.detach(), "a penalised loss")
        right = float(_objective(b, X, y, 0.3, p).detach())
        if np.isclose(found, right, rtol=1e-6):
            slope, wanted = (
                torch.autograd.grad(total, b)[0] for total in (value, _objective(b, X, y, 0.3, p))
            )
            if not torch.allclose(slope, wanted):
                raise Hint(
                    "The number is right, its gradient is not: a part that went through .detach(), .item() or numpy "
                    "is a constant for torch. Stay in torch."
                )
            continue
        part = (b[1:].detach().abs() ** p).sum().item()
        bare = right - 0.3 * part
        for wrong, hint in (
            (bare, "The penalty is missing."),
            (
                _objective(b, X, y, 0.3, p, lambda z: z.sigmoid()).item(),
                "The loss applies the logistic function itself: give it z = X @ b as it is.",
            ),
            (bare + part, "The strength multiplies the penalty."),
            (bare + 0.3 * (part + 2.0**p), "The intercept b[0] goes free: begin the sum at b[1:]."),
            (bare + 0.3 * part ** (1 / p), "No root: the penalty is the sum of |b|^p itself."),
            (bare + 0.3 * part / 2, "Sum over the coefficients; do not average."),
            (bare + 0.3 * part / p, "Without the factor 1/p here: strength times the sum."),
            (20 * bare + 0.3 * part, "The mean loss, please: that is the sum over samples."),
        ):
            if np.isclose(found, wrong, rtol=1e-6):
                raise Hint(hint)
        raise Hint(
            f"For p = {p} we find {right:.4f} and you {found:.4f}: check loss and penalty apart."
        )


def _choose_c(strengths, scores):
    mean = np.mean(scores, axis=1)
    top = np.argmax(mean)
    error = np.std(scores[top], ddof=1) / np.sqrt(scores.shape[1])
    return strengths[np.flatnonzero(mean >= mean[top] - error)[0]]


@exercise("Exercise 7.6", reference=lambda: _choose_c)
def choose_c(answer):
    """A function: strengths (n,), scores (n, n_folds) -> one of the strengths."""
    answer = function(answer)
    strengths = np.logspace(-4, 3, 8)
    # Means that rise slowly to a flat top, and folds whose spread is known.
    pattern = np.array([-1.5, -0.5, 0.0, 0.5, 1.5])
    spread = pattern / pattern.std(ddof=1)
    for means, width in (
        ([0.30, 0.50, 0.66, 0.685, 0.69, 0.70, 0.695, 0.695], 0.05),
        ([0.30, 0.50, 0.62, 0.67, 0.70, 0.71, 0.68, 0.60], 0.06),
        ([0.30, 0.50, 0.62, 0.6875, 0.70, 0.71, 0.68, 0.60], 0.06),
    ):
        scores = np.array(means)[:, None] + width * spread
        scores[:4] = np.array(means)[:4, None] + 0.2 * width * spread  # others scatter less
        found = number(answer(strengths.copy(), scores.copy()), "one of the strengths")
        right = _choose_c(strengths, scores)
        if np.isclose(found, right, rtol=1e-6):
            continue
        mean = scores.mean(axis=1)
        top = np.argmax(mean)
        good = [mean >= mean[top] - error for error in (width, width / np.sqrt(5))]
        if not np.isclose(strengths, found, rtol=1e-6).any():
            if found in range(8):
                raise Hint("That is a position: return the strength that stands there.")
            raise Hint("Expected one of the strengths that were given.")
        if np.isclose(found, strengths[top]):
            raise Hint("That has the best mean; how far can one go to the left within one error?")
        if np.isclose(found, strengths[good[1]][-1]):
            raise Hint("The strongest penalty is the smallest C, not the largest.")
        if np.isclose(found, strengths[good[0]][0]):
            raise Hint("That is the spread of single folds: the error of a mean is smaller by √n.")
        if np.isclose(found, strengths[mean >= mean[top] - width / np.sqrt(8)][0]):
            raise Hint(
                "A mean over 5 folds: its error shrinks by √5, however many strengths there are."
            )
        raise Hint(
            f"We choose {right:g} and you {found:g}: compare the mean over folds of each C with the best mean, less "
            "the standard error of that best one."
        )


def _softmax(z):
    power = np.exp(z - np.max(z, axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


@exercise("Exercise 7.7", reference=lambda: _softmax)
def softmax(answer):
    """A function: margins (n, k) -> probabilities (n, k)."""
    answer = function(answer)
    z = np.random.default_rng(77).normal(0, 2, (6, 4))
    found = array(answer(z.copy()), z.shape, "probabilities")
    power = np.exp(z)
    right = power / power.sum(axis=1, keepdims=True)
    if not np.allclose(found, right, rtol=1e-6):
        if np.allclose(found.sum(axis=0), 1):
            raise Hint("Columns sum to one: it should be rows, axis=1, one pointing each.")
        if np.allclose(found.sum(), 1):
            raise Hint("The whole table sums to one: it should be each row, axis=1.")
        if np.allclose(found, 1 / (1 + np.exp(-z))):
            raise Hint("That is the logistic function of each margin: a row does not sum to one.")
        if np.allclose(found, z / z.sum(axis=1, keepdims=True)):
            raise Hint("Exponentials first; margins may be negative, probabilities may not.")
        if np.allclose(found, power):
            raise Hint("Divide by the sum of the row.")
        if np.allclose(found.sum(axis=1), 1) and np.allclose(
            found, 1 / power / (1 / power).sum(axis=1, keepdims=True)
        ):
            raise Hint("The sign: the largest margin has the largest probability.")
        raise Hint(
            f"For margins {np.round(z[0], 2)} we find {np.round(right[0], 3)} and you {np.round(found[0], 3)}."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the overflow is what we look for
        for shift in (3000.0, -3000.0):
            shifted = np.asarray(answer(z + shift), dtype=float)
            if not np.allclose(shifted, right, rtol=1e-6):
                raise Hint(
                    f"Right, until {shift:+g} is added to all margins: subtract the largest of each row first."
                )
        wide = np.array([[0.0, 3000.0, -3000.0, 1.0]])
        if not np.allclose(np.asarray(answer(wide.copy()), dtype=float), [[0, 1, 0, 0]]):
            raise Hint(
                "Right, until margins of one row differ by thousands: subtract the *largest*, and no power overflows."
            )
        # Rows of very different level: one maximum of the whole table is not enough.
        levels = z + 2000 * np.arange(6)[:, None]
        if not np.allclose(np.asarray(answer(levels), dtype=float), right, rtol=1e-6):
            raise Hint("Subtract the largest margin of each *row*, not that of the whole table.")
