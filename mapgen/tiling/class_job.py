"""`tiles --vector`: vector tiles from a class map, drawn anew from its pixels at every zoom."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mapgen.arrays import Floats, Longs
from mapgen.errors import InputError, UsageError, option
from mapgen.grid import Grid
from mapgen.legend import LayerClass
from mapgen.parallel import Progress
from mapgen.polygons.regions import Regions, find_regions, row_strips
from mapgen.raster.warp import Exact, blocks, reach
from mapgen.settings import Scale
from mapgen.tiling.class_features import COARSEST, LIMIT, ClassTiles, EncodedTile, Marks, encoded_tile
from mapgen.tiling.containers.container import TileSet
from mapgen.tiling.footprint import mapping
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.pyramid import JOB_PIXELS
from mapgen.tiling.quadtree import Tile, TileRange, window_of
from mapgen.tiling.region_ids import RegionIds, labels_at
from mapgen.tiling.rows import Pixels, TileRow, tile_rows
from mapgen.tiling.source import ClassSource, ColorSource, open_source
from mapgen.tiling.tile_polygons import TilePolygons, frame
from mapgen.tiling.tilejson import TileSetInfo

if TYPE_CHECKING:
    from mapgen.tiling.job import Job, Result

LAYER = "classes"
"""The layer of a class map's tiles where none is named."""

UNKNOWN = np.float32(-1)
"""Confidence where there is none."""

_Tiles = list[tuple[Tile, "Future[EncodedTile | None]"]]


class VectorJob:
    """One class map on its way to vector tiles; `raster` knows its place, its zooms and how to take its pixels."""

    def __init__(self, raster: Job, options: TilesOptions, stack: ExitStack) -> None:
        source = raster.raster
        if not isinstance(source, ClassSource):
            problem = f"{raster.name} is {source.kind}, and has no classes to draw"
            raise UsageError(option("vector"), problem, f"run mapgen segment first, or use {option('kind', 'classes')}")
        self.raster, self.source, self.options = raster, source, options
        self.layer = options.layer_name or options.layer or LAYER
        self.columns = raster.tiling.columns
        self.tiles = one_range(raster.plan.ranges, self.columns << raster.zooms.base)
        hidden = np.array(sorted({source.nodata, *source.names.background}), np.int64)
        self.how = ClassTiles(
            self.layer, frame(raster.size, max(options.simplify.value, COARSEST)), source.nodata, hidden,
            {k: c.name for k, c in source.names.classes.items()}, options.simplify.value,
        )  # fmt: skip
        self.taken = Taken(source, raster.grid, raster.exact, raster.painter.take, raster.painter.assemble.reduce)
        self.confidence = (
            None if options.confidence_raster is None else self._confidence(str(options.confidence_raster), stack)
        )
        self.tally = _Tally()

    def _confidence(self, name: str, stack: ExitStack) -> Taken:
        from mapgen.tiling.job import ColorPainter

        source = open_source(name, kind="imagery", stretch=Scale("range", 0, 1))
        stack.callback(source.close)
        assert isinstance(source, ColorSource)
        if len(source.scene.bands) != 1:
            raise InputError(name, "has several bands, a confidence raster has one", "name the one of the same run")
        grid = dataclasses.replace(source.grid, crs=source.grid.crs or self.raster.grid.crs)
        exact = mapping(grid, self.raster.tiling, self.raster.zooms.base, self.raster.size)
        painter = ColorPainter(source, TilesOptions(resampling="nearest", tile_format="png"))

        def take(*arguments: Any) -> Pixels | None:
            found = painter.take(*arguments)
            return None if found is None else np.where(found[1] > 0, found[0] / np.float32(255), UNKNOWN)

        return Taken(source, grid, exact, take, _mean)

    @property
    def rows_at_once(self) -> int:
        """Rows of the raster that one row of tiles reads."""
        return self.raster.rows_at_once

    def info(self, name: str) -> TileSetInfo:
        """What the set says about itself before its tiles are known."""
        info = self.raster.info(name)
        fields = {"class_id": "Number", "class_name": "String"}
        if self.confidence is not None:
            fields["confidence"] = "Number"
        layer = {"id": self.layer, "fields": fields, "minzoom": info.min_zoom, "maxzoom": info.max_zoom}
        return dataclasses.replace(info, format="mvt", vector_layers=(layer,))

    def write(self, sink: TileSet, threads: int, progress: Progress | None) -> None:
        """Make all tiles, in threads, and put them in an order that does not depend on how many there are.

        The map is read twice: first to know which regions are one across the rows of tiles.
        """
        zooms, steps = self.raster.zooms, _Steps(progress, 2 * (self.tiles.bottom - self.tiles.top))
        with ThreadPoolExecutor(threads) as pool, ExitStack() as last:
            last.callback(pool.shutdown, cancel_futures=True)  # an interrupt does not wait for what is ahead
            names = _Names(self.how.frame.side)
            for row, values in self._known_rows(pool, zooms.high, steps):
                names.learn(row, values)
            names.done()
            ahead: deque[_Tiles] = deque()
            for row, marks in names.marked(self._known_rows(pool, zooms.low, steps), zooms.high):
                ahead.append(self._submitted(pool, row, marks))
                if len(ahead) > 1:
                    self._put(sink, ahead.popleft())
            while ahead:
                self._put(sink, ahead.popleft())

    def _known_rows(self, pool: ThreadPoolExecutor, low: int, steps: _Steps) -> Iterator[tuple[TileRow, Floats | None]]:
        """The rows of tiles of the zooms from the highest that is written to `low`, that one with confidence."""
        high = self.raster.zooms.high
        values = None if self.confidence is None else self._rows(self.confidence, pool, high, float(UNKNOWN), None)
        known = None if values is None else next(values, None)
        for row in self._rows(self.taken, pool, low, self.how.nodata, steps):
            if row.z > high:
                continue
            while values is not None and known is not None and row.z == high and (known.z, known.y) != (high, row.y):
                if known.z == high and known.y > row.y:
                    break
                known = next(values, None)
            fits = known is not None and row.z == high and (known.z, known.y) == (high, row.y)
            yield row, _nan_for_unknown(known.inside) if fits and known is not None else None

    def _rows(
        self, taken: Taken, pool: ThreadPoolExecutor, low: int, empty: float, steps: _Steps | None
    ) -> Iterator[TileRow]:
        strips, margin = self._strips(taken, pool, empty, steps), self.how.frame.margin
        return tile_rows(strips, self.tiles, low, self.raster.size, margin, empty, taken.halved, self.columns)

    def _strips(
        self, taken: Taken, pool: ThreadPoolExecutor, empty: float, steps: _Steps | None
    ) -> Iterator[Pixels | None]:
        """The rows of tiles of the base zoom, the next being taken while one is worked on."""
        tiles, wide = self.tiles, max(1, JOB_PIXELS // self.raster.size)

        def submitted(y: int) -> list[Future[Pixels | None]]:
            return [
                pool.submit(self._pixels, taken, y, x, min(wide, tiles.right - x), empty)
                for x in range(tiles.left, tiles.right, wide)
            ]

        ahead = submitted(tiles.top)
        for y in range(tiles.top, tiles.bottom):
            parts, ahead = ahead, submitted(y + 1) if y + 1 < tiles.bottom else []
            yield self._joined([part.result() for part in parts], wide, empty)
            if steps is not None:
                steps.one()

    def _joined(self, parts: list[Pixels | None], wide: int, empty: float) -> Pixels | None:
        """The parts of a row of tiles beside one another."""
        found = next((part for part in parts if part is not None), None)
        if found is None:
            return None
        size = self.raster.size
        out = np.full((size, (self.tiles.right - self.tiles.left) * size), empty, found.dtype)
        for i, part in enumerate(parts):
            if part is not None:
                out[:, i * wide * size : i * wide * size + part.shape[1]] = part
        return out

    def _pixels(self, taken: Taken, y: int, left: int, count: int, empty: float) -> Pixels | None:
        """The pixels of `count` tiles of the base zoom beside one another, None where none has data."""
        raster, size = self.raster, self.raster.size
        z = raster.zooms.base
        places = [Tile(z, (left + i) % (self.columns << z), y) for i in range(count)]
        found = {t: blocks(window_of(t, size), taken.exact) for t in places if raster.plan.needed(t)}
        window = reach([b for parts in found.values() for b in parts], taken.grid.height, taken.grid.width)
        source = taken.source.read(window) if window.area else None
        if source is None:
            return None
        out: Pixels | None = None
        for i, tile in enumerate(places):
            if tile not in found:
                continue
            pixels = taken.take(found[tile], taken.exact, source, window, taken.grid, window_of(tile, size))
            if pixels is not None:
                if out is None:
                    out = np.full((size, count * size), empty, pixels.dtype)
                out[:, i * size : (i + 1) * size] = pixels
        return out

    def _submitted(self, pool: ThreadPoolExecutor, row: TileRow, marks: _RowMarks | None) -> _Tiles:
        """The tiles of a row that have data, being worked on."""
        out = []
        for x, patch in row:
            core = patch[row.margin : -row.margin, row.margin : -row.margin]
            if (core != self.how.nodata).any():
                of = None if marks is None else marks.of((x - row.left) * row.side)
                out.append(
                    (Tile(row.z, x % (self.columns << row.z), row.y), pool.submit(encoded_tile, patch, self.how, of))
                )
        return out

    def _put(self, sink: TileSet, tiles: _Tiles) -> None:
        for tile, future in tiles:
            made = future.result()
            if made is not None:
                sink.put(tile.z, tile.x, tile.y, made.data)
                self.tally.add(tile, made)

    def classes(self) -> tuple[LayerClass, ...]:
        """The classes of the features that were written."""
        return self.source.names.of(self.tally.classes)

    def result(self, source: str, output: Path, sink: TileSet) -> Result:
        """What became of the map."""
        done = self.raster.result(source, output, sink)
        notes = [*done.notes, *self.tally.notes()]
        hidden = [c.name for c in self.source.names.of(self.source.names.background)]
        if hidden:
            notes.append(f"background, not drawn: {', '.join(hidden)}")
        return dataclasses.replace(done, format="mvt", notes=tuple(notes))


@dataclass(frozen=True, slots=True)
class Taken:
    """How the pixels of tiles are taken from a raster, and made into those of the zoom below."""

    source: ClassSource | ColorSource
    grid: Grid
    exact: Exact
    take: Callable[..., Pixels | None]
    reduce: Callable[[Pixels, Pixels], None]

    def halved(self, pixels: Pixels) -> Pixels:
        """The pixels at half their resolution."""
        out = np.empty((pixels.shape[0] // 2, pixels.shape[1] // 2), pixels.dtype)
        self.reduce(pixels, out)
        return out


def one_range(ranges: Iterable[TileRange], world: int) -> TileRange:
    """All tiles of some ranges as one; of two at the edges of a world so many tiles wide, the eastern one comes first,
    with negative columns, as it does on the ground.
    """
    ranges = sorted((r for r in ranges if len(r)), key=lambda r: r.left)
    if not ranges:
        return TileRange(0, 0, 0, 0, 0)
    top, bottom = min(r.top for r in ranges), max(r.bottom for r in ranges)
    if len(ranges) > 1:
        west, east = ranges[0], ranges[-1]
        return TileRange(west.z, east.left - world, top, west.right, bottom)
    return TileRange(ranges[0].z, ranges[0].left, top, ranges[0].right, bottom)


def _mean(pixels: Pixels, out: Pixels) -> None:
    """The mean of each four that are known."""
    four = pixels.reshape(len(out), 2, out.shape[1], 2)
    known = four >= 0
    count = known.sum((1, 3))
    out[...] = np.where(count > 0, np.where(known, four, 0).sum((1, 3)) / np.maximum(count, 1), UNKNOWN)


def _nan_for_unknown(values: Pixels) -> Floats:
    return np.where(values == UNKNOWN, np.nan, values.astype(np.float64))


class _Steps:
    """Rows that are done, told to whoever wants to know."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, -1
        self.one()

    def one(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(self.done, self.total)


class _Tally:
    """What the tiles that were written are like."""

    def __init__(self) -> None:
        self.classes: set[int] = set()
        self.largest = self.unpacked = self.reduced = self.sieve = 0

    def add(self, tile: Tile, made: EncodedTile) -> None:
        self.classes.update(made.classes)
        self.largest, self.unpacked = max(self.largest, len(made.data)), max(self.unpacked, made.size)
        if made.sieve:
            self.reduced += 1
            self.sieve = max(self.sieve, made.sieve)

    def notes(self) -> list[str]:
        if not self.largest:
            return []
        size = f"the largest tile has {self.largest / 1000:.0f} kB ({self.unpacked / 1000:.0f} kB unpacked)"
        if not self.reduced:
            return [size]
        what = (
            f"beyond {LIMIT // 1000} kB: {self.reduced} of the tiles; in them regions of less than {self.sieve} pixels"
        )
        return [size, f"{what} were absorbed by their neighbours, {option('zoom')} with a higher maximum shows them"]


# --- what the regions of the highest zoom are called ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Strip:
    """The regions of one row of tiles with their ids and confidence."""

    y: int
    regions: Regions
    ids: Longs
    means: Floats | None


class _RowMarks:
    """The marks of the polygons of one row of tiles, from its regions and those of the rows above and below."""

    def __init__(self, above: _Strip | None, own: _Strip, below: _Strip | None, side: int) -> None:
        self.strips, self.side = (above, own, below), side

    def of(self, left: int) -> Callable[[TilePolygons], Marks]:
        """The marks of polygons of the tile that begins at the pixel column `left` of the row."""
        return lambda polygons: self._marks(polygons.places, left)

    def _marks(self, places: Longs, left: int) -> Marks:
        rows, columns = places[:, 0], places[:, 1] + left
        ids = np.zeros(len(places), np.int64)
        means = None if self.strips[1] is None or self.strips[1].means is None else np.full(len(places), np.nan)
        for k, strip in enumerate(self.strips):
            which = np.flatnonzero(np.clip(rows // self.side, -1, 1) == k - 1)
            if strip is None or not len(which):
                continue
            width = strip.regions.width
            labels = labels_at(strip.regions, rows[which] % self.side, columns[which] % width)
            ids[which] = strip.ids[labels]
            if means is not None and strip.means is not None:
                means[which] = strip.means[labels]
        return Marks(ids, means)


class _Names:
    """Ids of regions that are the same in all tiles: `learn` all rows of the highest zoom, then mark them."""

    def __init__(self, side: int) -> None:
        self.side, self.wholes = side, RegionIds()
        self.strips: dict[int, int] = {}

    def learn(self, row: TileRow, values: Floats | None) -> None:
        """Take in one row, from the north."""
        self.wholes.add(_regions(row), values, joined=row.y - 1 in self.strips)
        self.strips[row.y] = len(self.strips)

    def done(self) -> None:
        """All rows are known."""
        self.wholes.finish()

    def marked(
        self, rows: Iterable[tuple[TileRow, Floats | None]], high: int
    ) -> Iterator[tuple[TileRow, _RowMarks | None]]:
        """The rows with what marks the polygons of their tiles, those of the highest zoom one row later."""
        above: _Strip | None = None
        waiting: tuple[TileRow, _Strip] | None = None
        for row, values in rows:
            if row.z != high:
                yield row, None
                continue
            own = self._strip(row, values)
            if waiting is not None:
                yield waiting[0], _RowMarks(above, waiting[1], own if own.y == waiting[1].y + 1 else None, self.side)
                above = waiting[1] if own.y == waiting[1].y + 1 else None
            waiting = row, own
        if waiting is not None:
            yield waiting[0], _RowMarks(above, waiting[1], None, self.side)

    def _strip(self, row: TileRow, values: Floats | None) -> _Strip:
        regions, strip = _regions(row), self.strips[row.y]
        means = None if values is None else self.wholes.means(strip, regions, values)
        return _Strip(row.y, regions, self.wholes.ids(strip, regions), means)


def _regions(row: TileRow) -> Regions:
    inside = row.inside
    return find_regions(row_strips(inside), inside.shape[1])
