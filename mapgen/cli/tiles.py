"""`mapgen tiles`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import Batch
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import Progress
from mapgen.files.vet import public_name
from mapgen.tiling.options import TilesOptions

SHARE = 0.5
"""Bytes of a set for one of what it is made from, at least: deflated, a class map is about as large."""


@takes(
    given_by.Output, given_by.TileForm, given_by.Zoom, given_by.LayerRead, given_by.LayerName,
    given_by.ConfidenceRaster, given_by.Colors, given_by.BaseUrl, given_by.AssumeCrs, given_by.Threads,
    given_by.Batch, given_by.Limits, given_by.Log, given_by.Overwriting, given_by.Json,
)  # fmt: skip
def tiles(
    sources: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SRC",
            help="Class maps, imagery, confidence rasters; layers with --vector; patterns; - reads names from stdin.",
        ),
    ] = None,
    **given: Any,
) -> None:
    """Write map tiles of each raster or layer, for browsers and QGIS.

    Without -o, the tiles of scene.mask.tif are scene.mask.pmtiles beside it; a name that ends in .mbtiles is an
    MBTiles, with -f folder it is that of a folder z/x/y. TileJSON and a MapLibre style lie beside them. Class maps
    keep their ids: lower zooms show the class that most pixels have. The paths of finished tile sets are printed on
    stdout.
    """
    options, output = TilesOptions(**chosen(TilesOptions, given)), given["output"]
    batch = Batch(sources or [], given, "SRC")
    marks = batch.marks(options, "tiles")
    from mapgen.tiling.tiles import Tiler, default_output, is_tile_folder

    run, form = Tiler(options, announce=console.note), options.format or "pmtiles"
    whole = output is not None and len(batch.names) == 1 and not output.endswith(("/", "\\")) and (
        is_tile_folder(output) or (_for_a_folder(given) and not os.path.isdir(output))
    )  # fmt: skip
    pairs = (
        [(batch.names[0], Path(str(output)))] if whole
        else batch.place(output, lambda name, folder: default_output(name, folder, form), f".{form}")
    )  # fmt: skip

    def work(source: str, target: Path, progress: Progress) -> dict[str, Any]:
        result = run(source, target, progress)
        for warning in result.warnings:
            console.warning(source, warning)
        for note in result.notes:
            console.note(f"{public_name(source)}: {note}")
        low, high = result.zoom
        text = f"{result.tiles} tiles of {result.kind}, zoom {low} to {high}, {result.bytes / 1e6:.1f} MB"
        console.note(f"{public_name(source)}: {text}, {result.seconds:.1f} s")
        return result.to_json()

    raise typer.Exit(batch.run(pairs, work, marks=marks, share=SHARE))


def _for_a_folder(given: dict[str, Any]) -> bool:
    """Whether the options are those of a folder z/x/y: its rows and other grids are no option of the files."""
    return given["format"] == "folder" or given["scheme"] is not None or given["tms"] != "WebMercatorQuad"
