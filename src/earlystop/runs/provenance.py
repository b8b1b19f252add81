"""Where a result comes from: the code, the versions and the machine."""

import hashlib
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from earlystop.runs.machine import here
from earlystop.runs.sizes import scale_text

FOLDER = Path(__file__).parents[1]


def source_hash() -> str:
    """First 12 hexadecimal digits of a SHA-256 over the module's own source files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in FOLDER.rglob("*") if p.suffix in (".py", ".mplstyle")):
        digest.update(path.relative_to(FOLDER).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def commit() -> dict[str, Any]:
    """The commit of the code, whether it was changed since (`dirty`), the hash of the source, and
    how this is known. Commit and `dirty` are None for an installed package.
    """

    def ask(*words: str) -> str:
        git = ["git", "-C", str(FOLDER), *words]
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()

    found: dict[str, Any] = {"hash": None, "dirty": None, "source": source_hash()}
    try:
        ask("ls-files", "--error-unmatch", "__init__.py")  # not a repository around an environment
        found |= {"hash": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "."))}
        return found | {"how": "by git, when it was computed"}
    except (OSError, subprocess.CalledProcessError):
        return found | {"how": "an installed package, without its history"}


def now() -> str:
    """Date and time, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers depend on."""
    return {"Python": platform.python_version()} | {n: version(n) for n in ("torch", "numpy", "scikit-learn")}


def environment() -> list[tuple[str, str]]:
    """Scale, device, versions, date and source hash of this very process."""
    return [
        ("scale", scale_text()),
        ("device", here().words),
        ("threads of torch", str(torch.get_num_threads())),
        ("date", now()),
        ("source hash", source_hash()),
        *versions().items(),
        ("matplotlib", version("matplotlib")),
    ]
