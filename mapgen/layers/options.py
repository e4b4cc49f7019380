"""The options of `vectorize`: what becomes of the regions of a class map on their way to a layer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict, Unpack

from mapgen.settings import Area, Classes, NamesLike, Options, PathLike, Size, SizeLike, Threads, Tolerance, whole

Method = Literal["dp", "vw"]
LayerFormat = Literal["geojson", "geojsonl", "gpkg", "fgb", "parquet", "shp"]

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
