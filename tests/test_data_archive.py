"""The simulated archive: what its files hold, and that the loaders give just that."""

import csv

import numpy as np
import pandas as pd
import pytest

from course.archive.another_sky import LABELS
from helpers import data
from helpers.data import load_observations, load_segments, load_truth

ROWS = {"rxte": 6000, "nicer": 1000, "first": 300, "truth": 7000} | {
    "another_sky": 1691,
    "another_sky_sealed": 709,
}
WORDS = {
    *("obs_id", "source_id", "outburst_id", "filed_under", "instrument", "label_trust", "outlier"),
    *("state", "state_label", "object", "object_label", "outburst_kind", "qpo_type"),
}
N_SEGMENTS = 2000


@pytest.fixture(scope="module")
def rxte():
    return load_observations("rxte")


@pytest.fixture(scope="module")
def truth():
    return load_truth()


@pytest.fixture(scope="module")
def segments():
    return load_segments()


@pytest.fixture(scope="module")
def both(rxte):
    """The observations in the order of the truth."""
    return pd.concat([rxte, load_observations("nicer")], ignore_index=True)


@pytest.mark.parametrize("name", ROWS)
def test_tables_hold_every_cell_of_the_file_in_the_types_of_the_dictionary(name):
    table = load_truth() if name == "truth" else load_observations(name)
    kind = "truth" if name == "truth" else "observations"
    with (data.FOLDER / "columns.csv").open(newline="") as file:
        entries = [row for row in csv.DictReader(file) if row["table"] == kind]
    if name == "another_sky_sealed":
        entries = [entry for entry in entries if entry["column"] not in LABELS]
    with (data.FOLDER / f"observations_{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(table) == ROWS[name]
    if kind == "observations":
        assert set(table.instrument) == {"nicer" if name == "nicer" else "rxte"}
        assert table.mjd.is_monotonic_increasing
    assert list(table.columns) == [entry["column"] for entry in entries]
    for attribute, field in (("units", "unit"), ("meaning", "meaning")):
        assert table.attrs[attribute] == {entry["column"]: entry[field] for entry in entries}
    for entry in entries:
        column, cells = table[entry["column"]], [row[entry["column"]] for row in rows]
        if entry["column"] in WORDS:
            assert column.tolist() == cells
        elif entry["column"] == "n_det":
            assert column.dtype == np.int64
            assert column.tolist() == list(map(int, cells))
        elif entry["column"] == "qpo_det":
            assert column.dtype == bool
            assert column.map(str).tolist() == cells
        else:
            assert column.dtype == np.float64
            np.testing.assert_array_equal(column, [float(cell or "nan") for cell in cells])
        if kind == "observations" and not entry["missing"]:
            assert all(cells)


@pytest.mark.parametrize("name", ["rxte", "nicer"])
def test_a_qpo_has_properties_where_it_was_found(name):
    table = load_observations(name)
    for column in ("qpo_freq", "qpo_q", "qpo_rms", "qpo_sig"):
        np.testing.assert_array_equal(table[column].notna(), table.qpo_det)
    assert 0.02 < table.qpo_det.mean() < 0.9


def test_the_first_rows_are_some_of_rxte(rxte):
    first = load_observations("first")
    same = rxte.set_index("obs_id").loc[first.obs_id].reset_index()
    assert same.equals(first)
    assert first.source_id.nunique() > 10  # drawn at random, not from the top


def test_the_truth_is_that_of_the_observations(both, truth):
    assert list(truth.obs_id) == list(both.obs_id)
    assert (truth.instrument == both.instrument).all()
    for name in ("mjd", "exposure"):
        np.testing.assert_array_equal(truth[name], both[name])


def test_the_truth_keeps_what_is_empty(truth):
    assert "" in set(truth.filed_under)
    assert set(truth.qpo_type) == {"", "A", "B", "C"}
    assert set(truth.outlier) == {"", "slew", "flare", "burst"}
    np.testing.assert_array_equal(truth.nu_qpo.isna(), truth.qpo_type == "")
    np.testing.assert_array_equal(truth.kt_layer.isna(), truth.object == "BH")


def test_segments_belong_to_pointings_of_rxte(rxte, segments):
    assert segments.counts.shape == (N_SEGMENTS, 512)
    assert segments.counts.dtype == np.int64
    assert (segments.length, segments.bin_size) == (128.0, 0.25)
    assert type(segments.length) is float
    own = rxte.set_index("obs_id").loc[segments.obs_id]
    for name in ("source_id", "state_label", "object_label"):
        assert getattr(segments, name).tolist() == own[name].tolist()
    assert (segments.start + segments.length <= own.exposure).all()


def test_power_lies_on_its_noise_and_is_that_of_the_counts(segments):
    assert segments.frequency[0] == 1 / 128
    assert 50 < segments.frequency[-1] < 64
    assert segments.n_averaged.sum() == 64 * 128 - 1  # the Nyquist frequency is left out
    assert segments.power.shape == (N_SEGMENTS, len(segments.frequency))
    # The lowest frequencies are single ones, and the coarser bins of the counts show them as well.
    single = np.flatnonzero(segments.n_averaged == 1)[:3]
    cycles = np.round(segments.frequency[single] * segments.length).astype(int)
    fourier = np.fft.rfft(segments.counts)[:, cycles]
    total = segments.counts.sum(1, keepdims=True)
    # (rate / net rate)^2, by which background enlarges the power, is known from the noise.
    background = segments.noise[:, None] * total / segments.length / 2
    expected = 2 * segments.length * np.abs(fourier) ** 2 / total**2 * background
    assert np.quantile(np.abs(segments.power[:, single] / expected - 1), 0.9) < 0.05
    assert np.median(segments.power[:, single] / expected) == pytest.approx(1, abs=0.01)
    # At the highest frequencies hardly anything but noise is left, on average.
    high = segments.power[:, -3:] @ segments.n_averaged[-3:] / segments.n_averaged[-3:].sum()
    assert np.median(high / segments.noise) == pytest.approx(1, abs=0.05)
