"""Borders simplified so that none cross: which vertices to keep, each arc once and by itself (`--simplify`).

A vertex may only go if nothing is jumped over: a segment replaces a piece of an arc when no node of any other arc, nor
of the rest of this one, lies between the two or within the clearance of the segment. Then the areas swept by any two
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

from mapgen.arrays import Bools
from mapgen.kernels import kernel
from mapgen.polygons.arcs import Arcs
from mapgen.polygons.clearance import can_go, farthest, is_clear

PIECE = 2048
"""Arcs are cut into pieces of at most this many vertices, whose ends stay: it bounds the time on hostile shapes."""


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
    if threads <= 1:
        work(0, len(arcs))
        return
    marks = np.linspace(0, len(arcs.nodes), 4 * threads + 1)
    cuts = np.searchsorted(arcs.offsets, marks)
    cuts[0], cuts[-1] = 0, len(arcs)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, cuts[:-1].tolist(), cuts[1:].tolist()))


@kernel
def _anchors(table, nodes, low, high, twin, keep):  # type: ignore[no-untyped-def]
    """Keep what a path may not lose: something to hold two twins apart, four corners of a closed path."""
    if nodes[low] != nodes[high]:
        if twin and high - low > 1:
            keep[farthest(table, nodes, low, high)[0]] = True
        return
    _, x, y, _, aspect = table
    far = farthest(table, nodes, low, high)[0]
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
        keep[k] = (k - low) % PIECE == 0
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
                    where, far, advancing = farthest(table, nodes, start, end)
                    if far > tolerance or not is_clear(table, nodes, start, end, far, advancing):
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
            if not can_go(table, nodes, keep, low, high, low + a, low + k, low + c):
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
