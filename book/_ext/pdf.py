"""Write the built book as one PDF: all pages in their order, printed by Chromium, with bookmarks and page numbers.

    python book/_ext/pdf.py

Links between pages lead to their place in the PDF. Solutions are open; folded code and evidence are left out.
"""

from __future__ import annotations

import argparse
import html
import shutil
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import yaml
from bs4 import BeautifulSoup
from pairs import contents, read_version

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LEFT_OUT = """.headerlink, script, source, .only-dark, .discuss, details.above-input, details.credit > :not(summary),
.evidence > :nth-child(n + 3), .counts input, .counts legend, .onlyprint, .d-print-none"""
BOXES = "figure, img, pre, div.cell_input, .proof, .admonition:not(.solution), .claim"
MARGIN = {"top": "18mm", "bottom": "20mm", "left": "18mm", "right": "18mm"}
FOOTER = """<div style="width: 100%; font: 8pt sans-serif; color: #555; text-align: center">
<span class="pageNumber"></span></div>"""
PAGE = """<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8"><title>{title}</title>
{styles}
<style>{css}</style></head><body class="bd-content">
<section class="cover"><h1>{short}</h1><p class="subtitle">{subtitle}</p><p>{authors}</p>
<p>Version {version}, printed on {day}. {address}</p><p>On the paper: {paper}</p>
<nav><p class="contents">Contents</p><ul>
{entries}
</ul></nav></section>
{articles}
</body></html>
"""
TALL = """([boxes, most]) => [...document.querySelectorAll(boxes)].filter(one =>
  !one.parentElement.closest(boxes) && one.getBoundingClientRect().height > most).map(one =>
  `${one.closest("article")?.id} ${one.className || one.tagName}: ${one.textContent.trim().slice(0, 60)}`)"""
MOST = (297 - 18 - 20) / 25.4 * 96  # pixels of a page's height


def browser_program() -> str:
    """The path of a browser that prints; say what is missing where there is none."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        raise SystemExit(f"There is no browser to print with: install Chromium ({', '.join(BROWSERS)} are looked for).")
    return found


def moved(address: str, here: str, names: set[str], site: Path, base: str) -> str:
    """Where a link of a page leads in the PDF: to a place in it, to the web, or nowhere ('')."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return address
    path = (site / "book" / unquote(parts.path)).resolve() if parts.path else site / "book" / f"{here}.html"
    if path.parent == (site / "book").resolve() and path.suffix == ".html" and path.stem in names:
        return f"#{path.stem}{'--' * bool(parts.fragment)}{parts.fragment}"
    return urljoin(urljoin(base, f"book/{here}.html"), address) if base else ""


def article(site: Path, name: str, names: set[str], base: str):
    """The content of a page, with ids and addresses that hold in one document of all pages."""
    soup = BeautifulSoup((site / "book" / f"{name}.html").read_text("utf8"), "html.parser")
    found = soup.select_one("article")
    for tag in found.select(LEFT_OUT):
        tag.decompose()
    for tag in found.select("noscript"):  # what stands for a picture that moves
        tag.unwrap()
    for tag in found.select("[id]"):
        tag["id"] = f"{name}--{tag['id']}"
    for tag in found.select("a[href]"):
        tag["href"] = moved(tag["href"], name, names, site, base)
        if not tag["href"]:
            tag.unwrap()
    for tag in found.select("[src]"):
        tag["src"] = urljoin((site / "book" / f"{name}.html").resolve().as_uri(), tag["src"])
        tag.attrs.pop("loading", None)
    for tag in found.select("details"):
        tag["open"] = ""
    found["id"] = name
    return soup, found


def joined(site: Path, root: Path = ROOT) -> str:
    """One document of all pages, with a cover and a table of contents."""
    names = list(contents(root))
    if missing := [name for name in names if not (site / "book" / f"{name}.html").exists()]:
        raise SystemExit(f"{site} has no page {missing[0]}: run make book first.")
    base = yaml.safe_load((root / "_config.yml").read_text("utf8"))["html"].get("baseurl") or ""
    base = base and base.rstrip("/") + "/"
    known = yaml.safe_load((root / "CITATION.cff").read_text("utf8"))
    parts = [article(site, name, set(names), base) for name in names]
    folder = (site / "book/index.html").resolve().as_uri()
    styles = {urljoin(folder, tag["href"]): tag for soup, _ in parts for tag in soup.select("link[rel=stylesheet]")}
    for address, tag in styles.items():
        tag["href"] = address
    heads = list(map(str, styles.values()))
    titles = [found.select_one("h1").get_text(strip=True, separator=" ") for _, found in parts]
    short, _, subtitle = known["title"].partition(": ")
    paper = known["references"][0]
    return PAGE.format(
        title=html.escape(known["title"]), short=html.escape(short), subtitle=html.escape(subtitle),
        authors=html.escape(", ".join(one["name"] for one in known["authors"])),
        version=html.escape(read_version(root)), day=f"{datetime.now(UTC):%Y-%m-%d}",
        address=f'<a href="{html.escape(base)}">{html.escape(base)}</a>' if base else "",
        paper=f'<a href="{html.escape(paper["url"])}">{html.escape(paper["title"])}</a>',
        styles="\n".join(heads), css=Path(__file__).with_name("pdf.css").read_text("utf8"),
        entries="\n".join(f'<li><a href="#{n}">{html.escape(t)}</a></li>' for n, t in zip(names, titles)),
        articles="\n".join(str(found) for _, found in parts),
    )  # fmt: skip


def write(site: Path, target: Path, root: Path = ROOT) -> list[str]:
    """Print the book into `target`; the boxes that are higher than a page, and so had to be split."""
    program, text = browser_program(), joined(site, root)
    from playwright.sync_api import sync_playwright

    target.parent.mkdir(parents=True, exist_ok=True)
    source = target.with_suffix(".html")
    source.write_text(text, "utf8")
    with sync_playwright() as session:
        browser = session.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 658, "height": 960})
        page.goto(source.resolve().as_uri(), wait_until="load", timeout=300_000)
        page.evaluate("async () => { await document.fonts.ready; }")
        page.emulate_media(media="print", color_scheme="light")
        tall = page.evaluate(TALL, [BOXES, MOST])
        page.pdf(path=str(target), format="A4", margin=MARGIN, outline=True, tagged=True, print_background=True,
                 display_header_footer=True, header_template="<span></span>", footer_template=FOOTER)  # fmt: skip
        browser.close()
    source.unlink()
    return tall


def main() -> None:
    """Write _build/pdf/stopping-early.pdf."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--site", type=Path, default=ROOT / "_build/html", help="the built book (default: _build/html)")
    parser.add_argument("--out", type=Path, default=ROOT / "_build/pdf/stopping-early.pdf", metavar="FILE")
    options = parser.parse_args()
    for box in write(options.site, options.out):
        print("higher than a page, and so split:", box)
    print("wrote", options.out)


if __name__ == "__main__":
    main()
