"""Bands: the right ones are found by name or number, or the refusal says which the model wants."""

import numpy as np
import pytest
from factory import cells, coordinate_classes, coordinates, make_model, make_raster, noise, read_map
from rasterio.enums import ColorInterp

GREY = [ColorInterp.gray] + [ColorInterp.undefined] * 12


def shuffled(order: tuple[int, ...], total: int) -> np.ndarray:
    """The coordinate scene with its bands at the places `order` (from 1) of a file of `total` bands."""
    pixels = np.full((total, 90, 110), 33, "uint16")
    for band, place in zip(coordinates(90, 110), order, strict=True):
        pixels[place - 1] = band
    return pixels


def assert_placed(folder):
    np.testing.assert_array_equal(read_map(folder / "scene.mask.tif"), coordinate_classes(90, 110))


def test_too_many_bands_are_refused_with_an_example(tmp_path, refuses):
    path = make_raster(tmp_path / "scene.tif", shuffled((4, 3, 2), 13), photometric="MINISBLACK")
    refuses(4, ("scene.tif: model needs 3 bands (red, green, blue), file has 13", "--bands 4,3,2"), path)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_bands_are_refused_with_a_way_on(tmp_path, refuses, count):
    path = make_raster(tmp_path / "scene.tif", noise(40, 40, count))
    refuses(4, ("scene.tif: model needs 3 bands (red, green, blue)", f"file has {count}", "mapgen models list"), path)


def test_bands_are_taken_by_number(tmp_path, segment, engines):
    engines.rule = cells
    path = make_raster(tmp_path / "scene.tif", shuffled((4, 3, 2), 13), photometric="MINISBLACK")
    assert segment(path, "--bands", "4,3,2").code == 0
    assert_placed(tmp_path)


def test_band_names_help_by_themselves(tmp_path, segment, engines):
    engines.rule = cells
    names = ("Coastal", "Blue", "Green", "Red", "NIR")
    path = make_raster(tmp_path / "scene.tif", shuffled((4, 3, 2), 5), descriptions=names, photometric="MINISBLACK")
    assert segment(path).code == 0
    assert_placed(tmp_path)


def test_colour_interpretation_helps_by_itself(tmp_path, segment, engines):
    engines.rule = cells
    colors = [ColorInterp.undefined, ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    path = make_raster(tmp_path / "scene.tif", shuffled((4, 3, 2), 4), colorinterp=colors, photometric="MINISBLACK")
    assert segment(path).code == 0
    assert_placed(tmp_path)


def test_bands_are_taken_by_name(tmp_path, segment, engines):
    engines.rule = cells
    names = ("b1", "B2 ", "b3", "b4")
    path = make_raster(tmp_path / "scene.tif", shuffled((4, 2, 1), 4), descriptions=names, photometric="MINISBLACK")
    assert segment(path, "--bands", "B4, b2,1").code == 0
    assert_placed(tmp_path)


def test_names_that_occur_twice_name_nothing(tmp_path, refuses):
    path = make_raster(
        tmp_path / "scene.tif", noise(40, 40, 4), descriptions=("red", "red", "green", "blue"), photometric="MINISBLACK"
    )
    refuses(4, ("scene.tif", "file has 4", "--bands"), path)
    refuses(4, ("scene.tif", "no band 'red'", "--bands"), path, "--bands", "red,green,blue")


@pytest.mark.parametrize("bands", ["1,2,9", "1,2,0", "1,2,swir", "1,2,-1", "1,2,2.0"])
def test_a_band_that_is_not_there_is_refused_with_those_that_are(tmp_path, refuses, bands):
    path = make_raster(tmp_path / "scene.tif", noise(40, 40, 3), descriptions=("red", "green", "blue"))
    refuses(4, ("scene.tif", "has no band", "1 red, 2 green, 3 blue", "--bands"), path, "--bands", bands)


@pytest.mark.parametrize("bands", ["1,2", "1,2,3,3"])
def test_a_list_of_another_length_is_refused(tmp_path, refuses, bands):
    path = make_raster(tmp_path / "scene.tif", noise(40, 40, 3))
    words = ("scene.tif", "model needs 3 bands", f"--bands names {len(bands) // 2 + 1}", "name one band for each")
    refuses(4, words, path, "--bands", bands)


def test_a_hostile_band_name_is_text(tmp_path, refuses):
    names = ("a\n\x1b[31mb", "c", "d")
    path = make_raster(tmp_path / "scene.tif", noise(40, 40, 3), descriptions=names)
    run = refuses(4, ("scene.tif", "has no band"), path, "--bands", "1,2,7")
    assert "\x1b" not in run.err


def test_four_bands_for_a_model_of_four_are_taken_in_order(tmp_path, mapgen, engines):
    """Also where GDAL calls the fourth alpha: the near infrared of an aerial image."""
    bands = ("red", "green", "blue", "nir")
    four = make_model(tmp_path / "four.safetensors", bands=bands, mean=(128.0,) * 4, std=(64.0,) * 4)
    path = make_raster(tmp_path / "scene.tif", noise(40, 40, 4))
    run = mapgen("segment", "--model", four, path)
    assert run.code == 0
    assert engines.seen == [(1, 4, 40, 40)]


def test_an_alpha_band_is_none_of_the_models(tmp_path, refuses, mapgen, engines):
    bands = ("red", "green", "blue", "nir")
    four = make_model(tmp_path / "four.safetensors", bands=bands, mean=(128.0,) * 4, std=(64.0,) * 4)
    pixels = noise(40, 40, 4)
    pixels[3] = 255
    path = make_raster(tmp_path / "scene.tif", pixels)
    run = lambda *a: mapgen("segment", "--model", four, *a)  # noqa: E731
    refuses(4, ("scene.tif", "model needs 4 bands (red, green, blue, nir), file has 3"), path, run=run)
