"""Imagery to train from: every image looked at, and brought to one grid, one set of bands and one type of pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.dataset.config import DataConfig
from mapgen.dataset.pairs import Pair
from mapgen.errors import InputError, UsageError, speaking
from mapgen.files.gdal import environment
from mapgen.grid import Grid, Window
from mapgen.raster.bands import choose_bands
from mapgen.raster.open import open_scene
from mapgen.raster.scene import RasterScene, with_bands
from mapgen.schema import in_toml

TOLERANCE = 0.1
"""Images whose pixels are within this share of the training resolution are not resampled, as in `segment`."""

MAX_REFINEMENT = 4.0
"""An image may be refined by this factor, as in `segment`."""


@dataclass(slots=True)
class Image:
    """One image on its way: where it lies, and what was found in it."""

    pair: Pair
    grid: Grid
    native: bool
    bands: tuple[int, ...]
    dtype: np.dtype[Any]
    """Of its own pixels."""
    first: int = 0
    """Its first pixel among those of all images."""
    facts: dict[str, Any] = field(default_factory=dict)
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Labelled pixels of each class, before the split."""
    digest: str = ""
    """The same for images of the same pixels."""

    @property
    def bare(self) -> bool:
        """Whether nobody labelled it, and it is for teachers alone."""
        return self.pair.source.use == "unlabelled"


class Imagery:
    """All images of a dataset, from their headers, and what is common to them."""

    def __init__(self, data: DataConfig, pairs: list[Pair]) -> None:
        self.data = data
        self.warnings: dict[str, None] = {}
        with environment():
            self.bands = self._bands(pairs[0])
            self.resolution_m = self._resolution(pairs)
            self.images = [self._looked_at(pair) for pair in pairs]
        self.dtype = self._dtype()
        for before, image in zip(self.images, self.images[1:], strict=False):
            image.first = before.first + before.grid.window.area
        self.pixels = self.images[-1].first + self.images[-1].grid.window.area

    def scene(self, pair: Pair) -> RasterScene:
        """The image of a pair, open, with the bands of the model."""
        scene = open_scene(pair.image)
        given = tuple(map(str, pair.source.bands)) or None
        try:
            with speaking(in_toml("data.sources")):
                bands = choose_bands(scene, self.bands, given)
            return with_bands(scene, bands, self.data.nodata, self.data.on_read_error)
        except InputError:
            scene.dataset.close()
            raise

    def read(self, image: Image, scene: RasterScene, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Pixels (C, H, W) of the common type, and validity (H, W), of a window of the grid of training."""
        values, valid = scene.read(window) if image.native else scene.read_on(image.grid, window)
        if self.dtype.kind == "u" and values.dtype != self.dtype:
            values = np.rint(values).clip(0, np.iinfo(self.dtype).max)
        return values.astype(self.dtype, copy=False), valid

    def warn(self, text: str, name: str) -> None:
        """Keep what is to be said of an image."""
        self.warnings[f"{name}: {text}"] = None

    def _bands(self, pair: Pair) -> tuple[str, ...]:
        """What the model calls its bands: as the configuration says, else as the first image does."""
        if self.data.bands:
            return self.data.bands
        with open_scene(pair.image) as scene:
            count = len(pair.source.bands) or len(scene.bands)
            names = [scene.band_names[b - 1] for b in scene.bands]
        if count == 3 and not (len(set(names)) == 3 and "undefined" not in names and "gray" not in names):
            return ("red", "green", "blue")
        usual = ("red", "green", "blue")
        if count == 4 and tuple(names[:3]) == usual and names[3:] in (["alpha"], ["undefined"]):
            return (*usual, "nir")
        if len(names) == count == len(set(names)) and not {"undefined", "gray", ""} & set(names):
            return tuple(names)
        return ("gray",) if count == 1 else tuple(f"band{i}" for i in range(1, count + 1))

    def _resolution(self, pairs: list[Pair]) -> float:
        if self.data.resolution_m is not None:
            return self.data.resolution_m
        for pair in pairs:
            with open_scene(pair.image) as scene:
                if scene.grid.crs is not None and all(map(math.isfinite, scene.grid.resolution_m)):
                    return float(f"{math.sqrt(math.prod(scene.grid.resolution_m)):.4g}")
        problem = "no image says how large its pixels are on the ground"
        raise UsageError("data.resolution_m", problem, "set it, such as resolution_m = 0.5")

    def _looked_at(self, pair: Pair) -> Image:
        with self.scene(pair) as scene:
            grid = self._grid(scene)
            native = (grid.height, grid.width) == (scene.grid.height, scene.grid.width)
            for text in scene.warnings:
                self.warn(text.replace("; the map stays in pixel space", ""), pair.name)
            return Image(pair, grid, native, scene.bands, scene.patch_dtype)

    def _grid(self, scene: RasterScene) -> Grid:
        """The grid of training over the ground of a scene."""
        if scene.grid.crs is None:
            return scene.grid
        own = scene.grid.resolution_m
        if not all(map(math.isfinite, own)):
            problem = "its CRS and transform name no place on Earth, so its resolution is unknown"
            raise InputError(scene.name, problem, "correct its CRS (gdal_edit.py -a_srs)")
        wanted = self.resolution_m
        if all(abs(r / wanted - 1) <= TOLERANCE for r in own):
            return scene.grid
        factor = max(own) / wanted
        if factor > MAX_REFINEMENT:
            problem = f"its pixels measure {max(own):.3g} m and would be refined {factor:.1f} times to {wanted:.3g} m"
            raise InputError(
                scene.name, f"{problem}, the limit is {MAX_REFINEMENT:g}", "leave it out or set resolution_m"
            )
        return scene.grid.at(wanted)

    def _dtype(self) -> np.dtype[Any]:
        kinds = {i.dtype.name: i for i in self.images}
        wanted = self.data.data_type
        if wanted == "float32":
            return np.dtype(np.float32)
        names = sorted(kinds)
        if wanted == "auto":
            if len(kinds) > 1:
                problem = f"holds {names[1]}, {kinds[names[0]].pair.name} holds {names[0]}"
                raise InputError(kinds[names[1]].pair.name, problem, "convert them to one type, or leave some out")
            return np.dtype(names[0])
        other = next((n for n in names if n != wanted), None)
        if other is not None:
            problem = f"holds {other}, data.data_type says {wanted}"
            raise InputError(kinds[other].pair.name, problem, "convert it, or correct data_type")
        return np.dtype(wanted)
