"""How often things are done: blocks of the scene are read once, windows run once, tiles are written once."""

from pathlib import Path

import numpy as np
import pytest
from factory import cells, coordinates, make_raster, read_map

from mapgen.files.fingerprint import BLOCK, BLOCKS
from mapgen.raster import cog

TILES = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "pixel"}
WINDOW = ("--window", 256, "--halo", 64)


def bytes_read():
    """Bytes that this process has read from files."""
    text = Path("/proc/self/io").read_text()
    return int(text.split("rchar:")[1].split()[0])


@pytest.fixture
def scene(tmp_path, engines):
    """An uncompressed coordinate scene of 2100 × 1900 pixels in blocks of 256: 24 MB."""
    engines.rule = cells
    return make_raster(tmp_path / "scene.tif", coordinates(2100, 1900), **TILES)


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count what a process reads")
@pytest.mark.parametrize("stitch", ["crop", "blend"])
def test_each_block_of_the_scene_is_read_once(tmp_path, scene, segment, stitch):
    """Windows of 256 pixels that keep 128 read each pixel four times; the file is read once, and a little of it to look
    at its values before; 64 places of 64 KiB are hashed for the journal."""
    small = make_raster(tmp_path / "small.tif", coordinates(40, 40))
    assert segment(small).code == 0  # whatever is loaded with the first run is not counted
    before = bytes_read()
    assert segment(scene, *WINDOW, "--stitch", stitch).code == 0
    assert bytes_read() - before < 1.4 * scene.stat().st_size + BLOCKS * BLOCK


def test_each_window_runs_once_and_each_tile_is_written_once(tmp_path, scene, segment, engines, monkeypatch):
    tiles = []
    compress = cog.compressed
    monkeypatch.setattr(cog, "compressed", lambda tile: tiles.append(tile.shape) or compress(tile))
    assert segment(scene, *WINDOW).code == 0
    rows, cols = (len(range(0, size - 128, 128)) for size in (2100, 1900))
    assert len(engines.opened[0].seen) == rows * cols  # a second one is asked how sure it is
    sizes, wanted = (2100, 1900), 0
    while True:
        wanted += -(-sizes[0] // 512) * -(-sizes[1] // 512)
        if max(sizes) <= 512:
            break
        sizes = tuple(-(-size // 2) for size in sizes)
    assert len(tiles) == wanted
    np.testing.assert_array_equal(read_map(tmp_path / "scene.mask.tif")[:64, :64], cells(coordinates(64, 64)))
