"""The slides, on a small notebook of its own; and on the lessons of the course that have some."""

import re
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pygments.styles import get_style_by_name
from stand_ins import program

from course import slides

ROOT = Path(__file__).parents[1]

HEAD = """\
# 3 · Splits

> ●●◉○  **Step 3 of 4** · done: [Data](2.ipynb) · **here: Splits** · next: [Metrics](4.ipynb) · [all lessons](0.ipynb)

| | |
|---|---|
| **The question** | Is $p < 1$? |
| **Afterwards you can** | split; find a leak |
| **Time** | 40 min of reading or teaching, 56 min of exercises |
| **Data** | simulated |

An introduction that nobody needs on a wall."""
FIGURE = '<img alt="A curve that climbs & falls" src="data:image/png;base64,AAAA" style="max-width: 100%">'
TABLE = '<div>\n<style scoped>\n.dataframe {}\n</style>\n<table border="1" class="dataframe"></table>\n</div>'


def text(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def code(source, *tags, html=(), printed=None, stderr=None):
    outputs = [new_output("stream", name="stderr", text=stderr)] if stderr else []
    outputs += [new_output("stream", text=printed)] if printed else []
    outputs += [
        new_output("display_data", {"text/html": one, "text/plain": "plain"}) for one in html
    ]
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs)


def notebook(*cells):
    return new_notebook(cells=[text(HEAD), *cells])


def made(*cells, stubs=None):
    """The slides of a notebook of these cells, as parsed sections; `stubs`: {id: the learner's source}."""
    solved = notebook(*cells)
    learners = [new_code_cell((stubs or {}).get(c.id, c.source), id=c.id) for c in solved.cells]
    exercises = new_notebook(cells=learners)
    page = BeautifulSoup(slides.deck(slides.slides(solved, exercises)), "html.parser")
    return page.find_all("section")


def words(section):
    return " ".join(section.find(class_="content").text.split())


def test_the_first_slide_is_the_head_less_what_nobody_needs():
    first = made(text("## A", "slide"))[0]
    assert first.h1.text == "3 · Splits"
    assert not first.blockquote.find("a")
    assert first.blockquote.text.endswith("here: Splits · next: Metrics\n")
    assert first.blockquote.find(attrs={"aria-hidden": "true"}).text.strip() == "●●◉○"
    assert first.math.text == "p<1"
    assert [goal.text for goal in first.find_all("li")] == ["split", "find a leak"]
    shown = words(first)
    assert "here: Splits" in shown
    assert shown.endswith("40 min of reading or teaching, 56 min of exercises")
    assert "simulated" not in shown
    assert "introduction" not in shown


def test_tags_decide_what_is_shown_and_where():
    found = made(
        text("## One\n\nfirst", "slide"),
        text("second", "slide-next"),
        text("between the slides"),
        code("hidden = 1", "slide-next", printed="third"),
        code("untagged = 1", printed="unseen"),
        text("## Two", "slide", "nbval-ignore-output"),
        code("fourth = 1", "slide-code", printed="not this"),
        text("### Deeper"),
        code("fifth = 1", "slide", "slide-code"),
    )
    assert [words(section) for section in found[1:]] == [
        "One first second third",
        "Two fourth = 1",
        "Two fifth = 1",
    ]
    headings = [section.find(re.compile("^h[1-6]$")).name for section in found]
    assert headings == ["h1", *["h2"] * 3]


def test_a_slide_without_a_heading_gets_the_last_one():
    found = made(text("## With $x^2$ and *stress*"), code("1", "slide", printed="out"))
    assert found[1].h2.math is not None
    assert words(found[1]) == "With x2 and stress out"
    assert made(code("1", "slide", printed="out"))[1].h2.text == "3 · Splits"


def test_solutions_never_appear():
    cell = code("# solution: divide\nx = SECRET\n# end solution", "slide-code", printed="2")
    shown = code("y = SECRET", "slide-next", printed="3")
    found = made(text("## A", "slide"), cell, shown, stubs={cell.id: "# divide\nx = ..."})
    assert words(found[1]) == "A # divide x = ... 3"
    assert "SECRET" not in str(found)


def test_outputs_are_shown_as_they_are():
    cell = code(
        "draw()", "slide", html=[FIGURE, FIGURE, TABLE], printed="a < b\n", stderr=" 0%| progress"
    )
    section = made(text("## A"), cell)[1]
    images = section.find(class_="figures").find_all("img")
    assert [image["alt"] for image in images] == ["A curve that climbs & falls"] * 2
    assert section.table["class"] == ["dataframe"]
    assert section.style is None
    assert section.pre.text == "a < b"
    assert "progress" not in section.text
    assert "plain" not in section.text


def test_markdown_is_rendered():
    source = "## Exercise 3.1 · Split  ·  core · 8 min · ●●○\n\n"
    source += "| a | b |\n|---|---|\n| $x_j$ | *c* |\n\n$$\\frac{a}{b}$$"
    section = made(text(source, "slide"))[1]
    assert section.h2.small.text == "core · 8 min · ●●○"
    assert section["aria-label"] == "2 of 2: Exercise 3.1 · Split core · 8 min · ●●○"
    assert [cell.text for cell in section.find_all("th")] == ["a", "b"]
    assert section.td.math.msub is not None
    assert section.find_all("math")[1]["display"] == "block"
    assert "$" not in section.text


@pytest.mark.parametrize("markup", ['<b title="a > b">', '"quoted"', "`<script>`"])
def test_a_label_is_plain_text(markup):
    section = made(text(f"## A {markup} end", "slide"))[1]
    assert section["aria-label"].startswith("2 of 2: A ")
    assert section["aria-label"].endswith("end")
    assert section["aria-roledescription"] == "slide"


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([text("## A")], "no cell is tagged 'slide': tag some in lessons/, and run `make notebooks`"),
        ([text("a", "slides")], r"cell 2: unknown tag 'slides'; there are slide, slide-code, slide-next"),
        ([text("## A", "slide"), text("$x + \\foo$", "slide-next")],
         r"cell 3: cannot convert the formula 'x \+ \\\\foo': 4: Unknown command"),
        ([text("$\\frac{a}$", "slide")], r"cell 2: cannot convert the formula '\\\\frac\{a\}': "),
        ([text("## A", "slide-code")], "cell 2: 'slide-code' shows source, and this is text"),
        ([code("x = 1", "slide")], "cell 2: this cell has no output: tag it 'slide-code'"),
        ([text("![A star](star.png)", "slide")], 'cell 2: .* this fetches src="star.png"'),
        ([code("1", "slide", html=['<img src="https://a.b/c.png">'])], r"cell 2: .*https://a\.b/c\.png"),
        ([code("1", "slide", html=["<script src='//a.b/c.js'></script>"])], "cell 2: .* fetches"),
    ],
)  # fmt: skip
def test_bad_input_is_named_with_its_cell(cells, message):
    with pytest.raises(slides.SlideError, match=message):
        made(*cells)


def test_a_head_without_its_table(monkeypatch):
    monkeypatch.setitem(globals(), "HEAD", "# 3 · Splits")
    with pytest.raises(slides.SlideError, match=r"cell 1: .* no row \*\*The question\*\*"):
        made(text("## A", "slide"))


def test_source_comes_from_the_notebook_of_the_same_build():
    solved = notebook(code("x = 1", "slide", "slide-code"))
    wrong = "cell 2: this cell is not in notebooks/: run `make"
    with pytest.raises(slides.SlideError, match=wrong):
        slides.slides(solved, new_notebook())


@pytest.fixture
def course(tmp_path):
    """Two lessons, the second without slides, and an old page."""
    for folder in ("solutions", "notebooks", "slides"):
        (tmp_path / folder).mkdir()
    lessons = {
        "03_splits": notebook(
            text("## A [link](https://a.b/c)", "slide"), code("1", "slide", html=[FIGURE])
        ),
        "04_more": notebook(text("## A")),
    }
    for name, lesson in lessons.items():
        for folder in ("solutions", "notebooks"):
            nbformat.write(lesson, tmp_path / folder / f"{name}.ipynb")
    (tmp_path / "slides" / "99_gone.html").write_text("old")
    return tmp_path


def test_build_writes_what_it_can_and_names_the_rest(course, capsys):
    (error,) = slides.build(course)
    assert error.startswith("solutions/04_more.ipynb: no cell is tagged 'slide'")
    assert sorted(path.name for path in course.glob("slides/*")) == ["03_splits.html", "index.html"]
    index = BeautifulSoup((course / "slides/index.html").read_text(), "html.parser")
    assert [(a["href"], a.text) for a in index.ol.find_all("a")] == [
        ("03_splits.html", "3 · Splits")
    ]
    assert "40 + 56 min" in index.ol.text
    said = capsys.readouterr().out
    assert "slides/03_splits.html: 3 slides, 0.0 MB" in said
    assert "nobody looked for slides that are too full" in said

    (course / "notebooks/03_splits.ipynb").write_text("<<<<<<< HEAD")
    assert [error.split(":")[0] for error in slides.build(course)] == [
        "solutions/03_splits.ipynb",
        "solutions/04_more.ipynb",
    ]


@pytest.mark.parametrize(
    ("browser", "said"),
    [
        ('echo \'aria-label="2 of 3: A" data-overflows=""><body class="scripted">\'', None),
        ("echo 'aria-label=\"2 of 3: A\">'", "has not run the script of this page"),
        ("exit 7", "cannot show this page: .* exit status 7"),
    ],
)
def test_slides_that_are_too_full_are_listed(course, capsys, tmp_path, browser, said):
    _, *errors = slides.build(course, str(program(tmp_path / "chromium", browser)))
    if said is None:
        assert not errors
        assert "    too full: 2 of 3: A\n" in capsys.readouterr().out
    else:
        (error,) = errors
        assert re.search(f"^slides/03_splits.html: .*{said}", error)


def test_a_page_needs_nothing_else(course):
    slides.build(course)
    for path in course.glob("slides/*.html"):
        source = path.read_text()
        page = BeautifulSoup(source, "html.parser")
        assert page.html["lang"] == "en-GB"
        assert not page.find_all(["link", "iframe", "object", "embed", "base"])
        assert all(element["src"].startswith("data:") for element in page.find_all(src=True))
        assert "url(" not in source
        assert "@import" not in source
        for link in page.find_all("a"):
            kind, _, rest = link["href"].partition("#")
            assert kind.startswith("https://") or (course / "slides" / (kind or path.name)).exists()
            assert not rest or page.find(id=rest)


def luminance(colour):
    """As WCAG 2.2 defines it, of a colour such as 0b5394."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    parts = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def test_text_stands_out():
    css = (ROOT / "lessons" / "slides.html").read_text()
    names = dict(re.findall(r"--(ink|accent|pale): #(\w{6})", css))
    colours = {names["ink"], names["accent"], *re.findall(r"[{ ]color: #(\w{6})", css)}
    style = get_style_by_name(slides.CODE_STYLE)
    kinds = [(str(kind), look["color"]) for kind, look in style if look["color"]]
    exempt = ("Token.Generic", "Token.Error")
    colours |= {colour for kind, colour in kinds if not kind.startswith(exempt)}
    assert len(colours) > 8
    for colour in colours:  # on the darker of the two grounds
        ratio = (luminance(names["pale"]) + 0.05) / (luminance(colour) + 0.05)
        assert ratio >= 4.5, colour


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("solutions/[0-9]*.ipynb")), ids=lambda path: path.stem
)
def test_the_lessons_of_the_course_and_all_their_mathematics(path):
    solved = nbformat.read(path, as_version=4)
    for number, cell in enumerate(solved.cells, 1):
        if cell.cell_type == "markdown":
            rendered = BeautifulSoup(slides.render(cell.source), "html.parser")
            for element in rendered.find_all("code"):
                element.clear()
            assert "$" not in rendered.text, number
    tags = [set(cell.metadata.get("tags", [])) for cell in solved.cells]
    if any(tags_of_cell & slides.TAGS for tags_of_cell in tags):
        exercises = nbformat.read(ROOT / "notebooks" / path.name, as_version=4)
        found = slides.slides(solved, exercises)
        assert len(found) == 1 + sum("slide" in one for one in tags[1:])
        assert len(found) >= 5
