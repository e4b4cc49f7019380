"""Arrays are segmented as files are."""

from __future__ import annotations

import numpy as np
import pytest
from factory import CRS, brightness, make_model, make_raster, noise, north_up, read_map

import mapgen
from mapgen.errors import UsageError
from mapgen.grid import Grid
from mapgen.inference.array import segment_scene
from mapgen.inference.options import SegmentOptions
from mapgen.raster.array_scene import ArrayScene


@pytest.mark.parametrize(
    "options", [{}, {"stitch": "blend"}, {"resolution": 2.0}, {"bbox": (500010, 2699900, 500100, 2699990)}]
)
def test_an_array_gives_the_map_of_the_same_pixels_in_a_file(tmp_path, engines, options):
    engines.rule = brightness
    pixels = noise(150, 190)
    pixels[:, 20:60, 30:90] = 0
    scene = make_raster(tmp_path / "scene.tif", pixels, nodata=0)
    model = str(make_model(tmp_path / "model.safetensors"))
    mapgen.segment(scene, tmp_path / "map.tif", model=model, **options)
    whole = ArrayScene(pixels, Grid(CRS, north_up(1.0), 150, 190), own_nodata=0)
    expected = read_map(tmp_path / "map.tif")
    np.testing.assert_array_equal(segment_scene(whole, SegmentOptions(model=model, **options)), expected)
    given = mapgen.segment_array(
        pixels, transform=north_up(1.0), crs=CRS, valid=(pixels != 0).any(0), model=model, **options
    )
    np.testing.assert_array_equal(given, expected)


def test_bands_are_found_by_name(tmp_path, engines):
    pixels = noise(70, 80, bands=4)
    model = str(make_model(tmp_path / "model.safetensors"))
    grid = Grid(None, north_up(1.0), 70, 80)
    named = ArrayScene(pixels, grid, names=("nir", "blue", "green", "red"))
    expected = segment_scene(ArrayScene(pixels[[3, 2, 1]], grid), SegmentOptions(model=model))
    np.testing.assert_array_equal(segment_scene(named, SegmentOptions(model=model)), expected)


@pytest.mark.parametrize(
    ("pixels", "more"),
    [(np.zeros((5, 5)), {}), (np.zeros((3, 4, 5)), {}), (np.zeros((1, 5, 5), bool), {}),
     (np.zeros((1, 5, 5)), {"valid": np.ones((4, 5), bool)}), (np.zeros((2, 5, 5)), {"names": ("red",)})],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(pixels, more):
    with pytest.raises(UsageError):
        ArrayScene(pixels, Grid(None, north_up(1.0), 5, 5), **more)
