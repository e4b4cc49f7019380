"""`mapgen sample`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.accuracy.sample_options import By
from mapgen.cli import bundles as given_by
from mapgen.cli.bundles.say import say
from mapgen.cli.console import console
from mapgen.cli.options import takes
from mapgen.files.vet import beside


@takes(given_by.Overwriting, given_by.Json)
def sample(
    source: Annotated[str, typer.Argument(metavar="MAP", help="A class map: any raster of integers.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.gpkg", help="The points.  [default: MAP.points.gpkg]"),
    ] = None,
    count: Annotated[int, typer.Option("-n", "--count", metavar="N", help="How many points.")] = 400,
    by: Annotated[
        str, say("--by", choices=By, help="Draw in each class of the map, or among all pixels alike.")
    ] = "class",
    least: Annotated[
        int, typer.Option("--least", metavar="N", help="The fewest points of a class, where there are enough for all.")
    ] = 50,
    expected: Annotated[
        str | None,
        typer.Option(
            "--expected", metavar="CLASS=SHARE",
            help="How much of a class is thought to be right, or a list: the less sure, the more points."
            "  [default: 0.8]",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another one gives other points.")] = 0,
    **given: Any,
) -> None:
    """Draw points of a class map, to be labelled on the ground or by eye.

    They lie at centres of pixels and have an empty attribute truth, to be filled in with the names of classes (in QGIS
    from a list). mapgen evaluate MAP --points FILE then says how good the map is, and how many hectares of each class
    there really are, with intervals.
    """
    from mapgen.accuracy.sampling import lines
    from mapgen.accuracy.sampling import sample as drawn

    place = output if output is not None else beside(source, ".points.gpkg")
    found = drawn(
        source, place, count=count, by=by, least=least, expected=expected, seed=seed,  # type: ignore[arg-type]
        overwrite=given["overwrite"],
    )  # fmt: skip
    if console.as_json:
        console.result(found.output, found.to_json())
        return
    console.result(found.output)
    for line in lines(found):
        console.note(line)
