"""What lesson 05 says holds for other splits, draws and seeds than those it shows."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit, StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from course.checks import lesson_05
from helpers import data
from helpers.preprocessing import GROUPS, STATE_FEATURES, prepare, preprocessor

SEEDS = range(5)  # the lesson uses 0 for its ten splits: these are five other sets of them
NAMES = list(STATE_FEATURES)


@pytest.fixture(scope="module")
def train():
    return data.load_split()[0]


def splits(seed, number=8):
    return GroupShuffleSplit(number, test_size=0.25, random_state=100 + seed)


def right(model, features, train, label="state_label", seed=0, number=8, **more):
    target, groups = train[label], train.source_id
    return cross_val_score(model, features, target, groups=groups, cv=splits(seed, number), **more)


def low():
    return make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=-2.0))


def median(mark=False):
    return make_pipeline(SimpleImputer(strategy="median", add_indicator=mark), StandardScaler())


def logistic():
    return LogisticRegression(max_iter=1000)


def test_the_pipeline_of_the_lesson_gives_the_features_of_the_helper():
    train, validation = data.load_split()
    logarithmic = [*GROUPS["rms"], "nu_break", "qpo_freq"]
    others = ["hr_soft", "hr_hard", "gamma", "kt_in", "disc_frac", *GROUPS["lags"]]
    mine = lesson_05.features_from.reference()(logarithmic, "hue", others).fit(train)
    course = preprocessor([*logarithmic, "hue", *others]).fit(train)
    for table in (train, validation):
        np.testing.assert_allclose(mine.transform(table), course.transform(table), atol=1e-9)


def test_logarithms_pull_in_the_outliers(train, record_property):
    ratios = {name: [] for name in ("rate", "red_chi2", "rms_0p004_0p03")}
    for seed in SEEDS:
        some = train.sample(frac=0.5, random_state=seed)
        for name, found in ratios.items():
            values = some[name].dropna()
            far = [(v.max() - v.mean()) / v.std() for v in (values, np.log10(values))]
            found.append(float(far[0] / far[1]))
    for name, found in ratios.items():
        record_property(f"distance of the farthest {name} in sd, linear / log", found)
        assert min(found) > 2, name
    assert (train[["lag_0p1_1", "lag_1_10"]] < 0).mean().min() > 0.05


def test_neighbours_suffer_without_a_scale_and_trees_do_not(train, record_property):
    table = train[["hr_soft", "hr_hard", "disc_frac", "rms_0p1_64", "rate"]]
    table = table.fillna(table.median())
    assert table.rate.var() / table.var().sum() > 0.9999
    neighbours = KNeighborsClassifier(15)
    tree = DecisionTreeClassifier(min_samples_leaf=10, random_state=0)
    gains = {"15 neighbours": [], "a tree": []}
    for seed in SEEDS:
        for found, model, number in zip(gains.values(), (neighbours, tree), (5, 3), strict=True):
            raw = right(model, table, train, seed=seed, number=number)
            scaled = make_pipeline(StandardScaler(), model)
            found.append(right(scaled, table, train, seed=seed, number=number) - raw)
    for name, found in gains.items():
        gain = np.mean(found, axis=1)
        record_property(f"accuracy gained by a scaler, {name}", gain.tolist())
    assert np.min(gains["15 neighbours"]) > 0
    assert np.mean(gains["15 neighbours"], axis=1).min() > 0.15
    # A threshold may fall on the other side of a value when it is rounded.
    np.testing.assert_allclose(gains["a tree"], 0, atol=2e-3)


def test_a_robust_scaler_helps_one_set_of_columns_and_not_another(train, record_property):
    few = train[["hr_hard", "red_chi2"]]
    more = train[["hr_soft", "hr_hard", "rms_0p1_64", "red_chi2", "skew"]]
    gains, by_logs = [], []
    for seed in SEEDS:
        gain = []
        for table in (few, more):
            filled = table.fillna(table.median())
            robust, standard = (
                right(
                    make_pipeline(scaler, KNeighborsClassifier(15)),
                    filled,
                    train,
                    "object_label",
                    seed,
                )
                for scaler in (RobustScaler(), StandardScaler())
            )
            gain.append(np.mean(robust - standard))
        logs = few.fillna(few.median()).assign(red_chi2=np.log10(few.red_chi2))
        model = make_pipeline(StandardScaler(), KNeighborsClassifier(15))
        logged = right(model, logs, train, "object_label", seed)
        plain = right(model, few.fillna(few.median()), train, "object_label", seed)
        by_logs.append(float(np.mean(logged - plain)))
        gains.append(gain)
    of_few, of_more = np.transpose(gains)
    record_property("accuracy gained by a robust scaler, two columns", of_few.tolist())
    record_property("accuracy gained by a robust scaler, five columns", of_more.tolist())
    record_property("accuracy gained by a logarithm, two columns", by_logs)
    assert of_few.min() > 0.02
    assert of_more.max() < 0.01
    assert min(by_logs) > 0.02
    assert of_more.mean() < 0


def test_one_per_cent_of_outliers_decides_a_deviation_and_no_quartile(train, record_property):
    names = ("red_chi2", "skew")
    ratios = {(what, name): [] for what in ("sd", "interquartile range") for name in names}
    for seed in SEEDS:
        some = train.sample(frac=0.5, random_state=seed)
        for name in names:
            values = some[name].dropna()
            rest = values[values < values.quantile(0.99)]
            quartiles = [np.subtract(*np.percentile(v, (75, 25))) for v in (values, rest)]
            ratios["sd", name].append(float(values.std() / rest.std()))
            ratios["interquartile range", name].append(float(quartiles[0] / quartiles[1]))
    for (what, name), found in ratios.items():
        record_property(f"{what} of {name}, with / without the highest 1 %", found)
    for name in names:
        assert min(ratios["sd", name]) > 3
        assert max(ratios["interquartile range", name]) < 1.2


def test_a_hue_in_degrees_depends_on_the_cut_and_a_direction_does_not(train, record_property):
    seen = train[train.hue.notna()]
    angle = np.radians(seen.hue.to_numpy())
    arrows = np.column_stack([np.sin(angle), np.cos(angle)])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    found = []
    for seed in SEEDS:
        by_cut = [
            right(model, (seen[["hue"]] - cut) % 360, seen, seed=seed).mean()
            for cut in (0, 80, 160, 340)
        ]
        direction = right(model, arrows, seen, seed=seed).mean()
        turned = right(model, arrows @ [[0.6, -0.8], [0.8, 0.6]], seen, seed=seed).mean()
        found.append([*by_cut, direction, turned])
    *by_cut, direction, turned = np.transpose(found)
    for cut, values in zip((0, 80, 160, 340), by_cut, strict=True):
        record_property(f"accuracy from a hue in degrees, cut at {cut}", values.tolist())
    record_property("accuracy from a direction", direction.tolist())
    assert (np.ptp(by_cut, axis=0) > 0.1).all()
    assert (abs(direction - turned) < 0.01).all()
    assert (direction > by_cut[1:3]).all()  # cuts through the hard and intermediate hues
    assert (direction > by_cut[0]).all()
    assert (abs(direction - by_cut[3]) < 0.1).all()  # the cut in the empty part does as well


def test_the_soft_state_has_its_rms_below_the_median(train, record_property):
    complete = train[NAMES].notna().all(axis=1)
    below = []
    for seed in SEEDS:
        some = train.sample(frac=0.3, random_state=seed)
        soft = some[(some.state_label == "HSS") & some.rms_0p1_64.notna()]
        below.append(float((soft.rms_0p1_64 < some.rms_0p1_64.median()).mean()))
    record_property("share of complete rows", float(complete.mean()))
    record_property("HSS with an rms below the median of all", below)
    assert complete.mean() < 0.05
    assert not (train.state_label[complete] == "HSS").any()
    assert min(below) > 0.95


@pytest.mark.parametrize("model", [logistic(), KNeighborsClassifier(15)], ids=["linear", "near"])
def test_fillings_differ_where_the_gaps_are(train, model, record_property):
    three = prepare(train, ["hr_soft", "hr_hard", "rms_0p1_64"])
    gap, label = three.isna().any(axis=1).to_numpy(), train.state_label
    found = []
    for seed in SEEDS:
        scores = {name: [] for name in ("median", "low", "mark")}
        for fit, held_out in splits(seed).split(three, groups=train.source_id):
            for name, filling in (("median", median()), ("low", low()), ("mark", median(True))):
                pipeline = make_pipeline(filling, model).fit(three.iloc[fit], label.iloc[fit])
                hit = pipeline.predict(three.iloc[held_out]) == label.iloc[held_out]
                scores[name].append([hit.mean(), hit[gap[held_out]].mean()])
        found.append({name: np.array(values) for name, values in scores.items()})
    gains = {
        name: np.array([(scores[name] - scores["median"]).mean(axis=0) for scores in found])
        for name in ("low", "mark")
    }
    kind = type(model).__name__
    for name, filling in (("low", "a low value"), ("mark", "marks")):
        for column, where in enumerate(("all rows", "rows with gaps")):
            what = f"accuracy gained over the median by {filling}, {where}, {kind}"
            record_property(what, gains[name][:, column].tolist())
    for name in ("low", "mark"):
        for scores, gain in zip(found, gains[name], strict=True):
            assert 0 < gain[0] < 0.07
            assert gain[1] > 2 * gain[0]
            assert scores[name][:, 1].std() < scores["median"][:, 1].std()
            assert scores[name][:, 1].min() > scores["median"][:, 1].min() + 0.1
    assert 0.1 < np.mean([gain[:, 1] for gain in gains.values()]) < 0.25


def test_marks_help_the_linear_model_and_not_the_neighbours(train, record_property):
    table = prepare(train, NAMES)
    gains = {}
    for seed in SEEDS:
        for label in ("state_label", "object_label"):
            for name, model in (("linear", logistic()), ("near", KNeighborsClassifier(15))):
                if (label, name) == ("object_label", "near"):
                    continue  # the lesson says nothing of it
                marked, plain = (
                    right(make_pipeline(median(mark), model), table, train, label, seed, 4)
                    for mark in (True, False)
                )
                gains.setdefault((label, name), []).append(float(np.mean(marked - plain)))
    for (label, name), gain in gains.items():
        model = {"linear": "logistic regression", "near": "15 neighbours"}[name]
        record_property(f"accuracy gained by marks, {label}, {model}", gain)
    assert min(gains["state_label", "linear"]) > 0
    assert min(gains["object_label", "linear"]) > 0
    assert np.mean(gains["state_label", "near"]) < 0
    assert max(gains["state_label", "near"]) < min(0.01, np.mean(gains["object_label", "linear"]))
    assert np.abs(gains["state_label", "linear"]).max() < 0.03
    assert np.mean(gains["object_label", "linear"]) > np.mean(gains["state_label", "linear"])


def test_gaps_alone_tell_the_state_and_do_not_carry_to_nicer(train, record_property):
    nicer, known = data.load_observations("nicer"), data.load_observations("rxte").source_id
    nicer = nicer[~nicer.source_id.isin(known)]
    empty, new = (table[NAMES].isna().astype(float) for table in (train, nicer))
    found = []
    for seed in SEEDS:
        same, other = [], []
        for fit, held_out in splits(seed, 5).split(train, groups=train.source_id):
            model = logistic().fit(empty.iloc[fit], train.state_label.iloc[fit])
            same.append(model.score(empty.iloc[held_out], train.state_label.iloc[held_out]))
            other.append(model.score(new, nicer.state_label))
        faint, bright = (
            train.hue[train.state_label.eq("LHS") & chosen]
            .sample(100, random_state=seed)
            .isna()
            .mean()
            for chosen in (
                train.rate < train.rate.quantile(1 / 3),
                train.rate > train.rate.quantile(2 / 3),
            )
        )
        found.append((np.mean(same), np.mean(other), faint, bright))
    same, other, faint, bright = np.transpose(found)
    record_property("accuracy from gaps alone, RXTE", same.tolist())
    record_property("accuracy from gaps alone, NICER", other.tolist())
    assert train.kt_in.isna().mean() > 0.4
    assert nicer.kt_in.isna().mean() < 0.05
    assert same.min() > 0.78
    assert other.max() < 0.65
    assert (faint > 2 * bright).all()


def test_variance_is_not_relevance(train, record_property):
    table = prepare(train, ["hr_soft", "hr_hard", "disc_frac", *GROUPS["rms"]])
    sources, found = train.source_id.unique(), []
    for seed in SEEDS:
        chosen = np.random.default_rng(seed).choice(sources, 20, replace=False)
        own = train.source_id.isin(chosen).to_numpy()
        steps = make_pipeline(low(), PCA()).fit(table[own])
        pca, score = steps[-1], steps.transform(table[own])
        soft = train[own].state_label.eq("HSS").to_numpy()
        rows = train[own][soft]
        first, second = (
            right(
                LogisticRegression(class_weight="balanced"), score[soft, k : k + 1], rows, "object_label",
                seed, scoring="balanced_accuracy",
            ).mean()
            for k in (0, 1)
        )  # fmt: skip
        signs = np.sign(pca.components_[0])
        found.append((*pca.explained_variance_ratio_[:2], first, second, signs))
    ratio_1, ratio_2, first, second, signs = map(np.array, zip(*found, strict=True))
    record_property("share of the variance in the first component", ratio_1.tolist())
    record_property("balanced accuracy, object in HSS from the first component", first.tolist())
    record_property("balanced accuracy, object in HSS from the second component", second.tolist())
    assert ratio_1.min() > 0.65
    assert ratio_1.max() < 0.85
    assert ratio_2.max() < 0.15
    assert (signs[:, [0, 1, *range(3, 9)]] == signs[:, :1]).all()
    assert (signs[:, 2] == -signs[:, 0]).all()  # the disc's share against all others
    assert (second > first + 0.1).all()


def test_raw_variances_are_those_of_the_rate_and_rms_bands_are_collinear(train, record_property):
    table = train[["rate", "hr_soft", "hr_hard", "disc_frac", "rms_0p1_64"]].dropna()
    bands, found = prepare(train, GROUPS["rms"]), []
    for seed in SEEDS:
        raw = PCA().fit(table.sample(frac=0.5, random_state=seed))
        some = low().fit_transform(bands.sample(frac=0.5, random_state=seed))
        of_bands = PCA().fit(some).explained_variance_ratio_[0]
        found.append((raw.explained_variance_ratio_[0], abs(raw.components_[0, 0]), of_bands))
    of_raw, rate, of_bands = np.transpose(found)
    record_property("variance outside the first of five raw components", (1 - of_raw).tolist())
    record_property("share of the variance of rms bands in one component", of_bands.tolist())
    assert of_raw.min() > 0.9999
    assert rate.min() > 0.999
    assert of_bands.min() > 0.75
    assert of_bands.max() < 0.9


def test_the_state_needs_three_components_and_the_object_more(train, record_property):
    found = []
    for seed in SEEDS:
        scores = {
            (label, n): right(
                make_pipeline(preprocessor(), PCA(n), logistic()), train, train, label, seed, 3
            ).mean()
            for label, n in (
                *(("state_label", n) for n in (3, 28)),
                *(("object_label", n) for n in (2, 6, 28)),
            )
        }
        found.append(scores)
    scores = {key: np.array([each[key] for each in found]) for key in found[0]}
    for (label, n), values in scores.items():
        record_property(f"accuracy, {label} from {n} components", values.tolist())
    assert (abs(scores["state_label", 28] - scores["state_label", 3]) < 0.04).all()
    assert (scores["object_label", 6] > scores["object_label", 2] + 0.1).all()
    assert (scores["object_label", 28] > scores["object_label", 2] + 0.15).all()


def test_the_leak_of_a_scaler_is_tiny(train, record_property):
    label, model = train.state_label, KNeighborsClassifier(15)
    leaked = preprocessor().fit_transform(train)
    gains, spread = [], []
    for seed in SEEDS:
        sealed, leaky = [], []
        for fit, held_out in splits(seed, 6).split(train, groups=train.source_id):
            pipeline = make_pipeline(preprocessor(), model).fit(train.iloc[fit], label.iloc[fit])
            sealed.append(pipeline.score(train.iloc[held_out], label.iloc[held_out]))
            model.fit(leaked.iloc[fit], label.iloc[fit])
            leaky.append(model.score(leaked.iloc[held_out], label.iloc[held_out]))
        gains.append(np.subtract(leaky, sealed))
        spread.append(np.std(sealed, ddof=1))
    gain = np.mean(gains, axis=1)
    record_property("accuracy gained by the leak", gain.tolist())
    record_property("sd of the accuracy over splits", list(map(float, spread)))
    assert (abs(gain) < 0.3 * np.array(spread)).all()
    assert np.max(gains) > 0
    assert np.min(gains) < 0


def test_the_leak_of_a_choice_is_not(train, record_property):
    hole = train.groupby("source_id").object_label.first().eq("BH").to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    inside, before = [], []
    for seed in range(100, 110):
        noise = np.random.default_rng(seed).standard_normal((len(hole), 1000))
        inside.append(lesson_05.honest_score.reference()(noise, hole, seed))
        best = SelectKBest(k=10).fit_transform(noise, hole)
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        before.append(
            cross_val_score(model, best, hole, cv=folds, scoring="balanced_accuracy").mean()
        )
    record_property("balanced accuracy on noise, chosen before the folds", list(map(float, before)))
    record_property("balanced accuracy on noise, chosen inside the folds", list(map(float, inside)))
    assert min(before) > 0.75
    error = np.std(inside, ddof=1) / np.sqrt(len(inside))
    assert abs(np.mean(inside) - 0.5) < 3 * error
