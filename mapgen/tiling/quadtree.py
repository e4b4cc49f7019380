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
from numpy.typing import NDArray

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


def first_id(z: int) -> int:
    """The id of the first tile of a zoom: how many tiles all zooms below have."""
    return int((4**z - 1) // 3)


def tile_id(tile: Tile) -> int:
    """The number of a tile in a PMTiles archive (specification, version 3)."""
    return int(tile_ids(np.array([tile.z]), np.array([tile.x]), np.array([tile.y]))[0])


def tile_ids(z: NDArray[Any], x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.int64]:
    """The numbers of many tiles in a PMTiles archive; equal for no two, without gaps over all tiles of a zoom."""
    z, x, y = (np.asarray(v, np.int64).copy() for v in (z, x, y))
    ids = (np.left_shift(1, 2 * z, dtype=np.int64) - 1) // 3
    for bit in range(int(z.max(initial=0)) - 1, -1, -1):
        half = np.int64(1 << bit)
        inside = bit < z
        right, low = (x & half) > 0, (y & half) > 0
        ids += np.where(inside, half * half * ((3 * right) ^ low), 0)
        # The curve is turned in the quarters that begin and end it.
        turned, mirrored = inside & ~low, inside & ~low & right
        x, y = np.where(mirrored, half - 1 - (x & (half - 1)), x), np.where(mirrored, half - 1 - (y & (half - 1)), y)
        x, y = np.where(turned, y, x), np.where(turned, x, y)
    return ids


def tile_of(number: int) -> Tile:
    """The tile with this number in a PMTiles archive."""
    z = ((3 * number + 1).bit_length() - 1) // 2
    place, x, y = number - first_id(z), 0, 0
    for bit in range(z):
        half = 1 << bit
        right = 1 & (place >> 1)
        low = 1 & (place ^ right)
        if not low:
            if right:
                x, y = half - 1 - x, half - 1 - y
            x, y = y, x
        x, y = x + half * right, y + half * low
        place >>= 2
    return Tile(z, x, y)
