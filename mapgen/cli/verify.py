"""`mapgen verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import expand
from mapgen.cli.console import console
from mapgen.cli.options import takes
from mapgen.errors import CheckError, one_line


@takes(given_by.Json)
def verify(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Class maps, layers, tile sets, result folders, models, training runs."),
    ],
    **given: Any,
) -> None:
    """Say whether outputs are whole, by reading all of them again, and what cannot be known.

    The paths of those that are whole are printed on stdout. Exit 9 where one is not.
    """
    from mapgen.results.verify import verify as look

    broken = 0
    for path in map(Path, expand(paths)):
        found = look(path)
        broken += not found.whole
        for text in found.faults:
            console.error(CheckError(one_line(path), text, "make it again, or get it again"))
        for text in found.notes:
            console.note(f"{one_line(path)}: {one_line(text)}")
        if found.unknown:
            console.note(f"{one_line(path)}: not known: {one_line('; '.join(found.unknown))}")
        if console.as_json:
            console.result(path, found.to_json())
        elif found.whole:
            console.result(path)
    raise typer.Exit(9 if broken else 0)
