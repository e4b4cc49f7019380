"""Depth: how far pixels lie inside the roads, measured only where it is asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bools, Ints, Longs
from mapgen.kernels import kernel


def depths(mask: Bools, rows: Longs, cols: Ints, limit: float, aspect: float = 1.0) -> NDArray[np.float32]:
    """The distance of each pixel (rows, cols) to the nearest one that is not set, centre to centre, in pixel widths.

    `aspect` is the height of a pixel in its widths. Exact up to `limit`, and never more; what lies outside the mask
    (H, W) counts as set. Runs down the columns, then a search along the row, in Euclidean distance (Saito and
    Toriwaki 1994), so only two sweeps touch the whole mask.
    """
    down = _runs(mask, int(np.ceil(limit / aspect)) + 1)
    out = np.empty(len(rows), np.float32)
    _search(down, rows, cols, float(limit), float(aspect), out)
    return out


@kernel
def _runs(mask, most):  # type: ignore[no-untyped-def]
    """Of each pixel the steps to the nearest one in its column that is not set, at most `most`."""
    height, width = mask.shape
    out = np.empty((height, width), np.uint16)
    for c in range(width):
        out[0, c] = most if mask[0, c] else 0
    for r in range(1, height):
        for c in range(width):
            out[r, c] = min(out[r - 1, c] + 1, most) if mask[r, c] else 0
    for r in range(height - 2, -1, -1):
        for c in range(width):
            out[r, c] = min(out[r, c], out[r + 1, c] + 1)
    return out


@kernel
def _search(down, rows, cols, limit, aspect, out):  # type: ignore[no-untyped-def]
    width = down.shape[1]
    for i in range(len(rows)):
        r, c = rows[i], cols[i]
        best = limit * limit
        far = 0
        while far * far < best:
            if c - far >= 0:
                best = min(best, far * far + (down[r, c - far] * aspect) ** 2)
            if c + far < width:
                best = min(best, far * far + (down[r, c + far] * aspect) ** 2)
            far += 1
        out[i] = np.sqrt(best)
