"""Whatever a command reads, it never writes: each input of each command against each output, also with --overwrite.

The tables below have a row for each parameter of the command line that takes a text or a path. A new one without a row
fails: it must be said whether it names an input, an output, or no file at all.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import pytest
from factory import LEGEND, Run, make_raster, north_up

from mapgen.cli.app import OUTPUTS, app

Runner = Callable[..., Run]

INPUTS = {
    "segment": {"scenes", "model", "aoi", "from_"},
    "vectorize": {"masks", "clip", "confidence_raster", "from_"},
    "tiles": {"sources", "confidence_raster", "from_"},
    "map": {"scenes", "model", "aoi"},
    "view": {"path", "compare", "imagery"},
    "train": {"config"},
    "evaluate": {"source", "truth", "points", "confidence_raster"},
    "sample": {"source"},
    "explain": {"model", "scene"},
    "join": {"parts"},
    "info": {"path", "model"},
    "areas": {"source", "zones"},
    "compare": {"what", "scene", "truth"},
    "roads": {"masks", "probabilities_raster", "clip", "from_"},
    "route": {"network"},
    "clean": {"folders"},
    "doctor": set(),
    "demo": set(),
    "verify": {"paths"},
    "bench": {"scene", "model"},
    "compress": {"model", "more", "calibrate", "evaluate", "truth"},
}
"""Parameters that name files to read."""

WRITTEN = {
    "segment": {"output", "report", "log_file"}, "vectorize": {"output", "report", "log_file", "table"},
    "tiles": {"output", "report", "log_file"},
    "roads": {"output", "report", "log_file"}, "route": {"output"}, "map": {"output", "log_file", "table"},
    "view": {"inline", "png", "export"},
    "train": {"output", "log_file"}, "evaluate": {"worst", "html"}, "compress": {"output", "log_file"},
    "info": set(), "bench": set(), "clean": set(),
    "doctor": set(), "demo": {"output"}, "verify": set(), "areas": {"output"}, "compare": {"output"},
    "sample": {"output"}, "join": {"output"}, "explain": {"output"},
}  # fmt: skip
"""Parameters that name what is written."""

WORDS = {
    "bands", "nodata", "scale", "resolution", "stitch", "tta", "engine", "device", "precision", "max_memory", "bbox",
    "on_read_error", "creation_options", "form", "classes", "background", "sieve", "min_area", "max_area", "min_hole",
    "simplify", "method", "methods", "crs", "assume_crs", "layer", "zoom", "kind", "resampling", "scheme", "tms",
    "container",
    "name", "attribute", "feature_class", "outside", "priority", "match", "ignore", "objects", "fail_under", "to",
    "boundary", "block", "on_error", "only", "base_url", "threshold", "max_width", "spur",
    "bridge", "min_length", "places", "format", "layer_name", "stretch", "tile_format", "max_block_memory",
    "zone_name", "square", "by", "expected", "at", "title", "credit", "basemap", "shard",
    "cluster", "cluster_tls",  # files perhaps: noted as inputs, and read before anything is made
}  # fmt: skip
"""Parameters that name no file."""


def texts(command: str) -> Iterator[str]:
    """The parameters of a command that take a text or a path."""
    callback = next(one.callback for one in app.registered_commands if name_of(one) == command)
    for name, kind in get_type_hints(callback).items():
        if name != "return" and re.search(r"\b(str|Path)\b", str(kind)):
            yield name


def name_of(command: Any) -> str:
    return str(command.name or command.callback.__name__)


@pytest.mark.parametrize("command", sorted(INPUTS))
def test_every_parameter_is_known_as_input_output_or_word(command: str) -> None:
    named = set(texts(command))
    assert named - WORDS == INPUTS[command] | WRITTEN[command]
    assert WRITTEN[command] == named & set(OUTPUTS)
    assert {name_of(one) for one in app.registered_commands} == set(INPUTS)


@pytest.fixture
def ground(tmp_path: Path) -> Path:
    """A folder with one good file of every kind, all on the same ground."""
    values = np.random.default_rng(0).integers(0, 3, (40, 50)).astype("uint8")
    tags = {"MAPGEN_LEGEND": json.dumps(LEGEND.to_json())}
    make_raster(tmp_path / "scene.tif", np.stack([values * 100] * 3), photometric="RGB")
    make_raster(tmp_path / "third.tif", np.stack([values * 100] * 3), photometric="RGB")
    make_raster(tmp_path / "second.tif", np.stack([values * 100] * 3), photometric="RGB")
    make_raster(tmp_path / "mask.tif", values, nodata=255, tags=tags)
    make_raster(tmp_path / "truth.tif", values, nodata=255, tags=tags)
    make_raster(tmp_path / "confidence.tif", values, nodata=255)
    ring = "[[56.9,24],[57.1,24],[57.1,25],[56.9,25],[56.9,24]]"
    (tmp_path / "area.geojson").write_text(f'{{"type":"Polygon","coordinates":[{ring}]}}')
    way = "[[57.0,24.4],[57.0001,24.4]]"
    (tmp_path / "lines.geojson").write_text(f'{{"type":"LineString","coordinates":{way}}}')
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'scene.tif'}\n")
    (tmp_path / "masks.txt").write_text(f"{tmp_path / 'mask.tif'}\n")
    return tmp_path


LINES: dict[str, tuple[list[str], dict[str, str]]] = {
    "segment": (
        ["{scenes}", "--from", "{from_}", "--model", "{model}", "--aoi", "{aoi}"],
        {"scenes": "scene.tif", "from_": "list.txt", "model": "fake.safetensors", "aoi": "area.geojson"},
    ),
    "vectorize": (
        ["{masks}", "--from", "{from_}", "--clip", "{clip}", "--confidence-raster", "{confidence_raster}"],
        {"from_": "masks.txt", "masks": "mask.tif", "clip": "area.geojson", "confidence_raster": "confidence.tif"},
    ),
    "tiles": (
        ["{sources}", "--from", "{from_}", "--vector", "--confidence-raster", "{confidence_raster}"],
        {"from_": "masks.txt", "sources": "mask.tif", "confidence_raster": "confidence.tif"},
    ),
    "roads": (
        [
            "{masks}", "--from", "{from_}", "--classes", "dark", "--clip", "{clip}", "--probabilities-raster",
            "{probabilities_raster}",
        ],
        {"from_": "masks.txt", "masks": "mask.tif", "clip": "area.geojson", "probabilities_raster": "confidence.tif"},
    ),
    "route": (["{network}", "57.0,24.4", "57.0001,24.4"], {"network": "lines.geojson"}),
    "map": (
        ["{scenes}", "--model", "{model}", "--aoi", "{aoi}", "--name", "x", "--confidence"],
        {"scenes": "scene.tif", "model": "fake.safetensors", "aoi": "area.geojson"},
    ),
    "view": (
        ["{path}", "--imagery", "{imagery}"], {"path": "mask.tif", "imagery": "scene.tif"},
    ),
    "view --compare": (["{path}", "--compare", "{compare}"], {"path": "mask.tif", "compare": "truth.tif"}),
    "evaluate": (
        ["{source}", "{truth}", "--confidence-raster", "{confidence_raster}"],
        {"source": "mask.tif", "truth": "truth.tif", "confidence_raster": "confidence.tif"},
    ),
    "evaluate --points": (["{source}", "--points", "{points}"], {"source": "mask.tif", "points": "area.geojson"}),
    "sample": (["{source}"], {"source": "mask.tif"}),
    "explain": (
        ["{model}", "{scene}", "--methods", "bands"], {"model": "fake.safetensors", "scene": "scene.tif"},
    ),
    "join": (["{parts}"], {"parts": "mask.tif"}),
    "areas": (["{source}", "--zones", "{zones}"], {"source": "mask.tif", "zones": "area.geojson"}),
    "compress": (
        ["{model}", "--calibrate", "{calibrate}", "{more}", "--evaluate", "{evaluate}", "--truth", "{truth}"],
        {
            "model": "fake.safetensors", "calibrate": "scene.tif", "more": "second.tif", "evaluate": "third.tif",
            "truth": "truth.tif",
        },
    ),
}  # fmt: skip
"""A command line with all inputs of a command, and the file of each."""

TARGETS: dict[str, list[tuple[str, str]]] = {
    "segment": [("--report", "run.jsonl"), ("--log-file", "log"),
                ("-o", "x.mask.tif"), ("-o", "x.mask.qml"), ("-o", "x.mask.tif.aux.xml")],
    "vectorize": [
        ("--report", "run.jsonl"), ("--log-file", "log"),
        *(("-o", f"x.{form}") for form in ("geojson", "geojsonl", "gpkg", "fgb", "shp", "dbf", "prj")),
    ],
    "tiles": [("--report", "run.jsonl"), ("--log-file", "log"), ("-o", "x.pmtiles"),
              ("-o", "x.mbtiles"), ("-o", "x.pmtiles.json"), ("-o", "x.pmtiles.style.json")],
    "map": [
        ("-o", name) for name in (
            "x.mask.tif", "x.confidence.tif", "x.gpkg", "x.mask.pmtiles", "x.pmtiles", "x.preview.webp",
            "x.stac.json", "x.model.stac.json", "report.json", "x.mask.qml", "x.mask.tif.aux.xml",
        )
    ],
    "roads": [
        ("--report", "run.jsonl"), ("--log-file", "log"),
        *(("-o", f"x.{form}") for form in ("gpkg", "geojson", "fgb", "osm", "osm.pbf", "graphml")),
    ],
    "route": [("-o", "x.geojson")],
    "view": [("--inline", "x.html"), ("--png", "x.png"), ("--export", "x.site")],
    "view --compare": [("--inline", "x.html")],
    "evaluate": [("--worst", "x.png"), ("--html", "x.html")],
    "evaluate --points": [("--html", "x.html")],
    "sample": [("-o", "x.gpkg")],
    "explain": [("-o", "explain.png"), ("-o", "explain.json")],
    "join": [("-o", "x.mask.tif")],
    "areas": [("-o", "x.csv")],
    "compress": [("-o", "x.int8.safetensors"), ("--log-file", "log")],
}  # fmt: skip
"""What each command writes, by the option that places it: the input is put where it would go."""

WRITES = {"x.mask.qml": "x.mask.tif", "x.mask.tif.aux.xml": "x.mask.tif", "x.dbf": "x.shp", "x.prj": "x.shp",
          "x.pmtiles.json": "x.pmtiles", "x.pmtiles.style.json": "x.pmtiles"}  # fmt: skip
"""The output that a side-car comes with."""

CASES = [
    (command, role, option, target)
    for command, (_, files) in LINES.items() for role in files for option, target in TARGETS[command]
    if (role, option) != ("from_", "--report")  # the report of a run is gone on with by the same name
]  # fmt: skip


def test_every_input_and_output_has_a_row() -> None:
    for command, roles in INPUTS.items():
        lines = [name for name in LINES if name.split()[0] == command]
        assert {role for name in lines for role in LINES[name][1]} == (roles if lines else set())
    writing = {name for name, written in WRITTEN.items() if written}
    assert {name.split()[0] for name in LINES} == writing - {"train", "compare", "demo"}  # folders of runs; no input


@pytest.mark.parametrize(("command", "role", "option", "target"), CASES)
def test_an_input_in_the_place_of_an_output_stays(
    ground: Path, mapgen: Runner, model: Path, engines: Any, command: str, role: str, option: str, target: str
) -> None:
    line, files = LINES[command]
    if "safetensors" in "".join(files.values()):
        shutil.copyfile(model, ground / "fake.safetensors")
    folder = ground / "out"
    folder.mkdir()
    # Hard linked, so that the file has its proper name to be read under and the output's to be written to.
    (folder / target).hardlink_to(ground / files[role])
    before = (ground / files[role]).read_bytes()
    output = folder if command in ("map", "explain") else folder / WRITES.get(target, target)
    filled = [part.format(**{name: ground / file for name, file in files.items()}) for part in line]
    run = mapgen(command.split()[0], *filled, option, output, "--overwrite")
    assert run.code == 5, run
    assert len(run.errors) == 1
    assert f"{target}: the output is also an input; choose another name" in run.errors[0]
    assert (folder / target).read_bytes() == before
    assert [p.name for p in folder.iterdir()] == [target]


def test_a_waiting_scene_is_an_input_from_the_start(ground: Path, mapgen: Runner, engines: Any, model: Path) -> None:
    """Also where its name comes on stdin or behind: its turn comes after the output has been written."""
    make_raster(ground / "scene.mask.tif", np.zeros((3, 20, 20), "uint8"), photometric="RGB", transform=north_up(1.0))
    before = (ground / "scene.mask.tif").read_bytes()
    run = mapgen("segment", "--model", model, ground / "scene.tif", ground / "scene.mask.tif", "--overwrite")
    assert run.code == 3
    assert "scene.mask.tif: the output is also an input" in run.errors[0]
    assert (ground / "scene.mask.tif").read_bytes() == before
