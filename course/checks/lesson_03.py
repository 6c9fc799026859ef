"""Checks of lesson 03: train-validation-test splits."""

import math

import numpy as np

from . import Hint, exercise, function, number, sorting

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
    best = np.argmax(right_validation.mean(axis=1))
    return right_validation[best].mean(), right_test[best].mean()


@exercise("Exercise 3.1", reference=lambda: _best_of_many)
def best_of_many(answer):
    """A function: two (n_models, n) arrays of truth values -> validation score and test score of one."""
    answer = function(answer)
    generator = np.random.default_rng(31)
    for n_models, n_validation, n_test in ((40, 301, 200), (7, 50, 400)):
        skill = generator.uniform(0.4, 0.7, (n_models, 1))
        on_validation = generator.random((n_models, n_validation)) < skill
        on_test = generator.random((n_models, n_test)) < skill
        # The best is never first or last, alone at the top, and not the best on the test set.
        best, other = generator.permutation(np.arange(1, n_models - 1))[:2]
        on_validation[best, : int(0.9 * n_validation)] = True
        on_test[other, : int(0.9 * n_test)] = True
        on_test[best] = generator.random(n_test) < 0.2  # nor the best on both together
        value = answer(on_validation.copy(), on_test.copy())
        if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
            raise Hint("Expected two numbers from your function: a validation and a test score.")
        first, second = (
            number(part, f"a {name} score")
            for part, name in zip(value, ("validation", "test"), strict=True)
        )
        right = _best_of_many(on_validation, on_test)
        if np.allclose((first, second), right):
            continue
        if np.allclose((second, first), right):
            raise Hint("The validation score first, the test score second.")
        if np.isclose(second, on_test[other].mean()):
            raise Hint(
                "You chose by the test set, too: the one model that validation chose is the one that is tested."
            )
        if np.allclose((first, second), (on_validation.mean(), on_test.mean())):
            raise Hint("That is the mean of all models: only one of them is chosen.")
        if first > 1:
            raise Hint("That is a number of right answers: a score is their share.")
        if np.isclose(first, on_validation.mean(axis=0).max()):
            raise Hint("Models are rows: take the mean along a row, with axis=1.")
        if np.isclose(second, right[0]):
            raise Hint("The second score is of the chosen model on the *test* set.")
        raise Hint(
            f"Of {n_models} models the best on validation scores {right[0]:.3f} there and {right[1]:.3f} on the test "
            f"set; yours are {first:.3f} and {second:.3f}."
        )


def _parts(value, n_rows, what=("training", "test")):
    """The two parts as arrays of positions, or a hint that says what is wrong with them."""
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise Hint(f"Expected two arrays from your function: {what[0]} and {what[1]}.")
    parts = [np.asarray(part) for part in value]
    for part in parts:
        if part.dtype == bool:
            raise Hint("That is a mask: np.flatnonzero turns it into positions.")
        if part.ndim == 2 and len(part) == 1:
            raise Hint("np.where wraps the positions in a tuple: np.flatnonzero gives them bare.")
        if part.ndim != 1 or not (part.size == 0 or np.issubdtype(part.dtype, np.integer)):
            raise Hint(
                "Expected arrays of whole numbers, the positions of rows; yours hold "
                f"{part.dtype} in {part.ndim} dimensions."
            )
        if part.size and not (part.min() >= 0 and part.max() < n_rows):
            raise Hint(
                f"There are {n_rows} rows, at positions 0 to {n_rows - 1}; yours run to {part.max()}."
            )
        if len(np.unique(part)) < len(part):
            raise Hint("A row is twice in the same part: draw without replacement.")
    if both := len(np.intersect1d(*parts)):
        raise Hint(f"{both} rows are in {what[0]} and in {what[1]}: a row has one place.")
    return parts


def _whole(parts, n_rows):
    if lost := n_rows - len(parts[0]) - len(parts[1]):
        raise Hint(f"{lost} of {n_rows} rows are in neither part.")


def _random(draw, seed=1):
    """Whether the result hangs on the generator and on nothing else, or a hint."""
    one, again, other = (draw(np.random.default_rng(s)) for s in (seed, seed, seed + 1))
    if not np.array_equal(one, again):
        raise Hint(
            "Two generators of the same seed should give the same: draw with `generator` alone, "
            "or nobody can repeat your split."
        )
    if np.array_equal(one, other):
        raise Hint("It gives the same every time: chance must come from `generator`.")


def _split_rows(n_rows, share, generator):
    order = generator.permutation(n_rows)
    n_test = round(share * n_rows)
    return order[n_test:], order[:n_test]


@exercise("Exercise 3.2", reference=lambda: _split_rows)
def split_rows(answer):
    """A function: number of rows, share, generator -> positions of the training and the test rows."""
    answer = function(answer)
    for n_rows, share in ((200, 0.25), (61, 0.4)):
        train, test = _parts(answer(n_rows, share, np.random.default_rng(2)), n_rows)
        _whole((train, test), n_rows)
        if abs(len(train) - share * n_rows) <= 1:
            raise Hint("The share is that of the test part, and training comes first.")
        if abs(len(test) - share * n_rows) > 1:
            raise Hint(
                f"Of {n_rows} rows, a share of {share} belongs to the test part; yours has {len(test)}."
            )
    _random(lambda generator: np.sort(answer(100, 0.3, generator)[1]))
    n_draws, times = 300, np.zeros(40)
    for seed in range(n_draws):
        times[np.asarray(answer(40, 0.25, np.random.default_rng(seed))[1])] += 1
    if abs(times / n_draws - 0.25).max() > 5 * np.sqrt(0.25 * 0.75 / n_draws):
        raise Hint("Some rows are tested more often than others: every row needs the same chance.")


def _split_sources(source, share, generator):
    names = generator.permutation(np.unique(source))
    held_out = np.isin(source, names[: round(share * len(names))])
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def _sources(generator, sizes):
    """(n_rows,) names of sources of the given numbers of rows, in random order."""
    names = [f"X{number}" for number in generator.permutation(90)[: len(sizes)]]
    return generator.permutation(np.repeat(names, sizes))


@exercise("Exercise 3.3", reference=lambda: _split_sources)
def split_sources(answer):
    """A function: source of each row, share, generator -> positions of training and test rows."""
    answer = function(answer)
    generator = np.random.default_rng(33)
    for sizes, share in (([1, 2, 4, 8, 16, 32, 64, 128], 0.25), ([3] * 20 + [90], 1 / 3)):
        source = _sources(generator, sizes)
        value = answer(source.copy(), share, np.random.default_rng(3))
        if isinstance(value, tuple) and value and np.asarray(value[-1]).dtype.kind in "UO":
            raise Hint("Those are names of sources: return the positions of their rows.")
        train, test = _parts(value, len(source))
        if both := set(source[train]) & set(source[test]):
            raise Hint(
                f"{len(both)} of {len(sizes)} sources are on both sides: draw sources, then take all of their rows."
            )
        _whole((train, test), len(source))
        wanted, found = share * len(sizes), len(set(source[test]))
        if abs(found - wanted) <= 1:
            continue
        if abs(len(sizes) - found - wanted) <= 1:
            raise Hint(
                f"Of {len(sizes)} sources yours holds out {found}: the share is that of the test part, and training "
                "comes first. (And count sources, each once, not rows.)"
            )
        raise Hint(
            f"Of {len(sizes)} sources, a share of {share:.2f} should be held out; yours holds out {found}. "
            "Count sources, each once, not rows."
        )
    source = _sources(generator, [40, 20, 10] + [2] * 9)
    _random(lambda generator: np.sort(answer(source.copy(), 0.25, generator)[1]))
    names = np.unique(source)
    n_draws, times = 300, np.zeros(len(names))
    for seed in range(n_draws):
        test = answer(source.copy(), 0.25, np.random.default_rng(seed))[1]
        held_out = np.isin(names, source[test])
        if held_out.sum() < 2:
            raise Hint(
                "A source can be drawn twice, so that too few are held out: draw without replacement."
            )
        times += held_out
    if abs(times / n_draws - 0.25).max() > 5 * np.sqrt(0.25 * 0.75 / n_draws):
        raise Hint(
            "Some sources are held out more often than others: draw among the names, each once, not among the rows."
        )


def _shuffle_labels(label, source, generator):
    names, first = np.unique(source, return_index=True)
    new = dict(zip(names, generator.permutation(label[first]), strict=True))
    return np.array([new[name] for name in source])


@exercise("Exercise 3.4", reference=lambda: _shuffle_labels)
def shuffle_labels(answer):
    """A function: label and source of each row, generator -> new label of each row."""
    answer = function(answer)
    generator = np.random.default_rng(34)
    source = _sources(generator, [60, 30, 12, 8, 5, 3, 2, 2, 1, 1, 1, 1])
    names = np.unique(source)
    own = dict(zip(names, generator.permutation(["BH"] * 4 + ["NS"] * 8), strict=True))
    label = np.array([own[name] for name in source])

    def draw(generator):
        value = np.asarray(answer(label.copy(), source.copy(), generator))
        if value.shape != label.shape:
            raise Hint(
                f"Expected one label for each of the {len(label)} rows; yours has shape {value.shape}."
            )
        if strange := set(value.tolist()) - {"BH", "NS"}:
            raise Hint(f"Where does {sorted(map(str, strange))[0]!r} come from? Labels only move.")
        return value

    n_draws, black, seen = 300, np.zeros(len(names)), []
    for seed in range(n_draws):
        new = draw(np.random.default_rng(seed))
        kinds = {name: set(new[source == name]) for name in names}
        if mixed := [name for name, kind in kinds.items() if len(kind) > 1]:
            raise Hint(
                f"{len(mixed)} sources have both labels now: a label belongs to a whole source."
            )
        is_black = np.array([kinds[name] == {"BH"} for name in names])
        black += is_black
        seen.append(is_black.sum())
    if set(seen) != {4}:
        raise Hint(
            f"Of 12 sources 4 were black holes, and now there are between {min(seen)} and {max(seen)}: take each "
            "source's label once, and let these change places. Do not draw new ones."
        )
    _random(draw)
    # Over all draws a source is a black hole in a third of them, whatever it was.
    if abs(black / n_draws - 1 / 3).max() > 5 * np.sqrt(2 / 9 / n_draws):
        raise Hint("Some sources become black holes more often than others: permute all labels.")


def _sources_needed(share, error):
    return math.ceil(share * (1 - share) / error**2)


@exercise("Exercise 3.5", reference=lambda: _sources_needed)
def sources_needed(answer):
    """A function: expected share of right answers, wanted standard error -> number of sources."""
    answer = function(answer)
    for share, error in ((0.87, 0.043), (0.62, 0.029), (0.97, 0.017), (0.5, 0.125)):
        found = number(answer(share, error), "a number of sources")
        exact = share * (1 - share) / error**2
        if found == math.ceil(exact):
            continue
        if found == math.ceil(exact) + 1:
            raise Hint("That is one too many: the smallest number that is enough.")
        if abs(found - 0.25 / error**2) < 1:
            raise Hint("That is for a share of 1/2, the worst; yours is p.")
        if found == math.floor(exact):
            raise Hint("That is one too few: round up.")
        if np.isclose(found, exact):
            raise Hint("There are no fractions of a source: round up to a whole number.")
        unsquared = math.sqrt(share * (1 - share)) / error, share * (1 - share) / error
        if min(abs(found - value) for value in unsquared) < 1:
            raise Hint("The error falls with the root of n: solve for n, and mind the square.")
        if abs(found - 1 / error**2) < 1:
            raise Hint("That leaves out the variance of one toss, p (1 - p).")
        if abs(found - share / error**2) < 1:
            raise Hint("That is Poisson's variance, p; a share near 1 scatters less, by p (1 - p).")
        raise Hint(
            f"For a share of {share} and an error of {error} we find {math.ceil(exact)} sources, you {found:g}."
        )


def _split_time(mjd, cut, gap):
    return np.flatnonzero(mjd < cut - gap), np.flatnonzero(mjd >= cut)


@exercise("Exercise 3.6", reference=lambda: _split_time)
def split_time(answer):
    """A function: dates, cut, gap [days] -> positions of the past and of the future rows."""
    answer = function(answer)
    generator = np.random.default_rng(36)
    mjd = generator.uniform(50000, 56000, 400)  # in no order
    for cut, gap in ((53000.0, 200.0), (51500.0, 700.0), (54000.0, 0.0)):
        past, future = _parts(answer(mjd.copy(), cut, gap), len(mjd), ("past", "future"))
        if not len(past) or not len(future):
            raise Hint(f"With the cut at {cut:g} one of your parts is empty.")
        if mjd[past].max() > mjd[future].min():
            if mjd[future].max() < mjd[past].min():
                raise Hint("The past comes first: it is what we train on.")
            raise Hint(
                "Some training rows are younger than some test rows: compare dates, not positions; the table may be "
                "in any order."
            )
        right = _split_time(mjd, cut, gap)
        if len(past) == len(right[0]) and len(future) == len(right[1]):
            continue
        if len(past) + len(future) == len(mjd):
            raise Hint("There is no gap: the last `gap` days before the cut go to neither part.")
        if len(future) < len(right[1]):
            raise Hint("The future begins at the cut; the gap lies before it.")
        raise Hint(
            f"For a cut at {cut:g} and a gap of {gap:g} days we find {len(right[0])} rows in the past and "
            f"{len(right[1])} in the future; you find {len(past)} and {len(future)}."
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
