"""How long each chapter takes: measured here at `quick`, estimated for two GPUs beyond.

Seconds on an H100 are operations times measured rates: minibatch training and evaluation in
bfloat16 with torch 2.11, Figure 5 and the spectrum of Figure 4c from their runs at the paper's
size, one GPU, shared with other work; `h100.txt` has the measurements. Nothing was measured on
a T4. Its seconds are the larger of

- those of the H100, times the ratio of the memory bandwidths, and times two where the H100
  computes in bfloat16: the T4 has float32 only, twice the bytes;
- the counted operations at half of its peak in float32 (float64 for eigenvectors).

What a chapter does besides is counted by its seconds at `quick`. Compilation is not counted.
"""

import argparse
import json
import os
from collections import Counter
from pathlib import Path

import nbclient
import nbformat
from common import about, operations, print_about, print_table

from earlystop.architectures import conv_net, count_parameters, resnet
from earlystop.figures.fig1 import Figure1
from earlystop.figures.fig3 import Figure3
from earlystop.figures.fig4ab import Figure4ab
from earlystop.figures.fig4c import Figure4c
from earlystop.figures.fig5 import Figure5
from earlystop.figures.splits import passes
from earlystop.runs.sizes import SCALES, Sized
from earlystop.start import MINUTES

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
BANDWIDTH = {"H100": 3350e9, "T4": 320e9}  # bytes a second, by the data sheets
T4_FLOAT32, T4_FLOAT64 = 8.1e12, 0.25e12  # operations a second, by the data sheet
MACHINES = {"quick": "one CPU core", "small": "a T4 GPU", "large": "an H100 GPU"}
CONV, RESNET = operations(conv_net(), 1, 28, 28), operations(resnet(20), 3, 32, 32)
WEIGHTS = count_parameters(resnet(20))

# Kind of work: seconds of one unit on an H100, whether in bfloat16, operations of one unit.
KINDS = {
    "conv net, image trained on": (590e-6 / 128, True, 3 * CONV),
    "conv net, image evaluated": (0.74e-6, True, CONV),
    "ResNet, image trained on": (1.1e-3 / 128, True, 3 * RESNET),
    "ResNet, image evaluated": (2.7e-6, True, RESNET),
    "Figure 5, iteration": (55e-6, False, 6 * 400 * 1000 * 20),
    "J J^T, product": (2.5e-14, False, 1.0),  # a unit is an operation
    "J J^T, eigenvectors": (9e-13, False, T4_FLOAT32 / T4_FLOAT64),
}


def seconds(kind: str, gpu: str) -> float:
    """Seconds of one unit of a kind of work."""
    on_h100, halved, operations = KINDS[kind]
    if gpu == "H100":
        return on_h100
    by_memory = on_h100 * BANDWIDTH["H100"] / BANDWIDTH["T4"] * (2 if halved else 1)
    return max(by_memory, operations / (0.5 * T4_FLOAT32))


def training(network: str, config: Sized, runs: int) -> Counter:
    """Images trained on and evaluated in some runs of a configuration."""
    trained, evaluated = passes(config)
    return Counter({f"{network}, image trained on": runs * trained, f"{network}, image evaluated": runs * evaluated})


def work(chapter: str, scale: str) -> Counter:
    """Units of each kind of work in the experiments of a chapter; those at fixed sizes left out."""
    if chapter == "02_main_theorem":
        config = Figure5.at(scale)  # and two runs without wrong labels
        return Counter({"Figure 5, iteration": (config.seeds + 2) * config.iterations})
    if chapter == "03_overfitting":
        config = Figure3.at(scale)
        return training("conv net", config, len(config.corruption_rates) * config.seeds)
    if chapter == "04_mnist":
        config = Figure1.at(scale)  # and one run by hand
        return training("conv net", config, len(config.corruption_rates) * config.seeds + 1)
    if chapter == "05_cifar10":
        config = Figure4ab.at(scale)
        return training("ResNet", config, len(config.corruption_rates) * config.seeds)
    if chapter == "06_jacobian":
        config = Figure4c.at(scale)
        n, spectra = config.samples, 4  # before and after, and two in an exercise
        return Counter(
            {
                "ResNet, image trained on": config.epochs * n + spectra * n,
                "J J^T, product": spectra * n**2 * WEIGHTS,
                "J J^T, eigenvectors": spectra * 25 * n**3,
            }
        )
    return Counter()


def minutes(chapter: str, scale: str, gpu: str, rest: float) -> float:
    """Minutes of a chapter on a GPU, of which `rest` seconds are for all besides its experiment."""
    return (rest + sum(n * seconds(kind, gpu) for kind, n in work(chapter, scale).items())) / 60


def executed(path: Path) -> float:
    """CPU seconds of a notebook at `quick` with one thread.

    Not those of a clock, so that other work on the machine counts little.
    """
    notebook, before = nbformat.read(path, as_version=4), os.times()
    nbclient.execute(notebook, cwd=path.parent, timeout=1200, extra_arguments=["--log-level=40"])
    after = os.times()
    return sum(getattr(after, k) - getattr(before, k) for k in ("children_user", "children_system"))


def main() -> None:
    """Measure, estimate, print, and write the table that notebooks and pages show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, default=MINUTES, metavar="FILE",
                        help=f"(default: {MINUTES.name} of the package)")  # fmt: skip
    options = parser.parse_args()
    os.environ.update(EARLYSTOP_SCALE="quick", EARLYSTOP_DEVICE="cpu", OMP_NUM_THREADS="1", TQDM_DISABLE="1")
    facts, table = about() | {"threads of torch": 1}, {}
    print_about(facts)
    for path in sorted(path for path in NOTEBOOKS.glob("*.ipynb") if ".mine" not in path.name):
        rest = executed(path)
        print(f"{path.stem}: {rest:.0f} s")
        table[path.stem] = {"quick": {MACHINES["quick"]: rounded(rest / 60)}}
        for scale in SCALES[1:]:
            table[path.stem][scale] = {
                MACHINES[which]: rounded(minutes(path.stem, scale, gpu, rest))
                for which, gpu in (("small", "T4"), ("large", "H100"))
            }
    for scale in SCALES:
        machines = [*next(iter(table.values()))[scale]]
        rows = [[chapter, *one[scale].values()] for chapter, one in table.items()]
        print_table(f"minutes at {scale}", ["", *machines], rows)
    content = {
        "command": "python benchmarks/chapters.py",
        "quick measured on": facts,
        "machines": MACHINES,
        "minutes": table,
    }
    options.save.write_text(json.dumps(content, indent=1) + "\n", encoding="utf8")


def rounded(value: float) -> float:
    """Two significant digits."""
    return float(f"{value:.2g}")


if __name__ == "__main__":
    main()
