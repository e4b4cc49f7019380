"""From the grid to the ground: longitudes and latitudes, and how finely a border must be cut for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pyproj
from affine import Affine

from mapgen.arrays import Floats
from mapgen.grid import Grid, applied, transformer
from mapgen.polygons.lines import Lines

STRAIGHT = 0.05
"""Pixels that a straight border may lie off its place between two vertices after reprojection."""

LONGEST_M = 10_000.0
"""Metres of the longest segment: up to there areas by great circles and by geodesics agree to a millionth."""

LONLAT = "OGC:CRS84"
BLOCK = 1 << 17


def projected(lines: Lines, transform: Affine, source: str, target: str, threads: int = 1) -> Lines:
    """The lines (in pixels of a grid with this transform and CRS) in the target CRS, x east or longitude first.

    Infinite where a point has no place in the target.
    """
    ground = lines.moved(partial(applied, transform))
    starts = range(0, len(ground.x), BLOCK)

    def work(starts: range) -> None:
        # One transformer for each thread: PROJ contexts must not be shared.
        to = transformer(source, target)
        for start in starts:
            part = slice(start, start + BLOCK)
            ground.x[part], ground.y[part] = to.transform(ground.x[part], ground.y[part])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, [starts[i::threads] for i in range(threads)]))
    return ground


def is_geographic(crs: str) -> bool:
    """Whether the coordinates of a CRS are longitude and latitude."""
    return bool(pyproj.CRS(crs).is_geographic)


def straight_step(grid: Grid) -> float:
    """The longest segment, in pixels, that lies within STRAIGHT pixels of its place after its ends become longitudes.

    That holds whether a reader joins two vertices by a straight line of longitude and latitude, as RFC 7946 says, or
    by a geodesic. Found by trial on segments in eight directions all over the grid; the deviation of a smooth mapping
    grows with the square of the length, so halving soon ends. Depends on the grid alone. At least one pixel.
    """
    to = transformer(grid.crs, LONLAT)
    step = min(float(max(grid.height, grid.width)), LONGEST_M / max(grid.resolution_m))
    while step > 1 and _deviation(to, grid, step) > STRAIGHT:
        step /= 2
    return max(1.0, step)


def _deviation(to: pyproj.Transformer, grid: Grid, step: float) -> float:
    places, transform = np.linspace(0, 1, 9), grid.transform
    x0, y0, angle = (
        a.ravel() for a in np.meshgrid(places * grid.width, places * grid.height, np.arange(8) * np.pi / 4)
    )
    x1 = np.clip(x0 + step * np.cos(angle), 0, grid.width)
    y1 = np.clip(y0 + step * np.sin(angle), 0, grid.height)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    first, middle, last = (_lonlat(to, transform, *at) for at in ((x0, y0), (x, y), (x1, y1)))
    right, below = _lonlat(to, transform, x + 0.5, y), _lonlat(to, transform, x, y + 0.5)
    worst = 0.0
    for chord in (_straight_middle(first, last), _geodesic_middle(first, last)):
        off = _in_pixels(chord - middle, right - middle, below - middle)
        off = off[np.isfinite(off)]
        worst = max(worst, float(off.max())) if len(off) else worst
    return worst


def _in_pixels(off: Floats, right: Floats, below: Floats) -> Floats:
    """Length in pixels of an offset in degrees, given what half a pixel to the right and down amount to.

    The local Jacobian serves, since an inverse projection need not exist where a chord passes.
    """
    off, right, below = (np.stack(((d[0] + 180) % 360 - 180, d[1])) for d in (off, 2 * right, 2 * below))
    with np.errstate(all="ignore"):
        scale = right[0] * below[1] - below[0] * right[1]
        x = (off[0] * below[1] - off[1] * below[0]) / scale
        y = (right[0] * off[1] - right[1] * off[0]) / scale
        return np.hypot(x, y)


def _straight_middle(first: Floats, last: Floats) -> Floats:
    """Halfway in longitude and latitude; where the longitudes jump over the antimeridian, across it."""
    jump = np.where(np.abs(first[0] - last[0]) > 180, 180.0, 0.0)
    return np.stack(((first[0] + last[0]) / 2 + jump, (first[1] + last[1]) / 2))


def _geodesic_middle(first: Floats, last: Floats) -> Floats:
    """Halfway along the great circle: the sphere is near enough, for this is about an offset and not a place."""
    total = np.zeros((3, first.shape[1]))
    for lon, lat in (np.radians(first), np.radians(last)):
        total += np.stack((np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)))
    return np.degrees(np.stack((np.arctan2(total[1], total[0]), np.arctan2(total[2], np.hypot(total[0], total[1])))))


def _lonlat(to: pyproj.Transformer, transform: Affine, x: Floats, y: Floats) -> Floats:
    return np.stack(to.transform(*applied(transform, x, y)))
