"""What all checks share; tests/test_lesson_checks.py holds the tests of the single ones."""

import copy
import functools
import inspect
import linecache
import math
from fractions import Fraction
from typing import ClassVar

import astropy.units as u
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.compilerop import CachingCompiler

from course import checks
from course.checks import Hint, Verdict, exercise, forms
from course.checks.examples import apart, by_example, by_value, repeatable, shaped, sorting

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
    "y = ...  # left over\n%sreturn 2 * x": False,
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


@pytest.mark.parametrize(
    "source",
    [
        "f = lambda x: x; g = f",
        "import math; f = lambda x: x",
        "f, g = lambda x: x, lambda x: 2 * x",
    ],
)
def test_a_lambda_beside_something_else_is_an_answer(state, source):
    assert state(defined(source)) == "right"


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
            answer = forms.function()(answer)()
        if forms.number()(answer) != 42:
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
    "ValueError": (
        raises(ValueError("no")),
        "answer raised ValueError in line {line} of its cell, `raise error`: no",
    ),
    "a long story": (
        raises(ValueError("all\nof a library's traceback")),
        "answer raised ValueError in line {line} of its cell, `raise error`: all (The",
    ),
    "AssertionError": (raises(AssertionError()), "answer raised AssertionError"),
    "StopIteration": (raises(StopIteration()), "answer raised StopIteration"),
    "too deep": (lambda: (f := lambda: f())(), "answer raised RecursionError"),
    "too many arguments": (lambda x: 42, "answer raised TypeError"),
}


@pytest.mark.parametrize(("answer", "message"), BAD.values(), ids=BAD)
def test_an_answer_that_fails_gets_a_sentence(check, capsys, answer, message):
    assert check(answer) == "ours"
    line = raises.__code__.co_firstlineno + 4
    assert f"Your {message.format(line=line)}" in capsys.readouterr().out


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
        assert "<small>" not in verdict._repr_html_()  # an empty line, where nothing is listed
        assert repr(verdict)[1:] == f' Exercise <1>: {state}. x < "y" & z'
    assert len({repr(verdict)[0] for verdict in verdicts}) == 3
    assert len({verdict._repr_html_().partition("Exercise")[0] for verdict in verdicts}) == 3


def test_a_verdict_lists_what_is_solved_so_far(monkeypatch):
    shown = []
    monkeypatch.setattr(checks, "display", shown.append)
    monkeypatch.setattr(checks, "_verdicts", {})

    def is_one(answer):
        if answer != 1:
            raise Hint("It is one.")

    first, second = (exercise(f"Exercise 98.{i}", lambda: 1)(is_one) for i in (1, 2))
    exercise("Exercise 9.8", lambda: 1)(is_one)(1)
    for check, answer in ((second, 1), (first, 2), (first, 1), (second, ...)):
        check(answer)
    assert [verdict.solved for verdict in shown] == [
        "Solved so far: 9.8 (1 of 1).", "Solved so far: 98.2 (1 of 2).", "Solved so far: 98.2 (1 of 2).",
        "Solved so far: 98.1, 98.2 (2 of 2).", "Solved so far: 98.1 (1 of 2).",
    ]  # fmt: skip
    assert "<small>Solved so far: 9.8 (1 of 1).</small>" in shown[0]._repr_html_()


SPOILT = {
    "array": (np.ones(3), lambda x: x.sort() or x.__setitem__(0, 5)),
    "tensor": (torch.ones(3), lambda x: x.mul_(2)),
    "gradient": (torch.ones(3), lambda x: x.requires_grad_()),
    "table": (pd.DataFrame({"a": [1, 2]}), lambda x: x.insert(0, "b", 3)),
    "index": (pd.Series([1, 2]), lambda x: setattr(x, "index", [5, 6])),
    "strings": (np.array(["b", "a"]), lambda x: x.sort()),
}


@pytest.mark.parametrize(("given", "spoil"), SPOILT.values(), ids=SPOILT)
def test_a_function_that_changes_what_it_was_given_is_told_so(given, spoil, capsys):
    @exercise("", reference=lambda: None, form=forms.function())
    def check(answer):
        """Asked once."""
        assert answer(given, 1) == 2

    def spoils_it(x, y):
        spoil(x)
        return 2

    check(lambda x, y: 2)
    check(spoils_it)
    said = capsys.readouterr().out.splitlines()
    assert [line[:1] for line in said] == ["✔", "✘"]
    assert "work on a copy" in said[1]


def noisy(x):
    print("said")
    return 2 * x


def test_an_answer_prints_in_its_first_call_only_while_it_is_tried(capsys):
    @exercise("", reference=lambda: None, form=forms.function())
    def check(answer):
        """Asked three times."""
        assert [answer(x) for x in range(3)] == [0, 2, 4]

    returned = check(noisy)
    assert capsys.readouterr().out == "said\n✔ : right.\n"
    assert [returned(x) for x in range(2)] == [0, 2]
    assert capsys.readouterr().out == "said\nsaid\n"  # in the lesson it prints as it likes


def test_an_error_names_the_line_of_the_learner_and_its_text(check, capsys):
    answer = defined("def f():\n    y = 0\n    return 42 / y\n")
    check(answer)
    assert "ZeroDivisionError in line 3 of its cell, `return 42 / y`: " in capsys.readouterr().out


def test_an_error_in_another_cell_of_the_learner_is_found_too(check, capsys):
    helper = defined("def g():\n    return [][0]\n", name="g")
    check(lambda: helper())
    assert "IndexError in line 2 of its cell, `return [][0]`: " in capsys.readouterr().out


class TestForms:
    NUMBERS: ClassVar = [
        *(3, 3.0, np.float32(3), np.int64(3), np.array(3), pd.Series([3.0]).iloc[0]),
        *([3], (3.0,), np.ones((1, 1)) * 3, pd.Series([3], index=["a"]), torch.tensor([3])),
        *(torch.tensor(3.0, requires_grad=True), Fraction(3), pd.DataFrame({"a": [3]})),
    ]

    @pytest.mark.parametrize("answer", NUMBERS, ids=lambda value: type(value).__name__)
    def test_number(self, answer):
        for kind in (float, int):
            value = forms.number(kind=kind)(answer)
            assert value == 3
            assert type(value) is kind

    NO_NUMBERS: ClassVar = [
        *(..., "3", [1, 3], [[1], [2, 3]], [], {"a": 3}, lambda: 3, {3}, ["3"], object()),
        *(True, np.bool_(True), 3 + 0j, 3 * u.s, torch.ones(2), pd.Timestamp(2020, 1, 1)),
    ]

    @pytest.mark.parametrize("answer", NO_NUMBERS, ids=lambda value: type(value).__name__)
    def test_no_number(self, answer):
        with pytest.raises(Hint, match=r"^Expected a rate"):
            forms.number("a rate")(answer)

    @pytest.mark.parametrize(
        "answer", [None, math.nan, pd.NA, pd.NaT, [None]], ids=lambda value: type(value).__name__
    )
    def test_no_value_is_nan(self, answer):
        assert math.isnan(forms.number()(answer))
        with pytest.raises(Hint, match="whole numbers"):
            forms.number(kind=int)(answer)

    ARRAYS: ClassVar = [
        *([1, None], (1.0, math.nan), np.array([1, np.nan], dtype=np.float32)),
        *(pd.Series([1, None], index=["b", "a"]), pd.array([1, None], dtype="Int64")),
        *(np.ma.array([1, 7], mask=[False, True]), [torch.tensor(1.0), torch.tensor(math.nan)]),
        *(
            torch.tensor([1.0, math.nan], requires_grad=True),
            iter([1, None]),
            {"a": 1, "b": None}.values(),
        ),
        *([np.array(1), pd.NA], np.array([1, np.nan, 5, 6])[:2][::1]),
    ]

    @pytest.mark.parametrize("answer", ARRAYS, ids=lambda value: type(value).__name__)
    def test_array(self, answer):
        values = forms.array()(answer)
        assert type(values) is np.ndarray
        assert values.dtype == float
        np.testing.assert_array_equal(values, [1, np.nan])

    NO_ARRAYS: ClassVar = [
        *("ab", ["1", "2"], {"a": 1, "b": 2}, len, [1, ...], [1, 2] * u.s, [[1], [2, 3]], {1, 2}),
        *(
            [1j, 2],
            np.array([1j, 2]),
            [1, "2"],
            [object()],
            np.array(["2020"], dtype="datetime64[D]"),
        ),
    ]

    @pytest.mark.parametrize("answer", NO_ARRAYS, ids=lambda value: type(value).__name__)
    def test_no_array(self, answer):
        with pytest.raises(Hint, match=r"^Expected two rates"):
            forms.array("two rates")(answer)

    @pytest.mark.parametrize(
        ("kind", "answer", "wanted"),
        [
            (int, [1.0, 2.0], [1, 2]),
            (int, torch.tensor([1, 2]), [1, 2]),
            (bool, [1, 0], [True, False]),
            (bool, pd.Series([True, False]), [True, False]),
            (bool, torch.tensor([1.0, 0.0]), [True, False]),
            (str, pd.Series(["a", "bc"]), ["a", "bc"]),
            (str, np.array(["a", "bc"], dtype=object), ["a", "bc"]),
            (float, [True, False], [1.0, 0.0]),
        ],
    )
    def test_arrays_of_other_kinds(self, kind, answer, wanted):
        values = forms.array(kind=kind)(answer)
        assert values.dtype.kind == np.dtype(kind).kind
        assert values.tolist() == wanted

    @pytest.mark.parametrize(
        ("kind", "answer"),
        [
            *((int, [1.5, 2]), (int, [1, None]), (int, [True, False]), (bool, [2, 0])),
            *((bool, ["True"]), (str, [1, 2]), (str, ["a", None])),
        ],
    )
    def test_no_arrays_of_other_kinds(self, kind, answer):
        with pytest.raises(Hint, match="Expected states"):
            forms.array("states", kind)(answer)

    @pytest.mark.parametrize("form", [forms.array(), forms.tensor()], ids=["array", "tensor"])
    def test_rows_of_pandas_come_in_the_order_of_those_given(self, form):
        given = pd.DataFrame({"x": [1.0, 2, 3]}, index=[7, 8, 9])
        assert form(given.x[::-1], (0, given)).tolist() == [1, 2, 3]
        assert form(given[::-1], (given.x,)).tolist() == [[1], [2], [3]]
        numbered = pd.Series([3.0, 2, 1], index=[2, 1, 0])  # sorted, and their numbers kept
        assert form(numbered, (given.to_numpy(),)).tolist() == [1, 2, 3]
        other = pd.Series([3.0, 2, 1])  # rows of its own: as they come
        assert form(other, (given,)).tolist() == [3, 2, 1]

    @pytest.mark.parametrize(
        "answer", [[1.5, 2], np.array([1.5, 2]), pd.Series([1.5, 2])], ids=repr
    )
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_a_tensor_has_the_dtype_of_what_was_given(self, answer, dtype):
        value = forms.tensor()(
            answer, (3, torch.ones(2, dtype=torch.int64), torch.ones(2, dtype=dtype))
        )
        assert value.dtype == dtype
        assert value.tolist() == [1.5, 2]

    def test_a_tensor_keeps_its_graph_only_where_the_lesson_needs_it(self):
        x = torch.ones(2, requires_grad=True)
        assert forms.tensor(gradient=True)(2 * x, (x,)).requires_grad
        assert not forms.tensor()(2 * x, (x,)).requires_grad
        assert forms.tensor(gradient=True)([2 * x[0], x[1]], (x,)).requires_grad
        for wrong in ([x, torch.ones(3)], "ab", 1j * x.detach()):
            with pytest.raises(Hint, match="Expected a loss"):
                forms.tensor("a loss")(wrong, (x,))

    def test_table(self):
        given = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
        form = forms.table(columns=lambda table: table)
        for answer in (given[["b", "a"]], {"b": [3, 4], "a": [1, 2]}, given[::-1]):
            pd.testing.assert_frame_equal(form(answer, (given,)), given)
        for wrong in (given.to_numpy(), given.a, {"a": [1], "b": [1, 2]}, None):
            with pytest.raises(Hint, match="Expected a table"):
                form(wrong, (given,))
        assert list(form(given[["a"]], (given,))) == ["a"]  # the check says what is missing

    def test_tuple_of(self):
        form = forms.tuple_of("mean and error", forms.number("a mean"), forms.number("an error"))
        for answer in (
            (1, 2),
            [1, 2],
            np.array([1, 2]),
            pd.Series([1, 2], index=["a", "b"]),
            torch.tensor([1.0, 2]),
        ):
            assert form(answer) == (1.0, 2.0)
        assert form(pd.DataFrame({"a": [1], "b": [2]})) == (1.0, 2.0)
        for wrong in ((1,), (1, 2, 3), 1, "ab", {"a": 1, "b": 2}, None):
            with pytest.raises(Hint, match="Expected 2 things: mean and error"):
                form(wrong)
        with pytest.raises(Hint, match="Expected an error"):
            form((1, "b"))

    def test_mapping(self):
        form = forms.mapping({"a": forms.number(), "b": forms.number()})
        assert form({"b": [2], "a": 1}) == {"a": 1.0, "b": 2.0} == form(pd.Series({"a": 1, "b": 2}))
        for wrong, hint in (
            ({"a": 1}, "1 of 2 keys are missing, such as 'b'"),
            ({"a": 1, "b": 2, "c": 3}, "a key too many, 'c'"),
            ([1, 2], "Expected a dictionary; your answer is of type list"),
        ):
            with pytest.raises(Hint, match=hint):
                form(wrong)
        with pytest.raises(Hint, match="'b' has no answer yet"):
            form({"a": 1, "b": ...})

    def test_function(self):
        """It stays the learner's own in name and signature, and works as one under a keyword, too."""

        def twice(x, *, times=2):
            """Twice."""
            return [times * x]

        call = forms.function(forms.number("a number"))(twice)
        assert (call(3), call(3, times=3), call.__name__, call.__doc__) == (
            6.0,
            9.0,
            "twice",
            "Twice.",
        )
        assert list(inspect.signature(call).parameters) == ["x", "times"]
        assert forms.function()(divmod)(7, 2) == (3, 1)
        assert forms.function(forms.number())(functools.partial(twice, times=1))(3) == 3
        for answer in (None, 3, "f", [len]):
            with pytest.raises(Hint, match="Expected a function; your answer is of type"):
                forms.function()(answer)
        with pytest.raises(Hint, match="does it end in `return`"):
            forms.function()(forgets_return)(2)


def test_sorting(monkeypatch):
    shown = []
    monkeypatch.setattr("course.checks.display", shown.append)
    check = sorting("Exercise 9.9", {"a": ("x", "A!"), "b": ("y", "B!"), "c": ("x", "C!")})
    right = {"a": "x", "b": "y", "c": "x"}
    for answer, state, message in (
        (right, "right", ""),
        ({"a": " X", "b": "Y ", "c": "x"}, "right", ""),
        (pd.Series(right), "right", ""),
        ({"a": "‘X’", "b": "y.", "c": "x"}, "right", ""),
        (3, "not yet", "Expected a dictionary; your answer is of type int"),
        ({"a": "x"}, "not yet", "2 of 3 keys are missing, such as 'b'"),
        ({**right, "b": ...}, "not yet", "'b' has no answer yet"),
        ({**right, "b": "z"}, "not yet", "'b': expected one of 'x', 'y', not 'z'"),
        ({**right, "b": ["y"]}, "not yet", "'b': expected one of 'x', 'y', not"),
        ({**right, "b": "x", "c": "y"}, "not yet", "1 of 3 are right. Think again of 'b': B!"),
    ):
        assert check(answer) == right
        assert shown[-1].state == state
        assert shown[-1].message.startswith(message)


def mean_and_error(x, n):
    """A function: x (n,), number -> mean, error."""
    return x.mean(), x.std() / n**0.5


@pytest.fixture
def tabled(monkeypatch):
    """Ask a check by example: an answer, and what the check says of it."""
    shown = []
    monkeypatch.setattr("course.checks.display", shown.append)
    check = by_example(
        "Exercise 9.9",
        mean_and_error,
        lambda: [(np.array([1.0, 2, 4]), 3), (np.array([5.0, 7, 8, 8]), 4)],
        {
            "The sum: divide.": lambda x, n: (x.sum(), x.std() / n**0.5),
            "The scatter of one: divide.": lambda x, n: (x.mean(), x.std()),
            "It stops.": lambda x, n: 1 / 0,
            "One thing is missing.": lambda x, n: x.mean(),
            "NaN!": lambda x, n: (x.mean(), np.nan),
        },
        returns=forms.tuple_of("mean and error", forms.number("a mean"), forms.number("an error")),
        otherwise="With n = {1} part {part} is {ours}, not {yours}.",
        signs={"Negative!": lambda found, x, n: found[1] < 0},
        rtol=1e-3,
    )

    def ask(answer):
        check(answer)
        return shown.pop().message.removesuffix(" (The lesson continues with our answer.)")

    return ask


def spoils_its_input(x, n):
    found = mean_and_error(x, n)
    x[:] = 0
    return found


TRIED = {
    "right": (lambda x, n: [x.mean() * 1.00001, x.std() / n**0.5], ""),
    "a mistake": (lambda x, n: (x.sum(), x.std() / n**0.5), "The sum: divide."),
    "two mistakes at once": (lambda x, n: (x.sum(), x.std()), "With n = 3 part 0 is 2.33, not 7."),
    "a mistake in one part, another container": (
        lambda x, n: np.array([x.mean(), x.std()]),
        "The scatter of one",
    ),
    "a mistake that raises": (lambda x, n: 2 / 0, "It stops."),
    "another error": (lambda x, n: [][1], "Your answer raised IndexError in line"),
    "a mistake of form": (lambda x, n: 3.0, "One thing is missing."),
    "NaN": (lambda x, n: (x.mean(), math.nan), "NaN!"),
    "a sign": (lambda x, n: (0.0, -1.0), "Negative!"),
    "digits that look equal": (
        lambda x, n: (x.mean() * 0.9988, x.std() / n**0.5),
        "With n = 3 part 0 is 2.333, not 2.331.",
    ),
    "spoilt input": (spoils_its_input, "Your function changes what it was given"),
    "wrong in the second question": (lambda x, n: mean_and_error(x, 3), "With n = 4 part 1 is"),
}


@pytest.mark.parametrize(("answer", "message"), TRIED.values(), ids=TRIED)
def test_a_check_by_example(tabled, answer, message):
    assert tabled(answer).startswith(message)
    assert bool(tabled(answer)) == bool(message)


def test_a_check_by_value(monkeypatch):
    shown = []
    monkeypatch.setattr("course.checks.display", shown.append)
    check = by_value(
        "Exercise 9.9",
        (2.0, 0.5),
        {"Swapped.": (0.5, 2.0), "The root!": [(2.0, 0.25), (2.0, 0.7071)]},
        form=forms.tuple_of("rate and error", forms.number(), forms.number()),
        otherwise="Part {part} is not {yours}.",
    )
    for answer, message in (
        ([2, 0.5], ""),
        ((2.0, 0.4999), ""),
        ((0.5, 2), "Swapped."),
        ((2, 0.25), "The root!"),
        ((2, 0.7071), "The root!"),
        ((3, 0.5), "Part 0 is not 3."),
        ((2,), "Expected 2 things"),
    ):
        returned = check(answer)
        assert shown[-1].message.startswith(message)
        assert (shown[-1].state == "right") == (not message)
        assert returned == (2.0, answer[1] if shown[-1].state == "right" else 0.5)


def test_repeatable():
    draw = repeatable(lambda generator: generator.normal(size=3))
    assert draw.tolist() == np.random.default_rng(1).normal(size=3).tolist()
    with pytest.raises(Hint, match="Equal generators give different results"):
        repeatable(lambda generator: np.random.default_rng().normal(size=3))
    with pytest.raises(Hint, match="The same draw every time"):
        repeatable(lambda generator: np.random.default_rng(5).normal(size=3))
    with pytest.raises(Hint, match="not a copy"):
        repeatable(lambda generator: copy.deepcopy(generator).normal(size=3))


@pytest.mark.parametrize(
    ("ours", "yours", "texts"),
    [
        (1.0, 2.0, ("1", "2")),
        (3942.0, 3943.0, ("3942", "3943")),
        (np.nan, 1.0, ("nan", "1")),
        (0.12345, 0.12349, ("0.12345", "0.12349")),
        (1, 1, ("1", "1")),
    ],
)
def test_numbers_are_set_against_each_other_with_digits_that_differ(ours, yours, texts):
    assert apart(ours, yours) == texts


def test_shaped():
    assert shaped([1, 2], (2,)) == [1, 2]
    for wrong, message in (([1], "of shape"), ([1, math.nan], "finite")):
        with pytest.raises(Hint, match=message):
            shaped(wrong, (2,), "two rates")
