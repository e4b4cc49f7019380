"""A picture of the worst places of a map: map, truth, and where they differ, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.accuracy.report import Block
from mapgen.arrays import Bytes
from mapgen.files.pictures import LINE, PAPER, text_line, text_width

SIDE = 256
"""Pixels of the longer side of a panel."""

RIGHT, UNCOUNTED = (232, 232, 232), (170, 170, 170)
"""Colours of ground that is right, and of ground that does not count."""

_GAP = 8
_WIDEST = 220  # pixels of a name in the legend


@dataclass(frozen=True, slots=True)
class Place:
    """One of the places: its block and the codes (H, W) of both sides, negative where nothing counts."""

    block: Block
    mapped: NDArray[Any]
    truth: NDArray[Any]


def draw_worst(places: Sequence[Place], names: Sequence[str], colors: Sequence[tuple[int, int, int]]) -> Bytes:
    """The places from the worst on, one a row, as RGB (H, W, 3); `names` and `colors` are those of the codes.

    The third panel shows ground that is wrong in the colour of what it should be.
    """
    palette = np.array([*colors, UNCOUNTED], np.uint8)  # the code -1 takes the last
    rows = [_row(number, place, palette) for number, place in enumerate(places, 1)]
    used = sorted({int(c) for p in places for a in (p.mapped, p.truth) for c in np.unique(a) if c >= 0})
    legend = _legend([(names[c], colors[c]) for c in used])
    width = max([row.shape[1] for row in rows], default=0)
    body = _stacked([_widened(row, width) for row in rows])
    page = np.full((max(len(body), len(legend)) + 2 * _GAP, width + legend.shape[1] + 3 * _GAP, 3), PAPER, np.uint8)
    page[_GAP : _GAP + len(body), _GAP : _GAP + width] = body
    page[_GAP : _GAP + len(legend), width + 2 * _GAP : width + 2 * _GAP + legend.shape[1]] = legend
    return page


def _row(number: int, place: Place, palette: Bytes) -> Bytes:
    block = place.block
    mapped, truth = (_scaled(codes) for codes in (place.mapped, place.truth))
    counted = (mapped >= 0) & (truth >= 0)
    wrong = np.where((mapped != truth)[..., None], palette[truth], np.array(RIGHT, np.uint8))
    wrong = np.where(counted[..., None], wrong, np.array(UNCOUNTED, np.uint8))
    panels = [palette[mapped], palette[truth], wrong]
    share = f"{block.wrong / block.pixels:.0%}"
    titles = [f"{number} map: row {block.row} col {block.col}", "truth", f"wrong: {share}"]
    columns = []
    for title, panel in zip(titles, panels, strict=True):
        column = _stacked([text_line(title, max(panel.shape[1], SIDE)), panel], gap=4)
        columns += [column, np.full((len(column), _GAP, 3), PAPER, np.uint8)]
    return np.hstack(columns[:-1])


def _scaled(codes: NDArray[Any]) -> NDArray[np.int16]:
    """Codes on about SIDE pixels: whole multiples where they are fewer, every nth where they are more."""
    height, width = codes.shape
    longer = max(height, width)
    if longer <= SIDE:
        times = max(1, SIDE // longer)
        return np.kron(codes, np.ones((times, times), np.int16)).astype(np.int16)
    rows, cols = (np.arange(max(1, size * SIDE // longer)) * longer // SIDE for size in (height, width))
    return codes[np.ix_(rows, cols)].astype(np.int16)


def _legend(classes: Sequence[tuple[str, tuple[int, int, int]]]) -> Bytes:
    entries = [*classes, ("right", RIGHT), ("not counted", UNCOUNTED)]
    swatch = 2 * LINE
    width = swatch + _GAP + min(_WIDEST, max(text_width(name) for name, _ in entries))
    lines = []
    for name, color in entries:
        line = np.full((LINE, width, 3), PAPER, np.uint8)
        line[:, :swatch] = color
        line[:, swatch + _GAP :] = text_line(name, width - swatch - _GAP)
        lines.append(line)
    return _stacked(lines)


def _widened(picture: Bytes, width: int) -> Bytes:
    page = np.full((picture.shape[0], width, 3), PAPER, np.uint8)
    page[:, : picture.shape[1]] = picture
    return page


def _stacked(pictures: Sequence[Bytes], gap: int = _GAP) -> Bytes:
    """Pictures below each other, as wide as the widest."""
    width = max([p.shape[1] for p in pictures], default=0)
    parts: list[Bytes] = []
    for picture in pictures:
        parts += [_widened(picture, width), np.full((gap, width, 3), PAPER, np.uint8)]
    return np.vstack(parts[:-1]) if parts else np.zeros((0, 0, 3), np.uint8)
