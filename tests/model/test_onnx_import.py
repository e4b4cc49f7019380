"""ONNX files of other programs become models: what they say, what is asked for, what is refused, and the map."""

import json

import numpy as np
import pytest
from factory import make_raster, noise, read_map

pytest.importorskip("onnx")

from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, load_from_string, numpy_helper
from onnx_files import KEYS, brightness_onnx

from mapgen.errors import ModelError, UsageError
from mapgen.model.file import find_model, int8_path, open_model
from mapgen.model.foreign import ImportOptions
from mapgen.model.importing import import_model
from mapgen.model.onnx import outline, with_keys
from mapgen.model.onnx_keys import is_background, said

TWO = KEYS | {"class_names": json.dumps({"0": "dark", "1": "bright"})}
ONE = KEYS | {"class_names": json.dumps({"0": "bright"}), "seg_thresh": "0.5"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MAPGEN_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def expected(values, steps):
    mean = values.astype(np.float64).mean(0)
    clear = np.abs(mean[..., None] - np.array(steps)).min(-1) > 0.5
    return (mean[..., None] > np.array(steps)).sum(-1), clear


THREE, HALF, SURE = (85.0, 170.0), (127.5,), (127.5 + 255 * np.log(9) / 40,)
"""Steps of brightness: of three classes, of two, and of two where the second must be 90 % sure."""


@pytest.mark.parametrize(
    ("shape", "options", "steps", "head"),
    [
        ({}, {}, THREE, "softmax"),
        ({"last": "Sigmoid"}, {}, THREE, "sigmoid"),
        ({"last": ""}, {}, THREE, "scores"),
        ({"last": "Share"}, {}, THREE, "probabilities"),
        ({"last": "ArgMax"}, {}, THREE, "ids"),
        ({"classes": 2, "keys": TWO}, {}, HALF, "softmax"),
        ({"classes": 2, "last": "Share", "keys": TWO | {"seg_thresh": "0.9"}}, {}, SURE, "probabilities"),
        ({"classes": 1, "last": "Sigmoid", "keys": ONE}, {}, HALF, "sigmoid"),
        ({"classes": 1, "last": "Sigmoid", "keys": ONE}, {"threshold": 0.9}, SURE, "sigmoid"),
        ({"classes": 1, "last": "Sigmoid", "flat": True, "keys": ONE}, {}, HALF, "probabilities"),
        ({"classes": 1, "last": "", "keys": ONE}, {"gives": "scores"}, HALF, "scores"),
        ({"size": (64, 64)}, {}, THREE, "softmax"),
        ({"margin": 7}, {}, THREE, "softmax"),
        ({"margin": 7, "size": (96, 128)}, {}, THREE, "softmax"),
        ({"last_axis": True}, {}, THREE, "probabilities"),
        ({"halve": True, "opset": 9, "last": "Sigmoid"}, {}, None, "sigmoid"),
        ({"halve": True}, {}, None, "softmax"),
        ({"heads": 2}, {"head": 1}, THREE, "softmax"),
        ({"dtype": TensorProto.UINT8}, {"scale": "0,255"}, None, "softmax"),
    ],
    ids=str,
)  # fmt: skip
def test_networks_of_every_shape_map_what_they_map_elsewhere(tmp_path, mapgen, shape, options, steps, head):
    path = brightness_onnx(tmp_path / "net.onnx", **shape)
    done = import_model(path, ImportOptions(**options))
    card = open_model(done.output).card
    assert card.graph.head == head
    assert card.resolution_m == 1.0
    values = noise(150, 170)
    scene = make_raster(tmp_path / "scene.tif", values)
    run = mapgen("segment", scene, "--model", "net", "--precision", "fp32")
    assert run.code == 0, run
    if steps is not None:
        wanted, clear = expected(values, steps)
        inner = np.s_[8:-8, 8:-8] if shape.get("margin") else np.s_[:]
        assert (read_map(tmp_path / "scene.mask.tif") == wanted)[inner][clear[inner]].all()


def test_a_network_of_many_bands_asks_for_their_names(tmp_path, mapgen):
    path = brightness_onnx(tmp_path / "net.onnx", bands=5)
    with pytest.raises(UsageError, match=r"bands='NAME,NAME,…' \(5 of them"):
        import_model(path, ImportOptions())
    names = "coastal,blue,green,red,nir"
    run = mapgen("models", "import", path, "--bands", names, "--data-type", "uint16")
    assert run.code == 0, run
    assert find_model("net").card.bands == tuple(names.split(","))


def test_all_that_is_missing_is_asked_for_at_once(tmp_path, mapgen):
    path = brightness_onnx(tmp_path / "net.onnx", keys={}, bands=4, heads=2)
    run = mapgen("models", "import", path)
    assert (run.code, len(run.errors)) == (2, 1)
    for word in ("--resolution METRES", "--classes", "3 of them", "--bands", "4 of them", "--head N"):
        assert word in run.errors[0]
    assert not (tmp_path / "models").exists()


def test_the_halves_of_a_network_give_its_stride(tmp_path):
    done = import_model(brightness_onnx(tmp_path / "net.onnx", halve=True), ImportOptions())
    assert (done.card.stride, done.card.fixed_window) == (2, None)


def test_what_was_imported_is_shown_with_its_licence(tmp_path, mapgen):
    path = brightness_onnx(tmp_path / "roofs.onnx")
    run = mapgen("models", "import", path)
    assert (run.code, run.out) == (0, f"{tmp_path / 'models' / 'roofs.safetensors'}\n")
    assert "licence: not stated" in run.err
    shown = mapgen("models", "show", "roofs").out
    assert "license:     not stated" in shown
    assert "comes from:  onnx, opset 17, hand; it gave softmax" in shown
    assert "0 _background" in shown
    assert find_model("roofs").card.legend.classes[0].background
    assert mapgen("models", "import", path).code == 5, "it is there already"
    assert mapgen("models", "import", path, "--overwrite", "--license", "CC BY").code == 0
    assert find_model("roofs").card.license == "CC BY"
    assert mapgen("models", "import", path, "--name", "drycity-rgb-1m").code == 2


def test_check_draws_what_the_model_sees(tmp_path, mapgen):
    path = brightness_onnx(tmp_path / "net.onnx")
    scene = make_raster(tmp_path / "scene.tif", noise(60, 70))
    run = mapgen("models", "import", path, "--check", scene)
    assert run.code == 0, run
    assert (tmp_path / "models" / "net.check.png").read_bytes()[:4] == b"\x89PNG"


def test_ids_have_no_confidence(tmp_path, mapgen):
    import_model(brightness_onnx(tmp_path / "net.onnx", last="ArgMax"), ImportOptions())
    scene = make_raster(tmp_path / "scene.tif", noise(60, 70))
    run = mapgen("segment", scene, "--model", "net", "--confidence")
    assert (run.code, "does not say how sure" in run.err) == (2, True)


def test_torch_and_other_windows_are_refused_for_a_graph_of_a_fixed_window(tmp_path, mapgen):
    import_model(brightness_onnx(tmp_path / "net.onnx"), ImportOptions())
    scene = make_raster(tmp_path / "scene.tif", noise(60, 70))
    run = mapgen("segment", scene, "--model", "net", "--engine", "torch")
    assert (run.code, "held as a graph" in run.err) == (2, True)


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_scores_and_views_work_as_with_any_model(tmp_path, mapgen, stitch):
    import_model(brightness_onnx(tmp_path / "net.onnx"), ImportOptions())
    scene = make_raster(tmp_path / "scene.tif", noise(60, 70))
    run = mapgen("segment", scene, "--model", "net", "--confidence", "--stitch", stitch, "--tta", "d4")
    assert run.code == 0, run
    assert mapgen("vectorize", tmp_path / "scene.mask.tif").code == 0


# What is refused ----------------------------------------------------------------------------------------------------


def spoilt(path, change):
    """The file at `path` after `change(model)`."""
    model = load_from_string(path.read_bytes())
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def external(location):
    def change(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", str(1 << 60))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value

    return change


def nan(model):
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def branch(model):
    inner = helper.make_graph([], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["pixels"], ["x"], then_branch=inner, else_branch=inner))


def foreign(model):
    model.graph.node.append(helper.make_node("Evil", ["pixels"], ["x"], domain="com.evil"))


def huge(model):
    model.graph.initializer[0].dims[0] = 1 << 40


def twice(model):
    entry = model.metadata_props.add()
    entry.key, entry.value = "resolution", "7"


def functions(model):
    model.functions.add().name = "f"


def shaped(model):
    size = numpy_helper.from_array(np.array([1 << 16, 1 << 16]), "size")
    model.graph.initializer.append(size)
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["size"], ["big"]))
    model.graph.node.insert(1, helper.make_node("ReduceMax", ["big"], ["least"], keepdims=0))
    model.graph.node.insert(2, helper.make_node("Add", ["pixels", "least"], ["more"]))
    next(n for n in model.graph.node if n.op_type == "Conv").input[0] = "more"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external("../secret.bin"), "weights in other files"),
        (external("/etc/passwd"), "weights in other files"),
        (external("net.bin"), "weights in other files"),
        (nan, "not finite"),
        (branch, "graph within its If"),
        (foreign, "'Evil' of 'com.evil'"),
        (huge, "a tensor of"),
        (twice, "'resolution' twice"),
        (functions, "functions of its own"),
        (shaped, "its graph"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_hostile_files_are_refused_and_nothing_is_written(tmp_path, mapgen, change, words):
    path = spoilt(brightness_onnx(tmp_path / "net.onnx"), change)
    run = mapgen("models", "import", path)
    assert (run.code, len(run.errors)) == (6, 1), run
    assert words in run.errors[0]
    assert str(path) in run.errors[0] or "net" in run.errors[0]
    assert not list((tmp_path / "models").glob("*")) if (tmp_path / "models").exists() else True


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an ONNX file"),
        (b"PK\x03\x04" + bytes(50), "pickled"),
        (b"\x80\x02junk", "pickled"),
        (b"\x08\x08\x3a\xff\xff\xff\xff\x7f", "cut off"),
        (b"\x08" + b"\xff" * 11, "not an ONNX file"),
        (b"\x08\x08\x3a\x80", "cut off"),
        (b"<html></html>", "ONNX file"),
        (bytes(8) + b"{}", "is a safetensors file"),
    ],
)
def test_what_is_no_onnx_file_is_refused(tmp_path, mapgen, content, words):
    (tmp_path / "net.onnx").write_bytes(content)
    run = mapgen("models", "import", tmp_path / "net.onnx")
    assert (run.code, len(run.errors)) == (6, 1), run
    assert words in run.errors[0]


@pytest.mark.parametrize("kind", ["Detector", "Regressor", "Recognition", "Superresolution"])
def test_networks_of_another_kind_are_refused_by_its_name(tmp_path, kind):
    path = brightness_onnx(tmp_path / "net.onnx", keys=KEYS | {"model_type": f'"{kind}"'})
    with pytest.raises(ModelError, match=f"is a {kind.lower()}"):
        import_model(path, ImportOptions())


def test_a_detector_that_does_not_say_so_is_known_by_its_output(tmp_path):
    path = brightness_onnx(tmp_path / "net.onnx", keys={})

    def flatten(model):
        shape = numpy_helper.from_array(np.array([1, 3, -1]), "rows")
        model.graph.initializer.append(shape)
        model.graph.node.append(helper.make_node("Reshape", [model.graph.output[0].name, "rows"], ["boxes"]))
        model.graph.output[0].CopyFrom(helper.make_tensor_value_info("boxes", TensorProto.FLOAT, list("abc")))

    with pytest.raises(ModelError, match="a detector"):
        import_model(spoilt(path, flatten), ImportOptions(resolution=1, classes=("a", "b", "c")))


@given(st.binary(max_size=300))
def test_random_bytes_raise_nothing_but_a_model_error(data):
    with pytest.raises(ModelError):
        outline(data, "it")


@given(data=st.data())
def test_a_file_with_some_bytes_changed_is_read_or_refused(tmp_path_factory, data):
    global _whole
    if not _whole:
        _whole = brightness_onnx(tmp_path_factory.mktemp("fuzz") / "net.onnx").read_bytes()
    changed = bytearray(_whole)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = outline(bytes(changed), "it")
        said(found.keys, "it")
    except ModelError:
        pass


_whole = b""


# Keys ---------------------------------------------------------------------------------------------------------------


def test_keys_are_read_as_the_programs_that_write_them_mean_them():
    keys = {
        "class_names": json.dumps([{"0": "a", "1": "b"}, {"0": "c"}]), "resolution": "20", "tiles_overlap": "15",
        "standardization_mean": "[0.5, 0.4, 0.3]", "standardization_std": "0.25", "seg_thresh": '"0.5"',
        "model_type": '"segmentor"',
    }  # fmt: skip
    found = said(keys, "it")
    assert found.classes == (("a", "b"), ("c",))
    assert (found.resolution_m, found.overlap, found.threshold, found.kind) == (0.2, 0.15, 0.5, "segmentor")
    assert (found.mean, found.std) == ((0.5, 0.4, 0.3), (0.25,))
    assert said({"names": "{0: 'a', 1: \"it's\"}"}, "it").classes == (("a", "it's"),)


@pytest.mark.parametrize(
    "keys",
    [
        {"class_names": '{"0": "a", "2": "b"}'}, {"class_names": "[]"}, {"class_names": "5"},
        {"class_names": '{"x": "a"}'},
        {"names": "__import__('os')"}, {"names": "(" * 5000}, {"names": "{0: 1}"}, {"resolution": "wide"},
        {"resolution": "NaN"}, {"seg_thresh": "7"}, {"tiles_overlap": "[1]"}, {"standardization_mean": '["a"]'},
    ],
)  # fmt: skip
def test_keys_that_mean_nothing_are_refused_by_name(keys):
    with pytest.raises(ModelError, match=f"its key {next(iter(keys))} is "):
        said(keys, "it")


def test_standardization_and_overlap_of_the_keys_reach_the_card(tmp_path):
    keys = KEYS | {"standardization_mean": "[0.5, 0.4, 0.3]", "standardization_std": "[0.2, 0.2, 0.1]"}
    card = import_model(brightness_onnx(tmp_path / "net.onnx", keys=keys), ImportOptions()).card
    assert card.mean == pytest.approx((127.5, 102, 76.5))
    assert card.std == pytest.approx((51, 51, 25.5))
    assert card.halo == pytest.approx(0.05 * card.window, abs=1)


def test_the_first_class_is_background_where_it_is_called_so():
    assert all(map(is_background, ("background", "_Background", "other", "not_water", "no data", "non-road")))
    assert not any(map(is_background, ("building", "northern", "notable", "others")))


def test_keys_can_be_written_behind_a_file(tmp_path):
    path = brightness_onnx(tmp_path / "net.onnx", keys={})
    data = with_keys(path.read_bytes(), {"a": "ü", "b": "x" * 300})
    assert outline(data, "it").keys == {"a": "ü", "b": "x" * 300}
    assert {p.key: p.value for p in load_from_string(data).metadata_props} == {"a": "ü", "b": "x" * 300}


def test_int8_of_an_imported_network_is_made_as_of_any(tmp_path, mapgen):
    pytest.importorskip("nncf")
    import_model(brightness_onnx(tmp_path / "net.onnx"), ImportOptions())
    scene = make_raster(tmp_path / "scene.tif", noise(300, 300))
    run = mapgen("compress", "net", "--calibrate", scene, "--windows", 4, "-q")
    assert run.code == 0, run
    assert int8_path(find_model("net").path).exists()
    run = mapgen("segment", scene, "--model", "net", "--precision", "int8")
    assert run.code == 0, run
