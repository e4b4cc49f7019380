"""Cloud Optimized GeoTIFFs of our own: read back by GDAL, checked by rio-cogeo, overviews against brute force."""

from itertools import product

import numpy as np
import pytest
import rasterio
from affine import Affine
from factory import CRS, north_up
from hypothesis import given
from hypothesis import strategies as st
from rio_cogeo.cogeo import cog_validate

from mapgen.files.commit import Output
from mapgen.grid import Grid, Window
from mapgen.legend import BUILTIN, NODATA
from mapgen.raster import cog
from mapgen.raster.blocks import absent
from mapgen.raster.classmap import Scores, write_class_map
from mapgen.raster.downsample import evened, mean_of_four, mode_of_four

IDS = np.array([1, 2, 3, 4, 5, NODATA], np.uint8)


def blocks(height, width, seed=0, side=7, bands=()):
    """Random class ids, nodata among them, in squares."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, len(IDS), (*bands, height // side + 1, width // side + 1))
    return IDS[coarse].repeat(side, -2).repeat(side, -1)[..., :height, :width]


def strips(array):
    """The array in rows of tiles, as `write_class_map` takes it."""
    for row in range(0, array.shape[-2], cog.TILE):
        yield row, array[..., row : row + cog.TILE, :]


def written(path, array, transform=None, crs=CRS, **options):
    """The array as a class map at `path`."""
    height, width = array.shape[-2:]
    grid = Grid(rasterio.CRS.from_user_input(crs) if crs else None, transform or north_up(1.0), height, width)
    write_class_map(Output(path), strips(array), grid, BUILTIN, {"MAPGEN_MODEL": "x"}, **options)
    return path


def mode(values):
    """The most frequent of the ids that are data, the lowest of several; NODATA where there is none."""
    known = [v for v in values if v != NODATA]
    return min(known, key=lambda v: (-known.count(v), v)) if known else NODATA


def test_the_mode_of_four_is_that_of_counting():
    every = np.array(list(product([0, 1, 2, 3, NODATA], repeat=4)), np.uint8)
    raster = np.stack([every[:, :2].ravel(), every[:, 2:].ravel()])
    np.testing.assert_array_equal(mode_of_four(raster)[0], [mode(list(map(int, four))) for four in every])


def test_the_mean_of_four_leaves_out_what_is_no_data_and_rounds_halves_up():
    every = np.array(list(product([0, 1, 4, 250, NODATA], repeat=4)), np.uint8)
    raster = np.stack([every[:, :2].ravel(), every[:, 2:].ravel()])
    known = [[int(v) for v in four if v != NODATA] for four in every]
    wanted = [int(np.floor(np.mean(k) + 0.5)) if k else NODATA for k in known]
    np.testing.assert_array_equal(mean_of_four(raster)[0], wanted)


@given(st.integers(1, 40), st.integers(1, 40))
def test_odd_sizes_are_halved_as_if_there_were_no_data_beyond(height, width):
    array = blocks(height, width, seed=height * width, side=1)
    half = mode_of_four(evened(array))
    assert half.shape == (-(-height // 2), -(-width // 2))
    wanted = [[mode(list(map(int, array[r : r + 2, c : c + 2].ravel()))) for c in range(0, width, 2)]
              for r in range(0, height, 2)]  # fmt: skip
    np.testing.assert_array_equal(half, wanted)


@pytest.mark.parametrize("size", [(1, 1), (512, 512), (513, 511), (1300, 700), (40, 2100), (2500, 30)])
def test_what_is_written_is_what_gdal_reads_at_every_zoom(tmp_path, size):
    array = blocks(*size)
    path = written(tmp_path / "map.tif", array)
    with rasterio.open(path) as dataset:
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (dataset.nodata, dataset.crs, dataset.transform) == (
            NODATA,
            rasterio.CRS.from_string(CRS),
            north_up(1.0),
        )
        assert dataset.colormap(1)[1][:3] == next(iter(BUILTIN)).rgb
        assert dataset.tags()["MAPGEN_MODEL"] == "x"
        np.testing.assert_array_equal(dataset.read(1), array)
        factors = dataset.overviews(1)
    expected = array
    for level, _ in enumerate(factors):
        expected = mode_of_four(evened(expected))
        with rasterio.open(path, overview_level=level) as overview:
            np.testing.assert_array_equal(overview.read(1), expected)
    assert max(expected.shape) <= cog.TILE
    valid, errors, warnings = cog_validate(path, quiet=True)
    assert valid, errors
    assert not warnings
    assert sorted(p.name for p in tmp_path.iterdir()) == ["map.qml", "map.tif", "map.tif.aux.xml"]


@pytest.mark.parametrize(
    ("transform", "crs"),
    [
        (Affine(0.5, 0.2, 5e5, 0.2, -0.5, 4e6), CRS),
        (Affine(1e-5, 0, 55.2, 0, -1e-5, 25.1), "EPSG:4326"),
        (Affine(2.0, 0, 5e5, 0, 2.0, 4e6), CRS),
        (Affine.identity(), None),
    ],
)
def test_any_place_is_kept(tmp_path, transform, crs):
    path = written(tmp_path / "map.tif", blocks(60, 70), transform, crs)
    with rasterio.open(path) as dataset:
        assert dataset.transform == transform
        assert dataset.crs == (rasterio.CRS.from_string(crs) if crs else None)


def test_a_file_beyond_four_gigabytes_is_a_bigtiff(tmp_path, monkeypatch):
    monkeypatch.setattr(cog, "_CLASSIC_LIMIT", 10_000)
    array = blocks(1300, 1100, side=3)
    path = written(tmp_path / "map.tif", array)
    assert path.read_bytes()[:4] == b"II\x2b\x00"
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), array)
    assert cog_validate(path, quiet=True)[0]


def test_scores_lie_beside_the_map_on_the_same_grid(tmp_path):
    array = np.concatenate([blocks(600, 700)[None], blocks(600, 700, 1, bands=(1,)), blocks(600, 700, 2, bands=(3,))])
    scores = [Scores(tmp_path / "c.tif", ("confidence",)), Scores(tmp_path / "p.tif", ("a", "b", "c"))]
    written(tmp_path / "map.tif", array, scores=scores)
    for name, bands, planes in (("c", ("confidence",), array[1:2]), ("p", ("a", "b", "c"), array[2:])):
        with rasterio.open(tmp_path / f"{name}.tif") as dataset:
            np.testing.assert_array_equal(dataset.read(), planes)
            assert dataset.descriptions == bands
            assert set(dataset.scales) == {0.004}
            assert dataset.nodata == NODATA
        with rasterio.open(tmp_path / f"{name}.tif", overview_level=0) as overview:
            np.testing.assert_array_equal(overview.read(), mean_of_four(planes))
        assert cog_validate(tmp_path / f"{name}.tif", quiet=True)[0]


def test_gdals_own_writer_makes_the_same_pixels(tmp_path):
    array = blocks(700, 900)
    written(tmp_path / "own.tif", array)
    written(tmp_path / "gdal.tif", array, creation_options=[("COMPRESS", "ZSTD")])
    with rasterio.open(tmp_path / "own.tif") as own, rasterio.open(tmp_path / "gdal.tif") as gdal:
        np.testing.assert_array_equal(own.read(), gdal.read())
        assert (own.crs, own.transform, own.nodata, own.colormap(1)) == (
            gdal.crs, gdal.transform, gdal.nodata, gdal.colormap(1),
        )  # fmt: skip
        assert gdal.compression.name == "zstd"


def test_the_same_strips_give_the_same_bytes_whatever_the_threads(tmp_path):
    array = blocks(1500, 1800, side=2)
    first = written(tmp_path / "a.tif", array, threads=2).read_bytes()
    for threads in (1, 3):
        assert written(tmp_path / f"{threads}.tif", array, threads=threads).read_bytes() == first


def test_tiles_without_data_are_not_in_the_file(tmp_path):
    array = np.full((2000, 3000), NODATA, np.uint8)
    array[700, 800] = 3
    path = written(tmp_path / "map.tif", array)
    with rasterio.open(path) as dataset:
        np.testing.assert_array_equal(dataset.read(1), array)
        places = [(row, col) for row in range(4) for col in range(6) if not absent(dataset, tile(row, col), [1])]
    assert places == [(1, 1)]
    assert cog_validate(path, strict=True)[0]


def tile(row, col):
    """The window of a tile."""
    return Window(row * cog.TILE, col * cog.TILE, cog.TILE, cog.TILE)


def test_an_error_while_compressing_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cog, "compressed", lambda tile: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        written(tmp_path / "map.tif", blocks(1200, 600))
    assert not list(tmp_path.iterdir())
