"""What the book's page of results says: the largest runs, what depends on chance, the costs."""

from earlystop import plots
from earlystop.figures import fig1, pictures
from earlystop.ledger import read_claims
from earlystop.page import say, table
from earlystop.runs.results import Result, counted, folder, load
from earlystop.runs.store import read_json


def stored() -> list[Result]:
    """The result files that the ledger's claims rest on, each once."""
    asked = [claim.result for claim in read_claims().values() if claim.result]
    found = [load(one["name"], **one.get("levels", {})) for one in asked]
    return list({result.path: result for result in found}.values())


def results() -> None:
    """Show which files there are: their scale, whether it is the paper's, where and when they were computed."""
    rows, found = [], stored()
    for result in found:
        losses = " and ".join(loss.replace("_", " ") for loss in result["config"].get("losses", ()))
        rows.append([
            result["title"].split(":")[0] + (f", {losses}" if losses else ""), result["scale"].split()[0],
            result.sizes.partition(":")[0], result.devices, len({cell["seed"] for cell in result["cells"]}),
            result["finished"][:10], f"{result.minutes:,.1f}", ", ".join(result.stale) or "no",
        ])  # fmt: skip
    table(
        ["result", "scale", "sizes", "computed on", "seeds", "when", "minutes", "stale"],
        rows,
        "The result files behind the claims of this book. Where sizes are not the paper's, their picture says how.",
    )
    if any(one["experiment"] == "fig1" and fig1.shared_streams(one) for one in found):
        say(fig1.SHARED.format("these runs of Figure 1"))


def steadiness() -> None:
    """Say which findings of the pages' own runs depend on the rounding or on the seed."""
    record = read_json(folder() / "findings.json")

    def unsteady(kind: str) -> str:
        held = {name: (one[kind]["held"], one[kind]["runs"]) for name, one in sorted(record["findings"].items())}
        return ", ".join(f"{name} ({count} of {runs})" for name, (count, runs) in held.items() if 0 < count < runs)

    say(
        f"What the pages' own runs find was recorded on {record['device']}, at the scale {record['scale']}: "
        f"{counted(len(record['findings']), 'finding')}. These do not always come out the same with another "
        f"rounding: {unsteady('rounding') or 'none'}. And these with other seeds: {unsteady('seeds') or 'none'}."
    )


def growth() -> None:
    """Draw how the cost grows."""
    plots.use_style()
    pictures.growth(read_json(folder() / "growth.json")["series"])


def growth_credit() -> None:
    """Say where that was measured, and by which command."""
    measured = read_json(folder() / "growth.json")
    say(
        f"Measured on {measured['device']}, with {measured['threads of torch']} threads, torch "
        f"{measured['versions']['torch']}, on {measured['date']}:\n\n```text\n{measured['command']}\n```"
    )
