"""Rasters as tiles want them: classes with one value for no data, or colours of eight bits with validity."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import UsageError, option
from mapgen.files.vet import is_url
from mapgen.grid import Grid, Window
from mapgen.raster.bands import choose_bands
from mapgen.raster.legends import ClassNames, color_table, read_names
from mapgen.raster.masks import NODATA, Mask, open_mask
from mapgen.raster.open import open_scene
from mapgen.raster.scene import RasterScene, with_bands
from mapgen.settings import Scale

Kind = Literal["classes", "imagery", "confidence"]

FEW = 32
"""A band of integers with no more values than this, and nothing that says what it is, is taken for classes."""


@dataclass(slots=True)
class ClassSource:
    """A class raster. `read` gives its values, `nodata` where it has none; any thread may call it."""

    mask: Mask
    grid: Grid
    nodata: int
    dtype: np.dtype[Any]
    kind: Kind = "classes"
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def names(self) -> ClassNames:
        """What the classes are called."""
        return self.mask.names

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel as stored."""
        return self.mask.itemsize

    def read(self, window: Window) -> Array | None:
        """The pixels (h, w) of a window; None where all are without data. Raises `InputError` where it is damaged."""
        with self._lock:  # one handle, so that blocks are decoded once; GDAL decodes in threads of its own
            values, empty = self.mask.read(window, masked=self.mask.has_mask)
        values = values.astype(self.dtype, copy=False)
        if empty is not None:
            values[empty] = self.nodata
        return None if (values == self.nodata).all() else values

    def close(self) -> None:
        """Close the raster."""
        self.mask.dataset.close()


@dataclass(slots=True)
class ColorSource:
    """A picture. `read` gives colours (bands + 1, h, w) of eight bits, the last band being validity."""

    scene: RasterScene
    grid: Grid
    kind: Kind
    low: float
    high: float
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def itemsize(self) -> int:
        """Bytes of a pixel as stored."""
        return self.scene.dtype.itemsize * (len(self.scene.bands) + 1)

    def read(self, window: Window) -> Array | None:
        """The colours of a window; None where all are without data. Raises `InputError` where it is damaged."""
        with self._lock:
            pixels, valid = self.scene.read(window)
        if not valid.any():
            return None
        out = np.empty((len(pixels) + 1, *valid.shape), np.uint8)
        out[-1] = valid * np.uint8(255)
        if pixels.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            out[:-1] = pixels
        else:
            share = (np.where(valid, pixels, self.low).astype(np.float32) - self.low) / (self.high - self.low)
            out[:-1] = np.rint(share.clip(0, 1) * 255)
        return out

    def close(self) -> None:
        """Close the raster."""
        self.scene.dataset.close()


def open_source(
    name: str, *, kind: Literal["auto", "classes", "imagery"] = "auto", threads: int = 1,
    bands: Sequence[str] | None = None, nodata: float | None = None, stretch: Scale | None = None,
) -> ClassSource | ColorSource:  # fmt: skip
    """The raster called `name`, open, as what it is: by its tags, side-cars, colour table, nodata, else by its values.

    Raises `InputError`, `UsageError` for options of imagery on a class map, `NetworkError`, `ResourceError`.
    """
    with open_scene(name, any_kind=True) as scene:
        found, note = (kind, "") if kind != "auto" else raster_kind(scene, name)
    if found == "classes":
        for key, value in (("bands", bands), ("stretch", stretch)):
            if value is not None:
                raise UsageError(
                    option(key), f"{scene.name} is a class map", f"leave it out, or say {option('kind', 'imagery')}"
                )
        source: ClassSource | ColorSource = _class_source(open_mask(name, threads), nodata)
    else:
        source = _color_source(open_scene(name), found, bands, nodata, stretch)
    if note:
        source.notes.append(note)
    return source


def raster_kind(scene: RasterScene, name: str) -> tuple[Kind, str]:
    """What a raster is, and what to say where that is not sure."""
    from pathlib import Path

    dataset = scene.dataset
    plain = [b for b in dataset.indexes if b != scene.alpha]
    whole = scene.dtype.kind in "iub" and "complex" not in dataset.dtypes[0]
    if len(plain) != 1:
        return "imagery", ""
    if dataset.scales[0] not in (0, 1) or not whole:
        return ("confidence" if scene.dtype == np.uint8 else "imagery"), ""
    tags, colors = dataset.tags(), color_table(dataset)
    if read_names(None if is_url(name) else Path(name), tags, colors).classes:
        return "classes", ""
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    if (scene.dtype == np.uint8 and dataset.nodatavals[0] == 255) or bits == "1" or scene.dtype.itemsize > 2:
        return "classes", ""
    sample = scene.sample()
    if len(np.unique(sample.values[:, sample.valid])) <= FEW:
        return "classes", f"taken for a class map by its few values; {option('kind', 'imagery')} if it is a picture"
    return "imagery", f"taken for a picture by its many values; {option('kind', 'classes')} if it is a class map"


def _class_source(mask: Mask, nodata: float | None) -> ClassSource:
    dtype = np.dtype(mask.dataset.dtypes[0])
    limits = np.iinfo(dtype)
    if nodata is not None and nodata.is_integer() and limits.min <= nodata <= limits.max:
        value = int(nodata)
    elif mask.nodata != NODATA:
        value = mask.nodata
    else:  # the type has none to spare: a wider one
        wider = {1: np.int16, 2: np.int32}.get(dtype.itemsize, np.int64)
        dtype = np.dtype(wider)
        value = int(np.iinfo(dtype).min)
    return ClassSource(mask, mask.grid, value, dtype)


def _color_source(
    scene: RasterScene, kind: Kind, bands: Sequence[str] | None, nodata: float | None, stretch: Scale | None
) -> ColorSource:
    chosen, note = _colors(scene, bands)
    scene = with_bands(scene, chosen, nodata)
    source = ColorSource(scene, scene.grid, kind, 0.0, 255.0, list(scene.warnings), [note] if note else [])
    source.warnings = [w for w in source.warnings if "pixel space" not in w and "no CRS" not in w]
    if kind == "confidence" and stretch is None:
        source.high = 1.0
    elif stretch is not None or scene.patch_dtype != np.uint8:
        source.low, source.high = _range(scene, stretch or Scale("percentile", 2, 98))
        if stretch is None:
            source.notes.append(
                f"{source.low:g}…{source.high:g} is shown as black to white; {option('stretch')} sets it"
            )
    return source


def _colors(scene: RasterScene, given: Sequence[str] | None) -> tuple[tuple[int, ...], str]:
    """The bands to show: one as grey, three as red, green, blue."""
    if given is not None:
        if len(given) not in (1, 3):
            raise UsageError(
                option("bands"), f"{len(given)} bands make no colour", "name one, or three: red, green, blue"
            )
        return choose_bands(scene, ("red", "green", "blue")[: len(given)], given), ""
    names = scene.band_names
    if all(names.count(c) == 1 for c in ("red", "green", "blue")):
        return tuple(names.index(c) + 1 for c in ("red", "green", "blue")), ""
    plain = [b for b in scene.dataset.indexes if b != scene.alpha]
    if len(plain) in (1, 3):
        return tuple(plain), ""
    if len(plain) == 2:
        return (plain[0],), f"band {plain[0]} of 2 is shown; {option('bands')} chooses"
    return tuple(plain[:3]), f"bands 1, 2, 3 of {len(plain)} are shown as red, green, blue; {option('bands')} chooses"


def _range(scene: RasterScene, scale: Scale) -> tuple[float, float]:
    """The values that become black and white."""
    if scale.kind == "range":
        return scale.low, scale.high
    if scale.kind == "percentile":
        sample = scene.sample(lattice=32)
        values = sample.values[:, sample.valid]
        if not values.size:
            return 0.0, 1.0
        low, high = (float(v) for v in np.percentile(values, (scale.low, scale.high)))
        return low, high if high > low else low + 1.0
    if scale.kind == "dtype" and scene.dtype.kind in "iu":
        limits = np.iinfo(scene.dtype)
        return float(limits.min), float(limits.max)
    return 0.0, 255.0
