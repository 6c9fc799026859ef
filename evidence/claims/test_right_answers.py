"""Right answers in any container, guesses of any kind, and cells that run again give the same numbers.

Each solved notebook runs once more. Its answers return what is right in another container at each call, its guesses
are numbers, texts and far off, and nbval compares every output that it compares in `make test`. At the end each
exercise runs again, with the two cells after it, as for a learner who came back to it.
"""

import copy
import re
import subprocess
import sys
import uuid
from itertools import cycle
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
SOLVED = sorted((ROOT / "solutions").glob("[0-9]*.ipynb"))  # the exam has another check
# Lossy containers may move a last printed digit; tests/test_lesson_checks.py has them.
PACK = """
import functools
from course.checks import lesson_{number} as check
from course.containers import CONTAINERS, Packed

packed = Packed([how for how in CONTAINERS if "float32" not in how])
for name in check.__all__:
    def ask(answer, original=getattr(check, name)):
        return original(packed(answer))
    setattr(check, name, functools.wraps(getattr(check, name))(ask))
"""
GUESSES = ("0.7", '"about 12"', "1e9", '"-0.2 or so"')


def again(cell):
    """A cell a second time."""
    return nbformat.from_dict(copy.deepcopy(cell) | {"id": uuid.uuid4().hex[:8]})


def changed(notebook, number):
    """A solved notebook with other containers and with guesses."""
    guesses = cycle(GUESSES)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = re.sub(
                r"^(my_guess\w*) = \.\.\.",
                lambda match: f"{match[1]} = {next(guesses)}",
                cell.source,
                flags=re.M,
            )
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for i, cell in enumerate(code):
        if re.search(r"\bcheck\.\w+\(", cell.source):
            notebook.cells.extend(map(again, code[i : i + 3]))
    before = nbformat.v4.new_code_cell(PACK.format(number=number))
    before.metadata["tags"] = ["nbval-ignore-output"]
    notebook.cells.insert(0, before)
    return notebook


@pytest.mark.parametrize("solved", SOLVED, ids=lambda path: path.stem[:2])
def test_right_answers_guesses_and_cells_that_run_again_give_the_same_numbers(solved, tmp_path):
    notebook = changed(nbformat.read(solved, as_version=4), solved.stem[:2])
    folder = tmp_path / "solutions"
    folder.mkdir()
    (tmp_path / "docs").symlink_to(ROOT / "docs")  # lesson 14 reads a recipe from there
    path = folder / solved.name
    nbformat.write(notebook, path)
    run = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:cacheprovider"),
            *("--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"),
            f"--nbval-sanitize-with={ROOT / 'tests/nbval.cfg'}",
            *("--rootdir", folder, path),
        ],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-1000:]
