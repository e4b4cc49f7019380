"""What the options of `models import` and `models export` change, and how both speak."""

import json

import numpy as np
import pytest
from factory import make_raster, noise, read_map

pytest.importorskip("onnx")

from onnx_files import KEYS, brightness_onnx

from mapgen.model.file import find_model, open_model
from mapgen.model.onnx import outline

MUTE = {"keys": {}}
"""A file that says nothing of itself."""

NEEDED = ("--resolution", "1", "--classes", "dark,middle,bright")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPGEN_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def brought(tmp_path, mapgen):
    """Import a file of this shape with these options; its model."""

    def bring(*options, **shape):
        path = brightness_onnx(tmp_path / "net.onnx", **shape)
        run = mapgen("models", "import", path, "-o", tmp_path / "out.safetensors", "--overwrite", *options)
        assert run.code == 0, run
        return open_model(tmp_path / "out.safetensors")

    return bring


def test_what_a_file_does_not_say_is_said_by_options(brought):
    more = ("--background", "dark", "--colors", "#000000,#808080,#ffffff", "--name", "sky", "--license", "CC0")
    card = brought(*NEEDED, *more, "--bands", "nir,red,green", "--data-type", "uint16", **MUTE).card
    assert (card.name, card.license, card.resolution_m, card.data_type) == ("sky", "CC0", 1.0, "uint16")
    assert card.bands == ("nir", "red", "green")
    assert [(c.name, c.color, c.background) for c in card.legend] == [
        ("dark", "#000000", True), ("middle", "#808080", False), ("bright", "#ffffff", False),
    ]  # fmt: skip
    plain = brought("--resolution", "2.5", "--classes", "a,b,c", **MUTE).card
    assert (plain.resolution_m, plain.legend.names, plain.license) == (2.5, ("a", "b", "c"), "")


def test_scale_says_what_the_network_takes(brought):
    cards = {scale: brought("--scale", scale).card for scale in ("0,1", "0,255", "10,20,30/2,4,8")}
    assert cards["10,20,30/2,4,8"].mean == (10.0, 20.0, 30.0)
    assert cards["10,20,30/2,4,8"].std == (2.0, 4.0, 8.0)
    assert cards["0,1"].std == (255.0,) * 3
    assert cards["0,255"].std == (1.0,) * 3


def test_head_gives_and_threshold_choose_the_output_and_its_meaning(brought, tmp_path, mapgen):
    one = KEYS | {"class_names": json.dumps({"0": "bright"})}
    scene = make_raster(tmp_path / "scene.tif", noise(64, 64))
    shares = []
    for options in (("--gives", "scores", "--threshold", "0.5"), ("--gives", "scores", "--threshold", "0.95")):
        model = brought("--head", "0", *options, classes=1, last="", heads=2, keys=one)
        assert model.card.graph.head == "scores"
        assert mapgen("segment", scene, "--model", model.path, "-o", tmp_path / "map.tif", "--overwrite").code == 0
        shares.append(np.mean(read_map(tmp_path / "map.tif") == 1))
    assert shares[0] > shares[1] > 0
    first, second = (brought("--head", str(n), heads=2).sha256 for n in range(2))
    assert first != second


def test_import_writes_where_it_is_told_and_replaces_only_when_asked(tmp_path, mapgen):
    path, output = brightness_onnx(tmp_path / "net.onnx"), tmp_path / "mine.safetensors"
    first = mapgen("models", "import", path, "--output", output, "--json")
    assert (first.code, json.loads(first.out.splitlines()[0])["output"]) == (0, str(output))
    before = output.read_bytes()
    assert mapgen("models", "import", path, "-o", output, "--license", "MIT").code == 5
    assert output.read_bytes() == before
    assert mapgen("models", "import", path, "-o", output, "--license", "MIT", "--overwrite").code == 0
    assert open_model(output).card.license == "MIT"
    assert not (tmp_path / "models").exists()


def test_check_maps_a_scene_and_draws_it_beside_the_model(brought, tmp_path):
    scene = make_raster(tmp_path / "scene.tif", noise(60, 70))
    brought("--check", scene)
    assert read_map(tmp_path / "out.check.tif").shape == (60, 70)
    assert (tmp_path / "out.check.png").is_file()


def test_import_is_quiet_or_verbose_as_any_command(tmp_path, mapgen, capfd):
    from mapgen.cli.main import run

    path = brightness_onnx(tmp_path / "net.onnx")
    assert "licence: not stated" in mapgen("models", "import", path).err
    quiet = mapgen("models", "import", path, "--overwrite", "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    for option, shown in (("--verbose", False), ("-vv", True)):
        capfd.readouterr()
        assert run(["models", "import", str(tmp_path / "none.onnx"), option]) != 0
        assert ("Traceback" in capfd.readouterr().err) is shown


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model file of a small network."""
    import torch
    from factory import card

    from mapgen.model.network import build
    from mapgen.model.write import save_model

    torch.manual_seed(1)
    shape = {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}
    net = build("Unet", "resnet18", 3, 3, **shape).eval()
    return save_model(net, card(name="small", parameters=shape), tmp_path_factory.mktemp("m") / "small.safetensors")


def test_export_writes_the_format_the_place_and_the_windows_that_are_asked_for(small, tmp_path, mapgen):
    onnx, xml = tmp_path / "out.onnx", tmp_path / "out.xml"
    done = mapgen("models", "export", small, "--to", "onnx", "--output", onnx, "--window", 96, "--json")
    assert (done.code, json.loads(done.out.splitlines()[0])["output"]) == (0, str(onnx))
    assert outline(onnx.read_bytes(), "it").keys["tile_size"] == "96"
    assert mapgen("models", "export", small, "--to", "openvino", "-o", xml).code == 0
    assert xml.read_bytes().startswith(b"<?xml")
    before = xml.read_bytes()
    assert mapgen("models", "export", small, "--to", "openvino", "-o", xml, "--window", 64).code == 5
    assert xml.read_bytes() == before
    assert mapgen("models", "export", small, "--to", "openvino", "-o", xml, "--window", 64, "--overwrite").code == 0
    assert xml.read_bytes() != before


def test_export_is_quiet_or_verbose_as_any_command(small, tmp_path, mapgen, capfd):
    from mapgen.cli.main import run

    done = mapgen("models", "export", small, "--to", "openvino", "-o", tmp_path / "out.xml", "--quiet")
    assert (done.code, done.err) == (0, "")
    for option, shown in (("--verbose", False), ("-vv", True)):
        capfd.readouterr()
        assert run(["models", "export", str(tmp_path / "none.safetensors"), "--to", "onnx", option]) != 0
        assert ("Traceback" in capfd.readouterr().err) is shown


def test_models_are_found_by_the_names_that_options_gave(tmp_path, mapgen):
    path = brightness_onnx(tmp_path / "net.onnx")
    assert mapgen("models", "import", path, "--name", "sky").code == 0
    assert find_model("sky").card.name == "sky"
