"""How large an experiment is: sizes with a value for each scale, chosen by `EARLYSTOP_SCALE`."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from typing import Any, Self

SCALES = ("quick", "colab", "paper")


def parse_scale(text: str) -> tuple[str, dict[str, str]]:
    """Split a scale such as `"colab train_size=2000 epochs=3"` into name and changed sizes.

    Raises `ValueError` if the name is none of `SCALES` or a size has no `key=value` form.
    """
    name, *changes = text.split() or [""]
    if name not in SCALES:
        raise ValueError(f"the scale {name!r} is unknown, use one of {', '.join(SCALES)} (EARLYSTOP_SCALE or --scale)")
    for change in changes:
        if "=" not in change:
            raise ValueError(f"{change!r} should read key=value, as in 'colab train_size=2000' or --set epochs=3")
    return name, dict(change.split("=", 1) for change in changes)


def scale_text() -> str:
    """The whole switch as set, or the default: `quick` without a GPU, `colab` with one."""
    if text := os.environ.get("EARLYSTOP_SCALE", "").strip():
        return text
    import torch

    return "colab" if torch.cuda.is_available() else "quick"


def current_scale() -> str:
    """Name of the scale that experiments run at: `quick`, `colab` or `paper`."""
    return parse_scale(scale_text())[0]


@dataclasses.dataclass(frozen=True)
class Size:
    """What is known of a size: its value at each scale, its meaning, and which values make sense."""

    at: dict[str, Any]
    doc: str
    ours: bool = False  # the paper leaves it open: our choice
    before: Any = None  # what held in results that are older than the size
    least: float = 0
    most: float = float("inf")
    of: Iterable | None = None  # the values that there are
    must: Callable[[Any], Any] | None = None  # raises `ValueError` for any other value
    length: int | None = None  # of a tuple
    once: bool = False  # whether each value of a tuple may be there only once

    def check(self, key: str, value: Any) -> None:
        """Raise `ValueError` unless a value makes sense."""
        values = value if isinstance(value, tuple) else (value,)
        if self.length and len(values) != self.length:
            raise ValueError(f"{key} is {value}, should be {self.length} numbers, as {self.at['paper']}")
        if self.once and len({f"{one:.6g}" if isinstance(one, float) else one for one in values}) < len(values):
            raise ValueError(f"{key} is {value}: name each only once (numbers count to 6 digits)")
        known = None if self.of is None else list(self.of)
        for one in values:
            if known is not None and one not in known:
                raise ValueError(f"{key} has {one!r}, should be of {', '.join(map(str, known))}")
            if self.must:
                self.must(one)
            if isinstance(one, (int, float)) and not self.least <= one <= self.most:
                wanted = (
                    f"{self.least} or more" if self.most == float("inf") else f"between {self.least} and {self.most}"
                )
                raise ValueError(f"{key} is {one}, should be {wanted}")
            if one == float("inf"):
                raise ValueError(f"{key} is {one}, should be finite")


def sizes(quick: Any, colab: Any, paper: Any, doc: str, **more: Any) -> Any:
    """A dataclass field with one value a scale; `Sized.at` chooses. `more` is that of `Size`."""
    return dataclasses.field(metadata={"size": Size(dict(zip(SCALES, (quick, colab, paper))), doc, **more)})


def always(value: Any, doc: str, **more: Any) -> Any:
    """The same at every scale."""
    return sizes(value, value, value, doc, **more)


@dataclasses.dataclass(frozen=True)
class Sized:
    """Base of the experiments' configurations: frozen dataclasses whose fields are `sizes`."""

    def __post_init__(self) -> None:
        for key, size in self.fields().items():
            size.check(key, getattr(self, key))

    @classmethod
    def fields(cls) -> dict[str, Size]:
        """What is known of each size."""
        return {field.name: field.metadata["size"] for field in dataclasses.fields(cls)}

    @classmethod
    def at(cls, scale: str | None = None, /, **changes: Any) -> Self:
        """The configuration at a scale (default: the switch, its `key=value` changes included).

        The switch serves several experiments, so a key of another one is passed over.
        Raises `ValueError` for an unknown scale or size, or a text that does not convert.
        """
        name, from_switch = parse_scale(scale_text() if scale is None else scale)
        values = {key: size.at[name] for key, size in cls.fields().items()}
        if unknown := from_switch.keys() - known_sizes(Sized):
            raise ValueError(f"no experiment has a size {min(unknown)!r}")
        if unknown := changes.keys() - values.keys():
            raise ValueError(f"{cls.__name__} has no size {min(unknown)!r}; it has {', '.join(values)}")
        given = {key: value for key, value in {**from_switch, **changes}.items() if key in values}
        return cls(**values | {key: _convert(key, value, values[key]) for key, value in given.items()})

    @classmethod
    def completed(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """The configuration of a stored result, with what held before a field was there."""
        return {key: stored.get(key, size.before) for key, size in cls.fields().items()} | stored


def known_sizes(kind: type[Sized]) -> set[str]:
    """The names of all sizes of a class and of those derived from it."""
    return {*kind.fields(), *(key for one in kind.__subclasses__() for key in known_sizes(one))}


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
