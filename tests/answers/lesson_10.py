"""Answers to the exercises of lesson 10: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd
from scipy import stats

from answers import changed
from course.checks import lesson_10
from helpers.data import deal_sources

FINDERS = lesson_10.finders.reference()


def smaller_by_pandas(groups, n_sources, n_rows, generator):
    names = generator.permutation(pd.unique(groups))[:n_sources]
    shuffled = pd.Series(groups).sample(frac=1, random_state=generator)
    return shuffled[shuffled.isin(names)].groupby(shuffled).head(n_rows).index


def smaller_by_choice(groups, n_sources, n_rows, generator):
    found = []
    for name in generator.choice(sorted(set(groups)), n_sources, replace=False):
        (own,) = np.where(groups == name)
        found += list(generator.choice(own, min(n_rows, len(own)), replace=False))
    return found


def by(
    names_of=lambda groups, n, g: g.permutation(np.unique(groups))[:n],
    rows_of=lambda own, n, g: g.permutation(own)[:n],
):
    """A smaller archive by other ways to draw names, and rows of each."""

    def draw(groups, n_sources, n_rows, generator):
        names = names_of(groups, n_sources, generator)
        rows = [rows_of(np.flatnonzero(groups == name), n_rows, generator) for name in names]
        return np.concatenate(rows)

    return draw


def rows_first(groups, n_sources, n_rows, generator):
    return generator.permutation(len(groups))[: n_sources * n_rows]


def rolled(own, n_rows, generator):
    return np.roll(own, generator.integers(len(own)))[:n_rows]


def larger_ones(groups, n, g):
    names, sizes = np.unique(groups, return_counts=True)
    return g.permutation(names[sizes >= min(4, np.sort(sizes)[-n])])[:n]


def side_by_side(groups, n, g):
    names = np.unique(groups)
    return np.roll(names, g.integers(len(names)))[:n]


def good_by_loop(scores):
    means = [row.mean() for row in scores]
    best = scores[means.index(max(means))]
    for position, row in enumerate(scores):
        loss = pd.Series(best - row)
        if loss.mean() <= loss.sem():
            return position


def nested_by_lists(groups, label, k, seed, tune, judge):
    scores = np.empty((k, 2))
    for place, (inside, outside) in enumerate(deal_sources(groups, label, k, seed)):
        choice, scores[place, 0] = tune(inside.tolist())
        scores[place, 1] = judge(choice, inside.tolist(), outside.tolist())
    return scores


def tuned_twice(groups, label, k, seed, tune, judge):
    return [
        (tune(inside)[1], judge(tune(inside)[0], inside, outside))
        for inside, outside in deal_sources(groups, label, k, seed)
    ]


OTHER_ROUTES = [
    (lesson_10.smaller, smaller_by_pandas),
    (lesson_10.smaller, smaller_by_choice),
    (lesson_10.simplest_good, good_by_loop),
    (
        lesson_10.simplest_good,
        lambda s: (stats.sem(d := lesson_10._loss(s), 1) >= d.mean(1)).argmax(),
    ),
    (lesson_10.log_uniform, lambda a, b, n, g: 10 ** (np.log10(a) + g.random(n) * np.log10(b / a))),
    (lesson_10.log_uniform, lambda a, b, n, g: stats.loguniform(a, b).rvs(n, random_state=g)),
    (lesson_10.expected_best, lambda n, s, g: s * lesson_10._largest(n)),
    (
        lesson_10.expected_best,
        lambda n, s, g: np.mean([s * max(g.normal(size=n)) for _ in range(9000)]),
    ),
    (lesson_10.nested, nested_by_lists),
]

_ANYHOW = "the text says 'by simulation or however you like': an integral needs no generator"
EXEMPT = {
    (lesson_10.expected_best, f"generator 2 {how}"): _ANYHOW
    for how in ("ignored, seeded", "ignored, unseeded", "copied")
}

WRONG = [
    *(
        (lesson_10.smaller, answer, hint)
        for hint, answer in (
            ("draw the sources first", rows_first),
            ("of shape", lambda *given: lesson_10._smaller(*given)[:, None]),
            ("inside each source", by(rows_of=lambda own, n, g: g.permutation(len(own))[:n])),
            ("drawn twice", by(rows_of=lambda own, n, g: g.choice(own, n))),
            ("drawn twice", by(names_of=lambda groups, n, g: g.choice(np.unique(groups), n))),
            ("min(n_rows", by(rows_of=lambda own, n, g: g.choice(own, n, replace=False))),
            ("each once", by(names_of=lambda groups, n, g: set(g.choice(np.unique(groups), n)))),
            ("at most 20", by(rows_of=lambda own, n, g: own)),
            ("and all if", by(rows_of=lambda own, n, g: g.permutation(own)[: min(n, 10)])),
            ("equally often", by(names_of=lambda groups, n, g: np.unique(groups)[:n])),
            (
                "equally often",
                by(names_of=lambda groups, n, g: pd.unique(g.permutation(groups))[:n]),
            ),
            ("equally often", by(names_of=larger_ones)),
            ("neighbours in the list", by(names_of=side_by_side)),
            ("first outburst", by(rows_of=lambda own, n, g: own[:n])),
            ("one stretch", by(rows_of=rolled)),
            (
                "Equal generators",
                lambda *given: lesson_10._smaller(*given[:3], np.random.default_rng()),
            ),
        )
    ),
    (lesson_10.simplest_good, lambda s: len(s) - 1, "the rule takes"),
    (lesson_10.simplest_good, lambda s: lesson_10._loss(s).mean(1), "a position of a candidate"),
    *(
        (lesson_10.log_uniform, answer, hint)
        for hint, answer in (
            ("last decade", lambda a, b, n, g: g.uniform(a, b, n)),
            ("order of size", lambda *given: np.sort(lesson_10._log_uniform(*given))),
            ("more than once", lambda a, b, n, g: a * (b / a) ** np.resize(g.random(n // 2), n)),
            ("are their logarithms", lambda a, b, n, g: a * (b / a) ** g.beta(1.2, 1.2, n)),
            ("as a grid", lambda a, b, n, g: g.permutation(np.geomspace(a, b, n))),
            ("10 **", lambda a, b, n, g: g.uniform(np.log10(a), np.log10(b), n)),
            ("np.exp", lambda a, b, n, g: g.uniform(np.log(a), np.log(b), n)),
            ("the same base", lambda a, b, n, g: 10 ** g.uniform(np.log(a), np.log(b), n)),
            ("are their logarithms", lambda a, b, n, g: a * (b / a) ** g.random(n) ** 2),
            ("Equal generators", lambda a, b, n, g: lesson_10._log_uniform(a, b, n, np.random)),
        )
    ),
    (lesson_10.expected_best, lambda n, s, g: s, "we find"),
    (lesson_10.expected_best, lambda n, s, g: s * stats.norm.ppf(0.5 ** (1 / n)), "median"),
    (lesson_10.nested, lambda *given: lesson_10._nested(*given)[:, 1], "of shape"),
    (lesson_10.nested, lambda *given: lesson_10._nested(*given) / 2, "returned"),
    (lesson_10.nested, tuned_twice, "call it once"),
    (lesson_10.finders, changed(FINDERS, best_of_200="the search"), "best of 200 equals"),
    (lesson_10.finders, changed(FINDERS, inner_best="the search"), "nothing can be found"),
]
