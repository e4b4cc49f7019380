"""Areas and lengths on the ellipsoid, summed arc by arc so that a border is measured once for both its sides."""

from __future__ import annotations

import math

import numpy as np

from mapgen.arrays import Floats
from mapgen.grid import Grid
from mapgen.kernels import kernel
from mapgen.layers.reproject import LONLAT, projected
from mapgen.polygons.lines import Lines

WGS84 = (6378137.0, 1 / 298.257223563)
"""Semi-major axis in metres and flattening."""


def measured(lines: Lines, ellipsoid: tuple[float, float] = WGS84) -> tuple[Floats, Floats, Floats]:
    """Of each line (longitude and latitude in degrees): the area between it and the equator (m²), its length (m), and
    the degrees of longitude that it advances.

    The area counts positively where the line runs west, so that the sum around a polygon on the left is positive in
    either hemisphere. Latitudes become authalic ones (Snyder 1987, eq. 3-11 and 3-12), which keep
    areas exactly, and the area under an edge is that under the great circle on the authalic sphere, closer to the
    geodesic than a straight line in any projection. Law: sums around a polygon agree with `pyproj.Geod` to 1e-6
    as long as edges are not longer than some pixels and 10 km.
    Longitudes may jump by 360 degrees between vertices: the shorter way is meant.
    """
    a, f = ellipsoid
    e = math.sqrt(f * (2 - f))
    return _measure(lines.offsets, lines.x, lines.y, a, e)


def pixel_areas(grid: Grid) -> Floats:
    """True area in m² of a pixel in each row of the grid, (H,), taken at the middle column."""
    y = np.arange(grid.height + 1, dtype=np.float64)
    x = np.full_like(y, grid.width / 2)
    # Each pixel as a closed line around it.
    corners = np.stack((x[:-1] - 0.5, x[:-1] - 0.5, x[:-1] + 0.5, x[:-1] + 0.5, x[:-1] - 0.5), axis=1)
    return outlined_areas(grid, corners, np.stack((y[:-1], y[1:], y[1:], y[:-1], y[:-1]), axis=1))


def outlined_areas(grid: Grid, cols: Floats, rows: Floats) -> Floats:
    """True areas in m², (N,), inside closed outlines of n places on the grid, (N, n) each, the first one repeated."""
    assert grid.crs is not None
    outlines = Lines(cols.shape[1] * np.arange(len(cols) + 1), cols.ravel(), rows.ravel())
    return np.abs(measured(projected(outlines, grid.transform, grid.crs, LONLAT))[0])


def sphere_area(ellipsoid: tuple[float, float] = WGS84) -> float:
    """The surface of the ellipsoid in m²."""
    a, f = ellipsoid
    e = math.sqrt(f * (2 - f))
    return float(2 * math.pi * a * a * _q(1.0, e)) if e else 4 * math.pi * a * a


@kernel
def _q(sine, e):  # type: ignore[no-untyped-def]
    """Snyder's q: the area between the equator and a latitude, for one radian of longitude, is a² q / 2."""
    if e == 0.0:
        return 2 * sine
    return (1 - e * e) * (sine / (1 - e * e * sine * sine) + np.arctanh(e * sine) / e)


@kernel
def _measure(offsets, lon, lat, a, e):  # type: ignore[no-untyped-def]
    count = len(offsets) - 1
    area, length, turn = np.zeros(count), np.zeros(count), np.zeros(count)
    pole = _q(1.0, e)
    radius2 = a * a * pole / 2
    for i in range(count):
        k = offsets[i]
        phi0 = np.radians(lat[k])
        x0, y0, z0 = _place(lon[k], phi0, a, e)
        s0 = _q(np.sin(phi0), e) / pole
        c0 = np.sqrt(max(0.0, 1 - s0 * s0))
        for k in range(offsets[i] + 1, offsets[i + 1]):
            phi1 = np.radians(lat[k])
            s1 = _q(np.sin(phi1), e) / pole
            c1 = np.sqrt(max(0.0, 1 - s1 * s1))
            degrees = lon[k] - lon[k - 1]
            if degrees > 180 or degrees < -180:
                degrees -= 360 * np.rint(degrees / 360)
            dl = np.radians(degrees)
            area[i] += 2 * np.arctan(np.tan(dl / 2) * (s0 + s1) / (1 + c0 * c1 + s0 * s1))
            turn[i] += degrees
            x1, y1, z1 = _place(lon[k], phi1, a, e)
            length[i] += _arc_length(np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2 + (z1 - z0) ** 2), a, e)
            phi0, s0, c0, x0, y0, z0 = phi1, s1, c1, x1, y1, z1
        area[i] *= -radius2
    return area, length, turn


@kernel
def _place(lon, phi, a, e):  # type: ignore[no-untyped-def]
    """Geocentric coordinates in metres."""
    sine, cosine = np.sin(phi), np.cos(phi)
    n = a / np.sqrt(1 - e * e * sine * sine)
    return n * cosine * np.cos(np.radians(lon)), n * cosine * np.sin(np.radians(lon)), n * (1 - e * e) * sine


@kernel
def _arc_length(chord, a, e):  # type: ignore[no-untyped-def]
    """Length of a geodesic by its chord through the earth, as if on a sphere: good to 1e-7 up to some 100 km."""
    u = chord * chord / (a * a * (1 - e * e / 2))
    return chord * (1 + u / 24 + 3 * u * u / 640)
