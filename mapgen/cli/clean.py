"""`mapgen clean`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mapgen.cli import bundles as given_by
from mapgen.cli.console import console
from mapgen.cli.options import takes
from mapgen.errors import InputError


@takes(given_by.Json)
def clean(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR", help="Folders of outputs.")],
    below: Annotated[bool, typer.Option("-r", "--recursive", help="All folders in them too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be removed, and remove nothing.")] = False,
    **given: Any,
) -> None:
    """Remove what runs that were killed have left: unfinished outputs and journals, never those of a run at work.

    The paths of what was removed are printed on stdout. After it an interrupted map begins anew.
    """
    from mapgen.files.leftovers import leftovers, remove

    for folder in folders:
        if not folder.is_dir():
            raise InputError(folder, "is not a folder", "name the folder of the outputs")
        for one in leftovers(folder, below=below):
            record = {"path": str(one.path), "what": one.what, "bytes": one.size, "kept": one.reason or None}
            if one.reason:
                console.note(f"{one.path}: {one.what}, {one.size} bytes, stays: {one.reason}")
            elif not dry_run:
                remove(one)
            if console.as_json:
                console.result(one.path, record)
            elif not one.reason:
                console.note(f"{one.path}: {one.what}, {one.size} bytes" + (" would go" if dry_run else ""))
                console.result(one.path)
