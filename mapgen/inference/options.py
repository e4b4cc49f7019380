"""The options of `segment`: what a person may say of a run of the network. Everything that describes the model is in
its card instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.settings import (
    DEFAULT_MODEL,
    Bands,
    Bytes,
    Device,
    EngineName,
    NameOrFile,
    NamesLike,
    Options,
    PathLike,
    Precision,
    Scale,
    ScaleLike,
    Threads,
    parse_scale,
    whole,
)

Stitch = Literal["crop", "blend"]
Tta = Literal["none", "flip", "d4"]
OnReadError = Literal["fail", "nodata"]
Resolution: TypeAlias = Literal["model", "native"] | float
Box = tuple[float, float, float, float]


def parse_resolution(key: str, value: str | float) -> Resolution:
    """`model`, `native`, or metres as a number or text. Raises `UsageError`."""
    if value == "model" or value == "native":
        return value  # type: ignore[return-value]
    try:
        metres = float(value.removesuffix("m") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        metres = 0.0
    if not 0 < metres < 1e5 or isinstance(value, bool):
        raise UsageError(option(key), f"{value!r} is not model, native or metres", f"such as {option(key, 0.5)}")
    return metres


def parse_bbox(key: str, value: str | Sequence[float]) -> Box:
    """Left, bottom, right and top: numbers, or text with commas between them. Raises `UsageError`."""
    try:
        left, bottom, right, top = (float(p) for p in (value.split(",") if isinstance(value, str) else value))
    except (TypeError, ValueError):
        left = bottom = right = top = nan
    if not (left < right and bottom < top):
        example = f"such as {option(key, '500000,2700000,501000,2701000')}"
        raise UsageError(option(key), f"{value!r} is not left,bottom,right,top", example)
    return left, bottom, right, top


def parse_creation_options(key: str, value: Any) -> tuple[tuple[str, str], ...]:
    """`KEY=VALUE` texts, pairs, or a mapping, as pairs. Raises `UsageError`."""
    pairs = []
    for entry in value.items() if isinstance(value, Mapping) else [value] if isinstance(value, str) else value:
        name, sign, text = entry.partition("=") if isinstance(entry, str) else (str(entry[0]), "=", str(entry[1]))
        if not sign or not name:
            raise UsageError(option(key), f"{entry!r} is not KEY=VALUE", f"such as {option(key, 'COMPRESS=ZSTD')}")
        pairs.append((name, text))
    return tuple(pairs)


class SegmentKeys(TypedDict, total=False):
    """What the options of `segment` may be given as."""

    model: PathLike
    bands: NamesLike | None
    nodata: float | None
    scale: ScaleLike
    resolution: str | float
    window: int | None
    halo: int | None
    stitch: Stitch
    tta: Tta
    batch: int | None
    engine: EngineName
    device: Device
    precision: Precision
    threads: int | None
    max_memory: str | int | None
    probabilities: bool
    confidence: bool
    aoi: PathLike | None
    bbox: str | Sequence[float] | None
    on_read_error: OnReadError
    resume: bool
    overwrite: bool
    creation_options: Mapping[str, str] | Sequence[str | tuple[str, str]]


@dataclass(frozen=True, slots=True)
class SegmentOptions(Options):
    """What `segment` may be told."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[SegmentKeys]) -> None: ...

    model: NameOrFile = DEFAULT_MODEL
    """A built-in model or a model file."""
    bands: Bands | None = None
    """Band numbers from 1, or names, one for each band of the model."""
    nodata: float | None = None
    """The value that means no data, instead of what the file says."""
    scale: Annotated[Scale, parse_scale] = Scale()
    """How values are brought into the model's range: `none`, `dtype`, `LO,HI` or `pLO,pHI`."""
    resolution: Annotated[Resolution, parse_resolution] = "model"
    """Metres per pixel at which the network sees the scene; `model` and `native` are those of either."""
    window: Annotated[int, whole(1, 65536, 512)] | None = None
    """Side of the windows in pixels; what suits the model, the scene and the memory where None."""
    halo: Annotated[int, whole(0, 32768, 64)] | None = None
    """Margin of a window in pixels that only gives context; the model's where None."""
    stitch: Stitch = "crop"
    """Take each pixel from the window that sees it best (`crop`), or average the windows that see it (`blend`)."""
    tta: Tta = "none"
    """Test-time augmentation: the probabilities of mirrored and turned copies of each window are averaged."""
    batch: Annotated[int, whole(1, 256, 4)] | None = None
    """Windows that run together; what suits the device where None."""
    engine: EngineName = "auto"
    """What runs the network."""
    device: Device = "auto"
    """Where it runs."""
    precision: Precision = "auto"
    """What it computes in; `auto` is the fastest that the model and the machine have."""
    threads: Threads | None = None
    """Threads of the engine on a CPU; as many as it has cores where None."""
    max_memory: Bytes | None = None
    """Bytes that the run should stay under, such as `800MB`; it chooses the window where none is given."""
    probabilities: bool = False
    """Write the probability of each class beside the map."""
    confidence: bool = False
    """Write the probability of the chosen class beside the map."""
    aoi: Path | None = None
    """Only inside the polygons of this vector file, in any CRS."""
    bbox: Annotated[Box, parse_bbox] | None = None
    """Only inside this box: left, bottom, right, top in the CRS of the scene."""
    on_read_error: OnReadError = "fail"
    """What becomes of a damaged block: the run fails, or the block is nodata and listed."""
    resume: bool = True
    """Go on with what an earlier run of the same options was interrupted at."""
    overwrite: bool = False
    """Replace outputs that exist."""
    creation_options: Annotated[tuple[tuple[str, str], ...], parse_creation_options] = ()
    """Creation options of GDAL's COG driver, as `KEY=VALUE`, pairs or a mapping."""
