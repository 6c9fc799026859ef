"""What lesson 10 says holds over other deals, other drawings and other shuffles."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course.checks import lesson_10
from helpers import data
from helpers.preprocessing import GROUPS, STATE_FEATURES, prepare, preprocessor

SEEDS = range(5)
smaller, expected_best = lesson_10.smaller.reference(), lesson_10.expected_best.reference()
nested, log_uniform = lesson_10.nested.reference(), lesson_10.log_uniform.reference()
COLUMNS = [*STATE_FEATURES, *GROUPS["lags"]]


@pytest.fixture(scope="module")
def known():
    return pd.concat(data.load_split(), ignore_index=True)


@pytest.fixture(scope="module")
def archive(known):
    X = {
        "state": prepare(known, STATE_FEATURES).to_numpy(),
        "object": prepare(known, COLUMNS).to_numpy(),
    }
    y = {
        "state": known.state_label.to_numpy(str),
        "object": (known.object_label == "BH").to_numpy(),
    }
    return X, y, known.source_id.to_numpy(str)


@pytest.fixture(scope="module", params=SEEDS)
def thinned(archive, request):
    """Another thinned archive for each seed: features, labels, sources, seed."""
    X, y, sources = archive
    few = smaller(sources, 37, 40, np.random.default_rng([77, request.param]))
    return X["object"][few], y["object"][few], sources[few], request.param


def front():
    return preprocessor(COLUMNS)[1:].set_output(transform="default")


def auc(model, X, y, cuts):
    scores = []
    for inside, outside in cuts:
        fitted = make_pipeline(front(), model).fit(X[inside], y[inside])
        scores.append(roc_auc_score(y[outside], fitted.predict_proba(X[outside])[:, 1]))
    return np.mean(scores)


def shuffled(label, groups, generator):
    _, first, which = np.unique(groups, return_index=True, return_inverse=True)
    return generator.permutation(label[first])[which]


def trees(X, y, groups, seed, leaves):
    """AUC (2, n_leaves) with random rows and with whole sources held out."""
    cuts = (
        list(KFold(5, shuffle=True, random_state=seed).split(X)),
        data.deal_sources(groups, y, 5, seed),
    )
    grown = [DecisionTreeClassifier(min_samples_leaf=leaf, random_state=0) for leaf in leaves]
    return np.array([[auc(tree, X, y, cut) for tree in grown] for cut in cuts])


def test_preparing_learns_nothing_from_the_rows(known):
    rows = known.iloc[100:140]
    pd.testing.assert_frame_equal(prepare(known, COLUMNS).loc[rows.index], prepare(rows, COLUMNS))


@pytest.fixture(scope="module")
def learning(archive):
    """Scores (30 drawings, 5 archives) of the logistic model for both tasks."""
    X, y, sources = archive
    black_hole, found = y["object"], {"state": [], "object": []}
    for seed in range(100, 130):
        generator, held, train = np.random.default_rng(seed), [], {}
        sizes = {
            "6": (2, 4, 80),
            "24": (8, 16, 10),
            "12 all": (4, 8, 1000),
            "24 all": (8, 16, 1000),
            "24 x 40": (8, 16, 40),
        }
        for kind, n_held in ((True, 4), (False, 9)):
            names = generator.permutation(np.unique(sources[black_hole == kind]))
            held.append(np.flatnonzero(np.isin(sources, names[:n_held])))
            for name, (n_black, n_neutron, n_rows) in sizes.items():
                n = n_black if kind else n_neutron
                own = np.flatnonzero(np.isin(sources, names[n_held : n_held + n]))
                train.setdefault(name, []).append(own[smaller(sources[own], n, n_rows, generator)])
        held = np.concatenate(held)
        train = {name: np.concatenate(rows) for name, rows in train.items()}
        n = min(len(train["6"]), len(train["24"]))
        for name in ("6", "24"):
            train[name] = generator.permutation(train[name])[:n]
        for task, scores in found.items():
            scores.append([])
            for rows in train.values():
                model = make_pipeline(front(), LogisticRegression(max_iter=2000))
                model.fit(X[task][rows], y[task][rows])
                scores[-1].append(
                    balanced_accuracy_score(y[task][held], model.predict(X[task][held]))
                    if task == "state"
                    else roc_auc_score(y[task][held], model.predict_proba(X[task][held])[:, 1])
                )
    return {task: np.array(scores) for task, scores in found.items()}


def test_for_the_object_sources_are_the_currency(learning, record_property):
    scores = learning["object"]
    spread, doubling = scores[:, 1] - scores[:, 0], scores[:, 3] - scores[:, 2]
    fewer_rows = scores[:, 3] - scores[:, 4]
    record_property("AUC, 24 − 6 sources, equally many rows", spread.tolist())
    record_property("AUC, 24 − 12 sources, all rows", doubling.tolist())
    record_property("AUC, 24 sources, all − 40 rows of each", fewer_rows.tolist())
    assert spread.mean() > 2 * spread.std(ddof=1) / np.sqrt(len(spread))
    assert doubling.mean() > 2 * doubling.std(ddof=1) / np.sqrt(len(doubling))
    assert abs(fewer_rows.mean()) < 0.5 * doubling.mean(), "40 rows do as well"


def test_for_the_state_a_pointing_is_a_pointing_and_the_last_doubling_buys_little(
    learning, record_property
):
    scores = learning["state"]
    spread, doubling = scores[:, 1] - scores[:, 0], scores[:, 3] - scores[:, 2]
    record_property("balanced accuracy, 24 − 6 sources, equally many rows", spread.tolist())
    record_property("balanced accuracy, 24 − 12 sources, all rows", doubling.tolist())
    assert abs(spread.mean()) < 3 * spread.std(ddof=1) / np.sqrt(len(spread))
    assert abs(doubling.mean()) < 0.02


def test_large_leaves_are_bad_and_a_forest_earns_its_place(thinned, record_property):
    X, y, groups, seed = thinned
    cuts = data.deal_sources(groups, y, 5, seed)
    models = {
        leaf: RandomForestClassifier(20, min_samples_leaf=leaf, random_state=seed)
        for leaf in (0.1, 0.002, 1)
    }
    models["logistic"] = LogisticRegression(max_iter=2000)
    found = {name: auc(model, X, y, cuts) for name, model in models.items()}
    for name, value in found.items():
        what = name if name == "logistic" else f"forest with leaves of {name}"
        record_property(f"AUC, {what}", float(value))
    assert found[0.002] > max(found[0.1], found["logistic"]) + 0.02
    assert abs(found[0.002] - found[1]) < 0.02, "between small leaves there is a plateau"


def test_random_rows_flatter_and_on_average_the_most_complex_trees_most(archive, record_property):
    X, y, sources = archive
    bonus = []
    for seed in range(8):
        few = smaller(sources, 37, 40, np.random.default_rng([77, seed]))
        scores = trees(X["object"][few], y["object"][few], sources[few], seed, leaves=(64, 1))
        bonus.append(scores[0] - scores[1])
    bonus = np.array(bonus)
    for column, leaf in enumerate((64, 1)):
        name = f"AUC of a tree with leaves of {leaf}, random rows − sources held out"
        record_property(name, bonus[:, column].tolist())
    assert (bonus.mean(axis=1) > 0).all()
    assert (bonus[:, 1] - bonus[:, 0]).mean() > 0


def test_a_tree_of_single_rows_overfits_and_a_broad_middle_does_not(thinned, record_property):
    scores = trees(*thinned, leaves=(64, 16, 1))
    loss = scores[:, :2].max(axis=1) - scores[:, 2]
    record_property("AUC, broad leaves − single rows, random rows", float(loss[0]))
    record_property("AUC, broad leaves − single rows, sources held out", float(loss[1]))
    assert (loss > 0.01).all()


def test_random_rows_find_something_in_shuffled_labels_and_held_out_sources_do_not(
    thinned, record_property
):
    X, y, groups, seed = thinned
    false = shuffled(y, groups, np.random.default_rng(900 + seed))
    rows, held = trees(X, false, groups, seed, leaves=(256, 16))
    record_property("AUC on shuffled labels, random rows", float(rows[1]))
    record_property("AUC on shuffled labels, sources held out", float(held[1]))
    assert rows[1] > max(0.62, rows[0])
    assert held[1] < min(0.62, rows[1] - 0.1)


def test_the_best_of_equals(record_property):
    found = []
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        best = expected_best(10, 1.0, generator)
        shared = np.sqrt(0.8) * generator.normal(size=(20_000, 1))
        scores = shared + np.sqrt(0.2) * generator.normal(size=(20_000, 10))
        found.append((float(best), float(scores.max(axis=1).mean())))
    record_property("best of ten equals, sd above the mean (exact: 1.539)", [b for b, _ in found])
    record_property("best of ten, correlated by 0.8 (exact: 0.688)", [b for _, b in found])
    for best, correlated in found:
        assert best == pytest.approx(1.539, abs=0.03)
        assert 1.3 < np.sqrt(2 * np.log(10)) / best < 1.45  # too large by about a third
        assert correlated == pytest.approx(np.sqrt(0.2) * 1.539, abs=0.03)


def test_random_search_beats_the_grid_where_one_knob_matters(record_property):
    gains = []
    for seed in SEEDS:
        generator = np.random.default_rng(seed)

        def worth(at):
            return np.exp(-0.5 * ((at - 0.3) / 0.09) ** 2)

        grid = np.arange(3) / 3 + generator.random((2000, 1)) / 3
        random = worth(generator.random((2000, 9))).max(axis=1).mean()
        gains.append(float(random - worth(grid).max(axis=1).mean()))
    record_property("best of nine trials (1 at the top), random − grid", gains)
    assert min(gains) > 0.1


def test_a_search_discovers_what_is_not_there_and_nesting_does_not(archive, record_property):
    X, y, sources = archive
    few = smaller(sources, 37, 40, np.random.default_rng(10))
    X, y, groups = X["object"][few], y["object"][few], sources[few]
    pairs = {"true": [], "false": []}
    for seed in SEEDS:
        generator = np.random.default_rng(300 + seed)
        false = shuffled(y, groups, generator)
        sets = [generator.random(X.shape[1]) < 0.5 for _ in range(8)]
        candidates = list(zip(log_uniform(1e-4, 1, 8, generator), sets, strict=True))

        def scores(chosen, label, inside, outside):
            # Medians and scales belong to single columns: once for all candidates.
            scaler = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
            seen, unseen = scaler.fit(X[inside]).transform(X[inside]), scaler.transform(X[outside])
            for C, own in chosen:
                model = LogisticRegression(C=C, max_iter=2000, tol=1e-3)
                model.fit(seen[:, own], label[inside])
                yield roc_auc_score(label[outside], model.decision_function(unseen[:, own]))

        for name, label in (("true", y), ("false", false)):

            def tune(inside, label=label, scores=scores, seed=seed, candidates=candidates):
                cuts = data.deal_sources(groups[inside], label[inside], 3, seed)
                table = [list(scores(candidates, label, inside[a], inside[b])) for a, b in cuts]
                mean = np.mean(table, axis=0)
                return candidates[mean.argmax()], mean.max()

            def judge(choice, inside, outside, label=label, scores=scores):
                return next(scores([choice], label, inside, outside))

            pairs[name].append(nested(groups, label, 5, seed, tune, judge).mean(axis=0))
    true, false = (np.array(pairs[name]) for name in ("true", "false"))
    for name, scores in (("true", true), ("shuffled", false)):
        record_property(f"AUC of the best, {name} labels", scores[:, 0].tolist())
        record_property(f"AUC nested, {name} labels", scores[:, 1].tolist())
    assert np.mean(false[:, 0] - false[:, 1]) > 0.02
    assert false[:, 1].mean() < 0.58
    assert false[:, 0].mean() > 0.5
    assert abs(np.mean(true[:, 0] - true[:, 1])) < 0.03
    assert (true[:, 1] > 0.8).all()
