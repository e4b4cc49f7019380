"""The tests' own tools keep their promises."""

import numpy as np
import pytest
from factory import NODATA, cells, coordinate_classes, coordinates, make_raster, noise, read_map


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_the_map_of_a_coordinate_scene_says_where_each_pixel_is(tmp_path, segment, engines, dtype):
    engines.rule = cells
    make_raster(tmp_path / "scene.tif", coordinates(150, 200, dtype))
    assert segment(tmp_path / "scene.tif").code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif"), coordinate_classes(150, 200))


def test_noise_holds_every_class_and_no_nodata(tmp_path, segment):
    make_raster(tmp_path / "scene.tif", noise(150, 130))
    assert segment(tmp_path / "scene.tif").code == 0
    counts = np.bincount(read_map(tmp_path / "scene.mask.tif").ravel(), minlength=256)
    assert (counts[:3] > 500).all()
    assert counts[NODATA] == 0
