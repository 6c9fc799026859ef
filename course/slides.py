"""Make slides for teaching from the built notebooks.

    python -m course.slides [--chromium PATH]     PATH: the browser that finds slides that are too full

Each solutions/NN_name.ipynb becomes slides/NN_name.html, one file that needs neither other files nor
a network; slides/index.html links to all of them. The first cell is the first slide. The tags of the
other cells say what is shown:

    slide        a new slide begins with this cell
    slide-next   this cell continues the slide
    slide-code   this cell continues the slide, with its source instead of its output

Text is rendered. Code cells show only their output or, with `slide-code`, their source as in
notebooks/, with unsolved exercises. With both `slide` and `slide-code` a slide begins with source.
"""

import argparse
import html
import os
import re
import subprocess
import sys
import tempfile
from itertools import groupby, pairwise
from pathlib import Path
from string import Template

import nbformat
from markdown_it import MarkdownIt
from math_core import LatexError, LatexToMathML
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

ROOT = Path(__file__).resolve().parent.parent
TAGS = {"slide", "slide-next", "slide-code"}
FRONT_MATTER = ("The question", "Afterwards you can", "Time")
# Addresses that a browser would fetch: all except those of links, and data
FETCHED = re.compile(
    r"<(?!a\b)\w+\b[^>]*?\s((?:src|srcset|href|data)\s*=\s*(?![\"']?data:)[^>\s]*)"
)
FLAGS = [
    *("--headless", "--disable-gpu", "--no-first-run", "--window-size=1280,720"),
    *("--disable-sync", "--disable-component-update", "--disable-background-networking"),
]
CODE_STYLE = "xcode"  # a colourful style of Pygments with a contrast of at least 4.5 to 1
COURSE = "Machine Learning in X-ray Spectral Timing"
KEYS = "→ and ← or the page keys turn the slides; Home and End go to the ends. Printed, they make a PDF."


class SlideError(Exception):
    """An error in a notebook's slides, with its place."""


def mathml(formula, options):
    """Return a formula as MathML, which browsers draw without further software."""
    try:
        return LATEX.convert_with_local_state(formula, displaystyle=options["display_mode"])
    except LatexError as error:
        raise SlideError(f"cannot convert the formula {formula!r}: {error}") from None


LATEX = LatexToMathML(fancy_error=False)
MARKDOWN = MarkdownIt("commonmark").enable("table")
MARKDOWN.use(dollarmath_plugin, double_inline=True, renderer=mathml)


def render(text):
    """Return Markdown as HTML, with the less important half of a heading in small letters."""
    return re.sub(r" +·  (.+)(</h\d>)", r" <small>\1</small>\2", MARKDOWN.render(text).strip())


def title_slide(source):
    """Return the first cell without the parts that a slide does not need."""
    title, *lines = source.splitlines()
    strip = next((line for line in lines if line.startswith("> ")), "").partition(
        " · [all lessons]"
    )[0]
    strip = re.sub(r"\[(.+?)\]\(\w+\.ipynb\)", r"\1", strip)  # slides need no links
    rows = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", source, re.M))
    if missing := [name for name in FRONT_MATTER if name not in rows]:
        raise SlideError(f"the table below the title has no row **{missing[0]}**")
    question, goals, minutes = (rows[name] for name in FRONT_MATTER)
    goals = goals.replace("; ", "\n- ")
    goals = f"**Afterwards you can**\n\n- {goals}"
    made = render("\n\n".join((title, strip, question, goals, minutes)))
    return re.sub(r"([●◉○ ]+)<strong>", r'<span aria-hidden="true">\1</span><strong>', made)


def columns(text, most=1000):
    """Return CSS with the width of a text in characters; lines longer than `most` are broken."""
    return f"--columns: {min(max(map(len, text.splitlines()), default=1), most)}"


def outputs(cell):
    """Yield the outputs of a cell as pieces of HTML."""
    for output in cell.outputs:
        data = output.get("data", {})
        if any(kind.startswith("image/") for kind in data):
            raise SlideError("an image without alternative text: show it with plotting.show")
        if "text/html" in data:
            # The style of pandas would conflict with ours.
            yield re.sub(r"<style.*?</style>| border=\"1\"", "", data["text/html"], flags=re.S)
        elif output.get("name") != "stderr":  # progress bars are on stderr
            text = output.get("text") or data.get("text/plain", "")
            yield f'<pre style="{columns(text)}">{html.escape(text.rstrip())}</pre>'


def pieces(cell, tags, exercises):
    """Return what a cell adds to a slide, as pieces of HTML."""
    if "slide-code" in tags:
        if cell.cell_type != "code":
            raise SlideError("'slide-code' shows source, and this is text: tag it 'slide-next'")
        if cell.id not in exercises:
            raise SlideError("this cell is not in notebooks/: run `make notebooks`")
        source = exercises[cell.id]
        style = HtmlFormatter(style=CODE_STYLE, wrapcode=True, prestyles=columns(source, 76))
        return [highlight(source, PythonLexer(), style)]
    made = [render(cell.source)] if cell.cell_type == "markdown" else list(outputs(cell))
    if not made:
        raise SlideError("this cell has no output: tag it 'slide-code', or not at all")
    return made


def slides(solved, exercises):
    """Return the slides of a lesson, as lists of pieces of HTML, each beginning with a heading.

    A slide without its own heading gets the heading of its section.
    """
    exercises = {cell.id: cell.source for cell in exercises.cells}
    heading, found = "", []
    for index, cell in enumerate(solved.cells):
        tags = {tag for tag in cell.metadata.get("tags", []) if tag.startswith("slide")}
        try:
            if strange := tags - TAGS:
                raise SlideError(
                    f"unknown tag {min(strange)!r}; there are {', '.join(sorted(TAGS))}"
                )
            if index == 0:
                made = [title_slide(cell.source)]
            elif tags:
                made = pieces(cell, tags, exercises)
            else:
                made = []
            if fetched := re.search(FETCHED, "".join(made)):
                raise SlideError(f"slides work without network, and this fetches {fetched[1]}")
            if index == 0 or "slide" in tags:
                own = [] if re.match(r"<h\d>", made[0]) else [render(heading)]
                found.append([*own, *made])
            else:
                found[-1] += made
        except SlideError as error:
            raise SlideError(f"cell {index + 1}: {error}") from None
        if cell.cell_type == "markdown":
            for token, text in pairwise(MARKDOWN.parse(cell.source)):
                if token.type == "heading_open" and token.tag < "h3":  # without "Predict first"
                    heading = f"## {text.content}"
    if len(found) == 1:
        raise SlideError(
            "no cell is tagged 'slide': tag some in lessons/, and run `make notebooks`"
        )
    return found


def deck(found):
    """Return the slides as one page of HTML."""
    sections = []
    for number, parts in enumerate(found, 1):
        level = 1 if number == 1 else 2
        first = re.sub(r"^<h\d>(.*?)</h\d>", rf"<h{level}>\1</h{level}>", parts[0])
        label, title = (words(re.match(r"<h\d>(.*?)</h\d>", p[0])[1]) for p in (parts, found[0]))
        body = "\n".join(
            f'<div class="figures">{"".join(group)}</div>' if are_images else "\n".join(group)
            for are_images, group in groupby(
                [first, *parts[1:]], lambda part: part.startswith("<img")
            )
        )
        back, on = (min(max(number + step, 1), len(found)) for step in (-1, 1))
        sections.append(f"""\
<section id="{number}" class="{"title" if number == 1 else ""}" tabindex="-1" aria-roledescription="slide"
 aria-label="{number} of {len(found)}: {label}" style="--progress: {number / len(found):.3f}">
<div class="content">
{body}
</div>
<footer><span>{title}</span><a href="#{back}" aria-label="previous slide">‹</a>{number} / {len(found)}\
<a href="#{on}" aria-label="next slide">›</a><a href="index.html">all lessons</a></footer>
</section>""")
    page = Template((ROOT / "lessons" / "slides.html").read_text(encoding="utf-8"))
    colours = HtmlFormatter(style=CODE_STYLE).get_style_defs(".highlight")
    return page.substitute(title=title, slides="\n".join(sections), highlighting=colours)


def words(marked):
    """Return the text of a piece of HTML, escaped for an attribute."""
    return html.escape(html.unescape(re.sub(r"<[^>]+>", "", marked)))


def too_full(path, chromium):
    """Return the slides that are too full in Chromium, as `3 of 12: heading`."""
    with tempfile.TemporaryDirectory() as profile:
        command = [chromium, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", path.as_uri()]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # root has no sandbox
        try:
            found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise SlideError(f"{chromium} cannot show this page: {error}") from None
    if 'class="scripted"' not in found.stdout:
        raise SlideError(f"{chromium} has not run the script of this page")
    return re.findall(r'aria-label="([^"]*)"[^>]*data-overflows', found.stdout)


def index(lessons):
    """Return the page that links to the slides; `lessons` are pairs of a name and its slides."""
    lines = []
    for name, found in lessons:
        heading, *_, time = found[0][0].splitlines()
        minutes = " + ".join(re.findall(r"\d+", time))
        lines.append(
            f'<li><a href="{name}.html">{words(heading)}</a> <small>{minutes} min</small></li>'
        )
    lines = "\n".join(lines)
    keys = f"<small>Minutes of teaching and of exercises. {KEYS}</small>"
    return deck([[f"<h1>{COURSE}</h1>", f"<ol>\n{lines}\n</ol>", keys]])


def build(root, chromium=None):
    """Write slides/ again; return the errors in the lessons, and print which slides are too full."""
    lessons, errors = [], []
    for path in sorted(root.glob("solutions/[0-9]*.ipynb")):
        try:
            notebooks = (root / folder / path.name for folder in ("solutions", "notebooks"))
            lessons.append(
                (path.stem, slides(*(nbformat.read(n, as_version=4) for n in notebooks)))
            )
        except (SlideError, OSError, ValueError) as error:
            errors.append(f"solutions/{path.name}: {error}")
    folder = root / "slides"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.html"):
        old.unlink()
    (folder / "index.html").write_text(index(lessons), encoding="utf-8")
    for name, found in lessons:
        path = folder / f"{name}.html"
        path.write_text(deck(found), encoding="utf-8")
        print(f"slides/{path.name}: {len(found)} slides, {path.stat().st_size / 1e6:.1f} MB")
        try:
            for slide in too_full(path, chromium) if chromium else ():
                print(f"    too full: {slide}")
        except SlideError as error:
            errors.append(f"slides/{path.name}: {error}")
    if not chromium:
        print("No Chromium was found, so nobody looked for slides that are too full.")
    return errors


def main():
    """Build all slides."""
    parser = argparse.ArgumentParser(description="Make slides from the built notebooks.")
    parser.add_argument("--chromium", help="the browser that finds the slides that are too full")
    sys.exit("\n".join(build(ROOT, parser.parse_args().chromium)) or None)


if __name__ == "__main__":
    main()
