"""Junctions: nodes that lie within one crossing made one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Array, Bools, Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.clearance import first_at
from mapgen.polygons.lines import Lines
from mapgen.polygons.union_find import root
from mapgen.roads.centre import crossing
from mapgen.roads.graph import Graph

NEAR = 3.5
"""Radii, at most, between junctions that are one."""

REACH = 0.8
"""Share of a junction's radius within which edges run straight to its node."""

AROUND = 0.5
"""Share of that distance around each old node within which its edges run straight to the new one too."""


@dataclass(frozen=True, slots=True)
class _Groups:
    """Nodes that are to become one: `of[node]` is the group or -1; centre (a pixel) and radius of each group."""

    of: Ints
    x: Ints
    y: Ints
    radius: NDArray[np.float32]
    inner: Bools
    """Which edges disappear in a group."""


def contracted(graph: Graph, height: int, aspect: float = 1.0) -> Graph:
    """The graph after edges between junctions have shrunk to nothing where one lies in the disc of the other.

    That is, edges between nodes of degree 3 or more no longer than NEAR of the greater r of the two, the shortest
    first, as long as they join what is not joined yet: so loops stay, and with them roundabouts. The new node is the
    mean of the old ones, weighted by r; within REACH of r edges run straight to it. Where another edge passes through
    that disc, or edges would cross, the longest of the edges inside stays, and what is left of the group is tried.
    Laws: parts and loops stay.
    """
    short, pixels = _short(graph, aspect), _pixel_table(graph, height)
    groups = _grouped(graph, short)
    while len(groups.x):
        skip = _skips(graph, groups, aspect)
        refused = _refused(graph, groups, skip, pixels, aspect)
        if not refused.any():
            fresh = _rebuilt(graph, groups, skip)
            refused = _crossed(fresh, len(graph.x), len(groups.x))
            if not refused.any():
                return fresh
        short = _without(graph, groups, refused, short)
        groups = _grouped(graph, short)
    return graph


def _short(graph: Graph, aspect: float) -> Longs:
    """The edges that may shrink to nothing, the shortest first."""
    r, degrees = graph.r[graph.nodes], graph.degrees()
    lengths = graph.lengths(aspect)
    short = (degrees[graph.u] >= 3) & (degrees[graph.v] >= 3) & (lengths <= NEAR * np.maximum(r[graph.u], r[graph.v]))
    order = np.flatnonzero(short)
    return order[np.argsort(lengths[order], kind="stable")].astype(np.int64)


def _grouped(graph: Graph, short: Longs) -> _Groups:
    parent, inner = _union(graph.u, graph.v, short, len(graph.nodes))
    members = np.bincount(parent, minlength=len(parent))[parent] > 1
    of = np.full(len(parent), -1, np.int32)
    _, of[members] = np.unique(parent[members], return_inverse=True)
    return _placed(graph, of, inner)


def _placed(graph: Graph, of: Ints, inner: Bools) -> _Groups:
    members = of >= 0
    groups, pixels = of[members], graph.nodes[members]
    r = graph.r[pixels].astype(np.float64)
    count = int(of.max()) + 1 if len(of) else 0
    weights = np.bincount(groups, r, count)
    x, y = (np.bincount(groups, r * values[pixels], count) / weights for values in (graph.x, graph.y))
    radius = np.zeros(count, np.float32)
    np.maximum.at(radius, groups, graph.r[pixels])
    return _Groups(of, np.rint(x).astype(np.int32), np.rint(y).astype(np.int32), radius, inner)


def _without(graph: Graph, groups: _Groups, refused: Bools, short: Longs) -> Longs:
    """The short edges without the longest inner one of each group that was refused: what is left of it may yet do."""
    of = groups.of[graph.u[short]]
    inner = groups.inner[short] & (of >= 0) & np.append(refused, False)[of]
    which = np.flatnonzero(inner)[::-1]  # the longest first
    _, first = np.unique(of[which], return_index=True)
    # Edges that join a group to itself would only take the place of the one that goes.
    loose = ~groups.inner[short] & (of >= 0) & (of == groups.of[graph.v[short]]) & np.append(refused, False)[of]
    gone = loose
    gone[which[first]] = True
    return short[~gone]


def _crossed(graph: Graph, pixels: int, count: int) -> Bools:
    """Groups at which an edge ends whose last segment crosses another; their nodes are the pixels from `pixels` on.

    All other segments are those of the lattice, which do not cross each other.
    """
    edges = np.arange(len(graph))
    graph = graph.split(np.tile(edges, 2), np.concatenate((graph.offsets[:-1] + 1, graph.offsets[1:] - 2)))
    x, y = graph.x[graph.path].astype(np.float64), graph.y[graph.path].astype(np.float64)
    bad = crossing(Lines(graph.offsets, x, y), graph.u, graph.v)
    ends = graph.nodes[np.concatenate((graph.u[bad], graph.v[bad]))]
    refused = np.zeros(count, np.bool_)
    refused[ends[ends >= pixels] - pixels] = True
    return refused


def _rebuilt(graph: Graph, groups: _Groups, skip: Longs) -> Graph:
    """The graph with one node for each group, a pixel of its own, and without the edges inside."""
    count = len(groups.x)
    pixels = len(graph.x) + np.arange(count, dtype=np.int32)
    node = np.where(groups.of >= 0, len(graph.nodes) + groups.of, np.arange(len(graph.nodes), dtype=np.int32))
    outer = np.flatnonzero(~groups.inner)
    ends = np.append(pixels, np.int32(-1))[np.stack((groups.of[graph.u], groups.of[graph.v]))]
    offsets, path = _cut(graph.offsets, graph.path, outer, ends, skip)
    radius = groups.radius
    return replace(
        graph, x=np.concatenate((graph.x, groups.x)), y=np.concatenate((graph.y, groups.y)),
        r=np.concatenate((graph.r, radius)), frame=np.concatenate((graph.frame, np.zeros(count, np.bool_))),
        bridge=np.concatenate((graph.bridge, np.zeros(count, np.bool_))),
        nodes=np.concatenate((graph.nodes, pixels)), u=node[graph.u[outer]].astype(np.int32),
        v=node[graph.v[outer]].astype(np.int32), offsets=offsets, path=path,
    ).taken(np.arange(len(outer)))  # fmt: skip


def _skips(graph: Graph, groups: _Groups, aspect: float) -> Longs:
    """(2, E): how many pixels at the beginning and at the end of each edge lie in the disc of the group there, or near
    the old node."""
    table = (graph.x, graph.y, graph.offsets, graph.path)
    reach = REACH * groups.radius
    return _skip(table, graph.u, graph.v, groups.of, groups.x, groups.y, reach, float(aspect))


def _pixel_table(graph: Graph, height: int) -> tuple[Array, ...]:
    """The pixels in use, row by row: offsets of the rows, columns, and of each its edge, place in `path` and node."""
    used = np.unique(graph.path)
    used = used[np.lexsort((graph.x[used], graph.y[used]))]
    edge = np.full(len(graph.x), -1, np.int64)
    place = np.full(len(graph.x), -1, np.int64)
    edge[graph.path] = np.repeat(np.arange(len(graph)), np.diff(graph.offsets))
    place[graph.path] = np.arange(len(graph.path))
    node = np.full(len(graph.x), -1, np.int64)
    node[graph.nodes] = np.arange(len(graph.nodes))
    lines = np.concatenate(([0], np.cumsum(np.bincount(graph.y[used], minlength=height)))).astype(np.int64)
    return lines, graph.x[used], edge[used], place[used], node[used]


def _refused(graph: Graph, groups: _Groups, skip: Longs, pixels: tuple[Array, ...], aspect: float) -> Bools:
    """Groups whose disc holds a pixel of an edge that only passes, or which would make an edge nothing or a twin."""
    reach = REACH * groups.radius
    refused = _foreign(
        pixels, graph.u, graph.v, graph.offsets, groups.of, groups.x, groups.y, reach, groups.inner, skip,
        float(aspect),
    )  # fmt: skip
    of_u, of_v = groups.of[graph.u], groups.of[graph.v]
    gone = ~groups.inner & (of_u >= 0) & (of_v >= 0) & (skip.sum(axis=0) >= np.diff(graph.offsets))
    twins: dict[Any, int] = {}
    for i in np.flatnonzero(gone).tolist():
        pair = (min(of_u[i], of_v[i]), max(of_u[i], of_v[i]))
        if of_u[i] == of_v[i] or pair in twins:
            refused[[of_u[i], of_v[i]]] = True
        twins[pair] = i
    return refused


@kernel
def _union(u, v, order, count):  # type: ignore[no-untyped-def]
    parent = np.arange(count).astype(np.int32)
    inner = np.zeros(len(u), np.bool_)
    for i in order:
        a, b = root(parent, u[i]), root(parent, v[i])
        if a != b:
            parent[max(a, b)] = min(a, b)
            inner[i] = True
    for i in range(count):
        parent[i] = root(parent, i)
    return parent, inner


@kernel
def _inside(x, y, pixel, cx, cy, reach, aspect):  # type: ignore[no-untyped-def]
    return np.hypot(float(x[pixel] - cx), (y[pixel] - cy) * aspect) < reach


@kernel
def _skip(table, u, v, of, cx, cy, reach, aspect):  # type: ignore[no-untyped-def]
    x, y, offsets, path = table
    out = np.zeros((2, len(u)), np.int64)
    for i in range(len(u)):
        low, high = offsets[i], offsets[i + 1]
        for e in range(2):
            group = of[v[i]] if e else of[u[i]]
            if group < 0:
                continue
            own = path[high - 1] if e else path[low]
            k = 0
            while k < high - low:
                pixel = path[high - 1 - k] if e else path[low + k]
                # Edges of a node outside the disc would run over each other if they went through its pixel.
                near = np.hypot(float(x[pixel] - x[own]), (y[pixel] - y[own]) * aspect) < AROUND * reach[group]
                if k > 0 and not near and not _inside(x, y, pixel, cx[group], cy[group], reach[group], aspect):
                    break
                k += 1
            out[e, i] = k
    return out


@kernel
def _foreign(table, u, v, offsets, of, cx, cy, reach, inner, skip, aspect):  # type: ignore[no-untyped-def]
    lines, columns, edges, places, nodes = table
    refused = np.zeros(len(cx), np.bool_)
    for g in range(len(cx)):
        across = reach[g] + 1
        down = int(across / aspect) + 1
        for y in range(max(0, cy[g] - down), min(len(lines) - 2, cy[g] + down) + 1):
            for k in range(first_at(columns, lines[y], lines[y + 1], cx[g] - across), lines[y + 1]):
                if columns[k] > cx[g] + across:
                    break
                if np.hypot(float(columns[k] - cx[g]), (y - cy[g]) * aspect) >= reach[g]:
                    continue
                if nodes[k] >= 0:
                    refused[g] |= of[nodes[k]] != g
                    continue
                e, at = edges[k], places[k]
                mine = inner[e] and of[u[e]] == g
                mine |= of[u[e]] == g and at < offsets[e] + skip[0, e]
                mine |= of[v[e]] == g and at >= offsets[e + 1] - skip[1, e]
                refused[g] |= not mine
    return refused


@kernel
def _cut(offsets, path, outer, ends, skip):  # type: ignore[no-untyped-def]
    """The chains of the edges that stay, from and to the new nodes where there are some."""
    out, total = np.zeros(len(outer) + 1, np.int64), 0
    for i in range(len(outer)):
        e = outer[i]
        middle = max(0, offsets[e + 1] - offsets[e] - skip[0, e] - skip[1, e])
        total += middle + (ends[0, e] >= 0) + (ends[1, e] >= 0)
        out[i + 1] = total
    chain = np.empty(total, np.int32)
    n = 0
    for e in outer:
        if ends[0, e] >= 0:
            chain[n] = ends[0, e]
            n += 1
        for k in range(offsets[e] + skip[0, e], offsets[e + 1] - skip[1, e]):
            chain[n] = path[k]
            n += 1
        if ends[1, e] >= 0:
            chain[n] = ends[1, e]
            n += 1
    return out, chain
