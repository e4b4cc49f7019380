"""Cuts: the pieces that images are laid down in, and the strips that they are read in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.dataset.dataset import IGNORE
from mapgen.dataset.targets import Target
from mapgen.files.gdal import MEBIBYTE
from mapgen.grid import Grid, Window

_STRIP = MEBIBYTE  # pixels


SHOWN = 20  # files or values that a message names


def unlisted_problem(found: dict[str, dict[str, int]]) -> tuple[str, str, str] | None:
    """What is wrong where files hold values that no class lists."""
    if not found:
        return None
    name, counts = next(iter(found.items()))
    values = ", ".join(f"{v} ({n})" for v, n in list(counts.items())[:SHOWN])
    more = f"; so do {len(found) - 1} more files" if len(found) > 1 else ""
    remedy = 'list them as values of a class or in data.ignore, or set data.unlisted = "ignore"'
    return name, f"holds labels that no class lists: {values}{more}", remedy


@dataclass(frozen=True, slots=True)
class Cut:
    """A validation block in an image: its code, and the window to be cut out."""

    image: int
    code: int
    window: Window


@dataclass(slots=True)
class Extent:
    """The first and last + 1 of the lines that count."""

    first: int = 1 << 62
    last: int = 0

    def add(self, lines: NDArray[np.bool_], start: int) -> None:
        found = np.flatnonzero(lines)
        self.first, self.last = min(self.first, start + int(found[0])), max(self.last, start + int(found[-1]) + 1)


def piece_record(name: str, file: str, first: int, whole: Window, window: Window) -> dict[str, Any]:
    """Where a piece lies: the window of an array of `shape` that begins at the pixel `first` of a file."""
    place = [window.row, window.col]
    return {
        "name": name, "file": file, "first": first, "shape": [whole.height, whole.width],
        "window": [window.row, window.col, window.height, window.width], "place": place, "weight": 1.0,
    }  # fmt: skip


def labelled(targets: list[Target], window: Window) -> NDArray[np.uint8]:
    """The labels of all targets, later ones over earlier ones; without any, nothing is labelled."""
    result = np.full((window.height, window.width), IGNORE, np.uint8)
    for target in targets:
        over = target.read(window)
        result = np.where(over != IGNORE, over, result)
    return result


def rows_of(grid: Grid, block: int = 1) -> int:
    rows = max(1, min(1024, _STRIP // max(1, grid.width)))
    return max(block, rows // block * block) if block * grid.width <= _STRIP else rows


def strips_of(window: Window, rows: int) -> Iterator[Window]:
    for row in range(window.row, window.bottom, rows):
        yield Window(row, window.col, min(rows, window.bottom - row), window.width)


def joined(texts: list[str]) -> list[str]:
    """Texts of the form `file: what`, those of several files as one."""
    whats: dict[str, list[str]] = {}
    for text in texts:
        name, _, what = text.partition(": ")
        whats.setdefault(what, []).append(name)
    return [
        f"{names[0]}: {what}" if len(names) == 1 else f"{len(names)} images ({names[0]} …): {what}"
        for what, names in whats.items()
    ]
