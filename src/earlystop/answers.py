"""Judge a student's answer by its value, whatever holds it, and say what the answer does on a small case.

>>> check(round, 2.6, gives=3, hint="to the nearest integer")
>>> check(int, 2.6, gives=3, hint="to the nearest integer")
Traceback (most recent call last):
AssertionError: int(2.6) gives 2, not 3: to the nearest integer
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from fractions import Fraction
from numbers import Number
from typing import Any

import numpy as np
import torch

DIGITS = 0.002  # relative: 0.333 is good enough for 1/3
EXACT = 1e-4  # absolute, where whole numbers are expected
SHOWN = 12  # numbers of an argument or an answer that a message writes out


def value(answer: object) -> torch.Tensor:
    """The numbers of an answer in float64: of a number, a tensor, an array, or (nested) lists and tuples of them.

    Inside a container None counts as not a number. Raises `TypeError` for anything else, and says what came.
    """
    if isinstance(answer, torch.Tensor):
        return answer.detach().cpu().double()
    if isinstance(answer, (np.ndarray, np.generic, Number, Fraction)):
        return torch.as_tensor(np.asarray(answer, dtype=float))
    if isinstance(answer, (str, bytes, dict, set)) or not isinstance(answer, Iterable):
        raise TypeError(f"{_kind(answer)} where numbers are expected")
    parts = [value(math.nan if part is None else part) for part in answer]
    if len({part.squeeze().shape for part in parts}) > 1:
        raise TypeError("parts of different shapes where a vector or a table of numbers is expected")
    return torch.stack([part.squeeze() for part in parts]) if parts else torch.empty(0, dtype=torch.float64)


def call(function: Callable, *arguments: object, **named: object) -> torch.Tensor:
    """What a student's function gives, by value; an `AssertionError` names the call where it gives no numbers.

    A stub's `NotImplementedError` stays what it is.
    """
    said = _call(function, arguments, named)
    try:
        answer = function(*arguments, **named)
    except NotImplementedError:
        raise
    except Exception as problem:
        raise AssertionError(f"{said} ends in {type(problem).__name__}: {problem}") from problem
    try:
        return value(answer)
    except TypeError as problem:
        raise AssertionError(f"{said} gives {problem}") from None


def number(function: Callable, *arguments: object, **named: object) -> float:
    """The same for a function that should give one number."""
    got = call(function, *arguments, **named)
    if got.numel() != 1:
        said = _call(function, arguments, named)
        raise AssertionError(f"{said} gives {_numbers(got)} where one number is expected")
    return got.item()


def check(
    function: Callable, *arguments: object, gives: object, hint: str, within: float | None = None,
    at: int | None = None, **named: object,
) -> None:  # fmt: skip
    """Call a student's function on a small case; an `AssertionError` says what it gives, what is right, and the hint.

    `within` is the absolute tolerance; without it whole numbers have to be exact, and others right to .2 % or three
    digits.
    Of an answer of several numbers only the one `at` a position is judged, if this is given.
    """
    said, got = _call(function, arguments, named), call(function, *arguments, **named)
    if at is not None:
        if got.squeeze().ndim != 1 or got.numel() <= at:
            raise AssertionError(f"{said} gives {_numbers(got)}, where at least {at + 1} numbers are expected: {hint}")
        said, got = f"{said}[{at}]", got.squeeze()[at]
    _compare(said, got, gives, hint, within)


def link(address: object, figure: str) -> dict[str, Any]:
    """The settings that a link of the laboratory holds; an `AssertionError` says so if it is none of this figure."""
    from earlystop.lab.state import read

    if not str(address).strip():
        raise AssertionError("the link is still blank: copy the one that the figure gives")
    try:
        found, settings = read(str(address))
    except ValueError as problem:
        raise AssertionError(f"{problem}; copy the link that the figure gives") from None
    if found != figure:
        raise AssertionError(f"this link is one of the figure {found!r}, where {figure!r} is meant: copy the other one")
    return settings


def equal(*, gives: object, hint: str, within: float | None = None, **named: object) -> None:
    """The same for one value with its name, as in `equal(limit=limit, gives=0.5, hint="...")`."""
    ((name, answer),) = named.items()
    try:
        got = value(answer)
    except TypeError as problem:
        raise AssertionError(f"{name} is {problem}: {hint}") from None
    _compare(name, got, gives, hint, within, verb="is")


def _compare(said: str, got: torch.Tensor, gives: object, hint: str, within: float | None, verb: str = "gives") -> None:
    right = value(gives)
    if got.squeeze().shape != right.squeeze().shape:
        raise AssertionError(f"{said} {verb} {_numbers(got)}, not {_numbers(right)}: {hint}")
    error = (got.reshape(right.shape) - right).abs()
    error[got.reshape(right.shape).isnan() & right.isnan()] = 0
    error[got.reshape(right.shape) == right] = 0  # of infinities, too
    size = right[right.isfinite()].abs().max().item() if right.isfinite().any() else 0.0
    whole = bool((right[right.isfinite()] == right[right.isfinite()].round()).all())
    allowed = within if within is not None else EXACT if whole else DIGITS * size
    digits = within is None and not whole  # are they a matter?
    if digits:
        error[_with_digits(3, got.reshape(right.shape), right)] = 0
    if not (error <= allowed).all():
        few = _with_digits(2, got.reshape(right.shape), right) | _with_digits(1, got.reshape(right.shape), right)
        close = ", close: give more digits" if digits and (few | (error <= allowed)).all() else ""
        if right.numel() > SHOWN:  # the first that is wrong will do
            at = int((~(error <= allowed)).flatten().nonzero()[0])
            got, right = got.flatten()[at], right.flatten()[at]
            said = f"{said}, at position {at} of {error.numel()},"
        raise AssertionError(f"{said} {verb} {_numbers(got)}, not {_numbers(right)}{close}: {hint}")


def _with_digits(count: int, got: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Where a number is the right one, rounded to so many digits."""
    unit = 10 ** (right.abs().log10().floor() + 1 - count)
    return (got / unit - (right / unit).round()).abs() < 0.001


def _kind(answer: object) -> str:
    """What came in place of numbers, in words."""
    if answer is None:
        return "nothing (None; is a `return` missing?)"
    if callable(answer):
        return f"the function {getattr(answer, '__name__', 'itself')}"
    return f"{'text' if isinstance(answer, str) else f'a {type(answer).__name__}'}, {str(answer)[:40]!r},"


def _call(function: Callable, arguments: tuple, named: dict) -> str:
    """A call as one would write it."""
    given = [*map(_argument, arguments), *(f"{name}={_argument(one)}" for name, one in named.items())]
    return f"{getattr(function, '__name__', 'the answer')}({', '.join(given)})"


def _argument(one: object) -> str:
    """An argument as one would write it."""
    if isinstance(one, (str, bool, type(None))):
        return repr(one)
    if callable(one):
        return getattr(one, "__name__", type(one).__name__)
    try:
        return _numbers(value(one))
    except TypeError:
        return type(one).__name__


def _numbers(tensor: torch.Tensor) -> str:
    """Numbers with five digits, in brackets where there are several; of many, the shape."""
    if tensor.numel() > SHOWN:
        return f"[{' × '.join(map(str, tensor.shape))} numbers]"
    if tensor.ndim:
        return f"[{', '.join(map(_numbers, tensor))}]"
    number = tensor.item()
    return f"{int(number)}" if math.isfinite(number) and number == int(number) else f"{number:.5g}"
