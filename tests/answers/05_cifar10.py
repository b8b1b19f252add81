"""Answers to the exercises of chapter 5; see tests/test_answers.py for what they have to show."""


def losses(right="0.5 * (p**2 + (n_classes - 1) * o**2)",
           wrong="0.5 * ((1 - p) ** 2 + (1 - o) ** 2 + (n_classes - 2) * o**2)",
           pair="({}, {})", other="p / (n_classes - 1)"):  # fmt: skip
    """Both losses, with the entry `o` of another class at hand."""
    return f"def two_losses(p, n_classes=10):\n    o = {other}\n    return {pair.format(right, wrong)}\n"


def suspects(precision="found / (found + false) if found + false else None", recall="found / len(wrong)",
             pair="({}, {})", middle="(1 - DRAWN) / 2 + 0.45 * DRAWN**2", stopped="stopped_losses",
             end="end_losses"):  # fmt: skip
    """Precision and recall, with two counts at hand, and both of the run."""
    return f"""
def precision_recall(right, wrong, threshold):
    false, found = (right > threshold).sum().item(), (wrong > threshold).sum().item()
    return {pair.format(precision, recall)}

when_stopped = precision_recall(*{stopped}, {middle})
in_the_end = precision_recall(*{end}, {middle})
"""


BY_THE_FIGURE = """
stops = guess.histograms(cell, large["config"])
when_stopped, in_the_end = (guess.suspects(stops[one], 15 if DRAWN == 0.5 else 16)[1:]
                            for one in ("by validation labels", "at the end"))
"""


def step(body):
    """A largest step."""
    return f"def largest_nesterov_step(curvature, beta):\n    return {body}\n"


def ranking(body):
    """A ranking with all pairs at hand."""
    return f"def ranking(right, wrong):\n    pairs = [(r, w) for r in right for w in wrong]\n    return {body}\n"


def bells(overlap="2 * normal_cdf(-gap / 2)", auroc="normal_cdf(gap / 2**0.5)", gap="3.92"):
    """Overlap, AUROC and the gap."""
    functions = f"def bell_overlap(gap):\n    return {overlap}\n\ndef bell_auroc(gap):\n    return {auroc}\n\n"
    return f"{functions}gap_at_5_percent = {gap}\n"


GOOD = "0.4 if DRAWN == 0.5 else 0.475"


def link(threshold=GOOD, run="RUN", drawn="DRAWN", moment="by validation labels", end="False"):
    """A link to the figure, and whether there is a threshold at the end."""
    settings = f"drawn_again={drawn}, run={run}, moment={moment!r}, threshold={threshold}"
    return f'also_at_the_end = {end}\naddress = lab.address("guess", lab.state("guess", {settings}))\n'


RIGHT = {
    "ex-cifar-gap": {
        "list": losses(pair="[{}, {}]"),
        "closed form": losses("0.5 * p**2 * n_classes / (n_classes - 1)",
                              "1 - p * n_classes / (n_classes - 1) + 0.5 * p**2 * n_classes / (n_classes - 1)"),
        "mean label as a tensor": """
def two_losses(p, n_classes):
    f = torch.full((n_classes,), p / (n_classes - 1), dtype=torch.float64)
    f[0] = 1 - p
    labels = torch.eye(n_classes, dtype=torch.float64)[:2]
    return (f - labels).square().sum(dim=1) / 2
""",
        "array": """
import numpy as np

def two_losses(p, n_classes):
    f = np.r_[1 - p, np.full(n_classes - 1, p / (n_classes - 1))]
    return np.array([0.5 * np.linalg.norm(f - np.eye(n_classes)[label]) ** 2 for label in (0, 1)])
""",
        "loop": """
def two_losses(p, n_classes):
    found = []
    for given in (0, 1):
        total = 0.0
        for c in range(n_classes):
            total += ((1 - p if c == 0 else p / (n_classes - 1)) - (c == given)) ** 2
        found.append(total / 2)
    return found
""",
        "the proposition with another rate": """
from earlystop import theory

def two_losses(p, n_classes=10):
    return theory.conditional_mean_losses(p * n_classes / (n_classes - 1), n_classes)
""",
        "float32, rounded": losses(pair="(torch.tensor({}), round({}, 4))"),
    },
    "ex-cifar-threshold": {
        "list": suspects(pair="[{}, {}]"),
        "not a number instead of None": suspects(precision="found / (found + false) if found + false else math.nan"),
        "array": "import numpy as np\n\n" + suspects(
            precision="np.divide(found, found + false) if found + false else np.nan", pair="np.array([{}, {}])"),
        "means of masks": """
def precision_recall(right, wrong, threshold):
    suspect = torch.cat([right, wrong]) > threshold
    is_wrong = torch.arange(len(suspect)) >= len(right)
    if not suspect.any():
        return None, torch.tensor(0.0)
    return is_wrong[suspect].double().mean(), suspect[is_wrong].double().mean()

middle = sum([0.45 * DRAWN**2, 1 - DRAWN + 0.45 * DRAWN**2]) / 2
when_stopped, in_the_end = (precision_recall(*one, middle) for one in (stopped_losses, end_losses))
""",
        "loop": """
def precision_recall(right, wrong, threshold):
    true_positive = false_positive = 0
    for loss in wrong.tolist():
        if loss > threshold:
            true_positive += 1
    for loss in right.tolist():
        if loss > threshold:
            false_positive += 1
    try:
        precision = true_positive / (true_positive + false_positive)
    except ZeroDivisionError:
        precision = None
    return [precision, true_positive / len(wrong)]

right_loss = 0.45 * DRAWN**2
wrong_loss = 1 - DRAWN + right_loss
when_stopped = precision_recall(*stopped_losses, (right_loss + wrong_loss) / 2)
in_the_end = precision_recall(*end_losses, (right_loss + wrong_loss) / 2)
""",
        "rounded": suspects() + """
when_stopped, in_the_end = ([round(x, 3) for x in pair] for pair in (when_stopped, in_the_end))
""",
        "the package's losses": "from earlystop import theory\n" + suspects(
            middle="sum(theory.conditional_mean_losses(DRAWN, 10)) / 2", pair="({}, float({}))"),
    },
    "ex-cifar-step": {
        "one plus a share": step("(1 + 1 / (1 + 2 * beta)) / curvature"),
        "tensor": step("torch.tensor((2 + 2 * beta) / (1 + 2 * beta)) / curvature"),
        "two parts": """
def largest_nesterov_step(curvature, beta):
    q = -1 / (1 + 2 * beta)
    return (1 - q) / curvature
""",
        "NumPy, from the roots": """
import numpy as np

def largest_nesterov_step(curvature, beta):
    low, high = 0.5, 3.0
    for _ in range(60):
        middle = (low + high) / 2
        q = 1 - middle
        bounded = abs(np.roots([1, -(1 + beta) * q, beta * q])).max() <= 1
        low, high = (middle, high) if bounded else (low, middle)
    return low / curvature
""",
        "tried in a loop": """
def largest_nesterov_step(curvature, beta):
    for share in range(1000, 2100):
        x, y, q = 1.0, 1.0, 1 - share / 1000
        for _ in range(400):
            x, y = y, q * ((1 + beta) * y - beta * x)
        if abs(y) > 2:
            return (share - 1) / 1000 / curvature
    return 2 / curvature
""",
        "rounded": step("round((2 + 2 * beta) / (1 + 2 * beta) / curvature, 3)"),
    },
    "ex-cifar-auroc": {
        "loop": ranking("sum(1.0 if w > r else 0.5 if w == r else 0.0 for r, w in pairs) / len(pairs)"),
        "signs": """
def ranking(right, wrong):
    return 0.5 + 0.5 * torch.sign(wrong[None] - right[:, None]).mean()
""",
        "NumPy": """
import numpy as np

def ranking(right, wrong):
    difference = np.subtract.outer(wrong.numpy(), right.numpy())
    return np.heaviside(difference, 0.5).mean()
""",
        "searchsorted": """
from earlystop import metrics

def ranking(right, wrong):
    return metrics.auroc(right, wrong)
""",
        "scikit-learn": """
from sklearn.metrics import roc_auc_score

def ranking(right, wrong):
    return roc_auc_score([0] * len(right) + [1] * len(wrong), torch.cat([right, wrong]).numpy())
""",
        "ranks": """
from scipy.stats import rankdata

def ranking(right, wrong):
    ranks = rankdata([*right.tolist(), *wrong.tolist()])[len(right):]
    return (ranks.sum() - len(wrong) * (len(wrong) + 1) / 2) / (len(right) * len(wrong))
""",
        "a fraction": "from fractions import Fraction\n\n" + ranking(
            "Fraction(sum(2 * bool(w > r) + bool(w == r) for r, w in pairs), 2 * len(pairs))"),
    },
    "ex-cifar-bells": {
        "upper tails": bells("2 * (1 - normal_cdf(abs(gap) / 2))", "1 - normal_cdf(-gap / 2**0.5)", "2 * 1.96"),
        "error function": bells("1 - math.erf(gap / 8**0.5)", "0.5 + 0.5 * math.erf(gap / 2)", "3.9199"),
        "SciPy": "from scipy.stats import norm\n\n" + bells(
            "2 * norm.sf(gap / 2)", "norm.cdf(gap, scale=2**0.5)", "-2 * norm.ppf(0.025)"),
        "integrated": bells(gap="[3.92]").replace(
            "return 2 * normal_cdf(-gap / 2)", """x = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    p, q = (torch.exp(-((x - m) ** 2) / 2) / math.sqrt(2 * math.pi) for m in (-gap / 2, gap / 2))
    return torch.trapezoid(torch.minimum(p, q), x)"""),
        "NumPy, integrated": "import numpy as np\n\n" + bells(gap="np.float64(3.92)").replace(
            "return normal_cdf(gap / 2**0.5)", """x = np.linspace(-12, 12, 4801)
    density = np.exp(-((x - gap) ** 2) / 2) / np.sqrt(2 * np.pi)
    return np.sum(density * np.array([normal_cdf(one) for one in x])) * (x[1] - x[0])"""),
        "bisected": bells(gap="1.0") + """
low, high = 0.0, 10.0
for _ in range(50):
    middle = (low + high) / 2
    low, high = (middle, high) if bell_overlap(middle) > 0.05 else (low, middle)
gap_at_5_percent = torch.tensor(low)
""",
    },
    "ex-cifar10-suspects": {
        "by the figure": link(),
        "the whole link": """
also_at_the_end = False
address = f"https://example.org/book/05_cifar10.html#lab-guess&drawn_again={DRAWN}&run={RUN}&threshold=0.425"
""",
        "its end, with zero for no": 'also_at_the_end = 0\naddress = f"#lab-guess&threshold=0.4&run={RUN}"',
        "a threshold between two bars": link("0.41 if DRAWN == 0.5 else 0.48", end="torch.tensor(False)"),
        "with blanks": 'also_at_the_end = 1 > 2\naddress = f" #lab-guess&run={RUN}&threshold=0.45 "',
        "NumPy's no": "import numpy as np\n\n" + link("0.375 if DRAWN == 0.5 else 0.475", end="np.bool_(False)"),
    },
}  # fmt: skip

WRONG = {
    "ex-cifar-gap": {
        "a right label is missed at its class only": (losses(right="0.5 * p**2"), {1}),
        "a wrong label is missed at two classes only": (losses(wrong="0.5 * ((1 - p) ** 2 + (1 - o) ** 2)"), {2}),
        "ten classes whatever is asked": (
            losses(wrong="0.5 * ((1 - p) ** 2 + (1 - p / 9) ** 2 + 8 * (p / 9) ** 2)", other="p / 9"), {3}),
        "the given label has no share in f": (losses(wrong="0.5 * ((1 - p) ** 2 + 1)"), {2, 3}),
        "all mistakes go to one class": (losses("p**2", "(1 - p) ** 2"), {1, 2}),
        "without the half": (
            losses("p**2 + (n_classes - 1) * o**2", "(1 - p) ** 2 + (1 - o) ** 2 + (n_classes - 2) * o**2"), {1, 2, 3}),
        "distances instead of squares": (
            losses("(p**2 + (n_classes - 1) * o**2) ** 0.5",
                   "((1 - p) ** 2 + (1 - o) ** 2 + (n_classes - 2) * o**2) ** 0.5"),
            {1, 2, 3}),
        "p drawn again over all classes": (losses("0.45 * p**2", "1 - p + 0.45 * p**2"), {1, 2, 3}),
        "spread over all classes": (losses(other="p / n_classes"), {1, 2, 3}),
        "the wrong one first": (losses(pair="({1}, {0})"), {1, 2, 3}),
        "one number": (losses(pair="{}"), {1, 2, 3}),
    },
    "ex-cifar-threshold": {
        "right labels that are left alone, and the run by the figure": (
            suspects(precision="1 - false / len(right) if found + false else None") + BY_THE_FIGURE, {1}),
        "a share of all images, and the run by the figure": (
            suspects(recall="found / (len(right) + len(wrong))") + BY_THE_FIGURE, {2}),
        "accuracy": (
            suspects(precision="(found + len(right) - false) / len([*right, *wrong]) if found + false else None"),
            {1, 4}),
        "a share of all images": (suspects(recall="found / (len(right) + len(wrong))"), {2, 4}),
        "divided by no suspects": (suspects(precision="found / (found + false)"), {3}),
        "zero without suspects": (suspects(precision="found / max(1, found + false)"), {3}),
        "recall first": (suspects(pair="({1}, {0})"), {1, 2, 3, 4}),
        "suspects below the threshold": (
            suspects().replace("> threshold", "< threshold"), {1, 3, 4}),
        "the gap as threshold": (suspects(middle="(1 - DRAWN)"), {4}),
        "the loss of a wrong label as threshold": (suspects(middle="(1 - DRAWN + 0.45 * DRAWN**2)"), {4}),
        "both at the same time": (suspects(end="stopped_losses"), {4}),
        "exchanged": (suspects(stopped="end_losses", end="stopped_losses"), {4}),
        "functions instead of values": (suspects() + "\nwhen_stopped = in_the_end = precision_recall\n", {4}),
    },
    "ex-cifar-step": {
        "curvature forgotten": (step("(2 + 2 * beta) / (1 + 2 * beta)"), {1}),
        "a straight line": (step("(2 - beta) / curvature"), {2}),
        "the number of the chapter": (step("(1.36 if beta else 2) / curvature"), {3}),
        "gradient descent": (step("2 / curvature"), {2, 3}),
        "Polyak's momentum": (step("(2 + 2 * beta) / curvature"), {2, 3}),
        "an effective step": (step("2 * (1 - beta) / curvature"), {2, 3}),
        "the best instead of the largest": (step("1 / curvature"), {1, 2, 3}),
        "the other root": (step("(1 - 1 / (1 + 2 * beta)) / curvature"), {1, 2, 3}),
        "unbounded": (step("float('inf')"), {1, 2, 3}),
    },
    "ex-cifar-auroc": {
        "right labels above wrong ones": (
            ranking("sum(0.5 + 0.5 * float(torch.sign(r - w)) for r, w in pairs) / len(pairs)"), {1}),
        "place by place": ("""
def ranking(right, wrong):
    return sum(1.0 if w > r else 0.5 if w == r else 0.0 for r, w in zip(right, wrong)) / min(len(right), len(wrong))
""", {2}),
        "ties do not count": (ranking("sum(bool(w > r) for r, w in pairs) / len(pairs)"), {3}),
        "ties count fully": (ranking("sum(bool(w >= r) for r, w in pairs) / len(pairs)"), {3}),
        "above the mean": ("""
def ranking(right, wrong):
    return (0.5 + 0.5 * torch.sign(wrong - right.mean())).mean()
""", {4}),
        "the means are compared": ("""
def ranking(right, wrong):
    return 0.5 + 0.5 * torch.sign(wrong.mean() - right.mean())
""", {4}),
        "number of pairs": (ranking("sum(1.0 if w > r else 0.5 if w == r else 0.0 for r, w in pairs)"), {1, 2, 3, 4}),
        "same lengths are expected": ("""
def ranking(right, wrong):
    return (wrong > right).float().mean() + 0.5 * (wrong == right).float().mean()
""", {2, 3, 4}),
        "accuracy of the best threshold": ("""
def ranking(right, wrong):
    found = [(wrong > t).double().mean() + (right <= t).double().mean() for t in torch.cat([right, wrong])]
    return max(found) / 2
""", {2, 4}),
    },
    "ex-cifar-bells": {
        "one tail": (bells("normal_cdf(-abs(gap) / 2)"), {1}),
        "tails beyond the means": (bells("2 * normal_cdf(-abs(gap))"), {1}),
        "one minus both tails": (bells("1 - 2 * normal_cdf(-abs(gap) / 2)"), {1}),
        "the variance of one loss": (bells(auroc="normal_cdf(gap)"), {2}),
        "twice the standard deviation": (bells(auroc="normal_cdf(gap / 2)"), {2}),
        "the probability of the right label": (bells(auroc="normal_cdf(-gap / 2**0.5)"), {2}),
        "half of the gap": (bells(gap="1.96"), {3}),
        "5% in each tail": (bells(gap="3.29"), {3}),
        "5% of a single density": (bells(gap="1.645"), {3}),
        "not set": (bells(gap="None"), {3}),
    },
    "ex-cifar10-suspects": {
        "another run": (link(run="RUN % 3 + 1"), {1}),
        "another share": (link(drawn="1 - DRAWN - 0.2"), {1}),
        "at the end": (link(moment="at the end"), {1}),
        "too low": (link("0.05"), {2}),
        "the loss of wrong labels": (link("0.6125"), {2}),
        "at the end as well": (link(end="True"), {3}),
        "not said": (link(end="None"), {3}),
        "in words": (link(end="'no'"), {3}),
        "no link": ("also_at_the_end = False\naddress = 'threshold 0.425'", {1, 2}),
        "another figure": ('also_at_the_end = False\naddress = lab.address("far", lab.state("far"))', {1, 2}),
        "nothing": ('also_at_the_end = None\naddress = ""', {1, 2, 3}),
    },
}  # fmt: skip
