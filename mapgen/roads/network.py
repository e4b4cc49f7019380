"""A road network on the ground: nodes, and edges with a line and what is known of the road."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mapgen.arrays import Bools, Floats, Ints, Longs
from mapgen.polygons.lines import Lines
from mapgen.roads.ways import Ways

ATTRIBUTES = (
    "u", "v", "key", "length_m", "width_m", "width_min_m", "confidence", "bridged_m", "area", "part",
)  # fmt: skip
"""What is written of an edge besides its class."""


@dataclass(frozen=True, slots=True)
class Network:
    """Edge i runs along line i from node `u[i]` to node `v[i]`; its ends are the coordinates of these, bit by bit.

    Coordinates are in `crs` (WKT; None: longitude and latitude on WGS 84), x east or longitude first. `length` is the
    geodesic length of the line in metres, `width` and `width_min` are in metres, `confidence` is the mean probability
    of road (NaN where not known), `bridged` the metres on which no road was seen, `area` says that this is the rim of
    an open space. `key` tells parallel edges apart. Nodes: `frame` where the road leaves the scene.
    """

    name: str
    crs: str | None
    x: Floats
    y: Floats
    frame: Bools
    u: Ints
    v: Ints
    lines: Lines
    length: Floats
    width: Floats
    width_min: Floats
    confidence: Floats
    bridged: Floats
    area: Bools
    road: str = "road"
    """What the class is called."""
    road_id: int = 0

    def __len__(self) -> int:
        return len(self.u)

    @property
    def degrees(self) -> Longs:
        """Ends of edges at each node."""
        return np.bincount(np.concatenate((self.u, self.v)), minlength=len(self.x)).astype(np.int64)

    @property
    def parts(self) -> Ints:
        """The connected part of each node."""
        return self.ways().parts()

    @property
    def key(self) -> Longs:
        """0, 1, … for edges between the same two nodes."""
        low, high = np.minimum(self.u, self.v).astype(np.int64), np.maximum(self.u, self.v)
        pairs = low * max(len(self.x), 1) + high
        order = np.argsort(pairs, kind="stable")
        fresh = np.concatenate(([True], np.diff(pairs[order]) > 0)) if len(order) else np.zeros(0, bool)
        starts = np.flatnonzero(fresh)
        key = np.empty(len(order), np.int64)
        key[order] = np.arange(len(order)) - np.repeat(starts, np.diff(np.append(starts, len(order))))
        return key

    def ways(self) -> Ways:
        """The network with nothing but lengths, to go over."""
        return Ways(len(self.x), self.u, self.v, self.length, self.lines)

    def loops(self) -> int:
        """The first Betti number."""
        parts = self.parts
        return len(self) - len(self.x) + (int(parts.max()) + 1 if len(parts) else 0)

    def columns(self) -> dict[str, Floats | Longs | Ints | Bools]:
        """The attributes of the edges by name, in the order of ATTRIBUTES."""
        values = (
            self.u, self.v, self.key, self.length, self.width, self.width_min, self.confidence, self.bridged, self.area,
            self.parts[self.u] if len(self) else np.zeros(0, np.int32),
        )  # fmt: skip
        return dict(zip(ATTRIBUTES, values, strict=True))

    def rounded(self, digits: int) -> Network:
        """The network with coordinates of so many decimals; lengths stay."""
        lines = Lines(self.lines.offsets, np.round(self.lines.x, digits), np.round(self.lines.y, digits))
        return replace(self, x=np.round(self.x, digits), y=np.round(self.y, digits), lines=lines)
