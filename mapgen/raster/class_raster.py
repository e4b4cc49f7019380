"""A class raster read on the grid of another: the values that its pixels mean there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.grid import Window
from mapgen.raster.codebook import NONE, CodeArray, Codebook
from mapgen.raster.legends import ClassNames
from mapgen.raster.masks import Mask
from mapgen.raster.placement import Placement

_PIECE = 1 << 20  # pixels of the map that are placed at once

_SOURCE = 1 << 24  # pixels of the truth that are read at once


def read_values(mask: Mask, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Values and validity (H, W) of a window of a class raster. Raises `InputError` where the file is damaged."""
    values, empty = mask.read(window)
    assert empty is not None
    return values, ~empty


def class_key(names: ClassNames, value: Any) -> int | str:
    """The class that a text or number means: the id of a class of the legend, another number, or a name of its own."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    found = names.find(str(value))
    return str(value).strip().casefold() if found is None else found


@dataclass(slots=True)
class RasterTruth:
    """A class raster on any grid, its nearest pixels taken."""

    mask: Mask
    placement: Placement | None
    """None where the pixels of the two lie on each other."""
    extent: Window
    codes: Codebook
    keys: dict[int, int | str]
    """Which class a value means, where that is not the value itself."""
    names: dict[int | str, str]
    warnings: list[str]
    counts: dict[str, int] = field(default_factory=dict)
    _own: Codebook = field(default_factory=Codebook)
    _table: NDArray[np.int16] = field(default_factory=lambda: np.full(1, NONE, np.int16))

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.mask.name

    def close(self) -> None:
        """Let go of the file."""
        self.mask.dataset.close()

    def read(self, window: Window) -> CodeArray:
        """Codes (H, W) of a window of the map's grid, NONE where nothing is known."""
        if self.placement is None:
            return self._encoded(*read_values(self.mask, window))
        return self._placed(self.placement, window)

    def _placed(self, placement: Placement, window: Window) -> CodeArray:
        if window.area > _PIECE:
            return self._halves(placement, window)
        rows, cols = placement.positions(window)
        inside = rows >= 0
        if not inside.any():
            return np.full(inside.shape, NONE, np.int16)
        row, col = int(rows[inside].min()), int(cols[inside].min())
        source = Window(row, col, int(rows.max()) - row + 1, int(cols.max()) - col + 1)
        if source.area > _SOURCE and window.area > 1:  # the truth is much finer than the map
            return self._halves(placement, window)
        values, valid = read_values(self.mask, source)
        at = np.where(inside, rows - row, 0), np.where(inside, cols - col, 0)
        return self._encoded(values[at], valid[at] & inside)

    def _halves(self, placement: Placement, window: Window) -> CodeArray:
        """The window in two parts, cut across its longer side."""
        w = window
        if w.width >= w.height:
            half = w.width // 2
            parts = (Window(w.row, w.col, w.height, half), Window(w.row, w.col + half, w.height, w.width - half))
            return np.hstack([self._placed(placement, part) for part in parts])
        half = w.height // 2
        parts = (Window(w.row, w.col, half, w.width), Window(w.row + half, w.col, w.height - half, w.width))
        return np.vstack([self._placed(placement, part) for part in parts])

    def _encoded(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> CodeArray:
        own = self._own.encode(values, valid, self.name)
        if len(self._table) <= len(self._own):  # values that were not met before; the last entry is that of NONE
            codes = [self.codes.code(self.keys.get(int(v), int(v)), self.name) for v in self._own.keys]
            self._table = np.array([*codes, NONE], np.int16)
        return self._table[own]
