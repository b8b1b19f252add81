"""The page of symbols names what is in the code, and each symbol once."""

import inspect
import re
from importlib import import_module
from pathlib import Path

from earlystop import data, descent, jacobian, network, theory

PAGE = (Path(__file__).resolve().parents[1] / "book" / "notation.md").read_text(encoding="utf8")
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| [")]
CODE = [name for row in ROWS if len(row) == 4 for name in re.findall(r"`([\w.]+)`", row[3])]
CLASSES = {"Activation": network.Activation, "Trajectory": descent.Trajectory}


def known():
    """Names of arguments and of fields in these modules."""
    for module in (data, descent, jacobian, network, theory):
        for value in vars(module).values():
            if inspect.isfunction(value) or (inspect.isclass(value) and hasattr(value, "__dataclass_fields__")):
                yield from inspect.signature(value).parameters


def test_every_name_in_the_code_is_there():
    plain = {name for name in CODE if "." not in name}
    assert len(CODE) > 20 and plain <= set(known()), plain - set(known())
    for owner, name in (full.split(".") for full in CODE if "." in full):
        fields = getattr(CLASSES.get(owner), "__annotations__", {})
        assert name in fields or hasattr(import_module(f"earlystop.{owner}"), name), f"{owner}.{name}"


def test_every_symbol_has_one_place():
    targets = re.findall(r"\]\{#([\w-]+)\}", PAGE)
    assert len(targets) >= len(ROWS) > 30 and len({target.lower() for target in targets}) == len(targets)
