"""Checks of lesson 12: science."""

import re
from functools import partial

import numpy as np

from course.checks import Hint, exercise, forms
from course.checks.examples import by_example, sorting

__all__ = ["abstract", "days", "strangeness", "turning", "unfold", "written"]

_WRITTEN = {
    "model": "logistic regression, C = 0.1, on the state features; sources held out",
    "metric": "balanced accuracy of the four states",
    "expected": 0.73,
    "error": 0.05,
}
_FORMS = {
    "model": forms.number("the 'model' in words, in quotation marks", str),
    "metric": forms.number("the 'metric' in words, in quotation marks", str),
    "expected": forms.number("a number for 'expected'"),
    "error": forms.number("a number for 'error'"),
}
_DENIED = (
    r"\b(not|no|non|un|never|without|instead of|rather than|better than)\b.*?(?=\bbut\b|[,;:.()]|$)"
)
_LOGISTIC = r"logi(sti|t)|log ?reg|softmax|maximum entropy|\blinear (model|classifier)"
_FOREST = r"\b(random ?)?forests?|\btrees?\b"
_SQUARE = r"\bsquared?\b|²"
# Balanced accuracy is the recall, averaged over the states.
_BALANCED = (
    r"\bbal(anced|\.)? ?acc|\bacc(uracy)?,? \(?balanced|\bb ?acc\b|\buar\b|\bba\b"
    r"|\b(per|each|by|of each) (class|state)\b.*\baccurac|\b(state|class) averaged? accurac"
    r"|\baccurac\w*\b.*\b(per|each|averaged? over)( \w+){0,2} (class|state)"
    r"|\b(macro|mean|average\w*|unweighted)\b.*\b(recalls?|sensitivity)\b|\brecalls?\b.*\b(macro|mean|average\w*)\b"
)


def _words(text):
    """Return the claims of a text in lower case, without denied ones."""
    return re.sub(_DENIED, "", re.sub(r"[_\s-]+", " ", text.lower()))


@exercise("Exercise 12.1", reference=lambda: dict(_WRITTEN), form=forms.mapping(_FORMS))
def written(answer):
    """A dictionary: model and metric in words, expected and error as numbers."""
    model, metric = _words(answer["model"]), _words(answer["metric"])
    if re.search(_FOREST, model):
        raise Hint("No forest is a finalist; `finalists` says which model is for the state.")
    if re.search(_SQUARE, model):
        raise Hint("The square is for the object; `finalists` says which model is for the state.")
    if not re.search(_LOGISTIC, model):
        raise Hint("'model': name the one for the state, so that another astronomer knows which.")
    if not re.search(_BALANCED, metric) or re.search(r"\bweighted|class weight|the object", metric):
        raise Hint(
            "'metric': lesson 06 fixed the one for the state, a kind of accuracy to which each state counts alike."
        )
    expected, error = answer["expected"], answer["error"]
    if not 0 < expected <= 1 or error > 1:
        raise Hint("A balanced accuracy is a share between 0 and 1, and so is its error.")
    if not error > 0:
        raise Hint("An expectation with an error of 0 or less cannot be met.")
    if error < 0.015:
        raise Hint(
            "So small an error is that of independent pointings, or of a large sky: the test set has few sources."
        )
    if error > 0.15:
        raise Hint("With so large an error nothing could surprise you, and then you learn nothing.")
    if expected > 0.85:
        raise Hint(
            "That is what the accuracy gives, perhaps: by the balanced accuracy even a perfect model stays near 0.8."
        )
    if expected < 0.6:
        raise Hint(
            "Held-out sources gave more: an expectation is what you believe, not a low bar for safety."
        )


def _days_in(order, mjd, outburst, cap):
    """Return the days if the next row of this order is the next pointing, which is right for one order only."""
    gap = np.append(np.diff(mjd[order]), 0.0)
    last = np.append(outburst[order][1:] != outburst[order][:-1], True)
    stood = np.empty(len(mjd))
    stood[order] = np.where(last, 0.0, np.minimum(gap, cap))
    return stood


def _days(mjd, outburst, cap):
    """A function: mjd (n,), outburst (n,), cap -> days (n,) that each pointing stands for."""
    return _days_in(np.lexsort((mjd, outburst)), mjd, outburst, cap)


def _some_outbursts():
    generator = np.random.default_rng(122)
    numbers = (12, 9, 7, 1)
    outburst = np.repeat(["R07", "R30", "R02", "R01"], numbers)
    starts = (50000, 50010, 50080, 50020)  # some overlap, and some follow each other
    mjd = np.concatenate(
        [s + np.cumsum(generator.uniform(0.3, 4, n)) for s, n in zip(starts, numbers, strict=True)]
    )
    mjd[-4:-1] += 80  # a long gap
    mixed = generator.permutation(len(mjd))
    return [(mjd, outburst, 3.0), (mjd[mixed], outburst[mixed], 2.0)]


days = by_example(
    "Exercise 12.2",
    _days,
    _some_outbursts,
    {
        "No pointing may stand for more than `cap` days.": lambda t, o, cap: _days(t, o, np.inf),
        "The next pointing may be of another outburst: that gap belongs to nobody.": lambda t, o, cap: (
            _days(t, 0 * t, cap)
        ),
        "Before a gap longer than `cap`, a pointing stands for `cap` days, not for 0.": lambda t, o, cap: (
            np.where(_days(t, o, np.inf) > cap, 0, _days(t, o, cap))
        ),
        "Outbursts overlap in time: sort by outburst first, then by date. np.lexsort takes the first key last.": (
            lambda t, *x: _days_in(np.argsort(t), t, *x)
        ),
        "Whole days: the array that you fill holds no parts of them.": lambda *x: np.floor(
            _days(*x)
        ),
        "That is the time since the pointing before, not until the next.": lambda t, *x: _days(
            -t, *x
        ),
        "You return the days of sorted rows: write them back to the rows where they belong, stood[order] = ...": [
            lambda t, o, cap: _days(t, o, cap)[np.lexsort((t, o))],
        ],
        "The rows need not come in order of time: sort them first.": [
            lambda t, *x: np.maximum(_days_in(np.arange(len(t)), t, *x), 0),
            lambda t, *x: np.abs(_days_in(np.arange(len(t)), t, *x)),
            lambda t, o, cap: np.maximum(_days_in(np.argsort(o, kind="stable"), t, o, cap), 0),
        ],
    },
    returns=forms.array("the days of each pointing"),
    otherwise="With a cap of {2:g} days we find a pointing that stands for {ours} days, and yours says {yours}.",
    signs={
        "Some pointings stand for negative times: the rows need not come in order of time.": (
            lambda found, *given: (found < -1e-9).any()
        ),
        "The last pointing of an outburst has no next one: it stands for 0 days.": lambda found, t, *x: (
            found.shape == t.shape and np.allclose(np.where(_days(t, *x), found, 0), _days(t, *x))
        ),
    },
)


def _unfold(measured, confusion):
    """A function: measured (n,), confusion (n, n) -> true shares (n,)."""
    return np.linalg.solve(confusion.T, measured)


def _some_shares():
    generator, questions = np.random.default_rng(123), []
    for n in (4, 6, 2):
        confusion = 0.6 * np.eye(n) + 0.4 * generator.dirichlet(np.ones(n), n)
        questions.append((generator.dirichlet(np.full(n, 3.0)) @ confusion, confusion))
    return questions


unfold = by_example(
    "Exercise 12.3",
    _unfold,
    _some_shares,
    {
        "That mixes up rows and columns: a sum over labels i runs down a column of the matrix.": lambda y, M: (
            np.linalg.solve(M, y)
        ),
        "That folds once more, and blurs what is blurred: the matrix must be undone.": [
            lambda y, M: y @ M,
            lambda y, M: M @ y,
        ],
        "These are the measured shares: nothing is unfolded yet.": lambda y, M: y,
        "Dividing by the recall forgets those who come in from other states: undo the whole matrix.": [
            lambda y, M: y / np.diag(M),
            lambda y, M: y / np.diag(M) / np.sum(y / np.diag(M)),
        ],
        "`lstsq` returns four things: the first alone.": lambda y, M: np.linalg.lstsq(M.T, y),
    },
    returns=forms.array("true shares"),
    otherwise="Folded with this matrix, your shares do not give the measured ones: we find {ours} and you {yours}.",
    atol=1e-6,
)


def _turning(
    mjd,
    state,
    luminosity,
    *,
    mean=lambda two: np.exp(np.mean(np.log(two))),
    soft=lambda dates, all_dates: np.quantile(dates, (0.05, 0.95)),
    ends=(slice(-2, None), slice(0, 2)),
    needed=2,
    fewest=4,
    ordered=True,
    gaps_in=(),
):
    """A function: mjd (n,), state (n,), luminosity (n,) -> luminosities (hard to soft, soft to hard)."""
    # All options are for the mistakes.
    known = {name: np.isfinite(luminosity) | (name in gaps_in) for name in ("HSS", "LHS")}
    dates = mjd[(state == "HSS") & known["HSS"]]
    if len(dates) < fewest:
        return np.nan, np.nan
    start, stop = soft(dates, mjd)
    order = np.argsort(mjd) if ordered else np.arange(len(mjd))
    order = order[((state == "LHS") & known["LHS"])[order]]
    sides = order[mjd[order] < start], order[mjd[order] > stop]
    return tuple(
        mean(luminosity[side[end]]) if len(side) >= needed else np.nan
        for side, end in zip(sides, ends, strict=True)
    )


_turned = partial(partial, _turning)


def _some_turns():
    generator = np.random.default_rng(124)
    runs = {"LHS": 15, "HIMS": 4, "SIMS": 2, "HSS": 40, "HIMS ": 3, "LHS ": 12}
    state = np.char.strip(np.repeat(list(runs), list(runs.values())))
    n = len(state)
    mjd = 51000 + np.cumsum(generator.uniform(0.5, 2, n))
    mjd[10:] += 60  # a long gap
    luminosity = np.exp(generator.normal(0, 0.5, n) - 0.03 * np.abs(np.arange(n) - 18))

    def with_soft(number, more=()):
        """Return this number of pointings in HSS, in the middle, and some others."""
        places = [*range(36, 36 + number), *more]
        return np.where(np.isin(np.arange(n), places), "HSS", np.where(soft, "HIMS", state))

    soft, rows = state == "HSS", generator.permutation(n)
    within, called = state.copy(), state.copy()
    within[[24, 40, 57]] = "LHS"
    called[[5, 6, 71, 72]] = "HSS"
    gaps, dark = luminosity.copy(), luminosity.copy()
    gaps[[14, 64]] = np.nan
    dark[[5, 6, 7, 71, 72, 73]] = np.nan
    return [
        (mjd, state.astype(object), luminosity),
        (mjd[rows], state[rows], luminosity[rows]),
        (mjd, within, luminosity),
        (mjd, called, luminosity),
        (mjd, state, gaps),
        (mjd, with_soft(10, [5, 6, 7, 71, 72, 73]), dark),
        (mjd, with_soft(9, [5, 72]), luminosity),
        (mjd, with_soft(3), luminosity),
        (mjd, with_soft(4), luminosity),
        (mjd, with_soft(2, [5, 6, 72]), dark),
        (mjd, with_soft(0), luminosity),
        (mjd[13:], state[13:], luminosity[13:]),
        (mjd[:66], state[:66], luminosity[:66]),
        (mjd[14:], state[14:], luminosity[14:]),
        (mjd[:65], state[:65], luminosity[:65]),
    ]


turning = by_example(
    "Exercise 12.4",
    _turning,
    _some_turns,
    {
        # Mistakes that only later questions show come first: there, others may look like them.
        "The answer changes if the rows come in another order: sort by date first.": _turned(
            ordered=False
        ),
        "An LHS within the soft phase lies on neither side of it.": _turned(
            soft=lambda dates, all_dates: [np.median(dates)] * 2
        ),
        "One early wrong call of HSS moves your soft phase: it lasts from the 5 % to the 95 % quantile.": [
            _turned(soft=lambda dates, all_dates: (dates.min(), dates.max())),
            _turned(soft=lambda dates, all_dates: np.percentile(dates, (0.05, 0.95))),
        ],
        "These are quantiles of all dates: take those of the HSS pointings.": _turned(
            soft=lambda dates, all_dates: np.quantile(all_dates, (0.05, 0.95))
        ),
        "Leave out pointings without a luminosity before anything else: HSS and LHS alike.": [
            *(_turned(gaps_in=states) for states in (("HSS", "LHS"), ("LHS",), ("HSS",))),
            _turned(gaps_in=("LHS",), mean=lambda two: np.exp(np.nanmean(np.log(two)))),
        ],
        "With fewer than four pointings in HSS, or none, there is no soft phase: give two nan.": [
            _turned(fewest=number) for number in range(4)
        ],
        "Four pointings in HSS are enough for a soft phase.": _turned(fewest=5),
        "With a single LHS pointing on a side, that side is nan.": _turned(needed=1),
        "Two LHS pointings on a side are enough.": _turned(needed=3),
        "Only the side with fewer than two LHS pointings is nan; the other stays.": lambda *x: (
            _turning(*x) if np.isfinite(_turning(*x)).all() else (np.nan, np.nan)
        ),
        "The two are swapped: hard to soft comes first.": lambda *x: _turning(*x)[::-1],
        "These are logarithms: go back to luminosities at the end.": [
            lambda *x: np.log(_turning(*x)),
            lambda *x: np.log10(_turning(*x)),
        ],
        "That is the arithmetic mean: luminosities spread over decades, so take the geometric one.": _turned(
            mean=np.mean
        ),
        "That is one pointing on each side: take two.": _turned(
            ends=(slice(-1, None), slice(0, 1)), needed=1
        ),
        "Two pointings on each side, and not all.": _turned(ends=(slice(None), slice(None))),
        "The *last* two before the soft phase, and the *first* two after it.": _turned(
            ends=(slice(0, 2), slice(-2, None))
        ),
    },
    returns=forms.tuple_of(
        "hard to soft and soft to hard, and no ratio of them", *2 * [forms.number()]
    ),
    otherwise="In an outburst of {0.size} pointings we find {ours} and you {yours}: the last two LHS before the soft "
    "phase, the first two after.",
)


def _distances(train, new, order=2):
    """Return sorted distances (m, n) to the training rows."""
    return np.sort(np.linalg.norm(new[:, None] - train, ord=order, axis=2), axis=1)


def _strangeness(train, new, k):
    """A function: train (n, p), new (m, p), k -> distances (m,)."""
    return _measured()(train, new, k)


def _measured(width=lambda train, new: train.std(axis=0), show=lambda d, k: d[:, k - 1], order=2):
    """Make an answer that divides by this width, and returns this part of the sorted distances."""
    return lambda train, new, k: show(
        _distances(train / width(train, new), new / width(train, new), order), k
    )


def _scaled(rows, by):
    return (rows - by.mean(axis=0)) / by.std(axis=0)


def _some_rows():
    generator = np.random.default_rng(125)
    mixing = np.array([[1, 1, 0], [0, 1, 0.7], [0, 0, 1]]) * (1.0, 1e-3, 50.0)
    train = generator.gamma(1.5, 1.0, (200, 3)) @ mixing
    new = generator.gamma(4.0, 1.2, (30, 3)) @ mixing
    return [(train, new, 5), (train[::-1] + 0.1 * new.max(0), new, 1), (train[:150], new[:1], 3)]


strangeness = by_example(
    "Exercise 12.5",
    _strangeness,
    _some_rows,
    {
        "Use the mean and the spread of the training rows alone: new ones may be strange.": [
            _measured(lambda train, new: np.concatenate([train, new]).std(axis=0)),
            _measured(lambda train, new: new.std(axis=0)),
        ],
        "Each feature has its own mean and spread: axis=0.": _measured(
            lambda train, new: train.std()
        ),
        "One feature in large units decides alone: bring all to the scale of the training rows first.": (
            _measured(lambda train, new: 1)
        ),
        "New rows scaled by themselves cannot be strange: use the mean and the spread of the training rows.": (
            lambda train, new, k: _distances(_scaled(train, train), _scaled(new, new))[:, k - 1]
        ),
        "Scale the new rows as the training rows, by the same mean and spread.": lambda train, new, k: (
            _distances(_scaled(train, train), new)[:, k - 1]
        ),
        "The scale of a feature is its standard deviation, here.": [
            _measured(lambda train, new: np.ptp(train, axis=0)),
            _measured(lambda train, new: train.var(axis=0)),
        ],
        "That is the sum of the steps along the features, not the Euclidean distance.": _measured(
            order=1
        ),
        "That is one neighbour too far: the nearest has k = 1.": _measured(
            show=lambda d, k: d[:, k]
        ),
        "That is the nearest row, whatever k is.": _measured(show=lambda d, k: d[:, 0]),
        "That is the mean over the k nearest; we ask for the distance to the k-th.": _measured(
            show=lambda d, k: d[:, :k].mean(axis=1)
        ),
        "That is the square of the distance.": _measured(show=lambda d, k: d[:, k - 1] ** 2),
        "That is the distance to the centre of the training rows, where perhaps no row lies.": (
            lambda train, new, k: np.linalg.norm(_scaled(new, train), axis=1)
        ),
    },
    returns=forms.array("the distances of the new rows"),
    otherwise="For k = {2} a new row lies {ours} from its neighbour, and by yours {yours}.",
    rtol=0.01,
)


_MAY, _NOT = "may be written", "not yet"
abstract = sorting(
    "Exercise 12.6",
    {
        "held-out sources give the score above, ± its error; labels limit it to about 0.8": (
            _MAY,
            "a number with its error, on sources without a part in it, beside its ceiling: what is missing?",
        ),
        "the time share of SIMS is 6 %, corrected for misclassification with our confusion matrix": (
            _NOT,
            "against what was that matrix measured, and where did it take the calls?",
        ),
        "RXTE to NICER, 12 sources: common bands gain 0.10 ± 0.05 over the same names (paired)": (
            _MAY,
            "it was measured on twelve sources that no model had met, and carries its paired error.",
        ),
        "our model can be applied to any X-ray telescope": (
            _NOT,
            "how many telescopes were tried, and what did the first move cost?",
        ),
        "MAXI J1820+070 was in the hard state on 2018 July 3 with a probability of 80 %": (
            _NOT,
            "in which world was that probability calibrated, and did an alarm ring beside it?",
        ),
        "it resembles LHS or HIMS; so bright and little absorbed, it lies outside our training": (
            _MAY,
            "it claims two states, not one, and carries its footnote with it.",
        ),
    },
)
