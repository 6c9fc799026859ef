"""Answers to the exercises of lesson 03: other right routes, and wrong ones with their hints."""

import math

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupShuffleSplit, train_test_split

from answers import changed
from course.checks import lesson_03


def best_by_sorting(on_validation, on_test):
    scores = sorted(zip(on_validation.mean(1), on_test.mean(1), strict=True))
    return list(scores[-1])


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


def shuffle_with_pandas(label, source, generator):
    one = pd.Series(label).groupby(source).first()
    return pd.Series(source).map(pd.Series(generator.permutation(one), one.index)).to_numpy()


OTHER_ROUTES = [
    (lesson_03.best_of_many, best_by_sorting),
    (lesson_03.split_rows, rows_by_choice),
    (lesson_03.split_rows, rows_by_scikit_learn),
    (lesson_03.split_sources, sources_by_loop),
    (lesson_03.split_sources, sources_by_scikit_learn),
    (lesson_03.shuffle_labels, shuffle_with_pandas),
    (lesson_03.sources_needed, lambda p, e: int(np.ceil(p * (1 - p) / e**2))),
    (lesson_03.split_time, lambda t, cut, gap: (np.where(t < cut - gap)[0], np.where(t > cut)[0])),
]


def rows_with_replacement(n_rows, share, generator):
    test = generator.integers(n_rows, size=int(share * n_rows))
    return np.setdiff1d(np.arange(n_rows), test), test


def rows_that_overlap(n_rows, share, generator):
    n_test = round(share * n_rows)
    return generator.permutation(n_rows)[n_test:], generator.permutation(n_rows)[:n_test]


def rows_without_training(n_rows, share, generator):
    order = generator.permutation(n_rows)
    return order[: round(share * n_rows)], order[: round(share * n_rows)][:0]


def rows_swapped(n_rows, share, generator):
    return lesson_03._split_rows(n_rows, share, generator)[::-1]


def rows_in_order(n_rows, share, generator):
    n_test = round(share * n_rows)
    return np.arange(n_test, n_rows), np.arange(n_test)


def rows_as_masks(n_rows, share, generator):
    test = generator.random(n_rows) < share
    return ~test, test


def rows_by_global_chance(n_rows, share, generator):
    return lesson_03._split_rows(n_rows, share, np.random.default_rng())


def rows_rolled(n_rows, share, generator):
    half = np.arange(n_rows // 2)  # only ever tests the first half
    test = generator.permutation(half)[: round(share * n_rows)]
    return np.setdiff1d(np.arange(n_rows), test), test


def sources_by_rows(source, share, generator):
    return lesson_03._split_rows(len(source), share, generator)


def sources_drawn_by_rows(source, share, generator):
    n_test = round(share * len(np.unique(source)))
    chosen = generator.choice(source, n_test, replace=False)
    held_out = np.isin(source, chosen)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def sources_weighted(source, share, generator):
    names, size = np.unique(source, return_counts=True)
    n_test = round(share * len(names))
    chosen = generator.choice(names, n_test, replace=False, p=size / size.sum())
    held_out = np.isin(source, chosen)
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def sources_by_name(source, share, generator):
    names = generator.permutation(np.unique(source))
    n_test = round(share * len(names))
    return names[n_test:], names[:n_test]


def sources_swapped(source, share, generator):
    return lesson_03._split_sources(source, share, generator)[::-1]


def sources_forgetting(source, share, generator):
    train, test = lesson_03._split_sources(source, share, generator)
    return train[1:], test


def sources_seeded_inside(source, share, generator):
    return lesson_03._split_sources(source, share, np.random.default_rng(1))


def labels_shuffled_by_row(label, source, generator):
    return generator.permutation(label)


def labels_drawn_anew(label, source, generator):
    names, inverse = np.unique(source, return_inverse=True)
    return generator.choice(["BH", "NS"], size=len(names))[inverse]


def labels_of_random_rows(label, source, generator):
    _, first, inverse = np.unique(source, return_index=True, return_inverse=True)
    return generator.permutation(label)[first][inverse]


def labels_by_source_only(label, source, generator):
    _, first = np.unique(source, return_index=True)
    return generator.permutation(label[first])


def labels_reversed(label, source, generator):
    _, first, inverse = np.unique(source, return_index=True, return_inverse=True)
    return label[first][::-1][inverse]


def labels_rolled(label, source, generator):
    _, first, inverse = np.unique(source, return_index=True, return_inverse=True)
    return np.roll(label[first], generator.integers(3))[inverse]


def best_on_both(right_validation, right_test):
    scores = right_validation.mean(axis=1), right_test.mean(axis=1)
    best = np.argmax(scores[0] + scores[1])
    return scores[0][best], scores[1][best]


def sources_drawn_twice(source, share, generator):
    names = np.unique(source)
    held_out = np.isin(source, generator.choice(names, round(share * len(names))))
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


WRONG = [
    (lesson_03.best_of_many, lambda v, t: (v.mean(1).max(), t.mean(1).max()), "by the test set"),
    (lesson_03.best_of_many, lambda v, t: (v.mean(), t.mean()), "mean of all models"),
    (
        lesson_03.best_of_many,
        lambda v, t: lesson_03._best_of_many(v, t)[::-1],
        "validation score first",
    ),
    (
        lesson_03.best_of_many,
        lambda v, t: (v.sum(1).max(), t[v.sum(1).argmax()].sum()),
        "number of right answers",
    ),
    (lesson_03.best_of_many, lambda v, t: (v.mean(0).max(), 0.5), "axis=1"),
    (lesson_03.best_of_many, lambda v, t: (v.mean(1).max(),) * 2, "*test* set"),
    (lesson_03.best_of_many, lambda v, t: (v[0].mean(), t[0].mean()), "best on validation scores"),
    (lesson_03.best_of_many, lambda v, t: v.mean(1).max(), "two numbers"),
    (lesson_03.split_rows, rows_with_replacement, "without replacement"),
    (lesson_03.split_rows, rows_that_overlap, "one place"),
    (lesson_03.split_rows, rows_swapped, "training comes first"),
    (lesson_03.split_rows, rows_in_order, "same every time"),
    (lesson_03.split_rows, rows_as_masks, "np.flatnonzero"),
    (lesson_03.split_rows, rows_by_global_chance, "nobody can repeat"),
    (lesson_03.split_rows, rows_rolled, "same chance"),
    (lesson_03.split_rows, rows_without_training, "in neither part"),
    (lesson_03.split_rows, lambda n, s, g: g.permutation(n), "two arrays"),
    (
        lesson_03.split_rows,
        lambda n, s, g: lesson_03._split_rows(n, s / 2, g),
        "belongs to the test part",
    ),
    (
        lesson_03.split_rows,
        lambda n, s, g: tuple(part + 1 for part in lesson_03._split_rows(n, s, g)),
        "at positions 0 to",
    ),
    (lesson_03.split_sources, sources_by_rows, "on both sides"),
    (lesson_03.split_sources, sources_drawn_by_rows, "each once, not rows"),
    (lesson_03.split_sources, sources_weighted, "held out more often"),
    (lesson_03.split_sources, sources_by_name, "names of sources"),
    (lesson_03.split_sources, sources_swapped, "training comes first"),
    (lesson_03.split_sources, sources_forgetting, "in neither part"),
    (lesson_03.split_sources, sources_seeded_inside, "same every time"),
    (lesson_03.shuffle_labels, labels_shuffled_by_row, "whole source"),
    (lesson_03.shuffle_labels, labels_drawn_anew, "change places"),
    (lesson_03.shuffle_labels, labels_of_random_rows, "change places"),
    (lesson_03.shuffle_labels, labels_by_source_only, "one label for each"),
    (lesson_03.shuffle_labels, labels_reversed, "same every time"),
    (lesson_03.shuffle_labels, labels_rolled, "permute all"),
    (lesson_03.shuffle_labels, lambda y, s, g: g.permutation(s), "Labels only move"),
    (lesson_03.sources_needed, lambda p, e: int(p * (1 - p) / e**2), "round up"),
    (lesson_03.sources_needed, lambda p, e: p * (1 - p) / e**2, "fractions of a source"),
    (
        lesson_03.sources_needed,
        lambda p, e: math.ceil(math.sqrt(p * (1 - p)) / e),
        "mind the square",
    ),
    (lesson_03.sources_needed, lambda p, e: math.ceil(1 / e**2), "variance of one toss"),
    (lesson_03.sources_needed, lambda p, e: math.ceil(p / e**2), "Poisson"),
    (lesson_03.sources_needed, lambda p, e: 48, "we find"),
    (lesson_03.sources_needed, lambda p, e: int(p * (1 - p) / e**2) + 1, "one too many"),
    (lesson_03.sources_needed, lambda p, e: math.ceil(0.25 / e**2), "the worst"),
    (lesson_03.sources_needed, lambda p, e: math.ceil(p * (1 - p) / e), "mind the square"),
    (lesson_03.best_of_many, best_on_both, "chose by the test set"),
    (lesson_03.split_sources, sources_drawn_twice, "without replacement"),
    (lesson_03.split_time, lambda t, c, g: (np.where(t < c - g), np.where(t >= c)), "in a tuple"),
    (lesson_03.split_time, lambda t, c, g: lesson_03._split_time(t, c, 0), "no gap"),
    (
        lesson_03.split_time,
        lambda t, c, g: (np.flatnonzero(t < c), np.flatnonzero(t >= c + g)),
        "lies before it",
    ),
    (
        lesson_03.split_time,
        lambda t, c, g: (np.arange(np.sum(t < c - g)), np.arange(np.sum(t < c), len(t))),
        "may be in any order",
    ),
    (
        lesson_03.split_time,
        lambda t, c, g: lesson_03._split_time(t, c, g)[::-1],
        "The past comes first",
    ),
    (lesson_03.split_time, lambda t, c, g: (t < c - g, t >= c), "np.flatnonzero"),
    (lesson_03.split_time, lambda t, c, g: lesson_03._split_time(t, c, 2 * g), "rows in the past"),
    (lesson_03.right_split, changed(lesson_03.right_split.reference(), is_the="rows"), "before?"),
    (
        lesson_03.right_split,
        changed(lesson_03.right_split.reference(), spectra_of="sources"),
        "what is new is the pointing",
    ),
]
