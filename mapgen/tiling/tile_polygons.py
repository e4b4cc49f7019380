"""The polygons of one map tile, drawn so that neighbouring tiles agree without knowing of each other.

A tile is `side` pixels wide, its buffer `buffer` more on each side. Tiles and their buffers cut the plane into *cells*:
the lines run along the edges of the tiles and at the buffer's distance from them, the same for every tile. Where a
border crosses such a line its point is fixed, so what a border becomes inside a cell follows from the pixels of that
cell and a few around it, whichever tile asks. Every border is simplified once for both its sides
(`mapgen.polygons.simplify`), and every vertex is the corner of a pixel, which is a whole number of the tile's units:
nothing is rounded, so there are neither gaps nor overlaps, within a tile, across its edge, or between its buffer and
the neighbour.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.arcs import Arcs, find_arcs, following_darts
from mapgen.polygons.regions import OUTSIDE, find_regions, row_strips
from mapgen.polygons.rings import find_rings
from mapgen.polygons.sieve import sieved
from mapgen.polygons.simplify import keep_vertices
from mapgen.polygons.union_find import join, numbered
from mapgen.tiling.mvt import EXTENT, TileShapes

CELLS = 64
"""Numbers of cells: eight times the band of the row and that of the column, of which there are seven."""

NOWHERE = -(1 << 30)


@dataclass(frozen=True, slots=True)
class Frame:
    """How the pixels around a tile are used: `side` of the tile, `buffer` and `guard` around it, in pixels.

    The guard lies outside the buffer and is only looked at: a border may not come too near to what lies there.
    """

    side: int
    buffer: int
    guard: int

    @property
    def margin(self) -> int:
        """Pixels around the tile that its polygons depend on."""
        return self.buffer + self.guard

    @property
    def patch(self) -> int:
        """Height and width of the pixels that the polygons of a tile are drawn from."""
        return self.side + 2 * self.margin

    @property
    def unit(self) -> int:
        """Units of a tile along the edge of a pixel."""
        return EXTENT // self.side


def frame(side: int, tolerance: float) -> Frame:
    """The frame of tiles of `side` pixels (a divisor of 4096): a buffer of 64 units, a guard beyond the tolerance."""
    if EXTENT % side or side < 64:
        raise ValueError(f"{side} pixels do not divide a tile of {EXTENT} units")
    return Frame(side, side // 64, math.ceil(tolerance) + 1)


@dataclass(frozen=True, slots=True)
class TilePolygons:
    """The polygons of a tile with its buffer, one for each 4-connected region with data, by their first pixels.

    `classes[i]` is the value of the pixels of polygon i; `places[i]` the first of them (row, column) in the tile, or in
    the buffer where it has none in the tile, counted from the tile's north-west corner.
    """

    shapes: TileShapes
    classes: Longs
    places: Longs


def tile_polygons(
    patch: NDArray[Any],
    frame: Frame,
    hidden: Longs,
    tolerance: float = 0.0,
    original: NDArray[np.bool_] | None = None,
) -> TilePolygons:
    """The polygons of the tile in the middle of a patch of class ids (frame.patch, frame.patch).

    Classes in `hidden`, no data among them, get none. `tolerance` is that of Douglas and Peucker in pixels, 0 for none.
    `original` are the pixels that may be the place of a polygon, all where None.
    Laws: without it, rasterizing the polygons gives the pixels back. Always, polygons are valid, none overlaps another,
    they share the vertices of their borders, and there is no gap between two.
    """
    assert patch.shape == (frame.patch, frame.patch)
    assert frame.guard > tolerance
    kinds, coded = _coded(patch)
    if coded.min() == coded.max():
        return _uniform(int(kinds[coded[0, 0]]), frame, hidden)
    regions = find_regions(row_strips(coded * CELLS + _cells(frame), frame.patch), frame.patch)
    kind, cell = np.divmod(regions.values, CELLS)
    drawn = ~np.isin(kinds, hidden)[kind] & (cell // 8 % 6 > 0) & (cell % 8 % 6 > 0)
    drawn[OUTSIDE] = False
    arcs = find_arcs(regions)
    final, first = _joined(arcs.left, arcs.right, kind, drawn)
    shapes = _shapes(arcs, final, len(first), tolerance, frame)
    if original is None:
        runs = (regions.offsets, regions.starts, regions.labels)
        places = _first_places(runs, final, len(first), frame.margin, frame.side)
    else:
        places = _first_original(final[regions.raster()], original, len(first), frame.margin, frame.side)
    return TilePolygons(shapes, kinds[kind[first]], places)


def _uniform(kind: int, frame: Frame, hidden: Longs) -> TilePolygons:
    """The polygons of a tile of one class: the square with its buffer, or none."""
    count = 0 if kind in hidden else 1
    low, high = -frame.buffer * frame.unit, (frame.side + frame.buffer) * frame.unit
    x, y = (
        np.array([low, high, high, low][: 4 * count], np.int32),
        np.array([low, low, high, high][: 4 * count], np.int32),
    )
    once = np.arange(count + 1)
    return TilePolygons(TileShapes(x, y, 4 * once, once, once), np.full(count, kind), np.zeros((count, 2), np.int64))


def _shapes(arcs: Arcs, final: Ints, count: int, tolerance: float, frame: Frame) -> TileShapes:
    """The final regions 1…count as features of one polygon."""
    merged, bends = _merged(arcs, final)
    wanted = np.ones(count + 1, np.bool_)
    wanted[OUTSIDE] = False
    rings = find_rings(merged, wanted)
    keep = keep_vertices(arcs, tolerance, "dp")
    table = (arcs.at.x, arcs.at.y, arcs.at.place)
    path = (arcs.offsets, arcs.nodes, keep, bends)
    offsets, x, y = _ring_vertices(table, path, rings.offsets, rings.darts, frame.margin, frame.unit)
    return TileShapes(x, y, offsets, rings.parts, np.arange(count + 1, dtype=np.int64))


def _coded(patch: NDArray[Any]) -> tuple[Longs, Longs]:
    """The classes that may occur, and the place of each pixel's among them."""
    if patch.dtype == np.uint8:
        return np.arange(256), patch.astype(np.int64)
    kinds, coded = np.unique(patch, return_inverse=True)
    return kinds.astype(np.int64), coded.reshape(patch.shape).astype(np.int64)


def sieved_patch(patch: NDArray[Any], size: float, nodata: int) -> NDArray[Any]:
    """The patch after regions below `size` pixels have been absorbed by their neighbours (`mapgen.polygons.sieve`)."""
    regions = sieved(find_regions(row_strips(patch), patch.shape[1]), size, nodata)
    return regions.values[regions.raster()].astype(patch.dtype)


@lru_cache(maxsize=8)
def _cells(frame: Frame) -> NDArray[np.int64]:
    """The number of the cell of each pixel of a patch; the guard is in the first and the last band."""
    side, buffer = frame.side, frame.buffer
    lines = np.array([-buffer, 0, buffer, side - buffer, side, side + buffer]) + frame.margin
    band = np.searchsorted(lines, np.arange(frame.patch), side="right")
    cells = band[:, None] * 8 + band[None]
    cells.flags.writeable = False
    return cells


def _merged(arcs: Arcs, final: Ints) -> tuple[Arcs, NDArray[np.bool_]]:
    """The arcs as borders of the final regions; and which fixed nodes have only two of them left.

    An arc that separates nothing any more has the outside on both sides, and no ring goes along it.
    """
    left, right = final[arcs.left], final[arcs.right]
    gone = left == right
    left[gone], right[gone] = 0, 0
    arriving, leaving = _ends(arcs.at.x, arcs.at.y, arcs.at.place, arcs.offsets, arcs.nodes, left, right)
    following = following_darts(arriving, leaving, left, right)
    return replace(arcs, left=left, right=right, following=following), (leaving >= 0).sum(1) == 2


@kernel
def _joined(left, right, kind, drawn):  # type: ignore[no-untyped-def]
    """The final region 1… of each region, 0 where it is not drawn; and the first region of each final one.

    Regions on both sides of a border that are of one kind were cut apart by a line between two cells.
    """
    parent = np.where(drawn, np.arange(len(kind)), 0).astype(np.int32)
    for i in range(len(left)):
        if drawn[left[i]] and drawn[right[i]] and kind[left[i]] == kind[right[i]]:
            join(parent, left[i], right[i])
    roots = np.flatnonzero(parent == np.arange(len(kind)))
    return numbered(parent, len(kind))[0], roots[1:]


@kernel
def _heading(x, y, a, b):  # type: ignore[no-untyped-def]
    """East 0, south 1, west 2, north 3."""
    if y[a] == y[b]:
        return 0 if x[b] > x[a] else 2
    return 1 if y[b] > y[a] else 3


@kernel
def _ends(x, y, place, offsets, nodes, left, right):  # type: ignore[no-untyped-def]
    """What `following_darts` takes, of the arcs that still separate something."""
    fixed = 0
    for n in range(len(x)):
        fixed = max(fixed, -place[n])
    leaving = np.full((fixed, 4), -1, np.int32)
    arriving = np.full(2 * len(left), -1, np.int64)
    for arc in range(len(left)):
        path = nodes[offsets[arc] : offsets[arc + 1]]
        first, last = -1 - place[path[0]], -1 - place[path[-1]]
        if left[arc] == right[arc] or first < 0:
            continue
        start, end = _heading(x, y, path[0], path[1]), _heading(x, y, path[-1], path[-2])
        leaving[first, start], leaving[last, end] = 2 * arc, 2 * arc + 1
        arriving[2 * arc], arriving[2 * arc + 1] = 4 * last + (end ^ 2), 4 * first + (start ^ 2)
    return arriving, leaving


@kernel
def _ring_vertices(table, path, rings, darts, margin, unit):  # type: ignore[no-untyped-def]
    """The vertices of the rings in units of the tile, turned round, so that exteriors run clockwise on the screen.

    What a line between cells fixed on a straight border is left out again: both sides leave out the same.
    """
    px, py, place = table
    offsets, nodes, keep, bends = path
    size = 0
    for d in darts:
        size += offsets[(d >> 1) + 1] - offsets[d >> 1]
    x, y = np.empty(size, np.int32), np.empty(size, np.int32)
    starts = np.empty(len(rings), np.int64)
    n = 0
    for k in range(len(rings) - 1):
        starts[k] = n
        for j in range(rings[k + 1] - 1, rings[k] - 1, -1):
            dart = darts[j] ^ 1
            low, high = offsets[dart >> 1], offsets[(dart >> 1) + 1] - 1
            for m in range(high - low):
                v = high - m if dart & 1 else low + m
                if keep[v]:
                    x[n], y[n] = px[nodes[v]], py[nodes[v]]
                    # The sign marks a vertex that may go; coordinates in a patch are never negative.
                    if m == 0 and place[nodes[v]] < 0 and bends[-1 - place[nodes[v]]]:
                        x[n] = -1 - x[n]
                    n += 1
        n = _without_straight(x, y, starts[k], n)
    starts[len(rings) - 1] = n
    for i in range(n):
        x[i], y[i] = (x[i] - margin) * unit, (y[i] - margin) * unit
    return starts, x[:n].copy(), y[:n].copy()


@kernel
def _without_straight(x, y, start, end):  # type: ignore[no-untyped-def]
    """Remove the marked vertices of a ring that lie on the line between their neighbours; returns the new end."""
    size = end - start
    straight = np.zeros(size, np.bool_)
    for i in range(size):
        b = x[start + i]
        if b < 0:
            b = -1 - b
            p, q = start + (i - 1) % size, start + (i + 1) % size
            a, c = x[p] if x[p] >= 0 else -1 - x[p], x[q] if x[q] >= 0 else -1 - x[q]
            straight[i] = (b - a) * (y[q] - y[start + i]) == (c - b) * (y[start + i] - y[p])
    n = start
    for i in range(size):
        if not straight[i]:
            b = x[start + i]
            x[n], y[n] = b if b >= 0 else -1 - b, y[start + i]
            n += 1
    return n


@kernel
def _first_places(runs, final, count, margin, side):  # type: ignore[no-untyped-def]
    """The first pixel (row, column) of each final region: within the tile if it has one there."""
    offsets, starts, labels = runs
    out = np.full((count, 2), NOWHERE, np.int64)
    height = len(offsets) - 1
    for inside in (True, False):
        for r in range(height):
            if inside and not margin <= r < margin + side:
                continue
            for run in range(offsets[r], offsets[r + 1]):
                k = final[labels[run]] - 1
                if k < 0 or out[k, 0] != NOWHERE:
                    continue
                end = starts[run + 1] if run + 1 < offsets[r + 1] else height
                first = max(starts[run], margin) if inside else starts[run]
                if not inside or first < min(end, margin + side):
                    out[k, 0], out[k, 1] = r - margin, first - margin
    return out


@kernel
def _first_original(final, original, count, margin, side):  # type: ignore[no-untyped-def]
    """`_first_places` among the pixels that are `original`."""
    out = np.full((count, 2), NOWHERE, np.int64)
    height, width = final.shape
    for inside in (True, False):
        low, cut = (margin, margin) if inside else (0, 0)
        for r in range(low, height - cut):
            for c in range(low, width - cut):
                k = final[r, c] - 1
                if k >= 0 and original[r, c] and out[k, 0] == NOWHERE:
                    out[k, 0], out[k, 1] = r - margin, c - margin
    return out
