"""From regions to a layer: which polygons there are, how their borders run, what they measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Floats
from mapgen.polygons.arcs import find_arcs
from mapgen.polygons.lines import Lines, kept_lines
from mapgen.polygons.regions import Regions
from mapgen.polygons.rings import Rings, around, find_rings
from mapgen.polygons.simplify import keep_vertices
from mapgen.polygons.smooth import smoothed
from mapgen.polygons.squares import Squared, squared


@dataclass(frozen=True, slots=True)
class Generalization:
    """How borders are drawn: `simplify` is a tolerance in pixel widths, 0 for none; `smooth` a number of rounds.

    `aspect` is the height of a pixel in its widths as far as the tolerance is concerned. `square` are the values whose
    regions get right angles, each with a tolerance in pixel widths and the number of directions, 4 or 8, of angles on
    the ground, where the height of a pixel is `ground` widths.
    """

    simplify: float = 0.0
    method: str = "dp"
    smooth: int = 0
    aspect: float = 1.0
    square: Mapping[int, tuple[float, int]] = field(default_factory=dict)
    ground: float = 1.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """Polygons on the pixel grid with shared borders: the rings of the wanted regions refer to `lines`."""

    regions: Regions
    lines: Lines
    rings: Rings
    squares: Squared | None = None
    """What became of the regions that were to get right angles."""

    def areas(self) -> Floats:
        """Area of each polygon in pixels, as its borders now run."""
        return per_polygon(self.rings, _lattice_sums(self.lines), signed=True)


def coverage_of(regions: Regions, wanted: NDArray[np.bool_], how: Generalization, threads: int = 1) -> Coverage:
    """The polygons of the regions for which `wanted[region]`, in the order of their first pixels.

    Laws: without generalization, rasterizing them gives the raster back. With it, every polygon is valid, none overlaps
    another nor one of the regions not wanted, the corners of the raster and the points where three regions meet stay,
    and by `dp` no border moves farther than the tolerance; with squares, polygons stay valid and none overlaps another,
    and borders that end at one may move with it. The same for any number of threads, byte by byte.
    """
    arcs = find_arcs(regions)
    keep = keep_vertices(arcs, how.simplify, how.method, how.aspect, threads)
    rings = find_rings(arcs, wanted)
    lines = smoothed(arcs, keep, how.smooth) if how.smooth else kept_lines(arcs, keep)
    if not how.square:
        return Coverage(regions, lines, rings)
    values = np.repeat(regions.values[rings.regions], np.diff(rings.parts))
    tolerance, directions = np.zeros(len(values)), np.full(len(values), 4, np.int64)
    for value, (size, count) in how.square.items():
        tolerance[values == value], directions[values == value] = size, count
    made = squared(arcs, rings, lines, tolerance, directions, how.ground)
    return Coverage(regions, made.lines, rings, made)


def count_squares(coverage: Coverage) -> dict[int, tuple[int, int]]:
    """By value how many rings got right angles, and how many were to."""
    if coverage.squares is None:
        return {}
    rings, tried, done = coverage.rings, coverage.squares.tried, coverage.squares.done
    values = np.repeat(coverage.regions.values[rings.regions], np.diff(rings.parts))
    ids = np.unique(values[tried]).tolist()
    return {int(i): (int((done & (values == i)).sum()), int((tried & (values == i)).sum())) for i in ids}


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


def class_drift(coverage: Coverage) -> dict[int, float]:
    """By how many pixels the area of each class has changed since the raster, signed; zero without generalization."""
    numbers = coverage.rings.regions
    change = coverage.areas() - coverage.regions.pixels[numbers]
    ids, which = np.unique(coverage.regions.values[numbers], return_inverse=True)
    return {int(i): float(v) for i, v in zip(ids, np.bincount(which, change, len(ids)), strict=True)}
