"""Every notebook from start to end in an environment like Colab's, which lacks the package.

`make colab-check` runs this: a new environment with what Colab has installed, in the versions of
the book; the first cell installs the package from a wheel; each notebook runs on a copy in an
empty folder. `EARLYSTOP_COLAB=/some/python` takes that environment instead, of any versions.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MINUTES = json.loads((ROOT / "src/earlystop/minutes.json").read_text())["minutes"]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "book").glob("[0-9][0-9]_*.md"))
LONGEST_FIRST = sorted(NOTEBOOKS, key=lambda name: -min(MINUTES.get(name, {}).get("quick", {"": 0}).values()))
# Of Colab's packages those that the book uses, and nbclient to execute.
PREINSTALLED = [
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "matplotlib",
    "pillow",
    "pyarrow",
    "psutil",
    "joblib",
    "tqdm",
    "huggingface_hub",
    "ipywidgets",
    "ipython",
    "ipykernel",
    "nbclient",
]

WHICH = os.environ.get("EARLYSTOP_COLAB")
pytestmark = pytest.mark.skipif(not WHICH, reason="minutes long: run make colab-check")


def call(*command, **options):
    """Run a command; its output. Its last lines are shown if it fails."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The package, built from a copy: a build leaves files in its source."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "wheel"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    for name in ("src/earlystop", "book/results", "book/_static/lab"):
        shutil.copytree(ROOT / name, source / name)
    call(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", target, source)
    return next(target.glob("*.whl"))


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """The Python of an environment with Colab's packages."""
    if WHICH != "1":
        yield Path(WHICH)
        return
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    install = python, "-m", "pip", "install", "-q", "--no-compile", "-c", ROOT / "requirements" / "lock.txt"
    if index := os.environ.get("TORCH_INDEX"):
        call(*install, "torch", "--no-deps", "--index-url", index)
    call(*install, *PREINSTALLED)
    yield python
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def notebooks(wheel, tmp_path_factory):
    """The notebooks, with a first cell that installs the wheel."""
    folder = tmp_path_factory.mktemp("notebooks")
    call(sys.executable, ROOT / "book/_ext/pairs.py", "--package", wheel, "--out", folder)
    return folder


def packages(python):
    """Installed packages with their versions."""
    listed = json.loads(call(python, "-m", "pip", "list", "--format=json"))
    return {one["name"].lower(): one["version"] for one in listed}


@pytest.fixture
def new_packages(colab):
    """What was installed besides; removed again at the end."""
    before, found = packages(colab), []
    assert "earlystop" not in before

    def new():
        after = packages(colab)
        found[:] = sorted(after.keys() - before.keys())
        assert {name: after.get(name) for name in before} == before  # torch, numpy and all others
        return found

    yield new
    if found:
        call(colab, "-m", "pip", "uninstall", "-q", "-y", *found)


@pytest.mark.parametrize("name", [f"{name}.ipynb" for name in LONGEST_FIRST])
def test_a_notebook_runs_to_its_end(colab, notebooks, new_packages, tmp_path, name, capsys):
    shutil.copy(notebooks / name, tmp_path)
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "EARLYSTOP_RESULTS")}
    clean |= {"PATH": f"{colab.parent}{os.pathsep}{clean['PATH']}", "EARLYSTOP_SCALE": "quick",
              "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}  # fmt: skip
    start = time.perf_counter()
    execute = colab, "-m", "jupyter", "execute", "--inplace", "--timeout=1200", name
    try:
        call(*execute, cwd=tmp_path, env=clean)
    finally:
        installed = new_packages()
    seconds = time.perf_counter() - start
    cells = json.loads((tmp_path / name).read_text())["cells"]
    assert "earlystop" in installed and "scale quick" in json.dumps(cells[0]["outputs"])
    assert sum(bool(cell.get("outputs")) for cell in cells) > 5
    assert [path.name for path in tmp_path.iterdir()] == [name]
    with capsys.disabled():
        print(f"\n{name}: {seconds:.0f} s; the first cell installed {', '.join(installed)}")
