"""Simulate the course's archive of X-ray binaries into this folder: part of `make data`.

Everything follows from SEED; building twice gives the same bytes. README.md says what each file is.
"""

import csv
import io

import numpy as np
import pandas as pd

from course.archive.simulate import COLUMNS, TRUTH_COLUMNS, simulate_archive

SEED = 2026
N_FIRST = 300

# Digits that mean something, and no more: the tables stay small and alike on every machine.
_DIGITS = "%.5g"
_DAYS = ("mjd",)  # to 10 s instead


def build(save, write, folder):
    """Write the archive's files into a folder and return the archive.

    Args:
        save: function of a path and {name: array} that writes an npz file.
        write: function of a path and bytes that writes a file as a whole or not at all.
        folder: where to.
    """
    archive = simulate_archive(SEED)
    write(folder / "observations_rxte.csv", table_bytes(archive.rxte))
    write(folder / "observations_nicer.csv", table_bytes(archive.nicer))
    generator = np.random.default_rng([SEED, 0, 0])
    first = archive.rxte.iloc[np.sort(generator.choice(len(archive.rxte), N_FIRST, replace=False))]
    write(folder / "observations_first.csv", table_bytes(first))
    write(folder / "observations_truth.csv", table_bytes(archive.truth))
    write(folder / "columns.csv", dictionary_bytes())
    segments = dict(archive.segments)
    segments["counts"] = compact(segments["counts"])
    save(folder / "light_curves.npz", segments)
    return archive


def table_bytes(table):
    """A table as CSV, numbers to five digits, missing ones empty."""
    text = {}
    for name, column in table.items():
        if name in _DAYS:
            text[name] = column.map("{:.4f}".format)
        elif pd.api.types.is_float_dtype(column):
            if np.isinf(column).any():
                raise OverflowError(
                    f"{name} is infinite in row {int(np.argmax(np.isinf(column)))}."
                )
            # Adding zero turns -0 into 0.
            text[name] = ["" if np.isnan(x) else _DIGITS % (x + 0.0) for x in column]
        else:
            text[name] = column
    return pd.DataFrame(text).to_csv(index=False, lineterminator="\n").encode()


def dictionary_bytes():
    """The meaning of every column of the tables, as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["table", "column", "unit", "meaning", "missing"])
    writer.writerows(["observations", name, *rest] for name, rest in COLUMNS.items())
    writer.writerows(["truth", name, *rest, ""] for name, rest in TRUTH_COLUMNS.items())
    return file.getvalue().encode()


def compact(counts):
    """Counts as 16-bit integers, which hold what a quarter of a second of the Crab times 30 gives."""
    if counts.max() > np.iinfo(np.uint16).max:
        raise OverflowError(f"{counts.max()} counts do not fit into 16 bits.")
    return counts.astype(np.uint16)
