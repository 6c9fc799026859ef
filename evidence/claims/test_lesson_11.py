"""What lesson 11 says in prose holds over other draws of sources, deals, seeds and plants, not only in its figures."""

import functools

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from course.lesson_cells import run_cells
from helpers import data
from helpers.preprocessing import GROUPS
from helpers.resampling import resample_sources

SEEDS = range(5)


@functools.cache
def lesson():
    """The lesson's tables, models and answers."""
    starts = (
        "import matplotlib", "from course.checks", "columns = ", "def state_score", "def curvature_errors",
        "def shuffled_singly", "def shuffled_together", "def turning_points", "def saliency",
    )  # fmt: skip
    return run_cells("11", starts)


def again(starts, change=None, **names):
    """The lesson's names after some of its cells have run, with other tables or models."""
    return run_cells("11", starts, {**lesson(), **names}, change)


def fitted(task, table, label=None):
    """The lesson's model, trained on other rows or labels."""
    return clone(lesson()["models"][task]).fit(
        table, table[f"{task}_label"] if label is None else label
    )


def deals(seed, table=None, n=5):
    """(training rows, rows of held-out sources) of each fold."""
    table = lesson()["train"] if table is None else table
    folds = GroupKFold(n, shuffle=True, random_state=seed)
    for rows in folds.split(table, groups=table.source_id):
        yield tuple(table.iloc[some].reset_index(drop=True) for some in rows)


@functools.cache
def nicer():
    table = data.load_observations("nicer")
    table.attrs = {}
    return table


@pytest.mark.parametrize("seed", SEEDS)
def test_printed_errors_are_too_small_for_the_object_and_not_for_the_state(seed, record_property):
    change = {"default_rng(11)": f"default_rng(200 + {seed})", "range(30)": "range(12)"}
    scope = again(("def in_other_skies", "questions = "), change)
    ratios, twins, six = {}, [], {}
    for name, task in (("neutron star?", "object"), ("hard state?", "state")):
        table, draws = scope["coefficients"][name], scope["skies"][name]
        ratios[task] = table.sources / table.printed
        colours, rms = draws[["hr_soft", "hr_hard"]], draws[[f"log_{r}" for r in GROUPS["rms"]]]
        trade = [own.sum(axis=1).std() / np.sqrt(own.var().sum()) for own in (colours, rms)]
        twins.append(trade[0])
        six[task] = trade[1]
        what = f"scatter over skies / printed error, median coefficient, {task}"
        record_property(what, float(ratios[task].median()))
    of_colour = ratios["object"]["hr_soft"]
    record_property("scatter over skies / printed error, hr_soft, object", float(of_colour))
    assert of_colour > 3, "several times"
    assert max(twins) < 1, "twins trade weight"
    assert ratios["object"].median() > 1.7
    assert ratios["state"].median() < 1.4
    assert ratios["object"].median() > 1.7 * ratios["state"].median()
    assert six["state"] < min(0.9, six["object"]), "six rms trade weight for the state"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_copy_halves_the_importance_and_noise_has_none(seed, record_property):
    learn, judge = next(deals(seed))
    change = {"rng(112)": f"rng({seed})", '"n_repeats": 5': '"n_repeats": 1'}
    cells = "def shuffled_singly", "generator = np.random.default_rng(112)"
    scope = again(cells, change, train=learn, validation=judge)
    model, losses = scope["twins"], scope["double"].loss
    coefficients = pd.DataFrame(model[-1].coef_, columns=model[:-1].get_feature_names_out())
    name = "difference of the coefficients of hr_soft and its copy"
    record_property(name, float((coefficients.hr_soft - coefficients.hr_3_10).abs().max()))
    for name in ("noise", "rms_0p25_2"):
        record_property(f"balanced accuracy lost by shuffling {name}", float(losses[name]))
    assert np.allclose(coefficients.hr_soft, coefficients.hr_3_10, atol=0.02), "two halves"
    assert abs(losses["noise"]) < 0.02, "some ten SIMS in a fold decide on a hundredth"
    assert losses["rms_0p25_2"] > 2 * abs(losses["noise"])


def test_the_rms_as_a_group_matter_most(record_property):
    score, shuffled = lesson()["state_score"], lesson()["shuffled_together"]
    parts = {**GROUPS, **{name: [name] for name in ("qpo_freq", "rms_0p25_2")}}
    del parts["lags"]
    means = []
    for seed in SEEDS:
        generator, losses = np.random.default_rng(seed), []
        for learn, judge in deals(seed):
            model = fitted("state", learn)
            left = {n: score(shuffled(judge, own, generator), model) for n, own in parts.items()}
            losses.append(score(judge, model) - pd.Series(left))
        means.append(np.mean(losses, axis=0))
    means = pd.DataFrame(means, columns=list(parts))
    for name, what in (("rms", "all rms"), ("rms_0p25_2", "one rms"), ("qpo_freq", "qpo_freq")):
        record_property(f"balanced accuracy lost by shuffling {what}", means[name].tolist())
    assert (means.idxmax(axis=1) == "rms").all()
    assert (means["rms"] > 1.3 * means["qpo_freq"]).all()
    assert (means["rms"] > means["rms_0p25_2"]).all()


def test_no_pointing_is_soft_and_varies_like_a_hard_one(record_property):
    for table in (lesson()["train"], lesson()["validation"]):
        soft = table[table.hr_hard < 0.5]
        assert np.mean(soft.rms_0p1_64 > 0.25) < 0.01, "hardly any"
    rises = []
    for seed in SEEDS:
        sky = resample_sources(lesson()["train"], np.random.default_rng(seed))
        scope = again("plane = train.dropna", train=sky, models={"state": fitted("state", sky)})
        answers, colour = scope["answers"], scope["plane"].hr_hard
        seen = [answers[colour.between(*edges)].mean() for edges in ((0.2, 0.5), (1.1, 1.4))]
        rises.append((scope["mean"][-1] - scope["mean"][0], seen[1] - seen[0]))
    of_curve, of_rows = np.transpose(rises)
    record_property("rise of P(LHS) along hr_hard, partial dependence", of_curve.tolist())
    record_property("rise of P(LHS) along hr_hard, rows that exist", of_rows.tolist())
    assert (of_curve > 0).all()
    assert (of_curve < 0.5 * of_rows).all()


@functools.cache
def turns(seed):
    """Of all held-out calls: right; to be turned by one feature; by one error of two colours."""
    found = []
    for learn, judge in deals(seed):
        models = {"object": fitted("object", learn)}
        cells = "ready = ", "colours = ["
        scope = again(cells, {"size=(50,": "size=(1,"}, validation=judge, models=models)
        found.append((scope["right"], scope["possible"].any(axis=1), scope["needed"] <= 1))
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("seed", SEEDS)
def test_wrong_calls_of_the_object_are_easier_to_turn(seed, record_property):
    right, possible, turned = turns(seed)
    for name, own in (("wrong", ~right), ("right", right)):
        what = f"{name} calls that one feature in the source's range turns"
        record_property(what, float(possible[own].mean()))
    record_property("calls that the errors of two colours turn", float(turned.mean()))
    assert possible[~right].mean() > possible[right].mean() > 0.4
    assert 0.002 < turned.mean() < 0.1, "a few per cent"
    assert np.mean(~right[turned]) > np.mean(~right)


@pytest.mark.parametrize("seed", SEEDS)
def test_of_the_calls_that_depend_on_the_errors_of_two_colours_about_half_are_wrong(
    seed, record_property
):
    right, _, turned = turns(seed)
    record_property("share of calls that depend on two colours", float(turned.mean()))
    record_property("share of them that are wrong", float(np.mean(~right[turned])))
    assert 0.01 < turned.mean() < 0.06, "a few per cent"
    assert 0.3 < np.mean(~right[turned]) < 0.7


def test_maps_of_seeds_agree_even_on_stolen_labels(record_property):
    scope = again(("light = ", "def map_of", "def stolen_labels"))
    learn, truth = scope["learn"], scope["truth"]

    def maps(draw, shift=0):
        """Scores, and maps of SIMS, of networks on five draws of rows and labels."""
        draws = [draw(seed) for seed in SEEDS]
        runs = [scope["map_of"](*draws[k], shift + k) for k in SEEDS]
        return np.array([score for score, _ in runs]), [of_sims for _, of_sims in runs]

    def other_sources(seed):
        generator = np.random.default_rng(seed)
        return resample_sources(scope["learnable"], generator).row.to_numpy(copy=True), truth

    def steal(seed):
        return learn, scope["stolen_labels"](np.random.default_rng(50 + seed))

    runs = {
        "seeds": maps(lambda seed: (learn, truth)),
        "draws of sources": maps(other_sources),
        "thefts": maps(steal),
    }
    _, others = maps(steal, shift=10)  # other seeds, same thefts
    pairs = zip(runs["thefts"][1], others, strict=True)
    same = [float(np.corrcoef(one, two)[0, 1]) for one, two in pairs]
    agree, scores = {}, {name: scores for name, (scores, _) in runs.items()}
    for name, (_, found) in runs.items():
        agree[name] = np.corrcoef(found)[np.triu_indices(5, 1)].mean()
        record_property(f"mean correlation of the maps of five {name}", float(agree[name]))
    record_property("correlation of the maps of two seeds, stolen labels", same)
    record_property("balanced accuracy", scores["seeds"].tolist())
    record_property("balanced accuracy, stolen labels", scores["thefts"].tolist())
    assert agree["seeds"] > 0.85
    assert np.mean(same) > 0.5, "nothing to learn, and yet one map"
    assert abs(agree["thefts"]) < 0.3 < agree["draws of sources"] < agree["seeds"]
    assert scores["seeds"].min() > 0.5
    assert abs(scores["thefts"].mean() - 0.25) < 0.12, "no better than chance"


@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.quick), *SEEDS[1:]])
def test_the_exposure_predicts_and_does_not_cause(seed, record_property):
    change = {'"n_repeats": 5, "random_state": 0': f'"n_repeats": 1, "random_state": {seed}'}
    found, names = [], []
    for learn, judge in deals(seed):
        cells = "def shuffled_singly", "quick = ", "drops = ", "do = "
        scope = again(cells, change, train=learn, validation=judge)
        finds, lost = scope["finds"], scope["drops"].loss
        before, after = finds(judge, scope["looks"]["without"]), finds(judge)
        gain = {"gain": after - before, "left": finds(scope["do"][1500]) - before}
        called, names = scope["called"], list(lost.index)
        found.append({**lost, **gain, "few": called[1000], "all": called[4000]})
    mean = pd.DataFrame(found).mean()
    record_property("AUC gained by the exposure", float(mean["gain"]))
    record_property("AUC gained if all had one exposure", float(mean["left"]))
    record_property("share called moving at 1000 s", float(mean["few"]))
    record_property("share called moving at 4000 s", float(mean["all"]))
    assert mean["gain"] > 0.015
    assert abs(mean["left"]) < 0.01, "nothing is left of it"
    assert mean[names].idxmax() == "exposure"
    assert mean["few"] < 0.03
    assert mean["all"] > 0.85


def test_nicer_objects_are_a_coin_within_the_error(record_property):
    skies = (resample_sources(nicer(), np.random.default_rng(seed)) for seed in range(30))
    auc = [float(lesson()["object_score"](sky)) for sky in skies]
    record_property("AUC of the object, NICER", auc)
    assert abs(np.mean(auc) - 0.5) < np.std(auc)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_telescope_leaves_the_object_model_sure_and_wrong(seed, record_property):
    generator, model = np.random.default_rng(seed), lesson()["models"]["object"]
    auc, sure, hit = [], [], []
    for name, table in (("RXTE", lesson()["validation"]), ("NICER", nicer())):
        sky = resample_sources(table, generator)
        chance = model.predict_proba(sky)
        auc.append(roc_auc_score(sky.object_label == "NS", chance[:, 1]))
        sure.append(chance.max(axis=1))
        hit.append((model.predict(sky) == sky.object_label).to_numpy())
        record_property(f"AUC of the object, {name}", float(auc[-1]))
        record_property(f"mean probability of the call, {name}", float(sure[-1].mean()))
    assert auc[0] > 0.85
    assert auc[1] < auc[0] - 0.1
    assert sure[1].mean() > sure[0].mean() - 0.05, "undiminished"
    assert hit[1][sure[1] > 0.95].mean() < hit[0][sure[0] > 0.95].mean() - 0.1


def test_a_model_of_black_holes_loses_more_accuracy_than_confidence_on_neutron_stars(
    record_property,
):
    both = pd.concat([lesson()["train"], lesson()["validation"]], ignore_index=True)
    holes, stars = (both[both.object_label == kind] for kind in ("BH", "NS"))
    lost = []
    for seed in SEEDS:
        rows = []
        for learn, judge in deals(seed, holes, n=4):
            model = fitted("state", learn)
            for table in (judge, stars):
                sure = model.predict_proba(table).max(axis=1).mean()
                rows.append(((model.predict(table) == table.state_label).mean(), sure))
        right, sure = np.reshape(rows, (4, 2, 2)).mean(axis=0).T
        lost.append((right[0] - right[1], sure[0] - sure[1]))
    accuracy, confidence = np.transpose(lost)
    record_property("accuracy, BH − NS", accuracy.tolist())
    record_property("mean probability of the call, BH − NS", confidence.tolist())
    assert accuracy.min() > 0.1, "some twenty points"
    assert accuracy.max() < 0.3, "some twenty points"
    assert (confidence < 0.7 * accuracy).all()


def test_alarms_ring_for_new_sources_too_and_miss_a_lot(record_property):
    rings = {"Mahalanobis": [], "isolation forest": []}
    for seed in SEEDS:
        learn, judge = next(deals(seed))
        change = {"rng(117)": f"rng({seed})", "random_state=0": f"random_state={seed}"}
        models = {"state": fitted("state", learn)}
        skies = {"validation": judge, "NICER": nicer()}
        cells = "generator = np.random.default_rng(117)", "covariance = "
        found = again(cells, change, train=learn, sky_of=skies, models=models)["rings"]
        assert found.loc["+8σ"].min() == 1
        for name, shares in rings.items():
            shares.append(found[name])
    rings = {name: pd.DataFrame(shares) for name, shares in rings.items()}
    for name, title in (("Mahalanobis", "Mahalanobis distance"), ("isolation forest",) * 2):
        record_property(f"share with an alarm, NICER, {title}", rings[name].NICER)
        record_property(f"share with an alarm, columns shuffled, {title}", rings[name].shuffled)
    false = rings["Mahalanobis"].validation
    record_property("share with an alarm, new sources, Mahalanobis distance", false)
    for shares in rings.values():
        assert shares.NICER.between(0.05, 0.5).all(), "most NICER rows pass"
    assert rings["isolation forest"].shuffled.max() < 0.2
    assert rings["Mahalanobis"].shuffled.min() > 0.4
    assert false.mean() > 0.01


def test_a_habit_hides_its_errors_and_random_slips_do_not(record_property):
    both = pd.concat([lesson()["train"], lesson()["validation"]], ignore_index=True)
    left = {"labels as they are": [], "a reader's habit": []}
    for seed in SEEDS:
        sources = np.random.default_rng(seed).permutation(both.source_id.unique())
        inside = both.source_id.isin(sources[:24])
        again_on = {"train": both[inside], "validation": both[~inside]}
        found = again("real = ", **again_on)["checks"]
        for name, shares in left.items():
            shares.append(float(found[name]["wrong, never looked at"]))
    slips, habit = left.values()
    record_property("wrong labels that the model repeats, slips", slips)
    record_property("wrong labels that the model repeats, habit", habit)
    assert max(slips) < 0.01
    assert min(habit) > 0.02
