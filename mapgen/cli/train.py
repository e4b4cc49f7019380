"""`mapgen train`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_folder
from mapgen.cli.console import console
from mapgen.cli.options import takes
from mapgen.cli.progress import ProgressBar
from mapgen.errors import CheckError, UsageError, option

if TYPE_CHECKING:
    from mapgen.training.config import TrainConfig
    from mapgen.training.outcome import Report


@takes(given_by.Log, given_by.Overwriting, given_by.Json)
def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The TOML file of the run: see docs/training.md.")],
    output: Annotated[
        str | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="The folder of the run.  [default: runs/NAME]"),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Look at imagery, labels and split, draw them, and train nothing."),
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=1, metavar="N", help="End at this step instead of where the configuration says."),
    ] = None,
    **given: Any,
) -> None:
    """Train a model from imagery and labels.

    The folder of the run receives the model, its log and curves. A run that was stopped, in whatever way, goes on from
    its checkpoint when the same command is given again. The path of the model is printed on stdout.
    """
    overwrite: bool = given["overwrite"]
    if check and steps is not None:
        raise UsageError(option("steps"), f"{option('check')} trains nothing", "use one of the two")
    from mapgen.training.config import read_config

    found = read_config(Path(config))
    folder = None if output is None else Path(output)
    if folder is not None:
        check_folder(folder)
    if check:
        _check(config, found, folder, overwrite)
        return
    from mapgen.training.train import run

    bar = ProgressBar(found.name, "steps")
    done = run(
        found, folder, steps=steps, overwrite=overwrite, progress=lambda report: _show(bar, report), say=console.note,
        warn=lambda text: console.warning(config, text),
    )  # fmt: skip
    bar.close()
    if done.begun == done.steps:
        console.note(f"the run was done before, after {done.steps} steps; --overwrite starts it over")
    else:
        console.note(_ending(done.steps, done.end, done.card.scores.get("miou"), done.seconds))
    console.result(done.model, done.to_json())


def _check(name: str, config: TrainConfig, folder: Path | None, overwrite: bool) -> None:
    from mapgen.training.train import check

    found = check(config, folder, overwrite=overwrite)
    if console.as_json:
        console.result(name, found.to_json())
    else:
        console.text(found.survey.text().rstrip("\n"))
    console.note(f"wrote {found.picture}")
    if found.survey.failed:
        raise CheckError(name, "; ".join(found.survey.failed), "correct the configuration or the labels")


def _show(bar: ProgressBar, report: Report) -> None:
    miou = "" if math.isnan(report.miou) else f"mIoU {report.miou:.3f}, "
    text = f"loss {report.loss:.3f}, {miou}rate {report.rate:.1e}"
    bar(report.step, report.end, text)


def _ending(steps: int, end: int, miou: object, seconds: float) -> str:
    early = f" of {end}, for validation no longer improved" if steps < end else ""
    score = f"best mIoU {miou:.3f} on validation ground, " if isinstance(miou, float) else ""
    return f"{steps} steps{early}, {score}{seconds:.0f} s"
