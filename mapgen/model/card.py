"""The model card: everything that a model must say about itself, so that no option has to."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

from mapgen.errors import MapgenError, ModelError, one_line
from mapgen.legend import Legend
from mapgen.plan import check_window

VERSION = 2
"""Of the cards that are written: since 2 a file may hold the graph of its network beside its tensors."""

READ = (1, 2)
DATA_TYPES = ("uint8", "uint16", "float32")

LARGEST = 8192
"""Pixels of a side of a window that a network may insist on."""


@dataclass(frozen=True, slots=True)
class Compression:
    """What a cheaper form of a model says of itself: from which file it was made, how, and what was lost.

    The file holds a graph instead of the network's tensors; all else on its card is its parent's.
    """

    precision: str
    """Of most of the arithmetic, such as int8."""
    parent: str
    """The name of the model it was made from."""
    parent_sha256: str
    """The hash of that model's file: the graph goes with no other."""
    method: str = ""
    """One line: how it was made."""
    measured: Mapping[str, Any] = field(default_factory=dict)
    """Agreement with the parent in float32, mIoU before and after, sizes and speed, with the ground and machine."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a network comes from that mapgen holds as a graph alone: nothing but the graph's engine can run it."""

    source: str
    """The format it came in, such as onnx."""
    sha256: str
    """The hash of the file it came in."""
    head: str = "scores"
    """What it gave there: softmax, sigmoid, probabilities, scores or ids. The graph gives scores of it."""
    tool: str = ""
    """What had written that file."""
    opset: int = 0
    network: str = ""
    """What it is, as far as is known, such as Unet resnet18."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model says about itself. Field names follow the STAC Machine Learning Model extension where it has them.

    A pixel value `v` of band `b`, in the units of `data_type`, enters the network as `(v - mean[b]) / std[b]`. The
    output channels are scores of the classes of `legend`, in order; their softmax is the probability.
    """

    name: str
    architecture: str
    """A class of segmentation_models_pytorch, such as Unet or FPN; empty where the file holds a graph alone."""
    encoder: str
    """An encoder of segmentation_models_pytorch, such as resnet18."""
    bands: tuple[str, ...]
    """The bands the network wants, in order, by common name: red, green, blue, nir, …"""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    legend: Legend
    resolution_m: float
    """Metres per pixel of the ground the model was trained on."""
    data_type: str = "uint8"
    """The type of the pixel values in training; with it the range that scenes are expected in."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of the architecture, such as decoder_channels."""
    window: int = 1024
    halo: int = 64
    stride: int = 32
    """The network's down-sampling factor: windows and halos are multiples of it."""
    version: str = "1"
    domain: str = ""
    """One line: what imagery the model knows."""
    description: str = ""
    data: str = ""
    license: str = ""
    limits: str = ""
    scores: Mapping[str, Any] = field(default_factory=dict)
    """Measured quality, with the ground it was measured on."""
    compression: Compression | None = None
    """Of a cheaper form of another model; not written where None, so that mapgens before it read all other cards."""
    graph: Origin | None = None
    """Of a network from elsewhere that is held as a graph alone; not written where None."""
    fixed_window: tuple[int, ...] | None = None
    """Height and width of the only windows that the network takes; not written where None."""

    def __post_init__(self) -> None:
        count = len(self.bands)
        problem = (
            "no bands" if not count
            else f"{len(self.mean)} means for {count} bands" if len(self.mean) != count
            else f"{len(self.std)} standard deviations for {count} bands" if len(self.std) != count
            else "a mean that is not a number" if not all(map(isfinite, self.mean))
            else "a standard deviation that is not positive" if not all(0 < s < inf for s in self.std)
            else "no classes" if not len(self.legend)
            else f"a resolution of {self.resolution_m} m" if not 0 < self.resolution_m < 1e5
            else f"a stride of {self.stride}" if self.stride < 1
            else f"data_type {self.data_type!r}, not one of {', '.join(DATA_TYPES)}" if self.data_type not in DATA_TYPES
            else f"a fixed_window of {list(self.fixed_window)}"
            if self.fixed_window is not None and not _is_window(self.fixed_window, self.window)
            else None
        )  # fmt: skip
        if problem is None:
            try:
                check_window(self.window, self.halo, self.stride)
            except MapgenError as exc:
                problem = f"{exc.key} {exc.problem}"
        if problem:
            raise ModelError(
                one_line(self.name), f"its card has {problem}", "correct the card and save the model again"
            )

    @property
    def lattice(self) -> int | tuple[int, ...]:
        """What the sides of windows are multiples of: the stride, or the only height and width that there are."""
        return self.fixed_window or self.stride

    @property
    def network(self) -> str:
        """What the network is called, on one line; empty where nobody knows."""
        return f"{self.architecture} {self.encoder}".strip() or (self.graph.network if self.graph else "")

    def to_json(self) -> str:
        """The card as one JSON object, keys in a fixed order."""
        entries = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        entries["legend"] = self.legend.to_json()
        entries["parameters"], entries["scores"] = dict(self.parameters), dict(self.scores)
        for name in ("compression", "graph", "fixed_window"):
            part = entries.pop(name)
            if part is not None:
                entries[name] = list(part) if isinstance(part, tuple) else _plain(part)
        return json.dumps({"mapgen_card": VERSION, **entries}, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str, source: object) -> ModelCard:
        """The card of `to_json`, checked field by field; raises `ModelError` naming `source` and the field."""
        try:
            entries = json.loads(text, parse_float=_finite, parse_int=_whole, parse_constant=_finite)
            json.dumps(entries, ensure_ascii=False).encode()  # "\\ud800" is JSON, but no text that could be printed
        except (ValueError, RecursionError) as exc:
            raise ModelError(source, f"its card is not JSON ({exc})", "save the model again") from exc
        version = entries.pop("mapgen_card", None) if isinstance(entries, dict) else None
        if version not in READ:
            known = f"this mapgen reads {' and '.join(map(str, READ))}"
            raise ModelError(source, f"its card has version {version}, {known}", "update mapgen")
        values = _fields(cls, entries, source)
        try:
            return cls(**values)
        except ModelError as exc:  # names the model, which may be called anything
            raise ModelError(source, exc.problem, exc.remedy) from exc


def _is_window(sides: tuple[int, ...], window: int) -> bool:
    return len(sides) == 2 and min(sides) == window and max(sides) <= LARGEST


def _plain(part: Compression | Origin) -> dict[str, Any]:
    """The fields of a part of the card."""
    values = {f.name: getattr(part, f.name) for f in dataclasses.fields(part)}
    return {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _fields(kind: type[Any], entries: dict[str, Any], source: object) -> dict[str, Any]:
    """The values of the fields of `kind` from `entries`, which are to hold nothing else."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for f in dataclasses.fields(kind):
        if f.name in entries:
            values[f.name] = _parsed(f.name, entries.pop(f.name), hints[f.name], source)
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise ModelError(source, f"its card lacks {f.name!r}", "save the model again")
    if entries:  # a field of a later mapgen may change the meaning of the others
        raise ModelError(source, f"its card has the unknown field {one_line(next(iter(entries)))!r}", "update mapgen")
    return values


def _finite(text: str) -> float:
    """The number; `ValueError` for NaN, Infinity and 1e999, which Python's JSON would let through."""
    value = float(text)
    if not isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _whole(text: str) -> int:
    """The number; `ValueError` for one that no field could hold, and that could not be made a float."""
    if len(text) > 18:
        raise ValueError(f"{text[:18]}… is too large a number")
    return int(text)


def _parsed(name: str, value: Any, hint: Any, source: object) -> Any:
    """`value` from JSON as the type that the field declares."""
    wrong = ModelError(source, f"its card has {name} = {one_line(json.dumps(value))[:60]}", "save the model again")
    if hint is Legend:
        try:
            return Legend.from_json(value)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as exc:
            raise ModelError(source, f"the legend of its card is broken ({exc})", "save the model again") from exc
    if isinstance(hint, types.UnionType) and type(None) in typing.get_args(hint):
        hint = typing.get_args(hint)[0]  # what may be None is left out then
        if hint in (Compression, Origin):
            if not isinstance(value, dict):
                raise wrong
            return hint(**_fields(hint, value, source))
    origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise wrong
        return tuple(_parsed(name, v, typing.get_args(hint)[0], source) for v in value)
    if origin is not None and not isinstance(hint, types.UnionType):
        if not isinstance(value, dict):
            raise wrong
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or isinstance(value, bool):
        raise wrong
    return value
