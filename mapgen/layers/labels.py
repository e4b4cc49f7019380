"""Polygons with a class, from any vector file, brought onto a grid: for training and for `evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from mapgen.arrays import Geometries
from mapgen.errors import InputError, UsageError, one_line, option
from mapgen.files.vectors import facts_of, read_shapes
from mapgen.grid import Grid, Window, applied, transformer
from mapgen.layers.rasterize import Polygons
from mapgen.raster.placement import same_crs

CLASS_ATTRIBUTES = ("class_id", "class_name", "class")
"""Attributes that hold the class where none is named; the first two are those of mapgen's own layers."""

_STRAIGHT = 32  # pixels between vertices that are reprojected on their own
_LARGE = 100_000  # points of a polygon beyond which nobody asks whether it is valid


@dataclass(slots=True)
class Labels:
    """Polygons in pixels of a grid, each with its class, in the order of burning.

    `counts` says what became of the features: `features`, `repaired`, `no_geometry`, `no_class`.
    """

    name: str
    grid: Grid
    polygons: Polygons
    classes: list[Any]
    counts: dict[str, int]
    warnings: list[str] = field(default_factory=list)

    @property
    def extent(self) -> Window:
        """The window of the grid that all polygons lie in, empty where none touches it."""
        bounds = self.polygons.bounds[~np.isnan(self.polygons.bounds[:, 0])]
        left, top = bounds[:, :2].min(0, initial=np.inf)
        right, bottom = bounds[:, 2:].max(0, initial=-np.inf)
        if not (left < right and top < bottom):
            return Window(0, 0, 0, 0)
        height, width = self.grid.height, self.grid.width
        rows, cols = (np.clip(v, -1, size + 1) for v, size in (((top, bottom), height), ((left, right), width)))
        row, col = int(np.floor(rows[0])), int(np.floor(cols[0]))
        return Window(row, col, int(np.ceil(rows[1])) - row, int(np.ceil(cols[1])) - col) & self.grid.window


@dataclass(slots=True)
class Features:
    """The polygons of a vector file in their own coordinates, each with its class, in the order of burning.

    `crs` is what the file says and `assumed` what it was said to be.
    """

    name: str
    shapes: Geometries
    classes: list[Any]
    crs: str | None
    assumed: str | None
    counts: dict[str, int]

    def on(self, grid: Grid) -> Labels:
        """The polygons on a grid, those far from it left out. A grid without a CRS takes coordinates as its own.

        Raises `InputError` for coordinates that their CRS cannot have, or a CRS that is not known.
        """
        said = _count_warnings(self.counts)
        source = _crs_of(self.name, self.shapes, self.crs, self.assumed, grid, said)
        polygons, index = _on_grid(self.shapes.copy(), source, grid)
        return Labels(self.name, grid, polygons, [self.classes[i] for i in index.tolist()], self.counts, said)


def read_features(
    path: Path,
    class_of: Callable[[Any], Any],
    *,
    attribute: str | None = None,
    feature_class: str | None = None,
    priority: Iterable[Any] = (),
    layer: str | None = None,
    assume_crs: str | None = None,
) -> Features:
    """The polygons of a vector file, with the classes that `class_of` makes of an attribute's values.

    All features are of one class where `feature_class` is given. Later features lie over earlier ones, those of a class
    in `priority` over all others, the first over the second. Invalid polygons are repaired; features without geometry
    or class are left out; all is counted.

    Raises `InputError` for files that cannot be read, hold no polygons or other things besides; `UsageError` where the
    attribute or the layer must be named.
    """
    subject = one_line(path)
    facts = facts_of(path, subject, layer)
    if facts["features"] == 0:
        raise InputError(subject, "holds no polygons", "name a file of polygons that have a class")
    column = None if feature_class is not None else _column(subject, facts, attribute)
    shapes, values = _read(path, subject, facts, column)
    classes = [feature_class] * len(shapes) if values is None else values
    counts = {"features": len(shapes)}
    known = np.array([not _is_null(value) for value in classes], bool)
    present = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    counts |= {"no_geometry": int((~present).sum()), "no_class": int((present & ~known).sum())}
    taken = np.flatnonzero(known & present)
    shapes, keys = shapes[taken], [class_of(classes[i]) for i in taken.tolist()]
    _check_dimensions(subject, shapes)
    counts["repaired"] = _repair(shapes)
    order = _burning_order(keys, list(priority))
    return Features(subject, shapes[order], [keys[i] for i in order.tolist()], facts["crs"], assume_crs, counts)


def read_labels(
    path: Path,
    grid: Grid,
    class_of: Callable[[Any], Any],
    *,
    attribute: str | None = None,
    feature_class: str | None = None,
    priority: Iterable[Any] = (),
    layer: str | None = None,
    assume_crs: str | None = None,
) -> Labels:
    """The polygons of a vector file on a grid; see `read_features` and `Features.on`.

    Raises `InputError` also where nothing of the file lies on the grid.
    """
    labels = read_features(
        path, class_of, attribute=attribute, feature_class=feature_class, priority=priority, layer=layer,
        assume_crs=assume_crs,
    ).on(grid)  # fmt: skip
    if not labels.extent.area:
        bounds = ", ".join(f"{v:.10g}" for v in grid.bounds)
        raise InputError(labels.name, f"nothing of it lies on the map ({bounds})", "check its coordinates and CRS")
    return labels


def _repair(shapes: Geometries) -> int:
    """Make invalid geometries valid, in place; how many were not.

    Very large ones are left as they are: looking takes GEOS half a minute, and burning takes both halves of a bow-tie.
    """
    small = np.flatnonzero(shapely.get_num_coordinates(shapes) <= _LARGE)
    bad = small[~shapely.is_valid(shapes[small])]
    shapes[bad] = shapely.make_valid(shapes[bad])
    return len(bad)


def _ragged(shapes: Geometries) -> tuple[Polygons, NDArray[np.intp]]:
    """The simple polygons in the geometries as arrays, and from which geometry each is."""
    parts, index = shapely.get_parts(shapes, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)  # a repaired one may be a collection of multipolygons
    flat = shapely.get_dimensions(parts) == 2
    parts, index = parts[flat], index[inner[flat]]
    if not len(parts):
        return Polygons(np.empty((0, 2)), np.zeros(1, np.int64), np.zeros(1, np.int64)), index
    _, coordinates, (points, rings) = shapely.to_ragged_array(parts, include_z=False)
    return Polygons(coordinates, points.astype(np.int64), rings.astype(np.int64)), index


def _column(subject: str, facts: dict[str, Any], attribute: str | None) -> str:
    fields = [str(name) for name in facts["fields"]]
    has = ", ".join(fields)[:200] or "none"
    if attribute is not None:
        if attribute not in fields:
            raise InputError(
                subject, f"has no attribute {attribute!r}; it has {has}", f"use one of these in {option('attribute')}"
            )
        return attribute
    for name in CLASS_ATTRIBUTES:
        if name in fields:
            return name
    remedy = f"such as {option('attribute', fields[0])}, or" if fields else "use"
    raise UsageError(
        option("attribute"),
        f"which attribute of {subject} holds the class? it has {has}",
        f"{remedy} {option('feature_class', 'building')}",
    )


def _read(path: Path, subject: str, facts: dict[str, Any], column: str | None) -> tuple[Geometries, list[Any] | None]:
    """The geometries, missing where they cannot be understood, and the values of the column."""
    shapes, _, fields = read_shapes(path, subject, facts, [] if column is None else [column])
    return shapes, None if column is None else fields[column].tolist()


def _is_null(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _check_dimensions(subject: str, shapes: Geometries) -> None:
    if not len(shapes):
        raise InputError(subject, "holds no polygons with a class", "name a file of polygons that have a class")
    flat = shapely.get_dimensions(shapes) == 2
    if flat.all():
        return
    what = sorted({str(shape.geom_type).lower() for shape in shapes[~flat]})
    if flat.any():
        raise InputError(
            subject,
            f"mixes polygons with {(~flat).sum()} of {', '.join(what)}",
            "keep the polygons in a layer of their own",
        )
    raise InputError(subject, f"holds {', '.join(what)}, labels are polygons", "buffer them to their width first")


def _count_warnings(counts: dict[str, int]) -> list[str]:
    said = {
        "repaired": "invalid polygons were repaired", "no_geometry": "features have no geometry and were left out",
        "no_class": "features have no class and were left out",
    }  # fmt: skip
    return [f"{counts[k]} of {counts['features']} {text}" for k, text in said.items() if counts[k]]


def _crs_of(
    subject: str, shapes: Geometries, crs: str | None, assumed: str | None, grid: Grid, warnings: list[str]
) -> str | None:
    """The CRS of the coordinates, None for that of the grid. Raises `InputError` where it cannot be right."""
    import pyproj

    left, bottom, right, top = shapely.total_bounds(shapes)
    geographic = crs is not None and pyproj.CRS(crs).is_geographic
    most = max(abs(left), abs(right), abs(bottom), abs(top))
    foreign = geographic and (max(abs(left), abs(right)) > 361 or max(abs(bottom), abs(top)) > 91)
    if grid.crs is None:
        warnings.append("the raster has no CRS; the coordinates of the polygons are taken as its own")
        return None
    if assumed is not None:
        if crs is not None and not foreign:
            raise InputError(subject, "has a CRS of its own", f"leave out {option('assume_crs')}")
        return assumed
    if crs is None:
        raise InputError(subject, "does not name its CRS", f"set {option('assume_crs')}, such as EPSG:32640")
    if foreign:
        raise InputError(
            subject,
            f"coordinates up to {most:.0f} are not lon/lat",
            f"set {option('assume_crs')}, such as EPSG:32640",
        )
    return crs


def _burning_order(keys: Sequence[Any], priority: Sequence[Any]) -> NDArray[np.intp]:
    rank = {key: len(priority) - place for place, key in reversed(list(enumerate(priority)))}
    return np.argsort([rank.get(key, 0) for key in keys], kind="stable")


def _on_grid(shapes: Geometries, source: str | None, grid: Grid) -> tuple[Polygons, NDArray[np.intp]]:
    """Polygons in the pixels of the grid, and from which geometry each is.

    Long edges stay straight in the CRS that they were drawn in, by points between their ends.
    """

    def pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            return np.stack(applied(~grid.transform, points[:, 0], points[:, 1]), axis=1)

    if source is None or same_crs(source, grid.crs):
        polygons, index = _ragged(shapes)
        return polygons.moved(pixels), index
    to = transformer(source, grid.crs)
    back = transformer(grid.crs, source)
    polygons, index = _around(shapes, back.transform_bounds(*grid.bounds, densify_pts=33), grid)
    return polygons.moved(lambda p: pixels(np.stack(to.transform(p[:, 0], p[:, 1]), axis=1))), index


def _around(
    shapes: Geometries, bounds: tuple[float, float, float, float], grid: Grid
) -> tuple[Polygons, NDArray[np.intp]]:
    """The polygons cut to the surroundings of the grid, whose bounds in their CRS are given, and their edges divided.

    Without the cut, dividing the edges of a polygon around a country would fill the memory.
    """
    left, bottom, right, top = bounds
    if not (np.isfinite(bounds).all() and left < right and bottom < top):
        return _ragged(shapes)
    margin = 0.05 * max(right - left, top - bottom)
    box = (left - margin, bottom - margin, right + margin, top + margin)
    own = shapely.bounds(shapes)
    over = np.flatnonzero((own[:, :2] < box[:2]).any(axis=1) | (own[:, 2:] > box[2:]).any(axis=1))
    wrong = over[~shapely.is_valid(shapes[over])]  # cutting needs valid ones
    shapes[wrong] = shapely.make_valid(shapes[wrong])
    shapes[over] = shapely.clip_by_rect(shapes[over], *box)
    polygons, index = _ragged(shapes)
    step = _STRAIGHT * min((right - left) / grid.width, (top - bottom) / grid.height)
    return (polygons.divided(step) if len(polygons) else polygons), index
