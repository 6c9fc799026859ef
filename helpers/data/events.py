"""Photon events and light curves, in FITS and text files that stingray installs."""

import gzip
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.data.files import DataError, _check, _check_lengths, _choose, _table

if TYPE_CHECKING:  # slow to import: a notebook pays only for what it uses
    from pandas import DataFrame
    from stingray import EventList

__all__ = ["load_events", "load_light_curve"]

_REINSTALL = "Install stingray again: pip install --force-reinstall --no-deps stingray"

_EVENTS = {  # file, columns beyond time and energy, what it is
    "chandra_m82": (
        "chandra_test.fits",
        ("x", "y", "grade"),
        "Galaxy M82, Chandra ACIS, ObsID 10027, 2008-10-04",
    ),
    "rxte_4u1636": (
        "xte_test.evt.gz",
        (),
        "Neutron star 4U 1636-53, RXTE PCA, ObsID 93087-01-02-11, 2008-01-13, thinned",
    ),
    "rxte_m82": (
        "xte_gx_test.evt.gz",
        (),
        "Galaxy M82, RXTE PCA, Good Xenon, 2009-12-18, mostly background",
    ),
}
_LIGHT_CURVES = {
    "erosita": "tests/data/LightCurve_bexvar.fits",
    "sample": "datasets/lc_sample.txt",
}


def load_events(name: str) -> "EventList":
    """Times, energies and more of single X-ray photons, from the test data that stingray installs.

    `time` is in seconds after `mjdref`, `gti` holds the good time intervals [s], `energy` is in
    keV, and `notes` says what it is.

    - ``"chandra_m82"``: Chandra ACIS, the galaxy M82 (ObsID 10027): 4612 events in 945 s, with `x`
      and `y` on the sky [pixels of 0.492 arcsec] and `grade`. Times count whole frames of `dt` =
      0.44104 s. `t_start`, `t_stop` and the header's EXPOSURE are those of the whole observation,
      of which this is a piece: for a rate divide by the good time.
    - ``"rxte_4u1636"``: RXTE PCA, the neutron star 4U 1636-53 (ObsID 93087-01-02-11), PCU 2 and 4.
      The file keeps 1000 events of 1229 s: a PCA sees hundreds in one second, so it was thinned,
      and neither its rate nor its dead time can be used.
    - ``"rxte_m82"``: RXTE PCA, M82 again, in Good Xenon mode (every event, 1 microsecond), PCU 2:
      3518 events of 102 s. The PCA has no image, and most of these are background.

    `detector_id` is the PCU of RXTE events. Their energies follow from the PCA's channels and the
    nominal table for epoch and PCU that stingray holds; they are good to a few per cent. Some RXTE
    events lie after the good time: `events.apply_gtis()` leaves them out.

    Args:
        name: one of the above.

    Returns:
        The events, sorted by time.

    Raises:
        DataError: if there are no such events, or their file is missing or damaged.

    Example:
        >>> events = load_events("chandra_m82")
        >>> len(events.time), sorted(set(events.grade.tolist()))
        (4612, [0, 2, 3, 4, 6])
    """
    file, *_ = _EVENTS[_choose(name, _EVENTS, "event list")]
    return _read_events(_stingray(f"tests/data/{file}"), name)


def load_light_curve(name: str) -> "DataFrame":
    """A light curve, from the data that stingray installs.

    - ``"erosita"``: one source in the eROSITA field 300007 in November 2019; the file gives no
      name. One row for each of the 24 bins of 100 s, of 3740, in which the source was in view at
      all. Columns, with k = 1, 2, 3 for the bands 0.2-5, 0.2-2.3 and 2.3-5 keV: `time` [s] (middle
      of the bin), `width` [s], `counts_k`, `background_k` (counts expected in the source region)
      and `exposure_k` [s] (what the bin is worth after vignetting). Beware of rates from bins with
      hardly any exposure: 17 bins have more than 10 s in band 1. And bands 2 and 3 do not add up to
      band 1 (2653 counts against 2688), so the file cannot have counted the same events.
    - ``"sample"``: `time` [s] and `rate` [1/s] of 22143 bins of 0.125 s without a gap. The file
      says nothing about source or telescope. Two things can be read from it: rate x 0.125 s x 5 is
      an integer, as for an average over five detectors, and the time stamps, if they were seconds
      of the RXTE mission, would fall on 1997-07-07.

    Args:
        name: one of the above.

    Returns:
        One row per bin; `attrs["units"]` holds the unit of each column.

    Raises:
        DataError: if there is no such light curve, or its file is missing or damaged.

    Example:
        >>> load_light_curve("sample").rate.mean().round(1)
        np.float64(2378.4)
    """
    path = _stingray(_LIGHT_CURVES[_choose(name, _LIGHT_CURVES, "light curve")])
    return (_read_erosita if name == "erosita" else _read_sample)(path)


def _stingray(name):
    """The path of a file that stingray installs, found without importing stingray."""
    found = find_spec("stingray")
    if found is None:
        raise DataError("stingray", "the package is not installed.", "pip install stingray")
    return Path(found.origin).parent / name


def _open(path, read):
    """The result of read(path); any failure, a file cut short among them, becomes a DataError."""
    if not path.is_file():
        raise DataError(path, "there is no such file.", _REINSTALL)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="(?s).*truncated")
        warnings.filterwarnings("error", message="No valid GTI")
        # stingray leaves its files open, which Python would report
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            if path.suffix == ".gz":  # astropy does not look at the checksum
                with gzip.open(path) as file:
                    while file.read(1_000_000):
                        pass
            return read(path)
        except Exception as error:  # a damaged file can make the readers raise nearly anything
            raise DataError(path, f"cannot be read ({error}).", _REINSTALL) from error


def _read_events(path, name):
    _, columns, notes = _EVENTS[name]

    def native(values):
        """Big-endian or extended numbers as numbers of this machine, which torch takes as well."""
        values = np.asarray(values)
        return values.astype(np.float64 if values.dtype.kind == "f" else np.int64)

    def read(path):
        from stingray import EventList
        from stingray.mission_support.rxte import pca_calibration_func

        events = EventList.read(str(path), fmt="hea", additional_columns=list(columns))
        events.notes = notes
        events.mjdref = float(events.mjdref)
        events.gti = native(events.gti)
        if events.mission == "xte":
            if events.detector_id is None:
                raise KeyError("without the column PCUID")
            # stingray calibrates all events as if they came from PCU 0
            to_energy = pca_calibration_func(float(events.t_start) / 86400 + events.mjdref)
            events.energy = to_energy(events.pi, events.detector_id)
        for key in ("time", *events.array_attrs()):
            setattr(events, key, native(getattr(events, key)))
        needed = {"energy", *columns} - set(events.array_attrs())
        if needed:
            raise KeyError(f"without the columns {sorted(needed)}")
        start, stop = events.gti.T
        arrays = {key: getattr(events, key) for key in ("time", *events.array_attrs())}
        return events, arrays, start, stop

    events, arrays, start, stop = _open(path, read)
    _check_lengths(path, _REINSTALL, arrays)
    _check(path, _REINSTALL, arrays)
    _check(path, _REINSTALL, {"time": events.time}, increasing=True, repeats=True)
    _check(path, _REINSTALL, {"energy": events.energy}, lowest=0)
    _check(path, _REINSTALL, {"GTI start": start, "GTI stop": stop}, increasing=True)
    _check(path, _REINSTALL, {"GTI length": stop - start}, lowest=0)
    return events


def _read_erosita(path):
    names = ("TIME", "TIMEDEL", "COUNTS", "BACK_COUNTS", "BACKRATIO", "FRACEXP")

    def read(path):
        from astropy.io import fits

        with fits.open(path) as hdus:
            header, data = hdus["RATE"].header, hdus["RATE"].data
            table = {name: np.array(data[name], dtype=np.float64) for name in names}
            bands = {k: (float(header[f"E_MIN{k}"]), float(header[f"E_MAX{k}"])) for k in (1, 2, 3)}
            return table, bands, float(header["MJDREF"])

    table, bands, mjdref = _open(path, read)
    shapes = {name: values.shape for name, values in table.items()}
    n = len(table["TIME"])
    per_band = ("COUNTS", "BACK_COUNTS", "FRACEXP")
    if n == 0 or shapes != {name: (n, 3) if name in per_band else (n,) for name in names}:
        raise DataError(path, f"its columns have the wrong shapes: {shapes}.", _REINSTALL)
    _check(path, _REINSTALL, {"FRACEXP": table["FRACEXP"]}, lowest=0)
    # Where the source was out of view, the other columns hold no numbers.
    table = {name: values[(table["FRACEXP"] > 0).all(axis=1)] for name, values in table.items()}
    _check(path, _REINSTALL, {"TIME": table["TIME"]}, increasing=True)
    _check(path, _REINSTALL, {name: table[name] for name in names[1:]}, lowest=0)
    columns, units = {"time": table["TIME"], "width": table["TIMEDEL"]}, {"time": "s", "width": "s"}
    for k in bands:
        columns[f"counts_{k}"] = table["COUNTS"][:, k - 1].astype(np.int64)
        columns[f"background_{k}"] = table["BACK_COUNTS"][:, k - 1] * table["BACKRATIO"]
        columns[f"exposure_{k}"] = table["FRACEXP"][:, k - 1] * table["TIMEDEL"]
        units |= {f"counts_{k}": "counts", f"background_{k}": "counts", f"exposure_{k}": "s"}
    return _table(columns, units=units, bands_keV=bands, mjdref=mjdref)


def _read_sample(path):
    def read(path):
        time, rate = np.loadtxt(path, ndmin=2, unpack=True)
        return time, rate

    time, rate = _open(path, read)
    _check_lengths(path, _REINSTALL, {"time": time})
    _check(path, _REINSTALL, {"time": time}, increasing=True)
    _check(path, _REINSTALL, {"rate": rate}, lowest=0)
    return _table({"time": time, "rate": rate}, units={"time": "s", "rate": "1/s"})
