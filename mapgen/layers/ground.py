"""From pixels to the ground: a coverage as a layer in a CRS, with areas and perimeters in metres."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from affine import Affine

from mapgen.arrays import Floats
from mapgen.grid import Grid
from mapgen.layers.antimeridian import cut_at_antimeridian
from mapgen.layers.area import measured, sphere_area
from mapgen.layers.layer import Layer
from mapgen.layers.reproject import LONLAT, is_geographic, projected, straight_step
from mapgen.legend import LayerClass
from mapgen.polygons.coverage import Coverage, per_polygon
from mapgen.polygons.lines import Lines, densified
from mapgen.polygons.rings import Rings


def on_the_ground(
    coverage: Coverage,
    grid: Grid,
    crs: str | None,
    name: str,
    classes: Sequence[LayerClass],
    threads: int = 1,
) -> Layer:
    """The coverage as a layer in `crs`, or in longitude and latitude for None, with areas in m² and perimeters in m.

    Borders are cut finely enough to be nowhere more than a tenth of a pixel off after reprojection; each is projected
    once for both its sides. Areas are those on the WGS 84 ellipsoid, from coordinates before any rounding.
    """
    assert grid.crs is not None
    step = straight_step(grid)
    fine = densified(coverage.lines, step)
    lonlat = projected(fine, grid.transform, grid.crs, LONLAT, threads)
    if crs is None:
        lines = lonlat
    elif crs == grid.crs:
        lines = coverage.lines.moved(grid.points)
    else:
        lines = projected(fine, grid.transform, grid.crs, crs, threads)
    rings = counter_clockwise(coverage.rings, grid.transform)
    columns = _measures(rings, lonlat)
    table = {c.id: i for i, c in enumerate(classes)}
    ids, which = np.unique(coverage.regions.values[rings.regions], return_inverse=True)
    kinds = np.array([table[int(i)] for i in ids], np.int32)[which] if len(ids) else np.empty(0, np.int32)
    features = np.arange(len(rings.regions) + 1)
    layer = Layer(name, crs, tuple(classes), lines, features, rings.parts, rings.offsets, rings.darts, kinds, columns)
    return cut_at_antimeridian(layer) if crs is None or is_geographic(crs) else layer


def _measures(rings: Rings, lonlat: Lines) -> dict[str, Floats]:
    areas, lengths, turns = measured(lonlat)
    area = per_polygon(rings, areas, signed=True)
    # A ring around a pole encloses what lies beyond it as seen from the equator: the rest of the hemisphere.
    area += np.rint(np.abs(per_polygon(rings, turns, signed=True)) / 360) * sphere_area() / 2
    return {"area_m2": area, "perimeter_m": per_polygon(rings, lengths, signed=False)}


def counter_clockwise(rings: Rings, transform: Affine) -> Rings:
    """The rings so that exteriors run counter-clockwise on the ground: turned round where the grid is mirrored."""
    if transform.determinant < 0:
        return rings
    darts = np.empty_like(rings.darts)
    ends = np.repeat(rings.offsets[1:], np.diff(rings.offsets))
    starts = np.repeat(rings.offsets[:-1], np.diff(rings.offsets))
    darts[:] = rings.darts[starts + ends - 1 - np.arange(len(darts))] ^ 1
    return Rings(rings.regions, rings.parts, rings.offsets, darts, rings.area)
