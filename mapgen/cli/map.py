"""`mapgen map`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapgen.cli.batch import expand
from mapgen.cli.console import ProgressBar, console
from mapgen.cli.options import (
    Device,
    Engine,
    EngineThreads,
    Json,
    LogFile,
    Model,
    NetTimeout,
    NoResume,
    Overwrite,
    Quiet,
    Verbose,
    choice,
    set_verbosity,
)
from mapgen.cli.segment import parse_bands, parse_bbox, parse_resolution
from mapgen.errors import MapgenError
from mapgen.settings import (
    DEFAULT_MODEL,
    DEVICES,
    ENGINES,
    LAYER_FORMATS,
    PRECISIONS,
    MapOptions,
    SegmentOptions,
    Size,
    parse_bytes,
    parse_scale,
    parse_size,
    parse_zoom,
)


def map_(
    scenes: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE",
            help="Imagery: files or http(s) URLs; several make one mosaic; - reads names from stdin.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder of the results; made if need be.")
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="What the results are called.  [default: the scene's, else the folder's]"
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    bands: Annotated[
        str | None, typer.Option("-b", "--bands", metavar="LIST", help="The scenes' bands for the model's: 4,3,2.")
    ] = None,
    nodata: Annotated[
        float | None, typer.Option("--nodata", metavar="VALUE", help="The value that means no data.")
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            "--scale", metavar="none|dtype|LO,HI|pLO,pHI", help="Bring values into the model's range, as in segment."
        ),
    ] = "none",
    resolution: Annotated[
        str,
        typer.Option(
            "--resolution", metavar="model|native|METRES", help="The resolution at which the network sees the scenes."
        ),
    ] = "model",
    engine: Engine = "auto",
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option("--precision", metavar="auto|fp32|bf16|fp16|int8", help="What it computes in.")
    ] = "auto",
    threads: EngineThreads = None,
    max_memory: Annotated[
        str | None,
        typer.Option("--max-memory", metavar="SIZE", help="Memory for the network to stay under.  [default: 1GB]"),
    ] = None,
    aoi: Annotated[
        Path | None, typer.Option("--aoi", metavar="FILE", help="Only inside the polygons of this vector file.")
    ] = None,
    bbox: Annotated[
        str | None, typer.Option("--bbox", metavar="L,B,R,T", help="Only inside this box, in the CRS of the scenes.")
    ] = None,
    on_read_error: Annotated[
        str,
        typer.Option(
            "--on-read-error", metavar="fail|nodata", help="A damaged block fails the map, or becomes nodata (exit 3)."
        ),
    ] = "fail",
    confidence: Annotated[
        bool,
        typer.Option("--confidence", help="Also NAME.confidence.tif, and its means with layer and vector tiles."),
    ] = False,
    form: Annotated[
        str, typer.Option("-f", "--format", metavar="FORMAT", help=f"Of the layer: {', '.join(LAYER_FORMATS)}.")
    ] = "gpkg",
    sieve: Annotated[
        str,
        typer.Option("--sieve", metavar="SIZE", help="Of the layer: neighbours absorb regions below it, in px or m2."),
    ] = "8px",
    simplify: Annotated[
        str,
        typer.Option("--simplify", metavar="TOL", help="Of the layer: tolerance of the shared borders, in px or m."),
    ] = "1.5px",
    zoom: Annotated[str, typer.Option("--zoom", metavar="MIN-MAX|auto", help="Zooms of the tiles.")] = "auto",
    assume_crs: Annotated[
        str | None,
        typer.Option("--assume-crs", metavar="CRS", help="For layer and tiles, of scenes that do not name theirs."),
    ] = None,
    no_layer: Annotated[bool, typer.Option("--no-layer", help="No polygons.")] = False,
    no_tiles: Annotated[bool, typer.Option("--no-tiles", help="No raster and no vector tiles.")] = False,
    no_preview: Annotated[bool, typer.Option("--no-preview", help="No picture of the imagery.")] = False,
    no_stac: Annotated[bool, typer.Option("--no-stac", help="No STAC items.")] = False,
    no_page: Annotated[bool, typer.Option("--no-page", help="No index.html to look at the map.")] = False,
    log_file: LogFile = None,
    net_timeout: NetTimeout = None,
    no_resume: NoResume = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Write class map, layer, tiles, a preview and a report of one scene or mosaic into a folder.

    The scenes are read once and the network runs once. Several scenes must be of one CRS and lattice; where they
    overlap, the first with data wins. The layer is sieved (8 px) and simplified (1.5 px) unless told otherwise. The
    paths of finished outputs are printed on stdout, that of report.json last. Look at the folder with mapgen view.
    """
    set_verbosity(quiet, verbose)
    options = MapOptions(
        segment=SegmentOptions(
            model=model, bands=parse_bands(bands), nodata=nodata, scale=parse_scale(scale),
            resolution=parse_resolution(resolution), engine=choice("--engine", engine, ENGINES),
            device=choice("--device", device, DEVICES), precision=choice("--precision", precision, PRECISIONS),
            threads=threads, max_memory=parse_bytes("--max-memory", max_memory), aoi=aoi, bbox=parse_bbox(bbox),
            on_read_error=choice("--on-read-error", on_read_error, ("fail", "nodata")), confidence=confidence,
            resume=not no_resume,
        ),
        name=name, format=choice("--format", form, LAYER_FORMATS), sieve=parse_size("--sieve", sieve) or Size(0),
        simplify=parse_size("--simplify", simplify) or Size(0), zoom=parse_zoom(zoom), assume_crs=assume_crs,
        layer=not no_layer, tiles=not no_tiles, preview=not no_preview, stac=not no_stac, page=not no_page,
        overwrite=overwrite,
    )  # fmt: skip
    names = expand(scenes)
    from mapgen.results.map import Listener, Mapper

    class Voice(Listener):
        """Says on the console what happens."""

        def progress(self, part: str) -> ProgressBar:
            return ProgressBar(part, shown=console.verbosity >= 0)

        def done(self, path: Path) -> None:
            if not console.as_json:
                console.result(path)

        def note(self, text: str) -> None:
            console.note(text)

        def failed(self, error: MapgenError) -> None:
            console.error(error)

    result = Mapper(options, Voice())(names, output)
    report = result.report
    for warning in report["warnings"]:
        console.warning(report["name"], warning)
    for note in report["notes"]:
        console.note(f"{report['name']}: {note}")
    if "layer" in report["files"]:
        console.note(f"the layer is sieved by {options.sieve} and simplified by {options.simplify}")
    console.note(_summary(report))
    if console.as_json:
        console.result("", report | {"output": str(output), "exit_code": result.exit_code})
        failed = len(report["errors"])
        console.result("", {"summary": {"done": 1, "failed": failed, "exit_code": result.exit_code}})
    raise typer.Exit(result.exit_code)


def _summary(report: dict[str, object]) -> str:
    """One line: where the time went, and how much ground each class has."""
    seconds, classes = report["seconds"], report["classes"]
    assert isinstance(seconds, dict)
    assert isinstance(classes, list)
    parts = ", ".join(f"{part.replace('_', ' ')} {time:.1f} s" for part, time in seconds.items())
    known = [c for c in classes if c["pixels"]]
    shares = ", ".join(
        f"{c['name']} {c['area_ha']:.2f} ha" if c["area_ha"] is not None else f"{c['name']} {c['share']:.1%}"
        for c in known
    )
    return f"{report['name']}: {shares or 'no data'} ({parts})"
