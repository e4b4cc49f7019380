"""`mapgen join`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.batch import check_suffix
from mapgen.cli.console import console
from mapgen.cli.options import takes
from mapgen.cli.progress import ProgressBar


@takes(given_by.Overwriting, given_by.Json)
def join(
    parts: Annotated[
        list[Path], typer.Argument(metavar="PARTS", help="Folders of parts, NAME.shards, made by segment --shard.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="MAP.tif", help="The map.  [default: NAME.tif]")
    ] = None,
    **given: Any,
) -> None:
    """Join the parts of a class map that machines have made apart.

    The map is that of a run of the whole scene, byte for byte. All parts are read and compared with their records;
    exit 9 where one is missing, changed or of another plan.
    """
    from mapgen.inference.join import join as joined

    if output is not None:
        check_suffix(str(output), ".tif", folders=False)
    bar = ProgressBar(str(parts[0]), "px")
    found = joined(parts, output, overwrite=given["overwrite"], progress=bar)
    bar.close()
    for note in found.notes:
        console.warning(found.output, note)
    console.result(found.output, found.to_json() | {"exit_code": 0})
    parts_joined = f"{found.parts} part{'s' if found.parts != 1 else ''}"
    console.note(f"{found.output}: {found.width} × {found.height} pixels from {parts_joined}")
    for path in found.scores:
        console.note(f"wrote {path}")
