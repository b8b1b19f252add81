"""Right and wrong answers to the exercises of chapter 7, as students write them."""

SHARE = "def fitted_share(s, lam, eta, tau):\n"
RATE = SHARE + "    rate = s**2 + lam**2\n"


def match(strength, gap, widest):
    return (
        f"def matching_strength(eta, tau):\n    {strength}\n\ndef gap(x):\n    {gap}\n\nwidest = {widest}\n"
    )  # fmt: skip


STRENGTH, GAP = "return 1 / math.sqrt(eta * tau)", "return 1 / (1 + x) - math.exp(-x)"


OWN = "s = torch.linalg.svdvals(own_rows()[0])\n"
FILTERS = OWN + "lowest, highest = filters.strength_window(truth=float(s[3]), noise=float(s[4]))\n"


def ridge(body, window=FILTERS):
    return f"def errors(lam):\n    J, y, true = own_rows()\n{body}\n{window}"


SOLVED = (
    "    K = J @ J.T\n    f = K @ torch.linalg.solve(K + lam**2 * torch.eye(len(K)).double(), y)\n"
    "    return int((f * true <= 0).sum())\n"
)
RIGHT = {
    "ex-filters-share": {
        "a formula": RATE + "    return s**2 / rate * (1 - (1 - eta * rate) ** tau)",
        "what is left": RATE + "    left = (1 - eta * rate) ** tau\n    return (1 - left) / (1 + (lam / s) ** 2)",
        "a sum of steps": RATE + "    return sum(eta * s**2 * (1 - eta * rate) ** t for t in range(tau))",
        "a loop after all": SHARE + "    w = b = 0\n    for _ in range(tau):\n        q = s * w + lam * b - 1\n"
        "        w, b = w - eta * s * q, b - eta * lam * q\n    return s * w",
        "a tensor": RATE + "    return s**2 / rate * (1 - torch.tensor(1.0 - eta * rate) ** tau)",
        "the package": SHARE + "    return filters.auxiliary_filter([s], lam, eta, tau)",
        "NumPy": "import numpy as np\n" + RATE
        + "    return np.divide(s**2, rate) * (1 - np.power(1 - eta * rate, tau))",
    },
    "ex-filters-match": {
        "formulas": match(STRENGTH, GAP, 2.51),
        "powers": match("return (eta * tau) ** -0.5", "return (1 - math.exp(-x)) - x / (1 + x)", "2.5128"),
        "the package": match(
            "return 1 / (eta * tau) ** 0.5",
            "return 1 - math.exp(-x) - float(filters.ridge_filter([math.sqrt(x)], 1.0))",
            "max([i / 50 for i in range(1, 400)], key=gap)",
        ),
        "tensors": match(
            "return torch.tensor(eta * tau).rsqrt()",
            "return 1 / (1 + torch.tensor(x)) - torch.exp(-torch.tensor(x))",
            "torch.tensor(2.5)",
        ),
        "bisection": match(STRENGTH, GAP, "2\nlow, high = 1, 5\nfor _ in range(30):\n    middle = (low + high) / 2\n"
                           "    low, high = (middle, high) if math.exp(middle) < (1 + middle) ** 2 else (low, middle)\n"
                           "widest = low"),
        "NumPy": "import numpy as np\n" + match(
            "return np.sqrt(1 / (eta * tau))", "return 1 / (1 + x) - np.exp(-x)", "np.float64(2.51)"
        ),
    },
    "ex-filters-window": {
        "a formula": ridge(SOLVED),
        "by the weights": ridge(
            "    A = J @ J.T + lam**2 * torch.eye(80).double()\n    w = J.T @ torch.linalg.solve(A, y)\n"
            "    return ((J @ w).sign() != true).sum()\n", OWN + "lowest, highest = 3 * s[4], s[3] / 3\n",
        ),
        "by singular vectors": ridge(
            "    U, s, _ = torch.linalg.svd(J, full_matrices=False)\n    f = U @ (s**2 / (s**2 + lam**2) * (U.T @ y))\n"
            "    return (f * true <= 0).sum()\n", OWN + "lowest = math.sqrt(9 * s[4] ** 2)\nhighest = [s[3] / 3]\n",
        ),
        "the package's filter": ridge(
            "    U, s, _ = torch.linalg.svd(J, full_matrices=False)\n"
            "    f = U @ (filters.ridge_filter(s, lam) * (U.T @ y))\n    return int((f * true <= 0).sum())\n",
            "every = [i / 1000 for i in range(1, 4000)]\n" + OWN
            + "shares = [filters.ridge_filter(s, one) for one in every]\n"
            "lowest = min(one for one, share in zip(every, shares) if share[4] <= 0.1)\n"
            "highest = max(one for one, share in zip(every, shares) if share[3] >= 0.9)\n",
        ),
        "a loop": ridge(
            "    K = J @ J.T\n    f = K @ torch.linalg.inv(K + lam**2 * torch.eye(80).double()) @ y\n    wrong = 0\n"
            "    for one, label in zip(f, true):\n        wrong += int(one * label <= 0)\n    return wrong\n",
            OWN + "lowest, highest = round(3 * s[4].item(), 2), round(s[3].item() / 3, 2)\n",
        ),
        "NumPy": "import numpy as np\n" + ridge(
            "    K = (J @ J.T).numpy()\n    f = K @ np.linalg.solve(K + lam**2 * np.eye(len(K)), y.numpy())\n"
            "    return np.count_nonzero(np.sign(f) != true.numpy())\n",
            "s = np.sqrt(np.linalg.eigvalsh((own_rows()[0] @ own_rows()[0].T).numpy())[::-1])\n"
            "lowest, highest = 3 * s[4], s[3] / 3\n",
        ),
    },
}  # fmt: skip

WRONG = {
    "ex-filters-share": {
        "stopping alone": (SHARE + "    return 1 - (1 - eta * s**2) ** tau", {2, 3}),
        "ridge alone": (SHARE + "    return s**2 / (s**2 + lam**2)", {1, 3}),
        "s and w together": (RATE + "    return 1 - (1 - eta * rate) ** tau", {2, 3}),
        "one step too many": (RATE + "    return s**2 / rate * (1 - (1 - eta * rate) ** (tau + 1))", {1, 3}),
        "λ is not squared": (RATE + "    share = s**2 / (s**2 + lam)\n"
                             "    return share * (1 - (1 - eta * (s**2 + lam)) ** tau)", {2}),
        "twice the time": (RATE + "    return s**2 / rate * (1 - (1 - eta * rate / 2) ** (2 * tau))", {1, 3}),
        "a product": (SHARE + "    return s**2 / (s**2 + lam**2) * (1 - (1 - eta * s**2) ** tau)", {3}),
        "only with a λ": (SHARE + "    return filters.auxiliary_filter([s], max(lam, 0.5), eta, tau)", {1}),
    },
    "ex-filters-match": {
        "no root": (match("return 1 / (eta * tau)", GAP, 2.51), {1}),
        "the step size": (match("return eta", GAP, 2.51), {1}),
        "upside down": (match("return math.sqrt(eta * tau)", GAP, 2.51), {1}),
        "ridge minus stopping": (match(STRENGTH, "return math.exp(-x) - 1 / (1 + x)", 2.51), {2}),
        "stopping alone": (match(STRENGTH, "return 1 - math.exp(-x)", 2.51), {2}),
        "where they cross": (match(STRENGTH, GAP, 1.0), {3}),
        "of other functions": (match(STRENGTH, GAP, "max(range(1, 9), key=gap)"), {3}),
    },
    "ex-filters-window": {
        "by the given labels": (ridge(SOLVED.replace("f * true", "f * y")), {1, 2}),
        "no truth is wrong": (ridge("    return 0\n"), {2}),
        "always a fifth": (ridge("    return 16\n"), {1}),
        "the square of λ": (ridge(SOLVED, OWN + "lowest, highest = 9 * s[4] ** 2, s[3] / 3\n"), {3}),
        "a half of the noise": (ridge(SOLVED, OWN + "lowest, highest = s[4], s[3] / 3\n"), {3}),
        "a half of the truth": (ridge(SOLVED, OWN + "lowest, highest = 3 * s[4], s[3]\n"), {4}),
        "the largest of the truth": (ridge(SOLVED, OWN + "lowest, highest = 3 * s[4], s[0] / 3\n"), {4}),
    },
}  # fmt: skip
