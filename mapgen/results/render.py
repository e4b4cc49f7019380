"""What maps look like on Web Mercator: class rasters, imagery, layers and tile sets as pictures of any frame."""

from __future__ import annotations

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
from mapgen.errors import InputError
from mapgen.files.encoders import encoded
from mapgen.files.gdal import environment, gdal_errors
from mapgen.files.inputs import note_inputs
from mapgen.files.untrusted import unpacked
from mapgen.grid import Grid, Window
from mapgen.layers.crs import placed
from mapgen.legend import LayerClass
from mapgen.raster.legends import ClassNames
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


class Drawing(Protocol):
    """Something that can be drawn: `bounds` are degrees, `finest` Web Mercator metres below which it shows no more."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def bounds(self) -> Bounds:
        """Where it lies."""

    @property
    def finest(self) -> float:
        """The resolution below which there is nothing to see."""

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
        self.names = self.source.names if isinstance(self.source, ClassSource) else ClassNames({})
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
            if value != source.nodata and value not in self.names.background:
                (one,) = self.names.of([value])
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
        (left, _, _, top), step = frame.bounds, frame.resolution
        place = Affine(step, 0, left, 0, -step, top)
        return self._warped_to(WEB_MERCATOR.crs, place, (frame.height, frame.width), bands, how)

    def _warped_to(
        self, crs: str, transform: Affine, shape: tuple[int, int], bands: Sequence[int], how: str
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """The bands (B, H, W) and validity (H, W) on any grid."""
        from rasterio.enums import ColorInterp, Resampling
        from rasterio.vrt import WarpedVRT

        dataset = self._dataset()
        alpha = ColorInterp.alpha in dataset.colorinterp
        bare = dataset.nodatavals[0] is None and not alpha  # then only an alpha band tells where the raster ends
        options = {
            "src_crs": self.grid.crs, "crs": crs, "resampling": Resampling[how], "add_alpha": bare,
            "transform": transform, "width": shape[1], "height": shape[0],
        }  # fmt: skip
        try:
            with self._lock, environment(), WarpedVRT(dataset, **options) as warped:
                values = warped.read(list(bands))
                return values, warped.dataset_mask() > 0
        except gdal_errors() as exc:
            raise InputError(self.name, f"cannot be read ({gdal_reason(exc)})", "get the file again") from exc

    def ids(self, frame: Frame) -> NDArray[Any]:
        """The ids (H, W) in a frame."""
        assert isinstance(self.source, ClassSource)
        return self._classes(self.source, frame)

    def classes_on(self, grid: Grid, window: Window) -> NDArray[Any] | None:
        """The ids (h, w) in a window of another grid, each of the nearest pixel; None where there is no data."""
        source = self.source
        assert isinstance(source, ClassSource)
        if grid == self.grid:
            with self._lock, environment():
                return source.read(window)
        place = grid.crop(window)
        values, valid = self._warped_to(str(place.crs), place.transform, (place.height, place.width), (1,), "nearest")
        ids: NDArray[Any] = values[0].astype(source.dtype, copy=False)
        ids[~valid] = source.nodata
        return ids if valid.any() else None

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
        shown = set(counted) - {source.nodata} - self.names.background
        return [(c, counted[c.id]) for c in self.names.of(shown)], whole

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
