"""How the kernels are compiled: with numba, without the GIL, and kept on disk for the next run."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
from numba.core import event
from platformdirs import user_cache_path


def cache_folder() -> str:
    """Where compiled kernels are kept: `NUMBA_CACHE_DIR`, or mapgen's cache, or a private temporary folder.

    numba's own default is the package's folder, which an administrator's installation leaves read-only, and it
    raises where neither that nor a home exists. What lies there is executed, so it must belong to this user alone.
    """
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return chosen
    chosen = os.environ.get("MAPGEN_CACHE")
    try:
        base = Path(chosen) if chosen else user_cache_path("mapgen", appauthor=False)
        folder = base / "kernels" / _shared_source()
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return str(folder)
    except (OSError, RuntimeError):  # RuntimeError: no home directory is known
        pass
    return _private_folder(Path(tempfile.gettempdir()) / f"mapgen-kernels-{getattr(os, 'getuid', int)()}")


def _shared_source() -> str:
    """A mark of all kernels: one is built into another, and numba looks at a kernel's own file only."""
    package = Path(__file__).parent
    mark = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        source = path.read_bytes()
        if b"@kernel" in source:
            mark.update(path.relative_to(package).as_posix().encode() + b"\0" + source)
    return mark.hexdigest()[:16]


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


numba.config.CACHE_DIR = cache_folder()  # type: ignore[attr-defined]


def kernel(function: Callable[..., Any]) -> Any:
    """The function, compiled at its first call for the types it is called with, or loaded if that happened before."""
    return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


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
