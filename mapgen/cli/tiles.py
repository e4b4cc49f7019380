"""`mapgen tiles`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli.batch import expand, place, run_batch
from mapgen.cli.console import ProgressBar, console
from mapgen.cli.options import Json, Output, Overwrite, Quiet, Verbose, choice, set_verbosity
from mapgen.cli.vectorize import parse_list
from mapgen.files.vet import public_name
from mapgen.settings import (
    TILE_CONTAINERS,
    TILE_IMAGES,
    TILE_KINDS,
    TILE_RESAMPLINGS,
    TILE_SCHEMES,
    TilesOptions,
    parse_scale,
    parse_zoom,
)  # fmt: skip


def tiles(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SRC",
            help="Class maps, imagery, confidence rasters; layers with --vector. - reads names from stdin.",
        ),
    ],
    output: Output = None,
    zoom: Annotated[
        str,
        typer.Option("--zoom", metavar="MIN-MAX|auto", help="Zooms to write; auto: from the extent to the resolution."),
    ] = "auto",
    tile_size: Annotated[
        int | None,
        typer.Option(
            "--tile-size", metavar="256|512", help="Pixels of the side of a tile.  [default: 256; 512 with --vector]"
        ),
    ] = None,
    vector: Annotated[
        bool, typer.Option("--vector", help="Vector tiles, of a class map or of a layer of polygons in any format.")
    ] = False,
    simplify: Annotated[
        float,
        typer.Option("--simplify", metavar="PX", help="Tolerance of vector tiles in pixels of each zoom; 0: none."),
    ] = 1.0,
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer", metavar="NAME", help="The layer of vector tiles; of a source that has several, which to take."
        ),
    ] = None,
    confidence: Annotated[
        Path | None,
        typer.Option(
            "--confidence", metavar="FILE", help="Write the mean of this raster as attribute of vector tiles."
        ),
    ] = None,
    form: Annotated[
        str,
        typer.Option("--format", metavar="png|webp|jpeg|auto", help="auto: palette PNG for classes, WebP for imagery."),
    ] = "auto",
    quality: Annotated[
        int | None, typer.Option("--quality", metavar="N", help="Of JPEG and WebP, 1 to 100.  [default: 80]")
    ] = None,
    kind: Annotated[
        str,
        typer.Option("--kind", metavar="classes|imagery|auto", help="What SRC is, where it does not say so itself."),
    ] = "auto",
    resampling: Annotated[
        str,
        typer.Option(
            "--resampling",
            metavar="HOW",
            help="mode or nearest for classes; bilinear, cubic or nearest for imagery.",
        ),
    ] = "auto",
    bands: Annotated[
        str | None,
        typer.Option("-b", "--bands", metavar="LIST", help="Bands of imagery to show as red, green, blue, or as grey."),
    ] = None,
    nodata: Annotated[
        float | None, typer.Option("--nodata", metavar="VALUE", help="The value of pixels without data.")
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            "--scale", metavar="LO,HI", help="Values of imagery to show as black and white; pLO,pHI: percentiles."
        ),
    ] = None,
    scheme: Annotated[
        str | None,
        typer.Option(
            "--scheme", metavar="xyz|tms", help="Rows of a folder z/x/y from the north or the south.  [default: xyz]"
        ),
    ] = None,
    tms: Annotated[
        str,
        typer.Option("--tms", metavar="NAME", help="The grid of tiles; into folders if not the web's."),
    ] = "WebMercatorQuad",
    container: Annotated[
        str | None,
        typer.Option(
            "--container",
            metavar="pmtiles|mbtiles|folder",
            help="Of outputs without a name of their own.  [default: pmtiles]",
        ),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option(
            "--base-url", metavar="URL", help="Where the tiles will be served from, for the style beside them."
        ),
    ] = None,
    assume_crs: Annotated[
        str | None, typer.Option("--assume-crs", metavar="CRS", help="The CRS of rasters that do not name theirs.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", help="Threads to work in.  [default: one a core, up to 8]")
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Write map tiles of each raster or layer, for browsers and QGIS.

    Without -o, the tiles of scene.mask.tif are scene.mask.pmtiles beside it; a name that ends in .mbtiles is an
    MBTiles, one without a suffix a folder z/x/y. TileJSON and a MapLibre style lie beside them. Class maps keep their
    ids: lower zooms show the class that most pixels have. The paths of finished tile sets are printed on stdout.
    """
    set_verbosity(quiet, verbose)
    options = TilesOptions(
        zoom=parse_zoom(zoom), tile_size=tile_size, format=choice("--format", form, TILE_IMAGES), quality=quality,
        kind=choice("--kind", kind, TILE_KINDS), resampling=choice("--resampling", resampling, TILE_RESAMPLINGS),
        bands=None if bands is None else parse_list("--bands", [bands]), nodata=nodata,
        scale=None if scale is None else parse_scale(scale),
        scheme=None if scheme is None else choice("--scheme", scheme, TILE_SCHEMES), tms=tms,
        container=None if container is None else choice("--container", container, TILE_CONTAINERS),
        base_url=base_url, assume_crs=assume_crs, threads=threads, overwrite=overwrite, vector=vector,
        simplify=simplify, layer=layer, confidence=confidence,
    )  # fmt: skip
    names = expand(sources)
    from mapgen.tiling.tiles import Tiler, default_output, is_tile_folder

    run = Tiler(options, announce=console.note)
    whole = output is not None and len(names) == 1 and is_tile_folder(output)
    pairs = (
        [(names[0], Path(str(output)))] if whole
        else place(names, output, lambda name, folder: default_output(name, folder, options.container or "pmtiles"))
    )  # fmt: skip

    def work(source: str, target: Path) -> dict[str, Any]:
        bar = ProgressBar(source, shown=console.verbosity >= 0)
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
