"""The pixels of a map do not depend on how the work was shared out, or whether it was interrupted."""

import hashlib

import numpy as np
from factory import make_raster, noise, read_map

from mapgen.errors import Interrupted
from mapgen.files.journal import Journal


def test_threads_batches_jobs_and_an_interruption_change_no_pixel(tmp_path, mapgen, monkeypatch):
    """Process: the same bytes on a CPU at one engine, precision and version; with the built-in model."""
    scene = make_raster(tmp_path / "scene.tif", noise(600, 90), nodata=0)
    other = make_raster(tmp_path / "other.tif", np.zeros((3, 40, 40), np.uint8), nodata=0)
    plain = ("segment", scene, "--window", 128, "--halo", 32, "--engine", "openvino")
    ways = {
        "once": (), "one thread": ("--threads", 1), "two threads": ("--threads", 2), "one by one": ("--batch", 1),
        "three at once": ("--batch", 3), "two jobs": (other, "--jobs", 2),
    }  # fmt: skip
    found = {}
    for name, more in ways.items():
        (tmp_path / name).mkdir()
        assert mapgen(*plain, *more, "-o", tmp_path / name).code == 0
        found[name] = digest(tmp_path / name / "scene.mask.tif")
    true = Journal.append

    def append(self, said, data):
        true(self, said, data)
        raise Interrupted("SIGINT", "stopped")

    (tmp_path / "interrupted").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", append)
        assert mapgen(*plain, "-o", tmp_path / "interrupted").code == 130
    assert "went on at row 512" in mapgen(*plain, "-o", tmp_path / "interrupted").err
    found["interrupted"] = digest(tmp_path / "interrupted" / "scene.mask.tif")
    assert set(found.values()) == {found["once"]}, found


def digest(path):
    return hashlib.sha256(read_map(path).tobytes()).hexdigest()
