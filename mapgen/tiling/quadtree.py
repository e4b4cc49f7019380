"""Tile arithmetic: which tiles there are, what ground they cover, how they are numbered. Integers and floats, no files.

Tiles are counted as on the web (XYZ): column x from the west, row y from the north. A tiling is a quadtree: each tile
has four children of half its side.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine

from mapgen.errors import UsageError, option
from mapgen.grid import Window

RADIUS = 6_378_137.0
"""Of the sphere of Web Mercator, metres."""

HALF = math.pi * RADIUS
"""Half the width and the height of the Web Mercator square."""

MAX_LATITUDE = math.degrees(math.atan(math.sinh(math.pi)))
"""85.0511…°, where the square ends."""

MAX_ZOOM = 26
"""Beyond it pixels measure less than a millimetre."""

Bounds = tuple[float, float, float, float]
"""left, bottom, right, top"""


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile by zoom, column from the west, row from the north."""

    z: int
    x: int
    y: int

    @property
    def parent(self) -> Tile:
        """The tile that holds this one a zoom below; zoom 0 has none."""
        if self.z == 0:
            raise ValueError("a tile of zoom 0 has no parent")
        return Tile(self.z - 1, self.x >> 1, self.y >> 1)

    @property
    def children(self) -> tuple[Tile, Tile, Tile, Tile]:
        """The four quarters at the next zoom: upper left, upper right, lower left, lower right."""
        z, x, y = self.z + 1, 2 * self.x, 2 * self.y
        return Tile(z, x, y), Tile(z, x + 1, y), Tile(z, x, y + 1), Tile(z, x + 1, y + 1)

    @property
    def quarter(self) -> tuple[int, int]:
        """(row, column) of the quarter of its parent that this is, each 0 or 1."""
        return self.y & 1, self.x & 1


@dataclass(frozen=True, slots=True)
class TileRange:
    """The tiles of one zoom with columns `left … right-1` and rows `top … bottom-1`."""

    z: int
    left: int
    top: int
    right: int
    bottom: int

    def __len__(self) -> int:
        return max(0, self.right - self.left) * max(0, self.bottom - self.top)

    def __iter__(self) -> Iterator[Tile]:
        """Row by row from the north, west to east."""
        for y in range(self.top, self.bottom):
            for x in range(self.left, self.right):
                yield Tile(self.z, x, y)

    def __contains__(self, tile: object) -> bool:
        return (
            isinstance(tile, Tile)
            and tile.z == self.z
            and self.left <= tile.x < self.right
            and self.top <= tile.y < self.bottom
        )

    def at(self, z: int) -> TileRange:
        """The tiles of another zoom that hold these (below), or are held by them (above)."""
        if z >= self.z:
            up = z - self.z
            return TileRange(z, self.left << up, self.top << up, self.right << up, self.bottom << up)
        down = self.z - z
        return TileRange(z, self.left >> down, self.top >> down, -(-self.right >> down), -(-self.bottom >> down))


@dataclass(frozen=True, slots=True)
class Tiling:
    """A quadtree of square tiles on the plane of a CRS: `span` is the side of a tile of zoom 0 in units of the CRS.

    Its upper left corner is (`left`, `top`); zoom 0 has `columns` × `rows` tiles. `crs` is anything that PROJ reads.
    """

    name: str
    crs: str
    left: float
    top: float
    span: float
    columns: int = 1
    rows: int = 1

    def side(self, z: int) -> float:
        """The side of a tile in units of the CRS."""
        return math.ldexp(self.span, -z)

    def resolution(self, z: int, size: int = 256) -> float:
        """Units of the CRS of a pixel, for tiles of `size`² pixels."""
        return self.side(z) / size

    def transform(self, z: int, size: int = 256) -> Affine:
        """From (column, row) of the grid of all pixels of a zoom to the CRS; a tile's first pixel is `(x, y)·size`."""
        step = self.resolution(z, size)
        return Affine(step, 0.0, self.left, 0.0, -step, self.top)

    def bounds(self, tile: Tile) -> Bounds:
        """What a tile covers, in the CRS. Neighbours share their borders exactly, children those of their parent."""
        side = self.side(tile.z)
        left, top = self.left + tile.x * side, self.top - tile.y * side
        return left, self.top - (tile.y + 1) * side, self.left + (tile.x + 1) * side, top

    def whole(self, z: int) -> TileRange:
        """All tiles of a zoom."""
        return TileRange(z, 0, 0, self.columns << z, self.rows << z)

    def covering(self, bounds: Bounds, z: int) -> TileRange:
        """The tiles of a zoom with an interior that meets `bounds`; at least one if they lie within the tiling."""
        left, bottom, right, top = bounds
        side, whole = self.side(z), self.whole(z)
        # A border on that of a tile must not take the next tile along because of the last bits of a float.
        slack = 1e-9 * max(1, whole.right)
        x0, x1 = (left - self.left) / side, (right - self.left) / side
        y0, y1 = (self.top - top) / side, (self.top - bottom) / side
        first_x, first_y = math.floor(x0 + slack), math.floor(y0 + slack)
        last_x, last_y = max(first_x + 1, math.ceil(x1 - slack)), max(first_y + 1, math.ceil(y1 - slack))
        return TileRange(
            z, max(whole.left, first_x), max(whole.top, first_y), min(whole.right, last_x), min(whole.bottom, last_y)
        )

    def zoom_for(self, resolution: float, size: int = 256) -> int:
        """The zoom with pixels nearest to `resolution` (units of the CRS) by ratio, as GDAL chooses it."""
        return min(MAX_ZOOM, max(0, round(math.log2(self.resolution(0, size) / resolution))))

    def zoom_within(self, bounds: Bounds) -> int:
        """The last zoom at which a tile is as large as `bounds`: the whole then lies on four tiles at most."""
        extent = max(bounds[2] - bounds[0], bounds[3] - bounds[1])
        return MAX_ZOOM if extent <= 0 else min(MAX_ZOOM, max(0, math.floor(math.log2(self.span / extent) + 1e-9)))


WEB_MERCATOR = Tiling("WebMercatorQuad", "EPSG:3857", -HALF, HALF, 2 * HALF)
"""The tiling of the web (OGC: WebMercatorQuad)."""


def window_of(tile: Tile, size: int = 256) -> Window:
    """The pixels of a tile in the grid of all pixels of its zoom."""
    return Window(tile.y * size, tile.x * size, size, size)


def to_mercator(lon: Any, lat: Any) -> tuple[Any, Any]:
    """Web Mercator (x, y) in metres of degrees on WGS 84, numbers or arrays; latitudes beyond the square are cut."""
    lat = np.radians(np.clip(lat, -MAX_LATITUDE, MAX_LATITUDE))
    return RADIUS * np.radians(lon), RADIUS * np.arctanh(np.sin(lat))


def to_lonlat(x: Any, y: Any) -> tuple[Any, Any]:
    """Degrees on WGS 84 (longitude, latitude) of Web Mercator metres, numbers or arrays."""
    return np.degrees(np.asarray(x) / RADIUS), np.degrees(np.arctan(np.sinh(np.asarray(y) / RADIUS)))


def flipped(z: int, y: int, rows: int = 1) -> int:
    """A row counted from the south (TMS, MBTiles) for one counted from the north, and the reverse."""
    return (rows << z) - 1 - y


# --- the order of PMTiles: zoom by zoom, along a Hilbert curve within each ------------------------------------------


def find_tiling(name: str) -> Tiling:
    """The tiling called `name`: WebMercatorQuad, or a TileMatrixSet that morecantile knows.

    Raises `UsageError` where morecantile is missing or does not know it, or where tiles are not quartered from zoom to
    zoom, so that no tile can be made of its four children.
    """
    if name.casefold() == WEB_MERCATOR.name.casefold():
        return WEB_MERCATOR
    try:
        import morecantile
    except ImportError as exc:
        problem = f"{name} needs the package morecantile; built in is {WEB_MERCATOR.name}"
        raise UsageError(option("tms"), problem, "pip install 'mapgen[tms]'") from exc
    known = {one.casefold(): one for one in morecantile.tms.list()}
    if name.casefold() not in known:
        from difflib import get_close_matches

        near = get_close_matches(name, [*known.values()], 1) or [WEB_MERCATOR.name]
        raise UsageError(option("tms"), f"no tile matrix set is called {name!r}", f"did you mean {near[0]}?")
    return _tiling(morecantile.tms.get(known[name.casefold()]))


def _tiling(tms: Any) -> Tiling:
    first = tms.tileMatrices[0]
    if not _quarters(tms):
        problem = f"{tms.id} does not quarter its tiles from each zoom to the next, beginning with 0"
        raise UsageError(option("tms"), problem, f"use another, such as {WEB_MERCATOR.name} or WorldCRS84Quad")
    box = tms.xy_bounds(0, 0, 0)
    crs = tms.crs._pyproj_crs.to_wkt()
    return Tiling(str(tms.id), crs, box.left, box.top, box.right - box.left, first.matrixWidth, first.matrixHeight)


def _quarters(tms: Any) -> bool:
    """Whether each zoom from 0 on has the corner of the one before, half its cells and twice its columns and rows."""
    matrices = tms.tileMatrices
    return all(
        str(m.id) == str(z)
        and m.tileWidth == m.tileHeight
        and not getattr(m, "variableMatrixWidths", None)
        and all(abs(a - b) < 1e-3 * m.cellSize for a, b in zip(m.pointOfOrigin, matrices[0].pointOfOrigin, strict=True))
        and abs(m.cellSize * 2**z / matrices[0].cellSize - 1) < 1e-6
        and (m.matrixWidth, m.matrixHeight) == (matrices[0].matrixWidth << z, matrices[0].matrixHeight << z)
        for z, m in enumerate(matrices)
    )
