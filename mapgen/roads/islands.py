"""Islands in a road: two ways around a tree or a median, between the same two places, made one through its middle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mapgen.arrays import Array, Bools, Floats, Ints, Longs
from mapgen.polygons.lines import Lines
from mapgen.roads.centre import crossing
from mapgen.roads.graph import Graph


def without_islands(graph: Graph, most: float, aspect: float = 1.0) -> Graph:
    """The graph after edges that join the same two nodes around at most `most` (square pixel widths) have become one.

    The new edge runs half-way between the two, and is as wide as both together and what lies between. Of a roundabout
    each edge joins other nodes, so it stays. Laws: parts stay; each island that goes is one loop less; no edge crosses
    another that did not.
    """
    while True:
        pairs = _islands(graph, most, aspect)
        fresh, middle = _merged(graph, pairs, aspect)
        while pairs and (bad := _crossing(fresh)[middle]).any():
            pairs = [pair for pair, crosses in zip(pairs, bad.tolist(), strict=True) if not crosses]
            fresh, middle = _merged(graph, pairs, aspect)
        if not pairs:
            return graph
        graph = fresh.joined()


def _crossing(graph: Graph) -> Bools:
    """Which edges cross another on the lattice."""
    x, y = graph.x[graph.path].astype(np.float64), graph.y[graph.path].astype(np.float64)
    return crossing(Lines(graph.offsets, x, y), graph.u, graph.v)


def _islands(graph: Graph, most: float, aspect: float) -> list[tuple[int, int]]:
    """Pairs of edges around an island, no edge twice and no two pairs at one node."""
    ends = np.sort(np.stack((graph.u, graph.v), axis=1), axis=1).astype(np.int64)
    keys = ends[:, 0] * max(len(graph.nodes), 1) + ends[:, 1]
    order = np.argsort(keys, kind="stable")
    same = np.flatnonzero((np.diff(keys[order]) == 0) & (ends[order[1:], 0] != ends[order[1:], 1]))
    taken: set[int] = set()
    out = []
    for i in same.tolist():
        a, b = int(order[i]), int(order[i + 1])
        nodes = {int(graph.u[a]), int(graph.v[a])}
        if not nodes & taken and _area(graph, a, b, aspect) <= most:
            taken |= nodes
            out.append((a, b))
    return out


def _chain(graph: Graph, edge: int, start: int) -> Ints:
    """The pixels of an edge from a node on."""
    path = graph.path[graph.offsets[edge] : graph.offsets[edge + 1]]
    return path if graph.u[edge] == start else path[::-1]


def _area(graph: Graph, a: int, b: int, aspect: float) -> float:
    """What lies between two edges, in square pixel widths."""
    start = int(graph.u[a])
    ring = np.concatenate((_chain(graph, a, start), _chain(graph, b, start)[::-1]))
    x, y = graph.x[ring].astype(float), graph.y[ring] * aspect
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _merged(graph: Graph, pairs: list[tuple[int, int]], aspect: float) -> tuple[Graph, Longs]:
    """The graph with one edge for each pair, half-way between the two; and the numbers of these edges."""
    if not pairs:
        return graph, np.empty(0, np.int64)
    paths: list[Ints] = np.split(graph.path, graph.offsets[1:-1])
    fresh: list[tuple[Array, ...]] = []
    count = len(graph.x)
    for a, b in pairs:
        start = int(graph.u[a])
        fresh.append(_between(graph, _chain(graph, a, start), _chain(graph, b, start), aspect))
        inner = np.arange(count, count + len(fresh[-1][0]), dtype=np.int32)
        count += len(inner)
        paths[a] = np.concatenate(([graph.nodes[start]], inner, [graph.nodes[graph.v[a]]])).astype(np.int32)
    x, y, r = (np.concatenate(column) for column in zip(*fresh, strict=True))
    none = np.zeros(len(x), np.bool_)
    offsets = np.concatenate(([0], np.cumsum([len(path) for path in paths]))).astype(np.int64)
    whole = replace(
        graph, x=np.concatenate((graph.x, x)), y=np.concatenate((graph.y, y)), r=np.concatenate((graph.r, r)),
        frame=np.concatenate((graph.frame, none)), bridge=np.concatenate((graph.bridge, none)), offsets=offsets,
        path=np.concatenate(paths),
    )  # fmt: skip
    first, second = np.array(pairs, np.int64).T
    kept = np.setdiff1d(np.arange(len(graph)), second)
    return whole.taken(kept), np.searchsorted(kept, first)


def _between(graph: Graph, one: Ints, other: Ints, aspect: float) -> tuple[Ints, Ints, Floats]:
    """Pixels half-way between two chains of pixels, their ends left out, and their distance to the kerb."""
    count = max(len(one), len(other))
    places = []
    for chain in (one, other):
        at = np.linspace(0, len(chain) - 1, count)
        steps = np.arange(len(chain))
        places.append([np.interp(at, steps, values[chain]) for values in (graph.x, graph.y, graph.r)])
    (ax, ay, ar), (bx, by, br) = places
    x: Ints = np.rint((ax + bx) / 2).astype(np.int32)[1:-1]
    y: Ints = np.rint((ay + by) / 2).astype(np.int32)[1:-1]
    r = ((ar + br + np.hypot(bx - ax, (by - ay) * aspect)) / 2)[1:-1].astype(np.float32)
    same = (x == graph.x[one[0]]) & (y == graph.y[one[0]]) | (x == graph.x[one[-1]]) & (y == graph.y[one[-1]])
    fresh = ~same & np.concatenate(([True], (np.diff(x) != 0) | (np.diff(y) != 0)))[: len(x)]
    return x[fresh], y[fresh], r[fresh]
