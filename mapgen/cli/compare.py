"""`mapgen compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapgen.accuracy.options import EvaluateOptions
from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_folder
from mapgen.cli.console import console
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import ProgressBar
from mapgen.errors import UsageError, option

if TYPE_CHECKING:
    from mapgen.training.compared import Compared
    from mapgen.training.outcome import Report


@takes(given_by.TruthRead, given_by.Ignore, given_by.Overwriting, given_by.Json)
def compare(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="CONFIG.toml|MODEL",
            help="The TOML file of a comparison (see docs/compare.md), or two or more models by name or file.",
        ),
    ],
    scene: Annotated[
        list[str] | None,
        typer.Option("--scene", metavar="SCENE", help="Of models: a scene to judge them on."),
    ] = None,
    truth: Annotated[
        list[str] | None,
        typer.Option("--truth", metavar="FILE", help="The truth of each such scene, as evaluate takes it; in order."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o", "--output", metavar="FOLDER",
            help="The folder of runs and report.  [default: runs/compare-NAME; of models none, the table is printed]",
        ),
    ] = None,
    block: Annotated[
        float | None,
        typer.Option(
            "--block", metavar="METRES", help="Of models: side of the blocks of the bootstrap.  [default: 256 pixels]"
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the bootstrap.")] = 0,
    no_speed: Annotated[bool, typer.Option("--no-speed", help="Do not measure how fast each is.")] = False,
    **given: Any,
) -> None:
    """Say which of several models or recipes is better, and whether that is sure.

    A TOML file names variants of a training run and seeds: what is missing is trained, each run in a folder of its own,
    and gone on with when it was stopped. Models that are there are compared on scenes with truth. All are judged on the
    same blocks of ground, so the difference to the first has an interval of its own, narrower than theirs.
    """  # fmt: skip
    folder = None if output is None else Path(output)
    if folder is not None:
        check_folder(folder)
    options = EvaluateOptions(block=block, seed=seed, **chosen(EvaluateOptions, given))
    if any(name.lower().endswith(".toml") for name in what):
        _check_alone(what, {"scene": scene, "truth": truth, "block": block}, options)
        found = _runs(what[0], folder, seed, not no_speed, given["overwrite"])
    else:
        found = _models(what, _pairs(what, scene or [], truth or []), options, folder, not no_speed)
    if console.as_json:
        console.result(what[0], found.to_json())
    else:
        from mapgen.training.compared import lines

        for line in lines(found):
            console.text(line)
    for path in found.files:
        console.note(f"wrote {path}")


def _check_alone(what: list[str], given: dict[str, object], options: EvaluateOptions) -> None:
    """Raise `UsageError` where a file of a comparison is given with more than goes with it."""
    if len(what) > 1:
        raise UsageError(what[0], f"is compared with {what[1]}", "give one TOML file, or models")
    plain = EvaluateOptions()
    more = {"attribute", "feature_class", "outside", "priority", "match", "ignore"}
    given = given | {name: getattr(options, name) for name in more if getattr(options, name) != getattr(plain, name)}
    for name, value in given.items():
        if value is not None:
            raise UsageError(option(name), "is for models that are there", "leave it out")


def _pairs(names: list[str], scenes: list[str], truths: list[str]) -> list[tuple[str, str]]:
    """Each scene with its truth. Raises `UsageError` where models cannot be compared with what is given."""
    if len(names) < 2:
        raise UsageError(names[0], "is one model", "name two or more, or the TOML file of a comparison")
    if not scenes:
        raise UsageError(option("scene"), "no scene is given to judge models on", "name one, and its truth")
    if len(scenes) != len(truths):
        problem = f"{len(truths)} truths for {len(scenes)} scenes"
        raise UsageError(option("truth"), problem, "give one for each, in the same order")
    return list(zip(scenes, truths, strict=True))


def _runs(name: str, folder: Path | None, seed: int, speed: bool, overwrite: bool) -> Compared:
    from mapgen.training.compare import compare_runs

    bars: dict[str, ProgressBar] = {}

    def progress(label: str, report: Report) -> None:
        if label not in bars:
            for bar in bars.values():
                bar.close()
            bars[label] = ProgressBar(label, "steps")
        bars[label](report.step, report.end, f"loss {report.loss:.3f}")

    found = compare_runs(
        Path(name), folder, seed=seed, speed=speed, overwrite=overwrite, progress=progress, say=console.note,
        warn=lambda text: console.warning(name, text),
    )  # fmt: skip
    for bar in bars.values():
        bar.close()
    return found


def _models(
    names: list[str], pairs: list[tuple[str, str]], options: EvaluateOptions, folder: Path | None, speed: bool
) -> Compared:
    from mapgen.training.compare import compare_models

    return compare_models(
        names, pairs, options, folder, speed=speed, overwrite=options.overwrite, say=console.note,
        warn=lambda text: console.warning(names[0], text),
    )  # fmt: skip
