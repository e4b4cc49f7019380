"""Regions: the 4-connected components of a class raster, kept as runs along the rows.

Everything after this module works on runs, so memory follows the length of the borders and not the area, and the
strips in which the raster was read leave no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats, Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.union_find import join, numbered, root

OUTSIDE = 0
"""The region number of what lies around the raster."""


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of a raster, numbered 1… in the order of their first pixel (row by row); 0 is the outside.

    `starts[offsets[r]:offsets[r + 1]]` are the columns where the runs of row r begin, the first is 0; `labels` the
    region of each run. `values` and `pixels` give class value and size of each region, with an entry for the outside.
    """

    height: int
    width: int
    offsets: Longs
    starts: Ints
    labels: Ints
    values: Longs
    pixels: Longs

    def __len__(self) -> int:
        return len(self.values) - 1

    def raster(self, rows: slice | None = None) -> Ints:
        """Region numbers as an image (H, W), of all rows or of a slice of them."""
        first, last, _ = (rows or slice(None)).indices(self.height)
        out = np.empty((last - first, self.width), np.int32)
        _paint(self.offsets, self.starts, self.labels, first, out)
        return out

    def relabelled(self, target: Ints) -> Regions:
        """The regions after each region i has become part of region `target[i]` (which maps to itself).

        Regions of one target must touch, and no two touching targets may share a value: then the result is again the
        4-connected components of its raster. Numbers are given anew, in the order of the first pixel.
        """
        labels = target[self.labels]
        offsets, keep = _merge_runs(self.offsets, labels)
        number, count = _renumber(labels, len(self.values))
        labels = number[labels][keep]
        starts = self.starts[keep]
        values = np.zeros(count + 1, np.int64)
        kept = np.flatnonzero(number)
        values[number[kept]] = self.values[kept]
        pixels = _sizes(offsets, starts, labels, self.width, count)
        return Regions(self.height, self.width, offsets, starts, labels, values, pixels)


def find_regions(strips: Iterable[NDArray[Any]], width: int) -> Regions:
    """The 4-connected regions of equal value in the raster that the strips make up; see `RegionFinder`."""
    finder = RegionFinder(width)
    for strip in strips:
        finder.add(strip)
    return finder.finish()


class RegionFinder:
    """Finds the 4-connected regions of equal value in a raster whose strips pass by, from the top.

    Each strip is an integer array (rows, width); strips may be of any height. The result does not depend on how the
    raster is cut: regions are joined across strips by a union-find over runs. Memory: the runs.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self._counts: list[Longs] = [np.zeros(1, np.int64)]
        self._starts: list[Ints] = []
        self._labels: list[Ints] = []
        self._parent, self._values = np.zeros(1, np.int32), np.zeros(1, np.int64)
        self._last = (np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32))
        self._number = 1

    def add(self, strip: NDArray[Any]) -> None:
        """Take in the next rows."""
        strip = _plain(strip)
        count, head = _count_runs(strip), len(self._last[0])
        offsets = np.concatenate(([0, head], head + np.cumsum(count)))
        columns, classes = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int64)
        regions = np.empty(offsets[-1], np.int32)
        columns[:head], classes[:head], regions[:head] = self._last
        _fill_runs(strip, offsets, columns, classes)
        most = self._number + len(columns)
        self._parent, self._values = _grown(self._parent, most), _grown(self._values, most)
        self._number = _join_rows(
            offsets, columns, classes, regions, self.width, self._parent, self._values, self._number
        )  # fmt: skip
        self._counts.append(count)
        self._starts.append(columns[head:])
        self._labels.append(regions[head:])
        tail = slice(offsets[-2], None)
        self._last = (columns[tail].copy(), classes[tail].copy(), regions[tail].copy())

    def finish(self) -> Regions:
        """The regions of all strips; nothing is added any more."""
        offsets = np.cumsum(np.concatenate(self._counts))
        columns = np.concatenate([np.empty(0, np.int32), *self._starts])
        self._starts.clear()
        regions = np.concatenate([np.empty(0, np.int32), *self._labels])
        self._labels.clear()
        final, total = numbered(self._parent, self._number)
        values = _first_values(final, self._values, self._number, total)
        regions = final[regions]
        pixels = _sizes(offsets, columns, regions, self.width, total)
        return Regions(len(offsets) - 1, self.width, offsets, columns, regions, values, pixels)


def _plain(strip: NDArray[Any]) -> NDArray[Any]:
    """The strip in one of the two types that the kernels are compiled for."""
    if strip.dtype == np.uint8:
        return np.ascontiguousarray(strip)
    return np.ascontiguousarray(strip, dtype=np.int64)


def _grown(array: NDArray[Any], size: int) -> NDArray[Any]:
    if size <= len(array):
        return array
    out = np.zeros(max(size, len(array) * 3 // 2), array.dtype)
    out[: len(array)] = array
    return out


def row_strips(raster: NDArray[Any], height: int = 512) -> Iterator[NDArray[Any]]:
    """An array (H, W) in strips of `height` rows."""
    for row in range(0, raster.shape[0], height):
        yield raster[row : row + height]


@kernel
def _count_runs(strip):  # type: ignore[no-untyped-def]
    height, width = strip.shape
    counts = np.zeros(height, np.int64)
    for r in range(height):
        n = 1 if width > 0 else 0
        for c in range(1, width):
            n += strip[r, c] != strip[r, c - 1]
        counts[r] = n
    return counts


@kernel
def _fill_runs(strip, offsets, starts, values):  # type: ignore[no-untyped-def]
    """Write the runs of each row; row r of the strip is row r + 1 of `offsets`, since row 0 is the one above it."""
    height, width = strip.shape
    for r in range(height):
        n = offsets[r + 1]
        for c in range(width):
            if c == 0 or strip[r, c] != strip[r, c - 1]:
                starts[n] = c
                values[n] = strip[r, c]
                n += 1


@kernel
def _join_rows(offsets, starts, values, labels, width, parent, classes, number):  # type: ignore[no-untyped-def]
    """Give each run the number of a run above that touches it with its value, or a new one; join where two meet.

    The root of a set is its smallest number, which belongs to its first pixel. Returns the next free number.
    """
    for r in range(1, len(offsets) - 1):
        above, above_end = offsets[r - 1], offsets[r]
        for run in range(offsets[r], offsets[r + 1]):
            end = starts[run + 1] if run + 1 < offsets[r + 1] else width
            label = 0
            while above < above_end:
                if values[above] == values[run]:
                    label = root(parent, labels[above]) if label == 0 else join(parent, label, labels[above])
                above_stop = starts[above + 1] if above + 1 < above_end else width
                if above_stop <= end:
                    above += 1
                if above_stop >= end:
                    break
            if label == 0:
                label = number
                parent[label] = label
                classes[label] = values[run]
                number += 1
            labels[run] = label
    return number


@kernel
def _first_values(final, classes, number, total):  # type: ignore[no-untyped-def]
    out = np.zeros(total + 1, np.int64)
    for i in range(number - 1, 0, -1):
        out[final[i]] = classes[i]
    return out


@kernel
def _sizes(offsets, starts, labels, width, total):  # type: ignore[no-untyped-def]
    pixels = np.zeros(total + 1, np.int64)
    for r in range(len(offsets) - 1):
        for run in range(offsets[r], offsets[r + 1]):
            end = starts[run + 1] if run + 1 < offsets[r + 1] else width
            pixels[labels[run]] += end - starts[run]
    return pixels


@kernel
def _paint(offsets, starts, labels, first, out):  # type: ignore[no-untyped-def]
    height, width = out.shape
    for i in range(height):
        r = first + i
        for run in range(offsets[r], offsets[r + 1]):
            end = starts[run + 1] if run + 1 < offsets[r + 1] else width
            out[i, starts[run] : end] = labels[run]


@kernel
def _merge_runs(offsets, labels):  # type: ignore[no-untyped-def]
    """Which runs begin a new label in their row, and the row offsets of those alone."""
    keep = np.zeros(len(labels), np.bool_)
    out = np.zeros(len(offsets), np.int64)
    for r in range(len(offsets) - 1):
        n = out[r]
        for run in range(offsets[r], offsets[r + 1]):
            if run == offsets[r] or labels[run] != labels[run - 1]:
                keep[run] = True
                n += 1
        out[r + 1] = n
    return out, keep


@kernel
def _renumber(labels, size):  # type: ignore[no-untyped-def]
    """New number of each label in the order of first occurrence, 0 for those that do not occur; and their count."""
    number = np.zeros(size, np.int32)
    count = 0
    for i in range(len(labels)):
        if number[labels[i]] == 0:
            count += 1
            number[labels[i]] = count
    return number, count


@kernel
def label_at(runs, row, column):  # type: ignore[no-untyped-def]
    """The region of a pixel; `runs` are offsets, starts and labels."""
    offsets, starts, labels = runs
    low, high = offsets[row], offsets[row + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if starts[middle] <= column:
            low = middle
        else:
            high = middle
    return labels[low]


class Zonal(NamedTuple):
    """Of each region, entry 0 being the outside: mean and least value, NaN where none is valid, and how many are."""

    mean: Floats
    least: Floats
    pixels: Floats


class Zones:
    """Mean and minimum of values over each region; pixels without a valid value do not count.

    Strips are added from the top in any height: sums run along the rows of each region, so they do not depend on it.
    """

    def __init__(self, regions: Regions) -> None:
        self._regions = regions
        size = len(regions) + 1
        self._sum, self._count, self._least = np.zeros(size), np.zeros(size, np.int64), np.full(size, np.inf)

    def add(self, row: int, values: NDArray[Any], valid: NDArray[np.bool_]) -> None:
        """Take in the rows from `row` on: values and validity (rows, W)."""
        labels = self._regions.raster(slice(row, row + len(values)))
        _add(labels, np.ascontiguousarray(values, np.float64), valid, self._sum, self._count, self._least)

    def finish(self) -> Zonal:
        """What all strips came to."""
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = self._sum / self._count
        return Zonal(mean, np.where(self._count > 0, self._least, np.nan), self._count.astype(np.float64))


@kernel
def _add(labels, values, valid, total, count, least):  # type: ignore[no-untyped-def]
    for r in range(labels.shape[0]):
        for c in range(labels.shape[1]):
            if valid[r, c]:
                i = labels[r, c]
                total[i] += values[r, c]
                count[i] += 1
                least[i] = min(least[i], values[r, c])
