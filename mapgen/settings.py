"""Option bundles of the tools and the choices of their values. Standard library only: `--help` costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Literal, get_args

from mapgen.errors import UsageError

Stitch = Literal["crop", "blend"]
EngineName = Literal["auto", "torch", "openvino"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16", "fp16", "int8"]
Tta = Literal["none", "flip", "d4"]

STITCHES: tuple[str, ...] = get_args(Stitch)
ENGINES: tuple[str, ...] = get_args(EngineName)
DEVICES: tuple[str, ...] = get_args(Device)
PRECISIONS: tuple[str, ...] = get_args(Precision)
TTAS: tuple[str, ...] = get_args(Tta)

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
    tta: Tta = "none"
    """Test-time augmentation: the probabilities of mirrored and turned copies of each window are averaged."""
    batch: int | None = None
    """Windows that run together; what suits the device where None."""
    engine: EngineName = "auto"
    device: Device = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    """Threads of the engine on a CPU; as many as it has cores where None."""
    max_memory: int | None = None
    """Bytes that the run should stay under; it chooses the window where none is given."""
    probabilities: bool = False
    """Write the probability of each class beside the map."""
    confidence: bool = False
    """Write the probability of the chosen class beside the map."""
    aoi: Path | None = None
    bbox: tuple[float, float, float, float] | None = None
    on_read_error: Literal["fail", "nodata"] = "fail"
    """What becomes of a damaged block: the run fails, or the block is nodata and listed."""
    resume: bool = True
    """Go on with what an earlier run of the same options was interrupted at."""
    overwrite: bool = False
    creation_options: tuple[tuple[str, str], ...] = ()


def parse_bytes(flag: str, text: str | None) -> int | None:
    """`800MB`, `1.5GB` or `2GiB` as bytes. Raises `UsageError`."""
    if text is None:
        return None
    units = {"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
    number = text.strip().lower()
    unit = next((u for u in units if number.endswith(u)), None)
    try:
        size = float(number.removesuffix(unit or "")) * (units[unit] if unit else 1)
    except ValueError:
        size = 0.0
    if not 1 <= size < inf or unit is None:
        raise UsageError(flag, f"{text!r} is not an amount of memory", f"such as {flag} 800MB or {flag} 2GB")
    return int(size)


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


# Roads --------------------------------------------------------------------------------------------------------------

NetworkFormat = Literal["gpkg", "geojson", "geojsonl", "fgb", "osm", "osm.pbf", "graphml"]
NETWORK_FORMATS: tuple[str, ...] = get_args(NetworkFormat)


@dataclass(frozen=True, slots=True)
class RoadsOptions:
    """What `roads` may be told. Lengths are `px` or `m`, areas `px` or `m2`."""

    format: NetworkFormat | None = None
    """Instead of what the suffix of the output says."""
    classes: tuple[str, ...] | None = None
    """Names or ids of the classes that are roads; those that are called so where None."""
    probabilities: Path | None = None
    threshold: tuple[float, float] | None = None
    """(low, high): what is likelier than low is road, where it hangs together with something likelier than high."""
    sieve: Size = Size(60.0, "m2")
    min_hole: Size = Size(60.0, "m2")
    max_width: Size = Size(60.0, "m")
    """Wider roads are areas, and get a line around them."""
    spur: Size = Size(10.0, "m")
    bridge: Size = Size(40.0, "m")
    min_length: Size = Size(30.0, "m")
    """Parts that are shorter, and do not reach the frame, are left out."""
    simplify: Size = Size(1.0, "px")
    clip: Path | None = None
    crs: str | None = None
    assume_crs: str | None = None
    layer: str | None = None
    overwrite: bool = False
    threads: int | None = None


def check_roads(options: RoadsOptions) -> None:
    """Raise `UsageError` for options that no class map can make sense of."""
    for flag, size, units in (
        ("--sieve", options.sieve, ("px", "m2")), ("--min-hole", options.min_hole, ("px", "m2")),
        ("--max-width", options.max_width, ("px", "m")), ("--spur", options.spur, ("px", "m")),
        ("--bridge", options.bridge, ("px", "m")), ("--min-length", options.min_length, ("px", "m")),
        ("--simplify", options.simplify, ("px", "m")),
    ):  # fmt: skip
        if size.unit not in units or not 0 <= size.value < inf:
            raise UsageError(
                flag, f"{size} is not a size of 0 or more in {' or '.join(units)}", f"such as {flag} 8{units[0]}"
            )
    if options.threshold is not None and options.probabilities is None:
        raise UsageError("--threshold", "there are no probabilities to compare with", "add --probabilities FILE")


def parse_threshold(text: str | None) -> tuple[float, float] | None:
    """`0.4` or `0.3,0.6` as (low, high). Raises `UsageError`."""
    if text is None:
        return None
    parts = text.split(",")
    try:
        low, high = float(parts[0]), float(parts[-1])
    except ValueError:
        low, high = 1.0, 0.0
    if len(parts) > 2 or not 0 <= low <= high <= 1:
        problem = f"{text!r} is not LOW,HIGH between 0 and 1"
        raise UsageError("--threshold", problem, "such as --threshold 0.3,0.6")
    return low, high


@dataclass(frozen=True, slots=True)
class RouteOptions:
    """What `route` may be told."""

    min_width: float | None = None
    """Metres that every edge must be wide."""
    no_bridges: bool = False
    """Do without edges on which a gap was bridged."""
    layer: str | None = None
    assume_crs: str | None = None


# Evaluating ---------------------------------------------------------------------------------------------------------

Match = Literal["id", "name"]
MATCHES: tuple[str, ...] = get_args(Match)

FIGURES = ("miou", "accuracy", "kappa", "boundary")
"""Figures of a whole map that `--fail-under` takes."""

LINE_FIGURES = ("apls", "topo", "completeness", "correctness")
"""Figures of a network of lines that `--fail-under` takes."""

CLASS_FIGURES = ("iou", "f1", "precision", "recall", "boundary", "objects")
"""Figures of one class that `--fail-under` takes, as FIGURE.CLASS."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that a figure may be: `of` is the name or id of a class, None for a figure of the whole map."""

    figure: str
    of: str | None
    least: float

    def __str__(self) -> str:
        return f"{self.figure}.{self.of}" if self.of is not None else self.figure


def parse_floor(text: str) -> Floor:
    """`miou=0.6` or `iou.road=0.4`. Raises `UsageError`, with the nearest figure where the name is none."""
    name, sign, number = text.partition("=")
    figure, dot, of = name.strip().partition(".")
    figures = CLASS_FIGURES if dot else (*FIGURES, *LINE_FIGURES)
    if figure.lower() not in figures or (dot and not of.strip()):
        raise UsageError("--fail-under", f"{name.strip()!r} is not a figure", _figure_hint(figure, figures))
    try:
        least = float(number)
    except ValueError:
        least = float("nan")
    if not sign or not -1 <= least <= 1:
        raise UsageError(
            "--fail-under", f"{text!r} does not name a number from 0 to 1", f"such as --fail-under {name or 'miou'}=0.6"
        )
    return Floor(figure.lower(), of.strip() if dot else None, least)


def _figure_hint(figure: str, figures: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(figure.lower(), figures, 1)
    if not near and figure.lower() in CLASS_FIGURES:
        return f"name a class too, such as {figure}.road=0.4"
    if near:
        return f"did you mean {near[0]}?"
    return f"use {', '.join(FIGURES)}, or {', '.join(CLASS_FIGURES)} with a class: iou.road"


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """What `evaluate` may be told. Classes are names or ids of the map's legend, or names in the truth."""

    attribute: str | None = None
    """Of a vector truth: the attribute that holds the class; by default class_id, class_name or class."""
    feature_class: str | None = None
    """Of a vector truth: the class of all features."""
    outside: str | None = None
    """Of a vector truth: the class of the ground outside all features, which does not count where None."""
    priority: tuple[str, ...] = ()
    """Of a vector truth: classes that win where features overlap, the first most; else later features win."""
    layer: str | None = None
    match: Match = "id"
    """How the values of a raster truth are the map's: by number, or by the names that both files give them."""
    ignore: tuple[str, ...] = ()
    """Classes of the truth that do not count."""
    assume_crs: str | None = None
    boundary: float | None = None
    """Tolerance of the boundary figures in metres; they are not computed where None."""
    objects: tuple[str, ...] = ()
    block: float | None = None
    """Side of the blocks of the bootstrap in metres; 256 pixels where None."""
    seed: int = 0
    worst: Path | None = None
    worst_count: int = 6
    fail_under: tuple[Floor, ...] = ()
    overwrite: bool = False


def check_evaluate(options: EvaluateOptions) -> None:
    """Raise `UsageError` for options that no map can make sense of."""
    for flag, metres in (("--boundary", options.boundary), ("--block", options.block)):
        if metres is not None and not 0 < metres < inf:
            raise UsageError(flag, f"{metres:g} is not a length in metres", f"such as {flag} 3")
    if options.attribute is not None and options.feature_class is not None:
        raise UsageError("--class", "--attribute says the class of each feature already", "use one of the two")
    if options.worst_count < 1:
        raise UsageError("--worst-count", f"{options.worst_count} places", "use 1 or more")
    for floor in options.fail_under:
        if floor.figure == "boundary" and options.boundary is None:
            raise UsageError("--fail-under", f"{floor} needs a tolerance", "add --boundary METRES")


# Tiling -------------------------------------------------------------------------------------------------------------

TileKind = Literal["auto", "classes", "imagery"]
TileImage = Literal["auto", "png", "webp", "jpeg"]
TileResampling = Literal["auto", "mode", "nearest", "bilinear", "cubic"]
TileScheme = Literal["xyz", "tms"]
TileContainer = Literal["pmtiles", "mbtiles", "folder"]

TILE_KINDS: tuple[str, ...] = get_args(TileKind)
TILE_IMAGES: tuple[str, ...] = get_args(TileImage)
TILE_RESAMPLINGS: tuple[str, ...] = get_args(TileResampling)
TILE_SCHEMES: tuple[str, ...] = get_args(TileScheme)
TILE_CONTAINERS: tuple[str, ...] = get_args(TileContainer)

LAST_ZOOM = 26

ZoomRange = tuple[int | None, int | None]
"""(lowest, highest) zoom, None where it follows from the source."""


def parse_zoom(text: str) -> ZoomRange:
    """`auto`, `14`, `10-14`, `10-auto` or `auto-14`. Raises `UsageError`."""
    if text.strip() == "auto":
        return None, None
    low, dash, high = (part.strip() for part in text.partition("-"))
    ends = [low, high] if dash else [low, low]
    if all(end == "auto" or (end.isdecimal() and int(end) <= LAST_ZOOM) for end in ends):
        first, last = (None if end == "auto" else int(end) for end in ends)
        if first is None or last is None or first <= last:
            return first, last
    raise UsageError("--zoom", f"{text!r} is not MIN-MAX of 0 to {LAST_ZOOM}", "such as --zoom 10-16, or auto")


@dataclass(frozen=True, slots=True)
class TilesOptions:
    """What `tiles` may be told."""

    zoom: ZoomRange = (None, None)
    tile_size: int | None = None
    """Pixels of the side of a tile: 256, or 512 for vector tiles, where None."""
    vector: bool = False
    """Polygons instead of pictures."""
    simplify: float = 1.0
    """Tolerance of vector tiles, in pixels of each zoom."""
    layer: str | None = None
    """What the layer of vector tiles is called."""
    confidence: Path | None = None
    """The mean of this raster becomes an attribute of vector tiles."""
    format: TileImage = "auto"
    quality: int | None = None
    """Of JPEG and WebP, 1 to 100."""
    kind: TileKind = "auto"
    """What the source is, where it does not say so itself."""
    resampling: TileResampling = "auto"
    """How pixels are taken; those of lower zooms are modes (classes) or means, with `nearest` one of their four."""
    bands: tuple[str, ...] | None = None
    nodata: float | None = None
    scale: Scale | None = None
    scheme: TileScheme | None = None
    tms: str = "WebMercatorQuad"
    container: TileContainer | None = None
    """Of outputs that are not named."""
    base_url: str | None = None
    """Where the tiles are going to be served from, for absolute URLs in the TileJSON and the style beside them."""
    assume_crs: str | None = None
    threads: int | None = None
    overwrite: bool = False


# Mapping ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MapOptions:
    """What `map` may be told, besides how to segment."""

    segment: SegmentOptions = SegmentOptions()
    name: str | None = None
    """What the results are called; the scene's name, or that of the folder where there are several, where None."""
    format: LayerFormat = "gpkg"
    """Of the layer; with gpkg it is also written as GeoJSON where that is small."""
    sieve: Size = Size(8.0)
    simplify: Size = Size(1.5)
    zoom: ZoomRange = (None, None)
    assume_crs: str | None = None
    layer: bool = True
    tiles: bool = True
    preview: bool = True
    stac: bool = True
    page: bool = True
    """Whether a page to look at the map is written, if it is not too large."""
    overwrite: bool = False


# Compressing --------------------------------------------------------------------------------------------------------

Compressed = Literal["int8"]
COMPRESSED: tuple[str, ...] = get_args(Compressed)


@dataclass(frozen=True, slots=True)
class CompressOptions:
    """What `compress` may be told. Bands, nodata and scale are those of all scenes, as `segment` takes them."""

    to: Compressed = "int8"
    windows: int = 64
    """How many windows of imagery the ranges are taken from."""
    evaluate: tuple[tuple[str, str], ...] = ()
    """Scenes and their truth, on which mIoU is measured before and after."""
    ignore: tuple[str, ...] = ()
    """Classes of the truth that do not count."""
    bands: tuple[str, ...] | None = None
    nodata: float | None = None
    scale: Scale = Scale()
    overwrite: bool = False


# Viewing ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What `view` may be told."""

    compare: str | None = None
    """Another result, for the other side of the swipe."""
    imagery: str | None = None
    """A raster to show below the map."""
    layer: str | None = None
    """Of a vector file that has several, the one to show."""
    size: int = 1200
    """Pixels of the longer side of a still picture, without its legend."""
    opacity: float = 60.0
    """Percent that classes cover the imagery with in a still picture."""
    overwrite: bool = False

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 8192:
            raise UsageError("--size", f"{self.size} pixels are not between 16 and 8192", "such as --size 1200")
        if not 0 <= self.opacity <= 100:
            raise UsageError("--opacity", f"{self.opacity:g} is not between 0 and 100 percent", "such as --opacity 60")
