"""Answers to the exercises of lesson 11: other right routes, and wrong ones that no table holds."""

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
    return table.sample(frac=1, random_state=generator).reset_index(drop=True)


def rolled(table, columns, generator):
    table = table.copy()
    table[columns] = np.roll(table[columns], generator.integers(1, len(table)), axis=0)
    return table


def in_order_of_the_table(table, columns, generator):
    table, own = table.copy(), table.columns.isin(columns)
    table.loc[:, own] = table[columns].to_numpy()[generator.permutation(len(table))]
    return table


def without_gaps(table, columns, generator):
    table = shuffled_by_take(table, columns, generator)
    return table.assign(**table[columns].fillna(0))


def turning_by_loop(x, z, b, low, high):
    values = []
    for j in range(len(x)):
        new = x[j] - z / b[j] if b[j] else None
        values.append(new if new is not None and low[j] <= new <= high[j] else None)
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


def frozen(network, x, k):
    return by_autograd_grad(network.requires_grad_(False), x, k)


def checks_by_counting(limit, confidence):
    n = 1
    while (1 - limit) ** n > 1 - confidence:
        n += 1
    return n


OTHER_ROUTES = [
    (lesson_11.curvature_errors, errors_by_loops),
    (lesson_11.shuffled_together, shuffled_by_take),
    (lesson_11.shuffled_together, shuffled_by_columns),
    (lesson_11.turning_points, turning_by_loop),
    (lesson_11.saliency, by_autograd_grad),
    (lesson_11.saliency, one_sample_at_a_time),
    (lesson_11.saliency, lambda *given: by_autograd_grad(*given).numpy()),
    (lesson_11.checks_needed, checks_by_counting),
]

WRONG = [
    (lesson_11.curvature_errors, lambda X, p, penalty: X.std(axis=0), "and you"),
    *(
        (lesson_11.shuffled_together, answer, hint)
        for hint, answer in (
            ("order of its own", shuffled_one_by_one),
            ("bare numbers", shuffled_by_index),
            ("without replacement", drawn_with_replacement),
            ("other columns must stay", whole_rows),
            ("other columns must stay", lambda t, c, g: shuffled_by_take(t.fillna(0), c, g)),
            ("were neighbours", rolled),
            ("were neighbours", lambda t, c, g: t.assign(**t[c][::-1].to_dict("list"))),
            ("changed names", in_order_of_the_table),
            ("have not moved", lambda t, c, g: shuffled_by_take(t, c[:1], g)),
            ("so must each nan", without_gaps),
            ("index must stay", lambda *given: shuffled_by_take(*given).reset_index(drop=True)),
            ("every time", lambda t, c, g: shuffled_by_take(t, c, np.random.default_rng(0))),
            ("Equal generators", lambda t, c, g: shuffled_by_take(t, c, np.random.default_rng())),
            ("still have their own", lambda t, c, g: t.copy()),
            ("Expected a table", lambda t, c, g: t[list(c)].to_numpy()),
            ("all rows", lambda t, c, g: shuffled_by_take(t.dropna(subset=c), c, g)),
        )
    ),
    (lesson_11.turning_points, lambda x, z, b, lo, hi: z / np.sum(b), "of shape"),
    (lesson_11.saliency, lambda net, x, k: by_autograd_grad(net, x, 1), "derivatives"),
    (lesson_11.saliency, frozen, "must stay as it was"),
    (lesson_11.saliency, lambda net, x, k: by_autograd_grad(net, x, k).mean(0), "of shape"),
    (lesson_11.checks_needed, lambda r, c: 1000, "takes"),
    (lesson_11.checks_needed, lambda r, c: (14, 13.5), "has shape (2,)"),
    (lesson_11.claims, changed(lesson_11.claims.reference(), exposure="association"), "change"),
    (lesson_11.claims, changed(lesson_11.claims.reference(), shuffling="cause"), "not seen"),
]
