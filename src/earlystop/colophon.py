"""What the colophon says: the stored results, what depends on chance, the costs."""

from earlystop.figures import fig1, pictures
from earlystop.ledger import read_claims
from earlystop.page import say, table
from earlystop.runs.results import Result, counted, folder, load
from earlystop.runs.store import read_json


def stored() -> list[Result]:
    """The result files that the ledger's claims rest on, each once."""
    named = [claim.result for claim in read_claims().values() if claim.result]
    asked = dict.fromkeys((one["name"], tuple(one.get("levels", {}).items())) for one in named)
    found = [load(name, **dict(levels)) for name, levels in asked]
    return list({result.path: result for result in found}.values())


def titled(result: Result) -> str:
    """The name of a result, with its losses where it has a choice of them."""
    losses = " and ".join(loss.replace("_", " ") for loss in result["config"].get("losses", ()))
    return result["title"].split(":")[0] + (f", {losses}" if losses else "")


def results() -> None:
    """Show which files there are: whether their sizes are the paper's, where and when they were computed."""
    found = stored()
    rows = [
        [
            titled(one), "smaller" if one.unlike_paper() else "our own" if one.experiment.own else "the paper's",
            " and ".join(sorted({run["device"] for run in one["runs"]})), len({cell["seed"] for cell in one["cells"]}),
            one["finished"][:10].replace("-", "\N{NON-BREAKING HYPHEN}"), f"{one.minutes:,.1f}",
        ]
        for one in found
    ]  # fmt: skip
    header = ["result", "sizes", "computed on", "seeds", "finished", "minutes"]
    table(header, rows, "The stored results, with the minutes of all processes together.")
    for one in found:
        if one.unlike_paper():
            say(f"- *{titled(one)}* is {one.sizes}.")
    if stale := [f"{titled(one)} ({', '.join(one.stale)})" for one in found if one.stale]:
        say(f"**Stale**, for today's code gives other numbers: {'; '.join(stale)}.")
    else:
        say("None is stale: today's code gives the same fingerprint for each.")
    if any(one["experiment"] == "fig1" and fig1.shared_streams(one) for one in found):
        say(fig1.SHARED.format("these runs of Figure 1"))


def steadiness() -> None:
    """Say which findings of the pages' own runs depend on the rounding or on the seed."""
    record = read_json(folder() / "findings.json")

    def unsteady(kind: str) -> str:
        held = {name: (one[kind]["held"], one[kind]["runs"]) for name, one in sorted(record["findings"].items())}
        return ", ".join(f"{name} ({count} of {runs})" for name, (count, runs) in held.items() if 0 < count < runs)

    say(
        f"The pages have {counted(len(record['findings']), 'finding')} of their own, recorded on {record['device']} "
        f"at the scale {record['scale']}.\n\n"
        f"- Not always the same with another rounding: {unsteady('rounding') or 'none'}.\n"
        f"- Not always the same with other seeds: {unsteady('seeds') or 'none'}."
    )


def growth() -> None:
    """Draw how the cost grows."""
    pictures.growth(read_json(folder() / "growth.json")["series"])


def growth_credit() -> None:
    """Say where that was measured, and by which command."""
    measured = read_json(folder() / "growth.json")
    say(
        f"Measured on {measured['device']}, with {measured['threads of torch']} threads, torch "
        f"{measured['versions']['torch']}, on {measured['date']}:\n\n```text\n{measured['command']}\n```"
    )
