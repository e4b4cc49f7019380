"""Overviews of class maps, half the resolution each: plain numpy, for `segment` starts without compiling anything."""

from __future__ import annotations

import numpy as np

from mapgen.arrays import Array
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
