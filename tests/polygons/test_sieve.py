"""The sieve and the filling of holes, against references that work pixel by pixel."""

from __future__ import annotations

from collections import Counter

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from patterns import Array, label, masks

from mapgen.layers.polygonize import polygonize
from mapgen.polygons.regions import find_regions, row_strips
from mapgen.polygons.sieve import fill_holes, sieved

NODATA = 0


def numbered(mask: Array) -> Array:
    """The 4-connected components numbered in the order of their first pixels."""
    out = np.zeros(mask.shape, int)
    for value in np.unique(mask):
        parts, _ = label(mask == value)
        out += np.where(parts > 0, parts + out.max(), 0) * (mask == value)
    _, first, which = np.unique(out, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[which].reshape(mask.shape)


def borders(parts: Array, number: int) -> Counter[int]:
    """How many pixel edges a component shares with each other one."""
    edges: Counter[int] = Counter()
    for a, b in ((parts[:-1], parts[1:]), (parts[:, :-1], parts[:, 1:])):
        edges.update(b[(a == number) & (b != number)].tolist())
        edges.update(a[(b == number) & (a != number)].tolist())
    return edges


def slowly_sieved(mask: Array, size: int) -> Array:
    """The definition, one region at a time."""
    mask = mask.copy()
    while True:
        parts = numbered(mask)
        sizes = np.bincount(parts.ravel())
        values = np.zeros(len(sizes), int)
        values[parts.ravel()] = mask.ravel()
        small = [(sizes[i], i) for i in range(len(sizes)) if sizes[i] < size and values[i] != NODATA]
        if not small:
            return mask
        number = min(small)[1]
        edges = borders(parts, number)
        best = max(edges, key=lambda i: (values[i] != NODATA, edges[i], sizes[i], -i), default=None)
        mask[parts == number] = NODATA if best is None else values[best]


def raster(regions, mask: Array) -> Array:  # type: ignore[no-untyped-def]
    return regions.values[regions.raster()].reshape(mask.shape)


@given(masks(side=14), st.integers(1, 30))
def test_the_sieve_agrees_with_its_definition(mask: Array, size: int) -> None:
    regions = sieved(find_regions(row_strips(mask), mask.shape[1]), size, NODATA)
    expected = slowly_sieved(mask, size)
    assert (raster(regions, mask) == expected).all()
    again = find_regions(row_strips(expected.astype(np.uint8)), mask.shape[1])
    assert (regions.raster() == again.raster()).all()
    assert (regions.pixels == again.pixels).all()


@given(masks(side=50), st.integers(2, 200))
def test_no_region_with_data_is_below_the_size(mask: Array, size: int) -> None:
    regions = sieved(find_regions(row_strips(mask), mask.shape[1]), size, NODATA)
    assert not (regions.pixels[1:] < size)[regions.values[1:] != NODATA].any()
    assert regions.pixels.sum() == mask.size


@given(masks(side=20))
def test_a_sieve_by_weights_of_one_is_that_by_pixels(mask: Array) -> None:
    regions = find_regions(row_strips(mask), mask.shape[1])
    plain = sieved(regions, 9, NODATA)
    weighted = sieved(regions, 9, NODATA, np.ones(mask.shape[0]))
    assert (plain.raster() == weighted.raster()).all()


def test_pixels_that_weigh_less_are_sieved_sooner() -> None:
    mask = np.array([[1, 1, 1, 1], [1, 2, 2, 1], [1, 1, 1, 1], [1, 3, 3, 1], [1, 1, 1, 1]], np.uint8)
    regions = sieved(find_regions(row_strips(mask), 4), 1.5, NODATA, np.array([1, 0.5, 1, 1, 1]))
    assert set(regions.values[1:].tolist()) == {1, 3}


@given(masks(side=25), st.integers(1, 60))
def test_holes_below_the_size_are_filled_with_all_that_is_in_them(mask: Array, size: int) -> None:
    _, polygons = polygonize(mask, min_hole=size, nodata=NODATA)
    rings = [shapely.Polygon(ring) for polygon in polygons for ring in polygon.interiors]
    assert all(ring.area >= size for ring in rings)


def test_a_hole_is_filled_whatever_lies_in_it_but_not_a_larger_one() -> None:
    mask = np.full((12, 12), 1, np.uint8)
    mask[2:5, 2:5] = 2
    mask[3, 3] = NODATA
    mask[6:11, 6:11] = 3
    regions = fill_holes(find_regions(row_strips(mask), 12), 10, NODATA)
    expected = np.full((12, 12), 1, np.uint8)
    expected[6:11, 6:11] = 3
    assert (raster(regions, mask) == expected).all()


@given(masks(side=20), st.integers(1, 40))
def test_filling_changes_only_what_is_enclosed(mask: Array, size: int) -> None:
    regions = fill_holes(find_regions(row_strips(mask), mask.shape[1]), size, NODATA)
    filled = raster(regions, mask)
    assert (slowly_enclosed(mask, size) | (filled == mask)).all()
    assert len(regions) <= len(find_regions(row_strips(mask), mask.shape[1]))


def slowly_enclosed(mask: Array, size: int) -> Array:
    """Pixels in a hole below the size of some region with data."""
    parts = numbered(mask)
    out = np.zeros(mask.shape, bool)
    for number in range(parts.max() + 1):
        if mask[parts == number][0] == NODATA:
            continue
        holes, count = label(np.pad(parts != number, 1, constant_values=True), corners=True)
        for hole in range(1, count + 1):
            inside = (holes == hole)[1:-1, 1:-1]
            if holes[0, 0] != hole:
                pieces, pieces_count = label(inside)
                out |= inside & np.isin(pieces, [i for i in range(1, pieces_count + 1) if (pieces == i).sum() < size])
    return out
