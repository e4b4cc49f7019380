"""What maps look like on Web Mercator: class rasters, imagery, layers and tile sets as pictures of any frame."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from mapgen.arrays import Bytes
from mapgen.errors import InputError, one_line
from mapgen.files.encoders import encoded
from mapgen.files.gdal import environment, gdal_errors
from mapgen.files.inputs import note_inputs
from mapgen.files.untrusted import unpacked
from mapgen.grid import Window
from mapgen.layers.crs import placed
from mapgen.layers.read import PolygonLayer, read_polygons
from mapgen.legend import BUILTIN, PALETTE, LayerClass, color_of
from mapgen.raster.open import gdal_reason
from mapgen.results.still import Frame
from mapgen.tiling.containers.container import open_tiles, reading_tiles
from mapgen.tiling.footprint import footprint
from mapgen.tiling.images import PALETTE_LIMIT, palette_png, rgba_png, used
from mapgen.tiling.quadtree import WEB_MERCATOR, Bounds, Tile, to_mercator
from mapgen.tiling.source import ClassSource, ColorSource, open_source
from mapgen.tiling.tilejson import TileSetInfo

TILE = 256

COUNTED_WHOLE = 1 << 26
"""A class map with more pixels than this is not counted whole: its areas are those of a smaller copy."""

_DIGITS = 7
"""Decimals of degrees in the page: a centimetre."""


class Drawing(Protocol):
    """Something that can be drawn: `bounds` are degrees, `finest` Web Mercator metres below which it shows no more."""

    name: str
    bounds: Bounds
    finest: float

    def draw(self, frame: Frame) -> Bytes:
        """Its colours (H, W, 4) in a frame."""


class RasterDrawing:
    """A class map or imagery, read through a warp; any thread may draw."""

    def __init__(self, name: str, *, imagery: bool = False) -> None:
        self.file = name
        with environment():
            self.source: ClassSource | ColorSource = open_source(name, kind="imagery" if imagery else "auto")
            try:
                self.name = self.source.mask.name if isinstance(self.source, ClassSource) else self.source.scene.name
                self.grid = placed(self.source.grid, self.name, None, "add one with gdal_translate -a_srs EPSG:n")
                ground = footprint(self.grid, WEB_MERCATOR)
                if ground is None:
                    raise InputError(self.name, "lies beyond ±85.05°, where web maps end", "check its CRS")
            except BaseException:
                self.source.close()
                raise
        self.bounds, self.finest = ground.lonlat, ground.resolution
        self.zoom = WEB_MERCATOR.zoom_for(ground.resolution, TILE)
        self.warnings, self.notes = self.source.warnings, self.source.notes
        self._lock = threading.Lock()

    def _dataset(self) -> Any:
        return self.source.mask.dataset if isinstance(self.source, ClassSource) else self.source.scene.dataset

    @property
    def is_classes(self) -> bool:
        """Whether its pixels are classes."""
        return isinstance(self.source, ClassSource)

    def close(self) -> None:
        """Close the raster."""
        self.source.close()

    def tile(self, z: int, x: int, y: int) -> bytes | None:
        """One tile as PNG (classes) or WebP; None where there is nothing. Raises `InputError` for a damaged file."""
        frame = Frame(WEB_MERCATOR.bounds(Tile(z, x, y)), TILE, TILE)
        if isinstance(self.source, ClassSource):
            ids = self._classes(self.source, frame)
            if (ids == self.source.nodata).all():
                return None
            values, places = used(ids)
            colors = self._colors(self.source, values)
            if len(values) > PALETTE_LIMIT:
                return rgba_png(colors[places])
            return palette_png(places.astype(np.uint8, copy=False), colors)
        colors = self._imagery(self.source, frame)
        return encoded(colors, "webp") if colors[-1].any() else None

    def draw(self, frame: Frame) -> Bytes:
        """Its colours (H, W, 4) in a frame."""
        if isinstance(self.source, ClassSource):
            values, places = used(self._classes(self.source, frame))
            return np.asarray(self._colors(self.source, values)[places])
        colors = self._imagery(self.source, frame)
        if len(colors) == 2:
            colors = colors[[0, 0, 0, 1]]
        return np.ascontiguousarray(colors.transpose(1, 2, 0))

    def _classes(self, source: ClassSource, frame: Frame) -> NDArray[Any]:
        values, valid = self._warped(frame, (1,), "nearest")
        ids: NDArray[Any] = values[0].astype(source.dtype, copy=False)
        ids[~valid] = source.nodata
        return ids

    def _colors(self, source: ClassSource, values: NDArray[Any]) -> Bytes:
        """The colours (n, 4) of class ids; nothing where there is no data, and where there is background."""
        colors = np.zeros((len(values), 4), np.uint8)
        for place, value in enumerate(values.tolist()):
            if value != source.nodata and value not in source.names.background:
                (one,) = source.names.of([value])
                colors[place] = (*(int(one.color[i : i + 2], 16) for i in (1, 3, 5)), 255)
        return colors

    def _imagery(self, source: ColorSource, frame: Frame) -> Bytes:
        pixels, valid = self._warped(frame, source.scene.bands, "bilinear")
        valid &= np.isfinite(pixels).all(axis=0) if pixels.dtype.kind == "f" else True
        share = np.where(valid, pixels, source.low).astype(np.float32) - np.float32(source.low)
        out = np.empty((len(pixels) + 1, *valid.shape), np.uint8)
        out[:-1] = np.rint((share / np.float32(source.high - source.low)).clip(0, 1) * 255)
        out[-1] = valid * np.uint8(255)
        return out

    def _warped(self, frame: Frame, bands: Sequence[int], how: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The bands (B, H, W) and validity (H, W) in a frame, from the overviews that suit it."""
        from rasterio.enums import ColorInterp, Resampling
        from rasterio.vrt import WarpedVRT

        dataset, (left, _, _, top), step = self._dataset(), frame.bounds, frame.resolution
        alpha = ColorInterp.alpha in dataset.colorinterp
        bare = dataset.nodatavals[0] is None and not alpha  # then only an alpha band tells where the raster ends
        options = {
            "src_crs": self.grid.crs, "crs": WEB_MERCATOR.crs, "resampling": Resampling[how], "add_alpha": bare,
            "transform": Affine(step, 0, left, 0, -step, top), "width": frame.width, "height": frame.height,
        }  # fmt: skip
        try:
            with self._lock, environment(), WarpedVRT(dataset, **options) as warped:
                values = warped.read(list(bands))
                return values, warped.dataset_mask() > 0
        except gdal_errors() as exc:
            raise InputError(self.name, f"cannot be read ({gdal_reason(exc)})", "get the file again") from exc

    def areas(self) -> tuple[list[tuple[LayerClass, float]], bool]:
        """Each class that occurs with its area in m², and whether every pixel was counted. Background is left out."""
        source = self.source
        if not isinstance(source, ClassSource):
            return [], True
        whole = self.grid.window.area <= COUNTED_WHOLE
        counted: dict[int, float] = {}
        for ids, pixel in self._strips(source) if whole else self._decimated(source):
            values, counts = np.unique(ids, return_counts=True)
            for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                counted[value] = counted.get(value, 0.0) + count * pixel
        shown = set(counted) - {source.nodata} - source.names.background
        return [(c, counted[c.id]) for c in source.names.of(shown)], whole

    def _strips(self, source: ClassSource) -> Any:
        """Strips of ids, and the area of a pixel of each."""
        rows = source.mask.strip_rows
        for row in range(0, self.grid.height, rows):
            window = Window(row, 0, rows, self.grid.width) & self.grid.window
            with self._lock, environment():
                ids = source.read(window)
            if ids is not None:
                yield ids, math.prod(self.grid.crop(window).resolution_m)

    def _decimated(self, source: ClassSource) -> Any:
        """The raster at a resolution with few enough pixels, in one piece."""
        step = math.sqrt(self.grid.window.area / COUNTED_WHOLE)
        shape = max(1, round(self.grid.height / step)), max(1, round(self.grid.width / step))
        with self._lock, environment():
            dataset = source.mask.dataset
            ids = dataset.read(1, out_shape=shape).astype(source.dtype, copy=False)
            ids[dataset.read_masks(1, out_shape=shape) == 0] = source.nodata
        rows = -(-shape[0] // 64)
        for top in range(0, shape[0], rows):
            bottom = min(shape[0], top + rows)
            first, last = round(top * self.grid.height / shape[0]), round(bottom * self.grid.height / shape[0])
            band = Window(first, 0, max(1, last - first), self.grid.width)
            shrunk = self.grid.window.area / (shape[0] * shape[1])
            yield ids[top:bottom], math.prod(self.grid.crop(band).resolution_m) * shrunk


class LayerDrawing:
    """A layer of polygons, whole in memory. Raises `InputError` for more than `most` of them."""

    def __init__(
        self, path: Path, known: Sequence[LayerClass] = (), layer: str | None = None, most: int = 300_000
    ) -> None:
        from mapgen.files.vectors import facts_of

        count = facts_of(path, one_line(path), layer)["features"]
        if count > most:
            remedy = f"make tiles of it with mapgen tiles --vector {path.name}, and view those"
            raise InputError(path, f"has {count:,} features, the page takes {most:,}", remedy)
        with environment():
            self.layer: PolygonLayer = read_polygons(path, layer)
        self.name, self.warnings = path.name, list(self.layer.warnings)
        self.classes, self.kinds = _kinds(self.layer, known)
        self.bounds, self.finest = self._bounds(), 0.0

    def _bounds(self) -> Bounds:
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
    classes = []
    for number, (name, key) in zip(numbers, order, strict=True):
        color = colors.get(name.casefold(), color_of(number))
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


class TilesDrawing:
    """A tile set that is there already."""

    def __init__(self, path: Path) -> None:
        self._stack = ExitStack()
        self.reader = self._stack.enter_context(open_tiles(path))
        self.path, self.name = path, path.name
        self.info: TileSetInfo = self.reader.info
        self.bounds = self.info.bounds
        self.finest = WEB_MERCATOR.resolution(self.info.max_zoom, self.info.tile_size)
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the tile set."""
        self._stack.close()

    def tile(self, z: int, x: int, y: int) -> bytes | None:
        """One tile, vector tiles unpacked; any thread may ask."""
        with reading_tiles(self.name), self._lock:
            data = self.reader.get(z, x, y)
            return unpacked(data) if data is not None and data[:2] == b"\x1f\x8b" else data

    def tiles(self) -> Iterator[tuple[int, int, int, bytes]]:
        """All tiles."""
        with reading_tiles(self.name):
            yield from self.reader.tiles()

    def draw(self, frame: Frame) -> Bytes:
        """Its colours (H, W, 4) in a frame. Raises `InputError` for vector tiles."""
        if self.info.format == "mvt":
            raise InputError(self.name, "holds vector tiles", "name the layer or the class map they were made of")
        size = self.info.tile_size
        z = min(self.info.max_zoom, max(self.info.min_zoom, WEB_MERCATOR.zoom_for(frame.resolution, size)))
        step = WEB_MERCATOR.resolution(z, size)
        (left, _, _, top), half = frame.bounds, WEB_MERCATOR.top
        # The pixel of the zoom's grid under the centre of each pixel of the frame.
        cols = np.floor((left + (np.arange(frame.width) + 0.5) * frame.resolution + half) / step).astype(np.int64)
        rows = np.floor((half - top + (np.arange(frame.height) + 0.5) * frame.resolution) / step).astype(np.int64)
        out = np.zeros((frame.height, frame.width, 4), np.uint8)
        for y in np.unique(rows // size).tolist():
            for x in np.unique(cols // size).tolist():
                data = self.tile(z, x, y) if 0 <= x < 1 << z and 0 <= y < 1 << z else None
                if data is not None:
                    tile = self._opened(data, f"{z}/{x}/{y}")
                    down, across = np.flatnonzero(rows // size == y), np.flatnonzero(cols // size == x)
                    # A tile may be of another size than the set says.
                    places = rows[down] % size * tile.shape[0] // size, cols[across] % size * tile.shape[1] // size
                    out[np.ix_(down, across)] = tile[np.ix_(*places)]
        return out

    def _opened(self, data: bytes, which: str) -> Bytes:
        from io import BytesIO

        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(BytesIO(data), formats=("WEBP", "PNG", "JPEG")) as image:
                return np.asarray(image.convert("RGBA"))
        except (OSError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as exc:
            raise InputError(self.name, f"its tile {which} is not a picture that can be read", "get it again") from exc


class PictureDrawing:
    """A picture in Web Mercator whose edges are known, such as the preview in a folder of results."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(path, formats=("WEBP", "PNG", "JPEG")) as image:
                self.pixels: Bytes = np.asarray(image.convert("RGBA"))
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as exc:
            raise InputError(path, "is not a picture that can be read", "make the map again") from exc
        note_inputs(path)
        self.path, self.name, self.bounds = path, path.name, bounds
        left, bottom = (float(v) for v in to_mercator(bounds[0], bounds[1]))
        right, top = (float(v) for v in to_mercator(bounds[2], bounds[3]))
        self._edges = (left, bottom, right, top)
        self.finest = (right - left) / self.pixels.shape[1]

    def draw(self, frame: Frame) -> Bytes:
        """Its colours (H, W, 4) in a frame."""
        (left, bottom, right, top), step = self._edges, frame.resolution
        height, width, _ = self.pixels.shape
        xs = frame.bounds[0] + (np.arange(frame.width) + 0.5) * step
        ys = frame.bounds[3] - (np.arange(frame.height) + 0.5) * step
        cols = np.floor((xs - left) / (right - left) * width).astype(np.int64)
        rows = np.floor((top - ys) / (top - bottom) * height).astype(np.int64)
        out = np.zeros((frame.height, frame.width, 4), np.uint8)
        down, across = np.flatnonzero((rows >= 0) & (rows < height)), np.flatnonzero((cols >= 0) & (cols < width))
        out[np.ix_(down, across)] = self.pixels[np.ix_(rows[down], cols[across])]
        return out
