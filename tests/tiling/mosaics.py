"""Tile sets put together again, by Pillow and not by mapgen."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mapgen.tiling.containers.container import open_tiles

Array = np.ndarray[Any, np.dtype[Any]]


def rgba(data: bytes) -> Array:
    """The pixels (H, W, 4) of an encoded tile."""
    return np.asarray(Image.open(BytesIO(data)).convert("RGBA"))


def tile_images(path: Path) -> dict[tuple[int, int, int], Array]:
    """All tiles of a set as RGBA."""
    with open_tiles(path) as source:
        return {(z, x, y): rgba(data) for z, x, y, data in source.tiles()}


def mosaic(images: dict[tuple[int, int, int], Array], z: int) -> tuple[int, int, Array]:
    """(column, row) of the first pixel of a zoom in the grid of all its pixels, and the RGBA of the tiles there."""
    tiles = {(x, y): image for (zoom, x, y), image in images.items() if zoom == z}
    left, top = (min(place[k] for place in tiles) for k in (0, 1))
    right, bottom = (max(place[k] for place in tiles) + 1 for k in (0, 1))
    size = next(iter(tiles.values())).shape[0]
    out = np.zeros(((bottom - top) * size, (right - left) * size, 4), np.uint8)
    for (x, y), image in tiles.items():
        row, col = (y - top) * size, (x - left) * size
        out[row : row + size, col : col + size] = image
    return left * size, top * size, out


def ids(pixels: Array, colors: dict[int, tuple[int, int, int]], nodata: int) -> Array:
    """The class of each pixel (…, 4) by its colour; `nodata` where it is transparent."""
    out = np.full(pixels.shape[:-1], -1)
    out[pixels[..., 3] == 0] = nodata
    for value, color in colors.items():
        out[(pixels[..., :3] == color).all(-1) & (pixels[..., 3] == 255)] = value
    assert (out != -1).all(), "a colour of no class"
    return out
