"""The book's own tools: the cache key, the Markdown conversion, and builds that must fail."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import earlystop_book
import kernels
import nbformat
import pairs
import psutil
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]

HEAD = (
    "---\njupytext:\n  text_representation:\n    format_name: myst\n"
    "kernelspec:\n  name: python3\n  display_name: Python 3\n---\n\n"
)
FIGURE = "---\nmystnb:\n  figure:\n    caption: A caption\n    name: fig-x\n  image:\n    alt: {alt}\n---\n"


def write(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def small_book(tmp_path):
    """The book's own configuration with one page of ours."""
    shutil.copytree(ROOT / "book" / "_ext", tmp_path / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    for name in ("_config.yml", "requirements.txt", "book/references.bib"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(
        ROOT / "src" / "earlystop", tmp_path / "src" / "earlystop", ignore=shutil.ignore_patterns("__pycache__")
    )
    write(tmp_path, "_toc.yml", "format: jb-book\nroot: book/index\n")
    return tmp_path


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


def test_a_finding_that_differs_here_is_counted_at_the_end_and_stops_nothing(small_book):
    cell = 'display(Markdown("No."), metadata={"earlystop": {"finding": "01/%s", "differs": %s}})\n'
    cells = "from IPython.display import Markdown, display\n" + cell % ("up", True) + cell % ("down", False)
    write(small_book, "book/index.md", HEAD + f"# Page\n\n```{{code-cell}}\n{cells}```\n")
    code, printed = build(small_book)
    assert code == 0 and "Otherwise on this machine, as the pages say: 1 finding(s), 01/up" in printed


def test_a_failing_cell_fails_the_build(small_book):
    write(small_book, "book/index.md", HEAD + "# Page\n\n```{code-cell}\nwidth = 0\n1 / width  # oh\n```\n")
    code, printed = build(small_book)
    assert code != 0
    for part in ("index.md", "1 / width  # oh", "ZeroDivisionError: division by zero"):
        assert part in printed


def test_a_figure_without_picture_or_alt_text_fails_the_build(small_book):
    empty = "```{code-cell}\n" + FIGURE.format(alt="A line") + "print('no figure')\n```\n\n"
    plot = FIGURE.format(alt="''").replace("fig-x", "fig-y") + "import matplotlib.pyplot as plt\nplt.plot([1, 2]);\n"
    page = "# Page\n\n```{runs-in}\n```\n\n" + empty + "```{code-cell}\n" + plot + "```\n"
    write(small_book, "book/index.md", HEAD + page)
    code, printed = build(small_book)
    assert code != 0
    assert "book/index: figure 'fig-x' produced no image" in printed
    assert "figure 'fig-y' has no alt text" in printed


PAGE = (
    HEAD
    + """# Page

```{code-cell}
import os
import matplotlib.pyplot as plt
import torch
names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TQDM_DISABLE")
print("found", torch.get_num_threads(), *(os.environ[name] for name in names), plt.get_backend(),
      plt.rcParams["lines.linewidth"],
      plt.rcParams["figure.dpi"], __debug__, "EARLYSTOP_PROGRESS" in os.environ)
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
"""
)
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


def test_settings_from_outside_change_no_page_and_are_named_in_one_line(small_book, tmp_path):
    write(small_book, "book/index.md", PAGE)
    write(tmp_path, "mine/matplotlibrc", "lines.linewidth: 77\nbackend: Agg\n")
    write(
        tmp_path,
        "home/.ipython/profile_default/startup/first.py",
        "import matplotlib; matplotlib.rcParams['figure.dpi'] = 33\n",
    )
    outside = OUTSIDE | {"MATPLOTLIBRC": str(tmp_path / "mine"), "HOME": str(tmp_path / "home")}
    code, printed = build(small_book, **outside)
    assert code == 0, printed
    (line,) = [line for line in printed.splitlines() if line.startswith("Not used")]
    named = {part.split("=")[0] for part in line.partition(": ")[2].split(", ")}
    assert named == set(outside) - {"HOME"}
    page = (small_book / "_build" / "html" / "book" / "index.html").read_text()
    (found,) = re.findall("found .*", re.sub(r"<[^>]+>", "", page))
    assert found == "found 1 1 1 1 1 module://matplotlib_inline.backend_inline 1.5 100.0 True False"


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
    with pytest.raises(SystemExit, match=f"EARLYSTOP_{name}.*{words}"):
        earlystop_book.check_switches()


def test_a_package_from_elsewhere_is_refused_in_one_line(small_book):
    write(small_book, "book/index.md", PAGE)
    code, printed = build(small_book, PYTHONPATH=str(ROOT / "src"))
    assert code == 1 and "Traceback" not in printed and "executed" not in printed
    assert (
        f"The package earlystop comes from {ROOT / 'src/earlystop'}, and not from {small_book / 'src/earlystop'}"
        in printed
    )


# ---------------------------------------------------------------- kernels that are slow, hang or die


def cells(*sources):
    return nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources]))


@pytest.fixture
def impatient(monkeypatch, tmp_path):
    """Execute cells with three seconds of patience; the error or ''."""
    monkeypatch.setattr(kernels.Watch, "tick", 0.2)
    return lambda *sources: kernels.run_notebook(cells(*sources), str(tmp_path), 3)[2]


def test_a_slow_cell_is_waited_for(impatient):
    assert impatient("import time\nend = time.time() + 6\nwhile time.time() < end: pass") == ""


def test_a_cell_whose_work_is_done_by_another_process_is_waited_for(impatient):
    work = "import time; end = time.time() + 6\nwhile time.time() < end: pass"
    assert impatient(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {work!r}])\nNone") == ""


def test_a_kernel_that_does_nothing_is_named_instead_of_waited_for(impatient):
    error = impatient("1", "import time  # for nothing\ntime.sleep(600)")
    assert "has not used the processor for 3 s in the cell that begins with 'import time  # for nothing'" in error


def test_a_kernel_whose_answer_is_lost_is_named(impatient):
    """As if the message that ends a cell never came: the kernel is idle, and the build would wait."""
    lost = "kernel = get_ipython().kernel\nkernel.session.send = lambda *_, **__: None  # oh"
    assert (
        "has not used the processor for 3 s in the cell that begins with 'kernel = get_ipython().kernel'"
        in impatient(lost)
    )


def test_a_stopped_kernel_is_named(impatient):
    assert "has not used the processor" in impatient("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)")


def test_a_kernel_that_dies_is_named_with_its_cell(impatient):
    error = impatient("import os\nos._exit(1)")
    assert "died in the cell that begins with 'import os'" in error and "memory" in error


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
    ("git@github.com:o/r.git", "github", COLAB), ("https://github.example.com/o/r", "github", {}),
    ("git@gitlab.com:o/r.git", "gitlab", {}),
    ("https://codeberg.org/o/r", "", {}), ("", "", {}),
])  # fmt: skip
def test_buttons_are_those_that_a_host_has(tmp_path, url, provider, buttons):
    write(tmp_path, "_config.yml", yaml.safe_dump({"repository": {"url": url}}))
    options = {"repository_url": url}
    earlystop_book.choose_buttons(tmp_path, options)
    assert options["launch_buttons"] == buttons and options["repository_provider"] == provider
    assert options["use_repository_button"] is options["use_edit_page_button"] is bool(provider)
    assert options["repository_url"] == (pairs.repository(tmp_path) if provider else "")


@pytest.mark.parametrize(("url", "colab", "edit"), [
    ("git@github.com:o/r.git", True, "https://github.com/o/r/edit/main/book/01_one.md"),
    ("https://gitlab.com/g/sub/r.git/", False, "https://gitlab.com/g/sub/r/-/edit/main/book/01_one.md"),
])  # fmt: skip
def test_a_page_has_the_buttons_of_its_host(small_book, url, colab, edit):
    config = (small_book / "_config.yml").read_text().replace('url: ""', f'url: "{url}"', 1)
    write(small_book, "_config.yml", config)
    write(small_book, "_toc.yml", "format: jb-book\nroot: book/01_one\n")
    write(small_book, "book/01_one.md", HEAD + "# Page\n\n```{code-cell}\n1 + 1\n```\n")
    notebook = nbformat.writes(pairs.Book(small_book).notebook("01_one"))
    assert f"git+{pairs.repository(small_book)}@v" in notebook
    write(small_book, "notebooks/01_one.ipynb", notebook)
    code, printed = build(small_book)
    assert code == 0, printed
    page = (small_book / "_build/html/book/01_one.html").read_text()
    assert ("https://colab.research.google.com/github/o/r/blob/main/notebooks/01_one.ipynb" in page) == colab
    assert ("colab" in page) == colab and edit in page


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


def test_readers_see_a_solution_without_marks_and_tables_of_points_and_chapters(small_book):
    write(small_book, "_toc.yml", "format: jb-book\nroot: book/index\nchapters:\n- file: book/01_one\n")
    tables = "```{course-table}\n```\n\n```{chapter-table} chapter, a question\n```\n"
    write(small_book, "book/index.md", f"# Guide\n\n{tables}")
    asked = HEAD.replace("\n---\n\n", "\nchapter:\n  a question: Why, *oh why*?\n---\n\n")
    write(small_book, "book/01_one.md", asked + "# One\n\n" + EXERCISE)
    code, printed = build(small_book)
    assert code == 0, printed
    page = (small_book / "_build" / "html" / "book" / "01_one.html").read_text()
    text = re.sub(r"<[^>]+>", "", page)
    assert "return 2 * x" in text and "a hint" in text
    assert not re.search("SOLUTION|hidden\\b.*twice|3 points|5 minutes", text) and "twice(2)" not in text
    guide = (small_book / "_build" / "html" / "book" / "index.html").read_text()
    row = re.sub(r"<[^>]+>", " ", guide).split()
    at = row.index("implement")
    assert row[at - 1 : at + 4] == ["Twice", "implement", "5", "2", "3"]
    assert re.search(r'1\. <a [^>]*href="01_one.html".*?<p>Why, <em>oh why</em>\?</p>', guide, flags=re.S)


def test_cache_key_follows_source_requirements_and_scale(small_book, monkeypatch):
    monkeypatch.delenv("EARLYSTOP_SCALE", raising=False)
    keys = [earlystop_book.source_key(small_book)]
    write(small_book, "src/earlystop/more.py", "x = 1\n")
    keys.append(earlystop_book.source_key(small_book))
    write(small_book, "requirements.txt", "numpy\n")
    keys.append(earlystop_book.source_key(small_book))
    monkeypatch.setenv("EARLYSTOP_SCALE", "paper")
    keys.append(earlystop_book.source_key(small_book))
    assert len(set(keys)) == 4
    assert earlystop_book.source_key(small_book) == keys[-1]


def executed(printed):
    """The pages that a build executed."""
    return set(re.findall(r"executed (book/\w+) in", printed))


def test_a_build_executes_what_changed_and_nothing_else(small_book):
    page = HEAD + "# Page\n\n```{{code-cell}}\nprint({})\n```\n"
    write(small_book, "_toc.yml", "format: jb-book\nroot: book/index\nchapters:\n- file: book/other\n")
    for name in ("index", "other"):
        write(small_book, f"book/{name}.md", page.format(1))
    assert executed(build(small_book)[1]) == {"book/index", "book/other"}
    assert executed(build(small_book)[1]) == set()
    write(small_book, "book/other.md", page.format(2))
    assert executed(build(small_book)[1]) == {"book/other"}
    write(small_book, "src/earlystop/more.py", "x = 1\n")
    code, printed = build(small_book)
    assert code == 0 and executed(printed) == {"book/index", "book/other"}


def test_a_half_written_cache_is_made_again(small_book):
    write(small_book, "book/index.md", HEAD + "# Page\n\n```{code-cell}\nprint('whole')\n```\n")
    build(small_book)
    (notebook,) = (small_book / "_build" / ".jupyter_cache").rglob("base.ipynb")
    notebook.write_text(notebook.read_text()[:100])
    (small_book / "_build" / ".jupyter_cache" / "seconds.json").write_text('{"book')
    for folder in ("html", ".doctrees"):
        shutil.rmtree(small_book / "_build" / folder)
    code, printed = build(small_book)
    assert code == 0 and executed(printed) == {"book/index"}
    assert "whole" in (small_book / "_build" / "html" / "book" / "index.html").read_text()


def test_only_recent_caches_are_kept(tmp_path):
    for age, name in enumerate(["now", "a", "b", "c", "d"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    earlystop_book.remove_old_caches(tmp_path, tmp_path / "now")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "now"]


SAMPLES = [
    ("````{prf:theorem} Theorem 2.2\n:label: thm-x\n\nLet $x$.\n````", "> **Theorem 1.1 (Theorem 2.2).** Let $x$."),
    ("```{note}\nText.\n```", "> **Note.** Text."),
    (":::{admonition} Aside\nText.\n:::", "> **Aside.** Text."),
    ("```{runs-in}\n```", ""),
    ("```{math}\n:label: eq-x\nx = 1\n```", "$$\nx = 1\n\\tag{1.1}\n$$"),
    ("By {prf:ref}`thm-x` and {eq}`eq-x`.", "By Theorem 1.1 and (1.1)."),
    (
        "{cite:t}`li2020gradient` and {cite:p}`jacot2018neural,he2016deep`",
        "Li et al. (2020) and (Jacot et al., 2018; He et al., 2016)",
    ),
    ("(here)=\n## Title\n\n{ref}`here`", "## Title\n\nTitle"),
    ("```python\n{ref}`kept`\n```", "```python\n{ref}`kept`\n```"),
]


@pytest.fixture
def book(tmp_path):
    for name in ("_config.yml", "book/references.bib"):
        write(tmp_path, name, (ROOT / name).read_text())
    text = "# One\n\n" + SAMPLES[0][0] + "\n\n" + SAMPLES[4][0] + "\n\n" + SAMPLES[7][0] + "\n"
    write(tmp_path, "book/01_one.md", HEAD + text)
    return tmp_path


@pytest.mark.parametrize("myst, plain", SAMPLES)
def test_conversion_to_plain_markdown(book, myst, plain):
    assert pairs.Book(book).convert(myst, "sample") == plain


SOLUTION = (
    "```{{exercise-start}}\n:label: e\n```\nWhy?\n```{{exercise-end}}\n```\n\n"
    "```{{solution-start}} e\n:class: dropdown\n```\nSo.\n\n{cell}```{{solution-end}}\n```\n"
)


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
