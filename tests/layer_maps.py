"""Class maps to vectorize and layers to look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from factory import make_raster
from patterns import Array, smooth_noise

from mapgen.legend import BUILTIN, NODATA, Class, Legend

TOWN = Legend((*BUILTIN.classes[:3], Class(4, "vegetation", "#5a9e4b"), Class(9, "other", "#808080", background=True)))
"""Four classes to be drawn and one background."""


def town(height: int = 60, width: int = 70, seed: int = 5) -> Array:
    """A mask of the ids of TOWN and nodata."""
    ids = np.array([1, 2, 3, 4, 9, NODATA], np.uint8)
    return ids[smooth_noise(np.random.default_rng(seed), height, width, len(ids), 3)[:height, :width]]


def class_map(path: Path, mask: Array | None = None, legend: Legend | None = TOWN, **profile: Any) -> Path:
    """A class map as `segment` writes it, as far as `vectorize` is concerned."""
    tags = {"MAPGEN_LEGEND": json.dumps(legend.to_json())} if legend else {}
    return make_raster(path, town() if mask is None else mask, **({"nodata": NODATA, "tags": tags} | profile))


def read_layer(path: Path, layer: str | None = None) -> tuple[dict[str, Any], Array]:
    """Attributes by name (and `crs`) and geometries of a layer, as GDAL reads it."""
    import pyogrio

    layer = layer or str(pyogrio.list_layers(path)[0, 0])  # a GeoPackage has its styles as another
    meta, _, geometry, fields = pyogrio.raw.read(path, layer=layer)
    columns = dict(zip(meta["fields"].tolist(), fields, strict=True))
    return columns | {"crs": meta["crs"]}, shapely.from_wkb(geometry)
