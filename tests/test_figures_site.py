"""Figures and tables of the built book, as a browser shows them on a laptop and on a phone."""

import re
from urllib.parse import unquote, urlsplit

import pytest
from test_phone import LETTERS
from test_site import PAGES, SITE, address, browser, page_soup, site  # noqa: F401

SHOWN = """[...document.querySelectorAll('article img')].map(image => ({
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
def test_images_know_their_size_and_wait_after_the_first(name):
    images = page_soup(name).select("article img[src$='.svg']")
    assert all(image.get("width") and image.get("height") for image in images)
    assert all(image.get("loading") == "lazy" for image in images[1:])
    assert not any(image.get("loading") for image in images[:1])
