"""Depth: how far pixels lie inside the roads, and how wide these are there, measured only where it is asked for."""

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


LONGEST = 2
"""Limits of depth that a run of road may be long; a longer one is no cut across the road, but along it."""

BELOW, ABOVE = 0.5, 0.25
"""Pixels that half a road's width may be less, or more, than the depth of its middle."""


def half_widths(
    mask: Bools, rows: Longs, cols: Ints, depth: NDArray[np.float32], limit: float, aspect: float = 1.0
) -> NDArray[np.float32]:
    """Half the width of the road at each pixel (rows, cols) whose `depth` is known, in pixel widths.

    A straight road is cut by rows and columns in runs of h and v pixel widths, in the mean of w / |sin φ| and
    w / |cos φ|, whatever its angle: w = h·v / √(h² + v²). Depths are whole steps between centres instead, and off by
    up to half a pixel, most at 0° and 45°. Where the two say something else than the depth, as beside junctions, the
    depth counts: the result lies between depth − BELOW and depth + ABOVE. Runs longer than LONGEST limits do not end.
    """
    out = np.empty(len(rows), np.float32)
    _half_widths(mask, rows, cols, depth, int(LONGEST * limit), float(aspect), out)
    return out


@kernel
def _run_to(mask, r, c, down, across, most):  # type: ignore[no-untyped-def]
    """Steps from a pixel to the first one that is not set; more than `most` where there is none before that."""
    height, width = mask.shape
    for step in range(1, most + 1):
        r, c = r + down, c + across
        if r < 0 or c < 0 or r >= height or c >= width:
            break
        if not mask[r, c]:
            return step
    return most + 1


@kernel
def _half_widths(mask, rows, cols, depth, most, aspect, out):  # type: ignore[no-untyped-def]
    step = max(1.0, aspect)
    for i in range(len(rows)):
        r, c = rows[i], cols[i]
        h = _run_to(mask, r, c, 0, -1, most) + _run_to(mask, r, c, 0, 1, most) - 1.0
        v = (_run_to(mask, r, c, -1, 0, most) + _run_to(mask, r, c, 1, 0, most) - 1.0) * aspect
        half = float(depth[i])
        if h <= most and v <= most * aspect:
            half = h * v / np.hypot(h, v) / 2
        elif h <= most:
            half = h / 2
        elif v <= most * aspect:
            half = v / 2
        out[i] = min(max(half, depth[i] - BELOW * step), depth[i] + ABOVE * step)


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
