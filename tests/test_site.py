"""The site, as far as it goes without Sphinx: what is prepared, what a crawl finds, and what is said where it fails."""

import itertools
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

from course import pages, site
from course.crawl import faults

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted(path.name for path in ROOT.glob("lessons/[0-9]*.py"))
ADDRESS = "https://github.com/somebody/a-course"


@pytest.fixture(scope="module")
def made():
    return pages.pages(ROOT)


@pytest.fixture(scope="module")
def navigation(made):
    """{caption: pages} of the front page."""
    parts = re.findall(
        r"```\{toctree\}\n:hidden:\n:caption: ([^\n]+)\n\n(.*?)\n```", made["index.md"], re.S
    )
    return {caption: names.split("\n") for caption, names in parts}


def cells(content):
    return json.loads(content)["cells"]


def source(cell):
    return "".join(cell["source"])


def test_every_page_is_in_the_navigation_but_those_behind_a_door(made, navigation):
    named = [name for names in navigation.values() for name in names]
    assert len(named) == len(set(named))
    written = {
        name.rpartition(".")[0] for name, content in made.items() if isinstance(content, str)
    }
    assert written - set(named) == {"index", "guide", "data/spoilers"}
    for name in ("guide.md", "data/spoilers.md"):
        assert "orphan: true\nnosearch: true" in made[name]


def test_every_lesson_is_in_the_navigation_in_its_order(navigation):
    steps = [name for caption in list(navigation)[:3] for name in navigation[caption]]
    assert steps == [f"notebooks/{Path(name).stem}" for name in LESSONS]
    assert len(navigation["The twelve steps"]) == 12


def test_no_link_is_broken_and_no_picture_missing(made):
    assert [*pages.lost(made)] == []


def test_what_is_lost_is_named(made):
    wrong = "[a](nowhere.md) ![b](no.png) [c](notebooks/00_start_here.ipynb) [d](guide.html) [e](#f) [g](https://h.i)"
    lost = [*pages.lost({**made, "x.md": wrong, "y.md": r"$\nonsense$"})]
    assert lost[:2] == ["x.md: nowhere.md leads nowhere", "x.md: no.png leads nowhere"]
    assert len(lost) == 3
    assert lost[2].startswith("y.md: cannot convert the formula")


@pytest.mark.parametrize("name", [Path(name).stem for name in LESSONS])
def test_what_a_learner_solves_comes_first_and_our_solution_is_folded(made, name):
    shown = cells(made[f"notebooks/{name}.ipynb"])
    asked = cells((ROOT / f"notebooks/{name}.ipynb").read_text(encoding="utf-8"))
    ours = cells((ROOT / f"solutions/{name}.ipynb").read_text(encoding="utf-8"))
    assert len({cell["id"] for cell in shown}) == len(shown)
    solved = [c for c in shown if "hide-input" in c["metadata"].get("tags", [])]
    assert [c["source"] for c in solved] == [
        b["source"] for a, b in zip(asked, ours, strict=True) if a["source"] != b["source"]
    ]
    for before, cell in itertools.pairwise(shown):
        if cell in solved:
            assert source(before) == source(next(c for c in asked if c["id"] == cell["id"]))
            assert before["outputs"] == []
        elif cell["cell_type"] == "code":
            assert "# solution: " not in source(cell)


def test_the_exam_stays_unsolved(made):
    exam = cells(made["notebooks/exam_another_sky.ipynb"])
    assert not any("# solution" in source(cell) or cell.get("outputs") for cell in exam)


def test_terms_lead_to_the_glossary_and_say_what_they_mean(made):
    anchors = re.findall(r'<b id="(term-[\w-]+)">', made["docs/glossary.md"])
    rows = re.findall(r"^\| <b", made["docs/glossary.md"], re.M)
    assert len(anchors) == len(set(anchors)) == len(rows) > 80
    text = "\n".join(
        source(cell)
        for name in LESSONS
        for cell in cells(made[f"notebooks/{Path(name).stem}.ipynb"])
    )
    links = re.findall(
        r'<a class="term" href="\.\./docs/glossary\.html#(.+?)" title="[^"]{10,}">\*\*', text
    )
    assert sorted(links) == sorted(anchors)


def test_what_only_teachers_should_read_is_behind_a_door(made):
    assert "Usual wrong answers" in made["guide.md"]
    assert "Spoilers" in made["data/spoilers.md"]
    for name in ("INSTRUCTORS.md", "data/README.md"):
        assert "Usual wrong answers" not in made[name]
        assert "## Spoilers" not in made[name]


def test_pages_fetch_nothing(made):
    for name, content in made.items():
        if isinstance(content, str):
            assert not re.search(r"!\[[^\]]*\]\(https?:|src=.?.?https?:", content), name


def test_the_font_has_a_table_for_formulas_and_keeps_its_licence():
    font = TTFont(ROOT / "docs/site/stix-two-math.woff")
    assert "MATH" in font
    assert "SIL" in (ROOT / "docs/site/OFL.txt").read_text(encoding="utf-8")
    for character in (
        *"abcxyzABC0123456789αβγΓΔΣθλμντφχω∫∑∏√∞≤≥≈≠±×·∝→",
        chr(0x1D44E),
        chr(0x210E),
    ):
        assert ord(character) in font.getBestCmap(), character


class TestAddress:
    """The public address stands in pyproject.toml alone."""

    def told(self, address):
        return {**pages.project(ROOT), "repository": address}

    def test_readme_has_its_badges(self):
        block = pages.BADGES.search((ROOT / "README.md").read_text(encoding="utf-8"))[0]
        assert block == pages.badges(pages.project(ROOT)), "`make site` writes them"

    def test_without_it_there_is_no_badge_and_no_link(self):
        assert pages.badges(self.told("")) == ""
        page = pages.lesson(ROOT, "06_metrics.ipynb", self.told(""), [])
        assert "Binder" not in source(page["cells"][0])

    def test_with_it_links_name_the_tag(self):
        told = self.told(ADDRESS)
        tag = f"v{pages.project(ROOT)['version']}"
        page = source(pages.lesson(ROOT, "06_metrics.ipynb", told, [])["cells"][0])
        for place in (
            f"https://mybinder.org/v2/gh/somebody/a-course/{tag}?urlpath=lab/tree/notebooks/06_metrics.ipynb",
            f"https://colab.research.google.com/github/somebody/a-course/blob/{tag}/notebooks/06_metrics.ipynb",
            f"{ADDRESS}/raw/{tag}/notebooks/06_metrics.ipynb",
        ):
            assert f"]({place})" in page
        assert f"--branch {tag} {ADDRESS} course" in page
        assert "Nobody has tried them" in page
        assert pages.badges(told).count(f"/{tag}") == 2

    def test_the_front_page_names_it(self):
        text = "[![x](https://a/b)](c)\ngit clone <this repository>\n"
        assert pages.front_page(text, self.told("")) == "git clone <this repository>\n"
        assert pages.front_page(text, self.told(ADDRESS)) == f"git clone {ADDRESS}\n"

    def test_it_is_written_into_readme_once(self, tmp_path, capsys):
        text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        text = re.sub(r'^repository = "[^"]*"', f'repository = "{ADDRESS}/"', text, flags=re.M)
        (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
        shutil.copy(ROOT / "README.md", tmp_path)
        site.write_badges(tmp_path)
        made = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert made.count("mybinder.org/v2/gh/somebody/a-course/v") == 1
        site.write_badges(tmp_path)
        assert (tmp_path / "README.md").read_text(encoding="utf-8") == made
        assert capsys.readouterr().out.count("README.md has") == 1

    def test_a_strange_one_is_refused(self, tmp_path):
        lines = '[project]\nversion = "1"\n[tool.course]\nrepository = "git@github.com:a/b"\n'
        (tmp_path / "pyproject.toml").write_text(lines)
        with pytest.raises(pages.SiteError, match=r"pyproject.toml, \[tool.course\].*correct it"):
            pages.project(tmp_path)


@pytest.fixture
def course(tmp_path):
    """A course of one lesson."""
    for folder in ("docs", "data", "helpers"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    for name in ("README.md", "INSTRUCTORS.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for folder in ("notebooks", "solutions"):
        (tmp_path / folder).mkdir()
        shutil.copy(ROOT / folder / "06_metrics.ipynb", tmp_path / folder)
    return tmp_path


@pytest.mark.parametrize("content", [None, "<<<<<<< HEAD"])
def test_a_solution_that_is_not_there_is_named_with_its_remedy(course, content):
    path = course / "solutions/06_metrics.ipynb"
    path.write_text(content) if content else path.unlink()
    with pytest.raises(
        pages.SiteError, match=r"^solutions/06_metrics.ipynb .*`make notebooks LESSON=06`"
    ):
        pages.pages(course)


def test_notebooks_that_do_not_pair_are_named(course):
    path = course / "notebooks/06_metrics.ipynb"
    notebook = json.loads(path.read_text(encoding="utf-8"))
    del notebook["cells"][3]
    path.write_text(json.dumps(notebook))
    with pytest.raises(pages.SiteError, match=r"notebooks/06_metrics.ipynb and solutions/06"):
        pages.pages(course)


def test_without_the_extra_the_pages_are_prepared_and_building_says_what_is_missing():
    code = "import sys; sys.modules |= {'sphinx': None, 'sphinx.application': None, 'docutils': None}\n"
    code += "from course import pages, site\ntry: site.build()\nexcept pages.SiteError as error: print(error)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("The site needs its extra: `make site` installs it")


def test_docstrings_become_restructured_text():
    lines = [
        "At a rate r_d, |φ|² is e^{-rτ_b}, E^-3 and t^(-3/4): `a_ |b|`, count_detected, *.",
        "",
    ]
    lines += ["    >>> a_b * c_", "    n_h: N_H", "", "n_h: the column"]
    site.escape_docstring(None, "function", "f", None, None, lines)
    assert lines[0] == (
        r"At a rate r\ :sub:`d`\ , \|φ\|² is e\ :sup:`-rτ_b`\ , E\ :sup:`-3`\  and t\ :sup:`-3/4`\ : "
        r"`a_ |b|`, count_detected, \*."
    )
    assert lines[2:] == ["    >>> a_b * c_", "    n_h: N_H", "", "n_h: the column"]


PAGE = '<html><body><h1 id="top">A</h1><a href="b.html#there">b</a><code>$x$</code><math>$</math>{}</body></html>'
FAULTS = {
    '<a href="c.html">c</a>': "c.html leads nowhere",
    '<a href="b.html#here">b</a>': "b.html#here names no place on that page",
    '<p id="top">again</p>': "2 elements have the id 'top'",
    '<img src="data:,">': "1 images without an alternative text",
    '<script src="https://cdn.org/x.js"></script>': "fetches https://cdn.org/x.js",
    '<link rel="stylesheet" href="//cdn.org/x.css">': "fetches //cdn.org/x.css",
    "<p>so $x^2$ is</p>": "a raw formula: $x^2$",
    r"<p>so \(x\) is</p>": r"a raw formula: \(",
    '<img alt="a curve" src="curve.png">': "curve.png leads nowhere",
    '<a href="https://a.org">a</a> costs $5<br>': None,
}


@pytest.mark.parametrize("wrong", FAULTS)
def test_a_crawl_finds_what_is_wrong(tmp_path, wrong):
    (tmp_path / "a.html").write_text(PAGE.format(wrong))
    (tmp_path / "b.html").write_text('<p id="there">b</p>')
    assert [*faults(tmp_path)] == ([f"a.html: {FAULTS[wrong]}"] if FAULTS[wrong] else [])


def test_a_style_that_fetches_is_found(tmp_path):
    (tmp_path / "a.css").write_text("@font-face { src: url('https://cdn.org/f.woff') }")
    assert [*faults(tmp_path)] == ["a.css: fetches https://cdn.org/f.woff"]


def test_the_workflow_publishes_what_is_built():
    workflow = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text(encoding="utf-8"))
    steps = workflow["jobs"]["site"]["steps"]
    assert any(step.get("run", "").startswith("make site ") for step in steps)
    (upload,) = [step for step in steps if "pages-artifact" in step.get("uses", "")]
    assert upload["with"]["path"] == "build/site/html"


def test_the_paper_cites_what_it_lists_and_names_this_course():
    paper = (ROOT / "paper/paper.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^@\w+\{([\w-]+),", (ROOT / "paper/paper.bib").read_text(encoding="utf-8"), re.M
    )
    head, _, text = paper.removeprefix("---\n").partition("\n---\n")
    assert set(re.findall(r"@([\w-]+)", text)) == set(listed)
    assert len(listed) == len(set(listed))
    told = yaml.safe_load(head)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert told["title"] == citation["title"]
    assert [one["name"] for one in told["authors"]] == [one["name"] for one in citation["authors"]]
    for part in ("# Summary", "# Statement of need", "# Experience of use", "# References"):
        assert f"\n{part}\n" in text


def test_every_image_of_the_pages_has_a_text(made):
    for name, content in made.items():
        if name.endswith(".ipynb"):
            html = "".join(
                "".join(output.get("data", {}).get("text/html", ""))
                for cell in cells(content)
                for output in cell.get("outputs", [])
            )
            bare = re.sub(r"base64,[\w+/=]+", "", html)
            assert all(
                image.get("alt") for image in BeautifulSoup(bare, "html.parser").find_all("img")
            ), name
