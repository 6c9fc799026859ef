"""Answers to the exercises of lesson 12: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd
from scipy import optimize
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import NearestNeighbors

from answers import changed
from course.checks import lesson_12


def days_with_pandas(mjd, outburst, cap):
    table = pd.DataFrame({"mjd": mjd, "outburst": outburst}).sort_values("mjd")
    gap = -table.groupby("outburst").mjd.diff(-1)
    return gap.clip(upper=cap).fillna(0)


def days_one_by_one(mjd, outburst, cap):
    stood = []
    for when, which in zip(mjd, outburst, strict=True):
        later = mjd[(outburst == which) & (mjd > when)]
        stood.append(min(cap, later.min() - when) if len(later) else 0)
    return stood


def days_with_a_last_one(mjd, outburst, cap):
    stood = lesson_12._days(mjd, outburst, cap)
    return np.where(stood == 0, cap, stood)


def turning_with_pandas(mjd, state, luminosity):
    table = pd.DataFrame({"mjd": mjd, "state": state, "log": np.log(luminosity)})
    table = table.dropna().sort_values("mjd")
    soft, hard = (table[table.state == name] for name in ("HSS", "LHS"))
    if len(soft) < 4:
        return None, None
    start, stop = soft.mjd.quantile([0.05, 0.95])
    up, down = hard[hard.mjd < start].tail(2).log, hard[hard.mjd > stop].head(2).log
    return [np.exp(x.mean()) if len(x) == 2 else None for x in (up, down)]


def scaled(train, new, ddof=1):
    return ((x - train.mean(axis=0)) / train.std(axis=0, ddof=ddof) for x in (train, new))


def neighbours(train, new, k):
    train, new = scaled(train, new)
    return NearestNeighbors(n_neighbors=k).fit(train).kneighbors(new)[0][:, -1]


def neighbours_by_partition(train, new, k):
    train, new = scaled(train, new, ddof=0)
    squares = ((new[:, None] - train) ** 2).sum(-1)
    return np.partition(squares, k - 1, axis=1)[:, k - 1] ** 0.5


_WRITTEN = lesson_12.written.reference()

OTHER_ROUTES = [
    (lesson_12.unfold, lambda y, M: optimize.nnls(M.T, y)[0]),
    *(
        (lesson_12.written, _WRITTEN | {"model": model})
        for model in (
            "my logistic model",
            "LogisticRegression(C=0.1)",
            "softmax regression",
            "logistic regression, not the random forest",
            "logistic regression, without the square",
            "linear model, C=0.1",
            "multinomial logit of the sources on the main street",
        )
    ),
    *(
        (lesson_12.written, _WRITTEN | {"metric": metric})
        for metric in (
            "Balanced accuracy",
            "balanced_accuracy",
            "BAcc",
            "BA",
            "mean per-class accuracy",
            "state-averaged accuracy",
            "accuracy averaged over the four states",
            "macro-averaged recall",
            "recall, averaged over the states",
            "accuracy (balanced)",
            "not the accuracy, but the balanced accuracy",
        )
    ),
    (lesson_12.days, days_with_pandas),
    (lesson_12.days, days_one_by_one),
    (lesson_12.unfold, lambda y, m: y @ np.linalg.inv(m)),
    (lesson_12.unfold, lambda y, m: np.linalg.lstsq(m.T, y, rcond=None)[0]),
    (lesson_12.turning, turning_with_pandas),
    (lesson_12.strangeness, neighbours),
    (lesson_12.strangeness, neighbours_by_partition),
]

WRONG = [
    *(
        (lesson_12.written, _WRITTEN | change, hint)
        for change, hint in (
            ({"metric": "the accuracy of the states"}, "counts alike"),
            ({"metric": "not the balanced accuracy"}, "counts alike"),
            ({"metric": "unbalanced accuracy"}, "counts alike"),
            ({"metric": "accuracy for the state, mean over five folds"}, "counts alike"),
            ({"metric": "balanced accuracy of the object"}, "counts alike"),
            ({"metric": "weighted average recall"}, "counts alike"),
            ({"metric": balanced_accuracy_score}, "quotation marks"),
            ({"model": "a random forest of 50 trees"}, "No forest is a finalist"),
            ({"model": "logistic + disc²"}, "for the object"),
            ({"model": "logistic regression with the disc share squared"}, "for the object"),
            ({"model": "LR"}, "name the one"),
            ({"model": "the one on the street"}, "name the one"),
            ({"expected": 0.92}, "even a perfect model"),
            ({"expected": 73}, "between 0 and 1, and so is its error"),
            ({"expected": 0.5}, "not a low bar"),
            ({"expected": ...}, "no answer yet"),
            ({"error": 0.005}, "few sources"),
            ({"error": 0.3}, "nothing could surprise"),
            ({"error": float("nan")}, "cannot be met"),
        )
    ),
    (lesson_12.days, days_with_a_last_one, "last pointing"),
    (lesson_12.days, lambda *given: lesson_12._days_in(np.arange(29), *given), "negative times"),
    (lesson_12.days, lambda t, o, c: np.ones(len(t)), "a pointing that stands for"),
    (lesson_12.unfold, lambda y, m: y / m.sum(axis=0), "Folded with this matrix"),
    (lesson_12.turning, lambda *given: np.divide(*lesson_12._turning(*given)), "no ratio"),
    (lesson_12.turning, lambda t, s, x: (1.0, 2.0), "the first two after"),
    (lesson_12.strangeness, lambda a, b, k: np.ones(len(b)), "from its neighbour"),
    *(
        (lesson_12.abstract, changed(lesson_12.abstract.reference(), **change), hint)
        for change, hint in (
            ({"the_time": "may be written"}, "against what"),
            ({"MAXI": "may be written"}, "in which world"),
            ({"our_model": "may be written"}, "how many telescopes"),
        )
    ),
]
