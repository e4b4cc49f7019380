"""What was found when a map was judged: figures by class and overall, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mapgen.accuracy.confusion import Matches, Tally, mean
from mapgen.arrays import Floats
from mapgen.arrays import Longs as Counts

OVERALL = ("miou", "accuracy", "kappa", "boundary")
"""Figures of the whole map that a report has, by name."""

PER_CLASS = ("iou", "f1", "precision", "recall", "boundary", "objects")
"""Figures of one class that a report has, by name; `boundary` and `objects` are their F1."""


@dataclass(frozen=True, slots=True)
class Rated:
    """One class of a report: what it is called (`id` is None for a name without a number) and whether the map knows it.

    `known` is False for classes of the truth that the map has neither in its legend nor anywhere on it.
    """

    id: int | None
    name: str
    color: str
    known: bool = True


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the map that was judged: its window (row, col, height, width), pixels that count, and those wrong."""

    row: int
    col: int
    height: int
    width: int
    pixels: int
    wrong: int


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found. `counts` (K, K) is by truth (row) and map (column), in the order of `classes`."""

    classes: tuple[Rated, ...]
    counts: Counts
    intervals: Mapping[str, Any] = field(default_factory=dict)
    """95 % intervals, (low, high): `miou` and `accuracy`, and for `iou` one for each class."""
    blocks: int = 0
    boundary: Matches | None = None
    objects: Matches | None = None
    object_classes: tuple[int, ...] = ()
    """Codes of the classes whose objects were compared."""
    worst: tuple[Block, ...] = ()
    resampled: Floats | None = None
    """Hit, truth and mapped of each resample of the bootstrap (D, 3, K), in the order of `classes`."""

    @property
    def tally(self) -> Tally:
        """The sums of the confusion matrix."""
        return Tally.of(self.counts)

    @property
    def pixels(self) -> int:
        """How many pixels count."""
        return int(self.counts.sum())

    def figure(self, name: str, code: int | None = None) -> float:
        """The figure of OVERALL, or with a class that of PER_CLASS; NaN where there is nothing to measure."""
        if code is None:
            if name == "boundary":
                return float("nan") if self.boundary is None else float(mean(self.boundary.f1))
            return float(getattr(self.tally, name))
        if name in ("boundary", "objects"):
            matches = self.boundary if name == "boundary" else self.objects
            return float("nan") if matches is None else float(matches.f1[code])
        return float(getattr(self.tally, name)[code])

    def to_json(self) -> dict[str, Any]:
        """Plain values, None for NaN; `confusion` in pixels, its rows and columns in the order of `classes`."""
        record: dict[str, Any] = {name: _plain(self.figure(name)) for name in ("miou", "accuracy", "kappa")}
        if self.boundary is not None:
            record["boundary"] = _plain(self.figure("boundary"))
        for name in ("miou", "accuracy"):
            if name in self.intervals:
                record[f"{name}_95"] = _plain(self.intervals[name])
        return record | {
            "pixels": self.pixels,
            "blocks": self.blocks,
            "classes": list(self._rows()),
            "confusion": self.counts.tolist(),
            "worst": [_block_json(b) for b in self.worst],
        }

    def _rows(self) -> Iterator[dict[str, Any]]:
        tally = self.tally
        for code, one in enumerate(self.classes):
            row: dict[str, Any] = {"id": one.id, "name": one.name}
            row |= {name: _plain(self.figure(name, code)) for name in ("iou", "f1", "precision", "recall")}
            row["support"] = int(tally.truth[code])
            if "iou" in self.intervals:
                row["iou_95"] = _plain(self.intervals["iou"][code])
            if self.boundary is not None:
                row["boundary"] = _matches_json(self.boundary, code)
            if self.objects is not None and code in self.object_classes:
                row["objects"] = _matches_json(self.objects, code)
            yield row if one.known else row | {"known": False}


def _block_json(block: Block) -> dict[str, Any]:
    place = {"row": block.row, "col": block.col, "height": block.height, "width": block.width}
    return place | {"pixels": block.pixels, "wrong": block.wrong}


def _matches_json(matches: Matches, code: int) -> dict[str, Any]:
    figures = {name: _plain(float(getattr(matches, name)[code])) for name in ("f1", "precision", "recall")}
    counted = ("mapped", "mapped_matched", "truth", "truth_matched")
    return figures | {name: int(getattr(matches, name)[code]) for name in counted}


def _plain(value: float | Sequence[float]) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 6)
    return None if any(math.isnan(v) for v in value) else [round(float(v), 6) for v in value]
