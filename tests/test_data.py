"""The loaders, the files they read, and every way in which such a file can be broken."""

import hashlib
import io
import os
import pickle
import re
import shutil
import threading
import zipfile
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course import make_data
from helpers import asm as sky_monitor
from helpers import data
from helpers.asm import load_asm
from helpers.data import (
    DataError,
    load_events,
    load_light_curve,
    load_response,
    load_spectrum,
)
from helpers.spectra import power_law

DATA = Path(__file__).resolve().parent.parent / "data"
SPECTRA = ("nicer_maxi_j1820", "ixpe_swift_j1727")
RESPONSES = ("nicer", "ixpe", "rxte_pca", "nustar_fpma", "xmm_pn", "swift_xrt")
REAL_ASM = os.environ.get("XRAY_TIMING_ASM")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- what the course data hold --------------------------------------------------------------------


def test_sums_cover_every_data_file():
    sums = {}
    for line in (DATA / "SHA256SUMS").read_text().splitlines():
        digest, name = line.split()
        sums[name] = digest
    listed = (*DATA.glob("*.npz"), *DATA.glob("*.csv"), DATA / "asm_registry.txt")
    files = {path.name for path in listed}
    assert sums.keys() == files
    assert {name: sha256(DATA / name) for name in files} == sums


def test_the_data_stay_small():
    assert sum(path.stat().st_size for path in DATA.iterdir() if path.is_file()) < 14e6


def test_nicer_spectrum_keeps_the_counts_of_its_file():
    spectrum = load_spectrum("nicer_maxi_j1820")
    # The file holds 96505118 counts; 5 of them lie in its last channel, 1500, which has no partner.
    assert spectrum.counts.sum() == 96505118 - 5
    assert spectrum.exposure == 5961.963
    assert (spectrum.counts == spectrum.counts.round()).all()
    np.testing.assert_allclose(spectrum.counts_err**2, spectrum.counts)
    np.testing.assert_array_equal(spectrum.channel, 3 * np.arange(500))
    np.testing.assert_allclose(spectrum.rate_err, spectrum.rate / np.sqrt(spectrum.counts.clip(1)))


def test_ixpe_spectrum_is_weighted():
    spectrum = load_spectrum("ixpe_swift_j1727")
    assert spectrum.rate.sum() == pytest.approx(55.8628, abs=1e-4)
    assert (spectrum.counts != spectrum.counts.round()).any()
    assert (spectrum.counts_err[spectrum.counts > 0] > 0).all()


@pytest.mark.parametrize("name", SPECTRA)
def test_a_spectrum_lies_on_the_channels_of_its_response(name):
    spectrum = load_spectrum(name)
    response = load_response(spectrum.response)
    np.testing.assert_allclose(spectrum.energy_lo, response.channel_lo, rtol=1e-6)
    np.testing.assert_allclose(spectrum.energy_hi, response.channel_hi, rtol=1e-6)


# Resolution at 6 keV in the original files: full width at half maximum, keV.
@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("nicer", 0.14),
        ("ixpe", 0.96),
        ("rxte_pca", 1.2),
        ("nustar_fpma", 0.4),
        ("xmm_pn", 0.185),
        ("swift_xrt", 0.22),
    ],
)
def test_a_line_appears_where_it_should_and_as_wide(name, width):
    response = load_response(name)
    bin_ = torch.searchsorted(response.energy_hi, 6.0)
    row = response.redistribution[bin_].double()
    middle = (response.channel_lo + response.channel_hi).double() / 2
    peak = row.argmax()
    grain = (response.channel_hi - response.channel_lo)[peak].item()
    # A shift by one original channel, the error that TLMIN invites, is caught for the CCDs.
    assert middle[peak].item() == pytest.approx(6.0, abs=0.6 * grain + 0.01)
    above = (row > row.max() / 2).nonzero()
    measured = (response.channel_hi[above[-1]] - response.channel_lo[above[0]]).item()
    assert measured == pytest.approx(width, abs=grain)


@pytest.mark.parametrize("name", RESPONSES)
def test_every_response_detects_at_most_every_photon(name):
    response = load_response(name)
    assert response.redistribution.sum(dim=1).max() <= 1 + 1e-5
    assert response.effective_area.max() > 5
    edges = torch.cat([response.energy_lo, response.energy_hi[-1:]])
    assert (edges.diff() > 0).all()
    torch.testing.assert_close(response.energy_lo[1:], response.energy_hi[:-1])


def test_nicer_sees_a_photon_index_that_makes_sense():
    """The hard-state black hole between 3 and 10 keV, where nothing absorbs, is a power law."""
    spectrum = load_spectrum("nicer_maxi_j1820")
    response = load_response("nicer").to(dtype=torch.float64)
    band = (spectrum.energy > 3) & (spectrum.energy < 10) & ((spectrum.energy - 6.5) ** 2 > 1)
    chi2 = []
    indices = np.arange(1.0, 2.6, 0.05)
    for index in indices:
        model = response.fold(power_law(response.energy_lo, response.energy_hi, index, 1.0)).numpy()
        norm = np.median(spectrum.rate[band] / model[band])
        chi2.append(np.mean((1 - norm * model[band] / spectrum.rate[band]) ** 2) / 0.02**2)
    assert 1.4 < indices[np.argmin(chi2)] < 1.9
    assert min(chi2) < 2


# --- how the course data are built ----------------------------------------------------------------


@pytest.fixture(scope="module")
def build():
    return make_data


def ogip(matrix, first, tlmin, variable):
    """An OGIP response file of a known matrix, rows written as runs of channels without zeros."""
    n_energies, n_channels = matrix.shape
    runs = []
    for row in matrix:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row > 0, [0]])))
        runs.append([(a, b - a) for a, b in edges.reshape(-1, 2)])
    widest = max(map(len, runs))
    starts = [[a + first for a, _ in row] for row in runs]
    lengths = [[b for _, b in row] for row in runs]
    if variable:
        starts, lengths = ([np.array(r, "i2") for r in x] for x in (starts, lengths))
        form = f"PI({widest})"
    else:
        starts, lengths = ([r + [0] * (widest - len(r)) for r in x] for x in (starts, lengths))
        form = f"{widest}I"
    energies = np.linspace(1.0, 3.0, n_energies + 1)
    values = [row[row > 0].astype("f4") for row in matrix]
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column("ENERG_LO", "E", array=energies[:-1]),
            fits.Column("ENERG_HI", "E", array=energies[1:]),
            fits.Column("N_GRP", "I", array=[len(row) for row in runs]),
            fits.Column("F_CHAN", form, array=as_column(starts, variable)),
            fits.Column("N_CHAN", form, array=as_column(lengths, variable)),
            fits.Column("MATRIX", f"PE({n_channels})", array=as_column(values, True)),
        ],
        name="MATRIX",
    )
    if tlmin is not None:
        table.header["TLMIN4"] = tlmin
    bounds = fits.BinTableHDU.from_columns(
        [
            fits.Column("CHANNEL", "I", array=np.arange(n_channels) + first),
            fits.Column("E_MIN", "E", array=np.arange(n_channels) / 4),
            fits.Column("E_MAX", "E", array=np.arange(1, n_channels + 1) / 4),
        ],
        name="EBOUNDS",
    )
    content = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table, bounds]).writeto(content)
    return content.getvalue()


def as_column(rows, variable):
    if not variable:
        return np.array(rows, "i2")
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return column


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize(("first", "tlmin"), [(0, 0), (0, "0"), (1, 1), (1, None)])
def test_build_expands_a_matrix_with_gaps(build, tmp_path, first, tlmin, variable):
    generator = np.random.default_rng(3)
    # Rows with one, several and no run of channels, of unequal length.
    matrix = generator.random((6, 12)) * (generator.random((6, 12)) > 0.4)
    matrix[1], matrix[2] = 0, np.arange(1, 13)
    path = tmp_path / "wheel.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(build.FOLDER + "a.rsp", ogip(matrix, first, tlmin, variable))
    with zipfile.ZipFile(path) as archive:
        full = build.read_response(archive, "a.rsp", None)
    np.testing.assert_allclose(full.effective_area, matrix.sum(axis=1), rtol=1e-6)
    product = full.effective_area[:, None] * full.redistribution
    np.testing.assert_allclose(product, matrix, rtol=1e-6)
    assert all(array.dtype == np.float64 for array in full)


def test_build_compacts_without_losing_counts(build):
    generator = np.random.default_rng(4)
    edges = np.cumsum(generator.random(41)) + 0.5
    redistribution = generator.random((40, 31)) / 31
    redistribution[:3] = 0
    channels = np.arange(32) / 10
    area = 100 * generator.random(40)
    full = build.FullResponse(
        edges[:-1], edges[1:], area, redistribution, channels[:-1], channels[1:]
    )
    recipe = build.Recipe("", None, 3, 1.7, 29, (0.0, 3.0))
    arrays = build.compact(full, recipe)
    assert arrays["redistribution"].shape[1] == 10
    assert len(arrays["energy_lo"]) < 37
    assert arrays["energy_lo"][0] == edges[3]  # three bins give no counts
    np.testing.assert_array_equal(arrays["energy_lo"][1:], arrays["energy_hi"][:-1])
    np.testing.assert_allclose(arrays["channel_hi"] - arrays["channel_lo"], 0.3)
    # A power law of index 2 must give the same counts in every group of channels.
    long, short = (
        ((1 / lo - 1 / hi) * area) @ matrix for lo, hi, area, matrix, *_ in (full, arrays.values())
    )
    np.testing.assert_allclose(short, long[:30].reshape(10, 3).sum(axis=1), rtol=1e-6)


def test_build_writes_the_same_bytes_twice(build, tmp_path):
    arrays = {"a": np.arange(5.0), "b": np.array("text"), "c": np.ones((2, 3), np.float32)}
    for name in ("one.npz", "two.npz"):
        build.save(tmp_path / name, arrays)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as back:
        assert all((back[key] == value).all() for key, value in arrays.items())
    with zipfile.ZipFile(tmp_path / "one.npz") as archive:
        assert {member.date_time[0] for member in archive.infolist()} == {1980}


def test_build_leaves_no_half_file(build, tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    path.write_bytes(b"before")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        build.save(path, {"a": np.arange(3)})
    assert path.read_bytes() == b"before"


def test_build_refuses_another_wheel(build, tmp_path):
    other = tmp_path / "other.whl"
    other.write_bytes(b"not the wheel")
    with pytest.raises(SystemExit, match="SHA-256"):
        build.checked(other)
    with pytest.raises(SystemExit, match="no file"):
        build.checked(tmp_path / "none.whl")


# --- damaged course data --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "load", [load_spectrum, load_response, load_events, load_light_curve], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("name", ["nicr", "", None, ["nicer"]])
def test_an_unknown_name_lists_the_known_ones(load, name):
    with pytest.raises(DataError, match=r"no such .*Choose from: \w+, \w+"):
        load(name)


def contents(path):
    with np.load(path) as archive:
        return dict(archive)


def change(array, place, value):
    array = array.copy()
    array[place] = value
    return array


SPECTRUM = contents(DATA / "spectrum_ixpe_swift_j1727.npz")
RESPONSE = contents(DATA / "response_rxte_pca.npz")


def read_spectrum(path):
    return data.spectra._read_spectrum(path, "ixpe_swift_j1727")


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("counts", change(SPECTRUM["counts"], 7, np.nan), r"counts\[7\] is nan"),
        ("counts", change(SPECTRUM["counts"], 7, -1), r"counts\[7\] is -1.0"),
        ("counts", SPECTRUM["counts"][:-1], "differ in length"),
        ("counts", SPECTRUM["counts"].astype(object), "is damaged"),
        ("counts", SPECTRUM["counts"].astype("U20"), "counts is 1-dimensional <U20"),
        ("counts", SPECTRUM["counts"][None], "counts is 2-dimensional"),
        ("counts_err", change(SPECTRUM["counts_err"], 0, np.inf), r"counts_err\[0\] is inf"),
        ("exposure", np.array(-5.0), "exposure is -5.0"),
        ("exposure", np.array(0.0), "exposure is 0.0"),
        ("exposure", np.array(np.nan), "exposure is nan"),
        ("energy_lo", SPECTRUM["energy_lo"][::-1], r"energy_lo\[1\].* must increase"),
        ("energy_hi", SPECTRUM["energy_lo"], "energy_hi - energy_lo"),
        ("energy_hi", SPECTRUM["energy_hi"] + 0.01, "energy_lo.1:. - energy_hi"),
        ("channel", change(SPECTRUM["channel"], 3, 2), r"channel\[3\] is 2"),
        ("channel", None, "missing or unknown: channel"),
        ("surprise", np.arange(3), "missing or unknown: surprise"),
    ],
)
def test_a_damaged_spectrum_is_named(tmp_path, field, value, complaint):
    expect_complaint(tmp_path, SPECTRUM, field, value, complaint, read_spectrum)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("redistribution", change(RESPONSE["redistribution"], (4, 2), np.nan), r"\[4, 2\] is nan"),
        ("redistribution", change(RESPONSE["redistribution"], (4, 2), -0.1), r"\[4, 2\] is -0.1"),
        ("redistribution", 2 * RESPONSE["redistribution"], "1 - sum of redistribution"),
        ("redistribution", RESPONSE["redistribution"].T, "differ in length"),
        ("effective_area", change(RESPONSE["effective_area"], 9, -1), r"effective_area\[9\]"),
        ("energy_lo", change(RESPONSE["energy_lo"], 5, 0.0), r"energy_lo\[5\]"),
        ("effective_area", change(RESPONSE["effective_area"], 9, 1e300), r"effective_area\[9\]"),
        ("energy_lo", RESPONSE["energy_lo"][:-1], "differ in length"),
        ("channel_hi", np.empty(0), "differ in length"),
    ],
)
def test_a_damaged_response_is_named(tmp_path, field, value, complaint):
    expect_complaint(tmp_path, RESPONSE, field, value, complaint, data.spectra._read_response)


def expect_complaint(folder, good, field, value, complaint, read):
    arrays = {**good, field: value}
    if value is None:
        del arrays[field]
    path = folder / "file.npz"
    np.savez(path, allow_pickle=True, **arrays)
    with pytest.raises(DataError, match=complaint) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "make data" in str(caught.value)


def test_a_missing_course_file_says_how_to_restore_it(tmp_path, monkeypatch):
    monkeypatch.setattr(data.files, "_DATA", tmp_path)
    with pytest.raises(DataError, match=r"_maxi_j1820\.npz: there is no such file.*git checkout"):
        load_spectrum("nicer_maxi_j1820")
    with pytest.raises(DataError, match=r"response_nicer\.npz: there is no such file"):
        load_response("nicer")


@pytest.mark.parametrize(("good", "read"), [(RESPONSE, "_read_response"), (SPECTRUM, None)])
def test_numbers_of_another_machine_are_understood(tmp_path, good, read):
    read = getattr(data.spectra, read) if read else read_spectrum
    swapped = {k: v.astype(">f8") if v.dtype.kind == "f" else v for k, v in good.items()}
    for name, arrays in (("here", good), ("there", swapped)):
        np.savez(tmp_path / f"{name}.npz", **arrays)
    here, there = (vars(read(tmp_path / f"{name}.npz")) for name in ("here", "there"))
    for key, value in here.items():
        assert getattr(there[key], "dtype", None) == getattr(value, "dtype", None)
        assert np.all(np.asarray(there[key] == value))


def test_an_error_travels_between_processes():
    error = DataError("a file", "is damaged.", "Mend it.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "a file: is damaged. Mend it."


def test_an_archive_of_absurd_size_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("counts.npy", b"\0" * (data.files._LARGEST_ARCHIVE + 1))
    with pytest.raises(DataError, match="too large"):
        read_spectrum(path)


# --- events and light curves that stingray installs -----------------------------------------------


def test_chandra_events_are_those_of_the_file():
    events = load_events("chandra_m82")
    assert len(events.time) == 4612
    assert np.ptp(events.gti) == pytest.approx(945.336, abs=1e-3)
    assert events.mjdref == 50814
    assert events.dt == pytest.approx(0.44104)
    frames = (events.time - events.time[0]) / float(events.dt)
    assert np.abs(frames - frames.round()).max() < 0.01
    assert np.unique(events.grade).tolist() == [0, 2, 3, 4, 6]
    assert 0.1 < events.energy.min() < events.energy.max() < 20  # keV: the file holds eV
    assert len(events.x) == len(events.y) == 4612
    assert "M82" in events.notes


@pytest.mark.parametrize("name", ["chandra_m82", "rxte_4u1636", "rxte_m82"])
def test_events_can_become_tensors(name):
    events = load_events(name)
    for column in ("time", *events.array_attrs()):
        assert len(torch.from_numpy(getattr(events, column))) == len(events.time)


def test_rxte_events_are_calibrated_for_their_own_detector():
    events = load_events("rxte_4u1636")
    assert len(events.time) == 1000
    assert np.unique(events.detector_id).tolist() == [2, 4]
    assert ((events.time < events.gti[0, 0]) | (events.time > events.gti[0, 1])).sum() == 1
    # Channel 24 in 2008: 10.22 keV in PCU 1 to 4, 10.59 keV in PCU 0.
    assert set(events.energy[events.pi == 24]) == {10.22}


def test_good_xenon_events_are_those_of_the_file():
    events = load_events("rxte_m82")
    assert len(events.time) == 3518
    assert np.unique(events.detector_id).tolist() == [2]
    assert np.ptp(events.time) == pytest.approx(101.71, abs=0.01)
    assert (events.time > events.gti[0, 1]).sum() == 103


def test_erosita_light_curve_gives_the_rate_of_its_file():
    table = load_light_curve("erosita")
    assert len(table) == 24
    assert table.attrs["units"].keys() == set(table.columns)
    assert table.attrs["bands_keV"] == {1: (0.2, 5.0), 2: (0.2, 2.3), 3: (2.3, 5.0)}
    with fits.open(data.events._stingray(data.events._LIGHT_CURVES["erosita"])) as hdus:
        expected = hdus["RATE"].data["RATE"]
        expected = expected[np.isfinite(expected).all(axis=1)]
    for k in (1, 2, 3):
        rate = (table[f"counts_{k}"] - table[f"background_{k}"]) / table[f"exposure_{k}"]
        np.testing.assert_allclose(rate, expected[:, k - 1], rtol=1e-5)
    assert (table.exposure_1 > 10).sum() == 17


def test_sample_light_curve_has_no_gap():
    table = load_light_curve("sample")
    assert len(table) == 22143
    np.testing.assert_allclose(np.diff(table.time), 0.125, atol=1e-6)
    counts = table.rate * 0.125 * 5
    np.testing.assert_allclose(counts, counts.round(), atol=1e-3)


def test_loading_events_and_light_curves_is_silent(recwarn):
    for name in data.events._EVENTS:
        load_events(name)
    for name in data.events._LIGHT_CURVES:
        load_light_curve(name)
    assert not recwarn.list


def test_a_stingray_without_its_test_data_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(data.events, "_stingray", lambda name: tmp_path / name)
    for load in (load_events, load_light_curve):
        name = next(iter(data.events._EVENTS if load is load_events else data.events._LIGHT_CURVES))
        with pytest.raises(DataError, match=r"no such file.*pip install"):
            load(name)


def damaged_fits(source, folder, extension, column, value):
    path = folder / source.name
    with fits.open(source) as hdus:
        if value is None:
            hdus[extension].columns.del_col(column)
        else:
            hdus[extension].data[column][5] = value
        hdus.writeto(path)
    return path


@pytest.mark.parametrize(
    ("name", "extension", "column", "value", "complaint"),
    [
        ("chandra_m82", "EVENTS", "energy", np.nan, r"energy\[\d+\] is nan"),
        ("chandra_m82", "EVENTS", "energy", -300.0, r"energy\[\d+\] is -0.3"),
        ("chandra_m82", "EVENTS", "time", 0.0, r"time\[5\].*must not decrease"),
        ("chandra_m82", "EVENTS", "time", np.nan, r"time\[5\] is nan"),
        ("chandra_m82", "EVENTS", "grade", None, "without the columns .'grade'"),
        ("chandra_m82", "EVENTS", "x", np.inf, r"x\[5\] is inf"),
        ("rxte_4u1636", "XTE_SE", "PHA", 200, "cannot be read"),
        ("rxte_m82", "XTE_SE", "PCUID", None, "cannot be read"),
    ],
)
def test_damaged_events_are_named(tmp_path, name, extension, column, value, complaint):
    source = data.events._stingray("tests/data/" + data.events._EVENTS[name][0])
    path = damaged_fits(source, tmp_path, extension, column, value)
    with pytest.raises(DataError, match=complaint) as caught:
        data.events._read_events(path, name)
    assert str(path) in str(caught.value)


def test_events_without_good_times_are_refused(tmp_path):
    path = tmp_path / "a.fits"
    with fits.open(data.events._stingray("tests/data/chandra_test.fits")) as hdus:
        hdus[:2].writeto(path)
    with pytest.raises(DataError, match="No valid GTI"):
        data.events._read_events(path, "chandra_m82")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_truncated_files_are_named(tmp_path, share):
    readers = {
        f"tests/data/{file}": lambda path, name=name: data.events._read_events(path, name)
        for name, (file, *_) in data.events._EVENTS.items()
    }
    readers[data.events._LIGHT_CURVES["erosita"]] = data.events._read_erosita
    for file, read in readers.items():
        content = data.events._stingray(file).read_bytes()
        path = tmp_path / Path(file).name
        path.write_bytes(content[: int(share * len(content))])
        with pytest.raises(DataError):
            read(path)


# --- fuzz: whatever happens to a file, it is read rightly or refused with a DataError -------------

FUZZ = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@st.composite
def damaged_bytes(draw, content):
    """The bytes of a file with some flipped, overwritten, cut away or repeated, anywhere in it."""
    content = bytearray(content)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    for kind in draw(st.lists(st.sampled_from(["flip", "noise", "cut", "repeat"]), min_size=1)):
        place = generator.integers(len(content) + 1)
        length = generator.integers(1, 100)
        piece = content[place : place + length]
        if kind == "flip" and piece:
            content[place] ^= 1 << generator.integers(8)
        elif kind == "noise":
            content[place : place + length] = generator.bytes(len(piece))
        elif kind == "cut":
            del content[place : place + length**2]
        elif kind == "repeat":
            content[place:place] = piece
    return bytes(content)


@st.composite
def damaged_archives(draw, good):
    """The bytes of an npz file with fields changed in value, shape or type, or lost."""
    arrays = dict(good)
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(arrays)))
        array = arrays[name]
        kind = draw(st.sampled_from(["value", "shape", "type", "lost", "new", "object", "order"]))
        if kind == "value" and array.dtype.kind in "if" and array.size:
            value = draw(st.sampled_from([np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300, 5.0]))
            array = array.astype(np.float64)
            array.flat[draw(st.integers(0, array.size - 1))] = value
            with np.errstate(all="ignore"):
                arrays[name] = array.astype(arrays[name].dtype)
        elif kind == "shape":
            reshape = [lambda a: a[None], lambda a: a.ravel()[:-1], np.transpose, np.atleast_1d]
            arrays[name] = draw(st.sampled_from(reshape))(array)
        elif kind == "type":
            types = ["U5", "S5", "c16", "?", "f2", "i8", ">f8", "M8[s]"]
            arrays[name] = np.zeros(array.shape, draw(st.sampled_from(types)))
        elif kind == "lost" and len(arrays) > 1:
            del arrays[name]
        elif kind == "new":
            arrays["new"] = array
        elif kind == "object":
            arrays[name] = np.array([{"a": 1}, None], dtype=object)
        elif kind == "order" and array.ndim:
            arrays[name] = array[::-1]
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=True, **arrays)
    content = content.getvalue()
    return draw(damaged_bytes(content)) if draw(st.integers(0, 3)) == 3 else content


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """Read damaged bytes as a file; give the result, or None after a DataError."""
    folder = tmp_path_factory.mktemp("fuzz")

    def read_bytes(content, name, read):
        path = folder / name
        path.write_bytes(content)
        try:
            return read(path)
        except DataError as error:
            if str(path) not in str(error):
                raise
            return None

    return read_bytes


def good_bins(lo, hi):
    return bool((lo >= 0).all() and (np.diff(lo) > 0).all() and (hi > lo).all())


@settings(FUZZ, max_examples=150)
@given(random=st.data())
def test_fuzz_spectrum(fuzzed, random):
    spectrum = fuzzed(random.draw(damaged_archives(SPECTRUM)), "a.npz", read_spectrum)
    if spectrum is not None:
        assert spectrum.exposure > 0
        assert (spectrum.counts >= 0).all()
        assert len(spectrum.counts) == len(spectrum.channel) == len(spectrum.energy)
        assert good_bins(spectrum.energy_lo, spectrum.energy_hi)


@settings(FUZZ, max_examples=150)
@given(random=st.data())
def test_fuzz_response(fuzzed, random):
    response = fuzzed(random.draw(damaged_archives(RESPONSE)), "a.npz", data.spectra._read_response)
    if response is not None:
        assert response.fold(torch.ones(len(response.energy_lo))).isfinite().all()
        assert good_bins(response.energy_lo.numpy(), response.energy_hi.numpy())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", list(data.events._EVENTS))
@settings(FUZZ, max_examples=60)
@given(random=st.data())
def test_fuzz_events(fuzzed, name, random):
    with fits.open(data.events._stingray("tests/data/" + data.events._EVENTS[name][0])) as hdus:
        content = io.BytesIO()
        hdus.writeto(content)  # a compressed file would hardly ever get past its checksum
    content = random.draw(damaged_bytes(content.getvalue()))
    events = fuzzed(content, "a.fits", lambda path: data.events._read_events(path, name))
    if events is not None:
        assert (np.diff(events.time) >= 0).all()
        assert np.isfinite(events.energy).all()


@pytest.mark.filterwarnings("ignore")
@settings(FUZZ, max_examples=60)
@given(random=st.data())
def test_fuzz_erosita(fuzzed, random):
    content = random.draw(
        damaged_bytes(data.events._stingray(data.events._LIGHT_CURVES["erosita"]).read_bytes())
    )
    table = fuzzed(content, "a.fits", data.events._read_erosita)
    if table is not None:
        assert (table.drop(columns="time") >= 0).all(axis=None)


@settings(FUZZ, max_examples=60)
@given(random=st.data())
def test_fuzz_sample(fuzzed, random):
    content = data.events._stingray(data.events._LIGHT_CURVES["sample"]).read_bytes()[:2000]
    table = fuzzed(random.draw(damaged_bytes(content)), "a.txt", data.events._read_sample)
    if table is not None:
        assert (table.rate >= 0).all()
        assert (np.diff(table.time) > 0).all()


# --- the RXTE/ASM set, against a server on this machine -------------------------------------------

# Look-alikes of the set's files: names of system and type apart and glued, three rows to hundreds.
LOOK_ALIKES = {
    "Training/1538m522comp.asc": ("J1538-522 Pulsar", 3),
    "Training/1118p480comp.asc": ("J1118+480 LMBH", 84),
    "Training/cygx2comp.asc": ("CygX-2 Zsource", 300),
    "Training/gx9p9comp.asc": ("GX9+9 Atoll", 200),
    "Validation/gx5m1comp.asc": ("gx5m1Nonpulsar", 150),
    "Validation/LMCX3comp.asc": ("LMCX3HMBH", 90),
    "Validation/1744m28comp.asc": ("1744m28Pulsar", 69),
    "Burster_Test/0614p091comp.asc": ("0614+091 Burster", 120),
    "Unclass/gx3p1comp.asc": ("GX3+1unclass", 64),
    "Unclass/1636m53comp.asc": ("1636m53Unclass", 68),
}


@pytest.fixture(scope="session")
def asm(tmp_path_factory):
    """Folder and registry of the set: the real one where the environment names it."""
    if REAL_ASM:
        return Path(REAL_ASM), sky_monitor._asm_registry()
    folder = tmp_path_factory.mktemp("asm")
    generator = np.random.default_rng(5)
    for name, (label, n) in LOOK_ALIKES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        rows = zip(50087.4 + np.arange(n), *generator.normal(1, 0.5, (3, n)), strict=True)
        text = "".join(f"{label}      {t:.1f}  {i:.6g}  {a:.6g}  {b:.6g}\n" for t, i, a, b in rows)
        (folder / name).write_text(text, "ascii", newline="\n")
    return folder, {name: f"sha256:{sha256(folder / name)}" for name in LOOK_ALIKES}


@pytest.fixture
def asm_copy(asm, tmp_path, monkeypatch):
    """A copy of the set that a test may damage; load_asm knows its registry and no folder."""
    monkeypatch.delenv("XRAY_TIMING_ASM", raising=False)
    monkeypatch.setattr(sky_monitor, "_asm_registry", lambda: asm[1])
    folder = tmp_path / "copy"
    for name in asm[1]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(asm[0] / name, folder / name)
    return folder


class Server(ThreadingHTTPServer):
    """Serves a folder, counts the requests per file, and fails as it is told to."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder, self.requests = folder, Counter()
        self.corrupt, self.truncate, self.answers_left = set(), set(), float("inf")


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.lstrip("/")
        self.server.requests[name] += 1
        if self.server.answers_left <= 0:
            self.connection.close()  # as a server does that dies
            return
        self.server.answers_left -= 1
        body = (self.server.folder / name).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if name in self.server.corrupt:
            body = bytes([body[0] ^ 1]) + body[1:]
        if name in self.server.truncate:
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(asm_copy, tmp_path, monkeypatch):
    """The set's public home and this machine's cache, both here."""
    import pooch

    @contextmanager
    def running():
        server = Server(asm_copy)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    with running() as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setattr(sky_monitor, "_ASM_URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path / "cache" / name)
        server.cache = tmp_path / "cache"
        yield server


def cached(server):
    """The files in the cache by name, whether they belong there or not."""
    folder = server.cache / "ml-xray-spectral-timing" / "asm"
    return {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}


def check_table(table, registry):
    columns = "system type mjd intensity colour_1 colour_2 folder file"
    assert " ".join(table.columns) == columns
    assert set(table.folder + "/" + table.file) == set(registry)
    assert table.groupby("file").system.nunique().eq(1).all()
    labels = table.groupby("file")[["system", "type"]].first()
    assert tuple(labels.loc["gx5m1comp.asc"]) == ("gx5m1", "Nonpulsar")
    assert tuple(labels.loc["LMCX3comp.asc"]) == ("LMCX3", "HMBH")
    assert tuple(labels.loc["1744m28comp.asc"]) == ("1744m28", "Pulsar")
    assert tuple(labels.loc["gx3p1comp.asc"]) == ("GX3+1", "unclass")
    assert tuple(labels.loc["1636m53comp.asc"]) == ("1636m53", "Unclass")
    assert tuple(labels.loc["1118p480comp.asc"]) == ("J1118+480", "LMBH")
    assert (table.file == "1538m522comp.asc").sum() == 3
    assert (table[["colour_1", "colour_2"]] < 0).any(axis=None)  # kept, not cleaned
    assert np.isfinite(table.select_dtypes("number")).all(axis=None)


def test_registry_lists_the_41_files():
    registry = sky_monitor._asm_registry()
    assert len(registry) == 41
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in registry.values())
    assert set(LOOK_ALIKES) <= set(registry)


def test_asm_files_are_not_in_the_project():
    assert not list(DATA.parent.glob("**/*comp.asc"))


def test_asm_is_fetched_once(server, asm):
    check_table(load_asm(), asm[1])
    assert {name: f"sha256:{sha256(path)}" for name, path in cached(server).items()} == asm[1]
    load_asm()
    assert set(server.requests.values()) == {1}


def test_asm_needs_no_network_once_cached(server, asm):
    load_asm()
    server.answers_left = 0
    check_table(load_asm(), asm[1])


def test_asm_without_leave_to_fetch_uses_no_network(server, asm):
    with pytest.raises(DataError, match=f"0 of the {len(asm[1])} files") as caught:
        load_asm(fetch=False)
    for word in ("fetch=False", "call load_asm()", "load_asm(path)", "XRAY_TIMING_ASM"):
        assert word in str(caught.value)
    assert not server.requests
    assert not server.cache.exists()


def test_asm_without_leave_to_fetch_reads_a_whole_cache_and_no_other(server, asm):
    load_asm()
    requests = server.requests.copy()
    check_table(load_asm(fetch=False), asm[1])
    spoilt, removed = sorted(cached(server).values())[2:4]
    spoilt.write_text("spoilt")
    removed.unlink()
    with pytest.raises(DataError, match=f"{len(asm[1]) - 2} of the {len(asm[1])} files"):
        load_asm(fetch=False)
    assert spoilt.read_text() == "spoilt"  # nothing is mended behind one's back
    assert server.requests == requests


@pytest.mark.parametrize("way", ["argument", "variable"])
def test_asm_without_leave_to_fetch_reads_a_folder(server, asm_copy, asm, monkeypatch, way):
    if way == "variable":
        monkeypatch.setenv("XRAY_TIMING_ASM", str(asm_copy))
    path = asm_copy if way == "argument" else None
    check_table(load_asm(path, fetch=False), asm[1])
    next(asm_copy.rglob("*.asc")).unlink()
    with pytest.raises(DataError, match="missing"):
        load_asm(path, fetch=False)
    assert not server.requests


def test_asm_shows_one_progress_bar_and_no_more(server, asm, capfd, caplog):
    import pooch

    pooch.get_logger().addHandler(caplog.handler)
    load_asm()
    pooch.get_logger().removeHandler(caplog.handler)
    progress = capfd.readouterr().err
    assert "RXTE/ASM" in progress
    assert f"{len(asm[1])}/{len(asm[1])}" in progress
    assert not caplog.records
    load_asm()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("fault", ["corrupt", "truncate"])
def test_asm_refuses_a_bad_download_and_mends_it_later(server, asm, fault):
    name = sorted(asm[1])[4]
    getattr(server, fault).add(name)
    with pytest.raises(DataError, match=re.escape(name)) as caught:
        load_asm()
    for word in ("could not be fetched", sky_monitor._ASM_URL, "XRAY_TIMING_ASM", "load_asm(path)"):
        assert word in str(caught.value)
    assert name not in cached(server)
    assert set(cached(server)) < set(asm[1])  # and nothing half-written beside them
    getattr(server, fault).clear()
    check_table(load_asm(), asm[1])
    assert server.requests.pop(name) == 2
    assert set(server.requests.values()) == {1}


def test_asm_without_server_says_what_to_do(server):
    port_of_nobody = "9"
    sky_monitor._ASM_URL = sky_monitor._ASM_URL.replace(str(server.server_port), port_of_nobody)
    with pytest.raises(DataError) as caught:
        load_asm()
    for word in ("could not be fetched", "0 of", "load_asm(path)", "XRAY_TIMING_ASM", "github.com"):
        assert word in str(caught.value)
    assert cached(server) == {}


def test_asm_goes_on_where_a_dying_server_left_it(server, asm):
    server.answers_left = 4
    with pytest.raises(DataError, match=f"4 of {len(asm[1])} are in"):
        load_asm()
    assert len(cached(server)) == 4
    server.answers_left = float("inf")
    check_table(load_asm(), asm[1])
    requests = Counter(server.requests.values())
    assert requests == {1: len(asm[1]) - 1, 2: 1}  # only the one that was cut is asked for twice


def test_asm_interrupted_leaves_no_half_file(server, asm, monkeypatch):
    import pooch

    def interrupted(**_):
        def download(url, output_file, _):
            Path(output_file).write_bytes(b"half of it")
            raise KeyboardInterrupt

        return download

    with monkeypatch.context() as patch:
        patch.setattr(pooch, "HTTPDownloader", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load_asm()
    assert cached(server) == {}
    check_table(load_asm(), asm[1])


def test_asm_fetches_a_file_again_that_changed_in_the_cache(server, asm):
    load_asm()
    name, path = sorted(cached(server).items())[2]
    path.write_text("spoilt")
    check_table(load_asm(), asm[1])
    assert server.requests.pop(name) == 2
    assert set(server.requests.values()) == {1}


@pytest.mark.parametrize("way", ["argument", "text", "variable"])
def test_asm_reads_a_folder(server, asm_copy, asm, monkeypatch, way):
    if way == "variable":
        monkeypatch.setenv("XRAY_TIMING_ASM", str(asm_copy))
        table = load_asm()
    else:
        table = load_asm(asm_copy if way == "argument" else str(asm_copy))
    check_table(table, asm[1])
    assert not server.requests


def test_asm_prefers_the_argument_to_the_variable(asm_copy, asm, monkeypatch, tmp_path):
    monkeypatch.setenv("XRAY_TIMING_ASM", str(tmp_path / "nowhere"))
    check_table(load_asm(asm_copy), asm[1])
    with pytest.raises(DataError, match="nowhere"):
        load_asm()


def test_asm_names_the_files_that_a_folder_lacks(asm_copy):
    (asm_copy / "Training/1118p480comp.asc").unlink()
    with (asm_copy / "Unclass/gx3p1comp.asc").open("a") as file:
        file.write("GX3+1unclass 1 2 3 4\n")
    with pytest.raises(DataError) as caught:
        load_asm(asm_copy)
    assert "2 of the" in str(caught.value)
    assert "Training/1118p480comp.asc (missing)" in str(caught.value)
    assert "Unclass/gx3p1comp.asc (changed)" in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "CygX-1 HMBH 50087.4 0.25 1.13",
        "CygX-1 HMBH 50087.4 0.25 1.13 1.43 7",
        "CygX-1 Quasar 50087.4 0.25 1.13 1.43",
        "CygX-1 HMBH 50087.4 0.25 nan 1.43",
        "CygX-1 HMBH 50087.4 0.25 1,13 1.43",
        "HMBH 50087.4 0.25 1.13 1.43",
    ],
)
def test_asm_names_a_bad_line(tmp_path, line):
    path = tmp_path / "a.asc"
    path.write_text(f"CygX-1 HMBH 50087.4 0.25 1.13 1.43\n{line}\nCygX-1 HMBH 1 1 1 1\n")
    with pytest.raises(DataError, match="line 2 is"):
        sky_monitor._read_asm_file(path)


def test_the_real_asm_set_is_as_documented():
    if not REAL_ASM:
        pytest.skip("needs the real files: set XRAY_TIMING_ASM to their folder")
    table = load_asm()
    assert len(table) == 63911
    assert table.system.nunique() == 41
    assert (table[["colour_1", "colour_2"]] < 0).sum().tolist() == [8, 184]
    sizes = table.groupby("file").size()
    assert (sizes.min(), sizes.max()) == (3, 4888)
    assert table[table.system == "J1650-500"].mjd.max() < 50200


@settings(FUZZ, max_examples=100)
@given(random=st.data())
def test_fuzz_asm(fuzzed, random):
    rows = "".join(f"{label}   50087.4   0.25  -1.13  1.5\n" for label, _ in LOOK_ALIKES.values())
    table = fuzzed(random.draw(damaged_bytes(rows.encode())), "a.asc", sky_monitor._read_asm_file)
    if table is not None:
        assert np.isfinite(table.select_dtypes("number")).all(axis=None)
        assert (table.type.str.fullmatch(sky_monitor._ASM_TYPES)).all()
