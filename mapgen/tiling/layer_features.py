"""Polygons and lines of any origin as vector tiles: simplified for each zoom together, cut, put on the tile's grid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mapgen.arrays import Geometries, Longs
from mapgen.tiling.class_features import LIMIT, EncodedTile
from mapgen.tiling.mvt import EXTENT, TileShapes, Value, encode_layer
from mapgen.tiling.quadtree import WEB_MERCATOR, Tile, to_mercator
from mapgen.tiling.tilejson import packed

BUFFER = 64
"""Units around a tile that its polygons go on."""

BLOCK = 8
"""Tiles in a row and a column that large polygons are cut to first."""

UNITS = EXTENT // 512
"""Units of what counts as a pixel."""


@dataclass(frozen=True, slots=True)
class Zoomed:
    """The polygons of a layer as they are drawn at one zoom, in units of that zoom's world, y down."""

    z: int
    shapes: Geometries
    which: Longs
    """Of which feature each is."""


def in_world(shapes: Geometries) -> Geometries:
    """Polygons in degrees as parts of the Web Mercator square, 0…1 from the west and from the north."""

    def unit(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = to_mercator(xy[:, 0], xy[:, 1])
        return np.stack((x / WEB_MERCATOR.span + 0.5, 0.5 - y / WEB_MERCATOR.span), axis=1)

    return np.asarray(shapely.transform(shapes, unit))


def are_lines(shapes: Geometries) -> bool:
    """Whether these are lines: a layer has one kind."""
    return bool(len(shapes)) and bool(shapely.get_dimensions(shapes[0]) == 1)


def sizes_of(shapes: Geometries) -> NDArray[np.float64]:
    """By what shapes matter: the area of polygons, the length of lines."""
    return np.asarray(shapely.length(shapes) if are_lines(shapes) else shapely.area(shapes))


def is_coverage(shapes: Geometries) -> bool:
    """Whether the polygons share their borders vertex by vertex and do not overlap."""
    return not are_lines(shapes) and bool(shapely.coverage_is_valid(shapes))


def simplified(shapes: Geometries, tolerance: float, *, coverage: bool) -> Geometries:
    """Polygons of a coverage simplified together, so that borders stay shared, or else each by itself, kept valid."""
    if tolerance <= 0 or not len(shapes):
        return shapes
    if coverage:
        return np.asarray(shapely.coverage_simplify(shapes, tolerance))
    return np.asarray(shapely.simplify(shapes, tolerance, preserve_topology=True))


def tile_parts(zoomed: Zoomed) -> Iterator[tuple[Tile, Geometries, Longs]]:
    """The tiles that polygons touch, each with what of them lies in tile and buffer, and of which features it is.

    Row by row of blocks of tiles; polygons are cut to blocks first, so that one as large as a country is not cut anew
    for every tile.
    """
    for _, (x, y), shapes, which in _cut(zoomed.shapes, zoomed.which, BLOCK, zoomed.z, None):
        for _, place, parts, of in _cut(shapes, which, 1, zoomed.z, (x, y)):
            yield Tile(zoomed.z, *place), parts, of


def _cut(
    shapes: Geometries, which: Longs, side: int, z: int, block: tuple[int, int] | None
) -> Iterator[tuple[int, tuple[int, int], Geometries, Longs]]:
    """Squares of `side` tiles that polygons touch, by row and column, with the polygons cut to them and the buffer."""
    if not len(shapes):
        return
    step = EXTENT * side
    low, high = (0, (1 << z) // side + ((1 << z) % side > 0)) if block is None else (0, 1 << z)
    bounds = shapely.bounds(shapes)
    first = np.clip(np.floor((bounds[:, :2] - BUFFER) / step).astype(int), low, high - 1)
    last = np.clip(np.floor((bounds[:, 2:] + BUFFER) / step).astype(int), low, high - 1)
    if block is not None:
        first = np.maximum(first, np.array(block) * BLOCK)
        last = np.minimum(last, np.array(block) * BLOCK + BLOCK - 1)
    spans = np.maximum(last - first + 1, 0)
    counts = spans[:, 0] * spans[:, 1]
    owner = np.repeat(np.arange(len(shapes)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    x = first[owner, 0] + place % np.maximum(spans[owner, 0], 1)
    y = first[owner, 1] + place // np.maximum(spans[owner, 0], 1)
    order = np.lexsort((owner, x, y))
    owner, x, y = owner[order], x[order], y[order]
    starts = np.flatnonzero(np.diff(x, prepend=-1) | np.diff(y, prepend=-1))
    for a, b in zip(starts.tolist(), [*starts[1:].tolist(), len(owner)], strict=True):
        column, row, own = int(x[a]), int(y[a]), owner[a:b]
        left, top = column * step - BUFFER, row * step - BUFFER
        right, bottom = (column + 1) * step + BUFFER, (row + 1) * step + BUFFER
        inside = (bounds[own] >= (left, top, -np.inf, -np.inf)).all(1) & (
            bounds[own] <= (np.inf, np.inf, right, bottom)
        ).all(1)
        parts = shapes[own].copy()
        parts[~inside] = shapely.clip_by_rect(parts[~inside], left, top, right, bottom)
        kept = ~shapely.is_empty(parts)
        if kept.any():
            yield z, (column, row), parts[kept], which[own][kept]


def on_tile(parts: Geometries, tile: Tile) -> tuple[Geometries, NDArray[np.bool_]]:
    """Polygons in units of the tile, rounded and valid, or lines; and which of them are still there."""
    corner = np.array([tile.x, tile.y], float) * EXTENT
    rounded = shapely.transform(parts, lambda xy: np.rint(xy - corner))
    if are_lines(parts):
        return shapely.remove_repeated_points(rounded), shapely.length(rounded) > 0
    # Rounding makes few polygons invalid, and neighbours keep their vertices in common where it does not.
    wrong = np.flatnonzero(~shapely.is_valid(rounded))
    local = shapely.transform(parts[wrong], lambda xy: xy - corner)
    bad = ~shapely.is_valid(local)  # cutting by a rectangle is fast and not always right
    local[bad] = shapely.make_valid(local[bad])
    rounded[wrong] = shapely.set_precision(local, 1.0)
    rounded = shapely.remove_repeated_points(rounded)
    kept = shapely.area(rounded) > 0
    return rounded, kept


def tile_shapes(shapes: Geometries) -> TileShapes:
    """Valid polygons and multipolygons, or lines, with whole coordinates as the shapes of a tile."""
    if are_lines(shapes):
        return _line_shapes(shapes)
    polygons, owner = shapely.get_parts(shapes, return_index=True)
    inner, again = shapely.get_parts(polygons, return_index=True)
    flat = shapely.get_type_id(inner) == shapely.GeometryType.POLYGON
    polygons, owner = inner[flat], owner[again[flat]]
    # y down turns the sense of a ring, and so does the specification's wish for clockwise exteriors.
    polygons = shapely.orient_polygons(polygons)
    rings, of = shapely.get_rings(polygons, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    last = np.flatnonzero(np.diff(ring, append=-1))
    points, ring = np.delete(points, last, axis=0), np.delete(ring, last)
    return TileShapes(
        points[:, 0].astype(np.int32), points[:, 1].astype(np.int32), _offsets(ring, len(rings)),
        _offsets(of, len(polygons)), _offsets(owner, len(shapes)),
    )  # fmt: skip


def _line_shapes(shapes: Geometries) -> TileShapes:
    lines, owner = shapely.get_parts(shapes, return_index=True)
    there = shapely.length(lines) > 0  # rounding and cutting leave points
    lines, owner = lines[there], owner[there]
    points, line = shapely.get_coordinates(lines, return_index=True)
    return TileShapes(
        points[:, 0].astype(np.int32), points[:, 1].astype(np.int32), _offsets(line, len(lines)),
        np.arange(len(lines) + 1, dtype=np.int64), _offsets(owner, len(shapes)), lines=True,
    )  # fmt: skip


def _offsets(owner: NDArray[Any], count: int) -> Longs:
    return np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=count)))).astype(np.int64)


def attribute_tags(columns: Mapping[str, NDArray[Any]]) -> tuple[list[str], list[Value], list[tuple[Longs, Longs]]]:
    """Keys, values and tags of features by their attributes; what is null or not a number has none."""
    keys: list[str] = []
    values: list[Value] = []
    tags = []
    for name, column in columns.items():
        known = np.flatnonzero([not _is_null(v) for v in column])
        if not len(known):
            continue
        kinds = [_value(v) for v in column[known]]
        places = {v: i for i, v in enumerate(dict.fromkeys((type(v), v) for v in kinds))}
        tags.append((known, np.array([len(values) + places[type(v), v] for v in kinds], np.int64)))
        values += [v for _, v in places]
        keys.append(name)
    return keys, values, tags


def _is_null(value: Any) -> bool:
    return value is None or value != value


def _value(value: Any) -> Value:
    """A value as vector tiles know it; dates and the like as text."""
    plain = value.item() if isinstance(value, np.generic) and not isinstance(value, np.datetime64) else value
    return plain if isinstance(plain, str | bool | int | float) else str(plain)


@dataclass(frozen=True, slots=True)
class ShapeTile:
    """A tile of polygons, and how many parts of them were given up for its size."""

    tile: EncodedTile | None
    which: Longs
    """The features that are in it."""
    given_up: int = 0


def shape_tile(
    tile: Tile,
    parts: Geometries,
    which: Longs,
    name: str,
    ids: NDArray[np.int64],
    columns: Mapping[str, NDArray[Any]],
    limit: int = LIMIT,
) -> ShapeTile:
    """The tile with these parts of the features `which`.

    One beyond the limit is simplified by 2, 4, 8 … units; then as many of the smallest polygons as it takes are given
    up, and counted.
    """
    rounded, kept = on_tile(parts, tile)
    rounded, which = rounded[kept], which[kept]
    tolerance, given_up = 1.0, 0
    while len(rounded):
        keys, values, tags = attribute_tags({k: v[which] for k, v in columns.items()})
        data = encode_layer(name, tile_shapes(rounded), keys, values, tags, ids[which].astype(np.uint64))
        made = EncodedTile(packed(data), len(data), len(rounded), (), 0 if tolerance == 1 else int(tolerance))
        if len(made.data) <= limit or (len(rounded) == 1 and tolerance > 64):
            return ShapeTile(made, which, given_up)
        tolerance *= 2
        if tolerance <= 32:
            smaller = simplified(rounded, tolerance, coverage=is_coverage(rounded))
            smaller = smaller if are_lines(smaller) else shapely.set_precision(smaller, 1.0)
            there = sizes_of(smaller) > 0
            rounded, which = smaller[there], which[there]
            given_up += int((~there).sum())
        else:
            share = min(0.9, 0.95 * limit / len(made.data))
            largest = np.sort(np.argsort(-sizes_of(rounded), kind="stable")[: max(1, int(share * len(rounded)))])
            given_up += len(rounded) - len(largest)
            rounded, which = rounded[largest], which[largest]
    return ShapeTile(None, which, given_up)
