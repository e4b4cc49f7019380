"""A whole file of every kind that mapgen reads, made from one small town, and the commands that read each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from factory import card, make_model, make_raster, noise
from graphs import graph_bytes
from layer_maps import class_map, town

from mapgen.errors import Interrupted
from mapgen.files.commit import Output
from mapgen.files.journal import Journal, journal_path
from mapgen.files.lock import lock_path

ROOT = Path(__file__).parents[2]
TILED = {"tiled": True, "blockxsize": 32, "blockysize": 32}
JOURNAL, LOCK = (f"hidden/{path.name}" for path in (journal_path(Path("map.tif")), lock_path(Path("layer.gpkg"))))

Command = tuple[str, ...]

MODEL = ("--model", "good/fake.safetensors")
SEGMENT = ("segment", "{}", *MODEL, "-o", "out/map.tif")
GOOD = ("segment", "good/scene.tif", "-o", "out/map.tif")
VECTORIZE = ("vectorize", "{}", "-o", "out/layer.gpkg")
TILES = ("tiles", "{}", "-o", "out/set.pmtiles")
LAYER_TILES = ("tiles", "{}", "--vector", "--zoom", "0-8", "-o", "out/set.mbtiles")
INFO, VERIFY = ("info", "{}"), ("verify", "{}")
EVALUATE = ("evaluate", "good/town.mask.tif", "{}")
PAGE = ("view", "{}", "--inline", "out/page.html")

SCENE = [SEGMENT, ("info", "{}", *MODEL), TILES]
MAP = [VECTORIZE, TILES, ("roads", "{}", "-o", "out/net.geojson"), INFO, VERIFY, EVALUATE]
LAYER = [LAYER_TILES, INFO, VERIFY, EVALUATE]
LINES = [("route", "{}", "57.0001,24.4003", "57.0004,24.4004"), VERIFY, ("evaluate", "good/net.geojson", "{}")]
SET = [INFO, VERIFY, PAGE]
MODELS = [("models", "show", "{}"), VERIFY, (*GOOD, "--model", "{}")]

COMMANDS: dict[str, list[Command]] = {
    "scene.tif": SCENE, "jpeg.tif": SCENE, "masked.tif": SCENE, "scene.png": SCENE, "scene.jpg": SCENE,
    "scene.jp2": SCENE, "scene.img": SCENE, "scene.vrt": SCENE,
    "town.mask.tif": MAP, "bare.tif": MAP, "result/town.mask.tif": [VERIFY, ("verify", "result"), VECTORIZE],
    "result/town.mask.tif.aux.xml": [("info", "result/town.mask.tif"), ("verify", "result")],
    "bare.qml": [("vectorize", "bare.tif", "-o", "out/layer.gpkg")],
    "town.geojson": LAYER, "town.geojsonl": LAYER, "town.gpkg": LAYER, "town.fgb": LAYER, "town.parquet": LAYER,
    "town.kml": LAYER, "town.shp": LAYER,
    "town.dbf": [("tiles", "town.shp", "--vector", "--zoom", "0-8", "-o", "out/set.mbtiles"), ("verify", "town.shp")],
    "area.geojson": [
        (*GOOD, *MODEL, "--aoi", "{}"), ("vectorize", "good/town.mask.tif", "--clip", "{}", *VECTORIZE[2:]),
    ],
    "net.gpkg": LINES, "net.geojson": LINES, "net.osm": LINES, "net.osm.pbf": LINES, "net.graphml": LINES,
    "t.pmtiles": SET, "v.pmtiles": SET, "t.mbtiles": SET, "v.mbtiles": SET,
    "t/tilejson.json": [("info", "t"), ("verify", "t"), ("view", "t", "--inline", "out/page.html")],
    "fake.safetensors": MODELS, "graph.safetensors": MODELS,
    "net.onnx": [("models", "import", "{}", "-o", "out/model.safetensors")],
    "result/report.json": [("info", "result"), ("verify", "result"), ("view", "result", "--png", "out/picture.png")],
    "result/town.stac.json": [VERIFY, ("verify", "result")], "result/index.html": [VERIFY],
    "run/config.toml": [("verify", "run")], "run/log.csv": [("verify", "run")],
    "run/checkpoint.safetensors": [("verify", "run")],
    "run.toml": [("train", "{}", "--check", "-o", "out/run")],
    "run.jsonl": [
        ("segment", "--from", "{}", "--only", "failed", *MODEL, "-o", "out/"),
        ("vectorize", "good/town.mask.tif", "--skip-done", "--report", "{}", *VECTORIZE[2:]),
    ],
    "list.txt": [("segment", "--from", "{}", *MODEL, "-o", "out/")],
    JOURNAL: [("clean", "hidden", "--dry-run"), ("segment", "good/tall.tif", *MODEL, "-o", "hidden/map.tif")],
    LOCK: [("clean", "hidden", "--dry-run"), ("vectorize", "good/town.mask.tif", "-o", "hidden/layer.gpkg")],
}  # fmt: skip
"""By file, `{}` in a command being its name; what is in `good` is never damaged."""

CHANGED = {"run.jsonl", JOURNAL, LOCK}
"""Files that the commands themselves go on with."""


def make_all(folder: Path, segment: Callable[[Path, Path], object]) -> None:
    """All files in an empty folder; `segment` makes a class map of a scene by the model `good/fake.safetensors`."""
    for name in ("good", "out", "hidden"):
        (folder / name).mkdir()
    make_model(folder / "good" / "fake.safetensors")
    _scenes(folder)
    _layers(folder)
    _sets(folder)
    _models(folder)
    _results(folder)
    _lists(folder)
    for name in ("scene.tif", "town.mask.tif", "net.geojson"):
        shutil.copy(folder / name, folder / "good")
    _left_by_others(folder, segment)


def _scenes(folder: Path) -> None:
    import rasterio.shutil

    make_raster(folder / "scene.tif", noise(70, 60), compress="DEFLATE", **TILED)
    make_raster(folder / "jpeg.tif", noise(70, 60), compress="JPEG", photometric="YCBCR", **TILED)
    mask = np.where(np.arange(60) > 20, 255, 0).astype(np.uint8)[None].repeat(70, 0)
    make_raster(folder / "masked.tif", noise(70, 60, dtype="uint16"), mask=mask, BIGTIFF="YES")
    bare: dict[str, Any] = {"crs": None, "transform": None}
    drivers = (("png", "PNG", bare), ("jpg", "JPEG", bare), ("jp2", "JP2OpenJPEG", {}), ("img", "HFA", {}))
    for suffix, driver, place in drivers:
        make_raster(folder / f"scene.{suffix}", noise(70, 60), driver=driver, **place)
    rasterio.shutil.copy(folder / "scene.tif", folder / "scene.vrt", driver="VRT")
    class_map(folder / "town.mask.tif", town())
    class_map(folder / "bare.tif", town(), legend=None)
    entries = "".join(f'<paletteEntry value="{v}" label="class {v}" color="#10{v:02x}30"/>' for v in (1, 2, 3))
    (folder / "bare.qml").write_text(f"<qgis><pipe><rasterrenderer>{entries}</rasterrenderer></pipe></qgis>")


def _layers(folder: Path) -> None:
    from mapgen.layers.vectorize import vectorize
    from mapgen.roads.extract import extract_roads

    for form in ("geojson", "geojsonl", "gpkg", "fgb", "shp", *(["parquet"] if find_spec("pyarrow") else [])):
        vectorize(folder / "town.mask.tif", folder / f"town.{form}")
    for form in ("gpkg", "geojson", "osm", "osm.pbf", "graphml"):
        extract_roads(folder / "town.mask.tif", folder / f"net.{form}")
    ring = "57.0,24.0,0 57.1,24.0,0 57.1,24.1,0 57.0,24.0,0"
    place = f"<outerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></outerBoundaryIs>"
    (folder / "town.kml").write_text(
        '<?xml version="1.0" encoding="UTF-8"?><kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>'
        f"<name>a</name><Polygon>{place}</Polygon></Placemark></Document></kml>"
    )
    area = [[56.9, 24.3], [57.1, 24.3], [57.1, 24.5], [56.9, 24.5], [56.9, 24.3]]
    (folder / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [area]}))


def _sets(folder: Path) -> None:
    from mapgen.tiling.tiles import tiles

    for name, more in (("t.pmtiles", {}), ("t.mbtiles", {}), ("t", {"format": "folder"}),
                       ("v.pmtiles", {"vector": True}), ("v.mbtiles", {"vector": True})):  # fmt: skip
        tiles(folder / "town.mask.tif", folder / name, **more)


def _models(folder: Path) -> None:
    """A model without a graph and one with, and a network from elsewhere."""
    from mapgen.model.stored import REST, TEXT, named, packed
    from mapgen.model.write import write_tensors

    make_model(folder / "fake.safetensors")
    weight = {"weight": np.zeros((2, 2), np.float32)}
    text, rest = named(*graph_bytes(), weight)
    graph = {TEXT: np.frombuffer(packed(text), np.uint8), REST: np.frombuffer(rest, np.uint8)}
    write_tensors(weight | graph, card(), Output(folder / "graph.safetensors"))
    if find_spec("onnx"):
        from onnx_files import brightness_onnx

        brightness_onnx(folder / "net.onnx")


def _results(folder: Path) -> None:
    """Results of `map`, and what a training run leaves."""
    from mapgen.results.map import Mapper
    from mapgen.results.options import MapOptions

    options = MapOptions(model=str(folder / "good" / "fake.safetensors"), name="town")
    Mapper(options)([str(folder / "scene.tif")], folder / "result")
    (folder / "run").mkdir()
    shutil.copy(ROOT / "examples" / "train_scene.toml", folder / "run.toml")
    shutil.copy(folder / "run.toml", folder / "run" / "config.toml")
    (folder / "run" / "log.csv").write_text("step,loss\n4,0.5\n8,0.25\n")
    shutil.copy(folder / "fake.safetensors", folder / "run" / "checkpoint.safetensors")


def _lists(folder: Path) -> None:
    line = {"input": "good/scene.tif", "output": "out/layer.gpkg", "status": "failed", "mark": {"origin": "a"}}
    (folder / "run.jsonl").write_text("".join(json.dumps(line | {"seconds": n}) + "\n" for n in range(4)))
    (folder / "list.txt").write_text("good/scene.tif\n")


def _left_by_others(folder: Path, segment: Callable[[Path, Path], object]) -> None:
    """The journal of a run that was stopped after two strips, and the lock of one on another machine, long silent."""
    tall = make_raster(folder / "good" / "tall.tif", noise(1100, 20), nodata=0)
    true, calls = Journal.append, []

    def append(self: Journal, *said: Any, **more: Any) -> None:
        true(self, *said, **more)
        calls.append(None)
        if len(calls) == 2:
            raise Interrupted("SIGINT", "stopped")

    Journal.append = append  # type: ignore[method-assign]
    try:
        segment(tall, folder / "hidden" / "map.tif")
    except Interrupted:
        pass
    finally:
        Journal.append = true  # type: ignore[method-assign]
    owner = {"output": "layer.gpkg", "pid": 1, "started": "0", "host": "elsewhere", "boot": "x", "since": "then"}
    (folder / LOCK).write_text(json.dumps({"mapgen_lock": 1, **owner}))
    os.utime(folder / LOCK, (0, 0))
