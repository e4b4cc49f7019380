"""Memory does not grow with the height of a map: each measured in a process of its own."""

import json
import subprocess
import sys

import numpy as np
import rasterio

WIDTH = 2048

RUN = """
import json, resource, sys
from mapgen.tiling.tiles import tiles
for source in sys.argv[1:]:
    tiles(source, source + ".pmtiles", vector=True, threads=1, overwrite=True)
print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss))
"""


def write(path, height):
    """Squares of 32 pixels in a strip of every 1024 rows, blocks without any not being in the file."""
    rng = np.random.default_rng(4)
    place = {"crs": "EPSG:32611", "transform": rasterio.Affine(1, 0, 400_000, 0, -1, 3_800_000), "nodata": 255}
    tiling = {"tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "SPARSE_OK": True}
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=WIDTH, count=1, dtype="uint8", **place, **tiling
    ) as dataset:
        for row in range(0, height, 1024):
            ids = rng.integers(1, 5, (8, WIDTH // 32)).repeat(32, 0).repeat(32, 1).astype("uint8")
            dataset.write(ids, 1, window=((row, row + 256), (0, WIDTH)))
    return path


def test_vector_tiles_need_no_more_memory_for_a_map_eight_times_as_tall(tmp_path):
    peaks = []
    for height in (WIDTH, 8 * WIDTH):
        source = write(tmp_path / f"{height}.tif", height)
        done = subprocess.run([sys.executable, "-c", RUN, str(source)], capture_output=True, text=True, check=True)
        peaks.append(json.loads(done.stdout) * 1024)
    # The taller map has 60 MB more pixels at the highest zoom alone.
    assert peaks[1] - peaks[0] < 25e6, [round(p / 1e6) for p in peaks]


def test_nor_with_a_confidence_raster(tmp_path):
    peaks = []
    for height in (WIDTH, 4 * WIDTH):
        source = write(tmp_path / f"{height}.tif", height)
        script = RUN.replace("threads=1", "threads=1, confidence_raster=__import__('pathlib').Path(source)")
        done = subprocess.run([sys.executable, "-c", script, str(source)], capture_output=True, text=True, check=True)
        peaks.append(json.loads(done.stdout) * 1024)
    assert peaks[1] - peaks[0] < 40e6, [round(p / 1e6) for p in peaks]
