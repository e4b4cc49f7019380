"""Ground files: which labelled ground trains a model, which judges it, and proof that the two share none.

The file is JSON: `training` (name → weight) and `validation` (names) list pieces; `size` gives their (rows, columns);
`same_ground` lists pairs of pieces that picture the same ground, with the window [row, column, height, width] of each
in its own pixels.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mapgen.errors import InputError

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two pieces that picture the same ground: names and windows (row, col, height, width) in pixels of each."""

    a: str
    a_window: Box
    b: str
    b_window: Box


@dataclass(frozen=True, slots=True)
class Ground:
    """A split of labelled pieces; `training` holds the weight of each piece in sampling."""

    training: Mapping[str, float]
    validation: tuple[str, ...]
    size: Mapping[str, tuple[int, int]]
    overlaps: tuple[Overlap, ...]

    def shared(self) -> list[Overlap]:
        """The overlaps between training and validation: empty for an honest split."""
        train, judge = set(self.training), set(self.validation)
        return [o for o in self.overlaps if (o.a in train and o.b in judge) or (o.b in train and o.a in judge)]


def read_ground(path: Path) -> Ground:
    """The split in the JSON file at `path`. Raises `InputError` where it is malformed or the two share ground."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        ground = Ground(
            {str(name): float(weight) for name, weight in entries["training"].items()},
            tuple(str(name) for name in entries["validation"]),
            {str(name): (int(rows), int(cols)) for name, (rows, cols) in entries["size"].items()},
            tuple(Overlap(o["a"], tuple(o["a_window"]), o["b"], tuple(o["b_window"])) for o in entries["same_ground"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InputError(path, f"is not a ground file ({exc!r})", "see ground.py for its form") from exc
    check(ground, path)
    return ground


def check(ground: Ground, source: object) -> None:
    """Raise `InputError` unless names are known, weights not negative, windows inside their pieces, and no ground is in
    both training and validation."""
    problem = next(_problems(ground), None)
    if problem:
        raise InputError(source, problem, "correct the split")


def _problems(ground: Ground) -> Iterator[str]:
    named = [*ground.training, *ground.validation, *(n for o in ground.overlaps for n in (o.a, o.b))]
    yield from (f"{name} has no size" for name in named if name not in ground.size)
    for name, weight in ground.training.items():
        if weight < 0:
            yield f"{name} has the weight {weight}"
    for name in set(ground.training) & set(ground.validation):
        yield f"{name} is in training and validation"
    for name, window in [(o.a, o.a_window) for o in ground.overlaps] + [(o.b, o.b_window) for o in ground.overlaps]:
        row, col, height, width = window
        rows, cols = ground.size[name]
        if min(row, col) < 0 or min(height, width) < 1 or row + height > rows or col + width > cols:
            yield f"{name} has no window {window}"
    for o in ground.shared():
        yield f"{o.a} and {o.b} picture the same ground, one in training, the other in validation"
