"""The build, on small lessons of its own; and the drift gate, on the lessons of the course."""

import contextlib
import io
import itertools
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_output

from course import build
from helpers import plotting

BUILD = Path(build.__file__)

TITLE = "# %% [markdown]\n# # A lesson\n"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course: a function that writes a lesson into it and returns its path."""
    for folder in ("lessons", "solutions", "notebooks", "helpers"):
        (tmp_path / folder).mkdir()
    (tmp_path / build.TEXTS).write_text("{}")
    monkeypatch.setattr(build, "ROOT", tmp_path)

    def write(*cells, name="00_lesson", head=TITLE):
        path = tmp_path / "lessons" / f"{name}.py"
        path.write_text(head + "".join(f"\n# %%\n{cell}\n" for cell in cells))
        return path

    write.root = tmp_path
    return write


@pytest.fixture
def counted(monkeypatch):
    """Solve lessons without a kernel: each cell of code prints a number that none has printed before."""
    numbers = itertools.count()

    def solved(path):
        lesson, _ = build.read_lesson(path)
        for cell in lesson.cells:
            if cell.cell_type == "code" and cell.source:
                cell.outputs = [new_output("stream", text=str(next(numbers)))]
        return lesson

    monkeypatch.setattr(build, "solved_notebook", solved)
    return solved


@pytest.fixture
def run(monkeypatch):
    """`build.py arguments`: its exit code, or what it says instead."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest keeps its own Ctrl-C

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["build.py", *arguments])
        with pytest.raises(SystemExit) as end:
            build.main()
        return end.value.code

    return run


def files(root):
    """All files but the sources, with their contents."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in (*root.glob("solutions/*"), *root.glob("notebooks/*"))
    }


STUBS = {
    "a name that is read below": (
        "# solution: divide\nrate = 3 / 2\n# end solution\nprint(rate)",
        "# divide\nrate = ...\nprint(rate)",
    ),
    "a tuple of names": (
        "# solution: split\ntrain, test = split(x)\n# end solution\nfit(train, test)",
        "# split\ntrain = ...\ntest = ...\nfit(train, test)",
    ),
    "only the names that are read": (
        "# solution: sum\nhelp = [1, 2]\ntotal = sum(help)\n# end solution\nprint(total)",
        "# sum\ntotal = ...\nprint(total)",
    ),
    "a name that is only written": (
        "# solution: set it\nx = 1\n# end solution\nx = 2",
        "# set it\n...\nx = 2",
    ),
    "a block that nobody needs": (
        "# solution: draw it\nax.plot(x)\n# end solution",
        "# draw it\n...",
    ),
    "the body of a function": (
        'def f(x):\n    """Double."""\n    # solution: twice\n    y = 2 * x\n    return y\n    # end solution'
        "\n\n\ny = f(2)\nprint(y)",
        'def f(x):\n    """Double."""\n    # twice\n    ...\n\n\ny = f(2)\nprint(y)',
    ),
    "within a function": (
        "def f(x):\n    # solution: twice\n    y = 2 * x\n\n    z = y\n    # end solution\n    return y, z",
        "def f(x):\n    # twice\n    y = ...\n    z = ...\n    return y, z",
    ),
    "deeper than where it is needed": (
        "def f(xs):\n    for x in xs:\n        # solution: twice\n        y = 2 * x\n        # end solution\n"
        "    return y",
        "def f(xs):\n    for x in xs:\n        # twice\n        y = ...\n    return y",
    ),
    "a function that is needed": (
        "# solution: double\ndef f(x):\n    y = 2 * x\n    return y\n# end solution\ny = f(1)\nprint(y)",
        "# double\nf = ...\ny = f(1)\nprint(y)",
    ),
    "an import that is needed": (
        "# solution: find it\nimport numpy as np\n# end solution\nnp.sum(1)",
        "# find it\nnp = ...\nnp.sum(1)",
    ),
    "not the variable of a comprehension": (
        "# solution: squares\nys = [x**2 for x in xs]\n# end solution\nfor x in ys:\n    print(x)",
        "# squares\nys = ...\nfor x in ys:\n    print(x)",
    ),
    "two blocks in a cell": (
        "# solution: one\na = 1\n# end solution\n# solution: two\nb = 2\n# end solution\nprint(a + b)",
        "# one\na = ...\n# two\nb = ...\nprint(a + b)",
    ),
    "the second block needs the first": (
        "# solution: one\na = 1\n# end solution\n# solution: two\nb = a\n# end solution",
        "# one\na = ...\n# two\n...",
    ),
    "a dictionary keeps its keys": (
        '# solution: sort\nkinds = {\n    "a b": "x",  # why\n    1: f(2),\n}\n# end solution\nprint(kinds)',
        '# sort\nkinds = {\n    "a b": ...,\n    1: ...,\n}\nprint(kinds)',
    ),
    "an empty dictionary does not": (
        "# solution: fill\nd = {}\nd['a'] = {1: 2}\n# end solution\nprint(d)",
        "# fill\nd = ...\nprint(d)",
    ),
    "a cell without a solution": ("x = 1  # ... and so on", "x = 1  # ... and so on"),
}


@pytest.mark.parametrize(("solved", "exercise"), STUBS.values(), ids=STUBS)
def test_stub(solved, exercise):
    assert build.exercise(solved, str) == exercise


PLACES = {
    "no end": ("x = 1\n# solution: one\ny = 1", 6),
    "no beginning": ("x = 1\n# end solution", 6),
    "no hint": ("# solution\ny = 1\n# end solution", 5),
    "misspelt beginning": ("x = 1\n# Solution: one\ny = 1\n# end solution", 8),
    "misspelt end": ("x = 1\n# solution: one\ny = 1\n# end of solution", 6),
    "one in another": ("# solution: a\n# solution: b\ny = 1\n# end solution\n# end solution", 5),
    "end with another margin": ("# solution: one\ny = 1\n    # end solution", 5),
    "syntax": ("x = 1\n# solution: one\ny = 1\nz = = 2\n# end solution", 8),
}


@pytest.mark.parametrize("kind", PLACES)
def test_a_bad_block_is_named(course, kind):
    cell, line = PLACES[kind]
    message = "SyntaxError: invalid" if kind == "syntax" else "not one of a pair"
    with pytest.raises(build.LessonError, match=message) as error:
        build.learners_notebook(course(cell))
    assert str(error.value).startswith(f"lessons/00_lesson.py, cell 2, line {line}: ")


RUNS = {
    "exception in a long cell": ("a = 1\n\nb = 0\nc = a / b\nd = 1", 8, "ZeroDivisionError: div"),
    "function of an earlier cell": (
        "def f(x):\n    y = 1\n    return y / x\n\n# %%\nprint(2)\nf(0)", 7, "ZeroDivisionError"
    ),
    "syntax": ("a = 1\nb = = 2", 6, "SyntaxError: invalid syntax"),
    "kernel that dies": ("import os\n\nos._exit(1)", 5, "Kernel died"),
    "kernel that hangs": ("import time\n\ntime.sleep(30)", 5, "A cell timed out"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "line", "message"), RUNS.values(), ids=RUNS)
def test_a_failing_cell_is_named_where_it_stands(course, monkeypatch, code, line, message):
    monkeypatch.setattr(build, "CELL_TIMEOUT", 2)
    with pytest.raises(build.LessonError, match=message) as error:
        build.build(course(code))
    assert str(error.value).startswith(f"lessons/00_lesson.py, cell 2, line {line}: ")
    assert "\n" not in str(error.value)
    assert files(course.root) == {}


@pytest.mark.parametrize("head", ["# # Exploring\n", "# # 3 · Exploring the data, part I\n"])
def test_a_wrong_title_is_named(course, head):
    path = course(name="02_exploring_1", head="# %% [markdown]\n" + head)
    with pytest.raises(build.LessonError, match=r"02_exploring_1.py, cell 1, line 2: .*'# 2 · Exp"):
        build.learners_notebook(path)


STRIPS = {
    1: "> ◉○○○○○○○○○○○  **Step 1 of 12** · done: [the introduction](00_start_here.ipynb) · "
    "**here: Figuring out what we want to learn, and why** · "
    "next: [Exploring the data, part I](02_exploring_1.ipynb)",
    12: "> ●●●●●●●●●●●◉  **Step 12 of 12** · done: [Interpreting outcomes](11_interpretation.ipynb) · "
    "**here: Science!** · next: [Simulation-based inference](13_simulation_based_inference.ipynb)",
    13: "> ●●●●●●●●●●●●  ◉○○○○○○  **After the twelve steps: 1 of 7** · done: [Science!](12_science.ipynb) · "
    "**here: Simulation-based inference** · next: [Dead time](14_dead_time.ipynb)",
    16: "> ●●●●●●●●●●●●  ●●●◉○○○  **After the twelve steps: 4 of 7** · done: [Pile-up](15_pile_up.ipynb) · "
    "**here: Trusting posteriors** · next: [Nobody gave you labels](17_without_labels.ipynb)",
    22: "> ●●●●●●●●●●●●  ●●●●●●◉  **After the twelve steps: 7 of 7** · "
    "done: [Features, or no features](18_features_or_none.ipynb) · "
    "**here: Your own observation** · next: [your own project](my_observation.ipynb)",
}
ALL = (
    " · [all lessons](00_start_here.ipynb#The-map)"
    " · [glossary](../docs/glossary.md) · [resources](../docs/resources.md)"
)


@pytest.mark.parametrize("number", STRIPS)
def test_step_strip(course, number):
    title = f"# {number} · {build.TITLES[number]}"
    for name in re.findall(r"(\w+)\.ipynb", STRIPS[number]):
        course(name=name)
    path = course(name=f"{number:02}_x", head=f"# %% [markdown]\n# {title}\n#\n# Why?\n")
    head = build.learners_notebook(path).cells[0].source
    assert head == f"{title}\n\n{STRIPS[number]}{ALL}\n\nWhy?"


def test_the_strip_links_only_to_lessons_that_are_there(course):
    path = course(name="02_x", head=f"# %% [markdown]\n# # 2 · {build.TITLES[2]}\n")
    strip = build.learners_notebook(path).cells[0].source
    assert f"done: {build.TITLES[1]} · **here" in strip
    assert f"next: {build.TITLES[3]} · [all" in strip


def test_no_step_strip_before_the_steps(course):
    path = course(name="00_start_here")
    assert build.learners_notebook(path).cells[0].source == "# A lesson"


TWO_CURVES = (
    "import ipywidgets\nimport matplotlib.pyplot as plt\n\nfrom helpers import plotting\n\n\n"
    "def draw(x):\n    _, ax = plt.subplots()\n    ax.plot([1, 2], {look!r}, label='hard')\n"
    "    ax.plot([2, 1], label='soft')\n    ax.legend()\n    plotting.show(ax, alt='Two lines.')\n"
    "    print('x is', x)"
)
SLIDER = "ipywidgets.interactive(draw, x=3)"
BAR = "from tqdm.auto import tqdm\n\nfor _ in tqdm(range(3)):\n    print('done')"


def test_two_builds_are_equal_to_the_byte(course):
    bar_that_varies = f'# %% tags=["nbval-ignore-output"]\n{BAR}'
    styled = "import pandas as pd\n\npd.DataFrame([0.5]).style.format('{:.0%}')"
    # Two equal cells need two ids.
    path = course(
        TWO_CURVES.format(look="--"), "draw(1)", SLIDER, BAR, bar_that_varies, styled, "1", "1"
    )
    build.build(path)
    first = files(course.root)
    for product in (course.root / name for name in first):
        product.unlink()
    build.build(path)
    assert files(course.root) == first
    solved = first["solutions/00_lesson.ipynb"].decode()
    assert "x is 3" in solved  # what the slider shows before it is moved
    assert "Run this cell to move the slider." in solved
    # The first state of a progress bar, which nbval sees in every run; none where it does not compare
    assert " 0%|" in solved
    assert (solved.count("%|"), solved.count("done")) == (1, 8)
    assert "widget-view" not in solved
    for content in first.values():
        nbformat.validate(nbformat.reads(content.decode(), as_version=4))
    exercises = nbformat.reads(first["notebooks/00_lesson.ipynb"].decode(), as_version=4)
    assert not any(cell.get("outputs") for cell in exercises.cells)


def test_nbval_finds_again_what_the_build_saved(course):
    """Bars and styled tables, whose names and places in memory differ from run to run."""
    styled = "import pandas as pd\n\npd.DataFrame([0.5]).style.format('{:.0%}')"
    build.build(course(BAR, styled))
    options = [
        "--nbval",
        "--nbval-current-env",
        f"--nbval-sanitize-with={Path(__file__).with_name('nbval.cfg')}",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    run = subprocess.run(
        [*command, "solutions/00_lesson.ipynb"], cwd=course.root, capture_output=True, text=True
    )
    assert "2 passed" in run.stdout, run.stdout


@pytest.mark.parametrize("call", ["draw(1)", SLIDER])
def test_a_legend_that_only_colour_explains_fails_the_build(course, call):
    said = r"cell [23], .*Colour alone tells 'hard' from 'soft'"
    with pytest.raises(build.LessonError, match=said):
        build.solved_notebook(course(TWO_CURVES.format(look="-"), call))


@pytest.mark.parametrize("tags", ["", ' tags=["nbval-ignore-output"]'], ids=["compared", "not"])
def test_only_outputs_that_should_not_vary_are_written(course, counted, tags):
    path = course(f"# %%{tags}\nprint()")
    build.build(path, counted)
    first = files(course.root)
    build.build(path, counted)
    assert (files(course.root) == first) == bool(tags)
    course(f"# %%{tags}\nprint()", "print(2)")
    build.build(path, counted)
    assert files(course.root)["solutions/00_lesson.ipynb"] != first["solutions/00_lesson.ipynb"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_build_leaves_nothing_behind(course, number):
    course("import os\nfrom pathlib import Path\n\nPath('../pid').write_text(str(os.getpid()))",
           "import time\n\ntime.sleep(60)")  # fmt: skip
    shutil.copy(BUILD, course.root / "lessons")
    process = subprocess.Popen([sys.executable, course.root / "lessons" / "build.py"])
    pid = course.root / "pid"
    until(lambda: pid.exists() and pid.read_text())
    process.send_signal(number)
    assert process.wait(10) == -number
    assert files(course.root) == {}
    until(lambda: not alive(int(pid.read_text())))


def until(condition, seconds=20):
    """Wait for a condition; fail if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def alive(pid):
    """Whether a process runs; one that has ended and waits for its parent to notice does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_write_that_fails_leaves_the_old_notebook(course, counted, monkeypatch):
    path = course("print(1)")
    build.build(path, counted)
    before = files(course.root)
    assert len(before) == 2

    def fill_the_disk(self, content, **kwargs):
        self.write_bytes(content[:100].encode())
        raise OSError("No space left on device")

    course("print(2)")
    monkeypatch.setattr(Path, "write_text", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        build.build(path, counted)
    assert files(course.root) == before


def test_drift_gate(course, counted, run):
    course("# solution: one\nx = 1\n# end solution\nprint(x)")
    missing = run("--check")
    assert missing.count("00_lesson.ipynb is not what lessons/00_lesson.py says") == 2
    assert run() is None
    assert run("--check") is None

    course("# solution: one\nx = 2\n# end solution\nprint(x)")
    solutions_only = run("--check")
    assert "solutions/00_lesson.ipynb is not what lessons/00_lesson.py says" in solutions_only
    assert "make notebooks" in solutions_only

    course("# solution: one\nx = 1\n# end solution\nprint(x)")
    answered = course.root / "notebooks" / "00_lesson.ipynb"
    answered.write_text(answered.read_text().replace("x = ...", "x = 1"))
    assert "move your own answers elsewhere" in run("--check")

    answered.write_text("<<<<<<< HEAD\n")
    assert "notebooks/00_lesson.ipynb is not" in run("--check")
    assert run() is None
    assert run("--check") is None

    (course.root / "solutions" / "99_gone.ipynb").write_text("{}")
    assert run("--check") == "solutions/99_gone.ipynb has no source in lessons/: remove it"


def test_lessons_by_name_and_several_at_once(course, run, capsys):
    for name in ("00_one", "93_two"):
        course("print(1)", name=name)
    for name in ("94_bad", "95_worse"):
        course("1 / 0", name=name)
    assert run("93") is None
    assert sorted(files(course.root)) == ["notebooks/93_two.ipynb", "solutions/93_two.ipynb"]
    # A lesson that fails stops none of the others.
    assert sorted(run().splitlines()) == [
        f"lessons/{name}.py, cell 2, line 5: ZeroDivisionError: division by zero"
        for name in ("94_bad", "95_worse")
    ]
    assert len(files(course.root)) == 4
    # No bar in a log: one line for each lesson that was built, with its seconds.
    said = capsys.readouterr()
    built = sorted(re.findall(r"^(\S+)  \d+\.\d s$", said.out, re.M))
    assert built == ["00_one", "93_two", "93_two"]
    assert "%|" not in said.err


def test_figures_have_their_texts_beside_the_lesson(course, run, monkeypatch):
    lesson = course(
        "import matplotlib.pyplot as plt\nfrom helpers import plotting\n\n"
        "plotting.show(plt.figure(), '00_cost')".replace("'", '"')
    )
    texts = lesson.with_suffix(".toml")
    texts.write_text('cost = """\nA line\nthat falls.\n"""\n')
    monkeypatch.setattr(plotting, "_TEXTS", course.root / build.TEXTS)
    assert "helpers/alternative_texts.json is not what lessons/*.toml say" in run("--check")
    monkeypatch.setattr(build, "solved_notebook", shown_here)
    assert run() is None
    assert run("--check") is None
    texts.write_text('cost = "A line that rises."\n')
    assert "solutions/00_lesson.ipynb has another text for 00_cost" in run("--check")
    texts.write_text('cost = "A line that falls."\ngain = "One that nobody shows."\n')
    assert "00_lesson.toml: 00_gain is only here, or only in 00_lesson.py" in run("--check")
    texts.write_text("")
    assert "00_cost is only here, or only in" in run()


def shown_here(path):
    """Solve a lesson without a kernel: its last cell shows what it shows in this process."""
    lesson, _ = build.read_lesson(path)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(lesson.cells[-1].source, {})
    data = {"text/plain": printed.getvalue().strip()}
    lesson.cells[-1].outputs = [new_output("display_data", data=data)]
    return lesson


def test_prose_alone_keeps_the_outputs(course, counted, run):
    path = course("print(1)", "1 + 1")
    assert run() is None
    before = build.saved(course.root / "solutions/00_lesson.ipynb")
    path.write_text(path.read_text().replace("# # A lesson", "# # A better lesson"))
    assert "is not what" in run("--check")
    assert run("--prose") is None
    assert run("--check") is None
    after = build.saved(course.root / "solutions/00_lesson.ipynb")
    assert after.cells[0].source == "# A better lesson"
    assert after.cells[1:] == before.cells[1:]
    path.write_text(path.read_text().replace("1 + 1", "1 + 2"))
    found = files(course.root)
    assert "cell 3, line 8: code has changed" in run("--prose")
    path.write_text(path.read_text() + "\n# %%\nnew = 1\n")
    assert "code has changed" in run("--prose")
    assert files(course.root) == found


def test_an_unknown_lesson(course, run, capsys):
    course(name="00_one")
    assert run("00", "77") == 2
    assert "no lesson begins with '77'; there are 00_one" in capsys.readouterr().err


def test_a_template_has_nothing_to_solve(course, run):
    """A source without a number becomes a notebook to copy, and the drift gate knows it."""
    course("1 + 1", name="my_own")
    assert run() is None
    assert list(files(course.root)) == ["notebooks/my_own.ipynb"]
    assert run("--check") is None
    course("1 + 2", name="my_own")
    assert "notebooks/my_own.ipynb is not what lessons/my_own.py says" in run("--check")
    assert "solutions" not in run("--check")


def test_the_notebooks_of_the_course_are_what_the_lessons_say():
    assert list(build.stale(sorted(build.ROOT.glob("lessons/*.py")))) == []
