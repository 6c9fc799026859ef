"""What lesson 09 says in words holds for at least five deals of the sources, skies of them, or seeds of the models."""

import functools

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from course.checks.lesson_09 import train_step
from course.lesson_cells import run_cells
from helpers import data
from helpers.networks import (
    NetworkClassifier,
    convolutional,
    feed_forward,
    probabilities,
    train,
)
from helpers.preprocessing import GROUPS, STATE_FEATURES, preprocessor
from helpers.resampling import resample_sources

SEEDS = range(5)
COLUMNS = {"state": list(STATE_FEATURES), "object": [*STATE_FEATURES, *GROUPS["lags"]]}


@functools.cache
def split():
    return data.load_split()


def labels(task, table):
    """Labels as numbers, in the order of predict_proba."""
    return np.unique(table[f"{task}_label"].to_numpy(str), return_inverse=True)[1]


def score(task, right, chance, weight=None):
    if task == "object":
        return roc_auc_score(right, chance[:, 1], sample_weight=weight)
    return balanced_accuracy_score(right, chance.argmax(axis=1), sample_weight=weight)


def model(name, task, seed):
    prepared = preprocessor(COLUMNS[task])
    bare = FunctionTransformer(lambda table: table[COLUMNS[task]])
    square = FunctionTransformer(lambda x: x.assign(disc_squared=x.disc_frac**2))
    training = {"n_epochs": 10, "batch_size": 256, "learning_rate": 5e-3, "balanced": False}
    few = {"max_iter": 40, "max_leaf_nodes": 8, "random_state": seed}
    steps = {
        "logistic": (prepared, LogisticRegression(max_iter=2000)),
        "square": (prepared, square, LogisticRegression(max_iter=2000)),
        "neighbours": (prepared, KNeighborsClassifier(10)),
        "tree": (bare, DecisionTreeClassifier(max_depth=5, random_state=seed)),
        "forest": (bare, RandomForestClassifier(30, min_samples_leaf=5, random_state=seed)),
        "boosting": (bare, HistGradientBoostingClassifier(**few)),
        "network": (prepared, NetworkClassifier(seed=seed, training=training)),
    }
    return make_pipeline(*steps[name])


@functools.cache
def chances(name, task, seed):
    table, _ = split()
    return cross_val_predict(
        model(name, task, seed), table, labels(task, table), groups=table.source_id,
        cv=GroupKFold(4, shuffle=True, random_state=seed), method="predict_proba",
    )  # fmt: skip


@functools.cache
def gains(name, task):
    """Scores less those of logistic regression, in five deals."""
    right = labels(task, split()[0])
    ours, bar = (
        [score(task, right, chances(n, task, s)) for s in SEEDS] for n in (name, "logistic")
    )
    return np.subtract(ours, bar)


def error_of_gain(name, task):
    """The scatter of such a difference if the sources are drawn anew."""
    table, _ = split()
    right, source = labels(task, table), np.unique(table.source_id, return_inverse=True)[1]
    skies = np.random.default_rng(90).multinomial(24, np.full(24, 1 / 24), size=60)[:, source]
    ours, bar = (chances(n, task, 0) for n in (name, "logistic"))
    return np.std([score(task, right, ours, w) - score(task, right, bar, w) for w in skies], ddof=1)


@functools.cache
def on_validation(name, task):
    table, others = split()
    fitted = model(name, task, 0).fit(table, labels(task, table))
    return score(task, labels(task, others), fitted.predict_proba(others))


class TestTheContest:
    @pytest.mark.parametrize("name", ["forest", "boosting", "network", "square"])
    def test_nothing_beats_logistic_regression_for_the_state(self, name, record_property):
        gain = gains(name, "state")
        record_property(f"balanced accuracy, {name} − logistic regression", gain.tolist())
        assert np.abs(gain).max() < 0.03  # "within a point or two"
        assert abs(gain.mean()) < 0.02

    @pytest.mark.parametrize("name", ["neighbours", "tree"])
    @pytest.mark.parametrize("task", ["state", "object"])
    def test_neighbours_and_single_trees_lie_lower(self, name, task, record_property):
        gain = gains(name, task)
        score = {"state": "balanced accuracy", "object": "AUC"}[task]
        record_property(f"{score} of the {task}, {name} − logistic regression", gain.tolist())
        assert (gain < 0).all()

    @pytest.mark.parametrize("name", ["network", "square"])
    def test_the_object_gains_in_every_deal_by_about_two_errors(self, name, record_property):
        gain, error = gains(name, "object"), error_of_gain(name, "object")
        record_property(f"AUC, {name} − logistic regression", gain.tolist())
        record_property(f"mean gain / its error from sources, {name}", float(gain.mean() / error))
        assert (gain > 0).all()
        assert 1 < gain.mean() / error < 3
        assert on_validation(name, "object") > on_validation("logistic", "object") + 0.02

    @pytest.mark.parametrize("name", ["forest", "boosting"])
    def test_forest_and_boosting_gain_on_the_validation_sources(self, name, record_property):
        gain = on_validation("square", "object") - on_validation("logistic", "object")
        own = on_validation(name, "object") - on_validation("logistic", "object")
        record_property(f"AUC on validation sources, {name} − logistic regression", float(own))
        assert own > gain / 2

    @pytest.mark.parametrize("name", ["forest", "boosting"])
    def test_forest_and_boosting_lie_inside_the_error_and_not_always_above(
        self, name, record_property
    ):
        gain = gains(name, "object")  # in four folds; the lesson has five
        record_property(f"AUC, {name} − logistic regression", gain.tolist())
        assert abs(gain.mean()) < error_of_gain(name, "object")
        assert (gain < 0).any()

    @pytest.mark.parametrize("name", ["forest", "boosting", "network"])
    def test_nobody_beats_the_square(self, name, record_property):
        gain = gains(name, "object") - gains("square", "object")
        record_property(f"AUC, {name} − logistic regression with a square", gain.tolist())
        assert gain.mean() < 0.01
        assert on_validation(name, "object") < on_validation("square", "object") + 0.01


class TestTrees:
    def test_the_first_question_is_hard_or_soft_and_a_photon_index_is_cut_where_the_table_does(
        self, record_property
    ):
        table, _ = split()
        generator = np.random.default_rng(92)
        first, second, cuts = [], [], []
        for _ in range(20):
            sky = resample_sources(table, generator)
            tree = DecisionTreeClassifier(max_depth=2, min_samples_leaf=20, random_state=0)
            tree.fit(sky[COLUMNS["state"]], sky.state_label)
            nodes = zip(tree.tree_.feature, tree.tree_.threshold, strict=True)
            asked = [(COLUMNS["state"][f], cut) for f, cut in nodes if f >= 0]
            first.append(asked[0])
            second.append(asked[1][0])
            cuts += [cut for name, cut in asked[1:] if name == "gamma"]
        by_colour = np.mean([name.startswith("hr_") and 0.8 < cut < 1.0 for name, cut in first])
        by_timing = np.mean([name == "qpo_freq" or name.startswith("rms") for name in second])
        record_property("share of skies with a colour of 0.8 to 1.0 first", float(by_colour))
        record_property("share of skies with a QPO or an rms second", float(by_timing))
        record_property("cuts of the photon index", list(map(float, cuts)))
        assert by_colour >= 0.85
        assert by_timing >= 0.85
        assert cuts
        assert 2.0 < min(cuts) <= max(cuts) < 2.2

    def test_black_holes_at_both_ends_of_the_disc_share(self, record_property):
        table, _ = split()
        hole = table.object_label == "BH"
        names, shares = table.source_id.unique(), []
        for seed in SEEDS:  # half of the sources, or a little more
            own = table.source_id.isin(np.random.default_rng(seed).permutation(names)[:16])
            shares.append(
                [
                    hole[own & table.disc_frac.between(*ends)].mean()
                    for ends in ((-1, 0.05), (0.05, 0.6), (0.85, 1.01))
                ]
            )
        for where, values in zip(
            ("below 0.05", "0.05 to 0.6", "above 0.85"), np.transpose(shares), strict=True
        ):
            record_property(f"share of BH, disc share {where}", values.tolist())
        for share in shares:
            assert share[1] < min(share[0], share[2])


def test_one_neighbour_knows_its_rows_by_heart_and_pays_for_it(record_property):
    table, _ = split()
    two = ["hr_hard", "rms_0p1_64"]
    rows = table.dropna(subset=two).query("hr_hard < 1.6 and 0.01 < rms_0p1_64 < 0.7")
    x, y = np.log10(rows[two].to_numpy()), rows.state_label.to_numpy(str)
    models = {
        "one": KNeighborsClassifier(1),
        "fifty": KNeighborsClassifier(50),
        "tree": DecisionTreeClassifier(max_depth=3, random_state=0),
        "logistic": LogisticRegression(),
    }
    found, rare = [], []
    for seed in SEEDS:
        deal = GroupKFold(5, shuffle=True, random_state=seed)
        said = {
            name: cross_val_predict(
                make_pipeline(StandardScaler(), model), x, y, groups=rows.source_id, cv=deal
            )
            for name, model in models.items()
        }
        found.append([np.mean(called == y) for called in said.values()])
        rare.append(max(np.mean(said[name] == "SIMS") for name in ("fifty", "tree", "logistic")))
    names = "one neighbour", "fifty neighbours", "tree", "logistic regression"
    for name, values in zip(names, np.transpose(found), strict=True):
        record_property(f"accuracy from two features, {name}", values.tolist())
    for one, *others in found:
        assert one < min(others) - 0.03
        assert np.ptp(others) < 0.02  # "not apart"
    assert max(rare) < 0.02


def test_too_shallow_and_too_deep(record_property):
    table, _ = split()
    x = preprocessor(COLUMNS["state"]).fit_transform(table)
    y = table.state_label.to_numpy(str)
    scores = {depth: [] for depth in (1, 4, 16)}
    for seed in SEEDS:
        deal = GroupKFold(5, shuffle=True, random_state=seed)
        for depth, held in scores.items():
            tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
            said = cross_val_predict(tree, x, y, groups=table.source_id, cv=deal)
            held.append(float(balanced_accuracy_score(y, said)))
    for depth, held in scores.items():
        record_property(f"balanced accuracy, tree of depth {depth}", held)
    for shallow, middle, deep in zip(*scores.values(), strict=True):
        assert shallow < deep < middle


class TestNetworks:
    def test_a_ring_needs_hidden_perceptrons(self, record_property):
        right = {(): [], (2,): [], (16,): []}
        for seed in SEEDS:
            generator = torch.Generator().manual_seed(seed)
            points = 2.4 * torch.rand(500, 2, generator=generator) - 1.2
            inside = (points.norm(dim=1) < 0.7).long()
            for hidden, scores in right.items():
                network = feed_forward(2, 2, generator=generator, hidden=hidden)
                train(
                    network, points, inside, generator=generator, n_epochs=100, learning_rate=0.02
                )
                found = balanced_accuracy_score(inside, network(points).argmax(1))
                scores.append(float(found))
        for hidden, scores in right.items():
            record_property(f"balanced accuracy, {sum(hidden)} hidden perceptrons", scores)
        assert max(right[()]) < 0.6
        assert max(right[2,]) < 0.9
        assert min(right[16,]) > 0.95

    def test_the_open_loop_is_that_of_the_helpers(self):
        for seed in SEEDS:
            ours, theirs = (
                feed_forward(4, 2, generator=torch.Generator().manual_seed(seed)) for _ in range(2)
            )
            x = torch.randn(300, 4, generator=torch.Generator().manual_seed(10 + seed))
            y = (x[:, 0] * x[:, 1] > 0).long()
            optimiser = torch.optim.AdamW(ours.parameters(), lr=5e-3, weight_decay=0.1)
            generator = torch.Generator().manual_seed(seed)
            for _ in range(3):
                for batch in torch.randperm(300, generator=generator).split(64):
                    train_step.reference()(
                        ours, nn.CrossEntropyLoss(), optimiser, x[batch], y[batch]
                    )
            train(
                theirs, x, y, generator=torch.Generator().manual_seed(seed), n_epochs=3,
                learning_rate=5e-3, weight_decay=0.1, balanced=False,
            )  # fmt: skip
            torch.testing.assert_close(ours(x), theirs(x))

    def test_the_held_out_loss_rises_and_the_ranking_hardly_cares(self, record_property):
        table, _ = split()
        y = torch.tensor((table.object_label == "NS").to_numpy()).long()
        rises, best, lost = {0.0: [], 1.0: []}, [], []
        for seed in SEEDS:
            deal = GroupKFold(5, shuffle=True, random_state=seed)
            keep, out = next(deal.split(table, groups=table.source_id))
            scaled = preprocessor(COLUMNS["object"]).fit(table.iloc[keep])
            x = torch.tensor(scaled.transform(table).to_numpy(), dtype=torch.float32)
            for decay, rise in rises.items():
                generator = torch.Generator().manual_seed(3)
                network = feed_forward(x.shape[1], 2, generator=generator)
                losses, auc = [], []
                for _ in range(40):
                    found = train(
                        network, x[keep], y[keep], generator=generator, held_out=(x[out], y[out]),
                        n_epochs=1, batch_size=256, learning_rate=5e-3, weight_decay=decay, balanced=False,
                    )  # fmt: skip
                    losses.append(found["held_out"][0])
                    auc.append(roc_auc_score(y[out], probabilities(network, x[out])[:, 1]))
                rise.append(float(np.mean(losses[-5:]) / min(losses)))
                if decay == 0:
                    best.append(np.argmin(losses))
                    lost.append(float(auc[np.argmin(losses)] - np.mean(auc[-5:])))
        for decay, rise in rises.items():
            record_property(f"held-out loss, last / least, weight decay {decay:g}", rise)
        record_property("AUC lost from the least loss to the last", lost)
        assert max(best) < 30
        assert max(lost) < 0.035
        assert min(rises[0.0]) > 1.6
        assert (np.array(rises[1.0]) < rises[0.0]).all()


@pytest.fixture(scope="module")
def lesson():
    """The functions of the lesson's last part, run as they stand there."""
    starts = ("import time", "from helpers", "light = ", "bands = ", "pca = ", "def new_spectra")
    scope = run_cells("09", starts)
    light = scope["light"]
    scope["spectra"] = np.log10(light.power / light.noise[:, None])
    scope["hand"] = scope["summaries"](light.power, light.noise)
    return scope


class TestSpectra:
    def judged(self, lesson, kind, x, y, given, seed, n_epochs):
        fitted = lesson["fit_on"](kind, x, y, seed, n_epochs)
        judge = lesson["judge"]
        return balanced_accuracy_score(lesson["state"][judge], fitted.predict(given[judge]))

    def test_on_the_archive_the_network_is_not_better_and_learns_by_heart(
        self, lesson, record_property
    ):
        learn, state, spectra = lesson["learn"], lesson["state"], lesson["spectra"]
        y = state[learn]
        hand = self.judged(lesson, "logistic", lesson["hand"][learn], y, lesson["hand"], 0, 0)
        short, long, seen = [], [], []
        for seed in SEEDS:
            short.append(self.judged(lesson, convolutional, spectra[learn], y, spectra, seed, 10))
            fitted = lesson["fit_on"](convolutional, spectra[learn], y, seed, 30)
            seen.append(float(balanced_accuracy_score(y, fitted.predict(spectra[learn]))))
            judge = lesson["judge"]
            long.append(balanced_accuracy_score(state[judge], fitted.predict(spectra[judge])))
        record_property("balanced accuracy, logistic regression on seven numbers", float(hand))
        record_property("balanced accuracy, network after 10 epochs", list(map(float, short)))
        record_property("balanced accuracy, network after 30 epochs", list(map(float, long)))
        record_property("balanced accuracy on training spectra, network after 30 epochs", seen)
        assert min(seen) > 0.95
        assert max(short) < hand + 0.02
        assert np.mean(long) < np.mean(short) - 0.01

    def test_with_new_sources_the_network_catches_up_and_seven_numbers_do_not_move(
        self, lesson, record_property
    ):
        names = np.array(["HIMS", "HSS", "LHS", "SIMS"])
        scores = {}
        for n in (23, 92):
            for seed in SEEDS:
                generator = np.random.default_rng([n, seed])
                truth = lesson["new_pointings"](n, generator)
                power, noise = lesson["new_spectra"](truth, generator)
                y = np.searchsorted(names, truth.state)
                x = np.log10(power / noise[:, None])
                n_epochs = max(5, round(120 * 64 / len(y)))
                network = self.judged(
                    lesson, convolutional, x, y, lesson["spectra"], seed, n_epochs
                )
                numbers = lesson["summaries"](power, noise)
                hand = self.judged(lesson, "logistic", numbers, y, lesson["hand"], seed, 0)
                scores.setdefault(n, []).append((network, hand))
        for n, pairs in scores.items():
            for name, values in zip(("network", "seven numbers"), np.transpose(pairs), strict=True):
                record_property(f"balanced accuracy, {n} new sources, {name}", values.tolist())
        few, many = np.mean(scores[23], axis=0), np.mean(scores[92], axis=0)
        assert many[0] - few[0] > 0.03  # the network gains
        assert many[0] > many[1] - 0.02  # and has caught up
        assert abs(many[1] - few[1]) < 0.04  # seven numbers have learned what they can
        assert many[0] - few[0] > many[1] - few[1]
