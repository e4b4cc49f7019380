"""What may lie in the way of a border that moves: nodes near segments and in triangles, found line by line.

The `table` of the kernels is (lines, x, y, place, aspect) of `Nodes`; distances are in pixel widths.
"""

from __future__ import annotations

import numpy as np

from mapgen.kernels import kernel

CLEARANCE = 0.25
"""Pixels that a simplified segment stays away from all nodes but its own: room for rounding and reprojection."""


@kernel
def distance(px, py, ax, ay, bx, by):  # type: ignore[no-untyped-def]
    """Distance of p from the segment a b."""
    dx, dy = bx - ax, by - ay
    length = dx * dx + dy * dy
    t = 0.0
    if length > 0:
        t = min(1.0, max(0.0, ((px - ax) * dx + (py - ay) * dy) / length))
    return np.hypot(px - ax - t * dx, py - ay - t * dy)


@kernel
def first_at(x, low, high, value):  # type: ignore[no-untyped-def]
    """The first index in low…high at which x is not less than the value."""
    while low < high:
        middle = (low + high) // 2
        if x[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def extent(ax, ay, bx, by, cx, cy, low, high):  # type: ignore[no-untyped-def]
    """The least and the greatest x of a triangle between two heights; empty (inf, -inf) if it has no part there."""
    left, right = np.inf, -np.inf
    for px, py, qx, qy in ((ax, ay, bx, by), (bx, by, cx, cy), (cx, cy, ax, ay)):
        if py > qy:
            px, py, qx, qy = qx, qy, px, py
        if qy < low or py > high:
            continue
        slope = (qx - px) / (qy - py) if qy > py else 0.0
        for x in (px + max(0.0, low - py) * slope, qx - max(0.0, qy - high) * slope):
            left, right = min(left, x), max(right, x)
    return left, right


@kernel
def in_triangle(px, py, ax, ay, bx, by, cx, cy):  # type: ignore[no-untyped-def]
    """Whether p lies in a triangle or on its border."""
    u = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    v = (cx - bx) * (py - by) - (cy - by) * (px - bx)
    w = (ax - cx) * (py - cy) - (ay - cy) * (px - cx)
    return (u >= 0 and v >= 0 and w >= 0) or (u <= 0 and v <= 0 and w <= 0)


@kernel
def farthest(table, nodes, low, high):  # type: ignore[no-untyped-def]
    """Of the vertices between two, the one farthest from their segment; its distance; whether all advance along it."""
    _, x, y, _, aspect = table
    a, b = nodes[low], nodes[high]
    ax, ay, bx, by = float(x[a]), y[a] * aspect, float(x[b]), y[b] * aspect
    dx, dy = bx - ax, by - ay
    best, where, advancing, last = -1.0, low, True, 0.0
    for k in range(low + 1, high):
        px, py = float(x[nodes[k]]), y[nodes[k]] * aspect
        d = distance(px, py, ax, ay, bx, by)
        if d > best:
            best, where = d, k
        along = (px - ax) * dx + (py - ay) * dy
        advancing &= along >= last
        last = along
    return where, best, advancing and last <= dx * dx + dy * dy


@kernel
def _between(table, nodes, low, high, px, py):  # type: ignore[no-untyped-def]
    """Whether p lies between the piece, which advances along its segment, and the segment."""
    _, x, y, _, aspect = table
    a, b = nodes[low], nodes[high]
    ax, ay = float(x[a]), y[a] * aspect
    dx, dy = x[b] - ax, y[b] * aspect - ay
    along, beside = (px - ax) * dx + (py - ay) * dy, (py - ay) * dx - (px - ax) * dy
    t0, h0 = 0.0, 0.0
    for k in range(low + 1, high + 1):
        qx, qy = x[nodes[k]] - ax, y[nodes[k]] * aspect - ay
        t1, h1 = qx * dx + qy * dy, qy * dx - qx * dy
        if t0 <= along <= t1:
            u = (along - t0) / (t1 - t0) if t1 > t0 else 0.0
            nearest = h0 + u * (h1 - h0)
            lowest, highest = min(0.0, nearest), max(0.0, nearest)
            if t1 == t0:
                lowest, highest = min(lowest, h1), max(highest, h1)
            if lowest <= beside <= highest:
                return True
        t0, h0 = t1, h1
    return False


@kernel
def is_clear(table, nodes, low, high, reach, advancing):  # type: ignore[no-untyped-def]
    """Whether the segment may replace the piece low…high of a path, whose vertices lie within `reach` of it."""
    lines, x, y, place, aspect = table
    a, b = nodes[low], nodes[high]
    ax, ay, bx, by = float(x[a]), y[a] * aspect, float(x[b]), y[b] * aspect
    margin = CLEARANCE * min(1.0, aspect)
    reach = max(reach, margin)
    dx, dy = bx - ax, by - ay
    length = np.hypot(dx, dy)
    first = max(0, int(np.ceil((min(ay, by) - reach) / aspect)))
    last = min(len(lines) - 2, int(np.floor((max(ay, by) + reach) / aspect)))
    for line in range(first, last + 1):
        left, right = min(ax, bx) - reach, max(ax, bx) + reach
        if abs(dy) > 1e-9:
            middle = ax + (line * aspect - ay) * dx / dy
            half = reach * length / abs(dy)
            left, right = max(left, middle - half), min(right, middle + half)
        n = first_at(x, lines[line], lines[line + 1], left)
        while n < lines[line + 1] and x[n] <= right:
            if not (low <= place[n] <= high) and n != a and n != b:
                px, py = float(x[n]), line * aspect
                if not advancing or distance(px, py, ax, ay, bx, by) <= margin:
                    return False
                if _between(table, nodes, low, high, px, py):
                    return False
            n += 1
    return True


@kernel
def can_go(table, nodes, keep, low, high, a, b, c):  # type: ignore[no-untyped-def]
    """Whether b may go, a and c being the next vertices left: no node in the way but removed ones of its path."""
    lines, x, y, place, aspect = table
    na, nb, nc = nodes[a], nodes[b], nodes[c]
    ax, ay, bx, by = float(x[na]), y[na] * aspect, float(x[nb]), y[nb] * aspect
    cx, cy = float(x[nc]), y[nc] * aspect
    margin = CLEARANCE * min(1.0, aspect)
    first = max(0, int(np.ceil((min(ay, by, cy) - margin) / aspect)))
    last = min(len(lines) - 2, int(np.floor((max(ay, by, cy) + margin) / aspect)))
    for line in range(first, last + 1):
        py = line * aspect
        left, right = extent(ax, ay, bx, by, cx, cy, py - margin, py + margin)
        n = first_at(x, lines[line], lines[line + 1], left - margin)
        while n < lines[line + 1] and x[n] <= right + margin:
            removed = low <= place[n] <= high and not keep[place[n]]
            if not removed and n != na and n != nb and n != nc:
                px = float(x[n])
                if in_triangle(px, py, ax, ay, bx, by, cx, cy) or distance(px, py, ax, ay, cx, cy) <= margin:
                    return False
            n += 1
    return True
