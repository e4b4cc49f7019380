"""Ids of regions that go through several strips of a raster, in memory that follows the edges of the strips.

Each strip is labelled by itself, twice: first to learn which of its regions go on in the next strip, then, all strips
known, to ask what their regions are called. Only regions that touch the upper or lower edge of a strip are remembered.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats, Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.regions import Regions, label_at
from mapgen.polygons.union_find import flatten, join


class RegionIds:
    """The regions of strips, joined: `add` every strip from the top, then ask for the `ids` of each.

    Ids are 1… in the order of the strips, not all of them used; a region in several strips has that of its first part.
    """

    def __init__(self) -> None:
        self._touching = np.empty(0, np.int32)
        self._bases = [0]
        self._starts = [0]
        self._parent = np.empty(0, np.int32)
        self._sums: Floats = np.empty(0)
        self._counts: Floats = np.empty(0)
        self._last: Regions | None = None

    def add(self, regions: Regions, values: Floats | None = None, *, joined: bool = True) -> None:
        """The regions of the next strip, and perhaps a value for each pixel (H, W), NaN where unknown.

        `joined`: whether it lies against the one before.
        """
        touching = np.unique(np.concatenate((_row(regions, 0), _row(regions, regions.height - 1)))).astype(np.int32)
        self._touching = np.concatenate((self._touching, touching))
        self._bases.append(self._bases[-1] + len(regions))
        start = self._starts[-1]
        self._starts.append(start + len(touching))
        self._parent = np.concatenate((self._parent, np.arange(start, self._starts[-1], dtype=np.int32)))
        if values is not None:
            sums, counts = _summed(regions, values)
            self._sums = np.concatenate((self._sums, sums[touching]))
            self._counts = np.concatenate((self._counts, counts[touching]))
        if self._last is not None and joined:
            _meet(_edge(self._last, -1), _edge(regions, 0), self._places(-2, self._last), self._places(-1, regions),
                  self._parent, regions.width)  # fmt: skip
        self._last = regions

    def finish(self) -> Self:
        """The regions of all strips, ready to be asked for."""
        self._last = None
        flatten(self._parent)
        if len(self._sums):
            size = len(self._parent)
            self._sums = np.bincount(self._parent, self._sums, size)[self._parent].astype(np.float64)
            self._counts = np.bincount(self._parent, self._counts, size)[self._parent].astype(np.float64)
        return self

    def ids(self, strip: int, regions: Regions) -> Longs:
        """The id of each region of a strip, the outside (0) first."""
        out = self._bases[strip] + np.arange(len(regions) + 1)
        out[0] = 0
        part = slice(self._starts[strip], self._starts[strip + 1])
        roots = self._parent[part]
        owners = np.searchsorted(self._starts, roots, side="right") - 1
        out[self._touching[part]] = np.asarray(self._bases)[owners] + self._touching[roots]
        return out

    def means(self, strip: int, regions: Regions, values: Floats) -> Floats:
        """The mean of the values over all pixels of each region of a strip, those in other strips too."""
        sums, counts = _summed(regions, values)
        part = slice(self._starts[strip], self._starts[strip + 1])
        touching = self._touching[part]
        sums[touching], counts[touching] = self._sums[part], self._counts[part]
        with np.errstate(invalid="ignore"):
            return np.asarray(sums / counts)

    def _places(self, strip: int, regions: Regions) -> Ints:
        """For each region of the strip its place among those remembered, -1 for the others."""
        out = np.full(len(regions) + 1, -1, np.int32)
        start, end = self._starts[strip - 1 :][:2] if strip < -1 else self._starts[-2:]
        out[self._touching[start:end]] = np.arange(start, end)
        return out


def labels_at(regions: Regions, rows: Longs, columns: Longs) -> Ints:
    """The regions of these pixels."""
    return np.asarray(_labels_at((regions.offsets, regions.starts, regions.labels), rows, columns))


def _row(regions: Regions, row: int) -> Ints:
    return regions.labels[regions.offsets[row] : regions.offsets[row + 1]]


def _edge(regions: Regions, row: int) -> tuple[Ints, Ints, Longs]:
    """Starts, labels and values of the runs of a row."""
    row %= regions.height
    runs = slice(regions.offsets[row], regions.offsets[row + 1])
    labels = regions.labels[runs]
    return regions.starts[runs], labels, regions.values[labels]


def _summed(regions: Regions, values: NDArray[Any]) -> tuple[Floats, Floats]:
    """Sum and count of the known values of each region."""
    labels = regions.raster()
    known = np.isfinite(values)
    which = labels[known]
    size = len(regions) + 1
    # Without any value known, bincount would count in integers.
    sums, counts = np.bincount(which, values[known], size), np.bincount(which, minlength=size)
    return sums.astype(np.float64), counts.astype(np.float64)


@kernel
def _labels_at(runs, rows, columns):  # type: ignore[no-untyped-def]
    out = np.empty(len(rows), np.int32)
    for i in range(len(rows)):
        out[i] = label_at(runs, rows[i], columns[i])
    return out


@kernel
def _meet(upper, lower, above, below, parent, width):  # type: ignore[no-untyped-def]
    """Join the regions of equal value that touch across the edge of two strips."""
    starts_a, labels_a, values_a = upper
    starts_b, labels_b, values_b = lower
    a, b = 0, 0
    while a < len(starts_a) and b < len(starts_b):
        if values_a[a] == values_b[b]:
            join(parent, above[labels_a[a]], below[labels_b[b]])
        end_a = starts_a[a + 1] if a + 1 < len(starts_a) else width
        end_b = starts_b[b + 1] if b + 1 < len(starts_b) else width
        if end_a <= end_b:
            a += 1
        if end_b <= end_a:
            b += 1
