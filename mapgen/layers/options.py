"""The options of `vectorize`: what becomes of the regions of a class map on their way to a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.settings import (
    Area,
    Classes,
    NamesLike,
    Options,
    PathLike,
    Size,
    SizeLike,
    Threads,
    Tolerance,
    sized,
    whole,
)  # fmt: skip

Method = Literal["dp", "vw"]
LayerFormat = Literal["geojson", "geojsonl", "gpkg", "fgb", "parquet", "shp"]

SQUARE_SIZE = Size(2.0)
"""The tolerance of right angles where none is given."""


class Square(NamedTuple):
    """A class whose regions get right angles: how far its borders may be moved about, and whether 45° is right too."""

    name: str
    size: Size = SQUARE_SIZE
    diagonal: bool = False

    def __str__(self) -> str:
        return f"{self.name}{':45' * self.diagonal}={self.size}"


def parse_squares(key: str, value: Any) -> tuple[Square, ...]:
    """`building`, `building=2px`, `building:45=1.5m`, several with commas or as a list. Raises `UsageError`."""
    entries = value.split(",") if isinstance(value, str) else value
    out = []
    for entry in entries if isinstance(entries, list | tuple) else [entries]:
        if isinstance(entry, Square):
            out.append(entry)
            continue
        head, _, size = str(entry).partition("=")
        name, _, diagonal = head.strip().partition(":")
        if not name or diagonal not in ("", "45") or not isinstance(entry, str):
            problem = f"{entry!r} is not CLASS, CLASS=SIZE or CLASS:45=SIZE"
            raise UsageError(option(key), problem, f"such as {option(key, 'building=2px')}")
        tolerance = sized("px", "m", most=100)(key, size) if size else SQUARE_SIZE
        out.append(Square(name, tolerance, bool(diagonal)))
    return tuple(out)


Squares = Annotated[tuple[Square, ...], parse_squares]

Rounds = Annotated[int, whole(0, 6, 2)]
Decimals = Annotated[int, whole(0, 15, 7)]


class VectorizeKeys(TypedDict, total=False):
    """What the options of `vectorize` may be given as."""

    format: LayerFormat | None
    classes: NamesLike | None
    background: NamesLike
    sieve: SizeLike | None
    min_area: SizeLike | None
    max_area: SizeLike | None
    min_hole: SizeLike | None
    simplify: SizeLike | None
    method: Method
    smooth: int
    square: str | Sequence[str | Square]
    dissolve: bool
    clip: PathLike | None
    confidence_raster: PathLike | None
    crs: str | None
    assume_crs: str | None
    decimals: int | None
    layer_name: str | None
    append: bool
    overwrite: bool
    threads: int | None


@dataclass(frozen=True, slots=True)
class VectorizeOptions(Options):
    """What `vectorize` may be told. Areas are `px` or `m2`, the tolerance of `simplify` is `px` or `m`."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[VectorizeKeys]) -> None: ...

    format: LayerFormat | None = None
    """Instead of what the suffix of the output says."""
    classes: Classes | None = None
    """Names or ids of the classes to write; all where None."""
    background: Classes = ()
    """Names or ids of classes not to write, besides those that the legend marks as background."""
    sieve: Area | None = None
    """Neighbours absorb regions below this size."""
    min_area: Area | None = None
    """Polygons below this size are left out."""
    max_area: Area | None = None
    """Polygons above this size are left out."""
    min_hole: Area | None = None
    """Holes below this size are filled, with all that is in them."""
    simplify: Tolerance | None = None
    """Tolerance by which shared borders are simplified."""
    method: Method = "dp"
    """Douglas-Peucker (a distance) or Visvalingam-Whyatt (the root of an area)."""
    smooth: Rounds = 0
    """Rounds of corner cutting; each doubles the vertices."""
    square: Squares = ()
    """Classes whose regions get right angles where there is room: `building`, `building=2px`, `building:45=2px`."""
    dissolve: bool = False
    """Write one multipolygon for each class."""
    clip: Path | None = None
    """Only pixels inside the polygons of this vector file, in any CRS."""
    confidence_raster: Path | None = None
    """Mean and minimum of this raster, of the same grid, become attributes of each polygon."""
    crs: str | None = None
    """CRS of the layer; the class map's where None. GeoJSON is always WGS 84."""
    assume_crs: str | None = None
    """The CRS of class maps that do not name theirs."""
    decimals: Decimals | None = None
    """Decimals of GeoJSON coordinates; 7, more for pixels below 10 cm, where None."""
    layer_name: str | None = None
    """What the layer is called; as the output where None."""
    append: bool = False
    """Add to a GeoPackage that exists."""
    overwrite: bool = False
    """Replace an output that exists."""
    threads: Threads | None = None
    """Threads to work in; one a core, up to 8, where None."""


GENERALIZED = (Size(8.0), Size(1.5))
"""The sieve and the tolerance with which `map` tidies its layer."""
