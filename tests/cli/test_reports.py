"""What mapgen says about files, models and itself."""

import json
import os
from importlib.metadata import version

import numpy as np
import pytest
import rasterio
from factory import coordinates, make_model, make_raster, noise, north_up

import mapgen as package
from mapgen.cli.main import run
from mapgen.errors import InputError


@pytest.fixture
def scene(tmp_path):
    """A scene of 40 × 50 pixels."""
    return make_raster(tmp_path / "scene.tif", noise(40, 50))


def test_version_prints_the_version(mapgen):
    done = mapgen("--version")
    assert (done.code, done.out.splitlines()[0]) == (0, f"mapgen {package.__version__}")
    named = dict(line.split(" ", 1) for line in done.out.splitlines())
    assert named["rasterio"] == rasterio.__version__
    assert named["torch"].split("+")[0] == version("torch").split("+")[0]
    if "GDAL" in named:  # a wheel carries its own
        assert named["GDAL"] == rasterio.__gdal_version__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_show_completion_prints_a_script_for_the_shell(mapgen, monkeypatch, shell):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    done = mapgen("--show-completion", shell)
    assert done.code == 0
    assert "_MAPGEN_COMPLETE" in done.out


def test_install_completion_writes_a_script_for_the_shell(mapgen, monkeypatch, tmp_path):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    done = mapgen("--install-completion", "fish")
    assert done.code == 0
    scripts = [path.read_text() for path in tmp_path.rglob("*.fish")]
    assert any("_MAPGEN_COMPLETE" in text for text in scripts)


def test_info_says_what_a_scene_is_and_the_next_command(scene, mapgen, model):
    done = mapgen("info", scene, "--model", model)
    assert done.code == 0
    lines = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in done.out.splitlines()}
    assert done.out.startswith(f"{scene}: scene\n")
    assert (lines["width"], lines["height"], lines["dtype"], lines["fits"]) == ("50", "40", "uint8", "yes")
    assert lines["next"] == f"mapgen segment {scene} --model {model}"


def test_info_says_what_it_compared_and_that_the_ground_is_not_judged(scene, mapgen, model):
    done = mapgen("info", scene, "--model", model)
    assert (
        "  compared:     bands 1 as red, 2 as green, 3 as blue; data type uint8 for uint8; resolution 1 m for 1 m\n"
        in done.out
    )
    assert "  not judged:   whether the ground is like what the model knows: test patterns\n" in done.out


def test_info_names_all_obstacles_at_once(tmp_path, mapgen, model):
    path = make_raster(tmp_path / "scene.tif", noise(30, 30, 5), transform=north_up(10.0), photometric="MINISBLACK")
    record = json.loads(mapgen("info", path, "--model", model, "--json").out)
    assert record["fits"] is False
    assert "model needs 3 bands (red, green, blue), file has 5; its pixels measure 10 m" in record["why"]
    assert "--bands 4,3,2; use --resolution native" in record["next"]


def test_four_bands_without_names_are_hinted_at_as_aerial_cameras_write_them(tmp_path, mapgen, model):
    path = make_raster(tmp_path / "naip.tif", noise(30, 30, 4), photometric="MINISBLACK", ALPHA="NO")
    assert "--bands 1,2,3" in json.loads(mapgen("info", path, "--model", model, "--json").out)["next"]


def test_info_json_holds_the_same_as_values(scene, mapgen, model):
    done = mapgen("info", scene, "--model", model, "--json")
    record = json.loads(done.out)
    assert (record["kind"], record["width"], record["height"]) == ("scene", 50, 40)
    assert record["resolution_m"] == pytest.approx([1, 1], abs=0.001)
    assert record["fits"] is True


def test_info_model_is_the_one_that_the_scene_is_compared_with(tmp_path, mapgen, model):
    coarse = make_raster(tmp_path / "coarse.tif", noise(40, 50), transform=north_up(10.0))
    other = make_model(tmp_path / "ten_metres.safetensors", resolution_m=10.0)
    for path, fits in ((model, False), (other, True)):
        assert json.loads(mapgen("info", coarse, "--model", path, "--json").out)["fits"] is fits


def test_info_says_what_a_class_map_is(scene, segment, mapgen, tmp_path):
    assert segment(scene).code == 0
    record = json.loads(mapgen("info", tmp_path / "scene.mask.tif", "--json").out)
    assert (record["kind"], record["model"], record["nodata"]) == ("class map", "fake", "255.0")
    assert [c["name"] for c in record["classes"]] == ["dark", "middle", "bright"]
    assert record["next"] == f"mapgen vectorize {tmp_path / 'scene.mask.tif'}"


def test_info_knows_class_rasters_of_others(mapgen, tmp_path):
    values = np.tile(np.array([1, 7], np.uint8), (40, 20))
    path = make_raster(tmp_path / "paletted.tif", values)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {1: (1, 2, 3, 255), 7: (250, 0, 0, 255)})
    record = json.loads(mapgen("info", path, "--json").out)
    assert (record["kind"], record["next"]) == ("class map", f"mapgen vectorize {path}")
    assert {"id": 7, "name": "7", "color": "#fa0000"} in record["classes"]


@pytest.mark.parametrize("form", ["geojsonl", "geojsons", "ndjson", "geoparquet", "parquet", "shp"])
def test_info_knows_every_layer_that_vectorize_writes(scene, segment, mapgen, tmp_path, form):
    pytest.importorskip("pyarrow")
    assert segment(scene).code == 0
    assert mapgen("vectorize", tmp_path / "scene.mask.tif", "-o", tmp_path / f"a.{form}").code == 0
    record = json.loads(mapgen("info", tmp_path / f"a.{form}", "--json").out)
    assert (record["kind"], "class_name" in record["fields"]) == ("layer", True)


def test_info_tells_of_a_result(scene, model, engines, mapgen, tmp_path):
    assert mapgen("map", scene, "--model", model, "-o", tmp_path / "out", "--no-tiles").code == 0
    record = json.loads(mapgen("info", tmp_path / "out", "--json").out)
    assert (record["kind"], record["name"], record["model"]) == ("result", "scene", "fake")
    assert record["next"] == f"mapgen view {tmp_path / 'out'}"
    assert "scene.mask.tif" in mapgen("info", tmp_path / "out").out
    (tmp_path / "out" / "report.json").write_text("{}")
    assert mapgen("info", tmp_path / "out").code == 4


@pytest.mark.parametrize("name", ["town.pmtiles", "town.mbtiles", "town"])
def test_info_says_what_a_tile_set_is(scene, segment, mapgen, tmp_path, name):
    assert segment(scene, "-o", tmp_path / "town.mask.tif").code == 0
    form = () if "." in name else ("-f", "folder")
    assert mapgen("tiles", tmp_path / "town.mask.tif", "-o", tmp_path / name, *form).code == 0
    said = json.loads(mapgen("info", tmp_path / name, "--json").out)
    assert (said["kind"], said["format"], said["tiling"]) == ("tile set", "png", "WebMercatorQuad")
    assert [c["name"] for c in said["classes"]] == ["dark", "middle", "bright"]
    assert said["zoom"][0] <= said["zoom"][1]
    assert "tile set" in mapgen("info", tmp_path / name).out


def test_info_says_what_a_model_is(mapgen, model):
    record = json.loads(mapgen("info", model, "--json").out)
    assert (record["kind"], record["card"]["name"], record["parameters_count"]) == ("model", "fake", 4)


def test_info_never_prints_what_json_has_no_word_for(tmp_path, mapgen, model):
    """A scene in a CRS that does not fit its coordinates has no resolution, and JSON no NaN."""
    path = make_raster(tmp_path / "scene.tif", coordinates(20, 20), crs="EPSG:4326", nodata=None)

    def refused(text):
        raise AssertionError(f"{text} is not JSON")

    done = mapgen("info", path, "--model", model, "--json")
    record = json.loads(done.out, parse_constant=refused)
    assert (record["resolution_m"], record["fits"]) == (None, False)


def test_models_list_json_holds_one_object_a_line(mapgen, monkeypatch, model):
    monkeypatch.setattr("mapgen.model.listing.builtin_models", lambda: [model])
    plain, as_json = mapgen("models", "list"), mapgen("models", "list", "--json")
    assert plain.out.startswith("fake  1 m  red,green,blue  dark,middle,bright")
    assert mapgen("models").out == plain.out
    assert json.loads(as_json.out)["classes"] == ["dark", "middle", "bright"]


def test_models_show_json_holds_the_card(mapgen, model):
    plain, as_json = mapgen("models", "show", model), mapgen("models", "show", model, "--json")
    assert plain.out.startswith("fake (version 1)\n")
    assert json.loads(as_json.out)["card"]["window"] == 64


def test_vectorize_verbose_twice_shows_the_traceback(scene, segment, monkeypatch, tmp_path, capfd):
    assert segment(scene).code == 0
    monkeypatch.setattr("mapgen.layers.vectorize.open_mask", lambda *arguments, **options: 1 // 0)
    for flag, shown in (("-v", False), ("-vv", True)):
        assert run(["vectorize", os.fspath(tmp_path / "scene.mask.tif"), flag]) == 1
        assert ("Traceback" in capfd.readouterr().err) == shown


@pytest.mark.parametrize(
    "command", [("info", "none.tif"), ("models", "list"), ("models", "show", "none")], ids=" ".join
)
def test_quiet_and_verbose_are_options_of_every_command(command, monkeypatch, capfd):
    def broken():
        raise InputError("weights", "cannot be read", "install mapgen again")

    monkeypatch.setattr("mapgen.model.listing.builtin_models", broken)
    assert run([*command, "--quiet"]) != 0
    assert len(capfd.readouterr().err.splitlines()) == 1
    assert run([*command, "-vv"]) != 0
    assert run([*command, "--verbose", "-v"]) != 0
    assert capfd.readouterr().err.count("Traceback (most recent") >= 2
