"""Checks of lesson 06: choosing an evaluation metric."""

from functools import partial

import numpy as np
from sklearn import metrics

from course.checks import forms
from course.checks.examples import by_example, by_value, sorting

__all__ = [
    "auc",
    "choice",
    "mean_cost",
    "precision_at",
    "rates",
    "reliability",
    "ten_pointings",
]

_BOXES, _SHARES = ("TP", "FN", "FP", "TN"), ("recall", "specificity", "precision", "F")
_PER_CENT = "A share lies between 0 and 1, not 100."


def _divided(tp, fn, fp, tn):
    return tp / (tp + fn), tn / (tn + fp), tp / (tp + fp), 2 * tp / (2 * tp + fp + fn)


def _counted(**counts):
    return lambda found: all(found[name] == count for name, count in counts.items())


_TEN = dict(zip(_BOXES + _SHARES, (2, 2, 1, 5, *_divided(2, 2, 1, 5)), strict=True))

ten_pointings = by_value(
    "Exercise 6.1",
    _TEN,
    {
        "Recall divides by what was there, precision by what was called.": _TEN
        | {"recall": 2 / 3, "precision": 2 / 4},
        "Specificity divides by all that are quiet, not by all that were called quiet.": _TEN
        | {"specificity": 5 / 7},
        "F is the harmonic mean of precision and recall, not the arithmetic one.": _TEN
        | {"F": (1 / 2 + 2 / 3) / 2},
        _PER_CENT: _TEN | {name: 100 * _TEN[name] for name in _SHARES},
        "The counts are right, but a share is cut off instead of rounded: look at its third digit.": (
            _TEN | {"precision": 0.66}
        ),
        "The counts are right, but a share has one digit too few: give two, or the fraction itself, such as 3 / 7.": (
            _TEN | {"specificity": 0.8, "precision": 0.7, "F": 0.6}
        ),
    },
    signs={
        "Each of the four shares has a number here; one of yours is NaN or None.": (
            lambda found: any(np.isnan(found[name]) for name in _SHARES)
        ),
        "You took quiet for positive: positive is what we look for, a transition.": _counted(
            TP=5, FN=1, FP=2, TN=2
        ),
        "TP and TN are swapped: positive is what we look for, a transition.": _counted(TP=5, TN=2),
        "FN and FP are swapped: the second letter is what was called, N for 'quiet'.": _counted(
            FN=1, FP=2
        ),
        "Each of the ten belongs into exactly one box: the four counts must add up to 10.": (
            lambda found: sum(found[name] for name in _BOXES) != 10
        ),
    },
    form=forms.mapping(
        {name: forms.number(f"a count for {name!r}", int) for name in _BOXES}
        | {name: forms.number(f"a number for {name!r}") for name in _SHARES}
    ),
    otherwise="{part} is not {yours}. Count row by row first; then see the formula of each share.",
    rtol=0.006,
)


def _boxes(label, call):
    boxes = label & call, label & ~call, ~label & call, ~label & ~call
    return [int(box.sum()) for box in boxes]


def _rates(label, call):
    """A function: label (n,), call (n,) -> recall, specificity, precision, F."""
    tp, fn, fp, tn = _boxes(label, call)
    pairs = (tp, tp + fn), (tn, tn + fp), (tp, tp + fp), (2 * tp, 2 * tp + fp + fn)
    return tuple(above / below if below else np.nan for above, below in pairs)


def _some_calls():
    generator, questions = np.random.default_rng(62), []
    for share in (0.15, 0.6):
        label = generator.random(400) < share
        call = np.where(generator.random(400) < 0.75, label, generator.random(400) < 0.3)
        questions.append((label, call))
    some = np.array([True, True, False, False, False, False])
    nothing, everything = some & False, some | True
    return [*questions, (some, nothing), (nothing, some), (nothing, nothing), (everything, some)]


def _four(change):
    """Make a mistake: `change` is applied to the right four numbers."""
    return lambda label, call: change(*_rates(label, call))


def _with_second(other):
    """Make a mistake: `other` of labels and calls replaces the specificity."""
    return lambda *given: (_rates(*given)[0], other(*given), *_rates(*given)[2:])


def _of_nothing(part, value, *four):
    """Return the four numbers, with a value in place of an undefined one."""
    return [value if k == part and np.isnan(one) else one for k, one in enumerate(four)]


def _by_rows_of_the_matrix(label, call):
    (tn, fp), (fn, tp) = metrics.confusion_matrix(label, call)
    return _divided(tp, fn, fp, tn)


def _by_the_flat_matrix(label, call):
    tn, fp, fn, tp = metrics.confusion_matrix(label, call).ravel()
    return _divided(tp, fn, fp, tn)


rates = by_example(
    "Exercise 6.2",
    _rates,
    _some_calls,
    {
        "A denominator can be 0, at which Python stops: test for it first, and give nan.": (
            lambda label, call: _divided(*_boxes(label, call))
        ),
        "Where all labels and calls are the same, scikit-learn's matrix has one box only; with labels=[False, True] "
        "it keeps all four.": [_by_rows_of_the_matrix, _by_the_flat_matrix],
        "A share of nothing, 0/0, is no number: give nan there, not 0 and not 1.": [
            _four(lambda *four: np.nan_to_num(four, nan=0)),
            _four(lambda *four: np.nan_to_num(four, nan=1)),
            *[_four(partial(_of_nothing, part, value)) for part in range(4) for value in (0, 1)],
        ],
        "F has a value wherever there is a transition or a call: take it from the counts, 2TP/(2TP + FP + FN).": (
            _four(lambda r, s, p, f: (r, s, p, f if r + p > 0 else np.nan))
        ),
        "Each of the four has a denominator of its own: nan only where that one is 0.": _four(
            lambda *four: np.full(4, np.nan) if np.isnan(four).any() else four
        ),
        "The order is recall, specificity, precision, F: yours stand in another one.": [
            _four(lambda r, s, p, f: (p, s, r, f)),
            _four(lambda r, s, p, f: (s, r, p, f)),
            _four(lambda r, s, p, f: (r, p, s, f)),
            _four(lambda r, s, p, f: (p, r, s, f)),
        ],
        "You took labels for calls: FN is a label without a call, FP a call without a label.": (
            lambda label, call: _rates(call, label)
        ),
        "You took quiet for positive: positive is what we look for, a transition.": (
            lambda label, call: _rates(~label, ~call)
        ),
        "The second is the accuracy; specificity is the share of right calls among the quiet ones.": (
            _with_second(lambda label, call: np.mean(label == call))
        ),
        "The second divides by all calls 'quiet'; specificity divides by all labels 'quiet', TN/(TN + FP).": (
            _with_second(lambda label, call: _rates(~label, ~call)[2])
        ),
        _PER_CENT: _four(lambda *four: 100 * np.array(four)),
        "The second is the rate of false alarms, FP/(TN + FP): specificity is the rest.": _four(
            lambda r, s, p, f: (r, 1 - s, p, f)
        ),
        "F is the harmonic mean of precision and recall, not the arithmetic one.": _four(
            lambda r, s, p, f: (r, s, p, (r + p) / 2)
        ),
        "A factor of 2 is missing in F: it must be 1 if all calls are right.": _four(
            lambda r, s, p, f: (r, s, p, f / 2)
        ),
    },
    returns=forms.tuple_of(
        "recall, specificity, precision, F",
        *map(forms.number, _SHARES),
    ),
    otherwise="On labels and calls of our own we find {ours} for {part}, and you {yours}.",
    names=_SHARES,
)


def _points(label, score, tie=0.5):
    """Return the count of each pair of a positive and a negative."""
    difference = score[label][:, None] - score[~label]
    return np.where(difference == 0, tie, difference > 0)


def _auc(label, score):
    """A function: label (n,), score (n,) -> area under the ROC curve."""
    return float(_points(label, score).mean())


def _some_scores():
    generator, questions = np.random.default_rng(63), []
    for decimals, share in ((6, 0.2), (1, 0.3)):  # without and with ties
        label = generator.random(300) < share
        score = np.round(generator.beta(2, 3, 300) * 0.7 + 0.3 * label, decimals)
        questions.append((label, score))
    return [*questions, (label, 1 - score)]


auc = by_example(
    "Exercise 6.3",
    _auc,
    _some_scores,
    {
        "That is one minus the AUC: count the pairs in which the positive is higher.": (
            lambda label, score: 1 - _auc(label, score)
        ),
        "An AUC may fall below 1/2, where the negatives have the higher scores.": (
            lambda label, score: max(_auc(label, score), 1 - _auc(label, score))
        ),
        _PER_CENT: lambda label, score: 100 * _auc(label, score),
        "That is 2 AUC - 1, Gini's coefficient, 0 for a guess: the AUC itself, please.": (
            lambda label, score: 2 * _auc(label, score) - 1
        ),
        "Right without ties. With equal scores the pair is undecided: count it half.": (
            lambda label, score: _points(label, score, tie=0).mean()
        ),
        "You count a tie as a win. Equal scores are undecided: count the pair half.": (
            lambda label, score: _points(label, score, tie=1).mean()
        ),
        "In pairs of everybody with everybody nobody wins, which gives one half. Pair a positive with a negative.": [
            lambda label, score: 0.5,
            lambda label, score: np.mean(score[:, None] > score),
        ],
        "Each positive meets one negative here; it should meet every one of them.": (
            lambda label, score: np.mean(
                [a > b for a, b in zip(score[label], score[~label], strict=False)]
            )
        ),
        "That is a number of pairs; divide by how many pairs there are.": [
            lambda label, score, tie=tie: _points(label, score, tie).sum() for tie in (0, 0.5)
        ],
        "Divide by the number of pairs of one positive with one negative.": [
            lambda label, score, tie=tie, n=n: _points(label, score, tie).sum() / n
            for tie in (0, 0.5)
            for n in (300**2, 300 * 299 / 2, 300)
        ],
    },
    returns=forms.number("an AUC"),
    otherwise="For 300 scores of our own a share of {ours} of the pairs is in order, and yours gives {yours}.",
)


def _precision_at(recall, specificity, prevalence):
    """A function: recall, specificity, prevalence (a number or an array) -> precision of its shape."""
    hits = recall * prevalence
    return hits / (hits + (1 - specificity) * (1 - prevalence))


def _as_prevalence(value, given):
    """Form of a precision: a number for one prevalence, an array for several."""
    form = forms.array if np.ndim(given[2]) else forms.number
    return form("a precision for each prevalence")(value, given)


precision_at = by_example(
    "Exercise 6.4",
    _precision_at,
    lambda: [
        *((0.6, 0.9, 0.15), (0.95, 0.7, 0.01), (0.3, 0.99, 0.5)),
        (0.7, 0.8, np.array([0.01, 0.1, 0.5, 0.9])),
    ],
    {
        "It works for one prevalence; let it take an array of them as well.": [
            lambda r, s, p: float(_precision_at(r, s, p)),
            lambda r, s, p: _precision_at(r, s, p) if p > 0 else 0.0,
        ],
        _PER_CENT: lambda *given: 100 * _precision_at(*given),
        "Below stands the share of quiet pointings that is called quiet; alarms come from the others.": (
            lambda r, s, p: r * p / (r * p + s * (1 - p))
        ),
        "That is the precision at a prevalence of one half: weight both kinds by how many there are.": (
            lambda r, s, p: r / (r + 1 - s)
        ),
        "Only quiet pointings raise false alarms: weight 1 - specificity by their share, 1 - prevalence.": (
            lambda r, s, p: r * p / (r * p + 1 - s)
        ),
        "That is the share of all pointings that are hits; divide by all that call.": (
            lambda r, s, p: r * p
        ),
        "That is the share of all pointings that are called; which part of it is real?": (
            lambda r, s, p: r * p + (1 - s) * (1 - p)
        ),
        "That is the share of the calls 'quiet' that are right; we ask for the alarms.": (
            lambda r, s, p: _precision_at(s, r, 1 - p)
        ),
    },
    returns=_as_prevalence,
    otherwise="With a recall of {0:g} and a specificity of {1:g}, at a prevalence of {2}, a share of {ours} of the "
    "calls is real, and yours says {yours}.",
)


def _binned(place, label, score, edges):
    k = len(edges) - 1
    n = np.bincount(place, minlength=k)
    sums = [np.bincount(place, weight, k) for weight in (score, label)]
    return *(np.where(n > 0, total / np.maximum(n, 1), np.nan) for total in sums), n


def _reliability(label, score, edges):
    """A function: label (n,), score (n,), edges (k + 1,) -> forecast, observed, number, each (k,)."""
    place = np.clip(np.digitize(score, edges) - 1, 0, len(edges) - 2)
    return _binned(place, label, score, edges)


def _some_forecasts():
    generator, questions = np.random.default_rng(65), []
    for edges, (low, high) in (
        ([0, 0.1, 0.3, 0.6, 0.7, 1.0], (0.6, 0.7)),  # the bin that is left empty
        ([0, 0.25, 0.5, 0.8, 0.9, 0.95, 1.0], (0.95, 1.1)),
    ):
        score = generator.beta(0.8, 1.2, 900).round(2)  # many lie on an edge
        score = np.append(score, [1.0] * 40)
        score = generator.permutation(score[(score < low) | (score >= high)])
        questions.append((generator.random(len(score)) < score**1.5, score, np.array(edges)))
    return questions


def _middles(edges):
    return (edges[1:] + edges[:-1]) / 2


def _three(change):
    """Make a mistake: `change` is applied to the right three arrays and the edges."""
    return lambda label, score, edges: change(*_reliability(label, score, edges), edges)


def _below(label, score, edges):
    place = np.clip(np.digitize(score, edges, right=True) - 1, 0, len(edges) - 2)
    return _binned(place, label, score, edges)


reliability = by_example(
    "Exercise 6.5",
    _reliability,
    _some_forecasts,
    {
        "A score of exactly 1 is lost: the last bin includes its upper edge.": lambda y, s, edges: (
            _reliability(y[s < 1], s[s < 1], edges)
        ),
        "A score on an edge belongs to the bin above it.": [
            _below,
            lambda y, s, edges: _below(y[s > 0], s[s > 0], edges),
        ],
        "np.digitize numbers the bins from 1, not from 0.": lambda y, s, edges: _binned(
            np.digitize(s, edges).clip(0, len(edges) - 2), y, s, edges
        ),
        "In an empty bin nothing was forecast and nothing seen: nan for both, not a number.": [
            _three(lambda f, o, n, edges: np.nan_to_num((f, o, n))),
            _three(lambda f, o, n, edges: (np.where(n > 0, f, _middles(edges)), o, n)),
        ],
        "A bin is empty: keep its place, with nan, nan and 0.": _three(
            lambda f, o, n, edges: (f[n > 0], o[n > 0], n[n > 0])
        ),
        "Forecast first, observed second.": _three(lambda f, o, n, edges: (o, f, n)),
        "The forecast of a bin is the mean of the scores in it, not its middle.": [
            _three(lambda f, o, n, edges: (_middles(edges), o, n)),
            _three(lambda f, o, n, edges: (np.where(n > 0, _middles(edges), np.nan), o, n)),
        ],
        "What is observed is a share: divide the number of true labels by how many pointings the bin holds.": [
            _three(lambda f, o, n, edges: (f, o * n, n)),
            _three(lambda f, o, n, edges: (f, np.nan_to_num(o * n), n)),
            _three(lambda f, o, n, edges: (f, o * n / n.sum(), n)),
        ],
    },
    returns=forms.tuple_of(
        "forecast, observed, number",
        forms.array("a mean forecast for each bin"),
        forms.array("an observed share for each bin"),
        forms.array("a number of pointings for each bin, 0 if it is empty", int),
    ),
    otherwise="On scores of our own, {part} should hold {ours} where yours holds {yours}.",
    names=("the mean forecast", "the observed share", "the number of pointings"),
)


def _mean_cost(label, score, thresholds, false_alarm, miss):
    """A function: label (n,), score (n,), thresholds (k,), two prices -> cost per pointing (k,)."""
    call = score >= thresholds[:, None]
    return (false_alarm * (call & ~label) + miss * (~call & label)).mean(axis=1)


def _some_bills():
    generator, questions = np.random.default_rng(66), []
    for thresholds, prices in (
        ([0.0, 0.1, 0.25, 0.5, 0.8, 1.01], (3.0, 17.0)),
        ([0.5, 0.2, 0.33, 0.4], (20.0, 5.0)),
    ):
        label = generator.random(500) < 0.2
        score = np.round(generator.beta(1, 3, 500) * 0.7 + 0.3 * label, 2)
        questions.append((label, score, np.array(thresholds), *prices))
    return questions


mean_cost = by_example(
    "Exercise 6.6",
    _mean_cost,
    _some_bills,
    {
        "Scores and thresholds are arrays of different lengths: take the thresholds one by one.": [
            lambda y, s, t, fp, fn: s >= t,
            lambda y, s, t, fp, fn: t <= s,
        ],
        "The prices are swapped: a false alarm is a call where the label says no.": (
            lambda y, s, t, fp, fn: _mean_cost(y, s, t, fn, fp)
        ),
        "That is the cost of all pointings together; divide by their number.": (
            lambda y, s, t, fp, fn: _mean_cost(y, s, t, fp, fn) * len(y)
        ),
        "A score at or above the threshold is a call: >=, neither > nor <.": [
            lambda y, s, t, fp, fn: _mean_cost(y, s, t + 1e-9, fp, fn),
            lambda y, s, t, fp, fn: _mean_cost(y, -s, -t, fp, fn),
            lambda y, s, t, fp, fn: _mean_cost(y, -s, -t + 1e-9, fp, fn),
        ],
        "You charge hits as false alarms; here a hit costs nothing, because it was worth its time.": (
            lambda y, s, t, fp, fn: _mean_cost(y, s, t, fp, fn) + _mean_cost(~y, s, t, fp, 0)
        ),
        "Those are the rates within each class; what you pay is per pointing of all, quiet or not.": (
            lambda y, s, t, fp, fn: _mean_cost(y, s, t, fp / np.mean(~y), fn / np.mean(y))
        ),
        "Your cost does not depend on the threshold.": (
            lambda y, s, t, fp, fn: _mean_cost(y, s, 0 * t + 0.5, fp, fn)
        ),
        "Both mistakes have their price: add them.": [
            lambda y, s, t, fp, fn: _mean_cost(y, s, t, fp, 0),
            lambda y, s, t, fp, fn: _mean_cost(y, s, t, 0, fn),
        ],
    },
    returns=forms.array("a cost for each threshold"),
    otherwise="With prices of {3:g} for a false alarm and {4:g} for a miss we find a cost of {ours} where you find "
    "{yours}.",
)


choice = sorting(
    "Exercise 6.7",
    {
        "five nights at a large telescope for the five that you name: a quiet one wastes a night": (
            "precision",
            "the committee asks how many of your five are real, not how many you left out.",
        ),
        "a filter: people look at all that passes, and what it drops is never seen again": (
            "recall",
            "which of the two mistakes can nobody repair later?",
        ),
        "the probabilities enter a population study as weights": (
            "log loss",
            "no call is ever made; the numbers themselves must be right.",
        ),
        "are the four states told apart, each of them as interesting as the others?": (
            "balanced accuracy",
            "four classes of very different size, and the smallest counts as much as the largest.",
        ),
        "two rankings, before anybody knows the prevalence or the prices": (
            "ROC AUC",
            "no threshold, no price and no prevalence may enter.",
        ),
        "a false alarm costs 10 ks, a miss 40 ks: where to put the threshold?": (
            "expected cost",
            "both prices are known: why not use them?",
        ),
    },
)
