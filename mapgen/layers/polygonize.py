"""Polygons of an array: the whole way from class ids to shapely geometries, without files."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from mapgen.arrays import Longs
from mapgen.grid import applied
from mapgen.layers.geojson_wkb import wkb
from mapgen.layers.ground import counter_clockwise
from mapgen.layers.layer import Layer
from mapgen.legend import LayerClass
from mapgen.polygons.coverage import Coverage, Generalization, coverage_of
from mapgen.polygons.regions import OUTSIDE, find_regions, row_strips
from mapgen.polygons.sieve import fill_holes, sieved

NO_VALUE = -(1 << 62)


def polygonize(
    mask: NDArray[Any],
    *,
    transform: Affine | None = None,
    nodata: int | None = None,
    sieve: float = 0.0,
    min_hole: float = 0.0,
    simplify: float = 0.0,
    method: str = "dp",
    smooth: int = 0,
    threads: int = 1,
) -> tuple[Longs, NDArray[np.object_]]:
    """Class ids (N,) and polygons (N,) of the 4-connected regions of an integer array (H, W), but for `nodata`.

    Sizes (`sieve`, `min_hole`) are in pixels, the tolerance of `simplify` in pixel widths, `smooth` in rounds.
    `transform` takes (column, row) to the coordinates of the polygons; without it they are pixels, y downwards.
    Exteriors run counter-clockwise; polygons come in the order of their first pixels. Laws: those of
    `mapgen.polygons.coverage.draw`; without generalization, rasterizing the polygons gives `mask` back, and the
    area of each is that of its pixels.
    """
    mask = np.asarray(mask)
    if mask.ndim != 2 or mask.dtype.kind not in "iub":
        raise ValueError(f"a mask is a two-dimensional array of integers, not {mask.dtype} {mask.shape}")
    none = NO_VALUE if nodata is None else nodata
    regions = find_regions(row_strips(mask.astype(np.uint8) if mask.dtype == bool else mask), mask.shape[1])
    regions = sieved(regions, sieve, none) if sieve > 0 else regions
    regions = fill_holes(regions, min_hole, none) if min_hole > 0 else regions
    wanted = regions.values != none
    wanted[OUTSIDE] = False
    coverage = coverage_of(regions, wanted, Generalization(simplify, method, smooth), threads)
    return regions.values[coverage.rings.regions], shapely_polygons(coverage, transform or Affine.identity())


def shapely_polygons(coverage: Coverage, transform: Affine) -> NDArray[np.object_]:
    """The polygons of a coverage as shapely geometries, exteriors counter-clockwise in the transformed coordinates."""
    rings = counter_clockwise(coverage.rings, transform)
    count = len(rings.regions)
    classes = (LayerClass(0, "", "#000000"),)
    lines = coverage.lines.moved(partial(applied, transform))
    features, kinds = np.arange(count + 1), np.zeros(count, np.int32)
    layer = Layer("", None, classes, lines, features, rings.parts, rings.offsets, rings.darts, kinds, {})
    offsets, data = wkb(layer, 0, count)
    whole = data.tobytes()
    parts = [whole[a:b] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
    return np.asarray(shapely.from_wkb(np.array(parts, object)))
