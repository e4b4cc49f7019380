"""Networks across the antimeridian: edges end where longitudes jump from 180 to -180."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from mapgen.arrays import Floats, Longs
from mapgen.layers.antimeridian import crossing_lines, through_180
from mapgen.polygons.lines import Lines
from mapgen.roads.graph import gathered
from mapgen.roads.network import Network


def cut_at_180(network: Network) -> Network:
    """The network in longitude and latitude with a node wherever an edge passes 180 degrees, all within -180…180.

    To the west the end of an edge lies at 180, to the east at -180, and both are the one node, whose own coordinate
    says 180: so ways by `u` and `v` go across. Lengths and bridged metres are shared out by the pieces' degrees, which
    is right to a millimetre, and add up to what they were. Laws: parts and loops stay.
    """
    crossing = crossing_lines(network.lines.offsets, network.lines.x)
    if not crossing.any():
        return network
    pieces, owners, shares, ends = _pieces(network.lines, np.flatnonzero(crossing))
    kept = np.flatnonzero(~crossing)
    offsets, places = gathered(network.lines.offsets, kept)
    sizes = np.array([piece.shape[1] for piece in pieces])
    x, y = np.concatenate([np.stack((network.lines.x[places], network.lines.y[places])), *pieces], axis=1)
    lines = Lines(np.concatenate((offsets, offsets[-1] + np.cumsum(sizes))).astype(np.int64), x, y)
    which = np.concatenate((kept, owners))
    share = np.concatenate((np.ones(len(kept)), shares))
    starts, stops = ends >= 1, np.append(ends[1:], 0) >= 1  # pieces that begin, and end, at the antimeridian
    fresh = len(network.x) + np.cumsum(starts) - 1
    u, v = network.u[which].copy(), network.v[which].copy()
    u[len(kept) :][starts], v[len(kept) :][stops] = fresh[starts], fresh[starts]
    at = np.array([piece[1, 0] for piece, begins in zip(pieces, starts.tolist(), strict=True) if begins])
    fields = {name: getattr(network, name)[which] for name in ("width", "width_min", "confidence", "area")}
    return replace(
        network, x=np.concatenate((_within(network.x), np.full(len(at), 180.0))), y=np.concatenate((network.y, at)),
        frame=np.concatenate((network.frame, np.zeros(len(at), np.bool_))), u=u, v=v, lines=lines,
        length=network.length[which] * share, bridged=network.bridged[which] * share, **fields,
    )  # fmt: skip


def _pieces(lines: Lines, which: Longs) -> tuple[list[Floats], Longs, Floats, Longs]:
    """The pieces (2, n) of these lines, of which line each is, its share of it, and 0, 1, … along each line."""
    pieces, owners, shares, numbers = [], [], [], []
    for i in which.tolist():
        part = slice(lines.offsets[i], lines.offsets[i + 1])
        x, y = through_180(lines.x[part], lines.y[part])
        cuts = [0, *(np.flatnonzero(np.abs((x[1:-1] + 180) % 360) == 0) + 1).tolist(), len(x) - 1]
        steps = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x) * np.cos(np.radians(y.mean())), np.diff(y)))))
        for number, (first, last) in enumerate(itertools.pairwise(cuts)):
            turn = 360 * np.floor((np.mean(x[first : last + 1]) + 180) / 360)
            pieces.append(np.stack((np.round(x[first : last + 1] - turn, 11), y[first : last + 1])))
            owners.append(i)
            shares.append((steps[last] - steps[first]) / steps[-1])
            numbers.append(number)
    return pieces, np.array(owners, np.int64), np.array(shares), np.array(numbers, np.int64)


def _within(x: Floats) -> Floats:
    """Longitudes in -180…180."""
    return np.where(np.abs(x) > 180, (x + 180) % 360 - 180, x)
