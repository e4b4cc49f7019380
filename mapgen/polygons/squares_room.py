"""What is in the way of a ring that is to be squared: other borders near its new sides, or between them and the old.

The `pool` of the kernels is (x, y, owner, start, count, ends): the vertices of arc a are the `count[a]` from `start[a]`
on, `owner` says of which arc a vertex is, `ends` are the numbers of the fixed nodes at its ends. Segment k runs from
vertex k to the next. The `grid` is (heads, after, segments, columns): lists of the segments in squares of CELL pixels;
those that are no longer part of their arc are passed over.
"""

from __future__ import annotations

import numpy as np

from mapgen.kernels import kernel
from mapgen.polygons.clearance import CLEARANCE, distance, in_triangle

CELL = 16

TOUCH = 0.05
"""Pixels that two borders which end at one node stay away from each other's far ends."""


@kernel
def grid_of_lines(pool, total, size):  # type: ignore[no-untyped-def]
    """The grid of all segments of a map of `size` (height, width)."""
    columns = size[1] // CELL + 2
    heads = np.full((size[0] // CELL + 2) * columns, -1, np.int64)
    after, segments = [np.int64(-1)], [np.int64(-1)]
    grid = (heads, after, segments, columns)
    _, _, _, start, count, _ = pool
    for arc in range(len(start)):
        for k in range(start[arc], start[arc] + count[arc] - 1):
            add_segment(grid, pool, k)
    return grid


@kernel
def add_segment(grid, pool, k):  # type: ignore[no-untyped-def]
    """Put a segment into the squares that it goes through."""
    heads, after, segments, columns = grid
    x, y = pool[0], pool[1]
    ax, ay, bx, by = x[k], y[k], x[k + 1], y[k + 1]
    if ay > by:
        ax, ay, bx, by = bx, by, ax, ay
    slope = (bx - ax) / (by - ay) if by > ay else 0.0
    for row in range(int(ay // CELL), int(by // CELL) + 1):
        low, high = max(ay, row * CELL), min(by, (row + 1) * CELL)
        one, other = ax + (low - ay) * slope, ax + (high - ay) * slope
        if by == ay:
            one, other = ax, bx
        for column in range(int(min(one, other) // CELL), int(max(one, other) // CELL) + 1):
            cell = row * columns + column
            if 0 <= cell < len(heads):
                after.append(heads[cell])
                segments.append(np.int64(k))
                heads[cell] = len(after) - 1


@kernel
def node_at(pool, vertex):  # type: ignore[no-untyped-def]
    """The fixed node that a vertex is, -1 for none."""
    _, _, owner, start, count, ends = pool
    arc = owner[vertex]
    if vertex == start[arc]:
        return ends[arc, 0]
    if vertex == start[arc] + count[arc] - 1:
        return ends[arc, 1]
    return -1


@kernel
def _is_alive(pool, k):  # type: ignore[no-untyped-def]
    _, _, owner, start, count, _ = pool
    arc = owner[k]
    return start[arc] <= k < start[arc] + count[arc] - 1


@kernel
def segments_of(pool, own, sizes, fresh_x, fresh_y, first, leaving):  # type: ignore[no-untyped-def]
    """The segments that are to be: those of the ring, then those of other borders that end at it.

    As (n, 4) coordinates, (n, 2) fixed nodes at their ends, (n,) the segment that each of the latter replaces, -1 for
    those of the ring, and (n, 2) where that one ended.
    """
    x, y, _, start, count, ends = pool
    total = int(sizes.sum())
    most = total
    for dart in own:
        node = ends[dart >> 1, dart & 1]
        most += first[node + 1] - first[node] if node >= 0 else 0
    places, nodes = np.empty((most, 4)), np.full((most, 2), -1, np.int64)
    replaced, before = np.full(most, -1, np.int64), np.empty((most, 2))
    n, at = 0, 0
    for j, dart in enumerate(own):
        for k in range(sizes[j] - 1):
            places[n, 0], places[n, 1] = fresh_x[at + k], fresh_y[at + k]
            places[n, 2], places[n, 3] = fresh_x[at + k + 1], fresh_y[at + k + 1]
            nodes[n, 0] = ends[dart >> 1, dart & 1] if k == 0 else -1
            nodes[n, 1] = ends[dart >> 1, 1 - (dart & 1)] if k == sizes[j] - 2 else -1
            n += 1
        at += sizes[j]
    at = 0
    for j, dart in enumerate(own):
        node = ends[dart >> 1, dart & 1]
        low, high = (first[node], first[node + 1]) if node >= 0 else (0, 0)
        for m in range(low, high):
            arc, e = leaving[m] >> 1, leaving[m] & 1
            if not _is_own(own, arc):
                end = start[arc] + count[arc] - 1 if e else start[arc]
                near = end - 1 if e else end + 1
                places[n, 0], places[n, 1] = x[near], y[near]
                places[n, 2], places[n, 3] = fresh_x[at], fresh_y[at]
                nodes[n, 0], nodes[n, 1] = node_at(pool, near), node
                replaced[n] = near if e else end
                before[n, 0], before[n, 1] = x[end], y[end]
                n += 1
        at += sizes[j]
    return places[:n], nodes[:n], replaced[:n], before[:n]


@kernel
def _is_own(own, arc):  # type: ignore[no-untyped-def]
    return ((own >> 1) == arc).any()


@kernel
def is_blocked(pool, grid, own, sizes, fresh_x, fresh_y, first, leaving):  # type: ignore[no-untyped-def]
    """Whether something is in the way of a ring's new sides, or of what ends at it."""
    new = segments_of(pool, own, sizes, fresh_x, fresh_y, first, leaving)
    places, nodes, replaced, _ = new
    if _cross_themselves(places, nodes, replaced):
        return True
    old_x, old_y = _outline(pool, own)
    low_x, high_x = min(places[:, ::2].min(), old_x.min()) - 1, max(places[:, ::2].max(), old_x.max()) + 1
    low_y, high_y = min(places[:, 1::2].min(), old_y.min()) - 1, max(places[:, 1::2].max(), old_y.max()) + 1
    heads, after, segments, columns = grid
    rows = len(heads) // columns
    for row in range(max(0, int(low_y // CELL)), min(rows - 1, int(high_y // CELL)) + 1):
        for column in range(max(0, int(low_x // CELL)), min(columns - 1, int(high_x // CELL)) + 1):
            entry = heads[row * columns + column]
            while entry >= 0:
                k = segments[entry]
                entry = after[entry]
                if not _is_alive(pool, k) or _is_own(own, pool[2][k]):
                    continue
                if _is_in_the_way(pool, k, own, new, (fresh_x, fresh_y), (old_x, old_y)):
                    return True
    return False


@kernel
def _outline(pool, own):  # type: ignore[no-untyped-def]
    """The ring as it is."""
    x, y, _, start, count, _ = pool
    size = 0
    for dart in own:
        size += count[dart >> 1]
    out_x, out_y = np.empty(size), np.empty(size)
    n = 0
    for dart in own:
        arc = dart >> 1
        for k in range(count[arc]):
            at = start[arc] + (count[arc] - 1 - k if dart & 1 else k)
            out_x[n], out_y[n] = x[at], y[at]
            n += 1
    return out_x, out_y


@kernel
def _too_near(p, q, shared):  # type: ignore[no-untyped-def]
    """Whether two segments, with `shared` ends in common, come too near to each other."""
    ax, ay, bx, by = p[0], p[1], p[2], p[3]
    cx, cy, dx, dy = q[0], q[1], q[2], q[3]
    if shared >= 2:
        return True
    one, other = distance(ax, ay, cx, cy, dx, dy), distance(bx, by, cx, cy, dx, dy)
    three, four = distance(cx, cy, ax, ay, bx, by), distance(dx, dy, ax, ay, bx, by)
    if shared == 1:  # one of the four distances from an end to the other segment is 0 on each side
        return max(one, other) < TOUCH or max(three, four) < TOUCH
    if min(min(one, other), min(three, four)) < CLEARANCE:
        return True
    a = (dx - cx) * (ay - cy) - (dy - cy) * (ax - cx)
    b = (dx - cx) * (by - cy) - (dy - cy) * (bx - cx)
    c = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    d = (bx - ax) * (dy - ay) - (by - ay) * (dx - ax)
    return (a > 0) != (b > 0) and (c > 0) != (d > 0)


@kernel
def _cross_themselves(places, nodes, replaced):  # type: ignore[no-untyped-def]
    """Whether two of the new segments come too near to each other."""
    for m in range(len(places)):
        for n in range(m):
            shared = 0
            for e in range(2):
                for f in range(2):
                    equal = places[m, 2 * e] == places[n, 2 * f] and places[m, 2 * e + 1] == places[n, 2 * f + 1]
                    shared += equal or (nodes[m, e] >= 0 and nodes[m, e] == nodes[n, f])
            if replaced[m] >= 0 and replaced[m] == replaced[n]:
                return True  # both ends of one segment move
            if _too_near(places[m], places[n], shared):
                return True
    return False


@kernel
def _holds(x, y, px, py):  # type: ignore[no-untyped-def]
    """Whether a ring holds a point."""
    inside = False
    j = len(x) - 1
    for i in range(len(x)):
        if (y[i] > py) != (y[j] > py) and px < x[i] + (py - y[i]) / (y[j] - y[i]) * (x[j] - x[i]):
            inside = not inside
        j = i
    return inside


@kernel
def _is_in_the_way(pool, k, own, new, fresh, old):  # type: ignore[no-untyped-def]
    """Whether segment k of another border is in the way: too near to a new one, or between the new ring and the old."""
    x, y, _, _, _, ends = pool
    places, nodes, replaced, before = new
    segment = np.array([x[k], y[k], x[k + 1], y[k + 1]])
    at = node_at(pool, k), node_at(pool, k + 1)
    own_node = np.zeros(2, np.bool_)
    for e in range(2):
        for dart in own:
            own_node[e] |= at[e] >= 0 and at[e] == ends[dart >> 1, dart & 1]
    if not (replaced == k).any():
        for n in range(len(places)):
            shared = 0
            for e in range(2):
                for f in range(2):
                    shared += at[e] >= 0 and at[e] == nodes[n, f]
            # The far end of a border that ends at the ring is the near end of the segment before it.
            shared += shared == 0 and replaced[n] >= 0 and _is_next(places[n], segment)
            if _too_near(places[n], segment, shared):
                return True
    for e in range(2):
        px, py = segment[2 * e], segment[2 * e + 1]
        if own_node[e]:
            continue
        if _holds(fresh[0], fresh[1], px, py) != _holds(old[0], old[1], px, py):
            return True
        for n in range(len(replaced)):
            if replaced[n] >= 0 and (px != places[n, 0] or py != places[n, 1]):
                corner = places[n]
                if in_triangle(px, py, corner[0], corner[1], before[n, 0], before[n, 1], corner[2], corner[3]):
                    return True
    return False


@kernel
def _is_next(place, segment):  # type: ignore[no-untyped-def]
    """Whether a segment begins or ends where another begins."""
    return (place[0] == segment[0] and place[1] == segment[1]) or (place[0] == segment[2] and place[1] == segment[3])
