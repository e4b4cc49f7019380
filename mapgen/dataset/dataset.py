"""Labelled ground as arrays, what training and validation are made of, and the moments of its pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.legend import NODATA, Legend

IGNORE = NODATA
"""The label of pixels that count in nothing: not drawn, without data, or of the other side of the split."""

EMPTY = 254
"""In labels on their way, and of unlabelled ground: the image has no data there, or none that may be seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """Labelled ground: image (C, H, W), label (H, W) uint8 of channel indices or `IGNORE`, and its weight in sampling.

    Arrays may be read-only and lie in files (`numpy.memmap`): index them, and do not copy them whole.
    """

    name: str
    image: NDArray[np.generic]
    label: NDArray[np.uint8]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Ground to train and to validate on, all of one kind. No pixel of validation ground is in a training piece, nor in
    an unlabelled one."""

    training: tuple[Piece, ...]
    validation: tuple[Piece, ...]
    """Empty where nothing was to validate."""
    legend: Legend
    bands: tuple[str, ...]
    data_type: str
    """As in a model card."""
    resolution_m: float
    mean: tuple[float, ...]
    """Of each band over the labelled pixels that train."""
    std: tuple[float, ...]
    low: float
    """The least value of any band there."""
    high: float
    """The top of the range that values span: 255 for uint8, else the highest value there."""
    pixels: dict[str, tuple[int, ...]]
    """`training` and `validation`: labelled pixels of each class, in the order of the legend."""
    report: dict[str, Any]
    """What was read, as plain values; see `check_dataset`."""
    warnings: tuple[str, ...]
    unlabelled: tuple[Piece, ...] = ()
    """Ground for teachers alone: its labels are `IGNORE` where there is something to see, `EMPTY` elsewhere."""
    key: str = ""
    """The same for the same configuration of the same files."""


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

    def finish(self) -> dict[str, Any]:
        """Plain values: counts by class, and mean, deviation, least and highest value of each band."""
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
