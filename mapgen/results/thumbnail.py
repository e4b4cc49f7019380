"""Writing previews: a picture of the scene, north up in Web Mercator where it has a place on Earth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine

from mapgen.errors import OutputError
from mapgen.files.commit import staged
from mapgen.files.encoders import encoded
from mapgen.files.gdal import gdal_errors
from mapgen.grid import Grid
from mapgen.tiling.footprint import footprint
from mapgen.tiling.quadtree import MAX_LATITUDE

Array = np.ndarray[Any, np.dtype[Any]]
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
