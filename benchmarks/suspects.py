"""Our short confident learning against cleanlab's: the same probabilities, the same joint, suspects and ranking?

No clock. cleanlab is a requirement of this script alone (`benchmarks/requirements.txt`); the book does not import it.
"""

import argparse
import json

import torch
from torch.nn import functional as F

from earlystop.figures import suspects


def made(samples: int, classes: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Probabilities like those of a network that is mostly right, and labels of which a quarter is wrong."""
    draw = torch.Generator().manual_seed(seed)
    true = torch.randint(classes, (samples,), generator=draw)
    said = (2.5 * F.one_hot(true, classes) + torch.randn(samples, classes, generator=draw)).double().softmax(dim=1)
    other = (true + torch.randint(1, classes, (samples,), generator=draw)) % classes
    return said, torch.where(torch.rand(samples, generator=draw) < 0.25, other, true)


def compared(samples: int, classes: int, seed: int) -> dict[str, float]:
    """How far ours and cleanlab's are apart."""
    from cleanlab.count import compute_confident_joint
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    said, given = made(samples, classes, seed)
    p, y = said.numpy(), given.numpy()
    joint = suspects.confident_joint(said, given)
    theirs = torch.as_tensor(compute_confident_joint(y, p, calibrate=False)).double()
    theirs *= (torch.bincount(given) / theirs.sum(dim=1))[:, None]  # as ours is, without their rounding
    issues = torch.as_tensor(find_label_issues(y, p, filter_by="confident_learning", n_jobs=1))
    quality = {
        kind: torch.as_tensor(get_label_quality_scores(y, p, method=kind))
        for kind in ("normalized_margin", "self_confidence")
    }
    ours = suspects.confident_suspects(said, given)
    return {
        "joint, largest difference": (joint - theirs).abs().max().item(),
        "suspects of ours alone": int((ours & ~issues).sum()),
        "suspects of theirs alone": int((issues & ~ours).sum()),
        "suspects of both": int((issues & ours).sum()),
        "margin": (suspects.margin(said, given) - (1 - 2 * quality["normalized_margin"])).abs().max().item(),
        "self-confidence": (suspects.suspicion(said, given) - (1 - quality["self_confidence"])).abs().max().item(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=3000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--save", help="write the numbers as JSON")
    options = parser.parse_args()
    rows = [compared(options.samples, options.classes, seed) for seed in range(options.seeds)]
    for key in rows[0]:
        print(f"{key:28}", *(f"{row[key]:10.3g}" for row in rows))
    if options.save:
        with open(options.save, "w", encoding="utf8") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
