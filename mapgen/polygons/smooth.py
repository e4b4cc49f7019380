"""Borders smoothed by Chaikin's corner cutting, each once for both sides, where there is room (`--smooth`)."""

from __future__ import annotations

import numpy as np

from mapgen.arrays import Bools, Floats
from mapgen.kernels import kernel
from mapgen.polygons.arcs import Arcs
from mapgen.polygons.clearance import CLEARANCE, distance, extent, first_at, in_triangle
from mapgen.polygons.lines import Lines, kept_lines

REACH = 3.0
"""Pixels of an edge, at most, that are cut at a corner: by that its tip recedes about one pixel. Cutting every edge at
its middle, as a curve between far corners needs, would make ellipses of buildings."""


def smoothed(arcs: Arcs, keep: Bools, rounds: int) -> Lines:
    """The arcs through the kept vertices after `rounds` of Chaikin's corner cutting (Chaikin 1974), in pixels.

    Ends of arcs stay, and each edge is cut as if it were no longer than REACH on either side of its middle. A corner is
    cut only if no other kept vertex lies in the triangle of the corner and the points on its two edges up to which it
    is cut, nor within the clearance of it: all that cutting ever takes lies in these triangles, and if none of them
    holds a foreign vertex no two overlap, so the borders stay apart and the polygons valid.
    """
    lines = kept_lines(arcs, keep)
    nodes = arcs.nodes[keep]
    loops = arcs.at.place[arcs.nodes[arcs.offsets[:-1]]] >= 0
    cut = np.zeros(len(lines.x), np.bool_)
    _cuttable((arcs.at.lines, arcs.at.x, arcs.at.place, keep), nodes, lines.offsets, lines.x, lines.y, loops, cut)
    weights = corner_weights(rounds)
    offsets = _cut_offsets(lines.offsets, cut, len(weights))
    x, y = np.empty(offsets[-1]), np.empty(offsets[-1])
    _cut(lines.offsets, lines.x, lines.y, cut, loops, weights, offsets, x, y)
    return Lines(offsets, x, y)


def corner_weights(rounds: int) -> Floats:
    """What a corner becomes after that many rounds: points as weights (n, 3) of three others.

    These are the corner, between the points on the edges before and after it up to which it is cut, as if they were the
    middles of the edges.

    Cutting each edge at its quarters means, for the half edges of one corner, cutting them at their middles, and the
    edges in between at their quarters; so every corner can be cut by itself.
    """
    points = np.eye(3)
    for _ in range(rounds):
        before, after = points[:-1], points[1:]
        near = np.full((len(before), 1), 0.25)
        far = near.copy()
        near[0], far[-1] = 0.5, 0.5
        # An edge next to a middle is cut once, at half its length; an inner one twice, at its quarters.
        first, second = before + near * (after - before), after + far * (before - after)
        cuts = np.stack((first, second), axis=1).reshape(-1, 3)
        points = np.concatenate((points[:1], np.delete(cuts, [1, len(cuts) - 2], axis=0), points[-1:]))
    return points[1:-1]


@kernel
def _neighbours(offsets, x, y, i, k):  # type: ignore[no-untyped-def]
    """Vertex k of line i with the vertices before and after it, across the seam of a closed line."""
    last = offsets[i + 1] - 1
    before = k - 1 if k > offsets[i] else last - 1
    after = k + 1 if k < last else offsets[i] + 1
    return x[before], y[before], x[k], y[k], x[after], y[after]


@kernel
def _limit(x, y, corner_x, corner_y):  # type: ignore[no-untyped-def]
    """The point on an edge up to which its corner is cut: the middle, or at REACH."""
    dx, dy = x - corner_x, y - corner_y
    share = min(0.5, REACH / np.hypot(dx, dy))
    return corner_x + share * dx, corner_y + share * dy


@kernel
def _cuttable(table, nodes, offsets, x, y, loops, cut):  # type: ignore[no-untyped-def]
    for i in range(len(offsets) - 1):
        first = offsets[i] if loops[i] else offsets[i] + 1
        for k in range(first, offsets[i + 1] - 1):
            cut[k] = _has_room(table, nodes[k], _neighbours(offsets, x, y, i, k))


@kernel
def _has_room(table, corner, points):  # type: ignore[no-untyped-def]
    """Whether the triangle at the corner, widened by the clearance, holds no other kept node."""
    lines, x, place, keep = table
    bx, by = points[2], points[3]
    (ax, ay), (cx, cy) = _limit(points[0], points[1], bx, by), _limit(points[4], points[5], bx, by)
    margin = CLEARANCE
    first = max(0, int(np.ceil(min(ay, by, cy) - margin)))
    last = min(len(lines) - 2, int(np.floor(max(ay, by, cy) + margin)))
    for line in range(first, last + 1):
        left, right = extent(ax, ay, bx, by, cx, cy, line - margin, line + margin)
        n = first_at(x, lines[line], lines[line + 1], left - margin)
        while n < lines[line + 1] and x[n] <= right + margin:
            kept = place[n] < 0 or keep[place[n]]
            if kept and n != corner and _near_triangle(float(x[n]), float(line), ax, ay, bx, by, cx, cy, margin):
                return False
            n += 1
    return True


@kernel
def _near_triangle(px, py, ax, ay, bx, by, cx, cy, margin):  # type: ignore[no-untyped-def]
    return (
        in_triangle(px, py, ax, ay, bx, by, cx, cy)
        or distance(px, py, ax, ay, bx, by) <= margin
        or distance(px, py, bx, by, cx, cy) <= margin
        or distance(px, py, cx, cy, ax, ay) <= margin
    )


@kernel
def _cut_offsets(offsets, cut, points):  # type: ignore[no-untyped-def]
    out = np.zeros(len(offsets), np.int64)
    for i in range(len(offsets) - 1):
        n = 1
        for k in range(offsets[i], offsets[i + 1] - 1):
            n += points if cut[k] else 1
        out[i + 1] = out[i] + n
    return out


@kernel
def _cut(offsets, x, y, cut, loops, weights, target, out_x, out_y):  # type: ignore[no-untyped-def]
    for i in range(len(offsets) - 1):
        n = target[i]
        for k in range(offsets[i], offsets[i + 1] - 1):
            if not cut[k]:
                out_x[n], out_y[n] = x[k], y[k]
                n += 1
                continue
            px, py, bx, by, qx, qy = _neighbours(offsets, x, y, i, k)
            (px, py), (qx, qy) = _limit(px, py, bx, by), _limit(qx, qy, bx, by)
            for w in range(len(weights)):
                u, v, t = weights[w]
                out_x[n], out_y[n] = u * px + v * bx + t * qx, u * py + v * by + t * qy
                n += 1
        last = offsets[i + 1] - 1
        out_x[n], out_y[n] = x[last], y[last]
        if loops[i]:
            out_x[n], out_y[n] = out_x[target[i]], out_y[target[i]]
