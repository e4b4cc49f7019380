"""Rings with right angles: lines through the border of a region, fitted by least squares, in few directions.

A ring is a cycle of lattice vertices. Its edges, as simplified, take the nearest of four (or eight) directions;
neighbours of one direction are a *run*, and each run becomes a straight line.
"""

from __future__ import annotations

import numpy as np

from mapgen.kernels import kernel

LEAST_RUNS = (2.0, 1.4, 3.0, 5.0)
"""Tolerances that a side must be long; the next where the sides by the one before make no ring near the border."""

STRENGTH = 0.35
"""Share of a ring's length, at least, that agrees on one direction and its perpendicular."""

NARROWER = 0.15
"""How much shorter a ring is, at least, along one direction and across it, where no length agrees: less is round."""

ROUND = 0.06
"""Standard deviation, at most, of a round border's distance from its middle, in means of it; of a square it is 0.11."""

TURNS = 90
"""Directions in a right angle that are tried."""

LEAST_IOU = 0.7
FARTHEST = 2.5
"""Tolerances that the new ring may lie from the old one."""

ROUNDS = 3
"""How often the corners are placed and the border is parted anew between its sides."""


@kernel
def direction_of(x, y, ends):  # type: ignore[no-untyped-def]
    """The angle to which a ring's edges are parallel or perpendicular, and how much of its length agrees: 0…1.

    Long edges say more than short ones, so each counts by the square of its length. θ = ¼ arg Σ L² e^{4iφ}.
    """
    re, im, total = 0.0, 0.0, 0.0
    n = len(ends)
    for j in range(n):
        a, b = ends[j], ends[(j + 1) % n]
        dx, dy = x[b] - x[a], y[b] - y[a]
        weight = dx * dx + dy * dy
        phi = 4 * np.arctan2(dy, dx)
        re += weight * np.cos(phi)
        im += weight * np.sin(phi)
        total += weight
    if total == 0:
        return 0.0, 0.0
    return np.arctan2(im, re) / 4, np.hypot(re, im) / total


@kernel
def is_round(x, y):  # type: ignore[no-untyped-def]
    """Whether a border, given at every pixel, is equally far from its middle all around; a square is not by ROUND."""
    away = np.hypot(x - np.mean(x), y - np.mean(y))
    return np.std(away) < ROUND * np.mean(away)


@kernel
def narrowest(x, y, ends):  # type: ignore[no-untyped-def]
    """The angle in which a ring is shortest if one may go along it and across it only, and how much shorter: 0…1.

    In that sum each edge counts by its length, so a long one at a slant does not outvote the rest, and small steps to
    and fro add up. 0 for a circle, 1 for a ring of right angles.
    """
    least, most, best = np.inf, 0.0, 0.0
    n = len(ends)
    for turn in range(TURNS):
        theta = np.pi / 2 * turn / TURNS
        c, s = np.cos(theta), np.sin(theta)
        total = 0.0
        for j in range(n):
            a, b = ends[j], ends[(j + 1) % n]
            dx, dy = x[b] - x[a], y[b] - y[a]
            total += abs(dx * c + dy * s) + abs(dy * c - dx * s)
        if total < least:
            least, best = total, theta
        most = max(most, total)
    return best, (1 - least / most) / (1 - np.sqrt(0.5)) if most > 0 else 0.0


@kernel
def _reach(x, y, a, b, angle):  # type: ignore[no-untyped-def]
    """How far vertex b lies ahead of vertex a in a direction."""
    return (x[b] - x[a]) * np.cos(angle) + (y[b] - y[a]) * np.sin(angle)


@kernel
def _angle(theta, k, directions):  # type: ignore[no-untyped-def]
    return theta + 2 * np.pi * k / directions


@kernel
def _first_runs(x, y, ends, theta, directions):  # type: ignore[no-untyped-def]
    """Runs of edges of one direction, as (direction, first vertex, vertex after the last) with ever-growing numbers."""
    n, size = len(ends), len(x)
    kinds = np.empty(n, np.int64)
    for j in range(n):
        a, b = ends[j], ends[(j + 1) % n]
        turn = (np.arctan2(y[b] - y[a], x[b] - x[a]) - theta) * directions / (2 * np.pi)
        kinds[j] = np.int64(np.floor(turn + 0.5)) % directions
    start = 0
    while start < n and kinds[start] == kinds[start - 1]:
        start += 1
    runs = np.empty((n, 3), np.int64)
    count = 0
    if start == n:
        return runs[:0]
    for i in range(n):
        j = (start + i) % n
        if count > 0 and runs[count - 1, 0] == kinds[j]:
            continue
        first = ends[j] + (size if start + i >= n else 0)
        if count > 0:
            runs[count - 1, 2] = first
        runs[count, 0], runs[count, 1] = kinds[j], first
        count += 1
    runs[count - 1, 2] = runs[0, 1] + size
    return runs[:count]


@kernel
def _dropped(runs, at, count):  # type: ignore[no-untyped-def]
    for i in range(at, count - 1):
        runs[i] = runs[i + 1]
    return count - 1


@kernel
def _settled(x, y, runs, theta, directions, least):  # type: ignore[no-untyped-def]
    """The runs after those too short have gone, the least first, and neighbours of one line are one."""
    count, size = len(runs), len(x)
    while count >= 4:
        which, shortest, opposite = -1, np.inf, -1
        for i in range(count):
            after = (i + 1) % count
            apart = (runs[after, 0] - runs[i, 0]) % directions
            if apart == 0 or 2 * apart == directions:
                opposite = i
            length = _reach(x, y, runs[i, 1] % size, runs[i, 2] % size, _angle(theta, runs[i, 0], directions))
            if length < shortest:
                which, shortest = i, length
        if opposite >= 0:
            count = _united(x, y, runs, opposite, count, theta, directions)
            continue
        if shortest >= least or count == 4:
            break
        before, after = (which - 1) % count, (which + 1) % count
        middle = (runs[which, 1] + runs[which, 2]) // 2
        if runs[before, 0] == runs[after, 0]:
            middle = runs[which, 2]
        runs[before, 2] = middle if before < which else middle + size
        runs[after, 1] = middle if after > which else middle - size
        count = _dropped(runs, which, count)
    return runs[:count]


@kernel
def _united(x, y, runs, i, count, theta, directions):  # type: ignore[no-untyped-def]
    """Make one run of the i-th and the next, in the direction of the longer: they are one line, or there and back."""
    size = len(x)
    j = (i + 1) % count
    lengths = np.empty(2)
    for m, r in enumerate((i, j)):
        lengths[m] = _reach(x, y, runs[r, 1] % size, runs[r, 2] % size, _angle(theta, runs[r, 0], directions))
    if lengths[1] > lengths[0]:
        runs[i, 0] = runs[j, 0]
    runs[i, 2] = runs[j, 2] if j > i else runs[j, 2] + size
    return _dropped(runs, j, count)


@kernel
def _offset(x, y, first, last, angle):  # type: ignore[no-untyped-def]
    """Where the line of a run lies, along the normal of its direction, so that it leaves the run's area as it is.

    The mean over the border of n·x by how far each step goes ahead: the least squares line of this direction.
    """
    size = len(x)
    tx, ty = np.cos(angle), np.sin(angle)
    total, ahead = 0.0, 0.0
    for k in range(first, last):
        a, b = k % size, (k + 1) % size
        step = (x[b] - x[a]) * tx + (y[b] - y[a]) * ty
        total += step * (ty * (x[a] + x[b]) - tx * (y[a] + y[b])) / 2
        ahead += step
    return total / ahead if ahead > 1e-9 else np.inf


@kernel
def _crossing(angle, offset, other_angle, other_offset):  # type: ignore[no-untyped-def]
    """Where two lines meet: n·p = c for both, n = (sin, -cos)."""
    a, b, c, d = np.sin(angle), -np.cos(angle), np.sin(other_angle), -np.cos(other_angle)
    det = a * d - b * c
    return (offset * d - b * other_offset) / det, (a * other_offset - offset * c) / det


@kernel
def _corners(x, y, runs, theta, directions, cx, cy):  # type: ignore[no-untyped-def]
    """Fill in the corner at the end of each run; whether all lines could be placed."""
    count = len(runs)
    offsets = np.empty(count)
    for i in range(count):
        offsets[i] = _offset(x, y, runs[i, 1], runs[i, 2], _angle(theta, runs[i, 0], directions))
        if not np.isfinite(offsets[i]):
            return False
    for i in range(count):
        j = (i + 1) % count
        one, other = _angle(theta, runs[i, 0], directions), _angle(theta, runs[j, 0], directions)
        cx[i], cy[i] = _crossing(one, offsets[i], other, offsets[j])
    return True


@kernel
def _parted(x, y, runs, cx, cy):  # type: ignore[no-untyped-def]
    """Part the border between neighbouring runs where it is nearest to their corner."""
    count, size = len(runs), len(x)
    middles = np.empty(count, np.int64)
    for i in range(count):
        middles[i] = (runs[i, 1] + runs[i, 2]) // 2
    for i in range(count):
        j = (i + 1) % count
        shift = size if j <= i else 0
        best, at = np.inf, runs[i, 2]
        for k in range(middles[i] + 1, middles[j] + shift):
            away = (x[k % size] - cx[i]) ** 2 + (y[k % size] - cy[i]) ** 2
            if away < best:
                best, at = away, k
        runs[i, 2], runs[j, 1] = at, at - shift


@kernel
def _misses(x, y, runs, theta, directions, cx, cy, farthest):  # type: ignore[no-untyped-def]
    """Whether the new ring is another shape: a side runs backwards, lies far from the border or leaves too much of it.
    """
    count, size = len(runs), len(x)
    differ, old, new = 0.0, 0.0, 0.0
    for i in range(count):
        angle = _angle(theta, runs[i, 0], directions)
        tx, ty = np.cos(angle), np.sin(angle)
        before = (i - 1) % count
        low, high = tx * cx[before] + ty * cy[before], tx * cx[i] + ty * cy[i]
        if high - low < 0.5:
            return True
        line = ty * cx[i] - tx * cy[i]
        new += cx[before] * cy[i] - cx[i] * cy[before]
        for k in range(runs[i, 1], runs[i, 2]):
            a, b = k % size, (k + 1) % size
            old += x[a] * y[b] - x[b] * y[a]
            along, beside = tx * x[a] + ty * y[a], abs(ty * x[a] - tx * y[a] - line)
            if np.hypot(max(low - along, along - high, 0.0), beside) > farthest:
                return True
            step = abs((x[b] - x[a]) * tx + (y[b] - y[a]) * ty)
            differ += step * abs(ty * (x[a] + x[b]) / 2 - tx * (y[a] + y[b]) / 2 - line)
    both = abs(old + new) / 2
    return old * new <= 0 or (both - differ) < LEAST_IOU * (both + differ)


@kernel
def squared_ring(x, y, ends, theta, directions, tolerance):  # type: ignore[no-untyped-def]
    """The sides of a ring as runs (n, 3) of its vertices, and the corner at the end of each; nothing where it is none.

    `x`, `y` are all vertices of its border, `ends` the numbers of those that simplification leaves. Raises nothing: a
    ring that has no four sides, or whose sides lie too far from its border, has no runs.
    """
    none = np.empty((0, 3), np.int64), np.empty(0), np.empty(0)
    first = _first_runs(x, y, ends, theta, directions)
    if len(first) < 4:
        return none
    for least in LEAST_RUNS:
        runs = _settled(x, y, first.copy(), theta, directions, least * tolerance)
        cx, cy = np.empty(len(runs)), np.empty(len(runs))
        placed = _placed(x, y, runs, theta, directions, cx, cy)
        if placed and not _misses(x, y, runs, theta, directions, cx, cy, FARTHEST * tolerance):
            return runs, cx, cy
    return none


@kernel
def _placed(x, y, runs, theta, directions, cx, cy):  # type: ignore[no-untyped-def]
    """Fill in the corners of a ring whose sides are these runs, and part the border at them; whether it is one."""
    count = len(runs)
    if count < 4:
        return False
    for i in range(count):
        apart = (runs[(i + 1) % count, 0] - runs[i, 0]) % directions
        if apart == 0 or 2 * apart == directions:
            return False
    for turn in range(ROUNDS):
        if not _corners(x, y, runs, theta, directions, cx, cy):
            return False
        if turn + 1 < ROUNDS:
            _parted(x, y, runs, cx, cy)
    return True
