"""Features as bytes: GeoJSON text and well-known binary, written by compiled code straight from the shared lines."""

from __future__ import annotations

import json
import math

import numpy as np

from mapgen.arrays import Bytes, Longs
from mapgen.kernels import kernel
from mapgen.layers.layer import Layer

_MARKS = [
    b'},"geometry":{"type":"Polygon","coordinates":[',
    b'},"geometry":{"type":"MultiPolygon","coordinates":[',
    b"]}},\n",
]
"""Between the attributes and the geometry of a feature, and after it."""


def geojson_features(layer: Layer, first: int, last: int, digits: int, decimals: dict[str, int]) -> bytes:
    """The features first…last-1 as GeoJSON objects, each with a comma and a newline after it.

    `digits` are the decimals of a coordinate, `decimals` those of the further attributes; trailing zeros are dropped,
    and NaN is written as null.
    """
    heads, head_offsets = _joined([_head(c.id, c.name) for c in layer.classes])
    keys, key_offsets = _joined([f",{json.dumps(name)}:".encode() for name in layer.columns])
    columns = np.array([layer.columns[name][first:last] for name in layer.columns], np.float64)
    places = np.array([decimals[name] for name in layer.columns], np.int64)
    shape = (layer.features, layer.polygons, layer.rings, layer.darts)
    lines = (layer.lines.offsets, layer.lines.x, layer.lines.y)
    text = (heads, head_offsets, keys, key_offsets, *_joined(_MARKS))
    size = _text_size(
        shape, layer.lines.offsets, first, last, digits, _longest(head_offsets), len(keys) + 26 * len(places)
    )
    out = np.empty(size, np.uint8)
    used = _geojson(shape, lines, layer.kinds, text, columns, places, digits, layer.multi, first, last, out)
    return out[:used].tobytes()


def wkb(layer: Layer, first: int, last: int) -> tuple[Longs, Bytes]:
    """The geometries of the features first…last-1 as little-endian WKB: offsets of each, and the bytes."""
    shape = (layer.features, layer.polygons, layer.rings, layer.darts)
    offsets = _wkb_offsets(shape, layer.lines.offsets, layer.multi, first, last)
    out = np.empty(offsets[-1], np.uint8)
    _wkb(shape, layer.lines.offsets, layer.lines.x, layer.lines.y, layer.multi, first, last, offsets, out)
    return offsets, out


def coordinate_digits(degrees: float, floor: int = 7) -> int:
    """Decimals for degrees on a grid with pixels of this many degrees: a tenth of a pixel, but at least `floor`."""
    return max(floor, math.ceil(-math.log10(degrees / 10) - 1e-9))


def _head(class_id: int, name: str) -> bytes:
    properties = json.dumps({"class_id": class_id, "class_name": name}, ensure_ascii=False, separators=(",", ":"))
    return ('{"type":"Feature","properties":' + properties[:-1]).encode("utf-8", "replace")


def _joined(texts: list[bytes]) -> tuple[Bytes, Longs]:
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    # A copy, since a read-only array is another type and would be compiled for again.
    return np.frombuffer(b"".join(texts), np.uint8).copy(), offsets


def _longest(offsets: Longs) -> int:
    return int(np.diff(offsets).max(initial=0))


@kernel
def _ring_size(lines, rings, darts, k):  # type: ignore[no-untyped-def]
    """Vertices of a ring, the first one repeated at the end."""
    n = 1
    for d in range(rings[k], rings[k + 1]):
        line = darts[d] >> 1
        n += lines[line + 1] - lines[line] - 1
    return n


@kernel
def _text_size(shape, lines, first, last, digits, head, tail):  # type: ignore[no-untyped-def]
    features, polygons, rings, darts = shape
    size = (last - first) * (head + tail + 80)
    for p in range(features[first], features[last]):
        size += 4
        for k in range(polygons[p], polygons[p + 1]):
            size += 4 + _ring_size(lines, rings, darts, k) * (2 * digits + 16)
    return size


@kernel
def _copy(out, at, text, start, end):  # type: ignore[no-untyped-def]
    for i in range(start, end):
        out[at] = text[i]
        at += 1
    return at


@kernel
def _number(out, at, value, decimals):  # type: ignore[no-untyped-def]
    """Write a number with at most that many decimals, none of them a trailing zero; NaN as null."""
    if not np.isfinite(value):
        out[at], out[at + 1], out[at + 2], out[at + 3] = 110, 117, 108, 108
        return at + 4
    size = abs(value)
    scale = 10.0**decimals
    while decimals > 0 and size * scale > 1e15:
        decimals -= 1
        scale = 10.0**decimals
    whole = np.int64(np.rint(size * scale))
    while decimals > 0 and whole % 10 == 0:
        whole //= 10
        decimals -= 1
    if value < 0 and whole > 0:
        out[at] = 45
        at += 1
    digits = 1
    rest = whole // 10
    while rest > 0:
        rest //= 10
        digits += 1
    digits = max(digits, decimals + 1)
    end = at + digits + (1 if decimals > 0 else 0)
    i = end
    for n in range(digits):
        if n == decimals and decimals > 0:
            i -= 1
            out[i] = 46
        i -= 1
        out[i] = 48 + whole % 10
        whole //= 10
    return end


@kernel
def _vertex(out, at, x, y, digits):  # type: ignore[no-untyped-def]
    out[at] = 91
    at = _number(out, at + 1, x, digits)
    out[at] = 44
    at = _number(out, at + 1, y, digits)
    out[at], out[at + 1] = 93, 44
    return at + 2


@kernel
def _ring_text(out, at, lines, rings, darts, k, digits):  # type: ignore[no-untyped-def]
    offsets, x, y = lines
    out[at] = 91
    at += 1
    begin = at
    second = at
    for d in range(rings[k], rings[k + 1]):
        line = darts[d] >> 1
        low, high = offsets[line], offsets[line + 1] - 1
        for n in range(high - low):
            v = high - n if darts[d] & 1 else low + n
            at = _vertex(out, at, x[v], y[v], digits)
            if second == begin:
                second = at
    at = _copy(out, at, out, begin, second)
    out[at - 1], out[at] = 93, 44
    return at + 1


@kernel
def _geometry_text(out, at, shape, lines, i, digits, multi):  # type: ignore[no-untyped-def]
    features, polygons, rings, darts = shape
    multi = multi or features[i + 1] - features[i] != 1
    for p in range(features[i], features[i + 1]):
        if multi:
            out[at] = 91
            at += 1
        for k in range(polygons[p], polygons[p + 1]):
            at = _ring_text(out, at, lines, rings, darts, k, digits)
        if multi:
            out[at - 1], out[at] = 93, 44
            at += 1
    return at - 1


@kernel
def _geojson(shape, lines, kinds, text, columns, places, digits, multi, first, last, out):  # type: ignore[no-untyped-def]
    heads, head_offsets, keys, key_offsets, marks, mark_offsets = text
    at = 0
    for i in range(first, last):
        at = _copy(out, at, heads, head_offsets[kinds[i]], head_offsets[kinds[i] + 1])
        for c in range(len(places)):
            at = _copy(out, at, keys, key_offsets[c], key_offsets[c + 1])
            at = _number(out, at, columns[c, i - first], places[c])
        part = 1 if multi or shape[0][i + 1] - shape[0][i] != 1 else 0
        at = _copy(out, at, marks, mark_offsets[part], mark_offsets[part + 1])
        at = _geometry_text(out, at, shape, lines, i, digits, multi)
        at = _copy(out, at, marks, mark_offsets[2], mark_offsets[3])
    return at


@kernel
def _wkb_offsets(shape, lines, multi, first, last):  # type: ignore[no-untyped-def]
    features, polygons, rings, darts = shape
    offsets = np.zeros(last - first + 1, np.int64)
    for i in range(first, last):
        size = 9 if multi or features[i + 1] - features[i] != 1 else 0
        for p in range(features[i], features[i + 1]):
            size += 9
            for k in range(polygons[p], polygons[p + 1]):
                size += 4 + 16 * _ring_size(lines, rings, darts, k)
        offsets[i - first + 1] = offsets[i - first] + size
    return offsets


@kernel
def _put_int(out, at, value):  # type: ignore[no-untyped-def]
    for n in range(4):
        out[at + n] = value >> (8 * n) & 255
    return at + 4


@kernel
def _put_header(out, at, kind, count):  # type: ignore[no-untyped-def]
    out[at] = 1
    return _put_int(out, _put_int(out, at + 1, kind), count)


@kernel
def _put_double(out, at, bits):  # type: ignore[no-untyped-def]
    for n in range(8):
        out[at + n] = bits >> np.uint64(8 * n) & np.uint64(255)
    return at + 8


@kernel
def _ring_wkb(out, at, offsets, x, y, rings, darts, k):  # type: ignore[no-untyped-def]
    begin = at + 4
    at = begin
    for d in range(rings[k], rings[k + 1]):
        line = darts[d] >> 1
        low, high = offsets[line], offsets[line + 1] - 1
        for n in range(high - low):
            v = high - n if darts[d] & 1 else low + n
            at = _put_double(out, _put_double(out, at, x[v]), y[v])
    at = _copy(out, at, out, begin, begin + 16)
    _put_int(out, begin - 4, (at - begin) // 16)
    return at


@kernel
def _wkb_bits(shape, offsets, x, y, multi, first, last, places, out):  # type: ignore[no-untyped-def]
    features, polygons, rings, darts = shape
    for i in range(first, last):
        at = places[i - first]
        if multi or features[i + 1] - features[i] != 1:
            at = _put_header(out, at, 6, features[i + 1] - features[i])
        for p in range(features[i], features[i + 1]):
            at = _put_header(out, at, 3, polygons[p + 1] - polygons[p])
            for k in range(polygons[p], polygons[p + 1]):
                at = _ring_wkb(out, at, offsets, x, y, rings, darts, k)


def _wkb(shape, lines, x, y, multi, first, last, places, out) -> None:  # type: ignore[no-untyped-def]
    """WKB through the bit patterns of the coordinates, which any machine shifts into little-endian order."""
    _wkb_bits(shape, lines, x.view(np.uint64), y.view(np.uint64), multi, first, last, places, out)
