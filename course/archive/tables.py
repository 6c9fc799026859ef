"""The files of the simulated archive, as `make data` writes them; data/README.md says what each is."""

import csv
import io

import numpy as np
import pandas as pd

from course.archive.simulate import COLUMNS, TRUTH_COLUMNS

__all__ = ["files", "table_bytes"]

N_FIRST = 300


def files(archive, seed):
    """{name: bytes of a table, or {name: array} of an npz file} of an archive.

    Args:
        archive: as `simulate_archive` returns it.
        seed: of the choice of the first rows that learners see.
    """
    generator = np.random.default_rng([seed, 0, 0])
    first = np.sort(generator.choice(len(archive.rxte), N_FIRST, replace=False))
    counts = archive.segments["counts"].astype(np.uint16)  # 30 times the Crab in a quarter second
    return {
        "observations_rxte.csv": table_bytes(archive.rxte),
        "observations_nicer.csv": table_bytes(archive.nicer),
        "observations_first.csv": table_bytes(archive.rxte.iloc[first]),
        "observations_truth.csv": table_bytes(archive.truth),
        "columns.csv": _dictionary_bytes(),
        "light_curves.npz": archive.segments | {"counts": counts},
    }


def table_bytes(table):
    """A table as CSV: numbers to five digits, days to 10 s, missing ones empty.

    Digits that mean something, and no more: the tables stay small and alike on every machine.
    """
    text = {}
    for name, column in table.items():
        text[name] = column
        if name == "mjd":
            text[name] = column.map("{:.4f}".format)
        elif pd.api.types.is_float_dtype(column):
            # Adding zero turns -0 into 0.
            text[name] = ["" if np.isnan(x) else f"{x + 0.0:.5g}" for x in column]
    return pd.DataFrame(text).to_csv(index=False, lineterminator="\n").encode()


def _dictionary_bytes():
    """The meaning of every column of the tables, as CSV."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["table", "column", "unit", "meaning", "missing"])
    writer.writerows(["observations", name, *rest] for name, rest in COLUMNS.items())
    writer.writerows(["truth", name, *rest, ""] for name, rest in TRUTH_COLUMNS.items())
    return file.getvalue().encode()
