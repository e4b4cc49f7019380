"""The picture of a training run: loss, mIoU with the IoU of each class, and learning rate over the steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mapgen.files.pictures import LINE, draw_text, fitted, text_width

Color = tuple[int, int, int]
Picture = NDArray[np.uint8]
Points = Sequence[tuple[float, float]]

_WIDTH, _TALL, _LOW = 960, 300, 150
_LEFT, _RIGHT, _GAP = 76, 190, 46
_FINE = 2  # dots a pixel each way while lines are drawn, which softens their edges
_INK: Color = (40, 40, 48)
_FAINT: Color = (206, 210, 218)
_GRID: Color = (232, 234, 238)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a panel: (step, value) in the order of the steps; values that are not finite are left out."""

    name: str
    points: Points
    color: Color
    width: int = 2


@dataclass(frozen=True, slots=True)
class Curves:
    """What a run was like up to now, of `end` steps in all."""

    end: int
    loss: Points
    rate: Points
    miou: Points = ()
    classes: Mapping[str, Points] = field(default_factory=dict)
    colors: Mapping[str, Color] = field(default_factory=dict)


def draw_curves(curves: Curves) -> Picture:
    """RGB (H, W, 3): three panels under each other with one axis of steps."""
    blue: Color = (38, 92, 168)
    loss = [Line("each step", curves.loss, _FAINT, 1), Line("mean", smoothed(curves.loss), blue)]
    ious = [Line(name, points, curves.colors.get(name, _FAINT), 1) for name, points in curves.classes.items()]
    panels = [
        _panel("Loss", loss, curves.end, _span(p[1] for p in _tail(curves.loss)), _TALL),
        _panel("IoU on validation ground", [*ious, Line("mIoU", curves.miou, _INK)], curves.end, (0.0, 1.0), _TALL),
        _panel("Learning rate", [Line("", curves.rate, blue)], curves.end, (0.0, _top(curves.rate)), _LOW),
    ]
    return np.concatenate(panels)


def smoothed(points: Points) -> list[tuple[float, float]]:
    """Means of some hundred runs of neighbouring points, each at its middle."""
    size = max(1, len(points) // 100)
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(p[0] for p in g) / len(g), sum(p[1] for p in g) / len(g)) for g in groups]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from `low` to `high`, at most `most`: multiples of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _tail(points: Points) -> Points:
    """All but the first few, which would set the scale."""
    return points[len(points) // 50 :]


def _span(values: Iterable[float]) -> tuple[float, float]:
    known = [v for v in values if math.isfinite(v)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    low = min(0.0, low)
    return low, high if high > low else low + 1


def _top(points: Points) -> float:
    return max((v for _, v in points if math.isfinite(v)), default=0.0) * 1.05 or 1.0


def _panel(title: str, lines: Sequence[Line], end: int, span: tuple[float, float], height: int) -> Picture:
    low, high = span
    end = max(1, end)
    tall, wide = height - _GAP - 24, _WIDTH - _LEFT - _RIGHT
    plot = np.full((tall * _FINE, wide * _FINE, 3), 255, np.uint8)

    def place(x: float, y: float) -> tuple[float, float]:
        return (high - y) / (high - low) * (tall * _FINE - 1), x / end * (wide * _FINE - 1)

    across, up = ticks(0, end, 9), ticks(low, high)
    for x in across:
        draw_path(plot, [place(x, low), place(x, high)], _GRID, 2)
    for y in up:
        draw_path(plot, [place(0, y), place(end, y)], _GRID, 2)
    for line in lines:
        known = [place(x, y) for x, y in line.points if math.isfinite(y)]
        draw_path(plot, known, line.color, line.width * _FINE, dots=len(known) == 1)
    canvas = np.full((height, _WIDTH, 3), 255, np.uint8)
    canvas[24 : 24 + tall, _LEFT : _LEFT + wide] = plot.reshape(tall, _FINE, wide, _FINE, 3).mean((1, 3)).round()
    draw_text(canvas, 4, _LEFT, title, _INK)
    for x in across:
        text = f"{x:.0f}" if x == round(x) else f"{x:g}"
        draw_text(canvas, 24 + tall + 6, round(_LEFT + x / end * wide - text_width(text) / 2), text, _INK)
    for y in up:
        text = f"{y:.6g}"
        draw_text(canvas, round(24 + place(0, y)[0] / _FINE - LINE / 2), _LEFT - 8 - text_width(text), text, _INK)
    for row, line in enumerate(one for one in lines if one.name and one.points):
        top = 24 + row * (LINE + 4)
        last = next((v for _, v in reversed(line.points) if math.isfinite(v)), math.nan)
        canvas[top + 4 : top + LINE - 4, _WIDTH - _RIGHT + 8 : _WIDTH - _RIGHT + 20] = line.color
        value = f"{last:.3f}"
        name = fitted(line.name, _RIGHT - 26 - 8 - 6 - text_width(value))
        draw_text(canvas, top, _WIDTH - _RIGHT + 26, name, _INK)
        draw_text(canvas, top, _WIDTH - 8 - text_width(value), value, _INK)
    return canvas


def draw_path(
    plot: Picture, places: Sequence[tuple[float, float]], color: Color, width: int, dots: bool = False
) -> None:
    """A line from place to place (row, col), `width` dots wide; what lies outside is cut off."""
    pen = width * (3 if dots else 1)
    rows, cols = [p[0] for p in places], [p[1] for p in places]
    for i in range(max(len(places) - 1, 1 if dots else 0)):
        j = min(i + 1, len(places) - 1)
        count = int(max(abs(rows[j] - rows[i]), abs(cols[j] - cols[i]))) + 2
        r = np.rint(np.linspace(rows[i], rows[j], count)).astype(np.intp)
        c = np.rint(np.linspace(cols[i], cols[j], count)).astype(np.intp)
        for dr in range(-(pen // 2), pen - pen // 2):
            for dc in range(-(pen // 2), pen - pen // 2):
                inside = (r + dr >= 0) & (r + dr < plot.shape[0]) & (c + dc >= 0) & (c + dc < plot.shape[1])
                plot[r[inside] + dr, c[inside] + dc] = color
