"""Right and wrong answers to the exercises of chapter 8, as students write them."""


def line(clean, blind="return (classes - 1) / classes"):
    return f"def clean_accuracy(noisy, rate, classes):\n    {clean}\n\ndef blind_rate(classes):\n    {blind}\n"


def pair(formula, networks="worse, better = (0.8, 0.2), (0.85, 0.0)"):
    return f"def pair_accuracy(right, following, rate):\n    {formula}\n\n{networks}\n"


def own(lines, lost="rules.regret(own_run(), my_rule)"):
    return f"def my_rule(curves):\n    {lines}\n\nmy_regret = {lost}\n"


PATIENT = "def patient(signal, patience):\n"
WAIT = """    lowest = waited = 0
    for t, one in enumerate(signal):
        if {lower}:
            lowest, waited = t, 0
        else:
            waited += {step}
            if waited {enough} patience:
                return {given}
    return {end}
"""
CLEAN = "return (noisy - rate / (classes - 1)) / (1 - rate * classes / (classes - 1))"
PAIR = "return (1 - rate) * right + rate * following"


def wait(lower="one < signal[lowest]", step="t > 0", enough="==", given="lowest", end="lowest"):
    return PATIENT + WAIT.format(lower=lower, step=step, enough=enough, given=given, end=end)


RIGHT = {
    "ex-stopping-line": {
        "a formula": line(CLEAN),
        "multiplied by K - 1": line("k = classes - 1\n    return (k * noisy - rate) / (k - rate * classes)"),
        "a line through two points": line(
            "low, high = rate / (classes - 1), 1 - rate\n    return (noisy - low) / (high - low)",
            "return 1 - 1 / classes",
        ),
        "the package's law, inverted": line(
            "low, high = rules.uniform_law([0.0, 1.0], rate, classes).tolist()\n    return (noisy - low) / (high - low)"
        ),
        "bisection": line(
            "low, high = -1.0, 2.0\n    other = rate / (classes - 1)\n    for _ in range(60):\n"
            "        middle = (low + high) / 2\n        seen = (1 - rate) * middle + other * (1 - middle)\n"
            "        low, high = (middle, high) if seen < noisy else (low, middle)\n    return middle",
            "return torch.tensor((classes - 1) / classes)",
        ),
        "fractions": "from fractions import Fraction\n" + line(CLEAN, "return Fraction(classes - 1, classes)"),
    },
    "ex-stopping-pair": {
        "a formula": pair(PAIR),
        "what is left": pair("return right - rate * (right - following)", "worse, better = [0.5, 0.5], [0.55, 0.1]"),
        "tensors": pair(
            "return torch.tensor([1 - rate, rate]) @ torch.tensor([right, following])",
            "worse, better = torch.tensor([0.7, 0.3]), torch.tensor([0.75, 0.05])",
        ),
        "NumPy": "import numpy as np\n" + pair(
            "return np.dot([1 - rate, rate], [right, following])",
            "worse, better = np.array([0.8, 0.2]), np.array([0.86, 0.0])",
        ),
        "a search": pair(
            PAIR,
            "tried = [(a / 20, b / 20) for a in range(21) for b in range(21 - a)]\n"
            "worse, better = next((w, b) for w in tried for b in tried\n"
            "    if b[0] - w[0] > 0.05 and pair_accuracy(*w, 0.3) > pair_accuracy(*b, 0.3) + 0.01)",
        ),
    },
    "ex-stopping-patience": {
        "a count": wait(),
        "the distance of epochs": PATIENT + "    lowest = 0\n    for t in range(len(signal)):\n"
        "        if signal[t] < signal[lowest]:\n            lowest = t\n        elif t - lowest >= patience:\n"
        "            return lowest\n    return lowest",
        "the package's rule": PATIENT + "    curves = {'changed': [0, *signal]}\n"
        "    return rules.label_wave_patience(curves, window=1, patience=patience) - 1",
        "windows": PATIENT + "    for t in range(len(signal)):\n        if signal[t] == min(signal[:t + 1]) and "
        "signal.index(signal[t]) == t:\n            ahead = signal[t + 1 : t + 1 + patience]\n"
        "            if not any(one < signal[t] for one in ahead):\n                return t",
        "a tensor": wait(given="torch.tensor(lowest)", end="torch.tensor([lowest])"),
        "a generator": PATIENT + "    calm = (t for t in range(len(signal))\n"
        "            if min(signal[t : t + 1 + patience]) == signal[t]\n"
        "            and signal[t] < min([*signal[:t], float('inf')]))\n"
        "    return next(calm)",
    },
    "ex-stopping-own": {
        "noisy validation": own("return rules.noisy_validation(curves)"),
        "both": own(
            "end = rules.planted_flips(curves) + 1\n    seen = curves['noisy_validation'][:end]\n"
            "    return seen.index(max(seen))"
        ),
        "a mean of validation": own(
            "v = curves['noisy_validation']\n    smooth = [sum(v[max(0, t - 1):t + 2]) / len(v[max(0, t - 1):t + 2])\n"
            "              for t in range(len(v))]\n    return torch.tensor(smooth).argmax()"
        ),
        "the discrepancy principle": own("return rules.discrepancy(curves, 0.32)"),
        "NumPy": "import numpy as np\n" + own("return int(np.argmax(curves['noisy_validation']))"),
    },
}  # fmt: skip

WRONG = {
    "ex-stopping-line": {
        "drawn again from all classes": (line("return (noisy - rate / classes) / (1 - rate)"), {1, 2}),
        "no chance agreement": (line("return noisy / (1 - rate)"), {1, 2}),
        "as if there were two classes": (line("return (noisy - rate) / (1 - 2 * rate)"), {2}),
        "the law itself": (line("return (1 - rate * classes / (classes - 1)) * noisy + rate / (classes - 1)"), {1, 2}),
        "the intercept forgets the slope": (
            line("return (noisy - rate / (classes - 1)) / (1 - rate)"), {1},
        ),
        "one half for all": (line(CLEAN, "return 0.5"), {3}),
        "a share of one class": (line(CLEAN, "return 1 / classes"), {3}),
    },
    "ex-stopping-pair": {
        "only where it is right": (pair("return (1 - rate) * right"), {2}),
        "uniform noise": (pair("return (1 - rate) * right + rate / 9 * (1 - right)"), {1, 2}),
        "the other way round": (pair("return rate * right + (1 - rate) * following"), {1}),
        "the gap is too small": (pair(PAIR, "worse, better = (0.8, 0.2), (0.83, 0.0)"), {3}),
        "the better one looks better": (pair(PAIR, "worse, better = (0.5, 0.1), (0.9, 0.0)"), {3}),
        "more than all images": (pair(PAIR, "worse, better = (0.9, 0.4), (0.96, 0.0)"), {3}),
        "swapped": (pair(PAIR, "better, worse = (0.8, 0.2), (0.85, 0.0)"), {3}),
    },
    "ex-stopping-patience": {
        "the lowest of all": (PATIENT + "    return signal.index(min(signal))", {2, 4}),
        "only an equal one costs patience": (wait(step="one == signal[lowest] and t > 0"), {2}),
        "the first rise": (
            PATIENT + "    for t in range(len(signal) - 1):\n        if signal[t + 1] > signal[t]:\n"
            "            return t\n    return len(signal) - 1",
            {1, 4},
        ),
        "where patience ends": (wait(given="t", end="lowest"), {1, 2, 4}),
        "patience is never renewed": (wait().replace("lowest, waited = t, 0", "lowest = t"), {1}),
        "an equal one is lower": (wait(lower="one <= signal[lowest]"), {4}),
        "an equal one costs nothing": (wait(step="one > signal[lowest]"), {4}),
        "one epoch longer": (wait(enough=">"), {2, 4}),
        "the end without a lowest": (wait(end="len(signal) - 1"), {3}),
        "the lowest number": (wait(given="signal[lowest]", end="signal[lowest]"), {1, 2, 3, 4}),
    },
    "ex-stopping-own": {
        "no stopping": (own("return rules.last(curves)"), {2}),
        "the best by test images": (own("return rules.oracle(curves) if 'test' in curves else 1"), {2, 3}),
        "a fixed epoch": (own("return min(8, 8)"), {1}),
        "the truth where it is given": (
            own("if 'corrected' in curves:\n        return curves['corrected'].index(max(curves['corrected']))\n"
                "    return rules.noisy_validation(curves)"),
            {3},
        ),
        "an accuracy": (own("return max(curves['noisy_validation'])", "None"), {1, 2, 4}),
        "the regret of another run": (
            own("return rules.noisy_validation(curves)", 'rules.regret(own_run("cosine"), my_rule)'), {4},
        ),
    },
}  # fmt: skip
