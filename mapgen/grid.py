"""The grid of a raster and the windows on it: integer places, no pixels."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from affine import Affine

from mapgen.arrays import Floats
from mapgen.errors import CrsError, one_line

if TYPE_CHECKING:
    import pyproj


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A rectangle of pixels, row first: rows `row … row+height-1`, columns `col … col+width-1`."""

    row: int
    col: int
    height: int
    width: int

    @property
    def bottom(self) -> int:
        """The first row below."""
        return self.row + self.height

    @property
    def right(self) -> int:
        """The first column to the right."""
        return self.col + self.width

    @property
    def area(self) -> int:
        """Pixels inside; 0 for an empty window."""
        return max(0, self.height) * max(0, self.width)

    def __and__(self, other: Window) -> Window:
        """The intersection; empty (area 0) where the two do not meet."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = max(0, min(self.bottom, other.bottom) - row)
        width = max(0, min(self.right, other.right) - col)
        return Window(row, col, height, width)

    def shifted(self, rows: int, cols: int) -> Window:
        """This window moved down by `rows` and right by `cols`."""
        return Window(self.row + rows, self.col + cols, self.height, self.width)

    def grown(self, pixels: int) -> Window:
        """This window with a margin of `pixels` on all four sides (may leave the grid)."""
        return Window(self.row - pixels, self.col - pixels, self.height + 2 * pixels, self.width + 2 * pixels)

    def slices(self, origin: Window) -> tuple[slice, slice]:
        """Row and column slices of this window in an array whose first pixel is that of `origin`."""
        row, col = self.row - origin.row, self.col - origin.col
        return slice(row, row + self.height), slice(col, col + self.width)

    def contains(self, other: Window) -> bool:
        """Whether every pixel of `other` is in this window."""
        return (self & other) == other


@dataclass(frozen=True, slots=True)
class ControlPoints:
    """Places (row, column, x, y, z) of a raster whose ground is known, in `crs` (WKT or None), in place of a transform.

    They say where a raster lies only once somebody has chosen a surface through them, as `gdalwarp` does.
    """

    crs: str | None
    points: tuple[tuple[float, float, float, float, float], ...]

    def shifted(self, rows: int, cols: int) -> ControlPoints:
        """The points of a raster that begins `rows` higher and `cols` further left."""
        return ControlPoints(self.crs, tuple((row + rows, col + cols, x, y, z) for row, col, x, y, z in self.points))


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the pixels of a raster lie: `transform` maps (column, row) corners to (x, y) of `crs`.

    `crs` is WKT (any version that PROJ reads), or None where the raster has none. Where there are `control` points
    only, there is no CRS, and the transform is the identity, of every part of the raster.
    """

    crs: str | None
    transform: Affine
    height: int
    width: int
    control: ControlPoints | None = None

    @property
    def window(self) -> Window:
        """All of the grid."""
        return Window(0, 0, self.height, self.width)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(left, bottom, right, top) in the CRS: the box around the four corners, also of a rotated grid."""
        xs, ys = zip(*(self.transform @ corner for corner in self._corners()), strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def resolution_m(self) -> tuple[float, float]:
        """True metres of one pixel at the centre of the grid, (along a row, along a column).

        Degrees, feet and stretched projections (Web Mercator) by their length on the ellipsoid; without a CRS the
        units of the transform are taken as metres, since nothing better is known.
        """
        return _resolution_m(self.crs, self.transform, self.height, self.width)

    def crop(self, window: Window) -> Grid:
        """The grid of `window` alone; its pixels lie exactly on this grid's."""
        if self.control is not None:
            moved = self.control.shifted(-window.row, -window.col)
            return Grid(self.crs, self.transform, window.height, window.width, moved)
        return Grid(self.crs, self.transform @ Affine.translation(window.col, window.row), window.height, window.width)

    def at(self, resolution_m: float) -> Grid:
        """The same ground cut into square pixels of about `resolution_m`: counts are rounded, the outline is kept."""
        across, down = self.resolution_m
        height = max(1, round(self.height * down / resolution_m))
        width = max(1, round(self.width * across / resolution_m))
        scaling = Affine.scale(self.width / width, self.height / height)
        return Grid(self.crs, self.transform @ scaling, height, width)

    def window_of(self, bounds: tuple[float, float, float, float]) -> Window:
        """The smallest window with every pixel that touches `bounds` (left, bottom, right, top); cut to the grid."""
        left, bottom, right, top = bounds
        inverse = ~self.transform
        corners = [inverse @ corner for corner in ((left, top), (right, top), (left, bottom), (right, bottom))]
        cols, rows = [c for c, _ in corners], [r for _, r in corners]
        # A corner on a pixel border must not take the next pixel along because of the last bit of a float.
        row, col = math.floor(min(rows) + 1e-6), math.floor(min(cols) + 1e-6)
        bottom_row, right_col = math.ceil(max(rows) - 1e-6), math.ceil(max(cols) - 1e-6)
        return Window(row, col, bottom_row - row, right_col - col) & self.window

    def points(self, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """The coordinates (x, y) of places in pixels; corners of pixels are whole numbers."""
        return applied(self.transform, cols, rows)

    def border(self, parts: int) -> tuple[Floats, Floats]:
        """(column, row) places around the grid, `parts` a side: down the left, along the bottom, up, and back."""
        t = np.arange(parts) / parts
        zero, one = np.zeros(parts), np.ones(parts)
        cols, rows = np.concatenate((zero, t, one, 1 - t)), np.concatenate((t, one, 1 - t, zero))
        return cols * self.width, rows * self.height

    def _corners(self) -> Iterable[tuple[int, int]]:
        return (0, 0), (self.width, 0), (0, self.height), (self.width, self.height)


def applied(transform: Affine, cols: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """(x, y) of places (column, row) under an affine transform, element by element."""
    a, b, c, d, e, f = tuple(transform)[:6]
    return a * cols + b * rows + c, d * cols + e * rows + f


def is_singular(transform: Affine) -> bool:
    """Whether the transform folds the grid onto a line or a point, so that no pixel has an area."""
    values = tuple(transform)[:6]
    return not all(map(math.isfinite, values)) or transform.determinant == 0


@lru_cache(maxsize=256)
def _resolution_m(crs: str | None, transform: Affine, height: int, width: int) -> tuple[float, float]:
    col, row = width / 2, height / 2
    # One pixel each way, centred: a longer base would average the stretch of the projection over the scene.
    ends = [(col - 0.5, row), (col + 0.5, row), (col, row - 0.5), (col, row + 0.5)]
    points = [transform @ end for end in ends]
    if crs is None:
        return math.dist(points[0], points[1]), math.dist(points[2], points[3])
    from pyproj import Geod

    source = _known(crs)
    geographic = source.to_2d().geodetic_crs if source.geodetic_crs is not None else None
    if geographic is None:  # an engineering CRS has no place on the ellipsoid, only a unit
        factor = source.axis_info[0].unit_conversion_factor if source.axis_info else 1.0
        return math.dist(points[0], points[1]) * factor, math.dist(points[2], points[3]) * factor
    lonlat = transformer(crs, geographic)
    lons, lats = zip(*(lonlat.transform(*point) for point in points), strict=True)
    geod = geographic.get_geod() or Geod(ellps="WGS84")
    return geod.inv(lons[0], lats[0], lons[1], lats[1])[2], geod.inv(lons[2], lats[2], lons[3], lats[3])[2]


def transformer(source: Any, target: Any) -> pyproj.Transformer:
    """From x and y (longitude and latitude) of one CRS, by any text that PROJ reads, to those of another.

    One for each thread: PROJ's contexts must not be shared. Raises `CrsError` where PROJ knows no way between them, as
    from a CRS with damaged parameters or a local one, which has no place on Earth.
    """
    import pyproj

    try:
        return pyproj.Transformer.from_crs(source, target, always_xy=True)
    except pyproj.exceptions.ProjError as exc:
        problem = f"has no way to {_called(target)} that PROJ knows"
        raise CrsError(f"the CRS {_called(source)}", problem, "assign the right one with gdal_edit -a_srs") from exc


def _known(crs: str) -> pyproj.CRS:
    import pyproj

    try:
        return pyproj.CRS.from_user_input(crs)
    except pyproj.exceptions.CRSError as exc:
        raise CrsError(
            f"the CRS {_called(crs)}", "is one that PROJ cannot read", "assign the right one with gdal_edit -a_srs"
        ) from exc


def _called(crs: Any) -> str:
    """The name of a CRS, or the beginning of its text."""
    text = one_line(getattr(crs, "name", None) or crs)
    named = re.match(r'\w+\["([^"]*)"', text)
    return (named[1] if named else text)[:60]
