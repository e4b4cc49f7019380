"""From pixels to the ground: areas and lengths on the ellipsoid, borders straight to a tenth of a pixel."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely
from affine import Affine
from patterns import smooth_noise
from pyproj import CRS, Geod, Transformer

from mapgen.grid import Grid
from mapgen.layers.area import pixel_areas
from mapgen.layers.ground import on_the_ground
from mapgen.layers.layer import Layer
from mapgen.layers.polygonize import shapely_polygons
from mapgen.layers.reproject import LONLAT, straight_step
from mapgen.legend import LayerClass
from mapgen.polygons.coverage import Coverage, Generalization, coverage_of
from mapgen.polygons.lines import Lines, densified
from mapgen.polygons.regions import OUTSIDE, find_regions, row_strips
from mapgen.polygons.rings import Rings

GEOD = Geod(ellps="WGS84")
EXACT = Generalization()
CLASSES = [LayerClass(i, f"class {i}", "#808080") for i in range(4)]

GRIDS = {
    "utm": ("EPSG:32611", Affine(1, 0, 500_000, 0, -1, 4_000_000)),
    "utm at its edge": ("EPSG:32611", Affine(10, 0, 166_000, 0, -10, 9_000_000)),
    "south-up": ("EPSG:32733", Affine(1, 0, 500_000, 0, 1, 7_000_000)),
    "rotated": ("EPSG:32611", Affine(1.8, 1.2, 500_000, 1.2, -1.8, 4_000_000)),
    "feet": ("EPSG:2227", Affine(3, 0, 6_000_000, 0, -3, 2_100_000)),
    "degrees": ("EPSG:4326", Affine(1e-5, 0, 11, 0, -2e-5, 62)),
    "mercator": ("EPSG:3857", Affine(5, 0, 1e6, 0, -5, 8e6)),
    "polar": ("EPSG:3413", Affine(10_000, 0, -403_000, 0, -10_000, 397_000)),
    "antimeridian": ("EPSG:32660", Affine(500, 0, 680_000, 0, -500, 6_000_000)),
    "0 to 360 degrees": ("EPSG:4326", Affine(0.1, 0, 176, 0, -0.1, 50)),
}


def grid_of(name: str, height: int = 80, width: int = 80) -> Grid:
    crs, transform = GRIDS[name]
    return Grid(CRS(crs).to_wkt(), transform, height, width)


def layer_on(grid: Grid, how: Generalization = EXACT, crs: str | None = None, seed: int = 0) -> Layer:
    mask = smooth_noise(np.random.default_rng(seed), grid.height, grid.width, 4, 4)[: grid.height, : grid.width]
    regions = find_regions(row_strips(mask), grid.width)
    coverage = coverage_of(regions, np.arange(len(regions) + 1) > OUTSIDE, how)
    return on_the_ground(coverage, grid, crs, "layer", CLASSES)


def polygons_of(layer: Layer) -> np.ndarray:
    """The geometries of a layer as they are before rounding."""
    from mapgen.layers.geojson_wkb import wkb

    offsets, data = wkb(layer, 0, len(layer))
    return np.array([shapely.from_wkb(data[a:b].tobytes()) for a, b in pairwise(offsets)])


def geodesic_areas(polygons: np.ndarray) -> np.ndarray:
    return np.array([sum(GEOD.geometry_area_perimeter(p)[0] for p in shapely.get_parts(g)) for g in polygons])


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("how", [Generalization(), Generalization(1.5, "dp", 1)], ids=["exact", "generalized"])
def test_areas_and_perimeters_agree_with_geodesics_to_a_millionth(name: str, how: Generalization) -> None:
    layer = layer_on(grid_of(name), how)
    polygons = polygons_of(layer)
    # Where a polygon is cut, the cut runs straight in longitude and latitude and the geodesic elsewhere.
    whole = shapely.get_num_geometries(polygons) == 1
    areas = geodesic_areas(polygons)
    plain = whole & (shapely.bounds(polygons)[:, 3] < 90)
    # `Geod` itself is only good to some 1e-5 m², as neighbouring pixels show, whose areas it gives with that scatter.
    assert layer.columns["area_m2"][plain] == pytest.approx(areas[plain], rel=1e-6, abs=2e-4)
    lengths = [sum(GEOD.geometry_length(r) for r in (p.exterior, *p.interiors)) for p in polygons[plain]]
    assert layer.columns["perimeter_m"][plain] == pytest.approx(lengths, rel=1e-6)
    assert layer.columns["area_m2"].sum() == pytest.approx(areas.sum(), rel=1e-4 if not whole.all() else 1e-6)


@pytest.mark.parametrize("name", GRIDS)
def test_polygons_on_the_ground_are_a_valid_coverage(name: str) -> None:
    for how in (Generalization(), Generalization(1.5, "dp", 1)):
        polygons = polygons_of(layer_on(grid_of(name), how))
        assert shapely.is_valid(polygons).all()
        assert shapely.coverage_is_valid(polygons)
        assert shapely.is_ccw(shapely.get_exterior_ring(shapely.get_parts(polygons))).all()
        assert abs(shapely.bounds(polygons)[:, [0, 2]]).max() <= 180


@pytest.mark.parametrize("name", ["utm", "utm at its edge", "rotated", "feet", "degrees", "mercator", "south-up"])
def test_borders_lie_within_a_tenth_of_a_pixel_of_their_place(name: str) -> None:
    """A border 20 000 pixels long bends by far more than a pixel; its densified vertices must not let it."""
    grid = grid_of(name, 20_000, 20_000)
    step = straight_step(grid)
    to = Transformer.from_crs(grid.crs, LONLAT, always_xy=True)
    for x, y in (((0, 20_000), (0, 0)), ((700, 700), (0, 20_000)), ((100, 19_000), (18_000, 300))):
        line = densified(Lines(np.array([0, 2]), np.array(x, float), np.array(y, float)), step)
        lon, lat = to.transform(*(grid.transform * (line.x, line.y)))
        for between in ((lon[1:] + lon[:-1]) / 2, (lat[1:] + lat[:-1]) / 2), geodesic_middles(lon, lat):
            back = ~grid.transform * to.transform(*between, direction="INVERSE")
            middles = (line.x[1:] + line.x[:-1]) / 2, (line.y[1:] + line.y[:-1]) / 2
            assert np.hypot(back[0] - middles[0], back[1] - middles[1]).max() < 0.1


def geodesic_middles(lon: np.ndarray, lat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    azimuth, _, length = GEOD.inv(lon[:-1], lat[:-1], lon[1:], lat[1:])
    return GEOD.fwd(lon[:-1], lat[:-1], azimuth, length / 2)[:2]


def test_a_layer_in_the_grid_s_own_crs_has_the_pixels_corners_and_no_more() -> None:
    grid = grid_of("rotated")
    layer = layer_on(grid, crs=grid.crs)
    columns, rows = ~grid.transform * (layer.lines.x, layer.lines.y)
    assert columns == pytest.approx(np.round(columns), abs=1e-6)
    assert rows == pytest.approx(np.round(rows), abs=1e-6)
    assert shapely.area(polygons_of(layer)).sum() == pytest.approx(
        grid.height * grid.width * abs(grid.transform.determinant), rel=1e-9
    )
    assert layer.columns["area_m2"] == pytest.approx(layer_on(grid).columns["area_m2"])


def test_a_layer_in_another_crs_lies_on_the_same_ground() -> None:
    grid = grid_of("degrees")
    mercator = CRS("EPSG:3857").to_wkt()
    lon, lat = Transformer.from_crs("EPSG:3857", LONLAT, always_xy=True).transform(
        *shapely.get_coordinates(polygons_of(layer_on(grid, crs=mercator))).T
    )
    expected = shapely.get_coordinates(polygons_of(layer_on(grid)))
    assert np.stack((lon, lat), axis=1) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["utm", "feet", "degrees", "mercator", "rotated", "south-up"])
def test_the_area_of_a_pixel_is_that_of_its_outline(name: str) -> None:
    grid = grid_of(name, 50, 30)
    areas = pixel_areas(grid)
    for row in (0, 49):
        corners = [grid.transform * (15 + c - 0.5, row + r) for c, r in ((0, 0), (1, 0), (1, 1), (0, 1))]
        lon, lat = Transformer.from_crs(grid.crs, LONLAT, always_xy=True).transform(*zip(*corners, strict=True))
        assert areas[row] == pytest.approx(abs(GEOD.polygon_area_perimeter(lon, lat)[0]), rel=1e-6, abs=2e-4)


def test_a_ring_around_the_pole_measures_the_cap_within() -> None:
    """A disk of 20 degrees around each pole, in one polygon and cut into one of full width up to the pole."""
    for crs, sign in (("EPSG:3413", 1), ("EPSG:3031", -1)):
        grid = Grid(CRS(crs).to_wkt(), Affine(1e4, 0, -1e6, 0, -1e4, 1e6), 200, 200)
        regions = find_regions([np.ones((200, 200), np.uint8)], 200)
        coverage = coverage_of(regions, np.array([False, True]), Generalization())
        layer = on_the_ground(coverage, grid, None, "cap", [LayerClass(1, "cap", "#ffffff")])
        (polygon,) = polygons_of(layer)
        assert polygon.is_valid
        assert polygon.bounds[0] == -180
        assert polygon.bounds[2] == 180
        assert (polygon.bounds[3] if sign > 0 else polygon.bounds[1]) == 90 * sign
        assert layer.columns["area_m2"][0] == pytest.approx(abs(GEOD.geometry_area_perimeter(polygon)[0]), rel=1e-6)
        assert layer.columns["area_m2"][0] == pytest.approx(4.0e12, rel=0.1)


def test_shapely_polygons_are_those_of_the_rings() -> None:
    lines = Lines(np.array([0, 4]), np.array([0.0, 0, 1, 0]), np.array([0.0, 1, 1, 0]))
    rings = Rings(*(np.array(a, np.int32) for a in ([1], [0, 1], [0, 1], [0], [1])))  # type: ignore[arg-type]
    coverage = Coverage(find_regions([np.ones((1, 1), np.uint8)], 1), lines, rings)
    (triangle,) = shapely_polygons(coverage, Affine(2, 0, 10, 0, -2, 10))
    assert triangle.wkt == "POLYGON ((10 10, 10 8, 12 8, 10 10))"
