"""`segment --shard` and `join` as they are typed."""

import json
from pathlib import Path

import pytest
from factory import brightness, make_raster, noise


@pytest.fixture
def scene(tmp_path, engines):
    engines.rule = brightness
    return make_raster(tmp_path / "scene.tif", noise(1600, 60))


@pytest.fixture
def parts(tmp_path, segment, scene):
    """The folder of the three parts of a scene, made by three runs."""
    return made(segment, scene, tmp_path / "scene.mask.shards")


def made(segment, scene, folder):
    for number in (3, 1, 2):
        run = segment(scene, "--shard", f"{number}/3", "--shard-rows", 512)
        assert run.code == 0, run
    return folder


def test_shard_makes_one_part_and_join_makes_the_map_of_all(tmp_path, mapgen, segment, scene, parts):
    assert segment(scene, "--shard", "2/3", "--shard-rows", 512).out == f"{parts / '0002.tif'}\n"
    assert sorted(path.name for path in parts.glob("*.tif")) == ["0001.tif", "0002.tif", "0003.tif"]
    assert segment(scene, "-o", tmp_path / "whole.mask.tif").code == 0
    run = mapgen("join", parts, "-o", tmp_path / "joined.mask.tif")
    assert (run.code, run.out) == (0, f"{tmp_path / 'joined.mask.tif'}\n")
    assert (tmp_path / "joined.mask.tif").read_bytes() == (tmp_path / "whole.mask.tif").read_bytes()
    assert mapgen("verify", tmp_path / "joined.mask.tif", *sorted(parts.glob("*.tif"))).code == 0


def test_shard_rows_say_how_high_parts_are(tmp_path, segment, scene):
    run = segment(scene, "--shard", "2/3")
    assert (run.code, run.out) == (0, "")
    assert "it has 1 part" in run.err
    rows = json.loads((tmp_path / "scene.mask.shards" / "scene.mask.plan.json").read_text())["cuts"]
    assert rows == [0, 1600]
    assert segment(scene, "--shard", "2/3", "--shard-rows", 512).code == 2
    assert segment(scene, "--shard", "2/3", "-o", tmp_path / "b.mask.tif", "--shard-rows", 512).code == 0
    rows = json.loads((tmp_path / "b.mask.shards" / "b.mask.plan.json").read_text())["cuts"]
    assert rows == [0, 512, 1024, 1600]


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--shard", "4/3"), ("'4/3' is not I/N", "--shard 3/40")), (("--shard", "0/3"), ("is not I/N",)),
     (("--shard", "1"), ("is not I/N",)), (("--shard-rows", "512"), ("--shard I/N",)),
     (("--shard", "1/3", "--shard-rows", "500"), ("500 is not a multiple", "use 512")),
     (("--shard", "1/3", "--dry-run"), ("leave out --shard",)),
     (("--shard", "1/3", "--co", "COMPRESS=ZSTD"), ("leave it out",))],
)  # fmt: skip
def test_a_part_that_cannot_be_is_refused(refuses, scene, options, words):
    refuses(2, words, scene, *options)


def test_a_part_that_is_there_is_not_made_again(segment, scene, parts, engines):
    before = len(engines.seen)
    run = segment(scene, "--shard", "2/3", "--shard-rows", 512)
    assert (run.code, run.out) == (0, f"{parts / '0002.tif'}\n")
    assert "part 2/3 is done already" in run.err
    assert len(engines.seen) == before


def test_several_scenes_are_dealt_out_whole(tmp_path, segment, engines):
    scenes = [make_raster(tmp_path / f"{name}.tif", noise(60, 60)) for name in "abcde"]
    made = [segment(*scenes, "-o", f"{tmp_path}/masks/", "--shard", f"{number}/6") for number in range(1, 7)]
    assert [run.code for run in made] == [0] * 6
    assert sorted(Path(line).name for run in made for line in run.out.split()) == [f"{n}.mask.tif" for n in "abcde"]
    assert {path.name for path in (tmp_path / "masks").glob("*.tif")} == {f"{name}.mask.tif" for name in "abcde"}


def test_a_joined_map_is_replaced_only_when_asked(tmp_path, mapgen, parts):
    assert mapgen("join", parts).code == 0
    before = (tmp_path / "scene.mask.tif").read_bytes()
    assert mapgen("join", parts).code == 5
    (tmp_path / "scene.mask.tif").write_bytes(b"old")
    assert mapgen("join", parts, "--overwrite").code == 0
    assert (tmp_path / "scene.mask.tif").read_bytes() == before


def test_join_tells_its_map_as_json_and_is_quiet_or_verbose(tmp_path, mapgen, parts):
    run = mapgen("join", parts, "--json", "-v")
    said = json.loads(run.out)
    assert (said["output"], said["parts"], said["height"]) == (str(tmp_path / "scene.mask.tif"), 3, 1600)
    assert "from 3 parts" in run.err
    assert mapgen("join", parts, "--overwrite", "-q").err == ""
    assert "from 3 parts" in mapgen("join", parts, "--overwrite", "-v").err


def test_parts_of_another_scene_are_not_joined(tmp_path, mapgen, segment, parts):
    other = make_raster(tmp_path / "other.tif", noise(1600, 60, seed=3))
    others = made(segment, other, tmp_path / "other.mask.shards")
    run = mapgen("join", parts, others)
    assert run.code == 9
    assert "is another plan" in run.errors[0]
    (parts / "0002.tif").write_bytes((others / "0002.tif").read_bytes())
    run = mapgen("join", parts)
    assert run.code == 9
    assert "part 2: 0002.tif is not as its record says" in run.errors[0]
    assert not (tmp_path / "scene.mask.tif").exists()
