"""Bridges: which of the gaps that were found are closed, the surest first, and no way round is spoilt."""

from __future__ import annotations

import heapq
from dataclasses import replace

import numpy as np

from mapgen.arrays import Longs
from mapgen.kernels import kernel
from mapgen.polygons.union_find import root
from mapgen.roads.gaps import Candidates, CostOf, find_candidates
from mapgen.roads.graph import Graph

DETOUR = 4.0
"""How many times longer than the gap the way round must be, if both sides hang together already."""


def bridged(
    graph: Graph, cost_of: CostOf, height: int, width: int, budget: float, least: float, *,
    aspect: float = 1.0, rows: int = 512, threads: int = 1,
) -> tuple[Graph, int]:  # fmt: skip
    """The graph with its gaps bridged, and how many are; `budget` is the most that a bridge may cost, in pixel widths.

    A bridge leads from a dead end that is not at the frame to the nearest pixel of another edge, by Dijkstra's way over
    the cost raster (least cost a pixel: 1, so what is farther than the budget does not matter). Bridges are taken from
    the cheapest on, if they join two parts, or if the way round is longer than `least` and than DETOUR times the gap.
    Laws: the bridges for a budget are those of a larger one that cost no more; parts never rise in number; the result
    does not depend on `rows` or `threads`.
    """
    if budget <= 0 or not len(graph):
        return graph, 0
    found = find_candidates(graph, cost_of, height, width, budget, least, aspect=aspect, rows=rows, threads=threads)
    return accepted(graph, found, least, aspect)


def accepted(graph: Graph, found: Candidates, least: float, aspect: float = 1.0) -> tuple[Graph, int]:
    """The graph with the candidates that are worth it, and how many they are."""
    refined = graph.split(found.edges, found.places)
    order = np.argsort(refined.nodes, kind="stable")
    ids = np.searchsorted(refined.nodes[order], np.stack((graph.nodes[found.tips], graph.path[found.places])))
    tips, targets = order[ids]
    chosen = _choose(
        (refined.u, refined.v, refined.lengths(aspect), refined.degrees()), tips, targets, found.length,
        (found.offsets, found.x, found.y, graph.x, graph.y, graph.path[found.places], graph.nodes[found.tips]),
        float(least),
    )  # fmt: skip
    picks = np.flatnonzero(chosen)
    return _with_bridges(refined, found, picks, tips[picks], targets[picks]).joined(), len(picks)


def _with_bridges(graph: Graph, found: Candidates, picks: Longs, tips: Longs, targets: Longs) -> Graph:
    sizes = np.diff(found.offsets)[picks]
    ends = np.cumsum(sizes)
    inner = np.repeat(found.offsets[:-1][picks] - (ends - sizes), sizes) + np.arange(sizes.sum())
    added = len(graph.x) + np.arange(len(inner), dtype=np.int32)
    r = np.repeat(np.minimum(graph.r[graph.nodes[tips]], graph.r[graph.nodes[targets]]), sizes)
    path = np.insert(added, ends - sizes, graph.nodes[tips])
    stops = np.cumsum(sizes + 1)
    path = np.insert(path, stops, graph.nodes[targets])
    offsets = len(graph.path) + np.cumsum(sizes + 2)
    return replace(
        graph, x=np.concatenate((graph.x, found.x[inner])), y=np.concatenate((graph.y, found.y[inner])),
        r=np.concatenate((graph.r, r)), frame=np.concatenate((graph.frame, np.zeros(len(inner), np.bool_))),
        bridge=np.concatenate((graph.bridge, np.ones(len(inner), np.bool_))),
        u=np.concatenate((graph.u, tips.astype(np.int32))), v=np.concatenate((graph.v, targets.astype(np.int32))),
        offsets=np.concatenate((graph.offsets, offsets)), path=np.concatenate((graph.path, path)),
    )  # fmt: skip


@kernel
def _choose(edges, tips, targets, lengths, ways, least):  # type: ignore[no-untyped-def]
    """Which candidates become bridges, from the cheapest on."""
    u, v, sizes, degrees = edges
    count = len(degrees)
    chosen = np.zeros(len(tips), np.bool_)
    parent = np.arange(count).astype(np.int32)
    head = np.full(count, -1, np.int64)
    links = np.empty((2 * (len(u) + len(tips)), 2), np.int64)  # to which node, and the next link of the same node
    weights = np.empty(len(links))
    used = 0
    for i in range(len(u)):
        used = _connect(head, links, weights, used, u[i], v[i], sizes[i])
        a, b = root(parent, u[i]), root(parent, v[i])
        parent[max(a, b)] = min(a, b)
    far = np.full(count, np.inf)
    taken = {(np.int64(-1), np.int64(-1))}
    for i in range(len(tips)):
        a, b = tips[i], targets[i]
        if degrees[a] != 1 or not _is_open(ways, i, taken):
            continue
        one, other = root(parent, a), root(parent, b)
        if one == other:
            limit = max(least, DETOUR * lengths[i])
            if _way(head, links, weights, far, a, b, limit) <= limit:
                continue
        chosen[i] = True
        parent[max(one, other)] = min(one, other)
        used = _connect(head, links, weights, used, a, b, lengths[i])
        degrees[a] += 1
        degrees[b] += 1
        offsets, x, y = ways[0], ways[1], ways[2]
        for k in range(offsets[i], offsets[i + 1]):
            taken.add((np.int64(y[k]), np.int64(x[k])))
    return chosen


@kernel
def _is_open(ways, i, taken):  # type: ignore[no-untyped-def]
    """Whether no bridge that is already there meets or crosses the way of a candidate."""
    offsets, x, y, pixel_x, pixel_y, targets, tips = ways
    r, c = np.int64(pixel_y[tips[i]]), np.int64(pixel_x[tips[i]])
    for k in range(offsets[i], offsets[i + 1] + 1):
        last = k == offsets[i + 1]
        row = np.int64(pixel_y[targets[i]]) if last else np.int64(y[k])
        col = np.int64(pixel_x[targets[i]]) if last else np.int64(x[k])
        if not last and (row, col) in taken:
            return False
        if row != r and col != c and ((r, col) in taken and (row, c) in taken):
            return False
        r, c = row, col
    return True


@kernel
def _connect(head, links, weights, used, a, b, weight):  # type: ignore[no-untyped-def]
    for one, other in ((a, b), (b, a)):
        links[used, 0], links[used, 1] = other, head[one]
        weights[used] = weight
        head[one] = used
        used += 1
    return used


@kernel
def _way(head, links, weights, far, start, end, limit):  # type: ignore[no-untyped-def]
    """Length of the shortest way between two nodes, infinite beyond the limit; leaves `far` as it was."""
    far[start] = 0.0
    touched = [np.int64(start)]
    queue = [(0.0, np.int64(start))]
    result = np.inf
    while len(queue) > 0:
        now, at = heapq.heappop(queue)
        if now > far[at]:
            continue
        if at == end:
            result = now
            break
        k = head[at]
        while k >= 0:
            to, new = links[k, 0], now + weights[k]
            if new <= limit and new < far[to]:
                far[to] = new
                touched.append(np.int64(to))
                heapq.heappush(queue, (new, np.int64(to)))
            k = links[k, 1]
    for node in touched:
        far[node] = np.inf
    return result
