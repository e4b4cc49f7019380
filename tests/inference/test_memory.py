"""Memory does not grow with the height of a scene: each measured in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from factory import CRS, make_model, north_up

WIDTH = 4096
TESTS = Path(__file__).parents[1]

SEGMENT = """
import json, resource, sys
sys.path.insert(0, {tests!r})
import mapgen.inference.segment as tool
from factory import Engines
tool.open_engine = Engines().open
from mapgen.cli.main import run
code = run(["segment", "-q", "--window", "512", "--halo", "32", *{arguments!r}])
print(json.dumps([code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""

VECTORIZE = """
import json, resource
from mapgen.cli.main import run
code = run(["vectorize", "-q", *{arguments!r}])
print(json.dumps([code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def sparse_raster(path: Path, height: int, bands: int, **profile: object) -> Path:
    """A tiled raster, 4096 wide, with a block of noise in every 1024 rows; the other blocks are not in the file."""
    rng = np.random.default_rng(4)
    place = {"crs": CRS, "transform": north_up(1.0), "height": height, "width": WIDTH, "count": bands, "dtype": "uint8"}
    tiling = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "SPARSE_OK": True}
    with rasterio.open(path, "w", driver="GTiff", **place, **tiling, **profile) as dataset:
        for row in range(0, height, 1024):
            noise = rng.integers(1, 5, (bands, 8, 8)).repeat(32, 1).repeat(32, 2).astype("uint8")
            col = int(rng.integers(0, WIDTH // 256)) * 256
            dataset.write(noise * 50 if bands == 3 else noise, window=((row, row + 256), (col, col + 256)))
    return path


def peak_bytes(script: str, *arguments: object) -> int:
    """Peak memory of the script in a process of its own; the run must succeed."""
    text = script.format(tests=str(TESTS), arguments=[str(a) for a in arguments])
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=TESTS.parent)
    code, kilobytes = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return int(kilobytes) * 1024


@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_segment_needs_no_more_memory_for_a_scene_eight_times_as_tall(tmp_path, stitch):
    model = make_model(tmp_path / "fake.safetensors")
    peaks = []
    for height in (WIDTH, 8 * WIDTH):
        scene = sparse_raster(tmp_path / f"{height}.tif", height, 3, nodata=0)
        output = tmp_path / f"{height}.mask.tif"
        peaks.append(peak_bytes(SEGMENT, scene, "-o", output, "--model", model, "--stitch", stitch))
    assert peaks[1] < 1.15 * peaks[0], peaks


def test_resampling_needs_no_more_memory_for_a_scene_eight_times_as_tall(tmp_path):
    model = make_model(tmp_path / "fake.safetensors", resolution_m=1.7)
    peaks = []
    for height in (WIDTH, 8 * WIDTH):
        scene = sparse_raster(tmp_path / f"{height}.tif", height, 3, nodata=0)
        peaks.append(peak_bytes(SEGMENT, scene, "-o", tmp_path / f"{height}.mask.tif", "--model", model))
    assert peaks[1] < 1.15 * peaks[0], peaks


def test_vectorize_needs_no_more_memory_for_empty_ground(tmp_path):
    peaks = []
    for height in (WIDTH, 8 * WIDTH):
        mask = sparse_raster(tmp_path / f"{height}.tif", height, 1, nodata=0)
        peaks.append(peak_bytes(VECTORIZE, mask, "-o", tmp_path / f"{height}.geojson"))
    assert peaks[1] < 1.15 * peaks[0], peaks
