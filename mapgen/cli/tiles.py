"""`mapgen tiles`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import expand, place, run_batch
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import ProgressBar
from mapgen.files.vet import public_name
from mapgen.tiling.options import TilesOptions


@takes(
    given_by.Output, given_by.TileForm, given_by.Zoom, given_by.LayerRead, given_by.LayerName,
    given_by.ConfidenceRaster, given_by.Colors, given_by.BaseUrl, given_by.AssumeCrs, given_by.Threads,
    given_by.Overwriting, given_by.Json,
)  # fmt: skip
def tiles(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SRC",
            help="Class maps, imagery, confidence rasters; layers with --vector. - reads names from stdin.",
        ),
    ],
    **given: Any,
) -> None:
    """Write map tiles of each raster or layer, for browsers and QGIS.

    Without -o, the tiles of scene.mask.tif are scene.mask.pmtiles beside it; a name that ends in .mbtiles is an
    MBTiles, one without a suffix a folder z/x/y. TileJSON and a MapLibre style lie beside them. Class maps keep their
    ids: lower zooms show the class that most pixels have. The paths of finished tile sets are printed on stdout.
    """
    options, output = TilesOptions(**chosen(TilesOptions, given)), given["output"]
    names = expand(sources)
    from mapgen.tiling.tiles import Tiler, default_output, is_tile_folder

    run = Tiler(options, announce=console.note)
    whole = output is not None and len(names) == 1 and is_tile_folder(output)
    pairs = (
        [(names[0], Path(str(output)))] if whole
        else place(names, output, lambda name, folder: default_output(name, folder, options.format or "pmtiles"))
    )  # fmt: skip

    def work(source: str, target: Path) -> dict[str, Any]:
        bar = ProgressBar(source)
        result = run(source, target, bar)
        for warning in result.warnings:
            console.warning(source, warning)
        for note in result.notes:
            console.note(f"{public_name(source)}: {note}")
        low, high = result.zoom
        text = f"{result.tiles} tiles of {result.kind}, zoom {low} to {high}, {result.bytes / 1e6:.1f} MB"
        console.note(f"{public_name(source)}: {text}, {result.seconds:.1f} s")
        return result.to_json()

    raise typer.Exit(run_batch(pairs, work))
