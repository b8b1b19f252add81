"""Right and wrong answers to the exercises of chapter 10, as students write them."""


def rates(b, a):
    return f"def rate_of_b(a, n_classes):\n    {b}\n\ndef rate_of_a(b, n_classes):\n    {a}\n"


TO_B, TO_A = "return a * (1 - 1 / n_classes)", "return b * n_classes / (n_classes - 1)"


def pulled(body, share="(pulls[is_wrong].sum() / pulls.sum()).item()"):
    return f"def pull(p, q):\n    {body}\n\npulls = pull(beliefs, 0.7)\nshare = {share}\n"


PULL = "return p**q * (1 - p)"


def target(after, needed):
    return f"def after(visits, beta):\n    {after}\n\ndef visits_needed(beta, share):\n    {needed}\n"


AFTER, NEEDED = "return 1 - beta**visits", "return math.ceil(math.log(1 - share) / math.log(beta))"


def known(kept, lost):
    return f"def kept_right(tau, rho):\n    {kept}\n\ndef lost_right(tau, rho):\n    {lost}\n"


KEPT, LOST = "return min(1.0, (1 - rho) / (1 - tau))", "return max(0.0, (tau - rho) / (1 - rho))"

RIGHT = {
    "ex-remedies-rates": {
        "formulas": rates(TO_B, TO_A),
        "a difference": rates("return a - a / n_classes", "return b / (1 - 1 / n_classes)"),
        "a tensor": rates("return torch.tensor(a * (n_classes - 1) / n_classes)", TO_A),
        "a sum over classes": rates("return sum(a / n_classes for _ in range(n_classes - 1))", TO_A),
        "the way back from the way there": rates(TO_B, "return b / rate_of_b(1, n_classes)"),
        "NumPy": "import numpy as np\n" + rates("return np.float64(a) * (1 - 1 / n_classes)", TO_A),
    },
    "ex-remedies-pull": {
        "a formula": pulled(PULL),
        "a difference": pulled("return p**q - p ** (q + 1)"),
        "by the weight": pulled("weight = p**q\n    return weight * (1 - p)"),
        "an exponential": pulled("p = torch.as_tensor(p)\n    return torch.exp(q * torch.log(p)) * (1 - p)"),
        "by multiplying": pulled(PULL, "(pulls * is_wrong).sum() / sum(pulls)"),
        "by the rest": pulled(PULL, "1 - pulls[~is_wrong].sum() / pulls.sum()"),
    },
    "ex-remedies-target": {
        "formulas": target(AFTER, NEEDED),
        "a loop": target("t = 0\n    for _ in range(visits):\n        t = beta * t + 1 - beta\n    return t", NEEDED),
        "a sum": target("return sum((1 - beta) * beta**i for i in range(visits))", NEEDED),
        "counting": target(AFTER, "m = 0\n    while after(m, beta) < share:\n        m += 1\n    return m"),
        "a tensor": target("return 1 - torch.tensor(beta) ** visits", NEEDED),
        "the next of all": target(AFTER, "return next(m for m in range(10**6) if 1 - beta**m >= share)"),
    },
    "ex-remedies-known": {
        "the smaller and the larger of two": known(KEPT, LOST),
        "cases": known("return (1 - rho) / (1 - tau) if tau < rho else 1",
                       "return (tau - rho) / (1 - rho) if tau > rho else 0"),
        "samples": known("kept = 1 - tau\n    return min(kept, 1 - rho) / kept",
                         "return 1 - min(1 - tau, 1 - rho) / (1 - rho)"),
        "a tensor": known("return torch.tensor((1 - rho) / (1 - tau)).clamp(max=1)", LOST),
        "NumPy": "import numpy as np\n" + known("return np.minimum(1, (1 - rho) / (1 - tau))",
                                                "return np.maximum(0, (tau - rho) / (1 - rho))"),
    },
}  # fmt: skip

WRONG = {
    "ex-remedies-rates": {
        "every label is wrong": (rates("return a", "return b"), {1, 2, 3}),
        "ten classes always": (rates("return 0.9 * a", TO_A), {3}),
        "the other direction": (rates(TO_B, "return b * (1 - 1 / n_classes)"), {2, 3}),
        "ten classes on the way back": (rates(TO_B, "return b / 0.9"), {3}),
        "three classes on the way back": (rates(TO_B, "return 1.5 * b"), {2}),
        "a division": (rates("return a / (1 - 1 / n_classes)", TO_A), {1, 3}),
        "percent for three classes at most": (rates("return a * (2 / 3 if n_classes == 3 else 1)", TO_A), {1}),
    },
    "ex-remedies-pull": {
        "cross-entropy": (pulled("return 1 - p"), {1, 2, 3}),
        "its own power less one": (pulled("return p ** (q - 1) * (1 - p)"), {1, 2, 3}),
        "of the right ones": (pulled(PULL, "(pulls[~is_wrong].sum() / pulls.sum()).item()"), {2}),
        "of means": (pulled(PULL, "(pulls[is_wrong].mean() / pulls.mean()).item()"), {2}),
        "the root always": (pulled("return p**0.5 * (1 - p)",
                                   "((beliefs**0.7 * (1 - beliefs))[is_wrong].sum()"
                                   " / (beliefs**0.7 * (1 - beliefs)).sum()).item()"), {3}),
        "a product": (pulled("return p * q * (1 - p)",
                             "((beliefs**0.7 * (1 - beliefs))[is_wrong].sum()"
                             " / (beliefs**0.7 * (1 - beliefs)).sum()).item()"), {1}),
    },
    "ex-remedies-target": {
        "what is missing": (target("return beta**visits", NEEDED), {1, 3}),
        "rounded down": (target(AFTER, "return math.floor(math.log(1 - share) / math.log(beta))"), {2}),
        "the share, not what is missing": (target(AFTER, "return math.ceil(math.log(share) / math.log(beta))"), {2, 3}),
        "one more": (target(AFTER, "return int(math.log(1 - share) / math.log(beta)) + 1"), {3}),
        "half always": (target("return 1 - 0.5**visits", NEEDED), {3}),
        "two visits": (target("return 1 - beta**3 if visits == 3 else 1 - beta", NEEDED), {1}),
    },
    "ex-remedies-known": {
        "above one": (known("return (1 - rho) / (1 - tau)", LOST), {3}),
        "below zero": (known(KEPT, "return (tau - rho) / (1 - rho)"), {4}),
        "what is right of all": (known("return 1 if tau > rho else 1 - rho", LOST), {1}),
        "lost of all": (known(KEPT, "return max(0.0, tau - rho)"), {2}),
    },
}  # fmt: skip
