"""How much memory a run takes at its peak, and rasters that are large only on paper."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import rasterio
from factory import CRS, north_up

WIDTH = 4096
TESTS = Path(__file__).parent


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


@contextmanager
def growing() -> Iterator[list[int]]:
    """When the block has ended, the list holds the most memory in bytes that it has added to this process."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("this system does not tell the peak of a running process")
    grown: list[int] = []
    before = _most_held()
    yield grown
    grown.append(_most_held() - before)


def _most_held() -> int:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
