"""The tables of the simulated archive: which columns they have, and their files as `make data` writes them.

data/README.md says what each file is.
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
    """The columns of "observations" or of "truth" in their order, as data/columns.csv lists them.

    That file is written by hand: a new column begins there, with its unit and meaning.
    """
    dictionary = pd.read_csv(io.BytesIO(read_file("columns.csv")))
    return dictionary.column[dictionary.table == table].tolist()


def files(archive, seed):
    """{name: bytes of a table, or {name: array} of an npz file} of what `simulate_archive` returns.

    The seed chooses the first rows that learners see.
    """
    generator = np.random.default_rng([seed, 0, 0])
    first = np.sort(generator.choice(len(archive.rxte), N_FIRST, replace=False))
    counts = archive.segments["counts"].astype(np.uint16)  # 30 times the Crab in a quarter second
    return {
        "observations_rxte.csv": table_bytes(archive.rxte),
        "observations_nicer.csv": table_bytes(archive.nicer),
        "observations_first.csv": table_bytes(archive.rxte.iloc[first]),
        "observations_truth.csv": table_bytes(archive.truth),
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
