"""Placement: which pixel of one grid lies under the centre of each pixel of another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyproj
from affine import Affine

from mapgen.arrays import Floats, Longs
from mapgen.grid import Grid, Window, applied, transformer

OUTSIDE = -1
"""The row and column of what lies nowhere on the source."""

EXACT = 0.01
"""Pixels of the source that an interpolated place may be off its exact one."""

_TIE = 1e-6  # a centre on the border of two pixels takes the one to the right or below, whatever the rounding


class Placement:
    """Nearest neighbours: the pixels of `source` at the centres of the pixels of `target`.

    Between two CRSs the exact places are computed on a lattice over the target, from its first pixel and fine enough
    for EXACT, and interpolated between: so they do not depend on the window that is asked for.
    """

    def __init__(self, target: Grid, source: Grid) -> None:
        self._target, self._source = target, source
        self._step = 0
        self._turn: tuple[float, float] | None = None
        self._affine = ~source.transform @ target.transform
        if not same_crs(target.crs, source.crs):
            self._forward = transformer(target.crs, source.crs)
            self._turn = _turn(source)
            self._step = self._fine_enough()

    def positions(self, window: Window) -> tuple[Longs, Longs]:
        """Row and column (H, W) in the source of each pixel of a window of the target, OUTSIDE where it has none."""
        rows = np.arange(window.row, window.bottom, dtype=np.float64) + 0.5
        cols = np.arange(window.col, window.right, dtype=np.float64) + 0.5
        x, y = self._interpolated(rows, cols) if self._step else applied(self._affine, cols[None, :], rows[:, None])
        with np.errstate(invalid="ignore"):
            row, col = np.floor(y + _TIE), np.floor(x + _TIE)
            inside = (row >= 0) & (row < self._source.height) & (col >= 0) & (col < self._source.width)
        return tuple(np.where(inside, v, OUTSIDE).astype(np.int64) for v in (row, col))  # type: ignore[return-value]

    def extent(self) -> Window:
        """A window of the target outside which nothing of the source lies; it may be too large, never too small."""
        places = np.linspace(0, 1, 65)
        down, across = (v.ravel() for v in np.meshgrid(places * self._source.height, places * self._source.width))
        if self._step:
            back = transformer(self._source.crs, self._target.crs)
            x, y = _moved(back, self._source.transform, self._target.transform, across, down)
        else:
            x, y = applied(~self._affine, across, down)
        if not (np.isfinite(y).all() and np.isfinite(x).all()):
            return self._target.window
        bulge = 0.02 * max(np.ptp(y), np.ptp(x)) + 2 if self._step else 1  # borders are curved between the samples
        row, col = math.floor(y.min() - bulge), math.floor(x.min() - bulge)
        bottom, right = math.ceil(y.max() + bulge), math.ceil(x.max() + bulge)
        return Window(row, col, bottom - row, right - col) & self._target.window

    def _exact(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
        return _moved(self._forward, self._target.transform, self._source.transform, cols, rows, self._turn)

    def _interpolated(self, rows: Floats, cols: Floats) -> tuple[Floats, Floats]:
        """The places of the points on rows × cols, bilinear between the nodes of the lattice."""
        (r_nodes, r_low, r_part), (c_nodes, c_low, c_part) = (_nodes(v, self._step) for v in (rows, cols))
        grid_rows, grid_cols = np.meshgrid(r_nodes, c_nodes, indexing="ij")
        found = []
        for values in self._exact(grid_rows, grid_cols):
            with np.errstate(invalid="ignore"):
                lines = values[r_low] * (1 - r_part)[:, None] + values[r_low + 1] * r_part[:, None]
                found.append(lines[:, c_low] * (1 - c_part) + lines[:, c_low + 1] * c_part)
        return found[0], found[1]

    def _fine_enough(self) -> int:
        step = 64
        while step > 1 and self._error(step) > EXACT:
            step //= 2
        return step

    def _error(self, step: int) -> float:
        """The largest deviation of interpolated from exact places, in the middle of cells all over the target."""
        rows, cols = (
            (np.unique(np.linspace(0, max(0, size // step - 1), 12).astype(int)) * step).astype(float)
            for size in (self._target.height, self._target.width)
        )
        worst = 0.0
        exact = self._exact(*np.meshgrid(rows + step / 2, cols + step / 2, indexing="ij"))
        corners = [self._exact(*np.meshgrid(rows + r, cols + c, indexing="ij")) for r in (0, step) for c in (0, step)]
        for axis in range(2):
            with np.errstate(invalid="ignore"):
                off = np.abs(sum(corner[axis] for corner in corners) / 4 - exact[axis])
            off = off[np.isfinite(off)]
            worst = max(worst, float(off.max())) if off.size else worst
        return worst


class Unplaced(ValueError):
    """One of two grids has no place on the ground, and they differ in size."""


def laid_over(target: Grid, source: Grid) -> Placement | None:
    """Where `source` lies under `target`; None for pixel on pixel.

    That is so where both lie at the same place to a hundredth of a pixel, or where only one or none has a place on the
    ground and both are of one size. Raises `Unplaced` where their sizes differ.
    """
    agree = (target.height, target.width) == (source.height, source.width)
    bare = target.transform.is_identity or source.transform.is_identity
    if (target.crs is None) == (source.crs is None) and (target.crs is not None or not bare):
        same = agree and same_crs(target.crs, source.crs) and _near(target, source)
        return None if same else Placement(target, source)
    if not agree:
        raise Unplaced
    return None


def _near(one: Grid, other: Grid) -> bool:
    """Whether two grids of one size lie on each other to a hundredth of a pixel."""
    corners = ((0, 0), (one.width, 0), (0, one.height), (one.width, one.height))
    moved = [~one.transform @ (other.transform @ corner) for corner in corners]
    return all(abs(a - b) < 0.01 for at, to in zip(corners, moved, strict=True) for a, b in zip(at, to, strict=True))


def same_crs(one: str | None, other: str | None) -> bool:
    """Whether two CRSs place the same coordinates at the same ground, or either is unknown."""
    if one is None or other is None or one == other:
        return True
    return pyproj.CRS(one).equals(pyproj.CRS(other), ignore_axis_order=True)


def _turn(grid: Grid) -> tuple[float, float] | None:
    """Where to begin counting longitudes on a grid, and a whole circle in its unit; None for other grids.

    PROJ counts longitudes up to 180 degrees, rasters across the antimeridian go on.
    """
    crs = pyproj.CRS(grid.crs)
    if not crs.is_geographic:
        return None
    circle = 2 * math.pi / crs.axis_info[0].unit_conversion_factor
    west, _, east, _ = grid.bounds
    # Half of what is not on the grid lies west of it: a point just outside the edge must not come out far in the east.
    return west - max(0.0, circle - (east - west)) / 2, circle


def _nodes(places: Floats, step: int) -> tuple[Floats, Longs, Floats]:
    """Nodes around sorted places, and for each place the number of the node before it and the way to the next."""
    first = math.floor(places[0] / step)
    last = math.floor(places[-1] / step) + 1
    low = np.floor(places / step).astype(np.int64)
    return np.arange(first, last + 1) * float(step), low - first, places / step - low


def _moved(
    to: pyproj.Transformer, source: Affine, target: Affine, cols: Floats, rows: Floats,
    turn: tuple[float, float] | None = None,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Points in pixels (column, row) of one transform as pixels of another in another CRS; not finite where impossible.

    With a `turn` (west, whole circle), longitudes are counted from the west on.
    """
    move: Callable[..., Any] = to.transform
    x, y = move(*applied(source, cols, rows))
    with np.errstate(invalid="ignore"):
        if turn is not None:
            x = turn[0] + np.mod(np.asarray(x) - turn[0], turn[1])
        return applied(~target, np.asarray(x), np.asarray(y))
