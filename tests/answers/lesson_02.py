"""Answers to the exercises of lesson 02: other right routes, and wrong ones that no table holds."""

import numpy as np
import pandas as pd
from scipy.stats import median_abs_deviation

from answers import changed
from course.checks import lesson_02


def rates_in_a_loop(table):
    rows = zip(table["rate"], table["rate_err"], table["n_det"], strict=True)
    return np.array([(rate / n, error / n) for rate, error, n in rows]).T


def rates_as_a_table(table):
    return table[["rate", "rate_err"]].div(table.n_det, axis=0)


def sources_by_merge(table, generator):
    names = table["source_id"].unique()
    drawn = pd.DataFrame({"source_id": generator.choice(names, len(names))})
    return drawn.merge(table, on="source_id")


def sources_by_integers(table, generator):
    names = np.unique(table["source_id"])
    rows = [
        np.flatnonzero(table["source_id"] == names[k])
        for k in generator.integers(len(names), size=len(names))
    ]
    return table.iloc[np.concatenate(rows)]


def sources_by_index(table, generator):
    names = table.source_id.unique()
    return table.set_index("source_id").loc[generator.choice(names, len(names))].reset_index()


def robust_z_by_scipy(values):
    spread = median_abs_deviation(values, scale="normal", nan_policy="omit")
    return (values.to_numpy() - np.nanmedian(values)) / spread


def robust_z_of_what_is_there(values):
    there = values.dropna().astype("float32")
    distance = there - there.median()
    return (distance / distance.abs().median() * 0.6745).reindex(values.index)


def alone_by_all_pairs(table, by):
    days = []
    for k in range(len(table)):
        same = (table[by] == table[by][k]) & (table.index != k)
        days.append(np.min(np.abs(table.mjd[same] - table.mjd[k])))
    return days


def alone_by_group(table, by):
    days = np.empty(len(table))
    for _, own in table.groupby(by):
        gaps = np.concatenate([[np.nan], np.diff(own.mjd), [np.nan]])
        days[own.index] = np.fmin(gaps[:-1], gaps[1:])
    return days


def alone_with_index(table, by):
    ends = [own.mjd.diff().combine(-own.mjd.diff(-1), np.fmin) for _, own in table.groupby(by)]
    return pd.concat(ends)


def baseline_by_hand(labels, sources):
    names, counts = np.unique(labels, return_counts=True)
    right = labels.to_numpy() == names[np.argmax(counts)]
    return [right.mean(), np.mean([right[sources == name].mean() for name in set(sources)])]


OTHER_ROUTES = [
    (lesson_02.per_detector, lambda t: (t[k] / t.n_det for k in ("rate", "rate_err"))),
    (lesson_02.per_detector, rates_in_a_loop),
    (lesson_02.per_detector, rates_as_a_table),
    (lesson_02.resample_sources, sources_by_merge),
    (lesson_02.resample_sources, sources_by_integers),
    (lesson_02.resample_sources, sources_by_index),
    (lesson_02.resample_sources, lambda *given: sources_by_integers(*given).reset_index()),
    (lesson_02.robust_z, robust_z_by_scipy),
    (lesson_02.robust_z, robust_z_of_what_is_there),
    (lesson_02.days_alone, alone_by_all_pairs),
    (lesson_02.days_alone, alone_by_group),
    (lesson_02.days_alone, alone_with_index),
    (lesson_02.baseline, baseline_by_hand),
    (lesson_02.baseline, lambda *given: pd.Series(baseline_by_hand(*given), ["rows", "sources"])),
]


def names_of(table, generator, replace=True, n=None):
    names = table.source_id.unique()
    return generator.choice(names, n or len(names), replace=replace)


def stacked(table, names):
    rows = dict(list(table.groupby("source_id")))
    return pd.concat([rows[name] for name in names])


def named_anew(table, generator):
    names = enumerate(names_of(table, generator))
    return pd.concat([table[table.source_id == n].assign(source_id=f"{n}_{k}") for k, n in names])


WRONG_SOURCES = {
    "names of sources, not rows": lambda t, g: t.iloc[g.integers(len(t), size=len(t))],
    "must bring its rows twice": lambda t, g: t[t.source_id.isin(names_of(t, g))],
    "with replacement": lambda t, g: stacked(t, names_of(t, g, replace=False)),
    "yours made 48": lambda t, g: stacked(t, names_of(t, g, n=48)),
    "yours made 6": lambda t, g: stacked(t, names_of(t, g, n=t.source_id.nunique() - 1)),
    "The same draw": lambda t, g: stacked(t, names_of(t, np.random.default_rng(1))),
    "Equal generators": lambda t, g: stacked(t, names_of(t, np.random.default_rng())),
    "the same chance": lambda t, g: stacked(t, g.choice(t.source_id, t.source_id.nunique())),
    "Expected a table": names_of,
    "lacks the column": lambda t, g: stacked(t, names_of(t, g)).drop(columns="source_id"),
    "as it is there": named_anew,
}
WRONG = [
    (lesson_02.per_detector, lambda t: t.rate / t.n_det, "2 things"),
    (lesson_02.per_detector, lambda t: (t.rate / t.n_det**2, t.rate_err / t.n_det), "net rate of"),
    *((lesson_02.resample_sources, wrong, hint) for hint, wrong in WRONG_SOURCES.items()),
    (lesson_02.reasons, changed(lesson_02.reasons.reference(), kt_in="nothing there"), "the disc"),
    (lesson_02.reasons, changed(lesson_02.reasons.reference(), lag_1_10="not there"), "one of"),
    (lesson_02.robust_z, lambda x: x - x.median() + 1, "where you find"),
    (lesson_02.days_alone, lambda t, by: t.mjd - t.mjd[0] + 1, "nearest other one is"),
    (lesson_02.days_alone, lambda *given: np.nan_to_num(alone_by_group(*given)), "NaN there"),
    (lesson_02.baseline, lambda x, s: (0.44, 0.42), "where you find"),
    (lesson_02.baseline, lambda x, s: (0.5, 0.4, 0.3), "2 things"),
    (lesson_02.findings, changed(lesson_02.findings.reference(), pointings_of="metric"), "Monday"),
    (lesson_02.findings, changed(lesson_02.findings.reference(), a_few="split"), "you weigh it"),
]
