"""`mapgen vectorize`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli.batch import expand, place, run_batch
from mapgen.cli.console import ProgressBar, console
from mapgen.cli.options import Json, Output, Overwrite, Quiet, Verbose, choice, set_verbosity
from mapgen.errors import UsageError
from mapgen.files.vet import public_name
from mapgen.settings import LAYER_FORMATS, METHODS, VectorizeOptions, parse_size


def vectorize(
    masks: Annotated[
        list[str],
        typer.Argument(
            metavar="MASK", help="Class maps: rasters of integers, from mapgen or not; - reads names from stdin."
        ),
    ],
    output: Output = None,
    form: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            metavar="FORMAT",
            help=f"One of {', '.join(LAYER_FORMATS)}.  [default: by the suffix, else geojson]",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option("--classes", metavar="LIST", help="Write only these classes, by name or number: road,water."),
    ] = None,
    background: Annotated[
        list[str] | None,
        typer.Option("--background", metavar="CLASS", help="A class that is not written; may be repeated, or a list."),
    ] = None,
    sieve: Annotated[
        str | None,
        typer.Option(
            "--sieve", metavar="SIZE", help="Let neighbours absorb regions below this size, in px or m2: 8px."
        ),
    ] = None,
    min_area: Annotated[
        str | None, typer.Option("--min-area", metavar="SIZE", help="Leave out polygons below this size, in px or m2.")
    ] = None,
    max_area: Annotated[
        str | None, typer.Option("--max-area", metavar="SIZE", help="Leave out polygons above this size, in px or m2.")
    ] = None,
    min_hole: Annotated[
        str | None,
        typer.Option(
            "--min-hole", metavar="SIZE", help="Fill holes below this size, in px or m2, with all that is in them."
        ),
    ] = None,
    simplify: Annotated[
        str | None,
        typer.Option("--simplify", metavar="TOL", help="Simplify shared borders by this tolerance, in px or m: 1.5px."),
    ] = None,
    method: Annotated[
        str,
        typer.Option(
            "--method",
            metavar="dp|vw",
            help="How: Douglas-Peucker (a distance) or Visvalingam-Whyatt (the root of an area).",
        ),
    ] = "dp",
    smooth: Annotated[
        int,
        typer.Option(
            "--smooth", min=0, max=6, metavar="N", help="Round off shared borders by N rounds of corner cutting."
        ),
    ] = 0,
    dissolve: Annotated[bool, typer.Option("--dissolve", help="Write one multipolygon for each class.")] = False,
    clip: Annotated[
        Path | None,
        typer.Option("--clip", metavar="FILE", help="Only pixels inside the polygons of this vector file (any CRS)."),
    ] = None,
    confidence: Annotated[
        Path | None,
        typer.Option(
            "--confidence", metavar="FILE", help="Add mean and minimum of this raster (same grid) over each polygon."
        ),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(
            "--crs", metavar="CRS", help="CRS of the layer.  [default: the class map's; GeoJSON is always WGS 84]"
        ),
    ] = None,
    assume_crs: Annotated[
        str | None, typer.Option("--assume-crs", metavar="CRS", help="The CRS of class maps that do not name theirs.")
    ] = None,
    precision: Annotated[
        int | None,
        typer.Option(
            "--precision",
            metavar="N",
            help="Decimals of GeoJSON coordinates.  [default: 7, more for pixels below 10 cm]",
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="Name of the layer.  [default: the output's]")
    ] = None,
    append: Annotated[bool, typer.Option("--append", help="Add to a GeoPackage that exists.")] = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Write a map layer (polygons) of each class map.

    Neighbours share their borders, simplified or not. Without -o, the layer of scene.mask.tif is scene.mask.geojson
    beside it; -o - streams newline-delimited GeoJSON to stdout. The paths of finished layers are printed on stdout.
    """
    set_verbosity(quiet, verbose)
    options = VectorizeOptions(
        format=None if form is None else choice("--format", form, LAYER_FORMATS),
        classes=None if classes is None else parse_list("--classes", [classes]),
        background=parse_list("--background", background or []),
        sieve=parse_size("--sieve", sieve), min_area=parse_size("--min-area", min_area),
        max_area=parse_size("--max-area", max_area), min_hole=parse_size("--min-hole", min_hole),
        simplify=parse_size("--simplify", simplify), method=choice("--method", method, METHODS), smooth=smooth,
        dissolve=dissolve, clip=clip, confidence=confidence, crs=crs, assume_crs=assume_crs, precision=precision,
        layer=layer, append=append, overwrite=overwrite,
    )  # fmt: skip
    names = expand(masks)
    streaming = output == "-"
    if streaming and json:
        raise UsageError("-o -", "stdout cannot carry features and reports at once", "leave out --json")
    from mapgen.layers.vectorize import STDOUT, Vectorizer, default_output

    run = Vectorizer(options, announce=console.note)
    suffix = options.format or "geojson"
    pairs = (
        [(name, STDOUT) for name in names] if streaming
        else place(names, output, lambda name, folder: default_output(name, folder, suffix))
    )  # fmt: skip

    def work(source: str, target: Path) -> dict[str, Any]:
        bar = ProgressBar(source, shown=console.verbosity >= 0)
        result = run(source, target, bar, sys.stdout.buffer if streaming else None)
        for warning in result.warnings:
            console.warning(source, warning)
        for note in result.notes:
            console.note(f"{public_name(source)}: {note}")
        console.note(f"{public_name(source)}: {summary(result.features, result.not_written)}, {result.seconds:.1f} s")
        return result.to_json()

    raise typer.Exit(run_batch(pairs, work, silent=streaming))


def summary(features: int, not_written: dict[str, int]) -> str:
    """One line of what became of the regions."""
    rest = ", ".join(f"{count} {reason}" for reason, count in not_written.items())
    return f"{features} polygons" + (f" (not written: {rest})" if rest else "")


def parse_list(flag: str, entries: list[str]) -> tuple[str, ...]:
    """Comma-separated names or numbers, of one or several options."""
    parts = tuple(part.strip() for entry in entries for part in entry.split(","))
    if not all(parts):
        raise UsageError(flag, f"{','.join(entries)!r} is not a list of classes", f"such as {flag} road,water")
    return parts
