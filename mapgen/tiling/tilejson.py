"""Tile sets before they are written: what they say about themselves, as TileJSON and as a MapLibre style."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import quote

from mapgen.legend import LayerClass
from mapgen.tiling.quadtree import WEB_MERCATOR

TileFormat = Literal["png", "webp", "jpeg", "mvt"]
Container = Literal["pmtiles", "mbtiles", "folder"]

SUFFIX: dict[str, str] = {"png": "png", "webp": "webp", "jpeg": "jpg", "mvt": "pbf"}
"""The suffix of one tile as a file, which is also what MBTiles calls the format."""

LonLatBounds = tuple[float, float, float, float]
"""west, south, east, north in degrees"""

LINES = "line"
"""What `geometry` is of a vector layer of lines; a key of our own."""

WORLD: LonLatBounds = (-180.0, -85.051129, 180.0, 85.051129)


@dataclass(frozen=True, slots=True)
class TileSetInfo:
    """What a tile set says about itself.

    `bounds` are degrees with west ≤ east (a set across the antimeridian has the whole turn); `center` is longitude and
    latitude of its middle. `classes` are the classes that its pixels or features are of, `vector_layers` the layers of
    vector tiles as TileJSON describes them.
    """

    name: str
    format: TileFormat
    min_zoom: int
    max_zoom: int
    bounds: LonLatBounds = WORLD
    center: tuple[float, float] | None = None
    tile_size: int = 256
    classes: tuple[LayerClass, ...] = ()
    vector_layers: tuple[dict[str, Any], ...] = ()
    overlay: bool = True
    """Whether there is ground to be seen through it; else it is a base map."""
    description: str = ""
    attribution: str = ""
    tiling: str = WEB_MERCATOR.name
    checksum: str = ""
    """Number and sum of its tiles, see `containers.container`; empty where they are not known."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further keys of the metadata, such as MapLibre would not know."""

    @property
    def middle(self) -> tuple[float, float]:
        """`center`, or else the middle of `bounds`."""
        west, south, east, north = self.bounds
        return self.center or ((west + east) / 2, (south + north) / 2)

    def metadata(self) -> dict[str, Any]:
        """What PMTiles and MBTiles keep beside the tiles, as plain values without those that are empty."""
        kept = {
            "name": self.name, "description": self.description, "attribution": self.attribution,
            "type": "overlay" if self.overlay else "baselayer", "version": "1",
            "classes": class_list(self.classes), "vector_layers": list(self.vector_layers),
            "tile_size": self.tile_size if self.format != "mvt" else "", "checksum": self.checksum,
        }  # fmt: skip
        return {k: v for k, v in (kept | self.extra).items() if v not in ("", [], ())}


class TileSource(Protocol):
    """Where tiles come from."""

    @property
    def info(self) -> TileSetInfo:
        """What the set says about itself."""

    def get(self, z: int, x: int, y: int) -> bytes | None:
        """One tile as it was put, None where there is none."""

    def tiles(self) -> Iterator[tuple[int, int, int, bytes]]:
        """All tiles as (z, x, y, data), in the order of the container."""


def packed(tile: bytes) -> bytes:
    """A vector tile compressed, always to the same bytes. Level 9 would take twice the time for 1 % less."""
    return gzip.compress(tile, 6, mtime=0)


def class_list(classes: tuple[LayerClass, ...]) -> list[dict[str, Any]]:
    """The classes as plain values."""
    return [{"id": c.id, "name": c.name, "color": c.color} for c in classes]


def tile_url(container: Container, name: str, form: TileFormat, base: str | None = None) -> str:
    """The URL template of a tile below `base`, or else relative to where the set lies."""
    tile = "{z}/{x}/{y}." + SUFFIX[form]
    if container == "folder":
        return tile if base is None else f"{_folder_url(base)}{quote(name)}/{tile}"
    return f"{archive_url(container, name, base)}/{{z}}/{{x}}/{{y}}"


def archive_url(container: Container, name: str, base: str | None = None) -> str:
    """The URL of a whole archive, as the protocols that browsers are taught name it: `pmtiles://https://…`."""
    return f"{container}://{'' if base is None else _folder_url(base)}{quote(name)}"


def _folder_url(base: str) -> str:
    return base if base.endswith("/") else f"{base}/"


def tilejson(info: TileSetInfo, url: str, scheme: str = "xyz") -> dict[str, Any]:
    """The set as TileJSON 3.0.0; pixels and classes are named by keys of our own."""
    return {
        "tilejson": "3.0.0", "tiles": [url], "scheme": scheme, "format": SUFFIX[info.format],
        "minzoom": info.min_zoom, "maxzoom": info.max_zoom, "bounds": [round(v, 7) for v in info.bounds],
        "center": [*(round(v, 7) for v in info.middle), info.min_zoom],
        **info.metadata(), "version": "1.0.0",
        **({"tile_matrix_set": info.tiling} if info.tiling != WEB_MERCATOR.name else {}),
    }  # fmt: skip


def style(info: TileSetInfo, url: str, scheme: str = "xyz", archive: str | None = None) -> dict[str, Any]:
    """A MapLibre style that shows the set: rasters as they are, polygons in the colours of their classes, lines.

    The tiles are those of the `archive`, which says what it holds, else those of the template `url`. Names and colours
    of the classes stand in `metadata.classes`, for a legend.
    """
    raster = info.format != "mvt"
    places = {"url": archive} if archive is not None else {
        "tiles": [url], "scheme": scheme, "minzoom": info.min_zoom, "maxzoom": info.max_zoom,
        "bounds": [round(v, 7) for v in info.bounds],
    }  # fmt: skip
    source = {
        "type": "raster" if raster else "vector", **places,
        **({"tileSize": info.tile_size} if raster else {}),
        **({"attribution": info.attribution} if info.attribution else {}),
    }  # fmt: skip
    return {
        "version": 8, "name": info.name, "center": [round(v, 7) for v in info.middle], "zoom": info.min_zoom,
        "metadata": {"classes": class_list(info.classes)}, "sources": {"tiles": source},
        "layers": [_raster_layer(info)] if raster else [_vector_layer(info, layer) for layer in info.vector_layers],
    }  # fmt: skip


def _raster_layer(info: TileSetInfo) -> dict[str, Any]:
    # Between two classes there is no third, so their colours are not to be mixed.
    paint = {"raster-resampling": "nearest" if info.classes else "linear", "raster-fade-duration": 0}
    return {"id": info.name or "tiles", "type": "raster", "source": "tiles", "paint": paint}


def _vector_layer(info: TileSetInfo, layer: dict[str, Any]) -> dict[str, Any]:
    return _line_layer(info, layer) if layer.get("geometry") == LINES else _fill_layer(info, layer["id"])


def _line_layer(info: TileSetInfo, layer: dict[str, Any]) -> dict[str, Any]:
    """Lines as wide on the ground as their `width_m` says, and a little more."""
    scale = [512 * 2**zoom / (40_075_016.7 * math.cos(math.radians(info.middle[1]))) for zoom in (8, 24)]
    metres: Any = ["coalesce", ["get", "width_m"], 6] if "width_m" in layer.get("fields", ()) else 0
    low, high = (["+", 0.8, ["*", metres, float(f"{pixels:.6g}")]] for pixels in scale)
    width = ["interpolate", ["exponential", 2], ["zoom"], 8, low, 24, high]
    paint = {"line-color": "#c83c32", "line-width": width}
    layout = {"line-cap": "round", "line-join": "round"}
    place = {"source": "tiles", "source-layer": layer["id"]}
    return {"id": layer["id"], "type": "line", **place, "layout": layout, "paint": paint}


def _fill_layer(info: TileSetInfo, layer: str) -> dict[str, Any]:
    # Labels as lists: QGIS 3.22 takes no others, and paints every class grey.
    colors = [part for c in info.classes for part in ([c.id], c.color)]
    color: Any = ["match", ["get", "class_id"], *colors, "#808080"] if colors else "#808080"
    # Without antialiasing no seam of background shows between neighbours that share a border.
    paint = {"fill-color": color, "fill-opacity": 1, "fill-antialias": False}
    return {"id": layer, "type": "fill", "source": "tiles", "source-layer": layer, "paint": paint}
