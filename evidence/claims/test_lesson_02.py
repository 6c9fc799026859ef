"""What lesson 02 says in prose holds over other draws of sources, of noise and of thresholds, not only in its figures.

A claim about shares is tried on archives of sources drawn with replacement: it must hold in nearly all of them.
"""

import numpy as np
import pandas as pd
import pytest

from course.checks import lesson_02
from helpers import data

SEEDS = range(8)
resample_sources = lesson_02.resample_sources.reference()
robust_z = lesson_02.robust_z.reference()
days_alone = lesson_02.days_alone.reference()


@pytest.fixture(scope="module")
def table():
    table = data.load_observations("rxte")
    table["rate_1"] = table.rate / table.n_det
    measured = table.drop(columns=["hr_low", "hr_low_err"])
    table["whole"] = measured.notna().all(axis=1)
    table.attrs = {}  # pandas compares them at each step
    return table


@pytest.fixture(scope="module")
def truth(table):
    truth = data.load_truth().set_index("obs_id").loc[table.obs_id].reset_index()
    truth.attrs = {}
    return truth


@pytest.fixture(scope="module", params=SEEDS)
def sky(request, table):
    return resample_sources(table, np.random.default_rng(request.param))


def test_one_detector_follows_the_flux_more_closely_than_all(sky, record_property):
    scatter = {name: (np.log10(sky[name]) - sky.log_flux_2_10).std() for name in ("rate", "rate_1")}
    record_property(
        "scatter about the flux, rate of one detector / of all", scatter["rate_1"] / scatter["rate"]
    )
    assert scatter["rate_1"] < 0.8 * scatter["rate"]


def test_most_pointings_are_fainter_than_the_mean_pointing(sky, record_property):
    fainter = np.mean(sky.rate_1 < sky.rate_1.mean())
    record_property("share of pointings fainter than the mean", float(fainter))
    assert fainter > 2 / 3


def test_what_cannot_be(table, record_property):
    assert not (table.filter(regex="^rms") > 1).any(axis=None)
    above = np.mean(table.coherence.dropna() > 1)
    record_property("share of coherences above 1", float(above))
    assert 0.05 < above < 0.4, "impossible, and common"
    assert (table.hr_3_10 == table.hr_soft).all()
    assert ((table.mjd.shift(-1) - table.mjd) * 86400 < table.exposure).any(), "two at once"


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_that_count_rows_are_too_small_most_of_all_for_the_object(
    table, seed, record_property
):
    generator = np.random.default_rng(100 + seed)
    small = table[["source_id", "object_label", "state_label"]]
    skies = [resample_sources(small, generator) for _ in range(60)]
    ratios = {}
    for name, label in (("object_label", "BH"), ("state_label", "LHS"), ("state_label", "SIMS")):
        here = (small[name] == label).mean()
        error = np.std([(sky[name] == label).mean() for sky in skies], ddof=1)
        ratios[label] = error / np.sqrt(here * (1 - here) / len(small))
        record_property(f"error from sources / from rows, share of {label}", float(ratios[label]))
        if label == "BH":
            of_object = error
    record_property("error of the share of BH, from sources", float(of_object))
    assert 0.08 < of_object < 0.16, "about a tenth"
    assert min(ratios.values()) > 1, "too small everywhere"
    assert ratios["BH"] > 2 * max(ratios["LHS"], ratios["SIMS"])


def test_what_is_empty_depends_on_brightness_and_state(sky, record_property):
    fifth = pd.qcut(sky.rate_1, 5, labels=False)
    empty = sky[["qpo_freq", "kt_in"]].isna().groupby([sky.state_label, fifth]).mean()
    for name, fifth in (("faintest", 0), ("brightest", 4)):
        record_property(f"no QPO, {name} fifth of the LHS", float(empty.qpo_freq["LHS", fifth]))
    record_property("no kT of the disc, HIMS", float(empty.kt_in["HIMS"].mean()))
    for state in ("LHS", "HIMS"):
        assert empty.qpo_freq[state, 0] > 0.7
        assert empty.qpo_freq[state, 4] < 0.15
    assert empty.qpo_freq["SIMS", 0] > empty.qpo_freq["SIMS", 4] + 0.3
    assert empty.qpo_freq["SIMS", 4] > empty.qpo_freq["HIMS", 4], "less far"
    assert empty.qpo_freq["HSS"].min() > 0.95
    assert empty.kt_in["LHS"].min() > 0.85, "at any brightness"
    assert empty.kt_in[["HSS", "SIMS"]].mean() < 0.3
    assert 0.3 < empty.kt_in["HIMS"].mean() < 0.7, "in between"


def test_rows_without_gaps_are_a_club(sky, record_property):
    left = sky[sky.whole]
    states = left.state_label.value_counts(normalize=True)
    among_all = (sky.state_label == "HIMS").mean()
    record_property("share of rows without gaps", len(left) / len(sky))
    record_property("HIMS among rows without gaps", float(states["HIMS"]))
    record_property("HIMS among all rows", float(among_all))
    assert 0.005 < len(left) / len(sky) < 0.04
    assert "HSS" not in states
    assert states["HIMS"] > 0.5 > 3 * among_all
    assert (left.object_label == "BH").mean() > (sky.object_label == "BH").mean() + 0.1
    assert left.rate_1.median() > 1.3 * sky.rate_1.median()
    three = [rows.source_id.value_counts(normalize=True).iloc[:3].sum() for rows in (left, sky)]
    assert three[0] > three[1]
    assert 0.3 < three[0] < 0.7, "about half"


def test_nothing_survives_dropna(table):
    assert table.drop(columns=["rate_1", "whole"]).dropna().empty


@pytest.mark.parametrize("seed", SEEDS)
def test_a_constant_rms_falls_like_that_of_the_archive(table, seed, record_property):
    soft = table[table.state_label == "HSS"]
    sigma = soft.rate / (1 - soft.bkg_frac) / soft.rate**2 * np.sqrt(2 * 128 / soft.exposure)
    variance = 0.02**2 + sigma * np.random.default_rng(seed).normal(size=len(soft))
    toy = np.sqrt(variance.where(variance > 0))
    step = pd.qcut(soft.rate, 8, labels=False)
    falls, gaps = [], []
    for values in (toy, soft.rms_0p1_64):
        median, empty = values.groupby(step).median(), values.isna().groupby(step).mean()
        falls.append(np.log(median[0] / median[7]))
        gaps.append(empty)
    record_property("fall of a constant rms / of the archive's", float(falls[0] / falls[1]))
    for empty in gaps:
        assert empty[0] > 0.4
        assert empty[7] < 0.1
    assert 0.5 < falls[0] / falls[1] < 1, "most of it, not all"


@pytest.mark.parametrize("seed", SEEDS)
def test_skew_sorts_the_sketches(seed, record_property):
    time = np.arange(1280.0)
    sketches = (
        300 * np.clip(time / 770, 0, 1),
        300 + 300 * np.exp(-0.5 * ((time - 500) / 100) ** 2),
        300 + 3000 * np.exp(-(time - 400) / 15) * (time >= 400),
    )
    generator = np.random.default_rng(seed)
    slew, flare, burst = (pd.Series(generator.poisson(counts)).skew() for counts in sketches)
    for name, skew in (("slew", slew), ("flare", flare), ("burst", burst)):
        record_property(f"skew of the {name}", float(skew))
    assert slew < -0.4
    assert 1 < flare < 2
    assert burst > 5


def test_the_usual_ruler_bends(sky, record_property):
    usual = (sky["skew"] - sky["skew"].mean()) / sky["skew"].std()
    robust = robust_z(sky["skew"])
    record_property("skew: robust z / usual z, median", float((robust / usual).median()))
    assert not np.sum(usual < -5)
    assert np.sum(robust < -5) >= 3
    assert np.sum(robust > 5) > 1.2 * np.sum(usual > 5)
    assert (robust / usual).median() > 3, "several times larger"


def test_four_things_stand_off(table, truth):
    skew, chi2 = table["skew"], table.red_chi2
    assert not skew.between(1.6, 4).any(), "the histogram is empty"
    assert (table.object_label[skew > 2] == "NS").all()
    top = (chi2 > 50) & (skew.abs() < 0.3)
    soft_ns = (table.object_label == "NS") & table.state_label.isin(["HSS", "SIMS"])
    assert 0.9 < soft_ns[top].mean() < 1, "almost all"
    strange = truth[top & ~soft_ns]
    assert (strange.outlier == "flare").all()
    assert len(strange) == 3
    assert (table.state_label[top & ~soft_ns] == "LHS").all(), "the hard states"
    assert (truth.outlier[top & soft_ns] == "").all(), "nothing went wrong in them"
    trend = table.linear_trend * table.exposure / table.rate
    assert not trend.between(0.4, 1.4).any(), "nothing in between"
    marks = {
        "slew": trend > 1,
        "burst": skew > 2,
        "flare": (chi2 > 50) & skew.between(0.6, 2),
    }
    for name, marked in marks.items():
        assert (truth.outlier[marked] == name).all(), "not one false alarm"
        assert (marked.sum() < (truth.outlier == name).sum()) == (name == "flare")
    assert 0 < np.sum(marks["slew"] & (robust_z(skew) < -5)) < marks["slew"].sum()


def test_model_failure_shows_where_photons_abound(table, record_property):
    chosen = (table.object_label == "NS") & (table.state_label == "HSS") & (table["skew"] < 0.6)
    photons = table.rate * table.exposure
    brighter = photons[chosen & (table.red_chi2 > 50)].median()
    fainter = photons[chosen & (table.red_chi2 < 2)].median()
    record_property("photons of bad fits / of good ones, medians", float(brighter / fainter))
    assert brighter > 2 * fainter


def test_misfiled_rows_are_alone_in_time_and_hidden_in_flux_and_colour(table, truth):
    misfiled = truth.filed_under != ""
    assert misfiled.sum() == 5
    found = {name: days_alone(table, name) for name in ("source_id", "outburst_id")}
    assert found["outburst_id"][misfiled].min() > 365
    assert found["outburst_id"][~misfiled].max() < 180, "and then comes a gap"
    assert np.sum(found["source_id"][misfiled] < 30) == 1, "within weeks"
    pair = found["source_id"][misfiled & (table.source_id == "S13")]
    assert len(pair) == 2
    assert pair.iloc[0] == pytest.approx(pair.iloc[1]), "each other's nearest neighbours"
    for values in (np.log10(table.rate_1), np.log10(table.hr_soft)):
        z = values.groupby(table.source_id).transform(robust_z).abs()
        for limit in (2.5, 3, 3.5, 4):
            assert np.sum((z > limit) & misfiled) <= 1, "next to nothing"
            assert np.sum((z > limit) & ~misfiled) > 30


def test_a_few_sources_hold_most_rows(table, record_property):
    rows = {kind: own.source_id.value_counts() for kind, own in table.groupby("object_label")}
    effective = {kind: n.sum() ** 2 / np.sum(n**2) for kind, n in rows.items()}
    record_property("effective number of the 16 BH", float(effective["BH"]))
    record_property("effective number of the 32 NS", float(effective["NS"]))
    assert rows["BH"].iloc[:2].sum() > 0.5 * rows["BH"].sum()
    assert effective["BH"] < 16 / 3 + 1, "a handful"
    assert effective["BH"] / 16 < effective["NS"] / 32


def test_other_skies_have_another_most_frequent_state(table, record_property):
    generator = np.random.default_rng(200)
    small = table[["source_id", "state_label"]]
    most = [
        resample_sources(small, generator).state_label.value_counts().index[0] for _ in range(100)
    ]
    record_property("share of skies with most rows in the LHS", most.count("LHS") / len(most))
    assert set(most) == {"LHS", "HSS"}
    assert min(most.count("LHS"), most.count("HSS")) > 15


def test_the_score_of_doing_nothing(sky, record_property):
    rare, unsure = (sky.state_label == "SIMS").mean(), (sky.label_trust != "A").mean()
    record_property("share of SIMS", float(rare))
    record_property("share of labels that are not of trust A", float(unsure))
    assert rare < 0.1, "hardly any accuracy is lost"
    assert 0.3 < unsure < 0.5, "four rows in ten"


def test_outbursts_return_to_the_hard_state_much_fainter(record_property):
    train, _ = data.load_split()
    assert "S02" in set(train.source_id)
    rate = train.rate / train.n_det
    ratios = {}
    for name, own in train.assign(rate_1=rate).groupby("outburst_id"):
        soft, hard = (own[own.state_label == state] for state in ("HSS", "LHS"))
        if len(soft) < 6 or not len(hard):
            continue
        if hard.mjd.min() < soft.mjd.min() and hard.mjd.max() > soft.mjd.max():
            ratios[name] = soft.rate_1.iloc[:3].median() / soft.rate_1.iloc[-3:].median()
    record_property("first / last rate of the HSS, least outburst", float(min(ratios.values())))
    assert len(ratios) > 10
    assert min(ratios.values()) > 2
    assert ratios["R008"] > 10
