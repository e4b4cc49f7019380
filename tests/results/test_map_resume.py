"""A map that is killed between or within its products goes on with the same bytes, and makes only what is missing."""

import json
import os
from pathlib import Path

import pytest
from factory import contents, make_raster, noise

from mapgen.files.journal import Journal
from mapgen.files.unfinished import PREFIX
from mapgen.results.map import Mapper
from mapgen.results.options import MapOptions
from mapgen.results.products import Products

PLACES = {
    "after the class map, unsaid": ("finish", 1, False), "after the class map": ("finish", 1, True),
    "before the layer": ("begin", 2, False), "in the layer": ("begin", 2, True),
    "after the layer, unsaid": ("finish", 3, False), "after the layer": ("finish", 3, True),
    "in the first tiles": ("begin", 3, True), "after the first tiles, unsaid": ("finish", 4, False),
    "in the second tiles": ("begin", 4, True), "in the page": ("begin", 5, True),
    "before the report": ("begin", 7, True), "after the report": ("__exit__", 1, False),
}  # fmt: skip
"""Where a run is killed: which call of which method of `Products`, and whether after it."""


class Killed(BaseException):
    """The process is no more: nothing is unwound."""


@pytest.fixture
def scene(tmp_path):
    return make_raster(tmp_path / "town.tif", noise(600, 90), nodata=0)


@pytest.fixture
def once(tmp_path, scene, model, engines):
    """What an uninterrupted run makes."""
    Mapper(MapOptions(model=str(model)))([str(scene)], tmp_path / "once")
    return made(tmp_path / "once")


def made(folder):
    """The bytes of all products; of the report what does not speak of time, of a GeoPackage that it is there."""
    found = {}
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        if path.name == "report.json":
            report = json.loads(content)
            report["sha256"].pop("town.gpkg")
            content = {k: v for k, v in report.items() if k not in ("seconds", "created", "engine", "sha256")}
            content["sha256"] = sorted(report["sha256"])
        if path.suffix == ".gpkg" or path.name == "index.html" or path.name.endswith("stac.json"):
            content = None  # times are in them
        found[path.name] = content
    return found


def killed(monkeypatch, scene, folder, model, place):
    """A run that ends there as a process that is killed does: with all as it lies on the disk."""
    name, number, late = place
    true, calls = getattr(Products, name), []

    def killing(self, *arguments, **options):
        calls.append(None)
        if len(calls) == number and not late:
            raise Killed
        result = true(self, *arguments, **options)
        if len(calls) == number and late:
            raise Killed
        return result

    def gone(self, *exc):
        self._journal.keeps = False  # so that it is closed, and not removed
        Journal.__exit__(self._journal, None, None, None)
        if name == "__exit__" and not exc[0]:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Products, name, killing)
        patch.setattr(Products, "__exit__", gone)
        with pytest.raises(Killed):
            Mapper(MapOptions(model=str(model)))([str(scene)], folder)


@pytest.mark.parametrize("place", PLACES)
def test_a_map_that_is_killed_goes_on_with_the_same_bytes(tmp_path, scene, model, engines, once, monkeypatch, place):
    """Process: SIGKILL at any moment."""
    killed(monkeypatch, scene, tmp_path / "out", model, PLACES[place])
    engines.opened.clear()
    left = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").iterdir()}
    Mapper(MapOptions(model=str(model)))([str(scene)], tmp_path / "out")
    assert made(tmp_path / "out") == once
    if place != "after the class map, unsaid":
        assert not engines.seen, "windows were run again"
        assert (tmp_path / "out" / "town.mask.tif").stat().st_mtime_ns == left["town.mask.tif"]
    if place == "in the second tiles":
        for name in ("town.gpkg", "town.mask.pmtiles", "town.preview.webp"):
            assert (tmp_path / "out" / name).stat().st_mtime_ns == left[name], name


@pytest.mark.parametrize("change", ["option", "scene", "product", "foreign"])
def test_what_differs_is_never_gone_on_with(tmp_path, scene, model, engines, mapgen, monkeypatch, change):
    """Process: changed model, input or options."""
    killed(monkeypatch, scene, tmp_path / "out", model, PLACES["in the first tiles"])
    more = ("--simplify", "3px") if change == "option" else ()
    if change == "scene":
        make_raster(scene, noise(600, 90, seed=2), nodata=0)
    if change == "product":
        with open(tmp_path / "out" / "town.gpkg", "ab") as file:
            file.write(b"by hand")
    if change == "foreign":
        (tmp_path / "out" / "town.pmtiles").write_bytes(b"of somebody else")
    before = contents(tmp_path / "out")
    run = mapgen("map", "--model", model, scene, "-o", tmp_path / "out", *more)
    assert run.code == 5
    assert "exists" in run.errors[0]
    kept = {name: content for name, content in contents(tmp_path / "out").items() if not name.startswith(PREFIX)}
    assert kept == {name: content for name, content in before.items() if not name.startswith(PREFIX)}
    assert mapgen("map", "--model", model, scene, "-o", tmp_path / "out", "--overwrite", *more).code == 0
    assert not [name for name in os.listdir(tmp_path / "out") if name.startswith(PREFIX)]


def test_a_map_that_is_stopped_says_after_what_it_goes_on(tmp_path, scene, model, engines, mapgen, monkeypatch):
    from mapgen.errors import Interrupted
    from mapgen.files.unfinished import remedy
    from mapgen.tiling.tiles import Tiler

    said = []

    def stopped(self, *arguments):
        said.append(remedy())
        raise Interrupted("SIGINT", "stopped")

    with monkeypatch.context() as patch:
        patch.setattr(Tiler, "__call__", stopped)
        assert mapgen("map", "--model", model, scene, "-o", tmp_path / "out").code == 130
    assert said == ["run the same command again: it goes on after class map, preview, layer"]
    assert mapgen("map", "--model", model, scene, "-o", tmp_path / "out").code == 0
    assert not [p for p in Path(tmp_path / "out").iterdir() if p.name.startswith(PREFIX)]
