"""Mapbox Vector Tiles: polygons or lines with attributes as the bytes of one layer (specification 2.1).

https://github.com/mapbox/vector-tile-spec/tree/master/2.1. Written by compiled code from integer coordinates; what the
coordinates are, and that they make valid polygons, is the affair of those who make them.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Ints, Longs
from mapgen.files.protobuf import DOUBLE, bytes_field, number_field, tag
from mapgen.kernels import kernel

EXTENT = 4096
"""Units along the edge of a tile."""

Value = str | bool | int | float
"""What an attribute may be. Numbers keep their kind: an int is written as an integer, a float as a double."""


@dataclass(frozen=True, slots=True)
class TileShapes:
    """Polygons in units of a tile, x to the right and y down from its north-west corner.

    Feature i has the polygons `features[i]:features[i + 1]`, polygon p the rings `polygons[p]:polygons[p + 1]`, the
    exterior first, ring k the vertices `rings[k]:rings[k + 1]` of `x` and `y`, the first one not repeated. On the
    screen exteriors run clockwise and holes counter-clockwise, as the specification wants. `lines`: these are lines,
    one in each polygon, all vertices given.
    """

    x: Ints
    y: Ints
    rings: Longs
    polygons: Longs
    features: Longs
    lines: bool = False

    def __len__(self) -> int:
        return len(self.features) - 1


def encode_layer(
    name: str,
    shapes: TileShapes,
    keys: Sequence[str],
    values: Sequence[Value],
    tags: Sequence[tuple[Longs, NDArray[np.int64]]],
    ids: NDArray[np.uint64] | None = None,
    extent: int = EXTENT,
) -> bytes:
    """One layer as the bytes of a tile; the layers of a tile are such bytes one after another.

    `tags[k]` are, for `keys[k]`, the features that have the attribute (increasing) and the places of their values in
    `values`. `ids` are the features' ids. Law: a decoder gives names, kinds, ids and every vertex back.
    """
    counts, flat = _flat_tags(tags, len(shapes))
    numbers = np.empty(0, np.uint64) if ids is None else np.ascontiguousarray(ids, np.uint64)
    size = 11 * len(shapes.x) + 40 * len(shapes.rings) + 40 * len(shapes) + 12 * len(flat) + 16
    out, part = np.empty(size, np.uint8), np.empty(size, np.uint8)
    used = _features(
        shapes.x, shapes.y, shapes.rings, shapes.polygons, shapes.features, numbers, counts, flat,
        2 if shapes.lines else 3, out, part,
    )  # fmt: skip
    body = b"".join((
        number_field(15, 2), _text(1, name), out[:used].tobytes(), *(_text(3, key) for key in keys),
        *(bytes_field(4, _value(value)) for value in values), number_field(5, extent),
    ))  # fmt: skip
    return bytes_field(3, body)


def _flat_tags(tags: Sequence[tuple[Longs, NDArray[np.int64]]], features: int) -> tuple[Longs, Longs]:
    """Offsets for each feature into the flat list of its (key, value) pairs."""
    if not tags:
        return np.zeros(features + 1, np.int64), np.empty(0, np.int64)
    who = np.concatenate([which for which, _ in tags])
    pairs = np.stack((np.repeat(np.arange(len(tags)), [len(w) for w, _ in tags]), np.concatenate([v for _, v in tags])))
    order = np.argsort(who, kind="stable")
    counts = np.concatenate(([0], np.cumsum(2 * np.bincount(who, minlength=features))))
    return counts.astype(np.int64), np.ascontiguousarray(pairs[:, order].T).ravel().astype(np.int64)


def _text(number: int, text: str) -> bytes:
    return bytes_field(number, text.encode("utf-8", "replace"))


def _value(value: Value) -> bytes:
    """A value by its kind: string 1, double 3, int64 4, uint64 5, bool 7 (the numbers of the fields of `Value`)."""
    if isinstance(value, str):
        return _text(1, value)
    if isinstance(value, bool):
        return number_field(7, int(value))
    if isinstance(value, int):
        return number_field(5, value) if value >= 0 else number_field(4, value + (1 << 64))
    return tag(3, DOUBLE) + struct.pack("<d", value)


@kernel
def _put(out, at, number):  # type: ignore[no-untyped-def]
    """Write a varint."""
    number = np.uint64(number)
    while number > np.uint64(127):
        out[at] = number & np.uint64(127) | np.uint64(128)
        number >>= np.uint64(7)
        at += 1
    out[at] = number
    return at + 1


@kernel
def _zigzag(number):  # type: ignore[no-untyped-def]
    return (number << 1) ^ (number >> 63)


@kernel
def _geometry(x, y, rings, first, last, kind, out):  # type: ignore[no-untyped-def]
    """The commands of the rings first…last-1; the cursor starts at 0, 0 and stays where it is when a ring is closed."""
    at = 0
    px, py = np.int64(0), np.int64(0)
    for k in range(first, last):
        for v in range(rings[k], rings[k + 1]):
            if v == rings[k]:
                at = _put(out, at, 1 << 3 | 1)
            elif v == rings[k] + 1:
                at = _put(out, at, (rings[k + 1] - v) << 3 | 2)
            qx, qy = np.int64(x[v]), np.int64(y[v])
            at = _put(out, _put(out, at, _zigzag(qx - px)), _zigzag(qy - py))
            px, py = qx, qy
        if kind == 3:
            at = _put(out, at, 1 << 3 | 7)
    return at


@kernel
def _copy(out, at, part, size):  # type: ignore[no-untyped-def]
    for i in range(size):
        out[at + i] = part[i]
    return at + size


@kernel
def _packed(out, at, field, part, size):  # type: ignore[no-untyped-def]
    out[at] = field << 3 | 2
    return _copy(out, _put(out, at + 1, size), part, size)


@kernel
def _width(number):  # type: ignore[no-untyped-def]
    """Bytes of a varint."""
    number = np.uint64(number)
    n = 1
    while number > np.uint64(127):
        number >>= np.uint64(7)
        n += 1
    return n


@kernel
def _features(x, y, rings, polygons, features, ids, counts, tags, kind, out, part):  # type: ignore[no-untyped-def]
    """All features, one message each: id, tags, type (2: line, 3: polygon), geometry."""
    at = 0
    for i in range(len(features) - 1):
        geometry = _geometry(x, y, rings, polygons[features[i]], polygons[features[i + 1]], kind, part)
        pairs = 0
        for k in range(counts[i], counts[i + 1]):
            pairs += _width(tags[k])
        size = 2 + 1 + _width(geometry) + geometry
        if pairs > 0:
            size += 1 + _width(pairs) + pairs
        if len(ids) > 0:
            size += 1 + _width(ids[i])
        out[at] = 2 << 3 | 2
        at = _put(out, at + 1, size)
        if len(ids) > 0:
            out[at] = 1 << 3
            at = _put(out, at + 1, ids[i])
        if pairs > 0:
            out[at] = 2 << 3 | 2
            at = _put(out, at + 1, pairs)
            for k in range(counts[i], counts[i + 1]):
                at = _put(out, at, tags[k])
        out[at], out[at + 1] = 3 << 3, kind
        at = _packed(out, at + 2, 4, part, geometry)
    return at
