"""The command line answers questions about itself without loading what only work needs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {
    "numpy", "rasterio", "torch", "openvino", "pyogrio", "shapely", "geopandas", "numba", "pandas", "scipy", "rich",
}  # fmt: skip

PROBE = """
import json, sys
from mapgen.cli.main import run
code = run(json.loads(sys.argv[1]))
print(json.dumps({"code": code, "modules": sorted({m.split(".")[0] for m in sys.modules})}))
"""


def started(*arguments: str) -> tuple[int, set[str]]:
    """The exit code of a run in a fresh interpreter and the packages that it loaded."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps(arguments)], capture_output=True, text=True, check=True
    )
    last = json.loads(done.stdout.splitlines()[-1])
    return last["code"], set(last["modules"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"], ["--version"], ["segment", "--help"], ["vectorize", "--help"], ["info", "--help"],
        ["models", "--help"], ["models", "show", "--help"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    code, modules = started(*arguments)
    assert code == 0
    assert not modules & HEAVY
    assert "pydantic" not in modules or arguments == ["--version"]  # typer checks values by it, and none were given


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["segment"], ["segmnt", "scene.tif"], ["segment", "scene.tif", "--windw", "512"],
        ["segment", "scene.tif", "--window", "wide"], ["segment", "scene.tif", "--stitch", "sew"],
        ["segment", "scene.tif", "--scale", "9,1"], ["segment", "scene.tif", "--bbox", "1,2,3"],
        ["segment", "scene.tif", "--co", "COMPRESS"], ["vectorize"],
    ],
    ids=lambda a: " ".join(a) or "nothing",
)  # fmt: skip
def test_wrong_usage_exits_2_and_loads_nothing_heavy(arguments: list[str]) -> None:
    code, modules = started(*arguments)
    assert code == 2
    assert not modules & HEAVY


def test_importing_the_package_loads_nothing_heavy() -> None:
    probe = "import json, sys, mapgen; print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & HEAVY
