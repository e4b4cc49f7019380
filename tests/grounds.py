"""Small labelled ground for tests: scenes whose pixels say where they are, and configurations that name them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from factory import CRS, make_raster, north_up

from mapgen.dataset.config import DataConfig
from mapgen.training.config import config_of

CLASSES = [{"id": 1, "name": "field"}, {"id": 2, "name": "wood"}, {"id": 3, "name": "lake"}]


def data_of(folder: Path, sources: list[dict[str, Any]], **more: Any) -> DataConfig:
    """The data of a configuration with these sources; `more` are other keys of [data]."""
    data = {"folder": str(folder), "bands": ["row", "col"], "classes": CLASSES, "sources": sources} | more
    return config_of({"name": "test", "data": data, "teacher": {"from": "average"}}).data


def places(height: int, width: int, row: int = 0, col: int = 0) -> np.ndarray:
    """An image (2, H, W) uint16 whose pixels hold their row and column of the ground, from 1000 on."""
    rows, cols = np.mgrid[row : row + height, col : col + width]
    return np.stack([rows, cols]).astype(np.uint16) + 1000


def kinds(height: int, width: int, row: int = 0, col: int = 0) -> np.ndarray:
    """Labels (H, W) 1…3 in patches of 16 pixels, a function of the place on the ground."""
    rows, cols = np.mgrid[row : row + height, col : col + width] // 16
    return ((rows + 2 * cols + rows * cols // 3) % 3 + 1).astype(np.uint8)


def make_pair(
    folder: Path, name: str, height: int = 200, width: int = 240, row: int = 0, col: int = 0, **profile: Any
) -> None:
    """`images/NAME.tif` and `labels/NAME.png` of the ground from (row, col) on, at 1 m, georeferenced."""
    (folder / "images").mkdir(exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    place = {"transform": north_up(1.0, (500_000.0 + col, 2_700_000.0 - row))} | profile
    make_raster(folder / "images" / f"{name}.tif", places(height, width, row, col), **place)
    make_raster(
        folder / "labels" / f"{name}.png", kinds(height, width, row, col), driver="PNG", crs=None, transform=None
    )


PAIRS = [{"images": "images/*.tif", "labels": "labels/*.png"}]


def feature(points: list[tuple[float, float]] | None, **properties: Any) -> dict[str, Any]:
    """A GeoJSON feature: a polygon with these corners, or none."""
    geometry = None if points is None else {"type": "Polygon", "coordinates": [[*points, points[0]]]}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


def box(left: float, bottom: float, right: float, top: float) -> list[tuple[float, float]]:
    """The corners of a box, anticlockwise."""
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


def write_features(path: Path, features: list[dict[str, Any]], crs: str | None = CRS) -> Path:
    """A GeoJSON file in a CRS (None: the default, longitude and latitude)."""
    said = (
        {}
        if crs is None
        else {"crs": {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{crs.replace(':', '::')}"}}}
    )
    path.write_text(json.dumps({"type": "FeatureCollection", **said, "features": features}))
    return path
