"""The book's own tools: the cache key, the Markdown conversion, and builds that must fail."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import earlystop_book
import kernels
import meaning
import nbformat
import pairs
import psutil
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parents[1]

HEAD = """---
jupytext: {text_representation: {format_name: myst}}
kernelspec: {name: python3, display_name: Python 3}
---

"""
TOC = """format: jb-book
root: book/index
parts:
- {numbered: true, chapters: [{file: book/01_one}]}
- {numbered: true, chapters: [{file: book/02_two}]}
- {chapters: [{file: book/about}]}
"""
FIGURE = "---\nmystnb:\n  figure:\n    caption: A caption\n    name: fig-x\n  image:\n    alt: {alt}\n---\n"


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def copy_of_the_book(tmp_path):
    """The book's own configuration and package, with empty pages."""
    shutil.copytree(ROOT / "book" / "_ext", tmp_path / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    for name in ("_config.yml", "CITATION.cff", "requirements.txt", "book/references.bib", "book/notation.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(
        ROOT / "src" / "earlystop", tmp_path / "src" / "earlystop", ignore=shutil.ignore_patterns("__pycache__")
    )
    write(tmp_path, "_toc.yml", TOC)
    for name in ("index", "01_one", "02_two", "about"):
        write(tmp_path, f"book/{name}.md", f"# {name}\n")
    return tmp_path


@pytest.fixture
def small_book(tmp_path):
    return copy_of_the_book(tmp_path)


def test_the_build_reads_no_folder_but_that_of_the_pages():
    """An environment in any other one, `benchmarks/.venv` say, would be read as pages."""
    excluded = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf8"))["exclude_patterns"]
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("git knows which folders are the book's, and this copy has none")
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    folders = {line.split("/")[0] for line in files.splitlines() if "/" in line}
    assert "book" in folders and folders - {"book"} <= set(excluded)


def build(root, **variables):
    """Build a book; return its exit code and everything it printed."""
    code = "from jupyter_book.cli.main import main; main(['build', '.', '-W'])"
    environment = {**os.environ, "PYTHONPATH": str(root / "src"), **variables}
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, env=environment)
    return run.returncode, run.stdout + run.stderr


EXERCISE = """## Exercises

```{exercise-start} Twice
:label: ex-twice
```
% implement, 5 minutes

Write it.
```{exercise-end}
```

```{solution-start} ex-twice
:class: dropdown
```

```{code-cell}
def twice(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION
```

```{code-cell}
:tags: [check]
assert twice(1) == 2, "a hint"
```

```{code-cell}
:tags: [check, remove-cell]
assert twice(2) == 4, "hidden"
```

% 3 points: a reason

```{solution-end}
```
"""


PAGE = """# One

```{in-the-paper}
```

```{code-cell}
import os
import matplotlib.pyplot as plt
import torch
names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TQDM_DISABLE")
styles = plt.rcParams["lines.linewidth"], plt.rcParams["figure.dpi"]
print("found", torch.get_num_threads(), *(os.environ[name] for name in names), plt.get_backend(), *styles,
      __debug__, "EARLYSTOP_PROGRESS" in os.environ)
```

```{code-cell}
---
mystnb:
  figure:
    caption: A caption
    name: fig-x
  image:
    alt: A line
---
plt.plot([1, 2]);
```

```{code-cell}
from IPython.display import Markdown, display
for name, differs in (("01/up", True), ("01/down", False)):
    display(Markdown("No."), metadata={"earlystop": {"finding": name, "differs": differs}})
```

Look at {numref}`fig-x`.

````{prf:theorem} Ours
:label: thm-x

$$
x = 1
$$ (eq-x)
````

```{prf:remark}
:label: rem-x

See {eq}`eq-x` and {eq}`eq-index`.
```

"""
OUTSIDE = {
    "MPLBACKEND": "Agg",
    "TQDM_MININTERVAL": "often",
    "OMP_NUM_THREADS": "many",
    "OPENBLAS_NUM_THREADS": "7",
    "PYTHONOPTIMIZE": "1",
    "JUPYTER_PATH": "/nowhere",
    "JUPYTER_RUNTIME_DIR": "/dev/null/x",
    "IPYTHONDIR": "/dev/null/y",
    "EARLYSTOP_PROGRESS": "/tmp/x",
    "EARLYSTOP_SCALES": "paper",
}


INDEX = """# Guide

```{course-table}
```

```{chapter-table} chapter, a question
```

```{run-table}
```

```{math}
:label: eq-index

y = 2
```

The form of an exercise:

````{code-block} text
```{exercise-start} Not counted
:label: ex-example
```
````
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A book with one of everything, built with settings from outside: its folder, and what was printed."""
    root = copy_of_the_book(tmp_path_factory.mktemp("whole"))
    write(
        root, "_config.yml", (root / "_config.yml").read_text().replace('url: ""', 'url: "https://github.com/o/r"', 1)
    )
    write(root, "book/index.md", INDEX)
    asked = HEAD.replace("\n---\n\n", "\nchapter: {a question: 'Why, *oh why*?'}\n---\n\n")
    write(root, "book/01_one.md", asked + PAGE + EXERCISE)
    write(root, "book/02_two.md", HEAD + "# Two\n\n" + EXERCISE.replace("twice", "again"))
    write(root, "book/about.md", "# About\n\n$$\nz = 3\n$$ (eq-about)\n")
    write(root, "notebooks/01_one.ipynb", nbformat.writes(pairs.Book(root).notebook("01_one")))
    write(root, "mine/matplotlibrc", "lines.linewidth: 77\nbackend: Agg\n")
    first = "import matplotlib; matplotlib.rcParams['figure.dpi'] = 33\n"
    write(root, "home/.ipython/profile_default/startup/first.py", first)
    code, printed = build(root, **OUTSIDE, MATPLOTLIBRC=str(root / "mine"), HOME=str(root / "home"))
    assert code == 0, printed
    return root, printed


def html_of(root, name):
    return (root / "_build" / "html" / "book" / f"{name}.html").read_text()


def text_of(root, name, instead=""):
    return re.sub(r"<[^>]+>", instead, html_of(root, name))


def test_settings_from_outside_change_no_page_and_are_named_in_one_line(whole):
    root, printed = whole
    (line,) = [line for line in printed.splitlines() if line.startswith("Not used")]
    named = {part.split("=")[0] for part in line.partition(": ")[2].split(", ")}
    assert named == set(OUTSIDE) | {"MATPLOTLIBRC"}
    (found,) = re.findall("found .*", text_of(root, "01_one"))
    assert found == "found 1 1 1 1 1 module://matplotlib_inline.backend_inline 1.5 100.0 True False"


def test_a_finding_that_differs_here_is_counted_at_the_end_and_stops_nothing(whole):
    assert "Otherwise on this machine, as the pages say: 1 finding(s), 01/up" in whole[1]


def test_a_page_has_the_buttons_of_its_host(whole):
    page = html_of(whole[0], "01_one")
    assert "https://colab.research.google.com/github/o/r/blob/main/notebooks/01_one.ipynb" in page
    assert "https://github.com/o/r/edit/main/book/01_one.md" in page
    assert "colab" not in html_of(whole[0], "index")


def test_a_download_is_the_notebook_with_its_outputs(whole):
    notebook = nbformat.read(whole[0] / "_build/html/_sources/book/01_one.ipynb", as_version=4)
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    assert not outputs[0] and "found 1 1 1" in outputs[1][0].text and "image/png" in outputs[2][0].data
    assert "git+https://github.com/o/r@v" in notebook.cells[0].source


def test_readers_see_a_solution_without_marks_and_a_table_of_points(whole):
    text = text_of(whole[0], "01_one")
    assert "return 2 * x" in text and "a hint" in text
    assert not re.search("SOLUTION|hidden\\b.*twice|3 points|5 minutes", text) and "twice(2)" not in text
    row = text_of(whole[0], "index", " ").split()
    at = row.index("implement")
    assert row[at - 1 : at + 4] == ["Twice", "implement", "5", "2", "3"]


def test_a_table_of_chapters_says_what_their_front_matter_does(whole):
    rows = BeautifulSoup(html_of(whole[0], "index"), "html.parser").select("table")[1].select("tbody tr")
    assert [[cell.text for cell in row.select("td")] for row in rows] == [["1. One", "Why, oh why?"], ["2. Two", ""]]
    assert rows[0].select_one("a")["href"] == "01_one.html" and rows[0].select_one("em").text == "oh why"


def test_a_table_of_runs_has_the_pages_that_were_executed(whole):
    rows = BeautifulSoup(html_of(whole[0], "index"), "html.parser").select("table")[2].select("tbody tr")
    cells = [[cell.text for cell in row.select("td")] for row in rows]
    assert [name for name, _ in cells] == ["One", "Two"] and all(seconds.isdigit() for _, seconds in cells)


def numbers_on_pages(site):
    """The number of everything that has one on the built pages, by label."""
    found = {}
    for path in site.glob("book/*.html"):
        for number in BeautifulSoup(path.read_text(), "html.parser").select(".caption-number, .eqno"):
            owner = next(one for one in number.parents if one.get("id"))
            found.setdefault(owner["id"].removeprefix("equation-"), re.search(r"\d[\d.]*", number.text)[0].rstrip("."))
    return found


def numbers_of_pairs(root):
    """The same from the sources, as notebooks and assignments have them."""
    labels = {
        label: re.search(r"^(?:\w+ |\()(\d[\d.]*)\)?$", words) for label, words in pairs.Book(root).labels.items()
    }
    return {label: match[1] for label, match in labels.items() if match}


def test_notebooks_number_as_the_pages_do(whole):
    expected = {"fig-x": "1.1", "thm-x": "1.1", "rem-x": "1.2", "eq-x": "1.1", "ex-twice": "1.1", "ex-again": "2.1"}
    expected |= {"eq-index": "1", "eq-about": "2"}
    assert numbers_of_pairs(whole[0]) == expected
    shown = numbers_on_pages(whole[0] / "_build" / "html")
    assert {label: shown[label] for label in expected} == expected


def test_a_failing_cell_fails_the_build(small_book):
    write(small_book, "book/01_one.md", HEAD + "# Page\n\n```{code-cell}\nwidth = 0\n1 / width  # oh\n```\n")
    code, printed = build(small_book)
    assert code != 0
    for part in ("01_one.md", "1 / width  # oh", "ZeroDivisionError: division by zero"):
        assert part in printed


def test_a_malformed_option_stops_the_build_and_names_its_file_and_cell(small_book):
    write(small_book, "book/01_one.md", HEAD + "# Page\n\n```{code-cell}\n---\nmystnb: [\n---\n1 + 1\n```\n")
    code, printed = build(small_book)
    assert code == 1 and "Traceback" not in printed
    assert re.search(r"book/01_one.md: Code cell \d+ at line \d+ could not be read", printed)


def test_a_figure_without_picture_or_alt_text_fails_the_build(small_book):
    empty = "```{code-cell}\n" + FIGURE.format(alt="A line") + "print('no figure')\n```\n\n"
    plot = FIGURE.format(alt="''").replace("fig-x", "fig-y") + "import matplotlib.pyplot as plt\nplt.plot([1, 2]);\n"
    write(small_book, "book/01_one.md", HEAD + "# Page\n\n" + empty + "```{code-cell}\n" + plot + "```\n")
    code, printed = build(small_book)
    assert code != 0
    for name in ("fig-x", "fig-y"):
        assert f"book/01_one: figure '{name}' shows no picture, or has no alt text" in printed


def test_a_package_from_elsewhere_is_refused_in_one_line(tmp_path):
    with pytest.raises(SystemExit, match=f"comes from {ROOT / 'src'}.*, and not from {tmp_path / 'src'}"):
        earlystop_book.check_package(tmp_path)


def test_without_foreign_settings_nothing_is_said(tmp_path):
    environment = {
        "PATH": "/bin",
        "EARLYSTOP_SCALE": "paper",
        "TQDM_DISABLE": "1",
        "OMP_NUM_THREADS": "1",
        "MPLCONFIGDIR": "/x",
    }
    assert kernels.own_settings(environment, tmp_path) == ""
    assert kernels.own_settings(environment, tmp_path) == ""
    assert (
        environment["MPLBACKEND"] == "module://matplotlib_inline.backend_inline" and environment["MPLCONFIGDIR"] == "/x"
    )


@pytest.mark.parametrize(("name", "value", "words"), [
    ("SCALE", "huge", "the scale 'huge' is unknown"), ("DEVICE", "tpu", "device 'tpu' is unknown"),
    ("PRECISION", "half", "precision 'half' is unknown"),
])  # fmt: skip
def test_a_switch_that_is_none_stops_the_build_in_one_line(monkeypatch, name, value, words):
    monkeypatch.setenv(f"EARLYSTOP_{name}", value)
    with pytest.raises(SystemExit, match=f"{words}.*EARLYSTOP_{name}"):
        earlystop_book.circumstances()


# ---------------------------------------------------------------- kernels that are slow, hang or die


def cells(*sources):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])


@pytest.fixture
def impatient(monkeypatch, tmp_path):
    """Execute cells with two seconds of patience; the error or ''."""
    monkeypatch.setattr(kernels.Watch, "tick", 0.2)
    return lambda *sources: kernels.run_notebook(cells(*sources), str(tmp_path), 2)[1]


def test_a_slow_cell_is_waited_for(impatient):
    assert impatient("import time\nend = time.time() + 4\nwhile time.time() < end: pass") == ""


def test_a_cell_whose_work_is_done_by_another_process_is_waited_for(impatient):
    work = "import time; end = time.time() + 4\nwhile time.time() < end: pass"
    assert impatient(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {work!r}])\nNone") == ""


def test_a_kernel_that_does_nothing_is_named_instead_of_waited_for(impatient):
    error = impatient("1", "import time  # for nothing\ntime.sleep(600)")
    assert "has not used the processor for 2 s in the cell that begins with 'import time  # for nothing'" in error


def test_a_kernel_whose_answer_is_lost_is_named(impatient):
    """As if the message that ends a cell never came: the kernel is idle, and the build would wait."""
    lost = "kernel = get_ipython().kernel\nkernel.session.send = lambda *_, **__: None  # oh"
    assert (
        "has not used the processor for 2 s in the cell that begins with 'kernel = get_ipython().kernel'"
        in impatient(lost)
    )


def test_a_stopped_kernel_is_named(impatient):
    assert "has not used the processor" in impatient("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)")


def test_a_kernel_that_dies_is_named_with_its_cell(impatient):
    error = impatient("import os\nos._exit(1)")
    assert "died in the cell that begins with 'import os'" in error and "memory" in error


@pytest.mark.parametrize(("deaths", "left"), [(2, ""), (3, "Its kernel could not be used before its first cell")])
def test_a_kernel_that_dies_before_its_first_cell_is_started_again(impatient, monkeypatch, deaths, left):
    """As where another process has taken its port; not for ever."""
    starts, ready = [], kernels.NotebookClient.async_start_new_kernel_client

    async def killed(client):
        starts.append(client)
        if len(starts) <= deaths:
            client.km.provisioner.process.kill()
        return await ready(client)

    monkeypatch.setattr(kernels.NotebookClient, "async_start_new_kernel_client", killed)
    error = impatient("1")
    assert error.startswith(left) and bool(error) == bool(left) and len(starts) == kernels.STARTS == 3


# ------------------------------------------------------------------------------------------ memory


@pytest.mark.parametrize(("gigabytes", "cores", "chapters", "expected"), [
    (1, 2, 6, 1), (2, 2, 6, 1), (4, 2, 6, 2), (64, 2, 6, 2), (64, 16, 6, 6), (4, 16, 6, 2), (16, 4, 1, 1),
])  # fmt: skip
def test_as_many_kernels_as_cores_and_memory_allow(monkeypatch, gigabytes, cores, chapters, expected):
    monkeypatch.setattr(kernels, "memory", lambda: gigabytes * 1e9)
    monkeypatch.setattr(kernels, "cpu_count", lambda: cores)
    assert kernels.how_many(chapters) == expected


GROUPS = {
    "version 2": ("0::/user/build", {"user/memory.max": "3000", "user/build/memory.max": "max"}, 3000),
    "version 1": (
        "4:memory:/a/b\n0::/",
        {"memory/a/memory.limit_in_bytes": "5000", "memory/a/b/memory.limit_in_bytes": "4000"},
        4000,
    ),
    "container": ("4:memory:/docker/x", {"memory/memory.limit_in_bytes": "6000"}, 6000),
    "none": ("0::/", {}, None),
}


@pytest.mark.parametrize("case", GROUPS)
def test_memory_is_that_of_the_control_group(monkeypatch, tmp_path, case):
    lines, files, expected = GROUPS[case]
    for name, text in files.items():
        write(tmp_path, name, text)
    write(tmp_path, "cgroup", lines)
    places = {"/sys/fs/cgroup": tmp_path, "/proc/self/cgroup": tmp_path / "cgroup"}
    monkeypatch.setattr(kernels, "Path", lambda first, *rest: Path(places[first], *rest))
    assert kernels.memory() == expected or (expected is None and kernels.memory() == psutil.virtual_memory().total)


# --------------------------------------------------------------------------- buttons of a repository

COLAB = {"colab_url": "https://colab.research.google.com"}


@pytest.mark.parametrize(("url", "provider", "buttons"), [
    ("https://github.com/o/r.git", "github", COLAB), ("https://github.example.com/o/r", "github", {}),
    ("https://gitlab.com/g/sub/r", "gitlab", {}),
    ("https://codeberg.org/o/r", "", {}), ("", "", {}),
])  # fmt: skip
def test_buttons_are_those_that_a_host_has(tmp_path, url, provider, buttons):
    write(tmp_path, "_config.yml", yaml.safe_dump({"repository": {"url": url}}))
    options = {"repository_url": url}
    earlystop_book.choose_buttons(tmp_path, options)
    assert options["launch_buttons"] == buttons and options["repository_provider"] == provider
    assert options["use_repository_button"] is options["use_edit_page_button"] is bool(provider)
    assert options["repository_url"] == (pairs.repository(tmp_path) if provider else "")


# ------------------------------------------------------------------------------- what is executed


def executed(printed):
    """The pages that a build executed."""
    return set(re.findall(r"executed book/(\w+) in", printed))


def edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


@pytest.mark.leg  # four builds; in short it is what the tests below ask of the key
def test_a_build_executes_what_changed_and_nothing_else(small_book):
    pages, src = small_book / "book", small_book / "src" / "earlystop"
    write(src, "one.py", 'def one():\n    """One."""\n    return 1\n')
    write(src, "two.py", "from earlystop import one\n\ndef two():\n    return 2 * one.one()\n")
    write(src, "three.py", "def three():\n    return 3\n")
    cell = "```{{code-cell}}\n{}from earlystop.{} import *\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);\n```\n"
    write(pages, "01_one.md", HEAD + "# One\n\n" + cell.format(FIGURE.format(alt="A line"), "two"))
    write(pages, "02_two.md", HEAD + "# Two\n\n" + cell.format("", "three"))
    assert executed(build(small_book)[1]) == {"01_one", "02_two"}
    edit(pages / "01_one.md", "A caption", "Another caption")
    edit(src / "one.py", '"""One."""', '"""Exactly one."""  # no more')
    edit(src / "__init__.py", "__version__ = ", "__version__ =  ")
    code, printed = build(small_book)
    assert code == 0 and executed(printed) == set() and "Another caption" in html_of(small_book, "01_one")
    edit(src / "one.py", "return 1", "return 10")
    (notebook,) = [path for path in small_book.rglob("base.ipynb") if "earlystop.three" in path.read_text()]
    notebook.write_text(notebook.read_text()[:100])  # as if a build was killed while it wrote
    code, printed = build(small_book)
    assert code == 0 and executed(printed) == {"01_one", "02_two"}, printed
    edit(src / "one.py", "return 10", "return 1")
    edit(src / "three.py", "return 3", "return 4")
    assert executed(build(small_book)[1]) == {"02_two"}


def changes(root, page, path, old, new):
    """Whether an edit changes what a page with these cells depends on."""
    before = meaning.key(page, root)
    edit(root / path, old, new)
    return meaning.key(page, root) != before


ROOMS = {
    "__init__.py": '__version__ = "0"\n',
    "data.py": '"""Data."""\n\n\ndef draw():\n    return 1\n',
    "figures/__init__.py": "from pkgutil import iter_modules\nROOMS = [room.name for room in iter_modules(__path__)]\n",
    "figures/fig1.py": "from ..data import draw\nSIZE = 1\n",
    "figures/fig2.py": "SIZE = 2\n",
}


@pytest.fixture
def rooms(tmp_path):
    for name, text in ROOMS.items():
        write(tmp_path, f"src/earlystop/{name}", text)
    write(tmp_path, "requirements.txt", "numpy\n")
    return tmp_path


@pytest.mark.parametrize(("page", "uses"), [
    ("from earlystop.figures import fig1", {"fig1", "data"}), ("import earlystop.figures.fig2", {"fig2"}),
    ("from earlystop import figures", {"fig1", "fig2", "data"}),
    ("from earlystop.figures import ROOMS", {"fig1", "fig2", "data"}),
    ("load('fig1')", {"fig1", "data"}), ("from earlystop.data import draw", {"data"}),
    ("%pylab\nfrom earlystop import data", {"data"}),
    ("import earlystop\nearlystop.data.draw()", {"data"}), ("import earlystop", set()),
    ("import earlystop as es\nes.data.draw()", {"data"}), ("x = 'earlystop.figures.fig2:SIZE'", {"fig2"}),
    ("import torch", set()), ("1 +", set()),
])  # fmt: skip
def test_a_page_depends_on_the_modules_that_it_uses(rooms, page, uses):
    files = {"fig1": ("figures/fig1.py", "1"), "fig2": ("figures/fig2.py", "2"), "data": ("data.py", "1")}
    found = {
        one for one, (path, old) in files.items() if changes(rooms, [page], f"src/earlystop/{path}", old, old + "0")
    }
    assert found == uses


def test_a_page_does_not_depend_on_comments_and_documentation(rooms):
    page, path = ["from earlystop import data"], "src/earlystop/data.py"
    assert not changes(rooms, page, path, "return 1", "return  1  # one")
    assert not changes(rooms, page, path, '"""Data."""', '"""What\n\nis drawn."""')
    assert not changes(rooms, page, "src/earlystop/__init__.py", '"0"', '"1+h2"')
    assert changes(rooms, page, path, "return ", "return 0 + ")
    assert changes(rooms, page, path, "def draw():", "def draw(*, n=1):")


def test_a_page_depends_on_the_packages_of_its_modules_and_not_on_documentation_in_them(rooms):
    page, path = ["from earlystop.figures import fig1"], "src/earlystop/figures/__init__.py"
    write(rooms, path, 'class A:\n    """One."""\n\n    async def f(self):\n        """Two."""\n')
    assert not changes(rooms, page, path, "One", "1") and not changes(rooms, page, path, "Two", "2")
    assert changes(rooms, page, path, "def f", "def g")


def test_a_switch_at_its_default_is_no_other_run(rooms, monkeypatch):
    for name, usual in meaning.SWITCHES.items():
        monkeypatch.delenv(name, raising=False)
        before = meaning.key(["import torch"], rooms)
        monkeypatch.setenv(name, usual)
        assert meaning.key(["import torch"], rooms) == before


def test_of_the_options_of_a_cell_those_that_steer_its_execution_count(rooms):
    cache = earlystop_book.Cache(rooms / "cache", rooms)

    def digest(*tags):
        cell = nbformat.v4.new_code_cell("1 + 1", metadata={"tags": list(tags)})
        return cache.create_hashed_notebook(nbformat.v4.new_notebook(cells=[cell]))[1]

    assert digest() == digest("hide-input")
    assert len({digest(), digest("raises-exception"), digest("skip-execution")}) == 3


def test_a_new_chapter_is_executed_first_and_then_the_one_that_took_longest(monkeypatch):
    done, seconds = [], {"short": 1.0, "long": 9.0, "middle": 3.0}
    cache = SimpleNamespace(
        list_cache_records=lambda: [
            SimpleNamespace(uri=one, data={"execution_seconds": s}) for one, s in seconds.items()
        ],
        create_hashed_notebook=lambda notebook: (notebook, notebook),
        keep=lambda *_: None,
        run_of=lambda notebook: {},
    )
    env = SimpleNamespace(doc2path=str, mystnb_config=SimpleNamespace(execution_timeout=1), earlystop_runs={})
    app = SimpleNamespace(earlystop_cache=cache, env=env, earlystop_executed=[])
    monkeypatch.setattr(earlystop_book, "how_many", lambda chapters: 1)
    monkeypatch.setattr(earlystop_book, "run_notebook", lambda notebook, *_: done.append(notebook) or (1.0, ""))
    monkeypatch.setenv("EARLYSTOP_SCALE", "quick")
    earlystop_book.execute(app, {name: name for name in ("short", "long", "new", "middle")})
    assert done == app.earlystop_executed == ["new", "long", "middle", "short"]


def test_a_page_depends_on_requirements_results_styles_and_switches(rooms, monkeypatch):
    page, keys = ["import torch"], set()
    for name in meaning.SWITCHES:
        monkeypatch.delenv(name, raising=False)
    for path in (
        "requirements.txt",
        "src/earlystop/book.mplstyle",
        "book/results/1.json",
        "src/earlystop/minutes.json",
    ):
        keys.add(meaning.key(page, rooms))
        write(rooms, path, "new\n")
    assert len(keys | {meaning.key(page, rooms)}) == 4  # the minutes are no matter
    for name in meaning.SWITCHES:
        monkeypatch.setenv(name, "paper")
        keys.add(meaning.key(page, rooms))
    assert len(keys) == 4 + len(meaning.SWITCHES)


def test_a_change_during_the_execution_is_noticed(small_book):
    cell = "```{code-cell}\nfrom earlystop import one\nopen('../src/earlystop/one.py', 'w').write('x = 2')\n```\n"
    write(small_book, "src/earlystop/one.py", "x = 1\n")
    write(small_book, "book/01_one.md", HEAD + "# One\n\n" + cell)
    code, printed = build(small_book)
    assert code == 1 and "src/ or requirements.txt changed while the chapters ran: build again." in printed


# ---------------------------------------------------------------------------------- plain Markdown

SAMPLES = [
    ("````{prf:theorem} Theorem 2.2\n:label: thm-x\n\nLet $x$.\n````", "> **Theorem 1.1 (Theorem 2.2).** Let $x$."),
    ("```{note}\nText.\n```", "> **Note.** Text."),
    (":::{admonition} Aside\nText.\n:::", "> **Aside.** Text."),
    ("```{in-the-paper}\n```", ""),
    ("```{math}\n:label: eq-x\nx = 1\n```", "$$\nx = 1\n\\tag{1.1}\n$$"),
    ("By {prf:ref}`thm-x` and {eq}`eq-x`.", "By Theorem 1.1 and (1.1)."),
    (
        "{cite:t}`li2020gradient` and {cite:p}`jacot2018neural,he2016deep`",
        "Li et al. (2020) and (Jacot et al., 2018; He et al., 2016)",
    ),
    ("(here)=\n## Title\n\n{ref}`here`", "## Title\n\nTitle"),
    ("```python\n{ref}`kept`\n```", "```python\n{ref}`kept`\n```"),
    ("{cite:t}`oymak2020toward`", "Oymak and Soltanolkotabi (2020)"),
]


@pytest.fixture
def book(tmp_path):
    for name in ("_config.yml", "book/references.bib"):
        write(tmp_path, name, (ROOT / name).read_text())
    write(tmp_path, "_toc.yml", "root: book/index\nparts:\n- numbered: true\n  chapters:\n  - file: book/01_one\n")
    write(tmp_path, "book/index.md", "# Guide\n")
    text = "# One\n\n" + SAMPLES[0][0] + "\n\n" + SAMPLES[4][0] + "\n\n" + SAMPLES[7][0] + "\n"
    write(tmp_path, "book/01_one.md", HEAD + text)
    return tmp_path


@pytest.mark.parametrize("myst, plain", SAMPLES)
def test_conversion_to_plain_markdown(book, myst, plain):
    assert pairs.Book(book).convert(myst, "sample") == plain


def test_a_proof_has_no_number_of_its_own(book):
    kinds = (("theorem", "thm-a"), ("proof", "prf-a"), ("lemma", "lem-b"))
    text = "\n\n".join(f"```{{prf:{kind}}}\n:label: {label}\n\nSo.\n```" for kind, label in kinds)
    write(book, "book/01_one.md", HEAD + "# One\n\n" + text + "\n")
    found = pairs.Book(book)
    assert (found.labels["thm-a"], found.labels["lem-b"]) == ("Theorem 1.1", "Lemma 1.2")
    assert "> **Proof.** So." in found.convert(text, "sample")


SOLUTION = "```{{exercise-start}}\n:label: e\n```\nWhy?\n```{{exercise-end}}\n```\n\n"
SOLUTION += "```{{solution-start}} e\n:class: dropdown\n```\nSo.\n\n{cell}```{{solution-end}}\n```\n"


def test_a_solution_in_words_folds(book):
    write(book, "book/01_one.md", HEAD + "# One\n\n" + SOLUTION.format(cell=""))
    text = "\n".join(cell.source for cell in pairs.Book(book).notebook("01_one").cells)
    assert "**Exercise 1.1.**" in text
    assert "<details><summary>Solution to Exercise 1.1</summary>\n\nSo.\n\n</details>" in text


def test_a_solution_with_code_keeps_its_cells(book):
    write(book, "book/01_one.md", HEAD + "# One\n\n" + SOLUTION.format(cell="```{code-cell}\n1 + 1\n```\n\n"))
    cells = pairs.Book(book).notebook("01_one").cells
    assert "**Solution to Exercise 1.1.**" in cells[1].source
    assert cells[2].source == "1 + 1"


@pytest.mark.parametrize(
    "broken", ["````{note}\n```{code-cell}\n1\n```\n````", "{nonsense}`x`", "```{grid}\n```", "{ref}`nowhere`"]
)
def test_what_no_notebook_can_show_is_refused(book, broken):
    with pytest.raises(pairs.PairError, match="sample"):
        pairs.Book(book).convert(broken, "sample")


def test_first_cell_knows_only_the_configured_address(book):
    def first():
        return pairs.Book(book).notebook("01_one").cells[0].source

    assert "pip install ." in first() and "%pip" not in first()
    write(book, "_config.yml", "repository:\n  url: https://example.org/o/r\n  branch: main\n")
    assert f"git+https://example.org/o/r@v{pairs.read_version()}" in first()
