"""`route`: the shortest way over a network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.arrays import Floats, Longs
from mapgen.errors import InputError, NoWayError, UsageError
from mapgen.files.commit import Output, write_whole
from mapgen.grid import transformer
from mapgen.roads.lines import RoadLines, centre_of, in_metres, read_lines, to_metres
from mapgen.roads.options import RouteOptions
from mapgen.roads.ways import Cut, Ways, shortest, snapped, ways_of, with_places

REACH_M = 100.0
"""Metres that a point may lie off the network."""

FAR_M = 10_000.0
"""How far off a point is measured at all."""


@dataclass(slots=True)
class Way:
    """The way between points, in longitude and latitude."""

    source: str
    length_m: float
    coordinates: Floats
    """(n, 2)"""
    snapped_m: list[float]
    """How far each point lies from the network."""
    narrowest_m: float
    """NaN where the network knows no widths."""
    bridged_m: float
    edges: int

    def to_json(self) -> dict[str, Any]:
        """The way as a GeoJSON feature."""
        narrowest = None if np.isnan(self.narrowest_m) else round(self.narrowest_m, 2)
        about = {
            "source": self.source, "length_m": round(self.length_m, 3), "narrowest_m": narrowest,
            "bridged_m": round(self.bridged_m, 1), "edges": self.edges,
            "snapped_m": [round(d, 1) for d in self.snapped_m],
        }  # fmt: skip
        pieces = self._pieces()
        kind, places = ("LineString", pieces[0]) if len(pieces) == 1 else ("MultiLineString", pieces)
        return {"type": "Feature", "properties": about, "geometry": {"type": kind, "coordinates": places}}

    def _pieces(self) -> list[list[list[float]]]:
        """Its vertices, cut where they jump over the antimeridian (RFC 7946, 3.1.9)."""
        line = np.array(self.rounded())
        cuts = np.flatnonzero(np.abs(np.diff(line[:, 0])) > 180) + 1
        return [piece.tolist() for piece in np.split(line, cuts) if len(piece) > 1]

    def rounded(self) -> list[list[float]]:
        """Its vertices, two at least, to a millimetre."""
        line: list[list[float]] = np.round(self.coordinates, 8).tolist()
        return line if len(line) > 1 else line * 2


def parse_point(text: str) -> tuple[float, float]:
    """`55.62,25.2` as (55.62, 25.2). Raises `UsageError`."""
    try:
        x, y = (float(part) for part in text.split(","))
    except ValueError:
        x = y = float("nan")
    if not np.isfinite(x + y):
        raise UsageError("TO", f"{text!r} is not LON,LAT", "such as 55.6203,25.2046")
    return x, y


def find_way(source: str | Path, points: list[tuple[float, float]], **options: Any) -> Way:
    """The shortest way over the network in the file `source` from the first point over the others to the last.

    Points are longitude and latitude, or coordinates of the file's CRS where they can be nothing else. `options` are
    the fields of `RouteOptions`. Raises `InputError` where a point lies off the network, `NoWayError` where there is
    no way.
    """
    settled = RouteOptions(**options)
    network = _usable(read_lines(Path(source), settled.layer, settled.assume_crs), settled)
    lon, lat = centre_of(network.ways)
    plane = in_metres(network.ways, lon, lat)
    asked = np.array([_lonlat(point, network) for point in points])
    x, y = to_metres(asked[:, 0], asked[:, 1], lon, lat)
    places = snapped(plane, x, y, FAR_M)
    for i in np.flatnonzero(~(places.away <= REACH_M)).tolist():
        raise _off(points[i], network, plane, float(places.away[i]))
    cut, nodes = with_places(plane, places)
    legs = [_leg(cut, network, nodes, i) for i in range(len(points) - 1)]
    pieces = np.concatenate([leg[1] for leg in legs])
    edges = cut.edges[pieces >> 1]
    line = _line(network.ways, plane, cut, pieces) if len(pieces) else asked[:1]
    widths = network.width_min[edges]
    known = widths[np.isfinite(widths)]
    shares = cut.ends[pieces >> 1] - cut.begins[pieces >> 1]
    return Way(
        network.name, sum(leg[0] for leg in legs), line, places.away.tolist(),
        float(known.min()) if len(known) else float("nan"), float(np.nansum(network.bridged[edges] * shares)),
        len(np.unique(edges)),
    )  # fmt: skip


def write_way(output: Output, way: Way) -> None:
    """Write the way as a GeoJSON feature. Raises `OutputError`; then an old file is untouched."""
    write_whole(output, json.dumps(way.to_json(), ensure_ascii=False) + "\n")


def _usable(network: RoadLines, options: RouteOptions) -> RoadLines:
    """The edges that may be used."""
    use = np.ones(len(network.ways), np.bool_)
    if options.min_width is not None:
        if np.isnan(network.width_min).all():
            raise InputError(network.name, "knows no widths (width_min_m)", "leave out --min-width")
        use &= network.width_min >= options.min_width
    if options.no_bridges:
        use &= ~(network.bridged > 0)
    if not use.any():
        raise NoWayError(network.name, "no edge is wide and sure enough", "ask for less")
    if use.all():
        return network
    ways, keep = network.ways, np.flatnonzero(use)
    lines = [np.stack((ways.lines.x[a:b], ways.lines.y[a:b]), axis=1) for a, b in _bounds(ways, keep)]
    fresh = ways_of(lines, ways.length[keep], turn=360.0)
    return RoadLines(
        network.name, network.crs, fresh, network.width[keep], network.width_min[keep], network.bridged[keep]
    )


def _bounds(ways: Ways, edges: Longs) -> list[tuple[int, int]]:
    return list(zip(ways.lines.offsets[edges].tolist(), ways.lines.offsets[edges + 1].tolist(), strict=True))


def _lonlat(point: tuple[float, float], network: RoadLines) -> tuple[float, float]:
    """A point as it was given, in longitude and latitude."""
    if abs(point[0]) <= 360 and abs(point[1]) <= 90:
        return point
    import pyproj

    if network.crs is None or pyproj.CRS(network.crs).is_geographic:
        text = f"{point[0]:g},{point[1]:g}"
        raise UsageError("TO", f"{text} is not a longitude and latitude", "such as 55.6203,25.2046")
    x, y = transformer(network.crs, "OGC:CRS84").transform(*point)
    return float(x), float(y)


def _off(point: tuple[float, float], network: RoadLines, plane: Ways, away: float) -> InputError:
    text = f"{point[0]:g},{point[1]:g}"
    far = f"{away:.0f} m" if np.isfinite(away) else f"more than {FAR_M / 1000:.0f} km"
    problem = f"lies {far} from {network.name}, more than {REACH_M:.0f} m"
    if abs(point[0]) <= 90:
        lon, lat = centre_of(network.ways)
        x, y = to_metres(np.array([point[1]]), np.array([point[0]]), lon, lat)
        if np.isfinite(x + y).all() and snapped(plane, x, y, FAR_M).away[0] <= FAR_M:
            return InputError(text, f"{problem}; the other way round it is near", "longitude comes first")
    return InputError(text, problem, "check its coordinates")


def _leg(cut: Cut, network: RoadLines, nodes: Longs, i: int) -> tuple[float, Any]:
    length, darts = shortest(cut.ways, int(nodes[i]), int(nodes[i + 1]))
    if not np.isfinite(length):
        parts = cut.ways.parts()
        raise _apart(cut, network, parts, int(parts[nodes[i]]), int(parts[nodes[i + 1]]))
    return length, darts


def _apart(cut: Cut, network: RoadLines, parts: Any, one: int, other: int) -> NoWayError:
    """The error that says how near the two parts come to each other."""
    import shapely

    plane = in_metres(network.ways, *centre_of(network.ways))
    lines = plane.geometries()
    of = np.zeros(len(lines), np.int64)
    of[cut.edges] = parts[cut.ways.u]
    here, there = shapely.union_all(lines[of == one]), shapely.union_all(lines[of == other])
    gap = shapely.shortest_line(here, there)
    place = shapely.get_point(gap, 0)
    shares = shapely.line_locate_point(lines[of == one], place, normalized=True)
    nearest = int(np.argmin(shapely.distance(lines[of == one], place)))
    at = _point(network.ways, plane, int(np.flatnonzero(of == one)[nearest]), float(shares[nearest]))
    problem = f"there is no way: different parts, {shapely.length(gap):.0f} m apart at {at[0]:.6f},{at[1]:.6f}"
    return NoWayError(network.name, problem, "bridge wider gaps: mapgen roads --bridge")


def _point(ways: Ways, plane: Ways, edge: int, share: float) -> tuple[float, float]:
    """The point at a share of an edge's length in metres."""
    x, y, steps = _vertices(ways, plane, edge)
    at = share * steps[-1]
    return float(np.interp(at, steps, x)), float(np.interp(at, steps, y))


def _vertices(ways: Ways, plane: Ways, edge: int) -> tuple[Floats, Floats, Floats]:
    """The vertices of an edge, and how many metres along it each lies; `plane` are the ways in metres. In degrees a
    share would fall elsewhere along an edge that bends, since those of longitude are shorter."""
    part = slice(ways.lines.offsets[edge], ways.lines.offsets[edge + 1])
    x, y = plane.lines.x[part], plane.lines.y[part]
    steps = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))))
    return ways.lines.x[part], ways.lines.y[part], steps


def _line(ways: Ways, plane: Ways, cut: Cut, darts: Any) -> Floats:
    """The coordinates along darts of the cut network: the vertices of the whole edges between their ends."""
    out: list[Any] = []
    for dart in darts.tolist():
        edge, begin, end = int(cut.edges[dart >> 1]), float(cut.begins[dart >> 1]), float(cut.ends[dart >> 1])
        x, y, steps = _vertices(ways, plane, edge)
        inner = (steps > begin * steps[-1]) & (steps < end * steps[-1])
        points = [_point(ways, plane, edge, begin), *zip(x[inner].tolist(), y[inner].tolist(), strict=True)]
        points.append(_point(ways, plane, edge, end))
        out += points[::-1] if dart & 1 else points
    line = np.array(out)
    return line[np.concatenate(([True], (np.diff(line, axis=0) != 0).any(axis=1)))]
