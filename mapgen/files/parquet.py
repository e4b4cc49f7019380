"""GeoParquet as a source: the polygons and attributes of a file, by pyarrow, which GDAL's wheels cannot read.

https://geoparquet.org/releases/v1.1.0/
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mapgen.errors import InputError, UsageError, one_line
from mapgen.files.untrusted import json_object

_REMEDY = 'pip install "mapgen[parquet]"'


def check_pyarrow(subject: str) -> None:
    """Raise `UsageError` with what to install where pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise UsageError(subject, "GeoParquet needs pyarrow, which comes with mapgen[parquet]", _REMEDY)


def parquet_facts(path: Path, subject: str) -> dict[str, Any]:
    """What a GeoParquet says of itself, in the words of `pyogrio.read_info`; its attributes are not read."""
    with _opened(path, subject) as file:
        name, column = _geometry(file, subject)
        kinds = column.get("geometry_types") or []
        box = column.get("bbox")
        return {
            "driver": "Parquet", "geometry_type": kinds[0] if len(kinds) == 1 else "Unknown",
            "features": file.metadata.num_rows, "fields": np.array(_attributes(file, name, column), object),
            "crs": _crs(subject, column),
            "total_bounds": None if not box else (*box[: len(box) // 2][:2], *box[len(box) // 2 :][:2]),
        }  # fmt: skip


def read_parquet(
    path: Path, subject: str, columns: Sequence[str] | None = None
) -> tuple[NDArray[Any] | None, dict[str, NDArray[Any]]]:
    """The geometries as WKB (n,), None for those missing, and the attributes by name, all where `columns` is None."""
    with _opened(path, subject) as file:
        name, column = _geometry(file, subject)
        wanted = [k for k in _attributes(file, name, column) if columns is None or k in columns]
        table = file.read([name, *wanted])
        return _array(table[name]), {k: _array(table[k]) for k in wanted}


@contextmanager
def _opened(path: Path, subject: str) -> Any:
    """The file, open; pyarrow's errors become `InputError`."""
    check_pyarrow(subject)
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path, page_checksum_verification=True) as file:
            yield file
    except (pyarrow.ArrowException, OSError) as exc:
        raise InputError(subject, f"cannot be read ({one_line(exc)[:120]})", "get the file again") from exc


def _geometry(file: Any, subject: str) -> tuple[str, dict[str, Any]]:
    """The name of the column of geometries, and what is said of it."""
    try:
        geo = json_object((file.schema_arrow.metadata or {})[b"geo"])
        name = str(geo["primary_column"])
        column: dict[str, Any] = dict(geo["columns"][name])
        encoding = str(column["encoding"])
    except (KeyError, ValueError, TypeError) as exc:
        problem = "is a Parquet file without geometry (it has no metadata of GeoParquet)"
        raise InputError(subject, problem, "write it with geopandas or GDAL as GeoParquet") from exc
    if encoding != "WKB" or name not in file.schema_arrow.names:
        problem = f"its geometries are encoded as {one_line(encoding)[:40]}, not as WKB"
        raise InputError(subject, problem, "write it again with geometries as WKB")
    return name, column


def _attributes(file: Any, geometry: str, column: dict[str, Any]) -> list[str]:
    """The columns but the geometry and the boxes of its features."""
    try:
        box = column["covering"]["bbox"]["xmin"][0]
    except (KeyError, TypeError, IndexError):
        box = ""
    return [name for name in file.schema_arrow.names if name not in (geometry, box)]


def _crs(subject: str, column: dict[str, Any]) -> str | None:
    """The CRS of a column: longitude and latitude where none is named, None where it says that it is not known."""
    import pyproj

    found = column.get("crs", "OGC:CRS84")
    try:
        return None if found is None else str(pyproj.CRS.from_user_input(found).to_wkt())
    except pyproj.exceptions.CRSError as exc:
        raise InputError(subject, "names a CRS that PROJ does not know", "write it again with another") from exc


def _array(column: Any) -> NDArray[Any]:
    """A column as NumPy has it: integers with gaps as floats, what is nested as lists and dictionaries."""
    import pyarrow

    if pyarrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pyarrow.types.is_nested(column.type):
        values = np.empty(len(column), object)
        values[:] = column.to_pylist()
        return values
    return np.asarray(column.to_numpy())
