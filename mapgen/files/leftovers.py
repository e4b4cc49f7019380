"""What runs that were killed have left in a folder: hidden folders of unfinished outputs, journals, and locks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mapgen.files import lock
from mapgen.files.journal import SUFFIX, described
from mapgen.files.unfinished import PREFIX, hold


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that a run has left, or is at work on."""

    path: Path
    what: str
    """In words."""
    size: int
    """Bytes."""
    reason: str = ""
    """Why it must stay; empty where it may go."""


def leftovers(folder: Path, *, below: bool = False) -> Iterator[Leftover]:
    """What lies about in a folder, and with `below` in all folders in it."""
    for place, folders, files in os.walk(folder):
        names = sorted(name for name in (*folders, *files) if name.startswith(PREFIX))
        folders[:] = sorted(name for name in folders if not name.startswith(PREFIX)) if below else []
        for name in names:
            found = _leftover(Path(place, name))
            if found is not None:
                yield found


def _leftover(path: Path) -> Leftover | None:
    """What one entry is; None for what mapgen has not made."""
    if path.is_symlink():
        return None
    if path.name.endswith(lock.SUFFIX) and path.is_file():
        return _lock(path)
    if path.is_dir():
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
        names = sorted(one.name for one in path.iterdir())
        what = f"unfinished output ({', '.join(names[:3]) or 'empty'})"
        reason = "it holds what lay there before, moved aside: move it back by hand" if "old" in names else ""
    else:
        said = described(path) if path.name.endswith(SUFFIX) else None
        if said is None:
            return None
        what, size, reason = f"journal of {said.get('output')}", path.stat().st_size, ""
    with hold(path) as free:
        return Leftover(path, what, size, reason or ("" if free else "a run is at work on it"))


def _lock(path: Path) -> Leftover | None:
    """A lock; None for a file that only bears such a name."""
    owner, size = lock.described(path), path.stat().st_size
    if owner is None and size:
        return None
    at_work = lock.held_by(path)
    reason = "" if at_work is None else f"held by {at_work}"
    return Leftover(path, f"lock of {owner.output}" if owner else "empty lock", size, reason)


def remove(one: Leftover) -> None:
    """Remove a leftover that may go."""
    assert not one.reason
    if one.path.is_dir():
        shutil.rmtree(one.path)
    else:
        one.path.unlink(missing_ok=True)
