"""`mapgen demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_folder
from mapgen.cli.console import console
from mapgen.cli.map import mapped
from mapgen.cli.options import takes
from mapgen.results.options import MapOptions


@takes(given_by.Overwriting, given_by.Json)
def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="The folder of scene and map; made if need be.")
    ] = Path("mapgen-demo"),
    **given: Any,
) -> None:
    """Map the example scene that comes with mapgen.

    A drawn town of 1 m per pixel: it is copied to scene.tif in the folder and mapped beside it, so that everything can
    be tried at once and without a network.
    """
    check_folder(output)
    from mapgen.files.commit import Output, make_folder
    from mapgen.files.example import write_example

    make_folder(output)
    scene = output / "scene.tif"
    write_example(Output(scene, given["overwrite"]))
    if not console.as_json:
        console.result(scene)
    raise typer.Exit(mapped([str(scene)], output, MapOptions(overwrite=given["overwrite"])))
