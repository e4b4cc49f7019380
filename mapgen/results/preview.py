"""Previews: a small picture of a scene, made of the windows that pass by on their way to the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from mapgen.arrays import Array
from mapgen.errors import OutputError
from mapgen.files.commit import staged
from mapgen.files.encoders import encoded
from mapgen.files.gdal import gdal_errors
from mapgen.grid import Grid
from mapgen.patch import Patch
from mapgen.tiling.footprint import footprint
from mapgen.tiling.quadtree import MAX_LATITUDE

SIDE = 2048
"""Pixels of the longer side of a preview, at most."""

_LOW, _HIGH = 2.0, 98.0
"""Percentiles that are black and white where pixels are not bytes."""


@dataclass(slots=True)
class Preview:
    """Sums up patches into blocks of pixels, each of which becomes their mean; nothing is read for it.

    `channels` are those of the patches that are shown, as grey or as red, green and blue. Law: the picture is that of
    the scene averaged over blocks, whatever windows it came in.
    """

    channels: tuple[int, ...]
    side: int = SIDE
    grid: Grid | None = None
    """The grid of the patches, once there was one."""
    factor: int = 1
    """Pixels of the grid that a side of a pixel of the picture stands for."""
    plain: bool = True
    """Whether all pixels were bytes."""
    _sums: Array = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    _counts: Array = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def add(self, grid: Grid, patch: Patch) -> None:
        """Take in the kept part of a patch of pixels (C, H, W) on `grid`."""
        if self.grid is None:
            self._begin(grid)
        if patch.values is None:
            return
        rows, cols = patch.kept
        valid = patch.valid[rows, cols]
        self.plain &= patch.values.dtype == np.uint8
        keep = patch.step.keep
        tops, row = _blocks(keep.row, keep.height, self.factor)
        lefts, col = _blocks(keep.col, keep.width, self.factor)
        place = slice(row, row + len(tops)), slice(col, col + len(lefts))
        everywhere = bool(valid.all())
        for at, channel in enumerate(self.channels):
            values = patch.values[channel, rows, cols]
            if not everywhere:
                values = np.where(valid, values, 0)
            self._sums[at][place] += _summed(values, tops, lefts)
        self._counts[place] += _summed(valid, tops, lefts)

    def _begin(self, grid: Grid) -> None:
        self.grid = grid
        self.factor = max(1, -(-max(grid.height, grid.width) // self.side))
        height, width = -(-grid.height // self.factor), -(-grid.width // self.factor)
        self._sums = np.zeros((len(self.channels), height, width), np.float32)
        self._counts = np.zeros((height, width), np.float32)

    @property
    def valid(self) -> Array:
        """Where the picture has data (h, w)."""
        return self._counts > 0

    def picture(self) -> Array:
        """Colours uint8 (1 or 3, h, w): bytes as they are, all else between its percentiles 2 and 98."""
        means = self._sums / np.maximum(self._counts, 1)
        if not self.plain and self.valid.any():
            low, high = np.percentile(means[:, self.valid], (_LOW, _HIGH))
            means = (means - low) * (255 / max(float(high - low), 1e-12))
        result: Array = np.rint(means).clip(0, 255).astype(np.uint8)
        return result


def _blocks(first: int, length: int, factor: int) -> tuple[Array, int]:
    """Where the blocks begin among `length` pixels from `first` on, and the number of the first of them."""
    number = first // factor
    starts = np.arange(number, (first + length - 1) // factor + 1) * factor - first
    return np.maximum(starts, 0), number


def _summed(values: Array, tops: Array, lefts: Array) -> Array:
    """Sums float32 over the blocks."""
    rows = np.add.reduceat(values, tops, axis=0, dtype=np.float32)
    result: np.ndarray[Any, np.dtype[np.float32]] = np.add.reduceat(rows, lefts, axis=1)
    return result


def shown(bands: tuple[str, ...]) -> tuple[int, ...]:
    """Which bands of a model make a picture: red, green and blue by name, else the first three, else the first."""
    names = [band.casefold() for band in bands]
    if {"red", "green", "blue"} <= set(names):
        return names.index("red"), names.index("green"), names.index("blue")
    return (0, 1, 2) if len(names) >= 3 else (0,)


LonLat = tuple[float, float, float, float]

_MERCATOR = "EPSG:3857"

_RADIUS = 6378137.0


def write_preview(
    path: Path,
    picture: Array,
    valid: Array,
    grid: Grid,
    factor: int,
    *,
    overwrite: bool = False,
    inputs: Sequence[Path] = (),
) -> LonLat | None:
    """Write a picture uint8 (1 or 3, h, w) whose pixels are `factor`² of `grid`'s as the PNG at `path`.

    Returns the (west, south, east, north) of its edges in degrees: the picture is then in Web Mercator, as map pages
    want it, and an `.aux.xml` beside it tells GDAL its place. None where it has no place there; it is then as the
    scene lies. What is not `valid` is transparent.
    """
    placed = _warped(picture, valid, grid, factor)
    picture, alpha, bounds = (picture, valid * np.uint8(255), None) if placed is None else placed
    data = encoded(np.concatenate([picture, alpha[None]]), "png")
    with staged(path, overwrite=overwrite, inputs=inputs) as temporary:
        temporary.write_bytes(data)
        if bounds is not None:
            content = _pam(bounds, *picture.shape[1:])
            temporary.with_name(f"{path.name}.aux.xml").write_text(content, encoding="utf-8")
        if temporary.read_bytes() != data:
            raise OutputError(path, "did not read back as written (a full or failing disk?)", "free some space")
    return bounds


def _pam(bounds: LonLat, height: int, width: int) -> str:
    """What GDAL reads beside a picture: its CRS and its transform."""
    west, south, east, north = bounds
    left, right, bottom, top = (
        *(math.radians(lon) * _RADIUS for lon in (west, east)),
        _mercator(south),
        _mercator(north),
    )
    transform = (left, (right - left) / width, 0.0, top, 0.0, (bottom - top) / height)
    numbers = ", ".join(repr(float(value)) for value in transform)
    return f"<PAMDataset><SRS>{_MERCATOR}</SRS><GeoTransform>{numbers}</GeoTransform></PAMDataset>\n"


def _warped(picture: Array, valid: Array, grid: Grid, factor: int) -> tuple[Array, Array, LonLat] | None:
    """The picture in Web Mercator, its alpha, and its edges; None where it cannot be shown there as one piece."""
    if grid.crs is None:
        return None
    ground = footprint(grid)
    if ground is None or ground.cut or len(ground.parts) != 1 or ground.lonlat[2] - ground.lonlat[0] > 180:
        return None
    west, south, east, north = ground.lonlat
    left, right = (math.radians(lon) * _RADIUS for lon in (west, east))
    bottom, top = (_mercator(lat) for lat in (south, north))
    side = max(1.0, max(picture.shape[1:]))
    step = max(right - left, top - bottom) / side
    if not (math.isfinite(step) and step > 0):
        return None
    height, width = (max(1, math.ceil(length / step - 1e-6)) for length in (top - bottom, right - left))
    target = Affine.translation(left, top) @ Affine.scale(step, -step)
    source = grid.transform @ Affine.scale(factor)
    planes = np.concatenate([picture * valid, valid[None] * np.uint8(255)]).astype(np.float32)
    try:
        made = _reprojected(planes, source, grid.crs, target, (height, width))
    except gdal_errors():
        return None
    share = made[-1] / 255
    colors = np.rint(made[:-1] / np.maximum(share, 1e-3)).clip(0, 255).astype(np.uint8)
    alpha = np.rint(made[-1]).clip(0, 255).astype(np.uint8)
    return colors, alpha, (west, _latitude(top - height * step), math.degrees((left + width * step) / _RADIUS), north)


def _reprojected(planes: Array, source: Affine, crs: str, target: Affine, shape: tuple[int, int]) -> Array:
    from rasterio.crs import CRS
    from rasterio.warp import Resampling, reproject

    made = np.zeros((len(planes), *shape), np.float32)
    reproject(
        planes, made, src_transform=source, src_crs=CRS.from_user_input(crs), dst_transform=target, dst_crs=_MERCATOR,
        resampling=Resampling.bilinear,
    )  # fmt: skip
    return made


def _mercator(latitude: float) -> float:
    clipped = math.radians(max(-MAX_LATITUDE, min(MAX_LATITUDE, latitude)))
    return _RADIUS * math.asinh(math.tan(clipped))


def _latitude(y: float) -> float:
    return math.degrees(math.atan(math.sinh(y / _RADIUS)))
