"""`make` and its environment: real calls of make in a copy, with a stand-in for uv that installs nothing."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import environment
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LISTS = [ROOT / "requirements.txt", *(ROOT / "requirements" / f"{part}.txt" for part in ("course", "slides", "tests"))]
LOCK = ROOT / "requirements" / "lock.txt"

UV = """#!/bin/sh
echo "begin $*" >> "{log}"
sleep 0.1
[ ! -e "{log}.broken" ] || exit 2
echo "end" >> "{log}"
"""
OTHER = """#!/bin/sh
exec "{python}" -c 'import runpy, sys
sys.version_info, sys.argv = ({major}, {minor}, 0, "final", 0), sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")' "$@"
"""


class Copy:
    """A copy of what `make` needs, in a folder with a name that is no plain ASCII word."""

    def __init__(self, folder):
        self.root, self.log = folder / "a ρ ö book", folder / "log"
        self.root.mkdir()
        for name in ("Makefile", "requirements.txt", "pyproject.toml", "requirements", "book/_ext/environment.py"):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, self.root / name)
        (self.root / "book/_ext/pairs.py").write_text("import sys; print('environment', sys.prefix)")
        self.uv = self.script("uv", UV.format(log=self.log))

    def script(self, name, text):
        path = self.log.with_name(name)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def make(self, *words, folder=None, code=0, first="", **variables):
        """Call make, which must end with this code; what it printed. `first` is where programs are looked for first."""
        inherited = {k: v for k, v in os.environ.items() if k not in ("PYTHON", "TORCH_INDEX", "MAKEFLAGS")}
        given = {"UV": str(self.uv), **variables}
        words = [*words, *(f"{name}={value}" for name, value in given.items())]
        path = os.pathsep.join([*filter(None, [str(first)]), str(Path(sys.executable).parent), inherited["PATH"]])
        done = subprocess.run(
            ["make", *words], cwd=folder or self.root, capture_output=True, text=True, env=inherited | {"PATH": path}
        )
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def installed(self):
        """What the stand-in was asked to install since the last question."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        assert lines[1::2] == ["end"] * len(lines[1::2]), lines  # one at a time
        return [re.sub(r".* --python \S.*?/bin/python ", "", line) for line in lines[::2]]


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path)


NEW = "Making .venv: there is none for this folder, these lists of packages and this Python."
BOOK = ["-c requirements/lock.txt -r requirements.txt", "--no-deps --no-build-isolation --editable ."]


def test_an_environment_is_made_once_and_parts_are_added_when_asked_for(copy):
    assert f"environment {copy.root}/.venv" in copy.make("notebooks")
    assert copy.installed() == BOOK
    copy.make("notebooks")
    assert copy.installed() == []
    (copy.root / ".venv" / "mine").touch()
    copy.make("with-tests")
    assert copy.installed() == ["-c requirements/lock.txt -r requirements/tests.txt"]
    copy.make("with-tests", "with-book")
    assert copy.installed() == [] and (copy.root / ".venv" / "mine").exists()


def test_content_decides_and_not_time(copy):
    copy.make("notebooks")
    copy.installed()
    for name in ("requirements.txt", "pyproject.toml", "requirements/lock.txt"):
        text = (copy.root / name).read_text()
        (copy.root / name).write_text(text + "# another branch\n")
        (copy.root / name).write_text(text)
        copy.make("notebooks")
        assert copy.installed() == [], name
        (copy.root / name).write_text(text + "# another version\n")
        assert NEW in copy.make("notebooks")
        assert copy.installed() == BOOK, name


def test_a_copied_environment_is_not_used(copy):
    copy.make("notebooks")
    copy.installed()
    second = copy.root.with_name("second")
    shutil.copytree(copy.root, second, symlinks=True)
    printed = copy.make("notebooks", folder=second)
    assert NEW in printed and f"environment {second}/.venv" in printed
    assert copy.installed() == BOOK
    copy.make("notebooks", folder=second)
    copy.make("notebooks")
    assert copy.installed() == []


def test_a_link_to_the_folder_is_the_same_folder(copy):
    copy.make("notebooks")
    copy.installed()
    link = copy.root.with_name("link")
    link.symlink_to(copy.root)
    copy.make("notebooks", folder=link)
    assert copy.installed() == []


def test_calls_side_by_side_install_one_after_the_other(copy):
    copy.make("-j4", "with-slides", "with-tests", "with-course", "notebooks")
    words = " ".join(copy.installed()).split()
    assert words.count("--editable") == words.count("requirements.txt") == 1
    assert [words.count(f"requirements/{part}.txt") for part in ("slides", "tests", "course")] == [1, 1, 1]


def test_an_installation_that_failed_is_not_taken_for_one(copy):
    broken = copy.log.with_name("log.broken")
    broken.touch()
    copy.make("notebooks", code=2)
    broken.unlink()
    copy.log.unlink()
    copy.make("notebooks")
    assert copy.installed() == BOOK


def test_an_environment_whose_python_is_gone_is_made_again(copy):
    copy.make("notebooks")
    copy.installed()
    for path in (copy.root / ".venv" / "bin").glob("python*"):
        path.unlink()
        path.symlink_to("/no/such/python")
    assert NEW in copy.make("notebooks")
    assert copy.installed() == BOOK


@pytest.mark.parametrize("version", [(3, 10), (3, 15), (4, 0)])
def test_a_python_without_packages_is_refused_in_one_line_before_anything_is_installed(copy, version):
    other = copy.script("other python", OTHER.format(python=sys.executable, major=version[0], minor=version[1]))
    printed = copy.make("notebooks", PYTHON=other, code=2)
    said = [line for line in printed.splitlines() if not line.startswith("make")]
    assert len(said) == 1 and "needs Python 3.11 to 3.14" in said[0] and f"is {version[0]}.{version[1]}." in said[0]
    assert copy.installed() == [] and not (copy.root / ".venv").exists()
    assert "There is no python3.99 here" in copy.make("notebooks", PYTHON="python3.99", code=2)


def test_a_python_that_is_named_replaces_the_environments_and_the_default_one_does_not(copy):
    copy.make("notebooks")
    copy.installed()
    other = 14 if sys.version_info[1] == 11 else 11
    named = copy.script("python3", OTHER.format(python=sys.executable, major=3, minor=other))
    copy.make("notebooks", first=named.parent)
    assert copy.installed() == []
    assert NEW in copy.make("notebooks", PYTHON=named)
    assert copy.installed() == BOOK


def test_torch_of_another_index_comes_first_and_alone(copy):
    copy.make("notebooks", TORCH_INDEX="https://example.org/cpu")
    torch = re.search(r"^torch==\S+", LISTS[0].read_text(), flags=re.M)[0]
    assert copy.installed() == [f"--no-deps {torch} --index-url https://example.org/cpu", *BOOK]


def test_packages_of_another_environment_are_not_seen(copy, monkeypatch):
    (copy.root / "book/_ext/pairs.py").write_text("import os; print('path', os.environ.get('PYTHONPATH'))")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    assert "path None" in copy.make("notebooks")


def test_pip_installs_where_there_is_no_uv(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(environment, "run", lambda *command: calls.append(command))
    monkeypatch.setattr(environment, "STAMP", str(tmp_path / "stamp"))
    for uv in ("", "no-such-uv"):
        monkeypatch.setenv("UV", uv)
        environment.make_new()
        environment.install({"parts": []}, ["book"])
    assert calls[:3] == calls[3:] and "--without-pip" not in calls[0]
    assert [call[:4] for call in calls[1:3]] == [(environment.PYTHON, "-m", "pip", "install")] * 2
    assert [" ".join(call[4:]) for call in calls[1:3]] == BOOK


def test_a_folder_that_is_read_only_is_named_in_one_line(monkeypatch):
    monkeypatch.setattr(environment.os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(SystemExit, match=f"^{re.escape(str(ROOT))} is read-only, .* copy it to a folder of your own.$"):
        environment.main([])


def test_an_old_python_can_read_what_refuses_it():
    ast.parse(Path(environment.__file__).read_text(), feature_version=(3, 7))


def test_the_source_distribution_has_every_file_that_git_has(tmp_path):
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("git knows which files are the book's, and this copy has none")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in files:
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / "copy" / name)
    code = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "copy", capture_output=True, check=True)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as sdist:
        packed = {name.partition("/")[2] for name in sdist.getnames()}
    assert files <= packed, sorted(files - packed)


# ------------------------------------------------------------------------ versions


def pins(path):
    """Names and versions in a list of packages."""
    lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def locked():
    """The version that the lock has for this Python, by name."""
    here = [one for one in pins(LOCK) if one.marker is None or one.marker.evaluate()]
    assert len(here) == len({one.name for one in here})
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in here}


def test_the_lock_has_what_was_chosen_and_nothing_of_the_machine_that_wrote_it():
    versions = locked()
    for path in [*LISTS, ROOT / "requirements/lint.txt"]:
        for one in pins(path):
            assert one.specifier.contains(versions[canonicalize_name(one.name)]), f"{one}: call make lock"
    assert all(
        re.fullmatch(r"==[\w.]+", str(one.specifier)) and one.url is None and not one.extras for one in pins(LOCK)
    )
    assert not re.search(r"file:|https?:|--|\+", LOCK.read_text())


def installed_for(lists):
    """The packages that lists bring, with those that they need in turn, by name."""
    left, found, seen = [one for path in lists for one in pins(path)], {}, set()
    while left:
        wanted = left.pop()
        for key in [(canonicalize_name(wanted.name), extra) for extra in wanted.extras | {""}]:
            if key in seen:
                continue
            seen.add(key)
            package = found[key[0]] = distribution(wanted.name)
            needs = [Requirement(line) for line in package.requires or []]
            left += [one for one in needs if one.marker is None or one.marker.evaluate({"extra": key[1]})]
    return found


def test_every_package_that_is_installed_is_in_the_lock():
    """In the book's own environment also in these versions."""
    versions, found = locked(), installed_for(LISTS)
    assert len(found) > 150 and found.keys() <= versions.keys(), found.keys() - versions.keys()
    if Path(sys.prefix) == ROOT / ".venv":
        assert {name: package.version.split("+")[0] for name, package in found.items()}.items() <= versions.items()


def imports(code):
    """The packages that a program imports at its top."""
    found = [node for node in ast.parse(code).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[0] for name in names | {node.module for node in found if isinstance(node, ast.ImportFrom)}}


@pytest.mark.parametrize("part", ["book", "slides"])
def test_a_part_brings_what_its_programs_import(part):
    """So that a reader, who has the book's part alone, misses nothing."""
    lists = LISTS[:1] if part == "book" else [LISTS[0], ROOT / "requirements/slides.txt"]
    kit = [
        "earlystop_book",
        "kernels",
        "meaning",
        "pairs",
        "course",
        "unit",
        "gradescope",
        "formulas",
        "pages",
        "find",
        "figures",
        "found",
        "lab",
        "dark",
    ]
    names = kit if part == "book" else ["slides", "panels"]
    programs = [(ROOT / "book/_ext" / f"{name}.py").read_text() for name in names]
    programs += [path.read_text() for path in (ROOT / "src/earlystop").rglob("*.py")]
    for page in (ROOT / "book").glob("*.md"):
        programs += re.findall(
            r"(?ms)^```\{code-cell\}[^\n]*\n(?:---\n.*?^---\n)?(?:^:.*?\n)*(.*?)^```$", page.read_text()
        )
    own = {"earlystop", *names, *kit}
    wanted = set().union(*map(imports, programs)) - own - set(sys.stdlib_module_names)
    provides = packages_distributions()
    missing = {name for name in wanted if not set(map(canonicalize_name, provides[name])) & installed_for(lists).keys()}
    assert "torch" in wanted and not missing


def test_all_places_name_the_same_pythons():
    oldest, newest = ("{}.{}".format(*one) for one in (environment.OLDEST, environment.NEWEST))
    assert f'requires-python = ">={oldest}"' in (ROOT / "pyproject.toml").read_text()
    named = re.findall(r"Language :: Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text())
    assert (named[0], named[-1]) == (oldest, newest)
    assert f"--python-version {oldest}" in (ROOT / "Makefile").read_text()
    for name in ("README.md", "requirements.txt", "Makefile"):
        said = re.findall(r"Python (3\.\d+) to (3\.\d+)", (ROOT / name).read_text())
        assert said and set(said) == {(oldest, newest)}, name
