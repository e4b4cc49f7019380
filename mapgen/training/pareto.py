"""The picture of a comparison: how good each model is over how fast, and which ones no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mapgen.arrays import Bytes
from mapgen.files.pictures import INK, LINE, draw_text, fitted, text_width
from mapgen.training.compared import Compared
from mapgen.training.curves import draw_path, ticks

_WIDTH, _HEIGHT = 960, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 40, 40, 64
_FINE = 2  # dots a pixel each way while lines are drawn
_GRID, _FRONT, _FIRST, _OTHER = (232, 234, 238), (150, 156, 168), (200, 80, 40), (38, 92, 168)
_MARK = 5  # pixels from the middle of a mark to its edge


@dataclass(frozen=True, slots=True)
class Point:
    """A model: its cost or speed, its mIoU with the interval where there is one."""

    name: str
    across: float
    miou: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Frame:
    """From values to places in the plot; across by the logarithm."""

    left: float
    right: float
    low: float
    high: float

    def place(self, across: float, up: float) -> tuple[float, float]:
        """Row and column in pixels of the plot."""
        share = (math.log(across) - math.log(self.left)) / (math.log(self.right) - math.log(self.left))
        return (self.high - up) / (self.high - self.low) * _tall(), share * _wide()


def draw_pareto(found: Compared) -> Bytes:
    """RGB (H, W, 3): mIoU with its interval over the rate of the fastest engine, or the cost where rates are unknown.

    Models that no other beats in both are joined by a line. Those of which neither is known are left out.
    """
    fast = all(row.fastest for row in found.rows)
    costs = [row.fastest if fast else row.multiplications for row in found.rows]
    points = []
    for row, across in zip(found.rows, costs, strict=True):
        miou = float(row.rating.value["miou"])
        low, high = row.rating.intervals().get("miou", (miou, miou))
        if across and math.isfinite(miou):
            points.append(Point(row.name, across if fast else across / 1e3, miou, float(low), float(high)))
    label = "Mpx/s of the fastest engine" if fast else "GMAC/Mpx (less is faster)"
    return _drawn(points, found.rows[0].name, label, fast, found.title)


def front(points: Sequence[Point], more_is_better: bool) -> list[Point]:
    """The points that no other beats or equals in both, from the left."""
    sign = 1 if more_is_better else -1
    best = [p for p in points if not any(_beats(other, p, sign) for other in points)]
    return sorted(best, key=lambda p: p.across)


def _beats(one: Point, other: Point, sign: int) -> bool:
    no_worse = sign * one.across >= sign * other.across and one.miou >= other.miou
    return no_worse and (one.across, one.miou) != (other.across, other.miou)


def _drawn(points: list[Point], first: str, label: str, fast: bool, title: str) -> Bytes:
    canvas = np.full((_HEIGHT, _WIDTH, 3), 255, np.uint8)
    known = ", with its interval of 95 %" if any(p.low < p.high for p in points) else ""
    draw_text(canvas, 12, _LEFT, fitted(f"{title}: mIoU{known}", _WIDTH - _LEFT - _RIGHT), INK)
    if points:
        frame = _frame(points)
        plot = np.full((_tall() * _FINE, _wide() * _FINE, 3), 255, np.uint8)
        across = [v for v in _log_ticks(frame.left, frame.right) if frame.left <= v <= frame.right]
        up = ticks(frame.low, frame.high)
        _grid(plot, frame, across, up)
        _points(plot, frame, points, first, fast)
        canvas[_TOP : _TOP + _tall(), _LEFT : _LEFT + _wide()] = (
            plot.reshape(_tall(), _FINE, _wide(), _FINE, 3).mean((1, 3)).round()
        )
        _axes(canvas, frame, across, up)
        _names(canvas, frame, points)
    draw_text(canvas, _HEIGHT - 24, _LEFT + (_wide() - text_width(label)) // 2, label, INK)
    return canvas


def _tall() -> int:
    return _HEIGHT - _TOP - _BOTTOM


def _wide() -> int:
    return _WIDTH - _LEFT - _RIGHT


def _frame(points: Sequence[Point]) -> _Frame:
    """A frame around all points, with room for their names."""
    left, right = min(p.across for p in points), max(p.across for p in points)
    low, high = min(p.low for p in points), max(p.high for p in points)
    room = max(0.02, 0.12 * (high - low))
    spare = max(1.25, (right / left) ** 0.12)
    return _Frame(left / spare, right * spare**1.6, max(0.0, low - room), min(1.0, high + room))


def _log_ticks(left: float, right: float) -> list[float]:
    """Round numbers of a logarithmic axis: 1, 2 and 5 times the powers of ten, or finer where few of them lie there."""
    powers = range(math.floor(math.log10(left)), math.ceil(math.log10(right)) + 1)
    for steps in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        found = [m * 10.0**k for k in powers for m in steps]
        if sum(left <= v <= right for v in found) >= 3:
            return found
    return found


def _grid(plot: Bytes, frame: _Frame, across: Sequence[float], up: Sequence[float]) -> None:
    for x in across:
        _line(plot, [frame.place(x, frame.low), frame.place(x, frame.high)], _GRID, 1)
    for y in up:
        _line(plot, [frame.place(frame.left, y), frame.place(frame.right, y)], _GRID, 1)


def _points(plot: Bytes, frame: _Frame, points: Sequence[Point], first: str, fast: bool) -> None:
    _line(plot, [frame.place(p.across, p.miou) for p in front(points, fast)], _FRONT, 2)
    for point in points:
        color = _FIRST if point.name == first else _OTHER
        row, col = frame.place(point.across, point.miou)
        for end in [frame.place(point.across, v) for v in (point.low, point.high) if v != point.miou]:
            _line(plot, [(row, col), end], color, 1)
            _line(plot, [(end[0], col - _MARK), (end[0], col + _MARK)], color, 1)
        r, c = round(row * _FINE), round(col * _FINE)
        reach = _MARK * _FINE
        rows, cols = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        disc = np.argwhere(rows**2 + cols**2 <= reach**2) - reach + (r, c)
        inside = ((disc >= 0) & (disc < plot.shape[:2])).all(1)
        plot[disc[inside, 0], disc[inside, 1]] = color


def _line(plot: Bytes, places: Sequence[tuple[float, float]], color: tuple[int, int, int], width: int) -> None:
    draw_path(plot, [(row * _FINE, col * _FINE) for row, col in places], color, width * _FINE)


def _axes(canvas: Bytes, frame: _Frame, across: Sequence[float], up: Sequence[float]) -> None:
    last = -1.0
    for x in across:
        text, (_, col) = f"{x:g}", frame.place(x, frame.low)
        begin = _LEFT + col - text_width(text) / 2
        if begin > last + 8:  # they crowd towards the next power of ten
            draw_text(canvas, _TOP + _tall() + 6, round(begin), text, INK)
            last = begin + text_width(text)
    for y in up:
        text, (row, _) = f"{y:g}" if abs(y) >= 0.005 else "0", frame.place(frame.left, y)
        draw_text(canvas, round(_TOP + row - LINE / 2), _LEFT - 8 - text_width(text), text, INK)


def _names(canvas: Bytes, frame: _Frame, points: Sequence[Point]) -> None:
    """Write each name beside its mark, below those that it would lie on."""
    taken: list[tuple[int, int, int]] = []
    for point in sorted(points, key=lambda p: -p.miou):
        row, col = frame.place(point.across, point.miou)
        text = fitted(point.name, 260)
        width = text_width(text)
        left = round(_LEFT + col) + _MARK + 5
        if left + width > _WIDTH - 4:
            left = round(_LEFT + col) - _MARK - 5 - width
        top = round(_TOP + row) - LINE // 2
        while any(abs(top - t) < LINE and left < b and a < left + width for t, a, b in taken):
            top += LINE
        taken.append((top, left, left + width))
        draw_text(canvas, top, left, text, INK)
