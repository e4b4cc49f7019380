"""Class ids to vector tiles: features with attributes, small enough for a browser, none left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats, Longs
from mapgen.tiling.mvt import TileShapes, Value, encode_layer
from mapgen.tiling.tile_polygons import Frame, TilePolygons, sieved_patch, tile_polygons
from mapgen.tiling.tilejson import packed

LIMIT = 500_000
"""Bytes of a tile, compressed, that browsers draw without a halt; the limit that tile makers agree on."""

COARSEST = 2.0
"""Pixels of tolerance for tiles that are too large otherwise."""


@dataclass(frozen=True, slots=True)
class ClassTiles:
    """How the tiles of a class map are made: which pixels, which classes and names, how far generalized."""

    layer: str
    frame: Frame
    nodata: int
    hidden: Longs
    """Classes that get no polygons, no data among them."""
    names: Mapping[int, str]
    tolerance: float = 0.0
    limit: int = LIMIT


@dataclass(frozen=True, slots=True)
class Marks:
    """What the features of one tile are known by: id and, if known, mean confidence of each polygon."""

    ids: Longs
    confidence: Floats | None = None


@dataclass(frozen=True, slots=True)
class EncodedTile:
    """A tile as it is stored, and what became of it. `sieve` is 0 unless it had to be made smaller."""

    data: bytes
    size: int
    """Bytes before compression."""
    features: int
    classes: tuple[int, ...] = ()
    sieve: int = 0


def drawn_tile(patch: NDArray[Any], how: ClassTiles, sieve: float = 0.0) -> TilePolygons:
    """The polygons of a tile, after regions below `sieve` pixels were absorbed by their neighbours.

    The place of a polygon is then one where the patch had its class before.
    """
    if sieve <= 0:
        return tile_polygons(patch, how.frame, how.hidden, how.tolerance)
    tidy = sieved_patch(patch, sieve, how.nodata)
    return tile_polygons(tidy, how.frame, how.hidden, max(how.tolerance, COARSEST), tidy == patch)


def encoded_tile(patch: NDArray[Any], how: ClassTiles, marks: Any = None) -> EncodedTile | None:
    """The tile of a patch of class ids, or None where nothing is to be drawn in it.

    `marks(polygons)` gives the `Marks` of polygons, if features are to have any. A tile beyond the limit is drawn
    anew with its smallest regions absorbed by their neighbours, more of them each time until it is small enough: what
    is left still covers the ground without gaps, and what is lost is detail, not features of some kind.
    """
    sieve, found = 0, None
    while found is None or len(found.data) > how.limit:
        polygons = drawn_tile(patch, how, sieve)
        if not len(polygons.classes):
            return found
        layer = class_layer(polygons, how, None if marks is None else marks(polygons))
        kinds = tuple(np.unique(polygons.classes).tolist())
        found = EncodedTile(packed(layer[0]), len(layer[0]), layer[1], kinds, sieve)
        if sieve > patch.size:
            break
        excess = len(found.data) / how.limit
        sieve = max(2, sieve * (4 if excess > 4 else 2))
    return found


def class_layer(polygons: TilePolygons, how: ClassTiles, marks: Marks | None = None) -> tuple[bytes, int]:
    """The polygons as one layer with class_id and class_name, and with `marks`; and the number of its features.

    Polygons of one id and class become one feature of several parts.
    """
    shapes, classes, confidence, ids = polygons.shapes, polygons.classes, None, None
    if marks is not None:
        shapes, first = grouped(shapes, marks.ids)
        classes, ids = classes[first], marks.ids[first].astype(np.uint64)
        confidence = None if marks.confidence is None else marks.confidence[first]
    kinds, which = np.unique(classes, return_inverse=True)
    values: list[Value] = [*kinds.tolist(), *(how.names.get(k, str(k)) for k in kinds.tolist())]
    every = np.arange(len(classes))
    keys, tags = ["class_id", "class_name"], [(every, which), (every, which + len(kinds))]
    if confidence is not None:
        known = np.flatnonzero(np.isfinite(confidence))
        means, place = np.unique(np.round(confidence[known], 3), return_inverse=True)
        keys.append("confidence")
        tags.append((known, place + len(values)))
        values += means.tolist()
    return encode_layer(how.layer, shapes, keys, values, tags, ids), len(classes)


def grouped(shapes: TileShapes, ids: Longs) -> tuple[TileShapes, NDArray[np.intp]]:
    """The polygons of one id as one feature each, by their first polygons; and which these are."""
    _, first, which = np.unique(ids, return_index=True, return_inverse=True)
    if len(first) == len(ids):
        return shapes, np.arange(len(ids))
    order = np.argsort(first[which], kind="stable")
    counts = np.bincount(np.searchsorted(np.sort(first), first[which]), minlength=len(first))
    polygons, rings = _taken(shapes.polygons, order)
    starts, vertices = _taken(shapes.rings, rings)
    features = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return TileShapes(shapes.x[vertices], shapes.y[vertices], starts, polygons, features), np.sort(first)


def _taken(offsets: Longs, order: NDArray[np.intp]) -> tuple[Longs, NDArray[np.intp]]:
    """New offsets, and the old places of all items, when groups are taken in another order."""
    counts = np.diff(offsets)[order]
    new = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return new, np.repeat(offsets[:-1][order] - new[:-1], counts) + np.arange(new[-1])
