"""The register of inputs: what a run has opened for reading, and therefore never replaces.

Whoever opens a file for reading notes it here, at the rim; whoever writes asks here. So no list of inputs has to be
handed from the one to the other, and none can be forgotten. Files are known by device and inode, so that a link or
another spelling of the name hides none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

Identity = tuple[int, int]
"""Device and inode."""


@dataclass(slots=True, eq=False)
class _Register:
    """Of one run: the files and whole folders that it reads, and what it made itself, which it may read and replace."""

    files: set[Identity] = field(default_factory=set)
    folders: set[Identity] = field(default_factory=set)
    made: set[Identity] = field(default_factory=set)


_current: ContextVar[_Register | None] = ContextVar("register", default=None)
_open: list[_Register] = []


@contextmanager
def one_run() -> Iterator[None]:
    """What is noted within the block is an input until the block ends. A block within a block is part of its run."""
    if _current.get() is not None:
        yield
        return
    register = _Register()
    _open.append(register)
    _current.set(register)
    try:
        yield
    finally:
        _current.set(None)
        _open.remove(register)


def _registers() -> list[_Register]:
    """That of the run; in a thread of its own, which knows of none, those of all runs under way."""
    register = _current.get()
    return list(_open) if register is None else [register]


def note_inputs(*names: object) -> None:
    """The files of these names are inputs of the run; what is no file (None, a URL, a missing one) is left out."""
    for name in names:
        there = None if name is None else identity(str(name))
        if there is not None:
            for register in _registers():
                register.files |= {there} - register.made


@contextmanager
def looked_at() -> Iterator[None]:
    """What is opened within the block becomes no input by that: an older output, to see whether it is still good."""
    before = [(register, set(register.files), set(register.folders)) for register in _registers()]
    try:
        yield
    finally:
        for register, files, folders in before:
            register.files, register.folders = files, folders


def note_folder(path: Path) -> None:
    """All that lies in a folder, at any depth, is an input of the run."""
    there = identity(path)
    if there is not None:
        for register in _registers():
            register.folders |= {there} - register.made


def note_output(path: Path) -> None:
    """The run has made this file or folder, which is none of its inputs even if it reads it again."""
    there = identity(path)
    if there is not None:
        for register in _registers():
            register.files.discard(there)
            register.folders.discard(there)
            register.made.add(there)


def is_input(path: Path) -> bool:
    """Whether the run reads the file at `path`, under whatever name, or a folder that holds it."""
    there = identity(path)
    registers = _registers()
    if there is None or not registers:
        return False
    if any(there in register.files or there in register.folders for register in registers):
        return True
    if not any(register.folders for register in registers):
        return False
    above = {identity(parent) for parent in Path(os.path.realpath(path)).parents}
    return any(above & register.folders and there not in register.made for register in registers)


def identity(path: str | Path) -> Identity | None:
    """What is the same for all names and links of a file; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None
    return status.st_dev, status.st_ino
