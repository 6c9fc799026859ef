"""What lesson 03 says of its numbers, over seeds that the lesson does not use."""

from functools import cache
from math import comb

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import (
    GroupKFold,
    GroupShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_predict,
)
from sklearn.neighbors import KNeighborsClassifier

from course.checks import lesson_03
from helpers import data
from helpers.asm import load_asm

split_rows = lesson_03.split_rows.reference()
split_sources = lesson_03.split_sources.reference()
shuffle_labels = lesson_03.shuffle_labels.reference()
SEEDS = range(101, 109)
COLUMNS = ["hr_soft", "hr_hard", "gamma", "kt_in", "disc_frac", "rms_0p1_64", "rms_2_16", "hue"]


@cache
def archive():
    return data.load_observations("rxte")


def column(name):
    return archive()[name].to_numpy()


def forest(seed):
    # Fewer trees than in the lesson, for time: it costs a few tenths of a per cent.
    return RandomForestClassifier(25, min_samples_leaf=5, random_state=seed)


def score(features, label, parts, seed):
    train, test = parts
    model = forest(seed).fit(features.iloc[train], label[train])
    return balanced_accuracy_score(label[test], model.predict(features.iloc[test]))


def compare(features, labels, group):
    """Scores on random rows and on held-out groups, one seed for each of the labels."""
    scores = []
    for seed, label in zip(SEEDS, labels, strict=False):
        rng = np.random.default_rng(seed)
        parts = split_rows(len(label), 0.25, rng), split_sources(group, 0.25, rng)
        scores.append([score(features, label, part, seed) for part in parts])
    return np.transpose(scores)


@cache
def compared(label, shuffled=False):
    label, source = column(label), column("source_id")
    labels = [label] * len(SEEDS)
    if shuffled:
        labels = [shuffle_labels(label, source, np.random.default_rng(seed)) for seed in SEEDS]
    return compare(archive()[COLUMNS], labels, source)


def standard_error(values):
    return np.std(values, ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("seed", range(5))
def test_the_best_of_many_useless_models_looks_good_to_whoever_chose_it(seed, record_property):
    generator = np.random.default_rng(seed)
    best_of_many = lesson_03.best_of_many.reference()
    for n_answers, at_least, at_most in ((13, 0.80, 0.90), (1000, 0.53, 0.56)):
        scores = np.array(
            [best_of_many(*(generator.random((2, 100, n_answers)) < 0.5)) for _ in range(200)]
        )
        for column, where in enumerate(("that chose it", "that it never saw")):
            name = f"best of 100 useless models, accuracy on the {n_answers} answers {where}"
            record_property(name, float(scores[:, column].mean()))
        assert at_least < scores[:, 0].mean() < at_most
        assert abs(scores[:, 1].mean() - 0.5) < 5 * np.sqrt(0.25 / n_answers / 200)


def test_a_forest_recognises_most_pointings(record_property):
    source, features, recognised = column("source_id"), archive()[COLUMNS], []
    for seed in SEEDS[:5]:
        train, test = split_rows(len(source), 0.25, np.random.default_rng(seed))
        model = forest(seed).fit(features.iloc[train], source[train])
        recognised.append(float(np.mean(model.predict(features.iloc[test]) == source[test])))
    record_property("share of pointings whose source is named", recognised)
    assert min(recognised) > 0.5
    assert archive().source_id.value_counts(normalize=True).iloc[0] < 0.13


def test_random_rows_promise_more_and_scatter_less(record_property):
    rows, sources = compared("object_label")
    record_property("balanced accuracy, object, random rows", rows.tolist())
    record_property("balanced accuracy, object, sources held out", sources.tolist())
    assert np.mean(rows - sources) > 0.02
    assert np.mean(rows - sources) > 2 * standard_error(rows - sources)
    assert np.std(sources) > 3 * np.std(rows)


def test_meaningless_labels_are_remembered_on_rows_and_not_on_sources(record_property):
    rows, sources = compared("object_label", shuffled=True)
    record_property("balanced accuracy, shuffled labels, random rows", rows.tolist())
    record_property("balanced accuracy, shuffled labels, sources held out", sources.tolist())
    assert rows.min() > 0.6
    assert abs(np.mean(sources) - 0.5) < 3 * standard_error(sources)


def test_the_state_leaks_less(record_property):
    rows, sources = compared("state_label")
    record_property("balanced accuracy, state, random rows", rows.tolist())
    record_property("balanced accuracy, state, sources held out", sources.tolist())
    of_object = np.subtract(*compared("object_label"))
    assert np.mean(rows - sources) < np.mean(of_object)
    assert np.mean(sources) > 0.6  # where chance is 0.25


def test_a_score_has_the_error_bar_of_its_sources(record_property):
    table, label, found = archive(), column("object_label"), []
    for seed in SEEDS[:5]:
        folds = GroupKFold(5, shuffle=True, random_state=seed)
        predicted = cross_val_predict(
            forest(seed), table[COLUMNS], label, groups=column("source_id"), cv=folds
        )
        own = pd.Series(predicted == label).groupby(column("source_id")).agg(["size", "sum"])
        n, right = own.to_numpy().T
        accuracy = right.sum() / n.sum()
        drawn = np.random.default_rng(seed).integers(len(n), size=(2000, len(n)))
        error = np.std(right[drawn].sum(1) / n[drawn].sum(1))
        worst = np.sqrt(accuracy * (1 - accuracy) * np.sum(n**2)) / n.sum()
        found.append((n, right, accuracy * (1 - accuracy) / error**2, error / worst))
    record_property("independent rows that the score is worth", [float(f[2]) for f in found])
    record_property(
        "error / error if sources are all right or all wrong", [float(f[3]) for f in found]
    )
    for n, right, independent, of_worst in found:
        assert independent < 100
        assert 0.25 < of_worst < 0.9
        wrong = np.sort(n - right)[::-1]
        assert wrong[:5].sum() > wrong.sum() / 2
        assert np.median(right / n) > 0.9
        worst = (n - right).argmax()
        assert n[worst] == 700
        assert right[worst] / n[worst] < 0.7


def test_overlapping_segments_leak_and_pointings_are_enough_for_the_state(record_property):
    curves = data.load_segments()
    spectra, states = np.log10(curves.power), curves.state_label
    units = (np.arange(len(spectra)), curves.obs_id, curves.source_id)
    shares = []
    for seed in SEEDS:
        shares.append([])
        for unit in units:
            train, test = split_sources(unit, 0.2, np.random.default_rng(seed))
            nearest = KNeighborsClassifier(1).fit(spectra[train], states[train])
            shares[-1].append(np.mean(nearest.predict(spectra[test]) == states[test]))
    segments, pointings, sources = np.transpose(shares)
    record_property("accuracy, random segments", segments.tolist())
    record_property("accuracy, pointings held out", pointings.tolist())
    record_property("accuracy, sources held out", sources.tolist())
    assert np.mean(segments - pointings) > 0.04
    assert (segments > pointings).mean() > 0.8
    assert abs(np.mean(pointings - sources)) < np.mean(segments - pointings)
    assert np.std(segments) < np.std(sources)


def test_most_photons_of_random_test_segments_have_been_seen(record_property):
    curves, shares = data.load_segments(), []
    for seed in SEEDS[:5]:
        train, test = split_rows(len(curves.start), 0.2, np.random.default_rng(seed))
        halves = {
            (curves.obs_id[row], curves.start[row] + half)
            for row in train
            for half in (0, curves.length / 2)
        }
        seen = [
            (curves.obs_id[row], curves.start[row] + half) in halves
            for row in test
            for half in (0, curves.length / 2)
        ]
        shares.append(float(np.mean(seen)))
    record_property("share of the test photons that were in training segments", shares)
    assert min(shares) > 0.5


def test_the_future_is_harder_than_random_rows_at_every_cut(record_property):
    mjd, label, features = column("mjd"), column("object_label"), archive()[COLUMNS]
    split_time, losses = lesson_03.split_time.reference(), []
    for seed, cut in zip(SEEDS, (52000, 52500, 53000, 53500, 54000), strict=False):
        past, future = split_time(mjd, cut, 300)
        order = np.random.default_rng(seed).permutation(len(mjd))
        random = score(features, label, (order[: len(past)], order[len(past) :]), seed)
        losses.append(float(random - score(features, label, (past, future), seed)))
    record_property("balanced accuracy of the object, random rows − future", losses)
    assert min(losses) > 0.005


def test_whole_outbursts_are_harder_than_random_rows(record_property):
    rows, outbursts = compare(
        archive()[COLUMNS], [column("object_label")] * 8, column("outburst_id")
    )
    record_property("balanced accuracy, object, random rows", rows.tolist())
    record_property("balanced accuracy, object, outbursts held out", outbursts.tolist())
    assert np.mean(rows - outbursts) > 2 * standard_error(rows - outbursts)


def test_outbursts_of_years_are_pointings_filed_under_the_wrong_source():
    dates = archive().groupby("outburst_id").mjd.agg(np.ptp)
    truth = data.load_truth()
    filed = truth.obs_id[truth.filed_under != ""]
    suspects = set(archive().outburst_id[archive().obs_id.isin(filed)])
    assert set(dates.index[dates > 400]) <= suspects
    assert (dates > 400).sum() == 4
    assert dates[~dates.index.isin(suspects)].max() < 350


def test_what_stratification_balances(record_property):
    table, source, label = archive(), column("source_id"), column("object_label")
    kind, of_source = label + column("state_label"), archive().groupby("source_id").object_label
    of_source = of_source.first()
    random = [
        test
        for _, test in GroupShuffleSplit(100, test_size=0.2, random_state=7).split(
            table, groups=source
        )
    ]
    # No chance in these: lesson 08 shows that the seed of its shuffle changes nothing here.
    rows = [test for _, test in StratifiedGroupKFold(5).split(table, kind, groups=source)]
    sources = []
    for seed in SEEDS:
        folds = StratifiedKFold(5, shuffle=True, random_state=seed).split(of_source, of_source)
        sources += [np.flatnonzero(np.isin(source, of_source.index[test])) for _, test in folds]

    def black_holes(parts):
        return [len(set(source[part][label[part] == "BH"])) for part in parts]

    def share(parts):
        return [np.mean(label[part] == "BH") for part in parts]

    for name, parts in (("rows", rows), ("sources", sources), ("nothing", random)):
        record_property(f"sd of the share of BH, stratified by {name}", float(np.std(share(parts))))
    assert set(black_holes(sources)) == {3, 4}
    assert min(black_holes(rows)) == 1
    assert min(black_holes(random)) <= 1
    assert max(black_holes(random)) >= 6
    # "Rarely": 10 of 48 sources, and none of them among the 16 black holes.
    assert 0.001 < comb(32, 10) / comb(48, 10) < 0.05
    assert np.std(share(rows)) < np.std(share(sources))
    assert np.std(share(rows)) < np.std(share(random))


def test_the_split_of_the_course_has_the_sources_the_lesson_speaks_of():
    train, validation = data.load_split()
    assert validation.source_id.nunique() == 13
    assert validation[validation.object_label == "BH"].source_id.nunique() == 5
    size = [len(part) / part.source_id.nunique() for part in (train, validation)]
    assert size[0] > size[1]  # the largest sources fill the first folds


@cache
def sky_monitor():
    """The real ASM set, capped as in the lesson, where it is on this machine."""
    try:
        asm = load_asm(fetch=False)
    except data.DataError:
        pytest.skip("needs the real files: call load_asm() once")
    kinds = {"LMBH": "BH", "HMBH": "BH"}
    kinds |= dict.fromkeys(("Pulsar", "Zsource", "Atoll", "Burster"), "NS")
    asm = asm.assign(kind=asm.type.map(kinds)).dropna(subset="kind")
    return asm.sample(frac=1, random_state=103).groupby("system").head(200)


def test_the_real_archive_leaks(record_property):
    asm = sky_monitor()
    kind, system = asm.kind.to_numpy(), asm.system.to_numpy()
    features = asm[["colour_1", "colour_2", "intensity"]]
    rows, systems = compare(features, [kind] * 8, system)
    record_property("balanced accuracy, ASM, random rows", rows.tolist())
    record_property("balanced accuracy, ASM, systems held out", systems.tolist())
    assert np.mean(rows - systems) > 2 * standard_error(rows - systems)
    shuffled = [shuffle_labels(kind, system, np.random.default_rng(seed)) for seed in SEEDS]
    rows, systems = compare(features, shuffled, system)
    record_property("balanced accuracy, ASM with shuffled labels, random rows", rows.tolist())
    record_property(
        "balanced accuracy, ASM with shuffled labels, systems held out", systems.tolist()
    )
    assert rows.min() > 0.58
    assert abs(np.mean(systems) - 0.5) < 3 * standard_error(systems)


def test_the_intensity_of_the_real_archive_is_a_name_tag(record_property):
    asm = sky_monitor()
    kind, system = asm.kind.to_numpy(), asm.system.to_numpy()
    with_it, without = (
        compare(asm[columns], [kind] * 8, system)
        for columns in (["colour_1", "colour_2", "intensity"], ["colour_1", "colour_2"])
    )
    rows, systems = with_it - without
    record_property("gain by the intensity, ASM, random rows", rows.tolist())
    record_property("gain by the intensity, ASM, systems held out", systems.tolist())
    assert rows.min() > 0.02
    assert np.mean(systems) < np.mean(rows) / 2
