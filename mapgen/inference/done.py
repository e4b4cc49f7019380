"""What is done already: a map that is there, whole, and made from the same scene and model with the same options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mapgen.errors import InputError, OutputError, ResourceError, option
from mapgen.files.commit import free_bytes
from mapgen.files.inputs import looked_at
from mapgen.inference.job import Job
from mapgen.raster.open import opened_dataset
from mapgen.raster.seal import unpack

MARK = "MAPGEN_KEY"
"""The tag of a map that holds the mark of what it was made from."""

_PASSING = {"versions", "machine"}
"""What a journal goes by, since pixels of two of them should not be mixed, but a finished map does not."""


def mark_of(key: Mapping[str, Any] | None) -> str:
    """A hash of all that a map was made from: content of scene and model, options, engine. Empty where unknown."""
    if key is None:
        return ""
    return hashlib.sha256(json.dumps(lasting(key), sort_keys=True).encode()).hexdigest()


def lasting(key: Mapping[str, Any]) -> dict[str, Any]:
    """What of a key holds on any machine and at any time."""
    return {name: _untimed(value) for name, value in key.items() if name not in _PASSING}


def _untimed(value: Any) -> Any:
    """Without the time of change: a copy of a scene is that scene."""
    if isinstance(value, list):
        return [_untimed(one) for one in value]
    return {k: v for k, v in value.items() if k != "mtime_ns"} if isinstance(value, dict) else value


def says_origin(path: Path) -> bool:
    """Whether there is a raster at `path` that says what it was made from."""
    try:
        with looked_at(), opened_dataset(path) as (_, dataset), dataset:
            return MARK in dataset.tags()
    except (InputError, ResourceError, OSError):
        return False


def difference(path: Path, mark: str) -> str:
    """What tells the raster at `path` from the one of this mark, in words; empty where nothing does and it is whole."""
    try:
        with looked_at(), opened_dataset(path) as (_, dataset):
            found = dataset.tags().get(MARK)
            if not found or not mark:
                return "exists and does not say what it was made from"
            if found != mark:
                return "exists, from another scene or model or with other options"
            unpack(path, dataset)
            dataset.close()
    except (InputError, ResourceError, OSError, ValueError):
        return "exists and is damaged"
    return ""


def check_space(job: Job, output: Path, planes: int) -> None:
    """Raise `OutputError` where the disk has no room for what the job may write at most, before it is begun."""
    # A working copy and the result beside each other, and the journal; class maps deflate to a tenth and less.
    needed = 3 * job.within.area * max(1, planes) // 8
    free = free_bytes(output.parent)
    if free < needed:
        problem = f"may take {needed / 1e6:.0f} MB with its working files, the disk has {free / 1e6:.0f} MB left"
        raise OutputError(output, problem, f"free some space or write elsewhere with {option('output')}")
