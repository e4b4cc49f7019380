"""Tiles halved by compiled code, for the pyramids of tiles: classes by mode, colours by mean, of any type.

`mapgen.raster.downsample` does the same for overviews of class maps without compiling anything.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mapgen.arrays import Array
from mapgen.kernels import kernel

Reduce = Callable[[Array, Array], None]
"""Shrinks a tile (…, H, W) into a quarter (…, H/2, W/2) that is given."""


def mode_of(nodata: Any) -> Reduce:
    """Each pixel the class that most of its four have, ties to the lower id; no data only where all four have none."""

    def reduce(tile: Array, out: Array) -> None:
        _mode(tile, tile.dtype.type(nodata), out)

    return reduce


def first_of(nodata: Any) -> Reduce:
    """Each pixel the first of its four (upper left, upper right, lower left, lower right) that has data."""

    def reduce(tile: Array, out: Array) -> None:
        _first(tile, tile.dtype.type(nodata), out)

    return reduce


@kernel
def _mode(tile: Any, nodata: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            a, b = tile[2 * i, 2 * j], tile[2 * i, 2 * j + 1]
            c, d = tile[2 * i + 1, 2 * j], tile[2 * i + 1, 2 * j + 1]
            if a == b and a == c and a == d:
                out[i, j] = a
                continue
            best, most = nodata, 0
            for value in (a, b, c, d):
                if value == nodata:
                    continue
                count = int(value == a) + int(value == b) + int(value == c) + int(value == d)
                if count > most or (count == most and value < best):
                    best, most = value, count
            out[i, j] = best


@kernel
def _first(tile: Any, nodata: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = nodata
            for value in (
                tile[2 * i, 2 * j], tile[2 * i, 2 * j + 1], tile[2 * i + 1, 2 * j], tile[2 * i + 1, 2 * j + 1]
            ):  # fmt: skip
                if value != nodata:
                    out[i, j] = value
                    break


def mean_of() -> Reduce:
    """Of colours (bands + 1, H, W), the last being validity 0…255: means weighted by it, rounded half up."""
    return _mean


def first_color() -> Reduce:
    """Of colours with validity as the last band: the first of the four that is most valid."""
    return _first_color


@kernel
def _mean(tile: Any, out: Any) -> None:
    bands = tile.shape[0] - 1
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            total = 0
            for k in range(4):
                total += int(tile[bands, 2 * i + (k >> 1), 2 * j + (k & 1)])
            out[bands, i, j] = (total + 2) >> 2
            for band in range(bands):
                value = 0
                for k in range(4):
                    r, c = 2 * i + (k >> 1), 2 * j + (k & 1)
                    value += int(tile[band, r, c]) * int(tile[bands, r, c])
                out[band, i, j] = 0 if total == 0 else (value + (total >> 1)) // total


@kernel
def _first_color(tile: Any, out: Any) -> None:
    bands = tile.shape[0] - 1
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            best = 0
            for k in range(1, 4):
                if (
                    tile[bands, 2 * i + (k >> 1), 2 * j + (k & 1)]
                    > tile[bands, 2 * i + (best >> 1), 2 * j + (best & 1)]
                ):
                    best = k
            for band in range(bands + 1):
                out[band, i, j] = tile[band, 2 * i + (best >> 1), 2 * j + (best & 1)]
