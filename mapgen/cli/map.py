"""`mapgen map`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_folder, expand, imagery_of
from mapgen.cli.console import console
from mapgen.cli.course import inputs_of
from mapgen.cli.options import chosen, takes
from mapgen.cli.progress import ProgressBar
from mapgen.cli.segment import foretold
from mapgen.errors import MapgenError
from mapgen.results.options import MapOptions


@takes(
    given_by.Model, given_by.Bands, given_by.Ground, given_by.Windows, given_by.Engine, given_by.Threads,
    given_by.Memory, given_by.Scores, given_by.Area, given_by.Creation, given_by.MapForm, given_by.Sieve,
    given_by.Holes, given_by.Simplify, given_by.Regions, given_by.Crs, given_by.Decimals, given_by.Zoom,
    given_by.AssumeCrs, given_by.Parts, given_by.DryRun, given_by.Network, given_by.Resuming, given_by.Limits,
    given_by.Log, given_by.Overwriting, given_by.Json,
    panel="Output", sieve="8px", simplify="1.5px",
)  # fmt: skip
def map_(
    scenes: Annotated[
        list[str],
        typer.Argument(
            metavar="SCENE",
            help="Imagery: files or addresses (https, s3, gs, az); several make one mosaic; - reads names from stdin.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder of the results; made if need be.")
    ],
    name: Annotated[
        str | None,
        typer.Option(
            "--name", metavar="NAME", help="What the results are called.  [default: the scene's, else the folder's]"
        ),
    ] = None,
    **given: Any,
) -> None:
    """Write class map, polygons, tiles, page and report at once.

    One pass over the imagery; several scenes make one mosaic without seams. The paths of the finished files are printed
    on stdout; mapgen view shows the folder.
    """
    options = MapOptions(
        name=name, **chosen(MapOptions, given),
    )  # fmt: skip
    check_folder(output)
    names = imagery_of(expand(inputs_of(scenes, [], None)))
    if given["dry_run"]:
        _foretell(names, options)
    else:
        raise typer.Exit(mapped(names, output, options))


def _foretell(names: list[str], options: MapOptions) -> None:
    """Say what the map would take."""
    from mapgen.results.map import Mapper

    plan = Mapper(options).plan(names)
    if console.as_json:
        console.result("", plan | {"exit_code": 0})
    else:
        console.text(foretold(options.name or names[0], plan))
    for warning in plan["warnings"]:
        console.warning(names[0], warning)


def mapped(names: list[str], output: Path, options: MapOptions) -> int:
    """Map the scenes into a folder and say what happens; the exit code."""
    from mapgen.results.map import Mapper
    from mapgen.results.planned import Listener

    class Voice(Listener):
        """Says on the console what happens."""

        bar: ProgressBar | None = None

        def progress(self, part: str, unit: str = "") -> ProgressBar:
            self._close()
            self.bar = ProgressBar(part, unit)
            return self.bar

        def _close(self) -> None:
            if self.bar is not None:
                self.bar.close()

        def done(self, path: Path) -> None:
            self._close()
            if not console.as_json:
                console.result(path)

        def note(self, text: str) -> None:
            console.note(text)

        def failed(self, error: MapgenError) -> None:
            console.error(error)

    result = Mapper(options, Voice())(names, output)
    report = result.report
    for warning in report["warnings"]:
        console.warning(report["name"], warning)
    for note in report["notes"]:
        console.note(f"{report['name']}: {note}")
    if "layer" in report["files"]:
        console.note(f"the layer is sieved by {options.sieve} and simplified by {options.simplify}")
    console.note(_summary(report))
    console.note(f"next: mapgen view {shlex.quote(str(output))}")
    if console.as_json:
        console.result("", report | {"output": str(output), "exit_code": result.exit_code})
        failed = len(report["errors"])
        console.result("", {"summary": {"done": 1, "failed": failed, "exit_code": result.exit_code}})
    return result.exit_code


def _summary(report: dict[str, object]) -> str:
    """One line: where the time went, and how much ground each class has."""
    seconds, classes = report["seconds"], report["classes"]
    assert isinstance(seconds, dict)
    assert isinstance(classes, list)
    parts = ", ".join(f"{part.replace('_', ' ')} {time:.1f} s" for part, time in seconds.items())
    known = [c for c in classes if c["pixels"]]
    shares = ", ".join(
        f"{c['name']} {c['area_ha']:.2f} ha" if c["area_ha"] is not None else f"{c['name']} {c['share']:.1%}"
        for c in known
    )
    return f"{report['name']}: {shares or 'no data'} ({parts})"
