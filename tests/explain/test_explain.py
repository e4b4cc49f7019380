"""`mapgen explain`: places, classes, files, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from factory import ORIGIN, Engines, Run, make_model, make_raster, north_up
from PIL import Image

import mapgen.model.file
from mapgen.model.card import Origin

Runner = Callable[..., Run]
SCENE = Path(__file__).parents[2] / "examples" / "scene.tif"
WEIGHTS = Path(mapgen.model.file.__file__).parent / "weights"


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """96 × 96 pixels: dark to the left, bright to the right, no data in the last ten rows."""
    pixels = np.full((3, 96, 96), 40, np.uint8)
    pixels[:, :, 48:] = 240
    pixels[:, 86:] = 0
    return make_raster(tmp_path / "scene.tif", pixels, nodata=0)


@pytest.fixture
def explain(mapgen: Runner, model: Path, scene: Path, engines: Engines) -> Callable[..., Run]:
    """`explain(options…)` of the scene by the fake model, by bands alone where no method is named."""

    def call(*options: object) -> Run:
        method = () if "--methods" in options else ("--methods", "bands")
        return mapgen("explain", model, scene, *method, *options)

    return call


def report(run: Run) -> dict[str, Any]:
    assert run.code == 0, run
    found: dict[str, Any] = json.loads((Path(run.out.strip()) / "explain.json").read_text())
    return found


def at(col: float, row: float) -> str:
    return f"{ORIGIN[0] + col},{ORIGIN[1] - row}"


def test_output_is_a_folder_beside_the_scene_and_replaced_only_when_asked(
    explain: Runner, scene: Path, tmp_path: Path
) -> None:
    first = explain()
    assert first.out.strip() == str(tmp_path / "scene.explain")
    assert sorted(p.name for p in (tmp_path / "scene.explain").iterdir()) == ["explain.json", "explain.png"]
    assert explain().code == 5
    assert explain("--overwrite").code == 0
    assert explain("-o", tmp_path / "other").out.strip() == str(tmp_path / "other")


def test_at_is_a_pixel_and_bbox_the_pixels_of_a_class(explain: Runner) -> None:
    one = report(explain("--at", at(10.5, 20.5)))
    assert (one["class"], one["place"]["pixels"]) == ("dark", 1)
    some = report(explain("--overwrite", "--bbox", f"{at(40, 30)},{at(80, 10)}"))
    assert some["class"] == "bright"
    assert some["place"]["pixels"] == 20 * (80 - 48)


def test_class_asks_why_another_and_is_one_that_is_there(explain: Runner) -> None:
    assert report(explain("--class", "dark"))["class"] == "dark"
    why_not = report(explain("--overwrite", "--class", "BRIGHT", "--at", at(10.5, 20.5)))
    assert why_not["class"] == "bright"
    assert why_not["score"]["value"] < 0
    run = explain("--overwrite", "--class", "bright", "--bbox", f"{at(2, 20)},{at(20, 2)}")
    assert (run.code, "the model takes no pixel there for bright; it shows dark" in run.errors[0]) == (2, True)
    run = explain("--overwrite", "--class", "brigt")
    assert (run.code, "no class 'brigt'; use one of dark, middle, bright" in run.errors[0]) == (2, True)


def test_rasters_lie_where_the_pixels_do_and_have_a_style(explain: Runner, scene: Path, tmp_path: Path) -> None:
    run = explain("--methods", "occlusion", "--at", at(30.5, 30.5), "--size", 64)
    assert run.code == 0, run
    with rasterio.open(tmp_path / "scene.explain" / "occlusion.tif") as found, rasterio.open(scene) as source:
        assert (found.crs, found.shape, found.dtypes) == (source.crs, (64, 64), ("float32",))
        assert found.transform == north_up(1.0)
        assert found.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        values = found.read(1)
    assert np.isfinite(values).all()
    assert values[30, 30] > 0
    assert "singlebandpseudocolor" in (tmp_path / "scene.explain" / "occlusion.qml").read_text()
    with Image.open(tmp_path / "scene.explain" / "explain.png") as sheet:
        assert sheet.size[0] > 3 * 256


def test_segments_are_features_with_what_they_add(explain: Runner, scene: Path, tmp_path: Path) -> None:
    found = report(explain("--methods", "lime,shap", "--at", at(60.5, 30.5)))
    assert found["methods"]["shap"]["segments"] <= 16
    assert found["methods"]["shap"]["seeds_agree"] > 0.5
    whole = found["score"]["value"] - found["score"]["base"]
    assert found["methods"]["shap"]["sum"] == pytest.approx(whole, abs=1e-3)
    for name in ("lime", "shap"):
        layer = geopandas.read_file(tmp_path / "scene.explain" / f"{name}.gpkg", layer=name)
        assert list(layer.columns) == ["segment", "value", "pixels", "geometry"]
        assert layer.area.to_numpy() == pytest.approx(layer["pixels"].to_numpy())
        assert layer.area.sum() == 96 * 86  # but for the rows without data
        styles = geopandas.read_file(tmp_path / "scene.explain" / f"{name}.gpkg", layer="layer_styles")
        assert "graduatedSymbol" in styles["styleQML"][0]
    holder = layer[layer.contains(shapely.Point(ORIGIN[0] + 60.5, ORIGIN[1] - 30.5))]
    assert holder["value"].iloc[0] == layer["value"].max() > 0


def test_what_two_halves_of_the_samples_do_not_agree_on_is_said(explain: Runner, engines: Engines) -> None:
    """Single pixels of noise decide: whatever is taken away, the score is another."""
    noisy = np.ones((96, 96), int)
    engines.rule = lambda pixels: (np.abs(np.sin(pixels.sum((1, 2, 3)))) * 1e4 % 3).astype(int)[:, None, None] * noisy
    run = explain("--methods", "lime,shap", "--at", at(60.5, 30.5))
    assert "two halves of the samples of shap correlate by" in run.err
    assert "of the score only: try another method" in run.err


def test_size_and_seed(explain: Runner) -> None:
    first = report(explain("--methods", "occlusion"))
    assert first["place"]["height"] == 96
    other = report(explain("--methods", "occlusion", "--size", 40, "--seed", 3, "--overwrite"))
    again = report(explain("--methods", "occlusion", "--size", 40, "--seed", 4, "--overwrite"))
    assert other["place"]["height"] == 40
    first, second = (one["methods"]["occlusion"] for one in (other, again))
    assert first["sum"] == second["sum"]
    assert first["faithfulness"]["deletion_by_chance"] != second["faithfulness"]["deletion_by_chance"]


def test_bands_nodata_scale_and_resolution_are_those_of_segment(explain: Runner) -> None:
    plain = report(explain())
    assert report(explain("--overwrite", "--bands", "3,2,1"))["options"]["bands"] == "('3', '2', '1')"
    assert report(explain("--overwrite", "--nodata", 240))["class"] == "dark"
    assert report(explain("--overwrite", "--scale", "0,100"))["base"] != plain["base"]
    assert report(explain("--overwrite", "--resolution", 2))["place"]["height"] == 48


def test_engine_device_precision_and_threads_reach_the_engine(explain: Runner, engines: Engines) -> None:
    found = report(explain("--engine", "torch", "--device", "cuda", "--precision", "bf16", "--threads", 3))
    assert found["engine"] | {"runs": 0} == {"name": "torch", "device": "cuda", "precision": "bf16", "runs": 0}
    assert engines.opened[-1].setup.threads == 3
    explain("--overwrite")
    assert engines.opened[-1].setup.precision == "fp32"


def test_json_quiet_and_verbose(explain: Runner) -> None:
    run = explain("--json")
    assert json.loads(run.out.splitlines()[0])["class"] == "bright"
    assert explain("--overwrite", "--quiet").err == ""
    assert "score" in explain("--overwrite").err
    assert explain("--overwrite", "-v").code == 0


def test_methods_by_derivatives_and_their_stage(mapgen: Runner, tmp_path: Path) -> None:
    """The built-in model on a small place."""
    line = ("--methods", "gradient,ig,cam", "--stage", 2, "--size", 64)
    found = report(mapgen("explain", "drycity-rgb-1m", SCENE, "-o", tmp_path / "why", *line))["methods"]
    assert found["ig"]["missed"] < 0.03
    assert found["ig"]["faithfulness"]["deletion_beats"] >= 0.8
    assert found["cam"]["stage"] == 2
    with rasterio.open(tmp_path / "why" / "cam.tif") as dataset:
        assert dataset.read(1).min() >= 0
    run = mapgen("explain", "drycity-rgb-1m", SCENE, "-o", tmp_path / "none", "--methods", "cam", "--stage", 9)
    assert (run.code, "the encoder has no stage 9; use one of 1 to 5" in run.errors[0]) == (2, True)
    assert not (tmp_path / "none").exists()


def test_a_graph_is_explained_by_trying_and_says_what_it_cannot(
    mapgen: Runner, scene: Path, tmp_path: Path, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mapgen.model.file.read_tensors", lambda model: {})
    model = make_model(tmp_path / "graph.safetensors", architecture="", graph=Origin("onnx", "0" * 64))
    run = mapgen("explain", model, scene, "--size", 48)
    assert set(report(run)["methods"]) == {"lime", "bands"}
    assert "is explained without cam, ig: fake is held as a graph" in run.err
    run = mapgen("explain", model, scene, "--methods", "bands,ig", "--overwrite")
    assert (run.code, "ig needs derivatives, and fake is held as a graph" in run.errors[0]) == (2, True)
    ids = make_model(tmp_path / "ids.safetensors", architecture="", graph=Origin("onnx", "0" * 64, "ids"))
    assert mapgen("explain", ids, scene, "--overwrite").code == 2


@pytest.mark.parametrize(
    ("code", "words", "options"),
    [
        (4, "does not lie on", ("--at", at(-5, 5))),
        (4, "has no data at that place", ("--at", at(5.5, 90.5))),
        (4, "nothing of it lies on", ("--bbox", "0,0,1,1")),
        (2, "is not X,Y", ("--at", "5;5")),
        (2, "there is a box already", ("--at", at(5, 5), "--bbox", "0,0,1,1")),
        (2, "did you mean occlusion?", ("--methods", "oclusion")),
        (2, "is not between 32 and 1024", ("--size", 5000)),
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_is_written(
    explain: Runner, tmp_path: Path, code: int, words: str, options: tuple[object, ...]
) -> None:
    run = explain(*options)
    assert (run.code, len(run.errors), words in run.errors[0]) == (code, 1, True), run
    assert not (tmp_path / "scene.explain").exists()


def test_a_scene_smaller_than_the_stride_is_explained(
    mapgen: Runner, model: Path, tmp_path: Path, engines: Any
) -> None:
    tiny = make_raster(tmp_path / "tiny.tif", np.full((3, 1, 3), 90, np.uint8))
    found = report(mapgen("explain", model, tiny, "--methods", "occlusion,bands"))
    assert (found["place"]["height"], found["place"]["width"]) == (1, 3)


def test_the_model_and_the_scene_are_never_written(mapgen: Runner, scene: Path, model: Path, engines: Any) -> None:
    folder = scene.parent / "out"
    folder.mkdir()
    shutil.copy(scene, folder / "occlusion.tif")
    before = (folder / "occlusion.tif").read_bytes()
    run = mapgen("explain", model, folder / "occlusion.tif", "--methods", "occlusion", "-o", folder, "--overwrite")
    assert run.code == 5
    assert (folder / "occlusion.tif").read_bytes() == before


def test_a_model_that_is_int8_alone_is_explained_in_int8(mapgen: Runner, tmp_path: Path) -> None:
    """On any CPU: there is nothing else in the file."""
    alone = shutil.copy(WEIGHTS / "drycity-rgb-1m.int8.safetensors", tmp_path / "alone.safetensors")
    found = report(mapgen("explain", alone, SCENE, "-o", tmp_path / "why", "--size", 64, "--methods", "bands"))
    assert found["engine"]["precision"] == "int8"
    run = mapgen("explain", alone, SCENE, "-o", tmp_path / "ig", "--methods", "ig")
    assert (run.code, "is held as a graph" in run.errors[0]) == (2, True)


def test_pixels_without_data_are_filled_in_as_engines_want_them(mapgen: Runner, tmp_path: Path) -> None:
    """A filled picture does not lie in memory in the order of its axes, which engines insist on."""
    pixels = np.random.default_rng(1).integers(1, 255, (3, 96, 96)).astype(np.uint8)
    pixels[:, 50:53, 40] = 0
    scene = make_raster(tmp_path / "holes.tif", pixels, nodata=0)
    run = mapgen("explain", "drycity-rgb-1m", scene, "--size", 64, "--methods", "bands")
    assert set(report(run)["methods"]) == {"bands"}
    with Image.open(tmp_path / "holes.explain" / "explain.png") as sheet:
        assert (np.asarray(sheet.convert("RGB")) == 170).all(-1).any()  # they are shown as nothing
