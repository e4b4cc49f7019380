"""Vector tiles taken apart again: by our own hands, by GDAL, and by mapbox-vector-tile in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from mapgen.tiling.mvt import TileShapes

Array = np.ndarray[Any, np.dtype[Any]]

# vt2pbf's and this decoder's protobuf messages have one name and cannot be loaded together.
DECODE = """
import json, sys, mapbox_vector_tile
for name in sys.stdin.read().split("\\0"):
    with open(name, "rb") as stream:
        print(json.dumps(mapbox_vector_tile.decode(stream.read(), default_options={"y_coord_down": True})))
"""


def polygons_of(shapes: TileShapes) -> Array:
    """The features as shapely geometries in units of the tile, y down."""
    rings = [
        np.stack((shapes.x[a:b], shapes.y[a:b]), axis=1)
        for a, b in zip(shapes.rings[:-1].tolist(), shapes.rings[1:].tolist(), strict=True)
    ]
    polygons = [
        shapely.Polygon(rings[a], rings[a + 1 : b])
        for a, b in zip(shapes.polygons[:-1].tolist(), shapes.polygons[1:].tolist(), strict=True)
    ]
    parts = [polygons[a:b] for a, b in zip(shapes.features[:-1].tolist(), shapes.features[1:].tolist(), strict=True)]
    return np.array([p[0] if len(p) == 1 else shapely.MultiPolygon(p) for p in parts], object)


def by_mapbox(*tiles: Path) -> list[dict[str, Any]]:
    """The layers of each tile by name, as mapbox-vector-tile decodes them, y down."""
    done = subprocess.run(
        [sys.executable, "-c", DECODE], input="\0".join(map(str, tiles)), capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def by_gdal(tile: Path, layer: str | None = None, extent: int = 4096) -> tuple[dict[str, Array], Array]:
    """Attributes by name and geometries of a layer of a tile alone in its file, as GDAL reads it, y down."""
    import pyogrio

    meta, _, wkb, fields = pyogrio.raw.read(tile, layer=layer, CLIP="NO")
    shapes = shapely.transform(shapely.from_wkb(wkb), lambda xy: np.stack((xy[:, 0], extent - xy[:, 1]), axis=1))
    return dict(zip(meta["fields"].tolist(), fields, strict=True)), shapes
