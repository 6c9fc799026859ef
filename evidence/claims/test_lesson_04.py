"""What lesson 04 says holds over resampled sources, over other cuts, and is no accident of a seed."""

import itertools

import numpy as np
import pandas as pd
import pytest

from course.checks import lesson_04 as check
from course.lesson_cells import lesson_names
from helpers.resampling import resample_sources as resample

SEEDS = range(5)
separation, spearman = check.separation.reference(), check.spearman.reference()


@pytest.fixture(scope="module")
def lesson():
    """The training set as the lesson uses it."""
    written = {"separation": separation, "spearman": spearman}
    written["observed_rms"] = check.observed_rms.reference()
    return lesson_names("04", "import", "train, validation", "ranges =", **written)


@pytest.fixture(scope="module")
def train(lesson):
    return lesson.train


@pytest.fixture(scope="module", params=SEEDS)
def drawn(train, request):
    """The training set with its sources resampled, black holes and neutron stars apart."""
    generator = np.random.default_rng(request.param)
    return pd.concat([resample(rows, generator) for _, rows in train.groupby("object_label")])


@pytest.fixture(scope="module")
def separations(lesson, drawn):
    """Separations of the lesson's columns and pairs, however few values there are."""
    cells, few = ("groups =", "def separate"), {">= 20": ">= 1"}
    return lesson_names("04", *cells, given=lesson, train=drawn, change=few).separations


@pytest.fixture(scope="module")
def biases(lesson):
    """The lesson's measures of what knows the label, and the sources' part in it."""
    cells = ("def with_error", "def luminosity_knows", "response =", "def drift")
    few = {"range(100)": "range(2)"}
    of_state = {"LHS": only(lesson.train, None, "LHS")}
    return lesson_names("04", *cells, given=lesson, change=few, of_state=of_state)


def only(table, kind=None, *states):
    own = (table.object_label == kind) | (kind is None)
    return table[own & (table.state_label.isin(states) | (not states))]


def test_two_sources_hold_most_rows_of_black_holes(train, record_property):
    sizes = only(train, "BH").source_id.value_counts()
    assert set(sizes.index[:2]) == {"S02", "S13"}
    of_two = sizes.iloc[:2].sum() / sizes.sum()
    record_property("share of the pointings of BH in two sources", of_two)
    assert 0.75 < of_two < 0.88


def test_published_ranges_hold_black_holes_in_the_hard_state_and_hues(
    lesson, drawn, record_property
):
    inside = lesson_names("04", "inside =", given=lesson, train=drawn).inside
    for column in ("rms_0p1_64", "gamma", "disc_frac"):
        shares = {state: inside[column, "BH", state] for state in ("LHS", "HIMS")}
        record_property(f"BH in LHS inside the range of {column}", shares["LHS"])
        # How much of HIMS lies in its range counts pointings without a value as outside.
        known = only(drawn, "BH", "HIMS")[column].notna().mean()
        assert shares["LHS"] > max(0.5, shares["HIMS"] * known)
    sectors = lesson_names("04", "seen =", given=lesson, train=drawn).shares
    assert min(sectors.loc[("BH", state), state] for state in ("LHS", "HIMS", "SIMS")) > 0.5
    assert min(inside[column, "NS", "LHS"] for column in ("rms_0p1_64", "gamma", "disc_frac")) > 0.5
    assert only(drawn, None, "HSS").hue.notna().mean() < 0.25


def test_published_ranges_do_not_hold_neutron_stars_in_soft_states(lesson, drawn, record_property):
    found = lesson_names("04", "inside =", given=lesson, train=drawn).inside
    inside = {kind: found["disc_frac", kind, "HSS"] for kind in ("NS", "BH")}
    for kind, share in inside.items():
        record_property(f"{kind} in HSS inside the range of the disc share", share)
    assert inside["NS"] < 0.15
    assert 0.25 < only(drawn, "NS", "HSS").disc_frac.median() < 0.55
    assert inside["BH"] > 0.75


def test_most_black_holes_in_hss_vary_more_than_five_per_cent(train, record_property):
    above = (only(train, "BH", "HSS").rms_0p1_64.dropna() > 0.05).mean()
    record_property("share of BH in HSS with an rms above 5 %", above)
    assert above > 0.55


def test_states_in_between_stray_from_their_boxes(lesson, record_property):
    found, inside = lesson_names("04", "inside =", given=lesson).inside, []
    for kind, state in itertools.product(("BH", "NS"), ("HIMS", "SIMS")):
        inside.append(found["rms_0p1_64", kind, state])
        record_property(f"{kind} in {state} inside the range of the rms", inside[-1])
    assert max(inside) < 0.5


def test_what_separates_the_states(separations, record_property):
    off = (separations - 0.5).abs()
    five = ["hr_soft", "hr_hard", "rms_0p1_64", "gamma", "disc_frac"]
    strong = off.loc[five, ["LHS → HIMS", "HIMS → SIMS"]].min(axis=None)
    five[-1] = "kt_in"
    weak, by_hue = off.loc[five, "SIMS → HSS"].max(), separations.loc["hue", "SIMS → HSS"]
    record_property("|separation − ½|, least of five columns, LHS-HIMS-SIMS", strong)
    record_property("|separation − ½|, most of five columns, SIMS-HSS", weak)
    record_property("separation of SIMS and HSS by hue", by_hue)
    assert strong > 0.15
    assert weak < 0.25
    assert by_hue > 0.8


def test_what_separates_the_objects_depends_on_the_state(separations, record_property):
    knows = {state: separations[f"BH → NS, {state}"] for state in ("LHS", "HSS")}
    off = {state: (values - 0.5).abs() for state, values in knows.items()}
    for column, state in (("qpo_freq", "LHS"), ("hr_soft", "LHS"), ("hr_soft", "HSS")):
        record_property(f"separation of BH and NS in {state} by {column}", knows[state][column])
    # Few black holes: where S02 and S13 are not drawn, these fall to 0.7.
    assert knows["LHS"][["nu_break", "qpo_freq"]].min() > 0.7
    assert knows["LHS"].hue > 0.6
    assert knows["HSS"].hr_soft > 0.9
    assert knows["HSS"].disc_frac < 0.1
    assert off["LHS"].hr_soft < off["HSS"].hr_soft
    lags = ["lag_0p1_1", "lag_1_10"]
    assert off["LHS"][lags].max() < off["LHS"][["qpo_freq", "nu_break"]].min()
    assert off["HSS"][lags].max() < off["HSS"].hr_soft


def test_other_sources_move_all_but_the_strongest_separations(train, record_property):
    def spread(column, state):
        generator = np.random.default_rng(4)
        parts = [only(train, kind, state) for kind in ("BH", "NS")]
        draws = [[resample(part, generator)[column] for part in parts] for _ in range(15)]
        return np.std([separation(*draw) for draw in draws])

    moved = [spread("hr_soft", "LHS"), spread("hr_hard", "LHS"), spread("gamma", "HSS")]
    strongest = [spread("hr_soft", "HSS"), spread("disc_frac", "HSS")]
    of_qpo = spread("qpo_freq", "LHS")
    name = "sd over skies of the separation of BH and NS"
    record_property(f"{name}, hr_soft in LHS", moved[0])
    record_property(f"{name}, qpo_freq in LHS", of_qpo)
    record_property(f"{name}, hr_soft in HSS", strongest[0])
    assert min(moved) > 0.05
    assert of_qpo < 0.06
    assert max(strongest) < 0.03


def test_lags_stay_close_to_no_separation(train, record_property):
    values = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        drawn = [resample(only(train, kind, "LHS"), generator).lag_1_10 for kind in ("BH", "NS")]
        values.append(separation(*drawn))
    record_property("separation of BH and NS in LHS by lag_1_10", values)
    assert abs(np.mean(values) - 0.5) < np.std(values)
    assert np.std(values) > 0.04  # it is the sources that decide


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_of_many_columns_is_worse_on_other_sources(lesson, seed, record_property):
    cut = lesson_names("04", "many =", given=lesson).chosen_and_tried
    drops = []
    for number in range(4):  # other cuts than the lesson's, a mean of four for each seed
        _, chosen, tried = cut(400 + 10 * seed + number)
        drops.append(chosen - tried)
    record_property("|separation − ½| lost on other sources", np.mean(drops))
    assert np.mean(drops) > 0.02


def test_ranks_see_curves_and_forgive_outliers(drawn, record_property):
    pearson, ranks = drawn.qpo_freq.corr(drawn.pc2), spearman(drawn.qpo_freq, drawn.pc2)
    record_property("correlation of qpo_freq and pc2, Pearson", pearson)
    record_property("correlation of qpo_freq and pc2, Spearman", ranks)
    assert ranks < -0.8
    assert abs(pearson) < 0.6


def test_bursts_make_and_hide_correlations(train, record_property):
    # The bursts are few: what is resampled are pointings.
    draws = [train.sample(frac=0.7, random_state=seed) for seed in SEEDS]
    calm_draws = [rows[rows["skew"].abs() < 3] for rows in draws]
    for name, tables in (("all", draws), ("no bursts", calm_draws)):
        found = [rows["skew"].corr(rows.stetson_k) for rows in tables]
        record_property(f"correlation of skew and stetson_k, {name}", found)
    for rows, calm in zip(draws, calm_draws, strict=True):
        assert 0 < len(rows) - len(calm) < 0.01 * len(train)
        assert rows["skew"].corr(rows.stetson_k) < -0.7
        assert abs(calm["skew"].corr(calm.stetson_k)) < 0.3
        assert abs(spearman(rows["skew"], rows.stetson_k)) < 0.15
        names = ["percent_amplitude", "percent_difference_flux_percentile"]
        assert rows[names].corr().iloc[0, 1] < 0.7 < calm[names].corr().iloc[0, 1]
        assert spearman(*(rows[name] for name in names)) > 0.97


def test_twins(train, drawn, record_property):
    assert (train.hr_soft.dropna() == train.hr_3_10.dropna()).all()
    pairs = (("rms_3_10", "rms_0p1_64"), ("std", "amplitude"))
    found = {pair: spearman(*(drawn[name] for name in pair)) for pair in pairs}
    for pair, value in found.items():
        record_property("rank correlation of {} and {}".format(*pair), value)
    assert min(found.values()) > 0.97


def test_twins_share_an_effect_by_luck(lesson, record_property):
    effects = []
    for seed in range(100, 130):
        cells = lesson_names("04", "twins =", given=lesson, change={"range(5)": f"[{seed}]"})
        effects.append(cells.effects.loc[seed])
    each, total = np.std(effects, axis=0), np.std(np.sum(effects, axis=1))
    record_property("sd of one twin's coefficient / of their sum", min(each / total))
    assert (each > 2 * total).all()


def test_hard_neutron_stars_lie_in_the_sector_of_hims(lesson, drawn, record_property):
    shares = lesson_names("04", "seen =", given=lesson, train=drawn).shares
    stars, holes = (shares.loc[(kind, "LHS"), "HIMS"] for kind in ("NS", "BH"))
    record_property("NS in LHS with the hue of HIMS", stars)
    record_property("BH in LHS with the hue of HIMS", holes)
    assert 0.3 < stars < 0.85
    assert stars > holes + 0.1
    assert only(drawn, "NS", "LHS").hue.median() > only(drawn, "BH", "LHS").hue.median() + 20


GAMMA = ("with_qpo =", "def relation")  # the cells about the photon index and the QPO frequency


def test_pooled_gamma_and_frequency_are_looser_and_flatter_than_within(
    lesson, drawn, record_property
):
    cells = lesson_names("04", *GAMMA, given=lesson, train=drawn)
    slope = "slope per decade"
    inside, pooled = cells.within["ρ"].median(), cells.pooled["ρ"]["all"]
    ratio = cells.pooled[slope]["all"] / cells.within[slope].median()
    record_property("rank correlation of Γ and QPO frequency, within sources", inside)
    record_property("rank correlation of Γ and QPO frequency, pooled", pooled)
    record_property("slope, pooled / within sources", ratio)
    assert inside > 0.75
    assert pooled < inside - 0.05
    assert ratio < 1


@pytest.mark.quick
def test_the_pooled_line_is_flatter_than_that_of_every_source(lesson, record_property):
    cells = lesson_names("04", *GAMMA, given=lesson)
    pooled, slopes = cells.pooled["slope per decade"]["all"], cells.within["slope per decade"]
    record_property("slope of Γ against log frequency, pooled", pooled)
    record_property("slope of Γ against log frequency, least of the sources", min(slopes))
    assert min(slopes) > pooled


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_by_source_are_wider(lesson, seed, record_property):
    cells = (*GAMMA, "generator = np.random.default_rng(44)")
    other = {"default_rng(44)": f"default_rng({seed})"}
    spread = lesson_names("04", *cells, given=lesson, change=other).spread.stack("drawn")
    ratios = spread.xs("sources", level="drawn") / spread.xs("rows", level="drawn")
    least, most = ratios.min(axis=None), ratios.max(axis=None)
    record_property("error from sources / from rows, least of six", least)
    record_property("error from sources / from rows, most of six", most)
    # Each of the two is known to 7 per cent.
    assert least > 1.5
    assert most < 7


def test_rms_falls_with_the_disc_share_and_neutron_stars_fall_off_the_line(drawn, record_property):
    ranks, ratio, lines = {}, {}, {}
    for kind in ("BH", "NS"):
        ranks[kind] = spearman(only(drawn, kind).rms_0p1_64, only(drawn, kind).disc_frac)
        known = only(drawn, kind).dropna(subset=["rms_0p1_64", "disc_frac"])
        line = lines[kind] = known.rms_0p1_64[known.disc_frac < 0.05].median()
        middle = known[known.disc_frac.between(0.2, 0.5)]
        ratio[kind] = (middle.rms_0p1_64 / (line * (1 - middle.disc_frac))).median()
        record_property(f"rank correlation of rms and disc share, {kind}", ranks[kind])
        record_property(f"rms / line of a constant corona, {kind}", ratio[kind])
    assert max(ranks.values()) < -0.5
    assert ratio["BH"] > 0.7
    assert ratio["NS"] < 0.5
    soft = only(drawn, "BH", "HSS")
    assert (soft.rms_0p1_64 / (1 - soft.disc_frac)).median() > lines["BH"]


def test_every_outburst_turns_soft_brighter_than_it_turns_hard(lesson, record_property):
    ratios = lesson_names("04", "ratios =", given=lesson).ratios
    record_property("luminosity on the way up / down, least outburst", ratios.min())
    record_property("luminosity on the way up / down, median outburst", ratios.median())
    assert len(ratios) >= 10
    assert ratios.min() > 1.5
    assert ratios.max() > 3 * ratios.median()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_constant_and_noise_make_the_trend_of_neutron_stars_and_not_of_black_holes(
    lesson, train, seed, record_property
):
    fewer = {"range(50)": "range(20)"}
    in_fifths = lesson_names("04", "def in_fifths", given=lesson, change=fewer).in_fifths
    generator = np.random.default_rng(seed)
    excess, empty, falls = {}, {}, []
    for kind in ("NS", "BH"):
        soft = only(train, kind, "HSS").sample(frac=0.8, random_state=seed)
        fifths = in_fifths(soft, generator)
        excess[kind] = (fifths.measured / fifths.constant)[:4]
        empty[kind] = (fifths["constant, empty"] - fifths["empty"])[:2]
        falls.append(fifths.measured[0] / fifths.measured[4])
        name = f"rms measured / faked from a constant, {kind}"
        record_property(f"{name}, least of four fifths", excess[kind].min())
        record_property(f"{name}, most of four fifths", excess[kind].max())
    assert min(falls) > 2.5
    assert excess["NS"].between(0.75, 1.5).all()
    assert (excess["BH"] > 1.5).all()
    assert empty["NS"].abs().max() < 0.15
    assert (empty["BH"] > 0.15).all()


def test_the_disc_of_faint_black_holes_is_cooler(drawn, record_property):
    soft = only(drawn, "BH", "HSS")
    found = spearman(soft.rate / soft.n_det, soft.kt_in)
    record_property("rank correlation of rate and kT of the disc, BH in HSS", found)
    assert found > 0.3


def test_exposure_knows_the_human_label(biases, drawn, record_property):
    found = [biases.exposure_knows(rows) for rows in (drawn, drawn[drawn.label_trust == "A"])]
    record_property("separation of the states in between by exposure", found[0])
    record_property("separation of the states in between by exposure, labels of trust A", found[1])
    assert 0.7 < found[0] < 0.8
    assert found[1] > 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_the_drift_is_lost_in_the_scatter(biases, seed, record_property):
    generator = np.random.default_rng(seed)
    draws = [resample(biases.colour, generator) for _ in range(60)]
    error = np.std([biases.drift(rows) for rows in draws]) / 100
    record_property("error of the drift of the colour from reset to reset", error)
    assert error > 0.02 > abs(biases.expected) / 100
    assert biases.colour.change.std() > 4  # per cent


def test_luminosity_knows_the_object_by_the_mass_that_was_put_in(biases, drawn, record_property):
    hard = only(drawn, None, "LHS")
    given, equal = (biases.luminosity_knows(hard, mass) for mass in (8, 1.4))
    record_property("separation of NS and BH by L/L_Edd", given)
    record_property("separation of NS and BH by L/L_Edd, one mass for all", equal)
    assert given > 0.7
    assert equal < 0.62


def test_hard_neutron_stars_are_several_times_faster(drawn, record_property):
    median = only(drawn, None, "LHS").groupby("object_label")[["nu_break", "qpo_freq"]].median()
    ratio = median.loc["NS"] / median.loc["BH"]
    for name, value in ratio.items():
        record_property(f"{name}, NS / BH in LHS", value)
    assert ratio.between(2, 10).all()


def test_power_spectra(lesson, record_property):
    cells = lesson_names("04", "curves =", given=lesson)
    curves, ours = cells.curves, cells.ours
    slow, fast = curves.frequency < 0.05, (curves.frequency > 1) & (curves.frequency < 10)
    fast_drops, slow_losses = [], []
    for kind, seed in itertools.product(("BH", "NS"), SEEDS):
        generator = np.random.default_rng(seed)
        mean = {}
        for state in ("LHS", "HIMS", "SIMS", "HSS"):
            chosen = ours & (curves.object_label == kind) & (curves.state_label == state)
            signal = (curves.power - curves.noise[:, None])[chosen] * curves.frequency
            pointings = pd.DataFrame(signal).groupby(curves.obs_id[chosen]).mean()
            mean[state] = pointings.sample(frac=1, replace=True, random_state=generator).mean()
        fast_drops.append(mean["LHS"][fast].mean() / mean["HSS"][fast].mean())
        left_slow = mean["HIMS"][slow].mean() / mean["LHS"][slow].mean()
        left_fast = mean["HIMS"][fast].mean() / mean["LHS"][fast].mean()
        slow_losses.append(left_slow / left_fast)
    for first, kind in ((0, "BH"), (len(SEEDS), "NS")):
        own = slice(first, first + len(SEEDS))
        record_property(f"power at 1-10 Hz, LHS / HSS, {kind}", fast_drops[own])
        record_property(f"left of the LHS in HIMS, slow / fast, {kind}", slow_losses[own])
    assert min(fast_drops) > 10
    assert max(fast_drops) < 1000
    assert max(slow_losses) < 0.8
