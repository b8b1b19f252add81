"""Answers to the exercises of chapter 4; see tests/test_answers.py for what they have to show."""


def rule(body):
    """A stopping rule with `share` at hand."""
    return "def stopping_epoch(accuracy, rate):\n    share = 1 - 0.9 * rate\n" + body


EVEN = "return [1 - rate + rate / n_classes] + [rate / n_classes] * (n_classes - 1)"


def mean_label(body=EVEN, uniform="1", following="0.5"):
    """Mean label and both limits."""
    limits = f"limit_uniform = {uniform}\nlimit_next = {following}\n"
    return f"def mean_label(rate, n_classes):\n    {body}\n\n{limits}"


def weights(body, pixels="((side - 4) // 2) ** 2"):
    """A count of weights with the widths at hand."""
    head = "def weights_of(widths, side=28, n_classes=10):\n    first, second, hidden = widths\n"
    return f"{head}    pixels = {pixels}\n    return {body}\n"


def memorized(given="1 - 0.9 * rate * (1 - m)", true="1 - 0.9 * rate * m", back="1 - (1 - given) / (0.9 * rate)",
              mine="memorized_share(given_in_the_end, DRAWN)", pair="({}, {})"):  # fmt: skip
    """Both functions and the share of the run."""
    pair = f"def accuracies(m, rate):\n    return {pair.format(given, true)}\n\n"
    return f"{pair}def memorized_share(given, rate):\n    return {back}\n\nmemorized = {mine}\n"


def link(drawn="DRAWN", run="RUN", epoch="3", figure="guess"):
    """A link to the figure."""
    return f'address = lab.address("{figure}", lab.state("{figure}", drawn_again={drawn}, run={run}, epoch={epoch}))'


COUNT = "first * 10 + second * (9 * first + 1) + hidden * (second * pixels + 1) + n_classes * (hidden + 1)"

RIGHT = {
    "ex-mnist-other": {
        "two cases": """
def share_right(rate, n_classes, own_included):
    if own_included:
        return (1 - rate) + rate / n_classes
    return 1 - rate
""",
        "sum over the new labels": """
def share_right(rate, n_classes, own_included):
    new = range(n_classes) if own_included else range(1, n_classes)
    return 1 - rate + sum(rate / len(new) for label in new if label == 0)
""",
        "fractions": """
from fractions import Fraction

def share_right(rate, n_classes, own_included):
    kept = 1 - Fraction(rate)
    return kept + Fraction(rate) * Fraction(1, n_classes) * own_included
""",
        "tensor": """
def share_right(rate, n_classes, own_included):
    new = torch.arange(n_classes)[0 if own_included else 1:]
    return 1 - rate * (new != 0).float().mean()
""",
        "array, rounded": """
import numpy as np

def share_right(rate, n_classes, own_included):
    right = np.where(own_included, 1 - rate + rate / n_classes, 1 - rate)
    return np.round(right, 3)
""",
    },
    "ex-mnist-majority": {
        "list": mean_label(),
        "array": "import numpy as np\n\n" + mean_label(
            "return (1 - rate) * np.eye(n_classes)[0] + rate * np.full(n_classes, 1 / n_classes)",
            "1.0", "np.float64(0.5)"),
        "loop, rounded": mean_label(
            "return tuple(round((c == 0) * (1 - rate) + rate / n_classes, 3) for c in range(n_classes))", "1", "1 / 2"),
        "tensor in float64": mean_label(
            "return torch.eye(n_classes, dtype=torch.float64)[0].lerp("
            "torch.full((n_classes,), 1 / n_classes, dtype=torch.float64), rate)",
            "torch.tensor(1)", "torch.tensor(0.5)"),
        "a row, from wrong and right": mean_label(
            "wrong = rate * (n_classes - 1) / n_classes\n"
            "    return torch.tensor([[1 - wrong] + [wrong / (n_classes - 1)] * (n_classes - 1)])"),
    },
    "ex-mnist-rule": {
        "next with a default": rule(
            "    return next((i for i, a in enumerate(accuracy) if a >= share), len(accuracy) - 1)\n"),
        "loop": rule("""    for epoch in range(len(accuracy)):
        if accuracy[epoch] >= share:
            return epoch
    return epoch
"""),
        "tensor": rule("""    reached = torch.tensor(accuracy) >= share
    return reached.int().argmax() if reached.any() else torch.tensor(len(accuracy) - 1)
"""),
        "NumPy": "import numpy as np\n\n" + rule("""    reached = np.flatnonzero(np.asarray(accuracy) >= share)
    return reached[0] if reached.size else len(accuracy) - 1
"""),
        "while, as a float": rule("""    at = 0
    while accuracy[at] < share and at < len(accuracy) - 1:
        at += 1
    return float(at)
"""),
        "running maximum": rule("""    from itertools import accumulate
    return min(sum(top < share for top in accumulate(accuracy, max)), len(accuracy) - 1)
"""),
    },
    "ex-mnist-count": {
        "layer by layer": weights(
            "sum([9 * first + first, 9 * first * second + second,\n"
            "                pixels * second * hidden + hidden, hidden * n_classes + n_classes])"),
        "sides in a loop": """
def weights_of(widths, side=28, n_classes=10):
    total, inner = 0, 1
    for outer in widths[:2]:
        total, inner, side = total + 9 * inner * outer + outer, outer, side - 2
    inner *= (side // 2) ** 2
    for outer in (widths[2], n_classes):
        total, inner = total + inner * outer + outer, outer
    return total
""",
        "by the package": """
from earlystop import architectures

def weights_of(widths, side=28, n_classes=10):
    return architectures.count_parameters(architectures.conv_net((1, side, side), widths, n_classes=n_classes))
""",
        "by layers of PyTorch": """
def weights_of(widths, side, n_classes):
    from torch import nn
    a, b, c = widths
    filters = nn.Sequential(nn.Conv2d(1, a, 3), nn.Conv2d(a, b, 3), nn.MaxPool2d(2))
    network = nn.Sequential(filters, nn.Flatten(), nn.LazyLinear(c), nn.Linear(c, n_classes))
    network(torch.zeros(1, 1, side, side))
    return sum(p.numel() for p in network.parameters())
""",
        "NumPy": "import numpy as np\n\n" + weights(
            "np.dot([1, first, second * pixels, hidden], [9 * first, 9 * second, hidden, n_classes])"
            " + np.sum([first, second, hidden, n_classes])", "int((side - 4) / 2) ** 2"),
        "as a float": weights(f"float({COUNT})", "(side // 2 - 2) ** 2"),
    },
    "ex-mnist-memorized": {
        "list": memorized(pair="[{}, {}]"),
        "tensor": memorized(pair="torch.tensor([{}, {}])", back="torch.tensor(1 - (1 - given) / (0.9 * rate))"),
        "shares of four groups": memorized(
            given="(1 - 0.9 * rate) + 0.9 * rate * m", true="(1 - 0.9 * rate) + 0.9 * rate * (1 - m)",
            back="(given - (1 - 0.9 * rate)) / (0.9 * rate)"),
        "array": "import numpy as np\n\n" + memorized(
            pair="np.array([{}, {}])", back="np.interp(given, [1 - 0.9 * rate, 1], [0, 1])"),
        "rounded": memorized(
            pair="(round({}, 3), round({}, 3))", mine="round(float(memorized_share(given_in_the_end, DRAWN)), 3)"),
        "mine by hand": memorized(mine="1 - (1 - run['noisy'][-1]) / (0.9 * DRAWN)"),
        "wrong share first": """
def accuracies(m, rate):
    wrong = rate - rate / 10
    by_given, by_true = 1 - (1 - m) * wrong, 1 - m * wrong
    return by_given, by_true

def memorized_share(given, rate):
    wrong = rate - rate / 10
    return (wrong - (1 - given)) / wrong

share = memorized_share(rate=DRAWN, given=given_in_the_end)
memorized = [share]
""",
    },
    "ex-mnist-guess": {
        "wrong validation labels": """
now = lab.state("guess", drawn_again=DRAWN, run=RUN)
address = lab.address("guess", now | {"epoch": max(range(1, 40), key=run_of(now)["noisy_validation"].__getitem__)})
""".replace("run_of(now)", 'guess.chosen(page.load("fig1", losses="least_squares"), now)'),
        "the whole link": 'address = f"https://example.org/book/04_mnist.html#lab-guess&drawn_again={DRAWN}&run={RUN}&epoch=5"',
        "its end": 'address = f"#lab-guess&epoch=4&run={RUN}"',
        "with blanks": 'address = f"  http://localhost:8000/book/04_mnist.html#lab-guess&run={RUN}&epoch=3\\n"',
        "a late guess, good enough": link(epoch="6"),
        "the truth told": 'address = f"#lab-guess&run={RUN}&epoch=5&told=true"',
    },
}  # fmt: skip

WRONG = {
    "ex-mnist-other": {
        "the luck is subtracted": ("""
def share_right(rate, n_classes, own_included):
    return 1 - rate / n_classes if own_included else 1 - rate
""", {1}),
        "always with luck": ("""
def share_right(rate, n_classes, own_included):
    return 1 - rate * (1 - 1 / n_classes)
""", {2}),
        "ten classes whatever is asked": ("""
def share_right(rate, n_classes, own_included):
    return 1 - 0.9 * rate if own_included else 1 - rate
""", {3}),
        "the line of the chapter": ("""
def share_right(rate, n_classes, own_included):
    return 1 - 0.9 * rate
""", {2, 3}),
        "the share of wrong labels": ("""
def share_right(rate, n_classes, own_included):
    return rate * (1 - 1 / n_classes) if own_included else rate
""", {1, 2, 3}),
        "luck among the others": ("""
def share_right(rate, n_classes, own_included):
    return 1 - rate + rate / (n_classes - 1) if own_included else 1 - rate
""", {1, 3}),
        "the protocols exchanged": ("""
def share_right(rate, n_classes, own_included):
    return 1 - rate if own_included else 1 - rate + rate / n_classes
""", {1, 2, 3}),
        "in per cent": ("""
def share_right(rate, n_classes, own_included):
    return 100 * (1 - rate * (1 - 1 / n_classes if own_included else 1))
""", {1, 2, 3}),
        "printed, not returned": ("""
def share_right(rate, n_classes, own_included):
    print(1 - rate * (1 - 1 / n_classes if own_included else 1))
""", {1, 2, 3}),
    },
    "ex-mnist-majority": {
        "no luck for the true class": (
            mean_label("return [1 - rate] + [rate / n_classes] * (n_classes - 1)"), {1}),
        "all of it to the others": (
            mean_label("return [1 - rate + rate / n_classes] + [rate / (n_classes - 1)] * (n_classes - 1)"), {2}),
        "only wrong classes are drawn": (
            mean_label("return torch.tensor([1 - rate] + [rate / (n_classes - 1)] * (n_classes - 1))", following="1.0"),
            {1, 2, 4}),
        "ten classes whatever is asked": (
            mean_label("return [1 - 0.9 * rate] + [0.1 * rate] * 9"), {1, 2}),
        "ten entries whatever is asked": (
            mean_label("return [1 - rate + rate / n_classes] + [rate / n_classes] * 9"), {2}),
        "only the entry of the true class": (mean_label("return 1 - rate + rate / n_classes"), {1, 2}),
        "more than half": (
            mean_label(uniform="0.5 / 0.9"),
            {3}),
        "a limit for the share of wrong labels": (
            mean_label(uniform="0.9"), {3}),
        "a limit for the labels drawn again": (
            mean_label(following="0.5 / 0.9"),
            {4}),
        "one-sided mistakes like random ones": (
            mean_label(following="1"), {4}),
    },
    "ex-mnist-rule": {
        "no luck": ("""
def stopping_epoch(accuracy, rate):
    reached = [at for at, value in enumerate(accuracy) if value >= 1 - rate]
    return reached[0] if reached else len(accuracy) - 1
""", {1}),
        "nothing for a share that is not reached": (
            rule("    for at, value in enumerate(accuracy):\n        if value >= share:\n            return at\n"),
            {2}),
        "ends where the share is not reached": (
            rule("    return [at for at, value in enumerate(accuracy) if value >= share][0]\n"), {2}),
        "a bisection, as if accuracy never fell": (
            rule("    import bisect\n    return min(bisect.bisect_left(accuracy, share), len(accuracy) - 1)\n"), {3}),
        "epochs below are counted": (
            rule("    return min(sum(value < share for value in accuracy), len(accuracy) - 1)\n"), {3}),
        "the closest": (
            rule("    return min(range(len(accuracy)), key=lambda at: abs(accuracy[at] - share))\n"), {4}),
        "the last one below": (
            rule("    return max(at for at, value in enumerate(accuracy) if value <= share)\n"), {1, 3, 4}),
        "the last crossing": (
            rule("    return max((i for i, a in enumerate(accuracy) if a >= share), default=len(accuracy) - 1)\n"),
            {1, 3}),
        "the best accuracy": (rule("    return accuracy.index(max(accuracy))\n"), {1, 3}),
        "the accuracy instead of its position": (
            rule("    return next((value for value in accuracy if value >= share), accuracy[-1])\n"), {1, 2, 3, 4}),
        "counted from 1": (
            rule("    return next((i for i, a in enumerate(accuracy, 1) if a >= share), len(accuracy))\n"),
            {1, 2, 3, 4}),
    },
    "ex-mnist-count": {
        "the second convolution sees one channel": (weights(COUNT.replace("9 * first", "9")), {1}),
        "one side of the image": (weights(COUNT, "(side - 4) // 2"), {1}),
        "one bias a layer": (
            weights("9 * first + 9 * first * second + hidden * second * pixels + n_classes * hidden + 4"), {1, 2}),
        "no biases": (
            weights("9 * first + 9 * first * second + hidden * second * pixels + n_classes * hidden"), {1, 2}),
        "always 28 pixels and ten classes": (
            weights(COUNT.replace("n_classes", "10"), "144"), {2}),
        "no pool": (weights(COUNT, "(side - 4) ** 2"), {1, 2, 3}),
        "padded": (weights(COUNT, "(side // 2) ** 2"), {1, 2}),
        "half a pixel": (weights(COUNT, "((side - 4) / 2) ** 2"), {3}),
        "a pool that rounds up": (weights(COUNT, "(-(-(side - 4) // 2)) ** 2"), {3}),
    },
    "ex-mnist-memorized": {
        "the share m of all images": (memorized(given="1 - 0.9 * rate + m"), {1}),
        "given labels without luck": (memorized(given="1 - rate * (1 - m)"), {1}),
        "truth lost wherever a label is wrong": (memorized(true="1 - 0.9 * rate"), {2}),
        "true labels first": (memorized(pair="({1}, {0})"), {1, 2}),
        "one number": (memorized(pair="{}"), {1, 2}),
        "no luck at all": (
            memorized("1 - rate * (1 - m)", "1 - rate * m", "1 - (1 - given) / rate"), {1, 2, 3, 4}),
        "errors instead of accuracies": (memorized("0.9 * rate * (1 - m)", "0.9 * rate * m"), {1, 2}),
        "the share of all labels": (
            memorized(back="0.9 * rate - (1 - given)", mine="1 - (1 - given_in_the_end) / (0.9 * DRAWN)"), {3}),
        "read off the true labels": (memorized(mine="(1 - true_in_the_end) / (0.9 * DRAWN)"), {4}),
        "ρ where ρ′ is meant": (memorized(mine="memorized_share(given_in_the_end, 0.9 * DRAWN)"), {4}),
        "the accuracy itself": (memorized(mine="given_in_the_end"), {4}),
        "not set": (memorized(mine="None"), {4}),
        "another run": (memorized(mine="0.8704"), {4}),
    },
    "ex-mnist-guess": {
        "another run": (link(run="RUN % 3 + 1"), {1}),
        "another share": (link(drawn="0.8"), {1}),
        "trained to the end": (link(epoch="200"), {2}),
        "when the given labels are fitted": (link(epoch="100"), {2}),
        "at the start": (link(epoch="0"), {3}),
        "the figure of another chapter": ('address = lab.address("far", lab.state("far"))', {1, 2, 3}),
        "the page without its end": ('address = "https://example.org/book/04_mnist.html"', {1, 2, 3}),
        "the epoch alone": ("address = 5", {1, 2, 3}),
        "nothing": ('address = ""', {1, 2, 3}),
        "a damaged link": ('address = f"#lab-guess&run={RUN}&epoch=five"', {1, 2, 3}),
    },
}  # fmt: skip
