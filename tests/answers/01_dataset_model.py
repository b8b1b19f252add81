"""Answers to the exercises of chapter 1: right ones by their style, wrong ones by their misconception."""

NEARER = "def mistaken(X, C):\n    return torch.cdist(X, C).argmin(dim=1).double().mean()\n"
LOST = "lost_in_2, lost_in_20 = [20_000 * mistaken(*close_clusters(dim, 1.0)) for dim in (2, 20)]\n"
COUNTED = """
def counted(X, C):
    return ((X - C[1]).norm(dim=1) < (X - C[0]).norm(dim=1)).sum()

lost_in_2, lost_in_20 = counted(*close_clusters(2, 1.0)), counted(*close_clusters(20, 1.0))
"""
FLIPPED = "def flipped_share(rate, n_classes):\n    return rate * (1 - 1 / n_classes)\n"
RATE = "def rate_at_the_limit(n_classes):\n    return n_classes / (4 * (n_classes - 1) ** 2)\n"
MOST = "def most_clusters(eps):\n    return int(math.pi / math.asin(eps))\n"
ROOM = """
def fits(K):
    try:
        data.clusterable_dataset(K, K, 2, input_noise=0.2)
    except ValueError:
        return False
    return True

room_found = max(filter(fits, range(2, 16)))
"""
LIFT = "def lift(X):\n    return torch.cat([X, torch.ones(len(X), 1)], dim=1) / 2**0.5\n"
LAMBDAS = """
pair = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
lambdas = tuple(theory.smallest_eigenvalue(theory.cluster_covariance(C)) for C in (pair, lift(pair)))
"""
QUARTER = "quarter = 2**0.5\n"
ANGLE = "def walked_angle(r):\n    return 2 * math.asin(r / 2)\n"
EIGHT = "list(range(8))"


def outvoted(changed, prediction=6, seed="SEED", rho=0.0, more=""):
    """The answer whose link has these labels changed."""
    return f"""prediction = {prediction}
now = lab.state("stop", seed={seed}, corruption_rate={rho}, changed={changed}{more})
address = lab.address("stop", now)
"""


RIGHT = {
    "ex-dataset-radius": {
        "the nearest center": NEARER + LOST,
        "a loop": """
def mistaken(X, C):
    lost = 0
    for x in X:
        if (x - C[1]).norm() < (x - C[0]).norm():
            lost += 1
    return lost / len(X)

"""
        + COUNTED,
        "NumPy": """
import numpy as np

def mistaken(X, C):
    X, C = X.numpy(), C.numpy()
    distance = np.linalg.norm(X[:, None] - C, axis=2)
    return np.mean(distance[:, 1] < distance[:, 0])

lost_in_2, lost_in_20 = np.array([20_000 * mistaken(*close_clusters(dim, 1.0)) for dim in (2, 20)])
""",
        "correlations of unit vectors": """
def mistaken(X, C):
    near = X @ C.T
    return (near[:, 1] > near[:, 0]).float().mean().item()

lost_in_2, lost_in_20 = (20_000 * torch.tensor([mistaken(*close_clusters(dim, 1.0))]) for dim in (2, 20))
""",
        "rounded": """
def mistaken(X, C):
    squares = ((X[:, None] - C[None]) ** 2).sum(-1)
    return round((squares[:, 1] < squares[:, 0]).double().mean().item(), 3)

"""
        + COUNTED,
    },
    "ex-dataset-flips": {
        "as in the book": FLIPPED + RATE,
        "right ones taken away": "def flipped_share(rate, n_classes):\n    return rate - rate / n_classes\n" + RATE,
        "step by step": FLIPPED
        + """
def rate_at_the_limit(n_classes):
    delta = 2 / (n_classes - 1)
    share = delta / 8
    return share / flipped_share(1, n_classes)
""",
        "fractions": """
from fractions import Fraction

def flipped_share(rate, n_classes):
    return Fraction(rate) * Fraction(n_classes - 1, n_classes)

def rate_at_the_limit(n_classes):
    return Fraction(1, 4 * (n_classes - 1)) / Fraction(n_classes - 1, n_classes)
""",
        "tensors": """
def flipped_share(rate, n_classes):
    chance = torch.full((n_classes,), 1 / n_classes)
    return rate * chance[1:].sum()

def rate_at_the_limit(n_classes):
    labels = torch.linspace(-1, 1, n_classes)
    return labels.diff().min() / 8 / (1 - 1 / n_classes)
""",
        "NumPy": """
import numpy as np

def flipped_share(rate, n_classes):
    return np.array([rate * (n_classes - 1) / n_classes])

def rate_at_the_limit(n_classes):
    return np.divide(n_classes, np.square(2 * n_classes - 2))
""",
    },
    "ex-dataset-room": {
        "the formula": MOST + ROOM,
        "a tensor": "def most_clusters(eps):\n    return torch.floor(torch.pi / torch.asin(torch.tensor(eps)))\n"
        + ROOM,
        "NumPy": "import numpy as np\n\ndef most_clusters(eps):\n    return np.pi // np.arcsin(eps)\n" + ROOM,
        "polygons, one after the other": """
def most_clusters(eps):
    K = 2
    while math.sin(math.pi / (K + 1)) >= eps:
        K += 1
    return K

room_found = 2
while True:
    try:
        data.clusterable_dataset(room_found + 1, room_found + 1, 2, input_noise=0.2)
    except ValueError:
        break
    room_found += 1
""",
        "a cosine": """
def most_clusters(eps):
    apart = math.acos(1 - (2 * eps) ** 2 / 2)
    return math.floor(2 * math.pi / apart)

"""
        + ROOM
        + "room_found = float(room_found)",
    },
    "ex-dataset-odd": {
        "hstack": "def lift(X):\n    return torch.hstack([X, X.new_ones(len(X), 1)]) / math.sqrt(2)\n" + LAMBDAS,
        "NumPy": """
import numpy as np

def lift(X):
    return np.column_stack([X.numpy(), np.ones(len(X))]) / np.sqrt(2)

both = torch.eye(2)[1] * torch.tensor([[1.0], [-1.0]])
lambdas = np.array([theory.smallest_eigenvalue(theory.cluster_covariance(C.float()))
                    for C in (both, torch.from_numpy(lift(both)))])
""",
        "lists": """
def lift(X):
    return [[number / 2**0.5 for number in [*row, 1]] for row in X]

pair = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
lambdas = [theory.smallest_eigenvalue(theory.cluster_covariance(C)) for C in (pair, torch.tensor(lift(pair)))]
""",
        "each row to unit length": """
def lift(X):
    longer = torch.nn.functional.pad(X, (0, 1), value=1.0)
    return longer / longer.norm(dim=1, keepdim=True)

"""
        + LAMBDAS,
        "a loop, and eigenvalues by hand": """
def lift(X):
    return torch.stack([torch.cat([x, torch.ones(1)]) / 2**0.5 for x in X])

pair = torch.tensor([[0.0, 1.0], [0.0, -1.0]])
lambdas = torch.stack([torch.linalg.eigvalsh(theory.cluster_covariance(C)).min() for C in (pair, lift(pair))])
""",
        "rounded to three digits": LIFT + "lambdas = 0, 0.569",
    },
    "ex-dataset-walk": {
        "the half angle": ANGLE + QUARTER,
        "a cosine": "def walked_angle(r):\n    return math.acos(1 - r**2 / 2)\n\nquarter = math.sqrt(2)",
        "rounded": "def walked_angle(r):\n    return round(math.acos(1 - r**2 / 2), 3)\n\nquarter = 1.414",
        "both coordinates": """
def walked_angle(r):
    return math.atan2(r * math.sqrt(1 - r**2 / 4), 1 - r**2 / 2)

quarter = 2 * math.sin(math.pi / 4)
""",
        "NumPy": """
import numpy as np

def walked_angle(r):
    return 2 * np.arcsin(r / 2)

quarter = np.sqrt([2])
""",
        "vectors": """
def walked_angle(r):
    c, t = torch.eye(2)
    r = torch.tensor(float(r))
    x = (1 - r**2 / 2) * c + r * torch.sqrt(1 - r**2 / 4) * t
    return torch.acos((x @ c).clamp(-1, 1))

quarter = (torch.eye(2)[0] - torch.eye(2)[1]).norm()
""",
    },
    "ex-dataset-nearest": {
        "a matrix of distances": """
def classify(outputs, classes):
    return classes[(outputs[:, None] - classes).abs().argmin(dim=1)]
""",
        "a loop that gives a list": """
def classify(outputs, classes):
    found = []
    for output in outputs:
        best = classes[0]
        for label in classes:
            if abs(output - label) < abs(output - best):
                best = label
        found.append(best)
    return found
""",
        "a tuple of numbers": """
def classify(outputs, classes):
    return tuple(min(classes.tolist(), key=lambda label: abs(label - output)) for output in outputs.tolist())
""",
        "NumPy": """
import numpy as np

def classify(outputs, classes):
    outputs, classes = np.asarray(outputs), np.asarray(classes)
    return classes[np.argmin(np.abs(outputs[:, None] - classes[None, :]), axis=1)]
""",
        "borders between the labels": """
def classify(outputs, classes):
    return classes[torch.bucketize(outputs, (classes[:-1] + classes[1:]) / 2)]
""",
        "as a column": """
def classify(outputs, classes):
    return classes[torch.cdist(outputs[:, None], classes[:, None]).argmin(dim=1)][:, None]
""",
    },
    "ex-dataset-outvoted": {
        "the first seven": outvoted("list(range(7))"),
        "another cluster": outvoted("list(range(24, 32))", prediction=7),
        "guessed as a float": outvoted(EIGHT, prediction=5.0),
        "the whole address of a page": outvoted(EIGHT) + 'address = "https://a.org/index.html" + address',
        "a tensor, and a name that the checks use": outvoted(EIGHT, prediction="torch.tensor(6)")
        + "answers = lab.run(now).answers[-1]",
    },
}

WRONG = {
    "ex-dataset-radius": {
        "the other way round": (
            "def mistaken(X, C):\n    own, other = torch.cdist(X, C).T\n    return (own < other).double().mean()\n"
            + LOST,
            {1, 2, 3},
        ),
        "far from the first center is near to the second": (
            "def mistaken(X, C):\n    far = (X - C[0]).norm(dim=1) > (C[1] - C[0]).norm() / 2\n"
            "    return far.double().mean()\n" + LOST,
            {1, 2, 3},
        ),
        "outside the cluster": (
            "def mistaken(X, C):\n    return ((X - C[0]).norm(dim=1) > 0.3).double().mean()\n" + LOST,
            {1, 2, 3},
        ),
        "a count in place of a share": (
            "def mistaken(X, C):\n    return torch.cdist(X, C).argmin(dim=1).sum()\n" + COUNTED,
            {1},
        ),
        "always of 20,000": (
            "def mistaken(X, C):\n    return torch.cdist(X, C).argmin(dim=1).sum() / 20_000\n" + LOST,
            {1},
        ),
        "as a percentage": (
            "def mistaken(X, C):\n    return 100 * torch.cdist(X, C).argmin(dim=1).double().mean()\n" + COUNTED,
            {1},
        ),
        "centers in the first two coordinates": (
            "def mistaken(X, C):\n    return torch.cdist(X[:, :2], C[:, :2]).argmin(dim=1).double().mean()\n" + LOST,
            {1},
        ),
        "which ones in place of how many": (
            "def mistaken(X, C):\n    return torch.cdist(X, C).argmin(dim=1)\n" + COUNTED,
            {1},
        ),
        "nothing returned": ("def mistaken(X, C):\n    torch.cdist(X, C).argmin(dim=1)\n" + COUNTED, {1}),
        "shares in place of counts": (NEARER + LOST.replace("20_000 * ", ""), {2, 3}),
        "at another distance": (NEARER + LOST.replace("1.0", "0.5"), {2, 3}),
        "expected and not counted": (NEARER + LOST + "lost_in_2 = 20_000 / 4", {2}),
        "nobody in twenty dimensions": (NEARER + LOST + "lost_in_20 = 0", {3}),
    },
    "ex-dataset-flips": {
        "drawn again is wrong": ("def flipped_share(rate, n_classes):\n    return rate\n" + RATE, {1, 3}),
        "half of them, as with two classes": ("def flipped_share(rate, n_classes):\n    return rate / 2\n" + RATE, {3}),
        "0.9 of them, as with ten": ("def flipped_share(rate, n_classes):\n    return 0.9 * rate\n" + RATE, {1}),
        "those that come out right": ("def flipped_share(rate, n_classes):\n    return rate / n_classes\n" + RATE, {3}),
        "one δ for every number of classes": (
            FLIPPED + "def rate_at_the_limit(n_classes):\n    return 2 / 8 / flipped_share(1, n_classes)\n",
            {4},
        ),
        "0.9 for every number of classes": (
            FLIPPED + "def rate_at_the_limit(n_classes):\n    return 2 / (n_classes - 1) / 8 / 0.9\n",
            {2},
        ),
        "as many gaps as labels": (
            FLIPPED + "def rate_at_the_limit(n_classes):\n    return 2 / n_classes / 8 / (1 - 1 / n_classes)\n",
            {2, 4},
        ),
        "the share that is wrong, not the one drawn again": (
            FLIPPED + "def rate_at_the_limit(n_classes):\n    return 2 / (n_classes - 1) / 8\n",
            {2, 4},
        ),
    },
    "ex-dataset-room": {
        "an arc": ("def most_clusters(eps):\n    return int(torch.pi / eps)\n" + ROOM, {1}),
        "rounded to the nearest": ("def most_clusters(eps):\n    return round(math.pi / math.asin(eps))\n" + ROOM, {2}),
        "centers one radius apart": (
            "def most_clusters(eps):\n    return int(math.pi / math.asin(eps / 2))\n" + ROOM,
            {1, 2},
        ),
        "not a whole number": ("def most_clusters(eps):\n    return math.pi / math.asin(eps)\n" + ROOM, {1, 2}),
        "one more center than gaps": (
            "def most_clusters(eps):\n    return int(math.pi / math.asin(eps)) + 1\n" + ROOM,
            {1, 2},
        ),
        "half of the circle": (
            "def most_clusters(eps):\n    return int(math.pi / (2 * math.asin(eps)))\n" + ROOM,
            {1, 2},
        ),
        "the generator fills the circle": (MOST + "room_found = most_clusters(0.2)", {3}),
        "the first that finds no room": (MOST + ROOM + "room_found += 1", {3}),
        "twice the radius for the radius": (
            MOST
            + "for K in range(2, 7):\n    room_found = len(data.clusterable_dataset(K, K, 2, input_noise=0.4).centers)",
            {3},
        ),
    },
    "ex-dataset-odd": {
        "not divided": (LIFT.replace(" / 2**0.5", "") + "lambdas = 0, 0.5694", {1, 2}),
        "divided by two": (LIFT.replace("2**0.5", "2") + "lambdas = 0, 0.5694", {1, 2}),
        "the constant is not divided": (
            "def lift(X):\n    return torch.cat([X / 2**0.5, torch.ones(len(X), 1)], dim=1)\nlambdas = 0, 0.5694",
            {1, 2},
        ),
        "the constant stands first": (
            LIFT.replace("X, torch.ones(len(X), 1)", "torch.ones(len(X), 1), X") + LAMBDAS,
            {1},
        ),
        "all rows together to unit length": (
            "def lift(X):\n    longer = torch.cat([X, torch.ones(len(X), 1)], dim=1)\n"
            "    return longer / longer.norm()\n\nlambdas = 0, 0.5694",
            {2},
        ),
        "all four centers": (
            LIFT + "centers4 = four_clusters()[-1]\n"
            "lambdas = [theory.smallest_eigenvalue(theory.cluster_covariance(C)) for C in (centers4, lift(centers4))]",
            {3},
        ),
        "the largest eigenvalue": (
            LIFT + "pair = torch.tensor([[0.0, 1.0], [0.0, -1.0]])\n"
            "lambdas = [torch.linalg.eigvalsh(theory.cluster_covariance(C))[-1] for C in (pair, lift(pair))]",
            {3},
        ),
        "the correlation of the centers": (LIFT + "lambdas = -1, 0", {3}),
        "the lifted ones alone": (LIFT + LAMBDAS + "lambdas = lambdas[1]", {3}),
    },
    "ex-dataset-walk": {
        "the chord for the arc": ("def walked_angle(r):\n    return r\n\nquarter = math.pi / 2", {1, 2, 3}),
        "half of the angle": ("def walked_angle(r):\n    return math.asin(r / 2)\n" + QUARTER, {1, 2}),
        "in degrees": ("def walked_angle(r):\n    return math.degrees(2 * math.asin(r / 2))\n" + QUARTER, {1, 2}),
        "a cosine of 1 - r": ("def walked_angle(r):\n    return math.acos(1 - r)\n" + QUARTER, {1}),
        "from the sine, which is blind on the far side": (
            "def walked_angle(r):\n    return math.asin(r * math.sqrt(1 - r**2 / 4))\n" + QUARTER,
            {2},
        ),
        "the tangent without its side": (
            "def walked_angle(r):\n    return math.atan(r * math.sqrt(1 - r**2 / 4) / (1 - r**2 / 2))\n" + QUARTER,
            {2},
        ),
        "no such sine": ("def walked_angle(r):\n    return 2 * math.asin(r)\n" + QUARTER, {1, 2}),
        "the angle for the distance": (ANGLE + "quarter = math.pi / 2", {3}),
        "at distance 1": (ANGLE + "quarter = 1", {3}),
        "as text": (ANGLE + "quarter = '√2'", {3}),
    },
    "ex-dataset-nearest": {
        "rounded": ("def classify(outputs, classes):\n    return outputs.round().clamp(-1, 1)\n", {1, 2, 3}),
        "positions": (
            "def classify(outputs, classes):\n    return (outputs[:, None] - classes).abs().argmin(dim=1)\n",
            {1, 2, 3},
        ),
        "the sign": ("def classify(outputs, classes):\n    return outputs.sign()\n", {2, 3}),
        "three classes, as in Figure 2": (
            "def classify(outputs, classes):\n    low, middle, high = classes\n"
            "    found = torch.where(outputs < (low + middle) / 2, low, middle)\n"
            "    return torch.where(outputs > (middle + high) / 2, high, found)\n",
            {1},
        ),
        "between the labels below and above": (
            "def classify(outputs, classes):\n    found = []\n    for out in outputs:\n"
            "        below, above = classes[classes <= out].max(), classes[classes >= out].min()\n"
            "        found.append(below if out - below < above - out else above)\n    return found\n",
            {2},
        ),
        "evenly spaced": (
            "def classify(outputs, classes):\n    at = ((outputs - classes[0]) / (classes[1] - classes[0])).round()\n"
            "    return classes[at.clamp(0, len(classes) - 1).long()]\n",
            {3},
        ),
        "the label below": (
            "def classify(outputs, classes):\n"
            "    return classes[(torch.searchsorted(classes, outputs) - 1).clamp(0, len(classes) - 1)]\n",
            {1, 3},
        ),
        "one output alone": (
            "def classify(outputs, classes):\n    return classes[(outputs[0] - classes).abs().argmin()]\n",
            {1, 2, 3},
        ),
    },
    "ex-dataset-outvoted": {
        "three labels, and all twelve expected": (outvoted("[0, 1, 2]", prediction=12), {2, 4}),
        "too few labels": (outvoted("[0, 1, 2]"), {2}),
        "data of another student": (outvoted(EIGHT, seed="SEED + 1"), {1}),
        "with other wrong labels": (outvoted(EIGHT, rho=0.1), {1}),
        "with other clusters": (outvoted(EIGHT, more=", input_noise=0.4"), {1}),
        "hardly trained": (outvoted("[0]", more=", pace=0.01"), {1}),
        "hardly trained, and another cluster is lost": (outvoted("[12]", more=", pace=0.01"), {1, 2}),
        "labels of two clusters": (outvoted("[*range(8), 12]"), {3}),
        "every label of the cluster": (outvoted("list(range(12))"), {3}),
        "one is enough": (outvoted(EIGHT, prediction=1), {4}),
        "all of them": (outvoted(EIGHT, prediction=12), {4}),
        "another figure": ('prediction = 6\naddress = "#lab-vote"\n', {1, 2, 3}),
        "no link": ('prediction = 6\naddress = "Stop here"\n', {1, 2, 3}),
    },
}
