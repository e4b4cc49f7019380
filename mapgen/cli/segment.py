"""`mapgen segment`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import Batch, Work
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import Progress, duration
from mapgen.cli.shards import dealt, run_on_cluster, run_part, shard_of
from mapgen.files.vet import public_name
from mapgen.inference.options import SegmentOptions

if TYPE_CHECKING:
    from mapgen.inference.counting import Result
    from mapgen.inference.segment import Segmenter


@takes(
    given_by.Output, given_by.Model, given_by.Bands, given_by.Ground, given_by.Windows, given_by.Engine,
    given_by.Threads, given_by.Memory, given_by.Scores, given_by.Area, given_by.Creation, given_by.DryRun,
    given_by.Batch, given_by.Sharding, given_by.Network, given_by.Resuming, given_by.Limits, given_by.Log,
    given_by.Overwriting, given_by.Json,
)  # fmt: skip
def segment(
    scenes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SCENE", help="Imagery: files, patterns, addresses (https, s3, gs, az); - reads names from stdin."
        ),
    ] = None,
    **given: Any,
) -> None:
    """Write a class map (COG) of each scene.

    Without -o, the map of scene.tif is scene.mask.tif beside it. The paths of finished maps are printed on stdout.
    """
    options = SegmentOptions(**chosen(SegmentOptions, given))
    shard = shard_of(given)
    batch = Batch(scenes or [], given, "SCENE", imagery=True)
    from mapgen.inference.segment import Segmenter, default_output

    run = Segmenter(options, batch.names)
    if given["dry_run"]:
        raise typer.Exit(_foretell(run, batch))
    pairs = batch.place(given["output"], default_output, ".tif")
    _introduce(run)
    console.note(f"runs with {run.described()}", 1)

    if given["cluster"] is not None:
        raise typer.Exit(run_on_cluster(run, batch, pairs, given))
    if shard is not None and len(batch.names) == 1 and pairs:
        raise typer.Exit(run_part(run, batch, pairs[0][1], shard, given, _telling))
    if shard is not None:
        pairs = dealt(pairs, shard)
    raise typer.Exit(batch.run(pairs, _telling(run), unit="px", about=run.described(), unlike=run.unlike))


def _telling(run: Callable[[str, Path, Progress], Result]) -> Work:
    """A run that says how it went."""

    def work(source: str, target: Path, progress: Progress) -> dict[str, Any]:
        result = run(source, target, progress)
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

    return work


def _introduce(run: Segmenter) -> None:
    """Say once which model it is and what imagery it knows."""
    from mapgen.model.file import builtin_models

    card = run.model.card
    kind = "built-in: " if run.model.path in builtin_models() else ""
    console.note(f"model {card.name} ({kind}{card.domain or card.network or 'a graph'})")
    for advice in run.advice():
        console.note(advice)


def _foretell(run: Segmenter, batch: Batch) -> int:
    def tell(source: str, _: Path, progress: Progress) -> dict[str, Any]:
        plan = run.plan(source)
        if not console.as_json:
            console.text(foretold(source, plan))
        for warning in plan["warnings"]:
            console.warning(source, warning)
        return plan

    batch.report = None  # nothing is made that it could tell of
    return batch.run([(name, Path()) for name in batch.names], tell, silent=not console.as_json)


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
