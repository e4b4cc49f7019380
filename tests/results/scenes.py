"""A small map to look at: class map, imagery and layer of the same ground, with names that would be HTML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from factory import make_raster, north_up
from rasterio.crs import CRS

from mapgen.files.commit import Output
from mapgen.grid import Grid
from mapgen.legend import Class, Legend
from mapgen.raster.classmap import write_class_map

SIDE = 120
HOSTILE = "<img src=x onerror=alert(1)>"
LEGEND = Legend((Class(1, "field", "#50a040"), Class(2, HOSTILE, "#c04030"), Class(3, "</script><b>", "#4060c0")))
PLACE = (500_000.0, 2_700_000.0)


def classes() -> np.ndarray:
    """Field all over, a square of class 2 in the middle, a strip of class 3 at the right, nodata in a corner."""
    out = np.ones((SIDE, SIDE), np.uint8)
    out[30:90, 30:90] = 2
    out[:, 105:] = 3
    out[:10, :10] = 255
    return out


def class_map(path: Path, values: np.ndarray | None = None) -> Path:
    """The class map, 1 m a pixel."""
    values = classes() if values is None else values
    grid = Grid(CRS.from_epsg(32640).to_wkt(), north_up(1.0, PLACE), *values.shape)
    write_class_map(Output(path), [(0, values)], grid, LEGEND, {"MAPGEN_LEGEND": _tag()})
    return path


def _tag() -> str:
    import json

    return json.dumps(LEGEND.to_json())


def imagery(path: Path) -> Path:
    """A picture of the same ground: red grows to the right, green downwards."""
    rows, cols = np.mgrid[0:SIDE, 0:SIDE].astype(np.uint8)
    return make_raster(path, np.stack([2 * cols, 2 * rows, np.full_like(rows, 90)]))


def result(folder: Path) -> Path:
    """A folder of results: class map and layer."""
    from mapgen.layers.vectorize import vectorize

    folder.mkdir()
    class_map(folder / "map.mask.tif")
    vectorize(folder / "map.mask.tif", folder / "map.gpkg")
    return folder
