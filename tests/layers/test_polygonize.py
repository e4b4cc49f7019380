"""The laws of polygons: exact without generalization, a valid coverage with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from patterns import PATTERNS, Array, label, masks, tolerances
from rasterio.features import rasterize, shapes
from shapely.geometry import shape

from mapgen.layers.polygonize import polygonize, shapely_polygons
from mapgen.polygons.coverage import Generalization, class_drift, coverage_of
from mapgen.polygons.regions import OUTSIDE, find_regions, row_strips


def components(mask: Array) -> int:
    """Number of 4-connected components of equal value."""
    return sum(label(mask == value)[1] for value in np.unique(mask))


def burnt(values: Array, polygons: Array, shape: tuple[int, ...]) -> Array:
    """The polygons rasterized, 255 where there is none."""
    pairs = zip(polygons, values.tolist(), strict=True)
    return rasterize(pairs, shape, fill=255, dtype="uint8") if len(polygons) else np.full(shape, 255, np.uint8)


def assert_covers(polygons: Array, area: float) -> None:
    """Every polygon is valid, neighbours share all their vertices, and nothing overlaps or is left out."""
    reasons = set(shapely.is_valid_reason(polygons))
    assert reasons == {"Valid Geometry"}
    assert shapely.coverage_is_valid(polygons)
    assert shapely.area(polygons).sum() == pytest.approx(area, rel=1e-9)
    assert shapely.area(shapely.union_all(polygons)) == pytest.approx(area, rel=1e-9)


@given(masks())
def test_rasterizing_the_polygons_gives_the_mask_back(mask: Array) -> None:
    values, polygons = polygonize(mask)
    assert (burnt(values, polygons, mask.shape) == mask).all()


@given(masks())
def test_there_is_one_polygon_for_each_4_connected_component_and_its_area_is_its_pixels(mask: Array) -> None:
    values, polygons = polygonize(mask)
    assert len(polygons) == components(mask)
    for value in np.unique(mask):
        assert shapely.area(polygons[values == value]).sum() == (mask == value).sum()


@given(masks())
def test_unsimplified_polygons_are_a_valid_coverage(mask: Array) -> None:
    assert_covers(polygonize(mask)[1], mask.size)


@given(masks(side=60), tolerances, st.sampled_from(["dp", "vw"]), st.integers(0, 3))
def test_generalized_polygons_are_a_valid_coverage(mask: Array, tolerance: float, method: str, rounds: int) -> None:
    _, polygons = polygonize(mask, simplify=tolerance, method=method, smooth=rounds)
    assert len(polygons) == components(mask)
    assert_covers(polygons, mask.size)


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("method", ["dp", "vw"])
def test_hostile_patterns_stay_a_valid_coverage(name: str, method: str) -> None:
    mask = PATTERNS[name](90, 70)
    for tolerance, rounds in ((0.0, 0), (1.5, 0), (20.0, 2)):
        assert_covers(polygonize(mask, simplify=tolerance, method=method, smooth=rounds)[1], mask.size)


@given(masks(), st.sampled_from([0.5, 2.3]), st.sampled_from(["dp", "vw"]))
def test_pixels_that_are_not_square_keep_the_coverage_valid(mask: Array, aspect: float, method: str) -> None:
    regions = find_regions(row_strips(mask), mask.shape[1])
    coverage = coverage_of(regions, np.arange(len(regions) + 1) > OUTSIDE, Generalization(2.0, method, 1, aspect))
    assert_covers(shapely_polygons(coverage, Affine.identity()), mask.size)


@given(masks(side=50), st.integers(1, 60), st.integers(1, 5))
def test_strips_and_threads_leave_no_trace(mask: Array, rows: int, threads: int) -> None:
    how = Generalization(1.5, "dp", 1)
    expected = wkb_of(mask, mask.shape[0], 1, how)
    assert wkb_of(mask, rows, threads, how) == expected


def wkb_of(mask: Array, rows: int, threads: int, how: Generalization) -> bytes:
    regions = find_regions(row_strips(mask, rows), mask.shape[1])
    coverage = coverage_of(regions, np.arange(len(regions) + 1) > OUTSIDE, how, threads)
    return b"".join(shapely.to_wkb(shapely_polygons(coverage, Affine.identity())))


@given(masks(), tolerances)
def test_douglas_peucker_moves_no_border_farther_than_the_tolerance(mask: Array, tolerance: float) -> None:
    before, after = polygonize(mask)[1], polygonize(mask, simplify=tolerance)[1]
    away = shapely.hausdorff_distance(shapely.boundary(before), shapely.boundary(after))
    assert (away <= tolerance + 1e-9).all()


@given(masks(), tolerances)
def test_the_drift_of_each_class_is_what_its_polygons_gained(mask: Array, tolerance: float) -> None:
    regions = find_regions(row_strips(mask), mask.shape[1])
    coverage = coverage_of(regions, np.arange(len(regions) + 1) > OUTSIDE, Generalization(tolerance, "vw", 1))
    values, polygons = polygonize(mask, simplify=tolerance, method="vw", smooth=1)
    for value, gained in class_drift(coverage).items():
        area = shapely.area(polygons[values == value]).sum()
        assert gained == pytest.approx(area - (mask == value).sum(), abs=1e-6)


@given(masks(side=25))
def test_the_union_of_each_class_is_that_of_rasterio(mask: Array) -> None:
    values, polygons = polygonize(mask)
    theirs = [(shape(geometry), value) for geometry, value in shapes(mask)]
    for value in np.unique(mask):
        ours = shapely.union_all(polygons[values == value])
        assert ours.equals(shapely.union_all([g for g, v in theirs if v == value]))


@given(masks(), st.integers(0, 5))
def test_nodata_is_never_a_polygon_and_leaves_its_place_empty(mask: Array, nodata: int) -> None:
    values, polygons = polygonize(mask, nodata=nodata)
    assert nodata not in values
    assert (burnt(values, polygons, mask.shape) == np.where(mask == nodata, 255, mask)).all()


@given(masks(), tolerances, st.integers(0, 3))
def test_what_is_not_wanted_changes_nothing_about_the_rest(mask: Array, tolerance: float, left_out: int) -> None:
    values, polygons = polygonize(mask, simplify=tolerance)
    rest = polygonize(mask, simplify=tolerance, nodata=left_out)[1]
    assert list(rest) == list(polygons[values != left_out])


@pytest.mark.parametrize("transform", [
    Affine(2, 0, 100, 0, -2, 900), Affine(2, 0, 100, 0, 2, 900), Affine(1, 2, 5, 2, -1, 7), Affine(-1, 0, 9, 0, -3, 4),
])  # fmt: skip
def test_any_grid_gives_exteriors_that_run_anticlockwise_and_the_area_of_the_pixels(transform: Affine) -> None:
    mask = PATTERNS["islands"](12, 9)
    _, polygons = polygonize(mask, transform=transform)
    assert shapely.is_ccw(shapely.get_exterior_ring(polygons)).all()
    assert not shapely.is_ccw(shapely.get_interior_ring(polygons[0], 0))
    assert shapely.area(polygons).sum() == pytest.approx(mask.size * abs(transform.determinant))


def test_polygons_come_in_the_order_of_their_first_pixels() -> None:
    mask = np.array([[3, 3, 1], [2, 3, 1], [2, 2, 3]], np.uint8)
    assert polygonize(mask)[0].tolist() == [3, 1, 2, 3]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "bool"])
def test_any_integers_will_do(dtype: str) -> None:
    mask = np.array([[0, 1], [1, 1]]).astype(dtype)
    assert polygonize(mask)[0].tolist() == [0, 1]


@pytest.mark.parametrize("mask", [np.zeros((2, 2)), np.zeros(3, int), np.zeros((1, 2, 2), int)])
def test_what_is_no_mask_is_refused(mask: Any) -> None:
    with pytest.raises(ValueError, match="two-dimensional array of integers"):
        polygonize(mask)


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_an_array_without_pixels_has_no_polygons(shape: tuple[int, int]) -> None:
    assert len(polygonize(np.zeros(shape, np.uint8))[1]) == 0
