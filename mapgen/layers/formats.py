"""Layers as Arrow data, built from plain buffers: what GDAL's writers read, without the weight of pyarrow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.layers.geojson_wkb import wkb
from mapgen.layers.layer import Layer

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
