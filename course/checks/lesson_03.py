"""Checks of lesson 03: train-validation-test splits."""

import functools
import math

import numpy as np

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, repeatable, sorting

__all__ = [
    "best_of_many",
    "right_split",
    "shuffle_labels",
    "sources_needed",
    "split_rows",
    "split_sources",
    "split_time",
]


def _best_of_many(right_validation, right_test):
    """A function: two (n_models, n) arrays of truth values -> validation score and test score of one."""
    return _scores(right_validation.mean(axis=1), right_validation, right_test)


def _scores(merit, on_validation, on_test):
    """Return both scores of the model with the highest merit."""
    best = np.argmax(merit)
    return float(on_validation[best].mean()), float(on_test[best].mean())


def _some_coins():
    generator, questions = np.random.default_rng(34), []
    for n_models, n_validation, n_test in ((40, 200, 200), (7, 50, 400)):
        skill = generator.uniform(0.4, 0.7, (n_models, 1))
        on_validation = generator.random((n_models, n_validation)) < skill
        on_test = generator.random((n_models, n_test)) < skill
        # The best is never first or last, alone at the top, and not the best on the test set.
        best, other = generator.permutation(np.arange(1, n_models - 1))[:2]
        on_validation[best, : int(0.9 * n_validation)] = True
        on_test[other, : int(0.9 * n_test)] = True
        on_test[best] = generator.random(n_test) < 0.2  # nor the best on both together
        questions.append((on_validation, on_test))
    tied = generator.random((2, 40, 50)) < 0.5
    tied[0, [9, 20, 31]] = True
    tied[1, [20, 31]] = [[True], [False]]
    return [*questions, tuple(tied)]


best_of_many = by_example(
    "Exercise 3.1",
    _best_of_many,
    _some_coins,
    {
        "The validation score first, the test score second.": lambda *x: _best_of_many(*x)[::-1],
        "You chose by the test set, too: the one model that validation chose is the one that is tested.": [
            lambda v, t: (v.mean(axis=1).max(), t.mean(axis=1).max()),
            lambda v, t: _scores(v.mean(axis=1) + t.mean(axis=1), v, t),
            lambda v, t: _scores(t.mean(axis=1), v, t),
        ],
        "Several are equally good on validation: take the first of them. The test set has no say in it.": [
            lambda v, t: max(zip(v.mean(axis=1), t.mean(axis=1), strict=True)),
            lambda v, t: _best_of_many(v[::-1], t[::-1]),
        ],
        "That is the mean of all models: only one of them is chosen.": lambda v, t: (
            (v.mean(), t.mean())
        ),
        "A score is a share, from 0 to 1: how many of all answers are right.": [
            lambda v, t: (v.sum(axis=1).max(), t[v.sum(axis=1).argmax()].sum()),
            lambda v, t: [100 * score for score in _best_of_many(v, t)],
        ],
        "Models are rows: take the mean along a row, with axis=1.": [
            lambda v, t: (v.mean(axis=0).max(), t.mean(axis=0)[v.mean(axis=0).argmax()]),
            lambda v, t: _scores(v.mean(axis=0), v, t),
        ],
        "The second score is of the chosen model on the *test* set.": lambda v, t: (
            [v.mean(axis=1).max()] * 2
        ),
    },
    returns=forms.tuple_of("a validation score and a test score", *[forms.number("a score")] * 2),
    otherwise="For the model that is best on validation we find a score of {ours} where you find {yours}.",
)


def _positions(value, given=()):
    """Form of positions of rows."""
    found = np.asarray(value, dtype=object)
    first = found.flat[0] if found.size else 0
    if isinstance(first, (bool, np.bool_)):
        raise Hint("That is a mask: np.flatnonzero turns it into positions.")
    if isinstance(first, str):
        raise Hint("Those are names of sources: return the positions of their rows.")
    found = forms.array("the positions of rows", int)(value, given)
    if found.ndim != 1:
        raise Hint(
            "np.where wraps the positions in a tuple, and np.argwhere makes a column of them: np.flatnonzero gives "
            "them bare."
        )
    return found


_TWO_PARTS = forms.tuple_of("the training rows and the test rows", _positions, _positions)


def _tested(answer, rows, share, generator):
    """Return the tested sources of one split, or raise a hint; `rows`: the source of each row, or their number."""
    source = rows if np.ndim(rows) else np.arange(rows)
    train, test = answer(rows, share, generator)
    names, n_rows, both = np.unique(source), len(source), np.append(train, test)
    if both.size and not 0 <= both.min() <= both.max() < n_rows:
        raise Hint(
            f"There are {n_rows} rows, at positions 0 to {n_rows - 1}; yours run from {both.min()} to {both.max()}."
        )
    if len(set(train)) < len(train) or len(set(test)) < len(test):
        raise Hint("A row is twice in the same part: draw without replacement.")
    if twice := len(both) - len(set(both)):
        raise Hint(f"Rows in training and in test, of {n_rows}: {twice}. A row has one place.")
    if lost := n_rows - len(both):
        raise Hint(f"Rows in neither part, of {n_rows}: {lost}.")
    if known := len(set(source[train]) & set(source[test])):
        raise Hint(
            f"Sources on both sides, of {len(names)}: {known}. Draw sources, then take all of their rows."
        )
    n, found = len(names), len(set(source[test]))
    if abs(n - found - share * n) < 1:
        raise Hint("The share is that of the test part, and training comes first.")
    if abs(found - share * n) >= 1:
        what = "sources, each of them once," if np.ndim(rows) else "rows"
        raise Hint(
            f"A share of {share:.2f} of {n} {what} makes {share * n:.1f} for the test part, to be rounded; yours has "
            f"{found}. Draw without replacement."
        )
    return np.isin(names, source[test])


def _fair(draw, share, hint):
    """Test that `draw`, which returns (n,) bools, is repeatable, and that each is true in a share of the draws."""
    drawn = np.array([draw(np.random.default_rng(seed)) for seed in range(300)])
    if 1 < len(np.unique(drawn, axis=0)) <= 2 * drawn.shape[1]:
        raise Hint(
            "In many draws only a few different results appear, as if all were moved along together: draw from all, "
            "in a random order."
        )
    repeatable(draw)
    if abs(drawn.mean(axis=0) - share).max() > 5 * np.sqrt(share * (1 - share) / len(drawn)):
        raise Hint(hint)


def _split_rows(n_rows, share, generator):
    order = generator.permutation(n_rows)
    n_test = round(share * n_rows)
    return order[n_test:], order[:n_test]


@exercise("Exercise 3.2", reference=lambda: _split_rows, form=forms.function(_TWO_PARTS))
def split_rows(answer):
    """A function: number of rows, share, generator -> positions of the training and the test rows."""
    for n_rows, share in ((200, 0.25), (61, 0.4)):
        _tested(answer, n_rows, share, np.random.default_rng(2))
    hint = "Some rows are tested more often than others: every row needs the same chance."
    _fair(functools.partial(_tested, answer, 40, 0.25), 0.25, hint)


def _split_sources(source, share, generator):
    names = generator.permutation(np.unique(source))
    held_out = np.isin(source, names[: round(share * len(names))])
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _sources(generator, sizes):
    """Return names of sources (n_rows,) with the given numbers of rows, in random order."""
    names = [f"X{number}" for number in generator.permutation(90)[: len(sizes)]]
    return generator.permutation(np.repeat(names, sizes))


@exercise("Exercise 3.3", reference=lambda: _split_sources, form=forms.function(_TWO_PARTS))
def split_sources(answer):
    """A function: source of each row, share, generator -> positions of training and test rows."""
    generator = np.random.default_rng(33)
    uneven = _sources(generator, [16, 18, 20, 24, 30, 40, 64, 128])
    numbers = generator.permutation(np.repeat(np.arange(60, 81), [3] * 20 + [90]))
    for source, share in ((uneven, 0.25), (numbers, 1 / 3)):
        _tested(answer, source, share, np.random.default_rng(3))
    source = _sources(generator, [40, 20, 10] + [2] * 9)
    hint = "Some sources are held out more often than others: draw among the names, each once, not among the rows."
    _fair(functools.partial(_tested, answer, source, 0.25), 0.25, hint)


def _shuffle_labels(label, source, generator):
    names, first = np.unique(source, return_index=True)
    new = dict(zip(names, generator.permutation(label[first]), strict=True))
    return np.array([new[name] for name in source])


def _labelled(sizes, n_black):
    """Return label and source of each row; this number of sources are black holes."""
    generator = np.random.default_rng(34)
    source = _sources(generator, sizes)
    labels = generator.permutation(["BH"] * n_black + ["NS"] * (len(sizes) - n_black))
    return labels[np.unique(source, return_inverse=True)[1]], source


def _per_source(label, source):
    """Return the share of black-hole rows in each source."""
    return np.array([np.mean(label[source == name] == "BH") for name in np.unique(source)])


def _black_holes(answer, label, source, generator):
    """Return the sources that are black holes after one shuffle, or raise a hint about the shuffle."""
    new = answer(label, source, generator)
    if new.shape != label.shape:
        raise Hint(
            f"Expected one label for each of the {len(label)} rows; yours has shape {new.shape}."
        )
    if strange := set(new) - {"BH", "NS"}:
        raise Hint(f"Where does '{min(strange)}' come from? Labels only move.")
    names = np.unique(source)
    before, after = (_per_source(values, source) for values in (label, new))
    if mixed := np.sum(after % 1 > 0):
        raise Hint(f"{mixed} sources have both labels now: a label belongs to a whole source.")
    if after.sum() != before.sum():
        raise Hint(
            f"Of {len(names)} sources {before.sum():.0f} were black holes, and now there are {after.sum():.0f}: take "
            "each source's label once, and let these change places. Do not draw new ones."
        )
    return after


@exercise(
    "Exercise 3.4",
    reference=lambda: _shuffle_labels,
    form=forms.function(forms.array("a label for each row", str)),
)
def shuffle_labels(answer):
    """A function: label and source of each row, generator -> new label of each row."""
    some = _labelled([5, 9, 1, 2, 30, 7, 7, 4, 1], 6)
    found = [_black_holes(answer, *some, np.random.default_rng(seed)) for seed in range(5)]
    if np.all(found == _per_source(*some)):
        raise Hint("All labels are where they were: let them change places between whole sources.")
    # Over all draws a source is a black hole in a third of them, whatever it was.
    some = _labelled([60, 30, 12, 8, 5, 3, 2, 2, 1, 1, 1, 1], 4)
    hint = "Some sources become black holes more often than others: permute all labels."
    _fair(functools.partial(_black_holes, answer, *some), 1 / 3, hint)
    some = _labelled([3, 5, 2], 1)
    found = [_black_holes(answer, *some, np.random.default_rng(seed)) for seed in range(60)]
    if not np.all(found == _per_source(*some), axis=1).any():
        raise Hint(
            "No source ever keeps its own label; by chance it may. Keep the first permutation."
        )


def _sources_needed(share, error):
    """A function: expected share of right answers, wanted standard error -> number of sources."""
    return math.ceil(share * (1 - share) / error**2)


sources_needed = by_example(
    "Exercise 3.5",
    _sources_needed,
    lambda: [(0.87, 0.1121), (0.62, 0.029), (0.97, 0.017), (0.5, 0.125)],
    {
        "That is one too many: the smallest number that is enough.": [
            lambda p, e: int(p * (1 - p) / e**2) + 1,
            lambda p, e: math.ceil(p * (1 - p) / e**2) + 1,
        ],
        "That is for a share of 1/2, the worst; yours is p.": lambda p, e: math.ceil(0.25 / e**2),
        "That is one too few: round up.": [
            lambda p, e: int(p * (1 - p) / e**2),
            lambda p, e: round(p * (1 - p) / e**2),
        ],
        "Too few by one: round up once, and do not round before.": (
            lambda p, e: math.ceil(round(p * (1 - p) / e**2, 1))
        ),
        "There are no fractions of a source: round up to a whole number.": lambda p, e: (
            p * (1 - p) / e**2
        ),
        "The error falls with the root of n: solve for n, and mind the square.": [
            lambda p, e: math.ceil(math.sqrt(p * (1 - p)) / e),
            lambda p, e: math.ceil(p * (1 - p) / e),
            lambda p, e: math.sqrt(p * (1 - p)) / e,
        ],
        "That leaves out the variance of one toss, p (1 - p).": lambda p, e: math.ceil(1 / e**2),
        "That is Poisson's variance, p; a share near 1 scatters less, by p (1 - p).": lambda p, e: (
            math.ceil(p / e**2)
        ),
    },
    returns=forms.number("a number of sources", int),
    otherwise="For a share of {0} and an error of {1} we find {ours} sources, you {yours}.",
)


def _parted(masks):
    """Make an answer from the masks of its two parts."""
    return lambda *given: tuple(map(np.flatnonzero, masks(*given)))


def _split_time(mjd, cut, gap):
    """A function: dates, cut, gap [days] -> positions of the past and of the future rows."""
    return np.flatnonzero(mjd < cut - gap), np.flatnonzero(mjd >= cut)


def _some_dates():
    """Return whole days in random order; some rows lie at the cut and at the end of the past."""
    mjd = np.random.default_rng(36).integers(50000, 56000, (3, 400)).astype(float)
    questions = [(mjd[0], 53000.0, 200.0), (mjd[1], 51500.0, 700.0), (mjd[2], 54000.0, 0.0)]
    for dates, cut, gap in questions:
        dates[[7, 50, 333, 99]] = cut, cut - gap, cut, cut - 1e-4
    return questions


def _in_order(value, given=()):
    return np.sort(_positions(value, given))


_PAST = "The past should hold each row earlier than `cut - gap`, and no other row; yours differs from that."
_FUTURE = "The past is right. The future should hold each row from `cut` on, and no other; yours differs from that."

split_time = by_example(
    "Exercise 3.6",
    _split_time,
    _some_dates,
    {
        "The past comes first: it is what we train on.": lambda *given: _split_time(*given)[::-1],
        "There is no gap: the last `gap` days before the cut go to neither part.": [
            _parted(lambda t, cut, gap: (t < cut, t >= cut)),
            _parted(lambda t, cut, gap: (t < cut - gap, t >= cut - gap)),
        ],
        "All three are in days: `gap` is not to be converted.": [
            lambda t, cut, gap, f=f: _split_time(t, cut, gap * f) for f in (1 / 86400, 86400)
        ],
        "The future begins at the cut; the gap lies before it.": [
            _parted(lambda t, cut, gap: (t < cut, t >= cut + gap)),
            _parted(lambda t, cut, gap: (t < cut - gap, t >= cut + gap)),
        ],
        "`From cut on` includes the rows at the cut itself.": _parted(
            lambda t, cut, gap: (t < cut - gap, t > cut)
        ),
        "`Earlier than cut - gap` leaves out the rows of this very date.": _parted(
            lambda t, cut, gap: (t <= cut - gap, t >= cut)
        ),
        "Compare dates, not positions: the table may be in any order.": lambda t, cut, gap: (
            _split_time(np.sort(t), cut, gap)
        ),
        "Those are the dates of the rows: return their positions.": lambda t, cut, gap: (
            (t[t < cut - gap], t[t >= cut])
        ),
    },
    returns=forms.tuple_of("the past rows and the future rows", _in_order, _in_order),
    otherwise=lambda found, wanted: _FUTURE if np.array_equal(found[0], wanted[0]) else _PAST,
)


right_split = sorting(
    "Exercise 3.7",
    {
        "is the transient that was discovered last night a black hole?": (
            "sources",
            "has the model met the transient before?",
        ),
        "a state for the 5 % of the archive's rows that its readers skipped, at random": (
            "rows",
            "these rows were drawn at random from the very archive that we train on.",
        ),
        "spectra of 16 s, many from each pointing: the state in a pointing that is not in the table": (
            "pointings",
            "the source is known; what is new is the pointing, with all of its spectra.",
        ),
        "next year's pointings of the sources we monitor, while the detector ages": (
            "past and future",
            "what changes from the training rows to the target is the date.",
        ),
        "a catalogue of unclassified sources, some with 3 pointings, some with 300": (
            "sources",
            "can a source of the catalogue be in the training set?",
        ),
        "does the rule for black holes hold in a globular cluster where nobody has looked?": (
            "sources",
            "which sources of the cluster were there to train on?",
        ),
    },
)
