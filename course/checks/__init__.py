"""Checks of learners' answers, one module per lesson, and the functions that they share.

A check is a function that inspects an answer. If the answer is not right yet, it raises `Hint` with the one sentence
that helps. `exercise` turns this function into the check that the lessons call::

    rate = check.count_rate(rate)

It shows one of three verdicts (right, not yet, not attempted). It returns the learner's answer if it is right, and the
course's answer if not, so that the rest of a notebook always runs.
"""

import ast
import contextlib
import functools
import html
import inspect
import io
import textwrap
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from IPython.display import display

__all__ = [
    "Hint",
    "Verdict",
    "exercise",
    "explained",
    "first_line",
    "speaking",
]

RIGHT, NOT_YET, NOT_ATTEMPTED = "right", "not yet", "not attempted"
# Each colour has a sign and a word, so that nothing depends on colour alone.
_LOOK = {RIGHT: ("✔", "#009E73"), NOT_YET: ("✘", "#D55E00"), NOT_ATTEMPTED: ("○", "#0072B2")}


# Exercises of the lessons in this process, each with its last verdict or None
_verdicts = {}


class Hint(Exception):
    """The answer is not right yet; the message is the sentence that helps."""


@dataclass(frozen=True)
class Verdict:
    """Result of a check: the exercise, the state, a sentence, and a list of the solved exercises."""

    exercise: str
    state: str
    message: str
    solved: str = ""

    def __repr__(self):
        sign, _ = _LOOK[self.state]
        return f"{sign} {self.exercise}: {self.state}. {self.message}".rstrip()

    def _repr_html_(self):
        sign, colour = _LOOK[self.state]
        solved = self.solved and f"<br><small>{html.escape(self.solved)}</small>"
        return (
            f'<div role="status" style="border-left: 5px solid {colour}; padding: 0.3em 0.8em;">'
            f"<b>{sign} {html.escape(self.exercise)}: {self.state}.</b> {html.escape(self.message)}"
            f"{solved}</div>"
        )


def exercise(title, reference, form=lambda answer: answer):
    """Make a check from a function that inspects an answer.

    Args:
        title: name of the exercise in the lesson, such as "Exercise 1.1".
        reference: a function without arguments that returns the course's answer; called at most once.
        form: one of `course.checks.forms`. It converts the answer from any container into the form with which the
            lesson continues, or raises `Hint`; the converted answer is inspected.

    Returns:
        A decorator. Its check takes the answer, displays a `Verdict`, and returns the answer in its form if it is
        right, and the reference if not. It never raises an error because of an answer.

    >>> from course.checks import forms
    >>> @exercise("Exercise 9.9", reference=lambda: 42, form=forms.number())
    ... def the_answer(answer):
    ...     '''The answer to everything.'''
    ...     if answer != 42:
    ...         raise Hint("Ask what you get if you multiply six by seven.")
    >>> the_answer(...)
    ○ Exercise 9.9: not attempted. Fill in the cell and run it again. (The lesson continues with our answer.)
    42
    >>> the_answer(41)
    ✘ Exercise 9.9: not yet. Ask what you get if you multiply six by seven. (The lesson continues with our answer.)
    42
    >>> the_answer([42])
    ✔ Exercise 9.9: right.
    42.0
    """

    def decorate(examine):
        course_answer = functools.cache(reference)
        _verdicts[title] = None

        @functools.wraps(examine)
        def check(answer=...):
            formed = None
            if _unattempted(answer):
                state, message = NOT_ATTEMPTED, "Fill in the cell and run it again."
            else:
                state, message = RIGHT, ""
                try:
                    formed = form(answer)
                    with _quiet_after_the_first_call():
                        examine(formed)
                except Hint as hint:
                    state, message = NOT_YET, str(hint)
                except Exception as error:
                    state = NOT_YET
                    message = (
                        f"Your answer raised {type(error).__name__} {_place(error, answer)}: "
                        f"{first_line(error)}"
                    )
            if state != RIGHT:
                message += " (The lesson continues with our answer.)"
            _verdicts[title] = state
            display(Verdict(title, state, message, _solved(title.rpartition(".")[0])))
            return formed if state == RIGHT else course_answer()

        check.reference, check.form = course_answer, form
        return check

    return decorate


def _solved(lesson):
    """Return a sentence with the exercises of a lesson, such as "Exercise 14", that are right so far."""
    of_lesson = {name: state for name, state in _verdicts.items() if name.startswith(f"{lesson}.")}
    right = [name.split()[-1] for name, state in of_lesson.items() if state == RIGHT]
    return f"Solved so far: {', '.join(right) or 'none'} ({len(right)} of {len(of_lesson)})."


def _place(error, answer):
    """Return where in the learner's code an error was raised: its last line in the traceback."""
    code = getattr(inspect.unwrap(answer), "__code__", None) if callable(answer) else None
    files = {getattr(code, "co_filename", None)}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.line and (frame.filename in files or not Path(frame.filename).exists()):
            line = frame.line if len(frame.line) <= 80 else f"{frame.line[:79]}…"
            return f"in line {frame.lineno} of its cell, `{line}`"
    return "while we tried it"


_calls = None  # number of calls of an answer during a check; None outside checks


@contextlib.contextmanager
def _quiet_after_the_first_call():
    """Let an answer print in its first call only: a check may call it 800 times."""
    global _calls
    _calls = 0
    try:
        yield
    finally:
        _calls = None


@contextlib.contextmanager
def speaking():
    """Context of one call of an answer: in a check only the first call may print. Yields whether a check is active."""
    global _calls
    if _calls:
        with contextlib.redirect_stdout(io.StringIO()):
            yield True
    else:
        _calls = None if _calls is None else 1
        yield _calls is not None


def _unattempted(answer):
    """Return whether the answer is still the stub: `...`, a container of it, or a function with this body."""
    if isinstance(answer, (dict, tuple, list)):
        values = list(answer.values() if isinstance(answer, dict) else answer)
        return bool(values) and all(value is ... for value in values)
    while isinstance(answer, functools.partial):
        answer = answer.func
    return answer is ... or _is_stub(answer)


def _is_stub(function):
    """Return whether a function does nothing, or uses a name that it sets to `...` and nowhere else.

    This needs the source, which IPython keeps for each cell; a function without source is no stub.
    """
    try:
        source = textwrap.dedent(inspect.getsource(function))
        (definition,) = ast.parse(source).body
    except (OSError, TypeError, ValueError, SyntaxError):
        return False  # no source, or a lambda in a line with several statements
    if not isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    if all(map(_does_nothing, definition.body)):
        return True
    names, left, used = Counter(), Counter(), set()
    for node in ast.walk(definition):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and _is_gap(node.value):
            left.update(name.id for name in ast.walk(node) if isinstance(name, ast.Name))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names[node.id] += 1
        elif isinstance(node, ast.Name):
            used.add(node.id)
    return any(names[name] == number and name in used for name, number in left.items())


def _does_nothing(statement):
    match statement:
        case ast.Pass() | ast.Global() | ast.Nonlocal() | ast.Expr(value=ast.Constant()):
            return True  # such as a docstring and `...`
        case ast.Return(value=None | ast.Constant(value=None)):
            return True
        case ast.Return(value=value):
            return _is_gap(value)
    return False


def _is_gap(value):
    """Return whether an expression is `...`, or a container with nothing else."""
    match value:
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Dict(values=elements):
            return bool(elements) and all(map(_is_gap, elements))
        case ast.Constant(value=constant):
            return constant is ...
    return False


@contextlib.contextmanager
def explained(kind, sentences):
    """Turn errors of a kind into the hint whose key is in their message; other errors pass.

    >>> with explained(RuntimeError, {"dtype": "Torch takes no mean of a mask."}):
    ...     raise RuntimeError("could not infer output dtype")
    Traceback (most recent call last):
        ...
    course.checks.Hint: Torch takes no mean of a mask.
    """
    try:
        yield
    except kind as error:
        for part, sentence in sentences.items():
            if part in str(error):
                raise Hint(sentence) from None
        raise


def first_line(error):
    """Return the first line of an error's message: some contain a whole traceback of a library."""
    return str(error).strip().partition("\n")[0]
