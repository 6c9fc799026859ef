"""Loaders of the course's real data; each checks what it reads.

Spectra and responses lie in the course's data/ folder, events and light curves come with stingray,
and the RXTE/ASM set is fetched from its public home when it is asked for. data/README.md says where
everything comes from. A file that is missing or damaged gives a `DataError`, and nothing else.
"""

import gzip
import hashlib
import os
import re
import warnings
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # slow to import: a notebook pays only for what it uses
    from pandas import DataFrame
    from stingray import EventList

    from helpers.spectra import Response

__all__ = [
    "DataError",
    "Spectrum",
    "load_asm",
    "load_events",
    "load_light_curve",
    "load_response",
    "load_spectrum",
]

_DATA = Path(__file__).resolve().parent.parent / "data"
_REPAIR = "Restore it with `git checkout data`, or rebuild it with `make data`."
_REINSTALL = "Install stingray again: pip install --force-reinstall --no-deps stingray"

_SPECTRA = ("nicer_maxi_j1820", "ixpe_swift_j1727")
_RESPONSES = ("nicer", "ixpe", "rxte_pca", "nustar_fpma", "xmm_pn", "swift_xrt")
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

_ASM_URL = (
    "https://raw.githubusercontent.com/ggopalan/XRay-Binary-Classification/"
    "c10284c72340c519c7ae46fcf89f11e2d1307ce9/"
)
_ASM_VARIABLE = "XRAY_TIMING_ASM"
_ASM_TYPES = "LMBH|HMBH|Pulsar|Nonpulsar|Zsource|Atoll|Burster|[Uu]nclass"
# system and type, with or without a blank between them, then date, intensity and two colours
_ASM_LINE = re.compile(rf"\s*(\S+?)\s*({_ASM_TYPES})\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*")

# No file of the course comes near this; a damaged or hostile archive may claim anything.
_LARGEST_ARCHIVE = 100_000_000


class DataError(ValueError):
    """A data file cannot be used: which one, where in it, and what to do about it.

    Args:
        file: the file or folder, or the name that was asked for.
        problem: what is wrong, and at which row, column or field.
        remedy: what the reader can do.
    """

    def __init__(self, file, problem, remedy):
        super().__init__(f"{file}: {problem} {remedy}")


@dataclass(frozen=True, eq=False)
class Spectrum:
    """An observed spectrum: counts in the channels of the response that it names.

    Attributes:
        name: what `load_spectrum` calls it.
        source, telescope, obs_id, date: what was observed, with what, and when.
        response: the name of its response; the channels are those of `load_response(response)`.
        exposure: s.
        channel: (n_channels,) the first original detector channel of each.
        counts: (n_channels,)
        counts_err: (n_channels,) one standard deviation.
        energy_lo, energy_hi: (n_channels,) edges of the channels, nominal keV.
    """

    name: str
    source: str
    telescope: str
    obs_id: str
    date: str
    response: str
    exposure: float
    channel: np.ndarray
    counts: np.ndarray
    counts_err: np.ndarray
    energy_lo: np.ndarray
    energy_hi: np.ndarray

    @property
    def energy(self) -> np.ndarray:
        """(n_channels,) the middle of each channel, nominal keV."""
        return (self.energy_lo + self.energy_hi) / 2

    @property
    def rate(self) -> np.ndarray:
        """(n_channels,) counts/s in each channel."""
        return self.counts / self.exposure

    @property
    def rate_err(self) -> np.ndarray:
        """(n_channels,) one standard deviation of the rate, counts/s."""
        return self.counts_err / self.exposure


def load_spectrum(name: str) -> Spectrum:
    """An observed X-ray spectrum of a black-hole X-ray binary.

    - ``"nicer_maxi_j1820"``: MAXI J1820+070 on 2018-07-03, 96.5 million counts in 5962 s. Channels
      are three of the detector's, 30 eV. The file's history says that two pointings were combined.
      It holds nothing below 0.2 keV. No background was subtracted; Poisson errors.
    - ``"ixpe_swift_j1727"``: Swift J1727.8-1613 on 2023-09-07, Stokes I of detector unit 1, 40 eV.
      Each event is weighted, so counts are no integers and `counts_err` is the file's own.

    Args:
        name: one of the above.

    Returns:
        The spectrum, on the channels of its response.

    Raises:
        DataError: if there is no such spectrum, or its file is missing or damaged.

    Example:
        >>> spectrum = load_spectrum("nicer_maxi_j1820")
        >>> spectrum.source, round(spectrum.rate.sum())
        ('MAXI J1820+070', 16187)
    """
    _choose(name, _SPECTRA, "spectrum")
    return _read_spectrum(_DATA / f"spectrum_{name}.npz", name)


def load_response(name: str) -> "Response":
    """The response of an X-ray detector: what it makes of a photon spectrum.

    - ``"nicer"``: NICER XTI, all detectors together, on axis; calibration of 2020.
    - ``"ixpe"``: one IXPE detector unit, for weighted events; its area below 2.5 keV is tiny, as
      behind the grey filter that very bright sources need.
    - ``"rxte_pca"``: RXTE PCA, its unit PCU 2 alone, for 2000-04-27; all 129 Standard 2 channels.
    - ``"nustar_fpma"``: NuSTAR, focal plane module A.
    - ``"xmm_pn"``: XMM-Newton EPIC pn, Thin 1 filter.
    - ``"swift_xrt"``: Swift XRT in windowed timing mode, grades 0 to 2.

    Channels and energies are grouped well below the resolution; data/README.md gives the price.

    Args:
        name: one of the above.

    Returns:
        The response on the CPU, in float32; `response.to(device, dtype)` moves it.

    Raises:
        DataError: if there is no such response, or its file is missing or damaged.

    Example:
        >>> response = load_response("rxte_pca")
        >>> response.redistribution.shape
        torch.Size([300, 129])
    """
    _choose(name, _RESPONSES, "response")
    return _read_response(_DATA / f"response_{name}.npz")


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


def load_asm(path=None) -> "DataFrame":
    """Intensities and colours of 41 X-ray binaries from the RXTE All-Sky Monitor, with labels.

    The set of Gopalan et al. 2015 (arXiv:1507.03538). Its authors state no licence, so the course
    does not contain it. It is read from, in this order: the folder `path`; the folder that the
    environment variable XRAY_TIMING_ASM names; the cache on this machine, which is filled from
    github.com/ggopalan/XRay-Binary-Classification (4.2 MB; what is there is not fetched again).
    Every file must have the SHA-256 that data/asm_registry.txt holds.

    Nothing is cleaned: labels are spelled as in the files, and what looks wrong in the numbers is
    wrong in the files. Finding it is an exercise.

    Args:
        path: a folder with the subfolders Training, Validation, Burster_Test and Unclass.

    Returns:
        One row per measurement: `system` and `type` as the file spells them, `mjd` [days],
        `intensity`, `colour_1` (3-5 keV / 1.5-3 keV), `colour_2` (5-12 keV / 1.5-3 keV), `folder`
        and `file`.

    Raises:
        DataError: if files are missing, changed or unreadable, or cannot be fetched.
    """
    import pandas as pd

    registry = _asm_registry()
    folder = path or os.environ.get(_ASM_VARIABLE)
    if folder:
        folder = Path(folder)
        _check_asm_folder(folder, registry)
    else:
        folder = _fetch_asm(registry)
    return pd.concat([_read_asm_file(folder / name) for name in registry], ignore_index=True)


def _choose(name, names, kind):
    if name not in list(names):
        remedy = f"Choose from: {', '.join(names)}."
        raise DataError(repr(name), f"there is no such {kind}.", remedy)
    return name


# --- spectra and responses: npz archives in data/ -------------------------------------------------


def _read_archive(path, fields):
    """The arrays of an npz file, which must be exactly the given ones: {name: (kind, ndim)}."""
    if not path.is_file():
        raise DataError(path, "there is no such file.", _REPAIR)
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _LARGEST_ARCHIVE:
                raise ValueError("its content is far too large")
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # a damaged archive can make zipfile and numpy raise nearly anything
        raise DataError(path, f"is damaged ({error}).", _REPAIR) from error
    if arrays.keys() != fields.keys():
        wrong = ", ".join(sorted(arrays.keys() ^ fields.keys()))
        raise DataError(path, f"these fields are missing or unknown: {wrong}.", _REPAIR)
    for name, (kind, ndim) in fields.items():
        if not np.issubdtype(arrays[name].dtype, kind) or arrays[name].ndim != ndim:
            found = f"{arrays[name].ndim}-dimensional {arrays[name].dtype}"
            raise DataError(path, f"{name} is {found}, not {ndim}-d {kind.__name__}.", _REPAIR)
    native = {np.floating: np.float64, np.integer: np.int64, np.str_: np.str_}
    return {name: arrays[name].astype(native[kind]) for name, (kind, _) in fields.items()}


def _check(path, remedy, columns, lowest=-np.inf, increasing=False, repeats=False):
    """Refuse columns {name: values} with a value that is not finite, too low, or out of order."""
    for name, values in columns.items():
        wrong = ~np.isfinite(values) | (values < lowest)
        problem = "must be finite" + ("" if lowest == -np.inf else f" and at least {lowest:g}")
        if increasing and not wrong.any():
            step = np.diff(values)
            wrong[1:] = step < 0 if repeats else step <= 0
            problem = "must not decrease" if repeats else "must increase"
        if np.any(wrong):
            place = np.argwhere(wrong)[0].tolist()
            value = values[tuple(place)]
            raise DataError(path, f"{name}{place or ''} is {value}: it {problem}.", remedy)


def _check_lengths(path, remedy, columns):
    """Refuse columns that are empty or differ in length."""
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) != 1 or 0 in lengths.values():
        raise DataError(path, f"its columns are empty or differ in length: {lengths}.", remedy)


def _check_bins(path, remedy, name, lo, hi):
    """Refuse bins that are not in order or overlap."""
    _check(path, remedy, {f"{name}_lo": lo, f"{name}_hi": hi}, lowest=0, increasing=True)
    _check(path, remedy, {f"{name}_hi - {name}_lo": hi - lo}, lowest=np.finfo(np.float32).tiny)
    _check(path, remedy, {f"{name}_lo[1:] - {name}_hi[:-1]": lo[1:] - hi[:-1]}, lowest=-1e-6)


_SPECTRUM_FIELDS = {
    **dict.fromkeys(("source", "telescope", "obs_id", "date", "response"), (np.str_, 0)),
    "exposure": (np.floating, 0),
    "channel": (np.integer, 1),
    **dict.fromkeys(("counts", "counts_err", "energy_lo", "energy_hi"), (np.floating, 1)),
}
_RESPONSE_FIELDS = {
    **dict.fromkeys(("energy_lo", "energy_hi", "effective_area"), (np.floating, 1)),
    "redistribution": (np.floating, 2),
    **dict.fromkeys(("channel_lo", "channel_hi"), (np.floating, 1)),
}


def _read_spectrum(path, name):
    fields = _read_archive(path, _SPECTRUM_FIELDS)
    columns = {key: value for key, value in fields.items() if value.ndim == 1}
    _check_lengths(path, _REPAIR, columns)
    _check(path, _REPAIR, {"exposure": fields["exposure"]}, lowest=np.finfo(np.float32).tiny)
    _check(path, _REPAIR, {key: columns[key] for key in ("counts", "counts_err")}, lowest=0)
    _check(path, _REPAIR, {"channel": columns["channel"]}, lowest=0, increasing=True)
    _check_bins(path, _REPAIR, "energy", columns["energy_lo"], columns["energy_hi"])
    scalars = {key: value.item() for key, value in fields.items() if value.ndim == 0}
    return Spectrum(name=name, **scalars, **columns)


def _read_response(path):
    fields = _read_archive(path, _RESPONSE_FIELDS)
    with np.errstate(over="ignore"):  # what is too large for a float32 is found below
        fields = {name: values.astype(np.float32) for name, values in fields.items()}
    matrix = fields["redistribution"]
    energies = {k: fields[k] for k in ("energy_lo", "energy_hi", "effective_area")}
    channels = {k: fields[k] for k in ("channel_lo", "channel_hi")}
    _check_lengths(path, _REPAIR, {**energies, "redistribution": matrix})
    _check_lengths(path, _REPAIR, {**channels, "redistribution, across": matrix.T})
    _check_bins(path, _REPAIR, "energy", fields["energy_lo"], fields["energy_hi"])
    _check_bins(path, _REPAIR, "channel", fields["channel_lo"], fields["channel_hi"])
    _check(path, _REPAIR, {k: fields[k] for k in ("effective_area", "redistribution")}, lowest=0)
    lost = 1 - matrix.sum(axis=1, dtype=np.float64)
    _check(path, _REPAIR, {"1 - sum of redistribution": lost}, lowest=-1e-3)

    import torch

    from helpers.spectra import Response

    return Response(**{name: torch.from_numpy(values) for name, values in fields.items()})


# --- events and light curves: FITS and text files that stingray installs --------------------------


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


def _table(columns, **attrs):
    import pandas as pd

    table = pd.DataFrame(columns)
    table.attrs.update(attrs)
    return table


# --- the RXTE/ASM set: fetched from its public home, or read from a folder ------------------------

_ASM_REMEDY = (
    "Go online and call load_asm() again: it fetches only what is missing. Or get the files from "
    "https://github.com/ggopalan/XRay-Binary-Classification elsewhere, and name their folder in "
    f"load_asm(path) or in the environment variable {_ASM_VARIABLE}."
)


def _asm_registry(path=_DATA / "asm_registry.txt"):
    """{file: "sha256:..."} of the set."""
    try:
        lines = path.read_text("ascii").splitlines()
        return dict(line.split() for line in lines if not line.startswith("#"))
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read ({error}).", _REPAIR) from error


def _asm_faults(folder, registry):
    """{file: fault} for the files of the set that are not as they should be in the folder."""
    faults = {}
    for name, digest in registry.items():
        try:
            found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        except OSError:
            faults[name] = "missing"
        else:
            if digest != f"sha256:{found}":
                faults[name] = "changed"
    return faults


def _check_asm_folder(folder, registry):
    faults = _asm_faults(folder, registry)
    if faults:
        listed = ", ".join(f"{name} ({fault})" for name, fault in faults.items())
        problem = f"{len(faults)} of the {len(registry)} files are not right: {listed}."
        raise DataError(folder, problem, _ASM_REMEDY)


def _fetch_asm(registry):
    """The cache folder, once every file of the set is in it and found to be right."""
    import pooch
    from tqdm.auto import tqdm

    folder = pooch.os_cache("ml-xray-spectral-timing") / "asm"
    cache = pooch.create(folder, _ASM_URL, registry=registry)
    faults = _asm_faults(cache.path, registry)
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")  # the bar says enough
    try:
        for name in tqdm(faults, desc="RXTE/ASM", unit="file", disable=not faults):
            # pooch writes to a temporary file and moves it into place when its SHA-256 is right
            cache.fetch(name, downloader=pooch.HTTPDownloader(timeout=30))
    except Exception as error:  # no network, a broken server or proxy, a full or read-only disk
        have = len(registry) - len(_asm_faults(cache.path, registry))
        problem = f"could not be fetched ({error}); {have} of {len(registry)} are in {cache.path}."
        raise DataError(_ASM_URL + name, problem, _ASM_REMEDY) from error
    finally:
        logger.setLevel(level)
    return cache.path


def _read_asm_file(path):
    import pandas as pd

    rows = []
    try:
        lines = path.read_text("ascii").splitlines()
    except (OSError, ValueError) as error:
        raise DataError(path, f"cannot be read ({error}).", _ASM_REMEDY) from error
    for number, line in enumerate(lines, start=1):
        try:
            system, label, *values = _ASM_LINE.fullmatch(line).groups()
            values = [float(value) for value in values]
            if not np.isfinite(values).all():
                raise ValueError
        except (AttributeError, ValueError):
            problem = f"line {number} is {line!r}, not a system, a type, a date and three numbers."
            raise DataError(path, problem, _ASM_REMEDY) from None
        rows.append((system, label, *values, path.parent.name, path.name))
    names = ("system", "type", "mjd", "intensity", "colour_1", "colour_2", "folder", "file")
    return pd.DataFrame(rows, columns=names)
