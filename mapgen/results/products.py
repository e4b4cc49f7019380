"""Going on with a map that was interrupted: which of its products are done, and what they depend on."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mapgen.files.fingerprint import digest
from mapgen.files.journal import Journal, described, journal_path
from mapgen.files.kind import REPORT
from mapgen.files.machine import versions
from mapgen.results.options import MapOptions

_CHANGE_NOTHING = {"overwrite", "resume", "batch", "threads", "max_memory"}
"""Options of `map` that change no byte of its products."""


def products_key(pixels: Mapping[str, Any] | None, options: MapOptions) -> dict[str, Any] | None:
    """All that the products of a map depend on: `pixels`, the key of its class map, and every option. None: unknown."""
    if pixels is None:
        return None
    said = {
        field.name: repr(getattr(options, field.name))
        for field in dataclasses.fields(options) if field.name not in _CHANGE_NOTHING
    }  # fmt: skip
    text = json.dumps([pixels, said, versions()], sort_keys=True, default=str)
    return {"map": hashlib.sha256(text.encode()).hexdigest()}


def is_begun(folder: Path) -> bool:
    """Whether an earlier run has left a journal of its products in a folder."""
    return described(journal_path(folder / REPORT)) is not None


class Products:
    """The finished products of a map, kept in a journal in its folder until all are. A context.

    A product is written down twice: what it is going to be called before it is begun, so that a file which a killed run
    has just put into place is known as its own and may be replaced; what it is once it is done, with hashes.
    """

    def __init__(self, folder: Path, key: Mapping[str, Any] | None, *, resume: bool) -> None:
        self.folder = folder
        self._journal = Journal(folder / REPORT, key, resume=resume)
        self._begun: set[str] = set()
        self._done: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Products:
        self._journal.__enter__()
        for said, _ in self._journal.parts():
            self._begun |= set(said.get("begun", ()))
            if "product" in said:
                self._done[said["product"]] = said
                self._begun |= said["sha256"].keys()
        self._place()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.__exit__(kind, exc, trace)

    def _place(self) -> None:
        if self._done:
            self._journal.place = f"after {', '.join(name.replace('_', ' ') for name in self._done)}"

    def facts(self, product: str) -> dict[str, Any] | None:
        """What was written down of a finished product; None unless all its files are there as they were."""
        said = self._done.get(product)
        if said is None:
            return None
        for name, mark in said["sha256"].items():
            path = self.folder / name
            if not path.is_file() or digest(path) != mark:
                return None
        return dict(said["facts"])

    def is_own(self, path: Path) -> bool:
        """Whether what lies there was put there by the run that is gone on with, and not touched since."""
        if path.name not in self._begun:
            return False
        marks = {name: mark for said in self._done.values() for name, mark in said["sha256"].items()}
        return path.name not in marks or not path.is_file() or digest(path) == marks[path.name]

    def begin(self, paths: Iterable[Path]) -> None:
        """From now on files of these names are this run's."""
        names = [path.name for path in paths]
        self._begun |= set(names)
        self._journal.append({"begun": names}, b"", sync=True)

    def finish(self, product: str, paths: Iterable[Path], facts: Mapping[str, Any]) -> None:
        """A product is done: its files, and what a report wants to know of it."""
        marks = {path.name: digest(path) for path in paths}
        said = {"product": product, "sha256": marks, "facts": facts}
        self._done[product] = said
        self._begun |= marks.keys()
        self._journal.append(said, b"", sync=True)
        self._place()
