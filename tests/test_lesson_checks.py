"""Every check of every lesson: right answers pass by any route, wrong ones get their own hint, nothing raises."""

import importlib
import pkgutil

import answers
import numpy as np
import pytest

import course.checks

ALL = [
    pytest.param(getattr(module, name), id=name)
    for module in (
        importlib.import_module(f"course.checks.{info.name}")
        for info in pkgutil.iter_modules(course.checks.__path__)
        if info.name.startswith("lesson_")
    )
    for name in module.__all__
]

ANSWERS = [
    importlib.import_module(f"answers.{info.name}")
    for info in pkgutil.iter_modules(answers.__path__)
]
OTHER_ROUTES = [answer for module in ANSWERS for answer in module.OTHER_ROUTES]
WRONG = [answer for module in ANSWERS for answer in module.WRONG]


@pytest.fixture
def verdict(monkeypatch):
    """Ask a check for its opinion: a function from check and answer to (state, message)."""

    def ask(check, answer):
        shown = []
        monkeypatch.setattr(course.checks, "display", shown.append)
        monkeypatch.setattr("helpers.plotting.display", lambda figure: None)
        returned = check(answer)
        assert len(shown) == 1
        if shown[0].state == "right":
            assert returned is answer
        else:
            assert returned is check.reference()
        return shown[0].state, shown[0].message

    return ask


@pytest.mark.parametrize("check", ALL)
class TestEveryCheck:
    def test_accepts_its_own_reference(self, check, verdict):
        assert verdict(check, check.reference()) == ("right", "")

    def test_knows_the_stub(self, check, verdict):
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

        assert verdict(check, stub)[0] == "not attempted"

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
    def test_answers_nonsense_with_a_sentence(self, check, answer, verdict):
        state, message = verdict(check, answer)
        assert state == "not yet"
        assert len(message) > 20


@pytest.mark.parametrize(
    ("check", "answer"),
    OTHER_ROUTES,
    ids=lambda value: getattr(value, "__name__", "another route"),
)
def test_another_route_is_right_too(check, answer, verdict):
    assert verdict(check, answer) == ("right", "")


@pytest.mark.parametrize("check", ALL)
def test_every_check_is_tried_with_two_wrong_answers(check):
    assert sum(tried is check for tried, _, _ in WRONG) >= 2


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    WRONG,
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", "answer"),
)
def test_a_plausible_wrong_answer_gets_its_own_hint(check, answer, hint, verdict):
    state, message = verdict(check, answer)
    assert state == "not yet"
    assert hint in message
