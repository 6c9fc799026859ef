"""Make the site: the course as pages that can be read before anything is installed.

    python -m course.site     build build/site/html from build/site/source, and look through all of its pages

`pages` prepares the source; Sphinx makes pages of it, with this module as an extension that draws formulas and
reads docstrings. Neither building nor reading them needs a network.
"""

import html
import logging
import re
import shutil
import sys
import time
from pathlib import Path

from fontTools import subset

from course.crawl import faults
from course.pages import BADGES, SiteError, badges, lost, pages, project
from course.slides import mathml

try:
    from docutils import nodes
    from sphinx.application import Sphinx
except ImportError:
    Sphinx = None  # the extra `site`

__all__ = ["build", "main", "setup", "write_badges"]

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {
    "extensions": [
        *("course.site", "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"),
        "sphinx.ext.viewcode",
    ],
    "author": "The authors of Machine Learning in X-ray Spectral Timing",
    "copyright": "the authors. Text: CC BY 4.0; code: BSD-3-Clause",
    "language": "en_GB",
    "default_role": "code",
    "autodoc_member_order": "bysource",
    "napoleon_use_ivar": True,
    "napoleon_use_rtype": False,
    "math_numfig": False,
    "myst_enable_extensions": ["dollarmath"],
    "myst_dmath_double_inline": True,
    "myst_heading_anchors": 3,
    "nb_execution_mode": "off",
    "nb_output_stderr": "remove",
    "nb_code_prompt_show": "Our solution",
    "nb_code_prompt_hide": "Hide our solution",
    "html_theme": "furo",
    "html_math_renderer": "mathml",
    "html_css_files": ["site.css"],
    "html_copy_source": False,
    "html_domain_indices": False,
    "html_theme_options": {
        "light_css_variables": {
            **{"color-brand-primary": "#0b5394", "color-brand-content": "#0b5394"},
            "color-brand-visited": "#6b3fa0",
        },
        "dark_css_variables": {
            **{"color-brand-primary": "#8ec7ff", "color-brand-content": "#8ec7ff"},
            "color-brand-visited": "#c9b3f5",
        },
    },
}


# What stands low or high after a letter or a bracket: τ_b, e^{-rτ}, t^(-3/4); not count_detected
RAISED = re.compile(
    r"(?<=[\w∫)\]])(?P<mark>(?<!\w\w)_|\^)"
    r"(?:\{(?P<braced>[^}]+)\}|\((?P<bracketed>[^()]+)\)|(?P<short>-?\w{1,2})(?![\w(:]))"
)


def draw_formula(writer, node):
    """Write a formula as MathML, which needs neither script nor network."""
    block = isinstance(node, nodes.math_block)
    made = mathml(node.astext(), {"display_mode": block})
    writer.body.append(f'<div class="math">{made}</div>' if block else made)
    raise nodes.SkipNode


def raised(found):
    """Return a subscript or superscript, as reStructuredText has it."""
    role = "sub" if found["mark"] == "_" else "sup"
    return rf"\ :{role}:`{found['braced'] or found['bracketed'] or found['short']}`\ "


def escape_docstring(app, what, name, obj, options, lines):
    """Set the formulas of a docstring, as τ_b and e^{-rτ}, and escape what is a mark elsewhere: |φ|², a *."""
    example = False
    for index, line in enumerate(lines):
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if not example:
            parts = re.split(r"(``.*?``|`.*?`)", line)
            for at in range(0, len(parts), 2):
                part = re.sub(r"([|*]|(?<=\w)_(?!\w))", r"\\\1", parts[at])
                parts[at] = re.sub(RAISED, raised, part)
            lines[index] = "".join(parts)


def is_inherited(app, what, name, obj, skip, options):
    """Leave out the methods that scikit-learn adds to its estimators."""
    return True if re.fullmatch(r"set_\w+_request", name) else None


def setup(app):
    """Tell Sphinx, of which this module is an extension, how to draw formulas and read docstrings."""
    app.setup_extension("sphinx.ext.autodoc")
    app.add_html_math_renderer("mathml", (draw_formula, None), (draw_formula, None))
    app.connect("autodoc-process-docstring", escape_docstring, priority=1)  # before napoleon
    app.connect("autodoc-skip-member", is_inherited)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def finish(folder):
    """Reduce the font to what the formulas of the pages need (a tenth), and name the folds by their words."""
    (folder / ".buildinfo").unlink(missing_ok=True)  # it depends on the folder of the course
    formulas = ""
    for path in sorted(folder.rglob("*.html")):
        text = path.read_text(encoding="utf-8").replace(' aria-label="Toggle hidden content"', "")
        path.write_text(text, encoding="utf-8")
        formulas += "".join(re.findall(r"<math.*?</math>", text, re.S))
    used = set(html.unescape(re.sub(r"<[^>]+>", "", formulas)))
    # Browsers set single letters in mathematical italics, which are other characters.
    used |= {chr(n) for n in (0x210E, *range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C))}
    logging.getLogger("fontTools").setLevel(logging.WARNING)
    path = folder / "_static" / "stix-two-math.woff"
    options = subset.Options(
        flavor="woff", layout_features=["*"], name_IDs=["*"], notdef_outline=True
    )
    font = subset.load_font(path, options)
    reduced = subset.Subsetter(options)
    reduced.populate(text="".join(used))
    reduced.subset(font)
    subset.save_font(font, path, options)


def write_badges(root=ROOT):
    """Write the badges of the public address into README, if they are not there yet."""
    path = root / "README.md"
    text = path.read_text(encoding="utf-8")
    if text != (new := BADGES.sub(lambda _: badges(project(root)), text)):
        path.write_text(new, encoding="utf-8")
        print("README.md has the badges of the address in pyproject.toml")


def build(root=ROOT):
    """Build build/site/html again; return what is wrong with it."""
    if Sphinx is None:
        raise SiteError(
            "The site needs its extra: `make site` installs it, or `pip install -e '.[site]'`"
        )
    made, told, folder = pages(root), project(root), root / "build" / "site"
    if wrong := [*lost(made)]:
        return wrong
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in made.items():
        path = folder / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        else:
            shutil.copyfile(content, path)
    settings = SETTINGS | {
        "project": (title := made["index.md"].partition("\n")[0].removeprefix("# ")),
        "html_title": title,
        "release": told["version"],
        "html_static_path": [str(root / "docs" / "site")],
    }
    app = Sphinx(
        folder / "source",
        None,
        folder / "html",
        folder / "doctrees",
        "html",
        confoverrides=settings,
        freshenv=True,
        warningiserror=True,
        status=None,
    )
    app.build()
    finish(folder / "html")
    wrong = ["Sphinx has warned, see above"] if app.statuscode else []
    return [*wrong, *faults(folder / "html")]


def main():
    """Build the site, and say how large it is."""
    start = time.perf_counter()
    try:
        write_badges()
        wrong = build()
    except SiteError as error:
        sys.exit(str(error))
    if wrong:
        sys.exit("\n".join(wrong))
    files = [path for path in (ROOT / "build/site/html").rglob("*") if path.is_file()]
    size, count = (
        sum(path.stat().st_size for path in files),
        sum(p.suffix == ".html" for p in files),
    )
    print(
        f"build/site/html/index.html: {count} pages, {size / 1e6:.1f} MB, in {time.perf_counter() - start:.0f} s"
    )


if __name__ == "__main__":
    main()
