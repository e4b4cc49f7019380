"""`clean` removes what killed runs have left, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from factory import contents, make_raster, noise

from mapgen.files.unfinished import PREFIX
from mapgen.inference.health import told_environment

ROOT = Path(__file__).parents[2]
KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
import factory, mapgen.inference.segment
from mapgen.files.journal import Journal
mapgen.inference.segment.open_engine = factory.Engines().open
true = Journal.append
def append(self, said, data):
    true(self, said, data)
    {then}
Journal.append = append
from mapgen.cli.main import main
main(sys.argv[1:])
"""


def start(then, model, scene):
    program = KILLED.format(tests=str(ROOT / "tests"), then=then)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", program, "segment", "--model", str(model), str(scene)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "scene.tif", noise(1100, 40))


def test_what_a_killed_run_has_left_is_removed_and_said(tmp_path, scene, model, mapgen):
    before = contents(tmp_path)
    process = start("os.kill(os.getpid(), signal.SIGKILL)", model, scene)
    process.communicate(timeout=60)
    left = sorted(str(p) for p in tmp_path.iterdir() if p.name.startswith(PREFIX))
    assert len(left) == 3
    run = mapgen("clean", tmp_path, "--dry-run")
    assert (run.code, sorted(run.out.splitlines())) == (0, left)
    assert contents(tmp_path) != before
    run = mapgen("clean", tmp_path)
    assert sorted(run.out.splitlines()) == left
    assert "journal of scene.mask.tif" in run.err
    assert "unfinished output" in run.err
    assert "lock of scene.mask.tif" in run.err
    assert contents(tmp_path) == before


def test_what_a_run_is_at_work_on_stays(tmp_path, scene, model, mapgen):
    process = start("os.write(1, b'working'); sys.stdin.read(1)", model, scene)
    assert process.stdout.read(7) == b"working"
    run = mapgen("clean", tmp_path)
    assert (run.code, run.out, run.err.count("a run is at work on it")) == (0, "", 2)
    assert "lock of scene.mask.tif" in run.err
    assert f"held by process {process.pid} on this machine" in run.err
    process.kill()
    process.communicate(timeout=60)
    assert len(mapgen("clean", tmp_path).out.splitlines()) == 3


def test_what_is_not_of_mapgen_or_may_be_precious_stays(tmp_path, mapgen):
    (tmp_path / ".mapgen-notes.txt").write_text("mine")
    (tmp_path / ".mapgen-0.journal").write_text("not a journal")
    (tmp_path / ".mapgen-abc" / "old").mkdir(parents=True)
    (tmp_path / ".mapgen-link").symlink_to(tmp_path)
    before = contents(tmp_path)
    run = mapgen("clean", tmp_path)
    assert (run.out, "move it back" in run.err, contents(tmp_path)) == ("", True, before)


def test_folders_within_are_cleaned_where_that_is_wanted(tmp_path, mapgen):
    (tmp_path / "a" / ".mapgen-abc" / "old").mkdir(parents=True)
    assert mapgen("clean", tmp_path, "--quiet").err == ""
    assert "stays" not in mapgen("clean", tmp_path, "--verbose").err
    assert "stays" in mapgen("clean", tmp_path, "--recursive").err
    assert json.loads(mapgen("clean", tmp_path, "-r", "--json", "-q").out)["kept"]


def test_the_doctor_is_quiet_or_verbose_as_any_command(mapgen, monkeypatch):
    monkeypatch.setattr("mapgen.inference.health.checked", lambda: {"problems": {"engine": "none"}})
    for options in (("--quiet",), ("--verbose",)):
        run = mapgen("doctor", *options)
        assert (run.code, run.out) == (9, "problems:\n  engine: none\n")


def test_the_doctor_says_what_there_is_and_runs_a_window(mapgen):
    run = mapgen("doctor")
    assert run.code == 0, run.out
    for part in ("versions:", "machine:", "caches:", "inference:", "rasterio:", "engine:", "problems:"):
        assert part in run.out
    assert json.loads(mapgen("doctor", "--json").out)["problems"] == {}


def test_the_doctor_shows_no_secret():
    told = told_environment(
        {"GDAL_HTTP_USERPWD": "a:hush", "HTTPS_PROXY": "http://a:hush@b", "GDAL_DATA": "/x", "PATH": "y"}
    )
    assert "hush" not in str(told)
    assert told["GDAL_DATA"] == "/x"
    assert "PATH" not in told
