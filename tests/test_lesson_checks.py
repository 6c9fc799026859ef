"""Every check of every lesson: right answers pass in any container, wrong ones get their own hint, nothing raises."""

import ast
import copy
import functools
import importlib
import inspect
import pkgutil
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

import course.checks
from course.containers import CONTAINERS, Packed

LESSONS = {
    info.name: importlib.import_module(f"course.checks.{info.name}")
    for info in pkgutil.iter_modules(course.checks.__path__)
    if info.name.startswith("lesson_")
}
ANSWERS = {name: importlib.import_module(f"answers.{name}") for name in LESSONS}
CHECKS = {
    f"{name[-2:]}-{check}": getattr(module, check)
    for name, module in LESSONS.items()
    for check in module.__all__
}


def asks_for_a_function(check):
    """Whether its answer is one: its form says so, where `check.reference()` may train for seconds."""
    try:
        return callable(check.form(lambda *arguments: None))
    except course.checks.Hint:
        return False


FUNCTIONS = {name: check for name, check in CHECKS.items() if asks_for_a_function(check)}
OTHER_ROUTES = [answer for module in ANSWERS.values() for answer in module.OTHER_ROUTES]
WRONG = [answer for module in ANSWERS.values() for answer in module.WRONG]
MISTAKES = [
    pytest.param(check, wrong, hint, id=f"{name}-{hint[:40]}")
    for name, check in CHECKS.items()
    for hint, wrong in getattr(check, "mistakes", ())
]
# What a kind of mistake does not apply to, by the reasons that the modules of answers give.
EXEMPT = {
    (check, kind): reason
    for module in ANSWERS.values()
    for (check, kind), reason in getattr(module, "EXEMPT", {}).items()
}

said = set()  # (file, line) of every `Hint` that was raised, and the hints of tables as text


@pytest.fixture(autouse=True)
def listening(monkeypatch):
    """Note where in the checks each hint is raised."""

    def note(hint, message):
        Exception.__init__(hint, message)
        frame = sys._getframe(1)
        said.add((Path(frame.f_code.co_filename).name, frame.f_lineno))
        said.add(message)

    monkeypatch.setattr(course.checks.Hint, "__init__", note)
    monkeypatch.setattr("helpers.plotting.display", lambda figure: None)


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the pixels of figures, which other tests of the same check draw."""
    monkeypatch.setattr("helpers.plotting.show", lambda figure, **_: plt.close(figure))
    monkeypatch.setattr("course.checks.drawing.show", lambda figure, **_: plt.close(figure))


@functools.cache
def tried(lesson, number):
    """What the check says of a wrong answer of a lesson, asked once for the two tests that want to know."""
    check, answer, _ = ANSWERS[lesson].WRONG[number]
    return ask(check, answer)


def ask(check, answer):
    """What a check says of an answer, and what the lesson goes on with."""
    shown = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course.checks, "display", shown.append)
        returned = check(answer)
    (verdict,) = shown
    if verdict.state != "right":
        assert returned is check.reference()
    return SimpleNamespace(state=verdict.state, message=verdict.message, returned=returned)


def copied(value):
    """A copy of arguments, generators of torch in their state too."""
    if isinstance(value, torch.Generator):
        return torch.Generator(device=value.device).set_state(value.get_state())
    if isinstance(value, (tuple, list)):
        parts = map(copied, value)
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return value if callable(value) else copy.deepcopy(value)


def calls_of(check):
    """The arguments with which a check calls an answer."""
    seen = []

    @functools.wraps(check.reference())
    def spy(*given, **named):
        seen.append((copied(given), copied(named)))
        return check.reference()(*given, **named)

    assert ask(check, spy).state == "right"
    return seen


def assert_alike(found, wanted):
    """The same type, dtype, shape and values, to the digits of float32."""
    if isinstance(wanted, np.generic):
        wanted = wanted.item()  # a float of numpy and of Python do the same in a lesson
    if isinstance(found, np.generic):
        found = found.item()
    assert type(found) is type(wanted)
    if isinstance(wanted, (tuple, list)):
        assert len(found) == len(wanted)
        for pair in zip(found, wanted, strict=True):
            assert_alike(*pair)
    elif isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for key in wanted:
            assert_alike(found[key], wanted[key])
    elif isinstance(wanted, (pd.DataFrame, pd.Series)):
        kind = "frame" if isinstance(wanted, pd.DataFrame) else "series"
        getattr(pd.testing, f"assert_{kind}_equal")(found, wanted, rtol=1e-5)
    elif isinstance(wanted, torch.Tensor):
        assert (found.dtype, found.device) == (wanted.dtype, wanted.device)
        assert found.requires_grad == wanted.requires_grad
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6, equal_nan=True)
    elif isinstance(wanted, np.ndarray) and wanted.dtype.kind in "biuf":
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)
    elif isinstance(wanted, np.ndarray):
        assert found.dtype.kind == wanted.dtype.kind
        assert found.tolist() == wanted.tolist()
    elif isinstance(wanted, float):
        np.testing.assert_allclose(found, wanted, rtol=1e-5)
    elif isinstance(wanted, (int, bool, str)):
        assert found == wanted


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
class TestEveryCheck:
    def test_accepts_its_own_reference(self, check):
        assert callable(check.reference()) == (check in FUNCTIONS.values())
        verdict = ask(check, check.reference())
        assert (verdict.state, verdict.message) == ("right", "")

    def test_knows_the_stub(self, check):
        reference = check.reference()
        stub = ...
        if isinstance(reference, dict):
            stub = dict.fromkeys(reference, ...)
        if isinstance(reference, tuple):
            stub = (...,) * len(reference)
        if callable(reference):

            def stub(*arguments):
                """The stub of a function."""
                ...

        assert ask(check, stub).state == "not attempted"

    @pytest.mark.parametrize(
        "answer",
        [
            *(None, "forty-two", -1e9, float("nan"), [], {"what": "ever"}, object()),
            np.zeros((2, 3)),
            lambda *arguments: print(end="") or None,
            lambda *arguments: "a string",
            lambda *arguments: np.zeros(3),
            lambda *arguments: (np.zeros(2), np.zeros(2)),
            lambda *arguments: 1 / 0,
            lambda: 1,
        ],
        ids=lambda answer: type(answer).__name__,
    )
    def test_answers_nonsense_with_a_sentence(self, check, answer):
        verdict = ask(check, answer)
        assert verdict.state == "not yet"
        assert len(verdict.message) > 20

    def test_right_in_any_container_and_the_lesson_goes_on_in_its_own_form(self, check, undrawn):
        """Each container is tried at least once; the check may ask once, or eight hundred times."""
        reference, packed = check.reference(), Packed()
        questions = calls_of(check)[:3] if callable(reference) else None
        while packed.calls < len(CONTAINERS):
            first = packed.hows[packed.calls % len(packed.hows)]
            verdict = ask(check, packed(reference))
            assert verdict.state == "right", f"{first} and the next: {verdict.message}"
            if questions is None:
                assert_alike(verdict.returned, reference)
        for given, named in questions or ():
            right = reference(*copied(given), **copied(named))
            for how in CONTAINERS:
                always = check.form(Packed([how])(lambda *_, right=right, **__: right))
                assert_alike(always(*copied(given), **copied(named)), right)


def frozen(number):
    """A mistake: the argument of this number is that of the first call, always."""

    def mistake(right):
        first = []

        def answer(*given, **named):
            given = list(given)
            first.append(given[number])
            given[number] = first[0]
            return right(*given, **named)

        return answer

    return mistake


def swapped(number):
    """A mistake: two neighbouring arguments of one kind and shape are taken for each other."""

    def mistake(right):
        def answer(*given, **named):
            given = list(given)
            given[number : number + 2] = given[number : number + 2][::-1]
            return right(*given, **named)

        return answer

    return mistake


def other_generator(number, make):
    """A mistake: another generator than the one that was given."""

    def mistake(right):
        def answer(*given, **named):
            given = list(given)
            given[number] = make(given[number])
            return right(*given, **named)

        return answer

    return mistake


def seeded(given):
    if isinstance(given, torch.Generator):
        return torch.Generator(device=given.device).manual_seed(0)
    return np.random.default_rng(0)


def unseeded(given):
    if isinstance(given, torch.Generator):
        made = torch.Generator(device=given.device)
        made.seed()
        return made
    return np.random.default_rng()


def spoils(number):
    """A mistake: an array, tensor or table that was given holds zeros afterwards."""

    def mistake(right):
        def answer(*given, **named):
            found = copied(right(*given, **named))
            if isinstance(given[number], (pd.DataFrame, pd.Series)):
                given[number].iloc[:] = given[number].iloc[::-1].to_numpy()
            else:
                given[number][...] = 0
            return found

        return answer

    return mistake


def scaled(part):
    """A mistake: one part of the result, or all of it, is a third larger."""

    def mistake(right):
        def answer(*given, **named):
            found = right(*given, **named)
            if part is None:
                return found * 4 / 3
            return tuple(value * 4 / 3 if k == part else value for k, value in enumerate(found))

        return answer

    return mistake


def _is_generator(value):
    return isinstance(value, (np.random.Generator, torch.Generator))


def _is_data(value):
    return isinstance(value, (np.ndarray, torch.Tensor, pd.DataFrame, pd.Series)) and value.ndim > 0


def _is_float(value):
    if torch.is_tensor(value):
        return value.is_floating_point()
    is_array = isinstance(value, np.ndarray)
    return value.dtype.kind == "f" if is_array else isinstance(value, float)


def kinds_of_mistakes(check):
    """{name: a mistake} that any answer of this form could hold."""
    (given, named), *_ = calls_of(check)
    kinds = {}
    for number, value in enumerate(given):
        if _is_generator(value):
            kinds[f"generator {number} ignored, seeded"] = other_generator(number, seeded)
            kinds[f"generator {number} ignored, unseeded"] = other_generator(number, unseeded)
            kinds[f"generator {number} copied"] = other_generator(number, copied)
        else:
            kinds[f"argument {number} ignored"] = frozen(number)
        if _is_data(value):
            kinds[f"argument {number} changed in place"] = spoils(number)
        after = given[number + 1] if number + 1 < len(given) else None
        alike = type(value) is type(after) and np.shape(value) == np.shape(after)
        if alike and not callable(value) and not _is_generator(value):
            kinds[f"arguments {number} and {number + 1} swapped"] = swapped(number)
    found = check.reference()(*copied(given), **copied(named))
    if isinstance(found, tuple):
        for part, value in enumerate(found):
            if _is_float(value):
                kinds[f"part {part} scaled"] = scaled(part)
    elif _is_float(found):
        kinds["scaled"] = scaled(None)
    return kinds


@pytest.mark.parametrize("check", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_data_of_a_check_tell_kinds_of_mistakes_apart(check, undrawn):
    """No argument may be the same in all questions, and none that is symmetric in what must not be exchanged."""
    accepted = []
    for kind, mistake in kinds_of_mistakes(check).items():
        reason = EXEMPT.get((check, kind))
        state = ask(check, mistake(check.reference())).state
        if (state == "right") != (reason is not None):
            accepted.append(kind)
    assert accepted == []


@pytest.mark.parametrize(
    ("check", "answer"),
    OTHER_ROUTES,
    ids=lambda value: getattr(value, "__name__", "another route"),
)
def test_another_route_is_right_too(check, answer):
    verdict = ask(check, answer)
    assert (verdict.state, verdict.message) == ("right", "")


@pytest.mark.parametrize(("check", "wrong", "hint"), MISTAKES)
def test_a_mistake_gets_its_own_hint(check, wrong, hint, undrawn):
    verdict = ask(check, wrong)
    assert verdict.state == "not yet"
    assert verdict.message.startswith(hint)


@pytest.mark.parametrize(
    ("lesson", "number", "hint"),
    [
        pytest.param(lesson, number, hint, id=f"{lesson}-{check.__name__}-{hint}")
        for lesson, module in ANSWERS.items()
        for number, (check, _, hint) in enumerate(module.WRONG)
    ],
)
def test_a_plausible_wrong_answer_gets_its_own_hint(lesson, number, hint):
    verdict = tried(lesson, number)
    assert verdict.state == "not yet"
    assert hint in verdict.message


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
def test_every_check_is_tried_with_two_wrong_answers(check):
    assert sum(tried is check for tried, _, _ in WRONG) + len(getattr(check, "mistakes", ())) >= 2


@pytest.mark.parametrize("lesson", LESSONS)
def test_no_hint_is_unreachable(lesson):
    """Each `raise Hint` of a lesson's checks, and each sign of a table, is what a wrong answer of ours gets."""
    module = LESSONS[lesson]
    for number in range(len(ANSWERS[lesson].WRONG)):
        tried(lesson, number)
    for check in map(module.__dict__.get, module.__all__):
        for _, wrong in getattr(check, "mistakes", ())[:1]:
            ask(check, wrong)
    source = inspect.getsource(module)
    raised = {
        node.lineno: range(node.lineno, node.end_lineno + 1)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise) and "Hint" in ast.dump(node)
    }
    file = Path(module.__file__).name
    lines = source.splitlines()
    unreachable = [
        lines[first - 1].strip()
        for first, span in raised.items()
        if not any((file, line) in said for line in span)
    ]
    for name in module.__all__:
        for sign in getattr(getattr(module, name), "signs", ()):
            if sign not in said:
                unreachable.append(sign)
    assert unreachable == []
