"""`tiles --vector`: vector tiles from a layer of polygons or lines, with its attributes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from mapgen.arrays import Geometries, Longs
from mapgen.errors import UsageError, option
from mapgen.files.vet import public_name
from mapgen.layers.read import PolygonLayer, read_lines_or_polygons
from mapgen.legend import BUILTIN, LayerClass, colors_of
from mapgen.parallel import Progress, in_order
from mapgen.tiling.class_features import LIMIT
from mapgen.tiling.containers.container import TileSet, container_of
from mapgen.tiling.layer_features import (
    UNITS,
    ShapeTile,
    Zoomed,
    in_world,
    is_coverage,
    shape_tile,
    simplified,
    sizes_of,
    tile_parts,
)
from mapgen.tiling.mvt import EXTENT
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.pyramid import FURTHER
from mapgen.tiling.quadtree import MAX_LATITUDE, WEB_MERCATOR, Bounds, Tile, Tiling
from mapgen.tiling.tilejson import LINES, TileSetInfo

if TYPE_CHECKING:
    from mapgen.tiling.job import Result

FINEST = 22
"""The highest zoom that is chosen without being asked for."""

DETAIL = 16
"""Units of a tile that an edge of middling length has at the highest zoom, if that follows from the layer."""


class LayerJob:
    """One layer on its way to vector tiles."""

    def __init__(self, source: str, options: TilesOptions, tiling: Tiling) -> None:
        _check(options, tiling)
        self.layer: PolygonLayer = read_lines_or_polygons(Path(source), options.layer, options.assume_crs)
        self.name = options.layer_name or self.layer.layer
        self.options = options
        self.warnings: list[str] = list(self.layer.warnings)
        self.notes: list[str] = []
        self.shapes = in_world(self.layer.shapes)
        there = ~shapely.is_empty(self.shapes) & (sizes_of(self.shapes) > 0)
        self.kept = np.flatnonzero(there)
        self.lonlat = _bounds(self.layer.shapes)
        if len(self.layer.shapes) and max(abs(self.lonlat[1]), abs(self.lonlat[3])) > MAX_LATITUDE + 1e-9:
            self.warnings.append(f"reaches beyond ±{MAX_LATITUDE:.2f}°, where the tiles end; it is cut there")
        self.low, self.high = self._zooms()
        self.coverage = is_coverage(self.shapes[self.kept])
        self.largest = self.unpacked = self.reduced = self.given_up = 0
        self.kind = "lines" if self.layer.lines else "polygons"
        self.seen = np.zeros(len(self.shapes), bool)

    def _zooms(self) -> tuple[int, int]:
        low, high = self.options.zoom
        if not len(self.kept):
            return low or 0, high or low or 0
        left, top, right, bottom = shapely.total_bounds(self.shapes[self.kept])
        fits = WEB_MERCATOR.zoom_within(tuple(v * WEB_MERCATOR.span for v in (left, top, right, bottom)))
        if high is None:
            points, owner = shapely.get_coordinates(self.shapes[self.kept[:20_000]], return_index=True)
            edges = np.hypot(*np.diff(points, axis=0).T)[np.diff(owner) == 0]
            edge = float(np.median(edges[edges > 0])) if (edges > 0).any() else 1.0
            fine = int(np.ceil(np.log2(DETAIL / (EXTENT * edge))))
            high = max(min(FINEST, fine), min(fits, FINEST), low or 0)
        return min(max(0, fits - FURTHER), high) if low is None else low, high

    def info(self, name: str) -> TileSetInfo:
        """What the set says about itself before its tiles are known."""
        fields = {k: _kind(v) for k, v in self.layer.columns.items()}
        layer = {"id": self.name, "fields": fields, "minzoom": self.low, "maxzoom": self.high}
        layer |= {"geometry": LINES} if self.layer.lines else {}
        west, south, east, north = self.lonlat
        return TileSetInfo(
            name, "mvt", self.low, self.high, self.lonlat, ((west + east) / 2, (south + north) / 2),
            vector_layers=(layer,), extra={"kind": "layer"},
        )  # fmt: skip

    def write(self, sink: TileSet, threads: int, progress: Progress | None) -> None:
        """Make all tiles, in threads, and put them in an order that does not depend on how many there are."""
        layer = self.layer

        def made(tile: Tile, parts: Geometries, which: Longs) -> ShapeTile:
            return shape_tile(tile, parts, which, self.name, layer.ids, layer.columns)

        for done, zoomed in enumerate(self._zoomed()):
            for (tile, _, _), one in in_order(lambda t: made(*t), tile_parts(zoomed), threads, 4 * threads):
                self._put(sink, tile, one)
            if progress:
                progress(done + 1, self.high - self.low + 1)
        missing = int((~self.seen[self.kept]).sum())
        if missing:
            self.notes.append(f"{missing} {self.kind} are smaller than a unit of the tiles even at zoom {self.high}")

    def _zoomed(self) -> Iterator[Zoomed]:
        """The polygons at each zoom from the highest, where they are themselves, simplified from zoom to zoom."""
        shapes = self.shapes[self.kept]
        for z in range(self.high, self.low - 1, -1):
            if z < self.high:
                pixel = UNITS / (EXTENT << z)
                shapes = simplified(shapes, self.options.simplify.value * pixel, coverage=self.coverage)
            scale = float(EXTENT << z)
            yield Zoomed(z, shapely.transform(shapes, lambda xy, scale=scale: xy * scale), self.kept)

    def _put(self, sink: TileSet, tile: Tile, made: ShapeTile) -> None:
        self.given_up += made.given_up
        if made.tile is None:
            return
        sink.put(tile.z, tile.x, tile.y, made.tile.data)
        self.largest, self.unpacked = max(self.largest, len(made.tile.data)), max(self.unpacked, made.tile.size)
        self.reduced += made.tile.sieve > 0
        if tile.z == self.high:
            self.seen[made.which] = True

    def classes(self) -> tuple[LayerClass, ...]:
        """The classes of the features, where they have class_id and class_name as mapgen's own layers do."""
        ids, names = (self.layer.columns.get(k) for k in ("class_id", "class_name"))
        if ids is None or names is None or ids.dtype.kind not in "iu":
            return ()
        known = {c.name: c.color for c in BUILTIN}
        pairs = dict(sorted(zip(ids.tolist(), names.tolist(), strict=True), key=lambda p: p[0]))
        colors = colors_of({i: str(n) for i, n in pairs.items() if str(n) not in known})
        return tuple(LayerClass(i, str(n), known.get(str(n)) or colors[i]) for i, n in pairs.items())

    def result(self, source: str, output: Path, sink: TileSet) -> Result:
        """What became of the layer."""
        from mapgen.tiling.job import Result

        if not sink.count:
            self.warnings.append("nothing to write: the set of tiles is empty")
        else:
            self.notes.append(
                f"the largest tile has {self.largest / 1000:.0f} kB ({self.unpacked / 1000:.0f} kB unpacked)"
            )
        if self.reduced:
            self.notes.append(f"beyond {LIMIT // 1000} kB: {self.reduced} of the tiles; they are simplified further")
        if self.given_up:
            remedy = f"dissolve the layer, or use {option('zoom')} with a higher minimum"
            self.warnings.append(
                f"{self.given_up} parts of {self.kind} were left out of tiles that are too full; {remedy}"
            )
        return Result(
            public_name(source), output, container_of(output), "layer", "mvt", (self.low, self.high), sink.count,
            sink.bytes, classes={c.id: c.name for c in sink.info.classes}, warnings=tuple(self.warnings),
            notes=tuple(self.notes),
        )  # fmt: skip


def _check(options: TilesOptions, tiling: Tiling) -> None:
    """Raise `UsageError` for options that a layer can make no sense of."""
    for key, value in (("bands", options.bands), ("nodata", options.nodata), ("stretch", options.stretch),
                       ("confidence_raster", options.confidence_raster)):  # fmt: skip
        if value is not None:
            raise UsageError(option(key), "the source is a layer of polygons", "leave it out")
    if tiling.name != WEB_MERCATOR.name:
        raise UsageError(option("tms"), f"layers are cut to {WEB_MERCATOR.name}", "leave it out")


def _bounds(shapes: Any) -> Bounds:
    if not len(shapes):
        return -180.0, -85.051129, 180.0, 85.051129
    west, south, east, north = (float(v) for v in shapely.total_bounds(shapes))
    return max(west, -180.0), max(south, -90.0), min(east, 180.0), min(north, 90.0)


def _kind(column: Any) -> str:
    return {"b": "Boolean", "i": "Number", "u": "Number", "f": "Number"}.get(column.dtype.kind, "String")
