"""Where a result comes from: the code, the versions and the machine."""

import ast
import hashlib
import io
import platform
import tokenize
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

FOLDER = Path(__file__).parent
PRESENTATION = {"page", "plots", "figures", "provenance", "store"}  # change no number


def source_hash() -> str:
    """First 12 hexadecimal digits of a SHA-256 over the module's own source files."""
    digest = hashlib.sha256()
    for path in sorted(p for p in FOLDER.iterdir() if p.suffix in (".py", ".mplstyle")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def code_files(module: str) -> list[str]:
    """Names of the files that a module's numbers come from: itself and its imports of ours."""
    found, waiting = set(), [module]
    while waiting:
        name = waiting.pop()
        if name in found | PRESENTATION:
            continue
        found.add(name)
        for node in ast.walk(ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("earlystop."):
                waiting.append(node.module.removeprefix("earlystop."))
    return sorted(f"{name}.py" for name in found)


def code_hashes(module: str) -> dict[str, str]:
    """Hash of each file that a module's numbers come from."""
    return {name: _code_hash(FOLDER / name) for name in code_files(module)}


def _code_hash(path: Path) -> str:
    """Hash of the code alone: comments, docstrings and white space may change.

    So may the sizes of a configuration, `sizes(...)`: a result holds those that it was made with.
    """
    words, before, open_brackets = [], tokenize.NEWLINE, 0
    ends = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf8")).readline):
        if token.type in (tokenize.COMMENT, tokenize.NL):
            continue
        docstring = token.type == tokenize.STRING and before in ends
        if open_brackets or words[-2:] == ["=", "sizes"]:  # within a size's arguments
            open_brackets += (token.string == "(") - (token.string == ")")
            words += [] if open_brackets else ["()"]
        elif not docstring:
            words.append(f"<{token.type}>" if token.type in ends else token.string)
        before = token.type
    return hashlib.sha256("".join("".join(words).split()).encode()).hexdigest()[:12]


def hardware() -> str:
    """The device in words."""
    import torch
    from joblib import cpu_count  # those that this process may use

    from earlystop.scale import device

    kind = device().type
    if kind == "cuda":
        return torch.cuda.get_device_name()
    return f"{kind} ({platform.machine()}, {cpu_count()} cores)"


def now() -> str:
    """Date and time, UTC."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries that numbers depend on."""
    names = ("torch", "numpy", "scikit-learn")
    return {"Python": platform.python_version(), **{name: version(name) for name in names}}


def environment() -> dict[str, str]:
    """Scale, device, versions, date and source hash of this very process."""
    import torch

    from earlystop.scale import scale_text

    return {
        "scale": scale_text(),
        "device": hardware(),
        "threads of torch": str(torch.get_num_threads()),
        "date": now(),
        "source hash": source_hash(),
        **versions(),
        "matplotlib": version("matplotlib"),
    }
