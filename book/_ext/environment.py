"""The environment of this copy of the book, `.venv`: made when it is missing, or was made for something else.

    python book/_ext/environment.py tests

It has the packages of requirements.txt and of the parts that are named, in the versions of requirements/lock.txt.
It belongs to its path, to its Python and to the content of these files. Plain Python: an old one can still say so.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
HERE = sys.version_info[:2]
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, ".installed")
LOCK = os.path.join("requirements", "lock.txt")


def run(*command):
    """Run a command; end with its code if it fails."""
    code = subprocess.call(command, cwd=ROOT)
    if code:
        sys.exit(code)


def content():
    """A hash of what an environment is made for: this folder, and what decides which packages are installed."""
    digest = hashlib.sha256(ROOT.encode())
    lists = [os.path.join("requirements", name) for name in sorted(os.listdir(os.path.join(ROOT, "requirements")))]
    for name in ["requirements.txt", "pyproject.toml"] + [name for name in lists if name.endswith(".txt")]:
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(name.encode() + b"\0" + file.read())
    return digest.hexdigest()


def usable(wanted):
    """What `.venv` was made for and has; nothing where it has to be made. `wanted`: a Python that was asked for."""
    try:
        with open(STAMP) as file:
            made = json.load(file)
        here = subprocess.check_output([PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    except (OSError, ValueError, subprocess.CalledProcessError):  # none, or its Python is gone
        return {}
    same = made["content"] == content() and made["python"] == here.decode().strip() and wanted in (None, made["python"])
    return made if same else {}


def make_new():
    """An empty environment of the Python that runs this; refuse one for which there are no packages."""
    if not OLDEST <= HERE <= NEWEST:
        oldest, here, newest = (".".join(map(str, one)) for one in (OLDEST, HERE, NEWEST))
        sys.exit(f"This book needs Python {oldest} to {newest}; {os.path.basename(sys.executable)} is {here}. "
                 f"Name another, for example: make book PYTHON=python{newest}")  # fmt: skip
    print("Making .venv: there is none for this folder, these lists of packages and this Python.", flush=True)
    run(sys.executable, "-m", "venv", "--clear", *(["--without-pip"] if uv() else []), VENV)
    return {"python": "{}.{}".format(*HERE), "content": content(), "parts": []}


def uv():
    """Where uv is, which installs faster than pip; `make UV=` goes without."""
    return shutil.which(os.environ.get("UV", "uv"))


def install(made, parts):
    """Install what parts need, and for the first one torch from its own index and the package itself."""
    tool = [uv(), "pip", "install", "--python", PYTHON] if uv() else [PYTHON, "-m", "pip", "install"]
    index = os.environ.get("TORCH_INDEX", "").strip()
    if index and "book" in parts:
        with open(os.path.join(ROOT, LOCK)) as file:
            torch = re.search(r"^torch==\S+", file.read(), flags=re.M).group()
        run(*tool, "--no-deps", torch, "--index-url", index)
    lists = ["requirements.txt" if part == "book" else f"requirements/{part}.txt" for part in parts]
    run(*tool, "-c", LOCK, *[word for name in lists for word in ("-r", name)])
    if "book" in parts:
        run(*tool, "--no-deps", "--no-build-isolation", "--editable", ".")
    made["parts"] += parts
    with open(STAMP, "w") as file:
        json.dump(made, file, indent=1)


def main(parts, wanted=None):
    """Make sure that `.venv` is there, is this copy's, and has the packages of the book and of parts."""
    if not os.access(ROOT, os.W_OK):
        sys.exit(
            f"{ROOT} is read-only, and .venv, notebooks/, _build/ are written there: copy it to a folder of your own."
        )
    with contextlib.suppress(OSError):  # wait for other calls, where the file system has locks
        fcntl.flock(os.open(ROOT, os.O_RDONLY), fcntl.LOCK_EX)
    made = usable(wanted) or make_new()
    missing = [part for part in ["book", *parts] if part not in made["parts"]]
    if missing:
        install(made, missing)


if __name__ == "__main__":
    # PYTHON_WANTED: make was told which Python, and the environment must have this one.
    try:
        asked = [part for part in sys.argv[1:] if part != "book"]
        main(asked, "{}.{}".format(*HERE) if os.environ.get("PYTHON_WANTED") else None)
    except KeyboardInterrupt:
        sys.exit(130)
