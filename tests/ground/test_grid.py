"""Laws of windows and grids."""

import math

import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from mapgen.errors import CrsError
from mapgen.grid import Grid, Window, is_singular, transformer

UTM = "EPSG:32640"
FEET = "EPSG:2263"  # New York Long Island, US survey feet

windows = st.builds(Window, st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 60), st.integers(0, 60))


@given(windows, windows)
def test_intersection_is_commutative_and_inside_both(one, other):
    both = one & other
    assert both.area == (other & one).area
    if both.area:
        assert one.contains(both)
        assert other.contains(both)


@given(windows, windows)
def test_intersection_counts_the_shared_pixels(one, other):
    rows = set(range(one.row, one.bottom)) & set(range(other.row, other.bottom))
    cols = set(range(one.col, one.right)) & set(range(other.col, other.right))
    assert (one & other).area == len(rows) * len(cols)


@pytest.mark.parametrize(
    "transform",
    [
        Affine(1, 0, 290400, 0, -1, 2631800),
        Affine(1, 0, 290400, 0, 1, 2631800),  # south up
        Affine.translation(290400, 2631800) @ Affine.rotation(30) @ Affine.scale(2, -2),
    ],
)
def test_a_cropped_grid_has_its_pixels_where_they_were(transform):
    grid = Grid(UTM, transform, 100, 80)
    part = grid.crop(Window(7, 11, 20, 30))
    for row, col in ((0, 0), (19, 29), (20, 30)):
        assert part.transform @ (col, row) == pytest.approx(transform @ (col + 11, row + 7), abs=1e-9)


@given(st.integers(0, 99), st.integers(0, 79), st.integers(1, 40), st.integers(1, 40))
def test_the_window_of_a_crops_bounds_is_the_crop(row, col, height, width):
    grid = Grid(UTM, Affine(0.6, 0, 361234.2, 0, -0.6, 3767000.4), 140, 120)
    window = Window(row, col, height, width) & grid.window
    assert grid.window_of(grid.crop(window).bounds) == window


def test_resolution_of_feet_is_in_metres():
    grid = Grid(FEET, Affine(1, 0, 980000, 0, -1, 200000), 100, 100)
    assert grid.resolution_m == pytest.approx((0.3048006, 0.3048006), rel=1e-4)


def test_resolution_of_degrees_depends_on_the_latitude():
    across, down = Grid("EPSG:4326", Affine(1e-5, 0, 10, 0, -1e-5, 60), 10, 10).resolution_m
    assert across == pytest.approx(math.cos(math.radians(60)) * 1.1166, rel=1e-2)
    assert down == pytest.approx(1.1141, rel=1e-3)


def test_web_mercator_pixels_are_measured_on_the_ground():
    # At 60° north Web Mercator stretches twofold.
    grid = Grid("EPSG:3857", Affine(1, 0, 1113194.9, 0, -1, 8399737.9), 10, 10)
    assert grid.resolution_m == pytest.approx((0.5, 0.5), rel=6e-3)


@given(st.integers(1, 500), st.integers(1, 500), st.floats(0.2, 9))
def test_a_grid_at_another_resolution_keeps_its_outline(height, width, resolution_m):
    grid = Grid(UTM, Affine(1, 0, 290400, 0, -1, 2631800), height, width)
    other = grid.at(resolution_m)
    assert other.transform @ (other.width, other.height) == pytest.approx(grid.transform @ (width, height), abs=1e-6)
    assert min(other.height, other.width) >= 1


@pytest.mark.parametrize(
    "transform", [Affine(0, 0, 5, 0, -1, 5), Affine(1, 1, 0, 1, 1, 0), Affine(math.nan, 0, 0, 0, 1, 0)]
)
def test_transforms_without_area_are_singular(transform):
    assert is_singular(transform)


LOCAL = 'LOCAL_CS["a building site",UNIT["metre",1]]'


@pytest.mark.parametrize("pair", [(LOCAL, "OGC:CRS84"), ("OGC:CRS84", LOCAL), ("what is this", "OGC:CRS84")])
def test_a_crs_without_a_way_to_another_is_an_error_of_the_input_and_names_both(pair):
    with pytest.raises(CrsError, match=r"has no way to .* that PROJ knows; assign the right one") as found:
        transformer(*pair)
    assert found.value.exit_code == 4
    assert "site" in str(found.value) or "what is this" in str(found.value)


def test_the_resolution_of_a_grid_whose_crs_nobody_can_read_is_an_error_of_the_input():
    with pytest.raises(CrsError, match="is one that PROJ cannot read"):
        _ = Grid("what is this", Affine(1, 0, 0, 0, -1, 0), 4, 4).resolution_m
