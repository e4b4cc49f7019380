"""Resampling along one axis at a time, between two grids over the same ground.

Coarsening averages the pixels under each new one by the share they cover; refining interpolates linearly between pixel
centres. Both are written as taps: for each new pixel the old ones it looks at and their weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Taps:
    """New pixel `i` is the sum over `t` of `weight[i, t] * old[index[i, t]]`; each row of weights sums to 1.

    `index` (n, T) counts from `first`, the first old pixel that any of them needs; `length` old pixels are needed.
    """

    first: int
    length: int
    index: Array
    weight: Array


def taps(start: int, stop: int, old: int, new: int) -> Taps:
    """Taps for the new pixels `start … stop-1` of an axis with `new` pixels from one with `old` pixels."""
    centres = np.arange(start, stop, dtype=np.float64)
    scale = old / new
    if scale > 1:
        lower, upper = centres * scale, (centres + 1) * scale
        index = np.floor(lower).astype(np.int64)[:, None] + np.arange(int(np.ceil(scale)) + 1)
        weight = np.minimum(index + 1, upper[:, None]) - np.maximum(index, lower[:, None])
    else:
        position = (centres + 0.5) * scale - 0.5
        index = np.floor(position).astype(np.int64)[:, None] + np.arange(2)
        weight = 1 - np.abs(position[:, None] - index)
    # Shares of a rounding error's width would pull in pixels that lie outside the scene.
    weight = np.where(weight > 1e-9, weight, 0)
    index = np.clip(index, 0, old - 1)
    weight /= weight.sum(axis=1, keepdims=True)
    used = index[weight > 0]
    first = int(used.min()) if used.size else 0
    length = int(used.max()) - first + 1 if used.size else 0
    index = np.clip(index - first, 0, max(0, length - 1))
    return Taps(first, length, index, weight.astype(np.float32))


def apply_rows(values: Array, taps: Taps, offset: int = 0) -> Array:
    """`values` (…, H, W), whose first row is old pixel `taps.first - offset`, resampled along H; float32."""
    out = np.zeros((*values.shape[:-2], len(taps.index), values.shape[-1]), np.float32)
    for t in range(taps.index.shape[1]):
        out += values[..., taps.index[:, t] + offset, :] * taps.weight[:, t, None]
    return out


def apply_cols(values: Array, taps: Taps, offset: int = 0) -> Array:
    """`values` (…, H, W), whose first column is old pixel `taps.first - offset`, resampled along W; float32."""
    out = np.zeros((*values.shape[:-1], len(taps.index)), np.float32)
    for t in range(taps.index.shape[1]):
        out += values[..., taps.index[:, t] + offset] * taps.weight[:, t]
    return out
