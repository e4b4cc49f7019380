"""`mapgen evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.accuracy.options import LINE_FIGURES, EvaluateOptions
from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import ProgressBar
from mapgen.errors import CheckError, UsageError, option
from mapgen.files.kind import is_lines


@takes(given_by.TruthRead, given_by.LayerRead, given_by.Ignore, given_by.AssumeCrs, given_by.Overwriting, given_by.Json)
def evaluate(
    source: Annotated[
        str, typer.Argument(metavar="MAP", help="A class map: any raster of integers; or a file of lines.")
    ],
    truth: Annotated[
        str | None,
        typer.Argument(metavar="TRUTH", help="A class raster on any grid, or a vector file of polygons, in any CRS."),
    ] = None,
    points: Annotated[
        str | None,
        typer.Option(
            "--points", metavar="FILE",
            help="Instead of TRUTH, points of mapgen sample that were labelled: accuracy and hectares with intervals.",
        ),
    ] = None,
    boundary: Annotated[
        float | None,
        typer.Option("--boundary", metavar="METRES", help="Add boundary F with this tolerance."),
    ] = None,
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--objects", metavar="CLASS", help="Compare the connected regions of this class one by one; or a list."
        ),
    ] = None,
    confidence_raster: Annotated[
        Path | None,
        typer.Option(
            "--confidence-raster", metavar="FILE",
            help="The map's confidence (segment --confidence): measure whether it is right as often as that says.",
        ),
    ] = None,
    block: Annotated[
        float | None,
        typer.Option("--block", metavar="METRES", help="Side of the blocks of the bootstrap.  [default: 256 pixels]"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the bootstrap.")] = 0,
    worst: Annotated[
        Path | None,
        typer.Option("--worst", metavar="FILE.png", help="Write a picture of the worst blocks: map, truth, wrong."),
    ] = None,
    worst_count: Annotated[int, typer.Option("--worst-count", metavar="N", help="How many blocks it shows.")] = 6,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE.html", help="Also write all of it as one page, with curves and the worst places."
        ),
    ] = None,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-under",
            metavar="FIGURE=N",
            help="Exit 9 where a figure is lower: miou=0.6, accuracy, kappa, boundary; iou.road=0.4, f1, precision,"
            " recall, boundary, objects with a class; apls, topo, completeness, correctness of lines.",
        ),
    ] = None,
    **given: Any,
) -> None:
    """Measure a class map against truth: IoU, F1, precision, recall, mIoU, accuracy, kappa, with 95 % intervals.

    The truth is taken at the centre of each pixel of the map. What either has as nodata does not count. Intervals come
    from a bootstrap over blocks of ground.

    A network of lines is measured against lines or the roads of a label raster: APLS, TOPO, completeness, correctness,
    length, connectivity, widths.

    Labelled points tell accuracies and the ground of each class with what the map gets wrong corrected for, ± 95 %
    (Olofsson et al. 2014).
    """
    options = EvaluateOptions(
        boundary=boundary, objects=",".join(objects or []) or (), confidence_raster=confidence_raster, block=block,
        seed=seed, worst=worst, worst_count=worst_count, html=html, fail_under=fail_under or (),
        **chosen(EvaluateOptions, given),
    )  # fmt: skip
    if points is not None:
        if truth is not None:
            raise UsageError(option("points"), "there is a truth already", "give one of the two")
        judge_points(source, points, options)
        return
    if truth is None:
        raise UsageError(source, "there is nothing to measure it against", "name a TRUTH, or points with --points FILE")
    if is_lines(source):
        evaluate_lines(source, truth, options)
        return
    if wrong := [str(floor) for floor in options.fail_under if floor.figure in LINE_FIGURES]:
        problem = f"{wrong[0]} is a figure of lines, {source} is taken for a class map"
        raise UsageError(option("fail_under"), problem, "drop it")
    from mapgen.accuracy.evaluate import run
    from mapgen.accuracy.tables import lines

    bar = ProgressBar(source)
    found = run(source, truth, options, bar)
    bar.close()
    _said(truth, found)
    _shown(source, found, lines)
    for path in filter(None, (found.picture, html)):
        console.note(f"wrote {path}")
    if found.failed:
        raise CheckError(source, "; ".join(found.failed), "see the report for where it fails")


def evaluate_lines(source: str, truth: str, options: EvaluateOptions) -> None:
    """Measure a network of lines, and print it."""
    from mapgen.roads.compare import compare_lines, report_lines

    found = compare_lines(source, truth, options)
    _shown(source, found, report_lines)
    if found.failed:
        raise CheckError(source, "; ".join(found.failed), "see the report")


def judge_points(source: str, points: str, options: EvaluateOptions) -> None:
    """Measure a class map by labelled points, and print it."""
    from mapgen.accuracy.points import evaluate_points, lines

    found = evaluate_points(source, points, options)
    _said(points, found)
    _shown(source, found, lines)
    if found.failed:
        raise CheckError(source, "; ".join(found.failed), "see the report")


def _said(about: str, found: Any) -> None:
    """Print the warnings and notes of a measurement against truth or points."""
    for warning in found.warnings:
        console.warning(about, warning)
    for note in found.notes:
        console.note(note)


def _shown(source: str, found: Any, lines: Callable[[Any], Iterable[str]]) -> None:
    """Print a measurement as JSON, or as the lines of its text."""
    if console.as_json:
        console.result(source, found.to_json())
    else:
        for line in lines(found):
            console.text(line)
