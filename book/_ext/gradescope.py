"""Pack an assignment as an autograder for Gradescope: a zip that holds all that grading needs, but for Python."""

import re
import tomllib
import zipfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SCRIPTS = ("gradescope/setup.sh", "gradescope/run_autograder", "gradescope/grade.py")
SHARED = ("nbgrader/submissions.py", "nbgrader/guard.py")
PACKAGE = ("pyproject.toml", "README.md", "src/earlystop/**/*", "book/results/*", "book/_static/lab/*")
KERNEL = ("ipykernel", "nbclient", "nbformat")


def requirements() -> str:
    """What the package and the script need, in the versions of the lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    names = {re.match(r"[\w-]+", one)[0].replace("_", "-") for one in project["dependencies"]}
    lock = dict(re.findall(r"^([\w-]+)==([^\s;]+)", (ROOT / "requirements/lock.txt").read_text(encoding="utf8"), re.M))
    return "".join(f"{name}=={lock[name]}\n" for name in sorted({*names, *KERNEL}))


def package() -> dict[str, bytes]:
    """The sources from which the book's package is installed."""
    paths = [path for pattern in PACKAGE for path in ROOT.glob(pattern)]
    files = [path for path in paths if path.is_file() and "__pycache__" not in path.parts]
    return {f"package/{path.relative_to(ROOT).as_posix()}": path.read_bytes() for path in files}


def pack(path: Path, assignment) -> None:
    """Write the zip of an assignment, blank and with all its checks; its bytes depend on the sources only."""
    files = {Path(name).name: (HERE / name).read_bytes() for name in (*SCRIPTS, *SHARED)}
    files |= {"requirements.txt": requirements().encode(), "lock.txt": (ROOT / "requirements/lock.txt").read_bytes()}
    files |= {f"{path.stem}.ipynb": nbformat.writes(assignment).encode()} | package()
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if name in ("setup.sh", "run_autograder") else 0o100644) << 16
            target.writestr(entry, content)
