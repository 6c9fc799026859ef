"""The rules that every lesson keeps: what it has, and how long it may be."""

import importlib
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = sorted((ROOT / "solutions").glob("[0-9]*.ipynb"))
TITLE = re.compile(
    r"^## Exercise (?P<number>\S+) · .+ · +(?:core|stretch) · (?P<minutes>\d+) min · [●○]{3}$", re.M
)


@pytest.fixture(params=SOLUTIONS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def lesson(path):
    return nbformat.read(path, as_version=4)


@pytest.fixture
def prose(lesson):
    return "\n\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")


def test_there_are_lessons():
    assert SOLUTIONS


def test_front_matter(lesson, prose):
    rows = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|$", lesson.cells[0].source, re.M))
    assert list(rows) == ["The question", "Afterwards you can", "Time", "Data", "Run time"]
    assert rows["Afterwards you can"].count(";") == 2, "three objectives"
    announced = int(re.search(r"(\d+) min of exercises", rows["Time"])[1])
    assert announced == sum(int(match["minutes"]) for match in TITLE.finditer(prose))


def test_exercises_are_numbered_timed_and_checked(path, lesson, prose):
    numbers = [match["number"] for match in TITLE.finditer(prose)]
    number = int(path.stem[:2])
    assert len(numbers) == len(re.findall(r"^## Exercise", prose, re.M)), "a title out of form"
    assert numbers == [f"{number}.{k}" for k in range(1, len(numbers) + 1)]
    assert 4 <= len(numbers) <= 7
    code = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "code")
    checks = importlib.import_module(f"course.checks.lesson_{number:02d}").__all__
    for check in checks:
        assert f"check.{check}(" in code
    assert len(checks) == len(numbers)


def test_every_exercise_is_solved(lesson):
    shown = [
        output["data"]["text/plain"]
        for cell in lesson.cells
        for output in cell.get("outputs", [])
        if "Exercise" in output.get("data", {}).get("text/plain", "")
    ]
    assert shown
    assert all(": right." in text for text in shown), shown


def test_it_has_a_prediction_a_discussion_a_summary_and_readings(prose):
    assert "predict" in prose.lower()
    assert "Discuss with your neighbour".lower() in prose.lower()
    assert "## What we learned" in prose
    readings = prose.split("**Further reading.**")[1].split("\n")[0]
    assert len(readings.split(" · ")) >= 3


def test_a_lesson_can_be_read(path):
    """What is given: in notebooks/, the cells without a check."""
    cells = nbformat.read(ROOT / "notebooks" / path.name, as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    given = [source.splitlines() for source in code if "check." not in source]
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    assert sum(map(len, given)) <= 300, "lines of given code"
    assert words <= 3000, "words"
    for cell in given:
        assert len(cell) <= 20, cell


def test_cells_can_be_read_in_one_glance(lesson):
    for cell in lesson.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 20, cell.source
            assert all(len(line) <= 110 for line in cell.source.splitlines()), cell.source


def test_links_lead_somewhere(prose):
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", prose):
        assert (ROOT / "notebooks" / target).exists(), target


def test_it_is_small_enough_to_keep_in_git(path):
    assert path.stat().st_size < 1_000_000


def test_every_prediction_has_a_place_to_write_and_an_answer(lesson):
    """First "Predict" in the text, then a cell `my_guess... = ...`, later "The answer: ..." in so many words."""
    seen = []
    for cell, following in zip(lesson.cells, [*lesson.cells[1:], None], strict=True):
        if cell.cell_type == "code":
            continue
        if re.search(r"^### Predict first|\*\*[Pp]redict( first)?[.:]?\*\*", cell.source, re.M):
            written = re.fullmatch(r"(my_guess\w*) = \.\.\.  # .+", following.source)
            assert written, following.source
            assert written[1] not in seen, "one name, one guess: cells can be run again"
            seen.append(written[1])
        if "**The answer:** " in cell.source:
            seen.append("answer")
    assert len(seen) >= 2
    assert seen[1::2] == ["answer"] * (len(seen) // 2)
    assert "answer" not in seen[::2]
