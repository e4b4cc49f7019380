"""Areas of interest: the part of a scene that is wanted, from a file of polygons or a box."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.errors import InputError, one_line
from mapgen.grid import Grid, Window
from mapgen.patch import Array


@dataclass(frozen=True, slots=True)
class Area:
    """What of a grid is wanted: `window`, and in it the pixels whose centres lie in `polygons` (in the grid's CRS)."""

    grid: Grid
    window: Window
    polygons: Any = None

    def meets(self, grid: Grid) -> bool:
        """Whether anything that is wanted may lie on another grid (of the same CRS)."""
        from shapely import Polygon, prepare

        if self.polygons is None:
            return True
        prepare(self.polygons)  # only the first time costs anything
        corners = ((0, 0), (grid.width, 0), (grid.width, grid.height), (0, grid.height))
        return bool(self.polygons.intersects(Polygon([grid.transform @ corner for corner in corners])))

    def inside(self, window: Window) -> Array:
        """Which pixels (H, W) of a window of the grid are wanted."""
        from rasterio.features import geometry_mask

        rows, cols = (window & self.window).slices(window)
        wanted = np.zeros((window.height, window.width), bool)
        wanted[rows, cols] = True
        if self.polygons is None or not wanted.any():
            return wanted
        transform = self.grid.crop(window).transform
        return wanted & geometry_mask([self.polygons], wanted.shape, transform, invert=True)


def area_of(grid: Grid, aoi: Path | None, bbox: tuple[float, float, float, float] | None) -> Area | None:
    """The area that `aoi` (a vector file in any CRS) and `bbox` (left, bottom, right, top in the CRS of the grid) cut
    out of a grid; None where neither is given.

    Raises `InputError` where the file has no polygons, or nothing of the area lies on the grid.
    """
    if aoi is None and bbox is None:
        return None
    window, polygons = grid.window, None
    if bbox is not None:
        window &= grid.window_of(bbox)
    if aoi is not None:
        polygons = _polygons(aoi, grid)
        window &= grid.window_of(polygons.bounds)
    if not window.area:
        where = f"--aoi {one_line(aoi)}" if aoi is not None else f"--bbox {','.join(f'{v:g}' for v in bbox or ())}"
        bounds = ", ".join(f"{v:g}" for v in grid.bounds)
        raise InputError(where, f"nothing of it lies on the scene ({bounds})", "check its coordinates and CRS")
    return Area(grid, window, polygons)


def _polygons(path: Path, grid: Grid) -> Any:
    """The union of the file's polygons, in the CRS of the grid."""
    import geopandas
    import shapely
    from pyogrio.errors import DataLayerError, DataSourceError

    subject = f"--aoi {one_line(path)}"
    if not path.is_file():
        raise InputError(subject, "no such file", "check the path")
    try:
        frame = geopandas.read_file(path)
    except (DataSourceError, DataLayerError) as exc:
        raise InputError(
            subject, f"cannot be read ({one_line(exc)[:120]})", "use GeoJSON, GPKG or another OGR format"
        ) from exc
    reach = float(np.nanmax(np.abs(frame.total_bounds), initial=0))
    if frame.crs is not None and frame.crs.is_geographic and reach > 400:
        problem = f"its coordinates reach {reach:g}, so they are no longitudes and latitudes"
        raise InputError(subject, problem, "save it with the CRS it is in, such as a GeoPackage")
    if grid.crs is not None and frame.crs is not None:
        frame = frame.to_crs(grid.crs)
    shapes = shapely.make_valid(np.asarray(frame.geometry.dropna().array))
    shapes = shapes[shapely.get_dimensions(shapes) == 2] if len(shapes) else shapes
    if not len(shapes):
        raise InputError(subject, "holds no polygons", "name a file with the polygons of the area")
    return shapely.union_all(shapes)
