"""Models for other programs: what they read is there, the card comes along, and back again it makes the same map."""

import ast
import json

import numpy as np
import pytest
from factory import card, make_raster, noise, read_map

from mapgen.model.file import find_model, open_model
from mapgen.model.onnx import outline
from mapgen.model.write import save_model

onnx = pytest.importorskip("onnx")

SMALL = {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    import torch

    from mapgen.model.network import build

    torch.manual_seed(1)
    net = build("Unet", "resnet18", 3, 3, **SMALL).eval()
    own = card(name="small", parameters=SMALL, resolution_m=0.3, license="CC0")
    return save_model(net, own, tmp_path_factory.mktemp("model") / "small.safetensors")


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    from mapgen.model.exporting import export

    return export(str(model), "onnx", tmp_path_factory.mktemp("onnx") / "small.onnx", window=64)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPGEN_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def as_deepness(path):
    """The keys as Deepness reads them: each a JSON text, the kind capitalized, ids without gaps."""
    keys = {p.key: p.value for p in onnx.load(path).metadata_props}
    kind = str(json.loads(keys["model_type"])).capitalize()
    assert kind in ("Segmentor", "Detector", "Regressor", "Recognition", "Superresolution")
    classes = json.loads(keys["class_names"]) if "class_names" in keys else ast.literal_eval(keys["names"])
    classes = classes if isinstance(classes, list) else [classes]
    names = [{int(k): v for k, v in group.items()} for group in classes]
    assert all(sorted(group) == list(range(len(group))) for group in names)
    resolution, size = float(json.loads(keys["resolution"])), int(json.loads(keys["tile_size"]))
    overlap, threshold = int(json.loads(keys["tiles_overlap"])), float(json.loads(keys["seg_thresh"]))
    median = int(json.loads(keys["seg_small_segment"])) // 2 * 2 + 1
    return kind, names, resolution, size, overlap, threshold, median


def as_geodeep(path):
    """The keys as GeoDeep reads them, and the window from the input, which has to be static and of three bands."""
    proto = onnx.load(path)
    keys = {p.key: p.value for p in proto.metadata_props}
    assert json.loads(keys["model_type"]) == "Segmentor"
    names = json.loads(keys["class_names"])
    assert isinstance(names, dict)
    shape = [d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    assert shape[:2] == [1, 3]
    assert shape[2] == shape[3] > 0
    return names, float(json.loads(keys["resolution"])), shape[-1], int(keys["seg_small_segment"])


def test_other_programs_find_all_keys_that_they_read(exported):
    kind, names, resolution, size, overlap, threshold, median = as_deepness(exported.output)
    assert (kind, names) == ("Segmentor", [{0: "dark", 1: "middle", 2: "bright"}])
    assert (resolution, size, overlap, threshold, median) == (30.0, 64, 12, 0.0, 1)
    classes, resolution, side, small = as_geodeep(exported.output)
    assert (classes, resolution, side, small) == ({"0": "dark", "1": "middle", "2": "bright"}, 30.0, 64, 0)


def test_the_file_is_sound_and_gives_the_probabilities_of_the_model(exported, model):
    import torch

    from mapgen.model.file import network_of
    from mapgen.model.torch import load_network

    onnx.checker.check_model(onnx.load(exported.output))
    from onnx.reference import ReferenceEvaluator

    pixels = np.random.default_rng(3).random((1, 3, 64, 64), np.float32)
    (got,) = ReferenceEvaluator(str(exported.output)).run(None, {"pixels": pixels})
    net = load_network(network_of(open_model(model)))
    with torch.inference_mode():
        wanted = net(torch.from_numpy((pixels * 255 - 128) / 64)).softmax(1).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert exported.difference < 1e-5
    keys = outline(exported.output.read_bytes(), "it").keys
    assert json.loads(keys["mapgen_parity"]) == exported.parity
    assert json.loads(keys["mapgen_card"])["license"] == "CC0"


def test_out_and_in_again_the_map_is_the_same_on_every_pixel(exported, model, tmp_path, mapgen):
    run = mapgen("models", "import", exported.output, "--name", "again")
    assert run.code == 0, run
    again = find_model("again").card
    assert (again.legend, again.bands, again.resolution_m, again.license) == (
        card().legend, card().bands, 0.3, "CC0",
    )  # fmt: skip
    scene = make_raster(tmp_path / "scene.tif", noise(150, 170))
    maps = []
    for name in ("again", model):
        maps.append(tmp_path / f"{len(maps)}.tif")
        options = ("--precision", "fp32", "--resolution", "native", "-o", maps[-1])
        run = mapgen("segment", scene, "--model", name, *options)
        assert run.code == 0, run
    assert (read_map(maps[0]) == read_map(maps[1])).all()


def test_openvino_needs_no_torch_and_says_the_same(model, tmp_path, mapgen):
    import openvino as ov

    path = tmp_path / "small.xml"
    run = mapgen("models", "export", model, "--to", "openvino", "-o", path, "--window", 64)
    assert (run.code, run.out) == (0, f"{path}\n"), run
    assert "of the pixels agree" in run.err
    made = ov.Core().read_model(path)
    assert json.loads(made.get_rt_info(["framework", "mapgen_card"]).astype(str))["name"] == "small"
    pixels = np.random.default_rng(3).random((1, 3, 64, 64), np.float32)
    total = ov.Core().compile_model(made, "CPU")(pixels)[0].sum(1)
    np.testing.assert_allclose(total, 1, atol=1e-4)
    assert mapgen("models", "export", model, "--to", "openvino", "-o", path).code == 5


def test_what_cannot_be_written_is_refused_before_anything_is(model, exported, tmp_path, mapgen):
    assert mapgen("models", "import", exported.output, "--name", "again").code == 0
    run = mapgen("models", "export", "again", "--to", "onnx", "-o", tmp_path / "x.onnx")
    assert (run.code, "held as a graph" in run.err) == (2, True)
    run = mapgen("models", "export", model, "--to", "onnx", "-o", tmp_path / "x.onnx", "--window", 61)
    assert (run.code, "use 64" in run.err) == (2, True)
    assert mapgen("models", "export", model, "--to", "tflite").code == 2
    assert not (tmp_path / "x.onnx").exists()
