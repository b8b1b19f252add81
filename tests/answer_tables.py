"""Answers that students give, by exercise: `tests/answers/CHAPTER.py` holds them, right and wrong ones."""

import runpy
from pathlib import Path

FILES = sorted((Path(__file__).parent / "answers").glob("*.py"))
TABLES = {path.stem: runpy.run_path(str(path)) for path in FILES}
RIGHT, WRONG = (
    {label: row for table in TABLES.values() for label, row in table[name].items()} for name in ("RIGHT", "WRONG")
)
