"""One raster on its way to tiles: its places, how its pixels are taken, shrunk and drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Array
from mapgen.errors import InputError, UsageError, option
from mapgen.files.encoders import QUALITY, encoded, lossless_webp
from mapgen.files.vet import public_name
from mapgen.grid import Grid, Window
from mapgen.layers.crs import placed
from mapgen.legend import LayerClass
from mapgen.parallel import Progress, in_order
from mapgen.raster.halve import first_color, first_of, mean_of, mode_of
from mapgen.raster.warp import Block, blended, blocks, nearest, reach
from mapgen.tiling.containers.container import TileSet, container_of
from mapgen.tiling.footprint import Footprint, footprint, mapping
from mapgen.tiling.images import PALETTE_LIMIT, palette_png, rgba_png, used
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.pyramid import FURTHER, JOB_PIXELS, Assemble, Made, Upper, build, choose_zooms, plan_pyramid
from mapgen.tiling.quadtree import MAX_LATITUDE, Tile, Tiling, window_of
from mapgen.tiling.source import ClassSource, ColorSource
from mapgen.tiling.tilejson import Container, TileFormat, TileSetInfo

NAMED = 1000
"""More classes than this are numbers of things rather than kinds, and are not listed."""


@dataclass(slots=True, repr=False)
class Result:
    """What became of one source."""

    source: str
    output: Path
    container: Container
    kind: str
    format: str
    zoom: tuple[int, int]
    tiles: int = 0
    bytes: int = 0
    seconds: float = 0.0
    classes: dict[int, str] = dataclasses.field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        low, high = self.zoom
        return f"<tiles {self.output}: {self.tiles} of {self.kind}, zoom {low} to {high}, {self.bytes / 1e6:.1f} MB>"

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values."""
        return dataclasses.asdict(self) | {"output": str(self.output)}


class Job:
    """One raster on its way to tiles."""

    def __init__(self, raster: ClassSource | ColorSource, name: str, options: TilesOptions, tiling: Tiling) -> None:
        self.raster, self.name, self.options, self.tiling = raster, name, options, tiling
        self.warnings, self.notes = list(raster.warnings), list(raster.notes)
        self.grid = placed(raster.grid, name, options.assume_crs)
        self.size = options.tile_size or (512 if options.vector else 256)
        self.ground = self._ground()
        further = FURTHER if options.vector else 0
        self.zooms = choose_zooms(
            tiling, self.ground.parts, self.ground.resolution, self.size, options.zoom, further
        )
        self.painter = (
            _ClassPainter(raster, options) if isinstance(raster, ClassSource) else ColorPainter(raster, options)
        )
        self.plan = plan_pyramid(self.ground.ranges(tiling, self.zooms.base), self.zooms, self.size)
        self.exact = mapping(self.grid, tiling, self.zooms.base, self.size)

    def _ground(self) -> Footprint:
        ground = footprint(self.grid, self.tiling)
        limit = f"±{MAX_LATITUDE:.2f}°" if self.tiling.name == "WebMercatorQuad" else f"{self.tiling.name}'s extent"
        if ground is None:
            remedy = f"check its CRS, or choose another grid of tiles with {option('tms')}"
            raise InputError(self.name, f"lies beyond {limit}, where the tiles end", remedy)
        if ground.cut:
            self.warnings.append(f"reaches beyond {limit}, where the tiles end; it is cut there")
        return ground

    @property
    def rows_at_once(self) -> int:
        """Rows of the raster that one row of parts reads."""
        scale = self.tiling.resolution(self.zooms.base, self.size) / self.ground.resolution
        return min(self.grid.height, int(JOB_PIXELS * scale * 1.1) + 512)

    def info(self, name: str) -> TileSetInfo:
        return TileSetInfo(
            name, self.painter.format, self.zooms.low, self.zooms.high, self.ground.lonlat, self.ground.center,
            self.size, overlay=self.raster.kind != "imagery", tiling=self.tiling.name,
            extra={"kind": self.raster.kind},
        )  # fmt: skip

    def write(self, sink: TileSet, threads: int, progress: Progress | None) -> None:
        """Make all tiles, parts in threads, and put them in an order that does not depend on how many there are."""
        upper, jobs, row = Upper(self.plan, self.painter.assemble), self.plan.jobs, None
        if progress:
            progress(0, len(jobs))
        for done, (tile, (pieces, root)) in enumerate(in_order(self._part, jobs, threads)):
            if row is not None and tile.y != row:
                self._put_made(sink, upper.done(tile.y))
            row = tile.y
            for place, data in pieces:
                sink.put(place.z, place.x, place.y, data)
            if root is not None:
                upper.add(tile, root)
            if progress:
                progress(done + 1, len(jobs))
        self._put_made(sink, upper.done(None))

    def _put_made(self, sink: TileSet, made: Iterator[Made]) -> None:
        for one in made:
            if one.tile.z <= self.zooms.high:
                sink.put(one.tile.z, one.tile.x, one.tile.y, self.painter.encode(one.pixels))

    def _part(self, root: Tile) -> tuple[list[tuple[Tile, bytes]], Array | None]:
        """The encoded tiles of one part, and the pixels of its root if it has any."""
        levels = self.zooms.base - root.z
        size = self.size
        places = [t for t in _below(root, levels) if self.plan.needed(t)]
        found = {t: blocks(window_of(t, size), self.exact) for t in places}
        window = reach([b for parts in found.values() for b in parts], self.grid.height, self.grid.width)
        source = self.raster.read(window) if window.area else None
        if source is None:
            return [], None

        def take(tile: Tile) -> Array | None:
            return self.painter.take(found[tile], self.exact, source, window, self.grid, window_of(tile, size))

        pieces, pixels = [], None
        for made in build(root, self.plan, take, self.painter.assemble):
            if self.zooms.low <= made.tile.z <= self.zooms.high:
                pieces.append((made.tile, self.painter.encode(made.pixels)))
            if made.tile == root:
                pixels = made.pixels
        return pieces, pixels

    def classes(self) -> tuple[LayerClass, ...]:
        """The classes of the pixels that were written."""
        found = self.painter.classes()
        if len(found) > NAMED:
            self.notes.append(f"has {len(found)} classes, more than are listed")
            return ()
        return found

    def result(self, source: str, output: Path, sink: TileSet) -> Result:
        if not sink.count:
            self.warnings.append("nothing to write: the set of tiles is empty")
        self.notes += self.painter.notes()
        return Result(
            public_name(source), output, container_of(output), self.raster.kind, self.painter.format,
            (self.zooms.low, self.zooms.high), sink.count, sink.bytes,
            classes={c.id: c.name for c in sink.info.classes}, warnings=tuple(self.warnings), notes=tuple(self.notes),
        )  # fmt: skip


def _below(tile: Tile, levels: int) -> list[Tile]:
    """The tiles that many zooms above, row by row."""
    side = 1 << levels
    return [
        Tile(tile.z + levels, (tile.x << levels) + x, (tile.y << levels) + y) for y in range(side) for x in range(side)
    ]


class _ClassPainter:
    """Tiles of class ids, drawn in the colours of their classes; what has no data, and background, is transparent."""

    def __init__(self, raster: ClassSource, options: TilesOptions) -> None:
        self.raster = raster
        if options.resampling not in ("auto", "mode", "nearest"):
            problem = f"{options.resampling} would mix the ids of classes"
            raise UsageError(option("resampling"), problem, f"use mode or nearest, or say {option('kind', 'imagery')}")
        if options.tile_format == "jpeg":
            raise UsageError(
                option("tile_format"), "JPEG has no exact colours, so classes would blur", "use png or webp"
            )
        if options.quality is not None:
            raise UsageError(option("quality"), "class maps are written without loss", "leave it out")
        self.format: TileFormat = "webp" if options.tile_format == "webp" else "png"
        reduce = first_of if options.resampling == "nearest" else mode_of
        self.assemble = Assemble(reduce(raster.nodata), raster.nodata)
        self.colors: dict[int, tuple[int, int, int, int]] = {raster.nodata: (0, 0, 0, 0)}
        self.plain: dict[int, bytes] = {}

    def take(
        self, parts: list[Block], exact: Any, source: Array, origin: Window, grid: Grid, place: Window
    ) -> Array | None:
        out = np.full((place.height, place.width), self.raster.nodata, self.raster.dtype)
        nearest(parts, exact, source, origin, (grid.height, grid.width), out, place)
        return None if (out == self.raster.nodata).all() else out

    def encode(self, pixels: Array) -> bytes:
        values, places = used(pixels)
        if len(values) > 1:
            return self._encode(values, places)
        value = int(values[0])
        if value not in self.plain:
            self.plain[value] = self._encode(values, places)
        return self.plain[value]

    def _encode(self, values: NDArray[Any], places: NDArray[Any]) -> bytes:
        colors = np.array([self._color(v) for v in values.tolist()], np.uint8)
        if self.format == "webp":
            return lossless_webp(colors[places])
        if len(values) > PALETTE_LIMIT:
            return rgba_png(colors[places])
        return palette_png(places.astype(np.uint8, copy=False), colors)

    def _color(self, value: int) -> tuple[int, int, int, int]:
        if value not in self.colors:
            (one,) = self.raster.names.of([value])
            red, green, blue = (int(one.color[i : i + 2], 16) for i in (1, 3, 5))
            self.colors[value] = (red, green, blue, 0 if value in self.raster.names.background else 255)
        return self.colors[value]

    def classes(self) -> tuple[LayerClass, ...]:
        background = self.raster.names.background
        return self.raster.names.of(set(self.colors) - {self.raster.nodata} - background)

    def notes(self) -> list[str]:
        hidden = self.raster.names.background & set(self.colors)
        return [f"background, transparent: {', '.join(c.name for c in self.raster.names.of(hidden))}"] if hidden else []


class ColorPainter:
    """Tiles of colours; lower zooms are means of those that are valid."""

    def __init__(self, raster: ColorSource, options: TilesOptions) -> None:
        self.raster, self.quality = raster, options.quality or QUALITY
        if options.resampling == "mode":
            raise UsageError(option("resampling"), "mode is for class maps", "use nearest, bilinear or cubic")
        lossless = raster.kind == "confidence" and options.quality is None
        self.format: TileFormat = (
            options.tile_format if options.tile_format != "auto" else "png" if lossless else "webp"
        )
        self.how = "bilinear" if options.resampling == "auto" else options.resampling
        if raster.kind == "confidence" and options.resampling == "auto":
            self.how = "nearest"
        self.assemble = Assemble(first_color() if options.resampling == "nearest" else mean_of(), 0)

    def take(
        self, parts: list[Block], exact: Any, source: Array, origin: Window, grid: Grid, place: Window
    ) -> Array | None:
        out = np.zeros((len(source), place.height, place.width), np.uint8)
        if self.how == "nearest":
            _, height, width = source.shape
            numbers = np.arange(height * width, dtype=np.int32).reshape(height, width)
            found = np.full((place.height, place.width), -1, np.int32)
            nearest(parts, exact, numbers, origin, (grid.height, grid.width), found, place)
            inside = found >= 0
            out[:, inside] = source.reshape(len(source), -1)[:, found[inside]]
        else:
            blended(parts, source, origin, out, place, cubic=self.how == "cubic")
        return out if out[-1].any() else None

    def encode(self, pixels: Array) -> bytes:
        return encoded(pixels, self.format, self.quality)

    def classes(self) -> tuple[LayerClass, ...]:
        return ()

    def notes(self) -> list[str]:
        return []
