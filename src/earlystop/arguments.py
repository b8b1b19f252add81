"""What functions ask of their arguments, said at the door. Lists and NumPy arrays are taken by their numbers."""

from collections.abc import Iterator
from numbers import Real
from operator import index
from types import UnionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def refuse(reasons: dict[str, bool]) -> None:
    """Raise `ValueError` with the first of these messages whose condition holds."""
    for reason, holds in reasons.items():
        if holds:
            raise ValueError(reason)


def tensors(dtype: torch.dtype | None = None, **asked: tuple[Any, str]) -> Iterator[Tensor]:
    """Arguments as floats, each of its shape, such as "n d". `ValueError` names the argument that cannot be.

    A letter is the same number wherever it stands, "..." any axes, "*" any shape. Lists, arrays and whole numbers
    become what the first tensor of floats is; without a `dtype`, all those must be alike.
    """
    given = {name: value for name, (value, _) in asked.items() if _is_float(value)}
    first, like = next(iter(given.items()), ("", _floats([value for value, _ in asked.values()])))
    for name, one in given.items() if dtype is None else ():
        how = f"{name} is {_kind(one)}, but {first} {_kind(like)}: give both alike, as {name}.to({first})"
        refuse({how: _kind(one) != _kind(like)})
    like = torch.empty(0, dtype=dtype or like.dtype, device=like.device)
    found = {name: _tensor(name, value, shape, like) for name, (value, shape) in asked.items()}
    check_shapes({name: (one, asked[name][1]) for name, one in found.items()})
    return iter(found.values())


def values(**asked: tuple[Any, str]) -> Iterator[Tensor]:
    """Arguments as tensors of the numbers that they are, floats or not; otherwise as `tensors` has them."""
    found = {name: _tensor(name, value, shape) for name, (value, shape) in asked.items()}
    check_shapes({name: (one, asked[name][1]) for name, one in found.items()})
    return iter(found.values())


def whole(**asked: tuple[Any, str]) -> Iterator[Tensor]:
    """Arguments as tensors of whole numbers from 0 on, as classes and clusters are counted."""
    found = dict(zip(asked, values(**asked)))
    for name, one in found.items():
        odd = one[(one < 0) | (one != one.round())] if one.is_floating_point() else one[one < 0]
        refuse({f"{name} has {one:.4g}, should be whole numbers from 0": True for one in odd[:1].tolist()})
    return iter([one.long() for one in found.values()])


def mask(**asked: tuple[Any, str]) -> Iterator[Tensor]:
    """Arguments as tensors of True and False, for which 1 and 0 may stand."""
    found = dict(zip(asked, values(**asked)))
    for name, one in found.items():
        refuse({f"{name} should be True and False": not bool(((one == 0) | (one == 1)).all())})
    return iter([one.bool() for one in found.values()])


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _kind(one: Tensor) -> str:
    """Precision and device, in words."""
    return f"{one.dtype}".removeprefix("torch.") + (f" on {one.device}" if one.device.type != "cpu" else "")


def _floats(given: list[Any]) -> Tensor:
    """An empty tensor of the precision of the first array of floats, by default that of torch."""
    arrays = [one for one in given if isinstance(one, np.ndarray | np.generic) and one.dtype.kind == "f"]
    return torch.empty(0, dtype=torch.as_tensor(arrays[0]).dtype if arrays else None)


def _tensor(name: str, value: Any, shape: str, like: Tensor | None = None) -> Tensor:
    """Numbers as a tensor: itself, if it is one, or made `like` another one."""
    try:
        if isinstance(value, list | tuple) and value and all(isinstance(one, Tensor) for one in value):
            value = torch.stack([*value])
        found = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{name} is {short(value)}, should be numbers of {_shape(shape)}") from None
    refuse({f"{name} has complex numbers, should have real ones": found.is_complex()})
    if like is None or isinstance(value, Tensor):
        return found if like is None else found.to(like)
    return torch.as_tensor(value, dtype=like.dtype, device=like.device)  # not by way of another precision


def check_shapes(asked: dict[str, tuple[Tensor, str]]) -> None:
    """Raise `ValueError` naming the first tensor whose shape is not like "n d", a letter the same number in all."""
    known: dict[str, tuple[int, str]] = {}
    for name, (value, shape) in asked.items():
        letters, sizes = shape.split(), list(value.shape)
        if letters[0] == "...":
            letters, sizes = letters[1:], sizes[-len(letters) + 1 :]
        wrong = f"{name} has shape {tuple(value.shape)}, should have {_shape(shape)}"
        refuse({wrong: shape != "*" and len(sizes) != len(letters)})
        for letter, size in zip(letters, sizes if shape != "*" else []):
            refuse({wrong: letter.isdecimal() and int(letter) != size})
            count, other = known.setdefault(letter, (size, name))
            refuse({f"{wrong}, where {letter} is {count} as of {other}": size != count})


def without_nan(**named: Tensor) -> None:
    """Raise `ValueError` naming the first tensor in which a number is none: a comparison would pass over it."""
    for name, one in named.items():
        refuse({f"{name} contain NaN": bool(one.isnan().any())})


def finite(**named: Tensor) -> None:
    """Raise `ValueError` naming the first tensor with NaN or infinity, of which there are no eigenvalues."""
    for name, one in named.items():
        refuse({f"{name} contain NaN or infinity": not bool(one.isfinite().all())})


def numbers(**named: Any) -> None:
    """Raise `ValueError` naming the first argument that is not one number."""
    for name, value in named.items():
        alone = isinstance(value, Real) or (isinstance(value, Tensor) and value.ndim == 0 and not value.is_complex())
        wrong = not alone or isinstance(value, bool) or bool(value != value)
        refuse({f"{name} is {short(value)}, should be a number": wrong})


def counts(least: int | None = None, **named: Any) -> None:
    """Raise `ValueError` naming the first argument that is not a whole number, from `least` on."""
    for name, value in named.items():
        refuse({f"{name} is {short(value)}, should be a whole number": not _is_whole(value)})
        refuse({f"{name} is {value}, should be {least} or more": least is not None and value < least})


def _is_whole(value: Any) -> bool:
    try:
        index(value)
    except (TypeError, RuntimeError):
        return False
    return not isinstance(value, bool)


def kinds(kind: type | UnionType, hint: str, **named: Any) -> None:
    """Raise `ValueError` naming the first argument that is not of a class; `hint` says what would be right."""
    for name, value in named.items():
        if not isinstance(value, kind):  # only then is a value told in words: a data set's are long
            raise ValueError(f"{name} is {short(value)}, should be {hint}")


@torch.no_grad()
def fitting(model: nn.Module, inputs: Any) -> Tensor:
    """Inputs of a model in eval mode as a tensor of its precision. `ValueError` for those that it does not take."""
    kinds(nn.Module, "a network, an nn.Module", model=model)
    like = next((one for one in model.parameters() if one.is_floating_point()), None)
    (inputs,) = tensors(None if like is None else like.dtype, inputs=(inputs, "*"))
    try:
        refuse({"inputs are none: the model has nothing to compute": not inputs.numel()})
        model(inputs[:2])
    except (RuntimeError, IndexError, TypeError) as error:
        why = str(error).splitlines()[0]
        raise ValueError(f"inputs of shape {tuple(inputs.shape)} do not fit the model: {why}") from error
    return inputs


def functions(**named: Any) -> None:
    """Raise `ValueError` naming the first argument that cannot be called."""
    for name, value in named.items():
        refuse({f"{name} is {short(value)}, should be a function": not callable(value)})


def short(value: Any) -> str:
    """A value in a few words."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    text = " ".join((getattr(value, "__name__", None) or repr(value)).split())
    return text if len(text) <= 40 else f"{text[:37]}..."


def _shape(letters: str) -> str:
    """A shape as Python writes it."""
    parts = letters.split()
    return "any shape" if letters == "*" else f"shape ({', '.join(parts)}{',' * (len(parts) == 1)})"
