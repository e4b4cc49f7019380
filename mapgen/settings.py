"""Option bundles of the tools and the choices of their values. Standard library only: `--help` costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal, get_args

from mapgen.errors import UsageError

Stitch = Literal["crop", "blend"]
EngineName = Literal["auto", "torch", "openvino"]
Device = Literal["auto", "cpu", "cuda", "mps"]

STITCHES: tuple[str, ...] = get_args(Stitch)
ENGINES: tuple[str, ...] = get_args(EngineName)
DEVICES: tuple[str, ...] = get_args(Device)

DEFAULT_MODEL = "drycity-rgb-1m"
"""The built-in model of `mapgen segment` without `--model`."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How pixel values are brought into the model's range before the network sees them.

    `none`: as they are. `dtype`: the range of the scene's integer type to that of the model's. `range`: `low…high` to
    the model's range. `percentile`: the same with the values at two percentiles of the whole scene.
    """

    kind: Literal["none", "dtype", "range", "percentile"] = "none"
    low: float = 0.0
    high: float = 0.0

    def __str__(self) -> str:
        mark = "p" if self.kind == "percentile" else ""
        return self.kind if self.kind in ("none", "dtype") else f"{mark}{self.low:g},{mark}{self.high:g}"


def parse_scale(text: str) -> Scale:
    """The scale that `none`, `dtype`, `LO,HI` or `pLO,pHI` stands for. Raises `UsageError`."""
    if text in ("none", "dtype"):
        return Scale("none" if text == "none" else "dtype")
    parts = [p.strip() for p in text.split(",")]
    try:
        if len(parts) == 2 and all(p.startswith("p") for p in parts):
            low, high = (float(p[1:]) for p in parts)
            if 0 <= low < high <= 100:
                return Scale("percentile", low, high)
        elif len(parts) == 2:
            low, high = (float(p) for p in parts)
            if low < high and isfinite(low) and isfinite(high):
                return Scale("range", low, high)
    except ValueError:
        pass
    raise UsageError(
        "--scale", f"{text!r} is not none, dtype, LO,HI or pLO,pHI", "such as --scale 0,3000 or --scale p2,p98"
    )


@dataclass(frozen=True, slots=True)
class SegmentOptions:
    """What `segment` may be told. Everything that describes the model is in its card instead."""

    model: str = DEFAULT_MODEL
    bands: tuple[str, ...] | None = None
    """Band numbers from 1, or names, one for each band of the model."""
    nodata: float | None = None
    scale: Scale = Scale()
    resolution: Literal["model", "native"] | float = "model"
    """Metres per pixel at which the network sees the scene."""
    window: int | None = None
    halo: int | None = None
    stitch: Stitch = "crop"
    batch: int = 1
    engine: EngineName = "auto"
    device: Device = "auto"
    aoi: Path | None = None
    bbox: tuple[float, float, float, float] | None = None
    on_read_error: Literal["fail", "nodata"] = "fail"
    """What becomes of a damaged block: the run fails, or the block is nodata and listed."""
    overwrite: bool = False
    creation_options: tuple[tuple[str, str], ...] = ()


# Vectorizing --------------------------------------------------------------------------------------------------------

Method = Literal["dp", "vw"]
LayerFormat = Literal["geojson", "geojsonl", "gpkg", "fgb", "parquet", "shp"]

METHODS: tuple[str, ...] = get_args(Method)
LAYER_FORMATS: tuple[str, ...] = get_args(LayerFormat)


@dataclass(frozen=True, slots=True)
class Size:
    """A length or an area as it was given: in pixels (`px`), metres (`m`) or square metres (`m2`)."""

    value: float
    unit: Literal["px", "m", "m2"] = "px"

    def __str__(self) -> str:
        return f"{self.value:g}{self.unit}"


def parse_size(flag: str, text: str | None) -> Size | None:
    """`8`, `8px`, `1.5m` or `20m2` as a size; a bare number is in pixels."""
    if text is None:
        return None
    number = text.strip()
    unit = next((u for u in ("m2", "px", "m") if number.endswith(u)), "")
    try:
        return Size(float(number.removesuffix(unit)), unit or "px")  # type: ignore[arg-type]
    except ValueError:
        raise UsageError(flag, f"{text!r} is not a size", f"such as {flag} 8px") from None


@dataclass(frozen=True, slots=True)
class VectorizeOptions:
    """What `vectorize` may be told. Areas are `px` or `m2`, the tolerance of `simplify` is `px` or `m`."""

    format: LayerFormat | None = None
    """Instead of what the suffix of the output says."""
    classes: tuple[str, ...] | None = None
    """Names or ids of the classes to write; all where None."""
    background: tuple[str, ...] = ()
    """Names or ids of classes not to write, besides those that the legend marks as background."""
    sieve: Size | None = None
    min_area: Size | None = None
    max_area: Size | None = None
    min_hole: Size | None = None
    simplify: Size | None = None
    method: Method = "dp"
    smooth: int = 0
    dissolve: bool = False
    clip: Path | None = None
    confidence: Path | None = None
    crs: str | None = None
    assume_crs: str | None = None
    precision: int | None = None
    layer: str | None = None
    append: bool = False
    overwrite: bool = False
    threads: int | None = None
