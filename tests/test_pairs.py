"""The chapters and their notebooks: regenerated = committed, short cells, described figures."""

import re
import statistics
from pathlib import Path

import nbformat
import pytest

import pairs

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


def test_there_are_six_chapters():
    assert [name[:2] for name in CHAPTERS] == ["01", "02", "03", "04", "05", "06"]


def test_committed_notebooks_are_the_regenerated_ones():
    expected = pairs.all_pairs()
    others = set((ROOT / "notebooks").glob("*.ipynb")) - set(expected)
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


def test_long_chapters_ask_for_a_gpu(notebooks):
    for name in CHAPTERS[3:]:
        assert notebooks[name].metadata.get("accelerator") == "GPU", name
