"""Build the notebooks of the course from their sources.

    python -m course.build [NN ...]     build all lessons, or those whose names begin with NN
    python -m course.build --check      the drift gate: does every notebook agree with its source?
    python -m course.build --prose 07   only text and tags have changed: keep the outputs, run nothing

A source is a jupytext percent script, lessons/NN_name.py. It becomes solutions/NN_name.ipynb,
solved and executed, and notebooks/NN_name.ipynb, where each block between the two markers

    # solution: the hint that the learner reads
    # end solution

is replaced by the hint and by `name = ...` for every name that is needed later (or by `...`);
a dictionary keeps its keys. The strip of the twelve steps is added below the title of each lesson after 00.
lessons/NN_name.toml has the alternative text of each figure by a name, for readers who cannot see it: "cost" in
06_metrics.toml is for `plotting.show(figure, "06_cost")`. The build collects all texts in
helpers/alternative_texts.json, where `show` finds them.
A source without a number is not a lesson: it is the exam, or a template without anything to solve, such
as lessons/my_observation.py, which becomes only notebooks/my_observation.ipynb.
"""

import argparse
import ast
import copy
import hashlib
import itertools
import json
import os
import re
import signal
import symtable
import sys
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from textwrap import dedent, indent

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
TEXTS = Path("helpers/alternative_texts.json")
AT_ONCE = 2  # lessons in parallel: each may need 1.5 GB, and its libraries use several cores
CELL_TIMEOUT = 180  # seconds, the limit of a whole notebook
STEPS = (
    "Figuring out what we want to learn, and why",
    "Exploring the data, part I",
    "Train-validation-test splits",
    "Exploring the data, part II",
    "Pre-processing: dimensionality reduction, scaling",
    "Choosing an evaluation metric",
    "Choosing a (simple) algorithm and fitting it",
    "Exploring the results",
    "A (more complex?) algorithm",
    "Hyperparameter tuning",
    "Interpreting outcomes",
    "Science!",
)
AFTERWARDS = {
    13: "Simulation-based inference",
    14: "Dead time",
    15: "Pile-up",
    16: "Trusting posteriors",
    17: "Nobody gave you labels",
    18: "Features, or no features",
    22: "Your own observation",
}
TITLES = dict(enumerate(STEPS, 1)) | AFTERWARDS
MARKER = r" *#.*\bsolutions?\b.*"  # any comment with this word must be one of a pair
BLOCK = re.compile(rf"^( *)# solution: (.+)\n((?:(?!{MARKER}).*\n)*)\1# end solution$", re.M)


class LessonError(Exception):
    """An error in a lesson's source, with its place."""


def is_lesson(path):
    """Return whether a source is a lesson, that is, has a number."""
    return path.stem[:2].isdigit()


def is_template(path):
    """Return whether a source is not a lesson, and has nothing to solve."""
    return not is_lesson(path) and not BLOCK.search(path.read_text(encoding="utf-8"))


def step_strip(number):
    """Return the line below a lesson's title: its place in the twelve steps or after them, and links."""
    place = list(TITLES).index(number) + 1  # among the existing lessons
    numbers = (0, *TITLES, None)
    files = {int(path.stem[:2]): path.stem for path in (ROOT / "lessons").glob("[0-9]*.py")}
    files[None] = "my_observation"

    def link(number):
        title = {0: "the introduction", None: "your own project"}.get(number) or TITLES[number]
        return f"[{title}]({files[number]}.ipynb)" if number in files else title

    before, where, of, index = "", f"Step {number}", len(STEPS), place
    if place > len(STEPS):
        before, index, of = "●" * len(STEPS) + "  ", place - len(STEPS), len(AFTERWARDS)
        where = f"After the twelve steps: {index}"
    dots = before + "●" * (index - 1) + "◉" + "○" * (of - index)
    done, then = link(numbers[place - 1]), link(numbers[place + 1])
    return (
        f"> {dots}  **{where} of {of}** · done: {done} · **here: {TITLES[number]}** · next: {then}"
        f" · [all lessons]({files.get(0, '00_start_here')}.ipynb#The-map)"
        " · [glossary](../docs/glossary.md) · [resources](../docs/resources.md)"
    )


def read_lesson(path):
    """Return the lesson without outputs, and `place(index, line)`, which names a line of a cell."""
    source = path.read_text(encoding="utf-8")
    lesson = jupytext.reads(source, fmt="py:percent")
    starts = [n for n, line in enumerate(source.splitlines(), 1) if line.startswith("# %%")]

    def place(index, line=1):
        return f"lessons/{path.name}, cell {index + 1}, line {starts[index] + line}"

    if is_lesson(path) and (number := int(path.stem[:2])) in TITLES:
        title, _, rest = lesson.cells[0].source.partition("\n")
        if title != (wanted := f"# {number} · {TITLES[number]}"):
            raise LessonError(f"{place(0)}: the title must be {wanted!r}")
        lesson.cells[0].source = f"{title}\n\n{step_strip(number)}\n{rest}"
    copies = Counter()
    for cell in lesson.cells:
        # Jupytext's ids are random; ours depend on the content, and equal cells are numbered.
        key = cell.cell_type + cell.source
        cell.id = hashlib.sha256(f"{key}{copies[key]}".encode()).hexdigest()[:12]
        copies[key] += 1
        cell.metadata.pop("lines_to_next_cell", None)
    lesson.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return lesson, place


def alternative_texts():
    """Return the texts of all figures by their names, each from the file of its lesson."""
    texts = {}
    for path in sorted((ROOT / "lessons").glob("*.toml")):
        lesson, prefix = path.with_suffix(".py"), path.stem.partition("_")[0]
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        given = {f"{prefix}_{name}": " ".join(text.split()) for name, text in given.items()}
        shown = set(re.findall(rf'"({prefix}_\w+)"', lesson.read_text(encoding="utf-8")))
        if alone := sorted(shown ^ given.keys()):
            raise LessonError(
                f"lessons/{path.name}: {alone[0]} is only here, or only in {lesson.name}"
            )
        texts |= given
    return texts


def stub(block, tree, first, last):
    """Return what replaces a block for learners; the block is lines `first` to `last` of `tree`."""
    for node in ast.walk(tree):  # from outside to inside: names that the same function needs later
        if isinstance(node, ast.FunctionDef) and node.lineno < first <= node.end_lineno:
            tree = node
    reads = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    needed = {name.id for name in reads if name.lineno > last}

    scope = symtable.symtable("def scope():\n" + indent(block, " "), "block", "exec")
    values = dict.fromkeys(scope.get_children()[0].get_locals(), "...")
    for statement in ast.parse(block).body:
        match statement:
            case ast.Assign(targets=[ast.Name(name)], value=ast.Dict(keys=[_, *_] as keys)):
                items = (f"    {ast.get_source_segment(block, key)}: ...,\n" for key in keys)
                values[name] = f"{{\n{''.join(items)}}}"
    return "\n".join(f"{n} = {v}" for n, v in values.items() if n in needed) or "..."


def exercise(source, place):
    """Return the source of a cell with each solution replaced by its hint and its stub."""
    without_blocks = BLOCK.sub(lambda block: "\n" * block[0].count("\n"), source)
    if stray := re.search(f"^{MARKER}", without_blocks, re.M):
        line = without_blocks.count("\n", 0, stray.start()) + 1
        pair = "of a pair '# solution: hint' ... '# end solution'"
        raise LessonError(f"{place(line)}: {stray[0].strip()!r} is not one {pair}")

    def replace(block):
        margin, hint, lines = block.groups()
        first, last = (source.count("\n", 0, end) for end in (block.start(3), block.end()))
        made = stub(dedent(lines), ast.parse(source), first + 1, last)
        return indent(f"# {hint}\n{made}", margin)

    try:
        return BLOCK.sub(replace, source)
    except SyntaxError as error:
        raise LessonError(f"{place(error.lineno)}: SyntaxError: {error.msg}") from None


def learners_notebook(path):
    """Return the lesson with exercises to fill in and without outputs."""
    lesson, place = read_lesson(path)
    for index, cell in enumerate(lesson.cells):
        if cell.cell_type == "code":
            cell.source = exercise(cell.source, lambda line, index=index: place(index, line))
    return lesson


def solved_notebook(path):
    """Return the solved lesson with its outputs."""
    lesson, place = read_lesson(path)
    client = NotebookClient(
        lesson,
        timeout=CELL_TIMEOUT,
        resources={"metadata": {"path": str(ROOT / "solutions")}},
        record_timing=False,
        coalesce_streams=True,  # otherwise printed text comes in random pieces
        extra_arguments=["--log-level=ERROR"],
    )
    # The figure of a slider is kept; nbclient's replacement for the slider would drop it, and would
    # sometimes wait for its own timeout (nbclient issue 312).
    client.widget_registry = {}
    with client.setup_kernel():
        if any("plotting" in cell.source for cell in lesson.cells):
            # Only the build reports legends that differ by colour alone; learners' kernels do not.
            client.kc.execute("from course import legends; legends.watch()", silent=True)
        for index, cell in enumerate(lesson.cells):
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                # The innermost frame in the notebook may be in a function of an earlier cell.
                traceback = re.sub(r"\x1b\[[\d;]*m", "", error.traceback)
                frames = re.findall(r"Cell In\[(\d+)\], line (\d+)", traceback)
                count, line = map(int, frames[-1] if frames else (cell.execution_count, 1))
                failed = [cell.get("execution_count") for cell in lesson.cells].index(count)
                raise LessonError(f"{place(failed, line)}: {error.ename}: {error.evalue}") from None
            except (CellTimeoutError, DeadKernelError) as error:
                raise LessonError(f"{place(index)}: {str(error).splitlines()[0]}") from None
            for output in list(cell.get("outputs", [])):
                if output.output_type == "error":  # a slider's function: no cell fails
                    raise LessonError(f"{place(index)}: {output.ename}: {output.evalue}")
                if output.get("name") == "stderr":  # warnings, with paths of this machine
                    output.text = re.sub(r"\S*/site-packages/", "", output.text)
                data = output.get("data", {})
                # A table that pandas styles has a random name and a random address in memory.
                for kind in data.keys() & {"text/html", "text/plain"}:
                    data[kind] = re.sub(r"\bT_[0-9a-f]{5}", f"T_{cell.id[:5]}", data[kind])
                    data[kind] = re.sub(r"(?<=\.Styler) at 0x[0-9a-f]+", "", data[kind])
                # A saved widget does not work, and its id is random.
                if data.pop("application/vnd.jupyter.widget-view+json", None) is None:
                    continue
                if data["text/plain"].startswith("interactive("):
                    data["text/plain"] = "Run this cell to move the slider."
                elif varying(cell):
                    # A progress bar at 0 %. Where nbval compares outputs, it also sees one.
                    cell.outputs.remove(output)
    return lesson


def text(notebook, less=lambda cell: False):
    """Return the notebook as it is on disk, without the outputs of the cells that `less` selects."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code" and less(cell):
            cell.outputs, cell.execution_count = [], None
    return nbformat.writes(notebook) + "\n"


def varying(cell):
    """Return whether the outputs of a cell differ from run to run; nbval does not compare these either."""
    return "nbval-ignore-output" in cell.metadata.get("tags", [])


def saved(path):
    """Return the notebook at `path`, or an empty one if there is none that can be read."""
    try:
        return nbformat.read(path, as_version=4)
    except (FileNotFoundError, ValueError):
        return nbformat.v4.new_notebook()


def write(content, path):
    """Write in one step: an interrupted build leaves the old file complete."""
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def solved_as_before(path):
    """Return the solved lesson with its saved outputs, if no code has changed."""
    lesson, place = read_lesson(path)
    new, old = (
        [cell for cell in notebook.cells if cell.cell_type == "code"]
        for notebook in (lesson, saved(ROOT / "solutions" / f"{path.stem}.ipynb"))
    )
    for cell, before in itertools.zip_longest(new, old):
        if cell is None or before is None or cell.source != before.source:
            where = place(lesson.cells.index(cell)) if cell else f"lessons/{path.name}"
            raise LessonError(f"{where}: code has changed: build without --prose")
        cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return lesson


def build(path, solve=solved_notebook):
    """Build both notebooks of a lesson; return the time it took, in seconds."""
    start = time.perf_counter()
    exercises, target = learners_notebook(path), ROOT / "solutions" / f"{path.stem}.ipynb"
    if not is_template(path):
        solved = solve(path)
        if text(saved(target), less=varying) != text(solved, less=varying):
            write(text(solved), target)
    write(text(exercises), ROOT / "notebooks" / target.name)
    return time.perf_counter() - start


def stale(paths):
    """Yield one sentence for each notebook or file that does not agree with the sources."""
    texts = alternative_texts()
    if json.loads((ROOT / TEXTS).read_text(encoding="utf-8")) != texts:
        yield f"{TEXTS} is not what lessons/*.toml say: `make notebooks`"
    for path in paths:
        name, (lesson, _) = f"{path.stem}.ipynb", read_lesson(path)
        solved, exercises = (saved(ROOT / folder / name) for folder in ("solutions", "notebooks"))
        if not is_template(path) and text(solved, less=lambda cell: True) != text(lesson):
            yield f"solutions/{name} is not what lessons/{path.name} says: `make notebooks`"
        outputs = itertools.chain(*(cell.get("outputs", []) for cell in solved.cells))
        shown = {output.get("data", {}).get("text/plain") for output in outputs}
        for figure, words in texts.items():
            of_this = figure.partition("_")[0] == path.stem.partition("_")[0]
            if of_this and "{" not in words and f"Figure: {words}" not in shown:
                yield f"solutions/{name} has another text for {figure}: `make notebooks`"
        if text(exercises) != text(learners_notebook(path)):
            yield (
                f"notebooks/{name} is not what lessons/{path.name} says: `make notebooks`, "
                "but move your own answers elsewhere first"
            )
    for product in sorted((*ROOT.glob("solutions/*.ipynb"), *ROOT.glob("notebooks/*.ipynb"))):
        if not (ROOT / "lessons" / f"{product.stem}.py").exists():
            yield f"{product.relative_to(ROOT)} has no source in lessons/: remove it"


def build_all(paths, solve=solved_notebook):
    """Build lessons in parallel; return their errors."""
    errors = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = {pool.submit(build, path, solve): path.stem for path in paths}
        # A log has no progress bar: one line for each lesson is enough.
        for job in tqdm(as_completed(jobs), total=len(jobs), unit="lesson", disable=None):
            try:
                tqdm.write(f"{jobs[job]}  {job.result():.1f} s")
            except LessonError as error:
                errors.append(str(error))
    return errors


def main():
    """Build or check the requested lessons."""
    parser = argparse.ArgumentParser(description="Build the notebooks of the course.")
    parser.add_argument("names", nargs="*", metavar="NN", help="beginnings of lesson names")
    parser.add_argument("--check", action="store_true", help="say what is stale, build nothing")
    parser.add_argument("--prose", action="store_true", help="keep outputs, if no code changed")
    arguments = parser.parse_args()
    solve = solved_as_before if arguments.prose else solved_notebook
    lessons = sorted((ROOT / "lessons").glob("[!_]*.py"))
    for name in arguments.names:
        if not any(path.stem.startswith(name) for path in lessons):
            known = ", ".join(path.stem for path in lessons)
            parser.error(f"no lesson begins with {name!r}; there are {known}")
    paths = [path for path in lessons if path.stem.startswith(tuple(arguments.names) or "")]
    # Ctrl-C ends this process at once, and its kernels with it; Python would wait for all threads.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        if not arguments.check:
            lines = json.dumps(alternative_texts(), indent=0, ensure_ascii=False)
            write(lines + "\n", ROOT / TEXTS)
        problems = list(stale(paths)) if arguments.check else build_all(paths, solve)
    except LessonError as error:
        problems = [str(error)]
    sys.exit("\n".join(problems) or None)


if __name__ == "__main__":
    main()
