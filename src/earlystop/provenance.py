"""Where a result comes from: the code, the versions and the machine."""

import hashlib
import os
import platform
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path


def source_hash() -> str:
    """First 12 hexadecimal digits of a SHA-256 over the module's own source files."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted(p for p in folder.iterdir() if p.suffix in (".py", ".mplstyle")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def environment() -> dict[str, str]:
    """Scale, device, versions, date and source hash of this very process."""
    import torch

    from earlystop.scale import device, scale_text

    gpu = torch.cuda.get_device_name() if device().type == "cuda" else ""
    return {
        "scale": scale_text(),
        "device": gpu or f"{device().type} ({platform.machine()}, {os.cpu_count()} cores)",
        "threads of torch": str(torch.get_num_threads()),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "source hash": source_hash(),
        "Python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy", "matplotlib", "scikit-learn")},
    }
