"""`mapgen segment`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapgen.cli.batch import expand, place, run_batch
from mapgen.cli.console import ProgressBar, console, duration
from mapgen.cli.course import From, OnError, Only, Report, ReportTo, SkipDone, inputs_of
from mapgen.cli.options import (
    Device,
    Engine,
    EngineThreads,
    Json,
    LogFile,
    Model,
    NetTimeout,
    NoResume,
    Output,
    Overwrite,
    Quiet,
    Verbose,
    choice,
    set_verbosity,
)
from mapgen.errors import OutputError, UsageError
from mapgen.files.vet import public_name
from mapgen.settings import (
    DEFAULT_MODEL,
    DEVICES,
    ENGINES,
    PRECISIONS,
    STITCHES,
    TTAS,
    SegmentOptions,
    parse_bytes,
    parse_scale,
)

if TYPE_CHECKING:
    from mapgen.inference.segment import Segmenter


def segment(
    scenes: Annotated[
        list[str] | None,
        typer.Argument(metavar="SCENE", help="Imagery: files, patterns or http(s) URLs; - reads names from stdin."),
    ] = None,
    output: Output = None,
    model: Model = DEFAULT_MODEL,
    bands: Annotated[
        str | None,
        typer.Option(
            "-b", "--bands", metavar="LIST", help="The scene's bands for the model's, as numbers or names: 4,3,2."
        ),
    ] = None,
    nodata: Annotated[
        float | None,
        typer.Option("--nodata", metavar="VALUE", help="The value that means no data, instead of what the file says."),
    ] = None,
    scale: Annotated[
        str,
        typer.Option(
            "--scale",
            metavar="none|dtype|LO,HI|pLO,pHI",
            help="Bring values into the model's range: by their type, a range, or percentiles of the whole scene.",
        ),
    ] = "none",
    resolution: Annotated[
        str,
        typer.Option(
            "--resolution",
            metavar="model|native|METRES",
            help="The ground resolution at which the network sees the scene.",
        ),
    ] = "model",
    window: Annotated[
        int | None,
        typer.Option(
            "--window",
            metavar="PIXELS",
            help="Side of the windows the network sees.  [default: what suits the model, the scene and --max-memory]",
        ),
    ] = None,
    halo: Annotated[
        int | None,
        typer.Option(
            "--halo", metavar="PIXELS", help="Margin of a window that only gives context.  [default: the model's]"
        ),
    ] = None,
    stitch: Annotated[
        str,
        typer.Option(
            "--stitch",
            metavar="crop|blend",
            help="Take each pixel from the window that sees it best, or average the windows that see it.",
        ),
    ] = "crop",
    tta: Annotated[
        str,
        typer.Option(
            "--tta",
            metavar="none|flip|d4",
            help="Average over mirrored copies of each window, or all eight symmetries: better, 2 or 8 times the work.",
        ),
    ] = "none",
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch", min=1, max=256, metavar="N", help="Windows that run together.  [default: what suits the device]"
        ),
    ] = None,
    engine: Engine = "auto",
    device: Device = "auto",
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="auto|fp32|bf16|fp16|int8",
            help="What it computes in; auto is the fastest that the model and the machine have.",
        ),
    ] = "auto",
    threads: EngineThreads = None,
    max_memory: Annotated[
        str | None,
        typer.Option(
            "--max-memory",
            metavar="SIZE",
            help="Memory to stay under, such as 800MB; it decides the window.  [default: 1GB]",
        ),
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Also write NAME.probabilities.tif, a band for each class.")
    ] = False,
    confidence: Annotated[
        bool, typer.Option("--confidence", help="Also write NAME.confidence.tif, the probability of the chosen class.")
    ] = False,
    aoi: Annotated[
        Path | None,
        typer.Option("--aoi", metavar="FILE", help="Only inside the polygons of this vector file (any CRS)."),
    ] = None,
    bbox: Annotated[
        str | None, typer.Option("--bbox", metavar="L,B,R,T", help="Only inside this box, in the CRS of the scene.")
    ] = None,
    on_read_error: Annotated[
        str,
        typer.Option(
            "--on-read-error",
            metavar="fail|nodata",
            help="A damaged block fails the scene, or becomes nodata (exit 3).",
        ),
    ] = "fail",
    creation_options: Annotated[
        list[str] | None, typer.Option("--co", metavar="KEY=VALUE", help="A creation option of GDAL's COG driver.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take (windows, time, memory, disk) and write nothing.")
    ] = False,
    from_: From = None,
    only: Only = None,
    on_error: OnError = "skip",
    skip_done: SkipDone = False,
    report: ReportTo = None,
    log_file: LogFile = None,
    net_timeout: NetTimeout = None,
    no_resume: NoResume = False,
    overwrite: Overwrite = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = 0,
) -> None:
    """Write a class map (COG) of each scene.

    Without -o, the map of scene.tif is scene.mask.tif beside it. The paths of finished maps are printed on stdout.
    """
    set_verbosity(quiet, verbose)
    options = SegmentOptions(
        model=model, bands=parse_bands(bands), nodata=nodata,
        scale=parse_scale(scale), resolution=parse_resolution(resolution),
        window=window, halo=halo, stitch=choice("--stitch", stitch, STITCHES), tta=choice("--tta", tta, TTAS),
        batch=batch, engine=choice("--engine", engine, ENGINES), device=choice("--device", device, DEVICES),
        precision=choice("--precision", precision, PRECISIONS), threads=threads,
        max_memory=parse_bytes("--max-memory", max_memory), probabilities=probabilities, confidence=confidence,
        aoi=aoi, bbox=parse_bbox(bbox), on_read_error=choice("--on-read-error", on_read_error, ("fail", "nodata")),
        resume=not no_resume, overwrite=overwrite, creation_options=parse_creation_options(creation_options or []),
    )  # fmt: skip
    choice("--on-error", on_error, ("skip", "fail"))
    if only is not None:
        choice("--only", only, ("failed",))
    names = inputs_of(scenes or [], from_ or [], only)
    if not names:
        if only is not None:
            console.note("no input of the report failed")
            raise typer.Exit(0)
        raise UsageError("SCENE", "no imagery is named", "name files, or a list of them with --from")
    names = expand(names)
    from mapgen.inference.segment import Segmenter, default_output

    run = Segmenter(options, names)
    if dry_run:
        raise typer.Exit(_foretell(run, names))
    pairs = place(names, output, default_output)
    _introduce(run)
    console.note(f"runs with {run.described()}", 1)

    def work(source: str, target: Path) -> dict[str, Any]:
        if skip_done and os.path.lexists(target):
            why = run.unlike(source, target)
            if not why:
                console.note(f"{public_name(source)}: {target} is done already")
                return {"source": public_name(source), "output": str(target), "done_before": True}
            if not overwrite:
                raise OutputError(target, why, "use --overwrite to make it again, or choose another name with -o")
        bar = ProgressBar(source, shown=console.verbosity >= 0)
        result = run(source, target, bar)
        for warning in result.warnings:
            console.warning(source, warning)
        windows = f"{result.windows} windows ({result.skipped} empty)"
        if result.resumed:
            console.note(f"{public_name(source)}: went on at row {result.resumed}, where an earlier run had ended")
        engine = f"{result.engine} on {result.device} in {result.precision}"
        console.note(f"{public_name(source)}: {windows} by {engine}, {result.seconds:.1f} s")
        for path in result.scores:  # not on stdout, which the next command of a pipe takes for class maps
            console.note(f"{public_name(source)}: wrote {path}")
        return result.to_json()

    kept = None if report is None else Report(report, {"inputs": len(names), **run.described()})
    raise typer.Exit(run_batch(pairs, work, stop=on_error == "fail", report=kept))


def _introduce(run: Segmenter) -> None:
    """Say once which model it is and what imagery it knows."""
    card = run.model.card
    kind = "built-in: " if run.options.model == card.name else ""
    console.note(f"model {card.name} ({kind}{card.domain or f'{card.architecture} {card.encoder}'})")


def _foretell(run: Segmenter, names: list[str]) -> int:
    def say(source: str, _: Path) -> dict[str, Any]:
        plan = run.plan(source)
        if not console.as_json:
            grid, out = plan["grid"], plan["output"]
            how = "of another resolution" if grid["resampled"] else "of its own"
            height, width = plan["window"]
            windows = f"{plan['windows']} window{'s' if plan['windows'] != 1 else ''} of {height} × {width}"
            console.text(
                f"{public_name(source)}: {windows} on {grid['width']} × {grid['height']} pixels {how}, "
                f"map {out['width']} × {out['height']}, time about {duration(plan['seconds'])}, "
                f"memory about {plan['memory_bytes'] / 1e9:.1f} GB, "
                f"disk at most about {plan['disk_bytes'] / 1e6:.1f} MB"
            )
        for warning in plan["warnings"]:
            console.warning(source, warning)
        return plan

    return run_batch(((name, Path()) for name in names), say, silent=not console.as_json)


def parse_bands(text: str | None) -> tuple[str, ...] | None:
    """`4,3,2` or `nir,red,green` as a tuple."""
    if text is None:
        return None
    parts = tuple(p.strip() for p in text.split(","))
    if not all(parts):
        raise UsageError("--bands", f"{text!r} is not a list of numbers or names", "such as --bands 4,3,2")
    return parts


def parse_resolution(text: str) -> Any:
    """`model`, `native`, or metres as a number."""
    if text in ("model", "native"):
        return text
    try:
        metres = float(text.removesuffix("m"))
    except ValueError:
        metres = 0.0
    if not 0 < metres < 1e5:
        raise UsageError("--resolution", f"{text!r} is not model, native or metres", "such as --resolution 0.5")
    return metres


def parse_bbox(text: str | None) -> tuple[float, float, float, float] | None:
    """`left,bottom,right,top` as numbers."""
    if text is None:
        return None
    try:
        left, bottom, right, top = (float(p) for p in text.split(","))
    except ValueError:
        left = bottom = right = top = float("nan")
    if not (left < right and bottom < top):
        raise UsageError(
            "--bbox", f"{text!r} is not left,bottom,right,top", "such as --bbox 500000,2700000,501000,2701000"
        )
    return left, bottom, right, top


def parse_creation_options(entries: list[str]) -> tuple[tuple[str, str], ...]:
    """`KEY=VALUE` entries as pairs."""
    for entry in entries:
        if entry.find("=") < 1:
            raise UsageError("--co", f"{entry!r} is not KEY=VALUE", "such as --co COMPRESS=ZSTD")
    return tuple((key, value) for key, _, value in (entry.partition("=") for entry in entries))
