"""Two runs at once on one output: one makes it, the other ends before its first window."""

import contextvars

import pytest
from factory import contents, make_raster, noise
from layer_maps import class_map, town

from mapgen.files.commit import locked


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "scene.tif", noise(1100, 40))


@pytest.mark.parametrize("target", ["scene.mask.tif", "scene.confidence.tif"])
def test_a_map_that_another_run_is_making_is_refused_before_the_first_window(tmp_path, scene, refuses, engines, target):
    """Output: two runs at once on one output."""
    other = contextvars.Context()
    other.run((lock := locked(tmp_path / target)).__enter__)
    refuses(5, (f"{target}: is being written by process", "wait until it is done"), scene, "--confidence")
    assert engines.opened == []
    other.run(lock.__exit__, None, None, None)


def test_a_run_that_comes_while_another_is_in_its_windows_ends_and_the_other_is_not_disturbed(
    tmp_path, scene, mapgen, model, engines
):
    """The journal of the first is its own, too."""
    later = []
    true = engines.rule

    def rule(pixels):
        if not later:
            later.append(None)
            later[0] = contextvars.Context().run(mapgen, "segment", "--model", model, scene, "--overwrite")
        return true(pixels)

    engines.rule = rule
    assert mapgen("segment", "--model", model, scene, "--overwrite").code == 0
    (run,) = later
    assert run.code == 5
    assert "scene.mask.tif: is being written by process" in run.errors[0]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("verb", "target", "inside"),
    [
        ("vectorize", "out.gpkg", False),
        ("vectorize", "out.geojson", False),
        ("tiles", "out.pmtiles", False),
        ("tiles", "out.mbtiles", False),
        ("tiles", "out", False),
        ("roads", "out.gpkg", False),
        ("map", "out", True),
    ],
)
def test_every_kind_of_output_belongs_to_one_run_at_a_time(tmp_path, mapgen, model, engines, verb, target, inside):
    """Output: two runs at once on one output: layer, tile set, network, folder of results."""
    mask = class_map(tmp_path / "town.mask.tif", town())
    if verb == "map":
        (tmp_path / target).mkdir()
    before = contents(tmp_path)
    more = ("--model", model) if verb == "map" else ("-f", "folder") if (verb, target) == ("tiles", "out") else ()
    command = (verb, *more, mask, "-o", tmp_path / target)
    other = contextvars.Context()
    other.run((lock := locked(tmp_path / target, inside=inside)).__enter__)
    run = mapgen(*command)
    assert (run.code, run.out) == (5, "")
    assert f"{target}: is being written by process" in run.errors[0]
    other.run(lock.__exit__, None, None, None)
    assert contents(tmp_path) == before
