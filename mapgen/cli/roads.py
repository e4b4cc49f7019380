"""`mapgen roads`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import Batch
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import Progress
from mapgen.files.vet import public_name
from mapgen.roads.options import RoadsOptions

SHARE = 0.1
"""Bytes of a network for one of its class map, at least."""


@takes(
    given_by.Output, given_by.NetworkForm, given_by.RoadsRead, given_by.Sieve, given_by.Holes, given_by.RoadSizes,
    given_by.Simplify, given_by.Clip, given_by.Crs, given_by.AssumeCrs, given_by.LayerName, given_by.Threads,
    given_by.Batch, given_by.Limits, given_by.Log, given_by.Overwriting, given_by.Json,
    sieve="60m2", min_hole="60m2", simplify="1px",
)  # fmt: skip
def roads(
    masks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MASK",
            help="Class maps: rasters of integers, from mapgen or not; patterns; - reads names from stdin.",
        ),
    ] = None,
    **given: Any,
) -> None:
    """Write the roads of each class map as a network: edges with length and width, and the nodes they meet at.

    The network of scene.mask.tif is scene.roads.gpkg beside it. Routers read .osm, .osm.pbf and .graphml. It knows no
    directions, turn rules or levels; gaps that were bridged are told apart (bridged_m).
    """
    options, output = RoadsOptions(**chosen(RoadsOptions, given)), given["output"]
    batch = Batch(masks or [], given, "MASK")
    marks = batch.marks(options, "roads")
    from mapgen.roads.extract import Extractor, default_output

    run = Extractor(options, announce=console.note)
    suffix = options.format or "gpkg"
    pairs = batch.place(output, lambda name, folder: default_output(name, folder, suffix), f".{suffix}")

    def work(source: str, target: Path, progress: Progress) -> dict[str, Any]:
        result = run(source, target, progress)
        for warning in result.warnings:
            console.warning(source, warning)
        console.note(f"{public_name(source)}: {summary(result.to_json())}")
        console.note(f"{public_name(source)}: {result.limits}", verbosity=1)
        return result.to_json()

    raise typer.Exit(batch.run(pairs, work, marks=marks, share=SHARE))


def summary(found: dict[str, Any]) -> str:
    """One line about a network."""
    gaps = f", {found['bridges']} gaps bridged ({found['bridged_m'] / 1000:.1f} km)" if found["bridges"] else ""
    return (
        f"{found['length_m'] / 1000:.1f} km of roads, {found['edges']} edges, {found['parts']} parts"
        f" (largest {found['largest']:.0%}){gaps}, {found['seconds']:.1f} s"
    )
