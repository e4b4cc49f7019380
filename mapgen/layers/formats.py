"""Layers as Arrow data, built from plain buffers: what GDAL's writers read, without the weight of pyarrow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

import numpy as np
from numpy.typing import NDArray

from mapgen.errors import OutputError, option
from mapgen.files.commit import unwritten
from mapgen.files.parquet import check_pyarrow
from mapgen.layers.geojson_wkb import wkb
from mapgen.layers.layer import Layer
from mapgen.legend import LayerClass
from mapgen.raster.style import add_categories

BATCH = 50_000
"""Features in one record batch; the offsets of its geometries are 32 bits wide."""

SHORT_NAMES = {"perimeter_m": "perim_m", "confidence": "conf", "confidence_min": "conf_min"}
"""Shapefiles cut field names at ten characters."""


def arrow_stream(layer: Layer, *, short: bool = False) -> Any:
    """The layer as an Arrow stream: the attributes, then `geometry` as WKB. NaN becomes null.

    `short` gives field names that fit a shapefile.
    """
    import nanoarrow as na
    from nanoarrow.c_array_stream import CArrayStream

    fields: dict[str, Any] = {"class_id": na.int64(), "class_name": na.string()}
    fields |= {SHORT_NAMES.get(k, k) if short else k: na.float64() for k in layer.columns}
    schema = na.c_schema(na.struct({**fields, "geometry": na.binary()}))
    batches = [_batch(layer, first, min(first + BATCH, len(layer)), schema) for first in range(0, len(layer), BATCH)]
    return CArrayStream.from_c_arrays(batches, schema)


def _batch(layer: Layer, first: int, last: int, schema: Any) -> Any:
    import nanoarrow as na

    count = last - first
    children = [
        na.c_array_from_buffers(na.int64(), count, [None, layer.ids[first:last]]),
        na.c_array_from_buffers(na.string(), count, [None, *_names(layer, first, last)]),
    ]
    for values in layer.columns.values():
        part = np.ascontiguousarray(values[first:last], np.float64)
        missing = np.isnan(part)
        known = np.packbits(~missing, bitorder="little") if missing.any() else None
        children.append(na.c_array_from_buffers(na.float64(), count, [known, part], null_count=int(missing.sum())))
    offsets, data = wkb(layer, first, last)
    children.append(na.c_array_from_buffers(na.binary(), count, [None, offsets.astype(np.int32), data]))
    return na.c_array_from_buffers(schema, count, [None], children=children)


def _names(layer: Layer, first: int, last: int) -> tuple[NDArray[np.int32], bytes]:
    """Offsets and bytes of the class names of some features."""
    names = [c.name.encode("utf-8", "replace") for c in layer.classes]
    kinds = layer.kinds[first:last]
    lengths = np.array([len(n) for n in names] or [0])[kinds]
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)
    return offsets, b"".join([names[k] for k in kinds])


_TABLE = """CREATE TABLE IF NOT EXISTS layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""

_REGISTER = """INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description, srs_id)
  VALUES ('layer_styles', 'attributes', 'layer_styles', '', 0)"""

_INSERT = """INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName,
  styleQML, styleSLD, useAsDefault, description, owner, update_time) VALUES ('', '', ?, ?, ?, ?, '', 1, ?, '', ?)"""

STYLED = 1000
"""More classes than this are numbers of things rather than kinds, and get no style."""

_BOX = ("xmin", "ymin", "xmax", "ymax")

_EPOCH = "1980-01-01T00:00:00.000Z"
"""A fixed time of the style, so that the same layer gives the same bytes."""


def add_styles(path: Path, layer: Layer) -> None:
    """Make the class colours the default style of the layer in the GeoPackage at `path`, in place of an older one."""
    if len(layer.classes) <= STYLED:
        add_style(path, layer.name, "classes", layer_qml(layer.classes), "class colours")


def add_style(path: Path, layer: str, name: str, qml: bytes, description: str) -> None:
    """Make a QGIS style the default one of a layer in the GeoPackage at `path`, in place of an older one."""
    with closing(sqlite3.connect(path)) as db, _said(path), db:
        (column,) = db.execute(
            "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
        ).fetchone()
        db.execute(_TABLE)
        db.execute(_REGISTER)
        db.execute("DELETE FROM layer_styles WHERE f_table_name = ? AND useAsDefault", (layer,))
        db.execute(_INSERT, (layer, column, name, qml.decode(), description, _EPOCH))


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Turn SQLite's errors of writing into `OutputError`."""
    try:
        yield
    except sqlite3.Error as exc:
        raise unwritten(path.parent.with_name(path.name), exc) from exc  # it is written in a folder beside its place


def check_geopackage(path: Path, counts: Mapping[str, int], final: Path) -> None:
    """Raise `OutputError`, naming `final`, unless each layer of a GeoPackage has so many features, all in its index.

    GDAL leaves the spatial index out, without a word, where the disk is full by then.
    """
    damaged = OutputError(final, "did not read back as written (a full or failing disk?)", "free some space")
    try:
        with closing(sqlite3.connect(path)) as db:
            for layer, count in counts.items():
                query = "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?"
                (column,) = db.execute(query, (layer,)).fetchone()
                for table in (layer, f"rtree_{layer}_{column}") if count else (layer,):
                    quoted = table.replace('"', '""')
                    if db.execute(f'SELECT count(*) FROM "{quoted}"').fetchone() != (count,):
                        raise damaged
    except (sqlite3.Error, TypeError) as exc:
        raise damaged from exc


OURS = b"<!-- by mapgen for a layer -->"
"""What a style beside a layer begins with, so that it is known from one that somebody made."""


def layer_qml(classes: tuple[LayerClass, ...], remark: bytes = b"") -> bytes:
    """A QGIS style that fills the polygons of each class with its colour, by the attribute `class_id`."""
    root = Element("qgis", version="3.28", styleCategories="Symbology")
    add_categories(root, classes)
    head = b"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + (remark + b"\n" if remark else b"")
    return head + tostring(root, encoding="utf-8")


def write_parquet(path: Path, layer: Layer) -> None:
    """Write the layer as GeoParquet 1.1 (WKB, counter-clockwise), and read the number of its rows back.

    The column `bbox` has the box of each feature, by which readers skip what they do not want (the covering
    of GeoParquet).
    """
    check_pyarrow(option("format", "parquet"))
    import pyarrow
    import pyarrow.parquet
    import shapely

    stream = pyarrow.RecordBatchReader.from_stream(arrow_stream(layer))
    box = pyarrow.struct([(name, pyarrow.float64()) for name in _BOX])
    schema = stream.schema.append(pyarrow.field("bbox", box)).with_metadata({"geo": json.dumps(_metadata(layer))})
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for batch in stream:
            bounds = shapely.bounds(shapely.from_wkb(batch["geometry"].to_numpy(zero_copy_only=False)))
            boxes = pyarrow.StructArray.from_arrays([*bounds.reshape(-1, 4).T.copy()], fields=list(box))
            writer.write_batch(pyarrow.record_batch([*batch.columns, boxes], schema=schema))
    if pyarrow.parquet.read_metadata(path).num_rows != len(layer):
        raise OutputError(path.name, "did not read back as written", "free some space and run again")


def _metadata(layer: Layer) -> dict[str, Any]:
    import pyproj

    x, y = layer.lines.x, layer.lines.y
    crs = pyproj.CRS(layer.crs or "OGC:CRS84").to_json_dict()
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": _kinds(layer),
        "crs": crs,
        "orientation": "counterclockwise",
        "edges": "planar",
        "covering": {"bbox": {name: ["bbox", name] for name in _BOX}},
    }
    if len(layer):
        column["bbox"] = [float(v) for v in (np.min(x), np.min(y), np.max(x), np.max(y))]
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _kinds(layer: Layer) -> list[str]:
    if not len(layer):
        return []
    multi = np.diff(layer.features) != 1
    return (
        ["MultiPolygon"] if layer.multi or multi.all() else ["MultiPolygon", "Polygon"] if multi.any() else ["Polygon"]
    )
