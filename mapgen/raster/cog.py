"""Cloud Optimized GeoTIFFs of bytes, written while their pixels come in, overviews included.

GDAL's COG driver wants the whole raster first, reads it again for the overviews and compresses it a second time, all
after the last window: as much work as a fast network's. Here every tile is compressed once, as soon as it is complete,
and the file is put together from the finished tiles at the end. What describes the place, the colours and the tags is
made by GDAL, in a raster of one pixel, and copied tag by tag.

Layout by https://docs.ogc.org/is/21-026/21-026.html and https://gdal.org/drivers/raster/cog.html#file-format-details
"""

from __future__ import annotations

import hashlib
import os
import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from mapgen.arrays import Array, Longs, is_uniform, uniform
from mapgen.files.tiff import stored_tiles
from mapgen.files.untrusted import unpacked
from mapgen.legend import NODATA
from mapgen.raster.downsample import evened
from mapgen.raster.seal import seal

Reduce = Callable[[Array], Array]

TILE = 512
"""Side of a tile, the default of GDAL's COG driver."""

_SHORT, _LONG, _LONG8 = 3, 4, 16
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of each type of a TIFF field."""

_LAYOUT_OF_THIS_FILE = {254, 256, 257, 259, 266, 273, 278, 279, 282, 283, 284, 317, 322, 323, 324, 325}
"""Tags that say how and where the pixels lie: this file's own, never copied."""

_FULL_SIZE_ONLY = {305, 33550, 33922, 34264, 34735, 34736, 34737, 42112}
"""Tags that only the first image carries: the place, the software, the metadata."""

_GHOST = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
"""What GDAL writes to tell its own readers that they need no second request for the size of a tile."""

_CLASSIC_LIMIT = 4_000_000_000


@dataclass(frozen=True, slots=True)
class Field:
    """A TIFF field: its type, the number of its values, and those as little-endian bytes."""

    kind: int
    count: int
    data: bytes


class CogWriter:
    """A COG of uint8 at `path`, made from strips (row, (H, W) or (B, H, W)) that come from the top without gaps.

    Strips begin at multiples of `TILE` rows and are `TILE` high, but for the last. `like` is a small GeoTIFF by GDAL
    whose place, colours, bands and tags the file takes over. `reduce` halves a strip for the next overview; overviews
    go on until one fits a tile. Pixels that no strip covers do not exist: all rows must come. Memory: some rows of
    tiles, whatever the height. A tile without data is left out: its offset is 0, and GDAL reads it as
    nodata. The tiles wait in files beside `path`, which `close` puts together.
    """

    def __init__(self, path: Path, height: int, width: int, like: bytes, reduce: Reduce, threads: int = 2) -> None:
        self._path = path
        self._fields = read_fields(like)
        self._bands = int.from_bytes(self._fields[277].data, "little")
        self._reduce = reduce
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="mapgen-deflate")
        self._limit = 8 * threads
        self._rows = 0  # taken from parts
        self._waiting: deque[tuple[_Level, Future[bytes] | None]] = deque()
        self._levels = [_Level(height, width, path.with_name(f"{path.name}.{0}.tiles"))]
        while max(height, width) > TILE:
            height, width = -(-height // 2), -(-width // 2)
            self._levels.append(_Level(height, width, path.with_name(f"{path.name}.{len(self._levels)}.tiles")))

    def __enter__(self) -> CogWriter:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self._pool.shutdown(cancel_futures=True)
        for level in self._levels:
            level.file.close()
            level.path.unlink(missing_ok=True)

    def write(self, strip: Array) -> None:
        """Take the next rows of the raster."""
        self._add(0, strip if strip.ndim == 3 else strip[None])

    def copy(self, path: Path, height: int) -> None:
        """Take the next `height` rows from the COG of this writer at `path`: its tiles as they are, packed.

        All but the last such part are as high as some rows of tiles. Overviews are copied as far as whole rows of tiles
        of the part are whole rows of tiles here, and made anew beyond: to the third for parts of 4096 rows each. Raises
        `ValueError` for a file that is not as this writer lays it out.
        """
        self._drain(0)
        packed = stored_tiles(path)
        last = self._rows + height == self._levels[0].height
        if not last and height % TILE:
            raise ValueError(f"{height} rows do not fill rows of tiles")
        self._rows += height
        deepest = self._shared(height, len(packed), last)
        with open(path, "rb") as file:
            for level, (offsets, sizes) in zip(self._levels[: deepest + 1], packed, strict=False):
                level.copy(file, offsets, sizes)
            if deepest + 1 < len(self._levels):
                self._reduced(file, deepest, -(-height // (1 << deepest)), *packed[deepest])

    def _shared(self, height: int, levels: int, last: bool) -> int:
        """The smallest overview of a part of this height whose tiles are those of the whole: 0 is the full size."""
        start = self._rows - height
        whole = (k for k in range(levels) if start % (TILE << k) or (not last and height % (TILE << k)))
        return next(whole, levels) - 1

    def _reduced(self, file: BinaryIO, number: int, height: int, offsets: Longs, sizes: Longs) -> None:
        """Unpack the tiles of a level of a part, and make the next level from them."""
        level = self._levels[number]
        across = -(-level.width // TILE)
        for row in range(0, height, TILE):
            rows = min(TILE, height - row)
            at = slice(row // TILE * across, (row // TILE + 1) * across)
            strip = _unpacked(file, offsets[at], sizes[at], (self._bands, rows, level.width))
            bands, tall, wide = strip.shape
            empty = is_uniform(strip)
            half = uniform(NODATA, (bands, -(-tall // 2), -(-wide // 2))) if empty else self._reduce(evened(strip))
            self._add(number + 1, half)

    def close(self) -> None:
        """Write the last tiles and the file itself."""
        for number, level in enumerate(self._levels):
            if level.rows:
                self._row_of_tiles(number, level.taken())
        self._drain(0)
        self._pool.shutdown()
        with open(self._path, "wb") as file:
            write_cog(file, self._levels, self._fields)

    def _add(self, number: int, strip: Array) -> None:
        level = self._levels[number]
        level.add(strip)
        if level.rows == TILE:
            self._row_of_tiles(number, level.taken())

    def _row_of_tiles(self, number: int, rows: Array) -> None:
        level, empty = self._levels[number], is_uniform(rows) and rows[0, 0, 0] == NODATA
        for col in range(0, level.width, TILE):
            tile = rows[:, :, col : col + TILE]
            self._waiting.append((level, None if empty else self._pool.submit(compressed, tile)))
        self._drain(self._limit)
        if number + 1 < len(self._levels):
            bands, height, width = rows.shape
            half = uniform(NODATA, (bands, -(-height // 2), -(-width // 2))) if empty else self._reduce(evened(rows))
            self._add(number + 1, half)

    def _drain(self, limit: int) -> None:
        """Write finished tiles, in order, until no more than `limit` are under way."""
        while len(self._waiting) > limit:
            level, tile = self._waiting.popleft()
            level.append(b"" if tile is None else tile.result())


@dataclass(slots=True)
class _Level:
    """One of the images of the file: the rows that do not fill a tile yet, and the tiles that are finished."""

    height: int
    width: int
    path: Path
    rows: int = 0
    parts: list[Array] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    _file: BinaryIO | None = None

    @property
    def file(self) -> BinaryIO:
        if self._file is None:
            self._file = open(self.path, "w+b")  # noqa: SIM115 - closed by the writer
        return self._file

    def add(self, strip: Array) -> None:
        self.parts.append(strip)
        self.rows += strip.shape[1]

    def taken(self) -> Array:
        if all(is_uniform(part) and part[0, 0, 0] == NODATA for part in self.parts):
            rows: Array = uniform(NODATA, (len(self.parts[0]), self.rows, self.width))
        else:
            rows = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts, axis=1)
        self.parts, self.rows = [], 0
        return rows

    def append(self, tile: bytes) -> None:
        """A tile, with its size before it and its last bytes again behind it, as `_GHOST` promises; nothing of none."""
        if tile:
            self.file.write(struct.pack("<I", len(tile)) + tile + tile[-4:])
        self.sizes.append(len(tile))

    def copy(self, file: BinaryIO, offsets: Longs, sizes: Longs) -> None:
        """All tiles of an image of a file of this layout, in one piece with what lies around them."""
        framed = sizes + 8 * (sizes > 0)
        there = np.flatnonzero(sizes)
        if len(there):
            start = int(offsets[there[0]]) - 4
            if not np.array_equal(offsets[there], (start + 4 + np.cumsum(framed) - framed)[there]):
                raise ValueError("its tiles do not follow each other")
            file.seek(start)
            left = int(framed.sum())
            while left:
                piece = file.read(min(left, 1 << 22))
                if not piece:
                    raise ValueError("it is cut off")
                self.file.write(piece)
                left -= len(piece)
        self.sizes += sizes.tolist()

    @property
    def framed(self) -> Longs:
        """Bytes of each tile with what lies around it."""
        sizes = np.array(self.sizes, np.int64)
        return sizes + 8 * (sizes > 0)


def compressed(tile: Array) -> bytes:
    """A tile (B, h, w), filled up with nodata, as TIFF stores it: pixel by pixel, deflated. Nothing without data.

    Of deflate only run lengths and Huffman codes are used: on class maps that is five times as fast as zlib's usual
    level and as small, see docs/decisions.
    """
    if not (tile != NODATA).any():
        return b""
    bands, height, width = tile.shape
    if (height, width) != (TILE, TILE):
        tile = np.pad(tile, ((0, 0), (0, TILE - height), (0, TILE - width)), constant_values=NODATA)
    data = np.ascontiguousarray(tile[0] if bands == 1 else np.moveaxis(tile, 0, -1))
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_RLE)
    return deflate.compress(data.data) + deflate.flush()


def _unpacked(file: BinaryIO, offsets: Longs, sizes: Longs, shape: tuple[int, int, int]) -> Array:
    """A row of tiles (B, H, W) of an open file, cut to the raster; `uniform` where none of them has data."""
    bands, height, width = shape
    if not sizes.any():
        return uniform(NODATA, shape)
    result = np.full(shape, NODATA, np.uint8)
    for number in np.flatnonzero(sizes):
        file.seek(int(offsets[number]))
        data = unpacked(file.read(int(sizes[number])), bands * TILE * TILE)
        tile = np.frombuffer(data, np.uint8).reshape(TILE, TILE, bands)
        col = int(number) * TILE
        result[:, :, col : col + TILE] = np.moveaxis(tile, -1, 0)[:, :height, : width - col]
    return result


def read_fields(tiff: bytes) -> dict[int, Field]:
    """The fields of the first image of a classic little-endian TIFF, which is what GDAL writes for a small raster."""
    order, magic, start = struct.unpack_from("<2sHI", tiff)
    assert (order, magic) == (b"II", 42)
    fields = {}
    for at in range(struct.unpack_from("<H", tiff, start)[0]):
        entry = start + 2 + 12 * at
        tag, kind, count = struct.unpack_from("<HHI", tiff, entry)
        size = _SIZES[kind] * count
        place = entry + 8 if size <= 4 else struct.unpack_from("<I", tiff, entry + 8)[0]
        fields[tag] = Field(kind, count, tiff[place : place + size])
    return fields


def write_cog(file: BinaryIO, levels: list[_Level], fields: dict[int, Field]) -> None:
    """Header and directories, then the tiles of each level, the smallest first."""
    framed = [int(level.framed.sum()) for level in levels]
    tags = sum(len(f.data) for f in fields.values())
    big = sum(framed) + len(levels) * (tags + 400) + 12 * sum(len(level.sizes) for level in levels) > _CLASSIC_LIMIT
    # Twice: the offsets of the tiles are known once the length of all directories is, and do not change it.
    starts = [0] * len(levels)
    for _ in range(2):
        head = _header(big) + b"".join(_directories(levels, fields, starts, big))
        at = len(head)
        for number in reversed(range(len(levels))):
            starts[number], at = at, at + framed[number]
    file.write(head)
    mark = hashlib.sha256(head)
    for level in reversed(levels):
        level.file.seek(0)
        while part := level.file.read(1 << 20):
            file.write(part)
            mark.update(part)
    end = file.tell()
    seal(file, head, mark.hexdigest())
    file.seek(end)
    file.flush()
    os.fsync(file.fileno())


def _header(big: bool) -> bytes:
    ghost = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_GHOST) + _GHOST
    first = (16 if big else 8) + len(ghost) + len(ghost) % 2
    head = struct.pack("<2sHHHQ", b"II", 43, 8, 0, first) if big else struct.pack("<2sHI", b"II", 42, first)
    return head + ghost + b"\0" * (len(ghost) % 2)


def _directories(levels: list[_Level], fields: dict[int, Field], starts: list[int], big: bool) -> Iterator[bytes]:
    """The directory of each level with the values that do not fit into it, one after the other."""
    at = len(_header(big))
    for number, level in enumerate(levels):
        part = _directory(_image_fields(level, fields, starts[number], number, big), at, number + 1 == len(levels), big)
        yield part
        at += len(part)


def _image_fields(level: _Level, fields: dict[int, Field], start: int, number: int, big: bool) -> dict[int, Field]:
    skipped = _LAYOUT_OF_THIS_FILE if number == 0 else _LAYOUT_OF_THIS_FILE | _FULL_SIZE_ONLY
    own = {tag: value for tag, value in fields.items() if tag not in skipped}
    sizes, framed = np.array(level.sizes, "<u4"), level.framed
    offsets = np.where(sizes > 0, start + 4 + np.cumsum(framed) - framed, 0)
    own[254] = _long(1 if number else 0)
    own[256], own[257] = _long(level.width), _long(level.height)
    own[259] = _short(8)  # Deflate
    own[284] = _short(1)  # pixel interleaved
    own[322], own[323] = _short(TILE), _short(TILE)
    own[324] = Field(*((_LONG8, len(sizes), offsets.astype("<u8").tobytes()) if big
                       else (_LONG, len(sizes), offsets.astype("<u4").tobytes())))  # fmt: skip
    own[325] = Field(_LONG, len(sizes), sizes.tobytes())
    return own


def _short(value: int) -> Field:
    return Field(_SHORT, 1, struct.pack("<H", value))


def _long(value: int) -> Field:
    return Field(_LONG, 1, struct.pack("<I", value))


def _directory(fields: dict[int, Field], at: int, last: bool, big: bool) -> bytes:
    """A directory that begins at the byte `at` of the file, tags in order, and behind it what does not fit."""
    inline, count_format = (8, "<Q") if big else (4, "<I")
    length = struct.calcsize("<Q" if big else "<H") + len(fields) * (20 if big else 12) + inline
    entries, values = [], b""
    for tag, value in sorted(fields.items()):
        if len(value.data) <= inline:
            content = value.data.ljust(inline, b"\0")
        else:
            content = struct.pack(count_format, at + length + len(values))
            values += value.data + b"\0" * (len(value.data) % 2)
        entries.append(struct.pack("<HH", tag, value.kind) + struct.pack(count_format, value.count) + content)
    following = 0 if last else at + length + len(values)
    head = struct.pack("<Q" if big else "<H", len(fields))
    return head + b"".join(entries) + struct.pack(count_format, following) + values
