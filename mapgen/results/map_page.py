"""The page of a map: `index.html` in the folder of the results, of the parts that lie there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mapgen.errors import InputError
from mapgen.legend import LayerClass
from mapgen.model.card import ModelCard
from mapgen.results.layer_drawing import LayerDrawing
from mapgen.results.network import NetworkDrawing, holds_edges
from mapgen.results.options import ViewOptions
from mapgen.results.parts import MOST_POLYGONS
from mapgen.results.record import told_about
from mapgen.results.render import PictureDrawing, RasterDrawing, TilesDrawing
from mapgen.results.report import now
from mapgen.results.side import Side
from mapgen.results.view import View

PAGE = "index.html"

LIMIT = 30_000_000
"""Bytes of the parts of a page, at most: half as much again stands in the file, and a browser holds all of it."""


def write_map_page(
    folder: Path, title: str, files: Mapping[str, str], placing: Mapping[str, Any] | None,
    areas: list[tuple[LayerClass, float | None]], card: ModelCard, warnings: Sequence[str], *, overwrite: bool,
) -> tuple[bool, str]:  # fmt: skip
    """Write the page of the `files` (by role) of a folder; whether it was written, and what was left out for its size.

    Tiles that lie there are put in as they are: nothing is drawn again. The vector tiles are left out where they would
    make the page too large, then the page itself is. `placing` are the bounds of the preview, as the report has them;
    the page tells model and `warnings`. Raises `OutputError`, `InputError`.
    """
    sizes = {role: (folder / name).stat().st_size for role, name in files.items()}
    # A layer becomes compressed GeoJSON, which is smaller than the layer itself.
    vector = max(sizes.get("vector_tiles", 0), sizes.get("layer", 0))
    roads, about_roads = _network(folder, files)
    rest = sizes.get("raster_tiles", 0) + sizes.get("preview", 0) + (0 if roads is None else len(roads.compact))
    if rest > LIMIT:
        return False, f"{PAGE} is left out, it would show {rest / 1e6:.0f} MB: look at the folder with mapgen view"
    left_out = about_roads
    if rest + vector > LIMIT:
        left_out += "; " * bool(left_out)
        left_out += f"{PAGE} has no polygons, which would make it {vector / 1e6:.0f} MB larger: mapgen view shows them"
    fits = rest + vector <= LIMIT
    shown = {role: name for role, name in files.items() if role not in ("vector_tiles", "layer") or fits}
    side = _side(folder, title, shown, placing)
    side.areas, side.roads = areas, roads
    model = {"name": card.name, "version": card.version, "license": card.license}
    side.about = told_about({"model": model, "created": now(), "warnings": list(warnings)})
    with View.of(side, ViewOptions(overwrite=overwrite)) as view:
        view.inline(folder / PAGE)
    return True, left_out


def _network(folder: Path, files: Mapping[str, str]) -> tuple[NetworkDrawing | None, str]:
    """The network, if there is one that is not too large, and what to say if it is."""
    if "roads" not in files or not holds_edges(folder / files["roads"]):
        return None, ""
    try:
        return NetworkDrawing(folder / files["roads"]), ""
    except InputError as exc:
        return None, f"{PAGE} has no roads: the network {exc.problem}"


def _side(folder: Path, title: str, files: Mapping[str, str], placing: Mapping[str, Any] | None) -> Side:
    """What there is to look at."""
    side = Side(title)
    if "raster_tiles" in files:
        side.raster = TilesDrawing(folder / files["raster_tiles"])
    else:
        side.raster = RasterDrawing(str(folder / files["class_map"]))
    if "vector_tiles" in files:
        side.vector = TilesDrawing(folder / files["vector_tiles"])
    if "layer" in files:
        with suppress(InputError):  # too many polygons for a page
            side.layer = LayerDrawing(folder / files["layer"], most=MOST_POLYGONS)
    bounds = None if placing is None else placing["bounds"]
    if "preview" in files and bounds is not None:
        side.imagery = PictureDrawing(folder / files["preview"], (bounds[0], bounds[1], bounds[2], bounds[3]))
    return side
