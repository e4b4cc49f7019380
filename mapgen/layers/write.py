"""Layers as files: GeoJSON by mapgen's own writer, all other formats through GDAL, fed with Arrow."""

from __future__ import annotations

import errno
import shutil
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from mapgen.errors import OutputError, UsageError, one_line, option
from mapgen.files.commit import Output, staged, translated, unwritten
from mapgen.files.inputs import is_input
from mapgen.files.kind import SHAPEFILE_PARTS
from mapgen.files.vectors import reading
from mapgen.layers.formats import OURS, STYLED, add_styles, arrow_stream, check_geopackage, layer_qml
from mapgen.layers.geojson_wkb import geojson_features
from mapgen.layers.layer import Layer
from mapgen.parallel import in_order

SUFFIXES = {
    ".geojson": "geojson", ".json": "geojson", ".geojsonl": "geojsonl", ".geojsons": "geojsonl", ".ndjson": "geojsonl",
    ".gpkg": "gpkg", ".fgb": "fgb", ".parquet": "parquet", ".geoparquet": "parquet", ".shp": "shp",
}  # fmt: skip
"""The format that a suffix stands for."""

FORMATS = tuple(dict.fromkeys(SUFFIXES.values()))
LONLAT_FORMATS = ("geojson", "geojsonl")
"""Formats whose coordinates are longitude and latitude on WGS 84 by definition (RFC 7946, RFC 8142)."""

CHUNK = 20_000
"""Features that are encoded at a time."""

_GPKG_VERSION = {"VERSION": "1.2"}
"""Of a new GeoPackage: GDAL before 3.7, and with it QGIS and R of many a machine, warns of anything newer."""

_DRIVERS = {"gpkg": "GPKG", "fgb": "FlatGeobuf", "shp": "ESRI Shapefile"}


def write_layer(
    output: Output,
    layer: Layer,
    form: str,
    *,
    digits: int = 7,
    decimals: dict[str, int] | None = None,
    append: bool = False,
    threads: int = 1,
) -> int:
    """Write the layer in one of FORMATS; return the size of the file in bytes.

    `digits` and `decimals` (of coordinates, of attributes) hold for GeoJSON; the other formats store floats whole.
    `append` adds the layer to an existing GeoPackage. The file is opened again and its features counted before it
    takes its place. Raises `OutputError`; then nothing is left, and an old file is untouched.
    """
    path = output.path
    with staged(replace(output, overwrite=output.overwrite or append, beside=sidecars(path, form))) as temporary:
        if append and path.exists():
            shutil.copyfile(path, temporary)
        if form in LONLAT_FORMATS:
            _write_json(temporary, layer, form, digits, decimals or {}, threads, path)
        elif form == "parquet":
            from mapgen.layers.formats import write_parquet

            write_parquet(temporary, layer)
        else:
            _write_ogr(temporary, layer, form, append, path)
        if form != "gpkg":  # which has its style inside
            _write_style(temporary.with_suffix(".qml"), path.with_suffix(".qml"), layer, output.overwrite)
        return temporary.stat().st_size


def _write_style(temporary: Path, final: Path, layer: Layer, overwrite: bool) -> None:
    """Write what QGIS draws the layer with, unless a style is there that is not ours or that the class map has."""
    if len(layer.classes) > STYLED:
        return
    try:
        if final.exists() and (is_input(final) or not (overwrite and OURS in final.read_bytes())):
            return
        temporary.write_bytes(layer_qml(layer.classes, OURS))
    except OSError as exc:
        if exc.errno != errno.ENAMETOOLONG:
            raise


def sidecars(path: Path, form: str) -> dict[str, bytes | None]:
    """The names of what lies beside a layer and is part of it."""
    return dict.fromkeys(path.stem + suffix for suffix in SHAPEFILE_PARTS) if form == "shp" else {}


def stream_layer(out: BinaryIO, layer: Layer, digits: int, decimals: dict[str, int], threads: int = 1) -> None:
    """Write the layer as newline-delimited GeoJSON (GeoJSONSeq) to an open stream."""
    for part in _json_parts(layer, "geojsonl", digits, decimals, threads):
        out.write(part)
    out.flush()


def _write_json(
    path: Path, layer: Layer, form: str, digits: int, decimals: dict[str, int], threads: int, final: Path
) -> None:
    checksum, size = 0, 0
    with open(path, "wb") as stream:
        for part in _json_parts(layer, form, digits, decimals, threads):
            stream.write(part)
            checksum, size = zlib.crc32(part, checksum), size + len(part)
    found, length = 0, 0
    with open(path, "rb") as stream:
        while part := stream.read(1 << 22):
            found, length = zlib.crc32(part, found), length + len(part)
    if (found, length) != (checksum, size):
        raise _damaged(final)


def _json_parts(layer: Layer, form: str, digits: int, decimals: dict[str, int], threads: int) -> Iterator[bytes]:
    import json

    if form == "geojson":
        yield (
            b'{"type":"FeatureCollection","name":'
            + json.dumps(layer.name, ensure_ascii=False).encode()
            + b',"features":[\n'
        )
    places = {name: decimals.get(name, 6) for name in layer.columns}
    held = b""
    ranges = [(first, min(first + CHUNK, len(layer))) for first in range(0, len(layer), CHUNK)]
    for _, part in in_order(lambda r: geojson_features(layer, *r, digits, places), ranges, threads, threads + 1):
        yield held
        # The comma after the last feature of all must not be written, so the end of each part waits for the next.
        part = part.replace(b"},\n{", b"}\n{") if form == "geojsonl" else part
        part, held = part[:-2], (b",\n" if form == "geojson" else b"\n")
        yield part
    if form == "geojson":
        yield b"\n]}\n"
    else:
        yield held


def _write_ogr(path: Path, layer: Layer, form: str, append: bool, final: Path) -> None:
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError, FieldError, GeometryError

    before = _joined_layer(path, layer) if append and path.exists() else 0
    try:
        with warnings.catch_warnings(), translated(final):
            warnings.simplefilter("ignore")
            pyogrio.write_arrow(
                arrow_stream(layer, short=form == "shp"),
                str(path),
                driver=_DRIVERS[form],
                layer=layer.name if form != "shp" else None,
                geometry_name="geometry",
                geometry_type="MultiPolygon" if layer.any_multi else "Polygon",
                crs=layer.crs or "OGC:CRS84",
                append=before > 0,
                dataset_options={} if form != "gpkg" or path.exists() else _GPKG_VERSION,
            )
        if form == "gpkg":
            add_styles(path, layer)
            check_geopackage(path, {layer.name: before + len(layer)}, final)
        elif _count(path, None) != len(layer):
            raise _damaged(final)
    except (DataSourceError, DataLayerError, FieldError, GeometryError) as exc:
        raise unwritten(final, exc) from exc


def _joined_layer(path: Path, layer: Layer) -> int:
    """How many features the layer of this name has already. Raises `UsageError` where its CRS is another."""
    import pyogrio
    import pyproj

    count = _count(path, layer.name)
    if count:
        found = pyogrio.read_info(path, layer=layer.name)["crs"]
        if found is None or not pyproj.CRS(found).equals(pyproj.CRS(layer.crs or "OGC:CRS84"), ignore_axis_order=True):
            problem = f"the layer {one_line(layer.name)} is in {one_line(found)[:80]}"
            raise UsageError(
                option("append"), problem, f"give the same with {option('crs')}, or another {option('layer_name')}"
            )
    return count


def _count(path: Path, layer: str | None) -> int:
    import pyogrio

    with reading(path.name):
        names = [str(n) for n in pyogrio.list_layers(path)[:, 0]]
        if layer is not None and layer not in names:
            return 0
        return int(pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"])


def _damaged(final: Path) -> OutputError:
    return OutputError(final, "did not read back as written (a full or failing disk?)", "free some space and run again")
