"""What `mapgen evaluate` says of what it cannot use: one line, the right exit code, nothing touched."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from factory import LEGEND, make_raster, north_up


@pytest.fixture
def pair(tmp_path):
    """A map with the names of LEGEND, and truth like it."""
    array = np.random.default_rng(0).integers(0, 3, (40, 50)).astype("uint8")
    tags = {"MAPGEN_LEGEND": json.dumps(LEGEND.to_json())}
    return (
        make_raster(tmp_path / "map.tif", array, nodata=255, tags=tags),
        make_raster(tmp_path / "truth.tif", array, nodata=255),
    )


@pytest.fixture
def refused(refuses, mapgen):
    """`refused(code, words, map, truth, options…)`: as `refuses`, of `mapgen evaluate`."""
    return lambda code, words, *arguments: refuses(
        code, words, *arguments, run=lambda *rest: mapgen("evaluate", "-q", *rest)
    )


def a_text(path):
    path.write_text("once upon a time")
    return path


def a_page(path):
    path.write_text("<!doctype html><title>log in</title>")
    return path


def nothing(path):
    path.write_bytes(b"")
    return path


RASTERS = {
    "missing": (lambda p: p, ("no such file",)),
    "a text": (a_text, ("is not a raster",)),
    "a page": (a_page, ("web page",)),
    "empty": (nothing, ("is empty",)),
    "a folder": (lambda p: p.mkdir() or p, ("is a folder",)),
    "floats": (lambda p: make_raster(p, np.ones((40, 50), "float32")), ("float32", "class ids are integers")),
    "three bands": (lambda p: make_raster(p, np.ones((3, 40, 50), "uint8")), ("has 3 bands, a class map has one",)),
}  # fmt: skip


@pytest.mark.parametrize("fault", RASTERS)
@pytest.mark.parametrize("side", ["map", "truth"])
def test_what_is_no_class_raster_is_refused(pair, refused, tmp_path, fault, side):
    make, words = RASTERS[fault]
    bad = make(tmp_path / "bad.tif")
    names = (bad, pair[1]) if side == "map" else (pair[0], bad)
    refused(4, (str(bad), *words), *names)


def test_a_damaged_truth_names_the_rows(pair, refused, tmp_path):
    noise = np.random.default_rng(1).integers(0, 3, (400, 50)).astype("uint8")
    name = make_raster(tmp_path / "bad.tif", noise, compress="deflate", blockysize=16)
    data = bytearray(name.read_bytes())
    with rasterio.open(name) as dataset:
        offset = int(dataset.get_tag_item("BLOCK_OFFSET_0_5", "TIFF", bidx=1))
    data[offset : offset + 40] = b"\xff" * 40
    name.write_bytes(data)
    tall = make_raster(tmp_path / "tall.tif", noise)
    refused(4, ("bad.tif", "is damaged in the rows"), tall, name)


def test_truth_elsewhere_is_refused_with_both_bounds(pair, refused, tmp_path):
    away = make_raster(tmp_path / "away.tif", np.ones((9, 9), "uint8"), transform=north_up(1.0, (0.0, 0.0)))
    refused(4, ("away.tif", "nothing of it lies on the map (bounds 0, -9, 9, 0; the map's 500000,"), pair[0], away)


def test_truth_of_another_size_without_a_crs_is_refused(pair, refused, tmp_path):
    bare = make_raster(tmp_path / "bare.tif", np.ones((9, 9), "uint8"), crs=None)
    refused(4, ("has no CRS", "9 × 9 pixels and the map 50 × 40", "--assume-crs"), pair[0], bare)


def test_a_map_without_a_crs_under_a_truth_of_another_size_is_refused(pair, refused, tmp_path):
    bare = make_raster(tmp_path / "bare.tif", np.ones((9, 9), "uint8"), crs=None)
    refused(4, ("bare.tif", "has no CRS", "georeference it first"), bare, pair[1])


def test_truth_of_which_nothing_counts_is_refused(pair, refused, tmp_path):
    empty = make_raster(tmp_path / "empty.tif", np.full((40, 50), 255, "uint8"), nodata=255)
    refused(4, ("none of its pixels with data lies on the map",), pair[0], empty)
    refused(4, ("the map has no data where it has",), empty, pair[1])
    refused(4, ("all of it is ignored",), *pair, "--ignore", "0,1,2")


def test_a_raster_with_a_number_for_each_object_is_refused(pair, refused, tmp_path):
    for name, scale in (("ids.tif", 1), ("wide.tif", 1_000_003)):
        many = (np.arange(2000).reshape(40, 50) * scale).astype("int64")
        refused(4, (name, "more than 255 classes"), pair[0], make_raster(tmp_path / name, many))


def test_a_crs_that_is_named_is_not_overruled(pair, refused):
    refused(4, ("has a CRS of its own", "leave out --assume-crs"), *pair, "--assume-crs", "EPSG:4326")


def test_vectors_on_the_network_are_refused_without_their_secrets(pair, refused):
    done = refused(4, ("on the network", "download it first"), pair[0], "https://host/t.geojson?key=secret")
    assert "secret" not in done.err


def test_vectors_that_cannot_be_read_are_refused(pair, refused, tmp_path):
    refused(4, ("bad.geojson", "cannot be read"), pair[0], a_text(tmp_path / "bad.geojson"))
    refused(4, ("none.gpkg", "no such file"), pair[0], tmp_path / "none.gpkg")


USAGE = {
    "an unknown figure": (("--fail-under", "mio=0.5"), ("'mio' is not a figure", "did you mean miou?")),
    "a class figure without class": (("--fail-under", "iou=0.5"), ("'iou' is not a figure", "did you mean miou?")),
    "recall without class": (("--fail-under", "recall=0.5"), ("name a class too, such as recall.road=0.4",)),
    "no number": (("--fail-under", "miou"), ("does not name a number",)),
    "percent": (("--fail-under", "miou=60"), ("does not name a number from 0 to 1",)),
    "boundary without tolerance": (("--fail-under", "boundary=0.5"), ("needs a tolerance", "add --boundary METRES")),
    "no tolerance": (("--boundary", "0"), ("is not a length in metres",)),
    "endless blocks": (("--block", "inf"), ("is not a length in metres",)),
    "too large a tolerance": (("--boundary", "5000"), ("more than 128 pixels", "use at most 128")),
    "a class nobody knows": (
        ("--objects", "bridge"),
        ("no class is called 'bridge'", "use one of dark, middle, bright"),
    ),
    "a floor nobody knows": (("--fail-under", "iou.bridge=0.5"), ("no class is called 'bridge'",)),
    "an empty list": (("--ignore", "1,,2"), ("--ignore", "is not a list of names or numbers")),
    "attribute of a raster": (("--attribute", "kind"), ("--attribute", "is for vector truth")),
    "outside of a raster": (("--outside", "dark"), ("--outside", "is for vector truth")),
    "attribute and class": (("--attribute", "kind", "--class", "dark"), ("use one of the two",)),
    "an unknown way to match": (("--match", "nmae"), ("--match", "did you mean name?")),
    "an unknown CRS": (("--assume-crs", "EPSG:99999999"), ("is not a CRS that PROJ knows",)),
}


@pytest.mark.parametrize("fault", USAGE)
def test_wrong_options_are_refused_with_what_would_be_right(pair, refused, fault):
    options, words = USAGE[fault]
    refused(2, words, *pair, *options)


def test_match_is_for_raster_truth(pair, refused, tmp_path):
    refused(2, ("--match", "is for raster truth"), pair[0], tmp_path / "t.geojson", "--match", "name")


def test_a_picture_never_takes_the_place_of_an_input_or_a_folder(pair, refused, tmp_path):
    refused(5, ("the output is also an input",), *pair, "--worst", pair[1], "--overwrite")
    (tmp_path / "folder").mkdir()
    refused(5, ("is a folder",), *pair, "--worst", tmp_path / "folder")
    refused(5, ("does not exist",), *pair, "--worst", tmp_path / "none" / "worst.png")


def test_usage_errors_come_back_without_numpy():
    script = (
        "import sys; from mapgen.cli.main import run; code = run(['evaluate', 'a', 'b', '--fail-under', 'boundary=1']);"
        "sys.exit(code if not {'numpy', 'rasterio', 'numba'} & set(sys.modules) else 99)"
    )
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=False).returncode == 2


def test_an_ignored_class_that_truth_has_not_is_noticed(pair, mapgen):
    done = mapgen("evaluate", *pair, "--ignore", "17")
    assert done.code == 0
    assert "--ignore 17: no pixel of the truth has this class" in done.warnings[0]
