"""Answers to the exercises of lesson 08: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd

from answers import changed
from course.checks import lesson_08
from helpers.features import HUES

SPREADS = lesson_08.spreads.reference()
folds, group_folds = lesson_08.folds.reference(), lesson_08.group_folds.reference()


def folds_by_slices(n, k, generator):
    fold = np.empty(n, dtype=int)
    for number, rows in enumerate(np.array_split(generator.permutation(n), k)):
        fold[rows] = number
    return fold


def group_folds_by_dictionary(groups, k, generator):
    names = sorted(set(groups))
    generator.shuffle(names)
    place = {name: number % k for number, name in enumerate(names)}
    return [place[name] for name in groups]


def draw_sources(groups, k, generator):
    names, which = np.unique(groups, return_inverse=True)
    return np.append(np.arange(k), generator.integers(k, size=len(names) - k))[which]


def rolled_sources(groups, k, generator):
    return (np.unique(groups, return_inverse=True)[1] + generator.integers(k)) % k


def sources_by_size(groups, k, generator):
    names = pd.Series(groups).sample(frac=1, random_state=generator).value_counts().index
    return pd.Series(np.arange(len(names)) % k, names)[groups].to_numpy()


def folds_by_blocks(n, k, generator):
    return np.concatenate([generator.permutation(k) for _ in range(0, n, k)])[:n]


def own_probability(labels, probability, classes):
    return probability[np.arange(len(labels)), [list(classes).index(name) for name in labels]]


def suspects_by_margin(labels, probability, classes):
    own = own_probability(labels, probability, classes)
    return np.argsort(own - probability.max(axis=1) + 1e-3 * own)


def suspects_in_columns_of(columns):
    """The columns stand for the names that `columns` returns of labels, instead of `classes`."""

    def answer(labels, probability, classes):
        place = {name: k for k, name in enumerate(columns(labels))}
        return np.argsort(probability[np.arange(len(labels)), [place[name] for name in labels]])

    return answer


def column_of_the_road(labels, probability, classes):
    road = [*HUES, "EIS", "IS", "LLB", "LB"]
    return np.argsort(probability[np.arange(len(labels)), [road.index(x) % 4 for x in labels]])


def hue_by_thresholds(hue):
    found = []
    for value in np.mod(hue, 360):
        if np.isnan(value):
            found.append("")
        elif value < 140 or value >= 340:
            found.append("LHS")
        else:
            found.append("HIMS" if value < 220 else "SIMS" if value < 300 else "HSS")
    return found


def hue_without_turns(hue):
    sectors = [hue < border for border in (140, 220, 300, 340, 361)]
    return np.select(sectors, [*HUES, "LHS"], default="")


def difference_by_loop(ours, theirs, sources):
    each = [
        ours[sources == name].mean() - theirs[sources == name].mean() for name in np.unique(sources)
    ]
    return [np.mean(each), np.std(each, ddof=1) / len(each) ** 0.5]


def difference_by_pandas(ours, theirs, sources):
    each = pd.DataFrame({"ours": ours, "theirs": theirs}).groupby(sources).mean()
    return (each.ours - each.theirs).agg(["mean", "sem"])


OTHER_ROUTES = [
    (lesson_08.folds, folds_by_slices),
    (lesson_08.group_folds, group_folds_by_dictionary),
    (lesson_08.suspects, suspects_by_margin),
    (lesson_08.hue_states, hue_by_thresholds),
    (lesson_08.paired_difference, difference_by_loop),
    (lesson_08.paired_difference, difference_by_pandas),
]

WRONG = [
    (lesson_08.folds, lambda n, k, g: g.integers(k, size=n), "like cards"),
    (lesson_08.folds, lambda n, k, g: np.minimum(g.permutation(n) // (n // k), k - 1), "cards"),
    (lesson_08.folds, folds_by_blocks, "Shuffle all rows"),
    (lesson_08.folds, lambda n, k, g: (np.arange(n) + g.integers(k)) % k, "Shuffle all rows"),
    (lesson_08.folds, lambda n, k, g: g.permutation(k)[np.arange(n) * k // n], "Shuffle all rows"),
    (lesson_08.folds, lambda n, k, g: np.array_split(g.permutation(n), k), "for each row"),
    (lesson_08.folds, lambda n, k, g: 1 + folds(n, k, g), "numbered 0 to"),
    (lesson_08.folds, lambda n, k, g: folds(n, k - 1, g), "folds, and"),
    (lesson_08.group_folds, lambda s, k, g: folds(len(s), k, g), "more than one fold"),
    (lesson_08.group_folds, draw_sources, "deal each source once"),
    (lesson_08.group_folds, rolled_sources, "Shuffle all sources"),
    (lesson_08.group_folds, sources_by_size, "Shuffle all sources"),
    (lesson_08.spreads, changed(SPREADS, the_error_bar="luck of the deal"), "your reader"),
    (lesson_08.spreads, changed(SPREADS, the_scatter_over_five="other pointings"), "one minimum"),
    (lesson_08.best_recalls, lambda *given: lesson_08._best_recalls(*given).round(2), "round"),
    (lesson_08.best_recalls, lambda counts, flip: np.full(4, 0.5), "For true counts"),
    (lesson_08.suspects, lambda y, p, c: np.argsort(p.max(1)), "hesitates"),
    (lesson_08.suspects, lambda y, p, c: np.argsort(-own_probability(y, p, c)), "other way"),
    (lesson_08.suspects, column_of_the_road, "not as on the road"),
    (lesson_08.suspects, lambda y, p, c: np.lexsort((p.max(1), p[:, 2])), "mostly agree"),
    (lesson_08.suspects, lambda y, p, c: np.zeros(len(y)), "position of each row once"),
    (
        lesson_08.suspects,
        lambda y, p, c: np.lexsort((own_probability(y, p, c), y)),
        "were mislabelled",
    ),
    (
        lesson_08.suspects,
        lambda y, p, c: np.argpartition(own_probability(y, p, c), 150),
        "shuffled",
    ),
    (lesson_08.suspects, suspects_in_columns_of(np.unique), "mostly agree"),
    (lesson_08.suspects, suspects_in_columns_of(pd.unique), "`classes` name"),
    (lesson_08.suspects, lambda *x: np.argsort(own_probability(*x).clip(0.1)), "tied"),
    (lesson_08.hue_states, hue_without_turns, "modulo 360"),
    (lesson_08.hue_states, lambda hue: np.roll(hue_by_thresholds(hue), 1), "For a hue of 10.3"),
    (lesson_08.hue_states, lambda hue: hue_by_thresholds(hue)[1:], "one for each hue"),
    (lesson_08.paired_difference, lambda *given: (0.1, 0.01), "sources of our own"),
]
