"""Checks of lesson 08: exploring the results."""

import functools
from itertools import combinations

import numpy as np
import pandas as pd

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, repeatable, shaped, sorting
from helpers import features

__all__ = [
    "best_recalls",
    "folds",
    "group_folds",
    "hue_states",
    "paired_difference",
    "spreads",
    "suspects",
]

_FOLDS = forms.function(forms.array("one number for each row, its fold", int))


def _dealt(ask, n, k):
    """Return the folds of n rows, or raise a hint if they are not numbers from 0 to k - 1."""
    fold = shaped(ask(np.random.default_rng(1)), (n,), "one number for each row, its fold,")
    if strange := set(fold) - set(range(k)):
        raise Hint(f"The folds are numbered 0 to {k - 1}; yours also holds {max(strange)}.")
    if len(set(fold)) < k:
        raise Hint(f"We asked for {k} folds, and {len(set(fold))} of them have rows.")
    return fold


def _by_chance(ask, n, k, what):
    """Test that folds are repeatable, and that any two of n rows share a fold as often as by chance."""
    deals = np.array([ask(np.random.default_rng(seed)) for seed in range(300)])
    if np.any(deals != deals[0]):
        together = [np.mean(one == other) for one, other in combinations(deals.T, 2)]
        wanted = (n / k - 1) / (n - 1)
        far = max(together, key=lambda share: abs(share - wanted))
        if abs(far - wanted) > 5.5 * np.sqrt(wanted * (1 - wanted) / len(deals)):
            raise Hint(
                f"Two of {n} {what} share one of {k} folds in {far:.0%} of many deals; by chance it is {wanted:.0%}. "
                f"Shuffle all {what}, not the numbers of the folds, parts of the table, or where you begin."
            )
    repeatable(ask)


def _folds(n, k, generator):
    return generator.permutation(np.arange(n) % k)


@exercise("Exercise 8.1", reference=lambda: _folds, form=_FOLDS)
def folds(answer):
    """A function: number of rows, k, generator -> the number of its fold for each row."""
    for n, k in ((103, 5), (1000, 10), (7, 7)):
        sizes = np.bincount(_dealt(functools.partial(answer, n, k), n, k))
        if np.ptp(sizes) > 1:
            raise Hint(
                f"{n} rows in {k} folds: yours hold {sizes.min()} to {sizes.max()} rows. Deal them out like cards, so "
                "that sizes differ by one at most."
            )
    _by_chance(functools.partial(answer, 16, 4), 16, 4, "rows")


def _group_folds(groups, k, generator):
    names, which = np.unique(groups, return_inverse=True)
    return _folds(len(names), k, generator)[which]


@exercise("Exercise 8.2", reference=lambda: _group_folds, form=_FOLDS)
def group_folds(answer):
    """A function: the source of each row, k, generator -> the number of its fold for each row."""
    for n_sources, k in ((23, 5), (62, 4)):
        generator = np.random.default_rng(n_sources)
        names = generator.permutation([f"S{i:02d}" for i in range(n_sources)])
        groups = generator.permutation(np.repeat(names, generator.geometric(0.02, n_sources)))
        fold = _dealt(functools.partial(answer, groups, k), len(groups), k)
        fold = pd.Series(fold).groupby(groups)
        split = fold.nunique()
        if (split > 1).any():
            raise Hint(
                f"{(split > 1).sum()} of {n_sources} sources lie in more than one fold, {split.idxmax()} in "
                f"{split.max()}: deal the sources, then look up the fold of each row's source."
            )
        counts = np.bincount(fold.first())
        if np.ptp(counts) > 1:
            raise Hint(
                f"The folds hold {counts.min()} to {counts.max()} sources: deal each source once, so that the numbers "
                "of sources differ by one at most."
            )
    groups = np.repeat([f"S{i:02d}" for i in range(12)], [9, 8, 7, 6, 5, 4, 3, 2, 2, 2, 1, 1])
    groups = np.random.default_rng(12).permutation(groups)
    first = np.unique(groups, return_index=True)[1]
    _by_chance(lambda generator: answer(groups, 3, generator)[first], 12, 3, "sources")


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


def _recalls(counts, flip, slips, stays=None):
    """Return recalls if a flip changes a state (row) to another one (column) with the probability `slips`."""
    stays = counts * (1 - flip) if stays is None else stays
    return stays / (stays + flip * counts @ slips)


_ROAD = np.eye(4, k=1) + np.eye(4, k=-1)  # 1 where two of four states are neighbours


def _best_recalls(counts, flip):
    """A function: true counts of the states in order, share of flips -> recall per labelled state."""
    return _recalls(counts, flip, _ROAD / _ROAD.sum(axis=1, keepdims=True))


best_recalls = by_example(
    "Exercise 8.4",
    _best_recalls,
    lambda: [
        (np.array([9000.0, 1000.0, 500.0, 8000.0]), 0.1),
        (np.array([300.0, 50.0, 700.0, 200.0]), 0.06),
        (np.array([400.0, 400.0, 400.0, 400.0]), 0.2),
    ],
    {
        "1 - flip is the share of a *true* state that keeps its name. A recall is the share of all that *carry* the "
        "name: add those that came from a neighbour.": lambda n, flip: np.full(4, 1 - flip),
        "Those are numbers of rows, not shares: divide by how many carry the name.": (
            lambda n, flip: n * (1 - flip)
        ),
        "A recall lies between 0 and 1, not 100.": lambda n, flip: 100 * _best_recalls(n, flip),
        "Who comes in brings half of the flips of a state with two neighbours, and all flips of LHS or HSS: your "
        "shares belong to the state that they reach, not to the one that they leave.": (
            lambda n, flip: _recalls(n, flip, _ROAD / _ROAD.sum(axis=1))
        ),
        "That lets a label slip to any other state; a reader confuses neighbours only.": (
            lambda n, flip: _recalls(n, flip, (1 - np.eye(4)) / 3)
        ),
        "The states are no circle: LHS and HSS are not neighbours (np.roll makes them so).": (
            lambda n, flip: _recalls(
                n, flip, (np.roll(np.eye(4), 1, 0) + np.roll(np.eye(4), -1, 0)) / 2
            )
        ),
        "LHS and HSS have one neighbour each, who gets all of their flips, not half of them.": (
            lambda n, flip: _recalls(n, flip, _ROAD / 2)
        ),
        "HIMS and SIMS have two neighbours each, who share their flips, half and half.": (
            lambda n, flip: _recalls(n, flip, _ROAD)
        ),
        "Who was flipped away no longer carries the name: a share of 1 - flip keeps it.": (
            lambda n, flip: _recalls(n, flip, _ROAD / _ROAD.sum(axis=1, keepdims=True), stays=n)
        ),
        "One recall for each state, please; we take the mean afterwards.": (
            lambda n, flip: _best_recalls(n, flip).mean()
        ),
    },
    returns=forms.array("one recall for each state"),
    signs={
        "Close to ours, but not equal: work with the expected numbers, without draws, and round nothing.": (
            lambda found, *given: abs(found - _best_recalls(*given)).max() < 0.01
        ),
    },
    otherwise="For true counts {0} and flips of {1:.0%} we find a recall of {ours}, and you {yours}.",
    atol=1e-4,
)


def _suspects(labels, probability, classes):
    return np.argsort(probability[np.arange(len(labels)), np.searchsorted(classes, labels)])


def _noisy_labels(names, generator, n=3000, flip=0.06):
    """Return questions with four states in their order: labels, of which some are a neighbour's, and these rows."""
    centre = generator.choice(4, n, p=(0.42, 0.12, 0.1, 0.36))
    logits = -2.2 * np.abs(centre[:, None] + 0.45 * generator.normal(size=(n, 1)) - np.arange(4))
    chance = np.exp(1.4 * logits + 0.01 * generator.normal(size=(n, 4)))  # so that no two are equal
    chance /= chance.sum(1, keepdims=True)
    true = (chance.cumsum(1) > generator.random((n, 1))).argmax(1)
    wrong = generator.random(n) < flip
    step = np.where(true == 0, 1, np.where(true == 3, -1, generator.choice((-1, 1), n)))
    labels = np.array(names)[np.where(wrong, true + step, true)]
    return labels, chance[:, np.argsort(names)], np.sort(names), wrong


@exercise(
    "Exercise 8.5",
    reference=lambda: _suspects,
    form=forms.function(forms.array("positions of rows", int)),
)
def suspects(answer):
    """A function: labels (n,), probabilities (n, 4), classes (4,) -> positions, most suspicious first."""
    for seed, names, absent in (
        (1, list(features.HUES), ""),
        (2, ["EIS", "IS", "LLB", "LB"], ""),
        (3, list(features.HUES), "HSS"),  # a class that no label has
    ):
        labels, chance, classes, wrong = _noisy_labels(names, np.random.default_rng(seed))
        labels, chance, wrong = (rows[labels != absent] for rows in (labels, chance, wrong))
        order = answer(labels, chance, classes)
        shaped(order, labels.shape, "all rows in a new order (we cut the list later), an array")
        if set(order) != set(range(len(labels))):
            raise Hint("Expected the position of each row once: np.argsort makes such an order.")
        top, best = wrong.sum(), _suspects(labels, chance, classes)
        # Columns taken in the order of the road find wrong labels, too, by chance: compare the rows.
        road = chance[np.arange(len(labels)), [names.index(label) for label in labels]]
        if set(order[:top]) == set(np.argsort(road)[:top]):
            raise Hint(
                f"The columns stand in the order of `classes`, the alphabet: {', '.join(classes)}; not as on the road."
            )
        if wrong[order[::-1][:top]].mean() > 0.93 * wrong[best[:top]].mean():
            raise Hint("The other way round: the most suspicious first, not the least suspicious.")
        if np.allclose(chance.max(1)[order], np.sort(chance.max(1))):
            raise Hint(
                "Those are the rows on which the model hesitates: hard cases, not wrong labels. Use the label."
            )
        if (classes[chance.argmax(1)] == labels)[order[:top]].mean() > 0.5:
            raise Hint(
                "Among your first, model and label mostly agree: is it the probability of the row's own label, found "
                "in the column that `classes` names?"
            )
        mixed = np.random.default_rng(85).permutation(len(labels))
        again = mixed[answer(labels[mixed], chance[mixed], classes)]
        if not np.array_equal(again[:top], order[:top]):
            raise Hint(
                "If the table is shuffled, other rows come first. Are some of them tied, or does the column depend on "
                "the order of the rows? Sort all rows by the probability itself, in the column that `classes` names."
            )
        found, ours = wrong[order[:top]].mean(), wrong[best[:top]].mean()
        if found < 0.9 * ours:
            raise Hint(
                f"Of your first {top} rows {found:.0%} were mislabelled, and of ours {ours:.0%}: for whom is the "
                "given label the least probable?"
            )


def _without_turns(hue):
    """Return sectors as they are written, so that angles are not given in another form."""
    found = np.full(len(hue), "", dtype="U4")
    for state, (low, high) in features.HUES.items():
        found[(hue >= low) & (hue < high)] = state
    return found


_SOME_HUES = (
    np.array([10.3, 139.6, 350.4, 141, np.nan, 219.7, 221, 299.2, 0, 301, 339.9, 341, np.nan, 270]),
    np.array([np.nan, 100, -10.4, 370, -50.2, 500.9, -100, 200, -350, 640, 699.8, -20.3]),
    np.array([np.nan, 139, 140, 220, 300, 340, 341, 500, -20, -60]),
)


def _one_hue(found, wanted):
    """Return a description of a hue, of those for which the states differ."""
    if np.shape(found) != wanted.shape:
        return (
            f"Expected {len(wanted)} states, one for each hue; yours has shape {np.shape(found)}."
        )
    (hues,) = (hues for hues in _SOME_HUES if len(hues) == len(wanted))
    rows = zip(hues, wanted.tolist(), found.tolist(), strict=True)
    hue, ours, yours = next(row for row in rows if row[1] != row[2])
    return f"For a hue of {hue:g}° we find {ours!r}, and you {yours!r}: see `features.HUES`."


hue_states = by_example(
    "Exercise 8.6",
    features.hue_states,
    lambda: [(hues,) for hues in _SOME_HUES],
    {
        "A missing hue has no state: give '' there.": [
            lambda hue, state=state: np.where(np.isnan(hue), state, features.hue_states(hue))
            for state in (*features.HUES, "nan", "None")
        ],
        "A border belongs to the sector that begins there: 140° is HIMS.": (
            lambda hue: features.hue_states(hue - 1e-9)
        ),
        "A hue may have a fraction: compare it with the borders, unrounded.": [
            lambda hue: features.hue_states(np.round(hue)),
            lambda hue: features.hue_states(np.trunc(hue)),
            lambda hue: np.where(hue % 1 > 0, "", features.hue_states(hue)),
        ],
        "A hue of 350° is the same angle as -10°: the sector of LHS runs through zero.": _without_turns,
    },
    signs={
        "A whole turn changes nothing, so that -50° is 310° and 370° is 10°: take hues modulo 360.": (
            lambda found, hue: (
                np.shape(found) == hue.shape
                and all((found == features.hue_states(hue)) | (hue < 0) | (hue >= 360))
            )
        ),
    },
    returns=forms.array("a state for each hue, '' where there is none", str),
    otherwise=_one_hue,
)


def _rows(ours, theirs):
    return pd.Series(ours.astype(float) - theirs)


def _each(ours, theirs, sources):
    return _rows(ours, theirs).groupby(sources).mean()


def _paired_difference(ours, theirs, sources):
    """A function: two arrays of right or wrong (n,), sources (n,) -> mean difference, its error."""
    each = _each(ours, theirs, sources)
    return float(each.mean()), float(each.sem())


def _some_rivals():
    generator, questions = np.random.default_rng(87), []
    for n_sources in (12, 9):
        share = generator.uniform(0.3, 0.8, n_sources)
        better = generator.uniform(-0.02, 0.15, n_sources)
        which = generator.permutation(
            np.arange(n_sources).repeat(generator.geometric(0.02, n_sources))
        )
        luck, sources = generator.random(len(which)), np.array([f"S{i:03d}" for i in which])
        questions.append((luck < (share + better)[which], luck < share[which], sources))
    return questions


paired_difference = by_example(
    "Exercise 8.7",
    _paired_difference,
    _some_rivals,
    {
        "numpy does not subtract truth values: make numbers of them first, with .astype(float).": (
            lambda ours, theirs, sources: ours - theirs
        ),
        "The sign: positive where *ours* is better.": lambda ours, theirs, sources: (
            _paired_difference(theirs, ours, sources)
        ),
        "The mean difference first, its error second.": lambda *x: _paired_difference(*x)[::-1],
        "`^` says where the two differ, but not who is right: subtract numbers.": (
            lambda ours, theirs, sources: _paired_difference(ours ^ theirs, 0, sources)
        ),
        "An accuracy lies between 0 and 1, not 100; so does their difference.": (
            lambda *given: 100 * np.array(_paired_difference(*given))
        ),
        "The sources are few: their standard deviation divides by n - 1 (ddof=1), and the error of the mean by the "
        "root of n.": [
            lambda *x: (_each(*x).mean(), _each(*x).sem(ddof=0)),
            lambda *x: (_each(*x).mean(), _each(*x).std() / (len(set(x[2])) - 1) ** 0.5),
        ],
        "A source with many rows has many votes in that mean. One source, one vote: a mean within each first.": [
            lambda ours, theirs, sources: _rows(ours, theirs).agg(["mean", "sem"]),
            lambda *given: _rows(*given[:2]).groupby(given[2]).sum().agg(["mean", "sem"]),
        ],
        "That counts rows; the error shrinks with the number of sources, not of pointings.": [
            lambda *given: (_each(*given).mean(), _rows(*given[:2]).sem()),
            lambda *given: (_each(*given).mean(), _each(*given).std() / np.sqrt(len(given[0]))),
        ],
        "That is the scatter of the sources; the error of their mean is smaller.": (
            lambda *given: _each(*given).agg(["mean", "std"])
        ),
        "That adds the errors of two means, as if they were measured on different skies: take the difference source by "
        "source first.": lambda ours, theirs, sources: (
            _each(ours, theirs, sources).mean(),
            np.hypot(_each(ours, 0, sources).sem(), _each(theirs, 0, sources).sem()),
        ),
    },
    returns=forms.tuple_of(
        "the mean difference and its standard error",
        *map(forms.number, ("a mean difference", "its standard error")),
    ),
    otherwise="On sources of our own we find {ours} for {part}, and you {yours}.",
    names=("the mean difference", "its standard error"),
)
