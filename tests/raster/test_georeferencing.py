"""From a scene whose pixels say where they are to polygons that lie there: nothing is shifted on the whole way."""

import numpy as np
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine
from factory import cells, coordinate_classes, coordinates, make_raster, read_map
from rasterio.features import rasterize

HEIGHT, WIDTH = 83, 131

PLACES = {
    "north up": ("EPSG:32640", Affine(1, 0, 500_000, 0, -1, 2_700_000)),
    "south up": ("EPSG:32640", Affine(1, 0, 500_000, 0, 1, 2_700_000)),
    "rotated": ("EPSG:32640", Affine.translation(500_000, 2_700_000) @ Affine.rotation(30) @ Affine.scale(1, -1)),
    "feet": ("EPSG:2263", Affine(3.28, 0, 980_000, 0, -3.28, 200_000)),
    "degrees": ("EPSG:4326", Affine(1e-5, 0, 54.5, 0, -1e-5, 24.5)),
}


@pytest.fixture(params=PLACES)
def place(request):
    return PLACES[request.param]


def vectorized(mapgen, segment, engines, folder, place, *options, suffix="gpkg", **profile):
    """The class map and the layer of a coordinate scene at a place."""
    engines.rule = cells
    crs, transform = place
    scene = make_raster(
        folder / "scene.tif", coordinates(HEIGHT, WIDTH), crs=crs, transform=transform,
        descriptions=("red", "green", "blue"), **profile,
    )  # fmt: skip
    mask, layer = folder / "scene.mask.tif", folder / f"scene.{suffix}"
    assert segment(scene, "--resolution", "native").code == 0
    assert mapgen("vectorize", mask, "-o", layer, *options).code == 0
    return mask, layer


def test_polygons_burned_on_the_scenes_grid_are_the_classes_of_its_pixels(mapgen, segment, engines, tmp_path, place):
    mask, layer = vectorized(mapgen, segment, engines, tmp_path, place)
    wanted = coordinate_classes(HEIGHT, WIDTH)
    np.testing.assert_array_equal(read_map(mask), wanted)
    _, _, geometry, (ids,) = pyogrio.raw.read(layer, layer="scene", columns=["class_id"])
    shapes = zip(shapely.from_wkb(geometry), ids.tolist(), strict=True)
    burned = rasterize(shapes, wanted.shape, fill=255, transform=place[1], dtype="uint8")
    np.testing.assert_array_equal(burned, wanted)


def test_geojson_lies_on_the_same_ground(mapgen, segment, engines, tmp_path, place):
    _, layer = vectorized(mapgen, segment, engines, tmp_path, place, suffix="geojson")
    meta, _, geometry, _ = pyogrio.raw.read(layer)
    assert pyproj.CRS(meta["crs"]) == pyproj.CRS("EPSG:4326")
    crs, transform = place
    back = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True)
    xy = shapely.get_coordinates(shapely.from_wkb(geometry))
    inverse = ~transform
    x, y = back.transform(xy[:, 0], xy[:, 1])
    cols, rows = inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f
    # Seven digits of a degree are up to 11 mm; every vertex lies on a line between pixels in at least one direction.
    off = np.minimum(np.abs(rows - np.round(rows)), np.abs(cols - np.round(cols)))
    assert off.max() < 0.03
    assert (rows.min(), cols.min()) == pytest.approx((0, 0), abs=0.03)
    assert (rows.max(), cols.max()) == pytest.approx((HEIGHT, WIDTH), abs=0.03)


def test_areas_are_those_of_the_ellipsoid(mapgen, segment, engines, tmp_path, place):
    _, layer = vectorized(mapgen, segment, engines, tmp_path, place)
    _, _, geometry, (areas,) = pyogrio.raw.read(layer, layer="scene", columns=["area_m2"])
    to = pyproj.Transformer.from_crs(place[0], "OGC:CRS84", always_xy=True)
    geod = pyproj.CRS(place[0]).get_geod()
    # Straight lines of the map are not geodesics; over cells of a few metres nobody can tell.
    for shape, area in list(zip(shapely.from_wkb(geometry), areas, strict=True))[::37]:
        ring = [shapely.transform(shape, lambda x, y: to.transform(x, y), interleaved=False)]
        # Over a few square metres Geod itself is off by 1e-5 m².
        assert abs(geod.geometry_area_perimeter(ring[0])[0]) == pytest.approx(area, rel=1e-6, abs=1e-4)


def test_planar_areas_equal_the_count_of_pixels(mapgen, segment, engines, tmp_path, place):
    mask, layer = vectorized(mapgen, segment, engines, tmp_path, place)
    _, _, geometry, (ids,) = pyogrio.raw.read(layer, layer="scene", columns=["class_id"])
    shapes, pixel = shapely.from_wkb(geometry), abs(place[1].determinant)
    # Coordinates are doubles around 1e6: their last bit limits what an area can be.
    for class_id, count in zip(*np.unique(read_map(mask), return_counts=True), strict=True):
        assert shapely.area(shapes[ids == class_id]).sum() == pytest.approx(count * pixel, rel=1e-6)


def test_pixels_that_are_points_are_not_shifted_on_the_whole_way(mapgen, segment, engines, tmp_path):
    place = PLACES["north up"]
    _, plain = vectorized(mapgen, segment, engines, tmp_path, place, suffix="geojsonl")
    folder = tmp_path / "points"
    folder.mkdir()
    # With this tag the file stores the centre of the first pixel; GDAL gives the same corner for both.
    _, points = vectorized(mapgen, segment, engines, folder, place, suffix="geojsonl", tags={"AREA_OR_POINT": "Point"})
    assert plain.read_bytes() == points.read_bytes()
