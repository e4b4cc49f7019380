"""Class ids to make tiles of."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

Array = np.ndarray[Any, np.dtype[Any]]
NODATA = 255


def blobs(rng: np.random.Generator, height: int, width: int, classes: int, grain: int) -> Array:
    """Which of some noise fields is the highest, each averaged over squares of `grain` pixels twice."""
    fields = rng.standard_normal((classes, height + 2 * grain, width + 2 * grain))
    for axis in (1, 2, 1, 2):
        sums = np.cumsum(fields, axis=axis)
        fields = np.take(sums, range(grain, sums.shape[axis]), axis) - np.take(
            sums, range(sums.shape[axis] - grain), axis
        )
    return fields.argmax(axis=0).astype(np.uint8)[:height, :width]


@st.composite
def grounds(draw: DrawFn, height: int, width: int, *, empty: bool = True) -> Array:
    """Blobs, noise, a checkerboard, stripes or one class, with holes of nodata where `empty`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    classes = draw(st.integers(1, 5))
    kind = draw(st.sampled_from(["blobs", "blobs", "blobs", "noise", "checks", "stripes", "one"]))
    rows, cols = np.mgrid[0:height, 0:width]
    if kind == "blobs":
        ids = blobs(rng, height, width, classes, draw(st.integers(1, 9)))
    elif kind == "noise":
        ids = rng.integers(0, classes, (height, width)).astype(np.uint8)
    elif kind == "checks":
        ids = ((rows + cols) % 2).astype(np.uint8)
    elif kind == "stripes":
        ids = ((rows * draw(st.integers(-3, 3)) + cols) // draw(st.integers(1, 7)) % 3).astype(np.uint8)
    else:
        ids = np.zeros((height, width), np.uint8)
    if empty and draw(st.booleans()):
        ids[blobs(rng, height, width, 3, draw(st.integers(2, 20))) == 0] = NODATA
    return ids
