"""Labels: polygons with a class, from any vector file, burned onto a grid window by window."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from mapgen.errors import InputError, UsageError, one_line
from mapgen.grid import Grid, Window
from mapgen.placement import same_crs

CLASS_ATTRIBUTES = ("class_id", "class_name", "class")
"""Attributes that hold the class where none is named; the first two are those of mapgen's own layers."""

VECTOR_SUFFIXES = (
    ".geojson", ".json", ".geojsonl", ".geojsons", ".gpkg", ".fgb", ".shp", ".kml", ".gml", ".parquet", ".tab", ".dxf",
)  # fmt: skip

_STRAIGHT = 32  # pixels between vertices that are reprojected on their own

Geometries = NDArray[np.object_]


@dataclass(slots=True)
class Labels:
    """Polygons in pixels of a grid (x is the column, y the row), each with its class, in the order of burning.

    `counts` says what became of the features: `features`, `repaired`, `no_geometry`, `no_class`.
    """

    name: str
    grid: Grid
    shapes: Geometries
    classes: list[Any]
    counts: dict[str, int]
    warnings: list[str] = field(default_factory=list)
    _tree: Any = None

    @property
    def extent(self) -> Window:
        """The window of the grid that all polygons lie in, empty where none touches it."""
        left, top, right, bottom = shapely.total_bounds(self.shapes)
        row, col = int(np.floor(top)), int(np.floor(left))
        return Window(row, col, int(np.ceil(bottom)) - row, int(np.ceil(right)) - col) & self.grid.window

    def burn(self, window: Window, codes: Sequence[int], fill: int) -> NDArray[np.int16]:
        """`codes[i]` where the centre of a pixel lies in polygon i, later ones over earlier; `fill` elsewhere (H, W).

        Law: what is burned does not depend on the window.
        """
        from rasterio.features import rasterize

        if self._tree is None:
            self._tree = shapely.STRtree(self.shapes)
        hit = np.sort(self._tree.query(shapely.box(window.col, window.row, window.right, window.bottom)))
        shape = (window.height, window.width)
        if not len(hit):
            return np.full(shape, fill, np.int16)
        burned: NDArray[np.int16] = rasterize(
            ((self.shapes[i], codes[i]) for i in hit.tolist()), shape, fill=fill, dtype="int16",
            transform=Affine.translation(window.col, window.row),
        )  # fmt: skip
        return burned


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
    """The polygons of a vector file on a grid, with the classes that `class_of` makes of an attribute's values.

    All features are of one class where `feature_class` is given. Later features lie over earlier ones, those of a class
    in `priority` over all others, the first over the second. Invalid polygons are repaired; features without geometry
    or class are left out; all is counted. A grid without a CRS takes coordinates as its own.

    Raises `InputError` for files that cannot be read, hold no polygons or other things besides, or name coordinates
    that their CRS cannot have; `UsageError` where the attribute or the layer must be named.
    """
    subject = one_line(path)
    facts = _facts(path, subject, layer)
    if facts["features"] == 0:
        raise InputError(subject, "holds no polygons", "name a file with the polygons of the truth")
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
    bad = ~shapely.is_valid(shapes)
    counts["repaired"] = int(bad.sum())
    shapes[bad] = shapely.make_valid(shapes[bad])
    labels = Labels(subject, grid, shapes, keys, counts, _count_warnings(counts))
    source = _crs_of(labels, facts["crs"], assume_crs)
    order = _burning_order(keys, list(priority))
    parts, index = shapely.get_parts(shapes[order], return_index=True)
    flat = shapely.get_dimensions(parts) == 2
    labels.shapes, index = _on_grid(parts[flat], source, grid), index[flat]
    placed = np.isfinite(shapely.bounds(labels.shapes)).all(axis=1)
    labels.shapes, index = labels.shapes[placed], index[placed]
    labels.classes = [keys[order[i]] for i in index.tolist()]
    if not len(labels.shapes) or not labels.extent.area:
        bounds = ", ".join(f"{v:.10g}" for v in grid.bounds)
        raise InputError(subject, f"nothing of it lies on the map ({bounds})", "check its coordinates and CRS")
    return labels


def _facts(path: Path, subject: str, layer: str | None) -> dict[str, Any]:
    """What the layer to be read says of itself."""
    import pyogrio

    if not path.is_file():
        problem = "is a folder" if path.is_dir() else "is not a regular file" if path.exists() else "no such file"
        raise InputError(subject, problem, "check the path")
    if path.stat().st_size == 0:
        raise InputError(subject, "is empty", "get the file again")
    with _translated(subject):
        # Tables without geometry, such as the styles that QGIS keeps in a GeoPackage, are no layers of polygons.
        names = [str(name) for name, geometry in pyogrio.list_layers(path) if geometry is not None]
        if not names:
            raise InputError(subject, "holds no geometry", "name a file of polygons")
        if layer is None and len(names) > 1:
            raise UsageError(
                "--layer", f"{subject} has several layers ({', '.join(names)})", f"such as --layer {names[0]}"
            )
        if layer is not None and layer not in names:
            raise InputError(subject, f"has no layer {layer!r}; it has {', '.join(names)}", "use one of these")
        facts: dict[str, Any] = pyogrio.read_info(path, layer=layer or names[0])
    return facts | {"layer": layer or names[0]}


class _translated:
    """Turns the errors of reading a vector file into `InputError`, and hides the warnings of GDAL."""

    def __init__(self, subject: str) -> None:
        self.subject = subject
        self._quiet = warnings.catch_warnings()

    def __enter__(self) -> None:
        self._quiet.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, kind: object, exc: BaseException | None, trace: Any) -> None:
        from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, GeometryError

        self._quiet.__exit__(None, None, None)
        if isinstance(exc, DataLayerError | DataSourceError | FeatureError | GeometryError):
            raise InputError(
                self.subject,
                f"cannot be read ({one_line(exc)[:120]})",
                "is it a class raster, GeoJSON, GPKG or another vector file? get it again",
            ) from exc


def _column(subject: str, facts: dict[str, Any], attribute: str | None) -> str:
    fields = [str(name) for name in facts["fields"]]
    has = ", ".join(fields)[:200] or "none"
    if attribute is not None:
        if attribute not in fields:
            raise InputError(
                subject, f"has no attribute {attribute!r}; it has {has}", "use one of these in --attribute"
            )
        return attribute
    for name in CLASS_ATTRIBUTES:
        if name in fields:
            return name
    remedy = f"such as --attribute {fields[0]}, or" if fields else "use"
    raise UsageError(
        "--attribute", f"which attribute of {subject} holds the class? it has {has}", f"{remedy} --class building"
    )


def _read(path: Path, subject: str, facts: dict[str, Any], column: str | None) -> tuple[Geometries, list[Any] | None]:
    """The geometries, missing where they cannot be understood, and the values of the column."""
    import pyogrio.raw

    with _translated(subject):
        _, _, wkb, fields = pyogrio.raw.read(
            path, layer=facts["layer"], columns=[] if column is None else [column], force_2d=True
        )
    if wkb is None:
        raise InputError(subject, "holds no geometry", "name a file of polygons")
    shapes: Geometries = np.atleast_1d(shapely.from_wkb(wkb, on_invalid="ignore"))
    return shapes, None if column is None else [v.item() if isinstance(v, np.generic) else v for v in fields[0]]


def _is_null(value: Any) -> bool:
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _check_dimensions(subject: str, shapes: Geometries) -> None:
    if not len(shapes):
        raise InputError(subject, "holds no polygons with a class", "name a file with the polygons of the truth")
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


def _crs_of(labels: Labels, crs: str | None, assumed: str | None) -> str | None:
    """The CRS of the coordinates, None for that of the grid. Raises `InputError` where it cannot be right."""
    import pyproj

    left, bottom, right, top = shapely.total_bounds(labels.shapes)
    geographic = crs is not None and pyproj.CRS(crs).is_geographic
    most = max(abs(left), abs(right), abs(bottom), abs(top))
    foreign = geographic and (max(abs(left), abs(right)) > 361 or max(abs(bottom), abs(top)) > 91)
    if labels.grid.crs is None:
        labels.warnings.append("the map has no CRS; the coordinates of the truth are taken as the map's own")
        return None
    if assumed is not None:
        if crs is not None and not foreign:
            raise InputError(labels.name, "has a CRS of its own", "leave out --assume-crs")
        return assumed
    if crs is None:
        raise InputError(labels.name, "does not name its CRS", "say it with --assume-crs, such as EPSG:32640")
    if foreign:
        raise InputError(
            labels.name,
            f"coordinates up to {most:.0f} are not lon/lat",
            "say its CRS with --assume-crs, such as EPSG:32640",
        )
    return crs


def _burning_order(keys: Sequence[Any], priority: Sequence[Any]) -> NDArray[np.intp]:
    rank = {key: len(priority) - place for place, key in reversed(list(enumerate(priority)))}
    return np.argsort([rank.get(key, 0) for key in keys], kind="stable")


def _on_grid(shapes: Geometries, source: str | None, grid: Grid) -> Geometries:
    """Polygons in the pixels of the grid; edges that are long stay straight in the CRS that they were drawn in."""
    inverse = tuple(~grid.transform)[:6]

    def pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c, d, e, f = inverse
        x, y = points[:, 0], points[:, 1]
        return np.stack((a * x + b * y + c, d * x + e * y + f), axis=1)

    if source is None or same_crs(source, grid.crs):
        return shapely.transform(shapes, pixels)
    import pyproj

    to = pyproj.Transformer.from_crs(source, grid.crs, always_xy=True)
    shapes = _around(shapes, pyproj.Transformer.from_crs(grid.crs, source, always_xy=True), grid)
    return shapely.transform(shapes, lambda p: pixels(np.stack(to.transform(p[:, 0], p[:, 1]), axis=1)))


def _around(shapes: Geometries, back: Any, grid: Grid) -> Geometries:
    """The polygons cut to the surroundings of the grid, and their long edges divided.

    Without the cut, dividing the edges of a polygon around a country would fill the memory.
    """
    left, bottom, right, top = back.transform_bounds(*grid.bounds, densify_pts=33)
    if not (np.isfinite((left, bottom, right, top)).all() and left < right):
        return shapes
    margin = 0.05 * max(right - left, top - bottom)
    box = (left - margin, bottom - margin, right + margin, top + margin)
    cut = shapely.make_valid(shapely.clip_by_rect(shapes, *box))
    step = _STRAIGHT * min((right - left) / grid.width, (top - bottom) / grid.height)
    return shapely.segmentize(cut, step) if step > 0 else cut
