"""The state of a living figure: its settings within their ranges, and the address that keeps them."""

import re
from numbers import Real
from typing import Any
from urllib.parse import quote, unquote

from earlystop.arguments import kinds, refuse
from earlystop.laboratory import SETTINGS

FIELDS, FIGURES = SETTINGS["fields"], SETTINGS["figures"]


def state(figure: str, **changes: Any) -> dict[str, Any]:
    """All settings of a figure, some of them changed. `ValueError` for an unknown name or a value out of range.

    >>> earlystop.lab.state("stop", seed=2)["seed"]
    2
    """
    kinds(str, f"the name of one, {', '.join(FIGURES)}", figure=figure)
    refuse({f"there is no figure {figure!r} in the laboratory, only {', '.join(FIGURES)}": figure not in FIGURES})
    names = FIGURES[figure]["fields"]
    for name in changes:
        refuse({f"{figure} has no setting {name!r}, only {', '.join(names)}": name not in names})
    standard = {name: FIELDS[name]["value"] for name in names} | FIGURES[figure]["values"]
    return standard | {name: checked(name, value) for name, value in changes.items()}


def checked(name: str, value: Any) -> Any:
    """A value of a setting in the type that it has. `ValueError` if it is out of range."""
    field = FIELDS[name]
    if "choices" in field:
        refuse({f"{name} is {value!r}, should be one of {', '.join(field['choices'])}": value not in field["choices"]})
        return value
    if field.get("list"):
        refuse({f"{name} is {value!r}, should be a list": not isinstance(value, list | tuple | set)})
        return sorted({_number(name, one, field) for one in value})
    if isinstance(field["value"], bool):
        refuse({f"{name} is {value!r}, should be true or false": not isinstance(value, bool)})
        return value
    return _number(name, value, field)


def _number(name: str, value: Any, field: dict[str, Any]) -> float:
    least, most, step = field["least"], field["most"], field.get("step", 1)
    fits = isinstance(value, Real) and not isinstance(value, bool) and least <= value <= most
    refuse({f"{name} is {value!r}, should be between {least} and {most}": not fits})
    whole = isinstance(step, int)
    uneven = whole and (value != int(value) or (value - least) % step != 0)  # pyright: ignore
    refuse({f"{name} is {value!r}, should go from {least} in steps of {step}": uneven})
    return int(value) if whole else float(value)  # pyright: ignore


def address(figure: str, settings: dict[str, Any]) -> str:
    """The end of an address that shows a figure in this state: what differs from the standard.

    >>> earlystop.lab.address("stop", {"seed": 2})
    '#lab-stop&seed=2'
    """
    kinds(dict, "settings, such as {'seed': 1}", settings=settings)
    standard = state(figure)
    changed = {name: value for name, value in state(figure, **settings).items() if value != standard[name]}
    return "#lab-" + "&".join([figure, *(f"{name}={quote(_text(value))}" for name, value in changed.items())])


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return (
        ".".join(map(str, value))
        if isinstance(value, list)
        else f"{value:.12g}"
        if isinstance(value, float)
        else str(value)
    )


def read(text: str) -> tuple[str, dict[str, Any]]:
    """The figure and the state of an address, or of its end. `ValueError` that says what is wrong with it.

    >>> figure, settings = earlystop.lab.read("#lab-stop&seed=2")
    >>> figure, settings["seed"]
    ('stop', 2)
    """
    _, mark, end = str(text).strip().rpartition("#lab-")
    refuse({f"{str(text)[:80]!r} is no address of a figure of the laboratory: it should hold #lab-": not mark})
    figure, *rest = end.split("&", 1)
    refuse({f"there is no figure {figure[:40]!r} in the laboratory, only {', '.join(FIGURES)}": figure not in FIGURES})
    pairs = [pair.partition("=")[::2] for pair in (rest[0].split("&") if rest else []) if pair]
    unknown = [name for name, _ in pairs if name not in FIGURES[figure]["fields"]]
    refuse({f"{figure} has no setting {unknown[:1]}": bool(unknown)})
    return figure, state(figure, **{name: _parsed(name, unquote(value)) for name, value in pairs})


def _parsed(name: str, text: str) -> Any:
    field = FIELDS[name]
    try:
        if "choices" in field:
            return text
        if isinstance(field["value"], bool):
            return {"true": True, "false": False}[text]
        refuse({"no number": not re.fullmatch("[-+.0-9e]*", text, re.IGNORECASE)})
        return [int(one) for one in text.split(".") if one] if field.get("list") else float(text)
    except (ValueError, KeyError):
        raise ValueError(f"{name} is {text[:40]!r} in this address, should look like {_text(field['value'])}") from None
