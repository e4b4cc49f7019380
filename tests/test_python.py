"""The package from Python: what is public, with real signatures, errors that speak Python, results that say what they
are."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest
from factory import Engines, make_raster, noise

import mapgen
from mapgen.errors import UsageError

VERBS = {"segment", "vectorize", "tiles", "map", "view", "evaluate", "train", "info", "polygonize", "compress"}
OPTIONS = {name: f"{name.capitalize()}Options" for name in VERBS - {"train", "info", "polygonize"}}


def test_what_is_public_is_all_there_and_shown() -> None:
    assert VERBS | set(OPTIONS.values()) <= set(mapgen.__all__) == set(dir(mapgen)) - {"__version__"}
    assert all(getattr(mapgen, name) is not None for name in mapgen.__all__)


def test_everything_public_says_what_it_is() -> None:
    assert not [name for name in mapgen.__all__ if not inspect.getdoc(getattr(mapgen, name))]


@pytest.mark.parametrize("name", OPTIONS)
def test_signatures_name_every_option_with_its_default(name: str) -> None:
    parameters = inspect.signature(getattr(mapgen, name)).parameters
    options = inspect.signature(getattr(mapgen, OPTIONS[name])).parameters
    assert not [p for p in parameters.values() if p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    keywords = {n: p.default for n, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert keywords == {n: p.default for n, p in options.items()}


def test_functions_bear_their_names() -> None:
    assert {getattr(mapgen, name).__name__ for name in VERBS} == VERBS


def test_no_module_that_is_loaded_shadows_a_function() -> None:
    for module in pkgutil.walk_packages(mapgen.__path__, "mapgen."):
        if module.name != "mapgen.__main__":
            importlib.import_module(module.name)
    assert all(callable(getattr(mapgen, name)) for name in VERBS)


def test_importing_the_package_and_its_option_classes_is_cheap() -> None:
    code = "import sys, mapgen; mapgen.MapOptions(window=512); print({'numpy', 'torch', 'rasterio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_errors_speak_python(tmp_path: Path) -> None:
    scene = make_raster(tmp_path / "scene.tif", noise(40, 50))
    with pytest.raises(UsageError, match=r"^simplify: 'wide' is not a size; such as simplify='8px'$") as caught:
        mapgen.vectorize(scene, simplify="wide")
    assert caught.value.key == "simplify"
    with pytest.raises(mapgen.MapgenError) as refused:
        mapgen.vectorize(tmp_path / "none.tif")
    assert "--" not in str(refused.value)
    with pytest.raises(TypeError, match="simplfy"):
        mapgen.vectorize(scene, simplfy="1px")  # type: ignore[call-arg]


def test_results_say_what_became_of_the_work(tmp_path: Path, model: Path, engines: Engines) -> None:
    scene = make_raster(tmp_path / "town.tif", noise(60, 80))
    made = mapgen.map(scene, tmp_path / "out", model=model, zoom="14", stac=False)
    assert made.exit_code == 0
    assert repr(made).startswith(f"<map of town in {tmp_path / 'out'}: town.mask.tif, ")
    mask = mapgen.segment(scene, model=model)
    assert repr(mask).startswith(f"<map {tmp_path / 'town.mask.tif'}: 1 window")
    assert mask.output.read_bytes() == made.files["class_map"].read_bytes()
    layer = mapgen.vectorize(mask.output, simplify="1.5px")
    assert repr(layer).startswith(f"<layer {tmp_path / 'town.mask.geojson'}: {layer.features} polygons")
    tiles = mapgen.tiles(mask.output, zoom=14)
    assert "zoom 14 to 14" in repr(tiles)
    assert repr(mapgen.evaluate(mask.output, mask.output)) == f"<evaluation of {mask.output}: mIoU 1.000>"
    assert mapgen.view(mask.output, tmp_path / "map.png", size=100) == tmp_path / "map.png"
    assert mapgen.view(mask.output, tmp_path / "map.html").stat().st_size > 1000  # type: ignore[union-attr]
    assert mapgen.info(mask.output)["kind"] == "class map"
    with pytest.raises(UsageError, match="name a"):
        mapgen.view(mask.output, tmp_path / "map.svg")


def test_every_option_has_its_meaning_in_the_reference() -> None:
    page = (Path(__file__).parents[1] / "docs" / "python.md").read_text(encoding="utf-8")
    for name in OPTIONS.values():
        for key in inspect.signature(getattr(mapgen, name)).parameters:
            assert f"| `{key}` |" in page, f"{name}.{key} has no text below it"
