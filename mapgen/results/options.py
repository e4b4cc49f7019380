"""The options of `map` and `view`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.inference.options import SegmentKeys, SegmentOptions
from mapgen.layers.options import Decimals, LayerFormat, Method, Rounds, Square, Squares, VectorizeOptions
from mapgen.settings import (
    Area,
    Classes,
    NameOrFile,
    NamesLike,
    Options,
    PathLike,
    Size,
    SizeLike,
    Tolerance,
    Zoom,
    ZoomLike,
    number,
    whole,
)
from mapgen.tiling.options import TilesOptions, parse_url


def file_name(key: str, value: Any) -> str:
    """A text that names a file and no folder. Raises `UsageError`."""
    if not isinstance(value, str) or not value or "/" in value or "\\" in value:
        raise UsageError(option(key), f"{value!r} is not the name of a file", f"such as {option(key, 'town')}")
    return value


def tile_template(key: str, value: Any) -> str:
    """The http(s) URL of tiles, with {z}, {x} and {y} in it. Raises `UsageError`."""
    host = r"[A-Za-z0-9.-]+(:\d+)?"
    named = isinstance(value, str) and all(part in value for part in ("{z}", "{x}", "{y}"))
    if not named or not re.fullmatch(rf"https?://{host}/[^\s\"'<>;,]*", str(value)):
        remedy = f"such as {option(key, 'https://tiles.example.org/{z}/{x}/{y}.png')}"
        raise UsageError(option(key), f"{value!r} is not the URL of tiles", remedy)
    return str(value)


class MapKeys(SegmentKeys, total=False):
    """What the options of `map` may be given as."""

    name: str | None
    format: LayerFormat
    classes: NamesLike | None
    background: NamesLike
    sieve: SizeLike
    min_area: SizeLike | None
    max_area: SizeLike | None
    min_hole: SizeLike | None
    simplify: SizeLike
    method: Method
    smooth: int
    square: str | Sequence[str | Square]
    dissolve: bool
    crs: str | None
    decimals: int | None
    zoom: ZoomLike
    assume_crs: str | None
    roads: bool
    layer: bool
    tiles: bool
    preview: bool
    stac: bool
    page: bool


@dataclass(frozen=True, slots=True)
class MapOptions(SegmentOptions):
    """What `map` may be told: how to segment, what becomes of the layer and the tiles, and which parts to make."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[MapKeys]) -> None: ...

    name: Annotated[str, file_name] | None = None
    """What the results are called; the scene's name, or that of the folder where there are several, where None."""
    format: LayerFormat = "gpkg"
    """Of the layer; with gpkg it is also written as GeoJSON where that is small."""
    classes: Classes | None = None
    """Names or ids of the classes to write to the layer; all where None."""
    background: Classes = ()
    """Names or ids of classes not to write to the layer."""
    sieve: Area = Size(8.0)
    """Of the layer: neighbours absorb regions below this size."""
    min_area: Area | None = None
    """Of the layer: polygons below this size are left out."""
    max_area: Area | None = None
    """Of the layer: polygons above this size are left out."""
    min_hole: Area | None = None
    """Of the layer: holes below this size are filled."""
    simplify: Tolerance = Size(1.5)
    """Of the layer: tolerance by which shared borders are simplified."""
    method: Method = "dp"
    """Of the layer: how it is simplified."""
    smooth: Rounds = 0
    """Of the layer: rounds of corner cutting."""
    square: Squares = ()
    """Of the layer: classes whose regions get right angles where there is room."""
    dissolve: bool = False
    """Of the layer: one multipolygon for each class."""
    crs: str | None = None
    """CRS of the layer; the scene's where None."""
    decimals: Decimals | None = None
    """Decimals of GeoJSON coordinates."""
    zoom: Zoom = (None, None)
    """Zooms of the tiles."""
    assume_crs: str | None = None
    """For layer and tiles, of scenes that do not name their CRS."""
    roads: bool = False
    """Whether the network of the roads is written, with the defaults of `roads`."""
    layer: bool = True
    """Whether polygons are written."""
    tiles: bool = True
    """Whether raster and vector tiles are written."""
    preview: bool = True
    """Whether a picture of the imagery is written."""
    stac: bool = True
    """Whether STAC items are written."""
    page: bool = True
    """Whether a page to look at the map is written, if it is not too large."""

    @property
    def segment(self) -> SegmentOptions:
        """How the scenes are segmented."""
        return SegmentOptions(**self._shared(SegmentOptions))

    @property
    def vectorize(self) -> VectorizeOptions:
        """How the class map becomes a layer."""
        return VectorizeOptions(**self._shared(VectorizeOptions))

    def _shared(self, kind: type[Options]) -> dict[str, Any]:
        """The options that another command has too; what one word means for both is one thing."""
        own = {field.name for field in fields(self)}
        return {field.name: getattr(self, field.name) for field in fields(kind) if field.name in own}  # type: ignore[arg-type]

    @property
    def tile(self) -> TilesOptions:
        """How the class map becomes tiles."""
        return TilesOptions(
            zoom=self.zoom, assume_crs=self.assume_crs, overwrite=self.overwrite, threads=self.threads, kind="classes"
        )


class ViewKeys(TypedDict, total=False):
    """What the options of `view` may be given as."""

    compare: PathLike | None
    imagery: PathLike | None
    layer: str | None
    size: int
    opacity: float
    title: str | None
    credit: str | None
    basemap: str | None
    base_url: str | None
    overwrite: bool


@dataclass(frozen=True, slots=True)
class ViewOptions(Options):
    """What `view` may be told."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[ViewKeys]) -> None: ...

    compare: NameOrFile | None = None
    """Another result, for the other side of the swipe."""
    imagery: NameOrFile | None = None
    """A raster to show below the map."""
    layer: str | None = None
    """Of a vector file that has several, the layer to show."""
    size: Annotated[int, whole(16, 8192, 1200)] = 1200
    """Pixels of the longer side of a still picture, without its legend."""
    opacity: Annotated[float, number(0, 100, 60, "between 0 and 100 percent")] = 60.0
    """Percent that classes cover the imagery with in a still picture."""
    title: str | None = None
    """What page and picture are called; what is looked at, by its name, where None."""
    credit: str | None = None
    """A line about whose imagery or data this is, for page and picture."""
    basemap: Annotated[str, tile_template] | None = None
    """Tiles of a base map below all else, by their URL with {z}, {x} and {y}; then the page asks that address."""
    base_url: Annotated[str, parse_url] | None = None
    """Where a folder that is exported is going to be served from, for absolute URLs in its style."""
    overwrite: bool = False
    """Replace outputs that exist."""
