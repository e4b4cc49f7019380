"""What a layer of polygons looks like: read when it is first needed, as GeoJSON for the page, as a picture."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from mapgen.arrays import Bytes
from mapgen.errors import InputError, one_line
from mapgen.files.gdal import environment
from mapgen.layers.read import PolygonLayer, read_polygons
from mapgen.legend import BUILTIN, PALETTE, LayerClass, colors_of
from mapgen.results.still import Frame
from mapgen.tiling.quadtree import Bounds, to_mercator

_DIGITS = 7
"""Decimals of degrees in the page: a centimetre."""


class LayerDrawing:
    """A layer of polygons, whole in memory once it was needed. Raises `InputError` for more than `most` of them."""

    finest = 0.0

    def __init__(
        self, path: Path, known: Sequence[LayerClass] = (), layer: str | None = None, most: int = 300_000
    ) -> None:
        from mapgen.files.vectors import facts_of

        self.count: int = facts_of(path, one_line(path), layer)["features"]
        if self.count > most:
            remedy = f"make tiles of it with mapgen tiles --vector {path.name}, and view those"
            raise InputError(path, f"has {self.count:,} features, the page takes {most:,}", remedy)
        self.path, self.name, self.which, self.known = path, path.name, layer, known
        self.warnings: list[str] = []
        self._lock = threading.Lock()
        self._layer: PolygonLayer | None = None

    @property
    def layer(self) -> PolygonLayer:
        """The polygons; any thread may ask. Raises `InputError`."""
        with self._lock:
            if self._layer is None:
                with environment():
                    self._layer = read_polygons(self.path, self.which)
                self.warnings = list(self._layer.warnings)
                self._classes, self._kinds = _kinds(self._layer, self.known)
            return self._layer

    @property
    def classes(self) -> tuple[LayerClass, ...]:
        """The classes of the polygons."""
        return self._classes if self.layer else ()

    @property
    def kinds(self) -> NDArray[np.int64]:
        """The place of the class of each polygon among them."""
        return self._kinds if self.layer else np.zeros(0, np.int64)

    @property
    def bounds(self) -> Bounds:
        """Degrees (west, south, east, north) of the polygons."""
        import shapely

        if not len(self.layer.shapes):
            return (-180.0, -85.0, 180.0, 85.0)
        west, south, east, north = (float(v) for v in shapely.total_bounds(self.layer.shapes))
        return west, south, east, north

    def areas(self) -> list[tuple[LayerClass, float]] | None:
        """Each class with the sum of `area_m2`; None where the layer does not say how large its polygons are."""
        if "area_m2" not in self.layer.columns:
            return None
        sums = np.bincount(self.kinds, np.nan_to_num(self.layer.columns["area_m2"].astype(float)), len(self.classes))
        return list(zip(self.classes, sums.tolist(), strict=True))

    def geojson(self) -> bytes:
        """The polygons and all their attributes as GeoJSON; `mapgen_class` is the id of a feature's class."""
        import shapely

        rounded = shapely.transform(self.layer.shapes, lambda xy: np.round(xy, _DIGITS))
        shapes = shapely.to_geojson(rounded) if len(rounded) else []
        columns = {k: [_plain(v) for v in values.tolist()] for k, values in self.layer.columns.items()}
        numbers = [self.classes[kind].id for kind in self.kinds.tolist()]
        parts = []
        for i, shape in enumerate(shapes):
            properties = {k: values[i] for k, values in columns.items()} | {"mapgen_class": numbers[i]}
            text = json.dumps(properties, ensure_ascii=False)
            parts.append(f'{{"type":"Feature","id":{i},"geometry":{shape},"properties":{text}}}')
        return ('{"type":"FeatureCollection","features":[' + ",\n".join(parts) + "]}").encode()

    def draw(self, frame: Frame) -> Bytes:
        """Its colours (H, W, 4) in a frame."""
        import shapely
        from rasterio.features import rasterize

        out = np.zeros((frame.height, frame.width, 4), np.uint8)
        if not len(self.layer.shapes):
            return out
        (left, _, _, top), step = frame.bounds, frame.resolution
        flat = shapely.transform(self.layer.shapes, lambda xy: np.stack(to_mercator(xy[:, 0], xy[:, 1]), axis=1))
        burnt = rasterize(
            zip(flat, (self.kinds + 1).tolist(), strict=True), (frame.height, frame.width), fill=0, dtype="int32",
            transform=Affine(step, 0, left, 0, -step, top),
        )  # fmt: skip
        table = [(0, 0, 0, 0), *((*(int(c.color[i : i + 2], 16) for i in (1, 3, 5)), 255) for c in self.classes)]
        return np.asarray(np.array(table, np.uint8)[burnt])


def _kinds(layer: PolygonLayer, known: Sequence[LayerClass]) -> tuple[tuple[LayerClass, ...], NDArray[np.int64]]:
    """The classes of a layer, and the place of each feature's among them: by id and name, else by either, else one."""
    columns = layer.columns
    count = len(layer.shapes)
    ids = columns.get("class_id")
    names = columns.get("class_name")
    if ids is None and names is None:
        return (LayerClass(0, layer.layer, PALETTE[1]),), np.zeros(count, np.int64)
    pairs = list(zip(
        [""] * count if names is None else [str(v) for v in names.tolist()],
        [None] * count if ids is None else ids.tolist(), strict=True,
    ))  # fmt: skip
    order = sorted(set(pairs), key=lambda p: (p[1] is None, _number(p[1]), p[0]))
    colors = {c.name.casefold(): c.color for c in (*BUILTIN, *known)}
    numbers = [_number(key) for _, key in order]
    if len(set(numbers)) < len(numbers):  # no ids, or the same for several names: they are numbered
        numbers = list(range(len(order)))
    bare = {n: name for n, (name, _) in zip(numbers, order, strict=True) if name.casefold() not in colors}
    other = colors_of(bare, (colors[name.casefold()] for name, _ in order if name.casefold() in colors))
    classes = []
    for number, (name, key) in zip(numbers, order, strict=True):
        color = colors.get(name.casefold()) or other[number]
        classes.append(LayerClass(number, name or str(key), color))
    places = {pair: i for i, pair in enumerate(order)}
    return tuple(classes), np.array([places[p] for p in pairs], np.int64)


def _number(key: Any) -> int:
    return int(key) if isinstance(key, int | float) and math.isfinite(key) else 0


def _plain(value: Any) -> Any:
    """An attribute as JSON has it."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
