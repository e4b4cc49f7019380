"""Blocks of GeoTIFFs: which of them a file does not store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mapgen.grid import Window


def absent(dataset: Any, window: Window, bands: Iterable[int]) -> bool:
    """Whether a GeoTIFF stores none of the blocks of these bands that a window meets; nothing is read for it."""
    if dataset.driver != "GTiff":
        return False
    for band in bands:
        height, width = dataset.block_shapes[band - 1]
        for row in range(window.row // height, -(-window.bottom // height)):
            for col in range(window.col // width, -(-window.right // width)):
                if dataset.get_tag_item(f"BLOCK_OFFSET_{col}_{row}", "TIFF", bidx=band) is not None:
                    return False
    return True
