"""Going on: a run that is killed at any moment, and run again, gives the same bytes and redoes at most a strip."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import rasterio
from factory import cells, contents, coordinates, make_model, make_raster, noise
from shapely.geometry import Polygon, mapping

from mapgen.errors import Interrupted
from mapgen.files.journal import SUFFIX, Journal, described
from mapgen.files.unfinished import PREFIX

ROOT = Path(__file__).parents[2]

# The command line with a fake engine, killed as the named function is called for the n-th time: before it does
# anything, or right after.
KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import factory, importlib, mapgen.inference.segment
mapgen.inference.segment.open_engine = factory.Engines().open
where, name, number, late = {where!r}, {name!r}, {number}, {late}
owner = importlib.import_module(where.split(":")[0])
for part in where.split(":")[1:]:
    owner = getattr(owner, part)
true, calls = getattr(owner, name), 0
def killing(*arguments, **options):
    global calls
    calls += 1
    if calls == number and not late:
        os.kill(os.getpid(), signal.{signal})
    result = true(*arguments, **options)
    if calls == number and late:
        os.kill(os.getpid(), signal.{signal})
    return result
setattr(owner, name, killing)
from mapgen.cli.main import main
main(sys.argv[1:])
"""

MOMENTS = [
    ("factory:FakeEngine", "_run", 1, False),
    ("factory:FakeEngine", "_run", 17, True),
    ("factory:FakeEngine", "_run", 40, False),
    ("mapgen.files.journal:Journal", "append", 1, False),
    ("mapgen.files.journal:Journal", "append", 1, True),
    ("mapgen.files.journal:Journal", "append", 3, True),
    ("mapgen.raster.cog:CogWriter", "write", 2, True),
    ("mapgen.raster.cog:CogWriter", "close", 1, False),
    ("mapgen.raster.classmap", "verify_raster", 1, True),
    ("os", "link", 1, False),
    ("os", "fsync", 2, True),
]
"""Where to kill: module and class, function, which call, and whether after it."""

WIDTH, HEIGHT = 100, 1700  # four strips of 512 rows


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "scene.tif", noise(HEIGHT, WIDTH), nodata=0)


def killed(moment, *arguments, by="SIGKILL"):
    where, name, number, late = moment
    program = KILLED.format(tests=str(ROOT / "tests"), where=where, name=name, number=number, late=late, signal=by)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def journals(folder):
    return [p for p in folder.iterdir() if p.name.startswith(PREFIX) and p.name.endswith(SUFFIX)]


@pytest.fixture
def once(tmp_path, scene, segment, engines):
    """The bytes of the map that an uninterrupted run makes, and how many windows it took."""
    assert segment(scene, "-o", tmp_path / "once.tif", "--window", 64).code == 0
    count = len(engines.seen)
    engines.opened.clear()
    return (tmp_path / "once.tif").read_bytes(), count


@pytest.mark.parametrize("moment", MOMENTS, ids=lambda m: f"{m[1]}-{m[2]}-{'after' if m[3] else 'before'}")
def test_a_run_that_is_killed_goes_on_with_the_same_bytes_and_redoes_at_most_a_strip(
    tmp_path, scene, model, segment, engines, once, moment
):
    """Process: SIGKILL at any moment."""
    expected, windows = once
    target = tmp_path / "map.tif"
    first = killed(moment, "segment", "--model", model, scene, "-o", target, "--window", 64)
    assert first.returncode == -signal.SIGKILL, first.stderr
    assert not target.exists()
    strips = sum(described(p) is not None for p in journals(tmp_path)) and finished_strips(tmp_path)
    again = segment(scene, "-o", target, "--window", 64)
    assert again.code == 0, again.err
    assert target.read_bytes() == expected
    assert not journals(tmp_path)
    assert ("went on at row" in again.err) == (strips > 0)
    # A row of windows keeps 48 rows of pixels, and two of them may reach over the border to the first strip redone.
    assert len(engines.seen) <= windows * (1 - strips * 512 / HEIGHT) + 3 * 2 if strips < 4 else not engines.seen


def finished_strips(folder):
    """How many whole strips the journal holds."""
    (path,) = journals(folder)
    said = described(path)
    with suppress(KeyboardInterrupt), Journal(folder / said["output"], said["key"]) as journal:
        count = len(list(journal.parts()))
        raise KeyboardInterrupt  # so that it stays
    return count


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_run_that_is_stopped_says_where_it_goes_on(tmp_path, scene, model, segment, once, name, code):
    command = ("segment", "--model", model, scene, "-o", tmp_path / "map.tif", "--window", "64")
    prelude = ("factory:FakeEngine", "_run", 60, False)
    stopped = killed(prelude, *command, by=name)
    assert stopped.returncode == code, stopped.stderr
    assert b"run the same command again: it goes on at row " in stopped.stderr
    assert not [p for p in tmp_path.iterdir() if p.is_dir()]
    assert segment(*command[3:]).code == 0
    assert (tmp_path / "map.tif").read_bytes() == once[0]


@pytest.mark.parametrize("stitch", ["crop", "blend"])
@pytest.mark.parametrize("resolution", ["native", "1.3", "0.8"])
@pytest.mark.parametrize("more", [(), ("--aoi", "aoi.geojson"), ("--probabilities", "--confidence", "--tta", "flip")])
def test_what_remains_of_a_map_is_the_map_without_the_rows_that_are_done(
    tmp_path, segment, engines, monkeypatch, stitch, resolution, more
):
    """Every way of making a strip, interrupted after the first and after the second."""
    size = (1300, 90)
    engines.rule = cells
    path = make_raster(tmp_path / "scene.tif", coordinates(*size))
    ground = Polygon([(500_005, 2_699_990), (500_085, 2_699_900), (500_060, 2_698_720), (500_010, 2_698_800)])
    (tmp_path / "aoi.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "crs": {"type": "name", "properties": {"name": "EPSG:32640"}},
                    "features": [{"type": "Feature", "properties": {}, "geometry": mapping(ground)}]})
    )  # fmt: skip
    more = tuple(tmp_path / m if m.endswith(".geojson") else m for m in more)
    options = ("--stitch", stitch, "--resolution", resolution, "--window", 64, *more)
    assert segment(path, "-o", tmp_path / "once.tif", *options).code == 0
    expected = {p.name.replace("once", "map"): p.read_bytes() for p in tmp_path.glob("once*.tif")}
    true = Journal.append
    for number in (1, 2):

        def append(self, said, data, number=number):
            true(self, said, data)
            if said["row"] == (number - 1) * 512:
                raise Interrupted("SIGINT", "stopped")

        with monkeypatch.context() as patch:
            patch.setattr(Journal, "append", append)
            assert segment(path, "-o", tmp_path / "map.tif", *options).code == 130
        again = segment(path, "-o", tmp_path / "map.tif", *options, "--overwrite")
        assert f"went on at row {number * 512}" in again.err
        assert {name: (tmp_path / name).read_bytes() for name in expected} == expected
        for name in expected:
            (tmp_path / name).unlink()


@pytest.fixture
def begun(tmp_path, scene, model):
    """A journal of one strip of `map.tif`, as a killed run leaves it."""
    moment = ("mapgen.files.journal:Journal", "append", 1, True)
    killed(moment, "segment", "--model", model, scene, "-o", tmp_path / "map.tif", "--window", 64)
    (path,) = journals(tmp_path)
    return path


def test_another_option_model_or_file_reuses_nothing(tmp_path, scene, model, segment, begun, tmp_path_factory):
    kept = begun.read_bytes()
    other = make_model(tmp_path_factory.mktemp("other") / "fake.safetensors", mean=(127.0,) * 3)

    def changed():
        with rasterio.open(scene, "r+") as dataset:
            dataset.write(np.full((3, 4, 4), 9, np.uint8), window=((1000, 1004), (0, 4)))

    plain = ("--window", "64")
    for change, options in (
        (None, ("--window", "72")), (None, (*plain, "--halo", "16")), (None, (*plain, "--stitch", "blend")),
        (None, (*plain, "--bands", "3,2,1")), (None, (*plain, "--nodata", "7")), (None, (*plain, "--tta", "flip")),
        (None, (*plain, "--precision", "bf16")), (None, (*plain, "--confidence")),
        (None, (*plain, "--scale", "0,200")), (None, (*plain, "--bbox", "500000,2698300,500100,2700000")),
        (None, (*plain, "--model", str(other))), (None, (*plain, "--no-resume")), (changed, plain),
    ):  # fmt: skip
        begun.write_bytes(kept)
        if change:
            change()
        run = segment(scene, "-o", tmp_path / "map.tif", "--overwrite", *options)
        assert (run.code, "went on" in run.err) == (0, False), options
        assert not journals(tmp_path)


def test_batch_and_threads_go_on_with_the_same_journal(tmp_path, scene, segment, begun):
    run = segment(scene, "-o", tmp_path / "map.tif", "--window", 64, "--batch", 3, "--threads", 1)
    assert "went on at row 512" in run.err


def test_a_journal_that_is_damaged_anywhere_costs_work_and_nothing_else(tmp_path, scene, model, segment, once):
    """Byte fuzz: whatever a journal has become, the map is the same."""
    moment = ("mapgen.files.journal:Journal", "append", 3, True)
    killed(moment, "segment", "--model", model, scene, "-o", tmp_path / "map.tif", "--window", 64)
    (path,) = journals(tmp_path)
    whole = path.read_bytes()
    rng = np.random.default_rng(7)
    for seed in range(25):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 1 + seed % 3):
            data[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(data)[: int(rng.integers(1, len(data) + 1)) if seed % 2 else None])
        assert segment(scene, "-o", tmp_path / "map.tif", "--window", 64, "--overwrite").code == 0
        assert (tmp_path / "map.tif").read_bytes() == once[0]


def test_a_failure_that_another_run_would_meet_again_leaves_nothing(tmp_path, model, segment, engines):
    path = make_raster(tmp_path / "scene.tif", noise(HEIGHT, WIDTH), compress="DEFLATE", blockysize=64, tiled=False)
    with rasterio.open(path) as dataset:
        offset = int(dataset.tags(1, ns="TIFF").get("BLOCK_OFFSET_0_20") or 0)
    data = bytearray(path.read_bytes())
    offset = offset or len(data) * 3 // 4
    data[offset : offset + 4000] = bytes(4000)
    path.write_bytes(bytes(data))
    before = contents(tmp_path)
    assert segment(path, "--window", 64).code == 4
    assert contents(tmp_path) == before


def test_a_small_map_has_no_journal(tmp_path, segment, monkeypatch):
    monkeypatch.setattr(Journal, "append", lambda *arguments: 1 // 0)
    assert segment(make_raster(tmp_path / "scene.tif", noise(500, 90))).code == 0
