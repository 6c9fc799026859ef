"""Answers to the exercises of lesson 00: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd

from answers import changed
from course.checks import lesson_00


def linear_part_by_part(model, n, generator):
    """It multiplies and adds in two tests, and returns a bool of NumPy."""
    p, q = generator.normal(size=(2, n))
    scales = np.allclose(model(3 * p), 3 * model(p))
    return np.all(np.isclose(model(p + q), model(p) + model(q))) and scales


def linear_by_scale(model, n, generator):
    p = generator.normal(size=n)
    return np.allclose(model(2 * p), 2 * model(p))


def linear_by_halves(model, n, generator):
    """It asks for the middle of two, where a straight line with an offset obeys as well."""
    p, q = generator.normal(size=(2, n))
    return np.allclose(model((p + q) / 2), (model(p) + model(q)) / 2)


def linear_on_average(model, n, generator):
    p, q = generator.normal(size=(2, n))
    return np.isclose(np.mean(model(p + 2 * q)), np.mean(model(p) + 2 * model(q)))


def linear_at_fixed_vectors(model, n, generator):
    p, q = np.full(n, -3.0), np.arange(1.0, n + 1)
    return np.allclose(model(p + 2 * q), model(p) + 2 * model(q))


def by_table(distance, x_rays, radio):
    table = pd.DataFrame({"x": x_rays, "r": radio}).groupby(pd.qcut(distance, 20))
    return np.mean([group.x.corr(group.r) for _, group in table])


OTHER_ROUTES = [
    (lesson_00.estimate, lambda x: (x.mean(), x.std(ddof=1) / np.sqrt(x.size))),
    (lesson_00.count_rate, [4.88, 0.0719]),
    (lesson_00.count_rate, pd.Series({"rate": 4612 / 945.1, "error": 4612**0.5 / 945.1})),
    (lesson_00.estimate, lambda x: pd.Series([x.sum(), np.sqrt(x.sum())]) / len(x)),
    (lesson_00.is_linear, linear_part_by_part),
    (lesson_00.correlation_at_fixed_distance, by_table),
]

WRONG = [
    (lesson_00.count_rate, (4612, 67.9), "divided by the exposure"),
    (lesson_00.count_rate, (4.88, 0.5), "variance of a Poisson count"),
    (lesson_00.count_rate, 4.88, "2 things"),
    (lesson_00.estimate, lambda x: (np.sort(x)[1:-1].mean(), x.mean() ** 0.5), "Where we find"),
    (lesson_00.estimate, lambda x: x.mean(), "2 things"),
    (lesson_00.kinds, changed(lesson_00.kinds.reference(), spin="classification"), "is a number"),
    (lesson_00.kinds, changed(lesson_00.kinds.reference(), spin="guessing"), "expected one of"),
    (lesson_00.is_linear, lambda f, n, g: True, "calls K E^-Γ linear"),
    (lesson_00.is_linear, lambda f, n, g: False, "np.allclose"),
    (lesson_00.is_linear, lambda *given: not linear_part_by_part(*given), "the opposite"),
    (lesson_00.is_linear, linear_on_average, "all along the array"),
    (lesson_00.is_linear, linear_by_scale, "∛(a³ + b³)"),
    (lesson_00.is_linear, linear_by_halves, "fixed 1"),
    (lesson_00.is_linear, linear_at_fixed_vectors, "every time"),
    (lesson_00.is_linear, lambda f, n, g: "linear", "True or False"),
    (lesson_00.is_linear, lambda f, n, g: f(*g.normal(size=n)), "raised TypeError in line"),
    (lesson_00.correlation_at_fixed_distance, lambda d, x, r: 0.0, "by itself, then their mean"),
    (lesson_00.cautions, changed(lesson_00.cautions.reference(), a_law="statistics"), "missing"),
    (lesson_00.cautions, changed(lesson_00.cautions.reference(), volunteers="bias"), "whose work"),
]

EXEMPT = {
    (lesson_00.correlation_at_fixed_distance, "arguments 1 and 2 swapped"): "r(x, y) = r(y, x)",
}
