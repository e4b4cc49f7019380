"""Whether a raster is as it was written: by a hash of its own bytes that it carries, or by unpacking its tiles."""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mapgen.files.untrusted import unpacked

TAG = "MAPGEN_SHA256"
"""The tag of a raster that holds the hash of the file, taken with `BLANK` in place of itself."""

BLANK = "0" * 64

NONE = "none"
"""In place of a hash where the file was not written by mapgen itself, which could not put it in."""

_LEAD = f'{TAG}">'.encode()
"""What stands before the hash in the file: GDAL keeps tags as XML."""

_NAME = b'name="MAPGEN_VERSION"'
_TAGS = 1 << 20


def seal(file: BinaryIO, head: bytes, digest: str) -> None:
    """Put the hash of an open file into its place, if its first bytes `head` have one."""
    place = head.find(_LEAD + BLANK.encode())
    if place >= 0:
        file.seek(place + len(_LEAD))
        file.write(digest.encode())


def is_sealed(path: Path, stated: str) -> bool:
    """Whether the bytes of a file are those that the hash in it was taken of. All of it is read."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place = content.find(_LEAD + stated.encode())
        if place < 0:
            return False
        place += len(_LEAD)
        mark = hashlib.sha256(content[:place])
        mark.update(BLANK.encode())
        for start in range(place + len(BLANK), len(content), 1 << 22):
            mark.update(content[start : start + (1 << 22)])
    return mark.hexdigest() == stated


def is_marked(path: Path) -> bool:
    """Whether a file says that mapgen wrote it, even if its tags cannot be read any more."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(_NAME) >= 0


def begins_as_ours(path: Path) -> bool:
    """Whether the first bytes of a file, where a COG has its tags, say that mapgen wrote it; False if it is none."""
    try:
        with open(path, "rb") as file:
            return _NAME in file.read(_TAGS)
    except OSError:
        return False


def unpack(path: Path, dataset: Any) -> None:
    """Unpack all tiles of an open raster. Raises what reading raises where one is damaged.

    Deflated tiles carry a checksum, of which GDAL leaves out that of tiles it needs a part of: `ValueError` for these.
    """
    if dataset.compression is None or dataset.compression.name != "deflate":  # by options of GDAL's driver
        for _, window in dataset.block_windows(1):
            dataset.read(window=window)
        return
    height, width = dataset.block_shapes[0]
    most = height * width * sum(np.dtype(kind).itemsize for kind in dataset.dtypes)
    with open(path, "rb") as file:
        length = file.seek(0, 2)
        for (row, col), _ in dataset.block_windows(1):
            start, size = (dataset.get_tag_item(f"BLOCK_{what}_{col}_{row}", "TIFF", bidx=1)
                           for what in ("OFFSET", "SIZE"))  # fmt: skip
            if start is not None:  # tiles without data may be absent
                if int(start) + int(size) > length:
                    raise ValueError("the file is cut off")
                file.seek(int(start))
                unpacked(file.read(int(size)), most)
