"""Scores of a road network against a true one: does one get from place to place, and is the rest where it should be."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import shapely

from mapgen.arrays import Floats, Longs
from mapgen.kernels import kernel
from mapgen.roads.graph import incident
from mapgen.roads.ways import Places, Ways, _dijkstra, distances, line_lengths, snapped, with_places

SPACING_M = 50.0
"""Metres between control points along an edge."""

SHORTEST_M = 10.0
"""Ways shorter than this say more about snapping than about the network."""

POINTS = 1000
"""Control points at most; more are drawn from."""

SNAP_M = 4.0
TOPO_STARTS, TOPO_REACH_M, TOPO_STEP_M, TOPO_NEAR_M, TOPO_ANGLE = 200, 150.0, 5.0, 10.0, 30.0


@dataclass(frozen=True, slots=True)
class Topo:
    """Holes and marbles (Biagioni and Eriksson 2012) with one-to-one matching by place and direction."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


@dataclass(frozen=True, slots=True)
class Ratings:
    """How pairs of control points of the truth fare in the other network, as shares."""

    good: float
    long: float
    short: float
    missing: float


@dataclass(frozen=True, slots=True)
class Connectivity:
    """How a network hangs together."""

    length_m: float
    parts: int
    largest: float
    """Share of the length in the longest part."""
    reach: float
    """The chance that two random places of the network are joined: the sum of the squared shares of its parts."""
    loops: int
    dead_ends_per_km: float


@dataclass(frozen=True, slots=True)
class LineScore:
    """All figures of one network (`found`) against the truth; shares from 0 to 1, lengths in metres."""

    apls: float
    apls_truth: float
    apls_found: float
    apls_8m: float
    ways: Ratings
    topo: Topo
    completeness: float
    correctness: float
    quality: float
    offset_m: float
    length_error: float
    truth: Connectivity
    found: Connectivity
    width_bias_m: float = float("nan")
    width_rms_m: float = float("nan")
    notes: list[str] = field(default_factory=list)


def score(truth: Ways, found: Ways, *, snap: float = SNAP_M, seed: int = 0) -> LineScore:
    """All figures. Law: a network scores 1 against itself."""
    one, other, ratings = apls_ways(truth, found, snap, seed=seed)
    far = apls_ways(truth, found, 2 * snap, seed=seed)
    completeness, correctness, offset = buffers(truth, found, snap)
    both = completeness * correctness
    quality = both / (completeness + correctness - both) if both else 0.0
    length = float(truth.length.sum())
    return LineScore(
        apls=harmonic(one, other), apls_truth=one, apls_found=other, apls_8m=harmonic(far[0], far[1]), ways=ratings,
        topo=topo(truth, found, seed=seed), completeness=completeness, correctness=correctness, quality=quality,
        offset_m=offset, length_error=float(found.length.sum()) / length - 1 if length else float("nan"),
        truth=connectivity(truth), found=connectivity(found),
    )  # fmt: skip


def harmonic(one: float, other: float) -> float:
    """The harmonic mean, 0 if either is 0."""
    return 2 * one * other / (one + other) if one + other > 0 else 0.0


# APLS ---------------------------------------------------------------------------------------------------------------


def apls(truth: Ways, found: Ways, snap: float = SNAP_M, spacing: float = SPACING_M, seed: int = 0) -> float:
    """Average path length similarity (Van Etten, Lindenbaum and Bacastow 2018): the harmonic mean of both ways."""
    return harmonic(*apls_ways(truth, found, snap, spacing, seed)[:2])


def apls_ways(
    truth: Ways, found: Ways, snap: float, spacing: float = SPACING_M, seed: int = 0
) -> tuple[float, float, Ratings]:
    """Similarity of the ways between control points of the truth, of those of the other network, and ratings."""
    one, ratings = _one_way(truth, found, snap, spacing, seed)
    return one, _one_way(found, truth, snap, spacing, seed)[0], ratings


def control_points(ways: Ways, spacing: float) -> Places:
    """All nodes that have an edge, and points at equal distances on edges longer than the spacing."""
    order = np.unique(np.concatenate((ways.u, ways.v)), return_index=True)[1]
    edges, shares = order % max(len(ways), 1), (order >= len(ways)).astype(np.float64)
    pieces = np.maximum(np.ceil(ways.length / spacing).astype(np.int64), 1) if np.isfinite(spacing) else None
    if pieces is not None:
        inner = np.repeat(np.arange(len(ways)), pieces - 1)
        place = np.arange(len(inner)) - np.repeat(np.cumsum(pieces - 1) - (pieces - 1), pieces - 1) + 1
        edges, shares = np.concatenate((edges, inner)), np.concatenate((shares, place / pieces[inner]))
    return Places(edges.astype(np.int64), shares, np.zeros(len(edges)))


def _one_way(one: Ways, other: Ways, snap: float, spacing: float, seed: int) -> tuple[float, Ratings]:
    none = Ratings(0.0, 0.0, 0.0, 1.0)
    if not len(one) or not len(other):
        return 0.0, none
    points = control_points(one, spacing)
    if len(points.edges) > POINTS:
        chosen = np.sort(np.random.default_rng(seed).choice(len(points.edges), POINTS, replace=False))
        points = Places(points.edges[chosen], points.shares[chosen], points.away[chosen])
    at = shapely.line_interpolate_point(one.geometries()[points.edges], points.shares, normalized=True)
    own, nodes = with_places(one, points)
    their, partners = with_places(other, snapped(other, shapely.get_x(at), shapely.get_y(at), snap))
    wanted = distances(own.ways, nodes)[:, nodes]
    have = np.full_like(wanted, np.inf)
    there = partners >= 0
    have[np.ix_(there, there)] = distances(their.ways, partners[there])[:, partners[there]]
    pairs = np.triu(np.isfinite(wanted) & (wanted >= SHORTEST_M), 1)
    if not pairs.any():
        return 0.0, none
    wanted, have = wanted[pairs], have[pairs]
    ratio = np.where(np.isfinite(have), have / wanted, np.nan)
    off = np.minimum(1.0, np.abs(np.nan_to_num(ratio, nan=0.0) - 1))
    shares = ((np.abs(ratio - 1) <= 0.05).mean(), (ratio > 1.05).mean(), (ratio < 0.95).mean(), np.isnan(ratio).mean())
    return 1 - float(off.mean()), Ratings(*(float(s) for s in shares))


# TOPO ---------------------------------------------------------------------------------------------------------------


def topo(truth: Ways, found: Ways, *, starts: int = TOPO_STARTS, seed: int = 0) -> Topo:
    """From random places of the truth go TOPO_REACH_M in both networks, set points, and match them one to one."""
    if not len(truth) or not len(found):
        return Topo(0.0, 0.0)
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.choice(len(truth), starts, p=truth.length / truth.length.sum())).astype(np.int64)
    begin = Places(edges, rng.uniform(0.0, 1.0, starts), np.zeros(starts))
    at = shapely.line_interpolate_point(truth.geometries()[edges], begin.shares, normalized=True)
    partners = snapped(found, shapely.get_x(at), shapely.get_y(at), TOPO_NEAR_M)
    holes, marbles = _reached(truth, begin), _reached(found, partners)
    matched = total = wrong = 0
    for hole, marble in zip(holes, marbles, strict=True):
        matched += int(_matched(*hole, *marble, TOPO_NEAR_M, np.cos(np.radians(TOPO_ANGLE))))
        total += len(hole[0])
        wrong += len(marble[0])
    return Topo(matched / wrong if wrong else 0.0, matched / total if total else 0.0)


Marks = tuple[Floats, Floats, Floats, Floats]


def _reached(ways: Ways, places: Places) -> list[Marks]:
    """For each place the points (x, y) and directions (unit vectors) every TOPO_STEP_M of way around it."""
    steps = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(ways.lines.x), np.diff(ways.lines.y)))))
    first, darts = incident(ways.u, ways.v, ways.count)
    table = (ways.u, ways.v, ways.length, first, darts)
    lines = (ways.lines.offsets, ways.lines.x, ways.lines.y, steps, line_lengths(ways.lines))
    far, before = np.full(ways.count, np.inf), np.empty(ways.count, np.int32)
    none = np.empty(0)
    out: list[Marks] = []
    for edge, share in zip(places.edges.tolist(), places.shares.tolist(), strict=True):
        if edge < 0:
            out.append((none, none, none, none))
            continue
        far.fill(np.inf)
        out.append(_marks(table, lines, edge, share, TOPO_REACH_M, TOPO_STEP_M, far, before))
    return out


@kernel
def _point(lines, edge, share):  # type: ignore[no-untyped-def]
    """The point at a share of a line, and the direction there."""
    offsets, x, y, steps, lengths = lines
    low, high = offsets[edge], offsets[edge + 1] - 1
    at = steps[low] + share * lengths[edge]
    k = low + 1
    while k < high and steps[k] < at:
        k += 1
    size = steps[k] - steps[k - 1]
    t = min(1.0, max(0.0, (at - steps[k - 1]) / size)) if size > 0 else 0.0
    dx, dy = x[k] - x[k - 1], y[k] - y[k - 1]
    size = max(np.hypot(dx, dy), 1e-12)
    return x[k - 1] + t * dx, y[k - 1] + t * dy, dx / size, dy / size


@kernel
def _marks(table, lines, edge, share, reach, step, far, before):  # type: ignore[no-untyped-def]
    u, v, length, first, darts = table
    points = [_point(lines, edge, share)]
    size = length[edge]
    for way, _node, sign in ((share * size, u[edge], -1.0), ((1 - share) * size, v[edge], 1.0)):
        t = step
        while t <= min(way, reach):
            points.append(_point(lines, edge, share + sign * t / size))
            t += step
    # Both ends are sources: a tree from one, then improved from the other.
    one, other = np.full(len(far), np.inf), np.full(len(far), np.inf)
    _dijkstra(u, v, length, first, darts, u[edge], reach - share * size, one, before)
    _dijkstra(u, v, length, first, darts, v[edge], reach - (1 - share) * size, other, before)
    for n in range(len(far)):
        far[n] = min(one[n] + share * size, other[n] + (1 - share) * size)
    for e in range(len(u)):
        if e == edge or (far[u[e]] >= reach and far[v[e]] >= reach):
            continue
        for side in range(2):
            begin, end = (far[u[e]], far[v[e]]) if side == 0 else (far[v[e]], far[u[e]])
            if begin >= reach:
                continue
            last = min(length[e], reach - begin, (length[e] + end - begin) / 2)
            t = step * np.ceil(begin / step + 1e-9) - begin
            while t <= last and length[e] > 0:
                points.append(_point(lines, e, t / length[e] if side == 0 else 1 - t / length[e]))
                t += step
    out = np.empty((4, len(points)))
    for i in range(len(points)):
        out[0, i], out[1, i], out[2, i], out[3, i] = points[i]
    return out[0], out[1], out[2], out[3]


@kernel
def _augment(near, counts, i, seen, stamp, partner):  # type: ignore[no-untyped-def]
    """One step of Kuhn's algorithm: find a partner for i, moving others where need be."""
    for k in range(counts[i]):
        j = near[i, k]
        if seen[j] == stamp:
            continue
        seen[j] = stamp
        if partner[j] < 0 or _augment(near, counts, partner[j], seen, stamp, partner):
            partner[j] = i
            return True
    return False


@kernel
def _matched(x0, y0, dx0, dy0, x1, y1, dx1, dy1, reach, cosine):  # type: ignore[no-untyped-def]
    """The size of the largest one-to-one matching of points that are near and run alike."""
    near, counts = np.empty((len(x0), len(x1)), np.int32), np.zeros(len(x0), np.int64)
    for i in range(len(x0)):
        for j in range(len(x1)):
            close = (x0[i] - x1[j]) ** 2 + (y0[i] - y1[j]) ** 2 <= reach * reach
            if close and abs(dx0[i] * dx1[j] + dy0[i] * dy1[j]) >= cosine:
                near[i, counts[i]] = j
                counts[i] += 1
    partner, seen = np.full(len(x1), -1, np.int64), np.full(len(x1), -1, np.int64)
    total = 0
    for i in range(len(x0)):
        if _augment(near, counts, i, seen, i, partner):
            total += 1
    return total


# Buffers, connectivity ----------------------------------------------------------------------------------------------


def buffers(truth: Ways, found: Ways, reach: float) -> tuple[float, float, float]:
    """Completeness, correctness (Heipke et al. 1997), and the mean distance of what is correct from the truth."""
    if not len(truth) or not len(found):
        return 0.0, 0.0, float("nan")
    lines, others = shapely.union_all(truth.geometries()), shapely.union_all(found.geometries())
    near_truth, near_found = shapely.buffer(lines, reach), shapely.buffer(others, reach)
    correct = shapely.intersection(others, near_truth)
    completeness = shapely.length(shapely.intersection(lines, near_found)) / shapely.length(lines)
    correctness = shapely.length(correct) / shapely.length(others)
    return float(completeness), float(correctness), _mean_offset(correct, truth)


def _mean_offset(lines: shapely.Geometry, truth: Ways) -> float:
    total = float(shapely.length(lines))
    if not total:
        return float("nan")
    parts = shapely.get_parts(lines)
    count = np.maximum(1, (shapely.length(parts) / 5).astype(int))
    which = np.repeat(np.arange(len(parts)), count)
    share = (np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + 0.5) / count[which]
    points = shapely.line_interpolate_point(parts[which], share, normalized=True)
    away = shapely.STRtree(truth.geometries()).query_nearest(points, return_distance=True, all_matches=False)[1]
    return float(np.average(away, weights=(shapely.length(parts) / count)[which]))


def connectivity(ways: Ways) -> Connectivity:
    """How a network hangs together; zeros where there is none."""
    total = float(ways.length.sum())
    if not len(ways) or not total:
        return Connectivity(0.0, 0, 0.0, 0.0, 0, 0.0)
    parts = ways.parts()
    degrees: Longs = np.bincount(np.concatenate((ways.u, ways.v)), minlength=ways.count)
    used = degrees > 0
    shares = np.bincount(parts[ways.u], ways.length) / total
    count = len(np.unique(parts[used]))
    return Connectivity(
        total, count, float(shares.max()), float((shares**2).sum()), len(ways) - int(used.sum()) + count,
        float((degrees == 1).sum() / total * 1000),
    )  # fmt: skip
