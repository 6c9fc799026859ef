"""Look through built pages: links, pictures, formulas, ids, and what a browser would fetch elsewhere."""

import posixpath
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

__all__ = ["faults"]

# Elements without an end
_VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class _Page(HTMLParser):
    """What a crawl asks of a page: ids, links, what is fetched, images, and text."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.fetched, self.bare, self.text = [], [], [], 0, []
        self.inside = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if tag == "a" and "href" in given else []
        self.fetched += [given["src"]] if "src" in given else []
        self.fetched += [given["href"]] if tag == "link" and "href" in given else []
        self.bare += tag == "img" and not given.get("alt")
        if tag not in _VOID:
            self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not {"code", "pre", "script", "style", "math"} & set(self.inside):
            self.text.append(data)


def faults(folder):
    """Yield the faults of built pages: bad links, requests to other machines, raw formulas, and the like."""
    folder = Path(folder)
    found = {}
    for path in sorted(folder.rglob("*.html")):
        text = re.sub(r"base64,[\w+/=]+", "base64,", path.read_text(encoding="utf-8"))
        found[path.relative_to(folder).as_posix()] = _Page(text)
    for name, page in found.items():
        for one, times in Counter(page.ids).items():
            if times > 1:
                yield f"{name}: {times} elements have the id {one!r}"
        if page.bare:
            yield f"{name}: {page.bare} images without an alternative text"
        if raw := re.search(r"\$[^$\n]+\$|\\\(|\\\[|\\frac", " ".join(page.text)):
            yield f"{name}: a raw formula: {raw[0][:60]}"
        for target in (*page.links, *page.fetched):
            if re.match(r"(https?:)?//", target) and target in page.fetched:
                yield f"{name}: fetches {target}"
            if re.match(r"\w+:|//", target):
                continue
            path, _, anchor = target.partition("#")
            path = path.partition("?")[0]
            there = (
                posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(path)))
                if path
                else name
            )
            if not (folder / there).is_file():
                yield f"{name}: {target} leads nowhere"
            elif anchor and there in found and unquote(anchor) not in found[there].ids:
                yield f"{name}: {target} names no place on that page"
    for path in sorted(folder.rglob("*.css")):
        for address in re.findall(
            r"(?:url\(|@import )[\"']?(https?:[^)\"']+)", path.read_text("utf-8")
        ):
            yield f"{path.relative_to(folder)}: fetches {address}"
