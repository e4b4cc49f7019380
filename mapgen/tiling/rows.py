"""A pyramid of class ids row of tiles by row of tiles: what the vector tiles of all zooms are drawn from.

The pixels of the highest zoom come in rows of tiles from the north. Each zoom keeps two such rows at a time, so memory
follows the width of the map and not its height; two rows of tiles halved make one of the zoom below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.tiling.quadtree import TileRange

Pixels = NDArray[Any]
Halve = Callable[[Pixels], Pixels]
"""Pixels (2 H, 2 W) to (H, W)."""


@dataclass(frozen=True, slots=True)
class TileRow:
    """The pixels of one row of tiles with a margin on all sides, (side + 2 margin, tiles · side + 2 margin)."""

    z: int
    y: int
    left: int
    side: int
    margin: int
    pixels: Pixels

    @property
    def inside(self) -> Pixels:
        """The pixels without the margin: a view."""
        return self.pixels[self.margin : -self.margin, self.margin : -self.margin]

    def __iter__(self) -> Iterator[tuple[int, Pixels]]:
        """Each tile's column, and its pixels with the margin: a view."""
        for i in range((self.pixels.shape[1] - 2 * self.margin) // self.side):
            yield self.left + i, self.pixels[:, i * self.side : (i + 1) * self.side + 2 * self.margin]


def tile_rows(
    strips: Iterable[Pixels | None],
    tiles: TileRange,
    min_zoom: int,
    side: int,
    margin: int,
    empty: float,
    halve: Halve,
    columns: int = 1,
) -> Iterator[TileRow]:
    """The rows of tiles of all zooms from that of `tiles` down to `min_zoom`, each as soon as its pixels are known.

    `strips` are the rows of tiles of `tiles` from the north, each (side, columns · side), or None where all is `empty`;
    so is what lies around the tiles. Rows without data do not come. `margin` is at most `side`. The world is `columns`
    tiles wide at zoom 0; tiles with negative columns lie west of the antimeridian.
    """
    level = _Level(tiles, min_zoom, side, margin, empty, halve, columns)
    for y, strip in zip(range(tiles.top, tiles.bottom), strips, strict=True):
        yield from level.push(y, strip)
    yield from level.close()


class _Level:
    """One zoom: the row of tiles that waits for the one below it, and half a row of the next zoom."""

    def __init__(
        self, tiles: TileRange, min_zoom: int, side: int, margin: int, empty: float, halve: Halve, columns: int
    ) -> None:
        self.tiles, self.side, self.margin, self.empty, self.halve = tiles, side, margin, empty, halve
        self.world = columns << tiles.z
        self.next: _Level | None = None
        if tiles.z > min_zoom:
            below = tiles.at(tiles.z - 1)
            if below.right - below.left > self.world // 2:  # both edges of the antimeridian are of one tile
                below = TileRange(below.z, 0, below.top, self.world // 2, below.bottom)
            self.next = _Level(below, min_zoom, side, margin, empty, halve, columns)
        self.above: Pixels | None = None
        self.waiting: Pixels | None = None
        self.upper: Pixels | None = None

    def push(self, y: int, strip: Pixels | None) -> Iterator[TileRow]:
        """The rows that are known with row `y` of this zoom."""
        yield from self._row(y - 1, strip)
        self.above = None if self.waiting is None else self.waiting[-self.margin :].copy()
        self.waiting = strip
        if self.next is not None:
            yield from self._halved(y, strip)

    def close(self) -> Iterator[TileRow]:
        """The rows that wait for what does not come."""
        yield from self._row(self.tiles.bottom - 1, None)
        if self.next is not None:
            if self.tiles.bottom & 1:
                yield from self._halved(self.tiles.bottom, None)
            yield from self.next.close()

    def _row(self, y: int, below: Pixels | None) -> Iterator[TileRow]:
        if self.waiting is None:
            return
        margin, (height, width) = self.margin, self.waiting.shape
        out = np.full((height + 2 * margin, width + 2 * margin), self.empty, self.waiting.dtype)
        inner = slice(margin, margin + width)
        if self.above is not None:
            out[:margin, inner] = self.above
        out[margin : margin + height, inner] = self.waiting
        if below is not None:
            out[margin + height :, inner] = below[:margin]
        if width == self.world * self.side:  # all around the earth
            out[:, :margin], out[:, margin + width :] = out[:, width : width + margin], out[:, margin : 2 * margin]
        yield TileRow(self.tiles.z, y, self.tiles.left, self.side, margin, out)

    def _halved(self, y: int, strip: Pixels | None) -> Iterator[TileRow]:
        """What follows from row `y` at the zoom below."""
        assert self.next is not None
        half = None if strip is None else self._half(strip)
        if y & 1 == 0:
            self.upper = half
            return
        upper, self.upper = self.upper, None
        if upper is None and half is None:
            yield from self.next.push(y >> 1, None)
            return
        shape = (upper if upper is not None else half).shape  # type: ignore[union-attr]
        parts = [np.full(shape, self.empty, strip.dtype if strip is not None else upper.dtype) if p is None else p  # type: ignore[union-attr]
                 for p in (upper, half)]  # fmt: skip
        yield from self.next.push(y >> 1, np.concatenate(parts))

    def _half(self, strip: Pixels) -> Pixels:
        """The strip at half its size, with the tiles beside it that the zoom below has in its first and last one."""
        assert self.next is not None
        west, east = self.tiles.left & 1, self.tiles.right & 1
        if west or east:
            strip = np.pad(strip, ((0, 0), (west * self.side, east * self.side)), constant_values=self.empty)
        half = self.halve(strip)
        width = (self.next.tiles.right - self.next.tiles.left) * self.side
        return half if half.shape[1] == width else self._folded(half, (self.tiles.left >> 1) * self.side, width)

    def _folded(self, strip: Pixels, left: int, width: int) -> Pixels:
        """A strip that is wider than the world, laid around it; `left` is its first column."""
        out = np.full((len(strip), width), self.empty, strip.dtype)
        for start in range(0, strip.shape[1], self.side):
            part, place = strip[:, start : start + self.side], (left + start) % width
            target = out[:, place : place + self.side]
            target[part != self.empty] = part[part != self.empty]
        return out
