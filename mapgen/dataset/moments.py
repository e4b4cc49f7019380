"""Moments: how many pixels of each class there are, and mean, deviation and range of their values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.dataset.dataset import IGNORE


class Moments:
    """Labelled pixels: how many of each class, and mean, deviation and range of their values by band.

    Integers are counted by value, which is exact and takes no copy in floats.
    """

    def __init__(self, classes: int) -> None:
        self.classes = np.zeros(classes, np.int64)
        self._sums: list[NDArray[np.float64]] = []
        self._values: NDArray[np.int64] | None = None

    @property
    def count(self) -> int:
        """All labelled pixels."""
        return int(self.classes.sum())

    def add(self, pixels: NDArray[Any], labels: NDArray[np.uint8]) -> None:
        """Take in pixels (C, H, W) with their labels (H, W)."""
        drawn = labels != IGNORE
        self.classes += np.bincount(labels[drawn], minlength=len(self.classes))
        values = pixels[:, drawn]
        if not values.size:
            return
        if values.dtype.kind == "u":
            top = int(np.iinfo(values.dtype).max) + 1
            found = np.stack([np.bincount(band, minlength=top) for band in values])
            self._values = found if self._values is None else self._values + found
        else:
            v = values.astype(np.float64)
            self._sums.append(np.stack((v.sum(1), (v**2).sum(1), v.min(1), v.max(1))))

    def to_json(self) -> dict[str, Any]:
        """Counts by class, and mean, deviation, least and highest value of each band."""
        if not self.count:
            return {"classes": self.classes.tolist()}
        if self._values is not None:
            grades = np.arange(self._values.shape[1])
            total, square = (self._values @ grades.astype(np.float64) ** n for n in (1, 2))
            low = (self._values > 0).argmax(1)
            high = len(grades) - 1 - (self._values[:, ::-1] > 0).argmax(1)
        else:
            table = np.stack(self._sums)
            total, square = table[:, 0].sum(0), table[:, 1].sum(0)
            low, high = table[:, 2].min(0), table[:, 3].max(0)
        mean = total / self.count
        std = np.sqrt(np.maximum(square / self.count - mean**2, 1e-6))
        lists = {"mean": mean, "std": std, "low": low, "high": high}
        return {"classes": self.classes.tolist()} | {k: [float(x) for x in v] for k, v in lists.items()}
