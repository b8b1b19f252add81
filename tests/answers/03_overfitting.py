"""Right and wrong answers to the exercises of chapter 3, as students write them."""

SIGNED = "def signed_bound(label_gap, start_gap, scale):\n"
RELU = "def simple_bound(gap, eps, W0):\n"
TIME = "def iterations_needed(smaller, larger):\n"
ENERGY = "def noise_energy(m, n, delta):\n"
OWN = """
smaller, larger = torch.linalg.eigvalsh(jacobian.gram(paired_start, close_pair(0.1))).tolist()
predicted = iterations_needed(smaller, larger)
"""
DIRECT = """
own_step = 0.8 * descent.largest_stable_step(paired_start, close_pair(0.1))
own_least = torch.linalg.eigvalsh(jacobian.gram(paired_start, close_pair(0.1)))[0]
predicted = math.log(10) / (own_step * own_least)
"""


def ridge(share, match):
    return f"def ridge_share(sigma, mu):\n    {share}\n\ndef matching_ridge(eta, tau):\n    {match}\n"


SHARE, MATCH = "return sigma**2 / (sigma**2 + 2 * mu)", "return 1 / (2 * eta * tau)"
NEAREST = """
def way(distance):
    return far.linearized(lab.state("far", seed=SEED, distance=distance)).ways[1]

low, high = 0.01, 0.2
while high - low > 1e-4:
    middle = (low + high) / 2
    low, high = (middle, high) if way(middle) > 40 else (low, middle)
"""
LINK = 'address = f"#lab-far&seed={SEED}&distance={low}"'

RIGHT = {
    "ex-overfit-signed": {
        "a formula": SIGNED + "    return abs(label_gap - start_gap) / scale",
        "start minus labels": SIGNED + "    return abs((start_gap - label_gap) / scale)",
        "the larger of two": SIGNED + "    return max(label_gap - start_gap, start_gap - label_gap) / scale",
        "cases": SIGNED + "    missing = label_gap - start_gap\n    if missing < 0:\n        missing = -missing\n"
        "    return missing / scale",
        "a tensor": SIGNED + "    return torch.tensor([float(label_gap - start_gap)]).abs() / scale",
        "NumPy": "import numpy as np\n" + SIGNED + "    return np.abs(np.subtract(label_gap, start_gap)) / scale",
        "the root of a square": "signed_bound = lambda y, f, s: math.sqrt((y - f) ** 2) / s",
    },
    "ex-overfit-relu": {
        "the larger of two": RELU + "    return max(0.0, gap / eps - torch.linalg.matrix_norm(W0, 2).item())",
        "a tensor": RELU + "    return torch.relu(gap / eps - torch.linalg.norm(W0, ord=2))",
        "singular values": RELU + "    bound = gap / eps - torch.linalg.svdvals(W0).max()\n"
        "    return bound if bound > 0 else 0",
        "NumPy": "import numpy as np\n" + RELU + "    norm = np.linalg.norm(W0.numpy(), 2)\n"
        "    return np.maximum(0, gap / eps - norm)",
        "an eigenvalue": RELU + "    norm = torch.linalg.eigvalsh(W0.T @ W0)[-1].clamp(min=0).sqrt().item()\n"
        "    return (gap / eps - norm) * (gap / eps > norm)",
        "the package's norm in a list": RELU + "    return [max(gap / eps - theory.spectral_norm(W0), 0)]",
    },
    "ex-overfit-time": {
        "the approximation": TIME + "    return round(math.log(10) / (1.6 * smaller / larger))\n" + OWN,
        "the exact power": TIME + "    left = 1 - 1.6 * smaller / larger\n    return math.log(0.1) / math.log(left)\n"
        + OWN,
        "rounded up": TIME + "    step = 0.8 * 2 / larger\n    return math.ceil(math.log(10) / (step * smaller))\n"
        + DIRECT,
        "a loop": TIME + "    residual, iterations = 1.0, 0\n    while residual > 0.1:\n"
        "        residual *= 1 - 1.6 / larger * smaller\n        iterations += 1\n    return iterations\n" + OWN,
        "NumPy": "import numpy as np\n" + TIME + "    return np.log(10) * larger / smaller / 1.6\n"
        "predicted = [iterations_needed(*np.linalg.eigvalsh(jacobian.gram(paired_start, close_pair(0.1)).numpy()))]",
        "a tensor and singular values": TIME + "    return torch.tensor(10.0).log() / (1.6 * smaller / larger)\n"
        "s = torch.linalg.svdvals(jacobian.jacobian(paired_start, close_pair(0.1)))\n"
        "predicted = iterations_needed(s[1] ** 2, s[0] ** 2)",
        "three digits": TIME + "    return float(f'{math.log(10) / (1.6 * smaller / larger):.3g}')\n" + OWN,
    },
    "ex-overfit-energy": {
        "a formula": ENERGY + "    return delta**2 * m * (1 - m / n)",
        "energy without that of the mean": ENERGY + "    return m * delta**2 - n * (m * delta / n) ** 2",
        "a loop": ENERGY + "    changes = [delta] * m + [0] * (n - m)\n    mean = sum(changes) / n\n    energy = 0\n"
        "    for change in changes:\n        energy += (change - mean) ** 2\n    return energy",
        "a tensor": ENERGY + "    e = torch.zeros(n)\n    e[:m] = delta\n    return (e - e.mean()).square().sum()",
        "NumPy's variance": "import numpy as np\n" + ENERGY + "    return n * np.var([delta] * m + [0] * (n - m))",
        "a variance with n - 1": ENERGY + "    e = torch.tensor([float(delta)] * m + [0.0] * (n - m))\n"
        "    return (n - 1) * e.var()",
        "fractions": "from fractions import Fraction\n" + ENERGY
        + "    return Fraction(delta) ** 2 * m * (1 - Fraction(m, n))",
    },
    "ex-overfit-ridge": {
        "a formula": ridge(SHARE, MATCH),
        "one over": ridge("return 1 / (1 + 2 * mu / sigma**2)", "return 0.5 / eta / tau"),
        "what is not left": ridge("return 1 - 2 * mu / (sigma**2 + 2 * mu)", "return [1 / (2 * eta * tau)]"),
        "three digits": ridge("return round(sigma**2 / (sigma**2 + 2 * mu), 3)", "return round(0.5 / eta / tau, 3)"),
        "a search": ridge(
            "a = torch.linspace(0, 1 / sigma, 10_001)\n"
            "    return sigma * a[(0.5 * (sigma * a - 1) ** 2 + mu * a**2).argmin()]",
            "s = 1e-3\n    share = 1 - (1 - eta * s**2) ** tau\n    return s**2 * (1 / share - 1) / 2",
        ),
        "least squares": ridge(
            "A = torch.tensor([[float(sigma)], [math.sqrt(2 * mu)]])\n"
            "    return sigma * torch.linalg.lstsq(A, torch.tensor([[1.0], [0.0]])).solution",
            "return torch.tensor(1.0) / (2 * eta * tau)",
        ),
        "NumPy": "import numpy as np\n" + ridge(
            "return np.square(sigma) / (np.square(sigma) + 2 * mu)", "return np.reciprocal(2.0 * eta * tau)"
        ),
    },
    "ex-overfitting-nearer": {
        "bisection": "prediction = 10.0" + NEAREST + 'address = lab.address("far", {"seed": SEED, "distance": low})',
        "the link of the book": "prediction = 10\n"
        'address = "https://example.org/book/03_overfitting.html#lab-far&seed=0&distance=0.048"',
        "the link of a notebook": "prediction = 9.5\n"
        'address = " http://localhost:8888/lab/tree/mine.ipynb#lab-far&distance=0.046&seed=0\\n"',
        "ridge was tried, too": "prediction = torch.tensor(10)\n"
        'address = "#lab-far&distance=0.0475&by=ridge&penalty=0.3&seed=0"',
        "as a state": "import numpy as np\nprediction = np.float64(11)\n"
        'settings = lab.state("far", seed=SEED, distance=0.048, after=400)\naddress = lab.address("far", settings)',
    },
}  # fmt: skip

WRONG = {
    "ex-overfit-signed": {
        "absolute values first": (SIGNED + "    return (abs(label_gap) - abs(start_gap)) / scale", {2, 3}),
        "a difference of lengths": (SIGNED + "    return abs(abs(label_gap) - abs(start_gap)) / scale", {2}),
        "no denominator": (SIGNED + "    return abs(label_gap - start_gap)", {1}),
        "a start beyond the labels is free": (
            SIGNED + "    missing = label_gap - start_gap if label_gap > 0 else start_gap - label_gap\n"
            "    return max(0, missing) / scale",
            {3},
        ),
        "only the start has a sign": (SIGNED + "    return abs(abs(label_gap) - start_gap) / scale", {4}),
        "no absolute value": (SIGNED + "    return (label_gap - start_gap) / scale", {3, 4}),
        "every gap adds": (SIGNED + "    return (abs(label_gap) + abs(start_gap)) / scale", {3, 4}),
        "printed": (SIGNED + "    print(abs(label_gap - start_gap) / scale)", {1, 2, 3, 4}),
    },
    "ex-overfit-relu": {
        "the Frobenius norm": (RELU + "    return max(0.0, gap / eps - W0.norm().item())", {3}),
        "the largest entry": (RELU + "    return max(0.0, gap / eps - W0.abs().max().item())", {3}),
        "a negative distance": (RELU + "    return gap / eps - torch.linalg.matrix_norm(W0, 2)", {2}),
        "the absolute value": (RELU + "    return abs(gap / eps - torch.linalg.matrix_norm(W0, 2))", {2}),
        "half of the gap for each point": (
            RELU + "    return max(0.0, gap / 2 / eps - torch.linalg.matrix_norm(W0, 2))",
            {1},
        ),
        "of W alone": (RELU + "    return gap / eps", {1, 2, 3}),
        "the certificate": (
            RELU + "    return gap / eps / (1 + torch.linalg.matrix_norm(W0, 2) / len(W0) ** 0.5)",
            {1, 2, 3},
        ),
    },
    "ex-overfit-time": {
        "the decimal logarithm": (TIME + "    return round(math.log10(10) * larger / (1.6 * smaller))\n" + OWN, {1, 3}),
        "the decimal logarithm in the function": (TIME + "    return larger / (1.6 * smaller)\n" + DIRECT, {1}),
        "a step of 1.6": (TIME + "    return math.log(10) / (1.6 * smaller)\n" + OWN, {2, 3}),
        "a step of 1.6 in the function": (TIME + "    return math.log(10) / (1.6 * smaller)\n" + DIRECT, {2}),
        "the clock of the larger": (TIME + "    return math.log(10) / 1.6\n" + OWN, {1, 3}),
        "singular values": (TIME + "    return math.log(10) / 1.6 * math.sqrt(larger / smaller)\n" + OWN, {1, 3}),
        "the pair of another distance": (
            TIME + "    return math.log(10) * larger / smaller / 1.6\n"
            + OWN.replace("close_pair(0.1)", "close_pair(0.2)"),
            {3},
        ),
        "unpaired weights": (
            TIME + "    return math.log(10) * larger / smaller / 1.6\n"
            + OWN.replace("paired_start", "network.initial_weights(400, 20, seed=SEED)"),
            {3},
        ),
        "a number as text": (TIME + "    return math.log(10) * larger / smaller / 1.6\npredicted = '329'", {3}),
    },
    "ex-overfit-energy": {
        "the mean stays": (ENERGY + "    return m * delta**2", {1, 3}),
        "the variance": (ENERGY + "    return delta**2 * m / n * (1 - m / n)", {1, 3}),
        "delta once": (ENERGY + "    return abs(delta) * m * (1 - m / n)", {2}),
        "each by itself": (ENERGY + "    return m * delta**2 * (1 - 1 / n)", {3}),
        "one changed label": (ENERGY + "    return delta**2 * (1 - m / n)", {3}),
        "half for each of the fewer": (ENERGY + "    return delta**2 * min(m, n - m) / 2", {1}),
        "a length": (ENERGY + "    return abs(delta) * math.sqrt(m * (1 - m / n))", {1, 2}),
        "the vector": (
            ENERGY + "    return [delta - m * delta / n] * m + [-m * delta / n] * (n - m)",
            {1, 2, 3},
        ),
    },
    "ex-overfit-ridge": {
        "half of the ridge": (ridge("return sigma**2 / (sigma**2 + mu)", "return 1 / (eta * tau)"), {1, 2, 3}),
        "what is left": (ridge("return 2 * mu / (sigma**2 + 2 * mu)", MATCH), {1}),
        "the move": (ridge("return sigma / (sigma**2 + 2 * mu)", MATCH), {2}),
        "σ once": (ridge("return sigma / (sigma + 2 * mu)", MATCH), {2}),
        "no half": (ridge(SHARE, "return 1 / (eta * tau)"), {3}),
        "the more time, the more ridge": (ridge(SHARE, "return eta * tau / 2"), {3}),
        "a share for every σ": (ridge(SHARE, "return lambda sigma: 1 / (2 * eta * tau)"), {3}),
    },
    "ex-overfitting-nearer": {
        "the square": ("prediction = 100" + NEAREST + LINK, {3}),
        "nearer in place of further": ("prediction = 1 / 10" + NEAREST + LINK, {3}),
        "no number": ("prediction = 'ten times'" + NEAREST + LINK, {3}),
        "the link of another": (
            "prediction = 10" + NEAREST.replace("seed=SEED", "seed=SEED + 1") + LINK.replace("SEED", "SEED + 1"),
            {1},
        ),
        "the figure as it starts": ('prediction = 10\naddress = lab.address("far", {"seed": SEED})', {2}),
        "fewer hidden units": (
            'prediction = 10\naddress = lab.address("far", {"seed": SEED, "distance": 0.048, "hidden_units": 100})',
            {1},
        ),
        "the link of another figure": ('prediction = 10\naddress = lab.address("stop", {"seed": SEED})', {1, 2}),
        "nothing copied": ('prediction = 10\naddress = ""', {1, 2}),
        "a state in place of its link": (
            'prediction = 10\naddress = lab.state("far", seed=SEED, distance=0.048)',
            {1, 2},
        ),
        "the distance in place of the link": ("prediction = 10\naddress = 0.048", {1, 2}),
    },
}  # fmt: skip
