"""TIFF files made by hand, for what no library would write, and damage done to good ones."""

from __future__ import annotations

import struct
from pathlib import Path

import rasterio

LONG = 4

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
OFFSETS, SAMPLES, ROWS_PER_STRIP, COUNTS = 273, 277, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325


def bare_tiff(path: Path, tags: dict[int, int], data: bytes = b"") -> Path:
    """A little-endian TIFF with one number for each of `tags`; `data` begins at byte 4096."""
    entries = b"".join(
        struct.pack("<HHI", tag, LONG, 1) + struct.pack("<I", value) for tag, value in sorted(tags.items())
    )
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    head = struct.pack("<2sHI", b"II", 42, 8) + directory
    path.write_bytes(head.ljust(4096, b"\0") + data)
    return path


def grey(width: int, height: int) -> dict[int, int]:
    """The tags of an uncompressed grey 8-bit image in one strip."""
    return {
        WIDTH: width, HEIGHT: height, BITS: 8, COMPRESSION: 1, PHOTOMETRIC: 1,
        OFFSETS: 4096, SAMPLES: 1, ROWS_PER_STRIP: height, COUNTS: min(width * height, 2**32 - 1),
    }  # fmt: skip


def giant_tile(width: int, height: int, tile: int) -> dict[int, int]:
    """The tags of a grey image in tiles of `tile`² pixels, of which one is there."""
    tags = grey(width, height) | {TILE_WIDTH: tile, TILE_HEIGHT: tile, TILE_OFFSETS: 4096, TILE_COUNTS: 16}
    return {tag: value for tag, value in tags.items() if tag not in (OFFSETS, ROWS_PER_STRIP, COUNTS)}


def block_place(path: Path, row: int, col: int, band: int = 1) -> tuple[int, int]:
    """Where in the file the bytes of a block (by its number down and across) lie: offset and length."""
    with rasterio.open(path) as dataset:
        tags = (dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=band) for what in ("OFFSET", "SIZE"))
        offset, size = (int(value) for value in tags)
    return offset, size


def damage(path: Path, row: int, col: int, *, after: int = 0) -> Path:
    """The file with the bytes of one block overwritten, from its byte `after` on."""
    offset, size = block_place(path, row, col)
    with open(path, "r+b") as stream:
        stream.seek(offset + after)
        stream.write(b"\xaa" * (size - after))
    return path
