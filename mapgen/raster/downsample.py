"""Overviews: a raster at half its resolution, again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.kernels import kernel
from mapgen.legend import NODATA

_ROWS = 64
"""Rows are worked on some at a time, so that all steps find them in the processor's cache."""


def mode_of_four(classes: Array) -> Array:
    """Class ids at half the resolution: (…, H, W) uint8, both even, → (…, H/2, W/2), the most frequent of each 2 × 2.

    Ties go to the lower id; pixels without data do not count, and the result has none only where all four have none.
    """
    result = np.empty((*classes.shape[:-2], classes.shape[-2] // 2, classes.shape[-1] // 2), np.uint8)
    for top in range(0, classes.shape[-2], _ROWS):
        result[..., top // 2 : (top + _ROWS) // 2, :] = _mode_of_rows(classes[..., top : top + _ROWS, :])
    return result


def _mode_of_rows(classes: Array) -> Array:
    # A sorting network on bytes runs at the speed of memory. NODATA, the highest byte, comes to lie last.
    low = np.minimum(classes[..., ::2, :], classes[..., 1::2, :])
    high = np.maximum(classes[..., ::2, :], classes[..., 1::2, :])
    a, b = np.ascontiguousarray(low[..., ::2]), np.ascontiguousarray(low[..., 1::2])
    c, d = np.ascontiguousarray(high[..., ::2]), np.ascontiguousarray(high[..., 1::2])
    first, b = np.minimum(a, b), np.maximum(a, b)
    c, last = np.minimum(c, d), np.maximum(c, d)
    second, third = np.minimum(b, c), np.maximum(b, c)
    # The first of the sorted four unless it stands alone and two later ones, which are data, are equal.
    result = np.where((third == last) & (last != NODATA), third, first)
    result = np.where((second == third) & (third != NODATA), second, result)
    return np.where(first == second, first, result)


def mean_of_four(values: Array) -> Array:
    """Values at half the resolution: (…, H, W) uint8, both even, → (…, H/2, W/2), the mean of those with data.

    Halves are rounded up; the result has no data only where all four have none.
    """
    total = np.zeros((*values.shape[:-2], values.shape[-2] // 2, values.shape[-1] // 2), np.uint16)
    count = np.zeros(total.shape, np.uint16)
    for rows in (0, 1):
        for cols in (0, 1):
            part = values[..., rows::2, cols::2]
            known = part != NODATA
            total += np.where(known, part, 0)
            count += known
    mean = (2 * total + count) // np.maximum(2 * count, 1)
    return np.where(count > 0, mean, NODATA).astype(np.uint8)


def evened(values: Array) -> Array:
    """`values` (…, H, W) uint8 with a last row and column without data where the sizes are odd."""
    odd_rows, odd_cols = values.shape[-2] % 2, values.shape[-1] % 2
    if not odd_rows and not odd_cols:
        return values
    margins = [(0, 0)] * (values.ndim - 2) + [(0, odd_rows), (0, odd_cols)]
    return np.pad(values, margins, constant_values=NODATA)


Reduce = Callable[[Array, Array], None]
"""Shrinks a tile (…, H, W) into a quarter (…, H/2, W/2) that is given."""


def mode_of(nodata: Any) -> Reduce:
    """Each pixel the class that most of its four have, ties to the lower id; no data only where all four have none."""

    def reduce(tile: Array, out: Array) -> None:
        _mode(tile, tile.dtype.type(nodata), out)

    return reduce


def first_of(nodata: Any) -> Reduce:
    """Each pixel the first of its four (upper left, upper right, lower left, lower right) that has data."""

    def reduce(tile: Array, out: Array) -> None:
        _first(tile, tile.dtype.type(nodata), out)

    return reduce


@kernel
def _mode(tile: Any, nodata: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            a, b = tile[2 * i, 2 * j], tile[2 * i, 2 * j + 1]
            c, d = tile[2 * i + 1, 2 * j], tile[2 * i + 1, 2 * j + 1]
            if a == b and a == c and a == d:
                out[i, j] = a
                continue
            best, most = nodata, 0
            for value in (a, b, c, d):
                if value == nodata:
                    continue
                count = int(value == a) + int(value == b) + int(value == c) + int(value == d)
                if count > most or (count == most and value < best):
                    best, most = value, count
            out[i, j] = best


@kernel
def _first(tile: Any, nodata: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = nodata
            for value in (
                tile[2 * i, 2 * j], tile[2 * i, 2 * j + 1], tile[2 * i + 1, 2 * j], tile[2 * i + 1, 2 * j + 1]
            ):  # fmt: skip
                if value != nodata:
                    out[i, j] = value
                    break


def mean_of() -> Reduce:
    """Of colours (bands + 1, H, W), the last being validity 0…255: means weighted by it, rounded half up."""
    return _mean


def first_color() -> Reduce:
    """Of colours with validity as the last band: the first of the four that is most valid."""
    return _first_color


@kernel
def _mean(tile: Any, out: Any) -> None:
    bands = tile.shape[0] - 1
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            total = 0
            for k in range(4):
                total += int(tile[bands, 2 * i + (k >> 1), 2 * j + (k & 1)])
            out[bands, i, j] = (total + 2) >> 2
            for band in range(bands):
                value = 0
                for k in range(4):
                    r, c = 2 * i + (k >> 1), 2 * j + (k & 1)
                    value += int(tile[band, r, c]) * int(tile[bands, r, c])
                out[band, i, j] = 0 if total == 0 else (value + (total >> 1)) // total


@kernel
def _first_color(tile: Any, out: Any) -> None:
    bands = tile.shape[0] - 1
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            best = 0
            for k in range(1, 4):
                if (
                    tile[bands, 2 * i + (k >> 1), 2 * j + (k & 1)]
                    > tile[bands, 2 * i + (best >> 1), 2 * j + (best & 1)]
                ):
                    best = k
            for band in range(bands + 1):
                out[band, i, j] = tile[band, 2 * i + (best >> 1), 2 * j + (best & 1)]
