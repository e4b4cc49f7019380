"""Whether a layer or network is whole: every feature read, and what its format brings to tell."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree

from mapgen.errors import one_line
from mapgen.files.kind import PARQUET_SUFFIXES, vector_form
from mapgen.files.protobuf import fields
from mapgen.files.untrusted import parsed_json, unpacked
from mapgen.files.vectors import facts_of, read_shapes, reading

JSON = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson")
XML = {".osm": "osm", ".graphml": "graphml"}

_HEAD_LIMIT, _BLOCK_LIMIT = 1 << 16, 1 << 25
"""Bytes that the parts of an OSM PBF may have, by its format."""


def layer_faults(path: Path) -> tuple[list[str], list[str]]:
    """What is wrong with a layer, in words, and what cannot be known of it. Raises `InputError`, `UsageError`."""
    suffix = path.suffix.lower()
    if suffix in XML:
        return _xml_faults(path, XML[suffix]), ["whether a digit has changed: the format has no checksums"]
    faults = list(_json_faults(path)) if suffix in JSON else []
    if suffix == ".shp":
        gone = [part for part in (".shx", ".dbf") if not path.with_suffix(part).is_file()]
        faults += [f"its part {path.with_suffix(part).name} is missing" for part in gone]
        faults += _shapefile_faults(path)
    if suffix == ".gpkg":
        faults += _database_faults(path)
    if suffix == ".pbf":
        return _pbf_faults(path), []
    layers = [] if faults else _layers(path)
    if not (faults or layers):
        faults.append("it has no layer")
    for layer in layers:
        facts = facts_of(path, path.name, layer)
        shapes, _, _ = read_shapes(path, path.name, facts)
        broken = sum(shape is None for shape in shapes)
        if broken:
            faults.append(f"{broken} geometries cannot be read")
        if facts["features"] != len(shapes):
            faults.append(f"it says that it has {facts['features']} features, {len(shapes)} can be read")
    if path.suffix.lower() in PARQUET_SUFFIXES:
        return faults, []
    return faults, ["whether a digit of a coordinate or an attribute has changed: the format has no checksums"]


def _layers(path: Path) -> list[str | None]:
    """The layers with geometry: a network has several; None for the only one of a GeoParquet."""
    import pyogrio

    if path.suffix.lower() in PARQUET_SUFFIXES:
        return [None]
    with reading(path.name):
        vector_form(path, path.name)
        return [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]


def _json_faults(path: Path) -> Iterator[str]:
    """Of GeoJSON, as a whole or line by line; mapgen writes a line a feature, so no large file is held in memory."""
    try:
        with open(path, encoding="utf-8") as stream:
            whole = path.suffix.lower() in (".geojson", ".json")
            if whole and not next(stream, "").startswith('{"type":"FeatureCollection","name":'):  # of another program
                stream.seek(0)
                parsed_json(stream.read())
                return
            last = "\n"
            for number, line in enumerate(stream, 2 if whole else 1):
                last = line
                if whole and line.strip() in ("]}", ""):
                    continue
                reason = _feature_fault(parsed_json(line.rstrip().removesuffix(",") if whole else line))
                if reason:
                    yield f"line {number}: {reason}"
                    return
            if last.rstrip("\n") != "]}" if whole else not last.endswith("\n"):
                yield "it is cut off"
    except ValueError as exc:
        yield f"it is not JSON ({one_line(exc)[:100]})"


def _feature_fault(feature: Any) -> str:
    """What is wrong with a feature; empty where nothing is."""
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        return "it is not a feature"
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict) or not isinstance(geometry.get("coordinates"), list):
        return "its geometry cannot be read"
    nested = {"Polygon": 1, "MultiPolygon": 2}.get(str(geometry.get("type")), 0)
    rings = geometry["coordinates"]
    try:
        for _ in range(nested - 1):
            rings = [ring for part in rings for ring in part]
        if nested and any(len(ring) < 4 or ring[0] != ring[-1] for ring in rings):
            return "a ring is not closed"
        if not all(_on_earth(point) for ring in rings for point in ring) if nested else False:
            return "a coordinate is not on Earth"
    except (TypeError, ValueError, LookupError, OverflowError):
        return "its geometry cannot be read"
    return ""


def _on_earth(point: Any) -> bool:
    lon, lat = point[:2]
    return math.isfinite(lon + lat) and abs(lon) <= 180 and abs(lat) <= 90


def _shapefile_faults(path: Path) -> list[str]:
    """Of a shapefile: its headers say how long its parts are."""
    faults = []
    for part in (path, path.with_suffix(".shx")):
        if part.is_file():
            with open(part, "rb") as stream:
                head = stream.read(28)
            if len(head) < 28 or 2 * int.from_bytes(head[24:28], "big") != part.stat().st_size:
                faults.append(f"{part.name} is not as long as it says")
    return faults


def _database_faults(path: Path) -> list[str]:
    with open(path, "rb") as stream:
        head = stream.read(32).ljust(32, b"\0")
    page = int.from_bytes(head[16:18], "big")  # https://www.sqlite.org/fileformat2.html#the_database_header
    if (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big") != path.stat().st_size:
        return ["it is not as long as it says"]
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(3)")]
            return [] if found == ["ok"] else [f"SQLite finds: {one_line(text)[:120]}" for text in found]
    except sqlite3.Error as exc:
        return [f"SQLite cannot read it ({one_line(exc)[:120]})"]


def _pbf_faults(path: Path) -> list[str]:
    """Of OSM PBF: its blocks follow on each other to the end, and each unpacks to what its checksum says.

    https://wiki.openstreetmap.org/wiki/PBF_Format
    """
    blocks, size = 0, path.stat().st_size
    with open(path, "rb") as stream:
        while stream.tell() < size:
            try:
                head = _message(stream, int.from_bytes(stream.read(4), "big"), _HEAD_LIMIT)
                packed = _message(stream, head.get(3), _BLOCK_LIMIT).get(3)
                if not isinstance(packed, memoryview):
                    raise ValueError("it holds no packed data")
                unpacked(bytes(packed))
            except ValueError as exc:
                return [f"block {blocks + 1} cannot be read ({one_line(exc)})"]
            blocks += 1
    return [] if blocks else ["it holds no data"]


def _message(stream: BinaryIO, length: int | memoryview | None, most: int) -> dict[int, int | memoryview]:
    """The fields by number of the message of a length that begins here. Raises `ValueError`."""
    if not isinstance(length, int) or length > most:
        raise ValueError("it does not say how long it is, or more than can be")
    data = stream.read(length)
    if len(data) != length:
        raise ValueError("it is cut off")
    return {number: value for number, _, value in fields(memoryview(data))}


def _xml_faults(path: Path, root: str) -> list[str]:
    """Of OSM XML or GraphML: it is well-formed, and the nodes that edges name are there."""
    nodes, named = set(), set()
    try:
        for _, element in ElementTree.iterparse(path):
            tag = element.tag.rpartition("}")[2]
            if tag == "node":
                nodes.add(element.get("id"))
            named |= {element.get("ref")} if tag == "nd" else set()
            named |= {element.get("source"), element.get("target")} if tag == "edge" else set()
            last = tag
            if tag in ("node", "way", "edge"):
                element.clear()
    except (ElementTree.ParseError, ValueError) as exc:
        return [f"it is not XML ({one_line(exc)[:100]})"]
    if last != root:
        return [f"it is not {root}"]
    return [f"{len(named - nodes)} nodes that its edges name are missing"] if named - nodes else []
