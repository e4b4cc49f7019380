"""PMTiles archives, version 3: one file with its own index, which a browser reads by ranges.

https://github.com/protomaps/PMTiles/blob/main/spec/v3/spec.md
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Longs
from mapgen.errors import InputError
from mapgen.files.untrusted import json_object, unpacked
from mapgen.legend import LayerClass
from mapgen.tiling.quadtree import Tile
from mapgen.tiling.tilejson import TileFormat, TileSetInfo

MAGIC = b"PMTiles\x03"
_HEADER = struct.Struct("<8s11Q6B4iB2i")
_ROOT_LIMIT = 16_384 - _HEADER.size
"""Bytes of a root directory: a client fetches header and root as the first 16 KiB."""

_TYPES: dict[str, int] = {"mvt": 1, "png": 2, "jpeg": 3, "webp": 4}
_PLAIN, _GZIP = 1, 2

MOST_ZOOM, MOST_SIDE, MOST_DEGREES = 30, 1 << 16, 210

TILES_LIMIT = 1 << 28
"""Tiles that are read of an archive: an entry of a few bytes may claim all that there are."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Entries by increasing tile id: the tiles `ids … ids + runs - 1` are `lengths` bytes at `offsets`.

    An entry of run 0 points to a leaf directory instead, which holds the tiles from its id on.
    """

    ids: Longs
    runs: Longs
    offsets: Longs
    lengths: Longs

    def __len__(self) -> int:
        return len(self.ids)

    def part(self, start: int, stop: int) -> Directory:
        """The entries `start … stop-1`."""
        return Directory(*(v[start:stop] for v in (self.ids, self.runs, self.offsets, self.lengths)))

    def encode(self) -> bytes:
        """The directory as it stands in an archive, compressed."""
        follows = np.zeros(len(self), bool)
        follows[1:] = self.offsets[1:] == self.offsets[:-1] + self.lengths[:-1]
        numbers = (
            np.array([len(self)]), np.diff(self.ids, prepend=0), self.runs, self.lengths,
            np.where(follows, 0, self.offsets + 1),
        )  # fmt: skip
        return _gzipped(_varints(np.concatenate(numbers).astype(np.uint64)))

    @classmethod
    def decode(cls, data: bytes) -> Directory:
        """The directory of `encode`. Raises `ValueError` for what is none."""
        numbers = _numbers(unpacked(data))
        count = int(numbers[0]) if len(numbers) else 0
        if len(numbers) != 1 + 4 * count:
            raise ValueError("a directory of the wrong length")
        steps, runs, lengths, offsets = numbers[1:].astype(np.int64).reshape(4, count)
        offsets -= 1
        ends = offsets + lengths
        for k in np.flatnonzero(offsets < 0):
            if k == 0:
                raise ValueError("a directory that begins nowhere")
            offsets[k], ends[k] = ends[k - 1], ends[k - 1] + lengths[k]
        return cls(np.cumsum(steps), runs, offsets, lengths)


class PMTilesWriter:
    """A sink for the archive at `path`: tiles come in any order, equal ones are kept once, `close` puts them in order.

    Until then tiles lie in a file beside `path`, so that memory grows by 45 bytes a tile only. The same tiles in the
    same order of ids give the same bytes.
    """

    def __init__(self, path: Path, info: TileSetInfo) -> None:
        self.info = info
        self.path = path
        self._parts: BinaryIO = open(path.with_name("parts"), "w+b")  # noqa: SIM115 - closed by close
        self._z, self._x, self._y = array("B"), array("L"), array("L")
        self._offsets, self._lengths, self._digests = array("Q"), array("L"), bytearray()
        self._end = 0

    def put(self, z: int, x: int, y: int, data: bytes) -> None:
        """Add one tile."""
        for kept, value in (
            (self._z, z), (self._x, x), (self._y, y), (self._offsets, self._end), (self._lengths, len(data))
        ):  # fmt: skip
            kept.append(value)
        self._digests += hashlib.blake2b(data, digest_size=16).digest()
        self._parts.write(data)
        self._end += len(data)

    def close(self) -> None:
        """Write the archive."""
        z, x, y, offsets, lengths = (
            np.array(v, np.int64) for v in (self._z, self._x, self._y, self._offsets, self._lengths)
        )
        ids = tile_ids(z, x, y)
        order = np.argsort(ids)
        ids, lengths, offsets = ids[order], lengths[order], offsets[order]
        digests = np.frombuffer(bytes(self._digests), "V16")[order]
        _, first, which = np.unique(digests, return_index=True, return_inverse=True)
        # Contents in the order in which their first tiles come, so that a client's neighbours are neighbours here.
        rank = np.argsort(np.argsort(first))
        contents = np.sort(first)
        starts = np.concatenate(([0], np.cumsum(lengths[contents]))).astype(np.int64)
        directory = _runs(ids, starts[:-1][rank[which]], lengths)
        with open(self.path, "wb") as stream:
            self._write_head(stream, directory, len(ids), len(contents), int(starts[-1]))
            for k in contents:
                self._parts.seek(offsets[k])
                stream.write(self._parts.read(lengths[k]))
        self.abandon()

    def abandon(self) -> None:
        """Remove what was kept until `close`."""
        self._parts.close()
        self.path.with_name("parts").unlink(missing_ok=True)

    def _write_head(self, stream: BinaryIO, directory: Directory, tiles: int, contents: int, size: int) -> None:
        info = self.info
        root, leaves = _with_leaves(directory)
        metadata = _gzipped(json.dumps(info.metadata(), ensure_ascii=False, separators=(",", ":")).encode())
        places = []
        at = _HEADER.size
        for part in (len(root), len(metadata), len(leaves), size):
            places += [at, part]
            at += part
        west, south, east, north = (round(v * 1e7) for v in info.bounds)
        lon, lat = (round(v * 1e7) for v in info.middle)
        compression = _GZIP if info.format == "mvt" else _PLAIN
        header = _HEADER.pack(
            MAGIC, *places, tiles, len(directory), contents, 1, _GZIP, compression, _TYPES[info.format],
            info.min_zoom, info.max_zoom, west, south, east, north, info.min_zoom, lon, lat,
        )  # fmt: skip
        for piece in (header, root, metadata, leaves):
            stream.write(piece)


def _runs(ids: Longs, offsets: Longs, lengths: Longs) -> Directory:
    """One entry for each run of consecutive tiles with the same content."""
    starts = np.ones(len(ids), bool)
    starts[1:] = (np.diff(ids) != 1) | (np.diff(offsets) != 0)
    at = np.flatnonzero(starts)
    return Directory(ids[at], np.diff(np.append(at, len(ids))), offsets[at], lengths[at])


def _with_leaves(directory: Directory) -> tuple[bytes, bytes]:
    """The root directory and all leaf directories; none where the root has room for everything."""
    root, size = directory.encode(), 4096
    if len(root) <= _ROOT_LIMIT:
        return root, b""
    while True:
        starts = range(0, len(directory), size)
        leaves = [directory.part(start, start + size).encode() for start in starts]
        lengths = np.array([len(leaf) for leaf in leaves], np.int64)
        firsts = directory.ids[::size]
        root = Directory(firsts, np.zeros_like(lengths), np.cumsum(lengths) - lengths, lengths).encode()
        if len(root) <= _ROOT_LIMIT:
            return root, b"".join(leaves)
        size *= 2


def _gzipped(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _varints(numbers: NDArray[np.uint64]) -> bytes:
    """Unsigned integers, seven bits a byte, the lowest first (Protocol Buffers)."""
    shifts = np.arange(0, 70, 7, dtype=np.uint64)[:-1]
    groups = (numbers[:, None] >> shifts) & np.uint64(127)
    count = np.maximum(1, 9 - (groups[:, ::-1] != 0).argmax(1) - 9 * ~groups.any(1))
    used = np.arange(9) < count[:, None]
    groups |= np.where(np.arange(9) < count[:, None] - 1, np.uint64(128), np.uint64(0))
    return groups.astype(np.uint8)[used].tobytes()


def _numbers(data: bytes) -> NDArray[np.uint64]:
    """The integers of `_varints`."""
    octets = np.frombuffer(data, np.uint8)
    last = octets < 128
    if len(octets) and not last[-1]:
        raise ValueError("a number without an end")
    number = np.concatenate(([0], np.cumsum(last)[:-1])).astype(np.int64)
    starts = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1)) if len(octets) else np.empty(0, np.int64)
    shifts = 7 * (np.arange(len(octets)) - starts[number])
    if len(shifts) and shifts.max() > 63:
        raise ValueError("a number too long")
    result = np.zeros(int(last.sum()), np.uint64)
    np.add.at(result, number, (octets & 127).astype(np.uint64) << shifts.astype(np.uint64))
    return result


class PMTilesReader:
    """The archive at `path`, open for reading. Raises `InputError` where it is none or is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._leaves: dict[int, Directory] = {}
        self._size = os.path.getsize(path)
        self._stream: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by close
        try:
            head = self._stream.read(_HEADER.size)
            if not head.startswith(MAGIC) or len(head) < _HEADER.size:
                raise ValueError("not a PMTiles archive of version 3")
            fields = _HEADER.unpack(head)
            self.places = tuple(zip(fields[1:9:2], fields[2:9:2], strict=True))
            self.addressed, self.entries, self.contents = fields[9:12]
            self.clustered, internal, self.compression, kind = fields[12:16]
            if internal != _GZIP:
                raise ValueError("its directories are compressed with something else than gzip")
            (root, metadata, _, _) = self.places
            if max(offset + length for offset, length in self.places) > self._size:
                raise ValueError("it is cut off")
            self.root = Directory.decode(self._read(*root))
            self.metadata = json_object(unpacked(self._read(*metadata)))
            self.info = _info(fields, kind, self.metadata, path.name)
            if self.info.format != "mvt" and not {"tile_size", "tileSize"} & set(self.metadata):
                first = next(iter(self.tiles()), None)
                self.info = replace(self.info, tile_size=side_of(first and first[3]))
        except (ValueError, OverflowError, OSError, KeyError, TypeError) as exc:
            self._stream.close()
            raise InputError(path, f"cannot be read ({exc})", "get the file again") from exc

    def __enter__(self) -> PMTilesReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stream.close()

    def _read(self, offset: int, length: int) -> bytes:
        if not 0 <= offset <= offset + length <= self._size:  # before anything is allocated
            raise ValueError("it is cut off")
        self._stream.seek(offset)
        data = self._stream.read(length)
        if len(data) != length:
            raise ValueError("it is cut off")
        return data

    def _leaf(self, offset: int, length: int) -> Directory:
        if offset not in self._leaves:
            self._leaves = {offset: Directory.decode(self._read(self.places[2][0] + offset, length))}
        return self._leaves[offset]

    def directory(self) -> Iterator[tuple[int, int, int, int]]:
        """All entries as (tile id, run, offset, length), leaves followed; `ValueError` for more than can be."""
        left = TILES_LIMIT
        for entry in _rows(self.root):
            for one in [entry] if entry[1] else _rows(self._leaf(entry[2], entry[3])):
                left -= max(1, one[1])
                if left < 0:
                    raise ValueError(f"it claims more than {TILES_LIMIT} tiles")
                yield one

    def get(self, z: int, x: int, y: int) -> bytes | None:
        """One tile."""
        number, directory = tile_id(Tile(z, x, y)), self.root
        for _ in range(4):
            k = int(np.searchsorted(directory.ids, number, "right")) - 1
            if k < 0:
                return None
            run, offset, length = (int(v[k]) for v in (directory.runs, directory.offsets, directory.lengths))
            if run:
                inside = number < directory.ids[k] + run
                return self._read(self.places[3][0] + offset, length) if inside else None
            directory = self._leaf(offset, length)
        return None

    def tiles(self) -> Iterator[tuple[int, int, int, bytes]]:
        """All tiles by increasing id."""
        for number, run, offset, length in self.directory():
            data = self._read(self.places[3][0] + offset, length)
            for k in range(run):
                tile = tile_of(number + k)
                yield tile.z, tile.x, tile.y, data


def _rows(directory: Directory) -> Iterator[tuple[int, int, int, int]]:
    columns = (directory.ids, directory.runs, directory.offsets, directory.lengths)
    yield from zip(*(v.tolist() for v in columns), strict=True)


def _info(fields: tuple[Any, ...], kind: int, metadata: dict[str, Any], name: str) -> TileSetInfo:
    forms: dict[int, TileFormat] = {1: "mvt", 2: "png", 3: "jpeg", 4: "webp"}
    low, high, *degrees = fields[16:22]
    west, south, east, north = (v / 1e7 for v in degrees)
    info = TileSetInfo(
        str(metadata.get("name", name)), forms[kind], low, high, (west, south, east, north),
        (fields[23] / 1e7, fields[24] / 1e7),
    )  # fmt: skip
    return with_metadata(info, metadata)


def with_metadata(info: TileSetInfo, metadata: dict[str, Any]) -> TileSetInfo:
    """The info with what its metadata say of classes and layers; what others mean by `classes` is left alone.

    Raises `ValueError` for a set that cannot be.
    """
    size, layers = metadata.get("tile_size", metadata.get("tileSize")), metadata.get("vector_layers") or []
    if not isinstance(layers, list) or not all(isinstance(layer, dict) for layer in layers):
        raise ValueError("its vector_layers are none")
    made = replace(
        info, classes=_classes(metadata.get("classes")), vector_layers=tuple(layers),
        overlay=metadata.get("type", "overlay") == "overlay", description=str(metadata.get("description", "")),
        attribution=str(metadata.get("attribution", "")), tile_size=int(size) if size else info.tile_size,
        checksum=str(metadata.get("checksum", "")),
    )  # fmt: skip
    zooms = made.min_zoom, made.max_zoom
    if not all(isinstance(z, int) for z in zooms) or not 0 <= zooms[0] <= zooms[1] <= MOST_ZOOM:
        raise ValueError(f"it claims the zooms {zooms[0]} … {zooms[1]}")
    if not 0 < made.tile_size <= MOST_SIDE or not all(abs(v) <= MOST_DEGREES for v in (*made.bounds, *made.middle)):
        raise ValueError("its bounds, or the size of its tiles, cannot be")
    return made


def _classes(entries: Any) -> tuple[LayerClass, ...]:
    try:
        return tuple(LayerClass(int(c["id"]), str(c["name"]), str(c["color"])) for c in entries or ())
    except (KeyError, TypeError, ValueError, OverflowError):
        return ()


def side_of(picture: bytes | None, otherwise: int = 256) -> int:
    """Pixels of the side of a tile, seen by the picture itself: other programs seldom say it."""
    from PIL import Image

    try:
        with Image.open(BytesIO(picture or b""), formats=("PNG", "JPEG", "WEBP")) as image:
            return int(image.width)
    except (OSError, Image.DecompressionBombError):
        return otherwise


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
