"""Shards: parts made apart and joined are the map that one run makes, byte for byte."""

import json
import os
from itertools import pairwise
from pathlib import Path

import pytest
from factory import Engines, brightness, make_model, make_raster, noise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from mapgen.errors import CheckError, UsageError
from mapgen.inference.join import join
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import Segmenter
from mapgen.inference.shard import Shard, Sharded, cuts, shard_folder


@pytest.fixture
def engines(monkeypatch):
    made = Engines(brightness)
    monkeypatch.setattr("mapgen.inference.segment.open_engine", made.open)
    return made


def make_parts(scene, output, count, least=512, **options):
    for number in reversed(range(1, count + 1)):
        shard = Sharded(Segmenter(SegmentOptions(**options)), str(scene), output, Shard(number, count), least)
        if not shard.idle and not shard.done:
            shard()
    return shard_folder(output)


@given(some.integers(1, 200_000), some.integers(1, 50), some.sampled_from([512, 1024, 1536, 4096, 16_384]))
def test_cuts_rise_on_tiles_and_no_part_is_much_smaller_than_asked(height, count, least):
    rows = cuts(height, count, least)
    assert (rows[0], rows[-1]) == (0, height)
    assert all(a < b for a, b in pairwise(rows))
    assert not any(row % 512 for row in rows[:-1])
    assert len(rows) - 1 <= count


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    height=some.integers(1, 4000), width=some.sampled_from([1, 60, 700]), count=some.integers(1, 7),
    least=some.sampled_from([512, 1024]), window=some.sampled_from([64, 128, 256]), halo=some.sampled_from([0, 8, 24]),
    stitch=some.sampled_from(["crop", "blend"]), tta=some.sampled_from(["none", "flip"]),
    metres=some.sampled_from(["native", 1.7]), nodata=some.sampled_from([None, 0]),
    bbox=some.booleans(), scores=some.booleans(),
)  # fmt: skip
def test_joined_parts_are_the_whole_map_byte_for_byte(
    tmp_path_factory, engines, height, width, count, least, window, halo, stitch, tta, metres, nodata, bbox, scores
):
    folder = tmp_path_factory.mktemp("shards")
    pixels = noise(height, width)
    pixels[:, height // 3 : height // 2] = 0
    scene = make_raster(folder / "scene.tif", pixels)
    options = {
        "model": make_model(folder / "m.safetensors"), "window": window, "halo": halo, "stitch": stitch, "tta": tta,
        "resolution": metres, "nodata": nodata, "confidence": scores, "probabilities": scores,
    }  # fmt: skip
    if bbox and height > 30 and width > 30:
        options["bbox"] = (500_010.0, 2_700_000.0 - height + 7, 500_000.0 + width - 3, 2_700_000.0 - 9)
    whole, joined = folder / "whole.mask.tif", folder / "joined.mask.tif"
    Segmenter(SegmentOptions(**options))(str(scene), whole)
    join(make_parts(scene, joined, count, least, **options))
    for end in (".mask.tif", *((".confidence.tif", ".probabilities.tif") if scores else ())):
        assert (folder / f"joined{end}").read_bytes() == (folder / f"whole{end}").read_bytes()


@pytest.fixture
def parts(tmp_path, engines):
    scene = make_raster(tmp_path / "scene.tif", noise(1600, 60))
    model = make_model(tmp_path / "m.safetensors")
    return make_parts(scene, tmp_path / "a.mask.tif", 3, model=model), scene, model


def test_a_part_that_matches_the_plan_is_not_made_again(parts, engines):
    folder, scene, model = parts
    before = len(engines.seen)
    make_parts(scene, folder.with_suffix(".tif"), 3, model=model)
    assert len(engines.seen) == before


def spoil_missing(folder):
    os.remove(folder / "0002.tif")


def spoil_cut(folder):
    path = folder / "0002.tif"
    path.write_bytes(path.read_bytes()[:-40])


def spoil_foreign(folder):
    path = folder / "0002.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"plan": "0"}))


def spoil_plan(folder):
    path = folder / "a.mask.plan.json"
    path.write_text(path.read_text().replace('"shards": 3', '"shards": 4'))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(spoil_missing, "missing: 2"), (spoil_cut, "cut off or changed"), (spoil_foreign, "another plan"),
     (spoil_plan, "edited by hand")],
)  # fmt: skip
def test_parts_that_do_not_belong_together_are_not_joined(parts, spoil, said):
    folder = parts[0]
    spoil(folder)
    with pytest.raises(CheckError, match=said):
        join(folder)
    assert not folder.with_suffix(".tif").exists()


def test_a_run_that_cannot_keep_the_plan_is_refused(parts, tmp_path):
    folder, scene, model = parts
    output = folder.with_suffix(".tif")
    with pytest.raises(UsageError, match="tta"):
        make_parts(scene, output, 3, model=model, tta="flip")
    with pytest.raises(UsageError, match="shards 3"):
        make_parts(scene, output, 2, model=model)
    make_raster(scene, noise(1600, 60, seed=2))
    with pytest.raises(UsageError, match="the scene is not that of the plan"):
        make_parts(scene, output, 3, model=model)
    assert Path(folder / "0001.tif").exists()
