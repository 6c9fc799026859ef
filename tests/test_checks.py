"""What all checks share; tests/test_lesson_checks.py holds the tests of the single ones."""

import math

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
import torch

from course import checks
from course.checks import Hint, Verdict, array, exercise, function, number, sorting

ELSEWHERE = 3


def stub_with_docstring(x):
    """Return twice x."""


def stub_with_ellipsis(x):
    """Return twice x."""
    ...


def stub_with_pass(x):
    pass


def stub_that_returns_ellipsis(x):
    return ...


def stub_that_returns_none(x):
    return None


def stub_within_a_function(x):
    y = ...
    return y + x


def stub_with_defaults(x, *, y=2, **rest): ...


def make_stubs(outer):
    """A stub with a free variable, and one with a variable that an inner function sees."""

    def closure(x):
        nonlocal outer
        ...

    def cell(x):
        y = ...
        return lambda: y

    return closure, cell


UNATTEMPTED = {
    "...": ...,
    "tuple": (..., ...),
    "list": [...],
    "dict": {"a": ..., "b": ...},
    "docstring only": stub_with_docstring,
    "ellipsis": stub_with_ellipsis,
    "pass": stub_with_pass,
    "return ...": stub_that_returns_ellipsis,
    "return None": stub_that_returns_none,
    "y = ...": stub_within_a_function,
    "keywords": stub_with_defaults,
    "closure": make_stubs(1)[0],
    "cell": make_stubs(1)[1],
    "lambda": lambda x: ...,
    "lambda with a default": lambda x=ELSEWHERE: ...,
}


def forgets_return(x):
    2 * x


def indexes_with_ellipsis(x):
    x[...] = 0
    first = x[...]
    return first, x[..., 0]


ATTEMPTED = {
    "None": None,
    "zero": 0,
    "empty tuple": (),
    "empty dict": {},
    "one of two": (1, ...),
    "one of two keys": {"a": 1, "b": ...},
    "array": np.array([...], dtype=object),
    "forgotten return": forgets_return,
    "ellipsis as an index": indexes_with_ellipsis,
    "constant": lambda x: 1,
    "global": lambda x: ELSEWHERE,
    "argument": lambda x: x,
    "closure": (lambda y: lambda x: y)(...),
    "built-in": len,
    "class": int,
}


@pytest.mark.parametrize("answer", UNATTEMPTED.values(), ids=UNATTEMPTED)
def test_unattempted(answer):
    assert checks._unattempted(answer)


@pytest.mark.parametrize("answer", ATTEMPTED.values(), ids=ATTEMPTED)
def test_attempted(answer):
    assert not checks._unattempted(answer)


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


def test_right(check, capsys):
    assert check(42) == 42
    assert capsys.readouterr().out == "✔ Exercise <1>: right.\n"
    assert check.calls == 0


def test_right_returns_the_answer_itself(check):
    def answer():
        return 42

    assert check(answer) is answer


def test_not_yet(check, capsys):
    assert check(41) == "ours"
    assert capsys.readouterr().out.startswith("✘ Exercise <1>: not yet. Six < seven & so on.")


@pytest.mark.parametrize("answer", [(), (...,)], ids=["no argument", "..."])
def test_not_attempted(check, capsys, answer):
    assert check(*answer) == "ours"
    assert capsys.readouterr().out.startswith("○ Exercise <1>: not attempted. Fill in the cell")


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
        "Your function returns None: does it end in `return`?",
    ),
    "ValueError": (raises(ValueError("no")), "Your answer raised ValueError while we tried it: no"),
    "a long story": (
        raises(ValueError("all\nof a library's traceback")),
        "Your answer raised ValueError while we tried it: all (The",
    ),
    "AssertionError": (raises(AssertionError()), "Your answer raised AssertionError"),
    "StopIteration": (raises(StopIteration()), "Your answer raised StopIteration"),
    "too deep": (lambda: (f := lambda: f())(), "Your answer raised RecursionError"),
    "too many arguments": (lambda x: 42, "Your answer raised TypeError"),
}


@pytest.mark.parametrize(("answer", "message"), BAD.values(), ids=BAD)
def test_an_answer_that_fails_gets_a_sentence(check, capsys, answer, message):
    assert check(answer) == "ours"
    assert message in capsys.readouterr().out


def test_the_learner_can_still_interrupt(check):
    with pytest.raises(KeyboardInterrupt):
        check(raises(KeyboardInterrupt()))


def test_the_check_keeps_its_name_and_docstring(check):
    assert (check.__name__, check.__doc__) == ("check", "The answer to everything.")


@pytest.mark.parametrize("state", ["right", "not yet", "not attempted"])
def test_verdict_in_html_and_in_plain_text(state):
    verdict = Verdict("Exercise <1>", state, 'x < "y" & z')
    assert f"Exercise &lt;1&gt;: {state}." in verdict._repr_html_()
    assert "x &lt; &quot;y&quot; &amp; z" in verdict._repr_html_()
    assert repr(verdict)[1:] == f' Exercise <1>: {state}. x < "y" & z'


def test_no_two_states_look_the_same():
    states = ("right", "not yet", "not attempted")
    assert len({repr(Verdict("", state, ""))[0] for state in states}) == 3
    assert len({Verdict("", state, "")._repr_html_() for state in states}) == 3


NUMBERS = {
    "int": 3,
    "float": 3.0,
    "numpy": np.float32(3),
    "numpy int": np.int64(3),
    "0-d array": np.array(3),
    "torch": torch.tensor(3.0, requires_grad=True),
    "pandas": pd.Series([3.0]).iloc[0],
}


@pytest.mark.parametrize("answer", NUMBERS.values(), ids=NUMBERS)
def test_number(answer):
    value = number(answer)
    assert value == 3
    assert type(value) is float


NO_NUMBERS = {
    "None": None,
    "text": "3",
    "list": [3],
    "ragged list": [[1], [2, 3]],
    "array": np.ones(1),
    "tensor": torch.ones(1),
    "series": pd.Series([3]),
    "dictionary": {"a": 3},
    "function": lambda: 3,
    "NaN": math.nan,
    "infinity": -np.inf,
    "bool": True,
    "numpy bool": np.bool_(True),
    "complex": 3 + 0j,
    "NaT": pd.NaT,
    "NA": pd.NA,
    "quantity": 3 * u.s,
    "ellipsis": ...,
}


@pytest.mark.parametrize("answer", NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_no_number(answer):
    with pytest.raises(Hint, match=r"^Expected a rate"):
        number(answer, "a rate")


ARRAYS = {
    "list": [1, 2],
    "tuple": (1.0, 2.0),
    "numpy": np.array([1, 2], dtype=np.int16),
    "torch": torch.tensor([1.0, 2.0]),
    "gradient": torch.tensor([1.0, 2.0], requires_grad=True),
    "pandas": pd.Series([1, 2], index=["b", "a"]),
}


@pytest.mark.parametrize("answer", ARRAYS.values(), ids=ARRAYS)
def test_array(answer):
    values = array(answer, (2,))
    assert values.dtype == float
    assert values.tolist() == [1, 2]


NO_ARRAYS = {
    "None": None,
    "text": "ab",
    "list of text": ["1", "2"],
    "too long": [1, 2, 3],
    "column": [[1], [2]],
    "ragged": [[1], [2, 3]],
    "NaN": [1, math.nan],
    "infinity": [1, math.inf],
    "complex": [1j, 2],
    "complex array": np.array([1j, 2]),
    "dictionary": {"a": 1, "b": 2},
    "function": len,
    "ellipsis": [1, ...],
    "quantity": [1, 2] * u.s,
}


@pytest.mark.parametrize("answer", NO_ARRAYS.values(), ids=NO_ARRAYS)
def test_no_array(answer):
    with pytest.raises(Hint, match=r"^Expected two rates"):
        array(answer, (2,), "two rates")


@pytest.mark.parametrize("answer", [None, 3, "f", [len]])
def test_no_function(answer):
    with pytest.raises(Hint, match="Expected a function; your answer is of type"):
        function(answer)


def test_function_hands_on_what_the_answer_returns():
    assert function(divmod)(7, 2) == (3, 1)


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
