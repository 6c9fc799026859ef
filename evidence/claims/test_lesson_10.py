"""What lesson 10 says holds over other deals, other drawings and other shuffles."""

import functools

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from course.lesson_cells import run_cells
from helpers import data
from helpers.preprocessing import prepare

SEEDS = range(5)
QUICK = [pytest.param(0, marks=pytest.mark.quick), *SEEDS[1:]]


@functools.cache
def lesson():
    """The known rows, and what the lesson does with them, without what it tries out."""
    starts = (
        "import matplotlib", "known = ", "def smaller", "def score", "few = ", "generator = np.random.default_rng(3)",
        "def log_uniform", "def expected_best", "def nested", "home = ", "def search_and_judge",
    )  # fmt: skip
    return run_cells("10", starts)


@functools.cache
def thinned(seed):
    """The lesson's names with another thinned archive: X, y, groups, and `judged` on it."""
    change = {"rng(10)": f"rng([77, {seed}])", "range(1, 9)": "()"}
    return run_cells("10", ("few = ", "default = "), {**lesson()}, change)


@functools.cache
def curves(seed):
    """AUC of trees with leaves of 64, 16 and 1 rows, {held out: (3,)}, on a deal of a thinned archive."""
    change = {"[256, 64, 16, 4, 1]": "[64, 16, 1]", "range(5)": f"[{seed}]"}
    found = run_cells("10", "leaves = ", {**thinned(seed)}, change)["curves"]
    return {name: scores[1].mean(axis=(0, 2)) for name, scores in found.items()}


def test_preparing_learns_nothing_from_the_rows():
    known, columns = lesson()["known"], lesson()["columns"]
    rows = known.iloc[100:140]
    pd.testing.assert_frame_equal(prepare(known, columns).loc[rows.index], prepare(rows, columns))


@pytest.fixture(scope="module")
def learning():
    """{task: gains of one archive over another in 30 drawings, logistic regression}."""
    change = {
        "(6, 12, 18, 24), (10, 40, 1000)": "(12, 24), (40, 1000)",
        "range(10)": "range(100, 130)",
        # The loop asks for all sizes of the lesson
        'in ("state", "object"):\n    curve': "in ():\n    curve",
    }
    scope = run_cells("10", ("simple = ", "def equal_budget"), {**lesson()}, change)
    found = {}
    for task in ("state", "object"):
        score = functools.partial(scope["score"], task, scope["simple"])
        pairs = [[score(*rows) for rows in scope["equal_budget"](k)] for k in range(100, 130)]
        curve, few = scope["learning"][task, 1000], scope["learning"][task, 40]
        found[task] = np.diff(pairs).ravel(), curve[:, 1] - curve[:, 0], curve[:, 1] - few[:, 1]
    return found


def test_for_the_object_sources_are_the_currency(learning, record_property):
    spread, doubling, fewer_rows = learning["object"]
    record_property("AUC, 24 − 6 sources, equally many rows", spread.tolist())
    record_property("AUC, 24 − 12 sources, all rows", doubling.tolist())
    record_property("AUC, 24 sources, all − 40 rows of each", fewer_rows.tolist())
    assert spread.mean() > 2 * spread.std(ddof=1) / np.sqrt(len(spread))
    assert doubling.mean() > 2 * doubling.std(ddof=1) / np.sqrt(len(doubling))
    assert abs(fewer_rows.mean()) < 0.5 * doubling.mean(), "40 rows do as well"


def test_for_the_state_a_pointing_is_a_pointing_and_the_last_doubling_buys_little(
    learning, record_property
):
    spread, doubling, _ = learning["state"]
    record_property("balanced accuracy, 24 − 6 sources, equally many rows", spread.tolist())
    record_property("balanced accuracy, 24 − 12 sources, all rows", doubling.tolist())
    assert abs(spread.mean()) < 3 * spread.std(ddof=1) / np.sqrt(len(spread))
    assert abs(doubling.mean()) < 0.02


@pytest.mark.parametrize("seed", SEEDS)
def test_large_leaves_are_bad_and_a_forest_earns_its_place(seed, record_property):
    scope = thinned(seed)
    X, y, groups = (scope[name] for name in ("X", "y", "groups"))
    found = {
        leaf: scope["judged"]({"leaf": leaf, "features": "sqrt"}, seed, seed)
        for leaf in (0.1, 0.002, 1)
    }
    simple = make_pipeline(scope["front"](), LogisticRegression(max_iter=2000))
    cuts = {"cv": data.deal_sources(groups, y, 5, seed), "scoring": "roc_auc"}
    found["logistic"] = cross_val_score(simple, X, y, **cuts).mean()
    for name, value in found.items():
        what = name if name == "logistic" else f"forest with leaves of {name}"
        record_property(f"AUC, {what}", float(value))
    assert found[0.002] > max(found[0.1], found["logistic"]) + 0.02
    assert abs(found[0.002] - found[1]) < 0.02, "between small leaves there is a plateau"


def test_random_rows_flatter_and_on_average_the_most_complex_trees_most(record_property):
    bonus = np.array([curves(seed)["rows"] - curves(seed)["sources"] for seed in range(8)])
    for column, leaf in ((0, 64), (2, 1)):
        name = f"AUC of a tree with leaves of {leaf}, random rows − sources held out"
        record_property(name, bonus[:, column].tolist())
    assert (bonus[:, ::2].mean(axis=1) > 0).all()
    assert (bonus[:, 2] - bonus[:, 0]).mean() > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tree_of_single_rows_overfits_and_a_broad_middle_does_not(seed, record_property):
    for name, what in (("rows", "random rows"), ("sources", "sources held out")):
        *broad, single = curves(seed)[name]
        record_property(f"AUC, broad leaves − single rows, {what}", float(max(broad) - single))
        assert max(broad) - single > 0.01


@pytest.mark.parametrize("seed", QUICK)
def test_random_rows_find_something_in_shuffled_labels_and_held_out_sources_do_not(
    seed, record_property
):
    scope = {**thinned(seed), "curves": ("rows", "sources"), "leaves": np.array([256, 0, 16])}
    change = {"range(5)": f"[{seed}]", "default_rng(seed)": "default_rng(900 + seed)"}
    found = run_cells("10", "def shuffled", scope, change)["nonsense"]
    rows, held = found["rows"][seed], found["sources"][seed]
    record_property("AUC on shuffled labels, random rows", float(rows[1]))
    record_property("AUC on shuffled labels, sources held out", float(held[1]))
    assert rows[1] > max(0.62, rows[0])
    assert held[1] < min(0.62, rows[1] - 0.1)


def test_the_best_of_equals(record_property):
    found = []
    for seed in SEEDS:
        generator = np.random.default_rng(seed)
        best = lesson()["expected_best"](10, 1.0, generator)
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
        seeds = {"default_rng(5)": f"default_rng({seed})", "rng(6)": f"rng({10 + seed})"}
        scope = run_cells("10", "best = worth", {**lesson()}, seeds)
        gains.append(float(scope["best"].mean() - scope["grids"].mean()))
    record_property("best of nine trials (1 at the top), random − grid", gains)
    assert min(gains) > 0.1


def test_a_search_discovers_what_is_not_there_and_nesting_does_not(record_property):
    y, groups, search = (lesson()[name] for name in ("y", "groups", "search_and_judge"))
    shuffled = run_cells("10", "def shuffled", {**lesson(), "leaves": [], "curves": []})["shuffled"]
    pairs = {"true": [], "shuffled": []}
    for seed in SEEDS:
        pairs["true"].append(search(y, 10 + seed, 8).mean(axis=0))
        false = shuffled(y, groups, np.random.default_rng(300 + seed))
        pairs["shuffled"].append(search(false, 10 + seed, 8).mean(axis=0))
    true, false = map(np.array, pairs.values())
    for name, scores in pairs.items():
        record_property(f"AUC of the best, {name} labels", np.transpose(scores)[0].tolist())
        record_property(f"AUC nested, {name} labels", np.transpose(scores)[1].tolist())
    assert np.mean(false[:, 0] - false[:, 1]) > 0.02
    assert false[:, 1].mean() < 0.58
    assert false[:, 0].mean() > 0.5
    assert abs(np.mean(true[:, 0] - true[:, 1])) < 0.03
    assert (true[:, 1] > 0.8).all()
