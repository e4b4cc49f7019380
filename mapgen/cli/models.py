"""`mapgen models`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import takes

models = typer.Typer(help="Built-in and local models.", no_args_is_help=False, invoke_without_command=True)


@models.callback()
def default(context: typer.Context) -> None:
    """Built-in and local models; without a further word, the list."""
    if context.invoked_subcommand is None:
        list_models(json=False, quiet=False, verbose=0)


@models.command("list")
@takes(given_by.Json)
def list_models(**given: Any) -> None:
    """List the built-in models: name, resolution, bands, classes, what imagery they know."""
    from mapgen.model.listing import listed

    for entry in listed():
        if console.as_json:
            console.result(entry["name"], entry)
        else:
            bands, classes = ",".join(entry["bands"]), ",".join(entry["classes"])
            console.text(f"{entry['name']}  {entry['resolution_m']:g} m  {bands}  {classes}  {entry['domain']}")


@models.command("show")
@takes(given_by.Json)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A built-in model or a model file.")],
    **given: Any,
) -> None:
    """Show a model's card: what it knows, on what it was trained, how good it is, and the next command."""
    from mapgen.model.listing import card_lines, described

    record = described(name)
    if console.as_json:
        console.result(name, record)
    else:
        for line in card_lines(record):
            console.text(line)
