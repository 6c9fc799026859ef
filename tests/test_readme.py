"""What README and INSTRUCTORS say of the course is what the course is: numbers, commands, links, badges."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml

from course import build, wheels

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
INSTRUCTORS = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "INSTRUCTORS.md",
    "data/README.md",
    *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")),
]
LESSONS = sorted(ROOT.glob("notebooks/[0-9]*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OLDEST, BEYOND = map(
    int, re.fullmatch(r">=3\.(\d+),<3\.(\d+)", PROJECT["requires-python"]).groups()
)
PYTHONS = f"3.{OLDEST} to 3.{BEYOND - 1}"


def head(path):
    """Minutes of teaching and of exercises, and seconds of run time, in a lesson's front matter."""
    text = nbformat.read(path, as_version=4).cells[0].source
    return (
        *map(int, re.search(r"(\d+) min of .*?(\d+) min of exercises", text).groups()),
        int(re.search(r"Run time\*\* \| below (\d+) s", text)[1]),
    )


def test_the_map_names_the_twelve_steps():
    for number, step in enumerate(build.STEPS, 1):
        assert re.search(rf"^\| \[?{number} · {re.escape(step)}", README, re.M), step


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_map_has_every_lesson_with_its_minutes_and_run_time(path):
    (row,) = [line for line in README.splitlines() if f"](notebooks/{path.name})" in line]
    teaching, exercises, seconds = head(path)
    assert f"| {teaching} + {exercises} min | {seconds} s |" in row


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("../../actions/workflows/"):  # of the repository on GitHub
            assert (ROOT / ".github/workflows" / target.split("/")[4]).exists()
        elif not target.startswith(("https://", "#")):
            assert (folder / target.partition("#")[0]).exists(), target


def commands(text):
    """Lines of shell blocks, and what looks like a command between backticks."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    known = (
        *("make ", "python -m ", "python3 -m ", "pip ", "conda ", "git ", "jupyter ", "sudo "),
        "ssh ",
    )
    return lines + [code for code in re.findall(r"`([^`\n]+)`", text) if code.startswith(known)]


FOUND = sorted(
    {
        part.strip()
        for page in (README, INSTRUCTORS)
        for line in commands(page)
        for part in line.split("&&")
    }
)


@pytest.mark.parametrize("command", FOUND)
def test_every_command_is_one_that_works_here(command):
    """Each is run as far as it does no harm, or its parts are looked for; an unknown one fails."""
    here = command.removeprefix("sudo -E /opt/tljh/user/bin/")
    words = [w for w in shlex.split(here, comments=True) if not re.match(r"[A-Z_]+=", w)]
    match words:
        case ["make", *options]:
            makefile = (ROOT / "Makefile").read_text()
            targets = re.search(r"^\.PHONY: (.+)$", makefile, re.M)[1].split()
            assert set(options) - {"-C", "stick/course"} <= set(targets)
            given = re.findall(r"([A-Z_]+)=", command.partition("make ")[2])
            assert set(given) <= set(re.findall(r"^([A-Z_]+) \?=", makefile, re.M))
        case ["python" | "python3", "-m", "pip", task, *rest] | ["pip", task, *rest]:
            assert task in ("download", "install")
            assert all((ROOT / word).exists() for word in rest if word.endswith(".txt"))
        case ["python" | "python3", "-m", module, *_]:
            run = [sys.executable, "-m", module, "--help"]
            assert subprocess.run(run, cwd=ROOT, capture_output=True).returncode == 0
        case ["conda", "env", "create", "-f", path] | ["git", "checkout", path]:
            assert (ROOT / path).exists()
        case ["conda", "activate", name]:
            assert yaml.safe_load((ROOT / "environment.yml").read_text())["name"] == name
        case ["git", "clone" | "pull", *_] | ["cd", _] | ["cd", "<its", _] | ["jupyter", "lab"]:
            pass
        case ["sudo", "apt", "install", "python3-venv"] | ["ssh", "-N", "-L", _, _]:
            pass
        case _:
            pytest.fail(f"Nothing here tests {command!r}.")


def test_each_term_of_the_glossary_stands_in_bold_in_its_lesson():
    rows = re.findall(
        r"^\| \*\*(.+?)\*\* \| .{20,} \| \[(\d\d)\]\(\.\./notebooks/(.+)\.ipynb\) \|$",
        (ROOT / "docs/glossary.md").read_text(encoding="utf-8"),
        re.M,
    )
    assert len(rows) >= 80
    terms = [term.lower() for term, *_ in rows]
    assert terms == sorted(set(terms))
    for term, number, name in rows:
        assert name.startswith(number)
        lesson = (ROOT / f"lessons/{name}.py").read_text(encoding="utf-8")
        assert f"**{term.lower()}" in lesson.lower(), f"{term} is not in bold in {name}"


def test_badges_are_true():
    badges = dict(re.findall(r"!\[([^\]]+)\]\(https://img\.shields\.io/badge/([^)]+)\)", README))
    assert f"{len(LESSONS)} lessons" in badges
    assert f"Python {PYTHONS}" in badges
    assert f"code {PROJECT['license']}" in badges
    assert "text CC BY 4.0" in badges
    for says, address in badges.items():
        shown = re.sub("(?<!-)-(?!-)|%20", " ", address.rpartition("-")[0]).replace("--", "-")
        assert sorted(shown.split()) == sorted(says.split())


def test_what_can_be_installed_where_is_told_as_it_is_tested():
    section = README.partition("## Where it can be installed\n")[2].partition("\n## ")[0]
    libc = ".".join(map(str, wheels.GLIBC))
    for fact in (
        *(f"Python {PYTHONS}", f"PyTorch {wheels.TORCH} and", f"glibc {libc} or", "Intel"),
        *(f"macOS {wheels.MACOS} or", f"Python 3.{BEYOND} or newer", "Native Windows", "WSL 2"),
    ):
        assert fact in section, fact
    assert f"Python {PYTHONS}, and $(PYTHON)" in (ROOT / "Makefile").read_text()
    assert f"native Windows, Python 3.{BEYOND}: README" in INSTRUCTORS


def test_every_claim_is_quoted_from_the_evidence():
    section = README.partition("## What it claims")[2].partition("\n## ")[0]
    evidence = (ROOT / "docs/evidence.md").read_text(encoding="utf-8")
    quotes = re.findall(r"\*\*([^*]+)\*\*", section)
    assert len(quotes) >= 10
    for quote in quotes:
        assert quote in evidence, quote


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"]
    assert citation["cff-version"] == "1.2.0"


def minutes_of(lesson, what):
    """Minutes of the exercises that a timetable names, as "0.2, 0.5" or "3.1 to 3.5"."""
    (path,) = ROOT.glob(f"notebooks/{lesson}_*.ipynb")
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    minutes = dict(re.findall(r"^## Exercise (\d+\.\d+) · .+ · (\d+) min", text, re.M))
    names = re.findall(r"\b\d+\.\d+\b", what)
    if " to " in what:
        number, first = names[0].split(".")
        names = [f"{number}.{k}" for k in range(int(first), int(names[1].split(".")[1]) + 1)]
    return [int(minutes[name]) for name in names]


class TestInstructors:
    @pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
    def test_every_lesson_has_its_section(self, path):
        teaching, exercises, _ = head(path)
        number = path.stem[:2]
        title = rf"^### {number} · .+ — {teaching} \+ {exercises} min$"
        assert re.search(title, INSTRUCTORS, re.M)
        section = re.split(title, INSTRUCTORS, flags=re.M)[1].partition("\n### ")[0]
        parts = (
            "The one idea",
            "Where to stop",
            "Skip if",
            "Questions to park",
            "Usual wrong answers",
        )
        for part in parts:
            assert f"**{part}" in section
        lesson = "".join(c.source for c in nbformat.read(path, as_version=4).cells)
        has = set(re.findall(r"## Exercise (\d+\.\d+)", lesson))
        assert set(re.findall(rf"^- ({int(number)}\.\d+): ", section, re.M)) <= has

    def test_timetables_add_up_and_fit_their_lessons(self):
        tables = re.findall(
            r"^\| lesson \| teach .*?\n\|[-|]+\n(.*?)\n"
            r"\| \*\*sum\*\* \| \*\*(\d+)\*\* \| \*\*(\d+)\*\* \| \*\*(\d+) min\*\* = (\d+) h (\d+)",
            INSTRUCTORS,
            re.M | re.S,
        )
        assert len(tables) == 6
        of = {path.stem[:2]: head(path) for path in LESSONS}
        for rows, *sums in tables:
            rows = [row.strip("| ").split(" | ") for row in rows.splitlines()]
            teach, exercises = (sum(int(row[i]) for row in rows) for i in (1, 2))
            hours = divmod(teach + exercises, 60)
            assert [teach, exercises, teach + exercises, *hours] == list(map(int, sums))
            for row in rows:
                assert int(row[2]) == sum(minutes_of(row[0][:2], row[3]))
                assert int(row[1]) <= of[row[0][:2]][0]
                assert int(row[2]) <= of[row[0][:2]][1]

    def test_hours_of_all_lessons(self):
        minutes = sum(sum(head(path)[:2]) for path in LESSONS)
        assert f"All lessons together take {minutes / 60:.0f} hours." in INSTRUCTORS

    def test_the_traps_are_those_that_were_planted(self):
        page = (ROOT / "data/README.md").read_text(encoding="utf-8")
        planted = page.partition("| trap | symptom")[2]
        planted = len(re.findall(r"^\| [A-Z]", planted.partition("\n\n")[0], re.M))
        told = INSTRUCTORS.partition("## The planted traps")[2].partition("\n## ")[0]
        assert len(re.findall(r"^\| [A-Z]", told, re.M)) == planted


def test_instructors_quote_what_the_checks_say():
    """`- 8.2: ... -> "lie in more than one fold"`: what stands in quotes after an arrow is a part of a hint."""

    def bare(text):
        return re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()

    said = " | ".join(
        bare(node.value)
        for path in (ROOT / "course/checks").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    quotes = [
        quote
        for line in re.findall(r"^- \d+\.\d+: .*", INSTRUCTORS, re.M)
        for quoted in re.findall(r'-> ((?:"[^"]+"(?:, | / )?)+)', line)
        for quote in re.findall(r'"([^"]+)"', quoted)
    ]
    assert len(quotes) > 100
    assert [quote for quote in quotes if bare(quote) not in said] == []
