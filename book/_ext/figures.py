"""Figures and tables of a built page: a figure of its own for phones, sizes, captions, header cells.

`earlystop.phone` leaves the figure for a phone behind the other, in one file. The two are parted when a page has been
read, and the page names both.
"""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

from docutils import nodes
from PIL import Image
from sphinx.transforms import SphinxTransform

from earlystop.phone import MARK

PHONE = re.compile(re.escape(MARK).replace(r"\{\}", "([A-Za-z0-9+/=]+)"))
NARROW = "(max-width: 600px)"
# Pictures keep their colours on a dark page: what is around them follows the page.
DARK = """<style>@media (prefers-color-scheme: dark) {
#figure_1 > #patch_1 path { fill: none !important }
[id^="text_"] > g:not([style*="fill"]) { fill: #ced6dd }
}</style>"""


def alone(svg: str) -> str:
    """A figure without the one for a phone."""
    return PHONE.sub("", svg)


def without_phone(output):
    """An output of a cell whose figure is not followed by the one for a phone."""
    if "image/svg+xml" in output.get("data", {}):
        output.data["image/svg+xml"] = alone(output.data["image/svg+xml"])
    return output


class Captions(SphinxTransform):
    """A paragraph `Table: ...` before a table becomes its caption, and the table gets a number."""

    default_priority = 210

    def apply(self, **_) -> None:
        """Change the page."""
        for count, table in enumerate(list(self.document.findall(nodes.table)), start=1):
            before = table.previous_sibling()
            if isinstance(before, nodes.paragraph) and before.astext().startswith("Table: "):
                before[0] = nodes.Text(before[0].astext().removeprefix("Table: "))
                table.insert(0, nodes.title("", "", *before.children))
                table["ids"] += [] if table["ids"] else [f"table-{count}"]
                before.parent.remove(before)


def part(app, doctree) -> None:
    """Write each figure for a phone into a file beside the other."""
    for image in doctree.findall(nodes.image):
        path = Path(app.srcdir, image["uri"])
        if path.suffix != ".svg" or not path.is_file():
            continue
        svg = path.read_text(encoding="utf8")
        style = DARK if keeps_colours(image) else ""
        if found := PHONE.search(svg):
            narrow = base64.b64decode(found[1]).decode()
            path.with_suffix(".phone.svg").write_text(styled(narrow, style), encoding="utf8")
            path.write_text(styled(alone(svg), style), encoding="utf8")


def keeps_colours(node: nodes.Node | None) -> bool:
    """Whether an image is in a cell with the tag no-invert."""
    while node is not None and "tag_no-invert" not in getattr(node, "attributes", {}).get("classes", ()):
        node = node.parent
    return node is not None


def styled(svg: str, style: str) -> str:
    """A figure with a style of its own."""
    return re.sub(r"(<svg\b[^>]*>)", lambda start: start[0] + style, svg, count=1)


def finish_page(app, pagename, templatename, context, doctree) -> None:
    """Name the figures for phones, say how large images are, and load those after the first when they are near."""
    if "body" not in context:
        return
    sources, seen = {name: path for path, name in app.builder.images.items()}, []

    def better(tag: re.Match) -> str:
        source = sources.get(re.search(r'src="(?:[^"]*/)?([^"/]*)"', tag[0])[1])
        if source is None:
            return tag[0]
        seen.append(source)
        return picture(app, Path(app.srcdir, source), tag[0], lazy=len(seen) > 1)

    context["body"] = re.sub(r'<img\b[^>]*\bsrc="[^>]*>', better, context["body"])
    context["body"] = context["body"].replace('<th class="head', '<th scope="col" class="head')


def picture(app, path: Path, tag: str, lazy: bool) -> str:
    """An image of a page as it should be, with the one for phones if there is one."""
    later = ' loading="lazy"' * lazy
    tag = re.sub(r"\s*/?>$", f"{later}{size(path) if ' width=' not in tag else ''} />", tag)
    narrow = path.with_suffix(".phone.svg")
    if not narrow.exists():
        return tag
    address = re.search(r'src="([^"]*)"', tag)[1]
    name = Path(address).with_suffix(".phone.svg").name
    target = Path(app.outdir, app.builder.imagedir, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(narrow, target)
    source = f'<source media="{NARROW}" srcset="{address.rpartition("/")[0]}/{name}"{size(narrow)} />'
    return f"<picture>{source}{tag}</picture>"


def size(path: Path) -> str:
    """Width and height of an image in pixels, as attributes."""
    if path.suffix == ".svg":
        found = re.search(r'<svg\b[^>]*?\bwidth="([\d.]+)pt" height="([\d.]+)pt"', path.read_text(encoding="utf8"))
        sides = [float(side) * 4 / 3 for side in found.groups()] if found else []
    else:
        with Image.open(path) as image:
            sides = image.size
    return ' width="{:.0f}" height="{:.0f}"'.format(*sides) if sides else ""


def setup(app) -> dict:
    """Connect everything to Sphinx."""
    app.add_transform(Captions)
    app.connect("doctree-read", part, priority=900)
    app.connect("html-page-context", finish_page)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
