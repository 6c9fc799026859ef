"""The course's split: no source on two sides, every class on each, and a test set opened once."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from helpers import data


@pytest.fixture
def fresh():
    """The module as it is when a notebook begins: the test set is locked."""
    spec = importlib.util.find_spec("helpers.data")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def parts(fresh):
    train, validation = fresh.load_split()
    test = fresh.open_test_set(model="none", metric="accuracy", expected=0.5)
    return {"train": train, "validation": validation, "test": test}


def test_every_row_is_in_one_part_and_every_source_too(parts):
    table = data.load_observations("rxte")
    together = pd.concat(parts.values()).sort_values("mjd", kind="stable")
    assert sorted(together.obs_id) == sorted(table.obs_id)
    assert sum(part.source_id.nunique() for part in parts.values()) == table.source_id.nunique()
    own = parts["train"]
    expected = table[table.obs_id.isin(own.obs_id)].reset_index(drop=True)
    pd.testing.assert_frame_equal(own, expected)
    assert own.attrs["units"]["rate"] == "1/s"


def test_every_part_can_be_learned_from_and_scored(parts):
    for name, part in parts.items():
        share = len(part) / 6000
        assert share == pytest.approx(0.6 if name == "train" else 0.2, abs=0.06)
        kinds = part.groupby(["object_label", "state_label"]).source_id.nunique()
        assert len(kinds) == 8, name
        # A score of few sources is the score of those sources.
        assert part[part.object_label == "BH"].source_id.nunique() >= 4
        assert part[part.object_label == "NS"].source_id.nunique() >= 6


def test_the_split_is_the_same_every_time():
    for one, other in zip(data.load_split(), data.load_split(), strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_a_second_look_is_refused_and_told_what_the_first_was_for(fresh):
    fresh.open_test_set(model="logistic regression", metric="balanced accuracy", expected=0.87)
    with pytest.raises(fresh.AlreadyOpenedError, match=r'"logistic regression".+accuracy = 0\.87'):
        fresh.open_test_set(model="a better one", metric="accuracy", expected=0.9)


NOT_SAID = [
    *({"model": ""}, {"model": None}, {"metric": " "}),
    *({"expected": float("nan")}, {"expected": "high"}, {"expected": ...}),
]


@pytest.mark.parametrize("change", NOT_SAID, ids=str)
def test_an_opening_without_a_purpose_gives_nothing_and_costs_nothing(fresh, change):
    plan = {"model": "a tree", "metric": "recall", "expected": 0.5}
    with pytest.raises(ValueError, match=next(iter(change))):
        fresh.open_test_set(**{**plan, **change})
    assert len(fresh.open_test_set(**plan))


@pytest.fixture
def sources():
    """The source of each row of an archive, in random order, and whether it is a black hole."""
    generator = np.random.default_rng(7)
    which = generator.permutation(np.repeat(np.arange(30), generator.integers(1, 90, 30)))
    return np.char.add("S", which.astype(str)), which % 3 == 0


def test_a_deal_keeps_sources_whole_and_kinds_even(sources):
    groups, label = sources
    for seed in range(5):
        deal = data.deal_sources(groups, label, 5, seed)
        for inside, outside in deal:
            assert not set(groups[inside]) & set(groups[outside])
            assert len(inside) + len(outside) == len(groups)
            assert len(set(groups[outside][label[outside]])) == 2
            assert len(set(groups[outside][~label[outside]])) == 4
        held = np.concatenate([outside for _, outside in deal])
        assert np.array_equal(np.sort(held), np.arange(len(groups)))


def test_each_seed_is_another_deal_and_the_same_every_time(sources):
    deals = [data.deal_sources(*sources, 5, seed) for seed in (0, 1, 2, 3, 0)]
    folds = [tuple(tuple(outside) for _, outside in deal) for deal in deals]
    assert len(set(folds)) == 4
    assert folds[0] == folds[-1]


def test_a_label_that_changes_within_a_source_cannot_be_dealt(sources):
    groups, label = sources
    label[np.flatnonzero(groups == groups[0])[0]] ^= True
    with pytest.raises(ValueError, match="one per source"):
        data.deal_sources(groups, label, 5, 0)
