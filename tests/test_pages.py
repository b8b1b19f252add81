"""What `benchmarks/pages.py` measures, on pages of which it is known."""

import gzip
import shutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from test_build import HEAD

# By its path: another module may have this name.
SPEC = spec_from_file_location("benchmark_of_pages", Path(__file__).parents[1] / "benchmarks/pages.py")
pages = sys.modules.setdefault(SPEC.name, module_from_spec(SPEC))
SPEC.loader.exec_module(pages)

SOURCE = (
    HEAD
    + """# One

```{code-cell}
import this

a = 1
```

```{code-cell}
:tags: [remove-input]
%time b = 2
page.say(f"{a:.{b}f} and {b}" + "more")
print(f"{a}")
page.finding("x", True, f"{a}", "no")
```

```{solution-start} ex
```

```{code-cell}
c = 3
```

```{solution-end}
```

```{code-cell}
:tags: [hide-input]
d = 4
```
"""
)
PAGE = """<!DOCTYPE html><html><head><title>One</title><style>* {{ margin: 0 }} .cell_input {{ height: 200px }}</style></head><body>
<article><p>Three plain words <code>too</code> 12</p><span class="math">x y</span>
<div class="cell_input"><pre>not counted</pre></div>
<details><summary>fold</summary><div class="cell_input">hidden</div></details>
<div class="cell_output"><p>It is 12.5 and 1,000.</p><table><tr><td>7</td></tr></table></div>
<div style="height: {gap}px"></div><figure><img src="a.svg" width="10" height="100" alt="a"></figure></article></body></html>
"""  # noqa: E501
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="100"></svg>'


@pytest.fixture
def site(tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "_sources/book").mkdir(parents=True)
    (tmp_path / "book/one.html").write_text(PAGE.format(gap=1600))
    (tmp_path / "book/a.svg").write_text(SVG)
    (tmp_path / "_sources/book/one.md").write_text(SOURCE)
    return tmp_path


def test_code_is_counted_by_who_sees_it(site):
    found = pages.of_source(site / "_sources/book/one.md")
    assert found == {"placeholders": 4, "code lines visible": 2, "folded": 2, "removed": 4}


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    program = next(filter(None, map(shutil.which, pages.BROWSERS)), None)
    if program is None:
        pytest.skip("no browser found")
    with playwright.sync_playwright() as session:
        browser = session.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


def test_a_page_is_measured_as_a_reader_meets_it(site, browser):
    row = pages.measure(site, [], browser)["one"]
    assert row["words"] == 8 and row["computed numbers"] == 2 and row["requests"] == 2
    assert 9 < row["code, % of the height"] < 11  # 200 of some 2,000 pixels
    assert 2.2 < row["screens to the first figure"] < 2.5 and 2.1 < row["the same on a phone"] < 2.4
    (site / "book/one.html").write_text(PAGE.format(gap=0))
    assert pages.measure(site, ["one"], browser)["one"]["screens to the first figure"] < 0.5
    assert pages.measure(site, ["another"], browser) == {}


def test_weight_is_what_a_server_with_gzip_sends(site):
    path = site / "book/long.txt"
    path.write_text("the same " * 1000)
    assert pages.packed(path) == len(gzip.compress(path.read_bytes(), 6)) < 100


def test_two_books_are_compared_cell_by_cell():
    assert pages.cell("words", {"words": 5}, None) == "5"
    assert pages.cell("words", {"words": 5}, {"words": 7}) == "7 → 5"
    assert pages.cell("words", {"words": 5}, {}) == "- → 5"


def test_a_folder_without_a_book_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="is no built book"):
        pages.measure(tmp_path, [], None)
