"""The wheel holds everything: built, installed elsewhere, it does the main job from an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from mapgen.settings import DEFAULT_MODEL

ROOT = Path(__file__).parent.parent


def run(*arguments: object, cwd: Path, **environment: str) -> str:
    """The stdout of a command; fails with its stderr where it does."""
    done = subprocess.run(
        [str(a) for a in arguments], cwd=cwd, capture_output=True, text=True, env=os.environ | environment, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, since building leaves traces in the tree. Nothing is fetched."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    tree.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "mapgen", tree / "mapgen", ignore=shutil.ignore_patterns("__pycache__"))
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, tree, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    """A folder with the installed wheel alone; its dependencies are those of this interpreter."""
    target = wheel.parent / "site"
    run(
        sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=wheel.parent
    )  # fmt: skip
    return target


def test_the_wheel_holds_all_modules_the_model_the_types_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "mapgen").rglob("*.py")}
    assert modules <= names
    assert f"mapgen/model/weights/{DEFAULT_MODEL}.safetensors" in names
    assert f"mapgen/model/weights/{DEFAULT_MODEL}.int8.safetensors" in names
    assert "mapgen/model/encoders/tu-tf_efficientnet_lite0.safetensors" in names
    assert "mapgen/py.typed" in names
    assert {f"mapgen/files/web/{p.name}" for p in (ROOT / "mapgen" / "files" / "web").iterdir()} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "examples/", "docs/"))]


def test_the_installed_wheel_does_the_main_job_from_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    empty = tmp_path / "empty"
    for folder in (home, empty):
        folder.mkdir()
    surroundings = {"PYTHONPATH": str(installed), "MAPGEN_CACHE": str(home)}
    where = run(sys.executable, "-c", "import mapgen; print(mapgen.__file__)", cwd=empty, **surroundings)
    assert Path(where.strip()).is_relative_to(installed)

    command = (sys.executable, installed / "bin" / "mapgen")
    scene = ROOT / "examples" / "scene.tif"
    mask = run(*command, "segment", scene, "-o", "scene.mask.tif", "-q", cwd=empty, **surroundings)
    assert mask.splitlines() == ["scene.mask.tif"]
    layer = run(*command, "vectorize", "scene.mask.tif", "-q", cwd=empty, **surroundings)
    assert layer.splitlines() == ["scene.mask.geojson"]

    facts = json.loads(run(*command, "info", "scene.mask.tif", "--json", cwd=empty, **surroundings))
    assert (facts["kind"], facts["width"], facts["height"], facts["model"]) == ("class map", 1200, 1000, DEFAULT_MODEL)
    features = json.loads((empty / "scene.mask.geojson").read_text(encoding="utf-8"))["features"]
    assert {f["properties"]["class_name"] for f in features} <= {c["name"] for c in facts["classes"]}
    assert len(features) > 100
