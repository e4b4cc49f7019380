"""Model files that are refused, and card text that stays text."""

import json
import os
import pickle
import struct
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from factory import card, make_model, make_raster, noise
from safetensors.numpy import save_file

from mapgen.errors import ModelError
from mapgen.legend import Class, Legend
from mapgen.model.engine import Network, Setup
from mapgen.model.file import CARD_KEY, open_model
from mapgen.model.write import save_model

WAY_IN = ("mapgen.save_model", "examples/bring_your_own_smp.py")


@pytest.fixture
def refuses_model(tmp_path, refuses, mapgen, engines):
    """`refuses_model(words)`: segment, models show and info refuse `tmp_path/"model.safetensors"` with these words."""
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    make_raster(tmp_path / "other.tif", noise(30, 30))
    path = tmp_path / "model.safetensors"

    def check(*words: str, on_opening: bool = True) -> None:
        for arguments in (
            ("segment", "--model", path, tmp_path / "scene.tif"),
            ("segment", "--model", path, tmp_path / "scene.tif", tmp_path / "other.tif"),
            ("models", "show", path),
            ("info", path),
            ("info", "--model", path, tmp_path / "scene.tif"),
        ):
            if on_opening or arguments[:2] == ("segment", "--model"):
                refuses(6, ("model.safetensors", *words), *arguments, run=mapgen)

    return check


def write_header(path: Path, header: dict, data: bytes, *, length: int = 0) -> None:
    """A safetensors file by hand; the header is padded with spaces to `length`."""
    text = json.dumps(header).encode().ljust(length)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def tensor(start: int, stop: int, shape: tuple[int, ...] = (2,)) -> dict:
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [start, stop]}


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_raw_pickle_is_refused_and_never_unpickled(tmp_path, refuses_model, protocol):
    content = pickle.dumps({"weights": Trap(tmp_path / "sprung"), "more": list(range(100))}, protocol)
    (tmp_path / "model.safetensors").write_bytes(content)
    refuses_model(*WAY_IN, *(["pickled"] if protocol > 1 else []))


def test_a_zipped_pickle_is_refused_and_never_unpickled(tmp_path, refuses_model):
    with zipfile.ZipFile(tmp_path / "model.safetensors", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Trap(tmp_path / "sprung")))
    refuses_model("pickled", *WAY_IN)


@pytest.mark.parametrize("second", [2, 3, 4, 5])
def test_a_header_whose_length_looks_like_a_pickle_is_no_pickle(tmp_path, second):
    """The file begins with the length of its header, and a pickle with 0x80 and the number of its protocol."""
    header = {"__metadata__": {CARD_KEY: card().to_json()}, "weight": tensor(0, 8)}
    write_header(tmp_path / "model.safetensors", header, bytes(8), length=0x1_0080 + (second << 8))
    assert (tmp_path / "model.safetensors").read_bytes()[:2] == bytes([0x80, second])
    assert open_model(tmp_path / "model.safetensors").card == card()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ("not a safetensors file",)),
        (b"{}", ("not a safetensors file",)),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), ("HDF5",)),
        (b"\x08\x07\x12\x07pytorch" + bytes(100), ("not a safetensors file",)),
        (struct.pack("<Q", 2**63) + b"{" + bytes(100), ("not a safetensors file",)),
        (struct.pack("<Q", 90_000_000) + b"{" + bytes(100), ("truncated",)),
        (struct.pack("<Q", 50) + b"{" * 50, ("truncated or not a safetensors file",)),
        (struct.pack("<Q", 50_000) + b'{"a":' * 10_000, ("truncated or not a safetensors file",)),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, refuses_model, content, words):
    (tmp_path / "model.safetensors").write_bytes(content)
    refuses_model(*words)


def test_a_missing_model_is_refused(refuses_model):
    refuses_model("no such file", "mapgen models list")


def test_a_folder_is_no_model(tmp_path, refuses_model):
    (tmp_path / "model.safetensors").mkdir()
    refuses_model("is not a file")


def test_an_unknown_name_is_refused_with_those_that_are_known(refuses, mapgen, tmp_path):
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    words = ("drycity", "no such model file or model by name", "mapgen models list")
    refuses(6, words, "segment", tmp_path / "scene.tif", "--model", "drycity", run=mapgen)


@pytest.mark.parametrize("lost", [1, 10, 600])
def test_a_truncated_model_is_refused(tmp_path, refuses_model, lost):
    path = make_model(tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:-lost])
    refuses_model("get the file again")


def test_bytes_behind_the_tensors_are_refused(tmp_path, refuses_model):
    path = make_model(tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes() + b"more")
    refuses_model("20 bytes of tensors, its header promises 16", "get the file again")


@pytest.mark.parametrize(
    ("spans", "words"),
    [
        ([(0, 8), (4, 12)], "overlap or leave gaps"),
        ([(0, 8), (0, 8)], "overlap or leave gaps"),
        ([(0, 8), (16, 24)], "overlap or leave gaps"),
        ([(8, 16)], "overlap or leave gaps"),
        ([(0, 8), (8, 2)], "overlap or leave gaps"),
        ([(0, 2**62)], "its header promises"),
    ],
)
def test_overlapping_tensors_are_refused(tmp_path, refuses_model, spans, words):
    header = {"__metadata__": {CARD_KEY: card().to_json()}}
    header |= {f"tensor{i}": tensor(*span) for i, span in enumerate(spans)}
    write_header(tmp_path / "model.safetensors", header, bytes(16))
    refuses_model(words, "get the file again")


@pytest.mark.parametrize(
    "entry", [{}, [], 5, {"data_offsets": [0]}, tensor(0, 16) | {"shape": "all"}, {"data_offsets": [0, "x"]}]
)
def test_a_header_of_another_shape_is_refused(tmp_path, refuses_model, entry):
    header = {"__metadata__": {CARD_KEY: card().to_json()}, "weight": entry}
    write_header(tmp_path / "model.safetensors", header, bytes(16))
    refuses_model("header is broken", "get the file again")


def test_a_shape_that_its_bytes_do_not_fill_is_refused(tmp_path, refuses_model):
    header = {"__metadata__": {CARD_KEY: card().to_json()}, "weight": tensor(0, 16, (100, 100))}
    write_header(tmp_path / "model.safetensors", header, bytes(16))
    refuses_model("tensors cannot be read", "get the file again", on_opening=False)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path, refuses_model, value):
    weights = np.zeros((4, 4), np.float32)
    weights[1, 2] = value
    save_file({"weight": weights}, tmp_path / "model.safetensors", metadata={CARD_KEY: card().to_json()})
    refuses_model("weights weight are not finite", "train it again", on_opening=False)
    with pytest.raises(ModelError, match="not finite"):
        save_model({"weight": weights}, card(), tmp_path / "other.safetensors")
    assert not (tmp_path / "other.safetensors").exists()


def test_safetensors_without_a_card_are_refused_with_the_way_in(tmp_path, refuses_model):
    save_file({"weight": np.zeros(4, np.float32)}, tmp_path / "model.safetensors")
    refuses_model("without a mapgen card", *WAY_IN)


def write_card(path: Path, text: str) -> None:
    save_file({"weight": np.zeros(4, np.float32)}, path, metadata={CARD_KEY: text})


def changed(**changes: object) -> str:
    """The text of the usual card with these fields in place of its own."""
    return json.dumps(json.loads(card().to_json()) | changes)


CLASS = {"id": 1, "name": "a", "color": "#102030"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no JSON", ("card is not JSON",)),
        ("[" * 100_000, ("card is not JSON",)),
        ("[]", ("card has version None", "update mapgen")),
        (changed(mapgen_card=99), ("card has version 99", "this mapgen reads 1", "update mapgen")),
        (changed(dilation=3), ("unknown field 'dilation'", "update mapgen")),
        (changed(**{"a\n\x1b[2Jb": 3}), ("unknown field", "update mapgen")),
        (json.dumps({"mapgen_card": 1}), ("card lacks 'name'", "save the model again")),
        (changed(name=5), ("card has name = 5", "save the model again")),
        (changed(bands="rgb"), ("card has bands", "save the model again")),
        (changed(bands=[]), ("no bands", "correct the card")),
        (changed(mean=[1.0]), ("1 means for 3 bands", "correct the card")),
        (changed(mean=[1.0, 2.0, float("nan")]), ("NaN is not a finite number", "save the model again")),
        (changed(std=[1.0, 2.0, 0.0]), ("deviation that is not positive", "correct the card")),
        (changed(scores={"iou": float("inf")}), ("Infinity is not a finite number", "save the model again")),
        (changed().replace("64.0", "1" + 400 * "0"), ("100000000000000000… is too large a number", "save the model")),
        (changed().replace("64.0", "1" + 5000 * "0"), ("too large a number", "save the model again")),
        (changed().replace("64.0", "1e999"), ("1e999 is not a finite number", "save the model again")),
        (changed().replace("Unet", "\\ud800"), ("card is not JSON", "save the model again")),
        (changed(resolution_m=-1.0), ("resolution of -1", "correct the card")),
        (changed(resolution_m=1e9), ("resolution of 1000000000.0 m", "correct the card")),
        (changed(data_type="bfloat16"), ("data_type 'bfloat16'", "correct the card")),
        (changed(window=65), ("window 65 is not a multiple", "correct the card")),
        (changed(stride=0), ("stride", "card")),
        (changed(stride=-8), ("stride", "card")),
        (changed(window=True), ("window = true", "save the model again")),
        (changed(legend=[]), ("no classes", "correct the card")),
        (changed(legend=[CLASS, CLASS]), ("legend", "twice")),
        (changed(legend=[CLASS | {"id": 255}]), ("legend", "outside 0…254")),
        (changed(legend=[CLASS | {"id": "x"}]), ("legend", "save the model again")),
        (changed(legend=[CLASS | {"color": "red"}]), ("legend", "#rrggbb")),
        (changed(legend=[{"id": 1}]), ("legend", "save the model again")),
        (changed(legend="abc"), ("legend", "save the model again")),
    ],
)
def test_a_card_that_says_too_little_or_too_much_is_refused(tmp_path, refuses_model, text, words):
    write_card(tmp_path / "model.safetensors", text)
    refuses_model(*words)


HOSTILE = "<script>alert(1)</script>\n\x1b[31m\x07\r\u202eexit\x00 & \"quoted\" 'too'"


def test_hostile_card_text_stays_text(tmp_path, mapgen, engines):
    legend = Legend((Class(0, HOSTILE, "#102030"), Class(1, "b", "#102030"), Class(2, "c", "#102030")))
    facts = dict.fromkeys(("name", "version", "domain", "description", "data", "license", "limits"), HOSTILE)
    path = make_model(
        tmp_path / "model.safetensors", legend=legend, scores={HOSTILE: HOSTILE, "a": {HOSTILE: 1}}, **facts
    )
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    for arguments in (
        ("segment", "--model", path, tmp_path / "scene.tif"),
        ("models", "show", path),
        ("info", path),
        ("info", tmp_path / "scene.mask.tif"),
        ("info", "--model", path, tmp_path / "scene.tif"),
    ):
        run = mapgen(*arguments)
        assert run.code == 0
        shown = run.out + run.err
        assert all(c.isprintable() for c in shown.replace("\n", ""))
        assert "<script>" in shown or arguments[0] == "info"
        assert not any(line.startswith(("alert", "\x1b", "exit")) for line in shown.splitlines())


def test_hostile_class_names_leave_the_side_cars_well_formed(tmp_path, mapgen, engines):
    legend = Legend((Class(0, HOSTILE, "#102030"), Class(1, "b", "#102030"), Class(2, "c", "#102030")))
    path = make_model(tmp_path / "model.safetensors", legend=legend)
    make_raster(tmp_path / "scene.tif", noise(30, 30))
    assert mapgen("segment", "--model", path, tmp_path / "scene.tif").code == 0
    names = ElementTree.parse(tmp_path / "scene.mask.tif.aux.xml").findall(".//Category")
    assert names[0].text.startswith("<script>")
    labels = [e.get("label") for e in ElementTree.parse(tmp_path / "scene.mask.qml").iter("paletteEntry")]
    assert labels[0].startswith("<script>")
    run = mapgen("info", "--json", tmp_path / "scene.mask.tif")
    assert [c["name"] for c in json.loads(run.out)["classes"]] == [HOSTILE, "b", "c"]


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    """A small network and its tensors; torch takes seconds to import, so one test module does it, once."""
    from mapgen.model.network import build

    net = build("Unet", "resnet18", 3, 3, decoder_channels=[16, 8, 8, 8, 8])
    return {name: value.numpy() for name, value in net.state_dict().items()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architecture": "FPN", "parameters": {}}, ("do not fit FPN resnet18", "missing", "unknown")),
        ({"encoder": "resnet34"}, ("do not fit Unet resnet34", "missing, 0 unknown")),
        ({"legend": Legend((Class(1, "a", "#102030"),))}, ("0 missing, 0 unknown, 2 of another shape", "[3]")),
        ({"architecture": "Nonsense"}, ("Nonsense",)),
        ({"encoder": "nonsense18"}, ("nonsense18",)),
        ({"parameters": {"decoder_channels": [16, 8]}}, ("decoder",)),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_the_card_are_refused_with_counts(unet, changes, words):
    from mapgen.model.normalization import Normalization
    from mapgen.model.torch import TorchEngine

    own = card(**({"parameters": {"decoder_channels": [16, 8, 8, 8, 8]}} | changes))
    setup = Setup(Normalization(own.mean, own.std), np.dtype("uint8"))
    with pytest.raises(ModelError) as raised:
        TorchEngine(Network(own, "key", lambda: unet, "model.safetensors"), setup, "cpu")
    assert raised.value.exit_code == 6
    assert str(raised.value).startswith("model.safetensors: ")
    assert raised.value.remedy
    assert all(word in str(raised.value) for word in words)
