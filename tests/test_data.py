"""The loaders, the files they read, and what a learner is told where a file cannot be used."""

import hashlib
import pickle
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from astropy.io import fits

from helpers import data
from helpers.data import (
    DataError,
    load_events,
    load_light_curve,
    load_observations,
    load_response,
    load_spectrum,
)
from helpers.spectra import power_law

ROOT = Path(__file__).resolve().parent.parent
STINGRAY = Path(find_spec("stingray").origin).parent
SPECTRA = ("nicer_maxi_j1820", "ixpe_swift_j1727")
# Resolution at 6 keV in the original files: full width at half maximum, keV.
WIDTHS = {
    **{"nicer": 0.14, "ixpe": 0.96, "rxte_pca": 1.2},
    **{"nustar_fpma": 0.4, "xmm_pn": 0.185, "swift_xrt": 0.22},
}


# --- what the course data hold --------------------------------------------------------------------


def test_sums_cover_every_data_file():
    lines = (data.FOLDER / "SHA256SUMS").read_text().splitlines()
    sums = {name: digest for digest, name in map(str.split, lines)}
    files = {path for path in data.FOLDER.iterdir() if path.suffix in (".npz", ".csv", ".txt")}
    assert sums == {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_data_stay_small():
    assert sum(path.stat().st_size for path in data.FOLDER.iterdir() if path.is_file()) < 14e6


def test_nicer_spectrum_keeps_the_counts_of_its_file():
    spectrum = load_spectrum("nicer_maxi_j1820")
    # The file holds 96505118 counts; 5 of them lie in its last channel, 1500, which has no partner.
    assert spectrum.counts.sum() == 96505118 - 5
    assert spectrum.exposure == 5961.963
    assert (spectrum.counts == spectrum.counts.round()).all()
    np.testing.assert_allclose(spectrum.counts_err**2, spectrum.counts)
    np.testing.assert_array_equal(spectrum.channel, 3 * np.arange(500))


def test_ixpe_spectrum_is_weighted():
    spectrum = load_spectrum("ixpe_swift_j1727")
    assert spectrum.counts.sum() / spectrum.exposure == pytest.approx(55.8628, abs=1e-4)
    assert (spectrum.counts != spectrum.counts.round()).any()
    assert (spectrum.counts_err[spectrum.counts > 0] > 0).all()


@pytest.mark.parametrize("name", SPECTRA)
def test_a_spectrum_lies_on_the_channels_of_its_response(name):
    spectrum = load_spectrum(name)
    response = load_response(spectrum.response)
    np.testing.assert_allclose(spectrum.energy_lo, response.channel_lo, rtol=1e-6)
    np.testing.assert_allclose(spectrum.energy_hi, response.channel_hi, rtol=1e-6)


@pytest.mark.parametrize(("name", "width"), WIDTHS.items())
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


@pytest.mark.parametrize("name", WIDTHS)
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
    energy = (spectrum.energy_lo + spectrum.energy_hi) / 2
    band = (energy > 3) & (energy < 10) & ((energy - 6.5) ** 2 > 1)
    rate = spectrum.counts[band] / spectrum.exposure
    chi2 = []
    indices = np.arange(1.0, 2.6, 0.05)
    for index in indices:
        model = response.fold(power_law(response.energy_lo, response.energy_hi, index, 1.0)).numpy()
        norm = np.median(rate / model[band])
        chi2.append(np.mean((1 - norm * model[band] / rate) ** 2) / 0.02**2)
    assert 1.4 < indices[np.argmin(chi2)] < 1.9
    assert min(chi2) < 2


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


@pytest.mark.parametrize("name", ["chandra_m82", "rxte_4u1636", "rxte_m82", "astrosat_crab"])
def test_events_can_become_tensors_and_come_in_silence(recwarn, name):
    events = load_events(name)
    for column in ("time", *events.array_attrs()):
        assert len(torch.from_numpy(getattr(events, column))) == len(events.time)
    assert not recwarn.list


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


def test_events_of_the_crab_are_those_of_the_file():
    events = load_events("astrosat_crab")
    assert events.mission == "astrosat"
    for number, n, span in ((1, 453, 0.66611), (2, 547, 0.19178)):
        times = events.time[events.detector_id == number]
        assert (len(times), np.ptp(times)) == (n, pytest.approx(span, abs=1e-5))
        steps = np.diff(times) / events.dt
        assert np.abs(steps - steps.round()).max() < 0.012  # a double is 0.06 µs fine here
        assert steps.min() > 3.9


def test_erosita_light_curve_gives_the_rate_of_its_file():
    table = load_light_curve("erosita")
    assert len(table) == 24
    assert table.attrs["units"].keys() == set(table.columns)
    with fits.open(STINGRAY / "tests/data/LightCurve_bexvar.fits") as hdus:
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


# --- what a learner is told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "load",
    [load_spectrum, load_response, load_events, load_light_curve, load_observations],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("name", ["nicr", "", None, ["nicer"], "truth"])
def test_an_unknown_name_lists_the_known_ones(load, name):
    with pytest.raises(DataError, match=r"no such .*Choose from: \w+, \w+"):
        load(name)


LOADERS = {
    "columns.csv": data.load_truth,
    "observations_first.csv": lambda: load_observations("first"),
    "observations_truth.csv": data.load_truth,
    "light_curves.npz": data.load_segments,
    "spectrum_ixpe_swift_j1727.npz": lambda: load_spectrum("ixpe_swift_j1727"),
    "response_rxte_pca.npz": lambda: load_response("rxte_pca"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of some files of data/, which the loaders read from and a test may damage."""
    for name in ("SHA256SUMS", *LOADERS):
        shutil.copyfile(data.FOLDER / name, tmp_path / name)
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    return tmp_path


def expect(load, file, problem):
    with pytest.raises(DataError, match=problem) as caught:
        load()
    assert str(caught.value).startswith(f"{file}: ")
    assert "git checkout data" in str(caught.value)
    assert "make data" in str(caught.value)


def replace_by_a_folder(path):
    path.unlink()
    path.mkdir()


DAMAGE = {
    "missing": (Path.unlink, "there is no such file"),
    "changed": (lambda p: p.write_bytes(p.read_bytes().replace(b"1", b"2", 1)), "was changed"),
    "a folder": (replace_by_a_folder, "cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("file", LOADERS)
def test_a_file_that_cannot_be_used_is_named(folder, file, damage):
    LOADERS[file]()  # a file can change after it was read once
    spoil, problem = DAMAGE[damage]
    spoil(folder / file)
    expect(LOADERS[file], folder / file, problem)


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\0", b"columns.csv\n", b"1 2 3\n"])
def test_missing_or_damaged_sums_are_named(folder, content):
    sums = folder / "SHA256SUMS"
    sums.unlink()
    if content is not None:
        sums.write_bytes(content)
    problem = "no such file" if content is None else "holds no SHA-256 of columns.csv"
    expect(data.load_truth, sums, problem)


def test_an_error_travels_between_processes():
    error = DataError("a file", "is damaged.", "Mend it.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "a file: is damaged. Mend it."


@pytest.mark.parametrize(
    ("load", "name", "file"),
    [
        (load_events, "rxte_m82", "tests/data/xte_gx_test.evt.gz"),
        (load_light_curve, "sample", "datasets/lc_sample.txt"),
    ],
    ids=["events", "light curve"],
)
def test_a_stingray_with_other_files_is_named(tmp_path, monkeypatch, load, name, file):
    installed = SimpleNamespace(origin=tmp_path / "__init__.py")
    monkeypatch.setattr(data, "find_spec", {"stingray": installed}.get)
    (tmp_path / file).parent.mkdir(parents=True)
    with pytest.raises(DataError, match=r"there is no such file.*pip install") as caught:
        load(name)
    assert str(tmp_path / file) in str(caught.value)
    (tmp_path / file).write_bytes((STINGRAY / file).read_bytes()[:-1])
    with pytest.raises(DataError, match=r"was changed.*pip install.* stingray"):
        load(name)
    monkeypatch.setattr(data, "find_spec", {}.get)
    with pytest.raises(DataError, match="not installed"):
        load(name)


def test_importing_and_loading_are_light():
    code = """
import sys
from helpers import data
slow = {"pandas", "torch", "sklearn", "scipy", "stingray", "astropy", "pooch", "requests"}
assert not slow & sys.modules.keys(), slow & sys.modules.keys()
data.load_observations("first"), data.load_truth(), data.load_segments()
data.load_spectrum("ixpe_swift_j1727"), data.load_light_curve("sample")
slow -= {"pandas"}
assert not slow & sys.modules.keys(), slow & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
