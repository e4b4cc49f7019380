"""What tells the content of an input from any other without reading all of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

BLOCK = 1 << 16
BLOCKS = 64


def fingerprint(path: Path) -> dict[str, Any]:
    """Size, time of change, and a hash of 64 KiB at each of 64 places of a file, the first and the last included.

    A small file is hashed whole. 4 MiB are read at most, whatever the size.
    """
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        mark = hashlib.sha256()
        last = max(0, status.st_size - BLOCK)
        for start in sorted({last * step // (BLOCKS - 1) for step in range(BLOCKS)}):
            file.seek(start)
            mark.update(file.read(BLOCK))
    return {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "blocks": mark.hexdigest()}
