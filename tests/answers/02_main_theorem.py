"""Answers to the exercises of chapter 2: right ones by their style, wrong ones by their misconception."""

MEAN = "def mean_label(rho):\n    return 1 - 2 * rho\n\n"
BREAKDOWN = "breakdown = 0.5\n"
STEP = "def largest_step(gram):\n    return 2 / torch.linalg.eigvalsh(gram)[-1]\n\n"
LIMIT = "start, inputs, _ = figure5_data()\nlimit = largest_step(jacobian.gram(start, inputs))\n"
MESSAGE = """
try:
    two_steps(0.1)
except ValueError as problem:
    limit = float(str(problem).split()[-1])
"""
DISTANCE = """
def distance_at_40(n):
    given, start = fifth_wrong(n)
    path = descent.gradient_descent(start, given.inputs, given.labels, step_size=4 / n, iterations=40)
    return path.distance[-1]

"""
MEAN_STEP = "step_for_the_mean = 4\n"
LEFT = "def left(sigma, eta, tau):\n    return (1 - eta * sigma**2) ** tau\n\n"
HALVING = "def halving_time(sigma, eta):\n    return math.log(0.5) / math.log(1 - eta * sigma**2)\n"
MIXED = "def mean_of_flips(rho, to):\n    return (1 - rho) * -1 + rho * to\n\n"
LOST = "lost_by_chance, lost_to_adversary = 1 / 3, 1 / 4\n"


def kappa(*lines):
    """The answer whose draws u and w, and result, are these lines."""
    body = "\n    ".join(lines)
    return f"def sampled_kappa(derivative, t, samples=200_000):\n    u, z = torch.randn(2, samples)\n    {body}\n"


def stop(at, radius=0.2, seed="SEED", rho=0.3, iterations=1600):
    """The answer that stops there."""
    changes = f"seed={seed}, corruption_rate={rho}, input_noise={radius}, iterations={iterations}"
    return f"""now = lab.state("stop", {changes})
address = lab.address("stop", now | {{"stop": {at}}})
"""


WINDOW = "lab.run(now).window[0]"

RIGHT = {
    "ex-half": {
        "the formula": MEAN + BREAKDOWN,
        "right and wrong ones": "def mean_label(rho):\n    return (1 - rho) * 1 + rho * -1\n\nbreakdown = 1 / 2",
        "a hundred labels": """
def mean_label(rho):
    wrong = round(100 * rho)
    return sum([-1] * wrong + [1] * (100 - wrong)) / 100

breakdown = next(rho for rho in torch.linspace(0, 1, 101) if mean_label(rho.item()) <= 0)
""",
        "NumPy": """
import numpy as np

def mean_label(rho):
    return np.average([1, -1], weights=[1 - rho, rho])

breakdown = np.array(0.5)
""",
        "tensors": "def mean_label(rho):\n    return torch.tensor([1.0 - rho, rho]) @ torch.tensor([1.0, -1.0])\n\n"
        "breakdown = torch.tensor([0.5])",
        "a fraction": "from fractions import Fraction\n\n" + MEAN + "breakdown = Fraction(1, 2)",
    },
    "ex-step": {
        "eigenvalues": STEP + LIMIT,
        "NumPy": """
import numpy as np

def largest_step(gram):
    return 2 / np.linalg.eigvalsh(gram.numpy()).max()

"""
        + LIMIT,
        "a matrix norm": "def largest_step(gram):\n    return (2 / torch.linalg.matrix_norm(gram, 2)).item()\n\n"
        + LIMIT,
        "a singular value of the matrix, a list": "def largest_step(gram):\n"
        "    return [2 / torch.linalg.svdvals(gram)[0].item()]\n\n" + LIMIT,
        "powers of a random vector": """
def largest_step(gram):
    x = torch.rand(len(gram))
    for _ in range(200):
        x = gram @ x
        x = x / x.norm()
    return 2 / (x @ gram @ x)

"""
        + LIMIT,
        "the limit from the message": STEP + MESSAGE,
        "the limit from the package, three digits": STEP + "start, inputs, _ = figure5_data()\n"
        "limit = float(f'{descent.largest_stable_step(start, inputs):.3g}')",
    },
    "ex-samples": {
        "the distance of the path": DISTANCE + MEAN_STEP,
        "of the last weights, as a list": DISTANCE.replace(
            "return path.distance[-1]", "return [(path.weights - start).norm().item()]"
        )
        + "step_for_the_mean = [4.0]",
        "a loop": """
def distance_at_40(n):
    given, W0 = fifth_wrong(n)
    W = W0.clone()
    for _ in range(40):
        W -= 4 / n * descent.gradient(W, given.inputs, given.labels)
    return torch.linalg.matrix_norm(W - W0).item()

step_for_the_mean = torch.tensor(4)
""",
        "automatic differentiation": """
def distance_at_40(n):
    given, W0 = fifth_wrong(n)
    W = W0.clone().requires_grad_()
    optimizer = torch.optim.SGD([W], lr=4)
    for _ in range(40):
        optimizer.zero_grad()
        (descent.loss(W, given.inputs, given.labels) / n).backward()
        optimizer.step()
    return (W - W0).norm()

step_for_the_mean = 4.0
""",
        "NumPy, rounded": """
import numpy as np

def distance_at_40(n):
    given, start = fifth_wrong(n)
    path = descent.gradient_descent(start, given.inputs, given.labels, step_size=4 / n, iterations=40)
    return np.round(np.linalg.norm(path.weights.numpy() - start.numpy()), 3)

step_for_the_mean = np.float64(4)
""",
    },
    "ex-theorem-clocks": {
        "the formulas": LEFT + HALVING,
        "a loop": """
def left(sigma, eta, tau):
    residual = 1.0
    for _ in range(tau):
        residual -= eta * sigma**2 * residual
    return residual

def halving_time(sigma, eta):
    return 1 / math.log2(1 / (1 - eta * sigma**2))
""",
        "NumPy": """
import numpy as np

def left(sigma, eta, tau):
    return np.power(1 - eta * np.square(sigma), tau)

def halving_time(sigma, eta):
    return np.log(2) / -np.log1p(-eta * np.square(sigma))
""",
        "tensors": """
def left(sigma, eta, tau):
    return torch.tensor(1 - eta * sigma**2, dtype=torch.float64) ** tau

def halving_time(sigma, eta):
    return torch.log(torch.tensor(0.5)) / torch.log1p(torch.tensor(-eta * sigma**2))
""",
        "halves of an interval": """
def left(sigma, eta, tau):
    return math.exp(tau * math.log1p(-eta * sigma**2))

def halving_time(sigma, eta):
    low, high = 0.0, 1e9
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if left(sigma, eta, middle) > 0.5 else (low, middle)
    return low
""",
        "lists": "def left(sigma, eta, tau):\n    return [math.prod([1 - eta * sigma**2] * tau)]\n\n"
        "def halving_time(sigma, eta):\n    return [math.log(0.5, 1 - eta * sigma**2)]\n",
    },
    "ex-theorem-middle": {
        "the formula": MIXED + LOST,
        "three digits": MIXED + "lost_by_chance = 0.333\nlost_to_adversary = 0.25",
        "as 1 + to": "def mean_of_flips(rho, to):\n    return rho * (1 + to) - 1\n\n"
        "lost_by_chance, lost_to_adversary = [1 / (2 * (1 + to)) for to in (0.5, 1)]",
        "fractions": "from fractions import Fraction\n\n"
        + MIXED
        + "lost_by_chance, lost_to_adversary = Fraction(1, 3), Fraction(1, 4)",
        "tensors": """
def mean_of_flips(rho, to):
    return torch.lerp(torch.tensor(-1.0), torch.tensor(float(to)), rho)

lost_by_chance, lost_to_adversary = 0.5 / (1 + torch.tensor([0.5, 1.0]))
""",
        "NumPy, a search": """
import numpy as np

def mean_of_flips(rho, to):
    return np.average([-1, to], weights=[1 - rho, rho])

rates = np.linspace(0, 1, 12_001)
lost_by_chance, lost_to_adversary = (
    rates[np.argmax([mean_of_flips(rho, to) > -0.5 for rho in rates])] for to in (0.5, 1))
""",
    },
    "ex-theorem-kappa": {
        "as in the book": kappa(
            "w = t * u + math.sqrt(1 - t**2) * z", "return (derivative(u) * derivative(w)).mean().item()"
        ),
        "an angle": kappa(
            "angle = math.acos(t)",
            "w = math.cos(angle) * u + math.sin(angle) * z",
            "return derivative(u) @ derivative(w) / samples",
        ),
        "NumPy": """
import numpy as np

def sampled_kappa(derivative, t, samples=200_000):
    draws = np.random.default_rng(1).multivariate_normal([0, 0], [[1, t], [t, 1]], size=samples)
    u, w = torch.from_numpy(draws).T
    return np.mean((derivative(u) * derivative(w)).numpy())
""",
        "a list of draws": kappa(
            "w = t * u + (1 - t * t) ** 0.5 * z",
            "return round(sum((derivative(u) * derivative(w)).tolist()) / samples, 3)",
        ),
        "in parts": """
def sampled_kappa(derivative, t, samples=200_000):
    total = 0
    for _ in range(10):
        u, z = torch.randn(samples // 10), torch.randn(samples // 10)
        total += (derivative(u) * derivative(t * u - math.sqrt(1 - t**2) * z)).sum()
    return total / samples
""",
        "sum and difference": kappa(
            "a, b = math.sqrt((1 + t) / 2) * u, math.sqrt((1 - t) / 2) * z",
            "return [(derivative(a + b) * derivative(a - b)).double().mean()]",
        ),
    },
    "ex-theorem-stop": {
        "where the window begins": stop(WINDOW),
        "in its middle": stop("sum(lab.run(now).window) // 2"),
        "tighter, and trained longer": stop(WINDOW, radius=0.15, iterations=2500),
        "the whole address of a page": stop(WINDOW)
        + 'address = "https://a.org/book/02_main_theorem.html" + address + "\\n"',
        "a name that the checks use": stop(WINDOW) + "answers = lab.run(now).answers",
    },
}

WRONG = {
    "ex-half": {
        "a wrong label counts nothing": ("def mean_label(rho):\n    return 1 - rho\n\n" + BREAKDOWN, {1, 2}),
        "never below zero": ("def mean_label(rho):\n    return max(0, 1 - 2 * rho)\n\n" + BREAKDOWN, {1}),
        "the size of the majority": ("def mean_label(rho):\n    return abs(1 - 2 * rho)\n\n" + BREAKDOWN, {1}),
        "the nearest label": ("def mean_label(rho):\n    return 1 if rho < 0.5 else -1\n\n" + BREAKDOWN, {2}),
        "the theorem's limit": (MEAN + "breakdown = 2 / 8", {3}),
        "every label is wrong": (MEAN + "breakdown = 1", {3}),
        "the mean at the breakdown": (MEAN + "breakdown = mean_label(0.5)", {3}),
        "a function": (MEAN + "breakdown = mean_label", {3}),
    },
    "ex-step": {
        "half of it": (
            "def largest_step(gram):\n    return 1 / torch.linalg.eigvalsh(gram)[-1]\n\n" + LIMIT,
            {1, 2, 3},
        ),
        "σ in place of σ²": (
            "def largest_step(gram):\n    return 2 / torch.linalg.eigvalsh(gram)[-1].sqrt()\n\n" + LIMIT,
            {1, 2, 3},
        ),
        "σ⁴ in place of σ²": (
            "def largest_step(gram):\n    return 2 / torch.linalg.svdvals(gram)[0] ** 2\n\n" + LIMIT,
            {1, 2, 3},
        ),
        "the smallest eigenvalue": (
            "def largest_step(gram):\n    return 2 / torch.linalg.eigvalsh(gram)[0].clamp(min=1e-9)\n\n" + LIMIT,
            {1, 2, 3},
        ),
        "the trace": ("def largest_step(gram):\n    return 2 / gram.trace()\n\n" + LIMIT, {1, 3}),
        "all entries, the limit from the message": (
            "def largest_step(gram):\n    return 2 / gram.norm()\n\n" + MESSAGE,
            {1},
        ),
        "the largest entry": ("def largest_step(gram):\n    return 2 / gram.max()\n\n" + LIMIT, {2, 3}),
        "the largest entry, the limit from the message": (
            "def largest_step(gram):\n    return 2 / gram.diagonal().max()\n\n" + MESSAGE,
            {2},
        ),
        "the sum of a row": ("def largest_step(gram):\n    return 2 / gram.abs().sum(1).max()\n\n" + LIMIT, {3}),
        "other inputs than one's own": (
            STEP
            + "start, _, _ = figure5_data()\ninputs = fig5.load_data(fig5.Figure5.at(), SEED + 1).to('cpu').inputs\n"
            "limit = largest_step(jacobian.gram(start, inputs))",
            {3},
        ),
        "the step of the paper's figure": (STEP + "limit = fig5.Figure5.at().step_size", {3}),
        "one that explodes": (STEP + "limit = 0.1", {3}),
    },
    "ex-samples": {
        "one step size for every n": (DISTANCE.replace("4 / n", "0.01") + MEAN_STEP, {2}),
        "that of 200 samples for every n": (DISTANCE.replace("4 / n", "0.02") + MEAN_STEP, {1}),
        "a step that shrinks faster": (DISTANCE.replace("4 / n", "1600 / n**2") + MEAN_STEP, {1, 2}),
        "the true labels": (DISTANCE.replace("given.labels", "given.clean_labels") + MEAN_STEP, {2}),
        "half of the iterations": (DISTANCE.replace("iterations=40", "iterations=20") + MEAN_STEP, {2}),
        "the square": (DISTANCE.replace("distance[-1]", "distance[-1] ** 2") + MEAN_STEP, {2}),
        "the last step alone": (DISTANCE.replace("path.distance[-1]", "path.distance.diff()[-1]") + MEAN_STEP, {1, 2}),
        "the distance at each iteration": (DISTANCE.replace("[-1]", "") + MEAN_STEP, {2}),
        "how far the weights are from zero": (
            DISTANCE.replace("path.distance[-1]", "path.weights.norm()") + MEAN_STEP,
            {2},
        ),
        "the largest singular value": (
            DISTANCE.replace("path.distance[-1]", "torch.linalg.matrix_norm(path.weights - start, 2)") + MEAN_STEP,
            {2},
        ),
        "a mean once more divided": (DISTANCE + "step_for_the_mean = 4 / 400", {3}),
        "the step of the sum": (DISTANCE + "step_for_the_mean = [4 / n for n in (100, 400, 1600)]", {3}),
    },
    "ex-theorem-clocks": {
        "σ for σ²": (
            "def left(sigma, eta, tau):\n    return (1 - eta * sigma) ** tau\n\n"
            "def halving_time(sigma, eta):\n    return math.log(0.5) / math.log(1 - eta * sigma)\n",
            {1, 4},
        ),
        "σ for σ² in what is left": (
            "def left(sigma, eta, tau):\n    return (1 - eta * sigma) ** tau\n\n" + HALVING,
            {1},
        ),
        "the same amount in each iteration": (
            "def left(sigma, eta, tau):\n    return 1 - tau * eta * sigma**2\n\n" + HALVING,
            {2},
        ),
        "one iteration, whatever τ is": (
            "def left(sigma, eta, tau):\n    return 1 - eta * sigma**2\n\n" + HALVING,
            {2},
        ),
        "continuous time": (
            "def left(sigma, eta, tau):\n    return math.exp(-eta * sigma**2 * tau)\n\n"
            "def halving_time(sigma, eta):\n    return math.log(2) / (eta * sigma**2)\n",
            {1, 2, 3},
        ),
        "what is learned": (
            "def left(sigma, eta, tau):\n    return 1 - (1 - eta * sigma**2) ** tau\n\n" + HALVING,
            {1, 2},
        ),
        "small steps": (LEFT + "def halving_time(sigma, eta):\n    return math.log(2) / (eta * sigma**2)\n", {3}),
        "rounded up": (LEFT + HALVING.replace("return ", "return math.ceil(").rstrip() + ")\n", {3}),
        "σ for σ² in the time": (LEFT + HALVING.replace("sigma**2", "sigma"), {4}),
        "the sign forgotten": (LEFT + HALVING.replace("0.5", "2"), {3, 4}),
    },
    "ex-theorem-middle": {
        "always by chance": ("def mean_of_flips(rho, to):\n    return -(1 - rho) + rho * 0.5\n\n" + LOST, {1}),
        "always an adversary": ("def mean_of_flips(rho, to):\n    return -1 + 2 * rho\n\n" + LOST, {2}),
        "right and wrong exchanged": ("def mean_of_flips(rho, to):\n    return -rho + (1 - rho) * to\n\n" + LOST, {2}),
        "wrong labels added": ("def mean_of_flips(rho, to):\n    return -1 + rho * to\n\n" + LOST, {1, 2}),
        "the border at 0": (MIXED + "lost_by_chance, lost_to_adversary = 2 / 3, 1 / 2", {3, 4}),
        "a half, as with two classes": (MIXED + "lost_by_chance, lost_to_adversary = 1 / 2, 1 / 2", {3, 4}),
        "chance is a majority vote": (MIXED + "lost_by_chance, lost_to_adversary = 1 / 2, 1 / 4", {3}),
        "two digits": (MIXED + "lost_by_chance, lost_to_adversary = 0.33, 0.25", {3}),
        "the theorem's limit": (MIXED + "lost_by_chance, lost_to_adversary = 1 / 3, 1 / 8", {4}),
        "the adversary is later": (MIXED + "lost_by_chance, lost_to_adversary = 1 / 4, 1 / 3", {3, 4}),
    },
    "ex-theorem-kappa": {
        "no square root": (
            kappa("w = t * u + (1 - t) * z", "return (derivative(u) * derivative(w)).mean().item()"),
            {2, 3},
        ),
        "nothing new in w": (kappa("return (derivative(u) * derivative(t * u)).mean()"), {3}),
        "the correlation without its sign": (
            kappa(
                "s = math.sqrt(1 - t**2)", "return (derivative(u) * derivative(math.sqrt(1 - s**2) * u + s * z)).mean()"
            ),
            {2},
        ),
        "the size of the slopes": (
            kappa("w = t * u + math.sqrt(1 - t**2) * z", "return (derivative(u) * derivative(w)).abs().mean()"),
            {1},
        ),
        "without a correlation": (kappa("return (derivative(u) * derivative(z)).mean()"), {1, 2, 3}),
        "a product of means": (
            kappa("w = t * u + math.sqrt(1 - t**2) * z", "return derivative(u).mean() * derivative(w).mean()"),
            {1, 2, 3},
        ),
        "the slope of a product": (
            kappa("w = t * u + math.sqrt(1 - t**2) * z", "return derivative(u * w).mean()"),
            {3},
        ),
        "a sum": (kappa("w = t * u + math.sqrt(1 - t**2) * z", "return (derivative(u) * derivative(w)).sum()"), {1, 3}),
        "every draw": (kappa("w = t * u + math.sqrt(1 - t**2) * z", "return derivative(u) * derivative(w)"), {1, 2, 3}),
        "uniform draws": (
            kappa(
                "u, z = torch.rand(2, samples)",
                "w = t * u + math.sqrt(1 - t**2) * z",
                "return (derivative(u) * derivative(w)).mean()",
            ),
            {1, 3},
        ),
    },
    "ex-theorem-stop": {
        "trained to the end": (stop(1600), {2}),
        "too early": (stop(1), {2}),
        "data of another student": (stop(WINDOW, seed="SEED + 1"), {1}),
        "fewer wrong labels": (stop(WINDOW, rho=0.2, radius=0.3), {1}),
        "not trained to the end": (stop(WINDOW, iterations=100), {3}),
        "clusters that are too wide": (stop(10, radius=0.6), {2}),
        "no wrong labels": (stop(20, rho=0.0), {1, 2, 3}),
        "another figure": ('address = lab.address("clocks", lab.state("clocks", seed=SEED))', {1, 2, 3}),
        "no link": ("address = None", {1, 2, 3}),
    },
}
