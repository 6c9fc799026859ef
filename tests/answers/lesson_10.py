"""Answers to the exercises of lesson 10: other right routes, and wrong ones with their hints."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold

from answers import changed
from course.checks import lesson_10
from helpers.data import deal_sources


def smaller_by_pandas(groups, n_sources, n_rows, generator):
    names = generator.permutation(pd.unique(groups))[:n_sources]
    shuffled = pd.Series(groups).sample(frac=1, random_state=generator)
    return shuffled[shuffled.isin(names)].groupby(shuffled).head(n_rows).index


def rows_first(groups, n_sources, n_rows, generator):
    return generator.permutation(len(groups))[: n_sources * n_rows]


def with_replacement(groups, n_sources, n_rows, generator):
    names = generator.choice(np.unique(groups), n_sources, replace=False)
    return np.concatenate([generator.choice(np.flatnonzero(groups == n), n_rows) for n in names])


def sources_twice(groups, n_sources, n_rows, generator):
    names = np.unique(generator.choice(np.unique(groups), n_sources))
    return np.concatenate([np.flatnonzero(groups == n)[:n_rows] for n in names])


def first_rows(groups, n_sources, n_rows, generator):
    names = generator.choice(np.unique(groups), n_sources, replace=False)
    return np.concatenate([np.flatnonzero(groups == n)[:n_rows] for n in names])


def first_sources(groups, n_sources, n_rows, generator):
    names = np.unique(groups)[:n_sources]
    return np.concatenate([np.flatnonzero(groups == n)[:n_rows] for n in names])


def all_rows(groups, n_sources, n_rows, generator):
    return np.flatnonzero(np.isin(groups, generator.permutation(np.unique(groups))[:n_sources]))


def equal_shares(groups, n_sources, n_rows, generator):
    names = generator.permutation(np.unique(groups))[:n_sources]
    least = min(n_rows, *(np.sum(groups == n) for n in names))
    return np.concatenate([np.flatnonzero(groups == n)[:least] for n in names])


def mask(groups, n_sources, n_rows, generator):
    return np.isin(groups, np.unique(groups)[:n_sources])


def one_list_each(groups, n_sources, n_rows, generator):
    names = generator.choice(np.unique(groups), n_sources, replace=False)
    return [generator.permutation(np.flatnonzero(groups == n))[:n_rows] for n in names]


def names_of_sources(groups, n_sources, n_rows, generator):
    return groups[lesson_10._smaller(groups, n_sources, n_rows, generator)]


def good_by_loop(scores):
    means = [row.mean() for row in scores]
    best = scores[means.index(max(means))]
    for position, row in enumerate(scores):
        loss = pd.Series(best - row)
        if loss.mean() <= loss.sem():
            return position


def unpaired(scores):
    mean = scores.mean(axis=1)
    error = scores[mean.argmax()].std(ddof=1) / np.sqrt(scores.shape[1])
    return np.flatnonzero(mean >= mean.max() - error)[0]


def scatter_instead(scores):
    loss = scores[scores.mean(axis=1).argmax()] - scores
    return np.flatnonzero(loss.mean(axis=1) <= loss.std(axis=1, ddof=1))[0]


def strictly_smaller(scores):
    loss = scores[scores.mean(axis=1).argmax()] - scores
    return np.flatnonzero(loss.mean(1) < loss.std(1, ddof=1) / np.sqrt(scores.shape[1]))[0]


def of_a_population(scores):
    loss = scores[scores.mean(axis=1).argmax()] - scores
    return np.flatnonzero(loss.mean(1) <= loss.std(1) / np.sqrt(scores.shape[1]))[0]


def against_the_best_of_each_fold(scores):
    loss = scores.max(axis=0) - scores
    return np.flatnonzero(loss.mean(1) <= loss.std(1, ddof=1) / np.sqrt(scores.shape[1]))[0]


def most_complex(scores):
    loss = scores[scores.mean(axis=1).argmax()] - scores
    return np.flatnonzero(loss.mean(1) <= loss.std(1, ddof=1) / np.sqrt(scores.shape[1]))[-1]


def nested_by(cutter):
    def nested(groups, label, k, seed, tune, judge):
        scores = np.empty((k, 2))
        for place, (inside, outside) in enumerate(cutter(k).split(groups, label, groups)):
            choice, scores[place, 0] = tune(inside)
            scores[place, 1] = judge(choice, inside, outside)
        return scores

    return nested


def tuned_once(groups, label, k, seed, tune, judge):
    choice, inner = tune(np.arange(len(groups)))
    return [(inner, judge(choice, a, b)) for a, b in deal_sources(groups, label, k, seed)]


def tuned_in_the_first(groups, label, k, seed, tune, judge):
    cuts = list(deal_sources(groups, label, k, seed))
    choice, inner = tune(cuts[0][0])
    return [(inner, judge(choice, a, b)) for a, b in cuts]


def tuned_outside(groups, label, k, seed, tune, judge):
    return [
        ((found := tune(b))[1], judge(found[0], a, b))
        for a, b in deal_sources(groups, label, k, seed)
    ]


def judged_inside(groups, label, k, seed, tune, judge):
    return [
        ((found := tune(a))[1], judge(found[0], a, a))
        for a, _ in deal_sources(groups, label, k, seed)
    ]


def whole_answer_judged(groups, label, k, seed, tune, judge):
    return [
        (tune(a)[1], judge("the default", a, b)) for a, b in deal_sources(groups, label, k, seed)
    ]


def best_choice_so_far_judged(groups, label, k, seed, tune, judge):
    scores, best = [], (-np.inf, None)
    for inside, outside in deal_sources(groups, label, k, seed):
        choice, inner = tune(inside)
        best = max(best, (inner, choice))
        scores.append((inner, judge(best[1], inside, outside)))
    return scores


def swapped(groups, label, k, seed, tune, judge):
    return lesson_10._nested(groups, label, k, seed, tune, judge)[:, ::-1]


def only_outer(groups, label, k, seed, tune, judge):
    return lesson_10._nested(groups, label, k, seed, tune, judge)[:, 1]


OTHER_ROUTES = [
    (lesson_10.smaller, smaller_by_pandas),
    (lesson_10.simplest_good, good_by_loop),
    (lesson_10.log_uniform, lambda a, b, n, g: 10 ** (np.log10(a) + g.random(n) * np.log10(b / a))),
    (lesson_10.log_uniform, lambda a, b, n, g: a * (b / a) ** g.random(n)),
    (lesson_10.expected_best, lambda n, s, g: s * lesson_10._largest(n)),
    (
        lesson_10.expected_best,
        lambda n, s, g: np.mean([s * max(g.normal(size=n)) for _ in range(9000)]),
    ),
    (lesson_10.nested, nested_by(GroupKFold)),
    (lesson_10.nested, nested_by(StratifiedGroupKFold)),
]

WRONG = [
    (lesson_10.smaller, rows_first, "draw the sources first"),
    (lesson_10.smaller, with_replacement, "drawn twice"),
    (lesson_10.smaller, sources_twice, "We asked for"),
    (lesson_10.smaller, first_rows, "first outburst"),
    (lesson_10.smaller, first_sources, "draw the same sources"),
    (lesson_10.smaller, all_rows, "at most"),
    (lesson_10.smaller, equal_shares, "should give"),
    (lesson_10.smaller, mask, "a mask"),
    (lesson_10.smaller, one_list_each, "np.concatenate"),
    (lesson_10.smaller, names_of_sources, "where the rows stand"),
    (
        lesson_10.smaller,
        lambda g, s, r, generator: lesson_10._smaller(g, s, r, np.random.default_rng()),
        "Equal generators",
    ),
    (lesson_10.simplest_good, against_the_best_of_each_fold, "nobody is good enough"),
    (lesson_10.simplest_good, lambda s: s.mean(axis=1).argmax(), "largest mean itself"),
    (lesson_10.simplest_good, lambda s: s.mean(axis=1).max(), "not a score"),
    (lesson_10.simplest_good, unpaired, "error of the best score alone"),
    (lesson_10.simplest_good, scatter_instead, "smaller by √k"),
    (lesson_10.simplest_good, most_complex, "the simplest stand first"),
    (lesson_10.simplest_good, strictly_smaller, "take it, too"),
    (lesson_10.simplest_good, of_a_population, "ddof = 1"),
    (lesson_10.simplest_good, lambda s: 0, "the rule takes"),
    (lesson_10.log_uniform, lambda a, b, n, g: g.uniform(a, b, n), "last decade"),
    (lesson_10.log_uniform, lambda a, b, n, g: np.geomspace(a, b, n), "a grid"),
    (lesson_10.log_uniform, lambda a, b, n, g: g.permutation(np.geomspace(a, b, n)), "a grid"),
    (
        lesson_10.log_uniform,
        lambda a, b, n, g: g.uniform(np.log10(a), np.log10(b), n),
        "raise 10",
    ),
    (lesson_10.log_uniform, lambda a, b, n, g: g.uniform(np.log(a), np.log(b), n), "exponential"),
    (
        lesson_10.log_uniform,
        lambda a, b, n, g: 10 ** (g.uniform(np.log(a), np.log(b), n)),
        "the same base",
    ),
    (lesson_10.log_uniform, lambda a, b, n, g: a * (b / a) ** g.random(n) ** 2, "geometric middle"),
    (lesson_10.expected_best, lambda n, s, g: s * np.sqrt(2 * np.log(n)), "very large n"),
    (lesson_10.expected_best, lambda n, s, g: g.normal(0, s, (9000, n)).mean(), "mean of all"),
    (lesson_10.expected_best, lambda n, s, g: g.normal(0, s, (9000, n)).max(), "a great many"),
    (
        lesson_10.expected_best,
        lambda n, s, g: g.normal(0, 1, (20000, n)).max(axis=1).mean(),
        "scale with sigma",
    ),
    (
        lesson_10.expected_best,
        lambda n, s, g: g.normal(0, s**2, (20000, n)).max(axis=1).mean(),
        "sigma squared",
    ),
    (lesson_10.expected_best, lambda n, s, g: s, "we find"),
    (lesson_10.nested, tuned_once, "tune on the inside"),
    (lesson_10.nested, tuned_in_the_first, "choose anew"),
    (lesson_10.nested, tuned_outside, "saw rows of the outer fold"),
    (lesson_10.nested, judged_inside, "inside and outside overlap"),
    (
        lesson_10.nested,
        lambda g, y, k, s, t, j: nested_by(KFold)(g, y, k, s, t, j),
        "keeps them together",
    ),
    (lesson_10.nested, best_choice_so_far_judged, "the choice of this round"),
    (lesson_10.nested, whole_answer_judged, "the choice of this round"),
    (lesson_10.nested, swapped, "Inner score first"),
    (lesson_10.nested, only_outer, "inner and outer scores"),
    (
        lesson_10.finders,
        changed(lesson_10.finders.reference(), best_of_200="the search"),
        "best of 200 equals",
    ),
    (
        lesson_10.finders,
        changed(lesson_10.finders.reference(), leaving_out="noise"),
        "new sources",
    ),
    (
        lesson_10.finders,
        changed(lesson_10.finders.reference(), inner_best="the search"),
        "nothing can be found",
    ),
]
