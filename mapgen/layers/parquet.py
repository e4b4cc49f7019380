"""GeoParquet 1.1: an extra, since pyarrow alone weighs more than the rest of mapgen's vector code together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.errors import OutputError, UsageError
from mapgen.layers.formats import arrow_stream
from mapgen.layers.layer import Layer


def check_pyarrow() -> None:
    """Raise `UsageError` with what to install where pyarrow is missing."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise UsageError("--format parquet", "GeoParquet needs pyarrow", 'pip install "mapgen[parquet]"')


def write_parquet(path: Path, layer: Layer) -> None:
    """Write the layer as GeoParquet 1.1 (WKB, counter-clockwise), and read the number of its rows back."""
    check_pyarrow()
    import pyarrow
    import pyarrow.parquet

    stream = pyarrow.RecordBatchReader.from_stream(arrow_stream(layer))
    schema = stream.schema.with_metadata({"geo": json.dumps(_metadata(layer))})
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in stream:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
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
