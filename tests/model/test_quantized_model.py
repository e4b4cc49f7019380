"""int8 graphs beside models: found, checked, shown, run; and refused where they are not what they should be."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import openvino as ov
import pytest
from factory import card, make_model, make_raster, noise, read_map
from graphs import graph_bytes
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from mapgen.errors import ModelError
from mapgen.files.commit import Output
from mapgen.model.card import Compression, ModelCard
from mapgen.model.file import (
    CARD_KEY,
    GRAPH_NUMBERS,
    GRAPH_TEXT,
    builtin_models,
    int8_path,
    open_model,
    read_graph,
    read_tensors,
    require_int8,
)
from mapgen.model.graph import LAYER_LIMIT, LAYERS, NotAGraph, canonical, constants, load_graph
from mapgen.model.write import save_graph

MEASURED = {
    "ground": "two scenes", "pixels": 1000, "fp32": {"agreement": 1.0, "times_fp32": 1.0, "miou": 0.6245},
    "bf16": {"agreement": 0.9993, "times_fp32": 2.0, "miou": 0.6243},
    "int8": {"agreement": 0.9948, "times_fp32": 3.5, "miou": 0.6231}, "machine": "x86_64, 2 cores",
}  # fmt: skip


@pytest.fixture
def pair(tmp_path):
    """A model file and the int8 file that goes with it, whose steps of brightness lie elsewhere."""
    path = make_model(tmp_path / "model.safetensors")
    save_int8(path)
    return path


def save_int8(path, graph=None, **changes):
    """The int8 file of the model at `path`; `changes` to what its card says of the compression."""
    model = open_model(path)
    compression = Compression("int8", model.card.name, model.sha256, "by hand", MEASURED)
    own = replace(model.card, compression=replace(compression, **changes))
    return save_graph(*(graph or graph_bytes((50.0, 100.0))), own, Output(int8_path(path), overwrite=True))


def test_the_int8_file_lies_beside_the_model_and_is_found(pair):
    model = open_model(pair)
    assert model.int8 == pair.with_name("model.int8.safetensors") == require_int8(model)
    assert model.int8_problem == ""
    assert open_model(model.int8).int8 == model.int8, "a graph goes with itself"


def test_a_model_without_int8_file_says_how_to_make_one(tmp_path):
    model = open_model(make_model(tmp_path / "model.safetensors"))
    assert (model.int8, model.int8_problem) == (None, "")
    with pytest.raises(ModelError, match=r"has no int8 graph.*mapgen compress .*model.safetensors --to int8"):
        require_int8(model)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: save_int8(p, parent_sha256="0" * 64), "was made from another fake"),
        (
            lambda p: make_model(p.with_name("new.safetensors"), resolution_m=2.0).replace(p),
            "was made from another fake",
        ),
        (lambda p: save_int8(p, precision="int4"), "is not an int8 graph"),
        (lambda p: make_model(p.with_name("new.safetensors")).replace(int8_path(p)), "is not an int8 graph"),
        (lambda p: int8_path(p).write_bytes(int8_path(p).read_bytes()[:-1]), "get the file again"),
        (lambda p: int8_path(p).write_bytes(b"junk"), "not a safetensors file"),
    ],
)
def test_an_int8_file_that_does_not_fit_is_left_alone_and_spoken_of(pair, spoil, words):
    spoil(pair)
    model = open_model(pair)
    assert model.int8 is None
    assert words in model.int8_problem
    assert "model.int8.safetensors" in model.int8_problem
    with pytest.raises(ModelError) as raised:
        require_int8(model)
    assert (raised.value.exit_code, str(raised.value)) == (6, model.int8_problem)
    assert raised.value.remedy


def test_models_show_says_what_int8_costs_and_why_it_is_not_used(pair, mapgen):
    shown = mapgen("models", "show", pair)
    assert shown.code == 0
    assert "int8:      99.48% of the pixels as in fp32, mIoU 0.6231, 3.5 times as fast" in shown.out
    assert "bf16:      99.93% of the pixels as in fp32, mIoU 0.6243, 2.0 times as fast" in shown.out
    assert "fp32:      mIoU 0.6245" in shown.out
    record = json.loads(mapgen("info", "--json", pair).out)
    assert record["int8"]["file"] == str(int8_path(pair))
    assert record["int8"]["measured"] == MEASURED
    save_int8(pair, parent_sha256="0" * 64)
    shown = mapgen("models", "show", pair)
    assert (shown.code, "not used" in shown.out, "99.48%" in shown.out) == (0, True, False)


def test_the_int8_file_itself_can_be_shown(pair, mapgen):
    shown = mapgen("models", "show", int8_path(pair))
    assert shown.code == 0
    assert "int8 of fake" in shown.out
    assert "99.48% of the pixels as in fp32" in shown.out
    assert "--precision int8" in shown.out.splitlines()[-1]


def test_what_a_card_says_was_measured_is_only_ever_text(pair, mapgen):
    hostile = {"\x1b[2J": {"agreement": 0.5, "miou": "x\n\x07"}, "ground": "a\n\x1b[31mb", "machine": ["\x07"]}
    save_int8(pair, measured=hostile, method="\x1b[0m\n")
    for path in (pair, int8_path(pair)):
        shown = mapgen("models", "show", path)
        assert shown.code == 0
        assert all(c.isprintable() for c in shown.out.replace("\n", ""))
        assert "\\x1b[2J:" in shown.out


def test_the_graph_holds_no_weights_for_other_precisions(pair, mapgen):
    with pytest.raises(ModelError, match="holds the int8 graph of fake, not its tensors"):
        read_tensors(open_model(int8_path(pair)))
    with pytest.raises(ModelError, match="mapgen models upgrade"):
        read_graph(open_model(pair))


def test_segment_runs_the_graph_where_int8_is_asked_for(pair, tmp_path, mapgen, monkeypatch):
    monkeypatch.setattr("mapgen.model.openvino.bare_graph", lambda network: graph_bytes())
    values = noise(70, 90)
    make_raster(tmp_path / "scene.tif", values)
    for precision, steps in (("fp32", (85.5, 171.0)), ("int8", (50.0, 100.0))):
        output = tmp_path / f"{precision}.tif"
        run = mapgen("segment", tmp_path / "scene.tif", "--model", pair, "--precision", precision, "-o", output)
        assert run.code == 0, run
        mean = values.mean(0)
        expected = (mean > steps[0]).astype(int) + (mean > steps[1])
        clear = np.abs(mean[..., None] - steps).min(-1) > 0.5
        assert (read_map(output) == expected)[clear].all()
        assert precision in run.err


def test_segment_says_when_it_does_without_an_int8_graph_that_lies_there(pair, tmp_path, mapgen, engines):
    save_int8(pair, parent_sha256="0" * 64)
    make_raster(tmp_path / "scene.tif", noise(70, 90))
    run = mapgen("segment", tmp_path / "scene.tif", "--model", pair, "-o", tmp_path / "map.tif")
    assert run.code == 0
    (warning,) = run.warnings
    assert "is mapped without int8" in warning
    assert "was made from another fake" in warning


def test_segment_refuses_a_graph_of_another_shape_than_its_card(pair, tmp_path, mapgen):
    save_int8(pair, graph_bytes(classes=4))
    make_raster(tmp_path / "scene.tif", noise(40, 40))
    run = mapgen("segment", tmp_path / "scene.tif", "--model", pair, "--precision", "int8")
    assert (run.code, len(run.errors)) == (6, 1), run
    assert all(word in run.errors[0] for word in ("model.safetensors", "not [1, 3, 64, 64]", "recreate its graph"))
    assert not (tmp_path / "scene.mask.tif").exists()


def test_segment_takes_the_int8_file_alone(pair, tmp_path, mapgen):
    make_raster(tmp_path / "scene.tif", noise(40, 40))
    pair.unlink()
    run = mapgen("segment", tmp_path / "scene.tif", "--model", int8_path(pair), "--precision", "int8")
    assert run.code == 0, run
    run = mapgen("segment", tmp_path / "scene.tif", "--model", int8_path(pair), "--precision", "fp32", "--overwrite")
    assert (run.code, "holds the int8 graph" in run.err) == (6, True)


# The card -----------------------------------------------------------------------------------------------------------


def test_cards_of_other_models_read_as_before():
    assert "compression" not in json.loads(card().to_json())


def test_the_card_of_a_graph_survives_and_is_held_to_its_fields():
    own = replace(card(), compression=Compression("int8", "fake", "0" * 64, "by hand", MEASURED))
    assert ModelCard.from_json(own.to_json(), "here") == own
    entries = json.loads(own.to_json())
    for wrong, words in (
        ({"precision": "int8", "parent": "fake"}, "lacks 'parent_sha256'"),
        (entries["compression"] | {"levels": 256}, "unknown field 'levels'"),
        (entries["compression"] | {"parent": 5}, "parent = 5"),
        ([], r"compression = \[\]"),
        (None, "compression = null"),
    ):
        with pytest.raises(ModelError, match=words):
            ModelCard.from_json(json.dumps(entries | {"compression": wrong}), "here")


# The graph ----------------------------------------------------------------------------------------------------------


def test_a_graph_comes_back_and_computes_the_same(pair):
    given_text, given_numbers = graph_bytes((50.0, 100.0))
    text, numbers = read_graph(open_model(int8_path(pair)))
    core = ov.Core()
    pixels = np.random.default_rng(0).normal(size=(2, 3, 16, 24)).astype(np.float32)
    before, after = (
        core.compile_model(core.read_model(*g), "CPU")(pixels)[0]
        for g in ((given_text, given_numbers), (text, numbers))
    )
    assert np.array_equal(before, after)
    assert canonical(text, len(numbers)) == text, "written anew once, it stays as it is"
    assert len(text) < len(given_text)


def spoilt(pattern, replacement, count=1):
    def change(text):
        new, changes = re.subn(pattern, replacement, text.decode(), count=count, flags=re.DOTALL)
        assert changes, pattern
        return new.encode()

    return change


HOSTILE = [
    (lambda t: b"", "cannot be read"),
    (lambda t: t[:-20], "cannot be read"),
    (lambda t: t + b"<more/>", "cannot be read"),
    (lambda t: b"\xff\xfe" + t, "cannot be read"),
    (lambda t: b'<!DOCTYPE a [<!ENTITY b "c">]>' + t.partition(b"?>")[2], "document type"),
    (lambda t: b'<!DOCTYPE net SYSTEM "file:///etc/passwd">' + t.partition(b"?>")[2], "document type"),
    (lambda t: b"<a>" * 100_000, "cannot be read"),
    (spoilt('<net name="[^"]*" version="11"', '<net name="x" version="12"'), "version 12"),
    (spoilt("<net ", "<not ").__call__, "cannot be read"),
    (spoilt('type="Add" version="opset1"', 'type="Add" version="extension"'), "'Add' in 'extension'"),
    (spoilt('type="Add"', 'type="TensorIterator"'), "'TensorIterator'"),
    (spoilt('type="Add"', 'type="ReadValue"'), "'ReadValue'"),
    (spoilt('type="Add"', 'type="../../evil.so"'), "evil"),
    (spoilt('type="Convolution"', 'type="Loop"'), "'Loop'"),
    (spoilt('<data strides="1, 1"', '<data strides="$(touch x)"'), "strides"),
    (spoilt('<data strides="1, 1"', '<data path="/etc/passwd" strides="1, 1"'), "path"),
    (spoilt(r'(<data strides="1, 1"[^>]*?)\s*/>', r"\1><body/></data>"), "parts in its data"),
    (spoilt("<input>", "<body/><input>"), "'body'"),
    (spoilt(r'offset="\d+"', 'offset="999999"'), "in a block of"),
    (spoilt(r'offset="\d+"', 'offset="-8"'), "offset = '-8'"),
    (spoilt(r'offset="\d+" size="\d+"', 'offset="0" size="8"'), "a constant of 8 bytes"),
    (spoilt('element_type="f32" shape="3, 3, 1, 1"', 'element_type="f32" shape="3, 3, 999999999, 999999999"'), "shape"),
    (spoilt('element_type="f32" shape="3, 3, 1, 1"', 'element_type="string" shape="3, 3, 1, 1"'), "'string'"),
    (spoilt('element_type="f32" shape="3, 3, 1, 1"', 'element_type="f32" shape="3, -3, 1, 1"'), "shape"),
    (spoilt(r'<edge from-layer="0"', '<edge from-layer="77"'), "not there"),
    (spoilt(r"<edge [^>]*>", ""), "no edge feeds"),
    (spoilt(r"(<edge [^>]*>)", r"\1\1"), "taken"),
    (spoilt(r'<layer id="1"', '<layer id="0"'), "two layers with the id 0"),
    (spoilt(r'<layer id="1"', '<layer id="1e9"'), "id = '1e9'"),
    (spoilt(r'type="Parameter"', 'type="Const"'), "offset = ''"),
    (spoilt(r'<layer id="\d+" name="[^"]*" type="Result".*?</layer>', ""), "0 outputs"),
    (spoilt(r"<layers>.*</layers>", "<layers/>"), "0 layers"),
    (spoilt(r"<layers>", "<layers>" + '<layer type="ReLU"/>' * (LAYER_LIMIT + 1)), "the limit is"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), HOSTILE)
def test_a_hostile_graph_is_refused(pair, change, words):
    text, numbers = graph_bytes()
    with pytest.raises(NotAGraph, match=re.escape(words)):
        canonical(change(text), len(numbers))
    path = int8_path(pair)
    tensors = {
        GRAPH_TEXT: np.frombuffer(change(text) or b" ", np.uint8),
        GRAPH_NUMBERS: np.frombuffer(numbers, np.uint8),
    }
    save_file(tensors, path, metadata={CARD_KEY: open_model(path).card.to_json()})
    with pytest.raises(ModelError) as raised:
        read_graph(open_model(path))
    assert raised.value.exit_code == 6
    assert str(raised.value).startswith(f"{path}: its graph has ")
    assert raised.value.remedy


def test_layers_in_a_circle_are_refused():
    """A circle behind the output would make OpenVINO's reader walk on for ever."""
    text, numbers = graph_bytes()
    ports = '<input><port id="0"/></input><output><port id="1"/></output>'
    relu = f'<layer id="{{}}" name="{{}}" type="ReLU" version="opset1">{ports}</layer>'
    edge = '<edge from-layer="{}" from-port="1" to-layer="{}" to-port="0"/>'
    circle = text.replace(b"</layers>", (relu.format(90, "a") + relu.format(91, "b") + "</layers>").encode())
    circle = circle.replace(b"</edges>", (edge.format(90, 91) + edge.format(91, 90) + "</edges>").encode())
    with pytest.raises(NotAGraph, match="in a circle"):
        canonical(circle, len(numbers))


@given(st.data())
def test_damage_anywhere_is_read_or_refused(data):
    """Whatever bytes are changed: a graph of known layers with its constants inside the block, or `NotAGraph`."""
    text, numbers = graph_bytes()
    changed = bytearray(canonical(text, len(numbers)))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        clean = canonical(bytes(changed), len(numbers))
    except NotAGraph:
        return
    assert canonical(clean, len(numbers)) == clean
    assert all(0 <= start <= start + size <= len(numbers) for _, start, size in constants(clean))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"weight": np.zeros(4, np.uint8)}, "not graph.xml and graph.bin"),
        ({GRAPH_TEXT: np.zeros(4, np.float32), GRAPH_NUMBERS: np.zeros(4, np.uint8)}, "not a row of bytes"),
        ({GRAPH_TEXT: np.zeros((2, 2), np.uint8), GRAPH_NUMBERS: np.zeros(4, np.uint8)}, "not a row of bytes"),
    ],
)
def test_other_tensors_are_no_graph(pair, tensors, words):
    save_file(tensors, int8_path(pair), metadata={CARD_KEY: open_model(int8_path(pair)).card.to_json()})
    with pytest.raises(ModelError, match=words):
        read_graph(open_model(int8_path(pair)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_constants_that_are_no_numbers_are_refused(pair, value):
    path = int8_path(pair)
    tensors = load_file(path)
    numbers = tensors[GRAPH_NUMBERS].copy()
    _, start, size = next(c for c in constants(tensors[GRAPH_TEXT].tobytes()) if c[0] == "f32")
    numbers[start : start + size].view(np.float32)[0] = value
    save_file(tensors | {GRAPH_NUMBERS: numbers}, path, metadata={CARD_KEY: open_model(path).card.to_json()})
    with pytest.raises(ModelError, match="not finite"):
        read_graph(open_model(path))


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (graph_bytes(classes=4), r"makes \[1, 4, 64, 64\] of a window of 64 × 64, not \[1, 3, 64, 64\]"),
        (graph_bytes(bands=2), "cannot be run on 3 bands"),
    ],
)
def test_a_graph_of_another_shape_than_its_card_is_refused(graph, words):
    with pytest.raises(ModelError, match=words) as raised:
        load_graph(ov.Core(), *graph, card(), "model.int8.safetensors")
    assert raised.value.exit_code == 6


def test_a_graph_that_asks_for_far_too_much_memory_is_refused():
    from openvino import opset13 as ops

    pixels = ops.parameter([-1, 3, -1, -1], ov.Type.f32)
    wide = ops.convolution(
        pixels, ops.constant(np.zeros((30_000, 3, 1, 1), np.float32)), [1, 1], [0, 0], [0, 0], [1, 1]
    )
    scores = ops.convolution(
        wide, ops.constant(np.zeros((3, 30_000, 1, 1), np.float32)), [1, 1], [0, 0], [0, 0], [1, 1]
    )
    model = ov.Model([ops.result(scores)], [pixels])

    class Core:
        def read_model(self, text, numbers):
            return model

    with pytest.raises(ModelError, match="bytes a pixel"):
        load_graph(Core(), b"", b"", card(), "model.int8.safetensors")


def fixed(make):
    """A graph of the contract to whose scores what `make(ops)` returns, a row of numbers, adds its first."""
    from openvino import opset13 as ops

    pixels = ops.parameter([-1, 3, -1, -1], ov.Type.f32)
    row = make(ops)
    first = ops.gather(row, ops.constant(np.int64(0)), ops.constant(np.int64(0)))
    scores = ops.add(pixels, ops.convert(first, "f32"))
    return ov.Model([ops.result(scores)], [pixels])


def number(value):
    from openvino import opset13 as ops

    return ops.constant(np.int64(value))


@pytest.mark.parametrize(
    ("make", "refused"),
    [
        (lambda ops: ops.range(number(0), number(1000), number(1), "i64"), False),
        (lambda ops: ops.range(number(0), number(1 << 29), number(1), "i64"), True),
        (lambda ops: ops.tile(ops.constant(np.zeros(8, np.float32)), ops.constant(np.array([1 << 27]))), True),
        (
            lambda ops: ops.reduce_sum(
                ops.tile(ops.constant(np.zeros((8, 8), np.float32)), ops.constant(np.array([1 << 13, 1 << 11]))),
                ops.constant(np.array([1])), False,
            ),
            True,
        ),
    ],
)  # fmt: skip
def test_what_a_graph_makes_of_nothing_but_constants_is_bounded(tmp_path, make, refused):
    """Ranges and repetitions, which networks need for their positions, could ask for any number of gigabytes."""
    path = tmp_path / "graph.xml"
    ov.save_model(fixed(make), path, compress_to_fp16=False)
    numbers = path.with_suffix(".bin").read_bytes()
    text = canonical(path.read_bytes(), len(numbers))
    if not refused:
        load_graph(ov.Core(), text, numbers, card(), "it")
        return
    with pytest.raises(ModelError, match="bytes whatever the window"):
        load_graph(ov.Core(), text, numbers, card(), "it")


@pytest.mark.parametrize("kind", ["Tile", "Range", "ReduceProd", "Log"])
def test_layers_of_raw_networks_are_known(kind):
    assert kind in LAYERS


# The model that comes with mapgen -----------------------------------------------------------------------------------


def test_the_list_of_models_leaves_their_graphs_out():
    assert builtin_models()
    assert not [path for path in builtin_models() if "int8" in path.name]


def test_openvino_is_kept_from_reporting_its_use_and_nothing_else_is(tmp_path):
    """It reports home unless the package for it is missing, and leaves a folder in HOME."""
    code = """
import sys
import mapgen.model.openvino
import openvino.tools.ovc.convert_impl as convert
assert convert.tm.__name__.endswith("telemetry_stub")
assert "openvino_telemetry" not in sys.modules
"""
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | {"HOME": str(tmp_path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
    assert not list(tmp_path.iterdir())
