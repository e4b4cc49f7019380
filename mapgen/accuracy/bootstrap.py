"""Block bootstrap: how far the figures might have been off on other ground of the same kind.

The errors of neighbouring pixels are alike, so blocks of ground are resampled instead of pixels (Künsch 1989). Instead
of drawing as many blocks as there are, each block is taken a Poisson(1) number of times in each resample, which is what
drawing comes to for many blocks (Hanley and MacGibbon 2006, Chamandy et al. 2012). So one pass suffices and nothing of
a block is kept: memory does not grow with the map.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.accuracy.confusion import Tally
from mapgen.accuracy.report import Block
from mapgen.arrays import Floats
from mapgen.arrays import Longs as Counts
from mapgen.kernels import kernel

DRAWS = 1000
LEVEL = 0.95

FEWEST = 10
"""Blocks below which no interval is given: that of a handful of blocks is too narrow to be believed."""

_TOGETHER = 256  # blocks that are resampled at once: memory must not grow with the width of the map


@dataclass(frozen=True, slots=True)
class Lattice:
    """Blocks of `rows` × `cols` pixels over a grid of `height` × `width`, counted from its first pixel."""

    height: int
    width: int
    rows: int
    cols: int

    @property
    def across(self) -> int:
        """How many blocks lie side by side."""
        return -(-self.width // self.cols)


class Resamples:
    """Tallies (hit, truth, mapped; K classes) of `draws` resamples of blocks, for `evaluate` and for training alike."""

    def __init__(self, seed: int, draws: int = DRAWS) -> None:
        self._seed = seed
        self.sums: Floats = np.zeros((draws, 3, 0))
        """Hit, truth and mapped of each resample."""

    def add(self, key: int, blocks: Counts) -> None:
        """Take in the tallies (B, 3, K) of some blocks, K no less than before; `key` tells them from others."""
        self.grow(blocks.shape[2])
        draws = len(self.sums)
        rng = np.random.default_rng((self._seed, key))
        for first in range(0, len(blocks), _TOGETHER):
            some = blocks[first : first + _TOGETHER]
            weights = rng.poisson(1, (len(some), draws)).astype(np.float64)
            self.sums += (weights.T @ some.reshape(len(some), -1)).reshape(self.sums.shape)

    def grow(self, classes: int) -> None:
        """Make room for this many classes."""
        self.sums = np.pad(self.sums, ((0, 0), (0, 0), (0, classes - self.sums.shape[2])))

    def intervals(self, *figures: str) -> dict[str, Floats]:
        """95 % percentile intervals (..., 2) of figures of a `Tally`, by name."""
        tally = Tally(*np.moveaxis(self.sums, 1, 0))
        return {name: interval(getattr(tally, name)) for name in figures}


class BlockCounter:
    """Confusion counts of a map against a truth, their bootstrap resamples, and the worst blocks, in one pass.

    Strips of codes are added from the top, of any height and anywhere on the lattice. Laws: the result does not depend
    on how the ground is cut into strips; resamples depend on the seed and the place of a block alone.
    """

    def __init__(self, lattice: Lattice, seed: int = 0, worst: int = 0) -> None:
        self.counts: Counts = np.zeros((0, 0), np.int64)
        self.blocks = 0
        self._lattice, self._keep = lattice, worst
        self._row = -1
        self._open: Counts = np.zeros((lattice.across, 3, 0), np.int64)
        self.resamples = Resamples(seed)
        self._heap: list[tuple[int, int, int, int]] = []

    def add(self, row: int, col: int, mapped: NDArray[np.int16], truth: NDArray[np.int16]) -> None:
        """Take in the codes (H, W) of both whose first pixel is (row, col) of the grid; strips follow each other."""
        rows = self._lattice.rows
        self.grow(1 + max(int(mapped.max(initial=-1)), int(truth.max(initial=-1))))
        done = 0
        while done < len(mapped):
            block = int(row + done) // rows
            if block != self._row:
                self._close()
                self._row = block
            part = slice(done, min(len(mapped), (block + 1) * rows - row))
            _tally(mapped[part], truth[part], col, self._lattice.cols, self._open, self.counts)
            done = part.stop

    def grow(self, classes: int) -> None:
        """Make room for at least this many classes."""
        more = classes - len(self.counts)
        if more > 0:
            self.counts = np.pad(self.counts, ((0, more), (0, more)))
            self._open = np.pad(self._open, ((0, 0), (0, 0), (0, more)))
            self.resamples.grow(classes)

    def finish(self) -> Counts:
        """The counts (K, K), by truth and map; intervals and worst blocks are known from now on."""
        self._close()
        self._row = -1
        return self.counts

    def _close(self) -> None:
        pixels = self._open[:, 1].sum(-1)
        if not pixels.any():
            return
        self.blocks += int((pixels > 0).sum())
        self.resamples.add(self._row, self._open)
        wrong = pixels - self._open[:, 0].sum(-1)
        for place in np.flatnonzero(wrong).tolist() if self._keep else ():
            # Of equally bad blocks the first stays: the heap's least is the one to go.
            heapq.heappush(self._heap, (int(wrong[place]), -self._row, -place, int(pixels[place])))
            if len(self._heap) > self._keep:
                heapq.heappop(self._heap)
        self._open[:] = 0

    def worst(self) -> tuple[Block, ...]:
        """The blocks with the most wrong pixels, the worst first."""
        grid, found = self._lattice, []
        for wrong, minus_row, minus_col, pixels in sorted(self._heap, reverse=True):
            row, col = -minus_row * grid.rows, -minus_col * grid.cols
            height, width = min(grid.rows, grid.height - row), min(grid.cols, grid.width - col)
            found.append(Block(row, col, height, width, pixels, wrong))
        return tuple(found)

    def intervals(self) -> dict[str, Floats]:
        """95 % percentile intervals (Efron 1979): `miou` and `accuracy` (2,), `iou` (K, 2).

        Empty where fewer than FEWEST blocks count.
        """
        return self.resamples.intervals("miou", "accuracy", "iou") if self.blocks >= FEWEST else {}


def interval(values: Floats) -> Floats:
    """The interval (..., 2) of what is not NaN along the first axis; NaN where less than half is known."""
    known = np.isfinite(values).mean(0) >= 0.5
    filled = np.where(known, values, 0.0)
    return np.where(known[..., None], np.moveaxis(_tails(filled), 0, -1), np.nan)


def _tails(values: Floats) -> Floats:
    return np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)


@kernel
def _tally(mapped, truth, col, cols, blocks, counts):  # type: ignore[no-untyped-def]
    """Count the pixels of both: in `counts` (K, K), and per block of `cols` columns in `blocks` (B, 3, K)."""
    for r in range(mapped.shape[0]):
        for c in range(mapped.shape[1]):
            m, t = mapped[r, c], truth[r, c]
            if m >= 0 and t >= 0:
                block = (col + c) // cols
                counts[t, m] += 1
                blocks[block, 1, t] += 1
                blocks[block, 2, m] += 1
                if m == t:
                    blocks[block, 0, m] += 1
