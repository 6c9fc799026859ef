"""Make checks from examples: questions, the course's answer, and a table of mistakes that learners make.

A mistake is written once, as a learner would write it. The check compares the results of an answer with those of the
mistakes. The tests give every mistake to the check and expect its own hint.
"""

import copy
import functools

import numpy as np
import pandas as pd

from course.checks import Hint, exercise, first_line, forms

__all__ = ["apart", "by_example", "by_value", "repeatable", "same_slopes", "shaped", "sorting"]


def by_example(
    title,
    right,
    questions,
    mistakes,
    *,
    returns,
    otherwise,
    signs=None,
    rtol=1e-5,
    atol=1e-8,
    seen=None,
    names=None,
    draw=None,
    then=None,
):
    """Make the check of an exercise whose answer is a function, from a table of mistakes.

    Args:
        title: name of the exercise in the lesson, such as "Exercise 1.1".
        right: the course's answer. Its docstring becomes that of the check.
        questions: a function that returns a list of tuples of arguments. They must distinguish every mistake from the
            right answer, and no argument may be the same in all.
        mistakes: {hint: a wrong answer, or a list of wrong answers with this hint}, tried in this order.
        returns: the form of the answer's result, from `course.checks.forms`.
        otherwise: the hint for any other wrong value. It may use {ours} and {yours}, the first numbers that differ,
            {part}, the name of the part that they belong to, and the arguments, {0}, {1} and so on. Or a function of
            (the answer's result, our result) that returns the hint, for any shapes.
        signs: {hint: a function of (the answer's result, *arguments) that says whether the hint applies}, for errors
            that no mistake can imitate.
        rtol, atol: relative and absolute tolerance.
        seen: a function of an array that returns the part to compare, such as differences; None for the whole array.
        names: names of the parts of a tuple, for {part}; None for their numbers.
        draw: a function of (the answer's result, our result, *arguments) that shows both, for the first question.
        then: a function of the answer that tests what values do not show, such as gradients; raises `Hint`.
    """
    table = [(hint, wrong) for hint, wrongs in mistakes.items() for wrong in _several(wrongs)]
    ours, close = forms.function(returns)(right), (rtol, atol, seen)
    formed = [forms.function(returns)(wrong) for _, wrong in table]

    @functools.cache
    def asked():
        """Return the questions and our results, computed once for all tries."""
        return [(question, _run(ours, copy.deepcopy(question))[0]) for question in questions()]

    @functools.cache
    def made(which, number):
        """Return the result of a mistake for a question, or the error that it raises."""
        return _run(formed[which], copy.deepcopy(asked()[number][0]))

    def question_by_question(answer):
        failed = {}
        for number, (question, wanted) in enumerate(asked()):
            found, error = _run(answer, copy.deepcopy(question))
            if draw is not None and number == 0 and error is None:
                draw(found, wanted, *question)
            if error is not None or not _same(found, wanted, *close):
                failed[number] = found, error
        if failed:
            diagnose(failed)
        if then is not None:
            then(answer)

    def diagnose(failed):
        """Raise the hint for the first failed question, if possible from a mistake that explains all failures."""
        # A mistake that would be visible where the answer is right is not the learner's mistake.
        possible = [
            (hint, which)
            for which, (hint, _) in enumerate(table)
            if all(
                _same(made(which, number)[0], wanted, *close)
                for number, (_, wanted) in enumerate(asked())
                if number not in failed
            )
        ]
        first, (found, error) = next(iter(failed.items()))
        question, wanted = asked()[first]
        for several in (failed, [first]):
            for hint, which in possible:
                if all(_alike(made(which, number), failed[number], close) for number in several):
                    raise Hint(hint)
        if error is not None:
            raise error
        for hint, which in possible:
            if _explains(made(which, first)[0], found, wanted, *close):
                raise Hint(hint)
        for hint, applies in (signs or {}).items():
            if _fits(found, wanted) and applies(found, *question):
                raise Hint(hint)
        raise Hint(_difference(otherwise, found, wanted, question, *close, names))

    question_by_question.__doc__, question_by_question.__name__ = right.__doc__, title
    check = exercise(title, reference=lambda: right, form=forms.function(returns))(
        question_by_question
    )
    check.mistakes, check.signs = table, list(signs or {})
    return check


def by_value(title, right, mistakes, *, form, otherwise, signs=None, rtol=1e-3, atol=1e-8):
    """Make the check of an exercise whose answer is a value, such as two numbers, from a table of mistakes.

    The arguments are those of `by_example`, except that `right` and the mistakes are values.
    """
    table = {
        hint: [functools.partial(copy.deepcopy, wrong) for wrong in _several(wrongs)]
        for hint, wrongs in mistakes.items()
    }
    asked_once = by_example(
        title,
        functools.partial(copy.deepcopy, right),
        lambda: [()],
        table,
        returns=form,
        otherwise=otherwise,
        signs=signs,
        rtol=rtol,
        atol=atol,
    )

    @exercise(title, reference=functools.partial(copy.deepcopy, right), form=form)
    def check(found):
        asked_once.__wrapped__(lambda: found)

    check.__name__ = title
    check.mistakes = [(hint, wrong()) for hint, wrong in asked_once.mistakes]
    check.signs = asked_once.signs
    return check


def sorting(title, table):
    """Make the check of an exercise in which items are sorted under headings, in a dictionary.

    Args:
        title: name of the exercise in the lesson.
        table: {item: (its heading, the sentence that helps if another heading was chosen)}.
    """
    right = {item: heading for item, (heading, _) in table.items()}
    headings = ", ".join(map(repr, sorted(set(right.values()))))

    def bare(text):
        return "".join(filter(str.isalnum, text.casefold()))

    spelled = {bare(heading): heading for heading in right.values()}

    def heading(value, given=()):
        return spelled.get(bare(value), value) if isinstance(value, str) else value

    @exercise(
        title, reference=lambda: dict(right), form=forms.mapping(dict.fromkeys(right, heading))
    )
    def check(answer):
        """A dictionary: item -> heading."""
        for item, chosen in answer.items():
            if chosen not in right.values():
                raise Hint(f"{item!r}: expected one of {headings}, not {chosen!r}.")
        wrong = [item for item in right if answer[item] != right[item]]
        if wrong:
            score, (_, sentence) = len(right) - len(wrong), table[wrong[0]]
            raise Hint(
                f"{score} of {len(right)} are right. Think again of {wrong[0]!r}: {sentence}"
            )

    return check


def shaped(value, shape, what="an array"):
    """Check that values are finite and have a shape, and return them."""
    if np.shape(value) != tuple(shape):
        raise Hint(f"Expected {what} of shape {tuple(shape)}; yours has shape {np.shape(value)}.")
    if not np.isfinite(np.asarray(value)).all():
        raise Hint(f"Expected {what} with finite values; yours holds NaN or infinity.")
    return value


def repeatable(ask, make=np.random.default_rng):
    """Call a random answer with equal generators, another one, and the same one again; return the first result.

    Args:
        ask: a function of a generator.
        make: a function that makes a generator from a seed.
    """
    used = make(1)
    first, next_one = ask(used), ask(used)
    again, other = ask(make(1)), ask(make(2))
    if not _same(first, again, 1e-6, 1e-9):
        raise Hint(
            "Equal generators give different results, so that nobody can repeat it: draw with the `generator` that "
            "your function is given."
        )
    if _same(first, other, 0, 0):
        raise Hint("The same draw every time: use the `generator` that your function is given.")
    if _same(first, next_one, 0, 0):
        raise Hint(
            "Called twice with one generator, it draws the same again: use it itself, not a copy."
        )
    return first


def same_slopes(found, right, inputs, constant, not_finite=""):
    """Raise a hint if a value has not the gradient of ours; two texts say why a slope lacks or is not finite."""
    import torch

    if not found.requires_grad:
        raise Hint(
            "The value is right, but its slope is lost: stay in torch, without .item() or .detach()."
        )
    yours = torch.autograd.grad(found, inputs, allow_unused=True)
    for slope, ours in zip(yours, torch.autograd.grad(right, inputs), strict=True):
        if slope is not None and not slope.isfinite().all():
            raise Hint(
                f"The value is right, but its slope is NaN, and would make all weights NaN{not_finite}."
            )
        if slope is None or not torch.allclose(slope, ours, 1e-2, 1e-5):
            raise Hint(f"The value is right, but not its slope: {constant}.")


def apart(ours, yours):
    """Return two numbers as text, with enough digits to distinguish them; integers with all digits."""
    if all(np.isfinite(value) and value == round(value) for value in (ours, yours)):
        return f"{ours:.0f}", f"{yours:.0f}"
    for digits in range(3, 18):
        texts = f"{ours:.{digits}g}", f"{yours:.{digits}g}"
        if texts[0] != texts[1]:
            break
    return texts


def _several(wrongs):
    return wrongs if isinstance(wrongs, list) else [wrongs]


def _run(answer, arguments):
    """Return the result of an answer, or the error that it raises."""
    with np.errstate(all="ignore"):
        try:
            return answer(*arguments), None
        except Exception as error:
            return None, error


def _alike(one, other, close):
    """Return whether two calls returned the same, or raised the same error."""
    (value, error), (its_value, its_error) = one, other
    if its_error is not None:
        return type(error) is type(its_error) and first_line(error) == first_line(its_error)
    return error is None and _same(value, its_value, *close)


def _parts(value):
    """Return the parts of an answer: columns of a table, items of a tuple or dictionary, or the answer itself."""
    if isinstance(value, pd.DataFrame):
        return {name: value[name].to_numpy() for name in value}
    if isinstance(value, dict):
        return value
    return dict(enumerate(value)) if isinstance(value, (tuple, list)) else {0: value}


def _plain(value):
    """Return numbers or strings as an array, and None for anything else."""
    value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    if callable(value) or value is None:
        return None
    try:
        value = np.asarray(value)
    except ValueError:
        return None
    return None if value.dtype == object and not value.ndim else value


def _same(one, other, rtol, atol, seen=None):
    one, other = _parts(one), _parts(other)
    return one.keys() == other.keys() and all(
        _equal(one[key], other[key], rtol, atol, seen) for key in one
    )


def _equal(one, other, rtol, atol, seen=None):
    if isinstance(one, (tuple, list, dict, pd.DataFrame)):
        return type(one) is type(other) and _same(one, other, rtol, atol, seen)
    one, other = _plain(one), _plain(other)
    if one is None or other is None:
        return one is other
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "biufc" and other.dtype.kind in "biufc":
        if seen is not None:
            one, other = seen(one), seen(other)
        return bool(np.allclose(one, other, rtol=rtol, atol=atol, equal_nan=True))
    return bool(np.all((one == other) | (pd.isna(one) & pd.isna(other))))


def _fits(found, wanted):
    """Return whether an answer has the same parts as ours, with the same shapes."""
    found, wanted = _parts(found), _parts(wanted)
    return found.keys() == wanted.keys() and all(
        np.shape(_plain(found[key])) == np.shape(_plain(wanted[key])) for key in wanted
    )


def _explains(made, found, wanted, rtol, atol, seen=None):
    """Return whether each part of an answer is right, or equal to the result of the mistake."""
    made, found, wanted = _parts(made), _parts(found), _parts(wanted)
    return made.keys() == found.keys() and all(
        _equal(value, made[key], rtol, atol, seen)
        or (key in wanted and _equal(value, wanted[key], rtol, atol, seen))
        for key, value in found.items()
    )


def _difference(otherwise, found, wanted, question, rtol, atol, seen=None, names=None):
    """Return the hint for a wrong value that no mistake explains; a wrong form comes first."""
    if callable(otherwise):
        return otherwise(found, wanted)
    found, wanted = _parts(found), _parts(wanted)
    if found.keys() != wanted.keys():
        missing = [str(key) for key in wanted if key not in found]
        more = [str(key) for key in found if key not in wanted]
        raise Hint(
            f"Expected {', '.join(map(str, wanted))}"
            + (
                f"; {', '.join(missing)} is not there."
                if missing
                else f"; {', '.join(more)} is too much."
            )
        )
    for part, ours in wanted.items():
        yours = found[part]
        part = part if names is None else names[part]
        if _equal(ours, yours, rtol, atol, seen):
            continue
        one, other = _plain(ours), _plain(yours)
        if np.shape(one) != np.shape(other):
            raise Hint(
                f"Expected a result of shape {np.shape(one)}; yours has shape {np.shape(other)}."
            )
        if one is None or one.dtype.kind not in "biuf" or other.dtype.kind not in "biuf":
            return otherwise.format(*question, ours=ours, yours=yours, part=part)
        differ = ~np.isclose(one, other, rtol=rtol, atol=atol, equal_nan=True)
        texts = apart(one[differ].flat[0].item(), other[differ].flat[0].item())
        return otherwise.format(*question, ours=texts[0], yours=texts[1], part=part)
    return otherwise.format(*question, ours="another value", yours="this one", part="")
