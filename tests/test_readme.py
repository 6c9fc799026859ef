"""What the README says of the course is what the course is."""

import importlib.util
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_map_names_the_twelve_steps():
    spec = importlib.util.spec_from_file_location("build", ROOT / "lessons/build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    for number, step in enumerate(build.STEPS, 1):
        assert re.search(rf"^\| \[?{number} · {re.escape(step)}", README, re.M), step


@pytest.mark.parametrize("path", sorted(ROOT.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_the_map_has_every_lesson_with_its_minutes(path):
    head = nbformat.read(path, as_version=4).cells[0].source
    teaching, exercises = re.search(r"(\d+) min of .*?(\d+) min of exercises", head).groups()
    (row,) = [line for line in README.splitlines() if f"](notebooks/{path.name})" in line]
    assert row.endswith(f"| {teaching} + {exercises} min |")


def test_links_lead_somewhere():
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert (ROOT / target).exists(), target


def test_every_make_target_exists():
    targets = set(re.findall(r"`make ([a-z-]+)", README)) | set(
        re.findall(r"^make ([a-z-]+)", README, re.M)
    )
    known = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert targets
    assert targets <= set(known)
