"""The chapters and their notebooks: regenerated = committed, short cells, described figures."""

import ast
import json
import os
import re
import shutil
import statistics
from pathlib import Path

import nbformat
import pairs
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]

CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("[0-9]*.md"))
PLOTS = re.compile(r"\bplt\.|\bplots?\.(?!use_style)\w+\(|\.imshow\(|\.plot\(|\.hist\(|\.subplots\(")


@pytest.fixture(scope="module")
def book():
    return pairs.Book()


@pytest.fixture(scope="module")
def notebooks(book):
    return {name: book.notebook(name) for name in CHAPTERS}


def code_cells(book, name):
    return [cell for cell in book.notebooks[name].cells if cell.cell_type == "code"]


@pytest.mark.parametrize("name", CHAPTERS)
@pytest.mark.parametrize("key", ["question", "in the paper", "students can"])
def test_a_chapter_has_its_line_in_the_tables_of_chapters(book, name, key):
    said = book.notebooks[name].metadata.get("chapter", {})
    assert said.get(key, "").strip(), f"book/{name}.md: write '{key}: ...' below 'chapter:' in its front matter"


def test_committed_notebooks_are_the_regenerated_ones():
    expected = pairs.all_pairs()
    others = {path for path in (ROOT / "notebooks").glob("*.ipynb") if ".mine" not in path.name} - set(expected)
    assert not others, "no chapter has this name"
    stale = [path.name for path, text in expected.items() if path.read_text(encoding="utf8") != text]
    assert not stale, "run make notebooks"


@pytest.mark.parametrize("name", CHAPTERS)
def test_cells_are_short(book, name):
    long = [cell.source for cell in code_cells(book, name) if len(cell.source.splitlines()) > 25]
    assert not long, f"more than 25 lines:\n{long[0]}"


@pytest.mark.parametrize("name", CHAPTERS)
def test_visible_code_fits_the_column(book, name):
    folded = {"hide-input", "remove-input", "hide-cell", "remove-cell"}
    visible = [cell for cell in code_cells(book, name) if not folded & set(cell.metadata.get("tags", []))]
    wide = [line for cell in visible for line in cell.source.splitlines() if len(line) > 82]
    assert not wide, f"more than 82 characters: {wide[0]}"


REMOVED, FOLDED = {"remove-input", "remove-cell"}, {"hide-input", "hide-cell"}


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_computed_sentence_has_at_most_two_numbers(book, name):
    """Counted are the places of f-strings that `page.say` and `page.finding` show, alone or joined."""
    for cell in code_cells(book, name):
        for call in told(cell.source):
            for sentence in re.split(r"(?<=[.:;?!])[*\s]+", "".join(map(shown, call.args))):
                assert sentence.count("\0") <= 2, f"more than two numbers: {ast.unparse(call)}"


def without_text(source):
    """The lines of a cell, but for empty ones and for those with which it speaks."""
    spoken = {line for call in told(source) for line in range(call.lineno, call.end_lineno + 1)}
    return [line for at, line in enumerate(source.splitlines(), start=1) if line.strip() and at not in spoken]


def told(source):
    """The calls by which a cell speaks."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) in ("page.say", "page.finding")]


def shown(node):
    """The text of a string, each computed part as a zero; of anything else nothing."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
    if isinstance(node, ast.BinOp):
        return shown(node.left) + shown(node.right)
    return f"{node.value}\n" if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize("name", CHAPTERS)
def test_hardly_any_code_of_a_chapter_is_hidden(book, name):
    """Not counted are checks that grade, and what a page says: text is no code."""
    lines = {"removed": 0, "folded": 0, "shown": 0}
    for cell in code_cells(book, name):
        tags, source = set(cell.metadata.get("tags", [])), without_text(cell.source)
        if "check" in tags:
            continue
        kind = "removed" if tags & REMOVED else "folded" if tags & FOLDED else "shown"
        lines[kind] += len(source)
        small = len(source) <= 12 and max(map(len, source), default=0) <= 110
        assert small or kind == "shown", f"hidden, and over 12 lines or 110 columns: move it to src/\n{cell.source}"
    assert lines["removed"] <= 0.1 * sum(lines.values()), f"{lines}: more than 10 % is removed"
    assert lines["folded"] <= 0.3 * sum(lines.values()), f"{lines}: more than 30 % is folded"


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_first_cell_of_a_chapter_takes_at_most_three_names_from_the_package(book, name):
    first = ast.parse(code_cells(book, name)[0].source)
    taken = [
        node for node in ast.walk(first) if isinstance(node, ast.ImportFrom) and node.module.startswith("earlystop")
    ]
    names = [one.name for node in taken for one in node.names]
    assert 0 < len(names) <= 3, f"{', '.join(names)}: import the others where they are used first"


def test_the_median_cell_is_short(book):
    lines = [len(cell.source.splitlines()) for name in CHAPTERS for cell in code_cells(book, name)]
    assert statistics.median(lines) <= 6


@pytest.mark.parametrize("name", CHAPTERS)
def test_plotting_cells_have_caption_and_alt_text(book, name):
    for cell in code_cells(book, name):
        options = cell.metadata.get("mystnb", {})
        if options or PLOTS.search(re.sub(r"def .*?(?=\n\S|\Z)", "", cell.source, flags=re.S)):
            assert options.get("figure", {}).get("caption"), f"no caption:\n{cell.source}"
            assert options.get("image", {}).get("alt"), f"no alt text:\n{cell.source}"


SIDES = re.compile(
    r"\b(?:Left|Right|Middle|Top|Bottom)[:,]|\b(?:top|bottom)[ -](?:left|right)\b|\((?:left|right|middle)\)"
    r"|\b(?:on|at|in) the (?:left|right)\b(?! side)"
    r"|\b(?:left|right|middle|upper|lower|top|bottom)(?: |-hand )(?:panel|map|plot|picture|figure)s?\b",
    flags=re.IGNORECASE,
)


def by_side(text):
    """Words that say on which side of a figure a panel is; `Right: ` begins a sentence, `right: ` does not."""
    return [one.group() for one in SIDES.finditer(text) if one.group()[-1] not in ":," or one.group()[0].isupper()]


@pytest.mark.parametrize("name", [*CHAPTERS, "index"])
def test_no_sentence_refers_to_a_panel_by_its_side(name):
    found = by_side((ROOT / "book" / f"{name}.md").read_text(encoding="utf8"))
    assert not found, f"a phone stacks the panels, so name them by their titles: {found}"


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("Left: losses. Right, the same.", 2), ("On the left and in the right one.", 2), ("The distance (left).", 1),
        ("Top left: the time. The lower panel.", 2), ("Half of them are right, on the right side of the line.", 0),
        ("The labels that are right: none. A tail to the right.", 0),
    ],
)  # fmt: skip
def test_sides_are_told_from_right_labels(sentence, told):
    assert len(by_side(sentence)) == told


OPTIONS = {
    "line 4: 'check' is not of type 'array'": ":tags: check",
    "'tag' was unexpected": ":tag: [check]",
    "mystnb: figure: Additional properties are not allowed": "---\nmystnb: {figure: {captoin: A line}}\n---",
    "mystnb: image: 'A line' is not of type 'object'": "---\nmystnb:\n  image: A line\n---",
    "could not be read": "---\nmystnb: [\n---",
}


@pytest.mark.parametrize("wrong", OPTIONS)
def test_a_wrong_option_of_a_cell_is_named_with_its_file_and_cell(tmp_path, wrong):
    (tmp_path / "01_one.md").write_text(f"# One\n\n```{{code-cell}}\n{OPTIONS[wrong]}\n1 + 1\n```\n")
    with pytest.raises(pairs.PairError) as problem:
        pairs.read(tmp_path / "01_one.md")
    text = str(problem.value)
    assert text.startswith("book/01_one.md: ") and wrong in text and "\n" not in text
    assert "begins with '1 + 1'" in text or re.search("[Cc]ell 1 at line 3|line 4", text)


def test_a_chapter_that_is_no_page_is_named_with_what_to_do(tmp_path):
    (tmp_path / "_toc.yml").write_text("root: book/index\n")
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "07_test.md").touch()
    with pytest.raises(
        pairs.PairError, match=r"^book/07_test.md is no page yet: write '- file: book/07_test' .*_toc.yml$"
    ):
        pairs.contents(tmp_path)


@pytest.mark.parametrize("name", CHAPTERS)
def test_no_myst_is_left(notebooks, name):
    for cell in notebooks[name].cells:
        if cell.cell_type == "markdown":
            assert not re.search(r"^\s*[`:~]{3,}\{", cell.source, flags=re.M), cell.source
            assert not re.search(r"\{[\w:]+\}`", cell.source), cell.source
            assert not re.search(r"^\([\w:.-]+\)=", cell.source, flags=re.M), cell.source


@pytest.mark.parametrize("name", CHAPTERS)
def test_notebooks_are_valid_and_hold_no_outputs(notebooks, name):
    notebook = notebooks[name]
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert "import earlystop" in notebook.cells[0].source


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapters_and_notebooks_hold_the_same_code(book, notebooks, name):
    ours = [cell.source for cell in notebooks[name].cells if cell.cell_type == "code"][1:]
    assert ours == [cell.source for cell in code_cells(book, name)]


def test_a_chapter_that_asks_for_a_gpu_has_a_notebook_that_does(book, notebooks):
    asking = {name: book.notebooks[name].metadata.get("accelerator") for name in CHAPTERS}
    assert {name: one.metadata.get("accelerator") for name, one in notebooks.items()} == asking
    assert {"04_mnist", "05_cifar10", "06_jacobian"} <= {name for name, device in asking.items() if device == "GPU"}


# --------------------------------------------------------------- notebooks that their owner changed


def run(path):
    """As Jupyter saves a notebook of which one cell was run."""
    notebook = nbformat.read(path, as_version=4)
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.outputs, code.execution_count = [nbformat.v4.new_output("stream", text="done\n")], 1
    nbformat.write(notebook, path)


CHANGES = {
    "run": run,
    "saved": lambda path: path.write_text(json.dumps(json.loads(path.read_text()))),
    "edited": lambda path: path.write_text(path.read_text().replace("# The package", "# My package", 1)),
    "half": lambda path: path.write_bytes(path.read_bytes()[:1000]),
    "empty": lambda path: path.write_text(""),
    "not text": lambda path: path.write_bytes(b"\xff\xfe\x00" * 99),
    "without metadata": lambda path: path.write_text(re.sub(r' *"generated".*\n', "", path.read_text())),
}


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    """The notebooks as they are written, in a folder of their own; chapters are not converted again."""
    texts = {
        path.name: path.read_text() for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb") if path.stem in CHAPTERS
    }
    monkeypatch.setattr(
        pairs, "all_pairs", lambda package, folder: {folder / name: text for name, text in texts.items()}
    )
    assert pairs.main(["--out", str(tmp_path / "notebooks")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(texts)
    return tmp_path / "notebooks"


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_notebook_is_kept_aside_and_named_in_one_line(folder, capsys, change):
    path = folder / f"{CHAPTERS[0]}.ipynb"
    fresh = path.read_bytes()
    for name in (f"{CHAPTERS[0]}.mine.ipynb", f"{CHAPTERS[0]}.mine2.ipynb"):
        CHANGES[change](path)
        theirs = path.read_bytes()
        assert theirs != fresh
        path.chmod(0o444)
        assert pairs.main(["--out", str(folder)]) == 0
        assert path.read_bytes() == fresh and (folder / name).read_bytes() == theirs
        (line,) = capsys.readouterr().out.splitlines()
        assert path.name in line and line.endswith(name)
    assert pairs.main(["--out", str(folder)]) == 0 and capsys.readouterr().out == ""


def test_a_notebook_of_another_branch_or_in_a_merge_is_written_again_without_a_copy(folder, capsys):
    other, merged, windows, *_ = paths = sorted(folder.iterdir())
    fresh = [path.read_bytes() for path in paths]
    other.write_text(pairs.seal(other.read_text().replace("# The package", "# Another one", 1)))
    merged.write_text("<<<<<<< HEAD\n{\n=======\n[\n>>>>>>> branch\n" + merged.read_text())
    windows.write_bytes(windows.read_bytes().replace(b"\n", b"\r\n"))
    assert pairs.main(["--out", str(folder)]) == 0
    assert sorted(folder.iterdir()) == paths and [path.read_bytes() for path in paths] == fresh
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["wrote"] * 3 and not any(";" in line for line in lines)


def test_a_folder_that_cannot_be_written_is_named_in_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert pairs.main(["--out", str(tmp_path / "file")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


# ------------------------------------------------------------------------ addresses and the version

ADDRESSES = {
    "https://github.com/o/r": ["https://github.com/o/r", "https://github.com/o/r/", " https://github.com/o/r.git \n"],
    "https://gitlab.com/group/sub/r": ["https://gitlab.com/group/sub/r.git/"],
    "https://git.sr.ht/~o/r": ["https://git.sr.ht/~o/r"],
    "http://forge.local:3000/o/r.x": ["http://forge.local:3000/o/r.x"],
    "": ["", "  ", None],
}


@pytest.fixture
def config(tmp_path):
    """Write the configuration of a book; its root."""

    def written(repository):
        (tmp_path / "_config.yml").write_text(yaml.safe_dump({"repository": repository}))
        return tmp_path

    return written


@pytest.mark.parametrize(("address", "form"), [(a, form) for a, forms in ADDRESSES.items() for form in forms])
def test_every_form_of_an_address_is_read(config, address, form):
    root = config({"url": form, "branch": "main"})
    assert pairs.repository(root) == address
    assert pairs.package_address(root) == (f"earlystop @ git+{address}@v{pairs.read_version()}" if address else "")


NONSENSE = [
    "nonsense",
    "o/r",
    "github.com/o/r",
    "git@github.com:o/r.git",
    "https://github.com",
    "https://github.com/o",
    7,
]
NONSENSE += ["https://github.com/<owner>/<name>", "https://github.com/o/..", "https://github.com/o/my repo", ["x"]]


@pytest.mark.parametrize("form", NONSENSE, ids=str)
def test_what_is_no_address_is_named_in_one_line(config, form):
    with pytest.raises(pairs.PairError) as problem:
        pairs.repository(config({"url": form}))
    assert "_config.yml" in str(problem.value) and repr(form) in str(problem.value) and "\n" not in str(problem.value)


def test_a_repository_in_the_wrong_place_is_named_and_none_is_none(config):
    with pytest.raises(pairs.PairError, match="_config.yml"):
        pairs.repository(config("https://github.com/o/r"))
    assert pairs.repository(config(None)) == ""
    root = config(None)
    (root / "_config.yml").write_text("repository: [")
    with pytest.raises(pairs.PairError, match="_config.yml"):
        pairs.repository(root)


def test_the_version_is_that_of_the_source():
    assert pairs.read_version() == pairs.source_version(), "run make notebooks"


@pytest.fixture
def package(tmp_path):
    """A copy of what the version is made of."""
    for name in ("src", "book/results", "book/_static/lab"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "parts", "*.egg-info")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        "src/earlystop/theory.py",
        "src/earlystop/__init__.py",
        "src/earlystop/book.mplstyle",
        "src/earlystop/minutes.json",
        "book/results/silent.json",
        "book/_static/lab/engine.js",
        "src/earlystop/new.py",
    ],
)
def test_the_version_follows_everything_that_is_installed(package, name):
    before = pairs.read_version(package)
    assert not pairs.write_version(package)
    with open(package / name, "a") as file:
        file.write("# another line\n")
    assert pairs.write_version(package) and not pairs.write_version(package)
    assert pairs.read_version(package) == pairs.source_version(package) != before
    assert pairs.read_version(package).partition("+")[0] == before.partition("+")[0]


def test_the_version_follows_what_the_package_says_and_not_how_it_is_tested(package):
    path = package / "pyproject.toml"
    path.write_text(
        path.read_text().replace("[tool.pytest.ini_options]", "[tool.pytest.ini_options]\ncache_dir = '.x'")
    )
    assert not pairs.write_version(package)
    path.write_text(path.read_text().replace('description = "', 'description = "Also: '))
    assert pairs.write_version(package)


def test_a_merge_of_two_versions_is_settled(package):
    path = package / "src/earlystop/__init__.py"
    whole = path.read_text()
    line = re.search("^__version__.*\n", whole, flags=re.M)[0]
    for base in ("", '||||||| merged\n__version__ = "0.2.0+h0"\n'):
        path.write_text(
            whole.replace(line, f'<<<<<<< HEAD\n{line}{base}=======\n__version__ = "0.2.0+h1"\n>>>>>>> branch\n')
        )
        assert pairs.write_version(package) and path.read_text() == whole


def test_a_version_that_stands_is_not_written_again(package):
    """Or make would judge all claims again."""
    path = package / "src/earlystop/__init__.py"
    os.utime(path, (1, 1))
    assert not pairs.write_version(package) and path.stat().st_mtime == 1


def test_windows_lines_make_no_other_version(package):
    path = package / "src/earlystop/theory.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert not pairs.write_version(package)


def test_the_citation_has_the_numbers_of_the_version():
    cited = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), flags=re.M)[1]
    assert pairs.read_version().partition("+")[0] == cited


def test_the_verdicts_are_second_in_the_menu_the_colophon_last_and_chapters_count_from_one():
    numbers = pairs.contents(ROOT)
    names = list(numbers)
    assert names[:2] == ["index", "scorecard"] and names[-1] == "colophon"
    assert [numbers[name] for name in names if name[:1].isdigit()] == list(range(1, 12))
    assert not any(number for name, number in numbers.items() if not name[:1].isdigit())


def test_a_heading_may_have_two_labels():
    labels = pairs.Book(ROOT).labels
    assert labels["page-status"] == labels["page-colophon"] == "Colophon"
