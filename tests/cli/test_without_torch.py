"""The command line where torch is not installed: every command works, or exits 2 and names what to install."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from factory import make_raster, noise

EXAMPLES = Path(__file__).parents[2] / "examples"

BLOCKED = ("torch", "torchvision", "segmentation_models_pytorch", "nncf", "timm", "onnx")
WITHOUT = f"""
import sys
sys.modules.update(dict.fromkeys({BLOCKED!r}))
from mapgen.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return make_raster(tmp_path_factory.mktemp("scene") / "scene.tif", noise(96, 128))


@pytest.fixture(scope="module")
def result(scene):
    """The class map that is made where torch is missing, at the defaults."""
    run = without_torch("segment", scene, "--resolution", "native")
    assert run.returncode == 0, run.stderr
    return scene.with_name("scene.mask.tif")


def without_torch(*arguments):
    environment = os.environ | {"MAPGEN_CACHE": os.devnull + "-none"}
    command = [sys.executable, "-c", WITHOUT, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_mapping_at_the_defaults_needs_no_torch(result):
    import rasterio

    with rasterio.open(result) as dataset:
        assert np.isin(dataset.read(1), (1, 2, 3, 4, 5)).all()


@pytest.mark.parametrize(
    "arguments",
    [
        ("segment", "SCENE", "-o", "OUT/map.tif", "--resolution", "native", "--precision", "fp32"),
        ("vectorize", "MAP", "-o", "OUT/layer.geojson"),
        ("tiles", "MAP", "-o", "OUT/tiles.mbtiles"),
        ("map", "SCENE", "-o", "OUT/map", "--resolution", "native"),
        ("view", "MAP", "--png", "OUT/still.png"),
        ("evaluate", "MAP", "MAP"),
        ("info", "SCENE"),
        ("models", "list"),
        ("models", "export", "drycity-rgb-1m", "--to", "openvino", "-o", "OUT/model.xml"),
        ("bench", "SCENE"),
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_every_command_that_learns_nothing_works(arguments, scene, result, tmp_path):
    named = {"SCENE": str(scene), "MAP": str(result)}
    run = without_torch(*(named.get(a, a.replace("OUT", str(tmp_path))) for a in arguments))
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("segment", "SCENE", "-o", "OUT.tif", "--engine", "torch"),
        ("segment", "SCENE", "-o", "OUT.tif", "--device", "cuda"),
        ("train", EXAMPLES / "train_scene.toml", "-o", "OUT"),
        ("train", EXAMPLES / "train_scene.toml", "-o", "OUT", "--check"),
        ("models", "export", "drycity-rgb-1m", "-o", "OUT.onnx", "--to", "onnx"),
        ("compress", "drycity-rgb-1m", "-o", "OUT.safetensors", "--to", "int8", "--calibrate", "SCENE"),
    ],
    ids=lambda arguments: " ".join(map(str, arguments[-2:])),
)
def test_what_needs_torch_says_what_to_install(arguments, scene, tmp_path):
    run = without_torch(*(str(scene) if a == "SCENE" else str(a).replace("OUT", f"{tmp_path}/out") for a in arguments))
    assert run.returncode == 2, run.stderr
    line = run.stderr.splitlines()[-1]
    assert "which is not installed; pip install 'mapgen[" in line
    assert not [*tmp_path.glob("out*")]
