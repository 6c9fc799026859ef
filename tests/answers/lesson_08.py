"""Answers to the exercises of lesson 08: other right routes, and wrong ones with their hints."""

import numpy as np
import pandas as pd

from answers import changed
from course.checks import lesson_08
from helpers.features import HUES


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


def recalls_by_simulation(counts, flip):
    generator, n = np.random.default_rng(1), len(counts)
    true = np.repeat(np.arange(n), (1e6 * counts / np.sum(counts)).astype(int))
    step = np.where(true == 0, 1, np.where(true == n - 1, -1, generator.choice([-1, 1], len(true))))
    label = np.where(generator.random(len(true)) < flip, true + step, true)
    return np.array([np.mean(true[label == state] == state) for state in range(n)])


def recalls_of_four_states(counts, flip):
    a, b, c, d = counts
    came = np.array([b / 2, a + c / 2, b / 2 + d, c / 2])
    return (1 - flip) * counts / ((1 - flip) * counts + flip * came)


def suspects_by_margin(labels, probability, classes):
    table = pd.DataFrame(probability, columns=classes)
    own = np.array([table[name].iloc[row] for row, name in enumerate(labels)])
    return np.argsort(own - probability.max(axis=1) + 1e-3 * own)


def column_of_alphabet(labels, probability, classes):
    return np.argsort(probability[np.arange(len(labels)), np.searchsorted(classes, labels)])


def hue_by_thresholds(hue):
    hue, found = np.asarray(hue), []
    for value in np.mod(hue, 360):
        if np.isnan(value):
            found.append("")
        elif value < 140 or value >= 340:
            found.append("LHS")
        else:
            found.append("HIMS" if value < 220 else "SIMS" if value < 300 else "HSS")
    return found


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
    (lesson_08.best_recalls, recalls_by_simulation),
    (lesson_08.best_recalls, recalls_of_four_states),
    (lesson_08.suspects, suspects_by_margin),
    (lesson_08.suspects, column_of_alphabet),
    (lesson_08.hue_states, hue_by_thresholds),
    (lesson_08.paired_difference, difference_by_loop),
    (lesson_08.paired_difference, difference_by_pandas),
]


def slips(counts, flip, shares):
    """Recalls if each state sends `shares` of its flips to the state before it and after it."""
    counts = np.asarray(counts, dtype=float)
    down, up = (flip * counts * np.asarray(share) for share in shares)
    came = np.append(0, up[:-1]) + np.append(down[1:], 0)
    return counts * (1 - flip) / (counts * (1 - flip) + came)


def hues_without_zero(hue):
    found = np.full(len(hue), "", dtype="U4")
    for state, (low, high) in HUES.items():
        found[(hue >= low) & (hue < high)] = state
    return found


def hues_with_default(hue):
    found = hues_without_zero(hue)
    found[found == ""] = "LHS"
    return found


def means(x, sources):
    return pd.Series(np.asarray(x, float)).groupby(sources).mean()


def unpaired(ours, theirs, sources):
    a, b = means(ours, sources), means(theirs, sources)
    return a.mean() - b.mean(), np.sqrt((a.var() + b.var()) / len(a))


def by_rows(ours, theirs, sources):
    d = ours.astype(float) - theirs
    return d.mean(), d.std() / np.sqrt(len(d))


def rows_error(ours, theirs, sources):
    d = ours.astype(float) - theirs
    return means(d, sources).mean(), d.std() / np.sqrt(len(d))


def spread_of_sources(ours, theirs, sources):
    d = means(ours.astype(float) - theirs, sources)
    return d.mean(), d.std()


def column_of_the_road(labels, probability, classes):
    column = [list(HUES).index(name) for name in labels]
    return np.argsort(probability[np.arange(len(labels)), column])


def own_probability(labels, probability, classes):
    return probability[np.arange(len(labels)), [list(classes).index(name) for name in labels]]


def others(counts, flip):
    stays = (1 - flip) * counts
    return stays / (stays + flip * (counts.sum() - counts) / (len(counts) - 1))


def around(counts, flip):
    stays = (1 - flip) * counts
    return stays / (stays + flip * (np.roll(counts, 1) + np.roll(counts, -1)) / 2)


def draw_sources(groups, k, generator):
    names, which = np.unique(groups, return_inverse=True)
    return np.append(np.arange(k), generator.integers(k, size=len(names) - k))[which]


reference = lesson_08.spreads.reference()
WRONG = [
    (lesson_08.folds, lambda n, k, g: g.integers(k, size=n), "by itself"),
    (lesson_08.folds, lambda n, k, g: np.arange(n) % k, "Shuffle"),
    (lesson_08.folds, lambda n, k, g: folds_by_slices(n, k, np.random.default_rng()), "nobody can"),
    (
        lesson_08.group_folds,
        lambda groups, k, g: lesson_08._group_folds(groups, k, np.random.default_rng()),
        "nobody can",
    ),
    (lesson_08.folds, lambda n, k, g: np.arange(n) * k // n, "Shuffle"),
    (lesson_08.folds, lambda n, k, g: np.array_split(g.permutation(n), k), "for each row"),
    (lesson_08.folds, lambda n, k, g: 1 + g.permutation(np.arange(n) % k), "numbered 0 to"),
    (lesson_08.folds, lambda n, k, g: g.permutation(np.arange(n) % (k - 1)), "folds, and"),
    (
        lesson_08.group_folds,
        lambda groups, k, g: g.permutation(np.arange(len(groups)) % k),
        "more than one fold",
    ),
    (lesson_08.group_folds, draw_sources, "deal each source once"),
    (
        lesson_08.group_folds,
        lambda groups, k, g: np.unique(groups, return_inverse=True)[1] % k,
        "shuffle the sources",
    ),
    (
        lesson_08.group_folds,
        lambda groups, k, g: g.permutation(np.arange(len(np.unique(groups))) % k),
        "one fold number for each row",
    ),
    (
        lesson_08.group_folds,
        lambda groups, k, g: np.unique(groups, return_inverse=True)[1],
        "numbered 0 to",
    ),
    (lesson_08.spreads, changed(reference, the_error_bar="luck of the deal"), "your reader"),
    (
        lesson_08.spreads,
        changed(reference, the_scatter_over_five="other pointings"),
        "one minimum",
    ),
    (
        lesson_08.spreads,
        changed(reference, the_scatter_over_200_tables="other sources"),
        "nearly every source",
    ),
    (lesson_08.best_recalls, lambda c, f: np.full(len(c), 1 - f), "*true* state"),
    (lesson_08.best_recalls, others, "any other state"),
    (lesson_08.best_recalls, around, "no circle"),
    (lesson_08.best_recalls, lambda c, f: slips(c, f, (0.5, 0.5)), "one neighbour each"),
    (lesson_08.best_recalls, lambda c, f: slips(c, f, (1, 1)), "half and half"),
    (
        lesson_08.best_recalls,
        lambda c, f: np.full(len(c), lesson_08._best_recalls(c, f).mean()),
        "One recall for each",
    ),
    (lesson_08.best_recalls, lambda c, f: c * (1 - f), "between 0 and 1"),
    (lesson_08.best_recalls, lambda c, f: np.full(len(c), 0.5), "For true counts"),
    (lesson_08.suspects, lambda y, p, c: np.argsort(p.max(1)), "hesitates"),
    (lesson_08.suspects, lambda y, p, c: np.argsort(-own_probability(y, p, c)), "other way"),
    (lesson_08.suspects, column_of_the_road, "not as on the road"),
    (lesson_08.suspects, lambda y, p, c: np.lexsort((p.max(1), p[:, 2])), "mostly agree"),
    (lesson_08.suspects, own_probability, "positions, each once"),
    (
        lesson_08.suspects,
        lambda y, p, c: np.argsort(own_probability(y, p, c))[:50],
        "all 3000 rows",
    ),
    (
        lesson_08.suspects,
        lambda y, p, c: np.argsort(c[p.argmax(1)] == y, kind="stable"),
        "mislabelled",
    ),
    (lesson_08.hue_states, hues_without_zero, "through zero"),
    (lesson_08.hue_states, hues_with_default, "missing hue has no state"),
    (
        lesson_08.hue_states,
        lambda hue: np.array([*HUES, ""])[np.searchsorted([90, 180, 270, 360], hue)],
        "in `features.HUES`",
    ),
    (
        lesson_08.hue_states,
        lambda hue: np.char.replace(hue_by_thresholds(hue), "LHS", "hard"),
        "names of states",
    ),
    (
        lesson_08.hue_states,
        lambda hue: [name or None for name in hue_by_thresholds(hue)],
        "yours holds 'None'",
    ),
    (lesson_08.hue_states, lambda hue: "LHS", "one state for each"),
    (
        lesson_08.hue_states,
        lambda hue: [s for h in hue for s, (a, b) in HUES.items() if a <= h < b],
        "one state for each",
    ),
    (
        lesson_08.paired_difference,
        lambda a, b, s: ((a - b).mean(), (a - b).std()),
        "truth values",
    ),
    (lesson_08.paired_difference, by_rows, "One source, one vote"),
    (lesson_08.paired_difference, unpaired, "different skies"),
    (lesson_08.paired_difference, rows_error, "counts rows"),
    (lesson_08.paired_difference, spread_of_sources, "error of their mean is smaller"),
    (lesson_08.paired_difference, lambda a, b, s: difference_by_loop(b, a, s), "The sign"),
    (lesson_08.paired_difference, lambda a, b, s: difference_by_loop(a, b, s)[0], "two numbers"),
    (lesson_08.paired_difference, lambda a, b, s: (0.1, 0.01), "sources of our own"),
]
