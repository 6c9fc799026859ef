"""Define the columns of the simulated archive's tables, and the files that `make data` writes.

data/README.md describes each file.
"""

import io
from functools import cache

import numpy as np
import pandas as pd

from helpers.data import read_file

__all__ = ["columns", "files", "table_bytes"]

N_FIRST = 300


@cache
def columns(table):
    """Return the columns of "observations" or of "truth" in the order of data/columns.csv.

    That file is written by hand: add a new column there first, with its unit and meaning.
    """
    dictionary = pd.read_csv(io.BytesIO(read_file("columns.csv")))
    return dictionary.column[dictionary.table == table].tolist()


def files(archive, seed):
    """Return {name: bytes of a table, or {name: array} of an npz file} of an `Archive`.

    The seed selects the rows of the first lessons.
    """
    generator = np.random.default_rng([seed, 0, 0])
    first = np.sort(generator.choice(len(archive.rxte), N_FIRST, replace=False))
    counts = archive.segments["counts"].astype(np.uint16)  # enough for 30 Crab in 0.25 s
    return {
        "observations_rxte.csv": table_bytes(archive.rxte),
        "observations_nicer.csv": table_bytes(archive.nicer),
        "observations_first.csv": table_bytes(archive.rxte.iloc[first]),
        "observations_truth.csv": table_bytes(archive.truth),
        "light_curves.npz": archive.segments | {"counts": counts},
    }


def table_bytes(table):
    """Return a table as CSV: numbers with five digits, days to 10 s, missing values empty.

    Only significant digits are written, so that tables are small, and the same on every machine.
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
