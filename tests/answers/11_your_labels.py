"""Right and wrong answers to the exercises of chapter 11, as students write them."""

BOUNDS = "def least_and_most(D, R):\n"
FIRST = "def first_suspects(suspicion, wrong, count):\n"
WORLDS = "def worlds(easy, hard):\n"


def confident(mean, count):
    return (
        f"def threshold(probabilities, labels, j):\n{mean}\n\ndef off_diagonal(probabilities, labels, i, j):\n{count}\n"
    )


MEAN = "    return probabilities[labels == j, j].mean().item()"
COUNT = "    return int(((probabilities[:, j] >= threshold(probabilities, labels, j)) & (labels == i)).sum())"
SHARE = "found = suspects.share_wrong(judged.probabilities, given)\n"
TRUTH = "truth = (given != true).float().mean()\n"
HOLDS = "holds = found.low <= truth <= found.high\n"

RIGHT = {
    "ex-labels-disagree": {
        "max and min": BOUNDS + "    return max(0, D - R), min(1, D + R)",
        "a list": BOUNDS + "    return [max(D - R, 0.0), min(D + R, 1.0)]",
        "a tensor": BOUNDS + "    return torch.tensor([D - R, D + R]).clamp(0, 1)",
        "NumPy": "import numpy as np\n" + BOUNDS + "    return np.clip([D - R, D + R], 0, 1)",
        "cases": BOUNDS + "    low, high = D - R, D + R\n    if low < 0:\n        low = 0\n    if high > 1:\n"
        "        high = 1\n    return low, high",
        "fractions": "from fractions import Fraction\n" + BOUNDS
        + "    D, R = Fraction(D), Fraction(R)\n    return max(Fraction(0), D - R), min(Fraction(1), D + R)",
    },
    "ex-labels-precision": {
        "argsort": FIRST + "    found = wrong[suspicion.argsort(descending=True)[:count]].sum().item()\n"
        "    return found / count, found / wrong.sum().item()",
        "topk": FIRST + "    hits = wrong[suspicion.topk(count).indices].float()\n"
        "    return hits.mean(), hits.sum() / wrong.sum()",
        "sorted": FIRST + "    order = sorted(range(len(wrong)), key=lambda i: -suspicion[i])[:count]\n"
        "    found = sum(bool(wrong[i]) for i in order)\n    return [found / count, found / sum(wrong.tolist())]",
        "NumPy": "import numpy as np\n" + FIRST + "    order = np.argsort(-suspicion.numpy())[:count]\n"
        "    hits = wrong.numpy()[order]\n    return hits.mean(), hits.sum() / wrong.numpy().sum()",
        "a limit": FIRST + "    least = suspicion.sort(descending=True).values[count - 1]\n"
        "    found = (wrong & (suspicion >= least)).sum()\n"
        "    return torch.stack([found / count, found / wrong.sum()])",
        "zip": FIRST + "    pairs = sorted(zip(suspicion.tolist(), wrong.tolist()), reverse=True)\n"
        "    found = sum(bad for _, bad in pairs[:count])\n    return found / count, found / int(wrong.sum())",
    },
    "ex-labels-threshold": {
        "masks": confident(MEAN, COUNT),
        "a tensor": confident("    return probabilities[:, j][labels == j].mean()",
                              "    own = probabilities[labels == i, j]\n"
                              "    return (own >= threshold(probabilities, labels, j)).sum()"),
        "a loop": confident(
            "    own = [p[j].item() for p, y in zip(probabilities, labels) if y == j]\n    return sum(own) / len(own)",
            "    limit = threshold(probabilities, labels, j)\n"
            "    return sum(1 for p, y in zip(probabilities, labels) if y == i and p[j].item() >= limit - 1e-9)",
        ),
        "NumPy": "import numpy as np\n" + confident(
            "    return np.mean(probabilities.numpy()[labels.numpy() == j, j])",
            "    p, y = probabilities.numpy(), labels.numpy()\n"
            "    return np.sum((p[:, j] >= threshold(probabilities, labels, j)) & (y == i))",
        ),
        "a weighted mean": confident(
            "    own = (labels == j).double()\n"
            "    return (probabilities[:, j].double() * own).sum() / own.sum()", COUNT),
        "rows first": confident("    rows = (labels == j).nonzero()[:, 0]\n    return probabilities[rows, j].mean()",
                                "    rows = (labels == i).nonzero()[:, 0]\n"
                                "    return len([r for r in rows if probabilities[r, j] >= "
                                "threshold(probabilities, labels, j)])"),
    },
    "ex-labels-worlds": {
        "halves": WORLDS + "    return easy / 2, (easy + hard) / 2",
        "a list": WORLDS + "    return [0.5 * easy, 0.5 * easy + 0.5 * hard]",
        "a tensor": WORLDS + "    return torch.tensor([easy, easy + hard]) / 2",
        "NumPy": "import numpy as np\n" + WORLDS + "    return np.array([easy, easy + hard]) / 2",
        "counted": WORLDS + "    return 500 * easy / 1000, (500 * easy + 500 * hard) / 1000",
        "means": WORLDS + "    mean = lambda *both: sum(both) / 2\n    return mean(easy, 0), mean(easy, hard)",
    },
    "ex-labels-own": {
        "as asked": SHARE + "estimate = found.estimate\n" + TRUTH + HOLDS,
        "from the object": "found = judged.share_wrong\nestimate = found.estimate\n" + TRUTH + HOLDS,
        "counted": SHARE + "estimate = found.disagreeing / found.judged\n"
        "truth = int((given != true).sum()) / 1000\n" + HOLDS,
        "a number for holds": SHARE + "estimate = torch.tensor(found.estimate)\ntruth = hit.double().mean()\n"
        "holds = int(truth >= found.low and truth <= found.high)",
        "NumPy": "import numpy as np\n" + SHARE + "estimate = np.float64(found.estimate)\n"
        "truth = np.mean(given.numpy() != true.numpy())\nholds = np.bool_(found.low <= truth <= found.high)",
    },
}  # fmt: skip

WRONG = {
    "ex-labels-disagree": {
        "below nothing": (BOUNDS + "    return D - R, min(1, D + R)", {2}),
        "more than all": (BOUNDS + "    return max(0, D - R), D + R", {3}),
        "only a majority counts": (BOUNDS + "    return (D - R if D - R > 0.5 else 0), min(1, D + R)", {1}),
        "the disagreement alone": (BOUNDS + "    return D, D", {1, 2, 3}),
        "one end only": (BOUNDS + "    return max(0, D - R), D", {1, 2, 3}),
        "the most first": (BOUNDS + "    return min(1, D + R), max(0, D - R)", {1, 2, 3}),
    },
    "ex-labels-precision": {
        "of what could be found": (FIRST + "    found = wrong[suspicion.topk(count).indices].sum().item()\n"
                                   "    both = wrong.sum().item()\n"
                                   "    return found / min(count, both), found / both", {1}),
        "two at least": (FIRST + "    found = wrong[suspicion.argsort(descending=True)[:max(count, 2)]].sum().item()\n"
                         "    return found / count, found / wrong.sum().item()", {2}),
        "the first above a half": (FIRST + "    found = wrong[(suspicion > 0.5).nonzero()[:count, 0]].sum().item()\n"
                                   "    return found / count, found / wrong.sum().item()", {3}),
        "the other way round": (FIRST + "    found = wrong[suspicion.topk(count).indices].sum().item()\n"
                                "    return found / wrong.sum().item(), found / count", {1, 2, 3}),
        "the least suspicious": (FIRST + "    found = wrong[suspicion.argsort()[:count]].sum().item()\n"
                                 "    return found / count, found / wrong.sum().item()", {1, 2, 3}),
    },
    "ex-labels-threshold": {
        "the mean of all": (confident(
            "    return probabilities[:, j].mean().item()",
            "    limit = probabilities[labels == j, j].mean()\n"
            "    return int(((probabilities[:, j] >= limit) & (labels == i)).sum())"), {1}),
        "strictly above": (confident(MEAN, COUNT.replace(">=", ">")), {2}),
        "a half": (confident(MEAN, "    return int(((probabilities[:, j] >= 0.5) & (labels == i)).sum())"), {3}),
        "rows and columns": (confident(MEAN, "    i, j = j, i\n" + COUNT), {2, 3}),
        "whatever the label": (confident(MEAN, "    return int((probabilities[:, j] >= "
                                         "threshold(probabilities, labels, j)).sum())"), {2, 3}),
    },
    "ex-labels-worlds": {
        "at most a fifth": (WORLDS + "    return easy / 2, min(0.2, (easy + hard) / 2)", {1}),
        "at least a twentieth": (WORLDS + "    return max(0.05, easy / 2), (easy + hard) / 2", {2}),
        "at most a twentieth": (WORLDS + "    return min(0.05, easy / 2), (easy + hard) / 2", {3}),
        "shares of a half": (WORLDS + "    return easy, easy + hard", {1, 2, 3}),
        "the hard half alone": (WORLDS + "    return easy / 2, hard / 2", {1, 3}),
    },
    "ex-labels-own": {
        "all disagreement": (SHARE + "estimate = (judged.probabilities.argmax(dim=1) != given).double().mean()\n"
                             + TRUTH + HOLDS, {1}),
        "of the class alone": (SHARE + "estimate = found.estimate\ntruth = (given != true).float().mean()\n" + HOLDS
                               + "truth = hit.sum() / (true % 2 == SEED % 2).sum()", {2}),
        "the other answer": (SHARE + "estimate = found.estimate\n" + TRUTH
                             + "holds = not (found.low <= truth <= found.high)", {3}),
        "the upper end": (SHARE + "estimate = found.high\n" + TRUTH + HOLDS, {1}),
        "right ones": (SHARE + "estimate = found.estimate\n" + TRUTH + HOLDS + "truth = 1 - truth", {2}),
    },
}  # fmt: skip
