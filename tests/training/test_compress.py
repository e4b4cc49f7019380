"""`mapgen compress`: what it calibrates on, what it measures, where it writes, and what it refuses.

The quantiser is one that moves the steps of brightness, so that its losses are known; one test runs NNCF itself.
"""

import json
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from factory import card, make_model, make_raster, noise, read_map
from graphs import STEPS, graph_bytes

from mapgen.model.file import int8_path, open_model, read_graph
from mapgen.model.write import save_model
from mapgen.training.compress import compress

MOVED = (95.5, 171.0)
"""The first step of the fake's int8 graph: pixels of a mean brightness from 86 to 95 change their class."""


class Quantizer:
    """In place of NNCF: the graph with its steps moved. Keeps the samples that it was calibrated on."""

    def __init__(self) -> None:
        self.samples = []
        self.steps = MOVED

    def __call__(self, graph, samples):
        self.samples = list(samples)
        return *graph_bytes(self.steps), "steps moved"

    @property
    def pixels(self):
        """The samples in the units of the card: all bands of all windows, (3, N)."""
        return np.concatenate([s[0].reshape(3, -1) for s in self.samples], 1) * 64 + 128


@pytest.fixture
def quantizer(monkeypatch):
    fake = Quantizer()
    monkeypatch.setattr("mapgen.model.openvino.bare_graph", lambda network: graph_bytes())
    monkeypatch.setattr("mapgen.training.quantize.quantized", fake)
    monkeypatch.setattr("mapgen.training.compress.require", lambda *what: None)
    return fake


@pytest.fixture
def model(tmp_path):
    """A model whose windows and so calibration windows have 64 pixels."""
    return make_model(tmp_path / "model.safetensors")


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "scene.tif", noise(300, 420))


def classes(values, steps=STEPS):
    """The class of pixels (3, …) by their mean."""
    mean = values.astype(float).mean(0)
    return (mean > steps[0]).astype(np.uint8) + (mean > steps[1])


def measured(path):
    return open_model(path).card.compression.measured


def test_it_writes_the_graph_beside_the_model_and_prints_its_path(scene, model, mapgen, quantizer):
    run = mapgen("compress", model, "--to", "int8", "--calibrate", scene)
    assert run.code == 0, run
    assert run.out == f"{int8_path(model)}\n"
    assert open_model(model).int8 == int8_path(model)
    assert read_graph(open_model(int8_path(model)))[1] == graph_bytes(MOVED)[1]
    compression = open_model(int8_path(model)).card.compression
    assert (compression.precision, compression.parent, compression.method) == ("int8", "fake", "steps moved")
    assert compression.parent_sha256 == open_model(model).sha256


def test_agreement_is_the_share_of_pixels_that_keep_their_class(tmp_path, model, mapgen, quantizer):
    """Half of each pixel row lies between the old and the new step."""
    values = np.tile(np.repeat(np.array([90, 200], np.uint8), 50)[None, None], (3, 128, 1))
    values = np.tile(values, (1, 1, 4))
    scene = make_raster(tmp_path / "scene.tif", values)
    run = mapgen("compress", model, "--calibrate", scene)
    assert run.code == 0, run
    found = measured(int8_path(model))
    counted = found["int8"]["agreement"]
    assert found["fp32"]["agreement"] == 1
    assert 0.4 < counted < 0.6
    assert "without truth" in found["ground"]
    assert "miou" not in found["int8"]
    assert any("keep their class" in line for line in run.warnings), "such a loss is warned of"
    assert found["int8"]["times_fp32"] > 0
    assert found["machine"]


def test_windows_is_how_many_it_calibrates_on_and_the_check_sees_others(scene, model, mapgen, quantizer):
    for count in (1, 5):
        assert mapgen("compress", model, "--calibrate", scene, "--windows", count, "--overwrite").code == 0
        assert len(quantizer.samples) == count
        assert "other windows of scene.tif" in measured(int8_path(model))["ground"]
    assert {s.shape for s in quantizer.samples} == {(1, 3, 64, 64)}
    assert len({s.tobytes() for s in quantizer.samples}) == 5, "no window twice"


def test_a_scene_with_few_windows_is_checked_on_those_it_has(tmp_path, model, mapgen, quantizer):
    scene = make_raster(tmp_path / "small.tif", noise(50, 60))
    assert mapgen("compress", model, "--calibrate", scene).code == 0
    assert len(quantizer.samples) == 1
    assert "the calibration's own windows of small.tif" in measured(int8_path(model))["ground"]


def test_calibrate_takes_several_scenes_and_sees_all_of_them(tmp_path, model, mapgen, quantizer, monkeypatch):
    scenes = [
        make_raster(tmp_path / f"{level}.tif", np.full((3, 200, 200), level, np.uint8)) for level in (10, 100, 200, 250)
    ]
    first, second, third, fourth = scenes
    assert mapgen("compress", model, "--calibrate", first, second, "--windows", 4).code == 0
    assert set(np.unique(quantizer.pixels.round())) == {10, 100}
    arguments = ("--calibrate", first, "--calibrate", second, third, fourth, "--windows", 4, "--overwrite")
    assert mapgen("compress", model, *arguments).code == 0
    assert set(np.unique(quantizer.pixels.round())) == {10, 100, 200, 250}


def test_the_same_scenes_give_the_same_file(scene, model, tmp_path, quantizer):
    samples = []
    for name in ("a.safetensors", "b.safetensors"):
        compress(model, [scene], tmp_path / name, windows=6)
        samples.append([s.tobytes() for s in quantizer.samples])
    assert samples[0] == samples[1]


def test_windows_without_data_are_passed_over(tmp_path, model, mapgen, quantizer):
    values = noise(640, 640)
    values[:, :, 64:] = 0
    scene = make_raster(tmp_path / "scene.tif", values, nodata=0)
    assert mapgen("compress", model, "--calibrate", scene, "--windows", 8).code == 0
    assert len(quantizer.samples) == 8
    assert quantizer.pixels.min() >= 0.5
    empty = make_raster(tmp_path / "empty.tif", np.zeros((3, 100, 100), np.uint8), nodata=0)
    run = mapgen("compress", model, "--calibrate", empty, "--overwrite")
    assert (run.code, len(run.errors)) == (4, 1)
    assert "no scene has a window with data" in run.errors[0]


def test_evaluate_and_truth_measure_miou_before_and_after(scene, tmp_path, model, mapgen, quantizer):
    """Two places: the truth of the first is what float32 maps, of the second what int8 maps."""
    pairs = []
    for number, steps in enumerate((STEPS, MOVED)):
        values = noise(90, 110, seed=5 + number)
        make_raster(tmp_path / f"place{number}.tif", values)
        make_raster(tmp_path / f"truth{number}.tif", classes(values, steps))
        pairs += ["--evaluate", tmp_path / f"place{number}.tif", "--truth", tmp_path / f"truth{number}.tif"]
    run = mapgen("compress", model, "--calibrate", scene, *pairs)
    assert run.code == 0, run
    found = measured(int8_path(model))
    counts = np.zeros((2, 3, 3))
    same = total = 0
    for number, steps in enumerate((STEPS, MOVED)):
        values = noise(90, 110, seed=5 + number)
        truth, before, after = classes(values, steps), classes(values), classes(values, MOVED)
        for at, mapped in enumerate((before, after)):
            counts[at] += np.histogram2d(truth.ravel(), mapped.ravel(), bins=3, range=[[0, 3]] * 2)[0]
        same, total = same + (before == after).sum(), total + before.size
    hit, union = np.einsum("nii->ni", counts), counts.sum(1) + counts.sum(2) - np.einsum("nii->ni", counts)
    expected = (hit / union).mean(1)
    assert found["fp32"]["miou"] == pytest.approx(expected[0], abs=1e-4)
    assert found["int8"]["miou"] == pytest.approx(expected[1], abs=1e-4)
    assert found["int8"]["agreement"] == pytest.approx(same / total, abs=1e-4)
    assert found["pixels"] == total
    assert "place0.tif, place1.tif" in found["ground"]
    assert f"mIoU {expected[1]:.4f}" in run.err
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix not in (".tif", ".xml")) == [
        "model.int8.safetensors", "model.safetensors",
    ]  # fmt: skip


def test_ignored_classes_of_the_truth_do_not_count(scene, tmp_path, model, mapgen, quantizer):
    values = noise(90, 110, seed=5)
    truth = classes(values)
    truth[:40] = 7  # not drawn
    place, drawn = make_raster(tmp_path / "place.tif", values), make_raster(tmp_path / "truth.tif", truth)
    arguments = ("compress", model, "--calibrate", scene, "--evaluate", place, "--truth", drawn, "--overwrite")
    assert mapgen(*arguments).code == 0
    assert measured(int8_path(model))["fp32"]["accuracy"] < 0.6
    assert mapgen(*arguments, "--ignore", "7").code == 0
    assert measured(int8_path(model))["fp32"]["accuracy"] == 1


def test_bands_nodata_and_scale_are_those_of_segment(tmp_path, model, mapgen, quantizer):
    values = np.stack([np.full((150, 150), v, np.uint16) for v in (1000, 2000, 3000, 4000)])
    values[:, :70] = 0
    scene = make_raster(tmp_path / "scene.tif", values)
    scaled = ("compress", model, "--calibrate", scene, "--scale", "0,5100", "--overwrite")
    assert mapgen(*scaled, "--bands", "4,3,2").code == 0
    lit = quantizer.pixels[:, quantizer.pixels.any(0)]
    assert np.allclose([band.max() for band in lit], [200, 150, 100], atol=0.1)
    assert quantizer.pixels.min() == pytest.approx(0, abs=0.1)
    assert mapgen(*scaled, "--bands", "1,2,3", "--nodata", "0").code == 0
    assert np.allclose(quantizer.pixels.mean(1), [50, 100, 150], atol=0.1)


def test_output_names_the_file_or_its_folder(scene, model, tmp_path, mapgen, quantizer):
    (tmp_path / "folder").mkdir()
    for output, expected in (("other.safetensors", "other.safetensors"), ("folder", "folder/model.int8.safetensors")):
        run = mapgen("compress", model, "--calibrate", scene, "-o", tmp_path / output)
        assert (run.code, run.out) == (0, f"{tmp_path / expected}\n")
        assert open_model(tmp_path / expected).card.compression.parent == "fake"
    assert not int8_path(model).exists()


def test_an_output_that_exists_is_replaced_only_when_asked(scene, model, mapgen, quantizer):
    int8_path(model).write_bytes(b"precious")
    run = mapgen("compress", model, "--calibrate", scene)
    assert (run.code, "exists" in run.errors[0], int8_path(model).read_bytes()) == (5, True, b"precious")
    assert quantizer.samples == [], "it is found before any work"
    assert mapgen("compress", model, "--calibrate", scene, "--overwrite").code == 0
    assert open_model(model).int8 == int8_path(model)
    run = mapgen("compress", model, "--calibrate", scene, "-o", model, "--overwrite")
    assert (run.code, "also an input" in run.errors[0]) == (5, True)


def test_json_holds_what_was_measured(scene, model, mapgen, quantizer):
    record = json.loads(mapgen("compress", model, "--calibrate", scene, "--json").out)
    assert (record["output"], record["to"], record["exit_code"]) == (str(int8_path(model)), "int8", 0)
    assert record["measured"] == measured(int8_path(model))
    assert record["bytes"] == int8_path(model).stat().st_size


def test_quiet_says_nothing_but_the_path_and_what_may_spoil_the_result(scene, model, mapgen, quantizer):
    quantizer.steps = STEPS
    run = mapgen("compress", model, "--calibrate", scene, "-q")
    assert (run.out, run.err) == (f"{int8_path(model)}\n", "")


def test_the_log_keeps_what_quiet_does_not_say(scene, model, mapgen, quantizer, tmp_path):
    run = mapgen("compress", model, "--calibrate", scene, "-q", "--log-file", tmp_path / "log.jsonl")
    said = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["text"] for line in said if line["level"] == "result"] == run.out.splitlines()
    assert any(line["text"].startswith("calibrating on ") for line in said)


def test_verbose_twice_shows_the_traceback(model, tmp_path, capfd):
    from mapgen.cli.main import run

    for option, shown in (("-v", False), ("-vv", True)):
        capfd.readouterr()
        assert run(["compress", str(model), "--calibrate", str(tmp_path / "none.tif"), option]) != 0
        assert ("Traceback" in capfd.readouterr().err) is shown


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, ("--calibrate", "no scene is given", "name imagery")),
        (("--to", "int9"), 2, ("--to", "'int9'", "did you mean int8?")),
        (
            ("--calibrate", "scene.tif", "--evaluate", "place.tif"),
            2,
            ("--truth", "0 truths for 1 scenes", "one for each"),
        ),
        (
            ("--calibrate", "scene.tif", "--evaluate", "scene.tif", "--truth", "truth.tif"),
            2,
            ("scene.tif is also calibrated on", "scenes of their own"),
        ),
        (("--calibrate", "none.tif"), 4, ("none.tif",)),
        (("--calibrate", "model.safetensors"), 4, ("model.safetensors",)),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_written(
    scene, model, tmp_path, mapgen, quantizer, monkeypatch, arguments, code, words
):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    run = mapgen("compress", "model.safetensors", *arguments)
    assert (run.code, len(run.errors)) == (code, 1), run
    assert all(word in run.errors[0] for word in words), run.errors[0]
    assert sorted(tmp_path.iterdir()) == before


def test_a_graph_is_not_compressed_again(scene, model, mapgen, quantizer):
    assert mapgen("compress", model, "--calibrate", scene).code == 0
    run = mapgen("compress", int8_path(model), "--calibrate", scene)
    assert (run.code, "compressed form of fake already" in run.errors[0]) == (2, True)


def test_without_nncf_it_says_what_to_install(scene, model, mapgen, monkeypatch):
    monkeypatch.setattr("mapgen.errors.find_spec", lambda name: None)
    run = mapgen("compress", model, "--calibrate", scene)
    assert (run.code, len(run.errors)) == (2, 1)
    assert "nncf, which is not installed; pip install 'mapgen[compress]'" in run.errors[0]
    assert not int8_path(model).exists()


def test_a_built_in_model_is_written_to_the_current_folder(tmp_path, monkeypatch):
    from mapgen.model.file import find_model
    from mapgen.settings import DEFAULT_MODEL
    from mapgen.training.compress import default_output

    assert str(default_output(find_model(DEFAULT_MODEL))) == f"{DEFAULT_MODEL}.int8.safetensors"


@pytest.mark.skipif(find_spec("nncf") is None, reason="NNCF (the extra `compress`) is not installed")
def test_nncf_quantises_a_real_network_quietly(tmp_path, mapgen):
    from mapgen.model.network import build

    net = build("Unet", "resnet18", 3, 3, decoder_channels=[16, 8, 8, 8, 8])
    own = card(parameters={"decoder_channels": [16, 8, 8, 8, 8]}, window=128, halo=32, stride=32)
    path = save_model(net, own, tmp_path / "net.safetensors")
    scene = make_raster(tmp_path / "scene.tif", noise(400, 400))
    run = mapgen("compress", path, "--calibrate", scene, "--windows", 4, "-q")
    assert (run.code, run.out) == (0, f"{int8_path(path)}\n")
    text, numbers = read_graph(open_model(int8_path(path)))
    assert b"FakeQuantize" in text
    assert len(numbers) < 0.3 * path.stat().st_size, "most weights are bytes now"
    assert measured(int8_path(path))["int8"]["agreement"] > 0.9
    assert "openvino_telemetry" not in sys.modules
    maps = []
    for precision in ("fp32", "int8"):
        output = tmp_path / f"{precision}.tif"
        assert mapgen("segment", scene, "--model", path, "--precision", precision, "-o", output).code == 0
        maps.append(read_map(output))
    assert (maps[0] == maps[1]).mean() > 0.9
