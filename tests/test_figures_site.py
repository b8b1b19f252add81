"""Figures and tables of the built book, as a browser shows them on a laptop and on a phone."""

import functools
import re
from itertools import pairwise
from urllib.parse import unquote, urlsplit

import pytest
from dark import LEVELS, PAPER, contrast, oklab
from test_dark import turned
from test_phone import LETTERS
from test_site import PAGES, SITE, address, browser, page_soup, site  # noqa: F401

from earlystop.plots import NOISY

SHOWN = """[...document.querySelectorAll('article img')].filter(image => image.checkVisibility()).map(image => ({
  address: image.currentSrc, alt: image.alt, width: image.getBoundingClientRect().width,
  room: image.closest('figure, .cell_output, section').getBoundingClientRect().width}))"""


def smallest(image):
    """Pixels of the smallest letters of a figure; indices and exponents are not counted."""
    svg = (SITE / unquote(urlsplit(image["address"]).path).lstrip("/")).read_text(encoding="utf8")
    width = float(re.search(r'<svg\b[^>]*?width="([\d.]+)pt"', svg)[1])
    return 100 * min(map(float, LETTERS.findall(svg)), default=1) * image["width"] / width


@pytest.fixture(params=[390, 1280])
def window(request, browser):  # noqa: F811
    page = browser.new_page(viewport={"width": request.param, "height": 844}, bypass_csp=True)  # it waits by a string
    yield page
    page.close()


@pytest.mark.leg
@pytest.mark.parametrize("name", PAGES)
def test_figures_fit_and_are_legible(window, address, name):  # noqa: F811
    window.goto(f"{address}/{name}.html", wait_until="load")
    window.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager' })")
    window.wait_for_function("[...document.images].every(image => image.complete)")
    for image in window.evaluate(SHOWN):
        assert 0 < image["width"] <= image["room"] + 0.5, image
        if image["address"].endswith(".svg"):
            assert smallest(image) >= 11, image


@pytest.mark.leg
@pytest.mark.parametrize("name", PAGES)
def test_tables_are_no_wider_than_the_page_and_numbers_stand_at_the_right(window, address, name):  # noqa: F811
    window.goto(f"{address}/{name}.html", wait_until="domcontentloaded")
    assert window.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    sides = "[...document.querySelectorAll('td.text-right')].map(cell => getComputedStyle(cell).textAlign)"
    assert set(window.evaluate(sides)) <= {"right"}


@pytest.mark.parametrize("name", PAGES)
def test_every_header_cell_has_a_name_and_says_that_it_heads_a_column(name):
    for cell in page_soup(name).select("article th"):
        assert cell.get_text(strip=True) and cell["scope"] == "col", cell


@pytest.mark.parametrize("name", PAGES)
def test_no_caption_is_left_as_a_paragraph(name):
    assert not [text for text in page_soup(name).select("article p") if text.get_text().startswith("Table: ")]


@pytest.mark.parametrize("name", PAGES)
def test_every_figure_is_there_for_light_and_dark_pages_of_one_size(name):
    images = page_soup(name).select("article img[src$='.svg']")
    assert all(image.get("width") and image.get("height") and image["loading"] == "lazy" for image in images)
    for light, dark in zip(images[::2], images[1::2], strict=True):
        assert (light["class"], dark["class"]) == (["only-light"], ["only-dark"])
        assert dark["src"] == light["src"].replace(".svg", ".dark.svg")
        assert all(light[key] == dark[key] for key in ("alt", "width", "height"))


LOAD_SHOWN = """async () => {
    const shown = [...document.querySelectorAll('article img')].filter(image => image.checkVisibility());
    shown.forEach(image => { image.loading = 'eager' });
    await Promise.all(shown.map(image => image.decode()));
    return shown.map(image => [image.currentSrc, image.getBoundingClientRect().width, image.offsetHeight]);
}"""
PAINTS = """() => [...document.querySelectorAll('[style], [id^=text_] > g')].map(one => {
    const {fill, stroke} = getComputedStyle(one);
    return [fill, stroke, one.matches('[id^=text_] > g')] })"""


def shown_figures(browser, address, name, **options):  # noqa: F811
    """The figures that a page shows, with their sizes, after it loaded these alone; and its background."""
    context = browser.new_context(bypass_csp=True, **options)
    page, loaded = context.new_page(), set()
    page.on("request", lambda request: loaded.add(request.url))
    page.goto(f"{address}/{name}.html", wait_until="load")
    found = page.evaluate(LOAD_SHOWN)
    page.wait_for_load_state("networkidle")
    assert {url for url in loaded if "/_images/" in url} == {url for url, *_ in found}
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    context.close()
    return found, paper


def hexes(paint):
    """A colour of a browser as Matplotlib writes it; None where nothing is painted."""
    found = re.fullmatch(r"rgb\((\d+), (\d+), (\d+)\)", paint)
    return "#{:02x}{:02x}{:02x}".format(*map(int, found.groups())) if found else None


@pytest.fixture(scope="module")
def paints(browser):  # noqa: F811
    """Fill, stroke and whether it is text of everything in a figure."""
    page = browser.new_page(bypass_csp=True)

    @functools.cache
    def read(url):
        page.goto(url)
        return [(hexes(fill), hexes(stroke), text) for fill, stroke, text in page.evaluate(PAINTS)]

    yield read
    page.close()


@pytest.mark.leg
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_a_dark_page_has_figures_of_its_own(browser, address, paints, name, width):  # noqa: F811
    (light, _), (dark, paper) = (
        shown_figures(browser, address, name, color_scheme=mode, viewport={"width": width, "height": 844})
        for mode in ("light", "dark")
    )
    assert hexes(paper) == PAPER and [one[1:] for one in light] == [one[1:] for one in dark]
    figures = [(one[0], other[0]) for one, other in zip(light, dark) if one[0].endswith(".svg")]
    for before, after in figures:
        assert after == before.replace(".svg", ".dark.svg")
        pairs, blue = list(zip(paints(before), paints(after), strict=True)), NOISY["color"].lower()
        texts = [fill for _, (fill, _, text) in pairs if text]
        assert texts and min(contrast(fill, PAPER) for fill in texts) >= 4.5
        colors = {(one[side], other[side]) for one, other in pairs for side in (0, 1) if not one[2] and one[side]}
        assert all(turned(color, seen) < 5 for color, seen in colors if color == blue)
        levels = sorted((oklab(color)[0], oklab(seen)[0]) for color, seen in colors if color in LEVELS)
        assert all(low[1] < high[1] for low, high in pairwise(levels))


@pytest.mark.leg
def test_on_paper_and_without_scripts_figures_are_light(browser, address):  # noqa: F811
    shown = "[...document.querySelectorAll('article img')].filter(one => one.checkVisibility()).map(one => one.src)"
    for print_it in (True, False):
        context = browser.new_context(color_scheme="dark", bypass_csp=True, java_script_enabled=print_it)
        page = context.new_page()
        page.goto(f"{address}/{PAGES[0]}.html")
        page.emulate_media(media="print" if print_it else "screen", color_scheme="dark")
        assert (images := page.evaluate(shown)) and not [image for image in images if ".dark." in image]
        context.close()
