"""What lesson 04 says holds over resampled sources, over other cuts, and is no accident of a seed."""

import itertools

import numpy as np
import pandas as pd
import pytest

from course.checks import lesson_04
from helpers import data
from helpers.resampling import resample_sources as resample

SEEDS = range(5)
separation, spearman = lesson_04.separation.reference(), lesson_04.spearman.reference()
observed_rms = lesson_04.observed_rms.reference()


@pytest.fixture(scope="module")
def train():
    train, _ = data.load_split()
    return train.assign(hue=(train.hue + 20) % 360 - 20)


@pytest.fixture(scope="module", params=SEEDS)
def drawn(train, request):
    """The training set with its sources resampled, black holes and neutron stars apart."""
    generator = np.random.default_rng(request.param)
    return pd.concat([resample(rows, generator) for _, rows in train.groupby("object_label")])


def only(table, kind=None, *states):
    own = (table.object_label == kind) | (kind is None)
    return table[own & (table.state_label.isin(states) | (not states))]


def within(table, least=20):
    """{source: rows} with a photon index and a QPO."""
    known = table.dropna(subset=["gamma", "qpo_freq"])
    # Where a source was drawn twice its rows are there twice.
    return {n: rows for n, rows in known.groupby("source_id") if len(rows) >= least}


def slope(rows):
    return np.polyfit(np.log10(rows.qpo_freq), rows.gamma, 1)[0]


def test_two_sources_hold_most_rows_of_black_holes(train, record_property):
    sizes = only(train, "BH").source_id.value_counts()
    assert set(sizes.index[:2]) == {"S02", "S13"}
    of_two = sizes.iloc[:2].sum() / sizes.sum()
    record_property("share of the pointings of BH in two sources", float(of_two))
    assert 0.75 < of_two < 0.88


def test_published_ranges_hold_black_holes_in_the_hard_state_and_hues(drawn, record_property):
    hard, between, shares = only(drawn, "BH", "LHS"), only(drawn, "BH", "HIMS"), {}
    for column, own, next_ in (
        ("rms_0p1_64", (0.25, 0.45), (0.1, 0.25)),
        ("gamma", (1.4, 2.1), (1.9, 2.5)),
        ("disc_frac", (0, 0.2), (0.1, 0.6)),
    ):
        shares[column] = hard[column].between(*own).mean(), between[column].between(*next_).mean()
        record_property(f"BH in LHS inside the range of {column}", float(shares[column][0]))
    for inside, inside_next in shares.values():
        assert inside > 0.5
        assert inside > inside_next
    for state, (low, high) in {"LHS": (-20, 140), "HIMS": (140, 220), "SIMS": (220, 300)}.items():
        assert only(drawn, "BH", state).hue.dropna().between(low, high).mean() > 0.5
    assert only(drawn, None, "HSS").hue.notna().mean() < 0.25


def test_published_ranges_do_not_hold_neutron_stars_in_soft_states(drawn, record_property):
    inside = {
        kind: only(drawn, kind, "HSS").disc_frac.between(0.75, 0.99).mean() for kind in ("NS", "BH")
    }
    for kind, share in inside.items():
        record_property(f"{kind} in HSS inside the range of the disc share", float(share))
    assert inside["NS"] < 0.15
    assert 0.25 < only(drawn, "NS", "HSS").disc_frac.median() < 0.55
    assert inside["BH"] > 0.75


def test_most_black_holes_in_hss_vary_more_than_five_per_cent(train, record_property):
    above = (only(train, "BH", "HSS").rms_0p1_64.dropna() > 0.05).mean()
    record_property("share of BH in HSS with an rms above 5 %", float(above))
    assert above > 0.55


def test_states_in_between_stray_from_their_boxes(train, record_property):
    inside = []
    for kind in ("BH", "NS"):
        for state, limits in {"HIMS": (0.10, 0.25), "SIMS": (0.04, 0.10)}.items():
            inside.append(only(train, kind, state).rms_0p1_64.dropna().between(*limits).mean())
            record_property(f"{kind} in {state} inside the range of the rms", float(inside[-1]))
    assert max(inside) < 0.5


def test_what_separates_the_states(drawn, record_property):
    hard, middle, late, soft = (only(drawn, None, s) for s in ("LHS", "HIMS", "SIMS", "HSS"))
    strong = {
        (column, which): abs(separation(first[column], second[column]) - 0.5)
        for which, (first, second) in enumerate(((hard, middle), (middle, late)))
        for column in ("hr_soft", "hr_hard", "rms_0p1_64", "gamma", "disc_frac")
    }
    weak = {
        column: abs(separation(late[column], soft[column]) - 0.5)
        for column in ("hr_soft", "hr_hard", "rms_0p1_64", "gamma", "kt_in")
    }
    by_hue = separation(late.hue, soft.hue)
    record_property(
        "|separation − ½|, least of five columns, LHS-HIMS-SIMS", float(min(strong.values()))
    )
    record_property("|separation − ½|, most of five columns, SIMS-HSS", float(max(weak.values())))
    record_property("separation of SIMS and HSS by hue", float(by_hue))
    assert min(strong.values()) > 0.15, strong
    assert max(weak.values()) < 0.25, weak
    assert by_hue > 0.8


def test_what_separates_the_objects_depends_on_the_state(drawn, record_property):
    def knows(column, *states):
        return separation(only(drawn, "BH", *states)[column], only(drawn, "NS", *states)[column])

    for column, state in (("qpo_freq", "LHS"), ("hr_soft", "LHS"), ("hr_soft", "HSS")):
        name = f"separation of BH and NS in {state} by {column}"
        record_property(name, float(knows(column, state)))
    # Few black holes: where S02 and S13 are not drawn, these fall to 0.7.
    assert min(knows("nu_break", "LHS"), knows("qpo_freq", "LHS")) > 0.7
    assert knows("hue", "LHS") > 0.6
    assert knows("hr_soft", "HSS") > 0.9
    assert knows("disc_frac", "HSS") < 0.1
    assert abs(knows("hr_soft", "LHS") - 0.5) < abs(knows("hr_soft", "HSS") - 0.5)
    for column in ("lag_0p1_1", "lag_1_10"):
        assert abs(knows(column, "LHS") - 0.5) < abs(knows("qpo_freq", "LHS") - 0.5)
        assert abs(knows(column, "LHS") - 0.5) < abs(knows("nu_break", "LHS") - 0.5)
        assert abs(knows(column, "HSS") - 0.5) < abs(knows("hr_soft", "HSS") - 0.5)


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
    record_property(f"{name}, hr_soft in LHS", float(moved[0]))
    record_property(f"{name}, qpo_freq in LHS", float(of_qpo))
    record_property(f"{name}, hr_soft in HSS", float(strongest[0]))
    assert min(moved) > 0.05
    assert of_qpo < 0.06
    assert max(strongest) < 0.03


def test_lags_stay_close_to_no_separation(train, record_property):
    values = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        drawn = [resample(only(train, kind, "LHS"), generator).lag_1_10 for kind in ("BH", "NS")]
        values.append(float(separation(*drawn)))
    record_property("separation of BH and NS in LHS by lag_1_10", values)
    assert abs(np.mean(values) - 0.5) < np.std(values)
    assert np.std(values) > 0.04  # it is the sources that decide


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_of_many_columns_is_worse_on_other_sources(train, seed, record_property):
    measured = train.loc[:, train.notna().mean() > 0.5].select_dtypes(float).columns.drop("mjd")
    black = train.object_label == "BH"
    names = [train.source_id[black].unique(), train.source_id[~black].unique()]
    drops = []
    for cut in range(4):  # other cuts than the lesson's, a mean of four for each seed
        generator = np.random.default_rng([4, seed, cut])
        half = [n for kind in names for n in generator.permutation(kind)[: len(kind) // 2]]
        inside = train.source_id.isin(half)
        here, there = (
            pd.Series({c: separation(train[c][m & black], train[c][m & ~black]) for c in measured})
            - 0.5
            for m in (inside, ~inside)
        )
        best = here.abs().idxmax()
        drops.append(abs(here[best]) - np.sign(here[best]) * there[best])
    loss = np.mean(drops)
    record_property("|separation − ½| lost on other sources", float(loss))
    assert loss > 0.02


def test_ranks_see_curves_and_forgive_outliers(drawn, record_property):
    pearson, ranks = drawn.qpo_freq.corr(drawn.pc2), spearman(drawn.qpo_freq, drawn.pc2)
    record_property("correlation of qpo_freq and pc2, Pearson", float(pearson))
    record_property("correlation of qpo_freq and pc2, Spearman", float(ranks))
    assert ranks < -0.8
    assert abs(pearson) < 0.6


def test_bursts_make_and_hide_correlations(train, record_property):
    # The bursts are few: what is resampled are pointings.
    draws = [train.sample(frac=0.7, random_state=seed) for seed in SEEDS]
    calm_draws = [rows[rows["skew"].abs() < 3] for rows in draws]
    for name, tables in (("all", draws), ("no bursts", calm_draws)):
        found = [float(rows["skew"].corr(rows.stetson_k)) for rows in tables]
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
        record_property("rank correlation of {} and {}".format(*pair), float(value))
    assert min(found.values()) > 0.97


def test_twins_share_an_effect_by_luck(train, record_property):
    twins = ["rms_0p1_64", "rms_3_10"]
    complete = train.dropna(subset=["gamma", *twins])
    effects = []
    for seed in range(100, 130):
        rows = complete.sample(300, random_state=seed)
        x = (rows[twins] - rows[twins].mean()) / rows[twins].std()
        effects.append(np.linalg.lstsq(x, rows.gamma - rows.gamma.mean())[0])
    each, total = np.std(effects, axis=0), np.std(np.sum(effects, axis=1))
    record_property("sd of one twin's coefficient / of their sum", float(min(each / total)))
    assert (each > 2 * total).all()


def test_hard_neutron_stars_lie_in_the_sector_of_hims(drawn, record_property):
    stars, holes = only(drawn, "NS", "LHS").hue.dropna(), only(drawn, "BH", "LHS").hue.dropna()
    inside = [hue.between(140, 220).mean() for hue in (stars, holes)]
    record_property("NS in LHS with the hue of HIMS", float(inside[0]))
    record_property("BH in LHS with the hue of HIMS", float(inside[1]))
    assert 0.3 < inside[0] < 0.85
    assert inside[0] > inside[1] + 0.1
    assert stars.median() > holes.median() + 20


def test_pooled_gamma_and_frequency_are_looser_and_flatter_than_within(drawn, record_property):
    parts = within(drawn)
    known = pd.concat(parts.values())
    inside = np.median([spearman(rows.gamma, rows.qpo_freq) for rows in parts.values()])
    pooled = spearman(known.gamma, known.qpo_freq)
    slopes = slope(known), np.median([slope(rows) for rows in parts.values()])
    record_property("rank correlation of Γ and QPO frequency, within sources", float(inside))
    record_property("rank correlation of Γ and QPO frequency, pooled", float(pooled))
    record_property("slope, pooled / within sources", float(slopes[0] / slopes[1]))
    assert inside > 0.75
    assert pooled < inside - 0.05
    assert slopes[0] < slopes[1]


def test_the_pooled_line_is_flatter_than_that_of_every_source(train, record_property):
    known = train.dropna(subset=["gamma", "qpo_freq"])
    pooled, of_sources = slope(known), [slope(rows) for rows in within(train).values()]
    record_property("slope of Γ against log frequency, pooled", float(pooled))
    record_property(
        "slope of Γ against log frequency, least of the sources", float(min(of_sources))
    )
    assert min(of_sources) > pooled


@pytest.mark.parametrize("seed", SEEDS)
def test_errors_by_source_are_wider(train, seed, record_property):
    generator = np.random.default_rng(seed)
    known, ratios = train.dropna(subset=["gamma", "qpo_freq"]), []
    for kind in ("BH", "NS", None):
        rows = only(known, kind)
        by_row = [rows.sample(frac=1, replace=True, random_state=generator) for _ in range(40)]
        by_source = [resample(rows, generator) for _ in range(40)]
        for measure in (slope, lambda t: t.gamma.corr(t.qpo_freq, method="spearman")):
            narrow, wide = (np.std([measure(t) for t in draws]) for draws in (by_row, by_source))
            ratios.append(float(wide / narrow))
    record_property("error from sources / from rows, least of six", min(ratios))
    record_property("error from sources / from rows, most of six", max(ratios))
    # Each of the two is known to 11 per cent.
    assert min(ratios) > 1.5
    assert max(ratios) < 7


def test_rms_falls_with_the_disc_share_and_neutron_stars_fall_off_the_line(drawn, record_property):
    ranks, ratio, lines = {}, {}, {}
    for kind in ("BH", "NS"):
        ranks[kind] = spearman(only(drawn, kind).rms_0p1_64, only(drawn, kind).disc_frac)
        known = only(drawn, kind).dropna(subset=["rms_0p1_64", "disc_frac"])
        line = lines[kind] = known.rms_0p1_64[known.disc_frac < 0.05].median()
        middle = known[known.disc_frac.between(0.2, 0.5)]
        ratio[kind] = (middle.rms_0p1_64 / (line * (1 - middle.disc_frac))).median()
        record_property(f"rank correlation of rms and disc share, {kind}", float(ranks[kind]))
        record_property(f"rms / line of a constant corona, {kind}", float(ratio[kind]))
    assert max(ranks.values()) < -0.5
    assert ratio["BH"] > 0.7
    assert ratio["NS"] < 0.5
    soft = only(drawn, "BH", "HSS")
    assert (soft.rms_0p1_64 / (1 - soft.disc_frac)).median() > lines["BH"]


def test_every_outburst_turns_soft_brighter_than_it_turns_hard(train, record_property):
    ratios = []
    for _, rows in train.groupby("outburst_id"):
        between = rows[rows.state_label.isin(["HIMS", "SIMS"])]
        if min((rows.state_label == state).sum() for state in ("LHS", "HIMS", "HSS")) >= 5:
            rising = between.mjd < rows.mjd[rows.state_label == "HSS"].median()
            lum = between.lum_edd_est
            ratios.append(lum[rising].median() / lum[~rising].median())
    record_property("luminosity on the way up / down, least outburst", float(min(ratios)))
    record_property("luminosity on the way up / down, median outburst", float(np.median(ratios)))
    assert len(ratios) >= 10
    assert min(ratios) > 1.5
    assert max(ratios) > 3 * np.median(ratios)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_constant_and_noise_make_the_trend_of_neutron_stars_and_not_of_black_holes(
    train, seed, record_property
):
    generator = np.random.default_rng(seed)
    excess, empty, falls = {}, {}, []
    for kind in ("NS", "BH"):
        soft = only(train, kind, "HSS").sample(frac=0.8, random_state=seed)
        fifth = pd.qcut(soft.rate / soft.n_det, 5, labels=False)
        error = 2 / (1 - soft.bkg_frac) / soft.rate * np.sqrt(64 / soft.exposure)
        constant = soft.rms_0p1_64[fifth == 4].median()
        faked = [observed_rms(constant, error, generator) for _ in range(20)]
        faked = pd.DataFrame(np.transpose(faked), index=soft.index)
        measured = soft.rms_0p1_64.groupby(fifth).median()
        excess[kind] = (measured / faked.groupby(fifth).median().mean(axis=1))[:4]
        gaps = soft.rms_0p1_64.isna().groupby(fifth).mean()
        empty[kind] = (faked.isna().groupby(fifth).mean().mean(axis=1) - gaps)[:2]
        falls.append(measured[0] / measured[4])
        name = f"rms measured / faked from a constant, {kind}"
        record_property(f"{name}, least of four fifths", float(excess[kind].min()))
        record_property(f"{name}, most of four fifths", float(excess[kind].max()))
    assert min(falls) > 2.5
    assert excess["NS"].between(0.75, 1.5).all()
    assert (excess["BH"] > 1.5).all()
    assert empty["NS"].abs().max() < 0.15
    assert (empty["BH"] > 0.15).all()


def test_the_disc_of_faint_black_holes_is_cooler(drawn, record_property):
    soft = only(drawn, "BH", "HSS")
    found = spearman(soft.rate / soft.n_det, soft.kt_in)
    record_property("rank correlation of rate and kT of the disc, BH in HSS", float(found))
    assert found > 0.3


def test_exposure_knows_the_human_label(drawn, record_property):
    found = []
    for rows in (drawn, drawn[drawn.label_trust == "A"]):
        between = rows.state_label.isin(["HIMS", "SIMS"])
        found.append(float(separation(rows.exposure[~between], rows.exposure[between])))
    record_property("separation of the states in between by exposure", found[0])
    record_property("separation of the states in between by exposure, labels of trust A", found[1])
    assert 0.7 < found[0] < 0.8
    assert found[1] > 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_the_drift_is_lost_in_the_scatter(train, seed, record_property):
    hard = only(train, None, "LHS").query("label_trust == 'A'").copy()
    hard["change"] = hard.hr_soft / hard.groupby("source_id").hr_soft.transform("median") - 1
    resets = np.array([50100, 51259, 51677, train.mjd.max()])
    epoch = np.searchsorted(resets, hard.mjd).clip(1, 3) - 1
    hard["since"] = (hard.mjd - resets[epoch]) / np.diff(resets)[epoch]
    generator = np.random.default_rng(seed)
    draws = [resample(hard, generator) for _ in range(60)]
    error = np.std([np.polyfit(rows.since, rows.change, 1)[0] for rows in draws])
    record_property("error of the drift of the colour from reset to reset", float(error))
    assert error > 0.02  # what the drift does from reset to reset
    assert hard.change.std() > 0.04


def test_luminosity_knows_the_object_by_the_mass_that_was_put_in(drawn, record_property):
    holes, stars = (only(drawn, kind, "LHS").lum_edd_est for kind in ("BH", "NS"))
    given, equal = separation(stars, holes), separation(stars * 8 / 1.4, holes)
    record_property("separation of NS and BH by L/L_Edd", float(given))
    record_property("separation of NS and BH by L/L_Edd, one mass for all", float(equal))
    assert given > 0.7
    assert equal < 0.62


def test_hard_neutron_stars_are_several_times_faster(drawn, record_property):
    median = only(drawn, None, "LHS").groupby("object_label")[["nu_break", "qpo_freq"]].median()
    ratio = median.loc["NS"] / median.loc["BH"]
    for name, value in ratio.items():
        record_property(f"{name}, NS / BH in LHS", float(value))
    assert ratio.between(2, 10).all()


def test_power_spectra(train, record_property):
    curves = data.load_segments()
    ours = np.isin(curves.source_id, train.source_id.unique()) & (curves.noise < 0.02)
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
        fast_drops.append(float(mean["LHS"][fast].mean() / mean["HSS"][fast].mean()))
        left_slow = mean["HIMS"][slow].mean() / mean["LHS"][slow].mean()
        left_fast = mean["HIMS"][fast].mean() / mean["LHS"][fast].mean()
        slow_losses.append(float(left_slow / left_fast))
    for first, kind in ((0, "BH"), (len(SEEDS), "NS")):
        own = slice(first, first + len(SEEDS))
        record_property(f"power at 1-10 Hz, LHS / HSS, {kind}", fast_drops[own])
        record_property(f"left of the LHS in HIMS, slow / fast, {kind}", slow_losses[own])
    assert min(fast_drops) > 10
    assert max(fast_drops) < 1000
    assert max(slow_losses) < 0.8
