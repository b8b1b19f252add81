"""A new chapter is one file and one line of `_toc.yml`, tried in a copy of the book."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pairs
import pytest

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = [name for name, number in pairs.contents(ROOT).items() if number]
NUMBER = len(CHAPTERS) + 1
NEW = f"{NUMBER:02}_new"
TEXT = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# New

```{in-the-paper}
```

```{code-cell} ipython3
1 + 1
```

## Exercises

```{exercise-start} Twice
:label: ex-new-twice
```
% implement, 5 minutes

Write `twice(x)`.
```{exercise-end}
```

```{solution-start} ex-new-twice
```

```{code-cell} ipython3
def twice(x):
    ### BEGIN SOLUTION
    return x + x
    ### END SOLUTION
```

```{code-cell} ipython3
:tags: [check]
assert twice(1) == 2, "one and one"
```

```{code-cell} ipython3
:tags: [check]
assert twice(-3) == -6, "negative numbers"
```

```{code-cell} ipython3
:tags: [check]
assert twice("a") == "aa", "words"
```

```{solution-end}
```
"""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A copy with one more chapter, and one more line of the table of contents."""
    root = tmp_path_factory.mktemp("copy")
    for folder in ("book", "src", "requirements"):
        shutil.copytree(
            ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "parts")
        )
    for name in ("_config.yml", "_toc.yml", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, root)
    (root / f"book/{NEW}.md").write_text(TEXT)
    last = f"      - file: book/{CHAPTERS[-1]}\n"
    toc = (root / "_toc.yml").read_text()
    assert last in toc
    (root / "_toc.yml").write_text(toc.replace(last, f"{last}      - file: book/{NEW}\n"))
    return root


def call(root, *words):
    """Run one of the copy's own tools; it must end well."""
    done = subprocess.run(
        [sys.executable, *words], cwd=root, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": "src"}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_chapter_has_a_notebook_that_runs(book, monkeypatch):
    assert f"notebooks/{NEW}.ipynb" in call(book, "book/_ext/pairs.py")
    monkeypatch.setenv("PYTHONPATH", str(book / "src"))
    notebook = nbformat.read(book / f"notebooks/{NEW}.ipynb", as_version=4)
    nbclient.execute(notebook, cwd=book, timeout=300)
    assert "this chapter was not timed yet" in notebook.cells[0].outputs[0].text


def test_a_new_chapter_has_its_assignment_and_its_row(book):
    assert "wrote 1 exercises to" in call(book, "book/_ext/course.py", "--chapters", NEW[:2])
    text = (book / f"_build/course/student/{NEW}.ipynb").read_text()
    assert f"Exercise {NUMBER}.1" in text and "x + x" not in text
    rows = pairs.chapter_table(["chapter", "question"], book)
    assert rows[-1] == f"| {NUMBER}. {{doc}}`{NEW}` |  |"
    assert len(rows) == 2 + NUMBER and "Which data does the theorem speak about?" in rows[2]


def test_a_chapter_without_its_line_stops_the_command_in_one_line(book, tmp_path):
    shutil.copytree(book / "book", tmp_path / "book")
    shutil.copytree(book / "src", tmp_path / "src")
    for name in ("_config.yml", "pyproject.toml"):
        shutil.copy(book / name, tmp_path)
    shutil.copy(ROOT / "_toc.yml", tmp_path)
    for tool in ("pairs", "course"):
        done = subprocess.run([sys.executable, f"book/_ext/{tool}.py"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 1 and done.stderr.startswith(f"book/{NEW}.md is no page yet")
        assert len(done.stderr.splitlines()) == 1
