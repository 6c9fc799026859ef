"""Load the course's data, observed and simulated; each file is verified before it is read.

Spectra, responses and the simulated archive are in the course's folder data/, with the SHA-256 of each
file in SHA256SUMS; events and light curves come with stingray. data/README.md gives the origin of all
data. A `DataError` says what to do if a name does not exist, or a file is missing or changed.
"""

# Packages that are slow to import are imported in the functions that need them.
import hashlib
import io
import math
import warnings
from importlib.util import find_spec
from numbers import Real
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np

from helpers.arguments import labels

if TYPE_CHECKING:
    from pandas import DataFrame
    from stingray import EventList

    from helpers.spectra import Response

__all__ = [
    "FOLDER", "AlreadyOpenedError", "DataError", "deal_sources", "load_events", "load_light_curve",
    "load_observations", "load_response", "load_segments", "load_spectrum", "load_split",
    "load_truth", "open_test_set", "read_file",
]  # fmt: skip

FOLDER = Path(__file__).resolve().parents[1] / "data"

_WORDS = (
    *("obs_id", "source_id", "outburst_id", "filed_under", "instrument", "label_trust", "outlier"),
    *("state", "state_label", "object", "object_label", "outburst_kind", "qpo_type"),
)
# Columns of both tables that are not floats.
_OTHER_TYPES = {"n_det": int, "qpo_det": bool, **dict.fromkeys(_WORDS, str)}

# Events and light curves that stingray installs: file names, and below their SHA-256.
_FILES = {
    "chandra_m82": "tests/data/chandra_test.fits",
    "rxte_4u1636": "tests/data/xte_test.evt.gz",
    "rxte_m82": "tests/data/xte_gx_test.evt.gz",
    "astrosat_crab": "tests/data/laxpc_file_read.fits",
    "erosita": "tests/data/LightCurve_bexvar.fits",
    "sample": "datasets/lc_sample.txt",
}
_SHA256 = {
    "chandra_m82": "9d2b1cb26d5d53a68a6e6dc5df005ab924e4dccb239cc3d2343b18750ab399b9",
    "rxte_4u1636": "0b04b9b4b071a3c087e3a677eee8ff8160e91427ebdc93a3393f650e48be4335",
    "rxte_m82": "34fe9cbfe71bf89b5bec24e93adc113557c3a09349e90f51476beb8a24bfbf6d",
    "astrosat_crab": "c8b71a5caf767852d31cadec887d6cc70d63344d6fcf598ba7fd7d77553d9fe4",
    "erosita": "1c7f44af48aff9d0fcda45b0250df6414bf23bde38420e365bd5f78831d1f924",
    "sample": "49d92cf74b41447b5fd3a7421bd32d0a7635a31a35b28bc169a202832331c9ff",
}

_REPAIR = "Restore it with `git checkout data`, or rebuild it with `make data`."
_REINSTALL = (
    "Install stingray again, as the course was tested with it: "
    "pip install --force-reinstall --no-deps --constraint constraints.txt stingray"
)

# The splitter places the largest sources first, so that the last two folds have the most sources.
# The error of a score depends on the number of sources: these two are for validation and test.
_FOLDS, _VALIDATION, _TEST = 5, 3, 4

_opened = None  # expectation that was stated when this process opened the test set


class DataError(ValueError):
    """A data file cannot be used; the message names the file, the problem and the remedy."""

    def __str__(self):
        return "{}: {} {}".format(*self.args)


class AlreadyOpenedError(Exception):
    """The test set was requested for a second time."""


def load_observations(name: str) -> "DataFrame":
    """Load simulated measurements of two telescopes, from thousands of pointings at X-ray binaries.

    - ``"rxte"``: 6000 pointings of RXTE's PCA.
    - ``"nicer"``: 1000 pointings of NICER, years later, some of them at new sources.
    - ``"first"``: 300 rows of ``"rxte"`` drawn at random, for the first lessons.
    - ``"another_sky"``, ``"another_sky_sealed"``: for the exam, 1691 pointings of RXTE at 32 sources
      of another sky, and 709 at 16 more, without labels and `label_trust`.

    Sources and labels are invented, responses are real; data/README.md says how they were simulated.
    The archive has flaws, as real archives have. Nothing is cleaned: finding the flaws is an exercise.
    Values that could not be measured are NaN; data/columns.csv says why.

    Returns:
        One row per pointing, in order of time. Names and labels are strings, `n_det` is int, `qpo_det`
        bool, all other columns float. `attrs` has "units" and "meaning" of the columns.

    Example:
        >>> table = load_observations("first")
        >>> len(table), table.attrs["units"]["rate"], table.attrs["meaning"]["kt_in"]
        (300, '1/s', 'inner temperature of the fitted disc')
    """
    names = ("rxte", "nicer", "first", "another_sky", "another_sky_sealed")
    _choose(name, names, "table of observations")
    return _read_table(f"observations_{name}.csv", "observations")


def load_truth() -> "DataFrame":
    """Load the true properties of the pointings of `load_observations`: answers, not data.

    Use this table to check afterwards how well a method works. Never train on it, and choose no method
    by it: real archives have no such table, and a user who has looked at it is no longer blind.

    Returns:
        One row per pointing of RXTE, then of NICER; `obs_id` identifies the observation. Types and
        `attrs` are those of `load_observations`. `filed_under`, `outlier` and `qpo_type` are "" where
        they do not apply; numbers that do not exist are NaN.

    Example:
        >>> truth = load_truth()
        >>> len(truth), sorted(set(truth.qpo_type))
        (7000, ['', 'A', 'B', 'C'])
    """
    return _read_table("observations_truth.csv", "truth")


def load_segments() -> SimpleNamespace:
    """Load 2000 short light curves with their power spectra, cut from pointings of the simulated RXTE.

    Each segment lasts 128 s in bins of 0.25 s. Each chosen pointing gives five segments, and each of
    them overlaps the next by half: a random split into training and test data puts the same photons
    on both sides, so split by source. The power spectra are those of the same segments in bins of
    1/128 s, from 1/128 to 64 Hz, averaged over logarithmic bins of frequency.

    Returns:
        The arrays of the file as attributes, one row per segment:

        - obs_id: (n,) the pointing that the segment was cut from.
        - source_id, state_label, object_label: (n,) of this pointing in `load_observations("rxte")`.
        - start: (n,) seconds after the start of the pointing.
        - counts: (n, n_bins) whole numbers, background included.
        - power: (n, n_frequencies) (rms/mean of the source)^2/Hz, Poisson noise included.
        - noise: (n,) the level of the Poisson noise, in the same unit.
        - frequency: (n_frequencies,) Hz, the middle of each bin of frequencies.
        - n_averaged: (n_frequencies,) number of frequencies that were averaged in each bin.
        - bin_size: s, of `counts`. length: s, of a segment.

    Example:
        >>> segments = load_segments()
        >>> segments.counts.shape, segments.bin_size
        ((2000, 512), 0.25)
    """
    return SimpleNamespace(**_read_arrays("light_curves.npz"))


def load_spectrum(name: str) -> SimpleNamespace:
    """Load an observed X-ray spectrum of a black-hole X-ray binary.

    - ``"nicer_maxi_j1820"``: MAXI J1820+070 on 2018-07-03, 96.5 million counts in 5962 s. A channel
      combines three of the detector's, 30 eV. The file's history says that two pointings were combined.
      It has no data below 0.2 keV. No background was subtracted; errors are Poisson errors.
    - ``"ixpe_swift_j1727"``: Swift J1727.8-1613 on 2023-09-07, Stokes I of detector unit 1, 40 eV.
      Each event has a weight, so counts are not integers, and `counts_err` is from the file.

    Returns:
        The contents of the file, as attributes:

        - name, source, telescope, obs_id, date: strings that describe the observation.
        - response: the name of its response; the channels are those of `load_response(response)`.
        - exposure: s.
        - channel: (n_channels,) the first original detector channel in each channel.
        - counts, counts_err: (n_channels,) counts, and their standard deviation.
        - energy_lo, energy_hi: (n_channels,) edges of the channels, nominal keV.

    Example:
        >>> spectrum = load_spectrum("nicer_maxi_j1820")
        >>> spectrum.source, round(spectrum.counts.sum() / spectrum.exposure)
        ('MAXI J1820+070', 16187)
    """
    _choose(name, ("nicer_maxi_j1820", "ixpe_swift_j1727"), "spectrum")
    return SimpleNamespace(name=name, **_read_arrays(f"spectrum_{name}.npz"))


def load_response(name: str) -> "Response":
    """Load the response of an X-ray detector, which turns a photon spectrum into count rates.

    - ``"nicer"``: NICER XTI, all detectors together, on axis; calibration of 2020.
    - ``"ixpe"``: one IXPE detector unit, for weighted events; its area below 2.5 keV is tiny, as
      with the grey filter that very bright sources need.
    - ``"rxte_pca"``: RXTE PCA, the unit PCU 2 only, for 2000-04-27; all 129 Standard 2 channels.
    - ``"nustar_fpma"``: NuSTAR, focal plane module A.
    - ``"xmm_pn"``: XMM-Newton EPIC pn, Thin 1 filter.
    - ``"swift_xrt"``: Swift XRT in windowed timing mode, grades 0 to 2.

    Channels and energies are grouped to bins much narrower than the resolution; data/README.md gives
    the errors. Tensors are float32 on the CPU; `response.to(device, dtype)` moves them.

    Example:
        >>> response = load_response("rxte_pca")
        >>> response.redistribution.shape
        torch.Size([300, 129])
    """
    names = ("nicer", "ixpe", "rxte_pca", "nustar_fpma", "xmm_pn", "swift_xrt")
    _choose(name, names, "response")
    import torch

    from helpers.spectra import Response

    arrays = _read_arrays(f"response_{name}.npz")
    return Response(**{k: torch.from_numpy(v.astype(np.float32)) for k, v in arrays.items()})


def load_events(name: str) -> "EventList":
    """Load an event list (times, energies and more of photons) from stingray's test data.

    Events are sorted by `time` [s after `mjdref`]; good time is `gti` [s], and `energy` is in keV.

    - ``"chandra_m82"``: Chandra ACIS, the galaxy M82 (ObsID 10027, 2008-10-04): 4612 events in
      945 s, with `x` and `y` on the sky [pixels of 0.492 arcsec] and `grade`. Times count whole
      frames of `dt` = 0.44104 s. `t_start`, `t_stop` and the header's EXPOSURE are those of the
      whole observation, of which this is a part: for a rate divide by the good time.
    - ``"rxte_4u1636"``: RXTE PCA, the neutron star 4U 1636-53 (ObsID 93087-01-02-11, 2008-01-13),
      PCU 2 and 4. The file has 1000 events in 1229 s. A PCA sees hundreds per second, so events were
      removed, and neither the rate nor the dead time can be used.
    - ``"rxte_m82"``: RXTE PCA, M82 again (2009-12-18), in Good Xenon mode (every event, 1 µs),
      PCU 2: 3518 events in 102 s. The PCA makes no image, and most events are background.
    - ``"astrosat_crab"``: AstroSat LAXPC, the Crab (2022-08-25): 1000 events, cut from an observation:
      453 of detector 1 in 0.67 s, 547 of detector 2 in the last 0.19 s of these. The clock has steps
      of `dt` = 10 µs. The file has no good times: `gti` is that of the whole observation.

    `detector_id` is the PCU of RXTE events. Their energies are from stingray's nominal table for epoch
    and PCU, with errors of a few per cent. Some lie after good time: `apply_gtis()` removes them.

    Example:
        >>> events = load_events("chandra_m82")
        >>> len(events.time), sorted(set(events.grade.tolist()))
        (4612, [0, 2, 3, 4, 6])
    """
    names = ("chandra_m82", "rxte_4u1636", "rxte_m82", "astrosat_crab")
    path = _stingray_file(name, names, "event list")

    from helpers.observations import read_events

    with warnings.catch_warnings():
        # The warnings: no good times, or data that were changed after their DATASUM was written.
        warnings.simplefilter("ignore")
        return read_events(path)


def load_light_curve(name: str) -> "DataFrame":
    """Load a light curve, one row per bin, from the data that stingray installs.

    - ``"erosita"``: one source in the eROSITA field 300007 in November 2019; the file does not name
      it. It was in view in 24 of the 3740 bins of 100 s; the table has one row for each of these.
      Columns, with k = 1, 2, 3 for the bands 0.2-5, 0.2-2.3 and 2.3-5 keV: `time` [s after
      MJD 51543.875] (middle of the bin), `width` [s], `counts_k`, `background_k` (counts expected
      in the source region) and `exposure_k` [s] (effective exposure after vignetting). Beware of
      rates from bins with very short exposures: 17 bins have more than 10 s in band 1. Bands 2 and 3
      do not add up to band 1 (2653 counts against 2688), so their events differ.
    - ``"sample"``: `time` [s] and `rate` [1/s] of 22143 bins of 0.125 s without a gap. The file
      does not name source or telescope. Two things can be inferred: rate x 0.125 s x 5 is an integer,
      as for an average over five detectors; and the time stamps, if they are seconds of the RXTE
      mission, are of 1997-07-07.

    `attrs["units"]` holds the unit of each column.

    Example:
        >>> load_light_curve("sample").rate.mean().round(1)
        np.float64(2378.4)
    """
    import pandas as pd

    path = _stingray_file(name, ("erosita", "sample"), "light curve")
    if name == "erosita":
        return _read_erosita(path)
    table = pd.DataFrame(np.loadtxt(path), columns=["time", "rate"])
    table.attrs["units"] = {"time": "s", "rate": "1/s"}
    return table


def deal_sources(groups, label, k, seed) -> "list[tuple[np.ndarray, np.ndarray]]":
    """Divide rows into k folds of whole sources, with each kind of source distributed evenly.

    The list of sources is stratified, not that of the rows, so that each seed gives another deal.
    (`StratifiedGroupKFold` balances rows: with a few large sources all seeds give the same folds.)

    Args:
        groups: (n,) the source of each row, none missing.
        label: (n,) the kind of its source, none missing, and the same in all rows of a source.
        k: the number of folds, at most the number of sources of each kind.
        seed: integer seed of the shuffling.

    Returns:
        k pairs of arrays: positions of the training rows, and of the held-out rows of each fold.

    Example:
        >>> groups, label = np.array(["A", "B", "B", "C", "D"]), np.array([1, 1, 1, 0, 0])
        >>> for inside, outside in deal_sources(groups, label, 2, seed=0):
        ...     print(groups[inside], groups[outside])
        ['A' 'D'] ['B' 'B' 'C']
        ['B' 'B' 'C'] ['A' 'D']
    """
    from sklearn.model_selection import StratifiedKFold

    groups, label = labels("groups", groups), labels("label", label)
    names, first, which = np.unique(groups, return_index=True, return_inverse=True)
    if (label != label[first][which]).any():
        raise ValueError("label must be one per source: the rows of some source have two.")
    cutter = StratifiedKFold(k, shuffle=True, random_state=seed)
    held = [np.isin(which, out) for _, out in cutter.split(names, label[first])]
    return [(np.flatnonzero(~out), np.flatnonzero(out)) for out in held]


def load_split() -> "tuple[DataFrame, DataFrame]":
    """Load the training and the validation set of the RXTE archive; lessons 04 to 11 use no other rows.

    No source is in two parts. The archive is divided by `sklearn.model_selection.StratifiedGroupKFold`
    into five folds of about equal numbers of pointings of each object in each state. Three are for
    training, one for validation, and one is the test set, which only `open_test_set` returns.
    Rows and `attrs` are those of `load_observations("rxte")`.

    Example:
        >>> train, validation = load_split()
        >>> len(train), len(validation), set(train.source_id) & set(validation.source_id)
        (3875, 1067, set())
    """
    table, fold = _folds()
    train, validation = table[fold < _VALIDATION], table[fold == _VALIDATION]
    return train.reset_index(drop=True), validation.reset_index(drop=True)


def open_test_set(*, model: str, metric: str, expected: float) -> "DataFrame":
    """Load the test set, once: no model or feature of the course was chosen with its sources.

    A test set measures how well a *finished* choice works on sources that had no part in it. If you
    look, change something and look again, it becomes a validation set: say first what you are about
    to measure. Rows are as in `load_split`. The lock lasts as long as this Python process. It is a
    promise, not a protection, because the rows are in data/.

    Args:
        model, metric: the final model, and the metric by which it will be judged, in words.
        expected: the value of the metric that you expect, a finite number.

    Raises:
        AlreadyOpenedError: if it was opened before; the message repeats the first expectation.

    Example:
        >>> test = open_test_set(model="always BH", metric="accuracy", expected=0.4)
        >>> len(test), test.source_id.nunique()
        (1058, 11)
        >>> open_test_set(model="always NS", metric="accuracy", expected=0.6)
        Traceback (most recent call last):
        helpers.data.AlreadyOpenedError: You opened the test set for "always BH", and expected
        accuracy = 0.4. A second look would make it a validation set: report that first score.
    """
    global _opened
    for name, words in (("model", model), ("metric", metric)):
        if not isinstance(words, str) or not words.strip():
            raise ValueError(f"{name} is {words!r}: say in words what it is before you look.")
    if not isinstance(expected, Real) or not math.isfinite(expected):
        raise ValueError(f"expected is {expected!r}: write a number down before you look.")
    if _opened:
        raise AlreadyOpenedError(
            f"You opened the test set for {_opened}. A second look would make it a validation "
            "set: report that first score."
        )
    table, fold = _folds()
    _opened = f'"{model}", and expected {metric} = {expected:g}'
    return table[fold == _TEST].reset_index(drop=True)


def read_file(name: str) -> bytes:
    """Read the bytes of a file in data/, and verify its SHA-256 against data/SHA256SUMS.

    Raises:
        DataError: if the file or SHA256SUMS is missing, unreadable or changed.

    Example:
        >>> read_file("columns.csv").splitlines()[0]
        b'table,column,unit,meaning,missing'
    """
    sums = FOLDER / "SHA256SUMS"
    lines = _read_bytes(sums, _REPAIR).decode(errors="replace").splitlines()
    digests = [line.split()[0] for line in lines if line.split()[1:] == [name]]
    if len(digests) != 1:
        raise DataError(sums, f"holds no SHA-256 of {name}.", _REPAIR)
    return _read_bytes(FOLDER / name, _REPAIR, digests[0])


def _read_bytes(path, remedy, digest=None):
    """Return the content of a file, verified if its SHA-256 is given."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(path, "there is no such file.", remedy) from None
    except OSError as error:
        raise DataError(path, f"cannot be read ({error}).", remedy) from error
    if digest and hashlib.sha256(content).hexdigest() != digest:
        raise DataError(path, "was changed: its SHA-256 is not what it should be.", remedy)
    return content


def _choose(name, names, kind):
    if name not in list(names):
        remedy = f"Choose from: {', '.join(names)}."
        raise DataError(repr(name), f"there is no such {kind}.", remedy)


def _read_table(file, kind):
    """Read a table of the archive; data/columns.csv describes its columns."""
    import pandas as pd

    dictionary = pd.read_csv(io.BytesIO(read_file("columns.csv")), keep_default_na=False)
    dictionary = dictionary[dictionary.table == kind].set_index("column")
    types = {name: _OTHER_TYPES.get(name, float) for name in dictionary.index}
    # An empty string stays "", an empty number becomes NaN.
    missing = {name: [""] for name, its_type in types.items() if its_type is float}
    rows = io.BytesIO(read_file(file))
    table = pd.read_csv(rows, dtype=types, keep_default_na=False, na_values=missing)
    own = dictionary.loc[list(table)]  # sealed pointings have no labels
    table.attrs.update(units=own.unit.to_dict(), meaning=own.meaning.to_dict())
    return table


def _read_arrays(file):
    """Return {name: array} of an npz file, in native byte order; single values as Python's types."""
    with np.load(io.BytesIO(read_file(file))) as archive:
        arrays = {name: _native(values) for name, values in archive.items()}
    return {name: values if values.ndim else values.item() for name, values in arrays.items()}


def _native(values):
    """Return numbers in a native type and byte order that torch accepts."""
    types = {"f": np.float64, "i": np.int64, "u": np.int64}
    return np.asarray(values).astype(types.get(values.dtype.kind, values.dtype))


def _stingray_file(name, names, kind):
    """Return the verified path of a file of stingray, without importing stingray."""
    _choose(name, names, kind)
    found = find_spec("stingray")
    if found is None:
        raise DataError("stingray", "the package is not installed.", "pip install stingray")
    path = Path(found.origin).parent / _FILES[name]
    _read_bytes(path, _REINSTALL, _SHA256[name])
    return path


def _read_erosita(path):
    import pandas as pd
    from astropy.io import fits

    names = ("TIME", "TIMEDEL", "COUNTS", "BACK_COUNTS", "BACKRATIO", "FRACEXP")
    rows = fits.getdata(path, "RATE")
    rows = rows[(rows["FRACEXP"] > 0).all(axis=1)]  # elsewhere the other columns hold no numbers
    time, width, counts, background, ratio, share = (_native(rows[name]) for name in names)
    table = pd.DataFrame({"time": time, "width": width})
    for k in (1, 2, 3):
        table[f"counts_{k}"] = counts[:, k - 1]
        table[f"background_{k}"] = background[:, k - 1] * ratio
        table[f"exposure_{k}"] = share[:, k - 1] * width
    counted = ("counts", "background")
    table.attrs["units"] = {name: "counts" if name.startswith(counted) else "s" for name in table}
    return table


def _folds():
    """Return the RXTE archive, and the number of the fold of each row."""
    from sklearn.model_selection import StratifiedGroupKFold

    table = load_observations("rxte")
    kind = table.object_label + table.state_label
    fold = np.empty(len(table), dtype=int)
    folds = StratifiedGroupKFold(_FOLDS).split(table, kind, groups=table.source_id)
    for number, (_, held_out) in enumerate(folds):
        fold[held_out] = number
    return table, fold
