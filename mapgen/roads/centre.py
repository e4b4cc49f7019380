"""Centre lines: from chains of pixels to smooth lines that meet at nodes only, and how long and wide the roads are."""

from __future__ import annotations

import numpy as np

from mapgen.arrays import Bools, Floats, Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.arcs import Arcs
from mapgen.polygons.lines import Lines
from mapgen.polygons.nodes import Nodes
from mapgen.polygons.simplify import keep_vertices
from mapgen.roads.graph import Graph

SIGMA = 2.0
"""Least sigma, in pixels, of the Gaussian along a chain: as much as evens out the steps of the lattice."""

PER_RADIUS = 1.2
"""Sigma in medians of r: uneven borders move the middle of a wide road over longer stretches than that of a narrow one.
A bend is rounded by no more than a fraction of the road's width."""

NARROW = 3.0
"""Power of r / median r in the weights of pixels: where a tree bites into a road its middle is not where it seems."""

GUESSED = 0.05
"""Weight of the pixels of bridges."""

CELL = 16
"""Side in pixels of the squares in which crossing segments are looked for."""


def centre_lines(graph: Graph, height: int, width: int, tolerance: float, aspect: float = 1.0) -> Lines:
    """The edges as lines in pixels (x 0…W, y 0…H; a pixel's centre is at one half), none crossing another.

    Vertices are chosen on the lattice by the simplification that cannot cross (`keep_vertices`), and moved to where the
    chain runs after a Gaussian along it, in which pixels count less where the road is narrower than usual.
    Edges that would then cross return to the lattice. Ends of edges are the
    coordinates of their nodes, bit by bit; an end at the frame lies on the frame.
    """
    arcs = _arcs(graph, height)
    keep = keep_vertices(arcs, tolerance, "dp", aspect)
    _keep_crossing(graph, keep)
    offsets = np.concatenate(([0], np.cumsum(keep)))[arcs.offsets]
    x, y = np.empty(len(graph.path)), np.empty(len(graph.path))
    _smooth(graph.offsets, graph.path, (graph.x, graph.y, graph.r, graph.bridge), x, y)
    on_lattice = _on_lattice(graph, keep, offsets)
    lines = Lines(offsets, x[keep] + 0.5, y[keep] + 0.5)
    for line in (on_lattice, lines):
        _to_frame(graph, line, height, width)
    return _uncrossed(graph, lines, on_lattice)


def _on_lattice(graph: Graph, keep: Bools, offsets: Longs) -> Lines:
    """The lines through the middles of the pixels that are kept."""
    pixels = graph.path[keep]
    x: Floats = graph.x[pixels].astype(np.float64) + 0.5
    y: Floats = graph.y[pixels].astype(np.float64) + 0.5
    return Lines(offsets, x, y)


def _keep_crossing(graph: Graph, keep: Bools) -> None:
    """Keep all vertices of edges that would cross without: a straight edge to a junction's node has none to be seen."""
    while True:
        offsets = np.concatenate(([0], np.cumsum(keep)))[graph.offsets]
        lines = _on_lattice(graph, keep, offsets)
        which = np.repeat(crossing(lines, graph.u, graph.v), np.diff(graph.offsets))
        if keep[which].all():
            return
        keep[which] = True


def widths(graph: Graph) -> tuple[Floats, Floats]:
    """Mean and least width of each edge in pixel widths: twice the mean r, and twice its tenth percentile.

    Pixels in the disc of a junction at either end do not count, nor bridges, unless there are no others.
    """
    mean, least = np.empty(len(graph)), np.empty(len(graph))
    pixels = (graph.x, graph.y, graph.r, graph.bridge)
    _widths(pixels, graph.nodes, graph.degrees(), graph.u, graph.v, graph.offsets, graph.path, mean, least)
    return mean, least


def bridged_shares(graph: Graph, aspect: float = 1.0) -> Floats:
    """The share of each edge's length that bridges a gap."""
    out = np.zeros(len(graph))
    _shares(graph.x, graph.y, graph.bridge, graph.offsets, graph.path, float(aspect), out)
    return out


def _arcs(graph: Graph, height: int) -> Arcs:
    """The chains as arcs, as far as `keep_vertices` looks at them: the pixels are the nodes of the lattice."""
    used = np.unique(graph.path)
    used = used[np.lexsort((graph.x[used], graph.y[used]))]
    lines = np.concatenate(([0], np.cumsum(np.bincount(graph.y[used], minlength=height)))).astype(np.int64)
    number = np.full(len(graph.x), -1, np.int32)
    number[used] = np.arange(len(used), dtype=np.int32)
    path = number[graph.path]
    place = np.full(len(used), -1, np.int32)
    place[path] = np.arange(len(path), dtype=np.int32)
    place[number[graph.nodes]] = -1 - np.arange(len(graph.nodes), dtype=np.int32)
    nodes = Nodes(lines, graph.x[used], graph.y[used], np.zeros(len(used), np.uint8), place)
    low, high = np.minimum(graph.u, graph.v).astype(np.int64), np.maximum(graph.u, graph.v)
    _, which, counts = np.unique(low * len(graph.nodes) + high, return_inverse=True, return_counts=True)
    none = np.zeros(len(graph), np.int32)
    return Arcs(nodes, graph.offsets, path, none, none, np.empty(0, np.int32), counts[which] > 1)


def _to_frame(graph: Graph, lines: Lines, height: int, width: int) -> None:
    """Put the ends of roads that leave the scene from the centre of the last pixel onto the frame, in place."""
    ends = (graph.degrees() == 1) & graph.frame[graph.nodes]
    for nodes, places in ((graph.u, lines.offsets[:-1]), (graph.v, lines.offsets[1:] - 1)):
        here = places[ends[nodes]]
        pixels = graph.nodes[nodes[ends[nodes]]]
        for values, at, size in ((lines.x, graph.x[pixels], width), (lines.y, graph.y[pixels], height)):
            values[here[at == 0]] = 0.0
            values[here[at == size - 1]] = float(size)


def _uncrossed(graph: Graph, lines: Lines, safe: Lines) -> Lines:
    """The lines, those of `safe` instead where two would cross or touch but at their nodes."""
    back = np.zeros(len(graph), np.bool_)
    while True:
        bad = crossing(lines, graph.u, graph.v)
        fresh = bad & ~back
        if not fresh.any():
            return lines
        back |= bad
        which = np.repeat(back, np.diff(lines.offsets))
        lines = Lines(lines.offsets, np.where(which, safe.x, lines.x), np.where(which, safe.y, lines.y))


def crossing(lines: Lines, u: Ints, v: Ints) -> Bools:
    """Which lines cross or touch themselves or another anywhere but at a node that both end at."""
    out = np.zeros(len(lines), np.bool_)
    if not len(lines):
        return out
    owner = np.repeat(np.arange(len(lines)), np.diff(lines.offsets))
    last = np.zeros(len(owner), np.bool_)
    last[lines.offsets[1:] - 1] = True
    starts = np.flatnonzero(~last)
    x0, y0, x1, y1 = lines.x[starts], lines.y[starts], lines.x[starts + 1], lines.y[starts + 1]
    columns = int(max(x0.max(), x1.max()) // CELL) + 2
    cells, segments = _cells(x0, y0, x1, y1, columns)
    order = np.argsort(cells, kind="stable")
    cells, segments = cells[order], segments[order]
    bounds = np.flatnonzero(np.concatenate(([True], np.diff(cells) != 0, [True])))
    first, final = lines.offsets[:-1], lines.offsets[1:] - 2
    _cross(bounds, segments, (x0, y0, x1, y1), owner[starts], starts, first, final, u, v, out)
    return out


@kernel
def _smooth(offsets, path, pixels, out_x, out_y):  # type: ignore[no-untyped-def]
    x, y, r, bridge = pixels
    for i in range(len(offsets) - 1):
        low, high = offsets[i], offsets[i + 1] - 1
        median = max(float(np.median(r[path[low : high + 1]])), 0.5)
        sigma = max(SIGMA, PER_RADIUS * median)
        for k in range(low, high + 1):
            reach = min(int(3 * sigma), k - low, high - k)  # as far to both sides, so that the ends stay
            total, sx, sy = 0.0, 0.0, 0.0
            for j in range(-reach, reach + 1):
                p = path[k + j]
                weight = np.exp(-j * j / (2 * sigma * sigma)) * min(1.0, r[p] / median) ** NARROW
                weight = max(weight * GUESSED if bridge[p] else weight, 1e-9)
                total += weight
                sx += weight * x[p]
                sy += weight * y[p]
            out_x[k], out_y[k] = sx / total, sy / total


@kernel
def _cells(x0, y0, x1, y1, columns):  # type: ignore[no-untyped-def]
    """The squares that the box of each segment touches, and the segment in each."""
    count = 0
    for i in range(len(x0)):
        wide = int(max(x0[i], x1[i]) // CELL) - int(min(x0[i], x1[i]) // CELL) + 1
        count += wide * (int(max(y0[i], y1[i]) // CELL) - int(min(y0[i], y1[i]) // CELL) + 1)
    cells, segments = np.empty(count, np.int64), np.empty(count, np.int64)
    n = 0
    for i in range(len(x0)):
        for r in range(int(min(y0[i], y1[i]) // CELL), int(max(y0[i], y1[i]) // CELL) + 1):
            for c in range(int(min(x0[i], x1[i]) // CELL), int(max(x0[i], x1[i]) // CELL) + 1):
                cells[n], segments[n] = r * columns + c, i
                n += 1
    return cells, segments


@kernel
def _side(ax, ay, bx, by, px, py):  # type: ignore[no-untyped-def]
    return (bx - ax) * (py - ay) - (by - ay) * (px - ax)


@kernel
def _meet(ax, ay, bx, by, cx, cy, dx, dy):  # type: ignore[no-untyped-def]
    """Whether two segments have a point in common."""
    if max(ax, bx) < min(cx, dx) or max(cx, dx) < min(ax, bx) or max(ay, by) < min(cy, dy) or max(cy, dy) < min(ay, by):
        return False
    a, b = _side(cx, cy, dx, dy, ax, ay), _side(cx, cy, dx, dy, bx, by)
    c, d = _side(ax, ay, bx, by, cx, cy), _side(ax, ay, bx, by, dx, dy)
    return not ((a > 0 and b > 0) or (a < 0 and b < 0) or (c > 0 and d > 0) or (c < 0 and d < 0))


@kernel
def _overlap(ax, ay, bx, by, cx, cy):  # type: ignore[no-untyped-def]
    """Whether two segments from a, to b and to c, run along each other."""
    along = (bx - ax) * (cx - ax) + (by - ay) * (cy - ay)
    return along > 0 and abs(_side(ax, ay, bx, by, cx, cy)) <= 1e-12 * along


@kernel
def _cross(bounds, segments, ends, owner, places, first, final, u, v, out):  # type: ignore[no-untyped-def]
    x0, y0, x1, y1 = ends
    for cell in range(len(bounds) - 1):
        for m in range(bounds[cell], bounds[cell + 1]):
            i = segments[m]
            e = owner[i]
            for n in range(m + 1, bounds[cell + 1]):
                j = segments[n]
                f = owner[j]
                if not _meet(x0[i], y0[i], x1[i], y1[i], x0[j], y0[j], x1[j], y1[j]):
                    continue
                a = u[e] if places[i] == first[e] else -1
                b = v[e] if places[i] == final[e] else -1
                c = u[f] if places[j] == first[f] else -2
                d = v[f] if places[j] == final[f] else -2
                follows = e == f and abs(places[i] - places[j]) == 1
                shared = (a == c) + (a == d) + (b == c) + (b == d)
                if follows and shared <= 0:
                    p, q = (i, j) if places[i] < places[j] else (j, i)
                    if _overlap(x1[p], y1[p], x0[p], y0[p], x1[q], y1[q]):
                        out[e] = True
                elif shared == 1 and not follows:
                    px, py = (x0[i], y0[i]) if a in (c, d) else (x1[i], y1[i])
                    bx, by = (x1[i], y1[i]) if a in (c, d) else (x0[i], y0[i])
                    qx, qy = (x1[j], y1[j]) if a == c or b == c else (x0[j], y0[j])
                    if _overlap(px, py, bx, by, qx, qy):
                        out[e] = out[f] = True
                elif not follows:
                    out[e] = out[f] = True


@kernel
def _widths(pixels, nodes, degrees, u, v, offsets, path, mean, least):  # type: ignore[no-untyped-def]
    x, y, r, bridge = pixels
    for i in range(len(u)):
        low, high = offsets[i], offsets[i + 1]
        found = np.empty(high - low)
        for strict in range(2):
            n = 0
            for k in range(low, high):
                inside = bridge[path[k]]
                if strict == 0 and not inside:
                    for node in (u[i], v[i]):
                        a, b = nodes[node], path[k]
                        inside |= degrees[node] >= 3 and np.hypot(float(x[a] - x[b]), float(y[a] - y[b])) <= r[a]
                if not inside:
                    found[n] = r[path[k]]
                    n += 1
            if n > 0:
                break
        if n == 0:
            for k in range(low, high):
                found[k - low] = r[path[k]]
            n = high - low
        values = np.sort(found[:n])
        mean[i], least[i] = 2 * np.mean(values), 2 * values[int(0.1 * (n - 1))]


@kernel
def _shares(x, y, bridge, offsets, path, aspect, out):  # type: ignore[no-untyped-def]
    for i in range(len(out)):
        total, bridged = 0.0, 0.0
        for k in range(offsets[i] + 1, offsets[i + 1]):
            a, b = path[k - 1], path[k]
            step = np.hypot(float(x[b] - x[a]), (y[b] - y[a]) * aspect)
            total += step
            if bridge[a] or bridge[b]:
                bridged += step
        out[i] = bridged / total if total > 0 else 0.0
