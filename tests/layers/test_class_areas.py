"""Pixels are counted exactly, and their ground agrees with geodesics."""

import numpy as np
import pytest
from affine import Affine
from factory import north_up
from pyproj import Geod, Transformer

from mapgen.grid import Grid
from mapgen.layers.class_areas import ClassAreas


def counted(classes, strip=512):
    census = ClassAreas()
    for row in range(0, len(classes), strip):
        census.add(row, classes[row : row + strip])
    return census


def test_every_pixel_is_counted_once():
    classes = np.random.default_rng(1).choice([0, 3, 255], (700, 1100)).astype(np.uint8)
    values, counts = np.unique(classes, return_counts=True)
    assert counted(classes).finish() == dict(zip(values.tolist(), counts.tolist(), strict=True))


def geodesic(grid, row, col, height, width, edges=200):
    """The area of a window by `pyproj.Geod`, its sides cut finely."""
    t = np.linspace(0, 1, edges, endpoint=False)
    cols = np.concatenate([col + width * t, np.full(edges, col + width), col + width * (1 - t), np.full(edges, col)])
    rows = np.concatenate([np.full(edges, row), row + height * t, np.full(edges, row + height), row + height * (1 - t)])
    x, y = grid.transform @ (cols, rows)
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(x, y)
    return abs(Geod(ellps="WGS84").polygon_area_perimeter(lon, lat)[0])


GRIDS = {
    "utm, far from its meridian": Grid("EPSG:32640", north_up(2.0, (200_000, 6_700_000)), 700, 1100),
    "degrees": Grid("EPSG:4326", north_up(1e-4, (7.0, 60.0)), 700, 1100),
    "web mercator": Grid("EPSG:3857", north_up(30.0, (1e6, 8e6)), 700, 1100),
    "south up": Grid("EPSG:32640", Affine(2.0, 0, 300_000, 0, 2.0, 5e6), 700, 1100),
    "turned": Grid("EPSG:32640", Affine(1.6, 1.2, 300_000, 1.2, -1.6, 5e6), 700, 1100),
}


@pytest.mark.parametrize("name", GRIDS)
def test_areas_are_those_on_the_ellipsoid(name):
    grid = GRIDS[name]
    classes = np.ones((700, 1100), np.uint8)
    classes[:, 512:] = 2
    classes[512:, :512] = 7
    areas = counted(classes).areas(grid)
    for k, window in {1: (0, 0, 512, 512), 2: (0, 512, 700, 588), 7: (512, 0, 188, 512)}.items():
        assert areas[k] == pytest.approx(geodesic(grid, *window), rel=1e-6)


def test_a_class_within_cells_has_its_share_of_the_ground():
    grid = GRIDS["utm, far from its meridian"]
    classes = np.random.default_rng(2).integers(0, 3, (700, 1100)).astype(np.uint8)
    census = counted(classes)
    total = sum(census.areas(grid).values())
    assert total == pytest.approx(geodesic(grid, 0, 0, 700, 1100), rel=1e-6)
    assert census.areas(grid)[0] / total == pytest.approx(census.finish()[0] / classes.size, rel=1e-4)
