"""The app: every command by its name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli.areas import areas
from mapgen.cli.bench import bench
from mapgen.cli.clean import clean
from mapgen.cli.compare import compare
from mapgen.cli.compress import compress
from mapgen.cli.console import console
from mapgen.cli.demo import demo
from mapgen.cli.doctor import doctor
from mapgen.cli.evaluate import evaluate
from mapgen.cli.examples import foot
from mapgen.cli.explain import explain
from mapgen.cli.group import Group, Grouped
from mapgen.cli.info import info
from mapgen.cli.join import join
from mapgen.cli.map import map_
from mapgen.cli.models import models
from mapgen.cli.roads import roads
from mapgen.cli.route import route
from mapgen.cli.sample import sample
from mapgen.cli.segment import segment
from mapgen.cli.tiles import tiles
from mapgen.cli.train import train
from mapgen.cli.vectorize import vectorize
from mapgen.cli.verify import verify
from mapgen.cli.view import view
from mapgen.errors import OutputError
from mapgen.files.inputs import is_input, note_inputs

app = typer.Typer(
    name="mapgen",
    cls=Group,
    help="Aerial and satellite imagery in, maps out.",
    no_args_is_help=True,
    rich_markup_mode=None,  # rich is slow to import and breaks lines that scripts compare
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


OUTPUTS = ("output", "worst", "html", "png", "inline", "export", "report", "log_file", "table")
"""The parameters that name what is written. A file that any other names is read, and never replaced."""


class Command(Grouped):
    """A command that knows its inputs before it begins: an output in their place is refused at once."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        given = {name: list(_texts(value)) for name, value in ctx.params.items()}
        lists = given.pop("from_", [])
        note_inputs(*(text for name, texts in given.items() if name not in OUTPUTS for text in texts))
        self._check_appended(given.get("report", []))  # it may be the list too, and be gone on with
        note_inputs(*lists)
        self._check_appended(given.get("log_file", []))
        return super().invoke(ctx)

    def _check_appended(self, names: list[object]) -> None:
        """Raise `OutputError` where lines would be appended to an input."""
        for path in (Path(str(name)) for name in names):
            if is_input(path):
                console.log_to(None)  # what is said of it must not go into it
                raise OutputError(path, "the output is also an input", "choose another name for it")


def _texts(value: object) -> Iterator[object]:
    """The texts and paths in the value of a parameter, which may be a list of pairs."""
    if isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str | Path):
        yield value


def _version(value: bool) -> None:
    if value:
        from mapgen import __version__

        typer.echo(f"mapgen {__version__}")
        for name, version in _versions():
            typer.echo(f"{name} {version}")
        raise typer.Exit


def _versions() -> Iterator[tuple[str, str]]:
    """What mapgen stands on, from what lies in the installation: nothing of it is imported."""
    from importlib.util import find_spec

    from mapgen.files.machine import version_of

    spec = find_spec("rasterio")
    libraries = Path(spec.origin).parent.parent / "rasterio.libs" if spec is not None and spec.origin else Path()
    for name, pattern in (("GDAL", "libgdal-*.so.*"), ("PROJ", "libproj-*.so.*")):
        for path in sorted(libraries.glob(pattern))[:1]:  # libgdal-1a2b.so.36.3.10.3: its version follows the ABI's
            yield name, path.name.partition(".so.")[2].partition(".")[2]
    for package in ("rasterio", "pyproj", "pyogrio", "openvino", "torch"):
        if version := version_of(package):
            yield package, version


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Aerial and satellite imagery in, maps out."""


app.command(cls=Command, epilog=foot("segment"))(segment)
app.command(cls=Command, epilog=foot("join"))(join)
app.command(cls=Command, epilog=foot("vectorize"))(vectorize)
app.command(cls=Command, epilog=foot("roads"))(roads)
app.command(cls=Command, epilog=foot("route"))(route)
app.command(cls=Command, epilog=foot("tiles"))(tiles)
app.command(cls=Command, epilog=foot("demo"))(demo)
app.command("map", cls=Command, epilog=foot("map"))(map_)
app.command(cls=Command, epilog=foot("view"))(view)
app.command(cls=Command, epilog=foot("train"))(train)
app.command(cls=Command, epilog=foot("compare"))(compare)
app.command(cls=Command, epilog=foot("evaluate"))(evaluate)
app.command(cls=Command, epilog=foot("sample"))(sample)
app.command(cls=Command, epilog=foot("explain"))(explain)
app.command(cls=Command, epilog=foot("areas"))(areas)
app.command(cls=Command, epilog=foot("info"))(info)
app.command(cls=Command, epilog=foot("verify"))(verify)
app.command(cls=Command, epilog=foot("bench"))(bench)
app.add_typer(models, name="models")
app.command(cls=Command, epilog=foot("compress"))(compress)
app.command(cls=Command, epilog=foot("clean"))(clean)
app.command(cls=Command, epilog=foot("doctor"))(doctor)
