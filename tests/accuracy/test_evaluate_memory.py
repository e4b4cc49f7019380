"""Memory does not grow with the height of a map: each measured in a process of its own."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from factory import CRS, north_up

WIDTH = 2048

SCRIPT = """
import json, resource
from mapgen.cli.main import run
code = run(["evaluate", "-q", *{arguments!r}])
print(json.dumps([code, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


def tall_raster(path, height, seed, resolution=1.0):
    """Noise in squares of 8 pixels, the same in every 256 rows."""
    rng = np.random.default_rng(seed)
    width = round(WIDTH / resolution)
    block = rng.integers(1, 5, (32, width // 8), "uint8").repeat(8, 0).repeat(8, 1)
    place = {"crs": CRS, "transform": north_up(resolution), "height": height, "width": width}
    with rasterio.open(
        path, "w", driver="GTiff", count=1, dtype="uint8", tiled=True, compress="deflate", **place
    ) as dataset:
        for row in range(0, height, 256):
            dataset.write(block, 1, window=((row, row + 256), (0, width)))
    return path


def peak_bytes(*arguments):
    """Peak memory of the command in a process of its own; it must succeed."""
    text = SCRIPT.format(arguments=[str(a) for a in arguments])
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    code, kilobytes = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    return kilobytes * 1024


@pytest.mark.parametrize(("resolution", "times"), [(1.0, 8), (0.5, 4)], ids=["one grid", "finer truth"])
def test_evaluate_needs_no_more_memory_for_a_taller_map(tmp_path, resolution, times):
    peaks = []
    for height in (WIDTH, times * WIDTH):
        mapped = tall_raster(tmp_path / f"{height}.tif", height, 1)
        truth = tall_raster(tmp_path / f"{height}.truth.tif", round(height / resolution), 2, resolution)
        options = ["--boundary", "2", "--objects", "1,3", "--worst", tmp_path / f"{height}.png", "--json"]
        peaks.append(peak_bytes(mapped, truth, *options))
    assert peaks[1] < 1.15 * peaks[0], peaks
