"""The polygons of one tile: exact, valid, without gaps, and the neighbour's where tiles overlap."""

import itertools

import numpy as np
import pytest
import rasterio.features
import shapely
from decoding import polygons_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tilegrounds import NODATA, blobs, grounds

from mapgen.polygons.regions import find_regions, row_strips
from mapgen.tiling.class_features import ClassTiles, class_layer, encoded_tile, grouped
from mapgen.tiling.mvt import EXTENT
from mapgen.tiling.tile_polygons import Frame, TilePolygons, frame, sieved_patch, tile_polygons

HIDDEN = np.array([NODATA])
SIDE = 64
tolerances = st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.5, 5.0, 20.0])


def square(at: Frame, x: int = 0, y: int = 0, buffer: int | None = None) -> shapely.Polygon:
    """The ground of a tile with its buffer."""
    more = at.buffer * at.unit if buffer is None else buffer
    return shapely.box(x * EXTENT - more, y * EXTENT - more, (x + 1) * EXTENT + more, (y + 1) * EXTENT + more)


def inner(patch: np.ndarray, at: Frame) -> np.ndarray:
    """The pixels of tile and buffer."""
    return patch[at.guard : -at.guard, at.guard : -at.guard]


def burnt(drawn: TilePolygons, at: Frame) -> np.ndarray:
    """The polygons as pixels of tile and buffer, by GDAL."""
    size, start = at.side + 2 * at.buffer, -at.buffer * at.unit
    transform = rasterio.Affine(at.unit, 0, start, 0, at.unit, start)
    shapes = list(zip(polygons_of(drawn.shapes), drawn.classes.tolist(), strict=True))
    if not shapes:
        return np.full((size, size), NODATA, np.uint8)
    return rasterio.features.rasterize(shapes, (size, size), NODATA, transform=transform, dtype="uint8")


@given(data=st.data(), side=st.sampled_from([64, 128]))
def test_without_simplification_the_polygons_are_the_pixels(data, side):
    at = frame(side, 0)
    patch = data.draw(grounds(at.patch, at.patch))
    drawn = tile_polygons(patch, at, HIDDEN)
    np.testing.assert_array_equal(burnt(drawn, at), inner(patch, at))
    regions = find_regions(row_strips(inner(patch, at)), side + 2 * at.buffer)
    assert len(drawn.classes) == (regions.values[1:] != NODATA).sum()


@given(data=st.data(), tolerance=tolerances)
def test_polygons_are_valid_share_their_borders_and_leave_no_gap(data, tolerance):
    at = frame(SIDE, tolerance)
    patch = data.draw(grounds(at.patch, at.patch, empty=False))
    drawn = tile_polygons(patch, at, HIDDEN, tolerance)
    shapes = polygons_of(drawn.shapes)
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    assert shapely.area(shapes).sum() == square(at).area == shapely.union_all(shapes).area


@given(data=st.data(), tolerance=tolerances)
def test_polygons_do_not_overlap_around_ground_without_data(data, tolerance):
    at = frame(SIDE, tolerance)
    patch = data.draw(grounds(at.patch, at.patch))
    shapes = polygons_of(tile_polygons(patch, at, HIDDEN, tolerance).shapes)
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    assert shapely.area(shapes).sum() == shapely.union_all(shapes).area


@given(data=st.data(), tolerance=tolerances)
def test_a_hidden_class_leaves_the_others_as_they_are(data, tolerance):
    at = frame(SIDE, tolerance)
    patch = data.draw(grounds(at.patch, at.patch))
    all_of_them = tile_polygons(patch, at, HIDDEN, tolerance)
    fewer = tile_polygons(patch, at, np.array([NODATA, 1]), tolerance)
    kept = all_of_them.classes != 1
    assert fewer.classes.tolist() == all_of_them.classes[kept].tolist()
    assert shapely.equals(polygons_of(fewer.shapes), polygons_of(all_of_them.shapes)[kept]).all()


@settings(max_examples=15)
@given(data=st.data(), tolerance=tolerances)
def test_neighbours_agree_wherever_their_buffers_overlap(data, tolerance):
    """Four tiles around a corner: each pair has the same ground of every class in what both of them cover."""
    at = frame(SIDE, tolerance)
    size = 2 * SIDE + 2 * at.margin
    ids = data.draw(grounds(size, size))
    tiles = {}
    for y, x in itertools.product((0, 1), (0, 1)):
        patch = ids[y * SIDE : y * SIDE + at.patch, x * SIDE : x * SIDE + at.patch]
        drawn = tile_polygons(patch, at, HIDDEN, tolerance)
        shapes = polygons_of(drawn.shapes)
        tiles[x, y] = drawn.classes, shapely.transform(shapes, lambda xy, x=x, y=y: xy + np.array([x, y]) * EXTENT)
    for one, other in itertools.combinations(tiles, 2):
        both = shapely.intersection(square(at, *one), square(at, *other))
        for kind in np.unique(ids[ids != NODATA]).tolist():
            grounds_of = [
                shapely.intersection(shapely.union_all(shapes[classes == kind]), both)
                for classes, shapes in (tiles[one], tiles[other])
            ]
            assert shapely.symmetric_difference(*grounds_of).area == 0


def test_no_border_moves_farther_than_the_tolerance():
    ids, tolerance = blobs(np.random.default_rng(3), 200, 200, 4, 6), 1.5
    at = frame(128, tolerance)
    patch = ids[: at.patch, : at.patch]
    exact, drawn = (polygons_of(tile_polygons(patch, at, HIDDEN, t).shapes) for t in (0.0, tolerance))
    assert shapely.get_num_coordinates(drawn).sum() < shapely.get_num_coordinates(exact).sum() / 2
    for before, after in zip(exact, drawn, strict=True):
        assert shapely.hausdorff_distance(before.boundary, after.boundary) <= tolerance * at.unit + 1e-9


@given(data=st.data())
def test_a_polygon_is_found_at_its_place_in_the_tile_if_it_has_one_there(data):
    at = frame(SIDE, 1.0)
    patch = data.draw(grounds(at.patch, at.patch))
    drawn = tile_polygons(patch, at, HIDDEN, 0.0)
    for kind, (row, col), shape in zip(drawn.classes, drawn.places, polygons_of(drawn.shapes), strict=True):
        assert patch[row + at.margin, col + at.margin] == kind
        pixel = shapely.box(col, row, col + 1, row + 1)
        assert shapely.covers(shape, shapely.transform(pixel, lambda xy: xy * at.unit))
        in_tile = shapely.intersection(shape, square(at, buffer=0)).area > 0
        assert in_tile == (0 <= row < SIDE and 0 <= col < SIDE)


def test_any_integers_are_classes():
    at = frame(SIDE, 0)
    small = blobs(np.random.default_rng(1), at.patch, at.patch, 4, 5)
    large = np.array([-7, 0, 300, 2**40])[small]
    assert tile_polygons(large, at, np.array([-7])).classes.tolist() == [
        [-7, 0, 300, 2**40][k] for k in tile_polygons(small, at, np.array([0])).classes
    ]


# --- features ---------------------------------------------------------------------------------------------------------


def tiles_of(at: Frame, **changes: object) -> ClassTiles:
    settings = {"layer": "landcover", "frame": at, "nodata": NODATA, "hidden": HIDDEN, "names": {1: "road"}}
    return ClassTiles(**(settings | changes))  # type: ignore[arg-type]


def test_tiles_without_anything_to_draw_are_none():
    at = frame(SIDE, 2)
    empty = np.full((at.patch, at.patch), NODATA, np.uint8)
    assert encoded_tile(empty, tiles_of(at)) is None
    assert encoded_tile(np.zeros_like(empty), tiles_of(at, hidden=np.array([0, NODATA]))) is None


def test_polygons_of_one_region_become_one_feature():
    at = frame(SIDE, 0)
    drawn = tile_polygons(blobs(np.random.default_rng(2), at.patch, at.patch, 3, 3), at, HIDDEN)
    ids = np.arange(len(drawn.classes)) // 3 * 5
    ids[-1] = 0
    shapes, first = grouped(drawn.shapes, ids)
    singles = polygons_of(drawn.shapes)
    assert ids[first].tolist() == list(dict.fromkeys(ids.tolist()))
    for key, shape in zip(ids[first], polygons_of(shapes), strict=True):
        assert shapely.equals(shape, shapely.MultiPolygon(list(singles[ids == key])))
    assert class_layer(drawn, tiles_of(at))[1] == len(ids)


@pytest.mark.parametrize("kind", ["noise", "checks"])
def test_a_tile_too_large_is_generalized_until_it_is_small_and_still_covers_all(kind):
    at = frame(128, 2)
    rng = np.random.default_rng(6)
    noise = rng.integers(0, 4, (at.patch, at.patch)).astype(np.uint8)
    patch = noise if kind == "noise" else noise % 2 * 3 + np.arange(at.patch, dtype=np.uint8) % 2
    limit = 20_000
    full, small = (encoded_tile(patch, tiles_of(at, limit=n)) for n in (10**9, limit))
    assert full is not None
    assert small is not None
    assert full.sieve == 0
    assert len(full.data) > limit >= len(small.data)
    tidy = sieved_patch(patch, small.sieve, NODATA)
    shapes = polygons_of(tile_polygons(tidy, at, HIDDEN, 2.0).shapes)
    assert len(shapes) == small.features
    assert shapely.coverage_is_valid(shapes)
    assert shapely.area(shapes).sum() == square(at).area


def test_the_limit_holds_however_low_it_is():
    at = frame(SIDE, 2)
    patch = np.random.default_rng(6).integers(0, 4, (at.patch, at.patch)).astype(np.uint8)
    tile = encoded_tile(patch, tiles_of(at, limit=200))
    assert tile is not None
    assert len(tile.data) <= 200
    assert tile.features >= 1
