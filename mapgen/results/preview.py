"""Previews: a small picture of a scene, made of the windows that pass by on their way to the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mapgen.grid import Grid
from mapgen.patch import Array, Patch

SIDE = 2048
"""Pixels of the longer side of a preview, at most."""

_LOW, _HIGH = 2.0, 98.0
"""Percentiles that are black and white where pixels are not bytes."""


@dataclass(slots=True)
class Preview:
    """Sums up patches into blocks of pixels, each of which becomes their mean; nothing is read for it.

    `channels` are those of the patches that are shown, as grey or as red, green and blue. Law: the picture is that of
    the scene averaged over blocks, whatever windows it came in.
    """

    channels: tuple[int, ...]
    side: int = SIDE
    grid: Grid | None = None
    """The grid of the patches, once there was one."""
    factor: int = 1
    """Pixels of the grid that a side of a pixel of the picture stands for."""
    plain: bool = True
    """Whether all pixels were bytes."""
    _sums: Array = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    _counts: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def add(self, grid: Grid, patch: Patch) -> None:
        """Take in the kept part of a patch of pixels (C, H, W) on `grid`."""
        if self.grid is None:
            self._begin(grid)
        if patch.values is None:
            return
        rows, cols = patch.kept
        valid = patch.valid[rows, cols]
        self.plain &= patch.values.dtype == np.uint8
        keep = patch.step.keep
        tops, row = _blocks(keep.row, keep.height, self.factor)
        lefts, col = _blocks(keep.col, keep.width, self.factor)
        place = slice(row, row + len(tops)), slice(col, col + len(lefts))
        everywhere = bool(valid.all())
        for at, channel in enumerate(self.channels):
            values = patch.values[channel, rows, cols]
            if not everywhere:
                values = np.where(valid, values, 0)
            self._sums[at][place] += _summed(values, tops, lefts)
        self._counts[place] += _summed(valid, tops, lefts)

    def _begin(self, grid: Grid) -> None:
        self.grid = grid
        self.factor = max(1, -(-max(grid.height, grid.width) // self.side))
        height, width = -(-grid.height // self.factor), -(-grid.width // self.factor)
        self._sums = np.zeros((len(self.channels), height, width), np.float32)
        self._counts = np.zeros((height, width), np.float32)

    @property
    def valid(self) -> Array:
        """Where the picture has data (h, w)."""
        return self._counts > 0

    def picture(self) -> Array:
        """Colours uint8 (1 or 3, h, w): bytes as they are, all else between its percentiles 2 and 98."""
        means = self._sums / np.maximum(self._counts, 1)
        if not self.plain and self.valid.any():
            low, high = np.percentile(means[:, self.valid], (_LOW, _HIGH))
            means = (means - low) * (255 / max(float(high - low), 1e-12))
        result: Array = np.rint(means).clip(0, 255).astype(np.uint8)
        return result


def _blocks(first: int, length: int, factor: int) -> tuple[Array, int]:
    """Where the blocks begin among `length` pixels from `first` on, and the number of the first of them."""
    number = first // factor
    starts = np.arange(number, (first + length - 1) // factor + 1) * factor - first
    return np.maximum(starts, 0), number


def _summed(values: Array, tops: Array, lefts: Array) -> Array:
    """Sums float32 over the blocks."""
    rows = np.add.reduceat(values, tops, axis=0, dtype=np.float32)
    result: np.ndarray[Any, np.dtype[np.float32]] = np.add.reduceat(rows, lefts, axis=1)
    return result


def shown(bands: tuple[str, ...]) -> tuple[int, ...]:
    """Which bands of a model make a picture: red, green and blue by name, else the first three, else the first."""
    names = [band.casefold() for band in bands]
    if {"red", "green", "blue"} <= set(names):
        return names.index("red"), names.index("green"), names.index("blue")
    return (0, 1, 2) if len(names) >= 3 else (0,)
