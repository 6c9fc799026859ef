"""What learners might answer, one module per lesson; test_lesson_checks.py tries it all.

Each module has OTHER_ROUTES, (check, right answer) by another route than the lesson's, and WRONG, (check, wrong answer,
part of its hint), two at least for every check.
"""


def changed(reference, **changes):
    """A copy of a reference dictionary with some values changed, keys found by how they begin."""
    answer = dict(reference)
    for start, value in changes.items():
        (key,) = [key for key in answer if key.replace(" ", "_").startswith(start)]
        answer[key] = value
    return answer
