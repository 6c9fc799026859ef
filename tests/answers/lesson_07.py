"""Answers to the exercises of lesson 07: other right routes, and wrong ones with their hints."""

import numpy as np
import torch
from scipy.special import expit, log_expit
from scipy.special import softmax as softmax_of_scipy

from course.checks import lesson_07


def gaussians_around_the_middle(mean_0, mean_1, sigma, share):
    slope = (mean_1 - mean_0) / sigma**2
    return [-slope * (mean_0 + mean_1) / 2 + np.log(share) - np.log1p(-share), slope]


def loss_by_signed_margin(z, y):
    return -log_expit(np.where(y == 1, z, -z)).sum()


def loss_by_torch(z, y):
    z, y = torch.as_tensor(z), torch.as_tensor(y)
    return torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="sum")


def gradient_by_autograd(b, X, y):
    b = torch.tensor(b, requires_grad=True)
    loss_by_torch(torch.as_tensor(X) @ b, y).backward()
    return b.grad


def gradient_by_loop(b, X, y):
    return sum((1 / (1 + np.exp(-row @ b)) - label) * row for row, label in zip(X, y, strict=True))


def epoch_by_array_split(b, X, y, rate, size, generator):
    order = np.arange(len(y))
    generator.shuffle(order)
    b = np.array(b)
    for batch in np.split(order, range(size, len(y), size)):
        b -= rate * np.mean((expit(X[batch] @ b) - y[batch])[:, None] * X[batch], axis=0)
    return b


def objective_by_norm(b, X, y, strength, p):
    loss = torch.logaddexp(torch.zeros_like(y), X @ b) - y * (X @ b)
    return loss.mean() + strength * torch.linalg.vector_norm(b[1:], p) ** p


def choose_by_loop(strengths, scores):
    mean = scores.mean(1)
    best = max(range(len(mean)), key=lambda k: mean[k])
    limit = mean[best] - np.sqrt(scores[best].var(ddof=1) / len(scores[best]))
    return min(C for C, m in zip(strengths, mean, strict=True) if m >= limit)


OTHER_ROUTES = [
    (lesson_07.two_gaussians, gaussians_around_the_middle),
    (lesson_07.loss, loss_by_signed_margin),
    (lesson_07.loss, loss_by_torch),
    (lesson_07.gradient, gradient_by_autograd),
    (lesson_07.gradient, gradient_by_loop),
    (lesson_07.one_epoch, epoch_by_array_split),
    (lesson_07.objective, objective_by_norm),
    (lesson_07.choose_c, choose_by_loop),
    (lesson_07.softmax, lambda z: softmax_of_scipy(z, axis=1)),
    (lesson_07.softmax, lambda z: torch.softmax(torch.as_tensor(z), 1)),
]


def _p(z):
    return 1 / (1 + np.exp(-z))


def epoch(**changes):
    """One epoch with a learner's mistake in it."""

    def one_epoch(b, X, y, rate, size, generator):
        order = changes.get("order", generator.permutation)(len(y))
        if changes.get("with_replacement"):
            order = generator.integers(0, len(y), len(y))
        labels = generator.permutation(len(y)) if changes.get("apart") else order
        end = len(y) - len(y) % size if changes.get("drop") else len(y)
        first, n = b.copy(), changes.get("n", lambda batch: len(batch))
        for start in range(0, end, size):
            batch = order[start : start + size]
            here = first if changes.get("frozen") else b
            pull = expit(X[batch] @ here) - y[labels[start : start + size]]
            step = rate * changes.get("sign", 1) * (X[batch].T @ pull) / n(batch)
            if changes.get("in_place"):
                b -= step
            else:
                b = b - step
        return b

    return one_epoch


def _bce(b, X, y):
    return torch.nn.functional.binary_cross_entropy_with_logits(X @ b, y)


def spread_of_folds(strengths, scores):
    mean = scores.mean(1)
    return strengths[mean >= mean.max() - scores[mean.argmax()].std(ddof=1)][0]


def largest_good(strengths, scores):
    mean, n = scores.mean(1), scores.shape[1]
    return strengths[mean >= mean.max() - scores[mean.argmax()].std(ddof=1) / n**0.5][-1]


def penalty_outside_torch(b, X, y, strength, p):
    return _bce(b, X, y) + strength * np.sum(np.abs(b[1:].detach().numpy()) ** p)


def error_by_number_of_strengths(strengths, scores):
    mean = scores.mean(axis=1)
    error = scores[mean.argmax()].std(ddof=1) / np.sqrt(len(strengths))
    return strengths[mean >= mean.max() - error][0]


def softmax_from_the_smallest(z):
    power = np.exp(z - z.min(axis=1, keepdims=True))
    return power / power.sum(axis=1, keepdims=True)


WRONG = [
    (lesson_07.two_gaussians, lambda m, n, s, p: (n - m) / s**2, "two numbers"),
    (
        lesson_07.two_gaussians,
        lambda *a: gaussians_around_the_middle(*a)[::-1],
        "b0 first",
    ),
    (
        lesson_07.two_gaussians,
        lambda *a: [-c for c in gaussians_around_the_middle(*a)],
        "class 0",
    ),
    (
        lesson_07.two_gaussians,
        lambda m, n, s, p: (lesson_07._two_gaussians(m, n, s, p)[0], (m - n) / s**2),
        "sign of b1",
    ),
    (
        lesson_07.two_gaussians,
        lambda m, n, s, p: (np.log(p / (1 - p)) - (n**2 - m**2) / (2 * s), (n - m) / s),
        "over a variance",
    ),
    (
        lesson_07.two_gaussians,
        lambda m, n, s, p: (np.log(p / (1 - p)), (n - m) / (2 * s**2)),
        "off by 2",
    ),
    (
        lesson_07.two_gaussians,
        lambda m, n, s, p: ((m**2 - n**2) / (2 * s**2), (n - m) / s**2),
        "lacks the prior",
    ),
    (
        lesson_07.two_gaussians,
        lambda m, n, s, p: (p / (1 - p) + (m**2 - n**2) / (2 * s**2), (n - m) / s**2),
        "logarithm of share",
    ),
    (
        lesson_07.two_gaussians,
        lambda m, n, s, p: (np.log(p / (1 - p)) - (n**2 - m**2) / s**2, (n - m) / s**2),
        "set x = 0",
    ),
    (lesson_07.two_gaussians, lambda m, n, s, p: (0.0, 1.0), "Bayes' theorem gives"),
    (lesson_07.loss, lambda z, y: np.logaddexp(0, z) - y * z, "sum them"),
    (lesson_07.loss, lambda z, y: np.mean(np.logaddexp(0, z) - y * z), "the mean"),
    (
        lesson_07.loss,
        lambda z, y: np.sum(y * np.log(_p(z)) + (1 - y) * np.log(1 - _p(z))),
        "never below zero",
    ),
    (
        lesson_07.loss,
        lambda z, y: -np.sum(y * np.log2(_p(z)) + (1 - y) * np.log2(1 - _p(z))),
        "natural",
    ),
    (lesson_07.loss, lambda z, y: -np.sum(y * np.log(_p(z))), "Only the ones"),
    (lesson_07.loss, lambda z, y: np.sum(np.logaddexp(0, -z) + y * z), "exchanged"),
    (lesson_07.loss, lambda z, y: np.sum((y - _p(z)) ** 2), "squared error"),
    (
        lesson_07.loss,
        lambda z, y: -np.sum(y * np.log(_p(z)) + (1 - y) * np.log(1 - _p(z))),
        "Right for small margins",
    ),
    (lesson_07.loss, lambda z, y: np.sum(np.log(1 + np.exp(z)) - y * z), "Right for small margins"),
    (
        lesson_07.loss,
        lambda z, y: -np.sum(np.log(np.where(y == 1, _p(z), 1 - _p(z)) + 1e-12)),
        "Right for small margins",
    ),
    (lesson_07.loss, lambda z, y: np.sum(np.logaddexp(0, z)), "40 random margins"),
    (lesson_07.gradient, lambda b, X, y: np.sum(_p(X @ b) - y), "One number"),
    (lesson_07.gradient, lambda b, X, y: _p(X @ b) - y, "per sample"),
    (lesson_07.gradient, lambda b, X, y: X.T @ (y - _p(X @ b)), "uphill"),
    (lesson_07.gradient, lambda b, X, y: X.T @ (_p(X @ b) - y) / len(y), "our loss is a sum"),
    (lesson_07.gradient, lambda b, X, y: X.T @ _p(X @ b), "truth is missing"),
    (lesson_07.gradient, lambda b, X, y: X.T @ (X @ b - y), "straight line"),
    (
        lesson_07.gradient,
        lambda b, X, y: X.T @ ((_p(X @ b) - y) * _p(X @ b) * (1 - _p(X @ b))),
        "cancels",
    ),
    (lesson_07.gradient, lambda b, X, y: np.ones(len(b)), "Finite differences"),
    (lesson_07.one_epoch, lambda b, *rest: b, "did not move"),
    (lesson_07.one_epoch, epoch(sign=-1), "Uphill"),
    (lesson_07.one_epoch, epoch(apart=True), "same order"),
    (lesson_07.one_epoch, epoch(with_replacement=True), "never used"),
    (lesson_07.one_epoch, epoch(drop=True), "last batch may be smaller"),
    (lesson_07.one_epoch, epoch(n=lambda batch: 1), "*mean* gradient"),
    (lesson_07.one_epoch, epoch(order=np.arange), "same every time"),
    (
        lesson_07.one_epoch,
        epoch(order=np.random.default_rng(1).permutation),
        "nobody can repeat",
    ),
    (lesson_07.one_epoch, epoch(frozen=True), "where the one before ended"),
    (lesson_07.one_epoch, epoch(in_place=True), "works in place"),
    (
        lesson_07.one_epoch,
        lambda b, X, y, r, size, g: lesson_07._one_epoch(b, X, y, r, len(y), g),
        "each sample should be used once",
    ),
    (
        lesson_07.one_epoch,
        lambda b, X, y, r, size, g: lesson_07._one_epoch(b, X, y, r, 1, g),
        "*mean* gradient",
    ),
    (lesson_07.objective, lambda b, X, y, s, p: _bce(b, X, y), "penalty is missing"),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: _bce(b, X, y) + s * (b.abs() ** p).sum(),
        "goes free",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: _bce(b, X, y) + (b[1:].abs() ** p).sum(),
        "strength multiplies",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: _bce(b, X, y) + s * torch.linalg.vector_norm(b[1:], p),
        "No root",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: _bce(b, X, y) + s * (b[1:].abs() ** p).mean(),
        "do not average",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: _bce(b, X, y) + s * np.sum(np.abs(b[1:]) ** p),
        "numpy cannot",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: lesson_07._objective(b, X, y, s, p, torch.sigmoid),
        "itself: give it z",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: _bce(b, X, y) + s / p * (b[1:].abs() ** p).sum(),
        "factor 1/p",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: lesson_07._objective(b, X, y, s, p).item(),
        "A tensor is needed",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: lesson_07._objective(b.detach(), X, y, s, p),
        "gradient is cut",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: _bce(b, X, y) + s * (b[1:] ** p).sum(),
        "NaN",
    ),
    (
        lesson_07.objective,
        lambda b, X, y, s, p: 20 * _bce(b, X, y) + s * (b[1:].abs() ** p).sum(),
        "mean loss, please",
    ),
    (lesson_07.objective, penalty_outside_torch, "Stay in torch"),
    (lesson_07.choose_c, error_by_number_of_strengths, "shrinks by √5"),
    (lesson_07.choose_c, lambda c, s: c[s.mean(1).argmax()], "best mean"),
    (lesson_07.choose_c, lambda c, s: s.mean(1).argmax(), "position"),
    (lesson_07.choose_c, spread_of_folds, "smaller by √n"),
    (lesson_07.choose_c, largest_good, "not the largest"),
    (lesson_07.choose_c, lambda c, s: s.mean(1).max(), "strengths that were given"),
    (lesson_07.choose_c, lambda c, s: c[0], "less the standard error"),
    (
        lesson_07.softmax,
        lambda z: np.exp(z) / np.exp(z).sum(axis=0),
        "Columns sum",
    ),
    (lesson_07.softmax, lambda z: np.exp(z) / np.exp(z).sum(), "whole table sums"),
    (lesson_07.softmax, _p, "logistic function of each"),
    (lesson_07.softmax, lambda z: z / z.sum(1, keepdims=True), "Exponentials first"),
    (lesson_07.softmax, softmax_from_the_smallest, "the *largest*"),
    (lesson_07.softmax, np.exp, "Divide by the sum"),
    (lesson_07.softmax, lambda z: lesson_07._softmax(-z), "The sign"),
    (
        lesson_07.softmax,
        lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        "added to all margins",
    ),
    (
        lesson_07.softmax,
        lambda z: np.exp(z - z.max()) / np.exp(z - z.max()).sum(1, keepdims=True),
        "each *row*",
    ),
    (lesson_07.softmax, lambda z: np.full(z.shape, 0.25), "we find"),
]
