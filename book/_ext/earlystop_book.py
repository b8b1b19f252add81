"""The book's own Sphinx extension.

It executes stale chapters side by side into a cache that knows the source code,
serves MathJax from the site itself, points the launch buttons at ``notebooks/``,
and checks the result of every build.
"""

from __future__ import annotations

import hashlib
import html
import json
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from bs4 import BeautifulSoup
from course import CourseError, overview, read_course
from docutils import nodes
from docutils.statemachine import StringList
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from kernels import end_with_the_build, how_many, own_settings, run_notebook
from myst_nb.core.read import create_nb_reader
from pairs import PairError, chapter_table, repository, without_marks
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import earlystop
from earlystop.start import MINUTES, header

logger = logging.getLogger(__name__)

OLD_CACHES = 3  # caches of earlier source versions that are kept
MATHJAX = ["tex-chtml.js", "output/chtml/fonts/woff-v2", "input/tex/extensions"]
BUTTONS = ("github", "gitlab", "bitbucket")  # the hosts whose addresses the theme can make


# ---------------------------------------------------------------- configuration


def source_key(root: Path) -> str:
    """Hash everything outside a chapter that can change what the chapter prints."""
    digest = hashlib.sha256(os.environ.get("EARLYSTOP_SCALE", "quick").encode())
    sources = sorted(path for path in (root / "src").rglob("*") if path.suffix in (".py", ".mplstyle"))
    results = sorted((root / "book" / "results").glob("*.json*"))
    for path in [*sources, *results, root / "requirements.txt"]:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def remove_old_caches(caches: Path, current: Path) -> None:
    """Keep the current cache and the most recent others."""
    others = [path for path in caches.iterdir() if path.is_dir() and path != current]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[OLD_CACHES:]:
        shutil.rmtree(path)


def check_package(root: Path) -> None:
    """Stop if the package that the chapters would import is not the one beside them."""
    found, ours = Path(earlystop.__file__ or "").resolve().parent, (root / "src" / "earlystop").resolve()
    if found != ours:
        stop(
            f"The package earlystop comes from {found}, and not from {ours}: use this folder's own environment (make book)."
        )


def configure(app, config) -> None:
    """Choose the settings of kernels, the execution cache and, if the repository is known, the buttons."""
    root, build = Path(app.srcdir), Path(app.outdir).parent
    check_package(root)
    if unused := own_settings(os.environ, build):
        logger.info(unused)
    os.environ["EARLYSTOP_SCALE"] = os.environ.get("EARLYSTOP_SCALE", "").strip() or "quick"
    caches = build / ".jupyter_cache"
    current = caches / source_key(root)
    current.mkdir(parents=True, exist_ok=True)
    os.utime(current)
    remove_old_caches(caches, current)
    config.nb_execution_cache_path = str(current)
    config.mathjax_path = "mathjax/tex-chtml.js"
    config.ogp_site_url = config.html_baseurl
    choose_buttons(root, config.html_theme_options)
    for listeners in app.events.listeners.values():  # live code: unused, and it names other hosts
        listeners[:] = [one for one in listeners if not one.handler.__module__.startswith("sphinx_thebe")]
    app.registry.css_files[:] = [css for css in app.registry.css_files if "thebe" not in css[0]]


def choose_buttons(root: Path, options: dict) -> None:
    """Buttons for the repository where the theme knows its host, and for Colab where Colab does."""
    try:
        address = repository(root)
    except PairError as problem:
        stop(str(problem))
    host = urlsplit(address).hostname or ""
    provider = next((name for name in BUTTONS if name in host), "")
    if address and not provider:
        logger.info("Pages have no buttons for %s; notebooks install the package from there.", address)
    options.update(
        repository_url=address if provider else "",
        repository_provider=provider,
        use_edit_page_button=bool(provider),
        use_repository_button=bool(provider),
    )
    options["launch_buttons"] = {"colab_url": "https://colab.research.google.com"} if host == "github.com" else {}


# -------------------------------------------------------------------- execution


def remove_marks(app, docname: str, source: list[str]) -> None:
    """Show no line that is there for the course kit alone."""
    source[0] = without_marks(source[0])


def read_notebook(app, docname: str):
    """Read a page as a notebook; None where it has nothing to execute."""
    path, settings = app.env.doc2path(docname), app.env.mystnb_config
    text = without_marks(Path(path).read_text(encoding="utf8"))
    reader = create_nb_reader(path, app.env.myst_config, settings, text)
    notebook = reader.read(text) if reader else None
    if notebook is None or not any(cell.cell_type == "code" for cell in notebook.cells):
        return None
    mode = notebook.metadata.get("mystnb", {}).get("execution_mode", settings.execution_mode)
    return notebook if mode == "cache" else None


def stop(message: str) -> None:
    """End the build with a message of ours and exit code 1, without Sphinx's own traceback."""
    raise SystemExit(f"\n{message.rstrip()}\n\nThe book was not built.")


def cached_run(cache, notebook) -> dict:
    """What is known of a notebook's cached run; empty where there is none, or only half of one."""
    try:
        record = cache.match_cache_notebook(notebook)
    except KeyError:
        return {}
    try:
        cache.merge_match_into_notebook(notebook)
    except Exception:  # a build was killed while it wrote
        shutil.rmtree(Path(cache.path) / "executed" / record.hashkey, ignore_errors=True)
        return {}
    return record.data


def execute_stale(app, env, docnames) -> None:
    """Execute the chapters that are not in the cache, side by side, longest first."""
    env.earlystop_runs = getattr(env, "earlystop_runs", {})
    app.earlystop_executed, cache, stale = [], get_cache(env.mystnb_config.execution_cache_path), {}
    for docname in sorted(docnames):
        notebook = read_notebook(app, docname)
        env.earlystop_runs.pop(docname, None)
        if notebook is not None:
            run = cached_run(cache, notebook)
            if "machine" in run:  # missing where myst-nb executed a page that changed meanwhile
                env.earlystop_runs[docname] = run
            else:
                stale[docname] = notebook
    if stale:
        execute(app, env, cache, stale)


def check_switches() -> None:
    """Stop with one line if the scale, device or precision that is asked for is none."""
    from earlystop.runs.machine import here  # imports torch, which is not needed where nothing is executed
    from earlystop.runs.sizes import current_scale

    checks = (("SCALE", current_scale), ("DEVICE", lambda: here(precision="float32")), ("PRECISION", here))
    for name, check in checks:
        try:
            check()
        except ValueError as problem:
            stop(f"EARLYSTOP_{name}: {str(problem).removeprefix(f'EARLYSTOP_{name}=')}")


def execute(app, env, cache, stale: dict) -> None:
    """Execute notebooks in as many processes as cores and memory allow."""
    from earlystop.runs.machine import here

    check_switches()
    workers = how_many(len(stale))
    timings = Path(env.mystnb_config.execution_cache_path).parent / "seconds.json"
    try:
        seconds = json.loads(timings.read_text())
    except (OSError, ValueError):  # none yet, or half of it
        seconds = {}
    facts = {"machine": here().words, "scale": os.environ["EARLYSTOP_SCALE"]}
    patience, failed, spawn = env.mystnb_config.execution_timeout, [], multiprocessing.get_context("spawn")
    logger.info("executing %d chapter(s), %d at a time", len(stale), workers)
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=end_with_the_build) as pool:
        jobs = {}
        for name in sorted(stale, key=lambda name: -seconds.get(name, 1e9)):
            path = Path(env.doc2path(name))
            jobs[pool.submit(run_notebook, nbformat.writes(stale[name]), str(path.parent), patience)] = name
        for job in as_completed(jobs):
            try:
                name, (text, seconds_taken, error) = jobs[job], job.result()
            except BrokenProcessPool:
                stop(
                    f"A process that executed {jobs[job]} or another chapter was ended from outside: is there enough memory?"
                )
            if source_key(Path(app.srcdir)) != Path(env.mystnb_config.execution_cache_path).name:
                pool.shutdown(cancel_futures=True)
                stop("src/ or requirements.txt changed while the chapters ran: build again.")
            if error:
                failed.append(f"{env.doc2path(name)} failed after {seconds_taken:.1f} s.\n{error}")
                logger.info("FAILED %s", name)
                continue
            logger.info("executed %s in %.1f s", name, seconds_taken)
            data = {"execution_seconds": seconds_taken, **facts}
            bundle = CacheBundleIn(nbformat.reads(text, as_version=4), env.doc2path(name), data=data)
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
            env.earlystop_runs[name], seconds[name] = data, seconds_taken
            app.earlystop_executed.append(name)
    timings.write_text(json.dumps(seconds, indent=1, sort_keys=True))
    if failed:
        stop("\n\n".join(failed))


class RunsIn(SphinxDirective):
    """``{runs-in}``: how long this page took, and where; and how long a chapter will take on a GPU."""

    def run(self) -> list[nodes.Node]:
        """Return the line; nothing on a page that executes nothing."""
        self.env.note_dependency(str(MINUTES))
        run = self.env.earlystop_runs.get(self.env.docname)
        if run is None:
            return []
        seconds = max(1, round(run["execution_seconds"]))
        scale, where = html.escape(run["scale"]), html.escape(run["machine"])
        line = f"Runs in {seconds} s at <code>{scale}</code> scale on {where} (measured when this page was built)."
        line = f"{line} {header(Path(self.env.docname).name)}".rstrip()
        return [nodes.raw("", f'<p class="runs-in">{line}</p>', format="html")]  # raw: no page description


class CourseTable(SphinxDirective):
    """``{course-table}``: every exercise with its points, read from the chapters."""

    def run(self) -> list[nodes.Node]:
        """Return the table, and let it follow the chapters."""
        root, place = Path(self.env.srcdir), nodes.container()
        for path in sorted((root / "book").glob("[0-9][0-9]_*.md")):
            self.env.note_dependency(str(path))
        try:
            lines = overview(read_course(root=root))
        except (CourseError, PairError) as problem:
            stop(str(problem))
        self.state.nested_parse(StringList(lines, source="exercises"), self.content_offset, place)
        return place.children


class ChapterTable(SphinxDirective):
    """``{chapter-table} chapter, question``: every chapter with what its front matter says, by the names of columns."""

    required_arguments, final_argument_whitespace = 1, True

    def run(self) -> list[nodes.Node]:
        """Return the table, and let it follow the chapters."""
        root, place = Path(self.env.srcdir), nodes.container()
        header = [name.strip() for name in self.arguments[0].split(",")]
        try:
            lines = chapter_table(header, root)
        except PairError as problem:
            stop(str(problem))
        for path in [root / "_toc.yml", *(root / "book").glob("[0-9][0-9]_*.md")]:
            self.env.note_dependency(str(path))
        self.state.nested_parse(StringList(lines, source="chapters"), self.content_offset, place)
        return place.children


# ------------------------------------------------------------------------ pages


def pair_of(app, pagename: str) -> Path | None:
    """The notebook that ``pairs.py`` wrote for a page, if there is one."""
    pair = Path(app.srcdir) / "notebooks" / f"{Path(pagename).name}.ipynb"
    return pair if pair.exists() and pagename in app.env.earlystop_runs else None


def offer_download(app, pagename, templatename, context, doctree) -> None:
    """Add the executed notebook to the download button, which the theme makes next."""
    if pair_of(app, pagename):
        context["ipynb_source"] = f"{pagename}.ipynb"


def write_download(app, pagename: str) -> None:
    """Write the executed notebook in its plain-Markdown form: the pair plus the outputs."""
    cache = get_cache(app.env.mystnb_config.execution_cache_path)
    executed = cache.merge_match_into_notebook(read_notebook(app, pagename))[1]
    done = [cell for cell in executed.cells if cell.cell_type == "code"]
    notebook = nbformat.read(pair_of(app, pagename), as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"][1:]  # the first one installs
    for count, (cell, source) in enumerate(zip(cells, done), start=1):
        cell.outputs, cell.execution_count = source.outputs, count
    target = Path(app.outdir) / "_sources" / f"{pagename}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, target)


def finish_page(app, pagename, templatename, context, doctree) -> None:
    """Point launch buttons at ``notebooks/`` and write the download."""
    paired, name = pair_of(app, pagename), Path(pagename).name
    for group in [b for b in context.get("header_buttons", []) if b.get("label") == "launch-buttons"]:
        for button in group["buttons"]:
            button["url"] = button["url"].replace(f"/{pagename}.md", f"/notebooks/{name}.ipynb")
        if not paired:
            context["header_buttons"].remove(group)
    if paired:  # here, because the theme may have copied its own version
        write_download(app, pagename)


def copy_mathjax(folder: Path) -> None:
    """Copy the part of MathJax that the pages load."""
    package = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    for name in MATHJAX:
        source, target = package / name, folder / "mathjax" / name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        elif not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


# ------------------------------------------------------------ the finished book


def figure_problems(app, docname: str) -> list[str]:
    """List the figures that a page declares and does not show."""
    notebook, page = read_notebook(app, docname), Path(app.outdir) / f"{docname}.html"
    if not page.exists():
        return [f"{docname}: the page is missing in the built book"]
    if notebook is None:
        return []
    images = BeautifulSoup(page.read_text(encoding="utf8"), "html.parser").select("img[src]")
    shown = {" ".join(i.get("alt", "").split()) for i in images if (page.parent / i["src"]).exists()}
    problems = []
    for cell in notebook.cells:
        figure = cell.metadata.get("mystnb", {})
        if not {"figure", "image"} & set(figure):
            continue
        name = figure.get("figure", {}).get("name") or cell.source.strip().splitlines()[0]
        alt = " ".join(str(figure.get("image", {}).get("alt") or "").split())
        if not alt:
            problems.append(f"{docname}: figure {name!r} has no alt text (mystnb: image: alt)")
        elif alt not in shown:
            problems.append(f"{docname}: figure {name!r} produced no image")
    return problems


def findings_that_differ(app) -> list[str]:
    """Names of what came out otherwise here than where it was recorded."""
    cache = get_cache(app.env.mystnb_config.execution_cache_path)
    notebooks = [read_notebook(app, name) for name in app.env.earlystop_runs.keys() & app.env.all_docs.keys()]
    pages = [cache.merge_match_into_notebook(one)[1] for one in notebooks if one]
    outputs = [output for page in pages for cell in page.cells for output in cell.get("outputs", [])]
    marks = [output.get("metadata", {}).get("earlystop", {}) for output in outputs]
    return sorted({mark["finding"] for mark in marks if mark.get("differs")})


def finish_build(app, exception) -> None:
    """Check the built book, then say what ran and where to read it."""
    if exception or app.builder.name != "html":
        return
    copy_mathjax(Path(app.outdir) / "_static")
    problems = [text for name in sorted(app.env.all_docs) for text in figure_problems(app, name)]
    if problems:
        stop("The book is not complete:\n  " + "\n  ".join(problems))
    logger.info("\n%-28s%10s", "Page", "seconds")
    for name, run in sorted(app.env.earlystop_runs.items()):
        how = "executed now" if name in app.earlystop_executed else "from the cache"
        logger.info("%-28s%10.1f  %s", name, run["execution_seconds"], how)
    if differ := findings_that_differ(app):
        logger.info("Otherwise on this machine, as the pages say: %d finding(s), %s", len(differ), ", ".join(differ))
    logger.info("Open %s, or run: make serve", Path(app.outdir) / "index.html")


def setup(app) -> dict:
    """Connect everything to Sphinx."""
    app.add_directive("runs-in", RunsIn)
    app.add_directive("course-table", CourseTable)
    app.add_directive("chapter-table", ChapterTable)
    app.connect("config-inited", configure)
    app.connect("source-read", remove_marks)
    app.connect("env-before-read-docs", execute_stale)
    app.connect("html-page-context", offer_download)
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", finish_build, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
