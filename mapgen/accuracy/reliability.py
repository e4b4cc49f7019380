"""Reliability: whether a map is right as often as its confidence says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Bools, Floats, Longs
from mapgen.errors import InputError
from mapgen.grid import Grid, Window
from mapgen.raster.codebook import CodeArray
from mapgen.raster.masks import read_strips

BINS = 10
"""Steps of confidence, equally wide, from 0 to 1."""

Read = Callable[[Window], tuple[CodeArray, CodeArray]]
"""Codes of a map and of its truth in a window, negative where they do not count."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Pixels that count by step of confidence, (`BINS`,): how many, their mean confidence, and the share that is right;
    NaN where there are none."""

    pixels: Longs
    confidence: Floats
    accuracy: Floats

    @property
    def ece(self) -> float:
        """The expected calibration error: the mean distance of confidence and accuracy (Naeini et al. 2015)."""
        return float(np.nansum(np.abs(self._gap) * self.pixels) / max(1, self.pixels.sum()))

    @property
    def overconfidence(self) -> float:
        """Mean confidence less accuracy: above 0 the map is surer than it may be."""
        return float(np.nansum(self._gap * self.pixels) / max(1, self.pixels.sum()))

    @property
    def _gap(self) -> Floats:
        return self.confidence - self.accuracy

    def to_json(self) -> dict[str, Any]:
        """A dictionary of plain values; the steps that have pixels."""
        steps = [
            {
                "from": round(i / BINS, 3), "to": round((i + 1) / BINS, 3), "pixels": int(self.pixels[i]),
                "confidence": round(float(self.confidence[i]), 6), "accuracy": round(float(self.accuracy[i]), 6),
            }
            for i in range(BINS) if self.pixels[i]
        ]  # fmt: skip
        return {"ece": round(self.ece, 6), "overconfidence": round(self.overconfidence, 6), "steps": steps}


class ReliabilityCounter:
    """Adds up confidences and hits; what it finds does not depend on how the raster was cut."""

    def __init__(self) -> None:
        self._sums = np.zeros((3, BINS))

    def add(self, confidence: Floats, right: Bools, counts: Bools) -> None:
        """Take in pixels: their confidence from 0 to 1, whether they are right, and whether they count."""
        values, hits = confidence[counts], right[counts]
        step = np.minimum((values * BINS + 1e-9).astype(np.int64), BINS - 1)
        for row, weights in zip(self._sums, (None, values, hits), strict=True):
            row += np.bincount(step, weights, BINS)

    def finish(self) -> Reliability:
        """What was found."""
        pixels, confidence, right = self._sums
        with np.errstate(invalid="ignore"):
            return Reliability(pixels.astype(np.int64), confidence / pixels, right / pixels)


def reliability(name: Path, grid: Grid, extent: Window, rows: int, read: Read) -> Reliability:
    """The reliability of the confidence raster `name`, which lies on the grid of the map.

    Raises `InputError` where it does not, or where its values are no shares.
    """
    counter = ReliabilityCounter()
    for row, values, valid in read_strips(name, grid, rows):
        window = Window(row, 0, len(values), grid.width) & extent
        if not window.area:
            continue
        here = window.slices(Window(row, 0, len(values), grid.width))
        mapped, true = read(window)
        counts = valid[here] & (mapped >= 0) & (true >= 0)
        least, most = values[here][counts].min(initial=0), values[here][counts].max(initial=0)
        if least < 0 or most > 1 + 1e-6:
            problem = f"its values reach {least if least < 0 else most:g}, a confidence lies between 0 and 1"
            raise InputError(name.name, problem, "name the confidence raster of mapgen segment --confidence")
        counter.add(values[here], mapped == true, counts)
    found = counter.finish()
    if not found.pixels.any():
        remedy = "name the confidence raster of the same run"
        raise InputError(name.name, "has no data where map and truth have", remedy)
    return found


def rows_of(found: Reliability) -> Iterator[list[str]]:
    """A table of the steps, with its head."""
    yield ["confidence", "pixels", "mean", "right"]
    for i in range(BINS):
        if found.pixels[i]:
            step = f"{i / BINS:.1f}–{(i + 1) / BINS:.1f}"
            yield [step, str(int(found.pixels[i])), f"{found.confidence[i]:.3f}", f"{found.accuracy[i]:.3f}"]
