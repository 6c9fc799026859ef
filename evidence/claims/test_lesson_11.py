"""What lesson 11 says in prose holds over other draws of sources, deals, seeds and plants, not only in its figures."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline

from course.checks import lesson_11
from helpers import data
from helpers.networks import feed_forward, probabilities
from helpers.networks import train as train_network
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

SEEDS = range(5)
OBJECT = [*STATE_FEATURES, *GROUPS["lags"]]
QUICK = ["hr_soft", "hr_hard", "rms_0p1_64"]
curvature_errors = lesson_11.curvature_errors.reference()
shuffled_together = lesson_11.shuffled_together.reference()
turning_points = lesson_11.turning_points.reference()
saliency = lesson_11.saliency.reference()


def logistic(columns=STATE_FEATURES):
    return make_pipeline(preprocessor(columns), LogisticRegression(max_iter=2000))


@pytest.fixture(scope="module")
def split():
    train, validation = data.load_split()
    train.attrs = validation.attrs = {}
    return train, validation


@pytest.fixture(scope="module")
def models(split):
    train, _ = split
    return {
        "state": logistic().fit(train, train.state_label),
        "object": logistic(OBJECT).fit(train, train.object_label),
    }


@pytest.fixture(scope="module", params=SEEDS)
def deal(request, split):
    """Training rows, and the rows of held-out sources."""
    train, _ = split
    folds = GroupKFold(5, shuffle=True, random_state=request.param)
    kept, out = next(folds.split(train, groups=train.source_id))
    return train.iloc[kept].reset_index(drop=True), train.iloc[out].reset_index(drop=True)


def state_score(table, model):
    return balanced_accuracy_score(table.state_label, model.predict(table))


@pytest.mark.parametrize("seed", SEEDS)
def test_printed_errors_are_too_small_for_the_object_and_not_for_the_state(
    split, models, seed, record_property
):
    train, _ = split
    ratios, shrunk, twins = {}, {}, []
    for task, y in {
        "object": train.object_label == "NS",
        "state": train.state_label == "LHS",
    }.items():
        x = models[task][:-1].transform(train)
        model = LogisticRegression(max_iter=2000).fit(x, y)
        ones = np.column_stack([np.ones(len(x)), x])
        printed = curvature_errors(ones, model.predict_proba(x)[:, 1], 1.0)[1:]
        rows, generator = (
            x.assign(y=y, source_id=train.source_id),
            np.random.default_rng(200 + seed),
        )
        draws = []
        for _ in range(12):
            sky = resample_sources(rows, generator)
            draws.append(LogisticRegression(max_iter=2000).fit(sky[x.columns], sky.y).coef_[0])
        draws = pd.DataFrame(draws, columns=x.columns)
        measured = ~x.columns.str.startswith("missing")
        ratios[task] = np.median((draws.std() / printed)[measured])
        colours = draws[["hr_soft", "hr_hard"]]
        twins.append(colours.sum(axis=1).std() / np.sqrt(colours.var().sum()))
        rms = draws[[f"log_{name}" for name in GROUPS["rms"]]]
        shrunk[task] = rms.sum(axis=1).std() / np.sqrt(rms.var().sum())
        if task == "object":
            of_colour = (draws.std() / printed)["hr_soft"]
        name = f"scatter over skies / printed error, median coefficient, {task}"
        record_property(name, float(ratios[task]))
    record_property("scatter over skies / printed error, hr_soft, object", float(of_colour))
    assert of_colour > 3, "several times"
    assert max(twins) < 1, "twins trade weight"
    assert ratios["object"] > 1.7
    assert ratios["state"] < 1.4
    assert ratios["object"] > 1.7 * ratios["state"]
    assert shrunk["state"] < min(0.9, shrunk["object"]), "six rms trade weight for the state"


def test_a_copy_halves_the_importance_and_noise_has_none(deal, record_property):
    learn, judge = deal
    generator = np.random.default_rng(len(judge))
    learn, judge = (t.assign(noise=generator.normal(size=len(t))) for t in (learn, judge))
    wider = [*STATE_FEATURES, "noise", "hr_3_10"]
    model = logistic(wider).fit(learn, learn.state_label)
    coefficients = pd.DataFrame(model[-1].coef_, columns=model[:-1].get_feature_names_out())
    name = "difference of the coefficients of hr_soft and its copy"
    record_property(name, float((coefficients.hr_soft - coefficients.hr_3_10).abs().max()))
    assert np.allclose(coefficients.hr_soft, coefficients.hr_3_10, atol=0.02), "two halves"
    here = state_score(judge, model)
    losses = {
        name: np.mean(
            [
                here - state_score(shuffled_together(judge, [name], generator), model)
                for _ in range(5)
            ]
        )
        for name in ("noise", "rms_0p25_2")
    }
    for name, loss in losses.items():
        record_property(f"balanced accuracy lost by shuffling {name}", float(loss))
    assert abs(losses["noise"]) < 0.02, "some ten SIMS in a fold decide on a hundredth"
    assert losses["rms_0p25_2"] > 2 * abs(losses["noise"])


def test_the_rms_as_a_group_matter_most(split, record_property):
    train, _ = split
    means = []
    for seed in SEEDS:
        generator, losses = np.random.default_rng(seed), []
        for kept, out in GroupKFold(5, shuffle=True, random_state=seed).split(
            train, groups=train.source_id
        ):
            model = logistic().fit(train.iloc[kept], train.state_label.iloc[kept])
            judge = train.iloc[out]
            here = state_score(judge, model)
            parts = {**GROUPS, **{name: [name] for name in ("qpo_freq", "rms_0p25_2")}}
            losses.append(
                {
                    name: here
                    - state_score(shuffled_together(judge, list(columns), generator), model)
                    for name, columns in parts.items()
                    if name != "lags"
                }
            )
        means.append(pd.DataFrame(losses).mean())
    means = pd.DataFrame(means)
    for name, what in (("rms", "all rms"), ("rms_0p25_2", "one rms"), ("qpo_freq", "qpo_freq")):
        record_property(f"balanced accuracy lost by shuffling {what}", means[name].tolist())
    assert (means.idxmax(axis=1) == "rms").all()
    assert (means["rms"] > 1.3 * means["qpo_freq"]).all()
    assert (means["rms"] > means["rms_0p25_2"]).all()


def test_no_pointing_is_soft_and_varies_like_a_hard_one(split, record_property):
    for table in split:
        soft = table[table.hr_hard < 0.5]
        assert np.mean(soft.rms_0p1_64 > 0.25) < 0.01, "hardly any"
    train, rises = split[0].dropna(subset=["hr_hard", "rms_0p1_64"]), []
    for seed in SEEDS:
        sky = resample_sources(train, np.random.default_rng(seed))
        model = logistic().fit(sky, sky.state_label)
        hard = list(model.classes_).index("LHS")
        some = sky.sample(200, random_state=seed)
        curve = [model.predict_proba(some.assign(hr_hard=c))[:, hard].mean() for c in (0.25, 1.35)]
        chance = model.predict_proba(sky)[:, hard]
        seen = [chance[sky.hr_hard.between(*edges)].mean() for edges in ((0.2, 0.5), (1.1, 1.4))]
        rises.append((curve[1] - curve[0], seen[1] - seen[0]))
    of_curve, of_rows = np.transpose(rises)
    record_property("rise of P(LHS) along hr_hard, partial dependence", of_curve.tolist())
    record_property("rise of P(LHS) along hr_hard, rows that exist", of_rows.tolist())
    assert (of_curve > 0).all()
    assert (of_curve < 0.5 * of_rows).all()


def test_wrong_calls_of_the_object_are_easier_to_turn(deal, record_property):
    learn, judge = deal
    model = logistic(OBJECT).fit(learn, learn.object_label)
    x, b, z = model[:-1].transform(judge), model[-1].coef_[0], model.decision_function(judge)
    ranges = (
        x.groupby(judge.source_id).transform("min"),
        x.groupby(judge.source_id).transform("max"),
    )
    low, high = (values.to_numpy() for values in ranges)
    turns = [turning_points(x.iloc[k].to_numpy(), z[k], b, low[k], high[k]) for k in range(len(x))]
    measured = ~x.columns.str.startswith("missing")
    possible = np.isfinite(np.array(turns)[:, measured]).any(axis=1)
    right = (model.predict(judge) == judge.object_label).to_numpy()
    scale = pd.Series(model[0][-1].scale_, x.columns)
    shift = sum(
        np.abs(b[x.columns.get_loc(name)]) * judge[f"{name}_err"].fillna(0) / scale[name]
        for name in ("hr_soft", "hr_hard")
    ).to_numpy()
    turned = np.abs(z) <= shift
    for name, own in (("wrong", ~right), ("right", right)):
        record_property(
            f"{name} calls that one feature in the source's range turns",
            float(possible[own].mean()),
        )
    record_property("calls that the errors of two colours turn", float(turned.mean()))
    assert possible[~right].mean() > possible[right].mean() > 0.4
    assert 0.002 < turned.mean() < 0.1, "a few per cent"
    assert np.mean(~right[turned]) > np.mean(~right)


@pytest.mark.parametrize("seed", SEEDS)
def test_of_the_calls_that_hang_on_the_errors_of_two_colours_about_half_are_wrong(
    split, seed, record_property
):
    table, hang, wrong = split[0], [], []
    folds = GroupKFold(5, shuffle=True, random_state=seed)
    for kept, out in folds.split(table, groups=table.source_id):
        model = logistic(OBJECT).fit(table.iloc[kept], table.object_label.iloc[kept])
        judge, scaler = table.iloc[out], model[0][-1]
        slope = pd.Series(model[-1].coef_[0], model[:-1].get_feature_names_out())
        slope = slope / pd.Series(scaler.scale_, scaler.get_feature_names_out())
        pull = sum(
            abs(slope[name]) * judge[f"{name}_err"].fillna(0) for name in ("hr_soft", "hr_hard")
        )
        hang.append(np.abs(model.decision_function(judge)) <= pull)
        wrong.append(model.predict(judge) != judge.object_label)
    hang, wrong = np.concatenate(hang), np.concatenate(wrong)
    record_property("share of calls that hang on two colours", float(hang.mean()))
    record_property("share of them that are wrong", float(wrong[hang].mean()))
    assert 0.01 < hang.mean() < 0.06, "a few per cent"
    assert 0.3 < wrong[hang].mean() < 0.7


def test_maps_of_seeds_agree_even_on_stolen_labels(record_property):
    train, validation = data.load_split()
    light = data.load_segments()
    learn = np.flatnonzero(np.isin(light.source_id, train.source_id))
    judge = np.flatnonzero(np.isin(light.source_id, validation.source_id))
    states, truth = np.unique(light.state_label, return_inverse=True)
    x = np.log10(light.power / light.noise[:, None])
    x = torch.tensor((x - x[learn].mean(axis=0)) / x[learn].std(axis=0), dtype=torch.float32)
    own = judge[truth[judge] == list(states).index("SIMS")]

    def map_of(rows, y, seed):
        generator = torch.Generator().manual_seed(seed)
        network = feed_forward(x.shape[1], 4, generator=generator)
        train_network(network, x[rows], torch.tensor(y[rows]), generator=generator, n_epochs=10)
        said = probabilities(network, x[judge]).argmax(dim=1).numpy()
        score = balanced_accuracy_score(truth[judge], said)
        return score, saliency(network, x[own], 3).mean(dim=0).numpy()

    def stolen(seed):
        generator, y = np.random.default_rng(seed), truth.copy()
        names = np.unique(light.source_id[learn])
        for name, victim in zip(names, np.roll(generator.permutation(names), 1), strict=True):
            rows = np.flatnonzero(light.source_id == name)
            y[rows] = np.resize(generator.permutation(truth[light.source_id == victim]), len(rows))
        return y

    def drawn(seed):
        table = pd.DataFrame({"source_id": light.source_id[learn], "row": learn})
        return resample_sources(table, np.random.default_rng(seed)).row.to_numpy(copy=True)

    runs = {
        "seeds": [map_of(learn, truth, seed) for seed in SEEDS],
        "sources": [map_of(drawn(seed), truth, seed) for seed in SEEDS],
        "thefts": [map_of(learn, stolen(50 + seed), seed) for seed in SEEDS],
    }
    again = [
        map_of(learn, stolen(50 + seed), 10 + seed) for seed in SEEDS
    ]  # another seed, same theft
    agree = {
        name: np.corrcoef([m for _, m in run])[np.triu_indices(5, 1)].mean()
        for name, run in runs.items()
    }
    pairs = zip(runs["thefts"], again, strict=True)
    same = [np.corrcoef(one, two)[0, 1] for (_, one), (_, two) in pairs]
    scores = {name: np.array([score for score, _ in run]) for name, run in runs.items()}
    for name, what in (("seeds", "seeds"), ("sources", "draws of sources"), ("thefts", "thefts")):
        record_property(f"mean correlation of the maps of five {what}", float(agree[name]))
    record_property("correlation of the maps of two seeds, stolen labels", list(map(float, same)))
    record_property("balanced accuracy", scores["seeds"].tolist())
    record_property("balanced accuracy, stolen labels", scores["thefts"].tolist())
    assert agree["seeds"] > 0.85
    assert np.mean(same) > 0.5, "nothing to learn, and yet one map"
    assert abs(agree["thefts"]) < 0.3 < agree["sources"] < agree["seeds"]
    assert scores["seeds"].min() > 0.5
    assert abs(scores["thefts"].mean() - 0.25) < 0.12, "no better than chance"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_exposure_predicts_and_does_not_cause(split, seed, record_property):
    table, generator, found = split[0], np.random.default_rng(seed), []
    folds = GroupKFold(5, shuffle=True, random_state=seed)
    for kept, out in folds.split(table, groups=table.source_id):
        learn, judge = table.iloc[kept], table.iloc[out]
        moving, there = (t.state_label.isin(["HIMS", "SIMS"]) for t in (learn, judge))
        without, model = (
            logistic(names).fit(learn, moving) for names in (QUICK, [*QUICK, "exposure"])
        )

        def auc(table, model=model, there=there):
            return roc_auc_score(there, model.predict_proba(table)[:, 1])

        here, before = auc(judge), auc(judge, without)
        drops = {
            n: here - auc(shuffled_together(judge, [n], generator)) for n in [*QUICK, "exposure"]
        }
        same = auc(judge.assign(exposure=1500.0))
        called = [model.predict(judge.assign(exposure=t)).mean() for t in (1000.0, 4000.0)]
        found.append(
            {
                **drops,
                "gain": here - before,
                "left": same - before,
                "few": called[0],
                "all": called[1],
            }
        )
    mean = pd.DataFrame(found).mean()
    record_property("AUC gained by the exposure", float(mean["gain"]))
    record_property("AUC gained if all had one exposure", float(mean["left"]))
    record_property("share called moving at 1000 s", float(mean["few"]))
    record_property("share called moving at 4000 s", float(mean["all"]))
    assert mean["gain"] > 0.015
    assert abs(mean["left"]) < 0.01, "nothing is left of it"
    assert mean[[*QUICK, "exposure"]].idxmax() == "exposure"
    assert mean["few"] < 0.03
    assert mean["all"] > 0.85


def test_nicer_objects_are_a_coin_within_the_error(models, record_property):
    nicer = data.load_observations("nicer")
    nicer.attrs = {}
    auc = []
    for seed in range(30):
        sky = resample_sources(nicer, np.random.default_rng(seed))
        chance = models["object"].predict_proba(sky)[:, 1]
        auc.append(float(roc_auc_score(sky.object_label == "NS", chance)))
    record_property("AUC of the object, NICER", auc)
    assert abs(np.mean(auc) - 0.5) < np.std(auc)


@pytest.mark.parametrize("seed", SEEDS)
def test_another_telescope_leaves_the_object_model_sure_and_wrong(
    split, models, seed, record_property
):
    generator = np.random.default_rng(seed)
    nicer = data.load_observations("nicer")
    nicer.attrs = {}
    here, there = (resample_sources(t, generator) for t in (split[1], nicer))
    model = models["object"]
    auc, sure, hit = [], [], []
    for table in (here, there):
        chance = model.predict_proba(table)
        auc.append(roc_auc_score(table.object_label == "NS", chance[:, 1]))
        sure.append(chance.max(axis=1))
        hit.append((model.predict(table) == table.object_label).to_numpy())
    for name, area, probability in zip(("RXTE", "NICER"), auc, sure, strict=True):
        record_property(f"AUC of the object, {name}", float(area))
        record_property(f"mean probability of the call, {name}", float(probability.mean()))
    assert auc[0] > 0.85
    assert auc[1] < auc[0] - 0.1
    assert sure[1].mean() > sure[0].mean() - 0.05, "undiminished"
    assert hit[1][sure[1] > 0.95].mean() < hit[0][sure[0] > 0.95].mean() - 0.1


def test_a_model_of_black_holes_loses_more_accuracy_than_confidence_on_neutron_stars(
    split, record_property
):
    both = pd.concat(split, ignore_index=True)
    holes, stars = (both[both.object_label == kind] for kind in ("BH", "NS"))
    lost = []
    for seed in SEEDS:
        rows = []
        for kept, out in GroupKFold(4, shuffle=True, random_state=seed).split(
            holes, groups=holes.source_id
        ):
            model = logistic().fit(holes.iloc[kept], holes.state_label.iloc[kept])
            for table in (holes.iloc[out], stars):
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


def test_alarms_ring_for_new_sources_too_and_miss_a_lot(split, record_property):
    train, _ = split
    nicer = data.load_observations("nicer")
    false = []
    passed = {"mahalanobis": [], "forest": []}
    heard = {"mahalanobis": [], "forest": []}
    for seed in SEEDS:
        folds = GroupKFold(5, shuffle=True, random_state=seed)
        kept, out = next(folds.split(train, groups=train.source_id))
        ready = preprocessor().fit(train.iloc[kept])
        names = [name for name in ready.get_feature_names_out() if not name.startswith("missing")]
        inside, new, other = (
            ready.transform(t)[names].to_numpy() for t in (train.iloc[kept], train.iloc[out], nicer)
        )
        inverse = np.linalg.inv(np.cov(inside.T))
        forest = IsolationForest(random_state=seed).fit(inside)
        generator = np.random.default_rng(seed)
        shuffled = np.column_stack([generator.permutation(column) for column in new.T])
        alarms = {
            "mahalanobis": lambda x, inverse=inverse: np.einsum("ij,jk,ik->i", x, inverse, x),
            "forest": lambda x, forest=forest: -forest.score_samples(x),
        }
        for name, alarm in alarms.items():
            limit = np.quantile(alarm(inside), 0.99)
            assert alarm(np.full((1, len(names)), 8.0)) > limit
            passed[name].append(float(np.mean(alarm(other) > limit)))
            heard[name].append(float(np.mean(alarm(shuffled) > limit)))
        false.append(
            np.mean(alarms["mahalanobis"](new) > np.quantile(alarms["mahalanobis"](inside), 0.99))
        )
    for name, title in (("mahalanobis", "Mahalanobis distance"), ("forest", "isolation forest")):
        record_property(f"share with an alarm, NICER, {title}", passed[name])
        record_property(f"share with an alarm, columns shuffled, {title}", heard[name])
    record_property(
        "share with an alarm, new sources, Mahalanobis distance", list(map(float, false))
    )
    for shares in passed.values():
        assert min(shares) > 0.05
        assert max(shares) < 0.5, "most NICER rows pass"
    assert max(heard["forest"]) < 0.2
    assert min(heard["mahalanobis"]) > 0.4
    assert np.mean(false) > 0.01


def test_a_habit_hides_its_errors_and_random_slips_do_not(split, record_property):
    train, validation = split
    both = pd.concat([train, validation], ignore_index=True)
    real = data.load_truth().set_index("obs_id").state
    left = {"slips": [], "habit": []}
    for seed in SEEDS:
        sources = np.random.default_rng(seed).permutation(both.source_id.unique())
        inside = both.source_id.isin(sources[:24])
        for name, swap in {"slips": {}, "habit": {"HIMS": "LHS"}}.items():
            label = both.state_label.replace(swap)
            said = logistic().fit(both[inside], label[inside]).predict(both[~inside])
            never = said == label[~inside]
            hidden = never & (said != real.loc[both.obs_id[~inside]].to_numpy())
            left[name].append(float(np.mean(hidden)))
    for name, shares in left.items():
        record_property(f"wrong labels that the model repeats, {name}", shares)
    assert max(left["slips"]) < 0.01
    assert min(left["habit"]) > 0.02
