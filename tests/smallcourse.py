"""A course of one small chapter, for tests that go all the way through a grader."""

import shutil
from pathlib import Path

import course
import nbformat

ROOT = Path(__file__).resolve().parents[1]
PAGE = """# One

## Exercises

```{code-cell}
SEED = 0
two = 2
```

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
    return two * x
    ### END SOLUTION
```

```{code-cell}
:tags: [check]
assert twice(1) == 2, f"twice(1) gives {twice(1)}, not 2: add a number to itself"
```

```{code-cell}
:tags: [check, points-2]
assert twice(0) == 0, f"twice(0) gives {twice(0)}, not 0: nothing is added to nothing"
```

```{code-cell}
:tags: [check, remove-cell]
secret = -3
assert twice(secret) == -6, "negative numbers are doubled as well"
```

Twice is itself and itself again.

% 2 points: itself and itself again

```{solution-end}
```

```{exercise-start} Half
:label: ex-half-of
```
% derive, 5 minutes

Which number is half of three?
```{exercise-end}
```

```{solution-start} ex-half-of
:class: dropdown
```

```{code-cell}
### BEGIN SOLUTION
half = 1.5
### END SOLUTION
```

```{code-cell}
:tags: [check]
assert 2 * half == 3, f"twice {half} is {2 * half}, not 3"
```

```{code-cell}
:tags: [check]
assert half < two, f"{half} is larger than 2"
```

```{code-cell}
:tags: [check, remove-cell]
assert half > 1, "it is larger than 1"
```

```{solution-end}
```
"""
NAME = "01_page"
RIGHT = {"ex-twice-answer": "def twice(x):\n    return x + x", "ex-half-of-answer": "half = 3 / 2"}


def write(folder: Path):
    """Write the course kit of the small chapter into `folder / "kit"`; its only chapter."""
    (folder / "book").mkdir()
    for name in ("_config.yml", "book/references.bib"):
        shutil.copy(ROOT / name, folder / name)
    parts = f"[{{numbered: true, chapters: [{{file: book/{NAME}}}]}}]"
    (folder / "_toc.yml").write_text(f"root: book/index\nparts: {parts}\n")
    (folder / "book" / "index.md").write_text("# Guide\n")
    (folder / "book" / f"{NAME}.md").write_text(PAGE)
    (chapter,) = found = course.read_course(root=folder)
    course.check_course(found)
    course.write(found, folder / "kit")
    return chapter


def answered(folder: Path, answers: dict[str, str], words: str = ""):
    """The student's notebook with answers by grade id, and all answers in words."""
    notebook = nbformat.read(folder / "kit" / "student" / f"{NAME}.ipynb", as_version=4)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        if name in answers:
            cell.source = f"{cell.source.splitlines()[0]}\n{answers[name]}"
        elif name.endswith("-written") and words:
            cell.source = cell.source.replace("YOUR ANSWER HERE", words)
    return notebook
