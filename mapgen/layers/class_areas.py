"""Areas of classes: how many pixels and how much ground each has, counted as the strips of a map pass by."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mapgen.arrays import Array, Floats, Longs, is_uniform
from mapgen.grid import Grid
from mapgen.kernels import kernel
from mapgen.layers.area import outlined_areas

CELL = 512
"""Columns that are counted together."""

_EDGES = 8
"""Parts of each side of a cell when its outline is measured: its sides are no straight lines on the ground."""


@dataclass(slots=True)
class ClassAreas:
    """Counts pixels by class (0 … 255) in cells: strips by `CELL` columns. Memory: a number per cell and class met."""

    rows: list[tuple[int, int]] = field(default_factory=list)
    """(first row, height) of each strip."""
    counts: list[dict[int, Array]] = field(default_factory=list)

    def add(self, row: int, classes: Array) -> None:
        """Take in a strip (h, W) of class ids uint8 from `row` on."""
        self.rows.append((row, len(classes)))
        if is_uniform(classes):
            cells = _cell_pixels(classes[:1]) * len(classes)
        else:
            cells = _cell_pixels(classes)
        self.counts.append({int(k): cells[k].copy() for k in np.flatnonzero(cells.any(axis=1))})

    def finish(self) -> dict[int, int]:
        """Pixels of each class that was met."""
        result: dict[int, int] = {}
        for strip in self.counts:
            for k, cells in strip.items():
                result[k] = result.get(k, 0) + int(cells.sum())
        return result

    def areas(self, grid: Grid) -> dict[int, float]:
        """Square metres on the ellipsoid of each class that was met; `grid` is that of the map and has a CRS.

        Each pixel counts with the mean area of those of its cell. Not a number where a cell has no place on Earth.
        """
        result: dict[int, float] = {}
        for (row, height), strip in zip(self.rows, self.counts, strict=True):
            each = _pixel_areas(grid, row, height)
            for k, cells in strip.items():
                result[k] = result.get(k, 0.0) + float(cells @ each)
        return result


def _pixel_areas(grid: Grid, row: int, height: int) -> Floats:
    """The mean area in m² of a pixel of each cell of a strip."""
    lefts = np.arange(0, grid.width, CELL, dtype=np.float64)
    rights = np.minimum(lefts + CELL, grid.width)
    along = np.linspace(0, 1, _EDGES + 1)
    zero, one = np.zeros(_EDGES), np.ones(_EDGES)
    across = np.concatenate((zero, along[:-1], one, along[:0:-1], [0.0]))
    down = np.concatenate((along[:-1], one, along[:0:-1], zero, [0.0]))
    cols = lefts[:, None] + (rights - lefts)[:, None] * across
    areas = outlined_areas(grid, cols, np.tile(row + height * down, (len(lefts), 1)))
    return areas / ((rights - lefts) * height)


def _cell_pixels(classes: Array) -> Longs:
    """How many pixels of each of 256 classes lie in each cell of a strip, (256, cells)."""
    counts = np.zeros((256, -(-classes.shape[1] // CELL)), np.int64)
    _count(np.ascontiguousarray(classes), CELL, counts)
    return counts


@kernel
def _count(classes, side, counts):  # type: ignore[no-untyped-def]
    for row in range(classes.shape[0]):
        for col in range(classes.shape[1]):
            counts[classes[row, col], col // side] += 1
