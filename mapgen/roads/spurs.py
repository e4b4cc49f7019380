"""Spurs: dead ends that are no road but the uneven border of one."""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from mapgen.kernels import kernel
from mapgen.roads.centre import bridged_shares
from mapgen.roads.graph import Graph, incident

FORK = 1.0
"""Radii of its root that an end at the frame sticks out, at least: where borders are uneven, roads fork there too."""

ROOT = 2.0
"""Radii of its root that a dead end sticks out, at least."""

OWN = 2.0
"""Medians of its own r that a dead end sticks out, at least: what is hardly longer than wide is no road, but a blot."""


def pruned(graph: Graph, spur: float, aspect: float = 1.0) -> Graph:
    """Without the dead ends that stick out too little; the nodes of degree 2 that this leaves are joined.

    What a dead end sticks out by is its length + r at its tip − r at its root, that is beyond the disc of the junction;
    bridged gaps do not count, so that a speck which a bridge joins to a road is none. It goes while that is below
    `spur` (in pixel widths), below ROOT times the r of its root (borders of wide roads are uneven on a larger scale),
    or below OWN times the median r of its own, the least first. Ends at the frame stay unless they stick out by less
    than FORK times the r of their root, and so do edges that are a part of their own. Laws: parts and loops stay;
    nothing is left to do.
    """
    first, darts = incident(graph.u, graph.v, len(graph.nodes))
    pixels = (graph.x, graph.y, graph.r, graph.frame, float(aspect))
    table = (graph.nodes, graph.u, graph.v, graph.offsets, graph.path)
    seen = graph.lengths(aspect) * (1 - bridged_shares(graph, aspect))
    alive = _prune(pixels, table, first, darts, graph.degrees(), seen, float(spur))
    return graph.taken(np.flatnonzero(alive)).joined()


@kernel
def _origin(table, dart):  # type: ignore[no-untyped-def]
    _, u, v, _, _ = table
    return v[dart >> 1] if dart & 1 else u[dart >> 1]


@kernel
def _median(pixels, table, link, dart):  # type: ignore[no-untyped-def]
    """The median r of the pixels of a joined edge that begins with this dart."""
    _, _, r, _, _ = pixels
    _, _, _, offsets, path = table
    size, at = 0, dart
    while at >= 0:
        size += offsets[(at >> 1) + 1] - offsets[at >> 1]
        at = link[at ^ 1]
    values = np.empty(size)
    n, at = 0, dart
    while at >= 0:
        low, high = offsets[at >> 1], offsets[(at >> 1) + 1]
        if at != dart:  # the pixel where two edges are joined counts once
            low, high = (low, high - 1) if at & 1 else (low + 1, high)
        for k in range(low, high):
            values[n] = r[path[k]]
            n += 1
        at = link[at ^ 1]
    return np.median(values[:n])


@kernel
def _excess(pixels, table, link, mate, length, degrees, dart, spur):  # type: ignore[no-untyped-def]
    """By what the dead end that begins with this dart sticks out, infinite where it is to stay."""
    _, _, r, frame, _ = pixels
    nodes = table[0]
    tip, base = _origin(table, dart), _origin(table, mate[dart])
    if degrees[tip] != 1 or degrees[base] == 1:
        return np.inf
    excess = length[dart] + r[nodes[tip]] - r[nodes[base]]
    if frame[nodes[tip]]:  # not the end of a road, but it may be one side of a fork
        return excess if excess < FORK * r[nodes[base]] else np.inf
    if excess < max(spur, ROOT * r[nodes[base]]):
        return excess
    # A median is at most the greatest r, which the length bounds loosely: spare the walk for long ones.
    if length[dart] > 1e4:
        return np.inf
    return excess if excess < OWN * _median(pixels, table, link, dart) else np.inf


@kernel
def _prune(pixels, table, first, darts, degrees, lengths, spur):  # type: ignore[no-untyped-def]
    """Which edges stay. Joined edges are known by their end darts: `mate` is the dart at the other end.

    `link[d]` is the dart that goes on where the edge of d begins, for darts inside a joined edge.
    """
    nodes = table[0]
    edges = len(lengths)
    link, mate = np.full(2 * edges, -1, np.int64), np.arange(2 * edges) ^ 1
    length = np.repeat(lengths, 2)
    alive = np.ones(edges, np.bool_)
    queue: list[Any] = [(0.0, 0, 0, 0) for _ in range(0)]
    for node in range(len(nodes)):
        if degrees[node] == 1:
            dart = np.int64(darts[first[node]])
            excess = _excess(pixels, table, link, mate, length, degrees, dart, spur)
            if excess < np.inf:
                queue.append((excess, np.int64(nodes[node]), dart, mate[dart]))
    heapq.heapify(queue)
    while len(queue) > 0:
        _, _, dart, end = heapq.heappop(queue)
        tip, base = _origin(table, dart), _origin(table, end)
        if mate[dart] != end or not alive[dart >> 1] or degrees[base] == 1:
            continue
        at = dart
        while at >= 0:
            alive[at >> 1] = False
            at = link[at ^ 1]
        degrees[tip] -= 1
        degrees[base] -= 1
        if degrees[base] != 2:
            continue
        a, b = np.int64(-1), np.int64(-1)
        for k in range(first[base], first[base + 1]):
            if alive[darts[k] >> 1]:
                a, b = b, np.int64(darts[k])
        if mate[a] == b:  # a loop that nothing is left on
            continue
        link[a], link[b] = b, a
        one, other = mate[a], mate[b]
        mate[one], mate[other] = other, one
        length[one] = length[other] = length[a] + length[b]
        for dart in (one, other):
            excess = _excess(pixels, table, link, mate, length, degrees, dart, spur)
            if excess < np.inf:
                queue_item = (excess, np.int64(nodes[_origin(table, dart)]), dart, mate[dart])
                heapq.heappush(queue, queue_item)
    return alive
