"""Masks to try a vectorizer on: random ones of every grain, and shapes that break vectorizers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

Array = np.ndarray[Any, np.dtype[Any]]


def checkerboard(height: int, width: int) -> Array:
    rows, cols = np.mgrid[0:height, 0:width]
    return ((rows + cols) % 2).astype(np.uint8)


def spiral(height: int, width: int) -> Array:
    """One arm of 1 that winds to the middle, and the 0 between."""
    mask = np.zeros((height, width), np.uint8)
    top, left, bottom, right = 0, 0, height - 1, width - 1
    row = 0
    while top <= bottom and left <= right:
        mask[top, max(0, left - 2) if row else left : right + 1] = 1
        mask[top : bottom + 1, right] = 1
        mask[bottom, left : right + 1] = 1
        mask[top + 2 : bottom + 1, left] = 1
        top, left, bottom, right, row = top + 2, left + 2, bottom - 2, right - 2, row + 1
    return mask


def islands(height: int, width: int) -> Array:
    """Frames within frames, of three classes in turn."""
    rows, cols = np.mgrid[0:height, 0:width]
    depth = np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(cols, width - 1 - cols))
    return (depth % 3).astype(np.uint8)


def corners(height: int, width: int) -> Array:
    """Diagonal chains of pixels that touch at corners only, inside and around a hole."""
    rows, cols = np.mgrid[0:height, 0:width]
    return ((rows - cols) % 5 == 0).astype(np.uint8) + 2 * ((rows + cols) % 7 == 0).astype(np.uint8)


def comb(height: int, width: int) -> Array:
    """Teeth of one pixel."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, ::2] = 1
    mask[-1] = 1
    return mask


def dots(height: int, width: int) -> Array:
    """Single pixels in a plain."""
    mask = np.zeros((height, width), np.uint8)
    mask[1::3, 1::3] = 1
    return mask


def single(height: int, width: int) -> Array:
    return np.full((height, width), 7, np.uint8)


PATTERNS: dict[str, Callable[[int, int], Array]] = {
    f.__name__: f for f in (checkerboard, spiral, islands, corners, comb, dots, single)
}


def smooth_noise(rng: np.random.Generator, height: int, width: int, classes: int, grain: int) -> Array:
    """Which of some noise fields is the highest, each averaged over squares of `grain` pixels a few times."""
    fields = rng.standard_normal((classes, height + 2 * grain, width + 2 * grain))
    for axis in (1, 2, 1, 2):
        sums = np.cumsum(fields, axis=axis)
        fields = np.take(sums, range(grain, sums.shape[axis]), axis) - np.take(
            sums, range(sums.shape[axis] - grain), axis
        )
    return fields.argmax(axis=0).astype(np.uint8)


@st.composite
def masks(draw: DrawFn, side: int = 40) -> Array:
    """Masks from 1 × 1 up: a pattern, white noise, or blobs."""
    height, width = draw(st.integers(1, side)), draw(st.integers(1, side))
    kind = draw(st.sampled_from([*PATTERNS, "noise", "noise", "blobs", "blobs", "blobs"]))
    if kind in PATTERNS:
        return PATTERNS[kind](height, width)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes = draw(st.integers(1, 6))
    if kind == "noise":
        return rng.integers(0, classes, (height, width)).astype(np.uint8)
    mask = smooth_noise(rng, height, width, classes, draw(st.integers(1, 5)))
    return mask[:height, :width]


tolerances: SearchStrategy[float] = st.sampled_from([0.0, 0.5, 1.0, 1.5, 3.0, 10.0, 100.0])


def label(inside: Array, *, corners: bool = False) -> tuple[Array, int]:
    """The connected components of the true pixels, numbered from 1, and how many; 4-connected, or 8- with `corners`."""
    steps = [(0, 1), (1, 0), (0, -1), (-1, 0)] + [(1, 1), (1, -1), (-1, 1), (-1, -1)] * corners
    rest = {(int(r), int(c)) for r, c in zip(*np.nonzero(inside), strict=True)}
    parts, count = np.zeros(inside.shape, int), 0
    while rest:
        count += 1
        stack = [rest.pop()]
        while stack:
            row, col = stack.pop()
            parts[row, col] = count
            found = [(row + r, col + c) for r, c in steps if (row + r, col + c) in rest]
            rest.difference_update(found)
            stack += found
    return parts, count
