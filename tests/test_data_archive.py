"""The simulated archive: what the files hold, and every way in which they can be broken."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_data import change, contents, damaged_archives, damaged_bytes

from helpers import data
from helpers.data import DataError, load_observations, load_segments, load_truth

STATES = ("LHS", "HIMS", "SIMS", "HSS")
ROWS = {"rxte": 6000, "nicer": 1000, "first": 300}
N_SEGMENTS = 2000
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def rxte():
    return load_observations("rxte")


@pytest.fixture(scope="module")
def nicer():
    return load_observations("nicer")


@pytest.fixture(scope="module")
def truth():
    return load_truth()


@pytest.fixture(scope="module")
def curves():
    return load_segments()


@pytest.fixture(scope="module")
def both(rxte, nicer):
    """The observations in the order of the truth."""
    import pandas as pd

    return pd.concat([rxte, nicer], ignore_index=True)


# --- what the files hold --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_observations_have_the_types_and_units_of_the_dictionary(name):
    import pandas as pd

    table = load_observations(name)
    with (data.files._DATA / "columns.csv").open(newline="") as file:
        entries = [row for row in csv.DictReader(file) if row["table"] == "observations"]
    assert list(table.columns) == [row["column"] for row in entries]
    assert len(table) == ROWS[name]
    assert table.attrs["units"] == {row["column"]: row["unit"] for row in entries}
    assert table.attrs["meaning"] == {row["column"]: row["meaning"] for row in entries}
    words = ["obs_id", "source_id", "outburst_id", "instrument"]
    words += ["state_label", "object_label", "label_trust"]
    for row in entries:
        column = table[row["column"]]
        if row["column"] in words:
            assert all(type(value) is str and value for value in column)
        elif row["column"] == "n_det":
            assert pd.api.types.is_integer_dtype(column)
        elif row["column"] == "qpo_det":
            assert column.dtype == bool
        else:
            assert column.dtype == np.float64
            assert not np.isinf(column).any()
        if not row["missing"]:
            assert column.notna().all()
    assert set(table.instrument) == {"nicer" if name == "nicer" else "rxte"}
    assert (table.mjd.diff().dropna() >= 0).all()


def test_every_number_is_that_of_the_file(rxte):
    path = data.files._DATA / "observations_rxte.csv"
    with path.open(newline="") as file:
        for written, (_, read) in zip(
            csv.DictReader(file), rxte.iloc[:50].iterrows(), strict=False
        ):
            for name, cell in written.items():
                if cell == "":
                    assert np.isnan(read[name])
                elif cell.replace(".", "").isdigit():
                    assert read[name] == float(cell)
                else:
                    assert str(read[name]) == cell or read[name] == float(cell)


def test_what_no_rxte_sees_is_missing(rxte, nicer):
    assert rxte.hr_low.isna().all()
    assert nicer.hr_low.notna().mean() > 0.5


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
    assert truth.attrs["units"]["distance"] == "kpc"
    assert truth.attrs["meaning"].keys() == set(truth.columns)


def test_the_truth_keeps_what_is_empty(truth):
    for name in ("filed_under", "outlier", "qpo_type"):
        assert all(type(value) is str for value in truth[name])
        assert "" in set(truth[name])
    assert set(truth.qpo_type) == {"", "A", "B", "C"}
    assert set(truth.outlier) == {"", "slew", "flare", "burst"}
    np.testing.assert_array_equal(truth.nu_qpo.isna(), truth.qpo_type == "")
    np.testing.assert_array_equal(truth.kt_layer.isna(), truth.object == "BH")


def test_some_labels_are_those_of_a_neighbouring_state(both, truth):
    rank = {name: k for k, name in enumerate(STATES)}
    step = both.state_label.map(rank) - truth.state.map(rank)
    assert 0.04 < (step != 0).mean() < 0.08
    assert set(step) == {-1, 0, 1}
    wrong = (step != 0).groupby(both.label_trust).mean()
    assert wrong["A"] < wrong["B"] < wrong["C"]


def test_five_pointings_are_filed_under_another_source(both, truth):
    misfiled = truth.filed_under != ""
    assert misfiled.sum() == 5
    np.testing.assert_array_equal(both.source_id != truth.source_id, misfiled)
    assert (both.source_id[misfiled] == truth.filed_under[misfiled]).all()
    np.testing.assert_array_equal(both.object_label != truth.object, misfiled)
    assert (both.instrument[misfiled] == "rxte").all()
    outbursts = both.groupby("outburst_id").source_id.nunique()
    assert (outbursts == 1).all()


def test_segments_belong_to_pointings_of_rxte(rxte, curves):
    assert curves.counts.shape == (N_SEGMENTS, 512)
    assert curves.counts.dtype == np.int64
    assert (curves.length, curves.bin_size) == (128.0, 0.25)
    assert type(curves.length) is float
    own = rxte.set_index("obs_id").loc[curves.obs_id]
    for name in ("source_id", "state_label", "object_label"):
        assert getattr(curves, name).tolist() == own[name].tolist()
    assert (curves.start + curves.length <= own.exposure).all()
    np.testing.assert_allclose(curves.time[[0, -1]], [0.125, 127.875])


def test_segments_overlap_by_half_and_share_their_photons(curves):
    assert set(np.unique(curves.obs_id, return_counts=True)[1]) == {5}
    order = np.lexsort((curves.start, curves.obs_id))
    start, counts = curves.start[order].reshape(-1, 5), curves.counts[order].reshape(-1, 5, 512)
    assert (np.diff(start) == 64).all()
    np.testing.assert_array_equal(counts[:, :-1, 256:], counts[:, 1:, :256])
    assert (counts[:, :-2, :256] != counts[:, 2:, :256]).any(axis=-1).mean() > 0.9


def test_power_lies_on_its_noise_and_is_that_of_the_counts(curves):
    assert curves.frequency[0] == 1 / 128
    assert 50 < curves.frequency[-1] < 64
    assert curves.n_averaged.sum() == 64 * 128 - 1  # the Nyquist frequency is left out
    assert curves.power.shape == (N_SEGMENTS, len(curves.frequency))
    # The lowest frequencies are single ones, and the coarser bins of the counts show them as well.
    single = np.flatnonzero(curves.n_averaged == 1)[:3]
    cycles = np.round(curves.frequency[single] * curves.length).astype(int)
    fourier = np.fft.rfft(curves.counts)[:, cycles]
    total = curves.counts.sum(1, keepdims=True)
    # (rate / net rate)^2, by which background enlarges the power, is known from the noise.
    background = curves.noise[:, None] * total / curves.length / 2
    expected = 2 * curves.length * np.abs(fourier) ** 2 / total**2 * background
    assert np.quantile(np.abs(curves.power[:, single] / expected - 1), 0.9) < 0.05
    assert np.median(curves.power[:, single] / expected) == pytest.approx(1, abs=0.01)
    # At the highest frequencies hardly anything but noise is left, on average.
    high = curves.power[:, -3:] @ curves.n_averaged[-3:] / curves.n_averaged[-3:].sum()
    assert np.median(high / curves.noise) == pytest.approx(1, abs=0.05)


def test_loading_is_light():
    code = """
import pathlib, sys, time
import pandas
from helpers import data
data.files._DATA = pathlib.Path(sys.argv[1])
start = time.process_time()
data.load_observations("first"), data.load_truth(), data.load_segments()
assert time.process_time() - start < 2
assert not {"torch", "stingray", "astropy", "helpers.light_curves"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code, data.files._DATA], check=True, cwd=ROOT)


# --- damaged tables -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rtxe", "", None, ["nicer"], "truth"])
def test_unknown_observations_are_refused(name):
    with pytest.raises(DataError, match=r"no such table of observations.*rxte, nicer, first"):
        load_observations(name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the dictionary and two tables of 300 rows, which the loaders read from."""
    for name in ("columns.csv", "observations_first.csv"):
        (tmp_path / name).write_bytes((data.files._DATA / name).read_bytes())
    lines = (data.files._DATA / "observations_truth.csv").read_bytes().splitlines(keepends=True)
    (tmp_path / "observations_truth.csv").write_bytes(b"".join(lines[:301]))
    monkeypatch.setattr(data.files, "_DATA", tmp_path)
    monkeypatch.setattr(data.archive, "_OBSERVATIONS", {"rxte": 300, "nicer": 0, "first": 300})
    return tmp_path


LOADERS = {
    "observations_first.csv": lambda: load_observations("first"),
    "observations_truth.csv": load_truth,
}


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def expect(folder, file, complaint, load=None):
    with pytest.raises(DataError, match=complaint) as caught:
        (load or LOADERS[file])()
    assert str(folder / file) in str(caught.value)
    assert "make data" in str(caught.value)


OBSERVATIONS, TRUTH = LOADERS


@pytest.mark.parametrize(
    ("file", "column", "cell", "complaint"),
    [
        (OBSERVATIONS, "obs_id", "", "one word"),
        (OBSERVATIONS, "obs_id", "R0 001", "one word"),
        (OBSERVATIONS, "source_id", "", "one word"),
        (OBSERVATIONS, "source_id", "S01\n", "one word"),
        (OBSERVATIONS, "source_id", "S\x0701", "one word"),
        (OBSERVATIONS, "outburst_id", " ", "one word"),
        (OBSERVATIONS, "instrument", "nicer", "rxte"),
        (OBSERVATIONS, "instrument", "RXTE", "rxte"),
        (OBSERVATIONS, "state_label", "VHS", "LHS or HIMS or SIMS or HSS"),
        (OBSERVATIONS, "state_label", "", "LHS or HIMS or SIMS or HSS"),
        (OBSERVATIONS, "object_label", "WD", "BH or NS"),
        (OBSERVATIONS, "label_trust", "D", "A or B or C"),
        (OBSERVATIONS, "mjd", "", "a finite number of at least 0"),
        (OBSERVATIONS, "mjd", "yesterday", "a finite number of at least 0"),
        (OBSERVATIONS, "exposure", "-256", "at least 1"),
        (OBSERVATIONS, "exposure", "0", "at least 1"),
        (OBSERVATIONS, "exposure", "1e999", "a finite number"),
        (OBSERVATIONS, "n_det", "0", "a whole number of at least 1"),
        (OBSERVATIONS, "n_det", "-2", "a whole number"),
        (OBSERVATIONS, "n_det", "2.5", "a whole number"),
        (OBSERVATIONS, "n_det", "", "a whole number"),
        (OBSERVATIONS, "rate", "nan", "a finite number"),
        (OBSERVATIONS, "rate", "inf", "a finite number"),
        (OBSERVATIONS, "rate", "", "a finite number"),
        (OBSERVATIONS, "rate", "12,5", "a finite number"),
        (OBSERVATIONS, "rate_err", "-1", "at least 0"),
        (OBSERVATIONS, "hr_soft", "NA", "at least 0 or empty"),
        (OBSERVATIONS, "hr_soft", "-0.5", "at least 0 or empty"),
        (OBSERVATIONS, "lag_1_10", "-inf", "a finite number or empty"),
        (OBSERVATIONS, "rms_hf", "nan", "at least 0 or empty"),
        (OBSERVATIONS, "qpo_det", "1", "True or False"),
        (OBSERVATIONS, "qpo_det", "", "True or False"),
        (TRUTH, "source_id", "", "one word"),
        (TRUTH, "filed_under", "S 1", "one word or empty"),
        (TRUTH, "instrument", "swift", "rxte or nicer"),
        (TRUTH, "outburst_kind", "", "full or hard or bright"),
        (TRUTH, "object", "", "BH or NS"),
        (TRUTH, "state", "soft", "LHS or HIMS or SIMS or HSS"),
        (TRUTH, "outlier", "dip", "slew or burst or flare or empty"),
        (TRUTH, "qpo_type", "D", "A or B or C or empty"),
        (TRUTH, "nu_qpo", "-1", "at least 0 or empty"),
        (TRUTH, "mass", "", "a finite number of at least 0"),
        (TRUTH, "mass", "-3", "a finite number of at least 0"),
    ],
)
def test_a_bad_cell_is_named(folder, file, column, cell, complaint):
    rows = rows_of(folder / file)
    rows[7][rows[0].index(column)] = cell
    write_rows(folder / file, rows)
    expect(folder, file, rf"line 8, {column} is .*: it must be .*{complaint}")


@pytest.mark.parametrize("name", ["NA", "nan", "None", "null", "1e5", "007"])
def test_names_that_look_like_something_else_stay_names(folder, name):
    path = folder / OBSERVATIONS
    rows = rows_of(path)
    for column in (0, 1, 2):
        rows[7][column] = name
    write_rows(path, rows)
    assert load_observations("first").iloc[6, :3].tolist() == [name] * 3


@pytest.mark.parametrize("file", LOADERS)
@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda rows: [row[:-1] for row in rows], "missing or unknown: '"),
        (lambda rows: [[*row, "1"] for row in rows], "missing or unknown: '1'"),
        (lambda rows: [[*row, row[4]] for row in rows], "are repeated: '"),
        (lambda rows: rows[1:], "missing or unknown|are repeated"),
        (lambda rows: [*rows[:5], rows[5][:-2], *rows[6:]], "line 6 has"),
        (lambda rows: [*rows[:5], [*rows[5], ""], *rows[6:]], "line 6 has"),
        (lambda rows: [*rows[:5], [], *rows[5:]], "line 6 has 0 cells"),
        (lambda rows: [*rows[:-1], rows[3]], "line 301 has the obs_id 'R.*' again"),
        (lambda rows: rows[:-1], "has 299 rows, not 300"),
        (lambda rows: rows[:1], "has no rows"),
        (lambda rows: [], "has no rows"),
    ],
)
def test_a_damaged_table_is_named(folder, file, damage, complaint):
    write_rows(folder / file, damage(rows_of(folder / file)))
    expect(folder, file, complaint)


@pytest.mark.parametrize("file", LOADERS)
@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00", b'a,"b', b"\0\0\0\0", b"PK\x03\x04", b"a,b\n" + b"x" * 200_000]
)
def test_what_is_no_table_is_named(folder, file, content):
    (folder / file).write_bytes(content)
    expect(folder, file, "cannot be read|no rows|missing or unknown")


@pytest.mark.parametrize("file", [*LOADERS, "columns.csv"])
def test_a_missing_table_is_named(folder, file):
    (folder / file).unlink()
    expect(folder, file, "there is no such file", LOADERS.get(file, load_truth))


def test_the_order_of_columns_is_that_of_the_dictionary(folder):
    before = load_observations("first")
    write_rows(folder / OBSERVATIONS, [row[::-1] for row in rows_of(folder / OBSERVATIONS)])
    assert load_observations("first").equals(before)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda rows: [*rows, rows[8]], "has the column 'state_label' of observations again"),
        (lambda rows: [*rows, ["sources", *rows[9][1:]]], "must name a table"),
        (lambda rows: [*rows, ["truth", "", "", "a", ""]], "must name a table"),
        (lambda rows: [*rows, ["truth", "new", "", "", ""]], "must name a table"),
        (lambda rows: [row[:-1] for row in rows], "missing or unknown: 'missing'"),
        (lambda rows: rows[:1], "no rows"),
    ],
)
def test_a_damaged_dictionary_is_named(folder, damage, complaint):
    rows = damage(rows_of(folder / "columns.csv"))
    write_rows(folder / "columns.csv", rows)
    expect(folder, "columns.csv", complaint, LOADERS[OBSERVATIONS])


# --- damaged light curves -------------------------------------------------------------------------

CURVES = contents(data.files._DATA / "light_curves.npz")
FEW = {
    key: value[:20] if len(value.shape) and len(value) == N_SEGMENTS else value
    for key, value in CURVES.items()
}


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("obs_id", change(FEW["obs_id"], 3, ""), r"obs_id\[3\] is '': it must be one word"),
        ("source_id", change(FEW["source_id"], 3, "S 1"), r"source_id\[3\]"),
        ("state_label", change(FEW["state_label"], 3, "VHS"), r"state_label\[3\] is 'VHS'"),
        ("object_label", change(FEW["object_label"], 3, "WD"), r"object_label\[3\] is 'WD'"),
        ("obs_id", np.frombuffer(b"\xff" * 480, "U6"), "one word"),
        ("obs_id", FEW["obs_id"][:-1], "differ in length"),
        ("start", change(FEW["start"], 1, FEW["start"][0]), "row 1, R.* s, is a repetition"),
        ("start", change(FEW["start"], 1, -64), r"start\[1\] is -64"),
        ("counts", change(FEW["counts"].astype(int), (2, 5), -1), r"counts\[2, 5\] is -1"),
        ("counts", FEW["counts"][:, :-1], "counts has 511 bins, but length / bin_size is 512"),
        ("counts", FEW["counts"].astype(float), "counts is 2-dimensional float64"),
        ("power", change(FEW["power"], (2, 5), np.nan), r"power\[2, 5\] is nan"),
        ("power", change(FEW["power"], (2, 5), -1), r"power\[2, 5\] is -1"),
        ("power", FEW["power"][:, :-1], "differ in length"),
        ("noise", change(FEW["noise"], 4, 0), r"noise\[4\] is 0"),
        ("noise", change(FEW["noise"], 4, np.inf), r"noise\[4\] is inf"),
        ("frequency", FEW["frequency"][::-1], r"frequency\[1\].* must increase"),
        ("n_averaged", change(FEW["n_averaged"], 4, 0), r"n_averaged\[4\] is 0"),
        ("bin_size", np.array(0.0), "bin_size is 0"),
        ("bin_size", np.array(0.5), "length / bin_size is 256"),
        ("bin_size", np.array(1e-30), "length / bin_size is"),
        ("length", np.array(np.inf), "length is inf"),
        ("length", None, "missing or unknown: length"),
        ("surprise", np.arange(3), "missing or unknown: surprise"),
    ],
)
def test_damaged_light_curves_are_named(tmp_path, monkeypatch, field, value, complaint):
    arrays = {**FEW, field: value}
    if value is None:
        del arrays[field]
    np.savez(tmp_path / "light_curves.npz", **arrays)
    monkeypatch.setattr(data.files, "_DATA", tmp_path)
    expect(tmp_path, "light_curves.npz", complaint, load_segments)


def test_missing_light_curves_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(data.files, "_DATA", tmp_path)
    expect(tmp_path, "light_curves.npz", "there is no such file", load_segments)


# --- fuzz: whatever happens to a file, it is read rightly or refused with a DataError -------------

FUZZ = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def read_damaged(path, content, load):
    """What a damaged file gives: a result, or None after a DataError."""
    path.write_bytes(content)
    try:
        return load()
    except DataError as error:
        if str(path.parent) not in str(error):
            raise
        return None


@st.composite
def damaged_tables(draw, rows):
    """The bytes of a CSV file with cells replaced, then perhaps with damaged bytes."""
    rows = [list(row) for row in rows]
    odd = ["", "-1", "0", "nan", "inf", "1e999", "NA", "x", "1e-400", "True", " 5", "٣", "a\nb"]
    for _ in range(draw(st.integers(0, 2))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        row[draw(st.integers(0, len(row) - 1))] = draw(st.sampled_from(odd))
    content = io.StringIO()
    csv.writer(content, lineterminator="\n").writerows(rows)
    content = content.getvalue().encode()
    return draw(damaged_bytes(content)) if draw(st.integers(0, 2)) == 2 else content


def check_table(table):
    assert len(table) == 300
    assert table.obs_id.is_unique
    assert np.isfinite(table[["mjd", "exposure"]]).all(axis=None)
    assert not np.isinf(table.select_dtypes(float)).any(axis=None)
    assert (table[["mjd", "source_id", "outburst_id"]] != "").all(axis=None)
    assert table.select_dtypes(exclude=float).notna().all(axis=None)
    if "qpo_det" in table:
        assert table.qpo_det.dtype == bool
        assert (table.n_det >= 1).all()
        assert (table.rate_err >= 0).all()
        assert table.state_label.isin(STATES).all()
        assert set(table.instrument) == {"rxte"}


@pytest.mark.parametrize("file", LOADERS)
@settings(FUZZ, max_examples=100)
@given(random=st.data())
def test_fuzz_tables(folder, file, random):
    if not (folder / "rows").is_file():
        (folder / "rows").write_bytes((folder / file).read_bytes())
    content = random.draw(damaged_tables(rows_of(folder / "rows")))
    table = read_damaged(folder / file, content, LOADERS[file])
    if table is not None:
        check_table(table)


@settings(FUZZ, max_examples=60)
@given(random=st.data())
def test_fuzz_dictionary(folder, random):
    path = folder / "columns.csv"
    if not (folder / "rows").is_file():
        (folder / "rows").write_bytes(path.read_bytes())
    content = random.draw(damaged_bytes((folder / "rows").read_bytes()))
    table = read_damaged(path, content, LOADERS[OBSERVATIONS])
    if table is not None:
        check_table(table)
        assert list(table.attrs["units"]) == list(table.columns)


@settings(FUZZ, max_examples=150)
@given(random=st.data())
def test_fuzz_light_curves(tmp_path_factory, random):
    path = tmp_path_factory.getbasetemp() / "light_curves.npz"
    load = lambda: data.archive._read_light_curves(path)  # noqa: E731
    curves = read_damaged(path, random.draw(damaged_archives(FEW)), load)
    if curves is not None:
        n = len(curves.obs_id)
        assert curves.counts.shape == (n, round(curves.length / curves.bin_size))
        assert (curves.counts >= 0).all()
        assert curves.power.shape == (n, len(curves.frequency))
        assert np.isfinite(curves.power).all()
        assert (curves.noise > 0).all()
        assert (np.diff(curves.frequency) > 0).all()
        assert set(curves.state_label) <= set(STATES)
