"""Layers that are there: what a vector file says of itself."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Geometries
from mapgen.errors import InputError, UsageError, one_line, option
from mapgen.files.inputs import note_inputs
from mapgen.files.kind import ANOTHER, SHAPEFILE_PARTS, vector_form
from mapgen.files.parquet import parquet_facts, read_parquet


def layer_facts(path: Path) -> dict[str, Any]:
    """The first layer of a vector file, its features not read: format, geometry, features, fields, crs, bounds.

    Raises `InputError` for what is no vector file.
    """
    import pyogrio

    if not path.is_file():
        raise InputError(one_line(path), "no such file", "check the path")
    note_layer(path)
    form = vector_form(path, one_line(path))
    with reading(one_line(path)):
        facts = parquet_facts(path, one_line(path)) if form == "Parquet" else pyogrio.read_info(path)
    bounds = facts.get("total_bounds")
    return {
        "format": facts["driver"],
        "geometry": facts["geometry_type"],
        "features": facts["features"],
        "fields": list(facts["fields"]),
        "crs": facts["crs"],
        "bounds": None if bounds is None else [float(b) for b in bounds],
    }


def note_layer(path: Path) -> None:
    """The file, and what lies beside it as part of it, are inputs of the run."""
    parts = SHAPEFILE_PARTS if path.suffix.lower() == ".shp" else ()
    note_inputs(path, *(path.with_suffix(suffix) for suffix in parts))


LINE_LAYERS = ("edges", "lines")
"""What the layer of lines is called where a file has several: by mapgen and osmnx, by GDAL of OSM files."""

_LAYERED = ("SQLite", "XML", "OSM", "DXF")
"""Forms that may hold several layers."""


def facts_of(path: Path, subject: str, layer: str | None, preferred: Sequence[str] = ()) -> dict[str, Any]:
    """What the layer to be read says of itself: the named one, of several a preferred one, else the only one."""
    import pyogrio

    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "no such file"
        raise InputError(subject, problem, "check the path")
    if path.stat().st_size == 0:
        raise InputError(subject, "is empty", "get the file again")
    note_layer(path)
    form = vector_form(path, subject)
    if form == "Parquet":
        return parquet_facts(path, subject) | {"layer": None}
    with reading(subject):
        # Tables without geometry, such as the styles that QGIS keeps in a GeoPackage, are no layers of polygons.
        layers = pyogrio.list_layers(path) if form in _LAYERED or layer is not None else [("", "")]
        names = [str(name) for name, geometry in layers if geometry is not None]
        if not names:
            raise InputError(subject, "holds no geometry", "name a file of polygons")
        layer = layer or next((name for name in preferred if name in names), None)
        if layer is None and len(names) > 1:
            raise UsageError(
                option("layer"),
                f"{subject} has several layers ({', '.join(names)})",
                f"such as {option('layer', names[0])}",
            )
        if layer is not None and layer not in names:
            raise InputError(subject, f"has no layer {layer!r}; it has {', '.join(names)}", "use one of these")
        facts: dict[str, Any] = pyogrio.read_info(path, layer=layer or names[0] or None)
    return facts | {"layer": layer or names[0] or None}


def read_shapes(
    path: Path, subject: str, facts: dict[str, Any], columns: Sequence[str] | None = None
) -> tuple[Geometries, NDArray[np.int64], dict[str, NDArray[Any]]]:
    """The geometries of a layer in two dimensions, missing where they cannot be understood; the ids of its features,
    and their attributes by name: all, or those in `columns`. Lists and dictionaries become JSON text.

    `facts` are those of `facts_of`. Raises `InputError` for files that cannot be read or hold no geometry.
    """
    import pyogrio.raw
    import shapely

    if facts["driver"] == "Parquet":
        wkb, values = read_parquet(path, subject, columns)
        ids = np.arange(facts["features"], dtype=np.int64)
    else:
        with reading(subject):
            meta, ids, wkb, fields = pyogrio.raw.read(
                path, layer=facts["layer"], columns=columns, force_2d=True, return_fids=True
            )
        values = {str(k): v for k, v in zip(meta["fields"], fields, strict=True)}
    if wkb is None:
        raise InputError(subject, "holds no geometry", "name a file of polygons")
    shapes: Geometries = np.atleast_1d(shapely.force_2d(shapely.from_wkb(wkb, on_invalid="ignore")))
    return shapes, ids, {k: _flat(v) for k, v in values.items()}


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    """An attribute whose lists and dictionaries have become JSON text."""
    if values.dtype != object or not any(isinstance(v, list | dict | np.ndarray) for v in values):
        return values
    flat = np.empty(len(values), object)
    flat[:] = [_text(v.tolist() if isinstance(v, np.ndarray) else v) for v in values]
    return flat


def _text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value


_SETTINGS = {"OGR_GEOJSON_MAX_OBJ_SIZE": "0", "GML_DOWNLOAD_SCHEMA": "NO"}
"""Some features are larger than GDAL's limit of 200 MB for one, such as the dissolved classes of a large map; a GML may
name a schema on the network."""

_readers: list[object] = []
_before: dict[str, Any] = {}
_lock = Lock()


@contextmanager
def reading(subject: str) -> Iterator[None]:
    """In the block, GDAL reads vector files by mapgen's settings and without warnings; its errors become `InputError`.

    The settings are those of the process, so they are as they were once nobody reads any more.
    """
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError

    try:
        with _settings(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DataLayerError, DataSourceError, FeatureError, GeometryError) as exc:
        raise InputError(subject, f"cannot be read ({one_line(exc)[:120]})", ANOTHER) from exc


@contextmanager
def _settings() -> Iterator[None]:
    import pyogrio

    with _lock:
        if not _readers:
            _before.update({key: pyogrio.get_gdal_config_option(key) for key in _SETTINGS})
            pyogrio.set_gdal_config_options(_SETTINGS)
        _readers.append(None)
    try:
        yield
    finally:
        with _lock:
            _readers.pop()
            if not _readers:
                pyogrio.set_gdal_config_options(_before)
