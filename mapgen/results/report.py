"""Result folders of `mapgen map`: the report that says what lies in one, and plain JSON beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mapgen.errors import InputError, OutputError, one_line
from mapgen.files.commit import staged, translated

REPORT = "report.json"


def write_json(path: Path, content: Mapping[str, Any], *, overwrite: bool) -> None:
    """Write one JSON object, whole or not at all. Raises `OutputError`."""
    text = json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    with staged(path, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")
        if temporary.read_text(encoding="utf-8") != text:
            raise OutputError(path, "did not read back as written (a full or failing disk?)", "free some space")


def older_files(folder: Path) -> dict[str, str]:
    """The files by role of the report that lies in a folder; none where there is none, or nothing it could be."""
    try:
        files = json.loads((folder / REPORT).read_text(encoding="utf-8"))["files"]
        return {str(role): str(name) for role, name in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def read_report(folder: Path) -> dict[str, Any]:
    """The report in a folder. Raises `InputError` where it is none."""
    try:
        found = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        if "mapgen_report" not in found or not isinstance(found["files"], dict):
            raise ValueError("not the report of mapgen map")
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(folder / REPORT, f"cannot be read ({one_line(exc)})", "make the map again") from exc
    return dict(found)


def drop_report(folder: Path) -> None:
    """Remove the report of an earlier run, which no longer holds."""
    with suppress(FileNotFoundError), translated(folder / REPORT):
        (folder / REPORT).unlink()


def make_folder(folder: Path) -> bool:
    """Make sure that there is a folder to write to; whether it was made. Raises `OutputError`."""
    if folder.is_dir():
        return False
    if os.path.lexists(folder):
        raise OutputError(folder, "is a file, the results need a folder", "choose another with -o")
    if not folder.absolute().parent.is_dir():
        raise OutputError(folder, f"the folder {folder.absolute().parent} does not exist", "create it first")
    try:
        folder.mkdir()
    except OSError as exc:
        raise OutputError(folder, f"cannot be created ({exc.strerror})", "choose another with -o") from exc
    return True


def leave_folder(folder: Path) -> None:
    """Remove a folder that nothing was written to."""
    with suppress(OSError):
        folder.rmdir()


def seen_from(folder: Path, path: Path) -> str:
    """The relative path from a folder to a file, with slashes; the absolute one on another drive."""
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:
        return path.absolute().as_uri()
