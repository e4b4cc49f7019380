"""Pieces: labelled ground as arrays, what training and validation are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.legend import NODATA, Legend

IGNORE = NODATA
"""The label of pixels that count in nothing: not drawn, without data, or of the other side of the split."""


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
    """Ground to train and to validate on, all of one kind. No pixel of validation ground is in a training piece."""

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
