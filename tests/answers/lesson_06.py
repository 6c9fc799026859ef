"""Answers to the exercises of lesson 06: other right routes, and wrong ones that no table holds."""

from itertools import pairwise, product

import numpy as np
import pandas as pd
from sklearn import metrics

from answers import changed
from course.checks import lesson_06

TEN = lesson_06.ten_pointings.reference()
CHOICE = lesson_06.choice.reference()
rates = lesson_06.rates.reference()


def rates_by_sklearn(label, call):
    nan = {"zero_division": np.nan}
    return [
        metrics.recall_score(label, call, **nan),
        metrics.recall_score(label, call, pos_label=False, **nan),
        metrics.precision_score(label, call, **nan),
        metrics.f1_score(label, call, **nan),
    ]


def auc_by_trapezium(label, score):
    return metrics.auc(*metrics.roc_curve(label, score)[:2])


def auc_by_loop(label, score):
    pairs = list(product(score[label], score[~label]))
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)


def reliability_by_loop(label, score, edges):
    rows = []
    for low, high in pairwise(edges):
        inside = (score >= low) & ((score < high) | (high == edges[-1]))
        n = inside.sum()
        rows.append((score[inside].mean(), label[inside].mean(), n) if n else (None, None, 0))
    return list(zip(*rows, strict=True))


def reliability_by_pandas(label, score, edges):
    bins = pd.cut(np.minimum(score, 1 - 1e-9), edges, right=False)
    table = pd.DataFrame({"score": score, "label": label}).groupby(bins, observed=False)
    return table.mean().assign(n=table.size())


def cost_by_loop(label, score, thresholds, false_alarm, miss):
    costs = []
    for threshold in thresholds:
        call = score >= threshold
        costs.append(false_alarm * np.mean(call & ~label) + miss * np.mean(~call & label))
    return pd.Series(costs, index=thresholds)


OTHER_ROUTES = [
    (lesson_06.ten_pointings, {**TEN, "recall": 0.5, "specificity": 0.83, "F": 0.57}),
    (lesson_06.ten_pointings, pd.Series(TEN)),
    (lesson_06.rates, rates_by_sklearn),
    (lesson_06.auc, auc_by_trapezium),
    (lesson_06.auc, auc_by_loop),
    (lesson_06.precision_at, lambda r, s, p: 1 / (1 + (1 - s) / r * (1 - p) / p)),
    (lesson_06.reliability, reliability_by_loop),
    (lesson_06.reliability, reliability_by_pandas),
    (lesson_06.mean_cost, cost_by_loop),
]

WRONG = [
    (lesson_06.ten_pointings, {**TEN, "TP": 5, "FN": 1, "FP": 2, "TN": 2}, "quiet for positive"),
    (lesson_06.ten_pointings, {**TEN, "FN": 1, "FP": 2}, "FN and FP are swapped"),
    (lesson_06.ten_pointings, {**TEN, "TP": 5, "TN": 2}, "TP and TN are swapped"),
    (lesson_06.ten_pointings, {**TEN, "TN": 6}, "exactly one box"),
    (lesson_06.ten_pointings, {**TEN, "TN": 4, "TP": 3}, "TP is not 3."),
    (lesson_06.ten_pointings, {**TEN, "precision": 0.2}, "precision is not 0.2."),
    (lesson_06.ten_pointings, {**TEN, "precision": ...}, "no answer yet"),
    (lesson_06.ten_pointings, {**TEN, "F": None}, "NaN or None"),
    (lesson_06.rates, lambda *given: (0.5, *rates(*given)[1:]), "for recall, and you"),
    (lesson_06.auc, lambda label, score: np.mean((score > 0.5) == label), "in order"),
    (lesson_06.reliability, lambda y, s, e: reliability_by_loop(~y, s, e), "observed share"),
    (lesson_06.mean_cost, lambda label, score, t, *prices: t * prices[0], "find a cost of"),
    (lesson_06.choice, changed(CHOICE, five_nights="recall"), "committee"),
    (lesson_06.choice, changed(CHOICE, a_filter="precision"), "repair"),
]
