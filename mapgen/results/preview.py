"""Previews: a small picture of a scene, made of the windows that pass by on their way to the network."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from affine import Affine

from mapgen.arrays import Array
from mapgen.errors import OutputError
from mapgen.files.commit import Output, staged
from mapgen.files.encoders import encoded
from mapgen.grid import Grid, Window
from mapgen.kernels import kernel
from mapgen.raster.patch import Patch
from mapgen.raster.warp import blended, blocks
from mapgen.tiling.footprint import footprint, grid_mapping
from mapgen.tiling.quadtree import MAX_LATITUDE

SIDE = 1536
"""Pixels of the longer side of a preview, at most."""

LIMIT = 1_000_000
"""Bytes of a preview, at most."""

_QUALITIES = (75, 50, 25, 5)
"""Of WebP, tried in turn until the picture is small enough; noise of 1536² pixels is so at the last."""

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
        self.plain &= patch.values.dtype == np.uint8
        keep, read = patch.step.keep, patch.step.read
        _sum_blocks(
            np.ascontiguousarray(patch.values), np.ascontiguousarray(patch.valid), np.array(self.channels),
            (read.row, read.col, keep.row, keep.col, keep.bottom, keep.right), self.factor, self._sums, self._counts,
        )  # fmt: skip

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

    def finish(self) -> Array:
        """Colours uint8 (1 or 3, h, w): bytes as they are, all else between its percentiles 2 and 98."""
        means = self._sums / np.maximum(self._counts, 1)
        if not self.plain and self.valid.any():
            low, high = np.percentile(means[:, self.valid], (_LOW, _HIGH))
            means = (means - low) * (255 / max(float(high - low), 1e-12))
        result: Array = np.rint(means).clip(0, 255).astype(np.uint8)
        return result


@kernel
def _sum_blocks(values, valid, channels, place, factor, sums, counts):  # type: ignore[no-untyped-def]
    """Add the valid pixels of a patch (C, H, W), of its kept part alone, to the blocks that they lie in."""
    top, left, first_row, first_col, bottom, right = place
    for row in range(first_row, bottom):
        at_row = row // factor
        for start in range(first_col // factor, (right - 1) // factor + 1):
            low, high = max(first_col, start * factor), min(right, (start + 1) * factor)
            count = 0
            for col in range(low, high):
                count += valid[row - top, col - left]
            if not count:
                continue
            counts[at_row, start] += count
            for i in range(len(channels)):
                total = np.float32(0)
                for col in range(low, high):
                    if valid[row - top, col - left]:
                        total += np.float32(values[channels[i], row - top, col - left])
                sums[i, at_row, start] += total


LonLat = tuple[float, float, float, float]

_MERCATOR = "EPSG:3857"

_RADIUS = 6378137.0


def write_preview(output: Output, picture: Array, valid: Array, grid: Grid, factor: int) -> LonLat | None:
    """Write a picture uint8 (1 or 3, h, w) whose pixels are `factor`² of `grid`'s as a WebP.

    Returns the (west, south, east, north) of its edges in degrees: the picture is then in Web Mercator, as map pages
    want it, and an `.aux.xml` beside it tells GDAL its place. None where it has no place there; it is then as the
    scene lies. What is not `valid` is transparent. The file holds `LIMIT` bytes at most.
    """
    colors = np.concatenate([picture * valid, valid[None] * np.uint8(255)])
    placed = _warped(colors, grid, factor)
    colors, bounds = (colors, None) if placed is None else placed
    data = _small(colors)
    path = output.path
    with staged(output) as temporary:
        temporary.write_bytes(data)
        if bounds is not None:
            content = _pam(bounds, *colors.shape[1:])
            temporary.with_name(f"{path.name}.aux.xml").write_text(content, encoding="utf-8")
        if temporary.read_bytes() != data:
            raise OutputError(path, "did not read back as written (a full or failing disk?)", "free some space")
    return bounds


def _small(colors: Array) -> bytes:
    """The colours (bands + 1, h, w) as WebP, as good as `LIMIT` bytes allow."""
    for quality in _QUALITIES:
        data = encoded(colors, "webp", quality)
        if len(data) <= LIMIT:
            break
    return data


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


def _warped(colors: Array, grid: Grid, factor: int) -> tuple[Array, LonLat] | None:
    """The colours with validity in Web Mercator, and their edges; None where they cannot lie there as one piece."""
    if grid.crs is None:
        return None
    ground = footprint(grid)
    if ground is None or ground.cut or len(ground.parts) != 1 or ground.lonlat[2] - ground.lonlat[0] > 180:
        return None
    west, south, east, north = ground.lonlat
    left, right = (math.radians(lon) * _RADIUS for lon in (west, east))
    bottom, top = (_mercator(lat) for lat in (south, north))
    step = max(right - left, top - bottom) / max(1.0, *colors.shape[1:])
    if not (math.isfinite(step) and step > 0):
        return None
    height, width = (max(1, math.ceil(length / step - 1e-6)) for length in (top - bottom, right - left))
    source = Grid(grid.crs, grid.transform @ Affine.scale(factor), *colors.shape[1:])
    made = np.zeros((len(colors), height, width), np.uint8)
    place = Window(0, 0, height, width)
    exact = grid_mapping(source, _MERCATOR, Affine.translation(left, top) @ Affine.scale(step, -step))
    blended(blocks(place, exact), colors, source.window, made, place)
    return made, (west, _latitude(top - height * step), math.degrees((left + width * step) / _RADIUS), north)


def _mercator(latitude: float) -> float:
    clipped = math.radians(max(-MAX_LATITUDE, min(MAX_LATITUDE, latitude)))
    return _RADIUS * math.asinh(math.tan(clipped))


def _latitude(y: float) -> float:
    return math.degrees(math.atan(math.sinh(y / _RADIUS)))
