"""Small pages with a figure of the laboratory, in a real browser: `pytest_plugins = ["labpage"]` gives its fixtures.

PYTEST_DONT_REWRITE: tests import this file before pytest does.
"""

import functools
import html
import json
import os
import re
import shutil
import tempfile
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from earlystop import laboratory
from earlystop.laboratory import SCRIPTS

BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'self'; script-src 'self'"
)
EXPORT = re.compile(r"^export (?:class|const|function\*?) (\w+)", re.M)
# With the policy and the theme of the book's own pages.
PAGE = """<!doctype html>
<html lang="en" data-theme="light"><head><meta charset="utf8"><title>Laboratory</title>
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="lab.css"><script defer src="lab.js"></script>
<style>body {{ font-family: sans-serif; max-width: 720px; margin: 1rem auto; padding: 0 8px }}
html[data-theme="dark"] body {{ background: #14181e; color: #ced6dd }}</style></head>
<body><main><h1>{figure}</h1><div class="lab" data-lab="{figure}" data-state="{state}"></div></main></body></html>
"""


def file_of(figure, state="{}"):
    """The file of a page with one figure, some of its settings changed (JSON, or a dictionary)."""
    text = state if isinstance(state, str) else json.dumps(state)
    page = PAGE.format(figure=figure, state=html.escape(text), policy=POLICY)
    return _written({"lab.js": laboratory.classic(), "lab.css": laboratory.styles(), "index.html": page})


def page_of(figure, state="{}"):
    """The address of such a page on a server of this process; `file_of(...).as_uri()` is that of its file."""
    return _served(file_of(figure, state))


def engine_page(main="engine"):
    """The address of an empty page whose `lab` has all that a module of the laboratory, and those it needs, export."""
    names = [
        name for one in laboratory.order(main) for name in EXPORT.findall((SCRIPTS / f"{one}.js").read_text("utf8"))
    ]
    files = {
        "engine.js": f"{laboratory.body(main)}\nexport {{ {', '.join(names)} }};\n",
        "probe.js": 'import * as lab from "./engine.js";\nglobalThis.lab = lab;\n',
        "index.html": '<!doctype html><title>Engine</title><script type="module" src="probe.js"></script>',
    }
    return _served(_written(files))


def _written(files):
    folder = Path(tempfile.mkdtemp(dir=_folder()))
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf8")
    return folder / "index.html"


def _served(file):
    return f"{_address()}/{file.relative_to(_folder())}"


@functools.cache
def _kept():
    return tempfile.TemporaryDirectory()  # removed when this process ends


def _folder():
    return Path(_kept().name)


@functools.cache
def _address():
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=_folder()))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def program_of():
    """The path of a browser, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def until(page, code, argument=None, seconds=30):
    """Wait until JavaScript says yes; the page's policy forbids playwright's own way to wait."""
    end = time.monotonic() + seconds
    while not (said := page.evaluate(code, argument)):
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {code} with {argument!r}")
        page.wait_for_timeout(20)
    return said


@pytest.fixture(scope="module")
def chromium():
    """A browser; without one these tests are skipped, or fail where they are required."""
    missing = pytest.fail if os.environ.get("EARLYSTOP_REQUIRE_SITE") == "1" else pytest.skip
    playwright = pytest.importorskip("playwright.sync_api")
    program = program_of()
    if program is None:
        missing(f"no browser found ({', '.join(BROWSERS)})")
    with playwright.sync_playwright() as session:
        browser = session.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def lab_page(chromium):
    """A window as wide as a desktop's, with touch; a test fails if its console complains."""
    context = chromium.new_context(viewport={"width": 900, "height": 900}, has_touch=True)
    page, events = context.new_page(), []
    page.on("console", lambda m: events.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: events.append(str(error)))
    yield page
    context.close()
    assert not events, events
