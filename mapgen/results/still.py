"""Still pictures of a map: imagery below, classes above it, a legend and a scale bar beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mapgen.arrays import Bytes
from mapgen.files.pictures import INK, LINE, PAPER, draw_text, fitted, heavier, text_width, wrapped
from mapgen.legend import LayerClass
from mapgen.tiling.quadtree import Bounds, to_lonlat, to_mercator

PAD = 12
SWATCH = 16
ROW = SWATCH + 6
GAP = 16
WIDEST, LEAST = 300, 8 * LINE
"""Pixels of a line of the legend, at most and at least."""

NORTH = 17
"""Pixels of the arrow that points north."""

FAINT = (110, 110, 110)


@dataclass(frozen=True, slots=True)
class Frame:
    """A picture of `height` × `width` pixels over `bounds` in Web Mercator metres."""

    bounds: Bounds
    height: int
    width: int

    @property
    def resolution(self) -> float:
        """Web Mercator metres of a pixel."""
        return (self.bounds[2] - self.bounds[0]) / self.width

    @property
    def metres(self) -> float:
        """True metres of a pixel in the middle of the picture, on the sphere."""
        middle = float(to_lonlat(0.0, (self.bounds[1] + self.bounds[3]) / 2)[1])
        return self.resolution * math.cos(math.radians(middle))


def frame_of(lonlat: Bounds, side: int, finest: float) -> Frame:
    """The frame around degrees (west, south, east, north) whose longer side has `side` pixels.

    Fewer where a pixel would be finer than `finest` Web Mercator metres: nothing more is to be seen.
    """
    left, bottom = (float(v) for v in to_mercator(lonlat[0], lonlat[1]))
    right, top = (float(v) for v in to_mercator(lonlat[2], lonlat[3]))
    across, down = max(right - left, 1e-3), max(top - bottom, 1e-3)
    step = max(max(across, down) / side, finest)
    width, height = max(1, round(across / step)), max(1, round(down / step))
    return Frame((left, top - height * step, left + width * step, top), height, width)


def laid_over(below: Bytes, above: Bytes, opacity: float) -> Bytes:
    """Colours (H, W, 3) with others (H, W, 4) laid over them, their alpha times `opacity`."""
    share = above[..., 3:].astype(np.float32) * np.float32(opacity / 255)
    mixed = below * (1 - share) + above[..., :3] * share
    return np.rint(mixed).astype(np.uint8)


def round_length(most: float) -> float:
    """The longest of 1, 2, 5, 10, 20 … that is not longer than `most` (above 0)."""
    power = 10.0 ** math.floor(math.log10(most) + 1e-12)
    return max(n * power for n in (1, 2, 5) if n * power <= most * (1 + 1e-12))


def length_text(metres: float) -> str:
    """A length as people write it."""
    return f"{metres / 1000:g} km" if metres >= 1000 else f"{metres:g} m" if metres >= 1 else f"{metres * 100:g} cm"


def area_text(square_metres: float) -> str:
    """An area as people write it: hectares from one on, square kilometres from a hundred of them on."""
    for unit, size in (("km²", 1e6), ("ha", 1e4)):
        if square_metres >= (1e8 if unit == "km²" else 1e4):
            value = square_metres / size
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    return f"{square_metres:,.0f} m²"


def share_text(share: float) -> str:
    """A share of a whole as people write it."""
    return "< 0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f} %"


def legend_rows(areas: Sequence[tuple[LayerClass, float | None]]) -> list[tuple[str, str, str, str]]:
    """Name, colour, share and area of each class, the latter two empty where areas are not known; a total below."""
    known = [area for _, area in areas if area is not None]
    total = sum(known)
    whole = len(known) == len(areas) and total > 0
    rows = [
        (c.name, c.color, share_text((area or 0) / total) if whole else "", "" if area is None else area_text(area))
        for c, area in areas
    ]
    return [*rows, ("Total", "", "", area_text(total))] if whole and len(areas) > 1 else rows


def with_legend(
    picture: Bytes, rows: Sequence[tuple[str, str, str, str]], title: str, metres: float, about: Sequence[str] = ()
) -> Bytes:
    """The picture (H, W, 3) with a panel on its right: title, name, colour, share and area of each class, north, a
    scale bar, and lines `about` the map.

    `metres` are those of a pixel. A row without a colour is a sum. Nothing of the picture is covered.
    """
    title = fitted(title, WIDEST)
    widths = [max([0, *(text_width(row[i]) for row in rows)]) for i in (2, 3)]
    figures = sum(width + GAP for width in widths if width)
    names = [fitted(row[0], WIDEST - figures) for row in rows]
    longest = max([text_width(title) + 1, *(text_width(name) + figures for name in names), LEAST])
    width = 2 * PAD + SWATCH + 8 + longest
    lines = [line for text in about for line in wrapped(text, width - 2 * PAD)]
    height = max(len(picture), 3 * PAD + LINE + len(names) * ROW + 4 * PAD + 3 * LINE + len(lines) * LINE)
    out = np.full((height, picture.shape[1] + width, 3), PAPER, np.uint8)
    out[: len(picture), : picture.shape[1]] = picture
    left, row = picture.shape[1] + PAD, PAD
    heavier(out, row, left, title)
    row += LINE + PAD
    for name, (_, color, share, area) in zip(names, rows, strict=True):
        _row(out, row, left, (name, color, share, area), widths[1])
        row += ROW
    _scale_bar(out, row + PAD, left, width - 2 * PAD - NORTH - GAP, metres)
    _north(out, row + PAD, out.shape[1] - PAD - NORTH)
    row += 2 * PAD + 3 * LINE
    for line in lines:
        draw_text(out, row, left, line, FAINT)
        row += LINE
    return out


def _row(out: Bytes, row: int, left: int, cells: tuple[str, str, str, str], last: int) -> None:
    """A line of the legend; `last` is the width of the column of areas."""
    name, color, share, area = cells
    text, right = row + (SWATCH - LINE) // 2, out.shape[1] - PAD
    if color:
        out[row : row + SWATCH, left : left + SWATCH] = INK
        out[row + 1 : row + SWATCH - 1, left + 1 : left + SWATCH - 1] = _rgb(color)
    else:
        out[row - 2, left:right] = FAINT
    draw_text(out, text, left + SWATCH + 8, name)
    draw_text(out, text, right - text_width(area), area)
    draw_text(out, text, right - last - GAP * bool(last) - text_width(share), share)


def _north(out: Bytes, row: int, left: int) -> None:
    """An arrow to the north, which is up in Web Mercator, `NORTH` pixels wide."""
    for step in range(NORTH):
        half = step // 2
        out[row + step, left + NORTH // 2 - half : left + NORTH // 2 + half + 1] = INK
    out[row + NORTH * 3 // 4 : row + NORTH, left + NORTH // 2 - 2 : left + NORTH // 2 + 3] = PAPER
    heavier(out, row + NORTH + 2, left + (NORTH - text_width("N")) // 2, "N")


def _scale_bar(out: Bytes, row: int, left: int, room: int, metres: float) -> None:
    length = round_length(room * metres)
    pixels = max(1, round(length / metres))
    out[row + 6 : row + 8, left : left + pixels] = INK
    for end in (left, left + pixels - 1):
        out[row : row + 8, end : end + 2] = INK
    draw_text(out, row + 8 + 4, left, length_text(length))


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
