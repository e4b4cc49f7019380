"""A drawn city: a warped street plan whose network is known, as a mask, whole or damaged as predictions are."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Plan:
    """A network in pixels (x, y from the upper left corner): the ends of its lines are its nodes, bit by bit."""

    lines: list[Array]
    widths: list[float]
    side: int

    @property
    def length(self) -> float:
        return float(sum(np.hypot(*np.diff(line, axis=0).T).sum() for line in self.lines))


def city(seed: int, side: int = 1536, stubs: int = 40) -> Plan:
    """A warped and turned grid of streets: 13 % missing, 7 to 11 wide, every fourth 18; stubs; cut at the frame."""
    rng = np.random.default_rng(seed)
    step, turn = rng.uniform(110, 150), rng.uniform(0, np.pi / 2)
    count = int(np.ceil(1.5 * side / step / 2)) + 1
    waves = rng.uniform(-1, 1, (4, 2)), rng.uniform(0, 2 * np.pi, 4), rng.uniform(-1, 1, (4, 2))
    half = rng.uniform(0, step, 2)

    def place(i: Array, j: Array) -> Array:
        """Where the point (i, j) of the grid lies."""
        u, v = i * step + half[0], j * step + half[1]
        x = side / 2 + u * np.cos(turn) - v * np.sin(turn)
        y = side / 2 + u * np.sin(turn) + v * np.cos(turn)
        out = np.stack((x, y), axis=-1)
        for direction, phase, push in zip(*waves, strict=True):
            wave = np.sin(2 * np.pi * (x * direction[0] + y * direction[1]) / 450 + phase)
            out = out + 9 * wave[..., None] * push
        return out

    lines, widths = [], []
    along = np.linspace(0, 1, 25)
    for axis in (0, 1):
        for k in range(-count, count + 1):
            width = 18.0 if k % 4 == 0 else rng.uniform(7, 11)
            for m in range(-count, count):
                if rng.random() < 0.13:
                    continue
                fixed, moving = np.full(25, float(k)), m + along
                lines.append(place(moving, fixed) if axis == 0 else place(fixed, moving))
                widths.append(width)
    _add_stubs(rng, lines, widths, side, stubs)
    return joined(clipped(Plan(lines, widths, side)))


def _add_stubs(rng: np.random.Generator, lines: list[Array], widths: list[float], side: int, count: int) -> None:
    inside = [i for i, line in enumerate(lines) if ((line > 60) & (line < side - 60)).all()]
    for i in rng.choice(inside, min(count, len(inside)), replace=False).tolist():
        line, at = lines[i], int(rng.integers(9, 16))
        ahead = line[at + 1] - line[at - 1]
        normal = np.array((-ahead[1], ahead[0])) / np.hypot(*ahead) * rng.choice((-1, 1))
        reach = rng.uniform(25, 50) + widths[i] / 2
        lines[i] = line[: at + 1]
        lines += [line[at:], line[at] + np.linspace(0, reach, 8)[:, None] * normal]
        widths += [widths[i], rng.uniform(6, 8)]


def clipped(plan: Plan) -> Plan:
    """The plan cut at the frame."""
    frame = shapely.box(0, 0, plan.side, plan.side)
    lines, widths = [], []
    for line, width in zip(plan.lines, plan.widths, strict=True):
        if (line >= 0).all() and (line <= plan.side).all():
            lines.append(line)
            widths.append(width)
            continue
        cut = shapely.intersection(shapely.linestrings(line), frame)
        for part in shapely.get_parts(cut):
            if part.length > 0.5:
                lines.append(shapely.get_coordinates(part))
                widths.append(width)
    return Plan(lines, widths, plan.side)


def joined(plan: Plan) -> Plan:
    """Without nodes of degree 2: two lines that meet there are one, of the wider one's width."""
    lines, widths = dict(enumerate(plan.lines)), dict(enumerate(plan.widths))
    ends: dict[tuple[float, ...], list[int]] = {}
    for i, line in lines.items():
        for point in (line[0], line[-1]):
            ends.setdefault(tuple(point), []).append(i)
    for point, meeting in ends.items():
        if len(meeting) != 2 or meeting[0] == meeting[1]:
            continue
        a, b = meeting
        one = lines[a] if tuple(lines[a][-1]) == point else lines[a][::-1]
        two = lines[b] if tuple(lines[b][0]) == point else lines[b][::-1]
        lines[a] = np.concatenate((one, two[1:]))
        widths[a] = max(widths[a], widths.pop(b))
        del lines[b]
        far = ends[tuple(two[-1])]
        far[far.index(b)] = a
    return Plan(list(lines.values()), list(widths.values()), plan.side)


def depth_of(plan: Plan) -> Array:
    """Signed depth (side, side) of each pixel's centre inside the roads, in pixels; far outside −20."""
    depth = np.full((plan.side, plan.side), -20.0)
    for line, width in zip(plan.lines, plan.widths, strict=True):
        for start in range(0, len(line) - 1, 4):
            _draw(depth, line[start : start + 5], width)
    return depth


def _draw(depth: Array, line: Array, width: float) -> None:
    margin = width / 2 + 12
    (x0, y0), (x1, y1) = line.min(axis=0) - margin, line.max(axis=0) + margin
    rows = slice(max(0, int(y0)), max(0, int(y1) + 1))
    cols = slice(max(0, int(x0)), max(0, int(x1) + 1))
    part = depth[rows, cols]
    if not part.size:
        return
    y, x = np.mgrid[rows.start : rows.start + part.shape[0], cols.start : cols.start + part.shape[1]] + 0.5
    best = np.full(part.shape, np.inf)
    for (ax, ay), (bx, by) in itertools.pairwise(line):
        dx, dy = bx - ax, by - ay
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-12), 0, 1)
        np.minimum(best, np.hypot(x - ax - t * dx, y - ay - t * dy), out=best)
    np.maximum(part, width / 2 - best, out=part)


def blurred(field: Array, sigma: float) -> Array:
    """The field after a periodic Gaussian of that sigma."""
    frequency = np.fft.fftfreq(field.shape[0])[:, None] ** 2 + np.fft.rfftfreq(field.shape[1])[None] ** 2
    transfer = np.exp(-2 * (np.pi * sigma) ** 2 * frequency)
    return np.fft.irfft2(np.fft.rfft2(field) * transfer, s=field.shape)


def damaged(plan: Plan, seed: int, depth: Array | None = None) -> Array:
    """Probabilities (side, side) of road as a model would give them: noisy borders, trees, holes and specks."""
    rng = np.random.default_rng(seed)
    depth = depth_of(plan) if depth is None else depth
    noise = blurred(rng.standard_normal(depth.shape), 2)
    p = 1 / (1 + np.exp(-2 / 3 * (depth + 1.5 * noise / noise.std())))
    roads = np.argwhere(depth > 0)
    scale = len(roads) / 290_000  # the counts are those of a city of 1536 × 1536 pixels
    for y, x in roads[rng.choice(len(roads), int(250 * scale))]:
        _disc(p, y, x, rng.uniform(4, 9), rng.uniform(0.05, 0.35), np.minimum)
    for y, x in roads[rng.choice(len(roads), int(200 * scale))]:
        _disc(p, y, x, rng.uniform(1, 2.5), 0.2, np.minimum)
    for y, x in rng.uniform(0, plan.side, (int(400 * scale), 2)):
        _disc(p, y, x, rng.uniform(1, 5), rng.uniform(0.55, 0.8), np.maximum)
    return p


def _disc(p: Array, row: float, col: float, radius: float, value: float, change: Any) -> None:
    top, left = max(0, int(row - radius)), max(0, int(col - radius))
    part = p[top : int(row + radius) + 2, left : int(col + radius) + 2]
    y, x = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    inside = np.hypot(y - row, x - col) <= radius
    part[inside] = change(part[inside], value)
