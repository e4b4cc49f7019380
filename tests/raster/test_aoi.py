"""A part of a scene is mapped exactly as it is in the whole, and nothing else is."""

import json

import numpy as np
import pytest
import rasterio
from factory import CRS, make_raster, noise, north_up, read_map
from rasterio.features import geometry_mask
from rasterio.warp import transform_geom

SIZE = 300
CORNERS = [[500_020, 2_699_990], [500_290, 2_699_985], [500_030, 2_699_720], [500_020, 2_699_990]]
TRIANGLE = {"type": "Polygon", "coordinates": [CORNERS]}


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "scene.tif", noise(SIZE, SIZE), crs=CRS, transform=north_up(1.0))


WAYS = [(), ("--stitch", "blend"), ("--resolution", "1.7"), ("--resolution", "0.6", "--stitch", "blend")]


@pytest.mark.parametrize("options", WAYS)
def test_a_box_is_cut_out_of_the_whole_map(tmp_path, scene, segment, options):
    whole, part = tmp_path / "whole.tif", tmp_path / "part.tif"
    assert segment(scene, "-o", whole, *options).code == 0
    assert segment(scene, "-o", part, "--bbox", "500050.5,2699800,500151,2699899", *options).code == 0
    np.testing.assert_array_equal(read_map(part), read_map(whole)[101:200, 50:151])
    with rasterio.open(part) as dataset:
        assert dataset.bounds == (500_050, 2_699_800, 500_151, 2_699_899)


@pytest.mark.parametrize("options", WAYS)
def test_polygons_in_another_crs_are_cut_out_of_the_whole_map(tmp_path, scene, segment, engines, options):
    aoi = tmp_path / "aoi.geojson"
    aoi.write_text(json.dumps(transform_geom(CRS, "OGC:CRS84", TRIANGLE, precision=12)))
    whole, part = tmp_path / "whole.tif", tmp_path / "part.tif"
    assert segment(scene, "-o", whole, *options).code == 0
    windows = len(engines.seen)
    assert segment(scene, "-o", part, "--aoi", aoi, *options).code == 0
    with rasterio.open(part) as dataset:
        mask, transform = dataset.read(1), dataset.transform
    inside = geometry_mask([TRIANGLE], mask.shape, transform, invert=True)
    row, col = round(2_700_000 - transform.f), round(transform.c - 500_000)
    wanted = read_map(whole)[row : row + mask.shape[0], col : col + mask.shape[1]]
    # A vertex that came through degrees is a nanometre off; a pixel's centre on an edge may fall on either side.
    differ = mask != np.where(inside, wanted, 255)
    assert differ.sum() <= 2
    assert len(engines.seen) - windows < windows, "windows away from the triangle ran"


def test_an_area_beside_the_scene_is_refused(scene, refuses):
    refuses(4, ("--bbox", "nothing of it lies on the scene", "check"), scene, "--bbox", "0,0,10,10")


def test_of_several_layers_none_is_taken_in_silence(tmp_path, scene, refuses):
    import geopandas
    import shapely

    for name in ("one", "other"):
        frame = geopandas.GeoDataFrame(geometry=[shapely.box(500_020, 2_699_720, 500_090, 2_699_900)], crs=CRS)
        frame.to_file(tmp_path / "two.gpkg", layer=name)
    refuses(4, ("two.gpkg", "several layers (one, other)", "save"), scene, "--aoi", tmp_path / "two.gpkg")
