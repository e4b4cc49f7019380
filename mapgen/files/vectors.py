"""Layers that are there: what a vector file says of itself."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
from numpy.typing import NDArray

from mapgen.arrays import Geometries
from mapgen.errors import InputError, UsageError, one_line, option
from mapgen.files.inputs import note_inputs
from mapgen.files.parquet import is_parquet, parquet_facts, read_parquet


def layer_facts(path: Path) -> dict[str, Any]:
    """The first layer of a vector file, its features not read: format, geometry, features, fields, crs, bounds.

    Raises `InputError` for what is no vector file.
    """
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    if not path.is_file():
        raise InputError(one_line(path), "no such file", "check the path")
    note_layer(path)
    vet_vectors(path, one_line(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            facts = parquet_facts(path, one_line(path)) if is_parquet(path) else pyogrio.read_info(path)
    except (DataSourceError, DataLayerError) as exc:
        raise InputError(one_line(path), f"is not a layer ({one_line(exc)[:120]})", "get the file again") from exc
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


def vet_vectors(path: Path, subject: str) -> None:
    """Raise `InputError` unless the file begins as one of the formats that mapgen reads.

    GDAL itself would try every driver it has, whatever the file is called, and some of them (a virtual layer, a list of
    web services) read other files or the network.
    """
    import pyogrio

    with open(path, "rb") as file:
        head = file.read(_HEAD)
    binary = head.startswith(_BINARY) or head[4:].startswith(_OSM_PBF)
    if not (binary or _is_text_of_ours(head.removeprefix(b"\xef\xbb\xbf").lstrip())):
        raise InputError(subject, f"cannot be read (it begins as none of {_KNOWN})", _ANOTHER)
    # Some features are larger than GDAL's limit of 200 MB for one, such as the dissolved classes of a large map; a GML
    # may name a schema on the network.
    pyogrio.set_gdal_config_options({"OGR_GEOJSON_MAX_OBJ_SIZE": "0", "GML_DOWNLOAD_SCHEMA": "NO"})


def _is_text_of_ours(head: bytes) -> bool:
    if head.startswith(b"<"):
        root = _ROOT.search(head)
        return root is not None and (root[1] in (b"kml", b"osm") or b"opengis.net/gml" in head)
    # JSON, also with record separators; MapInfo; DXF, whose pairs begin with a section or a comment
    return head.startswith((b"{", b"[", b"\x1e", b"!table")) or _DXF.match(head) is not None


_HEAD = 16_384
_BINARY = (b"SQLite format 3\0", b"fgb", b"\0\0\x27\x0a", b"PAR1")
_OSM_PBF = b"\n\tOSMHeader"  # behind the length of the header; https://wiki.openstreetmap.org/wiki/PBF_Format
_ROOT = re.compile(rb"<(?![?!])(?:\w+:)?(\w+)")
_DXF = re.compile(rb"(0\s+SECTION|999\s)")
_KNOWN = "GeoJSON, GeoPackage, FlatGeobuf, Shapefile, GeoParquet, KML, GML, OSM, MapInfo, DXF"
_ANOTHER = "is it a class raster, GeoJSON, GPKG or another vector file? get it again"

SHAPEFILE_PARTS = (".dbf", ".shx", ".prj", ".cpg", ".qix", ".sbn", ".sbx", ".qpj")
"""What may lie beside a shapefile and is part of it."""

VECTOR_SUFFIXES = (
    ".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".gpkg", ".fgb", ".shp", ".kml", ".gml", ".parquet",
    ".geoparquet", ".tab", ".dxf",
)  # fmt: skip

_LAYERED = (".gpkg", ".gml", ".kml", ".dxf")  # formats of several layers


def facts_of(path: Path, subject: str, layer: str | None) -> dict[str, Any]:
    """What the layer to be read says of itself."""
    import pyogrio

    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "no such file"
        raise InputError(subject, problem, "check the path")
    if path.stat().st_size == 0:
        raise InputError(subject, "is empty", "get the file again")
    note_layer(path)
    vet_vectors(path, subject)
    if is_parquet(path):
        return parquet_facts(path, subject) | {"layer": None}
    with reading(subject):
        # Tables without geometry, such as the styles that QGIS keeps in a GeoPackage, are no layers of polygons.
        layers = pyogrio.list_layers(path) if path.suffix.lower() in _LAYERED or layer is not None else [("", "")]
        names = [str(name) for name, geometry in layers if geometry is not None]
        if not names:
            raise InputError(subject, "holds no geometry", "name a file of polygons")
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

    if is_parquet(path):
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


class reading:
    """Turns the errors of reading a vector file into `InputError`, and hides the warnings of GDAL."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._quiet = catch_warnings()

    def __enter__(self) -> None:
        self._quiet.__enter__()
        simplefilter("ignore")

    def __exit__(self, kind: object, exc: BaseException | None, trace: Any) -> None:
        from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError

        self._quiet.__exit__(None, None, None)
        if isinstance(exc, DataLayerError | DataSourceError | FeatureError | GeometryError):
            raise InputError(
                self.subject,
                f"cannot be read ({one_line(exc)[:120]})",
                _ANOTHER,
            ) from exc
