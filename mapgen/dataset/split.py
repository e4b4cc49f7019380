"""The split of labelled ground into training and validation, so that the two share none.

Law: no pixel that trains lies on ground that validates, nor nearer to it than the guard; whichever files show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bytes as Roles
from mapgen.arrays import Longs
from mapgen.dataset.common_grid import LOST, CommonGrids
from mapgen.grid import Window
from mapgen.kernels import kernel

OUT, TRAIN, VALIDATE, GUARD, HELD = range(5)
"""What a pixel is for: nothing, since it has no place; training; validation; context of training that is too near to
validation to be learnt; ground that another image validates, which training must not even see."""

LEAST_GUARD = 2
"""Pixels of the narrowest guard: the pixels of two images of one ground need not lie on each other."""

DRAWS = 64
"""Splits that are drawn, of which the best is taken."""

Box = tuple[int, int, int, int]

_BITS = 23  # of the number of a block's row, and of its column: the Earth in blocks of 10 m; 2¹⁷ frames are left
_HALF = 1 << (_BITS - 1)  # shifts make rows and columns negative: half of the numbers are theirs


@dataclass(slots=True)
class Split:
    """Which ground validates: the blocks whose codes are in `held`, and the sites that are all for validation.

    `size` and `guard` are in pixels of training, the guard at most half the size.
    """

    frames: CommonGrids
    size: int
    guard: int
    held: frozenset[int] = frozenset()
    validating: frozenset[int] = frozenset()
    """Numbers of sites."""

    def codes(self, site: int, window: Window) -> Longs:
        """The code (H, W) of the block that each pixel of a window of a site lies in, -1 where it has no place."""
        rows, cols = self.frames.places(site, window)
        codes = self._code(site, rows // self.size, cols // self.size)
        return np.where(rows == LOST, np.int64(-1), codes)

    def roles(self, site: int, window: Window) -> Roles:
        """What each pixel (H, W) of a window of a site is for."""
        result = np.full((window.height, window.width), VALIDATE if site in self.validating else TRAIN, np.uint8)
        if site in self.validating:
            return result
        if self.held:
            rows, cols = self.frames.places(site, window)
            lattice = self._lattice(rows, cols)
            if lattice is not None:
                own = VALIDATE if self.frames.sites[site].use == "split" else HELD
                table = self._table(site, lattice)
                _assign(rows, cols, self.size, self.guard, lattice[0], lattice[2], table, own, result)
        for other in self.frames.around(site, self.guard) if self.validating else []:
            if other in self.validating:
                near = self.frames.on(site, other, window, self.guard)
                if near.any():
                    result[near & (result == TRAIN)] = GUARD
                    result[self.frames.on(site, other, window, 1) & (result != VALIDATE)] = HELD
        return result

    def tally(self, site: int, window: Window, labels: Roles, classes: int) -> dict[int, Longs]:
        """Labelled pixels of each class (K,) in a window of a site, by the code of the block they lie in.

        Labels of `classes` or more are none.
        """
        rows, cols = self.frames.places(site, window)
        lattice = self._lattice(rows, cols)
        if lattice is None:
            return {}
        codes = self._codes_of(site, lattice)
        counts = np.zeros((*codes.shape, classes), np.int64)
        _count(rows, cols, self.size, lattice[0], lattice[2], labels, counts)
        found = np.argwhere(counts.any(2)).tolist()
        return {int(codes[r, c]): counts[r, c] for r, c in found}

    def boxes(self, site: int, window: Window, labels: Roles, classes: int) -> dict[int, Box]:
        """First row, last row + 1, first column, last column + 1 of the labelled pixels in a window of a site, by the
        code of the held block they lie in."""
        rows, cols = self.frames.places(site, window)
        lattice = self._lattice(rows, cols)
        if lattice is None:
            return {}
        codes, table = self._codes_of(site, lattice), self._table(site, lattice)
        boxes = np.zeros((*codes.shape, 4), np.int64)
        _box(rows, cols, self.size, lattice[0], lattice[2], table, labels, classes, boxes)
        shift = (window.row, window.row, window.col, window.col)
        found = np.argwhere(boxes[..., 1] > 0).tolist()
        return {int(codes[r, c]): tuple((boxes[r, c] + shift).tolist()) for r, c in found}

    def _lattice(self, rows: Longs, cols: Longs) -> Box | None:
        """First and last row and column of the blocks around the pixels, with those within the guard."""
        r0, r1, c0, c1 = _span(rows, cols)
        if r1 < r0:
            return None
        low, high = ((v - self.guard) // self.size for v in (r0, c0)), ((v + self.guard) // self.size for v in (r1, c1))
        (top, left), (bottom, right) = low, high
        return top, bottom, left, right

    def _codes_of(self, site: int, lattice: Box) -> Longs:
        top, bottom, left, right = lattice
        return self._code(site, np.arange(top, bottom + 1)[:, None], np.arange(left, right + 1)[None])

    def _table(self, site: int, lattice: Box) -> NDArray[np.bool_]:
        return np.isin(self._codes_of(site, lattice), np.fromiter(self.held, np.int64, len(self.held)))

    def _code(self, site: int, rows: Any, cols: Any) -> Longs:
        frame = np.int64(self.frames.seats[site].frame)
        return (frame << (2 * _BITS)) + ((rows + _HALF) << _BITS) + cols + _HALF


@kernel
def _span(rows, cols):  # type: ignore[no-untyped-def]
    """Least and greatest row and column of the pixels that have a place; the least above the greatest without any."""
    r0, r1, c0, c1 = 1 << 40, -(1 << 40), 1 << 40, -(1 << 40)
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            r, c = rows[i, j], cols[i, j]
            if r != LOST:
                r0, r1, c0, c1 = min(r0, r), max(r1, r), min(c0, c), max(c1, c)
    return r0, r1, c0, c1


@kernel
def _assign(rows, cols, size, guard, top, left, table, own, out):  # type: ignore[no-untyped-def]
    """The role of each pixel by the held blocks in `table`, whose first is the block (top, left)."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            r, c = rows[i, j], cols[i, j]
            if r == LOST:
                out[i, j] = OUT
            elif table[r // size - top, c // size - left]:
                out[i, j] = own
            elif _near(r, c, size, 1, top, left, table):
                out[i, j] = HELD
            elif _near(r, c, size, guard, top, left, table):
                out[i, j] = GUARD


@kernel
def _near(r, c, size, margin, top, left, table):  # type: ignore[no-untyped-def]
    """Whether a held block comes within `margin` ≤ size / 2: a square that small meets only blocks that one of its
    corners lies in."""
    r0, r1 = (r - margin) // size - top, (r + margin) // size - top
    c0, c1 = (c - margin) // size - left, (c + margin) // size - left
    if r0 == r1 and c0 == c1:
        return table[r0, c0]
    return table[r0, c0] or table[r0, c1] or table[r1, c0] or table[r1, c1]


@kernel
def _count(rows, cols, size, top, left, labels, counts):  # type: ignore[no-untyped-def]
    """Count labels (H, W) below K into counts (R, C, K) by block."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            if rows[i, j] != LOST and labels[i, j] < counts.shape[2]:
                counts[rows[i, j] // size - top, cols[i, j] // size - left, labels[i, j]] += 1


@kernel
def _box(rows, cols, size, top, left, table, labels, classes, boxes):  # type: ignore[no-untyped-def]
    """The box of the labelled pixels of each held block (R, C, 4), all 0 where there are none."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            if rows[i, j] == LOST or labels[i, j] >= classes:
                continue
            r, c = rows[i, j] // size - top, cols[i, j] // size - left
            if not table[r, c]:
                continue
            box = boxes[r, c]
            if box[1] == 0:
                box[0], box[1], box[2], box[3] = i, i + 1, j, j + 1
            else:
                box[1], box[2], box[3] = i + 1, min(box[2], j), max(box[3], j + 1)


def choose(counts: Mapping[Any, NDArray[np.int64]], share: float, seed: int) -> frozenset[Any]:
    """Keys of about this share of the pixels, with the classes as in the whole: the best of DRAWS seeded draws.

    `counts` holds the pixels of each class (K,) for each key (a block, a group). At least one key is taken and one left
    where there are two; classes found in two or more keys are on both sides if any draw has them so.
    """
    keys = sorted(counts)
    if len(keys) < 2 or share <= 0:
        return frozenset()
    table = np.stack([counts[k] for k in keys]).astype(np.float64)
    total = table.sum(0)
    shared = (table > 0).sum(0) > 1
    best: tuple[float, frozenset[Any]] | None = None
    for draw in range(DRAWS):
        order = np.random.default_rng((seed, draw)).permutation(len(keys))
        sums = np.cumsum(table[order].sum(1))[:-1]
        taken = order[: int(np.argmin(np.abs(sums - share * total.sum()))) + 1]
        picked = table[taken].sum(0)
        found = picked.sum() / total.sum()
        mix = np.abs(picked / max(picked.sum(), 1) - total / total.sum()).sum()
        lacking = (shared & ((picked == 0) | (picked == total))).sum()
        cost = 10 * lacking + mix + 2 * abs(found - share) / share
        if best is None or cost < best[0]:
            best = (cost, frozenset(keys[i] for i in taken.tolist()))
    assert best is not None
    return best[1]
