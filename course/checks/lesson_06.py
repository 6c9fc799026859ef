"""Checks of lesson 06: choosing an evaluation metric."""

import numpy as np
from sklearn import metrics

from . import Hint, array, exercise, explained, function, number, sorting

__all__ = [
    "auc",
    "choice",
    "mean_cost",
    "precision_at",
    "rates",
    "reliability",
    "ten_pointings",
]

_TEN = {"TP": 2, "FN": 2, "FP": 1, "TN": 5}
_TEN |= {"recall": 2 / 4, "specificity": 5 / 6, "precision": 2 / 3, "F": 4 / 7}


@exercise("Exercise 6.1", reference=lambda: dict(_TEN))
def ten_pointings(answer):
    """A dictionary of eight numbers."""
    if not isinstance(answer, dict) or set(answer) != set(_TEN):
        raise Hint(f"Expected a dictionary with the keys {', '.join(map(repr, _TEN))}.")
    for name, value in answer.items():
        if value is ...:
            raise Hint(f"{name!r} has no answer yet.")
    found = {name: number(value, f"a number for {name!r}") for name, value in answer.items()}
    counts = {name: found[name] for name in ("TP", "FN", "FP", "TN")}
    if sum(counts.values()) != 10:
        raise Hint(
            f"Each of the ten belongs into exactly one box; yours hold {sum(counts.values()):g}."
        )
    if counts == {"TP": _TEN["TN"], "TN": _TEN["TP"], "FN": _TEN["FP"], "FP": _TEN["FN"]}:
        raise Hint("You took quiet for positive: positive is what we look for, a transition.")
    if (counts["FN"], counts["FP"]) == (_TEN["FP"], _TEN["FN"]):
        raise Hint("FN and FP are swapped: the second letter is what was called, N for 'quiet'.")
    if (counts["TP"], counts["TN"]) == (_TEN["TN"], _TEN["TP"]):
        raise Hint("TP and TN are swapped: positive is what we look for, a transition.")
    if wrong := [name for name in counts if counts[name] != _TEN[name]]:
        raise Hint(f"Count {' and '.join(wrong)} again, row by row.")
    if abs(found["recall"] - 2 / 3) < 0.006 and abs(found["precision"] - 1 / 2) < 0.006:
        raise Hint(
            "Recall and precision are swapped: recall divides by what was there, precision by what was called."
        )
    if abs(found["F"] - (1 / 2 + 2 / 3) / 2) < 0.006:
        raise Hint("F is the harmonic mean of precision and recall, not the arithmetic one.")
    for name in ("recall", "specificity", "precision", "F"):
        if abs(found[name] - _TEN[name]) < 0.006:
            continue
        if abs(found[name] - 100 * _TEN[name]) < 0.6:
            raise Hint(f"Give {name} as a share between 0 and 1, not in per cent.")
        if name == "specificity" and abs(found[name] - 5 / 7) < 0.006:
            raise Hint(
                "That divides by all that were called quiet; specificity divides by all that are quiet."
            )
        if abs(found[name] - _TEN[name]) < 0.06 and found[name] == round(found[name], 1):
            raise Hint(
                f"The counts are right; {name} has one digit too few: give two, or the fraction itself, such as 3 / 7."
            )
        raise Hint(f"The counts are right; {name} is not {found[name]:.3g}. See its formula.")


def _divide(numerator, denominator):
    return numerator / denominator if denominator else np.nan


def _rates(label, call):
    tp, fn = np.sum(label & call), np.sum(label & ~call)
    fp, tn = np.sum(~label & call), np.sum(~label & ~call)
    return (
        _divide(tp, tp + fn),
        _divide(tn, tn + fp),
        _divide(tp, tp + fp),
        _divide(2 * tp, 2 * tp + fp + fn),
    )


_NAMES = ("recall", "specificity", "precision", "F")


@exercise("Exercise 6.2", reference=lambda: _rates)
def rates(answer):
    """A function: label (n,), call (n,) -> recall, specificity, precision, F."""
    answer = function(answer)
    generator = np.random.default_rng(62)
    for share in (0.15, 0.6):
        label = generator.random(400) < share
        call = np.where(generator.random(400) < 0.75, label, generator.random(400) < 0.3)
        found = _four(answer(label.copy(), call.copy()))
        right = np.array(_rates(label, call))
        if np.isnan(found).any():
            raise Hint("With calls and labels of both kinds nothing is undefined; yours gives nan.")
        if np.allclose(found, right, atol=1e-9):
            continue
        if np.allclose(np.sort(found), np.sort(right), atol=1e-9):
            raise Hint("The four are right, their order is not: recall, specificity, precision, F.")
        recall, specificity, precision, f = right
        if np.isclose(found[1], np.mean(label == call)):
            raise Hint(
                "The second is the accuracy; specificity is the share of right calls among the quiet ones."
            )
        if np.isclose(found[1], 1 - specificity):
            raise Hint(
                "The second is the rate of false alarms, FP/(TN + FP): specificity is the rest."
            )
        if np.isclose(found[3], (precision + recall) / 2):
            raise Hint("F is the harmonic mean of precision and recall, not the arithmetic one.")
        if np.isclose(found[3], f / 2):
            raise Hint("A factor of 2 is missing in F: it must be 1 if all calls are right.")
        wrong = _NAMES[int(np.argmax(~np.isclose(found, right)))]
        raise Hint(f"In 400 random calls your {wrong} differs from its formula.")
    nothing, everything = np.zeros(6, bool), np.ones(6, bool)
    some = np.array([True, True, False, False, False, False])
    for label, call, case in (
        (some, nothing, "nothing is called"),
        (nothing, some, "there is no transition"),
        (nothing, nothing, "there is no transition and nothing is called"),
        (everything, some, "all are transitions"),
    ):
        stops = "a denominator is 0, at which Python stops: test for it first, and give nan"
        one_box = (
            "scikit-learn's matrix has one box only; with labels=[False, True] it keeps all four"
        )
        with (
            explained(ZeroDivisionError, {"": f"Where {case}, {stops}."}),
            explained(ValueError, {"unpack": f"Where {case}, {one_box}."}),
        ):
            value = answer(label.copy(), call.copy())
        found, right = _four(value), np.array(_rates(label, call))
        for name, a, b in zip(_NAMES, found, right, strict=True):
            if np.isnan(b) and not np.isnan(a):
                raise Hint(f"Where {case}, {name} is 0/0: no number, so give nan and not {a:g}.")
            if np.isnan(a) and not np.isnan(b):
                raise Hint(
                    f"Where {case}, {name} is not empty but {b:g}: take F from the counts, 2TP/(2TP + FP + FN)."
                    if name == "F"
                    else f"Where {case}, {name} is {b:g}: its denominator is not empty."
                )
            if not np.isclose(a, b, equal_nan=True):
                raise Hint(f"Where {case}, {name} should be {b:g}, and yours is {a:g}.")


def _four(value):
    if not isinstance(value, (tuple, list, np.ndarray)) or np.shape(value) != (4,):
        raise Hint("Expected four numbers from your function: recall, specificity, precision, F.")
    try:
        return np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise Hint("Expected four numbers; yours are something else.") from None


def _auc(label, score):
    difference = score[label][:, None] - score[~label]
    return np.mean(difference > 0) + np.mean(difference == 0) / 2


@exercise("Exercise 6.3", reference=lambda: _auc)
def auc(answer):
    """A function: label (n,), score (n,) -> area under the ROC curve."""
    answer = function(answer)
    generator = np.random.default_rng(63)
    for decimals in (6, 1):  # without and with ties
        label = generator.random(300) < 0.2
        score = np.round(generator.beta(2, 3, 300) * 0.7 + 0.3 * label, decimals)
        found = number(answer(label.copy(), score.copy()), "an AUC")
        right = metrics.roc_auc_score(label, score)
        if np.isclose(found, right, atol=1e-9):
            continue
        difference = score[label][:, None] - score[~label]
        if np.isclose(found, 1 - right):
            raise Hint(
                "That is one minus the AUC: count the pairs in which the positive is higher."
            )
        if np.isclose(found, np.mean(difference > 0)):
            raise Hint(
                "Right without ties. With equal scores the pair is undecided: count it half."
            )
        if np.isclose(found, np.mean(difference >= 0)):
            raise Hint("You count a tie as a win. Equal scores are undecided: count the pair half.")
        if abs(found - 0.5) < 0.01:
            raise Hint(
                "One half: in pairs of everybody with everybody nobody wins. Pair a positive with a negative."
            )
        n = min(label.sum(), (~label).sum())
        if np.isclose(found, np.mean(score[label][:n] > score[~label][:n])):
            raise Hint("Each positive meets one negative here; it should meet every one of them.")
        if found > 1.000001:
            raise Hint("That is a number of pairs; divide by how many pairs there are.")
        if np.isclose(found, np.sum(difference > 0) / 300**2, rtol=0.1) or np.isclose(
            found, np.sum(difference > 0) / (300 * 299 / 2), rtol=0.1
        ):
            raise Hint("Divide by the number of pairs of one positive with one negative.")
        raise Hint(
            f"For 300 random scores {right:.3f} of the pairs are in order, and yours gives {found:.3f}."
        )


def _precision_at(recall, specificity, prevalence):
    found, alarms = recall * prevalence, (1 - specificity) * (1 - prevalence)
    return found / (found + alarms)


@exercise("Exercise 6.4", reference=lambda: _precision_at)
def precision_at(answer):
    """A function: recall, specificity, prevalence (n,) -> precision (n,)."""
    answer = function(answer)
    for r, s, p in ((0.6, 0.9, 0.15), (0.95, 0.7, 0.01), (0.3, 0.99, 0.5)):
        found = number(answer(r, s, p), "a precision")
        right = _precision_at(r, s, p)
        if np.isclose(found, right, atol=1e-9):
            continue
        if np.isclose(found, r * p / (r * p + s * (1 - p))):
            raise Hint(
                "Below stands the share of quiet pointings that is called quiet; alarms come from the others."
            )
        if np.isclose(found, r / (r + 1 - s)):
            raise Hint(
                "That is the precision at a prevalence of one half: weight both kinds by how many there are."
            )
        if np.isclose(found, r * p):
            raise Hint("That is the share of all pointings that are hits; divide by all that call.")
        if np.isclose(found, r * p + (1 - s) * (1 - p)):
            raise Hint(
                "That is the share of all pointings that are called; which part of it is real?"
            )
        if np.isclose(found, s * (1 - p) / (s * (1 - p) + (1 - r) * p)):
            raise Hint(
                "That is the share of the calls 'quiet' that are right; we ask for the alarms."
            )
        raise Hint(
            f"Recall {r:g}, specificity {s:g}, prevalence {p:g}: of 10 000 pointings "
            f"{1e4 * r * p:.0f} are hits and {1e4 * (1 - s) * (1 - p):.0f} are false alarms."
        )
    prevalence = np.array([0.01, 0.1, 0.5, 0.9])
    try:
        value = answer(0.7, 0.8, prevalence)
    except (TypeError, ValueError):
        raise Hint("It works for one prevalence; let it take an array of them as well.") from None
    found = array(value, (4,), "one precision for each of four prevalences")
    if not np.allclose(found, _precision_at(0.7, 0.8, prevalence)):
        raise Hint("For one prevalence it is right; for an array of four it gives something else.")


def _reliability(label, score, edges):
    place = np.clip(np.digitize(score, edges) - 1, 0, len(edges) - 2)
    n = np.bincount(place, minlength=len(edges) - 1)
    sums = [np.bincount(place, weight, len(edges) - 1) for weight in (score, label)]
    forecast, observed = (np.where(n > 0, total / np.maximum(n, 1), np.nan) for total in sums)
    return forecast, observed, n


@exercise("Exercise 6.5", reference=lambda: _reliability)
def reliability(answer):
    """A function: label (n,), score (n,), edges (k + 1,) -> forecast, observed, number, each (k,)."""
    answer = function(answer)
    generator = np.random.default_rng(65)
    edges = np.array([0, 0.1, 0.3, 0.6, 0.7, 1.0])
    score = generator.beta(0.8, 1.2, 900)
    score = np.minimum(score.round(2), 0.99)  # many lie on an edge
    score = np.append(score[(score < 0.6) | (score >= 0.7)], [1.0] * 40)
    label = generator.random(len(score)) < score**1.5
    value = answer(label.copy(), score.copy(), edges.copy())
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 3:
        raise Hint("Expected three arrays from your function: forecast, observed, number.")
    try:
        forecast, observed, n = (np.asarray(part, dtype=float) for part in value)
    except (TypeError, ValueError):
        raise Hint("Expected three arrays of numbers: forecast, observed, number.") from None
    if any(part.shape == (4,) for part in (forecast, observed, n)):
        raise Hint("One of the five bins is empty: keep its place, with nan, nan and 0.")
    if any(part.shape != (5,) for part in (forecast, observed, n)):
        raise Hint(f"Six edges make five bins; yours have the shape {forecast.shape}.")
    right = _reliability(label, score, edges)
    if np.isclose(right[2][-1] - n[-1], 40):
        raise Hint("A score of exactly 1 is lost: the last bin includes its upper edge.")
    on_edge_below = np.histogram(-score, -edges[::-1])[0][::-1]
    if np.array_equal(n, on_edge_below):
        raise Hint("A score on an edge belongs to the bin above it.")
    if not np.array_equal(n, right[2]):
        if np.nansum(n) != len(score):
            raise Hint(
                f"The numbers of the bins should add up to {len(score)}, not {np.nansum(n):g}."
            )
        raise Hint(
            "The numbers add up, but scores are in the wrong bins: they lie between two edges."
        )
    if not np.isnan(forecast[3]) or not np.isnan(observed[3]):
        raise Hint(
            "In the empty bin nothing was forecast and nothing seen: nan for both, not a number."
        )
    full = n > 0
    if np.allclose(forecast[full], right[1][full]) and np.allclose(observed[full], right[0][full]):
        raise Hint("Forecast first, observed second.")
    if np.allclose(forecast[full], ((edges[1:] + edges[:-1]) / 2)[full]):
        raise Hint("The forecast of a bin is the mean of the scores in it, not its middle.")
    if not np.allclose(forecast[full], right[0][full]):
        raise Hint("The forecast of a bin should be the mean of the scores in it.")
    if np.allclose(observed[full], (right[1] * n)[full]):
        raise Hint("Those are numbers of positives; divide by how many pointings the bin holds.")
    if not np.allclose(observed[full], right[1][full]):
        raise Hint("What is observed in a bin is the share of true labels among its pointings.")


def _mean_cost(label, score, thresholds, false_alarm, miss):
    costs = []
    for threshold in thresholds:
        call = score >= threshold
        costs.append(false_alarm * np.mean(call & ~label) + miss * np.mean(~call & label))
    return np.array(costs)


@exercise("Exercise 6.6", reference=lambda: _mean_cost)
def mean_cost(answer):
    """A function: label (n,), score (n,), thresholds (k,), two prices -> cost per pointing (k,)."""
    answer = function(answer)
    generator = np.random.default_rng(66)
    label = generator.random(500) < 0.2
    score = np.round(generator.beta(1, 3, 500) * 0.7 + 0.3 * label, 2)
    thresholds = np.array([0.0, 0.1, 0.25, 0.5, 0.8, 1.01])
    for false_alarm, miss in ((3.0, 17.0), (20.0, 5.0)):
        try:
            value = answer(label.copy(), score.copy(), thresholds.copy(), false_alarm, miss)
        except ValueError:
            raise Hint(
                "Scores and thresholds are arrays of different lengths: take the thresholds one by one."
            ) from None
        found = array(value, (6,), "one cost for each of six thresholds")
        if np.allclose(found, _mean_cost(label, score, thresholds, false_alarm, miss)):
            continue
        if np.allclose(found, _mean_cost(label, score, thresholds, miss, false_alarm)):
            raise Hint("The prices are swapped: a false alarm is a call where the label says no.")
        if np.allclose(found, 500 * _mean_cost(label, score, thresholds, false_alarm, miss)):
            raise Hint("That is the cost of all pointings together; divide by their number.")
        if np.allclose(found, _mean_cost(label, score, thresholds + 1e-9, false_alarm, miss)):
            raise Hint("A score equal to the threshold is a call: >= and not >.")
        hits = [false_alarm * np.mean(label & (score >= t)) for t in thresholds]
        if np.allclose(found - hits, _mean_cost(label, score, thresholds, false_alarm, miss)):
            raise Hint(
                "You charge hits as false alarms; here a hit costs nothing, for it was worth its time."
            )
        shares = [
            false_alarm * np.mean(score[~label] >= t) + miss * np.mean(score[label] < t)
            for t in thresholds
        ]
        if np.allclose(found, shares):
            raise Hint(
                "Those are the rates within each class; what you pay is per pointing of all, quiet or not."
            )
        if np.allclose(found, found[0]):
            raise Hint("Your cost does not depend on the threshold.")
        if np.isclose(found[0], false_alarm * np.mean(~label)):
            raise Hint(
                f"At a threshold above 1 nothing is called: the cost is {miss:g} times the share of transitions, "
                f"{miss * np.mean(label):.2f}; yours is {found[-1]:.2f}."
            )
        raise Hint(
            f"At a threshold of 0 everything is called: the cost is {false_alarm:g} times the share of "
            f"quiet pointings, {false_alarm * np.mean(~label):.2f}; yours is {found[0]:.2f}."
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
