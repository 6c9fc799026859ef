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

from helpers import data
from helpers.checks import lesson_05
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


def test_logarithms_pull_in_the_outliers(train):
    for seed in SEEDS:
        some = train.sample(frac=0.5, random_state=seed)
        for name in ("rate", "red_chi2", "rms_0p004_0p03"):
            values = some[name].dropna()
            far = [(v.max() - v.mean()) / v.std() for v in (values, np.log10(values))]
            assert far[0] > 2 * far[1], name
    assert (train[["lag_0p1_1", "lag_1_10"]] < 0).mean().min() > 0.05


def test_neighbours_suffer_without_a_scale_and_trees_do_not(train):
    table = train[["hr_soft", "hr_hard", "disc_frac", "rms_0p1_64", "rate"]]
    table = table.fillna(table.median())
    assert table.rate.var() / table.var().sum() > 0.9999
    neighbours = KNeighborsClassifier(15)
    tree = DecisionTreeClassifier(min_samples_leaf=10, random_state=0)
    for seed in SEEDS:
        raw = right(neighbours, table, train, seed=seed, number=5)
        scaled = right(
            make_pipeline(StandardScaler(), neighbours), table, train, seed=seed, number=5
        )
        assert (scaled > raw).all()
        assert scaled.mean() - raw.mean() > 0.15
        raw = right(tree, table, train, seed=seed, number=3)
        scaled = right(make_pipeline(StandardScaler(), tree), table, train, seed=seed, number=3)
        # A threshold may fall on the other side of a value when it is rounded.
        np.testing.assert_allclose(raw, scaled, atol=2e-3)


def test_a_robust_scaler_helps_one_set_of_columns_and_not_another(train):
    few = train[["hr_hard", "red_chi2"]]
    more = train[["hr_soft", "hr_hard", "rms_0p1_64", "red_chi2", "skew"]]
    gains = []
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
        assert gain[0] > 0.02
        assert gain[1] < 0.01
        logs = few.fillna(few.median()).assign(red_chi2=np.log10(few.red_chi2))
        model = make_pipeline(StandardScaler(), KNeighborsClassifier(15))
        logged = right(model, logs, train, "object_label", seed)
        plain = right(model, few.fillna(few.median()), train, "object_label", seed)
        assert np.mean(logged - plain) > 0.02
        gains.append(gain)
    assert np.mean(gains, axis=0)[1] < 0


def test_one_per_cent_of_outliers_decides_a_deviation_and_no_quartile(train):
    for seed in SEEDS:
        some = train.sample(frac=0.5, random_state=seed)
        for name in ("red_chi2", "skew"):
            values = some[name].dropna()
            rest = values[values < values.quantile(0.99)]
            quartiles = [np.subtract(*np.percentile(v, (75, 25))) for v in (values, rest)]
            assert values.std() > 3 * rest.std()
            assert quartiles[0] < 1.2 * quartiles[1]


def test_a_hue_in_degrees_depends_on_the_cut_and_a_direction_does_not(train):
    seen = train[train.hue.notna()]
    angle = np.radians(seen.hue.to_numpy())
    arrows = np.column_stack([np.sin(angle), np.cos(angle)])
    model = make_pipeline(StandardScaler(), LogisticRegression())
    for seed in SEEDS:
        by_cut = [
            right(model, (seen[["hue"]] - cut) % 360, seen, seed=seed).mean()
            for cut in (0, 80, 160, 340)
        ]
        assert max(by_cut) - min(by_cut) > 0.1
        direction = right(model, arrows, seen, seed=seed)
        turned = right(model, arrows @ [[0.6, -0.8], [0.8, 0.6]], seen, seed=seed)
        assert abs(direction.mean() - turned.mean()) < 0.01
        assert direction.mean() > max(by_cut[1:3])  # cuts through the hard and intermediate hues
        assert direction.mean() > by_cut[0]
        assert abs(direction.mean() - by_cut[3]) < 0.1  # the cut in the empty part does as well


def test_the_soft_state_has_its_rms_below_the_median(train):
    complete = train[NAMES].notna().all(axis=1)
    assert complete.mean() < 0.05
    assert not (train.state_label[complete] == "HSS").any()
    for seed in SEEDS:
        some = train.sample(frac=0.3, random_state=seed)
        soft = some[(some.state_label == "HSS") & some.rms_0p1_64.notna()]
        assert (soft.rms_0p1_64 < some.rms_0p1_64.median()).mean() > 0.95


@pytest.mark.parametrize("model", [logistic(), KNeighborsClassifier(15)], ids=["linear", "near"])
def test_fillings_differ_where_the_gaps_are(train, model):
    three = prepare(train, ["hr_soft", "hr_hard", "rms_0p1_64"])
    gap, label = three.isna().any(axis=1).to_numpy(), train.state_label
    gains = []
    for seed in SEEDS:
        scores = {name: [] for name in ("median", "low", "mark")}
        for fit, held_out in splits(seed).split(three, groups=train.source_id):
            for name, filling in (("median", median()), ("low", low()), ("mark", median(True))):
                pipeline = make_pipeline(filling, model).fit(three.iloc[fit], label.iloc[fit])
                hit = pipeline.predict(three.iloc[held_out]) == label.iloc[held_out]
                scores[name].append([hit.mean(), hit[gap[held_out]].mean()])
        scores = {name: np.array(values) for name, values in scores.items()}
        for name in ("low", "mark"):
            gain = (scores[name] - scores["median"]).mean(axis=0)
            assert 0 < gain[0] < 0.07
            assert gain[1] > 2 * gain[0]
            gains.append(gain[1])
            assert scores[name][:, 1].std() < scores["median"][:, 1].std()
            assert scores[name][:, 1].min() > scores["median"][:, 1].min() + 0.1
    assert 0.1 < np.mean(gains) < 0.25


def test_marks_help_the_linear_model_and_not_the_neighbours(train):
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
                gains.setdefault((label, name), []).append(np.mean(marked - plain))
    assert min(gains["state_label", "linear"]) > 0
    assert min(gains["object_label", "linear"]) > 0
    assert np.mean(gains["state_label", "near"]) < 0
    assert max(gains["state_label", "near"]) < min(0.01, np.mean(gains["object_label", "linear"]))
    assert np.abs(gains["state_label", "linear"]).max() < 0.03
    assert np.mean(gains["object_label", "linear"]) > np.mean(gains["state_label", "linear"])


def test_gaps_alone_tell_the_state_and_do_not_carry_to_nicer(train):
    nicer, known = data.load_observations("nicer"), data.load_observations("rxte").source_id
    nicer = nicer[~nicer.source_id.isin(known)]
    empty, new = (table[NAMES].isna().astype(float) for table in (train, nicer))
    assert train.kt_in.isna().mean() > 0.4
    assert nicer.kt_in.isna().mean() < 0.05
    for seed in SEEDS:
        same, other = [], []
        for fit, held_out in splits(seed, 5).split(train, groups=train.source_id):
            model = logistic().fit(empty.iloc[fit], train.state_label.iloc[fit])
            same.append(model.score(empty.iloc[held_out], train.state_label.iloc[held_out]))
            other.append(model.score(new, nicer.state_label))
        assert np.mean(same) > 0.78
        assert np.mean(other) < 0.65
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
        assert faint > 2 * bright


def test_variance_is_not_relevance(train):
    table = prepare(train, ["hr_soft", "hr_hard", "disc_frac", *GROUPS["rms"]])
    sources = train.source_id.unique()
    for seed in SEEDS:
        chosen = np.random.default_rng(seed).choice(sources, 20, replace=False)
        own = train.source_id.isin(chosen).to_numpy()
        steps = make_pipeline(low(), PCA()).fit(table[own])
        pca, score = steps[-1], steps.transform(table[own])
        assert 0.65 < pca.explained_variance_ratio_[0] < 0.85
        assert pca.explained_variance_ratio_[1] < 0.15
        signs = np.sign(pca.components_[0])
        assert (signs[[0, 1, *range(3, 9)]] == signs[0]).all()
        assert signs[2] == -signs[0]  # the disc's share against all others
        soft = train[own].state_label.eq("HSS").to_numpy()
        rows = train[own][soft]
        first, second = (
            right(
                LogisticRegression(class_weight="balanced"), score[soft, k : k + 1], rows, "object_label",
                seed, scoring="balanced_accuracy",
            ).mean()
            for k in (0, 1)
        )  # fmt: skip
        assert second > first + 0.1


def test_raw_variances_are_those_of_the_rate_and_rms_bands_are_collinear(train):
    table = train[["rate", "hr_soft", "hr_hard", "disc_frac", "rms_0p1_64"]].dropna()
    bands = prepare(train, GROUPS["rms"])
    for seed in SEEDS:
        raw = PCA().fit(table.sample(frac=0.5, random_state=seed))
        assert raw.explained_variance_ratio_[0] > 0.9999
        assert np.abs(raw.components_[0, 0]) > 0.999
        some = low().fit_transform(bands.sample(frac=0.5, random_state=seed))
        assert 0.75 < PCA().fit(some).explained_variance_ratio_[0] < 0.9


def test_the_state_needs_three_components_and_the_object_more(train):
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
        assert abs(scores["state_label", 28] - scores["state_label", 3]) < 0.04
        assert scores["object_label", 6] > scores["object_label", 2] + 0.1
        assert scores["object_label", 28] > scores["object_label", 2] + 0.15


def test_the_leak_of_a_scaler_is_tiny(train):
    label, model = train.state_label, KNeighborsClassifier(15)
    leaked = preprocessor().fit_transform(train)
    gains = []
    for seed in SEEDS:
        sealed, leaky = [], []
        for fit, held_out in splits(seed, 6).split(train, groups=train.source_id):
            pipeline = make_pipeline(preprocessor(), model).fit(train.iloc[fit], label.iloc[fit])
            sealed.append(pipeline.score(train.iloc[held_out], label.iloc[held_out]))
            model.fit(leaked.iloc[fit], label.iloc[fit])
            leaky.append(model.score(leaked.iloc[held_out], label.iloc[held_out]))
        gains.append(np.subtract(leaky, sealed))
        assert abs(gains[-1].mean()) < 0.3 * np.std(sealed, ddof=1)
    assert np.max(gains) > 0
    assert np.min(gains) < 0


def test_the_leak_of_a_choice_is_not(train):
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
    assert min(before) > 0.75
    error = np.std(inside, ddof=1) / np.sqrt(len(inside))
    assert abs(np.mean(inside) - 0.5) < 3 * error
