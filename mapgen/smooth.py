"""Smoothed arcs: Chaikin's corner cutting on shared borders, where there is room for it."""

from __future__ import annotations

import numpy as np

from mapgen.arcs import Arcs
from mapgen.compiled import kernel
from mapgen.lines import Lines, kept_lines
from mapgen.simplify import Bools


def smoothed(arcs: Arcs, keep: Bools, rounds: int) -> Lines:
    """The arcs through the kept vertices after `rounds` of Chaikin's corner cutting (Chaikin 1974), in pixels.

    Ends of arcs stay. A corner is cut only if no other kept vertex lies in the triangle of the corner and the middles
    of its two edges, nor within the clearance of it: all that cutting ever takes lies in these triangles, and if none
    of them holds a foreign vertex no two overlap, so the borders stay apart and the polygons valid.
    """
    lines = kept_lines(arcs, keep)
    table = (arcs.at.lines, arcs.at.x, arcs.at.place, keep)
    nodes = arcs.nodes[keep]
    pinned = np.ones(len(lines.x), np.bool_)
    _pin(table, nodes, lines.offsets, lines.x, lines.y, pinned)
    for _ in range(rounds):
        closed = arcs.nodes[arcs.offsets[:-1]] == arcs.nodes[arcs.offsets[1:] - 1]
        offsets = _cut_offsets(lines.offsets, pinned, closed)
        x, y, pins = np.empty(offsets[-1]), np.empty(offsets[-1]), np.zeros(offsets[-1], np.bool_)
        _cut(lines.offsets, lines.x, lines.y, pinned, offsets, x, y, pins)
        lines, pinned = Lines(offsets, x, y), pins
    return lines


@kernel
def _corners(offsets, x, y, i, k):  # type: ignore[no-untyped-def]
    """The vertices before and after vertex k of line i, across the seam of a closed line."""
    last = offsets[i + 1] - 1
    before = k - 1 if k > offsets[i] else last - 1
    after = k + 1 if k < last else offsets[i] + 1
    return x[before], y[before], x[after], y[after]


@kernel
def _to_segment(px, py, ax, ay, bx, by):  # type: ignore[no-untyped-def]
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    t = 0.0 if length == 0 else min(1.0, max(0.0, ((px - ax) * dx + (py - ay) * dy) / length))
    return np.hypot(px - ax - t * dx, py - ay - t * dy)


@kernel
def _near_triangle(px, py, ax, ay, bx, by, cx, cy, margin):  # type: ignore[no-untyped-def]
    u = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    v = (cx - bx) * (py - by) - (cy - by) * (px - bx)
    w = (ax - cx) * (py - cy) - (ay - cy) * (px - cx)
    if (u >= 0 and v >= 0 and w >= 0) or (u <= 0 and v <= 0 and w <= 0):
        return True
    return (
        _to_segment(px, py, ax, ay, bx, by) <= margin
        or _to_segment(px, py, bx, by, cx, cy) <= margin
        or _to_segment(px, py, cx, cy, ax, ay) <= margin
    )
