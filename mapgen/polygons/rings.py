"""Rings: the darts that go around each region, exterior first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats, Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.arcs import Arcs


@dataclass(frozen=True, slots=True)
class Rings:
    """Ring k is the darts `darts[offsets[k]:offsets[k + 1]]`, its region on their left; `area` in pixels, signed.

    Rings are sorted by region; the first ring of a region is its exterior (area > 0), the others its holes (area < 0).
    The rings of `regions[p]` are `parts[p]:parts[p + 1]`.
    """

    regions: Ints
    parts: Longs
    offsets: Longs
    darts: Ints
    area: Longs


def find_rings(arcs: Arcs, wanted: NDArray[np.bool_]) -> Rings:
    """The rings of the regions that are `wanted[region]`.

    Law: the areas of the rings of a region sum to its number of pixels; exactly one of them is positive.
    """
    areas = lattice_areas(arcs)
    starts, regions, sums = _find(arcs.following, arcs.left, arcs.right, areas, wanted)
    # Exterior first, then the holes in the order in which they were met: a stable sort by region and sign.
    order = np.lexsort((sums < 0, regions))
    starts, regions, sums = starts[order], regions[order], sums[order]
    offsets, darts = _collect(arcs.following, starts)
    first = np.flatnonzero(np.diff(regions, prepend=-1))
    return Rings(regions[first], np.append(first, len(regions)).astype(np.int64), offsets, darts, sums // 2)


def lattice_areas(arcs: Arcs) -> Longs:
    """Twice the signed area of each arc in lattice units; around a region that lies on the left the sum is positive."""
    return _areas(arcs.offsets, arcs.nodes, arcs.at.x, arcs.at.y)


@kernel
def _areas(offsets, nodes, x, y):  # type: ignore[no-untyped-def]
    out = np.empty(len(offsets) - 1, np.int64)
    for i in range(len(out)):
        total = 0
        a = nodes[offsets[i]]
        for k in range(offsets[i] + 1, offsets[i + 1]):
            b = nodes[k]
            total += np.int64(x[b]) * y[a] - np.int64(x[a]) * y[b]
            a = b
        out[i] = total
    return out


@kernel
def _find(following, left, right, areas, wanted):  # type: ignore[no-untyped-def]
    """The lowest dart, region and doubled area of each ring around a wanted region."""
    seen = np.zeros(len(following), np.bool_)
    count = 0
    starts = np.empty(len(following), np.int32)
    regions = np.empty(len(following), np.int32)
    sums = np.empty(len(following), np.int64)
    for first in range(len(following)):
        region = right[first >> 1] if first & 1 else left[first >> 1]
        if seen[first] or not wanted[region]:
            continue
        total = 0
        dart = first
        while not seen[dart]:
            seen[dart] = True
            total += -areas[dart >> 1] if dart & 1 else areas[dart >> 1]
            dart = following[dart]
        starts[count] = first
        regions[count] = region
        sums[count] = total
        count += 1
    return starts[:count].copy(), regions[:count].copy(), sums[:count].copy()


@kernel
def _collect(following, starts):  # type: ignore[no-untyped-def]
    offsets = np.empty(len(starts) + 1, np.int64)
    darts = np.empty(len(following), np.int32)
    n = 0
    for k in range(len(starts)):
        offsets[k] = n
        dart = starts[k]
        while True:
            darts[n] = dart
            n += 1
            dart = following[dart]
            if dart == starts[k]:
                break
    offsets[len(starts)] = n
    return offsets, darts[:n].copy()


def around(offsets: Longs, darts: Ints, values: Floats, signed: bool) -> Floats:
    """The sum of a value of the lines along the darts of each ring; a reversed line counts negatively if `signed`."""
    return _around(offsets, darts, values, signed)


@kernel
def _around(offsets, darts, values, signed):  # type: ignore[no-untyped-def]
    out = np.zeros(len(offsets) - 1)
    for k in range(len(out)):
        for n in range(offsets[k], offsets[k + 1]):
            value = values[darts[n] >> 1]
            out[k] += -value if signed and darts[n] & 1 else value
    return out
