"""The course's split of the RXTE archive by source, and the lock on its test set."""

import math
from typing import TYPE_CHECKING

import numpy as np

from helpers.data.archive import load_observations

if TYPE_CHECKING:  # slow to import: a notebook pays only for what it uses
    from pandas import DataFrame

__all__ = ["AlreadyOpenedError", "deal_sources", "load_split", "open_test_set"]

# The folds are filled with the largest sources first, so that the last two hold the most sources.
# A score counts sources: these two are for validation and test.
_FOLDS, _VALIDATION, _TEST = 5, 3, 4

_opened = None  # what was written down when this process opened the test set


class AlreadyOpenedError(Exception):
    """The test set was asked for a second time."""


def deal_sources(groups, label, k, seed) -> "list[tuple[np.ndarray, np.ndarray]]":
    """Cut rows into k folds of whole sources, each kind of source dealt evenly.

    It is the list of sources that is stratified, not that of the rows, so that each seed is another
    deal. (`StratifiedGroupKFold` balances rows: where a few large sources decide, it finds the same
    folds with any seed.)

    Args:
        groups: the source of each row, (n,).
        label: the kind of its source, (n,): one for each source.
        k: the number of folds; each kind has at least as many sources.
        seed: of the shuffling.

    Returns:
        k pairs, the positions of the rows inside and outside; each row is outside once.

    Raises:
        ValueError: if the rows of a source have two labels.

    Example:
        >>> groups, label = np.array(["A", "B", "B", "C", "D"]), np.array([1, 1, 1, 0, 0])
        >>> for inside, outside in deal_sources(groups, label, 2, seed=0):
        ...     print(groups[inside], groups[outside])
        ['A' 'D'] ['B' 'B' 'C']
        ['B' 'B' 'C'] ['A' 'D']
    """
    from sklearn.model_selection import StratifiedKFold

    label = np.asarray(label)
    names, first, which = np.unique(groups, return_index=True, return_inverse=True)
    if (label != label[first][which]).any():
        raise ValueError("label must be one per source: the rows of some source have two.")
    cutter = StratifiedKFold(k, shuffle=True, random_state=seed)
    held = [np.isin(which, out) for _, out in cutter.split(names, label[first])]
    return [(np.flatnonzero(~out), np.flatnonzero(out)) for out in held]


def load_split() -> "tuple[DataFrame, DataFrame]":
    """The training and the validation set of the RXTE archive: lessons 04 to 11 know no other rows.

    No source is in two parts. The archive is cut by `sklearn.model_selection.StratifiedGroupKFold`
    into five folds of about equal numbers of pointings of each object in each state; three are for
    training, one for validation, and one is the test set, which only `open_test_set` hands out.

    Returns:
        Train and validation, as `load_observations("rxte")` has their rows; `attrs` too.

    Raises:
        DataError: if the file of the archive is missing or damaged.

    Example:
        >>> train, validation = load_split()
        >>> len(train), len(validation), set(train.source_id) & set(validation.source_id)
        (3875, 1067, set())
    """
    table, fold = _folds()
    return _rows(table, fold < _VALIDATION), _rows(table, fold == _VALIDATION)


def open_test_set(*, model: str, metric: str, expected: float) -> "DataFrame":
    """The test set: sources that no lesson has trained, tuned or drawn on. It is handed out once.

    A test set measures how well a *finished* choice does on sources that had no part in it. Whoever
    looks, changes something and looks again has turned it into a validation set. So say first
    what you are about to measure. The lock holds as long as this Python process does; it is a
    promise, not a safe, for the rows lie in data/.

    Args:
        model: which model, in words; it is final.
        metric: by which metric it will be judged.
        expected: the value of it that you expect.

    Returns:
        The rows of the test set, as `load_observations("rxte")` has them.

    Raises:
        ValueError: if model or metric is empty, or the expectation is no finite number.
        AlreadyOpenedError: if it was opened before; the message repeats what was written down then.

    Example:
        >>> test = open_test_set(model="always BH", metric="accuracy", expected=0.4)
        >>> len(test), test.source_id.nunique()
        (1058, 11)
        >>> open_test_set(model="always NS", metric="accuracy", expected=0.6)
        Traceback (most recent call last):
        helpers.data.split.AlreadyOpenedError: You opened the test set for "always BH", and expected
        accuracy = 0.4. A second look would make it a validation set: report that first score.
    """
    global _opened
    for name, words in (("model", model), ("metric", metric)):
        if not isinstance(words, str) or not words.strip():
            raise ValueError(f"{name} is {words!r}: say in words what it is before you look.")
    try:
        known = math.isfinite(expected)
    except TypeError:
        known = False
    if not known:
        raise ValueError(f"expected is {expected!r}: write a number down before you look.")
    if _opened:
        raise AlreadyOpenedError(
            f"You opened the test set for {_opened}. A second look would make it a validation "
            "set: report that first score."
        )
    table, fold = _folds()
    _opened = f'"{model}", and expected {metric} = {expected:g}'
    return _rows(table, fold == _TEST)


def _folds():
    """The RXTE archive, and the number of the fold of each row."""
    from sklearn.model_selection import StratifiedGroupKFold

    table = load_observations("rxte")
    kind = table.object_label + table.state_label
    fold = np.empty(len(table), dtype=int)
    folds = StratifiedGroupKFold(_FOLDS).split(table, kind, groups=table.source_id)
    for number, (_, held_out) in enumerate(folds):
        fold[held_out] = number
    return table, fold


def _rows(table, chosen):
    return table[chosen].reset_index(drop=True)
