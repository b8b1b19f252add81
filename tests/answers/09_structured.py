"""Right and wrong answers to the exercises of chapter 9, as students write them."""

SUM = "def least_error(wrong, given_error):\n"
LOST = "def lost_share(true, given, clusters):\n"
OWN = """
true, given, clusters = surveyed()
lost = lost_share(true, given, clusters)
wrong = (true != given).float().mean()
"""
COSINE = "def opposition(G, r, wrong):\n"


def vote(winner, count="(true[rows] != winner).sum().item()"):
    return (
        LOST + "    errors = 0\n    for one in clusters.unique():\n        rows = clusters == one\n"
        f"        winner = {winner}\n        errors += {count}\n    return errors / len(true)\n"
    )


def lose(one, many="wrong // to_lose(size)"):
    return f"def to_lose(size):\n    return {one}\n\ndef most_lost(wrong, size):\n    return {many}\n"


BINS = "given[rows].bincount().argmax()"
PARTS = "    a, b = r * ~wrong, r * wrong\n"
RIGHT = {
    "ex-structured-sum": {
        "a formula": SUM + "    return abs(wrong - given_error)",
        "the larger of two": SUM + "    return max(wrong - given_error, given_error - wrong)",
        "cases": SUM
        + "    if given_error < wrong:\n        return wrong - given_error\n    return given_error - wrong",
        "contradictions": SUM + "    a = min(wrong, given_error)\n    return wrong - a + given_error - a",
        "a tensor": SUM + "    return torch.tensor([float(wrong - given_error)]).abs()",
        "NumPy": "import numpy as np\n" + SUM + "    return np.abs(np.subtract(wrong, given_error))",
    },
    "ex-structured-lost": {
        "bins": vote(BINS) + OWN,
        "one-hot votes": vote("torch.nn.functional.one_hot(given[rows], 3).sum(0).argmax()") + OWN,
        "counted by hand": LOST + "    total = 0\n    for c in set(clusters.tolist()):\n"
        "        votes = [g for g, k in zip(given.tolist(), clusters.tolist()) if k == c]\n"
        "        best = max(sorted(set(votes)), key=votes.count)\n"
        "        total += sum(t != best for t, k in zip(true.tolist(), clusters.tolist()) if k == c)\n"
        "    return total / len(true)\n" + OWN,
        "NumPy": "import numpy as np\n" + LOST + "    t, g, k = (np.asarray(one) for one in (true, given, clusters))\n"
        "    answers = np.empty_like(t)\n    for c in np.unique(k):\n"
        "        answers[k == c] = np.bincount(g[k == c]).argmax()\n    return (answers != t).mean()\n" + OWN,
        "all answers first": LOST + "    answers = true.clone()\n    for c in clusters.unique():\n"
        "        answers[clusters == c] = given[clusters == c].bincount().argmax()\n"
        "    return (answers != true).double().mean()\n" + OWN,
        "the other way to count": vote(BINS) + "\ntrue, given, clusters = surveyed()\n"
        "lost = lost_share(true, given, clusters)\nwrong = 1 - (true == given).double().mean().item()\n",
    },
    "ex-structured-cosine": {
        "two vectors": COSINE + PARTS + "    return (a @ G @ b) / ((a @ G @ a) * (b @ G @ b)).sqrt()",
        "blocks of G": COSINE + "    x, y = r[~wrong], r[wrong]\n"
        "    inner = x @ G[~wrong][:, wrong] @ y\n"
        "    return inner / (x @ G[~wrong][:, ~wrong] @ x * (y @ G[wrong][:, wrong] @ y)) ** 0.5",
        "a product of all": COSINE + "    H = r[:, None] * G * r\n    s, t = wrong.float(), 1 - wrong.float()\n"
        "    return (t @ H @ s) / torch.sqrt((t @ H @ t) * (s @ H @ s))",
        "NumPy": "import numpy as np\n" + COSINE + "    G, r, w = G.numpy(), r.numpy(), wrong.numpy()\n"
        "    a, b = np.where(w, 0, r), np.where(w, r, 0)\n"
        "    return a @ G @ b / np.sqrt((a @ G @ a) * (b @ G @ b))",
        "einsum": COSINE + PARTS + "    q = lambda x, y: torch.einsum('i,ij,j->', x, G, y)\n"
        "    return q(a, b) / (q(a, a).sqrt() * q(b, b).sqrt())",
    },
    "ex-structured-lab": {
        "whole numbers": lose("size // 2 + 1"),
        "half and one": lose("int(size / 2) + 1"),
        "rounded up": "import math\n" + lose("math.ceil((size + 1) / 2)"),
        "a search": lose("next(m for m in range(size + 1) if m > size - m)"),
        "subtracting": "def to_lose(size):\n    return (size + 2) // 2\n\ndef most_lost(wrong, size):\n"
        "    clusters = 0\n    while wrong >= to_lose(size):\n        wrong -= to_lose(size)\n        clusters += 1\n"
        "    return clusters\n",
    },
}
WRONG = {
    "ex-structured-sum": {
        "the share of wrong labels": (SUM + "    return wrong", {2, 3, 4}),
        "never below zero": (SUM + "    return max(0, wrong - given_error)", {3}),
        "the error by given labels less": (SUM + "    return max(0, given_error - wrong)", {1, 4}),
        "the sum": (SUM + "    return wrong + given_error", {2, 3, 4}),
        "a product": (SUM + "    return wrong * (1 - given_error)", {2, 3, 4}),
        "zero at equality alone": (
            SUM + "    return 0 if wrong == given_error else max(wrong, given_error) - 0.125",
            {1},
        ),
        "only what is fitted": (
            SUM + "    return abs(wrong - given_error) * (given_error <= wrong) + "
            "(given_error - wrong) * 2 * (given_error > wrong)",
            {3},
        ),
        "right at both ends": (
            SUM + "    return {0.1: 0.1, 0.25: 0}.get(wrong, 0.375 if given_error > wrong else 0)",
            {4},
        ),
        "not at equality": (SUM + "    return abs(wrong - given_error) or 0.1", {2}),
    },
    "ex-structured-lost": {
        "wrong labels": (LOST + "    return (true != given).double().mean()\n" + OWN, {1, 2, 3}),
        "one vote for all": (LOST + "    return (true != given.bincount().argmax()).double().mean()\n" + OWN, {2, 3}),
        "ties to the largest": (vote("2 - given[rows].bincount(minlength=3).flip(0).argmax()") + OWN, {2}),
        "samples with a wrong label": (
            vote(BINS, "((true[rows] != winner) & (given[rows] != true[rows])).sum().item()") + OWN,
            {1, 3},
        ),
        "of 300 always": (vote(BINS).replace("len(true)", "300") + OWN, {1}),
        "lost for wrong": (vote(BINS) + OWN + "lost, wrong = lost, lost\n", {4}),
        "wrong for lost": (vote(BINS) + OWN + "lost, wrong = wrong, wrong\n", {3}),
        "clusters": (vote(BINS, "int((true[rows] != winner).any())") + OWN, {1, 3}),
        "kept": (vote(BINS, "(true[rows] == winner).sum().item()") + OWN, {1, 2, 3}),
    },
    "ex-structured-cosine": {
        "no lengths": (COSINE + PARTS + "    return a @ G @ b", {1, 3}),
        "residuals alone": (COSINE + PARTS + "    return (a @ b) / (a.norm() * b.norm())", {1, 3}),
        "no residuals": (
            COSINE + "    a, b = (~wrong).float(), wrong.float()\n"
            "    return (a @ G @ b) / ((a @ G @ a) * (b @ G @ b)).sqrt()",
            {1, 3},
        ),
        "the absolute value": (COSINE + PARTS + "    return abs(a @ G @ b) / ((a @ G @ a) * (b @ G @ b)).sqrt()", {1}),
        "never zero": (
            COSINE + PARTS + "    return ((a @ G @ b) / ((a @ G @ a) * (b @ G @ b)).sqrt()).item() or -1.0",
            {2},
        ),
        "always opposed": (COSINE + "    return -1.0", {2, 3}),
        "all against the wrong ones": (
            COSINE + "    a, b = r, r * wrong\n    return (a @ G @ b) / ((a @ G @ a) * (b @ G @ b)).sqrt()",
            {1, 2, 3},
        ),
        "signs of residuals": (
            COSINE + "    a, b = r.sign() * ~wrong, r.sign() * wrong\n"
            "    return (a @ G @ b) / ((a @ G @ a) * (b @ G @ b)).sqrt()",
            {3},
        ),
    },
    "ex-structured-lab": {
        "half": (lose("size // 2"), {1, 2, 3, 4}),
        "rounded half": (lose("-(-size // 2)"), {1, 3, 4}),
        "an odd size missed": (lose("size // 2 + 1 + size % 2", "wrong // (size // 2 + 1)"), {2}),
        "any is enough": (lose("size // 2 + 1", "max(1, wrong // to_lose(size))"), {4}),
        "half a cluster each": (lose("size // 2 + 1", "wrong // (size // 2)"), {3, 4}),
        "all of it": (lose("size"), {1, 2, 3}),
        "half, rounded up": (lose("-(-size // 2)", "wrong // (size // 2 + 1)"), {1}),
        "one at most": (lose("size // 2 + 1", "min(1, wrong // to_lose(size))"), {3}),
    },
}
