"""GeoPackages of plain features with attributes of any kind: points to label, suspicious places, segments."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from mapgen.arrays import Geometries
from mapgen.errors import OutputError, option
from mapgen.files.commit import Output, staged, translated, unwritten
from mapgen.layers.formats import add_style, check_geopackage


@dataclass(frozen=True, slots=True)
class Features:
    """A layer: its name, geometries (N,) of one kind, and columns (N,) by name, texts of type object.

    `crs` is WKT or a code, None for places without one. `style` is what QGIS draws it with (QML).
    """

    name: str
    kind: str
    shapes: Geometries
    columns: Mapping[str, Any]
    crs: str | None
    style: bytes


def check_geopackage_name(path: Path, what: str) -> None:
    """Raise `OutputError` unless the name is that of a GeoPackage."""
    if path.suffix.lower() != ".gpkg":
        problem = f"{what} are written as a GeoPackage"
        raise OutputError(path, problem, f"name a file such as {path.stem or what}.gpkg with {option('output')}")


def write_features(output: Output, features: Features) -> None:
    """Write the layer as a GeoPackage with its style inside, and read it back. Raises `OutputError`."""
    import pyogrio.raw
    from pyogrio.errors import DataLayerError, DataSourceError, FieldError, GeometryError

    masks = [_missing(values) for values in features.columns.values()]
    with staged(output) as temporary:
        try:
            with translated(output.path), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of places without a CRS
                pyogrio.raw.write(
                    temporary, np.array(shapely.to_wkb(features.shapes), object), list(features.columns.values()),
                    list(features.columns), field_mask=masks, layer=features.name, driver="GPKG",
                    geometry_type=features.kind, crs=features.crs, dataset_options={"VERSION": "1.2"},
                )  # fmt: skip
                add_style(temporary, features.name, features.name, features.style, "by mapgen")
                check_geopackage(temporary, {features.name: len(features.shapes)}, output.path)
        except (DataSourceError, DataLayerError, FieldError, GeometryError) as exc:
            raise unwritten(output.path, exc) from exc


def _missing(values: Any) -> Any:
    """Where a column has nothing, None where it has something everywhere."""
    if values.dtype != object:
        return None
    missing = np.array([value is None for value in values], bool)
    return missing if missing.any() else None
