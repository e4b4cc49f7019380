"""Networks read back: the lines of any vector file, with what mapgen says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
import shapely

from mapgen.arrays import Floats, Geometries
from mapgen.errors import InputError, one_line
from mapgen.files.kind import suffix_of
from mapgen.files.vectors import LINE_LAYERS, facts_of, read_shapes
from mapgen.grid import transformer
from mapgen.layers.area import measured
from mapgen.layers.read import in_degrees
from mapgen.polygons.lines import Lines
from mapgen.roads.ways import Ways, ways_of

_GRAPHML = "{http://graphml.graphdrawing.org/xmlns}"


@dataclass(frozen=True, slots=True)
class RoadLines:
    """A network in longitude and latitude: nodes are the ends of its lines, lengths geodesic metres.

    `width` (mean and least along each edge) and `bridged` are metres, NaN where the file does not say.
    """

    name: str
    crs: str | None
    """That of the file, as it names it."""
    ways: Ways
    width: Floats
    width_min: Floats
    bridged: Floats


def read_lines(path: Path, layer: str | None = None, assume_crs: str | None = None) -> RoadLines:
    """The network in a vector file, `edges` where it has such a layer. Raises `InputError` for what holds no lines."""
    subject = one_line(path)
    if suffix_of(str(path)) == ".graphml":
        shapes, values, crs = _from_graphml(path, subject)
    else:
        facts = facts_of(path, subject, layer, LINE_LAYERS)
        shapes, _, values = read_shapes(path, subject, facts)
        crs = facts["crs"]
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    parts, which = shapely.get_parts(shapes[there], return_index=True)
    if len(parts) and (shapely.get_dimensions(parts) != 1).any():
        kinds = ", ".join(sorted({str(s.geom_type).lower() for s in parts if shapely.get_dimensions(s) != 1}))
        raise InputError(subject, f"holds {kinds}, a network is made of lines", "name its layer of lines")
    if not len(parts):
        raise InputError(subject, "holds no lines", "is it the right layer?")
    parts = in_degrees(subject, parts, crs, assume_crs)
    coordinates, owner = shapely.get_coordinates(parts, return_index=True)
    lines = np.split(coordinates, np.flatnonzero(np.diff(owner)) + 1)
    ways = ways_of(lines, turn=360.0)
    length, told = measured(ways.lines)[1], _numbers(values, ("length_m",), there, which)
    if len(parts) == there.sum() and len(parts) and np.allclose(told, length, rtol=1e-3, atol=0.01):
        length = told  # as the file says: of lines that are straight in its own CRS
    return RoadLines(
        path.stem, crs, Ways(ways.count, ways.u, ways.v, length, ways.lines),
        *(
            _numbers(values, names, there, which)
            for names in (("width_m", "width"), ("width_min_m", "width_m", "width"), ("bridged_m",))
        ),
    )  # fmt: skip


def _numbers(values: dict[str, Any], names: tuple[str, ...], there: Any, which: Any) -> Floats:
    for name in names:
        if name in values and np.asarray(values[name]).dtype.kind in "fiu":
            return np.asarray(values[name], np.float64)[there][which]
    return np.full(len(which), np.nan)


def _from_graphml(path: Path, subject: str) -> tuple[Geometries, dict[str, Any], str | None]:
    """The edges of a GraphML file of mapgen or osmnx: lines as WKT."""
    from xml.etree.ElementTree import fromstring

    try:
        data = path.read_bytes()
        if b"<!ENTITY" in data:
            raise InputError(subject, "declares entities", "get the file again")
        root = fromstring(data)
    except (OSError, ParseError, ValueError, LookupError) as exc:  # the last two of its encoding
        raise InputError(subject, f"cannot be read ({one_line(exc)[:120]})", "check the path") from exc
    names = {key.get("id"): key.get("attr.name") for key in root.iter(f"{_GRAPHML}key")}
    edges = [
        {names.get(data.get("key")): data.text for data in edge.iter(f"{_GRAPHML}data")}
        for edge in root.iter(f"{_GRAPHML}edge")
    ]
    shapes = shapely.from_wkt([edge.get("geometry") for edge in edges], on_invalid="ignore")
    columns = {
        name: np.array([_float(edge.get(name)) for edge in edges]) for name in ("width_m", "width_min_m", "bridged_m")
    }
    return np.atleast_1d(shapes), columns, "EPSG:4326"


def _float(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")


def in_metres(ways: Ways, lon: float, lat: float) -> Ways:
    """A network in longitude and latitude on a plane that keeps distances from a point, in metres."""
    x, y = to_metres(ways.lines.x, ways.lines.y, lon, lat)
    return Ways(ways.count, ways.u, ways.v, ways.length, Lines(ways.lines.offsets, x, y))


def to_metres(x: Floats, y: Floats, lon: float, lat: float) -> tuple[Floats, Floats]:
    """Longitudes and latitudes on that plane (azimuthal equidistant)."""
    plane = f"+proj=aeqd +lat_0={lat:.6f} +lon_0={lon:.6f} +datum=WGS84 +units=m"
    to = transformer("OGC:CRS84", plane)
    out = to.transform(x, y)
    return np.asarray(out[0]), np.asarray(out[1])


def centre_of(ways: Ways) -> tuple[float, float]:
    """The middle of the box around a network, which may go across the antimeridian."""
    x, y = ways.lines.x, ways.lines.y
    if np.ptp(x) > 180 > np.ptp(x % 360):
        x = x % 360
    return float(x.min() + x.max()) / 2, float(y.min() + y.max()) / 2
