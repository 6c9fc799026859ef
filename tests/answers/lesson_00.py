"""Answers to the exercises of lesson 00: other right routes, and wrong ones with their hints."""

import numpy as np

from answers import changed
from course.checks import lesson_00


def linear_by_halves(model, n, generator):
    """It asks for the middle of two, where a straight line with an offset obeys as well."""
    p, q = generator.normal(size=(2, n))
    return np.allclose(model((p + q) / 2), (model(p) + model(q)) / 2)


OTHER_ROUTES = [
    (lesson_00.count_rate, [4.88, 0.0719]),
    (lesson_00.estimate, lambda x: (x.mean(), x.std(ddof=1) / np.sqrt(x.size))),
    (
        lesson_00.is_linear,
        lambda f, n, g: np.allclose(
            f(np.full(n, 3.0)) + f(np.arange(1.0, n + 1)), f(np.arange(4.0, n + 4))
        ),
    ),
    (
        lesson_00.correlation_at_fixed_distance,
        lambda d, x, r: np.mean(
            [
                np.corrcoef(x[(d >= low) & (d < high)], r[(d >= low) & (d < high)])[0, 1]
                for low, high in zip(
                    np.arange(1, 10, 0.45), np.arange(1.45, 10.5, 0.45), strict=False
                )
            ]
        ),
    ),
]

WRONG = [
    (lesson_00.count_rate, (945.1 / 4612, 0.07), "seconds per count"),
    (lesson_00.count_rate, (4612, 67.9), "divided by the exposure"),
    (lesson_00.count_rate, (4.88, np.sqrt(4612)), "error of the number of counts"),
    (lesson_00.count_rate, (4.88, np.sqrt(4.88)), "rates have not"),
    (lesson_00.count_rate, (4.88, 0.5), "variance of a Poisson count"),
    (lesson_00.count_rate, (4.88, 0.07), "rounded"),
    (lesson_00.count_rate, (4.88, 4612 / 945.1**2), "variance of the rate"),
    (lesson_00.count_rate, (4.88, 1 / np.sqrt(4612)), "relative error"),
    (lesson_00.count_rate, (4.88, ...), "missing"),
    (lesson_00.count_rate, 4.88, "two numbers"),
    (lesson_00.estimate, lambda x: (x.sum(), np.sqrt(x.sum())), "sum over the bins"),
    (lesson_00.estimate, lambda x: (np.median(x), np.sqrt(x.mean() / x.size)), "median"),
    (lesson_00.estimate, lambda x: (1.1 * x.mean(), np.sqrt(x.mean() / x.size)), "average"),
    (lesson_00.estimate, lambda x: (x.mean(), x.std()), "single bin"),
    (lesson_00.estimate, lambda x: (x.mean(), x.mean() / x.size), "√(µ/n)"),
    (lesson_00.estimate, lambda x: x.mean(), "two numbers"),
    (
        lesson_00.kinds,
        changed(lesson_00.kinds.reference(), spin="classification"),
        "the label is a number",
    ),
    (lesson_00.kinds, changed(lesson_00.kinds.reference(), spin="guessing"), "expected one of"),
    (lesson_00.kinds, changed(lesson_00.kinds.reference(), spin=...), "no answer yet"),
    (lesson_00.is_linear, lambda f, n, g: True, "calls K E^-Γ linear"),
    (lesson_00.is_linear, lambda f, n, g: False, "np.allclose"),
    (
        lesson_00.is_linear,
        lambda f, n, g: np.allclose(f(2 * np.arange(1.0, n + 1)), 2 * f(np.arange(1.0, n + 1))),
        "∛(a³ + b³)",
    ),
    (lesson_00.is_linear, lambda f, n, g: "linear", "True or False"),
    (lesson_00.is_linear, linear_by_halves, "fixed 1"),
    (lesson_00.is_linear, lambda f, n, g: f(g.normal()), "one vector of n parameters"),
    (lesson_00.is_linear, lambda f, n, g: f(*g.normal(size=n)), "one vector of n parameters"),
    (
        lesson_00.correlation_at_fixed_distance,
        lambda d, x, r: np.mean(
            [np.corrcoef(x[s], r[s]) for s in np.array_split(np.argsort(d), 20)]
        ),
        "element [0, 1]",
    ),
    (
        lesson_00.correlation_at_fixed_distance,
        lambda d, x, r: np.corrcoef(x, r)[0, 1],
        "whole catalogue",
    ),
    (
        lesson_00.correlation_at_fixed_distance,
        lambda d, x, r: np.mean(
            [np.corrcoef(x[s], r[s])[0, 1] for s in np.array_split(np.arange(d.size), 20)]
        ),
        "sorted by distance",
    ),
    (lesson_00.correlation_at_fixed_distance, lambda d, x, r: 0.0, "each of 20 shells"),
    (
        lesson_00.correlation_at_fixed_distance,
        lambda d, x, r: abs(lesson_00.correlation_at_fixed_distance.reference()(d, x, r)),
        "each of 20 shells",
    ),
    (
        lesson_00.cautions,
        changed(lesson_00.cautions.reference(), a_law="statistics"),
        "missing from the catalogue",
    ),
    (lesson_00.cautions, changed(lesson_00.cautions.reference(), volunteers="bias"), "whose work"),
]
