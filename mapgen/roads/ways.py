"""Ways over a network: where a point lies on it, and the shortest way from there."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace

import numpy as np
import shapely

from mapgen.arrays import Floats, Geometries, Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.lines import Lines
from mapgen.roads.graph import connected, incident


@dataclass(frozen=True, slots=True)
class Ways:
    """A network in a plane: edge i runs along line i from node `u[i]` to node `v[i]` and is `length[i]` metres long."""

    count: int
    u: Ints
    v: Ints
    length: Floats
    lines: Lines

    def __len__(self) -> int:
        return len(self.u)

    def geometries(self) -> Geometries:
        """The lines as shapely geometries."""
        points = np.stack((self.lines.x, self.lines.y), axis=1)
        return shapely.from_ragged_array(shapely.GeometryType.LINESTRING, points, (self.lines.offsets,))

    def parts(self) -> Ints:
        """The connected part of each node."""
        return connected(self.count, self.u, self.v)


@dataclass(frozen=True, slots=True)
class Places:
    """Points on a network: on edge `edges[i]` (-1 where none is near), `shares[i]` of the way along it."""

    edges: Longs
    shares: Floats
    away: Floats
    """How far the point asked for lies from there."""


def ways_of(geometries: list[Floats], length: Floats | None = None, turn: float | None = None) -> Ways:
    """The network of lines, each an array (n, 2): nodes are their ends, one where they are equal bit by bit.

    In longitude and latitude, with a `turn` of 360, ends at 180 and -180 degrees are equal too.
    """
    offsets = np.concatenate(([0], np.cumsum([len(g) for g in geometries]))).astype(np.int64)
    points = np.concatenate(geometries) if geometries else np.empty((0, 2))
    lines = Lines(offsets, points[:, 0].copy(), points[:, 1].copy())
    ends = np.concatenate((points[offsets[:-1]], points[offsets[1:] - 1]))
    if turn is not None:
        ends[ends[:, 0] == -turn / 2, 0] = turn / 2
    nodes, which = np.unique(ends, axis=0, return_inverse=True)
    places: Ints = which.ravel().astype(np.int32)
    size = line_lengths(lines) if length is None else length
    return Ways(len(nodes), places[: len(geometries)], places[len(geometries) :], size, lines)


def line_lengths(lines: Lines) -> Floats:
    """The length of each line in its own plane."""
    steps = np.hypot(np.diff(lines.x), np.diff(lines.y))
    steps[lines.offsets[1:-1] - 1] = 0.0  # from the end of a line to the beginning of the next
    sums = np.concatenate(([0.0], np.cumsum(steps)))
    return sums[np.maximum(lines.offsets[1:] - 1, 0)] - sums[np.minimum(lines.offsets[:-1], max(len(sums) - 1, 0))]


def snapped(ways: Ways, x: Floats, y: Floats, reach: float) -> Places:
    """The nearest place on the network for each point, if one is no farther than `reach`; of equals the first edge."""
    edges = np.full(len(x), -1, np.int64)
    shares, away = np.zeros(len(x)), np.full(len(x), np.inf)
    if not len(ways) or not len(x):
        return Places(edges, shares, away)
    lines, points = ways.geometries(), shapely.points(x, y)
    found = shapely.STRtree(lines).query_nearest(points, max_distance=reach, all_matches=True)
    which, line = found[:, np.lexsort((found[1], found[0]))]
    first = np.flatnonzero(np.concatenate(([True], np.diff(which) > 0))) if len(which) else np.empty(0, np.intp)
    which, line = which[first], line[first]
    edges[which] = line
    shares[which] = shapely.line_locate_point(lines[line], points[which], normalized=True)
    away[which] = shapely.distance(lines[line], points[which])
    return Places(edges, shares, away)


@dataclass(frozen=True, slots=True)
class Cut:
    """A network cut at places: piece i of `ways` is what lies between two shares of edge `edges[i]` of the whole one.

    The lines are still those of the whole network.
    """

    ways: Ways
    edges: Longs
    begins: Floats
    ends: Floats


def with_places(ways: Ways, places: Places) -> tuple[Cut, Longs]:
    """The network with a node at each place, and which node that is (-1 for none)."""
    node = np.full(len(places.edges), -1, np.int64)
    on = np.flatnonzero(places.edges >= 0)
    at_start, at_end = places.shares[on] <= 0, places.shares[on] >= 1
    node[on[at_start]] = ways.u[places.edges[on[at_start]]]
    node[on[at_end]] = ways.v[places.edges[on[at_end]]]
    inner = on[~at_start & ~at_end]
    inner = inner[np.lexsort((places.shares[inner], places.edges[inner]))]
    node[inner] = ways.count + np.arange(len(inner))
    edge = places.edges[inner]
    pieces = np.repeat(np.arange(len(ways)), np.bincount(edge, minlength=len(ways)) + 1)
    first = np.concatenate(([True], np.diff(pieces) > 0)) if len(pieces) else np.zeros(0, bool)
    last = np.concatenate((np.diff(pieces) > 0, [True])) if len(pieces) else np.zeros(0, bool)
    u, v = ways.u[pieces].copy(), ways.v[pieces].copy()
    begin, end = np.zeros(len(pieces)), np.ones(len(pieces))
    u[~first], v[~last] = node[inner], node[inner]
    begin[~first], end[~last] = places.shares[inner], places.shares[inner]
    cut = replace(ways, count=ways.count + len(inner), u=u, v=v, length=ways.length[pieces] * (end - begin))
    return Cut(cut, pieces, begin, end), node


def distances(ways: Ways, sources: Longs, limit: float = np.inf) -> Floats:
    """(sources, nodes): metres of the shortest way from each source node to all nodes, infinite where there is none."""
    first, darts = incident(ways.u, ways.v, ways.count)
    out = np.full((len(sources), ways.count), np.inf)
    before = np.empty(ways.count, np.int32)
    for row, source in zip(out, sources.tolist(), strict=True):
        _dijkstra(ways.u, ways.v, ways.length, first, darts, source, float(limit), row, before)
    return out


def shortest(ways: Ways, source: int, target: int) -> tuple[float, Ints]:
    """Metres of the shortest way between two nodes and its darts in order; infinite and empty where there is none."""
    first, darts = incident(ways.u, ways.v, ways.count)
    far, before = np.full(ways.count, np.inf), np.empty(ways.count, np.int32)
    _dijkstra(ways.u, ways.v, ways.length, first, darts, source, np.inf, far, before)
    if not np.isfinite(far[target]):
        return float("inf"), np.empty(0, np.int32)
    way: list[int] = []
    at = target
    while at != source:
        dart = int(before[at])
        way.append(dart)
        at = int(ways.v[dart >> 1] if dart & 1 else ways.u[dart >> 1])
    return float(far[target]), np.array(way[::-1], np.int32)


@kernel
def _dijkstra(u, v, length, first, darts, source, limit, far, before):  # type: ignore[no-untyped-def]
    """Fill `far` with distances up to the limit and `before` with the dart that each node is reached by."""
    far[source] = 0.0
    queue = [(0.0, np.int64(source))]
    while len(queue) > 0:
        now, at = heapq.heappop(queue)
        if now > far[at]:
            continue
        for k in range(first[at], first[at + 1]):
            dart = darts[k]
            to = np.int64(u[dart >> 1] if dart & 1 else v[dart >> 1])
            new = now + length[dart >> 1]
            if new <= limit and new < far[to]:
                far[to] = new
                before[to] = dart
                heapq.heappush(queue, (new, to))
