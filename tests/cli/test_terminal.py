"""What a person at a terminal meets: help under headings, a first map, patterns that fit."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer.main
from factory import Run, make_raster, noise

from mapgen.cli.app import app
from mapgen.cli.group import FEW, PANELS, SHORT, panels

COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", [name for name, one in COMMANDS.items() if hasattr(one, "callback")])
def test_each_option_stands_under_one_heading(command: str) -> None:
    options = [p for p in COMMANDS[command].params if p.param_type_name == "option"]
    listed = panels(COMMANDS[command].params)
    assert sorted(p.name for some in listed.values() for p in some) == sorted(p.name for p in options)
    assert set(listed) <= set(PANELS)
    assert len(options) > FEW or set(listed) <= {"Options"}


def test_the_help_of_map_is_in_groups_and_holds_each_option_once(mapgen: Callable[..., Run]) -> None:
    text = mapgen("map", "--help").out
    heads = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    assert heads == ["Arguments", "Input", "Model", "Polygons", "Output", "Run", "Speed and memory", "Messages"]
    for option in COMMANDS["map"].params:
        if option.param_type_name == "option":
            assert len(re.findall(rf"^  (?:-\w, )?{option.opts[-1]}\b(?!-)", text, re.MULTILINE)) == 1, option.opts
    assert text.count("--help") == 1


def test_the_list_of_commands_says_what_each_does_without_dots(mapgen: Callable[..., Run]) -> None:
    listed = mapgen("--help").out.partition("Commands:\n")[2].splitlines()
    assert len(listed) == len(COMMANDS)
    for line in listed:
        assert re.fullmatch(r"  \w+ +\w.*[^.]", line), line
        assert len(line.split(maxsplit=1)[1]) <= SHORT, line


def test_demo_maps_the_example_scene_into_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapgen: Callable[..., Run], engines: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    run = mapgen("demo")
    assert (run.code, run.out.split()[0]) == (0, "mapgen-demo/scene.tif")
    assert (tmp_path / "mapgen-demo" / "scene.mask.tif").exists()
    assert run.err.rstrip().endswith("next: mapgen view mapgen-demo")
    again = mapgen("demo")
    assert (again.code, "--overwrite" in again.err) == (5, True)
    run = mapgen("demo", "-o", tmp_path / "mapgen-demo", "--overwrite", "--json", "--quiet")
    assert (run.code, run.err, run.out.count("\n")) == (0, "", 2)
    assert "Traceback" not in mapgen("demo", "-o", tmp_path / "more", "--verbose").err


def test_a_pattern_leaves_out_what_mapgen_has_written(tmp_path: Path, segment: Callable[..., Run]) -> None:
    for name in "ab":
        make_raster(tmp_path / f"{name}.tif", noise(40, 50))
    assert segment(tmp_path / "*.tif").code == 0
    run = segment(tmp_path / "*.tif", "-o", f"{tmp_path}/again/")
    assert (run.code, run.out.count("\n")) == (0, 2)
    assert f"{tmp_path / 'a.mask.tif'} and 1 more: left out, since mapgen wrote it" in run.err


def test_a_class_map_alone_is_refused_as_imagery(tmp_path: Path, segment: Callable[..., Run]) -> None:
    scene = make_raster(tmp_path / "a.tif", noise(40, 50))
    assert segment(scene).code == 0
    assert segment(tmp_path / "a.mask.tif", "-o", tmp_path / "b.tif").code == 4


def test_map_takes_patterns_and_leaves_out_maps(
    tmp_path: Path, mapgen: Callable[..., Run], model: Path, engines: Any
) -> None:
    make_raster(tmp_path / "a.tif", noise(40, 50))
    assert mapgen("segment", "--model", model, tmp_path / "a.tif").code == 0
    plain = ("--no-tiles", "--no-layer", "--no-page", "--no-stac", "--no-preview")
    run = mapgen("map", "--model", model, tmp_path / "*.tif", "-o", tmp_path / "out", *plain)
    assert (run.code, "a.mask.tif: left out" in run.err) == (0, True)
