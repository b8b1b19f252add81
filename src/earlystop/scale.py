"""How large an experiment is, and where it runs: one switch, `EARLYSTOP_SCALE`."""

import dataclasses
import hashlib
import os
from typing import Any

import torch

SCALES = ("quick", "colab", "paper")


def parse_scale(text: str) -> tuple[str, dict[str, str]]:
    """Split a scale such as `"colab train_size=2000 epochs=3"` into name and changed sizes.

    Raises `ValueError` if the name is none of `SCALES` or a size has no `key=value` form.
    """
    name, *changes = text.split() or [""]
    if name not in SCALES:
        raise ValueError(
            f"EARLYSTOP_SCALE={text!r}: the scale {name!r} is unknown, "
            f"use one of {', '.join(SCALES)}"
        )
    for change in changes:
        if "=" not in change:
            raise ValueError(
                f"EARLYSTOP_SCALE={text!r}: {change!r} should read key=value, "
                "as in 'colab train_size=2000'"
            )
    return name, dict(change.split("=", 1) for change in changes)


def scale_text() -> str:
    """The whole switch as set, or the default: `quick` without a GPU, `colab` with one."""
    default = "colab" if torch.cuda.is_available() else "quick"
    return os.environ.get("EARLYSTOP_SCALE", "").strip() or default


def current_scale() -> str:
    """Name of the scale that experiments run at: `quick`, `colab` or `paper`."""
    return parse_scale(scale_text())[0]


def device() -> torch.device:
    """The device that experiments run on: a CUDA GPU, or the CPU.

    Not an Apple GPU: it has no float64, which the spectra need.
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def sizes(quick: Any, colab: Any, paper: Any, doc: str) -> Any:
    """A dataclass field with one value a scale; `Sized.at` chooses."""
    values = dict(zip(SCALES, (quick, colab, paper)))
    return dataclasses.field(metadata={"scales": values, "doc": doc})


def random_stream(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for every purpose, so that one seed serves independent draws."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


class Sized:
    """Base of the experiments' configurations: frozen dataclasses whose fields are `sizes`."""

    @classmethod
    def at(cls, scale: str | None = None, **changes: Any) -> "Sized":
        """The configuration at a scale (default: the switch, its `key=value` changes included).

        The switch serves several experiments, so a key of another one is passed over.
        Raises `ValueError` for an unknown scale or size, or a text that does not convert.
        """
        name, from_switch = parse_scale(scale_text() if scale is None else scale)
        values = {
            field.name: field.metadata["scales"][name] for field in dataclasses.fields(cls)
        }
        known = {field.name for one in Sized.__subclasses__() for field in dataclasses.fields(one)}
        if unknown := from_switch.keys() - known:
            raise ValueError(f"no experiment has a size {min(unknown)!r}")
        if unknown := changes.keys() - values.keys():
            raise ValueError(
                f"{cls.__name__} has no size {min(unknown)!r}; it has {', '.join(values)}"
            )
        for key, value in {**from_switch, **changes}.items():
            if key in values:
                values[key] = _convert(key, value, values[key])
        return cls(**values)

    @classmethod
    def rows(cls) -> list[list[Any]]:
        """Every size as a row: what it is, and its value at each scale."""
        return [
            [field.metadata["doc"], *field.metadata["scales"].values()]
            for field in dataclasses.fields(cls)
        ]


def _convert(key: str, text: Any, like: Any) -> Any:
    """Read a text as a value of the type of `like`; tuples are separated by commas."""
    if not isinstance(text, str):
        return text
    try:
        if isinstance(like, tuple):
            return tuple(type(like[0])(part) for part in text.split(","))
        return type(like)(text)
    except ValueError:
        raise ValueError(f"{key}={text!r} should look like {like!r}") from None
