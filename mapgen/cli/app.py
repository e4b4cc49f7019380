"""The app: every command by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
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
        for name, version in _versions():
            typer.echo(f"{name} {version}")
        raise typer.Exit


def _versions() -> Iterator[tuple[str, str]]:
    """What mapgen stands on, from what lies in the installation: nothing of it is imported."""
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    spec = find_spec("rasterio")
    libraries = Path(spec.origin).parent.parent / "rasterio.libs" if spec is not None and spec.origin else Path()
    for name, pattern in (("GDAL", "libgdal-*.so.*"), ("PROJ", "libproj-*.so.*")):
        for path in sorted(libraries.glob(pattern))[
            :1
        ]:  # libgdal-1a2b.so.36.3.10.3: the version follows that of the ABI
            yield name, path.name.partition(".so.")[2].partition(".")[2]
    for package in ("rasterio", "pyproj", "pyogrio", "openvino", "torch"):
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


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
