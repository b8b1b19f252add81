"""The first cell of a notebook, once the package is there: where it runs, how long, what is kept."""

import json
import os
from pathlib import Path
from typing import Any

MINUTES = Path(__file__).with_name("minutes.json")  # written by benchmarks/chapters.py
DRIVE = Path("/content/drive/MyDrive")  # a Google Drive, where Colab mounts it
LARGE_GPUS = ("H100", "H200", "B200")  # the others are judged as a T4


def chapter(name: str, version: str) -> None:
    """Print device, scale and expected time of a chapter, and where finished runs are kept.

    `version` is that of the notebook: a package of another one is named. A mounted Google Drive
    becomes `EARLYSTOP_RESULTS` unless that is set. Raises `ValueError` for a bad scale or device.
    """
    from earlystop import __version__
    from earlystop.runs.machine import here, results_folder
    from earlystop.runs.sizes import parse_scale, scale_text

    if version != __version__:
        print(
            f"This notebook is of version {version}, the installed package of {__version__}: "
            "open the chapter again from the book, or install that version and restart the kernel."
        )
    if DRIVE.is_dir():
        os.environ.setdefault("EARLYSTOP_RESULTS", str(DRIVE / "stopping-early"))
    machine, text = here(), scale_text()
    scale, changes = parse_scale(text)
    takes = expected(name, scale, machine.words if machine.device == "cuda" else "")
    print(f"{machine.words}, {machine.precision}, scale {text}: {takes}{', with other sizes' if changes else ''}.")
    print(keeping(results_folder()))


def expected(name: str, scale: str, gpu: str = "") -> str:
    """How long a chapter takes at a scale, on the machine of the table that is nearest."""
    machines, rows = times()["machines"], times()["minutes"].get(name)
    if rows is None:
        return "this chapter was not timed yet"
    size = "large" if any(known in gpu for known in LARGE_GPUS) else "small"
    machine = machines["quick" if scale == "quick" or not gpu else size]
    if machine not in rows[scale]:
        return "this scale is made for a GPU, and was not timed without one"
    return f"{duration(60 * rows[scale][machine])} on {machine} ({'measured' if scale == 'quick' else 'estimated'})"


def header(name: str) -> str:
    """What the page of a chapter says about GPUs, as HTML; empty where nothing was timed."""
    rows = times()["minutes"].get(name)
    if rows is None:
        return ""
    at = lambda scale, machine: f"{duration(60 * rows[scale][machine])} at <code>{scale}</code>"
    parts = [f"on {machine}: {at('colab', machine)}, {at('paper', machine)}" for machine in rows["colab"]]
    return f"Estimated {'; '.join(parts)}."


def keeping(folder: Path | None) -> str:
    """What becomes of finished runs, which go into `folder`, in one line."""
    if folder:
        return f"Finished runs are kept in {folder}: run the notebook again, and it goes on from there."
    if DRIVE.parents[1].is_dir():
        return (
            "A disconnect loses what has run. To keep it, mount a drive and run this cell again: "
            "from google.colab import drive; drive.mount('/content/drive')"
        )
    return "To keep finished runs, set EARLYSTOP_RESULTS to a folder before this cell."


def times() -> dict[str, Any]:
    """The table of minutes, by chapter, scale and machine."""
    return json.loads(MINUTES.read_text(encoding="utf8"))


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use, not more exactly than they are known."""
    for size, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 1.5 * size:
            return f"about {seconds / size:.0f} {unit}"
    return f"about {seconds:.0f} seconds"
