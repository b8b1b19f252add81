"""How the book is found, cited and discussed: small builds with an address and without one, and `CITATION.cff`."""

import io
import json
import re
import xml.etree.ElementTree as ET
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import found
import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image
from test_build import HEAD, build, copy_of_the_book, write

import earlystop

ROOT = Path(__file__).resolve().parents[1]
BASE = "https://o.github.io/r/"
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
PAGES = ("index", "01_one", "02_two", "about")
ASKED = "\nchapter: {question: 'Why, and when?', in the paper: Theorem 1}\n---\n\n"


def addresses(root, site, repository):
    text = (ROOT / "_config.yml").read_text()
    text = text.replace('baseurl: ""', f'baseurl: "{site}"').replace('url: ""', f'url: "{repository}"', 1)
    write(root, "_config.yml", text)


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A small book that was built with both addresses, as its pages and other files were; and then again without."""
    root = copy_of_the_book(tmp_path_factory.mktemp("found"))
    write(root, "book/index.md", "# Stopping\n\nHere it begins.\n")
    write(
        root, "book/01_one.md", HEAD.replace("\n---\n\n", ASKED) + "# One & all\n\nText.\n\n## A part\n\n### Within\n"
    )
    write(
        root, "book/about.md", "# About\n\nOne sentence, of e.g. few words. " + "Another one. " * 30 + "\n\n## A & B\n"
    )
    states = {}
    for name, site, repository in (("with", BASE[:-1], "https://github.com/o/r"), ("without", "", "")):
        addresses(root, site, repository)
        code, printed = build(root)
        assert code == 0, printed
        files = [p for p in (root / "_build/html").rglob("*") if p.suffix in (".html", ".xml", ".txt", ".png")]
        states[name] = {p.relative_to(root / "_build/html").as_posix(): p.read_bytes() for p in files}
    return states


def soup(files, page):
    return BeautifulSoup(files[f"{page}.html" if page == "search" else f"book/{page}.html"].decode(), "html.parser")


def metas(page):
    return {m.get("name") or m.get("property"): m["content"] for m in page.select("meta[content]")}


@pytest.mark.parametrize("state", ["with", "without"])
def test_titles_name_the_book_once(book, state):
    titles = {page: soup(book[state], page).title.text for page in PAGES}
    assert titles["01_one"] == "1. One & all — Stopping Early" and titles["about"] == "About — Stopping Early"
    assert titles["index"].startswith("Stopping — ") and CITATION["title"].endswith(titles["index"].partition(" — ")[2])
    assert soup(book[state], "index").select_one(".logo__title").text == "Stopping Early"


@pytest.mark.parametrize("state", ["with", "without"])
def test_descriptions_are_whole_sentences(book, state):
    said = {page: metas(soup(book[state], page)) for page in PAGES}
    assert said["01_one"]["description"] == "Why, and when? In the paper: Theorem 1. With code, figures and exercises."
    assert said["about"]["description"].startswith("One sentence, of e.g. few words. Another one.")
    for tags in said.values():
        assert tags["description"] == tags["og:description"] and re.search(r"[.!?]$", tags["description"])
        assert len(tags["description"]) <= found.LONGEST and "..." not in tags["description"]


@pytest.mark.parametrize("state", ["with", "without"])
def test_each_page_has_one_viewport_and_icons_that_exist(book, state):
    for page in (*PAGES, "search"):
        tags = soup(book[state], page)
        assert len(tags.select('meta[name="viewport"]')) == 1, page
        for link in tags.select('link[rel="icon"][type="image/png"], link[rel="apple-touch-icon"]'):
            name = link["href"].rpartition("/")[2].partition("?")[0]
            assert f"_static/{name}" in book[state]
    sizes = {name: Image.open(io.BytesIO(book[state][f"_static/{name}"])).size
             for name in found.ICONS}  # fmt: skip
    assert sizes == {"icon-32.png": (32, 32), "apple-touch-icon.png": (180, 180)}


@pytest.mark.parametrize("state", ["with", "without"])
def test_machines_read_who_wrote_what(book, state):
    landing, chapter = (soup(book[state], page) for page in ("index", "01_one"))
    said, part = (json.loads(one.select_one('script[type="application/ld+json"]').string) for one in (landing, chapter))
    assert said["@type"] == ["Book", "LearningResource"] and said["name"] == CITATION["title"]
    assert said["isBasedOn"]["url"] == CITATION["references"][0]["url"]
    assert said["isBasedOn"]["author"][0] == {"@type": "Person", "name": "Mingchen Li"}
    assert part["@type"] == "Chapter" and part["name"] == "1. One & all"
    tags = metas(landing)
    assert tags["citation_title"] == CITATION["title"] and tags["citation_author"] == CITATION["authors"][0]["name"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d", tags["citation_publication_date"])
    assert metas(chapter)["citation_inbook_title"] == CITATION["title"]
    assert all(one.get("url", BASE).startswith(BASE) and ("url" in one) == (state == "with") for one in (said, part))


def test_with_an_address_everything_has_its_own(book):
    files = book["with"]
    for page in PAGES:
        one, at = soup(files, page), f"{BASE}book/{page}.html"
        tags = metas(one)
        assert [link["href"] for link in one.select('link[rel="canonical"]')] == [at] and tags["og:url"] == at
        assert tags["citation_public_url"] == at and tags["twitter:card"] == "summary_large_image"
        picture = Image.open(io.BytesIO(files[tags["og:image"].removeprefix(BASE)]))
        assert tags["og:image"].startswith(BASE) and picture.size == (1200, 630) and tags["og:image:alt"]
    places = [one.text for one in ET.fromstring(files["sitemap.xml"]).iter() if one.tag.endswith("loc")]
    assert places == [f"{BASE}book/{page}.html" for page in PAGES]
    assert f"Sitemap: {BASE}sitemap.xml" in files["robots.txt"].decode()


def test_the_page_for_what_is_not_there_works_at_any_depth(book):
    page = BeautifulSoup(book["with"]["404.html"].decode(), "html.parser")
    links = [link["href"] for link in page.select("a")]
    assert links[0] == f"{BASE}search.html" and links[1:] == [f"{BASE}book/{name}.html" for name in PAGES]
    assert all(link.removeprefix(BASE) in book["with"] for link in links) and not page.select("script")
    assert page.select_one('meta[name="robots"]')["content"] == "noindex"


def test_without_an_address_nothing_names_one(book):
    files = book["without"]
    assert not {"404.html", "sitemap.xml", "robots.txt"} & set(files)
    for page in PAGES:
        one = soup(files, page)
        assert not one.select('link[rel="canonical"]') and not one.select(".discuss")
        assert not {"og:url", "og:image", "twitter:card", "citation_public_url"} & set(metas(one))


@pytest.mark.parametrize("state", ["with", "without"])
def test_the_address_of_the_site_leads_to_the_first_page_and_says_the_same(book, state):
    door, landing = BeautifulSoup(book[state]["index.html"].decode(), "html.parser"), soup(book[state], "index")
    assert door.select_one('meta[http-equiv="Refresh"]')["content"] == "0; url=book/index.html"
    assert door.title.text == landing.title.text and door.select_one("a")["href"] == "book/index.html"
    shared = {name: said for name, said in metas(landing).items() if (name or "").startswith(("og:", "twitter:"))}
    assert shared and shared.items() <= metas(door).items()
    assert [str(one) for one in door.select("link")] == [str(one) for one in landing.select('link[rel="canonical"]')]


def test_no_empty_index_is_built_or_linked(book):
    for files in book.values():
        assert not {"genindex.html", "prf-prf.html"} & set(files)
        assert not any(b"genindex" in files[f"book/{page}.html"] for page in PAGES)


def test_every_section_can_be_discussed_by_its_name_and_version(book):
    links = [a["href"] for a in soup(book["with"], "01_one").select("section .discuss a")]
    (said,) = map(parse_qs, [urlsplit(link).query for link in links])
    assert links[0].startswith("https://github.com/o/r/issues/new?")
    assert said["place"] == [f"1.1 A part, book/01_one ({earlystop.__version__})"]
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE" / said["template"][0]).read_text())
    assert "place" in [field["id"] for field in form["body"]]
    assert len(soup(book["with"], "about").select(".discuss")) == 1 and not soup(book["with"], "index").select(
        ".discuss"
    )


@pytest.mark.parametrize(("host", "field"), [("gitlab.com", "issue[title]"), ("codeberg.org", "title")])
def test_other_hosts_have_other_addresses(host, field):
    link = urlsplit(found.discuss(f"https://{host}/o/r", "2.1 Q & A"))
    assert parse_qs(link.query)[field] == [f"2.1 Q & A ({earlystop.__version__})"] and "template" not in link.query


def test_an_address_that_is_none_is_refused(tmp_path):
    class Config:
        html_baseurl = "o.github.io/r"

    with pytest.raises(SystemExit, match=r"baseurl must be like https://.* not 'o.github.io/r'"):
        found.check_address(None, Config)
    Config.html_baseurl = "https://o.github.io/r"
    found.check_address(None, Config)
    assert Config.html_baseurl == BASE


def test_sentences_are_kept_whole():
    assert found.whole_sentences("One. Two! Three?", 9) == "One. Two!"
    assert found.whole_sentences("A first one that is long. B.", 5) == "A first one that is long."
    assert found.whole_sentences("With e.g. a dot. Next.", 17) == "With e.g. a dot."


# --------------------------------------------------------------------- CITATION.cff

REQUIRED = {"authors", "cff-version", "message", "title"}  # by the schema of version 1.2.0
KNOWN = REQUIRED | {"abstract", "commit", "contact", "date-released", "doi", "identifiers", "keywords", "license",
                    "license-url", "preferred-citation", "references", "repository", "repository-artifact",
                    "repository-code", "type", "url", "version"}  # fmt: skip
REFERENCE = {"authors", "title", "type"}
PERSON = {
    "family-names",
    "given-names",
    "name-particle",
    "name-suffix",
    "orcid",
    "affiliation",
    "email",
    "website",
    "alias",
}


def test_the_citation_has_what_its_schema_requires():
    assert set(CITATION) <= KNOWN and set(CITATION) >= REQUIRED | {"abstract", "license", "version", "date-released"}
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] in ("software", "dataset")
    assert all(isinstance(CITATION[key], str) and CITATION[key] for key in ("message", "title", "abstract", "version"))
    assert isinstance(CITATION["date-released"], date) and len(CITATION["keywords"]) == len(set(CITATION["keywords"]))
    for reference in CITATION["references"]:
        assert set(reference) >= REFERENCE and reference["authors"]
        assert all(set(author) <= PERSON and author for author in reference["authors"])
        assert all(set(one) == {"type", "value"} for one in reference["identifiers"])
        assert "name" in reference["conference"]


def test_the_citation_is_of_this_version():
    version = earlystop.__version__.partition("+")[0]
    assert CITATION["version"] == version
    assert f"## {version}, since {CITATION['date-released']}" in (ROOT / "CHANGELOG.md").read_text()
