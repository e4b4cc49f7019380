"""Parts of the page: where a browser finds what a side shows, at a server or within the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.errors import InputError, one_line, option
from mapgen.files.commit import Output
from mapgen.results.render import PictureDrawing, TilesDrawing
from mapgen.results.server import Served, TileMaker
from mapgen.results.side import Raster, Side
from mapgen.results.still import area_text
from mapgen.tiling.containers.container import writing_tiles
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.quadtree import Bounds
from mapgen.tiling.tilejson import LINES
from mapgen.tiling.tiles import Tiler

INLINE_LIMIT = 100_000_000
"""Bytes of what a page that stands alone may show; browsers grow slow beyond."""

INLINE_PIXELS = 1 << 26
"""A raster with more pixels is inlined at a lower zoom."""


def described(side: Side, place: AtServer | InPage) -> dict[str, Any]:
    """A side as the page wants it, its parts being put at their place."""
    return {
        "title": one_line(side.title), "bounds": within(side.bounds), "note": side.note,
        "missing": [one_line(text) for text in side.missing],
        "classes": [
            {"id": c.id, "name": c.name, "color": c.color, "area": None if area is None else area_text(area)}
            for c, area in side.areas
        ],
        "raster": None if side.raster is None else place.raster(side.raster),
        "imagery": _imagery(side.imagery, place),
        "vector": _vector(side, place),
        "roads": None if side.roads is None else place.content("application/json", side.roads.compact),
    }  # fmt: skip


def within(bounds: Bounds) -> Bounds:
    """The bounds within the web's square; a map across the antimeridian has the whole turn."""
    west, south, east, north = bounds
    if east > 180:
        west, east = -180.0, 180.0
    return west, max(-85.0, south), east, min(85.0, north)


def _imagery(drawing: Raster | PictureDrawing | None, place: AtServer | InPage) -> dict[str, Any] | None:
    if isinstance(drawing, PictureDrawing):
        return {"image": place.file(drawing.path), "bounds": drawing.bounds}
    return None if drawing is None else place.raster(drawing)


def _vector(side: Side, place: AtServer | InPage) -> dict[str, Any] | None:
    if side.vector is not None:
        info = side.vector.info
        return place.tiles(side.vector) | {
            "layers": [str(v["id"]) for v in info.vector_layers],
            "lines": any(v.get("geometry") == LINES for v in info.vector_layers),
            "minzoom": info.min_zoom, "maxzoom": info.max_zoom, "key": "class_id",
        }  # fmt: skip
    if side.layer is not None:
        return {"geojson": place.content("application/geo+json", side.layer.geojson()), "key": "mapgen_class"}
    return None


def _facts(low: int, high: int, size: int, bounds: Bounds) -> dict[str, Any]:
    return {"minzoom": low, "maxzoom": high, "size": size, "bounds": within(bounds)}


def _set_facts(drawing: TilesDrawing) -> dict[str, Any]:
    info = drawing.info
    return _facts(info.min_zoom, info.max_zoom, info.tile_size, info.bounds)


class AtServer:
    """Parts of the page as things and tiles of a server."""

    def __init__(self, things: dict[str, Served], makers: list[TileMaker]) -> None:
        self.things, self.makers = things, makers

    def raster(self, drawing: Raster) -> dict[str, Any]:
        """Tiles that are drawn when they are asked for, or that lie in an archive."""
        if isinstance(drawing, TilesDrawing):
            return _set_facts(drawing) | self.tiles(drawing)
        return _facts(0, drawing.zoom, 256, drawing.bounds) | self._made(drawing)

    def tiles(self, drawing: TilesDrawing) -> dict[str, Any]:
        """Where the tiles of a set are."""
        if drawing.path.suffix.lower() == ".pmtiles":
            return {"archive": self.file(drawing.path)}
        return self._made(drawing)

    def _made(self, drawing: Raster) -> dict[str, Any]:
        self.makers.append(drawing.tile)
        return {"tiles": f"t/{len(self.makers) - 1}"}

    def file(self, path: Path) -> str:
        """The name under which the page finds a file."""
        return self._add(Served("application/octet-stream", path.absolute()))

    def content(self, kind: str, data: bytes) -> str:
        """The name under which the page finds bytes."""
        return self._add(Served(kind, data))

    def _add(self, served: Served) -> str:
        name = f"f{len(self.things)}"
        self.things[name] = served
        return name


class InPage:
    """Parts of the page within the page; rasters become archives of tiles in a folder first.

    Raises `InputError` for what would make the page larger than `INLINE_LIMIT`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self._made: dict[int, dict[str, Any]] = {}

    def raster(self, drawing: Raster) -> dict[str, Any]:
        """An archive of tiles, the same one for a raster that is shown twice."""
        if id(drawing) not in self._made:
            self._made[id(drawing)] = self._raster(drawing)
        return self._made[id(drawing)]

    def _raster(self, drawing: Raster) -> dict[str, Any]:
        if isinstance(drawing, TilesDrawing):
            return _set_facts(drawing) | self.tiles(drawing)
        output = self.folder / f"{len(self.files)}.pmtiles"
        excess = max(0, int(np.ceil(np.log2(max(1.0, drawing.grid.window.area / INLINE_PIXELS)) / 2)))
        kind: Any = "classes" if drawing.is_classes else "imagery"
        options = TilesOptions(zoom=(None, max(0, drawing.zoom - excess)), kind=kind, overwrite=True)
        Tiler(replace(options, format="pmtiles"))(drawing.file, output)
        made = TilesDrawing(output)
        try:
            return _set_facts(made) | self.tiles(made)
        finally:
            made.close()

    def tiles(self, drawing: TilesDrawing) -> dict[str, Any]:
        """The tiles of a set as an archive within the page."""
        if drawing.path.suffix.lower() == ".pmtiles":
            return {"archive": self.file(drawing.path)}
        copy = self.folder / f"{len(self.files)}.pmtiles"
        with writing_tiles(Output(copy), drawing.info) as sink:
            for tile in drawing.tiles():
                sink.put(*tile)
        return {"archive": self.file(copy)}

    def file(self, path: Path) -> str:
        """The name under which the page finds a file."""
        self._check(path.name, path.stat().st_size)
        return self.content("", path.read_bytes())

    def content(self, kind: str, data: bytes) -> str:
        """The name under which the page finds bytes."""
        self._check("the page", len(data))
        name = f"f{len(self.files)}"
        self.files[name] = data
        return name

    def _check(self, subject: str, size: int) -> None:
        total = size + sum(map(len, self.files.values()))
        if total > INLINE_LIMIT:
            problem = f"a page with it would hold {total / 1e6:.0f} MB, the limit is {INLINE_LIMIT / 1e6:.0f} MB"
            raise InputError(
                subject, problem, f"leave out {option('inline')} to look at it from a server, or cut the map first"
            )
