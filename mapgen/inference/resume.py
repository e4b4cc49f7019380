"""Going on with a class map that was interrupted: its finished strips, and what they depend on."""

from __future__ import annotations

import dataclasses
import platform
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from mapgen.arrays import Array, is_uniform, uniform
from mapgen.files.fingerprint import fingerprint
from mapgen.files.journal import Journal
from mapgen.files.machine import versions
from mapgen.grid import Window
from mapgen.inference.job import Job
from mapgen.model.engine import Engine
from mapgen.raster.cog import TILE as BLOCK

Make = Callable[[int], Iterator[tuple[int, Array]]]
"""The strips of a map from this row on."""

_CHANGE_NO_PIXEL = {"overwrite", "creation_options", "batch", "threads", "max_memory", "model", "aoi", "device",
                    "resume"}  # fmt: skip
"""Options that change no pixel, or that the key holds by their content."""


def below(job: Job, row: int) -> Job:
    """The part of a job that is not done once the first `row` rows of its map are.

    Law: its map is the map of the whole job without those rows, bit by bit.
    """
    within = job.within
    return dataclasses.replace(job, within=Window(within.row + row, within.col, within.height - row, within.width))


class Ran(NamedTuple):
    """What an engine says of itself, without one."""

    name: str
    device: str
    precision: str


def key_of(job: Job, engine: Engine | Ran) -> dict[str, Any] | None:
    """All that the pixels of a map depend on, by content: two maps with one key are the same, byte by byte.

    None where the content of the scene cannot be told.
    """
    content = job.scene.content()
    if content is None:
        return None
    options = {
        field.name: repr(getattr(job.options, field.name))
        for field in dataclasses.fields(job.options)
        if field.name not in _CHANGE_NO_PIXEL
    }
    model = job.model
    return {
        "scene": content,
        "aoi": None if job.options.aoi is None else fingerprint(job.options.aoi),
        "grid": repr(job.scene.grid), "within": repr(job.within), "bands": job.scene.bands,
        "model": model.sha256, "int8": fingerprint(model.int8)["blocks"] if model.int8 else None,
        "options": options, "normalization": repr(job.normalization), "window": job.budget.window,
        "engine": [engine.name, engine.device, engine.precision],
        "versions": versions(("numpy", "rasterio", engine.name)),
        "machine": [platform.machine(), platform.processor()],
    }  # fmt: skip


def strips_with_journal(job: Job, journal: Journal, make: Make, planes: int) -> Iterator[tuple[int, Array]]:
    """The strips of a map: those of the journal, then those that `make` makes, which are added to it.

    Strips are (h, width), or (`planes`, h, width) where there are scores. Damaged blocks that earlier strips have met
    are the scene's again. A map of a single strip has nothing to go on from and no journal.
    """
    row, height, width = 0, job.within.height, job.within.width
    single = height <= BLOCK
    for said, data in () if single else journal.parts():
        strip = _strip(said, data, row, (planes, width), height)
        if strip is None:
            break
        yield row, strip
        row += strip.shape[-2]
        job.scene.damaged += [place for place in map(tuple, said["damaged"]) if place not in job.scene.damaged]
        journal.place = f"at row {row} of {height}"
    for row, strip in make(row):  # noqa: B020 - the rest goes on where the journal ends
        if not single:
            said = {"row": row, "rows": strip.shape[-2], "damaged": job.scene.damaged}
            if is_uniform(strip):
                journal.append(said | {"all": int(strip.flat[0])}, b"")
            else:
                journal.append(said, zlib.compress(np.ascontiguousarray(strip).data, 1))
            journal.place = f"at row {row + strip.shape[-2]} of {height}" if journal.keeps else ""
        if row + strip.shape[-2] == height:
            job.scene.check_unchanged()  # before the map gets its name
        yield row, strip


def _strip(said: dict[str, Any], data: bytes, row: int, shape: tuple[int, int], height: int) -> Array | None:
    """A strip as it was; None unless it begins at `row` and fits."""
    rows = said.get("rows")
    if said.get("row") != row or not isinstance(rows, int) or not 0 < rows <= min(BLOCK, height - row):
        return None
    planes, width = shape
    whole = (planes, rows, width) if planes else (rows, width)
    if isinstance(said.get("all"), int):
        return uniform(said["all"] & 255, whole)
    size = max(1, planes) * rows * width
    unpack = zlib.decompressobj()
    try:
        content = unpack.decompress(data, size + 1)
    except zlib.error:
        return None
    if len(content) != size:
        return None
    return np.frombuffer(content, np.uint8).reshape(whole)
