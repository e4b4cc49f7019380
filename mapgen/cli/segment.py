"""`mapgen segment`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import expand, place, run_batch
from mapgen.cli.console import console
from mapgen.cli.course import From, OnError, Only, Report, ReportTo, SkipDone, inputs_of
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import ProgressBar, duration
from mapgen.errors import OutputError, UsageError, option
from mapgen.files.vet import public_name
from mapgen.inference.options import SegmentOptions
from mapgen.settings import choice

if TYPE_CHECKING:
    from mapgen.inference.segment import Segmenter


@takes(
    given_by.Output, given_by.Model, given_by.Bands, given_by.Ground, given_by.Windows, given_by.Engine,
    given_by.Threads, given_by.Memory, given_by.Scores, given_by.Area, given_by.Creation, given_by.DryRun,
    given_by.Network, given_by.Resuming, given_by.Limits, given_by.Log, given_by.Overwriting, given_by.Json,
)  # fmt: skip
def segment(
    scenes: Annotated[
        list[str] | None,
        typer.Argument(metavar="SCENE", help="Imagery: files, patterns or http(s) URLs; - reads names from stdin."),
    ] = None,
    *,
    from_: From = None,
    only: Only = None,
    on_error: OnError = "skip",
    skip_done: SkipDone = False,
    report: ReportTo = None,
    **given: Any,
) -> None:
    """Write a class map (COG) of each scene.

    Without -o, the map of scene.tif is scene.mask.tif beside it. The paths of finished maps are printed on stdout.
    """
    options = SegmentOptions(**chosen(SegmentOptions, given))
    choice("on_error", on_error, ("skip", "fail"))
    if only is not None:
        choice("only", only, ("failed",))
    names = inputs_of(scenes or [], from_ or [], only)
    if not names:
        if only is not None:
            console.note("no input of the report failed")
            raise typer.Exit(0)
        raise UsageError("SCENE", "no imagery is named", f"name files, or a list of them with {option('from')}")
    names = expand(names)
    from mapgen.inference.segment import Segmenter, default_output

    run = Segmenter(options, names)
    if given["dry_run"]:
        raise typer.Exit(_foretell(run, names))
    pairs = place(names, given["output"], default_output)
    _introduce(run)
    console.note(f"runs with {run.described()}", 1)

    def work(source: str, target: Path) -> dict[str, Any]:
        if skip_done and os.path.lexists(target):
            why = run.unlike(source, target)
            if not why:
                console.note(f"{public_name(source)}: {target} is done already")
                return {"source": public_name(source), "output": str(target), "done_before": True}
            if not options.overwrite:
                raise OutputError(
                    target,
                    why,
                    f"use {option('overwrite', True)} to make it again, or choose another name with {option('output')}",
                )
        bar = ProgressBar(source, "px")
        result = run(source, target, bar)
        for warning in result.warnings:
            console.warning(source, warning)
        if result.resumed:
            console.note(f"{public_name(source)}: went on at row {result.resumed}, where an earlier run had ended")
        windows = f"{result.windows} window{'s' if result.windows != 1 else ''} ({result.skipped} empty)"
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
    console.note(f"model {card.name} ({kind}{card.domain or f'{card.architecture} {card.encoder}'.strip()})")
    for advice in run.advice():
        console.note(advice)


def _foretell(run: Segmenter, names: list[str]) -> int:
    def tell(source: str, _: Path) -> dict[str, Any]:
        plan = run.plan(source)
        if not console.as_json:
            console.text(foretold(source, plan))
        for warning in plan["warnings"]:
            console.warning(source, warning)
        return plan

    return run_batch(((name, Path()) for name in names), tell, silent=not console.as_json)


def foretold(source: str, plan: dict[str, Any]) -> str:
    """One line: what a run over the scene would take."""
    grid, out = plan["grid"], plan["output"]
    how = "of another resolution" if grid["resampled"] else "of its own"
    height, width = plan["window"]
    windows = f"{plan['windows']} window{'s' if plan['windows'] != 1 else ''} of {height} × {width}"
    return (
        f"{public_name(source)}: {windows} on {grid['width']} × {grid['height']} pixels {how}, "
        f"map {out['width']} × {out['height']}, time about {duration(plan['seconds'])}, "
        f"memory about {plan['memory_bytes'] / 1e9:.1f} GB, disk at most about {plan['disk_bytes'] / 1e6:.1f} MB"
    )
