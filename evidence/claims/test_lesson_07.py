"""What lesson 07 says in prose holds over five draws of sources, splits or orders of the pointings."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, recall_score
from sklearn.model_selection import GroupKFold
from sklearn.multiclass import OneVsRestClassifier

from course.checks.lesson_07 import loss, objective, one_epoch, two_gaussians
from helpers import data
from helpers.preprocessing import preprocessor
from helpers.resampling import resample_sources

SEEDS = range(5)
loss, one_epoch = loss.reference(), one_epoch.reference()
objective, two_gaussians = objective.reference(), two_gaussians.reference()


def resampled(table, seed):
    return resample_sources(table, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def train():
    return data.load_split()[0]


@pytest.fixture(scope="module")
def two(train):
    return train[train.state_label.isin(["LHS", "HSS"])]


def two_features(table):
    table = table.dropna(subset=["rms_0p1_64", "hr_hard"])
    raw = np.column_stack([100 * table.rms_0p1_64, table.hr_hard])
    return table, raw - raw.mean(axis=0), raw.std(axis=0)


def descend(X, y, rate, size, n_epochs, seed=0, falling=False):
    generator = np.random.default_rng(seed)
    path = [np.zeros(X.shape[1])]
    for epoch in range(1, n_epochs + 1):
        now = rate / epoch if falling else rate
        path.append(one_epoch(path[-1], X, y, now, size, generator))
    return np.array(path)


def problem(table):
    """Scaled features with a column of ones, labels, the exact minimum and its loss per pointing."""
    table, centred, scale = two_features(table)
    y = (table.state_label == "HSS").to_numpy(float)
    X = np.column_stack([np.ones(len(y)), centred / scale])
    m = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(X[:, 1:], y)
    best = np.append(m.intercept_, m.coef_)
    return X, y, best, loss(X @ best, y) / len(y)


@pytest.mark.parametrize("seed", SEEDS)
def test_all_three_curves_decide_about_equally_well_but_the_line_leaves_the_range(
    two, seed, record_property
):
    rows = resampled(two.dropna(subset="hr_hard"), seed)
    x, y = rows.hr_hard.to_numpy(), (rows.state_label == "HSS").to_numpy()
    step = max(np.mean((x < t) == y) for t in np.linspace(0.5, 1.2, 71))
    line = np.polyval(np.polyfit(x, y, 1), x)
    curve = LogisticRegression(C=np.inf).fit(x[:, None], y).score(x[:, None], y)
    right = {"step": step, "line": np.mean((line > 0.5) == y), "logistic": curve}
    outside = np.mean((line < 0) | (line > 1))
    for name, accuracy in right.items():
        record_property(f"accuracy, {name}", float(accuracy))
    record_property("share of the line outside 0 to 1", float(outside))
    assert np.ptp(list(right.values())) < 0.01
    assert outside > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_a_few_flares_flatten_the_slope(two, seed, record_property):
    rows = two.dropna(subset="hr_hard")
    flare = (rows.red_chi2 > 50) & rows["skew"].between(0.6, 2)
    assert flare[(rows.state_label == "HSS") & (rows.hr_hard > 1.2)].all()
    # Sources are resampled, but the four flares are there each time.
    far = rows[flare & (rows.state_label == "HSS") & (rows.hr_hard > 1.2)]
    quiet = resampled(rows[~flare], seed)
    slopes = [
        LogisticRegression(C=np.inf).fit(t[["hr_hard"]].to_numpy(), t.state_label == "HSS").coef_
        for t in (pd.concat([quiet, far]), quiet)
    ]
    ratio = slopes[1].item() / slopes[0].item()
    record_property("slope without the flares / with them", ratio)
    assert 1.5 < ratio < 2.5  # "about half"


@pytest.mark.parametrize("seed", SEEDS)
def test_two_gaussians_are_fitted_by_their_posterior(seed, record_property):
    generator = np.random.default_rng(100 + seed)
    y = generator.random(20_000) < 0.3
    x = generator.normal(np.where(y, 0.5, 1.2), 0.25)
    X = np.column_stack([np.ones(len(x)), x])
    m = LogisticRegression(C=np.inf).fit(x[:, None], y)
    found = np.array([m.intercept_[0], m.coef_[0, 0]])
    p = expit(X @ found)
    error = np.sqrt(np.diag(np.linalg.inv(X.T @ (X * (p * (1 - p))[:, None]))))
    off = (found - two_gaussians(1.2, 0.5, 0.25, 0.3)) / error
    record_property("intercept, fitted − closed form, in its error", float(off[0]))
    record_property("slope, fitted − closed form, in its error", float(off[1]))
    assert (np.abs(off) < 4).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_learning_rates_too_small_good_and_too_large(two, seed, record_property):
    X, y, _, least = problem(resampled(two, seed))
    final = {}
    for rate in (0.03, 3, 1000):
        path = descend(X, y, rate, len(y), 1000)
        final[rate] = np.array([loss(X @ b, y) / len(y) for b in path[[1, *range(500, 1001, 5)]]])
    for rate in (0.03, 3):
        record_property(
            f"loss after 1000 steps / least, rate {rate}", float(final[rate][-1] / least)
        )
    late = final[1000][1:].max() / least
    record_property("highest loss in steps 500 to 1000 / least, rate 1000", float(late))
    assert final[3][-1] < 1.03 * least
    assert final[0.03][-1] > 1.5 * least
    assert final[1000][0] > 3 * final[3][0]  # thrown away by the first step
    assert final[1000][1:].max() > 3 * least  # not settled


@pytest.mark.parametrize("seed", SEEDS)
def test_unscaled_features_make_a_narrow_valley(two, seed, record_property):
    table = resampled(two, seed)
    X, y, _, least = problem(table)
    _, centred, _ = two_features(table)
    excess, ratio = [], []
    for features in (X, np.column_stack([np.ones(len(y)), centred])):
        curvature = np.linalg.eigvalsh(features.T @ features / (4 * len(y)))
        end = descend(features, y, 0.9 * 2 / curvature[-1], len(y), 1000)[-1]
        excess.append(loss(features @ end, y) / len(y) - least)
        ratio.append(curvature[-1] / curvature[0])
    record_property("excess loss after 1000 steps, unscaled / scaled", float(excess[1] / excess[0]))
    record_property("ratio of curvatures, unscaled / scaled", float(ratio[1] / ratio[0]))
    assert excess[1] > 10 * excess[0]
    assert ratio[1] > 100 * ratio[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_batches(two, seed, record_property):
    X, y, best, least = problem(two)

    def excess(path):
        return np.array([loss(X @ b, y) / len(y) for b in path]) - least

    everything = excess(descend(X, y, 1.0, len(y), 20, seed))
    some = excess(descend(X, y, 1.0, 32, 20, seed))
    one = excess(descend(X, y, 1.0, 1, 20, seed))
    falling = excess(descend(X, y, 1.0, 1, 20, seed, falling=True))
    singles = np.median(one[10:]) / np.median(falling[10:])
    record_property("excess loss, batches of 32 / all pointings", float(some[-1] / everything[-1]))
    record_property("excess loss of single pointings, constant / falling rate", float(singles))
    assert some[-1] < everything[-1] / 10
    assert singles > 5
    # "constant steps with single pointings never settle"
    assert one[10:].max() > 3 * one[10:].min()
    near = descend(X, y, 10.0, 32, 100, seed, falling=True)[-1]
    np.testing.assert_allclose(near, best, atol=0.2)


def test_full_descent_agrees_with_scikit_learn(two):
    X, y, best, _ = problem(two)
    np.testing.assert_allclose(descend(X, y, 10.0, len(y), 2000)[-1], best, atol=1e-3)


@pytest.mark.parametrize("seed", SEEDS)
def test_where_the_untaught_states_fall(train, seed, record_property):
    table, _, scale = two_features(resampled(train, seed))
    both = np.column_stack([100 * table.rms_0p1_64, table.hr_hard]) / scale
    taught = table.state_label.isin(["LHS", "HSS"]).to_numpy()
    m = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    m.fit(both[taught], table.state_label[taught] == "HSS")
    p = pd.Series(m.predict_proba(both)[:, 1]).groupby(table.state_label.to_numpy())
    doubt = p.apply(lambda values: values.between(0.1, 0.9).mean())
    for state in ("HIMS", "SIMS"):
        record_property(f"median probability of HSS, {state}", float(p.median()[state]))
        record_property(f"share with a probability of 0.1 to 0.9, {state}", float(doubt[state]))
    assert p.median()["SIMS"] > 0.95
    assert p.median()["HIMS"] < 0.5
    assert 0.2 < doubt["HIMS"] < 0.5  # "about a third"
    assert doubt["SIMS"] < 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_separable_coefficients_run_away(two, seed, record_property):
    some = resampled(two, seed)
    Z, y = preprocessor().fit_transform(some), some.state_label == "HSS"
    assert Z.shape[1] in (27, 28)
    fits = [
        LogisticRegression(C=np.inf, tol=tol, max_iter=10_000).fit(Z, y) for tol in (1e-4, 1e-8)
    ]
    growth = np.linalg.norm(fits[1].coef_) / np.linalg.norm(fits[0].coef_)
    record_property("length of the coefficients, tolerance 1e-8 / 1e-4", float(growth))
    assert fits[1].score(Z, y) == 1
    assert growth > 1.5


def penalised(ratio, C):
    return LogisticRegression(
        C=C, l1_ratio=ratio, solver="saga", tol=1e-3, max_iter=3000, random_state=0
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_l1_makes_zeros_and_chooses_a_twin_l2_shares(two, seed, record_property):
    shares, zeros = {0: [], 1: []}, {0: [], 1: []}
    for draw in range(8):
        some = resampled(two, 100 * seed + draw)
        Z, y = preprocessor().fit_transform(some), some.state_label == "HSS"
        for ratio, values in shares.items():
            coefficients = penalised(ratio, 0.002).fit(Z, y).coef_[0]
            values.append(np.abs(coefficients[0]) / np.abs(coefficients[:2]).sum())
            zeros[ratio].append(np.sum(coefficients == 0))
    for ratio, name in ((0, "L2"), (1, "L1")):
        record_property(f"coefficients at zero, {name}", float(np.mean(zeros[ratio])))
        record_property(f"sd of the first twin's share, {name}", float(np.std(shares[ratio])))
    assert max(zeros[0]) <= 14 < min(zeros[1])
    assert min(shares[0]) > 0.45
    assert max(shares[0]) < 0.62
    assert np.std(shares[1]) > 3 * np.std(shares[0])
    assert min(shares[1]) < 0.5 < max(shares[1])  # the larger one changes


def test_exact_twins_get_equal_shares_by_l2_alone(two, record_property):
    Z, y = preprocessor().fit_transform(two), two.state_label == "HSS"
    pair = Z[["missingindicator_hue_sin", "missingindicator_hue_cos"]]
    assert (pair.iloc[:, 0] == pair.iloc[:, 1]).all()
    where = [Z.columns.get_loc(name) for name in pair]
    found = {0: [], 1: []}
    for seed in SEEDS:
        for ratio, values in found.items():
            m = LogisticRegression(C=0.1, l1_ratio=ratio, solver="liblinear", random_state=seed)
            values.append(m.fit(Z, y).coef_[0][where])
    gaps = {ratio: np.abs(np.subtract(*np.transpose(found[ratio]))) for ratio in found}
    record_property("difference of exact twins, L2", gaps[0].tolist())
    record_property("difference of exact twins, L1", gaps[1].tolist())
    np.testing.assert_allclose(*np.transpose(found[0]), atol=1e-3)
    assert gaps[1].max() > 0.01


@pytest.mark.parametrize("seed", SEEDS)
def test_p_below_one_has_several_minima(two, seed, record_property):
    some = resampled(two.dropna(subset=["hr_soft", "hr_hard"]), seed)
    pairs = some[["hr_soft", "hr_hard"]].to_numpy()
    pairs = (pairs - pairs.mean(axis=0)) / pairs.std(axis=0)
    X = torch.as_tensor(np.column_stack([np.ones(len(pairs)), pairs]))
    y = torch.as_tensor((some.state_label == "HSS").to_numpy(float))
    ends = {}
    for p in (1.5, 0.5):
        for start in ([0, -4, -0.5], [0, -0.5, -4]):
            b = torch.tensor(start, dtype=torch.float64, requires_grad=True)
            optimiser = torch.optim.SGD([b], lr=1.0)
            schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.99)
            for _ in range(600):
                optimiser.zero_grad()
                objective(b, X, y, 0.1, p).backward()
                torch.nn.utils.clip_grad_value_([b], 0.3)
                optimiser.step()
                schedule.step()
            ends.setdefault(p, []).append(b.detach().numpy())
    apart = {p: np.abs(np.subtract(*pair)).max() for p, pair in ends.items()}
    for p, value in apart.items():
        record_property(f"distance of two ends of the descent, p = {p}", float(value))
    np.testing.assert_allclose(*ends[1.5], atol=0.05)
    assert apart[0.5] > 1
    assert all(np.abs(end[1:]).min() < 0.05 for end in ends[0.5])  # near an axis


@pytest.mark.parametrize("seed", SEEDS)
def test_held_out_scores(train, seed, record_property):
    """Flat in C for all pointings, overfitted for 100; softmax, one-vs-rest and class weights."""
    labels, generator = train.state_label.to_numpy(), np.random.default_rng(seed)
    scores, recalls = [], []
    for inside, outside in GroupKFold(5, shuffle=True, random_state=seed).split(
        train, groups=train.source_id
    ):
        steps = preprocessor().fit(train.iloc[inside])
        Z, H = steps.transform(train.iloc[inside]), steps.transform(train.iloc[outside])
        few = generator.choice(len(inside), 100, replace=False)
        row, y, held_out = {}, labels[inside], labels[outside]

        def score(m, Z, y, H=H, held_out=held_out):
            m.fit(Z, y)
            return [balanced_accuracy_score(held_out, m.predict(H)), m]

        for C in (1e-3, 0.1, 1, 1e3):
            row[C], m = score(LogisticRegression(C=C, max_iter=2000), Z, y)
            if C == 1:
                plain = m
            if C >= 1:
                row["few", C], m = score(
                    LogisticRegression(C=C, max_iter=2000), Z.iloc[few], y[few]
                )
                row["seen", C] = balanced_accuracy_score(y[few], m.predict(Z.iloc[few]))
        row["balanced"], weighted = score(
            LogisticRegression(max_iter=2000, class_weight="balanced"), Z, y
        )
        row["rest"], _ = score(OneVsRestClassifier(LogisticRegression(max_iter=2000)), Z, y)
        scores.append(row)
        by_state = {"average": None, "labels": ["LHS", "HIMS", "SIMS", "HSS"], "zero_division": 0}
        recalls.append(
            [recall_score(held_out, m.predict(H), **by_state) for m in (plain, weighted)]
        )
    mean = pd.DataFrame(scores).mean()
    change = np.subtract(*np.mean(recalls, axis=0)[::-1])
    for name, key in (
        ("C = 0.001", 1e-3),
        ("C = 1", 1),
        ("C = 1000", 1e3),
        ("C = 1, 100 pointings", ("few", 1)),
        ("C = 1000, 100 pointings", ("few", 1e3)),
        ("one against the rest", "rest"),
        ("class weights", "balanced"),
    ):
        record_property(f"balanced accuracy, {name}", float(mean[key]))
    record_property("recall of SIMS gained by class weights", float(change[2]))
    assert np.ptp(mean[[0.1, 1, 1e3]]) < 0.025
    assert mean[1] - mean[1e-3] > 0.1
    assert mean["seen", 1e3] - mean["few", 1e3] > 0.25
    assert mean["few", 1e3] < mean["few", 1]
    assert abs(mean["rest"] - mean[1]) < 0.02
    assert mean["balanced"] < mean[1] + 0.01
    assert change[2] > 0  # SIMS
    assert change[0] < 0  # LHS
    assert change[3] < 0  # HSS


SIGNS = {
    ("log_rms_0p25_2", "LHS"): 1,
    ("hr_hard", "LHS"): 1,
    ("gamma", "LHS"): -1,
    ("disc_frac", "HSS"): 1,
    ("log_qpo_freq", "HIMS"): 1,
    ("missingindicator_log_qpo_freq", "HSS"): 1,
    ("kt_in", "LHS"): 1,
    ("log_rms_0p004_0p03", "LHS"): -1,
}


def test_signs_of_the_coefficients_that_are_read(train, record_property):
    counts = dict.fromkeys(SIGNS, 0)
    for seed in range(10):
        some = resampled(train, 50 + seed)
        Z = preprocessor().fit_transform(some)
        m = LogisticRegression(max_iter=2000).fit(Z, some.state_label)
        found = pd.DataFrame(m.coef_.T, Z.columns, m.classes_)
        np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-6)
        for key, sign in SIGNS.items():
            counts[key] += found.loc[key] * sign > 0
    record_property(
        "skies of ten with the sign that is read, least of eight", int(min(counts.values()))
    )
    assert min(counts.values()) >= 9, counts


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_coefficients_hide(train, seed, record_property):
    some = resampled(train, seed)
    slow = some.groupby("state_label").rms_0p004_0p03.median()
    few = (some.state_label == "LHS") & some.kt_in.notna()
    pulls = []
    for table in (some, some[~few]):
        Z = preprocessor().fit_transform(table)
        m = LogisticRegression(max_iter=2000).fit(Z, table.state_label)
        pulls.append(m.coef_[list(m.classes_).index("LHS"), Z.columns.get_loc("kt_in")])
    truth = data.load_truth().set_index("obs_id").state
    rare = some[some.state_label.isin(["HIMS", "SIMS"])]
    false = truth[rare.obs_id].isin(["LHS", "HSS"]).mean()
    record_property("slow rms, LHS / HSS", float(slow["LHS"] / slow["HSS"]))
    record_property("coefficient of kT in LHS, all pointings", float(pulls[0]))
    record_property("coefficient of kT in LHS, without the LHS that have one", float(pulls[1]))
    record_property("labelled HIMS and SIMS that are LHS or HSS", float(false))
    assert slow["LHS"] > 3 * slow["HSS"]
    assert few.sum() < 0.15 * (some.state_label == "LHS").sum()
    assert pulls[0] > 0.15
    assert pulls[1] < 0.1
    assert false > 0.15  # "a good part"
