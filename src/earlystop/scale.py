"""How large an experiment is (`EARLYSTOP_SCALE`), where and how precisely it runs."""

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import torch

SCALES = ("quick", "colab", "paper")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")

Cell = dict[str, Any]  # one run of a sweep: its corruption rate, its seed, ...


def parse_scale(text: str) -> tuple[str, dict[str, str]]:
    """Split a scale such as `"colab train_size=2000 epochs=3"` into name and changed sizes.

    Raises `ValueError` if the name is none of `SCALES` or a size has no `key=value` form.
    """
    name, *changes = text.split() or [""]
    if name not in SCALES:
        raise ValueError(f"EARLYSTOP_SCALE={text!r}: the scale {name!r} is unknown, use one of {', '.join(SCALES)}")
    for change in changes:
        if "=" not in change:
            raise ValueError(
                f"EARLYSTOP_SCALE={text!r}: {change!r} should read key=value, as in 'colab train_size=2000'"
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
    """The device that experiments run on: `EARLYSTOP_DEVICE`, or a CUDA GPU, or the CPU.

    An Apple GPU (mps) only where it is asked for: it has no float64, so spectra are found on the
    CPU. Raises `ValueError` for a device that this machine does not have.
    """
    name = os.environ.get("EARLYSTOP_DEVICE", "") or "auto"
    if name not in DEVICES:
        raise ValueError(f"device {name!r} is unknown, use one of {', '.join(DEVICES)}")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = "cuda" if available["cuda"] else "cpu"
    if not available[name]:
        raise ValueError(f"this machine has no device {name!r}: use --device cpu")
    return torch.device(name)


def precision() -> str:
    """What deep networks compute in: `EARLYSTOP_PRECISION`, or bfloat16 where a GPU has it.

    Else float32: GPUs before Ampere (T4, V100) would only emulate bfloat16. Weights, losses and
    spectra are float32 or better in any case.
    """
    name = os.environ.get("EARLYSTOP_PRECISION", "") or "auto"
    if name not in PRECISIONS:
        raise ValueError(f"precision {name!r} is unknown, use one of {', '.join(PRECISIONS)}")
    if name == "auto":
        recent = device().type == "cuda" and torch.cuda.get_device_capability() >= (8, 0)
        name = "bfloat16" if recent else "float32"
    return name


def bfloat16_is_emulated() -> bool:
    """Whether this processor is known to lack units for bfloat16, so that float32 is much faster."""
    try:
        flags = set(Path("/proc/cpuinfo").read_text(encoding="utf8").split())
    except OSError:  # not Linux: not known
        return False
    units = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
    return bool(flags & {"flags", "Features"}) and not flags & units


@dataclasses.dataclass(frozen=True)
class Way:
    """How networks are trained and looked at: nothing here changes more than the rounding of a number."""

    path: str = "by device"  # of a step: "stacked", "side by side"; by device: side by side on a GPU
    every_epoch_until: int = 40  # measured after each epoch until this one,
    then_every: int = 10  # later after every tenth
    evaluated: int = 1000  # samples that are evaluated at a time
    calibrated: int = 500  # samples by which batch norm is calibrated at a time
    tile: int = 512  # rows of a Jacobian that are computed and multiplied at a time
    jacobian_bytes: float = 9e9  # of a Jacobian held at a time, so that all stays below 12 GB

    def measured(self, epoch: int, last: int) -> bool:
        """Whether to measure after this epoch: all of the first ones, later only some."""
        return epoch <= self.every_epoch_until or epoch % self.then_every == 0 or epoch == last

    def side_by_side(self, on_gpu: bool) -> bool:
        """Whether networks work one beside the other instead of by batched operators."""
        return on_gpu if self.path == "by device" else self.path == "side by side"


def autocast() -> torch.autocast:
    """Context in which operations that may be computed in bfloat16 are, if `precision` says so."""
    return torch.autocast(device().type, dtype=torch.bfloat16, enabled=precision() == "bfloat16")


def sizes(quick: Any, colab: Any, paper: Any, doc: str, before: Any = None) -> Any:
    """A dataclass field with one value a scale; `Sized.at` chooses.

    `before` is what held in results that are older than the field.
    """
    values = dict(zip(SCALES, (quick, colab, paper)))
    return dataclasses.field(metadata={"scales": values, "doc": doc, "before": before})


STREAMS = ("separate", "shared")  # of random numbers, for the draws of a run
COUNTS = ("seeds", "samples", "batch_size", "clusters", "hidden_units", "dim")  # at least 1


def random_stream(seed: int, purpose: str) -> torch.Generator:
    """A generator of its own for every purpose, so that one seed serves independent draws."""
    digest = hashlib.sha256(f"{purpose} {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))


class Sized:
    """Base of the experiments' configurations: frozen dataclasses whose fields are `sizes`."""

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            least = 1 if key in COUNTS else 0
            numbers = value if isinstance(value, tuple) else (value,)
            for number in numbers:
                if isinstance(number, (int, float)) and not number >= least:
                    raise ValueError(f"{key} is {number}, should be {least} or more")
                if key == "streams" and number not in STREAMS:
                    raise ValueError(f"streams is {number!r}, should be of {', '.join(STREAMS)}")
                if key.startswith("corruption_rate") and not number <= 1:
                    raise ValueError(f"{key} is {number}, should be between 0 and 1")

    @classmethod
    def at(cls, scale: str | None = None, **changes: Any) -> "Sized":
        """The configuration at a scale (default: the switch, its `key=value` changes included).

        The switch serves several experiments, so a key of another one is passed over.
        Raises `ValueError` for an unknown scale or size, or a text that does not convert.
        """
        name, from_switch = parse_scale(scale_text() if scale is None else scale)
        values = {field.name: field.metadata["scales"][name] for field in dataclasses.fields(cls)}
        known = {field.name for one in Sized.__subclasses__() for field in dataclasses.fields(one)}
        if unknown := from_switch.keys() - known:
            raise ValueError(f"no experiment has a size {min(unknown)!r}")
        if unknown := changes.keys() - values.keys():
            raise ValueError(f"{cls.__name__} has no size {min(unknown)!r}; it has {', '.join(values)}")
        for key, value in {**from_switch, **changes}.items():
            if key in values:
                values[key] = _convert(key, value, values[key])
        return cls(**values)

    @classmethod
    def completed(cls, stored: dict[str, Any]) -> dict[str, Any]:
        """The configuration of a stored result, with what held before a field was there."""
        fields = {field.name: field.metadata["before"] for field in dataclasses.fields(cls)}
        return {key: stored.get(key, before) for key, before in fields.items()} | stored

    @classmethod
    def rows(cls) -> list[list[Any]]:
        """Every size as a row: what it is, and its value at each scale."""
        return [[field.metadata["doc"], *field.metadata["scales"].values()] for field in dataclasses.fields(cls)]


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
