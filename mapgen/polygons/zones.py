"""Statistics of another raster over regions, strip by strip."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.kernels import kernel
from mapgen.polygons.lines import Floats
from mapgen.polygons.regions import Regions


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

    def means(self) -> Floats:
        """The mean over each region, NaN where there is no valid pixel; entry 0 is the outside."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._sum / self._count

    def counts(self) -> Floats:
        """The number of valid pixels in each region; entry 0 is the outside."""
        return self._count.astype(np.float64)

    def minima(self) -> Floats:
        """The least value over each region, NaN where there is no valid pixel; entry 0 is the outside."""
        return np.where(self._count > 0, self._least, np.nan)


@kernel
def _add(labels, values, valid, total, count, least):  # type: ignore[no-untyped-def]
    for r in range(labels.shape[0]):
        for c in range(labels.shape[1]):
            if valid[r, c]:
                i = labels[r, c]
                total[i] += values[r, c]
                count[i] += 1
                least[i] = min(least[i], values[r, c])
