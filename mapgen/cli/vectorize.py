"""`mapgen vectorize`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli import jobs
from mapgen.cli.batch import Batch
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import Progress
from mapgen.errors import UsageError, option
from mapgen.files.vet import public_name
from mapgen.layers.options import VectorizeOptions

if TYPE_CHECKING:
    from pathlib import Path


SHARE = 1.0
"""Bytes of a layer for one of its class map, at least: deflated, a map is a seventh of its GeoJSON."""


@takes(
    given_by.Output, given_by.LayerForm, given_by.Sieve, given_by.Holes, given_by.Simplify, given_by.Regions,
    given_by.Clip, given_by.ConfidenceRaster, given_by.Crs, given_by.Decimals, given_by.AssumeCrs, given_by.LayerName,
    given_by.Append, given_by.Threads, given_by.Batch, given_by.Limits, given_by.Log, given_by.Overwriting,
    given_by.Json, given_by.Table,
)  # fmt: skip
def vectorize(
    masks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MASK",
            help="Class maps: rasters of integers, from mapgen or not; patterns; - reads names from stdin.",
        ),
    ] = None,
    **given: Any,
) -> None:
    """Write a map layer (polygons) of each class map.

    Neighbours share their borders, simplified or not. Without -o, the layer of scene.mask.tif is scene.mask.geojson
    beside it; -o - streams newline-delimited GeoJSON to stdout. The paths of finished layers are printed on stdout.
    """
    options, output = VectorizeOptions(**chosen(VectorizeOptions, given)), given["output"]
    streaming = output == "-"
    if streaming and console.as_json:
        raise UsageError("-o -", "stdout cannot carry features and reports at once", "leave out --json")
    if streaming and given["jobs"] > 1:
        raise UsageError(option("jobs"), "the features of several inputs would mix on stdout", "leave it out")
    batch = Batch(masks or [], given, "MASK")
    table = given["table"]
    if table is not None:
        from mapgen.results.areas import table_output

        table_output(table, given["overwrite"])  # refused before the first map is read
    marks = batch.marks(options, "vectorize")
    from mapgen.layers.vectorize import STDOUT, Vectorizer, default_output

    run = Vectorizer(options, announce=console.note)
    suffix = options.format or "geojson"
    pairs = (
        [(name, STDOUT) for name in batch.names] if streaming
        else batch.place(output, lambda name, folder: default_output(name, folder, suffix), f".{suffix}")
    )  # fmt: skip

    def work(source: str, target: Path, progress: Progress) -> dict[str, Any]:
        result = run(source, target, progress, sys.stdout.buffer if streaming else None)
        for warning in result.warnings:
            console.warning(source, warning)
        for note in result.notes:
            console.note(f"{public_name(source)}: {note}")
        console.note(f"{public_name(source)}: {summary(result.features, result.not_written)}, {result.seconds:.1f} s")
        return result.to_json()

    share = 0.0 if streaming else SHARE
    code = batch.run(pairs, work, unit="px", marks=marks, share=share, silent=streaming)
    if table is not None and not jobs.served():
        write_table(table, batch, overwrite=given["overwrite"])
    raise typer.Exit(code)


def write_table(table: Path, batch: Batch, *, overwrite: bool) -> None:
    """Write what the classes of the layers that were made cover."""
    from mapgen.results.areas import areas_of_layers, write_areas

    known = [(public_name(source), record["classes"]) for source, record in batch.made if "classes" in record]
    if left := len(batch.made) - len(known):
        told = "a layer that was" if left == 1 else f"{left} layers that were"
        console.warning(table, f"lacks the areas of {told} there before; leave out {option('skip_done', True)}")
    write_areas(areas_of_layers(known), table, overwrite=overwrite)
    console.note(f"wrote {table}")


def summary(features: int, not_written: dict[str, int]) -> str:
    """One line of what became of the regions."""
    rest = ", ".join(f"{count} {reason}" for reason, count in not_written.items())
    return f"{features} polygons" + (f" (not written: {rest})" if rest else "")
