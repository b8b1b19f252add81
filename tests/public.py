"""What of the package is public: the functions and classes of these modules."""

import inspect
from importlib import import_module

MODULES = (
    "adversary", "architectures", "augment", "cifar10n", "data", "descent", "early_learning", "estimator", "filters",
    "images", "jacobian", "lab", "label_noise", "metrics", "network", "own", "plots", "remedies", "report", "rules",
    "spaces", "streams", "suspects", "theory", "training", "window",
)  # fmt: skip


def public():
    """Functions and classes by their names, such as "data.class_labels"; of `lab` what it offers."""
    found = {}
    for module in map(import_module, (f"earlystop.{name}" for name in MODULES)):
        for name, one in vars(module).items():
            own = name in getattr(module, "__all__", ()) or getattr(one, "__module__", "") == module.__name__
            if own and not name.startswith("_") and (inspect.isfunction(one) or inspect.isclass(one)):
                found[f"{module.__name__.removeprefix('earlystop.')}.{name}"] = one
    return found
