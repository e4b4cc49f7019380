"""Nearest pixels of one grid on another, against PROJ for every single pixel."""

import numpy as np
import pyproj
import pytest
from affine import Affine
from factory import ORIGIN, north_up

from mapgen.grid import Grid, Window
from mapgen.raster.placement import Placement, same_crs

UTM = pyproj.CRS("EPSG:32640").to_wkt()
NEXT_ZONE = pyproj.CRS("EPSG:32639").to_wkt()
LONLAT = pyproj.CRS("EPSG:4326").to_wkt()
MERCATOR = pyproj.CRS("EPSG:3857").to_wkt()

TARGET = Grid(UTM, north_up(1.0), 150, 130)


def around(crs, height, width, angle=0.0):
    """A grid that covers TARGET, in another CRS, perhaps turned about its middle."""
    to = pyproj.Transformer.from_crs(UTM, crs, always_xy=True)
    left, bottom, right, top = to.transform_bounds(*TARGET.bounds)
    turned = Affine.translation(left, top) @ Affine.rotation(angle)
    return Grid(crs, turned @ Affine.scale((right - left) / width, (bottom - top) / height), height, width)


def exact(target, source):
    """Places (row, column) of the pixel centres, one by one."""
    rows, cols = np.mgrid[0 : target.height, 0 : target.width] + 0.5
    x, y = target.transform @ (cols, rows)
    x, y = pyproj.Transformer.from_crs(target.crs, source.crs, always_xy=True).transform(x, y)
    col, row = ~source.transform @ (x, y)
    return row, col


SOURCES = {
    "lonlat": around(LONLAT, 100, 90), "next zone": around(NEXT_ZONE, 300, 310), "turned": around(MERCATOR, 90, 90, 20),
    "coarse": Grid(UTM, north_up(7.3), 22, 19),
    "south up": Grid(UTM, Affine(2, 0, ORIGIN[0], 0, 2, ORIGIN[1] - 200), 100, 60),
}  # fmt: skip


@pytest.mark.parametrize("name", SOURCES)
def test_pixels_are_those_under_the_centres(name):
    source = SOURCES[name]
    found = Placement(TARGET, source).positions(TARGET.window)
    places = exact(TARGET, source)
    inside = np.ones(found[0].shape, bool)
    for place, size in zip(places, (source.height, source.width), strict=True):
        inside &= (place >= 0.02) & (place < size - 0.02)
    for position, place in zip(found, places, strict=True):
        sure = inside & (np.abs(place - np.round(place)) > 0.02)  # beyond the tolerance of interpolation
        assert sure.mean() > 0.05
        np.testing.assert_array_equal(position[sure], np.floor(place[sure]))
    away = (places[0] < -0.02) | (places[0] > source.height + 0.02)
    assert (found[0][away] == -1).all()


@pytest.mark.parametrize("name", SOURCES)
def test_pixels_do_not_depend_on_the_window(name):
    placement = Placement(TARGET, SOURCES[name])
    whole = placement.positions(TARGET.window)
    for window in (Window(0, 0, 1, 1), Window(149, 129, 1, 1), Window(63, 64, 3, 30), Window(17, 0, 90, 130)):
        for part, all_of_it in zip(placement.positions(window), whole, strict=True):
            np.testing.assert_array_equal(part, all_of_it[window.slices(TARGET.window)])


@pytest.mark.parametrize("name", SOURCES)
def test_nothing_of_the_source_lies_outside_its_extent(name):
    placement = Placement(TARGET, SOURCES[name])
    rows, _ = placement.positions(TARGET.window)
    outside = np.ones(rows.shape, bool)
    outside[placement.extent().slices(TARGET.window)] = False
    assert (rows[outside] == -1).all()


def test_the_extent_of_a_small_source_is_small():
    source = Grid(LONLAT, around(LONLAT, 100, 90).transform, 10, 9)
    assert Placement(TARGET, source).extent().area < 0.05 * TARGET.window.area


def test_ground_elsewhere_has_an_empty_extent():
    assert Placement(TARGET, Grid(UTM, north_up(1.0, (0.0, 0.0)), 50, 50)).extent().area == 0
    assert Placement(TARGET, Grid(LONLAT, Affine(0.001, 0, -60, 0, -0.001, 10), 50, 50)).extent().area == 0


def test_centres_on_the_borders_of_finer_pixels_all_go_the_same_way():
    rows, cols = Placement(TARGET, Grid(UTM, north_up(0.5), 300, 260)).positions(TARGET.window)
    np.testing.assert_array_equal(rows[:, 0], 2 * np.arange(150) + 1)
    np.testing.assert_array_equal(cols[0], 2 * np.arange(130) + 1)


def test_longitudes_go_on_beyond_the_antimeridian():
    beyond = Grid(LONLAT, Affine(0.001, 0, 179.9, 0, -0.001, 10.0), 100, 200)  # 179.9 … 180.1
    utm = Grid(pyproj.CRS("EPSG:32601").to_wkt(), Affine(100, 0, 155_000, 0, -100, 1_106_000), 80, 220)
    _, cols = Placement(utm, beyond).positions(utm.window)
    x, y = utm.transform @ tuple(np.meshgrid(np.arange(220) + 0.5, np.arange(80) + 0.5))
    lon, lat = pyproj.Transformer.from_crs("EPSG:32601", "EPSG:4326", always_xy=True).transform(x, y)
    lon = np.where(lon < 0, lon + 360, lon)
    inside = (lon > 179.9001) & (lon < 180.0999) & (lat < 9.9999) & (lat > 9.9001)
    assert inside.mean() > 0.5
    assert (cols[inside] >= 0).all()
    assert np.abs((lon - 179.9) / 0.001 - cols - 0.5)[inside].max() < 0.52
    assert (cols[(lon < 179.8999) | (lon > 180.1001)] == -1).all()


def test_crss_are_compared_by_what_they_mean():
    assert same_crs(UTM, pyproj.CRS("EPSG:32640").to_wkt("WKT1_GDAL"))
    assert same_crs(None, UTM)
    assert not same_crs(UTM, NEXT_ZONE)
