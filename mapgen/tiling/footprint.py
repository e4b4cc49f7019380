"""Where a raster lies on a tiling: which ground it covers, how large its pixels are there, how to find them back."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
from affine import Affine

from mapgen.arrays import Floats
from mapgen.grid import Grid, applied, transformer
from mapgen.raster.warp import Exact
from mapgen.tiling.quadtree import MAX_LATITUDE, WEB_MERCATOR, Bounds, TileRange, Tiling, to_mercator
from mapgen.tiling.tilejson import LonLatBounds

_EDGE = 64
"""Parts of each edge of a raster that its outline is known by."""

_TURN = 12.0
"""Degrees: a raster with a gap less wide than this in its longitudes goes all the way around."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """The ground of a raster on a tiling. `parts` are boxes in its CRS: two where it goes across the antimeridian."""

    parts: tuple[Bounds, ...]
    lonlat: LonLatBounds
    center: tuple[float, float]
    resolution: float
    """Units of the tiling's CRS of one pixel: the root of its area, in the middle of the raster."""
    cut: bool
    """Whether some of it lies beyond where the tiling ends."""

    def ranges(self, tiling: Tiling, z: int) -> tuple[TileRange, ...]:
        """The tiles of a zoom that may have data, as ranges that do not overlap."""
        ranges = sorted((tiling.covering(part, z) for part in self.parts), key=lambda r: r.left)
        if len(ranges) == 2 and ranges[0].right >= ranges[1].left:  # at a low zoom both edges are of one tile
            one, two = ranges
            return (TileRange(z, one.left, min(one.top, two.top), two.right, max(one.bottom, two.bottom)),)
        return tuple(ranges)


def footprint(grid: Grid, tiling: Tiling = WEB_MERCATOR) -> Footprint | None:
    """The ground of a grid with a CRS; None where none of it is on the tiling."""
    cols, rows = _lattice(grid)
    xs, ys = grid.points(cols, rows)
    lon, lat = transformer(grid.crs, "EPSG:4326").transform(xs, ys)
    kept = np.isfinite(lon) & np.isfinite(lat)
    if not kept.any():
        return None
    lon, lat = (lon[kept] + 180) % 360 - 180, lat[kept]
    west, east = _turn(lon)
    south, north = float(lat.min()), float(lat.max())
    cut = max(north, -south) > MAX_LATITUDE + 1e-9
    if tiling.name == WEB_MERCATOR.name:
        if south >= MAX_LATITUDE or north <= -MAX_LATITUDE:
            return None
        resolution = _mercator_resolution(grid)
        parts = _mercator_parts(west, south, east, north, pad=2 * resolution)
    else:
        resolution, parts, cut = _plane(grid, tiling, xs, ys)
    if not parts or not math.isfinite(resolution) or resolution <= 0:
        return None
    across = east > 180
    middle = ((west + east) / 2 + 180) % 360 - 180
    box = (-180.0 if across else west, max(south, -90.0), 180.0 if across else east, min(north, 90.0))
    return Footprint(parts, box, (middle, (box[1] + box[3]) / 2), resolution, cut)


def _lattice(grid: Grid) -> tuple[Floats, Floats]:
    """(column, row) places around the grid's edge and a few within, for what goes around a pole."""
    (cols, rows), inner = grid.border(_EDGE), np.linspace(0, 1, 9)
    return (
        np.concatenate((cols, np.repeat(inner, 9) * grid.width)),
        np.concatenate((rows, np.tile(inner, 9) * grid.height)),
    )


def _turn(lon: Floats) -> tuple[float, float]:
    """(west, east) of the shortest arc with all longitudes, west in -180…180, east ≥ west; east > 180 goes across."""
    places = np.sort(np.unique(lon))
    gaps = np.diff(places, append=places[0] + 360)
    widest = int(np.argmax(gaps))
    if gaps[widest] <= _TURN:
        return -180.0, 180.0
    west, east = float(places[(widest + 1) % len(places)]), float(places[widest])
    return west, east if east >= west else east + 360


def _mercator_parts(west: float, south: float, east: float, north: float, pad: float) -> tuple[Bounds, ...]:
    turns = [(west, east)] if east <= 180 else [(west, 180.0), (-180.0, east - 360)]
    limit = WEB_MERCATOR.span / 2
    parts = []
    for left, right in turns:
        (x0, x1), (y0, y1) = to_mercator(np.array([left, right]), np.array([south, north]))
        parts.append((max(-limit, x0 - pad), max(-limit, y0 - pad), min(limit, x1 + pad), min(limit, y1 + pad)))
    return tuple((float(a), float(b), float(c), float(d)) for a, b, c, d in parts)


def _pixel(grid: Grid) -> tuple[Floats, Floats]:
    """The ends of the cross of a pixel: in the middle of the grid, then at other places, should that have none."""
    share = np.array([0.5, 0.25, 0.75, 0.1, 0.9])
    cols, rows = (v.ravel() for v in np.meshgrid(share * grid.width, share * grid.height))
    order = np.argsort((cols / grid.width - 0.5) ** 2 + (rows / grid.height - 0.5) ** 2, kind="stable")
    cols, rows = cols[order][:, None], rows[order][:, None]
    return grid.points(cols + [-0.5, 0.5, 0, 0], rows + [0, 0, -0.5, 0.5])


def _mercator_resolution(grid: Grid) -> float:
    lon, lat = transformer(grid.crs, "EPSG:4326").transform(*_pixel(grid))
    middle = np.clip(lat.mean(1), -MAX_LATITUDE, MAX_LATITUDE)
    turn = 360.0
    across, down = ((lon[:, k + 1] - lon[:, k] + turn / 2) % turn - turn / 2 for k in (0, 2))
    rise, fall = (lat[:, k + 1] - lat[:, k] for k in (0, 2))
    area = np.abs(across * fall - down * rise) / np.cos(np.radians(middle))
    return _first_finite(np.sqrt(area) * WEB_MERCATOR.span / turn)


def _plane(grid: Grid, tiling: Tiling, xs: Floats, ys: Floats) -> tuple[float, tuple[Bounds, ...], bool]:
    to_plane = transformer(grid.crs, tiling.crs)
    px, py = to_plane.transform(*_pixel(grid))
    resolution = _first_finite(
        np.sqrt(np.abs((px[:, 1] - px[:, 0]) * (py[:, 3] - py[:, 2]) - (px[:, 3] - px[:, 2]) * (py[:, 1] - py[:, 0])))
    )
    x, y = to_plane.transform(xs, ys)
    kept = np.isfinite(x) & np.isfinite(y)
    if not kept.any():
        return resolution, (), True
    whole = (
        tiling.left, tiling.top - tiling.rows * tiling.span, tiling.left + tiling.columns * tiling.span, tiling.top
    )  # fmt: skip
    box = (x[kept].min(), y[kept].min(), x[kept].max(), y[kept].max())
    cut = box[0] < whole[0] or box[1] < whole[1] or box[2] > whole[2] or box[3] > whole[3] or not kept.all()
    pad = 2 * resolution
    part = (
        max(whole[0], box[0] - pad), max(whole[1], box[1] - pad),
        min(whole[2], box[2] + pad), min(whole[3], box[3] + pad),
    )  # fmt: skip
    inside = part[0] < part[2] and part[1] < part[3]
    return resolution, (tuple(map(float, part)),) if inside else (), bool(cut)  # type: ignore[return-value]


def _first_finite(values: Floats) -> float:
    good = values[np.isfinite(values) & (values > 0)]
    return float(good[0]) if len(good) else math.nan


def mapping(grid: Grid, tiling: Tiling, z: int, size: int) -> Exact:
    """From places on the grid of all pixels of a zoom to (column, row) on the raster's; any thread may use it."""
    return grid_mapping(grid, tiling.crs, tiling.transform(z, size))


def grid_mapping(grid: Grid, crs: str, to_plane: Affine) -> Exact:
    """From (column, row) places of a plane of pixels in `crs` to those on the raster's grid; any thread may use it.

    Longitudes are taken by whole turns to where the raster has them, if its CRS is geographic.
    """
    local, to_source = threading.local(), ~grid.transform
    left = _left_longitude(grid)

    def exact(cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
        if not hasattr(local, "transformer"):
            local.transformer = transformer(crs, grid.crs)
        xs, ys = local.transformer.transform(*applied(to_plane, cols, rows))
        if left is not None:
            # The seam lies opposite the raster, so that rounding sends no pixel of its edges around the world.
            xs = np.where(xs < left, xs + 360 * np.ceil((left - xs) / 360), xs - 360 * np.floor((xs - left) / 360))
        with np.errstate(invalid="ignore"):
            return applied(to_source, xs, ys)

    return exact


def _left_longitude(grid: Grid) -> float | None:
    import pyproj

    if not pyproj.CRS.from_user_input(grid.crs).is_geographic:
        return None
    left, _, right, _ = grid.bounds
    return left - max(0.0, min(360.0 - (right - left), 360.0)) / 2
