"""The pyramid of a tile set: which parts are worked on together, and how a tile is made of the four above it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.raster.halve import Reduce
from mapgen.tiling.quadtree import MAX_ZOOM, Bounds, Tile, TileRange, Tiling

JOB_PIXELS = 2048
"""Side of what is read and worked on at once, in pixels of the base zoom."""


FURTHER = 2
"""Zooms of vector tiles below the one at which the whole is about one tile: a phone shows the whole further out, and
browsers draw no polygons below the lowest zoom. They cost a tile or two each."""


@dataclass(frozen=True, slots=True)
class Zooms:
    """`low … high` are written; `base ≥ high` is where pixels are taken from the source."""

    low: int
    high: int
    base: int


def choose_zooms(
    tiling: Tiling, bounds: Iterable[Bounds], resolution: float, size: int, wanted: tuple[int | None, int | None],
    further: int = 0,
) -> Zooms:  # fmt: skip
    """The zooms of a source with pixels of `resolution` (units of the CRS): as wanted, else from the zoom at which the
    whole fits on about one tile, or `further` ones out, to the one with the nearest resolution.

    Pixels come from the source where its own are, or nearer: a highest zoom further out is made from those between.
    """
    native = tiling.zoom_for(resolution, size)
    high = max(native, wanted[0] or 0) if wanted[1] is None else wanted[1]
    fits = min((tiling.zoom_within(b) for b in bounds), default=0)
    low = min(max(0, fits - further), high) if wanted[0] is None else wanted[0]
    return Zooms(low, high, min(MAX_ZOOM, max(native, high)))


@dataclass(frozen=True, slots=True)
class Plan:
    """The work on a pyramid: `jobs` are tiles of the zoom `level`, row by row, each the root of its own part of it."""

    zooms: Zooms
    ranges: tuple[TileRange, ...]
    """The tiles of the base zoom that meet the source."""
    level: int
    jobs: tuple[Tile, ...]

    def needed(self, tile: Tile) -> bool:
        """Whether a tile of any zoom up to the base meets the source."""
        return any(tile in r.at(tile.z) for r in self.ranges)


def plan_pyramid(ranges: Iterable[TileRange], zooms: Zooms, size: int) -> Plan:
    """The jobs of a pyramid over these tiles of the base zoom: every tile between belongs to one job.

    Row by row, so that a raster that is stored in strips is read about once.
    """
    ranges = tuple(r for r in ranges if len(r))
    level = max(0, zooms.base - max(0, (JOB_PIXELS // size).bit_length() - 1))
    jobs = {tile for r in ranges for tile in r.at(level)}
    return Plan(zooms, ranges, level, tuple(sorted(jobs, key=lambda t: (t.y, t.x))))


def build(tile: Tile, plan: Plan, take: Callable[[Tile], Array | None], assemble: Assemble) -> Iterator[Made]:
    """The tiles below one tile and itself, children first; memory grows with the number of zooms only.

    Empty ones are left out. Each comes with its pixels; the last is `tile` itself, unless it is empty.
    """
    if tile.z == plan.zooms.base:
        pixels = take(tile)
        if pixels is not None:
            yield Made(tile, pixels)
        return
    quarters: list[tuple[Tile, Array]] = []
    for child in tile.children:
        if not plan.needed(child):
            continue
        for made in build(child, plan, take, assemble):
            yield made
            if made.tile == child:
                quarters.append((child, made.pixels))
    if quarters:
        yield Made(tile, assemble(quarters))


@dataclass(frozen=True, slots=True)
class Made:
    """A tile with its pixels."""

    tile: Tile
    pixels: Array


class Assemble:
    """Makes a parent of its children: each shrunk into its quarter, what is missing as `empty`."""

    def __init__(self, reduce: Reduce, empty: Any) -> None:
        self.reduce, self.empty = reduce, empty

    def __call__(self, quarters: Iterable[tuple[Tile, Array]]) -> Array:
        """The pixels of the tile that holds these children."""
        parent: Array | None = None
        for tile, pixels in quarters:
            if parent is None:
                parent = np.full_like(pixels, self.empty)
            self.put(parent, tile, pixels)
        assert parent is not None
        return parent

    def put(self, parent: Array, tile: Tile, pixels: Array) -> None:
        """Shrink one child into its quarter of the parent."""
        row, col = tile.quarter
        height, width = pixels.shape[-2] // 2, pixels.shape[-1] // 2
        self.reduce(pixels, parent[..., row * height : (row + 1) * height, col * width : (col + 1) * width])


class Upper:
    """The zooms below the jobs: `add` their roots row by row, and take each tile as soon as all its children are in.

    It holds one row of tiles for each zoom.
    """

    def __init__(self, plan: Plan, assemble: Assemble) -> None:
        self.plan, self.assemble = plan, assemble
        self.open: dict[int, dict[Tile, Array]] = {z: {} for z in range(plan.level)}

    def add(self, tile: Tile, pixels: Array) -> None:
        """Take the pixels of a tile into its parent, which must not have been taken out yet."""
        if tile.z > self.plan.zooms.low:
            rows = self.open[tile.z - 1]
            if tile.parent not in rows:
                rows[tile.parent] = np.full_like(pixels, self.assemble.empty)
            self.assemble.put(rows[tile.parent], tile, pixels)

    def done(self, row: int | None) -> Iterator[Made]:
        """The tiles that no job in row `row` or below belongs to; all that are left where it is None."""
        for z in range(self.plan.level - 1, self.plan.zooms.low - 1, -1):
            first = None if row is None else row >> (self.plan.level - z)
            ready = sorted((t for t in self.open[z] if first is None or t.y < first), key=lambda t: (t.y, t.x))
            for tile in ready:
                pixels = self.open[z].pop(tile)
                self.add(tile, pixels)
                yield Made(tile, pixels)
