"""Polygons across the antimeridian or around a pole, cut so that longitudes lie in -180…180 (RFC 7946, 3.1.9)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from mapgen.arrays import Floats, Longs
from mapgen.kernels import kernel
from mapgen.layers.layer import Layer
from mapgen.polygons.lines import Lines

DECIMALS = 11
"""Of longitudes in a layer that is cut: a turn added and taken away again must not change the last bits of any."""


def cut_at_antimeridian(layer: Layer) -> Layer:
    """The layer in longitude and latitude with polygons cut that go across 180 degrees; those become multipolygons.

    A vertex more than 180 degrees from the one before is taken to lie across the antimeridian.
    """
    crossing = crossing_lines(layer.lines.offsets, layer.lines.x)
    if not crossing.any():
        return layer
    layer = replace(layer, lines=_with_crossings(layer.lines, crossing))
    rings = np.add.reduceat(crossing[layer.darts >> 1].astype(np.int64), layer.rings[:-1]) > 0
    polygons = np.add.reduceat(rings.astype(np.int64), layer.polygons[:-1]) > 0
    which = np.flatnonzero(np.add.reduceat(polygons.astype(np.int64), layer.features[:-1]) > 0)
    cuts = [_cut(_ground_rings(layer, int(i))) for i in which]
    order = np.arange(len(layer))
    order[which] = len(layer) + np.arange(len(which))
    return layer.followed_by(_as_layer(layer.taken(which), cuts)).taken(order)


@kernel
def crossing_lines(offsets, x):  # type: ignore[no-untyped-def]
    """Which lines leave -180…180 or step over its ends."""
    out = np.zeros(len(offsets) - 1, np.bool_)
    for i in range(len(out)):
        for k in range(offsets[i], offsets[i + 1]):
            out[i] |= abs(x[k]) > 180 or (k > offsets[i] and abs(x[k] - x[k - 1]) > 180)
    return out


def _with_crossings(lines: Lines, crossing: NDArray[np.bool_]) -> Lines:
    """The lines with a vertex wherever they pass 180 degrees, so that neighbours are cut at the very same places."""
    pieces, start = [], 0
    counts = np.diff(lines.offsets)
    for i in np.flatnonzero(crossing):
        first, last = int(lines.offsets[i]), int(lines.offsets[i + 1])
        pieces.append(np.stack((lines.x[start:first], lines.y[start:first])))
        pieces.append(through_180(lines.x[first:last], lines.y[first:last]))
        counts[i] = pieces[-1].shape[1]
        start = last
    pieces.append(np.stack((lines.x[start:], lines.y[start:])))
    x, y = np.concatenate(pieces, axis=1)
    return Lines(np.concatenate(([0], np.cumsum(counts))), np.round(x, DECIMALS), y)


def through_180(x: Floats, y: Floats) -> Floats:
    """One line, unwrapped, as (2, n) with the vertices where it passes an odd multiple of 180 degrees."""
    x = _unwrapped(x)
    before, after = x[:-1], x[1:]
    # The multiple that lies strictly between two vertices; segments are far shorter than a turn.
    border = 360 * np.floor((np.maximum(before, after) + 180) / 360) - 180
    k = np.flatnonzero((np.minimum(before, after) < border) & (border < np.maximum(before, after)))
    share = (border[k] - before[k]) / (after[k] - before[k])
    return np.stack((np.insert(x, k + 1, border[k]), np.insert(y, k + 1, y[k] + share * (y[k + 1] - y[k]))))


def _unwrapped(x: Floats) -> Floats:
    """Longitudes without steps of more than 180; `np.unwrap` adds up rounding errors as it goes."""
    return np.round(np.unwrap(x, period=360), DECIMALS)


def _ground_rings(layer: Layer, feature: int) -> list[Floats]:
    """The rings of a feature of one polygon as (n, 2), closed, longitudes unwrapped so that no step exceeds 180."""
    polygon = int(layer.features[feature])
    out = []
    for k in range(layer.polygons[polygon], layer.polygons[polygon + 1]):
        parts = []
        for dart in layer.darts[layer.rings[k] : layer.rings[k + 1]]:
            piece = slice(layer.lines.offsets[dart >> 1], layer.lines.offsets[(dart >> 1) + 1])
            xy = np.stack((layer.lines.x[piece], layer.lines.y[piece]), axis=1)
            parts.append((xy[::-1] if dart & 1 else xy)[:-1])
        ring = np.concatenate((*parts, parts[0][:1]))
        ring[:, 0] = _unwrapped(ring[:, 0])
        out.append(ring)
    return out


def _cut(rings: list[Floats]) -> list[shapely.Polygon]:
    """The parts of a polygon in -180…180."""
    area = _filled(rings[0], 1.0)
    for ring in rings[1:]:
        area = shapely.difference(area, shapely.union_all(_repeated(_filled(ring, -1.0))))
    if _goes_around(rings[0]):
        parts = [shapely.intersection(area, _strip(0))]
    else:
        west, _, east, _ = area.bounds
        strips = range(int(np.floor((west + 180) / 360)), int(np.ceil((east + 180) / 360)))
        parts = [_shifted(shapely.intersection(area, _strip(k)), -k) for k in strips]
    whole = shapely.union_all(parts)
    polygons = [g for g in shapely.get_parts(whole) if g.geom_type == "Polygon" and g.area > 0]
    return list(shapely.orient_polygons(np.array(polygons, object)))


def _strip(turns: int) -> shapely.Polygon:
    return shapely.box(360 * turns - 180, -90, 360 * turns + 180, 90)


def _shifted(shape: shapely.Geometry, turns: int) -> shapely.Geometry:
    return shapely.transform(shape, lambda xy: np.stack((np.round(xy[:, 0] + 360 * turns, DECIMALS), xy[:, 1]), axis=1))


def _repeated(shape: shapely.Geometry) -> list[shapely.Geometry]:
    return [_shifted(shape, turns) for turns in range(-2, 3)]


def _goes_around(ring: Floats) -> bool:
    """Whether a ring ends a whole turn of the earth from where it began."""
    return bool(abs(ring[-1, 0] - ring[0, 0]) > 180)


def _filled(ring: Floats, side: float) -> shapely.Geometry:
    """What a ring encloses; one that goes all around the earth is closed along the pole that lies on its inner side.

    An exterior (side 1) has the polygon on its left, so going east it holds the north pole; a hole (side -1) the south.
    Such a ring is unrolled over seven turns, since it may double back anywhere, and what it encloses is right in
    -180…180, far from the two ends.
    """
    if not _goes_around(ring):
        filled = shapely.Polygon(ring)
        return filled if filled.is_valid else shapely.make_valid(filled)
    turn = np.sign(ring[-1, 0] - ring[0, 0])
    ring = ring - (360 * np.rint(ring[0, 0] / 360), 0)
    path = np.concatenate([ring[:-1] + (360 * turn * k, 0) for k in range(-3, 4)])
    pole = 90.0 * turn * side
    return shapely.make_valid(shapely.Polygon([*path, (path[-1, 0], pole), (path[0, 0], pole)]))


def _as_layer(like: Layer, cuts: list[list[shapely.Polygon]]) -> Layer:
    """Features of these polygons, with the attributes of the layer `like`; each ring is a closed line of its own."""
    polygons = [p for parts in cuts for p in parts]
    rings = [[p.exterior, *p.interiors] for p in polygons]
    coordinates = [shapely.get_coordinates(r) for group in rings for r in group]
    xy = np.concatenate(coordinates) if coordinates else np.empty((0, 2))
    lines = Lines(_offsets([len(c) for c in coordinates]), xy[:, 0].copy(), xy[:, 1].copy())
    count = len(coordinates)
    return replace(
        like, lines=lines, features=_offsets([len(parts) for parts in cuts]),
        polygons=_offsets([len(group) for group in rings]), rings=np.arange(count + 1),
        darts=(2 * np.arange(count)).astype(np.int32),
    )  # fmt: skip


def _offsets(counts: list[int]) -> Longs:
    return np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
