"""Right and wrong answers to the exercises of chapter 6, as students write them."""

GRAM = "def gram_identity(W, X, derivative):\n"
INSIDE = "def share_inside(e, clusters):\n"
OUTPUT = "def large_values(model, inputs, output):\n"
VALUES = OUTPUT + "    s = jacobian.singular_values(jacobian.model_gram(model, inputs, output))\n"
WINDOW = "def window(gram, K):\n"
SORTED = WINDOW + "    s = torch.linalg.eigvalsh(gram).flip(0)\n"
MEANS = INSIDE + "    inside = theory.cluster_means(e, clusters)\n"
OWN = "\nown_share = share_inside(own_noise(0.3), own.clusters)\n"
DIRECT = """
own_members = torch.nn.functional.one_hot(own.clusters).float()
own_share = jacobian.energy_share(own_noise(0.3), own_members / own_members.sum(0).sqrt())
"""


def uneven(gamma, tolerated):
    return f"def gamma_of(sizes):\n    {gamma}\n\ndef tolerated(sizes, delta):\n    {tolerated}\n"


def worst(spread, most):
    return f"def spread_error(m, n, K):\n    {spread}\n\ndef worst_error(m, n, K):\n    {most}\n"


GAMMA, LIMIT = "return sum(sizes) / min(sizes)", "return delta * min(sizes) / (2 * sum(sizes))"
RHO, MOST = "return m / n", "return min(1, m * K / n)"
NEAREST = """
radius = min((i / 100 for i in range(20, 60)),
             key=lambda one: abs(clocks.clockwork(seed=SEED, input_noise=one).clocks[1] - 30))
"""
LINK = 'address = f"#lab-clocks&seed={SEED}&input_noise={radius}"'

RIGHT = {
    "ex-jacobian-gram": {
        "a formula": GRAM + "    slopes = derivative(X @ W.T)\n    return (X @ X.T) * (slopes @ slopes.T) / len(W)",
        "with v": GRAM + "    v = network.output_weights(len(W))\n    phi = derivative(W @ X.T)\n"
        "    return (X @ X.T) * (phi.T @ torch.diag(v**2) @ phi)",
        "two loops": GRAM + "    n, k = len(X), len(W)\n    gram = torch.zeros(n, n)\n    for i in range(n):\n"
        "        for j in range(n):\n            s = derivative(W @ X[i]) @ derivative(W @ X[j])\n"
        "            gram[i, j] = s / k * (X[i] @ X[j])\n    return gram",
        "einsum": GRAM + "    s = derivative(X @ W.T) / len(W) ** 0.5\n"
        '    return torch.einsum("ik,jk,id,jd->ij", s, s, X, X)',
        "the mean over the units": GRAM + "    s = derivative(X @ W.T)\n"
        "    return (X @ X.T) * (s[:, None] * s[None]).mean(-1)",
        "NumPy": "import numpy as np\n" + GRAM + "    s, x = derivative(X @ W.T).numpy(), X.numpy()\n"
        "    return np.multiply(x @ x.T, s @ s.T) / W.shape[0]",
        "a list of lists": GRAM + "    g = [derivative(W @ x) / len(W) ** 0.5 for x in X]\n"
        "    return [[(g[i] @ g[j]) * (X[i] @ X[j]) for j in range(len(X))] for i in range(len(X))]",
        "with J after all": GRAM + "    s = derivative(X @ W.T) / len(W) ** 0.5\n"
        "    J = (s[:, :, None] * X[:, None, :]).reshape(len(X), -1)\n    return J @ J.T",
    },
    "ex-jacobian-uneven": {
        "a formula": uneven(GAMMA, "return delta / (2 * gamma_of(sizes))"),
        "one over the smallest share": uneven("return 1 / min(size / sum(sizes) for size in sizes)", LIMIT),
        "a tensor": uneven("sizes = torch.tensor(sizes)\n    return sizes.sum() / sizes.min()",
                           "return delta / 2 / gamma_of(sizes)"),
        "NumPy": "import numpy as np\n" + uneven(
            "return np.max(np.sum(sizes) / np.array(sizes))", "return 0.5 * delta / gamma_of(sizes)"
        ),
        "leverage scores": uneven(
            "members = torch.block_diag(*(torch.ones(size, 1) for size in sizes))\n"
            "    basis = members / members.norm(dim=0)\n    return theory.diffuseness(basis)",
            "return [delta / (2 * gamma_of(sizes))]",
        ),
        "fractions": "from fractions import Fraction\n" + uneven(
            "return Fraction(sum(sizes), min(sizes))", "return Fraction(delta) / 2 / gamma_of(sizes)"
        ),
    },
    "ex-jacobian-classes": {
        "the package's means": MEANS + "    return (inside.square().sum() / e.square().sum()).item()\n" + OWN,
        "a loop over clusters": INSIDE + "    total = 0\n    for cluster in set(clusters.tolist()):\n"
        "        mine = e[clusters == cluster]\n        total += len(mine) * mine.mean() ** 2\n"
        "    return total / (e**2).sum()\n" + OWN,
        "a projection": INSIDE + "    Z = torch.nn.functional.one_hot(clusters).float()\n"
        "    U = Z[:, Z.sum(0) > 0] / Z[:, Z.sum(0) > 0].norm(dim=0)\n    inside = U @ (U.T @ e)\n"
        "    return (inside.norm() / e.norm()) ** 2\n" + OWN,
        "what is not outside": INSIDE + "    outside = e - theory.cluster_means(e, clusters)\n"
        "    return 1 - outside.square().sum() / e.square().sum()\n" + OWN,
        "NumPy": "import numpy as np\n" + INSIDE + "    e, clusters = np.asarray(e), np.asarray(clusters)\n"
        "    sums, sizes = np.bincount(clusters, e), np.bincount(clusters)\n"
        "    return (sums**2 / np.maximum(sizes, 1)).sum() / (e**2).sum()\n" + OWN,
        "lists": INSIDE + "    e, clusters = e.tolist(), clusters.tolist()\n    groups = {}\n"
        "    for value, cluster in zip(e, clusters):\n        groups.setdefault(cluster, []).append(value)\n"
        "    inside = sum(sum(group) ** 2 / len(group) for group in groups.values())\n"
        "    return inside / sum(value**2 for value in e)\n"
        "own_share = round(share_inside(own_noise(0.3), own.clusters), 3)",
        "the cosine": MEANS + "    return [inside @ e / (e @ e)]\n" + OWN,
    },
    "ex-jacobian-output": {
        "the package's values": VALUES + "    return int((s > 0.1 * s[0]).sum())",
        "eigenvalues above a hundredth": OUTPUT
        + "    squares = torch.linalg.eigvalsh(jacobian.model_gram(model, inputs, output))\n"
        "    return (squares > 0.01 * squares[-1]).sum()",
        "a loop": VALUES + "    count = 0\n    for one in s:\n        if one / max(s) > 0.1:\n            count += 1\n"
        "    return count",
        "a list": VALUES + "    return len([one for one in s.tolist() if 10 * one > s[0]])",
        "NumPy": "import numpy as np\n" + OUTPUT
        + "    squares = np.linalg.eigvalsh(jacobian.model_gram(model, inputs, output).numpy())\n"
        "    s = np.sqrt(np.clip(squares, 0, None))\n    return np.count_nonzero(s > s.max() / 10)",
        "a Jacobian by hand": OUTPUT + "    rows = []\n    for x in inputs:\n"
        "        slopes = torch.autograd.grad(output(model(x[None])[0]), list(model.parameters()))\n"
        "        rows.append(torch.cat([one.flatten() for one in slopes]))\n"
        "    s = torch.linalg.svdvals(torch.stack(rows))\n    return (s > 0.1 * s[0]).sum().item()",
    },
    "ex-jacobian-window": {
        "eigenvalues": WINDOW + "    squares = torch.linalg.eigvalsh(gram).flip(0)\n"
        "    return (squares[K - 1] / squares[K]).item()",
        "from behind": WINDOW + "    squares = torch.linalg.eigvalsh(gram)\n    return squares[-K] / squares[-K - 1]",
        "singular values of J": WINDOW + "    sigma = jacobian.singular_values(gram)\n"
        "    return (sigma[K - 1] / sigma[K]) ** 2",
        "of a symmetric matrix": WINDOW + "    values = torch.linalg.svdvals(gram).tolist()\n"
        "    return values[K - 1] / values[K]",
        "NumPy": "import numpy as np\n" + WINDOW
        + "    squares = sorted(np.linalg.eigvalsh(gram.numpy()), reverse=True)\n"
        "    return squares[K - 1] / squares[K]",
        "two times": WINDOW + "    squares = torch.linalg.eigvals(gram).real.sort(descending=True).values\n"
        "    step = 1 / squares[0]\n    truth, noise = 1 / (step * squares[K - 1]), 1 / (step * squares[K])\n"
        "    return [noise / truth]",
    },
    "ex-jacobian-worst": {
        "formulas": worst(RHO, MOST),
        "cases": worst("return m / n", "size = n / K\n    if m > size:\n        return 1.0\n    return m / size"),
        "in each cluster": worst("return (m / K) / (n / K)", "return min(m, n // K) / (n // K)"),
        "tensors": worst("return torch.tensor(m / n)", "return torch.tensor(m * K / n).clamp(max=1)"),
        "NumPy": "import numpy as np\n" + worst("return np.divide(m, n)", "return np.minimum(1, [m * K / n])"),
        "by trying": worst(
            "e = torch.zeros(K, n // K)\n    e[:, : m // K] = 1\n    return e.mean(1).max()",
            "e = torch.zeros(K, n // K)\n    e[0, :m] = 1\n    return e.mean(1).abs().max().item()",
        ),
        "γρ": worst("rho = m / n\n    return rho", "gamma, rho = K, m / n\n    return min(gamma * rho, 1)"),
    },
    "ex-jacobian-wide": {
        "a search": "prediction = 4" + NEAREST + LINK,
        "by the package": "prediction = 2.0**2" + NEAREST
        + 'address = lab.address("clocks", {"seed": SEED, "input_noise": radius})',
        "the link of the book": "prediction = 4.0\n"
        'address = "https://example.org/book/06_jacobian.html#lab-clocks&seed=0&input_noise=0.37"',
        "the line was moved, too": "prediction = torch.tensor(4)\n"
        'address = "#lab-clocks&input_noise=0.37&seed=0&stop=300"',
        "measured": "import numpy as np\n"
        "slow, fast = (clocks.clockwork(seed=SEED, input_noise=one).clocks[1] for one in (0.2, 0.4))\n"
        'prediction = np.float64(slow / fast)\naddress = " #lab-clocks&seed=0&input_noise=0.36 "',
    },
}  # fmt: skip

WRONG = {
    "ex-jacobian-gram": {
        "no output weights": (GRAM + "    s = derivative(X @ W.T)\n    return (X @ X.T) * (s @ s.T)", {1}),
        "v once": (GRAM + "    s = derivative(X @ W.T)\n    return (X @ X.T) * (s @ s.T) / len(W) ** 0.5", {1}),
        "a product of matrices": (GRAM + "    s = derivative(X @ W.T)\n    return (X @ X.T) @ (s @ s.T) / len(W)", {3}),
        "no inputs": (GRAM + "    s = derivative(X @ W.T)\n    return s @ s.T / len(W)", {3}),
        "slopes of one sample": (
            GRAM + "    s = derivative(X @ W.T)\n    return (X @ X.T) * (s**2).mean(1)",
            {3},
        ),
        "slopes once": (GRAM + "    return (X @ X.T) * derivative(X @ W.T).mean(1)", {1, 2, 3}),
        "always erf": (
            GRAM + "    s = 2 / torch.pi**0.5 * torch.exp(-((X @ W.T) ** 2))\n"
            "    return (X @ X.T) * (s @ s.T) / len(W)",
            {2},
        ),
        "JᵀJ": (
            GRAM + "    s = derivative(X @ W.T) / len(W) ** 0.5\n"
            '    J = torch.einsum("nk,nd->nkd", s, X).flatten(1)\n    return J.T @ J',
            {1, 3},
        ),
        "one sample": (GRAM + "    return (derivative(W @ X[0]) ** 2).mean() * X[0] @ X[0]", {3}),
    },
    "ex-jacobian-uneven": {
        "the number of clusters": (uneven("return len(sizes)", LIMIT), {1, 3}),
        "the number of clusters, used": (
            uneven("return len(sizes)", "return delta / (2 * gamma_of(sizes))"),
            {1, 2, 3},
        ),
        "the largest cluster": (uneven("return sum(sizes) / max(sizes)", LIMIT), {1, 3}),
        "the first cluster": (uneven("return sum(sizes) / sizes[0]", LIMIT), {1}),
        "the last cluster": (uneven("return sum(sizes) / sizes[-1]", LIMIT), {3}),
        "a share": (uneven("return min(sizes) / sum(sizes)", LIMIT), {1, 3}),
        "below all of δ": (uneven(GAMMA, "return delta / gamma_of(sizes)"), {2}),
        "δ is 1": (uneven(GAMMA, "return 1 / (2 * gamma_of(sizes))"), {4}),
        "a share of the small cluster": (uneven(GAMMA, "return delta / 2"), {2}),
        "a number of labels": (uneven(GAMMA, "return delta / 2 * min(sizes)"), {2}),
    },
    "ex-jacobian-classes": {
        "one mean of all": (INSIDE + "    return len(e) * e.mean() ** 2 / e.square().sum()\n" + DIRECT, {1}),
        "one mean of all, used": (INSIDE + "    return len(e) * e.mean() ** 2 / e.square().sum()\n" + OWN, {1, 4}),
        "the energy, not its share": (MEANS + "    return inside.square().sum()\n" + OWN, {1, 4}),
        "a ratio of lengths": (MEANS + "    return inside.norm() / e.norm()\n" + OWN, {2, 4}),
        "a ratio of lengths, but not for the own": (
            MEANS + "    return inside.norm() / e.norm()\n" + DIRECT,
            {2},
        ),
        "equal clusters in a row": (
            INSIDE + "    means = e.view(len(clusters.unique()), -1).mean(1)\n"
            "    return (means**2).sum() * len(e) / len(means) / (e**2).sum()\n" + OWN,
            {3},
        ),
        "guessed": (
            MEANS + "    return inside.square().sum() / e.square().sum()\nown_share = 0.3\n",
            {4},
        ),
        "for another ρ": (
            MEANS + "    return inside.square().sum() / e.square().sum()\n"
            "own_share = share_inside(own_noise(0.2), own.clusters)\n",
            {4},
        ),
        "what is outside": (
            INSIDE + "    return (e - theory.cluster_means(e, clusters)).square().sum() / e.square().sum()\n" + OWN,
            {1, 2, 4},
        ),
        "absolute values": (MEANS + "    return inside.abs().mean().item()\n" + OWN, {1, 4}),
        "a share for each cluster": (
            INSIDE + "    return [e[clusters == one].mean() for one in clusters.unique()]\n" + OWN,
            {1, 3, 4},
        ),
    },
    "ex-jacobian-output": {
        "eigenvalues": (
            OUTPUT + "    s = torch.linalg.eigvalsh(jacobian.model_gram(model, inputs, output))\n"
            "    return int((s > 0.1 * s[-1]).sum())",
            {1},
        ),
        "above 0.1": (VALUES + "    return int((s > 0.1).sum())", {2}),
        "lengths of rows": (
            OUTPUT + "    s = jacobian.model_gram(model, inputs, output).diagonal().sqrt()\n"
            "    return int((s > 0.1 * s.max()).sum())",
            {3},
        ),
        "always the first output": (VALUES.replace("output)", "lambda out: out[0])", 2).replace(
            "inputs, lambda out: out[0]):", "inputs, output):") + "    return int((s > 0.1 * s[0]).sum())",
            {4},
        ),
        "the values": (VALUES + "    return s[s > 0.1 * s[0]]", {1, 2, 3}),
        "a share": (VALUES + "    return (s > 0.1 * s[0]).float().mean()", {1, 2, 3, 4}),
        "beside the largest": (VALUES + "    return int((s[1:] > 0.1 * s[0]).sum())", {1, 2, 3, 4}),
    },
    "ex-jacobian-window": {
        "a ratio of singular values": (
            WINDOW + "    s = jacobian.singular_values(gram)\n    return (s[K - 1] / s[K]).item()",
            {1},
        ),
        "squared twice": (SORTED + "    return (s[K - 1] / s[K]) ** 2", {1}),
        "counted from 1": (SORTED + "    return s[K] / s[K + 1]", {2}),
        "one before": (SORTED + "    return s[K - 2] / s[K - 1]", {2, 3}),
        "the diagonal": (
            WINDOW + "    s = gram.diagonal().sort(descending=True).values\n    return s[K - 1] / s[K]",
            {3},
        ),
        "smallest first": (WINDOW + "    s = torch.linalg.eigvalsh(gram)\n    return s[K - 1] / s[K]", {1}),
        "the first time over the second": (
            SORTED + "    return s[K] / s[K - 1]",
            {1},
        ),
        "both times": (SORTED + "    return 1 / s[K - 1], 1 / s[K]", {1, 2, 3}),
    },
    "ex-jacobian-worst": {
        "all labels of a cluster at once": (worst(RHO, "return 1.0"), {2}),
        "more than all": (worst(RHO, "return m * K / n"), {3}),
        "a number for each cluster": (worst("return m / K", MOST), {1}),
        "the worst for both": (worst(MOST, MOST), {1}),
        "spread for both": (worst(RHO, RHO), {2, 3}),
        "a length": (worst("return (m / n) ** 0.5", "return min(1, (m * K / n) ** 0.5)"), {1, 2}),
        "of all the clusters": (worst("return [m / n] * K", MOST), {1}),
    },
    "ex-jacobian-wide": {
        "as the radius": ("prediction = 2" + NEAREST + LINK, {3}),
        "slower": ("prediction = 1 / 4" + NEAREST + LINK, {3}),
        "no number": ("prediction = '4 times'" + NEAREST + LINK, {3}),
        "the link of another": (
            "prediction = 4" + NEAREST.replace("SEED", "SEED + 1") + LINK.replace("SEED", "SEED + 1"),
            {1},
        ),
        "the figure as it starts": ('prediction = 4\naddress = lab.address("clocks", {"seed": SEED})', {2}),
        "a singular value was dragged": (
            "prediction = 4" + NEAREST
            + 'address = f"#lab-clocks&seed={SEED}&input_noise={radius}&last_information=0.9"',
            {1},
        ),
        "another step size": (
            'prediction = 4\naddress = lab.address("clocks", {"seed": SEED, "input_noise": 0.25, "pace": 0.99})',
            {1},
        ),
        "nothing copied": ('prediction = 4\naddress = ""', {1, 2}),
        "the radius in place of the link": ("prediction = 4\naddress = 0.37", {1, 2}),
        "the link of another figure": ('prediction = 4\naddress = lab.address("far", {"seed": SEED})', {1, 2}),
    },
}  # fmt: skip
