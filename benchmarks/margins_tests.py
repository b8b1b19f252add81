"""How near the numeric tests come to their tolerances on other processors.

    python benchmarks/margins_tests.py           # a table
    python benchmarks/margins_tests.py --save    # into benchmarks/margins-tests.txt, too

Runs them in every way of `WAYS` with this file as a plugin of pytest, which records the largest
share of its tolerance that a comparison uses. A share near 1 would be luck, 0.2 is a margin of five.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
NUMERIC = ["deep", "descent", "jacobian", "theory", "metrics", "network", "data", "gpu"]
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
OLD = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_CBWR": "COMPATIBLE"}
WAYS = {  # environment, and options of pytest
    "base": ({}, []),
    "avx2": (AVX2, []),
    "old cpu": (OLD, []),
    "2 threads": ({"OMP_NUM_THREADS": "2"}, []),
    **{f"n{seed}": ({}, [f"--perturb={seed}"]) for seed in (1, 2, 3)},  # one unit in the last place
}
LEAST = 0.001  # smaller shares are only counted
shares: dict[str, float] = defaultdict(float)
failed: list[str] = []
running = ""


# ------------------------------------------------------------------------ as a plugin of pytest


def note(difference, tolerance) -> None:
    """Keep the largest share of a tolerance that the running test uses."""
    share = np.asarray(difference, float) / np.maximum(np.asarray(tolerance, float), 1e-300)
    shares[running] = max(shares[running], float(share.max(initial=0)))


def recorded(compare, tolerances):
    """`compare` that notes its share; `tolerances` gives rtol and atol where none are named."""

    def compared(actual, expected, rtol=None, atol=None, **options):
        one, other = (
            np.asarray(x.detach().cpu().double() if torch.is_tensor(x) else x, float) for x in (actual, expected)
        )
        usual = tolerances(actual, expected)
        rtol, atol = (usual[i] if given is None else given for i, given in enumerate((rtol, atol)))
        if one.shape == other.shape:
            note(abs(one - other), atol + rtol * abs(other))
        return compare(actual, expected, rtol=rtol, atol=atol, **options)

    return compared


def pytest_sessionstart() -> None:
    """Record from here on; threads as `OMP_NUM_THREADS` says."""
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    default = torch.testing._comparison.default_tolerances
    torch.testing.assert_close = recorded(torch.testing.assert_close, default)
    np.testing.assert_allclose = recorded(np.testing.assert_allclose, lambda *_: (1e-7, 0))
    kind = type(pytest.approx(1.0))
    equal = kind.__eq__

    def recorded_equal(self, actual):
        if result := equal(self, actual):  # the unequal ones are meant to be
            note(abs(actual - self.expected), self.tolerance)
        return result

    kind.__eq__ = recorded_equal


def pytest_runtest_logstart(nodeid) -> None:
    """What runs now, without its parameters."""
    global running
    running = nodeid.split("[")[0].removeprefix("tests/")


def pytest_runtest_logreport(report) -> None:
    """Keep what fails."""
    if report.failed:
        failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    """Leave what was found for the command below."""
    Path(os.environ["EARLYSTOP_MARGINS"]).write_text(json.dumps({"shares": shares, "failed": failed}))


# ------------------------------------------------------------------------ as a command


def measured(way: str) -> dict:
    """Run the tests in a way: the largest share of each test, and what failed."""
    environment, options = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        own = {"EARLYSTOP_MARGINS": str(found), "OMP_NUM_THREADS": "1",
               "PYTHONPATH": os.pathsep.join([str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")])}  # fmt: skip
        files = [f"tests/test_{name}.py" for name in NUMERIC]
        subprocess.run([sys.executable, "-m", "pytest", "-p", "margins_tests", *files, *options],
                       cwd=ROOT, env=os.environ | own | environment, stdout=sys.stderr)  # fmt: skip
        return json.loads(found.read_text())


def table(found: dict[str, dict]) -> str:
    """Tests by the largest share of their tolerance in any way."""
    largest = {name: max((one["shares"].get(name, 0), way) for way, one in found.items())
               for name in found["base"]["shares"]}  # fmt: skip
    rows = sorted(((share, way, name) for name, (share, way) in largest.items() if share >= LEAST), reverse=True)
    lines = [
        "Share of its tolerance that a comparison of a test uses; a test's largest, over its parameters.",
        f"Ways: {', '.join(found)}. torch {torch.__version__}, numpy {np.__version__}.",
        f"{'base':>8} {'largest':>8}  {'in':10} test",
    ]
    lines += [f"{found['base']['shares'][name]:8.2g} {share:8.2g}  {way:10} {name}" for share, way, name in rows]
    lines += [f"{len(largest) - len(rows)} other tests with tolerances use less than {LEAST} of them in every way."]
    for way, one in found.items():
        lines += [f"FAILED in {way}: {name}" for name in one["failed"]]
    return "\n".join(lines)


def main() -> None:
    """Run all ways, or those asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=[*WAYS], help="base is always run")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    found = {way: measured(way) for way in dict.fromkeys(["base", *options.ways])}
    text = table(found)
    print(text)
    if options.save:
        (ROOT / "benchmarks" / "margins-tests.txt").write_text(text + "\n")


if __name__ == "__main__":
    main()
