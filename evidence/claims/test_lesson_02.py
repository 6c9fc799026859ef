"""What lesson 02 says in prose holds over other draws of sources, of noise and of thresholds, not only in its figures.

A claim about shares is tried on archives of sources drawn with replacement: it must hold in nearly all of them.
"""

import numpy as np
import pandas as pd
import pytest

from course.checks import lesson_02 as check
from course.lesson_cells import lesson_names
from helpers import data

SEEDS = range(8)


@pytest.fixture(scope="module")
def lesson():
    """The lesson as far as it makes tables of all pointings."""
    exercises = ("per_detector", "resample_sources", "robust_z", "days_alone", "baseline")
    written = {name: getattr(check, name).reference() for name in exercises}
    cells = ("import", "rate, rate_err =", "measured =", "small =", "looks =", "whole =")
    few = {"range(100)": "range(2)", "range(60)": "range(2)"}
    return lesson_names("02", *cells, change=few, **written)


@pytest.fixture(scope="module")
def table(lesson):
    table = lesson.table.assign(rate_1=lesson.rate, whole=lesson.whole)
    table.attrs = {}  # pandas compares them at each step
    return table


@pytest.fixture(scope="module")
def odd(lesson):
    """The lesson's search for odd rows, and for those filed under the wrong name."""
    cells = ("skew =", "burst =", 'print("linear_trend', "truth =", "found =", "misfiled =")
    return lesson_names("02", *cells, given=lesson)


@pytest.fixture(scope="module", params=SEEDS)
def sky(request, table, lesson):
    return lesson.resample_sources(table, np.random.default_rng(request.param))


def test_one_detector_follows_the_flux_more_closely_than_all(sky, record_property):
    scatter = {name: (np.log10(sky[name]) - sky.log_flux_2_10).std() for name in ("rate", "rate_1")}
    ratio = scatter["rate_1"] / scatter["rate"]
    record_property("scatter about the flux, rate of one detector / of all", ratio)
    assert ratio < 0.8


def test_most_pointings_are_fainter_than_the_mean_pointing(sky, record_property):
    fainter = np.mean(sky.rate_1 < sky.rate_1.mean())
    record_property("share of pointings fainter than the mean", fainter)
    assert fainter > 2 / 3


def test_what_cannot_be(table, record_property):
    assert not (table.filter(regex="^rms") > 1).any(axis=None)
    above = np.mean(table.coherence.dropna() > 1)
    record_property("share of coherences above 1", above)
    assert 0.05 < above < 0.4, "impossible, and common"
    assert (table.hr_3_10 == table.hr_soft).all()
    assert ((table.mjd.shift(-1) - table.mjd) * 86400 < table.exposure).any(), "two at once"


@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.quick), *SEEDS[1:]])
def test_errors_that_count_rows_are_too_small_most_of_all_for_the_object(
    lesson, seed, record_property
):
    other = {"default_rng(2)": f"default_rng({100 + seed})", "range(100)": "range(60)"}
    cells, ratios, errors = lesson_names("02", "small =", given=lesson, change=other), {}, {}
    for name, label in (("object_label", "BH"), ("state_label", "LHS"), ("state_label", "SIMS")):
        here = (cells.small[name] == label).mean()
        errors[label] = np.std([(sky[name] == label).mean() for sky in cells.skies], ddof=1)
        ratios[label] = errors[label] / np.sqrt(here * (1 - here) / len(cells.small))
        record_property(f"error from sources / from rows, share of {label}", ratios[label])
    record_property("error of the share of BH, from sources", errors["BH"])
    assert 0.08 < errors["BH"] < 0.16, "about a tenth"
    assert min(ratios.values()) > 1, "too small everywhere"
    assert ratios["BH"] > 2 * max(ratios["LHS"], ratios["SIMS"])


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_empty_depends_on_brightness_and_state(lesson, seed, record_property):
    one = {"range(60)": "range(1)", "default_rng(3)": f"default_rng({seed})"}
    (empty,) = lesson_names("02", "looks =", given=lesson, change=one).others
    for name, fifth in (("faintest", 0), ("brightest", 4)):
        record_property(f"no QPO, {name} fifth of the LHS", empty.qpo_freq["LHS", fifth])
    record_property("no kT of the disc, HIMS", empty.kt_in["HIMS"].mean())
    for state in ("LHS", "HIMS"):
        assert empty.qpo_freq[state, 0] > 0.7
        assert empty.qpo_freq[state, 4] < 0.15
    assert empty.qpo_freq["SIMS", 0] > empty.qpo_freq["SIMS", 4] + 0.3
    assert empty.qpo_freq["SIMS", 4] > empty.qpo_freq["HIMS", 4], "less far"
    assert empty.qpo_freq["HSS"].min() > 0.95
    assert empty.kt_in["LHS"].min() > 0.85, "at any brightness"
    assert empty.kt_in[["HSS", "SIMS"]].mean() < 0.3
    assert 0.3 < empty.kt_in["HIMS"].mean() < 0.7, "in between"


def test_rows_without_gaps_are_a_club(lesson, sky, record_property):
    sky = sky.drop(columns="rate").rename(columns={"rate_1": "rate"})
    left, among_all = lesson.portrait(sky[sky.whole]), lesson.portrait(sky)
    record_property("share of rows without gaps", sky.whole.mean())
    record_property("HIMS among rows without gaps", left["HIMS (%)"] / 100)
    record_property("HIMS among all rows", among_all["HIMS (%)"] / 100)
    assert 0.005 < sky.whole.mean() < 0.04
    assert left["HSS (%)"] == 0
    assert left["HIMS (%)"] > 50 > 3 * among_all["HIMS (%)"]
    assert left["BH (%)"] > among_all["BH (%)"] + 10
    assert left["median rate (1/s)"] > 1.3 * among_all["median rate (1/s)"]
    assert left["three sources (%)"] > among_all["three sources (%)"]
    assert 30 < left["three sources (%)"] < 70, "about half"


def test_nothing_survives_dropna(lesson):
    assert lesson.table.dropna().empty


@pytest.mark.parametrize("seed", SEEDS)
def test_a_constant_rms_falls_like_that_of_the_archive(lesson, seed, record_property):
    other = {"default_rng(4)": f"default_rng({seed})"}
    cells = lesson_names("02", "soft =", given=lesson, change=other)
    step = pd.qcut(cells.soft.rate, 8, labels=False)
    falls, gaps = [], []
    for values in (cells.toy, cells.soft.rms_0p1_64):
        median, empty = values.groupby(step).median(), values.isna().groupby(step).mean()
        falls.append(np.log(median[0] / median[7]))
        gaps.append(empty)
    record_property("fall of a constant rms / of the archive's", falls[0] / falls[1])
    for empty in gaps:
        assert empty[0] > 0.4
        assert empty[7] < 0.1
    assert 0.5 < falls[0] / falls[1] < 1, "most of it, not all"


@pytest.fixture(scope="module")
def sketches(lesson):
    return lesson_names("02", "generator = np.random.default_rng(5)", given=lesson).sketches


@pytest.mark.parametrize("seed", SEEDS)
def test_skew_sorts_the_sketches(sketches, seed, record_property):
    generator, skew = np.random.default_rng(seed), {}
    for name in ("slew", "particle flare", "burst"):
        skew[name] = pd.Series(generator.poisson(sketches[name])).skew()
        record_property(f"skew of the {name.removeprefix('particle ')}", skew[name])
    assert skew["slew"] < -0.4
    assert 1 < skew["particle flare"] < 2
    assert skew["burst"] > 5


def test_the_usual_ruler_bends(lesson, sky, record_property):
    cells = lesson_names("02", "skew =", given=lesson, table=sky)
    usual, robust = cells.usual, lesson.robust_z(cells.skew)
    record_property("skew: robust z / usual z, median", (robust / usual).median())
    assert not np.sum(usual < -5)
    assert np.sum(robust < -5) >= 3
    assert np.sum(robust > 5) > 1.2 * np.sum(usual > 5)
    assert (robust / usual).median() > 3, "several times larger"


def test_four_things_stand_off(table, odd):
    skew, top, truth = table["skew"], odd.top, odd.truth
    assert not skew.between(1.6, 4).any(), "the histogram is empty"
    assert (table.object_label[odd.burst] == "NS").all()
    soft_ns = (table.object_label == "NS") & table.state_label.isin(["HSS", "SIMS"])
    assert 0.9 < soft_ns[top].mean() < 1, "almost all"
    strange = truth[top & ~soft_ns]
    assert (strange.outlier == "flare").all()
    assert len(strange) == 3
    assert (table.state_label[top & ~soft_ns] == "LHS").all(), "the hard states"
    assert (truth.outlier[top & soft_ns] == "").all(), "nothing went wrong in them"
    assert not odd.trend.between(0.4, 1.4).any(), "nothing in between"
    for name, marked in odd.marks.items():
        assert (truth.outlier[marked] == name).all(), "not one false alarm"
        assert (marked.sum() < (truth.outlier == name).sum()) == (name == "flare")
    assert 0 < np.sum(odd.slew & (odd.robust_z(skew) < -5)) < odd.slew.sum()


def test_model_failure_shows_where_photons_abound(table, record_property):
    chosen = (table.object_label == "NS") & (table.state_label == "HSS") & (table["skew"] < 0.6)
    photons = table.rate * table.exposure
    brighter = photons[chosen & (table.red_chi2 > 50)].median()
    fainter = photons[chosen & (table.red_chi2 < 2)].median()
    record_property("photons of bad fits / of good ones, medians", brighter / fainter)
    assert brighter > 2 * fainter


def test_misfiled_rows_are_alone_in_time_and_hidden_in_flux_and_colour(table, odd):
    misfiled, found = odd.misfiled, odd.found
    assert misfiled.sum() == 5
    assert found.outburst_id[misfiled].min() > 365
    assert found.outburst_id[~misfiled].max() < 180, "and then comes a gap"
    assert np.sum(found.source_id[misfiled] < 30) == 1, "within weeks"
    pair = found.source_id[misfiled & (table.source_id == "S13")]
    assert len(pair) == 2
    assert pair.iloc[0] == pytest.approx(pair.iloc[1]), "each other's nearest neighbours"
    for values in odd.logs.values():
        z = values.groupby(table.source_id).transform(odd.robust_z).abs()
        for limit in (2.5, 3, 3.5, 4):
            assert np.sum((z > limit) & misfiled) <= 1, "next to nothing"
            assert np.sum((z > limit) & ~misfiled) > 30


def test_a_few_sources_hold_most_rows(table, record_property):
    rows = {kind: own.source_id.value_counts() for kind, own in table.groupby("object_label")}
    effective = {kind: n.sum() ** 2 / np.sum(n**2) for kind, n in rows.items()}
    record_property("effective number of the 16 BH", effective["BH"])
    record_property("effective number of the 32 NS", effective["NS"])
    assert rows["BH"].iloc[:2].sum() > 0.5 * rows["BH"].sum()
    assert effective["BH"] < 16 / 3 + 1, "a handful"
    assert effective["BH"] / 16 < effective["NS"] / 32


def test_other_skies_have_another_most_frequent_state(lesson, record_property):
    other = {"default_rng(6)": "default_rng(200)"}
    cell = "generator = np.random.default_rng(6)"
    most = lesson_names("02", cell, given=lesson, change=other).most
    record_property("share of skies with most rows in the LHS", most.count("LHS") / len(most))
    assert set(most) == {"LHS", "HSS"}
    assert min(most.count("LHS"), most.count("HSS")) > 15


def test_the_score_of_doing_nothing(sky, record_property):
    rare, unsure = (sky.state_label == "SIMS").mean(), (sky.label_trust != "A").mean()
    record_property("share of SIMS", rare)
    record_property("share of labels that are not of trust A", unsure)
    assert rare < 0.1, "hardly any accuracy is lost"
    assert 0.3 < unsure < 0.5, "four rows in ten"


def test_outbursts_return_to_the_hard_state_much_fainter(record_property):
    train, _ = data.load_split()
    assert "S02" in set(train.source_id)
    ratios = {}
    for name, own in train.assign(rate_1=train.rate / train.n_det).groupby("outburst_id"):
        soft, hard = (own[own.state_label == state] for state in ("HSS", "LHS"))
        if len(soft) < 6 or not len(hard):
            continue
        if hard.mjd.min() < soft.mjd.min() and hard.mjd.max() > soft.mjd.max():
            ratios[name] = soft.rate_1.iloc[:3].median() / soft.rate_1.iloc[-3:].median()
    record_property("first / last rate of the HSS, least outburst", min(ratios.values()))
    assert len(ratios) > 10
    assert min(ratios.values()) > 2
    assert ratios["R008"] > 10
