"""`mapgen compress`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapgen.cli.batch import expand
from mapgen.cli.console import console
from mapgen.cli.evaluate import parse_classes
from mapgen.cli.options import Json, Overwrite, Quiet, Verbose, choice, set_verbosity
from mapgen.cli.segment import parse_bands
from mapgen.errors import UsageError
from mapgen.settings import COMPRESSED, CompressOptions, parse_scale


def compress(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A built-in model or a model file.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="SCENE", help="Further scenes to calibrate on.")] = None,
    to: Annotated[str, typer.Option("--to", metavar="int8", help="What the arithmetic is to be in.")] = "int8",
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            "--calibrate",
            metavar="SCENE...",
            help="Imagery like that which the model is for: the ranges of its layers are taken from windows of it.",
        ),
    ] = None,
    windows: Annotated[
        int, typer.Option("--windows", min=1, max=10_000, metavar="N", help="How many windows, drawn from all scenes.")
    ] = 64,
    evaluate: Annotated[
        list[str] | None,
        typer.Option(
            "--evaluate",
            metavar="SCENE",
            help="Measure mIoU before and after on this scene, which is not calibrated on; may be repeated.",
        ),
    ] = None,
    truth: Annotated[
        list[str] | None,
        typer.Option("--truth", metavar="FILE", help="The truth of each such scene, as evaluate takes it; in order."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="CLASS", help="A class of the truths that does not count; or a list."),
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option("-b", "--bands", metavar="LIST", help="The scenes' bands for the model's, as for segment."),
    ] = None,
    nodata: Annotated[
        float | None, typer.Option("--nodata", metavar="VALUE", help="The value that means no data, as for segment.")
    ] = None,
    scale: Annotated[
        str, typer.Option("--scale", metavar="none|dtype|LO,HI|pLO,pHI", help="The scenes' scale, as for segment.")
    ] = "none",
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="The int8 file.  [default: MODEL.int8.safetensors]"),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Make a cheaper form of a model: its int8 graph, several times faster on CPUs with VNNI, AMX or Arm's dot product.

    segment finds it beside the model. How many pixels keep their class and how fast it is here are measured and written
    into its card; with --evaluate also the mIoU before and after. Needs NNCF: pip install 'mapgen[compress]'.
    """
    set_verbosity(quiet, verbose)
    options = CompressOptions(
        to=choice("--to", to, COMPRESSED), windows=windows, evaluate=_pairs(evaluate or [], truth or []),
        ignore=parse_classes("--ignore", ignore or []), bands=parse_bands(bands), nodata=nodata,
        scale=parse_scale(scale), overwrite=overwrite,
    )  # fmt: skip
    named = [*(calibrate or []), *(more or [])]
    scenes = expand(named) if named else []
    from mapgen.model.listing import compression_lines
    from mapgen.training.compress import run

    found = run(model, scenes, options, output, console.note)
    for warning in found.warnings:
        console.warning(found.output, warning)
    for line in compression_lines(found.measured):
        console.note(line.strip())
    console.result(found.output, found.to_json())


def _pairs(scenes: list[str], truths: list[str]) -> tuple[tuple[str, str], ...]:
    """Each scene with its truth. Raises `UsageError` where one of them has none."""
    if len(scenes) != len(truths):
        problem = f"{len(truths)} truths for {len(scenes)} scenes of --evaluate"
        raise UsageError("--truth", problem, "give one for each, in the same order")
    return tuple(zip(scenes, truths, strict=True))
