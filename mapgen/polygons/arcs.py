"""Arcs: the borders between regions, each once, between the points where three or more regions meet.

An arc is the path along borders between two fixed nodes (see `mapgen.polygons.nodes`), or a closed border that has
none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.nodes import Nodes, find_nodes
from mapgen.polygons.regions import Regions


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


def find_arcs(regions: Regions) -> Arcs:
    """The arcs of the regions: a planar map whose faces are the regions and the outside.

    Law: the signed lattice areas of the darts around a region sum to its number of pixels.
    """
    nodes, up, down, corners = find_nodes(regions)
    fixed = corners.shape[0]
    ends = _bits(nodes.flags, True)
    free = len(nodes.x) - fixed
    loops = free // 4 + 1
    offsets = np.empty(ends // 2 + loops + 1, np.int64)
    path = np.empty(free + ends + loops, np.int32)
    left, right = np.empty(len(offsets), np.int32), np.empty(len(offsets), np.int32)
    leaving = np.full((fixed, 4), -1, np.int32)
    arriving = np.empty(2 * len(offsets), np.int64)
    table = (nodes.x, nodes.y, nodes.flags, nodes.place, up, down)
    count = _trace_between(table, corners, leaving, arriving, offsets, path, left, right)
    runs = (regions.offsets, regions.starts, regions.labels)
    total = _trace_loops(table, runs, count, offsets, path, left, right)
    following = _follow(total, count, leaving, arriving, corners)
    offsets, left, right = offsets[: total + 1].copy(), left[:total].copy(), right[:total].copy()
    twin = _twins(total, count, leaving, arriving)
    return Arcs(nodes, offsets, path[: offsets[-1]], left, right, following, twin)


@kernel
def _bits(flags, fixed):  # type: ignore[no-untyped-def]
    """How many cracks leave the fixed nodes, in all."""
    total = 0
    for f in flags:
        if f & 16:
            total += (f & 1) + (f >> 1 & 1) + (f >> 2 & 1) + (f >> 3 & 1)
    return total


@kernel
def _step(table, node, heading):  # type: ignore[no-untyped-def]
    """The node at the other end of the crack that leaves `node` with this heading."""
    if heading == 0:
        return node + 1
    if heading == 1:
        return table[5][node]
    if heading == 2:
        return node - 1
    return table[4][node]


@kernel
def _turn(bits, heading):  # type: ignore[no-untyped-def]
    """The heading that leaves a free node, which has two cracks, when one arrives with `heading`."""
    rest = bits & 15 & ~(1 << ((heading + 2) & 3))
    return 0 if rest == 1 else 1 if rest == 2 else 2 if rest == 4 else 3


@kernel
def _walk(table, node, heading, position, path):  # type: ignore[no-untyped-def]
    """Write the nodes from `node` on until a fixed or seen one. Returns position, that node and the heading there."""
    _, _, flags, place, _, _ = table
    path[position] = node
    position += 1
    while True:
        node = _step(table, node, heading)
        path[position] = node
        if flags[node] & 48:
            return position + 1, node, heading
        flags[node] |= 32
        place[node] = position
        position += 1
        heading = _turn(flags[node], heading)


@kernel
def _trace_between(table, corners, leaving, arriving, offsets, path, left, right):  # type: ignore[no-untyped-def]
    """The arcs between fixed nodes, in the order of the node and the heading that they are first met from."""
    x, _, flags, place, _, _ = table
    count = 0
    position = 0
    offsets[0] = 0
    for node in range(len(x)):
        if not flags[node] & 16:
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
def _label_at(runs, row, column):  # type: ignore[no-untyped-def]
    offsets, starts, labels = runs
    low, high = offsets[row], offsets[row + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if starts[middle] <= column:
            low = middle
        else:
            high = middle
    return labels[low]


@kernel
def _trace_loops(table, runs, count, offsets, path, left, right):  # type: ignore[no-untyped-def]
    """The closed arcs without a fixed node, each from its first node, which is its north-west corner, southwards."""
    x, y, flags, place, _, _ = table
    position = offsets[count]
    for node in range(len(x)):
        if flags[node] & 48:
            continue
        left[count] = _label_at(runs, y[node], x[node])
        right[count] = _label_at(runs, y[node] - 1, x[node])
        flags[node] |= 32
        place[node] = position
        position, _, _ = _walk(table, node, np.int64(1), position, path)
        count += 1
        offsets[count] = position
    return count


@kernel
def _follow(total, between, leaving, arriving, corners):  # type: ignore[no-untyped-def]
    """For each dart the next one around the region on its left.

    That is the leftmost turn, for regions are 4-connected. Only where the region on the left lies across the node as
    well is it the right turn: the ring would pass through the node twice, which no valid ring does; so it becomes two
    rings that touch there. (The visits of a face to its cut points do not interleave, so no ring is joined by this.)
    """
    following = np.empty(2 * total, np.int32)
    for dart in range(2 * between, 2 * total):
        following[dart] = dart
    for dart in range(2 * between):
        i, heading = arriving[dart] // 4, arriving[dart] & 3
        nw, ne, sw, se = corners[i, 0], corners[i, 1], corners[i, 2], corners[i, 3]
        behind = nw if heading == 0 else ne if heading == 1 else se if heading == 2 else sw
        across = se if heading == 0 else sw if heading == 1 else nw if heading == 2 else ne
        right_turn = (heading + 1) & 3
        left_turn = (heading + 3) & 3
        if behind == across and leaving[i, left_turn] >= 0 and leaving[i, right_turn] >= 0:
            following[dart] = leaving[i, right_turn]
        elif leaving[i, left_turn] >= 0:
            following[dart] = leaving[i, left_turn]
        elif leaving[i, heading] >= 0:
            following[dart] = leaving[i, heading]
        else:
            following[dart] = leaving[i, right_turn]
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
