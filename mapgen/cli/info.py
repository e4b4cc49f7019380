"""`mapgen info`."""

from __future__ import annotations

from typing import Annotated

import typer

from mapgen.cli.console import console
from mapgen.cli.options import Json
from mapgen.settings import DEFAULT_MODEL


def info(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A scene, class map, layer or model.")],
    model: Annotated[
        str, typer.Option("--model", metavar="NAME|FILE", help="The model a scene is compared with.")
    ] = DEFAULT_MODEL,
    json: Json = False,
) -> None:
    """Say what a file is, whether model and scene fit, and the next command to type."""
    from mapgen.results.info import describe, lines

    record = describe(path, model)
    if json:
        console.result(path, record)
    else:
        for line in lines(record):
            console.text(line)
