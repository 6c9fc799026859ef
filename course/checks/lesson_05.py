"""Checks of lesson 05: pre-processing."""

import warnings

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from course.checks import Hint, exercise, forms
from course.checks.drawing import draw_over
from course.checks.examples import apart, by_example, sorting
from helpers.preprocessing import preprocessor

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
        "lag_1_10": ("as is", "a time of either sign: is it an angle, and has it a logarithm?"),
        "exposure": ("forbid", "who chose its value, and what did the observer know by then?"),
        "qpo_freq": ("log", "it runs from 0.1 to 50 Hz, and its errors are factors."),
        "gamma": ("as is", "it is already the exponent of a power law."),
        "source_id": ("forbid", "a new source has another: what could a model learn from a name?"),
        "rms_2_16": ("log", "it is above zero wherever it exists, and spreads over decades."),
    },
)


def _scaled(of=lambda train, other: train, axis=0, by=np.std):
    """Answer exercise 5.2; other values of the options give mistakes."""

    def answer(train, other):
        seen = of(train, other)
        return tuple((table - seen.mean(axis)) / by(seen, axis) for table in (train, other))

    return answer


def _standardise(train, other):
    """A function: two tables (n, p), (m, p) -> both scaled."""
    return _scaled()(train, other)


def _two_tables():
    """The other table has gaps in the second question."""
    generator, questions = np.random.default_rng(52), []
    for n, m, share in ((400, 300, 0), (300, 200, 0.1)):
        train = generator.normal([5, -100, 2e-9], [2, 30, 1e-9], (n, 3))
        other = generator.normal([9, -40, 4e-9], [4, 10, 3e-9], (m, 3))
        questions.append((train, np.where(generator.random((m, 3)) < share, np.nan, other)))
    return questions


standardise = by_example(
    "Exercise 5.2",
    _standardise,
    _two_tables,
    {
        "One mean for the whole table: each column has its own, along axis=0.": _scaled(axis=None),
        "That is scaled with both tables together: the second was not there yet when you learned the scale.": (
            _scaled(of=lambda *both: np.concatenate(both))
        ),
        "Divide by the standard deviation, not by the variance.": _scaled(by=np.var),
        "Add no small number to the deviation: in the units of a column it may be large.": _scaled(
            by=lambda seen, axis: seen.std(axis) + 1e-8
        ),
        "Centred, but still with units: divide by the deviation.": _scaled(by=lambda *seen: 1),
        "The second table is scaled by itself: the same pointing would get another value in another batch.": (
            lambda a, b: (_scaled()(a, b)[0], _scaled()(b, b)[0])
        ),
        "The second table has to be scaled too, or the model compares numbers in two different units.": (
            lambda a, b: (_scaled()(a, b)[0], b)
        ),
        "You learn from the second table: the first one gives mean and deviation for both.": (
            _scaled(of=lambda a, b: b)
        ),
    },
    returns=forms.tuple_of("both tables, scaled", *[forms.array("a scaled table")] * 2),
    otherwise="Every column of the first table should have a mean of 0 and a deviation of 1, and the second is "
    "scaled like the first: we find {ours} and you {yours}.",
    rtol=4e-3,  # a deviation may be that of n or of n - 1
    atol=4e-3,
)


def _direction_of(hue, turn=np.radians, quotient=np.arctan2):
    """Answer exercise 5.3 in degrees; other values of the options give mistakes."""
    return np.degrees(quotient(np.sin(turn(hue)).mean(), np.cos(turn(hue)).mean()))


def _mean_hue(hue):
    """A function: angles (n,) in degrees -> their mean direction in degrees."""
    return _direction_of(hue) % 360


def _some_hues():
    generator = np.random.default_rng(53)
    centres = (200.0, 340.0, 100.0, 310.0, 20.0)
    hues = [c + generator.normal(0, 25, 30 + int(c) // 10) for c in centres]
    return [(5 * np.round(hue / 5) % 360,) for hue in hues]  # some of them occur twice


mean_hue = by_example(
    "Exercise 5.3",
    _mean_hue,
    _some_hues,
    {
        "359 and 1 degrees would have the mean 180, the far side of the wheel: add arrows, not numbers.": [
            np.mean,
            np.median,
            lambda hue: ((hue + 180) % 360 - 180).mean() % 360,
        ],
        "The direction is right; write it as 0 to below 360, not below zero.": _direction_of,
        "That is in radians; go back to degrees.": [
            lambda hue: np.radians(_direction_of(hue)),
            lambda hue: np.radians(_direction_of(hue)) % (2 * np.pi),
        ],
        "Half of the circle is lost: arctan2 keeps the signs of sine and cosine; then take it modulo 360.": [
            lambda hue: _direction_of(hue, quotient=lambda s, c: np.arctan(s / c)),
            lambda hue: _direction_of(hue, quotient=lambda s, c: np.arctan(s / c)) % 360,
            lambda hue: _mean_hue(hue) % 180,
        ],
        "Sine and cosine have changed places: np.arctan2(sine, cosine).": lambda hue: (
            _direction_of(hue, quotient=lambda s, c: np.arctan2(c, s)) % 360
        ),
        "A hue that occurs twice counts twice.": lambda hue: _mean_hue(np.unique(hue)),
        "Do not round: the direction is a number with digits.": [
            lambda hue: np.round(_mean_hue(hue)),
            lambda hue: int(_mean_hue(hue)),
        ],
        "np.sin wants radians, and the hues are in degrees.": lambda hue: (
            _direction_of(hue, turn=lambda angle: angle) % 360
        ),
    },
    returns=forms.number("an angle in degrees"),
    otherwise="We find a direction of {ours} degrees and you {yours}: add arrows, then see where their sum points.",
    atol=1e-2,
)


def _fill(value=lambda a, b: a.median(), gaps=lambda a, b: b.isna(), of=0, least=0):
    """Answer exercise 5.4; other values of the options give mistakes."""

    def answer(train, other):
        columns = (train, other)[of].isna().mean() > least
        marks = gaps(train, other).loc[:, columns].astype(float).add_suffix("_missing")
        return other.fillna(value(train, other)).join(marks)

    return answer


def _fill_and_mark(train, other):
    """A function: two tables with gaps -> the second, filled and marked."""
    return _fill()(train, other)


def _tables_with_gaps():
    """Return tables: some columns have few gaps, or gaps in one table only; rows of a split keep their numbers."""
    generator, questions = np.random.default_rng(54), []
    for names in ("abcd", ["rate", "gamma", "hue"]):
        tables = []
        for n, centre, gaps in ((200, 0, (0.3, 0, 0.02)), (150, 1, (0.4, 0.2, 0))):
            values = generator.lognormal(centre, 0.8, (n, len(names)))
            for column, share in enumerate(gaps):
                values[generator.random(n) < share, column] = np.nan
            tables.append(pd.DataFrame(values, np.arange(n) + 1000 * centre, list(names)))
        questions.append(tuple(tables))
    return questions


def _filled_and_marked(train, other):
    return [*other, *(f"{name}_missing" for name in train.columns[train.isna().any()])]


def _of_numbers(value, given=()):
    """Form of a table of numbers and marks with the index of the given table."""
    table = forms.table("a table, filled and marked", _filled_and_marked)(value, given)
    if len(table) == len(given[1]) and not table.index.equals(given[1].index):
        raise Hint("The index of `other` is lost: keep it, for it says which row is which.")
    columns = {name: forms.array(f"the column {name}")(table[name]) for name in table}
    return pd.DataFrame(columns, table.index)


fill_and_mark = by_example(
    "Exercise 5.4",
    _fill_and_mark,
    _tables_with_gaps,
    {
        "The gaps are filled with the medians of `other`, which you may not learn from.": _fill(
            lambda a, b: b.median()
        ),
        "Those are the medians of both tables together: learn them from `train` alone.": _fill(
            lambda *both: pd.concat(both).median()
        ),
        "That is the mean; it follows the tail. Take the median.": _fill(lambda a, b: a.mean()),
        "You mark columns that have gaps in `other`: another batch would get other columns. Ask `train`.": (
            _fill(of=1)
        ),
        "All marks are 0: look for the gaps before you fill them.": _fill(
            gaps=lambda a, b: b.fillna(0).isna()
        ),
        "The marks are upside down: 1 where there was a gap.": _fill(gaps=lambda a, b: b.notna()),
        "Mark each column with gaps in `train`, however few they are.": _fill(least=0.1),
        "Filled, but not marked: each column with gaps in `train` gets a second one, <name>_missing.": (
            lambda a, b: b.fillna(a.median())
        ),
        "No row may be dropped: the labels would no longer fit.": [
            lambda a, b: b.dropna(),
            lambda a, b: _fill()(a, b.dropna()),
        ],
        "Marks belong to the rows of `other`, not of `train`.": _fill(gaps=lambda a, b: a.isna()),
    },
    returns=_of_numbers,
    otherwise="The column {part} should hold {ours} where yours holds {yours}: gaps get the median of that column in "
    "train and a mark of 1, and all else stays.",
)


def _eigen(squares, solver=np.linalg.eigh):
    """Return components in rows and variances of a matrix, largest first."""
    variances, vectors = solver(squares)
    return vectors.T[::-1], variances[::-1]


def _pca(table):
    """A function: a table (n, p) -> components (p, p) as rows, variances (p,)."""
    return _eigen(np.cov(table, rowvar=False))


def _changed(c=lambda c: c, v=lambda v, n: v):
    """Make a mistake by changing the right components or variances."""
    return lambda table: (c(_pca(table)[0]), v(_pca(table)[1], len(table)))


def _some_clouds():
    generator, questions = np.random.default_rng(55), []
    for n, deviations in ((300, [6.0, 3.0, 1.5, 0.8, 0.3]), (250, [4.0, 2.5, 0.5])):
        p = len(deviations)
        turn, _ = np.linalg.qr(generator.standard_normal((p, p)))
        table = generator.standard_normal((n, p)) * deviations @ turn + np.arange(p) - 3
        questions.append((table,))
    return questions


def _up_to_sign(part):
    """Return components with a positive largest number; variances are unchanged."""
    if part.ndim < 2:
        return part
    return part * np.sign(np.take_along_axis(part, abs(part).argmax(1)[:, None], 1))


def _misplaced(found, table):
    """Return whether the components are present, as columns or in another order; signs do not matter."""
    places = [np.ravel(abs(part)) for part in (found[0], _pca(table)[0])]
    return (
        np.allclose(found[1], _pca(table)[1], rtol=5e-3)
        and np.allclose(*map(np.sort, places), atol=1e-3)
        and not np.allclose(*places, atol=1e-3)
    )


def _draw_scree(found, wanted, table):
    components = np.arange(table.shape[1]) + 1, PCA().fit(table).explained_variance_
    variances = np.atleast_1d(found[1])
    alt = "Scree plot of a test table: your variances over those of scikit-learn, by component."
    axes = {"yscale": "log", "xlabel": "component", "ylabel": "variance", "xticks": components[0]}
    yours = np.arange(len(variances)) + 1, variances
    draw_over(components, yours, alt=alt, label="scikit-learn", marker="o", **axes)


pca = by_example(
    "Exercise 5.5",
    _pca,
    _some_clouds,
    {
        "Components first, variances second.": [
            lambda t: _pca(t)[::-1],
            lambda t: np.linalg.eigh(np.cov(t, rowvar=False)),
        ],
        "np.cov takes rows for variables: give it rowvar=False, or the transposed table.": (
            lambda t: _pca(t.T)
        ),
        "Those are shares: return the variances themselves.": _changed(v=lambda v, n: v / v.sum()),
        "Those are standard deviations: return the variances, their squares.": _changed(
            v=lambda v, n: np.sqrt(v)
        ),
        "Those are no variances yet: the squares of the singular values, divided by n - 1.": [
            _changed(v=lambda v, n: np.sqrt(v * (n - 1))),
            _changed(v=lambda v, n: v * (n - 1)),
        ],
        "The mean is still in it: subtract from each column its own, along axis=0.": [
            lambda t: _eigen(t.T @ t / (len(t) - 1)),
            lambda t: _eigen((t - t.mean()).T @ (t - t.mean()) / len(t)),
        ],
        "You scale the columns inside: leave that to the caller.": lambda t: _pca(t / t.std(0)),
        "A component is a direction of length one, not stretched by its deviation.": lambda t: (
            _pca(t)[0] * np.sqrt(_pca(t)[1])[:, None],
            _pca(t)[1],
        ),
    },
    returns=forms.tuple_of(
        "components and variances", forms.array("components"), forms.array("variances")
    ),
    otherwise="Not the components or not the variances of scikit-learn: see the figure. Components are rows of length "
    "one, at right angles to each other, and each has its own variance.",
    signs={
        "The variances are right, but not the largest first: sort them, and the components with them.": (
            lambda found, table: (
                np.any(np.diff(found[1]) > 0)
                and np.allclose(np.sort(found[1])[::-1], _pca(table)[1], rtol=5e-3)
            )
        ),
        "The variances are right; put the components into rows (transpose), in the order of the variances.": (
            _misplaced
        ),
    },
    seen=_up_to_sign,
    rtol=5e-3,  # n or n - 1
    atol=1e-4,
    draw=_draw_scree,
)


def _log10_or_gap(table):
    return np.log10(table.where(table > 0))


def _direction(table):
    angle = np.radians(table.iloc[:, 0])
    return np.column_stack([np.sin(angle), np.cos(angle)])


_PARTS = ("log", "angle", "rest")


def _chain(fill="median", add_indicator=True, log=_log10_or_gap, arrow=_direction, parts=_PARTS):
    """Answer exercise 5.6; other values of the options give mistakes."""

    def answer(logarithmic, angle, others):
        treat = {
            "log": (FunctionTransformer(log), logarithmic),
            "angle": (FunctionTransformer(arrow), [angle]),
            "rest": ("passthrough", others),
        }
        return make_pipeline(
            ColumnTransformer([(name, *treat[name]) for name in parts]),
            SimpleImputer(strategy=fill, add_indicator=add_indicator),
            StandardScaler(),
        )

    return answer


def _features_from(logarithmic, angle, others):
    """A function: log columns, angle, others -> an unfitted transformer."""
    return _chain()(logarithmic, angle, others)


def _reordered(*order):
    """Make an answer with some of the three steps, in this order."""
    return lambda *names: make_pipeline(*[_features_from(*names)[k] for k in order])


def _some_observations():
    """Return rows to fit and others to transform, with an extra column, and noise below zero."""
    generator, questions = np.random.default_rng(56), []
    for p, q, turn, x, y in (("p", "q", "turn", "x", "y"), ("rms", "nu", "hue", "gamma", "kt")):
        tables = []
        for n, shift in ((200, 0), (120, 1)):
            noise = generator.normal(shift, 1, (n, 6))
            noise[:, :2], noise[:, 2] = 10 ** noise[:, :2], generator.uniform(0, 360, n)
            noise[::20, 0], noise[7::20, 0], noise[3, 4] = -0.1, 0, 60
            table = pd.DataFrame(noise, columns=[p, q, turn, x, y, "unused"])
            for name, share in {p: 0.2, turn: 0.3, x: 0.2}.items():
                table.loc[generator.random(n) < share, name] = np.nan
            tables.append(table[sorted(table)])
        questions.append(([p, q], turn, [y, x], *tables))
    return questions


def _tried(answer):
    """Return two tables transformed by an answer's chain, which is fitted on the first."""

    def features(logarithmic, angle, others, train, other):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before = [*logarithmic], [*others]
            chain = clone(answer(logarithmic, angle, others)).fit(train)
            if before != (logarithmic, others):
                raise Hint("Your function changes the lists that it was given: work on a copy.")
            return chain.transform(train), chain.transform(other)

    return features


_WRONG_CHAINS = {
    "359 and 1 degrees are neighbours: the angle becomes two columns, its sine and its cosine.": [
        _chain(arrow=lambda table: table),
        _chain(arrow=lambda table: _direction(table)[:, :1]),
    ],
    "The features come in another order than we asked for.": [
        _chain(parts=("angle", "log", "rest")),
        _chain(parts=("log", "rest", "angle")),
        _chain(parts=("rest", "log", "angle")),
        _chain(arrow=lambda table: _direction(table)[:, ::-1]),
    ],
    "Some columns do not arrive at the end of the chain; those without treatment are to pass through.": [
        _chain(parts=("log", "rest")),
        _chain(parts=("log", "angle")),
    ],
    "Outliers stay as far out as they are: nothing is to be clipped.": [
        lambda *names: make_pipeline(
            _features_from(*names), FunctionTransformer(np.clip, kw_args={"a_min": -5, "a_max": 5})
        )
    ],
    "`preprocessor` treats its columns by their names, and yours may have any: build the chain from the pieces "
    "above.": [lambda logs, angle, others: preprocessor([*logs, angle, *others])],
    "Zero has no logarithm: leave a gap there, as `log10_or_gap` does.": [_chain(log=np.log10)],
    "A factor of ten should be the same step everywhere: the log.": [_chain(log=lambda t: t)],
    "The features still have their own units: scale them at the end.": [_reordered(0, 1)],
    "A gap looks just like a measured median: add_indicator=True.": [_chain(add_indicator=False)],
    "Fill the gaps with the median.": [_chain("mean"), _chain("most_frequent")],
    "There are still gaps in what comes out: which step fills them?": [_reordered(0, 2)],
    "Fill first, then scale: in train, each deviation should be 1.": [_reordered(0, 2, 1)],
    "Columns have names in the first step only: the ColumnTransformer.": [_reordered(1, 0, 2)],
    "These columns are not in a table of ours: use the names that your function is given, and return the chain "
    "unfitted.": [
        lambda *names: _features_from(["rms_2_16"], "hue", ["gamma"]),
        lambda *names: _features_from(*names).fit(pd.DataFrame({"z": [1.0]})),
    ],
    "The step for the angle wants a table of one column: name it as the list [angle].": [
        lambda logs, angle, others: make_pipeline(
            ColumnTransformer([("angle", FunctionTransformer(_direction), angle)])
        )
    ],
}


def _near(ours, yours):
    return ours.shape == yours.shape and np.allclose(ours, yours, equal_nan=True)


def _first_difference(found, wanted):
    """Return the hint for features that no mistake explains; it names the first that differs."""
    ours, yours = next(pair for pair in zip(wanted, found, strict=True) if not _near(*pair))
    if ours.shape != yours.shape:
        return f"Expected features of shape {ours.shape}; yours have shape {yours.shape}."
    column, row = np.argwhere(~np.isclose(ours, yours, equal_nan=True).T)[0]
    one, other = apart(ours[row, column], yours[row, column])
    return (
        f"With two logarithms and two others we find {one} and you {other} for {_FEATURES[column]}: gaps get the "
        "median, and every feature a deviation of 1 in the rows of `fit`."
    )


_FEATURES = ["the first logarithm", "the second logarithm", "the sine", "the cosine"]
_FEATURES += ["the first of the others", "the second of the others", *["a mark"] * 6]

_compare = by_example(
    "Exercise 5.6",
    _tried(_features_from),
    _some_observations,
    {hint: [_tried(wrong) for wrong in wrongs] for hint, wrongs in _WRONG_CHAINS.items()},
    returns=forms.tuple_of("features of two tables", *[forms.array("features")] * 2),
    otherwise=_first_difference,
)


def _transformer(value, given=()):
    """Form of an unfitted transformer whose features are an array."""
    if hasattr(value, "predict"):
        raise Hint("There is a model at the end: return only what stands in front of it.")
    if isinstance(value, type) or not all(
        hasattr(value, name) for name in ("fit", "transform", "get_params")
    ):
        raise Hint(f"Expected a Pipeline of transformers; yours is a {type(value).__name__}.")
    last = value[-1] if isinstance(value, Pipeline) else value
    if hasattr(last, "set_output"):
        last.set_output(transform="default")
    return value


@exercise("Exercise 5.6", reference=lambda: _features_from, form=forms.function(_transformer))
def features_from(answer):
    """A function: log columns, angle, others -> an unfitted transformer."""
    _compare.__wrapped__(_compare.form(_tried(answer)))


features_from.mistakes = [(hint, wrong) for hint in _WRONG_CHAINS for wrong in _WRONG_CHAINS[hint]]

_CLASSIFIER = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))


def _score(model=_CLASSIFIER, k=10, scoring="balanced_accuracy", shuffle=True):
    """Answer exercise 5.7; other values of the options give mistakes."""

    def answer(features, label, seed):
        folds = StratifiedKFold(5, shuffle=shuffle, random_state=seed if shuffle else None)
        model_ = make_pipeline(SelectKBest(k=k), model)
        return cross_val_score(model_, features, label, cv=folds, scoring=scoring).mean()

    return answer


def _honest_score(features, label, seed):
    """A function: features (n, p), label (n,), seed -> a cross-validated score."""
    return _score()(features, label, seed)


def _said(predict):
    """Return the balanced accuracy of the calls for all rows together."""
    model = make_pipeline(SelectKBest(k=10), _CLASSIFIER)
    return lambda x, y, seed: balanced_accuracy_score(y, predict(model, x, y, seed))


def _some_features():
    """Return noise, and noise in which some columns are informative, different ones each time."""
    generator, questions = np.random.default_rng(57), []
    for seed, (p, step) in enumerate([(90, 0), (1000, 0.9), (1000, 0), (400, -1), (90, 1)]):
        features = generator.standard_normal((48 - 2 * seed, p))
        label = generator.permutation(len(features)) < 10 + seed
        features[:, generator.choice(p, 5)] += step * label[:, None]
        questions.append((features, label, seed))
    return questions


honest_score = by_example(
    "Exercise 5.7",
    _honest_score,
    _some_features,
    {
        "The labels of held-out rows had a say in the choice of columns: choose inside each fold.": [
            lambda x, y, seed: _score()(SelectKBest(k=10).fit_transform(x, y), y, seed),
            lambda x, y, seed: _score(scoring=None)(SelectKBest().fit_transform(x, y), y, seed),
        ],
        "The model is scored on rows that it has learned from.": _said(
            lambda model, x, y, seed: model.fit(x, y).predict(x)
        ),
        "That is the plain accuracy, whose chance is not one half.": _score(scoring=None),
        "All columns: the first step is to choose ten, SelectKBest(k=10).": _score(k="all"),
        "A score from 0 to 1, please, not per cent.": lambda *given: 100 * _honest_score(*given),
        "The rows are not shuffled, or not by `seed`.": [
            _score(shuffle=False),
            lambda x, y, seed: _honest_score(x, y, 0),
        ],
        "The mean over the folds, not one score of all rows together.": _said(
            lambda model, x, y, seed: cross_val_predict(
                model, x, y, cv=StratifiedKFold(5, shuffle=True, random_state=seed)
            )
        ),
        "That is another classifier: ours scales the columns and gives both classes the same weight.": [
            _score(LogisticRegression(class_weight="balanced")),
            _score(make_pipeline(StandardScaler(), LogisticRegression())),
        ],
        "The choice of columns is the first step of the Pipeline, the classifier the last.": (
            lambda x, y, seed: cross_val_score(make_pipeline(_CLASSIFIER, SelectKBest(k=10)), x, y)
        ),
    },
    returns=forms.number("a score from 0 to 1"),
    otherwise="With seed {2} we find {ours} and you {yours}: the ten best columns of each fold, then `classifier`, by "
    "its balanced accuracy.",
)
