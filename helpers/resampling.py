"""Bootstrap over sources, which gives the errors of nearly all numbers in the course."""

import numpy as np
import pandas as pd

from helpers.arguments import labels

__all__ = ["resample_sources"]


def resample_sources(table: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    """Draw a bootstrap resample of whole sources, as many as there are: a cluster bootstrap.

    Rows of one source are not independent, so the sources are the units that are drawn. A source that
    is drawn twice contributes its rows twice; rows are numbered from 0. Lesson 02 derives the method.

    Reference: Davison & Hinkley 1997, Bootstrap Methods and their Application, Section 3.8.

    Args:
        table: (n_rows,) rows with a column `source_id`.
        generator: numpy random generator.

    Raises:
        ValueError: if there is no column `source_id`, no row, or a source is missing.

    Example:
        >>> table = pd.DataFrame({"source_id": ["S1", "S1", "S2"], "rate": [5.0, 6.0, 90.0]})
        >>> sky = resample_sources(table, np.random.default_rng(1))
        >>> sky.rate.tolist()
        [5.0, 6.0, 90.0]
    """
    if "source_id" not in table or not len(table):
        raise ValueError("table must have rows, and a column source_id: give observations.")
    source, names = pd.factorize(labels("source_id", table.source_id), sort=True)
    drawn = generator.integers(len(names), size=len(names))
    rows = [np.flatnonzero(source == k) for k in drawn]
    return table.iloc[np.concatenate(rows)].reset_index(drop=True)
