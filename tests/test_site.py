"""The built book in ``_build/html``: files, links, downloads, and a real browser."""

import functools
import json
import os
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from test_build import numbers_of_pairs, numbers_on_pages

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
REQUIRED = os.environ.get("EARLYSTOP_REQUIRE_SITE") == "1"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
CHAPTERS = [page for page in PAGES if page.split("/")[-1][:2].isdigit()]
BROWSERS = ["chromium", "chromium-browser", "google-chrome"]
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def missing(what):
    """A missing site or browser skips these tests, or fails them where they are required."""
    (pytest.fail if REQUIRED else pytest.skip)(what)


@functools.cache
def page_soup(page):
    return BeautifulSoup((SITE / f"{page}.html").read_text(encoding="utf8"), "html.parser")


@pytest.fixture(autouse=True, scope="module")
def site():
    if not (SITE / f"{PAGES[0]}.html").exists():
        missing("there is no built book: run make book first")
    return SITE


def test_every_page_exists():
    assert (SITE / "index.html").exists()
    assert not [page for page in PAGES if not (SITE / f"{page}.html").exists()]


def test_notebooks_number_as_the_pages_do():
    expected, shown = numbers_of_pairs(ROOT), numbers_on_pages(SITE)
    assert len(expected) > 50 and {label: shown.get(label) for label in expected} == expected


@pytest.mark.parametrize("page", PAGES)
def test_images_exist_and_have_alt_text(page):
    for image in page_soup(page).find_all("img"):
        assert image.get("alt", "").strip(), image
        if not image["src"].startswith("data:"):
            assert (SITE / f"{page}.html").parent.joinpath(unquote(image["src"])).exists(), image


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_book_resolve(page):
    folder = (SITE / f"{page}.html").parent
    for link in page_soup(page).select("a[href]"):
        address = urlsplit(link["href"])
        if address.scheme or address.netloc:
            continue
        target = (folder / unquote(address.path)).resolve() if address.path else SITE / f"{page}.html"
        assert target.exists(), link["href"]
        if address.fragment and target.suffix == ".html":
            other = page_soup(str(target.relative_to(SITE.resolve()).with_suffix("")) if address.path else page)
            assert other.find(id=unquote(address.fragment)), link["href"]


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_loaded_from_another_host(page):
    soup = page_soup(page)
    loaded = [tag.get("src") for tag in soup.select("script[src], img[src], iframe[src], source[src]")]
    loaded += [tag["href"] for tag in soup.select("link[href]") if "canonical" not in tag.get("rel", [])]
    assert not [address for address in loaded if urlsplit(address).netloc]


@pytest.mark.parametrize("page", CHAPTERS)
def test_download_is_the_executed_notebook(page):
    link = page_soup(page).select_one("a.btn-download-notebook-button")
    path = (SITE / f"{page}.html").parent / link["href"]
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"][1:]
    assert cells and all(cell.execution_count for cell in cells)
    assert any(cell.outputs for cell in cells)


def test_buttons_follow_the_repository_address():
    address = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    for page in CHAPTERS:
        links = [link["href"] for link in page_soup(page).select(".article-header-buttons a[href]")]
        colab = [link for link in links if "colab" in link]
        name = page.split("/")[-1]
        assert bool(colab) == bool(address)
        assert all(link.endswith(f"/blob/main/notebooks/{name}.ipynb") for link in colab)
        if address:
            assert any(link.endswith(f"/edit/main/{page}.md") for link in links)


@pytest.fixture(scope="module")
def address(site):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def browser(site):
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        missing(f"no browser found ({', '.join(BROWSERS)})")
    with playwright.sync_playwright() as session:
        browser = session.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], ids=str)
def window(request, browser, address):
    """One browser window, and what it complains about."""
    width, mode = request.param
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=mode)
    page, events = context.new_page(), []
    page.on("console", lambda m: events.append(f"console: {m.text}") if m.type == "error" else None)
    page.on("pageerror", lambda error: events.append(f"error: {error}"))
    page.on("response", lambda r: events.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    page.on(
        "request",
        lambda r: None if r.url.startswith((address, "data:", "blob:")) else events.append(f"request: {r.url}"),
    )
    yield page, events
    context.close()


@pytest.mark.leg
@pytest.mark.parametrize("name", PAGES)
def test_page_in_a_browser(window, address, name):
    page, events = window
    events.clear()
    page.goto(f"{address}/{name}.html", wait_until="networkidle")
    if page_soup(name).select(".math"):
        page.wait_for_selector("mjx-container")
        assert page.locator("mjx-merror").count() == 0
        assert page.locator(".math").count() <= page.locator("mjx-container").count()
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wider <= 0, f"{wider} px wider than the window"
    assert page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)") == []
    assert not events, json.dumps(events, indent=1)


# The paper's numbered items: its definitions, theorems, equations and figures.
ITEMS = [*(f"Definition {n}" for n in ("1.1", "1.2", "1.3", "2.1")), *(f"Theorem {n}" for n in ("2.2", "2.3", "4.1")),
         *(f"Equation {n}" for n in range(1, 6)), "Figure 2",
         *(f"Figure {n}" for n in ("1a", "1b", "3a", "3b", "4a", "4b", "4c", "5a", "5b", "5c"))]  # fmt: skip


@pytest.mark.leg
def test_each_numbered_item_of_the_paper_is_one_click_away(window, address):
    page, _ = window
    for item in ITEMS:
        page.goto(f"{address}/book/scorecard.html", wait_until="domcontentloaded")
        page.locator(".places").get_by_text(item, exact=True).click()
        target = page.evaluate("location.hash") + " + h3"
        assert page.locator(target).inner_text().startswith(item)
        page.wait_for_function(
            "([one, y = document.querySelector(one).getBoundingClientRect().y]) => 0 <= y && y < innerHeight",
            arg=[target],
        )
        assert page.locator(f"section:has(> h3:text('{item}')) .claim .verdict").count() >= 1
