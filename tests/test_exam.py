"""The exam: what learners get holds no truth, and what they hand in is refused or scored, and counted."""

import numpy as np
import pandas as pd
import pytest
from stand_ins import nothing

from course.archive import another_sky, simulate
from course.archive.simulate import simulate_archive
from course.build import ROOT, STEPS, learners_notebook
from course.checks import exam_another_sky as exam
from helpers.data import FOLDER, load_observations

PROMISE = {"readers": (0.65, 0.85), "truth": (0.75, 0.99), "object": (0.85, 1.0)}


@pytest.fixture(scope="module")
def known():
    return load_observations("another_sky")


@pytest.fixture(scope="module")
def sealed():
    return load_observations("another_sky_sealed")


@pytest.fixture(scope="module")
def rivals():
    return exam._rivals()


@pytest.fixture
def table(rivals):
    return rivals["simple model"].copy()


@pytest.fixture(autouse=True)
def nobody_has_opened_it(monkeypatch):
    monkeypatch.setattr(exam, "_openings", [])
    monkeypatch.setattr(exam, "_SKIES", 10)


# ---- what learners get


def test_sealed_pointings_have_neither_labels_nor_known_sources(known, sealed):
    assert set(known) - set(sealed) == set(another_sky.LABELS)
    assert not set(known.source_id) & set(sealed.source_id)
    assert len(known) + len(sealed) == another_sky.SIZE["n_rxte"]
    assert "state" not in known
    assert "object" not in known
    counts = known.groupby("object_label").source_id.nunique()
    assert counts.to_dict() == {"BH": 16, "NS": 16}


def test_no_name_is_one_of_the_lessons(known, sealed):
    lessons = pd.concat(map(load_observations, ("rxte", "nicer")))
    for own in (known, sealed):
        for name in ("obs_id", "source_id", "outburst_id"):
            assert not set(own[name]) & set(lessons[name])
    measured = ["rate", "hr_soft", "rms_0p1_64"]
    assert not len(pd.concat([known, sealed]).merge(lessons, on=measured))


def test_the_files_follow_from_the_archive_and_a_seed(monkeypatch):
    # What is measured does not matter here, and takes its time.
    monkeypatch.setattr(simulate, "observe", nothing)
    size = another_sky.SIZE | {
        "n_rxte": 120,
        "n_nicer": 20,
        "n_black_holes": 6,
        "n_neutron_stars": 6,
    }
    archive = simulate_archive(5, processes=1, **size)
    rows = archive.rxte, archive.truth.iloc[: len(archive.rxte)]
    made = [another_sky.files(*rows, seed) for seed in (5, 5, 6)]
    assert made[0] == made[1]
    assert made[0]["observations_another_sky.csv"] != made[2]["observations_another_sky.csv"]
    for columns in (another_sky.LABELS[0].encode(), b"label_trust"):
        assert columns not in made[0]["observations_another_sky_sealed.csv"]


def test_the_notebook_has_the_twelve_steps_and_gives_none_away():
    notebook = learners_notebook(ROOT / "lessons" / "exam_another_sky.py")
    headings = [cell.source for cell in notebook.cells[2:] if cell.cell_type == "markdown"]
    assert headings[:-1] == [f"## {number} · {step}" for number, step in enumerate(STEPS, 1)]
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert set(code[1:-1]) == {"# your work\n..."}


# ---- what they hand in


def test_a_whole_hand_in_is_scored_against_the_truth(table, capsys):
    result = exam.open_truth(table, PROMISE)
    assert result.opening == 1
    assert result.kept == {"readers": True, "truth": True, "object": True}
    # By hand, from the file that no lesson loads.
    truth = pd.read_csv(FOLDER / "another_sky_truth.csv").set_index("obs_id").loc[table.obs_id]
    right = (truth.state.to_numpy() == table.state).groupby(truth.state.to_numpy()).mean()
    assert result.scores.loc["yours", "truth"] == pytest.approx(right.mean())
    assert result.scores.loc["majority"].round(3).tolist()[:3] == [0.25, 0.25, 0.5]
    assert result.states.pointings.sum() == len(table)
    assert "The truth is open. This was the first time" in capsys.readouterr().out


def test_no_opening_but_the_first_counts(table, capsys):
    exam.open_truth(table, PROMISE)
    result = exam.open_truth(table, {**PROMISE, "truth": (0.1, 0.2)})
    assert result.opening == 2
    assert not result.kept["truth"]
    said = capsys.readouterr().out
    assert "Opening number 2 in this kernel" in said
    assert "promised 0.100 to 0.200, 0.100 wide: missed, the score lies above it" in said


@pytest.mark.parametrize(
    "form",
    [
        lambda t: t.sample(frac=1, random_state=1),
        lambda t: t.set_index("obs_id"),
        lambda t: t.to_dict("list"),
        lambda t: {name: column.to_numpy() for name, column in t.items()},
        lambda t: t.assign(note="mine"),
        lambda t: t.assign(note="mine").to_dict("list"),
        lambda t: t.convert_dtypes(),
    ],
    ids=["shuffled", "index", "lists", "arrays", "more columns", "more lists", "nullable"],
)
def test_other_forms_of_the_same_table_have_the_same_scores(table, form):
    expected = exam.open_truth(table, PROMISE).scores
    pd.testing.assert_frame_equal(exam.open_truth(form(table), PROMISE).scores, expected)


def change(**columns):
    return lambda t: t.assign(**{name: value(t) for name, value in columns.items()})


@pytest.mark.parametrize(
    ("hand_in", "says"),
    [
        (lambda t: t.iloc[:-1], "Pointings that are missing: 1 of 709, such as"),
        (lambda t: pd.concat([t, t.iloc[:2]]), "Rows that repeat a pointing: 2, such as"),
        (lambda t: t.drop(columns="BH"), "Column 'BH' is missing"),
        (change(obs_id=lambda t: "X" + t.obs_id.str[1:]), "Rows that are no sealed pointings: 709, such as"),
        (change(state=lambda t: t.state.str.lower()), "is no state: expected LHS"),
        (change(LHS=lambda t: np.nan), "Probabilities that are NaN or infinite: 709;"),
        (change(BH=lambda t: 100 * t.BH), "Probabilities lie between 0 and 1"),
        (change(LHS=lambda t: t.LHS / 2), "add up to 1 in each row"),
        (change(LHS=lambda t: t.HSS, HSS=lambda t: t.LHS), "in the order of the model's"),
        (change(BH=lambda t: 1 - t.BH), "is it the probability of the other class?"),
        (change(obs_id=lambda t: np.roll(t.obs_id, 200)), "did `obs_id` and rows lose each other?"),
        (lambda t: 3, "a table with a row for each sealed pointing"),
    ],
)  # fmt: skip
def test_what_cannot_be_scored_leaves_the_truth_closed(table, capsys, hand_in, says):
    assert exam.open_truth(hand_in(table), PROMISE) is None
    said = capsys.readouterr().out
    assert says in said
    assert "The truth stays closed." in said
    assert exam._openings == []


@pytest.mark.parametrize(
    ("promise", "says"),
    [
        (..., "before the truth is opened: fill in all three"),
        ({**PROMISE, "truth": ...}, "fill in all three"),
        ({**PROMISE, "truth": (..., 0.9)}, "fill in all three"),
        ({"readers": (0.6, 0.8)}, "truth"),
        ({**PROMISE, "truth": (0.9, 0.8)}, "first the low end, then the high one"),
        ({**PROMISE, "truth": (75, 99)}, "both scores lie between 0 and 1"),
        ({**PROMISE, "object": (0.0, 1.0)}, "nothing could surprise you"),
        ({**PROMISE, "object": 0.9}, "the low and the high end of promise 'object'"),
        ({**PROMISE, "object": (np.nan, 0.9)}, "both scores lie between 0 and 1"),
    ],
)
def test_a_promise_is_made_before(table, capsys, promise, says):
    assert exam.open_truth(table, promise) is None
    assert says in capsys.readouterr().out
    assert exam._openings == []


@pytest.mark.parametrize("form", [list, np.array, pd.Series], ids=lambda form: form.__name__)
def test_an_interval_may_be_a_list_or_what_a_quantile_gives(table, form):
    result = exam.open_truth(table, {name: form(ends) for name, ends in PROMISE.items()})
    assert all(result.kept.values())


def test_who_promises_the_readers_score_for_the_truth_is_told_so(table, capsys):
    exam.open_truth(table, {**PROMISE, "truth": PROMISE["readers"]})
    assert "you were measured by their errors" in capsys.readouterr().out


def test_a_second_opening_names_the_scores_of_the_first(table, capsys):
    first = exam.open_truth(table, PROMISE).scores.loc["yours", "object"]
    exam.open_truth(table.assign(BH=0.5), PROMISE)
    assert f"report the first opening (readers 0.768, truth 0.937, object {first:.3f})" in (
        capsys.readouterr().out
    )


def test_nothing_handed_in_is_not_attempted(capsys):
    assert exam.open_truth(..., ...) is None
    assert "not attempted" in capsys.readouterr().out.lower()
