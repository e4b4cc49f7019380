"""How the kernels are compiled: with numba, without the GIL, and kept on disk for the next run."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import event

F = TypeVar("F", bound=Callable[..., Any])


def cache_folder() -> str:
    """Where compiled kernels are kept: `NUMBA_CACHE_DIR`, or the user's cache, or a private temporary folder.

    numba's own default is the package's folder, which an administrator's installation leaves read-only, and it
    raises where neither that nor a home exists.
    """
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        return chosen
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(base) / "mapgen" / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK | os.X_OK):
            return str(folder)
    except OSError:
        pass
    return tempfile.mkdtemp(prefix="mapgen-kernels-")


numba.config.CACHE_DIR = cache_folder()


def kernel(function: F) -> F:
    """The function, compiled at its first call for the types it is called with, or loaded if that happened before."""
    compiled: F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled


class _Announcer(event.Listener):  # type: ignore[misc]
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
