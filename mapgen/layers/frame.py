"""Layers as tables of GeoPandas, for Python."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mapgen.files.kind import PARQUET_SUFFIXES

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


def layer_frame(path: Path) -> GeoDataFrame:
    """The layer in a file that mapgen has written: a row for each polygon, with its attributes and CRS."""
    import geopandas

    if path.suffix.lower() in PARQUET_SUFFIXES:
        return geopandas.read_parquet(path)
    return geopandas.read_file(path, layer=0)  # a GeoPackage has one of styles besides
