"""Small regions absorbed and small holes filled, before any polygon exists: `--sieve`, `--min-hole`."""

from __future__ import annotations

import heapq

import numpy as np

from mapgen.arrays import Floats
from mapgen.kernels import kernel
from mapgen.polygons.arcs import find_arcs
from mapgen.polygons.regions import Regions
from mapgen.polygons.rings import find_rings
from mapgen.polygons.union_find import flatten, root


def region_sizes(regions: Regions, weights: Floats | None = None) -> Floats:
    """Size of each region, the outside first: in pixels, or the sum of `weights[row]` over its pixels."""
    if weights is None:
        return regions.pixels.astype(np.float64)
    return _weighted(
        regions.offsets,
        regions.starts,
        regions.labels,
        regions.width,
        len(regions) + 1,
        np.asarray(weights, np.float64),
    )


def sieved(regions: Regions, size: float, nodata: int, weights: Floats | None = None) -> Regions:
    """The regions after each one below `size` has been absorbed, smallest first.

    A region goes to the neighbour with which it shares the longest border; of equals to the larger one, then to the
    one that comes first on the raster. Its value is that neighbour's from then on, and it joins all its neighbours of
    that value. No data is neither absorbed nor absorbs, unless a region has no other neighbour; what has none at all
    becomes no data. `weights` are the sizes of a pixel in each row, 1 if not given. Law: no region with data is below
    `size` afterwards.
    """
    sizes = region_sizes(regions, weights)
    small = (sizes < size) & (regions.values != nodata)
    small[0] = False
    if not small.any():
        return regions
    runs = (regions.offsets, regions.starts, regions.labels, regions.width)
    counts = np.zeros(len(sizes) + 1, np.int64)
    nothing = np.empty(0, np.int32)
    _neighbours(runs, small, False, counts, nothing, nothing)
    offsets = np.concatenate(([0], np.cumsum(counts[:-1])))
    others, lengths = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], np.int32)
    _neighbours(runs, small, True, offsets[:-1].copy(), others, lengths)
    values = regions.values.copy()
    target = _absorb(offsets, others, lengths, small, sizes, values, float(size), nodata)
    return Regions(
        regions.height, regions.width, regions.offsets, regions.starts, regions.labels, values, regions.pixels
    ).relabelled(target)


def fill_holes(regions: Regions, size: float, nodata: int, weights: Floats | None = None) -> Regions:
    """The regions after every hole below `size` of a region with data, and all that lies in it, has become part of it.

    What is in a hole is filled even where it has no data. `weights` as in `sieved`. Law: no polygon of a region with
    data has a hole below `size` afterwards.
    """
    arcs = find_arcs(regions)
    wanted = regions.values != nodata
    wanted[0] = False
    rings = find_rings(arcs, wanted)
    least = 1.0 if weights is None else float(weights.min())
    holes = np.flatnonzero((rings.area < 0) & (-rings.area * least < size))
    if not len(holes):
        return regions
    owners = np.repeat(rings.regions, np.diff(rings.parts))[holes]
    offsets, others = _adjacency(arcs.left, arcs.right, len(regions) + 1)
    sides = np.stack((arcs.right, arcs.left), axis=1).ravel()
    first = sides[rings.darts[rings.offsets[holes]]]
    sizes = region_sizes(regions, weights)
    target = _fill(first, owners, offsets, others, sizes, float(size))
    return regions.relabelled(target)


@kernel
def _weighted(offsets, starts, labels, width, count, weights):  # type: ignore[no-untyped-def]
    out = np.zeros(count)
    for r in range(len(offsets) - 1):
        for run in range(offsets[r], offsets[r + 1]):
            end = starts[run + 1] if run + 1 < offsets[r + 1] else width
            out[labels[run]] += (end - starts[run]) * weights[r]
    return out


@kernel
def _note(small, fill, places, others, lengths, one, other, length):  # type: ignore[no-untyped-def]
    """Count, or write, that a small region borders another over some length."""
    if small[one]:
        if fill:
            others[places[one]] = other
            lengths[places[one]] = length
        places[one] += 1


@kernel
def _neighbours(runs, small, fill, places, others, lengths):  # type: ignore[no-untyped-def]
    """Go over all borders between two runs and note them with the small regions beside them."""
    offsets, starts, labels, width = runs
    for r in range(len(offsets) - 1):
        above, above_end = (offsets[r - 1], offsets[r]) if r > 0 else (0, 0)
        for run in range(offsets[r], offsets[r + 1]):
            label, start = labels[run], starts[run]
            end = starts[run + 1] if run + 1 < offsets[r + 1] else width
            if run > offsets[r] and labels[run - 1] != label:
                _note(small, fill, places, others, lengths, label, labels[run - 1], 1)
                _note(small, fill, places, others, lengths, labels[run - 1], label, 1)
            while above < above_end:
                stop = starts[above + 1] if above + 1 < above_end else width
                shared = min(stop, end) - max(starts[above], start)
                if labels[above] != label and shared > 0:
                    _note(small, fill, places, others, lengths, label, labels[above], shared)
                    _note(small, fill, places, others, lengths, labels[above], label, shared)
                if stop <= end:
                    above += 1
                if stop >= end:
                    break


@kernel
def _join(parent, following, last, sizes, one, other):  # type: ignore[no-untyped-def]
    """Make two sets one, under the smaller number, their lists of members chained. Returns the root."""
    if one == other:
        return one
    root, leaf = min(one, other), max(one, other)
    parent[leaf] = root
    following[last[root]] = leaf
    last[root] = last[leaf]
    sizes[root] += sizes[leaf]
    return root


@kernel
def _border(offsets, others, lengths, parent, following, region, shared, touched):  # type: ignore[no-untyped-def]
    """Write the neighbours of a region to `touched` and the border with each to `shared`; returns their number."""
    count = 0
    member = region
    while member >= 0:
        for k in range(offsets[member], offsets[member + 1]):
            other = root(parent, others[k])
            if other == region:
                continue
            if shared[other] == 0:
                if count == len(touched):
                    touched = np.concatenate((touched, np.empty(count, np.int64)))
                touched[count] = other
                count += 1
            shared[other] += lengths[k]
        member = following[member]
    return touched, count


@kernel
def _choose(touched, count, shared, sizes, values, nodata):  # type: ignore[no-untyped-def]
    """The neighbour that absorbs; one without data if there is no other, -1 if there is none."""
    best = -1
    for k in range(count):
        other = touched[k]
        if best < 0:
            best = other
            continue
        a = (values[other] != nodata, shared[other], sizes[other], -other)
        b = (values[best] != nodata, shared[best], sizes[best], -best)
        if a > b:
            best = other
    return best


@kernel
def _absorb(offsets, others, lengths, small, sizes, values, size, nodata):  # type: ignore[no-untyped-def]
    """Which region each becomes part of. `sizes` and `values` (of the regions that remain) are changed."""
    count = len(sizes)
    parent = np.arange(count).astype(np.int32)
    following = np.full(count, -1, np.int32)
    last = np.arange(count).astype(np.int32)
    shared = np.zeros(count, np.int64)
    touched = np.empty(64, np.int64)
    queue = [(sizes[i], i) for i in range(count) if small[i]]
    heapq.heapify(queue)
    while len(queue) > 0:
        now, region = heapq.heappop(queue)
        if parent[region] != region or sizes[region] != now or values[region] == nodata:
            continue
        touched, near = _border(offsets, others, lengths, parent, following, region, shared, touched)
        best = _choose(touched, near, shared, sizes, values, nodata)
        value = values[best] if best >= 0 else nodata
        for k in range(near):
            other = touched[k]
            shared[other] = 0
            if values[other] == value:
                region = _join(parent, following, last, sizes, region, other)
        values[region] = value
        if sizes[region] < size and value != nodata:
            heapq.heappush(queue, (sizes[region], region))
    flatten(parent)
    return parent


@kernel
def _adjacency(left, right, count):  # type: ignore[no-untyped-def]
    """For each region the regions on the other sides of its arcs, as offsets and a list with repetitions."""
    offsets = np.zeros(count + 1, np.int64)
    for i in range(len(left)):
        offsets[left[i] + 1] += 1
        offsets[right[i] + 1] += 1
    offsets = np.cumsum(offsets)
    places = offsets[:-1].copy()
    others = np.empty(2 * len(left), np.int32)
    for i in range(len(left)):
        others[places[left[i]]] = right[i]
        places[left[i]] += 1
        others[places[right[i]]] = left[i]
        places[right[i]] += 1
    return offsets, others


@kernel
def _fill(first, owners, offsets, others, sizes, size):  # type: ignore[no-untyped-def]
    """Which region each becomes part of, when holes that begin with region `first[i]` are filled by `owners[i]`."""
    count = len(sizes)
    target = np.arange(count).astype(np.int32)
    seen = np.full(count, -1, np.int64)
    for hole in range(len(first)):
        # Everything reached without crossing the owner lies in the hole, for its ring shuts the hole off.
        stack = [np.int64(first[hole])]
        inside = [np.int64(first[hole])]
        seen[first[hole]] = hole
        total = 0.0
        while len(stack) > 0 and total < size:
            region = stack.pop()
            total += sizes[region]
            for k in range(offsets[region], offsets[region + 1]):
                other = np.int64(others[k])
                if other != owners[hole] and seen[other] != hole:
                    seen[other] = hole
                    stack.append(other)
                    inside.append(other)
        if len(stack) == 0 and total < size:
            for region in inside:
                target[region] = owners[hole]
    flatten(target)
    return target
