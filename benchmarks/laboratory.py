"""How fast the laboratory is in a browser: its iterations, the frames of a page that trains, the bytes of its script.

python benchmarks/laboratory.py
"""

import gzip
import os
import statistics
import sys
from pathlib import Path
from typing import Any

import torch
from common import about, arguments, print_about, print_table, save, timed

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from labpage import BROWSERS, QUIET, engine_page, file_of, page_of, program_of  # noqa: E402

from earlystop import laboratory  # noqa: E402
from earlystop.lab import model, state  # noqa: E402

SIZES = {"n = 200, d = 20, k = 200": {"samples": 200, "dim": 20, "hidden_units": 200},
         "n = 400, d = 20, k = 1000": {"samples": 400, "dim": 20, "hidden_units": 1000}}  # fmt: skip
ENDLESS = {"iterations": 20_000}
# Milliseconds until the theory is known, and of an iteration after the fifth.
STEPS = """([config, seconds, worker]) => new Promise((done) => {
  const begin = performance.now(), seen = [];
  let known = 0;
  const told = (message) => {
    if (message.known) known = performance.now() - begin;
    for (const one of message.records ?? []) if (one.iteration >= 5) seen.push([one.iteration, performance.now()]);
  };
  if (worker) {
    const it = new Worker("lab.js");
    it.onmessage = ({ data }) => told(data);
    it.postMessage({ id: 1, config });
  } else {
    document.body.append("It computes only where it is seen.");
    new lab.Computer(document.body).run(config, told);
  }
  setTimeout(() => {
    const [first, from] = seen[0] ?? [0, 0], [last, to] = seen.at(-1) ?? [0, 0];
    done({ known, step: (to - from) / (last - first) });
  }, 1000 * seconds);
})"""
FRAMES = """(seconds) => new Promise((done) => {
  const gaps = [], tasks = [], begin = performance.now();
  new PerformanceObserver((list) => tasks.push(...list.getEntries().map((one) => one.duration)))
    .observe({ type: "longtask", buffered: true });
  let before;
  const frame = (now) => {
    if (before !== undefined) gaps.push(now - before);
    before = now;
    if (now - begin < 1000 * seconds) requestAnimationFrame(frame);
    else setTimeout(() => done({ gaps, tasks }), 100);
  };
  requestAnimationFrame(frame);
})"""


def steps(browser, config: dict[str, Any], repeats: int, seconds: float) -> dict[str, list[float]]:
    """Milliseconds of an iteration in a worker, between frames of a page and in Python, and of all before the first."""
    found: dict[str, list[float]] = {}
    for turn in range(repeats + 1):
        for way, address in (("worker", page_of("stop", {"samples": 4})), ("page", engine_page("stop"))):
            page = browser.new_page()
            page.goto(address)
            page.wait_for_timeout(500)
            answer = page.evaluate(STEPS, [config, seconds, way == "worker"])
            page.close()
            if turn:  # the first is a warm-up
                found.setdefault(way, []).append(answer["step"])
                found.setdefault("before", []).append(answer["known"])
        spent = 1000 * (timed(lambda: model.run(config, 110)) - timed(lambda: model.run(config, 10))) / 100
        if turn:
            found.setdefault("Python", []).append(spent)
    return found


def frames(browser, config: dict[str, Any], where: str, seconds: float) -> dict[str, Any]:
    """Gaps between frames, and long tasks from the loading of the page on, while the figure trains."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(page_of("stop", config) if where == "worker" else file_of("stop", config).as_uri())
    answer = page.evaluate(FRAMES, seconds)
    page.close()
    return answer


def summary(gaps: list[float], tasks: list[float]) -> list[float]:
    """How many frames, the gaps between them, and how many long tasks."""
    most = statistics.quantiles(gaps, n=20)[-1]
    return [len(gaps), statistics.median(gaps), most, max(gaps), len(tasks), max(tasks, default=0)]


def sizes() -> list[tuple[str, int, int]]:
    """Bytes of each part of what a page loads, as it is and packed."""
    engine, everything = laboratory.body("engine"), laboratory.classic()
    parts = {"engine": engine, "engine and views": everything, "styles": laboratory.styles()}
    return [(name, len(text.encode()), len(gzip.compress(text.encode()))) for name, text in parts.items()]


def main() -> None:
    """Print the tables."""
    parser = arguments("How fast the laboratory is in a browser.")
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement (default: 8)")
    options = parser.parse_args()
    program = program_of()
    if program is None:
        raise SystemExit(f"no browser found: this needs one of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    torch.set_num_threads(1)
    facts = about("playwright")
    print_about(facts)
    with sync_playwright() as session:
        browser = session.chromium.launch(executable_path=program, args=QUIET)
        print(f"Chromium {browser.version}, load of the machine {os.getloadavg()[0]:.1f} at the beginning")
        states = {name: state("stop", **size, **ENDLESS) for name, size in SIZES.items()}
        rows = {name: steps(browser, one, options.repeats, options.seconds) for name, one in states.items()}
        last = SIZES[list(SIZES)[-1]] | ENDLESS
        shown = {where: frames(browser, last, where, options.seconds) for where in ("worker", "page")}
    body = [[name, *(row[way] for way in ("worker", "page", "Python", "before"))] for name, row in rows.items()]
    print_table("milliseconds of an iteration",
                ["", "worker", "between frames", "Python, 1 thread", "before the first"], body)  # fmt: skip
    body = [[where, *summary(**one)] for where, one in shown.items()]
    print_table(f"frames while {list(SIZES)[-1]} trains, ms between two",
                ["", "frames", "median", "95 %", "longest", "tasks over 50 ms", "longest task"], body)  # fmt: skip
    print_table("bytes", ["", "as it is", "packed"], sizes())
    print(f"\nload of the machine {os.getloadavg()[0]:.1f} at the end")
    save(options.save, {"about": facts, "milliseconds": rows, "frames": shown, "bytes": sizes()})


if __name__ == "__main__":
    main()
