"""What lesson 18 says in words: on archives of other seeds, and on new sources of other seeds."""

import functools
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from torch import nn

from course.archive import pointings, simulate, tables
from course.lesson_cells import run_cells
from helpers import data, plotting
from helpers.networks import NetworkClassifier, seeded

SEEDS = range(1, 6)
IMPORTS = "import matplotlib", "from course.archive"
TOOLS = "def probe", "line = ", "def partner_rank", "def first_ten"


def pieces_only(truth, instrument, generator):
    """In place of `observe`: no features, and light curves only of the pointings whose pieces are kept."""
    names = tables.columns("observations")
    features = pd.DataFrame(100.0, truth.index, names[names.index("rate") :])
    chosen = truth[truth.segments > 0].assign(exposure=512.0)  # s: as much as five pieces need
    pieces = pointings.observe(chosen, instrument, generator)[1] if len(chosen) else []
    return features.drop(columns="lum_edd_est"), pieces


@functools.cache
def archive(seed):
    """The short light curves and the truth of another archive, or, for None, of the course's own."""
    if seed is None:
        return data.load_segments(), data.load_truth()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "observe", pieces_only)
        patch.setattr(pointings, "timing_features", lambda *_: {})
        patch.setattr(
            pointings, "spectral_features", lambda _, x, *__: pd.DataFrame(index=range(len(x)))
        )
        found = simulate.simulate_archive(seed, n_rxte=3000, n_nicer=200, processes=1)
    single = {name: x.item() if x.ndim == 0 else x for name, x in found.segments.items()}
    return SimpleNamespace(**single), found.truth


def imported():
    scope = run_cells("18", IMPORTS)
    scope["plotting"] = SimpleNamespace(heat_map=plotting.heat_map, show=lambda *_, **__: None)
    return scope


@functools.cache
def curves(seed):
    """The lesson's table, its five ways to look at a light curve, and its tools."""
    scope, (light, truth) = imported(), archive(seed)
    scope["data"] = SimpleNamespace(
        load_segments=lambda: light, load_truth=lambda: truth, deal_sources=data.deal_sources
    )
    return run_cells("18", ("three = ", "def shapes", "def band_rms", "mean, size", *TOOLS), scope)


@functools.cache
def scores(seed):
    """Mean and scatter of the balanced accuracy over the folds, for 15 labels of each state and for all."""
    change = {"for n in (5, 15, 50, 300)": "for n in (5, 15, 300)"}
    learning = run_cells("18", "learning = []", {**curves(seed)}, change)["learning"]
    return learning.groupby(["features", "per state"]).score.mean().unstack()


def thinned(seed):
    names = {**curves(seed)}
    both = run_cells("18", "generator = np.random.default_rng(18)\nthinned", names)[
        "by_label"
    ].median()
    return both["one in ten"] / both["all photons"], both["all photons"]


@pytest.mark.quick
def test_only_the_excess_survives_thinning_in_the_archive_of_the_course(record_property):
    only_the_excess_survives(None, record_property)


@pytest.mark.parametrize("seed", SEEDS)
def test_only_the_excess_survives_thinning(seed, record_property):
    only_the_excess_survives(seed, record_property)


def only_the_excess_survives(seed, record_property):
    ratio, before = thinned(seed)
    for name in ("percent_amplitude", "skew", "excess_variance"):
        record_property(f"{name} with a tenth of the photons / with all, hard", ratio[name]["hard"])
    record_property("the same, percent_amplitude, soft", ratio.percent_amplitude["soft"])
    assert abs(ratio.excess_variance["hard"] - 1) < 0.1
    assert ratio.percent_amplitude["soft"] > 2
    # "a soft curve comes near to a hard one"
    after = ratio.percent_amplitude["soft"] * before.percent_amplitude["soft"]
    assert after > 0.5 * before.percent_amplitude["hard"]


@pytest.mark.parametrize("seed", SEEDS)
def test_four_numbers_and_few_labels_beat_a_network_with_all(seed, record_property):
    found = scores(seed)
    for name, row in found.iterrows():
        record_property(f"balanced accuracy, 5, 15 and all labels, {name}", row.tolist())
    bands, more = found.loc["4 bands to 2 Hz"], found.loc["5 bands to 64 Hz"]
    richards, network = found.loc["19 of Richards"], found.loc["raw curve, network"]
    record_property("network with all labels − four bands with 15", network[300] - bands[15])
    assert network[300] < bands[15]
    assert richards[5] < bands[5] - 0.05
    assert richards[300] - richards[5] > 0.05
    assert (network < more).all()
    assert abs(more - bands).max() < 0.1
    assert (found.loc["mean rate"] < 0.45).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_patience_does_not_save_the_network(seed, record_property):
    """Finer steps in time, and five hundred steps of training with twice as many curves in each."""

    def fine(n_bins, n_classes, *, generator):
        with seeded(generator):
            return nn.Sequential(
                nn.Unflatten(1, (1, n_bins)), nn.Conv1d(1, 16, 9, stride=2, padding=4), nn.ReLU(),
                nn.Conv1d(16, 32, 9, stride=4, padding=4), nn.ReLU(),
                nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, n_classes),
            )  # fmt: skip

    scope = curves(seed)
    table, (_, outside) = scope["table"], scope["folds"][0]
    held_out = table.source_id[outside].unique()
    training = {"n_epochs": round(500 * 64 / (len(table) - len(outside))), "learning_rate": 5e-3}
    network = NetworkClassifier(fine, seed=0, training=training)
    score = scope["probe"](network, scope["views"]["raw curve, network"], table, held_out)
    record_property("balanced accuracy of a patient network, all labels", score)
    assert score < scores(seed).loc["5 bands to 64 Hz", 300]


@pytest.mark.parametrize("seed", SEEDS)
def test_the_auto_encoder_knows_neither_the_state_nor_its_partner(seed, record_property):
    names = {**curves(seed)}
    change = {"for n in (5, 15, 50, 300)": "for n in (15, 300)"}
    names = run_cells("18", ("def auto_encode", "embedding, drawn", "piece = "), names, change)
    table, shares, left = names["of_16"], pd.Series(names["shares"]), names["left"]
    mean = table.groupby("per state").mean().iloc[:, 0]
    record_property("balanced accuracy of the auto-encoder's 16, 15 and all labels", mean.tolist())
    record_property("share of the variance that it draws", 1 - float(left))
    for name, share in shares.items():
        record_property(f"partner among the first ten, {name}", share)
    rows = scores(seed)
    assert mean[300] < rows.loc["raw curve, network", 300]
    assert mean[300] < rows.loc["4 bands to 2 Hz", 5] - 0.1
    own, bands = shares["16 of the auto-encoder"], shares["4 bands to 2 Hz"]
    assert own < bands
    assert own < shares["19 of Richards"]
    assert shares["5 bands to 64 Hz"] > bands


@functools.cache
def judged(seed):
    """Both settings and the cure, on new sources of this seed: means over the folds, and what is in it."""
    change = {"default_rng(18)": f"default_rng({seed})", "manual_seed(18)": f"manual_seed({seed})"}
    scope = {**imported(), "three": curves(None)["three"]}
    run_cells("18", (*TOOLS, "pca = ", "def new_", "def power_view"), scope)
    run_cells("18", "generator = np.random.default_rng(18)\nnew", scope, change)
    starts = "def info_nce", "def train_pair", "new_folds", "def judged", "judgement, pairs"
    run_cells("18", (*starts, "def summary", "def content", "targets = ", "shares = "), scope)
    found = pd.DataFrame(scope["judgement"]).T.groupby(level=0).mean()
    found.columns = ["partners", "embedding, 15", "views, 15", "embedding, all", "views, all"]
    return found.T, scope["matrix"], np.mean(scope["of_rate"], axis=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_better_the_retrieval_the_worse_the_representation(seed, record_property):
    found, _, _ = judged(seed)
    for setting in found:
        for what, value in found[setting].items():
            record_property(f"{setting}: {what}", value)
    observed, units = found["as observed"], found["in other units"]
    own = found["own share of photons"]
    assert min(observed["partners"] / units["partners"], observed["partners"] / own["partners"]) > 2
    assert units["embedding, 15"] > observed["embedding, 15"] + 0.05
    assert observed["embedding, 15"] < observed["views, 15"]
    assert units["embedding, 15"] > units["views, 15"] - 0.02
    assert units["views, 15"] > observed["views, 15"]
    assert (
        own["embedding, 15"] - observed["embedding, 15"] > (units - observed)["embedding, 15"] / 2
    )
    for one in (observed, units, own):  # "with all labels nothing is gained"
        assert one["embedding, all"] < one["views, all"] + 0.02
    assert own["embedding, 15"] > observed["embedding, 15"] + 0.05
    assert own["embedding, 15"] > own["views, 15"]
    assert own["embedding, 15"] < units["embedding, 15"] + 0.03


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_in_the_embeddings(seed, record_property):
    _, found, of_rate = judged(seed)
    record_property("R² of lg rate, energies, own share of photons", float(of_rate[0]))
    record_property("R² of lg rate, powers, own share of photons", float(of_rate[1]))
    assert min(of_rate) > 0.5  # "a straight line still reads the rate from both embeddings"
    for (of, setting), column in found.items():
        for target, value in column.items():
            record_property(f"R² of {target}, {of}, {setting}", value)
    observed, units = (
        found.xs("as observed", axis=1, level=1),
        found.xs("in other units", axis=1, level=1),
    )
    assert observed.loc["lg rate"].min() > 0.6
    assert units.loc["lg rate", "powers"] < observed.loc["lg rate", "powers"] - 0.25
    assert units.loc["lg rate", "energies"] > 0.5
    assert (units.loc["softness"] > observed.loc["softness"] - 0.03).all()
    alone = found["powers", "no network"]
    for target in ("softness", "photon index"):  # learned from the energy spectra
        assert found["powers", "in other units"][target] > alone[target]
    # "what the spectra hardly know the network does not add"
    absorption = found.loc["lg absorption"]
    assert absorption.max() < 0.3
    assert absorption["energies", "in other units"] < absorption["energies", "no network"]


@pytest.mark.parametrize("seed", SEEDS)
def test_it_is_the_background_that_tells_the_rate(seed, record_property):
    names = {**imported(), "three": curves(None)["three"]}
    empty = {"(parts.sum(0) + empty_sky)": "parts.sum(0)"}
    known = {}
    for what, change in (("with", {}), ("without", empty)):
        scope = run_cells("18", ("pca = ", "def new_pointings", "def content"), {**names}, change)
        new, spectra = scope["new_pointings"](48, np.random.default_rng(seed))
        z = np.log10((spectra + 1) / spectra.sum(1, keepdims=True))
        rate, found = np.log10(new[["rate"]]), []
        for _, outside in data.deal_sources(new.source_id, new.object, 3, seed=0):
            found += scope["content"](z, rate, np.isin(np.arange(len(new)), outside)).tolist()
        known[what] = np.mean(found)
        record_property(f"R² of lg rate, energy spectra over their sum, {what} background", found)
    assert known["without"] < 0.5 < known["with"]


@pytest.mark.parametrize("seed", SEEDS)
def test_gains_over_all_seeds(seed, record_property):
    """Of means over the seeds so far: single skies scatter by some points."""
    found = [judged(s)[0] for s in SEEDS if s <= seed]
    units = np.mean([f["in other units"] for f in found], axis=0)
    record_property("embedding − views, 15 labels, in other units", float(units[1] - units[2]))
    assert units[1] > units[2]
