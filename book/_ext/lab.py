"""The laboratory on built pages: one script and one style sheet, which only pages with a living figure load."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from rjsmin import jsmin

from earlystop.lab import script


@cache
def published() -> str:
    """The script as pages load it: without comments and spaces."""
    return str(jsmin(script.classic()))


@cache
def digest() -> str:
    """A short hash of script and styles, for their address."""
    return hashlib.sha256((script.classic() + script.styles()).encode()).hexdigest()[:8]


def load(soup, page) -> None:
    """Let a page with a living figure load the laboratory."""
    if soup.select_one("[data-lab]"):
        root, version = soup.html.get("data-content_root", "./"), digest()
        soup.head.append(soup.new_tag("link", rel="stylesheet", href=f"{root}_static/lab.css?v={version}"))
        soup.head.append(soup.new_tag("script", src=f"{root}_static/lab.js?v={version}", defer=""))


def write(app, exception) -> None:
    """Write the script and the styles into the site."""
    if exception is None and app.builder.name == "html":
        static = Path(app.outdir) / "_static"
        (static / "lab.js").write_text(published(), encoding="utf8")
        (static / "lab.css").write_text(script.styles(), encoding="utf8")


def setup(app) -> dict:
    """Connect the laboratory to Sphinx."""
    app.add_config_value("lab_made_by", digest(), "html")
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
