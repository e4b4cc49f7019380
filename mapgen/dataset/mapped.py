"""Arrays that lie in files, mapped into memory, and how another process finds them there instead of being sent them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.dataset.dataset import Piece


def mapped(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """All of a file as an array that cannot be written to."""
    return np.memmap(path, dtype, "r")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the elements of an array lie in a file."""

    path: str
    dtype: str
    offset: int
    """Of its first element, in bytes."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def sent(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """The pieces as they are sent to another process: places instead of arrays where these are mapped."""
    return tuple(replace(p, image=_place(p.image), label=_place(p.label)) for p in pieces)


def received(pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
    """The pieces that were sent, with their arrays: each file is mapped once."""
    files = cache(lambda path: np.memmap(path, np.uint8, "r"))
    return tuple(replace(p, image=_array(p.image, files), label=_array(p.label, files)) for p in pieces)


def _place(array: NDArray[Any]) -> Any:
    whole: Any = array
    while isinstance(whole.base, np.memmap):
        whole = whole.base
    if not isinstance(whole, np.memmap) or whole.filename is None:
        return array
    offset = array.ctypes.data - whole.ctypes.data + whole.offset
    return Place(str(whole.filename), array.dtype.str, offset, array.shape, array.strides)


def _array(place: Any, files: Any) -> NDArray[Any]:
    if not isinstance(place, Place):
        return place
    return np.ndarray(place.shape, place.dtype, files(place.path), place.offset, place.strides)
