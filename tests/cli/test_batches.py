"""Many scenes overnight: the good ones are done, the bad ones listed, and the same command does what is missing."""

import json
import os
import resource

import numpy as np
import pytest
from factory import contents, make_model, make_raster, noise, read_map


@pytest.fixture
def scenes(tmp_path):
    """Three scenes, the second of which is none."""
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in "abc":
        make_raster(folder / f"{name}.tif", noise(40, 50, seed=ord(name)))
    (folder / "b.tif").write_text("no scene")
    return folder


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def results(path):
    return [(os.path.basename(line["input"]), line["status"]) for line in lines(path) if "input" in line]


def test_patterns_and_lists_name_scenes_none_twice(tmp_path, scenes, out, segment):
    (tmp_path / "list.txt").write_text(f"{scenes / 'c.tif'}\r\n\n{scenes / 'a.tif'}\n")
    run = segment(scenes / "[ac].tif", "--from", tmp_path / "list.txt", "-o", out)
    assert (run.code, run.out) == (0, f"{out / 'a.mask.tif'}\n{out / 'c.mask.tif'}\n")


def test_a_pattern_without_a_file_is_a_scene_that_is_missing(scenes, out, segment):
    run = segment(scenes / "*.nothing", "-o", out)
    assert (run.code, "no such file" in run.err) == (4, True)


def test_the_report_says_what_became_of_each_scene_and_of_what_was_run(tmp_path, scenes, out, segment, model):
    report = tmp_path / "run.jsonl"
    assert segment(scenes / "*.tif", "-o", out, "--report", report, "--tta", "flip").code == 3
    assert results(report) == [("a.tif", "done"), ("b.tif", "failed"), ("c.tif", "done")]
    first, *_, last = lines(report)
    assert first["run"]["model"]["sha256"]
    assert first["run"]["options"]["tta"] == "flip"
    assert {"mapgen", "python", "numpy", "rasterio"} <= set(first["run"]["versions"])
    assert last["summary"] == {"done": 2, "failed": 1, "exit_code": 3}
    failed = lines(report)[2]
    assert (failed["exit_code"], "is not a raster" in failed["error"]) == (4, True)
    assert all(line["time"].endswith("Z") for line in lines(report))


def test_the_failed_scenes_of_a_report_are_run_again_alone(tmp_path, scenes, out, segment, engines):
    report = tmp_path / "run.jsonl"
    segment(scenes / "*.tif", "-o", out, "--report", report)
    make_raster(scenes / "b.tif", noise(40, 50))
    run = segment("--from", report, "--only", "failed", "-o", out, "--report", report)
    assert (run.code, run.out) == (0, f"{out / 'b.mask.tif'}\n")
    again = segment("--from", report, "--only", "failed", "-o", out)
    assert (again.code, "no input of the report failed" in again.err) == (0, True)


def test_a_torn_line_of_a_report_costs_that_line(tmp_path, scenes, out, segment):
    report = tmp_path / "run.jsonl"
    segment(scenes / "*.tif", "-o", out, "--report", report)
    report.write_bytes(report.read_bytes()[:-9])
    run = segment("--from", report, "--only", "failed", "-o", out, "--report", report)
    assert run.code == 4
    assert results_of_torn(report)[-1] == ("b.tif", "failed")


def results_of_torn(path):
    from mapgen.cli.course import records

    return [(os.path.basename(r["input"]), r["status"]) for r in records(path.read_text()) if "input" in r]


def test_a_report_is_never_written_over_another_file(tmp_path, scenes, out, segment):
    before = contents(scenes)
    run = segment(scenes / "a.tif", "-o", out, "--report", scenes / "c.tif")
    assert (run.code, "is not the report of a run" in run.err) == (5, True)
    assert contents(scenes) == before


def test_the_first_failure_ends_the_run_where_that_is_wanted(scenes, out, segment):
    run = segment(scenes / "*.tif", "-o", out, "--on-error", "fail")
    assert run.code == 3
    assert sorted(p.name for p in out.glob("*.tif")) == ["a.mask.tif"]


def test_what_is_done_is_left_by_its_content(scenes, out, segment, engines, tmp_path_factory):
    arguments = (scenes / "a.tif", scenes / "c.tif", "-o", out, "--skip-done")
    assert segment(*arguments).code == 0
    before, windows = contents(out), len(engines.seen)
    os.utime(scenes / "a.tif")  # another time is no other content
    run = segment(*arguments)
    assert (run.code, run.out.count("\n"), run.err.count("is done already")) == (0, 2, 2)
    assert (contents(out), len(engines.seen)) == (before, windows)


@pytest.mark.parametrize("change", ["option", "scene", "model", "damage", "foreign"])
def test_what_was_made_otherwise_is_not_done(scenes, out, segment, engines, tmp_path_factory, change):
    path, target = scenes / "a.tif", out / "a.mask.tif"
    assert segment(path, "-o", target).code == 0
    more = ()
    if change == "option":
        more = ("--tta", "flip")
    elif change == "scene":
        make_raster(path, noise(40, 50, seed=9))
    elif change == "model":
        folder = tmp_path_factory.mktemp("other")
        more = ("--model", make_model(folder / "fake.safetensors", mean=(127.0,) * 3))
    elif change == "damage":
        data = bytearray(target.read_bytes())
        data[-9] ^= 255  # the checksum of the last tile
        target.write_bytes(data)
    else:
        make_raster(target, np.zeros((40, 50), np.uint8))
    before = contents(out)
    run = segment(path, "-o", target, "--skip-done", *more)
    assert (run.code, "exists" in run.err, contents(out)) == (5, True, before)
    assert segment(path, "-o", target, "--skip-done", "--overwrite", *more).code == 0
    assert segment(path, "-o", target, "--skip-done", *more).err.count("is done already") == 1


def test_two_scenes_of_one_name_are_refused_before_the_first_begins(tmp_path, scenes, out, segment):
    (tmp_path / "more").mkdir()
    make_raster(tmp_path / "more" / "a.tif", noise(20, 20))
    run = segment(scenes / "a.tif", tmp_path / "more" / "a.tif", "-o", out)
    assert (run.code, list(out.iterdir())) == (2, [])


def test_a_disk_without_room_is_seen_before_the_scene_is_begun(scenes, out, segment, engines, monkeypatch):
    monkeypatch.setattr("mapgen.inference.done.free_bytes", lambda folder: 500)
    run = segment(scenes / "a.tif", "-o", out)
    assert (run.code, "free some space" in run.err, engines.seen) == (5, True, [])


def test_the_log_says_all_with_times_and_no_secret(tmp_path, scenes, out, segment):
    log = tmp_path / "log.jsonl"
    run = segment(scenes / "*.tif", "http://anna:hush@127.0.0.1:1/x.tif?token=hush", "-o", out, "-q", "--log-file", log)
    assert run.code == 3
    levels = [line["level"] for line in lines(log)]
    assert {"info", "debug", "error", "result"} <= set(levels)
    assert levels.count("error") == 2
    assert all(line["time"].endswith("Z") and line["process"] == os.getpid() for line in lines(log))
    assert "hush" not in log.read_text()
    assert "MAPGEN" not in run.out


def test_a_long_batch_keeps_its_memory_and_its_handles(tmp_path, out, segment):
    """A hundred scenes, one of a hundred bad: exit 3, all good ones done, nothing held."""
    folder = tmp_path / "many"
    folder.mkdir()
    array = noise(40, 40)
    for number in range(100):
        make_raster(folder / f"{number:03}.tif", array)
    (folder / "050.tif").write_bytes(b"II*\0\x08\0")
    segment(folder / "000.tif", "-o", tmp_path / "first.tif")
    handles = len(os.listdir("/proc/self/fd"))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = tmp_path / "run.jsonl"
    assert segment(folder / "*.tif", "-o", out, "--report", report).code == 3
    assert sum(status == "done" for _, status in results(report)) == 99
    assert len(os.listdir("/proc/self/fd")) == handles
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 20_000  # kilobytes
    assert not [p for p in out.iterdir() if p.name.startswith(".")]
    assert (read_map(out / "099.mask.tif") == read_map(tmp_path / "first.tif")).all()
