"""The options of `tiles`: which zooms, in what form, and how pixels become them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, Unpack

from mapgen.errors import UsageError, option
from mapgen.settings import (
    Bands,
    NamesLike,
    Options,
    PathLike,
    Scale,
    ScaleLike,
    Size,
    SizeLike,
    Threads,
    Zoom,
    ZoomLike,
    parse_scale,
    sized,
    whole,
)

TileKind = Literal["auto", "classes", "imagery"]
TileImage = Literal["auto", "png", "webp", "jpeg"]
TileResampling = Literal["auto", "mode", "nearest", "bilinear", "cubic"]
TileScheme = Literal["xyz", "tms"]
TileContainer = Literal["pmtiles", "mbtiles", "folder"]


def parse_stretch(key: str, value: Any) -> Scale:
    """`LO,HI`, `pLO,pHI` or a pair of numbers. Raises `UsageError`."""
    scale = parse_scale(key, value)
    if scale.kind in ("none", "dtype"):
        raise UsageError(option(key), f"{value!r} is not LO,HI or pLO,pHI", f"such as {option(key, 'p2,p98')}")
    return scale


def parse_side(key: str, value: Any) -> int:
    """256 or 512. Raises `UsageError`."""
    if value not in (256, 512) or isinstance(value, bool):
        raise UsageError(option(key), f"{value!r} pixels", "use 256 or 512")
    return int(value)


def parse_url(key: str, value: Any) -> str:
    """An http(s) URL. Raises `UsageError`."""
    if not isinstance(value, str) or not value.lower().startswith(("http://", "https://")):
        raise UsageError(
            option(key), f"{value!r} is not an http(s) URL", f"such as {option(key, 'https://example.org/maps/')}"
        )
    return value


class TilesKeys(TypedDict, total=False):
    """What the options of `tiles` may be given as."""

    zoom: ZoomLike
    tile_size: int | None
    vector: bool
    simplify: SizeLike
    layer: str | None
    layer_name: str | None
    confidence_raster: PathLike | None
    tile_format: TileImage
    quality: int | None
    kind: TileKind
    resampling: TileResampling
    bands: NamesLike | None
    nodata: float | None
    stretch: ScaleLike | None
    scheme: TileScheme | None
    tms: str
    format: TileContainer | None
    base_url: str | None
    assume_crs: str | None
    threads: int | None
    overwrite: bool


@dataclass(frozen=True, slots=True)
class TilesOptions(Options):
    """What `tiles` may be told."""

    if TYPE_CHECKING:

        def __init__(self, **given: Unpack[TilesKeys]) -> None: ...

    zoom: Zoom = (None, None)
    """Zooms to write, such as `10-16`; from the extent to the resolution where `auto`."""
    tile_size: Annotated[int, parse_side] | None = None
    """Pixels of the side of a tile: 256, or 512 for vector tiles, where None."""
    vector: bool = False
    """Polygons instead of pictures."""
    simplify: Annotated[Size, sized("px", most=64)] = Size(1.0)
    """Tolerance of vector tiles, in pixels of each zoom."""
    layer: str | None = None
    """Of a vector file: the layer to read, where there are several."""
    layer_name: str | None = None
    """What the layer of vector tiles is called."""
    confidence_raster: Path | None = None
    """The mean of this raster becomes an attribute of vector tiles."""
    tile_format: TileImage = "auto"
    """Form of each picture: palette PNG for classes and WebP for imagery where `auto`."""
    quality: Annotated[int, whole(1, 100, 80)] | None = None
    """Of JPEG and WebP, 1 to 100."""
    kind: TileKind = "auto"
    """What the source is, where it does not say so itself."""
    resampling: TileResampling = "auto"
    """How pixels are taken; those of lower zooms are modes (classes) or means, with `nearest` one of their four."""
    bands: Bands | None = None
    """Bands of imagery to show as red, green, blue, or as grey."""
    nodata: float | None = None
    """The value of pixels without data."""
    stretch: Annotated[Scale, parse_stretch] | None = None
    """Values of imagery to show as black and white: `LO,HI`, or percentiles `pLO,pHI`."""
    scheme: TileScheme | None = None
    """Whether rows of a folder z/x/y count from the north (`xyz`) or the south (`tms`)."""
    tms: str = "WebMercatorQuad"
    """The grid of tiles."""
    format: TileContainer | None = None
    """Form of the set where the output does not say it: `pmtiles`, `mbtiles` or `folder`."""
    base_url: Annotated[str, parse_url] | None = None
    """Where the tiles are going to be served from, for absolute URLs in the TileJSON and the style beside them."""
    assume_crs: str | None = None
    """The CRS of rasters that do not name theirs."""
    threads: Threads | None = None
    """Threads to work in; one a core, up to 8, where None."""
    overwrite: bool = False
    """Replace a set that exists."""

    def check(self) -> None:
        """Raise `UsageError` for options that no source can make sense of."""
        if self.quality is not None and self.tile_format == "png":
            remedy = f"leave it out, or use {option('tile_format', 'webp')} or jpeg"
            raise UsageError(option("quality"), "PNG loses nothing", remedy)
        pictures = {"tile_format": self.tile_format != "auto", "quality": self.quality is not None}
        polygons = {"confidence_raster": self.confidence_raster is not None, "layer": self.layer is not None,
                    "layer_name": self.layer_name is not None}  # fmt: skip
        for key in (key for key, given in (pictures if self.vector else polygons).items() if given):
            if self.vector:
                remedy = f"leave it out, or leave out {option('vector')}"
                raise UsageError(option(key), "vector tiles are not pictures", remedy)
            raise UsageError(option(key), "pictures have no attributes and no layers", f"add {option('vector', True)}")
