"""What the roads are read from: probabilities on the grid of the class map, and what lies beside the roads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.errors import InputError, UsageError, option
from mapgen.files.gdal import gdal_errors
from mapgen.grid import Grid, Window
from mapgen.raster.class_raster import read_values
from mapgen.raster.masks import Mask
from mapgen.raster.open import gdal_reason, grid_of, opened_dataset

COSTS = (
    (("road", "street", "highway", "path"), 1.0), (("water", "river", "lake", "sea"), 4.0),
    (("building", "house"), 8.0), (("vegetation", "tree", "forest", "grass", "land", "soil", "field"), 1.5),
)  # fmt: skip
"""What a step over a class costs, by what its name begins with."""

UNKNOWN_COST = 2.0

SURE = 0.15
"""Probability of road from which on, less a little, a step costs no more than on a road: trees hide roads, but where a
model is sure that there is none, there is none."""


class Probabilities:
    """Probabilities of road on the grid of a class map. Several threads may read."""

    def __init__(self, path: Path, grid: Grid, classes: set[str]) -> None:
        with opened_dataset(path) as (subject, dataset):
            self.name, self.dataset, self.lock = subject, dataset, threading.Lock()
            self.band = _band_of(subject, dataset, classes)
            _check_grid(subject, grid_of(dataset, subject), grid)

    def close(self) -> None:
        """Let go of the file."""
        self.dataset.close()

    def read(self, first: int, last: int) -> NDArray[np.float32]:
        """Probabilities (rows, W) of the rows first…last − 1, NaN where there is none."""
        place = ((first, last), (0, self.dataset.width))
        try:
            with self.lock:
                values = self.dataset.read(self.band, window=place)
                valid = self.dataset.read_masks(self.band, window=place) > 0
        except gdal_errors() as exc:
            problem = f"is damaged in the rows {first}…{last - 1} ({gdal_reason(exc)})"
            raise InputError(self.name, problem, "get the file again") from exc
        scale, offset = self.dataset.scales[self.band - 1], self.dataset.offsets[self.band - 1]
        out = values.astype(np.float32) * np.float32(scale or 1) + np.float32(offset)
        if values.dtype == np.uint8 and (scale or 1) == 1:
            out /= 255
        out[~valid] = np.nan
        return np.clip(out, 0, 1)

    def cost(self, first: int, last: int) -> NDArray[np.float32]:
        """What a step on each pixel costs, 1 or more."""
        p = self.read(first, last)
        cost = np.maximum(1, SURE / (p + 0.05))
        return np.where(np.isnan(p), UNKNOWN_COST, cost).astype(np.float32)


def _band_of(subject: str, dataset: Any, classes: set[str]) -> int:
    """The band of road: the only one, or the one that is called so."""
    if dataset.count == 1:
        return 1
    for band, text in enumerate(dataset.descriptions, 1):
        if (text or "").strip().casefold() in classes:
            return band
    named = ", ".join(t or "(unnamed)" for t in dataset.descriptions[:8])
    raise InputError(subject, f"has {dataset.count} bands, none called road: {named}", "give it the road's band alone")


def _check_grid(subject: str, found: Grid, grid: Grid) -> None:
    if (found.height, found.width) != (grid.height, grid.width):
        sizes = f"{found.width} × {found.height} pixels, the class map {grid.width} × {grid.height}"
        raise InputError(subject, f"measures {sizes}", "use the probabilities of the same run")
    if not found.transform.almost_equals(grid.transform, 1e-3 * abs(grid.transform.a + grid.transform.b)):
        raise InputError(subject, "lies elsewhere than the class map", "use the probabilities of the same run")


class ClassCosts:
    """What a step over each class of a map costs."""

    def __init__(self, mask: Mask, roads: set[int]) -> None:
        self.mask, self.lock = mask, threading.Lock()
        self.by_value = {c.id: 1.0 if c.id in roads else _cost_of(c.name) for c in mask.names.classes.values()}
        self.by_value |= dict.fromkeys(roads, 1.0)

    def cost(self, first: int, last: int) -> NDArray[np.float32]:
        """What a step on each pixel of the rows first…last − 1 costs, 1 or more."""
        with self.lock:
            values, valid = read_values(self.mask, Window(first, 0, last - first, self.mask.grid.width))
        out = np.full(values.shape, UNKNOWN_COST, np.float32)
        for value, cost in self.by_value.items():
            out[values == value] = cost
        out[~valid] = UNKNOWN_COST
        return out


def _cost_of(name: str) -> float:
    text = name.strip().casefold()
    return next((cost for words, cost in COSTS if text.startswith(words)), UNKNOWN_COST)


ROAD_NAMES = ("road", "roads", "street", "streets", "highway", "highways", "道路")


def road_values(mask: Mask, wanted: tuple[str, ...] | None) -> set[int]:
    """The values that are roads: those asked for, else the classes that are called so. Raises `UsageError`."""
    names = mask.names
    called = [c.name for c in names.of(set(names.classes))]
    known = ", ".join(called[:12]) + (" …" if len(called) > 12 else "")
    if wanted is None:
        found = {c.id for c in names.classes.values() if c.name.strip().casefold() in ROAD_NAMES}
        if not found:
            problem = f"no class of {mask.name} is called road"
            raise UsageError(option("classes"), problem, f"name it; it has {known or 'numbers only'}")
        return found
    values = {key: names.find(key) for key in wanted}
    if missing := [key for key, value in values.items() if value is None]:
        raise UsageError(
            option("classes"),
            f"no class is called {missing[0]!r} in {mask.name}",
            f"use one of {known or 'its numbers'}",
        )
    return {int(value) for value in values.values() if value is not None}
