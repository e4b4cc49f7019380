"""From regions to a layer: which polygons there are, how their borders run, what they measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from mapgen.grid import Grid
from mapgen.layers.antimeridian import cut_at_antimeridian
from mapgen.layers.area import around, measured, sphere_area
from mapgen.layers.layer import Layer, LayerClass
from mapgen.layers.reproject import LONLAT, is_geographic, projected, straight_step
from mapgen.polygons.arcs import find_arcs
from mapgen.polygons.lines import Floats, Lines, densified, kept_lines
from mapgen.polygons.regions import Regions
from mapgen.polygons.rings import Rings, find_rings
from mapgen.polygons.simplify import keep_vertices
from mapgen.polygons.smooth import smoothed


@dataclass(frozen=True, slots=True)
class Generalization:
    """How borders are drawn: `simplify` is a tolerance in pixel widths, 0 for none; `smooth` a number of rounds.

    `aspect` is the height of a pixel in its widths as far as the tolerance is concerned.
    """

    simplify: float = 0.0
    method: str = "dp"
    smooth: int = 0
    aspect: float = 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Polygons on the pixel grid with shared borders: the rings of the wanted regions refer to `lines`."""

    regions: Regions
    lines: Lines
    rings: Rings

    def areas(self) -> Floats:
        """Area of each polygon in pixels, as its borders now run."""
        return per_polygon(self.rings, _lattice_sums(self.lines), signed=True)


def draw(regions: Regions, wanted: NDArray[np.bool_], how: Generalization, threads: int = 1) -> Coverage:
    """The polygons of the regions for which `wanted[region]`, in the order of their first pixels.

    Laws: without generalization, rasterizing them gives the raster back. With it, every polygon is valid, none overlaps
    another nor one of the regions not wanted, the corners of the raster and the points where three regions meet stay,
    and by `dp` no border moves farther than the tolerance. The same for any number of threads, byte by byte.
    """
    arcs = find_arcs(regions)
    keep = keep_vertices(arcs, how.simplify, how.method, how.aspect, threads)
    rings = find_rings(arcs, wanted)
    lines = smoothed(arcs, keep, how.smooth) if how.smooth else kept_lines(arcs, keep)
    return Coverage(regions, lines, rings)


def per_polygon(rings: Rings, values: Floats, *, signed: bool) -> Floats:
    """The sum of a value of the lines over all rings of each polygon."""
    if not len(rings.regions):
        return np.empty(0)
    sums = around(rings.offsets, rings.darts, values, signed)
    return np.add.reduceat(sums, rings.parts[:-1])


def _lattice_sums(lines: Lines) -> Floats:
    """Signed area of each line in pixels, so that a polygon on the left, seen with row 0 at the top, is positive."""
    x, y = lines.x, lines.y
    cross = np.zeros(len(x))
    cross[1:] = (x[1:] * y[:-1] - x[:-1] * y[1:]) / 2
    cross[lines.offsets[:-1]] = 0
    return np.add.reduceat(cross, lines.offsets[:-1]) if len(lines) else np.empty(0)


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
        lines = coverage.lines.moved(grid.transform)
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


def class_drift(coverage: Coverage) -> dict[int, float]:
    """By how many pixels the area of each class has changed since the raster, signed; zero without generalization."""
    numbers = coverage.rings.regions
    change = coverage.areas() - coverage.regions.pixels[numbers]
    ids, which = np.unique(coverage.regions.values[numbers], return_inverse=True)
    return {int(i): float(v) for i, v in zip(ids, np.bincount(which, change, len(ids)), strict=True)}
