"""Sparse scenes: what a file does not store is neither read nor written, and the map is that of a dense file."""

import json

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from factory import make_raster, noise, north_up, read_map
from rasterio.enums import ColorInterp

from mapgen.files.journal import Journal
from mapgen.grid import Window
from mapgen.legend import NODATA
from mapgen.raster.blocks import absent, stored_pixels
from mapgen.raster.mosaic import open_mosaic
from mapgen.raster.scene import RasterScene

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64}
COLORS = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


@pytest.fixture
def pixels():
    """Noise in a corner and in the middle, zero elsewhere."""
    array = np.zeros((3, 700, 900), np.uint8)
    array[:, :100, :150] = noise(100, 150)
    array[:, 300:450, 400:500] = noise(150, 100, seed=2)
    return np.concatenate([array, array.any(axis=0)[None] * np.uint8(255)])


CASES = {
    "nodata of the file": ({"nodata": 0}, 3, []),
    "another nodata of the file": ({"nodata": 7}, 3, []),
    "nodata of the option": ({}, 3, ["--nodata", "0"]),
    "nodata of the option, another of the file": ({"nodata": 7}, 3, ["--nodata", "0"]),
    "planar": ({"nodata": 0, "interleave": "band"}, 3, []),
    "alpha": ({"colorinterp": COLORS}, 4, []),
    "blended": ({"nodata": 0}, 3, ["--stitch", "blend"]),
    "resampled": ({"nodata": 0, "transform": north_up(0.7)}, 3, []),
    "averaged views": ({"nodata": 0}, 3, ["--tta", "flip"]),
}


@pytest.mark.parametrize(("profile", "bands", "options"), CASES.values(), ids=CASES.keys())
def test_a_sparse_file_gives_the_map_of_a_dense_one(tmp_path, segment, engines, pixels, profile, bands, options):
    maps = []
    for name, more in (("dense", {}), ("sparse", {"SPARSE_OK": True})):
        make_raster(tmp_path / f"{name}.tif", pixels[:bands], **TILED, **more, **profile)
        assert segment(tmp_path / f"{name}.tif", "--window", "128", *options).code == 0
        with rasterio.open(tmp_path / f"{name}.mask.tif") as dataset:
            maps.append(dataset.read(1))
    np.testing.assert_array_equal(*maps)


@pytest.mark.parametrize("options", [(), ("--stitch", "blend"), ("--resolution", "0.8"), ("--tta", "flip")])
def test_what_a_sparse_file_does_not_store_is_no_data_where_nothing_else_says_what_is(
    tmp_path, segment, pixels, options
):
    """Grid: absent blocks are no black ground. A file with the black ground stored is another one."""
    sparse = make_raster(tmp_path / "sparse.tif", pixels[:3], **TILED, SPARSE_OK=True)
    with rasterio.open(sparse) as dataset:
        stored = stored_pixels(dataset, Window(0, 0, 700, 900))
    array = np.where(stored, np.maximum(pixels[:3], 1), 0)  # in stored blocks black is a value as any
    make_raster(tmp_path / "sparse.tif", np.where(stored, array, 0), **TILED, SPARSE_OK=True)
    make_raster(tmp_path / "dense.tif", array, **TILED, nodata=0)
    maps = []
    for name in ("sparse", "dense"):
        run = segment(tmp_path / f"{name}.tif", "--window", "128", *options)
        assert run.code == 0
        maps.append(read_map(tmp_path / f"{name}.mask.tif"))
    np.testing.assert_array_equal(*maps)
    assert (maps[0][~stored] == NODATA).all()
    assert (maps[0][stored] != NODATA).all()
    assert "blocks that it does not store, taken as no data" in segment(sparse, "--overwrite").err


def test_a_vrt_of_a_sparse_file_says_that_it_shows_black_and_what_helps(tmp_path, segment, pixels):
    """GDAL tells of the blocks of files only; what a VRT shows in their place is 0."""
    sparse = make_raster(tmp_path / "sparse.tif", pixels[:3], **TILED, SPARSE_OK=True)
    rasterio.shutil.copy(sparse, tmp_path / "scene.vrt", driver="VRT")
    plain = segment(tmp_path / "scene.vrt", "--window", "128")
    assert any("do not store as black ground" in warning for warning in plain.warnings)
    helped = segment(tmp_path / "scene.vrt", "--window", "128", "--nodata", "0", "--overwrite")
    assert helped.code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif") == NODATA, pixels[3] == 0)
    make_raster(tmp_path / "sparse.tif", np.maximum(pixels[:3], 1), **TILED)
    assert segment(tmp_path / "scene.vrt", "--overwrite").warnings == []


def test_a_dense_file_lacks_nothing(tmp_path, pixels):
    path = make_raster(tmp_path / "dense.tif", pixels[:3], **TILED)
    with open_mosaic([str(path)]) as mosaic:
        assert not mosaic.has_validity
        assert not mosaic.empty(Window(500, 600, 100, 100)), "all black, and stored"


@pytest.mark.parametrize("case", ["nodata of the file", "nodata of the option", "planar", "alpha"])
def test_windows_without_a_block_are_not_read(tmp_path, segment, engines, pixels, monkeypatch, case):
    profile, bands, options = CASES[case]
    scene = make_raster(tmp_path / "scene.tif", pixels[:bands], **TILED, SPARSE_OK=True, **profile)
    found = []
    monkeypatch.setattr(RasterScene, "sample", lambda self, lattice=8, size=64: old(self, 1, size))
    fetch = RasterScene._fetch
    monkeypatch.setattr(RasterScene, "_fetch", lambda self, window: found.append(window) or fetch(self, window))
    run = segment(scene, "--window", "128", "--json", *options)
    record = json.loads(run.out.splitlines()[0])
    assert record["skipped"] > record["windows"] // 2
    assert len([w for w in found if w.height == w.width == 128]) < record["windows"] // 2


old = RasterScene.sample


def test_a_mosaic_knows_what_none_of_its_scenes_stores(tmp_path, pixels):
    profile = {**TILED, "SPARSE_OK": True, "nodata": 0}
    one = make_raster(tmp_path / "one.tif", pixels[:3], **profile)
    with rasterio.open(one) as dataset:
        place = dataset.transform @ dataset.transform.translation(2000, 0)
    two = make_raster(tmp_path / "two.tif", pixels[:3], transform=place, **profile)
    with open_mosaic([str(one), str(two)]) as mosaic:
        assert mosaic.empty(Window(0, 1000, 128, 900)), "no scene lies there"
        assert mosaic.empty(Window(500, 640, 200, 1500)), "no block lies there"
        assert not mosaic.empty(Window(0, 1900, 128, 128)), "the second scene has some"
        assert not mosaic.empty(Window(0, 0, 64, 64))


def test_the_map_of_a_sparse_scene_is_sparse(tmp_path, segment, engines):
    array = np.zeros((3, 2000, 2000), np.uint8)
    array[:, 1100:1200, 1300:1400] = noise(100, 100)
    scene = make_raster(tmp_path / "scene.tif", array, **TILED, SPARSE_OK=True, nodata=0)
    assert segment(scene).code == 0
    with rasterio.open(tmp_path / "scene.mask.tif") as dataset:
        classes = dataset.read(1)
        np.testing.assert_array_equal(classes != NODATA, array.any(axis=0))
        assert absent(dataset, Window(0, 0, 1024, 2000), [1])
        assert absent(dataset, Window(1024, 0, 976, 1024), [1])
        assert not absent(dataset, Window(1024, 1024, 512, 512), [1])
        assert dataset.overviews(1) == [2, 4]
    with rasterio.open(tmp_path / "scene.mask.tif", overview_level=0) as dataset:
        assert (dataset.read(1) != NODATA).sum() == 50 * 50


def test_strips_without_data_are_one_byte_seen_as_many_and_cost_no_reading(tmp_path, segment, engines, monkeypatch):
    from mapgen.arrays import is_uniform
    from mapgen.raster import classmap

    strips = []
    plain = classmap._checksum
    monkeypatch.setattr(classmap, "_checksum", lambda strip: strips.append(is_uniform(strip)) or plain(strip))
    scene = make_raster(tmp_path / "scene.tif", np.zeros((3, 2000, 64), np.uint8), **TILED, SPARSE_OK=True, nodata=0)
    run = segment(scene)
    assert run.code == 0
    assert any("no valid pixel" in text for text in run.warnings)
    assert strips == [True] * 4


def test_strips_without_data_take_no_room_in_the_journal_of_a_run(tmp_path, segment, engines, monkeypatch):
    array = np.zeros((3, 2000, 64), np.uint8)
    array[:, 1900:] = noise(100, 64)
    scene = make_raster(tmp_path / "scene.tif", array, **TILED, SPARSE_OK=True, nodata=0)
    sizes = []
    plain = Journal.append
    monkeypatch.setattr(Journal, "append", lambda self, said, data: sizes.append(len(data)) or plain(self, said, data))

    def stopped(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mapgen.raster.classmap._Raster.finish", stopped)
        segment(scene)
    assert sizes[:3] == [0, 0, 0]
    assert sizes[3] > 0
    assert segment(scene).code == 0
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif") != NODATA, array.any(axis=0))
