"""Blocks of GeoTIFFs: which of them a file does not store."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.files.tiff import stored_blocks
from mapgen.grid import Window


def absent(dataset: Any, window: Window, bands: Iterable[int]) -> bool:
    """Whether a GeoTIFF stores none of the blocks of these bands that a window meets; nothing is read for it."""
    if dataset.driver != "GTiff":
        return False
    for band in bands:
        rows, cols = _meeting(dataset, window, band)
        if any(_stored(dataset, row, col, band) for row in rows for col in cols):
            return False
    return True


def lacks_blocks(dataset: Any) -> bool:
    """Whether a GeoTIFF stores not all of its blocks; its first band is asked."""
    if dataset.driver != "GTiff":
        return False
    height, width = dataset.block_shapes[0]
    rows, cols = ceil(dataset.height / height), ceil(dataset.width / width)
    stored = stored_blocks(Path(dataset.name))  # what comes over the network has no such path
    if stored is not None and len(stored) >= rows * cols:
        return not stored[: rows * cols].all()
    return not all(_stored(dataset, row, col, 1) for row in range(rows) for col in range(cols))


def stored_pixels(dataset: Any, window: Window) -> Array | None:
    """Which pixels (H, W) of a window lie in a block that a GeoTIFF stores, by its first band; None where all do."""
    height, width = dataset.block_shapes[0]
    rows, cols = _meeting(dataset, window, 1)
    there = np.array([[_stored(dataset, row, col, 1) for col in cols] for row in rows])
    if there.all():
        return None
    top, left = window.row - rows.start * height, window.col - cols.start * width
    pixels = there.repeat(height, axis=0)[top : top + window.height].repeat(width, axis=1)
    return pixels[:, left : left + window.width]


def _meeting(dataset: Any, window: Window, band: int) -> tuple[range, range]:
    """The rows and columns of blocks that a window meets."""
    height, width = dataset.block_shapes[band - 1]
    rows = range(window.row // height, -(-window.bottom // height))
    return rows, range(window.col // width, -(-window.right // width))


def _stored(dataset: Any, row: int, col: int, band: int) -> bool:
    return dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band) is not None
