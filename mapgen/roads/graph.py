"""The graph of the roads while it is still made of pixels: edges are chains of pixels between nodes."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bools, Floats, Ints, Longs
from mapgen.kernels import kernel
from mapgen.polygons.union_find import root

Reals = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Graph:
    """Edge i runs through the pixels `path[offsets[i]:offsets[i + 1]]` from node `u[i]` to node `v[i]`.

    Node j is the pixel `nodes[j]`. Pixels are numbered; they have a column `x`, a row `y`, half the width `r` of
    the road (in pixel widths), and the flags `frame` (the road leaves the scene near by) and
    `bridge` (no road was seen here, a gap was bridged). Parallel edges and self-loops are legal. *Dart* 2·i is edge i
    as it runs, dart 2·i + 1 the reverse.
    """

    x: Ints
    y: Ints
    r: Reals
    frame: Bools
    bridge: Bools
    nodes: Ints
    u: Ints
    v: Ints
    offsets: Longs
    path: Ints

    def __len__(self) -> int:
        return len(self.u)

    def degrees(self) -> Longs:
        """Ends of edges at each node; a self-loop counts twice."""
        return np.bincount(np.concatenate((self.u, self.v)), minlength=len(self.nodes)).astype(np.int64)

    def parts(self) -> Ints:
        """The connected part of each node, numbered in the order of their first nodes."""
        return connected(len(self.nodes), self.u, self.v)

    def loops(self) -> int:
        """The first Betti number: how many edges could go without a part falling apart."""
        parts = self.parts()
        return len(self) - len(self.nodes) + (int(parts.max()) + 1 if len(parts) else 0)

    def lengths(self, aspect: float = 1.0) -> Floats:
        """Length of each chain of pixels, in pixel widths; too long by some 5 % (see `mapgen.roads.centre`)."""
        return _lengths(self.x, self.y, self.offsets, self.path, float(aspect))

    def taken(self, edges: NDArray[np.intp]) -> Graph:
        """These of the edges, in this order, and the nodes that they need."""
        offsets, places = gathered(self.offsets, edges)
        ends = np.concatenate((self.u[edges], self.v[edges]))
        kept, which = np.unique(ends, return_inverse=True)
        places_of: Ints = which.astype(np.int32)
        return replace(
            self, nodes=self.nodes[kept], u=places_of[: len(edges)], v=places_of[len(edges) :], offsets=offsets,
            path=self.path[places],
        )  # fmt: skip

    def split(self, edges: Longs, places: Longs) -> Graph:
        """With a node at each of these places in `path`, `edges[i]` being the edge in which `places[i]` lies.

        Places at the ends of an edge are nodes already and are left out; so is the second of two equal ones.
        """
        inner = (places > self.offsets[edges]) & (places < self.offsets[edges + 1] - 1)
        places, first = np.unique(places[inner], return_index=True)
        edges = edges[inner][first]
        pieces = np.arange(len(self)).repeat(np.bincount(edges, minlength=len(self)) + 1)
        starts = np.sort(np.concatenate((self.offsets[:-1], places)))
        stops = np.sort(np.concatenate((self.offsets[1:], places + 1)))
        sizes = stops - starts
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        path = self.path[np.repeat(starts - offsets[:-1], sizes) + np.arange(offsets[-1])]
        added = len(self.nodes) + np.arange(len(places), dtype=np.int32)
        is_first = np.concatenate(([True], np.diff(pieces) > 0)) if len(pieces) else np.zeros(0, bool)
        is_last = np.concatenate((np.diff(pieces) > 0, [True])) if len(pieces) else np.zeros(0, bool)
        u, v = self.u[pieces].copy(), self.v[pieces].copy()
        u[~is_first], v[~is_last] = added, added
        return replace(
            self, nodes=np.concatenate((self.nodes, self.path[places])), u=u, v=v, offsets=offsets, path=path
        )

    def joined(self) -> Graph:
        """Without nodes of degree 2: the two edges that meet there become one. A loop keeps one node.

        Law: parts and loops stay.
        """
        darts, offsets = _runs_of_darts(self.u, self.v, len(self.nodes), self.degrees())
        if len(offsets) - 1 == len(self):
            return self
        size = int(np.diff(self.offsets)[darts >> 1].sum()) - (len(darts) - (len(offsets) - 1))
        path, ends = np.empty(size, np.int32), np.zeros(len(offsets), np.int64)
        _chained(self.offsets, self.path, darts, offsets, path, ends)
        first, last = darts[offsets[:-1]], darts[offsets[1:] - 1]
        u = np.where(first & 1, self.v[first >> 1], self.u[first >> 1])
        v = np.where(last & 1, self.u[last >> 1], self.v[last >> 1])
        whole = replace(self, u=u.astype(np.int32), v=v.astype(np.int32), offsets=ends, path=path)
        return whole.taken(np.arange(len(u)))


def connected(count: int, u: Ints, v: Ints) -> Ints:
    """The part of each of `count` nodes that edges from `u` to `v` join, numbered in the order of their first nodes."""
    return _parts(count, u, v)


def gathered(offsets: Longs, order: NDArray[np.intp]) -> tuple[Longs, NDArray[np.intp]]:
    """New offsets, and the old places of all items, when groups are taken in another order."""
    counts = np.diff(offsets)[order]
    new = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    return new, np.repeat(offsets[:-1][order] - new[:-1], counts) + np.arange(new[-1])


def incident(u: Ints, v: Ints, count: int) -> tuple[Longs, Ints]:
    """The darts that leave each node, as offsets and a list; by increasing dart."""
    ends = np.stack((u, v), axis=1).ravel()
    order = np.argsort(ends, kind="stable").astype(np.int32)
    offsets = np.concatenate(([0], np.cumsum(np.bincount(ends, minlength=count)))).astype(np.int64)
    return offsets, order


@kernel
def _parts(count, u, v):  # type: ignore[no-untyped-def]
    parent = np.arange(count).astype(np.int32)
    for i in range(len(u)):
        a, b = root(parent, u[i]), root(parent, v[i])
        if a != b:
            parent[max(a, b)] = min(a, b)
    out = np.empty(count, np.int32)
    found = 0
    for i in range(count):
        if parent[i] == i:
            out[i] = found
            found += 1
        else:
            out[i] = out[root(parent, i)]
    return out


@kernel
def _lengths(x, y, offsets, path, aspect):  # type: ignore[no-untyped-def]
    out = np.zeros(len(offsets) - 1)
    for i in range(len(out)):
        for k in range(offsets[i] + 1, offsets[i + 1]):
            a, b = path[k - 1], path[k]
            out[i] += np.hypot(float(x[b] - x[a]), (y[b] - y[a]) * aspect)
    return out


def _runs_of_darts(u: Ints, v: Ints, count: int, degrees: Longs) -> tuple[Ints, Longs]:
    """The darts of each edge that is left when nodes of degree 2 go, one after the other."""
    first, darts = incident(u, v, count)
    return _runs(u, v, first, darts, degrees)


@kernel
def _runs(u, v, first, darts, degrees):  # type: ignore[no-untyped-def]
    edges = len(u)
    out, offsets = np.empty(edges, np.int32), np.zeros(edges + 1, np.int64)
    seen = np.zeros(edges, np.bool_)
    runs, size = 0, 0
    for turn in range(2):  # from the nodes that stay; then the loops that have none
        for node in range(len(degrees)):
            if turn == 0 and degrees[node] == 2:
                continue
            for k in range(first[node], first[node + 1]):
                dart = darts[k]
                if seen[dart >> 1]:
                    continue
                while True:
                    seen[dart >> 1] = True
                    out[size] = dart
                    size += 1
                    end = u[dart >> 1] if dart & 1 else v[dart >> 1]
                    if degrees[end] != 2:
                        break
                    a, b = darts[first[end]], darts[first[end] + 1]
                    dart = b if a == dart ^ 1 else a
                    if seen[dart >> 1]:
                        break
                runs += 1
                offsets[runs] = size
    return out, offsets[: runs + 1]


@kernel
def _chained(offsets, path, darts, runs, out, ends):  # type: ignore[no-untyped-def]
    """Write the pixels of runs of darts, the node between two darts once."""
    n = 0
    for i in range(len(runs) - 1):
        for k in range(runs[i], runs[i + 1]):
            low, high = offsets[darts[k] >> 1], offsets[(darts[k] >> 1) + 1]
            for j in range(0 if k == runs[i] else 1, high - low):
                out[n] = path[high - 1 - j] if darts[k] & 1 else path[low + j]
                n += 1
        ends[i + 1] = n
