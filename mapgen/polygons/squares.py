"""Buildings squared within a coverage: rings with right angles take the place of borders where nothing is in the way.

Rings are taken one after the other, the smallest first. Where other borders end at a ring, their ends follow onto its
new sides. A ring that would come too near to another border, jump over one, or move what has moved already, stays as it
is: so what was a coverage stays one, and nothing needs to be repaired (see docs/decisions/0230).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bools, Floats
from mapgen.kernels import kernel
from mapgen.polygons.arcs import Arcs
from mapgen.polygons.lines import Lines
from mapgen.polygons.rings import Rings
from mapgen.polygons.simplify import keep_vertices
from mapgen.polygons.square import NARROWER, STRENGTH, direction_of, is_round, narrowest, squared_ring
from mapgen.polygons.squares_room import add_segment, grid_of_lines, is_blocked

TRIES = (1.0, 1.4, 0.7)
"""Tolerances by which a border is simplified to see the directions of its sides; the first that will do is taken."""

NEAR_CORNER = 1.0
"""Pixels from a corner within which another border ends at the corner itself."""

LEAST_STEP = 0.25
"""Pixels, at least, between two places at which other borders end on one side."""


@dataclass(frozen=True, slots=True)
class Squared:
    """Lines with right angles where `done` says so, for each ring; `tried` are the rings that were wanted square."""

    lines: Lines
    tried: Bools
    done: Bools


def squared(
    arcs: Arcs, rings: Rings, lines: Lines, tolerance: Floats, directions: NDArray[np.int64], aspect: float = 1.0
) -> Squared:
    """The lines of the arcs after the rings with a `tolerance` above 0 (pixel widths) were squared where they can be.

    `directions` of each ring is 4 (right angles) or 8 (45° too); `aspect` is the height of a pixel in its widths, so
    that angles are those on the ground. Laws: a coverage stays a coverage; a ring that is not `done` runs as before,
    but for the ends of its arcs at rings that are.
    """
    tried = tolerance > 0
    done = np.zeros(len(tried), np.bool_)
    if not tried.any():
        return Squared(lines, tried, done)
    sizes = np.unique(tolerance[tried])
    keep = np.stack([keep_vertices(arcs, max(1.0, s * float(t)), "dp", aspect) for t in sizes for s in TRIES])
    which = np.searchsorted(sizes, tolerance) * len(TRIES)
    order = np.flatnonzero(tried)
    order = order[np.argsort(np.abs(rings.area[order]), kind="stable")]
    exteriors = np.repeat(rings.parts[:-1], np.diff(rings.parts))
    size = np.diff(arcs.at.lines).size - 1, int(arcs.at.x.max())
    table = (arcs.offsets, arcs.nodes, arcs.at.x, arcs.at.y, arcs.at.place, keep)
    x, y, start, count = _square_all(
        table, (rings.offsets, rings.darts, exteriors.astype(np.int64)), (lines.offsets, lines.x, lines.y), order,
        (tolerance, directions, which), float(aspect), size, done,
    )  # fmt: skip
    offsets = np.concatenate(([0], np.cumsum(count))).astype(np.int64)
    places = np.repeat(start - offsets[:-1], count) + np.arange(offsets[-1])
    return Squared(Lines(offsets, x[places], y[places]), tried, done)


@kernel
def _square_all(table, rings, lines, order, wanted, aspect, size, done):  # type: ignore[no-untyped-def]
    """The pool of vertices, and where in it each arc begins and how many it has."""
    arc_offsets, nodes, _, _, place, _ = table
    offsets, darts, exteriors = rings
    arcs = len(arc_offsets) - 1
    extra = 0
    for ring in order:
        for k in range(offsets[ring], offsets[ring + 1]):
            extra += arc_offsets[(darts[k] >> 1) + 1] - arc_offsets[darts[k] >> 1] + 4
    total = len(lines[1])
    x, y, owner = np.empty(total + extra), np.empty(total + extra), np.empty(total + extra, np.int64)
    x[:total], y[:total] = lines[1], lines[2]
    start, count = lines[0][:-1].copy(), np.diff(lines[0])
    ends = np.empty((arcs, 2), np.int64)  # the fixed nodes at the ends of arcs, -1 for none
    fixed = 0
    for arc in range(arcs):
        owner[start[arc] : start[arc] + count[arc]] = arc
        for e in range(2):
            p = place[nodes[arc_offsets[arc] if e == 0 else arc_offsets[arc + 1] - 1]]
            ends[arc, e] = -1 - p if p < 0 else -1
            fixed = max(fixed, ends[arc, e] + 1)
    first, leaving = _incident(ends, fixed)
    pool = (x, y, owner, start, count, ends)
    grid = grid_of_lines(pool, total, size)
    moved, changed = np.zeros(fixed, np.bool_), np.zeros(arcs, np.bool_)
    used = total
    for ring in order:
        own = darts[offsets[ring] : offsets[ring + 1]]
        outer = darts[offsets[exteriors[ring]] : offsets[exteriors[ring] + 1]]
        if _is_taken(own, ends, moved, changed):
            continue
        for turn in range(len(TRIES)):
            tolerance, directions = wanted[0][ring], wanted[1][ring]
            keep = table[5][wanted[2][ring] + turn]
            found, sizes, fresh_x, fresh_y = _fresh(table, own, outer, keep, tolerance, directions, aspect, size)
            if found and not is_blocked(pool, grid, own, sizes, fresh_x, fresh_y, first, leaving):
                used = _put(pool, grid, own, sizes, fresh_x, fresh_y, used, first, leaving)
                _mark(own, ends, moved, changed)
                done[ring] = True
                break
    return x, y, start, count


@kernel
def _mark(own, ends, moved, changed):  # type: ignore[no-untyped-def]
    """The arcs of a ring, and the nodes on it, are where they stay."""
    for dart in own:
        changed[dart >> 1] = True
        for e in range(2):
            if ends[dart >> 1, e] >= 0:
                moved[ends[dart >> 1, e]] = True


@kernel
def _incident(ends, fixed):  # type: ignore[no-untyped-def]
    """The ends of arcs (2·arc for its start, 2·arc + 1 for its end) at each fixed node, as offsets and a list."""
    first = np.zeros(fixed + 1, np.int64)
    for node in ends.ravel():
        if node >= 0:
            first[node + 1] += 1
    for node in range(fixed):
        first[node + 1] += first[node]
    at, out = first.copy(), np.empty(first[fixed], np.int64)
    for i, node in enumerate(ends.ravel()):
        if node >= 0:
            out[at[node]] = i
            at[node] += 1
    return first, out


@kernel
def _is_taken(own, ends, moved, changed):  # type: ignore[no-untyped-def]
    for dart in own:
        arc = dart >> 1
        if changed[arc] or (ends[arc, 0] >= 0 and moved[ends[arc, 0]]) or (ends[arc, 1] >= 0 and moved[ends[arc, 1]]):
            return True
    return False


@kernel
def _cycle(table, own, keep, aspect):  # type: ignore[no-untyped-def]
    """A ring pixel by pixel, y in pixel widths; which vertices simplification leaves; where each dart begins.

    Straight stretches of the lattice get a vertex at every pixel: a border is parted and measured at vertices.
    """
    offsets, nodes, x, y, _, _ = table
    size = 0
    for dart in own:
        for k in range(offsets[dart >> 1] + 1, offsets[(dart >> 1) + 1]):
            size += abs(x[nodes[k]] - x[nodes[k - 1]]) + abs(y[nodes[k]] - y[nodes[k - 1]])
    px, py, kept = np.empty(size), np.empty(size), np.zeros(size, np.bool_)
    begins = np.empty(len(own), np.int64)
    n = 0
    for j, dart in enumerate(own):
        low, high = offsets[dart >> 1], offsets[(dart >> 1) + 1] - 1
        begins[j] = n
        for k in range(high - low):
            at = high - k if dart & 1 else low + k
            to = at - 1 if dart & 1 else at + 1
            kept[n] = keep[at]
            dx, dy = x[nodes[to]] - x[nodes[at]], y[nodes[to]] - y[nodes[at]]
            steps = abs(dx) + abs(dy)
            for step in range(steps):
                px[n] = x[nodes[at]] + np.sign(dx) * step
                py[n] = (y[nodes[at]] + np.sign(dy) * step) * aspect
                n += 1
    return px, py, np.flatnonzero(kept), begins


@kernel
def _fresh(table, own, outer, keep, tolerance, directions, aspect, size):  # type: ignore[no-untyped-def]
    """Whether a ring can be square; then how many vertices each of its darts has, and these one after the other."""
    none = False, np.empty(0, np.int64), np.empty(0), np.empty(0)
    px, py, ends, begins = _cycle(table, own, keep, aspect)
    if px.min() <= 0 or py.min() <= 0 or px.max() >= size[1] or py.max() >= size[0] * aspect:
        return none  # what the frame cuts off is no whole building
    ox, oy, outer_ends, _ = _cycle(table, outer, keep, aspect)
    if is_round(ox, oy):
        return none
    theta, strength = direction_of(ox, oy, outer_ends)
    if strength < STRENGTH:
        theta, strength = narrowest(ox, oy, outer_ends)
        if strength < NARROWER:
            return none
    runs, cx, cy = squared_ring(px, py, ends, theta, directions, tolerance)
    if len(runs) == 0:
        return none
    offsets, nodes, _, _, place, _ = table
    if place[nodes[offsets[own[0] >> 1]]] >= 0:  # a closed border, without other borders that end at it
        count = len(runs) + 1
        wx, wy = np.empty(count), np.empty(count)
        for i in range(count):
            wx[i], wy[i] = cx[i % len(runs)], cy[i % len(runs)] / aspect
        return True, np.array([count]), wx, wy
    shares = _node_shares(px, py, runs, cx, cy, begins)
    if len(shares) == 0:
        return none
    sizes, wx, wy = _pieces(cx, cy, shares)
    return True, sizes, wx, wy / aspect


@kernel
def _node_shares(x, y, runs, cx, cy, begins):  # type: ignore[no-untyped-def]
    """Where other borders end on the new ring: i + a share of side i, growing; nothing where their order would change.
    """
    count, size = len(runs), len(x)
    shares = np.empty(len(begins))
    for j, b in enumerate(begins):
        i = 0
        while runs[i, 1] + (b - runs[i, 1]) % size >= runs[i, 2]:
            i += 1
        before = (i - 1) % count
        dx, dy = cx[i] - cx[before], cy[i] - cy[before]
        share = ((x[b] - cx[before]) * dx + (y[b] - cy[before]) * dy) / (dx * dx + dy * dy)
        length = np.hypot(dx, dy)
        near = min(NEAR_CORNER / length, 0.5)
        share = 0.0 if share < near else 1.0 if share > 1 - near else share
        shares[j] = i + share
    for j in range(len(shares)):  # ever growing: a ring is one turn
        if j > 0 and shares[j] < shares[0]:
            shares[j] += count
    for j in range(len(shares)):
        after = shares[j + 1] if j + 1 < len(shares) else shares[0] + count
        i = int(np.floor(shares[j])) % count
        dx, dy = cx[i] - cx[(i - 1) % count], cy[i] - cy[(i - 1) % count]
        if after <= shares[j] or (after - shares[j] < 1 and (after - shares[j]) * np.hypot(dx, dy) < LEAST_STEP):
            return shares[:0]
    return shares


@kernel
def _pieces(cx, cy, shares):  # type: ignore[no-untyped-def]
    """The ring cut where other borders end: how many vertices each piece has, and these."""
    count, pieces = len(cx), len(shares)
    sizes = np.zeros(pieces, np.int64)
    x, y = np.empty(count + 2 * pieces), np.empty(count + 2 * pieces)
    n = 0
    for j in range(pieces):
        first = shares[j]
        last = shares[j + 1] if j + 1 < pieces else shares[0] + count
        begin = n
        x[n], y[n] = _at_share(cx, cy, first)
        n += 1
        corner = int(np.floor(first)) + 1
        while corner < last:
            x[n], y[n] = cx[(corner - 1) % count], cy[(corner - 1) % count]
            n += 1
            corner += 1
        x[n], y[n] = _at_share(cx, cy, last if j + 1 < pieces else shares[0])
        n += 1
        sizes[j] = n - begin
    return sizes, x[:n], y[:n]


@kernel
def _at_share(cx, cy, share):  # type: ignore[no-untyped-def]
    count = len(cx)
    side = int(np.floor(share))
    part = share - side
    a, b = (side - 1) % count, side % count
    if part == 0:
        return cx[a], cy[a]
    return cx[a] + part * (cx[b] - cx[a]), cy[a] + part * (cy[b] - cy[a])


@kernel
def _put(pool, grid, own, sizes, fresh_x, fresh_y, used, first, leaving):  # type: ignore[no-untyped-def]
    """Put the pieces of a ring in the place of its arcs, and let other arcs end where it now is."""
    x, y, owner, start, count, ends = pool
    n = 0
    for j, dart in enumerate(own):
        arc = dart >> 1
        start[arc], count[arc] = used, sizes[j]
        for k in range(sizes[j]):
            at = used + (sizes[j] - 1 - k if dart & 1 else k)
            x[at], y[at], owner[at] = fresh_x[n], fresh_y[n], arc
            n += 1
        used += sizes[j]
        for k in range(start[arc], used - 1):
            add_segment(grid, pool, k)
    n = 0
    for j, dart in enumerate(own):
        node = ends[dart >> 1, dart & 1]
        if node >= 0:
            for m in range(first[node], first[node + 1]):
                other, e = leaving[m] >> 1, leaving[m] & 1
                at = start[other] + count[other] - 1 if e else start[other]
                if x[at] != fresh_x[n] or y[at] != fresh_y[n]:
                    x[at], y[at] = fresh_x[n], fresh_y[n]
                    add_segment(grid, pool, at - 1 if e else at)
        n += sizes[j]
    return used
