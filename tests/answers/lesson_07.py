"""Answers to the exercises of lesson 07: other right routes, and wrong ones that no table holds."""

import numpy as np
import torch
from scipy.special import expit, log_expit
from scipy.special import softmax as softmax_of_scipy
from torch.nn.functional import binary_cross_entropy_with_logits

from course.checks import lesson_07 as check


def gaussians_around_the_middle(mean_0, mean_1, sigma, share):
    slope = (mean_1 - mean_0) / sigma**2
    return [-slope * (mean_0 + mean_1) / 2 + np.log(share) - np.log1p(-share), slope]


def loss_by_signed_margin(z, y):
    return -log_expit(np.where(y == 1, z, -z)).sum()


def loss_by_torch(z, y):
    z, y = torch.as_tensor(z), torch.as_tensor(y)
    return binary_cross_entropy_with_logits(z, y, reduction="sum")


def gradient_by_autograd(b, X, y):
    b = torch.tensor(b, requires_grad=True)
    loss_by_torch(torch.as_tensor(X) @ b, y).backward()
    return b.grad


def gradient_by_loop(b, X, y):
    return sum((1 / (1 + np.exp(-row @ b)) - label) * row for row, label in zip(X, y, strict=True))


def epoch(order, first=lambda n, size: size):
    """One epoch in an order, a function of a generator and the number of samples."""

    def one_epoch(b, X, y, rate, size, generator):
        for batch in np.split(order(generator, len(y)), range(first(len(y), size), len(y), size)):
            b = b - rate * np.mean((expit(X[batch] @ b) - y[batch])[:, None] * X[batch], axis=0)
        return b

    return one_epoch


def epoch_by_shuffle(b, X, y, rate, size, generator):
    generator.shuffle(order := np.arange(len(y)))
    return epoch(lambda generator, n: order)(b, X, y, rate, size, generator)


def epoch_in_place(b, *rest):
    b += check.one_epoch.reference()(b, *rest) - b
    return b


def epoch_of_two_orders(b, X, y, *rest):
    return check.one_epoch.reference()(b, X, rest[2].permutation(y), *rest)


def objective_by_norm(b, X, y, strength, p):
    loss = torch.logaddexp(torch.zeros_like(y), X @ b) - y * (X @ b)
    return (loss.mean() + strength * torch.linalg.vector_norm(b[1:], p) ** p)[None]


def penalty_outside_torch(b, X, y, strength, p):
    loss = binary_cross_entropy_with_logits(X @ b, y)
    return loss + strength * np.sum(np.abs(b[1:].detach().numpy()) ** p)


def choose_by_loop(strengths, scores):
    mean = scores.mean(1)
    best = max(range(len(mean)), key=lambda k: mean[k])
    limit = mean[best] - np.sqrt(scores[best].var(ddof=1) / len(scores[best]))
    return min(C for C, m in zip(strengths, mean, strict=True) if m >= limit)


def choose_by_another_error(strengths, scores):
    mean = scores.mean(axis=1)
    error = np.std(scores[mean.argmax()]) / np.sqrt(scores.shape[1])  # numpy's own, without ddof
    return strengths[mean >= mean.max() - error][:1]


OTHER_ROUTES = [
    (check.two_gaussians, gaussians_around_the_middle),
    (check.loss, loss_by_signed_margin),
    (check.loss, loss_by_torch),
    (check.gradient, gradient_by_autograd),
    (check.gradient, gradient_by_loop),
    (check.one_epoch, epoch_by_shuffle),
    (check.one_epoch, epoch(lambda generator, n: generator.random(n).argsort())),
    (check.objective, objective_by_norm),
    (check.choose_c, choose_by_loop),
    (check.choose_c, choose_by_another_error),
    (check.softmax, lambda z: softmax_of_scipy(z, axis=1)),
    (check.softmax, lambda z: torch.softmax(torch.as_tensor(z).float(), 1)),
]

WRONG = [
    (check.two_gaussians, lambda m, n, sigma, share: (n - m) / sigma**2, "Expected 2 things"),
    (check.two_gaussians, lambda m, n, sigma, share: (0.0, 1.0), "Bayes' theorem gives"),
    (check.loss, lambda z, y: loss_by_torch(np.clip(z, -30, 30), y), "Right for small margins"),
    (check.loss, lambda z, y: 0.0, "margins and labels of our own"),
    (check.gradient, lambda b, X, y: np.ones(len(b)), "one of the components"),
    (check.one_epoch, epoch_in_place, "work on a copy"),
    (check.one_epoch, epoch(lambda generator, n: generator.integers(0, n, n)), "never used"),
    (check.one_epoch, epoch_of_two_orders, "same order"),
    (check.one_epoch, epoch(lambda g, n: np.append(g.permutation(n - 1), n - 1)), "finds 6 of"),
    (
        check.one_epoch,
        epoch(np.random.Generator.permutation, lambda n, k: n % k or k),
        "but the last",
    ),
    (check.one_epoch, epoch(lambda generator, n: np.arange(n)), "every time"),
    (check.one_epoch, lambda b, X, y, *rest: b + y - 0.5, "for one of the coefficients"),
    (check.objective, penalty_outside_torch, "Stay in torch"),
    (check.objective, lambda *given: check.objective.reference()(*given).item(), "cannot differ"),
    (check.objective, lambda b, X, y, strength, p: b.sum(), "apart"),
    (check.choose_c, lambda strengths, scores: scores.mean(axis=1).max(), "that were given"),
    (check.choose_c, lambda strengths, scores: strengths[0], "less the standard error"),
    (check.softmax, lambda z: np.full(z.shape, 0.25), "a probability of"),
]
