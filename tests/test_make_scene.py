"""The example scene: its drawing repeats itself, its truth is complete, and the committed files are what it draws."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp

EXAMPLES = Path(__file__).parents[1] / "examples"
SCENE, TRUTH = EXAMPLES / "scene.tif", EXAMPLES / "scene_truth.tif"


@pytest.fixture(scope="module")
def make_scene() -> ModuleType:
    """The example script as a module; registered, because dataclasses look their annotations up there."""
    spec = importlib.util.spec_from_file_location("make_scene", EXAMPLES / "make_scene.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_scene"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def small(make_scene: ModuleType) -> tuple[np.ndarray, np.ndarray]:
    return make_scene.draw_scene(240, 272, 7)


def test_the_same_seed_draws_the_same_scene(make_scene, small):
    picture, truth = make_scene.draw_scene(240, 272, 7)
    assert np.array_equal(picture, small[0])
    assert np.array_equal(truth, small[1])


def test_another_seed_draws_another_scene(make_scene, small):
    picture, truth = make_scene.draw_scene(240, 272, 8)
    assert not np.array_equal(picture, small[0])
    assert not np.array_equal(truth, small[1])


def test_every_pixel_has_one_of_the_five_classes(small):
    picture, truth = small
    assert picture.shape == (240, 272, 3)
    assert picture.dtype == np.uint8
    assert truth.shape == (240, 272)
    assert truth.dtype == np.uint8
    assert set(np.unique(truth)) == {1, 2, 3, 4, 5}


def test_odd_sizes_are_drawn_to_the_last_pixel(make_scene):
    picture, truth = make_scene.draw_scene(33, 47, 1)
    assert picture.shape == (33, 47, 3)
    assert truth.min() >= 1


def test_scene_and_truth_are_written_on_one_grid(make_scene, small, tmp_path):
    make_scene.write_scene(tmp_path / "scene.tif", small[0])
    make_scene.write_truth(tmp_path / "truth.tif", small[1])
    with rasterio.open(tmp_path / "scene.tif") as scene, rasterio.open(tmp_path / "truth.tif") as truth:
        assert (scene.crs, scene.transform, scene.shape) == (truth.crs, truth.transform, truth.shape)
        assert np.array_equal(truth.read(1), small[1])
        assert np.abs(np.moveaxis(scene.read(), 0, 2).astype(int) - small[0]).mean() < 8


def test_the_committed_scene_is_small_metric_rgb():
    assert SCENE.stat().st_size <= 2_000_000
    with rasterio.open(SCENE) as scene, rasterio.open(TRUTH) as truth:
        assert scene.colorinterp == (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        assert scene.dtypes == ("uint8",) * 3
        assert scene.nodata is None
        assert scene.crs.to_epsg() == 32640
        assert scene.res == (1.0, 1.0)
        assert (scene.crs, scene.transform, scene.shape) == (truth.crs, truth.transform, truth.shape)


def test_the_committed_files_are_what_the_script_draws(make_scene):
    """All but a stray pixel: sines may differ in their last bit from one processor to the next."""
    with rasterio.open(SCENE) as scene, rasterio.open(TRUTH) as truth:
        picture, classes = make_scene.draw_scene(*scene.shape, seed=7)
        assert (truth.read(1) == classes).mean() > 0.9999
        assert np.abs(np.moveaxis(scene.read(), 0, 2).astype(int) - picture).mean() < 8
