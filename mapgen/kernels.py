"""How the kernels are compiled: with numba, without the GIL, and kept on disk for the next run."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core import event
from platformdirs import user_cache_path

_PACKAGE = Path(__file__).resolve().parent
_IMPORT = re.compile(r"^\s*from mapgen\.([\w.]+) import", re.MULTILINE)


def cache_folder(source: Path) -> str:
    """Where the compiled kernels of a file are kept: `NUMBA_CACHE_DIR`, mapgen's cache, or a private temporary folder.

    numba's own default is the package's folder, which an administrator's installation leaves read-only, and it
    raises where neither that nor a home exists. What lies there is executed, so it must belong to this user alone.
    """
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return chosen
    chosen = os.environ.get("MAPGEN_CACHE")
    try:
        base = Path(chosen) if chosen else user_cache_path("mapgen", appauthor=False)
        folder = base / "kernels" / _mark_of(source)
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return str(folder)
    except (OSError, RuntimeError):  # RuntimeError: no home directory is known
        pass
    return _private_folder(Path(tempfile.gettempdir()) / f"mapgen-kernels-{getattr(os, 'getuid', int)()}")


@cache
def _mark_of(source: Path) -> str:
    """A mark of all kernels that those of a file may be built from: numba looks at a kernel's own file only."""
    mark = hashlib.sha256()
    for path in sorted(_sources(source)):
        text = _text_of(path)
        if "@kernel" in text:
            mark.update(f"{path.relative_to(_PACKAGE).as_posix()}\0{text}".encode())
    return mark.hexdigest()[:16]


def _sources(source: Path) -> set[Path]:
    """The file and those of the package that it imports, and so on."""
    found, waiting = set[Path](), [source]
    while waiting:
        path = waiting.pop()
        if path not in found and path.is_relative_to(_PACKAGE) and path.is_file():
            found.add(path)
            names = _IMPORT.findall(_text_of(path))
            waiting += [_PACKAGE.joinpath(*name.split(".")).with_suffix(".py") for name in names]
    return found


@cache
def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _private_folder(folder: Path) -> str:
    """The folder, if nobody else could have put anything in it, else a new one."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077:
            return str(folder)
    except (OSError, AttributeError):  # AttributeError: Windows knows no user numbers
        pass
    return tempfile.mkdtemp(prefix="mapgen-kernels-")


def kernel(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call for the types it is called with, or loaded if that happened before."""
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = _folder_of(function.__code__.co_filename)  # type: ignore[attr-defined]
    try:  # numba asks for the folder now, and other programs' functions keep theirs
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


@cache
def _folder_of(source: str) -> str:
    return cache_folder(Path(source).resolve())


class _Announcer(event.Listener):
    def __init__(self, announce: Callable[[str], None]) -> None:
        self.announce = announce
        self.done = False

    def on_start(self, event: Any) -> None:
        if not self.done:
            self.done = True
            self.announce("compiling the kernels, once for this machine (about 15 s) ...")

    def on_end(self, event: Any) -> None:
        pass


@contextmanager
def announced(announce: Callable[[str], None]) -> Iterator[None]:
    """Call `announce` with one line when a kernel has to be compiled in the block; loading a kept one is silent."""
    with event.install_listener("numba:compile", _Announcer(announce)):
        yield
