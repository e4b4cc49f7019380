"""Layers that are there: what a vector file says of itself."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from mapgen.errors import InputError, one_line


def layer_facts(path: Path) -> dict[str, Any]:
    """The first layer of a vector file, its features not read: format, geometry, features, fields, crs, bounds.

    Raises `InputError` for what is no vector file.
    """
    import pyogrio
    from pyogrio.errors import DataLayerError, DataSourceError

    if not path.is_file():
        raise InputError(one_line(path), "no such file", "check the path")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            facts = pyogrio.read_info(path)
    except (DataSourceError, DataLayerError) as exc:
        raise InputError(one_line(path), f"is no layer ({one_line(exc)[:120]})", "get the file again") from exc
    bounds = facts.get("total_bounds")
    return {
        "format": facts["driver"],
        "geometry": facts["geometry_type"],
        "features": facts["features"],
        "fields": list(facts["fields"]),
        "crs": facts["crs"],
        "bounds": None if bounds is None else [float(b) for b in bounds],
    }
