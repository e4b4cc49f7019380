"""Targets: labels read as the channels of a model, from polygons, class rasters or coloured pictures."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Bytes as Channels
from mapgen.dataset.config import DataConfig, SourceConfig
from mapgen.dataset.dataset import IGNORE
from mapgen.errors import CrsError, InputError, UsageError, one_line, speaking
from mapgen.files.kind import is_vectors
from mapgen.grid import Grid, Window
from mapgen.layers.crs import wkt_of
from mapgen.layers.labels import Features, read_features
from mapgen.raster.class_raster import RasterTruth
from mapgen.raster.codebook import Codebook
from mapgen.raster.legends import ClassNames
from mapgen.raster.masks import NODATA as NO_VALUE
from mapgen.raster.masks import Mask, open_mask
from mapgen.raster.open import grid_of, opened_dataset
from mapgen.raster.placement import Placement, Unplaced, laid_over
from mapgen.schema import in_toml

_COLOR = re.compile(r"#[0-9a-f]{6}")
_KEPT = 4  # vector files whose polygons stay in memory: most sources have one for all images or one for each


class Meaning:
    """Which channel a label value means. Values that no class lists are counted in `unlisted`, by file."""

    def __init__(self, data: DataConfig) -> None:
        self.legend = data.legend
        self.unlisted: dict[str, Counter[str]] = {}
        self._channels: dict[str, int] = {_text(v): IGNORE for v in data.ignore}
        for channel, one in enumerate(data.classes):
            for value in one.values or (one.id, one.name):
                self._channels.setdefault(_text(value), channel)

    @property
    def has_colors(self) -> bool:
        """Whether any value is a colour."""
        return any(_COLOR.fullmatch(v) for v in self._channels)

    def channel(self, value: Any, source: str, count: int = 1) -> int:
        """The channel of a value, IGNORE for one that is not labelled or not listed."""
        text = _text(value)
        if text not in self._channels:
            self.unlisted.setdefault(source, Counter())[one_line(str(value).strip())[:60]] += count
        return self._channels.get(text, IGNORE)

    def find(self, value: Any) -> int:
        """The same, without counting."""
        return self._channels.get(_text(value), IGNORE)

    def named(self, name: str) -> int:
        """The channel of a class by its name."""
        return [n.casefold() for n in self.legend.names].index(name.casefold())


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip().casefold()


class Target(Protocol):
    """Labels on the grid of an image."""

    def read(self, window: Window) -> Channels:
        """The channel (H, W) at each pixel of a window of the grid, IGNORE where there is no label."""

    def close(self) -> None:
        """Let go of the file."""


@dataclass(slots=True)
class RasterTarget:
    """A class raster, or a picture whose colours are classes."""

    truth: RasterTruth
    meaning: Meaning
    colors: bool = False

    def read(self, window: Window) -> Channels:
        """See `Target`."""
        codes = self.truth.read(window)
        keys = self.truth.codes.keys
        counts = np.bincount(codes.ravel() + 1, minlength=len(keys) + 1)[1:]
        table = np.full(len(keys) + 1, IGNORE, np.uint8)  # the last is that of no value
        for code in np.flatnonzero(counts).tolist():
            value = f"#{keys[code]:06x}" if self.colors else keys[code]
            table[code] = self.meaning.channel(value, self.truth.name, int(counts[code]))
        return table[codes]

    def close(self) -> None:
        """See `Target`."""
        self.truth.close()


@dataclass(slots=True)
class VectorTarget:
    """Polygons on a grid, burned window by window."""

    polygons: Any
    channels: NDArray[np.int16]
    fill: int

    def read(self, window: Window) -> Channels:
        """See `Target`."""
        return self.polygons.rasterized(window, self.channels, self.fill).astype(np.uint8)

    def close(self) -> None:
        """Nothing is open."""


class Targets:
    """Opens the labels of images; polygons that lie on several images are read once.

    `counts` says what became of the features of each vector file, `warnings` what to know of the files.
    """

    def __init__(self, data: DataConfig) -> None:
        self.meaning = Meaning(data)
        self.counts: dict[str, dict[str, int]] = {}
        self.warnings: dict[str, None] = {}
        self.touched: dict[str, bool] = {}
        """Vector files, and whether any of their polygons lies on an image."""
        self._sources = data.sources
        self._features: dict[tuple[Path, int], Features] = {}

    def open(self, path: Path, source: int, grid: Grid, image: str) -> Target:
        """The labels at `path` on the grid of an image; `source` is the number of the source that names them.

        Raises `InputError` where they cannot be read or do not fit the image, `UsageError` for keys that are missing or
        are not for such labels.
        """
        said = self._sources[source]
        if said.assume_crs is not None:
            with speaking(in_toml(f"data.sources[{source + 1}]")):
                wkt_of(said.assume_crs, "assume_crs")
        with speaking(in_toml(f"data.sources[{source + 1}]", {"feature_class": "class"})):
            if is_vectors(str(path)):
                return self._vector(path, source, said, grid)
            return self._raster(path, said, grid, image)

    def _vector(self, path: Path, source: int, said: SourceConfig, grid: Grid) -> VectorTarget:
        features = self._features.get((path, source))
        if features is None:
            fixed = None if said.feature_class is None else self.meaning.named(said.feature_class)
            subject = one_line(path)
            features = read_features(
                path, lambda value: self.meaning.channel(value, subject) if fixed is None else fixed,
                attribute=said.attribute, feature_class=said.feature_class,
                priority=[self.meaning.named(p) for p in said.priority], layer=said.layer, assume_crs=said.assume_crs,
            )  # fmt: skip
            while len(self._features) > _KEPT:
                self._features.pop(next(iter(self._features)))
            self._features[path, source] = features
            self.counts[features.name] = features.counts
        labels = features.on(grid)
        self.warnings |= {f"{features.name}: {text}": None for text in labels.warnings}
        self.touched[features.name] = self.touched.get(features.name, False) or labels.extent.area > 0
        fill = IGNORE if said.outside is None else self.meaning.named(said.outside)
        return VectorTarget(labels.polygons, np.array(labels.classes, np.int16), fill)

    def _raster(self, path: Path, said: SourceConfig, grid: Grid, image: str) -> RasterTarget:
        given = {"attribute": said.attribute, "class": said.feature_class, "outside": said.outside,
                 "priority": said.priority, "layer": said.layer}  # fmt: skip
        for key, value in given.items():
            if value:
                raise UsageError(
                    f"data.sources.{key}", f"is for polygons, {one_line(path)} is a raster", "leave it out"
                )
        mask = self._opened(path)
        try:
            placement = self._placement(mask, said, grid, image)
        except BaseException:
            mask.dataset.close()
            raise
        self._warn_of_nodata(mask)
        truth = RasterTruth(mask, placement, grid.window, Codebook(), {}, {}, [])
        return RasterTarget(truth, self.meaning, isinstance(mask.dataset, _Colors))

    def _warn_of_nodata(self, mask: Mask) -> None:
        channel = IGNORE if mask.nodata == NO_VALUE else self.meaning.find(mask.nodata)
        if channel != IGNORE:
            name = self.meaning.legend.names[channel]
            self.warnings[
                f"{mask.name}: its value {mask.nodata} is nodata and not labelled, though it is one of {name}"
            ] = None

    def _opened(self, path: Path) -> Mask:
        from rasterio.enums import ColorInterp

        with opened_dataset(path) as (subject, dataset):
            bands = [i for i, c in enumerate(dataset.colorinterp) if c is not ColorInterp.alpha]
            if len(bands) < 2:
                dataset.close()
                return open_mask(path)
            if not self.meaning.has_colors or dataset.dtypes[0] != "uint8" or dataset.count < 3:
                remedy = 'list its colours as values of the classes, such as values = ["#3c1098"]'
                raise InputError(subject, f"has {dataset.count} bands, labels have one or are colours", remedy)
            return Mask(subject, _Colors(dataset), grid_of(dataset, subject), ClassNames({}), NO_VALUE)

    def _placement(self, mask: Mask, said: SourceConfig, grid: Grid, image: str) -> Placement | None:
        """Where the labels lie under the image; None for pixel on pixel."""
        from pyproj.exceptions import ProjError

        other = mask.grid
        if said.assume_crs is not None:
            if other.crs is not None:
                raise InputError(mask.name, "has a CRS of its own", "leave out assume_crs")
            other = Grid(said.assume_crs, other.transform, other.height, other.width)
        try:
            placement = laid_over(grid, other)
        except Unplaced as exc:
            bare = mask.name if other.crs is None else image
            size = f"{other.width} × {other.height} pixels and {image} {grid.width} × {grid.height}"
            problem = f"has no georeferencing, and the labels measure {size}"
            raise InputError(bare, problem, "let both be of one size") from exc
        except (CrsError, ProjError) as exc:  # also where a local CRS has no place on Earth
            problem = f"its CRS cannot be brought to that of the image ({one_line(exc)[:100]})"
            raise InputError(mask.name, problem, "warp it with gdalwarp") from exc
        if placement is not None and not placement.extent().area:
            self.warnings[f"{mask.name}: nothing of it lies on {image}"] = None
        if (grid.crs is None) != (other.crs is None):
            self.warnings["only one of image and labels has a CRS; they are laid on each other pixel by pixel"] = None
        return placement


class _Colors:
    """A picture as a raster of one band, whose values are its colours as texts."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def read(self, band: int, window: Any) -> NDArray[np.int32]:
        """Red, green and blue in one number."""
        red, green, blue = self._dataset.read((1, 2, 3), window=window).astype(np.int32)
        return (red << 16) | (green << 8) | blue

    def read_masks(self, band: int, window: Any) -> NDArray[np.uint8]:
        """As of the picture."""
        return self._dataset.read_masks(band, window=window)

    def close(self) -> None:
        """Let go of the file."""
        self._dataset.close()
