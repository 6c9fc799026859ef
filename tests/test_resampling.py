"""The bootstrap over sources: whole sources, each with the same chance, and the right spread."""

import numpy as np
import pandas as pd
import pytest

from helpers.resampling import resample_sources


@pytest.fixture
def table():
    """Forty sources of 1 to 40 rows; the value of a row is that of its source."""
    number = np.repeat(np.arange(40), np.arange(1, 41))
    order = np.random.default_rng(3).permutation(len(number))
    table = pd.DataFrame({"source_id": [f"S{k:02d}" for k in number], "value": number / 40})
    return table.iloc[order].set_index(order)


def test_a_source_comes_whole_as_often_as_it_is_drawn(table):
    sizes = table.source_id.value_counts()
    for seed in range(5):
        sky = resample_sources(table, np.random.default_rng(seed))
        times = sky.source_id.value_counts() / sizes[sky.source_id.unique()]
        assert (times == times.round()).all()
        assert times.sum() == 40
        assert sky.index.tolist() == list(range(len(sky)))
        assert list(sky) == list(table)


def test_every_source_has_the_same_chance(table):
    generator = np.random.default_rng(1)
    n, seen = 500, pd.Series(0.0, sorted(table.source_id.unique()))
    for _ in range(n):
        seen[resample_sources(table, generator).source_id.unique()] += 1
    chance = 1 - (1 - 1 / 40) ** 40
    error = np.sqrt(chance * (1 - chance) / n)
    assert np.abs(seen / n - chance).max() < 4 * error


def test_bad_input_is_named(table):
    with pytest.raises(ValueError, match="source_id"):
        resample_sources(table.drop(columns="source_id"), np.random.default_rng(1))
    with pytest.raises(ValueError, match="rows"):
        resample_sources(table.iloc[:0], np.random.default_rng(1))
