"""The figures of the paper, one room each: sizes, runs, picture and verdict. Every file here is found by itself."""

from importlib import import_module
from pkgutil import iter_modules

from earlystop.runs.experiment import EXPERIMENTS

__all__ = ["EXPERIMENTS"]

for room in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{room}")
