"""The graph in a model file: made once by torch, checked against it, read without it; and files that hold none."""

import shutil
import zlib
from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
from factory import LEGEND, card, make_model, make_raster, noise, read_map
from graphs import graph_bytes
from safetensors.numpy import load_file, save_file

from mapgen.errors import ModelError
from mapgen.files.commit import Output
from mapgen.model.card import Compression
from mapgen.model.file import (
    CARD_KEY,
    builtin_models,
    int8_path,
    network_of,
    open_model,
    read_graph,
    read_tensors,
)
from mapgen.model.graph import TEXT_LIMIT, NotAGraph, canonical, constants, load_graph
from mapgen.model.stored import REST, TEXT, block, named, packed, unpacked
from mapgen.model.upgrade import upgrade
from mapgen.model.write import save_graph, save_model, write_tensors

SMALL = {"encoder_depth": 3, "decoder_channels": [16, 8, 8]}

NETWORKS = [
    ("Linknet", "resnet18", {"encoder_depth": 3}),
    ("FPN", "mobilenet_v2", {"decoder_pyramid_channels": 32, "decoder_segmentation_channels": 32}),
    ("Segformer", "mit_b0", {"decoder_segmentation_channels": 32}),
]
"""A few of segmentation_models_pytorch; tests/benchmarks/graphs.py looks at many."""


def network(architecture="Unet", encoder="resnet18", **parameters):
    import torch

    from mapgen.model.network import build

    torch.manual_seed(1)
    return build(architecture, encoder, 3, 3, **parameters).eval()


@pytest.fixture(scope="module")
def net():
    return network(**SMALL)


@pytest.fixture(scope="module")
def saved(net, tmp_path_factory):
    """A model file with its graph, in float16."""
    path = tmp_path_factory.mktemp("saved") / "small.safetensors"
    return save_model(net, card(parameters=SMALL), path, half=True)


@pytest.fixture
def old(saved, tmp_path):
    """The same model as an earlier mapgen wrote it."""
    model = open_model(saved)
    text = model.card.to_json().replace('"mapgen_card": 2', '"mapgen_card": 1')
    path = tmp_path / "old.safetensors"
    save_file(read_tensors(model), path, metadata={CARD_KEY: text})
    return path


def scores_of(graph, own, pixels):
    core = ov.Core()
    model = load_graph(core, *graph, own, "it")
    model.reshape(list(pixels.shape))
    return core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(pixels)[0]


@pytest.mark.parametrize(("architecture", "encoder", "parameters"), NETWORKS)
def test_the_graph_gives_what_torch_gives_at_every_size(tmp_path, architecture, encoder, parameters):
    import torch

    net = network(architecture, encoder, **parameters)
    own = card(architecture=architecture, encoder=encoder, parameters=parameters, stride=32, window=64, halo=0)
    graph = read_graph(open_model(save_model(net, own, tmp_path / "net.safetensors")))
    for height, width in ((64, 160), (192, 96)):
        pixels = np.random.default_rng(height).normal(size=(1, 3, height, width)).astype(np.float32)
        with torch.inference_mode():
            wanted = net(torch.from_numpy(pixels)).numpy()
        np.testing.assert_allclose(scores_of(graph, own, pixels), wanted, atol=1e-4 * max(1, np.abs(wanted).max()))


def test_the_weights_are_stored_once(net, saved):
    model, state = open_model(saved), net.state_dict()
    assert set(model.tensors) == {*state, TEXT, REST}
    assert model.parameters == sum(value.numel() for value in state.values())
    assert model.tensors[REST][0] < 1000
    tensors = read_tensors(model)
    for name, value in state.items():
        stored = value.half() if value.is_floating_point() else value
        assert np.array_equal(tensors[name], stored.numpy())


def test_the_graph_makes_the_built_in_model_hardly_larger():
    model = open_model(builtin_models()[0])
    assert model.has_graph
    assert sum(model.tensors[name][0] for name in (TEXT, REST)) <= 0.02 * model.path.stat().st_size


def test_the_text_of_a_network_is_the_same_whatever_its_weights(saved):
    other = network(**SMALL)
    from mapgen.model.convert import converted

    model = open_model(saved)
    state = {name: value.numpy() for name, value in other.state_dict().items()}
    text, rest = named(*converted(other, model.card), state)
    stored = load_file(saved)
    assert text == unpacked(stored[TEXT].tobytes())
    assert rest == stored[REST].tobytes()


def test_constants_lie_where_the_graph_looks_for_them():
    text, numbers = graph_bytes()
    text = canonical(text, len(numbers))
    values = [numbers[start : start + size] for _, start, size in constants(text)]
    first = next(name for name in text.decode().split('name="')[1:] if 'type="Const"' in name).partition('"')[0]
    renamed = text.replace(f'name="{first}"'.encode(), b'name="self.b"')
    size = len(values[0]) // 4
    tensors = {
        "a": np.arange(5, dtype=np.float16), "b": np.frombuffer(values[0], np.float32), "n": np.arange(3),
    }  # fmt: skip
    new, rest = named(renamed, numbers, tensors)
    whole = block(tensors, rest)
    assert [whole[start : start + size] for _, start, size in constants(new)] == values
    assert next(constants(new)) == ("f32", 20, 4 * size), "behind five numbers of 4 bytes"
    assert len(whole) == 20 + 4 * size + len(rest)


def test_segment_needs_no_torch_for_it(saved, tmp_path, mapgen, monkeypatch):
    scene = make_raster(tmp_path / "scene.tif", noise(70, 90))
    assert mapgen("segment", scene, "--model", saved, "--engine", "torch", "-o", tmp_path / "torch.tif").code == 0
    monkeypatch.setattr("mapgen.model.openvino.find_spec", lambda name: None)
    run = mapgen("segment", scene, "--model", saved, "--precision", "fp32", "-o", tmp_path / "graph.tif")
    assert run.code == 0, run
    assert (read_map(tmp_path / "graph.tif") == read_map(tmp_path / "torch.tif")).mean() > 0.999


def test_a_network_that_gives_something_else_than_its_graph_is_not_saved(net, tmp_path, monkeypatch):
    monkeypatch.setattr("mapgen.model.convert.difference", lambda *what: 0.01)
    with pytest.raises(ModelError, match=r"differs from torch by 1.0e-02.*graph=False"):
        save_model(net, card(parameters=SMALL), tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())
    save_model(net, card(parameters=SMALL), tmp_path / "net.safetensors", graph=False)
    assert not open_model(tmp_path / "net.safetensors").has_graph


def test_tensors_that_do_not_fit_the_card_are_not_saved(net, tmp_path):
    with pytest.raises(ModelError, match="do not fit Unet resnet18"):
        save_model(net.state_dict(), card(), tmp_path / "net.safetensors")


# Files of earlier mapgens --------------------------------------------------------------------------------------------


def test_an_old_file_is_mapped_where_torch_is_and_says_what_would_keep_its_graph(old, saved, tmp_path, mapgen):
    scene = make_raster(tmp_path / "scene.tif", noise(70, 90))
    maps = []
    for model in (old, saved):
        maps.append(tmp_path / f"{model.stem}.tif")
        run = mapgen("segment", scene, "--model", model, "--precision", "fp32", "-o", maps[-1])
        assert run.code == 0, run
        assert (f"mapgen models upgrade {model}" in run.err) == (model is old)
    assert np.array_equal(*map(read_map, maps))


def test_an_old_file_without_torch_names_the_way_to_upgrade_it(old, tmp_path, mapgen, monkeypatch):
    monkeypatch.setattr("mapgen.model.openvino.find_spec", lambda name: None)
    scene = make_raster(tmp_path / "scene.tif", noise(70, 90))
    run = mapgen("segment", scene, "--model", old, "--precision", "fp32")
    assert (run.code, len(run.errors)) == (6, 1), run
    assert f"{old}: is of an earlier mapgen and needs torch once" in run.errors[0]
    assert f"pip install 'mapgen[torch]', then mapgen models upgrade {old}" in run.errors[0]
    assert not (tmp_path / "scene.mask.tif").exists()


def test_upgrade_stores_the_graph_and_changes_no_weight(old, saved, mapgen):
    before = load_file(old)
    run = mapgen("models", "upgrade", old)
    assert (run.code, run.out) == (0, f"{old}\n")
    model, after = open_model(old), load_file(old)
    assert model.has_graph
    assert model.card == open_model(saved).card
    assert all(after[name].tobytes() == value.tobytes() for name, value in before.items())
    content = old.read_bytes()
    assert "holds its graph already" in mapgen("models", "upgrade", old).err
    assert old.read_bytes() == content


def test_upgrade_takes_the_int8_file_along(old, tmp_path):
    parent = open_model(old)
    own = replace(parent.card, compression=Compression("int8", "small", parent.sha256, "by hand"))
    save_graph(*graph_bytes(), own, Output(int8_path(old)))
    graph = read_graph(open_model(int8_path(old)))
    assert upgrade(str(old)).int8 == int8_path(old)
    assert open_model(old).int8 == int8_path(old), open_model(old).int8_problem
    assert read_graph(open_model(int8_path(old))) == graph


def test_upgrade_writes_elsewhere_and_replaces_nothing_there(old, tmp_path, mapgen):
    other = tmp_path / "new.safetensors"
    content = old.read_bytes()
    assert mapgen("models", "upgrade", old, "-o", other).code == 0
    assert old.read_bytes() == content
    assert open_model(other).has_graph
    assert mapgen("models", "upgrade", old, "-o", other).code == 5


def test_upgrade_refuses_what_fits_no_network_and_leaves_it(tmp_path, mapgen):
    path = make_model(tmp_path / "model.safetensors")
    content = path.read_bytes()
    run = mapgen("models", "upgrade", path)
    assert (run.code, len(run.errors)) == (6, 1)
    assert path.read_bytes() == content
    assert len(list(tmp_path.iterdir())) == 1


# Hostile files ------------------------------------------------------------------------------------------------------


def row(data):
    return np.frombuffer(data, np.uint8)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda t: {TEXT: row(b"<net/>")}, "cannot be unpacked"),
        (lambda t: {TEXT: t[TEXT][:-9]}, "cut off"),
        (lambda t: {TEXT: row(t[TEXT].tobytes() + b"more")}, "cut off"),
        (lambda t: {TEXT: row(zlib.compress(bytes(TEXT_LIMIT + 10)))}, f"more than {TEXT_LIMIT}"),
        (lambda t: {TEXT: row(packed(b"<net/>"))}, "version None"),
        (lambda t: {TEXT: np.zeros(8, np.float32)}, "not a row of bytes"),
        (lambda t: {REST: np.zeros((2, 2), np.uint8)}, "not a row of bytes"),
        (lambda t: {REST: t[REST][:-8]}, "in a block of"),
        (lambda t: {"encoder.conv1.weight": t["encoder.conv1.weight"] * np.float16("nan")}, "not finite"),
        (lambda t: {"encoder.conv1.weight": t["encoder.conv1.weight"][:1]}, "in a block of"),
    ],
)
def test_a_stored_graph_that_is_broken_is_refused(saved, tmp_path, changes, words):
    tensors = load_file(saved)
    path = tmp_path / "model.safetensors"
    write_tensors(tensors | changes(tensors), open_model(saved).card, Output(path))
    with pytest.raises(ModelError, match=words) as raised:
        read_graph(open_model(path))
    assert raised.value.exit_code == 6
    assert raised.value.remedy


def test_a_small_file_cannot_unpack_to_gigabytes():
    with pytest.raises(NotAGraph, match="more than"):
        unpacked(zlib.compress(bytes(2 * TEXT_LIMIT)))


def test_a_graph_of_another_shape_than_the_card_is_refused(saved, tmp_path):
    from mapgen.model.engine import Setup
    from mapgen.model.normalization import Normalization
    from mapgen.model.select import open_engine

    own = replace(open_model(saved).card, bands=("red", "green"), mean=(1.0, 1.0), std=(1.0, 1.0), legend=LEGEND)
    path = tmp_path / "model.safetensors"
    shutil.copyfile(saved, path)
    write_tensors(load_file(saved), own, Output(path, overwrite=True))
    setup = Setup(Normalization(own.mean, own.std), np.dtype("uint8"))
    with pytest.raises(ModelError, match="cannot be run on 2 bands"):
        open_engine(network_of(open_model(path)), setup, "openvino", "cpu")
