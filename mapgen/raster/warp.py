"""Where the pixels of one grid lie on another, exact to the pixel and yet fast, and pictures taken from there.

A smooth map is known from few exact places: over a tile it is interpolated between 6 × 6 Chebyshev nodes, and checked
at places between them. Where that is not good enough (a far too large tile, an edge of the projection, the
antimeridian) the tile is quartered, in the end down to single pixels. Where the nearest pixel hangs on less than the
error, the exact map decides. So the result is that of the exact map, at the cost of a dozen multiplications a pixel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats
from mapgen.grid import Window
from mapgen.kernels import kernel

Exact = Callable[[Floats, Floats], tuple[Floats, Floats]]
"""From (column, row) places on the target grid, pixel centres at halves, to those on the source grid; inf for none."""

NODES = 6
GOOD = 1e-3
"""Pixels of the source by which interpolation may be off; beyond, a block is quartered."""
_CHECKED = (0.0, 0.08, 0.25, 0.5, 0.75, 0.92, 1.0)
"""Places along each side of a block, on its borders and between the nodes, at which interpolation is checked."""
LEAST = 8
"""Side of blocks for which every pixel is transformed."""

ROUND = 1e-10
"""What GDAL adds before it takes the pixel below, so that a border in the last bits belongs to the next pixel."""


@dataclass(frozen=True, slots=True)
class Block:
    """A window of the target grid and where its pixels lie on the source.

    Either `cols` and `rows` (NODES, NODES) at the nodes of the window, interpolation being off by at most `error`, or,
    `error` being None, for each pixel (height, width).
    """

    window: Window
    cols: Floats
    rows: Floats
    error: float | None


def blocks(window: Window, exact: Exact) -> list[Block]:
    """The window in one block, or in as many as it takes."""
    if max(window.height, window.width) <= LEAST:
        cols, rows = _exactly(window, exact)
        return [Block(window, cols, rows, None)]
    nodes_c: Floats = window.col + _nodes() * window.width
    nodes_r = window.row + _nodes() * window.height
    cols, rows = exact(*_crossed(nodes_c, nodes_r))
    cols, rows = cols.reshape(NODES, NODES), rows.reshape(NODES, NODES)
    error = _error(window, exact, cols, rows)
    if error <= GOOD:
        return [Block(window, cols, rows, error)]
    half_h, half_w = (window.height + 1) // 2, (window.width + 1) // 2
    parts = [Window(window.row + r, window.col + c, half_h, half_w) & window for r in (0, half_h) for c in (0, half_w)]
    return [block for part in parts if part.area for block in blocks(part, exact)]


def _error(window: Window, exact: Exact, cols: Floats, rows: Floats) -> float:
    """An upper estimate of what interpolation is off by, from a lattice between the nodes and on the borders."""
    if not (np.isfinite(cols).all() and np.isfinite(rows).all()):
        return np.inf
    places: Floats = np.array(_CHECKED)
    true_c, true_r = exact(*_crossed(window.col + places * window.width, window.row + places * window.height))
    weights = _weights(_CHECKED)
    off_c, off_r = (np.abs((weights @ at @ weights.T).ravel() - true) for at, true in ((cols, true_c), (rows, true_r)))
    worst = max(off_c.max(), off_r.max())
    return float(10 * worst + 1e-9) if np.isfinite(worst) else np.inf


def _exactly(window: Window, exact: Exact) -> tuple[Floats, Floats]:
    cols, rows = exact(
        *_crossed(window.col + 0.5 + np.arange(window.width), window.row + 0.5 + np.arange(window.height))
    )
    return cols.reshape(window.height, window.width), rows.reshape(window.height, window.width)


def _crossed(cols: NDArray[Any], rows: NDArray[Any]) -> tuple[Floats, Floats]:
    return np.tile(cols, len(rows)), np.repeat(rows, len(cols))


@lru_cache
def _nodes() -> Floats:
    """The Chebyshev nodes of 0…1, increasing."""
    nodes: Floats = 0.5 - 0.5 * np.cos((2 * np.arange(NODES) + 1) * np.pi / (2 * NODES))
    return nodes


@lru_cache(maxsize=64)
def _weights(places: tuple[float, ...]) -> Floats:
    """(n, NODES): what each node counts at each place of 0…1 (Lagrange)."""
    nodes, at = _nodes(), np.array(places)
    out = np.ones((len(places), NODES))
    for k in range(NODES):
        for other in range(NODES):
            if other != k:
                out[:, k] *= (at - nodes[other]) / (nodes[k] - nodes[other])
    return out


@lru_cache(maxsize=64)
def _pixel_weights(count: int) -> Floats:
    """(count, NODES), at the centres of so many pixels."""
    return _weights(tuple((np.arange(count) + 0.5) / count))


@lru_cache(maxsize=64)
def _pixel_columns(count: int) -> Floats:
    """`_pixel_weights` with the pixels along the rows, so that the kernel runs along memory."""
    return np.ascontiguousarray(_pixel_weights(count).T)


def reach(parts: list[Block], height: int, width: int) -> Window:
    """The window of a source of this size that the blocks may look at, with two pixels around; empty where none."""
    lows, highs = [], []
    for block in parts:
        cols, rows = block.cols, block.rows
        if block.error is not None:
            # A continuous map takes a region into what the image of its border encloses.
            weights = _weights((0.0, 0.25, 0.5, 0.75, 1.0))
            cols, rows = weights @ cols @ weights.T, weights @ rows @ weights.T
        kept = np.isfinite(cols) & np.isfinite(rows)
        if kept.any():
            lows.append((rows[kept].min(), cols[kept].min()))
            highs.append((rows[kept].max(), cols[kept].max()))
    if not lows:
        return Window(0, 0, 0, 0)
    # Between five places of a border that bends, it lies a little further out.
    extent = np.max(highs, 0) - np.min(lows, 0)
    (top, left), (bottom, right) = np.min(lows, 0) - 0.02 * extent - 3, np.max(highs, 0) + 0.02 * extent + 3
    limits = np.clip([top, left, bottom, right], -1e9, 1e9)
    top, left, bottom, right = (int(v) for v in np.floor(limits))
    return Window(top, left, bottom - top, right - left) & Window(0, 0, height, width)


# --- taking pixels ----------------------------------------------------------------------------------------------------


def nearest(
    parts: list[Block], exact: Exact, source: NDArray[Any], origin: Window, size: tuple[int, int], out: NDArray[Any],
    place: Window,
) -> None:  # fmt: skip
    """Fill `out` (the pixels of the window `place`) with the source's pixels that the centres of its own lie in.

    `source` holds the pixels of the window `origin` of a raster of `size` (height, width); what lies beyond the raster
    is left as it is. Exact: the same as transforming each centre.
    """
    for block in parts:
        rows, cols = block.window.slices(place)
        target = out[rows, cols]
        if block.error is None:
            _take(block.cols, block.rows, source, origin.row, origin.col, size[0], size[1], target)
            continue
        doubtful = np.empty(target.size, np.int32)
        count = _take_between(
            block.cols, block.rows, _pixel_columns(target.shape[1]), _pixel_weights(target.shape[0]),
            block.error + 1e-7, source, origin.row, origin.col, size[0], size[1], target, doubtful,
        )  # fmt: skip
        if count:
            _decide(block.window, exact, doubtful[:count], source, origin, size, target)


def _decide(
    window: Window, exact: Exact, doubtful: NDArray[np.int32], source: NDArray[Any], origin: Window,
    size: tuple[int, int], target: NDArray[Any],
) -> None:  # fmt: skip
    row, col = np.divmod(doubtful, target.shape[1])
    cols, rows = exact(window.col + col + 0.5, window.row + row + 0.5)
    found = target[row, col][None]
    _take(cols[None], rows[None], source, origin.row, origin.col, size[0], size[1], found)
    target[row, col] = found[0]


@kernel
def _take(cols: Any, rows: Any, source: Any, top: Any, left: Any, height: Any, width: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            x, y = cols[i, j] + ROUND, rows[i, j] + ROUND
            if 0 <= x < width and 0 <= y < height:
                row, col = int(y) - top, int(x) - left
                if 0 <= row < source.shape[0] and 0 <= col < source.shape[1]:
                    out[i, j] = source[row, col]


@kernel
def _row_of(table: Any, weights: Any, i: Any, across: Any, out: Any) -> None:
    """Interpolated values along row i: at pixel j the sum over nodes of `across[:, j]` times those of the row."""
    a = np.zeros(6)
    for k in range(6):
        for n in range(6):
            a[k] += weights[i, n] * table[n, k]
    for j in range(len(out)):
        out[j] = (
            across[0, j] * a[0] + across[1, j] * a[1] + across[2, j] * a[2]
            + across[3, j] * a[3] + across[4, j] * a[4] + across[5, j] * a[5]
        )  # fmt: skip


@kernel
def _take_between(
    table_c: Any, table_r: Any, across: Any, down: Any, error: Any, source: Any, top: Any, left: Any, height: Any,
    width: Any, out: Any, doubtful: Any,
) -> int:  # fmt: skip
    """As `_take`, from the nodes; pixels that hang on less than `error` are listed in `doubtful`, and counted."""
    count = 0
    xs, ys = np.empty(out.shape[1]), np.empty(out.shape[1])
    for i in range(out.shape[0]):
        _row_of(table_c, down, i, across, xs)
        _row_of(table_r, down, i, across, ys)
        for j in range(out.shape[1]):
            x, y = xs[j], ys[j]
            col, row = np.floor(x), np.floor(y)
            off_x, off_y = x - col, y - row
            if off_x < error or off_y < error or off_x > 1 - error or off_y > 1 - error:
                if -1 <= x <= width + 1 and -1 <= y <= height + 1:
                    doubtful[count] = i * out.shape[1] + j
                    count += 1
                continue
            # What is outside the raster is outside the part of it that was read.
            r, c = int(row) - top, int(col) - left
            if 0 <= r < source.shape[0] and 0 <= c < source.shape[1]:
                out[i, j] = source[np.uint64(r), np.uint64(c)]
    return count


def blended(
    parts: list[Block], source: NDArray[np.uint8], origin: Window, out: NDArray[np.uint8], place: Window, *,
    cubic: bool = False,
) -> None:  # fmt: skip
    """Fill `out` (bands + 1, H, W) with colours interpolated between the source's pixels, over 2 × 2 or 4 × 4 of them.

    The last band is validity: pixels count by it, and one is valid where those that it is made of are so by half.
    """
    for block in parts:
        rows, cols = block.window.slices(place)
        target = out[:, rows, cols]
        xs, ys = block.cols, block.rows
        if block.error is not None:
            down, across = _pixel_weights(target.shape[1]), _pixel_weights(target.shape[2])
            xs, ys = down @ block.cols @ across.T, down @ block.rows @ across.T
        _blend(xs - origin.col - 0.5, ys - origin.row - 0.5, source, cubic, target)


@kernel
def _blend(xs: Any, ys: Any, source: Any, cubic: Any, out: Any) -> None:
    bands, height, width = source.shape[0] - 1, source.shape[1], source.shape[2]
    taps = 4 if cubic else 2
    wx, wy, sums = np.zeros(4), np.zeros(4), np.zeros(bands + 1)
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            x, y = xs[i, j], ys[i, j]
            if not (-2 < x < width + 1 and -2 < y < height + 1):  # also where they are no numbers
                continue
            left, top = int(np.floor(x)), int(np.floor(y))
            _taps(x - left, cubic, wx)
            _taps(y - top, cubic, wy)
            left -= taps // 2 - 1
            top -= taps // 2 - 1
            sums[:] = 0
            for m in range(taps):
                row = top + m
                if row < 0 or row >= height:
                    continue
                for n in range(taps):
                    col = left + n
                    if col < 0 or col >= width:
                        continue
                    weight = wy[m] * wx[n] * source[bands, row, col]
                    sums[bands] += weight
                    for band in range(bands):
                        sums[band] += weight * source[band, row, col]
            if sums[bands] >= 127.5:
                for band in range(bands):
                    out[band, i, j] = np.uint8(min(255.0, max(0.0, np.floor(sums[band] / sums[bands] + 0.5))))
                out[bands, i, j] = 255


@kernel
def _taps(t: Any, cubic: Any, out: Any) -> None:
    """What the pixels around a place count, `t` of the way between two of them: linearly, or by Catmull and Rom."""
    if cubic:
        out[0] = ((-0.5 * t + 1) * t - 0.5) * t
        out[1] = (1.5 * t - 2.5) * t * t + 1
        out[2] = ((-1.5 * t + 2) * t + 0.5) * t
        out[3] = (0.5 * t - 0.5) * t * t
    else:
        out[0] = 1 - t
        out[1] = t
