"""The environment of this copy of the book, `.venv`: made when it is missing, or was made for something else.

    python book/_ext/environment.py tests

It has the packages of requirements.txt and of the parts that are named, in the versions of requirements/lock.txt.
It belongs to its path, to its Python and to the content of these files. Plain Python: an old one can still say so.
"""

import fcntl
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, ".installed")
LOCK = os.path.join("requirements", "lock.txt")


def stop(message):
    """End with one line."""
    sys.exit(message)


def run(*command):
    """Run a command; end with its code if it fails."""
    code = subprocess.call(command, cwd=ROOT)
    if code:
        sys.exit(code)


def requirements(part):
    """The list of a part's packages."""
    return "requirements.txt" if part == "book" else os.path.join("requirements", part + ".txt")


def content():
    """A hash of what decides which packages are installed."""
    digest = hashlib.sha256()
    lists = sorted(glob.glob(os.path.join(glob.escape(ROOT), "requirements", "*.txt")))
    for path in [os.path.join(ROOT, "requirements.txt"), os.path.join(ROOT, "pyproject.toml")] + lists:
        with open(path, "rb") as file:
            digest.update(os.path.basename(path).encode() + b"\0" + file.read())
    return digest.hexdigest()


def version_of(python):
    """Major and minor version of a Python; None where it does not run."""
    try:
        return (
            subprocess.check_output([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
            .decode()
            .strip()
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def stamp():
    """What `.venv` was made for; nothing where its installation never ended."""
    try:
        with open(STAMP) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def outdated(made, wanted):
    """Why an environment cannot be used; empty if it can. `wanted` is a Python that was asked for, or None."""
    if made["path"] != ROOT:
        return "it was copied or moved from " + made["path"]
    if made["content"] != content():
        return "the lists of packages have changed"
    if version_of(PYTHON) != made["python"]:
        return "its Python %s is gone" % made["python"]
    if wanted and wanted != made["python"]:
        return "it has Python %s" % made["python"]
    return ""


def make_new(why):
    """An empty environment of the Python that runs this; refuse one for which there are no packages."""
    here = sys.version_info[:2]
    if not OLDEST <= here <= NEWEST:
        name = os.path.basename(sys.executable)
        stop("This book needs Python %d.%d to %d.%d; %s is %d.%d. Name another, for example: make book PYTHON=python%d.%d"
             % (OLDEST + NEWEST + (name,) + here + NEWEST))  # fmt: skip
    if why:
        print("Making a new .venv: %s." % why, flush=True)
    run(sys.executable, "-m", "venv", "--clear", *(["--without-pip"] if uv() else []), VENV)
    return {"path": ROOT, "python": "%d.%d" % here, "content": content(), "parts": []}


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
    lists = [word for part in parts for word in ("-r", requirements(part))]
    run(*tool, "-c", LOCK, *lists)
    if "book" in parts:
        run(*tool, "--no-deps", "--no-build-isolation", "--editable", ".")
    made["parts"] += parts
    with open(STAMP, "w") as file:
        json.dump(made, file, indent=1)


def wait_for_others():
    """Wait while another call installs here; the lock ends with this process."""
    try:
        fcntl.flock(os.open(ROOT, os.O_RDONLY), fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        pass


def refuse_jupyter_book_2():
    """Jupyter Book 2 is another program, which reads no `_config.yml`."""
    pattern = os.path.join(glob.escape(VENV), "lib", "python*", "site-packages", "jupyter_book-*.dist-info")
    for found in glob.glob(pattern):
        version = os.path.basename(found)[len("jupyter_book-") : -len(".dist-info")]
        if not version.startswith("1."):
            stop(
                "This book needs Jupyter Book 1 (README.md says why), and .venv has %s: remove .venv, and call make again."
                % version
            )


def main(parts, wanted=None):
    """Make sure that `.venv` is there, is this copy's, and has the packages of the book and of parts."""
    if not os.access(ROOT, os.W_OK):
        stop(
            "%s is read-only, and .venv, notebooks/ and _build/ are written there: copy it to a folder of your own."
            % ROOT
        )
    wait_for_others()
    made = stamp()
    why = outdated(made, wanted) if made else ""
    if why or not made:
        made = make_new(why)
    missing = [part for part in ["book"] + parts if part not in made["parts"]]
    if missing:
        install(made, missing)
    refuse_jupyter_book_2()


if __name__ == "__main__":
    # PYTHON_WANTED: make was told which Python, and the environment must have this one.
    try:
        main([part for part in sys.argv[1:] if part != "book"],
             "%d.%d" % sys.version_info[:2] if os.environ.get("PYTHON_WANTED") else None)  # fmt: skip
    except KeyboardInterrupt:
        sys.exit(130)
