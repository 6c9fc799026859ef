"""What lesson 05 says holds for other splits, draws and seeds than those it shows."""

import numpy as np
import pytest

from course.checks import lesson_05 as check
from course.lesson_cells import lesson_names

SEEDS = range(5)  # the lesson uses 0 for its ten splits: these are five other sets of them
LOADED = {"train, validation = data.load_split()": ""}  # once is enough


@pytest.fixture(scope="module")
def lesson():
    """The lesson's data, models and ways to fill gaps."""
    written = {"pca": check.pca.reference(), "features_from": check.features_from.reference()}
    few = {"GroupShuffleSplit(10": "GroupShuffleSplit(2"}
    cells = ("train, validation =", "five =", "marking =")
    given = lesson_names("05", "import", "from course", my_guess_raw=..., **written)
    train, validation = given.data.load_split()
    train.attrs = validation.attrs = {}  # pandas copies them at each step
    more = {"train": train, "validation": validation}
    return lesson_names("05", *cells, given=given, change=few | LOADED, **more)


@pytest.fixture(scope="module")
def train(lesson):
    return lesson.train


def dealt(lesson, seed, number=8):
    """The lesson with splits of its sources that it does not show."""
    change = {
        "GroupShuffleSplit(10": f"GroupShuffleSplit({number}",
        "random_state=0": f"random_state={100 + seed}",
    }
    label = lesson.train.state_label
    return lesson_names(
        "05", "train, validation =", given=lesson, change=change | LOADED, label=label
    )


def test_the_pipeline_of_the_lesson_gives_the_features_of_the_helper(lesson):
    change = {'"disc_frac"]': '"disc_frac", *GROUPS["lags"]]'}
    cells = lesson_names("05", "logarithmic =", given=lesson, change=change)
    for table in (lesson.train, lesson.validation):
        mine, course = cells.mine.transform(table), cells.course.transform(table)
        np.testing.assert_allclose(mine, course, atol=1e-9)


def test_logarithms_pull_in_the_outliers(lesson, train, record_property):
    halves = [train.sample(frac=0.5, random_state=seed) for seed in SEEDS]
    fars = [lesson_names("05", "skewed =", given=lesson, train=half).far for half in halves]
    for name in ("rate", "red_chi2", "rms_0p004_0p03"):
        found = [far[name] / far[f"log10 {name}"] for far in fars]
        record_property(f"distance of the farthest {name} in sd, linear / log", found)
        assert min(found) > 2, name
    assert (train[["lag_0p1_1", "lag_1_10"]] < 0).mean().min() > 0.05


def test_neighbours_suffer_without_a_scale_and_trees_do_not(lesson, record_property):
    assert lesson.five.rate.var() / lesson.five.var().sum() > 0.9999
    gains = {"neighbours": [], "tree": []}
    for seed in SEEDS:
        given = dealt(lesson, seed, 5)
        found = lesson_names("05", "five =", given=given).found
        for name, gain in gains.items():
            gain.append((found[f"{name}, scaled"] - found[f"{name}, raw"]) / 100)
    neighbours, tree = np.mean(gains["neighbours"], axis=1), np.mean(gains["tree"], axis=1)
    record_property("accuracy gained by a scaler, 15 neighbours", neighbours)
    record_property("accuracy gained by a scaler, a tree", tree)
    assert np.min(gains["neighbours"]) > 0
    assert neighbours.min() > 0.15
    # A threshold may fall on the other side of a value when it is rounded.
    np.testing.assert_allclose(gains["tree"], 0, atol=2e-3)


def test_a_robust_scaler_helps_one_set_of_columns_and_not_another(lesson, record_property):
    gains = {"few": [], "more": []}
    for seed in SEEDS:
        for name, gain in gains.items():
            change = {"(few, more)": f"({name},)", "GroupShuffleSplit(24": "GroupShuffleSplit(8"}
            change["random_state=1"] = f"random_state={100 + seed}"
            cells = lesson_names("05", "few =", given=lesson, change=change)
            others = np.array([cells.robust, cells.logged])
            gain.append((others - cells.standard).mean(axis=1) / 100)
    of_few, by_logs = np.transpose(gains["few"])
    of_more, _ = np.transpose(gains["more"])
    record_property("accuracy gained by a robust scaler, two columns", of_few)
    record_property("accuracy gained by a robust scaler, five columns", of_more)
    record_property("accuracy gained by a logarithm, two columns", by_logs)
    assert of_few.min() > 0.02
    assert of_more.max() < 0.01
    assert by_logs.min() > 0.02
    assert of_more.mean() < 0


def test_one_per_cent_of_outliers_decides_a_deviation_and_no_quartile(
    lesson, train, record_property
):
    halves = [train.sample(frac=0.5, random_state=seed) for seed in SEEDS]
    cells = [lesson_names("05", "def spreads", given=lesson, train=half) for half in halves]
    ratios = [cell.spreads(cell.with_outliers) / cell.spreads(cell.without) for cell in cells]
    for name in ("red_chi2", "skew"):
        deviation, quartiles = np.transpose([ratio.loc[name] for ratio in ratios])
        record_property(f"sd of {name}, with / without the highest 1 %", deviation)
        record_property(f"interquartile range of {name}, with / without the highest 1 %", quartiles)
        assert deviation.min() > 3
        assert quartiles.max() < 1.2


def test_a_hue_in_degrees_depends_on_the_cut_and_a_direction_does_not(lesson, record_property):
    cuts, found = (0, 80, 160, 340), []
    for seed in SEEDS:
        change = {"range(0, 360, 20)": f"{cuts}"}
        cells = lesson_names("05", "seen =", given=dealt(lesson, seed), change=change)
        scores = [*cells.by_cut.values(), *cells.directions.values()]
        found.append(np.mean(scores, axis=1) / 100)
    *by_cut, direction, turned = np.transpose(found)
    for cut, values in zip(cuts, by_cut, strict=True):
        record_property(f"accuracy from a hue in degrees, cut at {cut}", values)
    record_property("accuracy from a direction", direction)
    assert (np.ptp(by_cut, axis=0) > 0.1).all()
    assert (abs(direction - turned) < 0.01).all()
    assert (direction > by_cut[1:3]).all()  # cuts through the hard and intermediate hues
    assert (direction > by_cut[0]).all()
    assert (abs(direction - by_cut[3]) < 0.1).all()  # the cut in the empty part does as well


def test_the_soft_state_has_its_rms_below_the_median(lesson, train, record_property):
    complete = train[list(lesson.STATE_FEATURES)].notna().all(axis=1)
    below = []
    for seed in SEEDS:
        some = train.sample(frac=0.3, random_state=seed)
        soft = some[(some.state_label == "HSS") & some.rms_0p1_64.notna()]
        below.append((soft.rms_0p1_64 < some.rms_0p1_64.median()).mean())
    record_property("share of complete rows", complete.mean())
    record_property("HSS with an rms below the median of all", below)
    assert complete.mean() < 0.05
    assert not (train.state_label[complete] == "HSS").any()
    assert min(below) > 0.95


FILLINGS = ("median", "low", "median + mark")


@pytest.mark.parametrize("model", ["logistic", "neighbours"], ids=["linear", "near"])
def test_fillings_differ_where_the_gaps_are(lesson, model, record_property):
    models = {model: lesson.models[model]}
    fillings, found = {name: lesson.fillings[name] for name in FILLINGS}, []
    for seed in SEEDS:
        more = {"given": dealt(lesson, seed), "models": models, "fillings": fillings}
        cells = lesson_names("05", "label, every, gap =", **more)
        # For each filling: all rows and those with gaps, of each split.
        both = [(cells.every[model, name], cells.gap[model, name]) for name in FILLINGS]
        found.append(np.array(both) / 100)
    plain, *others = np.moveaxis(found, 1, 0)
    gains = [(other - plain).mean(axis=2) for other in others]
    kind = type(lesson.models[model]).__name__
    for gain, filling in zip(gains, ("a low value", "marks"), strict=True):
        for column, where in enumerate(("all rows", "rows with gaps")):
            what = f"accuracy gained over the median by {filling}, {where}, {kind}"
            record_property(what, gain[:, column])
    for other, (every, gaps) in zip(others, (gain.T for gain in gains), strict=True):
        assert every.min() > 0
        assert every.max() < 0.07
        assert (gaps > 2 * every).all()
        assert (other[:, 1].std(axis=1) < plain[:, 1].std(axis=1)).all()
        assert (other[:, 1].min(axis=1) > plain[:, 1].min(axis=1) + 0.1).all()
    assert 0.1 < np.mean([gain[:, 1] for gain in gains]) < 0.25


def test_marks_help_the_linear_model_and_not_the_neighbours(lesson, record_property):
    fillings = {name: lesson.fillings[name] for name in ("median", "median + mark")}
    gains, names = {}, {"logistic": "logistic regression", "neighbours": "15 neighbours"}
    for label, kind in (
        ("state_label", "logistic"), ("state_label", "neighbours"), ("object_label", "logistic"),
    ):  # fmt: skip
        change = {'("state_label", "object_label")': f'("{label}",)'}
        change['("low", "median + mark")'] = '("median + mark",)'
        more = {"models": {kind: lesson.models[kind]}, "fillings": fillings, "change": change}
        cells = [
            lesson_names("05", "features = prepare", given=dealt(lesson, seed, 4), **more)
            for seed in SEEDS
        ]
        gain = [each.less_median[label, kind, "median + mark"].mean() for each in cells]
        gains[label, kind] = np.array(gain) / 100
        record_property(f"accuracy gained by marks, {label}, {names[kind]}", gains[label, kind])
    linear, of_object = gains["state_label", "logistic"], gains["object_label", "logistic"]
    near = gains["state_label", "neighbours"]
    assert linear.min() > 0
    assert of_object.min() > 0
    assert near.mean() < 0
    assert near.max() < min(0.01, of_object.mean())
    assert linear.max() < 0.03
    assert of_object.mean() > linear.mean()


def test_gaps_alone_tell_the_state_and_do_not_carry_to_nicer(lesson, train, record_property):
    found, shares = [], []
    hard = train[train.state_label == "LHS"]
    thirds = hard.rate < train.rate.quantile(1 / 3), hard.rate > train.rate.quantile(2 / 3)
    for seed in SEEDS:
        cells = lesson_names("05", "known =", given=dealt(lesson, seed, 5))
        found.append((np.mean(cells.alone["RXTE"]) / 100, np.mean(cells.alone["NICER"]) / 100))
        shares.append(
            [hard.hue[third].sample(100, random_state=seed).isna().mean() for third in thirds]
        )
    same, other = np.transpose(found)
    record_property("accuracy from gaps alone, RXTE", same)
    record_property("accuracy from gaps alone, NICER", other)
    assert train.kt_in.isna().mean() > 0.4
    assert cells.nicer.kt_in.isna().mean() < 0.05
    assert same.min() > 0.78
    assert other.max() < 0.65
    assert all(faint > 2 * bright for faint, bright in shares)


def test_variance_is_not_relevance(lesson, train, record_property):
    sources, found, signs = train.source_id.unique(), [], []
    for seed in SEEDS:
        chosen = np.random.default_rng(seed).choice(sources, 20, replace=False)
        rows = train[train.source_id.isin(chosen)]
        nine = lesson_names("05", "nine =", given=dealt(lesson, seed), train=rows)
        pca, in_soft = nine.reference, rows.state_label.eq("HSS").to_numpy()
        more = {"score": pca.transform(nine.scaled), "in_soft": in_soft, "soft": rows[in_soft]}
        change = {"range(3)": "range(2)"}
        one = lesson_names("05", "from_one =", given=nine, change=change, **more).from_one
        scores = one["PC1"].mean() / 100, one["PC2"].mean() / 100
        found.append((*pca.explained_variance_ratio_[:2], *scores))
        signs.append(np.sign(pca.components_[0]))
    ratio_1, ratio_2, first, second = np.transpose(found)
    signs = np.array(signs)
    record_property("share of the variance in the first component", ratio_1)
    record_property("balanced accuracy, object in HSS from the first component", first)
    record_property("balanced accuracy, object in HSS from the second component", second)
    assert ratio_1.min() > 0.65
    assert ratio_1.max() < 0.85
    assert ratio_2.max() < 0.15
    assert (signs[:, [0, 1, *range(3, 9)]] == signs[:, :1]).all()
    assert (signs[:, 2] == -signs[:, 0]).all()  # the disc's share against all others
    assert (second > first + 0.1).all()


def test_raw_variances_are_those_of_the_rate_and_rms_bands_are_collinear(
    lesson, train, record_property
):
    found = []
    for seed in SEEDS:
        some = train.sample(frac=0.5, random_state=seed)
        cells = lesson_names("05", "nine =", "with_rate =", given=lesson, train=some)
        raw = cells.raw
        found.append(
            (raw.explained_variance_ratio_[0], abs(raw.components_[0, 0]), cells.ratio_of_bands[0])
        )
    of_raw, rate, of_bands = np.transpose(found)
    record_property("variance outside the first of five raw components", 1 - of_raw)
    record_property("share of the variance of rms bands in one component", of_bands)
    assert of_raw.min() > 0.9999
    assert rate.min() > 0.999
    assert of_bands.min() > 0.75
    assert of_bands.max() < 0.9


def test_the_state_needs_three_components_and_the_object_more(lesson, record_property):
    scores, features = {}, lesson.prepare(lesson.train, lesson.STATE_FEATURES)
    for label, numbers in (("state_label", (3, 28)), ("object_label", (2, 6, 28))):
        change = {"(1, 2, 3, 4, 6, 10, 28)": f"{numbers}", '["o", "^"]': '["o"]'}
        more = {"change": change, "features": features, "targets": (label,)}
        cells = [
            lesson_names("05", "numbers, by_number =", given=dealt(lesson, seed, 3), **more)
            for seed in SEEDS
        ]
        found = [[each.by_number[label, number] for number in numbers] for each in cells]
        for number, values in zip(numbers, np.mean(found, axis=2).T / 100, strict=True):
            scores[label, number] = values
            record_property(f"accuracy, {label} from {number} components", values)
    assert (abs(scores["state_label", 28] - scores["state_label", 3]) < 0.04).all()
    assert (scores["object_label", 6] > scores["object_label", 2] + 0.1).all()
    assert (scores["object_label", 28] > scores["object_label", 2] + 0.15).all()


def test_the_leak_of_a_scaler_is_tiny(lesson, train, record_property):
    found = []
    for seed in SEEDS:
        change = {"GroupShuffleSplit(20": "GroupShuffleSplit(6"}
        change["random_state=1"] = f"random_state={100 + seed}"
        label = train.state_label
        found.append(lesson_names("05", "leaked =", given=lesson, change=change, label=label))
    gain = np.array([each.by_leak.mean() for each in found]) / 100
    spread = np.array([np.std(each.sealed, ddof=1) for each in found]) / 100
    record_property("accuracy gained by the leak", gain)
    record_property("sd of the accuracy over splits", spread)
    assert (abs(gain) < 0.3 * spread).all()
    assert max(each.by_leak.max() for each in found) > 0
    assert min(each.by_leak.min() for each in found) < 0


@pytest.mark.quick
def test_the_leak_of_a_choice_is_not(lesson, record_property):
    change = {"range(20)": "range(100, 110)", "honest_score = check.honest_score(honest_score)": ""}
    cells = lesson_names("05", "classifier =", "hole =", given=lesson, change=change)
    before, inside = np.array(cells.before) / 100, np.array(cells.inside) / 100
    record_property("balanced accuracy on noise, chosen before the folds", before)
    record_property("balanced accuracy on noise, chosen inside the folds", inside)
    assert min(before) > 0.75
    error = np.std(inside, ddof=1) / np.sqrt(len(inside))
    assert abs(np.mean(inside) - 0.5) < 3 * error
