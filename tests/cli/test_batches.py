"""Many scenes overnight: the good ones are done, the bad ones listed, and the same command does what is missing."""

import importlib
import itertools
import json
import os
import resource
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from factory import brightness, contents, make_model, make_raster, noise, read_map
from layer_maps import class_map, town

from mapgen.cli.signals import interruption


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


# Class maps: vectorize, tiles and roads ---------------------------------------------------------------------------

COMMANDS = {"vectorize": "geojson", "tiles": "pmtiles", "roads": "gpkg"}
"""By command the suffix of what it writes."""


@pytest.fixture(params=sorted(COMMANDS))
def command(request, mapgen):
    """A command that takes class maps, by its name and as a function."""
    return request.param, lambda *arguments: mapgen(request.param, *arguments)


@pytest.fixture
def masks(tmp_path):
    """Three class maps, the second of which is none."""
    folder = tmp_path / "masks"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        class_map(folder / f"{name}.tif", town(seed=seed + 5))
    (folder / "b.tif").write_text("no map")
    return folder


def test_lists_patterns_and_reports_serve_every_command(tmp_path, masks, out, command):
    """--from, --only and --report: what failed is run again alone, when it is good."""
    name, run = command
    report = tmp_path / "run.jsonl"
    (tmp_path / "list.txt").write_text(f"{masks / 'c.tif'}\n")
    first = run(masks / "[ab].tif", "--from", tmp_path / "list.txt", "-o", out, "--report", report)
    assert (first.code, len(first.out.split()), len(first.errors)) == (3, 2, 1)
    assert results(report) == [("a.tif", "done"), ("b.tif", "failed"), ("c.tif", "done")]
    said = lines(report)[0]["run"]
    assert (said["command"], said["inputs"], "threads" in said["options"]) == (name, 3, False)
    assert {"mapgen", "python", "numpy", "rasterio"} <= set(said["versions"])
    assert "2 of 3 done, 1 failed" in first.err
    class_map(masks / "b.tif", town(seed=9))
    again = run("--from", report, "--only", "failed", "-o", out, "--report", report)
    assert (again.code, [Path(p).stem for p in again.out.split()]) == (0, ["b"] if name != "roads" else ["b.roads"])
    assert "no input of the report failed" in run("--from", report, "--only", "failed", "-o", out).err


def test_the_first_failure_ends_every_run_where_that_is_wanted(masks, out, command):
    _, run = command
    done = run(masks / "*.tif", "-o", out, "--on-error", "fail")
    assert (done.code, len(done.out.split())) == (3, 1)


def test_what_the_report_knows_as_done_is_left(tmp_path, masks, out, command):
    """--skip-done by the marks of --report: content of input and output, options."""
    name, run = command
    arguments = (masks / "a.tif", masks / "c.tif", "-o", out, "--report", tmp_path / "run.jsonl", "--skip-done")
    assert run(*arguments).code == 0
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    os.utime(masks / "a.tif")  # another time is no other content
    again = run(*arguments)
    assert (again.code, len(again.out.split()), again.err.count("is done already")) == (0, 2, 2)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before
    changed = ("--zoom", "15") if name == "tiles" else ("--sieve", "20px")
    other = run(*arguments, *changed)
    assert (other.code, other.err.count("from another input or with other options")) == (5, 2)
    assert run(*arguments, *changed, "--overwrite").code == 0
    assert run(*arguments, *changed).err.count("is done already") == 2
    made = next(out.glob(f"a*.{COMMANDS[name]}"))
    made.write_bytes(made.read_bytes() + b" ")
    damaged = run(*arguments, *changed)
    assert (damaged.code, "is not what the run has made" in damaged.err) == (3, True)


def test_every_command_keeps_a_log(tmp_path, masks, out, command):
    _, run = command
    assert run(masks / "[ab].tif", "-o", out, "-q", "--log-file", tmp_path / "log.jsonl").code == 3
    levels = [line["level"] for line in lines(tmp_path / "log.jsonl")]
    assert (levels.count("error"), levels.count("result"), "info" in levels) == (1, 1, True)


def test_without_a_report_nobody_knows_what_is_done(masks, command):
    _, run = command
    refused = run(masks / "a.tif", "--skip-done")
    assert (refused.code, "add --report run.jsonl" in refused.err) == (2, True)


def test_an_option_that_does_not_fit_one_input_fails_that_input_alone(tmp_path, masks, out, mapgen):
    class_map(masks / "b.tif", np.full((20, 20), 7, np.uint8), legend=None)
    done = mapgen("vectorize", masks / "*.tif", "--classes", "road", "-o", out, "--json")
    *records, summary = map(json.loads, done.out.splitlines())
    assert [record["exit_code"] for record in records] == [0, 4, 0]
    assert summary["summary"] == {"done": 2, "failed": 1, "exit_code": 3}
    assert f"{masks / 'b.tif'}: --classes: no class is called 'road'" in records[1]["error"]
    assert mapgen("vectorize", masks / "b.tif", "--classes", "road").code == 2  # nothing was begun


def test_a_layer_among_maps_fails_alone(tmp_path, masks, out, mapgen):
    assert mapgen("vectorize", masks / "a.tif", "-o", masks / "b.geojson").code == 0
    done = mapgen("tiles", masks / "a.tif", masks / "b.geojson", masks / "c.tif", "-o", out)
    assert (done.code, len(done.out.split()), "b.geojson" in done.errors[0]) == (3, 2, True)


def test_two_jobs_make_the_bytes_of_one_in_its_order(tmp_path, masks, mapgen):
    report = tmp_path / "run.jsonl"
    said = {}
    for jobs in (1, 2):
        folder = tmp_path / f"out{jobs}"
        done = mapgen("vectorize", masks / "*.tif", "-o", f"{folder}/", "--jobs", jobs, "--report", report, "--json")
        records = [json.loads(line) for line in done.out.splitlines()]
        assert (done.code, len(done.errors)) == (3, 1)
        said[jobs] = [(record.get("source"), record.get("features"), record.get("exit_code")) for record in records]
    assert said[1] == said[2]
    assert results(report) == 2 * [("a.tif", "done"), ("b.tif", "failed"), ("c.tif", "done")]
    assert files(tmp_path / "out1") == files(tmp_path / "out2")


def files(folder):
    """The content of each file of a folder by its name."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_jobs_map_as_one_does(tmp_path, scenes, mapgen):
    """With the built-in model, --jobs 2 in processes of their own."""
    for jobs in (1, 2):
        folder = f"{tmp_path / str(jobs)}/"
        done = mapgen("segment", scenes / "*.tif", "-o", folder, "--jobs", jobs, "--engine", "openvino")
        assert (done.code, [Path(name).name for name in done.out.split()]) == (3, ["a.mask.tif", "c.mask.tif"])
        assert done.err.count("model drycity") == 1
    assert files(tmp_path / "1") == files(tmp_path / "2")


def test_every_command_takes_jobs(masks, out, command):
    """--jobs 1 is what is done without it; none is refused."""
    _, run = command
    assert run(masks / "a.tif", "-o", out, "--jobs", "1").code == 0
    assert run(masks / "a.tif", "-o", out, "--jobs", "0").code == 2


def test_features_of_two_jobs_cannot_share_stdout(masks, mapgen):
    assert mapgen("vectorize", masks / "*.tif", "-o", "-", "--jobs", "2").code == 2


def test_a_disk_that_is_nearly_full_is_seen_before_the_next_input(masks, out, command, monkeypatch):
    _, run = command
    class_map(masks / "b.tif", town(seed=9))
    free = iter([10**9])
    monkeypatch.setattr("mapgen.cli.batch.free_bytes", lambda folder: next(free, 1000))
    done = run(masks / "*.tif", "-o", out)
    assert (done.code, len(done.out.split()), len(done.errors)) == (3, 1, 2)
    assert all("has no room" in error for error in done.errors)


def test_a_disk_without_room_is_seen_before_the_first_input(masks, out, command, monkeypatch):
    """Output: disk full; nothing is read or begun."""
    _, run = command
    monkeypatch.setattr("mapgen.cli.batch.free_bytes", lambda folder: 10)
    done = run(masks / "a.tif", "-o", out)
    assert (done.code, done.out, list(out.iterdir())) == (5, "", [])
    assert "may take" in done.errors[0]
    assert "free some space" in done.errors[0]


# Stopped, and run again ----------------------------------------------------------------------------------------------


@pytest.fixture
def stop(monkeypatch):
    """What a signal raises in the main thread, and says for once."""
    monkeypatch.setattr("mapgen.cli.signals._said", threading.Lock())
    monkeypatch.setattr("mapgen.cli.signals._first", {})

    def stopped():
        raise interruption(signal.SIGTERM)

    return stopped


def test_a_batch_that_is_stopped_names_the_command_that_goes_on(scenes, out, segment, engines, stop):
    """Process: SIGTERM in the second scene; what is named does only what is missing."""
    make_raster(scenes / "b.tif", noise(1100, 50))
    command = (scenes / "*.tif", "-o", out, "--window", 64)
    windows = itertools.count()
    engines.rule = lambda pixels: stop() if next(windows) > 15 else brightness(pixels)
    first = segment(*command)
    how = "run the same command again with --skip-done, which leaves what is done: it goes on at row 512 of 1100"
    assert (first.code, first.errors) == (143, [f"mapgen: error: SIGTERM: stopped; {how}"])
    engines.rule, engines.opened = brightness, []
    made = contents(out)
    again = segment(*command, "--skip-done")
    assert (again.code, len(again.out.split())) == (0, 3)
    assert "a.mask.tif is done already" in again.err
    assert "went on at row 512" in again.err
    assert made.items() - contents(out).items() == {(n, c) for n, c in made.items() if n.startswith(".mapgen-")}
    assert segment(scenes / "b.tif", "-o", out / "once.tif", "--window", 64).code == 0
    assert (out / "once.tif").read_bytes() == (out / "b.mask.tif").read_bytes()


def test_the_same_command_again_is_enough_with_skip_done(scenes, out, segment, engines, stop):
    make_raster(scenes / "b.tif", noise(1100, 50))
    command = (scenes / "*.tif", "-o", out, "--window", 64, "--skip-done")
    windows = itertools.count()
    engines.rule = lambda pixels: stop() if next(windows) > 15 else brightness(pixels)
    first = segment(*command)
    assert first.errors[0].endswith("stopped; run the same command again: it goes on at row 512 of 1100")
    engines.rule = brightness
    assert segment(*command).code == 0


WORKERS = {
    "vectorize": "mapgen.layers.vectorize.Vectorizer", "tiles": "mapgen.tiling.tiles.Tiler",
    "roads": "mapgen.roads.extract.Extractor",
}  # fmt: skip


@pytest.mark.parametrize("reported", [False, True])
def test_every_batch_that_is_stopped_names_the_command_that_goes_on(
    tmp_path, masks, out, command, stop, monkeypatch, reported
):
    name, run = command
    class_map(masks / "b.tif", town(seed=9))
    more = ("--report", tmp_path / "run.jsonl") if reported else ()
    package, _, worker = WORKERS[name].rpartition(".")
    kind = getattr(importlib.import_module(package), worker)
    true, calls = kind.__call__, itertools.count()
    with monkeypatch.context() as patch:
        patch.setattr(kind, "__call__", lambda self, *given: stop() if next(calls) else true(self, *given))
        first = run(masks / "*.tif", "-o", out, *more)
    how = "--skip-done, which leaves what is done" if reported else "--overwrite, which makes again what is done"
    assert (first.code, first.errors[0].partition("; ")[2]) == (143, f"run the same command again with {how}")
    assert len(first.out.split()) == 1
    again = run(masks / "*.tif", "-o", out, *more, how.split(",")[0])
    assert (again.code, len(again.out.split())) == (0, 3)
    assert again.err.count("is done already") == reported


# What -o means --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["segment", *sorted(COMMANDS)])
def test_a_name_without_a_suffix_is_neither_a_file_nor_a_folder(tmp_path, masks, scenes, segment, mapgen, command):
    run = segment if command == "segment" else lambda *arguments: mapgen(command, *arguments)
    source = scenes / "a.tif" if command == "segment" else masks / "a.tif"
    before = contents(tmp_path)
    suffix = {"segment": "tif", **COMMANDS}[command]
    done = run(source, "-o", tmp_path / "masks2")
    assert (done.code, len(done.errors)) == (2, 1)
    assert f"name {tmp_path / 'masks2'}.{suffix}, or {tmp_path / 'masks2'}/ for a folder" in done.err
    if command != "vectorize":
        assert "stdout carries names" in run(source, "-o", "-").err
    assert contents(tmp_path) == before
    assert run(source, "-o", f"{tmp_path / 'masks2'}/").code == 0
    assert [path.suffix for path in (tmp_path / "masks2").glob(f"a*.{suffix}")] == [f".{suffix}"]


def test_tiles_go_to_a_folder_of_their_own_where_that_is_said(tmp_path, masks, mapgen):
    assert mapgen("tiles", masks / "a.tif", "-o", tmp_path / "town", "-f", "folder").code == 0
    assert (tmp_path / "town" / "tilejson.json").is_file() or list((tmp_path / "town").glob("*.json"))
    assert mapgen("tiles", masks / "a.tif", "-o", tmp_path / "town", "--overwrite").code == 0


@pytest.mark.parametrize("command", ["map", "train"])
def test_a_folder_is_not_named_like_a_file(tmp_path, scenes, mapgen, command):
    (tmp_path / "run.toml").write_text("")
    source = scenes / "a.tif" if command == "map" else tmp_path / "run.toml"
    done = mapgen(command, source, "-o", tmp_path / "out.tif")
    assert done.code in (2, 4)
    assert not (tmp_path / "out.tif").exists()
    if command == "map":
        assert f"name it {tmp_path / 'out'}" in done.err


def test_a_way_and_a_model_are_files_with_a_suffix(tmp_path, mapgen, model):
    assert "name out.geojson" in mapgen("route", "net.gpkg", "1,2", "3,4", "-o", "out").err
    assert "has no suffix" in mapgen("compress", model, "scene.tif", "-o", tmp_path / "out").err


def test_a_model_is_upgraded_to_a_file_with_a_suffix(tmp_path, mapgen, model):
    """Also with --json, --quiet and --verbose, which are those of every command."""
    for more in ((), ("--json",), ("--quiet",), ("--verbose",)):
        done = mapgen("models", "upgrade", model, "-o", tmp_path / "out", *more)
        assert (done.code, len(done.errors), "name " + str(tmp_path / "out.safetensors") in done.err) == (2, 1, True)
