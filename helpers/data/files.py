"""The files of the course's data/ folder: where they lie, and how they are read and checked.

The loaders in the files beside this one share what is here. What is refused gives a `DataError`.
"""

import csv
import zipfile
from pathlib import Path

import numpy as np

__all__ = ["DataError"]

_DATA = Path(__file__).resolve().parents[2] / "data"
_REPAIR = "Restore it with `git checkout data`, or rebuild it with `make data`."

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
        super().__init__(file, problem, remedy)  # all: else it could not travel between processes

    def __str__(self):
        return "{}: {} {}".format(*self.args)


def _course_file(name):
    """The path of a file in data/, whose folder is looked up here and nowhere else."""
    return _DATA / name


def _choose(name, names, kind):
    if name not in list(names):
        remedy = f"Choose from: {', '.join(names)}."
        raise DataError(repr(name), f"there is no such {kind}.", remedy)
    return name


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


def _read_csv(path, names):
    """{column: cells} of a CSV file, all text; its columns must be exactly the given ones."""
    if not path.is_file():
        raise DataError(path, "there is no such file.", _REPAIR)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.reader(file, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(path, f"cannot be read ({error}).", _REPAIR) from error
    if len(lines) < 2:
        raise DataError(path, "has no rows.", _REPAIR)
    header, *rows = lines
    repeated = {name for name in header if header.count(name) > 1}
    wrong = ", ".join(map(repr, sorted(repeated or set(header) ^ set(names))))
    if wrong:
        fault = "repeated" if repeated else "missing or unknown"
        raise DataError(path, f"these columns are {fault}: {wrong}.", _REPAIR)
    for line, row in enumerate(rows, start=2):
        if len(row) != len(header):
            problem = f"line {line} has {len(row)} cells, the header {len(header)}."
            raise DataError(path, problem, _REPAIR)
    return dict(zip(header, zip(*rows, strict=True), strict=True))


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


def _table(columns, **attrs):
    import pandas as pd

    table = pd.DataFrame(columns)
    table.attrs.update(attrs)
    return table
