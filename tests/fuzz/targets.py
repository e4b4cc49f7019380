"""The parsers that are mapgen's own, each as a function of bytes: it returns, or raises what it is documented to raise.

`tests/fuzz/with_atheris.py` runs them for hours, guided by what they cover; `test_targets.py` with a few seeds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from mapgen.cli.course import inputs_of
from mapgen.errors import Interrupted, MapgenError
from mapgen.files import lock, tiff, untrusted
from mapgen.files.journal import Journal, described
from mapgen.files.kind import vector_form
from mapgen.files.protobuf import NotAMessage, fields
from mapgen.files.vet import driver_of
from mapgen.layers.whole import layer_faults
from mapgen.model import onnx, onnx_keys, stored
from mapgen.model.card import ModelCard
from mapgen.model.file import open_model
from mapgen.model.graph import NotAGraph, canonical, constants
from mapgen.raster.legends import read_names
from mapgen.results.report import read_report
from mapgen.settings import parse_bytes, parse_size
from mapgen.tiling.containers.container import READING, open_tiles, summed
from mapgen.tiling.containers.pmtiles import Directory
from mapgen.training.config import parse_config

Target = Callable[[bytes], None]

_FOLDER = Path(tempfile.mkdtemp(prefix="mapgen-fuzz-"))


def as_file(name: str, look: Callable[[Path], object], *allowed: type[Exception]) -> Target:
    """A target that looks at a file of this name, which holds the bytes."""

    def target(data: bytes) -> None:
        path = _FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        with suppress(MapgenError, *allowed):
            look(path)

    return target


def as_text(look: Callable[[str], object], *allowed: type[Exception]) -> Target:
    """A target that looks at a text."""

    def target(data: bytes) -> None:
        with suppress(MapgenError, *allowed):
            look(data.decode("utf-8", "replace"))

    return target


def of_onnx(data: bytes) -> None:
    """The outline of an ONNX file, and what its keys say."""
    with suppress(MapgenError):
        onnx_keys.said(onnx.outline(data, "it").keys, "it")


def of_graph(data: bytes) -> None:
    """A graph as XML. Law: written anew twice it is the same, and its constants lie in the block."""
    with suppress(NotAGraph):
        text = canonical(data, 4096)
        assert canonical(text, 4096) == text
        assert all(0 <= start <= start + size <= 4096 for _, start, size in constants(text))


def of_stored_graph(data: bytes) -> None:
    """A graph as it is packed in a model file."""
    with suppress(NotAGraph):
        stored.unpacked(data)


def of_message(data: bytes) -> None:
    """A protocol buffer. Law: its fields are no more than its bytes."""
    with suppress(NotAMessage):
        assert sum(len(v) for _, _, v in fields(memoryview(data)) if not isinstance(v, int)) <= len(data)


def of_packed(data: bytes) -> None:
    """Packed bytes. Law: never more than the limit."""
    with suppress(ValueError):
        assert len(untrusted.unpacked(data, 1 << 16)) <= 1 << 16


def of_json(data: bytes) -> None:
    """JSON. Law: what is an object is one."""
    with suppress(ValueError):
        assert isinstance(untrusted.json_object(data), dict)


def of_directory(data: bytes) -> None:
    """A directory of PMTiles. Law: what is in order is the same after it was written and read."""
    with suppress(ValueError):
        found = Directory.decode(data)
        columns = np.array([found.ids, found.runs, found.offsets, found.lengths])
        if columns.size and columns.min() >= 0 and columns.max() < 1 << 60 and (np.diff(found.ids) >= 0).all():
            again = Directory.decode(found.encode())
            np.testing.assert_array_equal(columns, [again.ids, again.runs, again.offsets, again.lengths])


def of_tiles(path: Path) -> None:
    with open_tiles(path) as tiles:
        tiles.get(tiles.info.max_zoom, 1, 1)
        summed(tiles)


def of_journal(path: Path) -> None:
    said = described(path)
    if said is None:
        return
    with Journal(path.parent / "map.tif", said["key"]) as one:
        one.path = path
        for told, data in one.parts():
            assert isinstance(told, dict)
            assert isinstance(data, bytes)
        raise Interrupted("SIGINT", "stopped")


def of_sizes(text: str) -> None:
    for parse in (parse_size, parse_bytes):
        with suppress(MapgenError):
            parse("size", text)


TARGETS: dict[str, tuple[Target, str]] = {
    "onnx": (of_onnx, "net.onnx"),
    "message": (of_message, "net.onnx"),
    "graph": (of_graph, "graph.xml"),
    "stored graph": (of_stored_graph, "graph.packed"),
    "packed": (of_packed, "graph.packed"),
    "json": (of_json, "result/report.json"),
    "directory": (of_directory, "directory.packed"),
    "pmtiles": (as_file("x.pmtiles", of_tiles, *READING), "v.pmtiles"),
    "mbtiles": (as_file("x.mbtiles", of_tiles, *READING), "v.mbtiles"),
    "tilejson": (as_file("t/tilejson.json", lambda path: of_tiles(path.parent), *READING), "t/tilejson.json"),
    "safetensors": (as_file("x.safetensors", open_model), "fake.safetensors"),
    "journal": (as_file("journal", of_journal), "hidden/journal"),
    "lock": (as_file("lock", lock.described), "hidden/lock"),
    "tiff": (as_file("x.tif", lambda path: (tiff.tiff_pages(path), tiff.stored_blocks(path))), "scene.tif"),
    "vrt": (as_file("x.vrt", driver_of), "scene.vrt"),
    "vector form": (as_file("x.geojson", lambda path: vector_form(path, "it")), "town.kml"),
    "geojson": (as_file("x.geojsonl", layer_faults), "town.geojsonl"),
    "osm": (as_file("x.osm", layer_faults), "net.osm"),
    "osm.pbf": (as_file("x.osm.pbf", layer_faults), "net.osm.pbf"),
    "legend": (as_file("x.qml", lambda path: read_names(path.with_suffix(".tif"), {}, {})), "bare.qml"),
    "table": (as_file("y.tif.aux.xml", lambda path: read_names(path.with_suffix("").with_suffix(""), {}, {})),
              "result/town.mask.tif.aux.xml"),
    "tag": (as_text(lambda text: read_names(None, {"MAPGEN_LEGEND": text}, {})), "legend.json"),
    "card": (as_text(lambda text: ModelCard.from_json(text, "it")), "card.json"),
    "config": (as_text(parse_config), "run.toml"),
    "report": (as_file("r/report.json", lambda path: read_report(path.parent)), "result/report.json"),
    "list": (as_file("run.jsonl", lambda path: inputs_of([], [path], None)), "run.jsonl"),
    "sizes": (as_text(of_sizes), "size.txt"),
}  # fmt: skip
"""By name the target, and the file that its examples are like; see `examples`."""


def examples(folder: Path) -> dict[str, bytes]:
    """An example for each target, from the folder of `whole_files.make_all`."""
    from factory import LEGEND, card
    from graphs import graph_bytes
    from whole_files import JOURNAL, LOCK

    text, _ = graph_bytes()
    archive = (folder / "v.pmtiles").read_bytes()
    first = int.from_bytes(archive[8:16], "little")
    made = {
        "graph.xml": text, "graph.packed": stored.packed(text), "card.json": card().to_json().encode(),
        "directory.packed": archive[first : first + int.from_bytes(archive[16:24], "little")],
        "legend.json": json.dumps(LEGEND.to_json()).encode(), "size.txt": b"20m2",
        "hidden/journal": (folder / JOURNAL).read_bytes(), "hidden/lock": (folder / LOCK).read_bytes(),
    }  # fmt: skip
    likes = {like for _, like in TARGETS.values()}
    made |= {like: (folder / like).read_bytes() for like in likes - set(made) if (folder / like).is_file()}
    return {name: made[like] for name, (_, like) in TARGETS.items() if like in made}
