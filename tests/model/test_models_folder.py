"""The user's own models: found by name, listed, shown."""

import json

import pytest
from factory import make_model, make_raster, noise

from mapgen.errors import ModelError
from mapgen.files.cache import models_folder
from mapgen.model.file import find_model
from mapgen.settings import DEFAULT_MODEL


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    path = tmp_path / "models"
    path.mkdir()
    monkeypatch.setenv("MAPGEN_MODELS", str(path))
    return path


def test_a_model_of_the_folder_is_found_by_its_name(folder, mapgen, engines):
    path = make_model(folder / "roofs-v1.2.safetensors")
    assert find_model("roofs-v1.2").path == path
    scene = make_raster(folder.parent / "scene.tif", noise(30, 40))
    assert mapgen("segment", scene, "--model", "roofs-v1.2").code == 0


def test_models_are_listed_with_those_of_the_folder_and_what_is_wrong_with_them(folder, mapgen):
    make_model(folder / "roofs.safetensors")
    (folder / "broken.safetensors").write_bytes(b"junk")
    run = mapgen("models", "list")
    assert run.code == 0
    names = [line.split("  ")[0] for line in run.out.splitlines()]
    assert names == [DEFAULT_MODEL, "broken", "roofs"]
    assert "not a safetensors file" in run.out
    entries = [json.loads(line) for line in mapgen("models", "list", "--json").out.splitlines()]
    assert [entry["builtin"] for entry in entries[:3]] == [True, False, False]


def test_show_names_the_command_and_says_that_no_licence_is_stated(folder, mapgen):
    make_model(folder / "roofs.safetensors")
    shown = mapgen("models", "show", "roofs").out
    assert "license:     not stated" in shown
    assert shown.splitlines()[-1].endswith("mapgen segment SCENE --model roofs")


def test_an_unknown_name_lists_the_models_of_the_folder_too(folder):
    make_model(folder / "roofs.safetensors")
    with pytest.raises(ModelError, match=rf"there are: {DEFAULT_MODEL}, roofs"):
        find_model("rofs")


def test_a_folder_that_is_not_there_holds_no_models(tmp_path, monkeypatch, mapgen):
    monkeypatch.setenv("MAPGEN_MODELS", str(tmp_path / "nowhere"))
    assert mapgen("models", "list").code == 0
    assert not (tmp_path / "nowhere").exists()
    monkeypatch.delenv("MAPGEN_MODELS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert models_folder() == tmp_path / "data" / "mapgen" / "models"
