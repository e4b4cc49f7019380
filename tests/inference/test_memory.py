"""Memory does not grow with the height of a scene: each measured in a process of its own."""

import pytest
from factory import make_model
from memory import WIDTH, peak_bytes, sparse_raster

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
