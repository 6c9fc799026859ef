"""Read a user's own FITS files from observatories: event lists, spectra and responses.

The formats are those of the OGIP: memo OGIP/92-007 for spectra (PHA), CAL/GEN/92-002 for responses
(RMF, RSP, ARF), OGIP/93-003 for times. docs/own_observation.md has recipes, and a list of tested
files. A `DataError` names file, extension, column and remedy; a warning states an assumption.
"""

import re
import warnings
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import torch
from astropy.io import fits

from helpers.arguments import numbers
from helpers.data import DataError
from helpers.spectra import Response

if TYPE_CHECKING:
    from stingray import EventList

__all__ = ["common_gti", "live_time", "read_events", "read_response", "read_spectrum"]

_AGAIN = "Get the file again from its archive, or make it again."
_SET = "Correct it: astropy.io.fits.setval(path, keyword, value=..., ext=...)."
# Units as spelled in files, in upper or lower case, in s, keV and cm^2; no unit means these.
_SECONDS = {"s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "d": 86400, "ms": 1e-3}
_KEV = {"kev": 1, "ev": 1e-3, "mev": 1e3, "gev": 1e6}
_CM2 = {"cm**2": 1, "cm2": 1, "cm^2": 1, "m**2": 1e4, "m2": 1e4, "m^2": 1e4}
_COUNT = r"(counts?|cts?|photons?)"
_RATE = _COUNT + r"(/s(ec)?|[.*]?s(\*\*|\^)?\(?-1\)?)"
_DAY = 86400.0
_MAX_BYTES = 4e9  # largest size of a dense matrix


def read_events(path) -> "EventList":
    """Read an event file (times, energies and more of photons) into a `stingray.EventList`.

    It reads files of NuSTAR, NICER, XMM, Chandra, Swift, RXTE (science events), AstroSat, IXPE and
    others that follow the standard. Times are TIME + TIMEZERO, in the middle of the bin TIMEDEL if
    TIMEPIXR is given. Good time is the intersection of all GTI extensions that stingray's table names
    for the mission (for Chandra and XMM, of the CCDs in the file). Events outside it are kept:
    `events.apply_gtis()` removes them. Energies are from the column ENERGY, or from PI channels on
    stingray's nominal scale; `events.convert_pi_to_energy("response.rmf")` gives better ones.

    Returns:
        Events sorted by time, in float64 and int64:

        - time: (n,) s after `mjdref`, a date MJD in the system `timesys`.
        - gti: (n_intervals, 2) s, ascending and separate.
        - energy: (n,) keV, NaN where unknown; None, with a warning, if there is no scale.
        - pi, detector_id: (n,) channels; CCD, PCU or module. None if the file has none.
        - prior, x, y, grade, pattern: (n,) columns of these names, if they exist. `prior` [s] is
          NuSTAR's live time since the previous event; its sum is the live time.
        - mission, instr, t_start, t_stop, dt (TIMEDEL, s), timesys, timeref, ephem, header.

    Raises:
        DataError: if the file is no event list, is damaged, or does not define its times.

    Example:
        >>> import stingray
        >>> events = read_events(Path(stingray.__file__).parent / "tests/data/monol_testA.evt")
        >>> events.mission, events.ncounts, events.gti.tolist()
        ('nustar', 1000, [[80000000.0, 80001025.0]])
    """
    from stingray import EventList
    from stingray.io import get_key_from_mission_info
    from stingray.mission_support import read_mission_info

    tables = _tables(path)
    table = _event_table(tables)
    keys = ("MISSION", "TELESCOP", "INSTRUME", "TIMESYS", "TIMEREF", "PLEPHEM")
    told = {key: table.word(key, everywhere=True) for key in keys}
    mission, instr = (told["MISSION"] or told["TELESCOP"]).lower(), told["INSTRUME"]
    mission = "axaf" if mission == "chandra" else mission  # the name in stingray and most headers
    known = read_mission_info(mission) if mission else {}
    defaults = {"ecol": "PI", "ccol": "NONE", "gti": "GTI,STDGTI"}
    names = (get_key_from_mission_info(known, *key, instr or None) for key in defaults.items())
    ecol, ccol, gti_names = (str(name).upper() for name in names)
    time = table.times("TIME")
    table.need(len(time), "has no rows: there are no events.", "Select events anew.", "TIME")
    problem = f"{(~np.isfinite(time)).sum()} of {len(time)} events have no time."
    table.need(np.isfinite(time), problem, "Leave them out of the file.", "TIME")
    step, mjdref = table.number("TIMEDEL", 0.0, table.unit_of_time), table.mjdref()
    zero = np.longdouble(table.split("TIMEZERO", 0.0, scale=table.unit_of_time))
    zero += (0.5 - table.number("TIMEPIXR", 0.5)) * step
    limits = [table.split(key, None, scale=table.unit_of_time) for key in ("TSTART", "TSTOP")]
    limits = [None if limit is None else float(limit + zero) for limit in limits]
    time = (time.astype(np.longdouble) + zero).astype(float)
    arrays = {name: table.optional(name) for name in ("PRIOR", "X", "Y", "GRADE", "PATTERN")}
    usual = arrays["PRIOR"] is None or np.isfinite(arrays["PRIOR"])
    table.need(usual, "holds live times that are no numbers.", _AGAIN, "PRIOR")
    ccd, arrays["detector_id"] = table.optional(ccol), table.optional(ccol, "DET_ID")
    arrays["pi"] = table.optional(ecol if ecol != "ENERGY" else "PI", "PI", "PHA", "CHANNEL")
    start = time.min() if limits[0] is None else limits[0]
    arrays["energy"] = _energies(table, arrays, mission, instr.lower(), start / _DAY + mjdref)
    gti = _good_times(table, tables, gti_names.split(","), ccd, limits, mjdref)
    _check_times(table, time, gti, limits)
    order = np.argsort(time, kind="stable")
    events = EventList(time[order], gti=gti, mjdref=mjdref, dt=step, mission=mission, instr=instr)
    events.t_start, events.t_stop = limits
    events.header = table.hdu.header.tostring()
    events.timesys, events.timeref = (told[k].lower() or None for k in ("TIMESYS", "TIMEREF"))
    events.ephem = told["PLEPHEM"].lower().removeprefix("jpl-") or None
    for name, values in arrays.items():
        if values is not None:
            setattr(events, name.lower(), values[order])
    return events


def common_gti(*gtis) -> np.ndarray:
    """Intersect several lists of good time intervals (n, 2), s.

    stingray.gti.cross_gtis (2.3.2) gives too much if one list's interval ends where another's begins.

    Example:
        >>> common_gti([[0, 10], [20, 30]], [[5, 20], [25, 40]]).tolist()
        [[5, 10], [25, 30]]
    """
    edges, lists = np.unique(np.concatenate(gtis)), [np.asarray(gti) for gti in gtis]
    middle = (edges[1:, None] + edges[:-1, None]) / 2
    good = [((t[:, 0] < middle) & (middle < t[:, 1])).any(axis=1) for t in lists]
    change = np.diff(np.all(good, axis=0), prepend=False, append=False)
    return edges[np.flatnonzero(change)].reshape(-1, 2)


def live_time(edges, times, prior) -> np.ndarray:
    """Compute live time (n_bins,), s, between edges (n_bins + 1,), from `prior` (n,) s at `times` (n,).

    The detector is assumed to be live in [t - prior, t]. Vetoes in between, such as NuSTAR's, are correct
    in the sum but not in their place. Time after the last event is unknown and counts as dead. Use all
    events, and select bands and regions afterwards.

    Example:
        Events at 1 and 2 s, with 0.4 s of dead time after the first:

        >>> live_time([0, 1, 1.5, 2, 3], times=[1.0, 2.0], prior=[1.0, 0.6]).round(3).tolist()
        [1.0, 0.1, 0.5, 0.0]
    """
    edges, times, prior = numbers("edges", edges), numbers("times", times), numbers("prior", prior)
    start, total = times - prior, np.cumsum(prior)
    if not len(times) or (prior < 0).any() or (start[1:] < times[:-1] - 1e-5).any():
        raise ValueError(
            "prior must be 0 or more seconds, and reach back no further than the event before: give "
            "one or more events, sorted by time, with the column PRIOR of the same events."
        )
    knots = np.stack([start, times], axis=1).ravel()
    live = np.stack([total - prior, total], axis=1).ravel()
    return np.diff(np.interp(edges, np.maximum.accumulate(knots), live))


def read_spectrum(path) -> SimpleNamespace:
    """Read counts per channel: one spectrum (PHA type I), or several in one table (type II).

    Nothing is subtracted, grouped or left out; what the file says about this is returned, too.

    Reference: Arnaud, George & Tennant, memo OGIP/92-007.

    Returns:
        The contents of the file as attributes; for type II all numbers except `channel` have another
        first dimension (n_spectra,). docs/own_observation.md subtracts, groups and folds.

        - source, telescope, instrument, obs_id, date: strings, "" if the file has none.
        - exposure: s.
        - channel: (n_channels,) numbers of the channels, as `read_response` takes them.
        - counts, counts_err: (n_channels,) with one standard deviation; rates are multiplied by the
          exposure. Errors are sqrt(counts) if POISSERR says so, or if counts have no errors.
        - sys_err: (n_channels,) systematic error, as a share of the counts.
        - quality: (n_channels,) 0 is good. grouping: (n_channels,) -1 continues a group.
        - areascal, backscal: (n_channels,) scale factors of the area and of the background.
        - background_file, response_file, area_file: paths from the header, relative to the folder of
          the spectrum, or None; a list if the spectra of type II differ.

    Raises:
        DataError: if the file has no spectrum, or several extensions with spectra, or is damaged.
    """
    tables = _tables(path)
    found = _with(tables, "COUNTS", "RATE")
    found = [t for t in found if "SPECTRUM" in (t.word("HDUCLAS1") + t.hdu.name).upper()]
    table = _only(tables, "spectrum (COUNTS or RATE)", found)
    name = table.find("COUNTS", "RATE")
    is_rate, unit = name.upper() == "RATE", table.unit(name).replace(" ", "")
    usual = not unit or re.fullmatch(_RATE if is_rate else _COUNT, unit, re.IGNORECASE)
    remedy = f"It must be {'counts/s' if is_rate else 'count'}."
    table.need(usual, f"has the unit {unit!r}.", remedy, name)
    values = table.column(name, (1, 2))
    problem = f"{np.sum(~np.isfinite(values))} of {values.size} channels hold no number."
    whole = values.size > 0 and np.isfinite(values).all()
    table.need(whole, problem, "If they are bad, write 0 and QUALITY = 1.", name)
    shape = values.shape
    quality = table.setting("QUALITY", 0, shape, least=0).astype(int)
    exposure = table.setting("EXPOSURE", None, shape[:-1])
    usual = (exposure > 0) | (quality != 0).all(axis=-1)
    table.need(usual, "EXPOSURE is not above zero.", _SET)
    scale = exposure[..., None] if is_rate else 1.0
    grouping = table.setting("GROUPING", 0, shape, least=-1).astype(int)
    usual = (grouping <= 1).all() and (grouping[..., 0] != -1).all()
    table.need(usual, "must be 1, 0 or -1, and begin with no -1.", "Group again.", "GROUPING")
    words = {"source": "OBJECT", "telescope": "TELESCOP", "instrument": "INSTRUME"}
    words |= {"obs_id": "OBS_ID", "date": "DATE-OBS"}
    files = {"background": "BACKFILE", "response": "RESPFILE", "area": "ANCRFILE"}
    return SimpleNamespace(
        **{name: table.word(key, everywhere=True) for name, key in words.items()},
        exposure=exposure if exposure.ndim else exposure.item(),
        channel=_channels(table, tables, shape[-1]),
        counts=values * scale,
        counts_err=_errors(table, name, values * scale, scale),
        sys_err=table.setting("SYS_ERR", 0, shape, least=0),
        quality=quality,
        grouping=grouping,
        areascal=table.setting("AREASCAL", 1, shape, above=0),
        backscal=table.setting("BACKSCAL", 1, shape, above=0),
        **{f"{name}_file": table.files(key, shape) for name, key in files.items()},
    )


def read_response(rmf, arf=None, *, channel=None, dtype=torch.float32) -> Response:
    """Read the response of a detector, from its redistribution matrix and its effective area.

    A matrix that contains the area (an RSP) is divided into its row sums, the area, and the rest: the
    area then excludes photons that are never reported. A lowest energy of 0 keV, where models are not
    defined, becomes a thousandth of its bin's upper edge.

    Reference: George et al. 1992, Legacy 2, 51 (memo CAL/GEN/92-002), and CAL/GEN/92-002a.

    Args:
        rmf: path of the matrix, an RMF or RSP.
        arf: path of the effective area, on the same energies; None for an RSP.
        channel: (n,) numbers of the channels to keep, as in `read_spectrum`; None for all.
        dtype: dtype of the tensors, on the CPU; torch.float64 keeps all digits of a file in float64.

    Raises:
        DataError: if a file is damaged, a channel missing, or the area missing, double or on other bins.
    """
    tables = _tables(rmf)
    bounds = _only(tables, "table of E_MIN and E_MAX", _with(tables, "E_MIN", "E_MAX"))
    table = _only(tables, "matrix (MATRIX, F_CHAN)", _with(tables, "MATRIX", "F_CHAN"))
    numbers = bounds.column("CHANNEL")
    usual = len(numbers) > 0 and (np.diff(numbers) == 1).all()
    bounds.need(usual, "does not count up by one.", _AGAIN, "CHANNEL")
    channel_lo, channel_hi = (bounds.quantity(name, _KEV) for name in ("E_MIN", "E_MAX"))
    usual = np.isfinite(channel_hi) & (channel_lo < channel_hi)
    bounds.need(usual, "is not below E_MAX everywhere.", _AGAIN, "E_MIN")
    energy_lo, energy_hi = _energy_bins(table)
    matrix = _expand(table, numbers, len(energy_lo))
    matrix *= table.factor("MATRIX", _CM2)
    area, kind = matrix.sum(axis=1), table.word("HDUCLAS3").upper()
    most, undecided = area.max(), kind not in ("FULL", "REDIST", "DETECTOR")
    has_area = kind == "FULL" or (undecided and (most > 1.5 or bool(table.unit("MATRIX"))))
    problem = f"rows add up to {most:.4g}: shares, or areas in cm^2? There is no keyword HDUCLAS3."
    usual = has_area or not undecided or table.hdu.name.upper() != "SPECRESP MATRIX"
    table.need(usual, problem, "Set it to FULL if the area is in it, else to REDIST.", "MATRIX")
    problem = f"with HDUCLAS3 = {kind!r} no row adds up to {most:.4g}."
    usual = most > 0 and (has_area or most < 1.5)
    table.need(usual, problem, "It is FULL if the area is in it, else REDIST.", "MATRIX")
    problem = f"the area is in it, up to {most:.4g} cm^2, and would count twice."
    table.need(arf is None or not has_area, problem, "Leave the ARF out: read_response(rsp).")
    problem, remedy = "it holds no area.", "Give the ARF too: read_response(rmf, arf)."
    table.need(arf is not None or has_area, problem, remedy)
    channel = numbers if channel is None else np.asarray(channel)
    usual = channel.ndim == 1 and channel.size and channel.dtype.kind in "iu"
    problem = f"has {numbers[0]} to {numbers[-1]}, not all of channel={channel}."
    remedy = "Give whole numbers, such as spectrum.channel. Is it the response of this spectrum?"
    bounds.need(usual and np.isin(channel, numbers).all(), problem, remedy, "CHANNEL")
    where = channel.astype(np.int64) - numbers[0]
    if has_area:
        matrix /= np.where(area > 0, area, 1)[:, None]
    else:
        area = _read_area(arf, rmf, energy_lo, energy_hi)
    energy_lo[0] = energy_lo[0] or energy_hi[0] / 1000
    arrays = (energy_lo, energy_hi, area, matrix[:, where], channel_lo[where], channel_hi[where])
    return Response(*(torch.from_numpy(array).to(dtype) for array in arrays))


class _Table:
    """Table extension whose errors name the file, the extension and the column."""

    def __init__(self, path, hdus, number):
        self.path, self.hdu, self.first = path, hdus[number], hdus[0]
        self.label = f"extension {self.hdu.name or number}"
        # The sum comes before astropy converts bytes to numbers; a blank sum means that it is unknown.
        known = str(self.hdu.header.get("DATASUM")).isdigit()
        self.is_sound = not known or self.hdu.verify_datasum() == 1
        self.names, self.data = self.hdu.columns.names, self.hdu.data

    def fault(self, problem, remedy, column=None):
        where = f"{self.label}, column {column}" if column else self.label
        return DataError(self.path, f"{where}: {problem}", remedy)

    def need(self, usual, problem, remedy, column=None):
        if not np.all(usual):
            raise self.fault(problem, remedy, column)

    def warn(self, message):
        warnings.warn(f"{self.path}: {self.label}: {message}", stacklevel=3)

    def keyword(self, key, everywhere=False):
        """Return a keyword of this extension, or of the first; None if it is missing or empty."""
        for hdu in (self.hdu, self.first) if everywhere else (self.hdu,):
            try:
                value = hdu.header.get(key)
            except Exception as error:  # of a damaged file astropy raises anything
                raise self.fault(f"keyword {key} cannot be read ({error}).", _AGAIN) from error
            if value is not None and not isinstance(value, fits.card.Undefined):
                return value
        return None

    def word(self, key, everywhere=False):
        value = self.keyword(key, everywhere)
        return "" if value is None else str(value).strip()

    def number(self, key, default=None, scale=1.0, everywhere=False):
        """Return a finite number, which some files write as text."""
        if (value := self.keyword(key, everywhere)) is None:
            return default
        try:
            number = float(str(value))
        except ValueError:
            number = np.nan
        self.need(np.isfinite(number), f"keyword {key} is {value!r}, no number.", _SET)
        return number * scale

    @property
    def unit_of_time(self):
        """Return the unit of TSTART, TSTOP and TIMEZERO, in seconds."""
        unit = self.word("TIMEUNIT", everywhere=True).lower() or "s"
        self.need(unit in _SECONDS, f"keyword TIMEUNIT is {unit!r}.", "It must be s or d.")
        return _SECONDS[unit]

    def split(self, key, default=None, **options):
        """Return a number that may be in two keywords, as MJDREF is MJDREFI + MJDREFF."""
        parts = [self.number(f"{key:.7}{part}", **options) for part in "IF"]
        return self.number(key, default, **options) if None in parts else sum(parts)

    def mjdref(self, default=None):
        """Return the date, MJD, from which times count."""
        value = self.split("MJDREF", default, everywhere=True)
        self.need(value is not None, "has no keyword MJDREF (or MJDREFI and MJDREFF).", _SET)
        return value

    def find(self, *names):
        """Return the first of these columns that exists, as the file spells it."""
        have = {name.upper(): name for name in self.names}
        return next((have[name.upper()] for name in names if name.upper() in have), None)

    def raw(self, name):
        """Return a column as astropy reads it."""
        have = ", ".join(self.names)
        self.need(self.find(name), f"is missing; there are {have}.", _AGAIN, name)
        try:
            return self.data[self.find(name)]
        except Exception as error:
            raise self.fault(f"cannot be read ({error}).", _AGAIN, name) from error

    def column(self, name, dimensions=(1,)):
        """Return numbers in int64 or float64, NaN where the file has TNULL."""
        values, column = self.raw(name), self.hdu.columns[self.find(name)]
        usual = values.dtype.kind in "iuf" and values.ndim in dimensions
        problem = f"holds {values.dtype.name} of shape {values.shape}."
        self.need(usual, problem, "It must hold a number in each row.", name)
        absent = np.zeros(values.shape, dtype=bool)
        if isinstance(column.null, int):  # the stored number, before TSCAL and TZERO
            absent = values == column.null * (column.bscale or 1) + (column.bzero or 0)
        values = values.astype(float if values.dtype.kind == "f" or absent.any() else np.int64)
        if absent.any():
            values[absent] = np.nan
        return values

    def optional(self, *names):
        name = self.find(*names)
        return None if name is None else self.column(name)

    def unit(self, name):
        return (self.hdu.columns[self.find(name)].unit or "").strip()

    def factor(self, name, units):
        """Return the factor that converts a column to s, keV or cm^2."""
        unit = self.unit(name)
        problem, remedy = f"has the unit {unit!r}.", f"It must be {' or '.join(units)}."
        self.need(unit.lower() in ("", *units), problem, remedy, name)
        return float(units.get(unit.lower(), 1))

    def quantity(self, name, units):
        return self.column(name) * self.factor(name, units)

    def times(self, name):
        """Return times [s], from the unit of the column or else TIMEUNIT."""
        times, unit = self.quantity(name, _SECONDS), self.unit(name)
        grain = np.spacing(np.abs(times).max(initial=0).astype(np.float32))
        step = self.number("TIMEDEL", None, self.unit_of_time) or 1e-3
        usual = self.raw(name).dtype != np.dtype(">f4") or grain < step
        problem = f"is in single precision: neighbouring numbers are {grain:.2g} s apart."
        self.need(usual, problem, "Make the file again, with times in double.", name)
        return times if unit else times * self.unit_of_time

    def setting(self, key, default, shape, least=-np.inf, above=-np.inf):
        """Return a setting from a column or a keyword, for each spectrum or each channel of shape."""
        name, dimensions = self.find(key), range(1, len(shape) + 1)
        values = self.column(name, dimensions) if name and shape else self.number(key, default)
        self.need(values is not None, f"has no {key}.", _SET)
        if not name and default is not None and key != "SYS_ERR" and self.keyword(key) is None:
            self.warn(f"{key} is not given: {default} is assumed.")
        values = np.asarray(values, dtype=float)
        values = values[:, None] if 0 < values.ndim < len(shape) else values
        usual = (values >= least) & (values > above) & np.isfinite(values)
        problem = f"has {key} {'at or ' * (above > least)}below {max(least, above)}, or no number."
        self.need(usual, problem, f"Correct it; in channels that are bad, write {default}.", name)
        return np.broadcast_to(values, shape).copy()

    def files(self, key, shape):
        """Return the path of another file, or a list of paths."""
        words = self.raw(key) if self.find(key) and len(shape) == 2 else [self.word(key)]
        words, folder = [str(word).strip() for word in words], self.path.parent
        paths = [None if word.lower() in ("", "none") else folder / word for word in words]
        return paths[0] if len(set(paths)) == 1 else paths

    def check_sum(self):
        """Warn if data do not match DATASUM; grppha always keeps an old DATASUM, and gets no warning."""
        if not self.is_sound and "grppha" not in self.word("CREATOR"):
            self.warn("data and DATASUM disagree: they were changed after it, or are damaged.")


def _tables(path):
    """Return the table extensions of a FITS file, after checking that it is complete."""
    path = Path(path)
    if not path.is_file():
        raise DataError(path, "there is no such file.", "Check the path.")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            hdus = fits.open(path, memmap=False, lazy_load_hdus=False)
            with hdus:
                kinds = (fits.BinTableHDU, fits.TableHDU)
                numbers = [n for n, hdu in enumerate(hdus) if isinstance(hdu, kinds)]
                tables = [_Table(path, hdus, number) for number in numbers]
        except Exception as error:  # of a damaged file astropy raises anything
            problem = f"cannot be read as FITS ({error or type(error).__name__})."
            raise DataError(path, problem, _AGAIN) from error
    for message in (str(warning.message) for warning in told):
        if "truncated" in message or "corrupted" in message:
            raise DataError(path, f"is damaged: {' '.join(message.split())}", _AGAIN)
    if not tables:
        raise DataError(path, "holds no table.", "Give an event, spectrum or response file.")
    return tables


def _only(tables, kind, found):
    """Return the only table of a kind that was found."""
    if len(found) != 1:
        have = ", ".join(table.hdu.name or "?" for table in tables)
        remedy = "Save the one you want in a file of its own." if found else "Give another file."
        problem = f"{len(found)} of its extensions ({have}) are a {kind}; it must be one."
        raise DataError(tables[0].path, problem, remedy)
    found[0].check_sum()
    return found[0]


def _with(tables, *names):
    return [table for table in tables if table.find(*names)]


def _event_table(tables):
    """Return the table of events: the one with this label, or else the only one with times."""
    named = [t for t in tables if re.match("EVENT|XTE_SE|STDEVT", t.hdu.name.upper())]
    said = [t for t in tables if t.word("HDUCLAS1").upper() in ("EVENT", "EVENTS")] or named
    exact = [t for t in said if t.hdu.name.upper() == "EVENTS"]
    timed = [t for t in _with(tables, "TIME") if not t.word("HDUCLAS1")]
    timed = [t for t in timed if not t.find("COUNTS", "RATE", "RATE1")]
    return _only(tables, "list of events", exact or said or timed)


def _energies(table, arrays, mission, instr, epoch):
    """Return energies, keV, or None with a warning; a PCA's channels are converted, in `arrays`."""
    from stingray.mission_support import get_rough_conversion_function
    from stingray.mission_support.rxte import rxte_pca_event_file_interpretation

    pi, pcu = arrays["pi"], arrays["detector_id"]
    if name := table.find("ENERGY"):
        energy = table.quantity(name, _KEV)
        usual = table.unit(name) or not np.nanmedian(energy) > 200
        table.need(usual, "has no unit: it looks like eV.", "Write its keyword TUNIT.", name)
        return energy
    if (mission, instr) == ("xte", "pca") and pi is not None and pcu is not None:
        known = np.isfinite(pi)
        packed = np.zeros(known.sum(), dtype=[("PHA", np.int64)])
        packed["PHA"] = pi[known]
        try:
            packed = rxte_pca_event_file_interpretation(packed, header=table.hdu.header)["PHA"]
            pi[known] = packed
            # stingray converts one event at a time; PCU 0 has its own scale
            to_energy = get_rough_conversion_function(mission, instr, epoch)
            scales = np.array([to_energy(np.arange(256), k) for k in (0, 1)])
            energy = np.full(len(pi), np.nan)
            energy[known] = scales[(pcu != 0)[known] * 1, packed]
            return energy
        except (KeyError, ValueError, IndexError, AttributeError) as error:
            problem = f"cannot be read by its keyword TEVTB2 ({error!r})."
            raise table.fault(problem, _AGAIN, "PHA") from error
    if table.find("PI") and (mission, instr) == ("swift", "xrt"):
        return pi * 0.01 + 0.005
    if table.find("PI") and mission != "xte":
        with suppress(ValueError):  # a mission unknown to stingray
            return get_rough_conversion_function(mission, instr, epoch)(pi)
    table.warn(f"no energies: no column ENERGY, and no PI with a known scale ({mission!r}).")
    return None


def _good_times(table, tables, names, ccd, limits, mjdref):
    """Return the intersection (n, 2) of the GTI extensions of the mission, or of the CCDs in the file."""
    found = [t for t in tables if "GTI" in t.hdu.name.upper() or t.word("HDUCLAS1") == "GTI"]
    found = found or [t for t in tables if t.find("START") and t.find("STOP")]
    if not found:
        problem = "no extension has good times, and TSTART or TSTOP is missing."
        table.need(None not in limits, problem, "Add an extension GTI with START and STOP.")
        table.warn("no good times: all time from TSTART to TSTOP counts as good, also gaps.")
        return np.array([limits])
    present = set() if ccd is None else set(ccd[np.isfinite(ccd)].astype(int).tolist())
    names = [*names, *(f"{name}{number:02d}" for name in names for number in present)]
    label = {t: t.hdu.name.upper() for t in found}
    # XMM's lists have selections such as GTI00103, and may also keep STDGTI.
    usual = [t for t in found if label[t] in names or re.fullmatch(r"GTI0\d{4}", label[t])]
    chosen = usual or found
    chosen = [t for t in chosen if t.number("CCD_ID", -1) in {-1, *present}] or chosen
    lists = []
    for gti in chosen:
        gti.check_sum()
        times = np.stack([gti.times("START"), gti.times("STOP")], axis=1)
        usual = np.isfinite(times).all() and (times[:, 0] <= times[:, 1]).all()
        gti.need(usual, "is after STOP, or no number.", _AGAIN, "START")
        days = gti.mjdref(mjdref) - mjdref
        zero = gti.split("TIMEZERO", None, scale=gti.unit_of_time)
        times += table.split("TIMEZERO", 0.0, scale=table.unit_of_time) if zero is None else zero
        lists.append(times + days * _DAY * (abs(days) > 1e-9))
    common = common_gti(*lists)
    problem = f"no time is good in all of {', '.join(label[t] for t in chosen)}."
    table.need(len(common), problem, "Give a file that has good times.")
    return common


def _check_times(table, time, gti, limits):
    """Refuse times outside this observation, and good time of another observation."""
    first, last = (gti[0, 0], gti[-1, 1]) if None in limits else limits
    for what, times in (("event", time), ("good", gti)):
        far = (times < first - _DAY) | (times > last + _DAY)
        problem = f"{far.sum()} {what} times are more than a day outside TSTART to TSTOP."
        table.need(~far, problem, f"{_AGAIN} Or correct these keywords.", "TIME")
    before = np.searchsorted(gti[:, 0], time, side="right") - 1
    good = (before >= 0) & (time <= gti[before, 1])
    remedy = "Do TIMEZERO and MJDREF mean the same in all extensions?"
    table.need(good.any(), "no event lies in good time.", remedy, "TIME")


def _channels(table, tables, n):
    """Return the channels (n,) of a spectrum; if it has none, those of EBOUNDS in the same file."""
    table = next((t for t in (table, *tables) if t.find("CHANNEL")), table)
    channel = np.atleast_2d(table.column("CHANNEL", (1, 2)))
    usual = channel.shape[1] == n and (channel == channel[0]).all() and (np.diff(channel) > 0).all()
    problem = f"does not hold {n} ascending whole numbers, the same for all spectra."
    table.need(usual and (channel % 1 == 0).all(), problem, _AGAIN, "CHANNEL")
    return channel[0].astype(np.int64)


def _errors(table, name, counts, scale):
    """Return one standard deviation of counts."""
    given, poisson = table.find("STAT_ERR"), table.keyword("POISSERR")
    if poisson is None and given is None:
        poisson = bool((counts == counts.round()).all())
    if str(poisson).upper() in ("TRUE", "T", "1"):
        remedy = "Set POISSERR to F, and give STAT_ERR."
        table.need(counts >= 0, "is negative, but POISSERR is T.", remedy, name)
        return np.sqrt(counts)
    table.need(given, "is missing.", "Give it, or set POISSERR to T for counts.", "STAT_ERR")
    errors = table.column(given, (1, 2)) * scale
    usual = errors.shape == counts.shape and (errors >= 0).all() and np.isfinite(errors).all()
    table.need(usual, "holds no numbers, or negative ones.", _AGAIN, "STAT_ERR")
    return errors


def _energy_bins(table):
    lo, hi = (table.quantity(name, _KEV) for name in ("ENERG_LO", "ENERG_HI"))
    usual = len(lo) and np.isfinite(hi).all() and (lo >= 0).all() and (lo < hi).all()
    usual = usual and (hi[:-1] - lo[1:] < 0.01 * np.diff(lo)).all()
    table.need(usual, "and ENERG_HI are no ascending bins.", "Sort, or correct them.", "ENERG_LO")
    return lo, hi


def _expand(table, numbers, n_energies):
    """Return the full matrix (n_energies, n_channels) from rows without their zeros.

    Row i has N_GRP runs of neighbouring channels: run g starts at channel F_CHAN[g] and has N_CHAN[g]
    values. TLMIN of F_CHAN says whether the first channel has the number 0 or 1.
    """
    problem = f"{n_energies} energies x {len(numbers)} channels do not fit into memory."
    usual = 8 * n_energies * len(numbers) < _MAX_BYTES
    table.need(usual, problem, "Rebin it first, with rbnrmf.", "MATRIX")
    rows, names = [], ("F_CHAN", "N_CHAN", "MATRIX")
    for n, *row in zip(table.column("N_GRP"), *map(table.raw, names), strict=True):
        starts, lengths, values = map(np.atleast_1d, row)
        usual = 0 <= n <= min(len(starts), len(lengths))
        # int64, because 16-bit integers would overflow
        starts, lengths = (x[: max(n, 0)].astype(np.int64) for x in (starts, lengths))
        usual = usual and (lengths >= 0).all() and lengths.sum() <= len(values)
        problem = f"row {len(rows) + 1} has not what N_GRP and N_CHAN say."
        table.need(usual, problem, _AGAIN, "MATRIX")
        rows.append((starts, lengths, values))
    starts, lengths = (np.concatenate(x) for x in list(zip(*rows, strict=True))[:2])
    starts, stops = starts[lengths > 0], (starts + lengths)[lengths > 0]
    low, high = starts.min(initial=1 << 40), stops.max(initial=0)

    def fits_from(first):
        return first <= low and high - first <= len(numbers)

    index = table.names.index(table.find("F_CHAN")) + 1
    # Fermi GBM counts from 1 without TLMIN, as the memo prescribes, but from 0 in EBOUNDS
    first = table.number(f"TLMIN{index}", 1 if fits_from(1) else numbers[0])
    problem = f"channels {low} to {high - 1} are not in {len(numbers)} from {first:g} (TLMIN) on."
    table.need(fits_from(first), problem, "Correct the keyword TLMIN of F_CHAN.", "F_CHAN")
    if first != numbers[0] and fits_from(numbers[0]):
        table.warn(f"channels count from {first:g} (TLMIN), those of EBOUNDS from {numbers[0]}.")
    matrix = np.zeros((n_energies, len(numbers)))
    for row, (starts, lengths, values) in zip(matrix, rows, strict=True):
        position = 0
        for start, length in zip(starts - int(first), lengths, strict=True):
            row[start : start + length] += values[position : position + length]
            position += length
    usual = np.isfinite(matrix).all() and (matrix > -1e-6).all()
    table.need(usual, "holds NaN, infinite or negative numbers.", _AGAIN, "MATRIX")
    return matrix


def _read_area(arf, rmf, energy_lo, energy_hi):
    """Return the area (n_energies,), cm^2, on the energies of the matrix."""
    tables = _tables(arf)
    table = _only(tables, "table of an effective area (SPECRESP)", _with(tables, "SPECRESP"))
    lo, hi = _energy_bins(table)
    near = 0.01 * (energy_hi - energy_lo) + 1e-6 * energy_hi
    usual = len(lo) == len(energy_lo)
    usual = usual and (np.maximum(abs(lo - energy_lo), abs(hi - energy_hi)) <= near).all()
    problem = f"its {len(lo)} bins are not the {len(energy_lo)} of {rmf}."
    table.need(usual, problem, "Make the ARF for this RMF.", "ENERG_LO")
    area = table.quantity("SPECRESP", _CM2)
    usual = np.isfinite(area).all() and (area >= 0).all() and area.any()
    table.need(usual, "holds NaN, negative numbers or only zeros.", _AGAIN, "SPECRESP")
    return area
