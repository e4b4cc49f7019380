"""What a comparison found: a row for each model, as a table, as JSON, and for the picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.accuracy.bootstrap import FEWEST
from mapgen.accuracy.paired import Difference, Rating
from mapgen.arrays import Floats


@dataclass(frozen=True, slots=True)
class Row:
    """One model of a comparison."""

    name: str
    rating: Rating
    parameters: int
    multiplications: float | None
    """For a pixel; None where it is not known."""
    megabytes: float
    """Of its file."""
    seconds: tuple[float, ...] = ()
    """That training took, by run; none of models that were there."""
    rates: Mapping[str, float] = field(default_factory=dict)
    """Megapixels a second by precision."""

    @property
    def fastest(self) -> float | None:
        """The highest of its rates."""
        return max(self.rates.values(), default=None)


@dataclass(frozen=True)
class Compared:
    """A comparison that is done. The first row is what the others are compared with."""

    title: str
    classes: tuple[str, ...]
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    """None of models that were there."""
    ground: str
    machine: str
    files: tuple[Path, ...] = ()

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Each row's to the first."""
        return tuple(row.rating.minus(self.rows[0].rating) for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values; None for what is not known."""
        return {
            "title": self.title, "ground": self.ground, "blocks": self.rows[0].rating.blocks,
            "seeds": list(self.seeds), "machine": self.machine, "classes": list(self.classes),
            "rows": [
                self._row(row, difference) for row, difference in zip(self.rows, self.differences, strict=True)
            ],
            "files": [str(path) for path in self.files], "exit_code": 0,
        }  # fmt: skip

    def _row(self, row: Row, difference: Difference) -> dict[str, Any]:
        found = {
            "name": row.name, "parameters": row.parameters,
            "gmac_per_mpx": None if row.multiplications is None else round(row.multiplications / 1e3, 3),
            "megabytes": round(row.megabytes, 3), "train_seconds": [round(s, 1) for s in row.seconds],
            "mpx_per_s": dict(row.rates),
        }  # fmt: skip
        found |= self._figures(row.rating.value, row.rating.intervals())
        if self.seeds:
            found["runs"] = [
                {"seed": seed, "miou": _plain(miou)}
                for seed, miou in zip(self.seeds, row.rating.runs["miou"], strict=True)
            ]
        return found | {
            "difference": self._figures(difference.value, difference.interval), "verdict": difference.verdict,
        }  # fmt: skip

    def _figures(self, value: Mapping[str, Floats], interval: Mapping[str, Floats]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in ("miou", "accuracy"):
            found[name] = _plain(value[name])
            found[f"{name}_95"] = _pair(interval.get(name))
        spread = interval.get("iou", np.full((len(self.classes), 2), np.nan))
        found["classes"] = [
            {"name": one, "iou": _plain(value["iou"][k]), "iou_95": _pair(spread[k])}
            for k, one in enumerate(self.classes)
        ]
        return found


def _plain(value: Any) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def _pair(values: Any) -> list[float] | None:
    return None if values is None or np.isnan(values).any() else [round(float(v), 6) for v in values]


# The table -----------------------------------------------------------------------------------------------------------


def lines(found: Compared) -> Iterator[str]:
    """The comparison as Markdown."""
    yield f"# {found.title}"
    yield ""
    yield f"Judged on {found.ground}, in {found.rows[0].rating.blocks} blocks{_of_seeds(found.seeds)}."
    yield f"Intervals are of 95 %; differences are to {found.rows[0].name}, block by block."
    if found.rows[0].rating.blocks < FEWEST:
        yield f"There are none: that takes {FEWEST} blocks of ground."
    yield ""
    yield from _table(list(_scores(found)))
    yield from ("", "What each costs:", "")
    yield from _table(list(_costs(found)))
    yield from ("", "IoU by class:", "")
    yield from _table(list(_classes(found)))
    yield from ("", f"IoU by class, the difference to {found.rows[0].name}:", "")
    yield from _table(list(_class_differences(found)))
    yield ""
    yield f"Machine: {found.machine}."


def _of_seeds(seeds: Sequence[int]) -> str:
    if not seeds:
        return ""
    if len(seeds) == 1:
        return ", by one run each: the intervals know nothing of luck in training"
    return f", by {len(seeds)} runs each (seeds {', '.join(map(str, seeds))})"


def _scores(found: Compared) -> Iterator[list[str]]:
    yield ["model", "mIoU", "95 %", "difference", "95 %", "verdict", "accuracy", "its difference", "95 %"]
    for row, other in zip(found.rows, found.differences, strict=True):
        own, gap = row.rating.intervals(), other.interval
        first = other.verdict == "first"
        rest = ["", "", "first"] if first else [_signed(other.value["miou"]), _span(gap["miou"], True), other.verdict]
        more = ["", ""] if first else [_signed(other.value["accuracy"]), _span(gap["accuracy"], True)]
        value = row.rating.value
        yield [row.name, _number(value["miou"]), _span(own.get("miou")), *rest, _number(value["accuracy"]), *more]


def _costs(found: Compared) -> Iterator[list[str]]:
    labels = list(dict.fromkeys(label for row in found.rows for label in row.rates))
    trained = any(row.seconds for row in found.rows)
    minutes = ["minutes to train"] if trained else []
    yield ["model", "M parameters", "GMAC/Mpx", "MB", *minutes, *(f"{label} Mpx/s" for label in labels)]
    for row in found.rows:
        macs = "–" if row.multiplications is None else f"{row.multiplications / 1e3:.1f}"
        taken = [f"{sum(row.seconds) / len(row.seconds) / 60:.1f}" if row.seconds else "–"] if trained else []
        speeds = [f"{row.rates[label]:.2f}" if label in row.rates else "–" for label in labels]
        yield [row.name, f"{row.parameters / 1e6:.2f}", macs, f"{row.megabytes:.1f}", *taken, *speeds]


def _classes(found: Compared) -> Iterator[list[str]]:
    yield ["model", *found.classes]
    for row in found.rows:
        spread = row.rating.intervals().get("iou")
        yield [row.name, *_cells(row.rating.value["iou"], spread, False)]


def _class_differences(found: Compared) -> Iterator[list[str]]:
    yield ["model", *found.classes]
    for row, other in zip(found.rows[1:], found.differences[1:], strict=True):
        yield [row.name, *_cells(other.value["iou"], other.interval["iou"], True)]


def _cells(values: Floats, spread: Floats | None, signed: bool) -> Iterator[str]:
    for k, value in enumerate(values):
        text = _signed(value) if signed else _number(value)
        span = "" if spread is None else _span(spread[k], signed)
        yield f"{text} ({span})" if span else text


def _table(rows: list[list[str]]) -> Iterator[str]:
    """Rows as a table of Markdown, its columns as wide as their widest cell so that it reads as text too."""
    cells = [[cell.replace("|", "\\|") or " " for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    for number, row in enumerate(cells):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        if not number:
            yield "|" + "|".join("-" * (width + 2) for width in widths) + "|"


def _number(value: Any) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _signed(value: Any) -> str:
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def _span(values: Any, signed: bool = False) -> str:
    if values is None or np.isnan(values).any():
        return ""
    low, high = ((_signed if signed else _number)(v) for v in values)
    return f"{low} … {high}" if signed else f"{low}–{high}"
