"""The simulated archive: tables of observations and truth, and light curves, in data/."""

import math
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from helpers.data.files import (
    _REPAIR,
    DataError,
    _check,
    _check_lengths,
    _choose,
    _course_file,
    _read_archive,
    _read_csv,
    _table,
)

if TYPE_CHECKING:  # slow to import: a notebook pays only for what it uses
    from pandas import DataFrame

__all__ = ["Segments", "load_observations", "load_segments", "load_truth"]

_OBSERVATIONS = {"rxte": 6000, "nicer": 1000, "first": 300}  # rows

_STATES = ("LHS", "HIMS", "SIMS", "HSS")
_OBJECTS = ("BH", "NS")
# Columns of names and of labels, in either table; n_det counts, qpo_det is a truth value, and all
# others hold numbers.
_WORDS = ("obs_id", "source_id", "outburst_id", "filed_under")
_CHOICES = {
    "instrument": ("rxte", "nicer"),
    "state_label": _STATES,
    "object_label": _OBJECTS,
    "label_trust": ("A", "B", "C"),
    "outburst_kind": ("full", "hard", "bright"),
    "object": _OBJECTS,
    "state": _STATES,
    "outlier": ("slew", "burst", "flare"),
    "qpo_type": ("A", "B", "C"),
}
# What does not exist in every pointing; of what was measured, columns.csv says what can be missing.
_NOT_EVERYWHERE = (
    *("filed_under", "outlier", "qpo_type"),
    *("e_cut", "kt_layer", "nu_qpo", "q_qpo"),
)
_LEAST = {  # 0 for all others
    "exposure": 1,
    **dict.fromkeys(("rate", "log_flux_2_10", "gamma", "lag_0p1_1", "lag_1_10"), -np.inf),
    **dict.fromkeys(("coherence", "linear_trend", "skew", "small_kurtosis", "stetson_j"), -np.inf),
    "gamma_offset": -np.inf,
}
_NO_FLOATS = (*_WORDS, *_CHOICES, "n_det", "qpo_det")
_DICTIONARY = ("table", "column", "unit", "meaning", "missing")

_LIGHT_CURVES_FIELDS = {
    **dict.fromkeys(("obs_id", "source_id", "state_label", "object_label"), (np.str_, 1)),
    "start": (np.floating, 1),
    "counts": (np.integer, 2),
    "power": (np.floating, 2),
    **dict.fromkeys(("noise", "frequency"), (np.floating, 1)),
    "n_averaged": (np.integer, 1),
    **dict.fromkeys(("bin_size", "length"), (np.floating, 0)),
}


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of light curves and their power spectra, one row per segment.

    Attributes:
        obs_id: (n,) the pointing that a segment was cut from.
        source_id, state_label, object_label: (n,) as in that row of `load_observations("rxte")`.
        start: (n,) seconds after the start of the pointing.
        counts: (n, n_bins) whole numbers, background included.
        power: (n, n_frequencies) (rms/mean of the source)^2/Hz, Poisson noise included.
        noise: (n,) the level of that noise, in the same unit.
        frequency: (n_frequencies,) Hz, the middle of each bin of frequencies.
        n_averaged: (n_frequencies,) how many frequencies were averaged in it.
        bin_size: s, of `counts`.
        length: s, of a segment.
    """

    obs_id: np.ndarray
    source_id: np.ndarray
    state_label: np.ndarray
    object_label: np.ndarray
    start: np.ndarray
    counts: np.ndarray
    power: np.ndarray
    noise: np.ndarray
    frequency: np.ndarray
    n_averaged: np.ndarray
    bin_size: float
    length: float

    @property
    def time(self) -> np.ndarray:
        """(n_bins,) the middle of each bin, seconds after the start of the segment."""
        return (np.arange(self.counts.shape[1]) + 0.5) * self.bin_size


def load_observations(name: str) -> "DataFrame":
    """What two telescopes measured in thousands of pointings at X-ray binaries, simulated.

    - ``"rxte"``: 6000 pointings of RXTE's PCA.
    - ``"nicer"``: 1000 pointings of NICER, years later, at sources of which some are new.
    - ``"first"``: 300 rows of ``"rxte"`` drawn at random, for the first lessons.

    Sources and labels are invented, responses are real; data/README.md says how it was made. The
    archive has flaws, as archives do, and finding them is an exercise: nothing is cleaned. What
    could not be measured is NaN, and data/columns.csv says why.

    Args:
        name: one of the above.

    Returns:
        One row per pointing, in order of time. Names and labels are strings, `n_det` is whole,
        `qpo_det` true or false, all else float. `attrs["units"]` and `attrs["meaning"]` hold the
        unit and the meaning of each column.

    Raises:
        DataError: if there are no such observations, or their file or data/columns.csv is missing
            or damaged.

    Example:
        >>> table = load_observations("first")
        >>> len(table), table.attrs["units"]["rate"], table.attrs["meaning"]["kt_in"]
        (300, '1/s', 'inner temperature of the fitted disc')
    """
    n_rows = _OBSERVATIONS[_choose(name, _OBSERVATIONS, "table of observations")]
    instrument = "nicer" if name == "nicer" else "rxte"
    return _read_table(f"observations_{name}.csv", "observations", (instrument,), n_rows)


def load_truth() -> "DataFrame":
    """What was really there in the pointings of `load_observations`: answers, not data.

    For checking afterwards how well a method did. Never train on it, and choose no method by it:
    outside a simulation nobody has this table, and whoever has looked at it is no longer blind.

    Returns:
        One row per pointing of RXTE, then of NICER; `obs_id` ties it to the observations. Strings
        and floats, and `attrs`, as there. `filed_under`, `outlier` and `qpo_type` are "" where
        there is no such thing; numbers that do not exist are NaN.

    Raises:
        DataError: if the file or data/columns.csv is missing or damaged.

    Example:
        >>> truth = load_truth()
        >>> len(truth), sorted(set(truth.qpo_type))
        (7000, ['', 'A', 'B', 'C'])
    """
    n_rows = _OBSERVATIONS["rxte"] + _OBSERVATIONS["nicer"]
    return _read_table("observations_truth.csv", "truth", ("rxte", "nicer"), n_rows)


def load_segments() -> Segments:
    """2000 short light curves with their power spectra, cut from pointings of the simulated RXTE.

    Each segment lasts 128 s in bins of 0.25 s. There are five from every chosen pointing, and each
    overlaps the next by half: a random split into training and test data puts the same photons on
    both sides, so split by source. The power spectra are those of the same segments in bins of
    1/128 s, from 1/128 to 64 Hz, averaged over bins of frequency that widen as the logarithm.

    Returns:
        The segments.

    Raises:
        DataError: if the file is missing or damaged.

    Example:
        >>> curves = load_segments()
        >>> curves.counts.shape, curves.time[:3].tolist()
        ((2000, 512), [0.125, 0.375, 0.625])
    """
    return _read_light_curves(_course_file("light_curves.npz"))


def _read_dictionary(path, table):
    """{column: (unit, meaning, why it can be missing)} of a table, in its order."""
    cells = _read_csv(path, _DICTIONARY)
    seen = {}
    for line, row in enumerate(zip(*(cells[name] for name in _DICTIONARY), strict=True), start=2):
        where, column, unit, meaning, missing = row
        if where not in ("observations", "truth") or not column or not meaning:
            problem = f"line {line} must name a table (observations or truth), a column, a meaning."
            raise DataError(path, problem, _REPAIR)
        if (where, column) in seen:
            problem = f"line {line} has the column {column!r} of {where} again."
            raise DataError(path, problem, _REPAIR)
        seen[where, column] = unit, meaning, missing
    return {column: rest for (where, column), rest in seen.items() if where == table}


def _read_table(file, table, instruments, n_rows):
    """A table of the archive: its columns are those of the dictionary, in that order."""
    path, listing = _course_file(file), _course_file("columns.csv")
    dictionary = _read_dictionary(listing, table)
    cells = _read_csv(path, dictionary)
    needed = {"obs_id", "instrument"} - cells.keys()
    if needed:
        raise DataError(listing, f"lacks {sorted(needed)} of {table}.", _REPAIR)
    columns = {}
    for name, (_, _, missing) in dictionary.items():
        choices = instruments if name == "instrument" else _CHOICES.get(name)
        optional = name in _NOT_EVERYWHERE or (bool(missing) and name not in _NO_FLOATS)
        columns[name] = _read_column(path, name, cells[name], choices, optional)
    seen = set()
    for line, name in enumerate(cells["obs_id"], start=2):
        if name in seen:
            raise DataError(path, f"line {line} has the obs_id {name!r} again.", _REPAIR)
        seen.add(name)
    if len(seen) != n_rows:
        raise DataError(path, f"has {len(seen)} rows, not {n_rows}.", _REPAIR)
    units, meaning = ({name: row[k] for name, row in dictionary.items()} for k in (0, 1))
    return _table(columns, units=units, meaning=meaning)


def _read_column(path, name, cells, choices, optional):
    """The cells of a column as strings, whole numbers, truth values, or floats with NaN."""
    absent = np.nan
    if name == "qpo_det":
        read, wanted = {"True": True, "False": False}.get, "True or False"
    elif choices:
        read, wanted, absent = {c: c for c in choices}.get, " or ".join(choices), ""
    elif name in _WORDS:
        read, wanted, absent = _as_word, "one word", ""
    elif name == "n_det":
        read, wanted = _as_count, "a whole number of at least 1"
    else:
        least = _LEAST.get(name, 0)
        read = partial(_as_number, least=least)
        wanted = "a finite number" + (f" of at least {least}" if least > -np.inf else "")
    values = []
    for line, cell in enumerate(cells, start=2):
        value = absent if optional and not cell else read(cell)
        if value is None:
            wanted += " or empty" if optional else ""
            problem = f"line {line}, {name} is {cell[:40]!r}: it must be {wanted}."
            raise DataError(path, problem, _REPAIR)
        values.append(value)
    return values


def _as_word(cell):
    return cell if cell.split() == [cell] and cell.isprintable() else None


def _as_count(cell):
    return int(cell) if re.fullmatch("[1-9][0-9]{0,8}", cell) else None


def _as_number(cell, least):
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= least else None


def _read_light_curves(path):
    fields = _read_archive(path, _LIGHT_CURVES_FIELDS)
    counts, power = fields["counts"], fields["power"]
    across = {name: fields[name] for name in ("frequency", "n_averaged")}
    sizes = {name: fields[name] for name in ("bin_size", "length")}
    shared = {k: v for k, v in fields.items() if v.ndim and k not in across}
    _check_lengths(path, _REPAIR, shared)
    _check_lengths(path, _REPAIR, {**across, "power, across": power.T})
    tiny = np.finfo(np.float32).tiny
    _check(path, _REPAIR, {**sizes, "noise": fields["noise"]}, lowest=tiny)
    n_bins = round(float(fields["length"] / fields["bin_size"]), 6)
    if n_bins != counts.shape[1]:
        problem = f"counts has {counts.shape[1]} bins, but length / bin_size is {n_bins:g}."
        raise DataError(path, problem, _REPAIR)
    _check(path, _REPAIR, {"start": fields["start"], "counts": counts, "power": power}, lowest=0)
    frequency = {"frequency": fields["frequency"]}
    _check(path, _REPAIR, frequency, lowest=tiny, increasing=True)
    _check(path, _REPAIR, {"n_averaged": fields["n_averaged"]}, lowest=1)
    for name in ("obs_id", "source_id", "state_label", "object_label"):
        choices = _CHOICES.get(name)
        for row, word in enumerate(fields[name].tolist()):
            if not (word in choices if choices else _as_word(word)):
                wanted = " or ".join(choices) if choices else "one word"
                raise DataError(path, f"{name}[{row}] is {word!r}: it must be {wanted}.", _REPAIR)
    seen = set()
    for row, key in enumerate(
        zip(fields["obs_id"].tolist(), fields["start"].tolist(), strict=True)
    ):
        if key in seen:
            raise DataError(
                path, f"row {row}, {key[0]} from {key[1]:g} s, is a repetition.", _REPAIR
            )
        seen.add(key)
    return Segments(**{k: v if v.ndim else v.item() for k, v in fields.items()})
