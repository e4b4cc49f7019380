"""Polygons or lines with all their attributes, from any vector file, in longitude and latitude: for vector tiles."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mapgen.arrays import Geometries
from mapgen.errors import InputError, one_line, option
from mapgen.files.vectors import LINE_LAYERS, facts_of, read_shapes
from mapgen.grid import transformer
from mapgen.layers.crs import wkt_of

STEPS = 512
"""An edge longer than this part of a layer gets points between its ends before it is reprojected."""


@dataclass(slots=True)
class PolygonLayer:
    """Valid polygons, or lines, in degrees on WGS 84, what they are known by, and their attributes by name."""

    name: str
    layer: str
    shapes: Geometries
    ids: NDArray[np.int64]
    columns: dict[str, NDArray[Any]]
    warnings: list[str] = field(default_factory=list)
    lines: bool = False
    """Whether they are lines."""


def read_lines_or_polygons(path: Path, layer: str | None = None, assume_crs: str | None = None) -> PolygonLayer:
    """The lines of a layer of lines, of a network its edges; else what `read_polygons` gives."""
    subject = one_line(path)
    facts = facts_of(path, subject, layer, LINE_LAYERS)
    if "LineString" not in str(facts.get("geometry_type")):
        return read_polygons(path, layer, assume_crs)
    shapes, fids, values = read_shapes(path, subject, facts)
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes)) & (shapely.get_dimensions(shapes) == 1)
    warnings = [] if there.all() else [f"{(~there).sum()} of {len(shapes)} features are not lines and were left out"]
    return PolygonLayer(
        subject, str(facts["layer"] or path.stem),
        _in_degrees(subject, shapes[there], _crs(subject, facts["crs"], assume_crs)), fids[there],
        {name: column[there] for name, column in values.items()}, warnings, lines=True,
    )  # fmt: skip


def read_polygons(path: Path, layer: str | None = None, assume_crs: str | None = None) -> PolygonLayer:
    """The polygons of a layer of a vector file, its only one where none is named.

    Invalid ones are repaired, features without geometry left out; both are counted in the warnings. Raises `InputError`
    for files that cannot be read, have lines or points, or no CRS; `UsageError` where the layer must be named.
    """
    subject = one_line(path)
    facts = facts_of(path, subject, layer)
    shapes, fids, values = read_shapes(path, subject, facts)
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    flat = shapely.get_dimensions(shapes) == 2
    if (there & ~flat).any():
        kinds = ", ".join(sorted({str(s.geom_type).lower() for s in shapes[there & ~flat]}))
        raise InputError(subject, f"holds {kinds}, vector tiles are made of polygons", "buffer them first")
    warnings = [] if there.all() else [f"{(~there).sum()} of {len(shapes)} features have no geometry and were left out"]
    shapes = shapes[there]
    wrong = np.flatnonzero(~shapely.is_valid(shapes))
    if len(wrong):
        shapes[wrong] = [_polygonal(s) for s in shapely.make_valid(shapes[wrong])]
        warnings.append(f"{len(wrong)} of {len(there)} invalid polygons were repaired")
    columns = {name: column[there] for name, column in values.items()}
    name = str(facts["layer"] or path.stem)
    return PolygonLayer(
        subject,
        name,
        _in_degrees(subject, shapes, _crs(subject, facts["crs"], assume_crs)),
        fids[there],
        columns,
        warnings,
    )


def _polygonal(shape: Any) -> Any:
    """What of a repaired geometry is area."""
    return shapely.union_all([p for p in shapely.get_parts(shape) if shapely.get_dimensions(p) == 2])


def _crs(subject: str, own: str | None, assumed: str | None) -> str:
    if own is not None and assumed is not None:
        raise InputError(subject, "has a CRS of its own", f"leave out {option('assume_crs')}")
    if own is None and assumed is None:
        raise InputError(subject, "does not name its CRS", f"name it with {option('assume_crs', 'EPSG:n')}")
    return wkt_of(str(own or assumed), "assume_crs")


def in_degrees(subject: str, shapes: Geometries, own: str | None, assumed: str | None = None) -> Geometries:
    """Geometries of a file whose CRS is `own`, else the assumed one, in longitude and latitude on WGS 84; vertex by
    vertex, no more of them."""
    return _in_degrees(subject, shapes, _crs(subject, own, assumed), dense=False)


def _in_degrees(subject: str, shapes: Geometries, crs: str, *, dense: bool = True) -> Geometries:
    import pyproj

    source = pyproj.CRS(crs)
    bounds = shapely.total_bounds(shapes) if len(shapes) else np.zeros(4)
    if source.is_geographic:
        if np.abs(bounds[::2]).max() > 361 or np.abs(bounds[1::2]).max() > 91:
            problem = f"coordinates up to {np.abs(bounds).max():.0f} are not lon/lat"
            raise InputError(subject, problem, "correct its CRS, such as with ogr2ogr -a_srs EPSG:32640")
    elif dense:
        # A straight edge of the file is one of its CRS, and bends in another.
        try:
            shapes = shapely.segmentize(shapes, max(bounds[2] - bounds[0], bounds[3] - bounds[1], 1e-9) / STEPS)
        except shapely.errors.GEOSException as exc:  # of coordinates without measure
            raise InputError(subject, "has coordinates that no CRS can place", "get the file again") from exc
    if source.equals(pyproj.CRS("EPSG:4326"), ignore_axis_order=True):
        return shapes
    to = transformer(source, "EPSG:4326")
    moved = shapely.transform(shapes, lambda xy: np.stack(to.transform(xy[:, 0], xy[:, 1]), axis=1))
    if not np.isfinite(shapely.get_coordinates(moved)).all():
        raise InputError(subject, "has coordinates that its CRS cannot place on the earth", "check its CRS")
    return moved
