"""Polygons onto a raster by pixel centre, window by window: labels for training, truth for `evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.grid import Window
from mapgen.kernels import kernel

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


@dataclass(frozen=True)
class Polygons:
    """Polygons in pixels (x is the column, y the row): polygon p has the rings `rings[p]:rings[p + 1]`, ring r the
    points `points[r]:points[r + 1]` of `coordinates` (N, 2), of which the last is the first again.

    Polygons with a point that has no place (not finite) are never burned.
    """

    coordinates: Floats
    points: Longs
    rings: Longs

    def __len__(self) -> int:
        return len(self.rings) - 1

    @cached_property
    def bounds(self) -> Floats:
        """Left, top, right, bottom of each polygon (P, 4), NaN for one with a point that has no place."""
        if not len(self):
            return np.empty((0, 4))
        first = self.points[self.rings[:-1]]
        # minimum and maximum hand on a NaN, and an infinity ends in one of them.
        ends = [part.reduceat(self.coordinates, first, axis=0) for part in (np.minimum, np.maximum)]
        found = np.concatenate(ends, axis=1)
        return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, np.nan)

    def moved(self, move: Callable[[Floats], Floats]) -> Polygons:
        """The polygons with all their points (N, 2) moved."""
        return Polygons(move(self.coordinates), self.points, self.rings)

    def divided(self, step: float) -> Polygons:
        """The same polygons, with points on their edges so that none is longer than `step`."""
        ahead = np.diff(self.coordinates, axis=0, append=self.coordinates[-1:])
        pieces = np.maximum(np.ceil(np.hypot(ahead[:, 0], ahead[:, 1]) / step), 1).astype(np.int64)
        pieces[self.points[1:] - 1] = 1  # from the end of a ring to the next one runs no edge
        starts = np.concatenate(([0], np.cumsum(pieces)))
        origin = np.repeat(np.arange(len(pieces)), pieces)
        way = (np.arange(starts[-1]) - starts[origin]) / pieces[origin]
        way[starts[self.points[1:] - 1]] = 0.0
        return Polygons(self.coordinates[origin] + way[:, None] * ahead[origin], starts[self.points], self.rings)

    def rasterized(self, window: Window, codes: Sequence[int] | NDArray[np.int16], fill: int) -> NDArray[np.int16]:
        """`codes[p]` where the centre of a pixel lies in polygon p, later ones over earlier; `fill` elsewhere (H, W).

        Inside is where a ray crosses the rings an odd number of times, so holes need no direction and both halves of a
        bow-tie are inside. Laws: what is burned does not depend on the window; a centre on the border of two polygons
        that share it belongs to exactly one of them.
        """
        out = np.full((window.height, window.width), fill, np.int16)
        left, top, right, bottom = self.bounds.T  # NaN compares as false
        hit = (bottom >= window.row) & (top <= window.bottom) & (right >= window.col) & (left <= window.right)
        _burn(
            self.coordinates, self.points, self.rings, np.flatnonzero(hit), np.asarray(codes, np.int16),
            window.row, window.col, out,
        )  # fmt: skip
        return out


@kernel
def _burn(coordinates, points, rings, which, codes, row, col, out):  # type: ignore[no-untyped-def]
    for p in which:
        first, last = points[rings[p]], points[rings[p + 1]]
        if last - first < 4:
            continue
        low, high = coordinates[first:last, 1].min(), coordinates[first:last, 1].max()
        top, bottom = _rows(low, high, row, out.shape[0])
        if bottom <= top:
            continue
        starts, crossings = _crossings(coordinates, points, rings[p], rings[p + 1], row, top, bottom)
        for r in range(top, bottom):
            xs = np.sort(crossings[starts[r - top] : starts[r - top + 1]])
            for i in range(0, len(xs) - 1, 2):
                start = max(0, int(np.ceil(xs[i] - 0.5)) - col)
                end = min(out.shape[1], int(np.ceil(xs[i + 1] - 0.5)) - col)
                if start < end:
                    out[r, start:end] = codes[p]


@kernel
def _rows(low: Any, high: Any, row: Any, height: Any) -> Any:
    """Rows of a window from `row` on whose centres c + ½ lie in low ≤ c + ½ < high, as first and last + 1."""
    # Bounded as floats: a vertex far away has a row beyond all integers.
    top = min(max(np.ceil(low - 0.5) - row, 0.0), float(height))
    bottom = min(max(np.ceil(high - 0.5) - row, 0.0), float(height))
    return int(top), int(bottom)


@kernel
def _crossings(coordinates, points, first_ring, last_ring, row, top, bottom):  # type: ignore[no-untyped-def]
    """Where the rings cross the centres of the rows top…bottom-1: x of row r in starts[r - top]:starts[r - top + 1]."""
    starts = np.zeros(bottom - top + 1, np.int64)
    crossings = np.empty(0, np.float64)
    for fill in range(2):  # once to count, once to write
        place = starts[:-1].copy()
        for ring in range(first_ring, last_ring):
            for i in range(points[ring], points[ring + 1] - 1):
                x0, y0, x1, y1 = (
                    coordinates[i, 0], coordinates[i, 1], coordinates[i + 1, 0], coordinates[i + 1, 1],
                )  # fmt: skip
                if y0 == y1:
                    continue
                if y0 > y1:  # upwards or downwards, a shared edge must give the same number
                    x0, y0, x1, y1 = x1, y1, x0, y0
                a, b = _rows(y0, y1, row, bottom)
                for r in range(max(a, top), b):
                    if fill == 0:
                        starts[r - top + 1] += 1
                    else:
                        crossings[place[r - top]] = x0 + (row + r + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
                        place[r - top] += 1
        if fill == 0:
            starts = np.cumsum(starts)
            crossings = np.empty(starts[-1], np.float64)
    return starts, crossings
