"""Figures and tables of a built page: figures of their own for phones and dark pages, sizes, captions, header cells.

`earlystop.phone` leaves the figure for a phone behind the other, in one file. The two are parted when a page has been
read. The page names both, and the same in dark; what its theme hides is not loaded.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path

from dark import dark
from docutils import nodes
from PIL import Image
from sphinx.transforms import SphinxTransform

from earlystop.phone import MARK

PHONE = re.compile(re.escape(MARK).replace(r"\{\}", "([A-Za-z0-9+/=]+)"))
NARROW = "(max-width: 600px)"
SHADES = ("light", "dark")  # of pages


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
        if found := PHONE.search(svg):
            path.with_suffix(".phone.svg").write_text(base64.b64decode(found[1]).decode(), encoding="utf8")
            path.write_text(alone(svg), encoding="utf8")


def finish_page(app, pagename, templatename, context, doctree) -> None:
    """Name the figures for phones and dark pages, say how large images are, and load each when it is near."""
    if "body" not in context:
        return
    sources = {name: path for path, name in app.builder.images.items()}

    def better(tag: re.Match) -> str:
        source = sources.get(re.search(r'src="(?:[^"]*/)?([^"/]*)"', tag[0])[1])
        if source is None:
            return tag[0]
        path = Path(app.srcdir, source)
        if path.suffix != ".svg":
            return later(tag[0], path)
        return "".join(figure(app, path, tag[0], shade) for shade in SHADES)

    context["body"] = re.sub(r'<img\b[^>]*\bsrc="[^>]*>', better, context["body"])
    context["body"] = context["body"].replace('<th class="head', '<th scope="col" class="head')


def figure(app, path: Path, tag: str, shade: str) -> str:
    """A figure for light or for dark pages, with the one for phones if there is one."""
    folder, name = re.search(r'src="([^"]*?)([^"/]*)"', tag).groups()
    tag = tag.replace(f'{name}"', f'{publish(app, path, name, shade)}"')
    if ' class="' in tag:
        tag = tag.replace(' class="', f' class="only-{shade} ')
    else:
        tag = tag.replace("<img", f'<img class="only-{shade}"')
    narrow, source = path.with_suffix(".phone.svg"), ""
    if narrow.exists():
        address = folder + publish(app, narrow, Path(name).with_suffix(".phone.svg").name, shade)
        source = f'<source media="{NARROW}" srcset="{address}"{size(narrow)} />'
    return f"<picture>{source}{later(tag, path)}</picture>"


def publish(app, path: Path, name: str, shade: str) -> str:
    """Write a figure for light or for dark pages where the page finds it, and return its name there."""
    svg = path.read_text(encoding="utf8")
    if shade == "dark":
        name, svg = Path(name).with_suffix(".dark.svg").name, dark(svg)
    target = Path(app.outdir, app.builder.imagedir, name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(svg, encoding="utf8")
    return name


def later(tag: str, path: Path) -> str:
    """An image that says how large it is, and is loaded when it is near."""
    sides = "" if " width=" in tag else size(path)
    return re.sub(r"\s*/?>$", f' loading="lazy"{sides} />', tag)


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
