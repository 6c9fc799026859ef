"""What all checks share; tests/test_lesson_checks.py holds the tests of the single ones."""

import functools
import linecache
import math

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.compilerop import CachingCompiler

from course import checks
from course.checks import Hint, Verdict, array, exercise, function, number, sorting

ELSEWHERE = 3
# %s is the margin; the second of each pair says whether it is a stub.
BODIES = {
    "...": True,
    "pass": True,
    "return": True,
    "return None": True,
    "return ...": True,
    "nonlocal outer\n%s...": True,
    "y = ...\n%sreturn y": True,
    "y = ...\n%sreturn y + x": True,
    "y: int = ...\n%sreturn y": True,
    "y, z = ..., ...\n%sreturn y, z": True,
    "y = {'a': ..., 'b': ...}\n%sreturn y": True,
    "for y in x:\n%s    z = ...\n%sreturn z": True,
    "y = 2 * x\n%sz = ...\n%sreturn y + z": True,
    "y = ...\n%sreturn lambda: y": True,
    "return x": False,
    "return outer": False,
    "2 * x": False,
    "...\n%sreturn x": False,
    "y = ...\n%sy = 2 * x\n%sreturn y": False,
    "y = ...\n%sfor y in x:\n%s    pass\n%sreturn y": False,
    "x[...] = 0\n%sreturn x[..., 0]": False,
    "y = x[...]\n%sreturn y": False,
    "y = {'a': ..., 'b': x}\n%sreturn y": False,
    "def inner(): ...\n%sreturn inner": False,
    "def inner():\n%s    y = ...\n%s    return y\n%sreturn inner": True,
    "raise NotImplementedError": False,
}


@pytest.fixture
def state(monkeypatch):
    """What a check that is content with everything says of an answer."""
    shown = []
    monkeypatch.setattr(checks, "display", shown.append)

    @exercise("", reference=lambda: None)
    def check(answer):
        """Anything."""

    def ask(answer):
        check(answer)
        return shown.pop().state

    return ask


def defined(source, name="f", in_a_notebook=True):
    """What the source of a cell defines, as IPython runs it; or as `exec` does, which keeps no source."""
    file = CachingCompiler().cache(source, 0) if in_a_notebook else "<string>"
    scope = {}
    exec(compile(source, file, "exec"), scope)
    return scope[name]


@pytest.mark.parametrize("body", BODIES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    st.sampled_from(["", "'Twice x.'", '"""One.\n\n    y = ...\n    """']),
    st.sampled_from(["", "@cache\n", "@decorated\n", "@decorated\n@cache\n"]),
    st.sampled_from(["def f(x)", "async def f(x, *, y=..., **rest)", "def f(x: int = 1) -> int"]),
    st.sampled_from(["f", "partial(f, 1)", "partial(partial(f), 1)"]),
    st.integers(0, 3),
    st.booleans(),
)
def test_a_function_is_a_stub_if_its_source_says_so(
    state, body, docstring, decorators, head, made, lines, kept
):
    margin = " " * 8
    body = body.replace("%s", margin)
    inside = f"{margin}{docstring}\n{margin}{body}" if docstring else f"{margin}{body}"
    marked = "".join(f"    {line}\n" for line in decorators.splitlines())
    source = (
        "from functools import cache, partial, wraps\n" + "\n" * lines + "def decorated(f):\n"
        "    return wraps(f)(lambda *x: f(*x))\n"
        "def f(x): return x  # an earlier one\n"
        f"def make(outer):\n{marked}    {head}:\n{inside}\n    return {made}\nf = make(1)\n"
    )
    stub = BODIES[body.replace(margin, "%s")]
    wanted = "not attempted" if stub and kept else "right"
    assert state(defined(source, in_a_notebook=kept)) == wanted


class Methods:
    def stub(self, x):
        """Return twice x."""

    def answer(self, x):
        return 2 * x


UNATTEMPTED = {
    "...": ...,
    "tuple": (..., ...),
    "list": [...],
    "dict": {"a": ..., "b": ...},
    "method": Methods().stub,
    "method of the class": Methods.stub,
    "partial": functools.partial(Methods().stub, 1),
}


def forgets_return(x):
    2 * x


ATTEMPTED = {
    "None": None,
    "zero": 0,
    "empty tuple": (),
    "empty dict": {},
    "one of two": (1, ...),
    "one of two keys": {"a": 1, "b": ...},
    "array": np.array([...], dtype=object),
    "constant": lambda x: 1,
    "global": lambda x: ELSEWHERE,
    "argument": lambda x: x,
    "ellipsis as an index": lambda x: x[...],
    "closure": (lambda y: lambda x: y)(...),
    "lambda": lambda x: ...,
    "method": Methods().answer,
    "partial": functools.partial(forgets_return, 1),
    "partial of a built-in": functools.partial(int, base=2),
    "instance": Methods(),
    "class": Methods,
    "built-in": len,
}


@pytest.mark.parametrize("answer", UNATTEMPTED.values(), ids=UNATTEMPTED)
def test_unattempted(state, answer):
    assert state(answer) == "not attempted"


@pytest.mark.parametrize("answer", ATTEMPTED.values(), ids=ATTEMPTED)
def test_attempted(state, answer):
    assert state(answer) == "right"


def test_a_line_that_is_no_python_hides_no_stub(state):
    stub = defined("def f(x): ...\n")
    file = stub.__code__.co_filename
    linecache.cache[file] = (9, None, ["def f(x): ...\n", "!ls\n"], file)
    assert state(stub) == "not attempted"


@pytest.fixture
def check():
    """A check of the answer 42, with the number of calls of its reference in `check.calls`."""

    def reference():
        check.calls += 1
        return "ours"

    @exercise("Exercise <1>", reference)
    def check(answer):
        """The answer to everything."""
        if callable(answer):
            answer = function(answer)()
        if number(answer) != 42:
            raise Hint("Six < seven & so on.")

    check.calls = 0
    return check


def right():
    return 42


@pytest.mark.parametrize(
    ("answer", "returned", "said"),
    [
        ([42], 42, "✔ Exercise <1>: right.\n"),
        ([right], right, "✔ Exercise <1>: right.\n"),
        ([41], "ours", "✘ Exercise <1>: not yet. Six < seven & so on."),
        ([], "ours", "○ Exercise <1>: not attempted. Fill in the cell"),
        ([...], "ours", "○ Exercise <1>: not attempted. Fill in the cell"),
    ],
)
def test_a_check_shows_its_verdict_and_returns_what_the_lesson_goes_on_with(
    check, capsys, answer, returned, said
):
    assert check(*answer) is returned
    assert capsys.readouterr().out.startswith(said)


def test_the_reference_is_called_once(check):
    assert [check(41), check(...), check("a"), check.reference()] == ["ours"] * 4
    assert check.calls == 1


def raises(error):
    """A function that raises the error when it is called."""

    def answer():
        raise error

    return answer


BAD = {
    "nothing returned": (
        lambda: forgets_return(2),
        "function returns None: does it end in `return`?",
    ),
    "ValueError": (raises(ValueError("no")), "answer raised ValueError while we tried it: no"),
    "a long story": (
        raises(ValueError("all\nof a library's traceback")),
        "answer raised ValueError while we tried it: all (The",
    ),
    "AssertionError": (raises(AssertionError()), "answer raised AssertionError"),
    "StopIteration": (raises(StopIteration()), "answer raised StopIteration"),
    "too deep": (lambda: (f := lambda: f())(), "answer raised RecursionError"),
    "too many arguments": (lambda x: 42, "answer raised TypeError"),
}


@pytest.mark.parametrize(("answer", "message"), BAD.values(), ids=BAD)
def test_an_answer_that_fails_gets_a_sentence(check, capsys, answer, message):
    assert check(answer) == "ours"
    assert f"Your {message}" in capsys.readouterr().out


def test_the_learner_can_still_interrupt(check):
    with pytest.raises(KeyboardInterrupt):
        check(raises(KeyboardInterrupt()))


def test_the_check_keeps_its_name_and_docstring(check):
    assert (check.__name__, check.__doc__) == ("check", "The answer to everything.")


def test_verdicts_in_html_and_in_plain_text_and_no_two_look_the_same():
    states = ("right", "not yet", "not attempted")
    verdicts = [Verdict("Exercise <1>", state, 'x < "y" & z') for state in states]
    for state, verdict in zip(states, verdicts, strict=True):
        assert f"Exercise &lt;1&gt;: {state}." in verdict._repr_html_()
        assert "x &lt; &quot;y&quot; &amp; z" in verdict._repr_html_()
        assert repr(verdict)[1:] == f' Exercise <1>: {state}. x < "y" & z'
    assert len({repr(verdict)[0] for verdict in verdicts}) == 3
    assert len({verdict._repr_html_().partition("Exercise")[0] for verdict in verdicts}) == 3


NUMBERS = [
    *(3, 3.0, np.float32(3), np.int64(3), np.array(3), pd.Series([3.0]).iloc[0]),
    torch.tensor(3.0, requires_grad=True),
]


@pytest.mark.parametrize("answer", NUMBERS)
def test_number(answer):
    value = number(answer)
    assert value == 3
    assert type(value) is float


NO_NUMBERS = [
    *(None, ..., "3", [3], [[1], [2, 3]], {"a": 3}, lambda: 3),
    *(math.nan, -np.inf, True, np.bool_(True), 3 + 0j, pd.NaT, pd.NA, 3 * u.s),
    *(np.ones(1), torch.ones(1), pd.Series([3])),
]


@pytest.mark.parametrize("answer", NO_NUMBERS)
def test_no_number(answer):
    with pytest.raises(Hint, match=r"^Expected a rate"):
        number(answer, "a rate")


ARRAYS = [
    *([1, 2], (1.0, 2.0), np.array([1, 2], dtype=np.int16), pd.Series([1, 2], index=["b", "a"])),
    *(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0], requires_grad=True)),
]


@pytest.mark.parametrize("answer", ARRAYS)
def test_array(answer):
    values = array(answer, (2,))
    assert values.dtype == float
    assert values.tolist() == [1, 2]


NO_ARRAYS = [
    *(None, "ab", ["1", "2"], {"a": 1, "b": 2}, len, [1, ...], [1, 2] * u.s),
    *([1, 2, 3], [[1], [2]], [[1], [2, 3]]),
    *([1, math.nan], [1, math.inf], [1j, 2], np.array([1j, 2])),
]


@pytest.mark.parametrize("answer", NO_ARRAYS)
def test_no_array(answer):
    with pytest.raises(Hint, match=r"^Expected two rates"):
        array(answer, (2,), "two rates")


def test_function_hands_on_what_the_answer_returns_and_takes_nothing_else():
    assert function(divmod)(7, 2) == (3, 1)
    for answer in (None, 3, "f", [len]):
        with pytest.raises(Hint, match="Expected a function; your answer is of type"):
            function(answer)


def test_sorting(monkeypatch):
    shown = []
    monkeypatch.setattr("course.checks.display", shown.append)
    check = sorting("Exercise 9.9", {"a": ("x", "A!"), "b": ("y", "B!"), "c": ("x", "C!")})
    right = {"a": "x", "b": "y", "c": "x"}
    for answer, state, message in (
        (right, "right", ""),
        (3, "not yet", "Expected a dictionary with the keys 'a', 'b', 'c'"),
        ({"a": "x"}, "not yet", "Expected a dictionary with the keys 'a', 'b', 'c'"),
        ({**right, "b": ...}, "not yet", "'b' has no answer yet"),
        ({**right, "b": "z"}, "not yet", "'b': expected one of 'x', 'y', not 'z'"),
        ({**right, "b": ["y"]}, "not yet", "'b': expected one of 'x', 'y', not"),
        ({**right, "b": "x", "c": "y"}, "not yet", "1 of 3 are right. Think again of 'b': B!"),
    ):
        assert check(answer) == right
        assert shown[-1].state == state
        assert shown[-1].message.startswith(message)
