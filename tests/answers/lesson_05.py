"""Answers to the exercises of lesson 05: other right routes, and wrong ones that no table holds."""

import cmath

import numpy as np
import pandas as pd
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from answers import changed
from course.checks import lesson_05


def scaled_by_scikit_learn(train, other):
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(other)


def scaled_with_ddof(train, other):
    return tuple((x - train.mean(0)) / train.std(0, ddof=1) for x in (train, other))


def complex_mean(hue):
    return np.degrees(cmath.phase(sum(cmath.rect(1, h) for h in np.radians(hue)))) % 360


def filled_by_loop(train, other):
    table = other.copy()
    for name in other:
        table[name] = other[name].fillna(train[name].median())
    for name in train.columns[train.isna().any()]:
        table[f"{name}_missing"] = other[name].isna()
    return table


def filled_in_place(train, other):
    table = filled_by_loop(train, other)
    other.fillna(train.median(), inplace=True)
    return table


def pca_by_svd(table):
    centred = table - table.mean(axis=0)
    _, values, components = np.linalg.svd(centred, full_matrices=False)
    return -components, values**2 / len(table)


def pca_by_eig(table):
    return np.linalg.eig(np.cov(table.T))


def appended(logarithmic, angle, others):
    logarithmic.append(angle)
    return lesson_05._features_from(logarithmic[:-1], angle, others)


def prepared(table, logarithmic, angle, others):
    columns = {name: np.log(table[name].where(table[name] > 0)) for name in logarithmic}
    radians = np.deg2rad(table[angle])
    columns |= {"s": np.sin(radians), "c": np.cos(radians)}
    return pd.DataFrame(columns | {name: table[name] for name in others})


def one_function(logarithmic, angle, others):
    names = {"logarithmic": logarithmic, "angle": angle, "others": others}
    fill = SimpleImputer(strategy="median", add_indicator=True)
    steps = {"t": FunctionTransformer(prepared, kw_args=names), "f": fill, "s": StandardScaler()}
    return Pipeline(list(steps.items())).set_output(transform="pandas")


def honest_by_loop(features, label, seed):
    scores = []
    for fit, held_out in StratifiedKFold(5, shuffle=True, random_state=seed).split(features, label):
        choice = SelectKBest(k=10).fit(features[fit], label[fit])
        model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
        said = model.fit(choice.transform(features[fit]), label[fit]).predict(
            choice.transform(features[held_out])
        )
        scores.append(balanced_accuracy_score(label[held_out], said))
    return np.mean(scores)


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
    *(
        (lesson_05.treatments, changed(lesson_05.treatments.reference(), **change), hint)
        for change, hint in (
            ({"lag_1": "log"}, "of either sign"),
            ({"exposure": "log"}, "the observer"),
            ({"hue": "as is"}, "after 359"),
        )
    ),
    (lesson_05.standardise, lambda a, b: (a - a.mean(0)) / a.std(0), "2 things"),
    (lesson_05.standardise, lambda a, b: (a / abs(a).max(0), b / abs(a).max(0)), "a mean of 0"),
    (lesson_05.mean_hue, lambda hue: hue[0], "see where their sum points"),
    (lesson_05.fill_and_mark, filled_in_place, "work on a copy"),
    (
        lesson_05.fill_and_mark,
        lesson_05._fill(lambda a, b: 0),
        "gaps get the median of that column",
    ),
    (lesson_05.fill_and_mark, lambda *two: filled_by_loop(*two).reset_index(drop=True), "index"),
    (lesson_05.fill_and_mark, lambda *two: filled_by_loop(*two).to_dict("list"), "index"),
    (lesson_05.fill_and_mark, lambda *two: filled_by_loop(*two).astype(str), "numbers"),
    (lesson_05.pca, lambda t: (np.eye(t.shape[1]), t.var(0)), "see the figure"),
    (lesson_05.pca, lambda t: (pca_by_svd(t)[0].T, pca_by_svd(t)[1]), "into rows"),
    (lesson_05.pca, lambda t: (pca_by_svd(t)[0][::-1], pca_by_svd(t)[1]), "into rows"),
    (lesson_05.pca, lambda t: pca_by_eig(t)[::-1], "not the largest first"),
    (lesson_05.pca, lambda t: (pca_by_eig(t)[1].T, pca_by_eig(t)[0]), "not the largest first"),
    (lesson_05.features_from, lambda a, b, c: prepared, "Expected a Pipeline"),
    (
        lesson_05.features_from,
        lambda *names: make_pipeline(lesson_05._features_from(*names), LogisticRegression()),
        "model at the end",
    ),
    (lesson_05.features_from, lesson_05._chain(log=np.sqrt), "for the first logarithm"),
    (lesson_05.features_from, appended, "changes the lists"),
    (lesson_05.honest_score, lambda x, y, seed: 0.123, "With seed 0"),
]
