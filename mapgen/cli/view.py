"""`mapgen view`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.signals import settle
from mapgen.errors import Interrupted, UsageError, option
from mapgen.results.options import ViewOptions


@takes(given_by.LayerRead, given_by.BaseUrl, given_by.Overwriting)
def view(
    path: Annotated[
        str,
        typer.Argument(metavar="PATH", help="A class map, layer, tile set, scene, or the folder of a whole result."),
    ],
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="PATH", help="Another result, for the other side of a swipe.")
    ] = None,
    imagery: Annotated[
        str | None, typer.Option("--imagery", metavar="FILE", help="A raster to show below the map.")
    ] = None,
    inline: Annotated[
        Path | None, typer.Option("--inline", metavar="FILE", help="Write one HTML file that needs no server.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="FILE", help="Write a still picture with legend and scale bar.")
    ] = None,
    export: Annotated[
        Path | None,
        typer.Option("--export", metavar="DIR", help="Write a folder to put on any web server: page, tiles, style."),
    ] = None,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="Of page and picture.  [default: the name of PATH]")
    ] = None,
    credit: Annotated[
        str | None, typer.Option("--credit", metavar="TEXT", help="Whose imagery this is, for page and picture.")
    ] = None,
    basemap: Annotated[
        str | None,
        typer.Option(
            "--basemap", metavar="URL", help="Tiles below all else: https://…/{z}/{x}/{y}.png. The page asks that host."
        ),
    ] = None,
    size: Annotated[
        int, typer.Option("--size", metavar="PIXELS", help="Pixels of the longer side of the map in a still picture.")
    ] = 1200,
    opacity: Annotated[
        float, typer.Option("--opacity", metavar="PERCENT", help="Of classes over imagery in a still picture.")
    ] = 60.0,
    port: Annotated[int, typer.Option("--port", metavar="N", help="Where the server listens; 0: any free port.")] = 0,
    open_browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in the browser of this machine.")
    ] = True,
    **given: Any,
) -> None:
    """Look at a map in the browser: imagery, classes, polygons, areas; no network is needed.

    A server on this machine, for this machine alone, shows the page until Ctrl-C, which ends it with exit code 0; its
    address is printed on stdout. With --inline, --export or --png files are written instead, and their paths are
    printed.
    """
    if not 0 <= port <= 65535:
        raise UsageError(option("port"), f"{port} is not between 0 and 65535", f"such as {option('port', 8000)}")
    options = ViewOptions(
        compare=compare, imagery=imagery, size=size, opacity=opacity, title=title, credit=credit, basemap=basemap,
        **chosen(ViewOptions, given),
    )  # fmt: skip
    from mapgen.results.view import View

    written = [one for one in (png, inline, export) if one is not None]
    with View(path, options, handed_on=bool(written)) as shown:
        for text in shown.warnings:
            console.warning(path, text)
        if png is not None:
            width, height = shown.picture(png)
            console.note(f"{png}: {width} × {height} pixels")
            console.result(png)
        if inline is not None:
            console.note(f"{inline}: {shown.inline(inline) / 1e6:.1f} MB")
            console.result(inline)
        if export is not None:
            console.note(f"{export}: {shown.export(export) / 1e6:.1f} MB; put it on any web server that knows ranges")
            console.result(export)
        if not written:
            with shown.server(port) as server:
                console.result(server.url)
                console.note("this address shows the page; Ctrl-C ends it")
                if open_browser:
                    import webbrowser

                    webbrowser.open(server.url)
                try:
                    server.serve_forever()
                except Interrupted as exc:
                    if exc.exit_code != 130:
                        raise
                    settle()
                    console.note("the page is no longer served")
