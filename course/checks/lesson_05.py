"""Checks of lesson 05: pre-processing."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from helpers import plotting

from . import Hint, array, exercise, first_line, function, number, sorting

__all__ = [
    "features_from",
    "fill_and_mark",
    "honest_score",
    "mean_hue",
    "pca",
    "standardise",
    "treatments",
]

treatments = sorting(
    "Exercise 5.1",
    {
        "nu_break": ("log", "it spreads over decades, and a factor of two is a factor of two."),
        "hue": ("angle", "what comes after 359?"),
        "lag_1_10": (
            "as is",
            "a time in seconds, of either sign: is it an angle, and has it a logarithm?",
        ),
        "exposure": (
            "forbid",
            "who chose its value, and what did the observer know of the state by then?",
        ),
        "qpo_freq": ("log", "it runs from 0.1 to 50 Hz, and its errors are factors."),
        "gamma": ("as is", "it is already the exponent of a power law."),
        "source_id": (
            "forbid",
            "a new source has another one: what could a model learn from a name?",
        ),
        "rms_2_16": ("log", "it is above zero wherever it exists, and spreads over decades."),
    },
)


def _pair(value):
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise Hint("Expected two arrays from your function; see its docstring.")
    return value


def _standardise(train, other):
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return (train - mean) / deviation, (other - mean) / deviation


@exercise("Exercise 5.2", reference=lambda: _standardise)
def standardise(answer):
    """A function: two tables (n, p), (m, p) -> both scaled."""
    answer = function(answer)
    generator = np.random.default_rng(52)
    train = generator.normal([5, -100, 2e-9], [2, 30, 1e-9], (400, 3))
    other = generator.normal([9, -40, 4e-9], [4, 10, 3e-9], (300, 3))
    pair = _pair(answer(train.copy(), other.copy()))
    found = [
        array(part, table.shape, "a scaled table")
        for part, table in zip(pair, (train, other), strict=True)
    ]
    both = np.concatenate([train, other])

    def like(part, table, mean, deviation):
        return np.allclose(part, (table - mean) / deviation, rtol=0.01, atol=0.01)

    mean, deviation = train.mean(axis=0), train.std(axis=0)
    if like(found[0], train, train.mean(), train.std()):
        raise Hint("One mean for the whole table: each column has its own, along axis=0.")
    if like(found[0], train, both.mean(axis=0), both.std(axis=0)):
        raise Hint(
            "That is scaled with both tables together: the second was not there yet when you learned the scale."
        )
    if like(found[0], train, mean, deviation**2):
        raise Hint("Divide by the standard deviation, not by the variance: the unit has to go.")
    if like(found[0], train, mean, 1):
        raise Hint("The columns are centred but still have their units: divide by the deviation.")
    if not like(found[0], train, mean, deviation):
        raise Hint("Every column of the first table should have a mean of 0 and a deviation of 1.")
    if like(found[1], other, other.mean(axis=0), other.std(axis=0)):
        raise Hint(
            "The second table is scaled by itself: the same pointing would get another value in another batch."
        )
    if np.allclose(found[1], other):
        raise Hint("The second table has to be scaled too, or the model compares two languages.")
    if not like(found[1], other, mean, deviation):
        raise Hint("Take mean and deviation of one table for both, the one you learn from.")


def _mean_hue(hue):
    angle = np.radians(hue)
    return np.degrees(np.arctan2(np.sin(angle).mean(), np.cos(angle).mean())) % 360


@exercise("Exercise 5.3", reference=lambda: _mean_hue)
def mean_hue(answer):
    """A function: angles (n,) in degrees -> their mean direction in degrees."""
    answer = function(answer)
    generator = np.random.default_rng(53)
    for centre in (0.0, 100.0, 200.0, 310.0, 20.0):
        hue = (centre + generator.normal(0, 25, 40)) % 360
        right = _mean_hue(hue)
        found = number(answer(hue.copy()), "an angle in degrees")
        away = abs((found - right + 180) % 360 - 180)
        if away < 0.01 and -1e-9 <= found < 360:
            continue
        if away < 0.01:
            raise Hint(f"The direction is right; write it as 0 to below 360, not as {found:.1f}.")
        if abs(np.degrees(found) % 360 - right) < 0.01:
            raise Hint("That is in radians; go back to degrees.")
        if np.isclose(found, hue.mean()) or np.isclose(found, np.median(hue)):
            raise Hint(
                f"Hues around {centre:g} degrees came out as {found:.0f}: add arrows, not numbers."
            )
        if min(abs(found % 180 - right % 180), 180 - abs(found % 180 - right % 180)) < 0.01:
            raise Hint(
                "Half a turn away: the quotient of sine and cosine has lost their signs; arctan2 keeps them."
            )
        if abs((found - (90 - right) + 180) % 360 - 180) < 0.01:
            raise Hint("Sine and cosine have changed places: np.arctan2(sine, cosine).")
        wild = np.degrees(np.arctan2(np.sin(hue).mean(), np.cos(hue).mean())) % 360
        if abs((found - wild + 180) % 360 - 180) < 0.01:
            raise Hint("np.sin wants radians, and the hues are in degrees.")
        raise Hint(
            f"Hues around {centre:g} degrees came out as {found:.1f}, and we find {right:.1f}: add arrows, then see "
            "where their sum points."
        )


def _fill_and_mark(train, other):
    marks = other.isna().loc[:, train.isna().any()].astype(float).add_suffix("_missing")
    return other.fillna(train.median()).join(marks)


def _with_gaps(generator, n, centre, gaps):
    table = pd.DataFrame(generator.lognormal(centre, 0.8, (n, 4)), columns=["a", "b", "c", "d"])
    for name, share in gaps.items():
        table.loc[generator.random(n) < share, name] = np.nan
    return table


@exercise("Exercise 5.4", reference=lambda: _fill_and_mark)
def fill_and_mark(answer):
    """A function: two tables with gaps -> the second, filled and marked."""
    answer = function(answer)
    generator = np.random.default_rng(54)
    train = _with_gaps(generator, 200, 0.0, {"a": 0.3, "c": 0.2})
    other = _with_gaps(generator, 150, 1.0, {"a": 0.4, "b": 0.2})  # c has none, b has new ones
    other.index += 1000  # rows of a split keep their old numbers
    given, before = other.copy(), train.copy()
    found = answer(before, given)
    if not isinstance(found, pd.DataFrame):
        raise Hint(f"Expected a DataFrame; yours is of type {type(found).__name__}.")
    if len(found) != len(other):
        raise Hint("No row may be dropped or added: the labels would no longer fit.")
    if not given.equals(other) or not before.equals(train):
        raise Hint("Your function changes the table it was given: work on a copy.")
    lost = [name for name in other if name not in found]
    if lost:
        raise Hint(f"The columns {', '.join(lost)} are gone: keep them, filled.")
    marks = [name for name in found if name not in other]
    if set(marks) == {"a_missing", "b_missing"}:
        raise Hint(
            "You mark columns that have gaps in `other`: another batch would get other columns. Ask `train`."
        )
    if set(marks) != {"a_missing", "c_missing"}:
        expected = "a_missing and c_missing"
        raise Hint(
            f"Where a and c have gaps in train we expect {expected}, and found {marks or 'no marks'}."
        )
    filled = array(found[list(other)], other.shape, "filled columns")
    if not np.allclose(filled[other.notna()], other.to_numpy()[other.notna()]):
        raise Hint("Values that were measured must stay as they are.")
    for name in ("a", "b"):
        value = found[name].to_numpy()[other[name].isna()]
        if np.allclose(value, train[name].median()):
            continue
        if np.allclose(value, other[name].median()):
            raise Hint(
                "The gaps are filled with the medians of `other`, which you may not learn from."
            )
        if np.allclose(value, train[name].mean()):
            raise Hint("That is the mean; it follows the tail, and we asked for the median.")
        raise Hint(f"The gaps of {name} should hold the median of {name} in train.")
    if found[["a_missing", "c_missing"]].isna().any(axis=None):
        raise Hint("Some marks are empty: they belong to the rows of `other`, not of `train`.")
    mark = array(found[["a_missing", "c_missing"]], (len(other), 2), "marks")
    if not mark.any():
        raise Hint("All marks are 0: look for the gaps before you fill them.")
    if np.allclose(mark, other[["a", "c"]].notna()):
        raise Hint("The marks are upside down: 1 where there was a gap.")
    if not np.allclose(mark, other[["a", "c"]].isna()):
        raise Hint("A mark is 1 where `other` has a gap in that row and column, and 0 elsewhere.")


def _pca(table):
    variances, vectors = np.linalg.eigh(np.cov(table - table.mean(axis=0), rowvar=False))
    return vectors.T[::-1], variances[::-1]


@exercise("Exercise 5.5", reference=lambda: _pca)
def pca(answer):
    """A function: a table (n, p) -> components (p, p) as rows, variances (p,)."""
    answer = function(answer)
    generator = np.random.default_rng(55)
    size = 5
    turn, _ = np.linalg.qr(generator.standard_normal((size, size)))
    deviations = np.array([6.0, 3.0, 1.5, 0.8, 0.3])
    table = generator.standard_normal((500, size)) * deviations @ turn + [4, -3, 2, 6, -5]
    right = PCA().fit(table)
    components, variances = _pair(answer(table.copy()))
    if np.ndim(components) == 1 and np.ndim(variances) == 2:
        raise Hint("Components first, variances second.")
    if np.shape(components) == (len(table), len(table)):
        raise Hint(
            "np.cov takes rows for variables: give it rowvar=False, or the transposed table."
        )
    components = array(components, (size, size), "components")
    variances = array(variances, (size,), "variances")
    _draw_scree(variances, right.explained_variance_)
    if np.allclose(variances, right.explained_variance_[::-1], rtol=0.01):
        raise Hint("The smallest variance comes first: turn the order, of the components too.")
    if np.allclose(np.sort(variances)[::-1], right.explained_variance_, rtol=0.01) and np.any(
        np.diff(variances) > 0
    ):
        raise Hint("The right variances in no order (eigh sorts, eig does not): the largest first.")
    if np.allclose(variances, right.explained_variance_ratio_, rtol=0.01):
        raise Hint("Those are shares of the variance; return the variances themselves.")
    if np.allclose(variances, right.singular_values_, rtol=0.01) or np.allclose(
        variances, np.sqrt(right.explained_variance_), rtol=0.01
    ):
        raise Hint("Those are singular values or deviations: square them, and divide by n - 1.")
    if np.allclose(variances, right.singular_values_**2, rtol=0.01):
        raise Hint("Those are sums of squares: divide by n - 1 to get variances.")
    _, values, _ = np.linalg.svd(table, full_matrices=False)
    if np.allclose(variances, values**2 / len(table), rtol=0.01):
        raise Hint("The mean of the table is still in it: subtract it from each column first.")
    values = np.linalg.eigvalsh((table - table.mean()).T @ (table - table.mean()))[::-1]
    if np.allclose(variances, values / (len(table) - 1), rtol=0.01):
        raise Hint("One mean for the whole table: each column has its own, along axis=0.")
    scaled = PCA().fit((table - table.mean(0)) / table.std(0)).explained_variance_
    if np.allclose(variances, scaled, rtol=0.01):
        raise Hint("You scale the columns inside: a fine step, but leave it to the caller.")
    if not np.allclose(variances, right.explained_variance_, rtol=0.01):
        raise Hint("The variances along the components differ from scikit-learn's; see the figure.")
    if not np.allclose(components @ components.T, np.eye(size), atol=1e-6):
        raise Hint("Components should have length one and stand at right angles to each other.")

    def overlap(rows):
        return np.abs(np.sum(rows * right.components_, axis=1))

    if not np.allclose(overlap(components), 1, atol=1e-6):
        if np.allclose(overlap(components.T), 1, atol=1e-6):
            raise Hint("The components are in the columns: transpose, so that each is a row.")
        if np.allclose(overlap(components[::-1]), 1, atol=1e-6):
            raise Hint("The variances are sorted and the components are not: turn both.")
        if np.allclose(overlap(components.T[::-1]), 1, atol=1e-6):
            raise Hint(
                "The components are in the columns and in the old order: first transpose, then turn the order."
            )
        raise Hint("The variances are right, but the rows are not the components they belong to.")


def _draw_scree(variances, right):
    fig, ax = plt.subplots(figsize=(5, 2.4))
    place = np.arange(1, len(right) + 1)
    ax.plot(place, right, "s", color="0.7", markersize=11, label="scikit-learn")
    ax.plot(place, variances, "o-", linewidth=1, markersize=4, label="yours")
    ax.set(yscale="log", xlabel="component", ylabel="variance", xticks=place)
    ax.legend()
    plotting.show(
        fig,
        alt="Scree plot of a test table: your variances drawn over those of scikit-learn, by component.",
    )


def _log10_or_gap(table):
    return np.log10(table.where(table > 0))


def _direction(table):
    angle = np.radians(table.iloc[:, 0])
    return np.column_stack([np.sin(angle), np.cos(angle)])


def _features_from(logarithmic, angle, others):
    logs, arrow = FunctionTransformer(_log10_or_gap), FunctionTransformer(_direction)
    treat = ColumnTransformer(
        [("log", logs, logarithmic), ("angle", arrow, [angle]), ("rest", "passthrough", others)]
    )
    return make_pipeline(
        treat, SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
    )


def _observations(generator, n, shift):
    table = pd.DataFrame(
        {
            "p": 10 ** generator.normal(shift, 1, n),
            "q": 10 ** generator.normal(-shift, 0.5, n),
            "turn": generator.uniform(0, 360, n),
            "x": generator.normal(shift, 2, n),
            "y": generator.normal(-3, 1 + shift, n),
        }
    )
    for name, share in {"p": 0.2, "turn": 0.3, "x": 0.2}.items():
        table.loc[generator.random(n) < share, name] = np.nan
    table.loc[generator.random(n) < 0.05, "p"] = -0.1  # noise-subtracted, no logarithm
    return table


@exercise("Exercise 5.6", reference=lambda: _features_from)
def features_from(answer):
    """A function: log columns, angle, others -> an unfitted transformer."""
    answer = function(answer)
    generator = np.random.default_rng(56)
    train, other = _observations(generator, 300, 0.0), _observations(generator, 120, 1.0)
    try:
        made = answer(["p", "q"], "turn", ["x", "y"])
    except ValueError as problem:
        raise Hint(f"Return it unfitted: whoever uses it will fit it ({problem}).") from None
    if hasattr(made, "predict"):
        raise Hint("There is a model at the end: return only what stands in front of it.")
    if not all(hasattr(made, name) for name in ("fit", "transform", "get_params")):
        raise Hint(f"Expected a Pipeline of transformers; yours is a {type(made).__name__}.")
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            chain = clone(made).fit(train)
        except ValueError as problem:
            raise Hint(
                "It does not fit a table of ours: columns have names only in front of the first step, and they are "
                f"those that your function is given ({problem})."
            ) from None
        except pd.errors.IndexingError:
            raise Hint(
                "The step for the angle wants a table of one column: name it as the list [angle]."
            ) from None
        values = {
            "train": np.asarray(chain.transform(train), float),
            "other": np.asarray(chain.transform(other), float),
        }
        single = np.asarray(chain.transform(other.iloc[:1]), float)
    _inspect_features(chain, values, single, train, other)


def _inspect_features(chain, values, single, train, other):
    if not np.isfinite(values["other"]).all() or not np.isfinite(values["train"]).all():
        raise Hint("There are still gaps or infinities in what comes out: which step fills them?")
    if not np.allclose(single, values["other"][:1]):
        raise Hint(
            "A row gets other features when it comes alone: something learns from the rows of `transform`."
        )

    def features(**changes):
        row = {"p": 2.0, "q": 0.5, "turn": 90.0, "x": 1.0, "y": -3.0, **changes}
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return np.asarray(chain.transform(pd.DataFrame([row])), float)[0]

    def apart(one, two):
        return np.linalg.norm(features(**one) - features(**two))

    for name in ("p", "q", "turn", "x", "y"):
        if apart({name: 0.1}, {name: 170.0}) < 1e-9:
            raise Hint(
                f"The column {name!r} does not arrive at the end of the chain: is it left out, or has it no logarithm?"
            )
    if apart({"turn": 359.0}, {"turn": 1.0}) > 0.3 * apart({"turn": 1.0}, {"turn": 45.0}):
        raise Hint("359 and 1 degrees are far apart in what comes out: treat the angle as one.")
    for name in ("p", "q"):
        if not np.isclose(apart({name: 1.0}, {name: 10.0}), apart({name: 10.0}, {name: 100.0})):
            raise Hint(f"A factor of ten in {name!r} should be the same step everywhere: the log.")
    if not np.isclose(apart({"x": 1.0}, {"x": 2.0}), apart({"x": 2.0}, {"x": 3.0})):
        raise Hint("The others should stay as they are: a lag has no logarithm.")
    logarithm = np.log10(train.p.where(train.p > 0))
    filled = logarithm.fillna(logarithm.median())
    step = np.abs(features(p=10.0) - features(p=1.0)).max()
    if not np.isclose(step, 1 / filled.std(ddof=0), rtol=0.02):
        if np.isclose(step, 1, rtol=0.02):
            raise Hint("The features still have their own units: scale them at the end.")
        raise Hint(
            "After the last step every feature should have a deviation of 1 in train: fill first, then StandardScaler."
        )
    middle = 10 ** logarithm.median()
    if apart({"p": np.nan}, {"p": middle}) < 1e-9:
        raise Hint(
            "A gap looks just like a measured median: let the imputer add its indicator columns."
        )
    if np.min(np.abs(features(p=np.nan) - features(p=middle))) > 1e-9 or not np.isclose(
        _gap_position(features), features(p=middle)[_column_of(features)], atol=1e-6
    ):
        raise Hint("Fill the gaps with the median of the rows of `fit`.")


def _column_of(features):
    """The feature that moves most with log p."""
    return int(np.argmax(np.abs(features(p=10.0) - features(p=1.0))))


def _gap_position(features):
    return features(p=np.nan)[_column_of(features)]


def _honest_score(features, label, seed, scoring="balanced_accuracy"):
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    model = make_pipeline(
        SelectKBest(k=10), StandardScaler(), LogisticRegression(class_weight="balanced")
    )
    return cross_val_score(model, features, label, cv=folds, scoring=scoring).mean()


@exercise("Exercise 5.7", reference=lambda: _honest_score)
def honest_score(answer):
    """A function: features (n, p), label (n,), seed -> a cross-validated score."""
    label = np.repeat([False, True], (22, 8))

    def ask(*arguments):
        try:
            return number(function(answer)(*arguments), "a score from 0 to 1")
        except (TypeError, ValueError) as problem:  # scikit-learn's, many lines long
            raise Hint(
                "It does not fit: the choice of columns is the first step of the Pipeline, the classifier the last "
                f"({first_line(problem)})."
            ) from None

    noise, signal, tables = [], [], []
    for seed in range(6):
        generator = np.random.default_rng(570 + seed)
        features = generator.standard_normal((len(label), 1000))
        noise.append(ask(features.copy(), label.copy(), seed))
        tables.append(features.copy())
        features[:, :5] += 2.5 * label[:, None]
        signal.append(ask(features.copy(), label.copy(), seed))
    chance, found = np.mean(noise), np.mean(signal)
    if max(signal) > 1.0001:
        raise Hint("Expected a score from 0 to 1, not per cent.")
    if min(noise) > 0.999:
        raise Hint(
            "A perfect score on pure noise, every time: is the model scored on rows that it has learned from?"
        )
    if np.allclose(noise, [_honest_score(f, label, s, "accuracy") for s, f in enumerate(tables)]):
        raise Hint("That is the plain accuracy, for which chance is not one half: see `scoring`.")
    if abs(chance - label.mean()) < 0.03 or abs(chance - (~label).mean()) < 0.03:
        raise Hint(
            f"On pure noise your mean score is {chance:.2f}, the share of the commonest label: plain accuracy?"
        )
    # On noise a score of 30 rows scatters by about 0.12: the mean of six lies within 0.5 ± 0.2.
    if chance > 0.7:
        raise Hint(
            f"On pure noise your mean score is {chance:.2f}: the labels of held-out rows had a say in the choice."
        )
    if chance < 0.3:
        raise Hint(f"On pure noise your mean score is {chance:.2f}; chance is 0.5.")
    if found < 0.78:
        raise Hint(
            f"With five columns that do tell, we find {_reference_signal(label):.2f} and you {found:.2f}: are the "
            "ten best columns chosen at all?"
        )


def _reference_signal(label):
    scores = []
    for seed in range(6):
        features = np.random.default_rng(570 + seed).standard_normal((len(label), 1000))
        features[:, :5] += 2.5 * label[:, None]
        scores.append(_honest_score(features, label, seed))
    return np.mean(scores)
