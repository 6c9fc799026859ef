"""Checks of lesson 18: shapes of light curves, a probe, a learning curve, partners, a contrastive loss, its content."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.linear_model import Lasso, LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score, explained_variance_score, f1_score, r2_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch.nn.functional import cross_entropy, normalize

from course.checks import forms
from course.checks.examples import by_example, same_slopes

__all__ = [
    "content",
    "info_nce",
    "labels_needed",
    "partner_rank",
    "probe",
    "shapes",
]

_SHAPES = ("percent_amplitude", "skew", "excess_variance")


def _shapes(counts):
    """A function: counts (n, n_bins) -> table with three columns, one row per light curve."""
    return _shaped()(counts)


def _percent(x, of=np.median, size=lambda d: np.abs(d).max(1), by=np.median):
    centre = of(x, axis=1)
    return size(x - centre[:, None]) / by(x, axis=1)


def _skew(x, power=3, of=np.mean, cube=lambda d: (d**3).mean(1)):
    return cube(x - of(x, axis=1)[:, None]) / x.std(1) ** power


def _excess(x, noise=lambda x: x.mean(1), by=lambda x: x.mean(1) ** 2):
    return (x.var(1) - noise(x)) / by(x)


def _shaped(first=_percent, second=_skew, third=_excess):
    """Answer exercise 18.1; other functions for its columns give mistakes."""
    return lambda counts: pd.DataFrame(
        dict(zip(_SHAPES, (part(counts) for part in (first, second, third)), strict=True))
    )


def _some_curves():
    """Return skewed curves with dips and flares: the largest deviation is below the median in some."""
    generator, questions = np.random.default_rng(181), []
    for n, n_bins, mean, rms in ((30, 600, 40.0, 0.3), (12, 500, 15.0, 0.5), (20, 800, 90.0, 0.15)):
        rate = np.exp(rms * generator.standard_normal((n, n_bins)))
        rate[::2] = 2 / (1 + rate[::2] ** 2)
        rate[::4, 20:30] *= 0.05
        questions.append((generator.poisson(mean * rate).astype(float),))
    steady = generator.poisson(8.0, (16, 300)).astype(
        float
    )  # half of these have an excess below zero
    return [*questions, (steady,)]


shapes = by_example(
    "Exercise 18.1",
    _shapes,
    _some_curves,
    {
        "One row per light curve: the means go over its bins, axis=1.": [
            lambda c: _shaped()(c.T),
            lambda c: _shaped()(c.reshape(1, -1)),
        ],
        "A number for each row is subtracted from its row if it has a second dimension: keepdims=True.": (
            lambda c: _shaped(lambda x: np.abs(x - np.median(x, axis=1)).max(1))(c)
        ),
        "percent_amplitude is the largest deviation from the *median*.": [
            _shaped(lambda x: _percent(x, of=np.mean, by=np.mean)),
            _shaped(lambda x: _percent(x, of=np.mean)),
        ],
        "percent_amplitude is divided by the median.": [
            _shaped(lambda x: _percent(x, by=np.mean)),
            _shaped(lambda x: _percent(x, by=np.std)),
            _shaped(lambda x: _percent(x, by=lambda *_, **__: 1.0)),
        ],
        "A dip is a deviation, too: take the largest |x - median|.": _shaped(
            lambda x: _percent(x, size=lambda d: d.max(1))
        ),
        "A flare is a deviation, too: take the largest |x - median|.": _shaped(
            lambda x: _percent(x, size=lambda d: -d.min(1))
        ),
        "The largest deviation, not the mean one.": [
            _shaped(lambda x: _percent(x, size=lambda d: np.abs(d).mean(1))),
            _shaped(lambda x: _percent(x, size=lambda d: np.median(np.abs(d), axis=1))),
        ],
        "Subtract the median before you look for the largest.": _shaped(
            lambda x: x.max(1) / np.median(x, axis=1)
        ),
        "A range is no deviation from the median; percent_amplitude is the largest |x - median| / median.": [
            _shaped(lambda x: np.ptp(x, axis=1) / 2),
            _shaped(lambda x: np.ptp(x, axis=1) / 2 / np.median(x, axis=1)),
            _shaped(lambda x: np.ptp(x, axis=1) / np.median(x, axis=1)),
        ],
        "Each light curve has its own median, mean and σ: axis=1.": [
            _shaped(lambda x: np.abs(x - np.median(x)).max(1) / np.median(x)),
            _shaped(second=lambda x: ((x - x.mean(1)[:, None]) ** 3).mean(1) / x.std() ** 3),
            _shaped(second=lambda x: ((x - x.mean()) ** 3).mean(1) / x.std() ** 3),
            _shaped(third=lambda x: (x.var(1) - x.mean()) / x.mean() ** 2),
        ],
        "That is in per cent; leave it a fraction.": _shaped(lambda x: 100 * _percent(x)),
        "The skew is about the *mean*: subtract it, not the median.": _shaped(
            second=lambda x: _skew(x, of=np.median)
        ),
        "That compares mean and median; the skew is a mean of cubes.": [
            _shaped(second=lambda x: (x.mean(1) - np.median(x, axis=1)) / x.std(1)),
            _shaped(second=lambda x: 3 * (x.mean(1) - np.median(x, axis=1)) / x.std(1)),
        ],
        "The skew has a sign, below zero where dips are larger than flares: no absolute value.": [
            _shaped(second=lambda x: np.abs(_skew(x))),
            _shaped(second=lambda x: _skew(x, cube=lambda d: (np.abs(d) ** 3).mean(1))),
        ],
        "First the cubes, then their mean: without the cube, deviations from the mean cancel.": _shaped(
            second=lambda x: _skew(x, cube=lambda d: d.mean(1) ** 3)
        ),
        "The mean of the cubes, not their sum.": _shaped(
            second=lambda x: _skew(x, cube=lambda d: (d**3).sum(1))
        ),
        "The skew is without unit: divide the mean cube by σ³.": [
            _shaped(second=lambda x: _skew(x, 0)),
            _shaped(second=lambda x: _skew(x, 1)),
            _shaped(second=lambda x: _skew(x, 2)),
            _shaped(second=lambda x: _skew(x, 6)),
            _shaped(second=lambda x: _skew(x, 0) / x.mean(1) ** 3),
        ],
        "The fourth power would give the kurtosis; the skew is a mean cube.": [
            _shaped(second=lambda x: _skew(x, 4, cube=lambda d: (d**4).mean(1))),
            _shaped(second=lambda x: _skew(x, 4, cube=lambda d: (d**4).mean(1)) - 3),
        ],
        "Photons scatter, too: subtract their variance, which is the mean of the counts.": [
            _shaped(third=lambda x: _excess(x, noise=lambda x: 0.0)),
            _shaped(third=lambda x: np.sqrt(_excess(x, noise=lambda x: 0.0))),
            _shaped(third=lambda x: _excess(x, noise=lambda x: 0.0) - 1),
        ],
        "Photons scatter by √mean; their *variance* is the mean, and is subtracted from a variance.": [
            _shaped(third=lambda x: _excess(x, noise=lambda x: np.sqrt(x.mean(1)))),
            _shaped(third=lambda x: (x.std(1) - x.mean(1)) / x.mean(1) ** 2),
            _shaped(third=lambda x: (x.std(1) - np.sqrt(x.mean(1))) / x.mean(1)),
        ],
        "The variance of photons is the *mean* of the counts, and so is the unit: no median here.": [
            _shaped(third=lambda x: _excess(x, noise=lambda x: np.median(x, axis=1))),
            _shaped(
                third=lambda x: _excess(
                    x, lambda x: np.median(x, axis=1), lambda x: np.median(x, axis=1) ** 2
                )
            ),
        ],
        "Divide the excess variance by the mean *squared*: otherwise it grows with the brightness.": [
            _shaped(third=lambda x: _excess(x, by=lambda x: x.mean(1))),
            _shaped(third=lambda x: _excess(x, by=lambda x: 1.0)),
        ],
        "That is the share of the variance that photons do not explain; divide by the squared mean.": _shaped(
            third=lambda x: _excess(x, by=lambda x: x.var(1))
        ),
        "The other way round: the variance, *less* that of the photons.": _shaped(
            third=lambda x: -_excess(x)
        ),
        "That is the fractional rms; leave out the root, which a negative excess does not have.": [
            _shaped(third=lambda x: np.sqrt(_excess(x))),
            _shaped(third=lambda x: np.sqrt(_excess(x).clip(min=0))),
            _shaped(third=lambda x: np.sqrt(np.abs(_excess(x)))),
        ],
        "An excess below zero is a measurement: do not cut it at zero, and leave its sign.": [
            _shaped(third=lambda x: _excess(x).clip(min=0)),
            _shaped(third=lambda x: np.where(_excess(x) > 0, _excess(x), np.nan)),
            _shaped(third=lambda x: np.abs(_excess(x))),
        ],
    },
    returns=forms.table("a table with three columns", lambda counts: _SHAPES),
    otherwise="In the column {part} we find {ours} for a light curve, and you {yours}.",
    rtol=1e-2,  # n or n - 1, and G₁ of small samples
    atol=1e-3,
)


def _probe(model, z, table, held_out):
    """A function: model, features (n, d), table (n,), names of sources -> balanced accuracy."""
    return _probed()(model, z, table, held_out)


def _probed(
    learn=lambda read, outside: read & ~outside,
    judge=lambda read, outside: outside,
    label="label",
    truth="state",
    score=balanced_accuracy_score,
):
    """Answer exercise 18.2; other values of the options give mistakes."""

    def answer(model, z, table, held_out):
        outside = table.source_id.isin(held_out).to_numpy()
        read = (table.label != "").to_numpy()
        first, then = learn(read, outside), judge(read, outside)
        said = clone(model).fit(z[first], table[label][first]).predict(z[then])
        with warnings.catch_warnings(action="ignore"):  # of mistakes, which may call a class ""
            return score(table[truth][then], said)

    return answer


def _right(truth, said):
    return np.mean(said == truth)


def _some_sources():
    """Return rare classes, wrong labels, rows that nobody read, and features that know the source."""
    generator, questions = np.random.default_rng(182), []
    models = (
        LogisticRegression(max_iter=500),
        KNeighborsClassifier(5),
        DecisionTreeClassifier(max_depth=4, random_state=0),
    )
    for model, n, n_features in zip(models, (500, 420, 460), (4, 3, 5), strict=True):
        source = generator.integers(0, 12, n)
        state = generator.choice(3, n, p=(0.6, 0.25, 0.15))
        z = (
            generator.normal(size=(n, n_features))
            + 2.0 * generator.normal(size=(12, n_features))[source]
        )
        z[:, :2] += 2 * np.array([[0, 0], [1, 0], [0, 1]])[state]
        label = np.where(generator.random(n) < 0.15, generator.integers(0, 3, n), state)
        names = np.array(["hard", "intermediate", "soft"])
        table = pd.DataFrame(
            {
                "source_id": np.array([f"S{k:02d}" for k in range(12)])[source],
                "label": np.where(generator.random(n) < 0.5, names[label], ""),
                "state": names[state],
            }
        )
        held_out = np.array([f"S{k:02d}" for k in generator.permutation(12)[:5]])
        questions.append((model, z, table, held_out))
    return questions


probe = by_example(
    "Exercise 18.2",
    _probe,
    _some_sources,
    {
        "Turned round: `held_out` are the sources to judge by, and the others those to learn from.": [
            _probed(
                learn=lambda read, outside: read & outside, judge=lambda read, outside: ~outside
            ),
            _probed(
                learn=lambda read, outside: read & outside,
                judge=lambda read, outside: read & ~outside,
            ),
            _probed(learn=lambda read, outside: outside, judge=lambda read, outside: ~outside),
        ],
        "Your model learns from sources that it is judged by: leave out the rows of `held_out`.": [
            _probed(learn=learn, label=label, truth=truth, score=score)
            for learn in (
                lambda read, outside: read,
                lambda read, outside: np.ones_like(read),
                lambda read, outside: read & outside,
            )
            for label in ("label", "state")
            for truth in ("state", "label")
            for score in (
                balanced_accuracy_score,
                _right,
                lambda t, s: balanced_accuracy_score(s, t),
            )
        ],
        'Nobody has read these rows: where the label is "", there is nothing to learn.': [
            _probed(learn=lambda read, outside: ~outside),
            _probed(learn=lambda read, outside: ~outside, truth="label"),
            _probed(learn=lambda read, outside: ~outside, score=_right),
        ],
        "The model learns from the column `state`, the truth; it may only know what a reader said: `label`.": [
            _probed(label="state"),
            _probed(label="state", learn=lambda read, outside: ~outside),
        ],
        "You judge by what the reader said; ask the truth, `state`.": [
            _probed(truth="label"),
            _probed(truth="label", judge=lambda read, outside: outside & read),
        ],
        "Judge *all* rows of the held-out sources, read or not.": _probed(
            judge=lambda read, outside: outside & read
        ),
        "Those are the rows that it has learned from; ask it about the held-out sources.": [
            _probed(judge=lambda read, outside: read & ~outside),
            _probed(judge=lambda read, outside: ~outside),
            _probed(judge=lambda read, outside: np.ones_like(read)),
        ],
        "That is the share of right answers, which rare states hardly change; lesson 03 has the *balanced* accuracy.": [
            _probed(score=_right),
            _probed(score=_right, judge=lambda read, outside: outside & read),
            _probed(score=_right, judge=lambda read, outside: outside & read, truth="label"),
        ],
        "That counts errors; return the share that is right.": _probed(
            score=lambda truth, said: 1 - balanced_accuracy_score(truth, said)
        ),
        "That is 0 for a guess, by `adjusted`; the balanced accuracy of a guess among three is 1/3.": _probed(
            score=lambda truth, said: balanced_accuracy_score(truth, said, adjusted=True)
        ),
        "That is an F1 score; the balanced accuracy is a mean of recalls.": _probed(
            score=lambda truth, said: f1_score(truth, said, average="macro")
        ),
        "Train the `model` that you are given, not one of your own.": lambda model, *given: _probe(
            LogisticRegression(max_iter=2000), *given
        ),
        "`model` has its own scaling, where it needs one: give it `z` as it is.": [
            lambda model, *given: _probe(make_pipeline(StandardScaler(), model), *given),
            lambda model, z, *given: _probe(model, (z - z.mean(0)) / z.std(0), *given),
        ],
        "Truth first, prediction second: balanced accuracy is the mean recall of the *true* classes.": _probed(
            score=lambda truth, said: balanced_accuracy_score(said, truth)
        ),
        "As a fraction, not in per cent.": _probed(
            score=lambda truth, said: 100 * balanced_accuracy_score(truth, said)
        ),
    },
    returns=forms.number("a balanced accuracy"),
    otherwise="We find a balanced accuracy of {ours} and you {yours}. Who may the model learn from, what, and who "
    "judges it?",
)


def _labels_needed(labels, scores, wanted):
    """A function: numbers of labels (n,), scores (n,), a score -> labels at which it is first reached, or NaN."""
    return _crossing()(labels, scores, wanted)


def _crossing(
    scale=np.log10,
    back=lambda x: 10.0**x,
    which=0,
    between=True,
    of_score=lambda x: x,
    reached=np.greater_equal,
):
    """Answer exercise 18.3; other values of the options give mistakes."""

    def answer(labels, scores, wanted):
        if reached(scores[0], wanted):
            return float(labels[0])
        crossed = np.flatnonzero(~reached(scores[:-1], wanted) & reached(scores[1:], wanted))
        if not len(crossed):
            return np.nan
        k = crossed[which]
        if not between:
            return float(labels[k + 1])
        if between == "before":
            return float(labels[k])
        if between == "middle":
            return float(np.sqrt(labels[k] * labels[k + 1]))
        lower, upper, aim = (of_score(x) for x in (scores[k], scores[k + 1], wanted))
        share = (aim - lower) / (upper - lower)
        x = scale(labels[k]) + share * (scale(labels[k + 1]) - scale(labels[k]))
        return float(back(x))

    return answer


def _otherwise(never=None, at_once=None):
    """Make a mistake at the ends of the curve only."""

    def answer(labels, scores, wanted):
        if never is not None and max(scores) < wanted:
            return never(labels)
        if at_once is not None and scores[0] >= wanted:
            return at_once(labels)
        return _labels_needed(labels, scores, wanted)

    return answer


def _rounded(to):
    """Make a mistake of the right answer: its number is rounded."""
    return lambda *given: to(_labels_needed(*given))


def _between_last(labels, scores, wanted):
    """Interpolate between a point and the one before, which is the last one for the first."""
    if max(scores) < wanted:
        return np.nan
    k = np.argmax(scores >= wanted)
    share = (wanted - scores[k - 1]) / (scores[k] - scores[k - 1])
    return np.exp(np.log(labels[k - 1]) + share * np.log(labels[k] / labels[k - 1]))


def _sorted_between_last(labels, scores, wanted):
    """Give the same piece to np.interp, whose scores then fall."""
    if max(scores) < wanted:
        return np.nan
    k = np.argmax(scores >= wanted)
    return np.exp(np.interp(wanted, scores[[k - 1, k]], np.log(labels[[k - 1, k]])))


def _turned_interp(labels, scores, wanted):
    """Take labels and scores for each other in np.interp, on the right piece."""
    reached = np.flatnonzero(scores >= wanted)
    if not len(reached):
        return np.nan
    part = slice(max(reached[0] - 1, 0), reached[0] + 1)
    return np.interp(wanted, np.log(labels[part]), scores[part])


def _some_learning_curves():
    labels = np.array([5.0, 15.0, 50.0, 150.0, 450.0])
    fewer = np.array([10.0, 20.0, 80.0, 640.0, 900.0])
    rising, bumpy = np.array([0.42, 0.51, 0.66, 0.72, 0.75]), np.array([0.4, 0.66, 0.5, 0.52, 0.6])
    return [
        (labels, rising, 0.6),
        (labels, rising, 0.8),
        (fewer, bumpy, 0.65),
        (labels[:4], rising[1:], 0.5),
        (2 * labels, np.array([0.5, 0.7, 0.55, 0.71, 0.6]), 0.69),
        (fewer, bumpy, 0.66),  # a peak that is just as high
    ]


labels_needed = by_example(
    "Exercise 18.3",
    _labels_needed,
    _some_learning_curves,
    {
        "Interpolate in the logarithm of the number: from 5 to 15 is as far as from 50 to 150.": _crossing(
            scale=lambda x: x, back=lambda x: x
        ),
        "That is the logarithm; return the number of labels.": [
            _crossing(back=lambda x: x),
            _crossing(scale=np.log, back=lambda x: x),
            _crossing(scale=np.log2, back=lambda x: x),
        ],
        "You take the logarithm to one base, and its inverse to another.": [
            _crossing(back=np.exp),
            _crossing(scale=np.log),
            _crossing(scale=np.log2, back=np.exp),
        ],
        "The logarithm is that of the number alone; the scores stay as they are.": [
            _crossing(of_score=np.log),
            _crossing(scale=lambda x: x, back=lambda x: x, of_score=np.log),
        ],
        "Leave it unrounded: the table rounds.": [
            *(_rounded(to) for to in (np.round, np.ceil, np.floor)),
            _rounded(lambda x: np.round(x, 1)),
        ],
        "A score that is just equal to the wanted one has reached it.": _crossing(
            reached=np.greater
        ),
        "np.interp(x, xp, fp) is given an x and finds its fp: here a score is given, and a number is asked for.": [
            _turned_interp,
            lambda *given: np.exp(_turned_interp(*given)),
            lambda labels, scores, wanted: np.interp(wanted, np.log(labels), scores),
            lambda labels, scores, wanted: np.exp(np.interp(wanted, np.log(labels), scores)),
            lambda labels, scores, wanted: np.interp(wanted, labels, scores),
        ],
        "That is a number at which somebody measured; interpolate between it and the one before.": (
            _crossing(between=False)
        ),
        "That is the number before the score is reached; interpolate between it and the next one.": (
            _crossing(between="before")
        ),
        "The middle between two numbers is not yet where the line reaches the score.": _crossing(
            between="middle"
        ),
        "The curve crosses more than once; we ask for the *first* time.": _crossing(which=-1),
        "A curve may fall again, and np.interp then answers nonsense: find the first point that reaches the score.": [
            lambda labels, scores, wanted: 10 ** np.interp(wanted, scores, np.log10(labels)),
            lambda labels, scores, wanted: np.interp(wanted, scores, labels),
            lambda labels, scores, wanted: (
                10 ** np.interp(wanted, scores, np.log10(labels), right=np.nan)
            ),
            lambda labels, scores, wanted: np.interp(wanted, scores, labels, right=np.nan),
            lambda labels, scores, wanted: (
                np.nan
                if max(scores) < wanted
                else 10 ** np.interp(wanted, np.sort(scores), np.log10(labels))
            ),
        ],
        "A score that the curve never reaches needs a number that nobody knows: NaN.": [
            _otherwise(never=lambda labels: labels[-1]),
            _otherwise(never=lambda labels: labels[0]),
            _otherwise(never=lambda labels: labels[labels < 0][0]),
            _otherwise(never=lambda labels: np.inf),
            _otherwise(never=lambda labels: 0.0),
            _otherwise(never=lambda labels: -1.0),
        ],
        "If the first point already reaches the score, return its number of labels.": [
            _otherwise(at_once=lambda labels: np.nan),
            _otherwise(at_once=lambda labels: 0.0),
            _otherwise(at_once=lambda labels: labels[1]),
            _otherwise(at_once=lambda labels: 1.0),
            _between_last,
            _sorted_between_last,
        ],
    },
    returns=forms.number("a number of labels, or NaN"),
    otherwise="For a score of {2:g} we need {ours} labels, and you {yours}.",
    rtol=1e-3,
)


def _partner_rank(a, b):
    """A function: two sets of vectors (n, d) -> rank (n,) of the partner, from 1."""
    return _ranked()(a, b)


def _ranked(likeness=lambda a, b: a @ b.T, ahead=np.greater_equal, first=0, axis=1):
    """Answer exercise 18.4; other values of the options give mistakes."""

    def answer(a, b):
        like = likeness(a, b)
        own = np.diag(like)
        own = own[:, None] if axis == 1 else own[None]
        return ahead(like, own).sum(axis) + first

    return answer


def _place(values, kind="stable"):
    """Return the place of each diagonal element in its row, by sorting twice."""
    return np.argsort(np.argsort(values, axis=1, kind=kind), axis=1).diagonal()


def _unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-9)


def _some_partners():
    """Return vectors of whole numbers, whose products are exact: equal ones are as similar as each other."""
    generator, questions = np.random.default_rng(184), []
    for n, d in ((40, 3), (25, 5), (1, 4), (6, 2)):
        a = generator.integers(-3, 4, (n, d)).astype(float)
        b = a + generator.integers(-2, 3, (n, d))
        questions.append((a, b))
    questions[-1] = (questions[-1][0], np.ones((6, 2)))  # a network that always says the same
    return questions


partner_rank = by_example(
    "Exercise 18.4",
    _partner_rank,
    _some_partners,
    {
        "Who is as similar as the partner stands before it: otherwise a network that always says the same finds every "
        "partner first.": [
            _ranked(ahead=np.greater, first=1),
            lambda a, b: _place(-(a @ b.T)) + 1,
            lambda a, b: _place(-(a @ b.T), None) + 1,
            lambda a, b: len(a) - _place(a @ b.T),
            lambda a, b: _ranked(ahead=np.greater, first=1)(a, b) / 2 + _partner_rank(a, b) / 2,
        ],
        "The best rank is 1.": [
            _ranked(first=-1),
            _ranked(ahead=np.greater),
            lambda a, b: _place(-(a @ b.T)),
            lambda a, b: _place(-(a @ b.T), None),
        ],
        "Turned round: the *most* similar vector has rank 1.": [
            _ranked(ahead=np.less_equal),
            _ranked(ahead=np.less, first=1),
            _ranked(ahead=np.less),
            lambda a, b: _place(a @ b.T),
            lambda a, b: _place(a @ b.T, None),
            lambda a, b: _place(a @ b.T) + 1,
            lambda a, b: _place(a @ b.T, None) + 1,
        ],
        "That ranks the a for each b; for each a, look among all b.": [
            _ranked(axis=0),
            _ranked(ahead=np.greater, first=1, axis=0),
        ],
        "Each row of products has a partner of its own; yours meets the partners of the other rows, too.": [
            lambda a, b: (a @ b.T >= np.diag(a @ b.T)).sum(1),
            lambda a, b: (a @ b.T > np.diag(a @ b.T)).sum(1) + 1,
            lambda a, b: (a @ b.T > np.diag(a @ b.T)).sum(1),
        ],
        "The partner is one of those that are as similar as the partner: you count it twice.": _ranked(
            first=1
        ),
        "argsort gives the vector at each place; we want the place of one vector.": [
            lambda a, b: 1 + np.argsort(-(a @ b.T), axis=1).diagonal(),
            lambda a, b: np.argsort(-(a @ b.T), axis=1).diagonal(),
            lambda a, b: np.argsort(a @ b.T, axis=1).diagonal(),
            lambda a, b: 1 + np.argsort(a @ b.T, axis=1).diagonal(),
            lambda a, b: np.argsort(-(a @ b.T), axis=1),
        ],
        "That says which vector is most similar; where does the partner stand?": [
            lambda a, b: (a @ b.T).argmax(1),
            lambda a, b: (a @ b.T).argmax(1) + 1,
            lambda a, b: np.argsort(-(a @ b.T), axis=1)[:, 0],
            lambda a, b: np.argsort(-(a @ b.T), axis=1)[:, 0] + 1,
            lambda a, b: np.argsort(a @ b.T, axis=1)[:, -1],
            lambda a, b: np.argsort(a @ b.T, axis=1)[:, 0],
        ],
        "That is how similar they are; how many rows of b are as similar as the partner, or more?": [
            lambda a, b: np.diag(a @ b.T),
            lambda a, b: a @ b.T,
        ],
        "True and False say who stands before whom, or whether the partner comes first: count them.": [
            lambda a, b: a @ b.T >= np.diag(a @ b.T)[:, None],
            lambda a, b: _partner_rank(a, b) == 1,
        ],
        "One rank for each row of a: count along one axis only.": [
            lambda a, b: (a @ b.T >= np.diag(a @ b.T)[:, None]).sum(),
            lambda a, b: np.median(_partner_rank(a, b)),
        ],
        "That is the rank as a share of all rows; return the rank.": [
            lambda a, b: _partner_rank(a, b) / len(a),
            lambda a, b: (_partner_rank(a, b) - 1) / len(a),
        ],
        "Similar is what has a large product a·b, not a small distance.": [
            _ranked(lambda a, b: -((a[:, None] - b) ** 2).sum(-1)),
            _ranked(lambda a, b: ((a[:, None] - b) ** 2).sum(-1)),
        ],
        "The product of the vectors as they are, without making them as long as 1.": _ranked(
            lambda a, b: (_unit(a) @ _unit(b).T).round(12)
        ),
        "Row i of b is the partner of row i of a: compare each a with all b, not with all a.": _ranked(
            lambda a, b: a @ a.T
        ),
    },
    returns=forms.array("a rank for each row", int),
    otherwise="A partner has the rank {ours}, and {yours} with you: how many rows of b have a product with a_i that is "
    "at least as large as the partner's?",
)


def _info_nce(a, b, temperature):
    """A function: outputs of two networks (n, d), a temperature -> a loss, one number."""
    return _contrast()(a, b, temperature)


def _contrast(
    unit=lambda x: normalize(x, dim=1),
    scale=lambda like, temperature: like / temperature,
    first=1.0,
    second=1.0,
    over=2.0,
    loss=cross_entropy,
    right=torch.arange,
    unit_of_b=None,
):
    """Answer exercise 18.5; other values of the options give mistakes."""

    def answer(a, b, temperature):
        like = scale(unit(a) @ (unit_of_b or unit)(b).T, temperature)
        own = right(len(a)).to(a.device)
        return (first * loss(like, own) + second * loss(like.T, own)) / over

    return answer


def _one_way(a, b, temperature):
    return _contrast(second=0.0, over=1.0)(a, b, temperature)


def _both_ways(like):
    own = torch.arange(len(like))
    return (cross_entropy(like, own) + cross_entropy(like.T, own)) / 2


def _without_partner(like, own):
    others = like.masked_fill(torch.eye(len(like), dtype=torch.bool), -torch.inf)
    return (others.logsumexp(1) - like.diagonal()).mean()


def _summed(like, own):
    return cross_entropy(like, own, reduction="sum")


def _some_outputs():
    generator, questions = torch.Generator().manual_seed(185), []
    for n, d, temperature in ((14, 4, 0.1), (9, 9, 0.5), (25, 3, 0.2)):
        a, noise = (torch.randn(n, d, generator=generator) for _ in range(2))
        questions.append((3 * a, a + 0.8 * noise, temperature))
    return questions


def _slopes(answer):
    """Test that both networks would learn."""
    for a, b, temperature in _some_outputs():
        a, b = a.requires_grad_(), b.requires_grad_()
        same_slopes(
            answer(a, b, temperature),
            _info_nce(a, b, temperature),
            (a, b),
            "both networks learn, so detach neither",
        )


info_nce = by_example(
    "Exercise 18.5",
    _info_nce,
    _some_outputs,
    {
        "One question is half of it: each a looks for its b, and each b for its a. Take the mean of both losses.": [
            _contrast(second=0.0, over=1.0),
            _contrast(first=0.0, over=1.0),
            _contrast(second=0.0),
            _contrast(first=0.0),
        ],
        "The mean of the two losses, not their sum.": _contrast(over=1.0),
        "Make each vector as long as 1 first, or the networks gain by long vectors.": [
            _contrast(unit=unit, **rest)
            for unit in (lambda x: x, lambda x: normalize(x, dim=1) * 3)
            for rest in ({}, {"second": 0.0, "over": 1.0}, {"over": 1.0})
        ],
        "Both a and b: the vectors of one of them are not as long as 1.": [
            _contrast(unit_of_b=lambda x: x),
            _contrast(unit=lambda x: x, unit_of_b=lambda x: normalize(x, dim=1)),
        ],
        "The length is the *root* of the sum of squares.": _contrast(
            unit=lambda x: x / x.square().sum(1, keepdim=True)
        ),
        "Each *row* gets the length 1, dim=1.": [
            _contrast(unit=unit, **rest)
            for unit in (lambda x: normalize(x, dim=0), lambda x: x / x.norm())
            for rest in ({}, {"second": 0.0, "over": 1.0})
        ],
        "Subtracting the mean is not in the recipe.": [
            _contrast(unit=lambda x: normalize(x - x.mean(0), dim=1)),
            _contrast(unit=lambda x: (x - x.mean(0)) / x.std(0)),
        ],
        "Divide by the temperature: a small one makes differences large.": [
            _contrast(scale=scale, **rest)
            for scale in (
                lambda like, temperature: like * temperature,
                lambda like, temperature: like,
            )
            for rest in ({}, {"second": 0.0, "over": 1.0})
        ],
        "The temperature itself divides, neither its root nor its square.": [
            _contrast(scale=lambda like, temperature: like / temperature**0.5),
            _contrast(scale=lambda like, temperature: like / temperature**2),
        ],
        "Both questions need the temperature.": [
            lambda a, b, t: (_one_way(a, b, t) + _one_way(b, a, 1.0)) / 2,
            lambda a, b, t: (_one_way(a, b, 1.0) + _one_way(b, a, t)) / 2,
        ],
        "The right answer for row i is i: its partner stands in the same row.": [
            _contrast(right=lambda n: torch.zeros(n, dtype=torch.long)),
            _contrast(right=lambda n: torch.ones(n, dtype=torch.long)),
            _contrast(right=lambda n: torch.arange(n).flip(0)),
        ],
        "cross_entropy wants the right answers as whole numbers.": _contrast(
            right=lambda n: torch.arange(n).float()
        ),
        "The similarities are those of each a with each b, not of a with itself.": [
            lambda a, b, t: _one_way(a, a, t),
            lambda a, b, t: _one_way(b, b, t),
            lambda a, b, t: (_one_way(a, a, t) + _one_way(b, b, t)) / 2,
        ],
        "Similar is what has a large product, not a small distance.": [
            lambda a, b, t: _both_ways(-torch.cdist(normalize(a), normalize(b)) / t),
            lambda a, b, t: _both_ways(torch.cdist(normalize(a), normalize(b)) / t),
        ],
        "All pairs at once need a matrix (n, n): each row of a times each row of b.": [
            lambda a, b, t: cross_entropy(normalize(a) * normalize(b) / t, torch.arange(len(a))),
            lambda a, b, t: cross_entropy(
                (normalize(a) * normalize(b)).sum(1) / t, torch.arange(len(a))
            ),
            lambda a, b, t: normalize(a) @ normalize(b) / t,
        ],
        "The mean over the pairs, not the sum.": [
            _contrast(loss=_summed),
            _contrast(loss=_summed, over=1.0),
            _contrast(loss=_summed, second=0.0, over=1.0),
        ],
        "cross_entropy takes the similarities as they are; softmax and logarithm are inside.": [
            _contrast(loss=lambda like, own: cross_entropy(like.softmax(1), own)),
            _contrast(loss=lambda like, own: cross_entropy(like.log_softmax(1).exp(), own)),
            _contrast(loss=lambda like, own: cross_entropy(like.exp(), own)),
        ],
        "A cross-entropy is minus the *logarithm* of the probability of the right answer.": [
            _contrast(loss=lambda like, own: -like.softmax(1).diagonal().mean()),
            _contrast(loss=lambda like, own: 1 - like.softmax(1).diagonal().mean()),
            lambda a, b, t: -(normalize(a) @ normalize(b).T / t).softmax(1).diagonal().mean(),
        ],
        "The partner belongs among the others in the sum below, so that the loss is never below zero.": [
            _contrast(loss=_without_partner),
            _contrast(loss=_without_partner, second=0.0, over=1.0),
        ],
        "That only pulls partners together, and one vector for all would do. The others belong below: cross-entropy.": [
            lambda a, b, t: -(normalize(a) * normalize(b)).sum(1).mean(),
            lambda a, b, t: -(normalize(a) * normalize(b)).sum(1).mean() / t,
            lambda a, b, t: 1 - (normalize(a) * normalize(b)).sum(1).mean(),
            lambda a, b, t: (normalize(a) - normalize(b)).square().sum(1).mean(),
        ],
        "The sign is turned: the loss falls as partners find each other.": [
            _contrast(loss=lambda like, own: -cross_entropy(like, own)),
            _contrast(loss=lambda like, own: -cross_entropy(like, own), second=0.0, over=1.0),
        ],
        "One number, please: the mean over the pairs.": [
            lambda a, b, t: cross_entropy(
                normalize(a) @ normalize(b).T / t, torch.arange(len(a)), reduction="none"
            ),
            lambda a, b, t: normalize(a) @ normalize(b).T / t,
        ],
    },
    returns=forms.tensor("a loss", number=True, gradient=True),
    otherwise="For a temperature of {2:g} we find a loss of {ours}, and you {yours}.",
    rtol=1e-3,
    then=_slopes,
)


def _content(z, targets, outside):
    """A function: embedding (n, d), table of numbers (n, m), mask (n,) of held-out rows -> R² (m,)."""
    return _known()(z, targets, outside)


def _known(
    learn=lambda outside: ~outside,
    judge=lambda outside: outside,
    score=r2_score,
    model=LinearRegression,
):
    """Answer exercise 18.6; other values of the options give mistakes."""

    def answer(z, targets, outside):
        first, then = learn(outside), judge(outside)
        found = []
        for name in targets:
            y = targets[name].to_numpy()
            said = model().fit(z[first], y[first]).predict(z[then])
            found.append(score(y[then], said))
        return np.array(found)

    return answer


def _against_training(z, targets, outside):
    """Compute R² against the mean of the rows that were learned from."""
    found = []
    for name in targets:
        y = targets[name].to_numpy()
        said = LinearRegression().fit(z[~outside], y[~outside]).predict(z[outside])
        found.append(
            1 - np.mean((y[outside] - said) ** 2) / np.mean((y[outside] - y[~outside].mean()) ** 2)
        )
    return np.array(found)


def _rival(variance):
    """Make a mistake: R² with another variance than that of the held-out rows."""

    def answer(z, targets, outside):
        of_rows = np.array([variance(y.to_numpy(), outside) for _, y in targets.items()])
        return (
            1
            - _known(score=lambda y, said: np.mean((y - said) ** 2))(z, targets, outside) / of_rows
        )

    return answer


def _best_component(z, targets, outside):
    return np.max([_content(z[:, [k]], targets, outside) for k in range(z.shape[1])], axis=0)


# Which rows a learner may take for those to learn from, and to judge by
_SETS = (
    {},
    {"judge": lambda outside: ~outside},
    {"judge": np.ones_like},
    {"learn": np.ones_like},
    {"learn": np.ones_like, "judge": np.ones_like},
    {"learn": lambda outside: outside},
    {"learn": lambda outside: outside, "judge": lambda outside: ~outside},
)


def _mean_of(**options):
    """Make a mistake: the mean over the columns."""
    return lambda *given: _known(**options)(*given).mean()


def _some_embeddings():
    """Return rows that are held out and differ from the others, so that some R² are below zero."""
    generator, questions = np.random.default_rng(186), []
    for n, d, names in (
        (300, 4, ("rate", "softness")),
        (200, 3, ("a", "b", "c")),
        (260, 6, ("x", "y")),
    ):
        z = generator.normal(size=(n, d))
        outside = generator.random(n) < 0.4
        z[outside, 0] += 1.0
        targets = pd.DataFrame(
            {
                name: 2 * k + z @ generator.normal(size=d) + (1 + k) * generator.normal(size=n)
                for k, name in enumerate(names)
            }
        )
        targets.loc[outside, names[-1]] += 3.0
        questions.append((z, targets, outside))
    return questions


def _by_column(value, given=()):
    """Form of one number for each column of the targets, in their order."""
    names = list(given[1])
    if isinstance(value, (Mapping, pd.Series)) and set(value.keys()) == set(names):
        value = [value[name] for name in names]
    found = forms.array("one R² for each column of `targets`")(value, given)
    return found.reshape(-1) if found.size == len(names) else found


content = by_example(
    "Exercise 18.6",
    _content,
    _some_embeddings,
    {
        "Learn from the rows that are *not* held out, and judge by those that are.": [
            _known(learn=lambda outside: outside, judge=lambda outside: ~outside),
            _known(learn=lambda outside: np.ones_like(outside)),
            _known(learn=lambda outside: outside),
        ],
        "Those are the rows that you learn from: everything is in an embedding then. Judge by the held-out ones.": [
            _known(judge=lambda outside: ~outside),
            _known(judge=lambda outside: np.ones_like(outside)),
        ],
        "A squared correlation forgives a wrong offset and a wrong slope; R² does not: r2_score.": _known(
            score=lambda y, said: np.corrcoef(y, said)[0, 1] ** 2
        ),
        "That is the correlation; R² compares squares.": _known(
            score=lambda y, said: np.corrcoef(y, said)[0, 1]
        ),
        "An R² below zero is an answer: worse than the mean. Leave it.": [
            _known(score=lambda y, said: max(r2_score(y, said), 0)),
            _known(score=lambda y, said: abs(r2_score(y, said))),
        ],
        "An explained variance forgives a wrong offset; R² does not.": _known(
            score=explained_variance_score
        ),
        "A plain LinearRegression, without a penalty: it shrinks what is in the embedding.": [
            _known(model=model) for model in (Ridge, lambda: Ridge(10.0), lambda: Lasso(0.1))
        ],
        "All components of `z` together, not the best one alone.": _best_component,
        "A straight line needs an intercept: LinearRegression() has one.": _known(
            model=lambda: LinearRegression(fit_intercept=False)
        ),
        "Truth first, prediction second, in r2_score.": _known(
            score=lambda y, said: r2_score(said, y)
        ),
        "That is a mean squared error; R² divides it by the variance of the held-out rows, and takes it from 1.": [
            _known(score=lambda y, said: np.mean((y - said) ** 2)),
            _known(score=lambda y, said: np.sqrt(np.mean((y - said) ** 2))),
            _known(score=lambda y, said: np.mean((y - said) ** 2) / np.var(y)),
            _known(score=lambda y, said: 1 - np.mean((y - said) ** 2)),
        ],
        "R² compares squares: the squared errors with the variance, not their roots.": _known(
            score=lambda y, said: 1 - np.sqrt(np.mean((y - said) ** 2)) / np.std(y)
        ),
        "The rival in R² is the mean of the *held-out* rows.": [
            _against_training,
            _rival(lambda y, outside: y[~outside].var()),
            _rival(lambda y, outside: y.var()),
        ],
        "Those are the predictions; how good are they, by r2_score?": lambda z, targets, outside: (
            LinearRegression().fit(z[~outside], targets[~outside]).predict(z[outside])
        ),
        "Those are the weights of the fit; how good are its predictions?": lambda z, targets, outside: (
            LinearRegression().fit(z[~outside], targets[~outside]).coef_
        ),
        "One R² for each column, not their mean.": [
            *(_mean_of(**options) for options in _SETS),
            _mean_of(model=lambda: LinearRegression(fit_intercept=False)),
            _mean_of(score=lambda y, said: r2_score(said, y)),
            lambda *given: _content(*given).max(),
            lambda z, targets, outside: r2_score(
                targets[outside],
                LinearRegression().fit(z[~outside], targets[~outside]).predict(z[outside]),
                multioutput="variance_weighted",
            ),
        ],
    },
    returns=_by_column,
    otherwise="For the column {part} we find an R² of {ours}, and you {yours}.",
    rtol=1e-3,
    atol=1e-4,
)
