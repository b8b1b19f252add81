"""Draw result files."""
from pathlib import Path
def save(path: Path) -> Path:
    return path
