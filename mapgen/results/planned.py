"""What a map is to write, what it says meanwhile, and what came of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapgen.errors import InputError, MapgenError
from mapgen.files.vet import beside
from mapgen.inference.options import SegmentOptions
from mapgen.inference.segment import score_path
from mapgen.layers.frame import layer_frame
from mapgen.parallel import Progress
from mapgen.results.areas import areas_of_report
from mapgen.results.map_page import PAGE
from mapgen.results.options import MapOptions
from mapgen.results.side import ROADS

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

    from mapgen.results.notebook import Page

PRODUCTS = {
    "preview": ("preview",), "layer": ("layer", "layer_geojson"), "raster_tiles": ("raster_tiles",),
    "vector_tiles": ("vector_tiles",), "roads": ("roads", "road_tiles"), "page": ("page",),
    "stac": ("stac_item", "stac_model"),
}  # fmt: skip
"""The parts that come from the class map, and the roles of their files."""


class Listener:
    """Told what happens. This one does not care."""

    def progress(self, part: str, unit: str = "") -> Progress | None:
        """How far a part is; `part` is its name for people, `unit` what is counted (`px`)."""
        del part, unit
        return None

    def done(self, path: Path) -> None:
        """An output is finished."""

    def note(self, text: str) -> None:
        """Something good to know."""

    def failed(self, error: MapgenError) -> None:
        """A part failed; the others go on."""


@dataclasses.dataclass(slots=True)
class Result:
    """What became of a map: what `report.json` says, and the exit code."""

    report: dict[str, Any]
    exit_code: int
    folder: Path

    @property
    def files(self) -> dict[str, Path]:
        """The outputs by role."""
        return {role: self.folder / name for role, name in self.report["files"].items()}

    def to_dataframe(self) -> Any:
        """What each class covers, for pandas: pixels, share, area in m², ha and km², polygons."""
        return areas_of_report(self.report).to_dataframe()

    def to_geodataframe(self) -> GeoDataFrame:
        """The layer as a table of GeoPandas. Raises `InputError` where none was made."""
        if "layer" not in self.files:
            raise InputError(self.folder, "holds no layer", "make the map with layer=True")
        return layer_frame(self.files["layer"])

    def _repr_html_(self) -> str:
        """Where the map is, its warnings, a picture of it, and the table of its areas, for notebooks."""
        from mapgen.results.notebook import picture_of

        warnings = "".join(f"<p>Warning: {escape(text)}</p>" for text in self.report["warnings"])
        name, folder = escape(str(self.report["name"])), escape(str(self.folder))
        shown = f"<p><b>{name}</b> in {folder}</p>{warnings}{picture_of(self.folder)}"
        return f"{shown}{areas_of_report(self.report)._repr_html_()}"

    def show(self, height: int = 600) -> Page:
        """The page of the map for a cell of a notebook, to move and to click in. Raises `InputError`."""
        from mapgen.results.notebook import show

        return show(self.folder, height=height)

    def __repr__(self) -> str:
        files = ", ".join(self.report["files"].values())
        return f"<map of {self.report['name']} in {self.folder}: {files}; {self.report['seconds']['total']:.1f} s>"


def planned(options: MapOptions, name: str, folder: Path) -> dict[str, Path]:
    """The outputs that were asked for, by role."""
    names = {"class_map": f"{name}.mask.tif"}
    for kind in scores(options):
        names[kind] = score_path(folder / names["class_map"], kind).name
    if options.layer:
        names["layer"] = f"{name}.{options.format}"
    if options.tiles:
        names |= {"raster_tiles": f"{name}.mask.pmtiles", "vector_tiles": f"{name}.pmtiles"}
    if options.preview:
        names["preview"] = f"{name}.preview.webp"
    if options.layer and options.format == "gpkg" and options.crs is None:  # GeoJSON is in WGS 84
        names["layer_geojson"] = f"{name}.geojson"
    if options.roads:
        names["roads"] = f"{name}{ROADS}.gpkg"
        if options.tiles:
            names["road_tiles"] = f"{name}{ROADS}.pmtiles"
    if options.page:
        names["page"] = PAGE
    if options.stac:
        names |= {"stac_item": f"{name}.stac.json", "stac_model": f"{name}.model.stac.json"}
    return {role: folder / file for role, file in names.items()}


def scores(options: SegmentOptions) -> list[str]:
    """The rasters of scores that were asked for, in the order in which `segment` writes them."""
    asked = {"confidence": options.confidence, "probabilities": options.probabilities}
    return [kind for kind, wanted in asked.items() if wanted]


def default_name(scenes: Sequence[str], folder: Path) -> str:
    """One scene's own name; of several, that of the folder."""
    return beside(scenes[0], "").name if len(scenes) == 1 else folder.resolve().name or "map"
