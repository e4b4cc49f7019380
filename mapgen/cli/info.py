"""`mapgen info`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import takes


@takes(given_by.Model, given_by.Json)
def info(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A scene, class map, layer or model.")],
    **given: Any,
) -> None:
    """Say what a file is, whether model and scene fit, and the next command to type."""
    from mapgen.results.info import describe, lines

    record = describe(path, given["model"])
    if console.as_json:
        console.result(path, record)
    else:
        for line in lines(record):
            console.text(line)
