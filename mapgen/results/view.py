"""`view`: a page to look at class maps, layers, tile sets and whole results; a still picture without a browser."""

from __future__ import annotations

import json
import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mapgen.errors import InputError, UsageError, one_line, option
from mapgen.files.commit import Output, check_output
from mapgen.files.inputs import note_inputs, one_run
from mapgen.files.page import SCRIPTS, SERVED_POLICY, STYLES, TEMPLATE, inlined_page, served_page
from mapgen.files.pictures import write_picture
from mapgen.files.vectors import VECTOR_SUFFIXES
from mapgen.files.vet import is_url, public_name
from mapgen.files.webfiles import page_texts, write_page
from mapgen.legend import LayerClass
from mapgen.results.options import ViewOptions
from mapgen.results.render import Drawing, LayerDrawing, PictureDrawing, RasterDrawing, TilesDrawing
from mapgen.results.server import PageServer, Served, TileMaker
from mapgen.results.still import area_text, frame_of, laid_over, with_legend
from mapgen.tiling.containers.container import writing_tiles
from mapgen.tiling.containers.folder import TILEJSON
from mapgen.tiling.options import TilesOptions
from mapgen.tiling.quadtree import Bounds
from mapgen.tiling.tiles import Tiler

INLINE_LIMIT = 100_000_000
"""Bytes of what a page that stands alone may show; browsers grow slow beyond."""

INLINE_PIXELS = 1 << 26
"""A raster with more pixels is inlined at a lower zoom."""

REPORT = "report.json"
PICTURES = (".png", ".webp", ".jpg")
TILE_SUFFIXES = (".pmtiles", ".mbtiles")
_LAYERS = (".gpkg", ".fgb", ".geojson", ".parquet", ".shp")
_KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")

Raster = RasterDrawing | TilesDrawing


@dataclass(slots=True)
class Side:
    """One result: what there is of it to look at."""

    title: str
    raster: Raster | None = None
    imagery: Raster | PictureDrawing | None = None
    layer: LayerDrawing | None = None
    vector: TilesDrawing | None = None
    areas: list[tuple[LayerClass, float | None]] = field(default_factory=list)
    note: str = ""
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def drawings(self) -> list[Drawing]:
        """What is drawn, the map itself first."""
        return [d for d in (self.raster, self.layer, self.vector, self.imagery) if d is not None]

    @property
    def bounds(self) -> Bounds:
        """Degrees (west, south, east, north) of the map, or of the imagery where there is none."""
        return self.drawings[0].bounds


class View:
    """What is looked at: one or two results, open until the block ends. Raises `InputError`, `UsageError`."""

    def __init__(self, path: str, options: ViewOptions) -> None:
        self.options = options
        self._stack = ExitStack()
        self._stack.enter_context(one_run())
        self.sides: list[Side] = []
        try:
            self.sides = [self._side(name) for name in (path, options.compare) if name is not None]
            if options.imagery is not None:
                picture = self._raster(options.imagery, imagery=True)
                for side in self.sides:
                    side.imagery = picture
                    side.missing = [text for text in side.missing if "imagery" not in text]
            self._count()
        except BaseException:
            self._stack.close()
            raise

    @classmethod
    def of(cls, side: Side, options: ViewOptions) -> View:
        """A view of a side that is put together already; its drawings are closed with it."""
        view = cls.__new__(cls)
        view.options, view.sides, view._stack = options, [side], ExitStack()
        for drawing in side.drawings:
            if isinstance(drawing, RasterDrawing | TilesDrawing):
                view._stack.callback(drawing.close)
        return view

    def __enter__(self) -> View:
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    @property
    def warnings(self) -> list[str]:
        """What may be wrong with what is shown."""
        return [text for side in self.sides for text in (*side.warnings, *side.missing)]

    # --- what there is ------------------------------------------------------------------------------------------------

    def _side(self, name: str) -> Side:
        path = Path(name)
        if not is_url(name) and not path.exists():
            raise InputError(public_name(name), "no such file or folder", "check the path")
        if not is_url(name) and path.is_dir() and not (path / TILEJSON).is_file():
            return self._result(path)
        side = Side(public_name(path.name or name))
        suffix = path.suffix.lower()
        if not is_url(name) and (suffix in TILE_SUFFIXES or path.is_dir()):
            self._add_tiles(side, path)
        elif not is_url(name) and suffix in VECTOR_SUFFIXES:
            side.layer = LayerDrawing(path, layer=self.options.layer)
        else:
            raster = self._raster(name)
            side.raster, side.imagery = (raster, None) if raster.is_classes else (None, raster)
        return side

    def _raster(self, name: str, *, imagery: bool = False) -> RasterDrawing:
        raster = RasterDrawing(name, imagery=imagery)
        self._stack.callback(raster.close)
        return raster

    def _add_tiles(self, side: Side, path: Path) -> None:
        tiles = TilesDrawing(path)
        self._stack.callback(tiles.close)
        if tiles.info.format == "mvt":
            side.vector = side.vector or tiles
        elif tiles.info.classes:
            side.raster = side.raster or tiles
        else:
            side.imagery = side.imagery or tiles

    def _result(self, folder: Path) -> Side:
        """What a folder of results holds; its parts are known by their names."""
        side = Side(folder.resolve().name)
        files = sorted(p for p in folder.iterdir() if p.is_file())
        masks = [p for p in files if p.name.endswith(".mask.tif")]
        layers = sorted((p for p in files if p.suffix in _LAYERS), key=lambda p: (_LAYERS.index(p.suffix), p.name))
        if masks:
            side.raster = self._raster(str(masks[0]))
        for path in files:
            if path.suffix in TILE_SUFFIXES:
                self._add_tiles(side, path)
        report = _report(folder / REPORT)
        if side.imagery is None:
            side.imagery = self._imagery_of(report, folder)
        if layers and side.vector is None:
            known = [c for c, _ in side.raster.areas()[0]] if isinstance(side.raster, RasterDrawing) else []
            side.layer = LayerDrawing(layers[0], known, self.options.layer)
        if not side.drawings:
            remedy = "name the folder that mapgen map wrote, or a class map, layer or tile set"
            raise InputError(folder, "holds no class map (*.mask.tif), no layer and no tiles", remedy)
        there = (
            ("class map (*.mask.tif)", masks), ("polygons (a layer or vector tiles)", side.layer or side.vector),
            (f"imagery (name it with {option('imagery')})", side.imagery), (f"report ({REPORT})", report),
        )  # fmt: skip
        side.missing = [f"{folder.name} has no {what}" for what, found in there if not found]
        side.missing += [f"of {len(masks)} class maps {masks[0].name} is shown"] if len(masks) > 1 else []
        return side

    def _imagery_of(self, report: dict[str, Any], folder: Path) -> RasterDrawing | PictureDrawing | None:
        """The scene that a report says the map was made of, if it is one and still there; else the preview."""
        scene = _only_scene(report)
        if scene is not None and not is_url(scene) and (folder / scene).is_file():
            return self._raster(str(folder / scene), imagery=True)
        files = report.get("files")
        named = files.get("preview") if isinstance(files, dict) else None  # before one that an older run has left
        previews = [p for p in folder.glob("*.preview.*") if p.suffix in PICTURES]
        previews.sort(key=lambda p: (p.name != named, p.name))
        placing = report.get("preview")
        bounds = placing.get("bounds") if isinstance(placing, dict) else None
        if not previews or not isinstance(bounds, list) or len(bounds) != 4:
            return None
        if not all(isinstance(v, int | float) for v in bounds) or not (bounds[0] < bounds[2] and bounds[1] < bounds[3]):
            return None
        return PictureDrawing(previews[0], (bounds[0], bounds[1], bounds[2], bounds[3]))

    def _count(self) -> None:
        """Fill in the classes of each side and their areas, and gather what its parts warn of."""
        for side in self.sides:
            side.warnings += [w for d in side.drawings for w in getattr(d, "warnings", [])]
            rows: list[tuple[LayerClass, float | None]] = []
            if isinstance(side.raster, RasterDrawing):
                counted, whole = side.raster.areas()
                rows += counted
                side.note = "" if whole else "Areas are about right: a smaller copy was counted."
            if side.layer is not None:
                rows += side.layer.areas() or [(c, None) for c in side.layer.classes]
            for tiles in (side.raster, side.vector):
                if isinstance(tiles, TilesDrawing):
                    rows += [(c, None) for c in tiles.info.classes]
            rows = [(replace(c, color=c.color if _COLOR.fullmatch(c.color) else "#808080"), area) for c, area in rows]
            side.areas = list({c.id: (c, area) for c, area in reversed(rows)}.values())
            side.areas.sort(key=lambda row: row[0].id)

    # --- the page -----------------------------------------------------------------------------------------------------

    def server(self, port: int = 0) -> PageServer:
        """A server of the page, ready to `serve_forever`."""
        texts = page_texts()
        things = {n: Served(_KINDS[Path(n).suffix], texts[n].encode()) for n in (*SCRIPTS, *STYLES)}
        makers: list[TileMaker] = []
        sides = [self._described(side, _Served(things, makers)) for side in self.sides]
        page = served_page(texts[TEMPLATE], self.title, {"inlined": False, "sides": sides})
        things[""] = Served("text/html; charset=utf-8", page)
        return PageServer(things, makers, SERVED_POLICY, port)

    def inline(self, output: Path) -> int:
        """Write the page as one file; its size in bytes. Raises `OutputError`, and `InputError` if it is too large."""
        place = Output(output, self.options.overwrite)
        check_output(place)
        texts = page_texts()
        with tempfile.TemporaryDirectory(prefix="mapgen-") as name:
            parts = _Inlined(Path(name))
            sides = [self._described(side, parts) for side in self.sides]
            data = {"inlined": True, "sides": sides}
            page = inlined_page(texts[TEMPLATE], self.title, data, texts, parts.files)
        write_page(place, page)
        return len(page)

    @property
    def title(self) -> str:
        """What the page is called."""
        return " | ".join([*(one_line(side.title) for side in self.sides), "mapgen"])

    def _described(self, side: Side, place: _Served | _Inlined) -> dict[str, Any]:
        """A side as the page wants it, its parts being put at their place."""
        return {
            "title": one_line(side.title), "bounds": _within(side.bounds), "note": side.note,
            "missing": [one_line(text) for text in side.missing],
            "classes": [
                {"id": c.id, "name": c.name, "color": c.color, "area": None if area is None else area_text(area)}
                for c, area in side.areas
            ],
            "raster": None if side.raster is None else place.raster(side.raster),
            "imagery": _imagery(side.imagery, place),
            "vector": _vector(side, place),
        }  # fmt: skip

    # --- the picture --------------------------------------------------------------------------------------------------

    def picture(self, output: Path) -> tuple[int, int]:
        """Write the map with its legend as PNG; width and height. Raises `OutputError`, `InputError`, `UsageError`."""
        if len(self.sides) > 1:
            raise UsageError(
                option("compare"), "a still picture shows one map", f"leave it out, or leave out {option('png')}"
            )
        (side,) = self.sides
        drawn = side.raster or side.layer or side.vector
        frame = frame_of(_within(side.bounds), self.options.size, side.drawings[0].finest)
        picture = np.full((frame.height, frame.width, 3), 255, np.uint8)
        if side.imagery is not None:
            picture = laid_over(picture, side.imagery.draw(frame), 1.0)
        if drawn is not None:
            opacity = self.options.opacity / 100 if side.imagery is not None else 1.0
            picture = laid_over(picture, drawn.draw(frame), opacity)
        rows = [(c.name, c.color, "" if a is None else area_text(a)) for c, a in side.areas]
        made = with_legend(picture, rows, side.title, frame.metres)
        write_picture(Output(output, self.options.overwrite), made)
        return made.shape[1], made.shape[0]


def _within(bounds: Bounds) -> Bounds:
    """The bounds within the web's square; a map across the antimeridian has the whole turn."""
    west, south, east, north = bounds
    if east > 180:
        west, east = -180.0, 180.0
    return west, max(-85.0, south), east, min(85.0, north)


def _report(path: Path) -> dict[str, Any]:
    """A report as it stands in a folder; nothing where it is missing or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        note_inputs(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _only_scene(report: dict[str, Any]) -> str | None:
    """The path, as seen from the report, of the scene that it names, if it is one."""
    scenes = report.get("scenes")
    if not isinstance(scenes, list) or len(scenes) != 1 or not isinstance(scenes[0], dict):
        return None
    path = scenes[0].get("path")
    return path if isinstance(path, str) else None


def _imagery(drawing: Raster | PictureDrawing | None, place: _Served | _Inlined) -> dict[str, Any] | None:
    if isinstance(drawing, PictureDrawing):
        return {"image": place.file(drawing.path), "bounds": drawing.bounds}
    return None if drawing is None else place.raster(drawing)


def _vector(side: Side, place: _Served | _Inlined) -> dict[str, Any] | None:
    if side.vector is not None:
        info = side.vector.info
        return place.tiles(side.vector) | {
            "layers": [str(v["id"]) for v in info.vector_layers],
            "minzoom": info.min_zoom, "maxzoom": info.max_zoom, "key": "class_id",
        }  # fmt: skip
    if side.layer is not None:
        return {"geojson": place.content("application/geo+json", side.layer.geojson()), "key": "mapgen_class"}
    return None


def _raster_facts(low: int, high: int, size: int, bounds: Bounds) -> dict[str, Any]:
    return {"minzoom": low, "maxzoom": high, "size": size, "bounds": _within(bounds)}


class _Served:
    """Parts of the page as things and tiles of a server."""

    def __init__(self, things: dict[str, Served], makers: list[TileMaker]) -> None:
        self.things, self.makers = things, makers

    def raster(self, drawing: Raster) -> dict[str, Any]:
        """Tiles that are drawn when they are asked for, or that lie in an archive."""
        if isinstance(drawing, TilesDrawing):
            info = drawing.info
            facts = _raster_facts(info.min_zoom, info.max_zoom, info.tile_size, info.bounds)
            return facts | self.tiles(drawing)
        return _raster_facts(0, drawing.zoom, 256, drawing.bounds) | self._made(drawing)

    def tiles(self, drawing: TilesDrawing) -> dict[str, Any]:
        """Where the tiles of a set are."""
        if drawing.path.suffix.lower() == ".pmtiles":
            return {"archive": self.file(drawing.path)}
        return self._made(drawing)

    def _made(self, drawing: Raster) -> dict[str, Any]:
        self.makers.append(drawing.tile)
        return {"tiles": f"t/{len(self.makers) - 1}"}

    def file(self, path: Path) -> str:
        return self._add(Served("application/octet-stream", path.absolute()))

    def content(self, kind: str, data: bytes) -> str:
        return self._add(Served(kind, data))

    def _add(self, served: Served) -> str:
        name = f"f{len(self.things)}"
        self.things[name] = served
        return name


class _Inlined:
    """Parts of the page within the page; rasters become archives of tiles in a folder first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self._made: dict[int, dict[str, Any]] = {}

    def raster(self, drawing: Raster) -> dict[str, Any]:
        if id(drawing) not in self._made:
            self._made[id(drawing)] = self._raster(drawing)
        return self._made[id(drawing)]

    def _raster(self, drawing: Raster) -> dict[str, Any]:
        if isinstance(drawing, TilesDrawing):
            return self._archive(drawing)
        output = self.folder / f"{len(self.files)}.pmtiles"
        excess = max(0, int(np.ceil(np.log2(max(1.0, drawing.grid.window.area / INLINE_PIXELS)) / 2)))
        kind: Any = "classes" if drawing.is_classes else "imagery"
        options = TilesOptions(zoom=(None, max(0, drawing.zoom - excess)), kind=kind, overwrite=True)
        Tiler(replace(options, format="pmtiles"))(drawing.file, output)
        made = TilesDrawing(output)
        try:
            return self._archive(made)
        finally:
            made.close()

    def _archive(self, drawing: TilesDrawing) -> dict[str, Any]:
        info = drawing.info
        facts = _raster_facts(info.min_zoom, info.max_zoom, info.tile_size, info.bounds)
        return facts | self.tiles(drawing)

    def tiles(self, drawing: TilesDrawing) -> dict[str, Any]:
        """The tiles of a set as an archive within the page."""
        if drawing.path.suffix.lower() == ".pmtiles":
            return {"archive": self.file(drawing.path)}
        copy = self.folder / f"{len(self.files)}.pmtiles"
        with writing_tiles(Output(copy), drawing.info) as sink:
            for tile in drawing.reader.tiles():
                sink.put(*tile)
        return {"archive": self.file(copy)}

    def file(self, path: Path) -> str:
        self._check(path.name, path.stat().st_size)
        return self.content("", path.read_bytes())

    def content(self, kind: str, data: bytes) -> str:
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
