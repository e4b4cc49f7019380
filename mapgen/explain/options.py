"""The options of `explain`: which place, which class, by which methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.inference.options import Box, Resolution, SegmentOptions, parse_bbox, parse_resolution
from mapgen.settings import (
    Bands,
    Device,
    EngineName,
    NamesLike,
    Options,
    Precision,
    Scale,
    ScaleLike,
    Threads,
    choice,
    listed,
    parse_scale,
    whole,
)

BY_GRADIENT = ("gradient", "ig", "cam")
"""Methods that ask the network for derivatives, which torch alone gives."""

BY_TRYING = ("occlusion", "lime", "shap", "bands")
"""Methods that look what becomes of the score when pixels are taken away; any engine will do."""

BY_SEGMENT = ("lime", "shap")
"""Those of them that take whole segments away."""

METHODS = (*BY_GRADIENT, *BY_TRYING)

USUAL = ("cam", "ig", "lime", "bands")
"""What is done where nothing is said; without derivatives only what needs none."""

LARGEST = 1024
"""Pixels of the side of what is looked at, at most."""


def parse_at(key: str, value: str | Sequence[float]) -> tuple[float, float]:
    """X and Y: two numbers, or text with a comma between them. Raises `UsageError`."""
    try:
        x, y = (float(part) for part in (value.split(",") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        x = y = float("nan")
    if not (isfinite(x) and isfinite(y)):
        raise UsageError(option(key), f"{value!r} is not X,Y", f"such as {option(key, '500000,2700000')}")
    return x, y


def parse_methods(key: str, value: Any) -> tuple[str, ...]:
    """Names of methods, each once. Raises `UsageError`."""
    return tuple(dict.fromkeys(choice(key, one, METHODS) for one in listed("cam", "ig")(key, value)))


class ExplainKeys(TypedDict, total=False):
    """What the options of `explain` may be given as."""

    at: str | Sequence[float] | None
    bbox: str | Sequence[float] | None
    feature_class: str | None
    methods: NamesLike | None
    stage: int | None
    size: int
    seed: int
    bands: NamesLike | None
    nodata: float | None
    scale: ScaleLike
    resolution: str | float
    engine: EngineName
    device: Device
    precision: Precision
    threads: int | None
    overwrite: bool


@dataclass(frozen=True, slots=True)
class ExplainOptions(Options):
    """What `explain` may be told."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[ExplainKeys]) -> None: ...

    at: Annotated[tuple[float, float], parse_at] | None = None
    """The pixel at this place: X and Y in the CRS of the scene."""
    bbox: Annotated[Box, parse_bbox] | None = None
    """The pixels of the class inside this box: left, bottom, right, top in the CRS of the scene."""
    feature_class: str | None = None
    """The class whose score is explained; the one that the model gives there where None."""
    methods: Annotated[tuple[str, ...], parse_methods] | None = None
    """One or more of `METHODS`."""
    stage: Annotated[int, whole(0, 16, 3)] | None = None
    """The stage of the encoder that `cam` looks at, from 0; the last where None."""
    size: Annotated[int, whole(32, LARGEST, 256)] = 256
    """Side in pixels of the network's of what is looked at, around the place."""
    seed: Annotated[int, whole(0, 2**32 - 1, 1)] = 0
    """Of all that is drawn."""
    bands: Bands | None = None
    """Band numbers from 1, or names, one for each band of the model."""
    nodata: float | None = None
    """The value that means no data, instead of what the file says."""
    scale: Annotated[Scale, parse_scale] = Scale()
    """How values are brought into the model's range: `none`, `dtype`, `LO,HI` or `pLO,pHI`."""
    resolution: Annotated[Resolution, parse_resolution] = "model"
    """Metres per pixel at which the network sees the scene; `model` and `native` are those of either."""
    engine: EngineName = "auto"
    """What runs the network where pixels are taken away."""
    device: Device = "auto"
    """Where it runs."""
    precision: Precision = "auto"
    """What it computes in; `auto` is fp32 here, but for models that are int8 alone."""
    threads: Threads | None = None
    """Threads on a CPU; as many as it has cores where None."""
    overwrite: bool = False
    """Replace files that exist."""

    def check(self) -> None:
        """Raise `UsageError` for options that contradict each other."""
        if self.at is not None and self.bbox is not None:
            raise UsageError(option("at"), "there is a box already", "give one of the two")

    def segmenting(self, model: Path) -> SegmentOptions:
        """The same, for the plan of the scene."""
        return SegmentOptions(
            model=str(model), bands=self.bands, nodata=self.nodata, scale=self.scale,
            resolution=self.resolution, engine=self.engine, device=self.device, precision=self.precision,
            threads=self.threads, probabilities=True,
        )  # fmt: skip
