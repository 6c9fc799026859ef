"""What lesson 10 says holds over other deals, other drawings and other shuffles."""

import functools

import numpy as np
import pandas as pd
import pytest
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
        "import matplotlib", "from course.checks", "known = ", "def smaller", "def front", "def predicted",
        "def score(", "def draw_archive", "def shuffled", "def simplest_good", "def worth", "def log_uniform",
        "def expected_best", "def nested", "def draw_candidates",
    )  # fmt: skip
    return again(("few = ", *ON_FEW), run_cells("10", starts))


# These use the thinned archive.
ON_FEW = (
    "def two_cuts",
    "def judged",
    "def auc_outside",
    "def search_and_judge",
    "disc = ",
    "def compare",
)


def again(starts, scope=None, change=None, **names):
    """The lesson's names after some of its cells have run, with other seeds."""
    return run_cells("10", starts, {**(lesson() if scope is None else scope), **names}, change)


@functools.cache
def thinned(seed):
    """The lesson's names with another thinned archive: X, y, groups, and what is asked of it."""
    return again(("few = ", *ON_FEW), change={"rng(10)": f"rng([77, {seed}])"})


@functools.cache
def curves(seed):
    """AUC of trees with leaves of 64, 16 and 1 rows, {held out: (3,)}, on a deal of a thinned archive."""
    change = {"[256, 64, 16, 4, 1]": "[64, 16, 1]", "range(5)": f"[{seed}]"}
    auc = again("leaves = ", thinned(seed), change)["auc"]
    return {
        cut: auc[f"held out: {cut}", seed].to_numpy() for cut in ("random rows", "whole sources")
    }


def test_preparing_learns_nothing_from_the_rows():
    known, columns = lesson()["known"], lesson()["columns"]["object"]
    rows = known.iloc[100:140]
    pd.testing.assert_frame_equal(prepare(known, columns).loc[rows.index], prepare(rows, columns))


@pytest.fixture(scope="module")
def learning():
    """{task: gains of one archive over another in 30 drawings, logistic regression}."""
    change = {"(6, 12, 18, 24)": "(12, 24)", "(10, 40, 1000)": "(40, 1000)"}
    scope = again(
        ("learning = ", "def equal_budget"), change={**change, "range(10)": "range(100, 130)"}
    )
    found = {}
    for task in ("state", "object"):
        score = functools.partial(scope["score"], task, scope["straight"])
        pairs = [[score(*rows) for rows in scope["equal_budget"](k)] for k in range(100, 130)]
        every, few = scope["learning"][task, 1000], scope["learning"][task, 40]
        found[task] = np.diff(pairs).ravel(), every[24] - every[12], every[24] - few[24]
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


def test_large_leaves_are_bad_and_a_forest_beats_a_straight_line(record_property):
    found = {leaf: [] for leaf in (0.1, 0.002, 1, "logistic")}
    for seed in SEEDS:
        scope = thinned(seed)
        X, y, groups = (scope[name] for name in ("X", "y", "groups"))
        simple = make_pipeline(scope["front"](), scope["straight"])
        cuts = {"cv": data.deal_sources(groups, y, 5, seed), "scoring": "roc_auc"}
        found["logistic"].append(cross_val_score(simple, X, y, **cuts).mean())
        for leaf in (0.1, 0.002, 1):
            forest = {"min_samples_leaf": leaf, "max_features": "sqrt"}
            found[leaf].append(float(scope["judged"](forest, seed, seed)))
    for name, values in found.items():
        what = name if name == "logistic" else f"forest with leaves of {name}"
        record_property(f"AUC, {what}", values)
    large, small, least, straight = map(np.array, found.values())
    assert min(small - large) > 0.02
    assert min(small - straight) > 0
    assert np.mean(small - straight) > 0.02
    assert max(abs(small - least)) < 0.02, "between small leaves there is a plateau"


@pytest.mark.parametrize("seed", SEEDS)
def test_one_search_does_not_show_its_optimism(seed, record_property):
    """The gain of the winner over the default, on the deal of the search and on others."""
    scope = again(("forest = ", "default = ", "winner = "), thinned(seed))
    rows = scope["compared"].loc["winner less default"]
    lost = rows["deal of the search"] - rows["eight other deals"]
    scatter = scope["twins"]["same deal"].std()
    record_property("AUC, winner − default, on other deals", float(rows["eight other deals"]))
    record_property("its paired error", float(rows["its error"]))
    record_property("optimism of picking, AUC", float(lost))
    record_property("scatter of identical models on one deal, AUC", float(scatter))
    assert abs(lost) < 2 * scatter


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rule_takes_one_square_and_no_forest(seed, record_property):
    scope = again("def compare", thinned(seed), {"seed=0": f"seed={seed}"})
    table, taken = scope["compare"]("object", scope["few"], 6)
    gain = table[4] - table[1]
    record_property(
        "AUC, forest with leaves of 3 − logistic + disc², six folds", float(gain.mean())
    )
    assert taken == "logistic + disc²"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_forest_gains_less_than_its_paired_error_over_one_square(seed, record_property):
    """All rows, each asked of models that have not met its source; the error draws sources."""
    change = {
        "{task: compare(task, np.intersect1d(inside, pool[task]), 3)[1] for task in finalists}": "FIXED"
    }
    change |= {"seed=1": f"seed={100 + seed}", "rng(12)": f"rng([12, {seed}])"}
    fixed = {"state": "C = 0.1", "object": "logistic + disc²"}
    cells = "rivals = ", "def scores_of", "generator = np.random.default_rng(12)"
    scope = again(cells, change=change, FIXED=fixed)
    found, errors = scope["scores_of"](scope["said"]), scope["skies"].std()
    for name, what in (("logistic", "straight line"), ("forest, leaf 3", "forest")):
        record_property(f"AUC, {what} − logistic + disc²", found[f"{name}, less + disc²"])
        record_property(f"its error, sources drawn, {what}", float(errors[f"{name}, less + disc²"]))
    record_property("AUC, logistic + disc²", found["logistic + disc²"])
    assert -found["logistic, less + disc²"] > 2 * errors["logistic, less + disc²"]
    assert abs(found["forest, leaf 3, less + disc²"]) < errors["forest, leaf 3, less + disc²"]


def test_random_rows_flatter_and_on_average_the_most_complex_trees_most(record_property):
    bonus = np.array(
        [curves(seed)["random rows"] - curves(seed)["whole sources"] for seed in range(8)]
    )
    for column, leaf in ((0, 64), (2, 1)):
        name = f"AUC of a tree with leaves of {leaf}, random rows − sources held out"
        record_property(name, bonus[:, column].tolist())
    assert (bonus[:, ::2].mean(axis=1) > 0).all()
    assert (bonus[:, 2] - bonus[:, 0]).mean() > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tree_of_single_rows_overfits_and_a_broad_middle_does_not(seed, record_property):
    for name, what in (("random rows", "random rows"), ("whole sources", "sources held out")):
        *broad, single = curves(seed)[name]
        record_property(f"AUC, broad leaves − single rows, {what}", float(max(broad) - single))
        assert max(broad) - single > 0.01


@pytest.mark.parametrize("seed", QUICK)
def test_random_rows_find_something_in_shuffled_labels_and_held_out_sources_do_not(
    seed, record_property
):
    change = {"range(5)": f"[{seed}]", "default_rng(seed)": "default_rng(900 + seed)"}
    scope = again(
        "leaves = ", thinned(seed), {"range(5)": "()", 'auc.columns.names = ["rows", "deal"]': ""}
    )
    found = again("some_leaves", scope, {"leaves[::2]": "[256, 16]"} | change)["nonsense"]
    rows, held = (found.loc[(cut, seed)].to_numpy() for cut in ("random rows", "whole sources"))
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
        best = again("at_random = ", change=seeds)["best_of_nine"]
        gains.append(float(best["random"].mean() - best["grid"].mean()))
    record_property("best of nine trials (1 at the top), random − grid", gains)
    assert min(gains) > 0.1


def test_a_search_discovers_what_is_not_there_and_nesting_does_not(record_property):
    y, groups, search = (lesson()[name] for name in ("y", "groups", "search_and_judge"))
    pairs = {"true": [], "shuffled": []}
    for seed in SEEDS:
        pairs["true"].append(search(y, 10 + seed, 8))
        false = lesson()["shuffled"](y, groups, np.random.default_rng(300 + seed))
        pairs["shuffled"].append(search(false, 10 + seed, 8))
    true, false = map(np.array, pairs.values())
    for name, scores in pairs.items():
        record_property(f"AUC of the best, {name} labels", np.transpose(scores)[0].tolist())
        record_property(f"AUC nested, {name} labels", np.transpose(scores)[1].tolist())
    assert np.mean(false[:, 0] - false[:, 1]) > 0.02
    assert false[:, 1].mean() < 0.58
    assert false[:, 0].mean() > 0.5
    assert abs(np.mean(true[:, 0] - true[:, 1])) < 0.03
    assert (true[:, 1] > 0.8).all()
