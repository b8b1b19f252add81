"""What a fingerprint notices: mutations of numeric code must change it, refactorings must not.

Each change is made in a copy of the package, whose fingerprints are compared with those of the
code as it is. `python benchmarks/mutations.py --save benchmarks/mutations.txt` takes a few minutes.
"""

import argparse
import shutil
import sys
import tempfile
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path

import sklearn.datasets  # noqa: F401, once for all processes
import torch._dynamo  # noqa: F401

from earlystop.figures import EXPERIMENTS
from earlystop.runs.fingerprint import differences

SOURCE = Path(__file__).resolve().parents[1] / "src"

# What changes, the file, the text, and what stands there instead.
MUTATIONS = [
    ("least squares, a factor", "training", "return 0.5 * (outputs", "return 0.51 * (outputs"),
    ("cross-entropy, a temperature", "training", "-outputs.log_softmax", "-(1.2 * outputs).log_softmax"),
    ("Adadelta's step", "figures/splits", "step_size=1.0, **more", "step_size=0.9, **more"),
    ("Adam's step", "training", "Adam(weights, lr=step_size", "Adam(weights, lr=1.1 * step_size"),
    ("Adam's ε", "training", "Adam(weights, lr=step_size,", "Adam(weights, lr=step_size, eps=1e-4,"),
    (
        "Adam's second decay rate",
        "training",
        "Adam(weights, lr=step_size,",
        "Adam(weights, lr=step_size, betas=(0.9, 0.99),",
    ),
    ("momentum", "training", "momentum=0.9", "momentum=0.8"),
    ("Nesterov", "training", ", nesterov=True", ""),
    (
        "labels drawn again, a tenth fewer",
        "data",
        "round(corruption_rate * len(labels))",
        "round(0.9 * corruption_rate * len(labels))",
    ),
    (
        "labels drawn from another stream",
        "data",
        "generator, count = random_stream(seed, stream)",
        "generator, count = random_stream(seed + 1, stream)",
    ),
    (
        "validation labels by the training labels' stream",
        "figures/splits",
        '(seed + 1, "corruption")',
        '(seed, "corruption")',
    ),
    (
        "validation labels by a stream they share",
        "figures/splits",
        '(seed, "corruption of validation labels")',
        '(seed, "corruption")',
    ),
    ("another split of the test images", "figures/splits", "seed=seed if own else 0", "seed=seed"),
    ("normalization", "training", "- mean) / std", "- mean) / (std + 0.01)"),
    (
        "normalized by another set",
        "figures/splits",
        "[getattr(s, part) for s in self.splits], [s.train for s in self.splits]",
        "[getattr(s, part) for s in self.splits], [s.test for s in self.splits]",
    ),
    (
        "convolutions padded",
        "architectures",
        "nn.Conv2d(first, second, 3),",
        "nn.Conv2d(first, second, 3, 1, 1), nn.Conv2d(second, second, 3),",
    ),
    ("no shortcut", "architectures", "self.conv2(x)) + shortcut", "self.conv2(x)) + 0 * shortcut"),
    ("initial weights by inputs", "architectures", 'mode="fan_out"', 'mode="fan_in"'),
    ("blocks beyond the first of a stage", "architectures", "for _ in range(blocks - 1)", "for _ in range(0)"),
    ("no calibration", "figures/fig4c", "calibrate(model, inputs, machine.calibrated)", "model.eval()"),
    ("calibration forgets early batches", "training", "m.momentum = len(part) / seen", "m.momentum = 0.5"),
    (
        "Jacobian, rows beyond those held",
        "jacobian",
        "= _exact_product(tile, known)",
        "= _exact_product(tile, known) * (1 if inside else 0.9)",
    ),
    ("Jacobian of another output", "figures/fig4c", "lambda out: out[1] - out[0]", "lambda out: out[1]"),
    ("singular values not rooted", "figures/fig4c", ".clamp(min=0).sqrt().flip(0)", ".clamp(min=0).flip(0)"),
    ("seeds of the weights", "architectures", "manual_seed(seed)", "manual_seed(seed + 1)"),
    ("the order of batches", "training", '"batches of epoch', '"orders of epoch'),
    (
        "stacked step, sum for mean",
        "training",
        "labels).mean(dim=1)\n        values.sum()",
        "labels).sum(dim=1)\n        values.sum()",
    ),
    (
        "side by side, sum for mean",
        "training",
        "self.loss(outputs.float(), y).mean()",
        "self.loss(outputs.float(), y).sum()",
    ),
    ("no bfloat16", "runs/machine", 'enabled=self.precision == "bfloat16"', "enabled=False"),
    (
        "no bfloat16 in training side by side",
        "training",
        "                with self.stack.machine.autocast():\n",
        "                if True:\n",
    ),
    ("float16 for bfloat16", "runs/machine", "dtype=torch.bfloat16, enabled", "dtype=torch.float16, enabled"),
    ("evaluated as in training", "training", "    stack.model.eval()\n", "    stack.model.train()\n"),
    ("when it is measured", "runs/machine", "epoch % self.then_every == 0", "epoch % self.then_every == 1"),
    (
        "distance over all weights",
        "training",
        "moved.norm(dim=0) / size.norm(dim=0)",
        "moved.sum(dim=0) / size.sum(dim=0)",
    ),
    (
        "distance, biases counted",
        "training",
        'torch.where(size > 0, moved / size, float("nan"))',
        "moved / size.clamp(min=1)",
    ),
    ("a gradient step of Figure 5", "descent", "current -= step_size * step", "current -= 1.01 * step_size * step"),
    ("output weights of one sign", "network", "v[hidden_units // 2 :] *= -1", "v[hidden_units // 2 :] *= -1.01"),
    (
        "the inputs of Figure 5",
        "data",
        "return centers + radius * direction",
        "return centers + 1.01 * radius * direction",
    ),
    ("the cap of Definition 1.1", "data", "1 / (dim - 1)", "1 / dim"),
    (
        "midpoints between classes",
        "data",
        "midpoints = (classes[1:] + classes[:-1]) / 2",
        "midpoints = (classes[1:] + classes[:-1]) / 2.5",
    ),
    ("ties of AUROC", "metrics", "(below + up_to).double() / 2", "(below + up_to).double() / 2.1"),
    ("bins of the overlap", "metrics", "bins: int = 50", "bins: int = 40"),
    ("when to stop by agreement", "figures/fig4ab", "share = 1 - 0.9 * corruption_rate", "share = 1 - corruption_rate"),
    (
        "the early iteration",
        "figures/fig5",
        "return min(self.early, self.iterations), ",
        "return min(self.early + 1, self.iterations), ",
    ),
]
REFACTORINGS = [
    (
        "least squares by torch",
        "training",
        "0.5 * (outputs - F.one_hot(labels, outputs.shape[-1])).square().sum(dim=-1)",
        'F.mse_loss(outputs, F.one_hot(labels, outputs.shape[-1]).to(outputs), reduction="none").sum(dim=-1) / 2',
    ),
    (
        "cross-entropy by torch",
        "training",
        "-outputs.log_softmax(dim=-1).gather(-1, labels[..., None])[..., 0]",
        'F.cross_entropy(outputs.flatten(0, -2), labels.flatten(), reduction="none").view(labels.shape)',
    ),
    (
        "norms by another function",
        "training",
        "moved.norm(dim=0) / size.norm(dim=0)",
        "(moved.square().sum(dim=0) / size.square().sum(dim=0)).sqrt()",
    ),
    (
        "labels drawn again by a mask",
        "data",
        "noisy[chosen], corrupted[chosen] = classes[drawn], True",
        "noisy, corrupted[chosen] = noisy.scatter(0, chosen, classes[drawn]), True",
    ),
    (
        "other evaluation batches",
        "training",
        "stack.machine.evaluated\n    for",
        "2 * stack.machine.evaluated + 1\n    for",
    ),
    (
        "normalization in another order",
        "training",
        "(pixels.float() / 255 - mean) / std",
        "pixels.float() / (255 * std) - mean / std",
    ),
    (
        "the shortcut added first",
        "architectures",
        "F.relu(self.norm2(self.conv2(x)) + shortcut)",
        "F.relu(shortcut + self.norm2(self.conv2(x)))",
    ),
    (
        "another size of tiles",
        "jacobian",
        "tiles = [",
        "tile_rows = max(1, tile_rows // 3)\n    spare = spare[:tile_rows]\n    tiles = [",
    ),
    (
        "J Jᵀ by singular values of J's products",
        "jacobian",
        "return left @ right.T",
        'return torch.einsum("mp,np->mn", left, right)',
    ),
    ("a step of Figure 5 in another order", "descent", ".mul_(v)\n", " * v\n"),
    (
        "comments and names",
        "training",
        "def stacked(self, inputs, labels)",
        "# A remark.\n    def stacked(self, inputs, labels)",
    ),
]


def taken(source: Path, answer: Connection) -> None:
    """In a process of its own: send the fingerprints of the package in a folder, or its error."""
    for name in [name for name in sys.modules if name.split(".")[0] == "earlystop"]:
        del sys.modules[name]
    sys.path.insert(0, str(source))
    try:
        from earlystop.figures import EXPERIMENTS, __file__
        from earlystop.runs.fingerprint import fingerprint

        assert __file__.startswith(str(source))
        answer.send({name: fingerprint(one) for name, one in EXPERIMENTS.items()})
    except Exception as error:  # whatever a mutation leads to
        answer.send(f"{type(error).__name__}: {str(error).splitlines()[0]}")


def numbers(source: Path) -> dict | str:
    """The fingerprints of the package in a folder, or its error in a line."""
    here, there = Pipe(duplex=False)
    process = get_context("fork").Process(target=taken, args=(source, there))  # torch is loaded once
    process.start()
    found = here.recv()
    process.join()
    return found


def noticed(base: dict, module: str, old: str, new: str) -> str:
    """The first number that a change moves; empty if none does."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(SOURCE, folder, dirs_exist_ok=True)
        path = Path(folder) / "earlystop" / f"{module}.py"
        text = path.read_text(encoding="utf8")
        if text.count(old) == 0:
            raise SystemExit(f"{module}.py has no {old!r} any more: write this change anew")
        path.write_text(text.replace(old, new), encoding="utf8")
        found = numbers(Path(folder))
    if isinstance(found, str):
        return f"fails: {found[:70]}"
    return next((told for name in EXPERIMENTS for told in differences(name, base[name], found[name])), "")


def main() -> int:
    """Print and save the table; 1 if a mutation is not noticed or a refactoring is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the table")
    parser.add_argument("--only", default="", metavar="WORDS", help="changes with these words")
    options = parser.parse_args()
    base = numbers(SOURCE)
    if isinstance(base, str):
        raise SystemExit(base)
    lines, wrong = [], 0
    for title, changes, silent in (("mutations", MUTATIONS, False), ("refactorings", REFACTORINGS, True)):
        lines.append(f"{title}: what moved first")
        for name, *change in changes:
            if options.only in name:
                told = noticed(base, *change)
                wrong += bool(told) == silent
                lines.append(f"  {name:50} {told or 'nothing'}{'' if bool(told) != silent else '   <- wrong'}")
                print(lines[-1], flush=True)
    if options.save:
        options.save.write_text("\n".join(["$ python benchmarks/mutations.py", *lines]) + "\n", encoding="utf8")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
