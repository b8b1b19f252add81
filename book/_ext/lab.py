"""The laboratory on built pages: a script for the figures that a page shows, and a style sheet, on no other page."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

from earlystop import laboratory

NAME = re.compile(r"_static/lab-([a-z-]+)\.js")


@cache
def digest() -> str:
    """A short hash of script and styles, for their address."""
    return hashlib.sha256((laboratory.classic() + laboratory.styles()).encode()).hexdigest()[:8]


def load(soup, page) -> None:
    """Let a page with living figures load what they need."""
    figures = sorted({place["data-lab"] for place in soup.select("[data-lab]")})
    if figures:
        root, version = soup.html.get("data-content_root", "./"), digest()
        soup.head.append(soup.new_tag("link", rel="stylesheet", href=f"{root}_static/lab.css?v={version}"))
        source = f"{root}_static/lab-{'-'.join(figures)}.js?v={version}"
        soup.head.append(soup.new_tag("script", src=source, defer=""))


def write(app, exception) -> None:
    """Write the scripts that pages load, and the styles, into the site."""
    if exception is None and app.builder.name == "html":
        out = Path(app.outdir)
        for page in out.rglob("*.html"):
            for name in NAME.findall(page.read_text(encoding="utf8")):
                (out / "_static" / f"lab-{name}.js").write_text(laboratory.classic(name.split("-")), encoding="utf8")
        (out / "_static" / "lab.css").write_text(laboratory.styles(), encoding="utf8")


def setup(app) -> dict:
    """Connect the laboratory to Sphinx."""
    app.add_config_value("lab_made_by", digest(), "html")
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
