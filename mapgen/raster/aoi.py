"""Areas of interest: the part of a scene that is wanted, from a file of polygons or a box."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Array
from mapgen.errors import InputError, UsageError, one_line, option
from mapgen.files.gdal import gdal_errors
from mapgen.files.vectors import facts_of, read_shapes
from mapgen.grid import Grid, Window, transformer


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


def area_of(
    grid: Grid, aoi: Path | None, bbox: tuple[float, float, float, float] | None, asked: str = "aoi"
) -> Area | None:
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
        polygons = _polygons(aoi, grid, asked)
        window &= _reach(grid, polygons)
    if not window.area:
        where = (
            option(asked, one_line(aoi)) if aoi is not None else option("bbox", ",".join(f"{v:g}" for v in bbox or ()))
        )
        bounds = ", ".join(f"{v:g}" for v in grid.bounds)
        raise InputError(where, f"nothing of it lies on the scene ({bounds})", "check its coordinates and CRS")
    return Area(grid, window, polygons)


def zones_of(grid: Grid, path: Path, name: str | None, layer: str | None) -> list[tuple[str, Area | None]]:
    """The polygons of a vector file as areas of a grid: each with what its attribute `name` says, else its number from
    1, and None where nothing of it lies on the grid. Raises `InputError` or `UsageError`."""
    subject = option("zones", one_line(path))
    facts = facts_of(path, subject, layer)
    fields = [str(field) for field in facts["fields"]]
    if name is not None and name not in fields:
        raise UsageError(
            option("zone_name"), f"{one_line(path)} has no attribute {name!r}", f"there are: {', '.join(fields)}"
        )
    shapes, places, values = _read(path, subject, facts, [] if name is None else [name])
    labels = places + 1 if name is None else values[name]
    return [
        (one_line(label), _of_shape(grid, shape))
        for label, shape in zip(labels, _on_grid(subject, facts["crs"], shapes, grid), strict=True)
    ]


def _of_shape(grid: Grid, shape: Any) -> Area | None:
    window = grid.window & _reach(grid, shape)
    return Area(grid, window, shape) if window.area else None


def _reach(grid: Grid, shape: Any) -> Window:
    """The pixels that polygons may lie on; none for those without an area."""
    return grid.window_of(shape.bounds) if shape.area else Window(0, 0, 0, 0)


def _polygons(path: Path, grid: Grid, asked: str) -> Any:
    """The union of the file's polygons, in the CRS of the grid."""
    import shapely

    subject = option(asked, one_line(path))
    try:
        facts = facts_of(path, subject, None)
    except UsageError as exc:  # of several layers none may be chosen in silence
        problem = exc.problem.removeprefix(f"{subject} ")
        raise InputError(subject, problem, "save the one that is the area as a file of its own") from exc
    return shapely.union_all(_on_grid(subject, facts["crs"], _read(path, subject, facts, [])[0], grid))


def _read(path: Path, subject: str, facts: dict[str, Any], columns: list[str]) -> tuple[Any, Any, dict[str, Any]]:
    """The polygons among the features of a file, valid; their places among these, and their attributes."""
    import shapely

    shapes, _, values = read_shapes(path, subject, facts, columns)
    shapes = shapely.make_valid(shapes)
    flat = np.flatnonzero(~shapely.is_empty(shapes) & (shapely.get_dimensions(shapes) == 2))  # -1 of what is missing
    if not len(flat):
        raise InputError(subject, "holds no polygons", "name a file with the polygons of the area")
    return shapes[flat], flat, {key: column[flat] for key, column in values.items()}


def _on_grid(subject: str, own: Any, shapes: Any, grid: Grid) -> Any:
    """Polygons of a file whose CRS is `own`, valid and in the CRS of the grid."""
    import pyproj
    import shapely

    if own is not None:
        crs = pyproj.CRS(own)
        _check_reach(subject, crs, shapes)
        if grid.crs is not None:
            to = transformer(crs, grid.crs)
            near = _near(shapes, crs, grid)
            shapes = shapely.transform(near, lambda xy: np.stack(to.transform(xy[:, 0], xy[:, 1]), axis=1))
    return shapely.make_valid(shapes)


def _check_reach(subject: str, crs: Any, shapes: Any) -> None:
    reach = float(np.abs([shape.bounds for shape in shapes]).max())
    if crs.is_geographic and reach > 400:  # GeoJSON is taken for degrees, whatever is in it
        problem = f"its coordinates reach {reach:g}, so they are not longitudes and latitudes"
        raise InputError(subject, problem, "save it with the CRS it is in, such as a GeoPackage")


def _near(shapes: Any, crs: Any, grid: Grid) -> Any:
    """The parts of polygons in the surroundings of a grid; far away its projection may have no place for them."""
    import shapely
    from rasterio.errors import CRSError
    from rasterio.warp import transform_bounds

    try:
        left, bottom, right, top = transform_bounds(grid.crs, crs.to_wkt(), *grid.bounds, densify_pts=51)
    except (*gdal_errors(), CRSError):
        return shapes
    if not np.isfinite((left, bottom, right, top)).all() or left > right:  # across the antimeridian
        return shapes
    margin = max(right - left, top - bottom)
    return shapely.intersection(shapes, shapely.box(left - margin, bottom - margin, right + margin, top + margin))
