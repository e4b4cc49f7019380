"""Tile arithmetic: against morecantile, the pmtiles package, and its own laws."""

from __future__ import annotations

import math
from typing import Any

import morecantile
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pmtiles.tile import tileid_to_zxy, zxy_to_tileid

from mapgen.errors import UsageError
from mapgen.tiling.containers.pmtiles import first_id, tile_id, tile_ids, tile_of
from mapgen.tiling.quadtree import (
    HALF,
    MAX_LATITUDE,
    WEB_MERCATOR,
    Tile,
    TileRange,
    find_tiling,
    flipped,
    to_lonlat,
    to_mercator,
    window_of,
)

REFERENCE = morecantile.tms.get("WebMercatorQuad")


@st.composite
def some_tiles(draw: Any, most: int = 24) -> Tile:
    z = draw(st.integers(0, most))
    return Tile(z, draw(st.integers(0, 2**z - 1)), draw(st.integers(0, 2**z - 1)))


@given(some_tiles())
def test_bounds_are_those_of_morecantile(tile: Tile) -> None:
    box = REFERENCE.xy_bounds(tile.x, tile.y, tile.z)
    np.testing.assert_allclose(WEB_MERCATOR.bounds(tile), (box.left, box.bottom, box.right, box.top), atol=1e-6)


@given(some_tiles(20))
def test_neighbours_and_children_share_their_borders(tile: Tile) -> None:
    left, bottom, right, top = WEB_MERCATOR.bounds(tile)
    first, _, _, last = tile.children
    assert WEB_MERCATOR.bounds(first)[::3] == (left, top)
    assert WEB_MERCATOR.bounds(last)[1:3] == (bottom, right)
    assert WEB_MERCATOR.bounds(Tile(tile.z, tile.x + 1, tile.y + 1))[::3] == (right, bottom)
    assert {child.parent for child in tile.children} == {tile}
    assert [child.quarter for child in tile.children] == [(0, 0), (0, 1), (1, 0), (1, 1)]


@given(st.floats(-179.9, 179.8), st.floats(-85, 84.9), st.floats(1e-6, 0.1), st.integers(0, 18))
def test_covering_tiles_are_those_of_morecantile(west: float, south: float, side: float, z: int) -> None:
    (left, right), (bottom, top) = to_mercator(np.array([west, west + side]), np.array([south, south + side]))
    # What reaches over a tile's border by the last bits of a float does not count: that is ours, not morecantile's.
    borders = (np.array([left, right, bottom, top]) - WEB_MERCATOR.left) / WEB_MERCATOR.side(z)
    assume((np.abs(borders - np.round(borders)) > 1e-3).all())
    found = {(t.x, t.y) for t in WEB_MERCATOR.covering((left, bottom, right, top), z)}
    known = {(t.x, t.y) for t in REFERENCE.tiles(west, south, west + side, south + side, [z])}
    assert found == known


@given(some_tiles(20))
def test_a_tile_covers_its_own_bounds_alone(tile: Tile) -> None:
    assert list(WEB_MERCATOR.covering(WEB_MERCATOR.bounds(tile), tile.z)) == [tile]


@given(some_tiles(16), st.integers(0, 16))
def test_ranges_of_other_zooms_hold_the_same_ground(tile: Tile, z: int) -> None:
    tiles = TileRange(tile.z, tile.x, tile.y, tile.x + 3, tile.y + 2)
    bounds = [WEB_MERCATOR.bounds(t) for t in (Tile(tile.z, tile.x, tile.y), Tile(tile.z, tile.x + 2, tile.y + 1))]
    box = (bounds[0][0], bounds[1][1], bounds[1][2], bounds[0][3])
    other = tiles.at(z)
    inside = TileRange(z, other.left, other.top, min(other.right, 1 << z), min(other.bottom, 1 << z))
    assert inside == WEB_MERCATOR.covering(box, z)
    assert len(other) == (other.right - other.left) * (other.bottom - other.top)


@given(some_tiles())
def test_pixels_of_a_tile_fill_its_bounds(tile: Tile) -> None:
    window, transform = window_of(tile, 512), WEB_MERCATOR.transform(tile.z, 512)
    left, bottom, right, top = WEB_MERCATOR.bounds(tile)
    np.testing.assert_allclose(transform @ (window.col, window.row), (left, top), atol=1e-6)
    np.testing.assert_allclose(transform @ (window.right, window.bottom), (right, bottom), atol=1e-6)


@given(st.floats(-180, 180), st.floats(-85.05, 85.05))
def test_degrees_come_back(lon: float, lat: float) -> None:
    np.testing.assert_allclose(to_lonlat(*to_mercator(lon, lat)), (lon, lat), atol=1e-9)


def test_the_square_ends_where_its_latitude_does() -> None:
    np.testing.assert_allclose(to_mercator(180, MAX_LATITUDE), (HALF, HALF), rtol=1e-12)
    np.testing.assert_allclose(to_mercator(-180, -90), (-HALF, -HALF), rtol=1e-12)


@given(st.integers(0, 24), st.floats(0.72, 1.4))
def test_the_zoom_of_a_resolution_is_the_nearest_by_ratio(z: int, ratio: float) -> None:
    assert WEB_MERCATOR.zoom_for(WEB_MERCATOR.resolution(z) * ratio) == z
    assert WEB_MERCATOR.zoom_for(WEB_MERCATOR.resolution(z, 512) * ratio, 512) == z


@given(some_tiles(20), st.floats(0.51, 1))
def test_a_tile_of_the_zoom_within_is_as_large_as_the_extent(tile: Tile, share: float) -> None:
    left, bottom, right, top = WEB_MERCATOR.bounds(tile)
    box = (left, bottom, left + (right - left) * share, top)
    assert WEB_MERCATOR.zoom_within(box) == tile.z


@given(some_tiles(26))
def test_ids_are_those_of_pmtiles(tile: Tile) -> None:
    number = zxy_to_tileid(tile.z, tile.x, tile.y)
    assert tile_id(tile) == number
    assert tile_of(number) == tile
    assert tileid_to_zxy(tile_id(tile)) == (tile.z, tile.x, tile.y)


def test_ids_of_a_zoom_are_a_walk_from_neighbour_to_neighbour() -> None:
    z = 5
    x, y = (v.ravel() for v in np.meshgrid(np.arange(2**z), np.arange(2**z)))
    ids = tile_ids(np.full_like(x, z), x, y)
    assert sorted(ids) == list(range(first_id(z), first_id(z + 1)))
    walk = np.stack((x, y), 1)[np.argsort(ids)]
    assert (np.abs(np.diff(walk, axis=0)).sum(1) == 1).all()


@given(some_tiles())
def test_rows_from_the_south_are_those_from_the_north_reversed(tile: Tile) -> None:
    assert flipped(tile.z, flipped(tile.z, tile.y)) == tile.y
    assert flipped(tile.z, tile.y) + tile.y == 2**tile.z - 1


def test_zoom_0_has_no_parent() -> None:
    with pytest.raises(ValueError, match="no parent"):
        _ = Tile(0, 0, 0).parent


@pytest.mark.parametrize("name", ["WorldCRS84Quad", "EuropeanETRS89_LAEAQuad", "WorldMercatorWGS84Quad"])
@pytest.mark.parametrize("tile", [(0, 0, 0), (5, 3, 4), (14, 9000, 5000)])
def test_other_tilings_are_those_of_morecantile(name: str, tile: tuple[int, int, int]) -> None:
    reference, tiling = morecantile.tms.get(name), find_tiling(name.lower())
    z, x, y = tile
    box = reference.xy_bounds(x, y, z)
    scale = max(map(abs, box))
    np.testing.assert_allclose(
        tiling.bounds(Tile(*tile)), (box.left, box.bottom, box.right, box.top), atol=1e-8 * scale
    )
    assert (tiling.columns << z, tiling.rows << z) == (
        reference.matrix(z).matrixWidth,
        reference.matrix(z).matrixHeight,
    )


@pytest.mark.parametrize("name", ["CanadianNAD83_LCC", "CDB1GlobalGrid", "GNOSISGlobalGrid", "UTM31WGS84Quad"])
def test_a_tiling_that_is_no_pyramid_of_fours_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="does not quarter its tiles"):
        find_tiling(name)


def test_a_tiling_that_nobody_knows_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean WorldCRS84Quad"):
        find_tiling("WorldCRS84")


def test_without_morecantile_other_tilings_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "morecantile", None)
    assert find_tiling("WebMercatorQuad") is WEB_MERCATOR
    with pytest.raises(UsageError, match=r"needs the package morecantile.*pip install 'mapgen\[tms\]'"):
        find_tiling("WorldCRS84Quad")


def test_the_resolution_of_zoom_0_is_that_of_the_equator() -> None:
    assert math.isclose(WEB_MERCATOR.resolution(0), 156543.03392804097, rel_tol=1e-12)
