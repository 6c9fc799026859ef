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
_LOGISTIC = r"logi(sti|t)|log ?reg|softmax|maximum entropy"
_FOREST = r"\b(random ?)?forests?|\btrees?\b"
# Balanced accuracy is the recall, averaged over the states.
_BALANCED = (
    r"\bbal(anced)? ?acc|\bacc(uracy)? \(?balanced|\bb ?acc\b|\buar\b"
    r"|\b(macro|mean|average\w*|unweighted)\b.*\b(recalls?|sensitivity)\b|\brecalls?\b.*\b(macro|mean|average\w*)\b"
)


def _words(text):
    """What a text claims, in small letters, without what it denies."""
    return re.sub(_DENIED, "", re.sub(r"[_\s-]+", " ", text.lower()))


@exercise("Exercise 12.1", reference=lambda: dict(_WRITTEN), form=forms.mapping(_FORMS))
def written(answer):
    """A dictionary: model and metric in words, expected and error as numbers."""
    model, metric = _words(answer["model"]), _words(answer["metric"])
    if re.search(_FOREST, model):
        raise Hint("The forest is for the object; `finalists` says which model is for the state.")
    if not re.search(_LOGISTIC, model):
        raise Hint("'model': name the one for the state, so that another astronomer knows which.")
    if not re.search(_BALANCED, metric) or re.search(r"\bweighted|class weight", metric):
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
    """The days if each row's next one is the next of this order, which is right for one order only."""
    gap = np.append(np.diff(mjd[order]), 0.0)
    last = np.append(outburst[order][1:] != outburst[order][:-1], True)
    stood = np.empty(len(mjd))
    stood[order] = np.where(last, 0.0, np.minimum(gap, cap))
    return stood


def _days(mjd, outburst, cap):
    """A function: mjd (n,), outburst (n,), cap -> days (n,) that each pointing stands for."""
    return _days_in(np.lexsort((mjd, outburst)), mjd, outburst, cap)


def _days_not_back(mjd, outburst, cap):
    order = np.lexsort((mjd, outburst))
    return _days(mjd[order], outburst[order], cap)


def _some_outbursts():
    generator = np.random.default_rng(122)
    numbers = (12, 9, 7, 1)
    outburst = np.repeat(["R07", "R30", "R01", "R02"], numbers)
    starts = (50000, 50010, 50080, 50090)  # some overlap
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
            _days(t, np.zeros(len(t)), cap)
        ),
        "Before a gap longer than `cap`, a pointing stands for `cap` days, not for 0.": lambda t, o, cap: (
            np.where(_days(t, o, np.inf) > cap, 0, _days(t, o, cap))
        ),
        "Outbursts overlap in time: sort by outburst first, then by date. np.lexsort takes the first key last.": (
            lambda t, o, cap: _days_in(np.argsort(t), t, o, cap)
        ),
        "Parts of days are lost: the array that you fill holds whole numbers.": lambda *given: (
            np.floor(_days(*given))
        ),
        "That is the time since the pointing before; we ask for the time until the next.": lambda t, o, cap: (
            _days(-t, o, cap)
        ),
        "You sort the rows, and return the days in that order: write them back to the rows where they belong.": (
            _days_not_back
        ),
        "The rows need not come in order of time: sort them first.": [
            lambda t, o, cap: np.maximum(_days_in(np.arange(len(t)), t, o, cap), 0),
            lambda t, o, cap: np.abs(_days_in(np.arange(len(t)), t, o, cap)),
            lambda t, o, cap: np.maximum(_days_in(np.argsort(o, kind="stable"), t, o, cap), 0),
        ],
    },
    returns=forms.array("the days of each pointing"),
    otherwise="With a cap of {2:g} days we find a pointing that stands for {ours} days, and yours says {yours}.",
    signs={
        "Some pointings stand for negative times: the rows need not come in order of time.": (
            lambda found, *given: (found < -1e-9).any()
        ),
        "The last pointing of an outburst has no next one: it stands for 0 days.": lambda found, *given: (
            np.allclose(np.where(_days(*given) == 0, 0, found), _days(*given))
        ),
    },
)


def _unfold(measured, confusion):
    """A function: measured (n,), confusion (n, n) -> true shares (n,)."""
    return np.linalg.solve(confusion.T, measured)


def _some_shares():
    generator, questions = np.random.default_rng(123), []
    for n in (4, 4, 2):
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
        "1 / M inverts number by number: the inverse of a matrix is np.linalg.inv.": [
            lambda y, M: y @ (1 / M),
            lambda y, M: (1 / M) @ y,
        ],
        "You return several things (`lstsq` has four): the shares alone.": lambda y, M: (
            np.linalg.lstsq(M.T, y)
        ),
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
    last_and_first=(slice(-2, None), slice(0, 2)),
    needed=2,
    fewest=4,
    ordered=True,
    gaps_in=(),
):
    """A function: mjd (n,), state (n,), luminosity (n,) -> luminosities (hard to soft, soft to hard)."""
    # All that has a name is there for the mistakes.
    known = {name: np.isfinite(luminosity) | (name in gaps_in) for name in ("HSS", "LHS")}
    dates = mjd[(state == "HSS") & known["HSS"]]
    if len(dates) < fewest:
        return np.nan, np.nan
    start, stop = soft(dates, mjd)
    order = np.argsort(mjd) if ordered else np.arange(len(mjd))
    order = order[((state == "LHS") & known["LHS"])[order]]
    sides = order[mjd[order] < start], order[mjd[order] > stop]
    chosen = [luminosity[side[ends]] for side, ends in zip(sides, last_and_first, strict=True)]
    return tuple(mean(two) if len(two) >= needed else np.nan for two in chosen)


def _some_turns():
    generator = np.random.default_rng(124)
    runs = {"LHS": 15, "HIMS": 4, "SIMS": 2, "HSS": 40, "HIMS ": 3, "LHS ": 12}
    state = np.char.strip(np.repeat(list(runs), list(runs.values())))
    n = len(state)
    mjd = 51000 + np.cumsum(generator.uniform(0.5, 2, n))
    luminosity = np.exp(generator.normal(0, 0.5, n) - 0.03 * np.abs(np.arange(n) - 18))

    def with_soft(number, more=()):
        """So many pointings in HSS, in the middle, and some more."""
        places = [*range(36, 36 + number), *more]
        return np.where(np.isin(np.arange(n), places), "HSS", np.where(soft, "HIMS", state))

    soft, rows = state == "HSS", generator.permutation(n)
    within, called = state.copy(), state.copy()
    within[[22, 40, 58]] = "LHS"
    called[[5, 72]] = "HSS"
    gaps, dark = luminosity.copy(), luminosity.copy()
    gaps[[14, 64]] = np.nan
    dark[[5, 6, 7, 71, 72, 73]] = np.nan
    return [
        (mjd, state, luminosity),
        (mjd[rows], state[rows], luminosity[rows]),
        (mjd, within, luminosity),
        (mjd, called, luminosity),
        (mjd, state, gaps),
        (mjd, with_soft(10, [5, 6, 7, 71, 72, 73]), dark),
        (mjd, with_soft(3), luminosity),
        (mjd, with_soft(4), luminosity),
        (mjd, with_soft(2, [5, 6, 72]), dark),
        (mjd, with_soft(0), luminosity),
        (mjd[14:], state[14:], luminosity[14:]),
        (mjd[:65], state[:65], luminosity[:65]),
    ]


def _neither_side(*given):
    both = _turning(*given)
    return (np.nan, np.nan) if np.isnan(both).any() else both


turning = by_example(
    "Exercise 12.4",
    _turning,
    _some_turns,
    {
        # Those that only later questions tell from what is right come first: there, others may look like them.
        "The answer changes if the rows come in another order: sort by date first.": partial(
            _turning, ordered=False
        ),
        "An LHS within the soft phase lies on neither side: before its 5 % quantile, after its 95 %.": partial(
            _turning, soft=lambda dates, all_dates: [np.median(dates)] * 2
        ),
        "One early wrong call of HSS moves your soft phase: it lasts from the 5 % to the 95 % quantile.": [
            partial(_turning, soft=lambda dates, all_dates: (dates.min(), dates.max())),
            partial(_turning, soft=lambda dates, all_dates: np.percentile(dates, (0.05, 0.95))),
        ],
        "These are quantiles of all dates: take those of the HSS pointings.": partial(
            _turning, soft=lambda dates, all_dates: np.quantile(all_dates, (0.05, 0.95))
        ),
        "Leave out pointings without a luminosity before anything else: HSS and LHS alike.": [
            partial(_turning, gaps_in=("HSS", "LHS")),
            partial(_turning, gaps_in=("LHS",)),
            partial(_turning, gaps_in=("HSS",)),
            partial(_turning, gaps_in=("LHS",), mean=lambda two: np.exp(np.nanmean(np.log(two)))),
        ],
        "With fewer than four pointings in HSS, or none, there is no soft phase: give two nan.": [
            partial(_turning, fewest=3),
            partial(_turning, fewest=2),
            partial(_turning, fewest=1),
            partial(_turning, fewest=0),
        ],
        "Four pointings in HSS are enough for a soft phase; fewer than four are not.": partial(
            _turning, fewest=5
        ),
        "With a single LHS pointing on a side, that side is nan.": partial(_turning, needed=1),
        "Where one side has fewer than two LHS pointings, only that side is nan; the other stays.": (
            _neither_side
        ),
        "The two are swapped: hard to soft comes first.": lambda *given: _turning(*given)[::-1],
        "These are logarithms: go back to luminosities at the end.": [
            lambda *given: np.log(_turning(*given)),
            lambda *given: np.log10(_turning(*given)),
        ],
        "That is the arithmetic mean: luminosities spread over decades, so take the geometric one.": partial(
            _turning, mean=np.mean
        ),
        "That is the root of a sum: the geometric mean is the root of the product.": partial(
            _turning, mean=lambda two: np.sqrt(np.sum(two))
        ),
        "That is one pointing on each side: take two.": partial(
            _turning, last_and_first=(slice(-1, None), slice(0, 1)), needed=1
        ),
        "Two pointings on each side: those next to the soft phase, not all.": partial(
            _turning, last_and_first=(slice(None), slice(None))
        ),
        "That takes the pointings farthest from the soft phase: the last two before it, the first two after.": (
            partial(_turning, last_and_first=(slice(0, 2), slice(-2, None)))
        ),
    },
    returns=forms.tuple_of(
        "hard to soft and soft to hard, and no ratio of them",
        forms.number("a luminosity"),
        forms.number("a luminosity"),
    ),
    otherwise="In an outburst of {0.size} pointings we find {ours} and you {yours}: the last two LHS before the soft "
    "phase, the first two after.",
)


def _distances(train, new, order=2):
    """Distances (m, n) to the training rows, sorted."""
    return np.sort(np.linalg.norm(new[:, None] - train, ord=order, axis=2), axis=1)


def _strangeness(train, new, k):
    """A function: train (n, p), new (m, p), k -> distances (m,)."""
    return _measured_by(lambda train, new: train.std(axis=0))(train, new, k)


def _measured_by(width, shown=lambda distances, k: distances[:, k - 1], order=2):
    """An answer that divides by a width of its own, or shows something else of the distances."""
    return lambda train, new, k: shown(
        _distances(train / width(train, new), new / width(train, new), order), k
    )


def _whitened(train, new):
    return np.linalg.inv(np.linalg.cholesky(np.cov(train.T))).T


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
        "Use the mean and the spread of the training rows alone: new ones may be strange.": _measured_by(
            lambda train, new: np.concatenate([train, new]).std(axis=0)
        ),
        "Use the mean and the spread of the training rows, not those of the new.": _measured_by(
            lambda train, new: new.std(axis=0)
        ),
        "Each feature has its own mean and spread: axis=0.": _measured_by(
            lambda train, new: train.std()
        ),
        "One feature in large units decides alone: bring all to the scale of the training rows first.": (
            _measured_by(lambda train, new: 1)
        ),
        "New rows scaled by themselves cannot be strange: use the mean and the spread of the training rows.": (
            lambda train, new, k: _distances(_scaled(train, train), _scaled(new, new))[:, k - 1]
        ),
        "Scale the new rows as the training rows, by the same mean and spread.": lambda train, new, k: (
            _distances(_scaled(train, train), new)[:, k - 1]
        ),
        "The scale of a feature is its standard deviation, here.": [
            _measured_by(lambda train, new: np.ptp(train, axis=0)),
            _measured_by(lambda train, new: train.var(axis=0)),
            _measured_by(
                lambda train, new: np.ptp(np.quantile(train, (0.25, 0.75), axis=0), axis=0)
            ),
        ],
        "That takes out the correlations of the features, too: bring each to scale by itself.": (
            lambda train, new, k: _distances(
                train @ _whitened(train, new), new @ _whitened(train, new)
            )[:, k - 1]
        ),
        "That is the sum of the steps along the features: Euclid takes the root of the sum of squares.": (
            _measured_by(lambda train, new: train.std(axis=0), order=1)
        ),
        "That is one neighbour too far: the nearest has k = 1.": _measured_by(
            lambda train, new: train.std(axis=0), lambda distances, k: distances[:, k]
        ),
        "That is the nearest row, whatever k is.": _measured_by(
            lambda train, new: train.std(axis=0), lambda distances, k: distances[:, 0]
        ),
        "That is the farthest row: the nearest has k = 1.": _measured_by(
            lambda train, new: train.std(axis=0), lambda distances, k: distances[:, -k]
        ),
        "That is the mean over the k nearest; we ask for the distance to the k-th.": _measured_by(
            lambda train, new: train.std(axis=0), lambda distances, k: distances[:, :k].mean(axis=1)
        ),
        "That is the square of the distance.": lambda *given: _strangeness(*given) ** 2,
        "That is the distance to the centre of the training rows, where perhaps nobody lives.": (
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
        "from RXTE to NICER, common-band features lose less than features of the same name": (
            _MAY,
            "it was measured on twelve sources that no model had met, and says for which telescopes.",
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
