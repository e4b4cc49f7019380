"""What a file is: by its name, which says who is to read it, and by its first bytes, which say whether it may be read.

Lists of suffixes are kept here and nowhere else.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from mapgen.errors import InputError
from mapgen.files.vet import is_http, is_url

PARQUET_SUFFIXES = (".parquet", ".geoparquet")

VECTOR_SUFFIXES = (
    ".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".gpkg", ".fgb", ".shp", ".kml", ".gml",
    *PARQUET_SUFFIXES, ".tab", ".dxf",
)  # fmt: skip
"""Of files of polygons or lines."""

NETWORK_SUFFIXES = (*VECTOR_SUFFIXES, ".osm", ".pbf", ".graphml")
"""Of files of lines."""

SHAPEFILE_PARTS = (".dbf", ".shx", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qpj")
"""What may lie beside a shapefile and is part of it."""

ARCHIVE_SUFFIXES = (".pmtiles", ".mbtiles")
"""Of sets of tiles in one file."""

PICTURE_SUFFIXES = (".png", ".webp", ".jpg")

REPORT, TILEJSON = "report.json", "tilejson.json"
"""What says that a folder holds the results of `map`, or tiles."""

Kind = Literal["model", "layer", "tiles", "result", "folder", "raster"]
Form = Literal["Parquet", "SQLite", "FlatGeobuf", "Shapefile", "XML", "OSM", "GeoJSON", "MapInfo", "DXF"]


def kind_of(name: str) -> Kind:
    """What is expected under a name; whether it is that is for its reader to find out.

    A folder that says neither that it holds results nor that it holds tiles is just a folder; what is fetched is always
    a raster.
    """
    path, suffix = Path(name), suffix_of(name)
    if is_url(name):
        return "raster"
    if suffix == ".safetensors":  # a folder of that name too: the reader of models says that it is none
        return "model"
    if path.is_dir():
        return "tiles" if (path / TILEJSON).is_file() else "result" if (path / REPORT).is_file() else "folder"
    return "tiles" if suffix in ARCHIVE_SUFFIXES else "layer" if suffix in VECTOR_SUFFIXES else "raster"


def suffix_of(name: str) -> str:
    """The suffix of a path, or of a URL without its query, in lower case."""
    return Path(name.split("?", 1)[0] if is_http(name) else name).suffix.lower()


def is_vectors(name: str) -> bool:
    """Whether a file is taken for polygons, by its name."""
    return suffix_of(name) in VECTOR_SUFFIXES


def is_lines(name: str) -> bool:
    """Whether a map or a truth is taken for lines, by its name."""
    return suffix_of(name) in NETWORK_SUFFIXES


def vector_form(path: Path, subject: str) -> Form:
    """The form of a vector file by its first bytes. Raises `InputError` unless it is one that mapgen reads.

    GDAL itself would try every driver it has, whatever the file is called, and some of them (a virtual layer, a list of
    tile indexes) read other files or the network. It takes a file for a virtual layer if it finds the mark of one near
    the beginning, be it in a comment, a string or behind another format's first bytes.
    """
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    form = next((form for start, form in _BINARY if head.startswith(start)), None) or _text_form(text)
    if form is None and head[4:].startswith(b"\n\x09OSMHeader"):
        form = "OSM"
    if form is None or _NAMES_A_SOURCE.search(head):
        raise InputError(subject, f"cannot be read (it begins as none of {_KNOWN})", ANOTHER)
    return form


def _text_form(head: bytes) -> Form | None:
    if head.startswith(b"<"):
        root = _ROOT.match(head)
        if root is None:
            return None
        return "OSM" if root[1] == b"osm" else "XML" if root[1] == b"kml" or b"opengis.net/gml" in head else None
    if head.startswith((b"{", b"[", b"\x1e")):  # the last separates records
        return "GeoJSON"
    return "MapInfo" if head.startswith(b"!table") else "DXF" if _DXF.match(head) else None


_HEAD = 16_384
_BINARY: tuple[tuple[bytes, Form], ...] = (
    (b"SQLite format 3\0", "SQLite"), (b"fgb", "FlatGeobuf"), (b"\0\0\x27\x0a", "Shapefile"), (b"PAR1", "Parquet"),
)  # fmt: skip
_ROOT = re.compile(rb"(?:<\?.*?\?>\s*|<!--.*?-->\s*|<!DOCTYPE[^<>\[]*>\s*)*<(?:\w+:)?(\w+)", re.DOTALL)
_NAMES_A_SOURCE = re.compile(rb"<\w*DataSource", re.IGNORECASE)
_DXF = re.compile(rb"(0\s+SECTION|999\s)")  # pairs, the first a section or a comment
_KNOWN = "GeoJSON, GeoPackage, FlatGeobuf, Shapefile, GeoParquet, KML, GML, OSM, MapInfo, DXF"
ANOTHER = "is it a class raster, GeoJSON, GPKG or another vector file? get it again"
