"""The skeleton of the roads: its pixels row by row, how they hang together, and the graph that they draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bools, Ints, Longs
from mapgen.kernels import kernel
from mapgen.roads.graph import Graph

Reals = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The pixels of a skeleton: those in row y are `x[lines[y]:lines[y + 1]]`, by increasing x.

    `r` is half the width of the road at each, in pixel widths, and `frame` says whether the road
    leaves the scene, or what is known of it, near by.
    """

    height: int
    width: int
    lines: Longs
    x: Ints
    r: Reals
    frame: Bools

    def __len__(self) -> int:
        return len(self.x)

    @property
    def y(self) -> Ints:
        """The row of each pixel."""
        return np.repeat(np.arange(self.height, dtype=np.int32), np.diff(self.lines))


def skeleton_of(mask: Bools, r: Reals | None = None, frame: Bools | None = None) -> Skeleton:
    """The set pixels of a raster (H, W) as a skeleton; `r` and `frame`, (H, W), are 1 and false where not given."""
    rows, cols = np.nonzero(mask)
    lines = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=mask.shape[0])))).astype(np.int64)
    radius = np.ones(len(rows), np.float32) if r is None else r[mask].astype(np.float32)
    edge = np.zeros(len(rows), np.bool_) if frame is None else frame[mask]
    return Skeleton(mask.shape[0], mask.shape[1], lines, cols.astype(np.int32), radius, edge)


def trace(skeleton: Skeleton) -> Graph:
    """The graph of a skeleton: nodes where it ends or branches, edges the chains of pixels between them.

    Two pixels are linked if they share a side, or a corner where neither of the two pixels beside it is set
    ("m-adjacency": so links do not cross and make no triangles); of four pixels in a square the lower two are not
    linked, or the square would be a loop. A loop without a node has one at its first pixel, row by row; a pixel without
    links is left out. Laws: the graph has as many loops as the skeleton has holes, and as many parts as the skeleton
    has of more than one pixel; degrees sum to twice the number of edges.
    """
    links = np.empty((len(skeleton), 8), np.int32)
    degree = np.empty(len(skeleton), np.int32)
    _link(skeleton.lines, skeleton.x, links, degree)
    count, size = _sizes(links, degree)
    u, v = np.empty(count, np.int32), np.empty(count, np.int32)
    offsets, path = np.zeros(count + 1, np.int64), np.empty(size, np.int32)
    count = _walk(links, degree, u, v, offsets, path)
    u, v, offsets = u[:count], v[:count], offsets[: count + 1]
    nodes, which = np.unique(np.concatenate((u, v)), return_inverse=True)
    ends: Ints = which.astype(np.int32)
    return Graph(
        skeleton.x, skeleton.y, skeleton.r, skeleton.frame, np.zeros(len(skeleton), np.bool_),
        nodes.astype(np.int32), ends[:count], ends[count:], offsets, path[: offsets[-1]],
    )  # fmt: skip


@kernel
def _link(lines, x, links, degree):  # type: ignore[no-untyped-def]
    """The linked pixels of each pixel, first `degree` of a row of `links`; rows are swept with one pointer each."""
    height = len(lines) - 1
    for y in range(height):
        up, up_end = (lines[y - 1], lines[y]) if y > 0 else (0, 0)
        down, down_end = (lines[y + 1], lines[y + 2]) if y + 1 < height else (0, 0)
        for i in range(lines[y], lines[y + 1]):
            c = x[i]
            while up < up_end and x[up] < c - 1:
                up += 1
            while down < down_end and x[down] < c - 1:
                down += 1
            nw, n, ne = _three(x, up, up_end, c)
            sw, s, se = _three(x, down, down_end, c)
            w = i - 1 if i > lines[y] and x[i - 1] == c - 1 else -1
            e = i + 1 if i + 1 < lines[y + 1] and x[i + 1] == c + 1 else -1
            count = 0
            for near, linked in (
                (n, True), (ne, n < 0 and e < 0), (e, n < 0 or ne < 0), (se, s < 0 and e < 0),
                (s, True), (sw, s < 0 and w < 0), (w, n < 0 or nw < 0), (nw, n < 0 and w < 0),
            ):  # fmt: skip
                if near >= 0 and linked:
                    links[i, count] = near
                    count += 1
            degree[i] = count


@kernel
def _three(x, k, end, c):  # type: ignore[no-untyped-def]
    """The pixels in columns c - 1, c, c + 1 among those of a row from `k` on; -1 where there is none."""
    left, middle, right = -1, -1, -1
    if k < end and x[k] == c - 1:
        left, k = k, k + 1
    if k < end and x[k] == c:
        middle, k = k, k + 1
    if k < end and x[k] == c + 1:
        right = k
    return left, middle, right


@kernel
def _sizes(links, degree):  # type: ignore[no-untyped-def]
    """How many edges there are at most, and how many entries their chains have."""
    ends, inner, loops = 0, 0, 0
    for d in degree:
        if d == 2:
            inner += 1
        else:
            ends += d
    loops = inner // 4 + 1
    return ends // 2 + loops, inner + ends + 2 * loops


@kernel
def _other(links, at, came):  # type: ignore[no-untyped-def]
    return links[at, 1] if links[at, 0] == came else links[at, 0]


@kernel
def _chain(links, degree, seen, start, towards, position, path):  # type: ignore[no-untyped-def]
    """Write the pixels from `start` on until a node or `start` again; returns the position and the last pixel."""
    came, at = start, towards
    path[position] = start
    position += 1
    while degree[at] == 2 and at != start:
        seen[at] = True
        path[position] = at
        position += 1
        came, at = at, _other(links, at, came)
    path[position] = at
    return position + 1, at, came


@kernel
def _walk(links, degree, u, v, offsets, path):  # type: ignore[no-untyped-def]
    """The edges by their first node and its links, then the loops without a node."""
    count, position = 0, 0
    seen = np.zeros(len(degree), np.bool_)
    for start in range(len(degree)):
        if degree[start] == 2:
            continue
        for k in range(degree[start]):
            towards = links[start, k]
            if degree[towards] == 2 and seen[towards]:
                continue
            if degree[towards] != 2 and towards < start:
                continue
            position, end, _ = _chain(links, degree, seen, start, towards, position, path)
            u[count], v[count] = start, end
            count += 1
            offsets[count] = position
    for start in range(len(degree)):
        if degree[start] == 2 and not seen[start]:
            seen[start] = True
            position, end, _ = _chain(links, degree, seen, start, links[start, 0], position, path)
            u[count], v[count] = start, end
            count += 1
            offsets[count] = position
    return count
