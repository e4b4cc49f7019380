"""`mapgen doctor`."""

from __future__ import annotations

from typing import Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import takes


@takes(given_by.Json)
def doctor(**given: Any) -> None:
    """Say what mapgen runs on and whether it runs, as text to paste into a report of a fault.

    Versions, extras, processor, caches, what the environment sets, and a window of the built-in model. Exit 9 where
    something does not work. Values of the environment that may hold secrets are not shown.
    """
    from mapgen.inference.health import checked

    found = checked()
    if console.as_json:
        console.result("", found)
    else:
        for part, entries in found.items():
            console.text(f"{part}:")
            for name, value in entries.items():
                console.text(f"  {name}: {value}")
    raise typer.Exit(9 if found["problems"] else 0)
