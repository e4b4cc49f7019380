"""`mapgen roads`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import expand, place, run_batch
from mapgen.cli.console import ProgressBar, console
from mapgen.cli.options import chosen, takes
from mapgen.files.vet import public_name
from mapgen.roads.options import NetworkFormat, RoadsOptions


@takes(
    given_by.Output,
    given_by.Clip,
    given_by.AssumeCrs,
    given_by.LayerName,
    given_by.Threads,
    given_by.Overwriting,
    given_by.Json,
)
def roads(
    masks: Annotated[
        list[str],
        typer.Argument(
            metavar="MASK", help="Class maps: rasters of integers, from mapgen or not; - reads names from stdin."
        ),
    ],
    *,
    format: Annotated[
        str | None,
        typer.Option(
            "-f",
            "--format",
            metavar="FORMAT",
            help=f"One of {', '.join(get_args(NetworkFormat))}.  [default: by the suffix, else gpkg]",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            "--classes",
            metavar="LIST",
            help="The classes that are roads, by name or number.  [default: what is called road, street or highway]",
        ),
    ] = None,
    probabilities_raster: Annotated[
        Path | None,
        typer.Option(
            "--probabilities-raster",
            metavar="FILE",
            help="Probabilities of the same run: they guide bridges over gaps.",
        ),
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold",
            metavar="LOW,HIGH",
            help="Road is what is likelier than LOW and hangs together with what is likelier than HIGH: 0.3,0.6."
            "  [default: the class map]",
        ),
    ] = None,
    sieve: Annotated[
        str, typer.Option("--sieve", metavar="SIZE", help="Let neighbours absorb specks below this, in px or m2.")
    ] = "60m2",
    min_hole: Annotated[
        str, typer.Option("--min-hole", metavar="SIZE", help="Fill holes below this size, in px or m2.")
    ] = "60m2",
    max_width: Annotated[
        str,
        typer.Option(
            "--max-width", metavar="SIZE", help="What is wider, in px or m, is an area and gets a line around it."
        ),
    ] = "60m",
    spur: Annotated[
        str, typer.Option("--spur", metavar="SIZE", help="Leave out dead ends that stick out less, in px or m.")
    ] = "10m",
    bridge: Annotated[
        str,
        typer.Option("--bridge", metavar="SIZE", help="Bridge gaps that cost up to this, in px or m; 0 bridges none."),
    ] = "40m",
    min_length: Annotated[
        str,
        typer.Option(
            "--min-length", metavar="SIZE", help="Leave out parts shorter than this that do not reach the frame."
        ),
    ] = "30m",
    simplify: Annotated[
        str, typer.Option("--simplify", metavar="TOL", help="Simplify lines by this tolerance, in px or m.")
    ] = "1px",
    crs: Annotated[
        str | None,
        typer.Option(
            "--crs", metavar="CRS", help="CRS of gpkg and fgb.  [default: the class map's; all others are in WGS 84]"
        ),
    ] = None,
    **given: Any,
) -> None:
    """Write the roads of each class map as a network: edges with length and width, and the nodes they meet at.

    The network of scene.mask.tif is scene.roads.gpkg beside it. Routers read .osm, .osm.pbf and .graphml. It knows no
    directions, turn rules or levels; gaps that were bridged are told apart (bridged_m).
    """
    said = {
        "format": format, "classes": classes, "probabilities_raster": probabilities_raster, "threshold": threshold,
        "sieve": sieve, "min_hole": min_hole, "max_width": max_width, "spur": spur, "bridge": bridge,
        "min_length": min_length, "simplify": simplify, "crs": crs,
    }  # fmt: skip
    options = RoadsOptions(**chosen(RoadsOptions, said | given))
    names = expand(masks)
    from mapgen.roads.extract import Extractor, default_output

    run = Extractor(options, announce=console.note)
    suffix = options.format or "gpkg"

    def work(source: str, target: Path) -> dict[str, Any]:
        result = run(source, target, ProgressBar(source, shown=console.verbosity >= 0))
        for warning in result.warnings:
            console.warning(source, warning)
        console.note(f"{public_name(source)}: {summary(result.to_json())}")
        console.note(f"{public_name(source)}: {result.limits}", verbosity=1)
        return result.to_json()

    pairs = place(names, given["output"], lambda name, folder: default_output(name, folder, suffix))
    raise typer.Exit(run_batch(pairs, work))


def summary(found: dict[str, Any]) -> str:
    """One line about a network."""
    gaps = f", {found['bridges']} gaps bridged ({found['bridged_m'] / 1000:.1f} km)" if found["bridges"] else ""
    return (
        f"{found['length_m'] / 1000:.1f} km of roads, {found['edges']} edges, {found['parts']} parts"
        f" (largest {found['largest']:.0%}){gaps}, {found['seconds']:.1f} s"
    )
