"""Codebooks: small numbers for whatever class values are met, so that counting needs no table of the world."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.errors import InputError

NONE = -1
"""The code of pixels that have no class."""

LIMIT = 255
"""How many classes may be met: a raster with more holds something else, such as a number for each object."""

CodeArray = NDArray[np.int16]

_TABLE = 1 << 20


@dataclass(slots=True)
class Codebook:
    """The classes met so far; the code of a class is its place in the order in which they were met.

    A class is an integer value of a raster, or a name that has none (from the attribute of a vector file).
    """

    keys: list[int | str] = field(default_factory=list)
    _known: dict[int | str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.keys)

    def code(self, key: int | str, source: str = "") -> int:
        """The code of a class value or name, a new one if it was not met. Raises `InputError` beyond the LIMIT."""
        if key not in self._known:
            if len(self.keys) == LIMIT:
                problem = f"holds more than {LIMIT} classes"
                raise InputError(source, problem, "is it a class raster? give each class one number")
            self._known[key] = len(self.keys)
            self.keys.append(key)
        return self._known[key]

    def encode(self, values: NDArray[Any], valid: NDArray[np.bool_], source: str = "") -> CodeArray:
        """The codes of an integer array of any shape, NONE where it is not valid."""
        if not valid.any():
            return np.full(values.shape, NONE, np.int16)
        low, high = int(values.min()), int(values.max())
        if high - low >= _TABLE:
            return self._encode_wide(values, valid, source)
        index = (values if low == 0 else values.astype(np.int64) - low).astype(np.intp, copy=False)
        present = np.zeros(high - low + 1, bool)
        present[index[valid]] = True
        table = np.full(high - low + 1, NONE, np.int16)
        for offset in np.flatnonzero(present).tolist():
            table[offset] = self.code(low + offset, source)
        return np.where(valid, table[index], np.int16(NONE))

    def _encode_wide(self, values: NDArray[Any], valid: NDArray[np.bool_], source: str) -> CodeArray:
        out = np.full(values.shape, NONE, np.int16)
        found, inverse = np.unique(values[valid], return_inverse=True)
        if len(found) > LIMIT:
            self.code(int(found[0]), source)
            found = found[: LIMIT + 1]  # enough to be refused
        codes = np.array([self.code(int(v), source) for v in found], np.int16)
        out[valid] = codes[inverse]
        return out
