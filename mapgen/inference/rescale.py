"""Bringing probabilities from the grid the network saw back to the scene's own grid.

Probabilities are resampled, never class ids: a border between two classes then runs where their probabilities cross,
not along the steps of the coarser grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from mapgen.arrays import Array
from mapgen.grid import Window
from mapgen.plan import Step
from mapgen.raster.patch import Patch
from mapgen.raster.resample import Taps, apply_cols, apply_rows, taps

Validity = Callable[[Window], Array]
"""Validity (H, W) of a window of the scene's own grid."""


def rescale(
    patches: Iterable[Patch], old: tuple[int, int], new: tuple[int, int], within: Window, valid: Validity, block: int
) -> Iterator[Patch]:
    """Patches of probabilities on a grid of `new` (height, width) from stitched ones on a grid of `old`.

    Both grids cover the same ground. The patches that come have disjoint keeps in reading order; those that leave are
    blocks of at most `block`² pixels that tile `within`, a window of the new grid, in reading order. Their validity is
    the new grid's own; a pixel for which the network gave no probability is not valid. Memory is bounded by the width:
    one row of windows of probabilities, never the height.
    """
    rows = _Rows(old[1])
    row = within.row
    for patch in patches:
        for height in _ready(row, within.bottom, patch.step.keep.row, old[0], new[0], block):
            yield from _blocks(rows, Window(row, within.col, height, within.width), old, new, valid, block)
            row += height
        rows.drop(taps(row, min(row + 1, new[0]), old[0], new[0]).first if row < new[0] else old[0])
        rows.add(patch)
    while row < within.bottom:
        height = min(block - row % block, within.bottom - row)
        yield from _blocks(rows, Window(row, within.col, height, within.width), old, new, valid, block)
        row += height


class _Rows:
    """The rows of probabilities that may still be needed: float32 (K, rows, width), absent ones are zero."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.first = 0
        self.values: Array | None = None

    def add(self, patch: Patch) -> None:
        if patch.values is None or patch.step.keep.bottom <= self.first:
            return
        keep = patch.step.keep
        if self.values is None:
            self.first = max(self.first, keep.row)
            self.values = np.zeros((len(patch.values), 0, self.width), np.float32)
        missing = keep.bottom - self.first - self.values.shape[1]
        if missing > 0:
            more = np.zeros((len(self.values), missing, self.width), np.float32)
            self.values = np.concatenate([self.values, more], axis=1)
        gone = max(0, self.first - keep.row)  # rows that no pixel still to come looks at
        rows, cols = slice(keep.row + gone - self.first, keep.bottom - self.first), slice(keep.col, keep.right)
        self.values[:, rows, cols] = patch.values[:, gone:]

    def drop(self, before: int) -> None:
        """Forget the rows above `before`."""
        if before > self.first:
            kept = None if self.values is None else self.values[:, before - self.first :]
            self.values = None if kept is None or not kept.shape[1] else kept.copy()
            self.first = before

    def part(self, first: int, count: int, cols: slice) -> Array | None:
        """Rows `first … first+count-1`, zero where absent; None where all are absent or zero."""
        if self.values is None:
            return None
        top, bottom = max(first, self.first), min(first + count, self.first + self.values.shape[1])
        if top >= bottom:
            return None
        there = self.values[:, top - self.first : bottom - self.first, cols]
        if not there.any():
            return None
        above, below = top - first, first + count - bottom
        return np.pad(there, ((0, 0), (above, below), (0, 0))) if above or below else there


def _ready(row: int, bottom: int, complete: int, old: int, new: int, block: int) -> Iterator[int]:
    """Heights of the strips from `row` on that need no row from `complete` on, aligned to `block`."""
    while row < bottom:
        height = min(block - row % block, bottom - row)
        needed = taps(row + height - 1, row + height, old, new)
        if needed.first + needed.length > complete:
            return
        yield height
        row += height


def _blocks(
    rows: _Rows, strip: Window, old: tuple[int, int], new: tuple[int, int], valid: Validity, block: int
) -> Iterator[Patch]:
    down = taps(strip.row, strip.bottom, old[0], new[0])
    for col in range(strip.col, strip.right, block):
        window = Window(strip.row, col, strip.height, min(block, strip.right - col))
        across = taps(window.col, window.right, old[1], new[1])
        yield _block(rows, window, down, across, valid)


def _block(rows: _Rows, window: Window, down: Taps, across: Taps, valid: Validity) -> Patch:
    step = Step(read=window, keep=window)
    part = rows.part(down.first, down.length, slice(across.first, across.first + across.length))
    if part is None:
        return Patch(step, None, np.zeros((window.height, window.width), bool))
    known = valid(window)
    if not known.any():
        return Patch(step, None, known)
    scores = apply_rows(apply_cols(part, across), down)
    return Patch(step, scores, known & (scores.sum(axis=0) > 1e-6))
