"""`mapgen bench`."""

from __future__ import annotations

from typing import Annotated

import typer

from mapgen.cli.console import ProgressBar, console
from mapgen.cli.options import (
    Device,
    Engine,
    Json,
    Model,
    Quiet,
    Verbose,
    choice,
    set_verbosity,
)
from mapgen.settings import DEFAULT_MODEL, DEVICES, ENGINES, PRECISIONS, STITCHES, SegmentOptions


def bench(
    scene: Annotated[
        str | None,
        typer.Argument(
            metavar="[SCENE]", help="Imagery to measure with: a file or URL; without, noise.", show_default=False
        ),
    ] = None,
    model: Model = DEFAULT_MODEL,
    engine: Engine = "auto",
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option("--precision", metavar="auto|fp32|bf16|fp16|int8", help="What it computes in.")
    ] = "auto",
    window: Annotated[
        int | None,
        typer.Option("--window", metavar="PIXELS", help="Side of the windows.  [default: as segment chooses]"),
    ] = None,
    stitch: Annotated[str, typer.Option("--stitch", metavar="crop|blend", help="How windows are joined.")] = "crop",
    size: Annotated[
        int, typer.Option("--size", min=64, max=65536, metavar="PIXELS", help="Side of the noise, without SCENE.")
    ] = 4096,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Measure where the time of `segment` goes on this machine, as a table to paste into an issue.

    The map is written to a temporary folder, verified and removed. Efficiency is the share of the time that the engine
    would need for the same windows if nothing else had to be done.
    """
    set_verbosity(quiet, verbose)
    options = SegmentOptions(
        model=model, window=window, stitch=choice("--stitch", stitch, STITCHES),
        engine=choice("--engine", engine, ENGINES), device=choice("--device", device, DEVICES),
        precision=choice("--precision", precision, PRECISIONS),
    )  # fmt: skip
    from mapgen.inference.bench import bench as measured
    from mapgen.inference.bench import lines

    figures = measured(scene, options, size, ProgressBar(scene or "noise", shown=console.verbosity >= 0))
    if json:
        console.result(scene or "", figures.to_json())
    else:
        for line in lines(figures):
            console.text(line)
