"""Answers to the exercises of lesson 06: other right routes, and wrong ones with their hints."""

from itertools import pairwise

import numpy as np
from sklearn import metrics

from answers import changed
from course.checks import lesson_06

R, P = lesson_06._rates, lesson_06._precision_at
TEN = lesson_06.ten_pointings.reference()


def rates_by_sklearn(label, call):
    nan = {"zero_division": np.nan}
    return [
        metrics.recall_score(label, call, **nan),
        metrics.recall_score(label, call, pos_label=False, **nan),
        metrics.precision_score(label, call, **nan),
        metrics.f1_score(label, call, **nan),
    ]


def zeros_for_nan(label, call):
    return np.nan_to_num(R(label, call))


def f_from_the_means(label, call):
    recall, specificity, precision, _ = R(label, call)
    total = recall + precision
    return recall, specificity, precision, 2 * recall * precision / total if total else np.nan


def auc_by_ranks(label, score):
    from scipy.stats import mannwhitneyu

    return mannwhitneyu(score[label], score[~label]).statistic / (label.sum() * (~label).sum())


def auc_by_trapezium(label, score):
    return metrics.auc(*metrics.roc_curve(label, score)[:2])


def reliability_by_loop(label, score, edges):
    rows = []
    for low, high in pairwise(edges):
        inside = (score >= low) & ((score < high) | (high == edges[-1]))
        n = inside.sum()
        rows.append((score[inside].mean(), label[inside].mean(), n) if n else (np.nan, np.nan, 0))
    return np.transpose(rows)


def reliability_that_loses_the_last(label, score, edges):
    return reliability_by_loop(label[score < 1], score[score < 1], edges)


def reliability_of_the_middles(label, score, edges):
    middle = (edges[1:] + edges[:-1]) / 2
    _, observed, n = lesson_06._reliability(label, score, edges)
    return np.where(n > 0, middle, np.nan), observed, n


def reliability_with_zeros(label, score, edges):
    return [np.nan_to_num(part) for part in lesson_06._reliability(label, score, edges)]


def reliability_without_the_empty(label, score, edges):
    forecast, observed, n = lesson_06._reliability(label, score, edges)
    return forecast[n > 0], observed[n > 0], n[n > 0]


def reliability_swapped(label, score, edges):
    forecast, observed, n = lesson_06._reliability(label, score, edges)
    return observed, forecast, n


def reliability_in_numbers(label, score, edges):
    forecast, observed, n = lesson_06._reliability(label, score, edges)
    return forecast, observed * n, n


def cost_by_sums(label, score, thresholds, false_alarm, miss):
    call = score >= np.asarray(thresholds)[:, None]
    return (false_alarm * (call & ~label) + miss * (~call & label)).sum(axis=1) / len(label)


def cost_with_hits(label, score, thresholds, false_alarm, miss):
    call = score >= np.asarray(thresholds)[:, None]
    return (false_alarm * call + miss * (~call & label)).mean(axis=1)


def cost_of_rates(label, score, thresholds, false_alarm, miss):
    call = score >= np.asarray(thresholds)[:, None]
    return false_alarm * call[:, ~label].mean(axis=1) + miss * (~call)[:, label].mean(axis=1)


def cost_of_the_strict(label, score, thresholds, false_alarm, miss):
    return cost_by_sums(label, score, np.asarray(thresholds) + 1e-9, false_alarm, miss)


OTHER_ROUTES = [
    (lesson_06.ten_pointings, {**TEN, "recall": 0.5, "specificity": 0.83, "F": 0.57}),
    (lesson_06.rates, rates_by_sklearn),
    (lesson_06.auc, auc_by_ranks),
    (lesson_06.auc, auc_by_trapezium),
    (lesson_06.precision_at, lambda r, s, p: 1 / (1 + (1 - s) / r * (1 - p) / p)),
    (lesson_06.reliability, reliability_by_loop),
    (lesson_06.mean_cost, cost_by_sums),
]


def on_the_edge_below(label, score, edges):
    place = np.clip(np.digitize(score, edges, right=True) - 1, 0, len(edges) - 2)
    rows = [(score[place == k], label[place == k]) for k in range(len(edges) - 1)]
    return np.transpose(
        [(s.mean(), y.mean(), len(s)) if len(s) else (np.nan, np.nan, 0) for s, y in rows]
    )


def rates_of_whole_numbers(label, call):
    tp, fn = int((label & call).sum()), int((label & ~call).sum())
    fp, tn = int((~label & call).sum()), int((~label & ~call).sum())
    return tp / (tp + fn), tn / (tn + fp), tp / (tp + fp), 2 * tp / (2 * tp + fp + fn)


def rates_by_confusion_matrix(label, call):
    (tn, fp), (fn, tp) = metrics.confusion_matrix(label, call)
    return tp / (tp + fn), tn / (tn + fp), tp / (tp + fp), 2 * tp / (2 * tp + fp + fn)


WRONG = [
    (lesson_06.rates, rates_of_whole_numbers, "test for it first"),
    (lesson_06.rates, rates_by_confusion_matrix, "labels=[False, True]"),
    (
        lesson_06.ten_pointings,
        TEN | {"specificity": 0.8, "precision": 0.7, "F": 0.6},
        "one digit too few",
    ),
    (
        lesson_06.auc,
        lambda label, score: np.mean(score[:, None] > score),
        "Pair a positive with a negative",
    ),
    (
        lesson_06.auc,
        lambda label, score: np.mean(
            [a > b for a, b in zip(score[label], score[~label], strict=False)]
        ),
        "every one of them",
    ),
    (
        lesson_06.ten_pointings,
        lesson_06.ten_pointings.reference() | {"TP": 5, "FN": 1, "FP": 2, "TN": 2},
        "took quiet for positive",
    ),
    (
        lesson_06.mean_cost,
        lambda y, s, t, a, b: [a * np.mean((s >= x) & ~y) for x in t],
        "nothing is called",
    ),
    (lesson_06.reliability, on_the_edge_below, "bin above"),
    (lesson_06.ten_pointings, {**TEN, "FN": 1, "FP": 2}, "FN and FP are swapped"),
    (lesson_06.ten_pointings, {**TEN, "TP": 5, "TN": 2}, "TP and TN are swapped"),
    (lesson_06.ten_pointings, {**TEN, "TN": 6}, "exactly one box"),
    (lesson_06.ten_pointings, {**TEN, "TN": 4, "TP": 3}, "Count TP and TN again"),
    (lesson_06.ten_pointings, {**TEN, "recall": 0.67, "precision": 0.5}, "precision are swapped"),
    (lesson_06.ten_pointings, {**TEN, "F": 0.583}, "harmonic"),
    (lesson_06.ten_pointings, {**TEN, "recall": 50}, "per cent"),
    (lesson_06.ten_pointings, {**TEN, "specificity": 0.714}, "all that are quiet"),
    (lesson_06.ten_pointings, {**TEN, "precision": 0.2}, "See its formula"),
    (lesson_06.ten_pointings, {**TEN, "precision": ...}, "no answer yet"),
    (lesson_06.rates, zeros_for_nan, "give nan"),
    (lesson_06.rates, f_from_the_means, "from the counts"),
    (lesson_06.rates, lambda y, c: [R(y, c)[k] for k in (2, 1, 0, 3)], "their order"),
    (
        lesson_06.rates,
        lambda y, c: (R(y, c)[0], np.mean(y == c), *R(y, c)[2:]),
        "the accuracy",
    ),
    (
        lesson_06.rates,
        lambda y, c: (R(y, c)[0], 1 - R(y, c)[1], *R(y, c)[2:]),
        "rate of false alarms",
    ),
    (
        lesson_06.rates,
        lambda y, c: (*R(y, c)[:3], (R(y, c)[0] + R(y, c)[2]) / 2),
        "harmonic",
    ),
    (lesson_06.rates, lambda y, c: (*R(y, c)[:3], R(y, c)[3] / 2), "factor of 2"),
    (lesson_06.rates, lambda y, c: (0.5, *R(y, c)[1:]), "your recall differs"),
    (lesson_06.rates, lambda y, c: R(y, c)[0], "four numbers"),
    (lesson_06.auc, lambda y, s: 1 - auc_by_ranks(y, s), "one minus"),
    (lesson_06.auc, lambda y, s: np.mean(s[y][:, None] > s[~y]), "undecided"),
    (lesson_06.auc, lambda y, s: np.mean(s[y][:, None] >= s[~y]), "a win"),
    (lesson_06.auc, lambda y, s: np.sum(s[y][:, None] > s[~y]), "number of pairs"),
    (
        lesson_06.auc,
        lambda y, s: np.sum(s[y][:, None] > s[~y]) / y.size**2,
        "one positive with one",
    ),
    (lesson_06.auc, lambda y, s: np.mean((s > 0.5) == y), "in order"),
    (lesson_06.precision_at, lambda r, s, p: r * p / (r * p + s * (1 - p)), "called quiet"),
    (lesson_06.precision_at, lambda r, s, p: r / (r + 1 - s) + 0 * p, "one half"),
    (lesson_06.precision_at, lambda r, s, p: r * p, "share of all pointings that are hits"),
    (lesson_06.precision_at, lambda r, s, p: r * p + (1 - s) * (1 - p), "which part"),
    (lesson_06.precision_at, lambda r, s, p: P(s, r, 1 - p), "we ask for the alarms"),
    (lesson_06.precision_at, lambda r, s, p: 0.5, "of 10 000 pointings"),
    (lesson_06.precision_at, lambda r, s, p: float(P(r, s, p)), "an array of them"),
    (lesson_06.reliability, reliability_that_loses_the_last, "exactly 1 is lost"),
    (lesson_06.reliability, reliability_of_the_middles, "not its middle"),
    (lesson_06.reliability, reliability_with_zeros, "nan for both"),
    (lesson_06.reliability, reliability_without_the_empty, "keep its place"),
    (lesson_06.reliability, reliability_swapped, "Forecast first"),
    (lesson_06.reliability, reliability_in_numbers, "numbers of positives"),
    (lesson_06.reliability, lambda y, s, e: lesson_06._reliability(y, s, e)[:2], "three arrays"),
    (
        lesson_06.mean_cost,
        lambda y, s, t, fp, fn: cost_by_sums(y, s, t, fn, fp),
        "prices are swapped",
    ),
    (lesson_06.mean_cost, lambda *a: cost_by_sums(*a) * len(a[0]), "all pointings together"),
    (
        lesson_06.mean_cost,
        lambda y, s, t, fp, fn: fp * np.mean((s >= t) & ~y) + fn * np.mean((s < t) & y),
        "one by one",
    ),
    (lesson_06.mean_cost, cost_of_the_strict, ">= and not >"),
    (lesson_06.mean_cost, cost_with_hits, "charge hits"),
    (lesson_06.mean_cost, cost_of_rates, "within each class"),
    (lesson_06.mean_cost, lambda y, s, t, fp, fn: np.full(len(t), fp), "does not depend"),
    (lesson_06.mean_cost, lambda y, s, t, fp, fn: np.asarray(t) * fp, "everything is called"),
    (lesson_06.choice, changed(lesson_06.choice.reference(), five_nights="recall"), "committee"),
    (lesson_06.choice, changed(lesson_06.choice.reference(), a_filter="precision"), "repair"),
]
