"""Checks of lesson 12: science."""

import re

import numpy as np

from . import Hint, array, exercise, function, number, sorting

__all__ = ["abstract", "days", "strangeness", "turning", "unfold", "written"]

_WRITTEN = {
    "model": "logistic regression, C = 0.1, on the state features; sources held out",
    "metric": "balanced accuracy of the four states",
    "expected": 0.73,
    "error": 0.05,
}


@exercise("Exercise 12.1", reference=lambda: dict(_WRITTEN))
def written(answer):
    """A dictionary: model and metric in words, expected and error as numbers."""
    if not isinstance(answer, dict) or set(answer) != set(_WRITTEN):
        raise Hint(f"Expected a dictionary with the keys {', '.join(map(repr, _WRITTEN))}.")
    for name in ("model", "metric"):
        if answer[name] is ...:
            raise Hint(f"{name!r} has no answer yet.")
        if not isinstance(answer[name], str):
            raise Hint(f"{name!r}: say it in words, in quotation marks.")
    model = answer["model"].lower()
    if "forest" in model or "tree" in model:
        raise Hint("The forest is for the object; `finalists` says which model is for the state.")
    if "logistic" not in model:
        raise Hint("'model': name the one for the state, so that another astronomer knows which.")
    metric = answer["metric"].lower()  # balanced accuracy is the recall, averaged over the states
    mean_recall = "recall" in metric and any(w in metric for w in ("macro", "mean", "average"))
    if not ("balanced" in metric or mean_recall) or re.search(r"\bnot (the )?balanced", metric):
        raise Hint(
            "'metric': lesson 06 fixed the one for the state, a kind of accuracy to which each state counts alike."
        )
    for name in ("expected", "error"):
        if answer[name] is ...:
            raise Hint(f"{name!r} has no answer yet.")
    expected = number(answer["expected"], "a number for 'expected'")
    error = number(answer["error"], "a number for 'error'")
    if 1.5 < expected <= 100 or 1 < error <= 100:
        raise Hint("A balanced accuracy is a share between 0 and 1, and so is its error.")
    if not 0 < expected <= 1:
        raise Hint("A balanced accuracy lies between 0 and 1.")
    if error <= 0:
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


def _days(mjd, outburst, cap):
    order = np.lexsort((mjd, outburst))
    gap = np.append(np.diff(mjd[order]), 0.0)
    last = np.append(outburst[order][1:] != outburst[order][:-1], True)
    stood = np.empty(len(mjd))
    stood[order] = np.where(last, 0.0, np.minimum(gap, cap))
    return stood


@exercise("Exercise 12.2", reference=lambda: _days)
def days(answer):
    """A function: mjd (n,), outburst (n,), cap -> days (n,) that each pointing stands for."""
    answer = function(answer)
    generator = np.random.default_rng(122)
    names = np.repeat(["R01", "R07", "R30"], (12, 9, 7))
    mjd = np.concatenate(  # of these outbursts two overlap
        [
            start + np.cumsum(generator.uniform(0.3, 4, n))
            for start, n in zip((50000, 50010, 50080), (12, 9, 7), strict=True)
        ]
    )
    mjd[-3:] += 80  # a long gap
    mixed = generator.permutation(len(mjd))
    for rows, ordered in ((np.arange(len(mjd)), True), (mixed, False)):
        when, which, cap = mjd[rows], names[rows], 5.0
        found = array(answer(when.copy(), which.copy(), cap), (len(when),), "days of each pointing")
        right = _days(when, which, cap)
        if np.allclose(found, right):
            continue
        last = np.isin(
            np.arange(len(when)),
            [np.flatnonzero(which == w)[when[which == w].argmax()] for w in set(which)],
        )
        if (found < -1e-9).any():
            raise Hint(
                "Some pointings stand for negative times: the rows need not come in order of time."
            )
        if np.allclose(found, _days(when, which, np.inf)):
            raise Hint("No pointing may stand for more than `cap` days.")
        if np.allclose(found, _days(when, np.zeros(len(when)), cap)):
            raise Hint("The next pointing may be of another outburst: that gap belongs to nobody.")
        if np.allclose(found[~last], right[~last]):
            raise Hint("The last pointing of an outburst has no next one: it stands for 0 days.")
        if np.allclose(found, np.where(_days(when, which, np.inf) > cap, 0, right)):
            raise Hint(
                "Before a gap longer than `cap`, a pointing stands for `cap` days, not for 0."
            )
        order = np.lexsort((which, when))
        same = np.append(which[order][1:] == which[order][:-1], False)
        by_date = np.empty(len(when))
        by_date[order] = np.where(same, np.minimum(np.append(np.diff(when[order]), 0), cap), 0)
        if np.allclose(found, by_date):
            raise Hint(
                "Outbursts overlap in time: sort by outburst first, then by date. np.lexsort takes the first key last."
            )
        if np.allclose(found, np.floor(right)):
            raise Hint("Parts of days are lost: the array that you fill holds whole numbers.")
        back = _days(-when, which, cap)
        if np.allclose(found, back):
            raise Hint(
                "That is the time since the pointing before; wanted is the time until the next."
            )
        if not ordered:
            raise Hint(
                "Right if the rows come sorted, and not if they come mixed: sort, and write the days back to the rows "
                "where they belong."
            )
        raise Hint(
            f"28 pointings of three outbursts should stand for {right.sum():.1f} days with this cap, row by row; yours "
            f"for {found.sum():.1f}."
        )


def _unfold(measured, confusion):
    return np.linalg.solve(confusion.T, measured)


@exercise("Exercise 12.3", reference=lambda: _unfold)
def unfold(answer):
    """A function: measured (n,), confusion (n, n) -> true shares (n,)."""
    answer = function(answer)
    generator = np.random.default_rng(123)
    for n in (2, 4):
        true = generator.dirichlet(np.full(n, 3.0))
        confusion = 0.6 * np.eye(n) + 0.4 * generator.dirichlet(np.ones(n), n)
        measured = true @ confusion
        found = array(answer(measured.copy(), confusion.copy()), (n,), "true shares")
        if np.allclose(found, true, atol=1e-6):
            continue
        if np.allclose(found, np.linalg.solve(confusion, measured), atol=1e-6):
            raise Hint(
                "That mixes up rows and columns: a sum over labels i runs down a column of the matrix."
            )
        if np.allclose(found, measured @ confusion) or np.allclose(found, confusion @ measured):
            raise Hint(
                "That folds once more, and blurs what is blurred: the matrix must be undone."
            )
        if np.allclose(found, measured):
            raise Hint("These are the measured shares: nothing is unfolded yet.")
        simple = measured / np.diag(confusion)
        if np.allclose(found, simple) or np.allclose(found, simple / simple.sum()):
            raise Hint(
                "Dividing by the recall forgets those who come in from other states: undo the whole matrix."
            )
        raise Hint(
            f"With {n} states and an exact matrix, shares of {np.round(true, 3).tolist()} come out as "
            f"{np.round(found, 3).tolist()}: fold yours again and compare."
        )


def _turning(
    mjd, state, luminosity, mean=lambda x: np.exp(np.mean(np.log(x))), quantiles=(0.05, 0.95), n=2
):
    order = np.argsort(mjd)
    order = order[np.isfinite(luminosity[order])]
    mjd, state, luminosity = mjd[order], state[order], luminosity[order]
    if np.sum(state == "HSS") < 4:
        return np.nan, np.nan
    start, stop = np.quantile(mjd[state == "HSS"], quantiles)
    before = luminosity[(state == "LHS") & (mjd < start)][-n:]
    after = luminosity[(state == "LHS") & (mjd > stop)][:n]
    return tuple(mean(two) if len(two) == n else np.nan for two in (before, after))


def _pair(answer):
    try:
        found = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        raise Hint("Expected two numbers: hard to soft, soft to hard.") from None
    if found.shape != (2,):
        raise Hint("Expected two numbers, hard to soft and soft to hard, and no ratio of them.")
    return found


@exercise("Exercise 12.4", reference=lambda: _turning)
def turning(answer):
    """A function: mjd (n,), state (n,), luminosity (n,) -> luminosities (hard to soft, soft to hard)."""
    answer = function(answer)
    generator = np.random.default_rng(124)
    state = np.array(
        ["LHS"] * 15 + ["HIMS"] * 4 + ["SIMS"] * 2 + ["HSS"] * 40 + ["HIMS"] * 3 + ["LHS"] * 12
    )
    mjd = 51000 + np.cumsum(generator.uniform(0.5, 2, len(state)))
    luminosity = np.exp(
        generator.normal(0, 0.5, len(state)) - 0.03 * np.abs(np.arange(len(state)) - 18)
    )

    def ask(when, what, how_bright):
        return _pair(answer(when.copy(), what.copy(), how_bright.copy()))

    right, found = np.array(_turning(mjd, state, luminosity)), ask(mjd, state, luminosity)
    if not np.allclose(found, right):
        if np.allclose(found, right[::-1]):
            raise Hint("The two are swapped: hard to soft comes first.")
        if np.allclose(found, np.log(right)) or np.allclose(found, np.log10(right)):
            raise Hint("These are logarithms: go back to luminosities at the end.")
        if np.allclose(found, _turning(mjd, state, luminosity, mean=np.mean)):
            raise Hint(
                "That is the arithmetic mean: luminosities spread over decades, so take the geometric one."
            )
        if np.allclose(found, _turning(mjd, state, luminosity, n=1)):
            raise Hint("That is one pointing on each side: take two.")
        raise Hint(
            f"In an outburst of {len(state)} pointings we find {right[0]:.3f} and {right[1]:.3f}, and you "
            f"{found[0]:.3f} and {found[1]:.3f}: the last two LHS before the soft phase, the first two after."
        )
    rogue = state.copy()
    rogue[5], rogue[-4] = "HSS", "HSS"
    if not np.allclose(ask(mjd, rogue, luminosity), _turning(mjd, rogue, luminosity)):
        raise Hint(
            "One early wrong call of HSS moves your soft phase: it lasts from the 5 % to the 95 % quantile."
        )
    rows = generator.permutation(len(state))
    if not np.allclose(ask(mjd[rows], state[rows], luminosity[rows]), right):
        raise Hint("The answer changes if the rows come in another order: sort by date first.")
    gaps = luminosity.copy()
    gaps[[14, 64]] = np.nan
    if not np.allclose(ask(mjd, state, gaps), _turning(mjd, state, gaps)):
        raise Hint("Leave out pointings without a luminosity before you look for the last two.")
    few = np.where((state == "HSS") & (np.cumsum(state == "HSS") > 3), "HIMS", state)
    if not np.isnan(ask(mjd, few, luminosity)).all():
        raise Hint("With fewer than four pointings in HSS there is no soft phase: give two nan.")
    four = np.where((state == "HSS") & (np.cumsum(state == "HSS") > 4), "HIMS", state)
    if not np.allclose(ask(mjd, four, luminosity), _turning(mjd, four, luminosity)):
        raise Hint("Four pointings in HSS are enough for a soft phase; fewer than four are not.")
    hard = np.where(state == "HSS", "HIMS", state)
    if not np.isnan(ask(mjd, hard, luminosity)).all():
        raise Hint("An outburst that never gets soft has no such luminosities: give two nan.")
    late = slice(14, None)
    found = ask(mjd[late], state[late], luminosity[late])
    if not np.isnan(found[0]) or not np.isclose(found[1], right[1]):
        raise Hint(
            "With a single LHS pointing before the soft phase, hard to soft is nan; the other side stays."
        )


def _strangeness(train, new, k):
    centre, width = train.mean(axis=0), train.std(axis=0)
    a, b = (train - centre) / width, (new - centre) / width
    return np.sort(np.linalg.norm(b[:, None] - a, axis=2), axis=1)[:, k - 1]


@exercise("Exercise 12.5", reference=lambda: _strangeness)
def strangeness(answer):
    """A function: train (n, p), new (m, p), k -> distances (m,)."""
    answer = function(answer)
    generator = np.random.default_rng(125)
    scale = np.array([1.0, 1e-3, 50.0])
    train = generator.normal(2.0, 1.0, (200, 3)) * scale
    new = generator.normal(3.0, 1.7, (30, 3)) * scale
    for k in (1, 5):
        found = array(answer(train.copy(), new.copy(), k), (30,), "distances of the new rows")
        right = _strangeness(train, new, k)
        if np.allclose(found, right, rtol=0.01):
            continue
        centre, width = train.mean(axis=0), train.std(axis=0)
        a, b = (train - centre) / width, (new - centre) / width
        raw = np.sort(np.linalg.norm(new[:, None] - train, axis=2), axis=1)
        every = np.sort(np.linalg.norm(b[:, None] - a, axis=2), axis=1)
        for base, axis, sentence in (
            (
                np.concatenate([train, new]),
                0,
                "Use the mean and the spread of the training rows alone: new ones may be strange.",
            ),
            (new, 0, "Use the mean and the spread of the training rows, not those of the new."),
            (train, None, "Each feature has its own mean and spread: axis=0."),
        ):
            near, far = ((t - base.mean(axis)) / base.std(axis) for t in (train, new))
            wrong = np.sort(np.linalg.norm(far[:, None] - near, axis=2), axis=1)[:, k - 1]
            if np.allclose(found, wrong, rtol=0.01):
                raise Hint(sentence)
        own = (new - new.mean(axis=0)) / new.std(axis=0)
        each = np.sort(np.linalg.norm(own[:, None] - a, axis=2), axis=1)[:, k - 1]
        if np.allclose(found, raw[:, k - 1]) or np.allclose(found, raw[:, 0]):
            raise Hint(
                "One feature in large units decides alone: bring all to the scale of the training rows first."
            )
        if np.allclose(found, each, rtol=0.01):
            raise Hint(
                "New rows scaled by themselves cannot be strange: use the mean and the spread of the training rows."
            )
        if np.allclose(found, every[:, k], rtol=0.01):
            raise Hint("That is one neighbour too far: the nearest has k = 1.")
        if np.allclose(found, every[:, 0], rtol=0.01):
            raise Hint("That is the nearest row, whatever k is.")
        if np.allclose(found, every[:, :k].mean(axis=1), rtol=0.01):
            raise Hint("That is the mean over the k nearest; wanted is the distance to the k-th.")
        if np.allclose(found, right**2, rtol=0.02):
            raise Hint("That is the square of the distance.")
        if np.allclose(found, np.linalg.norm(b, axis=1), rtol=0.01):
            raise Hint(
                "That is the distance to the centre of the training rows, where perhaps nobody lives."
            )
        raise Hint(
            f"For k = {k} the first new row lies {right[0]:.3f} from its neighbour, and by yours {found[0]:.3f}."
        )
    one = array(answer(train.copy(), new[:1].copy(), 3), (1,), "the distance of one new row")
    if not np.allclose(one, _strangeness(train, new[:1], 3), rtol=0.01):
        raise Hint("A single new row must get the same distance as among others.")


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
