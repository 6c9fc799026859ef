"""Checks of lesson 08: exploring the results."""

import numpy as np
import pandas as pd

from helpers.features import HUES
from helpers.features import hue_states as _hue_states

from . import Hint, array, exercise, explained, function, sorting

__all__ = [
    "best_recalls",
    "folds",
    "group_folds",
    "hue_states",
    "paired_difference",
    "spreads",
    "suspects",
]


def _fold_numbers(answer, n, k):
    """The answer as fold numbers 0 to k - 1 of n rows, or a hint."""
    if isinstance(answer, (list, tuple)) and any(np.ndim(part) for part in answer):
        raise Hint(
            f"Expected one number for each row, its fold; yours is a list of {len(answer)} parts."
        )
    fold = array(answer, (n,), "one fold number for each row")
    if set(np.unique(fold)) - set(range(k)):
        raise Hint(f"The folds are numbered 0 to {k - 1}; yours also holds {fold.max():g}.")
    if len(np.unique(fold)) < k:
        raise Hint(f"We asked for {k} folds, and {len(np.unique(fold))} of them have rows.")
    return fold


_NOT_REPEATED = (
    "Equal generators give different folds, so that nobody can repeat the cut: use `generator`."
)


def _folds(n, k, generator):
    return generator.permutation(np.arange(n) % k)


@exercise("Exercise 8.1", reference=lambda: _folds)
def folds(answer):
    """A function: number of rows, k, generator -> the number of its fold for each row."""
    answer = function(answer)
    for n, k in ((103, 5), (1000, 10), (7, 7)):
        value = answer(n, k, np.random.default_rng(1))
        if isinstance(value, list) and len(value) == n:
            raise Hint(
                "The next exercise counts on an array: np.array(...) makes one of your list."
            )
        fold = _fold_numbers(value, n, k)
        sizes = np.bincount(fold.astype(int), minlength=k)
        if np.ptp(sizes) > 1:
            raise Hint(
                f"{n} rows in {k} folds: yours hold {sizes.min()} to {sizes.max()} rows; drawing each row's fold "
                "by itself does that. Sizes may differ by one at most."
            )
        again, other = (
            _fold_numbers(answer(n, k, np.random.default_rng(seed)), n, k) for seed in (1, 2)
        )
        if not np.array_equal(fold, again):
            raise Hint(_NOT_REPEATED)
        if np.array_equal(fold, other):
            raise Hint(
                "Two generators give the same folds: rows that stand together in the table would always be dealt "
                "alike. Shuffle, with `generator`."
            )


def _group_folds(groups, k, generator):
    names, which = np.unique(groups, return_inverse=True)
    return _folds(len(names), k, generator)[which]


@exercise("Exercise 8.2", reference=lambda: _group_folds)
def group_folds(answer):
    """A function: the source of each row, k, generator -> the number of its fold for each row."""
    answer = function(answer)
    generator = np.random.default_rng(82)
    for n_sources, k in ((23, 5), (12, 4)):
        names = np.array([f"S{i:02d}" for i in range(n_sources)])
        sizes = generator.geometric(0.02, n_sources)
        groups = generator.permutation(np.repeat(names, sizes))
        fold = _fold_numbers(answer(groups.copy(), k, np.random.default_rng(1)), len(groups), k)
        split = pd.Series(fold).groupby(groups).nunique()
        if (split > 1).any():
            raise Hint(
                f"{(split > 1).sum()} of {n_sources} sources lie in more than one fold, {split.idxmax()} in "
                f"{split.max()}: deal the sources, then look up the fold of each row's source."
            )
        held = pd.Series(fold).groupby(groups).first().value_counts()
        if np.ptp(held) > 1:
            raise Hint(
                f"The folds hold {held.min()} to {held.max()} sources: deal each source once, so that the numbers "
                "of sources differ by one at most."
            )
        again, other = (
            _fold_numbers(answer(groups.copy(), k, np.random.default_rng(seed)), len(groups), k)
            for seed in (1, 2)
        )
        if not np.array_equal(fold, again):
            raise Hint(_NOT_REPEATED)
        if np.array_equal(fold, other):
            raise Hint("Two generators give the same folds: shuffle the sources before you deal.")


spreads = sorting(
    "Exercise 8.3",
    {
        "the scatter of the mean score over six random deals of the same sources": (
            "luck of the deal",
            "which source changed between the deals, and which pointing?",
        ),
        "the scatter over 200 skies, in which whole sources are drawn": (
            "other sources",
            "every sky has another set of sources.",
        ),
        "the scatter over 200 tables, in which single pointings are drawn": (
            "other pointings",
            "nearly every source is in nearly every such table.",
        ),
        "the scatter over five seeds of the logistic regression, on the same folds": (
            "nothing",
            "its loss has one minimum, and the solver starts from the same place each time.",
        ),
        "what gets as small as you like, the more often you repeat the cross-validation": (
            "luck of the deal",
            "repeating brings neither new sources nor new pointings.",
        ),
        "the error bar for the abstract: how would it do on the next sources?": (
            "other sources",
            "what will differ between your archive and that of your reader?",
        ),
    },
)


def _best_recalls(counts, flip):
    counts = np.asarray(counts, dtype=float)
    n = len(counts)
    moves = np.zeros((n, n))
    for i in range(n):
        neighbours = [j for j in (i - 1, i + 1) if 0 <= j < n]
        moves[i, i] = 1 - flip
        moves[i, neighbours] = flip / len(neighbours)
    return counts * np.diag(moves) / (counts @ moves)


@exercise("Exercise 8.4", reference=lambda: _best_recalls)
def best_recalls(answer):
    """A function: true counts of the states in order, share of flips -> recall per labelled state."""
    answer = function(answer)
    for counts, flip in (
        ((9000.0, 1000.0, 500.0, 8000.0), 0.1),
        ((300.0, 50.0, 700.0, 200.0), 0.06),
        ((400.0, 400.0, 400.0, 400.0), 0.2),
    ):
        counts = np.array(counts)
        found = array(answer(counts.copy(), flip), counts.shape, "one recall per state")
        right = _best_recalls(counts, flip)
        if np.allclose(found, right, atol=0.01):
            continue
        if np.allclose(found, 1 - flip, atol=0.005):
            raise Hint(
                "1 - flip is the share of a *true* state that keeps its name. A recall is the share of all that "
                "*carry* the name: add who came in from next door."
            )
        if (found > 1.0001).any() or (found < -0.0001).any():
            raise Hint(f"A recall lies between 0 and 1; yours holds {found[found.argmax()]:.2f}.")
        stays = counts * (1 - flip)
        others = counts.sum() - counts
        if np.allclose(found, stays / (stays + flip * others / (len(counts) - 1)), atol=0.005):
            raise Hint(
                "That lets a label slip to any other state; a reader confuses neighbours only."
            )
        around = (np.roll(counts, 1) + np.roll(counts, -1)) * flip / 2
        if np.allclose(found, stays / (stays + around), atol=0.005):
            raise Hint(
                "The states are no circle: LHS and HSS are not neighbours (np.roll makes them so)."
            )
        inward = np.append(0, counts[:-1]) + np.append(counts[1:], 0)
        if np.allclose(found, stays / (stays + flip * inward / 2), atol=0.005):
            raise Hint(
                "LHS and HSS have one neighbour each, who gets all of their flips, not half of them."
            )
        if np.allclose(found, stays / (stays + flip * inward), atol=0.005):
            raise Hint(
                "HIMS and SIMS have two neighbours each, who share their flips, half and half."
            )
        if np.allclose(found, right.mean(), atol=0.01):
            raise Hint("One recall for each state, please; we take the mean afterwards.")
        raise Hint(
            f"For true counts {counts.astype(int).tolist()} and flips of {flip:.0%} we find "
            f"{right.round(2).tolist()}, and you {found.round(2).tolist()}."
        )


def _suspects(labels, probability, classes):
    column = np.searchsorted(classes, labels) if (np.sort(classes) == classes).all() else None
    if column is None:
        place = {name: i for i, name in enumerate(classes)}
        column = [place[name] for name in labels]
    return np.argsort(probability[np.arange(len(labels)), column], kind="stable")


def _noisy_labels(classes, generator, n=3000, flip=0.06):
    """Labels of which some were replaced by those of a neighbour, honest probabilities, and which were."""
    states = list(HUES)
    centre = generator.choice(4, n, p=(0.42, 0.12, 0.1, 0.36))
    logits = -2.2 * np.abs(centre[:, None] + 0.45 * generator.normal(size=(n, 1)) - np.arange(4))
    chance = np.exp(1.4 * logits)
    chance /= chance.sum(1, keepdims=True)
    true = (chance.cumsum(1) > generator.random((n, 1))).argmax(1)
    wrong = generator.random(n) < flip
    step = np.where(true == 0, 1, np.where(true == 3, -1, generator.choice((-1, 1), n)))
    labels = np.array(states)[np.where(wrong, true + step, true)]
    return labels, chance[:, [states.index(name) for name in classes]], wrong


@exercise("Exercise 8.5", reference=lambda: _suspects)
def suspects(answer):
    """A function: labels (n,), probabilities (n, 4), classes (4,) -> positions, most suspicious first."""
    answer = function(answer)
    classes = np.sort(list(HUES))  # as scikit-learn keeps them
    for seed in (1, 2):
        labels, chance, wrong = _noisy_labels(classes, np.random.default_rng(seed))
        value = answer(labels.copy(), chance.copy(), classes.copy())
        if isinstance(value, pd.Series | pd.Index):
            value = value.to_numpy()
        if np.size(value) != len(labels):
            raise Hint(
                f"Expected all {len(labels)} rows in a new order; yours has {np.size(value)}. We cut the list later."
            )
        order = array(value, (len(labels),), "positions of rows")
        if not np.array_equal(np.sort(order), np.arange(len(labels))):
            raise Hint(
                "Expected positions, each once, and not probabilities: np.argsort makes an order of them."
            )
        order, top = order.astype(int), wrong.sum()
        # Columns taken in the order of the road find wrong labels, too, by chance: compare the rows.
        by_road = _suspects(labels, chance, np.array(list(HUES)))[:top]
        if set(order[:top]) == set(by_road):
            raise Hint(
                "The columns stand in the order of `classes`, the alphabet's: HIMS, HSS, LHS, SIMS; not as on the road."
            )
        found = wrong[order[:top]].mean()
        best = wrong[_suspects(labels, chance, classes)[:top]].mean()
        if found > 0.93 * best:
            continue
        if wrong[order[::-1][:top]].mean() > 0.93 * best:
            raise Hint("The other way round: the most suspicious first, not the least suspicious.")
        if np.allclose(chance.max(1)[order], np.sort(chance.max(1))):
            raise Hint(
                "Those are the rows on which the model hesitates: hard cases, not wrong labels. Use the label."
            )
        agrees = classes[chance.argmax(1)] == labels
        if agrees[order[:top]].mean() > 0.5:
            raise Hint(
                "Among your first, model and label mostly agree: is it the probability of the row's own label, found "
                "in the column that `classes` names?"
            )
        raise Hint(
            f"Of your first {top} rows {found:.0%} were mislabelled, and of ours {best:.0%}: for whom is the given "
            "label the least probable?"
        )


@exercise("Exercise 8.6", reference=lambda: _hue_states)
def hue_states(answer):
    """A function: hues [deg] (n,) -> states (n,), "" where there is none."""
    answer = function(answer)
    hue = np.random.default_rng(86).uniform(0, 360, 400)
    hue = np.append(hue[np.abs(hue[:, None] - [140, 220, 300, 340]).min(1) > 0.01], [0.0, np.nan])
    value = answer(hue.copy())
    if np.ndim(value) != 1 or len(value) != len(hue):
        raise Hint(f"Expected one state for each of {len(hue)} hues, '' where there is none.")
    found = [str(name) for name in list(value)]
    if strange := sorted(set(found) - {*HUES, ""}):
        raise Hint(f"Expected names of states, or '' for none; yours holds {strange[0]!r}.")
    if found[-1] != "":
        raise Hint(f"A missing hue has no state: '' instead of {found[-1]!r}.")
    found, right = np.array(found), _hue_states(hue)
    if (found[:-1] == "").any():
        lost = hue[:-1][found[:-1] == ""]
        if ((lost >= 340) | (lost <= 0)).all():
            raise Hint(
                f"A hue of {lost.max():.1f}° is the same angle as {lost.max() - 360:.1f}°: the sector of LHS runs "
                "through zero."
            )
        raise Hint(f"A hue of {lost[0]:.0f}° lies in one of the sectors, and yours in none.")
    wrong = found != right
    if wrong.any():
        raise Hint(
            f"A hue of {hue[wrong][0]:.0f}° is {right[wrong][0]} in `features.HUES`, and yours {found[wrong][0]}."
        )
    if len(set(list(answer(hue - 360))[:-1])) != 4:
        raise Hint("Hues below zero are angles too: take them modulo 360.")


def _paired_difference(ours, theirs, sources):
    difference = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    each = pd.Series(difference).groupby(np.asarray(sources)).mean()
    return each.mean(), each.std(ddof=1) / np.sqrt(len(each))


@exercise("Exercise 8.7", reference=lambda: _paired_difference)
def paired_difference(answer):
    """A function: two arrays of right or wrong (n,), sources (n,) -> mean difference, its error."""
    answer = function(answer)
    generator = np.random.default_rng(87)
    for n_sources in (12, 25):
        sizes = generator.geometric(0.01, n_sources) + 5
        sources = np.repeat([f"S{i:02d}" for i in range(n_sources)], sizes)
        share = generator.uniform(0.3, 0.8, n_sources).repeat(sizes)
        both = generator.random(len(sources))
        better = generator.uniform(-0.02, 0.15, n_sources).repeat(sizes)
        theirs, ours = both < share, both < share + better
        numbers = (
            "numpy does not subtract truth values: make numbers of them first, with .astype(float)."
        )
        with explained(TypeError, {"boolean subtract": numbers}):
            value = answer(ours.copy(), theirs.copy(), sources.copy())
        if np.shape(value) != (2,):
            raise Hint("Expected two numbers: the mean difference and its standard error.")
        mean, error = array(value, (2,), "a mean difference and its error")
        right, right_error = _paired_difference(ours, theirs, sources)
        rows = ours.astype(float) - theirs
        if np.isclose(mean, -right, rtol=1e-6):
            raise Hint("The sign: positive where *ours* is better.")
        if np.isclose(mean, rows.mean(), rtol=1e-6) and not np.isclose(mean, right, rtol=1e-3):
            raise Hint(
                "That is a mean over rows: a source with many rows has many votes. One source, one vote."
            )
        if not np.isclose(mean, right, rtol=1e-6):
            raise Hint(
                f"On {n_sources} sources of our own we find a mean difference of {right:.4f}, and you {mean:.4f}."
            )
        if np.isclose(error, right_error, rtol=0.06):  # with or without Bessel's correction
            continue
        each = [pd.Series(x.astype(float)).groupby(sources).mean() for x in (ours, theirs)]
        if np.isclose(error, right_error * np.sqrt(n_sources), rtol=0.06):
            raise Hint(
                f"That is the scatter of the {n_sources} sources; the error of their mean is smaller."
            )
        apart = np.sqrt(sum(x.var(ddof=1) for x in each) / n_sources)
        if np.isclose(error, apart, rtol=0.06):
            raise Hint(
                "That adds the errors of two means, as if they were measured on different skies: take the difference "
                "source by source first."
            )
        if np.isclose(error, rows.std(ddof=1) / np.sqrt(len(rows)), rtol=0.06):
            raise Hint(
                "That counts rows; the error shrinks with the number of sources, not of pointings."
            )
        raise Hint(
            f"The mean is right. For its error we find {right_error:.4f} from {n_sources} sources, and you {error:.4f}."
        )
