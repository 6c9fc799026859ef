"""Answers to the exercises of lesson 05: other right routes, and wrong ones with their hints."""

import cmath

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from answers import changed
from course.checks import lesson_05


def scaled_by_scikit_learn(train, other):
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(other)


def scaled_with_ddof(train, other):
    return tuple((x - train.mean(0)) / train.std(0, ddof=1) for x in (train, other))


def scaled_together(train, other):
    both = np.concatenate([train, other])
    return (train - both.mean(0)) / both.std(0), (other - both.mean(0)) / both.std(0)


def complex_mean(hue):
    return np.degrees(cmath.phase(sum(cmath.rect(1, h) for h in np.radians(hue)))) % 360


def arrows(hue):
    return np.sin(np.radians(hue)).mean(), np.cos(np.radians(hue)).mean()


def filled_by_loop(train, other):
    table = other.copy()
    for name in other:
        table[name] = other[name].fillna(train[name].median())
    for name in train.columns[train.isna().any()]:
        table[f"{name}_missing"] = other[name].isna()
    return table


def filled(train, other, value=None, marks=None, of=None):
    value = train.median() if value is None else value
    of = train if of is None else of
    marks = other.isna() if marks is None else marks
    chosen = marks.loc[:, of.isna().any()].astype(float).add_suffix("_missing")
    return other.fillna(value).join(chosen)


def fill_in_place(train, other):
    for name in train.columns[train.isna().any()]:
        other[f"{name}_missing"] = other[name].isna()
    return other.fillna(train.median())


def pca_by_svd(table):
    centred = table - table.mean(axis=0)
    _, values, components = np.linalg.svd(centred, full_matrices=False)
    return components, values**2 / (len(table) - 1)


def eigen(table):
    return np.linalg.eigh(np.cov(table, rowvar=False))


def not_centred(table):
    _, values, components = np.linalg.svd(table, full_matrices=False)
    return components, values**2 / (len(table) - 1)


def prepared(table, logarithmic, angle, others, log=np.log):
    columns = {name: log(table[name].where(table[name] > 0)) for name in logarithmic}
    columns |= {name: table[name] for name in others}
    radians = np.deg2rad(table[angle])
    return pd.DataFrame(columns | {"s": np.sin(radians), "c": np.cos(radians)})


def one_function(logarithmic, angle, others):
    return Pipeline(
        [
            (
                "treat",
                FunctionTransformer(
                    prepared,
                    kw_args={"logarithmic": logarithmic, "angle": angle, "others": others},
                ),
            ),
            ("fill", SimpleImputer(strategy="median", add_indicator=True)),
            ("scale", StandardScaler()),
        ]
    )


def chain(*steps, log=True, angle=True):
    def features_from(logarithmic, name, others):
        log_step = FunctionTransformer(lesson_05._log10_or_gap) if log else "passthrough"
        arrow = FunctionTransformer(lesson_05._direction) if angle else "passthrough"
        parts = [("l", log_step, logarithmic), ("a", arrow, [name]), ("r", "passthrough", others)]
        return make_pipeline(ColumnTransformer(parts), *steps)

    return features_from


def marked(strategy="median"):
    return SimpleImputer(strategy=strategy, add_indicator=True)


def without_angle(logarithmic, name, others):
    log_step = FunctionTransformer(lesson_05._log10_or_gap)
    parts = [("l", log_step, logarithmic), ("r", "passthrough", others)]
    return make_pipeline(ColumnTransformer(parts), marked(), StandardScaler())


def scale_each_batch(table):
    return (table - table.mean(axis=0)) / np.maximum(table.std(axis=0), 1e-9)


def classifier():
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))


def folds(seed):
    return StratifiedKFold(5, shuffle=True, random_state=seed)


def honest_by_loop(features, label, seed):
    scores = []
    for fit, held_out in folds(seed).split(features, label):
        choice = SelectKBest(k=10).fit(features[fit], label[fit])
        model = classifier().fit(choice.transform(features[fit]), label[fit])
        said = model.predict(choice.transform(features[held_out]))
        scores.append(balanced_accuracy_score(label[held_out], said))
    return np.mean(scores)


def leaky(features, label, seed):
    best = SelectKBest(k=10).fit_transform(features, label)
    return cross_val_score(classifier(), best, label, cv=folds(seed)).mean()


def on_training_rows(features, label, seed):
    return (
        make_pipeline(SelectKBest(k=100), classifier()).fit(features, label).score(features, label)
    )


OTHER_ROUTES = [
    (lesson_05.standardise, scaled_by_scikit_learn),
    (lesson_05.standardise, scaled_with_ddof),
    (lesson_05.mean_hue, complex_mean),
    (lesson_05.fill_and_mark, filled_by_loop),
    (lesson_05.pca, pca_by_svd),
    (lesson_05.features_from, one_function),
    (lesson_05.honest_score, honest_by_loop),
]

WRONG = [
    (
        lesson_05.honest_score,
        lambda f, y, seed: lesson_05._honest_score(f, y, seed, "accuracy"),
        "plain accuracy",
    ),
    (
        lesson_05.treatments,
        changed(lesson_05.treatments.reference(), lag_1="log"),
        "of either sign",
    ),
    (
        lesson_05.treatments,
        changed(lesson_05.treatments.reference(), exposure="log"),
        "the observer",
    ),
    (lesson_05.treatments, changed(lesson_05.treatments.reference(), hue="as is"), "after 359"),
    (lesson_05.standardise, scaled_together, "not there yet"),
    (
        lesson_05.standardise,
        lambda a, b: ((a - a.mean(0)) / a.std(0), (b - b.mean(0)) / b.std(0)),
        "by itself",
    ),
    (
        lesson_05.standardise,
        lambda a, b: ((a - a.mean()) / a.std(), (b - a.mean()) / a.std()),
        "along axis=0",
    ),
    (
        lesson_05.standardise,
        lambda a, b: ((a - a.mean(0)) / a.var(0), (b - a.mean(0)) / a.var(0)),
        "not by the variance",
    ),
    (lesson_05.standardise, lambda a, b: (a - a.mean(0), b - a.mean(0)), "still have their units"),
    (lesson_05.standardise, lambda a, b: ((a - a.mean(0)) / a.std(0), b), "two languages"),
    (lesson_05.standardise, lambda a, b: (a - a.mean(0)) / a.std(0), "two arrays"),
    (lesson_05.mean_hue, np.mean, "add arrows"),
    (lesson_05.mean_hue, np.median, "add arrows"),
    (lesson_05.mean_hue, lambda h: (((h + 180) % 360) - 180).mean() % 360, "we find"),
    (lesson_05.mean_hue, lambda h: np.degrees(np.arctan2(*arrows(h))), "0 to below 360"),
    (lesson_05.mean_hue, lambda h: np.arctan2(*arrows(h)), "in radians"),
    (
        lesson_05.mean_hue,
        lambda h: np.degrees(np.arctan(arrows(h)[0] / arrows(h)[1])) % 360,
        "Half a turn",
    ),
    (
        lesson_05.mean_hue,
        lambda h: np.degrees(np.arctan2(*arrows(h)[::-1])) % 360,
        "changed places",
    ),
    (
        lesson_05.mean_hue,
        lambda h: np.degrees(np.arctan2(np.sin(h).mean(), np.cos(h).mean())) % 360,
        "wants radians",
    ),
    (lesson_05.fill_and_mark, lambda a, b: filled(a, b, value=b.median()), "medians of `other`"),
    (lesson_05.fill_and_mark, lambda a, b: filled(a, b, value=a.mean()), "That is the mean"),
    (lesson_05.fill_and_mark, lambda a, b: filled(a, b, of=b), "Ask `train`"),
    (
        lesson_05.fill_and_mark,
        lambda a, b: filled(a, b, marks=b.fillna(0).isna()),
        "before you fill",
    ),
    (lesson_05.fill_and_mark, lambda a, b: filled(a, b, marks=b.notna()), "upside down"),
    (lesson_05.fill_and_mark, lambda a, b: b.fillna(a.median()), "no marks"),
    (lesson_05.fill_and_mark, lambda a, b: b.dropna(), "No row"),
    (lesson_05.fill_and_mark, lambda a, b: filled(a, b, marks=a.isna()), "rows of `other`"),
    (lesson_05.fill_and_mark, fill_in_place, "work on a copy"),
    (lesson_05.fill_and_mark, lambda a, b: filled(a, b, value=0), "should hold the median"),
    (lesson_05.pca, lambda t: eigen(t)[::-1], "smallest variance"),
    (lesson_05.pca, lambda t: (eigen(t)[1][:, ::-1], eigen(t)[0][::-1]), "in the columns"),
    (lesson_05.pca, lambda t: (eigen(t)[1], eigen(t)[0][::-1]), "old order"),
    (lesson_05.pca, lambda t: (eigen(t)[1].T, eigen(t)[0][::-1]), "turn both"),
    (lesson_05.pca, lambda t: pca_by_svd(t)[::-1], "Components first"),
    (lesson_05.pca, not_centred, "still in it"),
    (lesson_05.pca, lambda t: (np.eye(len(t)), t[0]), "rowvar"),
    (lesson_05.pca, lambda t: (eigen(t)[1].T, eigen(t)[0][[1, 0, 2, 4, 3]]), "in no order"),
    (
        lesson_05.pca,
        lambda t: (not_centred(t - t.mean())[0], not_centred(t - t.mean())[1]),
        "along axis=0",
    ),
    (lesson_05.pca, lambda t: pca_by_svd(t / t.std(0)), "scale the columns inside"),
    (
        lesson_05.pca,
        lambda t: np.linalg.svd(t - t.mean(0), full_matrices=False)[:0:-1],
        "singular values",
    ),
    (
        lesson_05.pca,
        lambda t: (pca_by_svd(t)[0], pca_by_svd(t)[1] / pca_by_svd(t)[1].sum()),
        "shares",
    ),
    (lesson_05.pca, lambda t: (2 * pca_by_svd(t)[0], pca_by_svd(t)[1]), "length one"),
    (lesson_05.features_from, chain(marked(), StandardScaler(), angle=False), "359 and 1"),
    (lesson_05.features_from, chain(marked(), StandardScaler(), log=False), "factor of ten"),
    (lesson_05.features_from, chain(marked()), "own units"),
    (
        lesson_05.features_from,
        chain(SimpleImputer(strategy="median"), StandardScaler()),
        "indicator",
    ),
    (lesson_05.features_from, chain(marked("mean"), StandardScaler()), "with the median"),
    (lesson_05.features_from, chain(StandardScaler()), "still gaps"),
    (
        lesson_05.features_from,
        chain(marked(), FunctionTransformer(scale_each_batch)),
        "when it comes alone",
    ),
    (
        lesson_05.features_from,
        chain(marked(), StandardScaler(), LogisticRegression()),
        "model at the end",
    ),
    (lesson_05.features_from, without_angle, "does not arrive"),
    (lesson_05.features_from, lambda a, b, c: prepared, "Expected a Pipeline"),
    (
        lesson_05.features_from,
        lambda a, b, c: chain(marked(), StandardScaler())(a, b, c).fit(pd.DataFrame({"z": [1.0]})),
        "unfitted",
    ),
    (
        lesson_05.features_from,
        lambda a, b, c: make_pipeline(marked(), chain(StandardScaler())(a, b, c)),
        "in front of the first step",
    ),
    (
        lesson_05.features_from,
        lambda a, b, c: make_pipeline(
            ColumnTransformer([("a", FunctionTransformer(lesson_05._direction), b)]), marked()
        ),
        "the list [angle]",
    ),
    (
        lesson_05.honest_score,
        lambda x, y, seed: cross_val_score(
            make_pipeline(classifier(), SelectKBest(k=10)), x, y, cv=folds(seed)
        ).mean(),
        "the classifier the last",
    ),
    (lesson_05.honest_score, leaky, "had a say"),
    (lesson_05.honest_score, on_training_rows, "learned from"),
    (
        lesson_05.honest_score,
        lambda x, y, seed: cross_val_score(
            classifier(), x, y, cv=folds(seed), scoring="balanced_accuracy"
        ).mean(),
        "chosen at all",
    ),
    (lesson_05.honest_score, lambda x, y, seed: 100 * honest_by_loop(x, y, seed), "per cent"),
]
