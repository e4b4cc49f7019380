"""`verify` says of every kind of output whether it is whole: untouched it is, harmed anywhere it is not."""

import json
import shutil

import numpy as np
import pytest
import rasterio
from factory import contents, make_model, make_raster, noise
from layer_maps import class_map, town

from mapgen.layers.vectorize import vectorize
from mapgen.results.verify import verify
from mapgen.roads.extract import extract_roads
from mapgen.tiling.tiles import tiles


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An output of each kind, by name."""
    folder = tmp_path_factory.mktemp("made")
    mask = class_map(folder / "town.mask.tif", town(300, 280))
    for form in ("geojson", "geojsonl", "gpkg", "fgb", "shp"):
        vectorize(mask, folder / f"town.{form}")
    for name, options in (("t.pmtiles", {}), ("t.mbtiles", {}), ("t", {}), ("v.pmtiles", {"vector": True}),
                          ("v.mbtiles", {"vector": True}), ("v", {"vector": True})):  # fmt: skip
        tiles(mask, folder / name, **options)
    for name in ("roads.gpkg", "roads.geojson", "roads.osm", "roads.osm.pbf", "roads.graphml", "roads.fgb"):
        extract_roads(mask, folder / name)
    make_model(folder / "model.safetensors")
    return folder


SEALED = ("scene.mask.tif", "scene.confidence.tif", "scene.probabilities.tif")
"""What carries a hash of itself: any bit that changes shows."""

LAYERS = ("town.geojson", "town.geojsonl", "town.gpkg", "town.fgb", "town.shp")
SETS = ("t.pmtiles", "t.mbtiles", "v.pmtiles", "v.mbtiles")
NETWORKS = ("roads.gpkg", "roads.geojson", "roads.osm", "roads.graphml", "roads.fgb")


@pytest.fixture
def maps(tmp_path, segment):
    """A class map with scores."""
    scene = make_raster(tmp_path / "scene.tif", noise(700, 600), nodata=0)
    assert segment(scene, "--confidence", "--probabilities").code == 0
    return tmp_path


def test_what_was_just_made_is_whole(made, maps):
    names = (*LAYERS, *SETS, *NETWORKS, "roads.osm.pbf", "t", "v", "model.safetensors", "town.mask.tif")
    before = contents(made)
    for path in (*(made / name for name in names), *(maps / name for name in SEALED)):
        found = verify(path)
        assert (found.faults, found.kind != "") == ([], True), found
    assert contents(made) == before


@pytest.mark.parametrize("name", SEALED)
def test_any_bit_that_changes_in_a_raster_of_mapgen_shows(maps, name):
    assert verify(maps / name).unknown == []
    content = (maps / name).read_bytes()
    for place in np.random.default_rng(3).integers(0, len(content), 40).tolist():
        harmed = bytearray(content)
        harmed[place] ^= 1 << place % 8
        (maps / name).write_bytes(harmed)
        assert not verify(maps / name).whole, place
    (maps / name).write_bytes(content)
    assert verify(maps / name).whole


@pytest.mark.parametrize("name", [*SEALED, *LAYERS, *SETS, *NETWORKS, "roads.osm.pbf", "model.safetensors"])
def test_what_is_cut_off_anywhere_is_not_whole(made, maps, tmp_path, name):
    """Truncated at nothing, in the head, in the middle and just before the end."""
    source = made / name if (made / name).exists() else maps / name
    (tmp_path / "cut").mkdir()
    for other in source.parent.glob(f"{source.stem}.*"):
        shutil.copy(other, tmp_path / "cut")
    path, content = tmp_path / "cut" / name, source.read_bytes()
    assert verify(path).whole
    for size in (0, 5, len(content) // 3, len(content) // 2, len(content) - 20):
        path.write_bytes(content[:size])
        assert not verify(path).whole, size


@pytest.mark.parametrize("name", SETS)
def test_a_tile_with_a_bit_changed_shows(made, tmp_path, name):
    """Every byte from the first tile to the last is one of a tile."""
    content = (made / name).read_bytes()
    seen = 0
    for place in np.linspace(len(content) // 2, len(content) - 200, 24).astype(int).tolist():
        harmed = bytearray(content)
        harmed[place] ^= 16
        (tmp_path / name).write_bytes(harmed)
        seen += not verify(tmp_path / name).whole
    assert seen >= (24 if name.endswith(".pmtiles") else 12)  # a database has pages that hold nothing


@pytest.mark.parametrize("name", ["t", "v"])
def test_a_tile_that_is_missing_from_a_folder_shows(made, tmp_path, name):
    shutil.copytree(made / name, tmp_path / name)
    gone = next(p for p in (tmp_path / name).rglob("*") if p.is_file() and p.suffix in (".png", ".pbf"))
    gone.unlink()
    (fault,) = verify(tmp_path / name).faults
    assert "tiles, " in fault
    (tmp_path / name / "tilejson.json").unlink()
    assert not verify(tmp_path / name).whole


def test_a_part_of_a_shapefile_that_is_missing_shows(made, tmp_path):
    for part in made.glob("town.*"):
        if part.suffix in (".shp", ".shx", ".dbf", ".prj", ".cpg"):
            shutil.copy(part, tmp_path)
    assert verify(tmp_path / "town.shp").whole
    (tmp_path / "town.dbf").unlink()
    assert verify(tmp_path / "town.shp").faults == ["its part town.dbf is missing"]


def test_a_map_of_gdal_s_driver_has_the_checksums_of_its_tiles_alone_and_that_is_said(tmp_path, segment):
    scene = make_raster(tmp_path / "scene.tif", noise(700, 600))
    assert segment(scene, "--co", "COMPRESS=DEFLATE").code == 0
    found = verify(tmp_path / "scene.mask.tif")
    assert (found.whole, len(found.unknown)) == (True, 1)
    with rasterio.open(tmp_path / "scene.mask.tif") as dataset:
        start = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    with open(tmp_path / "scene.mask.tif", "r+b") as file:
        file.seek(start + 100)
        file.write(b"\0\0\0\0")
    assert not verify(tmp_path / "scene.mask.tif").whole


@pytest.fixture
def result(tmp_path, mapgen, model, engines):
    scene = make_raster(tmp_path / "town.tif", noise(200, 180))
    assert mapgen("map", "--model", model, scene, "-o", tmp_path / "out").code == 0
    return tmp_path / "out"


def test_any_bit_of_any_file_of_a_result_shows(result):
    assert verify(result).whole
    for name in json.loads((result / "report.json").read_text())["files"].values():
        if name.endswith(".gpkg"):  # which programs write into; see below
            continue
        content = (result / name).read_bytes()
        harmed = bytearray(content)
        harmed[len(content) // 2] ^= 4
        (result / name).write_bytes(harmed)
        assert any(fault.startswith(f"{name}: ") for fault in verify(result).faults), name
        (result / name).unlink()
        assert verify(result).faults == [f"{name}: is missing"]
        (result / name).write_bytes(content)
    assert verify(result).whole


def test_a_geopackage_that_a_program_has_opened_is_told_from_a_damaged_one(result):
    import sqlite3

    with sqlite3.connect(result / "town.gpkg") as database:
        database.execute("CREATE TABLE of_qgis (a)")
    database.close()
    found = verify(result)
    assert (found.whole, any("QGIS" in note for note in found.notes)) == (True, True)
    content = bytearray((result / "town.gpkg").read_bytes())
    content[4096 : 4096 + 2000] = bytes(2000)
    (result / "town.gpkg").write_bytes(content)
    assert not verify(result).whole


def test_a_report_that_is_damaged_or_leads_outside_is_no_whole_result(result):
    report = json.loads((result / "report.json").read_text())
    (result / "report.json").write_text(json.dumps(report | {"files": {"layer": "../../etc/passwd"}}))
    assert "outside" in verify(result).faults[0]
    (result / "report.json").write_text("{")
    assert not verify(result).whole


def test_the_command_prints_what_is_whole_and_exits_9_where_something_is_not(tmp_path, made, mapgen):
    good, bad = made / "town.gpkg", tmp_path / "bad.tif"
    bad.write_bytes(b"II*\0")
    run = mapgen("verify", good, bad, tmp_path / "none.pmtiles")
    assert (run.code, run.out, len(run.errors)) == (9, f"{good}\n", 2)
    run = mapgen("verify", good, bad, "--json")
    told = [json.loads(line) for line in run.out.splitlines()]
    assert (run.code, [one["whole"] for one in told], told[0]["kind"]) == (9, [True, False], "layer")
    assert mapgen("verify", good).code == 0
    assert mapgen("verify", tmp_path).code == 9


def test_the_command_is_quiet_or_verbose_as_any_other(made, mapgen):
    assert mapgen("verify", made / "town.gpkg", "--quiet").err == ""
    assert mapgen("verify", made / "none.gpkg", "--verbose").code == 9


def test_a_layer_with_a_name_that_is_no_text_is_a_fault_and_no_bug(made, tmp_path):
    content = (made / "town.fgb").read_bytes()
    (tmp_path / "bad.fgb").write_bytes(content.replace(b"class_name", b"clas\xf3_name", 1))
    (fault,) = verify(tmp_path / "bad.fgb").faults
    assert "cannot be read" in fault
