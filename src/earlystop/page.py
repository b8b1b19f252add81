"""How a chapter speaks: computed sentences, tables, sliders; and what it needs of the machinery."""

import re
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import torch

from earlystop.runs import results
from earlystop.runs.machine import here
from earlystop.runs.progress import nobody_watches, progress
from earlystop.runs.provenance import environment
from earlystop.runs.results import Result, counted, credit, folder
from earlystop.runs.sizes import SCALES, Sized, current_scale, scale_text
from earlystop.runs.store import StoreError, read_json

__all__ = [
    "Result", "counted", "credit", "current_scale", "environment", "explore", "finding", "folder", "here", "learned",
    "load", "progress", "read_json", "say", "show_sizes", "table",
]  # fmt: skip


def explore(draw: Callable[..., None], **sliders: Any) -> None:
    """Draw with sliders in a live session: `ipywidgets.interact(draw, **sliders)`.

    Shows nothing where `TQDM_DISABLE` is set: on a built page no kernel would answer.
    """
    if not nobody_watches():
        from ipywidgets import interact

        interact(draw, **sliders)


def load(name: str, **levels: Any) -> Result:
    """The best stored result of a figure. Figures are imported by name: a page uses only those that it names."""
    import_module("earlystop.figures")
    return results.load(name, **levels)


def say(text: str) -> None:
    """Show Markdown: a sentence whose numbers were computed. Raises `ValueError` if it is empty."""
    if not text.strip():
        raise ValueError("there is nothing to say: the text is empty; call page.say only where there is one")
    from IPython.display import Markdown, display

    display(Markdown(text))


def finding(name: str, holds: Any, text: str, otherwise: str, value: Any = None, form: str = ".3g") -> None:
    """Say what a live run found: `text` if it `holds`, else `otherwise`; how it spread; where it differs.

    The spread over seeds, of the outcome and of `value`, is that of `findings.json` in the stored
    results, if it has this name at this scale. An outcome other than there is said, and marked in
    the metadata of the output, where the build counts it. It never raises: a page asserts no finding.
    """
    from IPython.display import Markdown, display

    outcome, record = bool(holds), _recorded(name)
    sentence = text if outcome else otherwise
    if not record:
        return say(sentence)
    spread = _spread(record, outcome, form)
    sentence = f"{sentence[:-1]}{spread}." if sentence.endswith(".") else sentence + spread
    differs = outcome != record["holds"]
    if differs:
        sentence += f" **On this machine it came out otherwise than on {record['device']}, where it was recorded.**"
    mark = {"finding": name, "differs": differs}
    display(Markdown(sentence), metadata={"earlystop": mark})


def learned(accuracies: Sequence[float], n_classes: int = 10) -> bool:
    """Whether a network was ever right twice as often as by guessing; below that nothing can be read off its run."""
    return any(one > 2 / n_classes for one in accuracies)


def _recorded(name: str) -> dict[str, Any] | None:
    """What `findings.json` has of a finding at this scale, with the device; None if it has nothing."""
    try:
        content = read_json(folder() / "findings.json")
    except StoreError:  # a notebook away from the book
        return None
    found = content["findings"].get(name) if content.get("scale") == scale_text() else None
    return found and found | {"device": content["device"]}


def _spread(record: dict[str, Any], outcome: bool, form: str) -> str:
    """How an outcome, and the value behind it, spread over seeds; over roundings if that decides."""
    seeds, rounding = record["seeds"], record["rounding"]
    same = [one["held"] if outcome else one["runs"] - one["held"] for one in (seeds, rounding)]
    count = f"over {seeds['runs']} seeds"
    if seeds["range"]:
        low, high = (format(end, form).replace("-", "−") for end in seeds["range"])
        count += f": {low} to {high}" if low != high else f": {low} in each"
    held = "" if same[0] == seeds["runs"] else f"; the sentence holds in {same[0] or 'none'} of the {seeds['runs']}"
    if not seeds["range"]:
        count, held = f"the sentence holds in {same[0] or 'none'} of {seeds['runs']} seeds", ""
    if same[1] not in (0, rounding["runs"]):
        held += f"; where only the rounding differs, it holds in {same[1]} of {rounding['runs']} runs"
    return f" ({count}{held})"


def table(header: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> None:
    """Show a table under its `caption`, numbers to the right; floats are printed with three significant digits.

    Raises `ValueError` if a column has no name, or a row not as many cells as there are columns.
    """
    if not all(name.strip() for name in header):
        raise ValueError(f"every column of a table needs a name, but they are {list(header)}")
    cells = [[_cell(value) for value in row] for row in rows]
    if wrong := [row for row in cells if len(row) != len(header)]:
        raise ValueError(f"a row of {len(wrong[0])} cells, where the header has {len(header)}: {wrong[0]}")
    columns = zip(*cells) if cells else [()] * len(header)
    marks = ["---:" if all(map(_like_number, column)) else "---" for column in columns]
    lines = ["| " + " | ".join(line) + " |" for line in (header, marks, *cells)]
    say("\n".join([f"Table: {caption}\n"] * bool(caption) + lines))


def _like_number(text: str) -> bool:
    """Whether a cell begins as a number does, and so stands at the right."""
    return bool(re.match(r"[≤≥<>]? ?[-−+±]?[\d.∞–]", text.strip("*")))


def show_sizes(config: type[Sized]) -> None:
    """Show every size of an experiment at each scale; in bold those in use, changes included."""
    current, used = current_scale(), vars(config.at())
    rows = [
        [
            size.doc + " (our choice)" * size.ours,
            *(f"**{_cell(used[key])}**" if name == current else value for name, value in size.at.items()),
        ]
        for key, size in config.fields().items()
    ]
    table(["size", *(f"**{name}**" if name == current else name for name in SCALES)], rows)


def _cell(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        value = value.item()
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:.3g}"
    if isinstance(value, tuple):
        return ", ".join(_cell(part).replace("_", " ") for part in value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value)
