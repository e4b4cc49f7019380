"""One result to look at: what there is of it, found in a file, a tile set or a folder of results."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mapgen.errors import InputError, one_line, option
from mapgen.files.kind import ARCHIVE_SUFFIXES, NETWORK_SUFFIXES, REPORT, kind_of, suffix_of
from mapgen.files.vet import driver_of, is_url, lies_in, public_name
from mapgen.files.vrt import vrt_sources
from mapgen.inference.segment import score_path
from mapgen.legend import LayerClass
from mapgen.results.layer_drawing import LayerDrawing
from mapgen.results.network import NetworkDrawing, holds_lines
from mapgen.results.options import ViewOptions
from mapgen.results.record import only_scene, preview_of, read_record, reported_areas, told_about
from mapgen.results.render import Drawing, PictureDrawing, RasterDrawing, TilesDrawing
from mapgen.tiling.quadtree import Bounds

_LAYERS = (".gpkg", ".fgb", ".geojson", ".parquet", ".shp")

ROADS = ".roads"
"""What the names of a network and of its tiles end in, before their suffix."""

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
    roads: NetworkDrawing | None = None
    confidence: RasterDrawing | None = None
    about: list[str] = field(default_factory=list)
    """Lines about the map: the model, the date, the licence."""
    areas: list[tuple[LayerClass, float | None]] = field(default_factory=list)
    note: str = ""
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def drawings(self) -> list[Drawing]:
        """What is drawn, the map itself first."""
        return [d for d in (self.raster, self.layer, self.vector, self.roads, self.imagery) if d is not None]

    @property
    def bounds(self) -> Bounds:
        """Degrees (west, south, east, north) of the map, or of the imagery where there is none."""
        return self.drawings[0].bounds

    def count(self) -> None:
        """Fill in the classes and their areas, unless a report has told them, and gather what the parts warn of."""
        rows = self.areas or self._counted()
        rows = [(replace(c, color=c.color if _COLOR.fullmatch(c.color) else "#808080"), area) for c, area in rows]
        self.areas = list({c.id: (c, area) for c, area in reversed(rows)}.values())
        self.areas.sort(key=lambda row: row[0].id)
        self.warnings += [w for d in self.drawings for w in getattr(d, "warnings", [])]

    def _counted(self) -> list[tuple[LayerClass, float | None]]:
        rows: list[tuple[LayerClass, float | None]] = []
        if isinstance(self.raster, RasterDrawing):
            counted, whole = self.raster.areas()
            rows += counted
            self.note = "" if whole else "Areas are about right: a smaller copy was counted."
        elif self.layer is not None:
            rows += self.layer.areas() or [(c, None) for c in self.layer.classes]
        for tiles in (self.raster, self.vector):
            if isinstance(tiles, TilesDrawing):
                rows += [(c, None) for c in tiles.info.classes]
        return rows


class Finder:
    """Finds the parts of results; what it opens is closed with `stack`.

    A folder of results may be somebody else's, so nothing in it leads out of it: neither links nor the names in its
    report. Only the scene of the report may lie beside the folder, where `map` is told to write; that too is not
    followed where what is shown is `handed_on` to others.
    """

    def __init__(self, options: ViewOptions, stack: ExitStack, *, handed_on: bool) -> None:
        self.options, self.handed_on = options, handed_on
        self._stack = stack

    def side(self, name: str) -> Side:
        """What is called `name`. Raises `InputError`, `UsageError`."""
        path = Path(name)
        if not is_url(name) and not path.exists():
            raise InputError(public_name(name), "no such file or folder", "check the path")
        kind = kind_of(name)
        if kind in ("result", "folder"):
            return self._result(path)
        side = Side(public_name(path.name or name))
        if kind == "tiles":
            self._add_tiles(side, path)
        elif suffix_of(name) in NETWORK_SUFFIXES and not is_url(name) and holds_lines(path, self.options.layer):
            side.roads = NetworkDrawing(path, self.options.layer)
        elif kind == "layer":
            side.layer = LayerDrawing(path, layer=self.options.layer)
        else:
            raster = self.raster(name)
            side.raster, side.imagery = (raster, None) if raster.is_classes else (None, raster)
        return side

    def raster(self, name: str, *, imagery: bool = False) -> RasterDrawing:
        """The raster of a name, as imagery whatever it is where that is said."""
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
        files = _own_files(folder)
        masks = [p for p in files if p.name.endswith(".mask.tif")]
        networks = [
            p for p in files if p.stem.endswith(ROADS) and p.suffix in NETWORK_SUFFIXES and holds_lines(p)
        ]
        # Neither are their tiles shown: the page draws the network itself.
        files = [p for p in files if not any(p.stem == one.stem for one in networks)]
        layers = sorted((p for p in files if p.suffix in _LAYERS), key=lambda p: (_LAYERS.index(p.suffix), p.name))
        report = read_record(folder / REPORT)
        if masks:
            mask = self.raster(str(masks[0]))
            side.raster = mask
            side.areas = reported_areas(report, masks[0].name, mask.names)
            scores = [p for p in files if p.name == score_path(masks[0], "confidence").name]
            side.confidence = self.raster(str(scores[0]), imagery=True) if scores else None
        for path in files:
            if path.suffix in ARCHIVE_SUFFIXES:
                self._add_tiles(side, path)
        side.about = told_about(report)
        if side.imagery is None and self.options.imagery is None:
            self._add_imagery(side, report, folder)
        if layers:
            self._add_layer(side, layers[0])
        if networks:
            side.roads = self._network(side, networks[0])
        if not side.drawings:
            remedy = "name the folder that mapgen map wrote, or a class map, layer or tile set"
            raise InputError(folder, "holds no class map (*.mask.tif), no layer and no tiles", remedy)
        there = (
            ("class map (*.mask.tif)", masks), ("polygons (a layer or vector tiles)", side.layer or side.vector),
            (f"imagery (name it with {option('imagery')})", side.imagery or self.options.imagery or side.warnings),
            (f"report ({REPORT})", report),
        )  # fmt: skip
        side.missing = [f"{folder.name} has no {what}" for what, found in there if not found]
        side.missing += [f"of {len(masks)} class maps {masks[0].name} is shown"] if len(masks) > 1 else []
        return side

    def _add_layer(self, side: Side, path: Path) -> None:
        """The layer in a folder; where it has too many polygons for a page, its vector tiles do."""
        known = list(side.raster.names.classes.values()) if isinstance(side.raster, RasterDrawing) else []
        try:
            side.layer = LayerDrawing(path, known, self.options.layer)
        except InputError:
            if side.vector is None:
                raise

    def _network(self, side: Side, path: Path) -> NetworkDrawing | None:
        """The network in a folder, unless it is too large for a page: the rest can be looked at."""
        try:
            return NetworkDrawing(path)
        except InputError as exc:
            side.warnings.append(f"{path.name} is not shown: it {exc.problem}")
            return None

    def _add_imagery(self, side: Side, report: dict[str, Any], folder: Path) -> None:
        """The scene that the report says the map was made of, if it is one and near; else the preview."""
        name = only_scene(report)
        if name is not None and not is_url(name) and (folder / name).is_file():
            if self._is_near(folder, folder / name):
                side.imagery = self.raster(str(folder / name), imagery=True)
                return
            side.warnings.append(
                f"the scene of {folder.name} lies elsewhere ({one_line(name)}) and is not read: "
                f"{option('imagery')} shows it"
            )
        side.imagery = preview_of(report, folder)

    def _is_near(self, folder: Path, scene: Path) -> bool:
        """Whether a scene, and all that a VRT is made of, lies in a folder of results or just beside it."""
        beside = folder.resolve().parent

        def near(file: Path) -> bool:
            return lies_in(file, folder) or (not self.handed_on and file.resolve().parent == beside)

        return near(scene) and (driver_of(scene) != "VRT" or all(near(file) for file in vrt_sources(scene)))


def _own_files(folder: Path) -> list[Path]:
    """The files in a folder. Raises `InputError` where one of them is a link that leads out of it."""
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not lies_in(path, folder):
            problem = f"holds {one_line(path.name)}, a link that leads out of the folder"
            raise InputError(folder, problem, "name what is to be shown itself, or put a copy in the place of the link")
    return sorted(p for p in folder.iterdir() if p.is_file())
