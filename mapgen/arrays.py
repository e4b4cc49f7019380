"""Names for arrays, by what their elements are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Geometries = NDArray[np.object_]


def uniform(value: int, shape: tuple[int, ...]) -> Bytes:
    """An array uint8 of one value that takes one byte, whatever its shape; it cannot be written to."""
    return np.broadcast_to(np.uint8(value), shape)


def is_uniform(array: Array) -> bool:
    """Whether an array is one element seen as many: `uniform`, or a part of it."""
    return array.size > 0 and not any(array.strides)
