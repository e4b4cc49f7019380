"""Files that are no readable imagery: refused with the cause and the remedy, at once and in little memory."""

import os
import random
import subprocess
import sys
import zlib
from contextvars import Context

import numpy as np
import pytest
import rasterio
import tiffs
from factory import NODATA, cells, coordinate_classes, coordinates, make_raster, noise, read_map
from layer_maps import class_map, town
from memory import growing

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64}


@pytest.mark.parametrize(
    ("content", "cause", "remedy"),
    [
        (b"", "is empty", "get the file again"),
        (b"north,south\n1,2\n", "is not a raster", "mapgen reads GeoTIFF"),
        (b"\n<!DOCTYPE html><html><body>Please log in</body></html>", "is a web page", "download the file again"),
        (b"GIF89a" + bytes(100), "format that mapgen does not read", "convert it"),
        (b"PK\x03\x04" + bytes(100), "is a zip archive", "unpack it"),
        (b"<VRTDataset/>", "is a VRT under another name", "rename it to .vrt"),
        (b"II*\0\x08\0", "cannot be read", "get the file again"),
        (b"II*\0\x08\0\0\0\x05\0", "cannot be read", "get the file again"),
    ],
)
def test_what_is_no_raster_is_refused_by_what_it_is(tmp_path, refuses, content, cause, remedy):
    (tmp_path / "scene.tif").write_bytes(content)
    refuses(4, ("scene.tif", cause, remedy), tmp_path / "scene.tif")


def test_a_missing_file_is_refused(tmp_path, refuses):
    refuses(4, ("scene.tif", "no such file", "check the path"), tmp_path / "scene.tif")


def test_a_png_named_tif_is_read_as_the_png_it_is(tmp_path, segment):
    pixels = noise(40, 50)
    make_raster(tmp_path / "good.tif", pixels)
    make_raster(tmp_path / "image.tif", pixels, driver="PNG", crs=None, transform=None)
    assert segment(tmp_path / "good.tif", tmp_path / "image.tif", "-o", f"{tmp_path}/out/").code == 0
    good, image = (read_map(tmp_path / "out" / f"{name}.mask.tif") for name in ("good", "image"))
    np.testing.assert_array_equal(good, image)


@pytest.mark.parametrize("share", [0.02, 0.5, 0.97])
@pytest.mark.parametrize("compress", ["DEFLATE", "NONE"])
def test_a_truncated_file_is_refused(tmp_path, refuses, share, compress):
    path = make_raster(tmp_path / "scene.tif", noise(200, 200), compress=compress, **TILED)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    refuses(4, ("scene.tif", "get the file again"), path)


@pytest.mark.parametrize("driver", ["PNG", "JPEG", "JP2OpenJPEG"])
def test_a_truncated_picture_is_refused(tmp_path, refuses, driver):
    path = make_raster(tmp_path / "scene.tif", noise(200, 200), driver=driver, crs=None, transform=None)
    (tmp_path / "scene.tif.aux.xml").unlink(missing_ok=True)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refuses(4, ("scene.tif", "get the file again"), path)


def test_a_damaged_tile_is_named_by_row_and_column(tmp_path, refuses):
    path = make_raster(tmp_path / "scene.tif", noise(200, 200), compress="DEFLATE", **TILED)
    tiffs.damage(path, 1, 2)
    refuses(4, ("scene.tif", "row 64, column 128", "--on-read-error nodata"), path)


def test_damage_that_shows_midway_leaves_nothing(tmp_path, refuses, engines):
    """A tile between those that are looked at before the work starts."""
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    path = make_raster(tmp_path / "scene.tif", noise(700, 700), compress="DEFLATE", **tiles)
    tiffs.damage(path, 4, 4)
    refuses(4, ("scene.tif", "row 64, column 64", "--on-read-error nodata"), path, "--window", 32)
    assert engines.seen, "the damage was found before the first window"


@pytest.mark.parametrize("resolution", ["native", "2"])
def test_a_damaged_tile_becomes_nodata_where_that_is_asked_for(tmp_path, segment, engines, resolution):
    engines.rule = cells
    path = make_raster(tmp_path / "scene.tif", coordinates(200, 200), compress="DEFLATE", interleave="pixel", **TILED)
    tiffs.damage(path, 1, 2)
    run = segment(path, "--on-read-error", "nodata", "--resolution", resolution)
    assert run.code == 3
    assert run.out == f"{tmp_path / 'scene.mask.tif'}\n"
    assert "damaged" in run.warnings[0]
    assert "row 64, column 128" in run.warnings[0]
    result = read_map(tmp_path / "scene.mask.tif")
    hole = np.zeros((200, 200), bool)
    hole[64:128, 128:192] = True
    np.testing.assert_array_equal(result == NODATA, hole)
    if resolution == "native":
        np.testing.assert_array_equal(result[~hole], coordinate_classes(200, 200)[~hole])


@pytest.mark.parametrize("after", [100, 0])
def test_a_damaged_jpeg_tile_is_noticed(tmp_path, refuses, after):
    """libjpeg makes grey of what it cannot read and GDAL only logs a warning."""
    path = make_raster(tmp_path / "scene.tif", noise(200, 200), compress="JPEG", photometric="YCBCR", **TILED)
    tiffs.damage(path, 1, 2, after=after)
    refuses(4, ("scene.tif", "row 64, column 128", "--on-read-error nodata"), path)


def test_a_damaged_jpeg_tile_becomes_nodata_where_that_is_asked_for(tmp_path, segment):
    path = make_raster(tmp_path / "scene.tif", noise(200, 200), compress="JPEG", photometric="YCBCR", **TILED)
    tiffs.damage(path, 1, 2, after=100)
    run = segment(path, "--on-read-error", "nodata")
    assert run.code == 3
    assert (read_map(tmp_path / "scene.mask.tif") == NODATA).sum() == 64 * 64


@pytest.mark.parametrize("size", [(0, 10), (10, 0)])
def test_an_image_without_pixels_is_refused(tmp_path, refuses, size):
    tiffs.bare_tiff(tmp_path / "scene.tif", tiffs.grey(*size))
    refuses(4, ("scene.tif", "cannot be read", "get the file again"), tmp_path / "scene.tif")


@pytest.mark.parametrize(
    ("tags", "cause", "remedy"),
    [
        (tiffs.grey(2**31 - 1, 2**31 - 1), "pixels", "gdal_translate"),
        (tiffs.grey(2**31 - 1, 4), "limit", "gdal_translate"),
        (tiffs.grey(9_999_999, 9_999_999), "limit is 1e+12", "gdal_translate"),
        (tiffs.giant_tile(40_000, 40_000, 32768), "one block (32768 × 32768)", "gdal_translate -co TILED=YES"),
    ],
)
def test_what_would_exhaust_the_memory_is_refused_before_it_is_allocated(tmp_path, refuses, tags, cause, remedy):
    path = tiffs.bare_tiff(tmp_path / "scene.tif", tags, zlib.compress(bytes(100)))
    with growing() as grown:
        refuses(8, ("scene.tif", cause, remedy), path)
    assert grown[0] < 100e6


@pytest.mark.parametrize("size", [2**31, 2**32 - 1])
def test_dimensions_beyond_what_gdal_counts_are_refused(tmp_path, refuses, size):
    path = tiffs.bare_tiff(tmp_path / "scene.tif", tiffs.grey(size, 4))
    refuses(4, ("scene.tif", "cannot be read", "get the file again"), path)


def test_complex_pixels_are_refused(tmp_path, refuses):
    path = make_raster(tmp_path / "scene.tif", np.ones((3, 20, 20), np.complex64))
    refuses(4, ("scene.tif", "complex", "convert them"), path)


def test_complex_integers_that_numpy_does_not_know_are_refused(tmp_path, refuses):
    path = tmp_path / "radar.tif"
    with rasterio.open(path, "w", driver="GTiff", height=20, width=20, count=1, dtype="complex_int16"):
        pass
    refuses(4, ("radar.tif", "complex numbers (complex_int16)", "convert them"), path)


def test_a_palette_is_not_read_as_intensities(tmp_path, refuses):
    path = make_raster(tmp_path / "scene.tif", noise(20, 20, 1), photometric="PALETTE")
    refuses(4, ("scene.tif", "palette", "gdal_translate -expand rgb"), path)


def test_inks_are_not_read_as_light(tmp_path, refuses):
    path = make_raster(tmp_path / "scene.tif", noise(20, 20, 4), photometric="CMYK")
    refuses(4, ("scene.tif", "CMYK", "convert it to RGB"), path)


def test_single_bits_are_not_read_as_grey(tmp_path, refuses):
    path = make_raster(tmp_path / "scene.tif", noise(20, 20, 3) % 2, nbits=1)
    refuses(4, ("scene.tif", "one bit", "8 bits"), path)


@pytest.mark.parametrize("seed", [9, 16, 17, 22, 26, 31, 35, 52])  # these reach the keys of the georeferencing
def test_random_damage_never_looks_like_a_bug(tmp_path, segment, seed):
    """Bytes of a header at random: a map, a map with holes, or a refusal, always in one line."""
    rng = random.Random(seed)
    good = make_raster(tmp_path / "scene.tif", noise(40, 50), **(TILED if seed % 2 else {})).read_bytes()
    for _ in range(12):
        damaged = bytearray(good)
        for _ in range(rng.choice((1, 4, 8))):
            damaged[rng.randrange(700)] = rng.choice((0, 1, 127, 128, 255))
        (tmp_path / "scene.tif").write_bytes(damaged)
        run = segment(tmp_path / "scene.tif", "--overwrite", "--on-read-error", "nodata")
        assert run.code in (0, 3, 4, 8), run.err
        assert len(run.errors) == (run.code in (4, 8))


def test_a_folder_is_refused(tmp_path, refuses):
    (tmp_path / "scene.tif").mkdir()
    refuses(4, ("scene.tif", "is a folder", "name the raster files"), tmp_path / "scene.tif")


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path, refuses):
    os.mkfifo(tmp_path / "scene.tif")
    refuses(4, ("scene.tif", "not a regular file", "copy its content"), tmp_path / "scene.tif")


def test_a_link_to_itself_is_refused(tmp_path, refuses):
    (tmp_path / "scene.tif").symlink_to("scene.tif")
    refuses(4, ("scene.tif", "symbolic link", "repair the link"), tmp_path / "scene.tif")


def test_a_file_without_permission_to_read_is_refused(tmp_path, refuses, monkeypatch):
    path = make_raster(tmp_path / "scene.tif", noise(20, 20))
    real = open

    def denied(name, *arguments, **options):  # root may read everything, so permissions alone prove nothing
        if name == path:
            raise PermissionError(13, "Permission denied", str(name))
        return real(name, *arguments, **options)

    monkeypatch.setattr("builtins.open", denied)
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda self: real(self, "rb").read())
    refuses(4, ("scene.tif", "Permission denied", "permissions"), path)


@pytest.mark.parametrize("command", ["segment", "map", "vectorize", "tiles", "roads"])
def test_what_a_raster_may_claim_can_be_bounded_more_tightly(tmp_path, refuses, mapgen, model, engines, command):
    """--max-pixels and --max-block-memory, before anything is allocated; what is within them is read."""
    if command in ("segment", "map"):
        path, more = make_raster(tmp_path / "scene.tif", noise(40, 50)), ("--model", model)
    else:
        path, more = class_map(tmp_path / "scene.tif", town(40, 50)), ()
    target = tmp_path / "out.tif" if command == "segment" else tmp_path / "out.gpkg"
    target = {"map": tmp_path / "out", "tiles": tmp_path / "out.pmtiles"}.get(command, target)
    given = (command, path, *more, "-o", target)
    refuses(8, ("scene.tif: claims 50 × 40 pixels", "or raise --max-pixels"), *given, "--max-pixels", 1999, run=mapgen)
    refuses(8, ("scene.tif: one block", "or raise --max-block"), *given, "--max-block-memory", "1kB", run=mapgen)
    assert mapgen(*given, "--max-pixels", 2000, "--max-block-memory", "1MB").code == 0


def test_a_remedy_names_no_option_that_there_is_not(tmp_path, refuses, mapgen):
    """Of what bounds a raster in `info`, which has no option to move it."""
    path = tiffs.bare_tiff(tmp_path / "scene.tif", tiffs.giant_tile(40_000, 40_000, 32768), zlib.compress(bytes(100)))

    def alone(*words):
        """The command as in a process of its own: what tests before have set is not there."""
        return Context().run(mapgen, *words)

    run = refuses(8, ("one block (32768 × 32768)", "gdal_translate -co TILED=YES"), "info", path, run=alone)
    assert "--max-block-memory" not in run.err


def test_pythons_users_get_a_clean_environment_too():
    """PROJ_LIB of a GIS shell, which breaks the wheel's own PROJ."""
    program = "import os, mapgen; mapgen.segment; print(os.environ.get('PROJ_LIB'))"
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"PROJ_LIB": "/nowhere"}, capture_output=True, check=True
    )
    assert done.stdout == b"None\n"
