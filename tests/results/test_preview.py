"""The preview is the scene averaged over blocks, whatever windows it came in, and lies where the scene lies."""

import io

import numpy as np
import pytest
import rasterio
from factory import CRS, north_up
from PIL import Image
from pyproj import Transformer

from mapgen.files.commit import Output
from mapgen.files.pictures import shown_bands
from mapgen.grid import Grid
from mapgen.plan import plan_windows
from mapgen.raster.patch import Patch
from mapgen.results.preview import Preview, write_preview


def previewed(pixels, valid, window=64, side=50):
    height, width = valid.shape
    grid = Grid(CRS, north_up(1.0), height, width)
    preview = Preview((0, 1, 2), side=side)
    for step in plan_windows(height, width, window, 8, 8).steps():
        rows, cols = step.read.slices(grid.window)
        there = valid[rows, cols]
        preview.add(grid, Patch(step, pixels[:, rows, cols] if there.any() else None, there))
    return preview


@pytest.mark.parametrize("window", [32, 64, 512])
def test_each_pixel_is_the_mean_of_its_block(window):
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (3, 170, 143)).astype(np.uint8)
    valid = rng.random((170, 143)) < 0.7
    valid[:40, :40] = False
    preview = previewed(pixels, valid, window)
    assert preview.factor == 4
    for row in range(43):
        for col in range(36):
            block = np.s_[4 * row : 4 * row + 4, 4 * col : 4 * col + 4]
            assert preview.valid[row, col] == valid[block].any()
            if valid[block].any():
                means = pixels[:, *block][:, valid[block]].mean(axis=1)
                assert np.abs(preview.finish()[:, row, col] - means).max() <= 0.501


def test_a_small_scene_is_shown_as_it_is():
    pixels = np.random.default_rng(4).integers(0, 256, (3, 20, 30)).astype(np.uint8)
    np.testing.assert_array_equal(previewed(pixels, np.ones((20, 30), bool)).finish(), pixels)


def test_other_numbers_are_stretched_between_their_percentiles():
    pixels = np.linspace(1000, 3000, 3 * 40 * 40).reshape(3, 40, 40).astype(np.uint16)
    picture = previewed(pixels, np.ones((40, 40), bool)).finish()
    assert picture.min() == 0
    assert picture.max() == 255
    assert 120 < picture.mean() < 135


@pytest.mark.parametrize(
    ("bands", "channels"),
    [
        (("red", "green", "blue"), (0, 1, 2)),
        (("blue", "Green", "red", "nir"), (2, 1, 0)),
        (("a", "b", "c", "d"), (0, 1, 2)),
        (("pan",), (0,)),
        (("vv", "vh"), (0,)),
    ],
)
def test_red_green_and_blue_are_found_by_name(bands, channels):
    assert shown_bands(bands) == channels


@pytest.mark.parametrize("crs", ["EPSG:32640", "EPSG:4326", "EPSG:3857", "EPSG:2154"])
def test_a_mark_is_where_the_scene_has_it(tmp_path, crs):
    origin = {"EPSG:32640": (430_000, 2_700_000), "EPSG:4326": (7.0, 50.0), "EPSG:2154": (700_000, 6_600_000)}
    size = 1e-4 if crs == "EPSG:4326" else 10.0
    grid = Grid(crs, north_up(size, origin.get(crs, (1e6, 6e6))), 200, 300)
    picture, valid = np.full((3, 200, 300), 40, np.uint8), np.ones((200, 300), bool)
    picture[:, 100:110, 200:210] = 250
    bounds = write_preview(Output(tmp_path / "p.webp"), picture, valid, grid, 1)
    image = np.array(Image.open(tmp_path / "p.webp").convert("RGB")).astype(int)[..., 0]
    rows, cols = np.nonzero(image > 150)
    to = Transformer.from_crs("EPSG:3857", "EPSG:4326", always_xy=True)
    box = Transformer.from_crs("EPSG:4326", "EPSG:3857", always_xy=True).transform_bounds(*bounds)
    x = box[0] + (cols.mean() + 0.5) / image.shape[1] * (box[2] - box[0])
    y = box[3] - (rows.mean() + 0.5) / image.shape[0] * (box[3] - box[1])
    place = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(*to.transform(x, y))
    col, row = ~grid.transform @ place
    assert abs(col - 205) < 0.6
    assert abs(row - 105) < 0.6
    with rasterio.open(tmp_path / "p.webp") as dataset:  # in a GIS too
        assert dataset.crs.to_epsg() == 3857
        assert tuple(dataset.bounds) == pytest.approx(box, abs=1e-6)


def test_the_file_is_small_whatever_the_scene(tmp_path, monkeypatch):
    monkeypatch.setattr("mapgen.results.preview.LIMIT", 20_000)
    noise = np.random.default_rng(5).integers(0, 256, (3, 200, 200)).astype(np.uint8)
    write_preview(Output(tmp_path / "p.webp"), noise, np.ones((200, 200), bool), Grid(None, north_up(1.0), 200, 200), 1)
    assert (tmp_path / "p.webp").stat().st_size <= 20_000


def test_what_has_no_data_is_transparent_and_what_has_no_place_lies_as_it_is(tmp_path):
    picture, valid = np.full((3, 20, 30), 200, np.uint8), np.ones((20, 30), bool)
    valid[:10] = False
    assert write_preview(Output(tmp_path / "p.webp"), picture, valid, Grid(None, north_up(1.0), 20, 30), 1) is None
    alpha = np.array(Image.open(io.BytesIO((tmp_path / "p.webp").read_bytes())))[..., 3]
    assert alpha.shape == (20, 30)
    np.testing.assert_array_equal(alpha > 0, valid)
