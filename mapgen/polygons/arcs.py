"""Arcs: the borders between regions, each once, between the points where three or more regions meet.

An arc is the path along borders between two fixed nodes (see `mapgen.polygons.nodes`), or a closed border that has
none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.nodes import CRACKS, FIXED, SEEN, Nodes, find_nodes
from mapgen.polygons.regions import Regions, label_at


@dataclass(frozen=True, slots=True)
class Arcs:
    """Every border once: arc i runs through `nodes[offsets[i]:offsets[i + 1]]` between `left[i]` and `right[i]`.

    Left and right as one sees them on the raster with row 0 at the top. A closed arc repeats its first node. *Dart*
    2·i is arc i as it runs, dart 2·i + 1 the reverse. `following[d]` is the dart with which the ring of the region on
    the left of d goes on.
    """

    at: Nodes
    offsets: Longs
    nodes: Ints
    left: Ints
    right: Ints
    following: Ints
    twin: NDArray[np.bool_]
    """Whether another arc joins the same two nodes, so that not both may become the straight line between them."""

    def __len__(self) -> int:
        return len(self.left)


class _Table(NamedTuple):
    """The nodes as kernels take them, and for each the one above and below it along a border."""

    x: Ints
    y: Ints
    flags: NDArray[np.uint8]
    place: Ints
    up: Ints
    down: Ints


def find_arcs(regions: Regions) -> Arcs:
    """The arcs of the regions: a planar map whose faces are the regions and the outside.

    Law: the signed lattice areas of the darts around a region sum to its number of pixels.
    """
    nodes, up, down, corners = find_nodes(regions)
    fixed = corners.shape[0]
    ends = _ends(nodes.flags)
    free = len(nodes.x) - fixed
    loops = free // 4 + 1
    offsets = np.empty(ends // 2 + loops + 1, np.int64)
    path = np.empty(free + ends + loops, np.int32)
    left, right = np.empty(len(offsets), np.int32), np.empty(len(offsets), np.int32)
    leaving = np.full((fixed, 4), -1, np.int32)
    arriving = np.empty(2 * len(offsets), np.int64)
    table = _Table(nodes.x, nodes.y, nodes.flags, nodes.place, up, down)
    count = _trace_between(table, corners, leaving, arriving, offsets, path, left, right)
    runs = (regions.offsets, regions.starts, regions.labels)
    total = _trace_loops(table, runs, count, offsets, path, left, right)
    offsets, left, right = offsets[: total + 1].copy(), left[:total].copy(), right[:total].copy()
    arriving[2 * count :] = -1
    following = following_darts(arriving[: 2 * total], leaving, left, right)
    twin = _twins(total, count, leaving, arriving)
    return Arcs(nodes, offsets, path[: offsets[-1]], left, right, following, twin)


@kernel
def _ends(flags):  # type: ignore[no-untyped-def]
    """How many cracks leave the fixed nodes, in all."""
    total = 0
    for f in flags:
        if f & FIXED:
            total += (f & 1) + (f >> 1 & 1) + (f >> 2 & 1) + (f >> 3 & 1)
    return total


@kernel
def _step(table, node, heading):  # type: ignore[no-untyped-def]
    """The node at the other end of the crack that leaves `node` with this heading."""
    if heading == 0:
        return node + 1
    if heading == 1:
        return table.down[node]
    if heading == 2:
        return node - 1
    return table.up[node]


@kernel
def _turn(bits, heading):  # type: ignore[no-untyped-def]
    """The heading that leaves a free node, which has two cracks, when one arrives with `heading`."""
    rest = bits & CRACKS & ~(1 << ((heading + 2) & 3))
    return 0 if rest == 1 else 1 if rest == 2 else 2 if rest == 4 else 3


@kernel
def _walk(table, node, heading, position, path):  # type: ignore[no-untyped-def]
    """Write the nodes from `node` on until a fixed or seen one. Returns position, that node and the heading there."""
    path[position] = node
    position += 1
    while True:
        node = _step(table, node, heading)
        path[position] = node
        if table.flags[node] & (FIXED | SEEN):
            return position + 1, node, heading
        table.flags[node] |= SEEN
        table.place[node] = position
        position += 1
        heading = _turn(table.flags[node], heading)


@kernel
def _trace_between(table, corners, leaving, arriving, offsets, path, left, right):  # type: ignore[no-untyped-def]
    """The arcs between fixed nodes, in the order of the node and the heading that they are first met from."""
    flags, place = table.flags, table.place
    count = 0
    position = 0
    offsets[0] = 0
    for node in range(len(flags)):
        if not flags[node] & FIXED:
            continue
        i = -1 - place[node]
        for heading in range(4):
            if not flags[node] >> heading & 1 or leaving[i, heading] >= 0:
                continue
            nw, ne, sw, se = corners[i, 0], corners[i, 1], corners[i, 2], corners[i, 3]
            left[count] = ne if heading == 0 else se if heading == 1 else sw if heading == 2 else nw
            right[count] = se if heading == 0 else sw if heading == 1 else nw if heading == 2 else ne
            position, end, last = _walk(table, node, heading, position, path)
            j = -1 - place[end]
            leaving[i, heading] = 2 * count
            leaving[j, (last + 2) & 3] = 2 * count + 1
            arriving[2 * count] = 4 * j + last
            arriving[2 * count + 1] = 4 * i + ((heading + 2) & 3)
            count += 1
            offsets[count] = position
    return count


@kernel
def _trace_loops(table, runs, count, offsets, path, left, right):  # type: ignore[no-untyped-def]
    """The closed arcs without a fixed node, each from its first node, which is its north-west corner, southwards."""
    x, y, flags, place = table.x, table.y, table.flags, table.place
    position = offsets[count]
    for node in range(len(x)):
        if flags[node] & (FIXED | SEEN):
            continue
        left[count] = label_at(runs, y[node], x[node])
        right[count] = label_at(runs, y[node] - 1, x[node])
        flags[node] |= SEEN
        place[node] = position
        position, _, _ = _walk(table, node, np.int64(1), position, path)
        count += 1
        offsets[count] = position
    return count


@kernel
def following_darts(arriving, leaving, left, right):  # type: ignore[no-untyped-def]
    """For each dart the next one around the region on its left.

    `arriving[dart]` is 4·node + heading (east 0, south 1, west 2, north 3) at the dart's end, below 0 where it has no
    fixed node and follows itself; `leaving[node, heading]` the dart that leaves, -1 for none.
    It is the leftmost turn, for regions are 4-connected. Only where the region on the left lies across the node as
    well is it the right turn: the ring would pass through the node twice, which no valid ring does; so it becomes two
    rings that touch there. (The visits of a face to its cut points do not interleave, so no ring is joined by this.)
    """
    following = np.arange(len(arriving)).astype(np.int32)
    for dart in range(len(arriving)):
        if arriving[dart] < 0:
            continue
        i, heading = arriving[dart] // 4, arriving[dart] & 3
        left_turn, right_turn = leaving[i, (heading + 3) & 3], leaving[i, (heading + 1) & 3]
        twice = False
        if left_turn >= 0 and right_turn >= 0:
            behind = right[dart >> 1] if dart & 1 else left[dart >> 1]
            across = right[right_turn >> 1] if right_turn & 1 else left[right_turn >> 1]
            twice = behind == across
        if left_turn >= 0 and not twice:
            following[dart] = left_turn
        elif leaving[i, heading] >= 0 and not twice:
            following[dart] = leaving[i, heading]
        else:
            following[dart] = right_turn
    return following


@kernel
def _twins(total, between, leaving, arriving):  # type: ignore[no-untyped-def]
    twin = np.zeros(total, np.bool_)
    for arc in range(between):
        end, start = arriving[2 * arc] // 4, arriving[2 * arc + 1] // 4
        for heading in range(4):
            other = leaving[start, heading]
            if other >= 0 and other >> 1 != arc and arriving[other] // 4 == end:
                twin[arc] = True
    return twin
