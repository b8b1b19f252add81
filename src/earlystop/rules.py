"""When to stop if nobody has clean labels: rules that choose an epoch of a run by its curves.

Curves are lists by names, one number an epoch, as `figures.bench.curves` gives them. A rule is a function of them that
gives an index into the lists. No rule but `oracle` looks at true labels.
"""

import pkgutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import fsum
from operator import index
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from earlystop.arguments import counts, functions, kinds, numbers, refuse, short, tensors

Curves = Mapping[str, Sequence[float]]
Rule = Callable[[Curves], int]
ROUNDED = 12  # digits of means: what differs by rounding alone is no rise


def noisy_validation(curves: Curves) -> int:
    """The first epoch of the highest accuracy on validation images with labels as noisy as those for training.

    >>> earlystop.rules.noisy_validation({"noisy_validation": [0.1, 0.6, 0.5]})
    1
    """
    return _highest(_curve(curves, "noisy_validation"))


def label_wave(curves: Curves, window: int = 3) -> int:
    """Label Wave: where the answers to the training images are most settled for the first time.

    `changed` is the share of training images answered otherwise than an epoch before, from epoch 1 on. The rule takes
    its mean over the last `window` epochs, and the first epoch after which this mean rises: its first local minimum.
    The last epoch if there is none. Yuan, Feng and Liu (ICLR 2024).

    >>> earlystop.rules.label_wave({"changed": [1.0, 0.5, 0.2, 0.3, 0.1]}, window=1)
    2
    """
    means = _means(curves, window)
    rises = (t for t in range(len(means) - 1) if means[t + 1] > means[t])
    return next(rises, len(means) - 1) + _first_mean(curves, window)


def label_wave_patience(curves: Curves, window: int = 3, patience: int = 10) -> int:
    """Label Wave with patience: the lowest mean of `changed` before `patience` epochs in a row without a lower one.

    >>> earlystop.rules.label_wave_patience({"changed": [1.0, 0.5, 0.2, 0.3, 0.1]}, window=1, patience=2)
    4
    """
    counts(least=1, patience=patience)
    means, lowest = _means(curves, window), 0
    for t, mean in enumerate(means):
        if mean < means[lowest]:
            lowest = t
        elif t - lowest >= patience:
            break
    return lowest + _first_mean(curves, window)


def planted_flips(curves: Curves, tolerance: float = 0.1) -> int:
    """The last epoch before the network begins to fit labels that were made wrong on purpose.

    `planted` is the share of them that is answered as given. It begins when this share is more than `tolerance` above
    its lowest value so far, from epoch 1 on, as an untrained network answers by chance; the last epoch if it never
    does. Our own wording of a common idea. Raises `ValueError` without a curve `planted` of finite numbers.

    >>> earlystop.rules.planted_flips({"planted": [0.1, 0.0, 0.05, 0.3]})
    2
    """
    numbers(tolerance=tolerance)
    planted = _curve(curves, "planted")
    begins = (t for t in range(2, len(planted)) if planted[t] > min(planted[1:t]) + tolerance)
    return next(begins, len(planted)) - 1


def discrepancy(curves: Curves, noise_level: float = 0.3) -> int:
    """The discrepancy principle: the first epoch whose training error is down to the assumed share of wrong labels.

    The error is that on labels as given, 1 - `given`. The last epoch if it stays above.

    >>> earlystop.rules.discrepancy({"given": [0.1, 0.6, 0.75, 0.9]}, noise_level=0.3)
    2
    """
    numbers(noise_level=noise_level)
    refuse({f"noise_level is {noise_level}, should be between 0 and 1": not 0 <= noise_level <= 1})
    given = _curve(curves, "given")
    return next((t for t, right in enumerate(given) if 1 - right <= noise_level), len(given) - 1)


def oracle(curves: Curves, key: str = "test") -> int:
    """The first epoch of the highest accuracy on test images: what nobody can know, for comparisons alone.

    >>> earlystop.rules.oracle({"test": [0.1, 0.9, 0.7]})
    1
    """
    return _highest(_curve(curves, key))


def last(curves: Curves) -> int:
    """The last epoch: no stopping at all.

    >>> earlystop.rules.last({"given": [0.1, 0.9, 0.7]})
    2
    """
    kinds(Mapping, "curves by their names", curves=curves)
    lists = [key for key, one in curves.items() if isinstance(one, list | tuple) or getattr(one, "ndim", 0) == 1]
    refuse({"curves are none: give lists by their names, a number an epoch": not lists})
    return len(_curve(curves, lists[0])) - 1


RULES: dict[str, Rule] = {
    "noisy_validation": noisy_validation,
    "label_wave": label_wave,
    "label_wave_patience": label_wave_patience,
    "planted_flips": planted_flips,
    "discrepancy": discrepancy,
    "oracle": oracle,
    "last": last,
}


def rule(name: str, **settings: Any) -> Rule:
    """The rule of a name of `RULES`, or of `module:name` of your own, with its settings.

    Raises `ValueError` if there is none such.

    >>> earlystop.rules.rule("label_wave", window=1)({"changed": [1.0, 0.5, 0.2, 0.3, 0.1]})
    2
    """
    kinds(str, "the name of a rule", name=name)
    found: Any = RULES.get(name)
    reason = ""
    if found is None and ":" in name:
        try:
            found = pkgutil.resolve_name(name)
            reason = f" ({short(found)} cannot be called)"
        except (ImportError, AttributeError, ValueError) as error:
            reason = f" ({error})"
    known = ", ".join(RULES)
    refuse({f"name {name!r} is no rule{reason}: use one of {known}, or module:name of your own": not callable(found)})
    return partial(found, **settings) if settings else found  # pyright: ignore


def chosen(curves: Curves, rule: Rule) -> int:
    """The index that a rule chooses. Raises `ValueError` if it is none of the curves.

    >>> earlystop.rules.chosen({"test": [0.1, 0.9, 0.7]}, earlystop.rules.oracle)
    1
    """
    functions(rule=rule)
    epochs = last(curves) + 1
    given = rule(curves)
    hint = f"the rule gives {short(given)}, should give an index from 0 to {epochs - 1}"
    try:
        epoch = index(given)
    except (TypeError, RuntimeError):
        raise ValueError(hint) from None
    refuse({hint: isinstance(given, bool) or not 0 <= epoch < epochs})
    return epoch


def regret(curves: Curves, rule: Rule, key: str = "test") -> float:
    """What a rule loses: the highest value of a curve, minus that where the rule stops. At least 0.

    Raises `ValueError` for an index that is none of the curves, without finite numbers in the curve `key`, and where
    that is shorter or longer than the others.

    >>> round(earlystop.rules.regret({"test": [0.1, 0.9, 0.7]}, earlystop.rules.last), 3)
    0.2
    """
    curve, epochs = _curve(curves, key), last(curves) + 1
    refuse({f"curves have {epochs} numbers, but {key!r} has {len(curve)}": len(curve) != epochs})
    return max(curve) - curve[chosen(curves, rule)]


def uniform_law(accuracy: Float[Tensor, "*"], corruption_rate: float, classes: int = 10) -> Float[Tensor, "*"]:
    """The accuracy on noisy labels to be expected at an accuracy on true ones, if noise is uniform.

    With a share ρ of labels that is any other of K classes, each as likely: (1 - ρK/(K - 1)) · accuracy + ρ/(K - 1).
    So the best epoch by either is the same, as long as ρ < (K - 1)/K. Toner and Storkey (2024), Fact 1. Raises
    `ValueError` for a rate outside [0, 1] and for fewer than two classes.

    >>> earlystop.rules.uniform_law([0.0, 1.0], 0.3, classes=4)
    tensor([0.1000, 0.7000])
    """
    numbers(corruption_rate=corruption_rate)
    counts(least=2, classes=classes)
    refuse({f"corruption_rate is {corruption_rate}, should be between 0 and 1": not 0 <= corruption_rate <= 1})
    (accuracy,) = tensors(accuracy=(accuracy, "*"))
    other = corruption_rate / (classes - 1)
    return (1 - corruption_rate - other) * accuracy + other


def _curve(curves: Curves, key: str) -> list[float]:
    """A curve's numbers. `ValueError` if there is none of this name, or it has none."""
    kinds(Mapping, "curves by their names", curves=curves)
    kinds(str, "the name of a curve", key=key)
    refuse({f"key is {key!r}, but curves are {', '.join(curves)}": key not in curves})
    (values,) = tensors(torch.float64, **{f"the curve {key}": (curves[key], "epochs")})
    refuse({
        f"the curve {key} of curves is empty": not len(values),
        f"the curve {key} of curves has numbers that are not finite": not bool(values.isfinite().all()),
    })  # fmt: skip
    return values.tolist()


def _means(curves: Curves, window: int) -> list[float]:
    """Means of `changed` over the last `window` epochs; the first is that of epochs 1 to `window`."""
    counts(least=1, window=window)
    changed = _curve(curves, "changed")[1:]
    width = min(window, max(1, len(changed)))
    return [round(fsum(changed[t : t + width]) / width, ROUNDED) for t in range(len(changed) - width + 1)] or [0.0]


def _first_mean(curves: Curves, window: int) -> int:
    """The epoch of the first mean: `window`, or the last one of a shorter run."""
    return min(window, last(curves))


def _highest(values: list[float]) -> int:
    return values.index(max(values))
