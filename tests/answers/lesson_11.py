"""Answers to the exercises of lesson 11: other right routes, and wrong ones with their hints."""

import math

import numpy as np
import torch

from answers import changed
from course.checks import lesson_11


def errors_by_loops(X, p, penalty):
    k = X.shape[1]
    curvature = np.zeros((k, k))
    for row, q in zip(X, p, strict=True):
        curvature += q * (1 - q) * np.outer(row, row)
    for j in range(1, k):
        curvature[j, j] += penalty
    return np.linalg.inv(curvature).diagonal() ** 0.5


def errors_of(weights=True, invert=True, ridge="right", root=True):
    """Standard errors with one mistake."""

    def answer(X, p, penalty):
        w = p * (1 - p) if weights else np.ones(len(p))
        matrix = X.T @ (X * w[:, None])
        k = X.shape[1]
        matrix = (
            matrix
            + {
                "right": penalty * np.diag([0.0] + [1.0] * (k - 1)),
                "everywhere": penalty * np.eye(k),
                "none": 0,
            }[ridge]
        )
        variance = np.diag(np.linalg.inv(matrix)) if invert else 1 / np.diag(matrix)
        return np.sqrt(variance) if root else variance

    return answer


def errors_with_penalty_everywhere(X, p, penalty):
    matrix = X.T @ (X * (p * (1 - p))[:, None])
    matrix[1:, 1:] += penalty
    return np.sqrt(np.diag(np.linalg.inv(matrix)))


def shuffled_by_take(table, columns, generator):
    order = generator.permutation(len(table))
    parts = {n: table[n].to_numpy()[order] if n in columns else table[n] for n in table}
    return table.assign(**parts)


def shuffled_by_columns(table, columns, generator):
    table = table.copy()
    table[columns] = generator.permutation(table[columns].to_numpy())
    return table


def shuffled_one_by_one(table, columns, generator):
    return table.assign(**{n: generator.permutation(table[n].to_numpy()) for n in columns})


def shuffled_in_place(table, columns, generator):
    order = generator.permutation(len(table))
    table[list(columns)] = table[list(columns)].to_numpy()[order]
    return table


def shuffled_by_index(table, columns, generator):
    table = table.copy()
    table[list(columns)] = table[list(columns)].sample(frac=1, random_state=generator)
    return table


def drawn_with_replacement(table, columns, generator):
    table = table.copy()
    drawn = generator.integers(len(table), size=len(table))
    table[list(columns)] = table[list(columns)].to_numpy()[drawn]
    return table


def whole_rows(table, columns, generator):
    return table.iloc[generator.permutation(len(table))]


def same_order(table, columns, generator):
    return lesson_11._shuffled_together(table, columns, np.random.default_rng(0))


def turning_by_loop(x, z, b, low, high):
    values = []
    for j in range(len(x)):
        new = x[j] - z / b[j] if b[j] else float("nan")
        values.append(new if low[j] <= new <= high[j] else float("nan"))
    return values


def by_autograd_grad(network, x, k):
    x = x.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x)[..., k].sum(), x)
    return gradient


def one_sample_at_a_time(network, x, k):
    return torch.stack([by_row(network, row, k) for row in x])


def by_row(network, row, k):
    row = row.clone().requires_grad_(True)
    network(row[None])[0, k].backward()
    return row.grad


def gradient_of(function):
    """The gradient of another number than the logit of class k."""

    def answer(network, x, k):
        x = x.clone().requires_grad_(True)
        function(network(x), k).backward()
        return x.grad

    return answer


def in_place(network, x, k):
    x.requires_grad_(True)
    network(x)[:, k].sum().backward()
    return x.grad


def clone_without_gradient(network, x, k):
    x = x.clone()
    network(x)[:, k].sum().backward()
    return x.grad


def checks_by_counting(limit, confidence):
    n = 1
    while (1 - limit) ** n > 1 - confidence:
        n += 1
    return n


right_checks = lesson_11._checks_needed

OTHER_ROUTES = [
    (lesson_11.curvature_errors, errors_by_loops),
    (lesson_11.shuffled_together, shuffled_by_take),
    (lesson_11.shuffled_together, shuffled_by_columns),
    (lesson_11.turning_points, turning_by_loop),
    (lesson_11.saliency, by_autograd_grad),
    (lesson_11.saliency, one_sample_at_a_time),
    (lesson_11.checks_needed, checks_by_counting),
]

WRONG = [
    (
        lesson_11.saliency,
        lambda network, x, k: by_autograd_grad(network, x, k).numpy(),
        "a tensor",
    ),
    (lesson_11.curvature_errors, errors_of(root=False), "variances"),
    (lesson_11.curvature_errors, errors_of(invert=False), "whole matrix first"),
    (lesson_11.curvature_errors, errors_of(weights=False), "weights are missing"),
    (lesson_11.curvature_errors, errors_of(ridge="none"), "on the diagonal"),
    (lesson_11.curvature_errors, errors_of(ridge="everywhere"), "not penalised"),
    (
        lesson_11.curvature_errors,
        lambda X, p, penalty: lesson_11._curvature(X, p, penalty).diagonal() ** 0.5,
        "the inverse",
    ),
    (lesson_11.curvature_errors, lambda X, p, penalty: X.std(axis=0), "and you"),
    (lesson_11.curvature_errors, errors_with_penalty_everywhere, "np.eye"),
    (
        lesson_11.curvature_errors,
        lambda X, p, penalty: lesson_11._curvature_errors(X, p, penalty) / np.sqrt(len(X)),
        "no further root",
    ),
    (
        lesson_11.curvature_errors,
        lambda X, p, penalty: errors_of(weights=False)(X * np.sqrt(p)[:, None], p, penalty),
        "p (1 - p)",
    ),
    (lesson_11.shuffled_together, shuffled_one_by_one, "order of its own"),
    (lesson_11.shuffled_together, shuffled_in_place, "work on a copy"),
    (lesson_11.shuffled_together, shuffled_by_index, "bare numbers"),
    (lesson_11.shuffled_together, drawn_with_replacement, "without replacement"),
    (lesson_11.shuffled_together, whole_rows, "other columns must stay"),
    (lesson_11.shuffled_together, same_order, "every time"),
    (
        lesson_11.shuffled_together,
        lambda t, c, g: lesson_11._shuffled_together(t, c, np.random.default_rng()),
        "Equal generators",
    ),
    (lesson_11.shuffled_together, lambda t, c, g: t.copy(), "still have their own"),
    (lesson_11.shuffled_together, lambda t, c, g: t[list(c)].to_numpy(), "Expected a table"),
    (lesson_11.shuffled_together, lambda t, c, g: t[list(c)], "all columns"),
    (
        lesson_11.turning_points,
        lambda x, z, b, lo, hi: lesson_11._turning_points(x, z, b, lo, hi) - x,
        "add x",
    ),
    (
        lesson_11.turning_points,
        lambda x, z, b, lo, hi: 2 * x - lesson_11._turning_points(x, z, b, lo, hi),
        "The sign",
    ),
    (lesson_11.turning_points, lambda x, z, b, lo, hi: x - z / b, "coefficient of zero"),
    (
        lesson_11.turning_points,
        lambda x, z, b, lo, hi: x - z / np.where(b == 0, np.nan, b),
        "nothing to offer",
    ),
    (lesson_11.turning_points, lambda x, z, b, lo, hi: x - z * b, "divide by b_j"),
    (lesson_11.turning_points, lambda x, z, b, lo, hi: z / np.sum(b), "five numbers"),
    (
        lesson_11.saliency,
        lambda net, x, k: lesson_11._saliency(net, x, k).abs(),
        "Keep the sign",
    ),
    (lesson_11.saliency, gradient_of(lambda z, k: z.sum()), "all logits together"),
    (lesson_11.saliency, gradient_of(lambda z, k: z[:, k].mean()), "smaller by n"),
    (lesson_11.saliency, gradient_of(lambda z, k: z.softmax(-1)[:, k].sum()), "probability"),
    (lesson_11.saliency, lambda net, x, k: lesson_11._saliency(net, x, k) * x, "another kind"),
    (lesson_11.saliency, lambda net, x, k: lesson_11._saliency(net, x, 1), "derivatives"),
    (lesson_11.saliency, in_place, "a clone"),
    (lesson_11.saliency, clone_without_gradient, "x.grad is empty"),
    (
        lesson_11.saliency,
        lambda net, x, k: lesson_11._saliency(net, x, k).mean(0),
        "of shape",
    ),
    (lesson_11.checks_needed, lambda r, c: 3 / r + 0.5, "round up"),
    (
        lesson_11.checks_needed,
        lambda r, c: int(math.log(1 - c) / math.log(1 - r)) + 1,
        "do not add 1",
    ),
    (lesson_11.checks_needed, lambda r, c: math.ceil(3 / r - 1e-9), "rule of three"),
    (lesson_11.checks_needed, lambda r, c: right_checks(r, c) - 1, "one check fewer"),
    (lesson_11.checks_needed, lambda r, c: math.ceil(math.log(c) / math.log(1 - r)), "improbable"),
    (lesson_11.checks_needed, lambda r, c: math.ceil(c / r - 1e-9), "multiply"),
    (lesson_11.checks_needed, lambda r, c: 1000, "takes"),
    (lesson_11.claims, changed(lesson_11.claims.reference(), exposure="association"), "change"),
    (lesson_11.claims, changed(lesson_11.claims.reference(), shuffling="cause"), "not seen"),
]
