"""`mapgen bench`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import ProgressBar
from mapgen.inference.options import SegmentOptions


@takes(given_by.Model, given_by.Engine, given_by.Threads, given_by.Windows, given_by.Json)
def bench(
    scene: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCENE]", help="Imagery to measure with: a file or URL; without, noise.", show_default=False
        ),
    ] = None,
    size: Annotated[
        int, typer.Option("--size", min=64, max=65536, metavar="PIXELS", help="Side of the noise, without SCENE.")
    ] = 4096,
    **given: Any,
) -> None:
    """Measure how fast this machine maps.

    Windows, memory and seconds of each stage, with a scene or with noise in its place.
    """
    options = SegmentOptions(**chosen(SegmentOptions, given))
    from mapgen.inference.bench import bench as measured
    from mapgen.inference.bench import lines

    bar = ProgressBar(scene or "noise", "px")
    figures = measured(scene, options, size, bar)
    bar.close()
    if console.as_json:
        console.result(scene or "", figures.to_json())
    else:
        for line in lines(figures):
            console.text(line)
