"""The book's own Sphinx extension.

It executes stale chapters side by side into a cache that knows the code they use, points the launch buttons at
``notebooks/``, and checks the result of every build.
"""

from __future__ import annotations

import hashlib
import html
import os
import shutil
from multiprocessing.pool import ThreadPool
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from course import CourseError, goals_overview, overview, read_course
from docutils import nodes
from docutils.statemachine import StringList
from figures import without_phone
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.main import JupyterCacheBase
from kernels import how_many, own_settings, run_notebook
from meaning import key
from myst_nb.core.execute import cache as myst_nb_cache
from pairs import PairError, chapter_table, contents, read, repository, without_marks
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import earlystop

logger = logging.getLogger(__name__)

CACHED = 60  # runs that are kept: of all chapters, with several versions of the code
EXECUTION_TAGS = ("raises-exception", "skip-execution")  # tags that change an execution
PAPER = "https://arxiv.org/abs/1903.11680"
BUTTONS = ("github", "gitlab", "bitbucket")  # the hosts whose addresses the theme can make


def stop(message: str) -> None:
    """End the build with a message of ours and exit code 1, without Sphinx's own traceback."""
    raise SystemExit(f"\n{message.rstrip()}\n\nThe book was not built.")


# ---------------------------------------------------------------- configuration


def configure(app, config) -> None:
    """Choose the settings of kernels, the execution cache and, if the repository is known, the buttons."""
    root, build = Path(app.srcdir), Path(app.outdir).parent
    check_package(root)
    if unused := own_settings(os.environ, build):
        logger.info(unused)
    os.environ["EARLYSTOP_SCALE"] = os.environ.get("EARLYSTOP_SCALE", "").strip() or "quick"
    app.earlystop_cache = Cache(build / ".jupyter_cache", root)
    myst_nb_cache.get_cache = lambda path: app.earlystop_cache  # myst-nb has no setting for it
    choose_buttons(root, config.html_theme_options)
    for listeners in app.events.listeners.values():  # live code: unused, and it names other hosts
        listeners[:] = [one for one in listeners if not one.handler.__module__.startswith("sphinx_thebe")]
    app.registry.css_files[:] = [css for css in app.registry.css_files if "thebe" not in css[0]]


def check_package(root: Path) -> None:
    """Stop if the package that the chapters would import is not the one beside them."""
    found, ours = Path(earlystop.__file__ or "").resolve().parent, (root / "src" / "earlystop").resolve()
    if found != ours:
        stop(
            f"The package earlystop comes from {found}, and not from {ours}: use this folder's environment (make book)."
        )


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
    options |= {"repository_url": address if provider else "", "repository_provider": provider}
    options |= dict.fromkeys(("use_edit_page_button", "use_repository_button"), bool(provider))
    options["launch_buttons"] = {"colab_url": "https://colab.research.google.com"} if host == "github.com" else {}


# -------------------------------------------------------------------- execution


class Cache(JupyterCacheBase):
    """jupyter-cache, in which a notebook is the same as long as its code and all that this uses mean the same.

    Of a cell's options only those that change its execution count: a new caption executes nothing.
    """

    def __init__(self, path: Path, root: Path):
        super().__init__(path)
        self.root = root
        self.change_cache_limit(CACHED)

    def create_hashed_notebook(self, nb, **_):
        """The code cells of a notebook, and its hash."""
        cells, digest = super().create_hashed_notebook(nb, cell_metadata=())
        tags = [[tag for tag in EXECUTION_TAGS if tag in cell.metadata.get("tags", [])] for cell in cells.cells]
        uses = key([cell.source for cell in cells.cells], self.root)
        return cells, hashlib.sha256(f"{digest} {tags} {uses}".encode()).hexdigest()[:32]

    def merge_match_into_notebook(self, nb, **_):
        """A notebook with the outputs of its run, and with its own options."""
        return super().merge_match_into_notebook(nb, cell_meta=())

    def run_of(self, notebook) -> dict:
        """What is known of a notebook's run; empty where there is none, or only half of one."""
        try:
            record = self.match_cache_notebook(notebook)
            self.merge_match_into_notebook(notebook)
        except Exception:  # none, or a build was killed while it wrote
            return {}
        return record.data | {"hash": record.hashkey}

    def keep(self, notebook, place: str, data: dict) -> None:
        """Store a run."""
        digest = self.create_hashed_notebook(notebook)[1]
        shutil.rmtree(self._get_notebook_path_cache(digest).parent, ignore_errors=True)  # perhaps half of one
        self.cache_notebook_bundle(CacheBundleIn(notebook, place, data=data), check_validity=False, overwrite=True)


def remove_marks(app, docname: str, source: list[str]) -> None:
    """Show no line that is there for the course kit alone."""
    source[0] = without_marks(source[0])


def read_notebook(app, docname: str):
    """Read a page as a notebook; None where it has nothing to execute."""
    try:
        notebook = read(Path(app.env.doc2path(docname)))
    except PairError as problem:
        stop(str(problem))
    return notebook if "kernelspec" in notebook.metadata and code_cells(notebook) else None


def code_cells(notebook) -> list:
    """The cells that are executed."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outdated(app, env, added, changed, removed) -> list[str]:
    """Pages that are as they were, and use code that is not."""
    known = {name: run for name, run in getattr(env, "earlystop_runs", {}).items() if name not in removed}
    return [name for name, run in known.items() if app.earlystop_cache.run_of(read_notebook(app, name)) != run]


def execute_stale(app, env, docnames) -> None:
    """Execute the chapters that are not in the cache, side by side, longest first."""
    env.earlystop_runs = getattr(env, "earlystop_runs", {})
    app.earlystop_executed, stale = [], {}
    for docname in sorted(docnames):
        notebook = read_notebook(app, docname)
        env.earlystop_runs.pop(docname, None)
        if notebook is not None:
            run = app.earlystop_cache.run_of(notebook)
            if "machine" in run:  # missing where myst-nb executed a page that changed meanwhile
                env.earlystop_runs[docname] = run
            else:
                stale[docname] = notebook
    if stale:
        execute(app, stale)


def circumstances() -> dict[str, str]:
    """Machine and scale of this build; stop with one line if the scale, device or precision asked for is none."""
    from earlystop.runs.machine import here  # imports torch, which is not needed where nothing is executed
    from earlystop.runs.sizes import parse_scale, scale_text

    try:
        parse_scale(scale_text())
        return {"machine": here().words, "scale": scale_text()}
    except ValueError as problem:
        stop(str(problem))


def side_by_side(run, names: list[str], workers: int):
    """Results as they come. An interrupt ends all at once: a kernel ends with this process, and is not waited for."""
    with ThreadPool(workers) as pool:
        try:
            yield from pool.imap_unordered(run, names)
        except KeyboardInterrupt:
            os._exit(130)


def execute(app, stale: dict) -> None:
    """Execute notebooks in as many kernels as cores and memory allow."""
    facts = circumstances()
    cache, env, failed = app.earlystop_cache, app.env, []
    hashes = {name: cache.create_hashed_notebook(notebook)[1] for name, notebook in stale.items()}
    workers, before = how_many(len(stale)), {one.uri: one.data for one in cache.list_cache_records()}
    seconds = {name: before.get(env.doc2path(name), {}).get("execution_seconds", 1e9) for name in stale}
    logger.info("executing %d chapter(s), %d at a time", len(stale), workers)

    def run(name: str) -> tuple[str, float, str]:
        folder = Path(env.doc2path(name)).parent
        return name, *run_notebook(stale[name], str(folder), env.mystnb_config.execution_timeout)

    for name, taken, error in side_by_side(run, sorted(stale, key=lambda name: -seconds[name]), workers):
        if error:
            failed.append(f"{env.doc2path(name)} failed after {taken:.1f} s.\n{error}")
            logger.info("FAILED %s", name)
            continue
        if cache.create_hashed_notebook(stale[name])[1] != hashes[name]:
            stop("src/ or requirements.txt changed while the chapters ran: build again.")
        logger.info("executed %s in %.1f s", name, taken)
        cache.keep(stale[name], env.doc2path(name), {"execution_seconds": taken, **facts})
        env.earlystop_runs[name] = cache.run_of(stale[name])
        app.earlystop_executed.append(name)
    if failed:
        stop("\n\n".join(failed))


class InThePaper(SphinxDirective):
    """``{in-the-paper}``: the place in the paper that this chapter walks through, with a link."""

    def run(self) -> list[nodes.Node]:
        """Return the line, from the page's front matter."""
        said = read(Path(self.env.doc2path(self.env.docname))).metadata.get("chapter", {}).get("in the paper", "")
        line = f'In <a href="{PAPER}">the paper</a>: {html.escape(said)}'
        return [nodes.raw("", f'<p class="in-the-paper">{line}</p>', format="html")]  # raw: no page description


class Table(SphinxDirective):
    """``{course-table}`` of exercises; ``{goal-table}``; ``{chapter-table} chapter, question`` of what chapters say."""

    optional_arguments, final_argument_whitespace = 1, True

    def run(self) -> list[nodes.Node]:
        """Return the table, and let it follow the chapters."""
        root, place = Path(self.env.srcdir), nodes.container()
        header = [name.strip() for name in self.arguments[0].split(",")] if self.arguments else []
        for path in [root / "_toc.yml", root / "book" / "unit.yml", *(root / "book").glob("[0-9][0-9]_*.md")]:
            self.env.note_dependency(str(path))
        try:
            if header:
                lines = chapter_table(header, root)
            else:
                lines = (goals_overview if self.name == "goal-table" else overview)(read_course(root=root))
        except (CourseError, PairError) as problem:
            stop(str(problem))
        self.state.nested_parse(StringList(lines, source="chapters"), self.content_offset, place)
        return place.children


class RunTable(SphinxDirective):
    """``{run-table}``: how long each page took to execute."""

    def run(self) -> list[nodes.Node]:
        """Return the table; the page is read again in every build, as pages are executed without being changed."""
        self.env.note_reread()
        place, runs = nodes.container(), self.env.earlystop_runs
        names = [f"book/{name}" for name in contents(Path(self.env.srcdir))]
        lines = [
            "Table: Seconds that each page took when it was executed last.",
            "",
            "| page | seconds |",
            "|---|---:|",
        ]
        lines += [f"| {{doc}}`/{name}` | {runs[name]['execution_seconds']:.0f} |" for name in names if name in runs]
        self.state.nested_parse(StringList(lines, source="runs"), self.content_offset, place)
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
    notebook = nbformat.read(pair_of(app, pagename), as_version=4)
    cells = code_cells(notebook)[1:]  # the first one installs
    for count, (cell, done) in enumerate(zip(cells, executed(app, pagename)), start=1):
        cell.outputs, cell.execution_count = [without_phone(output) for output in done.outputs], count
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


# ------------------------------------------------------------ the finished book


def executed(app, docname: str) -> list:
    """The code cells of a page as they were executed."""
    return code_cells(app.earlystop_cache.merge_match_into_notebook(read_notebook(app, docname))[1])


def figure_problems(app, docname: str) -> list[str]:
    """The figures that a page declares and does not show, or not to everybody."""
    notebook, shown = read_notebook(app, docname), set()
    for figure in app.env.get_doctree(docname).findall(nodes.figure):
        if any(image.get("alt") for image in figure.findall(nodes.image)):
            shown |= set(figure["names"])
    figures = [cell.metadata.get("mystnb", {}).get("figure") for cell in (code_cells(notebook) if notebook else [])]
    names = [figure.get("name") or "without a name" for figure in figures if figure]
    text = "{}: figure {!r} shows no picture, or has no alt text (mystnb: image: alt)"
    return [text.format(docname, name) for name in names if name not in shown]


def findings_that_differ(app) -> list[str]:
    """Names of what came out otherwise here than where it was recorded."""
    names = app.env.earlystop_runs.keys() & app.env.all_docs.keys()
    outputs = [output for name in names for cell in executed(app, name) for output in cell.outputs]
    marks = [output.get("metadata", {}).get("earlystop", {}) for output in outputs]
    return sorted({mark["finding"] for mark in marks if mark.get("differs")})


def finish_build(app, exception) -> None:
    """Check the built book, then say what ran and where to read it."""
    if exception or app.builder.name != "html":
        return
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
    app.add_directive("in-the-paper", InThePaper)
    app.add_directive("course-table", Table)
    app.add_directive("goal-table", Table)
    app.add_directive("chapter-table", Table)
    app.add_directive("run-table", RunTable)
    app.connect("config-inited", configure)
    app.connect("source-read", remove_marks)
    app.connect("env-get-outdated", outdated)
    app.connect("env-before-read-docs", execute_stale)
    app.connect("html-page-context", offer_download)
    app.connect("html-page-context", finish_page, priority=900)
    app.connect("build-finished", finish_build, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
