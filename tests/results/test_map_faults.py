"""What goes wrong while a map is made: the right code, one line, and nothing half-made."""

import json
import signal

import pytest
from factory import ORIGIN, contents, make_raster, noise, north_up

from mapgen.errors import Interrupted, OutputError
from mapgen.files.journal import journal_path
from mapgen.tiling.tiles import Tiler


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "town.tif", noise(60, 80))


@pytest.fixture
def run(mapgen, model, engines):
    return lambda *arguments: mapgen("map", "--model", model, *arguments)


def refused(run, tmp_path, code, words, *arguments):
    """The run ends with this code and one line that holds all words; everything is as it was."""
    before = contents(tmp_path)
    result = run(*arguments)
    assert (result.code, len(result.errors)) == (code, 1), result
    assert all(word in result.errors[0] for word in words), result.errors[0]
    assert result.out == ""
    assert contents(tmp_path) == before


def test_a_missing_scene_leaves_no_folder(tmp_path, run):
    refused(run, tmp_path, 4, ["none.tif", "no such file"], tmp_path / "none.tif", "-o", tmp_path / "out")


def test_scenes_of_two_lattices_are_refused_with_the_command_that_warps(tmp_path, run, scene):
    other = make_raster(tmp_path / "zone.tif", noise(60, 80), crs="EPSG:32639")
    words = [str(other), "its CRS is EPSG:32639", "gdalwarp -t_srs EPSG:32640 -te"]
    refused(run, tmp_path, 4, words, scene, other, "-o", tmp_path / "out")
    off = make_raster(tmp_path / "off.tif", noise(60, 80), transform=north_up(1.0, (ORIGIN[0] + 0.3, ORIGIN[1])))
    refused(run, tmp_path, 4, ["0.30 px off", "gdalwarp"], scene, off, "-o", tmp_path / "out")


def test_a_model_that_is_missing_leaves_no_folder(tmp_path, mapgen, scene):
    refused(mapgen, tmp_path, 6, ["none"], "map", "--model", tmp_path / "none.safetensors", scene, "-o", tmp_path / "o")


@pytest.mark.parametrize("name", ["town.mask.tif", "town.gpkg", "town.pmtiles", "town.mask.pmtiles", "report.json"])
def test_results_that_exist_are_refused_before_anything_is_read(tmp_path, run, scene, engines, name):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_bytes(b"precious")
    refused(run, tmp_path, 5, [name, "exists", "--overwrite"], scene, "-o", tmp_path / "out")
    assert not engines.opened
    assert run(scene, "-o", tmp_path / "out", "--overwrite").code == 0


def test_a_failing_scene_leaves_an_older_map_as_it_was(tmp_path, run, scene):
    assert run(scene, "-o", tmp_path / "out").code == 0
    scene.write_bytes(scene.read_bytes()[:3000])
    refused(run, tmp_path, 4, ["town.tif"], scene, "-o", tmp_path / "out", "--overwrite")


def test_the_folder_must_be_one_and_its_parent_be_there(tmp_path, run, scene):
    (tmp_path / "file").write_text("x")
    refused(run, tmp_path, 5, ["is a file"], scene, "-o", tmp_path / "file")
    refused(run, tmp_path, 5, ["does not exist"], scene, "-o", tmp_path / "a" / "b")


def test_a_scene_is_never_replaced_by_its_results(tmp_path, run):
    (tmp_path / "out").mkdir()
    scene = make_raster(tmp_path / "out" / "town.tif", noise(60, 80))
    scene = scene.rename(tmp_path / "out" / "town.mask.tif")
    refused(run, tmp_path, 5, ["also an input"], scene, "-o", tmp_path / "out", "--name", "town", "--overwrite")


def test_wrong_options_are_refused_before_anything_is_made(tmp_path, run, scene):
    out = ["-o", tmp_path / "out"]
    refused(run, tmp_path, 2, ["--sieve", "3m"], scene, *out, "--sieve", "3m")
    refused(run, tmp_path, 2, ["--zoom"], scene, *out, "--zoom", "x")
    refused(run, tmp_path, 2, ["--format", "gpkg"], scene, *out, "--format", "gpk")
    assert run(scene).code == 2


def test_a_part_that_fails_leaves_the_others_and_is_reported(tmp_path, run, scene, monkeypatch):
    make, out = Tiler.__call__, tmp_path / "out"

    def full(self, source, output, progress=None):
        if self.options.vector:
            raise OutputError(output, "the disk is full", "free some space or write elsewhere with -o")
        return make(self, source, output, progress)

    monkeypatch.setattr(Tiler, "__call__", full)
    result = run(scene, "-o", out)
    assert (result.code, len(result.errors)) == (3, 1)
    assert "the disk is full" in result.errors[0]
    report = json.loads((out / "report.json").read_text())
    assert report["errors"] == [
        {"part": "vector_tiles", "error": result.errors[0].removeprefix("mapgen: error: "), "exit_code": 5}
    ]
    assert "vector_tiles" not in report["files"]
    assert {"class_map", "layer", "raster_tiles", "preview", "stac_item"} <= set(report["files"])
    assert all((out / name).is_file() for name in report["files"].values())
    assert result.out.split()[-1] == str(out / "report.json")


def test_without_a_crs_there_is_a_class_map_but_no_layer_and_no_tiles(tmp_path, run):
    scene = make_raster(tmp_path / "bare.tif", noise(60, 80), crs=None)
    result = run(scene, "-o", tmp_path / "out")
    assert result.code == 3
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert {entry["part"] for entry in report["errors"]} == {"layer", "raster_tiles", "vector_tiles"}
    assert all("--assume-crs" in entry["error"] for entry in report["errors"])
    assert {entry["area_m2"] for entry in report["classes"]} == {None}
    assert report["preview"] == {"bounds": None}
    assert run(scene, "-o", tmp_path / "two", "--assume-crs", "EPSG:32640").code == 0
    assumed = json.loads((tmp_path / "two" / "report.json").read_text())
    assert sum(entry["area_m2"] for entry in assumed["classes"]) == pytest.approx(60 * 80 / 0.9996**2, rel=1e-5)
    assert json.loads((tmp_path / "two" / "bare.stac.json").read_text())["properties"]["proj:code"] == "EPSG:32640"
    refused(run, tmp_path, 2, ["--assume-crs", "EPSG:nix"], scene, "-o", tmp_path / "x", "--assume-crs", "EPSG:nix")


def test_a_damaged_block_that_is_let_pass_ends_with_3(tmp_path, run, scene):
    import rasterio

    make_raster(scene, noise(64, 128), tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    with rasterio.open(scene) as dataset:
        place = int(dataset.get_tag_item("BLOCK_OFFSET_1_0", "TIFF", bidx=1))
    with open(scene, "r+b") as stream:
        stream.seek(place)
        stream.write(b"\xaa" * 50)
    refused(run, tmp_path, 4, ["row 0, column 64", "--on-read-error nodata"], scene, "-o", tmp_path / "out")
    assert run(scene, "-o", tmp_path / "out", "--on-read-error", "nodata", "--no-tiles").code == 3
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["damaged"] == [[0, 64]]
    assert report["nodata_pixels"] == 64 * 64


def test_an_interruption_leaves_finished_parts_whole_and_no_report(tmp_path, run, scene, monkeypatch):
    """As the signal's handler raises it, while the tiles are being made over an older map."""
    assert run(scene, "-o", tmp_path / "out").code == 0
    older = (tmp_path / "out" / "town.pmtiles").read_bytes()

    def stopped(self, *arguments):
        raise Interrupted(signal.SIGINT.name, "stopped", "run the same command again", exit_code=130)

    monkeypatch.setattr("mapgen.tiling.tiles.Job.write", stopped)
    result = run(scene, "-o", tmp_path / "out", "--overwrite")
    assert result.code == 130
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "report.json" not in names
    assert [name for name in names if name.startswith(".")] == [journal_path(tmp_path / "out" / "report.json").name]
    assert (tmp_path / "out" / "town.pmtiles").read_bytes() == older
    done = ("town.mask.tif", "town.preview.webp", "town.gpkg", "town.geojson")
    assert result.out.split() == [str(tmp_path / "out" / name) for name in done]


def test_a_bug_is_called_one(tmp_path, run, scene, monkeypatch):
    monkeypatch.setattr("mapgen.results.map.write_preview", lambda *a, **k: 1 / 0)
    result = run(scene, "-o", tmp_path / "out", "--no-tiles")
    assert result.code == 1
    assert "a bug in mapgen" in result.errors[0]
    assert not (tmp_path / "out" / "report.json").exists()
