"""`mapgen areas`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import takes


@takes(given_by.LayerRead, given_by.Overwriting, given_by.Json)
def areas(
    source: Annotated[str, typer.Argument(metavar="MAP", help="A class map, or a folder of mapgen map.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.csv", help="Write the table here too, as CSV.")
    ] = None,
    zones: Annotated[
        Path | None,
        typer.Option("--zones", metavar="FILE", help="A table for each polygon of this vector file (any CRS)."),
    ] = None,
    zone_name: Annotated[
        str | None,
        typer.Option("--zone-name", metavar="NAME", help="The attribute with their names.  [default: their numbers]"),
    ] = None,
    **given: Any,
) -> None:
    """Say what each class of a class map covers: pixels, share, hectares and square kilometres of ground.

    With zones one table for each: a pixel belongs to a zone where its centre lies in it.
    """
    from mapgen.results.areas import areas as measured
    from mapgen.results.areas import lines

    found = measured(
        source, output, zones=zones, zone_name=zone_name, layer=given["layer"], overwrite=given["overwrite"]
    )
    for name in found.beside:
        console.warning(zones, f"the zone {name} lies beside the map")
    if console.as_json:
        console.result(source, found.to_json())
    else:
        for line in lines(found):
            console.text(line)
    if output is not None:
        console.note(f"wrote {output}")
