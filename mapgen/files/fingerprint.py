"""What tells the content of an input from any other without reading all of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from mapgen.files.kind import SHAPEFILE_PARTS

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


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content_mark(path: Path) -> str:
    """A hash of all bytes of an output: of a file and its parts, or of all files in a folder with their names."""
    if path.is_dir():
        files = sorted(one for one in path.rglob("*") if one.is_file())
    else:
        beside = SHAPEFILE_PARTS if path.suffix.lower() == ".shp" else ()
        files = [one for one in _parts(path, beside) if one.is_file()]
    mark = hashlib.sha256()
    for file in files:
        mark.update(f"{file.relative_to(path.parent).as_posix()}\0{file.stat().st_size}\0".encode())
        with open(file, "rb") as stream:
            while data := stream.read(1 << 20):
                mark.update(data)
    return mark.hexdigest()


def parts_of(path: Path) -> list[Path]:
    """An input and what lies beside it and says more of it: names and colours of classes, a mask, its place."""
    beside = (".qml", ".tfw", ".wld", ".prj", *(SHAPEFILE_PARTS if path.suffix.lower() == ".shp" else ()))
    more = [path.with_name(path.name + end) for end in (".aux.xml", ".msk")]
    return [one for one in (*_parts(path, beside), *more) if one.is_file()]


def _parts(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    return list(dict.fromkeys([path, *(path.with_suffix(suffix) for suffix in suffixes)]))
