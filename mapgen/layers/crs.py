"""Where a layer lies: the CRS of its class map and its own, and the decimals that keep its borders apart."""

from __future__ import annotations

import math
from dataclasses import replace

from mapgen.errors import InputError, UsageError, one_line, option
from mapgen.grid import Grid
from mapgen.layers.geojson_wkb import coordinate_digits

DEGREE_M = 111_320
"""Metres of a degree of latitude, about; a degree of longitude is shorter, so what resolves latitude resolves both."""


def placed(grid: Grid, name: str, assumed: str | None, remedy: str = "") -> Grid:
    """The grid of the class map `name` with a CRS: its own, else the assumed one (any text that PROJ reads).

    `remedy` says how to name a CRS where no option does.

    Raises `InputError` where it has no place on the ground, or has a CRS of its own besides the assumed one.
    """
    if grid.crs is not None:
        if assumed is not None:
            raise InputError(name, "has a CRS of its own", f"leave out {option('assume_crs')}")
        return grid
    if grid.control is not None:
        raise InputError(name, "has ground control points only, no transform", "warp it first with gdalwarp")
    if grid.transform.is_identity:
        raise InputError(name, "has no georeferencing, so it has no place on the ground", "warp it first with gdalwarp")
    if assumed is None:
        remedy = remedy or f"name it with {option('assume_crs', 'EPSG:n')}"
        raise InputError(name, "has no CRS, so it has no place on the ground", remedy)
    return replace(grid, crs=wkt_of(assumed, "assume_crs"))


def layer_crs(grid: Grid, wanted: str | None, *, lonlat: bool) -> str | None:
    """The CRS of a layer as WKT, None for longitude and latitude on WGS 84, which is all that `lonlat` formats know."""
    import pyproj

    if not lonlat:
        return grid.crs if wanted is None else wkt_of(wanted, "crs")
    if wanted is not None:
        crs = pyproj.CRS(wkt_of(wanted, "crs"))
        if not crs.equals(pyproj.CRS("EPSG:4326"), ignore_axis_order=True):
            problem = f"GeoJSON is in WGS 84 by RFC 7946, not in {wanted}"
            raise UsageError(option("crs"), problem, "use .gpkg, .fgb, .parquet or .shp")
    return None


def coordinate_decimals(grid: Grid, wanted: int | None = None) -> int:
    """Decimals of degrees that resolve a tenth of a pixel, at least 7; or `wanted`, if they keep two borders apart.

    Raises `UsageError` for fewer: rounding would make neighbours overlap and polygons invalid.
    """
    finest = min(grid.resolution_m)
    needed, least = coordinate_digits(finest / DEGREE_M), coordinate_digits(finest / DEGREE_M, floor=0)
    if wanted is None:
        return needed
    if not 0 <= wanted <= 15:
        raise UsageError(option("decimals"), f"{wanted} is not between 0 and 15", f"use {needed}")
    if wanted < least:
        coarse = f"{wanted} decimals are {DEGREE_M / 10**wanted:.2g} m, too coarse for pixels of {finest:.3g} m"
        raise UsageError(option("decimals"), coarse, f"use {least} or more")
    return wanted


def measure_decimals(grid: Grid) -> dict[str, int]:
    """Decimals of the attributes in GeoJSON: areas and lengths to a millionth of a pixel's."""
    area = math.log10(math.prod(grid.resolution_m))
    return {
        "area_m2": max(0, 6 - math.floor(area)),
        "perimeter_m": max(0, 6 - math.floor(area / 2)),
        "confidence": 4,
        "confidence_min": 4,
    }


def wkt_of(text: str, key: str) -> str:
    """The WKT of a CRS by any text that PROJ reads. Raises `UsageError` about the option `key` for another one."""
    import pyproj

    try:
        return str(pyproj.CRS.from_user_input(text).to_wkt())
    except pyproj.exceptions.CRSError as exc:
        problem = f"{one_line(text)[:80]!r} is not a CRS that PROJ knows"
        raise UsageError(option(key), problem, f"such as {option(key, 'EPSG:32611')}") from exc
