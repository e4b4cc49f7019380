"""Nodes: where the borders between regions bend, branch or end.

Vertices are lattice points: corners of pixels, x along the columns 0…W and y down the rows 0…H. Borders ("cracks") run
along the lattice lines between two pixels of different regions. A *node* is a lattice point where cracks bend, branch
or end at a corner of the raster; nodes are kept line by line, so the next node along a line is the next in memory and
only the links up and down are stored. A *fixed* node is where three or four cracks meet, or a corner of the raster;
the path between two fixed nodes is an arc, and so is a closed border that has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Ints, Longs
from mapgen.errors import ResourceError
from mapgen.kernels import kernel
from mapgen.polygons.regions import Regions

CRACKS = 15
"""The flags of the four cracks that may leave a node: east 1, south 2, west 4, north 8."""

FIXED = 16
"""The flag of a fixed node."""

SEEN = 32
"""The flag of a free node that an arc has been traced through."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes, line by line: those with y are `lines[y]:lines[y + 1]`, by increasing x.

    `flags` has a bit for each crack that leaves the node, and FIXED. `place` is the position of a free node in
    `Arcs.nodes`, or -1 - i for the i-th fixed node.
    """

    lines: Longs
    x: Ints
    y: Ints
    flags: NDArray[np.uint8]
    place: Ints


def find_nodes(regions: Regions) -> tuple[Nodes, Ints, Ints, Ints]:
    runs = (regions.offsets, regions.starts, regions.labels, regions.height, regions.width)
    none, byte = np.empty(0, np.int32), np.empty(0, np.uint8)
    lines = np.zeros(regions.height + 2, np.int64)
    _, fixed = _sweep(runs, False, lines, none, none, byte, none, none, none, np.empty((0, 4), np.int32))
    size = int(lines[-1])
    if size >= 2**31:
        raise ResourceError(
            "class map", f"its borders have {size} vertices, the limit is {2**31}", "vectorize it in parts"
        )
    x, y, place, up, down = (np.empty(size, np.int32) for _ in range(5))
    flags = np.empty(size, np.uint8)
    corners = np.empty((fixed, 4), np.int32)
    _sweep(runs, True, lines, x, y, flags, place, up, down, corners)
    return Nodes(lines, x, y, flags, place), up, down, corners


@kernel
def _sweep(runs, fill, lines, x, y, flags, place, up, down, corners):  # type: ignore[no-untyped-def]
    """Go along every lattice line and note the nodes on it; without `fill` only count them.

    `corners[i]` are the regions north-west, north-east, south-west and south-east of the i-th fixed node. `top` and
    `bottom` hold, for each border in the row above and below the line, the node at its upper end.
    """
    offsets, starts, labels, height, width = runs
    top = np.zeros(width + 1, np.int32)
    bottom = np.zeros(width + 1, np.int32)
    n = 0
    fixed = 0
    for line in range(height + 1):
        a, a_end = (offsets[line - 1], offsets[line]) if line > 0 else (0, 0)
        b, b_end = (offsets[line], offsets[line + 1]) if line < height else (0, 0)
        a_first, b_first = a, b
        nw, sw = 0, 0
        while True:
            column = width
            if a < a_end:
                column = starts[a]
            if b < b_end and starts[b] < column:
                column = starts[b]
            ia, ib = a - a_first, b - b_first
            ne, se = nw, sw
            if column == width:
                ne, se = 0, 0
            if a < a_end and starts[a] == column:
                ne = labels[a]
                a += 1
            if b < b_end and starts[b] == column:
                se = labels[b]
                b += 1
            bits = (ne != se) | (sw != se) << 1 | (nw != sw) << 2 | (nw != ne) << 3
            corner = (column == 0 or column == width) and (line == 0 or line == height)
            if bits != 0 and ((bits != 5 and bits != 10) or corner):
                three = bits == 15 or bits == 7 or bits == 11 or bits == 13 or bits == 14 or corner
                if fill:
                    x[n] = column
                    y[n] = line
                    flags[n] = bits | FIXED if three else bits
                    place[n] = -1
                    if bits & 8:
                        up[n] = top[ia]
                        down[top[ia]] = n
                    bottom[ib] = n
                    if three:
                        place[n] = -1 - fixed
                        corners[fixed, 0], corners[fixed, 1] = nw, ne
                        corners[fixed, 2], corners[fixed, 3] = sw, se
                n += 1
                fixed += three
            elif bits == 10:
                bottom[ib] = top[ia]
            nw, sw = ne, se
            if column == width:
                break
        top, bottom = bottom, top
        lines[line + 1] = n
    return n, fixed
