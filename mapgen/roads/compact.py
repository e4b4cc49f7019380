"""Networks small enough for a page: whole numbers in flat lists, from which a browser draws roads and finds ways."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from mapgen.arrays import Floats
from mapgen.roads.lines import RoadLines

LIMIT = 12_000_000
"""Bytes of a network in a page, at most: some 100 000 edges, over which a browser finds ways at once."""

PLACES = 1e7
"""Units of a degree: a centimetre."""

UNKNOWN = -1
"""In the place of a width that the file does not say."""


def compact_network(network: RoadLines) -> bytes:
    """The network as JSON of whole numbers: `nodes` is their number; for each edge there are `u`, `v`, `length` in
    millimetres, `width`, `narrowest` and `bridged` in decimetres, UNKNOWN where they are not, and in `sizes` how many
    vertices it has; `points` are longitude and latitude of all vertices in units of 1e-7 degrees, each as the
    difference from the vertex before.

    Law: ends of edges at one node are equal, so the page joins them by place as by number.
    """
    ways = network.ways
    places = np.rint(np.stack((ways.lines.x, ways.lines.y), axis=1) * PLACES).astype(np.int64)
    about: dict[str, Any] = {
        "nodes": int(ways.count), "u": ways.u.tolist(), "v": ways.v.tolist(),
        "length": np.rint(ways.length * 1000).astype(np.int64).tolist(),
        "width": _tenths(network.width), "narrowest": _tenths(network.width_min), "bridged": _tenths(network.bridged),
        "sizes": np.diff(ways.lines.offsets).tolist(),
        "points": np.diff(places, axis=0, prepend=np.zeros((1, 2), np.int64)).ravel().tolist(),
    }  # fmt: skip
    return json.dumps(about, separators=(",", ":")).encode()


def _tenths(values: Floats) -> list[int]:
    return np.where(np.isfinite(values), np.rint(np.nan_to_num(values) * 10), UNKNOWN).astype(np.int64).tolist()
