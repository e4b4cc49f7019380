"""Stitching: overlapping windows of probabilities become one seamless map, window by window.

Both strategies consume patches in the reading order of a plan and yield patches whose keeps are disjoint and cover it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from mapgen.grid import Window
from mapgen.patch import Array, Patch
from mapgen.plan import Plan, Span


def crop(patches: Iterable[Patch], plan: Plan) -> Iterator[Patch]:
    """The kept part of each patch alone: every pixel is decided by the window that sees most around it."""
    del plan
    for patch in patches:
        rows, cols = patch.kept
        values = None if patch.values is None else patch.values[..., rows, cols]
        yield Patch(replace(patch.step, read=patch.step.keep), values, patch.valid[rows, cols])


def blend(patches: Iterable[Patch], plan: Plan) -> Iterator[Patch]:
    """Probabilities summed with weights that ramp linearly from 0 to 1 across the overlap of neighbouring windows.

    The ramps of two neighbours sum to one, so the result is an average and no division is needed. A patch is yielded
    as soon as no later window can reach its pixels: it keeps what lies before the next window's read. What later
    windows add to is carried along: the right overlap of one window and the bottom overlaps of one row of windows.
    Memory is therefore bounded by the width of the grid, whatever its height.

    Laws: where all windows agree, the result is theirs; with no overlap it equals `crop`.
    """
    left: Array | None = None
    left_of: tuple[int, int] | None = None
    below: dict[int, Array] = {}
    above: dict[int, Array] = {}
    current = -1
    for patch in patches:
        step = patch.step
        if step.row != current:
            above = below if step.row == current + 1 else {}
            below, current, left = {}, step.row, None
        values = None if patch.values is None else _ramped(patch.values, plan, step.row, step.col)
        own_rows, own_cols = _own(plan.rows, step.row), _own(plan.cols, step.col)
        height, width = own_rows[1] - own_rows[0], own_cols[1] - own_cols[0]
        values = _add(values, left if left_of == (step.row, step.col - 1) else None, patch.valid.shape)
        top = above.pop(step.col, None)
        values = _add(values, top, patch.valid.shape)
        left, left_of = (None if values is None else values[..., :, width:].copy()), (step.row, step.col)
        if values is not None and values.shape[-2] > height:
            below[step.col] = values[..., height:, :width].copy()
        keep = Window(own_rows[0], own_cols[0], height, width)
        yield Patch(
            replace(step, read=keep, keep=keep),
            None if values is None else values[..., :height, :width],
            patch.valid[:height, :width],
        )


STITCH: dict[str, Callable[[Iterable[Patch], Plan], Iterator[Patch]]] = {"crop": crop, "blend": blend}


def _own(spans: tuple[Span, ...], at: int) -> tuple[int, int]:
    """The pixels that are final once the window at `at` was added: up to the next window's first pixel."""
    return spans[at].start, spans[at + 1].start if at + 1 < len(spans) else spans[at].last


def _add(values: Array | None, carried: Array | None, shape: tuple[int, ...]) -> Array | None:
    """`values` plus what earlier windows left for its first rows and columns; `None` counts as zero."""
    if carried is None:
        return values
    if values is None:
        values = np.zeros((*carried.shape[:-2], *shape), np.float32)
    values[..., : carried.shape[-2], : carried.shape[-1]] += carried
    return values


def _ramped(values: Array, plan: Plan, row: int, col: int) -> Array:
    """A float32 copy of `values` (K, H, W) with its overlaps weighted down towards the borders of the window."""
    values = values.astype(np.float32)  # a copy: the engine may own the original
    for axis, spans, at in ((-2, plan.rows, row), (-1, plan.cols, col)):
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


def strips(patches: Iterable[Patch], height: int, width: int, block: int, fill: int) -> Iterator[tuple[int, Array]]:
    """Full-width strips (row, uint8 (h, width)) of a class map from the kept parts of its patches, top to bottom.

    Every strip starts at a multiple of `block` and, but for the last, is a multiple of `block` high, so that each block
    of the file is written once. Pixels that no patch covers are `fill`. Patches come in reading order and hold class
    ids (H, W) over exactly their keep, in the coordinates of the output.
    """
    buffer = np.full((0, width), fill, np.uint8)
    start = 0
    for patch in patches:
        keep = patch.step.keep & Window(0, 0, height, width)
        if patch.values is None or not keep.area:
            continue
        done = (keep.row - start) // block * block  # windows of this row and later ones lie below
        if done > 0:
            for chunk in _released(buffer, done, block, fill):
                yield start, chunk
                start += len(chunk)
            buffer = buffer[done:]
        missing = keep.bottom - start - len(buffer)
        if missing > 0:
            buffer = np.concatenate([buffer, np.full((missing, width), fill, np.uint8)])
        rows, cols = keep.slices(Window(start, 0, len(buffer), width))
        own_rows, own_cols = keep.slices(patch.step.keep)
        buffer[rows, cols] = patch.values[own_rows, own_cols]
    for chunk in _released(buffer, height - start, block, fill):
        yield start, chunk
        start += len(chunk)


def _released(buffer: Array, rows: int, block: int, fill: int) -> Iterator[Array]:
    """The first `rows` rows of `buffer`, and `fill` where it is shorter, in chunks of at most one block.

    Chunks, since a run of empty windows may release most of a tall scene at once.
    """
    for top in range(0, rows, block):
        bottom = min(top + block, rows)
        chunk = buffer[top:bottom]
        if len(chunk) < bottom - top:
            chunk = np.concatenate([chunk, np.full((bottom - top - len(chunk), buffer.shape[1]), fill, np.uint8)])
        yield chunk
