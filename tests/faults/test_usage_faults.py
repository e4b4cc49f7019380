"""Wrong usage names the nearest right one, and many inputs fail one by one."""

import io
import json

import pytest
from factory import make_raster, noise


@pytest.fixture
def scene(tmp_path):
    """A plain scene."""
    return make_raster(tmp_path / "scene.tif", noise(40, 50))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--windw", "64"), ("--windw", "--window")),
        (("--stich", "crop"), ("--stich", "--stitch")),
        (("--stitch", "blent"), ("--stitch", "'blent'", "did you mean blend?")),
        (("--stitch", "sew"), ("--stitch", "crop, blend")),
        (("--engine", "pytorch"), ("--engine", "did you mean torch?")),
        (("--device", "gpu"), ("--device", "auto, cpu, cuda, mps")),
        (("--on-read-error", "ignore"), ("--on-read-error", "fail, nodata")),
        (("--window", "wide"), ("--window", "wide", "segment --help")),
        (("--window", "70"), ("--window", "70", "stride 8", "use 72")),
        (("--window", "0"), ("--window", "0", "such as --window 512")),
        (("--window", "-64"), ("--window", "-64", "such as --window 512")),
        (("--halo", "5"), ("--halo", "5", "use 8")),
        (("--halo", "-8"), ("--halo", "-8", "such as --halo 64")),
        (("--halo", "32", "--window", "64"), ("--halo", "32", "use at most 24")),
        (("--batch", "0"), ("--batch", "0 is not between 1 and 256", "such as")),
        (("--batch", "1000"), ("--batch", "1000", "256")),
        (("--nodata", "black"), ("--nodata", "black", "segment --help")),
        (("--scale", "percent"), ("--scale", "'percent'", "--scale p2,p98")),
        (("--scale", "9,1"), ("--scale", "9,1", "such as")),
        (("--scale", "p0,p101"), ("--scale", "p0,p101", "such as")),
        (("--scale", "nan,1"), ("--scale", "nan,1", "such as")),
        (("--resolution", "fine"), ("--resolution", "'fine'", "such as --resolution 0.5")),
        (("--resolution", "0"), ("--resolution", "'0'", "such as")),
        (("--resolution", "nan"), ("--resolution", "'nan'", "such as")),
        (("--bands", "1,,3"), ("--bands", "'1,,3'", "such as --bands 4,3,2")),
        (("--bbox", "1,2,3"), ("--bbox", "'1,2,3'", "such as")),
        (("--bbox", "3,2,1,4"), ("--bbox", "'3,2,1,4'", "such as")),
        (("--bbox", "0,0,inf,nan"), ("--bbox", "such as")),
        (("--model",), ("--model", "segment --help")),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and len(value) < 3 else None,
)
def test_wrong_options_are_refused_with_the_right_ones(scene, refuses, engines, arguments, words):
    refuses(2, words, scene, *arguments)
    assert engines.opened == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("segmnt", "scene.tif"), ("segmnt", "segment")),
        (("segment",), ("SCENE", "--from")),
        (("info",), ("PATH", "info --help")),
        (("models", "shwo", "x"), ("shwo", "show")),
        (("--quick",), ("--quick", "--help")),
    ],
)
def test_wrong_commands_are_refused_with_the_right_ones(refuses, mapgen, arguments, words):
    refuses(2, words, *arguments, run=mapgen)


def test_wrong_usage_stops_a_run_of_many_at_once(tmp_path, scene, refuses):
    make_raster(tmp_path / "other.tif", noise(40, 50))
    refuses(2, ("--halo", "use 8"), scene, tmp_path / "other.tif", "--halo", "5")


def test_an_option_can_be_told_from_a_scene_of_that_name(tmp_path, segment, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_raster(tmp_path / "--json", noise(20, 20))
    run = segment("-o", "map.tif", "--", "--json")
    assert (run.code, run.out) == (0, "map.tif\n")


def test_some_inputs_fail_and_the_others_are_done(tmp_path, scene, segment):
    make_raster(tmp_path / "other.tif", noise(30, 30))
    (tmp_path / "notes.tif").write_text("some text")
    run = segment(scene, tmp_path / "notes.tif", tmp_path / "gone.tif", tmp_path / "other.tif")
    assert run.code == 3
    assert run.out.split() == [str(tmp_path / "scene.mask.tif"), str(tmp_path / "other.mask.tif")]
    assert [line.split("/")[-1].split(":")[0] for line in run.errors] == ["notes.tif", "gone.tif"]
    assert (tmp_path / "other.mask.tif").exists()


def test_where_all_inputs_fail_the_code_is_that_of_the_first(tmp_path, segment):
    (tmp_path / "notes.tif").write_text("some text")
    run = segment(tmp_path / "notes.tif", tmp_path / "gone.tif")
    assert (run.code, run.out, len(run.errors)) == (4, "", 2)


def test_failures_are_told_apart_in_json(tmp_path, scene, segment):
    run = segment(scene, tmp_path / "gone.tif", "--json")
    good, bad, summary = map(json.loads, run.out.splitlines())
    assert (run.code, good["exit_code"], bad["exit_code"], summary["summary"]["exit_code"]) == (3, 0, 4, 3)
    assert good["output"] == str(tmp_path / "scene.mask.tif")
    assert bad["source"] == str(tmp_path / "gone.tif")
    assert "no such file" in bad["error"]
    assert (summary["summary"]["done"], summary["summary"]["failed"]) == (1, 1)


@pytest.mark.parametrize("folder", [(), ("-o", "out/")])
def test_two_inputs_for_one_output_are_refused(tmp_path, refuses, monkeypatch, folder):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path)
    names = ("scene.tif", "scene.png")
    for name in names:
        make_raster(tmp_path / name, noise(20, 20), driver="GTiff")
    refuses(2, ("scene.tif and scene.png", "scene.mask.tif", "run them apart"), *names, *folder)


def test_one_input_named_twice_is_mapped_once(scene, segment):
    """Patterns overlap, and lists repeat."""
    done = segment(scene, scene)
    assert (done.code, done.out.count("scene.mask.tif")) == (0, 1)


def test_names_are_read_from_stdin(tmp_path, scene, segment, monkeypatch):
    make_raster(tmp_path / "with spaces ü.tif", noise(30, 30))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{scene}\r\n\n{tmp_path}/with spaces ü.tif\n"))
    run = segment("-", "-o", f"{tmp_path}/")
    assert run.code == 0
    assert run.out.splitlines() == [str(tmp_path / "scene.mask.tif"), str(tmp_path / "with spaces ü.mask.tif")]


def test_names_with_line_breaks_come_with_nul_between_them(tmp_path, scene, segment, monkeypatch):
    """As from `find -print0`."""
    odd = make_raster(tmp_path / "new\nline.tif", noise(30, 30))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{scene}\0{odd}\0"))
    assert segment("-", "-o", f"{tmp_path}/").code == 0
    assert (tmp_path / "new\nline.mask.tif").exists()


@pytest.mark.parametrize("url", ["http:///a.tif", "https://user:secret@[::1", "http://host:99999/a.tif?token=secret"])
def test_what_is_no_url_is_refused_without_its_secrets(tmp_path, refuses, url):
    run = refuses(4, ("://", "is not a valid URL", "check the address"), url, "-o", tmp_path / "map.tif")
    assert "secret" not in run.err


@pytest.mark.parametrize("stream", [None, io.StringIO(""), io.StringIO("\n \n")])
def test_nothing_on_stdin_is_refused(refuses, monkeypatch, stream):
    monkeypatch.setattr("sys.stdin", stream)
    refuses(2, ("no names came on stdin", "pipe in the paths"), "-")


def test_a_folder_takes_the_maps_of_all_scenes(tmp_path, scene, segment):
    make_raster(tmp_path / "other.tif", noise(30, 30))
    run = segment(scene, tmp_path / "other.tif", "-o", f"{tmp_path}/made/")
    assert run.code == 0
    assert (tmp_path / "made" / "scene.mask.tif").exists()
    assert (tmp_path / "made" / "other.mask.tif").exists()


def test_several_scenes_need_a_folder(tmp_path, scene, refuses):
    make_raster(tmp_path / "other.tif", noise(30, 30))
    words = ("made", "the folder does not exist", f"-o {tmp_path}/made/")
    refuses(5, words, scene, tmp_path / "other.tif", "-o", tmp_path / "made")
    words = ("scene.tif", "is a file, but there are several inputs", "name a folder with -o")
    refuses(5, words, scene, tmp_path / "other.tif", "-o", scene)


@pytest.mark.parametrize("content", [b"", b"some text", b"II*\0\x08\0"])
def test_info_refuses_what_segment_refuses(tmp_path, refuses, mapgen, content):
    (tmp_path / "scene.tif").write_bytes(content)
    refuses(4, ("scene.tif",), "info", tmp_path / "scene.tif", run=mapgen)


@pytest.mark.parametrize("name", ["layer.geojson", "layer.gpkg", "layer.parquet"])
@pytest.mark.parametrize("content", [None, b"", b"some text"])
def test_info_refuses_layers_that_are_none(tmp_path, refuses, mapgen, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refuses(4, (name,), "info", tmp_path / name, run=mapgen)


def test_info_says_why_a_scene_does_not_fit_and_what_to_type(tmp_path, mapgen, model, engines):
    path = make_raster(tmp_path / "scene.tif", noise(30, 30, 5), photometric="MINISBLACK")
    run = mapgen("info", path, "--model", model, "--json")
    record = json.loads(run.out)
    assert (run.code, record["fits"]) == (0, False)
    assert "model needs 3 bands" in record["why"]
    assert "--bands" in record["next"]


def test_info_quotes_odd_names_in_the_command_to_type(tmp_path, mapgen, model, engines):
    path = make_raster(tmp_path / "it's $(odd).tif", noise(30, 30))
    import shlex

    run = mapgen("info", path, "--model", model, "--json")
    assert shlex.split(json.loads(run.out)["next"]) == ["mapgen", "segment", str(path), "--model", str(model)]
    odd = model.rename(model.with_name("my model.safetensors"))
    run = mapgen("models", "show", odd, "--json")
    assert shlex.split(json.loads(run.out)["next"]) == ["mapgen", "segment", "SCENE", "--model", str(odd)]
