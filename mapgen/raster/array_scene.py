"""Scenes in memory, for Python: an array of pixels that `segment` reads as it reads a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import UsageError
from mapgen.grid import Grid, Window
from mapgen.raster.scene import Scene


@dataclass(slots=True)
class ArrayScene(Scene):
    """Pixels (bands, H, W) of numbers on a grid; `valid` (H, W) says where there is data, all where None.

    `names` are those of the bands, as a model names them; pixels are also without data where all bands that are read
    hold `own_nodata`, or what `nodata` says instead. Raises `UsageError` for arrays that do not fit each other.
    """

    pixels: Array
    grid: Grid
    valid: Array | None = None
    own_nodata: float | None = None
    names: tuple[str, ...] = ()
    name: str = "array"
    bands: tuple[int, ...] = ()
    """Which are read, from 1; all unless given."""
    nodata: float | None = None
    on_read_error: Literal["fail", "nodata"] = "fail"
    alpha: int | None = None
    warnings: list[str] = field(default_factory=list)
    damaged: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        shape = (self.grid.height, self.grid.width)
        if self.pixels.ndim != 3 or self.pixels.shape[1:] != shape or self.pixels.dtype.kind not in "uif":
            given = f"pixels of shape {self.pixels.shape} and type {self.pixels.dtype}"
            raise UsageError(self.name, given, f"give numbers of shape (bands, {shape[0]}, {shape[1]}), as the grid is")
        if self.valid is not None and self.valid.shape != shape:
            raise UsageError(self.name, f"validity of shape {self.valid.shape}", f"give it as {shape}")
        if self.names and len(self.names) != len(self.pixels):
            raise UsageError(self.name, f"{len(self.names)} names for {len(self.pixels)} bands", "name each band once")
        self.bands = self.bands or tuple(range(1, len(self.pixels) + 1))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        return self.pixels.dtype

    @property
    def band_names(self) -> list[str]:
        """The names that were given; none tells anything where none were."""
        return [name.strip().casefold() for name in self.names or [""] * len(self.pixels)]

    @property
    def has_validity(self) -> bool:
        """Whether anything says where there is no data."""
        return any(known is not None for known in (self.valid, self.own_nodata, self.nodata))

    def read(self, window: Window) -> tuple[Array, Array]:
        """See `Scene`."""
        rows, cols = window.slices(self.grid.window)
        raw = self.pixels[[band - 1 for band in self.bands], rows, cols]
        valid = np.ones(raw.shape[1:], bool) if self.valid is None else self.valid[rows, cols].astype(bool)
        empty = self.own_nodata if self.nodata is None else self.nodata
        if empty is not None:
            valid &= ~(raw == empty).all(axis=0)
        pixels = raw.astype(self.patch_dtype, copy=False)
        if pixels.dtype.kind == "f":
            valid &= np.isfinite(pixels).all(axis=0)
        return pixels, valid
