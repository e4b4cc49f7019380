"""Burning by pixel centre, against asking every centre, and its laws."""

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from mapgen.grid import Window
from mapgen.layers.rasterize import Polygons

WHOLE = Window(0, 0, 30, 40)


def polygons(shapes):
    _, coordinates, (points, rings) = shapely.to_ragged_array(list(shapes), include_z=False)
    return Polygons(coordinates, points.astype(np.int64), rings.astype(np.int64))


def inside(ring, x, y):
    """Whether rays from the points to the left cross the ring an odd number of times."""
    odd = np.zeros(x.shape, bool)
    for (x0, y0), (x1, y1) in pairwise(ring):
        with np.errstate(divide="ignore", invalid="ignore"):
            odd ^= ((y0 > y) != (y1 > y)) & (x0 + (y - y0) * (x1 - x0) / (y1 - y0) < x)
    return odd


@given(seed=st.integers(0, 300), count=st.integers(1, 6))
def test_a_pixel_takes_the_last_polygon_that_its_centre_lies_in(seed, count):
    rng = np.random.default_rng(seed)
    shapes = [
        shapely.Polygon(rng.uniform(-5, 45, (rng.integers(3, 9), 2))) for _ in range(count)
    ]  # most cross themselves
    y, x = np.mgrid[0:30, 0:40] + 0.5
    expected = np.full((30, 40), -1)
    for p, shape in enumerate(shapes):
        expected[inside(shape.exterior.coords, x, y)] = p
    np.testing.assert_array_equal(polygons(shapes).rasterized(WHOLE, range(count), -1), expected)


@given(seed=st.integers(0, 300), row=st.integers(-5, 29), col=st.integers(-5, 39), size=st.integers(1, 20))
def test_what_is_burned_does_not_depend_on_the_window(seed, row, col, size):
    rng = np.random.default_rng(seed)
    found = polygons(shapely.Polygon(rng.integers(0, 81, (6, 2)) / 2) for _ in range(4))  # many centres on borders
    large = Window(-10, -10, 70, 80)
    window = Window(row, col, size, size + 3)
    np.testing.assert_array_equal(
        found.rasterized(window, range(4), -1), found.rasterized(large, range(4), -1)[window.slices(large)]
    )


@pytest.mark.parametrize("seed", range(8))
def test_polygons_that_share_their_borders_leave_no_centre_out_and_none_twice(seed):
    rng = np.random.default_rng(seed)
    inner = rng.integers(0, 60, (40, 2)) + 0.5  # corners on centres, where it matters
    points = np.concatenate((inner, [(-9, -9), (70, -9), (70, 70), (-9, 70)]))
    triangles = shapely.delaunay_triangles(shapely.MultiPoint(points)).geoms
    window = Window(0, 0, 60, 60)
    times = sum((polygons([t]).rasterized(window, [1], 0) for t in triangles), np.zeros((60, 60), int))
    assert (times == 1).all()


def test_holes_are_left_out_and_both_halves_of_a_bow_tie_taken():
    ring = shapely.box(2, 2, 20, 20).difference(shapely.box(5, 5, 9, 9))
    bow_tie = shapely.Polygon([(22, 2), (38, 18), (38, 2), (22, 18)])
    found = polygons([ring, bow_tie]).rasterized(WHOLE, [3, 4], 0)
    assert (found == 3).sum() == 18 * 18 - 16
    assert found[10, 24] == found[10, 36] == 4
    assert found[3, 30] == 0


def test_polygons_far_away_cost_and_burn_nothing():
    far = polygons([shapely.box(1e300, 1e300, 2e300, 2e300), shapely.box(-1e18, -1e18, -1e17, -1e17)])
    assert not far.rasterized(WHOLE, [1, 2], 0).any()
    assert (polygons([shapely.box(-1e18, -1e18, 1e18, 1e18)]).rasterized(WHOLE, [1], 0) == 1).all()


@given(seed=st.integers(0, 200), step=st.sampled_from([0.3, 1.0, 7.0, 1e9]))
def test_divided_edges_are_short_and_where_they_were(seed, step):
    rng = np.random.default_rng(seed)
    shapes = [shapely.Polygon(rng.uniform(0, 30, (rng.integers(3, 7), 2))) for _ in range(3)]
    shapes.append(shapely.box(0, 0, 20, 20).difference(shapely.box(3, 3, 8, 8)))
    whole = polygons(shapes)
    found = whole.divided(step)
    for ring in range(len(whole.points) - 1):
        old, new = (p.coordinates[p.points[ring] : p.points[ring + 1]] for p in (whole, found))
        assert np.hypot(*np.diff(new, axis=0).T).max() <= step * (1 + 1e-9)
        assert {tuple(p) for p in old.tolist()} <= {tuple(p) for p in new.tolist()}
        np.testing.assert_array_equal(new[[0, -1]], old[[0, -1]])
        assert shapely.hausdorff_distance(shapely.LinearRing(old), shapely.LinearRing(new)) < 1e-9


def test_bounds_are_those_of_each_polygon_and_unknown_where_a_point_has_no_place():
    shapes = [
        shapely.box(1, 2, 3, 4),
        shapely.box(0, 0, 20, 20).difference(shapely.box(3, 3, 8, 8)),
        shapely.box(5, 5, 6, 7),
    ]
    found = polygons(shapes)
    np.testing.assert_array_equal(found.bounds, shapely.bounds(shapes))
    found.coordinates[0] = np.inf
    lost = found.moved(lambda p: p)
    assert np.isnan(lost.bounds[0]).all()
    assert not (lost.rasterized(WHOLE, [1, 2, 3], 0) == 1).any()
