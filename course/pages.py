"""Prepare the pages of the site, without Sphinx: so that tests can, where the extra `site` is not installed.

The site's source has the places of the repository, so that links stay as they are: README.md is the front
page, notebooks/NN_name.ipynb the lesson as solved and executed. Where the learner's notebook differs, its cell
comes first, and ours is folded below it. The exam stays unsolved. What gives answers away to learners is a
page of its own behind another one. New lessons and pages of docs/ are found by their place.
"""

import copy
import html
import json
import posixpath
import re
import tomllib
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup

from course.build import STEPS, is_lesson
from course.slides import MARKDOWN, SlideError, mathml

__all__ = ["SiteError", "badges", "lost", "pages", "project"]

ROOT = Path(__file__).resolve().parent.parent
BADGES = re.compile(r"(?<=<!-- badges -->\n).*?(?=<!-- end badges -->)", re.S)  # in README
TERM = re.compile(r"^\| \*\*(.+?)\*\* \| (.+) \| \[\d\d\]\(\.\./notebooks/(.+)\.ipynb\) \|$", re.M)
INLINE = {"display_mode": False}
SPOILERS = "## Spoilers"  # how the headings of what only teachers should read begin
DOOR = """\
# {title}

This part gives answers away. If you take the course, read it only when you have worked through the lessons.

[{link}]({name}.md)
"""
API = """\
# {title}

```{{eval-rst}}
.. automodule:: {module}
   :members:
   :show-inheritance:
```
"""
COLAB = """\
<details><summary>To run this lesson on Colab, run these lines there in a first cell.</summary>

```text
!git clone --quiet --depth 1 --branch {tag} {repository} course
%cd course/notebooks
%pip install --quiet --editable ..
import sys; sys.path.insert(0, "..")
```

They install the course. Nobody has tried them on Colab yet.

</details>
"""


class SiteError(Exception):
    """An error that keeps the site from being made, with its place and a remedy."""


def project(root=ROOT):
    """Return name, version, address (empty while it is unknown) and tag of the course."""
    told = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    address, version = told["tool"]["course"]["repository"].rstrip("/"), told["project"]["version"]
    if address and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        raise SiteError(
            f"pyproject.toml, [tool.course]: {address!r} is not as https://github.com/owner/name: "
            "correct it, or leave it empty"
        )
    return {"repository": address, "version": version, "tag": f"v{version}"}


def places(name, repository, tag, **_):
    """Return where a notebook can be opened: {what: address}."""
    path = repository.removeprefix("https://github.com/")
    return {
        "open in Binder": f"https://mybinder.org/v2/gh/{path}/{tag}?urlpath=lab/tree/notebooks/{name}",
        "download the notebook": f"{repository}/raw/{tag}/notebooks/{name}",
        "open in Colab": f"https://colab.research.google.com/github/{path}/blob/{tag}/notebooks/{name}",
    }


def badges(told):
    """Return README's badges of the public address; nothing while that is unknown."""
    if not told["repository"]:
        return ""
    to = places("00_start_here.ipynb", **told)
    to = {"Binder": to["open in Binder"], "Colab": to["open in Colab"]}
    picture = "https://img.shields.io/badge/open_in-{}-0072B2"
    return "".join(f"[![open in {n}]({picture.format(n)})]({url})\n" for n, url in to.items())


def slug(term):
    """Return the anchor of a term on the glossary's page."""
    return "term-" + re.sub(r"\W+", "-", term.lower())


def read(root, name):
    """Return a built notebook."""
    try:
        return json.loads((root / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        why = "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        number = Path(name).stem.partition("_")[0]
        raise SiteError(f"{name} {why}: run `make notebooks LESSON={number}`") from None


def lesson(root, name, told, terms):
    """Return a notebook as its page: with our solutions folded, links to terms, and where to run it."""
    learners = read(root, f"notebooks/{name}")
    # The exam is for those who have not seen its answers, and a template has none.
    solved = read(root, f"solutions/{name}") if is_lesson(Path(name)) else learners
    if [c["id"] for c in learners["cells"]] != [c["id"] for c in solved["cells"]]:
        raise SiteError(f"notebooks/{name} and solutions/{name} differ: run `make notebooks`")
    page = copy.deepcopy(solved) | {"cells": []}
    for asked, ours in zip(learners["cells"], copy.deepcopy(solved["cells"]), strict=True):
        if asked["source"] != ours["source"] and ours["cell_type"] == "code":
            page["cells"].append(asked | {"id": f"{asked['id']}-asked", "outputs": []})
            ours["metadata"]["tags"] = [*ours["metadata"].get("tags", []), "hide-input"]
        for output in ours.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:  # the styles of pandas would conflict with ours
                shown = re.sub(
                    r"<style.*?</style>| border=\"1\"", "", "".join(data["text/html"]), flags=re.S
                )
                # Columns of tables that are formulas
                shown = re.sub(r"(?<=>)\$([^$<>]+)\$(?=<)", lambda m: mathml(m[1], INLINE), shown)
                data["text/html"] = shown
        if ours["cell_type"] == "markdown":
            ours["source"] = "".join(ours["source"])
        page["cells"].append(ours)
    for term, meaning in terms:
        link = f'<a class="term" href="../docs/glossary.html#{slug(term)}" title="{html.escape(meaning)}">'
        for cell in (c for c in page["cells"] if c["cell_type"] == "markdown"):
            bold = rf"(?<!\*)\*\*({re.escape(term)}[^*\n]*)\*\*(?!\*)"
            cell["source"], found = re.subn(
                bold,
                lambda words, link=link: f"{link}**{words[1]}**</a>",
                cell["source"],
                count=1,
                flags=re.I,
            )
            if found:
                break
    if told["repository"]:
        links = " · ".join(f"[{what}]({url})" for what, url in places(name, **told).items())
        page["cells"][0]["source"] += f"\n\n{links}\n\n{COLAB.format(**told)}"
    return page


def toctree(caption, names):
    """Return a part of the navigation, which follows the order of `names`."""
    names = "\n".join(posixpath.splitext(name)[0] for name in names)
    return f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{names}\n```\n"


def front_page(text, told):
    """Return README without its remote badges, which a page without network cannot show."""
    text = re.sub(r"<!-- badges -->.*?<!-- end badges -->\n", "", text, flags=re.S)
    text = re.sub(r"^\[?!\[[^\]]*\]\((https:|\.\./\.\./actions).*\n", "", text, flags=re.M)
    if told["repository"]:
        text = text.replace("<this repository>", told["repository"])
    return text


def pages(root=ROOT):
    """Return the site's source, {place: text, or the path of a file to copy}, without Sphinx."""
    told, made = project(root), {}

    def text(name):
        return (root / name).read_text(encoding="utf-8")

    glossary = text("docs/glossary.md")
    names = sorted(path.name for path in (root / "notebooks").glob("*.ipynb"))
    for name in names:
        terms = [
            (t, meaning) for t, meaning, place in TERM.findall(glossary) if f"{place}.ipynb" == name
        ]
        made[f"notebooks/{name}"] = lesson(root, name, told, terms)
    docs = [f"docs/{path.name}" for path in sorted((root / "docs").glob("*.md"))]
    made |= {name: text(name) for name in docs}
    made["docs/glossary.md"] = re.sub(
        TERM,
        lambda row: row[0].replace(f"**{row[1]}**", f'<b id="{slug(row[1])}">{row[1]}</b>', 1),
        glossary,
    )
    data, mark, hidden = text("data/README.md").partition(f"\n{SPOILERS}")
    made["data/README.md"] = data + (
        "\n[For those who teach: what is planted](spoilers.md)\n" if mark else ""
    )
    hidden = "# Spoilers: the flaws of the data\n" + mark + hidden
    made["INSTRUCTORS.md"] = DOOR.format(
        title="For those who teach", link="I teach: open the guide", name="guide"
    )
    for name, content in (("data/spoilers.md", hidden), ("guide.md", text("INSTRUCTORS.md"))):
        made[name] = f"---\norphan: true\nnosearch: true\n---\n{content}"
    # A package is documented by its door alone.
    doors = (*root.glob("helpers/[!_]*.py"), *root.glob("helpers/*/__init__.py"))
    modules = sorted(
        f"helpers.{path.parent.name if path.stem == '__init__' else path.stem}" for path in doors
    )
    made |= {f"api/{m}.md": API.format(title=m, module=m) for m in modules}

    lessons = [name for name in names if is_lesson(Path(name))]
    parts = {"Start here": [], "The twelve steps": [], "After the twelve steps": []}
    for name in lessons:
        number = int(name[:2])
        parts[list(parts)[(number > 0) + (number > len(STEPS))]].append(f"notebooks/{name}")
    parts["On your own"] = [f"notebooks/{name}" for name in names if name not in lessons]
    parts["To look up"] = [*docs, "data/README.md"]
    parts["The package"] = [f"api/{module}" + ".md" for module in modules]
    parts["For those who teach"] = ["INSTRUCTORS.md"]
    made["index.md"] = front_page(text("README.md"), told)
    for name, content in list(made.items()):
        if isinstance(content, str):
            made[name] = linked(content, name, root, made)
        else:
            for cell in content["cells"]:
                if cell["cell_type"] == "markdown":
                    cell["source"] = linked(cell["source"], name, root, made)
            made[name] = json.dumps(content, ensure_ascii=False)
    made["index.md"] += "".join(toctree(*part) for part in parts.items() if part[1])
    return made


def linked(text, page, root, made):
    """Return Markdown whose links lead to pages of the site; files that are no pages join `made`."""

    def to(link):
        target, anchor = link[1], (link[2] or "").lower()  # Sphinx's anchors are lower case
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        if path.startswith("solutions/"):
            path = path.replace("solutions", "notebooks", 1)
        path = {"README.md": "index.md"}.get(path, path)
        if path not in made and (root / path).is_file():
            made[path] = root / path
        if path not in made:
            return link[0]
        return f"]({posixpath.relpath(path, posixpath.dirname(page) or '.')}{anchor})"

    return re.sub(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)", to, text)


def lost(made):
    """Yield what the prepared pages lack: targets of links, pictures, and formulas that can be drawn."""
    for name, content in made.items():
        if not isinstance(content, str):
            continue
        texts = [content]
        if name.endswith(".ipynb"):
            cells = json.loads(content)["cells"]
            texts = [cell["source"] for cell in cells if cell["cell_type"] == "markdown"]
        try:
            shown = BeautifulSoup("\n".join(map(MARKDOWN.render, texts)), "html.parser")
        except SlideError as error:
            yield f"{name}: {error}"
            continue
        for element in shown.find_all(["a", "img"]):
            target = element.get("href") or element.get("src") or ""
            if re.match(r"https?:|mailto:|data:|#", target):
                continue
            path = posixpath.normpath(
                posixpath.join(posixpath.dirname(name), unquote(target).partition("#")[0])
            )
            stem, kind = posixpath.splitext(path)
            known = {f"{stem}.md", f"{stem}.ipynb"} if kind == ".html" else {path}
            if not known & made.keys():
                yield f"{name}: {target} leads nowhere"
