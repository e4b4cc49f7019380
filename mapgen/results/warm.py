"""Kernels made ready while the network runs: compiled at the first start on a machine, loaded at any other.

What `map` does after the class map is done once with a raster of a few pixels, in memory: no file is touched.
"""

from __future__ import annotations

import threading

import numpy as np
from affine import Affine

from mapgen.arrays import Array
from mapgen.grid import Grid, Window
from mapgen.legend import NODATA, LayerClass

_SIDE = 256


def warming(*, layer: bool, tiles: bool) -> threading.Thread:
    """A thread that makes the kernels of these parts ready; whoever needs them joins it.

    Where the run ends first nobody waits for it.
    """
    thread = threading.Thread(target=_warm, args=(layer, tiles), name="mapgen-kernels", daemon=True)
    thread.start()
    return thread


def _warm(layer: bool, tiles: bool) -> None:
    try:
        warm(layer, tiles)
    except RuntimeError as exc:  # of pools that are asked to work while the process ends, for whatever reason it does
        if "shutdown" not in str(exc):
            raise


def warm(layer: bool, tiles: bool) -> None:
    """Use each kernel of the parts once, in the order of their need."""
    if layer:
        _warm_layer(_raster())
    if tiles:
        _warm_tiles(_raster())
    _warm_picture()


def _raster() -> Array:
    """Class ids (256, 256) uint8 in squares and single pixels, some without data: holes, corners and small regions."""
    rng = np.random.default_rng(1)
    raster: Array = rng.integers(1, 5, (_SIDE // 16, _SIDE // 16)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    raster[rng.random(raster.shape) < 0.01] = 5
    raster[:16, :40] = NODATA
    return raster


def _grid() -> Grid:
    return Grid("EPSG:3857", Affine(1, 0, 0, 0, -1, 0), _SIDE, _SIDE)


def _warm_layer(raster: Array) -> None:
    from mapgen.layers.geojson_wkb import geojson_features, wkb
    from mapgen.layers.ground import on_the_ground
    from mapgen.polygons.coverage import Generalization, class_drift, coverage_of
    from mapgen.polygons.regions import RegionFinder
    from mapgen.polygons.sieve import sieved

    finder = RegionFinder(_SIDE)
    finder.add(raster[:128])
    finder.add(raster[128:])
    regions = sieved(finder.finish(), 8.0, NODATA)
    wanted = regions.values != NODATA
    wanted[0] = False
    coverage = coverage_of(regions, wanted, Generalization(1.5), 1)
    classes = tuple(LayerClass(k, str(k), "#000000") for k in range(1, 6))
    layer = on_the_ground(coverage, _grid(), "EPSG:4326", "warm", classes, 1)
    class_drift(coverage)
    wkb(layer, 0, len(layer))
    geojson_features(layer, 0, len(layer), 7, {"area_m2": 2, "perimeter_m": 2})


def _warm_tiles(raster: Array) -> None:
    from mapgen.polygons.regions import find_regions, row_strips
    from mapgen.raster.halve import mode_of
    from mapgen.raster.warp import blocks, nearest
    from mapgen.tiling.class_features import ClassTiles, Marks, encoded_tile
    from mapgen.tiling.images import palette_png, used
    from mapgen.tiling.region_ids import RegionIds, labels_at
    from mapgen.tiling.tile_polygons import frame

    how = frame(_SIDE, 2.0)
    patch = np.pad(raster, how.margin, constant_values=NODATA)
    place = Window(0, 0, *patch.shape)
    taken = np.full(patch.shape, NODATA, np.uint8)
    for exact in (lambda c, r: (c, r), lambda c, r: (c + 0.5, r + 0.5)):  # the second hits the borders of pixels
        nearest(blocks(place, exact), exact, patch, place, patch.shape, taken, place)
    parent = np.empty((_SIDE, _SIDE), np.uint8)
    mode_of(NODATA)(raster, parent[: _SIDE // 2, : _SIDE // 2])
    mode_of(NODATA)(raster, np.empty((_SIDE // 2, _SIDE // 2), np.uint8))
    values, places = used(raster)
    palette_png(places.astype(np.uint8, copy=False), np.zeros((len(values), 4), np.uint8))
    parts = [find_regions(row_strips(half), _SIDE) for half in (raster[:128], raster[128:])]
    ids = RegionIds()
    for part in parts:
        ids.add(part)
    ids.finish()
    labels_at(parts[0], np.arange(9), np.arange(9))
    tiles = ClassTiles("classes", how, NODATA, np.array([NODATA]), {k: str(k) for k in range(6)})
    encoded_tile(patch, tiles, lambda polygons: Marks(ids.ids(0, parts[0])[np.ones(len(polygons.classes), int)]))


def _warm_picture() -> None:
    from mapgen.raster.warp import blended, blocks

    place = Window(0, 0, 64, 64)
    colors = np.zeros((4, 64, 64), np.uint8)
    blended(blocks(place, lambda c, r: (c, r)), colors, place, np.zeros_like(colors), place)
