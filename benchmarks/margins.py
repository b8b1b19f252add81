"""How near every assertion and finding of the pages comes to its threshold, and what flips.

Executes the pages' code under other roundings and with other seeds, one page and one way at a time.
An assertion does not stop: the values of each comparison in it are recorded. Sentences and tables
whose words change with a way, numbers left out, are reported. Finished runs are kept in
`_build/margins`, by the code that they ran: an interrupted command goes on where it was.

    python benchmarks/margins.py                            # all pages, the usual ways
    python benchmarks/margins.py 03 --ways base n1 n2       # chapter 3, three ways
    python benchmarks/margins.py --ways torch --python OTHER/bin/python
    python benchmarks/margins.py --save                     # findings.json and margins.txt, too
"""

import argparse
import ast
import copy
import inspect
import json
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
KEPT, TABLE = ROOT / "_build" / "margins", ROOT / "benchmarks" / "margins.txt"
RECORD = ROOT / "book" / "results" / "findings.json"
OLD_CPU = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
WAYS: dict[str, dict[str, Any]] = {  # what differs from `base`: one thread, this processor, our seeds
    "base": {},
    **{f"n{i}": {"noise": i} for i in (1, 2, 3)},
    "old cpu": {"environment": OLD_CPU},
    "avx2": {"environment": AVX2},
    "2 threads": {"environment": {"OMP_NUM_THREADS": "2"}},
    **{f"s{shift}": {"shift": shift} for shift in (100, 200, 300, 400, 500)},
    "torch": {},  # whatever another interpreter has, with --python
}
USUAL = [way for way in WAYS if way not in ("avx2", "2 threads", "torch")]
WITHOUT_NUMBERS = {  # of the package
    "__init__", "__main__", "page", "plots", "status", "start", "pictures", "draw", "progress", "provenance", "store",
    "fingerprint", "results", "sweep",
}  # fmt: skip
MEANING = {
    "noise": "initial weights times 1 + u·normal, u one unit in the last place; the number is its seed",
    "shift": "added to every seed",
}

# ----------------------------------------------------------------- what a page asserts and finds


def pages() -> dict[str, Path]:
    """Every page that may execute something: its short name, as in the names of findings, and its file."""
    executed = [p for p in sorted((ROOT / "book").glob("*.md")) if p.read_text("utf8").startswith("---\njupytext")]
    return {path.stem.split("_")[0]: path for path in executed}


def code_cells(path: Path) -> list[str]:
    """The code cells of a page, in order, but for checks of answers, whose table is run by tests with several seeds."""
    text = path.read_text(encoding="utf8")
    cells = re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```$", text, flags=re.M | re.S)
    cells = [cell for cell in cells if not re.match(r":tags: \[check\b", cell)]
    without_options = (re.sub(r"\A(---\n.*?^---\n|(:[^\n]*\n)+)", "", c, flags=re.M | re.S) for c in cells)
    return [cell.strip("\n") for cell in without_options]


class Named(ast.NodeVisitor):
    """Assertions by their text, a repeated one by its count, too; findings by their first argument."""

    def __init__(self, cells: list[str]):
        self.asserts: list[str] = []
        self.findings: list[str] = []  # regular expressions
        for self.source in cells:
            self.visit(ast.parse(self.source))

    def visit_Assert(self, node: ast.Assert) -> None:
        self.asserts.append(_name(self.source, node, self.asserts))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if "finding" in (getattr(node.func, "id", ""), getattr(node.func, "attr", "")):
            name = node.args[0]
            parts = name.values if isinstance(name, ast.JoinedStr) else [name]
            self.findings.append("".join(re.escape(p.value) if isinstance(p, ast.Constant) else ".*" for p in parts))
        self.generic_visit(node)


def _name(source: str, node: ast.Assert, known: list[str]) -> str:
    """The words of an assertion, with a number if there is the same already."""
    text = " ".join(ast.get_source_segment(source, node.test).split())
    same = sum(re.fullmatch(re.escape(text) + r"( \[\d+\])?", one) is not None for one in known)
    return f"{text} [{same + 1}]" if same else text


# --------------------------------------------------------------------- one page in one way


class Recorded(ast.NodeTransformer):
    """Assertions that record instead of stopping, and seeds of the page's own that are shifted."""

    def __init__(self, shift: int):
        self.shift, self.names, self.inside, self.source = shift, [], False, ""

    def tree(self, source: str) -> ast.AST:
        """The cell, transformed."""
        self.source = source
        return ast.fix_missing_locations(self.visit(ast.parse(source)))

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        self.names.append(_name(self.source, node, self.names))
        self.inside = True
        test = self.visit(copy.deepcopy(node.test))
        self.inside = False
        thunk = ast.Lambda(ast.arguments([], [], None, [], [], None, []), test)
        name = ast.Constant(self.names[-1])
        return ast.Expr(ast.Call(ast.Name("_assert", ast.Load()), [name, thunk], []))

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        ordered = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
        if not self.inside or not all(isinstance(op, ordered) for op in node.ops):
            return node
        signs = ast.Constant(" ".join(type(op).__name__ for op in node.ops))
        values = [node.left, *node.comparators]
        return ast.Call(ast.Name("_compare", ast.Load()), [signs, *values], [])

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        return node  # its comparisons are not the assertion's

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if getattr(node.func, "attr", "") == "manual_seed" and self.shift:
            node.args = [ast.BinOp(node.args[0], ast.Add(), ast.Constant(self.shift))]
        return node


class Watch:
    """What the assertions, findings, sentences and tables of a page were, in one run of it."""

    def __init__(self) -> None:
        self.asserts: dict[str, dict] = {}
        self.findings: dict[str, dict] = {}
        self.said: list[str] = []
        self.now: dict = {}

    def check(self, name: str, test: Any) -> None:
        """Evaluate the test of an assertion; the smallest margin over all its comparisons counts."""
        self.now = self.asserts.setdefault(name, {"holds": True})
        try:
            holds = bool(test())
        except Exception as error:
            holds, self.now["error"] = False, f"{type(error).__name__}: {error}"[:200]
        self.now["holds"] = self.now["holds"] and holds

    def compare(self, signs: str, *values: Any) -> Any:
        """The comparison itself; its smallest margin, relative to the larger side, is noted."""
        result = True
        for sign, left, right in zip(signs.split(), values, values[1:]):
            result = result and OPERATORS[sign](left, right)  # as Python does, one after another
            with_margin = margin(sign, left, right)
            if with_margin and with_margin["margin"] < self.now.get("margin", float("inf")):
                self.now.update(with_margin)
            if isinstance(result, bool) and not result:
                return False
        return result

    def find(self, name, holds, text, otherwise, value=None, form=".3g") -> None:
        """Stand in for `page.finding`."""
        value = getattr(value, "item", lambda: value)()
        self.findings[name] = {"holds": bool(holds), "value": value}

    def say(self, text: str) -> None:
        """Stand in for `page.say`: the words, without numbers."""
        self.said.append(re.sub(r"-?\d[\d,]*(\.\d+)?(e[-+]?\d+)?", "#", text))


OPERATORS = {
    "Lt": lambda a, b: a < b,
    "LtE": lambda a, b: a <= b,
    "Gt": lambda a, b: a > b,
    "GtE": lambda a, b: a >= b,
    "Eq": lambda a, b: a == b,
    "NotEq": lambda a, b: a != b,
}


def margin(sign: str, left: Any, right: Any) -> dict[str, float] | None:
    """Both sides where a comparison of numbers is tightest, and the margin relative to the larger.

    Negative where it fails; 0 where two are equal that should be. None if they are no numbers.
    """
    import torch

    try:
        a, b = (torch.as_tensor(side, dtype=torch.float64) for side in (left, right))
        a, b = torch.broadcast_tensors(a, b)
    except (TypeError, ValueError, RuntimeError):
        return None
    distance = {"Lt": b - a, "LtE": b - a, "Gt": a - b, "GtE": a - b}.get(sign)
    if distance is None:
        distance = (a - b).abs() * (-1 if sign == "Eq" else 1)
    largest = torch.maximum(a.abs(), b.abs())
    relative = torch.where(largest > 0, distance / largest.clamp(min=1e-300), distance)
    if not relative.numel():
        return None
    at = relative.nan_to_num(nan=-1.0).argmin()
    left, right, least = (one.flatten()[at].item() for one in (a, b, relative))
    return {"left": left, "right": right, "margin": least}


def perturb(noise: int, shift: int) -> None:
    """Perturb initial weights and shift seeds, before any module that uses them is imported."""
    from earlystop import streams

    stream = streams.random_stream
    streams.random_stream = lambda seed, purpose: stream(seed + shift, purpose)
    import torch

    from earlystop import architectures, network

    generator = torch.Generator().manual_seed(noise)

    def disturb(values: torch.Tensor) -> torch.Tensor:
        normal = torch.randn(values.shape, generator=generator, dtype=torch.float64)
        return values * (1 + torch.finfo(values.dtype).eps * normal).to(values.dtype)

    def weights(original, *args, paired=False, **options):
        found = original(*args, paired=paired, **options)
        if not noise:
            return found
        half = disturb(found[: len(found) // 2])
        return torch.cat([half, half if paired else disturb(found[len(half) :])])

    def model(original, *args, **options):
        net = original(*args, **options)
        with torch.no_grad():
            for parameter in net.parameters() if noise else ():
                parameter.copy_(disturb(parameter))
        return net

    seeded = architectures.seeded
    architectures.seeded = lambda seed: seeded(seed + shift)
    network.initial_weights = partial(weights, network.initial_weights)
    for name in ("conv_net", "resnet"):
        setattr(architectures, name, partial(model, getattr(architectures, name)))
    from earlystop.runs import fingerprint

    fingerprint.changed = lambda *_: []  # other seeds are other numbers: of no interest here


def run_page(cells: list[str], noise: int = 0, shift: int = 0) -> dict[str, Any]:
    """Execute the cells of a page in this process, and return all that was watched."""
    import matplotlib

    matplotlib.use("Agg")
    perturb(noise, shift)
    from matplotlib import pyplot

    from earlystop import page

    watch, transformer, stopped, start = Watch(), Recorded(shift), "", time.process_time()
    page.finding, page.say = watch.find, watch.say
    space = {"__name__": "__main__", "_assert": watch.check, "_compare": watch.compare}
    seconds = []
    for number, cell in enumerate(cells):
        began = time.process_time()
        try:
            exec(compile(transformer.tree(cell), f"cell {number}", "exec"), space)
        except Exception as error:
            stopped = f"cell {number}: {type(error).__name__}: {error}"
            break
        pyplot.close("all")
        seconds.append(time.process_time() - began)
    unseen = {"holds": True, "error": "not evaluated"}
    return {
        "asserts": {name: watch.asserts.get(name, unseen) for name in transformer.names},
        "findings": watch.findings,
        "said": watch.said,
        "stopped": stopped,
        "seconds": time.process_time() - start,  # of the processor: machines are busy
        "cells": seconds,
    }


def child() -> None:
    """Run the page that stands in the standard input, and write what was found as its last line."""
    task, out = json.load(sys.stdin), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the page prints goes elsewhere
    found = run_page(**task)
    import torch

    from earlystop.runs.machine import here
    from earlystop.runs.provenance import now, versions

    facts = {
        "device": here().words,
        "vector instructions": torch.backends.cpu.get_cpu_capability(),
        "versions": versions(),
        "date": now(),
    }
    out.write(json.dumps(found | facts))


# --------------------------------------------------------------------------- all of them


def numeric_code() -> str:
    """Identifies the files that can change a number."""
    from earlystop.runs.provenance import FOLDER
    from earlystop.runs.store import digest

    return digest([path.read_text("utf8") for path in sorted(FOLDER.rglob("*.py")) if path.stem not in WITHOUT_NUMBERS])


def kept_file(name: str, way: str, cells: list[str], python: str) -> Path:
    """Where the run of a page in one way is kept: a file of the code that it ran."""
    from earlystop.runs.store import digest

    place = python if python != sys.executable else ""
    measured_by = [inspect.getsource(one) for one in (Recorded, Watch, margin, perturb, run_page)]
    identity = digest([cells, WAYS[way], place, numeric_code(), measured_by])
    return KEPT / f"{name}-{way.replace(' ', '_')}-{identity}.json"


def run(name: str, way: str, cells: list[str], python: str) -> dict[str, Any]:
    """One page in one way, from `KEPT` if the same code ran before."""
    kept = kept_file(name, way, cells, python)
    if kept.exists():
        return json.loads(kept.read_text("utf8"))
    task = {"cells": cells} | {k: v for k, v in WAYS[way].items() if k != "environment"}
    environment = {"OMP_NUM_THREADS": "1"} | WAYS[way].get("environment", {})
    ours = {"PYTHONPATH": str(ROOT / "src"), "EARLYSTOP_SCALE": "quick", "EARLYSTOP_DEVICE": "cpu"}
    ours |= {"EARLYSTOP_PRECISION": "float32", "EARLYSTOP_RESULTS": "", "TQDM_DISABLE": "1"}
    done = subprocess.run(
        [python, __file__, "--child"],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        cwd=ROOT / "book",
        env=os.environ | ours | environment,
    )
    if done.returncode:
        raise SystemExit(f"{name}, {way}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout)
    print(f"{name}, {way}: {found['seconds']:.0f} s {found['stopped']}", flush=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(found), "utf8")
    return found


def run_all(cells: dict[str, list[str]], ways: list[str], python: str, jobs: int) -> dict[str, dict[str, dict]]:
    """All pages, by their code, in all ways: what was found, by page and way."""
    tasks = [(name, way) for name in cells if cells[name] for way in ways]
    with ThreadPoolExecutor(jobs) as pool:
        with_its_own = lambda way: python if way == "torch" else sys.executable
        found = pool.map(lambda task: run(*task, cells[task[0]], with_its_own(task[1])), tasks)
        by_page: dict[str, dict[str, dict]] = defaultdict(dict)
        for (name, way), one in zip(tasks, found):
            by_page[name][way] = one
    return by_page


def of_kind(ways: dict[str, dict], kind: str) -> list[dict]:
    """The runs that differ in `"rounding"`, or in `"seeds"`; `base` belongs to both."""
    return [one for way, one in ways.items() if way == "base" or ("shift" in WAYS[way]) == (kind == "seeds")]


def summary(runs: list[dict], name: str) -> dict[str, Any]:
    """How often a finding held in some runs, and the range of its value."""
    seen = [one["findings"][name] for one in runs if name in one["findings"]]
    values = [one["value"] for one in seen if isinstance(one["value"], (int, float))]
    return {
        "runs": len(seen),
        "held": sum(one["holds"] for one in seen),
        "range": [min(values), max(values)] if values else None,
    }


def margins_of(ways: dict[str, dict]) -> list[list[Any]]:
    """A line of the table for each assertion of a page."""
    lines = []
    for name in ways["base"]["asserts"]:
        seen = {way: one["asserts"][name] for way, one in ways.items() if name in one["asserts"]}
        failed = [way for way, one in seen.items() if not one["holds"]]
        least = {way: one["margin"] for way, one in seen.items() if "margin" in one}
        base = seen.get("base", {})
        sides = [f"{base[k]:.4g}" if "margin" in base else "" for k in ("left", "right")]
        kinds = [[m for way, m in least.items() if way == "base" or ("shift" in WAYS[way]) == seeds]
                 for seeds in (False, True)]  # fmt: skip
        spreads = [max(kind) - min(kind) if kind else 0.0 for kind in kinds]
        times = f"{base['margin'] / max(spreads):.1f}" if "margin" in base and max(spreads) > 0 else ""
        lows = [f"{min(kind) + 0.0:.3g}" if kind else "" for kind in kinds]
        verdict = f"FAILS in {', '.join(failed)}" if failed else base.get("error") or times or "never moves"
        lines.append([*sides, *lows, verdict, name])
    return lines


def tabled(page: str) -> list[str]:
    """The assertions of a page that stand in the kept table."""
    (block, *_) = re.findall(rf"^== {page}:.*?(?=^== |\Z)", TABLE.read_text("utf8"), flags=re.M | re.S) or [""]
    rows = block.splitlines()[1:]
    at = next((row.index("assertion") for row in rows if row.endswith("  assertion")), 0)
    marked = ("finding ", "words ", "STOPPED ")
    return [row[at:] for row in rows if row[:at].strip() and not row.strip().startswith(marked)][1:]


def flips(ways: dict[str, dict]) -> list[list[str]]:
    """Sentences and tables of a page whose words are not those of `base`: in which ways, and both."""
    base, lines = ways["base"]["said"], []
    for way, one in ways.items():
        if len(one["said"]) != len(base):
            lines.append([way, f"{len(base)} sentences and tables", str(len(one["said"]))])
        lines += [[way, *_where(a, b)] for a, b in zip(base, one["said"]) if a != b]
    return lines


def _where(one: str, other: str, around: int = 40) -> tuple[str, str]:
    """The parts of two texts that surround their first difference."""
    at = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    return tuple(" ".join(text[max(0, at - around) : at + around].split()) for text in (one, other))


def text_of(by_page: dict[str, dict[str, dict]], findings: dict[str, dict]) -> str:
    """The report: margins of assertions, findings, words that flip, pages that stopped."""
    parts = []
    for page, ways in by_page.items():
        base = ways["base"]
        head = f"== {page}: {', '.join(ways)} ({base['device']}, {base['vector instructions']}, {base['date']})"
        parts.append(head)
        parts += [f"   STOPPED in {way}, {one['stopped']}" for way, one in ways.items() if one["stopped"]]
        columns = ["left", "right", "roundings", "seeds", "margin/spread", "assertion"]
        parts += aligned([columns, *margins_of(ways)])
        for name, one in findings.items():
            if name.split("/")[0] == page:
                counts = [f"{kind} {one[kind]['held']}/{one[kind]['runs']} {one[kind]['range'] or ''}"
                          for kind in ("rounding", "seeds")]  # fmt: skip
                parts.append(f"   finding {name}: {'holds' if one['holds'] else 'does not hold'}; {'; '.join(counts)}")
        parts += [f"   words differ in {way}: {a!r} | {b!r}" for way, a, b in flips(ways)]
        parts.append("")
    return "\n".join(parts)


def aligned(lines: list[list[str]]) -> list[str]:
    """Columns as wide as needed, the last one as it is."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]) - 1)]
    return ["   " + "  ".join([*(v.ljust(w) for v, w in zip(line, widths)), line[-1]]) for line in lines]


def findings_of(by_page: dict[str, dict[str, dict]]) -> dict[str, dict]:
    """The record of each finding: its outcome here, and how it spread."""
    return {
        name: {"holds": one["holds"], **{k: summary(of_kind(ways, k), name) for k in ("rounding", "seeds")}}
        for ways in by_page.values()
        for name, one in ways["base"]["findings"].items()
    }


def save(by_page: dict[str, dict[str, dict]], cells: dict[str, list[str]], command: str) -> None:
    """Write the record, with the code that ran, and the table; pages that were not run keep what stands there."""
    from earlystop.runs.provenance import source_hash
    from earlystop.runs.store import SCHEMA, digest, read_json, write_json

    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    old = read_json(RECORD) if RECORD.exists() else {"pages": {}, "findings": {}}
    facts = {}
    for page, ways in by_page.items():
        base = {k: ways["base"][k] for k in ("device", "vector instructions", "versions", "date")}
        facts[page] = base | {
            "command": command,
            "commit": commit.stdout.strip(),
            "source hash": source_hash(),
            "cells": digest(cells[page]),
            "seconds": sum(one["seconds"] for one in ways.values()),
            "ways": {way: WAYS[way] | {"torch": one["versions"]["torch"]} for way, one in ways.items()},
        }
    others = {k: v for k, v in old["findings"].items() if k.split("/")[0] not in by_page}
    found = others | findings_of(by_page)
    every = dict(sorted((old["pages"] | facts).items()))
    content = {
        "schema": SCHEMA,
        "experiment": "findings",
        "scale": "quick",
        "device": " or ".join(sorted({page["device"] for page in every.values()})),
        "perturbations": MEANING,
        "pages": every,
        "findings": dict(sorted(found.items())),
    }
    write_json(RECORD, content)
    blocks = re.split(r"^(?=== )", TABLE.read_text("utf8") if TABLE.exists() else "", flags=re.M)
    kept = {re.match(r"== (\w+)", b)[1]: b for b in blocks[1:]}
    new = re.split(r"^(?=== )", text_of(by_page, found) + "\n", flags=re.M)
    kept |= {re.match(r"== (\w+)", b)[1]: b for b in new[1:]}
    TABLE.write_text(HEAD + "\n".join(kept[k].strip() + "\n" for k in sorted(kept)), "utf8")
    print(f"\n{RECORD}\n{TABLE}")


HEAD = """Margins of every assertion and finding of the pages, written by `python benchmarks/margins.py --save`.

left, right: the two sides of the tightest comparison in `base`. roundings, seeds: the smallest margin over the
ways of that kind, relative to the larger side, negative where it fails. margin/spread: the margin in `base`, in
units of the largest difference between two ways.

"""


def main() -> None:
    """Run, print, and with --save keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", help="such as 03 or index (default: all)")
    parser.add_argument("--ways", nargs="+", default=USUAL, choices=WAYS, metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--python", default=sys.executable, help="interpreter of the way `torch`")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--save", action="store_true", help="write findings.json and margins.txt")
    options = parser.parse_args()
    names = options.pages or list(pages())
    ways = list(dict.fromkeys(["base", *options.ways]))
    cells = {name: code_cells(path) for name, path in pages().items() if name in names}
    by_page = run_all(cells, ways, options.python, options.jobs)
    print(text_of(by_page, findings_of(by_page)))
    if options.save:
        save(by_page, cells, " ".join(["python", "benchmarks/margins.py", *sys.argv[1:]]))


if __name__ == "__main__":
    child() if sys.argv[1:] == ["--child"] else main()
