"""`mapgen models`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_suffix
from mapgen.cli.console import console
from mapgen.cli.examples import foot
from mapgen.cli.group import Group
from mapgen.cli.options import takes
from mapgen.errors import UsageError, option

models = typer.Typer(cls=Group, help="Built-in and local models.", no_args_is_help=False, invoke_without_command=True)


@models.callback()
def default(context: typer.Context) -> None:
    """Built-in and local models; without a further word, the list."""
    if context.invoked_subcommand is None:
        list_models(json=False, quiet=False, verbose=0)


@models.command("list", epilog=foot("models list"))
@takes(given_by.Json)
def list_models(**given: Any) -> None:
    """List the models: name, resolution, bands, classes, what imagery they know.

    Those that come with mapgen, and those of your own folder (MAPGEN_MODELS names another).
    """
    from mapgen.model.listing import line_of, listed

    for entry in listed():
        if console.as_json:
            console.result(entry["name"], entry)
        else:
            console.text(line_of(entry))


@models.command("upgrade", epilog=foot("models upgrade"))
@takes(given_by.Json)
def upgrade_models(
    names: Annotated[list[str], typer.Argument(metavar="FILE", help="Model files of an earlier mapgen.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="Write here instead of in the file's own place."),
    ] = None,
    **given: Any,
) -> None:
    """Store the graph of its network in a model file, so that mapping needs no torch from then on.

    Needs torch once: pip install 'mapgen[torch]'. Weights stay as they are; an int8 file beside it goes along.
    """
    if output is not None and not output.is_dir():
        check_suffix(str(output), ".safetensors", folders=False)
    from mapgen.model.upgrade import upgrade

    if output is not None and len(names) > 1:
        raise UsageError(option("output"), f"is one name for {len(names)} files", "upgrade them one by one")
    for name in names:
        done = upgrade(name, output)
        size = f"{done.bytes_before / 1e6:.2f} MB, now {done.bytes / 1e6:.2f} MB"
        console.note(f"{done.output}: {size}" if done.changed else f"{done.output}: holds its graph already")
        console.result(done.output, done.to_json())


@models.command("show", epilog=foot("models show"))
@takes(given_by.Json)
def show(
    name: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A model by name or its file.")],
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
