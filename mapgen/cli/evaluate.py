"""`mapgen evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapgen.cli.console import ProgressBar, console
from mapgen.cli.options import Json, Overwrite, Quiet, Verbose, choice, set_verbosity
from mapgen.errors import CheckError, UsageError
from mapgen.settings import LINE_FIGURES, MATCHES, EvaluateOptions, check_evaluate, parse_floor

LINE_SUFFIXES = (
    ".geojson", ".json", ".geojsonl", ".geojsons", ".gpkg", ".fgb", ".shp", ".kml", ".gml", ".parquet", ".tab", ".dxf",
    ".osm", ".pbf", ".graphml",
)  # fmt: skip
"""A map that is named like this is a network of lines."""


def evaluate(
    source: Annotated[
        str, typer.Argument(metavar="MAP", help="A class map: any raster of integers; or a file of lines.")
    ],
    truth: Annotated[
        str,
        typer.Argument(metavar="TRUTH", help="A class raster on any grid, or a vector file of polygons, in any CRS."),
    ],
    attribute: Annotated[
        str | None,
        typer.Option(
            "--attribute",
            metavar="NAME",
            help="Attribute of a vector truth that holds the class, as a name or id of the map's legend."
            "  [default: class_id, class_name or class]",
        ),
    ] = None,
    feature_class: Annotated[
        str | None, typer.Option("--class", metavar="CLASS", help="The class of all features of a vector truth.")
    ] = None,
    outside: Annotated[
        str | None,
        typer.Option(
            "--outside",
            metavar="CLASS",
            help="The class of the ground outside all features.  [default: it does not count]",
        ),
    ] = None,
    priority: Annotated[
        str | None,
        typer.Option(
            "--priority",
            metavar="LIST",
            help="Classes that win where features overlap, the first most.  [default: the later feature wins]",
        ),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", metavar="NAME", help="The layer of a vector truth that has several.")
    ] = None,
    match: Annotated[
        str,
        typer.Option("--match", metavar="id|name", help="Whether a raster truth has the map's class ids or names."),
    ] = "id",
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="CLASS", help="A class of the truth that does not count; or a list."),
    ] = None,
    assume_crs: Annotated[
        str | None, typer.Option("--assume-crs", metavar="CRS", help="The CRS of a truth that does not name its own.")
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
    block: Annotated[
        float | None,
        typer.Option("--block", metavar="METRES", help="Side of the blocks of the bootstrap.  [default: 256 pixels]"),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Seed of the bootstrap.")] = 0,
    worst: Annotated[
        Path | None,
        typer.Option("--worst", metavar="FILE.png", help="Write a picture of the worst blocks: map, truth, wrong."),
    ] = None,
    worst_count: Annotated[
        int, typer.Option("--worst-count", min=1, max=100, metavar="N", help="How many blocks it shows.")
    ] = 6,
    fail_under: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-under",
            metavar="FIGURE=N",
            help="Exit 9 where a figure is lower: miou=0.6, accuracy, kappa, boundary; iou.road=0.4, f1, precision,"
            " recall, boundary, objects with a class; apls, topo, completeness, correctness of lines.",
        ),
    ] = None,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Measure a class map against truth: IoU, F1, precision, recall, mIoU, accuracy, kappa, with 95 % intervals.

    The truth is taken at the centre of each pixel of the map. What either has as nodata does not count. Intervals come
    from a bootstrap over blocks of ground.

    A network of lines is measured against lines or the roads of a label raster: APLS, TOPO, completeness, correctness,
    length, connectivity, widths.
    """
    set_verbosity(quiet, verbose)
    options = EvaluateOptions(
        attribute=attribute, feature_class=feature_class, outside=outside,
        priority=parse_classes("--priority", [priority] if priority is not None else []), layer=layer,
        match=choice("--match", match, MATCHES), ignore=parse_classes("--ignore", ignore or []), assume_crs=assume_crs,
        boundary=boundary, objects=parse_classes("--objects", objects or []), block=block, seed=seed, worst=worst,
        worst_count=worst_count, fail_under=tuple(parse_floor(text) for text in fail_under or []),
        overwrite=overwrite,
    )  # fmt: skip
    check_evaluate(options)
    if Path(source.split("?", 1)[0]).suffix.lower() in LINE_SUFFIXES:
        evaluate_lines(source, truth, options, json)
        return
    if wrong := [str(floor) for floor in options.fail_under if floor.figure in LINE_FIGURES]:
        raise UsageError(
            "--fail-under", f"{wrong[0]} is a figure of lines, {source} is taken for a class map", "drop it"
        )
    from mapgen.accuracy.evaluate import lines, run

    found = run(source, truth, options, ProgressBar(source, shown=console.verbosity >= 0))
    for warning in found.warnings:
        console.warning(truth, warning)
    for note in found.notes:
        console.note(note)
    if json:
        console.result(source, found.to_json())
    else:
        for line in lines(found):
            console.text(line)
    if found.picture is not None:
        console.note(f"wrote {found.picture}")
    if found.failed:
        raise CheckError(source, "; ".join(found.failed), "see the report for where it fails")


def evaluate_lines(source: str, truth: str, options: EvaluateOptions, json: bool) -> None:
    """Measure a network of lines, and print it."""
    from mapgen.roads.compare import compare_lines, report_lines

    found = compare_lines(source, truth, options)
    if json:
        console.result(source, found.to_json())
    else:
        for line in report_lines(found):
            console.text(line)
    if found.failed:
        raise CheckError(source, "; ".join(found.failed), "see the report")


def parse_classes(flag: str, entries: list[str]) -> tuple[str, ...]:
    """Comma-separated names or numbers, of one or several options."""
    parts = tuple(part.strip() for entry in entries for part in entry.split(","))
    if not all(parts):
        raise UsageError(flag, f"{','.join(entries)!r} is not a list of classes", f"such as {flag} road,water")
    return parts
