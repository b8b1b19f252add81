"""How the book is found, cited and discussed: titles, descriptions and data for search engines, and icons.

What needs the book's address (``html: baseurl``) or the repository's is left out while there is none.
"""

from __future__ import annotations

import html
import json
import re
import textwrap
from pathlib import Path
from urllib.parse import quote, urlencode, urljoin, urlsplit

import numpy as np
import yaml
from bs4 import BeautifulSoup
from docutils import nodes
from matplotlib.figure import Figure
from pairs import contents, read, repository

import earlystop

CITATION = "CITATION.cff"
LICENSE = "https://creativecommons.org/licenses/by/4.0/"
LONGEST = 200  # characters of a description
ICONS = {"icon-32.png": (32, 'rel="icon" type="image/png" sizes="32x32"'),
         "apple-touch-icon.png": (180, 'rel="apple-touch-icon"')}  # fmt: skip
BLUE, YELLOW, CURVE = "#0a5a8c", "#ffb000", [(5, 7), (8, 22), (13, 25), (18, 25)]  # as in favicon.svg
MISSING = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Not here — {project}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<meta http-equiv="Content-Security-Policy" content="default-src 'self'; style-src 'unsafe-inline'">
<link rel="icon" href="{address}_static/favicon.svg">
<style>:root {{ color-scheme: light dark }} body {{ max-width: 34rem; margin: 4rem auto; padding: 0 1rem; font: 1.1rem/1.6 sans-serif }}</style>
</head><body><main><h1>There is no such page</h1>
<p>Perhaps it has another name now. Search the <a href="{address}search.html">whole book</a>, or go to one of its pages:</p>
<ul>
{links}
</ul></main></body></html>
"""  # noqa: E501
DOOR = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Refresh" content="0; url={to}">
{said}
</head><body><p><a href="{to}">{title}</a></p></body></html>
"""
SAID = 'title, meta[property], meta[name="description"], meta[name^="twitter"], link[rel="canonical"]'


# ---------------------------------------------------------------- what is known


def about(root: Path) -> dict:
    """The book by its `CITATION.cff`; the part of the title after the colon is the subtitle."""
    known = yaml.safe_load((root / CITATION).read_text("utf8"))
    title, _, subtitle = known["title"].partition(": ")
    paper = known["references"][0]
    names = [f"{one['given-names']} {one['family-names']}" for one in paper["authors"]]
    return known | {"short": title, "subtitle": subtitle, "authors": [one["name"] for one in known["authors"]],
                    "paper": paper | {"authors": names}}  # fmt: skip


def whole_sentences(text: str, most: int = LONGEST) -> str:
    """As many whole sentences from the beginning as fit; at least one."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z“])", " ".join(text.split()))
    kept = sentences[:1]
    for sentence in sentences[1:]:
        if len(" ".join([*kept, sentence])) > most:
            break
        kept.append(sentence)
    return " ".join(kept)


def description(app, pagename: str, doctree, known: dict) -> str:
    """What a page is about: the book's abstract, a chapter's question, or a page's first sentences."""
    if pagename == app.config.root_doc:
        return whole_sentences(known["abstract"])
    source = Path(app.env.doc2path(pagename))
    asked = read(source).metadata.get("chapter", {}) if source.suffix == ".md" else {}
    if "question" in asked:
        place = f" In the paper: {asked['in the paper']}." if "in the paper" in asked else ""
        return f"{asked['question']}{place} With code, figures and exercises."
    first = next((one for one in doctree.findall(nodes.paragraph) if not one.parent.tagname.startswith("bib")), None)
    return whole_sentences(first.astext() if first else known["abstract"])


# ------------------------------------------------------------------ in the head


def tag(name: str, content: str, key: str = "name") -> str:
    """A meta element."""
    return f'<meta {key}="{name}" content="{html.escape(content)}" />'


def data(pagename: str, title: str, text: str, known: dict, address: str, landing: bool) -> dict:
    """The page as schema.org describes it: a book that is based on a paper, or a chapter of it."""
    paper = known["paper"]
    authors = [{"@type": "Organization", "name": name} for name in known["authors"]]
    said = {"@context": "https://schema.org", "inLanguage": "en", "isAccessibleForFree": True, "license": LICENSE}
    said |= {"author": authors, "dateModified": str(known["date-released"]), "version": known["version"]}
    said |= {"url": urljoin(address, f"{pagename}.html")} if address else {}
    if not landing:
        book = {"@type": "Book", "name": known["title"]}
        return said | {"@type": "Chapter", "name": title, "description": text, "isPartOf": book}
    people = [{"@type": "Person", "name": name} for name in paper["authors"]]
    based = {"@type": "ScholarlyArticle", "name": paper["title"], "author": people}
    based |= {"datePublished": str(paper["year"]), "url": paper["url"]}
    kind = ["Book", "LearningResource"]
    return said | {"@type": kind, "name": known["title"], "description": known["abstract"].strip(), "isBasedOn": based}


def citation(title: str, known: dict, address: str, landing: bool) -> list[str]:
    """What Google Scholar and Zotero read."""
    tags = [tag("citation_title", known["title"] if landing else title)]
    tags += [] if landing else [tag("citation_inbook_title", known["title"])]
    tags += [tag("citation_author", name) for name in known["authors"]]
    tags += [tag("citation_publication_date", str(known["date-released"]).replace("-", "/"))]
    tags += [tag("citation_language", "en"), *([tag("citation_doi", known["doi"])] if "doi" in known else [])]
    return tags + ([tag("citation_public_url", address)] if address else [])


def shared(app, pagename: str, title: str, text: str, known: dict) -> list[str]:
    """What is shown where somebody shares a page; with addresses and a picture if the book has an address."""
    base, kind = app.config.html_baseurl, "book" if pagename == app.config.root_doc else "article"
    said = {"og:title": title, "og:description": text, "og:type": kind, "og:site_name": known["short"]}
    if base:
        image = card(Path(app.outdir), pagename, title, text, base, known)
        said |= {"og:url": urljoin(base, f"{pagename}.html"), "og:image": urljoin(base, image)}
        said |= {"og:image:alt": f"{title}. {text}"}
    tags = [tag(name, content, "property") for name, content in said.items()]
    return tags + [tag("twitter:card", "summary_large_image")] * bool(base)


def icons(context) -> list[str]:
    """Links to the icons."""
    return [f'<link {kind} href="{context["pathto"](f"_static/{name}", True)}" />' for name, (_, kind) in ICONS.items()]


def head(app, pagename, templatename, context, doctree) -> None:
    """Say in a page's head what it is."""
    context["metatags"] = "\n".join([context.get("metatags", ""), *icons(context), ""])
    if doctree is None:
        return
    known, base = about(Path(app.srcdir)), app.config.html_baseurl
    landing = pagename == app.config.root_doc
    title = known["title"] if landing else html.unescape(re.sub(r"<[^>]+>", "", context["title"]))
    if landing:  # the theme shows docstitle as the name of the site where there is no other
        context["theme_logo"] = {**(context.get("theme_logo") or {}), "text": known["short"]}
        context["docstitle"] = known["subtitle"]
    text = description(app, pagename, doctree, known)
    said = json.dumps(data(pagename, title, text, known, base, landing), ensure_ascii=False).replace("<", "\\u003c")
    tags = [tag("description", text), *shared(app, pagename, title, text, known)]
    address = urljoin(base, f"{pagename}.html") if base else ""
    tags += [*citation(title, known, address, landing), f'<script type="application/ld+json">{said}</script>', ""]
    context["metatags"] += "\n".join(tags)


# --------------------------------------------------------------------- pictures


def motif(axes) -> None:
    """The book's mark, as in favicon.svg: a curve that falls, and the place to stop."""
    (x, y), t = np.transpose(CURVE), np.linspace(0, 1, 50)[:, None]
    share = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    size = axes.get_window_extent().width / axes.figure.dpi * 72 / 32  # points for a unit of the drawing
    axes.plot(share @ x, share @ y, color="white", linewidth=3 * size, solid_capstyle="round")
    axes.plot(20, 25, "o", color=YELLOW, markersize=7 * size, markeredgewidth=0)
    axes.set(xlim=(0, 32), ylim=(32, 0))
    axes.axis("off")


def icon(path: Path, pixels: int) -> None:
    """Draw the mark as a square picture."""
    figure = Figure(figsize=(1, 1), dpi=pixels, facecolor=BLUE)
    motif(figure.add_axes((0, 0, 1, 1)))
    figure.savefig(path)


def card(out: Path, pagename: str, title: str, text: str, address: str, known: dict) -> str:
    """Draw what is shown where somebody shares a page; its place in the book."""
    place = f"_images/cards/{Path(pagename).name}.png"
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor=BLUE)
    motif(figure.add_axes((0.7, 0.32, 0.28, 0.28 * 12 / 6.3)))
    words = textwrap.fill(known["subtitle"] if title == known["title"] else title, 24)
    figure.text(0.06, 0.9, known["short"], color=YELLOW, size=22, va="top")
    figure.text(0.06, 0.8, words, color="white", size=42, weight="bold", va="top", linespacing=1.15)
    figure.text(0.06, 0.16, textwrap.fill(text, 62), color="white", size=20, va="bottom", linespacing=1.3)
    figure.text(0.06, 0.06, address.split("://")[-1].rstrip("/"), color=YELLOW, size=18, va="bottom")
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out / place)
    return place


# ------------------------------------------------------------------- discussion


def discuss(address: str, place: str) -> str:
    """The address at which a new issue about a place is written, with the version that was read."""
    place = f"{place} ({earlystop.__version__})"
    if "gitlab" in (urlsplit(address).hostname or ""):
        return f"{address}/-/issues/new?{urlencode({'issue[title]': place}, quote_via=quote)}"
    form = {"template": "content.yml"} if urlsplit(address).hostname == "github.com" else {}
    return f"{address}/issues/new?{urlencode({**form, 'title': place, 'place': place}, quote_via=quote)}"


def offer_discussion(app, doctree, docname: str) -> None:
    """End every section of a page with a link to the repository's issues."""
    address = repository(Path(app.srcdir))
    if not address or app.builder.format != "html" or docname == app.config.root_doc:
        return
    numbers = app.env.toc_secnumbers.get(docname, {})
    for section in doctree.findall(nodes.section):
        if isinstance(section.parent, nodes.section) and not isinstance(section.parent.parent, nodes.section):
            number = ".".join(map(str, numbers.get(f"#{section['ids'][0]}", ())))
            link = html.escape(discuss(address, f"{number} {section[0].astext()}, {docname}".strip()))
            section += nodes.raw("", f'<p class="discuss"><a href="{link}">Discuss this section</a></p>', format="html")


# ------------------------------------------------------------ the finished book


def pages(app) -> list[str]:
    """The pages of the book, in their order."""
    folder = Path(app.config.root_doc).parent
    return [(folder / name).as_posix() for name in contents(Path(app.srcdir))]


def publish(app) -> None:
    """Write the map of the site, and a page for what is not there."""
    out, base = Path(app.outdir), app.config.html_baseurl
    addresses = [urljoin(base, f"{name}.html") for name in pages(app)]
    urls = "\n".join(f"<url><loc>{html.escape(address)}</loc></url>" for address in addresses)
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    site = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{space}">\n{urls}\n</urlset>\n'
    (out / "sitemap.xml").write_text(site, "utf8")
    (out / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {urljoin(base, 'sitemap.xml')}\n", "utf8")
    titles = [html.escape(app.env.titles[name].astext()) for name in pages(app)]
    links = "\n".join(f'<li><a href="{address}">{title}</a></li>' for address, title in zip(addresses, titles))
    missing = MISSING.format(project=html.escape(app.config.project), address=html.escape(base), links=links)
    (out / "404.html").write_text(missing, "utf8")


def open_door(app) -> None:
    """Let the address of the site itself lead to the first page, and say the same of it where it is shared."""
    out, to = Path(app.outdir), f"{app.config.root_doc}.html"
    page = BeautifulSoup((out / to).read_text("utf8"), "html.parser")
    said = "\n".join(map(str, page.head.select(SAID)))
    (out / "index.html").write_text(DOOR.format(to=to, said=said, title=html.escape(app.config.project)), "utf8")


def finish(app, exception) -> None:
    """Draw the icons, and publish what an address allows; nothing old stays."""
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for name, (pixels, _) in ICONS.items():
        icon(out / "_static" / name, pixels)
    open_door(app)
    if app.config.html_baseurl:
        publish(app)
    else:
        for name in ("sitemap.xml", "robots.txt", "404.html"):
            (out / name).unlink(missing_ok=True)


def check_address(app, config) -> None:
    """Stop where the book's address is no address; it ends with a slash."""
    base = config.html_baseurl
    if base and urlsplit(base).scheme not in ("http", "https"):
        said = f"html: baseurl must be like https://OWNER.github.io/NAME/ or empty, not {base!r}"
        raise SystemExit(f"\n_config.yml: {said}.\n\nThe book was not built.")
    config.html_baseurl = base and base.rstrip("/") + "/"


def setup(app) -> dict:
    """Connect everything to Sphinx."""
    app.connect("config-inited", check_address)
    app.connect("doctree-resolved", offer_discussion)
    app.connect("html-page-context", head, priority=950)
    app.connect("build-finished", finish, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
