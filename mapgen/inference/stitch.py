"""Stitching: overlapping windows of probabilities become one seamless map, window by window.

Both strategies consume patches in the reading order of a plan and yield patches whose keeps are disjoint and cover it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from mapgen.arrays import Array, uniform
from mapgen.grid import Window
from mapgen.plan import Plan, Span
from mapgen.raster.patch import Patch


def crop(patches: Iterable[Patch], plan: Plan) -> Iterator[Patch]:
    """The kept part of each patch alone: every pixel is decided by the window that sees most around it."""
    del plan
    for patch in patches:
        rows, cols = patch.kept
        values = None if patch.values is None else patch.values[..., rows, cols]
        yield Patch(replace(patch.step, read=patch.step.keep), values, patch.valid[rows, cols])


def blend(patches: Iterable[Patch], plan: Plan) -> Iterator[Patch]:
    """Probabilities averaged across the borders of neighbouring windows, with weights that ramp linearly from 0 to 1.

    A ramp reaches over both halos, but never beyond the middle of a keep, so that no more than two windows meet along
    an axis. The ramps of two neighbours sum to one, so no division is needed. A patch is yielded as soon as no later
    window can reach its pixels; what later windows add to is carried along: the right overlap of one window and the
    bottom overlaps of one row of windows. Memory is bounded by the width of the grid, whatever its height.

    The patches' own arrays are worked on. Laws: where all windows agree, the result is theirs; without a halo it equals
    `crop`.
    """
    rows, cols = ramped_spans(plan.rows), ramped_spans(plan.cols)
    left: tuple[tuple[int, int], Array | None] = ((-1, -1), None)
    above: dict[int, Array] = {}
    below: dict[int, Array] = {}
    current = -1
    for patch in patches:
        row, col = patch.step.row, patch.step.col
        if row != current:
            above = below if row == current + 1 else {}
            below, current = {}, row
        seen = _seen(rows, cols, row, col)
        part = (slice(None), *seen.slices(patch.step.read))
        values = None if patch.values is None else _weighted(patch.values[part], rows, cols, row, col)
        values = _add(values, left[1] if left[0] == (row, col - 1) else None, seen)
        values = _add(values, above.pop(col, None), seen)
        keep = _own(rows, cols, row, col)
        left = (row, col), None if values is None else values[:, :, keep.width :].copy()
        if values is not None and seen.height > keep.height:
            below[col] = values[:, keep.height :, : keep.width].copy()
        yield Patch(
            replace(patch.step, read=keep, keep=keep),
            None if values is None else values[:, : keep.height, : keep.width],
            patch.valid[keep.slices(patch.step.read)],
        )


STITCH: dict[str, Callable[[Iterable[Patch], Plan], Iterator[Patch]]] = {"crop": crop, "blend": blend}


def ramped_spans(spans: tuple[Span, ...]) -> tuple[Span, ...]:
    """The spans cut back to what blending uses: their keeps and the ramps across the borders between them."""
    reaches = [
        min(one.end - one.last, two.first - two.start, (one.last - one.first) // 2, (two.last - two.first) // 2)
        for one, two in pairwise(spans)
    ]
    return tuple(
        replace(span, start=span.first - before, end=span.last + after)
        for span, before, after in zip(spans, [0, *reaches], [*reaches, 0], strict=True)
    )


def _seen(rows: tuple[Span, ...], cols: tuple[Span, ...], row: int, col: int) -> Window:
    """The pixels that this window has a say in."""
    r, c = rows[row], cols[col]
    return Window(r.start, c.start, r.end - r.start, c.end - c.start)


def _own(rows: tuple[Span, ...], cols: tuple[Span, ...], row: int, col: int) -> Window:
    """The pixels that are final once this window was added: those before the next windows' first."""
    bottom = rows[row + 1].start if row + 1 < len(rows) else rows[row].last
    right = cols[col + 1].start if col + 1 < len(cols) else cols[col].last
    return Window(rows[row].start, cols[col].start, bottom - rows[row].start, right - cols[col].start)


def _add(values: Array | None, carried: Array | None, seen: Window) -> Array | None:
    """`values` plus what earlier windows left for its first rows and columns; `None` counts as zero."""
    if carried is None or not carried.size:
        return values
    if values is None:
        values = np.zeros((len(carried), seen.height, seen.width), np.float32)
    values[:, : carried.shape[1], : carried.shape[2]] += carried
    return values


def _weighted(values: Array, rows: tuple[Span, ...], cols: tuple[Span, ...], row: int, col: int) -> Array:
    """`values` (K, H, W) with the ramps of its four borders applied, in place where they are float32."""
    values = values.astype(np.float32, copy=not values.flags.writeable)
    for axis, spans, at in ((1, rows, row), (2, cols, col)):
        view = np.moveaxis(values, axis, -1)
        before = spans[at - 1].end - spans[at].start if at else 0
        after = spans[at].end - spans[at + 1].start if at + 1 < len(spans) else 0
        if before > 0:
            view[..., :before] *= _ramp(before)
        if after > 0:
            view[..., view.shape[-1] - after :] *= _ramp(after)[::-1]
    return values


def _ramp(length: int) -> Array:
    """Weights that rise from 0 to 1, taken at pixel centres; `_ramp(n) + _ramp(n)[::-1] == 1`."""
    return ((np.arange(length) + 0.5) / length).astype(np.float32)


def strips(
    patches: Iterable[Patch], height: int, width: int, block: int, fill: int, bands: tuple[int, ...] = ()
) -> Iterator[tuple[int, Array]]:
    """Full-width strips (row, uint8 (*bands, h, width)) of a map from the kept parts of its patches, top to bottom.

    Every strip starts at a multiple of `block` and, but for the last, is a multiple of `block` high, so that each block
    of the file is written once. Pixels that no patch covers are `fill`. Patches come in reading order and hold class
    ids (H, W), or `bands` such planes, over exactly their keep, in the coordinates of the output. A strip without any
    patch is `uniform`: most of a sparse scene costs neither memory nor time.
    """
    buffer = np.full((*bands, 0, width), fill, np.uint8)
    start = 0
    for patch in patches:
        keep = patch.step.keep & Window(0, 0, height, width)
        if patch.values is None or not keep.area:
            continue
        done = (keep.row - start) // block * block  # windows of this row and later ones lie below
        if done > 0:
            for chunk in _released(buffer, done, block, fill):
                yield start, chunk
                start += chunk.shape[-2]
            buffer = buffer[..., done:, :]
        missing = keep.bottom - start - buffer.shape[-2]
        if missing > 0:
            buffer = np.concatenate([buffer, np.full((*bands, missing, width), fill, np.uint8)], axis=-2)
        rows, cols = keep.slices(Window(start, 0, buffer.shape[-2], width))
        own_rows, own_cols = keep.slices(patch.step.keep)
        buffer[..., rows, cols] = patch.values[..., own_rows, own_cols]
    for chunk in _released(buffer, height - start, block, fill):
        yield start, chunk
        start += chunk.shape[-2]


def _released(buffer: Array, rows: int, block: int, fill: int) -> Iterator[Array]:
    """The first `rows` rows of `buffer`, and `fill` where it is shorter, in chunks of at most one block.

    Chunks, since a run of empty windows may release most of a tall scene at once.
    """
    for top in range(0, rows, block):
        bottom = min(top + block, rows)
        chunk = buffer[..., top:bottom, :]
        if not chunk.shape[-2]:
            yield uniform(fill, (*buffer.shape[:-2], bottom - top, buffer.shape[-1]))
            continue
        missing = bottom - top - chunk.shape[-2]
        if missing:
            more = np.full((*buffer.shape[:-2], missing, buffer.shape[-1]), fill, np.uint8)
            chunk = np.concatenate([chunk, more], axis=-2)
        yield chunk
