"""PNG files of class maps: a palette of the classes in use, as few bits a pixel as they need, packed and filtered fast.

PNG specification, third edition: https://www.w3.org/TR/png-3/
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.kernels import kernel

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE, _RGBA = 3, 6

PALETTE_LIMIT = 256


def palette_png(indices: NDArray[np.uint8], colors: NDArray[np.uint8]) -> bytes:
    """A PNG of indices (H, W) into colours (n, 4) of red, green, blue, alpha; n from 1 to 256, no index beyond.

    1, 2, 4 or 8 bits a pixel, by n. Colours that are not opaque should come first: then few alphas are written. Lines
    are stored as differences from the line above, which in a class map are mostly zeros, and only runs are looked for:
    about as small as zlib's best, in a tenth of the time (docs/decisions/0061).
    """
    count = len(colors)
    depth = 1 if count <= 2 else 2 if count <= 4 else 4 if count <= 16 else 8
    height, width = indices.shape
    lines = np.empty((height, 1 + (width * depth + 7) // 8), np.uint8)
    _pack(indices, depth, lines)
    last = int(np.flatnonzero(colors[:, 3] != 255).max(initial=-1))
    chunks = [_chunk(b"PLTE", colors[:, :3].tobytes())]
    if last >= 0:
        chunks.append(_chunk(b"tRNS", colors[: last + 1, 3].tobytes()))
    return _png(width, height, depth, _PALETTE, chunks, lines, zlib.Z_RLE)


def rgba_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG of colours (H, W, 4), for tiles with more classes than a palette holds."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 4 * width), np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    return _png(width, height, 8, _RGBA, [], lines, zlib.Z_DEFAULT_STRATEGY)


def _png(
    width: int, height: int, depth: int, kind: int, chunks: list[bytes], lines: NDArray[np.uint8], strategy: int
) -> bytes:
    deflate = zlib.compressobj(6, zlib.DEFLATED, 15, 9, strategy)
    data = deflate.compress(lines.data) + deflate.flush()
    head = _chunk(b"IHDR", struct.pack(">2I5B", width, height, depth, kind, 0, 0, 0))
    return b"".join([_SIGNATURE, head, *chunks, _chunk(b"IDAT", data), _chunk(b"IEND", b"")])


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


@kernel
def _pack(indices: Any, depth: Any, lines: Any) -> None:
    """Each line of `lines`: the filter Up (2), then the pixels packed, less those of the line above, by byte."""
    height, width = indices.shape
    each = 8 // depth
    above = np.zeros(lines.shape[1], np.uint8)
    for row in range(height):
        lines[row, 0] = 2
        for place in range(1, lines.shape[1]):
            byte = 0
            first = (place - 1) * each
            for k in range(each):
                byte <<= depth
                if first + k < width:
                    byte |= indices[row, first + k]
            lines[row, place] = np.uint8(byte - above[place])
            above[place] = byte


# --- which classes a tile has -----------------------------------------------------------------------------------------


def used(tile: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The values in a tile, increasing, and for each pixel the place of its value among them."""
    if tile.dtype != np.uint8:
        values, places = np.unique(tile, return_inverse=True)
        return values, places.reshape(tile.shape)
    seen = np.zeros(256, np.bool_)
    _mark(tile, seen)
    values = np.flatnonzero(seen)
    table, places = np.zeros(256, np.uint8), np.empty(tile.shape, np.uint8)
    table[values] = np.arange(len(values))
    _look_up(tile, table, places)
    return values.astype(np.uint8), places


@kernel
def _mark(tile: Any, seen: Any) -> None:
    for row in range(tile.shape[0]):
        for col in range(tile.shape[1]):
            seen[tile[row, col]] = True


@kernel
def _look_up(tile: Any, table: Any, out: Any) -> None:
    for row in range(tile.shape[0]):
        for col in range(tile.shape[1]):
            out[row, col] = table[tile[row, col]]
