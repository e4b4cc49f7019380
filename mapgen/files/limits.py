"""What an input may claim before anything is allocated for it: bounds that a user may move."""

from __future__ import annotations

from contextvars import ContextVar, copy_context

MOST_PIXELS, MOST_BLOCK_BYTES = 10**12, 512 << 20

PIXELS: ContextVar[int] = ContextVar("max_pixels", default=MOST_PIXELS)
"""Pixels of a scene, a million each way: the windows of more would not fit into memory."""

BLOCK_BYTES: ContextVar[int] = ContextVar("max_block_memory", default=MOST_BLOCK_BYTES)
"""Bytes of one block of a raster; GDAL can only read a block whole."""


def may_be_moved(limit: ContextVar[int]) -> bool:
    """Whether what runs here has an option for a bound: then it was set, be it to its default."""
    return limit in copy_context()
