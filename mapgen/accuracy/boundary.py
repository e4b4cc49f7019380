"""Boundary F: how much of the border of a class lies where it should, within a tolerance (Csurka et al. 2013)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.accuracy.confusion import Matches
from mapgen.arrays import Longs as Counts
from mapgen.errors import UsageError, option
from mapgen.kernels import kernel

REACH_LIMIT = 128
"""The largest tolerance in pixels: the work of a pixel without a partner grows with its square."""

SLACK = 0.01
"""How much farther the tolerance reaches than it says. A pixel of 1 m in UTM measures up to 1.0004 m on the ground, and
a tolerance of 2 m is meant to reach the second one."""


class BoundaryMatcher:
    """Boundary pixels of both sides and how many have one of their class within the tolerance on the other side.

    A boundary pixel is one with a 4-neighbour of another class; where either side has no class (a negative code),
    nothing counts and nothing is a neighbour. Distances are Euclidean, between the centres of pixels that measure
    `across_m` × `down_m`. Strips are added from the top; as many rows as the tolerance reaches are kept between them.
    Law: the result does not depend on how the ground is cut into strips.

    Raises `UsageError` for a tolerance of more than REACH_LIMIT pixels.
    """

    def __init__(self, tolerance_m: float, across_m: float, down_m: float, width: int, classes: int) -> None:
        self._offsets = _disc(tolerance_m, across_m, down_m)
        self._margin = int(self._offsets[:, 0].max()) + 1
        self._sums: Counts = np.zeros((4, classes), np.int64)
        self._mapped = self._truth = np.empty((0, width), np.int16)
        self._done = 0
        """Rows of the buffer that are counted already, kept as the surroundings of those to come."""

    def add(self, mapped: NDArray[np.int16], truth: NDArray[np.int16]) -> None:
        """Take in the codes (H, W) of the next rows of both sides."""
        empty = (mapped < 0) | (truth < 0)
        self._mapped = np.concatenate((self._mapped, np.where(empty, np.int16(-1), mapped)))
        self._truth = np.concatenate((self._truth, np.where(empty, np.int16(-1), truth)))
        self._count(max(self._done, len(self._mapped) - self._margin))

    def finish(self) -> Matches:
        """What all strips came to."""
        self._count(len(self._mapped))
        return Matches(*self._sums)

    def _count(self, end: int) -> None:
        if end > self._done:
            edges = _edges(self._mapped), _edges(self._truth)
            for i, (mine, others) in enumerate((edges, edges[::-1])):
                _near(mine, others, self._offsets, self._done, end, self._sums[2 * i], self._sums[2 * i + 1])
        first = max(0, end - self._margin)
        self._mapped, self._truth, self._done = self._mapped[first:].copy(), self._truth[first:].copy(), end - first


def _disc(tolerance_m: float, across_m: float, down_m: float) -> NDArray[np.int32]:
    """Offsets (N, 2) in rows and columns to all pixels within the tolerance, the nearest first."""
    if not min(across_m, down_m) > 0 or not tolerance_m / min(across_m, down_m) < REACH_LIMIT + 1:
        most = REACH_LIMIT * min(across_m, down_m)
        raise UsageError(
            option("boundary"),
            f"{tolerance_m:g} m is more than {REACH_LIMIT} pixels of this map",
            f"use at most {most:g}",
        )
    reach = tolerance_m * (1 + SLACK)
    rows, cols = (math.floor(reach / size) for size in (down_m, across_m))
    row, col = np.mgrid[-rows : rows + 1, -cols : cols + 1].reshape(2, -1)
    distance = np.hypot(row * down_m, col * across_m)
    order = np.argsort(distance, kind="stable")
    return np.stack((row, col), axis=1)[order][distance[order] <= reach].astype(np.int32)


@kernel
def _edges(codes: Any) -> Any:
    """The codes where a pixel has a neighbour of another class, else -1."""
    height, width = codes.shape
    out = np.full((height, width), -1, np.int16)
    for r in range(height):
        for c in range(width):
            k = codes[r, c]
            if k < 0:
                continue
            for dr, dc in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                i, j = r + dr, c + dc
                if 0 <= i < height and 0 <= j < width and codes[i, j] >= 0 and codes[i, j] != k:
                    out[r, c] = k
                    break
    return out


@kernel
def _near(mine, others, offsets, first, last, total, matched):  # type: ignore[no-untyped-def]
    """Count the edge pixels of the rows first…last-1 by class, and those with one of `others` at an offset."""
    height, width = mine.shape
    for r in range(first, last):
        for c in range(width):
            k = mine[r, c]
            if k < 0:
                continue
            total[k] += 1
            for n in range(len(offsets)):
                i, j = r + offsets[n, 0], c + offsets[n, 1]
                if 0 <= i < height and 0 <= j < width and others[i, j] == k:
                    matched[k] += 1
                    break
