"""Answers to the exercises of lesson 03: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from answers import changed
from course.checks import lesson_03


def best_by_sorting(on_validation, on_test):
    order = np.argsort(-on_validation.sum(1), kind="stable")
    return [on_validation[order[0]].mean(), on_test[order[0]].mean()]


def rows_by_choice(n_rows, share, generator):
    test = generator.choice(n_rows, int(share * n_rows), replace=False)
    return np.setdiff1d(np.arange(n_rows), test), test


def rows_by_scikit_learn(n_rows, share, generator):
    seed = int(generator.integers(2**31))
    return train_test_split(np.arange(n_rows), test_size=share, random_state=seed)


def sources_by_loop(source, share, generator):
    names = sorted(set(source))
    chosen = set(generator.choice(names, size=int(share * len(names)), replace=False))
    test = [row for row, name in enumerate(source) if name in chosen]
    return [row for row in range(len(source)) if row not in set(test)], test


def sources_by_scikit_learn(source, share, generator):
    seed = int(generator.integers(2**31))
    splitter = GroupShuffleSplit(1, test_size=share, random_state=seed)
    return next(splitter.split(source, groups=source))


def sources_by_pandas(source, share, generator):
    names = pd.Series(pd.unique(source)).sample(frac=share, random_state=generator)
    test = pd.Series(source).isin(names)
    return test.index[~test], test.index[test]


def shuffle_with_pandas(label, source, generator):
    one = pd.Series(label).groupby(source).first()
    return pd.Series(source).map(pd.Series(generator.permutation(one), one.index)).to_numpy()


def sources_by_counting(share, error):
    n = 1
    while (share * (1 - share) / n) ** 0.5 > error:
        n += 1
    return n


OTHER_ROUTES = [
    (lesson_03.best_of_many, best_by_sorting),
    (lesson_03.best_of_many, lambda *given: pd.Series(best_by_sorting(*given), list("vt"))),
    (lesson_03.split_rows, rows_by_choice),
    (lesson_03.split_rows, rows_by_scikit_learn),
    (lesson_03.split_sources, sources_by_loop),
    (lesson_03.split_sources, sources_by_scikit_learn),
    (lesson_03.split_sources, sources_by_pandas),
    (lesson_03.shuffle_labels, shuffle_with_pandas),
    (lesson_03.sources_needed, sources_by_counting),
    (lesson_03.sources_needed, lambda p, e: np.ceil([p * (1 - p) / e**2])),
    (lesson_03.split_time, lambda t, cut, gap: (np.where(t < cut - gap)[0], np.where(t >= cut)[0])),
]


def among(source, chosen):
    test = np.isin(source, chosen)
    return np.flatnonzero(~test), np.flatnonzero(test)


def of_rows(choose):
    """A split that chooses the test rows by (n_rows, n_test, generator)."""
    return lambda n, share, g: among(np.arange(n), choose(n, round(share * n), g))


def of_sources(choose):
    """A split that chooses the test sources by (names, rows of each, n_test, generator)."""

    def answer(source, share, generator):
        names, sizes = np.unique(source, return_counts=True)
        return among(source, choose(names, sizes, round(share * len(names)), generator))

    return answer


def of_labels(choose):
    """New labels that are chosen by (label of each source, generator)."""

    def answer(label, source, generator):
        _, first, inverse = np.unique(source, return_index=True, return_inverse=True)
        return choose(label[first], generator)[inverse]

    return answer


def rows_that_overlap(n_rows, share, generator):
    n_test = round(share * n_rows)
    return generator.permutation(n_rows)[n_test:], generator.permutation(n_rows)[:n_test]


def rows_with_replacement(n_rows, share, generator):
    test = generator.integers(n_rows, size=round(share * n_rows))
    return np.setdiff1d(np.arange(n_rows), test), test


def sources_by_name(source, share, generator):
    names = generator.permutation(np.unique(source))
    return np.split(names, [round((1 - share) * len(names))])


ROWS, SOURCES = lesson_03._split_rows, lesson_03._split_sources
WRONG_ROWS = {
    "without replacement": rows_with_replacement,
    "one place": rows_that_overlap,
    "training comes first": lambda *given: ROWS(*given)[::-1],
    "The same draw every time": lambda n, share, g: ROWS(n, share, np.random.default_rng(0)),
    "nobody can repeat": lambda n, share, g: ROWS(n, share, np.random.default_rng()),
    "That is a mask": lambda n, share, g: (g.random(n) >= share, g.random(n) < share),
    "rows makes 50.0": lambda n, share, g: among(g.random(n) < share, True),
    "np.argwhere": lambda *given: [part[:, None] for part in ROWS(*given)],
    "the same chance": of_rows(lambda n, n_test, g: g.permutation(n // 2)[:n_test]),
    "moved along": of_rows(lambda n, n_test, g: (g.integers(n) + np.arange(n_test)) % n),
    "in neither part, of 200: 150": lambda *given: (ROWS(*given)[1], []),
    "2 things": lambda n, share, g: g.permutation(n),
    "positions 0 to": lambda *given: [part + 1 for part in ROWS(*given)],
}
WRONG_SOURCES = {
    "on both sides": lambda source, share, g: ROWS(len(source), share, g),
    "sources, each of them once": lambda source, share, g: among(
        source, g.permutation(source)[: round(share * len(source))]
    ),
    "without replacement": of_sources(lambda names, sizes, n, g: g.choice(names, n)),
    "held out more often": of_sources(
        lambda names, sizes, n, g: g.choice(names, n, replace=False, p=sizes / sizes.sum())
    ),
    "names of sources": sources_by_name,
    "training comes first": lambda *given: SOURCES(*given)[::-1],
    "every time": lambda source, share, g: SOURCES(source, share, np.random.default_rng(1)),
    "moved along": of_sources(
        lambda names, sizes, n, g: np.roll(names, g.integers(len(names)))[:n]
    ),
}
WRONG_LABELS = {
    "whole source": lambda y, source, g: g.permutation(y),
    "change places": of_labels(lambda own, g: g.choice(own, len(own))),
    "every time": of_labels(lambda own, g: own[::-1]),
    "moved along": of_labels(lambda own, g: np.roll(own, g.integers(len(own)))),
    "permute all": of_labels(lambda own, g: np.append(g.permutation(own[:-1]), own[-1])),
    "one label for each": lambda y, source, g: g.permutation(np.unique(source)),
    "Labels only move": lambda y, source, g: g.permutation(source),
    "where they were": lambda y, source, g: y.copy(),  # rows permuted within each
    "keeps its own": of_labels(
        lambda own, g: own[np.roll(p := g.permutation(len(own)), 1)][np.argsort(p)]
    ),
}
WRONG = [
    (lesson_03.best_of_many, lambda v, t: (v[0].mean(), t[0].mean()), "best on validation"),
    (lesson_03.best_of_many, lambda v, t: v.mean(1).max(), "2 things"),
    *((lesson_03.split_rows, wrong, hint) for hint, wrong in WRONG_ROWS.items()),
    *((lesson_03.split_sources, wrong, hint) for hint, wrong in WRONG_SOURCES.items()),
    *((lesson_03.shuffle_labels, wrong, hint) for hint, wrong in WRONG_LABELS.items()),
    (lesson_03.sources_needed, lambda p, e: 48, "we find"),
    (lesson_03.split_time, lambda t, c, g: (np.where(t < c - g), np.where(t >= c)), "in a tuple"),
    (lesson_03.split_time, lambda t, c, g: (t < c - g, t >= c), "That is a mask"),
    (lesson_03.split_time, lambda t, c, g: lesson_03._split_time(t, c, 2 * g), "The past should"),
    (
        lesson_03.split_time,
        lambda t, c, g: (np.flatnonzero(t < c - g), np.flatnonzero(t > c - g)),
        "The future should",
    ),
    (lesson_03.right_split, changed(lesson_03.right_split.reference(), is_the="rows"), "before?"),
    (
        lesson_03.right_split,
        changed(lesson_03.right_split.reference(), spectra="rows"),
        "what is new",
    ),
]
