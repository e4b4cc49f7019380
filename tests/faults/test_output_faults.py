"""Outputs: refused before the work starts, never at the cost of an input or an older file; any name works."""

import errno
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import rasterio
from factory import cells, contents, coordinate_classes, coordinates, make_raster, noise, read_map


@pytest.fixture
def scene(tmp_path, engines):
    """A coordinate scene of 60 × 70 pixels, for a rule that reads its coordinates."""
    engines.rule = cells
    return make_raster(tmp_path / "scene.tif", coordinates(60, 70))


def assert_map(path):
    np.testing.assert_array_equal(read_map(path), coordinate_classes(60, 70))


def test_an_output_that_exists_is_refused(tmp_path, scene, refuses, engines):
    (tmp_path / "scene.mask.tif").write_text("precious")
    refuses(5, ("scene.mask.tif: exists", "use --overwrite", "-o"), scene)
    assert engines.opened == []


def test_an_output_that_exists_is_replaced_where_that_is_asked_for(tmp_path, scene, segment):
    (tmp_path / "scene.mask.tif").write_text("old")
    assert segment(scene, "--overwrite").code == 0
    assert_map(tmp_path / "scene.mask.tif")


def test_an_old_map_survives_a_run_that_fails_midway(tmp_path, scene, refuses, engines):
    def broken(pixels):
        raise MemoryError

    engines.rule = broken
    for name in ("scene.mask.tif", "scene.mask.tif.aux.xml", "scene.mask.qml"):
        (tmp_path / name).write_text("precious")
    refuses(8, ("out of memory", "--window"), scene, "--overwrite")


def test_side_cars_of_an_older_file_do_not_describe_the_new_one(tmp_path, scene, segment):
    for suffix in (".aux.xml", ".msk", ".ovr"):
        (tmp_path / f"scene.mask.tif{suffix}").write_text("<PAMDataset><!-- stale --></PAMDataset>")
    (tmp_path / "scene.mask.qml").write_text("stale")
    (tmp_path / "scene.mask.tif").write_text("old")
    assert segment(scene, "--overwrite").code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "scene.mask.qml", "scene.mask.tif", "scene.mask.tif.aux.xml", "scene.tif",
    ]  # fmt: skip
    assert "stale" not in (tmp_path / "scene.mask.qml").read_text()
    assert "stale" not in (tmp_path / "scene.mask.tif.aux.xml").read_text()


@pytest.mark.parametrize("how", ["name", "symbolic link", "hard link", "folder link", "dots"])
@pytest.mark.parametrize("options", [(), ("--overwrite",)])
def test_an_input_is_never_the_output(tmp_path, scene, refuses, how, options):
    other = tmp_path / "other.tif"
    if how == "name":
        other = scene
    elif how == "symbolic link":
        other.symlink_to(scene)
    elif how == "hard link":
        other.hardlink_to(scene)
    elif how == "folder link":
        (tmp_path / "there").symlink_to(tmp_path)
        other = tmp_path / "there" / "scene.tif"
    else:
        other = f"{tmp_path}/../{tmp_path.name}/scene.tif"
    refuses(5, (str(other), "is also an input", "choose another name with -o"), scene, "-o", other, *options)


def test_another_input_of_the_run_is_never_an_output(tmp_path, scene, segment):
    """Making the map of a.tif must not replace a.mask.tif, which waits its turn as a scene."""
    make_raster(tmp_path / "scene.mask.tif", noise(20, 20))
    before = contents(tmp_path)
    run = segment(scene, tmp_path / "scene.mask.tif", "--overwrite")
    assert run.code == 3
    assert len(run.errors) == 1
    assert "scene.mask.tif: the output is also an input; choose another name with -o" in run.errors[0]
    after = contents(tmp_path)
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {f"scene.mask.mask.{end}" for end in ("tif", "tif.aux.xml", "qml")}


def test_the_model_is_never_the_output(tmp_path, scene, refuses, model):
    words = (str(model), "is also an input", "choose another name with -o")
    before = model.read_bytes()
    refuses(5, words, scene, "-o", model, "--overwrite")
    assert model.read_bytes() == before


def test_the_area_of_interest_is_never_the_output(tmp_path, scene, refuses, segment):
    ring = "[[56.9,24],[57.1,24],[57.1,25],[56.9,25],[56.9,24]]"
    aoi = tmp_path / "aoi.geojson"
    aoi.write_text(f'{{"type":"Polygon","coordinates":[{ring}]}}')
    assert segment(scene, "--aoi", aoi).code == 0
    refuses(5, ("aoi.geojson", "is also an input"), scene, "--aoi", aoi, "-o", aoi, "--overwrite")


def test_a_missing_folder_is_refused(tmp_path, scene, refuses):
    refuses(5, ("map.tif", "nowhere does not exist", "create it first"), scene, "-o", tmp_path / "nowhere" / "map.tif")


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, scene, refuses):
    refuses(5, ("map.tif", "scene.tif does not exist", "create"), scene, "-o", scene / "map.tif")
    refuses(5, ("scene.tif", "is a file", "-o"), scene, "-o", f"{scene}/")


def test_a_read_only_folder_is_refused(tmp_path, scene, refuses, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write anywhere
    refuses(5, ("scene.mask.tif", "is not writable", "choose another with -o"), scene)


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EDQUOT])
def test_a_folder_that_only_looks_writable_is_refused(tmp_path, scene, refuses, monkeypatch, code):
    def refused(*arguments, **options):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("tempfile.mkdtemp", refused)
    refuses(5, ("scene.mask.tif", "-o"), scene)


def test_a_folder_is_no_output_file(tmp_path, scene, refuses):
    (tmp_path / "scene.mask.tif").mkdir()
    refuses(5, ("scene.mask.tif: is a folder", "name a file"), scene, "--overwrite")


@pytest.mark.parametrize("name", ["scene.mask.qml", "scene.mask.tif.aux.xml", "scene.mask.tif.msk"])
def test_a_folder_in_place_of_a_side_car_is_refused(tmp_path, scene, refuses, name):
    (tmp_path / name).mkdir()
    refuses(5, (name, "is a folder", "move it away"), scene, "--overwrite")


def test_a_device_is_no_output_file(tmp_path, scene, refuses):
    os.mkfifo(tmp_path / "map.tif")
    refuses(5, ("map.tif", "is not a regular file", "-o"), scene, "-o", tmp_path / "map.tif", "--overwrite")
    assert stat.S_ISFIFO((tmp_path / "map.tif").stat().st_mode)


def test_a_broken_link_is_not_written_through(tmp_path, scene, refuses, segment):
    (tmp_path / "map.tif").symlink_to(tmp_path / "elsewhere.tif")
    refuses(5, ("map.tif: exists", "--overwrite"), scene, "-o", tmp_path / "map.tif")
    assert segment(scene, "-o", tmp_path / "map.tif", "--overwrite").code == 0
    assert not (tmp_path / "elsewhere.tif").exists()
    assert_map(tmp_path / "map.tif")


ODD_NAMES = [
    "with spaces.tif",
    " leading and trailing .tif",
    "ünïcödé 地図 🗺.tif",
    "new\nline.tif",
    "-leading-dash.tif",
    "--overwrite.tif",
    "quotes'\"`$(true).tif",
    "percent%20#?.tif",
    "plain.tif",  # the name of the working copy
    "a space.tif",
    "two.dots..tif",
    ".hidden.tif",
    "UPPER.TIF",
    "map.mbtiles",
    "map.qml",
    "cog.tif",
    "n" * 250 + ".tif",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_written(tmp_path, scene, segment, name):
    run = segment(scene, "-o", tmp_path / name)
    assert run.code == 0
    assert_map(tmp_path / name)
    with rasterio.open(tmp_path / name) as dataset:
        assert dataset.driver == "GTiff"
    assert not [p.name for p in tmp_path.iterdir() if p.name.startswith(".mapgen-")]


@pytest.mark.parametrize("name", [name for name in ODD_NAMES if name != "--overwrite"])
def test_any_name_is_read(tmp_path, segment, engines, name, monkeypatch):
    engines.rule = cells
    (tmp_path / "in").mkdir()
    make_raster(tmp_path / "plain.tif", coordinates(60, 70)).rename(tmp_path / "in" / name)
    monkeypatch.chdir(tmp_path / "in")
    run = segment("-o", tmp_path / "map.tif", "--", name)
    assert run.code == 0
    assert_map(tmp_path / "map.tif")


def test_a_name_that_is_no_utf8_is_refused(tmp_path, scene, refuses):
    """GDAL's names are UTF-8; bytes of an older encoding cannot be handed to it."""
    odd = tmp_path / os.fsdecode(b"caf\xe9.tif")
    refuses(5, ("caf", "not UTF-8", "choose another name with -o"), scene, "-o", odd)
    refuses(4, ("caf", "not UTF-8", "rename it"), scene.rename(odd))


def test_a_name_that_no_file_can_have_is_refused(tmp_path, scene, refuses):
    refuses(5, ("n" * 300, "too long", "choose a shorter one with -o"), scene, "-o", tmp_path / ("n" * 300 + ".tif"))
    long = scene.rename(tmp_path / ("n" * 250 + ".tif"))
    refuses(5, (".mask.tif", "too long", "choose a shorter one with -o"), long)
    refuses(4, ("n" * 300, "cannot be read", "check the path"), tmp_path / ("n" * 300 + ".tif"))


def test_a_name_too_long_for_a_side_car_has_none_and_that_is_said(tmp_path, scene, segment):
    name = "n" * 250 + ".tif"
    run = segment(scene, "-o", tmp_path / name)
    assert run.code == 0
    assert any("too long" in w and ".aux.xml" in w for w in run.warnings)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "n" * 250 + ".qml", "scene.tif"])


BY_GDAL = ("--co", "COMPRESS=DEFLATE")
"""With creation options GDAL's COG driver writes, else mapgen itself: the two have tests of their own."""


def test_a_map_that_does_not_read_back_is_never_shown(tmp_path, scene, refuses, monkeypatch):
    """A full disk that GDAL does not notice, played by a copy that loses its end."""
    import rasterio.shutil

    copy = rasterio.shutil.copy

    def lossy(source, target, **options):
        copy(source, target, **options)
        if isinstance(source, Path):  # not the trial of the creation options, which is in memory
            with open(target, "r+b") as stream:
                stream.truncate(os.path.getsize(target) - 200)

    monkeypatch.setattr("rasterio.shutil.copy", lossy)
    refuses(5, ("scene.mask.tif", "did not read back as written", "free some space"), scene, *BY_GDAL)


def test_a_map_that_says_something_else_is_never_shown(tmp_path, scene, refuses, monkeypatch):
    import rasterio.shutil

    copy = rasterio.shutil.copy

    def forged(source, target, **options):
        if isinstance(source, Path):
            with rasterio.open(source, "r+") as dataset:
                dataset.write(np.full((1, 1), 7, "uint8"), 1, window=((3, 4), (5, 6)))
        copy(source, target, **options)

    monkeypatch.setattr("rasterio.shutil.copy", forged)
    refuses(5, ("scene.mask.tif", "did not read back as written"), scene, *BY_GDAL)


@pytest.mark.parametrize("harm", ["end", "pixels"])
def test_a_map_of_our_own_writer_that_does_not_read_back_is_never_shown(tmp_path, scene, refuses, monkeypatch, harm):
    """A disk that loses the end of the file, or keeps other tiles than it was given, without a word."""
    from mapgen.raster import cog

    write = cog.write_cog

    def lossy(file, levels, fields):
        write(file, levels, fields)
        file.truncate(file.tell() - 30)

    monkeypatch.setattr(*((cog, "write_cog", lossy) if harm == "end" else (cog, "compressed", forged(cog.compressed))))
    refuses(5, ("scene.mask.tif", "did not read back as written", "free some space"), scene)


def forged(compressed):
    """Compresses another tile than it is given."""
    return lambda tile: compressed(np.where(tile == 1, 2, tile))


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        ("COMPRESS=NONSENSE", 2, ("--co", "COMPRESS=NONSENSE")),
        ("OVERVIEW_RESAMPLING=AVERAGE", 2, ("--co", "is fixed for class maps", "leave it out")),
        ("NONSENSE", 2, ("--co", "is not KEY=VALUE", "such as")),
        ("=5", 2, ("--co", "is not KEY=VALUE", "such as")),
        ("NONSENSE=5", 2, ("--co", "NONSENSE")),
        ("BLOCKSIZE=7", 2, ("--co", "BLOCKSIZE=7", "gdal.org")),
        ("COMPRESS=JPEG", 2, ("--co", "COMPRESS=JPEG")),
        ("TILING_SCHEME=GoogleMapsCompatible", 2, ("--co", "TILING_SCHEME", "would change the pixels or the grid")),
    ],
)
def test_a_creation_option_that_makes_no_sense_is_refused(tmp_path, scene, refuses, option, code, words):
    refuses(code, words, scene, "--co", option)
