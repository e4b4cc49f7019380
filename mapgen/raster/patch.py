"""Patches, the one currency between the raster stages, and what is summed up of them, for all who pass them on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from mapgen.arrays import Array
from mapgen.plan import Step


class Accumulator(Protocol):
    """Sums up a raster that passes by in parts: class areas, moments, confusion, matches, ids of regions, previews.

    Contract, held by one test for all: `add` takes the next part, strips from the top in any height (or patches in any
    order, where it says so), and keeps no view of it; `finish` takes in what is still open, after the last part, and
    gives what was found. Law: that does not depend on how the raster was cut.
    """

    @property
    def add(self) -> Callable[..., None]:
        """Take in the next part; what it consists of is said there."""
        ...

    def finish(self) -> Any:
        """What all parts came to."""
        ...


@dataclass(frozen=True, slots=True)
class Patch:
    """What a stage knows about one step of the plan.

    `values` covers `step.read`: pixels (C, H, W) after reading, probabilities (K, H, W) after inference, class ids
    (H, W) after deciding. `valid` (H, W) is True where the scene has data. A patch without a valid pixel carries
    `values=None`: the network does not run for it, and nothing but nodata will be written.
    """

    step: Step
    values: Array | None
    valid: Array

    @property
    def kept(self) -> tuple[slice, slice]:
        """Slices of the kept part within `values` and `valid`."""
        return self.step.keep.slices(self.step.read)


def filled(pixels: Array, valid: Array) -> Array:
    """`pixels` (C, H, W) with those that are not `valid` (H, W) replaced by a mirror image of the valid ones.

    A constant there would be a border that the scene does not have: the network sees it and maps a collar of some class
    along it. Each row is mirrored at its nearest valid pixel, rows without one repeat their nearest row by mirroring.
    Every value comes from a valid pixel; valid pixels stay as they are. At least one pixel must be valid.
    """
    height, width = valid.shape
    nearest = _nearest(valid)
    mirrored = np.clip(2 * nearest - np.arange(width), 0, width - 1)
    source = np.where(np.take_along_axis(valid, mirrored, axis=1), mirrored, nearest)
    result = np.take_along_axis(pixels, source[None], axis=2)
    known = np.asarray(valid.any(axis=1))
    row = _nearest(known[None])[0]
    above = np.clip(2 * row - np.arange(height), 0, height - 1)
    return result[:, np.where(known[above], above, row)]


def _nearest(valid: Array) -> Array:
    """For each pixel (H, W) the column of the nearest valid one in its row; any column where there is none."""
    width = valid.shape[1]
    cols = np.arange(width)
    left = np.maximum.accumulate(np.where(valid, cols, -width), axis=1)
    right = np.minimum.accumulate(np.where(valid, cols, 2 * width)[:, ::-1], axis=1)[:, ::-1]
    return np.clip(np.where(cols - left <= right - cols, left, right), 0, width - 1)


def padded(pixels: Array, stride: int | tuple[int, ...]) -> Array:
    """`pixels` (C, H, W) extended below and to the right by reflection to the next multiples of `stride`, or of the
    two of height and width.

    Reflection repeats (a scene of one pixel becomes constant), so any size can be padded.
    """
    strides = (stride, stride) if isinstance(stride, int) else stride
    rows, cols = (_reflected(size, -(-size // n) * n) for size, n in zip(pixels.shape[1:], strides, strict=True))
    if rows is None and cols is None:
        return pixels
    if rows is not None:
        pixels = pixels[:, rows, :]
    if cols is not None:
        pixels = pixels[:, :, cols]
    return np.ascontiguousarray(pixels)


def _reflected(size: int, wanted: int) -> Array | None:
    """Indices 0…size-1, then back without repeating the edge, up to `wanted` of them; None if none is added."""
    if wanted <= size:
        return None
    period = max(1, 2 * (size - 1))
    index = np.arange(wanted) % period
    return np.minimum(index, period - index) if size > 1 else np.zeros(wanted, int)
