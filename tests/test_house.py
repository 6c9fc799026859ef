"""The rules of the house: which part may import which, where imports stand, and what stays small."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("helpers", "course", "evidence", "lessons")
MODULES = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
# Slow to import, or needed by a few functions only: a notebook pays for what it uses, when it uses it.
HEAVY = {
    "astropy", "corner", "dask", "distributed", "numba", "pandas", "pooch", "sbi", "scipy", "seaborn", "sklearn",
    "stingray", "torch", "tqdm", "zuko",
}  # fmt: skip


@functools.cache
def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(node):
    """(line, module, name or None) of each import below a node."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from ((found.lineno, alias.name, None) for alias in found.names)
        elif isinstance(found, ast.ImportFrom) and not found.level:
            yield from ((found.lineno, found.module, alias.name) for alias in found.names)


def found_in(paths, wrong):
    """Where something wrong stands: `file:line what`."""
    return [
        f"{path.relative_to(ROOT)}:{line} {what}"
        for path in paths
        for line, what in wrong(tree(path))
    ]


def reaching(*parts):
    """Imports of these parts of the house."""

    def wrong(node):
        for line, module, name in imports(node):
            if module.partition(".")[0] in parts:
                yield line, f"{module}.{name}" if name else module

    return wrong


@pytest.mark.parametrize(
    ("part", "closed"),
    [
        ("helpers", ("course", "evidence", "tests")),
        ("course", ("evidence", "tests")),
        ("lessons", ("evidence", "tests")),
    ],
)
def test_doors_open_one_way(part, closed):
    paths = [path for path in MODULES if path.is_relative_to(ROOT / part)]
    assert paths
    assert found_in(paths, reaching(*closed)) == []


def test_plotting_stands_alone():
    """Neither torch nor another helper: what a plot needs to know, its caller passes."""
    code = "import sys, helpers.plotting; print([m for m in sys.modules if m.startswith(('helpers.', 'torch'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['helpers.plotting']"
    paths = sorted((ROOT / "helpers").glob("plotting*"))
    assert paths
    assert found_in(paths, reaching("helpers", "torch")) == []


def test_the_first_lesson_starts_without_torch():
    code = "import sys; from course.lesson_cells import run_cells; run_cells('00', 'import'); "
    code += "print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def private(node):
    """Private names that are taken from another module of the house."""
    own = {part: part for part in PARTS}
    for line, module, name in imports(node):
        if module.partition(".")[0] in PARTS:
            own[name or module] = module
            if (name and name.startswith("_")) or any(p.startswith("_") for p in module.split(".")):
                yield line, f"{module}.{name}"
    for found in ast.walk(node):
        if (
            isinstance(found, ast.Attribute)
            and isinstance(found.value, ast.Name)
            and found.value.id in own
            and found.attr.startswith("_")
            and not found.attr.startswith("__")
        ):
            yield found.lineno, f"{found.value.id}.{found.attr}"


def test_nothing_private_crosses_a_module():
    assert found_in(MODULES, private) == []


def hidden(node):
    """Imports inside functions, but for heavy packages and the helpers that bring them along."""
    for function in ast.walk(node):
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for line, module, name in imports(function):
                if module.partition(".")[0] not in HEAVY | {"helpers"}:
                    yield line, f"{module}.{name}" if name else module


def test_imports_stand_at_the_top_but_for_the_heavy_ones():
    paths = [path for path in MODULES if not path.is_relative_to(ROOT / "lessons")]
    assert found_in(paths, hidden) == []


def test_every_name_stands_in_one_module():
    """No package hands on what its modules define; the campaign's door is the one exception."""
    doors = [
        path for path in MODULES if path.name == "__init__.py" and path.parent.name != "campaign"
    ]
    assert doors
    assert found_in(doors, reaching("helpers", "course")) == []


def test_a_module_is_called_as_no_other():
    names = [
        path.stem for path in MODULES if path.parent.name not in ("lessons", "claims", "checks")
    ]
    names = [name for name in names if name not in ("__init__", "__main__")]
    assert sorted(names) == sorted(set(names))


def test_helpers_is_small():
    """An astronomer can read it: loading, simulators, inference, plotting, campaigns."""
    paths = [path for path in MODULES if path.is_relative_to(ROOT / "helpers")]
    lines = sum(path.read_text(encoding="utf-8").count("\n") for path in paths)
    assert 1000 < lines <= 7500
