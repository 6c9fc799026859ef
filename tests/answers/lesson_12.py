"""Answers to the exercises of lesson 12: other right routes, and wrong ones with their hints."""

import numpy as np
import pandas as pd
from scipy.optimize import nnls
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KDTree, NearestNeighbors

from answers import changed
from course.checks import lesson_12


def days_with_pandas(mjd, outburst, cap):
    table = pd.DataFrame({"mjd": mjd, "outburst": outburst}).sort_values("mjd")
    gap = -table.groupby("outburst").mjd.diff(-1)
    return gap.clip(upper=cap).fillna(0).sort_index().to_numpy()


def days_one_by_one(mjd, outburst, cap):
    stood = []
    for when, which in zip(mjd, outburst, strict=True):
        later = mjd[(outburst == which) & (mjd > when)]
        stood.append(min(cap, later.min() - when) if len(later) else 0.0)
    return stood


def days_sorted_but_not_back(mjd, outburst, cap):
    order = np.lexsort((mjd, outburst))
    return lesson_12._days(mjd[order], outburst[order], cap)


def days_with_a_last_one(mjd, outburst, cap):
    stood = lesson_12._days(mjd, outburst, cap)
    return np.where(stood == 0, cap, stood)


def days_of_rows(mjd, outburst, cap):
    same = np.append(outburst[1:] == outburst[:-1], False)
    return np.where(same, np.minimum(np.append(np.diff(mjd), 0), cap), 0)


def turning_with_pandas(mjd, state, luminosity):
    table = pd.DataFrame({"mjd": mjd, "state": state, "log": np.log(luminosity)})
    table = table.dropna().sort_values("mjd")
    soft, hard = (table[table.state == name] for name in ("HSS", "LHS"))
    if len(soft) < 4:
        return [np.nan, np.nan]
    start, stop = soft.mjd.quantile([0.05, 0.95])
    up, down = hard[hard.mjd < start].tail(2).log, hard[hard.mjd > stop].head(2).log
    return [np.exp(x.mean()) if len(x) == 2 else np.nan for x in (up, down)]


def turning_unsorted(mjd, state, luminosity):
    keep = np.isfinite(luminosity)
    mjd, state, luminosity = mjd[keep], state[keep], luminosity[keep]
    fake = np.arange(len(mjd), dtype=float)
    return lesson_12._turning(fake, state, luminosity)


def turning_with_gaps(mjd, state, luminosity):
    order = np.argsort(mjd)
    filled = np.where(np.isfinite(luminosity), luminosity, 1.0)[order]
    return lesson_12._turning(mjd[order], state[order], filled)


def turning_never_nan(mjd, state, luminosity):
    found = lesson_12._turning(mjd, state, luminosity)
    return np.nan_to_num(found, nan=1.0)


def turning_with_one_is_enough(mjd, state, luminosity):
    up, down = lesson_12._turning(mjd, state, luminosity)
    if np.isnan(up) and np.sum(state == "HSS") >= 4:
        up = lesson_12._turning(mjd, state, luminosity, n=1)[0]
    return up, down


def turning_of_any_outburst(mjd, state, luminosity):
    order = np.argsort(mjd)
    order = order[np.isfinite(luminosity[order])]
    mjd, state, log = mjd[order], state[order], np.log(luminosity[order])
    start, stop = np.quantile(mjd[state == "HSS"], [0.05, 0.95])
    before, after = log[(state == "LHS") & (mjd < start)], log[(state == "LHS") & (mjd > stop)]
    return np.exp(before[-2:].mean()), np.exp(after[:2].mean())


def neighbours(train, new, k):
    scaled = [(x - train.mean(axis=0)) / train.std(axis=0, ddof=1) for x in (train, new)]
    return NearestNeighbors(n_neighbors=k).fit(scaled[0]).kneighbors(scaled[1])[0][:, -1]


def scaled_by_itself(train, new, k):
    own = (new - new.mean(axis=0)) / new.std(axis=0)
    return lesson_12._strangeness((train - train.mean(axis=0)) / train.std(axis=0), own, k)


def scaled_twice(train, new, k):
    both = np.concatenate([train, new])
    return lesson_12._strangeness(train / both.std(axis=0) * 2, new, k)


def mean_of_neighbours(train, new, k):
    return np.mean([lesson_12._strangeness(train, new, j) for j in range(1, k + 1)], axis=0)


def unscaled(train, new, k):
    return np.sort(np.linalg.norm(new[:, None] - train, axis=2), axis=1)[:, k - 1]


def arithmetic(mjd, state, luminosity):
    return lesson_12._turning(mjd, state, luminosity, mean=np.mean)


def from_first_to_last(mjd, state, luminosity):
    return lesson_12._turning(mjd, state, luminosity, quantiles=(0, 1))


def days_by_date_first(mjd, outburst, cap):
    """np.lexsort with its keys in the order in which one says them."""
    order = np.lexsort((outburst, mjd))
    gap = np.minimum(np.append(np.diff(mjd[order]), 0.0), cap)
    stood = np.empty(len(mjd))
    same = np.append(outburst[order][1:] == outburst[order][:-1], False)
    stood[order] = np.where(same, gap, 0.0)
    return stood


def days_without_long_gaps(mjd, outburst, cap):
    gap = lesson_12._days(mjd, outburst, np.inf)
    return np.where(gap > cap, 0.0, gap)


def days_clipped_at_zero(mjd, outburst, cap):
    """Outbursts run into each other, but for those that begin before the last one ended."""
    order = np.lexsort((mjd, outburst))
    stood = np.empty(len(mjd))
    stood[order] = np.clip(np.append(np.diff(mjd[order]), 0.0), 0.0, cap)
    return stood


def turning_of_five(mjd, state, luminosity):
    if np.sum((state == "HSS") & np.isfinite(luminosity)) < 5:
        return np.nan, np.nan
    return lesson_12._turning(mjd, state, luminosity)


def scaled_like(base, train, new, k, axis=0):
    train, new = ((t - base.mean(axis)) / base.std(axis) for t in (train, new))
    return np.sort(np.linalg.norm(new[:, None] - train, axis=2), axis=1)[:, k - 1]


def neighbours_by_tree(train, new, k):
    train, new = ((t - train.mean(axis=0)) / train.std(axis=0, ddof=1) for t in (train, new))
    return KDTree(train).query(new, k)[0][:, -1]


OTHER_ROUTES = [
    (
        lesson_12.written,
        {
            "model": "my logistic model",
            "metric": "Balanced accuracy",
            "expected": 0.7,
            "error": 0.04,
        },
    ),
    (lesson_12.written, lesson_12.written.reference() | {"metric": "macro-averaged recall"}),
    (lesson_12.days, days_with_pandas),
    (lesson_12.days, days_one_by_one),
    (lesson_12.unfold, lambda y, m: y @ np.linalg.inv(m)),
    (lesson_12.unfold, lambda y, m: np.linalg.lstsq(m.T, y, rcond=None)[0]),
    (lesson_12.turning, turning_with_pandas),
    (lesson_12.strangeness, neighbours),
    (lesson_12.written, lesson_12.written.reference() | {"model": "LogisticRegression(C=0.1)"}),
    (lesson_12.written, lesson_12.written.reference() | {"metric": "balanced_accuracy"}),
    (lesson_12.unfold, lambda y, m: nnls(m.T, y)[0]),
    (lesson_12.strangeness, neighbours_by_tree),
]

_WRITTEN = lesson_12.written.reference()

WRONG = [
    (lesson_12.written, _WRITTEN | {"metric": "the accuracy of the states"}, "counts alike"),
    (lesson_12.written, _WRITTEN | {"metric": "not the balanced accuracy"}, "counts alike"),
    (lesson_12.written, _WRITTEN | {"expected": 0.92}, "even a perfect model"),
    (lesson_12.written, _WRITTEN | {"expected": 73}, "between 0 and 1, and so is its error"),
    (lesson_12.written, _WRITTEN | {"expected": 0.5}, "not a low bar"),
    (lesson_12.written, _WRITTEN | {"error": 0.005}, "few sources"),
    (lesson_12.written, _WRITTEN | {"error": 0.3}, "nothing could surprise"),
    (lesson_12.written, _WRITTEN | {"error": 0}, "cannot be met"),
    (lesson_12.written, _WRITTEN | {"model": "LR"}, "name the one"),
    (lesson_12.written, _WRITTEN | {"expected": ...}, "no answer yet"),
    (lesson_12.days, lambda t, o, c: lesson_12._days(t, o, np.inf), "more than `cap`"),
    (lesson_12.days, days_sorted_but_not_back, "write the days back"),
    (lesson_12.days, days_with_a_last_one, "last pointing"),
    (lesson_12.days, days_of_rows, "order of time"),
    (lesson_12.days, lambda t, o, c: lesson_12._days(t, np.zeros(len(t)), c), "belongs to nobody"),
    (lesson_12.days, lambda t, o, c: lesson_12._days(-t, o, c), "until the next"),
    (lesson_12.days, lambda t, o, c: np.ones(len(t)), "three outbursts"),
    (lesson_12.unfold, lambda y, m: np.linalg.solve(m, y), "rows and columns"),
    (lesson_12.unfold, lambda y, m: y @ m, "folds once more"),
    (lesson_12.unfold, lambda y, m: y, "nothing is unfolded"),
    (lesson_12.unfold, lambda y, m: y / np.diag(m), "Dividing by the recall"),
    (lesson_12.unfold, lambda y, m: y / m.sum(axis=0), "fold yours again"),
    (lesson_12.turning, lambda t, s, x: lesson_12._turning(t, s, x)[::-1], "swapped"),
    (lesson_12.turning, lambda t, s, x: np.divide(*lesson_12._turning(t, s, x)), "no ratio"),
    (lesson_12.turning, lambda t, s, x: np.log10(lesson_12._turning(t, s, x)), "logarithms"),
    (lesson_12.turning, arithmetic, "arithmetic"),
    (lesson_12.turning, lambda t, s, x: lesson_12._turning(t, s, x, n=1), "take two"),
    (lesson_12.turning, from_first_to_last, "early wrong call"),
    (lesson_12.turning, turning_unsorted, "sort by date"),
    (lesson_12.turning, turning_with_gaps, "without a luminosity"),
    (lesson_12.turning, turning_never_nan, "two nan"),
    (lesson_12.turning, turning_of_any_outburst, "fewer than four"),
    (lesson_12.turning, turning_with_one_is_enough, "single LHS"),
    (lesson_12.turning, lambda t, s, x: (1.0, 2.0), "the first two after"),
    (lesson_12.strangeness, unscaled, "scale of the training rows"),
    (lesson_12.strangeness, scaled_by_itself, "cannot be strange"),
    (lesson_12.strangeness, scaled_twice, "from its neighbour"),
    (
        lesson_12.strangeness,
        lambda a, b, k: scaled_like(np.concatenate([a, b]), a, b, k),
        "training rows alone",
    ),
    (
        lesson_12.strangeness,
        lambda a, b, k: lesson_12._strangeness(a, b, k + 1),
        "one neighbour too far",
    ),
    (lesson_12.strangeness, lambda a, b, k: lesson_12._strangeness(a, b, 1), "whatever k"),
    (lesson_12.strangeness, mean_of_neighbours, "mean over the k"),
    (lesson_12.strangeness, lambda a, b, k: lesson_12._strangeness(a, b, k) ** 2, "square"),
    (
        lesson_12.strangeness,
        lambda a, b, k: np.linalg.norm((b - a.mean(axis=0)) / a.std(axis=0), axis=1),
        "centre",
    ),
    (
        lesson_12.abstract,
        changed(lesson_12.abstract.reference(), the_time="may be written"),
        "against what",
    ),
    (
        lesson_12.abstract,
        changed(lesson_12.abstract.reference(), MAXI="may be written"),
        "in which world",
    ),
    (
        lesson_12.abstract,
        changed(lesson_12.abstract.reference(), our_model="may be written"),
        "how many telescopes",
    ),
    (lesson_12.written, _WRITTEN | {"metric": "accuracy"}, "counts alike"),
    (lesson_12.written, _WRITTEN | {"metric": balanced_accuracy_score}, "quotation marks"),
    (lesson_12.written, _WRITTEN | {"model": "a random forest of 50 trees"}, "for the object"),
    (lesson_12.days, days_by_date_first, "overlap in time"),
    (lesson_12.days, lambda t, o, c: lesson_12._days(t, o, c).astype(int), "whole numbers"),
    (lesson_12.days, days_without_long_gaps, "not for 0"),
    (lesson_12.days, days_clipped_at_zero, "has no next one"),
    (lesson_12.unfold, lambda y, m: np.linalg.lstsq(m.T, y, rcond=None), "type tuple"),
    (lesson_12.turning, turning_of_five, "are enough"),
    (lesson_12.strangeness, lambda a, b, k: scaled_like(b, a, b, k), "not those of the new"),
    (lesson_12.strangeness, lambda a, b, k: scaled_like(a, a, b, k, axis=None), "axis=0"),
]
