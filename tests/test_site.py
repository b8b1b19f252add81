"""The built book in ``_build/html``: files, links, downloads, and a real browser."""

import functools
import gzip
import json
import os
import re
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import formulas
import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from labpage import BROWSERS, QUIET
from test_build import numbers_of_pairs, numbers_on_pages

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
REQUIRED = os.environ.get("EARLYSTOP_REQUIRE_SITE") == "1"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(entry["file"] for part in TOC["parts"] for entry in part["chapters"])]
CHAPTERS = [page for page in PAGES if page.split("/")[-1][:2].isdigit()]


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


@pytest.mark.parametrize("page", [*PAGES, "search"])
def test_page_is_light_and_sound(page):
    soup = page_soup(page)
    loaded = " ".join(tag.get("src") or tag.get("href") or "" for tag in soup.select("script, link"))
    assert not any(name in loaded for name in ("fontawesome", "mathjax", "searchindex", "togglebutton"))
    assert not soup.select("[onclick], [tabindex]:not([tabindex='0'], [tabindex='-1']), math [tabindex]")
    ids = [tag["id"] for tag in soup.select("[id]")]
    assert not {name for name in ids if ids.count(name) > 1}
    for image in soup.select("article img"):
        assert int(image["width"]) > 0 and int(image["height"]) > 0 and image.get("loading") == "lazy"


@pytest.mark.parametrize("page", PAGES)
def test_formulas_are_mathml(page):
    for formula in page_soup(page).select(".math"):
        assert formula.find("math") and "\\" not in formula.get_text(), formula


def test_every_formula_that_cannot_be_shown_is_named():
    with pytest.raises(formulas.LatexError):
        formulas.mathml(r"\nosuchthing{x}", False)
    assert formulas.mathml(r"\bigl(x\bigr)^2", False).count("<mi></mi>") == 1


def test_references_are_links():
    entries = page_soup("book/references").select(".citation")
    assert len(entries) >= 20 and all(entry.select("a.reference.external[href^=https]") for entry in entries)


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
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wider <= 0, f"{wider} px wider than the window"
    assert page.evaluate("[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)") == []
    assert not events, json.dumps(events, indent=1)


MOVED = """() => new Promise(done => new PerformanceObserver(list =>
  done(list.getEntries().reduce((sum, one) => sum + one.value, 0))).observe({type: "layout-shift", buffered: true})
  || setTimeout(() => done(0), 500))"""


@pytest.mark.leg
@pytest.mark.parametrize("name", PAGES)
def test_a_page_does_not_move_while_it_loads(window, address, name):
    page, _ = window
    page.goto(f"{address}/{name}.html", wait_until="networkidle")
    assert page.evaluate(MOVED) < 0.02


@pytest.fixture(scope="module")
def plain(browser):
    """A window that nothing is measured in, and its console."""
    page, events = browser.new_page(viewport={"width": 1280, "height": 844}, device_scale_factor=1.5), []
    page.on("console", lambda m: events.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: events.append(str(error)))
    yield page, events
    page.close()


@pytest.fixture(params=["http", "file"])
def base(request, address):
    return address if request.param == "http" else SITE.as_uri()


@pytest.mark.leg
@pytest.mark.parametrize("name", [*PAGES, "search"])
def test_only_scripts_of_the_site_run(plain, base, name):
    page, events = plain
    events.clear()
    page.goto(f"{base}/{name}.html", wait_until="load")
    assert not events
    inline = "() => { const one = document.createElement('script'); one.text = 'ran = 1'; document.head.append(one); }"
    page.evaluate(inline)
    assert page.evaluate("typeof ran") == "undefined" and "Content Security Policy" in events[0]


LOAD_IMAGES = """async () => {
    document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })
    await Promise.all([...document.images].map(image => image.decode()))
}"""


@pytest.mark.leg
@pytest.mark.parametrize("name", CHAPTERS)
def test_display_formulas_are_whole(plain, address, name):
    """Nothing that is drawn is outside the box that scrolls: a formula looks the same where nothing is cut off."""
    page, _ = plain
    page.goto(f"{address}/{name}.html", wait_until="networkidle")
    page.evaluate(LOAD_IMAGES)  # a late one would move what is compared
    for formula in page.locator("article div.math").all():
        if not formula.is_visible() or formula.evaluate("e => e.scrollWidth > e.clientWidth"):
            continue
        assert formula.evaluate("e => e.scrollHeight <= e.clientHeight")
        formula.evaluate("e => e.scrollIntoView({block: 'center', behavior: 'instant'})")
        box = formula.bounding_box()
        around = {**box, "y": box["y"] - 12, "height": box["height"] + 24}
        shown = page.screenshot(clip=around)
        formula.evaluate("e => e.style.overflow = 'visible'")
        assert page.screenshot(clip=around) == shown, formula.inner_text()


FIRST, AGAIN = 500_000, 60_000  # bytes of a chapter, compressed


@pytest.mark.leg
@pytest.mark.parametrize("name", PAGES)
def test_a_visit_is_light(browser, address, name):
    page, loaded = browser.new_page(viewport={"width": 1280, "height": 844}), {}
    page.on("response", lambda response: loaded.update({response.url: response}))
    page.goto(f"{address}/{name}.html", wait_until="networkidle")
    assert not [url for url in loaded if "awesome" in url or "fa-" in url or "mathjax" in url]
    files = {urlsplit(url).path for url in loaded if url.startswith(address)}
    sizes = {path: len(gzip.compress((SITE / unquote(path).lstrip("/")).read_bytes())) for path in files}
    page.close()
    print(name, len(files), "requests,", sum(sizes.values()), "bytes, again", sizes[f"/{name}.html"])
    assert sum(sizes.values()) <= FIRST and sizes[f"/{name}.html"] <= AGAIN


# A query, and words of which one is in the title or the excerpt of the first thing found.
QUERIES = {"Theorem 2.2": "Theorem 2.2 (", "lambda(C)": "λ(C)", "λ(C)": "λ(C)", "γ-diffuse": "diffuse|γ",
           "diffuse": "diffuse", "ridge": "ridge", "early stopping": "early|stopping", "Jacobian": "Jacobian",
           "corrupted dataset": "corrupted dataset", "Exercise 2.1": "Exercise 2.1 (", "Figure 5": "Figure 5",
           "Adadelta": "Adadelta", "certificate": "certificate", "CIFAR-10": "CIFAR-10",
           "majority vote": "majority"}  # fmt: skip


@pytest.mark.leg
@pytest.mark.parametrize("query", QUERIES)
def test_search_finds_the_thing_itself(plain, base, query):
    page, events = plain
    events.clear()
    page.goto(f"{base}/search.html?q={quote(query)}")
    page.wait_for_selector(".find-results li")
    first = page.locator(".find-results li").first
    title, text = first.locator(".find-title").inner_text(), first.locator(".find-text").inner_text()
    in_text = ("Adadelta", "certificate", "majority vote")  # words of no heading, perhaps
    place = title + text if query in in_text else title
    assert any(word.lower() in place.lower() for word in QUERIES[query].split("|")), (title, text)
    assert not events and not re.search(r"\\[a-z(]|>>>|import ", text)
    link = first.locator("a").get_attribute("href")
    assert "#" in link and page_soup(urlsplit(link).path.removeprefix("./").removesuffix(".html")).find(
        id=unquote(urlsplit(link).fragment)
    )


@pytest.mark.leg
def test_search_dialog_by_keyboard(plain, address):
    page, _ = plain
    page.goto(f"{address}/{CHAPTERS[0]}.html", wait_until="networkidle")
    page.keyboard.press("Control+k")
    page.keyboard.type("theorem 2.2")
    page.locator("dialog .find-title", has_text="Theorem 2.2 (").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/book/02*#*")


@pytest.mark.leg
@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("name", [*PAGES, "search"])
def test_nobody_is_kept_out(plain, address, name, mode):
    """Every rule of axe-core."""
    axe = pytest.importorskip("axe_playwright_python")
    page, _ = plain
    page.emulate_media(color_scheme=mode, reduced_motion="reduce")
    page.goto(f"{address}/{name}.html", wait_until="networkidle")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert not [(one["id"], [node["target"] for node in one["nodes"]]) for one in found]
    assert page.evaluate("getComputedStyle(document.querySelector('article a, main a')).transitionDuration") == "0s"


@pytest.mark.leg
def test_first_stop_of_the_keyboard_leads_to_the_text(plain, address):
    page, _ = plain
    page.goto(f"{address}/{CHAPTERS[0]}.html", wait_until="networkidle")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main-content"
    assert not page.evaluate("[...document.querySelectorAll('math, math *')].filter(e => e.tabIndex >= 0).length")


@pytest.mark.leg
def test_a_solution_opens_on_a_click_on_its_bar(plain, address):
    page, _ = plain
    page.goto(f"{address}/{CHAPTERS[0]}.html", wait_until="networkidle")
    bar = page.locator(".solution summary").first
    bar.click()
    assert page.locator(".solution details").first.evaluate("e => e.open") and not bar.locator("a").count()
    assert "#" not in page.url


@pytest.mark.leg
def test_a_switch_hides_all_code_and_is_remembered(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/{CHAPTERS[0]}.html")
    assert page.locator("div.cell_input").first.is_visible()
    page.locator(".code-switch").click()
    page.reload()
    assert not [one for one in page.locator("div.cell_input").all() if one.is_visible()]
    assert page.locator(".code-switch").get_attribute("aria-pressed") == "true"
    page.locator(".code-switch").click()
    assert page.locator("div.cell_input").first.is_visible()
    page.goto(f"{address}/book/references.html")
    assert not page.locator(".code-switch").count()
    page.close()


@pytest.mark.leg
def test_a_reference_shows_its_entry(plain, address):
    page, _ = plain
    page.goto(f"{address}/{CHAPTERS[0]}.html", wait_until="networkidle")
    link = page.locator("a[data-tip]").first
    link.scroll_into_view_if_needed()
    link.focus()
    assert len(page.locator("#tip").inner_text()) > 40
    page.keyboard.press("Escape")
    assert not page.locator("#tip").count()


# The paper's numbered items: its definitions, theorems, equations and figures.
ITEMS = [*(f"Definition {n}" for n in ("1.1", "1.2", "1.3", "2.1")), *(f"Theorem {n}" for n in ("2.2", "2.3", "4.1")),
         *(f"Equation {n}" for n in range(1, 6)), "Figure 2",
         *(f"Figure {n}" for n in ("1a", "1b", "3a", "3b", "4a", "4b", "4c", "5a", "5b", "5c"))]  # fmt: skip


@pytest.mark.leg
def test_each_numbered_item_of_the_paper_is_one_click_away(window, address):
    page, _ = window
    for item in ITEMS:
        page.goto(f"{address}/book/scorecard.html", wait_until="domcontentloaded")
        place = page.locator(".place", has=page.locator("h3").get_by_text(item, exact=True))
        assert not place.locator(".claim:visible").count()
        place.locator("summary").first.click()
        assert place.locator(".claim:visible").count() >= 1


@pytest.mark.leg
def test_what_holds_is_short_and_opens_where_an_address_leads(window, address):
    page, _ = window
    page.goto(f"{address}/book/scorecard.html", wait_until="domcontentloaded")
    assert page.evaluate("document.querySelector('article').getBoundingClientRect().height / innerHeight") < 6
    page.locator("#only-not-reproduced").check()
    failed = page.locator(".counts label", has=page.locator("#only-not-reproduced")).locator("b").inner_text()
    assert (
        page.locator(".claim:visible").count() == int(failed)
        and page.locator(".place:not([open]):visible").count() == 0
    )
    name = page.locator(".claim.in-part").first.get_attribute("id")
    page.goto(f"{address}/book/scorecard.html#{name}")  # also what the choice had hidden
    page.wait_for_function("one => document.getElementById(one).open", arg=name)
    claim = page.locator(f"#{name}")
    assert claim.locator(".evidence").is_visible() and page.locator(".place[open]").count() == 1
    assert 0 <= claim.evaluate("e => e.getBoundingClientRect().y") < page.viewport_size["height"]


@pytest.mark.leg
def test_what_holds_is_chosen_without_scripts(browser, address):
    page = browser.new_page(java_script_enabled=False)
    page.goto(f"{address}/book/scorecard.html")
    every = page.locator(".place:visible").count()
    page.locator("#only-not-reproduced").check()
    assert 0 < page.locator(".place:visible").count() < every
    page.close()


@pytest.mark.leg
def test_a_symbol_tells_what_it_means(plain, address):
    page, _ = plain
    page.goto(f"{address}/{CHAPTERS[1]}.html", wait_until="networkidle")
    symbol = page.locator("span[data-tip]:visible").first
    symbol.evaluate("e => e.scrollIntoView({block: 'center', behavior: 'instant'})")
    page.wait_for_timeout(100)  # scrolling hides it
    symbol.hover()
    assert page.locator("#tip").inner_text() == symbol.get_attribute("data-tip")
    assert symbol.evaluate("e => e.tabIndex") == -1


@pytest.mark.parametrize("page", CHAPTERS)
def test_every_bar_of_folded_code_has_a_name_of_its_own(page):
    names = [bar.p.text for bar in page_soup(page).select("details.above-input > summary")]
    assert names and not [name for name in names if "cell" in name or not name.startswith("Code")]
    assert all(names.count(name) < 3 for name in names)
