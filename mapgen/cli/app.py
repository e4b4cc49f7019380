"""The app: every command by its name."""

from __future__ import annotations

from typing import Annotated

import typer

from mapgen.cli.bench import bench
from mapgen.cli.clean import clean
from mapgen.cli.compress import compress
from mapgen.cli.doctor import doctor
from mapgen.cli.evaluate import evaluate
from mapgen.cli.info import info
from mapgen.cli.map import map_
from mapgen.cli.models import models
from mapgen.cli.roads import roads
from mapgen.cli.route import route
from mapgen.cli.segment import segment
from mapgen.cli.tiles import tiles
from mapgen.cli.train import train
from mapgen.cli.vectorize import vectorize
from mapgen.cli.view import view

app = typer.Typer(
    name="mapgen",
    help="Aerial and satellite imagery in, maps out.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich is slow to import and breaks lines that scripts compare
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(value: bool) -> None:
    if value:
        from mapgen import __version__

        typer.echo(f"mapgen {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Aerial and satellite imagery in, maps out."""


app.command()(segment)
app.command()(vectorize)
app.command()(roads)
app.command()(route)
app.command()(tiles)
app.command("map")(map_)
app.command()(view)
app.command()(train)
app.command()(evaluate)
app.command()(info)
app.command()(bench)
app.add_typer(models, name="models")
app.command()(compress)
app.command()(clean)
app.command()(doctor)
