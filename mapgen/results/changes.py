"""What became of what: two class maps of the same ground, compared pixel by pixel."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import InputError, option
from mapgen.grid import Window
from mapgen.results.render import COUNTED_WHOLE, RasterDrawing
from mapgen.results.side import Side
from mapgen.results.still import Frame, frame_of
from mapgen.tiling.source import ClassSource

COPY_SIDE = 4096
"""Pixels of the longer side of the copies that are compared where a map is too large to be compared whole."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Square metres of ground that both maps show, and of each change: (id before, id after, square metres)."""

    total: float
    rows: tuple[tuple[int, int, float], ...]
    whole: bool = True
    """Whether every pixel was counted."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, the largest change first."""
        return {"total": self.total, "rows": [{"from": a, "to": b, "area": area} for a, b, area in self.rows]}


def check_same_ground(sides: Sequence[Side]) -> None:
    """Raise `InputError` for two results that show no common ground."""
    (w, s, e, n), (w2, s2, e2, n2) = (side.bounds for side in sides)
    if min(e, e2) <= max(w, w2) or min(n, n2) <= max(s, s2):
        problem = f"shows other ground ({_place(sides[1])}) than {sides[0].title} ({_place(sides[0])})"
        raise InputError(sides[1].title, problem, f"name a map of the same place with {option('compare')}")


def _place(side: Side) -> str:
    west, south, east, north = side.bounds
    return f"around {(south + north) / 2:.4f}, {(west + east) / 2:.4f}"


def adopt_names(sides: Sequence[Side]) -> None:
    """Give bare class numbers of one map the names and colours that the other has for them, and say where the two call
    one number by different names."""
    first, second = (side.raster for side in sides)
    if not isinstance(first, RasterDrawing) or not isinstance(second, RasterDrawing):
        return
    for one, other in ((first, second), (second, first)):
        if not _is_named(one) and _is_named(other):
            one.names = other.names
    known = first.names.classes
    for c in second.names.classes.values():
        mine = known.get(c.id)
        if mine is not None and mine.name.casefold() != c.name.casefold():
            both = f"{mine.name} in {sides[0].title} and {c.name} in {sides[1].title}"
            text = f"class {c.id} is {both}: each has a legend of its own, and they are compared by name"
            sides[1].missing.append(text)
            return


def _is_named(drawing: RasterDrawing) -> bool:
    return any(c.name != str(c.id) for c in drawing.names.classes.values())


def changes_of(sides: Sequence[Side]) -> Changes | None:
    """The changes from the first side to the second; None unless both are class maps whose pixels can be read.

    Pixels of the second are taken where the centres of the first's lie. Classes are the same by id, or by name where
    one id has two names.
    """
    first, second = (side.raster for side in sides)
    if not isinstance(first, RasterDrawing) or not isinstance(second, RasterDrawing):
        return None
    whole = first.grid.window.area <= COUNTED_WHOLE
    counted: dict[tuple[int, int], float] = {}
    for before, after, pixel in _strips(first, second) if whole else _copies(first, second):
        for pair, count in _pairs(before, after).items():
            counted[pair] = counted.get(pair, 0.0) + count * pixel
    hidden = [_hidden(one) for one in (first, second)]
    shown = {(a, b): area for (a, b), area in counted.items() if a not in hidden[0] and b not in hidden[1]}
    names = [{c.id: c for c in one.names.of({pair[k] for pair in shown})} for k, one in enumerate((first, second))]
    by_id = all(names[1][i].name == c.name for i, c in names[0].items() if i in names[1])

    def unlike(a: int, b: int) -> bool:
        return a != b if by_id else names[0][a].name.casefold() != names[1][b].name.casefold()

    rows = sorted(((a, b, area) for (a, b), area in shown.items() if unlike(a, b)), key=lambda row: -row[2])
    return Changes(sum(shown.values()), tuple(rows), whole)


def _hidden(drawing: RasterDrawing) -> set[int]:
    assert isinstance(drawing.source, ClassSource)
    return {drawing.source.nodata} | drawing.names.background


def _pairs(before: Array, after: Array) -> dict[tuple[int, int], int]:
    """How often each pair of ids occurs at one place."""
    codes = before.astype(np.int64) << 32 | (after.astype(np.int64) & 0xFFFFFFFF)
    values, counts = np.unique(codes, return_counts=True)
    halves = zip(values.tolist(), counts.tolist(), strict=True)
    return {(code >> 32, code & 0xFFFFFFFF): count for code, count in halves}


def _strips(first: RasterDrawing, second: RasterDrawing) -> Iterator[tuple[Array, Array, float]]:
    """Strips of ids of both on the grid of the first, and the area of a pixel of each."""
    assert isinstance(first.source, ClassSource)
    grid, rows = first.grid, first.source.mask.strip_rows
    for row in range(0, grid.height, rows):
        window = Window(row, 0, rows, grid.width) & grid.window
        before = first.classes_on(grid, window)
        after = None if before is None else second.classes_on(grid, window)
        if before is not None and after is not None:
            yield before, after, math.prod(grid.crop(window).resolution_m)


def _copies(first: RasterDrawing, second: RasterDrawing) -> Iterator[tuple[Array, Array, float]]:
    """Smaller copies of both in Web Mercator, row of tiles by row, and the area of a pixel of each."""
    frame = frame_of(first.bounds, COPY_SIDE, first.finest)
    left, _, right, top = frame.bounds
    for row in range(0, frame.height, 256):
        height = min(256, frame.height - row)
        high = top - row * frame.resolution
        part = Frame((left, high - height * frame.resolution, right, high), height, frame.width)
        yield first.ids(part), second.ids(part), part.metres**2

