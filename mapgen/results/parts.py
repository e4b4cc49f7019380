"""Parts of the page: where a browser finds what a side shows, at a server, within the page or beside it."""

from __future__ import annotations

import gzip
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.errors import InputError, one_line, option
from mapgen.files.commit import Output
from mapgen.results.layer_drawing import LayerDrawing
from mapgen.results.render import PictureDrawing, TilesDrawing
from mapgen.results.server import Served, TileMaker
from mapgen.results.side import Raster, Side
from mapgen.tiling.containers.container import writing_tiles
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.quadtree import Bounds
from mapgen.tiling.tilejson import LINES, TileSetInfo
from mapgen.tiling.tiles import Tiler

INLINE_LIMIT = 100_000_000
"""Bytes of what a page that stands alone may show; browsers grow slow beyond."""

INLINE_PIXELS = 1 << 26
"""A raster with more pixels is inlined at a lower zoom."""

MOST_POLYGONS = 20_000
"""A layer with more polygons is neither inlined nor made into tiles of its own where there are vector tiles of the map:
the page would be large, and the tiles would take minutes."""


def described(side: Side, place: Place) -> dict[str, Any]:
    """A side as the page wants it, its parts being put at their place."""
    total = sum(area or 0.0 for _, area in side.areas)
    return {
        "title": one_line(side.title), "bounds": within(side.bounds), "note": side.note,
        "missing": [one_line(text) for text in side.missing],
        "classes": [
            {"id": c.id, "name": c.name, "color": c.color, "area": area,
             "share": None if area is None or not total else round(area / total, 6)}
            for c, area in side.areas
        ],
        "raster": None if side.raster is None else place.raster(side.raster, "classes"),
        "imagery": _imagery(side.imagery, place),
        "confidence": None if side.confidence is None else place.raster(side.confidence, "confidence"),
        "vector": _vector(side, place),
        "roads": None if side.roads is None else place.content("roads.json", side.roads.compact),
    }  # fmt: skip


def within(bounds: Bounds) -> Bounds:
    """The bounds within the web's square; a map across the antimeridian has the whole turn."""
    west, south, east, north = bounds
    if east > 180:
        west, east = -180.0, 180.0
    return west, max(-85.0, south), east, min(85.0, north)


def _imagery(drawing: Raster | PictureDrawing | None, place: Place) -> dict[str, Any] | None:
    if isinstance(drawing, PictureDrawing):
        return {"image": place.file(drawing.path), "bounds": drawing.bounds}
    return None if drawing is None else place.raster(drawing, "imagery")


def _vector(side: Side, place: Place) -> dict[str, Any] | None:
    """The generalised polygons themselves, with all that is known of each, where they are there and not too many."""
    if side.layer is not None and (side.vector is None or side.layer.count <= place.most_polygons):
        return place.layer(side.layer)
    if side.vector is None:
        return None
    return _vector_facts(side.vector.info, "class_id") | place.tiles(side.vector, "polygons")


def _vector_facts(info: TileSetInfo, key: str) -> dict[str, Any]:
    return {
        "layers": [str(v["id"]) for v in info.vector_layers],
        "lines": any(v.get("geometry") == LINES for v in info.vector_layers),
        "minzoom": info.min_zoom, "maxzoom": info.max_zoom, "key": key,
    }  # fmt: skip


def _facts(low: int, high: int, size: int, bounds: Bounds) -> dict[str, Any]:
    return {"minzoom": low, "maxzoom": high, "size": size, "bounds": within(bounds)}


def _set_facts(drawing: TilesDrawing) -> dict[str, Any]:
    info = drawing.info
    return _facts(info.min_zoom, info.max_zoom, info.tile_size, info.bounds)


class Place(ABC):
    """Where the parts of a page are put: each is given a name, by which the page finds it."""

    most_polygons = 1 << 62
    """A layer with more is left, if there are tiles of it."""

    @abstractmethod
    def raster(self, drawing: Raster, role: str) -> dict[str, Any]:
        """A raster as tiles: where they are, and of which zooms."""

    @abstractmethod
    def tiles(self, drawing: TilesDrawing, role: str) -> dict[str, Any]:
        """The tiles of a set."""

    @abstractmethod
    def file(self, path: Path) -> str:
        """The name of a file."""

    @abstractmethod
    def content(self, name: str, data: bytes) -> str:
        """The name of bytes that might be called `name`."""

    @abstractmethod
    def layer(self, drawing: LayerDrawing) -> dict[str, Any]:
        """The polygons of a layer."""


class AtServer(Place):
    """Parts of the page as things and tiles of a server."""

    def __init__(self, things: dict[str, Served], makers: list[TileMaker]) -> None:
        self.things, self.makers = things, makers

    def raster(self, drawing: Raster, role: str) -> dict[str, Any]:
        """Tiles that are drawn when they are asked for, or that lie in an archive."""
        if isinstance(drawing, TilesDrawing):
            return _set_facts(drawing) | self.tiles(drawing, role)
        return _facts(0, drawing.zoom, 256, drawing.bounds) | self._made(drawing)

    def tiles(self, drawing: TilesDrawing, role: str) -> dict[str, Any]:
        """Where the tiles of a set are."""
        del role
        if drawing.path.suffix.lower() == ".pmtiles":
            return {"archive": self.file(drawing.path)}
        return self._made(drawing)

    def _made(self, drawing: Raster) -> dict[str, Any]:
        self.makers.append(drawing.tile)
        return {"tiles": f"t/{len(self.makers) - 1}"}

    def file(self, path: Path) -> str:
        """The name under which the page finds a file."""
        return self._add(Served("application/octet-stream", path.absolute()))

    def content(self, name: str, data: bytes) -> str:
        """The name under which the page finds bytes."""
        return self._add(Served("application/json" if name.endswith("json") else "application/octet-stream", data))

    def layer(self, drawing: LayerDrawing) -> dict[str, Any]:
        """The polygons as GeoJSON, read when the page asks for them."""
        return {"geojson": self.made("application/geo+json", drawing.geojson), "key": "mapgen_class"}

    def made(self, kind: str, make: Callable[[], bytes]) -> str:
        """The name under which the page finds bytes that are made when it asks for them."""
        return self._add(Served(kind, make))

    def _add(self, served: Served) -> str:
        name = f"f{len(self.things)}"
        self.things[name] = served
        return name


class Archived(Place):
    """Parts that are archives of tiles and files: rasters become such archives first, in `folder`."""

    folder: Path
    most_pixels: float = INLINE_PIXELS
    most_polygons = MOST_POLYGONS

    def __init__(self) -> None:
        self._made: dict[int, dict[str, Any]] = {}
        self._names: set[str] = set()

    def raster(self, drawing: Raster, role: str) -> dict[str, Any]:
        """An archive of tiles, the same one for a raster that is shown twice."""
        if id(drawing) not in self._made:
            self._made[id(drawing)] = self._raster(drawing, role)
        return self._made[id(drawing)]

    def _raster(self, drawing: Raster, role: str) -> dict[str, Any]:
        if isinstance(drawing, TilesDrawing):
            return _set_facts(drawing) | self.tiles(drawing, role)
        output = self._named(f"{role}.pmtiles")
        excess = max(0, int(np.ceil(np.log2(max(1.0, drawing.grid.window.area / self.most_pixels)) / 2)))
        kind: Any = "classes" if drawing.is_classes else "imagery"
        options = TilesOptions(zoom=(None, max(0, drawing.zoom - excess)), kind=kind, overwrite=True)
        Tiler(replace(options, format="pmtiles"))(drawing.file, output)
        made = TilesDrawing(output)
        try:
            return _set_facts(made) | {"archive": self._kept(output)}
        finally:
            made.close()

    def tiles(self, drawing: TilesDrawing, role: str) -> dict[str, Any]:
        """The tiles of a set as an archive."""
        if drawing.path.suffix.lower() == ".pmtiles":
            return {"archive": self._copied(drawing.path, f"{role}.pmtiles")}
        copy = self._named(f"{role}.pmtiles")
        with writing_tiles(Output(copy), drawing.info) as sink:
            for tile in drawing.tiles():
                sink.put(*tile)
        return {"archive": self._kept(copy)}

    def _named(self, name: str) -> Path:
        """A path in the folder that has not been given away."""
        stem, suffix = name.split(".", 1)
        number = 1
        while (unique := name if number == 1 else f"{stem}-{number}.{suffix}") in self._names:
            number += 1
        self._names.add(unique)
        return self.folder / unique

    @abstractmethod
    def _kept(self, path: Path) -> str:
        """The name of a file that was made in the folder."""

    @abstractmethod
    def _copied(self, path: Path, name: str) -> str:
        """The name of a file that lies elsewhere."""


class InPage(Archived):
    """Parts of the page within the page.

    Raises `InputError` for what would make the page larger than `INLINE_LIMIT`.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.files: dict[str, bytes] = {}

    def file(self, path: Path) -> str:
        """The name under which the page finds a file."""
        return self._copied(path, path.name)

    def _kept(self, path: Path) -> str:
        return self._copied(path, path.name)

    def _copied(self, path: Path, name: str) -> str:
        self._check(path.name, path.stat().st_size)
        return self.content(name, path.read_bytes())

    def content(self, name: str, data: bytes) -> str:
        """The name under which the page finds bytes."""
        self._check("the page", len(data))
        key = f"f{len(self.files)}{'z' * name.endswith('z')}"
        self.files[key] = data
        return key

    def layer(self, drawing: LayerDrawing) -> dict[str, Any]:
        """The polygons as compressed GeoJSON."""
        data = gzip.compress(drawing.geojson(), 6, mtime=0)
        return {"geojson": self.content("polygons.geojson.gz", data), "key": "mapgen_class"}

    def _check(self, subject: str, size: int) -> None:
        total = size + sum(map(len, self.files.values()))
        if total > INLINE_LIMIT:
            problem = f"a page with it would hold {total / 1e6:.0f} MB, the limit is {INLINE_LIMIT / 1e6:.0f} MB"
            raise InputError(
                subject, problem, f"leave out {option('inline')} to look at it from a server, or cut the map first"
            )


class InFolder(Archived):
    """Parts of a page in files beside it, for any web server that knows ranges."""

    most_pixels = float("inf")

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def file(self, path: Path) -> str:
        """The name of a copy of a file."""
        return self._copied(path, f"imagery{path.suffix}")

    def _kept(self, path: Path) -> str:
        for record in self.folder.glob(f"{path.name}.*json"):  # the style of the site names all sets together
            record.unlink()
        return path.name

    def _copied(self, path: Path, name: str) -> str:
        target = self._named(re.sub(r"[^\w.-]", "_", name))
        shutil.copyfile(path, target)
        return target.name

    def content(self, name: str, data: bytes) -> str:
        """The name of a file with these bytes."""
        target = self._named(name)
        target.write_bytes(data)
        return target.name

    def layer(self, drawing: LayerDrawing) -> dict[str, Any]:
        """The polygons as vector tiles with all their attributes."""
        output = self._named("polygons.pmtiles")
        Tiler(TilesOptions(vector=True, layer=drawing.which, layer_name="polygons", overwrite=True))(
            str(drawing.path), output
        )
        made = TilesDrawing(output)
        try:
            return _vector_facts(made.info, "class_id") | {"archive": self._kept(output)}
        finally:
            made.close()

