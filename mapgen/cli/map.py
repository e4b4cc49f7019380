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
    given_by.Log, given_by.Overwriting, given_by.Json, given_by.Table,
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
        raise typer.Exit(mapped(names, output, options, given["table"]))


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


def mapped(names: list[str], output: Path, options: MapOptions, table: Path | None = None) -> int:
    """Map the scenes into a folder and say what happens; the exit code."""
    from mapgen.results.areas import areas_of_report, lines, table_output, write_areas

    if table is not None:
        table_output(table, options.overwrite)
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
        console.note(_difference(options))
    found = areas_of_report(report)
    for line in lines(found):
        console.note(f"  {line}")
    seconds = ", ".join(f"{part.replace('_', ' ')} {time:.1f} s" for part, time in report["seconds"].items())
    console.note(f"{report['name']}: {seconds}")
    if table is not None:
        write_areas(found, table, overwrite=options.overwrite)
        console.note(f"wrote {table}")
    console.note(f"next: mapgen view {shlex.quote(str(output))}")
    if console.as_json:
        console.result("", report | {"output": str(output), "exit_code": result.exit_code})
        failed = len(report["errors"])
        console.result("", {"summary": {"done": 1, "failed": failed, "exit_code": result.exit_code}})
    return result.exit_code


def _difference(options: MapOptions) -> str:
    """One line: in what the layer differs from class map, tiles and areas, which show every pixel."""
    done = {
        "sieve": "sieved by {}", "min_hole": "without holes below {}", "simplify": "simplified by {}",
        "smooth": "smoothed {} times", "min_area": "without polygons below {}", "max_area": "without polygons above {}",
        "classes": "of {} alone", "background": "without {}", "square": "squared",
    }  # fmt: skip
    given = {key: getattr(options, key) for key in done}
    texts = {key: ", ".join(value) if isinstance(value, tuple) and key != "square" else value
             for key, value in given.items()}  # fmt: skip
    said = [done[key].format(value) for key, value in texts.items() if value and str(value) != "0px"]
    changed = ", ".join(said) or "as it is"
    return f"the layer is {changed}; class map, tiles and the areas below are of every pixel"
