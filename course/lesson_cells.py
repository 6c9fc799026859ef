"""Run the code of a lesson unchanged, so that claims are tested on the code that is taught."""

import re
from pathlib import Path
from types import SimpleNamespace

__all__ = ["lesson_names", "run_cells"]

LESSONS = Path(__file__).resolve().parents[1] / "lessons"


def run_cells(number, starts, scope=None, change=None):
    """Run cells of a lesson, in the lesson's order, and return the names that they define.

    Args:
        number: number of the lesson, such as "03".
        starts: the beginning of a cell's code: a string, or a tuple of strings.
        scope: existing names, which the cells may use and replace.
        change: {code: other code} to replace in these cells, such as a seed or a smaller number.

    Raises:
        LookupError: if no cell begins like this, or none of the cells has the code to replace, because
            the lesson was rewritten.
    """
    (path,) = LESSONS.glob(f"{number}_*.py")
    scope = {} if scope is None else scope
    starts, change = (starts,) if isinstance(starts, str) else starts, change or {}
    chosen, missing = [], {*starts, *change}
    for cell in re.split(r"^# %%.*\n", path.read_text(encoding="utf-8"), flags=re.M):
        if cell.startswith(starts):
            missing -= {start for start in starts if cell.startswith(start)}
            missing -= {old for old in change if old in cell}
            chosen.append(cell)
    if missing:
        raise LookupError(f"{path.name} has no such code: {sorted(missing)}.")
    for cell in chosen:
        for old, new in change.items():
            cell = cell.replace(old, new)
        exec(compile(cell, path.name, "exec"), scope)
    return scope


def lesson_names(number, *starts, given=None, change=None, **names):
    """Run cells as `run_cells` does, and return their names as attributes.

    The cells may use the names of an earlier call, `given`, and further `names`. `given` is not
    changed, so that several calls can continue from it.
    """
    scope = {**({} if given is None else vars(given)), **names}
    return SimpleNamespace(**run_cells(number, starts, scope, change))
