"""What tests are made of: small rasters, a model file without torch, and an engine whose network is one line of numpy.

Everything is deterministic and offline; nothing here imports torch or OpenVINO.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from mapgen.files.commit import Output
from mapgen.legend import NODATA, Class, Legend
from mapgen.model.card import ModelCard
from mapgen.model.engine import Network, Setup
from mapgen.model.fake import FakeEngine, Rule
from mapgen.model.write import write_tensors

Array = np.ndarray[Any, np.dtype[Any]]

CRS = "EPSG:32640"
ORIGIN = (500_000.0, 2_700_000.0)
"""Upper left corner of rasters that say nothing else: on the central meridian, where a pixel of 1 unit is 1 m."""

LEGEND = Legend((Class(0, "dark", "#202020"), Class(1, "middle", "#808080"), Class(2, "bright", "#e0e0e0")))
"""Three classes; the first has the id 0, which peers lose as nodata."""

CELL = 5
"""Side of the cells of one class in a coordinate scene; prime to every window, halo and block in use."""


def card(**changes: Any) -> ModelCard:
    """The card of a small model: red, green, blue in 0…255 at 1 m, windows of 64 with a halo of 8 and stride 8."""
    fields: dict[str, Any] = {
        "name": "fake", "architecture": "Unet", "encoder": "resnet18", "bands": ("red", "green", "blue"),
        "mean": (128.0,) * 3, "std": (64.0,) * 3, "legend": LEGEND, "resolution_m": 1.0,
        "window": 64, "halo": 8, "stride": 8, "domain": "test patterns",
    }  # fmt: skip
    return ModelCard(**(fields | changes))


def make_model(path: Path, **changes: Any) -> Path:
    """A model file with this card (`changes` to `card()`) and one small tensor; enough for a `FakeEngine`."""
    return write_tensors({"weight": np.zeros((2, 2), np.float32)}, card(**changes), Output(path))


def make_raster(path: Path, array: Array, **profile: Any) -> Path:
    """`array` (C, H, W) or (H, W) written to `path`; `profile` are rasterio's, in front of a plain 1 m UTM GeoTIFF's.

    Besides: `descriptions` (one a band), `mask` (H, W, an internal mask of 0 and 255), `scales`, `offsets`,
    `colorinterp`, `tags`.
    """
    array = array[None] if array.ndim == 2 else array
    extra = {k: profile.pop(k) for k in ("descriptions", "scales", "offsets", "colorinterp") if k in profile}
    mask, tags = profile.pop("mask", None), profile.pop("tags", {})
    count, height, width = array.shape
    defaults = {
        "driver": "GTiff", "dtype": array.dtype, "count": count, "height": height, "width": width,
        "crs": CRS, "transform": north_up(1.0),
    }  # fmt: skip
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "w", **(defaults | profile)) as dataset:
        for name, value in extra.items():
            setattr(dataset, name, value)
        dataset.update_tags(**tags)
        dataset.write(array)
        if mask is not None:
            dataset.write_mask(mask)
    return path


def north_up(resolution: float, origin: tuple[float, float] = ORIGIN) -> Affine:
    """Square pixels, north up, from the upper left corner `origin`."""
    return Affine.translation(*origin) @ Affine.scale(resolution, -resolution)


def read_map(path: Path) -> Array:
    """The class map at `path`, uint8 (H, W)."""
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def noise(height: int, width: int, bands: int = 3, seed: int = 1, dtype: str = "uint8") -> Array:
    """Random imagery (bands, H, W) over 1…255, in squares of 6 pixels; every class of `brightness` is in it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 256, (height // 6 + 2, width // 6 + 2))
    plane = np.kron(coarse, np.ones((6, 6), int))[:height, :width]
    return np.stack([np.clip(plane + 3 * band, 1, 255) for band in range(bands)]).astype(dtype)


def coordinates(height: int, width: int, dtype: str = "uint16") -> Array:
    """A scene (3, H, W) whose pixels say where they are: row, column, 1. In uint8 both wrap at 250, whole cells."""
    rows, cols = np.mgrid[0:height, 0:width]
    if dtype == "uint8":
        rows, cols = rows % 250, cols % 250
    return np.stack([rows, cols, np.ones_like(rows)]).astype(dtype)


def cells(pixels: Array) -> Array:
    """The `Rule` for coordinate scenes: channels in cells of CELL pixels, no two neighbouring cells alike."""
    rows, cols = (np.round(pixels[..., band, :, :]).astype(int) // CELL for band in (0, 1))
    return (rows + 2 * cols + (rows // 3)) % 3


def coordinate_classes(height: int, width: int, legend: Legend = LEGEND) -> Array:
    """The class map that `cells` makes of `coordinates(height, width)`: uint8 (H, W)."""
    return np.asarray(legend.ids, np.uint8)[cells(coordinates(height, width)[None])[0]]


def brightness(pixels: Array) -> Array:
    """A `Rule` with a reach of one pixel: the mean over bands and 3 × 3 pixels, in three equal steps of 0…255."""
    plane = pixels.mean(axis=-3)
    edged = np.pad(plane, ((0, 0), (1, 1), (1, 1)), mode="edge")
    height, width = plane.shape[-2:]
    mean = sum(edged[:, r : r + height, c : c + width] for r in range(3) for c in range(3)) / 9
    return np.clip(mean // 85.5, 0, 2).astype(int)


@dataclass
class Engines:
    """Every fake engine that a test's runs have opened, and the rule that the next ones follow."""

    rule: Rule = brightness
    opened: list[FakeEngine] = field(default_factory=list)

    def open(self, network: Network, setup: Setup, name: str, device: str) -> FakeEngine:
        """In place of `mapgen.model.select.open_engine`; called by the names that were asked for."""
        engine = FakeEngine(
            network, setup, self.rule, "fake" if name == "auto" else name, "cpu" if device == "auto" else device
        )
        network.load()  # as every engine does, so that broken tensors are found
        self.opened.append(engine)
        return engine

    @property
    def seen(self) -> list[tuple[int, ...]]:
        """The shapes of all batches of pixels, in order."""
        return [shape for engine in self.opened for shape in engine.seen]


@dataclass(frozen=True)
class Run:
    """What a run of the command line left behind: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """The error lines."""
        return [line for line in self.err.splitlines() if line.startswith("mapgen: error:")]

    @property
    def warnings(self) -> list[str]:
        """The warning lines."""
        return [line for line in self.err.splitlines() if line.startswith("mapgen: warning:")]


def contents(folder: Path) -> dict[str, Any]:
    """What lies in a folder and below: bytes of files, targets of links, kinds of all else; hidden entries too."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*"))}


def _content(path: Path) -> Any:
    if path.is_symlink():
        return ("link", str(path.readlink()))
    return path.read_bytes() if path.is_file() else ("kind", path.stat().st_mode)


__all__ = [
    "CELL", "CRS", "LEGEND", "NODATA", "ORIGIN", "Engines", "FakeEngine", "Rule", "Run", "brightness", "card", "cells",
    "contents", "coordinate_classes", "coordinates", "make_model", "make_raster", "noise", "north_up", "read_map",
]  # fmt: skip
