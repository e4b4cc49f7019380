"""Gaps: dead ends joined to what they most likely led to, over the cheapest ground."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Array, Floats, Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.clearance import first_at
from mapgen.roads.graph import Graph

TARGETS = 6
"""Edges that a dead end may be joined to: the cheapest so many, whatever the budget."""

LOOK_BACK = 12.0
"""Pixel widths of an edge that give the direction of its end."""

WIDEST_TURN = np.cos(np.radians(70))

STRAIGHT = 1.15
"""A path at most this much longer than the straight line becomes one, where nothing is in the way."""

CostOf = Callable[[int, int], NDArray[np.float32]]
"""What a step on each pixel of the rows first…last − 1 costs, 1 or more, as (rows, W)."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Possible bridges: from node `tips[i]` at `cost[i]` to the pixel at `places[i]` of `Graph.path` in `edges[i]`.

    `(y, x)[offsets[i]:offsets[i + 1]]` are the pixels between the two; `length` is in pixel widths.
    """

    cost: Floats
    length: Floats
    tips: Longs
    edges: Longs
    places: Longs
    offsets: Longs
    x: Ints
    y: Ints

    def __len__(self) -> int:
        return len(self.cost)


def find_candidates(
    graph: Graph, cost_of: CostOf, height: int, width: int, budget: float, least: float, *,
    aspect: float, rows: int, threads: int,
) -> Candidates:  # fmt: skip
    """All bridges within the budget, by cost, then by the place of the dead end and of its target."""
    table = _pixel_table(graph, height)
    ends = np.flatnonzero((graph.degrees() == 1) & ~graph.frame[graph.nodes])
    ends = ends[np.lexsort((graph.x[graph.nodes[ends]], graph.y[graph.nodes[ends]]))]
    at = graph.y[graph.nodes[ends]]
    reach = int(np.ceil(budget / min(1.0, aspect))) + 1

    def work(first: int) -> tuple[Array, ...]:
        some = ends[np.searchsorted(at, first) : np.searchsorted(at, first + rows)]
        if not len(some):
            return ()
        low, high = max(0, first - reach), min(height, first + rows + reach)
        shape = (graph.nodes, graph.u, graph.v, graph.offsets, graph.path)
        pixels = (graph.x, graph.y)
        cost = cost_of(low, high)
        return _search_all(table, shape, pixels, some, cost, low, float(budget), float(least), float(aspect))

    with ThreadPoolExecutor(threads) as pool:
        results = [part for part in pool.map(work, range(0, height, rows)) if part]
    return _sorted(_gathered(results), graph)


def _gathered(results: Iterable[tuple[Array, ...]]) -> Candidates:
    parts = list(results)
    if not parts:
        none, longs, ints = np.empty(0), np.empty(0, np.int64), np.empty(0, np.int32)
        return Candidates(none, none, longs, longs, longs, np.zeros(1, np.int64), ints, ints)
    cost, length, tips, edges, places, sizes, x, y = (np.concatenate(column) for column in zip(*parts, strict=True))
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return Candidates(cost, length, tips, edges, places, offsets, x, y)


def _sorted(found: Candidates, graph: Graph) -> Candidates:
    target, tip = graph.path[found.places], graph.nodes[found.tips]
    order = np.lexsort((graph.x[target], graph.y[target], graph.x[tip], graph.y[tip], found.cost))
    sizes = np.diff(found.offsets)[order]
    offsets = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    places = np.repeat(found.offsets[:-1][order] - offsets[:-1], sizes) + np.arange(offsets[-1])
    return Candidates(
        found.cost[order], found.length[order], found.tips[order], found.edges[order], found.places[order], offsets,
        found.x[places], found.y[places],
    )  # fmt: skip


def _pixel_table(graph: Graph, height: int) -> tuple[Longs, Ints, Longs, Longs]:
    """The pixels in use, row by row: offsets of the rows, columns, and the edge and place in `path` of each."""
    edge_of = np.repeat(np.arange(len(graph)), np.diff(graph.offsets))
    pixels, first = np.unique(graph.path, return_index=True)
    order = np.lexsort((graph.x[pixels], graph.y[pixels]))
    pixels, first = pixels[order], first[order]
    lines = np.concatenate(([0], np.cumsum(np.bincount(graph.y[pixels], minlength=height)))).astype(np.int64)
    return lines, graph.x[pixels], edge_of[first].astype(np.int64), first.astype(np.int64)


@kernel
def _painted(table, top, left, height, width):  # type: ignore[no-untyped-def]
    """A window of the raster with the number of the pixel in use in the table, -1 elsewhere."""
    lines, x, _, _ = table
    out = np.full((height, width), -1, np.int64)
    for r in range(height):
        y = top + r
        k = first_at(x, lines[y], lines[y + 1], left)
        while k < lines[y + 1] and x[k] < left + width:
            out[r, x[k] - left] = k
            k += 1
    return out


@kernel
def _direction(shape, pixels, tip, edge, aspect):  # type: ignore[no-untyped-def]
    """Where a dead end points to (unit vector), seen from LOOK_BACK before it; and whether its edge begins there."""
    nodes, u, _, offsets, path = shape
    x, y = pixels
    begins = u[edge] == tip and path[offsets[edge]] == nodes[tip]
    low, high = offsets[edge], offsets[edge + 1]
    a = nodes[tip]
    b, length = a, 0.0
    for i in range(1, high - low):
        c = path[low + i] if begins else path[high - 1 - i]
        length += np.hypot(float(x[c] - x[b]), (y[c] - y[b]) * aspect)
        b = c
        if length >= LOOK_BACK:
            break
    dx, dy = float(x[a] - x[b]), (y[a] - y[b]) * aspect
    size = max(np.hypot(dx, dy), 1e-9)
    return dx / size, dy / size, begins


@kernel
def _along(shape, pixels, edge, begins, place, aspect):  # type: ignore[no-untyped-def]
    """Length of an edge between its dead end and a place of its own."""
    _, _, _, offsets, path = shape
    x, y = pixels
    low, high = (offsets[edge], place) if begins else (place, offsets[edge + 1] - 1)
    length = 0.0
    for k in range(low + 1, high + 1):
        a, b = path[k - 1], path[k]
        length += np.hypot(float(x[b] - x[a]), (y[b] - y[a]) * aspect)
    return length


@kernel
def _search_all(table, shape, pixels, tips, cost, top, budget, least, aspect):  # type: ignore[no-untyped-def]
    """The candidates of these dead ends; row 0 of the cost raster is row `top`."""
    costs, lengths = [0.0 for _ in range(0)], [0.0 for _ in range(0)]
    found, sizes = [(0, 0, 0) for _ in range(0)], [0 for _ in range(0)]
    xs, ys = [np.int32(0) for _ in range(0)], [np.int32(0) for _ in range(0)]
    for tip in tips:
        _search(table, shape, pixels, tip, cost, top, budget, least, aspect, (costs, lengths, found, sizes, xs, ys))
    count = len(costs)
    out_cost, out_length = np.empty(count), np.empty(count)
    out, out_sizes = np.empty((3, count), np.int64), np.empty(count, np.int64)
    for i in range(count):
        out_cost[i], out_length[i], out_sizes[i] = costs[i], lengths[i], sizes[i]
        out[0, i], out[1, i], out[2, i] = found[i]
    out_x, out_y = np.empty(len(xs), np.int32), np.empty(len(xs), np.int32)
    for i in range(len(xs)):
        out_x[i], out_y[i] = xs[i], ys[i]
    return out_cost, out_length, out[0], out[1], out[2], out_sizes, out_x, out_y


@kernel
def _search(table, shape, pixels, tip, cost, top, budget, least, aspect, out):  # type: ignore[no-untyped-def]
    """Dijkstra from one dead end; other edges are reached but not crossed."""
    lines, _, edges, places = table
    nodes = shape[0]
    tx, ty = pixels[0][nodes[tip]], pixels[1][nodes[tip]]
    across, down = int(budget) + 1, int(budget / aspect) + 1
    low, high = max(0, ty - down), min(len(lines) - 2, ty + down)
    left, right = max(0, tx - across), min(cost.shape[1] - 1, tx + across)
    seen = _painted(table, low, left, high - low + 1, right - left + 1)
    height, width = seen.shape
    start = (ty - low) * width + tx - left
    own = edges[seen[ty - low, tx - left]]
    dx, dy, begins = _direction(shape, pixels, tip, own, aspect)
    far, before = np.full(height * width, np.inf), np.full(height * width, -1, np.int32)
    far[start] = 0.0
    queue = [(0.0, np.int64(start))]
    reached = [np.int64(-1)]
    while len(queue) > 0 and len(reached) <= TARGETS:
        now, at = heapq.heappop(queue)
        if now > far[at]:
            continue
        r, c = at // width, at % width
        if seen[r, c] >= 0 and at != start:
            k = seen[r, c]
            edge = edges[k]
            vx, vy = float(c + left - tx), (r + low - ty) * aspect
            if edge in reached or vx * dx + vy * dy < WIDEST_TURN * np.hypot(vx, vy):
                continue
            if edge == own and _along(shape, pixels, own, begins, places[k], aspect) <= least:
                continue
            reached.append(edge)
            _record(seen, before, at, width, low, left, now, aspect, out)
            out[2].append((np.int64(tip), np.int64(edge), np.int64(places[k])))
            continue
        for sr in range(-1, 2):
            for sc in range(-1, 2):
                y, x = r + sr, c + sc
                if (sr == 0 and sc == 0) or y < 0 or x < 0 or y >= height or x >= width:
                    continue
                if sr != 0 and sc != 0 and seen[r, x] >= 0 and seen[y, c] >= 0:
                    continue  # it would pass between two pixels of an edge
                vx, vy = float(x + left - tx), (y + low - ty) * aspect
                size = np.hypot(vx, vy)
                if size > 4 and vx * dx + vy * dy < 0.17 * size:
                    continue
                step = np.hypot(float(sc), sr * aspect)
                new = now + step * 0.5 * (cost[r + low - top, c + left] + cost[y + low - top, x + left])
                to = y * width + x
                if new <= budget and new < far[to]:
                    far[to] = new
                    before[to] = at
                    heapq.heappush(queue, (new, np.int64(to)))


@kernel
def _record(seen, before, at, width, low, left, cost, aspect, out):  # type: ignore[no-untyped-def]
    """Note the pixels between a dead end and a target, the way back; a straight line if it is about as short."""
    costs, lengths, _, sizes, xs, ys = out
    way = [np.int64(at)]
    while before[way[-1]] >= 0:
        way.append(np.int64(before[way[-1]]))
    length = 0.0
    for i in range(1, len(way)):
        a, b = way[i - 1], way[i]
        length += np.hypot(float(a % width - b % width), (a // width - b // width) * aspect)
    r0, c0, r1, c1 = way[-1] // width, way[-1] % width, at // width, at % width
    straight = np.hypot(float(c1 - c0), (r1 - r0) * aspect)
    if length < STRAIGHT * straight and _is_free(seen, r0, c0, r1, c1):
        length = straight
        steps = max(abs(r1 - r0), abs(c1 - c0))
        way.clear()
        for i in range(steps, -1, -1):
            way.append(_on_line(r0, r1, i, steps) * width + _on_line(c0, c1, i, steps))
    costs.append(cost)
    lengths.append(length)
    sizes.append(len(way) - 2)
    for i in range(len(way) - 2, 0, -1):
        ys.append(np.int32(way[i] // width + low))
        xs.append(np.int32(way[i] % width + left))


@kernel
def _on_line(a, b, i, steps):  # type: ignore[no-untyped-def]
    return np.int64(np.floor(a + (b - a) * i / steps + 0.5))


@kernel
def _is_free(seen, r0, c0, r1, c1):  # type: ignore[no-untyped-def]
    """Whether the straight line between two pixels neither meets nor crosses a pixel of an edge in between."""
    steps = max(abs(r1 - r0), abs(c1 - c0))
    r, c = r0, c0
    for i in range(1, steps + 1):
        y, x = _on_line(r0, r1, i, steps), _on_line(c0, c1, i, steps)
        if (i < steps and seen[y, x] >= 0) or (y != r and x != c and seen[r, x] >= 0 and seen[y, c] >= 0):
            return False
        r, c = y, x
    return True


# Choosing ---------------------------------------------------------------------------------------------------------
