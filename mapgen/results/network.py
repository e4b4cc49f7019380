"""A road network to look at: its lines as a picture, and as what the page draws and finds ways over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from affine import Affine

from mapgen.arrays import Bytes
from mapgen.errors import InputError
from mapgen.files.gdal import environment
from mapgen.files.kind import suffix_of
from mapgen.files.vectors import LINE_LAYERS, facts_of
from mapgen.results.still import Frame
from mapgen.roads.compact import LIMIT, compact_network
from mapgen.roads.lines import read_lines
from mapgen.tiling.quadtree import Bounds, to_mercator

COLOR, BRIDGED = (200, 60, 50, 255), (230, 140, 30, 255)
"""Of roads, and of edges on which a gap was bridged; those of the style for QGIS."""

USUAL_M = 6.0
"""The width of a road whose width is not known."""


def holds_lines(path: Path, layer: str | None = None) -> bool:
    """Whether a vector file is one of lines. Raises `InputError`, `UsageError`."""
    if suffix_of(str(path)) in (".osm", ".pbf", ".graphml"):
        return True
    return "LineString" in str(facts_of(path, str(path), layer, LINE_LAYERS).get("geometry_type"))


def holds_edges(path: Path) -> bool:
    """Whether there is a road in a network of mapgen."""
    return bool(facts_of(path, str(path), None, LINE_LAYERS)["features"])


class NetworkDrawing:
    """A network, whole in memory. Raises `InputError` for one that is too large for a page."""

    def __init__(self, path: Path, layer: str | None = None, assume_crs: str | None = None) -> None:
        with environment():
            self.lines = read_lines(path, layer, assume_crs)
        self.name, self.path, self.finest = path.name, path, 0.0
        x, y = self.lines.ways.lines.x, self.lines.ways.lines.y
        self.bounds: Bounds = float(x.min()), float(y.min()), float(x.max()), float(y.max())
        self.compact = compact_network(self.lines)
        if len(self.compact) > LIMIT:
            problem = f"{len(self.lines.ways):,} edges make {len(self.compact) / 1e6:.0f} MB, the page takes"
            raise InputError(path, f"{problem} {LIMIT / 1e6:.0f} MB", "make tiles of it with mapgen tiles --vector")

    def draw(self, frame: Frame) -> Bytes:
        """Its colours (H, W, 4) in a frame: roads as wide as they are, a pixel at least."""
        import shapely
        from rasterio.features import rasterize

        (left, _, _, top), step, ways = frame.bounds, frame.resolution, self.lines.ways
        flat = shapely.transform(ways.geometries(), lambda xy: np.stack(to_mercator(xy[:, 0], xy[:, 1]), axis=1))
        stretch = 1 / np.cos(np.radians((self.bounds[1] + self.bounds[3]) / 2))  # of Web Mercator at that latitude
        width = np.where(np.isfinite(self.lines.width), self.lines.width, USUAL_M) * stretch
        kinds = 1 + (np.nan_to_num(self.lines.bridged) > 0)
        burnt = rasterize(
            zip(shapely.buffer(flat, np.maximum(width, 1.5 * step) / 2), kinds.tolist(), strict=True),
            (frame.height, frame.width), fill=0, dtype="uint8", transform=Affine(step, 0, left, 0, -step, top),
        )  # fmt: skip
        return np.array([(0, 0, 0, 0), COLOR, BRIDGED], np.uint8)[burnt]
