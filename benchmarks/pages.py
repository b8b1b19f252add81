"""What a reader meets on every built page: words, computed numbers, code, the first figure, weight.

python benchmarks/pages.py _build/html
python benchmarks/pages.py _build/html --against OTHER/html
"""

import argparse
import ast
import functools
import gzip
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from common import print_table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

from pairs import read  # noqa: E402  # beside the pages

WINDOWS = {"screens to the first figure": (1280, 800), "the same on a phone": (390, 844)}
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SPEAKS = ("say", "finding")  # the functions whose sentences are computed
MEASURE = """() => {
  const article = document.querySelector("article"), clone = article.cloneNode(true);
  const shown = one => one.checkVisibility({visibilityProperty: true, opacityProperty: true});
  clone.querySelectorAll("pre, script, style, mjx-container, .math, svg, math, .headerlink").forEach(
    one => one.remove());
  const outputs = [...article.querySelectorAll(".cell_output")].map(one => one.cloneNode(true));
  outputs.forEach(one => one.querySelectorAll("pre, table, figure, details").forEach(inner => inner.remove()));
  const code = [...article.querySelectorAll("div.cell_input")].filter(shown);
  const image = [...article.querySelectorAll("figure img, figure svg, .cell_output img")].find(shown);
  return {
    words: clone.textContent.split(/\\s+/).filter(one => /\\p{L}/u.test(one)).length,
    numbers: outputs.flatMap(one => one.textContent.match(/\\d[\\d,.]*/g) || []).length,
    code: code.reduce((sum, one) => sum + one.getBoundingClientRect().height, 0),
    height: article.getBoundingClientRect().height,
    first: image ? image.getBoundingClientRect().top + scrollY : null,
  };
}"""
SETTLED = "async () => { await document.fonts.ready; if (window.MathJax?.startup) await MathJax.startup.promise; }"
COLUMNS = ("words", "computed numbers", "placeholders", "code lines visible", "folded", "removed",
           "code, % of the height", *WINDOWS, "first visit, kB", "requests")  # fmt: skip


def placeholders(source: str) -> int:
    """How many values stand in the sentences that a cell computes."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    said = [one for one in calls if getattr(one.func, "attr", getattr(one.func, "id", "")) in SPEAKS]
    return sum(isinstance(node, ast.FormattedValue) for one in said for node in ast.walk(one))


def python_of(source: str) -> str:
    """A cell without the lines that IPython alone reads."""
    return "\n".join(line for line in source.splitlines() if not re.match(r"\s*[%!]", line))


def of_source(path: Path) -> dict[str, int]:
    """Code lines that readers see, can unfold (solutions, too), or never see, and the values in computed sentences."""
    found, solution = dict.fromkeys(("placeholders", "code lines visible", "folded", "removed"), 0), False
    for cell in read(path).cells:
        if cell.cell_type == "code":
            tags = " ".join(cell.metadata.get("tags", []))
            folded = solution or "hide-" in tags
            kind = "removed" if "remove-" in tags else "folded" if folded else "code lines visible"
            found[kind] += sum(bool(line.strip()) for line in cell.source.splitlines())
            found["placeholders"] += placeholders(python_of(cell.source))
        else:
            ends = re.findall(r"\{solution-(start|end)\}", cell.source)
            solution = ends[-1] == "start" if ends else solution
    return found


def packed(path: Path) -> int:
    """Bytes of a file as a server with gzip sends it."""
    return len(gzip.compress(path.read_bytes(), 6))


def of_page(browser: Any, site: Path, address: str, name: str) -> dict[str, Any]:
    """What a browser shows and loads when it opens a page for the first time."""
    rows: dict[str, Any] = {}
    for column, (width, height) in WINDOWS.items():
        context = browser.new_context(viewport={"width": width, "height": height})
        page, loaded = context.new_page(), []
        page.on("response", lambda response, loaded=loaded: loaded.append(urlsplit(response.url).path))
        page.goto(f"{address}/{name}.html", wait_until="networkidle", timeout=180_000)
        page.evaluate(SETTLED)
        seen = page.evaluate(MEASURE)
        rows[column] = round(seen["first"] / height, 1) if seen["first"] is not None else "-"
        if "words" not in rows:  # the first window says the rest
            files = [site / unquote(one).lstrip("/") for one in loaded]
            rows |= {"words": seen["words"], "computed numbers": seen["numbers"], "requests": len(loaded)}
            rows["code, % of the height"] = round(100 * seen["code"] / seen["height"], 1)
            rows["first visit, kB"] = round(sum(packed(one) for one in files if one.is_file()) / 1000)
        context.close()
    return rows


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine; its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def measure(site: Path, names: list[str], browser: Any) -> dict[str, dict[str, Any]]:
    """The row of each page of a built site, by its name."""
    if not (site / "book").is_dir():
        raise SystemExit(f"{site} is no built book, which has its pages in a folder book: run make book first")
    found = {}
    with served(site) as address:
        for path in sorted((site / "book").glob("*.html")):
            source = site / "_sources" / "book" / f"{path.stem}.md"
            if not names or path.stem in names:
                known = of_source(source) if source.exists() else {}
                found[path.stem] = known | of_page(browser, site, address, f"book/{path.stem}")
    return found


def cell(column: str, row: dict[str, Any], other: dict[str, Any] | None) -> str:
    """A number, or how it was and how it is."""
    now = row.get(column, "-")
    return f"{now}" if other is None else f"{other.get(column, '-')} → {now}"


def main() -> None:
    """Print a table with a row for each page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("site", type=Path, help="the folder of a built book, such as _build/html")
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another one, to compare with")
    parser.add_argument(
        "--pages", nargs="*", default=[], help="names of pages, such as 01_dataset_model (default: all)"
    )
    options = parser.parse_args()
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise SystemExit(f"no browser found: this needs one of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as session:
        browser = session.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        sites = [measure(one, options.pages, browser) for one in (options.site, options.against) if one]
    rows, others = sites[0], sites[1] if len(sites) > 1 else None
    body = [[name, *(cell(column, row, others and others.get(name, {})) for column in COLUMNS)]
            for name, row in rows.items()]  # fmt: skip
    print_table("pages", ["page", *COLUMNS], body)


if __name__ == "__main__":
    main()
