"""Answers to the exercises of lesson 02: other right routes, and wrong ones with their hints."""

import numpy as np
import pandas as pd
from scipy.stats import median_abs_deviation

from answers import changed
from course.checks import lesson_02


def rates_in_a_loop(table):
    rows = zip(table["rate"], table["rate_err"], table["n_det"], strict=True)
    return np.array([(rate / n, error / n) for rate, error, n in rows]).T


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


def robust_z_by_scipy(values):
    spread = median_abs_deviation(values, scale="normal", nan_policy="omit")
    return (values.to_numpy() - np.nanmedian(values)) / spread


def alone_by_all_pairs(table, by):
    days = []
    for k in range(len(table)):
        same = (table[by] == table[by][k]) & (table.index != k)
        days.append(np.min(np.abs(table.mjd[same] - table.mjd[k])))
    return days


def alone_by_group(table, by):
    days = np.empty(len(table))
    for _, own in table.groupby(by):
        gaps = np.concatenate([[np.inf], np.diff(own.mjd), [np.inf]])
        days[own.index] = np.minimum(gaps[:-1], gaps[1:])
    return days


def baseline_by_hand(labels, sources):
    names, counts = np.unique(labels, return_counts=True)
    right = labels.to_numpy() == names[np.argmax(counts)]
    return [right.mean(), np.mean([right[sources == name].mean() for name in set(sources)])]


OTHER_ROUTES = [
    (lesson_02.per_detector, rates_in_a_loop),
    (lesson_02.resample_sources, sources_by_merge),
    (lesson_02.resample_sources, sources_by_integers),
    (lesson_02.robust_z, robust_z_by_scipy),
    (lesson_02.days_alone, alone_by_all_pairs),
    (lesson_02.days_alone, alone_by_group),
    (lesson_02.baseline, baseline_by_hand),
]


def names_of(table, generator, replace=True, n=None):
    names = table.source_id.unique()
    return generator.choice(names, n or len(names), replace=replace)


def stacked(table, names):
    return pd.concat([table[table.source_id == name] for name in names])


def plain_z(values):
    return (values - values.mean()) / values.std()


def mad(values):
    return (values - values.median()).abs().median()


def neighbours(table, by):
    mjd = table.groupby(by).mjd
    return table.mjd - mjd.shift(1), mjd.shift(-1) - table.mjd


def most_frequent(labels):
    return labels.value_counts().index[0]


WRONG = [
    (lesson_02.per_detector, lambda t: (t.rate, t.rate_err), "all detectors together"),
    (lesson_02.per_detector, lambda t: t.rate / t.n_det, "two things"),
    (lesson_02.per_detector, lambda t: (t.rate * t.n_det, t.rate_err * t.n_det), "divide"),
    (lesson_02.per_detector, lambda t: (t.rate / 5, t.rate_err / 5), "Not all five"),
    (lesson_02.per_detector, lambda t: (t.rate / t.n_det, t.rate_err), "its error is still"),
    (
        lesson_02.per_detector,
        lambda t: (t.rate / t.n_det, t.rate_err / np.sqrt(t.n_det)),
        "The root belongs",
    ),
    (
        lesson_02.per_detector,
        lambda t: (t.rate / t.n_det, np.sqrt(t.rate / t.n_det)),
        "is measured",
    ),
    (lesson_02.per_detector, lambda t: (t.rate_err / t.n_det, t.rate / t.n_det), "rate first"),
    (
        lesson_02.per_detector,
        lambda t: (t.rate / t.n_det**2, t.rate_err / t.n_det),
        "in one; yours",
    ),
    (
        lesson_02.per_detector,
        lambda t: (t.rate / t.n_det, t.rate_err**2),
        "what happens to its error",
    ),
    (
        lesson_02.resample_sources,
        lambda t, g: t.iloc[g.integers(len(t), size=len(t))],
        "names of sources, not rows",
    ),
    (
        lesson_02.resample_sources,
        lambda t, g: t.sample(frac=1, replace=True, random_state=g),
        "names of sources, not rows",
    ),
    (
        lesson_02.resample_sources,
        lambda t, g: t[t.source_id.isin(names_of(t, g))],
        "must bring its rows twice",
    ),
    (
        lesson_02.resample_sources,
        lambda t, g: stacked(t, names_of(t, g, replace=False)),
        "with replacement",
    ),
    (lesson_02.resample_sources, lambda t, g: stacked(t, names_of(t, g, n=48)), "draws are wanted"),
    (
        lesson_02.resample_sources,
        lambda t, g: stacked(t, names_of(t, np.random.default_rng(1))),
        "the same sources every time",
    ),
    (
        lesson_02.resample_sources,
        lambda t, g: stacked(t, names_of(t, np.random.default_rng())),
        "another sky",
    ),
    (
        lesson_02.resample_sources,
        lambda t, g: stacked(t, g.choice(t.source_id, t.source_id.nunique())),
        "the same chance",
    ),
    (lesson_02.resample_sources, lambda t, g: names_of(t, g), "Expected a table"),
    (
        lesson_02.reasons,
        changed(lesson_02.reasons.reference(), kt_in="nothing there"),
        "the disc is there",
    ),
    (
        lesson_02.reasons,
        {
            **lesson_02.reasons.reference(),
            "qpo_freq, in a soft state of 3000/s in each detector": "too faint",
        },
        "photons abound",
    ),
    (lesson_02.robust_z, plain_z, "usual z-score"),
    (lesson_02.robust_z, lambda x: (x - x.mean()) / x.std(ddof=0), "usual z-score"),
    (lesson_02.robust_z, lambda x: (x - x.median()) / x.std(), "ruler that bends"),
    (lesson_02.robust_z, lambda x: (x - x.median()) / mad(x), "1.4826"),
    (lesson_02.robust_z, lambda x: 1.4826 * (x - x.median()) / mad(x), "in the denominator"),
    (lesson_02.robust_z, lambda x: (x - x.median()).abs() / (1.4826 * mad(x)), "Keep the sign"),
    (
        lesson_02.robust_z,
        lambda x: (x - np.median(x)) / (1.4826 * np.median(np.abs(x - np.median(x)))),
        "all is NaN",
    ),
    (
        lesson_02.robust_z,
        lambda x: ((x - x.median()) / (1.4826 * mad(x))).fillna(0),
        "A gap must stay a gap",
    ),
    (lesson_02.robust_z, lambda x: ((x - x.median()) / (1.4826 * mad(x))).dropna(), "as many"),
    (
        lesson_02.robust_z,
        lambda x: (x - x.median()) / (1.4826 * (x - x.mean()).abs().median()),
        "A mean is left",
    ),
    (
        lesson_02.robust_z,
        lambda x: (x - x.median()) / (x - x.median()).abs().mean(),
        "A mean is left",
    ),
    (lesson_02.robust_z, lambda x: (x - x.mean()) / (1.4826 * mad(x)), "at the median"),
    (lesson_02.robust_z, lambda x: (x - x.median()) / 1.4826 * mad(x), "parentheses"),
    (lesson_02.robust_z, lambda x: (x - x.median()) / (x - x.median()).median(), "modulus"),
    (lesson_02.robust_z, lambda x: x - x.median() + 1, "the largest should get"),
    (lesson_02.days_alone, lambda t, by: neighbours(t, by)[0], "only at the pointing before"),
    (
        lesson_02.days_alone,
        lambda t, by: np.fmin(neighbours(t, by)[0], -neighbours(t, by)[1]),
        "negative",
    ),
    (lesson_02.days_alone, lambda t, by: np.minimum(*neighbours(t, by)), "one neighbour only"),
    (lesson_02.days_alone, lambda t, by: t.mjd * 0, "All zero"),
    (
        lesson_02.days_alone,
        lambda t, by: np.minimum(t.mjd.diff(), -t.mjd.diff(-1)),
        "nearest pointing at any source",
    ),
    (
        lesson_02.days_alone,
        lambda t, by: neighbours(t, by)[0].fillna(1e4),
        "only at the pointing before",
    ),
    (
        lesson_02.days_alone,
        lambda t, by: neighbours(t, by)[1].fillna(1e4),
        "only at the pointing after",
    ),
    (
        lesson_02.days_alone,
        lambda t, by: np.fmin(t.mjd.diff(), -t.mjd.diff(-1)),
        "within each group",
    ),
    (
        lesson_02.days_alone,
        lambda t, by: np.fmin(*neighbours(t, "source_id")),
        "use `by`",
    ),
    (lesson_02.days_alone, lambda t, by: -np.fmin(*neighbours(t, by)), "no sign"),
    (
        lesson_02.days_alone,
        lambda t, by: np.sort(np.fmin(*neighbours(t, by))),
        "another order",
    ),
    (
        lesson_02.days_alone,
        lambda t, by: (t.mjd - t.groupby(by).mjd.transform("median")).abs() + 1,
        "nearest other pointing of row",
    ),
    (
        lesson_02.days_alone,
        lambda t, by: np.fmax(*neighbours(t, by)),
        "not the farther",
    ),
    (
        lesson_02.baseline,
        lambda x, s: (0.44, 0.42),
        "most frequent label has",
    ),
    (lesson_02.baseline, lambda x, s: (1 / x.nunique(), 1 / x.nunique()), "guessing at random"),
    (lesson_02.baseline, lambda x, s: (x.value_counts().iloc[0], 0.5), "share, from 0 to 1"),
    (
        lesson_02.baseline,
        lambda x, s: (np.mean(x == most_frequent(x)), np.mean(x == most_frequent(x))),
        "weighs sources by their rows",
    ),
    (
        lesson_02.baseline,
        lambda x, s: (
            np.mean(x == most_frequent(x)),
            x.groupby(s).agg(lambda own: np.mean(own == most_frequent(own))).mean(),
        ),
        "favourite of each source",
    ),
    (
        lesson_02.baseline,
        lambda x, s: (np.mean(x == most_frequent(x)), (x == "a").groupby(s).mean().mean()),
        "another label",
    ),
    (
        lesson_02.baseline,
        lambda x, s: lesson_02._baseline(x, s)[::-1],
        "Over rows first",
    ),
    (
        lesson_02.baseline,
        lambda x, s: (np.mean(x == most_frequent(x)), 0.5),
        "The first is right",
    ),
    (lesson_02.baseline, lambda x, s: np.mean(x == most_frequent(x)), "two things"),
    (
        lesson_02.findings,
        changed(lesson_02.findings.reference(), pointings_of="metric"),
        "Monday",
    ),
    (
        lesson_02.findings,
        changed(lesson_02.findings.reference(), hr_low="pre-processing"),
        "nothing to learn from",
    ),
    (
        lesson_02.findings,
        changed(lesson_02.findings.reference(), a_few_sources="split"),
        "counts for what",
    ),
]
