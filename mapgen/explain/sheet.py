"""One picture of an explanation: the place, what the model makes of it, and each method's answer over the place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mapgen.arrays import Array, Bools, Bytes, Floats
from mapgen.explain.write import AGAINST, FOR, NEITHER, strongest
from mapgen.files.pictures import LINE, PAPER, shown_bands, text_line

SIDE, GAP, COLUMNS = 256, 8, 4
"""Pixels of a panel at least, between panels, and panels in a row."""

UNKNOWN = (170, 170, 170)
"""Colour of ground without data, which the network sees filled in."""

MARK = (255, 220, 0)
"""Colour of the line around what is asked about."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A picture (H, W, 3) and what stands over it."""

    title: str
    picture: Bytes


def as_picture(pixels: Array, valid: Bools, names: Sequence[str]) -> Bytes:
    """Pixels (C, H, W) as RGB (H, W, 3), stretched between the 2nd and 98th percentile of each band."""
    chosen = shown_bands(names)
    planes = [_stretched(pixels[band], valid) for band in (chosen * 3 if len(chosen) == 1 else chosen)]
    return np.stack(planes, -1)


def _stretched(plane: Array, valid: Bools) -> Bytes:
    low, high = np.percentile(plane[valid], (2, 98))
    return np.asarray(((plane - low) / max(float(high - low), 1e-6)).clip(0, 1) * 255, np.float64).astype(np.uint8)


def overlaid(picture: Bytes, values: Floats) -> Bytes:
    """A picture in pale grey with attributions (H, W) over it, blue and red, the stronger the less it shows through."""
    share = (values / strongest(values)).clip(-1, 1)[..., None]
    grey = picture.mean(-1, keepdims=True) * 0.5 + 127
    ends = np.where(share > 0, np.array(FOR), np.array(AGAINST))
    strength = np.sqrt(np.abs(share)) * 0.85
    return np.asarray(grey * (1 - strength) + ends * strength).astype(np.uint8)


def outlined(picture: Bytes, region: Bools) -> Bytes:
    """The picture, pixels around the region in `MARK`; a region of few pixels gets a square around it."""
    out = picture.copy()
    rows, cols = np.nonzero(region)
    if np.ptp(rows) < 8 and np.ptp(cols) < 8:
        region = np.zeros_like(region)
        region[max(0, rows.min() - 4) : rows.max() + 5, max(0, cols.min() - 4) : cols.max() + 5] = True
    wide = np.pad(region, 1)
    around = wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    out[region & ~around] = MARK
    return out


def draw(panels: Sequence[Panel], foot: str) -> Bytes:
    """The panels row by row, with the key of the colours and a line under them."""
    cells = [_cell(panel) for panel in panels]
    height, width = max(c.shape[0] for c in cells), max(c.shape[1] for c in cells)
    columns = min(COLUMNS, len(cells))
    rows = -(-len(cells) // columns)
    page = np.full((rows * (height + GAP) + 2 * LINE + 2 * GAP, columns * (width + GAP) + GAP, 3), PAPER, np.uint8)
    for number, cell in enumerate(cells):
        row, col = divmod(number, columns)
        top, left = GAP + row * (height + GAP), GAP + col * (width + GAP)
        page[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    bottom, inner = GAP + rows * (height + GAP), page.shape[1] - 2 * GAP
    page[bottom : bottom + LINE, GAP : GAP + inner] = text_line(foot, inner)
    page[bottom + LINE : bottom + 2 * LINE, GAP : GAP + inner] = _key(inner)
    return page


def _cell(panel: Panel) -> Bytes:
    times = max(1, SIDE // max(panel.picture.shape[:2]))
    body = panel.picture.repeat(times, 0).repeat(times, 1)
    return np.vstack([text_line(panel.title, body.shape[1]), body])


def _key(width: int) -> Bytes:
    line = text_line("", width)
    share = np.linspace(-1, 1, 120)[:, None]
    ends = np.where(share > 0, np.array(FOR), np.array(AGAINST))
    line[2:-2, 60:180] = (np.array(NEITHER) * (1 - np.abs(share)) + ends * np.abs(share)).astype(np.uint8)[None]
    line[:, :56] = text_line("against", 56)
    line[:, 188:width] = text_line("for", width - 188)
    return line
