"""Plans: which windows the model sees and which part of each is kept. Pure integer arithmetic.

Windows lie on one global lattice whose offsets are multiples of the network's stride, so that the network's own
down-sampling lattice falls on the same pixels in every window. They are never pulled back flush with the far edge: that
would move the lattice and change the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mapgen.errors import UsageError, option
from mapgen.grid import Window


@dataclass(frozen=True, slots=True)
class Span:
    """A step along one axis: pixels `start … end-1` are read, `first … last-1` are kept."""

    start: int
    end: int
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Step:
    """One run of the model: it sees `read`, and this step alone decides the pixels of `keep`.

    `row` and `col` say which spans of the plan it is made of.
    """

    read: Window
    keep: Window
    row: int = 0
    col: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Spans down and across a grid; their product is the steps.

    Laws: keeps are disjoint and cover the grid; each keep lies in its read; spans follow each other.
    """

    rows: tuple[Span, ...]
    cols: tuple[Span, ...]

    def __len__(self) -> int:
        return len(self.rows) * len(self.cols)

    @property
    def whole(self) -> Window:
        """All of the grid."""
        return Window(0, 0, self.rows[-1].last, self.cols[-1].last)

    def step(self, row: int, col: int) -> Step:
        """The step of the given row and column of windows."""
        r, c = self.rows[row], self.cols[col]
        return Step(
            read=Window(r.start, c.start, r.end - r.start, c.end - c.start),
            keep=Window(r.first, c.first, r.last - r.first, c.last - c.first),
            row=row,
            col=col,
        )

    def steps(self, within: Window | None = None, by: Literal["keep", "read"] = "keep") -> Iterator[Step]:
        """The steps in reading order; with `within` only those whose keep (or read) meets it; they are not cut."""
        for row in range(len(self.rows)):
            for col in range(len(self.cols)):
                step = self.step(row, col)
                if within is None or ((step.keep if by == "keep" else step.read) & within).area:
                    yield step


def plan_windows(height: int, width: int, window: int | tuple[int, int], halo: int, stride: int) -> Plan:
    """The plan over a grid of `height` × `width` pixels; `window` is the side of a square or (height, width).

    Further laws: every read starts at a multiple of `stride`; a border between two keeps is at least `halo` pixels away
    from both reads' borders; all reads but the last of an axis are `window` long. Raises `UsageError` for a window or
    halo off the network's lattice.
    """
    sides = (window, window) if isinstance(window, int) else window
    for side in sides:
        check_window(side, halo, stride)
    return Plan(*(tuple(_spans(size, side, halo, stride)) for size, side in zip((height, width), sides, strict=True)))


def _spans(size: int, window: int, halo: int, stride: int) -> Iterator[Span]:
    """The spans that cover `size` pixels of one axis.

    The ends of the axis need no halo. The last span ends with the axis, so a small scene costs a small window; whoever
    runs the network pads it to the next multiple of the stride. Where it is hardly smaller than the others, it begins
    earlier, still on the lattice: then all have one shape, and an engine need not prepare for two.
    """
    start = first = 0
    while start + window < size:
        last = start + window - halo
        yield Span(start, start + window, first, last)
        start, first = start + window - 2 * halo, last
    if start and start + window - size < window // 8:
        start = -(-(size - window) // stride) * stride
    yield Span(start, size, first, size)


def check_window(window: int, halo: int, stride: int) -> None:
    """Raise `UsageError` unless windows of this size and halo tile a grid on the network's lattice."""
    if window < stride or window % stride:
        near = max(stride, round(window / stride) * stride)
        raise UsageError(
            option("window"), f"{window} is not a multiple of the network's stride {stride}", f"use {near}"
        )
    if halo < 0 or halo % stride:
        near = max(0, round(halo / stride) * stride)
        raise UsageError(option("halo"), f"{halo} is not a multiple of the network's stride {stride}", f"use {near}")
    if window - 2 * halo < stride:
        most = (window - stride) // 2 // stride * stride
        raise UsageError(
            option("halo"), f"{halo} leaves nothing of a window of {window} to keep", f"use at most {most}"
        )
