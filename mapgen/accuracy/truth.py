"""Truth: what is known of the ground, a class raster on any grid or a vector file, read as codes on a map's grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mapgen.accuracy.options import EvaluateOptions
from mapgen.errors import InputError, UsageError, one_line, option
from mapgen.files.kind import is_vectors
from mapgen.files.vet import is_url
from mapgen.grid import Grid, Window
from mapgen.layers.crs import wkt_of
from mapgen.layers.labels import Labels, read_labels
from mapgen.raster.class_raster import RasterTruth, class_key
from mapgen.raster.codebook import NONE, CodeArray, Codebook
from mapgen.raster.masks import Mask, open_mask
from mapgen.raster.placement import Placement, Unplaced, laid_over


class Truth(Protocol):
    """Codes of the truth on the map's grid; `names` is what a class without a name in the map's legend is called."""

    extent: Window
    """The part of the map's grid outside which the truth knows nothing."""
    names: dict[int | str, str]
    warnings: list[str]
    counts: dict[str, int]

    @property
    def name(self) -> str:
        """What the file is called."""

    def read(self, window: Window) -> CodeArray:
        """Codes (H, W) of a window of the map's grid, NONE where nothing is known."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(slots=True)
class VectorTruth:
    """Polygons of a vector file."""

    labels: Labels
    burned: NDArray[np.int16]
    """The code of each polygon."""
    fill: int
    extent: Window
    names: dict[int | str, str]
    warnings: list[str]
    counts: dict[str, int]

    @property
    def name(self) -> str:
        """What the file is called."""
        return self.labels.name

    def close(self) -> None:
        """Nothing is open."""

    def read(self, window: Window) -> CodeArray:
        """Codes (H, W) of a window of the map's grid, NONE where nothing is known."""
        return self.labels.polygons.rasterized(window, self.burned, self.fill)


def open_truth(name: str, mask: Mask, codes: Codebook, options: EvaluateOptions) -> Truth:
    """The truth called `name` on the grid of the map `mask`.

    What is named like a vector file is one, all else a class raster. Raises `InputError` where it cannot be read or
    does not lie on the map, `UsageError` for options that belong to the other kind.
    """
    if options.assume_crs is not None:
        wkt_of(options.assume_crs, "assume_crs")
    if is_vectors(name):
        return _open_vector(name, mask, codes, options)
    return _open_raster(name, mask, codes, options)


def _open_vector(name: str, mask: Mask, codes: Codebook, options: EvaluateOptions) -> VectorTruth:
    if is_url(name):
        raise InputError(name.split("?", 1)[0], "is a vector file on the network", "download it first")
    if options.match != "id":
        raise UsageError(option("match"), f"{options.match} is for raster truth", "leave it out")
    names: dict[int | str, str] = {}

    def key(value: Any) -> int | str:
        found = class_key(mask.names, value)
        names.setdefault(found, one_line(str(value).strip()))
        return found

    labels = read_labels(
        Path(name), mask.grid, key, attribute=options.attribute, feature_class=options.feature_class,
        priority=[class_key(mask.names, p) for p in options.priority], layer=options.layer,
        assume_crs=options.assume_crs,
    )  # fmt: skip
    fill = NONE if options.outside is None else codes.code(key(options.outside), labels.name)
    burned = np.array([codes.code(k, labels.name) for k in labels.classes], np.int16)
    extent = labels.extent if fill == NONE else mask.grid.window
    return VectorTruth(labels, burned, fill, extent, names, labels.warnings, labels.counts)


def _open_raster(name: str, mask: Mask, codes: Codebook, options: EvaluateOptions) -> RasterTruth:
    for key, given in (
        ("attribute", options.attribute), ("feature_class", options.feature_class), ("outside", options.outside),
        ("priority", options.priority), ("layer", options.layer),
    ):  # fmt: skip
        if given:
            problem = f"is for vector truth, {one_line(name)} is taken for a raster"
            raise UsageError(option(key), problem, "leave it out")
    truth = open_mask(name)
    try:
        warnings: list[str] = []
        placement = _placement(mask, truth, options.assume_crs, warnings)
        extent = mask.grid.window if placement is None else placement.extent()
        if not extent.area:
            bounds = (", ".join(f"{v:.10g}" for v in grid.bounds) for grid in (truth.grid, mask.grid))
            problem = "nothing of it lies on the map (bounds {}; the map's {})".format(*bounds)
            raise InputError(truth.name, problem, "check its coordinates and CRS")
        keys, names = _meaning(mask, truth, options.match, warnings)
        return RasterTruth(truth, placement, extent, codes, keys, names, warnings)
    except BaseException:
        truth.dataset.close()
        raise


def _placement(mask: Mask, truth: Mask, assumed: str | None, warnings: list[str]) -> Placement | None:
    """Where the truth lies under the map; None for pixel on pixel. Raises `InputError` where that is not known."""
    grid, other = mask.grid, truth.grid
    if assumed is not None:
        if other.crs is not None:
            raise InputError(truth.name, "has a CRS of its own", f"leave out {option('assume_crs')}")
        other = Grid(assumed, other.transform, other.height, other.width)
    try:
        placement = laid_over(grid, other)
    except Unplaced as exc:
        bare, remedy = (truth, f"set {option('assume_crs')}") if other.crs is None else (mask, "georeference it first")
        size = f"{other.width} × {other.height} pixels and the map {grid.width} × {grid.height}"
        raise InputError(bare.name, f"has no CRS, and the truth measures {size}", remedy) from exc
    if (grid.crs is None) != (other.crs is None):
        warnings.append("only one of map and truth has a CRS; they are compared pixel by pixel")
    return placement


def _meaning(
    mask: Mask, truth: Mask, match: str, warnings: list[str]
) -> tuple[dict[int, int | str], dict[int | str, str]]:
    """The classes of the truth's values where they are not the values, and the names of those the map has not."""
    keys: dict[int, int | str] = {}
    names: dict[int | str, str] = {}
    for value, one in truth.names.classes.items():
        if one.name == str(value):
            continue
        key: int | str = class_key(mask.names, one.name) if match == "name" else value
        keys[value] = key
        names[key] = one_line(one.name)
        mine = mask.names.classes.get(value)
        told = mine is not None and mine.name != str(value)
        if match == "id" and told and mine is not None and mine.name.casefold() != one.name.casefold():
            warnings.append(
                f"{value} is {one.name!r} here and {mine.name!r} on the map; {option('match', 'name')} goes by names"
            )
    return keys, names
