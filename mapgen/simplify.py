"""Simplified arcs that cannot cross: which vertices to keep, each arc once and by itself.

A vertex may only go if nothing is jumped over: a segment replaces a piece of an arc when no node of any other arc, nor
of the rest of this one, lies between the two or within CLEARANCE of the segment. Then the areas swept by any two
replaced pieces are disjoint. (A border that entered a swept area could not leave it through the piece, for borders do
not cross, nor twice through one straight segment, so one of its nodes would lie inside; and two segments that crossed
would each carry a swept area that the other has to end in.) So the simplified arcs form the same planar map as the
original ones: every region is valid and no two overlap, however the arcs were shared out to threads, and without
checking anything afterwards.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mapgen.arcs import Arcs
from mapgen.compiled import kernel

CLEARANCE = 0.25
"""Pixels that a simplified segment stays away from every node that is not its own: room for rounding and reprojection."""

PIECE = 2048
"""Arcs are cut into pieces of at most this many vertices, whose ends stay: it bounds the time on hostile shapes."""

Bools = NDArray[np.bool_]


def keep_vertices(arcs: Arcs, tolerance: float, method: str, aspect: float = 1.0, threads: int = 1) -> Bools:
    """For each entry of `arcs.nodes` whether its vertex stays.

    `tolerance` is in pixel widths; `aspect` is the height of a pixel in its widths, 1 where pixels count as square.
    `dp` (Douglas and Peucker 1973): no removed vertex lies farther than the tolerance from the segment that replaces
    it. `vw` (Visvalingam and Whyatt 1993): vertices go, least effective area first, while it is below the tolerance
    squared. Ends of arcs stay. The result does not depend on `threads`.
    """
    keep = np.ones(len(arcs.nodes), np.bool_)
    if tolerance <= 0:
        return keep
    table = (arcs.at.lines, arcs.at.x, arcs.at.y, arcs.at.place, float(aspect))

    def work(first: int, last: int) -> None:
        METHODS[method](table, arcs.offsets, arcs.nodes, arcs.twin, float(tolerance), first, last, keep)

    in_parallel(work, arcs, threads)
    return keep


def in_parallel(work: Callable[[int, int], None], arcs: Arcs, threads: int) -> None:
    """Run `work(first, last)` over all arcs, in ranges of about equally many vertices."""
    shares = max(1, 4 * threads) if threads > 1 else 1
    marks = np.linspace(0, len(arcs.nodes), shares + 1)
    cuts = np.searchsorted(arcs.offsets, marks)
    cuts[0], cuts[-1] = 0, len(arcs)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(work, cuts[:-1].tolist(), cuts[1:].tolist()))


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
def _farthest(table, nodes, low, high):  # type: ignore[no-untyped-def]
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
def _is_clear(table, nodes, low, high, reach, advancing):  # type: ignore[no-untyped-def]
    """Whether the segment may replace the piece low…high of a path, whose vertices lie within `reach` of it."""
    lines, x, y, place, aspect = table
    a, b = nodes[low], nodes[high]
    ax, ay, bx, by = float(x[a]), y[a] * aspect, float(x[b]), y[b] * aspect
    margin = 0.25 * min(1.0, aspect)
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
            if not (low <= place[n] <= high or n == a or n == b):
                px, py = float(x[n]), line * aspect
                if not advancing or distance(px, py, ax, ay, bx, by) <= margin:
                    return False
                if _between(table, nodes, low, high, px, py):
                    return False
            n += 1
    return True


@kernel
def _anchors(table, nodes, low, high, twin, keep):  # type: ignore[no-untyped-def]
    """Keep what a path may not lose: something to hold two twins apart, four corners of a closed path."""
    if nodes[low] != nodes[high]:
        if twin and high - low > 1:
            keep[_farthest(table, nodes, low, high)[0]] = True
        return
    _, x, y, _, aspect = table
    far = _farthest(table, nodes, low, high)[0]
    keep[far] = True
    a, b = nodes[low], nodes[far]
    dx, dy = float(x[b] - x[a]), (y[b] - y[a]) * aspect
    most, least, at_most, at_least = 0.0, 0.0, -1, -1
    for k in range(low + 1, high):
        side = (y[nodes[k]] - y[a]) * aspect * dx - (x[nodes[k]] - x[a]) * dy
        if side > most:
            most, at_most = side, k
        if side < least:
            least, at_least = side, k
    if at_most >= 0:
        keep[at_most] = True
    if at_least >= 0:
        keep[at_least] = True


@kernel
def _open_range(table, offsets, nodes, twins, arc, keep):  # type: ignore[no-untyped-def]
    """Drop all vertices of the arc but its ends, the ends of its pieces, and its anchors."""
    low, high = offsets[arc], offsets[arc + 1] - 1
    for k in range(low + 1, high):
        keep[k] = (k - low) % 2048 == 0
    _anchors(table, nodes, low, high, twins[arc], keep)
    return low, high


@kernel
def _simplify_dp(table, offsets, nodes, twins, tolerance, first, last, keep):  # type: ignore[no-untyped-def]
    stack = np.empty(4200, np.int64)
    for arc in range(first, last):
        low, high = _open_range(table, offsets, nodes, twins, arc, keep)
        start = low
        while start < high:
            end = start + 1
            while not keep[end]:
                end += 1
            stack[0] = end
            size = 1
            while size > 0:
                end = stack[size - 1]
                if end - start > 1:
                    where, far, advancing = _farthest(table, nodes, start, end)
                    if far > tolerance or not _is_clear(table, nodes, start, end, far, advancing):
                        keep[where] = True
                        stack[size] = where
                        size += 1
                        continue
                start = end
                size -= 1


@kernel
def _triangle(table, nodes, a, b, c):  # type: ignore[no-untyped-def]
    """Twice the signed area of the triangle of three places on a path."""
    _, x, y, _, aspect = table
    a, b, c = nodes[a], nodes[b], nodes[c]
    return ((x[b] - x[a]) * float(y[c] - y[a]) - (x[c] - x[a]) * float(y[b] - y[a])) * aspect


@kernel
def _can_go(table, nodes, keep, low, high, a, b, c):  # type: ignore[no-untyped-def]
    """Whether vertex b may go, a and c being the next that are left: no node but removed ones of this path in the way."""
    lines, x, y, place, aspect = table
    na, nb, nc = nodes[a], nodes[b], nodes[c]
    ax, ay, bx, by = float(x[na]), y[na] * aspect, float(x[nb]), y[nb] * aspect
    cx, cy = float(x[nc]), y[nc] * aspect
    margin = 0.25 * min(1.0, aspect)
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


@kernel
def _simplify_vw(table, offsets, nodes, twins, tolerance, first, last, keep):  # type: ignore[no-untyped-def]
    for arc in range(first, last):
        low, high = _open_range(table, offsets, nodes, twins, arc, keep)
        size = high - low + 1
        pinned = keep[low : high + 1].copy()
        keep[low : high + 1] = True
        before, after = np.arange(size) - 1, np.arange(size) + 1
        area = np.zeros(size)
        queue = [(0.0, 0) for _ in range(0)]
        for k in range(1, size - 1):
            if not pinned[k]:
                area[k] = abs(_triangle(table, nodes, low + k - 1, low + k, low + k + 1)) / 2
                queue.append((area[k], k))
        heapq.heapify(queue)
        while len(queue) > 0:
            now, k = heapq.heappop(queue)
            if now >= tolerance * tolerance:
                break
            if not keep[low + k] or area[k] != now:
                continue
            a, c = before[k], after[k]
            if not _can_go(table, nodes, keep, low, high, low + a, low + k, low + c):
                continue
            keep[low + k] = False
            after[a], before[c] = c, a
            for b in (a, c):
                if not pinned[b]:
                    # Never less than what has just gone, or a vertex could go before one that mattered less.
                    fresh = abs(_triangle(table, nodes, low + before[b], low + b, low + after[b])) / 2
                    area[b] = max(now, fresh)
                    heapq.heappush(queue, (area[b], b))


METHODS = {"dp": _simplify_dp, "vw": _simplify_vw}
