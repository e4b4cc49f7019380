"""`mapgen compress`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_suffix, expand
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.errors import UsageError, option
from mapgen.training.options import CompressOptions


@takes(given_by.To, given_by.Ignore, given_by.Bands, given_by.Log, given_by.Overwriting, given_by.Json)
def compress(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model by name or its file.")],
    more: Annotated[list[str] | None, typer.Argument(metavar="SCENE", help="Further scenes to calibrate on.")] = None,
    calibrate: Annotated[
        list[str] | None,
        typer.Option(
            "--calibrate",
            metavar="SCENE...",
            help="Imagery like that which the model is for: the ranges of its layers are taken from windows of it.",
        ),
    ] = None,
    windows: Annotated[
        int, typer.Option("--windows", metavar="N", help="How many windows, drawn from all scenes.")
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
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="PATH", help="The int8 file.  [default: MODEL.int8.safetensors]"),
    ] = None,
    **given: Any,
) -> None:
    """Make a cheaper form of a model: its int8 graph, several times faster on CPUs with VNNI, AMX or Arm's dot product.

    segment finds it beside the model. How many pixels keep their class and how fast it is here are measured and written
    into its card; with --evaluate also the mIoU before and after. Needs NNCF: pip install 'mapgen[compress]'.
    """
    pairs = _pairs(evaluate or [], truth or [])
    options = CompressOptions(windows=windows, evaluate=pairs, **chosen(CompressOptions, given))
    named = [*(calibrate or []), *(more or [])]
    scenes = expand(named) if named else []
    if output is not None and not output.is_dir():
        check_suffix(str(output), ".int8.safetensors", folders=False)
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
        problem = f"{len(truths)} truths for {len(scenes)} scenes of {option('evaluate')}"
        raise UsageError(option("truth"), problem, "give one for each, in the same order")
    return tuple(zip(scenes, truths, strict=True))
